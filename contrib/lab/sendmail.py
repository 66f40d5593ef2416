# SPDX-License-Identifier: Apache-2.0
"""A private Sendmail: one instance, or two for a sender's gateway.

It uses the files of contrib/sendmail as they are, but for ports, names and
paths.  Sendmail cannot be installed beside Postfix, so its Debian packages are
unpacked into a directory of the build.

A Sendmail looks to the tests like postfix.Postfix: submission is `port`, the
port for the world `outside_port`.
"""

import glob
import os
import pwd
import re
import shutil
import signal

from lab import proc, unpack

FRAGMENTS = os.path.join(proc.repository(), "contrib", "sendmail")
MILTER_SOCKET = "unix:/run/counterfoil/milter.sock"
CF_M4 = "/usr/share/sendmail/cf/m4/cf.m4"
MAILBOX_USER = "nobody"
FORWARDER = "games"		# whose .forward is looked at

# What an administrator has before he puts our lines in.
MAIN_MC = """\
include(`%(cf_m4)s')dnl
VERSIONID(`laboratory')dnl
OSTYPE(`linux')dnl
define(`QUEUE_DIR', `%(root)s/queue')dnl
define(`STATUS_FILE', `%(root)s/main.st')dnl
define(`HELP_FILE', `')dnl
define(`confPID_FILE', `%(root)s/main.pid')dnl
define(`ALIAS_FILE', `%(root)s/etc/aliases')dnl
define(`confFORWARD_PATH', `%(root)s/forward/$u')dnl
define(`confDONT_BLAME_SENDMAIL', `%(blame)s')dnl
define(`confMAX_MESSAGE_SIZE', `%(size_limit)d')dnl
define(`confDOMAIN_NAME', `%(host)s')dnl
define(`confSERVICE_SWITCH_FILE', `%(root)s/etc/service.switch')dnl
define(`confTO_IDENT', `0')dnl
define(`confTO_ICONNECT', `10s')dnl
define(`confMIN_QUEUE_AGE', `0')dnl
define(`confBAD_RCPT_THROTTLE', `0')dnl
define(`confQUEUE_LA', `1000')dnl
define(`confREFUSE_LA', `1000')dnl
define(`confDONT_PROBE_INTERFACES', `True')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unqualified_senders')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`mailertable', `text -k0 -v1 %(root)s/etc/mailertable')dnl
define(`confCR_FILE', `-o %(root)s/etc/relay-domains')dnl
define(`confCW_FILE', `-o %(root)s/etc/local-host-names')dnl
FEATURE(`use_cw_file')dnl
DAEMON_OPTIONS(`Name=MTA, Family=inet, Addr=127.0.0.1, Port=%(port)d')dnl
define(`LOCAL_MAILER_PATH', `%(root)s/etc/first-mail')dnl
define(`LOCAL_MAILER_ARGS', `first-mail $u')dnl
define(`LOCAL_MAILER_FLAGS', `PSn')dnl
MODIFY_MAILER_FLAGS(`LOCAL', `-w')dnl
%(ours)s%(extra)sMAILER(`local')dnl
MAILER(`smtp')dnl

MAILER_DEFINITIONS
# As the local mailer, but it looks at .forward.
Mforwarder,	P=%(root)s/etc/first-mail, F=lsDFMAw5:/|@qPSn,
		S=EnvFromL/HdrFromL, R=EnvToL/HdrToL, T=DNS/RFC822/X-Unix,
		A=first-mail $u
%(mailers)s
LOCAL_RULE_0
R%(forwarder)s < @ $=w . >	$#forwarder $: %(forwarder)s
"""

