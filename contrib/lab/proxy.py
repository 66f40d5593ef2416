# SPDX-License-Identifier: Apache-2.0
"""A key server in front of the key server that misbehaves on demand.

Faults, set by Proxy.fault:
    None       passes everything on
    "refused"  the port is closed
    "500"      answers 500
    "garbage"  answers bytes that are no HTTP
    "json"     answers 201 with a body that is no JSON
    "half"     sends the first half of the real reply and closes
    "silent"   reads the request and says nothing
    "lost"     passes the request on, and loses the reply
Every request that was passed on is in Proxy.passed as (path, body, status,
reply).

SmtpWire and MilterWire stand in front of a mail server and of a milter, pass
every byte on, and cut the line where a message ends.
"""

import http.client
import os
import socket
import ssl
import threading


class Proxy:
	def __init__(self, upstream, port, tls=None, ca_file=None,
	    host="localhost"):
		"""upstream: a keysrv.KeyServer; port: a free one."""
		self.upstream = upstream
		self.ca_file = ca_file
		self.port = port
		self.url = "%s://%s:%d" % ("https" if tls else "http", host, port)
		self.fault = None
		self.times = None
		self.passed = []
		self.met = 0		# connections that met a fault
		self.live = set()
		self.lock = threading.Lock()
		self.context = None
		self.socket = None
		self.stopping = threading.Event()
		self.set_certificate(tls)

	def set_certificate(self, tls):
		if tls:
			context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
			context.load_cert_chain(*tls)
			self.context = context
			self._hang_up()

	def _hang_up(self):
		"""End the connections that clients keep for later."""
		with self.lock:
			for connection in self.live:
				try:
					connection.shutdown(socket.SHUT_RDWR)
				except OSError:
					pass

	def start(self):
		self.open()
		return self

	def open(self):
		"""Listen; again after close()."""
		if self.socket:
			return
		s = socket.socket()
		s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		s.bind(("127.0.0.1", self.port))
		s.listen(64)
		self.socket = s
		threading.Thread(target=self._accept, args=(s,),
		    daemon=True).start()

	def close(self):
		"""Refuse connections until open()."""
		if self.socket:
			s, self.socket = self.socket, None
			s.shutdown(socket.SHUT_RDWR)
			s.close()

	def set(self, fault, times=None):
		"""A fault for the next `times` requests, or until set anew."""
		with self.lock:
			self.fault = fault
			self.times = times
		if fault == "refused":
			self.close()
		else:
			self.open()

	def stop(self):
		self.stopping.set()
		self.close()
		self._hang_up()

	def _accept(self, listener):
		while True:
			try:
				connection, _ = listener.accept()
			except OSError:
				return
			threading.Thread(target=self._serve,
			    args=(connection,), daemon=True).start()

	def _serve(self, connection):
		try:
			connection.settimeout(60)
			if self.context:
				connection = self.context.wrap_socket(
				    connection, server_side=True)
			with self.lock:
				self.live.add(connection)
			while self._one(connection):
				pass
		except (OSError, ValueError, http.client.HTTPException):
			with self.lock:
				self.met += 1
		finally:
			with self.lock:
				self.live.discard(connection)
			connection.close()

	def _one(self, connection):
		"""One request; False when the connection is to be closed."""
		request = self._read_request(connection)
		if request is None:
			return False
		fault = self._next_fault()
		if fault is None:
			connection.sendall(self._pass_on(*request))
			return True
		with self.lock:
			self.met += 1
		if fault == "500":
			self._answer(connection, b"500 Internal Server Error",
			    b"<h1>oops</h1>", b"text/html")
		elif fault == "json":
			self._answer(connection, b"201 Created",
			    b'{"request_id": ', b"application/json")
		elif fault == "garbage":
			connection.sendall(bytes(range(256)) * 4)
		elif fault == "half":
			reply = self._pass_on(*request)
			connection.sendall(reply[:len(reply) - 60])
		elif fault == "lost":
			self._pass_on(*request)
		elif fault == "silent":
			# Until the client gives up.
			while not self.stopping.is_set():
				if not connection.recv(4096):
					break
		return False

	def _next_fault(self):
		with self.lock:
			fault = self.fault
			if fault is not None and self.times is not None:
				if self.times == 0:
					return None
				self.times -= 1
			return fault

	@staticmethod
	def _answer(connection, status, body, kind):
		connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Type: "
		    + kind + b"\r\nContent-Length: %d\r\nConnection: close"
		    b"\r\n\r\n" % len(body) + body)

	@staticmethod
	def _read_request(connection):
		data = b""
		while b"\r\n\r\n" not in data:
			part = connection.recv(65536)
			if not part:
				return None
			data += part
		head, body = data.split(b"\r\n\r\n", 1)
		lines = head.decode("latin-1").split("\r\n")
		method, path, _ = lines[0].split(" ")
		headers = dict((k.strip(), v.strip()) for k, v in
		    (line.split(":", 1) for line in lines[1:]))
		lower = {k.lower(): v for k, v in headers.items()}
		length = int(lower.get("content-length", 0))
		if lower.get("expect", "").lower() == "100-continue":
			connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
		while len(body) < length:
			part = connection.recv(65536)
			if not part:
				return None
			body += part
		return method, path, headers, body

	def _pass_on(self, method, path, headers, body):
		port = self.upstream.port
		if self.upstream.url.startswith("https"):
			client = http.client.HTTPSConnection("localhost", port,
			    timeout=60, context=ssl.create_default_context(
			    cafile=self.ca_file))
		else:
			client = http.client.HTTPConnection("127.0.0.1", port,
			    timeout=60)
		headers = {k: v for k, v in headers.items()
		    if k.lower() not in ("connection", "expect", "host")}
		client.request(method, path, body, headers)
		reply = client.getresponse()
		content = reply.read()
		with self.lock:
			self.passed.append((path, body, reply.status, content))
		out = b"HTTP/1.1 %d %s\r\n" % (reply.status,
		    reply.reason.encode())
		for name, value in reply.getheaders():
			if name.lower() not in ("connection", "content-length",
			    "transfer-encoding"):
				out += ("%s: %s\r\n" % (name, value)).encode()
		client.close()
		return out + b"Content-Length: %d\r\n\r\n" % len(content) + content


