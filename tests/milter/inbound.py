#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Inbound: what is rewritten, what is delivered as it came, and why."""

import base64
import os
import re
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig as lib  # noqa: E402
from lab import prometheus  # noqa: E402
from rig import client, proc, tap  # noqa: E402

sender = None
rig = None
OTHER_READER = "http://127.0.0.1:9999"


def start():
	global sender, rig
	sender = lib.Rig().start()
	rig = lib.Rig(mode="inbound", reader_url=OTHER_READER,
	    allowed_key_servers=[sender.key_server.url]).start()


def stop():
	for one in (sender, rig):
		if one:
			one.close()


def seal(content=None, **kw):
	result = sender.send(content or lib.message(), **kw)
	tap.equal(result.verdict, "accept", "sealing")
	return result.message


def unchanged(content, reason, at=None, **kw):
	at = at or rig
	before = at.blobs()
	since = at.log_from()
	result = at.send(content, **kw)
	tap.equal((result.verdict, result.reply), ("accept", None), "verdict")
	tap.equal(result.edits, [], "edits")
	tap.equal(result.new_body, None, "new body")
	tap.equal(at.blobs(), before, "the store")
	at.wait_log(since, reason)
	if reason == ": unchanged ":
		tap.true(re.search(r": unchanged .* out=\d+: \S+ \S", since()),
		    "the log gives a reason: " + since())


@tap.case("sealed mail is kept and its notice leads to our reader")
def t_rewrite():
	content = lib.message(os.urandom(300000))
	p = seal(content)
	before = lib.Sealed(p)
	result = rig.send(p)
	tap.equal((result.verdict, result.reply), ("accept", None), "verdict")
	tap.equal(result.edits, [], "header edits")
	after = lib.Sealed(result.message)
	tap.equal(p.split(b"\r\n\r\n")[0], result.message.split(b"\r\n\r\n")[0],
	    "outer header")
	part = b"\r\nContent-Type: application/octet-stream"
	tap.equal(result.message[result.message.index(part):],
	    p[p.index(part):], "the sealed part")
	tap.true(after.link.startswith(OTHER_READER + "/m/"), "link")
	tap.true(after.link.split("#")[1] == before.link.split("#")[1],
	    "the key server's link in it")
	tap.true(after.blob != before.blob, "a name of our own")
	with open(os.path.join(rig.store, after.blob[:2], after.blob),
	    "rb") as f:
		tap.equal(f.read(), before.e, "E in our store")
	tap.contains(after.html, 'href="%s"' % after.link, "HTML notice")
	tap.lacks(after.text + after.html, lib.READER, "notices")
	tap.contains(after.text, "is named as the sender", "text notice")
	lib.check_outside(result)


@tap.case("the second rewriting does the same again")
def t_again():
	once = rig.send(seal()).message
	result = rig.send(once)
	twice = lib.Sealed(result.message)
	tap.equal(twice.e, lib.Sealed(once).e, "E")
	tap.true(twice.link.startswith(OTHER_READER), "link")


def path_of(at, sealed):
	return os.path.join(at.store, sealed.blob[:2], sealed.blob)


@tap.case("the identical mail again: the same file, whose time begins anew")
def t_repeat():
	p = seal(lib.message(os.urandom(300000)))
	before = rig.blobs()
	once = lib.Sealed(rig.send(p).message)
	path = path_of(rig, once)
	tap.equal(sorted(rig.blobs()), sorted(before + [path]), "one file")
	inode = os.stat(path).st_ino
	for _ in range(3):
		long_ago = time.time() - 300 * 86400
		os.utime(path, (long_ago, long_ago))
		result = rig.send(p)
		tap.equal(lib.Sealed(result.message).link, once.link, "link")
		tap.equal(sorted(rig.blobs()), sorted(before + [path]),
		    "one file")
		tap.true(os.stat(path).st_mtime > time.time() - 600, "anew")
		tap.equal(os.stat(path).st_ino, inode, "nothing was written")
	# Kept longer than that by somebody else, it stays so.
	later = time.time() + 900 * 86400
	os.utime(path, (later, later))
	rig.send(p)
	tap.equal(int(os.stat(path).st_mtime), int(later), "not shortened")
	# Another message of the same sender is another file.
	rig.send(seal(lib.message(os.urandom(300000))))
	tap.equal(len(rig.blobs()), len(before) + 2, "two files")


