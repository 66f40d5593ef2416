#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many at once: batches, a full queue, a held and a restarted database."""

import json
import os
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "contrib"), HERE]

from lab import proc, tap  # noqa: E402

from client import Message, b64, unb64  # noqa: E402
from ground import Ground, Holder, all_read, together  # noqa: E402

CONNECTIONS = 8
g = None


def setup():
	global g
	# Its workers' transactions would be counted with ours.
	g = Ground(pg_settings="autovacuum = off\n",
	    connections=CONNECTIONS, connections_per_address=0).start()


def teardown():
	if g:
		g.stop()


def threads():
	with open("/proc/%d/status" % g.server.pid) as f:
		return [int(line.split()[1]) for line in f
		    if line.startswith("Threads:")][0]


sent = []	# one entry a request that is on its way
ended = []	# the answers so far


def post_all(path, bodies, token=None):
	del sent[:], ended[:]
	return together([lambda b=b: g.api.post(path, b, token=token,
	    on_sent=lambda: sent.append(1)) for b in bodies], ended)


def wait_read(count):
	proc.wait_for(lambda: len(sent) >= count and all_read(g.server.port,
	    count), 120, "%d requests to be read" % count)


@tap.case("256 issue requests while the database is held: few transactions, "
    "health answers, no thread more")
def t_held():
	messages = [Message() for _ in range(256)]
	g.issue()
	thread_count = threads()
	with Holder(g, "api_token") as holder:
		wait = post_all("/api/v1/issue", [m.issue() for m in messages],
		    g.token)
		wait_read(256)
		for _ in range(20):
			began = time.monotonic()
			tap.equal(g.api.get("/healthz").status, 200, "healthz")
			# What waits for the database is given up after 25 s.
			tap.true(time.monotonic() - began < 20, "at once")
		tap.equal(threads(), thread_count, "threads")
		holder.let_go()
	answers = wait()
	tap.equal([a.status for a in answers], [201] * 256, "status")
	# Each row has the number of the transaction that wrote it.
	more = int(g.psql("SELECT count(DISTINCT xmin::text) FROM "
	    "counterfoil.key_issue WHERE key_id IN (%s)" % ", ".join(
	    "'\\x%s'" % m.key_id.hex() for m in messages)))
	tap.note("%d transactions for 256 requests" % more)
	tap.true(more <= 16, "at most 16 transactions, not %d" % more)
	for m, a in zip(messages, answers):
		tap.equal(a.json["keys"][0]["key_id"], m.handle, "own answer")
	tap.equal(len({a.json["keys"][0]["key"] for a in answers}), 256,
	    "keys")


@tap.case("a batch of releases, refusals and strangers: each its own answer")
def t_mixed():
	messages = [g.issue() for _ in range(60)]
	challenges = [g.challenge(m) for m in messages]
	bodies, wanted = [], []
	for i, (m, c) in enumerate(zip(messages, challenges)):
		if i % 4 == 0:
			bodies.append(m.ask("retrieve", c))
			wanted.append((200, None))
		elif i % 4 == 1:
			bodies.append(m.ask("retrieve", c, seed=os.urandom(32)))
			wanted.append((403, "bad-signature"))
		elif i % 4 == 2:
			bodies.append(m.ask("retrieve", c,
			    token=b64(os.urandom(32))))
			wanted.append((404, "unknown-key"))
		else:
			bodies.append(m.ask("retrieve", challenges[i - 1]))
			wanted.append((403, "bad-challenge"))
	with Holder(g, "key_issue") as holder:
		wait = post_all("/api/v1/retrieve", bodies)
		wait_read(60)
		holder.let_go()
	answers = wait()
	tap.equal([(a.status, a.problem) for a in answers], wanted, "answers")
	for m, a in zip(messages, answers):
		kinds = [r[1] for r in g.events(m)][1:]
		tap.equal(kinds, {200: ["type released"], 404: [],
		    403: ["type refused"]}[a.status], "events")


@tap.case("several releases of one key in a batch: one first, challenges once")
def t_same_key():
	m = g.issue()
	challenges = [g.challenge(m) for _ in range(10)]
	with Holder(g, "key_issue") as holder:
		wait = post_all("/api/v1/retrieve", [m.ask("retrieve", c)
		    for c in challenges for _ in range(3)])
		wait_read(30)
		holder.let_go()
	answers = wait()
	for i in range(10):
		three = sorted(a.problem or "" for a in answers[3 * i:3 * i + 3])
		tap.equal(three, ["", "challenge-used", "challenge-used"],
		    "one challenge")
	tap.equal(sum(a.json["first"] for a in answers if a.status == 200), 1,
	    "first ones")
	tap.equal(g.count("outbox", "key_id = '\\x%s'" % m.key_id.hex()), 1,
	    "outbox rows")


