#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the database holds and who may do what to it; start and stop."""

import base64
import os
import pwd
import re
import signal
import socket
import stat
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "contrib"), HERE]

from lab import conf, pg, proc, tap  # noqa: E402

from client import Message, b64, unb64  # noqa: E402
from ground import Ground  # noqa: E402

g = None


def setup():
	global g
	# The server makes a table for each month; the two are compared.
	proc.wait_for(lambda: time.gmtime(time.time() + 300).tm_mon ==
	    time.gmtime().tm_mon, 600, "the month to be over")
	g = Ground().start()


def teardown():
	if g:
		g.stop()


# ---- schema ----

def dump(*options):
	text = proc.run([os.path.join(pg.bindir(), "pg_dump"), *options,
	    g.cluster.conninfo(g.server.database)]).stdout.decode()
	# pg_dump puts a fresh random word into these two lines.
	return "\n".join(line for line in text.split("\n")
	    if not line.startswith(("\\restrict", "\\unrestrict")))


@tap.case("migrations run twice without harm")
def t_twice():
	before = dump("--schema-only")
	done = g.server.admin("migrate")
	tap.equal(done.stdout, b"up to date\n", "output")
	tap.equal(dump("--schema-only"), before, "schema")


@tap.case("migrate says what is wrong with roles, owners and grants")
def t_faults():
	def faults(sql, back):
		g.psql(sql)
		try:
			done = g.server.admin("migrate", check=False)
		finally:
			g.psql(back)
		tap.equal(done.returncode, 1, "exit status after " + sql)
		tap.contains(done.stderr.decode(), "faults", "sentence")
		return done.stdout.decode()
	tap.contains(faults("REVOKE INSERT ON counterfoil.key_issue FROM "
	    "counterfoil_keysrv", "GRANT INSERT ON counterfoil.key_issue TO "
	    "counterfoil_keysrv"), "counterfoil_keysrv lacks INSERT on "
	    "counterfoil.key_issue\n", "a grant")
	tap.contains(faults("REVOKE UPDATE (release_count) ON "
	    "counterfoil.key_state FROM counterfoil_keysrv", "GRANT UPDATE "
	    "(release_count) ON counterfoil.key_state TO counterfoil_keysrv"),
	    "counterfoil_keysrv lacks UPDATE on "
	    "counterfoil.key_state.release_count\n", "a grant on a column")
	tap.contains(faults("GRANT SELECT ON counterfoil.api_token TO PUBLIC",
	    "REVOKE SELECT ON counterfoil.api_token FROM PUBLIC"),
	    "PUBLIC has SELECT on counterfoil.api_token, which", "too much")
	tap.contains(faults("GRANT EXECUTE ON FUNCTION "
	    "counterfoil.record_grants() TO PUBLIC", "REVOKE ALL ON FUNCTION "
	    "counterfoil.record_grants() FROM PUBLIC"), "PUBLIC has EXECUTE",
	    "a function")
	tap.contains(faults("ALTER TABLE counterfoil.event_default OWNER TO "
	    "current_user", "ALTER TABLE counterfoil.event_default OWNER TO "
	    "counterfoil_owner"), "counterfoil.event_default belongs to ",
	    "an owner")
	# A site's own roles are its own matter.
	g.psql("CREATE ROLE grafana; GRANT SELECT ON counterfoil.receipt_log "
	    "TO grafana")
	tap.equal(g.server.admin("migrate").stdout, b"up to date\n", "all well")


@tap.case("a dump that was restored without the roles is not up to date")
def t_restored():
	file = os.path.join(g.folder, "all.dump")
	proc.run([os.path.join(pg.bindir(), "pg_dump"), "-Fc", "-f", file,
	    g.cluster.conninfo(g.server.database)])
	# As in a new cluster, where the dump's owners and grants fail.
	g.cluster.create("restored")
	proc.run([os.path.join(pg.bindir(), "pg_restore"), "--no-owner",
	    "--no-privileges", "-d", g.cluster.conninfo("restored"), file])
	path = os.path.join(g.folder, "restored.conf")
	conf.write(path, dict(g.server.options,
	    database=g.cluster.conninfo("restored")))
	done = proc.run([proc.program("counterfoil-admin"), "-c", path,
	    "migrate"], check=False)
	tap.equal(done.returncode, 1, "exit status")
	for words in ("schema counterfoil belongs to ",
	    "counterfoil.make_event_partitions(ahead integer) belongs to ",
	    "counterfoil_keysrv lacks INSERT on counterfoil.key_issue\n",
	    "counterfoil_auditor lacks SELECT on counterfoil.receipt_log\n",
	    "PUBLIC has EXECUTE on counterfoil.first_master_key("):
		tap.contains(done.stdout.decode(), words, "faults")
	tap.contains(done.stderr.decode(), "--roles-only", "what to do")


