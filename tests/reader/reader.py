#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""counterfoil-reader on the wire: what it answers, refuses and survives."""

import http.client
import base64
import gzip
import hashlib
import os
import pwd
import re
import select
import signal
import socket
import ssl
import stat
import sys
import threading
import time
import warnings

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "contrib"))

warnings.simplefilter("ignore", DeprecationWarning)

from lab import ca, conf, proc, prometheus, reader, tap, web  # noqa: E402

KEYS = ["https://keys.test", "http://127.0.0.1:9"]
SMALL = "AbCdEfGhIjKlMnOpQrStUg"
LARGE = "LaRgEfGhIjKlMnOpQrStUg"
ABSENT = "NoNeEfGhIjKlMnOpQrStUg"
TOKEN = "tOkEnTOKENtOkEnTOKENtOkEnTOKENtOkEnTOKENtoA"
MB = 1024 * 1024
P = "counterfoil_reader_"
LIMIT_S = 60		# for what happens by itself; a busy machine is slow

POLICY = ("default-src 'none'; script-src 'self'; style-src 'self' "
    "'unsafe-inline'; img-src data: blob:; connect-src 'self' "
    + " ".join(KEYS) + "; frame-src 'self'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for "
    "'script'; trusted-types counterfoil dompurify")
COMMON = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "accelerometer=(), autoplay=(), camera=(), "
        "display-capture=(), fullscreen=(), geolocation=(), gyroscope=(), "
        "magnetometer=(), microphone=(), midi=(), payment=(), usb=()",
    "X-Robots-Tag": "noindex, nofollow",
}
HTML = "text/html; charset=utf-8"
FOR_GOOD = "public, max-age=31536000, immutable"


class World:
	folder = store = page = None
	reader = None
	small = large = None


def place(blob):
	"""Where the milter would put a sealed message."""
	path = os.path.join(World.store, blob[:2], blob)
	os.makedirs(os.path.dirname(path), exist_ok=True)
	return path


def put(blob, content):
	path = place(blob)
	proc.write_file(path, content)
	return path


def new_reader(name, tls=None, ca_file=None, **options):
	return reader.Reader(os.path.join(World.folder, name), World.store,
	    KEYS, tls=tls, ca_file=ca_file, options=options)


def setup():
	World.folder = proc.private_dir()
	World.store = os.path.join(World.folder, "store")
	os.makedirs(World.store)
	World.page = reader.page_directory()
	World.small = os.urandom(5000)
	World.large = os.urandom(30 * MB)
	put(SMALL, World.small)
	put(LARGE, World.large)
	# All its clients have one address.
	World.reader = new_reader("reader", connections_per_address=0).start()


def teardown():
	if World.reader:
		World.reader.stop()
	if World.folder:
		proc.remove_tree(World.folder)


def page_file(name):
	with open(os.path.join(World.page, name), "rb") as f:
		return f.read()


def raw(request, port=None, limit_s=LIMIT_S):
	"""Send bytes as they are, read to the end; gives the reply's bytes."""
	with socket.create_connection(("127.0.0.1", port or
	    World.reader.port), limit_s) as s:
		s.sendall(request)
		return read_all(s)


def read_all(s):
	got = bytearray()
	while True:
		part = s.recv(MB)
		if not part:
			return bytes(got)
		got += part


def ask(method, path, port=None, more=b"", limit_s=LIMIT_S):
	"""One request; gives (status, {header: value}, body)."""
	reply = raw(("%s %s HTTP/1.1\r\nHost: reader.test\r\n"
	    "Connection: close\r\n" % (method, path)).encode("latin-1")
	    + more + b"\r\n", port, limit_s)
	return parse(reply)


def parse(reply):
	head, _, body = reply.partition(b"\r\n\r\n")
	lines = head.decode("latin-1").split("\r\n")
	headers = {}
	for line in lines[1:]:
		name, _, value = line.partition(": ")
		tap.true(name not in headers, "%s is there once" % name)
		headers[name] = value
	return int(lines[0].split()[1]), headers, body


def hashed(name):
	"""The path of a file that may be kept for good."""
	digest = hashlib.sha256(page_file(name)).digest()
	stem, _, kind = name.partition(".")
	return "/%s.%s.%s" % (stem, base64.urlsafe_b64encode(digest)[:16]
	    .decode(), kind)


def pages():
	"""(path, status, type, content, other headers) of all there is."""
	return [
	    ("/", 200, HTML, page_file("index.html"), {}),
	    ("/m/" + SMALL, 200, HTML, page_file("index.html"), {}),
	    ("/m/" + SMALL + "%2523" + TOKEN, 200, HTML,
	        page_file("index.html"), {}),
	    ("/m/" + ABSENT, 200, HTML, page_file("index.html"), {}),
	    (hashed("page.js"), 200, "text/javascript; charset=utf-8",
	        page_file("page.js"), {"Cache-Control": FOR_GOOD}),
	    (hashed("page.css"), 200, "text/css; charset=utf-8",
	        page_file("page.css"), {"Cache-Control": FOR_GOOD}),
	    ("/counterfoil.html", 200, HTML, page_file("counterfoil.html"),
	        {"Content-Disposition":
	            'attachment; filename="counterfoil.html"'}),
	    ("/healthz", 200, "application/json", b'{"status":"ok"}\n', {}),
	    ("/e/" + SMALL, 200, "application/octet-stream", World.small,
	        {"Content-Disposition": 'attachment; filename="message.counterfoil"'}),
	]


