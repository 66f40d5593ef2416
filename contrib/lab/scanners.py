# SPDX-License-Identifier: Apache-2.0
"""Spam and virus scanners as Debian packages them, with its rules, no DNS."""

import http.client
import json
import os
import pwd
import re
import socket
import threading

from lab import proc


class EmptyDns:
	"""A name server that knows no name, and says so at once.

	Where nobody answers it is a matter of time which rules fire.
	"""

	def __init__(self):
		self.socket = None

	def start(self):
		self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		self.socket.bind(("127.0.0.1", 0))
		self.port = self.socket.getsockname()[1]
		threading.Thread(target=self._serve, args=(self.socket,),
		    daemon=True).start()
		return self

	@staticmethod
	def _serve(s):
		while True:
			query, peer = s.recvfrom(4096)
			if len(query) < 12:	# stop()
				break
			end = query.index(b"\0", 12) + 5
			# RFC 1035 4.1.1: an answer, recursion, NXDOMAIN.
			s.sendto(query[:2] + b"\x81\x83\0\1\0\0\0\0\0\0"
			    + query[12:end], peer)
		s.close()

	def stop(self):
		if self.socket is not None:
			s, self.socket = self.socket, None
			s.sendto(b"", ("127.0.0.1", self.port))


def _own(user, *folders):
	"""Make folders that this user may write to."""
	entry = pwd.getpwnam(user)
	for folder in folders:
		os.makedirs(folder, exist_ok=True)
		os.chown(folder, entry.pw_uid, entry.pw_gid)


class Rspamd:
	"""rspamd with the package's rules; `local` is text for each file of
	its local.d, {"worker-normal.inc": ...}.
	"""

	def __init__(self, folder, local=None):
		self.folder = folder
		self.local = local or {}
		self.port = proc.free_port()
		self.dns = EmptyDns()
		self.log = os.path.join(folder, "said")
		self.process = None

	def _path(self, *parts):
		return os.path.join(self.folder, *parts)

	def start(self):
		_own("_rspamd", *(self._path(f) for f in ("db", "run", "log")))
		os.makedirs(self._path("local.d"))
		self.dns.start()
		local = dict({
		    "options.inc": 'dns { nameserver = "127.0.0.1:%d"; }\n'
		        'control_socket = "%s";\n' % (self.dns.port,
		        self._path("run", "ctl")),
		    "worker-normal.inc": 'bind_socket = "127.0.0.1:%d";\n'
		        "count = 1;\n" % self.port,
		    "worker-controller.inc": "count = -1;\n",
		    "worker-proxy.inc": "count = -1;\n"}, **self.local)
		for name, text in local.items():
			proc.write_file(self._path("local.d", name), text)
		self.process = proc.Process("rspamd", ["rspamd", "--insecure",
		    "--no-fork", "--user=_rspamd", "--group=_rspamd",
		    "--config=/etc/rspamd/rspamd.conf",
		    "--var=DBDIR=" + self._path("db"),
		    "--var=RUNDIR=" + self._path("run"),
		    "--var=LOGDIR=" + self._path("log"),
		    "--var=LOCAL_CONFDIR=" + self.folder], self.log)
		self.process.wait_ready(self._ready)
		return self

	def _ask(self, method, path, body=None, headers=None):
		c = http.client.HTTPConnection("127.0.0.1", self.port,
		    timeout=60)
		try:
			c.request(method, path, body, headers or {})
			return c.getresponse().read()
		finally:
			c.close()

	def _ready(self):
		try:
			return self._ask("GET", "/ping").startswith(b"pong")
		except OSError:
			return False

	def scores(self, content):
		"""{symbol: points} of a mail that comes from outside."""
		reply = json.loads(self._ask("POST", "/checkv2", content,
		    {"IP": "192.0.2.10", "Helo": "gw.example.com",
		    "Hostname": "gw.example.com", "From": "alice@example.com",
		    "Rcpt": "bob@example.org"}))
		return {s["name"]: s["score"]
		    for s in reply["symbols"].values()}

	def stop(self):
		if self.process is not None:
			process, self.process = self.process, None
			process.stop()
		self.dns.stop()


