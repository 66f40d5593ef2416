#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""GET /readyz says whether a key could be issued and released; the clocks."""

import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "contrib"), HERE]

from lab import conf, pg, proc, tap  # noqa: E402

from client import Message  # noqa: E402
from ground import Ground, Holder, together  # noqa: E402

g = None
AT_ONCE_S = 20		# nothing is waited for; the machine may be busy
SESSIONS = ("SET synchronous_commit = local; SELECT count(*) FROM "
    "pg_stat_activity WHERE application_name LIKE 'counterfoil-%'")


def setup():
	global g
	# The outbox has something to do for ever: nobody takes its mail.
	g = Ground(outbox="on", receipt_delay_s=0, connections=2,
	    smtp_server="127.0.0.1:%d" % proc.free_port()).start()
	g.release(g.issue())


def teardown():
	if g:
		g.stop()


def ask():
	began = time.monotonic()
	a = g.api.get("/readyz")
	tap.true(time.monotonic() - began < AT_ONCE_S, "answered at once")
	return a


def wait_not_ready(problem, words):
	def found():
		a = ask()
		return a if a.status != 200 else None
	a = proc.wait_for(found, 120, "the server not to be ready")
	tap.equal((a.status, a.problem), (503, problem), "answer")
	tap.contains(a.json["detail"], words, "what it says")
	return a


def wait_ready():
	proc.wait_for(lambda: ask().status == 200, 120, "the server to be ready")
	g.issue()


def set_system(name, value):
	"""In sessions that may be read-only, and without waiting for anybody."""
	g.psql("SET default_transaction_read_only = off; SET synchronous_commit "
	    "= local; ALTER SYSTEM %s" % ("RESET " + name if value is None
	    else "SET %s = %s" % (name, value)))
	g.psql("SELECT pg_reload_conf()")


# ---- the database ----

@tap.case("a database that is set read-only, and back")
def t_read_only():
	set_system("default_transaction_read_only", "on")
	try:
		wait_not_ready("database-unavailable", "read-only")
		a = g.api.post("/api/v1/issue", Message().issue(), token=g.token)
		tap.equal((a.status, a.problem), (503, "database-unavailable"),
		    "issue")
		tap.equal(g.api.get("/healthz").status, 200, "healthz")
	finally:
		set_system("default_transaction_read_only", None)
	wait_ready()
	tap.contains(g.server.log_text(), "not ready: the database is "
	    "read-only", "log")
	tap.contains(g.server.log_text(), "ready again", "log")


@tap.case("a commit that hangs: told at once, no sessions pile up, nothing "
    "is begun that would hang too")
def t_hangs():
	set_system("synchronous_standby_names", "'nobody'")
	try:
		wait = together([lambda: g.api.post("/api/v1/issue",
		    Message().issue(), token=g.token)])
		wait_not_ready("database-unavailable", "do not come to an end")
		before = int(g.psql(SESSIONS).split()[-1])
		for _ in range(20):
			began = time.monotonic()
			a = g.api.post("/api/v1/issue", Message().issue(),
			    token=g.token)
			tap.equal(a.status, 503, "issue")
			tap.true(time.monotonic() - began < AT_ONCE_S, "at once")
			tap.equal(ask().status, 503, "readyz")
		tap.equal(int(g.psql(SESSIONS).split()[-1]), before, "sessions")
	finally:
		set_system("synchronous_standby_names", None)
	wait()
	wait_ready()
	tap.contains(g.server.log_text(), "is a synchronous standby missing?",
	    "log")


@tap.case("a database that is a standby, until it is promoted")
def t_standby():
	g.cluster.stop()
	signal = os.path.join(g.cluster.data, "standby.signal")
	proc.write_file(signal, "")
	os.chown(signal, *g.cluster.ids)
	g.cluster.start()
	wait_not_ready("database-unavailable", "")
	proc.wait_for(lambda: "the database is a standby" in
	    g.server.log_text(), 120, "the log line")
	g.psql("SELECT pg_promote()")
	wait_ready()


@tap.case("no room left on the database's disk, and room again")
def t_disk_full():
	place = os.path.join(g.folder, "tiny")
	os.mkdir(place)
	proc.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", place])
	try:
		tables = os.path.join(place, "tables")
		os.mkdir(tables)
		os.chown(tables, *g.cluster.ids)
		move = "ALTER DATABASE %s SET TABLESPACE " % g.server.database
		g.server.stop()
		g.cluster.psql("CREATE TABLESPACE tiny LOCATION '%s'" % tables)
		g.cluster.psql(move + "tiny")
		g.server.start()
		g.issue()
		filler = os.path.join(place, "filler")
		with open(filler, "wb", buffering=0) as f:
			try:
				while True:
					f.write(bytes(65536))
			except OSError:
				pass
		wait_not_ready("database-unavailable", "")
		tap.contains(g.server.log_text(), "(53100)", "log")
		os.unlink(filler)
		wait_ready()
		g.server.stop()
		g.cluster.psql(move + "pg_default")
		g.cluster.psql("DROP TABLESPACE tiny")
		g.server.start()
	finally:
		proc.run(["umount", "-l", place])