def log_lines(r):
	return r.log_text().splitlines()


@tap.case("every path gives its content with exactly its headers")
def t_paths():
	for path, status, kind, content, other in pages():
		got, headers, body = ask("GET", path)
		tap.equal(got, status, path)
		tap.equal(body, content, path)
		for name in ("Date", "Connection"):
			headers.pop(name, None)
		wanted = dict(COMMON, **other)
		if not path.startswith(("/healthz", "/e/")):
			wanted["Vary"] = "Accept-Encoding"
		wanted["Content-Type"] = kind
		wanted["Content-Length"] = str(len(content))
		tap.equal(headers, wanted, "headers of " + path)


def unpack(encoding, body):
	if encoding == "br":
		return proc.run(["node", "-e", "process.stdin.pipe(require("
		    "'zlib').createBrotliDecompress()).pipe(process.stdout)"],
		    input=body).stdout
	return gzip.decompress(body) if encoding == "gzip" else body


@tap.case("each file of the page goes out compressed, as the browser takes it")
def t_encodings():
	for path, _, _, content, _ in pages():
		encoded = not path.startswith(("/healthz", "/e/"))
		sizes = []
		for accept, wanted in (("gzip, deflate, br, zstd", "br"),
		    ("gzip", "gzip"), ("br;q=0, gzip;q=0.5", "gzip"),
		    ("br;q=0, gzip;q=0", None), ("br;q=0.1, identity", None),
		    ("deflate", None)):
			more = b"Accept-Encoding: %s\r\n" % accept.encode()
			status, headers, body = ask("GET", path, more=more)
			wanted = wanted if encoded else None
			tap.equal((status, headers.get("Content-Encoding"),
			    headers.get("Vary")), (200, wanted,
			    "Accept-Encoding" if encoded else None),
			    "%s, %s" % (path, accept))
			tap.equal(unpack(wanted, body), content, path)
			tap.equal(headers["Content-Length"], str(len(body)),
			    "length")
			sizes.append(len(body))
			s2, h2, none = ask("HEAD", path, more=more)
			headers.pop("Date"), h2.pop("Date")
			tap.equal((s2, h2, none), (status, headers, b""),
			    "HEAD")
		if encoded:
			tap.true(sizes[0] < sizes[1] < sizes[3],
			    "smaller each time: %s" % sizes)
	tap.true(len(page_file("page.js.br")) < 0.4 * len(page_file(
	    "page.js")), "the script")


@tap.case("without compressed files the page goes out as it is; mixed, not")
def t_other_pages():
	folder = os.path.join(World.folder, "page")
	os.makedirs(folder)
	for name in ("page.js", "page.css", "index.html",
	    "counterfoil.html"):
		proc.write_file(os.path.join(folder, name), page_file(name))
	r = new_reader("plain", page_directory=folder).start()
	try:
		_, headers, body = ask("GET", hashed("page.js"), r.port,
		    b"Accept-Encoding: br, gzip\r\n")
		tap.equal((headers.get("Content-Encoding"), body),
		    (None, page_file("page.js")), "as it is")
	finally:
		r.stop()
	proc.write_file(os.path.join(folder, "page.js"), b"another();")
	done = proc.run([proc.program("counterfoil-reader"), "-n", "-c",
	    r.config], check=False)
	tap.equal(done.returncode, 1, "exit status of -n")
	tap.contains(done.stderr + done.stdout, b"not of one build",
	    "what it says")


@tap.case("the policy is the one the page was written for")
def t_policy():
	with open(os.path.join(TOP, "common", "web", "CSP.md")) as f:
		wanted = re.search(r"Content-Security-Policy: (.*)",
		    f.read()).group(1)
	tap.equal(ask("GET", "/")[1]["Content-Security-Policy"],
	    wanted.replace("<key servers>", " ".join(KEYS)), "policy")


@tap.case("HEAD gives what GET gives, without the content")
def t_head():
	for path, *_ in pages() + [("/nothing",), ("/e/" + ABSENT,)]:
		s1, h1, body = ask("GET", path)
		s2, h2, none = ask("HEAD", path)
		h1.pop("Date"), h2.pop("Date")
		tap.equal((s2, h2), (s1, h1), "HEAD " + path)
		tap.equal(none, b"", "body of HEAD " + path)
		tap.true(len(body) > 0, path + " has content")


@tap.case("other methods get 405 and Allow, with or without a body")
def t_methods():
	for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE",
	    "PROPFIND", "MKCOL", "get"):
		for path in ("/", "/e/" + SMALL, "/nothing"):
			for more in (b"", b"Content-Length: 5\r\n"):
				s, h, body = ask(method, path, more=more)
				tap.equal((s, h.get("Allow")),
				    (405, "GET, HEAD"), method + " " + path)
				tap.equal(h["Content-Security-Policy"],
				    POLICY, "policy of the refusal")
	s, _, _ = ask("GET", "/", more=b"Content-Length: 5\r\n")
	tap.equal(s, 413, "GET with a body")
	s, _, _ = ask("GET", "/", more=b"Transfer-Encoding: chunked\r\n")
	tap.equal(s, 413, "GET with a chunked body")


