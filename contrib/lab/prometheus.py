# SPDX-License-Identifier: Apache-2.0
"""Counters of a daemon: a strict reader of the Prometheus text format 0.0.4,
and of the alert rules that use them."""

import http.client
import os
import re
import socket

from lab import proc, tap

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(r"(%s)(?:\{((?:%s)(?:,%s)*)\})? (-?[0-9.]+|\+Inf|NaN)"
    % (NAME, LABEL.replace("(", "(?:", 1).replace('="(', '="(?:'),
    LABEL.replace("(", "(?:", 1).replace('="(', '="(?:')))
TYPES = ("counter", "gauge", "histogram")


class Malformed(Exception):
	pass


def _base(name, kinds):
	"""The family a sample belongs to."""
	for end in ("_bucket", "_sum", "_count"):
		short = name[:-len(end)]
		if name.endswith(end) and kinds.get(short) == "histogram":
			return short
	return name


def parse(text):
	"""{(name, frozenset of labels): value}; raises Malformed."""
	kinds, helped, found, order = {}, set(), {}, []
	if not text.endswith("\n"):
		raise Malformed("no line end at the end")
	for line in text[:-1].split("\n"):
		m = re.fullmatch(r"# HELP (%s) (\S.*)" % NAME, line)
		if m:
			if m.group(1) in helped:
				raise Malformed("HELP twice: " + line)
			helped.add(m.group(1))
			continue
		m = re.fullmatch(r"# TYPE (%s) (\w+)" % NAME, line)
		if m:
			if m.group(1) in kinds or m.group(2) not in TYPES or \
			    m.group(1) not in helped:
				raise Malformed("TYPE: " + line)
			kinds[m.group(1)] = m.group(2)
			continue
		m = SAMPLE.fullmatch(line)
		if not m:
			raise Malformed("line: %r" % line)
		base = _base(m.group(1), kinds)
		if base not in kinds:
			raise Malformed("no TYPE before: " + line)
		if base in order[:-1]:
			raise Malformed("family not in one piece: " + line)
		if order[-1:] != [base]:
			order.append(base)
		if kinds[base] == "counter" and not base.endswith("_total"):
			raise Malformed("counter without _total: " + line)
		labels = frozenset(re.findall(LABEL, m.group(2) or ""))
		if len(labels) != len({n for n, _ in labels}):
			raise Malformed("label twice: " + line)
		if (m.group(1), labels) in found:
			raise Malformed("twice: " + line)
		found[m.group(1), labels] = float(m.group(3))
	_check_histograms(kinds, found)
	return found


def _check_histograms(kinds, found):
	for base in [k for k in kinds if kinds[k] == "histogram"]:
		series = {}
		for (name, labels), value in found.items():
			if name != base + "_bucket":
				continue
			le = dict(labels)["le"]
			rest = frozenset(x for x in labels if x[0] != "le")
			series.setdefault(rest, []).append((float(le), value))
		for rest, buckets in series.items():
			buckets.sort()
			counts = [v for _, v in buckets]
			if counts != sorted(counts):
				raise Malformed("%s: buckets fall" % base)
			if buckets[-1][0] != float("inf") or counts[-1] != \
			    found.get((base + "_count", rest)):
				raise Malformed("%s: +Inf is not _count" % base)
			if (base + "_sum", rest) not in found:
				raise Malformed("%s: no _sum" % base)


def value(found, name, **labels):
	"""Sum of the samples of that name that have these labels."""
	return sum(v for (n, have), v in found.items()
	    if n == name and labels.items() <= dict(have).items())


def fetch(where, path="/metrics", method="GET"):
	"""(status, headers, text) from an address or a unix socket."""
	if where.startswith("unix:"):
		c = http.client.HTTPConnection("localhost", timeout=60)
		c.sock = socket.socket(socket.AF_UNIX)
		c.sock.settimeout(60)
		c.sock.connect(where[5:])
	else:
		c = http.client.HTTPConnection(where, timeout=60)
	try:
		c.request(method, path)
		answer = c.getresponse()
		return answer.status, answer.headers, answer.read().decode()
	finally:
		c.close()


def scrape(where):
	"""What is counted there, as parse() gives it."""
	status, headers, text = fetch(where)
	tap.equal((status, headers["Content-Type"]),
	    (200, "text/plain; version=0.0.4; charset=utf-8"), "answer")
	return parse(text)


def check_rules(file, prefix, where):
	"""The alert rules of contrib/prometheus/FILE name counters that
	are served, and labels that they have."""
	rules = proc.read_text(os.path.join(proc.repository(), "contrib",
	    "prometheus", file))
	text = fetch(where)[2]
	names = set(re.findall(prefix + r"\w+", rules))
	tap.true(len(names) >= 2, "names: %s" % names)
	for name in names:
		base = re.sub("_bucket$", "", name)
		tap.contains(text, "# TYPE %s " % base, "counters")
	for name, labels in re.findall(r"(%s\w+)\{([^}]*)\}" % prefix, rules):
		for label, _ in re.findall(r'(\w+)!?=~?"([^"]*)"', labels):
			tap.true(re.search(r'%s\{[^}]*\b%s="' % (name, label),
			    text), "no %s has the label %s" % (name, label))
