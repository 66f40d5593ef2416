# SPDX-License-Identifier: Apache-2.0
"""The outbox alone, on its table alone: what its tests share."""

import base64
import email
import email.policy
import os
import re
import secrets
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))

from lab import pg, proc, sink, tap  # noqa: E402

FROM = "receipts@keys.test"
# Longer than any stall: a mail that times out is sent again, and counted.
LEASE_MS = 300000
TIMEOUT_MS = 200000


def handle(key):
	return base64.urlsafe_b64encode(bytes.fromhex(key)).decode().rstrip("=")


class World:
	"""A cluster with the outbox table, a signer, a sink and outboxes."""

	outboxes = ()

	def start(self):
		self.sink = sink.Sink().start()
		self.folder = proc.private_dir()
		self.outboxes = []
		# No case stops the machine; and an outbox that is told to end gives
		# its last statement a second, which a slow disk may need alone.
		self.cluster = pg.Cluster(os.path.join(self.folder, "pg"),
		    "fsync = off\n").start()
		self.cluster.psql("CREATE ROLE counterfoil_keysrv;"
		    "CREATE ROLE keysrv LOGIN IN ROLE counterfoil_keysrv;"
		    "CREATE SCHEMA counterfoil;"
		    "GRANT USAGE ON SCHEMA counterfoil TO counterfoil_keysrv;")
		with open(os.path.join(proc.repository(), "keysrv", "sql",
		    "0010-outbox.sql")) as f:
			self.cluster.psql(f.read())
		self.certificate, self.key = self.signer("signer")

	def case(self, name):
		"""tap.case, with nothing left running after a failure."""
		def add(function):
			def run():
				try:
					function()
				finally:
					self.tidy()
			return tap.case(name)(run)
		return add

	def tidy(self):
		for outbox in self.outboxes:
			outbox.kill()
		self.sink.let_go()

	def end(self):
		self.tidy()
		self.sink.stop()
		self.cluster.destroy()
		proc.remove_tree(self.folder)

	def path(self, name):
		return os.path.join(self.folder, name)

	def signer(self, name, *words, address=FROM):
		cert, key = self.path(name + ".pem"), self.path(name + ".key")
		proc.run([program(), "signer-new=" + address,
		    "certificate=" + cert, "key=" + key, *words], 300)
		return cert, key

	def sql(self, text, **kw):
		return self.cluster.psql(text, **kw)

	def release(self, sender=None, delay="0 s", **values):
		"""What the release transaction does; gives (key, sender)."""
		key = secrets.token_hex(16)
		sender = sender or "ann-%s@a.test" % key
		row = dict({"kind": "released", "recipient": "bob@b.test",
		    "original_message_id": "<%s@a.test>" % key[:12],
		    "assurance": "bearer", "principal": "bearer"}, **values)
		names = sorted(row)
		self.sql("INSERT INTO counterfoil.outbox (event_id, key_id,"
		    " message_ref, sender, released_at, not_before, %s) VALUES"
		    " ('\\x%s', '\\x%s', '\\x00', %s, now(),"
		    " now() + interval '%s', %s)" % (", ".join(names),
		    secrets.token_hex(16), key, quote(sender), delay,
		    ", ".join(quote(row[n]) for n in names)))
		return key, sender

	def open(self, key):
		"""What the opening proof does; gives "changed" or "added"."""
		event = secrets.token_hex(16)
		done = self.sql("WITH o AS (UPDATE counterfoil.outbox SET"
		    " kind = 'opened', opened_at = now(), event_id = '\\x%s'"
		    " WHERE key_id = '\\x%s'"
		    " AND kind = 'released' AND state = 'waiting' AND"
		    " (lease_until IS NULL OR lease_until <= now())"
		    " RETURNING outbox_id), e AS (INSERT INTO"
		    " counterfoil.outbox_early SELECT outbox_id FROM o)"
		    " SELECT 'changed' FROM o" % (event, key))
		return done or self.sql("INSERT INTO counterfoil.outbox"
		    " (event_id, key_id, message_ref, kind, sender, recipient,"
		    " original_message_id, released_at, opened_at, assurance,"
		    " principal, not_before) SELECT '\\x%s', key_id,"
		    " message_ref, 'opened', sender, recipient,"
		    " original_message_id, released_at, now(), assurance,"
		    " principal, now() FROM counterfoil.outbox WHERE"
		    " key_id = '\\x%s' RETURNING 'added'" % (event, key))

	def state(self, key, column="state"):
		return self.sql("SELECT %s FROM counterfoil.outbox WHERE"
		    " key_id = '\\x%s' ORDER BY outbox_id" % (column, key))

	def wait_state(self, key, wanted, limit_s=120):
		proc.wait_for(lambda: self.state(key) == wanted, limit_s,
		    "state %r" % wanted)

	def outbox(self, env=None, ready=True, **options):
		settings = dict({"database": self.cluster.conninfo(user="keysrv"),
		    "smtp": self.sink.address, "from": FROM,
		    "certificate": self.certificate, "key": self.key,
		    "poll": 20, "lease": LEASE_MS, "timeout": TIMEOUT_MS,
		    "retry_first": 50, "retry_most": 200}, **options)
		log = self.path("outbox%d.log" % len(self.outboxes))
		process = proc.Process("outbox_run", [program()] + ["%s=%s" %
		    (k.replace("_", "-"), v) for k, v in settings.items()],
		    log, dict(os.environ, **(env or {})))
		process.log_text = lambda: proc.read_text(log)
		self.outboxes.append(process)
		if ready:
			process.wait_ready(lambda: "ready" in
			    process.log_text().splitlines())
		return process


def quote(text):
	return "E'%s'" % "".join("\\u%04X" % ord(c) if c < " " or c in "'\\"
	    else c for c in text)


def program():
	path = os.path.join(proc.builddir(), "tests", "keysrv", "outbox_run")
	if not os.path.exists(path):
		raise proc.LabError("%s is not built" % path)
	return path


def parse(content):
	return email.message_from_bytes(content, policy=email.policy.default)


def text_of(content):
	"""The receipt's text, wherever it stands."""
	for part in parse(content).walk():
		if part.get_content_type() == "text/plain":
			return part.get_content()
	tap.fail("no text part in %r" % content)


def words_of(content):
	"""The same on one line."""
	return " ".join(text_of(content).split())


def first_part(content):
	"""The exact bytes of a multipart's first part."""
	boundary = re.search(rb'boundary="([^"]+)"', content).group(1)
	begin = content.index(b"\r\n--" + boundary + b"\r\n")
	begin += len(boundary) + 6
	return content[begin:content.index(b"\r\n--" + boundary, begin)]


def verify(world, entity, certificate=None):
	"""openssl's opinion of a multipart/signed; gives the signed bytes."""
	mail, out = world.path("verify.eml"), world.path("verified")
	proc.write_file(mail, entity)
	done = proc.run(["openssl", "cms", "-verify", "-in", mail,
	    "-out", out, "-purpose", "smimesign", "-CAfile",
	    certificate or world.certificate], check=False)
	if done.returncode != 0:
		tap.fail("openssl does not verify:\n%s\n%s"
		    % (done.stderr.decode(), entity.decode()))
	with open(out, "rb") as f:
		return f.read()