@tap.case("no path leads out of the store, to a list, a link or a device")
def t_traversal():
	outside = os.path.join(World.folder, "outside")
	proc.write_file(outside, b"OUTSIDE")
	link = "LiNkEfGhIjKlMnOpQrStUg"
	folder = "DiReEfGhIjKlMnOpQrStUg"
	fifo = "FiFoEfGhIjKlMnOpQrStUg"
	os.symlink(outside, place(link))
	os.mkdir(place(folder))
	os.mkfifo(place(fifo))
	paths = ["/e/", "/e", "/m/", "/m", "//", "/.", "/store", "/e/.",
	    "/e/..", "/e/../outside", "/e/../../outside", "/../outside",
	    "/e/%2e%2e%2foutside", "/e/..%2f..%2fetc%2fpasswd",
	    "/e/....//....//etc/passwd", "/e/" + SMALL + "/",
	    "/e/" + SMALL + "/../" + SMALL, "/e/" + SMALL + "%00",
	    "/e/" + SMALL + "%00.html", "/e/./" + SMALL,
	    "/e//" + SMALL, "/e/" + SMALL[:21], "/e/" + SMALL + "A",
	    "/e/%41" + SMALL[1:], "/e/" + SMALL.replace("A", "\\"),
	    "/e/" + link, "/e/" + folder, "/e/" + fifo, "/E/" + SMALL,
	    "/e/Ab", "/e/Ab/", "/Ab/" + SMALL, "/e/Ab/" + SMALL, "/index.html",
	    "/page.js.map", "/page.js", "/page.css", hashed("page.js") + ".br", "/LICENSES.txt", "/page.js/",
	    "/e/" + SMALL + "%23x", "/e/" + SMALL + ";x", "/etc/passwd"]
	for path in paths:
		status, headers, body = ask("GET", path)
		tap.equal(status, 404, path)
		tap.lacks(body, b"OUTSIDE", path)
		tap.lacks(body, b"root:", path)
		tap.equal(headers["Content-Type"], HTML, path)
	for request in (b"GET e/x HTTP/1.1\r\nHost: x\r\n\r\n",
	    b"GET /e/" + SMALL.encode() + b" x HTTP/1.1\r\n\r\n",
	    b"GET /\r\n\r\n", b"\0\0\0\0\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
		tap.lacks(raw(request[:-4] + b"\r\nConnection: close\r\n\r\n"),
		    World.small[:50], "%r" % request)
	tap.equal(ask("GET", "/healthz")[0], 200, "afterwards")


@tap.case("what is not there is said in a page for people")
def t_not_found():
	for path in ("/e/" + ABSENT, "/nothing"):
		status, headers, body = ask("GET", path)
		tap.equal((status, headers["Content-Type"]), (404, HTML), path)
		tap.contains(body, b"<h1>There is nothing at this address</h1>",
		    path)
		tap.equal({k: headers[k] for k in COMMON}, COMMON,
		    "headers of a 404")


@tap.case("a query changes nothing")
def t_query():
	for path, status, kind, content, _ in pages():
		got, _, body = ask("GET", path + "?a=b&c=%2e%2e")
		tap.equal((got, body), (status, content), path + " with query")


@tap.case("a message put there later is served, a removed one is not")
def t_later():
	blob = "LaTeEfGhIjKlMnOpQrStUg"
	tap.equal(ask("GET", "/e/" + blob)[0], 404, "before")
	path = put(blob, b"later")
	tap.equal(ask("GET", "/e/" + blob)[2], b"later", "there")
	os.unlink(path)
	tap.equal(ask("GET", "/e/" + blob)[0], 404, "removed")


@tap.case("long addresses, large headers and broken requests are refused")
def t_limits():
	tap.equal(ask("GET", "/" + "a" * 2100)[0], 414, "a path of 2100")
	for more, what in ((b"X: " + b"a" * 60000 + b"\r\n", "60 kB header"),
	    (b"".join(b"X%d: a\r\n" % i for i in range(9000)), "9000 fields")):
		try:
			status = ask("GET", "/", more=more)[0]
		except (ConnectionError, IndexError):
			continue	# closed in our face: as good
		tap.true(status in (400, 413, 431), "%s: %d" % (what, status))
	try:
		status = ask("GET", "/" + "a" * 100000)[0]
		tap.true(status in (400, 414, 431), "100 kB path: %d" % status)
	except (ConnectionError, IndexError):
		pass
	for more in (b"Host: reader.test\r\n", b"X: a\x01b\r\n"):
		tap.equal(ask("GET", "/healthz", more=more)[0], 400, repr(more))
	for path in ("/healthz%00x", "/%00", "/%68ealthz"):
		tap.equal(ask("GET", path)[0], 404, path)
	tap.equal(ask("GET", "/healthz")[0], 200, "afterwards")


@tap.case("a connection serves several requests")
def t_keep_alive():
	c = http.client.HTTPConnection("127.0.0.1", World.reader.port,
	    timeout=LIMIT_S)
	for _ in range(3):
		c.request("GET", "/e/" + SMALL)
		tap.equal(c.getresponse().read(), World.small, "content")
		c.request("HEAD", "/e/" + SMALL)
		tap.equal(c.getresponse().read(), b"", "no content")
	c.close()


def memory_kb(pid, name):
	return int(re.search(name + r":\s+(\d+)", proc.read_text(
	    "/proc/%d/status" % pid)).group(1))


def in_parallel(count, work):
	"""Run work(i) in `count` threads; raises the first error."""
	errors = []

	def one(i):
		try:
			work(i)
		except BaseException as e:
			errors.append(e)
	threads = [threading.Thread(target=one, args=(i,))
	    for i in range(count)]
	for t in threads:
		t.start()
	for t in threads:
		t.join()
	if errors:
		raise errors[0]


@tap.case("30 MB are streamed to 8 readers at once in flat memory")
def t_large():
	pid = World.reader.pid
	ask("GET", "/e/" + LARGE)
	before = memory_kb(pid, "VmHWM")

	def get(_):
		status, _, body = ask("GET", "/e/" + LARGE)
		tap.true((status, body) == (200, World.large), "30 MB")
	in_parallel(8, get)
	grown = memory_kb(pid, "VmHWM") - before
	tap.note("peak memory grew by %d kB" % grown)
	tap.true(grown < 12 * 1024, "grew by %d kB" % grown)


@tap.case("200 clients at once get all they asked for")
def t_parallel():
	gate = threading.Barrier(200)

	def get(_):
		gate.wait(LIMIT_S)
		for _ in range(3):
			status, _, body = ask("GET", "/e/" + SMALL)
			tap.true((status, body) == (200, World.small),
			    "content under load")
	in_parallel(200, get)


def served(port, timeout_s):
	"""Is a client served?  If not, it must have been too slow itself."""
	began = time.monotonic()
	try:
		return ask("GET", "/healthz", port)[0] == 200
	except (ConnectionError, IndexError):
		took = time.monotonic() - began
		tap.true(took > 0.9 * timeout_s,
		    "a client cut off after %.3f s was slow" % took)
		return False


@tap.case("clients that trickle are cut off; others are served meanwhile")
def t_slow():
	r = new_reader("slow", request_timeout_s=1).start()
	others = 0
	try:
		slow = [socket.create_connection(("127.0.0.1", r.port))
		    for _ in range(20)]
		open_ones = set(slow)
		began = time.monotonic()
		while open_ones:
			tap.true(time.monotonic() - began < LIMIT_S,
			    "%d trickling clients are still there"
			    % len(open_ones))
			for s in list(open_ones):
				try:
					s.send(b"G")
				except OSError:
					open_ones.discard(s)
			others += served(r.port, 1)
			ready, _, _ = select.select(list(open_ones), [], [],
			    0.2) if open_ones else ([], [], [])
			for s in ready:
				# Anything but a reply is the end.
				try:
					if not s.recv(1000):
						open_ones.discard(s)
				except OSError:
					open_ones.discard(s)
		for s in slow:
			s.close()
		tap.true(others > 0, "others were served meanwhile")
	finally:
		r.stop()


@tap.case("an answer that a client reads by the drop is broken off")
def t_slow_answer():
	# Nothing but its length ends it.
	r = new_reader("slow2", request_timeout_s=600,
	    answer_timeout_s=2).start()
	try:
		s = socket.create_connection(("127.0.0.1", r.port), LIMIT_S)
		s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
		s.sendall(b"GET /e/" + LARGE.encode()
		    + b" HTTP/1.1\r\nHost: x\r\n\r\n")

		def ended():
			drop(s)
			return re.search(r"GET /e/.*, broken off", r.log_text())
		proc.wait_for(ended, LIMIT_S, "the end of a slow answer")
		s.close()
	finally:
		r.stop()


def drop(s):
	"""Read a little, if there is anything."""
	try:
		if select.select([s], [], [], 0)[0]:
			s.recv(2000)
	except OSError:
		pass


def hold(port, held):
	"""Keep one more served connection open; true with three."""
	s = socket.create_connection(("127.0.0.1", port), LIMIT_S)
	try:
		s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		if b"200 OK" in s.recv(4096):
			held.append(s)
			s = None
	except ConnectionError:
		pass
	if s:
		s.close()
	return len(held) == 3


@tap.case("a limit of connections per address holds, but for a proxy of ours")
def t_per_address():
	# None of those that are held ends by itself meanwhile.
	r = new_reader("few", connections_per_address=3,
	    request_timeout_s=600).start()
	try:
		held = []
		# The connection that asked whether the reader is ready may
		# still count for a moment.
		proc.wait_for(lambda: hold(r.port, held), LIMIT_S,
		    "the first three to be served")
		try:
			reply = raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
			    r.port)
		except ConnectionError:
			reply = b""
		tap.equal(reply, b"", "the fourth")
		for s in held:
			s.close()
		proc.wait_for(r.ready, LIMIT_S, "a place to be free again")
	finally:
		r.stop()
	r = new_reader("proxied", connections_per_address=3,
	    proxies=["127.0.0.0/8"], request_timeout_s=600).start()
	held = [socket.create_connection(("127.0.0.1", r.port), LIMIT_S)
	    for _ in range(20)]
	try:
		tap.equal(ask("GET", "/healthz", r.port)[0], 200,
		    "a proxy of ours has more")
	finally:
		for s in held:
			s.close()
		r.stop()


