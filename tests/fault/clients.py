# SPDX-License-Identifier: Apache-2.0
"""Clients of a key server that keeps dying: clients.py URL TOKEN OUT

16 clients go on until standard input ends, then finish what they began.
Each makes a key, asks for it twice at the same time, and opens three out of
four.  What fails for want of a server is repeated until it works; a wrong
answer is written down.  OUT gets all that was seen, as JSON.

One thread and its event loop: nothing here waits for another thread, and
every request has a time limit that no event of a socket is needed for.
"""

import asyncio
import ctypes
import faulthandler
import hashlib
import json
import os
import signal
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "keysrv"))

from client import b64, now, unb64  # noqa: E402

CLIENTS = 16
PAUSE_S = 0.04		# between two keys, so that the mail keeps up
AGAIN_S = 0.05
ANSWER_S = 20		# for one answer
LIMIT_S = 90		# for every repeat, from the end of standard input on
READER = "http://127.0.0.1:9"


class KeyPair:
	"""Ed25519 by libcrypto: tests/keysrv/ed25519.py is too slow here."""

	lib = ctypes.CDLL("libcrypto.so.3")
	for _name in ("EVP_PKEY_new_raw_private_key", "EVP_MD_CTX_new"):
		getattr(lib, _name).restype = ctypes.c_void_p
	ED25519 = 1087		# NID_ED25519

	def __init__(self):
		self.key = ctypes.c_void_p(self.lib.EVP_PKEY_new_raw_private_key(
		    self.ED25519, None, os.urandom(32), ctypes.c_size_t(32)))
		out, size = ctypes.create_string_buffer(32), ctypes.c_size_t(32)
		self.good(self.key and self.lib.EVP_PKEY_get_raw_public_key(
		    self.key, out, ctypes.byref(size)))
		self.public = b64(out.raw)

	def __del__(self):
		self.lib.EVP_PKEY_free(self.key)

	@staticmethod
	def good(status):
		if status != 1:
			raise RuntimeError("libcrypto does not sign")

	def sign(self, *lines):
		text = "".join(line + "\n" for line in lines).encode()
		out, size = ctypes.create_string_buffer(64), ctypes.c_size_t(64)
		context = ctypes.c_void_p(self.lib.EVP_MD_CTX_new())
		try:
			self.good(self.lib.EVP_DigestSignInit(context, None, None,
			    None, self.key))
			self.good(self.lib.EVP_DigestSign(context, out,
			    ctypes.byref(size), text, ctypes.c_size_t(len(text))))
		finally:
			self.lib.EVP_MD_CTX_free(context)
		return b64(out.raw)


class Wrong(Exception):
	"""An answer that should not have been; it is written down already."""


