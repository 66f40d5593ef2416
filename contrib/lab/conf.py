# SPDX-License-Identifier: Apache-2.0
"""Configuration files of our programs (libconfuse syntax)."""

from lab import proc


def _value(value):
	if isinstance(value, bool):
		return "true" if value else "false"
	if isinstance(value, int):
		return str(value)
	if isinstance(value, (list, tuple)):
		return "{" + ", ".join(_value(v) for v in value) + "}"
	return '"%s"' % str(value).replace("\\", "\\\\").replace('"', '\\"')


def text(options):
	"""One line per option; None leaves the option at its default."""
	return "".join("%s = %s\n" % (key, _value(value))
	    for key, value in options.items() if value is not None)


def write(path, options, mode=0o640):
	proc.write_file(path, text(options), mode)
	return path