@tap.case("a second database in the same cluster can be set up")
def t_second_database():
	g.cluster.create("second")
	path = os.path.join(g.folder, "second.conf")
	conf.write(path, dict(g.server.options,
	    database=g.cluster.conninfo("second")))
	done = proc.run([proc.program("counterfoil-admin"), "-c", path,
	    "migrate"])
	tap.contains(done.stdout.decode(), "applied 0001", "output")


@tap.case("every table, column, view and function has a comment")
def t_comments():
	missing = g.psql("""
	    SELECT c.relname || '.' || coalesce(a.attname, '')
	    FROM pg_class c
	    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
		AND NOT a.attisdropped
	    WHERE c.relnamespace = 'counterfoil'::regnamespace
		AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
		AND (obj_description(c.oid, 'pg_class') IS NULL
		    OR col_description(c.oid, a.attnum) IS NULL)
	    UNION ALL SELECT p.proname || '()' FROM pg_proc p
	    WHERE p.pronamespace = 'counterfoil'::regnamespace
		AND obj_description(p.oid, 'pg_proc') IS NULL""")
	tap.equal(missing, "", "without a comment")


@tap.case("the hot path finds every key through an index")
def t_plans():
	g.psql("ANALYZE")
	for table, where in (("key_issue", "key_id = '\\x00'"),
	    ("key_state", "key_id = '\\x00'"),
	    ("key_once", "key_id = '\\x00' AND kind = 'opening' "
	        "AND value = '\\x00'"),
	    ("challenge_used", "key_id = '\\x00' AND random = '\\x00' "
	        "AND slot = 1")):
		plan = g.psql("SET enable_seqscan = off; EXPLAIN SELECT * FROM "
		    "counterfoil.%s WHERE %s" % (table, where))
		tap.contains(plan, "Index", table)
		tap.equal(plan.count("Scan"), 1, "partitions of %s looked at: "
		    "%s" % (table, plan))


@tap.case("event partitions are there for this month and three more")
def t_partitions():
	names = g.psql("SELECT c.relname FROM pg_inherits h JOIN pg_class c ON "
	    "c.oid = h.inhrelid WHERE h.inhparent = "
	    "'counterfoil.event'::regclass ORDER BY 1").splitlines()
	wanted = g.psql("SET timezone = 'UTC'; SELECT 'event_' || to_char("
	    "date_trunc('month', now()) + make_interval(months => n), "
	    "'YYYY_MM') FROM generate_series(0, 3) n").splitlines()
	tap.equal(names, sorted(wanted) + ["event_default"], "partitions")
	m = g.issue()
	where = "key_id = '\\x%s'" % m.key_id.hex()
	tap.equal(g.psql("SELECT tableoid::regclass FROM counterfoil.event "
	    "WHERE " + where), "counterfoil." + wanted[0], "this month's")
	made = g.psql("SELECT counterfoil.make_event_partitions(5)")
	tap.equal(made, "2", "two more")
	tap.equal(g.psql("SELECT counterfoil.make_event_partitions(5)"), "0",
	    "again")


def month(ahead, form):
	return g.psql("SET timezone = 'UTC'; SELECT to_char(date_trunc('month', "
	    "now()) + interval '%d months 3 days', '%s')" % (ahead, form))


def attached(name):
	return g.psql("SELECT count(*) FROM pg_inherits WHERE inhparent = "
	    "'counterfoil.event'::regclass AND inhrelid = "
	    "to_regclass('counterfoil.%s')" % name) == "1"


def late_event(at):
	"""An event of that time, as a clock that was wrong leaves it."""
	event = os.urandom(16).hex()
	g.psql("INSERT INTO counterfoil.event (event_id, at, type, key_id, "
	    "record) VALUES ('\\x%s', '%s', 'issued', '\\x%s', '')"
	    % (event, at, os.urandom(16).hex()))
	return event


def table_of(event):
	return g.psql("SELECT tableoid::regclass FROM counterfoil.event WHERE "
	    "event_id = '\\x%s'" % event)


@tap.case("events in the default partition move to their month's, whenever "
    "that is made or attached again")
def t_partitions_late():
	names = ["event_" + month(n, "YYYY_MM") for n in (2, 8, -7)]
	g.psql("ALTER TABLE counterfoil.event DETACH PARTITION counterfoil."
	    + names[0])
	events = [late_event(month(n, "YYYY-MM-DD")) for n in (2, 8, -7)]
	tap.equal([table_of(e) for e in events],
	    ["counterfoil.event_default"] * 3, "at first")
	tap.equal(g.psql("SET ROLE counterfoil_keysrv; SELECT "
	    "counterfoil.make_event_partitions(3)"), "3", "made or attached")
	tap.equal([table_of(e) for e in events],
	    ["counterfoil." + n for n in names], "afterwards")
	tap.equal(g.count("event_default"), 0, "left in the default partition")
	# Old months can still be taken out, and put back by hand.
	g.psql("ALTER TABLE counterfoil.event DETACH PARTITION counterfoil."
	    + names[2])
	more = late_event(month(-7, "YYYY-MM-DD"))
	tap.equal(g.psql("SET ROLE counterfoil_owner; SELECT "
	    "counterfoil.attach_event_month('%s')" % month(-7, "YYYY-MM-DD")),
	    "t", "by hand")
	tap.equal(table_of(more), "counterfoil." + names[2], "its table")
	tap.true(refused("counterfoil_keysrv",
	    "SELECT counterfoil.attach_event_month(now())"), "for the owner")


