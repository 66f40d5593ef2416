# SPDX-License-Identifier: Apache-2.0
"""One private Postfix instance.

It uses the files of contrib/postfix as they are, but for the port of the
hop and the path of the milter's socket.  Mail for its own domain goes to
Maildirs: the users given by name by virtual(8), anybody else's is made by the
first mail for him.
"""

import glob
import os
import pwd
import re
import shutil
import signal
import time

from lab import proc

FRAGMENTS = os.path.join(proc.repository(), "contrib", "postfix")
HOP_PORT = "10027"
MILTER_SOCKET = "unix:/run/counterfoil/milter.sock"
MAILBOX_USER = "nobody"
QUEUES = ("incoming", "active", "deferred", "maildrop", "hold", "corrupt")

# Not less than 3 s between two attempts: after 1 s qmgr(8) may come back while
# smtp(8) still holds its lock on the file.  Then it goes to the incoming queue
# for a minute, and until new mail or master(8) wakes qmgr(8), usually at 300 s.
MAIN_CF = """\
compatibility_level = 3.6
queue_directory = %(root)s/queue
data_directory = %(root)s/data
maillog_file = %(root)s/maillog
maillog_file_prefixes = %(root)s
syslog_name = %(name)s
myhostname = gw.%(domain)s
mydomain = %(domain)s
myorigin = %(domain)s
mydestination =
local_transport = error:no local delivery
alias_maps =
alias_database =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.1/32
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtp_tls_security_level = none
virtual_mailbox_domains = %(domain)s
virtual_mailbox_maps = texthash:%(root)s/etc/mbox static:first-mail/
virtual_mailbox_base = %(mail)s
virtual_minimum_uid = 1
virtual_uid_maps = static:%(uid)d
virtual_gid_maps = static:%(gid)d
virtual_mailbox_limit = 0
virtual_transport = first-mail
transport_maps = texthash:%(root)s/etc/transport
message_size_limit = %(size_limit)d
queue_run_delay = 1s
minimal_backoff_time = 3s
maximal_backoff_time = 3s
milter_connect_timeout = 10s
milter_command_timeout = 30s
milter_content_timeout = 120s
authorized_mailq_users = root
"""

SERVICES = """\
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       2       1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
proxywrite unix -       -       n       -       1       proxymap
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
local     unix  -       n       n       -       -       local
virtual   unix  -       n       n       -       -       virtual
lmtp      unix  -       -       n       -       -       lmtp
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
first-mail unix -       n       n       -       10      pipe
    flags=DRXu user=%(user)s argv=%(root)s/etc/first-mail ${user}
"""

# virtual(8) has no table that makes a folder out of an address.
FIRST_MAIL = """\
#!/bin/sh
# Deliver standard input to the Maildir of a user nobody named before.
case $1 in ''|.*|*/*) exit 67 ;; esac
umask 077
box=%(mail)s/$1
mkdir -p "$box/tmp" "$box/new" "$box/cur" || exit 75
name=$(date +%%s).$$.first
cat >"$box/tmp/$name" && mv "$box/tmp/$name" "$box/new/$name" || exit 75
"""


def fragment(name, hop_port=None, milter=None):
	"""The text of a file in contrib/postfix, with our port and socket."""
	text = proc.read_text(os.path.join(FRAGMENTS, name))
	if not text:
		raise proc.LabError("contrib/postfix/%s is missing" % name)
	if hop_port is not None:
		text = text.replace("127.0.0.1:" + HOP_PORT,
		    "127.0.0.1:%d" % hop_port)
		text = text.replace("[127.0.0.1]:" + HOP_PORT,
		    "[127.0.0.1]:%d" % hop_port)
	if milter is not None:
		text = text.replace(MILTER_SOCKET, milter)
	return text


def without_repeats(main_cf):
	"""The same with each parameter set once, as it was set last.

	Every daemon would begin with a warning about the others, and when
	these fill the socket of postlogd(8) before it reads, it waits for
	itself, and master(8) for it, for ever.
	"""
	parts = re.findall(r"(?m)^\S.*\n(?:[ \t].*\n)*|^\s*\n",
	    main_cf.rstrip("\n") + "\n")
	last = {part.split("=")[0].strip(): at
	    for at, part in enumerate(parts) if part[:1] != "#"}
	return "".join(part for at, part in enumerate(parts)
	    if part[:1] == "#" or not part.strip()
	    or last[part.split("=")[0].strip()] == at)


