#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Outbound: what is sealed, how, and that it opens to the same bytes."""

import glob
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig as lib  # noqa: E402
from lab import sample  # noqa: E402
from rig import client, fake, tap  # noqa: E402

rig = None


def start():
	global rig
	rig = lib.Rig().start()


def sealed(content, **kw):
	return lib.check_sealed(rig, rig.send(content, **kw), content)



@tap.case("a plain message is sealed and opens to the same bytes")
def t_plain():
	content = lib.message()
	got = sealed(content)
	tap.lacks(got.content, b"how are you", "what goes out")
	tap.equal(got.top["Subject"], "A word with you", "Subject outside")
	tap.equal(got.top["Message-ID"], "<one@a.test>", "Message-ID outside")


@tap.case("the reader's link carries the key server's link, and nothing else")
def t_link():
	got = sealed(lib.message())
	tap.true(got.link.startswith(lib.READER + "/m/"), "link to our reader")
	tap.equal(sample.locator(got.link), got.locator, "L in it")
	tap.lacks(got.link, "%", "the link")
	tap.true(got.locator.startswith(rig.key_server.url + "/k/"), "L")
	tap.contains(got.html, 'href="%s"' % got.link, "HTML notice")
	tap.contains(got.html, ">%s</a>" % got.link, "HTML notice")
	tap.contains(got.text, "alice@a.test", "text notice")


@tap.case("the key request names the mail and nothing of its content")
def t_request():
	sealed(lib.message())
	asked = json.loads(rig.key_server.requests[-1])
	tap.equal(sorted(asked), ["keys", "message_id", "message_ref",
	    "reader_url", "recipients", "reference_check", "request_id",
	    "sender"], "members")
	tap.equal(asked["sender"], "alice@a.test", "sender")
	tap.equal(asked["recipients"], ["bob@b.test"], "recipients")
	tap.equal(asked["message_id"], "<one@a.test>", "Message-ID")
	tap.equal(asked["reader_url"], lib.READER, "reader_url")
	tap.equal(len(fake.unb64(asked["message_ref"])), 32, "message_ref")
	key = asked["keys"][0]
	tap.equal(sorted(key), ["algorithm", "key_id", "opening_key", "policy",
	    "possession_key", "token"], "members of a key")
	tap.equal(key["algorithm"], "kek-a256kw", "algorithm")
	tap.equal(key["policy"], {"require": "bearer"}, "policy")


@tap.case("the same mail tried again has the same reference and a new key")
def t_reference():
	def ask(content, **kw):
		rig.send(content, **kw)
		asked = json.loads(rig.key_server.requests[-1])
		return asked["message_ref"], asked["keys"][0]["key_id"]
	one = ask(lib.message())
	received = (b"Received: from x by y; Mon, 23 Nov 2026 13:35:09 +0000"
	    b"\r\n" + lib.message())
	two = ask(received)
	tap.equal(two[0], one[0], "reference of the second try")
	tap.equal(ask(b"DKIM-Signature: v=1; d=a.test; t=1234; b=x\r\n"
	    + lib.message())[0], one[0], "reference of a signed try")
	tap.true(two[1] != one[1], "a new key id")
	for other in (ask(lib.message(b"Another\r\n")),
	    ask(lib.message(extra=[b"X-Other: 1"])),
	    ask(lib.message(), recipients=["<eve@b.test>"]),
	    ask(lib.message(), sender="<eve@a.test>")):
		tap.true(other[0] != one[0], "another mail, another reference")


@tap.case("a Message-ID too long for the key server is sealed without it")
def t_long_message_id():
	for length, want in ((998, True), (999, False)):
		message_id = b"<%s@a.test>" % (b"x" * (length - 9))
		sealed(lib.message().replace(b"<one@a.test>", message_id))
		tap.equal(json.loads(rig.key_server.requests[-1])["message_id"],
		    message_id.decode() if want else "", "%d bytes" % length)


