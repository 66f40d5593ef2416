#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sendmail at both ends, set up with the files of contrib/sendmail."""

import base64
import glob
import os
import pwd
import re
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))

from lab import (mail, proc, sample, sendmail, shown, sink, tap,  # noqa: E402
    tour, world)

SIZE_LIMIT = 3000000
LIMIT_S = 180		# for what comes sooner or later
SECRET = b"The plaintext must not come out.\r\n"
w = None
plain = None		# a mail server without 8BITMIME
control = None		# the same two gateways without milters


def start():
	global w, plain
	w = world.World(tls=True, mta="sendmail", plain_site=True,
	    overheard=True, through_proxy=True, size_limit=SIZE_LIMIT,
	    keysrv_options={"receipt_delay_s": 1}, say=tap.note,
	    a_options={"lists": "seal", "automatic": "seal",
	    "networks": ["192.0.2.1/32"],
	    "entitled_daemons": ["COUNTERFOIL"]})
	w.start()
	plain = sink.Sink(features=()).start()
	w.a.stop()
	w.a.aliases = {"team": ["bob@b.test", "carol@c.test"]}
	w.a.relay_for = ["127.0.0.2"]
	w.a.routes["d.test"] = plain.port
	w.a.start()
	path = os.path.join(w.a.forward, sendmail.FORWARDER)
	proc.write_file(path, "dave@b.test\n")
	os.chown(path, pwd.getpwnam(sendmail.FORWARDER).pw_uid, -1)
	# Its readers' programs are to be protected from long fields.
	w.b.stop()
	w.b.extra = "define(`confMAX_MIME_HEADER_LENGTH', `256/128')dnl\n"
	w.b.start()


def stop():
	if control:
		for site in control:
			site.stop()
	if plain:
		plain.stop()
	if w:
		w.stop()


def send(content, to="bob@b.test", sender="alice@a.test", port=None, **kw):
	kw.setdefault("options", ["BODY=8BITMIME"])
	return mail.send(port or w.a.port, sender, to, content, **kw)


def accepted(content, to="bob@b.test", **kw):
	code, text = send(content, to, **kw)
	tap.equal(code, 250, "reply %r" % text)


def delivered(site, user, mark, limit_s=LIMIT_S):
	"""The user's message with the mark; (file, bytes)."""
	try:
		path = proc.wait_for(lambda: mail.marked(site, user, mark),
		    limit_s, "%r for %s@%s" % (mark, user, site.domain))[0]
	except proc.LabError as e:
		raise proc.LabError("%s; the queues:\n%s" % (e,
		    w.a.queue_text()))
	return path, mail.read(path)


def never_delivered(mark):
	for site, users in ((w.a, os.listdir(w.a.mail)),
	    (w.b, os.listdir(w.b.mail)), (w.c, ["carol"])):
		for user in users:
			for path in site.messages(user):
				tap.equal(sample.traces(mail.read(path), mark),
				    [], "traces of %s in the mail of %s@%s"
				    % (mark, user, site.domain))


def open_file(path):
	"""`counterfoil open`; the opened bytes."""
	out = w.path("opened-%s" % os.path.basename(path)[-40:])
	done = proc.run([proc.program("counterfoil"), "-c", w.agent_config(),
	    "open", path, "-o", out], check=False)
	tap.equal(done.returncode, 0, "counterfoil open: "
	    + done.stderr.decode())
	return mail.read(out)


def same_as_shown(mark, path, count=1):
	"""The opened message is what the milter was shown."""
	seen = shown.wait(w.a_shown, sample.message_id(mark), count)
	tap.equal(open_file(path), seen[-1].sealed_part(),
	    "the opened message of %s" % mark)
	return seen


def hop_queue(site):
	"""Everything in the queue of the instance that delivers."""
	return b"".join(site.main.contents())


def bounce(mark):
	"""What alice gets about the message; parsed and as bytes."""
	content = delivered(w.a, "alice", mark)[1]
	parsed = sample.parse(content)
	tap.equal(parsed.get_content_type(), "multipart/report", "her mail")
	return content


@tap.case("sealed, rewritten and opened as the milter was shown it")
def t_line():
	message = sample.Full(size=300000)
	accepted(message.sent + b"\r\n")
	path, content = delivered(w.b, "bob", message.mark)
	for part in (b"Dear Bob", b"offer.bin", b"X-Return-Receipt",
	    b"Disposition-Notification-To", message.attachment[:30],
	    sample.lines76(message.attachment)[:70]):
		tap.lacks(content, part, "the delivered message")
	tap.true(sample.link(content).startswith(w.b_reader.url + "/m/"),
	    "the link leads to the recipient's reader")
	same_as_shown(message.mark, path)
	# None of these fields is one that Sendmail would write anew.
	tap.equal(message.compare(open_file(path)), None,
	    "the opened message against the sent one")
	tap.true(re.search(r"info: \w{14,}: sealed ", w.a_milter.log_text()),
	    "the milter logs Sendmail's queue id")


