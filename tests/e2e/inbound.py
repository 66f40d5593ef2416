#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Mail that claims to be ours: rewritten if true, else left alone.

True is what still has E, a link with its key id and the notice.
"""

import base64
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))

from lab import mail, proc, sample, tap, world  # noqa: E402

w = None
genuine = None		# sealed mail as it left a.test, CRLF, from Received on
PART2 = b"Content-Type: application/octet-stream"


def start():
	global w, genuine
	w = world.World(tls=True, plain_site=True, say=tap.note)
	w.start()
	code, text = mail.send(w.a.port, "alice@a.test", "carol@c.test",
	    sample.simple("genuine", to="carol@c.test"))
	tap.equal(code, 250, "reply %r" % text)
	content = mail.read(mail.wait(w.c, "carol")[0])
	genuine = content[content.index(b"Received:"):].replace(b"\n", b"\r\n")


def deliver(content, mark):
	"""Send it to b from outside; what bob gets, and b's milter's log."""
	content = content.replace(b"Subject:", b"X-Mark: <%s>\r\nSubject:"
	    % mark.encode(), 1)
	before = len(w.b_milter.log_text())
	code, text = mail.send(w.b.port, "mallory@m.test", "bob@b.test",
	    content, source="127.0.0.2")
	tap.equal(code, 250, "reply %r" % text)

	def found():
		for path in w.b.messages("bob"):
			got = mail.read(path)
			if b"X-Mark: <%s>" % mark.encode() in got:
				return got
		return None
	got = proc.wait_for(found, 180, mark)
	got = got[got.index(b"Received:"):].replace(b"\n", b"\r\n")
	return content, got, w.b_milter.log_text()[before:]


def unchanged(name, change):
	"""A case: the changed message arrives as it was sent."""
	@tap.case(name + ": delivered unchanged, reason logged")
	def t_unchanged():
		changed = change(genuine)
		tap.true(changed != genuine, "the change changed something")
		sent, got, log = deliver(changed, re.sub(r"\W", "-", name))
		tap.equal(got[-len(sent):], sent, "the delivered message")
		tap.true(sample.TRACE.fullmatch(got[:-len(sent)]),
		    "only Received stands before it: %r" % got[:-len(sent)])
		tap.true(re.search(r": unchanged .* out=\d+: \S+ \S", log),
		    "the milter logged a reason: " + log)
		tap.note(log.strip().splitlines()[-1])
		tap.lacks(log, sample.token(sample.link(genuine)),
		    "the milter's log")


def rewritten(name, change):
	"""A case: the notice of the changed message leads to our reader."""
	@tap.case(name + ": rewritten all the same")
	def t_rewritten():
		changed = change(genuine)
		tap.true(changed != genuine, "the change changed something")
		sent, got, log = deliver(changed, re.sub(r"\W", "-", name))
		link = sample.link(got)
		tap.true(link.startswith(w.b_reader.url + "/m/"), "link "
		    + link)
		tap.equal(sample.locator(link), sample.locator(sample.link(
		    genuine)), "L")
		tap.contains(got, sent[:sent.index(b"\r\n\r\n")], "the header")
		tap.lacks(log, sample.token(link), "the milter's log")


def locator_field(content):
	return re.search(rb"Counterfoil-Locator: ([^\r]+)\r\n", content)


def with_locator(change):
	def swap(content):
		m = locator_field(content)
		return (content[:m.start(1)] + change(m.group(1))
		    + content[m.end(1):])
	return swap


def with_sealed(change):
	"""Change E itself, re-encoded."""
	def swap(content):
		m = re.search(rb"Counterfoil-Locator: .*?\r\n\r\n(.*?)\r\n--",
		    content, re.S)
		if not m:
			m = re.search(rb"message\.counterfoil\"\r\n(?:[^\r]+\r\n)*\r\n"
			    rb"(.*?)\r\n--", content, re.S)
		der = change(base64.b64decode(m.group(1)))
		return (content[:m.start(1)] + sample.lines76(der).rstrip()
		    + content[m.end(1):])
	return swap


def boundary(content):
	return re.search(rb'boundary="([^"]+)"', content).group(1)


@tap.case("the genuine message is rewritten, its sealed part kept")
def t_genuine():
	sent, got, log = deliver(genuine, "control")
	link = sample.link(got)
	tap.true(link.startswith(w.b_reader.url + "/m/"), "link " + link)
	tap.equal(sample.locator(link), sample.locator(sample.link(genuine)),
	    "L")
	part = genuine[genuine.index(PART2):]
	tap.contains(got, part, "the delivered message")
	# What stands above the first notice is the outer header, untouched.
	head = sent[:sent.index(b"\r\n\r\n")]
	tap.contains(got, head, "the delivered message's header")
	blob = re.search(r"/m/([A-Za-z0-9_-]{22})#", link).group(1)
	status, headers, der = w.b_reader.request("GET", "/e/" + blob)
	tap.equal(status, 200, "the reader has it")
	m = re.search(rb"\r\n\r\n([A-Za-z0-9+/=\r\n]+)\r\n--", part)
	tap.equal(der, base64.b64decode(m.group(1)), "what the reader has")


unchanged("foreign key server", with_locator(lambda l: re.sub(
    rb"//[^/]+/", b"//keys.evil.test/", l)))
unchanged("another port of the key server", with_locator(lambda l: re.sub(
    rb":(\d+)/", b":1/", l)))
unchanged("plain http to the key server", with_locator(lambda l: l.replace(
    b"https://", b"http://")))
rewritten("a user name in the locator", with_locator(lambda l: l.replace(
    b"https://", b"https://x@")))
rewritten("locator with something behind", with_locator(
    lambda l: l + b"x"))
rewritten("locator cut short", with_locator(lambda l: l[:-1]))
rewritten("locator with another key", with_locator(lambda l: re.sub(
    rb"/k/.{22}#", b"/k/" + b"A" * 22 + b"#", l)))
rewritten("no locator", lambda c: re.sub(
    rb"Counterfoil-Locator: [^\r]+\r\n", b"", c))
rewritten("two locators", lambda c: c.replace(locator_field(c).group(0),
    locator_field(c).group(0) * 2))
unchanged("sealed part cut short", with_sealed(lambda e: e[:-7]))
rewritten("sealed part with a tail", with_sealed(lambda e: e + b"\0"))
unchanged("sealed part with another content type", with_sealed(
    lambda e: e.replace(bytes.fromhex("060b2a864886f70d0109100117"),
    bytes.fromhex("060b2a864886f70d0109100118"))))
unchanged("sealed part that is no base64", lambda c: re.sub(
    rb"\r\n\r\nMI", b"\r\n\r\n**", c))
unchanged("unknown version", lambda c: c.replace(
    b"Counterfoil-Version: 1", b"Counterfoil-Version: 2"))
rewritten("two versions", lambda c: c.replace(b"Counterfoil-Version: 1\r\n",
    b"Counterfoil-Version: 1\r\nCounterfoil-Version: 1\r\n"))
rewritten("another top type", lambda c: c.replace(
    b"Content-Type: multipart/mixed", b"Content-Type: multipart/related"))
rewritten("a third part", lambda c: c.replace(b"--" + boundary(c) + b"--",
    b"--" + boundary(c) + b"\r\n\r\nmore\r\n--" + boundary(c) + b"--"))
rewritten("parts in another order", lambda c: swap_parts(c))
rewritten("closing boundary missing", lambda c: c[:c.rindex(
    b"\r\n--" + boundary(c) + b"--")] + b"\r\n")


def swap_parts(content):
	mark = b"--" + boundary(content)
	head, one, two, end = content.split(mark)
	return head + mark + two + mark + one + mark + end


@tap.case("nothing of all this stopped the milter")
def t_alive():
	tap.equal(w.dead(), None, "a program that ended")
	sent, got, log = deliver(genuine, "again")
	sample.link(got)


if __name__ == "__main__":
	tap.main(start, lambda: w and w.stop())