@tap.case("a Message-ID is made outside when there is none")
def t_message_id():
	for content in (lib.message().replace(b"Message-ID: <one@a.test>\r\n",
	    b""), lib.message().replace(b"<one@a.test>", b"")):
		got = sealed(content)
		asked = json.loads(rig.key_server.requests[-1])
		tap.true(re.fullmatch(r"<[A-Za-z0-9_-]{22}\.cf@a\.test>",
		    asked["message_id"]) is not None, "form of it")
		tap.equal(got.top.get_all("Message-ID"), [asked["message_id"]],
		    "outside")


ODD = {
    "no final newline": lib.message(b"last line"),
    "an empty body": lib.message(b""),
    "one empty line as body": lib.message(b"\r\n"),
    "a lone dot": lib.message(b"a\r\n.\r\n..\r\nb\r\n"),
    "8-bit text": lib.message("Grüße\r\n".encode("latin-1")
	+ bytes(range(128, 256)) + b"\r\n"),
    "NUL in the body": lib.message(b"a\0b\0\r\n\0"),
    "bare CR and LF": lib.message(b"a\rb\nc\r\r\n\n\r\n"),
    "a line of 3000 octets": lib.message(b"x" * 3000 + b"\r\n"),
    "all bytes": lib.message(bytes(range(256)) * 300),
    "folded fields": lib.message(extra=[b"X-Fold: a\r\n b\r\n\tc",
	b"References: <a@b>\r\n <c@d>\r\n <e@f>"]),
    "a fold of blanks only": lib.message(extra=[b"X-Fold: a\r\n  \r\n b"]),
    "raw 8-bit and UTF-8 fields": lib.message(
	extra=["X-Utf: Grüße".encode(), b"X-Latin: Gr\xfc\xdfe"]),
    "tight and wide colons": lib.message(
	extra=[b"X-Tight:x", b"X-Wide:   x", b"X-Tab:\tx", b"X-None:"]),
    "a blank before the colon": lib.message(
	extra=[b"X-Blank : x", b"X-Tab\t: y"]),
    "blanks at the end of a field": lib.message(extra=[b"X-End: x  \t"]),
    "MIME with a multipart body": lib.message(
	b"--b\r\nContent-Type: text/html\r\n\r\n<p>x\r\n--b--\r\n",
	extra=[b"MIME-Version: 1.0",
	    b"Content-Type: multipart/mixed;\r\n boundary=b"]),
    "two Content-Type fields": lib.message(extra=[
	b"Content-Type: text/plain", b"Content-Type: text/html",
	b"content-type: image/png"]),
    "every Content field": lib.message(extra=[b"MIME-Version: 1.0",
	b"MIME-Version: 1.0", b"Content-Type: text/plain; charset=utf-8",
	b"Content-Transfer-Encoding: 8bit",
	b"Content-Transfer-Encoding: quoted-printable",
	b"Content-Disposition: inline", b"Content-ID: <x@y>",
	b"Content-Description: d", b"Content-Language: de",
	b"Content-MD5: Q2hlY2s=", b"Content-Location: x", b"Content-X-Y: z",
	b"Content-Type : text/html"]),
    "repeated and traced fields": lib.message(extra=[
	b"Received: one", b"X-A: 1", b"Received: two", b"x-a: 2",
	b"X-A: 1", b"Return-Path: <q@r>"]),
    "an own marker already there": lib.message(extra=[
	b"Counterfoil-Version: 1", b"counterfoil-version: 7"]),
    "fields that look like ours": lib.message(extra=[
	b"Counterfoil-M: v=1; outer=9; ct=made; mv=made; form=plain",
	b"HP-Outer: Subject: x",
	b"Content-Type: text/plain;\r\n hp=\"cipher\""]),
    "signatures over the old body": lib.message(extra=[
	b"DKIM-Signature: v=1; a=rsa-sha256; d=a.test; s=s1;\r\n b=aGVsbG8=",
	b"dkim-signature: v=1; d=x.test"]),
    "Resent fields": lib.message(extra=[b"Resent-From: c@a.test",
	b"Resent-To: bob@b.test", b"Resent-Bcc: secret@b.test"]),
    "a forwarded message with a flag": lib.message(
	b"X-Return-Receipt: no\r\nSubject: x\r\n\r\nx\r\n",
	extra=[b"Content-Type: message/rfc822"]),
    "headers of 100 kB": lib.message(
	extra=[b"X-Long-%d: " % i + b"y" * 900 for i in range(110)]),
    "one field of 57 kB": lib.message(extra=[b"X-Long: " + b"\r\n ".join(
	[b"z" * 900] * 63)]),
    "no field but the flag": b"X-Return-Receipt: yes\r\n\r\nx\r\n",
}


