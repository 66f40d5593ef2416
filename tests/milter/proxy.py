#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The key server is behind a proxy: the way there, and what can go wrong."""

import base64
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig as lib  # noqa: E402
from rig import fake, proc, tap  # noqa: E402
from lab import ca, forward  # noqa: E402

LOGIN = "CORP\\gate:p%41ss:w0rd+/\u00e9"	# which curl would decode
PASSWORD = LOGIN.partition(":")[2]


class World:
	folder = authority = certificate = None
	proxies = []


def setup():
	World.folder = proc.private_dir("cf-proxy-")
	World.authority = ca.Authority(os.path.join(World.folder, "ca"))
	World.certificate = World.authority.server("keys", (forward.HOST,))


def teardown():
	lib.end()
	for one in World.proxies:
		one.stop()
	proc.remove_tree(World.folder)


def forward_proxy(**kw):
	one = forward.Forward(**kw)
	World.proxies.append(one)
	return one


def new(proxy=None, login=None, **options):
	"""A rig whose key server only a proxy finds; not started."""
	rig = lib.new()
	rig.key_server.serve_tls(World.certificate, forward.HOST)
	rig.options.update(key_servers=[rig.key_server.url],
	    ca_file=World.authority.file, proxy=proxy)
	if login is not None:
		rig.options["proxy_login_file"] = write_login(rig, login)
	rig.options.update(options)
	return rig


def write_login(rig, login):
	path = os.path.join(rig.folder, "proxy.login")
	proc.write_file(path, login + "\n", 0o600)
	return path


def place(rig):
	return rig.key_server.url.partition("//")[2]


def seals(rig):
	content = lib.message()
	return lib.check_sealed(rig, rig.send(content), content)


def waits(rig, *words):
	"""Deferred, nothing of it gone; what the log says of it."""
	since = rig.log_from()
	result = rig.send(lib.message())
	lib.check_refused(result, "451 4.7.1", ["return receipt",
	    "tried again"])
	tap.equal((result.edits, result.new_body), ([], None), "edits")
	rig.wait_log(since, " cause=")
	text = since()
	for word in words:
		tap.contains(text, word, "the log")
	return text


def has_no_secret(rig, login):
	"""Neither the password nor the token is where others could see it."""
	pid = rig.process.pid
	for path in (rig.log, "/proc/%d/cmdline" % pid,
	    "/proc/%d/environ" % pid):
		with open(path, "rb") as f:
			text = f.read()
		for secret in (login.partition(":")[2].encode(),
		    base64.b64encode(login.encode()),
		    rig.key_server.token.encode()):
			tap.lacks(text, secret, path)


@tap.case("Tinyproxy takes us to the key server, and is asked once")
def t_tinyproxy():
	rig = new(login="gate:Xq7vLm")
	port = rig.key_server.http.server_address[1]
	there = forward.Tinyproxy(rig.folder, [port], "gate:Xq7vLm").start()
	World.proxies.append(there)
	rig.start(proxy=there.url)
	for _ in range(3):
		seals(rig)
	tap.equal(there.asked(), ["CONNECT %s HTTP/1.1" % place(rig)],
	    "what it was asked for")
	for head in rig.key_server.heads:
		tap.lacks(head, "Proxy-", "what the key server was told")
	has_no_secret(rig, "gate:Xq7vLm")
	rig.write_config(proxy=None)
	rig.process.send(signal.SIGHUP)
	rig.wait_log(rig.log_text, "configuration reloaded")
	waits(rig, "Could")


@tap.case("Tinyproxy's own refusals: port, login, a key server that is away")
def t_tinyproxy_refuses():
	rig = new()
	away = proc.free_port()
	port = rig.key_server.http.server_address[1]
	there = forward.Tinyproxy(rig.folder, [away], "gate:Xq7vLm").start()
	World.proxies.append(there)
	rig.start(proxy=there.url)
	waits(rig, " cause=proxy ", "wants a user name and a password: name a "
	    "file with them in the option \"proxy_login_file\"")
	write_login(rig, "gate:wrong")
	for login, server, words in (
	    ("gate:wrong", rig.key_server.url, (" cause=proxy ",
	    "does not take the user name and password")),
	    ("gate:Xq7vLm", rig.key_server.url, (" cause=proxy ",
	    "refuses to connect there (it answers 403)")),
	    ("gate:Xq7vLm", "https://%s:%d" % (forward.HOST, away),
	    (" cause=network ", "does not get there (it answers 500)"))):
		rig.stop()
		rig.start(key_servers=[server],
		    proxy_login_file=write_login(rig, login))
		waits(rig, "%s: the proxy 127.0.0.1:%d " % (server,
		    there.port), *words)
		has_no_secret(rig, login)
	tap.equal(rig.key_server.requests, [], "requests; port %d" % port)


