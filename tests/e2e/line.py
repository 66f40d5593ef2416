#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The whole line over HTTPS: sealed, delivered, opened, receipted."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))

from lab import browser, mail, proc, sample, tap, tour, world  # noqa: E402

SIZE_LIMIT = 8000000
w = None


def start():
	global w
	w = world.World(tls=True, plain_site=True, size_limit=SIZE_LIMIT,
	    say=tap.note)
	w.start()


def send(content, to="bob@b.test", sender="alice@a.test", **kw):
	"""By the submission port of a.test; must be accepted."""
	reply = mail.send(w.a.port, sender, to, content,
	    options=["BODY=8BITMIME"], **kw)
	tap.equal(reply[0], 250, "reply of a.test %r" % (reply,))


def delivered(site, user, mark, limit_s=180):
	"""The user's message with the mark; (file, bytes)."""
	path = proc.wait_for(lambda: mail.marked(site, user, mark), limit_s,
	    "%r for %s@%s (queue: %s)" % (mark, user, site.domain,
	    w.a.queue_text()))[0]
	return path, mail.read(path)


def open_file(path):
	"""`counterfoil open`: (exit status, opened bytes, stderr)."""
	out = w.path("opened-" + os.path.basename(path))
	done = proc.run([proc.program("counterfoil"), "-c", w.agent_config(),
	    "open", path, "-o", out], check=False)
	content = mail.read(out) if os.path.exists(out) else None
	return done.returncode, content, done.stderr.decode()


def receipts_for(handle, count=1, limit_s=180):
	"""Receipt mails that name this key, once there are `count`."""
	def arrived():
		found = [m for _, m in tour.receipts(w)
		    if handle in str(m["Subject"])]
		return found if len(found) >= count else None
	return proc.wait_for(arrived, limit_s, "%d receipts for %s"
	    % (count, handle))


def from_received(content):
	"""A delivered message without what the last server put before it."""
	return content[content.index(b"Received:"):].replace(b"\n", b"\r\n")


@tap.case("sealed, rewritten, opened in the browser and by command, receipted")
def t_line():
	message = sample.Full()
	send(message.sent)
	path, content = delivered(w.b, "bob", message.mark)
	for part in (b"Dear Bob", b"offer.bin", b"multipart/related",
	    b"X-Return-Receipt", b"Disposition-Notification-To",
	    message.attachment[:30]):
		tap.lacks(content, part, "the delivered message")
	tap.lacks(content, sample.lines76(message.attachment)[:70],
	    "the delivered message")
	link = sample.link(content)
	tap.true(link.startswith(w.b_reader.url + "/m/"),
	    "the link leads to the recipient's reader: " + link)
	tap.contains(sample.notice_html(content), w.b_reader.url,
	    "the HTML notice")
	tap.true(sample.locator(link).startswith(w.keysrv.url + "/k/"),
	    "L names the key server")
	handle = sample.handle(link)
	tap.equal(w.keysrv.psql("SELECT count(*) FROM counterfoil.receipt_log "
	    "WHERE key_handle = '%s'" % handle), "0",
	    "receipts before anybody opened it")
	tour.compare_shown(message, browser.open_link(link,
	    w.path("browser-line"), w.nss_home()))
	receipt = receipts_for(handle)[0]
	tap.contains(str(receipt), message.message_id, "the receipt mail")
	tap.contains(receipt.get_body(("plain",)).get_content().replace("\n",
	    " "), "The key was given to someone who had this message and its "
	    "link; who it was, was not checked.", "the receipt's text")
	rows = w.keysrv.psql("SELECT grade, assurance, sender, recipient "
	    "FROM counterfoil.receipt_log WHERE key_handle = '%s' ORDER BY at"
	    % handle)
	tap.contains(rows, "opened|bearer|alice@a.test|bob@b.test",
	    "receipt_log")
	code, opened, error = open_file(path)
	tap.equal(code, 0, "counterfoil open: " + error)
	tap.equal(message.compare(opened), None, "the opened message")


@tap.case("a recipient without a milter opens at the sender's reader")
def t_plain_site():
	message = sample.Full(to="carol@c.test", size=5000)
	send(message.sent, "carol@c.test")
	path, content = delivered(w.c, "carol", message.mark)
	link = sample.link(content)
	tap.true(link.startswith(w.a_reader.url + "/m/"),
	    "the link leads to the sender's reader: " + link)
	tour.compare_shown(message, browser.open_link(link,
	    w.path("browser-plain"), w.nss_home()))
	receipts_for(sample.handle(link))
	code, opened, error = open_file(path)
	tap.equal(code, 0, "counterfoil open: " + error)
	tap.equal(message.compare(opened), None, "the opened message")


@tap.case("unflagged mail arrives byte for byte, as at a site without us")
def t_unflagged():
	message = sample.Full(size=300000)
	keys = w.keysrv.psql("SELECT count(*) FROM counterfoil.key_issue")
	send(message.unflagged, ["bob@b.test", "carol@c.test"])
	ours = from_received(delivered(w.b, "bob", message.mark)[1])
	control = from_received(delivered(w.c, "carol", message.mark)[1])
	tap.equal(message.compare(ours), None, "the message at b.test")
	tap.equal(message.compare(control), None, "the message at c.test")
	tap.equal(w.keysrv.psql("SELECT count(*) FROM counterfoil.key_issue"),
	    keys, "keys issued")