@tap.case("a month whose partition cannot be made keeps no other from it")
def t_partitions_broken():
	broken, good = ["event_" + month(n, "YYYY_MM") for n in (20, 21)]
	g.psql("CREATE TABLE counterfoil.%s (other integer)" % broken)
	events = [late_event(month(n, "YYYY-MM-DD")) for n in (20, 21)]
	g.psql("SELECT counterfoil.make_event_partitions(0)")
	tap.equal([table_of(e) for e in events], ["counterfoil.event_default",
	    "counterfoil." + good], "where they are")
	g.psql("DROP TABLE counterfoil." + broken)
	g.psql("SELECT counterfoil.make_event_partitions(0)")
	tap.equal(table_of(events[0]), "counterfoil." + broken, "afterwards")


# ---- who may do what ----

def refused(user_role, sql):
	done = proc.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-c",
	    "SET ROLE %s" % user_role, "-c", sql,
	    g.cluster.conninfo(g.server.database)], check=False)
	text = done.stderr.decode()
	return done.returncode != 0 and "permission denied" in text


@tap.case("the application cannot change or delete what is insert-only")
def t_roles_keysrv():
	m = g.issue()
	g.release(m)
	for table, column in (("key_issue", "sender"), ("event", "record"),
	    ("key_once", "kind"), ("key_release", "principal"),
	    ("message_once", "recipient"), ("challenge_used", "network")):
		for sql in ("UPDATE counterfoil.%s SET %s = 'x'"
		    % (table, column), "DELETE FROM counterfoil." + table,
		    "TRUNCATE counterfoil." + table):
			tap.true(refused("counterfoil_keysrv", sql), sql)
	for sql in ("SELECT * FROM counterfoil.event",
	    "DELETE FROM counterfoil.key_material",
	    "UPDATE counterfoil.key_material SET wrapped = ''",
	    "DELETE FROM counterfoil.key_state",
	    "UPDATE counterfoil.key_state SET revoked_at = NULL",
	    "UPDATE counterfoil.key_state SET expires_at = NULL",
	    "INSERT INTO counterfoil.account (name, kind) VALUES "
	        "('x', 'gateway')",
	    "INSERT INTO counterfoil.api_token (token_sha256, account_id) "
	        "VALUES (sha256('x'), 1)",
	    "UPDATE counterfoil.api_token SET revoked_at = NULL",
	    "INSERT INTO counterfoil.account_domain VALUES (1, 'x.test')",
	    "DELETE FROM counterfoil.outbox",
	    "CREATE TABLE counterfoil.x (a int)",
	    "DROP TABLE counterfoil.event_default"):
		denied = refused("counterfoil_keysrv", sql)
		if not denied:	# other words for the owner's privileges
			done = proc.run(["psql", "-XqAt", "-c",
			    "SET ROLE counterfoil_keysrv", "-c", sql,
			    g.cluster.conninfo(g.server.database)],
			    check=False)
			denied = "must be owner" in done.stderr.decode()
		tap.true(denied, sql)


@tap.case("the application does not choose when an event was")
def t_event_time():
	tap.true(refused("counterfoil_keysrv", "INSERT INTO counterfoil.event "
	    "(event_id, at, type, key_id, record) VALUES (sha256('x'), "
	    "now() - interval '400 days', 'issued', sha256('x'), '')"), "at")
	m = g.issue()
	g.open(m, g.release(m))
	tap.equal(g.psql("SELECT count(*) FROM counterfoil.event WHERE key_id = "
	    "'\\x%s' AND at BETWEEN counterfoil.record_value(record, 'time')"
	    "::timestamptz AND clock_timestamp()" % m.key_id.hex()), "3",
	    "events, each after the time in its record")


def as_keysrv(sql):
	return g.psql("SET ROLE counterfoil_keysrv; " + sql)


