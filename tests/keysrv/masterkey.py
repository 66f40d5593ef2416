#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The master key file and the database: they fit, or nothing is sealed."""

import os
import pwd
import resource
import shutil
import signal
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "contrib"), HERE]

from lab import keysrv, proc, tap  # noqa: E402

from client import Message, b64  # noqa: E402
from ground import Ground  # noqa: E402
import openapi_check  # noqa: E402

g = None
other = None		# a second server on the same database


class Server:
	"""What Ground is for its first server: asks one by one."""

	issue, challenge, retrieve = Ground.issue, Ground.challenge, \
	    Ground.retrieve

	def __init__(self, server):
		self.server, self.token = server, g.token
		self.api = openapi_check.Api(server.url, None, g.document)

	def status(self, path):
		return self.api.get(path, good=False).status


def setup():
	global g, other
	g = Ground().start()
	folder = os.path.join(g.folder, "other")
	shutil.copytree(os.path.join(g.folder, "k"), folder)
	server = keysrv.KeyServer(folder, g.cluster,
	    options=dict(outbox="off", service_url=g.server.url))
	server.start()
	other = Server(server)


def teardown():
	try:
		if other:
			other.server.stop()
	finally:
		if g:
			g.stop()


def lines():
	return proc.read_text(g.server.masterkey_file).splitlines()


def ids(where="true"):
	return g.psql("SELECT encode(master_id, 'hex') FROM "
	    "counterfoil.master_key WHERE %s ORDER BY created_at" % where
	    ).splitlines()


def starts_not(server, content):
	"""What the server says when it meets a file with this content."""
	path = server.masterkey_file + ".bad"
	proc.write_file(path, content, 0o600)
	server.configure(masterkey_file=path)
	try:
		done = proc.run([proc.program("counterfoil-keysrv"), "-c",
		    server.config], check=False, limit_s=60)
	finally:
		server.configure(masterkey_file=server.masterkey_file)
		os.unlink(path)
	tap.equal(done.returncode, 1, "exit status")
	return done.stderr.decode()


def new_line():
	return "%s %s\n" % (os.urandom(8).hex(), b64(os.urandom(32)))


def give_file():
	"""Copy the file to the other server, as an administrator does."""
	shutil.copy(g.server.masterkey_file, other.server.masterkey_file)


def add():
	out = g.server.admin("masterkey", "add").stdout.decode()
	tap.contains(out, "masterkey activate " + ids()[-1], "what to do next")
	return ids()[-1]


@tap.case("the first start makes the file's key known and active")
def t_first():
	name, _ = lines()[0].split()
	tap.equal(ids(), [name], "known")
	tap.equal(ids("state = 'active'"), [name], "active")


@tap.case("a server with another master key does not start, and nothing is "
    "lost when the right one is back")
def t_other_file():
	old = g.issue()
	g.server.stop()
	try:
		text = starts_not(g.server, new_line())
	finally:
		g.server.start()
	tap.contains(text, "lacks the master key " + ids()[0], "sentence")
	tap.lacks(text, "internal", "sentence")
	tap.equal(len(ids()), 1, "keys that are known")
	tap.equal(g.retrieve(old).status, 200, "old mail")


@tap.case("a server that made a key file of its own does not start beside "
    "another")
def t_own_file():
	other.server.stop()
	try:
		text = starts_not(other.server, new_line())
	finally:
		other.server.start()
	tap.contains(text, "lacks the master key " + ids()[0], "sentence")


@tap.case("another key by the same name is not taken for it")
def t_same_name():
	g.server.stop()
	try:
		text = starts_not(g.server, "%s %s\n" % (ids()[0],
		    b64(os.urandom(32))))
	finally:
		g.server.start()
	tap.contains(text, "has another master key by the name "
	    + ids()[0], "sentence")


@tap.case("a key that was put into the file by hand is refused until it is "
    "made known")
