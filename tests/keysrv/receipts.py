#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Receipt mails of the key server itself, from the request to the mail."""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import outboxlab as lab  # noqa: E402
from lab import proc, sink, tap  # noqa: E402
from client import Message  # noqa: E402
from ground import Ground  # noqa: E402

BEARER = ("The key was given to someone who had this message and its link; "
    "who it was, was not checked.")
DELAY_S = 2		# of the one case that waits for its end
LONG_S = 3600		# of the others: no stall is as long
STOPPED_S = 30		# grace of 3 s; the mail server is silent for 60 s
mta = sink.Sink()
ground = Ground(outbox="on", smtp_server=mta.address, outbox_poll_ms=20,
    receipt_delay_s=LONG_S)


def issued(**kw):
	"""A message from a sender of its own, so that its mails are found."""
	return ground.issue(Message(sender="s%s@a.test" % os.urandom(6).hex(),
	    **kw))


def status_of(message):
	answer = ground.api.get("/api/v1/messages", token=ground.token)
	tap.equal(answer.status, 200, "status of messages (%s)" % answer)
	return [m for m in answer.json["messages"]
	    if m["handle"] == message.handle][0]


def wait_receipt(message, wanted):
	proc.wait_for(lambda: status_of(message)["receipt"] == wanted, 120,
	    "receipt: " + wanted)


def rows_of(message):
	return ground.count("outbox", "key_id = '\\x%s'"
	    % message.key_id.hex())


def delay_of(message):
	"""Seconds between the release and the mail server's answer."""
	return float(ground.psql("SELECT extract(epoch FROM sent_at -"
	    " released_at) FROM counterfoil.outbox WHERE key_id = '\\x%s'"
	    " ORDER BY outbox_id LIMIT 1" % message.key_id.hex()))


@tap.case("released and opened: one signed mail, 'opened', before the delay")
def t_opened():
	m = issued()
	tap.equal(status_of(m)["receipt"], "none", "receipt")
	answer = ground.open(m, ground.release(m))
	tap.equal(answer.status, 200, "status of open (%s)" % answer)
	mail = mta.wait(m.sender)[0]
	wait_receipt(m, "sent")
	tap.true(delay_of(m) < LONG_S, "sent before the delay was over")
	tap.equal(mail.sender, "<>", "envelope sender")
	parsed = lab.parse(mail.content)
	tap.contains(parsed["Subject"], m.handle, "Subject")
	tap.equal(parsed["In-Reply-To"], m.message_id, "In-Reply-To")
	words = lab.words_of(mail.content)
	tap.contains(words, "opened by someone or something that held the "
	    "message", "text")
	tap.contains(words, BEARER, "text")
	signed = lab.verify(ground, mail.content,
	    ground.server.signer_certificate)
	tap.equal(signed, lab.first_part(mail.content), "the signed bytes")


@tap.case("released, not opened: a mail after the delay; opened then: a last one")
def t_released():
	m = issued()
	ground.release(m)
	tap.equal(status_of(m)["receipt"], "queued", "receipt")
	ground.server.restart(receipt_delay_s=DELAY_S)
	m = issued()
	release = ground.release(m)
	mail = mta.wait(m.sender)[0]
	wait_receipt(m, "sent")
	tap.true(delay_of(m) >= DELAY_S, "not sent before its time: %g s"
	    % delay_of(m))
	tap.contains(lab.words_of(mail.content), BEARER, "text")
	tap.contains(lab.words_of(mail.content), "no proof of it so far",
	    "text")
	for _ in range(2):	# the repeat changes nothing
		tap.equal(ground.open(m, release).status, 200, "open")
	second = mta.wait(m.sender, 2)[1]
	tap.contains(lab.words_of(second.content), "second and last one",
	    "text")
	proc.wait_for(lambda: ground.psql("SELECT string_agg(state, ' ') FROM"
	    " counterfoil.outbox WHERE key_id = '\\x%s'" % m.key_id.hex())
	    == "sent sent", 120, "both rows to be sent")
	ground.server.restart(receipt_delay_s=LONG_S)
	ground.release(m)	# again, by whomever: no further mail
	tap.equal(rows_of(m), 2, "rows in the outbox")
	other = issued()
	ground.open(other, ground.release(other))
	mta.wait(other.sender)
	tap.equal(len(mta.to(m.sender)), 2, "mails in all")


@tap.case("a second attempt at the same mail is silent")
def t_sibling():
	one = issued()
	ground.open(one, ground.release(one))
	mta.wait(one.sender)
	two = ground.issue(Message(ref=one.ref, sender=one.sender,
	    recipient=one.recipient))
	ground.open(two, ground.release(two))
	tap.equal(rows_of(two), 0, "rows of the second attempt")
	other = issued()
	ground.open(other, ground.release(other))
	mta.wait(other.sender)
	tap.equal(len(mta.to(one.sender)), 1, "mails")


@tap.case("a refused receipt is shown as undeliverable")
def t_undeliverable():
	m = issued()
	mta.next[m.sender] = ["rcpt 550 5.1.1 nobody of that name"]
	ground.open(m, ground.release(m))
	wait_receipt(m, "undeliverable")


@tap.case("SIGTERM ends the server although the mail server is silent")
def t_stop():
	m = issued()
	mta.next[m.sender] = ["hold"]
	ground.open(m, ground.release(m))
	tap.true(mta.held.wait(120), "the mail is under way")
	began = time.monotonic()
	ground.server.stop()
	tap.true(time.monotonic() - began < STOPPED_S, "in time")
	mta.let_go()
	ground.psql("UPDATE counterfoil.outbox SET next_try = now(),"
	    " lease_until = NULL WHERE state = 'waiting'")
	ground.server.start()
	wait_receipt(m, "sent")
	ids = {lab.parse(x.content)["Message-ID"] for x in mta.to(m.sender)}
	tap.equal(len(ids), 1, "Message-IDs of the repeated mail")


@tap.case("outbox = off leaves the receipts to another server")
def t_off():
	ground.server.restart(outbox="off")
	m = issued()
	ground.open(m, ground.release(m))
	tap.equal(status_of(m)["receipt"], "queued", "receipt")
	ground.server.stop()
	tap.equal(mta.to(m.sender), [], "mails")
	ground.server.restart(outbox="on")
	mta.wait(m.sender)
	wait_receipt(m, "sent")


def start():
	mta.start()
	ground.path = lambda name: os.path.join(ground.folder, name)
	ground.start()


def stop():
	mta.let_go()
	ground.stop()
	mta.stop()


if __name__ == "__main__":
	tap.main(start, stop)
