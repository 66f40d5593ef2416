#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No key without a receipt, no receipt lost: kill -9 everywhere.

    release-kill.py [--long [ROUNDS]] [WORD...]

16 clients work without pause while the key server is killed at each of its
fault points (a build with --enable-fault-points, CF_BUILDDIR), at random
instants (the normal build, CF_NORMAL_BUILDDIR), and while PostgreSQL is
stopped with -m immediate.  After each case the books are compared: what the
clients saw, what the database holds, what the mail server got.
"""

import collections
import glob
import json
import os
import random
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))

from lab import pg, proc, sink, tap  # noqa: E402
from lab.keysrv import KeyServer  # noqa: E402

KILLS_A_POINT = 20
RANDOM_KILLS = 100
DATABASE_STOPS = 12
LATEST_PASS = 6		# a point is fatal at its 1st to 6th pass
ROUNDS = 1000		# of --long
LIMIT_S = 180
CLIENTS_END_S = 180	# they give up after 90 s, and say at what

world = None


def fault_points():
	"""Every name in the server's source, in the order of the files."""
	names = []
	for path in sorted(glob.glob(os.path.join(proc.repository(), "keysrv",
	    "*", "*.c"))):
		names += re.findall(r'\bcf_fault\("([^"]+)"\)',
		    proc.read_text(path))
	return list(dict.fromkeys(names))


class World:
	def __init__(self):
		self.folder = proc.private_dir()
		self.sink = sink.Sink().start()
		self.sink.otherwise = self.sometimes_refuse
		self.calls = 0
		self.clients = None
		self.cluster = pg.Cluster(os.path.join(self.folder, "pg")).start()
		self.keysrv = KeyServer(os.path.join(self.folder, "keysrv"),
		    self.cluster, smtp_server=self.sink.address,
		    options={"receipt_delay_s": 1, "outbox_poll_ms": 20,
		        "connections": 4})
		self.keysrv.prepare()
		with open(self.keysrv.add_gateway("a", "a.test")) as f:
			self.token = f.read().strip()
		self.books = 0

	def sometimes_refuse(self, _):
		self.calls += 1
		return "rcpt 450 4.2.1 later" if self.calls % 7 == 0 else ""

	def end(self):
		if self.clients:
			self.clients.kill()
		self.keysrv.kill()
		self.sink.stop()
		self.cluster.destroy()
		proc.remove_tree(self.folder)

	def begin(self):
		self.books += 1
		self.out = os.path.join(self.folder, "seen%d.json" % self.books)
		self.clients = subprocess.Popen([sys.executable, os.path.join(
		    os.path.dirname(os.path.abspath(__file__)), "clients.py"),
		    self.keysrv.url, self.token, self.out],
		    stdin=subprocess.PIPE)

	def finish(self):
		"""The clients end what they began; what they saw."""
		self.clients.stdin.close()
		try:
			code = self.clients.wait(CLIENTS_END_S)
		except subprocess.TimeoutExpired:
			self.tell_what_hangs()
			tap.fail("the clients did not end within %d s"
			    % CLIENTS_END_S)
		finally:
			self.clients.kill()
			self.clients = None
		tap.equal(code, 0, "exit status of the clients")
		with open(self.out) as f:
			return json.load(f)

	def tell_what_hangs(self):
		"""Both sides and the database, into the log of the test."""
		self.clients.send_signal(signal.SIGUSR2)
		self.clients.send_signal(signal.SIGUSR1)
		for command in (
		    ["ss", "-tn", "sport = :%d or dport = :%d"
		        % (self.keysrv.port, self.keysrv.port)],
		    ["gdb", "-p", str(self.clients.pid), "-batch",
		        "-ex", "thread apply all bt 12"],
		    ["gdb", "-p", str(self.keysrv.process.popen.pid), "-batch",
		        "-ex", "thread apply all bt 12"]):
			try:
				done = subprocess.run(command, text=True,
				    stdin=subprocess.DEVNULL, timeout=60,
				    stdout=subprocess.PIPE,
				    stderr=subprocess.STDOUT)
				tap.note(done.stdout)
			except (OSError, subprocess.SubprocessError) as e:
				tap.note("%s: %s" % (command[0], e))
		tap.note(self.keysrv.psql("SELECT pid, state, wait_event,"
		    " age(clock_timestamp(), state_change), left(query, 60)"
		    " FROM pg_stat_activity WHERE datname IS NOT NULL"))
		tap.note(proc.tail(self.keysrv.log, 40))

	def clients_alive(self):
		if self.clients.poll() is not None:
			tap.fail("the clients ended by themselves")

	def let_time_pass(self):
		"""Leases run out and back-offs end."""
		# Waits for no row: a backend whose server was just killed may
		# hold some, and want others.
		self.keysrv.psql("UPDATE counterfoil.outbox SET lease_until ="
		    " now(), next_try = now() WHERE outbox_id IN (SELECT"
		    " outbox_id FROM counterfoil.outbox WHERE"
		    " state = 'waiting' FOR UPDATE SKIP LOCKED)")

	def wait_for_mail(self):
		def all_sent():
			self.let_time_pass()
			return self.keysrv.psql("SELECT count(*) FROM"
			    " counterfoil.outbox WHERE state <> 'sent'") == "0"
		proc.wait_for(all_sent, 300, "all receipts to be sent")