class Service:
	"""The key server, whenever it is there."""

	def __init__(self, url, token):
		self.url = urllib.parse.urlsplit(url)
		self.token = token
		self.idle = []		# connections that may serve again
		self.waiting = []	# one of each request under way
		self.stopped = None	# when standard input ended
		self.seen = {"keys": {}, "wrong": [], "requests": 0,
		    "repeats": 0, "busy": 0}

	def take_idle(self):
		"""A connection that the server has not ended, or None."""
		while self.idle:
			reader, writer = self.idle.pop()
			if not (reader.at_eof() or reader.exception()
			    or writer.is_closing()):
				return reader, writer
			writer.transport.abort()
		return None

	async def post(self, path, value, headers):
		"""One request, on a connection of its own at that time."""
		body = json.dumps(value).encode()
		head = ["POST %s HTTP/1.1" % path, "Host: %s" % self.url.netloc,
		    "Content-Type: application/json",
		    "Content-Length: %d" % len(body)] + headers
		streams = self.take_idle() or await asyncio.open_connection(
		    self.url.hostname, self.url.port)
		reader, writer = streams
		try:
			writer.write("\r\n".join(head + ["", ""]).encode() + body)
			answer = (await reader.readuntil(b"\r\n\r\n")).decode()
			fields = dict(line.lower().split(": ", 1)
			    for line in answer.split("\r\n")[1:-2])
			text = await reader.readexactly(
			    int(fields["content-length"]))
		except BaseException:
			writer.transport.abort()
			raise
		if fields.get("connection") == "close":
			writer.close()
		else:
			self.idle.append(streams)
		return int(answer.split(" ")[1]), json.loads(text)

	async def ask(self, path, make, wanted, *headers):
		"""Until an answer that is not about the server's own state."""
		me = {"path": path, "since": time.monotonic(), "tries": 0}
		self.waiting.append(me)
		try:
			return await self.ask_until(me, path, make, wanted,
			    list(headers))
		finally:
			self.waiting = [w for w in self.waiting if w is not me]

	async def ask_until(self, me, path, make, wanted, headers):
		while True:
			self.seen["requests"] += 1
			me["tries"] += 1
			try:
				value = await make()
				status, body = await asyncio.wait_for(
				    self.post(path, value, headers), ANSWER_S)
				me["last"] = status
				if status in wanted:
					return body
				if status != 503:
					self.wrong(path, status, body)
				self.seen["busy"] += 1
			except (OSError, EOFError, asyncio.TimeoutError) as e:
				me["last"] = repr(e)
				self.seen["repeats"] += 1
			if self.stopped is not None and \
			    time.monotonic() - self.stopped > LIMIT_S:
				self.wrong(path, "no success in time", me["last"])
			await asyncio.sleep(AGAIN_S)

	def wrong(self, *what):
		self.seen["wrong"].append(what)
		raise Wrong(what)

	# ---- what a client does ----

	async def issue(self, key):
		async def body():
			return {"request_id": b64(os.urandom(16)),
			    "message_ref": key["ref"],
			    "reference_check": b64(b"reference check."),
			    "message_id": "<%s@a.test>" % key["handle"],
			    "sender": key["sender"], "recipients": ["bob@b.test"],
			    "reader_url": READER,
			    "keys": [{"key_id": key["handle"],
			        "token": key["token"], "algorithm": "kek-a256kw",
			        "opening_key": key["opening"].public,
			        "possession_key": key["possession"].public,
			        "policy": {"require": "bearer"}}]}
		reply = await self.ask("/api/v1/issue", body, (200, 201),
		    "Authorization: Bearer " + self.token)
		return reply["keys"][0]["key"]

	async def retrieve(self, key):
		short = {"handle": key["handle"], "token": key["token"]}

		async def just_short():
			return short

		async def body():
			challenge = (await self.ask("/api/v1/challenge",
			    just_short, (200,)))["challenge"]
			at = now()
			return dict(short, challenge=challenge, origin="-", time=at,
			    signature=key["possession"].sign(
			        "counterfoil retrieve v1", key["handle"],
			        challenge, "-", at))
		reply = await self.ask("/api/v1/retrieve", body, (200,))
		self.seen["keys"][key["handle"]]["releases"].append(
		    {"id": reply["release_id"], "key": reply["key"],
		    "first": reply["first"]})
		return reply

	async def open(self, key, release):
		async def body():
			at = now()
			secret = release["release_secret"]
			return {"handle": key["handle"],
			    "release_id": release["release_id"],
			    "release_secret": secret, "time": at,
			    "signature": key["opening"].sign(
			        "counterfoil open v1", key["handle"],
			        release["release_id"], b64(hashlib.sha256(
			            unb64(secret)).digest()), at)}
		await self.ask("/api/v1/open", body, (200,))
		self.seen["keys"][key["handle"]]["opened"] = \
		    release["release_id"]

	async def one_key(self, number, turn):
		key = {"handle": b64(os.urandom(16)),
		    "token": b64(os.urandom(32)), "ref": b64(os.urandom(32)),
		    "sender": "ann-%d@a.test" % number,
		    "opening": KeyPair(), "possession": KeyPair()}
		record = {"issued": [], "releases": [], "opened": None}
		self.seen["keys"][key["handle"]] = record
		record["issued"].append(await self.issue(key))
		if turn % 4 == 0:	# the same values: the same answer
			record["issued"].append(await self.issue(key))
		one, _ = await asyncio.gather(self.retrieve(key),
		    self.retrieve(key))
		if turn % 4 != 3:
			await self.open(key, one)

	async def client(self, number):
		turn = 0
		while turn == 0 or self.stopped is None:
			try:
				await self.one_key(number, turn)
			except Wrong:
				pass
			turn += 1
			await asyncio.sleep(PAUSE_S)

	# ---- from outside ----

	def on_input(self, loop):
		if not os.read(0, 1000):
			self.stopped = time.monotonic()
			loop.remove_reader(0)

	def tell(self):
		"""For the one who waits in vain: what is being waited for."""
		t = time.monotonic()
		print("# clients: %stold to stop, %s" % ("" if self.stopped
		    else "not ", {k: v if isinstance(v, int) else len(v)
		        for k, v in self.seen.items()}))
		for w in self.waiting:
			print("# %s: %.1f s, %d tries, last: %s" % (w["path"],
			    t - w["since"], w["tries"], w.get("last")))
		sys.stdout.flush()


async def main():
	service = Service(*sys.argv[1:3])
	loop = asyncio.get_running_loop()
	loop.add_reader(0, service.on_input, loop)
	loop.add_signal_handler(signal.SIGUSR2, service.tell)
	await asyncio.gather(*[service.client(i) for i in range(CLIENTS)])
	for _, writer in service.idle:
		writer.close()
	with open(sys.argv[3], "w") as f:
		json.dump(service.seen, f)


if __name__ == "__main__":
	faulthandler.register(signal.SIGUSR1)	# the stack, even if it hangs
	asyncio.run(main())
