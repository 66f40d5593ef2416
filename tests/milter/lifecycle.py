#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Start, reload, stop: what the program checks, keeps and waits for."""

import os
import pwd
import signal
import socket
import stat
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig as lib  # noqa: E402
from rig import client, conf, end, new, proc, run, tap  # noqa: E402


def line_of(rig, option):
	"""file:line of an option, as messages begin with it."""
	with open(rig.config) as f:
		lines = f.read().splitlines()
	return "%s:%d: %s: " % (rig.config, 1 + [i for i, line in
	    enumerate(lines) if line.startswith(option + " ")][0], option)


def does_not_start(rig, text, *args):
	rig.write_config()
	status, _, err = run("-c", rig.config, *args)
	tap.equal(status, 78, "exit status")
	tap.contains(err, text, "message")
	tap.true(not os.path.exists(rig.socket) or text == "another program",
	    "no socket is left")


def seals(rig, **kw):
	content = lib.message()
	lib.check_sealed(rig, rig.send(content, **kw), content)


@tap.case("-V, --print-config, -n and wrong arguments")
def t_arguments():
	status, out, _ = run("-V")
	tap.equal(status, 0, "status of -V")
	for name in ("counterfoil-milter", "libmilter", "OpenSSL", "libcurl",
	    "GMime"):
		tap.contains(out, name, "-V")
	rig = new(deadline_s=None)
	rig.write_config()
	status, out, err = run("-c", rig.config, "--print-config")
	tap.equal((status, err), (0, ""), "--print-config")
	tap.contains(out, 'reader_url = "%s"' % lib.READER, "what is set")
	tap.contains(out, "deadline_s = 60", "a default")
	tap.contains(out, "\ntriggers = {}\n", "none of a set")
	tap.lacks(out, rig.key_server.token, "no secret")
	again = os.path.join(rig.folder, "again.conf")
	proc.write_file(again, out)
	tap.equal(run("-c", again, "--print-config")[1], out, "read again")
	proc.write_file(again, out.replace("triggers = {}",
	    'triggers = {"subject-tag", "return-receipt-to"}'))
	tap.contains(run("-c", again, "--print-config")[1],
	    'triggers = {"return-receipt-to", "subject-tag"}', "some of it")
	tap.equal(run("-n", "-c", rig.config)[0], 0, "status of -n")
	tap.true(not os.path.exists(rig.options["ref_secret_file"]),
	    "-n makes no file")
	tap.equal(run("-x")[0], 64, "wrong argument")
	tap.equal(run("-c", "/nonexistent")[0], 78, "no such file")


@tap.case("mistakes in the configuration stop the start, with file and line")
def t_config():
	for options, text in (
	    ({"mode": "outbuond"}, "must be outbound, inbound or both"),
	    ({"moed": "both"}, 'nearest one is "mode"'),
	    ({"colour": "red"}, 'unknown option "colour"\n'),
	    ({"socket": "unix:relative"}, "unix:/PATH"),
	    ({"socket": "inet:localhost:99"}, "inet:PORT@HOST"),
	    ({"socket_mode": "0666"}, "every user"),
	    ({"socket_group": "no-such-group"}, "no group named"),
	    ({"user": "no-such-user"}, "no user named"),
	    ({"group": "no-such-group"}, "no group named"),
	    ({"key_servers": ["http://keys.example"]}, "loopback"),
	    ({"key_servers": ["https://keys.example/"]}, "without /"),
	    ({"networks": ["10.0.0.1/8"]}, "bits set"),
	    ({"networks": ["10.0.0.0/33"]}, "not an address"),
	    ({"local_domains": ["a@b"]}, "not a domain"),
	    ({"local_domains": [".b.test"]}, "not a domain"),
	    ({"local_domains": ["*.b.test"]}, "not a domain"),
	    ({"local_domains": ["a.test,b.test"]}, "not a domain"),
	    ({"deadline_s": 0}, "between"),
	    ({"on_inbound_failure": "accept"}, "tempfail or pass")):
		rig = lib.Rig(**options)
		try:
			does_not_start(rig, text)
			does_not_start(rig, rig.config + ":", "-n")
		finally:
			rig.close()


