# SPDX-License-Identifier: Apache-2.0
"""counterfoil-reader: the page and the sealed messages of one gateway."""

import http.client
import os
import ssl
import urllib.error
import urllib.request

from lab import conf, proc


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
		r = urllib.request.Request(self.url + path, method=method,
		    headers=headers or {})
		context = None
		if self.ca_file and self.url.startswith("https"):
			context = ssl.create_default_context(
			    cafile=self.ca_file)
		# Whatever proxy the environment names does not know us.
		opener = urllib.request.build_opener(
		    urllib.request.ProxyHandler({}),
		    urllib.request.HTTPSHandler(context=context))
		try:
			with opener.open(r, timeout=limit_s) as reply:
				return reply.status, reply.headers, reply.read()
		except urllib.error.HTTPError as e:
			return e.code, e.headers, e.read()

	def stop(self):
		if self.process is not None:
			process, self.process = self.process, None
			process.stop()

	@property
	def pid(self):
		return self.process.pid

	def log_text(self):
		return proc.read_text(self.log)
