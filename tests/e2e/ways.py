#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The ways of flagged mail through Postfix: every one ends sealed, or
refused, and none leaves a copy in clear.

a.test is set up with the files of contrib/postfix, OpenDKIM behind us on the
hop, local aliases and .forward; p.test has the milter in smtpd_milters and
non_smtpd_milters instead, and sends everything through it once more, as a
content filter does.
"""

import base64
import json
import os
import re
import socket
import socketserver
import struct
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))

from lab import (dkim, mail, postfix, proc, sample, sink, tap,  # noqa: E402
    tour, world)

CLEAR = b"None but its reader may see this sentence in clear."
FORWARDER = "games"	# a user of every Debian system
# What servers put in front before the milter saw the message, if they did.
TRACE = re.compile(rb"((?:Received|DKIM-Signature):[^\r\n]*"
    rb"(?:\r\n[ \t][^\r\n]*)*\r\n)*", re.I)

PLAIN = """\
smtpd_milters = %(milter)s
non_smtpd_milters = %(milter)s
milter_default_action = tempfail
bounce_size_limit = 1
content_filter = again:[127.0.0.1]:%(port)d
"""
AGAIN = """\
again unix - - n - - smtp
    -o smtp_send_xforward_command=yes
127.0.0.1:%(port)d inet n - n - - smtpd
    -o content_filter=
    -o receive_override_options=no_address_mappings
    -o smtpd_authorized_xforward_hosts=127.0.0.1/32
"""
EXPANDING = """\
virtual_alias_maps = texthash:$config_directory/virtual
mydestination = local.a.test
local_transport = local:$myhostname
alias_maps = texthash:$config_directory/aliases
local_recipient_maps =
forward_path = %(etc)s/forward-$user
mail_spool_directory = %(root)s/spool
mailbox_size_limit = 0
smtpd_milters = %(signer)s
non_smtpd_milters = %(signer)s
"""

w = None


class LateMilter(socketserver.ThreadingUnixStreamServer):
	"""A milter that puts off as many messages as it is told, at their end."""

	daemon_threads = True

	class Handler(socketserver.StreamRequestHandler):
		def handle(self):
			while True:
				head = self.rfile.read(4)
				if len(head) < 4:
					return
				data = self.rfile.read(struct.unpack(">I", head)[0])
				answer = self.server.answer(data[:1])
				if answer:
					self.wfile.write(struct.pack(">I",
					    len(answer)) + answer)

	def __init__(self, path):
		super().__init__(path, self.Handler)
		os.chmod(path, 0o777)
		self.address = "unix:" + path
		self.left = 0
		threading.Thread(target=self.serve_forever, args=(0.05,),
		    daemon=True).start()

	def answer(self, command):
		if command == b"O":
			return b"O" + struct.pack(">III", 6, 0, 0)
		if command in b"DAQ":
			return None
		if command == b"E" and self.left > 0:
			self.left -= 1
			return b"t"
		return b"c"

	def stop(self):
		self.shutdown()
		self.server_close()


class Cutter(socketserver.ThreadingTCPServer):
	"""Passes SMTP on, and ends the connection instead of the answer to the
	first message's end."""

	daemon_threads = True
	allow_reuse_address = True

	class Handler(socketserver.BaseRequestHandler):
		def handle(self):
			there = socket.create_connection(("127.0.0.1",
			    self.server.target))
			threading.Thread(target=self.copy, args=(self.request,
			    there), daemon=True).start()
			self.copy(there, self.request)

		def copy(self, source, target):
			try:
				while True:
					data = source.recv(65536)
					if not data or b": queued as" in data and \
					    self.server.cut():
						break
					target.sendall(data)
			except OSError:
				pass
			for one in (source, target):
				try:
					one.shutdown(socket.SHUT_RDWR)
				except OSError:
					pass

	def __init__(self, target):
		self.port = proc.free_port()
		super().__init__(("127.0.0.1", self.port), self.Handler)
		self.target = target
		self.left = 1
		self.cuts = 0
		threading.Thread(target=self.serve_forever, args=(0.05,),
		    daemon=True).start()

	def cut(self):
		if self.left == 0:
			return False
		self.left -= 1
		self.cuts += 1
		return True

	def stop(self):
		self.shutdown()
		self.server_close()