def b64(column):
	return "counterfoil.b64url(%s)" % column


def rows(sql):
	return [tuple(line.split("|")) for line in
	    world.keysrv.psql(sql).splitlines()]


def audit(seen, what):
	"""Compare what was seen with what is written; says the figures."""
	keys = seen["keys"]
	tap.equal(seen["wrong"][:5], [], "answers that should not have been")
	world.wait_for_mail()
	released = collections.defaultdict(set)
	first = collections.Counter()
	opened = collections.Counter()
	for kind, handle, release, is_first in rows("SELECT type, %s,"
	    " coalesce(%s, ''), record LIKE E'%%\\nfirst yes\\n%%'"
	    " FROM counterfoil.event" % (b64("key_id"), b64("release_id"))):
		if kind == "released":
			released[handle].add(release)
			first[handle] += is_first == "t"
		elif kind == "opened":
			opened[handle, release] += 1
	issued = {handle for handle, in rows("SELECT %s FROM"
	    " counterfoil.key_issue" % b64("key_id"))}
	once = collections.Counter(handle for handle, in rows("SELECT %s FROM"
	    " counterfoil.key_state WHERE first_released_at IS NOT NULL"
	    % b64("key_id")))
	mails = collections.defaultdict(collections.Counter)
	for m in list(world.sink.mails):
		header = m.content.split(b"\r\n\r\n")[0].decode()
		handle, kind = re.search(r"\nSubject: Message key ID # (\S{22}): "
		    r"(opened|key given)", header).groups()
		mails[handle, kind][re.search(r"\nMessage-ID: (\S+)",
		    header).group(1)] += 1
	releases = 0
	for handle, k in keys.items():
		tap.true(handle in issued, "key %s is in the table" % handle)
		tap.equal(len(set(k["issued"])), 1, "keys issued as " + handle)
		tap.equal(len(k["releases"]), 2, "successes for " + handle)
		for r in k["releases"]:
			releases += 1
			tap.true(r["id"] in released[handle],
			    "release %s that a client saw is in the table"
			    % r["id"])
			tap.equal(r["key"], k["issued"][0], "released key")
		tap.true(sum(r["first"] for r in k["releases"]) <= 1,
		    "at most one client was first")
		tap.equal(first[handle], 1, "first releases of " + handle)
		tap.equal(once[handle], 1, "keys whose state has the first release")
		if k["opened"]:
			tap.equal(opened[handle, k["opened"]], 1,
			    "opened events of a proof that was answered")
			tap.true(mails[handle, "opened"],
			    "a receipt 'opened' for " + handle)
		else:
			tap.true(mails[handle, "key given"],
			    "a receipt 'released' for " + handle)
	for (handle, kind), ids in mails.items():
		tap.equal(len(ids), 1, "Message-IDs of '%s' for %s"
		    % (kind, handle))
	for handle, kind in rows("SELECT %s, CASE kind WHEN 'opened' THEN"
	    " 'opened' ELSE 'key given' END FROM counterfoil.outbox"
	    % b64("key_id")):
		tap.true(mails[handle, kind], "mail of an outbox row")
	copies = sum(sum(ids.values()) for ids in mails.values())
	tap.note("%s: %d keys, %d releases seen, %d requests, %d repeats,"
	    " %d times 503; %d receipts, %d of them twice" % (what, len(keys),
	    releases, seen["requests"], seen["repeats"], seen["busy"],
	    len(mails), copies - len(mails)))
	tap.true(len(keys) >= 16, "there was some work")


def clean_slate():
	"""Only this case's keys and mails are compared; a case that failed
	leaves no server and no clients to the next."""
	world.keysrv.kill()
	if world.clients:
		world.clients.kill()
		world.clients = None
	world.sink.mails.clear()
	world.keysrv.psql("TRUNCATE counterfoil.event, counterfoil.key_issue,"
	    " counterfoil.key_once, counterfoil.outbox")