# None of them can come out of base64 by chance.
HIDDEN = (b"carol@", b"hidden@", b"\nbcc:", b"\nresent-bcc:")


@tap.case("To, Cc and Bcc: a mail, a key and a receipt each, Bcc unnamed")
def t_recipients():
	content = sample.simple("eachone", sample.FLAG + b"Cc: zoe@b.test\r\n"
	    b"Bcc: Carol <carol@c.test>,\r\n hidden@b.test\r\n")
	accepted(content, ["bob@b.test", "zoe@b.test", "carol@c.test",
	    "hidden@b.test"])
	found = [delivered(site, user, "eachone") for site, user in (
	    (w.b, "bob"), (w.b, "zoe"), (w.c, "carol"), (w.b, "hidden"))]

	# One that was put off was shown twice.
	def transactions():
		return {tuple(s.recipients) for s in w.a_shown.find(
		    sample.message_id("eachone"))}
	proc.wait_for(lambda: len(transactions()) >= 4, LIMIT_S,
	    "four transactions at the milter")
	tap.equal(transactions(), {(b"<bob@b.test>",), (b"<carol@c.test>",),
	    (b"<hidden@b.test>",), (b"<zoe@b.test>",)}, "their recipients")
	handles = {sample.handle(sample.link(c)) for _, c in found}
	tap.equal(len(handles), 4, "different keys")
	tap.equal(len({sample.token(sample.link(c)) for _, c in found}), 4,
	    "different tokens")
	for path, c in found[:2]:
		opened = open_file(path)
		for name in HIDDEN:
			tap.lacks(c.lower(), name, "the delivered message")
			tap.lacks(opened.lower(), name, "the opened message")
	for path, _ in found[2:]:
		tap.lacks(open_file(path).lower(), b"\nbcc:",
		    "a Bcc recipient's copy")
	rows = w.keysrv.psql("SELECT recipient, grade FROM "
	    "counterfoil.receipt_log WHERE key_handle IN (%s) AND grade = "
	    "'opened' ORDER BY 1" % ",".join("'%s'" % h for h in handles))
	tap.equal(rows.split(), ["bob@b.test|opened", "carol@c.test|opened",
	    "hidden@b.test|opened", "zoe@b.test|opened"], "receipt_log")
	proc.wait_for(lambda: {h for h in handles for _, m in tour.receipts(w)
	    if h in str(m["Subject"])} == handles, LIMIT_S,
	    "four receipt mails")


@tap.case("a Bcc field that Sendmail shows the milter is not sealed in")
def t_bcc_shown():
	# The port of the hop by itself, as a site without it would have it.
	flagged = sample.simple("hiddenone", sample.FLAG
	    + b"Bcc: carol@c.test\r\nResent-Bcc: hidden@b.test\r\n")
	accepted(flagged, port=w.a.hop_port)
	path, content = delivered(w.b, "bob", "hiddenone")
	seen = same_as_shown("hiddenone", path)
	tap.equal(seen[0].values("Bcc"), [b" carol@c.test"],
	    "Bcc at the milter")
	for text in (content, open_file(path)):
		for name in HIDDEN:
			tap.lacks(text.lower(), name, "the message")
	# Without To and Cc, Sendmail leaves an empty field.
	accepted(flagged.replace(b"To: bob@b.test\r\n", b"").replace(
	    b"hiddenone", b"hiddenonly"), port=w.a.hop_port)
	path, content = delivered(w.b, "bob", "hiddenonly")
	tap.lacks(content + open_file(path), b"carol@", "the message")


@tap.case("several recipients in one transaction at the milter: 550")
def t_two_recipients():
	code, text = send(sample.simple("tworcpt"), ["bob@b.test",
	    "zoe@b.test"], port=w.a.hop_port)
	tap.equal(code, 550, "reply %r" % text)
	tap.contains(text.decode().lower(), "one recipient", "the reply")
	never_delivered("tworcpt")


