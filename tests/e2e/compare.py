#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What `quickstart --once` compares: every difference ends it with 1."""

import contextlib
import io
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))

from lab import sample, tap, tour  # noqa: E402

message = sample.Full(size=3000)
TRACE = b"Received: from x\r\n\tby y; Mon, 23 Nov 2026 13:35:00 +0100\r\n"


def original():
	return TRACE + message.unflagged + b"\r\n"


def shown():
	"""What the page gives when all is as it should be."""
	picture = b"data:image/png;base64," + tour.base64.b64encode(
	    sample.png())
	return {"text": message.text.replace("\r\n", "\n").encode(),
	    "html": sample.HTML_TEXT.encode() + b"\n",
	    "markup": b"<p>Dear Bob, the <b>offer</b> is attached.</p><img "
	    b"src=\"" + picture + b"\">",
	    "original": original(),
	    "attachments": {message.attachment_name: message.attachment}}


def flipped(data, at):
	return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


def differs(part, value):
	"""compare_shown() must complain when this part is `value`."""
	tap.raises(tour.Difference, lambda: tour.compare_shown(message,
	    dict(shown(), **{part: value})), "%s is %r" % (part,
	    value if value is None else value if isinstance(value, dict)
	    else value[:80]))


@tap.case("what was sent is taken")
def t_same():
	tour.compare_shown(message, shown())
	tap.equal(message.compare(original()), None, "the whole message")


@tap.case("a changed or missing text, HTML, picture or attachment is told")
def t_shown():
	good = shown()
	for part in ("text", "html", "markup", "original"):
		differs(part, None)
	differs("text", good["text"].replace(b"\n.\n", b"\n"))
	differs("text", good["text"].replace("ü".encode(), b"?"))
	differs("html", good["html"].replace(b"offer", b"order"))
	differs("html", good["html"] + b"more")
	differs("markup", good["markup"].replace(b"base64,i", b"base64,j"))
	differs("attachments", {})
	differs("attachments", {"other.bin": message.attachment})
	for value in (message.attachment[:-1], flipped(message.attachment, 9)):
		differs("attachments", {message.attachment_name: value})


@tap.case("any changed, lost or added byte of the whole message is told")
def t_whole():
	whole = original()
	for at in range(len(TRACE), len(whole)):
		tap.true(message.compare(flipped(whole, at)),
		    "a changed byte %d" % at)
	for change in (
	    lambda m: m[:-2],
	    lambda m: m + b"\r\n",
	    lambda m: m[len(TRACE):],
	    lambda m: b"X-Other: 1\r\n" + m,
	    lambda m: TRACE + b"X-Other: 1\r\n" + m[len(TRACE):],
	    lambda m: TRACE + message.sent + b"\r\n",
	    lambda m: m.replace(b"Comments:second of two\r\n", b""),
	    lambda m: m.replace(b"two blanks inside ", b"two blanks inside"),
	    lambda m: m.replace(b"X-Folded: a\r\n  b", b"X-Folded: a b"),
	    lambda m: m.replace(b"\r\n.\r\n", b"\r\n..\r\n", 1),
	    lambda m: m.replace(b"\r\n", b"\n"),
	    lambda m: b""):
		changed = change(whole)
		tap.true(changed != whole, "the change changed something")
		tap.true(message.compare(changed), "told: %r" % changed[:200])


class NoWorld:
	folder = "/nonexistent"

	def __init__(self, **_):
		pass

	def start(self):
		return self

	def stop(self, **_):
		pass


@tap.case("--once ends with 1 and the reason, or with 0")
def t_status():
	def differ(w):
		tour.compare_shown(message, dict(shown(), text=b"else"))

	def interrupt(w):
		raise KeyboardInterrupt
	before = tour.world.World, tour.once_in
	tour.world.World = NoWorld
	try:
		for use, status, words in ((lambda w: None, 0, "Stopped."),
		    (differ, 1, "FAILED: the text in the page is not"),
		    (interrupt, 1, "Interrupted")):
			tour.once_in = use
			out = io.StringIO()
			with contextlib.redirect_stdout(out):
				e = tap.raises(SystemExit, tour.once, words)
			tap.equal(e.code, status, "exit status, " + words)
			tap.contains(out.getvalue(), words, "the output")
	finally:
		tour.world.World, tour.once_in = before


if __name__ == "__main__":
	tap.main()