@tap.case("what the mode needs must be set, secrets must be secret")
def t_files():
	def token(rig):
		return rig.options["api_token_file"]

	def readable(rig):
		os.chmod(token(rig), 0o644)

	def gone(rig):
		os.unlink(token(rig))

	def short(rig):
		proc.write_file(token(rig), "abc\n", 0o600)

	def open_store(rig):
		os.chmod(rig.store, 0o777)

	def no_store(rig):
		os.rmdir(rig.store)

	def open_ref(rig):
		proc.write_file(rig.options["ref_secret_file"], "x" * 43, 0o604)

	def no_ca(rig):
		rig.options["ca_file"] = os.path.join(rig.folder, "no.pem")

	def unset(name):
		return lambda rig: rig.options.update({name: None})

	for change, text, option in (
	    (readable, "others could read", "api_token_file"),
	    (gone, "No such file", "api_token_file"),
	    (open_ref, "others could read", "ref_secret_file"),
	    (no_ca, "No such file", "ca_file"),
	    (short, "base64url", "api_token_file"),
	    (open_store, "others could write", "store_directory"),
	    (no_store, "No such file", "store_directory"),
	    (unset("key_servers"), "key_servers must be set", None),
	    (unset("api_token_file"), "api_token_file must be set", None),
	    (unset("reader_url"), "reader_url must be set", None)):
		rig = lib.Rig()
		try:
			change(rig)
			does_not_start(rig, text, "-n")
			if option:
				does_not_start(rig, line_of(rig, option), "-n")
			rig.write_config()
			tap.equal(run("-c", rig.config)[0], 78, "start")
		finally:
			rig.close()


@tap.case("the reference secret is made once, 0600")
def t_ref_secret():
	rig = new().start()
	path = rig.options["ref_secret_file"]
	tap.equal(stat.S_IMODE(os.stat(path).st_mode), 0o600, "mode")
	with open(path) as f:
		first = f.read()
	tap.equal(rig.log_text().count("made a new reference secret"), 1,
	    "lines of it")
	rig.stop()
	rig.start()
	with open(path) as f:
		tap.equal(f.read(), first, "after a restart")
	tap.equal(rig.log_text().count("made a new reference secret"), 1,
	    "lines of it after a restart")
	rig.stop()
	os.unlink(path)
	rig.start()
	tap.equal(rig.log_text().count("made a new reference secret"), 2,
	    "lines of it after a loss")
	tap.contains(rig.log_text(), "warn", "its level")
	rig.stop()


@tap.case("the socket: its mode, its directory, a stale one, a live one")
def t_socket():
	rig = new(socket_mode="0600").start()
	tap.equal(stat.S_IMODE(os.stat(rig.socket).st_mode), 0o600, "mode")
	does_not_start(rig, "another program")
	tap.equal(run("-n", "-c", rig.config)[0], 0, "-n beside a running one")
	rig.process.kill()
	tap.true(os.path.exists(rig.socket), "a stale socket is there")
	rig.start(socket_mode="0660")
	tap.equal(stat.S_IMODE(os.stat(rig.socket).st_mode), 0o660, "mode")
	seals(rig)
	rig.stop()
	tap.true(not os.path.exists(rig.socket), "gone after a stop")
	tap.equal(os.listdir(rig.run), [], "nothing else there")
	for mode in (0o770, 0o757, 0o1777):
		os.chmod(rig.run, mode)
		does_not_start(rig, "others could put")
	os.chmod(rig.run, 0o750)
	with open(rig.socket, "w"):
		pass
	status, _, err = run("-c", rig.config)
	tap.equal((status, "is not a socket" in err), (78, True), "a file")
	os.unlink(rig.socket)


@tap.case("a TCP socket does as well")
def t_inet():
	rig = new()
	rig.address = "inet:%d@127.0.0.1" % proc.free_port()
	rig.start(socket=rig.address)
	seals(rig)
	rig.stop()


