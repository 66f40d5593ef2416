#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who may use the flag, what it may say, what happens to other mail."""

import os
import re
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig as lib  # noqa: E402
from rig import client, tap  # noqa: E402

OUTSIDE = "192.0.2.9"
rig = None


def start():
	global rig
	rig = lib.Rig(mode="both", networks=["127.0.0.0/8", "2001:db8::/32",
	    "10.1.2.0/23"], local_domains=["b.test", "Home.Test"],
	    entitled_daemons=["HOP"]).start()


def change(**options):
	"""Other options in the running milter; None: the default again."""
	since = rig.log_from()
	rig.write_config(**options)
	rig.process.send(signal.SIGHUP)
	rig.wait_log(since, "configuration reloaded")


def untouched(result, content):
	tap.equal((result.verdict, result.reply), ("accept", None), "verdict")
	tap.equal(result.edits, [], "edits")
	tap.equal(result.new_body, None, "new body")


# Of a mail server that wants an answer at the end of each header.
ANSWERED = client.STEPS & ~client.NR_EOH


@tap.case("mail without the flag is let through with a piece of its body")
def t_unflagged():
	for content in (lib.message(flag=None), b"\r\n", b"no header\r\n",
	    lib.message(b"Here: X-Return-Receipt: yes\r\n", flag=None),
	    lib.message(flag=b"X-Return-Recipient: yes"),
	    lib.message(b"x" * 300000, flag=b"X-Return-Rec: yes")):
		for steps in ANSWERED, client.STEPS:
			result = rig.send(content, client=OUTSIDE, steps=steps)
			untouched(result, content)
			tap.equal((result.stage, result.body_chunks),
			    ("body", 1) if result.body else ("eom", 0),
			    "where it ended, pieces of the body")
			result = rig.send(content, steps=steps)
			untouched(result, content)
			tap.true(result.body_chunks <= 2,
			    "%d pieces of the body" % result.body_chunks)
	tap.equal(rig.key_server.requests, [], "key requests")


@tap.case("what is refused for its header is, with and without an answer at "
    "its end, and the next one on the connection is judged anew")
def t_refused_for_header():
	two = lib.message(extra=[b"X-Return-Receipt: yes"])
	bodyless = two.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
	for steps in ANSWERED, client.STEPS:
		s = rig.session(steps=steps)
		tap.equal(bool(s.steps & client.NR_EOH), steps != ANSWERED,
		    "the end of the header goes without an answer")
		for content, stage in (two, "body"), (bodyless, "eom"):
			since = rig.log_from()
			result = s.send(content)
			lib.check_refused(result, "550 5.7.1", ["two"])
			tap.equal(result.stage, stage, "where it ended")
			rig.wait_log(since, " refused cause=two-flags ")
			plain = lib.message(flag=None)
			untouched(s.send(plain), plain)
			content = lib.message()
			lib.check_sealed(rig, s.send(content), content)
		# One that goes away in between leaves nothing to the next.
		result = client.Result()
		s.envelope("<alice@a.test>", ["<bob@b.test>"], result)
		s.header(client.split_message(two)[0], result)
		s.abort()
		content = lib.message()
		lib.check_sealed(rig, s.send(content), content)
		s.quit()


@tap.case("the flag is known in any case, with any blanks, folded")
def t_variants():
	for flag in (b"x-return-receipt:yes", b"X-RETURN-RECEIPT:   YES  ",
	    b"X-Return-Receipt :yes", b"X-Return-Receipt\t: Yes",
	    b"X-Return-Receipt:\r\n yes", b"X-Return-Receipt: yes\r\n\t"):
		content = lib.message(flag=flag)
		lib.check_sealed(rig, rig.send(content), content)


@tap.case("any other value is refused, and named")
def t_values():
	for value in (b"no", b"", b"yes please", b"require=account",
	    b"y", b"yes, yes", b"ye s", b"y" * 300, b"yes" * 40,
	    b"50% 100%s %n"):
		result = rig.send(lib.message(flag=b"X-Return-Receipt: " + value))
		lib.check_refused(result, "550 5.7.1", ["X-Return-Receipt"])
		tap.contains(result.text, value.decode().strip()[:60], "reply")
	result = rig.send(lib.message(flag="X-Return-Receipt: jä\x01".encode()))
	lib.check_refused(result, "550 5.7.1")


@tap.case("two flags are refused, whatever they say")
def t_two():
	for other in (b"yes", b"no"):
		lib.check_refused(rig.send(lib.message(
		    extra=[b"x-return-receipt: " + other])), "550 5.7.1",
		    ["two"])


@tap.case("more than one recipient: refused, and how to set it up")
def t_recipients():
	for n in (2, 3, 50, 200):
		lib.check_refused(rig.send(lib.message(), recipients=[
		    "<u%d@c.test>" % i for i in range(n)]), "550 5.7.1",
		    ["one recipient", "counterfoil-hop"])


