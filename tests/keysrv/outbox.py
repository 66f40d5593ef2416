#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Receipt mails on their way: the outbox, a database, a mail server."""

import os
import re
import ssl
import subprocess
import time

import outboxlab as lab
from outboxlab import tap, proc

from lab.ca import Authority

BEARER = ("The key was given to someone who had this message and its link; "
    "who it was, was not checked.")
BEFORE_TIMEOUT_S = 8	# a statement ends by itself after 10 s
STOPPED_S = 20		# grace of 3 s; the mail server is silent for 60 s
world = lab.World()


def psql_session(first):
	"""A psql that has done `first` and does what is written to its stdin."""
	session = subprocess.Popen(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1",
	    world.cluster.conninfo()], stdin=subprocess.PIPE,
	    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
	session.stdin.write(first + " SELECT 'done';\n")
	session.stdin.flush()
	line = "\n"
	while line == "\n":	# a row without columns
		line = session.stdout.readline()
	tap.equal(line, "done\n", "what psql says")
	return session


def end_session(session):
	session.communicate(timeout=60)


def with_outbox(function):
	"""Run the case beside one outbox, which must end cleanly."""
	def run():
		outbox = world.outbox()
		function()
		tap.equal(outbox.stop(), 0, "exit status")
	return run


def one_pass():
	"""The loop has done everything that was due before this call."""
	for _ in range(2):	# the first may be in one batch with the rest
		key, sender = world.release()
		world.sink.wait(sender)
		world.wait_state(key, "sent")


@world.case("a release makes one signed mail as fig. 9 shows it")
@with_outbox
def t_released():
	key, sender = world.release()
	mail = world.sink.wait(sender)[0]
	world.wait_state(key, "sent")
	tap.equal(mail.sender, "<>", "envelope sender")
	m = lab.parse(mail.content)
	tap.equal(m["From"], lab.FROM, "From")
	tap.equal(m["To"], sender, "To")
	tap.contains(m["Subject"], "key ID # " + lab.handle(key), "Subject")
	tap.equal(m["In-Reply-To"], "<%s@a.test>" % key[:12], "In-Reply-To")
	tap.equal(m["References"], m["In-Reply-To"], "References")
	tap.equal(m["Auto-Submitted"], "auto-replied", "Auto-Submitted")
	tap.true(m["Date"].datetime is not None, "a Date")
	tap.true(m["Message-ID"].endswith("@keys.test>"), "Message-ID")
	tap.true("X-Return-Receipt" not in m, "no flag")
	tap.equal(m.get_content_type(), "multipart/signed", "form")
	tap.equal(m.get_param("micalg"), "sha-256", "micalg")
	words = lab.words_of(mail.content)
	tap.contains(words, BEARER, "text")
	tap.contains(words, "By: not checked Assurance: bearer", "text")
	tap.contains(words, "<%s@a.test>" % key[:12], "text")
	tap.contains(words, "Sent to: bob@b.test", "text")
	tap.contains(words, lab.handle(key), "text")
	signed = lab.verify(world, mail.content)
	tap.equal(signed, lab.first_part(mail.content), "the signed bytes")


@world.case("a changed receipt does not verify")
@with_outbox
def t_changed():
	_, sender = world.release()
	mail = world.sink.wait(sender)[0].content
	changed = mail.replace(b"bob@b.test", b"eve@b.test")
	tap.true(changed != mail, "something was changed")
	tap.raises(tap.Failure, lambda: lab.verify(world, changed),
	    "verification")


@world.case("an opening in time makes one mail, 'opened', at once")
@with_outbox
def t_opened_in_time():
	key, sender = world.release(delay="1 h")
	one_pass()
	tap.equal(world.sink.to(sender), [], "mails before the opening")
	tap.equal(world.open(key), "changed", "row")
	mail = world.sink.wait(sender)[0]
	world.wait_state(key, "sent")
	one_pass()
	tap.equal(len(world.sink.to(sender)), 1, "mails")
	words = lab.words_of(mail.content)
	tap.contains(words, "opened by someone or something that held the "
	    "message", "text")
	tap.contains(words, BEARER, "text")
	tap.lacks(words, "earlier receipt", "text")
	tap.equal(lab.parse(mail.content).get_content_type(),
	    "multipart/signed", "form at bearer")


