#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every endpoint of the key server, over HTTPS, against openapi.yaml."""

import datetime
import hashlib
import json
import os
import socket
import ssl
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "contrib"), HERE]

from lab import proc, tap, web  # noqa: E402

import client  # noqa: E402
from client import Message, b64, unb64  # noqa: E402
from ground import Ground, Holder, all_read, together  # noqa: E402

g = None


def setup():
	global g
	g = Ground(tls=True).start()


def teardown():
	if g:
		g.stop()


def post(path, body, **kw):
	return g.api.post(path, body, **kw)


def problem(answer, status, slug, what):
	tap.equal((answer.status, answer.problem), (status, slug), what)


# ---- issue ----

@tap.case("issue gives a key, its commitment and a locator without token")
def t_issue():
	m = Message()
	a = post("/api/v1/issue", m.issue(), token=g.token)
	tap.equal(a.status, 201, "status")
	key = a.json["keys"][0]
	tap.equal(key["locator"], "%s/k/%s" % (g.server.url, m.handle),
	    "locator")
	tap.equal(key["key_commitment"], client.commitment(unb64(key["key"])),
	    "commitment")
	record = g.events(m)[0]
	for line in ("type issued", "key " + m.handle, "ref " + b64(m.ref),
	    "sender alice@a.test", "recipient bob@b.test",
	    "message-id " + m.message_id, "assurance bearer",
	    "opening-key " + b64(m.opening_key),
	    "key-commitment " + key["key_commitment"]):
		tap.true(line in record, "record has " + line)


@tap.case("the same values get the same key, whatever the request id")
def t_issue_repeat():
	m = Message()
	first = post("/api/v1/issue", m.issue(), token=g.token)
	again = post("/api/v1/issue", m.issue(), token=g.token)
	tap.equal((first.status, again.status), (201, 200), "status")
	tap.equal(again.json["keys"], first.json["keys"], "keys")
	tap.equal(len(g.events(m)), 1, "events")


@tap.case("a repeat under way at the same time gets the same key")
def t_issue_race():
	m = Message()
	wait = together([lambda: post("/api/v1/issue", m.issue(),
	    token=g.token) for _ in range(24)])
	answers = wait()
	good = [a for a in answers if a.status in (200, 201)]
	tap.equal([a.status for a in answers].count(201), 1, "new ones")
	for a in answers:
		tap.true(a.status in (200, 201, 503), "status %d" % a.status)
	tap.equal(len({a.json["keys"][0]["key"] for a in good}), 1, "keys")
	tap.equal(len(g.events(m)), 1, "events")


@tap.case("other values under a known key id are refused, each of them")
def t_issue_other():
	m = g.issue()
	other = Message()
	changed = [
	    m.issue(message_ref=b64(os.urandom(32))),
	    m.issue(message_id="<other@a.test>"),
	    m.issue(sender="carol@a.test"),
	    m.issue(recipients=["eve@b.test"]),
	    m.issue(reader_url="https://other.a.test"),
	    m.issue(keys=[m.key(token=b64(os.urandom(32)))]),
	    m.issue(keys=[m.key(opening_key=b64(other.opening_key))]),
	    m.issue(keys=[m.key(possession_key=b64(other.possession_key))]),
	]
	for body in changed:
		problem(post("/api/v1/issue", body, token=g.token), 409,
		    "key-id-taken", "other values")
	tap.equal(len(g.events(m)), 1, "events")


@tap.case("another account cannot repeat a request")
def t_issue_other_account():
	m = g.issue()
	file = g.server.add_gateway("gateway-second", "a.test")
	problem(post("/api/v1/issue", m.issue(),
	    token=proc.read_text(file).strip()), 409, "key-id-taken",
	    "the other account")


@tap.case("a request with several keys is all or nothing")
def t_issue_atomic():
	taken, x, y = g.issue(), Message(), Message()
	body = x.issue(keys=[x.key(), taken.key(token=b64(os.urandom(32))),
	    y.key()])
	problem(post("/api/v1/issue", body, token=g.token), 409,
	    "key-id-taken", "one of three is taken")
	tap.equal((len(g.events(x)), len(g.events(y))), (0, 0), "events")
	good = x.issue(keys=[x.key(), y.key()])
	first = post("/api/v1/issue", good, token=g.token)
	tap.equal(first.status, 201, "status")
	again = post("/api/v1/issue", good, token=g.token)
	tap.equal((again.status, again.json["keys"]), (200,
	    first.json["keys"]), "the repeat")


@tap.case("no token, a wrong one, a revoked one: 401")
def t_issue_unauthorized():
	m = Message()
	file = g.server.add_gateway("gateway-revoked", "a.test")
	g.psql("UPDATE counterfoil.api_token SET revoked_at = now() WHERE "
	    "account_id = (SELECT account_id FROM counterfoil.account WHERE "
	    "name = 'gateway-revoked')")
	for token in (None, "", "x", b64(os.urandom(32)),
	    proc.read_text(file).strip()):
		a = post("/api/v1/issue", m.issue(), token=token)
		problem(a, 401, "unauthorized", "token %r" % token)
		tap.equal(a.headers["WWW-Authenticate"], "Bearer", "header")
		problem(g.api.get("/api/v1/messages", token=token), 401,
		    "unauthorized", "messages with token %r" % token)
	tap.equal(g.count("key_issue", "key_id = '\\x%s'" % m.key_id.hex()), 0,
	    "keys")


@tap.case("one account, one reference secret: of several at once one counts, "
    "and the others are refused")