# What a user's call of sendmail reads, as Debian has it.
SUBMIT_MC = """\
include(`%(cf_m4)s')dnl
VERSIONID(`laboratory')dnl
OSTYPE(`linux')dnl
define(`MSP_QUEUE_DIR', `%(root)s/queue-submit')dnl
define(`confRUN_AS_USER', `mail:mail')dnl
define(`confDOMAIN_NAME', `%(host)s')dnl
define(`confSERVICE_SWITCH_FILE', `%(root)s/etc/service.switch')dnl
define(`confQUEUE_LA', `1000')dnl
FEATURE(`nocanonify')dnl
FEATURE(`msp', `[127.0.0.1]', `MSA')dnl
"""
MSA = "TCP $h 587"

# The esmtp mailer with another port.
MAILER = """\
Mto%d,	P=[IPC], F=mDFMuXa, S=EnvFromSMTP/HdrFromSMTP, R=EnvToSMTP, E=\\r\\n,
		L=990, T=DNS/RFC822/SMTP, A=TCP $h %d
"""

# Who delivers to a Maildir; any user has one.
FIRST_MAIL = """\
#!/bin/sh
# Deliver standard input to the Maildir of a user.
case $1 in ''|.*|*/*) exit 67 ;; esac
umask 077
box=%(mail)s/$1
mkdir -p "$box/tmp" "$box/new" "$box/cur" || exit 75
name=$(date +%%s.%%N).$$.first
cat >"$box/tmp/$name" && chown -R %(user)s: "$box" &&
    mv "$box/tmp/$name" "$box/new/$name" || exit 75
"""

# A qualified name, no DNS: both only in the namespace of the daemons.
STARTER = """\
hostname %(host)s
mount --bind %(root)s/etc/hosts /etc/hosts
mount --bind %(root)s/etc/resolv.conf /etc/resolv.conf
exec "$@"
"""


def unpacked():
	return unpack.root("sendmail", "usr/libexec/sendmail/sendmail")


def fragment(name, changes):
	"""A file of contrib/sendmail with [(what, with what)] put in.

	What is to be replaced must be there.
	"""
	text = proc.read_text(os.path.join(FRAGMENTS, name))
	if not text:
		raise proc.LabError("contrib/sendmail/%s is missing" % name)
	for old, new in changes:
		if old not in text:
			raise proc.LabError("contrib/sendmail/%s lacks %r"
			    % (name, old))
		text = text.replace(old, new)
	return text


class _Instance:
	"""One running Sendmail: a .mc file and its queue."""

	def __init__(self, site, name, port, queue):
		self.site = site
		self.name = name
		self.port = port
		self.queue = queue
		self.cf = os.path.join(site.etc, name + ".cf")
		self.log = os.path.join(site.root, name + ".log")
		self.maillog = os.path.join(site.root, name + ".maillog")
		self.process = None
		self.guard = None

	def write(self, mc):
		path = os.path.join(self.site.etc, self.name + ".mc")
		proc.write_file(path, mc)
		cf_dir = os.path.join(unpacked(), "usr/share/sendmail/cf/")
		made = proc.run(["m4", "-D_CF_DIR_=" + cf_dir, path],
		    check=False)
		if made.returncode or made.stderr:
			raise proc.LabError("m4 %s: %s" % (path,
			    made.stderr.decode()))
		proc.write_file(self.cf, made.stdout)

	def command(self, *args):
		return ["unshare", "-m", "-u", "--propagation", "private",
		    "sh", "-euc", STARTER % self.site.words, "sh",
		    os.path.join(unpacked(), "usr/libexec/sendmail/sendmail"),
		    "-C", self.cf] + list(args)

	def start(self):
		self.process = proc.Process("sendmail " + self.name,
		    self.command("-L", "sm-" + self.name, "-X", self.maillog,
		    "-bD", "-q1s"), self.log)
		self.guard = proc.Guard(self.process.pid)
		# It opens one port after the other.
		self.process.wait_ready(lambda: all(proc.port_answers(p)
		    for p in self.ports()))

	def ports(self):
		if self is self.site.main and self.site.hop_milter is not None:
			return [self.port, self.site.hop_port]
		return [self.port]

	def stop(self, sig=signal.SIGTERM):
		if self.process is None:
			return
		process, self.process = self.process, None
		self.guard.cancel()
		# Deliveries and queue runs are processes of their own.
		if process.alive():
			os.killpg(process.pid, sig)
		process.wait(60)
		proc.wait_for(lambda: all(proc.port_is_free(p)
		    for p in self.ports()), 60, "%s to let go of its port"
		    % self.name)

	def files(self, letters="qdhQ"):
		return [f for f in glob.glob(os.path.join(self.queue, "*"))
		    if os.path.basename(f)[0] in letters]

	def contents(self, letters="qdhQ", but=()):
		"""[bytes] of the queue's files; some may go while we look."""
		found = []
		for path in set(self.files(letters)) - set(but):
			try:
				with open(path, "rb") as f:
					found.append(f.read())
			except FileNotFoundError:
				pass
		return found


