#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the flag may ask for, what the site wants without it, and the Subject
outside.  Who may use it stands in policy.py.
"""

import json
import os
import re
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import client  # noqa: E402
import rig as lib  # noqa: E402
from lab import sample  # noqa: E402
from rig import proc, tap  # noqa: E402

OUTSIDE = "192.0.2.9"
DNT = b"Disposition-Notification-To: alice@a.test"
RRT = b"Return-Receipt-To: alice@a.test"
ALL = ["disposition-notification-to", "return-receipt-to", "subject-tag"]
DAY = 86400
rig = None


def start():
	global rig
	rig = lib.Rig(mode="both", networks=["127.0.0.0/8"]).start()


def change(**options):
	"""Other options in the running milter; None: the default again."""
	since = rig.log_from()
	rig.write_config(**options)
	rig.process.send(signal.SIGHUP)
	rig.wait_log(since, "configuration reloaded")


def rules(text):
	path = os.path.join(rig.folder, "policy")
	proc.write_file(path, text)
	change(policy_file=path)


def asked():
	"""The policy in the last key request."""
	return json.loads(rig.key_server.requests[-1])["keys"][0]["policy"]


def flagged(value):
	return lib.message(flag=b"X-Return-Receipt: " + value)


def subject(value, flag=None, extra=()):
	return lib.message(flag=flag, extra=extra).replace(
	    b"Subject: A word with you", b"Subject: " + value)


def passed(result, content):
	tap.equal((result.verdict, result.edits, result.new_body),
	    ("accept", [], None), "left alone")
	tap.equal(result.message, content, "the message")


def sealed(content, cause, **kw):
	"""Send it; it is sealed for this cause.  Gives result and Sealed."""
	since = rig.log_from()
	result = rig.send(content, **kw)
	got = lib.check_sealed(rig, result, content)
	rig.wait_log(since, ": sealed ")
	tap.contains(since(), "cause=%s " % cause, "log")
	return result, got


def outer(got):
	"""What M says that its header was outside: {name: [value]}."""
	found = {}
	for line in lib.strip(got.open(rig.key_server.kd()))[1]:
		name, _, value = line[len(b"HP-Outer: "):].partition(b":")
		found.setdefault(name.lower(), []).append(
		    re.sub(rb"\r\n", b"", value).strip())
	return found


def check_subject(result, got, want):
	"""The Subjects outside, and M's words about them."""
	tap.equal([re.sub(rb"\r\n", b"", v) for v in result.values("Subject")],
	    want, "Subject outside")
	tap.equal(outer(got).get(b"subject", []), want, "HP-Outer")


# ---- the options of the flag ----

@tap.case("options of the flag: in any case, with blanks and folds, reach "
    "the key server")
def t_options():
	for value, want in (
	    (b"yes", {}), (b"require=bearer", {}), (b"layers=none", {}),
	    (b"expires=7d", {"expires_in": 7 * DAY}),
	    (b"Expires = 36H ; REQUIRE=Bearer", {"expires_in": 36 * 3600}),
	    (b"\r\n\trequire=bearer;\r\n expires=2w;\r\n layers=none",
	        {"expires_in": 14 * DAY}),
	    (b"yes; expires=7d", {"expires_in": 7 * DAY}),
	    (b"YES ;\r\n require=bearer", {}),
	    (b"expires=never", {})):
		content = flagged(value)
		sealed(content, "flag")
		tap.equal(asked(), dict({"require": "bearer"}, **want),
		    "policy for %r" % value)


@tap.case("what is not known or not of the grammar is refused, and named")
def t_malformed():
	for value, word in ((b"yes;", "an option should stand"),
	    (b"expires=7d;", "leave the field out"),
	    (b"no", "write yes,"), (b"", "write yes,"), (b"expires=soon", "expires=soon"),
	    (b"colour=red", "option colour"), (b"receipt=always", "receipt"),
	    (b"expires=7d; expires=8d", "twice"),
	    (b"expires=7d (a week)", "(a week)"),
	    (b'expires="7d"', '"7d"'), (b"require=friend", "require=friend"),
	    (b"layers=paint", "layers=paint"),
	    (b"x" * 1500, "longer than 1000"),
	    ("expires=7ä".encode(), "expires")):
		lib.check_refused(rig.send(flagged(value)), "550 5.7.1",
		    ["X-Return-Receipt:", word])
	lib.check_refused(rig.send(lib.message(flag=b"X-Return-Receipt: "
	    b"expires=7d", extra=[b"X-Return-Receipt: expires=7d"])),
	    "550 5.7.1", ["two"])


