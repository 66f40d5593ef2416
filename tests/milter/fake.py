# SPDX-License-Identifier: Apache-2.0
"""A key server that does as a test tells it, and keeps what it was asked.

    server = fake.KeyServer()
    server.script = ["500", "ok"]     # one word a request; then server.usual

Words: ok, 500, 503, 401, 403, 422, garbage, empty, half, close, silent, lost (the
key is issued, the reply is not sent), hold (waits for server.go), and lies:
other-id, other-request, other-commitment, other-locator, no-key, huge,
long-head (fields without end).
A repeat with the same key id must bring the same values (else 409) and gets
the same key.
"""

import base64
import hashlib
import http.server
import json
import os
import ssl
import sys
import threading
import time

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "keysrv"))

import openapi_check  # noqa: E402

HOLD_S = 600	# nobody waits so long: go, or the client gives up
LABEL = b"counterfoil key v1\0"
DOCUMENT = openapi_check.Document()
PATH = "/api/v1/issue"
ISSUE = DOCUMENT.paths[PATH]["post"]


def b64(data):
	return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
	return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class KeyServer:
	def __init__(self, token=None, service=None):
		self.token = token or b64(os.urandom(32))
		self.usual = "ok"
		self.script = []
		self.requests = []	# bodies as they came
		self.heads = []		# their headers
		self.keys = {}		# key id (text) -> (Kd, request's key)
		self.conflicts = 0
		self.deviations = []	# from openapi.yaml
		self.most = 0		# requests under way at a time
		self.now = 0
		self.go = threading.Event()
		self.arrived = threading.Semaphore(0)
		self.lock = threading.Lock()
		fake = self

		class Handler(http.server.BaseHTTPRequestHandler):
			protocol_version = "HTTP/1.1"

			def do_POST(self):
				fake.answer(self)

			def do_GET(self):
				self.under_way = False
				fake.answer_get(self)

			def log_message(self, *args):
				pass

		class Server(http.server.ThreadingHTTPServer):
			request_queue_size = 256
			daemon_threads = True

			def handle_error(self, *args):
				pass

		self.http = Server(("127.0.0.1", 0), Handler)
		self.url = "http://127.0.0.1:%d" % self.http.server_address[1]
		self.service = service or self.url
		self.thread = threading.Thread(target=self.http.serve_forever,
		    kwargs={"poll_interval": 0.05}, daemon=True)
		self.thread.start()

	def serve_tls(self, certificate, host):
		"""From now on, and as this host."""
		context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
		context.load_cert_chain(*certificate)
		self.http.socket = context.wrap_socket(self.http.socket,
		    server_side=True)
		self.url = "https://%s:%d" % (host,
		    self.http.server_address[1])
		self.service = self.url

	def stop(self):
		self.go.set()
		self.http.shutdown()
		self.http.server_close()

	def reset(self):
		self.script, self.requests, self.usual = [], [], "ok"
		self.most = 0
		self.arrived = threading.Semaphore(0)
		self.go.clear()

	def kd(self, message_index=-1):
		"""Kd of the key in the request of that number."""
		key = json.loads(self.requests[message_index])["keys"][0]
		return self.keys[key["key_id"]][0]

	def issue(self, request):
		"""The answer; None for a conflict."""
		keys = []
		for k in request["keys"]:
			with self.lock:
				kd, before = self.keys.setdefault(k["key_id"],
				    (os.urandom(32), k))
			if before != k:
				self.conflicts += 1
				return None
			keys.append({"key_id": k["key_id"],
			    "locator": "%s/k/%s" % (self.service, k["key_id"]),
			    "algorithm": k["algorithm"], "key": b64(kd),
			    "key_commitment":
			    b64(hashlib.sha256(LABEL + kd).digest())})
		return {"request_id": request["request_id"], "keys": keys}

	def lie(self, word, answer):
		key = answer["keys"][0]
		if word == "other-id":
			key["key_id"] = b64(os.urandom(16))
		elif word == "other-request":
			answer["request_id"] = b64(os.urandom(16))
		elif word == "other-commitment":
			key["key_commitment"] = b64(os.urandom(32))
		elif word == "other-locator":
			key["locator"] = "%s/k/%s" % (self.service,
			    b64(os.urandom(16)))
		elif word == "no-key":
			del key["key"]

	def answer(self, h):
		body = h.rfile.read(int(h.headers.get("Content-Length", 0)))
		with self.lock:
			self.requests.append(body)
			self.heads.append(str(h.headers))
			word = self.script.pop(0) if self.script else self.usual
			self.now += 1
			self.most = max(self.most, self.now)
		h.under_way = True
		try:
			self.compare(h, body)
			self.arrived.release()
			self.act(h, body, word)
		finally:
			self.over(h)

	def over(self, h):
		"""For the client the request ends with the first byte of the
		reply: a next one may be here before this thread goes on.
		"""
		with self.lock:
			self.now -= h.under_way
			h.under_way = False

	def answer_get(self, h):
		"""An account's messages: none; `-n` asks for them."""
		good = h.headers.get("Authorization") == "Bearer " + self.token
		if h.path.split("?")[0] == "/api/v1/messages" and good:
			self.reply(h, 200, b'{"messages": []}')
		else:
			self.reply(h, 401 if not good else 404, json.dumps({
			    "type": "urn:counterfoil:problem:unauthorized",
			    "title": "no", "status": 401,
			    "detail": "The API token is not known here."})
			    .encode(), "application/problem+json")

	def compare(self, h, body):
		"""The request with keysrv/openapi.yaml."""
		try:
			if h.path != PATH:
				raise openapi_check.Deviation("path " + h.path)
			DOCUMENT.check_request(ISSUE, {}, {}, json.loads(body))
		except (openapi_check.Deviation, ValueError) as e:
			with self.lock:
				self.deviations.append("%s: %r" % (e, body))

	def act(self, h, body, word):
		if h.headers.get("Authorization") != "Bearer " + self.token:
			word = "401"
		if word == "hold":
			self.go.wait(HOLD_S)
			word = "ok"
		if word == "silent":
			self.go.wait(HOLD_S)
			h.close_connection = True
			return
		if word == "close":
			h.close_connection = True
			return
		if word == "garbage":
			self.over(h)
			h.connection.sendall(b"\x16\x03 this is no HTTP\r\n\r\n")
			h.close_connection = True
			return
		if word == "long-head":
			self.over(h)
			h.close_connection = True
			h.send_response(201)
			h.flush_headers()
			try:
				while True:
					h.wfile.write(b"X: y\r\n" * 1000)
			except OSError:
				return
		if word == "empty":
			return self.reply(h, 201, b"")
		if word == "huge":
			return self.reply(h, 201, b"{" + b" " * 200000 + b"}")
		if word in ("500", "503", "401", "403", "422"):
			slug = {"500": "internal", "503": "busy",
			    "401": "unauthorized", "403": "sender-not-allowed",
			    "422": "policy-not-offered"}
			return self.reply(h, int(word), json.dumps({
			    "type": "urn:counterfoil:problem:" + slug[word],
			    "title": "no", "status": int(word),
			    "detail": "The fake says " + word}).encode(),
			    "application/problem+json")
		answer = self.issue(json.loads(body))
		if answer is None:
			return self.reply(h, 409, json.dumps({
			    "type": "urn:counterfoil:problem:key-id-taken",
			    "title": "no", "status": 409,
			    "detail": "taken"}).encode())
		if word == "lost":
			h.close_connection = True
			return
		self.lie(word, answer)
		if word != "no-key":
			DOCUMENT.check(answer, ISSUE["responses"]["201"]
			    ["content"]["application/json"]["schema"], "answer")
		data = json.dumps(answer).encode()
		if word == "half":
			self.over(h)
			h.send_response(201)
			h.send_header("Content-Length", str(len(data)))
			h.end_headers()
			h.wfile.write(data[:len(data) // 2])
			h.close_connection = True
			return
		self.reply(h, 201, data)

	def reply(self, h, status, data, kind="application/json"):
		self.over(h)
		h.send_response(status)
		h.send_header("Content-Type", kind)
		h.send_header("Content-Length", str(len(data)))
		h.end_headers()
		h.wfile.write(data)
