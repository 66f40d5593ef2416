# SPDX-License-Identifier: Apache-2.0
"""What a mail server shows its milter, overheard between the two.

    o = Overheard(folder, milter)     # o.address goes into the mail server
    o.start()
    o.messages                        # Shown, in the order of their ends

A message is noted when its end was shown, whatever the milter answers.
"""

import os
import re
import socket
import struct
import threading

from lab import proc

LEADSPC = 0x00100000
LEFT_OUT = (b"bcc", b"resent-bcc", b"x-return-receipt")


class Shown:
	def __init__(self):
		self.fields = []	# (name, value), the blank in front kept
		self.recipients = []
		self.body = b""

	def sealed_part(self):
		"""What must be inside: all but the flag and Bcc, CRLF."""
		head = b"".join(name + b":" + re.sub(rb"\r?\n", b"\r\n", value)
		    + b"\r\n" for name, value in self.fields
		    if name.strip().lower() not in LEFT_OUT)
		return head + b"\r\n" + self.body

	def values(self, name):
		return [v for n, v in self.fields
		    if n.strip().lower() == name.lower().encode()]


class Overheard:
	def __init__(self, folder, milter):
		os.makedirs(folder, mode=0o755, exist_ok=True)
		self.path = os.path.join(folder, "milter.sock")
		self.address = "unix:" + self.path
		self.milter = milter
		self.messages = []
		self.listener = None
		self._lock = threading.Lock()

	def start(self):
		self.listener = socket.socket(socket.AF_UNIX)
		self.listener.bind(self.path)
		os.chmod(self.path, 0o666)
		self.listener.listen(64)
		threading.Thread(target=self._accept, daemon=True).start()
		return self

	def stop(self):
		if self.listener:
			self.listener.shutdown(socket.SHUT_RDWR)
			self.listener.close()
			os.unlink(self.path)
			self.listener = None

	def find(self, mark):
		"""All that were shown with these bytes in a field."""
		with self._lock:
			return [m for m in self.messages
			    if any(mark in v for _, v in m.fields)]

	def _accept(self):
		listener = self.listener
		while True:
			try:
				mta, _ = listener.accept()
			except OSError:
				return
			threading.Thread(target=self._serve, args=(mta,),
			    daemon=True).start()

	def _serve(self, mta):
		milter = socket.socket(socket.AF_UNIX)
		try:
			milter.connect(self.milter.socket)
		except OSError:
			mta.close()	# as if there were nobody
			return
		session = _Session(self)
		pair = [threading.Thread(target=self._copy, daemon=True,
		    args=way) for way in ((mta, milter, session.command, False),
		    (milter, mta, session.answer, True))]
		for t in pair:
			t.start()
		for t in pair:
			t.join()
		mta.close()
		milter.close()

	@staticmethod
	def _copy(source, target, listen, first):
		"""`first`: listen to all that goes on before it goes on.

		What the milter answers says how to read what comes then; what
		it is told is noted when it has been told.
		"""
		held = b""

		def take():
			nonlocal held
			while len(held) >= 4:
				n, = struct.unpack(">I", held[:4])
				if len(held) < 4 + n:
					break
				listen(held[4:5], held[5:4 + n])
				held = held[4 + n:]
		try:
			while True:
				data = source.recv(1 << 16)
				if not data:
					break
				held += data
				if first:
					take()
				target.sendall(data)
				if not first:
					take()
		except OSError:
			pass
		for s in (source, target):
			try:
				s.shutdown(socket.SHUT_RDWR)
			except OSError:
				pass

	def note(self, message):
		with self._lock:
			self.messages.append(message)


class _Session:
	def __init__(self, overheard):
		self.overheard = overheard
		self.leadspc = False
		self.message = Shown()
		self.body = []

	def answer(self, kind, data):
		if kind == b"O":
			steps, = struct.unpack(">I", data[8:12])
			self.leadspc = bool(steps & LEADSPC)

	def command(self, kind, data):
		if kind == b"M":
			self.message = Shown()
			self.body = []
		elif kind == b"R":
			self.message.recipients.append(data.split(b"\0")[0])
		elif kind == b"L":
			name, value = data.split(b"\0")[:2]
			self.message.fields.append((name, value if self.leadspc
			    else b" " + value))
		elif kind == b"B":
			self.body.append(data)
		elif kind == b"E":
			self.message.body = b"".join(self.body) + data
			self.overheard.note(self.message)
			self.message = Shown()
			self.body = []


def wait(overheard, mark, count=1, limit_s=180):
	"""Until `count` messages with the mark were shown; gives them."""
	def enough():
		found = overheard.find(mark)
		return found if len(found) >= count else None
	return proc.wait_for(enough, limit_s, "%r to be shown to the milter"
	    % mark)