@tap.case("openings in a batch, the same one several times")
def t_openings():
	messages = [g.issue() for _ in range(10)]
	releases = [g.release(m) for m in messages]
	bodies = [m.done("open", r["release_id"], r["release_secret"])
	    for m, r in zip(messages, releases) for _ in range(4)]
	with Holder(g, "key_release") as holder:
		wait = post_all("/api/v1/open", bodies)
		wait_read(40)
		holder.let_go()
	answers = wait()
	tap.equal([a.status for a in answers], [200] * 40, "status")
	for i, m in enumerate(messages):
		four = answers[4 * i:4 * i + 4]
		tap.equal(len({a.json["opened_at"] for a in four}), 1, "time")
		tap.equal([r[1] for r in g.events(m)], ["type issued",
		    "type released", "type opened"], "events")


@tap.case("one item that the database refuses does not fail its batch")
def t_bad_item():
	g.psql("""
	    CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
	    $$ BEGIN
		IF NEW.message_id = '<refused@a.test>' THEN
			RAISE EXCEPTION 'refused by the test';
		END IF;
		RETURN NEW;
	    END $$;
	    CREATE TRIGGER refuse BEFORE INSERT ON counterfoil.key_issue
		FOR EACH ROW EXECUTE FUNCTION public.refuse()""")
	messages = [Message() for _ in range(40)]
	messages[17].message_id = "<refused@a.test>"
	with Holder(g, "api_token") as holder:
		wait = post_all("/api/v1/issue", [m.issue() for m in messages],
		    g.token)
		wait_read(40)
		holder.let_go()
	answers = wait()
	g.psql("DROP TRIGGER refuse ON counterfoil.key_issue; "
	    "DROP FUNCTION public.refuse()")
	for i, (m, a) in enumerate(zip(messages, answers)):
		if i == 17:
			tap.equal((a.status, a.problem), (500, "internal"),
			    "the bad one")
			tap.lacks(a.body.decode(), "refused by the test",
			    "the database's words")
		else:
			tap.equal(a.status, 201, "another one")
		tap.equal(len(g.events(m)), 0 if i == 17 else 1, "events")


def release_at(timing, wanted):
	"""A release of which the database refuses one row, at that time."""
	m = g.issue()
	g.psql("""
	    CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
	    $$ BEGIN RAISE EXCEPTION 'refused by the test'; END $$;
	    CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON
		counterfoil.outbox DEFERRABLE INITIALLY %s
		FOR EACH ROW EXECUTE FUNCTION public.refuse()""" % timing)
	try:
		answer = g.retrieve(m, good=False)
	finally:
		g.psql("DROP TRIGGER refuse ON counterfoil.outbox; "
		    "DROP FUNCTION public.refuse()")
	tap.equal((answer.status, answer.problem), wanted, "status")
	tap.lacks(answer.body.decode(), "key\"", "a key")
	tap.equal([r[1] for r in g.events(m)], ["type issued"], "events")
	tap.equal(g.release(m)["first"], True, "the release that counts")


@tap.case("what is written with the commit is refused with it: no key")
def t_refused_write():
	release_at("IMMEDIATE", (500, "internal"))


@tap.case("a commit that is refused by itself is not known: no key")
def t_refused_commit():
	release_at("DEFERRED", (503, "database-unavailable"))


@tap.case("one request of a batch conflicts: only that one is refused")
def t_conflict_in_batch():
	taken = g.issue()
	messages = [Message() for _ in range(30)]
	bodies = [m.issue() for m in messages]
	bodies[7] = messages[7].issue(keys=[messages[7].key(),
	    taken.key(token=b64(os.urandom(32)))])
	bodies[8] = messages[8].issue(sender="x@b.test")
	with Holder(g, "api_token") as holder:
		wait = post_all("/api/v1/issue", bodies, g.token)
		wait_read(30)
		holder.let_go()
	statuses = [a.status for a in wait()]
	tap.equal(statuses, [201] * 7 + [409, 403] + [201] * 21, "status")


