#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""counterfoil and a key server that only a proxy reaches."""

import base64
import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "contrib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lab import ca, conf, forward, proc, tap  # noqa: E402
import fake  # noqa: E402

ORIGINAL = b"From: alice@a.test\r\nSubject: hello\r\n\r\nOne line.\r\n"
LOGIN = "alice:Zt4%20kQ"


class World:
	folder = authority = server = sealed = proxy = mail = None


def setup():
	World.folder = proc.private_dir()
	World.authority = ca.Authority(os.path.join(World.folder, "ca"))
	World.server = fake.Server(World.authority.server("keys",
	    (forward.HOST,)))
	World.server.url = "https://%s:%d" % (forward.HOST,
	    World.server.http.server_port)
	World.sealed = fake.Sealed(ORIGINAL, World.server.url)
	World.server.register(World.sealed)
	World.mail = os.path.join(World.folder, "mail.eml")
	proc.write_file(World.mail, World.sealed.mail())
	World.proxy = forward.Forward()


def teardown():
	World.proxy.stop()
	World.server.stop()
	proc.remove_tree(World.folder)


def counterfoil(*words, env=None, **options):
	config = conf.write(os.path.join(World.folder, "c.conf"), dict({
	    "allowed_key_servers": [World.server.url], "deadline_s": 120,
	    "timeout_s": 120, "ca_file": World.authority.file}, **options))
	return proc.run([proc.program("counterfoil"), "-c", config, *words],
	    check=False, env=env)


def login_file(login):
	path = os.path.join(World.folder, "login")
	proc.write_file(path, login + "\r\n", 0o600)
	return path


def must_open(done):
	tap.equal((done.returncode, done.stdout), (0, ORIGINAL),
	    "exit status, original; it said: " + done.stderr.decode())


@tap.case("open goes by Tinyproxy, with one connection for all its requests")
def t_tinyproxy():
	there = forward.Tinyproxy(World.folder,
	    [World.server.http.server_port], "alice:Zt4kQ").start()
	try:
		must_open(counterfoil("open", World.mail, proxy=there.url,
		    proxy_login_file=login_file("alice:Zt4kQ")))
	finally:
		there.stop()
	tap.equal(there.asked(), ["CONNECT %s HTTP/1.1"
	    % World.server.url.partition("//")[2]], "what it was asked")
	tap.equal(World.server.wrong, [], "wrong requests")


@tap.case("the proxy learns neither link nor token; status goes by it, too")
def t_tap():
	proxy = forward.Forward(login=LOGIN)
	token = fake.b64(os.urandom(32))
	World.server.api_token = token
	path = os.path.join(World.folder, "token")
	proc.write_file(path, token + "\n", 0o600)
	try:
		for words in (("open", World.mail), ("open", "-n", World.mail),
		    ("status",)):
			done = counterfoil(*words, proxy=proxy.url,
			    proxy_login_file=login_file(LOGIN),
			    api_token_file=path,
			    key_servers=[World.server.url])
			tap.equal(done.returncode, 0, done.stderr.decode())
	finally:
		proxy.stop()
	tap.equal(len(proxy.requests), 3, "tunnels")
	seen = b"".join(proxy.requests) + proxy.passed
	for word in (token, World.sealed.values["token"], World.sealed.handle,
	    "/api/", "Bearer"):
		tap.lacks(seen, word.encode(), "what the proxy saw")
	tap.contains(seen, base64.b64encode(LOGIN.encode()), "its login")


@tap.case("the environment counts for nothing")
def t_environment():
	World.proxy.fault = None
	World.proxy.requests.clear()
	env = dict(os.environ, https_proxy=World.proxy.url,
	    HTTPS_PROXY=World.proxy.url, ALL_PROXY=World.proxy.url)
	done = counterfoil("open", World.mail, env=env, deadline_s=1)
	tap.equal((done.returncode, World.proxy.requests), (75, []),
	    done.stderr.decode())
	tap.contains(done.stderr.decode(), "\ncounterfoil: The environment's "
	    "https_proxy counts for nothing here: if there is no other way "
	    "out than a proxy, name it in the option \"proxy\".\n", "advice")
	must_open(counterfoil("open", World.mail, proxy=World.proxy.url,
	    env=dict(os.environ, no_proxy="*", NO_PROXY=forward.HOST)))
	tap.equal(len(World.proxy.requests), 1, "requests")


@tap.case("what the proxy refuses is said at once, with what to do")
def t_refuses():
	World.server.calls.clear()
	where = "%s: the proxy localhost:%d" % (World.server.url,
	    World.proxy.port)
	for fault, login, words in (
	    ("407", None, "wants a user name and a password: name a file "
	    "with them in the option \"proxy_login_file\""),
	    ("407", LOGIN, "does not take the user name and password in "
	    "the file of the option \"proxy_login_file\""),
	    ("403", None, "refuses to connect there (it answers 403): ask who "
	    "runs it to allow it, or, if the host is in your own network, "
	    "name it in the option \"proxy_except\"")):
		World.proxy.fault = fault
		World.proxy.requests.clear()
		done = counterfoil("open", World.mail, proxy=World.proxy.url,
		    proxy_login_file=login and login_file(login))
		tap.equal((done.returncode, done.stdout, done.stderr.decode()),
		    (75, b"", "counterfoil: The proxy on the way does not let "
		    "this program through. (%s %s)\n" % (where, words)), fault)
		tap.equal(len(World.proxy.requests), 1, "asked")
	World.proxy.fault = "503"
	done = counterfoil("open", World.mail, proxy=World.proxy.url,
	    deadline_s=1)
	tap.equal((done.returncode, done.stderr.decode()), (75, "counterfoil: "
	    "The key server could not be reached. (%s does not get there (it "
	    "answers 503); if the host is in your own network, name it in "
	    "the option \"proxy_except\") Nothing is lost; try again later.\n" % where), "503")
	tap.equal(World.server.calls, [], "requests of the key server")


@tap.case("a password in the configuration is refused and not shown")
def t_configuration():
	for words in (("-n",), ("--print-config",), ("open", World.mail)):
		done = counterfoil(*words,
		    proxy="http://alice:hidden@proxy.test:3128")
		tap.equal((done.returncode, done.stdout), (2, b""), words)
		tap.contains(done.stderr.decode(), "name it in "
		    "proxy_login_file", words)
		tap.lacks(done.stderr, b"hidden", words)
	path = login_file("no colon")
	done = counterfoil("-n", proxy=World.proxy.url, proxy_login_file=path)
	tap.equal(done.returncode, 2, "exit status")
	tap.contains(done.stderr.decode(), path + ": must hold one line, the "
	    "user name, a colon and the password", "the sentence")


if __name__ == "__main__":
	tap.main(setup=setup, teardown=teardown)
