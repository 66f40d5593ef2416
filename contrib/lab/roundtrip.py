# SPDX-License-Identifier: Apache-2.0
"""Send messages through two real gateways, open them, compare.

    a.test    Postfix with the sealing hop, counterfoil-milter
    b.test    Postfix, counterfoil-milter
    control   the same two without the milters

Each message goes through a and b with the flag and is opened by
counterfoil(1).  What does not come out byte by byte as it went in goes
through the control as well, without the flag: there Postfix shows what it
changes by itself.
"""

import argparse
import collections
import os
import queue
import re
import signal
import smtplib
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab import postfix, proc, wire, world  # noqa: E402

KINDS = ("identical", "changed", "lined", "refused", "failed")
SIZE_LIMIT = 150000000
# Fields of a header, and their bytes: what the milter is set to take.
HEADER_COUNT = 15000
HEADER_LIMIT = 16000000
FIELD_LIMIT = 59000	# Postfix shows no milter more than 60000
IN_FLIGHT_BYTES = 96 << 20
WAIT_S = 300		# for one message on a busy machine, and
WAIT_PER_MB_S = 5	# this for each of its megabytes
POLL_S = 0.01

# What the gateways have beyond contrib/postfix.  A field that Postfix adds
# (Date, Message-Id) has another value in each run, so none are added.
POSTFIX_EXTRA = """\
local_header_rewrite_clients =
virtual_mailbox_maps = static:inbox/
virtual_transport = virtual
in_flow_delay = 0
"""
# What arrives behind the control is to be what a milter at its hop would
# have been shown; in front of the milter nothing breaks lines either.
CONTROL_EXTRA = POSTFIX_EXTRA + """\
smtp_line_length_limit = 0
content_filter = counterfoil-hop:[127.0.0.1]:%d
"""

Result = collections.namedtuple("Result", "kind why")
Answer = collections.namedtuple("Answer", "path refusal")


class Trouble(Exception):
	"""This message did not make it; the text says why."""


class Inbox:
	"""The one Maildir of a site: hands files to those who wait for them."""

	def __init__(self, site, is_bounce):
		self.folder = os.path.join(site.mail, "inbox", "new")
		self.is_bounce = is_bounce
		self.seen = set()

	def look(self, tickets):
		try:
			with os.scandir(self.folder) as entries:
				paths = {e.path for e in entries}
		except FileNotFoundError:
			return
		for path in paths - self.seen:
			self._give(path, tickets)
		self.seen = paths

	def _give(self, path, tickets):
		try:
			self._read(path, tickets)
		except FileNotFoundError:
			pass	# already fetched

	def _read(self, path, tickets):
		with open(path, "rb") as f:
			start = f.read(4096)
			m = re.search(rb"(?m)^Delivered-To: rt-(\d+)@", start)
			refusal = None
			if self.is_bounce:
				refusal = bounce_reason(start + f.read(60000))
		waiting = tickets.get(int(m.group(1))) if m else None
		if waiting is None:
			remove(path)	# of one that was given up
			return
		waiting.put(Answer(path, refusal))


def bounce_reason(text):
	m = re.search(rb"(?m)^Diagnostic-Code: *(.*(?:\n[ \t].*)*)", text)
	return " ".join((m.group(1) if m else b"a bounce without a reason"
	    ).decode("utf-8", "backslashreplace").split())


def remove(path):
	try:
		os.unlink(path)
	except FileNotFoundError:
		pass


class Post:
	"""Everything that is on its way, and the thread that looks for it."""

	def __init__(self):
		self.tickets = {}
		self.inboxes = []
		self.broken = None
		self._count = 0
		self._lock = threading.Lock()
		self._stop = threading.Event()
		self._thread = threading.Thread(target=self._run, daemon=True)

	def start(self, inboxes):
		self.inboxes = inboxes
		self._thread.start()

	def stop(self):
		self._stop.set()
		if self._thread.is_alive():
			self._thread.join()

	def _run(self):
		try:
			while not self._stop.wait(POLL_S):
				for inbox in self.inboxes:
					inbox.look(self.tickets)
		except Exception as e:
			self.broken = "looking for mail: %r" % e

	def pause(self, seconds):
		"""Sleep; True when there is nothing more to wait for."""
		return self._stop.wait(seconds)

	def ticket(self):
		with self._lock:
			self._count += 1
			number = self._count
		self.tickets[number] = queue.Queue()
		return number


