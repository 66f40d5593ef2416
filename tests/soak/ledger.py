# SPDX-License-Identifier: Apache-2.0
"""The books of the soak test: what was sent, and what became of it.

Entries are made by many threads while the traffic goes on; they are read when
it has ended.
"""

import base64
import collections
import threading

# Outcomes of one message for one recipient.
SEALED, CLEAR = "delivered sealed", "delivered in clear"
QUEUED, BOUNCED = "queued", "bounced"
REFUSED, WITHDRAWN, LOST = "refused", "broken off", "LOST"
OUTCOMES = (SEALED, CLEAR, QUEUED, BOUNCED, REFUSED, WITHDRAWN, LOST)


class Canaries:
	"""Words that tell where a piece of text came from.

	body     in the text of mail to be sealed: nowhere in clear
	header   in its Content-Description, which goes inside; a bounce to
	         the sender shows it, as it returns the header
	subject  in its Subject, which stays outside: in no log or table
	clear    in the text of other mail, to see that the search finds it
	"""

	def __init__(self, run):
		self.body, self.header, self.subject, self.clear = (
		    ("gf%s%s" % (run, letter)).encode() for letter in "BHSC")

	@staticmethod
	def forms(word):
		"""The ways in which it may be written down."""
		found = [word, word.hex().encode(), word.hex().upper().encode(),
		    word.decode().encode("utf-16-le")]
		# In base64 it looks different at each of three places, and
		# its ends depend on what stands beside it.
		for before in range(3):
			text = base64.b64encode(b"\0" * before + word)
			found.append(text[(0, 2, 3)[before]:
			    (before + len(word)) * 8 // 6])
		return found

	def search(self, words, text):
		"""Which of the words stand in the text, in whatever form."""
		return [w.decode() for w in words
		    if any(form in text for form in self.forms(w))]


class Copy:
	"""One delivered copy."""

	def __init__(self, where, path, handle, size):
		self.where = where
		self.path = path	# None once it is not needed any more
		self.handle = handle	# None: in clear
		self.size = size
		self.opened = False
		self.confirmed = False	# the key server took the proof


class Message:
	"""One submission, with all attempts at it."""

	def __init__(self, number, kind, sender, recipients):
		self.number = number
		self.kind = kind
		self.sender = sender
		self.recipients = recipients
		self.message_id = None
		self.digest = None	# of what must come out
		self.accepted = False
		self.reply = None	# the last one, as text
		self.attempts = 0
		self.unknown = 0	# sent whole, and no reply came
		self.copies = collections.defaultdict(list)
		self.bounces = collections.defaultdict(int)
		self.extra = collections.Counter()	# repeats we asked for

	def __str__(self):
		return "message %d (%s) to %s" % (self.number, self.kind.name,
		    ",".join(self.recipients))


class Ledger:
	def __init__(self):
		self.lock = threading.Lock()
		self.messages = []
		self.open_ends = set()	# (number, recipient) still to arrive
		self.faults = []	# sentences
		self.receipts = collections.defaultdict(collections.Counter)
		self.sealed = 0		# copies so far
		self.delivered = 0
		self.opened = 0
		self.bytes = 0
		self.queued = {}	# (number, recipient): reason

	def complain(self, text):
		with self.lock:
			if text not in self.faults:
				self.faults.append(text)

	def enter(self, kind, sender, recipients):
		with self.lock:
			m = Message(len(self.messages), kind, sender, recipients)
			self.messages.append(m)
			return m

	def accept(self, m):
		with self.lock:
			m.accepted = True
			self.open_ends |= {(m.number, r) for r in m.recipients
			    if not m.copies[r] and not m.bounces[r]}

	def find(self, number):
		with self.lock:
			if number < len(self.messages):
				return self.messages[number]
			return None

	def arrive(self, m, recipient, copy):
		with self.lock:
			m.copies[recipient].append(copy)
			self.open_ends.discard((m.number, recipient))
			self.delivered += 1
			self.sealed += copy.handle is not None
			self.bytes += copy.size
		if recipient not in m.recipients:
			self.complain("%s came to %s" % (m, recipient))

	def bounce(self, m, recipient):
		with self.lock:
			m.bounces[recipient] += 1
			self.open_ends.discard((m.number, recipient))

	def receipt(self, handle, grade, message_id):
		with self.lock:
			self.receipts[handle][(grade, message_id)] += 1

	def waiting(self):
		with self.lock:
			return len(self.open_ends)

	def still_to_come(self):
		"""{(message number, recipient)} accepted, and not seen since."""
		with self.lock:
			return set(self.open_ends)

	def outcome(self, m, recipient):
		"""What became of it; complains where the books do not agree."""
		copies = m.copies[recipient]
		bounced = m.bounces[recipient] > 0
		queued = (m.number, recipient) in self.queued
		what = "%s, recipient %s" % (m, recipient)
		most = m.unknown + m.extra[recipient] + (1 if m.accepted else 0)
		if len(copies) > most:
			self.complain("%s: %d copies, %d explained"
			    % (what, len(copies), most))
		if m.kind.flagged and any(c.handle is None for c in copies):
			self.complain("%s: delivered IN CLEAR" % what)
			return CLEAR
		if not m.kind.flagged and any(c.handle for c in copies):
			self.complain("%s: was sealed unasked" % what)
		if m.accepted and bounced + queued + bool(copies) > 1 and \
		    m.unknown == 0:
			self.complain("%s: %d copies, bounced %s, queued %s"
			    % (what, len(copies), bounced, queued))
		if copies:
			return SEALED if copies[0].handle else CLEAR
		if bounced:
			return BOUNCED
		if queued:
			return QUEUED
		if m.accepted:
			self.complain("%s: LOST (accepted: %s)" % (what, m.reply))
			return LOST
		return REFUSED if m.reply and m.reply[0] in "45" else WITHDRAWN

	def balance(self):
		"""{outcome: number}; every difference is in self.faults."""
		sums = collections.Counter()
		for m in self.messages:
			for r in m.recipients:
				outcome = self.outcome(m, r)
				sums[outcome] += 1
				if outcome not in m.kind.wanted:
					self.complain("%s, recipient %s: %s, "
					    "reply %s" % (m, r, outcome, m.reply))
		return sums

	def copies(self):
		"""(message, recipient, copy) of all that was delivered."""
		with self.lock:
			return [(m, recipient, copy) for m in self.messages
			    for recipient, copies in m.copies.items()
			    for copy in copies]

	def receipts_of(self):
		"""{(message number, recipient): Counter of (grade, Message-ID)}

		One for everybody who has a sealed copy.
		"""
		found = collections.defaultdict(dict)
		for m, recipient, copy in self.copies():
			if copy.handle:
				found[(m.number, recipient)][copy.handle] = None
		with self.lock:
			return {key: sum((self.receipts.get(h,
			    collections.Counter()) for h in handles),
			    collections.Counter())
			    for key, handles in found.items()}

	def without_receipt(self):
		"""Sentences: who opened a copy, and what came of that."""
		confirmed = {(m.number, recipient)
		    for m, recipient, copy in self.copies() if copy.confirmed}
		bad = []
		for key, seen in self.receipts_of().items():
			if not seen:
				bad.append("%s: no receipt" % (key,))
			elif key in confirmed and "opened" not in {
			    grade for grade, _ in seen}:
				bad.append("%s: opened, but %s" % (key,
				    dict(seen)))
		return bad
