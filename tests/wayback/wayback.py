#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the world does to a sealed mail and its link, and who still opens it.

Every form of forms.py, made from a live P, through the command, the page in
Chromium and, where it matters, an inbound milter; then 200 sealed mails, each
through a random chain of three changes.

    wayback.py                      all of it
    wayback.py --seed N [WORDS]     the chains of that seed
"""

import base64
import hashlib
import json
import os
import random
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(TOP, "contrib"), os.path.join(TOP, "tests",
    "milter"), HERE]

from lab import proc, tap, world  # noqa: E402
import client  # noqa: E402
import forms  # noqa: E402
import rig  # noqa: E402

CHAINS = 200
OPEN_AT_LEAST = 190
FORMS_A_KEY = 20
# Of the chains: a change of the tree is judged by the same ones each time;
# contrib/check --long takes others.
SEED = 986737709

# What is not opened: what the command says, what the page calls it.
NOT_OPENED = {
    "33 taken out": ("something on the way took it out", "mail-emptied"),
    "54 packed": ("unpack it", "file-packed"),
    "lower case fragment": ("capital", "link-lowercase"),
    "mimecast": ("Mimecast", "link-opaque"),
}

w = None
seed = None


class World(world.World):
	"""Nobody needs a mail server here: its milters are spoken to."""

	def _mail_servers(self):
		pass


def through(milter, content):
	session = client.Session(milter.address)
	try:
		return session.send(content, "<alice@a.test>",
		    ("<bob@b.test>",))
	finally:
		session.quit()


def seal(n):
	"""A message of its own, and the P that the milter makes of it."""
	content = rig.message(b"Hello Bob,\r\nno. %d.\r\n%s\r\n" % (n,
	    base64.b64encode(os.urandom(30 + n % 90))))
	result = through(w.a_milter, content)
	tap.equal((result.verdict, result.reply), ("accept", None), "sealing")
	return rig.expected(content), forms.Pieces(result.message)


def start():
	global w
	w = World(say=tap.note)
	w.start()


def stop():
	if w:
		w.stop()


def put(name, content):
	path = w.path(re.sub(r"[^A-Za-z0-9]+", "-", name))
	proc.write_file(path, content)
	return path


def command(path, link=None):
	"""What was written, and what was said."""
	out = w.path("out.eml")
	done = proc.run([proc.program("counterfoil"), "-c", w.agent_config(),
	    "open", "-q", "-o", out, *(["--link", link] if link else []),
	    path], check=False)
	said = done.stderr.decode()
	if done.returncode != 0:
		return None, said
	with open(out, "rb") as f:
		return f.read(), said


def recipient(how, items, *words):
	done = proc.run([*proc.node(), os.path.join(HERE, "recipient.mjs"),
	    how, *words], input=json.dumps(items).encode(), limit_s=900)
	return json.loads(done.stdout)


def found(p, has_link=True):
	"""What recipient.mjs says of a file with P's E."""
	return {"e": hashlib.sha256(p.e).hexdigest(),
	    "locator": p.locator if has_link else None}


def each(pairs):
	"""One failure that names all that went wrong."""
	wrong = ["%s: %s" % (name, what) for name, what in pairs if what]
	tap.equal(wrong, [], "what went wrong")


# ---- each form ----

def inputs():
	"""(name, file, link to paste or None, original) of each form.

	From a few P's: a key is not given out as often as there are forms.
	"""
	def all_of(p):
		return [*forms.mail_forms(p).items(),
		    *forms.file_forms(p).items(), *forms.link_forms(p).items()]
	result = []
	for n in range(len(all_of(seal(0)[1]))):
		if n % FORMS_A_KEY == 0:
			original, p = seal(n)
			made = all_of(p)
		name, content = made[n]
		link = None
		if isinstance(content, str):
			content, link = p.e, content
		elif name[:1] == "4" and b"Locator" not in content:
			link = p.link
		result.append((name, put(name, content), link, original))
	return result


@tap.case("the command: every form opens, or is told what it is")
def t_command():
	def one(name, path, link, original):
		got, said = command(path, link)
		if name not in NOT_OPENED:
			return None if got == original else said or "other bytes"
		return None if got is None and NOT_OPENED[name][0] in said \
		    else said
	each((form[0], one(*form)) for form in inputs())