@tap.case("what cannot be had yet is refused, named, and said so")
def t_not_yet():
	for value, word in ((b"require=mailbox", "require=mailbox"),
	    (b"require=account; expires=7d", "require=account"),
	    (b"require=certificate", "require=certificate"),
	    (b"expires=7d; layers=sign,timestamp", "layers=sign"),
	    (b"not-before=7d", "not-before"), (b"count=3", "count")):
		lib.check_refused(rig.send(flagged(value)), "550 5.7.1",
		    [word, "cannot be had yet"])


@tap.case("an address that no key server registers is refused at once, and "
    "named")
def t_addresses():
	long = "a" * 314 + "@b.test"		# one byte too long
	for kw, code, word in (
	    ({"recipients": ["<%s>" % long]}, "550 5.1.3", "<aaa"),
	    ({"recipients": ["<%s@b.test>" % ("c" * 1500)]}, "550 5.1.3",
	        "ccc...>"),
	    ({"recipients": ["<\"a\tb\"@b.test>"]}, "550 5.1.3", '"a?b"@'),
	    ({"recipients": ["<\udcff@b.test>"]}, "550 5.1.3", "<?@b.test>"),
	    ({"recipients": ["<%s@b.test>" % ("é" * 160)]}, "550 5.1.3",
	        "320 bytes"),
	    ({"sender": "<%s>" % long[66:]}, "550 5.1.7", "<aaa"),
	    ({"sender": "<\"al ice\"@a.test>"}, "550 5.1.7", '"al ice"@')):
		before = len(rig.key_server.requests)
		lib.check_refused(rig.send(lib.message(), **kw), code, [word])
		tap.equal(len(rig.key_server.requests), before,
		    "key requests for %s" % kw)
	for kw in ({"recipients": ["<%s>" % long[1:]]},
	    {"recipients": ["<%s@b.test>" % ("é" * 156 + "a")]},
	    {"sender": "<%s>" % long[67:]}):
		sealed(lib.message(), "flag", **kw)


@tap.case("what the key server does not offer is refused, and named")
def t_not_offered():
	rig.key_server.script = ["422"]
	result = rig.send(flagged(b"expires=7d"))
	lib.check_refused(result, "550 5.7.1", ["expires=168h",
	    "does not offer"])
	tap.lacks(result.text, "fake", "words of the server")


@tap.case("an outsider's options are stripped, whatever they say")
def t_outsider():
	for value in (b"expires=7d", b"colour=red"):
		content = flagged(value)
		change(local_domains=["b.test"])
		result = rig.send(content, client=OUTSIDE)
		tap.equal(result.message, lib.expected(content), "stripped")
	change(local_domains=None)


# ---- a flag that is none ----

def as_shown(lines):
	"""With these lines in its header, as mail servers show it.

	tests/e2e/ways.py and sendmail.py send the same through real ones.
	"""
	content = lib.message(flag=lines[:-2])
	cut = len(content)
	for at in [0] + [m.end() for m in re.finditer(b"\r\n", content)]:
		line = content[at:].partition(b"\r\n")[0]
		if line[:1] not in (b" ", b"\t") and not re.match(
		    rb"[!-9;-~]+[ \t]*:", line):
			cut = at
			break
	fields, _ = client.split_message(content[:cut] + b"\r\n")
	return fields, content[cut + 2 if content[cut:cut + 2] == b"\r\n"
	    else cut:]


@tap.case("a flag that the mail server takes for no field is refused, with "
    "one line in the log")