@tap.case("TERM: no new connections, answers under way are finished, exit 0")
def t_drain():
	r = new_reader("drain", drain_s=600, request_timeout_s=600).start()
	s = socket.create_connection(("127.0.0.1", r.port), LIMIT_S)
	s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
	s.sendall(b"GET /e/" + LARGE.encode() + b" HTTP/1.1\r\nHost: x\r\n"
	    b"Connection: close\r\n\r\n")
	idle = socket.create_connection(("127.0.0.1", r.port), LIMIT_S)
	got = s.recv(1000)
	r.process.send(signal.SIGTERM)
	proc.wait_for(lambda: not proc.port_answers(r.port), LIMIT_S,
	    "the port to close")
	tap.true(r.process.alive(), "it waits for the answer under way")
	got += read_all(s)
	tap.true(parse(got)[2] == World.large, "the whole answer arrived")
	tap.equal(r.process.wait(LIMIT_S), 0, "exit status")
	s.close()
	idle.close()


@tap.case("TERM: an answer that never ends is broken off after drain_s")
def t_drain_limit():
	# No other limit of its own would end it.
	r = new_reader("drain2", drain_s=1, request_timeout_s=600).start()
	s = socket.create_connection(("127.0.0.1", r.port), LIMIT_S)
	s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
	s.sendall(b"GET /e/" + LARGE.encode()
	    + b" HTTP/1.1\r\nHost: x\r\n\r\n")
	s.recv(1000)
	r.process.send(signal.SIGTERM)
	# Before 20 s, the default, are over.
	tap.equal(r.process.wait(19), 0, "exit status")
	s.close()


