#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Gateways of one account and their reference secret, at a real key server."""

import os
import re
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig as lib  # noqa: E402
from lab import keysrv, pg  # noqa: E402
from rig import end, new, proc, run, tap  # noqa: E402

folder = cluster = server = None
one = other = None


def setup():
	global folder, cluster, server, one, other
	folder = proc.private_dir()
	cluster = pg.Cluster(os.path.join(folder, "pg"))
	cluster.start()
	server = keysrv.KeyServer(os.path.join(folder, "k"), cluster,
	    options={"outbox": "off"}).prepare()
	token = server.add_gateway("gw1", "a.test")
	server.start()
	options = dict(key_servers=[server.url], api_token_file=token,
	    allowed_key_servers=[server.url])
	one, other = new(**options).start(), new(**options).start()


def teardown():
	end()
	try:
		if server:
			server.stop()
	finally:
		if cluster:
			cluster.destroy()
		proc.remove_tree(folder)


def check(rig):
	"""(status, output) of -n, without the mail server."""
	status, out, err = run("-n", "--no-mta", "-c", rig.config)
	return status, out + err


@tap.case("the first secret counts; a second gateway with another is refused, "
    "its mail waits, and both say what to do")
def t_two():
	tap.equal(one.send(lib.message()).verdict, "accept", "the first")
	tap.equal(check(one)[0], 0, "-n of the first: %s" % check(one)[1])
	result = other.send(lib.message())
	tap.equal(result.verdict, "tempfail", "the second")
	tap.contains(result.reply.decode(), "451 4.7.1", "reply")
	lines = [x for x in other.log_text().splitlines()
	    if "cause=reference-secret" in x]
	tap.equal(len(lines), 1, "lines in the log")
	status, out = check(other)
	tap.equal(status, 78, "-n of the second")
	word = re.search(r"gateway reference gw1 ([A-Za-z0-9_-]{22})", out)
	tap.true(word, "the command: %s" % out)
	tap.contains(lines[0], word.group(0), "log")
	tap.equal(server.psql("SELECT count(*) FROM counterfoil.key_issue"),
	    "1", "keys")
	secret = proc.read_text(other.options["ref_secret_file"]).strip()
	tap.lacks(out + server.log_text(), secret, "what is said")


@tap.case("with the file of the first, the second works")
def t_copied():
	mine = other.options["ref_secret_file"]
	shutil.copy(mine, mine + ".own")
	shutil.copy(one.options["ref_secret_file"], mine)
	other.stop()
	other.start()
	tap.equal(other.send(lib.message()).verdict, "accept", "the second")
	tap.equal(one.send(lib.message()).verdict, "accept", "the first")
	tap.equal(server.psql("SELECT count(DISTINCT message_ref) FROM "
	    "counterfoil.key_issue"), "1", "references of one mail")


@tap.case("the key server's administrator can let another secret count")
def t_accepted():
	mine = other.options["ref_secret_file"]
	shutil.move(mine + ".own", mine)
	other.stop()
	other.start()
	tap.equal(other.send(lib.message()).verdict, "tempfail", "before")
	value = check(other)[1].split("gw1 ")[1][:22]
	for words, text in ((("nobody", value), "there is no gateway"),
	    (("gw1", value[1:]), "usage"), (("gw1",), "usage")):
		done = server.admin("gateway", "reference", *words,
		    check=False)
		tap.true(done.returncode != 0, "refused %s" % (words,))
		tap.contains(done.stderr.decode(), text, str(words))
	server.admin("gateway", "reference", "gw1", value)
	tap.equal(other.send(lib.message()).verdict, "accept", "the second")
	tap.equal(one.send(lib.message()).verdict, "tempfail", "the first")


tap.main(setup, teardown)
