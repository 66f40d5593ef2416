# SPDX-License-Identifier: Apache-2.0
"""What goes wrong during the soak test, in an order that a seed decides.

Each fault ends with everything up; the next one waits until mail was sealed
and delivered after it.  All run in the main thread: programs that it starts
end with it.
"""

import os
import re
import signal
import time

from lab import conf, proc, tap

LIMIT_S = 300		# for anything; a loaded machine is slow
PROGRESS = 5		# sealed copies after a fault, before the next
KEY_REQUESTS = 12	# of a milter at a time; each may keep a connection
LEASE_S = 130		# the outbox holds a row for so long


class Log:
	"""What a log file says from now on."""

	def __init__(self, path):
		self.path = path
		self.at = os.path.getsize(path)

	def text(self):
		with open(self.path, "rb") as f:
			f.seek(self.at)
			return f.read().decode("utf-8", "replace")

	def wait(self, pattern, what, count=1):
		proc.wait_for(lambda: len(re.findall(pattern, self.text()))
		    >= count, LIMIT_S, what)


class Faults:
	def __init__(self, w, books, rng):
		self.w = w
		self.books = books
		self.rng = rng
		self.done = []		# (seconds since the start, name)
		self.began = time.monotonic()
		self.cut_off = []
		self.reloads = 0

	# ---- milters ----

	def stop_milter(self, m):
		"""TERM: what is under way must be finished."""
		log = Log(m.log)
		process, m.process = m.process, None
		status = process.stop(limit_s=LIMIT_S)
		if status != 0 or "were not done" in log.text():
			self.cut_off.append("%s ended with %s: %s" % (m.log,
			    status, log.text()[-300:]))

	def term_a_milter(self):
		self.stop_milter(self.w.a_milter)
		self.w.a_milter.start()

	def term_b_milter(self):
		self.stop_milter(self.w.b_milter)
		self.w.b_milter.start()

	def kill_a_milter(self):
		self.w.a_milter.kill()
		self.w.a_milter.start()

	def kill_b_milter(self):
		self.w.b_milter.kill()
		self.w.b_milter.start()

	def reload_milter(self, m):
		log = Log(m.log)
		m.configure(memory_limit=self.rng.choice((0, 5000, 262144)),
		    header_limit=self.rng.choice((100000, 1048576)),
		    drain_s=self.rng.choice((90, 120)),
		    max_key_requests=self.rng.choice((4, KEY_REQUESTS)))
		m.process.send(signal.SIGHUP)
		log.wait("configuration reloaded", "a reload")
		self.reloads += 1

	def reload_a_milter(self):
		self.reload_milter(self.w.a_milter)

	def reload_b_milter(self):
		self.reload_milter(self.w.b_milter)

	def reload_broken(self):
		"""The old configuration stays; the file is mended after."""
		m = self.rng.choice((self.w.a_milter, self.w.b_milter))
		broken = self.rng.choice(({"networks": ["nonsense"]},
		    {"moed": "both"}, {"allowed_key_servers": ["ftp://x"]},
		    {"memory_limit": -1}))
		log = Log(m.log)
		conf.write(m.config, dict(m.options, **broken))
		m.process.send(signal.SIGHUP)
		log.wait("reload failed", "a reload to fail")
		m.configure()
		self.reloads += 1

	# ---- key server, database ----

	def term_keysrv(self):
		self.w.keysrv.stop(limit_s=LIMIT_S)
		self.w.keysrv.start()

	def kill_keysrv(self):
		self.w.keysrv.kill()
		self.w.keysrv.start()

	def deferred(self):
		"""Until flagged mail was put off for want of a key."""
		self.log.wait(": deferred ", "flagged mail to be deferred")

	def keysrv_away(self):
		self.log = Log(self.w.a_milter.log)
		self.w.keysrv.kill()
		self.deferred()
		self.w.keysrv.start()

	def keysrv_silent(self):
		self.log = Log(self.w.a_milter.log)
		self.w.keysrv.process.send(signal.SIGSTOP)
		try:
			self.deferred()
		finally:
			self.w.keysrv.process.send(signal.SIGCONT)

	def renew_certificate(self):
		"""A new one of the same authority, in the same files."""
		self.w.authority.server("server")
		self.term_keysrv()
		self.restart_readers()

	def restart_readers(self):
		for r in (self.w.a_reader, self.w.b_reader):
			r.stop()
			r.start()

	def keysrv_and_milter(self):
		self.w.keysrv.kill()
		self.w.a_milter.kill()
		self.w.a_milter.start()
		self.w.keysrv.start()

	def database_ready(self):
		proc.wait_for(self.w.keysrv.ready, LIMIT_S,
		    "the key server to find its database again")

	def database_fast(self):
		self.w.pg.restart("fast")
		self.database_ready()

	def database_immediate(self):
		self.w.pg.restart("immediate")
		self.database_ready()

	def database_away(self):
		self.log = Log(self.w.a_milter.log)
		self.w.pg.stop(self.rng.choice(("fast", "immediate")))
		try:
			self.deferred()
		finally:
			self.w.pg.start()
		self.database_ready()

	# ---- mail servers ----

	def reload_postfix_a(self):
		self.w.a.reload()

	def reload_postfix_b(self):
		self.w.b.reload()

	# ---- in what order ----

	# After these, one of the programs that are measured is a new one ...
	restarting = (term_a_milter, term_b_milter, kill_a_milter,
	    kill_b_milter, term_keysrv, kill_keysrv, keysrv_away,
	    renew_certificate, restart_readers, keysrv_and_milter)
	# ... and after these it is not.  The last one makes the milter do as
	# much at a time as it ever will, before its memory is compared.
	lasting = (reload_a_milter, reload_b_milter, reload_broken,
	    database_fast, database_immediate, database_away,
	    reload_postfix_a, reload_postfix_b, keysrv_silent)

	def seconds(self):
		return time.monotonic() - self.began

	def one(self, fault):
		name = fault.__name__.replace("_", " ")
		began = self.seconds()
		fault(self)
		self.done.append(name)
		sealed = self.books.sealed
		tap.note("%7.1f s  %-20s %4.1f s; sealed %d, opened %d, "
		    "to come %d" % (began, name, self.seconds() - began, sealed,
		    self.books.opened, self.books.waiting()))
		proc.wait_for(lambda: self.books.sealed >= sealed + PROGRESS or
		    self.w.dead(), LIMIT_S, "mail to be sealed again after \""
		    + name + "\"")
		dead = self.w.dead()
		if dead:
			raise proc.LabError("after \"%s\": %s has ended by itself"
			    % (name, dead))

	def run(self, faults, until_s):
		"""Each of them once, and then any of them until the time.

		The last of the list comes first.
		"""
		order = list(faults)
		self.rng.shuffle(order)
		order.sort(key=lambda fault: fault is faults[-1])
		while order or self.seconds() < until_s:
			fault = order.pop() if order else self.rng.choice(faults)
			self.quiet(until_s, len(order))
			self.one(fault)

	def quiet(self, until_s, left):
		"""Traffic alone, for a while; less when there is little time."""
		spare = (until_s - self.seconds()) / (left + 2)
		time.sleep(self.rng.uniform(0, max(0, min(8, spare))))