@world.case("an opening after the notice makes a second and last mail")
@with_outbox
def t_opened_later():
	key, sender = world.release()
	world.sink.wait(sender)
	world.wait_state(key, "sent")
	tap.equal(world.open(key), "added", "row")
	first, second = world.sink.wait(sender, 2)
	world.wait_state(key, "sent\nsent")
	tap.contains(lab.words_of(first.content), "one more receipt",
	    "first text")
	tap.contains(lab.words_of(second.content), "This receipt is the second "
	    "and last one", "second text")
	tap.true(lab.parse(first.content)["Message-ID"] !=
	    lab.parse(second.content)["Message-ID"], "two Message-IDs")


@world.case("a second mail waits for a first one that is late")
@with_outbox
def t_order():
	key, sender = world.release(delay="1 h")
	world.sql("UPDATE counterfoil.outbox SET lease_until ="
	    " now() + interval '1 h' WHERE key_id = '\\x%s'" % key)
	tap.equal(world.open(key), "added", "row")
	one_pass()
	tap.equal(world.sink.to(sender), [], "mails while the first is leased")
	world.sql("UPDATE counterfoil.outbox SET lease_until = now(),"
	    " not_before = now() WHERE key_id = '\\x%s'"
	    " AND kind = 'released'" % key)
	mails = world.sink.wait(sender, 2)
	tap.contains(lab.words_of(mails[0].content), "no proof of it so far",
	    "the first")
	tap.contains(lab.words_of(mails[1].content), "second and last",
	    "the second")


@world.case("nothing goes out before its time, nor while it is leased")
@with_outbox
def t_delay():
	early, early_to = world.release(delay="1 h")
	leased, leased_to = world.release(delay="1 h")
	world.sql("UPDATE counterfoil.outbox SET not_before = now(),"
	    " lease_until = now() + interval '1 h'"
	    " WHERE key_id = '\\x%s'" % leased)
	one_pass()
	tap.equal(world.sink.to(early_to), [], "before its time")
	tap.equal(world.sink.to(leased_to), [], "leased by somebody")
	world.sql("UPDATE counterfoil.outbox SET not_before = now(),"
	    " lease_until = now() WHERE state = 'waiting'")
	world.sink.wait(early_to)
	world.sink.wait(leased_to)


@world.case("opened at mailbox and up: RFC 8098 outermost, signed inside")
@with_outbox
def t_report():
	for assurance in ("mailbox", "account", "certificate"):
		key, sender = world.release(delay="1 h", assurance=assurance,
		    principal="bob@b.test")
		world.open(key)
		mail = world.sink.wait(sender)[0]
		m = lab.parse(mail.content)
		tap.equal(m.get_content_type(), "multipart/report", "form")
		tap.equal(m.get_param("report-type"),
		    "disposition-notification", "report-type")
		parts = m.get_payload()
		tap.equal([p.get_content_type() for p in parts],
		    ["multipart/signed", "message/disposition-notification"],
		    "parts")
		fields = parts[1].get_payload()[0]
		tap.equal(fields["Final-Recipient"], "rfc822; bob@b.test",
		    "Final-Recipient")
		tap.equal(fields["Original-Message-ID"],
		    "<%s@a.test>" % key[:12], "Original-Message-ID")
		tap.equal(fields["Disposition"],
		    "manual-action/MDN-sent-automatically; displayed",
		    "Disposition")
		tap.true(fields["Reporting-UA"].startswith("keys.test; "),
		    "Reporting-UA")
		signed = lab.verify(world, lab.first_part(mail.content))
		tap.contains(signed, b"Assurance:     " + assurance.encode(),
		    "the signed text")


@world.case("a release is never in RFC 8098 form")
@with_outbox
def t_release_is_no_report():
	for assurance in ("bearer", "mailbox", "account", "certificate"):
		_, sender = world.release(assurance=assurance)
		mail = world.sink.wait(sender)[0].content
		tap.equal(lab.parse(mail).get_content_type(),
		    "multipart/signed", assurance)
		tap.lacks(mail, b"disposition", assurance)


def deferred(actions):
	"""Fails as told, then arrives; gives how often it was kept."""
	sender = "later-%d@a.test" % time.monotonic_ns()
	world.sink.next[sender] = list(actions)
	key, _ = world.release(sender)
	_, other = world.release()
	world.sink.wait(other)
	world.wait_state(key, "sent")
	tap.equal(world.sink.next[sender], [], "actions left")
	tap.equal(world.state(key, "attempts"), str(len(actions) + 1),
	    "attempts")
	ids = {lab.parse(m.content)["Message-ID"]
	    for m in world.sink.to(sender)}
	tap.equal(len(ids), 1, "Message-IDs")
	return len(world.sink.to(sender))


