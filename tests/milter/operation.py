#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What an operator sees: log lines, counters, limits, leftovers."""

import fcntl
import http.server
import os
import pwd
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig as lib  # noqa: E402
from lab import ca, prometheus, proxy  # noqa: E402
from rig import client, end, new, proc, run, tap  # noqa: E402

P = "counterfoil_milter_"
# counterfoil-milter(8) promises this form.
LINE = re.compile(r"(?P<id>[!-9;-~]{1,60}): (?P<verdict>sealed|rewritten|"
    r"stripped|passed|unchanged|refused|deferred|aborted) "
    r"cause=(?P<cause>[a-z0-9-]+) rcpts=(?P<rcpts>\d+) ms=(?P<ms>\d+) "
    r"key=(?P<key>-|[A-Za-z0-9_-]{22}) keysrv_ms=(?P<keysrv_ms>\d+) "
    r"in=(?P<in>\d+) out=(?P<out>\d+)(?:: (?P<reason>[ -~]+))?")
PREFIX = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "
    r"counterfoil-milter\[\d+\]: (error|warn|info|debug): (.*)")


def lines(text):
	"""The lines that tell of a message, taken apart."""
	found = []
	for line in text.split("\n")[:-1]:
		m = PREFIX.fullmatch(line)
		tap.true(m is not None, "form of %r" % line)
		if " cause=" not in m.group(2):
			continue
		m = LINE.fullmatch(m.group(2))
		tap.true(m is not None, "form of %r" % line)
		found.append(m.groupdict())
	return found


def one_line(rig, act, **want):
	"""act() makes one line, which has what is wanted; gives it."""
	since = rig.log_from()
	act()
	proc.wait_for(lambda: lines(since()), 60, "a line")
	got = lines(since())
	tap.equal(len(got), 1, "lines: %s" % since())
	for name, value in want.items():
		tap.equal(got[0][name], value, name)
	return got[0]


get = prometheus.fetch


def metrics(rig):
	return prometheus.scrape(rig.options["metrics_listen"])


@tap.case("one line a message, whatever becomes of it")
def t_lines():
	rig = new(mode="both", local_domains=["b.test"]).start()
	content = lib.message()
	def send(*args, **kw):
		return lambda: rig.send(*args, **kw)
	line = one_line(rig, send(content), id="4Q1TEST", verdict="sealed",
	    cause="flag", rcpts="1", reason=None)
	handle = lib.fake.json.loads(rig.key_server.requests[-1]
	    )["keys"][0]["key_id"]
	tap.equal(line["key"], handle, "key")
	tap.true(int(line["in"]) > len(content) and int(line["out"]) >
	    int(line["in"]), "bytes: %s" % line)
	tap.true(int(line["ms"]) >= int(line["keysrv_ms"]), "times")
	one_line(rig, send(lib.message(flag=None)), verdict="passed",
	    cause="no-flag", key="-", out="0")
	one_line(rig, send(content, recipients=["<a@x>", "<b@x>"]),
	    verdict="refused", cause="recipients", rcpts="2")
	one_line(rig, send(content, client="192.0.2.1"), verdict="stripped",
	    cause="flag-from-outside")
	one_line(rig, send(content, client="192.0.2.1",
	    recipients=["<x@c.test>"]), verdict="refused",
	    cause="not-entitled")
	sealed = rig.send(content).message
	line = one_line(rig, send(sealed), verdict="rewritten",
	    cause="sealed-mail")
	tap.true(line["key"] != "-", "its key")
	one_line(rig, send(sealed, recipients=["<x@c.test>"]),
	    verdict="passed", cause="sealed-already")
	line = one_line(rig, send(b"Counterfoil-Version: 1\r\n" +
	    lib.message(flag=None)), verdict="unchanged", cause="sealed-mail")
	tap.true(line["reason"], "why it is left alone")
	rig.key_server.usual = "503"
	line = one_line(rig, send(content), verdict="deferred", cause="busy")
	tap.contains(line["reason"], "The fake says 503", "reason")
	rig.key_server.reset()
	s = rig.session()

	def abort():
		s.begin(content)
		s.abort()
	one_line(rig, abort, verdict="aborted", cause="mail-server")
	s.quit()
	rig.stop()
	rig.start(log_level="info", log_passed=False)
	since = rig.log_from()
	rig.send(lib.message(flag=None))
	rig.send(content)
	tap.equal([x["verdict"] for x in lines(since())], ["sealed"],
	    "without log_passed")
	rig.stop()


@tap.case("the manual page names every cause that the program can give")
def t_causes():
	found = set()
	for name in ("trigger.c", "flag.c", "reply.c", "mf_callbacks.c", "eom.c"):
		text = proc.read_text(os.path.join(lib.TOP, "milter", "gateway",
		    name))
		for pattern in (r'refuse(?:_address)?\("([a-z-]+)"',
		    r'cause = "([a-z-]+)"', r'\{ "([a-z-]+)", CF_TRIGGER_',
		    r'return "([a-z]+(?:-[a-z]+)*)";', r'[?:]\s*"([a-z-]+)"',
		    r'cf_report_message\(queue_id\(ctx\), m, "[a-z]+",\s*'
		    r'"([a-z-]+)"'):
			found |= set(re.findall(pattern, text))
	# Two verdicts, and what a sentence says of no options.
	found -= {"refused", "deferred", "none"}
	# Trouble goes by the error's own word, but for a file.
	found |= set(re.findall(r'CF_CLASS_(?:TEMP|BUG), \d+, "([a-z-]+)"',
	    proc.read_text(os.path.join(lib.TOP, "common", "errors.def"))))
	found -= {"io", "full", "configuration", "mail-deferred", "mail-away"}
	for word in ("flag", "size", "stopping", "limit", "mail-server",
	    "internal", "flag-value", "recipient-address", "file",
	    "subject-tag"):
		tap.true(word in found, "%s is found: %s" % (word, found))
	page = proc.read_text(os.path.join(lib.TOP, "man",
	    "counterfoil-milter.8"))
	named = set(re.findall(r"(?m)^\.Ql ([a-z-]+)", page))
	tap.equal(sorted(found - named), [], "causes not in the page")