def t_reference():
	token = proc.read_text(g.server.add_gateway("gateway-r",
	    "r.test")).strip()
	values = [b64(os.urandom(16)) for _ in range(8)]
	with Holder(g, "api_token"):
		wait = together([lambda v=v: post("/api/v1/issue", Message(
		    sender="x@r.test").issue(reference_check=v), token=token,
		    good=False) for v in values])
		proc.wait_for(lambda: all_read(g.server.port, 8), 60,
		    "all to be read")
	answers = wait()
	good = [v for v, a in zip(values, answers) if a.status == 201]
	tap.equal(len(good), 1, "that counts")
	for a, v in zip(answers, values):
		if v not in good:
			problem(a, 403, "reference-secret", v)
			tap.contains(a.json["detail"], "gateway reference "
			    "gateway-r " + v, "sentence")
	tap.equal(g.psql("SELECT check_value FROM counterfoil.account_reference "
	    "JOIN counterfoil.account USING (account_id) WHERE name = "
	    "'gateway-r'"), "\\x" + unb64(good[0]).hex(), "stored")
	def ask(value, **kw):
		return g.api.get("/api/v1/messages", token=token,
		    query={"reference": value}, **kw)
	tap.equal(ask(good[0]).status, 200, "asked with it")
	problem(ask(b64(os.urandom(16)), good=False), 403, "reference-secret",
	    "asked with another")
	problem(ask("x", good=False), 400, "malformed", "asked with none")
	# Nobody's account says nothing.
	problem(g.api.get("/api/v1/messages", token=b64(os.urandom(32)),
	    query={"reference": good[0]}, good=False), 401, "unauthorized",
	    "a token that is not known")


@tap.case("a sender outside the account's domains: 403")
def t_issue_sender():
	for sender in ("alice@b.test", "alice@x.a.test", "alice@a.test.evil"):
		problem(post("/api/v1/issue", Message(sender=sender).issue(),
		    token=g.token), 403, "sender-not-allowed", sender)
	a = post("/api/v1/issue", Message(sender="Alice@A.Test").issue(),
	    token=g.token)
	tap.equal(a.status, 201, "upper case")


@tap.case("several recipients under one key: 422; other policies: 422")
def t_issue_policy():
	m = Message()
	problem(post("/api/v1/issue", m.issue(recipients=["a@b.test",
	    "b@b.test"]), token=g.token), 422, "needs-mailbox", "recipients")
	problem(post("/api/v1/issue", m.issue(keys=[m.key(policy={"require":
	    "account"})]), token=g.token), 422, "policy-not-offered", "policy")


@tap.case("every member of an issue request is checked")
def t_issue_members():
	m = Message()
	bad = [{}, [], m.issue(extra=1), m.issue(keys=[]), m.issue(keys={}),
	    m.issue(keys=[m.key(), m.key()]),
	    m.issue(keys=[m.key(extra=1)]),
	    m.issue(keys=[m.key(policy={})]),
	    m.issue(keys=[m.key(policy={"require": "bearer", "x": 1})]),
	    m.issue(keys=[m.key(policy={"expires_in": 60})])]
	bad += [m.issue(keys=[m.key(policy={"require": "bearer",
	    "expires_in": x})]) for x in (0, -1, 315360001, 1 << 64, 1.5, "60",
	    True, None, [60])]
	bad += [
	    m.issue(keys=[m.key(algorithm="none")]),
	    m.issue(keys=[m.key(key_id=m.handle + "A")]),
	    m.issue(keys=[m.key(key_id=m.handle[:-1] + "B")]),
	    m.issue(recipients=[]), m.issue(recipients=[""]),
	    m.issue(recipients=["x" * 321]), m.issue(recipients=[7]),
	    m.issue(recipients=["a\nb@b.test"]),
	    m.issue(sender=""), m.issue(sender="alice"),
	    m.issue(sender="alice@"), m.issue(sender="a\u0085@a.test"),
	    m.issue(message_id="a\r\nb"), m.issue(message_id="x" * 999),
	    m.issue(reader_url="http://reader.a.test"),
	    m.issue(reader_url="https://reader.a.test/"),
	    m.issue(message_ref=b64(os.urandom(31))),
	    m.issue(request_id=None)]
	for name in m.issue():
		body = m.issue()
		del body[name]
		bad.append(body)
	for name in m.key():
		key = m.key()
		del key[name]
		bad.append(m.issue(keys=[key]))
	for body in bad:
		a = post("/api/v1/issue", body, token=g.token, good=False)
		problem(a, 400, "malformed", json.dumps(body)[:300])
	tap.equal(len(g.events(m)), 0, "events")


@tap.case("a registered key is one of Ed25519 under which a proof means "
    "something")
def t_issue_points():
	m = Message()
	good = m.possession_key
	bad = [bytes(32), b"\1" + bytes(31), b"\xff" * 32,
	    b"\xed" + b"\xff" * 30 + b"\x7f", b"\2" + bytes(31)]
	for name in ("opening_key", "possession_key"):
		for point in bad:
			a = post("/api/v1/issue", m.issue(keys=[
			    m.key(**{name: b64(point)})]), token=g.token)
			problem(a, 400, "malformed", repr(point))
			tap.contains(a.json["detail"], '"%s" is not' % name,
			    "detail")
	a = post("/api/v1/issue", m.issue(keys=[m.key(opening_key=b64(good))]),
	    token=g.token)
	problem(a, 400, "malformed", "one key for both")
	tap.equal(len(g.events(m)), 0, "events")


@tap.case("a sender is an address that receipts reach, a recipient one that "
    "can be shown")
def t_issue_addresses():
	bad = ["\u202etset.knab@oec\u202c <x@a.test",
	    "ceo@bank.test (sent via Outlook for) <x@a.test",
	    "ceo@bank.test" + "\u00a0" * 140 + "@a.test", "a\u200b@a.test",
	    "a\u2028@a.test", "x@a.test,victim@c.test@a.test", "a b@a.test",
	    "a@b@a.test", "x\uff20bank.test@a.test", "a" * 321, "@a.test"]
	senders = bad + ["\"ceo@bank.test <x\"@a.test", "alice",
	    "a" * 248 + "@a.test", "a..b@a.test", ".a@a.test", "a.@a.test",
	    "j\u00f6rg@a.test", "\"a@b\"@a.test", "\"a\"@a.test",
	    "a@\u00e4.test", "a@b_c.a.test", "\"alice@a.test\"@b.test"]
	before = g.count("event")
	for body in [Message(sender=x).issue() for x in senders] + \
	    [Message(recipient=x).issue() for x in bad]:
		problem(post("/api/v1/issue", body, token=g.token, good=False),
		    400, "malformed", json.dumps(body)[:300])
	tap.equal(g.count("event"), before, "events")
	for m in (Message(sender="a" * 247 + "@a.test"),
	    Message(sender="a.b+c=d_{|}~!#$%&'*/?^`@a.test"),
	    Message(recipient="\u5c71\u7530@\u4f8b.test"),
	    Message(recipient="\"bob, jr\"@b.test"),
	    Message(recipient="bob@[192.0.2.1]"),
	    Message(recipient="b..b.@b.test"), Message(recipient="bob")):
		g.issue(m)


