#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""counterfoil open against a key server that helps, refuses and lies."""

import base64
import glob
import hashlib
import json
import os
import pty
import re
import resource
import socket
import stat
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "contrib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lab import ca, conf, proc, sample, tap  # noqa: E402
import fake  # noqa: E402

ASK = ["/api/v1/challenge", "/api/v1/retrieve"]
PATIENT_S = 120		# for what succeeds: a busy machine is slow
SIMPLE = (b"From: alice@a.test\r\nSubject: hello\r\n\r\n"
    b"One line.\r\n.\r\n\xff\xfe no newline")


class World:
	folder = server = None


def setup():
	World.folder = proc.private_dir()


def teardown():
	proc.remove_tree(World.folder)


class Case:
	"""A key server, a sealed message in a file, a place for the output."""

	def __init__(self, original=SIMPLE, raw=False, tls=None, large=False):
		self.folder = proc.private_dir()
		self.server = fake.Server(tls)
		self.sealed = fake.Sealed(original, self.server.url, raw,
		    os.path.join(self.folder, "e") if large else None)
		self.server.register(self.sealed)
		self.file = os.path.join(self.folder, "delivered.eml")
		self.out = os.path.join(self.folder, "original.eml")
		self.config = os.path.join(self.folder, "counterfoil.conf")
		self.configure()
		self.write(self.sealed.mail())

	def __enter__(self):
		return self

	def __exit__(self, *_):
		self.server.stop()
		proc.remove_tree(self.folder)

	def configure(self, **options):
		conf.write(self.config, dict({"timeout_s": PATIENT_S,
		    "deadline_s": PATIENT_S,
		    "allowed_key_servers": [self.server.url]}, **options))

	def write(self, content):
		proc.write_file(self.file, content)

	def run(self, *words, before=(), limit_s=3 * PATIENT_S, **kw):
		return proc.run([proc.program("counterfoil"), "-c",
		    self.config, *before, "open", *words], check=False,
		    limit_s=limit_s, **kw)

	def open(self, *words, **kw):
		return self.run("-o", self.out, *words, self.file, **kw)

	def leftovers(self):
		return [p for p in glob.glob(self.out + "*")]

	def must_open(self, done):
		tap.equal(done.returncode, 0, "exit status; it said: "
		    + done.stderr.decode())
		with open(self.out, "rb") as f:
			tap.equal(f.read(), self.sealed.original,
			    "the original")
		tap.equal(self.leftovers(), [self.out], "files")
		tap.equal(self.server.wrong, [], "wrong requests")

	def must_fail(self, done, status, says):
		tap.equal((done.returncode, done.stdout), (status, b""),
		    "exit status and output; it said: "
		    + done.stderr.decode())
		tap.contains(done.stderr.decode(), says, "what it said")
		tap.equal(done.stderr.count(b"\n"), 1, "one line")
		tap.equal(self.leftovers(), [], "nothing is written")
		tap.equal(self.server.opened, [], "no opening proof")
		for secret in ("key", "token"):
			tap.lacks(done.stderr.decode(),
			    self.sealed.values[secret], "what it said")


@tap.case("open writes the identical message and proves that it was opened")
def t_open():
	with Case() as c:
		c.must_open(c.open())
		tap.equal(c.server.calls, ASK + ["/api/v1/open"], "calls")
		tap.equal(len(c.server.opened), 1, "opening proof")
		tap.equal(stat.S_IMODE(os.stat(c.out).st_mode), 0o600, "mode")


@tap.case("to standard output, from standard input, with LF lines, quietly")
def t_streams():
	with Case() as c:
		done = c.run(c.file)
		tap.equal((done.returncode, done.stdout), (0, SIMPLE), "stdout")
		tap.contains(done.stderr.decode(), "alice@a.test", "who")
		done = c.run("-q", "-", input=c.sealed.mail(eol=b"\n"))
		tap.equal((done.returncode, done.stdout, done.stderr),
		    (0, SIMPLE, b""), "-q, LF, stdin")


@tap.case("without standard output nothing is asked, without any of them the "
    "message is whole")
def t_closed():
	def closed(how, *words):
		return proc.run(["sh", "-c", 'exec "$@" ' + how, "sh",
		    proc.program("counterfoil"), "-c", c.config, "open",
		    *words, c.file], check=False, limit_s=3 * PATIENT_S)
	with Case() as c:
		done = closed(">&-")
		tap.equal((done.returncode, c.server.calls), (75, []),
		    "exit status, calls")
		tap.contains(done.stderr.decode(),
		    "standard output is closed", "why")
		c.must_open(closed("<&- >&- 2>&-", "-o", c.out))


@tap.case("a directory is named as what it is, and nobody is asked")
def t_directory():
	with Case() as c:
		c.must_fail(c.run(c.folder), 75, c.folder + ": Is a directory")
		tap.equal(c.server.calls, [], "calls")


