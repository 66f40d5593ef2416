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

from client import Message, b64  # noqa: E402
from ground import Ground, all_read  # noqa: E402

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


tap.main(setup, teardown)