def t_near():
	before = len(rig.key_server.requests)
	for lines, cause in sample.NEAR_FLAGS:
		since = rig.log_from()
		result = rig.send(as_shown(lines))
		lib.check_refused(result, "550 5.7.1", ["looks like "
		    "X-Return-Receipt", '"X-Return-Receipt: yes" in its header'])
		rig.wait_log(since, " cause=%s " % cause)
		tap.equal(since().count(" cause="), 1, "lines of the log")
		# Nobody refuses an outsider's.
		content = as_shown(lines)
		result = rig.send(content, client=OUTSIDE)
		tap.equal((result.verdict, result.stage, result.edits),
		    ("accept", "body", []), "from outside: %r" % lines)
	tap.equal(len(rig.key_server.requests), before, "key requests")


@tap.case("a flag behind the header is found wherever the body is cut, and "
    "past a large piece")
def t_near_pieces():
	header, body = as_shown(b"no field\r\nX-Return-Receipt: yes\r\n")
	usual = client.CHUNK
	try:
		for client.CHUNK in (1, 2, 7, 31):
			result = rig.send((header, body))
			lib.check_refused(result, "550 5.7.1")
			tap.equal(result.stage, "body", "where it ended")
	finally:
		client.CHUNK = usual
	run = b"".join(b"X-N-%d: %s\r\n" % (i, b"x" * 2000) for i in range(99))
	for end in (b"\r\nHello\r\n", b"\r\n", b""):
		result = rig.send((header, run + b"X-Return-Receipt: yes\r\n"
		    + end))
		lib.check_refused(result, "550 5.7.1")
	result = rig.send((header, run))
	tap.equal((result.verdict, result.stage), ("accept", "eom"), "without")


@tap.case("a text about the flag is nobody's flag")
def t_near_text():
	for text in sample.FLAG_TEXTS:
		content = lib.message(text, flag=None)
		passed(rig.send(content), content)
	for kind in (b"message/rfc822", b"text/rfc822-headers", b"multipart/"
	    b"report; report-type=delivery-status; boundary=b"):
		content = lib.message(b"X-Return-Receipt: yes\r\n\r\n", flag=None,
		    extra=[b"Content-Type: " + kind])
		passed(rig.send(content), content)
	content = lib.message(b"X-Return-Receipt: yes\r\n", flag=None)
	passed(rig.send(content, sender="<>"), content)
	lib.check_refused(rig.send(content), "550 5.7.1")


@tap.case("what is sealed all the same is not refused; what is left in clear "
    "is")
def t_near_triggered():
	near = lib.message(b"X-Return-Receipt: yes\r\n",
	    flag=b"X_Return_Receipt: yes")
	sealed(near.replace(b"X_Return_R", b"X-Return-R"), "flag")
	change(triggers=ALL)
	sealed(near.replace(b"Subject: ", b"Subject: [receipt] "),
	    "subject-tag")
	lib.check_refused(rig.send(near.replace(b"Subject: ",
	    b"List-Id: <x>\r\nSubject: [receipt] ")), "550 5.7.1",
	    ['"X_Return_Receipt"'])
	change(triggers=None)


# ---- defaults ----

@tap.case("options inherit: site, from and to a domain, to and from an "
    "address, the message")
def t_inherit():
	def expires(value, sender, recipient):
		lib.check_sealed(rig, rig.send(flagged(value), sender,
		    [recipient]), flagged(value))
		return asked().get("expires_in", 0) // DAY

	change(default_options="expires=1d")
	rules("from @c.test expires=2d\nfrom @a.test layers=none\n"
	    "to @b.test expires=3d\nto bob@b.test expires=4d\n"
	    "from carol@c.test expires=5d\nto eve@b.test expires=never\n")
	for sender, recipient, want in (
	    ("alice@a.test", "x@x.test", 1), ("x@c.test", "x@x.test", 2),
	    ("x@c.test", "x@B.test", 3), ("alice@a.test", "x@b.test", 3), ("x@c.test", "Bob@b.test", 4),
	    ("carol@c.test", "bob@b.test", 5), ("x@c.test", "eve@b.test", 0)):
		tap.equal(expires(b"yes", sender, recipient), want,
		    "days for %s to %s" % (sender, recipient))
	tap.equal(expires(b"expires=6d", "carol@c.test", "bob@b.test"), 6,
	    "days by the message")
	tap.equal(expires(b"expires=never", "carol@c.test", "bob@b.test"), 0,
	    "never by the message")
	tap.equal(expires(b"layers=none", "carol@c.test", "bob@b.test"), 5,
	    "another option of the message")
	# No rule but `receipt' touches mail that does not ask.
	content = lib.message(flag=None)
	passed(rig.send(content, recipients=["bob@b.test"]), content)
	change(default_options=None, policy_file=None)
	tap.equal(expires(b"yes", "carol@c.test", "bob@b.test"), 0, "built in")


