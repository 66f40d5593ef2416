# SPDX-License-Identifier: Apache-2.0
"""Programs: start them, wait until they answer, stop them by their pid.

Nothing here sleeps to let something happen: every wait polls a condition
and has a limit.  A program started from the main thread gets a signal when
this process dies, so that nothing is left behind even after kill -9.
"""

import ctypes
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

PR_SET_PDEATHSIG = 1
POLL_S = 0.02
BASE_MAX = 40		# a socket's name has 100 bytes and may end far below


class LabError(Exception):
	"""Something in the laboratory failed; the text is for people."""


def repository():
	"""The root of the source tree."""
	here = os.path.dirname(os.path.abspath(__file__))
	return os.path.dirname(os.path.dirname(here))


def builddir():
	"""Where the programs were built: CF_BUILDDIR or the source tree."""
	return os.path.abspath(os.environ.get("CF_BUILDDIR") or repository())


def made(name):
	"""The words of a variable in the build's Makefile."""
	return re.search("(?m)^%s = (.*)$" % name, read_text(os.path.join(
	    builddir(), "Makefile"))).group(1).split()


def sanitized():
	"""Does the build have an allocator and checks of the sanitizers?"""
	return any(flag.startswith("-fsanitize") for flag in made("CF_CFLAGS"))


def program(name):
	"""The path of a program that the build made."""
	for folder in ("", "milter", "keysrv", "common", "build"):
		path = os.path.join(builddir(), folder, name)
		if os.path.isfile(path) and os.access(path, os.X_OK):
			return path
	raise LabError("%s is not built (looked in %s; set CF_BUILDDIR)"
	    % (name, builddir()))


def node():
	"""The beginning of a command that runs Node.

	Without V8's own threads: its wait for them has been seen not to end,
	with the C library of Debian 12.
	"""
	return ["node", "--single-threaded"]


def private_dir(prefix="counterfoil-"):
	"""A new temporary directory that other users may search, not list.

	PostgreSQL and Postfix run under users of their own and must be able
	to reach their folders below it.  It is in TMPDIR, but where that is so
	long that no name of a socket fits behind it, in /tmp.
	"""
	base = os.path.abspath(os.environ.get("TMPDIR") or "/tmp")
	if len(base) > BASE_MAX:
		base = "/tmp"
	path = tempfile.mkdtemp(prefix=prefix, dir=base)
	os.chmod(path, 0o711)
	try:
		check_searchable(path)
	except LabError:
		os.rmdir(path)
		raise
	return path


def check_searchable(path):
	"""LabError unless every user may come through to `path`."""
	part = os.path.abspath(path)
	while True:
		if not os.stat(part).st_mode & 0o001:
			raise LabError("%s cannot be searched by other users, so "
			    "PostgreSQL and Postfix could not reach their files "
			    "in %s; choose another place" % (part, path))
		if part == "/":
			return
		part = os.path.dirname(part)


_given_ports = {}	# port: the lock on it


def _lock_port(port):
	"""Keep it from other tests while our server is down; None: taken.

	A name that the kernel forgets when this process ends.
	"""
	lock = socket.socket(socket.AF_UNIX)
	try:
		lock.bind("\0counterfoil-lab-port-%d" % port)
	except OSError:
		lock.close()
		return None
	return lock


def free_port(host="127.0.0.1"):
	"""A TCP port nobody listens on, below the range for outgoing calls.

	It is ours until this process ends.
	"""
	try:
		with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
			outgoing = int(f.read().split()[0])
	except OSError:
		outgoing = 32768
	# Where it leaves no room, a call may sit on ours while we restart.
	end = min(outgoing, 32000) if outgoing > 14000 else 32000
	for _ in range(500):
		port = random.randrange(12000, end)
		lock = None if port in _given_ports else _lock_port(port)
		if lock is None:
			continue
		with socket.socket() as s:
			try:
				s.bind((host, port))
			except OSError:
				lock.close()
				continue
		_given_ports[port] = lock
		return port
	raise LabError("no free TCP port on %s" % host)


def port_answers(port, host="127.0.0.1"):
	"""Does somebody accept connections there?"""
	try:
		with socket.create_connection((host, port), 1):
			return True
	except OSError:
		return False


def port_is_free(port, host="127.0.0.1"):
	with socket.socket() as s:
		s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		try:
			s.bind((host, port))
		except OSError:
			return False
	return True


def wait_for(predicate, limit_s, what):
	"""Poll until predicate() is true; give its value.

	LabError after limit_s seconds, naming `what`.
	"""
	end = time.monotonic() + limit_s
	while True:
		value = predicate()
		if value:
			return value
		if time.monotonic() > end:
			raise LabError("waited %g s for %s" % (limit_s, what))
		time.sleep(POLL_S)


def read_text(path):
	try:
		with open(path, "rb") as f:
			return f.read().decode("utf-8", "replace")
	except FileNotFoundError:
		return ""


def tail(path, lines=15):
	return "\n".join(read_text(path).splitlines()[-lines:])