@tap.case("E changed in any part has another name: nobody occupies one")
def t_changed_e():
	p = seal()
	honest = lib.Sealed(p)
	names = set()
	for at in (len(honest.e) - 1, len(honest.e) // 2, 90):
		e = bytearray(honest.e)
		e[at] ^= 1
		cut = p.rindex(b"\r\n\r\n") + 4
		end = p.index(b"\r\n--", cut)
		result = rig.send(p[:cut] + base64.encodebytes(bytes(e)).strip()
		    .replace(b"\n", b"\r\n") + p[end:])
		names.add(lib.Sealed(result.message).blob)
	names.add(lib.Sealed(rig.send(p).message).blob)
	tap.equal(len(names), 4, "names")
	with open(path_of(rig, lib.Sealed(rig.send(p).message)), "rb") as f:
		tap.equal(f.read(), honest.e, "E")


@tap.case("mail inside one site has one file, kept as long as either needs")
def t_one_site():
	both = lib.Rig(mode="both", local_domains=["b.test"])
	both.options["allowed_key_servers"] = both.options["key_servers"]
	both.start()
	try:
		for flag in (b"yes", b"expires=1d"):
			before = both.blobs()
			p = both.send(lib.message(flag=b"X-Return-Receipt: " +
			    flag)).message
			blob, = set(both.blobs()) - set(before)
			result = both.send(p)
			tap.equal(lib.Sealed(result.message).blob,
			    lib.Sealed(p).blob, "the name")
			tap.equal(len(both.blobs()), len(before) + 1, "files")
			tap.true(abs(os.stat(blob).st_mtime - time.time()) <
			    600, "400 days from now")
			both.key_server.reset()
	finally:
		both.close()


@tap.case("several milters with one store make the same names, also at once")
def t_shared():
	p = seal(lib.message(os.urandom(100000)))
	first = lib.Rig(mode="inbound",
	    allowed_key_servers=[sender.key_server.url]).start()
	twins = [lib.Rig(mode="inbound", store_directory=first.store,
	    allowed_key_servers=[sender.key_server.url]).start()
	    for _ in range(2)]
	links = []
	try:
		crowd = [threading.Thread(target=lambda at=at: links.append(
		    lib.Sealed(at.send(p).message).link))
		    for at in [first, *twins] * 6]
		for one in crowd:
			one.start()
		for one in crowd:
			one.join()
		tap.equal((len(links), len(set(links))), (18, 1), "links")
		tap.equal(len(first.blobs()), 1, "files")
		tap.equal(first.half_files(), [], "half files")
		secret = os.stat(os.path.join(first.store, ".secret"))
		tap.equal(secret.st_mode & 0o7777, 0o600, "the secret's mode")
		# Lost: another name, and nothing else.
		first.stop()
		os.unlink(os.path.join(first.store, ".secret"))
		first.start()
		tap.true(lib.Sealed(first.send(p).message).link not in links,
		    "another name")
		tap.equal(len(first.blobs()), 2, "files")
	finally:
		for one in twins + [first]:
			one.close()


@tap.case("a secret of the store that is not one: no start, and what to do")
def t_bad_secret():
	one = lib.Rig(mode="inbound")
	try:
		with open(os.path.join(one.store, ".secret"), "w") as f:
			f.write("x\n")
		os.chmod(f.name, 0o600)
		one.write_config()
		done = proc.run([proc.program("counterfoil-milter"), "-c",
		    one.config], check=False)
		tap.equal(done.returncode, 78, "exit status")
		err = done.stderr.decode()
		tap.contains(err, f.name, "the file is named")
		tap.contains(err, "store_directory", "the option")
	finally:
		one.close()


def reload(at, **changes):
	since = at.log_from()
	at.write_config(**changes)
	at.process.send(signal.SIGHUP)
	at.wait_log(since, "configuration reloaded")
	return since


@tap.case("a store that has its limit: what comes passes as it came, told once")
def t_store_limit():
	one, two, three = (seal(lib.message(os.urandom(100000)))
	    for _ in range(3))
	where = "127.0.0.1:%d" % proc.free_port()
	at = lib.Rig(mode="inbound", store_limit=150000, metrics_listen=where,
	    allowed_key_servers=[sender.key_server.url])
	at.start()
	try:
		at.wait_log(at.log_text, " has 0 sealed messages, ")
		tap.true(at.send(one).new_body is not None, "the first")
		unchanged(two, "store_limit is 150000 bytes", at=at)
		tap.contains(at.log_text(), "unchanged cause=no-room ", "cause")
		unchanged(three, "store_limit is 150000", at=at)
		warning = "no room to store sealed mail from outside"
		tap.equal(at.log_text().count(warning), 1, "warnings")
		tap.contains(at.log_text(), "raise store_limit", "what to do")
		# What is there costs nothing, and what is small has room.
		tap.true(at.send(one).new_body is not None, "again")
		tap.true(at.send(seal(lib.message(b"small"))).new_body
		    is not None, "a small one")
		def value(name, **labels):
			return prometheus.value(prometheus.scrape(where),
			    "counterfoil_milter_" + name, **labels)
		tap.equal([value("store_full_total", reason=r) for r in
		    ("store_limit", "store_reserve", "disk")], [2, 0, 0],
		    "refused")
		tap.true(100000 < value("store_bytes") < 150000, "bytes")
		since = reload(at, store_limit="1G")
		at.wait_log(since, "there is room to store sealed mail again")
		at.wait_log(since, " has 2 sealed messages, ")
		tap.true(at.send(two).new_body is not None, "later")
		# A limit below what is there already.
		since = reload(at, store_limit=1000)
		at.wait_log(since, " has 3 sealed messages, ")
		unchanged(three, "store_limit is 1000 bytes", at=at)
		# Another limit ends nothing.
		since = reload(at, store_limit=2000)
		at.wait_log(since, " has 3 sealed messages, ")
		unchanged(three, "store_limit is 2000 bytes", at=at)
		tap.lacks(since(), "room to store sealed mail again", "log")
	finally:
		at.close()


@tap.case("a disk that has come to its reserve: the same, also for what would "
    "be spooled; mail that is sealed here goes on")
def t_store_reserve():
	large = seal(lib.message(os.urandom(3 << 20)))
	p = seal()
	at = lib.Rig(mode="both", local_domains=["b.test"],
	    store_reserve="900000G",
	    allowed_key_servers=[sender.key_server.url]).start()
	try:
		unchanged(p, "store_reserve is 900000G", at=at)
		unchanged(large, "store_reserve is ", at=at)
		tap.equal(at.log_text().count("no room to store "), 1, "warnings")
		content = lib.message(os.urandom(2 << 20))
		lib.check_sealed(at, at.send(content), content)
		result = at.send(b"X-Return-Receipt: yes\r\n" + p,
		    client="192.0.2.1")
		tap.equal(result.message, p, "the flag of a stranger goes")
		reload(at, store_reserve=0)
		tap.true(at.send(large).new_body is not None, "later")
	finally:
		at.close()


@tap.case("a message that would be spooled into the reserve is let go of "
    "before its end")
def t_spool_reserve():
	at = lib.Rig(mode="inbound", store_reserve="12M",
	    allowed_key_servers=[sender.key_server.url])
	proc.run(["mount", "-t", "tmpfs", "-o", "size=16M,mode=0750", "tmpfs",
	    at.store])
	try:
		at.start()
		def left():
			fs = os.statvfs(at.store)
			return fs.f_bavail * fs.f_frsize
		whole = left()
		content = seal(lib.message(os.urandom(6 << 20)))
		s = at.session()
		result = s.begin(content)
		at.wait_log(at.log_text, "store_reserve is 12M")
		proc.wait_for(lambda: left() == whole, 60, "the spool to go")
		s.put_end()
		tap.equal(s.finish(result).new_body, None, "passed")
		s.quit()
		tap.true(at.send(seal()).new_body is not None, "a small one")
	finally:
		at.stop()
		proc.run(["umount", at.store])
		at.close()


@tap.case("a disk that is full: passes as it came, at the spool and at the "
    "store, and nothing is left")
def t_store_disk():
	p = seal(lib.message(os.urandom(200000)))
	small = seal(lib.message(b"small"))
	# The last one has room for the message, but not for E beside it.
	for limit, size in (1 << 20, "128k"), (1000, "128k"), (1000, "400k"):
		at = lib.Rig(mode="inbound", memory_limit=limit,
		    store_reserve=0,
		    allowed_key_servers=[sender.key_server.url])
		proc.run(["mount", "-t", "tmpfs", "-o", "size=%s,mode=0750"
		    % size, "tmpfs", at.store])
		try:
			at.start()
			unchanged(p, "No space left", at=at)
			unchanged(p, "No space left", at=at)
			tap.equal(at.half_files(), [], "half files")
			tap.equal(at.log_text().count("no room to store "), 1,
			    "warnings")
			tap.contains(at.log_text(), "make room", "what to do")
			tap.true(at.send(small).new_body is not None, "small")
		finally:
			at.stop()
			proc.run(["umount", at.store])
			at.close()


@tap.case("-n on a full disk: an error, whatever the options say")
def t_check_full():
	at = lib.Rig(mode="outbound", store_reserve=0,
	    allowed_key_servers=[sender.key_server.url])
	proc.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0750", "tmpfs",
	    at.store])
	try:
		at.write_config()
		proc.run(["dd", "if=/dev/zero", "of=" + os.path.join(at.store,
		    "filler"), "bs=4k"], check=False)
		done = proc.run([proc.program("counterfoil-milter"), "-n",
		    "--offline", "--no-mta", "-c", at.config], check=False)
		tap.equal(done.returncode, 78, "exit status")
		tap.contains(done.stdout.decode(), "error: store_directory: its "
		    "file system is full, with 0 bytes left", "finding")
	finally:
		proc.run(["umount", at.store])
		at.close()


