# SPDX-License-Identifier: Apache-2.0
"""Programs of others that do comparable work."""

import json
import os
import re
import time

from lab import proc

import builds
import figures

SCHEMA = "counterfoil"
FILL_S = 1800		# for many keys, or all that is done to them


# ---- milters ----

def socket_folder(path):
	"""Postfix comes in by its group."""
	import grp
	os.makedirs(path)
	os.chown(path, -1, grp.getgrnam("postfix").gr_gid)
	os.chmod(path, 0o2770)
	return path


class OpenDkim:
	"""OpenDKIM signing with RSA-2048, as Debian packages it."""

	name = "opendkim"

	def __init__(self, folder):
		self.folder = folder
		self.socket = os.path.join(socket_folder(folder), "sock")
		self.address = "unix:" + self.socket

	def start(self):
		key = os.path.join(self.folder, "rsa.pem")
		proc.run(["openssl", "genrsa", "-out", key, "2048"])
		conf = os.path.join(self.folder, "opendkim.conf")
		proc.write_file(conf, "Syslog no\nMode s\nDomain a.test\n"
		    "Selector s1\nKeyFile %s\nRequireSafeKeys no\n"
		    "Canonicalization relaxed/simple\nUMask 007\n"
		    "Socket local:%s\n" % (key, self.socket))
		self.process = proc.Process(self.name, [self.name, "-f", "-x",
		    conf], os.path.join(self.folder, "log"))
		self.process.wait_ready(lambda: os.path.exists(self.socket))

	def stop(self):
		self.process.stop()


class PeerMilter:
	"""One of the milters of peer_milter.c."""

	def __init__(self, folder, mode):
		self.folder = folder
		self.name = mode
		self.socket = os.path.join(socket_folder(folder), "sock")
		self.address = "unix:" + self.socket

	def start(self):
		self.process = proc.Process("peer_milter",
		    [builds.tool("peer_milter"), self.name, self.address],
		    os.path.join(self.folder, "log"))
		self.process.wait_ready(lambda: os.path.exists(self.socket))

	def stop(self):
		self.process.stop()


# ---- SQL ----