def t_by_hand():
	before = ids()
	text = starts_not(g.server, "\n".join(lines()) + "\n" + new_line())
	tap.contains(text, "masterkey add", "sentence")
	# As if the command had ended between its two halves.
	line = new_line()
	with open(g.server.masterkey_file, "a") as f:
		f.write(line)
	tap.equal(add(), line.split()[0], "the name")
	tap.equal(len(lines()), len(before) + 1, "lines in the file")
	give_file()


@tap.case("masterkey add that ends half-way leaves the file as it was")
def t_add_half():
	path = g.server.masterkey_file
	nobody = pwd.getpwnam("nobody").pw_uid
	before, known = proc.read_text(path), ids()
	was = os.stat(path)
	for how in (signal.SIG_IGN, signal.SIG_DFL):
		def limit(how=how):
			signal.signal(signal.SIGXFSZ, how)
			resource.setrlimit(resource.RLIMIT_FSIZE,
			    (len(before) + 20,) * 2)
		done = subprocess.run([proc.program("counterfoil-admin"),
		    "-c", g.server.admin_config, "masterkey", "add"],
		    preexec_fn=limit, capture_output=True, check=False)
		tap.true(done.returncode != 0, "status")
		if how == signal.SIG_IGN:
			tap.contains(done.stderr.decode(), path + ": File "
			    "too large", "sentence")
		tap.equal((proc.read_text(path), ids()), (before, known),
		    "file and keys")
	try:
		os.chown(path, nobody, -1)
		add()
		now = os.stat(path)
		tap.equal((now.st_uid, now.st_gid, now.st_mode),
		    (nobody, was.st_gid, was.st_mode), "owner and mode")
	finally:
		os.chown(path, was.st_uid, -1)
	tap.true(proc.read_text(path).startswith(before), "old keys")
	give_file()


@tap.case("masterkey add and activate refuse a file that is not this "
    "database's")
def t_admin_refuses():
	path = g.server.masterkey_file + ".bad"
	proc.write_file(path, new_line(), 0o600)
	before, active = ids(), ids("state = 'active'")
	g.server.configure(masterkey_file=path)
	try:
		for words in (("add",), ("activate", before[1])):
			done = g.server.admin("masterkey", *words, check=False)
			tap.equal(done.returncode == 0, False, "status of %s"
			    % (words,))
			tap.contains(done.stderr.decode(), "lacks the master "
			    "key", str(words))
		tap.equal(len(proc.read_text(path).splitlines()), 1, "the file")
	finally:
		g.server.configure(masterkey_file=g.server.masterkey_file)
	for word, status in (("00" * 8, 1), ("x", 2), (before[0][:-1], 2)):
		done = g.server.admin("masterkey", "activate", word,
		    check=False)
		tap.equal(done.returncode, status, "activate " + word)
		if status == 2:
			tap.contains(done.stderr.decode(), '"%s" is not the name '
			    "of a master key" % word, "the sentence")
	for words, text in ((("gateway", "reference", "gw", "x"),
	    '"x" is not a check'), (("accept", "x"),
	    '"x" is not service_url or signer')):
		done = g.server.admin(*words, check=False)
		tap.equal(done.returncode, 2, str(words))
		tap.contains(done.stderr.decode(), text, str(words))
	tap.equal((ids(), ids("state = 'active'")), (before, active), "keys")


@tap.case("a rotation under two servers at work fails no issue and no opening")
def t_rotation():
	ended, errors, done = threading.Event(), [], [0, 0]

	def work(n, server):
		try:
			while not ended.is_set():
				m = server.issue()
				# The other one opens, be it sealed how it may.
				a = (g, other)[1 - n].retrieve(m)
				if a.status != 200:
					errors.append(str(a))
				done[n] += 1
		except Exception as e:
			errors.append(repr(e))

	def more():
		"""Each has gone round twice since now."""
		want = [d + 2 for d in done]
		proc.wait_for(lambda: errors or all(d >= w for d, w in
		    zip(done, want)), 120, "the servers to work")
	threads = [threading.Thread(target=work, args=a, daemon=True)
	    for a in ((0, g), (1, other))]
	for t in threads:
		t.start()
	try:
		more()
		name = add()
		more()
		give_file()
		g.server.admin("masterkey", "activate", name)
		more()
	finally:
		ended.set()
		for t in threads:
			t.join(120)
	tap.equal(errors, [], "what failed")
	tap.equal(ids("state = 'active'"), [name], "active")
	tap.true(g.count("key_material", "master_id = '\\x%s'" % name) > 0,
	    "keys under the new one")