@tap.case("a receipt mail that was sent stays so, and says what it said")
def t_outbox_fence():
	m, n = g.issue(), g.issue()
	g.release(m)
	g.release(n)
	where = " WHERE key_id = '\\x%s'" % m.key_id.hex()
	for column in ("sender", "recipient", "original_message_id",
	    "released_at", "assurance", "principal", "key_id", "message_ref",
	    "created_at"):
		tap.true(refused("counterfoil_keysrv", "UPDATE "
		    "counterfoil.outbox SET %s = %s" % (column, column)), column)
	as_keysrv("UPDATE counterfoil.outbox SET state = 'sent', "
	    "sent_at = now()" + where)
	before = g.psql("SELECT * FROM counterfoil.outbox" + where)
	for change in ("state = 'waiting', sent_at = NULL", "attempts = 0",
	    "kind = 'opened', opened_at = now()", "not_before = now()"):
		as_keysrv("UPDATE counterfoil.outbox SET " + change + where)
		tap.equal(g.psql("SELECT * FROM counterfoil.outbox" + where),
		    before, change)
	# The others wait and change as before; the owner may send again.
	tap.equal(as_keysrv("UPDATE counterfoil.outbox SET attempts = 1 WHERE "
	    "key_id = '\\x%s' RETURNING attempts" % n.key_id.hex()), "1",
	    "waiting")
	tap.equal(g.psql("SET ROLE counterfoil_owner; UPDATE counterfoil.outbox "
	    "SET state = 'waiting', sent_at = NULL%s RETURNING state" % where),
	    "waiting", "by the owner")


@tap.case("an opening changes its receipt where it stands: no index is "
    "touched")
def t_outbox_hot():
	def updates():
		return [int(n) for n in g.psql("SELECT n_tup_upd, n_tup_upd - "
		    "n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = "
		    "'outbox'").split("|")]
	# More than a page holds.
	messages = [g.issue() for _ in range(40)]
	releases = [g.release(m) for m in messages]
	before = updates()
	for m, r in zip(messages, releases):
		tap.equal(g.open(m, r).status, 200, "open")
	# A connection tells its numbers when it has been idle for some time.
	proc.wait_for(lambda: updates()[0] >= before[0] + 40, 60, "the numbers")
	tap.equal(updates()[1] - before[1], 0, "updates that touch an index")
	tap.equal(g.psql("SELECT count(*) FROM counterfoil.outbox_early JOIN "
	    "counterfoil.outbox USING (outbox_id) WHERE key_id IN (%s) AND "
	    "kind = 'opened'" % ",".join("'\\x%s'" % m.key_id.hex()
	    for m in messages)), "40", "to be sent at once")


@tap.case("nothing that the application may change alters what the auditor "
    "reads")
def t_auditor_evidence():
	m, n = g.issue(), g.issue()
	r = g.release(m)
	g.open(m, r)
	def seen():
		return [g.psql("SET ROLE counterfoil_auditor; SELECT * FROM "
		    "counterfoil.%s WHERE \"%s\" IN ('%s', '%s') ORDER BY 1"
		    % (view, key, m.handle, n.handle), options=("-qA",))
		    for view, key in (("receipt_log", "key_handle"),
		    ("refusal_log", "key_handle"),
		    ("message_key_status", "Key ID #"))]
	before = seen()
	tap.contains(before[2], "UTC|bob@b.test|", "released")
	as_keysrv("UPDATE counterfoil.key_state SET first_released_at = NULL, "
	    "first_opened_at = NULL, release_count = 0")
	tap.equal(seen(), before, "after a release was struck out")
	as_keysrv("UPDATE counterfoil.key_state SET first_released_at = now(), "
	    "first_opened_at = now(), release_count = 7")
	tap.equal(seen(), before, "after one was made up")
	# What the owner may take away does not hide a key.
	rows = before[2].count("\n")
	g.psql("DELETE FROM counterfoil.key_state WHERE key_id IN ('\\x%s', "
	    "'\\x%s')" % (m.key_id.hex(), n.key_id.hex()))
	tap.equal(seen()[2].count("\n"), rows, "rows")


@tap.case("the auditor sees the views and nothing else")
def t_roles_auditor():
	for view in ("receipt_log", "message_key_status", "refusal_log"):
		g.psql("SET ROLE counterfoil_auditor; SELECT * FROM "
		    "counterfoil.%s LIMIT 1" % view)
	for table in ("key_issue", "key_material", "key_state", "key_once",
	    "key_release", "message_once", "challenge_used", "event",
	    "outbox", "outbox_early", "account",
	    "api_token", "account_domain", "schema_version"):
		tap.true(refused("counterfoil_auditor",
		    "SELECT * FROM counterfoil." + table), table)
	tap.true(refused("counterfoil_auditor",
	    "SELECT counterfoil.make_event_partitions(1)"), "function")


@tap.case("the rotate role re-wraps keys and does nothing else")
def t_roles_rotate():
	g.psql("BEGIN; SET LOCAL ROLE counterfoil_rotate; UPDATE "
	    "counterfoil.key_material SET salt = salt; ROLLBACK")
	for sql in ("UPDATE counterfoil.key_material SET key_id = key_id",
	    "DELETE FROM counterfoil.key_material",
	    "INSERT INTO counterfoil.key_material SELECT * FROM "
	        "counterfoil.key_material",
	    "SELECT token_sha256 FROM counterfoil.key_issue",
	    "SELECT * FROM counterfoil.event",
	    "SELECT * FROM counterfoil.key_release"):
		tap.true(refused("counterfoil_rotate", sql), sql)