def refused(name, says, argument=None, **options):
	"""The program must not start; its sentence must say `says`."""
	r = new_reader(name, **options)
	text = conf.text(r.options)
	if argument:
		text += argument
	proc.write_file(r.config, text)
	for flags in ([], ["-n"]):
		done = proc.run([proc.program("counterfoil-reader"), "-c",
		    r.config] + flags, check=False)
		error = done.stderr.decode()
		tap.equal(done.returncode, 1, "exit status, saying " + error)
		tap.contains(error, says, "the error of " + name)
		tap.equal(error.count("\n"), 1, "one line: " + error)
	return error


@tap.case("plain HTTP off loopback and wrong configuration: no start")
def t_refused():
	port = proc.free_port()
	for address in ("0.0.0.0", "[::]", "192.0.2.1"):
		text = refused("off", "tls_certificate and tls_key are needed",
		    listen="%s:%d" % (address, port))
		tap.contains(text, ".conf:1: listen: ", "its line")
	refused("off2", "http:// is for loopback only",
	    reader_url="http://reader.test")
	refused("off3", "http:// is for loopback only",
	    allowed_key_servers=["http://keys.test"])
	refused("none", "allowed_key_servers", allowed_key_servers=None)
	text = refused("half", "go together", tls_certificate="/dev/null")
	tap.true(re.search(r"\.conf:\d+: tls_certificate: ", text),
	    "the line of the one given: %r" % text)
	refused("page", "index.html", page_directory=World.store)
	text = refused("opt", "unknown option", argument="lisen = \"x\"\n")
	tap.true(re.search(r"counterfoil-reader\.conf:\d+: ", text),
	    "the line of the unknown option: %r" % text)
	refused("opt2", "nearest one is \"listen\"",
	    argument="lisen = \"x\"\n")
	refused("type", "threads", threads="many")
	refused("range", "threads", threads=0)
	key = os.path.join(World.folder, "open.key")
	proc.write_file(key, b"x", 0o644)
	for file, words in ((key, "others could read"),
	    (key + ".gone", "No such file")):
		text = refused("key", words, tls_certificate=key,
		    tls_key=file)
		tap.true(re.search(r"counterfoil-reader\.conf:\d+: tls_key: ",
		    text), "the line of the option: %r" % text)


@tap.case("TLS of its own, believed by our authority's clients only")
def t_tls():
	authority = ca.Authority(os.path.join(World.folder, "ca"))
	tls = authority.server("reader", ("localhost",))
	r = new_reader("tls", tls=tls, ca_file=authority.file).start()
	try:
		status, headers, body = r.request("GET", "/e/" + SMALL)
		tap.equal((status, body), (200, World.small), "over TLS")
		tap.equal(headers["Strict-Transport-Security"],
		    "max-age=31536000", "HSTS")
		status, _, body = r.request("GET", "/e/" + LARGE)
		tap.true((status, body) == (200, World.large), "30 MB by TLS")
		tap.raises(OSError, lambda: reader.Reader.request(
		    stranger(r), "GET", "/"), "without our authority")
		try:
			reply = raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
			    r.port)
		except ConnectionError:
			reply = b""	# closed before it was read to its end
		tap.lacks(reply, b"HTTP/1", "plain HTTP to the TLS port")
		old = ssl.create_default_context(cafile=authority.file)
		old.minimum_version = ssl.TLSVersion.TLSv1
		old.maximum_version = ssl.TLSVersion.TLSv1_1
		old.set_ciphers("ALL:@SECLEVEL=0")
		tap.raises(OSError, lambda: connect(r.port, old), "TLS 1.1")
		for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
			new = ssl.create_default_context(cafile=authority.file)
			new.minimum_version = new.maximum_version = version
			connect(r.port, new)
		tap.equal(web.tls_suites(r.port, authority.file),
		    web.GOOD_SUITES["ECDSA"], "suites with an EC key")
	finally:
		r.stop()
	rsa = authority.server("rsa", ("localhost",), rsa=True)
	r = new_reader("rsa", tls=rsa, ca_file=authority.file).start()
	try:
		tap.equal(web.tls_suites(r.port, authority.file),
		    web.GOOD_SUITES["RSA"], "suites with an RSA key")
	finally:
		r.stop()
	other = authority.server("other", ("localhost",))
	mixed = new_reader("mixed", tls=(tls[0], other[1]))
	conf.write(mixed.config, mixed.options)
	done = proc.run([proc.program("counterfoil-reader"), "-c",
	    mixed.config], check=False)
	tap.equal(done.returncode, 1, "another certificate's key")
	tap.contains(done.stderr.decode(), "matching pair", "the sentence")


