# SPDX-License-Identifier: Apache-2.0
"""Milters on one Postfix: ours, of each build, and those to compare with."""

import os

from lab import ca, keysrv, mail, milter, pg, postfix, proc

import figures
import meters
import turns
from figures import Sample
from peers import OpenDkim, PeerMilter

SESSIONS = 20
SMALL = 10000
LIMIT = 60000000	# bytes of a message, everywhere
LIMIT_S = 240		# of one turn
READER = "reader.a.test"
MODES = ("null", "headers", "body", "replace", "same")


class Relay(postfix.Postfix):
	"""One Postfix with a port per milter, all else the same.

	Mail for b.test is thrown away by discard(8) after it went through the
	queue; mail for alice@a.test goes to a Maildir, to be looked at.
	"""

	def __init__(self, folder, milters):
		super().__init__(folder, "a.test", ["alice"],
		    {"b.test": "discard:"}, extra="milter_default_action = "
		    "tempfail\n")
		self.ports = {n: proc.free_port() for n in milters}
		self.milters = milters

	def start(self):
		super().start()
		self.process.wait_ready(lambda: all(proc.port_answers(p)
		    for p in self.ports.values()))
		return self

	def _write(self, name, text, mode=0o644):
		if name == "master.cf":
			for key, address in self.milters.items():
				text += "127.0.0.1:%d inet n - n - - smtpd\n" \
				    "    -o smtpd_milters=%s\n" \
				    % (self.ports[key], address)
		super()._write(name, text, mode)


MESSAGE = """\
From: Alice <alice@a.test>
To: Bob <bob@b.test>
Subject: Minutes of the meeting of 23 November
Date: Mon, 23 Nov 2026 13:35:00 +0000
Message-ID: <20261123133500.4711@client.a.test>
MIME-Version: 1.0
Content-Type: text/plain; charset=us-ascii
Content-Transfer-Encoding: 7bit
%s
"""


def message(flagged, size):
	lines = [MESSAGE % ("X-Return-Receipt: yes\n" if flagged else "")]
	left = size - len(lines[0])
	while left > 0:
		lines.append("%04d The quick brown fox jumps over the lazy "
		    "dog, and back again.\n" % len(lines))
		left -= len(lines[-1])
	return "".join(lines)


def fill_shards(store):
	"""A store that has been in use has its 4096 subdirectories."""
	letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" \
	    "0123456789-_"
	for a in letters:
		for b in letters:
			os.makedirs(os.path.join(store, a + b), 0o755,
			    exist_ok=True)


def empty_store(store):
	"""All that is stored goes; the subdirectories stay."""
	for folder, _, files in os.walk(store):
		if folder == store:
			continue
		for name in files:
			os.unlink(os.path.join(folder, name))


def stored(store):
	"""How many messages are in it."""
	return sum(len(files) for folder, _, files in os.walk(store)
	    if folder != store)


class Gateway:
	"""Milters of one build, for mail out and in, and its key server."""

	def __init__(self, folder, build, cluster, authority, name):
		self.build = build
		path = lambda part: os.path.join(folder, part)  # noqa: E731
		self.keysrv = keysrv.KeyServer(path("keysrv"), cluster,
		    tls=authority.server("keysrv-" + name),
		    ca_file=authority.file, database="counterfoil_" + name,
		    options={"outbox": "off"})
		with build:
			self.keysrv.prepare()
			token = self.keysrv.add_gateway("gateway", "a.test")
		common = {"allowed_key_servers": [self.keysrv.url],
		    "reader_url": "https://" + READER,
		    "networks": ["127.0.0.1/32"], "message_size_limit": LIMIT}
		self.milter = milter.Milter(path("milter"), "outbound", {
		    "key_servers": [self.keysrv.url],
		    "ca_file": authority.file, "api_token_file": token,
		    **common})
		self.inbound = milter.Milter(path("inbound"), "inbound", common)
		for one in (self.milter, self.inbound):
			fill_shards(one.store)

	def start(self):
		with self.build:
			self.keysrv.start()
			self.milter.start()
			self.inbound.start()

	def stop(self):
		self.inbound.stop()
		self.milter.stop()
		self.keysrv.stop()