@tap.case("the notice replaced and trace fields put on top change nothing")
def t_rewritten():
	with Case() as c:
		c.write(c.sealed.mail(text=b"Another =\r\nnotice, longer.",
		    more=b"Return-Path: <alice@a.test>\r\n"
		    b"Received: from a by b;\r\n\tMon, 23 Nov 2026"))
		c.must_open(c.open())


def must_open_in(mb, original_mb):
	# A sanitizer keeps what was freed, and notes of its own.
	mb = 1000 if proc.sanitized() else mb
	original = SIMPLE + os.urandom(1 << 20) * original_mb
	status = []

	def look(_answer):
		"""All is written when the proof of opening comes."""
		status.append(proc.read_text("/proc/%d/status" % process.pid))

	with Case(original, large=True) as c:
		c.server.answers["/api/v1/open"] = [look]
		process = subprocess.Popen([proc.program("counterfoil"),
		    "-c", c.config, "open", "-o", c.out, c.file],
		    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
		out, err = process.communicate(timeout=PATIENT_S)
		c.must_open(subprocess.CompletedProcess(process.args,
		    process.returncode, out, err))
		peak = re.search(r"VmHWM:\s+(\d+) kB", status[0]).group(1)
		tap.true(int(peak) <= mb << 10, "at most %d MB for a mail of "
		    "%d MB, not %d kB" % (mb, os.path.getsize(c.file) >> 20,
		    int(peak)))


@tap.case("a message of 25 MB in 24 MB of memory")
def t_flat():
	must_open_in(24, 25)


@tap.case("a message of 200 MB in the same 24 MB")
def t_flat_large():
	must_open_in(24, 200)


@tap.case("a large message with everything that is easily damaged")
def t_full():
	original = sample.Full().unflagged
	with Case(original) as c:
		c.must_open(c.open())


@tap.case("the attachment alone, with L, the reader link or what became of it")
def t_bare():
	with Case() as c:
		c.write(c.sealed.e)
		c.must_fail(c.open(), 1, "--link")
		tap.equal(c.server.calls, [], "nobody was asked")
		for link in (c.sealed.link, c.sealed.reader_link(),
		    c.sealed.reader_link().replace("%", "%25")):
			c.must_open(c.open("--link", link))
			os.unlink(c.out)
		c.must_open(c.open("--link", "-",
		    input=c.sealed.link.encode() + b"\n"))
		os.unlink(c.out)
		c.server.opened.clear()
		c.must_fail(c.open("--link", c.sealed.link[:-1]), 1,
		    "Copy the whole link")
		# Of no use however it is copied.
		for link in (c.sealed.link.lower(), "https://bit.ly/AbC"):
			c.must_fail(c.open("--link", link), 1,
			    "To copy it again does not help.")
		other = fake.Sealed(SIMPLE, c.server.url)
		c.must_fail(c.open("--link", other.link), 1,
		    "another message")


@tap.case("--link - takes a broken link, and the whole text of the notice")
def t_link_from_input():
	with Case() as c:
		c.write(c.sealed.e)
		link = c.sealed.link.encode()
		for text in (link, link[:60] + b"\n" + link[60:] + b"\n",
		    b"\r\n" + link[:50] + b"\r\n> " + link[50:] + b"\r\n",
		    b"A sealed message.\n\nOpen this:\n\n" + link
		    + b"\n\nIt opens in the browser.\n"):
			c.must_open(c.open("--link", "-", input=text))
			os.unlink(c.out)
		c.server.opened.clear()
		c.must_fail(c.open("--link", "-", input=b""), 1, "no link")
		c.must_fail(c.open("--link", "-", input=b"x" * 100000), 1,
		    "no link of a sealed message")


def type_link(c, typed):
	"""open --link - with `typed` at a terminal that nobody closes."""
	ours, theirs = pty.openpty()
	p = subprocess.Popen([proc.program("counterfoil"), "-c", c.config,
	    "open", "-q", "-o", c.out, "--link", "-", c.file], stdin=theirs,
	    stdout=theirs, stderr=subprocess.PIPE)
	os.close(theirs)
	try:
		os.write(ours, typed)
		said = p.communicate(timeout=PATIENT_S)[1]
	finally:
		p.kill()
		p.wait()
		os.close(ours)
	return p.returncode, said.decode()


@tap.case("at a terminal a link ends where it is whole, or with an empty line")
def t_link_typed():
	with Case() as c:
		c.write(c.sealed.e)
		link = c.sealed.link.encode()
		for text in (link + b"\n", link[:60] + b"\n" + link[60:]
		    + b"\n", b"Open this:\n\n" + link + b"\n", link
		    + b"\4\4"):
			tap.equal(type_link(c, text), (0, ""), "%r" % text)
			os.unlink(c.out)
		for text, says in ((link[:60] + b"\n\n", "incomplete"),
		    (b"\4", "no link was given")):
			status, said = type_link(c, text)
			tap.equal(status, 1, "%r" % text)
			tap.contains(said, says, "%r" % text)


def lost_links(sealed):
	"""What stands in place of the link, and what is said."""
	return ((sealed.link.lower(), "small letters were made"),
	    (sealed.link[:-4], "the end of its link is missing"),
	    ("https://protect-eu.mimecast.com/s/AbCdEf",
	    "Mimecast put a link of its own in its place"))


@tap.case("a mail whose own link is lost: what helps is said, not to copy it")
def t_link_lost():
	with Case() as c:
		for link, says in lost_links(c.sealed):
			c.write(stripped(c.sealed, text=b"Open this:\r\n\r\n"
			    + link.encode() + b"\r\n"))
			done = c.open()
			c.must_fail(done, 1, says)
			said = done.stderr.decode()
			tap.contains(said, "another copy of the mail", "said")
			tap.contains(said, "ask the sender for the link", "said")
			tap.lacks(said, "Copy the whole", "said")
			c.must_open(c.open("--link", c.sealed.link))
			os.unlink(c.out)
			c.server.opened.clear()


FORWARD = b"""From: bob@b.test
Subject: Fwd: an offer
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="F"

--F

see below
--F
Content-Type: %s
Content-Transfer-Encoding: %s

%s
--F--
"""


def stripped(sealed, **kw):
	"""P whose sealed part has no field of ours any more."""
	return re.sub(rb"Counterfoil-\S+: .*\r\n", b"", sealed.mail(**kw))


@tap.case("what lists, gateways and forwarders make of it opens all the same")
def t_changed_on_its_way():
	with Case() as c:
		link = c.sealed.reader_link().encode().replace(b"=", b"=3D")
		link = link[:40] + b"=\r\n" + link[40:]
		mail = c.sealed.mail()
		bare = stripped(c.sealed, text=b"Open " + link)
		encoded = base64.encodebytes(c.sealed.e)
		for content in (
		    mail + b"\r\n-- \r\nA list.\r\n",
		    mail.replace(b"application/pkcs7-mime", b"text/plain"),
		    mail.replace(b": base64", b": 7bit (said a gateway)"),
		    bare, bare.replace(b"multipart/mixed", b"--"),
		    FORWARD % (b"message/rfc822", b"7bit", bare),
		    FORWARD % (b"message/rfc822", b"base64",
		    base64.encodebytes(bare)),
		    FORWARD % (b"application/pkcs7-mime", b"base64", encoded)
		    + c.sealed.link.encode()):
			c.write(content)
			c.must_open(c.open())
			os.unlink(c.out)


@tap.case("--link counts beside a mail, and the mail's own other one is told")
def t_link_beside():
	with Case() as c:
		c.write(stripped(c.sealed))
		c.must_fail(c.open(), 1, "give it with --link")
		done = c.open("--link", c.sealed.reader_link())
		c.must_open(done)
		tap.lacks(done.stderr.decode(), "another link", "one link")
		other = fake.Sealed(SIMPLE, c.server.url)
		c.server.opened.clear()
		for wrong in (other.link, c.sealed.link.replace(c.server.url,
		    "https://keys.example")):
			os.unlink(c.out)
			c.write(c.sealed.mail(link=wrong))
			done = c.open("--link", c.sealed.link)
			c.must_open(done)
			tap.contains(done.stderr.decode(), "has another link",
			    "said")


@tap.case("of several sealed messages the person chooses by key id or link")
def t_several():
	with Case() as c:
		other = fake.Sealed(b"Subject: two\r\n\r\n", c.server.url)
		c.server.register(other)
		c.write(FORWARD % (b"message/rfc822", b"8bit", c.sealed.mail())
		    + other.mail() + c.sealed.mail(eol=b"\n"))
		done = c.open()
		tap.equal((done.returncode, done.stdout), (1, b""), "refused")
		lines = done.stderr.decode().splitlines()
		tap.contains(lines[0], "more than one sealed message. (it has "
		    "2; say with --key-id which one)", "what it said")
		tap.equal([line.split()[0] for line in lines[1:]],
		    [c.sealed.handle, other.handle], "listed")
		tap.contains(lines[1], c.server.url, "its key server")
		tap.equal(c.server.calls, [], "nobody was asked")
		for words in (("--key-id", c.sealed.handle), ("--link",
		    c.sealed.link), ("--key-id", c.sealed.handle, "--link",
		    c.sealed.reader_link())):
			c.must_open(c.open(*words))
			os.unlink(c.out)
		done = c.run("-q", "--key-id", other.handle, c.file)
		tap.equal(done.stdout, other.original, "the other one")
		c.server.opened.clear()
		c.must_fail(c.open("--key-id", "A" * 22), 1, "--key-id")
		# One that is there twice is one.
		c.write(c.sealed.mail() + c.sealed.mail())
		c.must_open(c.open())


@tap.case("the attachment saved as text, padded or with its fields")
def t_saved_text():
	with Case() as c:
		text = base64.encodebytes(c.sealed.e)
		for content in (text, b"-----BEGIN CMS-----\n" + text
		    + b"-----END CMS-----\n", c.sealed.e + b"\r\n",
		    c.sealed.e + b"\0\0\0"):
			c.write(content)
			c.must_fail(c.open(), 1, "with --link")
			c.must_open(c.open("--link", c.sealed.link))
			os.unlink(c.out)
			c.server.opened.clear()
		mail = c.sealed.mail()
		c.write(mail[mail.index(b"Content-Type: application"):])
		c.must_open(c.open())


@tap.case("the link is not in the process list while open waits")
def t_process_list():
	with Case() as c:
		c.write(c.sealed.e)
		c.server.answers["/api/v1/challenge"] = ["silent"]
		p = subprocess.Popen([proc.program("counterfoil"), "-c",
		    c.config, "open", "--link", c.sealed.link, c.file],
		    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
		try:
			proc.wait_for(lambda: c.server.calls, 60, "its request")
			words = proc.read_text("/proc/%d/cmdline" % p.pid)
		finally:
			p.kill()
			p.wait()
		tap.contains(words, "--link", "the process list")
		tap.lacks(words, c.sealed.values["token"], "the process list")


@tap.case("-n asks who sealed it and retrieves nothing")
def t_describe():
	with Case() as c:
		done = c.run("-n", c.file)
		tap.equal(done.returncode, 0, "exit status")
		for part in ("\nSealed for     alice@a.test\n",
		    "\nAssurance      bearer\n", c.server.url,
		    "Who you are is not checked."):
			tap.contains(done.stdout.decode(), part, "-n")
		tap.lacks(done.stdout.decode(), "nchecked", "a listed one")
		tap.equal(c.server.calls, ["/api/v1/challenge",
		    "/api/v1/describe"], "calls")
		tap.equal(c.server.wrong, [], "wrong requests")
		tap.lacks(done.stdout.decode(), "Open until", "without an end")
		c.server.answers["/api/v1/describe"] = [lambda a: a.update(
		    expires_at="2026-12-24T12:00:00.000Z")]
		tap.contains(c.run("-n", c.file).stdout.decode(),
		    "\nOpen until     2026-12-24T12:00:00.000Z\n", "an end")
		for state in ("expired", "revoked"):
			c.server.answers["/api/v1/describe"] = [
			    lambda a: a.update(state=state)]
			out = c.run("-n", c.file).stdout.decode()
			tap.contains(out, "\nState          %s\n" % state, state)
			tap.contains(out, "\nThis message can no longer be opened. "
			    "Ask the sender to send it again.\n", state)
			tap.lacks(out, "Is recorded", "what would be recorded")


@tap.case("text from the key server cannot drive the terminal")
def t_terminal():
	with Case() as c:
		c.server.answers["/api/v1/describe"] = [lambda a: a.update(
		    message_id="a\x1b[2Jb\nAssurance x\x9b\u202ec \u00fc")]
		done = c.run("-n", c.file)
		tap.contains(done.stdout.decode(), "c \u00fc", "kept")
		for bad in (b"\x1b", b"\xc2\x9b", b"\xe2\x80\xae"):
			tap.lacks(done.stdout, bad, "the output")
		tap.equal(done.stdout.count(b"\nAssurance"), 1, "lines")


@tap.case("a wrong key, and a key that is not the registered one")
def t_wrong_key():
	with Case() as c:
		key = fake.b64(os.urandom(32))
		c.server.keys[c.sealed.handle]["key"] = key
		c.must_fail(c.open(), 1, "does not match what its sender")
		tap.equal(len(c.server.mismatches), 1, "reported")
		# A server that gives and registers the same wrong key.
		c.server.keys[c.sealed.handle]["key_commitment"] = fake.b64(
		    hashlib.sha256(b"counterfoil key v1\0"
		    + fake.unb64(key)).digest())
		c.must_fail(c.open(), 1, "key does not belong")
		tap.equal(len(c.server.mismatches), 1, "not reported again")


@tap.case("another opening key than the registered one: nothing, reported")
def t_mismatch():
	with Case() as c:
		c.server.answers["/api/v1/retrieve"] = [lambda a: a.update(
		    opening_key=fake.b64(os.urandom(32)))]
		c.must_fail(c.open(), 1, "does not match what its sender")
		tap.equal(len(c.server.mismatches), 1, "reported")
		tap.equal(c.server.wrong, [], "wrong requests")
	with Case() as c:
		c.server.answers["/api/v1/retrieve"] = [lambda a: a.update(
		    opening_key=fake.b64(os.urandom(32)))]
		c.server.answers["/api/v1/mismatch"] = ["close"] * 50
		c.configure(deadline_s=8)	# for each of the two
		c.must_fail(c.open(), 1, "does not match what its sender")


@tap.case("changed bytes: ciphertext, tag, wrapped key, key id, a cut")
def t_damaged():
	with Case() as c:
		e = c.sealed.e
		middle = len(e) - 40
		for at, status, says in (
		    (middle, 1, "damaged on its way"), (len(e) - 1, 1,
		    "damaged on its way")):
			bad = bytearray(e)
			bad[at] ^= 1
			c.write(c.sealed.mail(bytes(bad)))
			done = c.open()
			c.must_fail(done, status, says)
			for more in ("does not accept this copy",
			    "open its link in a browser",
			    "ask the sender to send it again"):
				tap.contains(done.stderr.decode(), more, "said")
			tap.lacks(done.stderr.decode(), "proof", "said")
		bad = bytearray(e)
		at = e.index(fake.unb64(c.sealed.handle))
		bad[at] ^= 1
		c.write(c.sealed.mail(bytes(bad)))
		c.must_fail(c.open(), 1, "for another message")
		for cut in (0, 1, 10, 100, len(e) - 17, len(e) - 1):
			c.write(c.sealed.mail(e[:cut]))
			c.must_fail(c.open(), 1, "")
	with Case() as c:
		# 40 bytes of wrapped key are in E but not in the proof.
		bad = bytearray(c.sealed.e)
		at = bad.index(bytes.fromhex("60864801650304012d")) + 9
		tap.equal(bytes(bad[at:at + 2]), b"\x04\x28", "wrapped key")
		bad[at + 20] ^= 1
		c.write(c.sealed.mail(bytes(bad)))
		c.must_fail(c.open(), 1, "key does not belong")


@tap.case("damage that the key server does not notice is found by the tag")
def t_damaged_registered():
	with Case() as c:
		bad = bytearray(c.sealed.e)
		bad[-1] ^= 1
		c.write(c.sealed.mail(bytes(bad)))
		c.server.proven = lambda *_: True
		possession = c.server.keys[c.sealed.handle]["possession_key"]

		def lie(answer):
			answer["possession_key"] = possession_of(bytes(bad))
		c.server.answers["/api/v1/retrieve"] = [lie]
		c.must_fail(c.open(), 1, "damaged on its way")
		# Without the lie, the registration tells.
		c.server.done = lambda *_: True
		tap.true(possession, "registered")
		c.must_fail(c.open(), 1, "does not match what its sender")


def possession_of(e):
	"""The possession key of E, from its description and openssl."""
	tag = e[-16:]
	at = e.index(bytes.fromhex("60864801650304012e")) + 9
	# SEQUENCE { OCTET STRING nonce(12), INTEGER 16 }
	tap.equal(e[at:at + 4], b"\x30\x11\x04\x0c", "GCM parameters")
	nonce = e[at + 4:at + 16]
	rest = e[at + 16 + 3:-18]
	# [0] IMPLICIT OCTET STRING: the ciphertext is its content.
	tap.equal(rest[0], 0x80, "the ciphertext's tag")
	size = 2 if rest[1] < 0x80 else 2 + (rest[1] & 0x7f)
	digest = hashlib.sha256(rest[size:] + tag).digest()
	seed = hashlib.sha256(b"counterfoil possession v1\0" + nonce
	    + digest).digest()
	der = bytes.fromhex("302e020100300506032b657004220420") + seed
	done = proc.run(["openssl", "pkey", "-inform", "DER", "-pubout",
	    "-outform", "DER"], input=der)
	return fake.b64(done.stdout[-32:])


@tap.case("what was sealed without the inner form is not given out")
def t_not_m():
	with Case(SIMPLE, raw=True) as c:
		c.must_fail(c.open(), 1, "not in the form Counterfoil makes")


@tap.case("refusals are told with the server's reason, exit 1")
def t_refused():
	for path in ASK:
		for status, slug in ((410, "revoked"), (410, "expired"),
		    (403, "not-yet"), (404, "unknown-key")):
			with Case() as c:
				c.server.answers[path] = [fake.problem(status,
				    slug, "The sender said no on Tuesday.")]
				c.must_fail(c.open(), 1,
				    "The sender said no on Tuesday.")
				tap.equal(c.server.calls, ASK[:ASK.index(path)
				    + 1], "asked once")
	with Case() as c:
		c.server.keys.clear()
		done = c.open()
		c.must_fail(done, 1, "There is no key for this link. (%s"
		    % c.server.url)
		tap.contains(done.stderr.decode(), "without --link", "said")
	with Case() as c:
		# Its own sentence, which is ours, once.
		c.server.answers[ASK[0]] = [fake.problem(404, "unknown-key",
		    "There is no key for this link.")]
		done = c.open()
		c.must_fail(done, 1, "says so")
		tap.equal(done.stderr.decode().count("There is no key"), 1,
		    "once")


@tap.case("busy, lost, half and closed: tried again, from a new challenge")
def t_again():
	for fault in ("lost", "close", "half", fake.problem(503, "busy",
	    "Busy."), fake.problem(503, "database-unavailable", "Away.")):
		for path in ASK + ["/api/v1/open"]:
			with Case() as c:
				c.server.answers[path] = [fault, fault]
				c.must_open(c.open())
	with Case() as c:
		c.server.answers["/api/v1/retrieve"] = [fake.problem(403,
		    "challenge-used", "Used.")]
		c.must_open(c.open())
		tap.equal(c.server.calls, ASK * 2 + ["/api/v1/open"], "calls")


@tap.case("a key server that is away, silent or babbles: exit 75, nothing")
def t_away():
	for path in ASK:
		for plan in ([(500, b"<h1>Oops</h1>")], [(200, b"garbage")],
		    [(200, b"[]")], [(200, b"{}")], [(200, b"{" * 9000)],
		    [(200, b"x" * 100000)], [(302, b"")], [(200, b"")],
		    [(200, b'{"challenge":"short"}')],
		    ["close"] * 90, [fake.problem(503, "busy", "B.")] * 90):
			with Case() as c:
				c.configure(deadline_s=1)
				c.server.answers[path] = list(plan)
				c.must_fail(c.open(), 75, "try again later")
	with Case() as c:
		c.configure(timeout_s=1, deadline_s=1)
		c.server.answers["/api/v1/retrieve"] = ["silent"] * 9
		c.must_fail(c.open(), 75, "did not answer in time")
	with Case() as c, socket.socket() as nobody:
		# The last attempt then has 3 s, enough to hear of it.
		c.configure(deadline_s=6)
		c.server.stop()
		c.server.stop = lambda: None
		# Nobody else is to listen there meanwhile.
		nobody.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		nobody.bind(("127.0.0.1", c.server.http.server_port))
		c.must_fail(c.open(), 75, "could not be reached")


@tap.case("each member of a release missing or changed: nothing is written")
def t_release_members():
	with Case() as c:
		members = c.server.retrieve(c.sealed.values, {
		    "handle": c.sealed.handle, "challenge": "x",
		    "origin": "-", "time": fake.NOW, "signature": ""})[1]
		c.server.proven = lambda *_: True
		c.server.challenges["x"] = False
		members = c.server.retrieve(c.sealed.values, {"handle":
		    c.sealed.handle, "challenge": "x"})[1]
		for name in members:
			for change in (lambda a, n=name: a.pop(n),
			    lambda a, n=name: a.update({n: None}),
			    lambda a, n=name: a.update({n: {"x": "y"}})):
				c.server.answers["/api/v1/retrieve"] = [change]
				c.must_fail(c.open(), 75, '"%s"' % name)


@tap.case("an opening proof that is not taken is said, the message stays")
def t_no_proof():
	with Case() as c:
		c.server.answers["/api/v1/open"] = [fake.problem(404,
		    "unknown-release", "No such release here.")]
		done = c.open()
		c.must_open(done)
		tap.contains(done.stderr.decode(), "No such release here.",
		    "what it said")


@tap.case("a key server that is on no list is not asked without a yes")
def t_unlisted():
	with Case() as c:
		for options in ({"allowed_key_servers": None},
		    {"allowed_key_servers": ["https://keys.example"]}):
			c.configure(**options)
			c.must_fail(c.open(), 1, "is not on your list. (%s; "
			    "it was not asked)" % c.server.url)
			c.must_fail(c.run("-n", c.file), 1, "--ask-server")
		c.must_fail(c.open("--ask-server", "keys.example"), 1,
		    "not on your list")
		c.configure()
		c.must_fail(c.open(before=("--key-server",
		    "https://keys.example")), 1, "not on your list")
		tap.equal(c.server.calls, [], "nobody was asked")


@tap.case("the lists, and --key-server, say whom to believe")
def t_listed():
	with Case() as c:
		for before, options in (
		    ((), {"allowed_key_servers": ["https://keys.example",
		        c.server.url]}),
		    ((), {"allowed_key_servers": None,
		        "key_servers": [c.server.url]}),
		    (("--key-server", c.server.url), {"allowed_key_servers":
		        ["https://keys.example"]})):
			c.configure(**options)
			done = c.open(before=before)
			c.must_open(done)
			tap.contains(done.stderr.decode(),
			    "\nSealed for     alice@a.test\n", "believed")
			tap.lacks(done.stderr.decode(), "nchecked", "believed")
			os.unlink(c.out)


@tap.case("who has no configuration uses the machine's")
def t_site():
	folder = proc.run(["sed", "-n", "s/^sysconfdir = //p; s/^prefix = //p",
	    os.path.join(proc.builddir(), "Makefile")]).stdout.decode()
	prefix, folder = folder.split()
	folder = folder.replace("${prefix}", prefix)
	with Case() as c:
		# In a mount namespace of its own, the machine has one.
		script = "mount -t tmpfs none %s && mkdir %s/counterfoil && " \
		    "cp %s %s/counterfoil && exec %s open -o %s %s" % (folder,
		    folder, c.config, folder, proc.program("counterfoil"),
		    c.out, c.file)
		argv = ["unshare", "-m" if os.geteuid() == 0 else "-rm", "sh",
		    "-c", script]
		env = {k: v for k, v in os.environ.items()
		    if k != "XDG_CONFIG_HOME"}
		c.must_open(proc.run(argv, check=False, env=dict(env,
		    HOME=os.path.join(c.folder, "none"))))
		os.unlink(c.out)
		c.server.opened.clear()
		# His own comes first, and it believes nobody.
		os.mkdir(os.path.join(c.folder, ".config"))
		conf.write(os.path.join(c.folder, ".config",
		    "counterfoil.conf"), {})
		c.must_fail(proc.run(argv, check=False, env=dict(env,
		    HOME=c.folder)), 1, "not on your list")


FACT = re.compile(r"^(Sealed|Domain|Account|Message|Open|State|Assur)", re.M)


def must_be_unchecked(text):
	"""What an unlisted server said stands there, and not as a fact."""
	tap.contains(text, "Nobody has checked this:\n", "the warning")
	tap.contains(text, "\nUnchecked: Sealed for     alice@a.test\n", "row")
	tap.contains(text, "\nIs recorded    what this key server likes\n",
	    "what is recorded")
	tap.equal(FACT.findall(text), [], "bare facts")
	for word in ("hecked: Who", "is told"):
		tap.lacks(text, word, "a promise for it")


@tap.case("with --ask-server it is asked, and nothing it says is a fact")
def t_ask_server():
	with Case() as c:
		c.configure(allowed_key_servers=None)
		for name in (c.server.url, c.server.url.split("//")[1]):
			done = c.run("-n", "--ask-server", name, c.file)
			tap.equal((done.returncode, done.stderr), (0, b""),
			    "-n")
			must_be_unchecked(done.stdout.decode())
			done = c.open("--ask-server", name)
			c.must_open(done)
			must_be_unchecked(done.stderr.decode())
			# Though its domain is that of the sender inside.
			tap.contains(done.stderr.decode(), "Take care: the "
			    "sender's name is not confirmed. Inside, the "
			    "message names alice@a.test. Its key server is "
			    "not on your list.\n", "the sender")
			os.unlink(c.out)


def at_terminal(c, answer, *words):
	"""open with a terminal at which `answer` is typed; its text, status."""
	ours, theirs = pty.openpty()
	p = subprocess.Popen([proc.program("counterfoil"), "-c", c.config,
	    "open", *words, c.file], stdin=theirs, stderr=theirs,
	    stdout=subprocess.PIPE)
	os.close(theirs)
	try:
		text = b""
		while b"[y/N] " not in text:
			text += os.read(ours, 4096)
		calls = list(c.server.calls)
		os.write(ours, answer)
		out = p.communicate(timeout=PATIENT_S)[0]
	finally:
		p.kill()
		p.wait()
		os.close(ours)
	tap.equal(calls, [], "asked before the answer")
	return p.returncode, text.decode(), out.decode()


@tap.case("at a terminal the person is asked first; only a yes is a yes")
def t_terminal_consent():
	with Case() as c:
		c.configure(allowed_key_servers=None)
		for answer in (b"\n", b"n\n", b"no\n", b"yesterday\n", b"\4"):
			status, text, _ = at_terminal(c, answer, "-n")
			tap.equal(status, 1, "status after %r" % answer)
			tap.contains(text, c.server.url, "the question")
			tap.contains(text, "can say anything", "the question")
			tap.equal(c.server.calls, [], "calls")
		for answer in (b"y\n", b"YES\n"):
			status, _, out = at_terminal(c, answer, "-n")
			tap.equal(status, 0, "status after %r" % answer)
			must_be_unchecked(out)
			c.server.calls.clear()


@tap.case("a hostile server's words never stand there as ours")
def t_hostile_words():
	with Case() as c:
		c.server.answers["/api/v1/describe"] = [lambda a: a.update(
		    records="Nothing is recorded.")]
		tap.lacks(c.run("-n", c.file).stdout.decode(),
		    "Nothing is recorded", "its own sentence")
		for name, value in (("state", "checked by your bank"),
		    ("assurance", "notary"), ("issued_at", "just now")):
			c.server.answers["/api/v1/describe"] = [
			    lambda a: a.update({name: value})]
			c.must_fail(c.run("-n", c.file), 75, '"%s"' % name)
		c.server.answers["/api/v1/describe"] = [fake.problem(410,
		    "revoked", "Gone. (checked) Go to http://evil.test")]
		c.must_fail(c.run("-n", c.file), 1, '%s says: "Gone. (checked) '
		    'Go to http://evil.test"' % c.server.url)


@tap.case("another sender inside than the one vouched for: a warning")
def t_sender_inside():
	for name in (b"ceo@bank.example", b"alice@mail.a.test",
	    b"alice@a.test, ceo@bank.example"):
		with Case(SIMPLE.replace(b"alice@a.test", name)) as c:
			for words in ((), ("-q",)):
				done = c.open(*words)
				c.must_open(done)
				tap.contains(done.stderr.decode(), "Take care: "
				    "the sender's name is not confirmed. "
				    "Inside, the message names %s. It was "
				    "sealed by alice@a.test, who may write "
				    "for a.test only.\n" % name.decode(),
				    "the warning")
				os.unlink(c.out)
	with Case(b"Subject: x\r\n\r\nNobody.\r\n") as c:
		tap.contains(c.open().stderr.decode(), "no clear sender",
		    "the warning")
	with Case() as c:
		tap.lacks(c.open().stderr.decode(), "Take care", "alice@a.test")


@tap.case("an output that cannot be written costs no receipt")
def t_output():
	with Case() as c:
		done = c.run("-o", c.folder + "/none/x", c.file)
		c.must_fail(done, 75, "No such file")
		done = c.run("-o", c.folder, c.file)
		c.must_fail(done, 75, "not a regular file")
		tap.equal(c.server.calls, [], "nobody was asked")
		proc.write_file(c.out, b"old")
		c.server.answers["/api/v1/retrieve"] = [fake.problem(410,
		    "revoked", "Gone.")]
		tap.equal(c.open().returncode, 1, "refused")
		tap.equal(proc.read_text(c.out), "old", "the old file")
		c.must_open(c.open())
		with open("/dev/full", "wb") as full:
			done = subprocess.run([proc.program("counterfoil"),
			    "-c", c.config, "open", c.file], stdout=full,
			    stderr=subprocess.PIPE, timeout=60)
		tap.equal(done.returncode, 75, "a full disk")
		tap.equal(len(c.server.opened), 1,
		    "no proof for what nobody has")


@tap.case("a disk without room for the output costs no receipt")
def t_no_room():
	def small_files():
		resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))
	# What is read has room in memory, or has not.
	for size in (60000, 3000000):
		with Case(SIMPLE + b"x" * size) as c:
			# Python ignores the signal that would end it.
			done = c.open(preexec_fn=small_files,
			    restore_signals=False)
			c.must_fail(done, 75, "too large")
			tap.equal(c.server.calls, [], "nobody was asked")


