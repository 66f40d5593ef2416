#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The sealing hop: what it catches, and what a bounce from it carries."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))

from lab import mail, proc, sample, tap, world  # noqa: E402

w = None

SPELLINGS = (
	b"X-Return-Receipt: yes\r\n",
	b"X-Return-Receipt : yes\r\n",
	b"X-Return-Receipt\t: yes\r\n",
	b"X-Return-Receipt \t \t: yes\r\n",
	b"x-return-receipt: yes\r\n",
	b"X-RETURN-RECEIPT\t:yes\r\n",
	b"X-Return-Receipt:\r\n yes\r\n",
	b"X-Return-Receipt :\tyes \t\r\n",
)

NO_FLAGS = (
	b"X-Return-Recipient: yes\r\n",
	b"X-Read-Receipt: yes\r\n",
	b"X-Return-Receipt-By: yes\r\n",
	b"Subject-2: X-Return-Receipt: yes\r\n",
	b"X-Folded: one\r\n about X-Return-Receipt: yes\r\n",
)

SECRET = b"The plaintext must not come back.\r\n"


def start():
	global w
	w = world.World(tls=True, say=tap.note)
	w.start()


def arrived(site, user, mark):
	"""The user's message with the mark."""
	return mail.read(proc.wait_for(lambda: mail.marked(site, user, mark),
	    180, "%r for %s (queue: %s)" % (mark, user, w.a.queue_text()))[0])


def send(content, to="bob@b.test"):
	code, text = mail.send(w.a.port, "alice@a.test", to, content)
	tap.equal(code, 250, "reply %r" % text)


@tap.case("every spelling of the flag goes through the hop and out sealed")
def t_spellings():
	for number, flag in enumerate(SPELLINGS):
		send(sample.simple("spelling%d" % number, flag))
	for number, flag in enumerate(SPELLINGS):
		content = arrived(w.b, "bob", "spelling%d" % number)
		tap.lacks(content, b"Hello.", "the mail flagged %r" % flag)
		tap.lacks(content.lower(), b"x-return-receipt",
		    "the mail flagged %r" % flag)
		sample.link(content)


@tap.case("fields that only look like the flag leave the mail alone")
def t_no_flags():
	for number, field in enumerate(NO_FLAGS):
		send(sample.simple("noflag%d" % number, field))
	for number, field in enumerate(NO_FLAGS):
		content = arrived(w.b, "bob", "noflag%d" % number)
		tap.contains(content, b"Hello.\n", "the mail with %r" % field)
		tap.contains(content, field.replace(b"\r\n", b"\n"),
		    "the mail with %r" % field)


@tap.case("a flag inside a forwarded message or a part is none")
def t_nested():
	inner = sample.simple("nested")
	for kind, mark in ((b"message/rfc822", b"forward"),
	    (b"text/plain", b"partflag")):
		body = (b"--b1\r\nContent-Type: " + kind
		    + b"\r\nX-Return-Receipt: yes\r\n\r\n" + inner
		    + b"--b1--\r\n")
		send(sample.simple(mark, b"", body=body, more=b"MIME-Version: "
		    b"1.0\r\nContent-Type: multipart/mixed; boundary=b1\r\n"))
		tap.contains(arrived(w.b, "bob", mark), b"Hello.\n",
		    "the message with a flag in " + kind.decode())


@tap.case("a bounce made between the hops does not carry the plaintext")
def t_bounce():
	# The milter refuses this value with 550, so Postfix bounces.
	send(sample.simple("bounced", b"X-Return-Receipt: perhaps\r\n",
	    body=SECRET))
	content = arrived(w.a, "alice", "bounced")
	parsed = sample.parse(content)
	tap.equal(parsed.get_content_type(), "multipart/report",
	    "what alice got")
	tap.contains(content, b"Diagnostic-Code: smtp; 550 5.7.1 ",
	    "the bounce")
	tap.contains(content, b"perhaps", "the bounce's reason")
	tap.lacks(content, SECRET.strip(), "the bounce")
	tap.equal(mail.marked(w.b, "bob", "bounced"), [], "what was delivered")


@tap.case("two flags are refused, whatever they say")
def t_two_flags():
	send(sample.simple("twoflags", sample.FLAG + sample.FLAG, body=SECRET))
	content = arrived(w.a, "alice", "twoflags")
	tap.contains(content, b"Diagnostic-Code: smtp; 550 5.7.1 ",
	    "the bounce")
	tap.lacks(content, SECRET.strip(), "the bounce")


@tap.case("flagged mail waits while the milter is away, then goes out sealed")
def t_milter_away():
	w.a_milter.kill()
	send(sample.simple("waits"))
	proc.wait_for(lambda: "said: 451" in w.a.queue_text(), 180,
	    "the mail to be deferred")
	send(sample.simple("passes", b""))
	arrived(w.b, "bob", "passes")
	tap.equal(mail.marked(w.b, "bob", "waits"), [],
	    "what was delivered of the flagged one")
	w.a_milter.start()
	w.a.flush()
	sample.link(arrived(w.b, "bob", "waits"))


@tap.case("nothing is left in the queues")
def t_idle():
	mail.wait_until_idle(w.a)
	mail.wait_until_idle(w.b)


if __name__ == "__main__":
	tap.main(start, lambda: w and w.stop())
