# SPDX-License-Identifier: Apache-2.0
"""Processor time and memory of programs, by /proc."""

import os
import re
import resource
import sys
import time

from lab import proc

import figures

TICK = os.sysconf("SC_CLK_TCK")
QUIET = 0.5		# load average of a machine that does nothing else

# The smallest program that can say how much memory another one had at most:
# the kernel takes what its parent had before exec(2) for its own.
PEAK = """\
import os, sys
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(pid, 0)
with open(sys.argv[1], "w") as f:
	print(used.ru_maxrss, file=f)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def stat_of(pid):
	"""(parent, seconds of its own, seconds of its ended children)"""
	try:
		with open("/proc/%d/stat" % pid) as f:
			words = f.read().rsplit(")", 1)[1].split()
	except OSError:
		return None
	return (int(words[1]), (int(words[11]) + int(words[12])) / TICK,
	    (int(words[13]) + int(words[14])) / TICK)


def tree(root):
	"""{pid: (seconds of its own, of its ended children)}"""
	stats = {int(p): stat_of(int(p)) for p in os.listdir("/proc")
	    if p.isdigit()}
	found = {}
	for pid, s in stats.items():
		at = pid
		while s and at != root and at in stats and stats[at]:
			at = stats[at][0]
		if s and at == root:
			found[pid] = s[1:]
	return found


def cpu(root):
	"""Processor seconds of a process and all that came out of it.

	One that ends while the others are read would be missing, or be there
	twice: then they are read again.
	"""
	found = tree(root)
	for _ in range(50):
		before, found = found, tree(root)
		if before.keys() == found.keys() and all(before[pid][1] ==
		    found[pid][1] for pid in found):
			break
	return sum(own + ended for own, ended in found.values())


def _client():
	"""Seconds of our own children that have ended: who makes the load."""
	used = resource.getrusage(resource.RUSAGE_CHILDREN)
	return used.ru_utime + used.ru_stime


def measure(programs, work):
	"""work() gives a Sample; it comes back with processor times.

	programs  {name: pid}
	"""
	before = {name: cpu(pid) for name, pid in programs.items()}
	client = _client()
	sample = work()
	used = {name: cpu(pid) - before[name]
	    for name, pid in programs.items()}
	used["client"] = _client() - client
	return sample._replace(cpu=used)


def forget_peak(pid):
	"""The peak counts from now on (proc(5), clear_refs)."""
	with open("/proc/%d/clear_refs" % pid, "w") as f:
		f.write("5")


def peak_mb(pid):
	m = re.search(r"VmHWM:\s+(\d+) kB", proc.read_text("/proc/%d/status"
	    % pid))
	if m is None:
		raise proc.LabError("process %d has no VmHWM: it has ended"
		    % pid)
	return int(m.group(1)) * 1024 / 1e6


def run_with_peak(argv, folder):
	"""Runs it to its end; (seconds, MB at most)."""
	path = os.path.join(folder, "peak")
	began = time.monotonic()
	done = proc.run([sys.executable, "-I", "-S", "-c", PEAK, path, *argv],
	    check=False)
	took = time.monotonic() - began
	if done.returncode != 0:
		raise proc.LabError("%s ended with %d: %s" % (" ".join(argv),
		    done.returncode, done.stderr.decode("utf-8", "replace")))
	return took, figures.number(proc.read_text(path), "the peak of %s"
	    % argv[0]) * 1024 / 1e6


def describe_machine(folder):
	"""What the figures depend on, as lines; first of all the load."""
	one, five, _ = os.getloadavg()
	quiet = "" if max(one, five) <= QUIET else "; NOT A QUIET MACHINE"
	path = os.path.join(folder, "sync-probe")
	times = []
	with open(path, "wb") as f:
		for _ in range(50):
			f.write(b"x" * 8192)
			f.flush()
			began = time.monotonic()
			os.fdatasync(f.fileno())
			times.append(time.monotonic() - began)
	os.unlink(path)
	return ["load average %.2f, %.2f in five minutes%s" % (one, five,
	    quiet), "%d processors; 8 kB written and synced in %.2f ms "
	    "(median of 50)" % (os.cpu_count(), 1e3 * figures.percentile(
	    times, 0.5))]