@tap.case("the server works with the rights of its role, whoever logs in")
def t_role_taken():
	users = g.psql("SELECT DISTINCT usename FROM pg_stat_activity WHERE "
	    "application_name = 'counterfoil-keysrv'")
	tap.equal(users, "keysrv", "login")
	g.server.restart(database=g.cluster.conninfo(g.server.database))
	g.issue()
	g.psql("REVOKE INSERT ON counterfoil.key_issue FROM counterfoil_keysrv")
	a = g.api.post("/api/v1/issue", Message().issue(), token=g.token)
	tap.equal((a.status, a.problem), (500, "internal"), "a superuser too")
	g.psql("GRANT INSERT ON counterfoil.key_issue TO counterfoil_keysrv")
	g.server.restart(database=g.cluster.conninfo(g.server.database,
	    "keysrv"))


# ---- secrets ----

def spellings(secret):
	return (secret, base64.b64encode(secret), base64.b64encode(secret)
	    .rstrip(b"="), b64(secret).encode(), secret.hex().encode(),
	    secret.hex().upper().encode())


def content(path):
	"""Empty if the database has removed it meanwhile."""
	try:
		with open(path, "rb") as f:
			return f.read()
	except FileNotFoundError:
		return b""


@tap.case("no token and no key stands in the database, in any spelling")
def t_nothing_secret():
	m = Message()
	a = g.api.post("/api/v1/issue", m.issue(), token=g.token)
	key = unb64(a.json["keys"][0]["key"])
	r = g.release(m)
	g.open(m, r)
	g.psql("CHECKPOINT")
	text = dump().encode()
	files = [os.path.join(d, f) for d, _, names in
	    os.walk(g.cluster.data) for f in names]
	tap.contains(text, m.key_id.hex().encode(), "the dump has the key id")
	whole = text + b"".join(content(f) for f in files)
	tap.contains(whole, m.key_id, "the files have the key id")
	masterkey = unb64(proc.read_text(g.server.masterkey_file).split()[1])
	for name, secret in (("token", m.token), ("key", key),
	    ("release secret", unb64(r["release_secret"])),
	    ("API token", unb64(g.token)), ("master key", masterkey)):
		for spelling in spellings(secret):
			tap.true(spelling not in whole, "%s is not stored"
			    % name)


@tap.case("a key that asks for more than can be known here is not given")
def t_asks_for_more():
	for assurance in ("mailbox", "account", "certificate"):
		m = g.issue()
		g.psql("UPDATE counterfoil.key_issue SET assurance = '%s' WHERE "
		    "key_id = '\\x%s'" % (assurance, m.key_id.hex()))
		a = g.retrieve(m)
		tap.equal((a.status, a.problem), (500, "internal"), assurance)
		tap.contains(a.json["detail"], "know better", "detail")
		tap.equal(g.count("key_release", "key_id = '\\x%s'"
		    % m.key_id.hex()), 0, "releases")
		a = g.api.post("/api/v1/describe", m.ask("describe",
		    g.challenge(m)))
		tap.equal((a.json["assurance"], a.json["state"]), (assurance,
		    "issued"), "described")


@tap.case("a row of another key, account or master key does not open")
def t_rows_swapped():
	m, n = g.issue(), g.issue()
	g.psql("UPDATE counterfoil.key_material x SET salt = y.salt, wrapped = "
	    "y.wrapped FROM counterfoil.key_material y WHERE x.key_id = "
	    "'\\x%s' AND y.key_id = '\\x%s'" % (m.key_id.hex(),
	    n.key_id.hex()))
	releases = g.count("key_release")
	a = g.retrieve(m)
	tap.equal((a.status, a.problem), (500, "internal"), "swapped")
	tap.contains(g.server.log_text(), "key=%s: the outer layer"
	    % m.handle, "log")
	a = g.api.post("/api/v1/issue", m.issue(), token=g.token)
	tap.equal((a.status, a.problem), (500, "internal"), "issue again")
	tap.equal(g.retrieve(n).status, 200, "the other one")
	name = g.server.admin("masterkey", "add").stdout.decode().split()[2]
	g.psql("UPDATE counterfoil.key_material SET master_id = '\\x%s' WHERE "
	    "key_id = '\\x%s'" % (name, n.key_id.hex()))
	tap.equal(g.retrieve(n).problem, "internal", "other master key")
	o = g.issue()
	g.psql("INSERT INTO counterfoil.account (name, kind) VALUES ('next', "
	    "'gateway'); UPDATE counterfoil.key_issue SET account_id = "
	    "(SELECT account_id FROM counterfoil.account WHERE name = 'next') "
	    "WHERE key_id = '\\x%s'" % o.key_id.hex())
	tap.equal(g.retrieve(o).problem, "internal", "other account")
	tap.equal(g.count("key_release"), releases + 1, "releases")


