# SPDX-License-Identifier: Apache-2.0
"""counterfoil-reader: the page and the sealed messages of one gateway."""

import http.client
import os

from lab import conf, proc, web


def page_directory():
	"""Where the built page lies."""
	for base in (proc.builddir(), proc.repository()):
		for part in ("common/web/dist", "common/web/build",
		    "common/web"):
			path = os.path.join(base, part)
			if os.path.exists(os.path.join(path, "page.js")):
				return path
	raise proc.LabError("the page is not built (no page.js below %s)"
	    % proc.builddir())


class Reader:
	def __init__(self, folder, store, allowed, tls=None, ca_file=None,
	    host=None, options=None):
		self.folder = folder
		self.port = proc.free_port()
		self.host = host or ("localhost" if tls else "127.0.0.1")
		self.url = "%s://%s:%d" % ("https" if tls else "http",
		    self.host, self.port)
		self.ca_file = ca_file
		self.config = os.path.join(folder, "counterfoil-reader.conf")
		self.log = os.path.join(folder, "reader.log")
		self.process = None
		self.options = {
		    "listen": "127.0.0.1:%d" % self.port,
		    "reader_url": self.url,
		    "tls_certificate": tls[0] if tls else None,
		    "tls_key": tls[1] if tls else None,
		    "store_directory": store,
		    "page_directory": page_directory(),
		    "allowed_key_servers": list(allowed),
		    "log": "stderr",
		}
		self.options.update(options or {})
		os.makedirs(folder, mode=0o755, exist_ok=True)

	def start(self):
		conf.write(self.config, self.options)
		self.process = proc.Process("counterfoil-reader",
		    [proc.program("counterfoil-reader"), "-c", self.config],
		    self.log)
		self.process.wait_ready(self.ready)
		return self

	def ready(self):
		try:
			return self.request("GET", "/healthz")[0] == 200
		except (OSError, http.client.HTTPException):
			return False

	def request(self, method, path, headers=None, limit_s=120):
		"""One request; gives (status, headers, body bytes)."""
		return web.fetch(self.url + path, method, None, headers,
		    self.ca_file, limit_s)

	def stop(self):
		if self.process is not None:
			process, self.process = self.process, None
			process.stop()

	@property
	def pid(self):
		return self.process.pid

	def log_text(self):
		return proc.read_text(self.log)
