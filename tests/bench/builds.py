# SPDX-License-Identifier: Apache-2.0
"""The programs that are measured: of this tree, and of an earlier commit.

An earlier one is started by the contrib/lab of this tree, so both get only
options that both know, and the same requests.
"""

import os
import shlex

from lab import proc

PROGRAMS = ("counterfoil-keysrv", "counterfoil-admin", "counterfoil-milter",
    "counterfoil")


class Build:
	"""`with build:` whatever contrib/lab starts is of it."""

	def __init__(self, name, folder):
		self.name = name
		self.folder = folder
		self.outer = []

	def __enter__(self):
		self.outer.append(os.environ.get("CF_BUILDDIR"))
		os.environ["CF_BUILDDIR"] = self.folder
		return self

	def __exit__(self, *_):
		outer = self.outer.pop()
		if outer is None:
			del os.environ["CF_BUILDDIR"]
		else:
			os.environ["CF_BUILDDIR"] = outer


def of_this_tree():
	return Build("ours", proc.builddir())


def flags():
	"""The arguments of configure, as this build was made with."""
	status = os.path.join(proc.builddir(), "config.status")
	return shlex.split(proc.run([status, "--config"]).stdout.decode())


def of_commit(commit, folder):
	"""Builds it below `folder`, with the flags of this build.

	Its files come out of git, not a work tree, which git would remember.
	"""
	source = os.path.join(folder, "source")
	made = os.path.join(folder, "build")
	archive = os.path.join(folder, "source.tar")
	for path in (folder, source, made):
		os.mkdir(path)
	git = ["git", "-C", proc.repository(), "-c", "safe.directory=*"]
	full = proc.run(git + ["rev-parse", "--verify", commit + "^{commit}"]
	    ).stdout.decode().strip()
	proc.run(git + ["archive", "-o", archive, full])
	proc.run(["tar", "-xf", archive, "-C", source])
	proc.run(["./bootstrap"], limit_s=300, cwd=source)
	proc.run([os.path.join(source, "configure"), "-q", *flags()],
	    limit_s=300, cwd=made)
	proc.run(["make", "-s", "-j%d" % os.cpu_count(), *PROGRAMS],
	    limit_s=900, cwd=made)
	return Build("before", made)


def tool(name):
	"""One of our own programs for measuring."""
	path = os.path.join(proc.builddir(), "tests", "bench", name)
	if not os.path.exists(path):
		proc.run(["make", "-C", proc.builddir(), "tests/bench/" + name],
		    limit_s=300)
	return path