@tap.case("text from outside stays in its place")
def t_escaped():
	rig = new(mode="both", local_domains=["b.test"]).start()
	s = rig.session()
	s.queue_id = "A: sealed cause=x\n2026 forged\x1b[2J" + "x" * 90
	since = rig.log_from()
	s.send(lib.message())
	s.quit()
	rig.send(lib.message(), recipients=["<a\n: sealed cause=flag@x>"])
	rig.send(lib.message(), sender="<a\n: sealed cause=flag@x>")
	rig.send(lib.message(flag=b"X-Return-Receipt: a\nb: sealed cause=x"))
	rig.send(lib.message(flag=None), sender="<\xe4%n%s@x>")
	rig.send(b"Counterfoil-Version: 1\r\nA: \x1b[31m\r\n" +
	    lib.message(flag=None))
	got = lines(since())
	tap.equal([x["verdict"] for x in got], ["sealed", "refused",
	    "refused", "refused", "passed", "unchanged"], "verdicts: %s" % since())
	tap.true(re.fullmatch(r"A\?\?sealed\?cause=x\?2026\?forged\?.*",
	    got[0]["id"]), "queue id %r" % got[0]["id"])
	rig.stop()


@tap.case("counters: the form, the numbers, and what they are about")
def t_metrics():
	where = "127.0.0.1:%d" % proc.free_port()
	rig = new(mode="both", metrics_listen=where).start()
	before = metrics(rig)
	tap.equal(prometheus.value(before, P + "messages_total"), 0, "at first")
	tap.true(prometheus.value(before, P + "start_time_seconds") > 1e9,
	    "start time")
	for _ in range(3):
		rig.send(lib.message())
	rig.send(lib.message(flag=None))
	rig.send(lib.message(), recipients=["<a@x>", "<b@x>"])
	rig.key_server.usual = "500"
	rig.send(lib.message())
	rig.key_server.usual = "hold"
	s = rig.session()
	r = rig.ask(s, lib.message())
	# The sessions before have ended when the milter says so.
	proc.wait_for(lambda: prometheus.value(metrics(rig),
	    P + "connections") == 1, 60, "one connection")
	m = metrics(rig)

	def value(name, **labels):
		return prometheus.value(m, P + name, **labels)
	for verdict, cause, number in (("sealed", "flag", 3),
	    ("passed", "no-flag", 1), ("refused", "recipients", 1),
	    ("deferred", "protocol", 1)):
		tap.equal(value("messages_total", verdict=verdict, cause=cause),
		    number, verdict)
	tap.equal(value("messages_total"), 6, "all messages")
	server = rig.key_server.url
	tap.equal(value("key_requests_total", server=server, result="ok"), 3,
	    "keys got")
	tap.equal(value("key_requests_total", server=server), 5, "asked")
	tap.equal(value("key_request_seconds_count", server=server), 5,
	    "timed")
	tap.true(value("bytes_total", direction="out") >
	    value("bytes_total", direction="in") > 300, "bytes")
	tap.equal((value("messages_in_flight"), value("connections"),
	    value("key_requests_in_flight")), (1, 1, 1), "under way")
	tap.true(value("resident_memory_bytes") > 1e6 and
	    value("open_files") > 3, "of the process")
	rig.key_server.go.set()
	s.finish(r)
	s.quit()
	rig.process.send(signal.SIGHUP)
	proc.wait_for(lambda: prometheus.value(metrics(rig),
	    P + "reloads_total", result="ok") == 1, 60, "a reload")
	rig.write_config(mode="nonsense")
	rig.process.send(signal.SIGHUP)
	proc.wait_for(lambda: prometheus.value(metrics(rig),
	    P + "reloads_total", result="failed") == 1, 60, "a failed one")
	proc.wait_for(lambda: prometheus.value(metrics(rig),
	    P + "messages_in_flight") == 0, 60, "nothing under way")
	tap.equal(get(where, "/")[0], 404, "another path")
	status, headers, _ = get(where, method="POST")
	tap.equal((status, headers["Allow"]), (405, "GET, HEAD"), "POST")
	tap.equal(get(where, method="HEAD")[0], 200, "HEAD")
	rig.stop()


@tap.case("the counters' listener takes no malformed header and no slow client")
def t_metrics_hard():
	port = proc.free_port()
	rig = new(metrics_listen="127.0.0.1:%d" % port).start()
	for more in (b"Host: y\r\n", b"X: a\x01b\r\n"):
		with socket.create_connection(("127.0.0.1", port), 60) as s:
			s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n%s\r\n"
			    % more)
			tap.equal(s.recv(12), b"HTTP/1.1 400", repr(more))
	with socket.create_connection(("127.0.0.1", port), 60) as s:
		s.settimeout(0.5)
		s.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
		def is_closed():
			try:
				s.sendall(b"a")
				return s.recv(1) == b""
			except TimeoutError:
				return False
			except ConnectionError:
				return True
		proc.wait_for(is_closed, 60, "to be broken off")
	tap.equal(get(rig.options["metrics_listen"])[0], 200, "others")
	rig.stop()


@tap.case("counters on a unix socket; and not where the world reaches them")
def t_metrics_place():
	rig = new()
	path = os.path.join(rig.run, "metrics.sock")
	rig.start(metrics_listen="unix:" + path)
	tap.equal(stat.S_IMODE(os.stat(path).st_mode), 0o660, "mode")
	metrics(rig)
	rig.process.kill()
	rig.start()
	metrics(rig)
	since = rig.log_from()
	rig.write_config(metrics_listen="unix:" + path + "2")
	rig.process.send(signal.SIGHUP)
	rig.wait_log(since, "only a restart makes it count: metrics_listen")
	rig.stop()
	tap.equal(os.listdir(rig.run), [], "left behind")
	for value, text in (("0.0.0.0:9999", "metrics_public"),
	    ("nonsense", "ADDRESS:PORT"), ("192.0.2.1:9999",
	    "can be reached"), ("unix:/tmp/metrics.sock",
	    "others could put")):
		rig.write_config(metrics_listen=value)
		for args in ((), ("-n", "--offline", "--no-mta")):
			status, out, err = run("-c", rig.config, *args)
			tap.equal(status, 78, "exit status")
			tap.contains(out + err, text, "message")
			tap.true(re.search(re.escape(rig.config) +
			    r":\d+: metrics_listen: ", out + err), out + err)
	port = proc.free_port()
	rig.start(metrics_listen="0.0.0.0:%d" % port, metrics_public=True)
	tap.equal(get("127.0.0.1:%d" % port)[0], 200, "when told so")
	rig.stop()


