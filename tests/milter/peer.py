#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The other end of the milter's socket: what it may leave out, do twice, get
wrong or refuse to take, and what is left of it afterwards."""

import os
import random
import signal
import struct
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig as lib  # noqa: E402
from rig import client, proc, tap  # noqa: E402

CALLS = ("smfi_chgheader", "smfi_addheader", "smfi_replacebody")
rig = None


def start():
	global rig
	rig = lib.Rig(mode="both", local_domains=["local.test"],
	    entitled_daemons=["HOP"]).start()


def seals(at=None, **kw):
	at = at or rig
	content = lib.message()
	return lib.check_sealed(at, at.send(content, **kw), content)


def descriptors(at):
	"""What the milter's descriptors are."""
	folder = "/proc/%d/fd" % at.process.pid
	found = []
	for name in os.listdir(folder):
		try:
			found.append(os.readlink(os.path.join(folder, name)))
		except OSError:
			pass	# closed meanwhile
	return found


def threads(at):
	return len(os.listdir("/proc/%d/task" % at.process.pid))


class Mute(client.Session):
	"""A mail server that sends no macros at all."""

	def send_macros(self, command, pairs):
		pass


class Twofold(client.Session):
	"""One whose macro daemon_name changes after the connection."""

	def send_macros(self, command, pairs):
		if command != b"C":
			pairs = list(pairs) + [("{daemon_name}", self.later)]
		super().send_macros(command, pairs)


def asked_for(symbols):
	"""{stage: [macros]} of what the milter asks for."""
	found = {}
	while symbols:
		stage = struct.unpack(">I", symbols[:4])[0]
		names, _, symbols = symbols[4:].partition(b"\0")
		found[stage] = names.decode().split()
	return found


@tap.case("the macros asked for: the daemon's name with the connection alone, "
    "the queue id with the end")
def t_macros():
	s = rig.session()
	wanted = asked_for(s.symbols)
	s.quit()
	connect, mail_from, rcpt, eom = 0, 2, 3, 5
	tap.equal(set(wanted[connect]), {"{client_addr}", "{daemon_name}",
	    "{daemon_port}"}, "with the connection")
	for name in ("i", "{auth_authen}", "{auth_type}", "{mail_addr}"):
		tap.true(name in wanted[mail_from], "%s at MAIL" % name)
	tap.true("{rcpt_addr}" in wanted[rcpt], "rcpt_addr at RCPT")
	tap.equal(wanted[eom], ["i"], "at the end")
	for stage in wanted:
		tap.true(stage == connect or "{daemon_name}" not in
		    wanted[stage], "daemon_name at stage %d" % stage)


@tap.case("the daemon's name is that of the connection, whatever is said later")
def t_daemon_name():
	for at_connect, later, good in (("HOP", "other", True),
	    ("other", "HOP", False)):
		Twofold.later = later
		s = Twofold(rig.address, client="192.0.2.9",
		    macros={"{daemon_name}": at_connect})
		content = lib.message()
		result = s.send(content)
		s.quit()
		if good:
			lib.check_sealed(rig, result, content)
		else:
			lib.check_refused(result, "550 5.7.1")


@tap.case("no macros at all: the network alone decides, the log has a dash")
def t_no_macros():
	content = lib.message()
	since = rig.log_from()
	s = Mute(rig.address)
	lib.check_sealed(rig, s.send(content), content)
	s.quit()
	rig.wait_log(since, " -: sealed ")
	s = Mute(rig.address, client="192.0.2.9")
	lib.check_refused(s.send(content), "550 5.7.1")
	s.quit()


