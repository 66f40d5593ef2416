#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the compiler and the units do against an attacker is really there."""

import glob
import os
import platform
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))

from lab import proc, tap  # noqa: E402

PROGRAMS = ("counterfoil", "counterfoil-admin", "counterfoil-keysrv",
    "counterfoil-milter", "counterfoil-reader")
FLAGS = ["-fPIE", "-fstack-protector-strong", "-fstack-clash-protection"]
if platform.machine() == "x86_64":
	FLAGS.append("-fcf-protection=full")
EXPOSURE_MOST = 1.5	# of 10, by systemd-analyze


def readelf(path, *words):
	return proc.run(["readelf", "--wide", *words, path]).stdout.decode()


def faults(path):
	"""What a program lacks."""
	dynamic = readelf(path, "--dynamic")
	segments = readelf(path, "--file-header", "--program-headers")
	symbols = readelf(path, "--dyn-syms")
	found = {
	    "PIE": re.search(r"Type: +DYN", segments)
	        and re.search(r"FLAGS_1\).*\bPIE\b", dynamic),
	    "BIND_NOW": re.search(r"FLAGS_1\).*\bNOW\b", dynamic),
	    "RELRO": "GNU_RELRO" in segments,
	    "stack without X": re.search(r"GNU_STACK .* RW +0x", segments),
	    "nothing both W and X": not re.search(r" RWE ", segments),
	    "stack protector": "__stack_chk_fail" in symbols,
	    "fortified calls": re.search(r"__(memcpy|snprintf|printf)_chk",
	        symbols),
	    "no library path": "RPATH" not in dynamic
	        and "RUNPATH" not in dynamic,
	}
	return [what for what, there in found.items() if not there]


def compiled(path):
	"""{source file: what the compiler wrote of itself}"""
	text = readelf(path, "--debug-dump=info", "--dwarf-depth=1")
	return dict((name, producer) for producer, name in re.findall(
	    r"DW_AT_producer.*?: (GNU C.*)\n.*\n.*DW_AT_name.*?: (\S+)$",
	    text, re.M))


@tap.case("programs are PIE with full RELRO, canaries and fortified calls")
def t_programs():
	for name in PROGRAMS:
		tap.equal(faults(proc.program(name)), [], name)


@tap.case("every file of them was compiled with what the compiler has")
def t_flags():
	for flag in FLAGS:
		tap.contains(proc.made("CF_CFLAGS"), flag, "the build")
	if proc.sanitized():
		return		# clang does not write its flags down
	tap.contains(proc.made("CF_CPPFLAGS"), "-D_FORTIFY_SOURCE=3", "the build")
	for name in PROGRAMS:
		files = compiled(proc.program(name))
		tap.true(any(f.endswith("common/buf.c") for f in files)
		    and len(files) > 10, "%s: %s" % (name, sorted(files)))
		for source, producer in files.items():
			for flag in FLAGS:
				tap.contains(producer.split(), flag, source)


@tap.case("a program without it is told")
def t_weak():
	folder = proc.private_dir()
	try:
		source = os.path.join(folder, "weak.c")
		weak = os.path.join(folder, "weak")
		proc.write_file(source, "#include <stdio.h>\nint main(int c, "
		    "char **v)\n{ char b[99]; sprintf(b, v[0]); return "
		    "puts(b); }\n")
		proc.run(["gcc", "-w", "-U_FORTIFY_SOURCE", "-no-pie",
		    "-fno-stack-protector", "-Wl,-z,norelro", "-Wl,-z,lazy",
		    "-Wl,-z,execstack", "-Wl,-rpath,/tmp", "-o", weak, source])
		tap.equal(len(faults(weak)), 8, "faults: %s" % faults(weak))
	finally:
		proc.remove_tree(folder)


def exposure(path):
	"""By systemd-analyze, from 0 (safe) to 10."""
	done = proc.run(["systemd-analyze", "security", "--offline=true",
	    "--no-pager", path])
	return float(re.search(r"Overall exposure level for \S+: ([0-9.]+) ",
	    done.stdout.decode()).group(1))


@tap.case("units expose no more than %g of 10" % EXPOSURE_MOST)
def t_units():
	units = glob.glob(os.path.join(proc.builddir(), "contrib", "systemd",
	    "*.service"))
	tap.equal(len(units), 3, "units")
	folder = proc.private_dir()
	try:
		for unit in units:
			tap.true(exposure(unit) <= EXPOSURE_MOST, "%s: %g"
			    % (unit, exposure(unit)))
			text = proc.read_text(unit)
			# Else nobody hears that it is ready.
			tap.true("Type=notify" not in text or re.search(
			    r"RestrictAddressFamilies=.*\bAF_UNIX\b", text),
			    unit + ": no way to the service manager")
			weak = os.path.join(folder, os.path.basename(unit))
			proc.write_file(weak, proc.read_text(unit).replace(
			    "SystemCallFilter", "#"))
			tap.true(exposure(weak) > EXPOSURE_MOST, "%s without "
			    "a filter: %g" % (weak, exposure(weak)))
	finally:
		proc.remove_tree(folder)


if __name__ == "__main__":
	tap.main()