@tap.case("an account that evidence needs cannot be deleted, by nobody")
def t_account_stays():
	m = g.issue()
	g.release(m)
	def delete(before=""):
		done = proc.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-c",
		    "SET ROLE counterfoil_owner", "-c", before + "DELETE FROM "
		    "counterfoil.account_domain; DELETE FROM "
		    "counterfoil.api_token; DELETE FROM "
		    "counterfoil.account_reference; DELETE FROM "
		    "counterfoil.account WHERE name = 'gateway-a'", g.cluster.conninfo(
		    g.server.database)], check=False)
		tap.equal(done.returncode == 0, False, "deleted")
		return done.stderr.decode()
	tap.contains(delete(), "key_issue", "what holds it")
	# The table of keys is not all that names it.
	tap.contains(delete("ALTER TABLE counterfoil.key_issue DROP CONSTRAINT "
	    "key_issue_account_id_fkey; "), "message_once", "what holds it")
	g.psql("INSERT INTO counterfoil.account (name, kind) VALUES ('idle', "
	    "'gateway')")
	g.psql("SET ROLE counterfoil_owner; DELETE FROM counterfoil.account "
	    "WHERE name = 'idle'")
	tap.equal(g.retrieve(g.issue()).status, 200, "it works as before")


@tap.case("a shredded key is gone, with a reason")
def t_shredded():
	m = g.issue()
	g.psql("DELETE FROM counterfoil.key_material WHERE key_id = '\\x%s'"
	    % m.key_id.hex())
	a = g.retrieve(m)
	tap.equal((a.status, a.problem), (410, "revoked"), "answer")
	a = g.api.post("/api/v1/issue", m.issue(), token=g.token)
	tap.equal((a.status, a.problem), (409, "key-id-taken"), "issue again")


@tap.case("a challenge outlives a restart and ends with its lifetime")
def t_challenge_expiry():
	m = g.issue()
	c = g.challenge(m)
	g.server.restart(challenge_lifetime_s=2)
	def describe(challenge):
		return g.api.post("/api/v1/describe", m.ask("describe",
		    challenge))
	# Asked within two seconds, which a busy machine may miss once.
	proc.wait_for(lambda: describe(g.challenge(m)).status == 200, 120,
	    "a fresh challenge to be good")
	fresh = g.challenge(m)
	proc.wait_for(lambda: describe(fresh).problem == "bad-challenge", 120,
	    "the challenge to expire")
	tap.equal(g.retrieve(m, fresh).problem, "bad-challenge", "retrieve")
	g.server.restart(challenge_lifetime_s=300)
	tap.equal(describe(c).status, 200, "with a longer lifetime")


# ---- start ----

def start_fails(**changes):
	"""What the server says when it does not start with these options."""
	path = os.path.join(g.folder, "bad.conf")
	options = dict(g.server.options, listen="127.0.0.1:%d"
	    % proc.free_port(), **changes)
	conf.write(path, options)
	done = proc.run([proc.program("counterfoil-keysrv"), "-c", path],
	    check=False)
	tap.equal(done.returncode, 1, "exit status (%s)" % done.stderr)
	return done.stderr.decode()


def line_of(name, option):
	"""file:line of an option, as messages begin with it."""
	path = os.path.join(g.folder, name)
	lines = proc.read_text(path).splitlines()
	return "%s:%d: %s: " % (path, 1 + [i for i, line in enumerate(lines)
	    if line.startswith(option + " ")][0], option)


@tap.case("start refuses fsync, full_page_writes, synchronous_commit off")
def t_unsafe_database():
	for name, changed in (("fsync", "off"), ("full_page_writes", "off"),
	    ("synchronous_commit", "off")):
		g.psql("ALTER SYSTEM SET %s = %s" % (name, changed))
		g.psql("SELECT pg_reload_conf()")
		proc.wait_for(lambda: g.psql("SHOW " + name) == changed, 120,
		    name)
		tap.contains(start_fails(), name + " off", "sentence")
		path = os.path.join(g.folder, "unsafe.conf")
		g.psql("ALTER SYSTEM RESET " + name)
		g.psql("SELECT pg_reload_conf()")
		proc.wait_for(lambda: g.psql("SHOW " + name) == "on", 120, name)
	g.psql("ALTER ROLE keysrv SET synchronous_commit = off")
	tap.contains(start_fails(), "synchronous_commit off", "of the role")
	g.server.restart(unsafe_database=True)
	g.issue()
	g.psql("ALTER ROLE keysrv RESET synchronous_commit")
	g.server.restart(unsafe_database=False)


