# SPDX-License-Identifier: Apache-2.0
"""What the key server's tests stand on: a cluster, a server, a gateway."""

import os
import subprocess
import threading

from lab import ca, keysrv, pg, proc, tap

import openapi_check
from client import Message, b64, unb64


class Ground:
	"""A private cluster and a key server with the outbox off."""

	def __init__(self, tls=False, pg_settings="", **options):
		self.folder = proc.private_dir()
		self.document = openapi_check.Document()
		self.cluster = pg.Cluster(os.path.join(self.folder, "pg"),
		    pg_settings)
		tls_files = ca_file = None
		if tls:
			self.authority = ca.Authority(os.path.join(self.folder,
			    "ca"))
			tls_files = self.authority.server("keysrv")
			ca_file = self.authority.file
		self.server = keysrv.KeyServer(os.path.join(self.folder, "k"),
		    self.cluster, tls=tls_files, ca_file=ca_file,
		    options=dict({"outbox": "off"}, **options))
		self.api = openapi_check.Api(self.server.url, ca_file,
		    self.document)
		self.token = None

	def start(self):
		self.cluster.start()
		self.server.prepare()
		self.token = proc.read_text(
		    self.server.add_gateway("gateway-a", "a.test")).strip()
		self.server.start()
		return self

	def stop(self):
		try:
			self.server.stop()
		finally:
			self.cluster.destroy()
			proc.remove_tree(self.folder)

	def psql(self, sql, **kw):
		return self.server.psql(sql, **kw)

	def count(self, table, where="true"):
		return int(self.psql("SELECT count(*) FROM counterfoil.%s "
		    "WHERE %s" % (table, where)))

	# ---- what everybody does ----

	def issue(self, message=None, **changes):
		message = message or Message()
		answer = self.api.post("/api/v1/issue", message.issue(**changes),
		    token=self.token)
		tap.equal(answer.status, 201, "status of issue (%s)" % answer)
		return message

	def challenge(self, message, **kw):
		answer = self.api.post("/api/v1/challenge", message.short(), **kw)
		tap.equal(answer.status, 200, "status of challenge (%s)" % answer)
		return answer.json["challenge"]

	def retrieve(self, message, challenge=None, origin="-", header=None,
	    good=True, **kw):
		"""Retrieve as an agent does; `kw` goes to Message.ask()."""
		challenge = challenge or self.challenge(message)
		if header is None and origin != "-":
			header = origin
		return self.api.post("/api/v1/retrieve", message.ask("retrieve",
		    challenge, origin, **kw), origin=header, good=good)

	def release(self, message):
		answer = self.retrieve(message)
		tap.equal(answer.status, 200, "status of retrieve (%s)" % answer)
		return answer.json

	def open(self, message, release, verb="open", **kw):
		good = kw.pop("good", True)
		return self.api.post("/api/v1/" + verb, message.done(verb,
		    release["release_id"], release["release_secret"], **kw),
		    good=good)

	def events(self, message):
		"""The records of a key, oldest first."""
		text = self.psql("SELECT replace(record, E'\\n', '|') FROM "
		    "counterfoil.event WHERE key_id = '\\x%s' ORDER BY at"
		    % message.key_id.hex())
		return [line.split("|") for line in text.splitlines()]


class Holder:
	"""Holds tables of the database until let go."""

	def __init__(self, ground, *tables):
		self.psql = subprocess.Popen(["psql", "-XqAt", "-v",
		    "ON_ERROR_STOP=1", ground.cluster.conninfo(
		    ground.server.database)], stdin=subprocess.PIPE,
		    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
		self.psql.stdin.write("BEGIN;%s SELECT 'held';\n" % "".join(
		    "LOCK TABLE counterfoil.%s IN ACCESS EXCLUSIVE MODE;" % t
		    for t in tables))
		self.psql.stdin.flush()
		tap.equal(self.psql.stdout.readline(), "held\n", "the lock")

	def let_go(self):
		if self.psql.poll() is None:
			self.psql.communicate("ROLLBACK;\n", timeout=120)

	def __enter__(self):
		return self

	def __exit__(self, *_):
		self.let_go()


def all_read(port, count):
	"""Has the server read everything from `count` connections?"""
	found = 0
	with open("/proc/net/tcp") as f:
		for line in f.readlines()[1:]:
			words = line.split()
			if int(words[1].split(":")[1], 16) != port or \
			    words[3] != "01":
				continue
			if words[4].split(":")[1] != "00000000":
				return False
			found += 1
	return found >= count


def together(functions, ended=None):
	"""Run all at once, one thread each; their results, in order.

	`ended` gets each result as soon as there is one.
	"""
	results = [None] * len(functions)

	def run(i):
		try:
			results[i] = functions[i]()
		except Exception as e:
			results[i] = e
		if ended is not None:
			ended.append(results[i])
	threads = [threading.Thread(target=run, args=(i,), daemon=True)
	    for i in range(len(functions))]
	for t in threads:
		t.start()

	def wait():
		for t in threads:
			t.join(300)
			if t.is_alive():
				tap.fail("a request did not end in 300 s")
		for r in results:
			if isinstance(r, Exception):
				raise r
		return results
	return wait
