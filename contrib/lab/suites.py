# SPDX-License-Identifier: Apache-2.0
"""Run the suites of tests/SUITES and count; used by contrib/check.

    suites.py --logs DIR --count FILE [--fault-build DIR] [--reports DIR]
        [--passed N] [SUITE | FILE...]

The programs are those of CF_BUILDDIR.  FILE gets two numbers: passed, failed.

As many run side by side as there are processors: they wait more than they
work, and have ports and folders of their own.  The longest begin first.
"""

import argparse
import collections
import glob
import os
import queue
import re
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab import proc, rules  # noqa: E402

LIMIT_S = 1800		# with sanitizers
LONG_LIMIT_S = 30 * 24 * 3600
HANGS = 5		# times its budget: it will not end
HANGS_S = 300		# and not before, however small
WORKERS_MAX = 4		# more was never tried
REASON_LINES = 40	# of one failure
BEFORE_LINES = 15	# said before it
LINE_LIMIT = 2000
BESIDE = ("soak",)	# these take their time whatever the machine


# budget_s: what it may take; alone: nothing else may run then.
Row = collections.namedtuple("Row", "suite name budget_s alone")


def parse_manifest(text):
	rows = []
	for line in text.splitlines():
		m = re.fullmatch(r"(?:(-)|(\S+))\s+(\S+)(?:\s+(\d+)(\s+alone)?)?",
		    line.split("#")[0].strip())
		if m is None and line.split("#")[0].strip() or \
		    m and bool(m.group(1)) == bool(m.group(4)):
			raise ValueError("not suite, file, seconds: " + line)
		if m:
			rows.append(Row(m.group(1) or m.group(2), m.group(3),
			    int(m.group(4) or 0), bool(m.group(5))))
	return rows


def manifest():
	"""[Row], in the order of tests/SUITES."""
	return parse_manifest(proc.read_text(os.path.join(proc.repository(),
	    "tests", "SUITES")))


def unlisted(rows):
	"""Runnable files below tests/ that tests/SUITES does not know."""
	top = proc.repository()
	listed = {row.name for row in rows}
	found = []
	for pattern in ("*.py", "*.t", "*.mjs", "*.sh"):
		for path in glob.glob(os.path.join(top, "tests", "*", pattern)):
			if os.access(path, os.X_OK):
				found.append(os.path.relpath(path, top))
	for path in glob.glob(os.path.join(top, "tests", "unit", "*_test.c")):
		found.append(os.path.relpath(path, top)[:-2])
	return sorted(set(found) - listed)


class Counts:
	def __init__(self):
		self.passed = 0
		self.failed = 0
		self.ended = 0		# programs
		self.why = []		# (program, what failed and why)
		self.printing = threading.Lock()
		self.running = []	# subprocess.Popen


def said_of(lines, at):
	"""lines[at] failed: that line and what was said about it."""
	def is_result(line):
		return re.match(r"(not )?ok\b|1\.\.\d|Bail out!", line)
	end = at + 1
	while end < len(lines) and not is_result(lines[end]):
		end += 1
	begin = at
	while begin > 0 and not is_result(lines[begin - 1]):
		begin -= 1
	# What stands behind another failure is about that one.
	if begin and lines[begin - 1].startswith(("not ok", "Bail out!")):
		begin = at
	before = lines[max(begin, at - BEFORE_LINES):at]
	return cut("\n".join(lines[at:end])) + "".join("\n(before) " + line
	    for line in before)


def cut(text, most=REASON_LINES):
	"""The beginning of a long text."""
	lines = [line[:LINE_LIMIT] for line in text.splitlines()]
	left = len(lines) - most
	return "\n".join(lines[:most] + (["... %d lines more" % left]
	    if left > 0 else []))


