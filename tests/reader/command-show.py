#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""counterfoil show: says what a file is, asks nobody, survives anything.

With CF_SHARED set, every file below its folder `corpus` is shown as well.
"""

import base64
import glob
import os
import random
import socket
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "contrib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lab import conf, proc, sample, tap  # noqa: E402
import fake  # noqa: E402

ORIGINAL = b"From: a@a.test\r\nSubject: hello\r\n\r\nText.\r\n"


class World:
	folder = sealed = listener = file = config = None


def setup():
	World.folder = proc.private_dir()
	World.file = os.path.join(World.folder, "mail.eml")
	World.config = os.path.join(World.folder, "counterfoil.conf")
	conf.write(World.config, {})
	# Somebody who would notice being asked.
	World.listener = socket.create_server(("127.0.0.1", 0))
	World.listener.setblocking(False)
	World.url = "http://127.0.0.1:%d" % World.listener.getsockname()[1]
	World.sealed = fake.Sealed(ORIGINAL, World.url)


def teardown():
	World.listener.close()
	proc.remove_tree(World.folder)


def show(content):
	proc.write_file(World.file, content)
	done = proc.run([proc.program("counterfoil"), "-c", World.config,
	    "show", World.file], check=False)
	tap.true(done.returncode in (0, 1), "exit status %d, saying %s"
	    % (done.returncode, done.stderr.decode("utf-8", "replace")))
	if done.returncode == 1:
		tap.equal(done.stdout, b"", "output of a failure")
		tap.equal(done.stderr.count(b"\n"), 1, "one line")
	for byte in range(32):
		if byte not in (9, 10):
			tap.lacks(done.stdout + done.stderr, bytes([byte]),
			    "the output")
	try:
		World.listener.accept()
	except BlockingIOError:
		return done
	tap.fail("somebody was asked")


def rows(done):
	tap.equal(done.returncode, 0, "exit status; it said: "
	    + done.stderr.decode())
	return {line[:16].rstrip(): line[17:]
	    for line in done.stdout.decode().splitlines() if line}


@tap.case("a delivered mail")
def t_mail():
	mail = World.sealed.mail(text=b"Open /k/"
	    + World.sealed.handle.encode())
	got = rows(show(mail))
	tap.equal(got["What"], "a mail sealed by Counterfoil", "what")
	tap.equal(got["Key id"], World.sealed.handle, "key id")
	tap.equal(got["Key server"], World.url, "key server")
	tap.equal(got["On your list"],
	    "no: it can say anything", "on the list")
	tap.equal(got["File"], "%d bytes" % len(mail), "size")
	tap.equal(got["Sealed part"], "%d bytes" % len(World.sealed.e), "E")
	tap.equal(got["From"], "Alice <alice@a.test>", "claimed sender")
	tap.lacks(show(mail).stdout.decode(), World.sealed.values["token"],
	    "the token")


@tap.case("a mail that was changed on its way says what was changed")
def t_changed():
	got = rows(show(World.sealed.mail().replace(
	    b"Counterfoil-Version: 1\r\n", b"")))
	tap.equal(got["What"], "a mail with a sealed part, changed on its way",
	    "what")
	tap.true(got["Changed"], "what was changed")


@tap.case("several sealed parts: each with its key id")
def t_several():
	other = fake.Sealed(ORIGINAL, World.url)
	done = show(World.sealed.mail() + other.mail())
	tap.equal(rows(done)["What"], "a file with several sealed parts",
	    "what")
	for one in (World.sealed, other):
		tap.contains(done.stdout.decode(), "Key id           "
		    + one.handle + "\n", "key id")


@tap.case("the bare attachment")
def t_bare():
	got = rows(show(World.sealed.e))
	tap.equal(got["What"], "the sealed part alone (message.counterfoil)", "what")
	tap.equal(got["Key id"], World.sealed.handle, "key id")
	tap.contains(got["Key server"], "unknown", "key server")


@tap.case("the attachment saved as text is no mail that was changed")
def t_text():
	done = show(base64.encodebytes(World.sealed.e))
	got = rows(done)
	tap.equal(got["What"], "a file with the sealed part, and no mail",
	    "what")
	tap.true("Changed" not in got, "nothing is said to be changed")
	tap.lacks(done.stdout.decode(), "outside", "a mail's outside")


@tap.case("a key server is on either of the lists, or on none")
def t_listed():
	try:
		for options, says in (
		    ({"allowed_key_servers": [World.url]}, "yes"),
		    ({"key_servers": [World.url]}, "yes"),
		    ({"allowed_key_servers": ["https://keys.example"]},
		    "no: it can say anything")):
			conf.write(World.config, options)
			got = rows(show(World.sealed.mail()))
			tap.equal(got["On your list"], says, str(options))
	finally:
		conf.write(World.config, {})


@tap.case("header text of strangers cannot drive the terminal")
def t_terminal():
	done = show(World.sealed.mail().replace(b"Subject: an offer",
	    b"Subject: \x1b[2J\x07a\xc2\x9bb\xff\xe2\x80\xaec \xc3\xa4"))
	got = rows(done)
	tap.equal(got["Subject"], "\ufffd[2J\ufffda\ufffdb\ufffd\ufffdc ä",
	    "subject")


@tap.case("other files: a sentence, exit 1")
def t_other():
	for content in (b"", b"\r\n", ORIGINAL, sample.Full().sent, b"0",
	    b"\x30\x80", b"\x30\x84\xff\xff\xff\xff", b"\x89PNG\r\n\x1a\n",
	    b"\0" * 100000, b"a" * 100000, b"a:" * 50000, b"\n" * 100000,
	    b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n" *
	    20000, b"From a\n" * 1000):
		tap.equal(show(content).returncode, 1, "%r" % content[:30])
	done = proc.run([proc.program("counterfoil"), "show",
	    World.folder + "/none"], check=False)
	tap.equal(done.returncode, 75, "no such file")
	done = proc.run([proc.program("counterfoil"), "show"], check=False)
	tap.equal(done.returncode, 2, "no file at all")
	done = proc.run([proc.program("counterfoil"), "show", "-"],
	    input=World.sealed.mail(), check=False)
	tap.equal(done.returncode, 0, "standard input")


@tap.case("cut anywhere and changed anywhere it never crashes")
def t_mutated():
	chance = random.Random(22)
	for whole in (World.sealed.mail(), World.sealed.e):
		for _ in range(150):
			show(whole[:chance.randrange(len(whole))])
			changed = bytearray(whole)
			for _ in range(chance.randrange(1, 4)):
				changed[chance.randrange(len(whole))] = \
				    chance.randrange(256)
			show(bytes(changed))


def corpus():
	shared = os.environ.get("CF_SHARED")
	if shared:
		found = [p for p in glob.glob(os.path.join(shared, "corpus",
		    "**"), recursive=True) if os.path.isfile(p)]
		tap.true(found, "CF_SHARED has a corpus")
		return found
	found = [p for d in ("tests/msgs", "tests/vectors", "man", "milter")
	    for p in glob.glob(os.path.join(TOP, d, "*"))
	    if os.path.isfile(p)]
	tap.true(found, "files of our own")
	return found


@tap.case("files from elsewhere: never a crash, never taken for sealed")
def t_corpus():
	files = corpus()
	for path in files:
		done = proc.run([proc.program("counterfoil"), "-c",
		    World.config, "show", path], check=False)
		tap.true(done.returncode in (0, 1), "%s: %d" % (path,
		    done.returncode))
		if done.returncode == 0:
			with open(path, "rb") as f:
				content = f.read()
			tap.true(b"Counterfoil-Locator" in content or
			    content[:1] == b"\x30" or path.endswith(
			    ".json"), "%s is ours" % path)
	tap.note("%d files" % len(files))


if __name__ == "__main__":
	tap.main(setup=setup, teardown=teardown)
