# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL cluster of our own: unix socket only, run as postgres.

fsync stays on unless `settings` say otherwise: the key server refuses a
database without it.
"""

import glob
import os
import pwd
import shutil
import signal

from lab import proc

SETTINGS = """\
listen_addresses = ''
unix_socket_directories = '%(socket)s'
unix_socket_permissions = 0700
port = %(port)d
shared_buffers = 64MB
max_connections = 100
log_line_prefix = '%%m [%%p] '
logging_collector = off
"""


def bindir():
	"""The folder of initdb and postgres, version 15 before others."""
	found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"),
	    key=lambda p: (p.split("/")[4] == "15", float(p.split("/")[4])))
	if not found:
		raise proc.LabError("PostgreSQL is not installed "
		    "(Debian package postgresql-15)")
	return os.path.dirname(found[-1])


class Cluster:
	"""`with Cluster(folder) as pg:` or start() and stop()."""

	user = "postgres"

	def __init__(self, folder, settings=""):
		self.folder = folder
		self.data = os.path.join(folder, "data")
		self.socket = os.path.join(folder, "s")
		self.log = os.path.join(folder, "postgresql.log")
		self.port = 5432	# names a socket file, not a TCP port
		self.process = None
		owner = pwd.getpwnam("postgres")
		self.ids = (owner.pw_uid, owner.pw_gid)
		os.makedirs(folder, exist_ok=True)
		os.chmod(folder, 0o711)
		os.makedirs(self.socket)
		os.chown(self.socket, *self.ids)
		os.chmod(self.socket, 0o711)
		if len(self.socket) > 90:
			raise proc.LabError("%s is too long a path for a socket"
			    % self.socket)
		os.makedirs(self.data)
		os.chown(self.data, *self.ids)
		self._as([os.path.join(bindir(), "initdb"), "-N", "-D", self.data,
		    "-A", "trust", "-U", self.user, "-E", "UTF8",
		    "--locale=C.UTF-8"], 300)
		with open(os.path.join(self.data, "postgresql.conf"), "a") as f:
			f.write(SETTINGS % {"socket": self.socket,
			    "port": self.port})
			f.write(settings)

	def _as(self, argv, limit_s):
		"""Run as user postgres, or as ourselves if that is who we are."""
		return proc.run(self.unprivileged() + argv, limit_s, cwd="/")

	def unprivileged(self):
		"""What a command begins with that runs as user postgres."""
		if os.geteuid() == self.ids[0]:
			return []
		return ["setpriv", "--reuid=postgres", "--regid=postgres",
		    "--init-groups", "--reset-env", "--pdeathsig", "INT"]

	def start(self, settings=()):
		"""Start and wait until it answers; settings: ("fsync=off",)."""
		extra = []
		for s in settings:
			extra += ["-c", s]
		self.process = proc.Process("PostgreSQL", self.unprivileged()
		    + [os.path.join(bindir(), "postgres"), "-D", self.data]
		    + extra, self.log, death=signal.SIGINT)
		# After a crash there may be much to write again.
		self.process.wait_ready(self._answers, 180)
		return self

	def _answers(self):
		done = proc.run([os.path.join(bindir(), "pg_isready"), "-q", "-h",
		    self.socket, "-p", str(self.port)], check=False)
		return done.returncode == 0

	def stop(self, mode="fast"):
		"""mode: smart, fast or immediate, as in pg_ctl."""
		if self.process is None:
			return
		sig = {"smart": signal.SIGTERM, "fast": signal.SIGINT,
		    "immediate": signal.SIGQUIT}[mode]
		# The postmaster is our child itself: setpriv became it by exec.
		# It writes all that changed to the disk first, which may be slow.
		process, self.process = self.process, None
		process.stop(sig, limit_s=300)

	def restart(self, mode="fast"):
		self.stop(mode)
		return self.start()

	def __enter__(self):
		return self.start()

	def __exit__(self, *_):
		self.stop()

	def destroy(self):
		self.stop("immediate")
		shutil.rmtree(self.folder, ignore_errors=True)

	def conninfo(self, database="postgres", user=None):
		"""A libpq connection string (no password in it)."""
		return "host=%s port=%d dbname=%s user=%s" % (self.socket,
		    self.port, database, user or self.user)

	def environment(self, database="postgres", user=None):
		return {"PGHOST": self.socket, "PGPORT": str(self.port),
		    "PGDATABASE": database, "PGUSER": user or self.user}

	def psql(self, sql, database="postgres", user=None, options=("-qAt",),
	    limit_s=120):
		"""Run SQL; gives what psql prints, without the last newline."""
		done = proc.run(["psql", "-X", "-v", "ON_ERROR_STOP=1",
		    *options, "-f", "-", self.conninfo(database, user)],
		    limit_s, input=sql.encode())
		return done.stdout.decode().rstrip("\n")

	def create(self, database):
		"""A new, empty database."""
		self.psql('CREATE DATABASE "%s"' % database)
		return database
