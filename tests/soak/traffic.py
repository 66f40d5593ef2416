# SPDX-License-Identifier: Apache-2.0
"""Mixed mail, by senders that each wait for their answer.

There is never more under way than ROOM, so the rate is what the machine can
carry.  What a message is and what may become of it stands in KINDS.
"""

import collections
import hashlib
import os
import random
import smtplib
import threading
import time

from ledger import BOUNCED, CLEAR, QUEUED, REFUSED, SEALED, WITHDRAWN
from lab import mail, sample

SENDERS = 6
ROOM = 60		# deliveries to come, beyond which senders wait
UNOPENED = 80		# copies not yet opened, likewise
BOBS = ["bob", "ben", "bea", "bill"]
CAROLS = ["carol", "cleo"]
STRANGER = "127.0.0.2"	# neither in mynetworks nor in networks
YES = sample.FLAG
SMALL = 20000
MEGA = 1000000
CANARY_EVERY = 65536

Kind = collections.namedtuple("Kind", "name weight port to size flag more "
    "sender source ending flagged wanted")


def kind(name, weight, wanted, port="front", to="b", size=SMALL, flag=YES,
    more=b"", sender="alice@a.test", source="127.0.0.1", ending="",
    flagged=True):
	"""weight: how often; wanted: an outcome, or several.

	port     front: a's clients; outside, b: what the world sees of a, b
	to       whom, see Traffic.recipients()
	ending   how the client behaves at the end of DATA
	flagged  must never be delivered in clear
	"""
	if isinstance(wanted, str):
		wanted = (wanted,)
	return Kind(name, weight, port, to, size, flag, more, sender, source,
	    ending, flagged, wanted)


LIST = b"List-Id: <loom.a.test>\r\nPrecedence: list\r\n"
AUTO = b"Auto-Submitted: auto-generated\r\n"
PLAIN = {"flag": b"", "flagged": False}
# A flag that somebody else's mail carries and that is taken off.
STRIPPED = {"source": STRANGER, "sender": "mallory@m.test", "flagged": False}

KINDS = (
	kind("unflagged", 160, CLEAR, **PLAIN),
	kind("unflagged to several", 50, CLEAR, to="mixed", **PLAIN),
	kind("unflagged 1 MB", 10, CLEAR, size=MEGA, **PLAIN),
	kind("unflagged list", 15, CLEAR, more=LIST, **PLAIN),
	kind("unflagged at b", 30, CLEAR, port="b", **dict(STRIPPED, flag=b"")),
	kind("sealed", 300, SEALED),
	kind("sealed to several", 70, SEALED, to="several"),
	kind("sealed, no milter there", 60, SEALED, to="c"),
	kind("sealed 1 MB", 30, SEALED, size=MEGA),
	kind("sealed 10 MB", 1, SEALED, size=10 * MEGA),
	kind("sealed without the hop", 60, SEALED, port="outside"),
	kind("two without the hop", 10, REFUSED, port="outside", to="two"),
	kind("unknown value", 20, BOUNCED, flag=b"X-Return-Receipt: soon\r\n"),
	kind("unknown value, no hop", 10, REFUSED, port="outside",
	    flag=b"X-Return-Receipt: soon\r\n"),
	kind("two flags", 10, BOUNCED, flag=YES + YES),
	kind("null sender", 10, REFUSED, port="outside", sender=""),
	kind("list with flag", 10, BOUNCED, more=LIST),
	kind("automatic with flag", 10, BOUNCED, more=AUTO),
	kind("stranger's flag, local", 20, CLEAR, port="outside", to="a",
	    **STRIPPED),
	kind("stranger's flag, relay", 10, REFUSED, port="outside",
	    source=STRANGER, sender="mallory@m.test"),
	kind("stranger's flag at b", 20, CLEAR, port="b", **STRIPPED),
	kind("oversize", 1, BOUNCED, size=15 * MEGA),
	kind("oversize without the hop", 1, REFUSED, port="outside",
	    size=15 * MEGA),
	kind("next hop refuses recipient", 10, BOUNCED, to="rcpt"),
	kind("next hop refuses text", 10, BOUNCED, to="data"),
	kind("next hop defers", 10, SEALED, to="defer"),
	kind("next hop loses reply", 10, SEALED, to="lost"),
	kind("client stops in DATA", 20, WITHDRAWN, ending="stop"),
	kind("same, without the hop", 10, WITHDRAWN, port="outside",
	    ending="stop"),
	kind("client leaves after DATA", 10, (SEALED, WITHDRAWN),
	    ending="leave"),
	kind("RSET", 20, WITHDRAWN, ending="reset"),
	kind("RSET without the hop", 10, WITHDRAWN, port="outside",
	    ending="reset"),
)
# The key server does not let this account seal for c.test: it must wait.
STUCK = kind("sender not allowed", 0, QUEUED, sender="eve@c.test")


