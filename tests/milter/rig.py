# SPDX-License-Identifier: Apache-2.0
"""What the milter's tests share: one milter, one fake key server, opening
what was sealed with the `openssl` command, taking M apart.
"""

import base64
import email
import email.policy
import glob
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "contrib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import client  # noqa: E402
import fake  # noqa: E402
from lab import conf, proc, tap  # noqa: E402

READER = "http://127.0.0.1:8080"
DROPPED = (b"bcc", b"resent-bcc", b"x-return-receipt")


def message(body=b"Hello Bob,\r\nhow are you?\r\n", flag=b"X-Return-Receipt: yes",
    extra=()):
	"""A plain message with the flag somewhere in the middle."""
	lines = [b"From: Alice <alice@a.test>", b"To: Bob <bob@b.test>"]
	if flag is not None:
		lines.append(flag)
	lines += [b"Subject: A word with you",
	    b"Date: Mon, 23 Nov 2026 13:35:00 +0000",
	    b"Message-ID: <one@a.test>"]
	lines += list(extra)
	return b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


class Rig:
	def __init__(self, mode="outbound", **options):
		self.folder = proc.private_dir("cf-milter-")
		self.key_server = fake.KeyServer()
		self.store = os.path.join(self.folder, "store")
		self.run = os.path.join(self.folder, "run")
		os.mkdir(self.store, 0o750)
		os.mkdir(self.run, 0o750)
		self.socket = os.path.join(self.run, "milter.sock")
		self.address = "unix:" + self.socket
		self.config = os.path.join(self.folder, "milter.conf")
		self.log = os.path.join(self.folder, "milter.log")
		self.token_file = os.path.join(self.folder, "token")
		proc.write_file(self.token_file, self.key_server.token + "\n",
		    0o600)
		self.options = {
		    "mode": mode,
		    "socket": self.address,
		    "key_servers": [self.key_server.url],
		    "api_token_file": self.token_file,
		    "ref_secret_file": os.path.join(self.folder, "ref.secret"),
		    "reader_url": READER,
		    "store_directory": self.store,
		    "allowed_key_servers": [self.key_server.url],
		    "message_size_limit": 60000000,
		    # No machine is so slow that they mean anything; who tests
		    # them sets them.
		    "request_timeout_s": 120,
		    "deadline_s": 300,
		    "log_level": "debug",
		}
		self.options.update(options)
		self.process = None

	def write_config(self, **changes):
		self.options.update(changes)
		conf.write(self.config, self.options, 0o644)

	def start(self, env=None, under=(), **changes):
		"""under: a command that starts what follows it."""
		self.write_config(**changes)
		self.process = proc.Process("counterfoil-milter",
		    [*under, proc.program("counterfoil-milter"), "-c",
		    self.config], self.log, env=env)
		self.process.wait_ready(
		    lambda: " serves on " in self.process.said())
		return self

	def session(self, **kw):
		return client.Session(self.address, **kw)

	def send(self, content, sender="<alice@a.test>",
	    recipients=("<bob@b.test>",), **kw):
		session = self.session(**kw)
		try:
			return session.send(content, sender, recipients)
		finally:
			session.quit()

	def ask(self, session, content):
		"""A message to its end, and the request for its key.

		For a key server that holds its answers; finish() takes what
		comes when it has let go.
		"""
		result = session.begin(content)
		arrived = self.key_server.arrived
		while arrived.acquire(blocking=False):
			pass		# those answered before
		session.put_end()
		tap.true(arrived.acquire(timeout=60),
		    "the request for a key")
		return result

	def log_text(self):
		return proc.read_text(self.log)

	def log_from(self):
		"""A function that gives the lines that were logged since now.

		Whole ones: a reader may see half of what one write(2) writes.
		"""
		at = len(self.log_text())

		def since():
			text = self.log_text()[at:]
			return text[:text.rfind("\n") + 1]
		return since

	def wait_log(self, since, text, limit_s=60):
		proc.wait_for(lambda: text in since(), limit_s,
		    "%r in the log" % text)

	def blobs(self):
		return sorted(glob.glob(os.path.join(self.store, "??", "*")))

	def half_files(self):
		"""What is no message in the store, nor its secret."""
		return [n for n in os.listdir(self.store)
		    if n.startswith(".") and n != ".secret"]

	def connections(self):
		"""How many the kernel has on the socket, the milter's ends.

		One that the client has closed counts until the milter has
		closed its end, which it does when all else is given back.
		"""
		rows = [line.split() for line in
		    proc.read_text("/proc/net/unix").splitlines()[1:]]
		# Flags 00010000: the one that listens.
		return sum(row[7:] == [self.socket] and row[3] == "00000000"
		    for row in rows)

	def wait_idle(self):
		"""Until the milter is done with every connection."""
		proc.wait_for(lambda: self.connections() == 0, 60,
		    "all connections to end")

	def stop(self):
		if self.process is not None and self.process.alive():
			status = self.process.stop(limit_s=120)
			if status != 0:
				raise proc.LabError("the milter ended with %s: %s"
				    % (status, proc.tail(self.log)))
		self.process = None

	def close(self):
		try:
			self.stop()
		finally:
			self.key_server.stop()
			proc.remove_tree(self.folder)
		if self.key_server.deviations:
			raise proc.LabError("requests not as openapi.yaml says:\n"
			    + "\n".join(self.key_server.deviations[:5]))