@tap.case("an address of another machine: neither -n nor the start takes it")
def t_foreign_address():
	for options in ({"socket": "inet:9999@192.0.2.1"},
	    {"metrics_listen": "192.0.2.1:9999", "metrics_public": True}):
		rig = new(mode="inbound", **options)
		rig.write_config()
		for args in ((), ("-n", "--offline", "--no-mta")):
			status, out, err = run("-c", rig.config, *args)
			tap.equal(status, 78, "exit status")
			tap.contains(out + err, line_of(rig,
			    next(iter(options))), "message")
			tap.contains(out + err, "no address of this machine",
			    "message")


@tap.case("a configuration that only root may read: it says who may not")
def t_unreadable():
	rig = new(user="nobody")
	nobody = pwd.getpwnam("nobody")
	for path in (rig.store, rig.run, rig.token_file, rig.folder):
		os.chown(path, nobody.pw_uid, nobody.pw_gid)
	rig.write_config()
	os.chmod(rig.config, 0o600)
	for args in ((), ("-n", "--offline", "--no-mta")):
		status, _, err = run("-c", rig.config, *args)
		tap.equal(status, 78, "exit status")
		tap.contains(err, "user nobody may not read it", "message")


@tap.case("as another user: files and socket are that user's")
def t_user():
	rig = new()
	nobody = pwd.getpwnam("nobody")
	for path in (rig.store, rig.run, rig.token_file, rig.folder):
		os.chown(path, nobody.pw_uid, nobody.pw_gid)
	rig.start(user="nobody")
	seals(rig)
	status = proc.read_text("/proc/%d/status" % rig.process.pid)
	tap.contains(status, "Uid:\t%d\t%d\t%d\t%d" % ((nobody.pw_uid,) * 4),
	    "ids")
	tap.contains(status, "CoreDumping:\t0", "status")
	# Not dumpable: its memory belongs to root alone.
	tap.equal(os.stat("/proc/%d/mem" % rig.process.pid).st_uid, 0,
	    "owner of its memory")
	rig.stop()
	rig.start(core_dumps=True)
	tap.equal(os.stat("/proc/%d/mem" % rig.process.pid).st_uid,
	    nobody.pw_uid, "owner of its memory with core_dumps")
	rig.stop()


@tap.case("HUP and USR1 reload; a failed reload keeps the old; what needs a "
    "restart is named")
def t_reload():
	rig = new(networks=["127.0.0.0/8"]).start()
	lib.check_refused(rig.send(lib.message(), client="192.0.2.1"), "550")
	for sig, net, good in ((signal.SIGHUP, "192.0.2.0/24", "192.0.2.1"),
	    (signal.SIGUSR1, "198.51.100.0/24", "198.51.100.1")):
		rig.write_config(networks=[net])
		since = rig.log_from()
		rig.process.send(sig)
		rig.wait_log(since, "configuration reloaded")
		seals(rig, client=good)
		lib.check_refused(rig.send(lib.message(), client="127.0.0.1"),
		    "550")
	rig.write_config(networks=["nonsense"])
	since = rig.log_from()
	rig.process.send(signal.SIGHUP)
	rig.wait_log(since, "reload failed")
	tap.contains(since(), rig.config + ":", "file and line")
	seals(rig, client="198.51.100.1")
	rig.write_config(networks=["127.0.0.0/8"], log_level="warn",
	    socket_mode="0600")
	since = rig.log_from()
	rig.process.send(signal.SIGHUP)
	rig.wait_log(since, "only a restart makes it count: socket_mode\n")
	tap.lacks(since(), "info: ", "said below the new level")
	seals(rig)
	tap.lacks(since(), "info: ", "said below the new level")
	rig.stop()


@tap.case("HUP, many times, to a busy process: all mail goes on")
def t_busy_reload():
	rig = new().start()
	rig.key_server.usual = "hold"
	sessions = [rig.session() for _ in range(8)]
	content = lib.message()
	results = [rig.ask(s, content) for s in sessions]
	since = rig.log_from()
	for _ in range(100):
		rig.process.send(signal.SIGHUP)
	rig.wait_log(since, "configuration reloaded")
	rig.key_server.go.set()
	for s, r in zip(sessions, results):
		s.finish(r)
		tap.equal(r.verdict, "accept", "verdict")
		# The same sessions go on under the new configuration.
		lib.check_sealed(rig, s.send(content), content)
		s.quit()
	tap.true(rig.process.alive(), "still there")
	rig.stop()