@tap.case("the sample of a policy file does what its comments say")
def t_sample():
	text = proc.read_text(os.path.join(lib.TOP, "contrib", "conf",
	    "counterfoil-policy"))
	text, count = re.subn(r"(?m)^#(?=(from|to) +\S*@\S+ +\w+=)", "", text)
	tap.equal(count, 3, "rules in the sample")
	rules(text)
	plain = lib.message(flag=None)
	sealed(plain, "rule", sender="<bob@example.org>",
	    recipients=["<x@partner.example>"])
	tap.equal(asked().get("expires_in"), 7 * DAY, "to @ before from @")
	sealed(flagged(b"yes"), "flag", sender="<bob@example.org>",
	    recipients=["<x@b.test>"])
	tap.equal(asked().get("expires_in"), 30 * DAY, "from @")
	sealed(plain, "rule", recipients=["<x@partner.example>"])
	tap.equal(asked().get("expires_in"), 7 * DAY, "to @")
	passed(rig.send(plain, "<ann@example.org>",
	    ["<x@partner.example>"]), plain)
	change(policy_file=None)


@tap.case("a mistake in the policy file is named by line; a reload keeps the "
    "old rules")
def t_bad_rules():
	rules("to @b.test expires=2d\n")
	path = os.path.join(rig.folder, "policy")
	for text, words in (("# x\nto @b.test expires=2x\n",
	    (":2: ", "expires=2x")), ("to @b.test require=account\n",
	    (":1: ", "cannot be had yet")), ("by x@y z=1\n", (":1: ", "by"))):
		proc.write_file(path, text)
		since = rig.log_from()
		rig.process.send(signal.SIGHUP)
		rig.wait_log(since, "reload failed")
		for word in words:
			tap.contains(since(), word, "log")
		check = proc.run([proc.program("counterfoil-milter"), "-n",
		    "-c", rig.config], check=False)
		tap.equal(check.returncode, 78, "-n")
		tap.contains(check.stderr.decode(), path + words[0], "-n")
		content = flagged(b"yes")
		lib.check_sealed(rig, rig.send(content), content)
		tap.equal(asked().get("expires_in"), 2 * DAY, "the old rule")
	change(policy_file=None)


@tap.case("mistakes in the options are named by line")
def t_bad_options():
	for options, word in (({"default_options": "receipt=always"},
	    "receipt"), ({"default_options": "expires=x"}, "expires=x"),
	    ({"default_options": "layers=sign"}, "cannot be had yet"),
	    ({"triggers": ["subject"]}, 'triggers: "subject" is not known, it '
	    "must be disposition-notification-to, return-receipt-to or "
	    "subject-tag"),
	    ({"subject_tag": "a b"}, "subject_tag"),
	    ({"subject_tag": "x"}, "subject_tag"),
	    ({"outer_subject": ""}, "outer_subject"),
	    ({"outer_subject": "x" * 201}, "outer_subject"),
	    ({"policy_file": "/nonexistent"}, "/nonexistent")):
		path = os.path.join(rig.folder, "bad.conf")
		text = lib.conf.text(dict(rig.options, **options))
		proc.write_file(path, text)
		check = proc.run([proc.program("counterfoil-milter"), "-n",
		    "-c", path], check=False)
		tap.equal(check.returncode, 78, "exit status with %r" % options)
		tap.true(re.match(r"counterfoil-milter: %s:\d+: "
		    % re.escape(path),
		    check.stderr.decode()), "file:line in %r" % check.stderr)
		tap.contains(check.stderr.decode(), word, "-n")


# ---- triggers ----

@tap.case("without a trigger switched on, no such field asks for anything, "
    "and the log says so")