@tap.case("a server that lacks the active key answers 503, not 500, and says "
    "which; with the file it goes on by itself")
def t_lacks():
	challenge_of = g.issue()
	challenge = g.challenge(challenge_of)
	name = add()
	tap.equal(other.status("/readyz"), 200, "readyz before it is active")
	g.server.admin("masterkey", "activate", name)
	tap.equal(g.api.get("/readyz").status, 200, "readyz where it is")
	tap.equal(other.status("/readyz"), 503, "readyz where it is not")
	a = other.api.post("/api/v1/issue", Message().issue(), token=g.token,
	    good=False)
	tap.equal((a.status, a.problem), (503, "master-key"), "issue")
	m = g.issue()
	events = len(g.events(m))
	a = other.retrieve(m)
	tap.equal((a.status, a.problem), (503, "master-key"), "retrieve")
	tap.lacks(a.json["detail"], other.server.folder, "what strangers read")
	tap.equal(len(g.events(m)), events, "no refusal is recorded")
	tap.contains(other.server.log_text(), "key=%s: %s lacks the master "
	    "key %s" % (m.handle, other.server.masterkey_file, name), "log")
	tap.equal(other.retrieve(challenge_of, challenge).status, 200,
	    "what was sealed before opens, by a challenge of before")
	# It may not start either now.
	other.server.stop()
	old = proc.read_text(other.server.masterkey_file)
	tap.contains(starts_not(other.server, old), "lacks the master key "
	    + name, "start")
	give_file()
	other.server.start()
	proc.wait_for(lambda: other.status("/readyz") == 200, 60, "readyz")
	tap.equal(other.retrieve(m).status, 200, "retrieve")


@tap.case("the file comes while the server runs, without a restart")
def t_file_comes():
	name = add()
	g.server.admin("masterkey", "activate", name)
	m = g.issue()
	tap.equal(other.retrieve(m).problem, "master-key", "without the file")
	give_file()
	proc.wait_for(lambda: other.status("/readyz") == 200, 60, "readyz")
	tap.equal(other.retrieve(m).status, 200, "with it")
	other.issue()


@tap.case("a key that sealed something may not go from the file")
def t_dropped():
	old = lines()
	g.server.stop()
	try:
		text = starts_not(g.server, "\n".join(old[1:]) + "\n")
		tap.contains(text, "lacks the master key " + old[0].split()[0],
		    "sentence")
		# In which order they stand does not matter.
		proc.write_file(g.server.masterkey_file,
		    "\n".join(reversed(old)) + "\n", 0o600)
	finally:
		g.server.start()
	g.issue()


@tap.case("masterkey status says of each key how it stands")
def t_status():
	g.issue()
	out = g.server.admin("masterkey", "status").stdout.decode()
	rows = [line.split("\t") for line in out.splitlines()]
	tap.equal([r[0] for r in rows], ids(), "names")
	tap.equal([r[0] for r in rows if r[1] == "active"],
	    ids("state = 'active'"), "active")
	for r in rows:
		tap.equal(r[3], "%d keys" % g.count("key_material",
		    "master_id = '\\x%s'" % r[0]), "keys under " + r[0])
		tap.equal(r[4], "ok", r[0])
	name = lines()[0].split()[0]
	proc.write_file(g.server.masterkey_file + ".one", "%s\n" % lines()[0],
	    0o600)
	g.server.configure(masterkey_file=g.server.masterkey_file + ".one")
	try:
		out = g.server.admin("masterkey", "status").stdout.decode()
	finally:
		g.server.configure(masterkey_file=g.server.masterkey_file)
	for r in (line.split("\t") for line in out.splitlines()):
		if r[0] != name:
			tap.contains(r[4], "lacks the master key", r[0])