@tap.case("SIGHUP: a renewed certificate, while an answer goes out; a broken "
    "one is refused; the log level")
def t_reload():
	authority = ca.Authority(os.path.join(World.folder, "ca-hup"))
	tls = authority.server("first", ("localhost",))
	r = new_reader("hup", tls=tls, ca_file=authority.file).start()

	def hup(words, **changes):
		r.options.update(changes)
		conf.write(r.config, r.options)
		before = len(r.log_text())
		r.process.send(signal.SIGHUP)
		proc.wait_for(lambda: words in r.log_text()[before:], 120, words)
		return r.log_text()[before:]
	try:
		tap.equal(web.served(r.port), proc.read_text(tls[0]), "at first")
		slow = http.client.HTTPSConnection("localhost", r.port,
		    timeout=120, context=ssl.create_default_context(
		    cafile=authority.file))
		slow.request("GET", "/e/" + LARGE)
		answer = slow.getresponse()
		begin = answer.read(100)
		new = authority.server("second", ("localhost",))
		for old, fresh in zip(tls, new):
			os.replace(fresh, old)
		second = proc.read_text(tls[0])
		hup("configuration reloaded")
		tap.equal(web.served(r.port), second, "renewed")
		tap.true(begin + answer.read() == World.large, "under way")
		key = proc.read_text(tls[1])
		for path, text, words in ((tls[1], "x", "no matching pair"),
		    (tls[0], "x", "no matching pair")):
			good = proc.read_text(path)
			proc.write_file(path, text, 0o600)
			tap.contains(hup("reload failed, all stays as it was"),
			    words, "the reason")
			proc.write_file(path, good, 0o600)
			tap.equal(web.served(r.port), second, "still")
		tap.equal(proc.read_text(tls[1]), key, "the key is back")
		tap.contains(hup("makes it count:", log_level="warn",
		    threads=3), "makes it count: threads\n", "what is named")
		before = len(r.log_text())
		tap.equal(r.request("GET", "/healthz")[0], 200, "healthz")
		tap.lacks(r.log_text()[before:], "info:", "log at warn")
	finally:
		r.stop()


def stranger(r):
	other = reader.Reader.__new__(reader.Reader)
	other.url = r.url
	other.ca_file = "/etc/ssl/certs/ca-certificates.crt"
	if not os.path.exists(other.ca_file):
		other.ca_file = None
	return other


def connect(port, context):
	with socket.create_connection(("127.0.0.1", port), LIMIT_S) as s:
		with context.wrap_socket(s, server_hostname="localhost"):
			pass


@tap.case("the log has one line a request, and no whole name or token in it")
def t_log():
	r = new_reader("log").start()
	try:
		ask("GET", "/e/" + SMALL, r.port)
		ask("GET", "/m/" + SMALL + "%23https%3A%2F%2Fk%2Fk%2F"
		    + SMALL + "%23" + TOKEN, r.port)
		ask("GET", "/m/" + SMALL + "?token=" + TOKEN, r.port)
		ask("POST", "/" + TOKEN, r.port)
		ask("GET", "/x\x7f\x1b[31m", r.port)
		raw(b"GET /m/" + SMALL.encode() + b"#" + TOKEN.encode()
		    + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		    r.port)
	finally:
		r.stop()
	lines = [x for x in log_lines(r) if " bytes " in x
	    and "/healthz" not in x]
	tap.equal(len(lines), 6, "lines:\n" + "\n".join(lines))
	tap.contains(lines[0], "127.0.0.1 GET /e/AbCdEf... 200 5000 bytes",
	    "the first")
	tap.lacks(r.log_text(), SMALL, "the log")
	tap.lacks(r.log_text(), TOKEN, "the log")
	tap.lacks(r.log_text(), "\x1b", "the log")


@tap.case("at level debug the log has no more of them")
def t_log_debug():
	r = new_reader("debug", log_level="debug").start()
	try:
		for request in (b"GET /m/" + SMALL.encode() + b"%23"
		    + TOKEN.encode() + b" HTTP/1.1\r\n\r\n",
		    b"GET /" + TOKEN.encode() * 2000 + b" HTTP/1.1\r\n\r\n",
		    TOKEN.encode() + b"\r\n\r\n",
		    b"GET / HTTP/1.1\r\n" + TOKEN.encode() + b"\r\n\r\n"):
			try:
				raw(request.replace(b"\r\n\r\n",
				    b"\r\nConnection: close\r\n\r\n"), r.port)
			except ConnectionError:
				pass
	finally:
		r.stop()
	tap.lacks(r.log_text(), SMALL, "the log")
	tap.lacks(r.log_text(), TOKEN[:12], "the log")