REPORTS = [b"multipart/report;\r\n report-type=" + kind + b"; boundary=x"
    for kind in (b"delivery-status", b"disposition-notification",
    b"\"Delivery-Status\"", b"(c)\r\n delivery-status")] + [
    b"message/delivery-status", b"(c) Message/Disposition-Notification",
    b"message/global-delivery-status"]


@tap.case("null sender, delivery and disposition notifications: refused")
def t_automatic():
	lib.check_refused(rig.send(lib.message(), sender="<>"), "550 5.7.1",
	    ["without a sender"])
	for kind in REPORTS:
		lib.check_refused(rig.send(lib.message(extra=[
		    b"Content-Type: " + kind])), "550 5.7.1",
		    ["notification", "automatic = refuse"])


LIST_MAIL = ((b"List-Id: <x.b.test>", "List-Id"),
    (b"list-id:", "List-Id"), (b"Precedence: list", "Precedence: list"),
    (b"PRECEDENCE:(c)\r\n Bulk", "Precedence: bulk"),
    (b"Precedence: junk (really)", "Precedence: junk"))
NOT_LIST_MAIL = (b"Precedence: first-class", b"Precedence: bulky",
    b"Precedence:", b"List-Unsubscribe: <mailto:x@b.test>",
    b"X-List-Id: <x.b.test>", b"Auto-Submitted: no",
    b"Auto-Submitted: NO (a person)", b"Auto-Submitted:\r\n (a) no; x=y")
AUTOMATIC = (b"Auto-Submitted: auto-replied", b"auto-submitted: yes",
    b"Auto-Submitted: auto-generated; type=\"no\"", b"Auto-Submitted:",
    b"Auto-Submitted: none", b"Auto-Submitted: (no) auto-notified")


@tap.case("list mail with a flag: refused naming the rule, or sealed")
def t_lists():
	for field, name in LIST_MAIL:
		lib.check_refused(rig.send(lib.message(extra=[field])),
		    "550 5.7.1", [name, "lists = refuse"])
	for field in NOT_LIST_MAIL:
		content = lib.message(extra=[field])
		lib.check_sealed(rig, rig.send(content), content)
	for field in (LIST_MAIL[0][0], AUTOMATIC[0]):
		content = lib.message(flag=None, extra=[field])
		untouched(rig.send(content), content)
	change(lists="seal")
	for field, _ in LIST_MAIL:
		content = lib.message(extra=[field])
		lib.check_sealed(rig, rig.send(content), content)
	lib.check_refused(rig.send(lib.message(extra=AUTOMATIC[:1])),
	    "550 5.7.1", ["automatic = refuse"])
	change(lists=None)


@tap.case("a recipient that is known to be a list makes it list mail")
def t_list_addresses():
	change(list_addresses=["Staff@b.test", "@lists.b.test"])
	for recipient in ("<staff@B.test>", "<any@Lists.B.test>",
	    "<members@b.test> ORCPT=rfc822;staff@b.test",
	    "<members@b.test> NOTIFY=NEVER orcpt=RFC822;any@lists.b.test"):
		lib.check_refused(rig.send(lib.message(),
		    recipients=[recipient]), "550 5.7.1", ["lists = refuse"])
	for recipient in ("<staffs@b.test>", "<staff@x.b.test>",
	    "<any@x.lists.b.test>", "<lists.b.test@b.test>",
	    "<bob@b.test> ORCPT=rfc822;bob@b.test"):
		content = lib.message()
		lib.check_sealed(rig, rig.send(content,
		    recipients=[recipient]), content)
	change(list_addresses=["@lists.b.test"], lists="seal")
	content = lib.message()
	lib.check_sealed(rig, rig.send(content,
	    recipients=["<x@lists.b.test>"]), content)
	change(list_addresses=None, lists=None)


@tap.case("automatic mail with a flag: refused naming the rule, or sealed")
def t_auto_submitted():
	for field in AUTOMATIC:
		lib.check_refused(rig.send(lib.message(extra=[field])),
		    "550 5.7.1", ["Auto-Submitted", "automatic = refuse"])
	lib.check_refused(rig.send(lib.message(extra=[b"Auto-Submitted: x",
	    b"Auto-Submitted: no"])), "550 5.7.1", ["automatic"])
	change(automatic="seal")
	for field in AUTOMATIC:
		content = lib.message(extra=[field])
		lib.check_sealed(rig, rig.send(content), content)
	lib.check_refused(rig.send(lib.message(extra=[b"List-Id: <x>"])),
	    "550 5.7.1", ["lists = refuse"])
	change(lists="seal")
	for kind in REPORTS:
		content = lib.message(extra=[b"Content-Type: " + kind])
		lib.check_sealed(rig, rig.send(content), content)
		# No rule opens this.
		lib.check_refused(rig.send(content, sender="<>"),
		    "550 5.7.1", ["without a sender"])
	change(automatic=None, lists=None)


