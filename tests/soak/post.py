# SPDX-License-Identifier: Apache-2.0
"""What arrives: harvested from the Maildirs, opened, entered in the books."""

import hashlib
import http.client
import os
import queue
import random
import re
import threading
import time

from ledger import Copy
from lab import conf, mail, proc, sample

OPENERS = 3
KEEP_EVERY = 25		# this one of so many is opened again at the end
READ_EVERY = 8		# ... is compared with what the reader has
MARK = re.compile(rb"(?m)^X-Soak: (\d+)")
LOCATOR = re.compile(rb"(?m)^Counterfoil-Locator: \S+/k/([A-Za-z0-9_-]{22})#")
RECEIPT = re.compile(r"ID # ([A-Za-z0-9_-]{22}): (opened|key given)")
HEADER_END = re.compile(rb"\r?\n\r?\n")


class Harvest(threading.Thread):
	"""Takes what was delivered out of all Maildirs and the sink.

	A delivered copy is looked through for what may not be in it; a sealed
	one goes to the openers.
	"""

	def __init__(self, w, books, canaries, sink):
		super().__init__(daemon=True)
		self.w = w
		self.books = books
		self.canaries = canaries
		self.sink = sink
		self.taken = set()	# files we leave where they are
		self.from_sink = 0
		self.ended = threading.Event()
		self.found = threading.Event()
		self.to_open = queue.Queue()
		self.rounds = 0

	def run(self):
		try:
			while not self.ended.is_set():
				found = sum(self.harvest(site)
				    for site in (self.w.a, self.w.b, self.w.c))
				found += self.harvest_sink()
				self.rounds += 1
				if not found:
					self.ended.wait(0.1)
		except Exception as e:
			self.books.complain("the harvest ended: %r" % e)
			raise

	def all_seen(self):
		"""Until everything that lies there now has been entered."""
		now = self.rounds
		proc.wait_for(lambda: self.rounds >= now + 2 or
		    not self.is_alive(), 120, "the harvest")

	def harvest(self, site):
		count = 0
		for user in os.listdir(site.mail):
			folder = os.path.join(site.mail, user, "new")
			for name in os.listdir(folder) if os.path.isdir(folder) \
			    else ():
				path = os.path.join(folder, name)
				if path in self.taken:
					continue
				self.take(site, "%s@%s" % (user, site.domain), path)
				count += 1
		return count

	def harvest_sink(self):
		mails = self.sink.mails[self.from_sink:]
		for m in mails:
			path = self.w.path("sink-%d.eml" % self.from_sink)
			proc.write_file(path, m.content, 0o600)
			self.from_sink += 1
			self.enter("d.test", m.recipient, path, m.content)
		return len(mails)

	def take(self, site, recipient, path):
		content = mail.read(path)
		end = HEADER_END.search(content)
		header = content[:end.start() if end else len(content)]
		if recipient == "alice@a.test" and not MARK.search(header):
			self.news(header, content)
			os.unlink(path)
		else:
			self.enter(site.domain, recipient, path, content)

	def news(self, header, content):
		"""A receipt or a bounce, for the sender."""
		report = sample.parse(content)
		found = RECEIPT.search(str(report["Subject"]))
		words = [self.canaries.body]
		if found:
			self.books.receipt(found.group(1), found.group(2),
			    str(report["Message-ID"]))
			words += [self.canaries.header, self.canaries.subject]
		elif b"report-type=delivery-status" in header:
			self.bounced(content)
		else:
			self.books.complain("alice got %r" % header[-600:])
		bad = self.canaries.search(words, content)
		if bad:
			self.books.complain("%s came back IN CLEAR: %r"
			    % (bad, header[-600:]))

	def bounced(self, content):
		number = MARK.search(content)
		m = self.books.find(int(number.group(1))) if number else None
		to = re.findall(rb"(?m)^Final-Recipient: rfc822; *(\S+)", content)
		if not m or not to:
			self.books.complain("a bounce of nothing: %r"
			    % content[-600:])
			return
		if not re.search(rb"(?m)^Status: 5\.", content):
			self.books.complain("%s: a bounce without a reason" % m)
		for r in to:
			self.books.bounce(m, r.decode())

	def enter(self, domain, recipient, path, content):
		"""A delivered copy of a message of ours."""
		number = MARK.search(content)
		m = self.books.find(int(number.group(1))) if number else None
		if m is None:
			self.books.complain("%s holds what nobody sent" % path)
			self.taken.add(path)
			return
		locator = LOCATOR.search(content)
		copy = Copy(domain, path, locator and locator.group(1).decode(),
		    len(content))
		bad = self.canaries.search([self.canaries.body,
		    self.canaries.header], content)
		if bad:
			self.books.complain("%s: %s IN CLEAR for %s" % (m, bad,
			    recipient))
		if copy.handle:
			self.taken.add(path)
			self.to_open.put((m, copy))
		else:
			self.check_clear(m, content)
			os.unlink(path)
		self.books.arrive(m, recipient, copy)

	def check_clear(self, m, content):
		"""The positive control of the search, and nothing was changed."""
		if not self.canaries.search([self.canaries.clear], content):
			self.books.complain("%s: the search does not find its "
			    "text" % m)
		at = content.find(b"From: Alice")
		got = content[at:].replace(b"\r\n", b"\n").replace(b"\n",
		    b"\r\n")
		if hashlib.sha256(got).digest() != m.digest:
			self.books.complain("%s: changed on its way" % m)