class NextHop:
	"""What the mail server of d.test does, by the name of the recipient."""

	def __init__(self, books, canaries):
		self.books = books
		self.canaries = canaries
		self.seen = collections.Counter()

	def __call__(self, recipient):
		self.seen[recipient] += 1
		what, number = recipient.split("@")[0].split("-")
		first = self.seen[recipient] == 1
		if what == "rcpt":
			return "rcpt 550 5.1.1 nobody of that name"
		if what == "data":
			return "data 554 5.7.1 not wanted here"
		if what == "defer" and self.seen[recipient] <= 2:
			return "rcpt 450 4.2.1 later"
		if what == "lost" and first:
			self.books.find(int(number)).extra[recipient] += 1
			return "drop-reply"
		return ""

	def watch(self, recipient, content):
		"""Sees all that is transmitted, refused or not."""
		found = self.canaries.search([self.canaries.body,
		    self.canaries.header], content)
		if found:
			self.books.complain("d.test was sent %s IN CLEAR for %s"
			    % (found, recipient))


class Sender(threading.Thread):
	"""One client: kept sessions, one message after the other."""

	def __init__(self, traffic, number):
		super().__init__(daemon=True)
		self.traffic = traffic
		self.rng = random.Random("%s/%d" % (traffic.seed, number))
		self.clients = {}	# (port, source): session, messages left

	def run(self):
		t = self.traffic
		try:
			while t.wait_for_room():
				kind = t.choose(self.rng)
				self.submit(t.new_message(kind, self.rng))
				t.ended.wait(self.rng.uniform(0, t.pause_s))
		except Exception as e:
			t.books.complain("a sender ended: %r" % e)
			raise
		finally:
			for client, _ in self.clients.values():
				client.close()

	def client(self, kind):
		where = (self.traffic.ports[kind.port], kind.source)
		if where not in self.clients:
			# No DNS, and no patience for ever.
			client = mail.Client("127.0.0.1", where[0],
			    local_hostname="client.test", timeout=180,
			    source_address=(where[1], 0))
			self.clients[where] = (client, self.rng.randrange(1, 40))
			client.ehlo()
		return self.clients[where][0]

	def used(self, kind, broken=False):
		"""After each message; sessions are kept for some."""
		where = (self.traffic.ports[kind.port], kind.source)
		client, left = self.clients.pop(where, (None, 0))
		if client is None:
			return
		if broken or left <= 1:
			client.close()
		else:
			self.clients[where] = (client, left - 1)

	def submit(self, m_and_content):
		"""Until it is accepted or refused for good, as a client would."""
		m, content = m_and_content
		while True:
			m.attempts += 1
			code = self.attempt(m, content)
			if code == 250:
				self.traffic.books.accept(m)
			if code == 250 or code >= 500 or (m.kind.ending and
			    not code) or self.traffic.abandoned.wait(
			    self.rng.uniform(0.1, 1)):
				return

	def attempt(self, m, content):
		"""The code of the last reply; 0 if there was none."""
		client = None
		try:
			client = self.client(m.kind)
			client.ended = False
			code, text = self.transact(client, m, content)
			m.reply = "%d %s" % (code, text.decode("utf-8",
			    "replace"))
		except smtplib.SMTPResponseException as e:
			code = e.smtp_code
			m.reply = "%d %s" % (code, e.smtp_error.decode("utf-8",
			    "replace"))
			try:
				if client:	# else the greeting refused us
					client.rset()
			except (OSError, smtplib.SMTPException):
				if code == 421:	# a session ended, no message refused
					code, m.reply = 0, None
				self.used(m.kind, True)
		except (OSError, smtplib.SMTPException):
			code = 0
			m.reply = None
			m.unknown += client is not None and client.ended
			self.used(m.kind, True)
		self.used(m.kind, m.kind.ending in ("stop", "leave"))
		return code

	def transact(self, client, m, content):
		if not m.kind.ending:
			return client.send_exact(m.sender, m.recipients, content)
		client.expect(client.docmd("MAIL", "FROM:<%s>" % m.sender))
		for r in m.recipients:
			client.expect(client.docmd("RCPT", "TO:<%s>" % r))
		if m.kind.ending == "reset":
			client.expect(client.docmd("RSET"))
			return 0, b"broken off"
		client.expect(client.docmd("DATA"), 354)
		if m.kind.ending == "leave":
			m.unknown += 1
			client.send(content.replace(b"\r\n.", b"\r\n..")
			    + b".\r\n")
		else:
			client.send(content[:len(content) * 2 // 3])
		return 0, b"broken off"


class Traffic:
	def __init__(self, w, books, canaries, seed, pause_s):
		self.books = books
		self.canaries = canaries
		self.seed = seed
		self.pause_s = pause_s
		self.run_name = canaries.body.decode()[2:-1]
		self.ports = {"front": w.a.port, "outside": w.a.outside_port,
		    "b": w.b.port}
		self.ended = threading.Event()
		self.abandoned = threading.Event()
		self.unopened = lambda: 0
		self.stuck = 0		# those that wait to the end
		self.filler = sample.lines76(os.urandom(MEGA * 3 // 4))
		self.lock = threading.Lock()
		self.due = list(KINDS)	# each comes early, then by weight
		random.Random(seed).shuffle(self.due)
		self.bag = [k for k in KINDS for _ in range(k.weight)]
		self.senders = [Sender(self, n) for n in range(SENDERS)]

	def start(self):
		for s in self.senders:
			s.start()

	def stop(self, limit_s):
		"""No more new messages; those under way are finished."""
		self.ended.set()
		until = time.monotonic() + limit_s
		for s in self.senders:
			s.join(max(0, until - time.monotonic()))
		self.abandoned.set()
		for s in self.senders:
			s.join(200)
			if s.is_alive():
				self.books.complain("a client waits for a reply for "
				    "ever")

	def wait_for_room(self):
		"""False when the time is over.

		Something is always under way, also while nothing can be opened:
		faults wait until they are felt.
		"""
		while not self.ended.is_set():
			waiting = self.books.waiting() - self.stuck
			if waiting == 0 or waiting < ROOM and \
			    self.unopened() < UNOPENED:
				return True
			self.ended.wait(0.05)
		return False

	def choose(self, rng):
		with self.lock:
			if self.due and rng.randrange(3) == 0:
				return self.due.pop()
		return rng.choice(self.bag)

	def recipients(self, kind, number, rng):
		def of(users, domain, count=1):
			return ["%s@%s" % (u, domain)
			    for u in rng.sample(users, count)]
		if kind.to == "a":
			return ["alice@a.test"]
		if kind.to == "b":
			return of(BOBS, "b.test")
		if kind.to == "c":
			return of(CAROLS, "c.test")
		if kind.to == "two":
			return of(BOBS, "b.test", 2)
		if kind.to == "several":
			return of(BOBS, "b.test", 2) + of(CAROLS, "c.test")
		if kind.to == "mixed":
			return of(BOBS, "b.test", 2) + of(CAROLS, "c.test") + \
			    ["alice@a.test"]
		return ["%s-%d@d.test" % (kind.to, number)]

	def body(self, size, word, rng):
		"""Text with the word in its first, its last and many lines."""
		line = (b"Only the reader may hear " + word
		    + b" sing behind the seal.\r\n")
		parts = [line]
		left = size
		while left > 0:
			at = 78 * rng.randrange(len(self.filler) // 78)
			piece = self.filler[at:at + min(left, CANARY_EVERY)
			    // 78 * 78]
			parts += [piece or b".\r\n", line]
			left -= len(piece) + len(line)
		return b"".join(parts)

	def new_message(self, kind, rng):
		books, c = self.books, self.canaries
		m = books.enter(kind, kind.sender, [])
		m.recipients = self.recipients(kind, m.number, rng)
		tail = b"%06d" % m.number
		m.message_id = "<soak.%s.%d@a.test>" % (self.run_name, m.number)
		before = (b"From: Alice <alice@a.test>\r\nTo: "
		    + ", ".join(m.recipients).encode() + b"\r\n")
		after = (b"Subject: " + c.subject + tail + b" from the loom\r\n"
		    b"Date: Mon, 23 Nov 2026 13:35:00 +0100\r\n"
		    b"Message-ID: " + m.message_id.encode() + b"\r\n"
		    b"X-Soak: %d\r\n" % m.number + kind.more)
		if kind.flagged:
			after += b"Content-Description: " + c.header + tail \
			    + b"\r\n"
		size = kind.size if kind.size > SMALL else rng.randrange(SMALL)
		body = self.body(size, (c.body if kind.flagged else c.clear)
		    + tail, rng)
		wanted = before + after + b"\r\n" + body
		m.digest = hashlib.sha256(wanted).digest()
		return m, before + kind.flag + after + b"\r\n" + body