@tap.case("a transaction without a recipient gets no leave to go on")
def t_no_recipient():
	s = rig.session()
	s.put(b"M", b"<alice@a.test>\0")
	for name, value in ((b"From", b" x"), (b"X-Return-Receipt", b" yes")):
		s.put(b"L", name + b"\0" + value + b"\0")
	for command in (b"N", b"E", b"Q"):
		s.put(command)
	answers = []
	try:
		while True:
			answers.append(s.get()[0])
	except client.Broken:
		pass
	s.close()
	tap.true(b"a" not in answers and b"c" not in answers,
	    "answers: %r" % answers)


@tap.case("a message without the end of its header is none")
def t_no_header():
	for rest in ("body", "end"):
		for _ in range(2):
			s = rig.session()
			result = client.Result()
			s.envelope("<alice@a.test>", ["<bob@b.test>"], result)
			if rest == "body":
				s.send_body(b"Hello\r\n", result)
			else:
				s.end(result)
			tap.equal(result.verdict, "tempfail", rest)
			s.quit()
	content = lib.message()
	lib.check_sealed(rig, rig.send(content), content)


@tap.case("aborted twice, in every phase, and used again")
def t_abort():
	content = lib.message(b"x" * 400000)
	s = rig.session()
	for phase in ("connect", "mail", "header", "body"):
		result = client.Result()
		if phase in ("mail", "header"):
			s.envelope("<alice@a.test>", ["<bob@b.test>"], result)
		if phase == "header":
			s.header([(b"X-Return-Receipt", b" yes")], result)
		if phase == "body":
			s.begin(content)
		s.abort()
		s.abort()
		lib.check_sealed(rig, s.send(content), content)
		s.abort()
	# A new MAIL without an end of the one before.
	s.envelope("<mallory@a.test>", ["<eve@c.test>", "<eve@d.test>"],
	    client.Result())
	lib.check_sealed(rig, s.send(content), content)
	s.quit()


def begin_badly(kind, number):
	"""A connection that ends as no mail server's should."""
	s = rig.session()
	if kind == "silent":
		pass
	elif kind == "mail":
		s.envelope("<a@a.test>", ["<b@b.test>"], client.Result())
	elif kind == "spooled":
		s.begin(lib.message(b"x" * 300000))
	elif kind == "half":
		s.sock.sendall(struct.pack(">I", 100) + b"L" + b"x" * 20)
	elif kind == "junk":
		random.seed(number)
		s.sock.sendall(random.randbytes(200))
	elif kind == "frames":
		random.seed(number)
		try:
			for _ in range(20):
				s.put(random.choice([b"A", b"B", b"C", b"D", b"E",
				    b"H", b"K", b"L", b"M", b"N", b"O", b"Q",
				    b"R", b"T", b"U", b"?"]), random.randbytes(
				    random.choice([0, 1, 3, 8, 40])))
		except client.Broken:
			pass
	if number % 2:
		s.sock.setsockopt(client.socket.SOL_SOCKET,
		    client.socket.SO_LINGER, struct.pack("ii", 1, 0))
	s.close()


@tap.case("connections that end badly, of every kind: no descriptor, no file "
    "and no message is left of them")
def t_bad_ends():
	seals()
	rig.wait_idle()
	before = len(descriptors(rig))
	blobs = rig.blobs()
	for number in range(50):
		for kind in ("silent", "mail", "spooled", "half", "junk",
		    "frames"):
			begin_badly(kind, number)
	rig.wait_idle()
	tap.true(len(descriptors(rig)) <= before, "descriptors are closed: "
	    "%d, now %d" % (before, len(descriptors(rig))))
	tap.equal(rig.blobs(), blobs, "files in the store")
	tap.true(rig.process.alive(), "the milter lives")
	seals()
	# A message that was not freed would be waited for.
	began = rig.log_from()
	rig.stop()
	tap.lacks(began(), "under way", "the log of the stop")
	rig.start()