class Ways(world.World):
	"""The world, and what the ways need besides."""

	def _sites(self):
		super()._sites()
		self.sink = sink.Sink()
		self.signer = dkim.OpenDkim(self.path("signer"), "a.test")
		self.verifier = dkim.OpenDkim(self.path("verifier"), "b.test",
		    self.signer)
		for thing in (self.signer, self.verifier):
			os.mkdir(thing.folder)
			os.chmod(thing.folder, 0o755)
		a = self.a
		a.routes["sink.test"] = self.sink.port
		# The order of the documents: we, then who signs.
		a.hop_milter += "," + self.signer.address
		a.extra = EXPANDING % {"signer": self.signer.address,
		    "etc": a.etc, "root": a.root}
		a.files = {
		    "virtual": "team@a.test bob@b.test, zoe@b.test, "
		    "eve@sink.test\n",
		    "aliases": "away bob@b.test\nfar eve@sink.test\n"
		    "gone refused@sink.test\nboth bob@b.test, eve@sink.test\n",
		    "forward-" + FORWARDER: "eve@sink.test\n",
		}
		# Verified first, rewritten after that.
		self.b.milter = "%s,%s" % (self.verifier.address,
		    self.b_milter.address)
		self.p = postfix.Postfix(self.path("p"), "p.test", ["paul"],
		    routes={"b.test": self.b.port, "sink.test": self.sink.port,
		    "a.test": self.a.outside_port})
		words = {"milter": self.a_milter.address,
		    "port": proc.free_port()}
		self.p.extra = PLAIN % words
		self.p.services = AGAIN % words

	def _mail_servers(self):
		self._begin(self.sink, "sink")
		self._begin(self.signer, "OpenDKIM signs for a.test")
		self._begin(self.verifier, "OpenDKIM verifies at b.test")
		super()._mail_servers()
		self._begin(self.p, "Postfix p.test")


def start():
	global w
	w = Ways(say=tap.note)
	w.start()


def message(mark, **kw):
	return sample.simple(mark, body=CLEAR + b"\r\n", **kw)


def submit(site, to, content, sender="alice@a.test", options=()):
	return mail.send(site.port, sender, to, content, options=list(options))


def send(to, content, site=None, **kw):
	code, text = submit(site or w.a, to, content, **kw)
	tap.equal(code, 250, "reply %r" % text)


def sendmail(site, words, content):
	"""The sendmail command of the site, as its users have it."""
	proc.run(["sendmail", "-C", site.etc, *words],
	    input=content.replace(b"\r\n", b"\n"))


def awaited(predicate, limit_s, what):
	"""proc.wait_for(), and what Postfix does if it was in vain."""
	try:
		return proc.wait_for(predicate, limit_s, what)
	except proc.LabError as e:
		raise proc.LabError("%s; the queues:\n%s%sand the log ends:\n%s"
		    % (e, w.a.queue_text(), w.p.queue_text(),
		    proc.tail(w.a.maillog, 40)))


def find(site, user, mark, limit_s=180):
	"""The user's message with the mark, as it was delivered, with CRLF."""
	got = awaited(lambda: mail.marked(site, user, mark), limit_s,
	    "%r for %s@%s" % (mark, user, site.domain))
	return mail.read(got[0]).replace(b"\n", b"\r\n")


def sunk(address, mark, limit_s=180):
	"""The same at the mail server that only keeps."""
	def found():
		for one in w.sink.to(address):
			if sample.message_id(mark) in one.content:
				return one.content
		return None
	return awaited(found, limit_s, "%r for %s" % (mark, address))


def is_sealed(content):
	"""Sealed, with one link; gives the key's handle."""
	for text in sample.decoded(content):
		tap.lacks(text, CLEAR, "what was delivered")
	tap.lacks(content.lower(), b"x-return-receipt", "what was delivered")
	return sample.handle(sample.link(content))


def opened(content):
	"""What `counterfoil open` makes of it."""
	path = w.path("to-open")
	with open(path, "wb") as f:
		f.write(content)
	done = proc.run([proc.program("counterfoil"), "-c", w.agent_config(),
	    "open", path])
	os.unlink(path)
	return done.stdout


def opens_to(content, wanted):
	"""It opens to `wanted`, behind what servers put in front."""
	got = opened(content)
	tap.equal(got[TRACE.match(got).end():], wanted, "the opened message")
	return got