@world.case("4xx is tried again and holds nobody else up")
@with_outbox
def t_4xx():
	tap.equal(deferred(["rcpt 450 4.2.1 greylisted",
	    "data 451 4.3.0 disk full", "rcpt 421 4.3.2 closing"]), 1, "mails")


@world.case("a connection that ends is tried again, with the same Message-ID")
@with_outbox
def t_drop():
	tap.equal(deferred(["drop-rcpt", "drop-data"]), 1, "mails")
	tap.equal(deferred(["drop-reply", "drop-reply"]), 3, "mails")


@world.case("relaying denied is our set-up, not the recipient: it waits")
@with_outbox
def t_policy():
	tap.equal(deferred(["rcpt 554 5.7.1 Relay access denied",
	    "rcpt 550 relay not permitted", "rcpt 550 Relaying denied",
	    "rcpt 550 5.4.4 no route", "rcpt 554 5.3.2 not now",
	    "rcpt 501 5.5.4 what?", "rcpt 530 Authentication required"]), 1,
	    "mails")


@world.case("5xx is final, shown, and not tried again")
@with_outbox
def t_5xx():
	for action in ("rcpt 550 5.1.1 nobody of that name",
	    "rcpt 552 5.2.2 full for good", "rcpt 550 no such user here",
	    "data 554 5.6.0 not this one"):
		sender = "no-%d@a.test" % time.monotonic_ns()
		world.sink.next[sender] = [action]
		key, _ = world.release(sender)
		world.wait_state(key, "undeliverable")
		tap.contains(world.state(key, "last_error"), action[5:],
		    "last_error")
		one_pass()
		tap.equal(world.sink.to(sender), [], "mails")


@world.case("after 5xx for the notice the opening is tried and says first")
@with_outbox
def t_5xx_then_opened():
	sender = "maybe-%d@a.test" % time.monotonic_ns()
	world.sink.next[sender] = ["rcpt 550 5.1.1 nobody of that name"]
	key, _ = world.release(sender)
	world.wait_state(key, "undeliverable")
	world.open(key)
	mail = world.sink.wait(sender)[0]
	tap.lacks(lab.words_of(mail.content), "earlier receipt", "text")


@world.case("what cannot stand in an envelope is never sent")
@with_outbox
def t_addresses():
	for bad in ("ann@a.test\r\nRCPT TO:<eve@e.test>", "ann@a.test>",
	    "<ann@a.test>", "ann", "ann@", "@a.test", "a nn@a.test",
	    "ann@a..test", ".ann@a.test", "ann@-\u00e4.test", "ann@a.test\n",
	    "\u00e4nn@a.test", "a" * 250 + "@a.test", ""):
		key, _ = world.release(bad or " ")
		world.wait_state(key, "undeliverable")
		tap.equal(world.state(key, "last_error")[:21],
		    "no mail can be sent t", repr(bad))
	one_pass()
	tap.equal([m for m in world.sink.mails if "eve" in m.recipient], [],
	    "smuggled recipients")


@world.case("text from outside makes no header and no line of its own")
@with_outbox
def t_injection():
	evil = "bob@b.test>\r\nBcc: eve@e.test\r\n\r\n--x\u202e\u2028end"
	key, sender = world.release(delay="1 h", recipient=evil,
	    principal=evil, assurance="mailbox",
	    original_message_id="<x@y>\r\nX-Evil: yes")
	world.open(key)
	mail = world.sink.wait(sender)[0].content
	m = lab.parse(mail)
	for part in m.walk():
		tap.true("Bcc" not in part and "X-Evil" not in part,
		    "no header of theirs")
	tap.true("In-Reply-To" not in m, "no broken In-Reply-To")
	text = lab.text_of(mail)
	tap.equal([line for line in text.splitlines()
	    if line.startswith(("Bcc", "X-Evil", "--x", "end"))], [],
	    "lines of theirs")
	tap.contains(text, "bob@b.test> Bcc: eve@e.test --x\ufffd\ufffdend",
	    "the text, visible, on one line")