class Sealed:
	"""A sealed message, taken apart by Python's email package."""

	def __init__(self, content):
		self.content = content
		# The package takes "Name : value" for the end of the header.
		fields, body = client.split_message(content)
		top = email.message_from_bytes(client.join_message(
		    [f for f in fields if not f[0].endswith((b" ", b"\t"))],
		    body), policy=email.policy.default)
		self.top = top
		tap.equal(top.get_content_type(), "multipart/mixed", "top type")
		tap.equal(top["Counterfoil-Version"], "1", "marker")
		parts = list(top.iter_parts())
		tap.equal(len(parts), 2, "number of parts")
		tap.equal([p.get_content_type() for p in parts[0].iter_parts()],
		    ["text/plain", "text/html"], "notices")
		self.text, self.html = [p.get_content().replace("\r\n", "\n")
		    for p in parts[0].iter_parts()]
		self.part = parts[1]
		tap.equal(self.part.get_content_type(),
		    "application/octet-stream", "sealed part")
		self.e = self.part.get_payload(decode=True)
		# Of this part: a field of that name may stand outside, too.
		raw = re.search(rb"\r\nCounterfoil-Locator: (\S+)\r\n",
		    content[content.rindex(b"application/octet-stream"):])
		self.locator = raw.group(1).decode()
		self.link = re.search(r"^http\S+$", self.text, re.M).group(0)
		self.blob = re.search(r"/m/([A-Za-z0-9_-]{22})#",
		    self.link).group(1)

	def open(self, kd):
		"""M, by `openssl cms`, which is nobody of ours."""
		handle = re.search(r"/k/([A-Za-z0-9_-]{22})#",
		    self.locator).group(1)
		done = proc.run(["openssl", "cms", "-decrypt", "-inform", "DER",
		    "-binary", "-secretkey", kd.hex(), "-secretkeyid",
		    fake.unb64(handle).hex()], input=self.e)
		return done.stdout


def strip(m):
	"""The original out of M, from the words of the format alone."""
	line, _, rest = m.partition(b"\r\n")
	found = re.fullmatch(rb"Counterfoil-M: v=1; outer=(\d+); "
	    rb"ct=(suffix|made|kept); mv=(kept|made); form=(plain|rfc822)", line)
	tap.true(found is not None, "Counterfoil-M line: %r" % line)
	if found.group(4) == b"rfc822":
		head = b"Content-Type: message/rfc822\r\n\r\n"
		tap.equal(rest[:len(head)], head, "wrapping of M")
		return rest[len(head):], []
	outer = []
	for _ in range(int(found.group(1))):
		end = re.match(rb"HP-Outer:[^\r\n]*(\r\n[ \t][^\r\n]*)*\r\n", rest)
		tap.true(end is not None, "HP-Outer at %r" % rest[:60])
		outer.append(rest[:end.end()])
		rest = rest[end.end():]
	if rest.startswith(b"\r\n"):
		header, body = b"", rest[2:]
	else:
		header, _, body = rest.partition(b"\r\n\r\n")
		header += b"\r\n"
	if found.group(2) == b"made":
		made = b"Content-Type: text/plain; charset=us-ascii; " \
		    b"hp=\"cipher\"\r\n"
		tap.true(header.endswith(made), "made Content-Type is last")
		header = header[:-len(made)]
	if found.group(3) == b"made":
		made = b"MIME-Version: 1.0\r\n"
		tap.true(header.endswith(made), "made MIME-Version is last")
		header = header[:-len(made)]
	if found.group(2) == b"suffix":
		tap.equal(header.count(b";\r\n hp=\"cipher\""), 1, "suffixes")
		header = header.replace(b";\r\n hp=\"cipher\"", b"", 1)
	return header + b"\r\n" + body, outer