def without_flag(content):
	return content.replace(sample.FLAG, b"", 1)


def receipt(handle):
	def arrived():
		return [m for _, m in tour.receipts(w)
		    if handle in str(m["Subject"])]
	return proc.wait_for(arrived, 180, "a receipt for " + handle)[0]


def keys(mark):
	"""(key id, recipients) of the keys issued for the message."""
	rows = w.keysrv.psql("SELECT counterfoil.b64url(key_id), "
	    "array_to_string(recipients, ',') FROM counterfoil.key_issue "
	    "WHERE message_id = '<%s@a.test>' ORDER BY 2" % mark)
	return [tuple(row.split("|")) for row in rows.split()]


def bounced(mark, what="Diagnostic-Code: smtp; 550 5.7.1 "):
	"""The bounce that alice got: it names the reason, and no more."""
	content = find(w.a, "alice", mark)
	tap.equal(sample.parse(content).get_content_type(),
	    "multipart/report", "what alice got")
	tap.contains(content.decode("latin-1"), what, "the bounce")
	for text in sample.decoded(content):
		tap.lacks(text, CLEAR, "the bounce")
	return content


def nowhere(mark):
	"""Nobody got anything of it."""
	for site, users in ((w.b, ("bob", "zoe")), (w.p, ("paul",))):
		for user in users:
			for path in site.messages(user):
				tap.equal(sample.traces(mail.read(path), mark),
				    [], "traces of %s in %s" % (mark, path))
	for one in w.sink.mails:
		tap.equal(sample.traces(one.content, mark), [], "traces of %s "
		    "in the mail to %s" % (mark, one.recipient))


def restart_a():
	"""Once nothing is under way: what Postfix is stopped in the middle of
	handing on, it hands on again.
	"""
	mail.wait_until_idle(w.a)
	w.a.restart()


def postconf(site, *words):
	return proc.run(["postconf", "-c", site.etc, *words]).stdout.decode()


@tap.case("the files of contrib/postfix fail closed")
def t_files():
	for name in ("bounce_size_limit = 1", "nested_header_checks =",
	    "mime_header_checks =",
	    "counterfoil-hop_destination_recipient_limit = 1"):
		tap.contains(postconf(w.a, "-n").splitlines(), name,
		    "the sender's main.cf")
	for site in (w.a, w.b):
		tap.equal(postconf(site, "-h", "milter_default_action").strip(),
		    "tempfail", "main.cf of " + site.domain)
	# -P: what master.cf says for single services.
	services = dict(line.split(" = ", 1)
	    for line in postconf(w.a, "-P").splitlines() if " = " in line)
	ours = [key.rsplit("/", 1)[0] for key, value in services.items()
	    if key.endswith("/smtpd_milters")
	    and w.a_milter.address in value]
	tap.equal(len(ours), 2, "services with the milter: %r" % services)
	for service in ours:
		tap.equal(services[service + "/milter_default_action"],
		    "tempfail", service)


@tap.case("To, Cc and Bcc: to each a mail, a key and a receipt of his own; "
    "no Bcc stands anywhere")
def t_bcc():
	content = message("three", more=b"Cc: zoe@b.test\r\n"
	    b"Bcc: eve@sink.test\r\n")
	send(["bob@b.test", "zoe@b.test", "eve@sink.test"], content)
	got = {"bob@b.test": find(w.b, "bob", "three"),
	    "zoe@b.test": find(w.b, "zoe", "three"),
	    "eve@sink.test": sunk("eve@sink.test", "three")}
	handles = {who: is_sealed(one) for who, one in got.items()}
	tap.equal(len(set(handles.values())), 3, "different keys")
	tap.equal(keys("three"), sorted(((handles[who], who)
	    for who in handles), key=lambda row: row[1]), "whose they are")
	for who, one in got.items():
		inside = opens_to(one, without_flag(content).replace(
		    b"Bcc: eve@sink.test\r\n", b""))
		if who != "eve@sink.test":
			tap.lacks(one + inside, b"eve@sink", "the mail to " + who)
	for who, handle in handles.items():
		tap.contains(str(receipt(handle)), who, "the receipt")