@tap.case("the reader of the counters' form finds what is wrong with one")
def t_parser():
	good = "# HELP a_total x\n# TYPE a_total counter\n" \
	    'a_total{b="c\\"d"} 1\n'
	tap.equal(prometheus.value(prometheus.parse(good), "a_total"), 1,
	    "a good one")
	for bad in (good[:-1], good + good, good + "b 1\n",
	    good.replace('"c', "c"), good.replace("{", " {"),
	    good.replace("counter", "thing"), good.replace("# HELP", "#"),
	    good + 'a_total{b="c\\"d"} 2\n', good.replace("a_total", "a"),
	    good.replace("} 1", "} one"), good.replace("c\\", "c\n")):
		tap.raises(prometheus.Malformed,
		    lambda: prometheus.parse(bad), repr(bad))


@tap.case("the alert rules name counters that there are")
def t_rules():
	where = "127.0.0.1:%d" % proc.free_port()
	rig = new(metrics_listen=where).start()
	rig.send(lib.message())
	prometheus.check_rules("counterfoil.rules.yml", P, where)
	rig.stop()


def findings(rig, *args):
	"""(exit status, {subject: finding} of -n without a mail server)"""
	rig.write_config()
	status, out, _ = run("-n", "--no-mta", "-c", rig.config, *args)
	found = {}
	for line in out.splitlines()[:-1]:
		level, subject, text = re.fullmatch(
		    r"(ok|warning|error): (https?://\S+|[\w ]+): (.*)",
		    line).groups()
		if subject not in ("configuration", "store_directory"):
			found[subject] = level + ": " + text
	return status, found


PAGE = b'<!doctype html><meta name="generator" content="Counterfoil">'


class Web(http.server.ThreadingHTTPServer):
	"""Answers every GET alike; `asked` has the paths."""

	daemon_threads = True

	def __init__(self, page=PAGE, status=200, tls=None, silent=False):
		self.asked, self.quiet = [], threading.Event()
		web = self

		class Handler(http.server.BaseHTTPRequestHandler):
			def do_GET(self):
				web.asked.append(self.path)
				if silent:
					web.quiet.wait(60)
				self.send_response(status)
				self.send_header("Content-Length", len(page))
				self.end_headers()
				self.wfile.write(page)

			def log_message(self, *args):
				pass

		super().__init__(("127.0.0.1", 0), Handler)
		if tls:
			context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
			context.load_cert_chain(*tls)
			self.socket = context.wrap_socket(self.socket,
			    server_side=True)
		self.url = "%s:%d" % ("https://localhost" if tls
		    else "http://127.0.0.1", self.server_address[1])
		threading.Thread(target=self.serve_forever, daemon=True).start()

	def handle_error(self, *args):
		pass			# who does not like our certificate

	def close(self):
		self.quiet.set()
		self.shutdown()
		self.server_close()


def of_reader(rig, web, **options):
	"""(exit status, finding) of -n about the reader at web."""
	try:
		rig.options.update(options, reader_url=web.url)
		status, found = findings(rig)
		return status, found[web.url]
	finally:
		web.close()


@tap.case("-n gets the page that links lead to")
def t_check_reader():
	rig = new(mode="inbound")
	web = Web()
	tap.equal(of_reader(rig, web), (0, "ok: the recipients' page is there"),
	    "ours")
	tap.true(re.fullmatch(r"/m/[A-Za-z0-9_-]{22}", web.asked[0]),
	    "what is asked for: %s" % web.asked)
	for kw, options, code, word in (
	    ({"page": b"<h1>It works!</h1>"}, {}, 0, "warning: there is a page, "
	    "but not"), ({"status": 404}, {}, 78, "error: it answers 404"),
	    ({"status": 302}, {}, 78, "error: it answers 302"),
	    ({"page": b"x" * (9 << 20)}, {}, 0, "warning: "),
	    ({"silent": True}, {"request_timeout_s": 1}, 0, "warning: ")):
		status, finding = of_reader(rig, Web(**kw), **options)
		tap.true((status, finding.startswith(word)) == (code, True),
		    "%s: %s %s" % (kw, status, finding))
	rig.options["reader_url"] = "http://127.0.0.1:%d" % proc.free_port()
	status, found = findings(rig)
	tap.equal(status, 0, "nobody there")
	tap.contains(found[rig.options["reader_url"]], "warning: ", "finding")
	tap.equal(findings(rig, "--offline"), (0, {}), "--offline")


@tap.case("-n looks at the reader's certificate as a browser does")
def t_check_reader_tls():
	rig = new(mode="inbound")
	authority = ca.Authority(os.path.join(rig.folder, "ca"))
	for name, hosts, days, trusted, code, word in (
	    ("known", ("localhost",), (0, 9), True, 0,
	    "warning: its certificate is one of ca_file"),
	    ("other", ("other.test",), (0, 9), True, 78, "for another name"),
	    ("late", ("localhost",), (-9, -1), True, 78, "has expired"),
	    ("stranger", ("localhost",), (0, 9), False, 78,
	    "browsers refuse it")):
		status, finding = of_reader(rig, Web(tls=authority.server(name,
		    hosts, days=days)), ca_file=authority.file if trusted
		    else None)
		tap.contains(finding, word, name)
		tap.equal(status, code, "exit status: " + finding)