def expected(content):
	"""What must come out: all but the flag, Bcc and Resent-Bcc."""
	fields, body = content if isinstance(content, tuple) \
	    else client.split_message(content)
	return client.join_message([(n, v.split(b"\0")[0]) for n, v in fields
	    if n.strip().lower() not in DROPPED], body)


def check_sealed(rig, result, content):
	"""The result is sealed mail and opens to exactly `content`."""
	tap.equal((result.verdict, result.reply), ("accept", None), "verdict")
	sealed = Sealed(result.message)
	m = sealed.open(rig.key_server.kd())
	got, outer = strip(m)
	tap.equal(got, expected(content), "the message after opening")
	check_outside(result)
	with open(os.path.join(rig.store, sealed.blob[:2], sealed.blob),
	    "rb") as f:
		tap.equal(f.read(), sealed.e, "E in the store")
	return sealed


def check_outside(result):
	"""Form of what goes out: rules 19 to 21."""
	names = [n.strip().lower() for n, _ in result.fields]
	for name in (b"content-type", b"mime-version", b"counterfoil-version"):
		tap.equal(names.count(name), 1, "number of %r" % name)
	for n, v in result.fields:
		if n.lower() in (b"content-type", b"mime-version",
		    b"counterfoil-version"):
			tap.true(re.match(rb" [^ ]", v) is not None,
			    "one blank behind the colon: %r" % v)
	for n in names:
		tap.true(not n.startswith(b"content-") or n == b"content-type",
		    "no %r outside" % n)
	for name in DROPPED + (b"disposition-notification-to",
	    b"return-receipt-to"):
		tap.true(name not in names, "no %r outside" % name)
	body = result.body
	tap.true(body.endswith(b"\r\n"), "the body ends its last line")
	tap.equal(re.search(rb"[^\t\r\n -~]", body), None, "7-bit body")
	tap.equal(body.replace(b"\r\n", b"").count(b"\r")
	    + body.replace(b"\r\n", b"").count(b"\n"), 0, "bare CR or LF")
	for line in body.split(b"\r\n"):
		tap.true(len(line) <= 76 or
		    line.startswith(b"Counterfoil-Locator: "),
		    "line of %d: %r" % (len(line), line[:40]))


def check_refused(result, code, words=()):
	"""Refused with this code, and nothing was handed over in clear."""
	tap.true(result.text.startswith(code),
	    "reply %r begins with %s" % (result.text, code))
	tap.equal(result.verdict, "reject" if code[0] == "5" else "tempfail",
	    "verdict")
	for word in words:
		tap.contains(result.text.lower(), word.lower(), "reply")


def failing_library(folder):
	"""What LD_PRELOAD takes: tests/milter/failing.c, built there."""
	library = os.path.join(folder, "failing.so")
	proc.run(["cc", "-shared", "-fPIC", "-o", library, os.path.join(TOP,
	    "tests", "milter", "failing.c"), "-ldl"])
	return library


_made = []


def new(**options):
	"""A rig that end() closes."""
	rig = Rig(**options)
	_made.append(rig)
	return rig


def end():
	for rig in _made:
		rig.close()


def run(*args):
	"""The milter as a command: (status, its output, its errors)."""
	done = subprocess.run([proc.program("counterfoil-milter"), *args],
	    capture_output=True, text=True, timeout=60)
	return done.returncode, done.stdout, done.stderr
