# SPDX-License-Identifier: Apache-2.0
"""Test cases and their output in the Test Anything Protocol.

    from lab import tap

    @tap.case("a message without the flag is left alone")
    def t_unflagged():
        tap.equal(got, wanted, "body")

    tap.main(setup=start, teardown=stop)

One case is one line `ok` or `not ok`, after which stands the reason.  A case
fails by an exception; the functions below raise one that says what was
compared.  Words on the command line choose the cases whose name contains one
of them; --list names all.
"""

import os
import sys
import time
import traceback

_cases = []


class Failure(AssertionError):
	"""A check that did not hold."""


def case(name):
	def add(function):
		_cases.append((name, function))
		return function
	return add


def _reason(e):
	"""What people are told of the exception that ended a case."""
	if isinstance(e, Failure):
		return "%s\nat %s" % (e, " ".join("%s:%d" % (f.filename,
		    f.lineno) for f in traceback.extract_tb(e.__traceback__)
		    if f.filename != __file__))
	# First what was wrong: readers may see the first lines only.
	text = "".join(traceback.format_exception_only(type(e), e)
	    + traceback.format_tb(e.__traceback__))
	if e.__context__ and not e.__suppress_context__:
		text += "during: %r" % e.__context__
	return text


def _line(text):
	"""In one piece, whatever other threads print."""
	sys.stdout.write(text + "\n")
	sys.stdout.flush()


def note(text):
	for line in str(text).splitlines() or [""]:
		_line("# " + line)


def _end(failed):
	"""Exit without waiting for helper threads.

	While Python shuts down, a daemon thread that is about to print or to
	take a lock may bring it down with a signal.
	"""
	sys.stdout.flush()
	sys.stderr.flush()
	os._exit(1 if failed else 0)


def _short(value, limit=600):
	text = repr(value)
	return text if len(text) <= limit else text[:limit] + "..."


def fail(text):
	raise Failure(text)


def true(condition, what):
	if not condition:
		fail("not so: " + what)


def equal(got, wanted, what):
	if got == wanted:
		return
	text = "%s differs:\n got    %s\n wanted %s" % (what, _short(got),
	    _short(wanted))
	if isinstance(got, (bytes, str)) and isinstance(wanted, type(got)):
		at = next((i for i, (g, w) in enumerate(zip(got, wanted))
		    if g != w), min(len(got), len(wanted)))
		lo = max(0, at - 60)
		text += ("\n first difference at %d of %d/%d:\n got    %s\n"
		    " wanted %s" % (at, len(got), len(wanted),
		    _short(got[lo:at + 60]), _short(wanted[lo:at + 60])))
	fail(text)


def contains(text, part, what):
	if part not in text:
		fail("%s lacks %s:\n%s" % (what, _short(part), _short(text, 2000)))


def lacks(text, part, what):
	if part in text:
		at = text.index(part)
		fail("%s contains %s:\n%s" % (what, _short(part),
		    _short(text[max(0, at - 100):at + 100])))


def raises(kind, function, what):
	"""function() must raise `kind`; gives the exception."""
	try:
		function()
	except kind as e:
		return e
	fail("%s: %s was not raised" % (what, kind.__name__))


def main(setup=None, teardown=None):
	"""Run the cases, print the report, exit 0 or 1."""
	words = sys.argv[1:]
	if words == ["--list"]:
		print("\n".join(name for name, _ in _cases))
		sys.exit(0)
	chosen = [c for c in _cases
	    if not words or any(w in c[0] for w in words)]
	for stream in (sys.stdout, sys.stderr):	# whatever the locale
		stream.reconfigure(errors="backslashreplace")
	_line("1..%d" % len(chosen))
	failed = 0 if chosen else 1
	try:
		try:
			if setup:
				setup()
		except BaseException as e:
			_line("Bail out! setup failed: %s"
			    % str(e).splitlines()[0:1])
			note(_reason(e))
			if not isinstance(e, Exception):
				raise
			failed = 1
			chosen = []
		for number, (name, function) in enumerate(chosen, 1):
			began = time.monotonic()
			word, why = "ok", None
			try:
				function()
			except Exception as e:
				word, why = "not ok", _reason(e)
				failed += 1
			_line("%s %d - %s # %.1f s" % (word, number,
			    name.replace("#", "\\#"), time.monotonic() - began))
			if why:
				note(why)
	finally:
		if teardown:
			try:
				teardown()
			except Exception as e:
				failed += 1
				_line("Bail out! teardown failed")
				note(_reason(e))
	_end(failed)
