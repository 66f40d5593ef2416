# SPDX-License-Identifier: Apache-2.0
"""A key server made of a dictionary, and mails made by hand.

For tests of the recipient's side.  It checks every request to the letter
(members, proofs by the openssl command, order) and misbehaves on demand:
`server.answers[path]` is a list of replies to give first, each one
    (status, body bytes)   this answer
    "lost"                 do the work, close without an answer
    "close"                close without the work
    "silent"               do not answer until the server stops
    "half"                 half of the proper answer, then close
    function(answer)       change the proper answer's dictionary in place
"""

import base64
import hashlib
import http.server
import json
import os
import re
import secrets
import ssl
import sys
import tempfile
import threading
import urllib.parse

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "keysrv"))

import openapi_check  # noqa: E402
from lab import proc  # noqa: E402

SPKI = bytes.fromhex("302a300506032b6570032100")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
DOCUMENT = openapi_check.Document()
NOW = "2026-11-23T13:35:00.123Z"


def b64(data):
	return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
	return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def problem(status, slug, detail):
	return status, json.dumps({"type": "urn:counterfoil:problem:" + slug,
	    "title": "Refused.", "status": status, "detail": detail}).encode()


def verify(public, text, signature):
	"""Ed25519, by the openssl command."""
	with tempfile.TemporaryDirectory() as d:
		names = [os.path.join(d, n) for n in ("key", "text", "sig")]
		for name, data in zip(names, (SPKI + public, text, signature)):
			with open(name, "wb") as f:
				f.write(data)
		return proc.run(["openssl", "pkeyutl", "-verify", "-pubin",
		    "-keyform", "DER", "-inkey", names[0], "-rawin", "-in",
		    names[1], "-sigfile", names[2]],
		    check=False).returncode == 0


class Sealed:
	"""One sealed message: E, L, what is registered, and mails with it."""

	def __init__(self, original, service, raw=False, to=None):
		"""`to`: a new file for E, when it is large."""
		argv = [proc.program("tests/reader/seal"), service]
		argv += ["--raw"] * raw + (["--to", to] if to else [])
		done = proc.run(argv, input=original)
		values = json.loads(done.stdout)
		self.original = original
		if to:
			with open(to, "rb") as f:
				self.e = f.read()
		else:
			self.e = unb64(values.pop("e"))
		self.link = values.pop("link")
		self.values = values
		self.handle = values["handle"]

	def reader_link(self, reader="http://127.0.0.1:8480"):
		quoted = "".join(c if c.isalnum() or c in "-._~" else
		    "%%%02X" % ord(c) for c in self.link)
		return "%s/m/AAAAAAAAAAAAAAAAAAAAAA#%s" % (reader, quoted)

	def mail(self, e=None, link=None, eol=b"\r\n",
	    text=b"Open the link.", more=b""):
		"""P as it is delivered, written from its description."""
		boundary = b"=_cf_AbCdEfGhIjKlMnOpQrStUg"
		inner = b"=_cf_alternativeAbCdEfGhIg"
		data = base64.encodebytes(self.e if e is None else e)
		data = data.rstrip(b"\n").replace(b"\n", eol)
		head = [b"From: Alice <alice@a.test>", b"To: bob@b.test",
		    b"Subject: an offer", b"MIME-Version: 1.0",
		    b"Content-Type: multipart/mixed; boundary=\"" + boundary
		    + b"\"", b"Counterfoil-Version: 1"]
		body = [b"--" + boundary,
		    b"Content-Type: multipart/alternative; boundary=\""
		    + inner + b"\"", b"", b"--" + inner,
		    b"Content-Type: text/plain; charset=utf-8",
		    b"Content-Transfer-Encoding: quoted-printable", b"",
		    text, b"--" + inner,
		    b"Content-Type: text/html; charset=utf-8",
		    b"Content-Transfer-Encoding: quoted-printable", b"",
		    b"<p>" + text + b"</p>", b"--" + inner + b"--", b"",
		    b"--" + boundary,
		    b"Content-Type: application/octet-stream; "
		    b"name=\"message.counterfoil\"",
		    b"Content-Transfer-Encoding: base64",
		    b"Content-Disposition: attachment; "
		    b"filename=\"message.counterfoil\"",
		    b"Counterfoil-Locator: " + (link or self.link).encode(),
		    b"", data, b"--" + boundary + b"--", b""]
		return eol.join([more.rstrip()] * bool(more) + head + [b""]
		    + body)