def t_off():
	for name, content in ((ALL[1], lib.message(flag=None, extra=[DNT, RRT])),
	    (ALL[0], lib.message(flag=None, extra=[DNT])),
	    (ALL[2], subject(b"[receipt] x")),
	    (ALL[2], subject(b"=?utf-8?q?=5Breceipt=5D_x?="))):
		since = rig.log_from()
		passed(rig.send(content), content)
		rig.wait_log(since, " cause=no-flag ")
		tap.contains(since(), ": %s: this trigger is off" % name, "log")
		since = rig.log_from()
		passed(rig.send(content, client=OUTSIDE), content)
		rig.wait_log(since, " cause=no-flag ")
		tap.lacks(since(), "is off", "of an outsider's")


@tap.case("each trigger seals when it is on, and only then")
def t_triggers():
	cases = {ALL[0]: lib.message(flag=None, extra=[DNT]),
	    ALL[1]: lib.message(flag=None, extra=[RRT]),
	    ALL[2]: subject(b"[receipt] Lunch")}
	for on in ALL:
		change(triggers=[on])
		for name, content in cases.items():
			if name == on:
				result, got = sealed(content, on)
			else:
				passed(rig.send(content), content)
	change(triggers=ALL)
	both = lib.message(flag=None, extra=[b"disposition-notification-to :"
	    b"\r\n <alice@a.test>", b"RETURN-receipt-to:a@a.test"])
	sealed(both, ALL[0])
	empty = lib.message(flag=None, extra=[b"Return-Receipt-To: ",
	    b"Disposition-Notification-To:", b"X-Disposition-Notification-To: "
	    b"a@a.test"])
	passed(rig.send(empty), empty)
	# The flag asks for what it says, a trigger for nothing more.
	content = lib.message(flag=b"X-Return-Receipt: expires=2d", extra=[DNT])
	sealed(content, "flag")
	tap.equal(asked().get("expires_in"), 2 * DAY, "expires_in")
	lib.check_refused(rig.send(lib.message(flag=b"X-Return-Receipt: no",
	    extra=[DNT])), "550 5.7.1")
	change(default_options="expires=3d")
	sealed(cases[ALL[0]], ALL[0])
	tap.equal(asked().get("expires_in"), 3 * DAY, "the site's default")
	change(default_options=None, triggers=None)


@tap.case("triggers are for those who may use the flag")
def t_trigger_outsider():
	change(triggers=ALL)
	for content in (lib.message(flag=None, extra=[DNT, RRT]),
	    subject(b"[receipt] x")):
		for recipient in ("<bob@b.test>", "<x@c.test>"):
			passed(rig.send(content, client=OUTSIDE,
			    recipients=[recipient]), content)
	change(triggers=None)


UNSEALABLE = (
    ("list", {}, [b"List-Id: <x.a.test>"]),
    ("list", {}, [b"Precedence: bulk"]),
    ("automatic", {}, [b"Auto-Submitted: auto-replied"]),
    ("report", {}, [b"Content-Type: multipart/report; "
        b"report-type=disposition-notification; boundary=x"]),
    ("null-sender", {"sender": "<>"}, []),
    ("sender-address", {"sender": '<"al ice"@a.test>'}, []),
    ("sender-address", {"sender": "<älice@a.test>"}, []),
    ("recipient-address", {"recipients": ["<%s@b.test>" % ("a" * 400)]}, []),
    ("recipients", {"recipients": ["<a@b.test>", "<c@b.test>"]}, []),
    ("header-size", {}, [b"X-N: %d" % i for i in range(5001)]),
)


@tap.case("a trigger on mail that cannot be sealed leaves it alone, and the "
    "log says why")
def t_trigger_unsealable():
	change(triggers=ALL)
	rules("to @b.test receipt=always\n")
	for cause, envelope, extra in UNSEALABLE:
		for trigger, content in (
		    (ALL[0], lib.message(flag=None, extra=[DNT] + extra)),
		    (ALL[2], subject(b"[receipt] x", extra=extra)),
		    ("rule", lib.message(flag=None, extra=extra))):
			since = rig.log_from()
			passed(rig.send(content, **envelope), content)
			rig.wait_log(since, ": passed cause=%s " % cause)
			tap.contains(since(), ": %s: " % trigger, "log")
	change(policy_file=None)
	change(lists="seal", automatic="seal")
	for cause, envelope, extra in UNSEALABLE[:4]:
		sealed(lib.message(flag=None, extra=[DNT] + extra), ALL[0])
	change(lists=None, automatic=None, triggers=None)


