#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The key server and its database with PgBouncer between them."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "contrib"), HERE]

from lab import keysrv, pgbouncer, proc, sink, tap  # noqa: E402

from ground import Ground, together  # noqa: E402

mta = sink.Sink()
g = None
bouncer = None
number = 0


def setup():
	global g
	mta.start()
	# A server behind a pooler and one without share the database.
	g = Ground(outbox="on", smtp_server=mta.address, outbox_poll_ms=20,
	    receipt_delay_s=0).start()


def teardown():
	if bouncer:
		bouncer.stop()
	if g:
		g.stop()
	mta.stop()


def through(mode, settings=""):
	"""A pooler in that mode, and the key server behind it, not started."""
	global bouncer, number
	g.server.stop()
	if bouncer:
		bouncer.stop()
	number += 1
	bouncer = pgbouncer.PgBouncer(os.path.join(g.folder, "b%d" % number),
	    g.cluster, mode, settings).start()
	g.server.options["database"] = bouncer.conninfo(g.server.database,
	    keysrv.LOGIN)


def whole_life():
	"""Of one message: key, challenge, release, opening, two receipts."""
	message = g.issue()
	release = g.release(message)
	g.open(message, release)
	tap.equal([event[1] for event in g.events(message)],
	    ["type issued", "type released", "type opened"], "events")


def serve():
	"""Many at once, and once more after a start on the same pool."""
	g.server.start()
	before = mta.count()
	together([whole_life] * 12)()
	# Whatever the first one left behind at the servers.
	g.server.restart()
	together([whole_life] * 12)()
	proc.wait_for(lambda: g.count("outbox", "state <> 'sent'") == 0, 60,
	    "all receipts are sent")
	tap.equal(mta.count() - before >= 24, True, "receipts of 24 messages")
	for word in ("prepared statement", "database:"):
		tap.equal([x for x in g.server.log_text().splitlines()
		    if word in x], [], "lines about a " + word)


def left_behind():
	"""What others find who come to the pool after us."""
	done = proc.run(["psql", "-X", "-qAt", "-c", "SELECT "
	    "current_setting('role'), current_setting('search_path'), "
	    "current_setting('statement_timeout'), "
	    "current_setting('enable_seqscan')", "-c",
	    "SELECT count(*) FROM pg_prepared_statements",
	    bouncer.conninfo(g.server.database, keysrv.LOGIN)])
	return done.stdout.decode().split()


CLEAN = ["none|\"$user\",", "public|0|on", "0"]


@tap.case("with a server process for a session, all goes as without")
def t_session():
	through("session", "default_pool_size = 40\n")
	serve()
	tap.equal(left_behind(), CLEAN, "what is left of us")


@tap.case("with one for a transaction, likewise, and nothing stays behind")
def t_transaction():
	through("transaction")
	serve()
	tap.equal(left_behind(), CLEAN, "what is left of us")


@tap.case("one server process for all of us is enough")
def t_one():
	through("transaction", "default_pool_size = 1\n")
	serve()


@tap.case("processes that take turns are as good")
def t_turns():
	through("transaction", "server_round_robin = 1\n"
	    "min_pool_size = 5\n")
	serve()


@tap.case("what others set for all who come after them does not count")
def t_others():
	through("transaction", "default_pool_size = 1\n")
	g.server.start()
	proc.run(["psql", "-X", "-q", "-c", "SET synchronous_commit = off; "
	    "SET search_path = nowhere; SET enable_indexscan = off",
	    bouncer.conninfo(g.server.database, keysrv.LOGIN)])
	g.psql("CREATE TABLE public.seen (value text); "
	    "GRANT INSERT ON public.seen TO counterfoil_keysrv; "
	    "CREATE FUNCTION public.look() RETURNS trigger LANGUAGE plpgsql "
	    "AS $$ BEGIN INSERT INTO public.seen VALUES "
	    "(current_setting('synchronous_commit') || ' ' || "
	    "current_setting('search_path') || ' ' || current_user); "
	    "RETURN NEW; END $$; "
	    "CREATE TRIGGER look BEFORE INSERT ON counterfoil.outbox "
	    "FOR EACH ROW EXECUTE FUNCTION public.look()")
	try:
		whole_life()
		tap.equal(set(g.psql("SELECT value FROM public.seen")
		    .splitlines()), {"on pg_catalog counterfoil_keysrv"},
		    "settings of a release")
	finally:
		g.psql("DROP TRIGGER look ON counterfoil.outbox; "
		    "DROP FUNCTION public.look(); DROP TABLE public.seen")


@tap.case("a pooler that is started anew is found again")
def t_restart():
	through("transaction")
	g.server.start()
	whole_life()
	bouncer.stop()
	bouncer.start()
	proc.wait_for(g.server.ready, 60, "the key server is ready again")
	whole_life()


@tap.case("a process for a single statement is refused in a sentence")
def t_statement():
	through("statement")
	g.server.configure()
	done = proc.run([proc.program("counterfoil-keysrv"), "-c",
	    g.server.config], check=False)
	tap.equal(done.returncode != 0, True, "it does not start")
	tap.contains(done.stderr.decode(), "pool_mode = statement; set it to "
	    "session or transaction", "why")


@tap.case("the database is made through a pooler")
def t_migrate():
	through("transaction")
	other = keysrv.KeyServer(os.path.join(g.folder, "other"), g.cluster,
	    database="other")
	direct = g.cluster.conninfo
	try:
		g.cluster.conninfo = lambda database="postgres", user=None: \
		    bouncer.conninfo(database, user) if database == "other" \
		    else direct(database, user)
		other.options["database"] = bouncer.conninfo("other",
		    keysrv.LOGIN)
		other.prepare()
		tap.equal(other.admin("migrate").stdout, b"up to date\n",
		    "the second time")
		other.add_gateway("gateway-a", "a.test")
		other.start()
		other.stop()
	finally:
		g.cluster.conninfo = direct


tap.main(setup, teardown)