@tap.case("files that are not sealed mail: a sentence, exit 1")
def t_not_sealed():
	with Case() as c:
		for content in (b"", b"\n", b"\0" * 1000, SIMPLE, b"0\x82",
		    b"\x30\x82\xff\xff" + b"x" * 100, os.urandom(5000),
		    stripped(c.sealed),
		    c.sealed.mail(link="https://keys.test/k/short#x")):
			c.write(content)
			c.must_fail(c.open(), 1, "")
		c.must_fail(c.run("-o", c.out, c.folder + "/none"), 75,
		    "No such file")
		tap.equal(c.server.calls, [], "nobody was asked")


@tap.case("HTTPS: our authority is believed, others are not; no http away")
def t_tls():
	authority = ca.Authority(os.path.join(World.folder, "ca"))
	other = ca.Authority(os.path.join(World.folder, "other"))
	with Case(tls=authority.server("keys")) as c:
		c.configure(ca_file=authority.file)
		c.must_open(c.open())
		os.unlink(c.out)
		c.server.opened.clear()
		c.configure(ca_file=other.file)
		c.must_fail(c.open(), 75, "not known here")
		c.write(c.sealed.mail(link=c.sealed.link.replace("https://"
		    "localhost", "http://keys.test")))
		c.must_fail(c.open(), 1, "")


