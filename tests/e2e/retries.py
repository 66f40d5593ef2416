#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Lines cut on the way of one mail: it is tried again, every copy that was
delivered opens, and its sender sees one line per recipient.
"""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))

from lab import mail, postfix, proc, proxy, sample, tap, world  # noqa: E402

w = None
milter_wire = hop_wire = next_wire = None


def start():
	global w, milter_wire, hop_wire, next_wire
	w = world.World(say=tap.note)
	w.start()
	path = os.path.join(w.a_milter.run, "wire.sock")
	milter_wire = proxy.MilterWire(path, w.a_milter.socket).start()
	hop_wire = proxy.SmtpWire(proc.free_port(), w.a.hop_port).start()
	next_wire = proxy.SmtpWire(proc.free_port(), w.b.port).start()
	# The front speaks to the hop, the hop to the milter, and both to b
	# through something that can be cut.
	w.a.routes["b.test"] = next_wire.where
	w.a.files["counterfoil_header_checks"] = postfix.fragment(
	    "counterfoil_header_checks", hop_wire.where)
	w.a.hop_milter = "unix:" + path
	# After a reload, processes of before would go on for a while.
	w.a.restart()


def stop():
	for wire in (milter_wire, hop_wire, next_wire):
		if wire:
			wire.stop()
	if w:
		w.stop()


def copies(user, mark):
	"""Files of the mail with that mark, oldest first."""
	return mail.marked(w.b, user, mark)


def opened(path):
	out = w.path("opened-" + os.path.basename(path))
	proc.run([proc.program("counterfoil"), "-c", w.agent_config(), "open",
	    path, "-o", out])
	content = mail.read(out)
	os.unlink(out)
	return content


def lines(mark):
	"""What `counterfoil status` says of the mail: rows."""
	done = proc.run([proc.program("counterfoil"), "-c",
	    w.sender_config(), "status", "--limit", "200", "--json"])
	rows = [m for m in json.loads(done.stdout)
	    if m["message_id"] == "<%s@a.test>" % mark]
	table = proc.run([proc.program("counterfoil"), "-c",
	    w.sender_config(), "status", "--limit", "200"]).stdout.decode()
	tap.equal(table.count("<%s@a.test>" % mark), len(rows), "the table")
	return rows


def keys(mark):
	return int(w.keysrv.psql("SELECT count(*) FROM counterfoil.key_issue "
	    "WHERE message_id = '<%s@a.test>'" % mark, options=("-qAt",)))


def sends(mark, recipients=("bob",), count=1, limit_s=180):
	"""Send; gives the copies, `count` of them, once the queue is empty."""
	code, text = mail.send(w.a.port, "alice@a.test",
	    ["%s@b.test" % r for r in recipients], sample.simple(mark))
	tap.equal(code, 250, "reply of the front %r" % text)

	def there():
		w.a.flush()
		return sum(len(copies(r, mark)) for r in recipients) >= count \
		    and not w.a.queue() and not w.b.queue()
	proc.wait_for(there, limit_s, "%d copies of %s (queue: %s)" % (count,
	    mark, w.a.queue_text()))
	found = {r: copies(r, mark) for r in recipients}
	tap.equal(sum(len(f) for f in found.values()), count, "copies")
	for paths in found.values():
		for path in paths:
			tap.lacks(mail.read(path), b"Hello.", "a copy")
	return found


def all_open(found, mark, status="issued"):
	"""Every copy opens to the same, and each recipient has one line."""
	rows = lines(mark)
	tap.equal(sorted((r["recipient"], r["status"]) for r in rows),
	    sorted(("%s@b.test" % r, "issued") for r in found),
	    "lines before")
	texts = set()
	for paths in found.values():
		tap.true(paths, "a copy for everybody")
		for path in paths:
			texts.add(opened(path).split(b"\r\n\r\n", 1)[1])
	tap.equal(len(texts), 1, "texts")
	tap.contains(texts.pop(), b"Hello.\r\n" + mark.encode(), "the text")
	rows = lines(mark)
	tap.equal(sorted((r["recipient"], r["status"]) for r in rows),
	    sorted(("%s@b.test" % r, "opened") for r in found),
	    "lines afterwards")


@tap.case("with nothing cut, one copy and one key")
def t_none():
	found = sends("plain")
	tap.equal(keys("plain"), 1, "keys")
	all_open(found, "plain")


def t_milter(fault):
	mark = "milter-" + fault
	milter_wire.met = 0
	milter_wire.cut(fault, times=2)
	found = sends(mark)
	tap.equal(milter_wire.met, 2, "cuts")
	tap.equal(keys(mark), 3, "keys, one an attempt")
	all_open(found, mark)


for _fault, _what in (("first", "before the milter says a word, key issued"),
    ("middle", "within the new body"),
    ("last", "before the milter's verdict, body handed over")):
	tap.case("cut between Postfix and the milter: " + _what)(
	    lambda fault=_fault: t_milter(fault))


@tap.case("the hop's 250 lost: two copies with a key each, both open, one line")
def t_hop_reply():
	hop_wire.met = 0
	hop_wire.cut("reply")
	found = sends("hop-reply", count=2)
	tap.equal(hop_wire.met, 1, "cuts")
	tap.equal(keys("hop-reply"), 2, "keys")
	handles = {sample.handle(sample.link(mail.read(p)))
	    for p in found["bob"]}
	tap.equal(len(handles), 2, "handles")
	all_open(found, "hop-reply")


@tap.case("the copies of it the other way round: the newer one is opened first")
def t_hop_reply_newer():
	hop_wire.cut("reply")
	found = sends("hop-newer", count=2)
	found["bob"].reverse()
	all_open(found, "hop-newer")


@tap.case("the hop cut before the end of the message: one copy")
def t_hop_end():
	hop_wire.met = 0
	hop_wire.cut("end")
	found = sends("hop-end")
	tap.equal((hop_wire.met, keys("hop-end")), (1, 1), "cuts and keys")
	all_open(found, "hop-end")


@tap.case("the next hop's 250 lost: two copies of one key, both open, one line")
def t_next_reply():
	next_wire.met = 0
	next_wire.cut("reply")
	found = sends("next-reply", count=2)
	tap.equal((next_wire.met, keys("next-reply")), (1, 1),
	    "cuts and keys")
	all_open(found, "next-reply")


@tap.case("the next hop cut before the end, twice: one copy, one key")
def t_next_end():
	next_wire.met = 0
	next_wire.cut("end", times=2)
	found = sends("next-end")
	tap.equal((next_wire.met, keys("next-end")), (2, 1), "cuts and keys")
	all_open(found, "next-end")


@tap.case("three recipients, some of them cut: a line for each of them")
def t_three():
	milter_wire.cut("last")
	found = sends("three-milter", ("bob", "carol", "dave"), count=3)
	tap.equal(keys("three-milter"), 4, "keys")
	all_open(found, "three-milter")
	hop_wire.cut("reply")
	found = sends("three-hop", ("bob", "carol", "dave"), count=4)
	tap.equal(keys("three-hop"), 4, "keys")
	all_open(found, "three-hop")


@tap.case("the milter killed at the end of a message: it comes again, and "
    "goes sealed")
def t_killed():
	milter_wire.cut("last")
	code, _ = mail.send(w.a.port, "alice@a.test", "bob@b.test",
	    sample.simple("killed"))
	tap.equal(code, 250, "reply")
	w.a_milter.kill()
	w.a_milter.start()
	proc.wait_for(lambda: w.a.flush() or copies("bob", "killed"), 180,
	    "the mail")
	mail.wait_until_idle(w.a)
	all_open({"bob": copies("bob", "killed")}, "killed")


@tap.case("one notice to the sender for each mail and recipient")
def t_receipts():
	for mark, recipients, make in (("hop-reply", 1, t_hop_reply),
	    ("three-hop", 3, t_three)):
		if not copies("bob", mark):
			make()
		rows = w.keysrv.psql("SELECT count(*) FROM "
		    "counterfoil.message_once o JOIN counterfoil.key_issue i "
		    "ON i.key_id = o.key_id WHERE i.message_id = "
		    "'<%s@a.test>'" % mark, options=("-qAt",))
		tap.equal(int(rows), recipients, "first openings of " + mark)


tap.main(setup=start, teardown=stop)
