#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What stands beside us on the way of a sealed mail takes it for ordinary
mail: spam and virus filters, as Debian packages them, and a mail program.
"""

import fcntl
import io
import os
import pty
import quopri
import re
import select
import struct
import subprocess
import sys
import termios
import time
import urllib.parse
import zipfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))

from lab import mail, proc, sample, scanners, sink, tap, world  # noqa: E402

NAME = "message.counterfoil"
NEW_MAX = 1.0		# points of a rule that the original did not meet
SPAM = 5.0		# SpamAssassin's threshold; rspamd's are higher
TEXT = (b"Dear Carol,\r\n\r\nthank you for your call. The offer of last week "
    b"stands until\r\nthe end of the month; the parts can be sent on Tuesday."
    b"\r\n\r\nWith kind regards\r\nAlice\r\n")
HTML = (b"<html><body><p>Dear Carol,</p><p>thank you for your call. The "
    b"<b>offer</b> of\r\nlast week stands until the end of the month."
    b"</p></body></html>\r\n")
BOTH = (b"--a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + TEXT
    + b"--a\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + HTML
    + b"--a--\r\n")
ALTERNATIVE = b"Content-Type: multipart/alternative; boundary=a\r\n"
ORIGINALS = {
	"text": b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + TEXT,
	"HTML": ALTERNATIVE + b"\r\n" + BOTH,
	"attachment": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
	    + ALTERNATIVE + b"\r\n" + BOTH + b"\r\n--b\r\nContent-Type: "
	    b"application/pdf; name=offer.pdf\r\nContent-Disposition: "
	    b"attachment; filename=offer.pdf\r\nContent-Transfer-Encoding: "
	    b"base64\r\n\r\n" + sample.lines76(b"%PDF-1.4\n"
	    + os.urandom(200000)) + b"--b--\r\n"}
w = None
rspamd = spamassassin = amavis = None
behind = sink.Sink()	# what amavis lets through
got = {}		# (original, "plain" or "sealed"): as delivered


def start():
	global w, rspamd, spamassassin, amavis
	w = world.World(tls=True, plain_site=True, say=tap.note)
	w.start()
	rspamd = scanners.Rspamd(w.path("rspamd"), {"regexp.conf":
	    snippet("rspamd/regexp.conf")}).start()
	spamassassin = scanners.SpamAssassin(w.path("spamassassin"),
	    snippet("spamassassin/counterfoil.cf")).start()
	amavis = scanners.Amavis(w.path("amavis"), behind.start()).start()
	for name, body in ORIGINALS.items():
		for kind, flag in (("plain", b""), ("sealed", sample.FLAG)):
			got[name, kind] = deliver("%s-%s" % (name, kind), flag,
			    body)


def stop():
	for thing in (amavis, behind, spamassassin, rspamd, w):
		if thing:
			thing.stop()


def snippet(name):
	return proc.read_text(os.path.join(proc.repository(), "contrib", name))


def deliver(mark, flag, body):
	code, text = mail.send(w.a.port, "alice@a.test", "carol@c.test",
	    b"From: Alice Anders <alice@a.test>\r\nTo: Carol <carol@c.test>\r\n"
	    + flag + b"Subject: Offer no. 12\r\nDate: Mon, 23 Nov 2026 "
	    b"13:35:00 +0100\r\nMessage-ID: " + sample.message_id(mark)
	    + b"\r\nMIME-Version: 1.0\r\n" + body)
	tap.equal(code, 250, "reply %r" % text)
	return mail.read(proc.wait_for(lambda: mail.marked(w.c, "carol", mark),
	    120, mark)[0])


def named(content):
	"""The mail as it would be outside of loopback, where hosts have names."""
	hosts = [(w.service_url.split("//")[1], "keys.example.net"),
	    (w.a_reader.url.split("//")[1], "receipts.example.com")]

	def notice(m):
		text = quopri.decodestring(m.group(2)).decode()
		for old, new in hosts:
			text = text.replace(urllib.parse.quote(old, safe=""),
			    new).replace(old, new)
		return m.group(1) + quopri.encodestring(text.encode())
	content = re.sub(rb"(?s)(Encoding: quoted-printable\n\n)(.*?\n)"
	    rb"(?=\n--=_cn)", notice, content)
	for old, new in hosts + [("unknown [127.0.0.1]",
	    "gw.example.com [192.0.2.10]"), ("HELO localhost",
	    "HELO keys.example.net"), ("from localhost ",
	    "from keys.example.net "), ("a.test", "example.com"),
	    ("c.test", "example.org")]:
		content = content.replace(old.encode(), new.encode())
	tap.lacks(content, b"localhost", "the mail")
	return content


def no_worse(scanner, name):
	plain, sealed = [scanner.scores(named(got[name, kind]))
	    for kind in ("plain", "sealed")]
	tap.true(len(plain) > 1, "rules were looked at: %r" % plain)
	total = [round(sum(s.values()), 2) for s in (plain, sealed)]
	new = {s: points for s, points in sealed.items() if points != 0
	    and s not in plain}
	tap.note("%s: original %.1f, sealed %.1f, new %r" % (name, *total, new))
	tap.true(total[1] <= total[0], "points: original %r, sealed %r: %r"
	    % (*total, new))
	tap.true(max(new.values(), default=0) <= NEW_MAX, "new: %r" % new)


@tap.case("rspamd: a sealed mail has no more points than its original")
def t_rspamd():
	for name in ORIGINALS:
		no_worse(rspamd, name)


@tap.case("SpamAssassin: a sealed mail has no more points than its original")
def t_spamassassin():
	for name in ORIGINALS:
		no_worse(spamassassin, name)


@tap.case("both spam filters see what is spam")
def t_control():
	# rspamd's rule about text beside S/MIME, and what all filters know.
	smime = re.sub(rb"application/octet-stream;\n name=\"[^\"]*\"",
	    b"application/pkcs7-mime; smime-type=authEnveloped-data",
	    named(got["text", "sealed"]))
	tap.true(rspamd.scores(smime).get("BOGUS_ENCRYPTED_AND_TEXT", 0) >= 10,
	    "the rule that the label is chosen for")
	gtube = (b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-"
	    b"EMAIL*C.34X")
	spam = named(got["text", "plain"]).replace(b"the parts", gtube)
	tap.true(sum(spamassassin.scores(spam).values()) > 100, "GTUBE")


@tap.case("our snippets name what is sealed, and give it no points")
def t_snippets():
	for scanner in (rspamd, spamassassin):
		plain, sealed = [scanner.scores(named(got["HTML", kind]))
		    for kind in ("plain", "sealed")]
		tap.true("COUNTERFOIL_SEALED" not in plain, "the original")
		tap.true("COUNTERFOIL_SEALED" in sealed, "named: %r" % sealed)
		tap.true(abs(sealed["COUNTERFOIL_SEALED"]) < 0.01, "its points")


def scan(content, to):
	"""amavis's answer to a mail."""
	return mail.send(amavis.port, "alice@a.test", to,
	    content.replace(b"\n", b"\r\n"))


