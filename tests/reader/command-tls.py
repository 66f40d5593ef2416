#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""counterfoil open and a key server without proper TLS: it says what is wrong.

Nothing is asked then, so no token goes out.
"""

import os
import socket
import ssl
import sys
import threading
import warnings

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "contrib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lab import ca, conf, proc, tap  # noqa: E402
import fake  # noqa: E402

HELLO = 0x16	# first byte of a TLS handshake


class World:
	folder = authority = other = None


def setup():
	World.folder = proc.private_dir()
	World.authority = ca.Authority(os.path.join(World.folder, "ca"))
	World.other = ca.Authority(os.path.join(World.folder, "other"))


def teardown():
	proc.remove_tree(World.folder)


class Server:
	"""Takes connections, does what `greet` does, reads what comes."""

	def __init__(self, greet):
		self.greet = greet
		self.got = []
		self.listener = socket.create_server(("127.0.0.1", 0))
		self.url = "https://localhost:%d" \
		    % self.listener.getsockname()[1]
		self.thread = threading.Thread(target=self.serve, daemon=True)
		self.thread.start()

	def serve(self):
		while True:
			try:
				one, _ = self.listener.accept()
			except OSError:
				return
			with one:
				try:
					self.got.append(one.recv(1, socket.MSG_PEEK))
					self.greet(one, self.got)
				except OSError:
					pass	# it hung up, as it should

	def stop(self):
		self.listener.shutdown(socket.SHUT_RDWR)
		self.listener.close()
		self.thread.join()


def tls(certificate, change=lambda context: None):
	"""A server that takes whatever a client sends behind the handshake."""
	context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
	context.load_cert_chain(*certificate)
	change(context)

	def greet(one, got):
		with context.wrap_socket(one, server_side=True) as inside:
			got.append(inside.recv(1000))
	return greet


def old(context):
	with warnings.catch_warnings():
		warnings.simplefilter("ignore", DeprecationWarning)
		context.set_ciphers("ALL:@SECLEVEL=0")
		context.minimum_version = ssl.TLSVersion.TLSv1
		context.maximum_version = ssl.TLSVersion.TLSv1_1


def plain(text):
	def greet(one, got):
		got.append(one.recv(1000)[:1])
		one.sendall(text)
	return greet


def hang_up(one, got):
	one.recv(1000)


def says(greet, status=75, ca_file=None):
	"""What open -n says of such a server."""
	server = Server(greet)
	try:
		mail = os.path.join(World.folder, "mail.eml")
		proc.write_file(mail, fake.Sealed(b"From: a@a.test\r\n\r\nx\r\n",
		    server.url).mail())
		config = conf.write(os.path.join(World.folder, "c.conf"), {
		    "allowed_key_servers": [server.url], "deadline_s": 1,
		    "ca_file": ca_file or World.authority.file})
		done = proc.run([proc.program("counterfoil"), "-c", config,
		    "open", "-n", mail], check=False)
	finally:
		server.stop()
	tap.equal((done.returncode, done.stdout), (status, b""),
	    "exit status, output; it said: " + done.stderr.decode())
	tap.true(server.got, "somebody came")
	for data in server.got:
		tap.true(data in (b"", bytes([HELLO])), "what it was told: %r"
		    % data)
	return done.stderr.decode()


def must_say(what, sentence, greet, **kw):
	text = says(greet, **kw)
	tap.contains(text, "There is no secure connection to the key server. "
	    "(https://localhost:", what)
	tap.contains(text, ": " + sentence, what)
	tap.equal(text.count("\n"), 1, "one line: " + text)


@tap.case("a certificate that has expired, or is not valid yet")
def t_dates():
	for name, days, sentence in (
	    ("late", (-9, -1), "its certificate has expired; tell its "
	        "operator"),
	    ("early", (2, 9), "its certificate is not valid yet; check the "
	        "clock of this machine")):
		must_say(name, sentence, tls(World.authority.server(name,
		    days=days)))


@tap.case("a certificate for another name, or for an address only")
def t_name():
	for name, hosts in (("elsewhere", ("other.test",)),
	    ("number", ("127.0.0.1",)), ("below", ("x.localhost",))):
		must_say(name, "its certificate is for another name; check "
		    "the address", tls(World.authority.server(name, hosts)))


@tap.case("an authority that is not known, or none at all")
def t_authority():
	sentence = "its certificate is from an authority that is not known " \
	    "here; if it is the right one, give the authority's file as ca_file"
	good = World.authority.server("good")
	must_say("another authority", sentence, tls(good),
	    ca_file=World.other.file)
	must_say("the system's", sentence, tls(good),
	    ca_file="/etc/ssl/certs/ca-certificates.crt")
	must_say("signed by itself", sentence, tls((World.other.file,
	    World.other.key)))


@tap.case("a certificate that is no server's")
def t_purpose():
	must_say("an authority's own", "its certificate is not one for a server"
	    " like this", tls((World.authority.file, World.authority.key)))


@tap.case("TLS 1.1 and older")
def t_old():
	must_say("TLS 1.1", "it knows no TLS 1.2 or later",
	    tls(World.authority.server("old"), old))


@tap.case("what is not TLS: HTTP, SMTP")
def t_plain():
	for text in (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
	    b"220 mail.test ESMTP\r\n"):
		must_say(repr(text), "what answers there does not speak TLS; "
		    "check the address and the port", plain(text))


@tap.case("a connection that ends in the handshake is one that was lost")
def t_lost():
	text = says(hang_up)
	tap.contains(text, "could not be reached", "the sentence")
	tap.contains(text, "the connection ended before it was secure",
	    "the sentence")


if __name__ == "__main__":
	tap.main(setup=setup, teardown=teardown)