def sbin(name):
	for folder in ("/usr/sbin", "/usr/lib/postfix/sbin"):
		path = os.path.join(folder, name)
		if os.access(path, os.X_OK):
			return path
	raise proc.LabError("%s is missing (Debian package postfix)" % name)


class Postfix:
	"""An instance for one domain.

	routes       {domain: port on 127.0.0.1}; or a transport(5) value
	hop_milter   milter of the sealing hop: the sender's set-up
	milter       milter on all ports: the recipient's set-up
	             "" for either: the same set-up without the milter
	outside_milter  milter of the port for the world (self.outside_port)
	smtpd_milters   milter of the front port only (for comparisons)
	extra        more lines for main.cf
	triggers     route what triggers need to the hop, too
	sealed_domains  route mail for these domains to the hop
	self.services   more lines for master.cf
	self.files      {name: content} of more files beside them
	"""

	def __init__(self, folder, domain, users=(), routes=None,
	    hop_milter=None, milter=None, outside_milter=None,
	    size_limit=60000000, extra=""):
		self.root = folder
		self.domain = domain
		self.name = "pf-" + domain.replace(".", "-")
		self.etc = os.path.join(folder, "etc")
		self.mail = os.path.join(folder, "mail")
		self.maillog = os.path.join(folder, "maillog")
		self.port = proc.free_port()
		self.outside_port = proc.free_port()
		self.hop_port = proc.free_port()
		self.users = list(users)
		self.routes = dict(routes or {})
		self.hop_milter = hop_milter
		self.milter = milter
		self.outside_milter = outside_milter
		self.size_limit = size_limit
		self.extra = extra
		self.triggers = False
		self.sealed_domains = []
		self.services = ""
		self.files = {}
		self.process = None
		self.guard = None

	def address(self):
		return "127.0.0.1:%d" % self.port

	def configure(self):
		"""Write all files; again after a change of the fields above."""
		postfix = pwd.getpwnam("postfix")
		box = pwd.getpwnam(MAILBOX_USER)
		for path, owner in ((self.root, None), (self.etc, None),
		    (os.path.join(self.root, "queue"), None),
		    (os.path.join(self.root, "data"), postfix),
		    (self.mail, box)):
			os.makedirs(path, exist_ok=True)
			os.chmod(path, 0o755)
			if owner:
				os.chown(path, owner.pw_uid, owner.pw_gid)
		words = {"root": self.root, "name": self.name,
		    "domain": self.domain, "mail": self.mail,
		    "uid": box.pw_uid, "gid": box.pw_gid, "user": box.pw_name,
		    "size_limit": self.size_limit}
		main = MAIN_CF % words
		master = "127.0.0.1:%d inet n - n - - smtpd\n" % self.port
		if self.hop_milter is not None:
			main += fragment("sender-main.cf")
			master += fragment("sender-master.cf", self.hop_port,
			    self.hop_milter)
			checks = fragment("counterfoil_header_checks",
			    self.hop_port)
			if self.triggers:
				checks = re.sub(r"(?m)^#/", "/", checks)
			self._write("counterfoil_header_checks", checks)
			self._write("counterfoil_body_checks", fragment(
			    "counterfoil_body_checks", self.hop_port))
		if self.sealed_domains:
			master = self._submission_service() + "".join(
			    master.splitlines(True)[1:])
		if self.milter is not None:
			main += fragment("recipient-main.cf",
			    milter=self.milter)
		if self.outside_milter:
			master += self._outside_service()
		self._write("main.cf", without_repeats(main + self.extra))
		self._write("master.cf", master + self.services
		    + SERVICES % words)
		for name, text in self.files.items():
			self._write(name, text)
		self._write("mbox", "".join("%s@%s %s/\n" % (u, self.domain, u)
		    for u in self.users))
		self._write("transport", "".join("%s@%s virtual:\n"
		    % (u, self.domain) for u in self.users)
		    + "".join("%s %s\n" % (d, p if isinstance(p, str)
		    else "smtp:[127.0.0.1]:%d" % p)
		    for d, p in self.routes.items()))
		self._write("first-mail", FIRST_MAIL % words, 0o755)

	def _submission_service(self):
		"""The front port, with the files for rules as they are."""
		table = fragment("counterfoil_recipients", self.hop_port)
		line = re.search(r"(?m)^#(/@partner.*\n)", table).group(1)
		self._write("counterfoil_recipients", "".join(line.replace(
		    r"partner\.example", re.escape(d))
		    for d in self.sealed_domains))
		return re.sub(r"(?m)^submission ", "127.0.0.1:%d " % self.port,
		    fragment("submission-master.cf"))

	def _outside_service(self):
		text = fragment("outside-master.cf", milter=self.outside_milter)
		return re.sub(r"(?m)^smtp ", "127.0.0.1:%d "
		    % self.outside_port, text)

	def _write(self, name, text, mode=0o644):
		path = os.path.join(self.etc, name)
		proc.write_file(path, text, mode)
		# Postfix waits until a file it reads is no longer brand new.
		os.utime(path, (time.time() - 10,) * 2)

	def start(self):
		self.configure()
		# Makes the queue's folders and sets their owners.
		proc.run(["postfix", "-c", self.etc, "check"])
		env = dict(os.environ, MAIL_CONFIG=self.etc)
		# -s: it leads the session we made, and signals its own group.
		before = self._started()
		self.process = proc.Process(self.name, [sbin("master"), "-c",
		    self.etc, "-s"], os.path.join(self.root, "master.log"), env)
		self.guard = proc.Guard(self.process.pid)
		# The front port is the first that it opens of many, and only
		# when it has them all it says so.
		self.process.wait_ready(lambda: proc.port_answers(self.port)
		    and self._started() > before)
		return self

	def _started(self):
		"""How many times it has begun, by its log."""
		return len(re.findall(r"/master\[\d+\]: daemon started -- ",
		    self.log_text()))

	def reload(self):
		"""Write the files anew and have all daemons read them."""
		self.configure()
		proc.run(["postfix", "-c", self.etc, "reload"])

	def restart(self):
		"""Stop, write the files anew, start."""
		self.stop()
		return self.start()

	def stop(self):
		if self.process is None:
			return
		process, self.process = self.process, None
		self.guard.cancel()
		process.stop()
		# A daemon that lives on would hold a lock that the next one
		# wants, and master(8) tries that again after a minute only.
		proc.wait_for(lambda: not proc.group_lives(process.pid), 60,
		    "all of %s to end" % self.name)
		proc.wait_for(lambda: proc.port_is_free(self.port), 20,
		    "%s to let go of its port" % self.name)

	def flush(self):
		"""Try to deliver all that waits, now."""
		proc.run(["postqueue", "-c", self.etc, "-f"])

	def queue(self):
		"""Ids of the messages that are in the queue.

		None are there only if nothing moved while we looked: a message
		goes from one folder to another, and could each time be in the
		one that was not looked at.
		"""
		while True:
			times, _ = self._look()
			# Longer than the clock of the file system stands still.
			time.sleep(proc.POLL_S)
			again, found = self._look()
			if found or times == again == self._look()[0]:
				return found

	def _look(self):
		"""When the queue's folders changed; the names of its files."""
		times, found = {}, []
		for name in QUEUES:
			for folder, _, files in os.walk(os.path.join(self.root,
			    "queue", name)):
				try:
					times[folder] = os.stat(
					    folder).st_mtime_ns
				except FileNotFoundError:
					times[folder] = None
				found += files
		return times, found

	def queue_text(self):
		return proc.run(["postqueue", "-c", self.etc, "-p"]
		    ).stdout.decode()

	def log_text(self):
		return proc.read_text(self.maillog)

	def maildir(self, user):
		return os.path.join(self.mail, user)

	def messages(self, user):
		"""Files delivered to the user, oldest first."""
		return sorted(glob.glob(os.path.join(self.mail, user, "new",
		    "*")), key=lambda p: (os.stat(p).st_mtime_ns, p))

	def empty(self, user):
		shutil.rmtree(os.path.join(self.mail, user), ignore_errors=True)

	def kill(self):
		if self.process is not None:
			self.guard.cancel()
			os.killpg(self.process.pid, signal.SIGKILL)
			self.process.wait()
			self.process = None