@tap.case("every spelling of the flag is seen, and what is like it is not")
def t_spellings():
	for n, flag in enumerate((b"X-Return-Receipt : yes\r\n",
	    b"X-Return-Receipt\t: yes\r\n", b"x-return-receipt:yes\r\n",
	    b"X-RETURN-RECEIPT:\r\n yes\r\n", b"X-Return-Receipt: yes \t\r\n")):
		accepted(sample.simple("spelling%d." % n, flag))
		path, content = delivered(w.b, "bob", "spelling%d." % n)
		tap.lacks(content, b"Hello.", "the mail flagged %r" % flag)
		tap.lacks(content.lower(), b"x-return-receipt", "the mail")
		tap.lacks(open_file(path).lower(), b"x-return-receipt",
		    "the opened mail")
	for n, field in enumerate((b"X-Return-Recipient: yes\r\n",
	    b"X-Folded: one\r\n about X-Return-Receipt: yes\r\n")):
		accepted(sample.simple("noflag%d." % n, field))
		content = delivered(w.b, "bob", "noflag%d." % n)[1]
		tap.contains(content, field.replace(b"\r\n", b"\n"), "the mail")
		tap.contains(content, b"Hello.\n", "the mail")


@tap.case("a flag that Sendmail takes for no field is refused; a text about it "
    "is not")
def t_near_flags():
	for i, (lines, cause) in enumerate(sample.NEAR_FLAGS):
		content = sample.simple("near%d." % i, lines)
		since = len(w.a_milter.log_text())
		code, text = send(content, port=w.a.hop_port)
		tap.equal((code, text[:5]), (550, b"5.7.1"), "reply %r to %r"
		    % (text, lines))
		proc.wait_for(lambda: ": refused cause=%s " % cause in
		    w.a_milter.log_text()[since:], LIMIT_S, "its line in the log")
	for i in (0, 12, 13, 16):	# both passes
		lines, cause = sample.NEAR_FLAGS[i]
		since = len(w.a_milter.log_text())
		accepted(sample.simple("nearly%d." % i, lines))
		proc.wait_for(lambda: ": refused cause=%s " % cause in
		    w.a_milter.log_text()[since:], LIMIT_S, "its line in the log")
	for i, text in enumerate(sample.FLAG_TEXTS):
		accepted(sample.simple("about%d." % i, b"", body=text))
		tap.contains(delivered(w.b, "bob", "about%d." % i)[1],
		    text.replace(b"\r\n", b"\n"), "the mail")
	# Alice has a bounce of what took both passes.
	for i in range(len(sample.NEAR_FLAGS)):
		never_delivered("near%d." % i)
		tap.equal(mail.marked(w.b, "bob", "nearly%d." % i), [],
		    "the mail of bob")


# Fields in every shape that edits could confuse.
SHAPES = (
    b"Content-Type: text/plain; charset=us-ascii\r\n",
    b"Comments:tight\r\n",
    b"MIME-Version: 1.0\r\n",
    b"Disposition-Notification-To: alice@a.test\r\n",
    b"Comments:   three blanks\r\n",
    b"Content-Type: text/html\r\n",
    b"X-Return-Receipt: yes\r\n",
    b"mime-version: 1.0 (again)\r\n",
    b"Counterfoil-Version: 7\r\n",
    b"Return-Receipt-To: alice@a.test\r\n",
    b"Comments: folded\r\n\tonce\r\n  and again\r\n",
    b"Content-Transfer-Encoding: 7bit\r\n",
    b"Disposition-Notification-To: mallory@m.test\r\n",
    b"CONTENT-TYPE: text/plain\r\n",
    b"Counterfoil-Version: 1\r\n",
    b"Content-Description: a\r\n\tb\r\n",
    b"Comments: last \r\n",
    b"Content-Disposition: inline; filename=secret.txt\r\n",
    b"Content-Disposition: inline; filename=secret2.txt\r\n",
)


def outer_of(seen):
	"""The fields that are to stand outside, by what was shown."""
	ours = {b"mime-version": b" 1.0", b"counterfoil-version": b" 1",
	    b"content-type": None}
	found, done = [], set()
	for name, value in seen.fields:
		key = name.strip().lower()
		if key in ours and key not in done:
			done.add(key)
			found.append((key, ours[key]))
		elif key in ours or key.startswith(b"content-") or key in (
		    b"disposition-notification-to", b"return-receipt-to") or \
		    key in shown.LEFT_OUT:
			continue
		else:
			found.append((key, value))
	for key in (b"mime-version", b"content-type", b"counterfoil-version"):
		if key not in done:
			found.append((key, ours[key]))
	return found


def outer_fields(content):
	"""[(name, value)] of a delivered message, without b's trace."""
	head = content.split(b"\n\n")[0] + b"\n"
	fields = [(n.lower(), v) for n, v in re.findall(
	    rb"(?m)^([^\s:]+):((?:.*\n)(?:[ \t].*\n)*)", head)]
	return [(n, v[:-1]) for n, v in fields]