@tap.case("a start on a full disk, without a secret of the store: it serves")
def t_start_full():
	small = seal(lib.message(b"small"))
	at = lib.Rig(mode="inbound", store_reserve=0,
	    allowed_key_servers=[sender.key_server.url])
	proc.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0750", "tmpfs",
	    at.store])
	try:
		filler = os.path.join(at.store, "filler")
		proc.run(["dd", "if=/dev/zero", "of=" + filler, "bs=4k"],
		    check=False)
		at.start()
		tap.contains(at.log_text(), "there is no room for %s/.secret"
		    % at.store, "log")
		unchanged(small, "No space left", at=at)
		os.unlink(filler)
		reload(at)
		tap.true(os.path.exists(os.path.join(at.store, ".secret")),
		    "the secret")
		tap.true(at.send(small).new_body is not None, "small")
	finally:
		at.stop()
		proc.run(["umount", at.store])
		at.close()


@tap.case("-n warns of values that make no sense")
def t_check_values():
	at = lib.Rig(mode="inbound",
	    allowed_key_servers=[sender.key_server.url])
	try:
		for changes, text in (
		    ({"store_keep_s": 400}, "store_keep_s is 400, which is 0.0 "
			"days: after that, links in mail open nothing"),
		    ({"store_reserve": 0}, "both 0: sealed mail of anybody"),
		    ({"store_reserve": 0, "store_limit": "1M"},
			"store_limit is 1M, less than one message"),
		    ({"store_reserve": "900000G"}, "no sealed mail from "
			"outside is ever stored"), ({}, None)):
			at.options.update(store_keep_s="400d",
			    store_limit=0, store_reserve="1k")
			at.write_config(**changes)
			done = proc.run([proc.program("counterfoil-milter"),
			    "-n", "--offline", "--no-mta", "-c", at.config],
			    check=False)
			out = done.stdout.decode()
			found = [line for line in out.splitlines() if
			    line.startswith("warning: store_directory: ")]
			if text is None:
				tap.equal(found, [], "findings")
				tap.contains(out, "ok: store_directory: its "
				    "file system has ", "room")
			else:
				tap.equal(len(found), 1, "findings: " + out)
				tap.contains(found[0], text, "finding")
		tap.equal(os.listdir(at.store), [], "nothing was made")
	finally:
		at.close()


