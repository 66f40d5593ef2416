# SPDX-License-Identifier: Apache-2.0
"""A mail server that keeps what it gets, or fails as it is told to.

What happens to a transaction is looked up by its recipient:

    sink.next["ann@a.test"] = ["rcpt 450 4.2.1 later", "drop-reply"]

Each transaction takes one action off the list; without one sink.otherwise is
asked, which accepts.  sink.refuse["MAIL"] is the answer to that command as
long as it stands there.  sink.watch(recipient, content) is told of every message
that comes in whole, kept or not.

    rcpt CODE TEXT    that answer to RCPT TO
    data CODE TEXT    that answer after the last dot; nothing is kept
    drop-rcpt         the connection ends instead of the answer to RCPT TO
    drop-data         it ends before the last dot
    drop-reply        the message is kept, but the answer never sent
    hold              the message is kept; the answer waits for let_go()
"""

import collections
import socket
import socketserver
import threading

from lab import proc

Mail = collections.namedtuple("Mail", "sender recipient content secured helo")


class _Server(socketserver.ThreadingTCPServer):
	allow_reuse_address = True
	daemon_threads = True
	block_on_close = False
	request_queue_size = 64


class _Drop(Exception):
	pass


class _Session(socketserver.StreamRequestHandler):
	timeout = 60

	def setup(self):
		super().setup()
		self.connection.setsockopt(socket.IPPROTO_TCP,
		    socket.TCP_NODELAY, 1)
		self.sink = self.server.sink
		self.sink.opened(self.connection)
		self.secured = False
		self.helo = None
		self.reset()

	def finish(self):
		try:
			super().finish()
		except OSError:
			pass
		self.sink.closed(self.connection)

	def reset(self):
		self.sender = self.recipient = None
		self.action = ""

	def say(self, text):
		self.wfile.write(text.encode() + b"\r\n")
		self.wfile.flush()

	def handle(self):
		try:
			self.say(self.sink.greeting)
			if not self.sink.greeting.startswith("220"):
				return
			while True:
				line = self.rfile.readline(2000)
				if not line.endswith(b"\r\n"):
					return
				if not self.command(line[:-2].decode("latin-1")):
					return
		except (_Drop, OSError):
			pass

	def command(self, line):
		verb = line[:4].upper()
		if verb in self.sink.refuse:
			self.say(self.sink.refuse[verb])
		elif verb in ("EHLO", "HELO"):
			self.reset()
			self.helo = line[5:]
			words = ["sink.test"] + list(self.sink.features)
			if self.sink.tls and not self.secured:
				words.append("STARTTLS")
			for word in words[:-1]:
				self.say("250-" + word)
			self.say("250 " + words[-1])
		elif line.upper() == "STARTTLS" and self.sink.tls:
			self.say("220 2.0.0 go ahead")
			self.secure()
		elif verb == "MAIL":
			self.sender = line[len("MAIL FROM:"):].split(" ")[0]
			self.say("250 2.1.0 ok")
		elif verb == "RCPT":
			return self.rcpt(line[len("RCPT TO:"):].split(" ")[0])
		elif verb == "DATA":
			self.say("354 go on")
			self.data()
		elif verb == "RSET":
			self.reset()
			self.say("250 2.0.0 ok")
		elif verb == "QUIT":
			self.say("221 2.0.0 bye")
			return False
		else:
			self.say("502 5.5.1 what?")
		return True

	def secure(self):
		self.connection = self.sink.tls.wrap_socket(self.connection,
		    server_side=True)
		self.rfile = self.connection.makefile("rb", -1)
		self.wfile = self.connection.makefile("wb", 0)
		self.secured = True
		self.reset()

	def rcpt(self, path):
		address = path.strip("<>")
		self.action = self.sink.take(address)
		if self.action == "drop-rcpt":
			raise _Drop
		if self.action.startswith("rcpt "):
			self.say(self.action[5:])
			return True
		self.recipient = address
		self.say("250 2.1.5 ok")
		return True

	def data(self):
		lines = []
		if self.action == "drop-data":
			self.rfile.readline(2000)
			raise _Drop
		while True:
			line = self.rfile.readline(2000)
			if not line.endswith(b"\r\n"):
				raise _Drop
			if line == b".\r\n":
				break
			lines.append(line[1:] if line.startswith(b".") else line)
		self.sink.watch(self.recipient, b"".join(lines))
		if self.action.startswith("data "):
			self.say(self.action[5:])
			return
		self.sink.keep(Mail(self.sender, self.recipient,
		    b"".join(lines), self.secured, self.helo))
		if self.action == "drop-reply":
			raise _Drop
		if self.action == "hold":
			self.sink.held.set()
			self.sink.free.wait(60)
		self.say("250 2.0.0 kept")


class Sink:
	"""start() and stop() as often as wanted; the port stays."""

	def __init__(self, port=None, tls=None,
	    features=("8BITMIME", "SIZE 10000000")):
		self.port = port or proc.free_port()
		self.features = features
		self.tls = tls		# an ssl.SSLContext, or None
		self.refuse = {}
		self.greeting = "220 sink.test ESMTP"
		self.next = {}
		self.otherwise = lambda recipient: ""
		self.watch = lambda recipient, content: None
		self.mails = []
		self.held = threading.Event()	# somebody waits for let_go()
		self.free = threading.Event()
		self._lock = threading.Lock()
		self._connections = set()
		self._server = None

	@property
	def address(self):
		return "127.0.0.1:%d" % self.port

	def start(self):
		self._server = _Server(("127.0.0.1", self.port), _Session)
		self._server.sink = self
		threading.Thread(target=self._server.serve_forever,
		    args=(0.02,), daemon=True).start()
		return self

	def stop(self):
		"""No more connections, and the open ones end."""
		if self._server is None:
			return
		self._server.shutdown()
		self._server.server_close()
		self._server = None
		self.cut()

	def cut(self):
		"""End the open connections."""
		with self._lock:
			for c in self._connections:
				try:
					c.shutdown(socket.SHUT_RDWR)
				except OSError:
					pass

	def let_go(self):
		self.free.set()

	def hold_again(self):
		self.held.clear()
		self.free.clear()

	def opened(self, connection):
		with self._lock:
			self._connections.add(connection)

	def closed(self, connection):
		with self._lock:
			self._connections.discard(connection)

	def take(self, address):
		with self._lock:
			actions = self.next.get(address)
			return actions.pop(0) if actions else \
			    self.otherwise(address)

	def keep(self, mail):
		with self._lock:
			self.mails.append(mail)

	def to(self, address):
		"""The mails to one recipient, in the order they came."""
		with self._lock:
			return [m for m in self.mails if m.recipient == address]

	def count(self):
		with self._lock:
			return len(self.mails)

	def wait(self, address, count=1, limit_s=120):
		proc.wait_for(lambda: len(self.to(address)) >= count, limit_s,
		    "mail %d for %s" % (count, address))
		return self.to(address)