@tap.case("it gives up root for the configured user, and keeps no groups")
def t_user():
	name = "nobody" if os.geteuid() == 0 else \
	    pwd.getpwuid(os.geteuid()).pw_name
	uid = pwd.getpwnam(name).pw_uid
	r = new_reader("user", user=name).start()
	try:
		status = proc.read_text("/proc/%d/status" % r.pid)
		tap.equal(re.search(r"(?m)^Uid:\s+(.*)$", status).group(1)
		    .split(), [str(uid)] * 4, "user ids")
		if os.geteuid() == 0:
			groups = re.search(r"(?m)^Groups:\s*(.*)$",
			    status).group(1).split()
			tap.true("0" not in groups, "root's group is gone")
		tap.equal(ask("GET", "/e/" + SMALL, r.port)[2], World.small,
		    "it still reads the store")
	finally:
		r.stop()


@tap.case("an unknown user or group, a foreign address: neither -n nor the "
    "start takes it")
def t_start_and_check():
	tls = ca.Authority(os.path.join(World.folder, "refused-ca")).server(
	    "refused", ("localhost",))
	for key, value, text in (
	    ("user", "no-such-user", "no user named no-such-user"),
	    ("group", "no-such-group", "no group named no-such-group"),
	    ("listen", "192.0.2.1:8480", "no address of this machine")):
		r = new_reader("refused-" + key, tls=tls, **{key: value})
		conf.write(r.config, r.options)
		for args in ((), ("-n",)):
			done = proc.run([proc.program("counterfoil-reader"),
			    "-c", r.config, *args], check=False)
			said = done.stderr.decode()
			tap.equal(done.returncode, 1, said)
			tap.contains(said, text, "the sentence")
			tap.true(re.search(r"conf:\d+: %s: " % key, said),
			    said)


def findings(r):
	"""(exit status, [finding], all) of -n."""
	conf.write(r.config, r.options)
	done = proc.run([proc.program("counterfoil-reader"), "-c", r.config,
	    "-n"], check=False)
	lines = done.stdout.decode().splitlines()
	tap.equal(done.stderr, b"", "standard error")
	for line in lines[:-1]:
		tap.true(re.fullmatch(r"(ok|warning|error): [^:]+: [ -~]+",
		    line), "form of %r" % line)
	count = [sum(line.startswith(word) for line in lines[:-1])
	    for word in ("error", "warning")]
	tap.equal([int(n) for n in re.findall(r"\d+", lines[-1])], count,
	    "last line " + lines[-1])
	return done.returncode, lines[:-1], done.stdout.decode()


@tap.case("-n: its certificate is looked at, how long it is good and for whom")
def t_check_certificate():
	authority = ca.Authority(os.path.join(World.folder, "check-ca"))
	for name, hosts, days, status, word, part in (
	    ("fine", ("localhost",), (0, 60), 0, None, ""),
	    ("soon", ("localhost",), (-30, 5), 0, "warning", "soon.pem"),
	    ("late", ("localhost",), (-9, -1), 1, "error", "late.pem"),
	    ("early", ("localhost",), (2, 9), 1, "error", "early.pem"),
	    ("other", ("other.test",), (0, 60), 1, "error", "localhost")):
		r = new_reader("check-" + name, user="nobody",
		    tls=authority.server(name, hosts, days=days))
		os.chown(r.options["tls_key"], pwd.getpwnam("nobody").pw_uid,
		    -1)
		got, lines, text = findings(r)
		bad = [line for line in lines if not line.startswith("ok: ")]
		tap.equal((got, [line.split(":")[0] for line in bad]),
		    (status, [word] if word else []), text)
		tap.true(part in "".join(bad), text)


@tap.case("-n: its user must be able to read the store")
def t_check_store():
	r = new_reader("check-store", user="nobody")
	status, lines, text = findings(r)
	tap.equal((status, lines[-1]), (0, "ok: store_directory: the messages "
	    "in %s can be read" % World.store), text)
	small = place(SMALL)
	for path, mode in ((small, 0o600), (os.path.dirname(small), 0o700),
	    (World.store, 0o700)):
		before = stat.S_IMODE(os.stat(path).st_mode)
		os.chmod(path, mode)
		try:
			status, lines, text = findings(r)
		finally:
			os.chmod(path, before)
		tap.equal(status, 1, text)
		tap.true(lines[-1].startswith("error: store_directory: %s: "
		    "Permission denied" % path), text)
	empty = os.path.join(World.folder, "empty")
	os.mkdir(empty)
	for user, owner in ((None, "root"), ("nobody", "root"),
	    (None, "nobody")):
		os.chown(empty, pwd.getpwnam(owner).pw_uid, -1)
		r.options.update(store_directory=empty, user=user)
		status, lines, text = findings(r)
		tap.equal(status, 0, text)
		tap.contains(lines[-1], "has no message yet", text)
		tap.equal("looked at as root" in text,
		    (user, owner) == (None, "root"), text)