class Session:
	"""An SMTP session that is kept open from message to message."""

	def __init__(self, port):
		self.port = port
		self.smtp = None

	def close(self):
		if self.smtp:
			self.smtp.close()
		self.smtp = None

	def send(self, name, content):
		"""(code, text) of the last reply."""
		for last in (False, True):
			fresh = self.smtp is None
			try:
				code, text = self._try(name, content)
			except (OSError, smtplib.SMTPException):
				self.close()
				# An old session may have run into a limit.
				if fresh or last:
					raise
				continue
			if code != 250:
				self.close()	# errors add up in a session
				if code == 421 and not (fresh or last):
					continue
			return code, text

	def _try(self, name, content):
		if self.smtp is None:
			self.smtp = smtplib.SMTP("127.0.0.1", self.port,
			    local_hostname="client.test", timeout=WAIT_S)
			self.smtp.ehlo()
		s = self.smtp
		for command in ("MAIL FROM:<%s@a.test>%s" % (name,
		    self._options(content)), "RCPT TO:<%s@b.test>" % name):
			reply = s.docmd(command)
			if reply[0] != 250:
				return reply
		if not wire.goes_by_data(content):
			s.send(b"BDAT %d LAST\r\n" % len(content))
			s.send(content)
			return s.getreply()
		reply = s.docmd("DATA")
		if reply[0] != 354:
			return reply
		# Postfix takes a stray LF as the end of a line.
		stuffed = content.replace(b"\n.", b"\n..")
		if stuffed.startswith(b"."):
			stuffed = b"." + stuffed
		s.send(stuffed)
		s.send(b".\r\n")
		return s.getreply()

	def _options(self, content):
		if content.isascii():
			return ""
		options = " BODY=8BITMIME"
		head = content[:wire.header(content)[1]]
		if not head.isascii() and self.smtp.has_extn("smtputf8"):
			try:
				head.decode("utf-8")
				options += " SMTPUTF8"
			except UnicodeDecodeError:
				pass
		return options


class Budget:
	"""Bounds the bytes of the messages under way; one is always let in."""

	def __init__(self, most):
		self.most = most
		self.used = 0
		self._changed = threading.Condition()

	def take(self, size):
		with self._changed:
			self._changed.wait_for(lambda: self.used == 0
			    or self.used + size <= self.most)
			self.used += size

	def give(self, size):
		with self._changed:
			self.used -= size
			self._changed.notify_all()


class Gateways:
	"""The two sites with the milters and the two without."""

	def __init__(self, folder=None, size_limit=SIZE_LIMIT):
		self.size_limit = size_limit
		self.world = world.World(folder, size_limit=size_limit,
		    postfix_extra=POSTFIX_EXTRA,
		    # Nobody reads receipts here.
		    keysrv_options={"outbox": "off"},
		    a_options={"lists": "seal", "automatic": "seal",
		        "header_count": HEADER_COUNT,
		        "header_limit": HEADER_LIMIT})
		self.control_a = self.control_b = None

	def start(self):
		try:
			self.world.start()
			self._start_control()
		except BaseException:
			self.stop()
			raise
		self.config = self.world.agent_config()
		return self

	def _start_control(self):
		w = self.world
		self.control_b = postfix.Postfix(w.path("control-b"), "b.test",
		    milter="", size_limit=self.size_limit)
		self.control_a = postfix.Postfix(w.path("control-a"), "a.test",
		    {"b.test": self.control_b.port}, hop_milter="",
		    size_limit=self.size_limit)
		self.control_b.routes = {"a.test": self.control_a.port}
		self.control_a.extra = CONTROL_EXTRA % self.control_a.hop_port
		self.control_b.extra = POSTFIX_EXTRA
		self.control_a.routes = {"b.test": self.control_b.port}
		self.control_b.start()
		self.control_a.start()

	def stop(self):
		for site in (self.control_a, self.control_b):
			if site:
				site.stop()
		self.world.stop()

	def inboxes(self):
		w = self.world
		return [Inbox(w.b, False), Inbox(w.a, True),
		    Inbox(self.control_b, False), Inbox(self.control_a, True)]

	def dead(self):
		for site in (self.control_a, self.control_b):
			if not site.process.alive():
				return site.name + " has ended by itself"
		gone = self.world.dead()
		return gone + " has ended by itself" if gone else None

	def sweep(self, before):
		"""Remove stored ciphertexts that nobody here will ask for."""
		for store in (self.world.a_milter.store,
		    self.world.b_milter.store):
			for folder, _, files in os.walk(store):
				for name in files:
					if name.startswith("."):
						continue
					path = os.path.join(folder, name)
					try:
						if os.stat(path).st_mtime < before:
							os.unlink(path)
					except FileNotFoundError:
						pass