@tap.case("TERM during the end of a message: it is finished, new ones are not "
    "begun")
def t_term():
	rig = new().start()
	rig.key_server.usual = "hold"
	idle = rig.session()
	busy = rig.session()
	half = rig.session()
	content = lib.message()
	other = half.begin(content)
	result = rig.ask(busy, content)
	since = rig.log_from()
	rig.process.send(signal.SIGTERM)
	rig.wait_log(since, "2 messages under way")
	lib.check_refused(idle.send(lib.message()), "451 4.3.2", ["restarted"])
	lib.check_refused(idle.send(lib.message(flag=None)), "451 4.3.2")
	s = socket.socket(socket.AF_UNIX)
	tap.raises(OSError, lambda: s.connect(rig.socket), "a new connection")
	s.close()
	rig.key_server.go.set()
	busy.finish(result)
	half.end(other)
	for one in (result, other):
		tap.equal(one.verdict, "accept", "verdict")
		lib.Sealed(one.message)
	tap.equal(rig.process.wait(60), 0, "exit status")
	tap.contains(since(), "stopped", "log")
	tap.equal(os.listdir(rig.run), [], "the socket's directory")
	rig.process = None


@tap.case("TERM before the last reply has gone out: it still does")
def t_last_reply():
	for inet in (False, True):
		rig = new()
		if inet:
			rig.address = "inet:%d@127.0.0.1" % proc.free_port()
		rig.start(socket=rig.address, env=dict(os.environ,
		    CF_LATE_MS="1500",
		    LD_PRELOAD=lib.failing_library(rig.folder)))
		rig.key_server.usual = "hold"
		idle = rig.session()
		busy = rig.session()
		result = rig.ask(busy, lib.message())
		since = rig.log_from()
		rig.process.send(signal.SIGTERM)
		rig.wait_log(since, "1 messages under way")
		rig.key_server.go.set()
		busy.finish(result)
		tap.equal(result.verdict, "accept", "verdict")
		lib.Sealed(result.message)
		tap.equal(rig.process.wait(60), 0, "exit status")
		rig.process = None
		idle.close()
		busy.close()


@tap.case("a stop does not wait for ever")
def t_bounded():
	rig = new(drain_s=1).start()
	rig.key_server.usual = "hold"
	busy = rig.session()
	rig.ask(busy, lib.message())
	rig.process.send(signal.SIGTERM)
	tap.equal(rig.process.wait(60), 75, "exit status")
	result = client.Result()
	tap.raises(client.Broken, lambda: busy.finish(result), "the end")
	tap.equal(result.new_body, None, "nothing was handed over")
	rig.process = None
	busy.close()


@tap.case("TERM and INT right after the start, and while idle sessions wait")
def t_stop_early():
	rig = new()
	for sig in (signal.SIGTERM, signal.SIGINT):
		rig.start()
		s = rig.session()
		tap.equal(rig.process.stop(sig, 60), 0, "exit status")
		s.close()
	# libmilter has a thread that takes signals if it can.
	for _ in range(15):
		rig.start()
		since = rig.log_from()
		rig.process.send(signal.SIGHUP)
		rig.wait_log(since, "configuration reloaded")
		tap.equal(rig.process.stop(signal.SIGTERM, 60), 0,
		    "exit status")
	rig.process = None


@tap.case("killed at every step: no clear mail, and no half file in the store")
def t_kill():
	rig = new().start()
	for cut in ("body", "end"):
		rig.key_server.reset()
		rig.key_server.usual = "hold"
		s = rig.session()
		content = lib.message(b"x" * 400000)
		result = s.begin(content) if cut == "body" else \
		    rig.ask(s, content)
		rig.process.kill()
		tap.raises(client.Broken, lambda: s.finish(result), "the end")
		tap.equal((result.edits, result.new_body), ([], None), "edits")
		s.close()
		tap.equal(rig.blobs(), [], "the store")
		rig.start()
	rig.key_server.reset()
	seals(rig)


tap.main(teardown=end)