@tap.case("a rule receipt=always seals what nobody flagged, for whom it says")
def t_rule():
	plain = lib.message(flag=None)
	rules("to @b.test receipt=always; expires=9d\n"
	    "from eve@a.test receipt=asked\nfrom @f.test receipt=always\n")
	sealed(plain, "rule")
	tap.equal(asked().get("expires_in"), 9 * DAY, "expires_in")
	sealed(plain, "rule", sender="<x@f.test>", recipients=["<x@x.test>"])
	for sender, recipient in (("eve@a.test", "bob@b.test"),
	    ("alice@a.test", "bob@c.test"), ("alice@a.test", "bob@s.b.test")):
		passed(rig.send(plain, sender, [recipient]), plain)
	passed(rig.send(plain, client=OUTSIDE), plain)
	# Sealed already: not again.
	once = rig.send(plain)
	passed(rig.send(once.message), once.message)
	# A marker alone does not look like that.
	sealed(lib.message(flag=None, extra=[b"Counterfoil-Version: 1"]),
	    "rule")
	for recipients in (["<a@x.test>", "<bob@b.test>"],
	    ["<bob@b.test>", "<a@x.test>"]):
		since = rig.log_from()
		passed(rig.send(plain, recipients=recipients), plain)
		rig.wait_log(since, "passed cause=recipients")
	change(policy_file=None)
	passed(rig.send(plain), plain)


@tap.case("dry run: triggers only say what they would do, the flag does it")
def t_dry_run():
	change(dry_run=True, triggers=ALL)
	rules("to @b.test receipt=always\n")
	before = len(rig.key_server.requests)
	for trigger, content in ((ALL[0], lib.message(flag=None, extra=[DNT])),
	    (ALL[1], lib.message(flag=None, extra=[RRT])),
	    (ALL[2], subject(b"[receipt] x")),
	    ("rule", lib.message(flag=None))):
		since = rig.log_from()
		passed(rig.send(content), content)
		rig.wait_log(since, ": passed cause=dry-run ")
		tap.contains(since(), ": %s: it would be sealed" % trigger,
		    "log")
	since = rig.log_from()
	content = lib.message(flag=None, extra=[b"List-Id: <x>"])
	passed(rig.send(content), content)
	rig.wait_log(since, ": passed cause=list ")
	tap.equal(len(rig.key_server.requests), before, "key requests")
	sealed(lib.message(extra=[DNT]), "flag")
	lib.check_refused(rig.send(lib.message(flag=b"X-Return-Receipt: no")),
	    "550 5.7.1")
	change(dry_run=None, policy_file=None, triggers=None)


@tap.case("-t says what triggers would do, and why not")
def t_tryout():
	def tried(content, **options):
		rig.write_config(triggers=ALL, **options)
		done = proc.run([proc.program("counterfoil-milter"), "-c",
		    rig.config, "-t", "-", "--from", "alice@a.test", "--to",
		    "bob@b.test"], check=False, input=content)
		tap.equal(done.returncode, 0, "exit status %r" % done.stderr)
		return done.stderr.decode()

	content = subject(b"[receipt] x")
	tap.contains(tried(content), "subject-tag", "-t")
	tap.contains(tried(content, dry_run=True),
	    "subject-tag: it would be sealed", "-t with dry_run")
	text = tried(subject(b"[receipt] x", extra=[b"List-Id: <x>"]),
	    dry_run=None)
	tap.contains(text, "subject-tag: This is mail to a list", "-t")
	rig.write_config(triggers=None)


@tap.case("a milter that only rewrites lets triggers be")
def t_inbound_only():
	inbound = lib.Rig(mode="inbound", triggers=ALL).start()
	try:
		for content in (lib.message(flag=None, extra=[DNT]),
		    subject(b"[receipt] x")):
			passed(inbound.send(content), content)
	finally:
		inbound.close()


# ---- who gets the receipt ----

