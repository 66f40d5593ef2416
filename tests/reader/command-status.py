#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""counterfoil status: the table, --json, refusals and fail-over."""

import json
import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "contrib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lab import conf, proc, tap  # noqa: E402
import fake  # noqa: E402

PATH = "/api/v1/messages"


class World:
	folder = server = config = token = None


def setup():
	World.folder = proc.private_dir()
	World.config = os.path.join(World.folder, "counterfoil.conf")
	World.token = os.path.join(World.folder, "api.token")
	World.server = fake.Server()
	World.server.api_token = fake.b64(os.urandom(32))
	proc.write_file(World.token, World.server.api_token + "\n", 0o600)
	World.server.messages = [
	    message("bob@b.test", "opened", opened_at=
	        "2026-11-23T14:00:59.999Z", released_at=
	        "2026-11-23T14:00:00.000Z", receipt="sent"),
	    message("carol@c.test", "released", released_at=
	        "2026-11-23T13:59:00.000Z", receipt="queued"),
	    message("dave@d.test", "issued", message_id=""),
	]


def teardown():
	World.server.stop()
	tap.equal(World.server.wrong, [], "what was not to the letter")
	proc.remove_tree(World.folder)


def message(recipient, status, **more):
	return dict({"handle": "AAAAAAAAAAAAAAAAAAAAAA",
	    "message_ref": fake.b64(os.urandom(32)),
	    "message_id": "<1@a.test>", "sender": "alice@a.test",
	    "recipient": recipient, "issued_at": "2026-11-23T13:35:00.123Z",
	    "status": status, "assurance": "bearer", "released_at": None,
	    "opened_at": None, "receipt": "none"}, **more)


def run(*words, before=(), **options):
	conf.write(World.config, dict({"key_servers": [World.server.url],
	    "api_token_file": World.token, "timeout_s": 60}, **options))
	done = proc.run([proc.program("counterfoil"), "-c", World.config,
	    *before, "status", *words], check=False)
	tap.lacks(done.stdout + done.stderr, World.server.api_token.encode(),
	    "the output")
	return done


def fails(done, status, says):
	tap.equal((done.returncode, done.stdout), (status, b""),
	    "exit status, saying " + done.stderr.decode())
	tap.contains(done.stderr.decode(), says, "what it said")


@tap.case("a table for people, newest first, as the server gives it")
def t_table():
	done = run()
	tap.equal(done.returncode, 0, "exit status")
	tap.equal([line.split() for line in
	    done.stdout.decode().splitlines()], [
	    ["SENT", "(UTC)", "STATUS", "ASSURANCE", "RELEASED", "OPENED",
	        "RECEIPT", "RECIPIENT", "MESSAGE-ID"],
	    ["2026-11-23", "13:35", "opened", "bearer", "2026-11-23",
	        "14:00", "2026-11-23", "14:00", "sent", "bob@b.test",
	        "<1@a.test>"],
	    ["2026-11-23", "13:35", "released", "bearer", "2026-11-23",
	        "13:59", "-", "queued", "carol@c.test", "<1@a.test>"],
	    ["2026-11-23", "13:35", "issued", "bearer", "-", "-", "none",
	        "dave@d.test", "-"]], "table")
	columns = {line.index(word) for line, word in zip(
	    done.stdout.decode().splitlines(), ("RECEIPT", "sent", "queued",
	    "none"))}
	tap.equal(len(columns), 1, "columns stand below each other")
	last = {line.index(word) for line, word in zip(
	    done.stdout.decode().splitlines(), ("MESSAGE-ID", "<1@a.test>",
	    "<1@a.test>"))}
	tap.equal(len(last), 1, "the last column too")