def check_outer(mark, content):
	seen = shown.wait(w.a_shown, sample.message_id(mark))[0]
	wanted = outer_of(seen)
	got = outer_fields(content)
	# Return-Path and the Received of the hop and of b stand before.
	tap.equal([n for n, _ in got[:3]], [b"return-path", b"received",
	    b"received"], "fields in front")
	got = got[3:]
	tap.equal([n for n, _ in got], [n for n, _ in wanted],
	    "names of the outer fields")
	for (name, value), (_, right) in zip(got, wanted):
		if name == b"content-type":
			tap.true(re.fullmatch(rb" multipart/mixed;\s+boundary="
			    rb'"=_cf_.{22}"', value), "Content-Type %r" % value)
		else:
			tap.equal(value, right.rstrip() if value ==
			    right.rstrip() else right, "outer %r" % name)


@tap.case("edits of the header do what they say: order, duplicates, blanks")
def t_edits():
	for number in range(4):
		at = number * 5
		turned = SHAPES[at:] + SHAPES[:at]
		if number == 3:		# nothing there to be changed
			turned = [f for f in SHAPES if not re.match(
			    rb"(?i)content-|mime|counterfoil", f)]
		mark = "shapes%d." % number
		accepted(sample.simple(mark, b"".join(turned)))
		path, content = delivered(w.b, "bob", mark)
		same_as_shown(mark, path)
		check_outer(mark, content)
		for text in (b"=secret", b"mallory@", b"Hello."):
			tap.lacks(content, text, "the delivered message")


@tap.case("long fields neither stop the seal nor hurt the link")
def t_long_fields():
	refs = b"".join(b"\r\n <%d.%s@a.test>" % (n, b"r" * 60)
	    for n in range(300))
	accepted(sample.simple("longfields", sample.FLAG, more=b"References:"
	    + refs + b"\r\nX-Long: " + b"x" * 1900 + b"\r\nContent-Type: "
	    b"text/plain; charset=us-ascii; x=\"" + b"y" * 400 + b"\"\r\n"))
	path, content = delivered(w.b, "bob", "longfields")
	sample.link(content)
	same_as_shown("longfields", path)
	# Sendmail itself takes no more.
	code, text = send(sample.simple("overlong", sample.FLAG,
	    more=b"X-Much: " + b"\r\n ".join([b"z" * 900] * 60) + b"\r\n"))
	tap.equal(code, 552, "a header of 54 kB: %r" % text)


@tap.case("sealed mail passes a server without 8BITMIME unharmed")
def t_no_8bitmime():
	message = sample.Full(to="erin@d.test", size=2000)
	accepted(message.sent + b"\r\n", "erin@d.test")
	content = plain.wait("erin@d.test", 1, LIMIT_S)[0].content
	path = w.path("at-d.eml")
	proc.write_file(path, content)
	same_as_shown(message.mark, path)


@tap.case("unflagged mail passes as it would without milters")
def t_unflagged():
	keys = w.keysrv.psql("SELECT count(*) FROM counterfoil.key_issue")
	message = sample.Full(size=100000)
	accepted(message.unflagged + b"\r\n", ["bob@b.test", "zoe@b.test"])
	for user in ("bob", "zoe"):
		content = delivered(w.b, user, message.mark)[1]
		content = content[content.index(b"Received:"):]
		tap.equal(message.compare(content.replace(b"\n", b"\r\n")),
		    None, "the message of " + user)
	tap.equal(w.keysrv.psql("SELECT count(*) FROM counterfoil.key_issue"),
	    keys, "keys issued")


@tap.case("a stranger's flag: refused to submit, stripped, refused to relay")
def t_stranger():
	for to in ("bob@b.test", "alice@a.test"):
		code, text = send(sample.simple("stranger", to=to), to,
		    "mallory@m.test", source="127.0.0.3")
		tap.equal(code, 550, "at the submission port, for %s: %r"
		    % (to, text))
		tap.contains(text, b"Authenticate", "the reply")
	# The rule asks who has authenticated before it asks from where.
	said = proc.run(w.a.front.command("-bt"), input=b".D{client_addr}"
	    b"127.0.0.3\n.D{auth_authen}alice\nLocal_check_rcpt bob@b.test\n"
	    ).stdout
	tap.contains(said, b"Local_check_rcpt returns: OK", "the rule")
	accepted(sample.simple("stripped", to="alice@a.test"), "alice@a.test",
	    sender="mallory@m.test", port=w.a.outside_port,
	    source="127.0.0.2")
	content = delivered(w.a, "alice", "stripped")[1]
	tap.lacks(content, b"X-Return-Receipt", "the delivered message")
	content = content[content.index(b"Received:"):]
	tap.equal(sample.compare_whole(content.replace(b"\n", b"\r\n"),
	    sample.simple("stripped", b"", to="alice@a.test")), None,
	    "the rest of the message")
	# Sendmail relays for this one; without the flag it goes.
	accepted(sample.simple("relayed", b""), sender="mallory@m.test",
	    port=w.a.outside_port, source="127.0.0.2")
	code, text = send(sample.simple("relayflag"), sender="mallory@m.test",
	    port=w.a.outside_port, source="127.0.0.2")
	tap.equal(code, 550, "relayed with the flag: %r" % text)
	tap.contains(text.decode(), "X-Return-Receipt", "the reply")
	delivered(w.b, "bob", "relayed")
	never_delivered("relayflag")


