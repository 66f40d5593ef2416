# SPDX-License-Identifier: Apache-2.0
"""Debian packages that are not to be installed, in a folder of the build."""

import os

from lab import proc


def root(name, wanted):
	"""The folder of what unpack_NAME of install.sh unpacks.

	CF_NAME may say where it is; it is made where the file `wanted` of it
	is missing.
	"""
	folder = os.environ.get("CF_" + name.upper()) or os.path.join(
	    os.path.dirname(proc.program("counterfoil-milter")),
	    name + "-packages")
	if not os.path.exists(os.path.join(folder, wanted)):
		proc.run(["bash", "-euc", '. "$0"; unpack_"$1" "$2"',
		    os.path.join(proc.repository(), "contrib", "lab",
		    "install.sh"), name, folder], limit_s=600)
	return os.path.abspath(folder)
