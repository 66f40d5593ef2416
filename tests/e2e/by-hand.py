#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The commands of README, as they stand there, on a machine of its own.

The machine is this one's file system under an overlay in memory, with its own
processes, host name, network and /run: PostgreSQL, Postfix and nginx are the
packages', in their own places, with their own users and ports.  It has what
README says that one has before step 1: a mail domain, names, certificates.
Nothing outside is changed, and all ends with this program.

What is not real: the authority that browsers trust, and systemctl, for which
contrib/lab/units.py stands in.
"""

import fcntl
import glob
import os
import re
import shlex
import shutil
import socket
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))

from lab import ca, mail, pg, proc, sample, tap, units, web  # noqa: E402

KEYS, READER, GATEWAY = ("keys.example.net", "receipts.example.org",
    "mail.example.org")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
MAILDIR = "/home/you/Maildir/new"
LIMIT_S = 120

# The mail domain that there is: Debian's file, with names and a Maildir.
MAIN_CF = """
myhostname = %s
mydestination = example.org, $myhostname, localhost
mynetworks = 127.0.0.0/8 [::1]/128
alias_maps = hash:/etc/aliases
home_mailbox = Maildir/
maillog_file = /var/log/mail.log
""" % GATEWAY

# Into the machine: $1 is this file's tree, $2 the build's, then the words.
ENTER = """set -e
umask 022
mount -t tmpfs -o mode=755 machine /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay machine -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work \
    /mnt/root
mount -t proc proc /mnt/root/proc
mount --rbind /dev /mnt/root/dev
mount -t tmpfs -o mode=755 run /mnt/root/run
# Sanitizers report to the one, and the others may lie on other file systems.
for path in "${TMPDIR:-/tmp}" "$1" "$2"; do
	[ "$path" = "${TMPDIR:-/tmp}" ] ||
	    [ "$(stat -c %d "$path")" != "$(stat -c %d /)" ] || continue
	mkdir -p "/mnt/root$path"
	mount --bind "$path" "/mnt/root$path"
done
here=$1
shift 2
CF_MACHINE=1 exec chroot /mnt/root /usr/bin/python3 \
    "$here/tests/e2e/by-hand.py" "$@"
"""


def enter():
	os.environ["CF_BUILDDIR"] = proc.builddir()
	os.execvp("unshare", ["unshare", "--mount", "--net", "--uts", "--ipc",
	    "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, "sh",
	    proc.repository(), proc.builddir(), *sys.argv[1:]])


def readme():
	return proc.read_text(os.path.join(proc.repository(), "README"))


def section(title):
	return re.search(r"(?ms)^%s\n-+\n(.*?)(?=^[^\n]+\n---|\Z)"
	    % re.escape(title), readme()).group(1)


def commands(text):
	"""[(step, command)]: what is indented by 7 or more below a number."""
	found, step, going_on = [], None, False
	for line in text.splitlines():
		m = re.match(r"(\d)\. ", line)
		if m:
			step = int(m.group(1))
		elif re.match(r"\S", line):
			step = None
		if step is None or not line.startswith(" " * 7):
			continue
		if going_on:
			found[-1][1] += "\n" + line.strip()
		else:
			found.append([step, line.strip()])
		going_on = line.endswith(("\\", "|"))
	return found


STEPS = section("Into an existing Postfix, by hand")
COMMANDS = commands(STEPS)


class Shell:
	"""root's, in which the commands are typed one after the other."""

	def __init__(self):
		self.folder = "/root"
		self.done = 0
		self.failed = None

	def type(self, command):
		"""What it prints; LabError if it fails."""
		at = os.path.join("/run", "at")
		done = proc.run(["bash", "-c", "%s\ncode=$?; pwd >%s; exit $code"
		    % (command, at)], LIMIT_S, check=False, cwd=self.folder,
		    env=dict(units.sanitizers(), PATH=PATH, HOME="/root"))
		said = (done.stdout + done.stderr).decode("utf-8", "replace")
		if done.returncode != 0:
			raise proc.LabError("%s\nended with %d:\n%s" % (command,
			    done.returncode, said))
		self.folder = proc.read_text(at).strip()
		return said

	def go_on_to(self, part):
		"""Type all up to the last command with `part` in it.

		What each of those not typed before has said.
		"""
		if self.failed:
			raise self.failed
		end = max(n for n, (_, text) in enumerate(COMMANDS)
		    if part in text)
		said = []
		while self.done <= end:
			command = COMMANDS[self.done][1]
			try:
				said.append((command, self.type(command)))
				wait_for_services(command)
			except proc.LabError as e:
				self.failed = e
				raise
			self.done += 1
		return said


shell = Shell()


def started():
	"""What the services that were started have said."""
	return "".join("\n%s:\n%s" % (p, proc.tail(p))
	    for p in sorted(glob.glob(units.LOGS + "/*.log")))


