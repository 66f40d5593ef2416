#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What tests/bench/run makes of measurements, without measuring anything."""

import contextlib
import io
import os
import subprocess
import sys
import tempfile
import types

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.dirname(os.path.abspath(__file__)))), "contrib"))

from lab import proc, tap  # noqa: E402

import figures  # noqa: E402
import meters  # noqa: E402
import turns  # noqa: E402
from figures import Goal, Sample  # noqa: E402

PGBENCH = """\
pgbench (15.14 (Debian 15.14-0+deb12u1))
transaction type: issue.sql
scaling factor: 1
query mode: prepared
number of clients: 16
number of threads: 2
duration: 2 s
number of transactions actually processed: 3522
number of failed transactions: 0 (0.000%)
latency average = 9.086 ms
initial connection time = 41.562 ms
tps = 1761.000000 (without initial connection time)
"""
NOTHING = """\
pgbench (15.14 (Debian 15.14-0+deb12u1))
number of clients: 64
duration: 1 s
number of transactions actually processed: 0
number of failed transactions: 0 (NaN%)
"""
LOAD = b'{"clients":16,"requests":3000,"errors":0,"seconds":1.5000,' \
    b'"rate":2000.0,"p50_ms":7.500,"p99_ms":21.250}\n'


def sentence(work):
	"""Of the LabError that it raises."""
	try:
		work()
	except proc.LabError as e:
		return str(e)
	raise tap.Failure("no LabError")


@tap.case("pgbench's output is read")
def t_pgbench():
	s = figures.pgbench_sample(PGBENCH, 2)
	tap.equal(s.count, 3522, "transactions")
	tap.equal(round(figures.rate(s)), 1761, "a second")


@tap.case("pgbench that did nothing, or printed something else, is said")
def t_pgbench_nothing():
	for text in (NOTHING, "", PGBENCH.replace("1761.000000", "0.000000"),
	    PGBENCH.replace("tps = 1", "tps = -"), PGBENCH.replace(
	    "actually processed", "seen")):
		tap.contains(sentence(lambda: figures.pgbench_sample(text, 1)),
		    "pgbench did nothing in 1.0 s; it said", "what is said")


@tap.case("what the load program prints is read, and said if it is nothing")
def t_load():
	s = figures.load_sample(LOAD)
	tap.equal((s.count, s.seconds, s.extra), (3000, 1.5, {"p50": 7.5,
	    "p99": 21.25}), "sample")
	for text in (b"", b"[]", b"{}", b"null", LOAD[:40], LOAD.replace(
	    b"3000", b'"x"')):
		tap.contains(sentence(lambda: figures.load_sample(text)),
		    "printed no result", "of %r" % text)
	tap.contains(sentence(lambda: figures.load_sample(LOAD.replace(
	    b"3000", b"0"))), "did nothing in 1.5 s", "of no request")
	tap.contains(sentence(lambda: figures.number("", "the peak")),
	    "the peak is no number: ''", "of no number")


@tap.case("ratios are of the same turn; one that failed is left out")
def t_ratios():
	ours = [Sample(100, 1.0, {"a": 1.0, "b": 1.0, "client": 9.0}), None,
	    Sample(300, 1.0, {"a": 3.0, "b": 0.0, "client": 9.0})]
	theirs = [Sample(50, 1.0, {"a": 1.0, "client": 1.0}),
	    Sample(1, 1.0), Sample(100, 1.0, {"a": 2.0, "client": 1.0})]
	tap.equal(figures.rate_ratios(ours, theirs), [2.0, 3.0], "rates")
	tap.equal(figures.cpu_ratios(ours, theirs, ("a", "b")), [1.0, 0.5],
	    "processor times")
	tap.equal(figures.rate_ratios([None], theirs), [], "of nothing")


@tap.case("percentiles, and a spread")
def t_percentile():
	hundred = list(range(100, 0, -1))
	for p, value in ((0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)):
		tap.equal(figures.percentile(hundred, p), value, "at %g" % p)
	tap.equal(figures.percentile([7], 0.5), 7, "of one")
	tap.equal(figures.spread([1.0, 3.0, 2.0]), "2.00 (1.00..3.00)",
	    "spread")
	tap.equal([figures.brief(v) for v in (0.987, 12.34, 1234.5)],
	    ["0.99", "12.3", "1234"], "numbers")


@tap.case("a goal is judged by the median; turns that say otherwise are told")
def t_goal():
	least, most = Goal(">=", 1.5), Goal("<=", 24)
	for goal, values, word in ((least, [1.5, 1.6], "met"),
	    (least, [1.4, 1.6, 1.7], "met, close"),
	    (least, [1.4, 1.3, 1.7], "NOT met, close"),
	    (least, [1.0], "NOT met"), (most, [20, 23], "met"),
	    (most, [130], "NOT met")):
		tap.equal(goal.judge(values), word, "%s of %s" % (goal, values))
	tap.equal(str(figures.goal_of("inbound 1 MB, to before")), ">= 1",
	    "of what has none of its own")
	tap.equal(figures.goal_of("receipts a second"), None, "of no goal")