@tap.case("the sendmail command: as many keys as recipients, Bcc among them")
def t_sendmail():
	content = message("command", more=b"Bcc: zoe@b.test,\r\n"
	    b" eve@sink.test\r\n")
	sendmail(w.a, ["-f", "alice@a.test", "-t"], content)
	for one in (find(w.b, "bob", "command"), find(w.b, "zoe", "command"),
	    sunk("eve@sink.test", "command")):
		is_sealed(one)
	tap.equal([who for _, who in keys("command")], ["bob@b.test",
	    "eve@sink.test", "zoe@b.test"], "whose keys they are")


@tap.case("a virtual alias: each address behind it has a key of its own")
def t_virtual_alias():
	send("team@a.test", message("alias", to="team@a.test"))
	for one in (find(w.b, "bob", "alias"), find(w.b, "zoe", "alias"),
	    sunk("eve@sink.test", "alias")):
		is_sealed(one)
	tap.equal([who for _, who in keys("alias")], ["bob@b.test",
	    "eve@sink.test", "zoe@b.test"], "whose keys they are")


@tap.case("a local alias and a .forward that leave: sealed before they do")
def t_local_alias():
	for mark, user, arrive in (
	    ("aliasaway", "away", lambda m: [find(w.b, "bob", m)]),
	    ("aliasfar", "far", lambda m: [sunk("eve@sink.test", m)]),
	    ("forwarded", FORWARDER, lambda m: [sunk("eve@sink.test", m)]),
	    ("aliasboth", "both", lambda m: [find(w.b, "bob", m),
	    sunk("eve@sink.test", m)])):
		content = message(mark, to=user + "@local.a.test")
		send(user + "@local.a.test", content)
		for one in arrive(mark):
			is_sealed(one)
			opens_to(one, without_flag(content))
		tap.equal([who for _, who in keys(mark)],
		    [user + "@local.a.test"], "whose key it is")


@tap.case("refused further on: the bounce has nothing in clear, also when "
    "all of it is asked for")
def t_refused_outside():
	w.sink.next["no@sink.test"] = ["data 550 5.7.1 we do not want it"]
	w.sink.next["refused@sink.test"] = ["data 550 5.7.1 we do not want it"]
	send("no@sink.test", message("refused1"), options=["RET=FULL"])
	send("gone@local.a.test", message("refused2"), options=["RET=FULL"])
	for mark in ("refused1", "refused2"):
		bounced(mark, "we do not want it")
	nowhere("refused1")
	nowhere("refused2")


@tap.case("refused on the hop: the bounce has the header alone, also when all "
    "of it is asked for")
def t_refused_on_hop():
	send("bob@b.test", message("onhop", flag=b"X-Return-Receipt: perhaps"
	    b"\r\n"), options=["RET=FULL"])
	tap.contains(bounced("onhop"), b"perhaps", "the bounce")
	sendmail(w.a, ["-f", "alice@a.test", "-R", "full", "bob@b.test"],
	    message("cmdhop", flag=b"X-Return-Receipt: perhaps\r\n"))
	bounced("cmdhop")
	nowhere("onhop")
	nowhere("cmdhop")


@tap.case("given up while the milter is away: the same")
def t_given_up():
	mail.wait_until_idle(w.a)
	w.a_milter.kill()
	usual, w.a.extra = w.a.extra, w.a.extra + \
	    "maximal_queue_lifetime = 0\n"
	try:
		w.a.restart()
		send("bob@b.test", message("givenup"), options=["RET=FULL"])
		# The bounce comes from Postfix itself, without a milter.
		bounced("givenup", "Diagnostic-Code: smtp; 451 4.7.1 ")
	finally:
		w.a.extra = usual
		w.a.restart()
		w.a_milter.start()
	nowhere("givenup")


@tap.case("resent mail: for whom it was resent, its fields in their places")
def t_resent():
	content = (b"Resent-From: alice@a.test\r\nResent-To: zoe@b.test\r\n"
	    b"Resent-Bcc: eve@sink.test\r\n"
	    b"Resent-Date: Mon, 23 Nov 2026 14:00:00 +0100\r\n"
	    b"Resent-Message-ID: <again@a.test>\r\n" + message("resent"))
	sendmail(w.a, ["-f", "alice@a.test", "-t"], content)
	wanted = without_flag(content).replace(b"Resent-Bcc: eve@sink.test\r\n",
	    b"")
	for one in (find(w.b, "zoe", "resent"), sunk("eve@sink.test",
	    "resent")):
		is_sealed(one)
		opens_to(one, wanted)
	tap.equal([who for _, who in keys("resent")], ["eve@sink.test",
	    "zoe@b.test"], "whose keys they are")
	tap.equal(mail.marked(w.b, "bob", "resent"), [],
	    "what the first recipient got")