def serves(name):
	"""Does that unit, which was started, do its work?"""
	if "." in name:			# a timer
		return True
	pid = proc.read_text("%s/%s.service.pid" % (units.LOGS, name))
	if not os.path.exists("/proc/%s/cwd" % pid):
		raise proc.LabError("%s has ended" % name)
	if name == "counterfoil-milter":
		return " serves on " in started()
	return proc.port_answers({"counterfoil-keysrv": 8443,
	    "counterfoil-reader": 8480}[name])


def wait_for_services(command):
	"""systemctl does not wait until they serve, and people are slower."""
	for name in re.findall(r"counterfoil-[\w.]+", command
	    if command.startswith("systemctl") else ""):
		try:
			proc.wait_for(lambda: serves(name), LIMIT_S, name)
		except proc.LabError as e:
			raise proc.LabError("%s%s" % (e, started()))


def configured_as_readme_says(status):
	"""Has config.status in that folder README's options?"""
	options = re.findall(r"\./configure (.*)", section("Build"))[0].split()
	done = proc.run([status, "--config"])
	return set(options) <= set(shlex.split(done.stdout.decode())), options


def install():
	"""make install, of a build with the options of README."""
	build = proc.builddir()
	good, options = configured_as_readme_says(build + "/config.status")
	if not good:
		tap.note("the programs are built anew, with %s" % options)
		was = shlex.split(proc.run([build + "/config.status",
		    "--config"]).stdout.decode())
		build = "/mnt/build"
		os.makedirs(build)
		proc.run([os.path.join(proc.repository(), "configure"), *was,
		    *options], 600, cwd=build)
		proc.run(["make", "-j%d" % os.cpu_count()], 600, cwd=build)
	proc.run(["make", "install"], 600, cwd=build)


def network():
	"""Loopback up, all names here."""
	with socket.socket() as s:
		request = struct.pack("16sh14x", b"lo", 0x1 | 0x40)
		fcntl.ioctl(s, 0x8914, request)		# SIOCSIFFLAGS: UP, RUNNING
	socket.sethostname(GATEWAY)
	proc.write_file("/etc/hosts", "127.0.0.1 localhost %s %s %s\n"
	    % (GATEWAY, READER, KEYS))
	proc.write_file("/etc/resolv.conf", "")


def certificates():
	"""Where certbot puts them, of an authority that the machine trusts."""
	authority = ca.Authority("/mnt/ca")
	with open(BUNDLE, "a") as f:
		f.write(proc.read_text(authority.file))
	for name in (KEYS, READER):
		folder = "/etc/letsencrypt/live/" + name
		os.makedirs(folder)
		for made, place in zip(authority.server(name, [name]),
		    ("fullchain.pem", "privkey.pem")):
			shutil.copy(made, os.path.join(folder, place))


def database():
	"""Debian's cluster, made and started by Debian's commands."""
	version = pg.bindir().split("/")[4]
	for folder in ("/etc/postgresql", "/var/lib/postgresql"):
		shutil.rmtree(os.path.join(folder, version), True)
	proc.run(["pg_createcluster", version, "main"])
	proc.run(["pg_ctlcluster", version, "main", "start"])


def mail_server():
	proc.run(["useradd", "--create-home", "you"])
	proc.write_file("/etc/postfix/main.cf", proc.read_text(
	    "/usr/share/postfix/main.cf.debian") + MAIN_CF)
	shutil.copy("/usr/share/postfix/master.cf.dist",
	    "/etc/postfix/master.cf")
	proc.run(["newaliases"])
	proc.run(["postfix", "start"])


def start():
	# As root has it, whoever runs the test.
	os.environ.update(PATH=PATH, LC_ALL="C.UTF-8")
	for folder in ("/etc/counterfoil", "/var/lib/counterfoil"):
		shutil.rmtree(folder, True)
	network()
	certificates()
	install()
	proc.write_file("/usr/local/sbin/systemctl", "#!/bin/sh\nexec "
	    '/usr/bin/python3 %s/contrib/lab/units.py "$@"\n'
	    % proc.repository(), 0o755)
	database()
	mail_server()
	proc.run(["nginx"])


def delivered(count):
	"""The mail that `you' has, when there are so many."""
	try:
		return proc.wait_for(lambda: sorted(glob.glob(MAILDIR + "/*"),
		    key=os.path.getmtime)[count - 1:] and sorted(
		    glob.glob(MAILDIR + "/*"), key=os.path.getmtime), LIMIT_S,
		    "mail %d" % count)
	except proc.LabError as e:
		raise proc.LabError("%s\n%s\n%s" % (e, proc.tail(
		    "/var/log/mail.log"), started()))


@tap.case("every sample that README and the manual name is installed")
def t_installed():
	texts = [readme()] + [proc.read_text(p) for p in glob.glob(
	    os.path.join(proc.repository(), "man", "*.[1-8]"))]
	found = set(re.findall(r"/usr/local/(?:share|lib)/[\w./-]*\w",
	    "\n".join(texts)))
	tap.true(len(found) > 10, "some are named: %s" % found)
	tap.equal([p for p in sorted(found) if not os.path.exists(p)], [],
	    "not there")