@tap.case("a bounce made between the hops does not carry the plaintext")
def t_bounce():
	accepted(sample.simple("bounced", b"X-Return-Receipt: perhaps\r\n",
	    body=SECRET), options=["RET=FULL", "BODY=8BITMIME"])
	content = bounce("bounced")
	tap.contains(content, b"550", "the bounce")
	tap.contains(content, b"perhaps", "the bounce's reason")
	tap.lacks(content, SECRET.strip(), "the bounce")


def waits_then_goes(mark, spoil, mend, reason):
	before = set(w.a.messages("alice"))
	spoil()
	try:
		code, text = send(sample.simple(mark + "-direct",
		    body=SECRET), port=w.a.hop_port)
		tap.equal(code, 451, "reply of the hop %r" % text)
		accepted(sample.simple(mark, body=SECRET))
		proc.wait_for(lambda: re.search(r"(?m)^MDeferred: 451.*"
		    + reason, w.a.queue_text()), LIMIT_S, "the front's queue to say "
		    "why %s waits" % mark)
		tap.lacks(hop_queue(w.a) + hop_queue(w.b), SECRET.strip(),
		    "the queues behind the milter")
		never_delivered(mark)
	finally:
		mend()
	path, content = delivered(w.b, "bob", mark)
	tap.lacks(content, SECRET.strip(), "the delivered message")
	tap.contains(open_file(path), SECRET, "the opened message")
	tap.equal([p for p in w.a.messages("alice") if p not in before and
	    sample.message_id(mark) in mail.read(p)
	    and w.keysrv.receipt_from.encode() not in mail.read(p)], [],
	    "what alice heard of it")


@tap.case("milter away: 451, nothing in clear; later it goes out sealed")
def t_milter_away():
	waits_then_goes("nomilter", w.a_milter.kill, w.a_milter.start, "4.3.2")


@tap.case("given up while the milter is away: the bounce has the header alone")
def t_given_up():
	w.a_milter.kill()
	old = set(w.a.front.files("q"))
	try:
		# The front is to return it when it is two seconds old.
		accepted(sample.simple("givenup", body=SECRET), options=[
		    "RET=FULL", "BY=2;R"])
		proc.wait_for(lambda: [q for q in w.a.front.contents("q", old)
		    if b"Subject: Returned mail" in q], LIMIT_S,
		    "the front to give up")
	finally:
		w.a_milter.start()
	content = bounce("givenup")
	tap.contains(content, b"Content-Type: text/rfc822-headers",
	    "the bounce")
	tap.lacks(content, SECRET.strip(), "the bounce")
	tap.equal(mail.marked(w.b, "bob", "givenup"), [], "what bob got of it")


@tap.case("recipient's milter away: sealed mail waits, then is rewritten")
def t_recipient_milter_away():
	w.b_milter.kill()
	try:
		accepted(sample.simple("waitsforb", body=SECRET))
		proc.wait_for(lambda: re.search(rb"(?m)^MDeferred: 451 4.3.2",
		    hop_queue(w.a)), LIMIT_S, "the main queue to say why it waits")
		tap.lacks(hop_queue(w.a), SECRET.strip(), "the queue")
	finally:
		w.b_milter.start()
	path, content = delivered(w.b, "bob", "waitsforb")
	tap.true(sample.link(content).startswith(w.b_reader.url + "/m/"),
	    "the link leads to the recipient's reader")
	same_as_shown("waitsforb", path)


@tap.case("milter killed at the end of a message: 451")
def t_milter_killed():
	replies = []
	w.proxy.set("silent")
	try:
		t = threading.Thread(target=lambda: replies.append(send(
		    sample.simple("killedeom", body=SECRET),
		    port=w.a.hop_port)))
		t.start()
		shown.wait(w.a_shown, sample.message_id("killedeom"))
		w.a_milter.kill()
		t.join(LIMIT_S)
	finally:
		w.proxy.set(None)
		if not w.a_milter.process:
			w.a_milter.start()
	tap.true(replies, "the hop answered")
	tap.equal(replies[0][0], 451, "reply %r" % (replies[0],))
	tap.lacks(hop_queue(w.a), SECRET.strip(), "the queue")
	never_delivered("killedeom")