@tap.case("a key server that is not allowed: delivered as it came, logged")
def t_foreign():
	strict = lib.Rig(mode="inbound",
	    allowed_key_servers=["https://keys.example"]).start()
	try:
		unchanged(seal(), "is not in allowed_key_servers", at=strict)
	finally:
		strict.close()


@tap.case("https's own port goes without saying in the allow list")
def t_port():
	names = lib.Rig()
	names.key_server.service = "https://keys.test:443"
	names.start()
	try:
		p = names.send(lib.message()).message
		for allowed, rewritten in (("https://keys.test", True),
		    ("https://keys.test:443", True),
		    ("https://keys.test:8443", False),
		    ("https://keys.tes", False)):
			rig2 = lib.Rig(mode="inbound",
			    allowed_key_servers=[allowed]).start()
			try:
				got = rig2.send(p)
				tap.equal(got.new_body is not None, rewritten,
				    "rewritten with " + allowed)
			finally:
				rig2.close()
	finally:
		names.close()


def p_of_another():
	return seal(lib.message(b"another")).split(b"\r\n\r\n", 1)[1]


@tap.case("whatever a list or a gateway put around it, the notice is rewritten")
def t_around():
	p = seal()
	head, body = p.split(b"\r\n\r\n", 1)
	before = lib.Sealed(p)
	boundary = re.search(rb'boundary="(=_cf_[^"]+)"', head).group(1)
	end = p.rindex(b"--" + boundary)
	footer = b"--" + boundary + b"\r\n\r\nA list.\r\n"
	part = body.index(b"--" + boundary, 10)
	image = b"--R\r\nContent-Type: image/png\r\n\r\nx\r\n--R--\r\n"
	banner = b"--" + boundary + b"\r\nContent-Type: multipart/related; " \
	    b"boundary=R\r\n\r\n--R\r\n" + body[:part].split(b"\r\n", 1)[1]
	same = before.link.split("#")[1]
	around = {
	    "two markers": b"Counterfoil-Version: 1\r\n" + p,
	    "no final boundary": p[:end],
	    "text before": p.replace(b"\r\n\r\n--", b"\r\n\r\nHello\r\n--", 1),
	    "text behind": p + b"Hello\r\n",
	    "a footer part": p[:end] + footer + p[end:],
	    "a part before": head + b"\r\n\r\n" + footer + body,
	    "a banner": head + b"\r\n\r\n" + banner + image + body[part:],
	    "comments": p.replace(b"MIME-Version: 1.0", b"MIME-Version: 1.0 (a)")
		.replace(b": base64", b": base64 (b)"),
	    "another label": p.replace(b"application/octet-stream",
		b"application/x-pkcs7-mime"),
	    "another top type": p.replace(b"multipart/mixed",
		b"multipart/related"),
	    "no locator": re.sub(rb"Counterfoil-Locator: \S+\r\n", b"", p),
	    "two locators": re.sub(rb"(Counterfoil-Locator: \S+\r\n)",
		rb"\1\1", p),
	    "locator of another key": re.sub(rb"(Locator: \S+/k/).{22}",
		rb"\g<1>" + b"A" * 22, p),
	    "locator cut off": re.sub(rb"(Locator: \S+)\S\S\S\r\n",
		rb"\1\r\n", p),
	}
	for name, content in around.items():
		tap.true(content != p, "changed: " + name)
		result = rig.send(content)
		tap.true(result.new_body is not None, "rewritten: " + name)
		texts = [m.start() for m in re.finditer(
		    rb"Content-Type: text/plain; charset=utf-8",
		    result.message)]
		tap.equal(len(texts), 1, "one notice: " + name)
		link = re.search(rb"http://127\.0\.0\.1:9999/m/(\S{22})#",
		    result.message.replace(b"=\r\n", b""))
		tap.true(link, "a link of ours: " + name)
		with open(os.path.join(rig.store, link.group(1)[:2].decode(),
		    link.group(1).decode()), "rb") as f:
			tap.equal(f.read(), before.e, "E: " + name)
		# All but the notice is what came.
		for whole in (content, result.message):
			tap.contains(whole, content[:texts[0]], name)
			tap.true(whole.endswith(content[content.index(
			    b"--\r\n--" + boundary):] if name != "a banner"
			    else image + body[part:]), "the rest: " + name)
		tap.contains(result.message.replace(b"=\r\n", b"").replace(
		    b"=3D", b"="), same.encode(), "the same key: " + name)