def compare(content, wanted, shown):
	"""The Result of an opened message; Trouble if it is damaged.

	shown: what came out without the milters.
	"""
	kind = wire.kind_of(content, wanted, shown)
	if kind is None:
		raise Trouble("opened " + wire.difference(content, shown)
		    + " behind the control run")
	return Result(kind, "" if kind == "identical" else wire.difference(
	    content if kind == "lined" else shown, wanted))


def reason_of(refusal):
	"""A refusal without what differs from run to run."""
	return re.sub(r"\brt-\d+@|\b[0-9A-F]{6,}\b|\[[^\]]*\](?::\d+)?", "#",
	    refusal)


def compare_refusals(refusal, also):
	"""The Result of a refused one; Trouble if it is by our doing.

	also: the refusal without the milters, None if there was none.
	"""
	if also is None:
		raise Trouble("refused, but not without the milters: " + refusal)
	if reason_of(also) != reason_of(refusal):
		raise Trouble("refused: %s; but without the milters: %s"
		    % (refusal, also))
	return Result("refused", also)


class Worker:
	"""Takes messages through, one after the other."""

	def __init__(self, run):
		self.run = run
		g = run.gateways
		self.sealed = Session(g.world.a.port)
		self.control = Session(g.control_a.port)

	def close(self):
		self.sealed.close()
		self.control.close()

	def handle(self, path):
		"""The Result for one file."""
		with open(path, "rb") as f:
			content = wire.from_file(f.read())
		flagged, plain = wire.flagged(content)
		del content
		notes = Notes(self.run.keep, self.run.label(path))
		try:
			result = self.judge(flagged, plain, notes)
		except Trouble as e:
			result = Result("failed", str(e))
		notes.end(result, flagged)
		return result

	def judge(self, flagged, plain, notes):
		refusal, content = self.open(flagged, notes)
		if refusal is not None:
			return self.judge_refusal(refusal, plain)
		if content is None:
			raise Trouble("the opened message does not begin with "
			    "Postfix's trace field")
		wanted = wire.expected(plain)
		if content == wanted:
			return Result("identical", "")
		refusal, shown = self.pass_control(plain, notes)
		if refusal is not None:
			raise Trouble("sealed and delivered, but refused without "
			    "the milters: " + refusal)
		if shown is None:
			raise Trouble("no trace field behind the control run")
		return compare(content, wanted,
		    wire.without(shown, wire.DROPPED))

	def judge_refusal(self, refusal, plain):
		reason = self.run.over_limit(refusal, plain)
		if reason:
			return Result("refused", reason)
		also, _ = self.pass_control(plain, Notes(None, None))
		return compare_refusals(refusal, also)

	def open(self, flagged, notes):
		"""(refusal or None, the opened message behind its trace)"""
		answer = self.transmit(self.sealed, flagged)
		if answer.refusal is not None:
			remove(answer.path or "")
			return answer.refusal, None
		try:
			return None, self.open_file(answer.path, notes)
		finally:
			notes.file("delivered", answer.path)
			remove(answer.path)

	def open_file(self, path, notes):
		out = os.path.join(self.run.opened, os.path.basename(path))
		try:
			done = proc.run([self.run.program, "-c",
			    self.run.gateways.config, "open", "-q", path, "-o",
			    out], WAIT_S, check=False)
			if done.returncode != 0:
				raise Trouble("counterfoil open ended with %d: %s"
				    % (done.returncode, plain_text(done.stderr)))
			with open(out, "rb") as f:
				content = f.read()
			notes.bytes("opened", content)
			return wire.opened(content)
		finally:
			remove(out)

	def pass_control(self, plain, notes):
		"""(refusal or None, the message behind the control's trace)"""
		answer = self.transmit(self.control, plain)
		if answer.refusal is not None:
			remove(answer.path or "")
			return answer.refusal, None
		notes.file("control", answer.path)
		with open(answer.path, "rb") as f:
			content = f.read()
		remove(answer.path)
		return None, wire.delivered(content)

	def transmit(self, session, content):
		"""Send it and wait for where it comes out: an Answer."""
		run = self.run
		number = run.post.ticket()
		waiting = run.post.tickets[number]
		try:
			try:
				code, text = session.send("rt-%d" % number,
				    content)
			except (OSError, smtplib.SMTPException) as e:
				raise Trouble("SMTP: %s" % e)
			if code // 100 == 5:
				return Answer(None, "%d %s" % (code,
				    plain_text(text)))
			if code != 250:
				raise Trouble("the first gateway said %d %s"
				    % (code, plain_text(text)))
			return self.wait(waiting, number, len(content))
		finally:
			del run.post.tickets[number]

	def wait(self, waiting, number, size):
		end = time.monotonic() + WAIT_S + WAIT_PER_MB_S * (size >> 20)
		while True:
			try:
				return waiting.get(timeout=1)
			except queue.Empty:
				pass
			if self.run.broken:
				raise Trouble(self.run.broken)
			if time.monotonic() > end:
				raise Trouble("did not arrive in time; "
				    + self.run.waits_because(number))


