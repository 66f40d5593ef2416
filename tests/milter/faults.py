#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every step that can fail, failing: the mail waits, nothing goes in clear."""

import os
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig as lib  # noqa: E402
from rig import client, fake, proc, tap  # noqa: E402

rig = None
SENTENCE = ["return receipt", "tried again"]
INTERNAL = ("127.0.0.1", "http", "curl", "json", "status", "token", "/")


def start():
	global rig
	rig = lib.Rig().start()


def waits(result, code="451 4.7.1"):
	"""Deferred with a sentence for a person, nothing handed over."""
	lib.check_refused(result, code, SENTENCE)
	tap.equal(result.edits, [], "edits")
	tap.equal(result.new_body, None, "new body")
	for word in INTERNAL:
		tap.lacks(result.text[10:], word, "reply")


def seals(**kw):
	content = lib.message()
	return lib.check_sealed(rig, rig.send(content, **kw), content)


def tries():
	return len(rig.key_server.requests)


@tap.case("a key server that refuses, lies, or talks nonsense: 451")
def t_bad_server():
	for word in ("500", "503", "401", "403", "garbage", "empty", "half",
	    "close", "huge", "long-head", "other-id", "other-request", "other-commitment",
	    "other-locator", "no-key"):
		rig.key_server.reset()
		rig.key_server.usual = word
		before = rig.blobs()
		since = rig.log_from()
		waits(rig.send(lib.message()))
		tap.equal(rig.blobs(), before, "the store, after " + word)
		rig.wait_log(since, ": deferred ")
		tap.equal("answer too large" in since(),
		    word in ("huge", "long-head"), "the log, after " + word)
		rig.key_server.reset()
		seals()


@tap.case("what may be a passing trouble is asked again with the same values")
def t_again():
	for word in ("500", "503", "half", "close", "lost", "garbage"):
		rig.key_server.reset()
		rig.key_server.script = [word]
		got = seals()
		tap.equal(tries(), 2, "requests after " + word)
		tap.equal(rig.key_server.requests[0],
		    rig.key_server.requests[1], "the two requests")
		tap.true(got is not None, "sealed")
	tap.equal(rig.key_server.conflicts, 0, "conflicts")


@tap.case("a refusal of the account is not asked again")
def t_no_again():
	for word in ("401", "403"):
		rig.key_server.reset()
		rig.key_server.usual = word
		result = rig.send(lib.message())
		waits(result)
		tap.contains(result.text, "the mail administrator", "reply")
		tap.lacks(result.text, "no answer", "reply")
		tap.equal(tries(), 1, "requests after " + word)


@tap.case("a silent key server: 451 in time, signs of life on the way")
def t_silent():
	quick = lib.Rig(request_timeout_s=1).start()
	try:
		quick.key_server.usual = "silent"
		began = time.monotonic()
		waits(quick.send(lib.message()))
		took = time.monotonic() - began
		# It has said nothing yet: the milter gave up, both times.
		tap.equal(len(quick.key_server.requests), 2, "tries")
		tap.true(2 <= took < 60, "in time: %.1f s" % took)
	finally:
		quick.close()


@tap.case("progress is told at least every 5 s, and the deadline holds")
def t_progress():
	slow = lib.Rig(deadline_s=15).start()
	try:
		slow.key_server.usual = "silent"
		began = time.monotonic()
		result = slow.send(lib.message())
		took = time.monotonic() - began
		waits(result)
		tap.true(result.progress >= 3, "progress in 15 s: %d"
		    % result.progress)
		# It would wait for an answer much longer, and then again.
		tap.equal(len(slow.key_server.requests), 1, "tries")
		tap.true(14.9 < took < 60, "ended after %.1f s" % took)
	finally:
		slow.close()


@tap.case("a full house waits for a slot, then 451")
def t_slots():
	one = lib.Rig(max_key_requests=1).start()
	try:
		one.key_server.usual = "hold"
		content = lib.message()
		first = one.session()
		begun = one.ask(first, content)
		# The first one has its slot for as long as it began with.
		one.write_config(deadline_s=2)
		since = one.log_from()
		one.process.send(signal.SIGHUP)
		one.wait_log(since, "configuration reloaded")
		waits(one.send(content))
		tap.equal((one.key_server.most, len(one.key_server.requests)),
		    (1, 1), "most at a time, and all")
		one.key_server.go.set()
		lib.check_sealed(one, first.finish(begun), content)
		first.close()
	finally:
		one.close()