REPORT = (b"MIME-Version: 1.0\r\nContent-Type: multipart/report;\r\n"
    b" report-type=%s; boundary=x\r\n")


@tap.case("null sender, DSN and MDN with a flag: refused, at once and on the "
    "hop")
def t_reports():
	for mark, sender, more in (
	    ("null", "", b""),
	    ("dsn", "alice@a.test", REPORT % b"delivery-status"),
	    ("mdn", "alice@a.test", REPORT % b"disposition-notification")):
		code, text = submit(w.p, "bob@b.test", message("p" + mark,
		    more=more), sender)
		tap.equal((code, text[:5]), (550, b"5.7.1"), "reply %r" % text)
		since = len(w.a_milter.log_text())
		send("bob@b.test", message("a" + mark, more=more),
		    sender=sender)
		proc.wait_for(lambda: ": refused " in
		    w.a_milter.log_text()[since:], 180,
		    "the refusal on the hop")
		if sender:
			bounced("a" + mark)
	mail.wait_until_idle(w.a)
	for mark in ("pnull", "pdsn", "pmdn", "anull", "adsn", "amdn"):
		nowhere(mark)
		tap.equal(keys(mark), [], "keys")


@tap.case("the milter alone, several recipients in one transaction: 550 says "
    "how to set it up")
def t_plain_several():
	code, text = submit(w.p, ["bob@b.test", "eve@sink.test"],
	    message("several"))
	tap.equal(code, 550, "reply %r" % text)
	for word in ("5.7.1", "one recipient per transaction", "recipient limit "
	    "1", "counterfoil-milter(8)"):
		tap.contains(" ".join(text.decode().split()), word, "the reply")
	sendmail(w.p, ["-f", "alice@a.test", "bob@b.test", "eve@sink.test"],
	    message("cmdseveral"))
	bounced("cmdseveral", "one recipient per transaction")
	nowhere("several")
	nowhere("cmdseveral")


@tap.case("a flag that Postfix takes for no field: refused, at once and on the "
    "hop; a text about it is not")
def t_near_flags():
	marks = []
	for i, (lines, cause) in enumerate(sample.NEAR_FLAGS):
		for site, mark in ((w.p, "pnear%d" % i), (w.a, "anear%d" % i)):
			content = message(mark, flag=lines)
			since = len(w.a_milter.log_text())
			code, text = submit(site, "bob@b.test", content)
			if site is w.p:
				tap.equal((code, text[:5]), (550, b"5.7.1"),
				    "reply %r to %r" % (text, lines))
			else:
				tap.equal(code, 250, "reply %r" % text)
			proc.wait_for(lambda: ": refused cause=%s " % cause in
			    w.a_milter.log_text()[since:], 180,
			    "the refusal of %r at %s" % (lines, site.domain))
			marks.append(mark)
	mail.wait_until_idle(w.a)
	for mark in marks:
		nowhere(mark)
	for i, text in enumerate(sample.FLAG_TEXTS):
		for site, mark in ((w.p, "ptext%d" % i), (w.a, "atext%d" % i)):
			send("bob@b.test", sample.simple(mark, body=text,
			    flag=b""), site)
			tap.contains(find(w.b, "bob", mark), text, "the mail")


@tap.case("the milter alone, one recipient: sealed once, though a content "
    "filter gives it back")
def t_plain():
	for mark, how in (("plain1", lambda c: send("bob@b.test", c, w.p)),
	    ("plain2", lambda c: sendmail(w.p, ["-f", "alice@a.test",
	    "bob@b.test"], c))):
		content = message(mark)
		how(content)
		got = find(w.b, "bob", mark)
		is_sealed(got)
		opens_to(got, without_flag(content))
		tap.equal(len(keys(mark)), 1, "keys")


