# SPDX-License-Identifier: Apache-2.0
"""A mail server's side of the milter protocol, and what it does with edits.

    session = client.Session("unix:/path", leadspc=True)
    result = session.send(message, sender, [recipient])
    result.verdict       'accept', 'reject', 'tempfail'
    result.reply         b'550 5.7.1 ...' or None
    result.message       header and body as Postfix would send them on

Edits are applied as Postfix does: the index counts the fields of that name
(any case) as they stand now, a deletion moves those behind it up, an index
past the last one appends, an empty value deletes.  Body pieces must come in
one run, and nothing but the final reply may follow it.
"""

import socket
import struct

VERSION = 6
ACTIONS = 0x1ff
ADDHDRS, CHGBODY, CHGHDRS = 0x01, 0x02, 0x10
STEPS = 0x1fffff
NOHELO, NODATA, NOUNKNOWN, SKIP = 0x02, 0x200, 0x100, 0x400
NR_HDR, LEADSPC, NR_CONN, NR_HELO = 0x80, 0x100000, 0x1000, 0x2000
NR_MAIL, NR_RCPT, NR_EOH, NR_BODY = 0x4000, 0x8000, 0x40000, 0x80000
CHUNK = 65535
VERDICTS = {b"a": "accept", b"c": "accept", b"r": "reject",
    b"t": "tempfail", b"d": "discard"}


class Broken(Exception):
	"""The milter broke the protocol, or went away."""


def split_message(message):
	"""bytes -> list of (name, raw value with folds in CRLF), body."""
	fields = []
	rest = message
	while rest:
		line, end, after = rest.partition(b"\r\n")
		if not line:
			return fields, after
		if line[:1] in b" \t" and fields:
			fields[-1] = (fields[-1][0], fields[-1][1] + b"\r\n" + line)
		else:
			name, colon, value = line.partition(b":")
			if not colon or not name.strip(b" \t"):
				return fields, rest	# body without empty line
			fields.append((name, value))
		rest = after
	return fields, b""


def join_message(fields, body):
	return b"".join(n + b":" + v + b"\r\n" for n, v in fields) + \
	    b"\r\n" + body


def octets(text):
	"""UTF-8, but for what came from bytes that are none."""
	return text.encode("utf-8", "surrogateescape")


class Result:
	def __init__(self):
		self.verdict = None
		self.reply = None
		self.stage = None	# where the verdict came
		self.fields = []
		self.body = b""
		self.edits = []		# (kind, name, index, value)
		self.new_body = None
		self.progress = 0
		self.body_chunks = 0	# pieces of the old body sent

	@property
	def message(self):
		return join_message(self.fields, self.body)

	@property
	def text(self):
		return (self.reply or b"").decode("ascii")

	def values(self, name):
		"""The values of a field, blanks around them gone."""
		return [v.strip() for n, v in self.fields
		    if n.strip().lower() == name.lower().encode()]