@tap.case("a write that was refused counts, though others could be done")
def t_refused_write():
	g.server.stop()
	g.psql("ALTER ROLE keysrv SET lock_timeout = '100ms'")
	g.server.start()
	try:
		with Holder(g, "key_issue"):
			a = g.api.post("/api/v1/issue", Message().issue(),
			    token=g.token)
			tap.equal(a.status, 503, "issue")
			a = ask()
			tap.equal((a.status, a.problem),
			    (503, "database-unavailable"), "readyz")
	finally:
		g.psql("ALTER ROLE keysrv RESET lock_timeout")
	g.issue()
	tap.equal(ask().status, 200, "after one that went through")


@tap.case("a server that became read-only is left for the one that took over")
def t_taken_over():
	folder = os.path.join(g.folder, "pg2")
	second = pg.Cluster.__new__(pg.Cluster)
	second.__dict__.update(g.cluster.__dict__, folder=folder,
	    data=os.path.join(folder, "data"),
	    log=os.path.join(folder, "postgresql.log"), port=5433, process=None)
	os.mkdir(folder, 0o711)
	os.chown(folder, *g.cluster.ids)
	g.cluster._as([os.path.join(pg.bindir(), "pg_basebackup"), "-D",
	    second.data, "-R", "-X", "stream", "-c", "fast", "-d",
	    g.cluster.conninfo()], 300)
	try:
		second.start(("port=5433",))
		one, two = g.server.options["database"], "host=%s,%s port=5432,5433 " \
		    "dbname=%s user=keysrv target_session_attrs=read-write" % (
		    g.cluster.socket, g.cluster.socket, g.server.database)
		g.server.restart(database=two)
		g.issue()
		set_system("default_transaction_read_only", "on")
		second.psql("SELECT pg_promote()")
		proc.wait_for(lambda: ask().status == 200 and g.api.post(
		    "/api/v1/issue", Message().issue(), token=g.token).status
		    == 201, 120, "the other one to be found")
		m = g.issue()
		tap.equal(second.psql("SELECT count(*) FROM counterfoil.key_issue "
		    "WHERE key_id = '\\x%s'" % m.key_id.hex(),
		    g.server.database), "1", "where it is")
		set_system("default_transaction_read_only", None)
		g.server.restart(database=one)
	finally:
		second.destroy()


# ---- the clocks ----

def set_clock(ahead):
	"""The database's clock, for sessions that ask it for the time."""
	first = g.psql("SELECT to_regproc('pg_catalog.real_clock')") == ""
	g.psql("SET allow_system_table_mods = on; %s CREATE OR REPLACE FUNCTION "
	    "pg_catalog.clock_timestamp() RETURNS timestamptz VOLATILE STRICT "
	    "LANGUAGE sql AS $$ SELECT pg_catalog.real_clock() + interval "
	    "'%d s' $$" % ("ALTER FUNCTION pg_catalog.clock_timestamp() RENAME "
	    "TO real_clock;" if first else "", ahead))
	if first:	# those that are prepared still call the old one
		g.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
		    "WHERE application_name LIKE 'counterfoil-%'")


def start_fails():
	path = os.path.join(g.folder, "clock.conf")
	conf.write(path, dict(g.server.options, listen="127.0.0.1:%d"
	    % proc.free_port()))
	done = proc.run([proc.program("counterfoil-keysrv"), "-c", path],
	    check=False)
	tap.equal(done.returncode, 1, "exit status (%s)" % done.stderr)
	return done.stderr.decode()


@tap.case("a clock that is off by a second is told, by five nothing is "
    "served until it is right")
def t_clock():
	before = g.server.log_text()
	m = g.issue()
	set_clock(2)
	proc.wait_for(lambda: ask().status == 200 and "s behind the database's"
	    in g.server.log_text()[len(before):], 120, "the warning")
	tap.equal(g.retrieve(m).status, 200, "retrieve")
	for ahead, words in ((6, "behind the database's"),
	    (-6, "ahead of the database's"), (-31536000, "ahead of")):
		set_clock(ahead)
		wait_not_ready("clock", "clock is wrong")
		a = g.api.post("/api/v1/issue", Message().issue(), token=g.token)
		tap.equal((a.status, a.problem), (503, "clock"), "issue")
		a = g.retrieve(m)
		tap.equal((a.status, a.problem), (503, "clock"), "retrieve")
		tap.contains(start_fails(), words, "start")
		set_clock(0)
		wait_ready()
		tap.equal(g.retrieve(m).status, 200, "retrieve again")


@tap.case("no release is before its issue, no opening before its release")
def t_order():
	try:
		set_clock(4)
		m = g.issue()
		set_clock(0)
		r = g.release(m)
		set_clock(-4)
		tap.equal(g.open(m, r).status, 200, "open")
	finally:
		set_clock(0)
	times = [line.split(" ", 1)[1] for e in g.events(m) for line in e
	    if line.startswith("time ")]
	kinds = [line.split(" ", 1)[1] for e in g.events(m) for line in e
	    if line.startswith("type ")]
	tap.equal(sorted(kinds), ["issued", "opened", "released"], "events")
	by = dict(zip(kinds, times))
	tap.true(by["issued"] <= by["released"] <= by["opened"], str(by))
	tap.true(g.psql("SELECT i.issued_at <= r.released_at FROM "
	    "counterfoil.key_issue i JOIN counterfoil.key_release r USING "
	    "(key_id) WHERE key_id = '\\x%s'" % m.key_id.hex()) == "t", "rows")


tap.main(setup, teardown)
