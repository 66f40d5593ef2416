# SPDX-License-Identifier: Apache-2.0
"""A private PgBouncer in front of a cluster."""

import os
import shutil

from . import proc
from .keysrv import LOGIN


class PgBouncer:
	"""`cluster` may stop and start behind it."""

	def __init__(self, folder, cluster, mode, settings=""):
		self.cluster = cluster
		self.socket = os.path.join(folder, "s")
		self.port = 6432	# names a socket file, not a TCP port
		self.log = os.path.join(folder, "pgbouncer.log")
		self.config = os.path.join(folder, "pgbouncer.ini")
		self.process = None
		os.makedirs(folder)
		os.chmod(folder, 0o711)
		os.makedirs(self.socket)
		os.chown(self.socket, *cluster.ids)
		users = os.path.join(folder, "users")
		with open(users, "w") as f:
			for user in (cluster.user, LOGIN):
				f.write('"%s" ""\n' % user)
		with open(self.config, "w") as f:
			f.write("[databases]\n* = host=%s port=%d\n"
			    "[pgbouncer]\nlisten_addr =\nunix_socket_dir = %s\n"
			    "listen_port = %d\nauth_type = trust\n"
			    "auth_file = %s\npool_mode = %s\n%s"
			    % (cluster.socket, cluster.port, self.socket,
			    self.port, users, mode, settings))

	def start(self):
		program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin")
		if program is None:
			raise proc.LabError("PgBouncer is not installed "
			    "(Debian package pgbouncer)")
		self.process = proc.Process("PgBouncer",
		    self.cluster.unprivileged() + [program, self.config],
		    self.log)
		self.process.wait_ready(lambda: os.path.exists(os.path.join(
		    self.socket, ".s.PGSQL.%d" % self.port)))
		return self

	def stop(self):
		if self.process is not None:
			process, self.process = self.process, None
			process.stop()

	def conninfo(self, database="postgres", user=None):
		return "host=%s port=%d dbname=%s user=%s" % (self.socket,
		    self.port, database, user or self.cluster.user)
