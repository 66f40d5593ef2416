#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What seals mail without the flag, through the files of contrib/postfix; a
Subject outside of the site's making; an end that the flag sets.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))

from lab import browser, mail, proc, sample, tap, world  # noqa: E402

TRIGGERS = ["disposition-notification-to", "return-receipt-to",
    "subject-tag"]
DNT = b"Disposition-Notification-To: alice@a.test\r\n"
w = None


def start():
	global w
	w = world.World(tls=True, plain_site=True, say=tap.note,
	    a_options={"triggers": TRIGGERS})
	w.start()
	proc.write_file(w.path("policy"),
	    "to @c.test receipt=always\n", 0o644)
	w.a_milter.restart(policy_file=w.path("policy"))
	w.a.triggers = True
	w.a.sealed_domains = ["c.test"]
	w.a.restart()


def send(content, to="bob@b.test", port=None):
	reply = mail.send(port or w.a.port, "alice@a.test", to, content)
	tap.equal(reply[0], 250, "reply of a.test %r" % (reply,))


def arrived(site, user, mark):
	"""The file of the user's message with the mark."""
	return proc.wait_for(lambda: mail.marked(site, user, mark), 180,
	    "%r for %s (queue: %s)" % (mark, user, w.a.queue_text()))[0]


def opened(path):
	done = proc.run([proc.program("counterfoil"), "-c", w.agent_config(),
	    "open", path], check=False)
	tap.equal(done.returncode, 0, "counterfoil open: %s" % done.stderr)
	return done.stdout


def check_sealed(site, user, mark, content):
	"""Sealed outside, inside the same bytes.  Gives what was delivered."""
	path = arrived(site, user, mark)
	outside = mail.read(path)
	sample.link(outside)
	tap.lacks(outside, b"Hello.", "what was delivered")
	tap.equal(sample.compare_whole(opened(path), content), None,
	    "what was opened")
	return outside


def check_clear(site, user, mark):
	outside = mail.read(arrived(site, user, mark))
	tap.contains(outside, b"Hello.", "what was delivered")
	tap.lacks(outside, b"Counterfoil-", "what was delivered")
	return outside


def tagged(mark, value):
	return sample.simple(mark, b"").replace(b"Subject: test " + mark,
	    b"Subject: " + value)


@tap.case("the read-receipt button: each recipient a sealed mail of his own")
def t_button():
	for number, field in enumerate((DNT, b"return-receipt-to:\r\n"
	    b" alice@a.test\r\n")):
		mark = b"button%d." % number
		content = sample.simple(mark, field)
		send(content, ["bob@b.test", "eve@b.test", "carol@c.test"])
		links = set()
		for site, user in ((w.b, "bob"), (w.b, "eve"), (w.c, "carol")):
			outside = check_sealed(site, user, mark, content)
			tap.lacks(outside, b"alice@a.test\r\n alice", "outside")
			tap.lacks(outside.lower(), b"-to: alice@a.test\n",
			    "the request outside")
			links.add(sample.handle(sample.link(outside)))
		tap.equal(len(links), 3, "keys")


@tap.case("the tag in the Subject, plain, folded and encoded")
def t_tag():
	for number, (value, want) in enumerate((
	    (b"[receipt] Lunch", b"Lunch"),
	    (b"\r\n [RECEIPT]\r\n\tLunch", b"Lunch"),
	    (b"=?UTF-8?Q?[receipt]_L=C3=BCnch?=", b"=?UTF-8?Q?L=C3=BCnch?="),
	    (b"=?utf-8?q?=5BReceipt=5D_L=C3=BCnch?=",
	        b"=?utf-8?Q?L=C3=BCnch?="),
	    (b"=?utf-8?B?W3JlY2VpcHRdIEzDvG5jaA==?=",
	        b"=?utf-8?B?TMO8bmNo?="),
	    (b"=?utf-8?b?W1JFQ0VJUFRdIEzDvG5jaA==?=",
	        b"=?utf-8?B?TMO8bmNo?="))):
		mark = b"tag%d." % number
		content = tagged(mark, value)
		send(content)
		outside = check_sealed(w.b, "bob", mark, content)
		tap.contains(outside, b"\nSubject: " + want + b"\n",
		    "the Subject outside")
		tap.lacks(outside.lower(), b"receipt]", "outside")


@tap.case("a rule for a recipient's domain seals what goes there, not what "
    "goes elsewhere in the same mail")
def t_rule():
	content = sample.simple("ruled.", b"")
	send(content, ["bob@b.test", "carol@c.test"])
	check_sealed(w.c, "carol", b"ruled.", content)
	check_clear(w.b, "bob", b"ruled.")


@tap.case("plain mail takes no way over the hop, to whomever it goes")
def t_plain():
	for number, content in enumerate((sample.simple("plain0.", b""),
	    tagged(b"plain1.", b"Re: [receipt] Lunch"),
	    tagged(b"plain2.", b"=?utf-8?Q?Re:_=5Breceipt=5D?="),
	    sample.simple("plain3.", b"", more=b"X-Disposition-Notification-"
	        b"To: a@a.test\r\nX-2: Return-Receipt-To: a\r\n"))):
		send(content, ["bob@b.test", "eve@b.test"])
		for user in ("bob", "eve"):
			outside = check_clear(w.b, user, b"plain%d." % number)
			tap.equal(outside.count(b"\nReceived: "), 2,
			    "servers, with the hop it would be three")


