#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the round trip says of a message, by what went in and came out.

The gateways are left out: a product that damages messages is made up, and
Postfix with it.  No damage may pass for something that the MTA did.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "..", "contrib"))

import awkward  # noqa: E402
from lab import roundtrip, tap, wire  # noqa: E402

TEXT = b"\r\nHello, this is the text.\r\n.\r\n Bye \r\n"
HEAD = (b"Received: by x;\r\n\tMon, 23 Nov 2026\r\nFrom: a@a.test\r\n"
    b"X-Twice: 1\r\nX-Twice: 2 \r\nSubject: x\r\n")
PLAIN = HEAD + TEXT
BARE = HEAD

# What Postfix might make of it by itself; whoever compares is shown it.
BY_MTA = {
    "nothing": lambda m: m,
    "a line end at the end": lambda m: m.rstrip(b"\r\n") + b"\r\n",
    "a field more": lambda m: b"X-Mta: 1\r\n" + m,
    "long lines broken": lambda m: m.replace(b"this is", b"this\r\n is"),
    "stray CR as blanks": lambda m: m.replace(b"Subject", b"Sub ject"),
}

DAMAGE = {
    "an empty line is lost": lambda m: m.replace(b"\r\n\r\n", b"\r\n", 1),
    "all empty lines are lost": lambda m: m.replace(b"\r\n\r\n", b"\r\n"),
    "an empty line more": lambda m: m.replace(b"\r\n\r\n", b"\r\n" * 3, 1),
    "two lines more at the end": lambda m: m + b"\r\n\r\n",
    "an empty line first": lambda m: b"\r\n" + m,
    "the last line end is lost": lambda m: m[:-2],
    "LF for CRLF": lambda m: m.replace(b"\r\n", b"\n"),
    "one LF for CRLF": lambda m: m.replace(b"\r\n", b"\n", 1),
    "CR for CRLF": lambda m: m.replace(b"\r\n", b"\r"),
    "a dot more": lambda m: m.replace(b"\r\n.", b"\r\n.."),
    "a dot less": lambda m: m.replace(b"\r\n.", b"\r\n"),
    "blanks at line ends are lost": lambda m: m.replace(b" \r\n", b"\r\n"),
    "folds undone": lambda m: m.replace(b"\r\n\t", b" "),
    "a tab for a blank": lambda m: m.replace(b" ", b"\t", 1),
    "another case": lambda m: m.swapcase(),
    "names in lower case": lambda m: m.replace(b"Subject", b"subject"),
    "twice": lambda m: m + m,
    "half": lambda m: m[:len(m) // 2],
    "the body is lost": lambda m: m[:len(HEAD)],
    "the body is lost but for the line": lambda m: m[:len(HEAD) + 2],
    "the header is lost": lambda m: m[len(HEAD):],
    "the header is lost with the line": lambda m: m[len(HEAD) + 2:],
    "the trace field is lost": lambda m: m[m.index(b"From:"):],
    "of two fields one is lost": lambda m: m.replace(b"X-Twice: 1\r\n", b""),
    "two fields change places": lambda m: m.replace(b"X-Twice: 1\r\nX-Twice: "
        b"2 \r\n", b"X-Twice: 2 \r\nX-Twice: 1\r\n"),
    "a field more": lambda m: b"X-More: 1\r\n" + m,
    "a Bcc more": lambda m: b"Bcc: x@x.test\r\n" + m,
    "the flag stays": lambda m: wire.FLAG + m,
    "nothing comes": lambda m: b"",
}


def judged(content, sent, shown):
	"""The kind, "failed" if there is Trouble."""
	try:
		return roundtrip.compare(content, wire.expected(sent),
		    shown).kind
	except roundtrip.Trouble:
		return "failed"


def must_fail(content, sent, shown, what):
	if content not in (wire.expected(sent), shown):
		tap.equal(judged(content, sent, shown), "failed", what)


@tap.case("what comes out as it went in, or as the MTA makes it, is taken")
def t_good():
	for content in (PLAIN, BARE, b"", b"\r\nx\r\n", b"x"):
		tap.equal(judged(content, content, content), "identical",
		    repr(content))
		for what, change in BY_MTA.items():
			shown = change(content)
			if shown != content:
				tap.equal(judged(shown, content, shown),
				    "changed", what)


@tap.case("each damage fails, whatever the MTA does by itself")
def t_damage():
	for what, damage in DAMAGE.items():
		tap.true(damage(PLAIN) != PLAIN, what + ": it is one")
		for by_mta, change in BY_MTA.items():
			shown = change(PLAIN)
			must_fail(damage(PLAIN), PLAIN, shown, "%s; the MTA: %s"
			    % (what, by_mta))
			must_fail(damage(shown), PLAIN, shown, "%s, of what the "
			    "MTA made: %s" % (what, by_mta))


@tap.case("any byte changed, lost or added fails")
def t_bytes():
	for sent in (PLAIN, PLAIN[:-2], b"\r\nbody alone\r\n"):
		for shown in (sent, b"X-Mta: 1\r\n" + sent):
			for at in range(len(shown)):
				for content in (
				    shown[:at] + bytes([shown[at] ^ 1])
				    + shown[at + 1:],
				    shown[:at] + shown[at + 1:],
				    shown[:at] + b"\n" + shown[at:],
				    shown[:at] + b"\r\n" + shown[at:]):
					must_fail(content, sent, shown,
					    "at %d: %r" % (at, content))


@tap.case("awkward mail, damaged, fails")
def t_awkward():
	for name, sent in list(awkward.same.items()) + list(
	    awkward.changed.items()):
		sent = wire.expected(wire.flagged(sent)[1])
		if len(sent) > 100000 or wire.lacks_line(sent) \
		    or b"From:" not in sent:
			continue
		for what, damage in DAMAGE.items():
			must_fail(damage(sent), sent, sent, "%s: %s" % (name,
			    what))


@tap.case("an empty line behind a bare header is a kind of its own")
def t_lined():
	for sent in (BARE, BARE + b"no field\r\n", b""):
		added = sent[:len(BARE)] + b"\r\n" + sent[len(BARE):]
		tap.equal(judged(added, sent, sent), "lined", repr(sent))
		for content in (added + b"\r\n", b"\r\n" + added,
		    added[:-1] if sent else b"\n"):
			must_fail(content, sent, sent, repr(content))
	# Where the MTA adds it, a milter need not have seen it.
	tap.equal(judged(BARE, BARE, BARE + b"\r\n"), "identical", "not added")
	tap.equal(judged(b"X-Mta: 1\r\n" + BARE, BARE,
	    b"X-Mta: 1\r\n" + BARE + b"\r\n"), "changed", "not added")
	# Where the message has one it must come.
	tap.equal(judged(HEAD + TEXT[2:], PLAIN, PLAIN), "failed", "lost")


@tap.case("fields that Postfix drops of every message are expected to go")
def t_dropped():
	for name in (b"Return-Path", b"Content-Length", b"return-PATH", b"Bcc"):
		sent = name + b": <x@x.test>\r\n and more\r\n" + PLAIN
		tap.equal(judged(PLAIN, sent, PLAIN), "identical", repr(name))
		tap.equal(judged(sent, sent, PLAIN), "failed", repr(name))
	body = PLAIN + b"Return-Path: <x@x.test>\r\n"
	tap.equal(judged(PLAIN, body, body), "failed", "in the body")


@tap.case("a refusal is the MTA's only for the same reason")
def t_refusals():
	hops = "550 5.4.6 <rt-%d@b.test>: too many hops (#%s)"
	tap.equal(roundtrip.compare_refusals(hops % (1, "4F8A12"), hops
	    % (2, "5BB001")).kind, "refused", "the same")
	for also in (None, "550 5.6.0 nesting too deep",
	    "552 5.4.6 <rt-2@b.test>: too many hops"):
		tap.raises(roundtrip.Trouble, lambda: roundtrip
		    .compare_refusals(hops % (1, "4F8A12"), also), repr(also))


if __name__ == "__main__":
	tap.main()
