#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A full run leaves no token, key or secret in logs, process lists, tables."""

import base64
import glob
import hashlib
import hmac
import json
import os
import re
import sys
import threading
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "contrib"),
    os.path.join(HERE, "..", "keysrv")]

import openapi_check  # noqa: E402
from lab import browser, mail, proc, sample, tap, tour, world  # noqa: E402

w = None
found = {}		# name of a secret: its bytes or text
cmdlines = set()
LIMIT_S = 180
PAGE = 4096
PHRASES = (b"Dear Bob", b"one dot:", b"offer.bin")


def un64(text):
	return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def start():
	global w
	debug = {"log_level": "debug"}
	w = world.World(tls=True, through_proxy="all", say=tap.note,
	    keysrv_options=dict(debug, receipt_delay_s=1), a_options=debug,
	    b_options=debug, pg_settings="log_statement = 'all'\n"
	    "log_parameter_max_length = -1\nlog_connections = on\n")
	w.start()
	watcher = threading.Thread(target=watch_processes, daemon=True)
	watcher.start()
	full_run()
	running.clear()
	watcher.join()
	collect()


running = threading.Event()
running.set()


def watch_processes():
	"""Command lines and environments of all processes of ours."""
	while running.is_set():
		sessions = {p.pid for _, p in w.processes()}
		for folder in glob.glob("/proc/[0-9]*"):
			try:
				with open(folder + "/stat") as f:
					session = int(f.read().rsplit(")", 1)[1]
					    .split()[3])
				with open(folder + "/comm") as f:
					name = f.read().strip()
				if session not in sessions and \
				    not name.startswith("counterfoil"):
					continue
				for part in ("cmdline", "environ"):
					with open(folder + "/" + part, "rb") as f:
						cmdlines.add((name, f.read()))
			except (OSError, ValueError):
				continue


def full_run():
	"""Everything that handles a secret: seal, read, open, refuse."""
	message = sample.Full(size=50000)
	found["message"] = message
	reply = mail.send(w.a.port, message.sender, message.to, message.sent,
	    options=["BODY=8BITMIME"])
	tap.equal(reply[0], 250, "reply %r" % (reply,))
	path = mail.wait(w.b, "bob", 1, LIMIT_S)[0]
	link = sample.link(mail.read(path))
	found["E"] = sealed_part(mail.read(path))
	tour.compare_shown(message, browser.open_link(link, w.path("browser"),
	    w.nss_home()))
	for _ in range(3):
		done = proc.run([proc.program("counterfoil"), "-c",
		    w.agent_config(), "open", path, "-o", w.path("o.eml")])
	tour.wait_receipt(w, 0, LIMIT_S)
	proc.run([proc.program("counterfoil"), "-c", w.sender_config(),
	    "status"])
	# Wrong token, wrong API token, a key that is taken.
	handle = sample.handle(link)
	tap.equal(w.keysrv.post("/api/v1/challenge", {"handle": handle,
	    "token": "A" * 43})[0], 404, "a wrong token")
	for path, body, status, _ in list(w.proxy.passed):
		if path == "/api/v1/issue":
			request = json.loads(body)
			break
	tap.equal(w.keysrv.post("/api/v1/issue", request, "A" * 43)[0], 401,
	    "a wrong API token")
	taken = json.loads(json.dumps(request))
	taken["keys"][0]["token"] = "A" * 43
	api_token = proc.read_text(w.token_file).strip()
	tap.equal(w.keysrv.post("/api/v1/issue", taken, api_token)[0], 409,
	    "a key id that is taken")
	w.b_reader.request("GET", "/m/" + "A" * 22)
	w.keysrv.get("/k/" + handle)
	# A file that is damaged, and one that is no mail at all.
	content = bytearray(mail.read(w.b.messages("bob")[0]))
	at = content.index(b"\n\nMI") + 3000
	content[at:at + 4] = b"AAAA"
	proc.write_file(w.path("damaged.eml"), bytes(content), 0o600)
	proc.run([proc.program("counterfoil"), "-c", w.agent_config(), "open",
	    w.path("damaged.eml"), "-o", w.path("o2.eml")], check=False)
	w.pg.restart("immediate")
	proc.wait_for(w.keysrv.ready, LIMIT_S, "the key server to be ready again")


def sealed_part(content):
	for part in sample.parse(content).walk():
		if part.get_content_type() == "application/octet-stream":
			return part.get_payload(decode=True)
	raise proc.LabError("no sealed part")


def aes_block(key, block):
	"""One block of AES-256, decrypted."""
	return proc.run(["openssl", "enc", "-d", "-aes-256-ecb", "-nopad",
	    "-K", key.hex()], input=block).stdout