@world.case("back-off grows from attempt to attempt up to its limit")
def t_backoff():
	outbox = world.outbox(retry_first=100000, retry_most=300000)
	sender = "slow-%d@a.test" % time.monotonic_ns()
	world.sink.next[sender] = ["rcpt 450 4.2.1 no"] * 4
	key, _ = world.release(sender)
	for number, (least, most) in enumerate(((75, 100), (150, 200),
	    (225, 300), (225, 300)), 1):
		proc.wait_for(lambda: world.state(key, "(attempts, lease_until)")
		    == "(%d,)" % number, 120, "attempt %d" % number)
		delay = float(world.state(key,
		    "extract(epoch FROM next_try - now())"))
		tap.true(least - 20 < delay <= most,
		    "attempt %d waits %g s" % (number, delay))
		world.sql("UPDATE counterfoil.outbox SET next_try = now()"
		    " WHERE key_id = '\\x%s'" % key)
	world.wait_state(key, "sent")
	tap.equal(outbox.stop(), 0, "exit status")


@world.case("a receipt that nobody takes becomes undeliverable by age")
def t_age():
	outbox = world.outbox(max_age=600000)
	sender = "old-%d@a.test" % time.monotonic_ns()
	world.sink.next[sender] = ["rcpt 450 4.2.1 no"] * 1000
	key, _ = world.release(sender)
	proc.wait_for(lambda: int(world.state(key, "attempts")) > 2, 120,
	    "attempts")
	tap.equal(world.state(key), "waiting", "state before its age")
	world.sql("UPDATE counterfoil.outbox SET not_before = not_before -"
	    " interval '10 min' WHERE key_id = '\\x%s'" % key)
	world.wait_state(key, "undeliverable")
	tap.contains(world.state(key, "last_error"), "450 4.2.1 no",
	    "last_error")
	tap.equal(outbox.stop(), 0, "exit status")


@world.case("a mail server that is away, or refuses us all, is waited for")
def t_away():
	world.sink.stop()
	outbox = world.outbox(retry_first=3600000, retry_most=3600000)
	keys = [world.release() for _ in range(12)]
	proc.wait_for(lambda: "waits for the mail server" in outbox.log_text(),
	    120, "the log line")
	world.sink.greeting = "554 5.3.2 not today"
	world.sink.start()
	proc.wait_for(lambda: "554 5.3.2 not today" in world.sql(
	    "SELECT string_agg(last_error, ' ') FROM counterfoil.outbox"), 120,
	    "the refusal")
	world.sink.greeting = "220 sink.test ESMTP"
	for key, sender in keys:
		world.sink.wait(sender)
		world.wait_state(key, "sent")
		tap.equal(len(world.sink.to(sender)), 1, "mails")
	tap.equal(outbox.log_text().count("waits for the mail server"), 1,
	    "log lines")
	tap.equal(outbox.stop(), 0, "exit status")


@world.case("5xx before any recipient is named is no verdict on a receipt, "
    "nor an attempt at it")
def t_refused_all():
	outbox = world.outbox(retry_first=100000, retry_most=3600000)
	sender = "after-%d@a.test" % time.monotonic_ns()
	world.sink.next[sender] = ["rcpt 450 4.2.1 greylisted"]
	world.sink.refuse = dict.fromkeys(("EHLO", "HELO"), "550 who are you?")
	world.sink.cut()
	key, _ = world.release(sender)
	for reply in ("550 who are you?", "550 5.7.1 no null senders"):
		proc.wait_for(lambda: reply in world.state(key, "last_error"),
		    120, "the refusal")
		tap.equal(world.state(key, "(state, attempts)"), "(waiting,0)",
		    reply)
		world.sink.refuse = {"MAIL": "550 5.7.1 no null senders"}
	world.sink.refuse = {}
	# As if the outage had not been: the first 450 waits the first time.
	proc.wait_for(lambda: "greylisted" in world.state(key, "last_error"),
	    120, "the 450")
	tap.equal(world.state(key, "attempts"), "1", "attempts")
	tap.true(float(world.state(key, "extract(epoch FROM next_try - now())"))
	    <= 100, "the first pause")
	# Nor is it without end: a receipt ages while the server is away.
	world.sink.refuse = {"MAIL": "550 5.7.1 no null senders"}
	world.sink.cut()
	old, _ = world.release(delay="-6 days")
	world.wait_state(old, "undeliverable")
	tap.contains(world.state(old, "last_error"), "no null senders",
	    "last_error")
	world.sink.refuse = {}
	world.sql("DELETE FROM counterfoil.outbox WHERE key_id = '\\x%s'" % key)
	tap.equal(outbox.stop(), 0, "exit status")