@tap.case("reloads with mail between them: descriptors and threads stay")
def t_reloads():
	seals()
	session = rig.session()
	content = lib.message()
	counts = []
	for number in range(40):
		since = rig.log_from()
		rig.process.send(signal.SIGHUP)
		rig.wait_log(since, "configuration reloaded")
		lib.check_sealed(rig, session.send(content), content)
		if number in (5, 39):
			# The milter calls itself, too; this one stays.
			proc.wait_for(lambda: rig.connections() == 1, 60,
			    "the other connections to end")
			counts.append((len(descriptors(rig)), threads(rig)))
	session.quit()
	tap.true(counts[1][0] <= counts[0][0] + 8, "descriptors: %r" % counts)
	tap.true(counts[1][1] <= counts[0][1] + 12, "threads: %r" % counts)


def busy_client(number, count, failures):
	"""One mail server that sends in a row, of everything something."""
	try:
		session = rig.session(client="127.0.0.1" if number % 3
		    else "192.0.2.9")
		for turn in range(count):
			flag = b"X-Return-Receipt: yes" if turn % 2 else None
			content = lib.message(b"%d %d\r\n" % (number, turn),
			    flag=flag)
			to = "<bob@local.test>" if number % 3 == 0 \
			    else "<bob@b.test>"
			if turn % 5 == 4:
				session.begin(content, recipients=[to])
				session.abort()
			result = session.send(content, recipients=[to])
			tap.equal(result.verdict, "accept", "verdict")
			tap.equal(result.new_body is not None,
			    bool(flag) and number % 3 != 0, "sealed")
			if flag and number % 3:
				lib.Sealed(result.message)
		session.quit()
	except Exception as e:
		failures.append("client %d: %r" % (number, e))


@tap.case("twelve mail servers at once, and reloads under them")
def t_crowd():
	failures = []
	crowd = [threading.Thread(target=busy_client, args=(n, 15, failures))
	    for n in range(12)]
	for one in crowd:
		one.start()
	while crowd:
		since = rig.log_from()
		rig.process.send(signal.SIGHUP)
		rig.wait_log(since, "configuration reloaded", 60)
		crowd[0].join(0.1)
		crowd = [one for one in crowd if one.is_alive()]
	tap.equal(failures, [], "what went wrong")
	seals()


def odd_field():
	name = random.choice([b"X-" + bytes(random.choices(range(33, 127),
	    k=random.randrange(1, 60))).replace(b":", b""), b"Content-Type",
	    b"content-type ", b"MIME-Version", b"From", b"To", b"Subject",
	    b"Message-ID", b"Received", b"Bcc", b"Content-" + b"z" * 500,
	    b"Counterfoil-M", b"Counterfoil-Version", b"DKIM-Signature",
	    b"List-Unsubscribe", b"%s%n", b"X-Return-Receipts"])
	value = random.choice([b"", b" ", b"\r\n ", b" %s%n%d" * 20,
	    b" multipart/mixed; boundary=" + b"=" * random.randrange(2000),
	    b" <" + b"@" * 3000, b" \xff\xfe\x80", b" =?utf-8?B?" + b"x" * 900,
	    b" \x1b[2J", b" x" * 2000, b"\r\n\t" * 50 + b"x", b" (" * 500,
	    b' "' + b"\\" * 301, b" text/plain; charset=\x01"])
	return name, value


@tap.case("header fields of any content, in any number: sealed and opened the "
    "same, from outside passed as they came")
def t_hostile_fields():
	random.seed(20261123)
	session = rig.session()
	outside = rig.session(client="192.0.2.9")
	for number in range(60):
		fields = [odd_field() for _ in range(random.randrange(1, 40))]
		at = random.randrange(len(fields) + 1)
		flag = (b"X-Return-Receipt", b" yes")
		content = fields[:at] + [flag] + fields[at:], b"text\r\n"
		try:
			lib.check_sealed(rig, session.send(content), content)
		except tap.Failure as e:
			tap.fail("number %d, %r: %s" % (number, fields, e))
		result = outside.send((fields, b"text\r\n"),
		    recipients=["<bob@local.test>"])
		tap.equal((result.verdict, result.edits, result.new_body),
		    ("accept", [], None), "number %d from outside" % number)
	session.quit()
	outside.quit()


