#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Installing changes packages only: services keep the state they had."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))

from lab import proc, tap  # noqa: E402

SCRIPT = os.path.join(proc.repository(), "contrib", "lab", "install.sh")
root = None


def start():
	global root
	root = proc.private_dir()


def shell(text, check=True, **env):
	"""Run bash with the functions of install.sh."""
	done = subprocess.run(["bash", "-c", "set -euo pipefail; . %s; %s"
	    % (SCRIPT, text)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
	    stdin=subprocess.DEVNULL, env=dict(os.environ, **env), timeout=300)
	if check and done.returncode != 0:
		raise proc.LabError("%s: %d %s" % (text, done.returncode,
		    done.stderr.decode()))
	return done


def lines(text, **env):
	return shell(text, **env).stdout.decode().splitlines()


def unit(name, wanted_by=None):
	"""A unit file in the made-up root; enabled if wanted_by is given."""
	lib = os.path.join(root, "lib/systemd/system")
	os.makedirs(lib, exist_ok=True)
	proc.write_file(os.path.join(lib, name), "[Service]\nExecStart=/bin/"
	    "true\n[Install]\nWantedBy=%s\n" % (wanted_by or
	    "multi-user.target"))
	if wanted_by:
		wants = os.path.join(root, "etc/systemd/system",
		    wanted_by + ".wants")
		os.makedirs(wants, exist_ok=True)
		os.symlink("/lib/systemd/system/" + name,
		    os.path.join(wants, name))


def start_link(level, name, kind="S01"):
	folder = os.path.join(root, "etc/rc%s.d" % level)
	os.makedirs(folder, exist_ok=True)
	os.makedirs(os.path.join(root, "etc/init.d"), exist_ok=True)
	script = os.path.join(root, "etc/init.d", name)
	if not os.path.exists(script):
		proc.write_file(script, "#!/bin/sh\n### BEGIN INIT INFO\n"
		    "# Provides: %s\n# Required-Start:\n# Required-Stop:\n"
		    "# Default-Start: 2 3 4 5\n# Default-Stop: 0 1 6\n"
		    "### END INIT INFO\n" % name, 0o755)
	os.symlink("../init.d/" + name, os.path.join(folder, kind + name))


@tap.case("a new unit and a new start link are disabled, old ones are not")
def t_disable_new():
	os.makedirs(os.path.join(root, "var/lib/systemd"))
	unit("old.service", "multi-user.target")
	unit("off.service")
	start_link(2, "old")
	before = lines("units_enabled", DPKG_ROOT=root)
	tap.equal(len(before), 2, "enabled at first: %s" % before)
	proc.write_file(os.path.join(root, "before"), "".join(b + "\n"
	    for b in before))
	unit("mailer.service", "multi-user.target")
	unit("mailer.socket", "sockets.target")
	for level in (2, 3, 4, 5):
		start_link(level, "mailer")
	start_link(0, "mailer", "K01")
	with_new = lines("units_enabled", DPKG_ROOT=root)
	tap.equal(len(with_new), 8, "enabled by the installation: %s"
	    % with_new)
	shell("units_disable_new %s/before" % root, DPKG_ROOT=root)
	tap.equal(lines("units_enabled", DPKG_ROOT=root), before,
	    "enabled afterwards")
	tap.true(os.path.islink(os.path.join(root, "etc/systemd/system/"
	    "multi-user.target.wants/old.service")), "old.service is enabled")


@tap.case("a removal in apt's dry run is found")
def t_simulation():
	path = os.path.join(root, "dry-run")
	proc.write_file(path, "Reading package lists...\n"
	    "The following packages will be REMOVED:\n  exim4-base\n"
	    "Remv exim4-daemon-light [4.96-15]\nRemv exim4-base [4.96-15]\n"
	    "Inst postfix (3.7.11-0+deb12u1 Debian:12)\n"
	    "Conf postfix (3.7.11-0+deb12u1 Debian:12)\n")
	tap.equal(lines("removed_by_simulation %s" % path),
	    ["exim4-daemon-light", "exim4-base"], "what would be removed")


def fake_tools(**scripts):
	"""A folder of programs for the front of PATH."""
	folder = os.path.join(root, "bin-%d" % len(os.listdir(root)))
	os.mkdir(folder)
	for name, text in scripts.items():
		proc.write_file(os.path.join(folder, name.replace("_", "-")),
		    "#!/bin/sh\n" + text, 0o755)
	return folder + ":" + os.environ["PATH"]


@tap.case("nothing is installed when apt would remove a package")
def t_stops():
	log = os.path.join(root, "log")
	path = fake_tools(apt_get="echo \"$@\" >>%s/called\ncase \"$*\" in\n"
	    "*-s*) echo 'Remv exim4-base [4.96]' ;;\nesac\n" % root)
	done = shell("install_packages %s counterfoil-no-such-package" % log,
	    check=False, PATH=path)
	tap.equal(done.returncode, 1, "exit status")
	tap.contains(done.stderr.decode(), "exim4-base", "the sentence")
	for call in proc.read_text(root + "/called").splitlines():
		tap.true("update" in call.split() or "-s" in call.split(),
		    "only asked: " + call)


@tap.case("an old libssl3 is told, with what to do")
def t_libssl():
	done = shell("libssl_is_new_enough", check=False, PATH=fake_tools(
	    dpkg_query="echo 3.0.15-1~deb12u1\n"))
	tap.equal(done.returncode, 1, "3.0.15 is new enough")
	done = shell("libssl_is_new_enough", check=False, PATH=fake_tools(
	    dpkg_query="echo 3.0.22-1~deb12u2\n"))
	tap.equal(done.returncode, 0, "3.0.22 is too old")
	done = shell("install_packages %s/log2 libssl3" % root, check=False,
	    PATH=fake_tools(dpkg_query="case $* in *Status*) echo installed ;;"
	    " *) echo 3.0.15-1 ;; esac\n", apt_cache="echo '  Candidate: "
	    "3.0.20-1~deb12u2'\n", apt_get="echo \"$@\" >>%s/called2\n"
	    % root))
	tap.equal(done.returncode, 1, "exit status")
	tap.contains(done.stderr.decode(), "enable bookworm-security",
	    "the sentence")
	tap.lacks(proc.read_text(root + "/called2"), "install",
	    "what apt-get was asked for")


@tap.case("what an installation would start or enable stays off, also when "
    "it fails")
def t_service_package():
	policy = "/usr/sbin/policy-rc.d"
	cluster = "/etc/postgresql-common/createcluster.d"
	wants = root + "/etc/systemd/system/multi-user.target.wants"
	was = (os.path.exists(policy) and proc.read_text(policy),
	    os.path.exists(cluster) and os.listdir(cluster))
	for status in (0, 100):
		enabled = lines("units_enabled", DPKG_ROOT=root)
		name = "daemon%d.service" % status
		# As the maintainer scripts of a mail or database server do.
		path = fake_tools(apt_get="""%s daemon start
			echo $? >%s/answer
			cat %s/*.conf >%s/cluster
			mkdir -p %s && ln -s /lib/systemd/system/%s %s
			ls %s >%s/wants
			exit %d
			""" % (policy, root, cluster, root, wants, name, wants,
		    wants, root, status))
		unit(name)
		done = shell("install_quietly daemon", check=False, PATH=path,
		    DPKG_ROOT=root)
		tap.equal(done.returncode, status, "exit status: %s"
		    % done.stderr)
		tap.equal(proc.read_text(root + "/answer"), "101\n",
		    "may it start? policy-rc.d's answer")
		tap.contains(proc.read_text(root + "/cluster"),
		    "create_main_cluster = false", "PostgreSQL's setting")
		tap.contains(proc.read_text(root + "/wants"), name,
		    "units enabled by the installation")
		tap.equal(lines("units_enabled", DPKG_ROOT=root), enabled,
		    "units enabled afterwards")
		tap.equal((os.path.exists(policy) and proc.read_text(policy),
		    os.path.exists(cluster) and os.listdir(cluster)), was,
		    "the files put aside")


@tap.case("installing leaves services, policy and settings as they were")
def t_nothing_changes():
	# Others start and end by themselves, such as apt's timers.
	ours = set(re.findall(r"/systemd/system/([^/@.\n]+)[^/\n]*$",
	    "\n".join(lines("dpkg -L $CF_WORLD_PACKAGES "
	    "postgresql-common")), re.M))
	tap.contains(ours, "postfix", "the units of our packages")

	def state():
		return {"units": lines("units_enabled"),
		    "active": [u for u in lines("units_active")
		        if re.split("[ @.]", u)[1] in ours],
		    "packages": lines("packages_installed"),
		    "policy": os.path.exists("/usr/sbin/policy-rc.d")
		        and proc.read_text("/usr/sbin/policy-rc.d"),
		    "clusters": sorted(os.listdir("/etc/postgresql"))
		        if os.path.isdir("/etc/postgresql") else [],
		    "postgresql-common": sorted(os.listdir(
		        "/etc/postgresql-common"))}
	before = state()
	done = shell("install_packages %s/log3 $CF_BUILD_PACKAGES "
	    "$CF_WORLD_PACKAGES $(node_packages)" % root)
	after = state()
	gone = {p.split()[0] for p in before.pop("packages")} - \
	    {p.split()[0] for p in after.pop("packages")}
	tap.equal(gone, set(), "packages removed")
	tap.equal(after, before, "the state")
	# And once more for certain: the same installation with nothing to do.
	shell("install_quietly --no-upgrade libc6 >%s/log4 2>&1" % root)
	again = state()
	again.pop("packages")
	tap.equal(again, before, "the state after a real run of apt-get")
	tap.contains(done.stdout.decode(), "nothing is installed",
	    "the output")


if __name__ == "__main__":
	tap.main(start, lambda: proc.remove_tree(root))