class MailLab:
	"""Everything that the comparisons of mail need, started once."""

	def __init__(self, run):
		self.run = run
		self.folder = os.path.join(run.folder, "mail")
		self.started = []
		try:
			self.start()
		except BaseException:
			self.stop()
			raise

	def start(self):
		path = lambda name: os.path.join(  # noqa: E731
		    self.folder, name)
		self.pg = pg.Cluster(path("pg"))
		self.begin(self.pg)
		self.authority = ca.Authority(path("ca"))
		self.gateways = {name: Gateway(path(name), build, self.pg,
		    self.authority, name)
		    for name, build in self.run.builds.items()}
		# What comes in to each of them was sealed by our build.
		services = [g.keysrv.url for g in self.gateways.values()]
		for gateway in self.gateways.values():
			gateway.inbound.configure(allowed_key_servers=services)
			self.begin(gateway)
		self.peers = {mode: PeerMilter(path(mode), mode)
		    for mode in MODES}
		self.peers["dkim"] = OpenDkim(path("dkim"))
		for peer in self.peers.values():
			self.begin(peer)
		milters = {n: p.address for n, p in self.peers.items()}
		for name, gateway in self.gateways.items():
			milters[name] = gateway.milter.address
			milters[name + "-in"] = gateway.inbound.address
		self.relay = Relay(path("relay"), milters)
		self.begin(self.relay)
		self.check()

	def begin(self, thing):
		self.started.append(thing)
		thing.start()

	def stop(self):
		while self.started:
			self.started.pop().stop()

	def check(self):
		"""Each port must do what it is measured for."""
		wanted = [("dkim", False, b"\nDKIM-Signature: v=1;"),
		    ("null", False, b"\nFrom: Alice"),
		    ("headers", False, b"\nFrom: Alice"),
		    ("body", True, b"QQQQQQQQQ\n"),
		    ("replace", False, b"\n0001 The quick"),
		    ("same", False, b"\n0001 The quick")]
		for name in self.gateways:
			wanted += [(name, True, b"\nCounterfoil-Version: 1\n"),
			    (name, False, b"\nFrom: Alice")]
		for port, flagged, text in wanted:
			path = self.deliver(port, self.file(flagged))
			got = mail.read(path)
			if text not in got or (flagged and b"quick brown"
			    in got):
				raise proc.LabError("port %s did not do its "
				    "work:\n%s" % (port, got[:3000].decode(
				    "utf-8", "replace")))
		self.relay.empty("alice")
		turns.note("each milter does its work")

	def deliver(self, port, file):
		"""The file of it in alice's Maildir."""
		before = set(self.relay.messages("alice"))
		self.send(port, file, 1, to="alice@a.test")
		found = mail.wait(self.relay, "alice", len(before) + 1)
		return [f for f in found if f not in before][0]

	def file(self, flagged, size=SMALL):
		"""The message to send, made when it is first asked for."""
		path = os.path.join(self.folder, "%s-%d" % ("flagged" if flagged
		    else "plain", size))
		if not os.path.exists(path):
			proc.write_file(path, message(flagged, size))
		return path

	def sealed(self, size, count):
		"""Files of as many messages that came through our milter."""
		folder = os.path.join(self.folder, "sealed-%d" % size)
		if not os.path.exists(folder):
			os.mkdir(folder)
			self.relay.empty("alice")
			self.send("ours", self.file(True, size), count, 4,
			    to="alice@a.test")
			for n, path in enumerate(mail.wait(self.relay, "alice",
			    count)):
				proc.write_file(os.path.join(folder, str(n)),
				    as_sent(mail.read(path)))
			self.relay.empty("alice")
		return [os.path.join(folder, name)
		    for name in sorted(os.listdir(folder))][:count]

	def address(self, port):
		return "127.0.0.1:%d" % self.relay.ports[port]

	def send(self, port, file, count, sessions=SESSIONS,
	    to="bob@b.test", keep=False):
		"""A Sample; it ends when the last message was accepted."""
		words = ["smtp-source", "-s", str(min(sessions, count)),
		    "-m", str(count), "-f", "alice@a.test", "-t", to,
		    "-F", file]
		if keep:
			words.append("-d")
		return Sample(count, turns.timed(lambda: proc.run(words
		    + [self.address(port)], limit_s=LIMIT_S)))

	def send_files(self, port, files, sessions):
		"""Each once; a program for each of them."""
		return Sample(len(files), turns.timed(lambda: proc.run([
		    "xargs", "-P", str(sessions), "-I", "FILE", "smtp-source",
		    "-f", "alice@a.test", "-t", "bob@b.test", "-F", "FILE",
		    self.address(port)], limit_s=LIMIT_S,
		    input="\n".join(files).encode())))

	def programs(self, port):
		"""Whose processor time counts for a port."""
		found = {"smtp, queue": self.relay.process.pid}
		if port in self.peers:
			found[self.peers[port].name] = self.peers[
			    port].process.pid
			return found
		gateway = self.gateways[port.removesuffix("-in")]
		if port.endswith("-in"):
			return {**found, "milter": gateway.inbound.pid}
		return {**found, "milter": gateway.milter.pid,
		    "keysrv": gateway.keysrv.pid,
		    "PostgreSQL": self.pg.process.pid}

	def measure(self, port, work):
		"""When nothing is left of what was sent before."""
		mail.wait_until_idle(self.relay, 120)
		return meters.measure(self.programs(port), work)

	def compare(self, what, flagged, peers, size=SMALL,
	    sessions=SESSIONS, least=100, keep=False, take=None):
		"""`least` messages a turn, or as many as the time is for.

		peers  {port: name of the figure}
		"""
		ports = ["ours"] + [p for p in peers if p in self.relay.ports]
		file = self.file(flagged, size)
		for port in ports:	# warm up
			sample = self.send(port, file, least // 2, sessions,
			    keep=keep)
		count = max(least, int(figures.rate(sample)
		    * self.run.options.seconds))
		turns.note("%s: %d messages a turn" % (what, count))
		work = {port: lambda p=port: self.measure(p, lambda: self.send(
		    p, file, count, sessions, keep=keep)) for port in ports}
		samples = self.run.take_turns(what, work, take)
		mail.wait_until_idle(self.relay, 120)
		self.run.report(what, samples, peers)
		for gateway in self.gateways.values():
			empty_store(gateway.milter.store)


def as_sent(content):
	"""Without the fields of the last delivery, which loops are known by."""
	head, body = content.split(b"\n\n", 1)
	lines = [line for line in head.split(b"\n") if not line.lower(
	    ).startswith((b"delivered-to:", b"return-path:",
	    b"x-original-to:"))]
	return b"\n".join(lines) + b"\n\n" + body


def mail_lab(run):
	def make():
		turns.say("mail: smtp-source -s %d unless said otherwise, one "
		    "Postfix with a port per milter, unix sockets," % SESSIONS)
		turns.say("      accepted to the last one (queued, discarded "
		    "after); key server over TLS, fsync on")
		return MailLab(run)
	return run.lab("mail", make)
