#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Faults of the key server, seen by a sender behind a real Postfix."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))

from lab import mail, proc, sample, tap, world  # noqa: E402

w = None
patient = True
SENTENCE = ("return receipt", "key", "nothing was sent", "tried again")


def start():
	global w
	w = world.World(tls=True, through_proxy=True, say=tap.note)
	w.start()


def patience(wanted):
	"""Is the milter to wait for a slow machine, or to give up soon?"""
	global patient
	if patient != wanted:
		w.a_milter.restart(request_timeout_s=None if wanted else 5,
		    deadline_s=None if wanted else 10)
		patient = wanted


def issued(mark):
	"""What the key server answered to issue requests for this mail."""
	answers = []
	for path, body, status, reply in w.proxy.passed:
		if path == "/api/v1/issue" and \
		    sample.message_id(mark) in body:
			answers.append((json.loads(body), status, reply))
	return answers


def inbox(mark):
	return [mail.read(path) for path in mail.marked(w.b, "bob", mark)]


def says(text, *words):
	return all(word in text for word in words)


def waits_then_goes(mark, spoil, mend, limit_s=180):
	"""The mail waits with 451 while spoiled and goes sealed afterwards."""
	patience(False)
	spoil()
	try:
		code, text = mail.send(w.a.port, "alice@a.test", "bob@b.test",
		    sample.simple(mark))
		tap.equal(code, 250, "reply of the front %r" % text)
		# The port without a hop shows what a mail program would see.
		code, text = mail.send(w.a.outside_port, "alice@a.test",
		    "zoe@b.test", sample.simple(mark + "-direct"))
		tap.equal(code, 451, "reply without the hop %r" % text)
		tap.true(re.match(rb"4\.\d\.\d \S", text), "an enhanced code: %r"
		    % text)
		for words in SENTENCE:
			tap.contains(text.decode(), words, "the reply")
		# While Postfix tries again, the queue shows no reason.
		proc.wait_for(lambda: says(w.a.queue_text(), "said: 451",
		    *SENTENCE), limit_s, "the queue to say why it waits")
		tap.equal(inbox(mark), [], "what was delivered meanwhile")
	finally:
		mend()
	w.a.flush()
	proc.wait_for(lambda: inbox(mark) or (w.a.flush() and False), limit_s,
	    "%s to be delivered (queue: %s)" % (mark, w.a.queue_text()))
	content = inbox(mark)[0]
	sample.link(content)
	tap.lacks(content, b"Hello.", "the delivered message")
	mail.wait_until_idle(w.a)
	tap.equal(len(inbox(mark)), 1, "copies delivered")


def fault(name):
	waits_then_goes("fault-" + name, lambda: w.proxy.set(name),
	    lambda: w.proxy.set(None))


@tap.case("without a fault it is sealed through the proxy")
def t_none():
	patience(True)
	code, text = mail.send(w.a.port, "alice@a.test", "bob@b.test",
	    sample.simple("nofault"))
	tap.equal(code, 250, "reply %r" % text)
	proc.wait_for(lambda: inbox("nofault"), 180, "the mail")
	sample.link(inbox("nofault")[0])
	tap.equal(len(issued("nofault")), 1, "issue requests")


def lost_once(mark):
	patience(True)
	w.proxy.set("lost", times=1)
	code, text = mail.send(w.a.outside_port, "alice@a.test", "bob@b.test",
	    sample.simple(mark))
	tap.equal(code, 250, "reply %r" % text)
	proc.wait_for(lambda: inbox(mark), 180, "the mail")
	answers = issued(mark)
	tap.equal([a[1] for a in answers], [201, 200],
	    "statuses of the request and its repeat")
	tap.equal(answers[0][0]["keys"], answers[1][0]["keys"],
	    "the keys asked for")


@tap.case("reply lost once: the repeat gets the same key, at once")
def t_lost_once():
	lost_once("lostonce")


@tap.case("key server refuses connections")
def t_refused():
	fault("refused")


@tap.case("key server answers 500")
def t_500():
	fault("500")


@tap.case("key server answers bytes that are no HTTP")
def t_garbage():
	fault("garbage")


@tap.case("key server answers with broken JSON")
def t_json():
	fault("json")


@tap.case("key server breaks off in the middle of its reply")
def t_half():
	fault("half")


@tap.case("key server is silent")
def t_silent():
	fault("silent")


@tap.case("reply lost after COMMIT, every time")
def t_lost():
	fault("lost")


@tap.case("certificate for another name")
def t_wrong_name():
	right = w.tls_files
	wrong = w.authority.server("wrong", ("other.test",))
	waits_then_goes("wrongname", lambda: w.proxy.set_certificate(wrong),
	    lambda: w.proxy.set_certificate(right))


@tap.case("certificate of another authority")
def t_wrong_authority():
	from lab import ca
	right = w.tls_files
	wrong = ca.Authority(w.path("other-ca")).server("server")
	waits_then_goes("wrongca", lambda: w.proxy.set_certificate(wrong),
	    lambda: w.proxy.set_certificate(right))


@tap.case("PostgreSQL away")
def t_database():
	waits_then_goes("nodatabase", lambda: w.pg.stop("immediate"),
	    lambda: w.pg.start() and proc.wait_for(w.keysrv.ready, 180,
	    "the key server to find its database again"))


@tap.case("the key server itself killed and started again")
def t_killed():
	waits_then_goes("killed", w.keysrv.kill, w.keysrv.start)


@tap.case("never two different answers for one key id")
def t_answers():
	for n in range(6):
		lost_once("answers%d" % n)
	keys = {}
	for path, body, status, reply in w.proxy.passed:
		if path != "/api/v1/issue" or status not in (200, 201):
			continue
		for key in json.loads(reply)["keys"]:
			values = (key["key"], key["key_commitment"],
			    key["locator"])
			keys.setdefault(key["key_id"], set()).add(values)
	tap.true(len(keys) > 5, "keys were issued: %d" % len(keys))
	for key_id, answers in keys.items():
		tap.equal(len(answers), 1, "answers for " + key_id)


if __name__ == "__main__":
	tap.main(start, lambda: w and w.stop())
