#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What is missing is an error of configure that names Debian's package."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))

from lab import proc, tap  # noqa: E402

PACKAGES = (
	("libcrypto", "libssl-dev"), ("libcurl", "libcurl4-openssl-dev"),
	("jansson", "libjansson-dev"), ("libconfuse", "libconfuse-dev"),
	("gmime-3.0", "libgmime-3.0-dev"),
	("libmicrohttpd", "libmicrohttpd-dev"), ("libpq", "libpq-dev"),
)

# pkg-config that does not know the module named in HIDE.
HIDING = """#!/bin/sh
for word; do
	[ -z "$HIDE" ] || [ "${word%% *}" != "$HIDE" ] || exit 1
done
exec pkg-config "$@"
"""

# libcrypto as Debian had it before the fixes that are needed.
OLD = """
unsigned OPENSSL_version_major(void);
unsigned OPENSSL_version_minor(void);
unsigned OPENSSL_version_patch(void);
unsigned OPENSSL_version_major(void) { return 3; }
unsigned OPENSSL_version_minor(void) { return 0; }
unsigned OPENSSL_version_patch(void) { return 21; }
"""

folder = None


def start():
	global folder
	folder = proc.private_dir()
	proc.write_file(os.path.join(folder, "pkg-config"), HIDING, 0o755)


def configure(*words, cache=True, **env):
	"""(exit status, what it wrote), in a directory of its own."""
	build = os.path.join(folder, "build-%d" % len(os.listdir(folder)))
	os.mkdir(build)
	done = subprocess.run([os.path.join(proc.repository(), "configure"),
	    "-q", "PKG_CONFIG=" + os.path.join(folder, "pkg-config"), *words]
	    + (["--cache-file=%s/cache" % folder] if cache else []),
	    cwd=build, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
	    stderr=subprocess.STDOUT, env=dict(os.environ, **env), timeout=300)
	return done.returncode, done.stdout.decode("utf-8", "replace")


def refuses(result, *words):
	tap.equal(result[0], 1, "exit status; output: " + result[1])
	for word in words:
		tap.contains(result[1], word, "the error")


@tap.case("with everything there it succeeds")
def t_all():
	status, out = configure()
	tap.equal(status, 0, "exit status; output: " + out)


@tap.case("a missing library is named with its package")
def t_missing():
	for module, package in PACKAGES:
		refuses(configure(HIDE=module), module, "not found: apt-get "
		    "install %s\n" % package)


@tap.case("so is libmilter, which pkg-config does not know")
def t_milter():
	for variable in ("ac_cv_header_libmilter_mfapi_h",
	    "ac_cv_lib_milter_smfi_setsymlist"):
		refuses(configure(variable + "=no", cache=False),
		    "apt-get install libmilter-dev")


@tap.case("an old libssl3 is refused, and the error says what to do")
def t_libssl():
	path = os.path.join(folder, "old.c")
	proc.write_file(path, OLD)
	proc.run(["cc", "-c", "-o", path[:-1] + "o", path])
	refuses(configure("OPENSSL_LIBS=" + path[:-1] + "o", cache=False),
	    "older than 3.0.22", "enable bookworm-security")


if __name__ == "__main__":
	tap.main(start, lambda: proc.remove_tree(folder))
