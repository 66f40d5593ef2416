#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What one link, one address or one stranger may use up of a key server."""

import json
import os
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "contrib"), HERE]

from lab import proc, tap  # noqa: E402

from client import Message, b64, unb64  # noqa: E402
from ground import Ground, Holder, all_read, together  # noqa: E402

LIMIT_S = 120
g = None


def setup():
	global g
	g = Ground().start()


def teardown():
	if g:
		g.stop()


def post(path, body, **kw):
	return g.api.post(path, body, **kw)


# ---- connections ----

def connect(source="127.0.0.1", request=b"GET /healthz HTTP/1.1\r\nX: "):
	s = socket.create_connection(("127.0.0.1", g.server.port), LIMIT_S,
	    (source, 0))
	s.sendall(request)
	return s


def is_open(s):
	"""Is the connection still there, silent as it is?"""
	s.setblocking(False)
	try:
		return s.recv(1) != b""
	except BlockingIOError:
		return True
	except ConnectionError:
		return False


def healthy(source):
	with connect(source, b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
	    b"Connection: close\r\n\r\n") as s:
		return s.recv(12) == b"HTTP/1.1 200"


class Crowd:
	"""Connections from one address that are slow to ask."""

	def __init__(self, count, source="127.0.0.1"):
		self.sockets = []
		for _ in range(count):
			try:
				self.sockets.append(connect(source))
			except ConnectionError:
				pass	# closed while we wrote

	def stay(self):
		"""How many stay, once the others have been closed."""
		self.sockets = [s for s in self.sockets if is_open(s)]
		return len(self.sockets)

	def __enter__(self):
		return self

	def __exit__(self, *_):
		for s in self.sockets:
			s.close()


@tap.case("one address has 64 connections, whatever it does, and another is "
    "served")
def t_one_address():
	g.server.restart(connection_limit=100, request_timeout_s=600)
	try:
		with Crowd(300) as crowd:
			proc.wait_for(lambda: crowd.stay() <= 64, LIMIT_S,
			    "the rest to be closed")
			tap.true(crowd.stay() > 50, "%d stay" % crowd.stay())
			tap.true(healthy("127.0.0.2"), "another address")
			proc.wait_for(lambda: "connections refused, as from "
			    "127.0.0.1" in g.server.log_text(), LIMIT_S,
			    "a line in the log")
		proc.wait_for(served_again, LIMIT_S, "a place again")
	finally:
		g.server.restart(connection_limit=2000, request_timeout_s=30)


def served_again():
	try:
		return healthy("127.0.0.1")
	except ConnectionError:
		return False


@tap.case("a proxy of our own is not counted, nor a limit of 0")
def t_not_counted():
	for changes in ({"proxies": ["127.0.0.0/30"]},
	    {"proxies": None, "connections_per_address": 0}):
		g.server.restart(request_timeout_s=600, **changes)
		with Crowd(150) as crowd:
			tap.true(healthy("127.0.0.1"), "one more")
			tap.equal(crowd.stay(), 150, "connections")
	g.server.restart(request_timeout_s=30, connections_per_address=64)


@tap.case("who has shown a good API token may have more connections")
def t_trusted():
	g.server.restart(connections_per_address=4)
	asked = []
	try:
		for _ in range(12):
			s = connect(request=b"GET /api/v1/messages HTTP/1.1\r\n"
			    b"Host: x\r\nAuthorization: Bearer %s\r\n\r\n"
			    % g.token.encode())
			asked.append(s)
			tap.equal(s.recv(12), b"HTTP/1.1 200", "answer")
		with Crowd(20) as crowd:
			proc.wait_for(lambda: crowd.stay() <= 4, LIMIT_S,
			    "strangers to be closed")
			tap.true(crowd.stay() >= 3, "strangers")
		for s in asked:
			tap.true(len(s.recv(100000)) > 0 and is_open(s),
			    "still served")
	finally:
		for s in asked:
			s.close()
		g.server.restart(connections_per_address=64)


# ---- bodies ----

def issue_head(token, *more):
	return b"\r\n".join((b"POST /api/v1/issue HTTP/1.1", b"Host: x",
	    b"Content-Type: application/json",
	    b"Authorization: Bearer " + token.encode(), *more, b"", b""))


@tap.case("a long body is read when its API token is known, else refused "
    "before it is there")