@world.case("however the database writes values, receipts go out")
def t_formats():
	settings = ("bytea_output = 'escape'", "datestyle = 'German'",
	    "extra_float_digits = -15", "timezone = 'Asia/Kolkata'",
	    "intervalstyle = 'iso_8601'", "client_encoding = 'LATIN1'")
	for setting in settings:
		world.sql("ALTER DATABASE postgres SET " + setting)
	try:
		outbox = world.outbox()
		key, sender = world.release()
		mail = world.sink.wait(sender)[0]
		tap.contains(lab.words_of(mail.content), lab.handle(key), "text")
		tap.equal(outbox.stop(), 0, "exit status")
	finally:
		for setting in settings:
			world.sql("ALTER DATABASE postgres RESET "
			    + setting.split()[0])


@world.case("the table takes no receipt that lacks what its mail says")
def t_check():
	key, _ = world.release(delay="1 h")
	for column in ("key_id", "message_ref", "sender", "recipient",
	    "original_message_id", "released_at", "assurance", "principal"):
		tap.raises(proc.LabError, lambda: world.sql("UPDATE "
		    "counterfoil.outbox SET %s = NULL WHERE key_id = '\\x%s'"
		    % (column, key)), column)
	for change in ("kind = 'opened'", "kind = 'odd'", "event_id = NULL"):
		tap.raises(proc.LabError, lambda: world.sql("UPDATE "
		    "counterfoil.outbox SET %s WHERE key_id = '\\x%s'"
		    % (change, key)), change)
	world.sql("DELETE FROM counterfoil.outbox WHERE key_id = '\\x%s'" % key)


@world.case("a row that is no receipt is told by its number, keeps no other "
    "from going, and ages out")
def t_unreadable():
	for name in ("key_id_check", "event_id_check", "kind_check",
	    "assurance_check", "receipt", "opened"):
		world.sql("ALTER TABLE counterfoil.outbox DROP CONSTRAINT outbox_"
		    + name)
	outbox = world.outbox(max_age=600000)
	changes = ("key_id = 'short'", "event_id = 'short'", "kind = 'odd'",
	    "assurance = 'odd'", "assurance = NULL", "key_id = NULL",
	    "recipient = NULL", "released_at = NULL",
	    "kind = 'opened', opened_at = NULL", "released_at = 'infinity'",
	    "released_at = '-infinity'", "released_at = '20000-01-01'",
	    "kind = 'opened', opened_at = 'infinity'")
	numbers = []
	for change in changes:
		sender = "odd-%d@a.test" % time.monotonic_ns()
		world.release(sender, delay="1 h")
		numbers.append(world.sql("UPDATE counterfoil.outbox SET %s, "
		    "not_before = now() WHERE sender = '%s' RETURNING outbox_id"
		    % (change, sender)))
	one_pass()
	def told(number, words):
		return re.search("error: receipt %s .* %s" % (number, words),
		    outbox.log_text())
	for number, change in zip(numbers, changes):
		proc.wait_for(lambda: told(number, "cannot be made into a mail"),
		    120, "the error of " + change)
	world.sql("UPDATE counterfoil.outbox SET not_before = now() - interval "
	    "'1 h' WHERE outbox_id IN (%s)" % ",".join(numbers))
	for number, change in zip(numbers, changes):
		proc.wait_for(lambda: told(number, "is undeliverable"), 120,
		    "the end of " + change)
		tap.equal(world.sql("SELECT state FROM counterfoil.outbox WHERE "
		    "outbox_id = " + number), "undeliverable", change)
	tap.equal(outbox.stop(), 0, "exit status")


@world.case("a kept connection that died in between costs nothing")
@with_outbox
def t_dead_connection():
	one_pass()
	world.sink.cut()
	key, sender = world.release()
	world.sink.wait(sender)
	world.wait_state(key, "sent")
	tap.equal(world.state(key, "attempts"), "1", "attempts")


@world.case("the database may stop, crash and come back")
def t_database():
	world.cluster.stop()
	outbox = world.outbox()
	proc.wait_for(lambda: "waits for the database" in outbox.log_text(),
	    120, "the log line")
	world.cluster.start()
	one_pass()
	for mode in ("immediate", "fast"):
		# A mark that is not on the disk yet would be lost.
		world.sql("CHECKPOINT")
		world.cluster.restart(mode)
		one_pass()
	tap.equal(outbox.stop(), 0, "exit status")