@tap.case("nobody listens: 451; the second key server takes over")
def t_fail_over():
	dead = "http://127.0.0.1:%d" % proc.free_port()
	alone = lib.Rig(key_servers=[dead]).start()
	try:
		waits(alone.send(lib.message()))
	finally:
		alone.close()
	rig.key_server.reset()
	for first in (dead, None):
		bad = fake.KeyServer(token=rig.key_server.token)
		bad.usual = "close"
		two = lib.Rig(key_servers=[first or bad.url,
		    rig.key_server.url], api_token_file=rig.token_file).start()
		try:
			content = lib.message()
			result = two.send(content)
			tap.equal(result.verdict, "accept", "verdict")
			one = lib.Sealed(result.message)
			tap.equal(lib.strip(one.open(rig.key_server.kd()))[0],
			    lib.expected(content), "after opening")
			if first is None:
				tap.equal(len(bad.requests), 2, "tries at the first")
				tap.equal(set(bad.requests),
				    {rig.key_server.requests[-1]},
				    "the same values everywhere")
				# It is passed over for a while.
				two.send(content)
				tap.equal(len(bad.requests), 2, "not asked")
		finally:
			two.close()
			bad.stop()


@tap.case("the store: not writable, away, full: 451, and no file is left")
def t_store():
	store, moved = rig.store, rig.store + ".away"
	os.rename(store, moved)
	try:
		waits(rig.send(lib.message()), "451 4.3.0")
		with open(store, "w"):
			pass
		waits(rig.send(lib.message()), "451 4.3.0")
		os.unlink(store)
	finally:
		os.rename(moved, store)
	seals()


@tap.case("a disk that fills up: 451 at the spool and at the store")
def t_full():
	for size, body in (("64k", b"x" * 400000), ("64k", b"x" * 100000)):
		tiny = lib.Rig(memory_limit=262144)
		proc.run(["mount", "-t", "tmpfs", "-o", "size=%s,mode=0750" % size,
		    "tmpfs", tiny.store])
		try:
			tiny.start()
			since = tiny.log_from()
			waits(tiny.send(lib.message(body)), "451 4.3.0")
			tiny.wait_log(since, " cause=file ")
			tap.contains(since(), ": %s" % tiny.store, "the place")
			waits(tiny.send(lib.message(body)), "451 4.3.0")
			tap.equal(since().count("warn: no room to seal mail, "
			    "which waits: "), 1, since())
			tap.contains(since(), "make room on its", "what to do")
			tap.equal(tiny.blobs(), [], "files in the store")
			tap.equal(tiny.half_files(), [], "half files")
			content = lib.message()
			lib.check_sealed(tiny, tiny.send(content), content)
		finally:
			tiny.stop()
			proc.run(["umount", tiny.store])
			tiny.close()


@tap.case("the mail server goes away during the end of message")
def t_gone():
	rig.key_server.reset()
	rig.key_server.usual = "hold"
	before = rig.blobs()
	s = rig.session()
	since = rig.log_from()
	rig.ask(s, lib.message())
	s.sock.shutdown(socket.SHUT_RDWR)
	s.close()
	rig.key_server.go.set()
	rig.wait_log(since, "4Q1TEST: ")
	tap.lacks(since(), ": sealed ", "log")
	proc.wait_for(lambda: rig.blobs() == before, 60, "E to be removed")
	rig.key_server.reset()
	seals()


@tap.case("mail deferred goes out sealed later, under another key id")
def t_later():
	rig.key_server.reset()
	rig.key_server.usual = "lost"
	content = lib.message()
	waits(rig.send(content))
	rig.key_server.usual = "ok"
	lib.check_sealed(rig, rig.send(content), content)
	tap.equal(len({r for r in rig.key_server.requests}), 2,
	    "different requests")
	tap.equal(rig.key_server.conflicts, 0, "conflicts")


tap.main(setup=start, teardown=lambda: rig and rig.close())