@tap.case("the page in Chromium: every form opens, or is told what it is")
def t_page():
	items = inputs()
	ends = recipient("open", [dict({"file": path}, **({"link": link} if
	    link else {})) for _, path, link, _ in items],
	    w.b_reader.url + "/")

	def one(name, original, end):
		if name in NOT_OPENED:
			return None if end["trouble"] == NOT_OPENED[name][1] \
			    else str(end)
		if end["state"] != "opened":
			return "%(state)s %(trouble)s %(says)s" % end
		return None if base64.b64decode(end["original"]) == original \
		    else "other bytes"
	each((name, one(name, original, end))
	    for (name, _, _, original), end in zip(items, ends))


@tap.case("the page by its link, whatever became of the # in it")
def t_link():
	made = [seal(n) for n in range(3)]
	ends = recipient("open", [{"url": p.link.replace("#", sharp, 1)}
	    for (_, p), sharp in zip(made, ("#", "%23", "%2523"))])
	for (original, p), end in zip(made, ends):
		tap.equal(end["state"], "opened", end["says"])
		tap.equal(base64.b64decode(end["original"]), original,
		    "the original")
		tap.lacks(end["address"], p.locator.split("#")[1],
		    "the address bar")


# ---- an inbound milter ----

# Without its marker or its notice as a whole; delivered as they came.
LEFT = ["06 flattened, no locator", "14 no version",
    "15 forwarded as attachment", "16 forwarded inline",
    "25 prefix to the type", "31 single part", "33 taken out",
    "36 signed in one piece"]


@tap.case("an inbound milter: what is ours leads to its reader, E stays")
def t_inbound():
	p = seal(0)[1]
	done = {name: through(w.b_milter, content)
	    for name, content in forms.mail_forms(p).items()}
	paths = [put("in " + name, result.message)
	    for name, result in done.items()]
	read = recipient("read", [{"file": path} for path in paths])

	def one(name, result, page):
		if (result.verdict, result.reply) != ("accept", None):
			return "%s %s" % (result.verdict, result.reply)
		if name in LEFT:
			return None if result.new_body is None \
			    and result.edits == [] else "changed"
		if w.b_reader.url.encode() not in result.message:
			return w.b_milter.log_text().splitlines()[-1]
		return None if page["sealed"] == [found(p)] else str(page)
	each((name, one(name, result, page))
	    for (name, result), page in zip(done.items(), read))
	# Why, and nothing that is not so.
	log = w.b_milter.log_text()
	tap.contains(log, "something on the way took it out", "the log")
	tap.contains(log, "its notice is not there", "the log")
	tap.lacks(log, "twice", "the log")


# ---- chains ----

@tap.case("%d sealed mails through chains of three changes: %d open" % (
    CHAINS, OPEN_AT_LEAST))
def t_chains():
	tap.note("--seed %d makes these chains again" % seed)
	dice = random.Random(seed)
	chains, paths, originals = [], [], []
	for n in range(CHAINS):
		message, p = seal(n)
		chains.append(forms.Chain(p, dice))
		paths.append(put("chain %d" % n, chains[-1].content))
		originals.append(message)
	read = recipient("read", [{"file": path} for path in paths])
	opened, wrong = 0, []
	for chain, path, message, page in zip(chains, paths, originals, read):
		got, said = command(path)
		by_page = page["sealed"]
		what = "; ".join(chain.names)
		if got == message and by_page == [found(chain.p)]:
			opened += 1
			continue
		tap.note("not opened: %s: %s" % (what, said.strip()))
		# The only reason: no link is left in it, and that is said.
		if (chain.has_link or got is not None
		    or not re.search("no link .*--link.*ask the sender", said)
		    or by_page != [found(chain.p, False)]):
			wrong.append("%s\n%s\n%s" % (what, said, page))
	tap.note("%d of %d opened" % (opened, CHAINS))
	tap.equal(wrong, [], "what has its link and does not open")
	tap.true(opened >= OPEN_AT_LEAST, "%d opened" % opened)


if __name__ == "__main__":
	words = sys.argv[1:]
	seed = SEED
	if os.environ.get("CF_LONG"):
		seed = int.from_bytes(os.urandom(4), "big")
	if words[:1] == ["--seed"]:
		seed = int(words[1])
		del sys.argv[1:3]
	tap.main(setup=start, teardown=stop)
