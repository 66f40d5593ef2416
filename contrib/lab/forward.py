# SPDX-License-Identifier: Apache-2.0
"""HTTP proxies that programs go out by: Tinyproxy, and one that misbehaves.

HOST is a name that only they know: who reaches it went by one of them.
(contrib/lab/proxy.py is another thing, a key server that misbehaves.)
"""

import base64
import os
import re
import select
import socket
import ssl
import threading

from lab import proc

HOST = "keys.test"
# argv: a file for /etc/hosts, then the program.
WITH_HOSTS = 'mount --bind "$1" /etc/hosts; shift; exec "$@"'


class Tinyproxy:
	"""Debian's, in a folder of its own; it knows HOST as this machine.

	ports: those that it connects to; login: "user:password" or None
	"""

	def __init__(self, folder, ports, login=None):
		self.folder = folder
		self.port = proc.free_port()
		self.url = "http://127.0.0.1:%d" % self.port
		self.log = os.path.join(folder, "tinyproxy.log")
		self.conf = os.path.join(folder, "tinyproxy.conf")
		self.hosts = os.path.join(folder, "hosts")
		lines = ["Port %d" % self.port, "Listen 127.0.0.1", "Timeout 60",
		    "LogLevel Connect", "MaxClients 50"]
		lines += ["ConnectPort %d" % port for port in ports]
		if login is not None:
			lines.append("BasicAuth %s %s" % tuple(login.split(":")))
		proc.write_file(self.conf, "\n".join(lines) + "\n", 0o644)
		proc.write_file(self.hosts, "127.0.0.1 localhost %s\n" % HOST)
		self.process = None

	def start(self):
		self.process = proc.Process("tinyproxy", ["unshare", "-m" if
		    os.geteuid() == 0 else "-rm", "--propagation", "private",
		    "sh", "-euc", WITH_HOSTS, "sh", self.hosts, "tinyproxy",
		    "-d", "-c", self.conf], self.log)
		self.process.wait_ready(lambda: proc.port_answers(self.port))
		return self

	def stop(self):
		if self.process is not None and self.process.alive():
			self.process.stop()
		self.process = None

	def asked(self):
		"""The first lines of the requests that came to it."""
		return re.findall(r"Request \(file descriptor \d+\): (.*)",
		    proc.read_text(self.log))


class Forward:
	"""A proxy that does as it is told, and keeps all that it sees.

	.fault is None or one of: a status ("403"), with .offers as the kinds
	of login behind 407; "silent", "drip" (a byte a while), "hang-up",
	"other" (no HTTP), "binary", "long-line", "long-head", "long-body" (a
	407 with one), "html" (200, then a page and no tunnel), "closed".
	.requests has what came before the tunnels, .passed all that went
	through them, .open the number of tunnels that were made.
	"""

	def __init__(self, tls=None, login=None):
		self.fault = None
		self.offers = ["Basic realm=\"lab\""]
		self.login = login
		self.requests, self.passed, self.open = [], bytearray(), 0
		self.context = None
		if tls:
			self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
			self.context.load_cert_chain(*tls)
		self.stopping = threading.Event()
		self.listener = socket.create_server(("127.0.0.1", 0))
		self.port = self.listener.getsockname()[1]
		self.url = "%s://localhost:%d" % ("https" if tls else "http",
		    self.port)
		threading.Thread(target=self._accept, daemon=True).start()

	def stop(self):
		self.stopping.set()
		self.listener.shutdown(socket.SHUT_RDWR)
		self.listener.close()

	def _accept(self):
		while True:
			try:
				client, _ = self.listener.accept()
			except OSError:
				return
			threading.Thread(target=self._serve, args=(client,),
			    daemon=True).start()

	def _serve(self, client):
		try:
			if self.context:
				client = self.context.wrap_socket(client,
				    server_side=True)
			head = b""
			while b"\r\n\r\n" not in head:
				data = client.recv(4096)
				if not data:
					return
				head += data
				if head[0] == 0x16:
					self._no_tls(client)
					return
			self.requests.append(head)
			self._answer(client, head)
		except OSError:
			pass		# it hung up
		finally:
			client.close()

	def _no_tls(self, client):
		"""A proxy reads on for a line end, or it does not."""
		if self.fault == "silent":
			self._until_gone(client)
		elif self.fault != "hang-up":
			client.sendall(b"HTTP/1.1 400 no\r\n\r\n")

	def _answer(self, client, head):
		fault = self.fault
		if fault is None and self.login is not None and (
		    b"\r\nProxy-Authorization: Basic " + base64.b64encode(
		    self.login.encode()) + b"\r\n") not in head:
			fault = "407"
		if fault is None:
			self._tunnel(client, head)
		elif fault.isdigit():
			client.sendall(b"HTTP/1.1 %d \x1b[2J\xff no\r\n"
			    b"Content-Length: 4\r\n" % int(fault))
			if fault == "407":
				for kind in self.offers:
					client.sendall(b"Proxy-Authenticate: "
					    + kind.encode() + b"\r\n")
			client.sendall(b"\r\noops")
		else:
			getattr(self, "_" + fault.replace("-", "_"))(client)

	def _tunnel(self, client, head):
		host, port = head.split(b" ")[1].decode().rsplit(":", 1)
		if host != HOST:
			client.sendall(b"HTTP/1.1 502 no such host\r\n\r\n")
			return
		server = socket.create_connection(("127.0.0.1", int(port)))
		client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
		self.open += 1
		ends = {client: server, server: client}
		while True:
			# What TLS has read already, select() does not show.
			ready = [client] if self.context and client.pending() \
			    else select.select(list(ends), [], [])[0]
			for one in ready:
				data = one.recv(65536)
				if not data:
					server.close()
					return
				self.passed += data
				ends[one].sendall(data)

	def _until_gone(self, client):
		while client.recv(4096):
			pass

	def _silent(self, client):
		self._until_gone(client)

	def _drip(self, client):
		client.sendall(b"HTTP/1.1 200 OK\r\nX: ")
		while not self.stopping.wait(0.2):
			client.sendall(b"x")

	def _hang_up(self, client):
		pass

	def _other(self, client):
		client.sendall(b"220 mail.test ESMTP\r\n")
		self._until_gone(client)

	def _binary(self, client):
		client.sendall(bytes(range(128, 256)) * 1000)
		self._until_gone(client)

	def _long_line(self, client):
		client.sendall(b"HTTP/1.1 200 OK\r\nX: ")
		while True:
			client.sendall(b"x" * 65536)

	def _long_head(self, client):
		client.sendall(b"HTTP/1.1 200 OK\r\n")
		while True:
			client.sendall(b"X-Filler: yes\r\n" * 1000)

	def _long_body(self, client):
		client.sendall(b"HTTP/1.1 407 no\r\nProxy-Authenticate: Basic "
		    b"realm=\"x\"\r\nContent-Length: 999999999999\r\n\r\n")
		while True:
			client.sendall(b"x" * 65536)

	def _html(self, client):
		client.sendall(b"HTTP/1.1 200 OK\r\n\r\n<h1>Log in</h1>\r\n")
		self._until_gone(client)