@tap.case("a full queue: 503 with Retry-After at once, the rest is served")
def t_queue_full():
	g.server.restart(queue_limit=20)
	messages = [Message() for _ in range(60)]
	with Holder(g, "api_token") as holder:
		wait = post_all("/api/v1/issue", [m.issue() for m in messages],
		    g.token)
		# Those for whom there is no room; the others wait.
		proc.wait_for(lambda: len(ended) >= 40, 120, "40 answers")
		a = g.api.post("/api/v1/issue", Message().issue(),
		    token=g.token)
		tap.equal((a.status, a.problem), (503, "busy"), "one more")
		tap.equal(g.api.get("/healthz").status, 200, "healthz")
		holder.let_go()
	answers = wait()
	good = [a for a in answers if a.status == 201]
	busy = [a for a in answers if a.status == 503]
	tap.equal((len(good), len(busy)), (20, 40), "answers")
	tap.true(all(a.problem == "busy" and 1 <= int(
	    a.headers["Retry-After"]) <= 5 for a in busy), "the others")
	for m, a in zip(messages, answers):
		tap.equal(len(g.events(m)), 1 if a.status == 201 else 0,
		    "events")
	g.server.restart(queue_limit=4096)


@tap.case("more connections than allowed wait until one ends")
def t_connections():
	g.server.restart(connection_limit=16)
	answered = []
	for _ in range(40):
		# Only from the 9th on may no answer mean that there is none.
		waiting = socket.create_connection(("127.0.0.1",
		    g.server.port), 120 if len(answered) < 8 else 3)
		waiting.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		try:
			tap.contains(waiting.recv(4096), b"200 OK", "answer")
		except TimeoutError:
			break
		answered.append(waiting)
	tap.true(8 <= len(answered) <= 16, "%d answered" % len(answered))
	for s in answered:
		s.close()
	waiting.settimeout(120)
	tap.contains(waiting.recv(4096), b"200 OK", "the one that waited")
	waiting.close()
	g.server.restart(connection_limit=2000)


@tap.case("SIGTERM under load: every answer is whole, no request is lost")
def t_stop_under_load():
	messages = [Message() for _ in range(40)]
	with Holder(g, "api_token") as holder:
		wait = post_all("/api/v1/issue", [m.issue() for m in messages],
		    g.token)
		wait_read(40)
		g.server.process.send(15)
		proc.wait_for(lambda: not proc.port_answers(g.server.port), 120,
		    "the port to close")
		holder.let_go()
	answers = wait()
	tap.equal([a.status for a in answers], [201] * 40, "status")
	tap.equal(g.server.process.wait(), 0, "exit status")
	g.server.process = None
	g.server.start()


class Load:
	"""Clients that issue and retrieve until told to end."""

	def __init__(self, count):
		self.end = threading.Event()
		self.seen = []		# (message, release) that a client has
		self.issued = []
		self.temporary = 0
		self.errors = []
		self.threads = [threading.Thread(target=self.run, daemon=True)
		    for _ in range(count)]
		for t in self.threads:
			t.start()

	def until_good(self, what, ask):
		"""Repeat while the answer is 503 or there is none."""
		end = time.monotonic() + 300
		while time.monotonic() < end:
			a = ask()
			if a.status in (200, 201):
				return a.json
			if a.status != 503:
				raise tap.Failure("%s: %r" % (what, a))
			self.temporary += 1
			time.sleep(0.05)
		raise tap.Failure(what + ": no good answer in 300 s")

	def one(self):
		m = Message()
		self.until_good("issue", lambda: g.api.post("/api/v1/issue",
		    m.issue(), token=g.token))
		self.issued.append(m)

		def retrieve():
			a = g.api.post("/api/v1/challenge", m.short())
			if a.status != 200:
				return a
			return g.retrieve(m, a.json["challenge"])
		r = self.until_good("retrieve", retrieve)
		self.seen.append((m, r))
		self.until_good("open", lambda: g.open(m, r))

	def run(self):
		try:
			while not self.end.is_set():
				self.one()
		except Exception as e:
			self.errors.append(e)

	def stop(self):
		self.end.set()
		for t in self.threads:
			t.join(400)
			if t.is_alive():
				tap.fail("a client did not end")
		if self.errors:
			raise self.errors[0]


@tap.case("the database is restarted under load: every key a client has "
    "seen is on record, every repeat succeeds")
