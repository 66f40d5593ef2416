#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Does tests/milter/RULES name every rule, and tests that there are?

That they ran and passed is looked at by contrib/check, after all suites.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))

from lab import rules, suites, tap  # noqa: E402

GOOD = """\
# A comment.
%s
"""


def listed():
	return {row.name for row in suites.manifest() if row.suite != "-"}


def example(change=lambda text: text):
	"""The faults of a small set of rules, changed."""
	text = GOOD % "\n".join('%s  Text\n    of it.\n    tests/x.py: "case %s"'
	    % (n, n) for n in rules.NUMBERS)
	return rules.faults(rules.parse(change(text)), {"tests/x.py"},
	    lambda name: ["case " + n for n in rules.NUMBERS])


@tap.case("every rule is there, once, with its tests, and these exist")
def t_rules():
	tap.equal(rules.faults(rules.load(), listed()), [], "faults")


@tap.case("a missing rule, file or case is noticed")
def t_notices():
	tap.equal(example(), [], "faults of a good one")
	for change, what in (
	    (lambda t: t.replace("43  Text", "42  Text"), "rule 43 is there 0"),
	    (lambda t: t.replace("43  Text", "44  Text"), "rule 44 is none"),
	    (lambda t: t.replace('"case 7"', '"case x"'), "no case"),
	    (lambda t: t.replace('tests/x.py: "case 7"', 'tests/y.py: "case 7"'),
	    "not in tests/SUITES"),
	    (lambda t: t.replace('    tests/x.py: "case B5"\n', ""),
	    "neither")):
		tap.contains("\n".join(example(change)), what, "faults")
	tap.equal(example(lambda t: t.replace('tests/x.py: "case 9"',
	    "none: it is\n    about this.")), [], "faults with a reason")
	for bad in ("Text without a rule\n", '1  x\n    tests/x.py: case\n'):
		tap.raises(ValueError, lambda: rules.parse(bad), repr(bad))


@tap.case("a named case that did not run, or failed, is noticed")
def t_ran():
	some = rules.parse('1  x\n    tests/x.py: "one # and"\n'
	    '    tests/x.py: "two"\n    tests/y.py: "three"\n')
	good = "1..2\nok 1 - one \\# and # 0.1 s\nok 2 - two # 0.2 s\n"
	tap.equal(rules.not_passed(some, {"tests/x.py": good}), [], "all ran")
	for text in (good.replace("ok 2", "not ok 2"), good.replace("two", "to"),
	    ""):
		tap.contains("\n".join(rules.not_passed(some,
		    {"tests/x.py": text})), '"two" did not pass', "faults")
	tap.contains("\n".join(rules.not_passed(some, {"tests/y.py": good})),
	    '"three"', "faults")


tap.main()