@tap.case("-n as root knows a service manager's user by the store")
def t_check_as_root():
	rig = new(mode="inbound")
	nobody = pwd.getpwnam("nobody")
	for path in (rig.store, rig.run, rig.folder, rig.token_file):
		os.chown(path, nobody.pw_uid, -1)
	rig.write_config()
	daemon = proc.Process("counterfoil-milter", ["setpriv", "--reuid",
	    "nobody", "--regid", str(nobody.pw_gid), "--clear-groups",
	    proc.program("counterfoil-milter"), "-c", rig.config], rig.log)
	args = ("-n", "--no-mta", "--offline", "-c", rig.config)
	for running in (True, False):
		if running:
			daemon.wait_ready(
			    lambda: " serves on " in daemon.said())
		status, out, err = run(*args)
		tap.equal((status, err), (0, ""), "exit status: " + out)
		tap.contains(out, "looked at as user nobody", "whom it knows")
		tap.lacks(out, "warning:", "findings")
		if running:
			tap.equal(daemon.stop(), 0, "the milter's end")
	# The milter itself, as root, does not take such a place.
	status, _, err = run("-c", rig.config)
	tap.equal((status, "belongs to user" in err), (78, True), err)
	# Nor -n the place of somebody else, as whose the store is not.
	os.chown(rig.run, pwd.getpwnam("daemon").pw_uid, -1)
	status, out, _ = run(*args)
	tap.equal((status, "belongs to user" in out), (78, True), out)
	tap.lacks(out, "store_directory belongs", "a store that is nobody's fault")
	os.chown(rig.run, nobody.pw_uid, -1)
	os.chown(rig.store, 0, -1)
	status, out, _ = run(*args)
	tap.equal((status, "belongs to user" in out), (78, True), out)
	tap.contains(out, "\nerror: configuration: store_directory belongs to "
	    "root", "the cause")
	tap.contains(out, "would run as root", "it went on")


@tap.case("-n says what was set up and does nothing")
def t_check_triggers():
	rig = new()

	def said(**options):
		rig.write_config(**options)
		return run("-n", "--no-mta", "--offline", "-c", rig.config)[1]
	text = said()
	tap.contains(text, "\nok: configuration: no triggers are on: ", "default")
	tap.true(text.endswith("\n0 errors, 1 warning\n"), "root alone: " + text)
	tap.contains(said(subject_tag="[r!]"), "\nwarning: configuration: "
	    "subject_tag is set", "a tag")
	tap.lacks(said(triggers=["subject-tag"]), "triggers", "with its trigger")
	tap.contains(said(triggers=None, subject_tag=None, dry_run=True),
	    "\nwarning: configuration: dry_run is set", "dry_run")
	rig.options.update(dry_run=None)
	tap.lacks(said(mode="inbound", subject_tag="[r!]"), "triggers",
	    "inbound")


@tap.case("-n asks each key server: there, by its name, with our token?")
def t_check_servers():
	rig = new()
	good = rig.key_server.url
	away = "http://127.0.0.1:%d" % proc.free_port()
	status, found = findings(rig)
	tap.equal((status, found[good]), (0, "ok: the key server answers and "
	    "takes our token"), "a good one")
	rig.options["key_servers"] = [good, away]
	status, found = findings(rig)
	tap.equal(status, 0, "one of two is there")
	tap.true(found[away].startswith("warning: "), found[away])
	rig.options["key_servers"] = [away]
	status, found = findings(rig)
	tap.equal(status, 78, "nobody is there")
	tap.contains(found[away], "waits until it can be reached", "finding")
	tap.lacks(found[away], away, "its URL a second time")
	tap.equal(findings(rig, "--offline"), (0, {}), "--offline")
	rig.options["key_servers"] = [good]
	proc.write_file(rig.token_file, lib.fake.b64(os.urandom(32)) + "\n",
	    0o600)
	status, found = findings(rig)
	tap.equal(status, 78, "wrong token")
	tap.contains(found[good], "api_token_file", "finding")
	tap.lacks(found[good], rig.key_server.token, "finding")


@tap.case("-n says what is wrong with a key server's certificate")
def t_check_tls():
	rig = new()
	authority = ca.Authority(os.path.join(rig.folder, "ca"))
	for name, hosts, days, trusted, want in (
	    ("good", ("localhost",), (0, 9), True, "ok: "),
	    ("other", ("other.test",), (0, 9), True, "for another name"),
	    ("late", ("localhost",), (-9, -1), True, "has expired"),
	    ("stranger", ("localhost",), (0, 9), False, "not known here")):
		front = proxy.Proxy(Upstream(rig.key_server), proc.free_port(),
		    tls=authority.server(name, hosts, days=days)).start()
		try:
			rig.options["key_servers"] = [front.url]
			rig.options["ca_file"] = authority.file if trusted \
			    else None
			status, found = findings(rig)
		finally:
			front.stop()
		tap.contains(found[front.url], want, name)
		tap.equal((found[front.url][:4] == "ok: ", status),
		    (True, 0) if name == "good" else (False, 78), name)


class Upstream:
	"""What lab.proxy wants to know of a key server."""

	def __init__(self, server):
		self.url = server.url
		self.port = int(server.url.rsplit(":", 1)[1])


def try_out(rig, content, *args):
	"""(exit status, message, {name: value} of the report)"""
	path = os.path.join(rig.folder, "message.eml")
	proc.write_file(path, content)
	done = subprocess.run([proc.program("counterfoil-milter"), "-c",
	    rig.config, "-t", path, *args], capture_output=True, timeout=60)
	report = {}
	for line in done.stderr.decode("ascii").splitlines():
		name, value = line.split(": ", 1)
		report[name] = value
	return done.returncode, done.stdout, report