def t_restart():
	load = Load(6)
	for mode in ("fast", "immediate", "fast") * 4:
		had = len(load.seen)
		proc.wait_for(lambda: len(load.seen) > had + 10 or load.errors,
		    300, "the load to go on")
		g.cluster.restart(mode)
	had = len(load.seen)
	proc.wait_for(lambda: len(load.seen) > had + 10 or load.errors, 300,
	    "the load to go on")
	load.stop()
	tap.note("%d releases, %d answers 503" % (len(load.seen),
	    load.temporary))
	rows = set(g.psql("SELECT encode(key_id, 'hex'), encode(release_id, "
	    "'hex') FROM counterfoil.key_release").splitlines())
	for m, r in load.seen:
		tap.true("%s|%s" % (m.key_id.hex(), unb64(r["release_id"])
		    .hex()) in rows, "the release is on record")
	twice = g.psql("SELECT key_id FROM counterfoil.event WHERE type = "
	    "'released' AND record LIKE E'%\\nfirst yes\\n%' "
	    "GROUP BY key_id HAVING count(*) <> 1")
	tap.equal(twice, "", "keys with another number of first releases")
	mails = g.psql("SELECT count(*) FROM counterfoil.key_state s WHERE "
	    "first_released_at IS NOT NULL AND NOT EXISTS (SELECT FROM "
	    "counterfoil.outbox o WHERE o.key_id = s.key_id)")
	tap.equal(mails, "0", "released keys without an outbox row")
	tap.contains(g.server.log_text(), "connected again", "log")


@tap.case("while the database is away: 503, health answers; then all is well")
def t_away():
	m = g.issue()
	body = m.ask("retrieve", g.challenge(m))
	g.cluster.stop("immediate")
	for path, value, token in (("issue", Message().issue(), g.token),
	    ("challenge", m.short(), None), ("retrieve", body, None)):
		a = g.api.post("/api/v1/" + path, value, token=token)
		tap.equal((a.status, a.problem), (503,
		    "database-unavailable"), path)
	tap.equal(g.api.get("/healthz").status, 200, "healthz")
	tap.equal(g.api.get("/readyz").status, 503, "readyz")
	tap.equal(g.api.get("/api/v1/messages", token=g.token).status, 503,
	    "messages")
	g.cluster.start()
	proc.wait_for(lambda: g.api.get("/readyz").status == 200, 120,
	    "ready again")
	proc.wait_for(lambda: g.api.post("/api/v1/retrieve", body).status
	    == 200, 120, "the same request")


def cancel_waiting():
	return g.psql("SET synchronous_commit = local; SELECT "
	    "pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = "
	    "'SyncRep'")


def wait_until_commits_wait():
	"""The checkpointer has read which standbys there are, too: a process
	of its own, which may be busy."""
	tries = []

	def has_waited():
		if not tries or tries[-1].poll() is not None:
			tries.append(subprocess.Popen(["psql", "-XqAt", "-c",
			    "SELECT pg_logical_emit_message(true, '', '')",
			    g.cluster.conninfo(g.server.database)],
			    stdout=subprocess.DEVNULL,
			    stderr=subprocess.DEVNULL))
		return cancel_waiting() == "t"
	proc.wait_for(has_waited, 120, "commits to wait")
	tries[-1].wait(120)


@tap.case("a commit with a warning releases nothing; the repeat does")
def t_warning():
	m = g.issue()
	# A commit that waits for a standby that is not there, and is told to
	# stop waiting, says so with a warning: it may be lost.
	g.psql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
	g.psql("SELECT pg_reload_conf()")
	wait_until_commits_wait()
	challenge = g.challenge(m)
	wait = together([lambda: g.retrieve(m, challenge)])
	proc.wait_for(lambda: cancel_waiting() == "t", 120,
	    "the commit to wait")
	a = wait()[0]
	tap.equal((a.status, a.problem), (503, "database-unavailable"),
	    "answer")
	tap.lacks(a.body.decode(), "release_secret", "answer")
	g.psql("SET synchronous_commit = local; ALTER SYSTEM RESET "
	    "synchronous_standby_names")
	g.psql("SELECT pg_reload_conf()")
	proc.wait_for(lambda: g.psql("SHOW synchronous_standby_names") == "",
	    120, "the setting")
	tap.equal(g.retrieve(m, challenge).problem, "challenge-used",
	    "the first one did commit")
	again = g.retrieve(m)
	tap.equal((again.status, again.json["first"]), (200, False), "repeat")


@tap.case("after all this the server has its threads and its connections")
def t_afterwards():
	g.issue()
	# One that was hung up on may take its time to go.
	proc.wait_for(lambda: int(g.cluster.psql("SELECT count(*) FROM "
	    "pg_stat_activity WHERE application_name = 'counterfoil-keysrv'"))
	    <= CONNECTIONS, 60, "at most %d connections" % CONNECTIONS)
	tap.true(json.loads(g.server.get("/healthz")[2]) == {"status": "ok"},
	    "health")


tap.main(setup, teardown)