class Sendmail:
	"""A gateway for one domain; fields as those of postfix.Postfix.

	hop_milter   the sender's set-up: front instance, hop, milter
	milter       the recipient's set-up
	             "" for either: the same set-up without the milter
	extra        more lines for sendmail.mc
	aliases      {name: list of addresses}
	"""

	def __init__(self, folder, domain, users=(), routes=None,
	    hop_milter=None, milter=None, outside_milter=None,
	    size_limit=60000000, extra=""):
		self.root = folder
		self.domain = domain
		self.etc = os.path.join(folder, "etc")
		self.mail = os.path.join(folder, "mail")
		self.forward = os.path.join(folder, "forward")
		self.outside_port = proc.free_port()
		self.hop_port = proc.free_port()
		has_hop = hop_milter is not None
		self.port = proc.free_port() if has_hop else self.outside_port
		self.users = list(users)
		self.routes = dict(routes or {})
		self.hop_milter = hop_milter
		self.milter = milter
		self.size_limit = size_limit
		self.extra = extra
		self.aliases = {}
		self.relay_for = []	# networks
		# Looked up when the daemons start.
		self.words = {}
		self.main = _Instance(self, "main", self.outside_port,
		    os.path.join(folder, "queue"))
		self.front = _Instance(self, "front", self.port,
		    os.path.join(folder, "queue-front")) if has_hop else None
		self.instances = [i for i in (self.main, self.front) if i]
		self.submit = _Instance(self, "submit", None,
		    os.path.join(folder, "queue-submit"))
		self.maillog = self.main.maillog

	def address(self):
		return "127.0.0.1:%d" % self.port

	@property
	def process(self):
		"""Of the instance that delivers."""
		return self.main.process

	def configure(self):
		"""Write all files; again after a change of the fields above."""
		for path in (self.root, self.etc, self.mail, self.forward):
			os.makedirs(path, exist_ok=True)
			os.chmod(path, 0o755)
		box = pwd.getpwnam(MAILBOX_USER)
		os.chown(self.mail, box.pw_uid, box.pw_gid)
		for instance in self.instances:
			os.makedirs(instance.queue, mode=0o700, exist_ok=True)
		self.words = {"root": self.root, "host": "gw." + self.domain,
		    "domain": self.domain, "mail": self.mail,
		    "user": MAILBOX_USER, "port": self.outside_port,
		    "size_limit": self.size_limit, "extra": self.extra,
		    "mailers": "".join(MAILER % (p, p)
		    for p in sorted(set(self.routes.values()))),
		    "forwarder": FORWARDER, "cf_m4": unpacked() + CF_M4,
		    # Below /tmp.
		    "blame": "TrustStickyBit", "ours": self._ours()}
		self._small_files()
		self.main.write(MAIN_MC % self.words)
		proc.run(self.main.command("-bi"))
		if self.front:
			self.front.write(self._front_mc())
			self._write_submit()

	def _ours(self):
		milter, text = self.milter, ""
		if self.hop_milter is not None:
			milter = self.hop_milter
			text = fragment("sender-main.m4", (("Port=10027",
			    "Port=%d" % self.hop_port),))
		elif milter is not None:
			text = fragment("recipient.m4", ())
		if milter == "":
			return re.sub(r"(?s)INPUT_MAIL_FILTER\(`.*?\)dnl\n", "",
			    text)
		if milter and MILTER_SOCKET not in text:
			raise proc.LabError("no %s to replace" % MILTER_SOCKET)
		return text.replace(MILTER_SOCKET, milter or "")

	def _front_mc(self):
		"""The file, and below its line `Add what you have' our own."""
		text = fragment("sender-front.mc", (
		    (CF_M4, self.words["cf_m4"]),
		    ("/var/spool/mqueue-front", self.front.queue),
		    ("/var/lib/sendmail", self.root),
		    ("/run/sendmail", self.root),
		    ("-o /etc/mail/relay-domains",
		    "-o %s/etc/relay-domains-front" % self.root),
		    ("Port=587", "Addr=127.0.0.1, Port=%d" % self.port),
		    (" 10027", " %d" % self.hop_port)))
		more = "".join(line + "\n" for line in (MAIN_MC % self.words
		    ).splitlines() if re.search(r"HELP_FILE|confMAX_MESSAGE|"
		    r"confDOMAIN_NAME|SWITCH|confTO_|QUEUE_AGE|_LA'|PROBE|BLAME",
		    line))
		mark = "MAILER(`local')dnl\n"
		at = text.index(mark)
		return text[:at] + more + text[at:]

	def _write_submit(self):
		os.makedirs(self.submit.queue, mode=0o700, exist_ok=True)
		shutil.chown(self.submit.queue, "mail", "mail")
		self.submit.write(SUBMIT_MC % self.words)
		text = proc.read_text(self.submit.cf)
		if MSA not in text:
			raise proc.LabError("FEATURE(msp) leads elsewhere")
		proc.write_file(self.submit.cf, text.replace(MSA, "TCP $h %d"
		    % self.port))

	def _small_files(self):
		write = lambda name, text, mode=0o644: proc.write_file(
		    os.path.join(self.etc, name), text, mode)
		write("hosts", "127.0.0.1 localhost\n127.0.0.1 %s\n127.0.0.3 "
		    "stranger.test\n" % self.words["host"])
		write("resolv.conf", "")
		write("service.switch", "hosts files\naliases files\n"
		    "passwd files\n")
		write("aliases", "".join("%s: %s\n" % (n, ", ".join(to))
		    for n, to in self.aliases.items()))
		write("local-host-names", self.domain + "\n")
		write("relay-domains", "".join(n + "\n"
		    for n in self.relay_for))
		write("relay-domains-front", "")
		write("mailertable", "".join("%s to%d:[127.0.0.1]\n" % route
		    for route in self.routes.items()))
		write("first-mail", FIRST_MAIL % self.words, 0o755)

	def start(self):
		self.configure()
		for instance in self.instances:
			instance.start()
		return self

	def stop(self):
		for instance in self.instances:
			instance.stop()

	def restart(self):
		self.stop()
		return self.start()

	def flush(self):
		"""The queues are run every second anyway."""

	def queue(self):
		"""Files of the messages that are in the queues."""
		return [f for i in self.instances for f in i.files()]

	def queue_text(self):
		"""What the queues say about them."""
		return "\n".join(text.decode("utf-8", "replace")
		    for i in self.instances for text in i.contents("qhQ"))

	def log_text(self):
		return "".join(proc.read_text(i.maillog)
		    for i in self.instances)

	def maildir(self, user):
		return os.path.join(self.mail, user)

	def messages(self, user):
		"""Files delivered to the user, oldest first."""
		return sorted(glob.glob(os.path.join(self.mail, user, "new",
		    "*")), key=lambda p: (os.stat(p).st_mtime_ns, p))

	def empty(self, user):
		shutil.rmtree(os.path.join(self.mail, user), ignore_errors=True)