@tap.case("text from outside cannot forge a line of a record")
def t_record_encoding():
	m = Message(recipient="b%0Atype-opened\u00fc@b.test")
	g.issue(m)
	record = g.events(m)[0]
	tap.true("recipient b%250Atype-opened%C3%BC@b.test" in record,
	    "encoded: %s" % record)


# ---- bodies ----

@tap.case("malformed, duplicate, deep and too large JSON get clear answers")
def t_bodies():
	short = json.dumps(Message().short())
	bad = [b"", b"{", b"null", b"[]", b"\xff", short.encode() + b"x",
	    short[:-1].encode() + b',"token":"x"}', b'{"handle":"\\u0000"}',
	    b"[" * 5000, short.encode()[:-10]]
	for raw in bad:
		problem(g.api.call("POST", "/api/v1/challenge", raw=raw,
		    good=False), 400, "malformed", repr(raw[:60]))
	padding = b" " * (16384 - len(short))
	a = g.api.call("POST", "/api/v1/challenge",
	    raw=short.encode() + padding, good=False)
	problem(a, 404, "unknown-key", "exactly the limit")
	for extra in (1, 20000):
		problem(g.api.call("POST", "/api/v1/challenge",
		    raw=short.encode() + padding + b" " * extra, good=False),
		    413, "too-large", "%d over the limit" % extra)
	problem(g.api.call("POST", "/api/v1/challenge", raw=b"{}", good=False,
	    headers={"Content-Type": "text/plain"}), 415, "media-type",
	    "another type")


def raw_connection():
	s = socket.create_connection(("127.0.0.1", g.server.port), 120)
	return g.api.context.wrap_socket(s, server_hostname="localhost")


@tap.case("a chunked body over the limit is refused, one below it is read")
def t_chunked():
	body = json.dumps(Message().short()).encode()
	for blanks, status in ((10, b"404"), (20000, b"413")):
		with raw_connection() as s:
			s.sendall(b"POST /api/v1/challenge HTTP/1.1\r\n"
			    b"Host: localhost\r\nConnection: close\r\n"
			    b"Content-Type: application/json\r\n"
			    b"Transfer-Encoding: chunked\r\n\r\n")
			whole = body + b" " * blanks
			for i in range(0, len(whole), 1000):
				part = whole[i:i + 1000]
				s.sendall(b"%x\r\n%s\r\n" % (len(part), part))
			s.sendall(b"0\r\n\r\n")
			tap.equal(s.recv(12)[9:12], status, "status")