class Rows:
	"""What one operation of the key server wrote, as one SQL statement.

	Learned from the rows themselves, so that it follows the schema: rows
	of one key before and after the operation are compared, table by table.
	psql runs SQL in the database.
	"""

	def __init__(self, psql):
		self.psql = psql
		self.tables = psql("SELECT c.relname FROM pg_class c JOIN "
		    "pg_attribute a ON a.attrelid = c.oid WHERE "
		    "c.relnamespace = '%s'::regnamespace AND c.relkind IN "
		    "('r', 'p') AND NOT c.relispartition AND a.attname = "
		    "'key_id' ORDER BY 1" % SCHEMA).split()
		self.columns = {t: json.loads(psql(
		    "SELECT json_object_agg(attname, json_build_object("
		    "'type', atttypid::regtype, 'identity', attidentity <> '',"
		    "'indexed', EXISTS (SELECT FROM pg_index i WHERE "
		    "i.indrelid = attrelid AND attnum = ANY (i.indkey)))) "
		    "FROM pg_attribute WHERE attrelid = '%s.%s'::regclass AND "
		    "attnum > 0 AND NOT attisdropped" % (SCHEMA, t)))
		    for t in self.tables}

	def of(self, key_hex):
		"""{table: [{column: text or None}]} of one key."""
		found = {}
		for t in self.tables:
			text = self.psql("SELECT coalesce(json_agg("
			    "(SELECT json_object_agg(key, value) FROM "
			    "jsonb_each_text(to_jsonb(x)))), '[]') FROM %s.%s x "
			    "WHERE key_id = '\\x%s'" % (SCHEMA, t, key_hex))
			found[t] = json.loads(text)
		return found

	def literal(self, table, column, value):
		info = self.columns[table][column]
		if column == "key_id":
			return "k.key_id"
		if value is None:
			return "NULL"
		if info["type"].startswith("timestamp"):
			return "now()"
		if info["type"] == "bytea":
			size = len(value) // 2 - 1
			if info["indexed"] and size in (16, 32):
				return " || ".join(["uuid_send("
				    "gen_random_uuid())"] * (size // 16))
		if info["type"] == "text[]":
			items = re.findall(r'"([^"]*)"', value)
			return "ARRAY[%s]" % ", ".join("'%s'" % i
			    for i in items)
		# No colon: pgbench would look for a variable behind it.
		return "E'%s'::%s" % (value.replace("\\", "\\\\").replace(
		    "'", "''").replace(":", "\\x3a"), info["type"])

	def statement(self, key_source, before, after, more=(),
	    result="SELECT * FROM k"):
		"""key_source gives a column key_id, for each key a row.

		more  further common table expressions
		"""
		parts = ["k AS MATERIALIZED (%s)" % key_source, *more]
		for t in self.tables:
			self._inserts(parts, t, before[t], after[t])
			self._updates(parts, t, before[t], after[t])
		return "WITH " + ",\n".join(parts) + "\n%s;\n" % result

	def _inserts(self, parts, table, before, after):
		if len(before) == len(after):
			return
		for row in after:
			if row in before:
				continue
			names = [c for c in row
			    if not self.columns[table][c]["identity"]]
			parts.append("i%d AS (INSERT INTO %s.%s (%s) SELECT %s "
			    "FROM k)" % (len(parts), SCHEMA, table,
			    ", ".join(names), ", ".join(self.literal(table, c,
			    row[c]) for c in names)))

	def _updates(self, parts, table, before, after):
		if len(before) != len(after):
			return
		for old, new in zip(before, after):
			changed = [c for c in new if old[c] != new[c]]
			if changed:
				parts.append("u%d AS (UPDATE %s.%s x SET %s "
				    "FROM k WHERE x.key_id = k.key_id)"
				    % (len(parts), SCHEMA, table, ", ".join(
				    "%s = %s" % (c, self.literal(table, c,
				    new[c])) for c in changed)))

	@staticmethod
	def count(statement):
		return "%d rows inserted, %d updated" % (
		    statement.count("INSERT INTO"), statement.count("(UPDATE"))


NEW_KEY = "SELECT uuid_send(gen_random_uuid()) AS key_id"
# What a key server must look at before it may say anything, and lock.
LOCKED_KEY = """\
SELECT i.*, m.master_id, m.salt, m.wrapped, s.revoked_at, s.expires_at,
s.release_count, s.first_released_at
FROM public.bench_key b JOIN %(s)s.key_issue i USING (key_id)
JOIN %(s)s.key_material m USING (key_id) JOIN %(s)s.key_state s USING (key_id)
WHERE b.n = %(n)s FOR UPDATE OF s"""


class KeyRows:
	"""Keys by SQL alone: of the shape in which a key server made some.

	side  the key server (keylab.Side) in whose database they are
	"""

	def __init__(self, side):
		self.psql = side.psql
		rows = Rows(side.psql)
		path = side.issue_keys(1)
		key = side.key_hex(path)
		nothing = {t: [] for t in rows.tables}
		issued = rows.of(key)
		side.load("full", 1, "-k", path)
		released = rows.of(key)
		self.rows = rows
		self.issue = rows.statement(NEW_KEY, nothing, issued,
		    result="SELECT 1 FROM k")
		self.release = rows.statement(LOCKED_KEY % {"s": SCHEMA,
		    "n": ":n"}, issued, released)
		self._issued = (nothing, issued)
		self._released = (nothing, released)
		side.psql("CREATE TABLE public.bench_key (n bigint PRIMARY KEY,"
		    " key_id bytea NOT NULL)")

	def fill(self, count, named=False, released=False):
		"""Keys that were issued, or released as well.

		named  so that `release` finds them
		"""
		more = ["n AS (INSERT INTO public.bench_key SELECT n, key_id "
		    "FROM k)"] if named else []
		# In the order of most indexes, which takes less.
		source = "SELECT * FROM (" + NEW_KEY + ", n - 1 AS n FROM " \
		    "generate_series(1, %d) n) x ORDER BY key_id"
		# What they refer to is there.
		self.psql("SET session_replication_role = replica;\n"
		    + self.rows.statement(source % count,
		    *(self._released if released else self._issued),
		    more=more, result="SELECT count(*) FROM k"), limit_s=FILL_S)

	def prepare(self, count):
		"""Fresh keys, where the script of pgbench finds them."""
		self.psql("TRUNCATE public.bench_key")
		self.fill(count, named=True)
		self.psql("ANALYZE public.bench_key")


class Pgbench:
	"""pgbench writing what the key server writes, a statement each."""

	def __init__(self, side):
		self.side = side
		self.rows = KeyRows(side)

	def issue(self, connections, seconds):
		return self._run("issue", self.rows.issue, connections, seconds,
		    "-T", str(max(1, round(seconds))))

	def prepare(self, count):
		self.rows.prepare(count)

	def release(self, connections, count):
		"""`count` keys that were prepared."""
		share = max(count // connections, 1)
		script = "\\set n :client_id * :share + :i\n\\set i :i + 1\n" \
		    + self.rows.release
		return self._run("release", script, connections, 120, "-t",
		    str(share), "-D", "share=%d" % share, "-D", "i=0")

	def _run(self, what, script, connections, seconds, *words):
		path = os.path.join(self.side.folder, what + ".sql")
		proc.write_file(path, script)
		cluster = self.side.cluster
		began = time.monotonic()
		done = proc.run(["pgbench", "-n", "-M", "prepared", "-c",
		    str(connections), "-j", str(min(connections, 2)), "-f",
		    path, "-h", cluster.socket, "-p", str(cluster.port), "-U",
		    cluster.user, *words, self.side.keysrv.database],
		    limit_s=seconds + 120, check=False)
		said = done.stderr.decode("utf-8", "replace")
		if done.returncode != 0 or "aborted" in said:
			raise proc.LabError("pgbench ended with %d: %s"
			    % (done.returncode, said[-600:]))
		return figures.pgbench_sample(done.stdout.decode(),
		    time.monotonic() - began)
