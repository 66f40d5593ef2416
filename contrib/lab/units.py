#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Stands in for systemctl where systemd does not run, in tests.

    units.py enable [--now] NAME...

Of a unit as it is installed it does what decides over owners and paths: user,
groups and umask, the directories that systemd makes, a file system that is
read-only elsewhere, no capabilities, a clean environment.  It knows services
of Type=simple and Type=notify; a timer is enabled and never runs out.  What a service says
goes to /var/log/units/NAME.log, and its process id to NAME.pid there.
"""

import grp
import os
import pwd
import re
import shlex
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab import proc  # noqa: E402

# In the order in which systemd looks; see systemd.unit(5).
FOLDERS = ("/etc/systemd/system", "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system")
LOGS = "/var/log/units"
READY_S = 90	# as systemd's TimeoutStartSec
DIRECTORIES = (("Runtime", "/run"), ("State", "/var/lib"))
# They would change owners and paths, too, but no unit of ours has them.
NOT_DONE = re.compile(r"Exec(Condition|Start(Pre|Post))|LoadCredential\w*|"
    r"(Cache|Configuration|Logs|Root|Working)Directory|DynamicUser|"
    r"EnvironmentFile")

# Binds what may be written over itself, makes the rest read-only, goes on as
# the program.  /tmp is among the first for the reports of sanitizers.
CAGE = """set -e
while [ "$1" != -- ]; do
	mount --bind "$1" "$1"
	shift
done
shift
mount -o remount,bind,ro /run
mount -o remount,bind,ro /
exec "$@"
"""


def sanitizers():
	"""What of the environment the programs of such a build must get."""
	return {k: v for k, v in os.environ.items()
	    if re.fullmatch(r"[ALUT]SAN_(OPTIONS|SYMBOLIZER_PATH)", k)}


class Unit:
	def __init__(self, name):
		self.name = name if "." in name else name + ".service"
		self.path = next((p for p in (os.path.join(f, self.name)
		    for f in FOLDERS) if os.path.exists(p)), None)
		if self.path is None:
			raise proc.LabError("Unit %s not found." % self.name)
		self.values = {}
		for key, value in re.findall(r"(?m)^([A-Z]\w*)=(.*)$",
		    proc.read_text(self.path)):
			if NOT_DONE.fullmatch(key):
				raise proc.LabError("%s: cannot do %s="
				    % (self.path, key))
			# An empty one forgets those before.
			self.values[key] = self.values.get(key, []) + [value] \
			    if value else []

	def words(self, key):
		return " ".join(self.values.get(key, [])).split()

	def word(self, key, default):
		return (self.words(key) or [default])[-1]

	def enable(self):
		targets = self.words("WantedBy")
		if not targets:
			raise proc.LabError("%s has no WantedBy=" % self.path)
		for target in targets:
			folder = os.path.join(FOLDERS[0], target + ".wants")
			os.makedirs(folder, exist_ok=True)
			os.symlink(self.path, os.path.join(folder, self.name))

	def start(self):
		if self.name.endswith(".timer"):
			Unit(self.name[:-len(".timer")])	# it is there
			return
		kind = self.word("Type", "simple")
		if kind not in ("simple", "notify"):
			raise proc.LabError("%s: Type=%s" % (self.path, kind))
		user = pwd.getpwnam(self.word("User", "root"))
		group = grp.getgrnam(self.word("Group",
		    grp.getgrgid(user.pw_gid).gr_name))
		command = self.command(user, group, self.writable(user, group))
		os.makedirs(LOGS, exist_ok=True)
		env = self.environment(user)
		manager = self.manager(env) if kind == "notify" else None
		with open(os.path.join(LOGS, self.name + ".log"), "ab") as log:
			process = subprocess.Popen(command,
			    stdin=subprocess.DEVNULL, stdout=log, stderr=log,
			    cwd="/", start_new_session=True,
			    env=env,
			    umask=int(self.word("UMask", "0022"), 8))
		proc.write_file(os.path.join(LOGS, self.name + ".pid"),
		    str(process.pid))
		if manager:
			self.wait_ready(process, manager)

	def manager(self, env):
		"""The socket where the service says that it is ready."""
		path = os.path.join("/run", self.name + ".notify")
		if os.path.exists(path):
			os.unlink(path)
		manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		manager.bind(path)
		os.chmod(path, 0o666)
		manager.settimeout(1)
		env["NOTIFY_SOCKET"] = path
		return manager

	def wait_ready(self, process, manager):
		def is_ready():
			if process.poll() is not None:
				raise proc.LabError("Job for %s failed; see %s."
				    % (self.name, LOGS))
			try:
				return b"READY=1" in manager.recv(1000
				    ).split(b"\n")
			except TimeoutError:
				return False
		proc.wait_for(is_ready, READY_S, self.name + " to be ready")
		manager.close()

	def writable(self, user, group):
		"""Makes the unit's directories; gives all it may write to."""
		found = ["/tmp"] + self.words("ReadWritePaths")
		for kind, base in DIRECTORIES:
			mode = int(self.word(kind + "DirectoryMode", "0755"), 8)
			for name in self.words(kind + "Directory"):
				path = os.path.join(base, name)
				os.makedirs(path, exist_ok=True)
				os.chown(path, user.pw_uid, group.gr_gid)
				os.chmod(path, mode)
				found.append(path)
		return [p for p in found
		    if not any((p + "/").startswith(r + "/")
		    for r in self.words("ReadOnlyPaths"))]

	def command(self, user, group, writable):
		groups = set(os.getgrouplist(user.pw_name, group.gr_gid)) | {
		    grp.getgrnam(g).gr_gid
		    for g in self.words("SupplementaryGroups")}
		return ["unshare", "--mount", "--propagation", "private",
		    "sh", "-c", CAGE, "sh", *writable, "--", "setpriv",
		    "--reuid", str(user.pw_uid), "--regid", str(group.gr_gid),
		    "--groups", ",".join(map(str, sorted(groups))),
		    "--no-new-privs", "--bounding-set", "-all", "--",
		    *shlex.split(self.values["ExecStart"][-1])]

	def environment(self, user):
		env = dict(sanitizers(), PATH="/usr/local/sbin:/usr/local/bin:"
		    "/usr/sbin:/usr/bin", HOME=user.pw_dir, USER=user.pw_name,
		    LOGNAME=user.pw_name)
		for line in self.values.get("Environment", []):
			env.update(w.split("=", 1) for w in shlex.split(line))
		return env


def main():
	verb, *names = sys.argv[1:]
	if verb != "enable":
		raise proc.LabError("Unknown command verb %s." % verb)
	for unit in [Unit(name) for name in names if name != "--now"]:
		unit.enable()
		if "--now" in names:
			unit.start()


if __name__ == "__main__":
	try:
		main()
	except (proc.LabError, KeyError, OSError) as e:
		sys.exit("%s: %s" % (os.path.basename(sys.argv[0]), e))