@tap.case("a body cut off does nothing")
def t_cut_off():
	m = Message()
	body = json.dumps(m.issue()).encode()
	before = g.count("event")
	for keep in (0, 1, len(body) // 2, len(body) - 1):
		with raw_connection() as s:
			s.sendall(b"POST /api/v1/issue HTTP/1.1\r\n"
			    b"Host: localhost\r\n"
			    b"Content-Type: application/json\r\n"
			    b"Authorization: Bearer " + g.token.encode() +
			    b"\r\nContent-Length: %d\r\n\r\n" % len(body)
			    + body[:keep])
	g.issue()
	tap.equal(g.count("event"), before + 1, "events")


@tap.case("a client that drips or is silent is cut off, one that waits is not")
def t_slow():
	def is_cut(s, drip):
		"""Another byte; has the server hung up?"""
		try:
			s.sendall(drip)
			return s.recv(100) == b""
		except TimeoutError:
			return False
		except OSError:
			return True
	m = g.issue()
	body = json.dumps(m.short()).encode()
	begun = (b"POST /api/v1/challenge HTTP/1.1\r\nHost: localhost\r\n"
	    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n")
	# Time enough to begin in, on any machine.
	g.server.restart(request_timeout_s=6)
	others = []
	try:
		with raw_connection() as patient, Holder(g, "key_state") as held:
			patient.sendall(begun % len(body) + body)
			for begin, drip in (
			    (b"GET /healthz HTTP/1.1\r\nX: ", b"a"),
			    (begun % 16000 + b"{", b" "), (b"", b"")):
				s = raw_connection()
				others.append((s, drip))
				s.sendall(begin)
				s.settimeout(0.1)
			left = list(others)

			def all_are_cut():
				left[:] = [x for x in left if not is_cut(*x)]
				return not left
			proc.wait_for(all_are_cut, 60, "all to be cut off")
			# Not who waits for us, and has for longer than those.
			held.let_go()
			tap.equal(patient.recv(12)[9:12], b"200", "patience")
	finally:
		for s, _ in others:
			s.close()
		g.server.restart(request_timeout_s=30)


@tap.case("unknown paths, wrong methods, HEAD and the pages")
def t_paths():
	a = g.api.get("/k/" + Message().handle)
	tap.equal(a.status, 200, "the page of a link")
	tap.lacks(a.body.decode(), "<script", "the page")
	tap.lacks(a.body.decode(), "href", "the page of an unknown key")
	m = g.issue()
	page = g.api.get("/k/" + m.handle).body.decode()
	tap.contains(page, 'href="%s/"' % m.issue()["reader_url"],
	    "the page of a key")
	tap.contains(a.headers["Content-Security-Policy"],
	    "default-src 'none'", "CSP")
	tap.equal(a.headers["Cache-Control"], "no-store", "caching")
	tap.contains(a.headers["Content-Security-Policy"],
	    "form-action 'none'", "CSP of a page without a form")
	tap.equal(a.headers["Referrer-Policy"], "no-referrer", "referrer")
	for name in ("Cross-Origin-Opener-Policy",
	    "Cross-Origin-Resource-Policy"):
		tap.equal(a.headers[name], "same-origin", name)
		tap.true(name not in g.api.get("/healthz").headers,
		    "only pages")
	for behind in ("%23" + "t" * 43, "%2523" + "t" * 43, "."):
		status, headers, body = g.server.get("/k/" + m.handle + behind)
		tap.equal((status, headers["Content-Type"], body.decode()),
		    (200, "text/html; charset=utf-8", page), behind)
	tap.lacks(g.server.log_text(), "t" * 43, "the log")
	problem(g.api.get("/k/short", good=False), 404, "not-found", "handle")
	tap.equal(g.api.get("/").status, 200, "front page")
	tap.equal(g.api.get("/healthz").json, {"status": "ok"}, "healthz")
	tap.equal(g.api.get("/readyz").status, 200, "readyz")
	tap.equal(g.api.call("HEAD", "/healthz").status, 200, "HEAD")
	for path in ("/api/v1/issue/", "/api", "/k/", "/healthz/x", "/x",
	    "/k/" + Message().handle + "/x", "//"):
		status, _, body = g.server.get(path)
		tap.equal((status, json.loads(body)["type"]), (404,
		    "urn:counterfoil:problem:not-found"), path)
	for method, path, allow in (("GET", "/api/v1/retrieve",
	    "POST, OPTIONS"), ("PUT", "/api/v1/issue", "POST"),
	    ("DELETE", "/healthz", "GET, HEAD")):
		status, headers, body = g.server.request(method, path)
		tap.equal((status, headers["Allow"]), (405, allow), path)
		tap.equal(json.loads(body)["type"],
		    "urn:counterfoil:problem:method-not-allowed", path)


@tap.case("every answer says that the service is reached by TLS alone")
def t_hsts():
	short = Message().short()
	for method, path, body, status in (
	    ("GET", "/healthz", None, 200), ("GET", "/", None, 200),
	    ("GET", "/nothing", None, 404), ("PUT", "/healthz", None, 405),
	    ("GET", "/api/v1/issue", None, 405),
	    ("OPTIONS", "/api/v1/retrieve", None, 204),
	    ("POST", "/api/v1/challenge", b"{", 400),
	    ("POST", "/api/v1/challenge", json.dumps(short).encode(), 404),
	    ("POST", "/api/v1/issue", b"{}", 401)):
		got, headers, _ = g.server.request(method, path, body,
		    {"Content-Type": "application/json"})
		tap.equal((got, headers["Strict-Transport-Security"]),
		    (status, "max-age=31536000"), method + " " + path)


@tap.case("TLS with forward secrecy and AEAD, whatever key the certificate has")
def t_suites():
	tap.equal(web.tls_suites(g.server.port, g.server.ca_file),
	    web.GOOD_SUITES["ECDSA"], "with an EC key")
	had = {x: g.server.options[x] for x in ("tls_certificate", "tls_key")}
	cert, key = g.authority.server("rsa", rsa=True)
	g.server.restart(tls_certificate=cert, tls_key=key)
	try:
		tap.equal(web.tls_suites(g.server.port, g.server.ca_file),
		    web.GOOD_SUITES["RSA"], "with an RSA key")
	finally:
		g.server.restart(**had)


def first_line(request):
	with raw_connection() as s:
		s.sendall(request)
		return s.recv(12)[9:12].decode()


def key_of(der):
	"""SHA-256 of a certificate's public key, as openssl has it."""
	pem = proc.run(["openssl", "x509", "-inform", "DER", "-noout",
	    "-pubkey"], input=der).stdout
	return hashlib.sha256(proc.run(["openssl", "pkey", "-pubin",
	    "-outform", "DER"], input=pem).stdout).digest()


@tap.case("the server says which it is, who signs, and what it takes")
def t_server():
	body = g.api.get("/api/v1/server").json
	tap.equal(body["service_url"], g.server.options["service_url"], "URL")
	version = proc.run([proc.program("counterfoil-keysrv"), "-V"]
	    ).stdout.decode().split()[1]
	tap.equal(body["version"], version, "version")
	tap.equal(body["limits"], {"issue_bytes": 262144, "keys": 64,
	    "recipients": 100, "expires_in": 315360000}, "limits")
	tap.true("signer" not in body, "nobody has signed")
	g.server.restart(outbox="on")
	try:
		signer = g.api.get("/api/v1/server").json["signer"]
	finally:
		g.server.restart(outbox="off")
	der = unb64(signer["certificate"])
	tap.equal(der, ssl.PEM_cert_to_DER_cert(proc.read_text(
	    g.server.signer_certificate)), "certificate")
	tap.equal(unb64(signer["key_sha256"]), key_of(der), "its key")
	# A server that does not sign knows who does.
	before = dict(g.server.options)
	g.server.restart(signer_certificate=None, signer_key=None)
	try:
		tap.equal(g.api.get("/api/v1/server").json["signer"],
		    {"key_sha256": signer["key_sha256"]}, "of another server")
	finally:
		g.server.restart(**before)


@tap.case("a header that others may read otherwise is refused; %00 ends no path")
def t_unsound():
	good = b"GET /healthz HTTP/1.1\r\nHost: x\r\n%s\r\n"
	tap.equal(first_line(good % b""), "200", "a good one")
	for more in (b"Host: x\r\n", b"Host: y\r\n", b"hOST: x\r\n",
	    b"X: a\x01b\r\n", b"X: a\x7fb\r\n", b"X\0Y: a\r\n"):
		tap.equal(first_line(good % more), "400", repr(more))
	proc.wait_for(lambda: "requests refused, as from 127.0.0.1: their "
	    "header has a second Host field" in g.server.log_text(), 60,
	    "a line in the log")
	for path in (b"/healthz%00x", b"/healthz%00", b"/%00", b"/%68ealthz",
	    b"/k/" + Message().handle.encode() + b"%00"):
		tap.equal(first_line(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"
		    % path), "404", path)
	time = "2026-11-23T13:35:00.123Z"
	for query, status in (("before=" + time, 200),
	    ("before=" + time.replace(":", "%3A"), 200),
	    ("before=" + time.replace("Z", "%5a"), 200),
	    ("before=" + time + "%00x", 400), ("limit=1%00", 400),
	    ("limit=1%2", 400), ("limit=%zz", 400), ("limit=1&limit=1", 400),
	    ("limit", 400)):
		got, _, _ = g.server.request("GET", "/api/v1/messages?" + query,
		    headers={"Authorization": "Bearer " + g.token})
		tap.equal(got, status, query)


@tap.case("pages of any origin may use the recipient API, and only that")
def t_cors():
	for verb in ("challenge", "describe", "retrieve", "open", "mismatch"):
		a = g.api.call("OPTIONS", "/api/v1/" + verb,
		    origin="https://reader.b.test")
		tap.equal((a.status, a.headers["Access-Control-Allow-Origin"],
		    a.headers["Access-Control-Allow-Methods"],
		    a.headers["Access-Control-Allow-Headers"]),
		    (204, "*", "POST", "Content-Type"), verb)
		tap.true(int(a.headers["Access-Control-Max-Age"]) > 0, "age")
		tap.equal(post("/api/v1/" + verb, {}, good=False).headers[
		    "Access-Control-Allow-Origin"], "*", "on errors too")
	status, headers, _ = g.server.request("OPTIONS", "/api/v1/issue")
	tap.equal((status, headers["Access-Control-Allow-Origin"]),
	    (405, None), "issue")


# ---- challenge and describe ----

@tap.case("unknown handle and wrong token get the same bytes, no event")
def t_unknown():
	m, n = g.issue(), Message()
	wrong = m.short(token=b64(os.urandom(32)))
	before = g.count("event")
	challenge = g.challenge(m)
	for path, known, unknown in (
	    ("challenge", wrong, n.short()),
	    ("describe", m.ask("describe", challenge, token=wrong["token"]),
	        n.ask("describe", challenge)),
	    ("retrieve", m.ask("retrieve", challenge, token=wrong["token"]),
	        n.ask("retrieve", challenge))):
		a = post("/api/v1/" + path, known)
		b = post("/api/v1/" + path, unknown)
		problem(a, 404, "unknown-key", path)
		tap.equal((a.status, a.body), (b.status, b.body), path)
		tap.equal([k for k in a.headers], [k for k in b.headers],
		    "header names of " + path)
	tap.equal(g.count("event"), before, "events")


@tap.case("describe says who sent it and records nothing")
def t_describe():
	m = g.issue()
	before = g.count("event")
	a = post("/api/v1/describe", m.ask("describe", g.challenge(m)))
	tap.equal(a.status, 200, "status (%s)" % a)
	tap.equal(a.json["issuer"], {"address": "alice@a.test",
	    "domain": "a.test", "account": "gateway-a"}, "issuer")
	tap.equal((a.json["message_id"], a.json["opening_key"],
	    a.json["possession_key"], a.json["state"]), (m.message_id,
	    b64(m.opening_key), b64(m.possession_key), "issued"), "values")
	release = g.release(m)
	challenge = g.challenge(m)
	for _ in range(2):	# describe does not use a challenge up
		a = post("/api/v1/describe", m.ask("describe", challenge))
		tap.equal(a.json["state"], "released", "state")
	tap.equal(g.open(m, release).status, 200, "open")
	a = post("/api/v1/describe", m.ask("describe", challenge))
	tap.equal(a.json["state"], "opened", "state")
	tap.equal(g.count("event"), before + 2, "events")


@tap.case("describe needs the ciphertext, a good challenge, the true origin")
def t_describe_refused():
	m, n = g.issue(), g.issue()
	c = g.challenge(m)
	problem(post("/api/v1/describe", m.ask("describe", c,
	    seed=n.possession_seed)), 403, "bad-signature", "other key")
	problem(post("/api/v1/describe", m.ask("retrieve", c)), 403,
	    "bad-signature", "other verb")
	problem(post("/api/v1/describe", m.ask("describe", g.challenge(n))),
	    403, "bad-challenge", "challenge of another key")
	problem(post("/api/v1/describe", m.ask("describe", c, "https://x.test")),
	    403, "origin-mismatch", "origin without header")
	problem(post("/api/v1/describe", m.ask("describe", c, "https://x.test"),
	    origin="https://y.test"), 403, "origin-mismatch", "other origin")
	a = post("/api/v1/describe", m.ask("describe", c, "https://x.test"),
	    origin="https://x.test")
	tap.equal(a.status, 200, "the true origin")
	a = post("/api/v1/describe", m.ask("describe", c, "null"),
	    origin="null")
	tap.equal(a.status, 200, "from disk")


# ---- retrieve ----

@tap.case("a release gives the issued key, once first, and is recorded")
def t_release():
	m = Message()
	key = post("/api/v1/issue", m.issue(), token=g.token).json["keys"][0]
	r = g.retrieve(m, origin="https://reader.b.test").json
	tap.equal((r["key"], r["key_commitment"], r["first"],
	    r["opening_key"], r["possession_key"], r["assurance"]),
	    (key["key"], key["key_commitment"], True, b64(m.opening_key),
	    b64(m.possession_key), "bearer"), "values")
	second = g.release(m)
	tap.equal(second["first"], False, "the second is not the first")
	tap.equal(second["key"], r["key"], "key")
	tap.true(second["release_id"] != r["release_id"] and
	    second["release_secret"] != r["release_secret"], "fresh ids")
	records = g.events(m)
	tap.equal([x[1] for x in records], ["type issued", "type released",
	    "type released"], "events")
	for line in ("release " + r["release_id"], "principal bearer",
	    "first yes", "origin https://reader.b.test",
	    "time " + r["released_at"], "key-commitment "
	    + r["key_commitment"]):
		tap.true(line in records[1], "record has " + line)
	tap.true("first no" in records[2], "first no")
	tap.equal(g.count("outbox", "key_id = '\\x%s'" % m.key_id.hex()), 1,
	    "outbox rows")


@tap.case("of many releases at once exactly one is the first")
def t_release_race():
	m = g.issue()
	challenges = [g.challenge(m) for _ in range(16)]
	answers = together([lambda c=c: g.retrieve(m, c)
	    for c in challenges])()
	tap.equal([a.status for a in answers], [200] * 16, "status")
	tap.equal(sum(a.json["first"] for a in answers), 1, "first ones")
	tap.equal(g.count("outbox", "key_id = '\\x%s'" % m.key_id.hex()), 1,
	    "outbox rows")


@tap.case("one challenge serves one release, at the same time too")
def t_challenge_once():
	m = g.issue()
	c = g.challenge(m)
	answers = together([lambda: g.retrieve(m, c) for _ in range(12)])()
	good = [a for a in answers if a.status == 200]
	tap.equal(len(good), 1, "releases")
	for a in answers:
		if a.status != 200:
			problem(a, 403, "challenge-used", "the others")
	problem(g.retrieve(m, c), 403, "challenge-used", "later")
	tap.equal(g.count("key_release", "key_id = '\\x%s'" % m.key_id.hex()),
	    1, "releases")
	reasons = [x for r in g.events(m) for x in r
	    if x.startswith("reason ")]
	tap.equal(reasons, ["reason challenge-used"] * 12, "refusals")


@tap.case("forged, foreign and altered challenges are refused")
def t_challenge_forged():
	m, n = g.issue(), g.issue()
	raw = bytearray(unb64(g.challenge(m)))
	bad = [g.challenge(n), b64(os.urandom(56))]
	for at in (0, 7, 8, 23, 24, 55):
		changed = bytearray(raw)
		changed[at] ^= 1
		bad.append(b64(bytes(changed)))
	for c in bad:
		problem(g.retrieve(m, c), 403, "bad-challenge", c)
	problem(g.retrieve(m, b64(bytes(raw[:-1])), good=False), 403,
	    "bad-challenge", "too short")
	tap.equal(g.count("key_release", "key_id = '\\x%s'" % m.key_id.hex()),
	    0, "releases")


@tap.case("a wrong possession signature releases nothing and is recorded")
def t_possession():
	m, n = g.issue(), g.issue()
	c = g.challenge(m)
	problem(g.retrieve(m, c, seed=n.possession_seed), 403,
	    "bad-signature", "key of another message")
	problem(g.retrieve(m, c, seed=m.opening_seed), 403, "bad-signature",
	    "opening key")
	problem(g.retrieve(m, c, time="2026-01-01T00:00:00.000Z"), 403,
	    "bad-signature", "another time than signed")
	other = m.ask("retrieve", g.challenge(m))
	problem(g.retrieve(m, c, signature=other["signature"]), 403,
	    "bad-signature", "signature over another challenge")
	problem(post("/api/v1/retrieve", m.ask("describe", c)), 403,
	    "bad-signature", "a describe signature")
	problem(g.retrieve(m, c, origin="https://a", header="https://b"), 403,
	    "origin-mismatch", "origin")
	reasons = [x for r in g.events(m) for x in r
	    if x.startswith("reason ")]
	tap.equal(reasons, ["reason bad-signature"] * 5
	    + ["reason origin-mismatch"], "refusals")
	view = g.psql("SELECT reason FROM counterfoil.refusal_log WHERE "
	    "key_handle = '%s' ORDER BY at" % m.handle).splitlines()
	tap.equal(view, ["bad-signature"] * 5 + ["origin-mismatch"], "view")
	tap.equal(g.retrieve(m, c).status, 200, "the true one, same challenge")


@tap.case("revoked and expired keys: 410, before any proof, recorded")
def t_criteria():
	m = g.issue()
	g.psql("UPDATE counterfoil.key_state SET expires_at = now() WHERE "
	    "key_id = '\\x%s'" % m.key_id.hex())
	state = lambda: post("/api/v1/describe",
	    m.ask("describe", g.challenge(m))).json["state"]
	tap.equal(state(), "expired", "described")
	refused = g.retrieve(m, seed=os.urandom(32))
	problem(refused, 410, "expired", "expired")
	tap.lacks(refused.json["detail"], "Z", "a time of machines, to people")
	g.psql("UPDATE counterfoil.key_state SET revoked_at = now() WHERE "
	    "key_id = '\\x%s'" % m.key_id.hex())
	tap.equal(state(), "revoked", "described")
	problem(g.retrieve(m), 410, "revoked", "revoked")
	g.psql("UPDATE counterfoil.key_state SET revoked_at = NULL, "
	    "expires_at = now() + interval '1 day' WHERE key_id = '\\x%s'"
	    % m.key_id.hex())
	tap.equal(state(), "issued", "described")
	tap.equal(g.retrieve(m).status, 200, "neither")
	tap.equal(state(), "released", "described")
	g.psql("UPDATE counterfoil.key_state SET expires_at = now() WHERE "
	    "key_id = '\\x%s'" % m.key_id.hex())
	tap.equal(state(), "expired", "described, though released before")
	reasons = [x for r in g.events(m) for x in r
	    if x.startswith("reason ")]
	tap.equal(reasons, ["reason expired", "reason revoked"], "refusals")


def with_end(m, seconds, **changes):
	return m.issue(keys=[m.key(policy={"require": "bearer",
	    "expires_in": seconds})], **changes)


@tap.case("an end asked for at issue is stored, recorded and kept")
def t_expires():
	m = Message()
	first = post("/api/v1/issue", with_end(m, 604800), token=g.token)
	tap.equal(first.status, 201, "status")
	tap.equal(g.psql("SELECT s.expires_at - i.issued_at = interval '7 days' "
	    "FROM counterfoil.key_state s JOIN counterfoil.key_issue i "
	    "USING (key_id) WHERE key_id = '\\x%s'" % m.key_id.hex()).strip(),
	    "t", "expires_at")
	record = g.events(m)[0]
	line = [x.split(" ")[1] for x in record if x.startswith("expires ")]
	tap.equal(len(line), 1, "expires lines in %r" % record)
	at, end = [datetime.datetime.strptime(x, "%Y-%m-%dT%H:%M:%S.%fZ")
	    for x in ([x[5:] for x in record if x.startswith("time ")]
	    + line)]
	tap.equal(end - at, datetime.timedelta(days=7), "in the record")
	described = post("/api/v1/describe", m.ask("describe", g.challenge(m)))
	tap.equal(described.json["expires_at"], line[0], "described")
	again = post("/api/v1/issue", with_end(m, 604800), token=g.token)
	tap.equal((again.status, again.json["keys"]), (200,
	    first.json["keys"]), "a repeat")
	for other in (with_end(m, 604801), m.issue()):
		problem(post("/api/v1/issue", other, token=g.token), 409,
		    "key-id-taken", "another end")
	tap.equal(g.retrieve(m).status, 200, "before the end")
	short = Message()
	tap.equal(post("/api/v1/issue", with_end(short, 1),
	    token=g.token).status, 201, "a short one")
	proc.wait_for(lambda: g.psql("SELECT expires_at < now() - interval "
	    "'1 s' FROM counterfoil.key_state WHERE key_id = '\\x%s'"
	    % short.key_id.hex()).strip() == "t", 120, "the end of a second")
	problem(g.retrieve(short), 410, "expired", "after the end")
	shown = {x["handle"]: x["status"] for x in g.api.get(
	    "/api/v1/messages", token=g.token).json["messages"]}
	tap.equal((shown[short.handle], shown[m.handle]), ("expired",
	    "released"), "status")
	tap.contains(g.psql("SELECT * FROM counterfoil.message_key_status "
	    "WHERE \"Key ID #\" = '%s'" % short.handle), "|Expired Unread|",
	    "view")
	plain = g.issue()
	described = post("/api/v1/describe",
	    plain.ask("describe", g.challenge(plain)))
	tap.equal((described.status, "expires_at" in described.json),
	    (200, False), "described without an end")
	tap.true(not any(x.startswith("expires ") for x in g.events(plain)[0]),
	    "no such line without an end")


# ---- opening proof and mismatch ----

@tap.case("the opening proof is recorded once and may be repeated")
def t_open():
	m = g.issue()
	r = g.release(m)
	a = g.open(m, r)
	again = g.open(m, r)
	tap.equal((a.status, again.status), (200, 200), "status")
	tap.equal(again.json, a.json, "the first time is given")
	records = g.events(m)
	tap.equal([x[1] for x in records], ["type issued", "type released",
	    "type opened"], "events")
	tap.true("release " + r["release_id"] in records[2], "release")
	kinds = g.psql("SELECT kind FROM counterfoil.outbox WHERE key_id = "
	    "'\\x%s'" % m.key_id.hex())
	tap.equal(kinds, "opened", "one mail of both")
	views = g.psql("SELECT grade, assurance, sender, recipient, message_id, "
	    "principal FROM counterfoil.receipt_log WHERE key_handle = '%s' "
	    "ORDER BY at" % m.handle).splitlines()
	tap.equal(views, ["%s|bearer|alice@a.test|bob@b.test|%s|bearer" % (x,
	    m.message_id) for x in ("released", "opened")], "receipt_log")


@tap.case("an opening after the mail has gone queues a second, last one")
def t_open_late():
	m = g.issue()
	r = g.release(m)
	g.psql("UPDATE counterfoil.outbox SET state = 'sent', sent_at = now() "
	    "WHERE key_id = '\\x%s'" % m.key_id.hex())
	second = g.release(m)
	for release in (r, second, r):
		tap.equal(g.open(m, release).status, 200, "open")
	rows = g.psql("SELECT kind, state FROM counterfoil.outbox WHERE key_id "
	    "= '\\x%s' ORDER BY outbox_id" % m.key_id.hex()).splitlines()
	tap.equal(rows, ["released|sent", "opened|waiting"], "outbox")
	tap.equal([x[1] for x in g.events(m)].count("type opened"), 2,
	    "both openings are on record")


@tap.case("an opening while the mail goes out queues a second one")
def t_open_leased():
	m = g.issue()
	r = g.release(m)
	g.psql("UPDATE counterfoil.outbox SET lease_until = now() + "
	    "interval '1 hour' WHERE key_id = '\\x%s'" % m.key_id.hex())
	tap.equal(g.open(m, r).status, 200, "open")
	rows = g.psql("SELECT kind FROM counterfoil.outbox WHERE key_id = "
	    "'\\x%s' ORDER BY outbox_id" % m.key_id.hex()).splitlines()
	tap.equal(rows, ["released", "opened"], "outbox")


@tap.case("the right content key with another release's secret: nothing")
def t_open_other_secret():
	m, n = g.issue(), g.issue()
	r, s, other = g.release(m), g.release(m), g.release(n)
	before = g.count("event")
	mixed = [dict(r, release_secret=s["release_secret"]),
	    dict(s, release_secret=r["release_secret"]),
	    dict(r, release_secret=b64(os.urandom(32))),
	    dict(r, release_id=b64(os.urandom(16))), other]
	answers = [g.open(m, x, verb) for x in mixed
	    for verb in ("open", "mismatch")]
	for a in answers:
		problem(a, 404, "unknown-release", "mixed")
		tap.equal(a.body, answers[0].body, "the same answer")
	problem(g.open(Message(), r), 404, "unknown-release", "no such key")
	tap.equal(g.count("event"), before, "events")
	tap.equal(g.psql("SELECT kind FROM counterfoil.outbox WHERE key_id = "
	    "'\\x%s'" % m.key_id.hex()), "released", "outbox")


@tap.case("an opening proof not signed with the opening key: 403")
def t_open_signature():
	m = g.issue()
	r = g.release(m)
	for seed in (m.possession_seed, os.urandom(32)):
		problem(g.open(m, r, seed=seed), 403, "bad-signature", "key")
	problem(g.open(m, r, time="2026-01-01T00:00:00.000Z"), 403,
	    "bad-signature", "another time than signed")
	problem(post("/api/v1/open", m.done("mismatch", r["release_id"],
	    r["release_secret"], seed=m.opening_seed)), 403, "bad-signature",
	    "a mismatch text")
	problem(g.open(m, r, "mismatch", seed=m.opening_seed), 403,
	    "bad-signature", "mismatch with the opening key")
	tap.equal([x[1] for x in g.events(m)], ["type issued",
	    "type released"], "events")


@tap.case("a mismatch is recorded once")
def t_mismatch():
	m = g.issue()
	r = g.release(m)
	for _ in range(2):
		a = g.open(m, r, "mismatch")
		tap.equal((a.status, a.json), (200, {"recorded": True}),
		    "answer")
	tap.equal([x[1] for x in g.events(m)], ["type issued",
	    "type released", "type mismatch"], "events")


@tap.case("every member of the recipient's requests is checked")
def t_recipient_members():
	m = g.issue()
	c = g.challenge(m)
	ask = m.ask("retrieve", c)
	done = m.done("open", b64(os.urandom(16)), b64(os.urandom(32)))
	for path, body, bad in (
	    ("challenge", m.short(), {"handle": ["", "x" * 22, 7],
	        "token": [m.handle, None]}),
	    ("retrieve", ask, {"challenge": ["", "a b", "x" * 76],
	        "origin": ["", "a b", "x" * 301, "\u00e4"],
	        "time": ["", "now", "2026-11-23T13:35:00Z",
	            "2026-13-23T13:35:00.123Z"],
	        "signature": ["", "x" * 85]}),
	    ("open", done, {"release_id": [""], "release_secret": ["x"],
	        "time": ["2026-11-23"], "signature": ["x"]})):
		for name, values in bad.items():
			for value in values:
				problem(post("/api/v1/" + path, dict(body, **{
				    name: value}), good=False), 400,
				    "malformed", "%s %r" % (name, value))
		for name in body:
			less = dict(body)
			del less[name]
			problem(post("/api/v1/" + path, less, good=False), 400,
			    "malformed", "without " + name)
		problem(post("/api/v1/" + path, dict(body, extra=1),
		    good=False), 400, "malformed", "with one more")


# ---- status ----

@tap.case("messages lists the account's own, newest first, siblings hidden")
def t_messages():
	file = g.server.add_gateway("gateway-list", "list.test")
	token = proc.read_text(file).strip()
	ref = os.urandom(32)
	sent = []
	for i in range(5):
		m = Message(sender="x@list.test",
		    ref=ref if i in (1, 3) else None)
		a = post("/api/v1/issue", m.issue(), token=token)
		tap.equal(a.status, 201, "issue")
		sent.append(m)

	def handles(**query):
		a = g.api.get("/api/v1/messages", token=token, query=query)
		tap.equal(a.status, 200, "status (%s)" % a)
		return [x["handle"] for x in a.json["messages"]], a.json
	found, body = handles()
	tap.equal(found, [m.handle for m in reversed(sent)], "all")
	first = body["messages"][-1]
	tap.equal((first["status"], first["receipt"], first["released_at"],
	    first["recipient"]), ("issued", "none", None, "bob@b.test"),
	    "not retrieved")
	tap.equal(len(handles(limit="2")[0]), 2, "limit")
	tap.equal(handles(before=body["messages"][2]["issued_at"])[0],
	    [m.handle for m in reversed(sent[:2])], "before")
	tap.equal(handles(ref=b64(ref))[0], [sent[3].handle, sent[1].handle],
	    "ref")
	r = g.release(sent[1])
	found, body = handles()
	tap.true(sent[3].handle not in found, "the silent sibling is hidden")
	row = [x for x in body["messages"]
	    if x["handle"] == sent[1].handle][0]
	tap.equal((row["status"], row["released_at"], row["receipt"]),
	    ("released", r["released_at"], "queued"), "released")
	g.release(sent[3])
	tap.equal(g.count("outbox", "key_id = '\\x%s'"
	    % sent[3].key_id.hex()), 0, "mails about the sibling")
	g.open(sent[1], r)
	row = [x for x in handles()[1]["messages"]
	    if x["handle"] == sent[1].handle][0]
	tap.equal(row["status"], "opened", "opened")
	for query in ({"limit": "0"}, {"limit": "201"}, {"limit": "x"},
	    {"before": "x"}, {"ref": "x"}, {"other": "x"}):
		problem(g.api.get("/api/v1/messages", token=token, query=query,
		    good=False), 400, "malformed", str(query))


@tap.case("an opened sibling of a released attempt stays silent")
def t_sibling_open():
	ref = os.urandom(32)
	a, b = g.issue(Message(ref=ref)), g.issue(Message(ref=ref))
	g.release(a)
	r = g.release(b)
	tap.equal(g.open(b, r).status, 200, "open")
	tap.equal(g.count("outbox", "key_id = '\\x%s'" % b.key_id.hex()), 0,
	    "mails about the sibling")


@tap.case("message_key_status has the columns of figure 10")
def t_figure_10():
	m = g.issue()
	text = g.psql("SELECT * FROM counterfoil.message_key_status WHERE "
	    "\"Key ID #\" = '%s'" % m.handle, options=("-qA",))
	tap.equal(text.splitlines()[0].split("|")[:5], ["Key ID #",
	    "Creation Date & Time", "Key Locator", "Retrieval Status",
	    "Recipient"], "columns")
	tap.contains(text, "/k/%s|Not Yet Retrieved|N. A.|" % m.handle, "row")
	g.release(m)
	text = g.psql("SELECT * FROM counterfoil.message_key_status WHERE "
	    "\"Key ID #\" = '%s'" % m.handle)
	tap.contains(text, " UTC|bob@b.test|", "row")


@tap.case("every line of the log is free of tokens, keys and secrets")
def t_log():
	m = Message()
	key = post("/api/v1/issue", m.issue(), token=g.token).json["keys"][0]
	r = g.release(m)
	g.open(m, r)
	text = g.server.log_text()
	tap.contains(text, "issued key=" + m.handle, "log")
	tap.contains(text, "released key=" + m.handle, "log")
	for secret in (b64(m.token), key["key"], r["release_secret"],
	    g.token, m.token.hex(), unb64(key["key"]).hex()):
		tap.lacks(text, secret, "log")


tap.main(setup, teardown)
