#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Mixed traffic while everything is reloaded, stopped and killed.

    soak.py [--minutes N] [--seed TEXT] [--keep DIR]

Three minutes, or with CF_LONG set an hour.  Mail of all kinds goes through
two gateways; the first part of the time programs are restarted, stopped and
killed, in the second those whose memory is measured stay.  At the end the
books must agree: in = delivered + queued + refused, nothing lost, nothing in
clear, every sealed copy opened, every sender has his receipts.

--keep: the world stands in DIR, an empty directory, and stays there; so do
the samples of memory and descriptors, DIR/samples.
"""

import collections
import json
import os
import random
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "contrib")]

import faults  # noqa: E402
import ledger  # noqa: E402
import post  # noqa: E402
import traffic  # noqa: E402
import watch  # noqa: E402
from lab import mail, proc, sink, tap, world  # noqa: E402

SHORT_MINUTES, LONG_MINUTES = 3, 60
RESTARTS = 0.4		# this part of the time programs are restarted
PAUSE_S = 0.7		# of a client between two messages, at most
SIZE_LIMIT = 20000000
RELOADS = 60		# at the end, for what a reload may leave behind
# Bytes a message may leave behind, and how much memory may grow anyhow: the
# allocator's arenas fill up over minutes.  An hour must be enough to see a
# leak of so many bytes a message, in three minutes only a gross one is seen.
Bounds = collections.namedtuple("Bounds", "per_message anyhow files")
LONG = Bounds(256, 2 << 20, 12)
SHORT = Bounds(256, 16 << 20, 100)
# AddressSanitizer keeps what was freed; its own search finds leaks.
SANITIZED = Bounds(256, 1 << 30, 100)
SHORT_RUN = 20		# minutes
SEEN = 2048
NOT_ALLOWED = "451 4.7.1"	# what the one hears who has to wait
FILES_AT_REST = 64	# of any of our programs when nothing is under way


class SoakWorld(world.World):
	"""More users, and d.test, whose mail server is a sink."""

	def __init__(self, sink, **kw):
		super().__init__(**kw)
		self.sink = sink

	def _sites(self):
		super()._sites()
		self.b.users += traffic.BOBS[1:]
		self.c.users += traffic.CAROLS[1:]
		self.a.routes["d.test"] = self.sink.port
		# Kept sessions with many refusals are not slowed down.
		for site in (self.a, self.b):
			site.extra = ("smtpd_error_sleep_time = 0\n"
			    "smtpd_hard_error_limit = 1000\n")


class Run:
	"""One soak, from the first message to the last receipt."""

	def __init__(self, minutes, seed, folder):
		self.folder = folder
		self.minutes = minutes
		self.seed = seed
		self.canaries = ledger.Canaries(os.urandom(4).hex())
		self.books = ledger.Ledger()
		self.sink = sink.Sink()
		hop = traffic.NextHop(self.books, self.canaries)
		self.sink.otherwise = hop
		self.sink.watch = hop.watch
		self.w = SoakWorld(self.sink, tls=True, plain_site=True,
		    folder=folder, say=tap.note, size_limit=SIZE_LIMIT,
		    keysrv_options={"receipt_delay_s": 3},
		    a_options={"request_timeout_s": 4, "deadline_s": 15,
		        "max_key_requests": faults.KEY_REQUESTS,
		        "drain_s": 90}, b_options={"drain_s": 90})
		self.faults = self.watch = None

	def start(self):
		tap.note("%g minutes; again with --seed %s" % (self.minutes,
		    self.seed))
		self.sink.start()
		w = self.w.start()
		self.harvest = post.Harvest(w, self.books, self.canaries,
		    self.sink)
		self.openers = post.Openers(w, self.books, self.harvest,
		    self.seed)
		self.traffic = traffic.Traffic(w, self.books, self.canaries,
		    self.seed, PAUSE_S)
		self.traffic.unopened = self.openers.waiting
		def sealed():
			return self.books.sealed

		def delivered():
			return self.books.delivered
		self.watch = watch.Watch({
		    "milter a": (lambda: w.a_milter.pid, sealed),
		    "milter b": (lambda: w.b_milter.pid, delivered),
		    "keysrv": (lambda: w.keysrv.pid, sealed),
		    "reader a": (lambda: w.a_reader.pid, sealed),
		    "reader b": (lambda: w.b_reader.pid, sealed),
		})
		for part in (self.harvest, self.openers, self.traffic,
		    self.watch):
			part.start()

	def go(self):
		seconds = self.minutes * 60
		self.faults = f = faults.Faults(self.w, self.books,
		    random.Random(self.seed))
		f.run(f.restarting, seconds * RESTARTS)
		tap.note("%7.1f s  from here on no program is restarted"
		    % f.seconds())
		self.refused_sender()
		f.run(f.lasting, seconds)
		# A slow machine may not have come to some kinds yet.
		self.until(lambda: not self.traffic.due, faults.LIMIT_S,
		    "every kind of mail to be sent")
		self.traffic_s = f.seconds()
		self.watch.stop()
		tap.note("%7.1f s  the traffic stops" % f.seconds())
		self.traffic.stop(faults.LIMIT_S)
		self.settle()
		tap.note("%7.1f s  settled" % f.seconds())
		if self.folder:
			self.watch.write(self.w.path("samples"))

	def refused_sender(self):
		"""One that has to wait in the queue until the end."""
		sender = traffic.Sender(self.traffic, -1)
		sender.submit(self.traffic.new_message(traffic.STUCK, sender.rng))
		self.traffic.stuck += 1
		for client, _ in sender.clients.values():
			client.close()

	# ---- until nothing moves any more ----

	def settle(self):
		"""Queues empty but for what must wait, all opened, all receipts."""
		limit = faults.LIMIT_S
		self.until(self.at_rest, limit, "the queues to be empty")
		self.harvest.all_seen()
		self.until(lambda: self.openers.waiting() == 0, limit,
		    "all copies to be opened")
		self.expire_leases()
		self.until(lambda: self.w.keysrv.psql("SELECT count(*) FROM "
		    "counterfoil.outbox WHERE state = 'waiting'") == "0", limit,
		    "all receipts to be sent")
		self.until(lambda: self.at_rest() and
		    not self.books.without_receipt(), limit,
		    "the last receipts")
		self.harvest.all_seen()
		self.until(self.count_queued, limit, "a reason for what waits")
		self.harvest.ended.set()
		self.harvest.join(60)
		self.openers.stop()

	def at_rest(self):
		"""Is nothing under way but what must wait?

		Who looks into the folders of a queue one after the other can
		miss a message that goes from the last to the first meanwhile:
		what was accepted the books know, for the rest we look twice.
		"""
		if any(self.books.find(number).kind is not traffic.STUCK
		    for number, _ in self.books.still_to_come()):
			return False
		for site in (self.w.a, self.w.b, self.w.c) * 2:
			site.flush()
			if any(m is None or m.kind is not traffic.STUCK
			    for m, _, _ in self.queue_of(site)):
				return False
		return True

	def count_queued(self):
		"""False while one is just being tried: it shows no reason, or
		is missed, see above."""
		found = [entry for site in (self.w.a, self.w.b, self.w.c)
		    for entry in self.queue_of(site)]
		self.books.queued = {(m.number, recipient): why
		    for m, recipient, why in found if m}
		return all(NOT_ALLOWED in why for _, _, why in found) and \
		    self.books.still_to_come() <= set(self.books.queued)

	def until(self, ready, limit_s, what):
		"""A complaint, not the end: the books say the rest."""
		end = time.monotonic() + limit_s
		while not ready():
			if time.monotonic() > end:
				self.books.complain("waited %d s for %s" % (limit_s,
				    what))
				return
			time.sleep(0.3)

	def expire_leases(self):
		"""Of a key server that was killed while it sent."""
		self.w.keysrv.psql("UPDATE counterfoil.outbox SET lease_until ="
		    " now() WHERE state = 'waiting' AND lease_until > now() +"
		    " interval '%d s'" % (faults.LEASE_S - 120))

	def queue_of(self, site):
		"""[(message or None, recipient, reason)] of a mail queue."""
		found = []
		out = proc.run(["postqueue", "-c", site.etc, "-j"], limit_s=120)
		entries = [json.loads(line)
		    for line in out.stdout.decode().splitlines()]
		ids = queue_ids(site) if entries else {}
		for entry in entries:
			for r in entry["recipients"]:
				found.append((self.by_queue_id(ids,
				    entry["queue_id"]), r["address"],
				    r.get("delay_reason", "")))
		return found

	def by_queue_id(self, ids, queue_id):
		for text in ids.get(queue_id, ()):
			m = re.match(r"<soak\.%s\.(\d+)@" % self.traffic.run_name,
			    text)
			if m:
				return self.books.find(int(m.group(1)))
		return None


def queue_ids(site):
	"""{queue id: Message-IDs}, from the log."""
	found = collections.defaultdict(set)
	for m in re.finditer(r" (\w+): message-id=(\S+)", site.log_text()):
		found[m.group(1)].add(m.group(2))
	return found


run = None


def start():
	run.start()
	run.go()


def option(name):
	"""Its value, taken off the command line."""
	if name not in sys.argv:
		return None
	at = sys.argv.index(name)
	value = sys.argv[at + 1]
	del sys.argv[at:at + 2]
	return value


def complaints(found, what):
	tap.true(not found, "%s: %d\n%s" % (what, len(found),
	    "\n".join(found[:20])))


@tap.case("all faults happened, and all programs are alive")
def t_faults():
	wanted = {f.__name__.replace("_", " ")
	    for f in run.faults.restarting + run.faults.lasting}
	tap.equal(wanted - set(run.faults.done), set(), "faults left out")
	tap.equal(run.w.dead(), None, "a program that ended")
	tap.note("%d faults in %d s" % (len(run.faults.done), run.traffic_s))


@tap.case("every kind of mail was sent")
def t_kinds():
	seen = collections.Counter(m.kind.name for m in run.books.messages)
	for kind in traffic.KINDS + (traffic.STUCK,):
		tap.note("%6d  %s" % (seen[kind.name], kind.name))
	tap.equal({k.name for k in traffic.KINDS + (traffic.STUCK,)}
	    - set(seen), set(), "kinds that were not sent")


@tap.case("in = delivered + queued + refused; none lost, none in clear")
def t_books():
	sums = run.books.balance()
	total = sum(len(m.recipients) for m in run.books.messages)
	more = sum(max(0, len(c) - 1) for m in run.books.messages
	    for c in m.copies.values())
	tap.note("in %d = %s" % (total, " + ".join("%d %s" % (sums[o], o)
	    for o in ledger.OUTCOMES)))
	tap.note("%d messages, %d attempts, %d replies that were lost; %d "
	    "copies more than one" % (len(run.books.messages),
	    sum(m.attempts for m in run.books.messages),
	    sum(m.unknown for m in run.books.messages), more))
	complaints(run.books.faults, "what does not agree")
	tap.equal(sums[ledger.LOST], 0, "lost")
	tap.equal(sum(sums.values()), total, "the balance")
	tap.equal(sums[ledger.QUEUED], 1, "left in the queue")


@tap.case("what is left in the queue is what must wait, and says why")
def t_queue():
	for (number, recipient), why in run.books.queued.items():
		m = run.books.find(number)
		tap.equal(m.kind, traffic.STUCK, "the kind of %s" % m)
		tap.contains(why, NOT_ALLOWED, "the reason")
	tap.equal(run.w.b.queue() + run.w.c.queue(), [], "other queues")


@tap.case("a stop lets all messages under way end")
def t_drained():
	complaints(run.faults.cut_off, "stops that cut messages off")


@tap.case("every sealed copy was opened, byte for byte")
def t_opened():
	sealed = [(m, c) for m, _, c in run.books.copies() if c.handle]
	tap.true(len(sealed) > 50, "sealed copies: %d" % len(sealed))
	complaints(["%s, key %s" % (m, c.handle) for m, c in sealed
	    if not c.opened], "never opened")
	kept, good = run.openers.open_again()
	tap.equal(good, kept, "opened once more at the end")
	tap.true(run.openers.read > 0, "the reader was asked")
	tap.note("%d copies opened, %d tries came at a bad moment; %d opened "
	    "again; %d compared with the reader" % (len(sealed),
	    run.openers.repeats, kept, run.openers.read))


@tap.case("every opened mail has its receipt, one Message-ID a grade")
def t_receipts():
	bad, repeated = run.books.without_receipt(), 0
	for key, seen in run.books.receipts_of().items():
		grades = collections.Counter(grade for grade, _ in seen)
		repeated += sum(seen.values()) - len(seen)
		keys = {c.handle for c in run.books.find(key[0]).copies[key[1]]}
		if len(keys) == 1 and max(grades.values(), default=0) > 1:
			bad.append("%s: %s" % (key, dict(seen)))
	complaints(bad, "receipts")
	tap.equal(run.w.keysrv.psql("SELECT count(*) FROM counterfoil.outbox "
	    "WHERE state <> 'sent'"), "0", "receipts not sent")
	known = {c.handle for _, _, c in run.books.copies()}
	tap.equal(set(run.books.receipts) - known, set(),
	    "receipts for what nobody got")
	tap.note("%d receipt mails; %d came twice with one Message-ID"
	    % (sum(sum(c.values()) for c in run.books.receipts.values()),
	    repeated))


def handles_of(milter, word):
	"""{key: {queue ids}} of its log lines with that verdict."""
	found = collections.defaultdict(set)
	for m in re.finditer(r"(\w+): %s\b[^\n]*? key=([A-Za-z0-9_-]{22})\b"
	    % word, milter.log_text()):
		found[m.group(2)].add(m.group(1))
	return found


@tap.case("key ids agree: mail, both milters' logs, queue ids, database")
def t_key_ids():
	bad = []
	sealed = handles_of(run.w.a_milter, "sealed")
	rewritten = handles_of(run.w.b_milter, "rewritten")
	at_a, at_b = queue_ids(run.w.a), queue_ids(run.w.b)
	rows = dict(line.split("|", 1) for line in run.w.keysrv.psql(
	    "SELECT counterfoil.b64url(key_id), message_id || ' ' || "
	    "array_to_string(recipients, ',') FROM counterfoil.key_issue"
	    ).splitlines())

	def check(what, queue_ids_of_key, log, m, copy):
		ids = {i for q in queue_ids_of_key for i in log.get(q, ())}
		if m.message_id not in ids:
			bad.append("%s, key %s: %s has queue ids %s, Message-IDs "
			    "%s" % (m, copy.handle, what, queue_ids_of_key, ids))
	for m, recipient, copy in run.books.copies():
		if copy.handle is None:
			continue
		check("a's milter", sealed[copy.handle], at_a, m, copy)
		if copy.where == "b.test":
			check("b's milter", rewritten[copy.handle], at_b, m, copy)
		if rows.get(copy.handle) != "%s %s" % (m.message_id, recipient):
			bad.append("%s, key %s: the database has %s" % (m,
			    copy.handle, rows.get(copy.handle)))
	complaints(bad, "key ids")
	tap.note("%d keys issued, %d of them for mail that arrived"
	    % (len(rows), len({c.handle for _, _, c in run.books.copies()
	    if c.handle})))


def tree(folder, leave_out=()):
	for where, folders, names in os.walk(folder):
		folders[:] = [f for f in folders
		    if os.path.join(where, f) not in leave_out]
		for name in names:
			path = os.path.join(where, name)
			if os.path.isfile(path) and not os.path.islink(path):
				yield path


def size(path):
	try:
		return os.path.getsize(path)
	except FileNotFoundError:
		return 0


def search(paths, words):
	bad = []
	for path in paths:
		try:
			text = mail.read(path)
		except FileNotFoundError:	# PostgreSQL removes some
			continue
		bad += ["%s: %s" % (path, f)
		    for f in run.canaries.search(words, text)]
	return bad


@tap.case("the search finds a canary in every form")
def t_search():
	word = run.canaries.body
	path = run.w.path("planted")
	for form in run.canaries.forms(word):
		proc.write_file(path, b"x" * 11 + form + b"y" * 11)
		tap.equal(len(search([path], [word])), 1, "found %r" % form)
	import base64
	for before in range(5):
		text = base64.b64encode(b"x" * before + word + b"0001 sings")
		proc.write_file(path, text)
		tap.equal(len(search([path], [word])), 1, "found %r" % text)
	os.unlink(path)


@tap.case("no sealed text in any spool, mailbox, store, log or table")
def t_clear():
	c = run.canaries
	# The one that waits is in clear, as it must be, before the hop.
	queued = [os.path.join(run.w.a.root, "queue", name)
	    for name in ("deferred", "active", "incoming")]
	paths = list(tree(run.w.folder, queued))
	tap.true(len(paths) > 500, "files: %d" % len(paths))
	complaints(search(paths, [c.body, c.header]), "files with sealed text")
	kept = [p for q in queued for p in tree(q)]
	with_text = {os.path.basename(f.split(":")[0])
	    for f in search(kept, [c.body])}
	for queue_id in with_text:
		# postlogd(8) writes what it is told a moment later.
		m = proc.wait_for(lambda: run.by_queue_id(queue_ids(run.w.a),
		    queue_id), 60, "the log to name %s, which lies in clear "
		    "in the queue" % queue_id)
		tap.true(m.kind is traffic.STUCK, "%s, in clear in the "
		    "queue: %s" % (queue_id, m))
	tap.note("%d files searched, %d MB" % (len(paths),
	    sum(size(p) for p in paths) >> 20))


@tap.case("no subject in the database, the store or a log")
def t_subjects():
	w = run.w
	dump = proc.run(["pg_dump", "-d", w.pg.conninfo(w.keysrv.database)],
	    limit_s=600).stdout
	tap.true(run.books.find(0).message_id.split(".")[0].encode() in dump,
	    "the dump has Message-IDs")
	words = [run.canaries.subject, run.canaries.header, run.canaries.body]
	tap.equal(run.canaries.search(words, dump), [], "in the database")
	complaints(search(w.log_files() + list(tree(w.a_milter.folder))
	    + list(tree(w.b_milter.folder)), words), "files with subjects")


def bounds():
	if "ASAN_OPTIONS" in os.environ:
		return SANITIZED
	return SHORT if run.minutes < SHORT_RUN else LONG


def allowed(t):
	"""Bytes by which it may have grown between the thirds."""
	return bounds().anyhow + bounds().per_message * t.messages


def too_much(t):
	"""What is wrong with a trend, as a list."""
	bad = []
	if t.last - t.first > allowed(t):
		bad.append("%s grew by %d bytes over %d messages, at most %d "
		    "are allowed" % (t.name, t.last - t.first, t.messages,
		    allowed(t)))
	if t.files_last - t.files_first > bounds().files:
		bad.append("%s: descriptors grew from %g to %g" % (t.name,
		    t.files_first, t.files_last))
	return bad


@tap.case("memory and descriptors of what was not restarted are flat")
def t_flat():
	bad = []
	for name in run.watch.programs:
		t = run.watch.trend(name)
		tap.true(t is not None, "%s was watched" % name)
		seen = allowed(t) / max(1, t.messages)
		tap.note("%-9s %4d samples, %6d messages: %6.1f -> %6.1f MB, "
		    "%+6.0f bytes a message (%d are too much); descriptors "
		    "%g -> %g" % (name, t.samples, t.messages, t.first / 1e6,
		    t.last / 1e6, t.per_message, seen, t.files_first,
		    t.files_last))
		bad += too_much(t)
		if run.minutes >= LONG_MINUTES and seen > SEEN:
			bad.append("%s: too few messages to see a leak" % name)
	complaints(bad, "what grows")


@tap.case("few descriptors are open when nothing is under way")
def t_rest():
	for name, (pid, _) in run.watch.programs.items():
		tap.note("%-9s %d descriptors" % (name, watch.files(pid())))
		proc.wait_for(lambda: watch.files(pid()) <= FILES_AT_REST, 60,
		    "%s to have no more than %d" % (name, FILES_AT_REST))


@tap.case("reloads leave nothing behind")
def t_reloads():
	m = run.w.a_milter
	for _ in range(RELOADS // 3):	# whatever the first ones need
		run.faults.reload_milter(m)
	before = watch.least(m.pid)
	for _ in range(RELOADS):
		run.faults.reload_milter(m)
	after = watch.least(m.pid)
	tap.note("after %d reloads: memory %+d, descriptors %+d" % (RELOADS,
	    after[0] - before[0], after[1] - before[1]))
	tap.true(after[1] - before[1] <= RELOADS // 10, "descriptors: %d, then "
	    "%d" % (before[1], after[1]))
	tap.true(after[0] - before[0] <= bounds().anyhow // 8, "memory: %d, then %d"
	    % (before[0], after[0]))


def stop():
	if run.watch:		# else it did not come to that
		run.traffic.ended.set()
		run.traffic.abandoned.set()
		run.harvest.ended.set()
		run.openers.ended.set()
		run.watch.ended.set()
	run.sink.stop()
	run.w.stop(keep=run.folder is not None)


if __name__ == "__main__":
	minutes = float(option("--minutes") or (LONG_MINUTES
	    if os.environ.get("CF_LONG") else SHORT_MINUTES))
	run = Run(minutes, option("--seed") or os.urandom(4).hex(),
	    option("--keep"))
	tap.main(start, stop)