@tap.case("the proxy sees host and port, and TLS; the key server no login")
def t_tap():
	proxy = forward_proxy(login=LOGIN)
	rig = new(proxy.url, LOGIN).start()
	seals(rig)
	tap.equal(proxy.requests, [("CONNECT %s HTTP/1.1\r\nHost: %s\r\n"
	    "User-Agent: counterfoil-milter\r\nProxy-Connection: Keep-Alive\r\n"
	    "Proxy-Authorization: Basic %s\r\n\r\n" % (place(rig),
	    place(rig), base64.b64encode(LOGIN.encode()).decode())).encode()],
	    "what the proxy was told")
	tap.equal(proxy.passed[0], 0x16, "a TLS handshake")
	for word in (rig.key_server.token.encode(), b"alice", b"/api/",
	    b"Authorization", fake.b64(rig.key_server.kd()).encode()):
		tap.lacks(bytes(proxy.passed), word, "what went through")
	head = rig.key_server.heads[0]
	tap.contains(head, "Authorization: Bearer ", "the key server's")
	tap.lacks(head.lower(), "proxy", "the key server's")
	has_no_secret(rig, LOGIN)


@tap.case("the environment sends nobody by a proxy, nor past ours")
def t_environment():
	other, ours = forward_proxy(), forward_proxy()
	for name in ("http_proxy", "https_proxy", "all_proxy"):
		env = dict(os.environ, **{name: other.url,
		    name.upper(): other.url})
		rig = new().start(env=env)
		waits(rig, "Could")
		rig.stop()
	tap.equal(other.requests, [], "what was asked of it")
	rig.start(env=dict(os.environ, no_proxy="*", NO_PROXY="*",
	    https_proxy=other.url), proxy=ours.url)
	seals(rig)
	tap.equal((len(ours.requests), other.requests), (1, []), "the proxies")


@tap.case("this machine and the exceptions are reached straight")
def t_straight():
	proxy = forward_proxy()
	rig = lib.new(proxy=proxy.url).start()
	seals(rig)			# http://127.0.0.1
	local = lib.new(proxy=proxy.url, ca_file=World.authority.file)
	local.key_server.serve_tls(World.authority.server("local",
	    ("localhost",)), "localhost")
	local.start(key_servers=[local.key_server.url])
	seals(local)
	for item in (forward.HOST, ".test", forward.HOST + ".", ".test."):
		rig = new(proxy.url, proxy_except=["other.test", item]).start()
		waits(rig, "Could")
	tap.equal(proxy.requests, [], "what was asked of the proxy")
	rig = new(proxy.url, proxy_except=[".keys.test", "test",
	    ".eys.test"]).start()
	seals(rig)
	tap.equal(proxy.open, 1, "tunnels")


REFUSES = "refuses to connect there (it answers %s)"
AWAY = "does not get there (it answers %s)"
IMPROPER = "gave no proper answer; check the option \"proxy\""
NONE = "is no HTTP proxy; check the option \"proxy\""
# fault: cause, a part of the sentence, how often it is asked
FAULTS = {
    "403": ("proxy", REFUSES % 403, 1),
    "302": ("proxy", REFUSES % 302, 1),
    "405": ("proxy", REFUSES % 405, 1),
    "407": ("proxy", "wants a user name and a password", 1),
    "429": ("network", AWAY % 429, 2),
    "502": ("network", AWAY % 502, 2),
    "503": ("network", AWAY % 503, 2),
    "504": ("network", AWAY % 504, 2),
    "hang-up": ("network", IMPROPER, 2),
    "other": ("proxy", NONE, 1),
    "binary": ("network", IMPROPER, 2),
    "long-line": ("network", IMPROPER, 2),
    "long-head": ("proxy", NONE, 1),
    "long-body": ("proxy", "wants a user name and a password", 1),
    "html": ("tls", "does not speak TLS", 1),
}


@tap.case("what a proxy can answer: the mail waits, the log says why")
def t_faults():
	proxy = forward_proxy()
	rig = new(proxy.url).start()
	seals(rig)
	for fault, (cause, words, times) in FAULTS.items():
		rig.stop()		# with the connection that it keeps
		rig.start()
		proxy.fault = fault
		proxy.requests.clear()
		began = time.monotonic()
		text = waits(rig, " cause=%s " % cause, words)
		tap.true(time.monotonic() - began < 8, "%s: %.1f s" % (fault,
		    time.monotonic() - began))
		if fault != "html":
			tap.contains(text, "localhost:%d" % proxy.port, fault)
		tap.equal(len(proxy.requests), times, fault + ": asked")
		tap.lacks(text, "\x1b", fault)
		tap.lacks(text, "oops", fault)
		proxy.fault = None
		seals(rig)
	tap.equal(len(rig.key_server.requests), 1 + len(FAULTS),
	    "requests of the key server")