def write_file(path, content, mode=0o644):
	"""Write a file whole; it has its mode before it has its content."""
	if isinstance(content, str):
		content = content.encode()
	new = path + ".new"
	fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
	try:
		os.fchmod(fd, mode)
		with os.fdopen(fd, "wb", closefd=False) as f:
			f.write(content)
	finally:
		os.close(fd)
	os.rename(new, path)


def run(argv, limit_s=120, check=True, **kw):
	"""Run a program to its end; LabError with its output if it fails."""
	kw.setdefault("stdin", subprocess.DEVNULL)
	if "input" in kw:
		kw.pop("stdin")
	try:
		done = subprocess.run(argv, stdout=subprocess.PIPE,
		    stderr=subprocess.PIPE, timeout=limit_s, **kw)
	except subprocess.TimeoutExpired:
		raise LabError("%s did not end in %g s" % (argv[0], limit_s))
	except FileNotFoundError:
		raise LabError("%s is not installed" % argv[0])
	if check and done.returncode != 0:
		raise LabError("%s ended with %d:\n%s%s" % (" ".join(argv),
		    done.returncode, done.stdout.decode("utf-8", "replace"),
		    done.stderr.decode("utf-8", "replace")))
	return done


def group_lives(pgid):
	"""Is any process of the group there, the dead not yet reaped apart?"""
	for name in os.listdir("/proc"):
		if not name.isdigit():
			continue
		try:
			with open("/proc/%s/stat" % name, "rb") as f:
				words = f.read().rsplit(b")", 1)[1].split()
		except OSError:
			continue	# it has ended meanwhile
		if int(words[2]) == pgid and words[0] not in (b"Z", b"X"):
			return True
	return False


def _die_with_parent(sig):
	# Found here: another thread may hold the linker's lock in a fork.
	prctl = ctypes.PyDLL(None).prctl
	main = threading.current_thread() is threading.main_thread()

	def in_child():
		# Tied to the thread that forks: useless from a short-lived one.
		if main:
			prctl(PR_SET_PDEATHSIG, int(sig), 0, 0, 0)
	return in_child


class Process:
	"""One running program, its log file and its end."""

	def __init__(self, name, argv, log, env=None, death=signal.SIGTERM,
	    own_session=True, cwd="/"):
		self.name = name
		self.argv = argv
		self.log = log
		with open(log, "ab") as out:
			self.began = out.tell()
			self.popen = subprocess.Popen(argv,
			    stdin=subprocess.DEVNULL, stdout=out, stderr=out,
			    env=env, cwd=cwd, start_new_session=own_session,
			    preexec_fn=_die_with_parent(death))
		self.pid = self.popen.pid

	def alive(self):
		return self.popen.poll() is None

	def returncode(self):
		return self.popen.poll()

	def said(self):
		"""The whole lines in its log since it was started."""
		with open(self.log, "rb") as f:
			f.seek(self.began)
			text = f.read().decode("utf-8", "replace")
		return text[:text.rfind("\n") + 1]

	def why(self, text):
		return LabError("%s %s; its log %s ends:\n%s"
		    % (self.name, text, self.log, tail(self.log)))

	def wait_ready(self, predicate, limit_s=120):
		"""Until predicate() holds; LabError if the program ends first."""
		def ready():
			if not self.alive():
				raise self.why("ended with %s while starting"
				    % self.popen.returncode)
			return predicate()
		try:
			return wait_for(ready, limit_s, self.name)
		except LabError as e:
			if not self.alive():
				raise
			raise self.why("is not ready: %s" % e)

	def wait(self, limit_s=60):
		"""Until it has ended by itself; its exit status."""
		try:
			return self.popen.wait(limit_s)
		except subprocess.TimeoutExpired:
			raise self.why("did not end in %g s" % limit_s)

	def send(self, sig):
		if self.alive():
			self.popen.send_signal(sig)

	def kill(self):
		"""kill -9, and wait until it is gone."""
		self.send(signal.SIGKILL)
		return self.popen.wait(60)

	def stop(self, sig=signal.SIGTERM, limit_s=120):
		"""Ask it to end; its exit status.

		LabError if it had to be killed: a program that does not stop
		when told to is broken.
		"""
		self.send(sig)
		try:
			return self.popen.wait(limit_s)
		except subprocess.TimeoutExpired:
			self.kill()
			raise self.why("did not stop within %g s" % limit_s)


class Guard:
	"""Ends process `pid` when this process dies, however it dies.

	For programs that change their user, on which the kernel forgets the
	signal they should get.  cancel() when `pid` is stopped the usual way.
	"""

	def __init__(self, pid):
		# `read` returns when our end of the pipe is gone.
		self.popen = subprocess.Popen(["/bin/sh", "-c",
		    'read line; kill "$0"', str(pid)], stdin=subprocess.PIPE,
		    start_new_session=True)

	def cancel(self):
		self.popen.kill()
		self.popen.stdin.close()
		self.popen.wait()


def remove_tree(path):
	"""Remove a directory that private_dir() made."""
	shutil.rmtree(path, ignore_errors=True)
