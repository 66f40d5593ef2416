#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Awkward mail through two gateways; and does the comparison tell?"""

import glob
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "..", "contrib"))

import awkward  # noqa: E402
from lab import mail, proc, roundtrip, tap, wire  # noqa: E402

folder = gateways = None
results = {}		# name: Result
wanted = {}
smime = None


def start():
	global folder, gateways, smime
	folder = proc.private_dir("counterfoil-roundtrips-")
	smime = awkward.make_smime(folder)
	wanted.update(awkward.write(folder))
	gateways = roundtrip.Gateways().start()
	run_all(list(wanted))


def run_all(paths, **kw):
	"""{path: Result} of a run of its own through the gateways."""
	run = roundtrip.Run(gateways, 8, **kw)
	found = run.go(paths)
	results.update((wanted[p][0], r) for p, r in found.items()
	    if p in wanted)
	return run


def stop():
	if gateways:
		gateways.stop()
	if folder:
		proc.remove_tree(folder)


def case(name, kind):
	@tap.case("%s: %s" % (kind, name))
	def t_one():
		tap.equal(results[name].kind, kind, "%s (%s)" % (name,
		    results[name].why))


# Those that are made at the start have a case of their own below.
for _kind, _messages in awkward.KINDS.items():
	for _name in _messages:
		case(_name, _kind)


def keep_opened(name):
	"""Take the message through once more; what was opened of it."""
	worker = roundtrip.Worker(roundtrip.Run(gateways, 1))
	worker.run.post.start(gateways.inboxes())
	try:
		flagged, plain = wire.flagged(awkward.same[name])
		refusal, content = worker.open(flagged, roundtrip.Notes(None,
		    None))
		tap.equal(refusal, None, "refusal of " + name)
		tap.equal(content, plain, name)
		return content
	finally:
		worker.close()
		worker.run.post.stop()


@tap.case("a signature still verifies in the opened message")
def t_signed():
	tap.equal(results["multipart/signed"].kind, "identical",
	    results["multipart/signed"].why)
	path = os.path.join(folder, "signed")
	opened = keep_opened("multipart/signed")
	for content, verifies in ((opened, True),
	    (opened.replace(b"Signed,", b"signed,"), False)):
		with open(path, "wb") as f:
			f.write(content)
		done = proc.run(["openssl", "smime", "-verify", "-in", path,
		    "-CAfile", smime[0]], check=False)
		tap.equal(done.returncode == 0, verifies, "it verifies: %s"
		    % done.stderr)


@tap.case("what was encrypted before is decrypted after")
def t_encrypted():
	path = os.path.join(folder, "encrypted")
	with open(path, "wb") as f:
		f.write(keep_opened("S/MIME"))
	text = proc.run(["openssl", "smime", "-decrypt", "-in", path, "-recip",
	    smime[0], "-inkey", smime[1]]).stdout
	tap.contains(text, b"multipart/signed", "the decrypted message")


@tap.case("a sealed message is sealed once more, and opens to itself")
def t_sealed_twice():
	# As a@ sends what b@ got: the message as it was delivered.
	keep = os.path.join(folder, "keep")
	os.makedirs(keep)
	path = os.path.join(folder, "nonl.eml")
	with open(path, "wb") as f:
		f.write(awkward.changed["no final newline"])
	run = run_all([path], keep=keep)
	tap.equal(run.results[path].kind, "changed", run.results[path].why)
	delivered = [n for n in os.listdir(keep) if n.endswith(".delivered")]
	content = mail.read(os.path.join(keep, delivered[0]))
	content = content[content.index(b"Received:"):]
	tap.contains(content, b"Counterfoil-Version: 1", "the sealed message")
	again = os.path.join(folder, "again.eml")
	with open(again, "wb") as f:
		f.write(content)
	run = run_all([again])
	tap.equal(run.results[again].kind, "identical", run.results[again].why)


def tool(*words, builddir=None, limit_s=500):
	"""tests/e2e/roundtrip: (exit status, output)"""
	env = dict(os.environ, CF_BUILDDIR=builddir or proc.builddir())
	done = subprocess.run([os.path.join(HERE, "roundtrip"), *words],
	    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit_s,
	    env=env, stdin=subprocess.DEVNULL)
	text = done.stdout.decode()
	tap.note(text)
	return done.returncode, text