def read_tap(text):
	"""(passed, [what failed, and why]) of one program's output."""
	passed, bad, plan, numbers = 0, [], None, 0
	lines = text.splitlines()
	for at, line in enumerate(lines):
		m = re.match(r"1\.\.(\d+)\s*(#.*)?$", line)
		if m:
			plan = (plan or 0) + int(m.group(1))
			if m.group(2) and "skip" in m.group(2).lower():
				bad.append("skipped: " + line)
			continue
		m = re.match(r"(not )?ok\b(.*)", line)
		if m:
			numbers += 1
			if m.group(1):
				bad.append(said_of(lines, at))
			elif re.search(r"#\s*(skip|todo)", m.group(2), re.I):
				bad.append("skipped: " + line)
			else:
				passed += 1
		elif line.startswith("Bail out!"):
			bad.append(said_of(lines, at))
	if plan is None:
		bad.append("no plan (1..N) was printed")
	elif plan != numbers:
		bad.append("%d tests announced, %d reported" % (plan, numbers))
	return passed, bad


def command(suite, name):
	if suite == "unit":
		return [os.path.join(proc.builddir(), name)]
	path = os.path.join(proc.repository(), name)
	if name.endswith(".py"):
		return ["/usr/bin/python3", path]
	if name.endswith(".mjs"):
		return proc.node() + [path]
	return [path]


def log_of(name, options):
	return os.path.join(options.logs, name.replace("/", "-") + ".log")


def check_rules(names, options, counts):
	"""Each test that tests/milter/RULES names, of those that ran."""
	bad = rules.not_passed(rules.load(), {name: proc.read_text(
	    log_of(name, options)) for name in names})
	counts.failed += len(bad)
	counts.passed += not bad
	counts.why += [("tests/milter/RULES", line) for line in bad]
	for line in bad:
		print("tests/milter/RULES: " + line)


def environment(suite, slug, options):
	env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP",
	    top_srcdir=proc.repository())
	env["CF_NORMAL_BUILDDIR"] = proc.builddir()
	if suite == "fault" and options.fault_build:
		env["CF_BUILDDIR"] = options.fault_build
	if options.reports:	# each test's reports under a name of its own
		for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
			env[name] = env.get(name, "").replace("log_path="
			    + options.reports + "/", "log_path="
			    + os.path.join(options.reports, slug) + ".")
	return env


def sanitizer_reports(slug, options):
	return sorted(glob.glob(os.path.join(options.reports, slug + ".*"))) \
	    if options.reports else []


def judge(code, text):
	"""(passed, [what failed, and why]) of a program that has ended."""
	passed, bad = read_tap(text)
	if not any(line.startswith(("not ok", "Bail out!")) for line in bad):
		if code != 0 and not bad:
			bad.append("no test failed")
		if bad:		# what there is to explain it
			bad[0] += "\n" + "\n".join(text.splitlines()[-30:])
	if bad and code not in (0, 1):
		bad[0] = "ended with %s; %s" % (code, bad[0])
	return passed, bad


def indented(text):
	return "         " + text.replace("\n", "\n         ")


def tell_again(counts):
	"""All that failed, where whoever looks at the end sees it."""
	if counts.why:
		print("\nWhat failed:")
	for name, text in counts.why:
		print(name + "\n" + indented(cut(text)))
	sys.stdout.flush()


def limit_of(row, options):
	"""After how many seconds is it taken to hang?"""
	if os.environ.get("CF_LONG"):
		return LONG_LIMIT_S
	if options.reports:
		return LIMIT_S
	return max(HANGS * row.budget_s, HANGS_S)


def took(row, seconds, options):
	"""What is said of the time it took."""
	if options.reports or os.environ.get("CF_LONG"):
		return "%d s" % seconds
	text = "%d s of %d" % (seconds, row.budget_s)
	return text + ", OVER its budget" if seconds > row.budget_s else text


def execute(row, env, out, limit, counts):
	"""How it ended: its status, or a text."""
	try:
		done = subprocess.Popen(command(row.suite, row.name),
		    stdout=out, stderr=subprocess.STDOUT, env=env,
		    stdin=subprocess.DEVNULL, cwd=proc.repository())
	except OSError as e:
		return str(e)
	counts.running.append(done)
	try:
		return done.wait(limit)
	except subprocess.TimeoutExpired:
		return "no end in %d s" % limit
	finally:
		done.kill()
		done.wait()
		counts.running.remove(done)


