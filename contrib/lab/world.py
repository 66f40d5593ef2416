# SPDX-License-Identifier: Apache-2.0
"""The whole world on loopback: two sites, a key server, two readers.

    a.test  the sender's site: Postfix with the sealing hop, counterfoil-milter
            (mode both), a reader for recipients without a milter
    b.test  the recipient's site: Postfix, counterfoil-milter (mode inbound),
            a reader
    keys    PostgreSQL and counterfoil-keysrv, accepted by both

Optional: a third site c.test without anything of ours, a faulty proxy
between the sender's milter and the key server.
"""

import os
import shlex
import signal

from lab import (ca, conf, keysrv, milter, pg, postfix, proc, proxy, reader,
    sendmail, shown)

GATEWAY = "a.test"


class World:
	"""start(), use the fields, stop(); or `with World(...) as w:`.

	tls            HTTPS with an authority of our own, else HTTP on 127.0.0.1
	folder         an empty directory, or None for a temporary one
	plain_site     also start c.test (self.c)
	mta            "postfix", or "sendmail" at a.test and b.test
	overheard      note what a's milter is shown, in self.a_shown
	through_proxy  the milter at a reaches the key server by self.proxy;
	               "all": recipients too, L names the proxy
	postfix_extra  more lines for the main.cf of a and b
	"""

	def __init__(self, folder=None, tls=False, plain_site=False,
	    through_proxy=False, size_limit=60000000, keysrv_options=None,
	    a_options=None, b_options=None, pg_settings="", say=None,
	    mta="postfix", overheard=False,
	    postfix_extra=""):
		self.temporary = folder is None
		self.folder = folder or proc.private_dir()
		self.tls = tls
		self.say = say or (lambda text: None)
		self.plain_site = plain_site
		self.through_proxy = through_proxy
		self.size_limit = size_limit
		self.keysrv_options = dict({"receipt_delay_s": 60},
		    **(keysrv_options or {}))
		self.pg_settings = pg_settings
		self.mta = mta
		self.overheard = overheard
		self.a_shown = None
		self.postfix_extra = postfix_extra
		self.a_options = a_options or {}
		self.b_options = b_options or {}
		self.authority = None
		self.proxy = None
		self.pg = None
		self.keysrv = None
		self.a = self.b = self.c = None
		self.a_milter = self.b_milter = None
		self.a_reader = self.b_reader = None
		self._started = []

	def path(self, *parts):
		return os.path.join(self.folder, *parts)

	def start(self):
		try:
			self._certificates()
			self._sites()
			self._key_server()
			self._readers_and_milters()
			self._mail_servers()
		except BaseException:
			self.stop(keep=True)
			raise
		return self

	def _certificates(self):
		self.tls_files = self.ca_file = None
		if self.tls:
			self.authority = ca.Authority(self.path("ca"))
			self.ca_file = self.authority.file
			self.tls_files = self.authority.server("server")

	def nss_home(self):
		"""A home directory whose Chromium trusts our authority."""
		home = self.path("home")
		if not os.path.isdir(home):
			os.mkdir(home, 0o700)
			self.authority.nss_home(home)
		return home

	def _sites(self):
		"""Objects first: ports are wanted before anything runs."""
		size = self.size_limit
		self.a_milter = milter.Milter(self.path("a-milter"), "both")
		self.b_milter = milter.Milter(self.path("b-milter"), "inbound")
		gateway = {"postfix": postfix.Postfix,
		    "sendmail": sendmail.Sendmail}[self.mta]
		address = self.a_milter.address
		if self.overheard:
			self.a_shown = shown.Overheard(self.path("a-shown"),
			    self.a_milter)
			address = self.a_shown.address
		self.b = gateway(self.path("b"), "b.test", ["bob"],
		    milter=self.b_milter.address, size_limit=size)
		self.a = gateway(self.path("a"), "a.test", ["alice"],
		    hop_milter=address, outside_milter=address,
		    size_limit=size)
		if self.postfix_extra:
			self.a.extra = self.b.extra = self.postfix_extra
		self.a.routes = {"b.test": self.b.port}
		# From b's point of view a's port for the world is its MX.
		self.b.routes = {"a.test": self.a.outside_port}
		if self.plain_site:
			self.c = postfix.Postfix(self.path("c"), "c.test",
			    ["carol"], size_limit=size)
			self.a.routes["c.test"] = self.c.port
			self.c.routes = {"a.test": self.a.outside_port}

	def _begin(self, thing, text):
		# First on the list, so that a half-started thing is stopped.
		self._started.append(thing)
		thing.start()
		self.say(text)

	def _key_server(self):
		self.pg = pg.Cluster(self.path("pg"), self.pg_settings)
		self._begin(self.pg, "PostgreSQL            %s" % self.pg.socket)
		self.keysrv = keysrv.KeyServer(self.path("keysrv"), self.pg,
		    tls=self.tls_files, ca_file=self.ca_file,
		    smtp_server=self.a.address(), options=self.keysrv_options)
		if self.through_proxy:
			self.proxy = proxy.Proxy(self.keysrv, proc.free_port(),
			    tls=self.tls_files, ca_file=self.ca_file,
			    host=self.keysrv.host)
		self.service_url = self.keysrv.url
		if self.through_proxy == "all":
			self.service_url = self.proxy.url
			self.keysrv.options["service_url"] = self.service_url
		self.keysrv.prepare()
		self.token_file = self.keysrv.add_gateway("gateway-a", GATEWAY)
		self._begin(self.keysrv, "counterfoil-keysrv    %s"
		    % self.keysrv.url)
		if self.proxy:
			self._begin(self.proxy, "faulty proxy          %s"
			    % self.proxy.url)

	def _readers_and_milters(self):
		allowed = [self.service_url]
		self.a_reader = self._reader("a", self.a_milter.store, allowed)
		self.b_reader = self._reader("b", self.b_milter.store, allowed)
		asked = self.proxy.url if self.proxy else self.keysrv.url
		common = {"ca_file": self.ca_file,
		    "allowed_key_servers": allowed,
		    "networks": ["127.0.0.1/32"],
		    "message_size_limit": self.size_limit}
		self.a_milter.configure(**dict(common, key_servers=[asked],
		    api_token_file=self.token_file, local_domains=["a.test"],
		    reader_url=self.a_reader.url, **self.a_options))
		self.b_milter.configure(**dict(common, local_domains=["b.test"],
		    reader_url=self.b_reader.url, **self.b_options))
		self._begin(self.a_milter, "counterfoil-milter a  %s"
		    % self.a_milter.address)
		if self.a_shown:
			self._begin(self.a_shown, "overheard             %s"
			    % self.a_shown.address)
		self._begin(self.b_milter, "counterfoil-milter b  %s"
		    % self.b_milter.address)

	def _reader(self, site, store, allowed):
		r = reader.Reader(self.path(site + "-reader"), store, allowed,
		    tls=self.tls_files, ca_file=self.ca_file)
		self._begin(r, "counterfoil-reader %s  %s" % (site, r.url))
		return r

	def _mail_servers(self):
		for site in (self.c, self.b, self.a):
			if site:
				self._begin(site, "%s %s" % (("%s %s" % (
				    type(site).__name__, site.domain)
				    ).ljust(21), site.address()))

	def stop(self, keep=False):
		"""Stop everything, last started first; remove what is ours."""
		trouble = []
		# libmilter takes seconds to end; let them do it side by side.
		for thing in (self.a_milter, self.b_milter):
			if thing and thing.process:
				thing.process.send(signal.SIGTERM)
		while self._started:
			thing = self._started.pop()
			try:
				thing.stop()
			except Exception as e:
				trouble.append(str(e))
		if self.temporary and not keep:
			proc.remove_tree(self.folder)
		if trouble:
			raise proc.LabError("\n".join(trouble))

	def __enter__(self):
		return self.start()

	def __exit__(self, *_):
		self.stop()

	def processes(self):
		"""What is to stay alive: (name, proc.Process) pairs."""
		# Each looked at once: another thread may stop it meanwhile.
		now = [getattr(t, "process", None) for t in list(self._started)]
		return [(p.name, p) for p in now if p]

	def dead(self):
		"""The name of a program that ended by itself, or None."""
		for name, process in self.processes():
			if not process.alive():
				return "%s (log: %s)" % (name, process.log)
		return None

	def log_files(self):
		"""Every log of ours and of the services around us."""
		files = [self.pg.log, self.keysrv.log, self.a_reader.log,
		    self.b_reader.log, self.a_milter.log, self.b_milter.log]
		for site in (self.a, self.b, self.c):
			if isinstance(site, sendmail.Sendmail):
				# Their maillog is a copy of all traffic.
				files += [i.log for i in site.instances]
			elif site:
				files += [site.maillog,
				    os.path.join(site.root, "master.log")]
		return [f for f in files if os.path.exists(f)]

	def agent_config(self):
		"""A configuration for the counterfoil command at bob's."""
		return conf.write(self.path("counterfoil.conf"), {
		    "ca_file": self.ca_file,
		    "allowed_key_servers": [self.service_url]}, 0o600)

	def sender_config(self):
		"""One for `counterfoil status`, with the gateway's token."""
		return conf.write(self.path("sender.conf"), {
		    "ca_file": self.ca_file,
		    "key_servers": [self.service_url],
		    "api_token_file": self.token_file}, 0o600)

	def receipt_rows(self, handle=None, expanded=True):
		"""receipt_log as psql prints it."""
		where = ""
		if handle:
			where = " WHERE key_handle = '%s'" % handle
		return self.keysrv.psql("SELECT * FROM counterfoil.receipt_log%s "
		    "ORDER BY at" % where,
		    options=("-x",) if expanded else ("-qAt",))

	def environment(self):
		"""What DIR/env defines."""
		values = {
		    "CF_DIR": self.folder,
		    "CF_A_SMTP": self.a.address(),
		    "CF_B_SMTP": self.b.address(),
		    "CF_A_MAILDIR": self.a.maildir("alice"),
		    "CF_B_MAILDIR": self.b.maildir("bob"),
		    "CF_A_MILTER": self.a_milter.address,
		    "CF_B_MILTER": self.b_milter.address,
		    "CF_MILTER_PIDS": "%d %d" % (self.a_milter.pid,
		        self.b_milter.pid),
		    "CF_KEYSRV_URL": self.keysrv.url,
		    "CF_KEYSRV_PID": str(self.keysrv.pid),
		    "CF_READER_URL": self.b_reader.url,
		    "CF_CA_FILE": self.ca_file or "",
		    "CF_API_TOKEN_FILE": self.token_file,
		}
		values.update(self.pg.environment(self.keysrv.database))
		return values

	def write_env(self):
		"""DIR/env, whole or not at all."""
		text = "".join("export %s=%s\n" % (k, shlex.quote(v))
		    for k, v in self.environment().items())
		proc.write_file(self.path("env"), text, 0o600)
		return self.path("env")