def unwrap(key, wrapped):
	"""RFC 3394."""
	a = wrapped[:8]
	r = [wrapped[i:i + 8] for i in range(8, len(wrapped), 8)]
	for j in range(5, -1, -1):
		for i in range(len(r), 0, -1):
			t = (len(r) * j + i).to_bytes(8, "big")
			x = bytes(p ^ q for p, q in zip(a, t))
			b = aes_block(key, x + r[i - 1])
			a, r[i - 1] = b[:8], b[8:]
	tap.equal(a, b"\xa6" * 8, "the wrapped key's check value")
	return b"".join(r)


def collect():
	"""Names and values of all that was secret in the run."""
	number = 0
	for path, body, _, reply in w.proxy.passed:
		for text in (body, reply):
			for name, value in re.findall(
			    r'"(token|key|release_secret|secret)"\s*:\s*'
			    r'"([A-Za-z0-9_-]{43})"', text.decode()):
				number += 1
				found["%s %s %d" % (path, name, number)] = \
				    un64(value)
	found["API token"] = un64(proc.read_text(w.token_file).strip())
	kd = [v for n, v in found.items() if n.startswith(
	    "/api/v1/issue key")][0]
	der = found["E"]
	at = der.index(bytes.fromhex("060960864801650304012d"))
	at = der.index(b"\x04\x28", at) + 2
	found["CEK"] = cek = unwrap(kd, der[at:at + 40])
	prk = hmac.new(bytes(32), cek, hashlib.sha256).digest()
	found["opening seed"] = hmac.new(prk, b"counterfoil opening v1\x01",
	    hashlib.sha256).digest()
	# Both files end in base64url: the milter and the key server have these.
	for name, path in (("master key itself", w.keysrv.masterkey_file),
	    ("ref secret itself", w.a_milter.ref_secret_file)):
		found[name] = un64(proc.read_text(path).split()[-1])
	for name, path in (("master key", w.keysrv.masterkey_file),
	    ("ref secret", w.a_milter.ref_secret_file),
	    ("receipt signer", w.keysrv.options["signer_key"]),
	    ("TLS key", w.tls_files[1])):
		for line in mail.read(path).splitlines():
			if re.match(rb"-----(BEGIN|END) ", line):
				continue	# a key may begin with "--"
			line = line.split(b":")[-1].split(b" ")[-1].strip()
			if len(line) >= 32:
				found["%s %r" % (name, line[:4])] = line


def forms(value):
	"""The ways in which a secret could be written down."""
	yield value
	if len(value) == 32 and not value.isalnum():
		url = base64.urlsafe_b64encode(value).rstrip(b"=")
		yield url
		yield base64.b64encode(value).rstrip(b"=")
		yield value.hex().encode()
		yield value.hex().upper().encode()
		yield value.hex(" ").encode()
		yield value.hex(":").encode()


def search(haystacks):
	"""haystacks: (name, bytes); complaints."""
	bad = []
	for name, secret in found.items():
		if name in ("message", "E"):
			continue
		for form in forms(secret):
			for where, text in haystacks:
				if form in text:
					bad.append("%s is in %s" % (name, where))
	return bad


@tap.case("the run used what it should")
def t_used():
	names = " ".join(found)
	for word in ("issue token", "issue key", "challenge token",
	    "retrieve key", "retrieve release_secret", "open release_secret",
	    "API token", "CEK", "opening seed", "master key", "ref secret",
	    "receipt signer", "TLS key"):
		tap.contains(names, word, "the secrets collected")
	tap.true(len(cmdlines) > 20, "processes seen: %d" % len(cmdlines))


def as_described(document, path, body, status, reply):
	"""One exchange against openapi.yaml; gives the method."""
	path, _, query = path.partition("?")
	method = "POST" if body else "OPTIONS" if status == 204 else "GET"
	operation, parameters = document.operation(method, path)
	if status < 400:
		# What a client of ours is refused for may be wrong.
		document.check_request(operation, parameters,
		    dict(urllib.parse.parse_qsl(query)),
		    json.loads(body) if body else None)
	wanted = operation["responses"].get(str(status))
	if wanted is None:
		raise openapi_check.Deviation("%s %s: status %d" % (method,
		    path, status))
	for kind, content in document.resolve(wanted).get("content",
	    {}).items():
		if kind != "text/html":
			document.check(json.loads(reply), content["schema"],
			    "answer")
	return method


@tap.case("milter, page and command speak as openapi.yaml says")
def t_described():
	document = openapi_check.Document()
	seen = set()
	for exchange in w.proxy.passed:
		seen.add((as_described(document, *exchange),
		    exchange[0].partition("?")[0]))
	for verb in ("issue", "challenge", "describe", "retrieve", "open"):
		tap.true(("POST", "/api/v1/" + verb) in seen, "%s was asked: %s"
		    % (verb, sorted(seen)))
	tap.true(("GET", "/api/v1/messages") in seen, "messages were asked")
	tap.true(("OPTIONS", "/api/v1/retrieve") in seen, "a browser asked")
	path, body, status, reply = next(e for e in w.proxy.passed
	    if e[0] == "/api/v1/retrieve" and e[2] == 200)
	for change in (("/api/v1/retrieves", body, status, reply),
	    (path, body, 299, reply), (path, b"{}", status, reply),
	    (path, body.replace(b'"origin"', b'"orgin"'), status, reply),
	    (path, body, status, reply.replace(b'"first"', b'"frist"'))):
		tap.raises(openapi_check.Deviation,
		    lambda: as_described(document, *change), "a deviation")