def run_one(row, options, counts):
	"""It is told of when it has ended: others run as well."""
	slug = row.name.replace("/", "-")
	log = log_of(row.name, options)
	env = environment(row.suite, slug, options)
	began = time.monotonic()
	with open(log, "wb") as out:
		code = execute(row, env, out, limit_of(row, options), counts)
	seconds = time.monotonic() - began
	text = proc.read_text(log)
	passed, bad = judge(code, text)
	for report in sanitizer_reports(slug, options):
		bad.append("sanitizer report %s:\n%s" % (report,
		    proc.read_text(report)[:6000]))
	with counts.printing:
		counts.ended += 1
		counts.passed += passed
		counts.failed += len(bad)
		counts.why += [(row.name, line) for line in bad]
		print("%-8s %-44s %4d ok%s (%s)" % (row.suite, row.name, passed,
		    ", %d FAILED" % len(bad) if bad else "", took(row, seconds,
		    options)))
		for line in bad:
			print(indented(line))
		if bad:
			print("         log: %s, the end:" % log)
			for line in text.splitlines()[-40:]:
				print("         | " + line[:400])
		sys.stdout.flush()


def run_all(rows, options, counts):
	"""Those that need the machine for themselves last, one by one."""
	waiting = queue.SimpleQueue()
	for row in sorted((r for r in rows if not r.alone and r.suite
	    not in BESIDE), key=lambda r: -r.budget_s):
		waiting.put(row)

	def work():
		while True:
			try:
				row = waiting.get_nowait()
			except queue.Empty:
				return
			run_one(row, options, counts)
	# Daemons: if we end by an exception they are not waited for.
	threads = [threading.Thread(target=run_one, args=(row, options,
	    counts), daemon=True) for row in rows if row.suite in BESIDE]
	threads += [threading.Thread(target=work, daemon=True)
	    for _ in range(min(os.cpu_count(), WORKERS_MAX))]
	for thread in threads:
		thread.start()
	for thread in threads:
		thread.join()
	for row in rows:
		if row.alone:
			run_one(row, options, counts)


def complain(counts, text):
	counts.failed += 1
	counts.why.append(("contrib/check", text))
	print(text)


def main():
	sys.stdout.reconfigure(errors="backslashreplace")	# whatever the locale
	parser = argparse.ArgumentParser()
	parser.add_argument("--logs", required=True)
	parser.add_argument("--count", required=True)
	parser.add_argument("--reports", help="folder of sanitizer reports")
	parser.add_argument("--fault-build")
	parser.add_argument("--passed", type=int, default=0)
	parser.add_argument("suites", nargs="*")
	options = parser.parse_args()
	counts = Counts()
	counts.passed = options.passed
	rows = manifest()
	for name in unlisted(rows):
		complain(counts, "%s is not listed in tests/SUITES" % name)
	rows = [row for row in rows if row.suite != "-"]
	known = list(dict.fromkeys(row.suite for row in rows))
	for word in options.suites:
		if not any(word in row[:2] for row in rows):
			complain(counts, "unknown suite or file %s (suites: %s)"
			    % (word, " ".join(known)))
	chosen = [row for row in rows if not options.suites or
	    any(word in row[:2] for word in options.suites)]
	try:
		run_all(chosen, options, counts)
	finally:
		for left in list(counts.running):
			left.terminate()
	if counts.ended != len(chosen):
		complain(counts, "%d programs were to run, %d did"
		    % (len(chosen), counts.ended))
	check_rules([row.name for row in chosen], options, counts)
	tell_again(counts)
	proc.write_file(options.count, "%d %d\n" % (counts.passed,
	    counts.failed))
	sys.exit(1 if counts.failed or not counts.passed else 0)


if __name__ == "__main__":
	main()
