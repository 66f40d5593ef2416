# SPDX-License-Identifier: Apache-2.0
"""tests/milter/RULES: the rules of our milters and where each is tested.

    12  What holds, in a few words,
        on as many lines as it takes.
        tests/milter/outbound.py: "name of a case"
        none: why there is no test

B1, B2, ... are the kinds of mistakes that other milters made.
"""

import collections
import glob
import os
import re
import subprocess

from lab import proc

PATH = os.path.join(proc.repository(), "tests", "milter", "RULES")
NUMBERS = [str(n) for n in range(1, 44)] + ["B%d" % n for n in range(1, 23)]

Rule = collections.namedtuple("Rule", "number text tests none")


def parse(text):
	"""[Rule]; ValueError with the line that cannot be understood."""
	rules = []
	for at, line in enumerate(text.splitlines(), 1):
		if not line.strip() or line.startswith("#"):
			continue
		head = re.match(r"(B?\d+)\s+(\S.*)$", line)
		test = re.match(r'\s+((?:tests|contrib)/[\w./-]+): "([^"]+)"$', line)
		none = re.match(r"\s+none: (\S.*)$", line)
		if head:
			rules.append(Rule(head.group(1), [head.group(2)], [], []))
		elif not rules or not line[0].isspace():
			raise ValueError("RULES:%d: %s" % (at, line))
		elif test:
			rules[-1].tests.append(test.groups())
		elif none:
			rules[-1].none.append(none.group(1))
		elif rules[-1].none:
			rules[-1].none.append(line.strip())
		elif rules[-1].tests or line.strip().startswith(("tests/", "contrib/")):
			raise ValueError("RULES:%d: %s" % (at, line))
		else:
			rules[-1].text.append(line.strip())
	return rules


def load():
	return parse(proc.read_text(PATH))


def cases(name):
	"""The names of the cases of a test program, as its TAP says them."""
	top = proc.repository()
	path = os.path.join(top, name)
	if re.match("#!.*python3", proc.read_text(path)):
		done = subprocess.run(["/usr/bin/python3", path, "--list"],
		    stdin=subprocess.DEVNULL, capture_output=True, timeout=300,
		    cwd=top)
		if done.returncode != 0:
			raise proc.LabError("%s --list: %s" % (name,
			    done.stderr.decode("utf-8", "replace")))
		return done.stdout.decode().splitlines()
	if name.endswith("_replay"):
		corpus = os.path.basename(name)[:-len("_replay")]
		return [os.path.basename(f) for f in glob.glob(os.path.join(
		    top, "tests", "fuzz", "corpus", corpus, "*"))]
	if os.path.exists(path + ".c"):
		return re.findall(r"cmocka_unit_test\w*\(\s*(\w+)",
		    proc.read_text(path + ".c"))
	return re.findall(r"""["'`]([^"'`\n]+)["'`]""", proc.read_text(path))


def faults(rules, listed, cases_of=cases):
	"""What is wrong with these rules; `listed`: files of tests/SUITES."""
	found = []
	numbers = [r.number for r in rules]
	for number in NUMBERS:
		if numbers.count(number) != 1:
			found.append("rule %s is there %d times" % (number,
			    numbers.count(number)))
	found += ["rule %s is none of ours" % n for n in numbers
	    if n not in NUMBERS]
	known = {}
	for rule in rules:
		if not rule.tests and not rule.none:
			found.append("rule %s has neither a test nor a reason"
			    % rule.number)
		for name, case in rule.tests:
			if name not in listed:
				found.append("rule %s: %s is not in tests/SUITES"
				    % (rule.number, name))
				continue
			if name not in known:
				known[name] = set(cases_of(name))
			if case not in known[name]:
				found.append('rule %s: %s has no case "%s"'
				    % (rule.number, name, case))
	return found


def passed(log):
	"""The names of the cases that were ok, from a program's output."""
	found = set()
	for line in log.splitlines():
		m = re.match(r"ok \d+ - (.*?)\s*(?:(?<!\\)#.*)?$", line)
		if m:
			found.add(m.group(1).replace("\\#", "#"))
	return found


def not_passed(rules, logs):
	"""What a rule names and did not pass; `logs`: {file: its output}.

	Files that are not in `logs` were not to run.
	"""
	found = []
	good = {name: passed(text) for name, text in logs.items()}
	for rule in rules:
		for name, case in rule.tests:
			if name in good and case not in good[name]:
				found.append('rule %s: %s: "%s" did not pass'
				    % (rule.number, name, case))
	return found