class Wire:
	"""Passes bytes on between two sockets, and cuts when it is told to.

	cut(fault, times)  the next `times` messages meet the fault
	met                how many did
	"""

	def __init__(self, where, target):
		"""Both a port on 127.0.0.1 or the path of a unix socket."""
		self.where = where
		self.target = target
		self.fault = None
		self.times = 0
		self.met = 0
		self.lock = threading.Lock()
		self.listener = None

	def start(self):
		if isinstance(self.where, int):
			self.listener = socket.socket()
			self.listener.setsockopt(socket.SOL_SOCKET,
			    socket.SO_REUSEADDR, 1)
			self.listener.bind(("127.0.0.1", self.where))
		else:
			self.listener = socket.socket(socket.AF_UNIX)
			self.listener.bind(self.where)
			# As the milter's own: by the group of its directory.
			os.chmod(self.where, 0o660)
		self.listener.listen(64)
		threading.Thread(target=self._accept, daemon=True).start()
		return self

	def stop(self):
		if self.listener:
			self.listener.shutdown(socket.SHUT_RDWR)
			self.listener.close()
			self.listener = None

	def cut(self, fault, times=1):
		with self.lock:
			self.fault, self.times = fault, times

	def take(self):
		"""The fault for a message that has come to its end, or None."""
		with self.lock:
			if self.times == 0:
				return None
			self.times -= 1
			return self.fault

	def count(self):
		with self.lock:
			self.met += 1

	def _accept(self):
		while True:
			try:
				client, _ = self.listener.accept()
			except (OSError, AttributeError):
				return
			threading.Thread(target=self._serve, args=(client,),
			    daemon=True).start()

	def _connect(self):
		if isinstance(self.target, int):
			return socket.create_connection(("127.0.0.1",
			    self.target))
		server = socket.socket(socket.AF_UNIX)
		server.connect(self.target)
		return server

	def _run(self, client, line):
		try:
			server = self._connect()
		except OSError:
			client.close()
			return
		back = threading.Thread(target=self._pump, args=(server, client,
		    line.from_server), daemon=True)
		back.start()
		self._pump(client, server, line.from_client)
		back.join()
		client.close()
		server.close()

	@staticmethod
	def _pump(source, sink, judge):
		"""judge(bytes) gives what goes on and whether to go on."""
		try:
			while True:
				data = source.recv(65536)
				if not data:
					break
				data, on = judge(data)
				sink.sendall(data)
				if not on:
					break
		except OSError:
			pass
		for s in (source, sink):
			try:
				s.shutdown(socket.SHUT_RDWR)
			except OSError:
				pass


class SmtpWire(Wire):
	"""Faults: "reply" loses the answer to the end of a message, which was
	taken; "end" cuts before the end goes out."""

	def _serve(self, client):
		wire = self

		class Line:
			def __init__(self):
				self.fault = None
				self.tail = b""

			def from_client(self, data):
				# QUIT may follow in the same piece.
				seen = self.tail + data
				at = seen.find(b"\r\n.\r\n")
				if at < 0:
					self.tail = seen[-4:]
					return data, True
				self.fault = wire.take()
				if self.fault == "end":
					wire.count()
					return data[:max(0, at -
					    len(self.tail))], False
				self.tail = b""
				return data, True

			def from_server(self, data):
				if self.fault == "reply" and data[:1].isdigit():
					wire.count()
					return b"", False
				return data, True
		self._run(client, Line())


class MilterWire(Wire):
	"""Faults, of what the milter says at the end of a message: "first"
	cuts before its first word, "middle" within the new body, "last" before
	its verdict."""

	def _serve(self, client):
		wire = self

		class Line:
			def __init__(self):
				self.fault = None
				self.up = self.down = b""

			@staticmethod
			def frames(data):
				"""[(command, frame)], rest"""
				found = []
				while len(data) >= 4:
					n = 4 + int.from_bytes(data[:4], "big")
					if len(data) < n:
						break
					found.append((data[4:5], data[:n]))
					data = data[n:]
				return found, data

			def from_client(self, data):
				frames, self.up = self.frames(self.up + data)
				if any(c == b"E" for c, _ in frames):
					self.fault = wire.take()
				return data, True

			def from_server(self, data):
				if self.fault is None:
					return data, True
				frames, self.down = self.frames(
				    self.down + data)
				out = b""
				for command, frame in frames:
					if self.hits(command):
						wire.count()
						half = len(frame) // 2 if \
						    self.fault == "middle" else 0
						return out + frame[:half], False
					out += frame
				return out, True

			def hits(self, command):
				return self.fault == "first" or (
				    self.fault == "middle" and command == b"b"
				    ) or (self.fault == "last" and
				    command in b"catry")
		self._run(client, Line())