class SpamAssassin:
	"""spamd with the package's rules; `extra` is text for a local.cf."""

	def __init__(self, folder, extra=""):
		self.folder = folder
		self.extra = extra
		self.port = proc.free_port()
		self.log = os.path.join(folder, "log")
		self.process = None

	def start(self):
		_own("nobody", self.folder)
		site = os.path.join(self.folder, "site")
		os.makedirs(site)
		for name in os.listdir("/etc/spamassassin"):
			if name.endswith(".pre"):
				proc.write_file(os.path.join(site, name),
				    proc.read_text("/etc/spamassassin/" + name))
		proc.write_file(os.path.join(site, "local.cf"),
		    "use_bayes 0\n" + self.extra)
		self.process = proc.Process("spamd", ["spamd", "--local",
		    "--listen=127.0.0.1:%d" % self.port, "--max-children=1",
		    "--username=nobody", "--nouser-config", "--helper-home-dir="
		    + self.folder, "--syslog=stderr", "--siteconfigpath="
		    + site, "--pidfile=" + os.path.join(self.folder, "pid")],
		    self.log)
		self.process.wait_ready(lambda: proc.port_answers(self.port))
		return self

	def scores(self, content):
		"""{rule: points}."""
		out = proc.run(["spamc", "-d", "127.0.0.1", "-p", str(self.port),
		    "-R", "-s", "10000000"], input=content).stdout.decode("utf-8", "replace")
		table = out[out.index("\n----"):]
		return {m.group(2): float(m.group(1)) for m in re.finditer(
		    r"(?m)^\s*(-?[\d.]+) (\w+)", table)}

	def stop(self):
		if self.process is not None:
			process, self.process = self.process, None
			process.stop()


class Amavis:
	"""amavisd with the package's rules for files, and clamd behind it.

	Takes mail at self.port, gives what it lets through to the sink (what has
	a field `port`), and refuses the rest.  clamd knows one virus, whose mark
	is the text VIRUS, and stops what it cannot look into.  `extra` is more
	text for amavis's configuration.
	"""

	VIRUS = b"counterfoil-lab-virus-0f3d"

	def __init__(self, folder, sink, extra=""):
		self.folder = folder
		self.sink = sink
		self.extra = extra
		self.port = proc.free_port()
		self.log = os.path.join(folder, "log")
		self.clamd = self.process = None

	def _path(self, *parts):
		return os.path.join(self.folder, *parts)

	def start(self):
		_own("amavis", *(self._path(f) for f in ("clam", "home",
		    "home/tmp", "home/db", "home/virusmails")))
		self._start_clamd()
		own = self._path("amavis.conf")
		proc.write_file(own, """use strict;
$daemon_user = $daemon_group = 'amavis';
$myhostname = 'gw.c.test';
$mydomain = 'c.test';
$MYHOME = '%(home)s';
$TEMPBASE = "$MYHOME/tmp";
$db_home = "$MYHOME/db";
$QUARANTINEDIR = "$MYHOME/virusmails";
$pid_file = "$MYHOME/pid";
$lock_file = "$MYHOME/lock";
$unix_socketname = undef;
$enable_db = 0;
$DO_SYSLOG = 0;
$log_level = 1;
$max_servers = 1;
$inet_socket_bind = '127.0.0.1';
$inet_socket_port = %(port)d;
$forward_method = $notify_method = 'smtp:[127.0.0.1]:%(sink)d';
$warnvirussender = $warnbannedsender = 0;
undef $virus_admin;
@bypass_spam_checks_maps = (1);
@bypass_virus_checks_maps = (0);
$final_virus_destiny = $final_banned_destiny = D_REJECT;
@av_scanners = (['ClamAV-clamd', \\&ask_daemon,
    ["CONTSCAN {}\\n", '%(clam)s'], qr/\\bOK$/m, qr/\\bFOUND$/m,
    qr/^.*?: (?!Infected Archive)(.*) FOUND$/m]);
@av_scanners_backup = ();
%(extra)s
1;
""" % {"extra": self.extra, "home": self._path("home"), "port": self.port,
		    "sink": self.sink.port, "clam": self._path("clam", "s")})
		package = "/etc/amavis/conf.d/"
		argv = ["amavisd"]
		for name in sorted(os.listdir(package)):
			if name != "50-user":
				argv += ["-c", package + name]
		self.process = proc.Process("amavisd", argv + ["-c", own,
		    "foreground"], self.log)
		self.process.wait_ready(lambda: proc.port_answers(self.port))
		return self

	def _start_clamd(self):
		proc.write_file(self._path("clam", "lab.ndb"),
		    "Lab.Virus:0:*:%s\n" % self.VIRUS.hex())
		conf = self._path("clamd.conf")
		proc.write_file(conf, "User amavis\nForeground yes\n"
		    "LocalSocket %s\nDatabaseDirectory %s\nAlertEncrypted yes\n"
		    "AlertBrokenMedia yes\nAlertBrokenExecutables yes\n"
		    % (self._path("clam", "s"), self._path("clam")))
		self.clamd = proc.Process("clamd", ["clamd", "--config-file="
		    + conf], self._path("clamd.log"))
		self.clamd.wait_ready(lambda: os.path.exists(
		    self._path("clam", "s")))

	def stop(self):
		for name in ("process", "clamd"):
			process = getattr(self, name)
			setattr(self, name, None)
			if process is not None:
				process.stop()