@tap.case("start refuses standbys that are named but not waited for")
def t_standby():
	g.psql("ALTER ROLE keysrv SET synchronous_commit = remote_write")
	# Nobody of that name: a commit that waits would wait for ever.
	g.psql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
	g.psql("SELECT pg_reload_conf()")
	proc.wait_for(lambda: g.psql("SHOW synchronous_standby_names")
	    == "nobody", 120, "the setting")
	try:
		tap.contains(start_fails(), "synchronous_commit does not wait",
		    "sentence")
	finally:
		g.psql("ALTER SYSTEM RESET synchronous_standby_names")
		g.psql("SELECT pg_reload_conf()")
	proc.wait_for(lambda: g.psql("SHOW synchronous_standby_names")
	    == "", 120, "the setting")
	# Without standbys it means the same as on.
	g.server.restart()
	g.issue()
	g.psql("ALTER ROLE keysrv RESET synchronous_commit")
	g.server.restart()


@tap.case("start refuses a database that is not migrated, or not there")
def t_not_migrated():
	g.cluster.create("empty")
	tap.contains(start_fails(database=g.cluster.conninfo("empty",
	    "keysrv")), "counterfoil-admin migrate", "sentence")
	g.psql("UPDATE counterfoil.schema_version SET version = 9999 "
	    "WHERE version = 20")
	tap.contains(start_fails(), "counterfoil-admin migrate", "sentence")
	g.psql("UPDATE counterfoil.schema_version SET version = 20 "
	    "WHERE version = 9999")
	tap.contains(start_fails(database="host=%s dbname=x" % g.folder),
	    "connecting to the database", "sentence")
	g.psql("CREATE ROLE stranger LOGIN")
	tap.contains(start_fails(database=g.cluster.conninfo(
	    g.server.database, "stranger")), "cannot start", "sentence")


@tap.case("start refuses a missing, readable, broken master key")
def t_masterkey():
	path = os.path.join(g.folder, "mk")
	tap.contains(start_fails(masterkey_file=path), "No such file",
	    "missing")
	tap.contains(start_fails(masterkey_file=None), "masterkey new",
	    "not set")
	good, name = b64(os.urandom(32)), os.urandom(8).hex()
	for content in ("", name + "\n", good + "\n", "1 %s\n" % good,
	    "%s %s x\n" % (name, good), "%s %s\n" % (name.upper() + "A",
	    good), "%s %s\n%s %s\n" % (name, good, name, good),
	    "%s %s\n" % (name, good[:-1]), "%s %s\n" % (name[1:], good),
	    "g%s %s\n" % (name[1:], good), "%s  %s\n" % (name, good)):
		proc.write_file(path, content, 0o600)
		text = start_fails(masterkey_file=path)
		tap.contains(text, path, repr(content))
		tap.lacks(text, good, "sentence")
	proc.write_file(path, "%s %s\n" % (name, good), 0o640)
	tap.contains(start_fails(masterkey_file=path), "chmod 600", "mode")
	for option in ("masterkey_file", "tls_key", "signer_key"):
		for file, words in ((path, "others could read"),
		    (path + ".gone", "No such file")):
			text = start_fails(**{option: file})
			tap.contains(text, words, option)
			tap.contains(text, line_of("bad.conf", option), option)


@tap.case("its memory is for nobody else, and no core file gets it")
def t_memory():
	nobody = pwd.getpwnam("nobody")
	folder = os.path.join(g.folder, "nobody")
	os.mkdir(folder)
	path = os.path.join(folder, "counterfoil-keysrv.conf")
	masterkey = os.path.join(folder, "masterkey")
	# A database that takes calls and says nothing: it waits there.
	with socket.create_server(("127.0.0.1", 0)) as silent:
		conf.write(path, dict(g.server.options, listen="127.0.0.1:%d"
		    % proc.free_port(), masterkey_file=masterkey,
		    outbox="off", signer_key=None, signer_certificate=None,
		    database="host=127.0.0.1 port=%d dbname=x"
		    % silent.getsockname()[1]))
		proc.write_file(masterkey, "%s %s\n" % (os.urandom(8).hex(),
		    b64(os.urandom(32))), 0o600)
		os.chown(masterkey, nobody.pw_uid, -1)
		silent.settimeout(120)
		with subprocess.Popen([proc.program("counterfoil-keysrv"), "-c",
		    path], user="nobody", stderr=subprocess.DEVNULL) as server:
			try:
				caller = silent.accept()[0]
				tap.equal(os.stat("/proc/%d/mem" % server.pid).st_uid,
				    0, "owner of its memory")
				tap.contains(proc.read_text("/proc/%d/limits"
				    % server.pid), "Max core file size        0    ",
				    "limits")
				caller.close()
			finally:
				server.kill()


@tap.case("plain HTTP off loopback is refused; so are half a TLS pair "
    "and a password in the configuration")