@tap.case("a field whose end Postfix may have cut off is not sealed")
def t_long_field():
	for value in (b"a" * 58000, b"\r\n ".join([b"b" * 900] * 64),
	    b"\r\n ".join([b"c" * 5000] * 9), b"a" * 40000):
		content = lib.message(extra=[b"X-Long: " + value])
		lib.check_sealed(rig, rig.send(content), content)
		content = lib.message(extra=[b"X-Long: " + value
		    + b"\r\n " + value[:len(value) // 2]])
		lib.check_refused(rig.send(content), "552 5.3.4", ["longer"])
		content = lib.message(flag=None, extra=[b"X-Long: " + value * 2])
		untouched(rig.send(content), content)


@tap.case("from outside: refused if it would be relayed, else stripped")
def t_outside():
	for value in (b"yes", b"no", b""):
		content = lib.message(flag=b"X-Return-Receipt: " + value)
		lib.check_refused(rig.send(content, recipients=["<x@c.test>"],
		    client=OUTSIDE), "550 5.7.1")
		lib.check_refused(rig.send(content, recipients=["<bob@b.test>",
		    "<x@c.test>"], client=OUTSIDE), "550 5.7.1")
		result = rig.send(content, client=OUTSIDE)
		tap.equal(result.verdict, "accept", "verdict")
		tap.equal(result.message, lib.expected(content),
		    "all but the flag")
		tap.equal(result.new_body, None, "new body")
		tap.true(result.body_chunks <= 1, "the body is skipped")


@tap.case("several flags from outside are all stripped, in whatever place")
def t_strip_all():
	content = lib.message(extra=[b"X-Return-Receipt: a", b"X-Other: 1",
	    b"x-RETURN-receipt : b", b"X-Return-Receipt:"])
	for leadspc in (True, False):
		result = rig.send(content, client=OUTSIDE, leadspc=leadspc,
		    recipients=["<a@b.test>", "<c@HOME.test>", "<postmaster>"])
		tap.equal(result.message, lib.expected(content),
		    "all but the flags")


@tap.case("entitled: listed networks, authentication, a named daemon")
def t_entitled():
	content = lib.message()
	for ip in ("127.3.4.5", "2001:db8::5", "10.1.3.255",
	    "::ffff:127.0.0.1"):
		lib.check_sealed(rig, rig.send(content, client=ip), content)
	for macros in ({"{auth_authen}": "alice"}, {"{daemon_name}": "HOP"}):
		lib.check_sealed(rig, rig.send(content, client=OUTSIDE,
		    macros=macros), content)
	for ip, macros in (("10.1.4.0", {}), ("2001:db9::5", {}),
	    (OUTSIDE, {"{auth_authen}": ""}), (OUTSIDE, {"{daemon_name}": "H"})):
		lib.check_refused(rig.send(content, client=ip, macros=macros,
		    recipients=["<x@c.test>"]), "550 5.7.1")


@tap.case("sender_is_login: the flag is for who authenticated as the sender")
def t_login():
	content = lib.message()

	def send(login, sender, what=content, **kw):
		return rig.send(what, "<%s>" % sender, client=OUTSIDE,
		    macros={"{auth_authen}": login}, **kw)
	lib.check_sealed(rig, send("eve", "alice@a.test"), content)
	change(sender_is_login=True, triggers=["subject-tag"])
	for login, sender in (("alice@a.test", "alice@a.test"),
	    ("ALICE@A.test", "alice@a.TEST"), ("bob", "bob@b.test"),
	    ("bob", "Bob@HOME.test"), ("bob@b.test", "bob@b.test")):
		lib.check_sealed(rig, send(login, sender), content)
	for login, sender in (("eve@a.test", "alice@a.test"),
	    ("alice", "alice@a.test"), ("bo", "bob@b.test"),
	    ("bob", "bob@b.test.a.test"), ("bob@", "bob@b.test"),
	    ("b.test", "bob@b.test"), ("bob@a.test", "bob@b.test")):
		since = rig.log_from()
		lib.check_refused(send(login, sender), "550 5.7.1", ["<%s>"
		    % sender, "in the name of somebody else"])
		rig.wait_log(since, ": refused cause=sender-login ")
		plain = lib.message(flag=None)
		untouched(send(login, sender, plain), plain)
		since = rig.log_from()
		tagged = plain.replace(b"Subject: ", b"Subject: [receipt] ")
		untouched(send(login, sender, tagged), tagged)
		rig.wait_log(since, ": passed cause=sender-login ")
	# Also within networks, who authenticated is held to it.
	lib.check_refused(rig.send(content, "<alice@a.test>",
	    macros={"{auth_authen}": "eve@a.test"}), "550 5.7.1",
	    ["in the name of somebody else"])
	# Of clients that did not authenticate, there is nothing to compare.
	lib.check_sealed(rig, rig.send(content, "<alice@a.test>"), content)
	change(sender_is_login=None, triggers=None)


@tap.case("an entitled flag to a local recipient is sealed, not stripped")
def t_local():
	content = lib.message()
	lib.check_sealed(rig, rig.send(content, recipients=["<b@b.test>"]),
	    content)


@tap.case("a sealed message passes the second time, a marker alone does not help")
def t_again():
	content = lib.message()
	once = rig.send(content, recipients=["<x@c.test>"])
	again = rig.send(once.message, recipients=["<x@c.test>"])
	untouched(again, once.message)
	tap.equal((again.stage, again.body_chunks), ("body", 1),
	    "where it ended")
	forged = lib.message(extra=[b"Counterfoil-Version: 1",
	    b"Content-Type: multipart/mixed; boundary=\"=_cf_x\""])
	lib.check_sealed(rig, rig.send(forged), forged)


@tap.case("a header over the limits is refused with the flag, passed without")
def t_header_limits():
	many = [b"X-N: %d" % i for i in range(5001)]
	large = [b"X-L: " + b"x" * 60000] * 20
	for extra in (many, large):
		# The flag comes behind what is too much.
		content = lib.message(flag=None, extra=extra
		    + [b"X-Return-Receipt: yes"])
		lib.check_refused(rig.send(content), "552 5.3.4", ["header"])
		result = rig.send(content, client=OUTSIDE)
		tap.equal(result.message, lib.expected(content), "stripped")
		content = lib.message(flag=None, extra=extra)
		untouched(rig.send(content), content)


@tap.case("what would be too large when sealed is refused, with the limit")
def t_size():
	rig.key_server.reset()
	small = lib.Rig(message_size_limit=200000).start()
	try:
		result = small.send(lib.message(b"x" * 180000))
		lib.check_refused(result, "552 5.3.4", ["at most about"])
		tap.equal(small.key_server.requests, [], "key requests")
		most = int(re.search(r"about (\d+) bytes", result.text).group(1))
		tap.true(100000 < most < 146000, "the size it names: %d" % most)
		content = lib.message(b"x" * most)
		got = small.send(content)
		lib.check_sealed(small, got, content)
		tap.true(len(got.message) < 200000, "size of what goes out")
		before = small.blobs()
		# Small enough to ask for a key, too large with its notice.
		for n in range(most, 146000, 1500):
			one = small.send(lib.message(b"x" * n))
			if one.verdict == "accept":
				tap.true(len(one.message) < 200000, "size")
				before = small.blobs()
				continue
			lib.check_refused(one, "552 5.3.4")
			tap.equal(small.blobs(), before, "the store")
	finally:
		small.close()


@tap.case("a mail server without the actions we need is put off, all of it")
def t_actions():
	for missing in (client.ADDHDRS, client.CHGHDRS, client.CHGBODY):
		since = rig.log_from()
		for content in (lib.message(), lib.message(flag=None)):
			result = rig.send(content,
			    actions=client.ACTIONS & ~missing)
			lib.check_refused(result, "451 4.3.5")
		tap.contains(since(), "does not let us", "log")


@tap.case("a mail server that wants every answer gets one for each step")
def t_every_answer():
	steps = client.LEADSPC
	content = lib.message()
	lib.check_sealed(rig, rig.send(content, steps=steps), content)
	content = lib.message(flag=None)
	untouched(rig.send(content, steps=steps), content)
	content = lib.message(b"x" * 200000)
	result = rig.send(content, steps=steps, client=OUTSIDE)
	tap.equal(result.message, lib.expected(content), "stripped, no skip")


@tap.case("commands out of order and junk get no leave to go on")
def t_order():
	for commands in ((b"N",), (b"E",), (b"B",), (b"R",), (b"T", b"E")):
		s = rig.session()
		for command in commands:
			s.put(command, b"x\0")
		s.put(b"Q")
		try:
			while True:
				answer = s.get()[0]
				tap.true(answer in b"rt",
				    "answer %r to %r" % (answer, commands))
		except client.Broken:
			pass
		s.close()
	for junk in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x01?",
	    b"\0\0\0\x02Ox", b"GET / HTTP/1.0\r\n\r\n"):
		s = rig.session()
		s.sock.sendall(junk)
		s.close()
	content = lib.message()
	lib.check_sealed(rig, rig.send(content), content)


tap.main(setup=start, teardown=lambda: rig and rig.close())