@tap.case("a proxy that wants another kind of login than we have")
def t_other_login():
	proxy = forward_proxy()
	for login in (None, LOGIN):
		rig = new(proxy.url, login).start()
		proxy.fault = "407"
		for proxy.offers in (["Negotiate", "NTLM"], ["Bearer"], []):
			waits(rig, " cause=proxy ", "wants a login of another "
			    "kind than user name and password (Basic)")
		proxy.offers = ["Negotiate", "Basic realm=\"x\""]
		waits(rig, "does not take the user name" if login else
		    "name a file with them in the option")
		has_no_secret(rig, LOGIN)


@tap.case("a slow proxy has the time of a connection, not of an answer")
def t_slow():
	proxy = forward_proxy()
	rig = new(proxy.url, request_timeout_s=2, deadline_s=3).start()
	for proxy.fault in ("silent", "drip"):
		waits(rig, " cause=timeout ", "%s: the proxy localhost:%d did "
		    "not answer in time" % (rig.key_server.url, proxy.port))
	rig.options.update(request_timeout_s=120, deadline_s=300)
	began = time.monotonic()
	out = findings(rig)[1]
	tap.contains(out, "error: %s: the proxy localhost:%d did not answer in "
	    "time; check the option \"proxy\", or ask who runs it; flagged mail waits" % (rig.key_server.url, proxy.port), "-n")
	tap.true(time.monotonic() - began < 60, "-n: %.1f s"
	    % (time.monotonic() - began))


@tap.case("a proxy that is not there, or has no address")
def t_away():
	port = proc.free_port()
	rig = new("http://127.0.0.1:%d" % port).start()
	waits(rig, " cause=network ", "the proxy 127.0.0.1:%d cannot be "
	    "reached; check the option \"proxy\"" % port)
	rig = new("http://proxy.invalid:3128").start()
	waits(rig, " cause=network ", "no host of the proxy's name is found, "
	    "proxy.invalid:3128; check the option \"proxy\"")


@tap.case("TLS to the proxy, and what can be wrong with it")
def t_tls_proxy():
	good = World.authority.server("proxy", ("localhost",))
	proxy = forward_proxy(tls=good, login=LOGIN)
	rig = new(proxy.url, LOGIN).start()
	seals(rig)
	seals(rig)
	tap.equal(len(proxy.requests), 1, "what was asked")
	has_no_secret(rig, LOGIN)
	plain = forward_proxy()
	stranger = ca.Authority(os.path.join(World.folder, "stranger"))
	for there, words in (
	    (forward_proxy(tls=World.authority.server("elsewhere",
	    ("other.test",))), "its certificate is for another name"),
	    (forward_proxy(tls=stranger.server("proxy", ("localhost",))),
	    "its certificate is from an authority that is not known here"),
	    (plain, "what answers there does not speak TLS")):
		rig.stop()
		rig.start(proxy="https://localhost:%d" % there.port)
		waits(rig, " cause=proxy ", "%s: the proxy localhost:%d: %s" % (
		    rig.key_server.url, there.port, words))
		tap.equal(there.requests, [], "what it was told")
	# The last: what people mean who write https: for a proxy.
	hint = "; to one without TLS, as most are, the option must say http://"
	rig.stop()
	rig.start(request_timeout_s=2, deadline_s=3)
	for plain.fault, words in ((None, "check the address and the port"),
	    ("silent", "ask who runs it"), ("hang-up", IMPROPER)):
		waits(rig, "localhost:%d" % plain.port, words + hint)


@tap.case("a proxy that opens TLS to read along is not believed")
def t_opened():
	"""The certificate is for the right name, by an authority of its own."""
	stranger = ca.Authority(os.path.join(World.folder, "opener"))
	proxy = forward_proxy()
	rig = lib.new(proxy=proxy.url, ca_file=World.authority.file)
	rig.key_server.serve_tls(stranger.server("keys", (forward.HOST,)),
	    forward.HOST)
	rig.start(key_servers=[rig.key_server.url])
	waits(rig, " cause=tls ", "if the proxy localhost:%d puts its own in "
	    "its place, to read along, have it let this host through" %
	    proxy.port)
	tap.equal(rig.key_server.requests, [], "requests")


@tap.case("a reload takes another proxy and another login")
def t_reload():
	before, after = forward_proxy(), forward_proxy(login=LOGIN)
	rig = new(before.url).start()
	seals(rig)

	def reload(**changes):
		since = rig.log_from()
		rig.write_config(**changes)
		rig.process.send(signal.SIGHUP)
		rig.wait_log(since, "reload")
		return since()
	tap.lacks(reload(proxy=after.url, proxy_login_file=write_login(rig,
	    "CORP\\gate:old")), "restart", "the log")
	waits(rig, "does not take the user name and password")
	write_login(rig, LOGIN)
	reload()
	seals(rig)
	tap.equal((before.open, after.open), (1, 1), "tunnels")
	os.chmod(rig.options["proxy_login_file"], 0o640)
	text = reload()
	tap.contains(text, "reload failed", "the log")
	tap.contains(text, "proxy_login_file", "the log")
	seals(rig)
	has_no_secret(rig, LOGIN)


