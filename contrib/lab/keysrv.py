# SPDX-License-Identifier: Apache-2.0
"""counterfoil-keysrv on a database of its own, set up by counterfoil-admin."""

import http.client
import json
import os

from lab import conf, proc, web

DATABASE = "counterfoil"
LOGIN = "keysrv"


class KeyServer:
	"""prepare() once, then start() and stop() as often as wanted.

	cluster      a started pg.Cluster
	tls          (certificate file, key file), or None for plain HTTP
	smtp_server  host:port that takes the receipts
	options      more lines of the configuration, or other values
	"""

	def __init__(self, folder, cluster, tls=None, ca_file=None,
	    smtp_server="127.0.0.1:25", options=None, host=None,
	    database=DATABASE, port=None):
		self.folder = folder
		self.cluster = cluster
		self.database = database
		self.ca_file = ca_file
		self.port = port or proc.free_port()
		self.host = host or ("localhost" if tls else "127.0.0.1")
		self.url = "%s://%s:%d" % ("https" if tls else "http",
		    self.host, self.port)
		self.config = os.path.join(folder, "counterfoil-keysrv.conf")
		self.admin_config = os.path.join(folder, "admin.conf")
		self.log = os.path.join(folder, "keysrv.log")
		self.masterkey_file = os.path.join(folder, "masterkey")
		self.receipt_from = "receipts@keys.test"
		self.signer_certificate = os.path.join(folder, "signer.pem")
		self.process = None
		self.options = {
		    "listen": "127.0.0.1:%d" % self.port,
		    "service_url": self.url,
		    "tls_certificate": tls[0] if tls else None,
		    "tls_key": tls[1] if tls else None,
		    "database": cluster.conninfo(database, LOGIN),
		    "masterkey_file": self.masterkey_file,
		    "smtp_server": smtp_server,
		    "receipt_from": self.receipt_from,
		    "signer_certificate": self.signer_certificate,
		    "signer_key": os.path.join(folder, "signer.key"),
		    "log": "stderr",
		}
		self.options.update(options or {})
		os.makedirs(folder, mode=0o755, exist_ok=True)

	def configure(self, **changes):
		"""Write the configuration; changes stay for the next start."""
		self.options.update(changes)
		conf.write(self.config, self.options)
		conf.write(self.admin_config, dict(self.options,
		    database=self.cluster.conninfo(self.database)))

	def admin(self, *words, check=True):
		"""Run counterfoil-admin as the owner of the database."""
		return proc.run([proc.program("counterfoil-admin"), "-c",
		    self.admin_config, *words], check=check)

	def prepare(self):
		"""Database, schema, login role, master key and signer."""
		self.configure()
		self.cluster.create(self.database)
		# Before all that reads the configuration, which names them.
		self.admin("masterkey", "new", self.masterkey_file)
		self.admin("signer", "new", "--address", self.receipt_from,
		    "--cert", self.signer_certificate, "--key",
		    self.options["signer_key"])
		self.admin("migrate")
		self.cluster.psql('DO $$ BEGIN CREATE ROLE %s LOGIN; EXCEPTION '
		    'WHEN duplicate_object THEN NULL; END $$; '
		    'GRANT counterfoil_keysrv TO %s' % (LOGIN, LOGIN),
		    self.database)
		return self

	def add_gateway(self, name, *domains):
		"""A gateway account; gives the file with its API token."""
		token_file = os.path.join(self.folder, name + ".token")
		words = []
		for domain in domains:
			words += ["--domain", domain]
		self.admin("gateway", "add", name, *words, "--token-file",
		    token_file)
		return token_file

	def start(self, env=None):
		self.configure()
		self.process = proc.Process("counterfoil-keysrv",
		    [proc.program("counterfoil-keysrv"), "-c", self.config],
		    self.log, env)
		self.process.wait_ready(self.ready)
		return self

	def ready(self):
		try:
			return self.get("/readyz")[0] == 200
		except (OSError, http.client.HTTPException):
			return False

	def stop(self, **kw):
		if self.process is not None:
			process, self.process = self.process, None
			process.stop(**kw)

	def restart(self, **changes):
		self.stop()
		self.options.update(changes)
		return self.start()

	def kill(self):
		if self.process is not None:
			self.process.kill()
			self.process = None

	@property
	def pid(self):
		return self.process.pid

	def request(self, method, path, body=None, headers=None, limit_s=120):
		"""One request; gives (status, headers, body bytes)."""
		return web.fetch(self.url + path, method, body, headers,
		    self.ca_file, limit_s)

	def get(self, path, **kw):
		return self.request("GET", path, **kw)

	def post(self, path, value, token=None, origin=None, **kw):
		"""POST JSON; gives (status, parsed body or None)."""
		headers = {"Content-Type": "application/json"}
		if token:
			headers["Authorization"] = "Bearer " + token
		if origin:
			headers["Origin"] = origin
		status, _, body = self.request("POST", path,
		    json.dumps(value).encode(), headers, **kw)
		return status, json.loads(body) if body else None

	def psql(self, sql, **kw):
		return self.cluster.psql(sql, self.database, **kw)

	def log_text(self):
		return proc.read_text(self.log)