@tap.case("steps 1 to 6 run as they stand")
def t_steps():
	shell.go_on_to("message_size_limit")
	for command, said in shell.go_on_to(" -n"):
		tap.note("%s\n%s" % (command, said))
		tap.true(not re.search(r"error|warning", re.sub(
		    r"\b0 (errors|warnings)\b", "", said)),
		    "%s has no complaint: %s" % (command, said))


@tap.case("the daemons run as their users, with nothing that only root has")
def t_users():
	wanted = {"counterfoil-keysrv": "counterfoil-keysrv",
	    "counterfoil-milter": "counterfoil",
	    "counterfoil-reader": "counterfoil"}
	shell.go_on_to(" -n")
	for name, user in wanted.items():
		pids = proc.run(["pgrep", "-x", "-u", user, "-f",
		    "/usr/local/sbin/%s .*" % name]).stdout.split()
		tap.equal(len(pids), 1, "processes of " + name)
		status = proc.read_text("/proc/%s/status" % pids[0].decode())
		for line in ("NoNewPrivs:\t1", "CapEff:\t0000000000000000"):
			tap.contains(status, line, name)
	for path in ("/etc/counterfoil/masterkey",
	    "/etc/counterfoil/signer.key", "/etc/counterfoil/gateway.token"):
		tap.equal(os.stat(path).st_mode & 0o777, 0o600, path)


@tap.case("the mail of step 7 comes sealed, with a link to a page over https")
def t_sealed():
	shell.go_on_to("sendmail -t")
	content = mail.read(delivered(1)[0])
	tap.lacks(content, b"Hello.", "what was delivered")
	link = sample.link(content)
	tap.true(link.startswith("https://%s/m/" % READER), link)
	status, headers, page = web.fetch(link.split("#")[0], ca_file=BUNDLE)
	tap.equal(status, 200, "status of the page")
	tap.contains(page, b"<script src=\"/page.", "the page")
	# Each once: from the daemon or from the server in front.
	for url in (link.split("#")[0], "https://%s/healthz" % KEYS):
		headers = web.fetch(url, ca_file=BUNDLE)[1]
		tap.equal(headers.get_all("Strict-Transport-Security"),
		    ["max-age=31536000"], "lasting https of " + url)


@tap.case("counterfoil open opens it, and the receipt is mailed and listed")
def t_opened():
	shell.go_on_to("sendmail -t")
	done = proc.run(["runuser", "-u", "you", "--", "counterfoil", "open",
	    delivered(1)[0]])
	tap.contains(done.stdout, b"\r\n\r\nHello.\r\n", "what it opens to")
	receipt = sample.parse(mail.read(delivered(2)[1]))
	tap.contains(str(receipt["From"]), "receipts@" + KEYS, "From")
	rows = shell.go_on_to("receipt_log")[-1][1]
	for part in ("released", "opened", "you@example.org", "(2 rows)"):
		tap.contains(rows, part, "the receipt log")


@tap.case("root runs all of counterfoil-admin, and the daemons notice")
def t_admin():
	shell.go_on_to("receipt_log")
	tap.contains(shell.type("counterfoil-admin gateway list"),
	    "example.org", "the gateways")
	shell.type("counterfoil-admin masterkey add")
	name = re.search(r"(?m)^(\w+)\tknown\t", shell.type(
	    "counterfoil-admin masterkey status")).group(1)
	shell.type("counterfoil-admin masterkey activate " + name)
	shell.type("printf 'To: you@example.org\nX-Return-Receipt: yes\n\n"
	    "Again.\n' | sendmail -t -f you@example.org")
	proc.wait_for(lambda: re.search(
	    r"(?m)^%s\tactive\t[^\t]*\t1 keys\tok$" % name, shell.type(
	    "counterfoil-admin masterkey status")), LIMIT_S,
	    "a mail sealed by the new key")


@tap.case("README says how many commands these are")
def t_count():
	shell.go_on_to("receipt_log")
	tap.note("%d commands" % shell.done)
	tap.equal(shell.done, len(COMMANDS), "commands that ran")
	tap.equal(sorted({step for step, _ in COMMANDS}),
	    [1, 2, 3, 4, 5, 6, 7], "steps with commands")
	tap.equal(re.findall(r"\A\n*(\d+) commands", STEPS),
	    [str(len(COMMANDS))], "README's own number")


@tap.case("nginx is no stranger with too many connections")
def t_proxy():
	shell.go_on_to("nginx -s reload")
	for name, port in ((KEYS, 8443), (READER, 8480)):
		held = [socket.create_connection(("127.0.0.1", port))
		    for _ in range(100)]
		tap.equal(web.fetch("https://%s/healthz" % name,
		    ca_file=BUNDLE)[0], 200, name)
		for s in held:
			s.close()


@tap.case("nothing that a log keeps names a message")
def t_logs():
	shell.go_on_to("receipt_log")
	blob = re.search(r"/m/([\w-]{22})", sample.link(mail.read(
	    delivered(1)[0]))).group(1)
	for path in glob.glob("/var/log/nginx/*"):
		tap.lacks(proc.read_text(path), blob, path)


if __name__ == "__main__":
	if os.environ.get("CF_MACHINE") != "1":
		enter()
	tap.main(start)