@tap.case("amavis and ClamAV let a sealed mail through as it is")
def t_amavis():
	for name in ORIGINALS:
		sealed = got[name, "sealed"]
		to = name + "@c.test"
		code, text = scan(sealed, to)
		tap.equal(code, 250, "reply %r" % text)
		body = sealed.split(b"\n\n", 1)[1].replace(b"\n", b"\r\n")
		came = behind.wait(to)[0].content
		tap.equal(came.split(b"\r\n\r\n", 1)[1], body, "its body")
		tap.lacks(came, b"X-Amavis-Alert", "what came through")


def locked_zip():
	"""Marked as encrypted, in both places (APPNOTE 4.4.4)."""
	out = io.BytesIO()
	with zipfile.ZipFile(out, "w") as z:
		z.writestr("a.txt", b"hello " * 20)
	data = bytearray(out.getvalue())
	data[6] |= 1
	data[data.index(b"PK\1\2") + 8] |= 1
	return bytes(data)


@tap.case("they stop a virus, what is encrypted, and a program")
def t_stopped():
	text = got["text", "plain"]
	head = text.split(b"MIME-Version:")[0] + b"MIME-Version: 1.0\n"

	def attached(name, data):
		return (head + b"Content-Type: multipart/mixed; boundary=b\n\n"
		    b"--b\n\nSee there.\n--b\nContent-Type: application/"
		    b"octet-stream; name=" + name + b"\nContent-Disposition: "
		    b"attachment; filename=" + name + b"\nContent-Transfer-"
		    b"Encoding: base64\n\n" + sample.lines76(data).replace(
		    b"\r", b"") + b"--b--\n")
	code, reply = scan(attached(b"a.bin", b"nothing of note"), "x@c.test")
	tap.equal(code, 250, "an ordinary file: %r" % reply)
	for name, content in (
	    ("virus", text.replace(b"the parts", amavis.VIRUS)),
	    ("virus in a file", attached(b"a.bin", b"a " + amavis.VIRUS)),
	    ("locked", attached(b"a.zip", locked_zip())),
	    ("program", attached(b"a.exe", b"MZ"))):
		code, reply = scan(content, "x@c.test")
		tap.equal(code // 100, 5, "%s: reply %r" % (name, reply))


@tap.case("neither spam filter takes a receipt for spam")
def t_receipt():
	path = w.path("sealed.eml")
	proc.write_file(path, got["text", "sealed"])
	proc.run([proc.program("counterfoil"), "-c", w.agent_config(), "open",
	    path])
	receipt = named(mail.read(mail.wait(w.a, "alice")[0]))
	for scanner in (rspamd, spamassassin):
		scores = scanner.scores(receipt)
		tap.true(sum(scores.values()) < SPAM, "%s: %r" % (
		    type(scanner).__name__, scores))


def screens(argv, keys):
	"""What a program writes to its terminal, of 60 lines of 120.

	keys: pairs (what must be seen, the key to press then).
	"""
	master, slave = pty.openpty()
	fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 120,
	    0, 0))
	env = {"PATH": os.environ["PATH"], "HOME": w.folder, "TERM": "xterm",
	    "LC_ALL": "C.UTF-8"}
	child = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave,
	    env=env, start_new_session=True)
	os.close(slave)
	seen, limit = b"", time.monotonic() + 60
	try:
		for wanted, key in keys:
			at = len(seen)
			while wanted not in seen[at:]:
				ready, _, _ = select.select([master], [], [],
				    max(0, limit - time.monotonic()))
				tap.true(ready, "%r on the screen: %r" % (wanted,
				    seen[-3000:]))
				seen += os.read(master, 65536)
			os.write(master, key)
	finally:
		child.kill()
		child.wait()
		os.close(master)
	return seen


@tap.case("mutt shows the notice, and a file to save")
def t_mutt():
	path = w.path("mbox")
	os.mkdir(w.path("Mail"))	# or it asks
	proc.write_file(path, b"From alice@a.test Mon Nov 23 13:35:00 2026\n"
	    + got["text", "sealed"])
	seen = screens(["mutt", "-n", "-F", "/dev/null", "-e", "ignore *",
	    "-R", "-f", path], [(b"Offer no. 12", b"\r"),
	    (b"return receipt", b"v"), (NAME.encode(), b"q")])
	tap.lacks(seen, b"S/MIME", "the screen")
	tap.lacks(seen, b"decrypt this", "the screen")


if __name__ == "__main__":
	tap.main(start, stop)
