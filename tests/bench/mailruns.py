# SPDX-License-Identifier: Apache-2.0
"""What is measured of mail through Postfix and the milters."""

from maillab import mail_lab

# The sizes that are large, with sessions, messages a turn, and turns.
LARGE = ((1000000, 8, 16), (25000000, 4, 8))


def megabytes(size):
	return "%d MB" % (size // 1000000)


def bench_flagged(run):
	lab = mail_lab(run)
	lab.compare("flagged 10 kB", True, {
	    "before": "flagged 10 kB, to before",
	    "dkim": "flagged 10 kB, to OpenDKIM"})
	lab.compare("flagged 10 kB, sessions kept", True, {
	    "dkim": "flagged 10 kB, sessions kept, to OpenDKIM"}, keep=True)


def bench_unflagged(run):
	lab = mail_lab(run)
	for words, keep in (("", False), (", sessions kept", True)):
		lab.compare("unflagged 10 kB" + words, False, {
		    "before": "unflagged%s, to before" % words,
		    "null": "unflagged%s, to null" % words}, keep=keep)


def bench_headers(run):
	"""A milter that must look at the header cannot ask for less."""
	lab = mail_lab(run)
	for words, keep in (("", False), (", sessions kept", True)):
		lab.compare("unflagged 10 kB, against one taking the header"
		    + words, False, {"headers": "unflagged%s, to headers"
		    % words}, keep=keep)


def bench_large(run):
	"""body: the floor of who streams; replace: holds it and replaces it."""
	lab = mail_lab(run)
	for size, sessions, least in LARGE:
		name = "flagged " + megabytes(size)
		lab.compare("%s, -s %d" % (name, sessions), True, {
		    port: "%s, to %s" % (name, port)
		    for port in ("before", "replace", "body")}, size, sessions,
		    least, take=run.few() if size > 1000000 else None)
