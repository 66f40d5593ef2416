# SPDX-License-Identifier: Apache-2.0
"""Key servers, one of each build, on one PostgreSQL."""

import base64
import os

from lab import keysrv, pg, proc

import builds
import figures
import meters
import turns

CLIENTS_MANY = 64
LIMIT_S = 150		# of one run of the load program


class Side:
	"""A key server with a database of its own."""

	def __init__(self, folder, build, cluster, database, **options):
		self.folder = folder
		self.build = build
		self.cluster = cluster
		self.files = 0
		self.keysrv = keysrv.KeyServer(folder, cluster,
		    database=database, options={"outbox": "off",
		    "receipt_delay_s": 0, "connections_per_address": 0,
		    **options})
		with build:
			self.keysrv.prepare()
			self.token = self.keysrv.add_gateway("gateway",
			    "a.test")
			self.keysrv.start()
		self.programs = {"keysrv": self.keysrv.pid,
		    "PostgreSQL": cluster.process.pid}

	def stop(self):
		self.keysrv.stop()

	def psql(self, sql, **kw):
		return self.keysrv.psql(sql, **kw)

	def load(self, mode, clients, *words):
		"""A Sample of tests/bench/load."""
		done = proc.run([builds.tool("load"), "-a", "127.0.0.1:%d"
		    % self.keysrv.port, "-m", mode, "-T", self.token, "-c",
		    str(clients), *words], limit_s=LIMIT_S)
		return figures.load_sample(done.stdout)

	def new_file(self):
		self.files += 1
		return os.path.join(self.folder, "keys%d" % self.files)

	def issue_keys(self, count):
		"""A file of fresh keys."""
		path = self.new_file()
		self.load("issue", CLIENTS_MANY, "-s", "120", "-l",
		    str(count), "-o", path)
		return path

	def ask_challenges(self, path, clients=CLIENTS_MANY):
		"""(file of the same keys with challenges, Sample of that)"""
		out = self.new_file()
		sample = self.measure("challenge", clients, "-k", path, "-o",
		    out, "-s", "120")
		return out, sample

	def release_keys(self, path):
		"""Another file: the same keys, released."""
		challenges, _ = self.ask_challenges(path)
		out = self.new_file()
		self.load("retrieve", CLIENTS_MANY, "-k", challenges, "-o",
		    out, "-s", "120")
		return out

	def measure(self, mode, clients, *words):
		"""The same as load(), with processor time."""
		return meters.measure(self.programs, lambda: self.load(mode,
		    clients, *words))

	def settle(self):
		"""Each measurement begins right behind a checkpoint.

		So both sides write whole pages to the log equally often: the
		worst that a database has, not the mean.
		"""
		self.psql("CHECKPOINT")

	@staticmethod
	def key_hex(path):
		handle = proc.read_text(path).split()[0]
		return base64.urlsafe_b64decode(handle + "==").hex()


class KeyLab:
	"""sides: {"ours": Side, "before": Side}, as the builds are."""

	def __init__(self, run, name="keys", only=None):
		self.folder = os.path.join(run.folder, name)
		self.run = run
		self.sides = {}
		self.cluster = pg.Cluster(os.path.join(self.folder, "pg"),
		    "max_wal_size = 4GB\n")
		self.cluster.start()
		try:
			for side, build in (only or run.builds
			    ).items():
				self.add(side, build)
		except BaseException:
			self.stop()
			raise

	def add(self, name, build, **options):
		side = Side(os.path.join(self.folder, name), build,
		    self.cluster, "counterfoil_" + name, **options)
		self.sides[name] = side
		path = side.issue_keys(500)	# warm up, and learn the tables
		side.load("full", 16, "-k", path)
		side.psql("ANALYZE")
		return side

	def stop(self):
		for side in self.sides.values():
			side.stop()
		self.cluster.stop()


def key_lab(run):
	def make():
		turns.say("keys: plain HTTP on loopback, 8 database connections;"
		    " one PostgreSQL, a database per key server, fsync on,")
		turns.say("      a checkpoint before each measurement; client: "
		    "who makes the load, on the same processors")
		return KeyLab(run)
	return run.lab("keys", make)