@tap.case("-t seals as the milter does, without a key, a store or a secret")
def t_try_sealed():
	rig = new(mode="both", local_domains=["b.test"])
	rig.write_config()
	before = sorted(os.listdir(rig.folder))
	content = lib.message(b"very private\r\n" * 40000,
	    extra=[b"Bcc: x@y", b"Content-Type: text/plain;\r\n a=b",
	    b"X-Long: a\r\n\tb"])
	status, out, report = try_out(rig, content, "--from", "alice@a.test",
	    "--to", "<bob@b.test>")
	tap.equal((status, report["verdict"], report["cause"]),
	    (0, "sealed", "flag"), "report %s" % report)
	tap.contains(report["note"], "made up", "note")
	tap.contains(report["bytes"], " in, ", "sizes")
	tap.equal(rig.key_server.requests, [], "requests")
	tap.equal(rig.blobs(), [], "the store")
	tap.equal(sorted(os.listdir(rig.folder)), sorted(before +
	    ["message.eml"]), "files made")
	tap.lacks(out, b"very private", "output")
	sealed = lib.Sealed(out)
	tap.true(sealed.locator.startswith(rig.key_server.url + "/k/"), "L")
	rig.start()
	real = rig.send(content)
	def outside(message):
		fields, _ = client.split_message(message)
		return [f for f in fields if f[0] != b"Content-Type"]
	tap.equal(outside(out), outside(real.message), "fields outside")
	real_sealed = lib.Sealed(real.message)
	for part in ("text", "html"):
		plain = [re.sub(r"http[^\s\"<]*", "", getattr(s, part))
		    for s in (sealed, real_sealed)]
		tap.equal(plain[0], plain[1], "the notice's " + part)
	tap.equal(len(sealed.e), len(real_sealed.e), "length of E")
	status, again, _ = try_out(rig, content.replace(b"\r\n", b"\n"),
	    "--from", "alice@a.test", "--to", "bob@b.test")
	tap.equal((status, len(lib.Sealed(again).e)), (0, len(sealed.e)),
	    "with LF")
	status, out, report = try_out(rig, real.message, "--to",
	    "bob@b.test")
	tap.equal((status, report["verdict"]), (0, "rewritten"), "inbound: %s"
	    % report)
	notice = lib.Sealed(out)
	tap.equal(notice.e, real_sealed.e, "the sealed part")
	tap.equal(notice.blob, real_sealed.blob, "the link it would have")
	tap.equal(len(rig.blobs()), 1, "the store")
	rig.stop()


@tap.case("-t: what is refused, deferred, stripped, passed")
def t_try_others():
	rig = new(mode="both", local_domains=["b.test"], networks=["10.0.0.1"],
	    entitled_daemons=["HOP"], message_size_limit=100000)
	rig.write_config()
	content = lib.message()
	bare = lib.message(flag=None)
	inside = ("--client", "10.0.0.1")
	to = ("--to", "bob@b.test")
	for args, mail, want in (
	    (inside + to, content, (0, "sealed", "flag")),
	    (("--user", "u") + to, content, (0, "sealed", "flag")),
	    (("--daemon", "HOP") + to, content, (0, "sealed", "flag")),
	    (("--daemon", "X") + to, content, (0, "stripped",
	    "flag-from-outside")),
	    (("--to", "x@c.test"), content, (69, "refused", "not-entitled")),
	    (inside + to + to, content, (69, "refused", "recipients")),
	    (inside + ("--from", ""), content, (69, "refused",
	    "null-sender")),
	    (inside, lib.message(b"x" * 90000), (69, "refused", "size")),
	    (inside, bare, (0, "passed", "no-flag")),
	    (to, b"Counterfoil-Version: 1\r\n" + bare, (0, "unchanged",
	    "sealed-mail"))):
		status, out, report = try_out(rig, mail, *args)
		tap.equal((status, report["verdict"], report["cause"]), want,
		    "%s: %s" % (args, report))
		if want[1] == "stripped":
			tap.equal(out, bare, "without the flag")
		elif want[1] in ("passed", "unchanged"):
			tap.equal(out, mail, "as it came")
		elif want[0] != 0:
			tap.equal(out, b"", "nothing goes on")
			tap.true(re.match(r"5\d\d 5\.\d\.\d \S",
			    report["reply"]), "reply %r" % report["reply"])
	status, _, report = try_out(rig, lib.message(
	    flag=b"X-Return-Receipt: \x1b[2J\n forged: x"), *inside)
	tap.equal(status, 69, "a hostile flag")
	tap.contains(report["reply"], "?[2J", "escaped")
	tap.equal(try_out(rig, content, "--client", "nobody")[0], 64,
	    "no address")
	status, out, _ = run("-c", rig.config, "-t", "/nonexistent")
	tap.equal((status, out), (78, ""), "no such file")


# Each cause that a mail server's side can bring about, and what brings it:
# fields, body, envelope.  Those of a key server are not for -t, which asks
# none.
FLAG = b"X-Return-Receipt: yes"
SEALED_MAIL = b"Counterfoil-Version: 1"
AS_SET_UP = (
    ("two-flags", [FLAG, FLAG], b"", {}),
    ("flag-value", [b"X-Return-Receipt: colour=red"], b"", {}),
    ("flag-value", [b"X-Return-Receipt: no"], b"", {}),
    ("flag-not-offered", [b"X-Return-Receipt: require=mailbox"], b"", {}),
    ("flag-spelling", [b"X_Return_Receipt: yes"], b"", {}),
    ("flag-spelling", [b"Subject: x\r\n X-Return-Receipt: yes"], b"", {}),
    ("flag-in-body", [b"Subject: x"], FLAG + b"\r\n", {}),
    ("flag-in-body", [], b"X-Return Receipt: yes\r\nTo: x\r\n\r\nx", {}),
    ("flag-in-body", [], b"no field\r\n" + FLAG + b"\r\nTo: x\r\n\r\n", {}),
    ("no-flag", [], FLAG + b"\r\n", {"client": "192.0.2.9"}),
    ("no-flag", [], FLAG + b" is a field\r\n" * 9000, {}),
    ("null-sender", [FLAG], b"", {"sender": ""}),
    ("sender-address", [FLAG], b"", {"sender": '"al ice"@a.test'}),
    ("recipient-address", [FLAG], b"", {"to": ["b" * 400 + "@c.test"]}),
    ("report", [FLAG, b"Content-Type: multipart/report; boundary=x; "
	b"report-type=disposition-notification"], b"", {}),
    ("automatic", [FLAG, b"Auto-Submitted: auto-replied"], b"", {}),
    ("list", [FLAG, b"List-Id: <x.a.test>"], b"", {}),
    ("recipients", [FLAG], b"", {"to": ["bob@c.test", "eve@c.test"]}),
    ("field-size", [FLAG, b"X-Long: " + b"x" * 59500], b"", {}),
    ("header-size", [FLAG] + [b"X-N: %d" % i for i in range(30)], b"", {}),
    ("size", [FLAG], b"y" * 40000, {}),
    ("not-entitled", [FLAG], b"", {"client": "192.0.2.9"}),
    ("file", [FLAG], b"z" * 200000, {}),
    ("no-room", [SEALED_MAIL], b"z" * 200000, {"to": ["bob@b.test"]}),
    ("no-flag", [], b"", {}),
    ("sealed-already", [SEALED_MAIL], b"", {}),
    ("sealed-mail", [SEALED_MAIL], b"", {"to": ["bob@b.test"]}),
    ("flag-from-outside", [FLAG], b"", {"to": ["bob@b.test"],
	"client": "192.0.2.9"}),
    ("rule", [], b"", {"to": ["rule@c.test"]}),
    ("subject-tag", [b"Subject: [receipt] x"], b"", {}),
    ("list", [b"Subject: [receipt] x", b"Precedence: list"], b"", {}),
)
IN_A_CROWD = (
    ("limit", [FLAG], b"y\r\n" * 1000, {}),
    ("limit", [SEALED_MAIL], b"y\r\n" * 1000, {"to": ["bob@b.test"]}),
    ("limit", [FLAG] + [b"X: " + b"x" * 900] * 9, b"", {}),
)
NOT_OUTBOUND = (("not-outbound", [FLAG], b"", {}),)