class Server:
	def __init__(self, tls=None):
		outer = self

		class Handler(http.server.BaseHTTPRequestHandler):
			protocol_version = "HTTP/1.1"

			def do_POST(self):
				outer.serve(self)

			do_GET = do_POST

			def log_message(self, *_):
				pass
		self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
		    Handler)
		self.http.daemon_threads = True
		# A client that hangs up is the client's business.
		self.http.handle_error = lambda *_: None
		if tls:
			context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
			context.load_cert_chain(*tls)
			self.http.socket = context.wrap_socket(
			    self.http.socket, server_side=True)
		self.url = "%s://%s:%d" % ("https" if tls else "http",
		    "localhost" if tls else "127.0.0.1",
		    self.http.server_port)
		self.keys = {}		# handle -> registered values
		self.challenges = {}	# challenge -> used?
		self.releases = {}	# release id -> (handle, secret)
		self.calls = []		# paths in order
		self.wrong = []		# what was not to the letter
		self.opened = []
		self.mismatches = []
		self.answers = {}
		self.messages = []
		self.api_token = None
		self.end = threading.Event()
		threading.Thread(target=self.http.serve_forever,
		    args=(0.02,), daemon=True).start()

	def stop(self):
		self.end.set()
		self.http.shutdown()
		self.http.server_close()

	def register(self, sealed):
		self.keys[sealed.handle] = dict(sealed.values)

	# ---- requests ----

	def serve(self, request):
		path = request.path.split("?")[0]
		body = request.rfile.read(int(
		    request.headers.get("Content-Length") or 0))
		self.calls.append(path)
		planned = self.answers.get(path) or []
		plan = planned.pop(0) if planned else None
		if plan == "silent":
			self.end.wait(60)
		if plan in ("close", "silent"):
			request.close_connection = True
			return
		if isinstance(plan, tuple):
			return self.reply(request, *plan)
		status, answer = self.work(request, path, body)
		self.compare(request, body, status, answer)
		if plan == "lost":
			request.close_connection = True
			return
		if callable(plan):
			plan(answer)
		text = json.dumps(answer).encode()
		self.reply(request, status, text, half=plan == "half")

	def compare(self, request, body, status, answer):
		"""Both sides with keysrv/openapi.yaml."""
		path, _, query = request.path.partition("?")
		try:
			operation, parameters = DOCUMENT.operation(
			    request.command, path)
			DOCUMENT.check_request(operation, parameters,
			    dict(urllib.parse.parse_qsl(query)),
			    json.loads(body) if body else None)
			content = DOCUMENT.resolve(operation["responses"]
			    [str(status)])["content"]
			for kind in content.values():
				DOCUMENT.check(answer, kind["schema"], "answer")
		except (openapi_check.Deviation, KeyError, ValueError) as e:
			self.wrong.append("%s, openapi.yaml: %r" % (path, e))

	@staticmethod
	def reply(request, status, text, half=False):
		request.send_response(status)
		request.send_header("Content-Type", "application/json" if
		    status == 200 else "application/problem+json")
		request.send_header("Content-Length", str(len(text)))
		request.end_headers()
		request.wfile.write(text[:len(text) // 2] if half else text)
		if half:
			request.close_connection = True

	def refuse(self, status, slug, detail):
		return status, json.loads(problem(status, slug, detail)[1])

	def work(self, request, path, body):
		if request.command == "GET":
			return self.status(request)
		try:
			asked = json.loads(body)
		except ValueError:
			self.wrong.append("%s: no JSON" % path)
			asked = {}
		members = {
		    "/api/v1/challenge": {"handle", "token"},
		    "/api/v1/describe": {"handle", "token", "challenge",
		        "origin", "time", "signature"},
		    "/api/v1/retrieve": {"handle", "token", "challenge",
		        "origin", "time", "signature"},
		    "/api/v1/open": {"handle", "release_id",
		        "release_secret", "time", "signature"},
		    "/api/v1/mismatch": {"handle", "release_id",
		        "release_secret", "time", "signature"},
		}.get(path, set())
		if set(asked) != members:
			self.wrong.append("%s: members %s" % (path, asked))
		if request.headers.get("Content-Type") != "application/json":
			self.wrong.append("%s: content type" % path)
		if "origin" in members and asked["origin"] != (
		    request.headers.get("Origin") or "-"):
			self.wrong.append("%s: origin" % path)
		key = self.keys.get(asked.get("handle"))
		if key is None or ("token" in members
		    and asked["token"] != key["token"]):
			return self.refuse(404, "unknown-key",
			    "There is no key for this link.")
		return getattr(self, path.rsplit("/", 1)[1])(key, asked)

	def challenge(self, key, asked):
		c = b64(secrets.token_bytes(56))
		self.challenges[c] = False
		return 200, {"challenge": c, "expires_in": 300}

	def proven(self, verb, key, asked):
		text = "counterfoil %s v1\n%s\n%s\n%s\n%s\n" % (verb,
		    asked["handle"], asked["challenge"], asked["origin"],
		    asked["time"])
		return (asked["challenge"] in self.challenges
		    and TIME.fullmatch(asked["time"])
		    and verify(unb64(key["possession_key"]), text.encode(),
		    unb64(asked["signature"])))

	def issuer(self):
		return {"address": "alice@a.test", "domain": "a.test",
		    "account": "gw-a"}

	def describe(self, key, asked):
		if not self.proven("describe", key, asked):
			return self.refuse(403, "bad-signature", "No proof.")
		return 200, {"handle": asked["handle"],
		    "issuer": self.issuer(), "issued_at": NOW,
		    "message_id": "<1@a.test>",
		    "assurance": "bearer", "algorithm": "kek-a256kw",
		    "opening_key": key["opening_key"],
		    "possession_key": key["possession_key"],
		    "key_commitment": key["key_commitment"],
		    "state": "issued"}

	def retrieve(self, key, asked):
		if not self.proven("retrieve", key, asked):
			return self.refuse(403, "bad-signature", "No proof.")
		if self.challenges[asked["challenge"]]:
			return self.refuse(403, "challenge-used", "Used.")
		self.challenges[asked["challenge"]] = True
		release, secret = b64(secrets.token_bytes(16)), \
		    b64(secrets.token_bytes(32))
		self.releases[release] = (asked["handle"], secret)
		return 200, {"handle": asked["handle"], "release_id": release,
		    "release_secret": secret, "released_at": NOW,
		    "first": len(self.releases) == 1, "assurance": "bearer",
		    "algorithm": "kek-a256kw", "key": key["key"],
		    "issuer": self.issuer(),
		    "opening_key": key["opening_key"],
		    "possession_key": key["possession_key"],
		    "key_commitment": key["key_commitment"]}

	def done(self, verb, key, public, asked):
		secret = self.releases.get(asked["release_id"])
		if secret != (asked["handle"], asked["release_secret"]):
			return False
		text = "counterfoil %s v1\n%s\n%s\n%s\n%s\n" % (verb,
		    asked["handle"], asked["release_id"], b64(hashlib.sha256(
		    unb64(asked["release_secret"])).digest()), asked["time"])
		return verify(unb64(key[public]), text.encode(),
		    unb64(asked["signature"]))

	def open(self, key, asked):
		if not self.done("open", key, "opening_key", asked):
			self.wrong.append("open: no proof")
			return self.refuse(403, "bad-signature", "No proof.")
		self.opened.append(asked["release_id"])
		return 200, {"recorded": True, "opened_at": NOW}

	def mismatch(self, key, asked):
		if not self.done("mismatch", key, "possession_key", asked):
			self.wrong.append("mismatch: no proof")
			return self.refuse(403, "bad-signature", "No proof.")
		self.mismatches.append(asked["release_id"])
		return 200, {"recorded": True}

	def status(self, request):
		if request.headers.get("Authorization") != \
		    "Bearer %s" % self.api_token:
			return self.refuse(401, "unauthorized",
			    "The API token is not known here.")
		limit = int(re.search(r"limit=(\d+)", request.path).group(1))
		return 200, {"messages": self.messages[:limit]}