class Failing:
	"""A milter whose calls to libmilter fail when told to."""

	def __init__(self, **options):
		self.rig = lib.Rig(**options)
		self.file = os.path.join(self.rig.folder, "failing")
		self.told("none", 0)
		self.rig.start(env=dict(os.environ, CF_FAILING=self.file,
		    LD_PRELOAD=lib.failing_library(self.rig.folder)))

	def told(self, name, count):
		proc.write_file(self.file, "%s %d\n" % (name, count))

	def happened(self):
		return proc.read_text(self.file).startswith("none")


@tap.case("each call for a change that the mail server does not take: put "
    "off, nothing kept")
def t_calls():
	failing = Failing()
	at = failing.rig
	failed = {}
	try:
		content = lib.message(b"x" * 200000, extra=[
		    b"Content-Type: text/plain", b"Content-Type: text/html",
		    b"Content-Transfer-Encoding: 8bit", b"MIME-Version: 1.0"])
		session = at.session()
		for name in CALLS:
			failed[name] = 0
			while True:
				before = at.blobs()
				failing.told(name, failed[name] + 1)
				result = session.send(content)
				if not failing.happened():
					break
				failed[name] += 1
				lib.check_refused(result, "451")
				tap.equal(at.blobs(), before, "the store")
			lib.check_sealed(at, result, content)
		session.quit()
	finally:
		at.close()
	tap.note(failed)
	tap.true(failed["smfi_chgheader"] >= 4 and
	    failed["smfi_addheader"] >= 1 and
	    failed["smfi_replacebody"] >= 2, "calls that failed: %r" % failed)


@tap.case("sealed mail that is not taken after all: its file stays for the "
    "next attempt, and for another message")
def t_not_taken():
	seal = rig.send(lib.message()).message
	failing = Failing(mode="inbound",
	    allowed_key_servers=[rig.key_server.url])
	at = failing.rig
	try:
		failing.told("smfi_replacebody", 1)
		lib.check_refused(at.send(seal), "451")
		tap.true(failing.happened(), "it failed")
		blob, = at.blobs()
		inode = os.stat(blob).st_ino
		link = lib.Sealed(at.send(seal).message).link
		failing.told("smfi_replacebody", 1)
		lib.check_refused(at.send(seal), "451")
		tap.equal(at.blobs(), [blob], "the file of the one in between")
		tap.equal(os.stat(blob).st_ino, inode, "the same")
		tap.contains(link, os.path.basename(blob), "its link")
	finally:
		at.close()


def refuses_session(failing):
	"""Does a connection end whose data cannot be kept?"""
	# The end of a session makes this call, too.
	failing.rig.wait_idle()
	failing.told("smfi_setpriv", 1)
	try:
		failing.rig.session().quit()
		return False
	except client.Broken:
		return failing.happened()


@tap.case("the same while the flag is stripped, and in other calls")
def t_other_calls():
	failing = Failing(mode="both", local_domains=["b.test"])
	at = failing.rig
	try:
		failing.told("smfi_chgheader", 1)
		lib.check_refused(at.send(lib.message(), client="192.0.2.9"),
		    "451")
		tap.true(failing.happened(), "it failed")
		# The verdict counts, with its text or without.
		failing.told("smfi_setreply", 1)
		result = at.send(lib.message(extra=[b"X-Return-Receipt: no"]))
		tap.equal(result.verdict, "reject", "without a text")
		tap.true(refuses_session(failing),
		    "a session without memory ends")
		failing.rig.wait_idle()
		failing.told("smfi_setsymlist", 1)
		seals(at)
		tap.true(failing.happened(), "it failed")
	finally:
		at.close()


tap.main(setup=start, teardown=lambda: rig and rig.close())