@tap.case("one session: given up, sealed, left alone, refused, sealed")
def t_session():
	client = mail.Client("127.0.0.1", w.p.port, "client.test", timeout=120)
	try:
		client.ehlo()
		client.docmd("MAIL", "FROM:<alice@a.test>")
		client.docmd("RCPT", "TO:<bob@b.test>")
		client.rset()
		for mark, flag, code in (("sess1", sample.FLAG, 250),
		    ("sess2", b"", 250), ("sess3", b"X-Return-Receipt: no\r\n",
		    550), ("sess4", sample.FLAG, 250)):
			try:
				reply = client.send_exact("alice@a.test",
				    ["bob@b.test"], message(mark, flag=flag)
				    .replace(CLEAR, b"x" if not flag else CLEAR))
			except mail.smtplib.SMTPResponseException as e:
				reply = e.smtp_code, e.smtp_error
			tap.equal(reply[0], code, "reply %r" % (reply,))
	finally:
		client.close()
	for mark in ("sess1", "sess4"):
		is_sealed(find(w.b, "bob", mark))
	tap.contains(find(w.b, "bob", "sess2"), b"\r\nx\r\n", "the unflagged")
	nowhere("sess3")


def requeue(site):
	proc.run(["postsuper", "-c", site.etc, "-r", "ALL"])
	# pickup(8) looks for them when it is told to, or every minute.
	site.flush()


@tap.case("postsuper -r of what is sealed: it stays as it is")
def t_requeue_sealed():
	for site, mark in ((w.p, "requeued1"), (w.a, "requeued2")):
		address = mark + "@sink.test"
		w.sink.next[address] = ["rcpt 450 4.2.1 later"] * 1000
		content = message(mark)
		send(address, content, site)
		# It alone: the mail it was made of would be sealed again.
		proc.wait_for(lambda: "4.2.1 later" in site.queue_text() and
		    len(site.queue()) == 1, 180, "the sealed mail to wait")
		requeue(site)
		del w.sink.next[address]
		got = sunk(address, mark)
		is_sealed(got)
		opens_to(got, without_flag(content))
		tap.equal(len(keys(mark)), 1, "keys")


@tap.case("postsuper -r of what waits for the hop: sealed all the same")
def t_requeue_clear():
	w.a_milter.kill()
	content = message("requeued3")
	try:
		send("eve@sink.test", content)
		proc.wait_for(lambda: "said: 451" in w.a.queue_text(), 180,
		    "the mail to be deferred")
		requeue(w.a)
		nowhere("requeued3")
	finally:
		w.a_milter.start()
	w.a.flush()
	got = sunk("eve@sink.test", "requeued3")
	is_sealed(got)
	opens_to(got, without_flag(content))
	tap.equal(len(keys("requeued3")), 1, "keys")


@tap.case("signed by OpenDKIM behind us: the signature holds at the "
    "recipient, who checks before rewriting")
def t_dkim():
	for mark, flag in (("signed1", sample.FLAG), ("signed2", b"")):
		content = sample.simple(mark, flag)
		send("bob@b.test", content)
		got = find(w.b, "bob", mark)
		results = re.findall(rb"\bdkim=(\w+)", got)
		tap.equal(results, [b"pass"], "Authentication-Results")
		tap.equal(len(re.findall(rb"(?m)^DKIM-Signature:", got)), 1,
		    "signatures outside")
		if flag:
			is_sealed(got)
			tap.true(sample.link(got).startswith(w.b_reader.url),
			    "rewritten after that")
			# The one made in front of us is kept with what it signs.
			tap.contains(opens_to(got, without_flag(content)),
			    b"DKIM-Signature: v=1", "the opened message")


@tap.case("the 250 for the delivery is lost: it comes twice, and both open")
def t_reply_lost():
	w.sink.next["twice@sink.test"] = ["drop-reply"]
	content = message("lost250")
	send("twice@sink.test", content)
	for one in w.sink.wait("twice@sink.test", 2, 180):
		is_sealed(one.content)
		opens_to(one.content, without_flag(content))
	tap.equal(len(keys("lost250")), 1, "keys")


def lines(mark):
	"""What the sender sees of the message: (recipient, status)."""
	with open(w.token_file) as f:
		token = f.read().strip()
	status, _, body = w.keysrv.request("GET", "/api/v1/messages?limit=200",
	    headers={"Authorization": "Bearer " + token})
	tap.equal(status, 200, "status of messages")
	return [(m["recipient"], m["status"])
	    for m in json.loads(body)["messages"]
	    if m["message_id"] == "<%s@a.test>" % mark]


