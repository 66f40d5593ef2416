#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The milter killed at every step of sealing, behind a real Postfix.

Needs a build with --enable-fault-points.
"""

import glob
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))

from lab import mail, proc, sample, tap, world  # noqa: E402

CLEAR = b"Nobody on the way may read this.\r\n"
# A dot is neither in base64 nor in a link's random part.
AT_ONCE = b"at.once."
w = None


def points():
	"""The names in the sources: a new one is in the test by itself."""
	found = []
	for path in sorted(glob.glob(os.path.join(proc.repository(),
	    "milter", "*", "*.c"))):
		found += re.findall(r'cf_fault\("([^"]+)"\)',
		    proc.read_text(path))
	return found


def start():
	global w
	w = world.World(say=tap.note)
	w.start()


def killed():
	"""A session that Postfix keeps from before the last kill has no milter
	any more and defers the mail unseen: it is sent again.
	"""
	process = w.a_milter.process

	def ended():
		if process.popen.poll() is None and \
		    "said: 451" in w.a.queue_text():
			w.a.flush()
		return process.popen.poll() is not None

	proc.wait_for(ended, 180, "the milter to be killed")
	tap.equal(process.wait(1), -signal.SIGKILL, "the milter's end")


def delivered(mark):
	return next(map(mail.read, mail.marked(w.b, "bob", mark)), None)


@tap.case("killed at every step: the mail waits, and goes out sealed")
def t_killed():
	found = points()
	tap.true(len(found) >= 6, "fault points: %r" % found)
	w.a_milter.stop()
	for point in found:
		mark = point.encode() + b"."
		content = sample.simple(mark, body=CLEAR)
		w.a_milter.start(env=dict(os.environ, CF_FAULT=point + ":1"))
		code, text = mail.send(w.a.outside_port, "alice@a.test",
		    "bob@b.test", content.replace(mark, AT_ONCE))
		tap.equal(code, 451, "reply %r after %s" % (text, point))
		killed()
		w.a_milter.start(env=dict(os.environ, CF_FAULT=point + ":1"))
		code, text = mail.send(w.a.port, "alice@a.test", "bob@b.test",
		    content)
		tap.equal(code, 250, "reply %r" % text)
		killed()
		proc.wait_for(lambda: "said: 451" in w.a.queue_text(), 180,
		    "the mail to wait")
		tap.equal(delivered(mark), None, "delivered after " + point)
		w.a_milter.start()
		w.a.flush()
		got = proc.wait_for(lambda: delivered(mark), 180, point)
		tap.lacks(got, CLEAR.strip(), "the mail after " + point)
		sample.link(got)
		w.a_milter.stop()
		mail.wait_until_idle(w.a)
	tap.equal(delivered(AT_ONCE), None, "what was refused")
	w.a_milter.start()


@tap.case("the store has no half file after all that")
def t_store():
	for folder, _, files in os.walk(w.a_milter.store):
		for name in files:
			path = os.path.join(folder, name)
			if name == ".secret":
				continue
			if name.startswith(".new."):
				tap.note("a rest, under no name: " + name)
				continue
			# DER says how long it is.
			content = mail.read(path)
			tap.equal(content[0], 0x30, "first byte of " + path)
			size = content[1] & 0x7f
			tap.equal(len(content), int.from_bytes(content[2:2 + size],
			    "big") + 2 + size if content[1] & 0x80 else
			    content[1] + 2, "length of " + path)


if __name__ == "__main__":
	tap.main(start, lambda: w and w.stop())