def t_plain_http():
	path = os.path.join(g.folder, "plain.conf")
	for changes, words in (({"listen": "0.0.0.0:18443"},
	    "listens on loopback only"),
	    ({"listen": "[::]:18443"}, "listens on loopback only"),
	    ({"service_url": "http://keys.example"}, "service_url"),
	    ({"service_url": None}, "service_url is not set"),
	    ({"tls_certificate": g.server.config}, "belong together"),
	    ({"connections": 65}, "connections"),
	    ({"connections": 0}, "connections"),
	    ({"outbox": "on", "receipt_from": None}, "receipt_from"),
	    ({"database": "host=x password=y"}, "password file"),
	    ({"database": "host=x password  = y"}, "password file"),
	    ({"database": "postgresql://x:y@h/d"}, "password file"),
	    ({"database": "postgres://h/d?password=y"}, "password file"),
	    ({"no_such_option": 1}, "no_such_option")):
		conf.write(path, dict(g.server.options, **changes))
		for option in ([], ["-n"], ["--print-config"]):
			done = proc.run([proc.program("counterfoil-keysrv"),
			    "-c", path] + option, check=False)
			tap.equal(done.returncode, 78 if option == ["-n"] else 1,
			    "exit status")
			tap.contains(done.stderr.decode(), words, "sentence")
			tap.contains(done.stderr.decode(), path, "file name")
			if list(changes)[0] in ("connections", "no_such_option"):
				tap.true(re.search(r"plain\.conf:\d+: ",
				    done.stderr.decode()), "the line: %r"
				    % done.stderr)


@tap.case("-n checks, -V and --print-config print, usage is 2")
def t_options():
	def run(*words, status=0):
		done = proc.run([proc.program("counterfoil-keysrv"), *words],
		    check=False)
		tap.equal(done.returncode, status, "exit status of %s (%s)"
		    % (words, done.stderr))
		return done.stdout.decode()
	tap.contains(run("-c", g.server.config, "-n"), "\n0 errors, ", "-n")
	tap.true(run("-V").startswith("counterfoil-keysrv "), "-V")
	text = run("-c", g.server.config, "--print-config")
	tap.contains(text, "queue_limit = 4096\n", "--print-config")
	path = os.path.join(g.folder, "printed.conf")
	proc.write_file(path, text)
	tap.equal(run("-c", path, "--print-config"), text, "read again")
	run("-x", status=2)


@tap.case("SIGTERM and SIGINT end requests under way, with status 0")
def t_stop():
	for sig in (signal.SIGTERM, signal.SIGINT):
		pid, before = g.server.pid, g.server.log_text().count("stopping")
		process, g.server.process = g.server.process, None
		tap.equal(process.stop(sig), 0, "status after %s" % sig.name)
		tap.equal(g.server.log_text().count("stopping"), before + 1,
		    "log")
		tap.true(not os.path.exists("/proc/%d" % pid), "gone")
		g.server.start()


# ---- counterfoil-admin ----

@tap.case("gateway add writes a 0600 token file; the database has its hash")
def t_gateway():
	file = g.server.add_gateway("gateway-x", "x.test", "y.test")
	mode = os.stat(file)
	tap.equal(stat.S_IMODE(mode.st_mode), 0o600, "mode")
	token = proc.read_text(file).strip()
	tap.equal(g.psql("SELECT count(*) FROM counterfoil.api_token WHERE "
	    "token_sha256 = sha256('\\x%s')" % unb64(token).hex()), "1",
	    "hash")
	out = g.server.admin("gateway", "list").stdout.decode()
	tap.contains(out, "gateway-x\t", "list")
	tap.contains(out, "\tx.test y.test\n", "list")
	tap.lacks(out, token, "list")
	for words, text in (
	    (("gateway-x", "--domain", "z.test", "--token-file", file + "2"),
	        "there is an account"),
	    (("gateway-z", "--domain", "Z.test", "--token-file", file + "2"),
	        "not a domain"),
	    (("gateway-z", "--domain", "z.test", "--token-file", file),
	        "File exists"),
	    (("gateway z", "--domain", "z.test", "--token-file", file + "2"),
	        '"gateway z" is not a name without blanks'),
	    (("gateway-z", "--dom", "z.test"), '"--dom" is not an option'),
	    (("gateway-z", "--token-file", file + "2"), "usage"),
	    (("gateway-z", "--domain", "z.test"), "usage")):
		done = g.server.admin("gateway", "add", *words, check=False)
		tap.true(done.returncode != 0, "refused %s" % (words,))
		tap.contains(done.stderr.decode(), text, str(words))
	tap.true(not os.path.exists(file + "2"), "no file is left")
	tap.equal(proc.read_text(file).strip(), token, "the first file")
	tap.equal(g.count("account", "name = 'gateway-z'"), 0, "account")


@tap.case("masterkey new writes a 0600 file once")
def t_masterkey_new():
	path = os.path.join(g.folder, "mk-new")
	g.server.admin("masterkey", "new", path)
	tap.equal(stat.S_IMODE(os.stat(path).st_mode), 0o600, "mode")
	before = proc.read_text(path)
	done = g.server.admin("masterkey", "new", path, check=False)
	tap.true(done.returncode != 0, "a second time")
	tap.equal(proc.read_text(path), before, "the file")
	name, key = before.split()
	tap.equal((len(bytes.fromhex(name)), len(unb64(key))), (8, 32),
	    "content")


tap.main(setup, teardown)