def plain_text(data):
	return " ".join(data.decode("utf-8", "backslashreplace").split())


class Notes:
	"""What --keep leaves of a message that is not identical."""

	def __init__(self, folder, label):
		self.folder = folder
		self.label = label
		self.kept = {}

	def bytes(self, what, content):
		if self.folder:
			self.kept[what] = content

	def file(self, what, path):
		if self.folder:
			with open(path, "rb") as f:
				self.kept[what] = f.read()

	def end(self, result, sent):
		if not self.folder or result.kind == "identical":
			return
		self.kept["sent"] = sent
		for what, content in self.kept.items():
			proc.write_file(os.path.join(self.folder, "%s.%s"
			    % (self.label, what)), content)


class Run:
	"""results: {path: Result}, complete when go() returns."""

	def __init__(self, gateways, jobs, keep=None, on_result=None):
		self.gateways = gateways
		self.jobs = jobs
		self.keep = keep
		self.on_result = on_result or (lambda path, result: None)
		self.program = proc.program("counterfoil")
		self.opened = gateways.world.path("opened")
		self.post = Post()
		self.budget = Budget(IN_FLIGHT_BYTES)
		self.broken = None
		self.results = {}
		self.count = collections.Counter()
		self.began = {}		# thread: when its message was sent
		self._lock = threading.Lock()
		self._work = queue.Queue(2 * jobs)
		self._labels = {}
		os.makedirs(self.opened, mode=0o700, exist_ok=True)

	def label(self, path):
		with self._lock:
			number = len(self._labels) + 1
			self._labels[path] = number
		return "%06d-%s" % (number, re.sub(r"[^\w.-]", "_",
		    os.path.basename(path))[:80])

	def over_limit(self, refusal, plain):
		"""Why this was too large for us, or None."""
		if " 5.3.4 " not in refusal:
			return None
		fields, end = wire.header(plain)
		longest = wire.longest_field(plain, fields)
		if len(plain) * 78 // 57 > self.gateways.size_limit:
			return "%d bytes are over the size limit when sealed" \
			    % len(plain)
		if len(fields) >= HEADER_COUNT or end > HEADER_LIMIT:
			return "a header of %d fields, %d bytes, is over the " \
			    "limit" % (len(fields), end)
		if longest > FIELD_LIMIT:
			return "a field of %d bytes is over the limit" % longest
		return None

	def waits_because(self, number):
		w = self.gateways.world
		found = []
		for site in (w.a, w.b, self.gateways.control_a,
		    self.gateways.control_b):
			for entry in site.queue_text().split("\n\n"):
				if "rt-%d@" % number in entry:
					found.append(" ".join(entry.split()))
		return "; ".join(found) or "it is in no queue"

	def go(self, paths):
		self.post.start(self.gateways.inboxes())
		threads = [threading.Thread(target=self._serve, daemon=True)
		    for _ in range(self.jobs)]
		for t in threads:
			t.start()
		watch = threading.Thread(target=self._watch, daemon=True)
		watch.start()
		for path in paths:
			self._work.put(path)
		for _ in threads:
			self._work.put(None)
		for t in threads:
			t.join()
		self.post.stop()
		return self.results

	def _watch(self):
		"""Is everything alive?  And make room."""
		last = time.monotonic()
		while not self.post.pause(1):
			self.broken = self.broken or self.post.broken or \
			    self.gateways.dead()
			if time.monotonic() - last < 10:
				continue
			last = time.monotonic()
			self.gateways.sweep(min(list(self.began.values())
			    or [time.time()]) - 1)

	def _serve(self):
		worker = Worker(self)
		me = threading.get_ident()
		while True:
			path = self._work.get()
			if path is None:
				break
			try:
				result = self._one(worker, path, me)
			except Exception as e:
				result = Result("failed", "%s: %s"
				    % (type(e).__name__, e))
			with self._lock:
				if path not in self.results:
					self.results[path] = result
					self.count[result.kind] += 1
			self.on_result(path, result)
		worker.close()

	def _one(self, worker, path, me):
		if self.broken:
			return Result("failed", self.broken)
		size = os.stat(path).st_size
		self.budget.take(size)
		self.began[me] = time.time()
		try:
			return worker.handle(path)
		finally:
			del self.began[me]
			self.budget.give(size)

	def give_up(self, paths, why):
		with self._lock:
			for path in paths:
				if path not in self.results:
					self.results[path] = Result("failed", why)
					self.count["failed"] += 1

	def last_line(self):
		return "%d identical, %d changed by the MTA alone (shown by a " \
		    "control run without the milters), %d with an empty line " \
		    "added behind a bare header, %d refused, %d failed" \
		    % tuple(self.count[k] for k in KINDS)


