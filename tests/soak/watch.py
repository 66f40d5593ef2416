# SPDX-License-Identifier: Apache-2.0
"""Memory and descriptors of our programs, over the whole soak test."""

import collections
import os
import statistics
import threading
import time

INTERVAL_S = 1
WARM_UP = 0.25		# of the messages of a process: not compared

Sample = collections.namedtuple("Sample", "name pid memory files messages")
Trend = collections.namedtuple("Trend", "name samples messages first last "
    "per_message files_first files_last")


def memory(pid):
	"""Bytes that are the process's own: neither files nor shared."""
	with open("/proc/%d/status" % pid) as f:
		for line in f:
			if line.startswith("RssAnon:"):
				return int(line.split()[1]) * 1024
	return None


def files(pid):
	return len(os.listdir("/proc/%d/fd" % pid))


def least(pid, looks=40):
	"""(memory, descriptors) of the quietest of some moments.

	One that has to wait is tried again every second or two.
	"""
	seen = []
	for _ in range(looks):
		seen.append((memory(pid), files(pid)))
		time.sleep(0.1)
	return min(m for m, _ in seen), min(f for _, f in seen)


def quarter(values):
	"""A quarter of them is below: peaks of a busy moment do not count."""
	return sorted(values)[len(values) // 4]


class Watch(threading.Thread):
	"""programs: {name: functions for its pid and its messages so far}."""

	def __init__(self, programs):
		super().__init__(daemon=True)
		self.programs = programs
		self.samples = []
		self.ended = threading.Event()

	def run(self):
		while not self.ended.wait(INTERVAL_S):
			for name, (pid_of, count) in self.programs.items():
				try:
					pid = pid_of()
					s = Sample(name, pid, memory(pid), files(pid),
					    count())
				except (OSError, TypeError, AttributeError):
					continue	# it is being restarted
				if s.memory is not None:
					self.samples.append(s)

	def stop(self):
		self.ended.set()
		self.join(60)

	def trend(self, name):
		"""The last process of that name: its first third and its last.

		What was sampled before the warm-up was over is left out.
		"""
		mine = [s for s in self.samples if s.name == name]
		if not mine:
			return None
		mine = [s for s in mine if s.pid == mine[-1].pid]
		begin, end = mine[0].messages, mine[-1].messages
		mine = [s for s in mine
		    if s.messages >= begin + (end - begin) * WARM_UP]
		third = (len(mine) + 2) // 3
		one, two = mine[:third], mine[-third:]

		def low(part, field):
			return quarter([getattr(s, field) for s in part])
		between = (statistics.median(s.messages for s in two)
		    - statistics.median(s.messages for s in one))
		growth = low(two, "memory") - low(one, "memory")
		return Trend(name, len(mine), between, low(one, "memory"),
		    low(two, "memory"), growth / max(1, between),
		    low(one, "files"), low(two, "files"))

	def write(self, path):
		"""All samples as a table, for somebody who wonders."""
		with open(path, "w") as f:
			for s in self.samples:
				f.write("%s\t%d\t%d\t%d\t%d\n" % s)