@tap.case("broken or foreign structure: delivered as it came, logged")
def t_broken():
	p = seal()
	head, body = p.split(b"\r\n\r\n", 1)
	boundary = re.search(rb'boundary="(=_cf_[^"]+)"', head).group(1)
	e = lib.Sealed(p).e
	part = body.rindex(b"\r\n\r\n") + 4

	def with_e(data):
		return head + b"\r\n\r\n" + body[:part] + base64.encodebytes(
		    data).replace(b"\n", b"\r\n") + b"--" + boundary + \
		    b"--\r\n"

	flipped = bytearray(e)
	flipped[30] ^= 1
	broken = {
	    "another version": (p.replace(b"Counterfoil-Version: 1",
		b"Counterfoil-Version: 2"), "Counterfoil-Version"),
	    "no body": (head + b"\r\n\r\n", "no sealed part"),
	    "cut off": (p[:len(p) // 2], ""),
	    "no link at all": (p.replace(b"#", b"x"), "no link"),
	    "the notice as one text": (p.replace(b"multipart/alternative",
		b"multipart/related"), "its notice is not there"),
	    "signed": (p.replace(b"multipart/mixed", b"multipart/signed"),
		"has been signed"),
	    "E cut off": (with_e(e[:-1]), "cut off"),
	    "E changed": (with_e(bytes(flipped)), ""),
	    "E empty": (with_e(b""), "no sealed part"),
	    "E no base64": (p.replace(b"\r\n\r\nMII", b"\r\n\r\n!!!", 1),
		"no sealed part"),
	    "two different E's": (p + p_of_another(), "more than one"),
	    "no MIME at all": (lib.message(flag=None,
		extra=[b"Counterfoil-Version: 1"]), "no sealed part"),
	    "an endless nest": (lib.message(flag=None, body=b"".join(
		b"--%d\r\nContent-Type: multipart/mixed; boundary=%d\r\n\r\n"
		% (i, i + 1) for i in range(3000)),
		extra=[b"Counterfoil-Version: 1",
		b"Content-Type: multipart/mixed; boundary=0"]), ""),
	    "too many parts": (p + b"--x\r\n" * 200, "too many"),
	}
	for name, (content, reason) in broken.items():
		tap.true(content != p, "changed: " + name)
		try:
			unchanged(content, reason or ": unchanged ")
		except tap.Failure as e2:
			tap.fail("%s: %s" % (name, e2))
	tap.true(rig.send(p).new_body is not None, "the whole one still is")


@tap.case("truncated anywhere it is left alone or kept whole, never half")
def t_truncated():
	p = seal(lib.message(b"short"))
	s = rig.session()
	whole = p.rindex(b"\r\n--")	# all of E is there
	for n in range(0, len(p) - 2, 7):
		result = s.send(p[:n])
		tap.equal(result.verdict, "accept", "verdict at %d" % n)
		if n < whole - 2:
			tap.equal(result.new_body, None, "new body at %d" % n)
	s.quit()


@tap.case("mail without the marker is not read")
def t_plain():
	content = lib.message(flag=None)
	result = rig.send(content)
	tap.equal((result.stage, result.message), ("eoh", content), "passed")


@tap.case("a flag from outside is stripped, with and without rewriting")
def t_flag():
	content = lib.message()
	result = rig.send(content, client="192.0.2.1")
	tap.equal(result.message, lib.expected(content), "stripped")
	p = seal()
	result = rig.send(b"X-Return-Receipt: yes\r\n" + p, client="192.0.2.1")
	tap.equal(result.values("X-Return-Receipt"), [], "the flag")
	tap.true(lib.Sealed(result.message).link.startswith(OTHER_READER),
	    "rewritten")


@tap.case("an entitled flag at a gateway that does not seal is refused")
def t_not_outbound():
	lib.check_refused(rig.send(lib.message()), "550 5.7.1", ["not seal"])
	# To local recipients, too, where a stranger's would be removed.
	local = lib.Rig(mode="inbound", reader_url=OTHER_READER,
	    local_domains=["b.test"],
	    allowed_key_servers=[sender.key_server.url]).start()
	try:
		for recipient in ("<bob@b.test>", "<postmaster>"):
			lib.check_refused(local.send(lib.message(),
			    recipients=[recipient]), "550 5.7.1", ["not seal"])
		content = lib.message()
		result = local.send(content, client="192.0.2.1")
		tap.equal(result.message, lib.expected(content), "stripped")
	finally:
		local.close()
	lib.check_refused(rig.send(lib.message(),
	    recipients=["<postmaster>"]), "550 5.7.1", ["not seal"])


@tap.case("mode both: mail for local recipients is rewritten, other is not")
def t_both():
	both = lib.Rig(mode="both", reader_url=OTHER_READER,
	    local_domains=["b.test"],
	    allowed_key_servers=[sender.key_server.url]).start()
	try:
		p = seal()
		tap.true(both.send(p).new_body is not None, "to bob@b.test")
		unchanged(p, ": passed ", at=both, recipients=["<x@c.test>"])
		unchanged(p, ": passed ", at=both,
		    recipients=["<x@c.test>", "<bob@b.test>"])
		content = lib.message()
		lib.check_sealed(both, both.send(content), content)
	finally:
		both.close()


@tap.case("trouble of ours: 451, or as it came when the site says so")
def t_trouble():
	p = seal()
	for choice in ("tempfail", "pass"):
		one = lib.Rig(mode="inbound", on_inbound_failure=choice,
		    allowed_key_servers=[sender.key_server.url]).start()
		try:
			os.rename(one.store, one.store + ".away")
			if choice == "pass":
				since = one.log_from()
				result = one.send(p)
				tap.equal((result.verdict, result.new_body),
				    ("accept", None), "passed")
				one.wait_log(since, ": unchanged ")
			else:
				lib.check_refused(one.send(p), "451 4.3.0")
			os.rename(one.store + ".away", one.store)
			tap.true(one.send(p).new_body is not None, "later")
		finally:
			one.close()


@tap.case("the same before the end of the message, where it does not fit into "
    "memory")
def t_trouble_spooling():
	p = seal()
	for choice, limit in (("tempfail", 4000), ("pass", 4000), ("pass", 0)):
		one = lib.Rig(mode="inbound", on_inbound_failure=choice,
		    memory_limit=limit,
		    allowed_key_servers=[sender.key_server.url]).start()
		try:
			os.rename(one.store, one.store + ".away")
			if choice == "pass":
				since = one.log_from()
				content = b"X-Return-Receipt: yes\r\n" + p
				result = one.send(content, client="192.0.2.1")
				tap.equal(result.message, p, "without the flag")
				tap.equal(result.new_body, None, "new body")
				one.wait_log(since, ": unchanged ")
				tap.contains(since(), "No such file", "log")
			else:
				lib.check_refused(one.send(p), "451 4.3.0")
			os.rename(one.store + ".away", one.store)
			tap.true(one.send(p).new_body is not None, "later")
		finally:
			one.close()


@tap.case("a large message, through a spool file, is rewritten")
def t_large():
	p = seal(lib.message(os.urandom(3 << 20)))
	tap.equal(lib.Sealed(rig.send(p).message).e, lib.Sealed(p).e, "E")


@tap.case("the store's new size is what the limit is held to")
def t_limit():
	p = seal()
	small = lib.Rig(mode="inbound", message_size_limit=len(p) - 1000,
	    allowed_key_servers=[sender.key_server.url]).start()
	try:
		unchanged(p, "message_size_limit", at=small)
	finally:
		small.close()


tap.main(setup=start, teardown=stop)