def t_token_first():
	good, bad = g.token, b64(os.urandom(32))
	body = json.dumps(Message().issue()).encode().ljust(200000)
	length = b"Content-Length: %d" % len(body)
	with connect(request=issue_head(bad, length)) as s:
		tap.equal(s.recv(12), b"HTTP/1.1 401", "no body was sent")
	with connect(request=issue_head(good, length,
	    b"Expect: 100-continue")) as s:
		tap.equal(s.recv(12), b"HTTP/1.1 100", "the body is wanted")
		s.recv(100)
		s.sendall(body)
		tap.equal(s.recv(12), b"HTTP/1.1 201", "the answer")
	with connect(request=issue_head(good, length) + body) as s:
		tap.equal(s.recv(12), b"HTTP/1.1 200", "the same again")
	for token, status in ((good, b"200"), (bad, b"401")):
		with connect(request=issue_head(token,
		    b"Transfer-Encoding: chunked")) as s:
			for i in range(0, len(body), 5000):
				s.sendall(b"%x\r\n%s\r\n" % (5000,
				    body[i:i + 5000]))
			s.sendall(b"0\r\n\r\n")
			tap.equal(s.recv(12)[9:12], status, "in chunks")
	with connect(request=issue_head(bad, b"Content-Length: 16384")
	    + body[:16384]) as s:
		tap.equal(s.recv(12), b"HTTP/1.1 401", "a short one")
	a = g.api.call("POST", "/api/v1/issue", token=good, raw=body.ljust(
	    262145), good=False)
	tap.equal((a.status, a.problem), (413, "too-large"), "over the limit")


def memory_kb(field):
	with open("/proc/%d/status" % g.server.pid) as f:
		return [int(line.split()[1]) for line in f
		    if line.startswith(field + ":")][0]


@tap.case("bodies held back without a token cost the server 16 kB each")
def t_held_back():
	g.server.restart(connections_per_address=0, request_timeout_s=600)
	before = memory_kb("VmRSS")
	bad = b64(os.urandom(32))
	held = [connect(request=issue_head(bad, b"Transfer-Encoding: chunked")
	    + b"".join(b"%x\r\n%s\r\n" % (5000, b" " * 5000)
	    for _ in range(50))) for _ in range(200)]
	try:
		proc.wait_for(lambda: all_read(g.server.port, 200), LIMIT_S,
		    "all to be read")
		grown = memory_kb("VmRSS") - before
		tap.note("%d kB for 200 connections" % grown)
		# 200 times 250 kB would be 50 MB.
		tap.true(grown < 20000, "grown by %d kB" % grown)
	finally:
		for s in held:
			s.close()
		g.server.restart(connections_per_address=64,
		    request_timeout_s=30)


def cpu_ticks():
	with open("/proc/%d/stat" % g.server.pid) as f:
		return sum(int(x) for x in f.read().rsplit(")", 1)[1]
		    .split()[11:13])


def is_uncounted(a):
	tap.equal((a.status, a.problem), (400, "malformed"), "answer")
	tap.contains(a.json["detail"], "JSON values, or too deep", "reason")


@tap.case("JSON of many values or levels is refused before it is built")
def t_json_values():
	m = g.issue()
	bomb = b'{"handle":[' + b"{}," * 5400 + b"{}]}"
	deep = b'{"handle":' + b"[" * 20 + b"]" * 20 + b"}"
	for raw in (bomb, deep):
		is_uncounted(g.api.call("POST", "/api/v1/challenge", raw=raw,
		    good=False))
	many = json.dumps(m.issue(recipients=["a@b.test"] * 2100)).encode()
	large = b'{"keys":[' + b"{}," * 84000 + b"{}]}"
	before = cpu_ticks()
	for raw in [many] + [large] * 40:
		is_uncounted(g.api.call("POST", "/api/v1/issue", raw=raw,
		    token=g.token, good=False))
	used = (cpu_ticks() - before) / os.sysconf("SC_CLK_TCK")
	tap.note("%.0f ms of CPU a bomb of 255 kB" % (1000 * used / 40))
	most = Message()
	keys = [most.key(**Message().key()) for _ in range(64)]
	a = post("/api/v1/issue", most.issue(keys=keys,
	    recipients=["r%d@b.test" % i for i in range(100)]), token=g.token)
	tap.equal((a.status, a.problem), (422, "needs-mailbox"),
	    "the largest request there is")


# ---- what one link writes ----

def of(m):
	return "key_id = '\\x%s'" % m.key_id.hex()


def refusals(m):
	"""The reasons in a key's records, and how many each stands for."""
	text = g.psql("SELECT reason, count FROM counterfoil.refusal_log WHERE "
	    "key_handle = '%s' ORDER BY at" % m.handle)
	return [(x.split("|")[0], int(x.split("|")[1]))
	    for x in text.splitlines()]


def rows(m):
	return sum(g.count(table, of(m)) for table in ("event", "key_once",
	    "key_release", "challenge_used", "outbox"))


def counted(m, **counts):
	"""As if there had been so many in this hour."""
	g.psql("UPDATE counterfoil.key_state SET hour_at = coalesce(hour_at, "
	    "now()), %s WHERE %s" % (", ".join("hour_%s = %d" % x
	    for x in counts.items()), of(m)))


