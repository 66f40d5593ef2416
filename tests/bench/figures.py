# SPDX-License-Identifier: Apache-2.0
"""What is made of measurements: rates, ratios, goals and the table.

Pure: starts nothing and measures nothing; selfcheck.py tests it.
"""

import collections
import json
import re
import statistics

from lab import proc

# One measurement of one side: pieces of work, seconds, {program: processor
# seconds}, and what else is known of it.
Sample = collections.namedtuple("Sample", "count seconds cpu extra",
    defaults=({}, {}))


def rate(sample):
	return sample.count / sample.seconds


def each_ms(sample, programs=None):
	"""Processor milliseconds of the programs for one piece of work."""
	return 1e3 * sum(s for name, s in sample.cpu.items()
	    if programs is None or name in programs) / sample.count


def checked(name, sample):
	"""The sample; LabError if nothing was done."""
	if sample.count <= 0 or sample.seconds <= 0:
		raise proc.LabError("%s did nothing in %.1f s" % (name,
		    max(sample.seconds, 0)))
	return sample


# ---- what foreign programs print ----

def pgbench_sample(text, seconds):
	"""Of pgbench's standard output; it ran for so many seconds."""
	tps = re.search(r"(?m)^tps = ([0-9.]+)", text)
	count = re.search(r"(?m)^number of transactions actually processed: "
	    r"(\d+)", text)
	if tps is None or count is None or float(tps.group(1)) <= 0:
		said = [line for line in text.splitlines() if line.strip()]
		raise proc.LabError("pgbench did nothing in %.1f s; it said %s"
		    % (seconds, repr(said[-1]) if said else "nothing"))
	return Sample(int(count.group(1)), int(count.group(1))
	    / float(tps.group(1)))


def load_sample(text):
	"""Of the JSON object that tests/bench/load prints."""
	try:
		r = json.loads(text)
		sample = Sample(int(r["requests"]), float(r["seconds"]), {},
		    {"p50": float(r["p50_ms"]), "p99": float(r["p99_ms"])})
	except (ValueError, KeyError, TypeError) as e:
		raise proc.LabError("tests/bench/load printed no result (%r):"
		    " %r" % (e, text[:200]))
	return checked("tests/bench/load", sample)


def number(text, what):
	"""A number that a program printed."""
	try:
		return float(text)
	except ValueError:
		raise proc.LabError("%s is no number: %r" % (what, text[:200]))


# ---- ratios ----

def pairs(ours, theirs):
	"""What was measured in the same turn; None is a turn that failed."""
	return [(a, b) for a, b in zip(ours, theirs)
	    if a is not None and b is not None]


def rate_ratios(ours, theirs):
	"""Above 1: we are faster."""
	return [rate(a) / rate(b) for a, b in pairs(ours, theirs)]


def cpu_ratios(ours, theirs, programs):
	"""Below 1: we need less.  The clock of a process has 10 ms steps."""
	return [each_ms(a, programs) / each_ms(b, programs)
	    for a, b in pairs(ours, theirs) if each_ms(b, programs) > 0]


def spread(values):
	"""1.02 (0.98..1.10)"""
	return "%s (%s..%s)" % tuple(brief(v) for v in (
	    statistics.median(values), min(values), max(values)))


def brief(value):
	return "%.0f" % value if abs(value) >= 100 else "%.1f" % value \
	    if abs(value) >= 10 else "%.2f" % value


def percentile(values, p):
	"""The least of them that a part p of all does not exceed."""
	ordered = sorted(values)
	at = -int(-p * len(ordered) // 1)	# rounded up
	return ordered[max(at, 1) - 1]


# ---- goals ----

class Goal:
	"""Goal(">=", 1.5)"""

	def __init__(self, relation, limit):
		self.relation = relation
		self.limit = limit

	def __str__(self):
		return "%s %g" % (self.relation, self.limit)

	def judge(self, values):
		"""By the median; `close' if some turns say otherwise."""
		met = [v >= self.limit if self.relation == ">=" else
		    v <= self.limit for v in values + [statistics.median(
		    values)]]
		word = "met" if met[-1] else "NOT met"
		return word if len(set(met)) == 1 else word + ", close"


def _at_least(limit):
	return Goal(">=", limit)


def _at_most(limit):
	return Goal("<=", limit)


# By the name of the figure.
GOALS = {
    "issue, 1 client, to before": _at_least(1.5),
    "issue, 16 clients, to before": _at_least(1.35),
    "issue, 64 clients, to before": _at_least(1.35),
    "release, 1 client, to before": _at_least(1.5),
    "release, 16 clients, to before": _at_least(1.4),
    "release, 64 clients, to before": _at_least(1.4),
    "issue, 16 clients, processor to before": _at_most(0.7),
    "release, 16 clients, processor to before": _at_most(0.7),
    "issue, 16 clients, to pgbench": _at_least(1.0),
    "issue, 64 clients, to pgbench": _at_least(1.5),
    "release, 16 clients, to pgbench": _at_least(0.9),
    "release, 64 clients, to pgbench": _at_least(1.1),
    "release, 1 M keys to 10 k": _at_least(0.7),
    "release, 10 M keys to 10 k": _at_least(0.7),
    "receipts, to Postfix in 8 sessions": _at_least(0.8),
    "flagged 10 kB, to OpenDKIM": _at_least(1.15),
    "flagged 10 kB, sessions kept, to OpenDKIM": _at_least(1.15),
    "flagged 1 MB, to replace": _at_least(1.0),
    "flagged 25 MB, to replace": _at_least(1.0),
    "flagged 1 MB, to body": _at_least(0.83),
    "flagged 25 MB, to body": _at_least(0.83),
    "unflagged, to null": _at_least(1.0),
    "unflagged, sessions kept, to null": _at_least(1.0),
    "milter, 8 x 25 MB inbound, MB": _at_most(40),
    "counterfoil open 25 MB, peak MB": _at_most(24),
}
# Nothing may end below before.
BEFORE = _at_least(1.0)


def goal_of(name):
	if name in GOALS:
		return GOALS[name]
	return BEFORE if name.endswith(", to before") else None


def unmeasured(names, before, full):
	"""Goals whose figures a whole run lacks: it has those of the names.

	before, full  its options of that name
	"""
	return [name for name in GOALS if name not in names
	    and (before or not name.endswith(" before"))
	    and (", 1 M " if full else ", 10 M ") not in name]


class Table:
	"""All figures of a run, in the order in which they came."""

	HEAD = ("figure", "median (min..max)", "goal", "")

	def __init__(self):
		self.rows = []		# (name, values)
		self.failures = []	# sentences

	def add(self, name, values):
		if values:
			self.rows.append((name, list(values)))
		else:
			self.fail("%s: not measured" % name)

	def fail(self, sentence):
		self.failures.append(sentence)

	def lines(self):
		cells = [self.HEAD]
		for name, values in self.rows:
			goal = goal_of(name)
			cells.append((name, spread(values), str(goal or "-"),
			    goal.judge(values) if goal else ""))
		widths = [max(len(row[i]) for row in cells) for i in range(3)]
		return [("%-*s  %-*s  %-*s  %s" % (widths[0], row[0],
		    widths[1], row[1], widths[2], row[2], row[3])).rstrip()
		    for row in cells]