@tap.case("put off by another milter when its key was issued: sealed anew, "
    "and one line for the sender")
def t_later_milter():
	late = LateMilter(w.path("late-milter"))
	usual, w.a.hop_milter = w.a.hop_milter, w.a.hop_milter + "," + \
	    late.address
	try:
		restart_a()
		late.left = 1
		content = message("putoff")
		send("eve@sink.test", content)
		got = sunk("eve@sink.test", "putoff")
		mail.wait_until_idle(w.a)
		tap.equal(late.left, 0, "messages still to put off")
	finally:
		w.a.hop_milter = usual
		w.a.restart()
		late.stop()
	handle = is_sealed(got)
	opens_to(got, without_flag(content))
	tap.equal(len(keys("putoff")), 2, "keys")
	receipt(handle)
	tap.equal(lines("putoff"), [("eve@sink.test", "opened")],
	    "what the sender sees")


@tap.case("the 250 between the hops is lost: two come, both open, and one "
    "line for the sender")
def t_reply_lost_between():
	cutter = Cutter(w.a.hop_port)
	w.a.files["counterfoil_header_checks"] = postfix.fragment(
	    "counterfoil_header_checks", cutter.port)
	try:
		restart_a()
		content = message("between")
		send("both@sink.test", content)
		copies = w.sink.wait("both@sink.test", 2, 180)
		mail.wait_until_idle(w.a)
		tap.equal(cutter.cuts, 1, "connections cut")
	finally:
		del w.a.files["counterfoil_header_checks"]
		w.a.restart()
		cutter.stop()
	handles = set()
	for one in copies:
		handles.add(is_sealed(one.content))
		opens_to(one.content, without_flag(content))
	tap.equal(len(handles), 2, "keys")
	tap.equal(lines("between"), [("both@sink.test", "opened")],
	    "what the sender sees")


@tap.case("always_bcc: the archive's copy is sealed, under a key of its own")
def t_always_bcc():
	usual, w.a.extra = w.a.extra, w.a.extra + \
	    "always_bcc = archive@a.test\n"
	try:
		restart_a()
		content = message("archived")
		send("bob@b.test", content)
		for one in (find(w.b, "bob", "archived"), find(w.a, "archive",
		    "archived")):
			is_sealed(one)
			opens_to(one, without_flag(content))
		mail.wait_until_idle(w.a)
	finally:
		w.a.extra = usual
		w.a.restart()
	tap.equal([who for _, who in keys("archived")], ["archive@a.test",
	    "bob@b.test"], "whose keys they are")


def forms(text):
	"""The text, and pieces of it as base64 has them."""
	yield text
	for shift in range(3):
		yield base64.b64encode(b"x" * shift + text)[4:-4]


@tap.case("no spool, mailbox, store or log has a word of it in clear")
def t_nothing_left():
	for site in (w.a, w.b, w.p):
		mail.wait_until_idle(site)
	known = os.path.join(w.folder, "a", "queue", "search-probe")
	looked = 0
	for probe in (True, False):
		if probe:
			proc.write_file(known, b"\0N" + CLEAR)
		bad = []
		for folder, _, files in os.walk(w.folder):
			for name in files:
				path = os.path.join(folder, name)
				if not os.path.isfile(path) or \
				    os.path.islink(path):
					continue
				try:
					content = mail.read(path)
				except FileNotFoundError:
					continue	# PostgreSQL's, say
				looked += 1
				# base64 has line ends anywhere.
				whole = content.translate(None, b"\r\n")
				bad += [path for form in forms(CLEAR)
				    if form in whole]
		if probe:
			tap.equal(bad, [known], "what the search finds")
			os.unlink(known)
	tap.equal(bad, [], "files with the sentence")
	for one in w.sink.mails:
		whole = one.content.translate(None, b"\r\n")
		for form in forms(CLEAR):
			tap.lacks(whole, form, "mail to %s" % one.recipient)
	tap.note("%d files" % looked)
	tap.true(looked > 200, "there were files to look at")


if __name__ == "__main__":
	tap.main(start, lambda: w and w.stop())