def findings(rig, *args):
	rig.write_config()
	return lib.run("-n", "--no-mta", "-c", rig.config, *args)


@tap.case("-n goes by the proxy and says when it is the trouble")
def t_check():
	proxy = forward_proxy(login=LOGIN)
	rig = new(proxy.url, LOGIN)
	service = rig.key_server.url
	# There is no reader; that it was asked there is what matters.
	rig.options["reader_url"] = "https://reader.test:%d" % proc.free_port()
	status, out, _ = findings(rig)
	tap.equal(status, 0, out)
	tap.contains(out, "ok: %s: the key server answers by the proxy and "
	    "takes our token\n" % service, "-n")
	tap.contains(out, "warning: %s: the proxy localhost:%d does not get "
	    "there (it answers 502); if the host is in your own network, name "
	    "it in the option \"proxy_except\"; links in notices" % (rig.options["reader_url"],
	    proxy.port), "-n")
	write_login(rig, "gate:wrong")
	status, out, _ = findings(rig)
	tap.equal(status, 78, out)
	tap.contains(out, "error: %s: the proxy localhost:%d does not take "
	    "the user name and password in the file of the option "
	    "\"proxy_login_file\"; flagged mail waits until then\n" % (service, proxy.port), "-n")
	proxy.fault = "403"
	status, out, _ = findings(rig)
	tap.contains(out, "error: %s: the proxy localhost:%d refuses" % (
	    service, proxy.port), "-n")
	rig.options["proxy"] = "http://127.0.0.1:%d" % proc.free_port()
	tap.contains(findings(rig)[1], "cannot be reached; check the option "
	    "\"proxy\", or ask who runs it; flagged mail waits", "-n")
	rig.options["proxy"] = None
	os.environ["ALL_PROXY"] = proxy.url
	try:
		out = findings(rig)[1]
	finally:
		del os.environ["ALL_PROXY"]
	tap.contains(out, "warning: configuration: the environment's ALL_PROXY "
	    "counts for nothing here; if there is no other way out than a "
	    "proxy, set proxy\n", "-n")
	tap.lacks(findings(rig)[1], "environment", "-n without")
	rig.options["proxy_except"] = ["keys.test"]
	out = findings(rig, "--offline")[1]
	for name in ("proxy_login_file", "proxy_except"):
		tap.contains(out, "warning: configuration: %s is set, but proxy "
		    "is not: " % name, "-n")
	tap.equal(re.findall("wrong|w0rd", out), [], "-n")


@tap.case("a configuration with a password, or a login file that is no good")
def t_configuration():
	rig = new("http://gate:hidden@proxy.test:3128")
	for words in (("-n", "--no-mta"), ("--print-config",), ()):
		rig.write_config()
		status, out, err = lib.run(*words, "-c", rig.config)
		tap.equal((status, out), (78, ""), words)
		tap.contains(err, ": proxy: a user name and a password do not "
		    "belong here", words)
		tap.contains(err, "name it in proxy_login_file", words)
		tap.lacks(err, "hidden", words)
	rig.options["proxy"] = "http://proxy.test:3128"
	path = rig.options["proxy_login_file"] = write_login(rig, LOGIN)
	rig.write_config()
	status, out, _ = lib.run("--print-config", "-c", rig.config)
	tap.equal(status, 0, "exit status")
	tap.contains(out, "\nproxy = \"http://proxy.test:3128\"\n", "the values")
	tap.lacks(out, PASSWORD, "the values")
	for content, mode, words in ((LOGIN, 0o644, "mode is 0644"),
	    ("no-colon", 0o600, "the user name, a colon and the password"),
	    (":no-name", 0o600, "the user name, a colon and the password"),
	    ("a:b\x01c", 0o600, "the user name, a colon and the password"),
	    ("a:b\nc:d", 0o600, "must hold one line"),
	    ("a:" + "x" * 254, 0o600, "must hold one line, of at most 255 bytes"),
	    ("\na:b", 0o600, "must hold one line"),
	    ("a:b\0c", 0o600, "must hold one line")):
		proc.write_file(path, content + "\n", mode)
		os.chmod(path, mode)
		status, out, err = lib.run("-n", "--no-mta", "-c", rig.config)
		tap.equal((status, out), (78, ""), words)
		tap.contains(err, words, "the sentence")
		tap.lacks(err, content, "the sentence")


if __name__ == "__main__":
	tap.main(setup=setup, teardown=teardown)