@tap.case("key server away: 451, nothing in clear; later it goes out sealed")
def t_key_server_away():
	waits_then_goes("nokeysrv", lambda: w.proxy.set("refused"),
	    lambda: w.proxy.set(None), "return receipt")


@tap.case("too large once sealed: 552, how large it may be, no plaintext back")
def t_too_large():
	body = SECRET + sample.lines76(os.urandom(SIZE_LIMIT * 6 // 10))
	tap.true(len(body) < SIZE_LIMIT, "in clear it would pass")
	code, text = send(sample.simple("toolarge", body=body),
	    port=w.a.hop_port)
	tap.equal(code, 552, "reply %r" % text)
	tap.true(re.search(rb"at most about \d{6,} bytes", text),
	    "the reply says how large: %r" % text)
	accepted(sample.simple("muchtoolarge", body=body))
	content = bounce("muchtoolarge")
	tap.contains(content, b"552", "the bounce")
	tap.lacks(content, SECRET.strip(), "the bounce")
	tap.lacks(content, body[1000:1060], "the bounce")
	never_delivered("toolarge")


@tap.case("an alias and a .forward that leave: sealed on every way")
def t_aliases():
	accepted(sample.simple("toalias", to="team@a.test", body=SECRET),
	    "team@a.test")
	accepted(sample.simple("toforward", to="games@a.test", body=SECRET),
	    "games@a.test")
	for site, user, mark in ((w.b, "bob", "toalias"),
	    (w.c, "carol", "toalias"), (w.b, "dave", "toforward")):
		path, content = delivered(site, user, mark)
		tap.lacks(content, SECRET.strip(), "what %s got" % user)
		tap.contains(open_file(path), SECRET, "what he opened")
	# Mail from outside may not ask for a seal, and leaves as it came.
	accepted(sample.simple("fromoutside", to="games@a.test"),
	    "games@a.test", sender="mallory@m.test", port=w.a.outside_port,
	    source="127.0.0.2")
	tap.lacks(delivered(w.b, "dave", "fromoutside")[1],
	    b"X-Return-Receipt", "forwarded mail")


def by_hand(instance, content, *args):
	"""Call sendmail with the file of an instance."""
	home = w.path("home-of-nobody")
	os.makedirs(home, exist_ok=True)
	return proc.run(instance.command("-oi", "-f", "alice@a.test", *args),
	    input=content.replace(b"\r\n", b"\n"), check=False,
	    env=dict(os.environ, HOME=home))


@tap.case("sendmail called by hand is sealed, or refused with -Am")
def t_command():
	done = by_hand(w.a.submit, sample.simple("byhand", body=SECRET,
	    more=b"Bcc: carol@c.test\r\n"), "-t")
	tap.equal(done.returncode, 0, "sendmail -t: %r" % (done,))
	for site, user in ((w.b, "bob"), (w.c, "carol")):
		path, content = delivered(site, user, "byhand")
		tap.contains(open_file(path), SECRET, "the opened mail")
		if user == "bob":
			tap.lacks(content + open_file(path), b"carol@",
			    "his mail")
	by_hand(w.a.front, sample.simple("atfront", body=SECRET), "bob@b.test")
	tap.contains(open_file(delivered(w.b, "bob", "atfront")[0]), SECRET,
	    "the opened mail")
	# What -Am does: no filter sees it, but a rule does.
	by_hand(w.a.main, sample.simple("atmain", body=SECRET), "-oem",
	    "bob@b.test")
	content = bounce("atmain")
	tap.contains(content, b"without -Am", "what the sender hears")
	tap.lacks(content, SECRET.strip(), "what the sender hears")
	by_hand(w.a.main, sample.simple("atmainplain", b""), "bob@b.test")
	delivered(w.b, "bob", "atmainplain")
	tap.equal(mail.marked(w.b, "bob", "atmain"), [],
	    "what was delivered of it")


def checked(milter, path):
	"""What -n complains about; (exit status, lines)."""
	done = proc.run([proc.program("counterfoil-milter"), "-c",
	    milter.config, "-n", "--offline", "--sendmail", path], check=False)
	return done.returncode, [line for line in
	    done.stdout.decode().splitlines()
	    if "Sendmail" in line and not line.startswith("ok")]


@tap.case("-n finds these set-ups good, and the front's faults")
def t_check():
	for milter, instances in ((w.a_milter, w.a.instances),
	    (w.b_milter, w.b.instances)):
		# Sendmail names the eavesdropper's socket at a.
		options = dict(milter.options)
		if milter is w.a_milter:
			milter.configure(socket=w.a_shown.address)
		try:
			for instance in instances:
				tap.equal(checked(milter, instance.cf), (0, []),
				    instance.cf)
		finally:
			milter.configure(**options)
	path = w.path("front.cf")
	good = proc.read_text(w.a.front.cf)
	for part, *changes in (
	    ("nobodyreturn", (",nobodyreturn", "")),
	    ("flag k", ("DFMuXak8", "DFMuXa8")),
	    # One of them is enough.
	    (None, ("F=DFM", "F=mDFM")),
	    (None, (" r=1,", "")),
	    ("several recipients", ("F=DFM", "F=mDFM"), (" r=1,", ""))):
		bad = good
		for old, new in changes:
			tap.contains(bad, old, "front.cf")
			bad = bad.replace(old, new)
		proc.write_file(path, bad)
		status, found = checked(w.a_milter, path)
		tap.equal((status, len(found)), (78, 1) if part else (0, 0),
		    "exit status and findings: %s" % found)
		tap.contains("".join(found), part or "", "the finding")


# ---- awkward mail, with a control run ----

def start_control():
	global control
	b = sendmail.Sendmail(w.path("control-b"), "b.test", ["bob"],
	    milter="", size_limit=SIZE_LIMIT).start()
	a = sendmail.Sendmail(w.path("control-a"), "a.test", ["alice"],
	    routes={"b.test": b.port}, hop_milter="",
	    size_limit=SIZE_LIMIT)
	control = (a, b)
	a.start()
	for site in control:
		tap.lacks(proc.read_text(site.main.cf), "Xcounterfoil",
		    "the control's configuration")


HEAD = (b"From: alice@a.test\r\nTo: x@b.test\r\nDate: Mon, 23 Nov 2026 "
    b"13:35:00 +0100\r\nMessage-ID: <awkward@a.test>\r\nSubject: awkward\r\n")
MIME = b"MIME-Version: 1.0\r\n"
AWKWARD = {
    "no header": b"\r\nonly a body\r\n",
    "no body": HEAD,
    "no body, empty line": HEAD + b"\r\n",
    "nothing but a body line": b"this is no field\r\n",
    "8-bit fields": HEAD + b"X-L1: Gr\xfc\xdfe\r\nX-U8: Gr\xc3\xbc\xc3\x9fe"
    b"\r\nX-C1: \x80\x9f\xff\r\n\r\nGr\xfc\xdfe\r\n",
    "no Message-ID, no Date": b"From: alice@a.test\r\nSubject: x\r\n\r\nx\r\n",
    "NUL in the body": HEAD + b"\r\na\0b\r\n",
    "3000-octet line": HEAD + b"\r\n" + b"x" * 3000 + b"\r\nend\r\n",
    "dots": HEAD + b"\r\n.\r\n..\r\n.x\r\n",
    "From line": HEAD + b"\r\nFrom here\r\n>From there\r\n",
    "two Content-Types": HEAD + MIME + b"Content-Type: text/plain\r\n"
    b"Content-Type: text/html\r\n\r\n<b>x</b>\r\n",
    "broken Content-Type": HEAD + MIME + b"Content-Type: ;;; (\r\n\r\nx\r\n",
    "multipart without its boundary": HEAD + MIME + b"Content-Type: "
    b"multipart/mixed; boundary=b\r\n\r\nno such line\r\n",
    "nested message": HEAD + MIME + b"Content-Type: message/rfc822\r\n\r\n"
    + HEAD + b"X-Return-Receipt: yes\r\n\r\nx\r\n",
    "8-bit text": HEAD + MIME + b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n",
    "base64 text": HEAD + MIME + b"Content-Type: text/plain; charset=utf-8"
    b"\r\nContent-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZQo=\r\n",
    "signed": HEAD + MIME + b"Content-Type: multipart/signed; boundary=s; "
    b"micalg=sha-256;\r\n protocol=\"application/pkcs7-signature\"\r\n\r\n"
    b"--s\r\n\r\nx \r\n--s\r\nContent-Type: application/pkcs7-signature\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--s--\r\n",
    "encrypted": HEAD + MIME + b"Content-Type: application/pkcs7-mime;\r\n"
    b"\tsmime-type=enveloped-data\r\nContent-Transfer-Encoding: base64\r\n"
    b"\r\nAAAA\r\n",
    "resent": b"Resent-From: alice@a.test\r\nResent-To: x@b.test\r\n"
    b"Resent-Date: Mon, 23 Nov 2026 13:36:00 +0100\r\nResent-Message-ID: "
    b"<again@a.test>\r\n" + HEAD + b"\r\nx\r\n",
    "comments and groups": HEAD.replace(b"To: x@b.test", b"To: friends: "
    b"\"X, the\" <x@b.test>,\r\n\ty@b.test (Why);, z@b.test") + b"\r\nx\r\n",
    "blanks before colons": HEAD + b"Comments : a\r\nKeywords\t: b\r\n\r\nx"
    b"\r\n",
    "bare CR in a field": HEAD + b"X-CR: a\rb\r\n\r\nx\r\n",
}
DEV_SHARE = 10		# one of so many messages of a corpus


def awkward():
	found = dict(AWKWARD)
	if os.environ.get("CF_SHARED"):
		files = sorted(glob.glob(os.path.join(os.environ["CF_SHARED"],
		    "corpus", "dev", "*.eml")))
		tap.true(files, "CF_SHARED has a corpus")
		for path in files[::DEV_SHARE]:
			content = mail.read(path)
			# Sendmail ends the connection at a bare CR or LF.
			content = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
			if not content.endswith(b"\r\n"):
				content += b"\r\n"
			if len(content) < SIZE_LIMIT // 2:
				found[os.path.basename(path)] = content
	return found


class Trip:
	"""One awkward message: to a user of its own, with and without us."""

	def __init__(self, number, name, content):
		self.name = name
		self.user = "awkward%d" % number
		self.content = content
		between = b""
		if content.startswith(b"\r\n"):
			between = b"\r\n"	# it is all body
		elif content[:1] in (b" ", b"\t"):
			# No fold of the flag.
			between = b"X-First: line\r\n"
		self.flagged = sample.FLAG + between + content
		self.replies = None

	def send(self):
		to = self.user + "@b.test"
		self.replies = [send(self.flagged, to), send(self.flagged, to,
		    port=control[0].port)]


def outcome(sender, recipient, user):
	"""The file delivered to the user, or (the bounce's bytes,)."""
	address = b"<%s@b.test>" % user.encode()
	looked = {}

	def found():
		for path in recipient.messages(user):
			return path
		for path in sender.messages("alice"):
			if path not in looked:
				looked[path] = mail.read(path)
				if address in looked[path]:
					return (looked[path],)
		return None
	try:
		return proc.wait_for(found, LIMIT_S, "mail for " + user)
	except proc.LabError as e:
		return (("%s; %s" % (e, sender.queue_text())).encode(),)


def seen_by(user):
	"""What the milter was shown; noted just after it was shown."""
	return proc.wait_for(lambda: [m for m in list(w.a_shown.messages)
	    if m.recipients == [b"<%s@b.test>" % user.encode()]], LIMIT_S,
	    "the milter to be shown the mail for " + user)


@tap.case("awkward mail comes out as the milter was shown it")
def t_awkward():
	start_control()
	trips = [Trip(n, *item) for n, item in enumerate(awkward().items())]
	waiting = list(trips)

	def work():
		while True:
			try:
				trip = waiting.pop(0)
			except IndexError:
				return
			trip.send()
	threads = [threading.Thread(target=work) for _ in range(4)]
	for t in threads:
		t.start()
	for t in threads:
		t.join()
	identical, refused, wrong = 0, [], []
	for trip in trips:
		tap.true(trip.replies, "%s was sent" % trip.name)
		ours, theirs = (r[0] for r in trip.replies)
		if ours != 250:
			refused.append(trip.name)
			if ours != theirs:
				wrong.append("%s: %r" % (trip.name,
				    trip.replies))
			continue
		path = outcome(w.a, w.b, trip.user)
		without = outcome(*control, trip.user)
		if isinstance(path, tuple):
			refused.append(trip.name)
			if not isinstance(without, tuple):
				wrong.append("%s: %r" % (trip.name, path))
			continue
		seen = seen_by(trip.user)
		try:
			tap.equal(open_file(path), seen[-1].sealed_part(),
			    trip.name)
			if trip.name in AWKWARD:
				check_body(trip, seen[-1])
			identical += 1
		except tap.Failure as e:
			wrong.append(str(e))
	tap.note("%d identical, %d refused (%s), %d failed" % (identical,
	    len(refused), ", ".join(refused), len(wrong)))
	for text in wrong:
		tap.note(text)
	tap.equal(len(wrong), 0, "how many went wrong")
	tap.true(identical >= len(trips) * 9 // 10, "most were sealed")


def check_body(trip, seen):
	"""The front does not touch a body: the milter sees what was sent."""
	_, empty, sent = trip.flagged.partition(b"\r\n\r\n")
	if empty:
		tap.equal(seen.body, sent, "%s: the body at the milter"
		    % trip.name)


if __name__ == "__main__":
	tap.main(start, stop)