class Session:
	"""One connection to the milter, as for one SMTP session."""

	def __init__(self, address, leadspc=True, actions=ACTIONS, steps=STEPS,
	    version=VERSION, client="127.0.0.1", port=40000, limit_s=300,
	    macros=None, setsym=True):
		self.macros = macros or {}
		if address.startswith("unix:"):
			self.sock = socket.socket(socket.AF_UNIX)
			target = address[5:]
		else:
			self.sock = socket.socket(socket.AF_INET)
			self.sock.setsockopt(socket.IPPROTO_TCP,
			    socket.TCP_NODELAY, 1)
			where, host = address[5:].split("@")
			target = (host, int(where))
		self.sock.settimeout(limit_s)
		self.sock.connect(target)
		self.offered = steps if leadspc else steps & ~LEADSPC
		self.actions = actions
		self.negotiate(version)
		self.connect(client, port)

	# ---- frames ----

	def put(self, command, data=b""):
		try:
			self.sock.sendall(struct.pack(">I", len(data) + 1) + command
			    + data)
		except OSError as e:
			raise Broken("write: %s" % e)

	def _exactly(self, n):
		parts = []
		while n > 0:
			try:
				got = self.sock.recv(min(n, 1 << 20))
			except OSError as e:
				raise Broken("read: %s" % e)
			if not got:
				raise Broken("the milter closed the connection")
			parts.append(got)
			n -= len(got)
		return b"".join(parts)

	def get(self):
		n = struct.unpack(">I", self._exactly(4))[0]
		data = self._exactly(n)
		return data[:1], data[1:]

	# ---- steps ----

	def negotiate(self, version):
		self.put(b"O", struct.pack(">III", version, self.actions,
		    self.offered))
		command, data = self.get()
		if command != b"O":
			raise Broken("answer to the negotiation is %r" % command)
		self.version, self.granted, self.steps = \
		    struct.unpack(">III", data[:12])
		self.symbols = data[12:]
		if self.steps & ~self.offered & 0xfffffff:
			raise Broken("steps that were not offered")
		if self.granted & ~self.actions:
			raise Broken("actions that were not offered")

	def send_macros(self, command, pairs):
		data = b"".join(k.encode() + b"\0" + octets(v) + b"\0"
		    for k, v in pairs)
		self.put(b"D", command + data)

	def connect(self, client, port):
		self.send_macros(b"C", [("{daemon_name}",
		    self.macros.get("{daemon_name}", "lab")),
		    ("{client_addr}", client)])
		if ":" in client:
			data = b"6" + struct.pack(">H", port) + b"IPv6:" + \
			    client.encode()
		else:
			data = b"4" + struct.pack(">H", port) + client.encode()
		self.step(b"C", b"client.test\0" + data + b"\0", NR_CONN)
		if not self.steps & NOHELO:
			self.step(b"H", b"client.test\0", NR_HELO)

	def step(self, command, data, quiet_bit):
		"""One command; its verdict or None to go on."""
		self.put(command, data)
		if self.steps & quiet_bit:
			return None
		return self.verdict_of(*self.get())

	def verdict_of(self, command, data):
		if command == b"c":
			return None
		if command == b"y":
			# libmilter wants % doubled, mail servers take it back, and
			# drop a text with a single one.
			if b"%" in data.replace(b"%%", b""):
				raise Broken("a single percent sign: %r" % data)
			reply = data.rstrip(b"\0").replace(b"%%", b"%")
			return ("reject" if reply[:1] == b"5" else "tempfail",
			    reply)
		if command in VERDICTS:
			return VERDICTS[command], None
		raise Broken("unexpected answer %r" % command)

	def envelope(self, sender, recipients, result):
		self.send_macros(b"M", [("{auth_authen}", self.macros[m])
		    for m in self.macros if m == "{auth_authen}"] +
		    [("{mail_addr}", sender)])
		stop = self.step(b"M", octets(sender) + b"\0", NR_MAIL)
		if stop:
			return self.ended(result, "mail", stop)
		for r in recipients:
			self.send_macros(b"R", [("{rcpt_addr}", r)])
			data = octets(r) + b"\0"
			address, mark, args = r.partition("> ")
			if mark:
				data = octets("\0".join([address + ">"]
				    + args.split())) + b"\0"
			elif not r.startswith("<"):
				data = b"<" + octets(r) + b">\0NOTIFY=NEVER\0"
			stop = self.step(b"R", data, NR_RCPT)
			if stop:
				return self.ended(result, "rcpt", stop)
		if not self.steps & NODATA:
			stop = self.step(b"T", b"", 0x10000)
			if stop:
				return self.ended(result, "data", stop)
		return None

	def header(self, fields, result):
		for name, value in fields:
			if not self.steps & LEADSPC and value[:1] == b" ":
				value = value[1:]
			# Postfix shows folds with LF, and C strings.
			value = value.replace(b"\r\n", b"\n").split(b"\0")[0]
			stop = self.step(b"L", name + b"\0" + value + b"\0", NR_HDR)
			if stop:
				return self.ended(result, "header", stop)
		self.send_macros(b"N", [("i", self.queue_id)])
		stop = self.step(b"N", b"", NR_EOH)
		return self.ended(result, "eoh", stop) if stop else None

	def send_body(self, body, result):
		for off in range(0, len(body), CHUNK):
			self.put(b"B", body[off:off + CHUNK])
			result.body_chunks += 1
			if self.steps & NR_BODY:
				continue
			command, data = self.get()
			if command == b"s":
				if not self.offered & SKIP:
					raise Broken("skip was not offered")
				return None
			stop = self.verdict_of(command, data)
			if stop:
				return self.ended(result, "body", stop)
		return None

	def ended(self, result, stage, stop):
		result.stage = stage
		result.verdict, result.reply = stop
		return result

	# ---- edits, as Postfix does them ----

	def _value(self, value):
		if not self.steps & LEADSPC:
			value = b" " + value
		return value.replace(b"\n", b"\r\n")

	def edit(self, result, command, data):
		if command == b"h":
			name, value = data.rstrip(b"\0").split(b"\0", 1) \
			    if data.count(b"\0") > 1 else (data.strip(b"\0"), b"")
			result.edits.append(("add", name, 0, value))
			result.fields.append((name, self._value(value)))
			return
		if command == b"i":
			index = struct.unpack(">I", data[:4])[0]
			name, value = data[4:].rstrip(b"\0").split(b"\0", 1)
			result.edits.append(("insert", name, index, value))
			result.fields.insert(index, (name, self._value(value)))
			return
		index = struct.unpack(">I", data[:4])[0]
		name, value = data[4:].split(b"\0", 1)
		value = value.rstrip(b"\0")
		result.edits.append(("change", name, index, value))
		seen = 0
		for at, (n, _) in enumerate(result.fields):
			if n.rstrip(b" \t").lower() != name.lower():
				continue
			seen += 1
			if seen == index:
				if value:
					result.fields[at] = (name, self._value(value))
				else:
					del result.fields[at]
				return
		if value:
			result.fields.append((name, self._value(value)))

	def put_end(self):
		self.send_macros(b"E", [("i", self.queue_id)])
		self.put(b"E")

	def end(self, result):
		"""Send end of message; apply what comes back."""
		self.put_end()
		return self.finish(result)

	def finish(self, result):
		body_ended = False
		while True:
			command, data = self.get()
			if command == b"b":
				if body_ended:
					raise Broken("body pieces not in one run")
				result.new_body = (result.new_body or b"") + data
				continue
			if result.new_body is not None:
				body_ended = True
			if command == b"p":
				if body_ended:
					raise Broken("progress behind the new body")
				result.progress += 1
				continue
			if command in (b"h", b"i", b"m"):
				if body_ended:
					raise Broken("an edit behind the new body")
				if not self.granted & (CHGHDRS | ADDHDRS):
					raise Broken("an edit that was not agreed")
				self.edit(result, command, data)
				continue
			stop = self.verdict_of(command, data) or ("accept", None)
			self.ended(result, "eom", stop)
			if result.verdict == "accept" and \
			    result.new_body is not None:
				result.body = result.new_body
			return result

	# ---- whole messages ----

	queue_id = "4Q1TEST"

	def begin(self, message, sender="<alice@a.test>",
	    recipients=("<bob@b.test>",)):
		"""All but the end; gives a result, with a verdict if over."""
		result = Result()
		fields, body = message if isinstance(message, tuple) \
		    else split_message(message)
		result.fields, result.body = list(fields), body
		return self.envelope(sender, recipients, result) or \
		    self.header(fields, result) or \
		    self.send_body(body, result) or result

	def send(self, message, sender="<alice@a.test>",
	    recipients=("<bob@b.test>",)):
		result = self.begin(message, sender, recipients)
		if result.verdict is None:
			self.end(result)
		return result

	def abort(self):
		self.put(b"A")

	def quit(self):
		try:
			self.put(b"Q")
		except Broken:
			pass
		self.close()

	def close(self):
		self.sock.close()
