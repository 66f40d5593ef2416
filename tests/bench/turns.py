# SPDX-License-Identifier: Apache-2.0
"""Sides take turns; what comes out is said and goes into the table."""

import statistics
import sys
import time

from lab import proc

import figures
from figures import checked, each_ms, rate


def say(text=""):
	print(text, flush=True)


def note(text):
	print(text, file=sys.stderr, flush=True)


class Run:
	"""One run of tests/bench/run: its options, what it found so far.

	folder   for all files
	builds   {"ours": Build, "before": Build}, the second if it was asked for
	"""

	def __init__(self, options, folder, builds):
		self.options = options
		self.folder = folder
		self.builds = builds
		self.end = time.monotonic() + 60 * options.minutes
		self.table = figures.Table()
		self.labs = {}		# name -> what stop() ends
		self.rates = {}		# of closed loops, for those that follow

	def few(self):
		"""Turns of what takes long, or hardly differs."""
		return min(self.options.turns, 3)

	def late(self):
		return time.monotonic() > self.end

	def lab(self, name, make):
		"""What several scenarios share, made when first asked for."""
		if name not in self.labs:
			self.labs[name] = make()
		return self.labs[name]

	def drop(self, name):
		lab = self.labs.pop(name, None)
		if lab is not None:
			lab.stop()

	def stop(self):
		"""All of them, whatever happens to one."""
		for name in list(self.labs):
			try:
				self.drop(name)
			except proc.LabError as e:
				self.fail("at the end of %s" % name, e)

	def fail(self, what, error):
		sentence = "%s: %s" % (what, error)
		note(sentence)
		# The table is for one line each; the rest was just said.
		self.table.fail(sentence.splitlines()[0])

	def take_turns(self, what, sides, turns=None):
		"""{side: [Sample or None]}, in the same turns.

		sides  {name: a function that gives a Sample}, none of them always
		       the first.  A side that fails in a turn is said, and missing
		       in that turn.
		"""
		names = list(sides)
		samples = {name: [] for name in names}
		for turn in range(turns or self.options.turns):
			if turn and self.late():
				note("  no time for more turns")
				break
			first = turn % len(names)
			for name in names[first:] + names[:first]:
				samples[name].append(self._one(what, name,
				    sides[name], turn))
		return samples

	def _one(self, what, name, work, turn):
		try:
			sample = checked(name, work())
		except proc.LabError as e:
			self.fail("%s, turn %d, %s" % (what, turn + 1, name), e)
			return None
		note("  turn %d %-8s %10.1f/s" % (turn + 1, name,
		    rate(sample)))
		return sample

	def report(self, what, samples, peers, unit="each"):
		"""Rates and processor time of each side, ratios to the others.

		peers  {side: name of the figure}
		"""
		say("%s" % what)
		for name, all_of_it in samples.items():
			describe(name, [s for s in all_of_it if s], unit)
		for side, figure in peers.items():
			if side not in samples:
				continue
			self.figure(figure, figures.rate_ratios(
			    samples["ours"], samples[side]))

	def figure(self, name, values):
		"""A line of its own now, and one of the table at the end."""
		self.table.add(name, values)
		if values:
			goal = figures.goal_of(name)
			say("    %-44s %s%s" % (name, figures.spread(values),
			    "   goal %s: %s" % (goal, goal.judge(values))
			    if goal else ""))


def describe(name, samples, unit):
	if not samples:
		say("    %-9s nothing" % name)
		return
	programs = {p: statistics.median(each_ms(s, [p]) for s in samples)
	    for p in samples[0].cpu}
	parts = ["%s %.2f" % (p, ms) for p, ms in programs.items()
	    if ms >= 0.005]
	say("    %-9s %8s/s   processor ms %s: %s" % (name, figures.brief(
	    statistics.median(rate(s) for s in samples)), unit,
	    ", ".join(parts)))


def timed(work):
	began = time.monotonic()
	work()
	return time.monotonic() - began
