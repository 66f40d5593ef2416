#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 at every step of the outbox: no receipt lost, and none doubled but
that which a sender had just given away, with the same Message-ID.

Needs a build with --enable-fault-points.
"""

import collections
import glob
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "keysrv"))

import outboxlab as lab  # noqa: E402
from outboxlab import proc, tap  # noqa: E402

# Less than a lease holds is one sender's work, and what is sent twice is
# known; with more than two leases hold all of them work, and each may have a
# mail that it has sent and not yet marked.
FEW, MANY = 7, 20
PASSES = ((FEW, 1), (FEW, 2), (FEW, 5), (MANY, 3), (MANY, 8))
LEASES = ((FEW, 1), (MANY, 2), (MANY, 3))
world = lab.World()


def source():
	return "".join(proc.read_text(path) for path in glob.glob(os.path.join(
	    proc.repository(), "keysrv", "receipt", "outbox*.[ch]")))


def points():
	"""The names in the source: a new one is in the test by itself."""
	return re.findall(r'cf_fault\("([^"]+)"\)', source())


def message_ids():
	return collections.Counter(lab.parse(m.content)["Message-ID"]
	    for m in world.sink.mails)


def senders():
	return int(re.search(r"#define CF_OUTBOX_SENDERS (\d+)", source()).group(1))


def kill_at(point, rows, n):
	"""Dies at the n-th pass; a second run finishes.  Gives the doubles."""
	world.sink.mails.clear()
	keys = [world.release("%s-%d-%d@a.test" % (point, n, i))
	    for i in range(rows)]
	if point == "outbox.failed":
		for _, sender in keys:
			world.sink.next[sender] = ["rcpt 450 4.2.1 later"]
	victim = world.outbox({"CF_FAULT": "%s:%d" % (point, n)}, ready=False)
	tap.equal(victim.wait(), -signal.SIGKILL, "end at " + point)
	before = message_ids()
	# They run out by themselves; once is enough to wait for.
	world.sql("UPDATE counterfoil.outbox SET lease_until = now() +"
	    " interval '%d s' WHERE lease_until IS NOT NULL" % (n == 1))
	heir = world.outbox()
	proc.wait_for(lambda: world.sql("SELECT count(*) FROM"
	    " counterfoil.outbox WHERE state <> 'sent'") == "0", 120,
	    "all receipts sent")
	tap.equal(heir.stop(), 0, "exit status")
	tap.equal({m.recipient for m in world.sink.mails},
	    {sender for _, sender in keys}, "recipients")
	after = message_ids()
	tap.equal(len(after), rows, "different Message-IDs")
	tap.true(set(before) <= set(after), "the same ones after the kill")
	tap.true(max(after.values()) <= 2, "no mail three times")
	return sum(after.values()) - rows


def case(point, doubles):
	@world.case("killed at %s: every receipt arrives, %s" % (point,
	    "one twice with one Message-ID" if doubles else "none twice"))
	def t_point():
		for rows, n in PASSES if point != "outbox.leased" else LEASES:
			got = kill_at(point, rows, n)
			others = 0 if rows == FEW else senders() - 1
			tap.true(doubles <= got <= doubles + others,
			    "%d doubles, pass %d of %d rows" % (got, n, rows))


@world.case("the fault points are those this test knows")
def t_points():
	tap.equal(sorted(points()), sorted(DOUBLES), "fault points")


DOUBLES = {
	"outbox.leased": 0,
	"outbox.built": 0,
	"outbox.failed": 0,
	"outbox.sent": 1,	# sent, not yet marked
	"outbox.marked": 0,
}
for name, count in DOUBLES.items():
	case(name, count)

if __name__ == "__main__":
	tap.main(world.start, world.end)
