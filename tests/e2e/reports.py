#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""contrib/check says why a test failed, at once and again at its end."""

import argparse
import contextlib
import io
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))

from lab import proc, suites, tap  # noqa: E402

# A program as the tests are, of which nearly everything fails.
BAD = """\
import sys
sys.path.insert(0, %r)
from lab import proc, tap

@tap.case("one")
def t_one():
	pass

@tap.case("two # and")
def t_two():
	tap.note("looked at first")
	helper()

def helper():
	tap.equal("x" * 700, "y", "the letter")

@tap.case("three")
def t_three():
	raise proc.LabError("waited 5 s for \\u00e9")

@tap.case("four")
def t_four():
	tap.fail("\\n".join("line %%d" %% n for n in range(100)))

@tap.case("five")
def t_five():
	pass

def start():
	if "setup" in sys.argv[0]:
		raise proc.LabError("no milter")

tap.main(start)
"""
folder = None


def start():
	global folder
	folder = proc.private_dir()


def program(name):
	path = os.path.join(folder, name)
	proc.write_file(path, BAD % os.path.join(proc.repository(),
	    "contrib"))
	done = subprocess.run(["/usr/bin/python3", path],
	    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
	    stderr=subprocess.STDOUT, timeout=60, env=dict(os.environ,
	    LC_ALL="C", PYTHONUTF8="0", PYTHONIOENCODING=""))
	return done.returncode, done.stdout.decode()


@tap.case("each case that failed is there with its reason")
def t_reasons():
	passed, bad = suites.judge(*program("bad.py"))
	tap.equal((passed, len(bad)), (2, 3), "passed, failed: %s" % bad)
	two, three, four = bad
	tap.true(two.startswith("not ok 2 - two \\# and"), two)
	for part in ("\n# the letter differs:", "\n#  wanted 'y'", "bad.py:12",
	    "\n(before) # looked at first"):
		tap.contains(two, part, "the second")
	tap.true(three.startswith("not ok 3 - three"), three)
	tap.contains(three.splitlines()[1], "waited 5 s for \\xe9",
	    "the third's first line")
	tap.lacks(three, "letter", "the third")
	tap.contains(four, "# line 38\n... 62 lines more", "the fourth")
	tap.lacks(four, "line 39", "the fourth")


@tap.case("so is why a program could not begin, did not end, or died")
def t_whole():
	passed, bad = suites.judge(*program("setup.py"))
	tap.equal((passed, len(bad)), (0, 2), "passed, failed: %s" % bad)
	tap.contains(bad[0], "Bail out! setup failed: ['no milter']", "it")
	tap.contains(bad[0], "\n# lab.proc.LabError: no milter", "it")
	for code, text, part in (
	    ("no end in 900 s", "1..2\nok 1\n# waits\n", "2 tests announced"),
	    (-11, "1..2\nok 1\n# waits\n", "2 tests announced, 1 reported"),
	    (-11, "1..1\nok 1\n# waits\n", "no test failed"),
	    (2, "1..1\nok 1\n# waits\n", "no test failed"),
	    (127, "# waits\n", "no plan")):
		bad = suites.judge(code, text)[1]
		tap.equal(len(bad), 1, "failed: %s" % bad)
		for wanted in ("ended with %s; " % code, part, "\n# waits"):
			tap.contains(bad[0], wanted, "it")
	# As cmocka prints it: a comment that looks like a failure.
	passed, bad = suites.judge(1, "1..2\nnot ok 1 - a\n# a.c:6: error\n"
	    "ok 2 - b\n# not ok - all\n")
	tap.equal(bad, ["not ok 1 - a\n# a.c:6: error"], "of cmocka")
	tap.equal(suites.judge(0, "1..1\nok 1\n# ok - all\n"), (1, []),
	    "when nothing failed")


def options(**more):
	return argparse.Namespace(**dict({"logs": folder, "reports": None,
	    "fault_build": None}, **more))


def rows(*programs):
	"""Runs these as if they stood in tests/SUITES; what is printed."""
	made = []
	for name, budget_s, alone, text in programs:
		path = os.path.join(folder, name)
		proc.write_file(path, "#!/usr/bin/python3\n" + text)
		os.chmod(path, 0o755)
		made.append(suites.Row("x", path, budget_s, alone))
	return made


def run(made):
	counts, out = suites.Counts(), io.StringIO()
	with contextlib.redirect_stdout(out):
		suites.run_all(made, options(), counts)
	return counts, out.getvalue()


# Says when it began and ended.
TIMED = """import time
began = time.monotonic()
%s
print("1..1\\nok 1 # %%f %%f" %% (began, time.monotonic()))
"""


@tap.case("what takes longer than it may is told, and what hangs has failed")
def t_budget():
	made = rows(("fast.py", 1000, False, TIMED % ""), ("slow.py", 0, False,
	    TIMED % "time.sleep(1.1)"), ("hangs.py", 0, False,
	    TIMED % "time.sleep(1000)"))
	least, suites.HANGS_S = suites.HANGS_S, 3
	try:
		counts, text = run(made)
	finally:
		suites.HANGS_S = least
	tap.equal((counts.passed, counts.ended), (2, 3), text)
	tap.true(re.search(r"fast\.py +1 ok \(\d s of 1000\)", text), text)
	tap.true(re.search(r"slow\.py +1 ok \(1 s of 0, OVER its budget\)",
	    text), text)
	tap.contains(text, "hangs.py", "it")
	tap.contains(text, "no end in 3 s", "it")
	tap.equal([name for name, _ in counts.why], [made[2].name],
	    "failed")
	tap.equal(suites.limit_of(suites.Row("x", "y", 100, False),
	    options()), 500, "when it hangs")
	tap.equal(suites.limit_of(suites.Row("x", "y", 100, False),
	    options(reports="/")), suites.LIMIT_S, "with sanitizers")


@tap.case("programs run side by side, but for those that must be alone")
def t_alone():
	made = rows(*(("p%d.py" % n, 10, n == 1, TIMED % "time.sleep(0.5)")
	    for n in range(5)))
	counts, text = run(made)
	tap.equal((counts.passed, counts.failed), (5, 0), text)
	times = [[float(word) for word in re.search(r"# (\S+) (\S+)",
	    proc.read_text(suites.log_of(row.name, options()))).groups()]
	    for row in made]

	def together(a, b):
		return a[0] < b[1] and b[0] < a[1]
	tap.true(not any(together(times[1], t) for n, t in enumerate(times)
	    if n != 1), "alone: %s" % times)
	tap.equal(any(together(a, b) for a in times for b in times
	    if a is not b), os.cpu_count() > 1, "two at once: %s" % times)


@tap.case("a line of tests/SUITES has suite, file and seconds")
def t_manifest():
	tap.equal(suites.parse_manifest("# a\n\nunit  a  3 # b\ne2e b 40 alone"
	    "\n- c\n"), [("unit", "a", 3, False), ("e2e", "b", 40, True),
	    ("-", "c", 0, False)], "rows")
	for text in ("unit a", "- a 3", "unit a b", "unit a 3 alon",
	    "unit 3 a", "a"):
		tap.raises(ValueError, lambda: suites.parse_manifest(text),
		    text)


if __name__ == "__main__":
	tap.main(start, lambda: proc.remove_tree(folder))