@tap.case("counters: what was asked for and became of it, the certificate's "
    "end; where they are served")
def t_metrics():
	authority = ca.Authority(os.path.join(World.folder, "ca-metrics"))
	tls = authority.server("metrics", ("localhost",))
	path = "unix:" + os.path.join(World.folder, "metrics", "m.sock")
	r = new_reader("metrics", tls=tls, ca_file=authority.file,
	    metrics_listen=path).start()

	def value(name, **labels):
		return prometheus.value(prometheus.scrape(path), P + name,
		    **labels)

	def counted(number, **labels):
		proc.wait_for(lambda: value("requests_total", **labels) ==
		    number, LIMIT_S, "%d times %s" % (number, labels))
	try:
		for asked in ("/", "/m/" + SMALL, hashed("page.js"), "/e/" + SMALL,
		    "/e/" + ABSENT, "/x", "/e/" + "a" * 3000):
			r.request("GET", asked)
		r.request("POST", "/")
		for endpoint, result, number in (("page", "ok", 2),
		    ("script", "ok", 1), ("sealed", "ok", 1),
		    ("sealed", "not-found", 1), ("other", "not-found", 1),
		    ("other", "too-long", 1),
		    ("other", "method-not-allowed", 1)):
			counted(number, endpoint=endpoint, result=result)
		# Who waited for the start may be counted late.
		tap.equal(value("requests_total") -
		    value("requests_total", endpoint="healthz"), 8, "in all")
		slow = http.client.HTTPSConnection("localhost", r.port,
		    timeout=120, context=ssl.create_default_context(
		    cafile=authority.file))
		slow.request("GET", "/e/" + LARGE)
		slow.getresponse().read(100)
		slow.close()
		counted(1, endpoint="sealed", result="broken-off")
		text = prometheus.fetch(path)[2]
		for secret in (SMALL, ABSENT, "127.0.0.1", "localhost"):
			tap.lacks(text, secret, "nothing personal")
		tap.equal(value("certificate_end_seconds", use="tls"),
		    ends(tls[0]), "end of the certificate")
		for old, fresh in zip(tls, authority.server("renewed",
		    ("localhost",), days=(0, 20))):
			os.replace(fresh, old)
		r.process.send(signal.SIGHUP)
		proc.wait_for(lambda: value("reloads_total", result="ok") == 1,
		    LIMIT_S, "a reload")
		tap.equal(value("certificate_end_seconds", use="tls"),
		    ends(tls[0]), "end of the renewed one")
		prometheus.check_rules("counterfoil-reader.rules.yml", P, path)
		status, _, text = findings(r)
		tap.equal(status, 0, "-n while it runs: %s" % text)
	finally:
		r.stop()
	tap.true(not os.path.exists(path[5:]), "the socket is gone")
	for where, words in (("0.0.0.0:9999", "metrics_public"),
	    ("nonsense", "ADDRESS:PORT"), ("unix:/tmp/m.sock",
	    "others could put")):
		r.options["metrics_listen"] = where
		conf.write(r.config, r.options)
		for flags in ((), ("-n",)):
			done = proc.run([proc.program("counterfoil-reader"),
			    "-c", r.config, *flags], check=False)
			text = (done.stdout + done.stderr).decode()
			tap.equal(done.returncode, 1, where)
			tap.contains(text, words, where)
			tap.true(re.search(r"conf:\d+: metrics_listen: ", text),
			    text)


def ends(file):
	"""When a certificate ends, as openssl has it."""
	text = proc.run(["openssl", "x509", "-noout", "-enddate", "-in", file]
	    ).stdout.decode()
	return ssl.cert_time_to_seconds(text.strip().split("=")[1])


@tap.case("the milter's -n finds this page where its links lead")
def t_milter_finds_it():
	config = conf.write(os.path.join(World.folder, "milter.conf"), {
	    "mode": "inbound", "reader_url": World.reader.url,
	    "allowed_key_servers": KEYS, "store_directory": World.store,
	    "socket": "unix:%s/milter.sock" % World.folder})
	done = proc.run([proc.program("counterfoil-milter"), "-n", "--no-mta",
	    "-c", config])
	tap.contains(done.stdout.decode(), "ok: %s: the recipients' page is "
	    "there" % World.reader.url, "-n")


@tap.case("-V, --print-config and wrong arguments")
def t_arguments():
	program = proc.program("counterfoil-reader")
	tap.contains(proc.run([program, "-V"]).stdout.decode(),
	    "counterfoil-reader ", "-V")
	done = proc.run([program, "-c", World.reader.config,
	    "--print-config"])
	again = os.path.join(World.folder, "again.conf")
	proc.write_file(again, done.stdout)
	tap.equal(proc.run([program, "-c", again, "--print-config"]).stdout,
	    done.stdout, "printed, read and printed again")
	for wrong in (["-x"], ["-c"], ["word"]):
		done = proc.run([program] + wrong, check=False)
		tap.equal(done.returncode, 2, "%s" % wrong)
		tap.contains(done.stderr, b"usage:", "%s" % wrong)


if __name__ == "__main__":
	tap.main(setup=setup, teardown=teardown)