@tap.case("list mail with a trigger goes out as it is, and the log says why")
def t_list():
	send(sample.simple("listed.", DNT + b"List-Id: <x.a.test>\r\n"))
	outside = check_clear(w.b, "bob", b"listed.")
	tap.contains(outside, DNT.replace(b"\r\n", b"\n"), "its fields")
	tap.contains(w.a_milter.log_text(), "passed cause=list", "log")


@tap.case("an alias that is called a list is one, though the hop sees its "
    "members")
def t_alias():
	proc.write_file(w.path("aliases"), "team@a.test bob@b.test, "
	    "eve@b.test\n", 0o644)
	w.a.extra = "virtual_alias_maps = texthash:%s\n" % w.path("aliases")
	w.a.restart()
	w.a_milter.restart(list_addresses=["team@a.test"])
	send(sample.simple("team0.", sample.FLAG), "team@a.test")
	bounce = mail.read(arrived(w.a, "alice", b"team0."))
	tap.contains(bounce, b"lists =", "the bounce's reason")
	send(sample.simple("team1.", DNT), "team@a.test")
	for user in ("bob", "eve"):
		check_clear(w.b, user, b"team1.")
	w.a_milter.restart(lists="seal")
	content = sample.simple("team2.", DNT)
	send(content, "team@a.test")
	for user in ("bob", "eve"):
		check_sealed(w.b, user, b"team2.", content)
	tap.equal(mail.marked(w.b, "bob", b"team0."), [],
	    "what was delivered of the refused one")
	w.a_milter.restart(lists=None, list_addresses=None)


@tap.case("from the world, no trigger counts")
def t_outside():
	for number, content in enumerate((sample.simple("world0.", DNT,
	    to="alice@a.test"), tagged(b"world1.", b"[receipt] Lunch"))):
		mail_from = mail.send(w.a.outside_port, "bob@b.test",
		    "alice@a.test", content, source="127.0.0.9")
		tap.equal(mail_from[0], 250, "reply %r" % (mail_from,))
		check_clear(w.a, "alice", b"world%d." % number)


@tap.case("another Subject outside: page and command show the true one")
def t_outer_subject():
	message = sample.Full(size=5000)
	w.a_milter.restart(outer_subject="Nachricht für Sie")
	reply = mail.send(w.a.port, "alice@a.test", "bob@b.test", message.sent,
	    options=["BODY=8BITMIME"])
	tap.equal(reply[0], 250, "reply %r" % (reply,))
	path = arrived(w.b, "bob", message.mark.encode())
	outside = mail.read(path)
	tap.equal(str(sample.parse(outside)["Subject"]), "Nachricht für Sie",
	    "Subject outside")
	for text in (b"Your offer", b"the <b>offer", b"offer.bin", b"Dear Bob"):
		tap.lacks(outside, text, "outside")
	tap.equal(message.compare(opened(path)), None, "what was opened")
	shown = browser.open_link(sample.link(outside), w.path("browser"),
	    w.nss_home())
	tap.equal(shown["subject"].decode(), message.subject,
	    "the Subject that the page shows")
	tap.contains(shown["original"], b"Subject: Your offer,\r\n "
	    b"=?utf-8?Q?_Gr=C3=BC=C3=9Fe?=\r\n\tfrom the loom\r\n",
	    "the saved message")
	w.a_milter.restart(outer_subject=None)


@tap.case("expires: opens before the end, and not after it, with the reason")
def t_expires():
	content = sample.simple("ends.", b"X-Return-Receipt: expires=7d\r\n")
	send(content)
	path = arrived(w.b, "bob", b"ends.")
	handle = sample.handle(sample.link(mail.read(path)))
	key = "key_id = decode(translate('%s==', '-_', '+/'), 'base64')" \
	    % handle
	tap.equal(w.keysrv.psql("SELECT s.expires_at - i.issued_at FROM "
	    "counterfoil.key_state s JOIN counterfoil.key_issue i USING "
	    "(key_id) WHERE %s" % key).strip(), "7 days", "the end")
	tap.equal(sample.compare_whole(opened(path), content.replace(
	    b"X-Return-Receipt: expires=7d\r\n", b"")), None,
	    "what was opened")
	w.keysrv.psql("UPDATE counterfoil.key_state SET expires_at = now() "
	    "WHERE " + key)
	done = proc.run([proc.program("counterfoil"), "-c", w.agent_config(),
	    "open", path], check=False)
	tap.equal((done.returncode, done.stdout), (1, b""), "after the end")
	tap.contains(done.stderr.decode(), "can no longer be opened", "reason")


@tap.case("nothing is left in the queues")
def t_idle():
	for site in (w.a, w.b, w.c):
		mail.wait_until_idle(site)


if __name__ == "__main__":
	tap.main(start, lambda: w and w.stop())