def messages(top):
	"""Every .eml at or below `top`."""
	if os.path.isfile(top):
		return [top]
	found = []
	for folder, dirs, files in os.walk(top):
		dirs.sort()
		found += [os.path.join(folder, f) for f in sorted(files)
		    if f.lower().endswith(".eml")]
	return found


def shown_name(path):
	return os.fsencode(path).decode("utf-8", "backslashreplace"
	    ).encode("unicode_escape").decode()


class Progress:
	"""One line on standard error: rewritten on a terminal."""

	def __init__(self, run, total):
		self.run = run
		self.total = total
		self.began = time.monotonic()
		self.terminal = sys.stderr.isatty()
		self.next = 0
		self._lock = threading.Lock()

	def __call__(self, path, result):
		with self._lock:
			self._show(sum(self.run.count.values()))

	def _show(self, done):
		now = time.monotonic()
		if now < self.next and done < self.total:
			return
		self.next = now + (0.2 if self.terminal else 10)
		text = "%d of %d messages, %.1f/s: %s" % (done, self.total,
		    done / max(now - self.began, 0.001), ", ".join("%d %s"
		    % (self.run.count[k], k) for k in KINDS))
		sys.stderr.write(("\r" + text + "\x1b[K") if self.terminal
		    else text + "\n")
		if self.terminal and done == self.total:
			sys.stderr.write("\n")
		sys.stderr.flush()


def interrupted(*_):
	raise KeyboardInterrupt


def parse_arguments():
	parser = argparse.ArgumentParser(prog="roundtrip", description=
	    "Send every .eml below DIR through two Postfix gateways, open "
	    "each, and compare.  Exit status 0 only if none failed.")
	parser.add_argument("dir", metavar="DIR")
	parser.add_argument("--jobs", type=int, metavar="N",
	    default=8 * (os.cpu_count() or 1),
	    help="messages under way at a time (default: %(default)s)")
	parser.add_argument("--keep", metavar="FOLDER", help="leave there what "
	    "was sent, delivered and opened of each message that is not "
	    "identical, and the logs if one failed")
	parser.add_argument("--size-limit", type=int, metavar="BYTES",
	    default=SIZE_LIMIT, help="message_size_limit of the gateways; "
	    "sealing adds four tenths (default: %(default)s)")
	options = parser.parse_args()
	if options.jobs < 1 or options.size_limit < 100000:
		parser.error("--jobs is at least 1, --size-limit 100000")
	return options


def keep_logs(gateways, folder):
	for path in gateways.world.log_files() + [gateways.control_a.maillog,
	    gateways.control_b.maillog]:
		name = os.path.relpath(path, gateways.world.folder)
		with open(path, "rb") as f:
			proc.write_file(os.path.join(folder, "log-"
			    + name.replace("/", "-")), f.read())


def report(run):
	for kind in KINDS[1:]:
		for path, result in sorted(run.results.items()):
			if result.kind == kind:
				print("%-8s %s: %s" % (kind, shown_name(path),
				    result.why))
	print(run.last_line(), flush=True)


def main():
	options = parse_arguments()
	paths = messages(options.dir)
	if not paths:
		sys.exit("roundtrip: there is no .eml below %s" % options.dir)
	for sig in (signal.SIGTERM, signal.SIGHUP):
		signal.signal(sig, interrupted)
	if options.keep:
		os.makedirs(options.keep, exist_ok=True)
	sys.stderr.write("%d messages; starting the gateways\n" % len(paths))
	gateways = Gateways(size_limit=options.size_limit)
	try:
		gateways.start()
	except proc.LabError as e:
		sys.exit("roundtrip: %s" % e)
	run = Run(gateways, options.jobs, options.keep)
	run.on_result = Progress(run, len(paths))
	try:
		run.go(paths)
	except KeyboardInterrupt:
		run.give_up(paths, "not done: interrupted")
	finally:
		if options.keep and run.count["failed"]:
			keep_logs(gateways, options.keep)
		gateways.stop()
	report(run)
	sys.exit(1 if run.count["failed"] else 0)


if __name__ == "__main__":
	try:
		main()
	except KeyboardInterrupt:
		sys.exit("roundtrip: interrupted")
