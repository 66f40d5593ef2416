# SPDX-License-Identifier: Apache-2.0
"""Send a message as exact bytes; find it again in a Maildir."""

import smtplib

from lab import proc, sample


class Client(smtplib.SMTP):
	"""smtplib without its opinions about the message.

	ended  was all of the last message sent?  Then it may have been
	       accepted, whatever happened to the reply.
	"""

	ended = False

	def send_exact(self, sender, recipients, content, options=()):
		"""One transaction; content has CRLF lines.

		Dots are stuffed, nothing else is changed.  A message without a
		final newline goes by BDAT, as DATA cannot say so.  Gives the
		reply to the end of the data; SMTPResponseException for any
		refusal.
		"""
		self.ended = False
		self.expect(self.docmd("MAIL", "FROM:<%s>%s" % (sender,
		    "".join(" " + o for o in options))))
		for r in recipients:
			self.expect(self.docmd("RCPT", "TO:<%s>" % r))
		if not content.endswith(b"\r\n"):
			self.ended = True
			self.send(b"BDAT %d LAST\r\n" % len(content) + content)
			return self.expect(self.getreply())
		self.expect(self.docmd("DATA"), 354)
		stuffed = content.replace(b"\r\n.", b"\r\n..")
		if stuffed.startswith(b"."):
			stuffed = b"." + stuffed
		self.ended = True
		self.send(stuffed + b".\r\n")
		return self.expect(self.getreply())

	@staticmethod
	def expect(reply, code=250):
		"""The reply if it has that code, else SMTPResponseException."""
		if reply[0] != code:
			raise smtplib.SMTPResponseException(*reply)
		return reply


def send(port, sender, recipients, content, source="127.0.0.1", options=(),
    timeout_s=120):
	"""Send to 127.0.0.1:port; gives (code, text) of the last reply.

	A refusal is a value here, not an exception: tests look at it.
	"""
	if isinstance(recipients, str):
		recipients = [recipients]
	if isinstance(content, str):
		content = content.encode()
	client = Client("127.0.0.1", port, local_hostname="client.test",
	    timeout=timeout_s, source_address=(source, 0))
	try:
		client.ehlo()
		try:
			return client.send_exact(sender, recipients, content,
			    options)
		except smtplib.SMTPResponseException as e:
			return e.smtp_code, e.smtp_error
	finally:
		client.close()


def wait(postfix, user, count=1, limit_s=180):
	"""Wait until the user has `count` messages; gives their files."""
	def enough():
		files = postfix.messages(user)
		return files if len(files) >= count else None
	try:
		return proc.wait_for(enough, limit_s, "mail %d for %s@%s"
		    % (count, user, postfix.domain))
	except proc.LabError as e:
		raise proc.LabError("%s; the log ends:\n%s" % (e,
		    proc.tail(postfix.maillog)))


def marked(postfix, user, mark):
	"""Files of the user's messages with that mark, oldest first.

	Sealed or not, and bounces of it: what has sample.message_id(mark).
	"""
	wanted = sample.message_id(mark)
	return [path for path in postfix.messages(user)
	    if wanted in read(path)]


def wait_until_idle(postfix, limit_s=180):
	"""Until nothing waits in the queue."""
	proc.wait_for(lambda: not postfix.queue(), limit_s,
	    "an empty queue of %s" % postfix.domain)


def read(path):
	with open(path, "rb") as f:
		return f.read()