@tap.case("each recipient gets a key of his own")
def t_own_keys():
	send(sample.simple("ownkeys"), ["bob@b.test", "zoe@b.test",
	    "carol@c.test"])
	links = [sample.link(delivered(site, user, "ownkeys")[1])
	    for site, user in ((w.b, "bob"), (w.b, "zoe"), (w.c, "carol"))]
	handles = {sample.handle(link) for link in links}
	tap.equal(len(handles), 3, "different keys")
	tap.equal(len({sample.token(link) for link in links}), 3,
	    "different tokens")
	who = w.keysrv.psql("SELECT array_to_string(recipients, ',') FROM "
	    "counterfoil.key_issue WHERE counterfoil.b64url(key_id) IN (%s) "
	    "ORDER BY 1" % ",".join("'%s'" % h for h in sorted(handles)))
	tap.equal(who.split(), ["bob@b.test", "carol@c.test", "zoe@b.test"],
	    "whose keys they are")


@tap.case("two recipients in one transaction at the milter: 550 says why")
def t_two_recipients():
	# The port for the world has the milter without the hop before it.
	code, text = mail.send(w.a.outside_port, "alice@a.test",
	    ["bob@b.test", "zoe@b.test"], sample.simple("tworcpt"))
	tap.equal(code, 550, "reply %r" % text)
	tap.contains(text.decode().lower(), "one recipient", "the reply")
	code, text = mail.send(w.a.outside_port, "alice@a.test", "bob@b.test",
	    sample.simple("onercpt"))
	tap.equal(code, 250, "with one recipient: %r" % text)
	sample.link(delivered(w.b, "bob", "onercpt")[1])
	tap.equal(mail.marked(w.b, "bob", "tworcpt"), [],
	    "what was delivered of it")


@tap.case("a flag from outside is stripped from mail for local recipients")
def t_flag_from_outside():
	code, text = mail.send(w.a.outside_port, "mallory@m.test",
	    "alice@a.test", sample.simple("outside1", to="alice@a.test"),
	    source="127.0.0.2")
	tap.equal(code, 250, "reply %r" % text)
	content = delivered(w.a, "alice", "outside1")[1]
	tap.lacks(content, b"X-Return-Receipt", "the delivered message")
	tap.equal(sample.compare_whole(from_received(content),
	    sample.simple("outside1", b"", to="alice@a.test")), None,
	    "the rest of the message")


@tap.case("a flag from outside on mail to be relayed is refused")
def t_flag_from_outside_relayed():
	# Postfix itself would let this client relay; the milter must not.
	w.a.extra = "mynetworks = 127.0.0.1/32, 127.0.0.2/32\n"
	try:
		# No reload: an smtpd of before may still take a connection.
		w.a.restart()
		without, with_flag = [mail.send(w.a.outside_port,
		    "mallory@m.test", "bob@b.test", content, source="127.0.0.2")
		    for content in (sample.simple("outside3", b""),
		    sample.simple("outside2"))]
		delivered(w.b, "bob", "outside3")
		mail.wait_until_idle(w.a)
	finally:
		w.a.extra = ""
		w.a.restart()
	tap.equal(without[0], 250, "reply without the flag %r" % (without,))
	tap.equal(with_flag[0], 550, "reply %r" % (with_flag,))
	tap.contains(with_flag[1].decode(), "X-Return-Receipt", "the reply")
	tap.equal(mail.marked(w.b, "bob", "outside2"), [],
	    "what was delivered of it")


@tap.case("too large once sealed: 552 says how large it may be")
def t_too_large():
	body = sample.lines76(os.urandom(SIZE_LIMIT * 6 // 10))
	tap.true(len(body) < SIZE_LIMIT, "in clear it would pass")
	code, text = mail.send(w.a.outside_port, "alice@a.test", "bob@b.test",
	    sample.simple("toolarge", body=body))
	tap.equal(code, 552, "reply %r" % text)
	m = re.search(r"\b(\d{6,})\b", text.decode())
	tap.true(m, "the reply names a size: %r" % text)
	most = int(m.group(1))
	tap.true(SIZE_LIMIT // 2 < most < SIZE_LIMIT, "%d is a useful limit"
	    % most)
	# What it promises must hold, and not much more.
	header = len(sample.simple("fits", body=b""))
	fits = sample.lines76(os.urandom(most))[:most - header - 600]
	code, text = mail.send(w.a.outside_port, "alice@a.test", "bob@b.test",
	    sample.simple("fits", body=fits[:fits.rindex(b"\n") + 1]))
	tap.equal(code, 250, "a message of the promised size: %r" % text)


@tap.case("opened by command alone: one receipt mail, of the opening")
def t_one_receipt():
	send(sample.simple("onlycommand"))
	path, content = delivered(w.b, "bob", "onlycommand")
	handle = sample.handle(sample.link(content))
	code, opened, error = open_file(path)
	tap.equal(code, 0, "counterfoil open: " + error)
	tap.contains(opened, b"Hello.\r\nonlycommand", "the opened message")
	grades = w.keysrv.psql("SELECT grade FROM counterfoil.receipt_log "
	    "WHERE key_handle = '%s' ORDER BY at" % handle).split()
	tap.equal(grades, ["released", "opened"], "receipt_log")
	proc.wait_for(lambda: w.keysrv.psql("SELECT string_agg(kind || ' ' || "
	    "state, ',') FROM counterfoil.outbox WHERE "
	    "counterfoil.b64url(key_id) = '%s'" % handle) == "opened sent", 180,
	    "one row of the outbox, sent")
	mails = receipts_for(handle)
	tap.equal(len(mails), 1, "receipt mails")
	tap.contains(str(mails[0]["Subject"]), "opened", "its Subject")


if __name__ == "__main__":
	tap.main(start, lambda: w and w.stop())