def an_hour_later(m):
	"""The counts of the key are of an hour that is over."""
	g.psql("UPDATE counterfoil.key_state SET hour_at = hour_at - "
	    "interval '1 hour' WHERE " + of(m))


@tap.case("a flood with the link alone: 20 rows and one an hour, and the "
    "recipient opens the message meanwhile")
def t_flood():
	m = g.issue()
	c = g.challenge(m)
	flood = [m.ask("retrieve", c, seed=os.urandom(32)) for _ in range(40)]
	before, opened = rows(m), []

	def attack(i):
		problems = {post("/api/v1/retrieve", flood[(i + n) % 40]).problem
		    for n in range(40)}
		tap.equal(problems, {"bad-signature"}, "answered alike")
	wait = together([lambda i=i: attack(i) for i in range(8)])
	for _ in range(5):
		r = g.release(m)
		opened.append(g.open(m, r).status)
	wait()
	tap.equal(opened, [200] * 5, "the recipient's openings")
	tap.equal(refusals(m), [("bad-signature", 1)] * 20, "refusals")
	own = rows(m) - before - 20
	tap.equal(g.count("event", of(m) + " AND type = 'refused'"), 20,
	    "rows of 320 refused requests")
	tap.note("%d rows of five releases and openings" % own)
	an_hour_later(m)
	tap.equal(g.retrieve(m, c, seed=os.urandom(32)).status, 403, "later")
	tap.equal(refusals(m)[20:], [("repeated", 300), ("bad-signature", 1)],
	    "the rest, and a new hour")
	record = [r for r in g.events(m) if "reason repeated" in r][0]
	tap.equal([x.split(" ")[0] for x in record], ["counterfoil-event/v1",
	    "type", "id", "key", "ref", "time", "reason", "since", "count",
	    ""], "its lines")


@tap.case("refusals that were only counted are recorded when nobody asks "
    "again, and once")
def t_rest():
	m, n = g.issue(), g.issue()
	for x in (m, n):
		counted(x, refused=18)
		c = g.challenge(x)
		for _ in range(7):
			g.retrieve(x, c, seed=os.urandom(32))
	an_hour_later(m)
	for _ in range(2):
		g.server.restart()
		tap.equal(refusals(m), [("bad-signature", 1)] * 2
		    + [("repeated", 5)], "the hour that is over")
		tap.equal(len(refusals(n)), 2, "the hour that is not")


@tap.case("who holds the message has refusals of his own; they end, too")
def t_held():
	m = g.issue()
	c = g.challenge(m)
	counted(m, refused=20)
	tap.equal(g.retrieve(m, c, seed=os.urandom(32)).problem,
	    "bad-signature", "with the link alone")
	tap.equal(refusals(m), [], "too many")
	old = m.ask("retrieve", b64(os.urandom(56)))
	tap.equal(post("/api/v1/retrieve", old).problem, "bad-challenge",
	    "signed well")
	g.psql("UPDATE counterfoil.key_state SET expires_at = now() WHERE "
	    + of(m))
	tap.equal(g.retrieve(m).problem, "expired", "at the end")
	tap.equal(refusals(m), [("bad-challenge", 1), ("expired", 1)],
	    "each by itself")
	counted(m, held=59)
	body = m.ask("retrieve", g.challenge(m))
	for _ in range(5):
		tap.equal(post("/api/v1/retrieve", body).problem, "expired",
		    "answered alike")
	tap.equal(len(refusals(m)), 3, "the 60th")
	tap.equal(g.psql("SELECT hour_more FROM counterfoil.key_state WHERE "
	    + of(m)), "5", "counted")


# ---- releases ----

def retrieve_from(m, source, body=None, **kw):
	"""By a connection from that address of ours."""
	connection = g.api.connect()
	connection.source_address = (source, 0)
	try:
		return post("/api/v1/retrieve", body or m.ask("retrieve",
		    g.challenge(m)), connection=connection, **kw)
	finally:
		connection.close()




@tap.case("after 60 releases in an hour a network gets no second one: 429")
def t_released():
	m = g.issue()
	for source in ("127.0.0.1", "127.0.0.1", "127.0.1.1"):
		tap.equal(retrieve_from(m, source).status, 200, "few")
	tap.equal(g.psql("SELECT hour_released FROM counterfoil.key_state WHERE "
	    + of(m)), "2", "after the first")
	counted(m, released=59)
	tap.equal(retrieve_from(m, "127.0.0.9").status, 200, "the 60th")
	before = rows(m)
	for source in ("127.0.0.1", "127.0.0.200", "127.0.1.1"):
		a = retrieve_from(m, source)
		tap.equal((a.status, a.problem), (429, "too-many"), source)
		tap.true(3500 < int(a.headers["Retry-After"]) <= 3600, "wait")
		tap.contains(a.json["detail"], "in 60 minutes", "the sentence")
	tap.equal(rows(m), before, "rows of the refused")
	for source, status in (("127.0.2.1", 200), ("127.0.2.2", 429),
	    ("127.0.3.1", 200)):
		tap.equal(retrieve_from(m, source).status, status, source)
	an_hour_later(m)
	tap.equal(retrieve_from(m, "127.0.0.1").status, 200, "an hour later")
	tap.equal(refusals(m), [], "refusals")


