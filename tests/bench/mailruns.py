# SPDX-License-Identifier: Apache-2.0
"""What is measured of mail through Postfix and the milters."""

import meters
from lab import mail, proc
from maillab import empty_store, mail_lab, stored
from turns import note

# The sizes that are large, with sessions, messages a turn, and turns.
LARGE = ((1000000, 8, 16), (25000000, 4, 8))


def megabytes(size):
	return "%d MB" % (size // 1000000)


def bench_flagged(run):
	lab = mail_lab(run)
	lab.compare("flagged 10 kB", True, {
	    "before": "flagged 10 kB, to before",
	    "dkim": "flagged 10 kB, to OpenDKIM"})
	lab.compare("flagged 10 kB, sessions kept", True, {
	    "dkim": "flagged 10 kB, sessions kept, to OpenDKIM"}, keep=True)


def bench_unflagged(run):
	lab = mail_lab(run)
	for words, keep in (("", False), (", sessions kept", True)):
		lab.compare("unflagged 10 kB" + words, False, {
		    "before": "unflagged%s, to before" % words,
		    "null": "unflagged%s, to null" % words}, keep=keep)


def bench_headers(run):
	"""A milter that must look at the header cannot ask for less."""
	lab = mail_lab(run)
	for words, keep in (("", False), (", sessions kept", True)):
		lab.compare("unflagged 10 kB, against one taking the header"
		    + words, False, {"headers": "unflagged%s, to headers"
		    % words}, keep=keep)


def bench_large(run):
	"""body: the floor of who streams; replace: holds it and replaces it."""
	lab = mail_lab(run)
	for size, sessions, least in LARGE:
		name = "flagged " + megabytes(size)
		lab.compare("%s, -s %d" % (name, sessions), True, {
		    port: "%s, to %s" % (name, port)
		    for port in ("before", "replace", "body")}, size, sessions,
		    least, take=run.few() if size > 1000000 else None)


def bench_inbound(run):
	"""Sealed mail, each message another one and seen for the first time."""
	lab = mail_lab(run)
	for size, sessions, count in ((10000, 8, 100), *LARGE):
		what = "inbound " + (megabytes(size) if size >= 1000000
		    else "10 kB")
		files = lab.sealed(size, count)
		ports = {"ours": "ours-in", "before": "before-in",
		    "same": "same"}
		work = {side: lambda p=port: inbound_turn(lab, p, files,
		    sessions) for side, port in ports.items()
		    if port in lab.relay.ports}
		note("%s: %d messages a turn" % (what, len(files)))
		samples = run.take_turns(what, work, run.few()
		    if size > 1000000 else None)
		run.report("%s, %d at a time" % (what, sessions), samples, {
		    "before": what + ", to before",
		    "same": what + ", to a milter that replaces"})


def inbound_turn(lab, port, files, sessions):
	gateway = lab.gateways.get(port.removesuffix("-in"))
	if gateway:
		empty_store(gateway.inbound.store)
	sample = lab.measure(port, lambda: lab.send_files(port, files,
	    sessions))
	if gateway and stored(gateway.inbound.store) != len(files):
		raise proc.LabError("%s did not store each message" % port)
	return sample


def bench_memory(run):
	"""The milters' peaks with eight messages of 25 MB under way."""
	lab = mail_lab(run)
	size, count = 25000000, 8
	files = lab.sealed(size, count)
	for name, gateway in lab.gateways.items():
		behind = "" if name == "ours" else ", before"
		ways = (("outbound", gateway.milter, lambda: lab.send(name,
		    lab.file(True, size), count, count)),
		    ("inbound", gateway.inbound, lambda: lab.send_files(
		    name + "-in", files, count)))
		for way, milter, work in ways:
			empty_store(milter.store)
			mail.wait_until_idle(lab.relay, 120)
			# Anew: what a peak has left behind counts as well.
			with gateway.build:
				milter.restart()
			meters.forget_peak(milter.pid)
			work()
			run.figure("milter, 8 x 25 MB %s, MB%s" % (way,
			    behind), [meters.peak_mb(milter.pid)])