@tap.case("the table has every figure with its goal, and what is missing")
def t_table():
	table = figures.Table()
	table.add("issue, 64 clients, to pgbench", [1.4, 1.6, 1.7])
	table.add("receipts a second", [107.0])
	table.add("openings", [])
	tap.equal(table.lines(), [
	    "figure                         median (min..max)  goal",
	    "issue, 64 clients, to pgbench  1.60 (1.40..1.70)  >= 1.5  "
	    "met, close",
	    "receipts a second              107 (107..107)     -"], "lines")
	tap.equal(table.failures, ["openings: not measured"], "failures")


@tap.case("a whole run that lacks the figure of a goal is noticed")
def t_unmeasured():
	names = set(figures.GOALS)
	tap.equal(figures.unmeasured(names, True, False), [], "of all")
	short = names - {"issue, 16 clients, to before", "flagged 1 MB, to body",
	    "release, 10 M keys to 10 k"}
	tap.equal(figures.unmeasured(short, True, False),
	    ["issue, 16 clients, to before", "flagged 1 MB, to body"], "of some")
	tap.equal(figures.unmeasured(short, False, True),
	    ["release, 10 M keys to 10 k", "flagged 1 MB, to body"],
	    "of one without before, and with many keys")


def a_run(**options):
	return turns.Run(types.SimpleNamespace(**{"turns": 3, "minutes": 1,
	    **options}), "", {})


@tap.case("a side that does nothing in a turn is said; the others are measured")
def t_turns():
	run, order, said = a_run(), [], io.StringIO()

	def side(name, counts):
		def work():
			order.append(name)
			return Sample(counts.pop(0), 1.0)
		return work
	with contextlib.redirect_stderr(said):
		samples = run.take_turns("issue", {"ours": side("ours",
		    [10, 10, 10]), "pgbench": side("pgbench", [5, 0, 5])})
	tap.equal(order, ["ours", "pgbench", "pgbench", "ours", "ours",
	    "pgbench"], "who was first")
	tap.equal(figures.rate_ratios(samples["ours"], samples["pgbench"]),
	    [2.0, 2.0], "ratios")
	tap.equal(run.table.failures, ["issue, turn 2, pgbench: pgbench did "
	    "nothing in 1.0 s"], "failures")
	tap.contains(said.getvalue(), "pgbench did nothing in 1.0 s",
	    "what is said at once")


@tap.case("when the time is over one turn is taken, no more")
def t_late():
	with contextlib.redirect_stderr(io.StringIO()):
		samples = a_run(minutes=0).take_turns("issue", {"ours":
		    lambda: Sample(1, 1.0)})
	tap.equal(len(samples["ours"]), 1, "turns")


@tap.case("one thing that does not stop keeps no other from it")
def t_stop():
	class Lab:
		stopped = False

		def __init__(self, error=None):
			self.error = error

		def stop(self):
			self.stopped = True
			if self.error:
				raise self.error
	run = a_run()
	labs = [Lab(proc.LabError("it hangs\nfor ever")), Lab()]
	for n, lab in enumerate(labs):
		tap.equal(run.lab(str(n), lambda lab=lab: lab), lab, "lab")
	with contextlib.redirect_stderr(io.StringIO()):
		run.stop()
	tap.equal([lab.stopped for lab in labs], [True, True], "stopped")
	tap.equal(run.table.failures, ["at the end of 0: it hangs"], "failures")


BURN = "i=0; while [ $i -lt 30000 ]; do i=$((i + 1)); done"


@tap.case("processor time of children counts when they have ended, too")
def t_cpu():
	root = subprocess.Popen(["sh", "-c", "sh -c '%s'; echo; read line"
	    % BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
	try:
		root.stdout.readline()	# the child has ended, and is waited for
		tap.equal(list(meters.tree(root.pid)), [root.pid], "processes")
		tap.true(meters.cpu(root.pid) >= 1 / meters.TICK,
		    "a tick at least")
	finally:
		root.communicate()
	tap.equal(meters.cpu(root.pid), 0, "of what is gone")


@tap.case("the peak of a program is its own, not ours")
def t_peak():
	mine = b"x" * 60000000	# so that each page is there
	with tempfile.TemporaryDirectory() as folder:
		_, peak = meters.run_with_peak(["/bin/true"], folder)
		tap.true(0.5 < peak < len(mine) / 2e6, "MB: %g" % peak)
		tap.contains(sentence(lambda: meters.run_with_peak(
		    ["/bin/sh", "-c", "echo no >&2; exit 3"], folder)),
		    "ended with 3: no", "of one that fails")


tap.main()