@world.case("a mail sent while the database is away is marked later, not sent again")
def t_mark_later():
	world.sink.hold_again()
	outbox = world.outbox()
	sender = "mark-%d@a.test" % time.monotonic_ns()
	world.sink.next[sender] = ["hold"]
	key, _ = world.release(sender)
	tap.true(world.sink.held.wait(120), "the mail is under way")
	world.cluster.stop("immediate")
	world.sink.let_go()
	proc.wait_for(lambda: "waits for the database" in outbox.log_text(),
	    120, "the log line")
	world.cluster.start()
	world.wait_state(key, "sent")
	tap.equal(world.state(key, "attempts"), "1", "attempts")
	tap.equal(len(world.sink.to(sender)), 1, "mails")
	tap.equal(outbox.stop(), 0, "exit status")


@world.case("an opening while the notice is under way is a mail of its own")
def t_open_while_sending():
	world.sink.hold_again()
	outbox = world.outbox()
	sender = "race-%d@a.test" % time.monotonic_ns()
	world.sink.next[sender] = ["hold"]
	key, _ = world.release(sender)
	tap.true(world.sink.held.wait(120), "the mail is under way")
	tap.equal(world.open(key), "added", "row")
	world.sink.let_go()
	world.sink.wait(sender, 2)
	world.wait_state(key, "sent\nsent")
	tap.equal(outbox.stop(), 0, "exit status")


@world.case("a row that says more than the mail under way is not marked sent")
def t_fence():
	world.sink.hold_again()
	outbox = world.outbox()
	sender = "fence-%d@a.test" % time.monotonic_ns()
	world.sink.next[sender] = ["hold"]
	key, _ = world.release(sender)
	tap.true(world.sink.held.wait(120), "the mail is under way")
	world.sql("UPDATE counterfoil.outbox SET lease_until = now()"
	    " WHERE key_id = '\\x%s'" % key)
	tap.equal(world.open(key), "changed", "row")
	world.sink.let_go()
	mails = world.sink.wait(sender, 2)
	world.wait_state(key, "sent")
	tap.contains(lab.words_of(mails[1].content), "opened by someone",
	    "the second mail")
	tap.true(lab.parse(mails[0].content)["Message-ID"] !=
	    lab.parse(mails[1].content)["Message-ID"], "two Message-IDs")
	tap.equal(outbox.stop(), 0, "exit status")


@world.case("only leases wait for the disk, marks do not")
def t_synchronous():
	world.sql("CREATE TABLE public.seen (value text);"
	    " GRANT INSERT ON public.seen TO counterfoil_keysrv;"
	    " CREATE FUNCTION public.look() RETURNS trigger LANGUAGE plpgsql AS"
	    " $$ BEGIN INSERT INTO public.seen VALUES (new.state || ' ' ||"
	    " (new.lease_until IS NOT NULL) || ' ' ||"
	    " current_setting('synchronous_commit')); RETURN new; END $$;"
	    " CREATE TRIGGER look BEFORE UPDATE ON counterfoil.outbox"
	    " FOR EACH ROW EXECUTE FUNCTION public.look()")
	try:
		outbox = world.outbox()
		sender = "later-%d@a.test" % time.monotonic_ns()
		world.sink.next[sender] = ["rcpt 450 4.2.1 later"]
		key, _ = world.release(sender)
		world.wait_state(key, "sent")
		tap.equal(outbox.stop(), 0, "exit status")
		tap.equal(sorted(set(world.sql("SELECT value FROM public.seen")
		    .splitlines())), ["sent false off", "waiting false off",
		    "waiting true on"], "changes")
	finally:
		world.sql("DROP TRIGGER look ON counterfoil.outbox;"
		    " DROP FUNCTION public.look(); DROP TABLE public.seen")


@world.case("a row that somebody else holds is stepped over")
def t_locked():
	held, held_to = world.release()
	locker = psql_session("BEGIN; SELECT FROM counterfoil.outbox WHERE"
	    " key_id = '\\x%s' FOR UPDATE;" % held)
	try:
		outbox = world.outbox()
		one_pass()
		tap.equal(world.sink.to(held_to), [], "mails while held")
		locker.stdin.write("COMMIT;\n")
		locker.stdin.flush()
		world.sink.wait(held_to)
		tap.equal(outbox.stop(), 0, "exit status")
	finally:
		end_session(locker)


def due_at_once(name, count, when="now()"):
	"""So many rows for as many senders, name-1@a.test and so on."""
	world.sql("INSERT INTO counterfoil.outbox (event_id, key_id,"
	    " message_ref, kind, sender, recipient, original_message_id,"
	    " released_at, assurance, principal, not_before)"
	    " SELECT uuid_send(gen_random_uuid()),"
	    " uuid_send(gen_random_uuid()), '', 'released',"
	    " '%s-' || n || '@a.test', 'bob@b.test', '', now(), 'bearer',"
	    " 'bearer', %s FROM generate_series(1, %d) n" % (name, when, count))