def compare(rig, cause, fields, body, envelope):
	"""The milter and -t say the same of a message, down to the letter."""
	content = b"".join(f + b"\r\n" for f in fields) + b"\r\n" + body
	sender = envelope.get("sender", "alice@a.test")
	to = envelope.get("to", ["bob@c.test"])
	client_ip = envelope.get("client", "127.0.0.1")
	result = []
	line = one_line(rig, lambda: result.append(rig.send(content,
	    "<%s>" % sender, ["<%s>" % r for r in to], client=client_ip)))
	args = ["--from", sender, "--client", client_ip]
	for r in to:
		args += ["--to", r]
	_, _, report = try_out(rig, content, *args)
	tap.equal(line["cause"], cause, "cause")
	if line["verdict"] == "refused":
		tap.true(line["reason"], "the line says why")
	tap.equal([report.get(k) for k in ("verdict", "cause", "reason",
	    "reply")], [line["verdict"], cause, line["reason"],
	    result[0].text or None], "-t of %s" % cause)


def rig_for(table, **options):
	rig = new(**dict({"mode": "both", "local_domains": ["b.test"],
	    "triggers": ["subject-tag"]}, **options))
	path = os.path.join(rig.folder, "policy")
	proc.write_file(path, "to rule@c.test receipt=always\n")
	rig.start(policy_file=path)
	for row in table:
		compare(rig, *row)
	rig.stop()


@tap.case("-t and the milter answer alike, whatever the cause")
def t_try_alike():
	small = proc.private_dir("cf-small-")
	proc.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs",
	    small])
	try:
		rig_for(AS_SET_UP, memory_limit=1000, header_count=20,
		    message_size_limit=50000, spool_directory=small)
	finally:
		proc.run(["umount", small])
		proc.remove_tree(small)
	rig_for(IN_A_CROWD, body_total=1024, header_total=6000)
	rig_for(NOT_OUTBOUND, mode="inbound")


def limited(rig, name):
	return prometheus.value(metrics(rig), P + "limited_total", limit=name)


def hold_one(rig, content):
	"""A message whose key does not come; (session, result)."""
	rig.key_server.usual = "hold"
	s = rig.session()
	return s, rig.ask(s, content)


@tap.case("limits on what all peers together make us hold: what concerns us "
    "waits, the rest passes")
def t_limits():
	body = b"x" * 30000
	for name, value, other in (("max_messages", 1, b"short\r\n"),
	    ("header_total", 1500, b"short\r\n"),
	    ("body_total", 50000, body)):
		rig = new(mode="both", local_domains=["b.test"],
		    metrics_listen="127.0.0.1:%d" % proc.free_port(),
		    **{name: value}).start()
		first = lib.message(body, extra=[b"X-Big: " + b"y" * 700])
		second = lib.message(other, extra=[b"X-Big: " + b"y" * 700])
		sealed = rig.send(lib.message(other)).message
		rig.key_server.reset()
		s, r = hold_one(rig, first)
		one_line(rig, lambda: lib.check_refused(rig.send(second),
		    "451 4.3.2", ["too much to do"]), verdict="deferred",
		    cause="limit", reason=name + " is reached")
		one_line(rig, lambda: tap.equal(rig.send(lib.message(other,
		    flag=None)).verdict, "accept", "unflagged"),
		    verdict="passed", cause="no-flag")
		if name == "max_messages":
			lib.check_refused(rig.send(sealed), "451 4.3.2")
		if name != "body_total":
			lib.check_refused(rig.send(second, recipients=["<a@b>",
			    "<c@d>"]), "550")
		tap.true(limited(rig, name) >= 1, "counted")
		held = metrics(rig)
		tap.true(prometheus.value(held, P + "held_header_bytes") > 700,
		    "header held")
		tap.true(prometheus.value(held, P + "held_body_bytes") > 29000,
		    "body held")
		rig.key_server.go.set()
		tap.equal(s.finish(r).verdict, "accept", "the first")
		s.quit()
		rig.key_server.reset()
		content = lib.message(other)
		lib.check_sealed(rig, rig.send(content), content)
		proc.wait_for(lambda: not any(prometheus.value(metrics(rig),
		    P + n) for n in ("held_header_bytes", "held_body_bytes",
		    "messages_in_flight", "connections")), 60,
		    "everything given back")
		rig.stop()


