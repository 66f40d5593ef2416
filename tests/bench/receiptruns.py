# SPDX-License-Identifier: Apache-2.0
"""Receipts sent in a second, beside what a mail server takes."""

import os

from lab import postfix, proc, sink

import figures
import meters
from figures import Sample, rate
from keylab import KeyLab
from turns import timed

RECEIPTS = 400
# In the database: whoever asks it again and again takes a processor.
UNTIL_SENT = """\
SET statement_timeout = '120s';
DO $$ BEGIN
	WHILE EXISTS (SELECT FROM counterfoil.outbox WHERE state <> 'sent') LOOP
		PERFORM pg_sleep(0.1);
	END LOOP;
END $$"""


def one_receipt(side, folder):
	"""The file of a receipt as it leaves the key server."""
	mta = sink.Sink()
	mta.start()
	try:
		side.release_keys(side.issue_keys(1))
		with side.build:
			side.keysrv.restart(outbox="on",
			    smtp_server=mta.address)
		content = mta.wait("alice@a.test")[0].content
	finally:
		mta.stop()
	path = os.path.join(folder, "receipt.eml")
	proc.write_file(path, content.replace(b"\r\n", b"\n"))
	return path


def receipts_turn(side):
	"""From the first that was sent to the last, by the database's clock."""
	with side.build:
		side.keysrv.restart(outbox="off")
		side.psql("TRUNCATE counterfoil.outbox")
		side.release_keys(side.issue_keys(RECEIPTS))
		side.settle()
		side.keysrv.restart(outbox="on")
	side.programs["keysrv"] = side.keysrv.pid

	def wait():
		side.psql(UNTIL_SENT)
		return Sample(RECEIPTS - 1, figures.number(side.psql("SELECT "
		    "extract(epoch FROM max(sent_at) - min(sent_at)) FROM "
		    "counterfoil.outbox"), "the time of the receipts"))
	return meters.measure(side.programs, wait)


def bench_receipts(run):
	lab = KeyLab(run, "receipts")
	relay = postfix.Postfix(os.path.join(lab.folder, "relay"), "k.test",
	    routes={"a.test": "discard:"})
	try:
		relay.start()
		path = one_receipt(lab.sides["ours"], lab.folder)
		for side in lab.sides.values():
			side.keysrv.options["smtp_server"] = relay.address()
			side.programs["smtp, queue"] = relay.process.pid

		def theirs():
			return Sample(RECEIPTS, timed(lambda: proc.run([
			    "smtp-source", "-d", "-s", "8", "-m",
			    str(RECEIPTS), "-f", "", "-t", "alice@a.test",
			    "-F", path, relay.address()])))
		work = {name: lambda s=side: receipts_turn(s)
		    for name, side in lab.sides.items()}
		samples = run.take_turns("receipts", {**work, "postfix":
		    lambda: meters.measure({"smtp, queue":
		    relay.process.pid}, theirs)}, run.few())
		run.report("receipts, %d waiting" % RECEIPTS, samples, {
		    "before": "receipts, to before",
		    "postfix": "receipts, to Postfix in 8 sessions"})
		run.figure("receipts a second", [rate(s)
		    for s in samples["ours"] if s])
	finally:
		relay.stop()
		lab.stop()