def small_folder(name):
	"""Three messages, one of them in a folder below."""
	top = os.path.join(folder, name)
	os.makedirs(os.path.join(top, "below"))
	for path, content in (("one.eml", awkward.same["no MIME"]),
	    ("below/two.EML", awkward.changed["no final newline"]),
	    ("three.eml", awkward.H + b"\r\n" + b"x" * 78 * 1500 + b"\r\n"),
	    ("four.txt", b"no mail")):
		with open(os.path.join(top, path), "wb") as f:
			f.write(content)
	return top


@tap.case("the command counts, names, and ends with 0 when none failed")
def t_command():
	top = small_folder("small")
	status, text = tool("--size-limit", "150000", "--jobs", "2", top)
	lines = text.splitlines()
	tap.equal((status, lines[-1]), (0, "1 identical, 1 changed by the MTA "
	    "alone (shown by a control run without the milters), 0 with an "
	    "empty line added behind a bare header, 1 refused, 0 failed"), "status and last line")
	tap.true(re.search(r"(?m)^changed +\S+/below/two\.EML: ", text), "two")
	tap.true(re.search(r"(?m)^refused +\S+/three\.eml: .*size limit", text),
	    "three")
	status, text = tool(os.path.join(top, "four.txt", "x"))
	tap.true(status not in (0, None), "status without messages")


@tap.case("the command sees a byte that is wrong, and ends with 1")
def t_command_fails():
	"""A build whose counterfoil(1) alters what it opens."""
	top = small_folder("altered")
	build = os.path.join(folder, "build")
	os.mkdir(build)
	for name in ("counterfoil-milter", "counterfoil-keysrv", "common",
	    "counterfoil-reader", "counterfoil-admin"):
		path = os.path.join(proc.builddir(), name)
		if os.path.exists(path):
			os.symlink(path, os.path.join(build, name))
	with open(os.path.join(build, "counterfoil"), "w") as f:
		f.write("#!/bin/sh\n%s \"$@\" || exit\n"
		    "for out do :; done\nsed -i s/awkward/Awkward/ \"$out\"\n"
		    % proc.program("counterfoil"))
	os.chmod(os.path.join(build, "counterfoil"), 0o755)
	keep = os.path.join(folder, "kept")
	status, text = tool("--keep", keep, top, builddir=build)
	tap.equal((status, text.splitlines()[-1]), (1, "0 identical, 0 changed "
	    "by the MTA alone (shown by a control run without the milters), "
	    "0 with an empty line added behind a bare header, 0 refused, 3 "
	    "failed"), "status and last line")
	tap.true(re.search(r"(?m)^failed +\S+/one\.eml: .*Awkward", text),
	    "one, with the difference")
	for what in ("sent", "delivered", "opened", "control"):
		tap.true([n for n in os.listdir(keep)
		    if n.endswith("-one.eml." + what)], what + " is kept")


@tap.case("the flag changes nothing else, wherever it has to stand")
def t_flag_place():
	for content in [content for kind in (awkward.same, awkward.changed,
	    awkward.lined) for content in kind.values()]:
		flagged, plain = wire.flagged(content)
		front, rest = flagged.split(wire.FLAG[:-2], 1)
		rest = rest[2:]
		tap.true(plain in (front + rest, front + rest[2:],
		    front[:-2] + rest), "%r is all but the flag of %r"
		    % (plain[:200], flagged[:200]))


def corpus():
	"""Real mail beside the repository; else what the fuzzers begin with."""
	shared = os.environ.get("CF_SHARED")
	if shared:
		paths = roundtrip.messages(os.path.join(shared, "corpus",
		    "dev"))
		tap.true(len(paths) > 300, "%d messages in %s" % (len(paths),
		    shared))
		return paths
	paths = sorted(glob.glob(os.path.join(proc.repository(), "tests",
	    "fuzz", "corpus", "*", "*")))
	tap.true(len(paths) >= 20, "%d files" % len(paths))
	return paths


@tap.case("a corpus of many kinds")
def t_corpus():
	paths = corpus()
	run = run_all(paths)
	tap.note(run.last_line())
	bad = ["%s: %s" % (p, r.why) for p, r in sorted(run.results.items())
	    if r.kind in ("failed", "refused")]
	tap.true(not bad, "all pass:\n" + "\n".join(bad))
	if os.environ.get("CF_SHARED"):
		tap.true(run.count["identical"] >= 0.7 * len(paths),
		    "most are identical: " + run.last_line())


if __name__ == "__main__":
	tap.main(start, stop)