def entries_read(index):
	"""How many entries of an index were looked at so far."""
	return int(world.sql("SELECT coalesce(sum(idx_tup_read), 0) FROM"
	    " pg_stat_user_indexes WHERE indexrelname = '%s'" % index))


@world.case("what waits for its time costs nothing, whatever is sent meanwhile")
def t_waiting_is_free():
	due_at_once("later", 1000, "now() + interval '1 h'")
	due_at_once("prompt", 60)
	world.open(world.release("early@a.test", "1 h")[0])
	before = entries_read("outbox_due")
	outbox = world.outbox()
	world.sink.wait("early@a.test")
	proc.wait_for(lambda: world.sql("SELECT count(*) FROM"
	    " counterfoil.outbox WHERE sender LIKE 'prompt-%'"
	    " AND state = 'sent'") == "60", 60, "all that is due")
	tap.equal(outbox.stop(), 0, "exit status")
	# The statistics of a connection are there when it has ended.
	proc.wait_for(lambda: world.sql("SELECT count(*) FROM pg_stat_activity"
	    " WHERE application_name = 'counterfoil-outbox'") == "0", 60,
	    "the end of its connections")
	tap.true(entries_read("outbox_due") - before < 1000, "%d entries read"
	    % (entries_read("outbox_due") - before))
	world.sql("DELETE FROM counterfoil.outbox WHERE sender LIKE 'later-%'")


@world.case("three outboxes on one table send each mail once")
def t_several():
	outboxes = [world.outbox() for _ in range(3)]
	due_at_once("many", 300)
	proc.wait_for(lambda: world.sql("SELECT count(*) FROM"
	    " counterfoil.outbox WHERE sender LIKE 'many-%'"
	    " AND state = 'sent'") == "300", 240, "300 mails")
	got = [m.recipient for m in world.sink.mails
	    if m.recipient.startswith("many-")]
	tap.equal(len(got), 300, "mails")
	tap.equal(len(set(got)), 300, "recipients")
	for outbox in outboxes:
		tap.equal(outbox.stop(), 0, "exit status")


@world.case("while one mail takes its time, others help with what is due")
def t_helpers():
	world.sink.hold_again()
	world.sink.next["held-1@a.test"] = ["hold"]
	outbox = world.outbox()
	due_at_once("held", 40)
	tap.true(world.sink.held.wait(120), "a mail is under way")
	# All but those that were leased with it.
	proc.wait_for(lambda: int(world.sql("SELECT count(*) FROM"
	    " counterfoil.outbox WHERE sender LIKE 'held-%'"
	    " AND state = 'sent'")) >= 32, 40, "mails beside it")
	tap.equal(world.sql("SELECT state FROM counterfoil.outbox"
	    " WHERE sender = 'held-1@a.test'"), "waiting", "the one")
	world.sink.let_go()
	proc.wait_for(lambda: world.sql("SELECT count(*) FROM"
	    " counterfoil.outbox WHERE sender LIKE 'held-%'"
	    " AND state = 'sent'") == "40", 60, "all of them")
	got = [m.recipient for m in world.sink.mails
	    if m.recipient.startswith("held-")]
	tap.equal((len(got), len(set(got))), (40, 40), "mails, recipients")
	tap.equal(outbox.stop(), 0, "exit status")


@world.case("told to stop, it gives back what it leased and did not send")
def t_stop_under_way():
	world.sink.hold_again()
	outbox = world.outbox()
	# Whichever of them is first is held: a batch has no order.
	rows = [world.release(delay="1 h") for _ in range(5)]
	for _, sender in rows:
		world.sink.next[sender] = ["hold"]
	world.sql("UPDATE counterfoil.outbox SET not_before = now() -"
	    " interval '1 h' + outbox_id * interval '1 ms'"
	    " WHERE state = 'waiting'")
	tap.true(world.sink.held.wait(120), "a mail is under way")
	began = time.monotonic()
	tap.equal(outbox.stop(), 0, "exit status")
	took = time.monotonic() - began
	tap.true(took < STOPPED_S, "stopped in time, took %.1f s" % took)
	tap.equal(world.sql("SELECT state, sender, attempts, lease_until"
	    " FROM counterfoil.outbox WHERE lease_until IS NOT NULL"), "",
	    "leases left")
	tap.equal(sorted(world.state(key, "attempts") for key, _ in rows),
	    ["0", "0", "0", "0", "1"], "attempts")
	world.sink.let_go()
	again = world.outbox()
	for key, _ in rows:
		world.wait_state(key, "sent")
	tap.equal(again.stop(), 0, "exit status")