@tap.case("the search finds a secret in every form")
def t_search():
	value = found["API token"]
	for form in forms(value):
		tap.true(search([("here", b"x" + form + b"y")]),
		    "found: %r" % form)


@tap.case("no secret is in a log")
def t_logs():
	files = w.log_files()
	tap.true(len(files) >= 10, "logs: %s" % files)
	logs = [(f, mail.read(f)) for f in files]
	for name in ("keysrv.log", "reader.log", "milter.log",
	    "postgresql.log", "maillog"):
		tap.true(any(f.endswith(name) and text for f, text in logs),
		    "something is in " + name)
	tap.equal(search(logs), [], "secrets in logs")


@tap.case("no plaintext and no subject is in a log")
def t_plaintext():
	message = found["message"]
	for name in w.log_files():
		text = mail.read(name)
		for phrase in PHRASES + (message.subject.split()[0].encode()
		    + b" offer,",):
			tap.lacks(text, phrase, name)


# Who has what as long as it runs, and how often at the most.
KEPT = {
    "counterfoil-keysrv": {"master key itself": 1},
    "counterfoil-reader": {},
    "counterfoil-milter": {"API token": 1, "ref secret itself": 1},
}


def memory(pid):
	"""All that a process can write to, but pages of zeros."""
	regions = []
	with open("/proc/%d/maps" % pid) as maps, \
	    open("/proc/%d/mem" % pid, "rb", 0) as mem:
		for line in maps:
			begin, end, mode = re.match(
			    r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
			if "w" in mode:
				mem.seek(int(begin, 16))
				data = mem.read(int(end, 16) - int(begin, 16))
				regions.append(b"".join(page for page in (
				    data[at:at + PAGE] for at in range(0,
				    len(data), PAGE)) if page.strip(b"\0")))
	return regions


def remembered(pid):
	"""{secret: how often it is in the memory of this process}"""
	regions = memory(pid)
	count = {}
	for name, secret in found.items():
		if name in ("message", "E"):
			continue
		for form in forms(secret):
			times = sum(r.count(form) for r in regions)
			if times:
				count[name] = count.get(name, 0) + times
	return count


@tap.case("no program keeps a secret in memory when it is done with it")
def t_memory():
	if proc.sanitized():
		return		# that allocator does not wipe
	bad, seen = [], set()
	for name, process in w.processes():
		if name not in KEPT:
			continue
		for secret, times in remembered(process.pid).items():
			seen.add(secret)
			if times > KEPT[name].get(secret, 0):
				bad.append("%s: %s, %d times" % (name, secret,
				    times))
	tap.equal(bad, [], "secrets in memory")
	# What is in use is there: the search would find the others.
	tap.equal(seen, {k for kept in KEPT.values() for k in kept},
	    "secrets in use")


@tap.case("no secret is in a process list")
def t_processes():
	tap.equal(search(cmdlines), [], "secrets in command lines and "
	    "environments")


@tap.case("no token, key or text is in the database or in a mail")
def t_database():
	dump = proc.run(["pg_dump", "-d", w.pg.conninfo(w.keysrv.database)]
	    ).stdout
	tap.true(b"COPY counterfoil.key_issue" in dump or b"key_issue" in dump,
	    "the dump has the tables")
	tap.equal(search([("the database", dump)]), [], "secrets there")
	for phrase in PHRASES:
		tap.lacks(dump, phrase, "the database")
	receipts = [(p, mail.read(p)) for p in w.a.messages("alice")]
	tap.true(receipts, "there are receipts")
	tap.equal(search(receipts), [], "secrets in receipt mails")


@tap.case("no secret is in files that others may read")
def t_files():
	bad = []
	for folder, dirs, files in os.walk(w.folder):
		# bob's mailbox has the link; the browser is bob's.
		dirs[:] = [d for d in dirs if d not in ("mail", "browser",
		    "home", "data", "queue")]
		for name in files:
			path = os.path.join(folder, name)
			if os.path.islink(path) or not os.path.isfile(path):
				continue
			try:
				if os.stat(path).st_mode & 0o004:
					bad += search([(path, mail.read(path))])
			except FileNotFoundError:
				pass	# gone meanwhile
	tap.equal(bad, [], "secrets in files for everybody")


if __name__ == "__main__":
	tap.main(start, lambda: w and w.stop())