@tap.case("many releases at once: exactly 60")
def t_released_race():
	m = g.issue()
	for _ in range(2):
		g.release(m)
	counted(m, released=50)
	bodies = [m.ask("retrieve", g.challenge(m)) for _ in range(30)]
	answers = together([lambda b=b: post("/api/v1/retrieve", b)
	    for b in bodies])()
	tap.equal(sorted(a.status for a in answers), [200] * 10 + [429] * 20,
	    "answers")


@tap.case("of many in one batch from a new network one gets the key")
def t_network_batch():
	m, other = g.issue(), g.issue()
	g.release(m)
	counted(m, released=60)
	# The only worker is held by the first; the others wait together.
	g.server.restart(connections=1)
	bodies = [(m, m.ask("retrieve", g.challenge(m))) for _ in range(12)]
	bodies.insert(0, (other, other.ask("retrieve", g.challenge(other))))
	waits = []
	with Holder(g, "key_issue") as holder:
		for i, (x, body) in enumerate(bodies):
			waits.append(together([lambda x=x, b=body: retrieve_from(x,
			    "127.0.7.7", b)]))
			proc.wait_for(lambda: all_read(g.server.port, i + 1),
			    LIMIT_S, "it to wait")
		holder.let_go()
	answers = [wait()[0].status for wait in waits]
	g.server.restart(connections=8)
	tap.equal((answers[0], sorted(answers[1:])), (200, [200] + [429] * 11),
	    "answers")


@tap.case("behind a proxy of ours the client's network counts, else nobody's "
    "word")
def t_forwarded():
	m = g.issue()
	g.server.restart(proxies=["127.0.0.1"])
	try:
		for _ in range(2):
			g.release(m)
		counted(m, released=60)
		for forwarded, status in (("198.51.100.1", 200),
		    ("198.51.100.77", 429), ("203.0.113.1", 200),
		    ("192.0.2.1, 203.0.113.2", 429),
		    ("2001:db8:0:1::1", 200), ("2001:db8:0:1:ffff::9", 429),
		    ("2001:db8:0:2::1", 200), ("unknown", 429)):
			a = retrieve_from(m, "127.0.0.1", headers={
			    "X-Forwarded-For": forwarded})
			tap.equal(a.status, status, forwarded)
		for forwarded, status in (("198.51.100.9", 200),
		    ("192.0.2.99", 429)):
			a = retrieve_from(m, "127.0.9.9", headers={
			    "X-Forwarded-For": forwarded})
			tap.equal(a.status, status, "no proxy of ours")
	finally:
		g.server.restart(proxies=None)


# ---- challenges ----

@tap.case("used challenges go when they are void, a fourth of them an hour")
def t_challenges():
	m = g.issue()
	c = g.challenge(m)
	tap.equal(g.retrieve(m, c).status, 200, "release")
	slot = int(g.psql("SELECT slot FROM counterfoil.challenge_used WHERE "
	    + of(m)))
	made = int.from_bytes(unb64(c)[:8], "big")
	tap.equal(slot, made // 3600 % 4, "slot")
	g.psql("INSERT INTO counterfoil.challenge_used SELECT key_id, "
	    "substr(sha256(random), 1, 16), n, network, at FROM "
	    "counterfoil.challenge_used, generate_series(0, 3) n WHERE "
	    + of(m))
	sql = "SELECT array_agg(DISTINCT slot ORDER BY slot) FROM " \
	    "counterfoil.challenge_used WHERE " + of(m)
	tap.equal(g.psql(sql), "{0,1,2,3}", "slots")
	hour = int(g.psql("SET ROLE counterfoil_keysrv; SELECT "
	    "counterfoil.drop_challenges(); RESET ROLE; SELECT extract(epoch "
	    "FROM now() - interval '5 minutes')::bigint / 3600").split()[-1])
	left = {0, 1, 2, 3} - {(hour + 2) % 4}
	tap.equal(g.psql(sql), "{%s}" % ",".join(map(str, sorted(left))),
	    "what is left")
	tap.true({hour % 4, (hour - 1) % 4, made // 3600 % 4} <= left, "of now")
	tap.equal(g.psql("SELECT counterfoil.drop_challenges()"), "f", "again")
	tap.equal(g.retrieve(m, c).problem, "challenge-used", "still used")


tap.main(setup, teardown)
