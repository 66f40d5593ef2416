# SPDX-License-Identifier: Apache-2.0
"""Run the suites of tests/SUITES and count; used by contrib/check.

    suites.py --logs DIR --count FILE [--fault-build DIR] [--reports DIR]
        [--passed N] [SUITE | FILE...]

The programs are those of CF_BUILDDIR.  FILE gets two numbers: passed, failed.
"""

import argparse
import glob
import os
import re
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab import proc, rules  # noqa: E402

LIMIT_S = 1800
LONG_LIMIT_S = 30 * 24 * 3600
REASON_LINES = 40	# of one failure
BEFORE_LINES = 15	# said before it
LINE_LIMIT = 2000
BESIDE = ("soak",)	# these take their time whatever the machine


def manifest():
	"""[(suite, file)], in the order of tests/SUITES."""
	rows = []
	for line in proc.read_text(os.path.join(proc.repository(), "tests",
	    "SUITES")).splitlines():
		words = line.split("#")[0].split()
		if words:
			rows.append((words[0], words[1]))
	return rows


def unlisted(rows):
	"""Runnable files below tests/ that tests/SUITES does not know."""
	top = proc.repository()
	listed = {name for _, name in rows}
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
	env["CF_NORMAL_BUILDDIR"] = env["CF_BUILDDIR"]
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


def run_one(suite, name, options, counts, beside=False):
	"""`beside`: runs while others do, and is told of when it has ended."""
	slug = name.replace("/", "-")
	log = log_of(name, options)
	env = environment(suite, slug, options)
	limit = LONG_LIMIT_S if os.environ.get("CF_LONG") else LIMIT_S
	began = time.monotonic()
	title = "%-8s %-44s" % (suite, name)
	if not beside:
		counts.printing.acquire()
		print(title, end=" ", flush=True)
	with open(log, "wb") as out:
		try:
			code = subprocess.run(command(suite, name), stdout=out,
			    stderr=subprocess.STDOUT, env=env, timeout=limit,
			    stdin=subprocess.DEVNULL,
			    cwd=proc.repository()).returncode
		except subprocess.TimeoutExpired:
			code = "no end in %d s" % limit
		except OSError as e:
			code = str(e)
	text = proc.read_text(log)
	passed, bad = judge(code, text)
	for report in sanitizer_reports(slug, options):
		bad.append("sanitizer report %s:\n%s" % (report,
		    proc.read_text(report)[:6000]))
	if beside:
		counts.printing.acquire()
		print(title, end=" ")
	counts.ended += 1
	counts.passed += passed
	counts.failed += len(bad)
	counts.why += [(name, line) for line in bad]
	print("%4d ok%s (%d s)" % (passed, ", %d FAILED" % len(bad) if bad
	    else "", time.monotonic() - began), flush=True)
	for line in bad:
		print(indented(line))
	if bad:
		print("         log: %s, the end:" % log)
		for line in text.splitlines()[-40:]:
			print("         | " + line[:400])
	sys.stdout.flush()
	counts.printing.release()


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
	rows = [row for row in rows if row[0] != "-"]
	known = list(dict.fromkeys(suite for suite, _ in rows))
	for word in options.suites:
		if not any(word in row for row in rows):
			complain(counts, "unknown suite or file %s (suites: %s)"
			    % (word, " ".join(known)))
	chosen = [row for row in rows if not options.suites or
	    any(word in row for word in options.suites)]
	# Daemons: if we end by an exception they are not waited for.
	beside = [threading.Thread(target=run_one, args=(suite, name, options,
	    counts, True), daemon=True) for suite, name in chosen
	    if suite in BESIDE]
	for thread in beside:
		thread.start()
	for suite, name in chosen:
		if suite not in BESIDE:
			run_one(suite, name, options, counts)
	for thread in beside:
		thread.join()
	if counts.ended != len(chosen):
		complain(counts, "%d programs were to run, %d did"
		    % (len(chosen), counts.ended))
	check_rules([name for _, name in chosen], options, counts)
	tell_again(counts)
	proc.write_file(options.count, "%d %d\n" % (counts.passed,
	    counts.failed))
	sys.exit(1 if counts.failed or not counts.passed else 0)


if __name__ == "__main__":
	main()