@tap.case("a sender address that plain SMTP cannot reach is refused")
def t_sender_address():
	for sender in ("<älice@a.test>", "<alice@ä.test>",
	    '<"al ice"@a.test>', '<"alice"@a.test>', "<alice>",
	    "<a..b@a.test>", "<%s@a.test>" % ("x" * 300)):
		lib.check_refused(rig.send(lib.message(), sender),
		    "550 5.1.7", ["receipt", "sender address"])
		content = lib.message(flag=None)
		passed(rig.send(content, sender), content)
	for sender in ("<al+ice=x@a.test>", "<a.b@a-b.test>",
	    "<alice@[192.0.2.1]>"):
		lib.check_sealed(rig, rig.send(lib.message(), sender),
		    lib.message())


# ---- the Subject ----

TAGGED = (
    (b"[receipt] Lunch", b"Lunch"), (b"[Receipt]Lunch", b"Lunch"),
    (b"\r\n [RECEIPT]\r\n Lunch", b"Lunch"),
    ("[receipt] Lünch".encode(), b"=?utf-8?b?TMO8bmNo?="),
    (b"=?utf-8?Q?=5Breceipt=5D_L=C3=BCnch?= now",
        b"=?utf-8?Q?L=C3=BCnch?= now"),
    (b"=?UTF-8?B?W3JlY2VpcHRdIEzDvG5jaA==?=", b"=?UTF-8?B?TMO8bmNo?="),
)


@tap.case("the tag in the Subject goes outside and stays inside, encoded, too")
def t_tag():
	change(triggers=ALL)
	for value, want in TAGGED:
		result, got = sealed(subject(value), "subject-tag")
		check_subject(result, got, [want])
		# As sealed mail it would not ask again even with the tag.
		passed(rig.send(result.message), result.message)
	result, got = sealed(subject(b"[receipt]"), "subject-tag")
	check_subject(result, got, [])
	result, got = sealed(subject(b"[receipt] x", b"X-Return-Receipt: yes"),
	    "flag")
	check_subject(result, got, [b"x"])
	long = b"[receipt] " + b" ".join(b"word%d" % i for i in range(400))
	result, got = sealed(subject(long[:900]), "subject-tag")
	check_subject(result, got, [long[10:900].rstrip()])
	for value in (b"Re: [receipt] x", b"[receipts] x", b"x [receipt]",
	    b"=?utf-8?Q?Re:_=5Breceipt=5D_x?="):
		content = subject(value)
		passed(rig.send(content), content)
	content = subject(b"x", extra=[b"Subject: [receipt] y"])
	passed(rig.send(content), content)
	change(subject_tag="+RR+")
	result, got = sealed(subject(b"+rr+ Lunch"), "subject-tag")
	check_subject(result, got, [b"Lunch"])
	content = subject(b"[receipt] x")
	passed(rig.send(content), content)
	change(subject_tag=None, triggers=None)


@tap.case("outer_subject: a text in place of the Subject outside, the true "
    "one inside")
def t_outer_subject():
	for text, want in (("A message for you", b"A message for you"),
	    ("Nachricht für Sie", b"Nachricht =?utf-8?b?ZsO8cg==?= Sie"),
	    ("a 100% \\ \"quoted\" text", b"a 100% \\ \"quoted\" text"),
	    ("long " * 39, b" ".join([b"long"] * 39))):
		change(outer_subject=text, triggers=["subject-tag"])
		for content in (lib.message(), subject(b"x\r\n y", b"X-Return-"
		    b"Receipt: yes", extra=[b"subject: z", b"SUBJECT: w"]),
		    lib.message().replace(b"Subject: A word with you\r\n", b""),
		    subject("Größe".encode(), b"X-Return-Receipt: yes"),
		    subject(b"[receipt] x")):
			for leadspc in (True, False):
				result = rig.send(content, leadspc=leadspc)
				got = lib.check_sealed(rig, result, content)
				check_subject(result, got, [want])
		tap.lacks(result.message, b"[receipt]", "what goes out")
	change(outer_subject=None, triggers=None)
	result = rig.send(lib.message())
	got = lib.check_sealed(rig, result, lib.message())
	check_subject(result, got, [b"A word with you"])


tap.main(setup=start, teardown=lambda: rig and rig.close())