@tap.case("of the master keys the server may change nothing, and what wraps "
    "something stays")
def t_rights():
	name = ids("state = 'active'")[0]
	for role, sql, words in (
	    ("counterfoil_keysrv", "INSERT INTO counterfoil.master_key "
	        "(master_id, check_value) VALUES ('12345678', sha256('x'))",
	        "permission denied"),
	    ("counterfoil_keysrv", "UPDATE counterfoil.master_key SET state = "
	        "'known'", "permission denied"),
	    ("counterfoil_keysrv", "UPDATE counterfoil.service_secret SET "
	        "wrapped = ''", "permission denied"),
	    ("counterfoil_owner", "DELETE FROM counterfoil.master_key WHERE "
	        "master_id = '\\x%s'" % name, "foreign key"),
	    ("counterfoil_owner", "UPDATE counterfoil.master_key SET state = "
	        "'active', activated_at = now()", "master_key_active")):
		done = proc.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-c",
		    "SET ROLE " + role, "-c", sql,
		    g.cluster.conninfo(g.server.database)], check=False)
		tap.contains(done.stderr.decode(), words, sql)
	tap.equal(g.psql("SET ROLE counterfoil_keysrv; SELECT "
	    "counterfoil.first_master_key('12345678', sha256('x'))"), "f",
	    "a second first key")


# ---- the rest that must fit ----

def refuses(words, **changes):
	"""It does not start with these options, and says these words."""
	before = dict(g.server.options)
	g.server.stop()
	g.server.configure(**changes)
	done = proc.run([proc.program("counterfoil-keysrv"), "-c",
	    g.server.config], check=False, limit_s=60)
	tap.equal(done.returncode, 1, "exit status (%s)" % done.stderr)
	for word in words:
		tap.contains(done.stderr.decode(), word, "sentence")
	return before


@tap.case("another service_url than that of the links is refused until it is "
    "accepted")
def t_service_url():
	m = g.issue()
	before = refuses([g.server.url, "accept service_url"],
	    service_url="http://localhost:1")
	out = g.server.admin("accept", "service_url").stdout.decode()
	tap.contains(out, "service_url is http://localhost:1", "accepted")
	g.server.start()
	tap.equal(g.retrieve(m).status, 200, "mail of before")
	refuses(["http://localhost:1"], **before)
	g.server.admin("accept", "service_url")
	g.server.start()


@tap.case("another signer is refused until it is accepted; a renewed "
    "certificate is not another")
def t_signer():
	def sign(name, key):
		"""A certificate of this key for the address of receipts."""
		path = os.path.join(g.folder, name)
		proc.run(["openssl", "req", "-x509", "-new", "-key", key,
		    "-subj", "/CN=r", "-addext", "subjectAltName=email:"
		    + g.server.receipt_from, "-out", path])
		return path
	key = g.server.options["signer_key"]
	g.server.restart(outbox="on")
	g.server.restart(signer_certificate=sign("renewed.pem", key))
	other_key = os.path.join(g.folder, "other.key")
	g.server.admin("signer", "new", "--address", g.server.receipt_from,
	    "--cert", os.path.join(g.folder, "other.pem"), "--key", other_key)
	before = refuses(["another key", "accept signer"],
	    signer_certificate=os.path.join(g.folder, "other.pem"),
	    signer_key=other_key)
	done = g.server.admin("accept", "signer").stdout.decode()
	tap.contains(done, "signer is ", "accepted")
	g.server.start()
	# A server that sends no receipts has no say in who signs them.
	g.server.restart(**dict(before, outbox="off"))
	tap.equal(g.server.admin("accept", "receipts", check=False).returncode,
	    2, "accept of something else")


tap.main(setup, teardown)