@tap.case("inbound: a limit lets sealed mail pass where the site says so")
def t_limit_pass():
	rig = new(mode="inbound", on_inbound_failure="pass",
	    body_total=1024).start()
	mail = b"Counterfoil-Version: 1\r\n" + lib.message(b"z" * 5000,
	    flag=None)
	line = one_line(rig, lambda: tap.equal(rig.send(mail).message, mail,
	    "as it came"), verdict="unchanged")
	tap.contains(line["reason"], "body_total is reached", "reason")
	rig.stop()


@tap.case("too many connections: closed at once, the others go on")
def t_connections():
	rig = new(max_connections=3,
	    metrics_listen="127.0.0.1:%d" % proc.free_port()).start()
	sessions = [rig.session() for _ in range(3)]
	tap.raises(client.Broken, rig.session, "a fourth")
	tap.equal(limited(rig, "max_connections"), 1, "counted")
	content = lib.message()
	for s in sessions:
		lib.check_sealed(rig, s.send(content), content)
	sessions.pop().quit()

	def again():
		try:
			sessions.append(rig.session())
		except client.Broken:
			return False
		return True
	proc.wait_for(again, 60, "room for another")
	for s in sessions:
		lib.check_sealed(rig, s.send(content), content)
		s.quit()
	rig.stop()


@tap.case("one message: header fields, their bytes and recipients are bounded")
def t_one_message():
	rig = new(header_limit=3000, header_count=20,
	    metrics_listen="127.0.0.1:%d" % proc.free_port()).start()
	for extra in ([b"X-A: " + b"y" * 3000], [b"X-A: b"] * 30):
		lib.check_refused(rig.send(lib.message(extra=extra)), "552")
	# Each recipient is answered: then it was read.
	s = rig.session(steps=client.STEPS & ~client.NR_RCPT)
	many = ["<%s@%s.test>" % ("u" * 900, i) for i in range(1000)]
	s.envelope("<alice@a.test>", many, client.Result())

	def held():
		return prometheus.value(metrics(rig), P + "held_header_bytes")
	tap.true(80000 < held() < 100 * 1000, "100 of 1000 recipients held: "
	    "%d" % held())
	result = client.Result()
	s.header([(b"X-Return-Receipt", b" yes")], result)
	s.send_body(b"Hello\r\n", result)
	tap.contains(result.text, "one recipient per transaction", "reply")
	tap.equal(held(), 0, "given back")
	s.envelope("<alice@a.test>", many, client.Result())
	tap.true(held() > 80000, "held again")
	s.put(b"L", b"X-A\0 b\0")
	s.send_macros(b"N", [("i", "Q")])
	s.close()
	proc.wait_for(lambda: held() == 0, 60, "given back")
	rig.stop()


def age(path, seconds):
	then = time.time() - seconds
	os.utime(path, (then, then))


@tap.case("what a killed milter left half written goes at the next start")
def t_sweep():
	rig = new()
	spool = os.path.join(rig.folder, "spool")
	os.mkdir(spool, 0o700)
	names = [".new.AAAAAA", ".new.LOCKED", ".new.YOUNG1", ".new.short",
	    "ab", ".spool.AAAAAA", ".secret.AAAAAA", ".new.FOLDER"]
	for folder in (rig.store, spool):
		for name in names[:-1]:
			path = os.path.join(folder, name)
			with open(path, "w") as f:
				f.write("x")
			if "YOUNG" not in name:
				age(path, 120)
		os.mkdir(os.path.join(folder, names[-1]))
		age(os.path.join(folder, names[-1]), 120)
		os.symlink(rig.token_file, os.path.join(folder,
		    ".new.ALINK1"))
	age(rig.token_file, 120)
	with open(os.path.join(rig.store, ".new.LOCKED")) as writer:
		fcntl.flock(writer, fcntl.LOCK_EX)
		since = rig.log_from()
		rig.start(spool_directory=spool)
		kept = [n for n in names if "AAAAAA" not in n] + [".new.ALINK1"]
		tap.equal(sorted(os.listdir(rig.store)), sorted(kept +
		    [".secret"]), "store")
		tap.contains(since(), "removed 3 half-written files from "
		    + rig.store, "log")
		kept.remove(".new.LOCKED")
		tap.equal(sorted(os.listdir(spool)), sorted(kept), "spool")
		rig.stop()
	rig.start()
	tap.true(".new.LOCKED" not in os.listdir(rig.store), "let go of")
	tap.true(os.path.exists(rig.token_file), "what the link named")
	rig.stop()


DAY = 86400


@tap.case("sealed messages whose time is over go: at the start, at a reload, "
    "several milters at a time")
def t_expire():
	rig = new().start()
	for flag in (b"yes", b"yes", b"yes", b"expires=2d"):
		rig.key_server.reset()
		content = lib.message(flag=b"X-Return-Receipt: " + flag)
		lib.check_sealed(rig, rig.send(content), content)
	own, = [b for b in rig.blobs() if os.stat(b).st_mtime >
	    time.time() + DAY]
	tap.true(abs(os.stat(own).st_mtime - time.time() - 32 * DAY) < 3600,
	    "30 days after its end")
	old, edge, new_one = [b for b in rig.blobs() if b != own]
	age(old, 402 * DAY)
	age(edge, 399 * DAY)
	other = os.path.join(os.path.dirname(old), "notes.txt")
	with open(other, "w"):
		pass
	age(other, 402 * DAY)
	since = rig.log_from()
	rig.stop()
	rig.start()
	rig.wait_log(since, "removed 1 sealed messages from " + rig.store)
	rig.wait_log(since, " has 3 sealed messages, ")
	tap.equal(sorted(rig.blobs()), sorted([edge, new_one, own, other]),
	    "what is left")
	def reload(left, **changes):
		since = rig.log_from()
		rig.write_config(**changes)
		rig.process.send(signal.SIGHUP)
		rig.wait_log(since, " has %d sealed messages, " % left)
	# For ever, then less: what is there goes by it, but for its own end.
	reload(3, store_keep_s=0)
	reload(2, store_keep_s=300 * DAY)
	tap.equal(sorted(rig.blobs()), sorted([new_one, own, other]), "less")
	# Another one that shares the store, as many do.
	for blob in (new_one, own):
		age(blob, 500 * DAY)
	twin = new(store_directory=rig.store).start()
	reload(0)
	tap.equal(rig.blobs(), [other], "all went")
	tap.lacks(rig.log_text() + twin.log_text(), "cannot be removed", "log")
	content = lib.message()
	rig.key_server.reset()
	lib.check_sealed(rig, rig.send(content), content)
	twin.stop()
	rig.stop()