@tap.case("attempts at one message for one recipient are one line, the newest")
def t_repeats():
	before = World.server.messages
	ref = {"message_ref": fake.b64(os.urandom(32))}
	World.server.messages = [
	    message("bob@b.test", "opened", message_id="<new@a.test>", **ref),
	    message("bob@b.test", "issued", message_id="<x@a.test>"),
	    message("carol@c.test", "issued", message_id="<y@a.test>", **ref),
	    message("bob@b.test", "issued", message_id="<old@a.test>", **ref)]
	try:
		done, listed = run(), json.loads(run("--json").stdout)
	finally:
		World.server.messages = before
	tap.equal([line.split()[-1] for line in
	    done.stdout.decode().splitlines()], ["MESSAGE-ID",
	    "<new@a.test>", "<x@a.test>", "<y@a.test>"], "lines")
	tap.equal(len(listed), 3, "in JSON")


@tap.case("--json gives what the server gave")
def t_json():
	tap.equal(json.loads(run("--json").stdout), World.server.messages,
	    "messages")


@tap.case("--limit is passed on; nonsense is refused")
def t_limit():
	tap.equal(len(json.loads(run("--json", "--limit", "2").stdout)), 2,
	    "limit 2")
	for word in ("0", "-1", "x", "1x", "", "99999999999999999999"):
		tap.equal(run("--limit", word).returncode, 2, word)
	tap.equal(run("word").returncode, 2, "a word")


@tap.case("no messages is a sentence, and [] in JSON")
def t_none():
	kept, World.server.messages = World.server.messages, []
	try:
		tap.equal(run().stdout, b"No sealed messages yet.\n", "table")
		tap.equal(json.loads(run("--json").stdout), [], "JSON")
	finally:
		World.server.messages = kept


@tap.case("text from outside cannot drive the terminal")
def t_terminal():
	kept = World.server.messages
	World.server.messages = [message("a\x1b[2J\n@b.test", "opened",
	    message_id="<\x07>")]
	try:
		done = run()
		tap.lacks(done.stdout, b"\x1b", "the table")
		tap.lacks(done.stdout, b"\x07", "the table")
		tap.equal(done.stdout.count(b"\n"), 2, "lines")
		tap.lacks(run("--json").stdout, b"\x1b", "the JSON")
	finally:
		World.server.messages = kept


@tap.case("an unknown token, no token, no server: sentences")
def t_refused():
	other = os.path.join(World.folder, "other.token")
	proc.write_file(other, fake.b64(os.urandom(32)) + "\n", 0o600)
	fails(run(api_token_file=other), 1, "not known here")
	fails(run(api_token_file=None), 2, "api_token_file")
	fails(run(key_servers=None), 2, "key_servers")
	proc.write_file(other, fake.b64(os.urandom(32)) + "\n", 0o644)
	fails(run(api_token_file=other), 2, "others could read")
	proc.write_file(other, "short\n", 0o600)
	fails(run(api_token_file=other), 2, "one line")


@tap.case("another of our key servers is asked when one is away")
def t_fail_over():
	away = "http://127.0.0.1:%d" % proc.free_port()
	done = run("--json", key_servers=[away, World.server.url])
	tap.equal(json.loads(done.stdout), World.server.messages, "messages")
	fails(run(key_servers=[away]), 75, "could not be reached")
	# A refusal is an answer.
	World.server.answers[PATH] = [fake.problem(401, "unauthorized",
	    "Never heard of it.")]
	fails(run(key_servers=[World.server.url, World.server.url]), 1,
	    "Never heard of it.")
	done = run("--json", key_servers=[away], before=("--key-server",
	    World.server.url))
	tap.equal(json.loads(done.stdout), World.server.messages, "messages")


@tap.case("answers that are none: exit 75, no half a table")
def t_garbage():
	for body in (b"", b"x", b"[]", b"{}", b'{"messages":1}',
	    b'{"messages":[1]}', b'{"messages":[{}]}',
	    b'{"messages":[{"handle":"a","status":"x"}]}'):
		World.server.answers[PATH] = [(200, body)]
		fails(run(), 75, "is not what it must be")
	World.server.answers[PATH] = [(500, b"<h1>")]
	fails(run(), 75, "is not what it must be")
	World.server.answers[PATH] = ["half"]
	fails(run(), 75, "could not be reached")


if __name__ == "__main__":
	tap.main(setup=setup, teardown=teardown)