@world.case("it stops at once while the database holds it up, or is away")
def t_stop_quickly():
	outbox = world.outbox()
	locker = psql_session("BEGIN; LOCK TABLE counterfoil.outbox;")
	try:
		proc.wait_for(lambda: world.sql("SELECT count(*) FROM"
		    " pg_stat_activity WHERE wait_event_type = 'Lock' AND"
		    " application_name = 'counterfoil-outbox'") == "1",
		    120, "the outbox to wait for the lock")
		began = time.monotonic()
		tap.equal(outbox.stop(), 0, "exit status")
		tap.true(time.monotonic() - began < BEFORE_TIMEOUT_S,
		    "before the statement's time was over")
	finally:
		end_session(locker)
	world.cluster.stop()
	outbox = world.outbox()
	proc.wait_for(lambda: "waits for the database" in outbox.log_text(),
	    120, "the log line")
	began = time.monotonic()
	tap.equal(outbox.stop(), 0, "exit status")
	tap.true(time.monotonic() - began < BEFORE_TIMEOUT_S, "at once")
	world.cluster.start()


@world.case("TLS: 'verify' wants a valid certificate, 'try' takes any")
def t_tls():
	authority = Authority(world.path("ca"))
	other = Authority(world.path("other-ca"))
	cert, key_file = authority.server("sink", ("127.0.0.1",))
	context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
	context.load_cert_chain(cert, key_file)
	world.sink.tls = context
	try:
		for tls, ca in (("verify", authority.file),
		    ("try", other.file)):
			outbox = world.outbox(tls=tls, ca=ca)
			_, sender = world.release()
			tap.true(world.sink.wait(sender)[0].secured, tls)
			tap.equal(outbox.stop(), 0, "exit status")
		outbox = world.outbox(tls="verify", ca=other.file)
		key, sender = world.release()
		proc.wait_for(lambda: world.state(key, "last_error"), 120,
		    "the failure")
		tap.equal(world.state(key), "waiting", "state")
		tap.equal(outbox.stop(), 0, "exit status")
		world.sink.tls = None
		outbox = world.outbox(tls="verify", ca=authority.file)
		proc.wait_for(lambda: "waits for the mail server" in
		    outbox.log_text(), 120, "no mail without TLS")
		tap.equal(world.sink.to(sender), [], "mails")
		tap.equal(outbox.stop(), 0, "exit status")
	finally:
		world.sink.tls = None
	outbox = world.outbox()
	world.wait_state(key, "sent")
	tap.equal(outbox.stop(), 0, "exit status")


def refused(wanted, **options):
	outbox = world.outbox(ready=False, **options)
	tap.equal(outbox.wait(), 1, "exit status")
	tap.contains(outbox.log_text(), wanted, "the reason")


@world.case("signer files: RSA works; loose, foreign and missing ones do not")
def t_signer():
	cert, key = world.signer("rsa", "algorithm=rsa3072")
	outbox = world.outbox(certificate=cert, key=key)
	_, sender = world.release()
	lab.verify(world, world.sink.wait(sender)[0].content, cert)
	tap.equal(outbox.stop(), 0, "exit status")
	tap.equal(os.stat(key).st_mode & 0o777, 0o600, "mode of the key")
	tap.raises(proc.LabError, lambda: world.signer("rsa"), "overwriting")
	tap.raises(proc.LabError, lambda: world.signer("odd",
	    address="a b@c"), "a bad address")
	about = proc.run(["openssl", "x509", "-in", cert, "-noout",
	    "-ext", "subjectAltName,extendedKeyUsage,keyUsage"]).stdout
	tap.contains(about, b"email:" + lab.FROM.encode(), "certificate")
	tap.contains(about, b"E-mail Protection", "certificate")
	refused("is not the key of", certificate=cert)
	refused("is not a certificate for", **{"from": "other@keys.test"})
	refused("nothing.pem", certificate=world.path("nothing.pem"))
	os.chmod(key, 0o640)
	refused("rsa.key", certificate=cert, key=key)
	os.chmod(key, 0o600)
	refused("address:port", smtp="localhost")
	refused("longer than the time", lease=1000, timeout=1000)


if __name__ == "__main__":
	tap.main(world.start, world.end)