@tap.case("what cannot be removed is told, and stays")
def t_expire_not():
	rig = new().start()
	rig.send(lib.message())
	blob, = rig.blobs()
	age(blob, 402 * DAY)
	proc.run(["mount", "--bind", os.path.dirname(blob),
	    os.path.dirname(blob)])
	try:
		proc.run(["mount", "-o", "remount,bind,ro",
		    os.path.dirname(blob)])
		since = rig.log_from()
		rig.process.send(signal.SIGHUP)
		rig.wait_log(since, "1 sealed messages in %s, whose time is over, "
		    "cannot be removed: Read-only" % rig.store)
		tap.equal(rig.blobs(), [blob], "the store")
	finally:
		proc.run(["umount", os.path.dirname(blob)])
	rig.stop()


@tap.case("the socket's directory: whose it is, and those above it")
def t_socket_place():
	nobody = pwd.getpwnam("nobody")
	rig = new()
	above = os.path.join(rig.folder, "above")
	place = os.path.join(above, "run")
	os.makedirs(place)
	link = os.path.join(rig.folder, "link")
	os.symlink(place, link)
	rig.write_config(socket="unix:" + place + "/milter.sock")

	def start(text):
		for args in ((), ("-n", "--offline", "--no-mta")):
			status, out, err = run("-c", rig.config, *args)
			tap.equal(status, 78, "exit status, %s" % text)
			tap.contains(out + err, rig.config + ":", "the line")
			tap.contains(out + err, text, "message")
			tap.equal(os.listdir(place), [], "what is left")
	os.chown(place, nobody.pw_uid, -1)
	start("belongs to user")
	os.chown(place, 0, -1)
	os.chown(above, nobody.pw_uid, -1)
	start("could move what is below it")
	os.chmod(above, 0o1755)
	start("could move what is below it")
	os.chown(above, 0, -1)
	os.chmod(above, 0o777)
	start("others could move")
	rig.write_config(socket="unix:" + link + "/milter.sock")
	start("others could move")
	rig.write_config(socket="unix:/tmp/milter-%d.sock" % os.getpid())
	start("others could put")
	os.chmod(above, 0o1777)
	rig.address = "unix:" + link + "/milter.sock"
	rig.start(socket=rig.address)
	content = lib.message()
	lib.check_sealed(rig, rig.send(content), content)
	since = rig.log_from()
	status, _, err = run("-c", rig.config)
	tap.equal(status, 78, "a second one")
	tap.contains(err, "another program listens", "message")
	lib.check_sealed(rig, rig.send(content), content)
	tap.lacks(since(), "stopped", "the first one")
	rig.stop()


def of_process(rig, name, field):
	"""The number behind `field` in a file below /proc/PID."""
	return int(re.search(r"(?m)^%s[: ]\s*(\d+)" % field, proc.read_text(
	    "/proc/%d/%s" % (rig.process.pid, name))).group(1))


@tap.case("secrets stay out of swap and core files; else it says so")
def t_kept_in_memory():
	rig = new().start()
	content = lib.message()
	for _ in range(2):
		tap.true(of_process(rig, "status", "VmLck") > 0,
		    "locked memory")
		tap.equal(of_process(rig, "limits", "Max core file size"), 0,
		    "core files")
		tap.lacks(rig.log_text(), "swap", "the log")
		rig.process.send(signal.SIGHUP)
		rig.wait_log(rig.log_text, "configuration reloaded")
	rig.stop()
	proc.write_file(rig.log, "")
	rig.start(under=("setpriv", "--bounding-set", "-ipc_lock",
	    "--inh-caps", "-ipc_lock", "prlimit", "--memlock=0:0"))
	tap.contains(rig.log_text(), "warn: the API token and the reference "
	    "secret may be written to swap: mlock: ", "the log")
	tap.contains(rig.log_text(), "LimitMEMLOCK", "the log")
	lib.check_sealed(rig, rig.send(content), content)
	rig.stop()
	rig.start(core_dumps=True, under=("prlimit", "--core=1000:2000"))
	tap.equal(of_process(rig, "limits", "Max core file size"), 2000,
	    "core files that were asked for")
	rig.stop()


@tap.case("the unit gives a stop more time than drain_s takes")
def t_unit():
	unit = proc.read_text(os.path.join(lib.TOP, "contrib", "systemd",
	    "counterfoil-milter.service.in"))
	kill_s = int(re.search(r"(?m)^TimeoutStopSec=(\d+)$", unit).group(1))
	rig = new()
	rig.write_config()
	drain_s = int(re.search(r"(?m)^drain_s = (\d+)$", run("-c",
	    rig.config, "--print-config")[1]).group(1))
	tap.true(drain_s + 15 < kill_s, "%d s and %d s" % (drain_s, kill_s))
	tap.contains(unit, "ExecReload=/bin/kill -HUP $MAINPID", "reload")
	# What it promises: a message under way ends, whatever is asked of us.
	rig.start()
	s, r = hold_one(rig, lib.message())
	rig.process.send(signal.SIGHUP)
	rig.process.send(signal.SIGTERM)
	rig.wait_log(lambda: rig.log_text(), "1 messages under way")
	rig.process.send(signal.SIGTERM)
	rig.process.send(signal.SIGHUP)
	rig.key_server.go.set()
	tap.equal(s.finish(r).verdict, "accept", "verdict")
	lib.Sealed(r.message)
	tap.equal(rig.process.wait(60), 0, "exit status")
	tap.equal(len(rig.blobs()), 1, "E in the store")
	rig.process = None
	s.close()


tap.main(teardown=end)