def odd(name):
	@tap.case("opens the same: " + name)
	def t_odd():
		got = sealed(ODD[name])
		tap.lacks(got.content, b"secret@", "what goes out")


for n in ODD:
	odd(n)


def files():
	"""Awkward input of our own, and real mail beside the repository."""
	top = os.path.join(lib.TOP, "tests", "fuzz", "corpus")
	found = glob.glob(os.path.join(top, "*", "*"))
	shared = os.environ.get("CF_SHARED")
	if shared:
		mail = glob.glob(os.path.join(shared, "corpus", "dev", "*"))
		tap.true(mail, "CF_SHARED has a corpus")
		found += mail
	return sorted(f for f in found if os.path.isfile(f))


def as_postfix_shows(content):
	"""The header ends where a line is no field; CRLF ends all lines; no
	NUL in a value; no other flag."""
	fields, body = client.split_message(re.sub(rb"\r*\n", b"\r\n",
	    content))
	good = [bool(re.fullmatch(rb"[!-9;-~]+[ \t]*", n)) and b"\0" not in v
	    for n, v in fields] + [False]
	return [(n, v) for n, v in fields[:good.index(False)]
	    if n.strip().lower() != b"x-return-receipt"], body


@tap.case("whatever mail there is, it opens the same")
def t_files():
	plain = lib.Rig(message_size_limit=0, lists="seal",
	    automatic="seal").start()
	try:
		session = plain.session()
		for path in files():
			with open(path, "rb") as f:
				fields, body = as_postfix_shows(f.read())
			content = fields + [(b"X-Return-Receipt", b" yes")], body
			result = session.send(content)
			try:
				lib.check_sealed(plain, result, content)
			except tap.Failure as e:
				tap.fail("%s: %s" % (path, e))
		session.quit()
	finally:
		plain.close()
	tap.note("%d messages" % len(files()))


@tap.case("a body of 10 MB, through a spool file, opens the same")
def t_big():
	sealed(lib.message(os.urandom(10 << 20)))


@tap.case("a body of the lengths around a base64 line and the memory limit")
def t_lengths():
	for n in list(range(55, 61)) + list(range(262144 - 900, 262144, 299)):
		sealed(lib.message(b"q" * n))


@tap.case("a body that never was in memory, around the lengths where what "
    "stands in front of the ciphertext grows")
def t_spooled():
	for elsewhere in (False, True):
		spool = lib.Rig(memory_limit=0)
		if elsewhere:
			spool.options["spool_directory"] = spool.run
		spool.start()
		try:
			for n in [1, *range(64650, 65300, 59), (16 << 20) - 2000,
			    (16 << 20) + 10]:
				content = lib.message(b"q" * n)
				lib.check_sealed(spool, spool.send(content),
				    content)
			tap.equal(spool.half_files(), [], "half files")
		finally:
			spool.close()


@tap.case("without LEADSPC, and with protocol version 2, it opens the same")
def t_old():
	for kw in ({"leadspc": False}, {"version": 2, "actions": 0x3f,
	    "steps": 0x7f}):
		for name in ("folded fields", "every Content field",
		    "two Content-Type fields", "all bytes"):
			got = sealed(ODD[name], **kw)
			tap.lacks(got.content.split(b"\r\n\r\n")[0], b":  ",
			    "no double blank in the header")


@tap.case("several messages in one session, one abandoned between")
def t_session():
	with_session = rig.session()
	for i in range(5):
		content = lib.message(b"number %d\r\n" % i)
		result = with_session.send(content)
		lib.check_sealed(rig, result, content)
		begun = with_session.begin(lib.message(b"given up"))
		tap.equal(begun.verdict, None, "begun")
		with_session.abort()
	plain = lib.message(flag=None)
	tap.equal(with_session.send(plain).message, plain, "unflagged between")
	with_session.quit()