def use_build(variable):
	os.environ["CF_BUILDDIR"] = os.environ[variable]


def start_keysrv(env=None):
	"""Without waiting: the clients notice by themselves."""
	ks = world.keysrv
	ks.process = proc.Process("counterfoil-keysrv",
	    [proc.program("counterfoil-keysrv"), "-c", ks.config], ks.log,
	    dict(os.environ, **(env or {})))


def kill_at(point):
	number = random.randint(1, LATEST_PASS)
	start_keysrv({"CF_FAULT": "%s:%d" % (point, number)})
	try:
		code = world.keysrv.process.wait(LIMIT_S)
	except proc.LabError:
		tap.fail("%s was not passed %d times" % (point, number))
	world.keysrv.process = None
	tap.equal(code, -signal.SIGKILL, "end at %s:%d" % (point, number))
	world.clients_alive()


def settle(what):
	start_keysrv()
	world.keysrv.process.wait_ready(world.keysrv.ready)
	seen = world.finish()
	audit(seen, what)
	world.keysrv.stop()


def groups():
	"""{"release": [its points], ...}"""
	found = collections.defaultdict(list)
	for point in fault_points():
		found[point.split(".")[0]].append(point)
	return found


def fault_case(points):
	def run():
		use_build("CF_FAULT_BUILDDIR")
		clean_slate()
		world.begin()
		for point in points:
			for _ in range(KILLS_A_POINT):
				if point.startswith("outbox."):
					world.let_time_pass()
				kill_at(point)
		settle("%d kills at each of %s" % (KILLS_A_POINT,
		    " ".join(points)))
	return run


def t_random():
	use_build("CF_NORMAL_BUILDDIR")
	clean_slate()
	world.begin()
	working = 0
	for _ in range(RANDOM_KILLS):
		start_keysrv()
		process = world.keysrv.process
		process.wait_ready(world.keysrv.ready)
		try:
			# The instant is what is random; the end is the limit.
			process.popen.wait(random.uniform(0, 0.4))
			tap.fail("the key server ended by itself")
		except subprocess.TimeoutExpired:
			working += 1
		world.keysrv.kill()
		world.clients_alive()
	tap.equal(working, RANDOM_KILLS, "kills of a working server")
	settle("%d kills at random instants" % RANDOM_KILLS)


def t_database():
	use_build("CF_NORMAL_BUILDDIR")
	clean_slate()
	world.begin()
	start_keysrv()
	process = world.keysrv.process
	for _ in range(DATABASE_STOPS):
		process.wait_ready(world.keysrv.ready)
		try:
			process.popen.wait(random.uniform(0.2, 0.8))
			tap.fail("the key server ended by itself")
		except subprocess.TimeoutExpired:
			pass
		world.cluster.restart("immediate")
		world.clients_alive()
	process.wait_ready(world.keysrv.ready)
	seen = world.finish()
	audit(seen, "%d stops of PostgreSQL with -m immediate"
	    % DATABASE_STOPS)
	tap.equal(world.keysrv.process, process, "the same key server")
	world.keysrv.stop()


def t_points():
	tap.true(len(fault_points()) >= 10, "at least 10 fault points")


def add_cases(label):
	for name, points in groups().items():
		tap.case("%s%s: %d fault points, %d kills at each" % (label,
		    name, len(points), KILLS_A_POINT))(fault_case(points))
	tap.case("%s%d kills at random instants of the normal build"
	    % (label, RANDOM_KILLS))(t_random)
	tap.case("%s%d times PostgreSQL stopped with -m immediate under load"
	    % (label, DATABASE_STOPS))(t_database)


def start():
	global world
	world = World()


def end():
	if world:
		world.end()


def main():
	# `contrib/check --long` says it by the environment.
	rounds = ROUNDS if os.environ.get("CF_LONG") else 1
	if "--long" in sys.argv:
		at = sys.argv.index("--long")
		rounds = ROUNDS
		del sys.argv[at]
		if sys.argv[at:at + 1] and sys.argv[at].isdigit():
			rounds = int(sys.argv.pop(at))
	# The suite gives both builds; by hand CF_BUILDDIR is enough.
	os.environ["CF_FAULT_BUILDDIR"] = proc.builddir()
	os.environ.setdefault("CF_NORMAL_BUILDDIR", proc.builddir())
	tap.case("there are fault points")(t_points)
	for number in range(rounds):
		add_cases("" if rounds == 1 else "round %d: " % (number + 1))
	tap.main(start, end)


if __name__ == "__main__":
	main()
