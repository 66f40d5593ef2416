# SPDX-License-Identifier: Apache-2.0
"""counterfoil-milter on a unix socket that Postfix may use."""

import grp
import os

from lab import conf, proc


class Milter:
	"""mode: outbound, inbound or both; options: more of its configuration.

	self.address is what smtpd_milters takes.
	"""

	def __init__(self, folder, mode, options=None):
		self.folder = folder
		self.mode = mode
		self.config = os.path.join(folder, "counterfoil-milter.conf")
		self.log = os.path.join(folder, "milter.log")
		self.store = os.path.join(folder, "store")
		self.run = os.path.join(folder, "run")
		self.socket = os.path.join(self.run, "milter.sock")
		self.address = "unix:" + self.socket
		self.process = None
		for path in (folder, self.store, self.run):
			os.makedirs(path, mode=0o755, exist_ok=True)
		os.chmod(self.store, 0o700)
		# Postfix comes in by its group; nobody else does.
		os.chown(self.run, -1, grp.getgrnam("postfix").gr_gid)
		os.chmod(self.run, 0o2750)
		self.options = {
		    "mode": mode,
		    "socket": self.address,
		    "socket_mode": "0660",
		    "socket_group": "postfix",
		    "store_directory": self.store,
		    "log": "stderr",
		}
		if mode != "inbound":
			# The milter makes it at its first start.
			self.ref_secret_file = os.path.join(folder, "ref.secret")
			self.options["ref_secret_file"] = self.ref_secret_file
		self.options.update(options or {})

	def configure(self, **changes):
		self.options.update(changes)
		conf.write(self.config, self.options)

	def start(self, env=None):
		self.configure()
		self.process = proc.Process("counterfoil-milter",
		    [proc.program("counterfoil-milter"), "-c", self.config],
		    self.log, env)
		# It listens before the mail server's user may connect; it says
		# this when all is done.
		self.process.wait_ready(
		    lambda: " serves on " in self.process.said())
		return self

	def stop(self, **kw):
		if self.process is not None:
			process, self.process = self.process, None
			process.stop(**kw)

	def kill(self):
		if self.process is not None:
			self.process.kill()
			self.process = None

	def restart(self, **changes):
		self.stop()
		self.options.update(changes)
		return self.start()

	@property
	def pid(self):
		return self.process.pid

	def log_text(self):
		return proc.read_text(self.log)