@tap.case("a connection dropped in the middle leaves nothing behind")
def t_drop():
	before = rig.blobs()
	asked = len(rig.key_server.requests)
	for cut in ("mail", "header", "body"):
		s = rig.session()
		if cut == "mail":
			s.envelope("<alice@a.test>", ["<bob@b.test>"],
			    client.Result())
		else:
			s.begin(lib.message(b"x" * 400000 if cut == "body"
			    else b""))
		s.close()
	sealed(lib.message())
	tap.equal(len(rig.blobs()), len(before) + 1, "files in the store")
	tap.equal(len(rig.key_server.requests), asked + 1, "key requests")


@tap.case("Bcc and Resent-Bcc are neither outside nor inside")
def t_bcc():
	content = lib.message(extra=[b"Bcc: hidden@c.test",
	    b"bcc : hidden@d.test", b"Resent-Bcc: hidden@e.test"])
	got = sealed(content)
	tap.lacks(got.content, b"hidden@", "what goes out")
	tap.lacks(got.open(rig.key_server.kd()), b"hidden@", "M")


@tap.case("requests for other receipts stay inside")
def t_mdn():
	content = lib.message(extra=[
	    b"Disposition-Notification-To: alice@a.test",
	    b"Return-Receipt-To: alice@a.test"])
	sealed(content)


@tap.case("addresses without <>, quoted, and in UTF-8 are taken")
def t_addresses():
	for sender, recipient, want in (
	    ("alice@a.test", "bob@b.test", "bob@b.test"),
	    ("<alice@a.test>", '<"bo b"@b.test>', '"bo b"@b.test'),
	    ("<alice@a.test>", "<bób@b.test>", "bób@b.test")):
		content = lib.message()
		lib.check_sealed(rig, rig.send(content, sender, [recipient]),
		    content)
		asked = json.loads(rig.key_server.requests[-1])
		tap.equal(asked["recipients"], [want], "recipient")
		tap.equal(asked["sender"], sender.strip("<>"), "sender")


@tap.case("one line in the log says what was done, and no secret stands in it")
def t_log():
	since = rig.log_from()
	got = sealed(lib.message())
	rig.wait_log(since, ": sealed ")
	line = [x for x in since().splitlines() if ": sealed " in x]
	tap.equal(len(line), 1, "lines")
	handle = got.locator.split("/k/")[1].split("#")[0]
	for part in ("4Q1TEST", "cause=flag", "key=" + handle, "keysrv_ms=",
	    "in=", "out="):
		tap.contains(line[0], part, "log line")
	asked = json.loads(rig.key_server.requests[-1])
	log = rig.log_text()
	for secret in (asked["keys"][0]["token"], rig.key_server.token,
	    got.blob, "A word with you", "how are you",
	    fake.b64(rig.key_server.kd()), rig.key_server.kd().hex()):
		tap.lacks(log, secret, "log")


@tap.case("100 messages at their end at the same time")
def t_parallel():
	rig.key_server.reset()
	rig.key_server.usual = "hold"
	sessions = [rig.session() for _ in range(100)]
	contents = [lib.message(b"parallel %d\r\n" % i) for i in range(100)]
	results = [s.begin(c) for s, c in zip(sessions, contents)]
	for s in sessions:
		s.put_end()
	for _ in range(64):
		tap.true(rig.key_server.arrived.acquire(timeout=60),
		    "requests arrive")
	rig.key_server.go.set()
	for s, r in zip(sessions, results):
		s.finish(r)
		s.quit()
	tap.equal(rig.key_server.most, 64, "most requests at a time")
	tap.equal([r.verdict for r in results], ["accept"] * 100, "verdicts")
	kds = {k: v[0] for k, v in rig.key_server.keys.items()}
	for r, c in zip(results, contents):
		one = lib.Sealed(r.message)
		handle = one.locator.split("/k/")[1].split("#")[0]
		tap.equal(lib.strip(one.open(kds[handle]))[0], lib.expected(c),
		    "the message after opening")


tap.main(setup=start, teardown=lambda: rig and rig.close())
