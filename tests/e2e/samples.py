#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The sample configurations load: as they are, and with all options set."""

import glob
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))

from lab import proc, tap  # noqa: E402

SAMPLES = os.path.join(proc.repository(), "contrib", "conf")
folder = None


def start():
	"""What the samples name, below a folder of our own."""
	global folder
	folder = proc.private_dir()
	admin = proc.program("counterfoil-admin")
	proc.run([admin, "masterkey", "new", folder + "/masterkey"])
	proc.run([admin, "signer", "new", "--address", "receipts@keys.example.net",
	    "--cert", folder + "/signer.pem", "--key", folder + "/signer.key"])
	for name in ("gateway.token", "api-token", "ref.secret"):
		proc.write_file(os.path.join(folder, name), "A" * 43 + "\n",
		    0o600)
	for name in ("proxy.login", "counterfoil.proxy"):
		proc.write_file(os.path.join(folder, name), "gate:word\n",
		    0o600)
	for name in ("store", "page", "counterfoil"):
		os.mkdir(os.path.join(folder, name), 0o750)


def sample(program):
	text = proc.read_text(os.path.join(SAMPLES, program + ".conf"))
	for path in set(re.findall(r'"(/(?:etc|var|usr|home)/[^"]*)"', text)):
		here = os.path.join(folder, os.path.basename(path))
		if not os.path.exists(here):
			proc.write_file(here, "", 0o600)
		text = text.replace('"%s"' % path, '"%s"' % here)
	# README makes this user and group; these every machine has.
	return text.replace('user = "counterfoil"', 'user = "nobody"') \
	    .replace('group = "counterfoil"', 'group = "nogroup"')


def load(program, text):
	"""What --print-config prints."""
	path = os.path.join(folder, program + ".conf")
	proc.write_file(path, text)
	done = proc.run([proc.program(program), "-c", path, "--print-config"],
	    check=False)
	tap.equal((done.returncode, done.stderr.decode()), (0, ""),
	    "%s --print-config" % program)
	return done.stdout.decode()


def all_set(text):
	return re.sub(r"(?m)^#(?=[a-z]\w* *= *)", "", text)


def holds(text, printed):
	"""Every option of the text is among the printed ones."""
	options = re.findall(r"(?m)^([a-z]\w*) *= *(.*)$", text)
	tap.true(options, "there are options")
	for name, value in options:
		got = re.search(r"(?m)^%s = (.*)$" % name, printed)
		tap.true(got, "%s is printed" % name)
		tap.equal(re.sub(r"\s", "", got.group(1)),
		    re.sub(r"\s", "", value), name)


def case(program):
	@tap.case("the sample for %s loads, also with every option set" % program)
	def t_sample():
		text = sample(program)
		holds(text, load(program, text))
		holds(all_set(text), load(program, all_set(text)))


for daemon in ("keysrv", "milter", "reader"):
	case("counterfoil-" + daemon)


@tap.case("the sample for counterfoil loads, also with every option set")
def t_command():
	text = sample("counterfoil")
	for content, status in ((text, 1), (all_set(text), 1),
	    (all_set(text) + "no_such_option = 1\n", 2)):
		path = os.path.join(folder, "command.conf")
		proc.write_file(path, content)
		done = proc.run([proc.program("counterfoil"), "-c", path, "show",
		    "-"], check=False, input=b"Subject: x\r\n\r\nx\r\n")
		# 1: not sealed; 2: wrong configuration.
		tap.equal(done.returncode, status, "exit status: %s"
		    % done.stderr)


@tap.case("no sample is left out")
def t_known():
	tap.equal(len(glob.glob(os.path.join(SAMPLES, "*.conf"))), 4,
	    "samples in contrib/conf")


if __name__ == "__main__":
	tap.main(start, lambda: proc.remove_tree(folder))