class Openers:
	"""counterfoil open, again and again until it gives the message."""

	def __init__(self, w, books, harvest, seed):
		self.w = w
		self.books = books
		self.harvest = harvest
		self.rng = random.Random(seed)
		self.kept = []
		self.read = 0
		self.repeats = 0
		self.lock = threading.Lock()
		self.ended = threading.Event()
		self.config = self.configure("recipient.conf", 10, 20)
		self.patient = self.configure("patient.conf", 60, 60)
		self.threads = [threading.Thread(target=self.run, daemon=True)
		    for _ in range(OPENERS)]

	def configure(self, name, timeout_s, deadline_s):
		return conf.write(self.w.path(name), {
		    "ca_file": self.w.ca_file, "timeout_s": timeout_s,
		    "deadline_s": deadline_s,
		    "allowed_key_servers": [self.w.service_url]}, 0o600)

	def start(self):
		for t in self.threads:
			t.start()

	def stop(self):
		self.ended.set()
		for t in self.threads:
			t.join(120)

	def waiting(self):
		"""Copies not yet opened; those in our hands count."""
		return self.harvest.to_open.unfinished_tasks

	def run(self):
		while not self.ended.is_set():
			try:
				m, copy = self.harvest.to_open.get(timeout=0.2)
			except queue.Empty:
				continue
			try:
				self.one(m, copy)
			except Exception as e:
				self.books.complain("%s: opening: %r" % (m, e))
			finally:
				self.harvest.to_open.task_done()

	def open(self, copy, config=None):
		return proc.run([proc.program("counterfoil"), "-c",
		    config or self.config, "open", copy.path], check=False,
		    limit_s=180)

	def check(self, m, copy, done):
		"""Came out what went in, but for what Postfix put before it?"""
		got = done.stdout
		trace = sample.TRACE.match(got)
		got = got[trace.end() if trace else 0:]
		if done.returncode or hashlib.sha256(got).digest() != m.digest:
			self.books.complain("%s, key %s: counterfoil open ended "
			    "with %d: %s; %d bytes%s" % (m, copy.handle,
			    done.returncode, done.stderr.decode("utf-8",
			    "replace"), len(got), "" if done.returncode else
			    " that are not what was sent"))
			return False
		return True

	def one(self, m, copy):
		done = self.open(copy)
		if done.returncode == 75:	# something is away
			self.repeats += 1
			self.ended.wait(0.3)
			self.harvest.to_open.put((m, copy))
			return
		if not self.check(m, copy, done):
			copy.path = None	# stays for a look
			return
		copy.opened = True
		copy.confirmed = b"did not take the note" not in done.stderr
		with self.lock:
			self.books.opened += 1
			again = self.rng.randrange(KEEP_EVERY) == 0
			look = (self.read == 0 or
			    self.rng.randrange(READ_EVERY) == 0)
		if look and copy.size < 100000 and copy.where in ("b.test",
		    "c.test"):
			self.compare_with_reader(m, copy)
		if again:
			self.kept.append((m, copy))
		else:
			os.unlink(copy.path)
			copy.path = None

	def compare_with_reader(self, m, copy):
		"""The reader has what the mail carries."""
		content = mail.read(copy.path)
		reader = (self.w.b_reader if copy.where == "b.test"
		    else self.w.a_reader)
		blob = re.search("/m/([A-Za-z0-9_-]{22})#",
		    sample.link(content)).group(1)
		e = [p for p in sample.parse(content).walk()
		    if p.get_content_type() == "application/octet-stream"]
		until = time.monotonic() + 120
		while True:
			try:
				status, _, got = reader.request("GET",
				    "/e/" + blob)
				break
			except (OSError, http.client.HTTPException) as error:
				# It is being restarted.
				if time.monotonic() > until:
					self.books.complain("%s: no reader: %s"
					    % (m, error))
					return
				self.ended.wait(0.2)
		with self.lock:
			self.read += 1
		if status != 200 or got != e[0].get_payload(decode=True):
			self.books.complain("%s: the reader answers %d, %d bytes "
			    "which are not the sealed part" % (m, status,
			    len(got)))

	def open_again(self):
		"""The kept ones, at the end: (how many, how many opened)."""
		good = 0
		for m, copy in self.kept:
			# Nobody tries again here, and the machine may be busy.
			good += self.check(m, copy, self.open(copy,
			    self.patient))
		return len(self.kept), good