@tap.case("wrong arguments and configuration: exit 2")
def t_usage():
	with Case() as c:
		for words in ([], ["a", "b"], ["-x", c.file], ["-o"],
		    ["--link", "-", "-"]):
			tap.equal(c.run(*words).returncode, 2, "%s" % words)
		for words in ([], ["nonsense"], ["-c"], ["--key-server",
		    "http://keys.test", "open", c.file]):
			tap.equal(proc.run([proc.program("counterfoil")]
			    + words, check=False).returncode, 2, "%s" % words)
		proc.write_file(c.config, b"\ntimeouts = 3\n")
		done = c.open()
		tap.equal(done.returncode, 2, "unknown option")
		tap.contains(done.stderr.decode(),
		    "counterfoil.conf:2: unknown option", "the sentence")


@tap.case("the text that decrypts to two messages is shown as neither")
def t_two_texts():
	with open(os.path.join(TOP, "tests", "vectors",
	    "two-text.json")) as f:
		v = json.load(f)
	with Case() as c:
		c.server.keys[v["key_id"]] = dict(v["registered"],
		    token=v["token"], key=v["kd"])
		link = "%s/k/%s#%s" % (c.server.url, v["key_id"], v["token"])
		c.write(c.sealed.mail(fake.unb64(v["message_b"]), link))
		done = c.open()
		c.must_fail(done, 1, "does not match what its sender")
		tap.lacks(done.stderr, b"We accept", "what it said")
		tap.equal(len(c.server.mismatches), 1, "reported")
		# The other one is what was registered, but is no mail.
		c.write(c.sealed.mail(fake.unb64(v["message_a"]), link))
		c.must_fail(c.open(), 1, "not in the form")
		tap.equal(len(c.server.mismatches), 1, "reported once")
		tap.equal(c.server.wrong, [], "wrong requests")


if __name__ == "__main__":
	tap.main(setup=setup, teardown=teardown)
