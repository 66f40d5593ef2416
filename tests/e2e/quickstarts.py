#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""contrib/quickstart: side by side, interrupted, and without a person."""

import os
import re
import shlex
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))

from lab import mail, proc, sample, tap  # noqa: E402

SCRIPT = os.path.join(proc.repository(), "contrib", "quickstart")
NAMES = """CF_DIR CF_A_SMTP CF_B_SMTP CF_A_MAILDIR CF_B_MAILDIR CF_A_MILTER
    CF_B_MILTER CF_MILTER_PIDS CF_KEYSRV_URL CF_KEYSRV_PID CF_READER_URL
    CF_CA_FILE PGHOST PGPORT PGDATABASE PGUSER CF_API_TOKEN_FILE""".split()
LIMIT_S = 240		# for two worlds to start, side by side
folder = None
ups = []		# proc.Process
envs = []		# what the shell says


def start():
	global folder
	folder = proc.private_dir()
	os.environ["CF_BUILDDIR"] = proc.builddir()
	for n in (1, 2):
		ups.append(proc.Process("quickstart --up %d" % n, [SCRIPT,
		    "--up", os.path.join(folder, "w%d" % n)],
		    os.path.join(folder, "up%d.log" % n)))


def stop():
	for p in ups:
		p.stop(signal.SIGINT, LIMIT_S)
	if folder:
		proc.remove_tree(folder)


def env_file(n):
	return os.path.join(folder, "w%d" % n, "env")


def in_shell(n, command):
	return proc.run(["sh", "-c", ". %s && %s" % (shlex.quote(env_file(n)),
	    command)]).stdout.decode()


def maildir(path):
	new = os.path.join(path, "new")
	return [os.path.join(new, f) for f in os.listdir(new)] \
	    if os.path.isdir(new) else []


def both_up():
	for n, p in enumerate(ups, 1):
		p.wait_ready(lambda: os.path.exists(env_file(n)), LIMIT_S)


def both_envs():
	"""What the two env files define, read once."""
	if not envs:
		both_up()
		envs.extend({name: in_shell(n, 'printf %%s "$%s"' % name)
		    for name in NAMES} for n in (1, 2))
	return envs


@tap.case("two worlds come up side by side")
def t_up():
	both_up()
	for n in (1, 2):
		tap.equal(os.stat(env_file(n)).st_mode & 0o777, 0o600,
		    "mode of env")


@tap.case("env defines everything, and psql works with it")
def t_env():
	for n, values in enumerate(both_envs(), 1):
		for name in NAMES:
			tap.contains(proc.read_text(env_file(n)),
			    "export %s=" % name, "env")
			tap.true(values[name] or name == "CF_CA_FILE", name)
		tap.equal(in_shell(n, "psql -qAtc 'select count(*) from "
		    "counterfoil.receipt_log'").strip().isdigit(), True,
		    "psql counts receipts")
		for pid in values["CF_MILTER_PIDS"].split() + \
		    [values["CF_KEYSRV_PID"]]:
			tap.contains(proc.read_text("/proc/%s/cmdline" % pid),
			    "counterfoil-", "process " + pid)
	for name in NAMES:
		if name not in ("PGPORT", "PGDATABASE", "PGUSER",
		    "CF_CA_FILE"):
			tap.true(envs[0][name] != envs[1][name],
			    name + " differs between the two")


@tap.case("each delivers its own mail, sealed")
def t_mail():
	for n, values in enumerate(both_envs(), 1):
		host, port = values["CF_A_SMTP"].split(":")
		code, text = mail.send(int(port), "alice@a.test",
		    ["bob@b.test", "new@b.test"], sample.simple("side%d" % n))
		tap.equal(code, 250, "reply %r" % text)
	for n, values in enumerate(envs, 1):
		box = values["CF_B_MAILDIR"]
		for path in (box, os.path.join(os.path.dirname(box), "new")):
			files = proc.wait_for(lambda: maildir(path), LIMIT_S,
			    "mail in " + path)
			tap.equal(len(files), 1, "messages in " + path)
			link = sample.link(mail.read(files[0]))
			tap.true(link.startswith(values["CF_READER_URL"]),
			    "link " + link)
			tap.true(sample.locator(link).startswith(
			    values["CF_KEYSRV_URL"]), "key server of its own")


@tap.case("interrupted, a world stops all it started and says so")
def t_interrupted():
	values = both_envs()[0]
	pids = children(ups[0].pid)
	tap.true(len(pids) >= 8, "children: %s" % pids)
	tap.equal(ups[0].stop(signal.SIGINT, LIMIT_S), 0, "exit status")
	for pid in pids:
		proc.wait_for(lambda: not running(pid), LIMIT_S,
		    "the end of process %d" % pid)
	for name in ("CF_A_SMTP", "CF_B_SMTP"):
		tap.true(proc.port_is_free(int(values[name].split(":")[1])),
		    name + " is free")
	tap.true(not os.path.exists(env_file(1)), "env is gone")
	tap.contains(proc.read_text(ups[0].log), "Stopped", "the output")


def children(pid):
	with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
		return [int(p) for p in f.read().split()]


@tap.case("the other world did not notice")
def t_other():
	both_envs()
	tap.true(ups[1].alive(), "it runs")
	tap.true(in_shell(2, "psql -qAtc 'select 1'").strip() == "1", "psql")


@tap.case("killed hard, a world still leaves no process behind")
def t_killed():
	both_envs()
	pids = children(ups[1].pid)
	tap.true(len(pids) >= 8, "children: %s" % pids)
	ups[1].kill()
	for pid in pids:
		proc.wait_for(lambda: not running(pid), LIMIT_S,
		    "the end of process %d" % pid)


def running(pid):
	text = proc.read_text("/proc/%d/stat" % pid)
	return text and text.rsplit(")", 1)[1].split()[0] != "Z"


@tap.case("--once opens the mail in browser and command, and exits 0")
def t_once():
	done = proc.run([SCRIPT, "--once"], 3 * LIMIT_S, check=False)
	out = done.stdout.decode()
	tap.equal(done.returncode, 0, "exit status; output:\n" + out
	    + done.stderr.decode())
	for part in ("Chromium", "counterfoil open", "Subject: ", "grade",
	    "alice@a.test", "bob@b.test", "opened"):
		tap.contains(out, part, "the output")


@tap.case("the guide shows notice and link, waits, shows the receipt")
def t_guide():
	log = os.path.join(folder, "guide.log")
	p = proc.Process("quickstart", [SCRIPT], log)
	try:
		p.wait_ready(lambda: "Waiting for the click" in
		    proc.read_text(log), LIMIT_S)
		text = proc.read_text(log)
		link = sample.LINK.search(text).group(0)
		port = re.search(r"http://127\.0\.0\.1:(\d+)/m/", link).group(1)
		tap.contains(text, "-L %s:127.0.0.1:%s" % (port, port),
		    "the ssh line")
		keys = re.search(r"127\.0\.0\.1:(\d+)/k/",
		    sample.locator(link)).group(1)
		tap.contains(text, "-L %s:127.0.0.1:%s" % (keys, keys),
		    "the ssh line")
		command = re.search(r"(?m)^    (\S*counterfoil -c .* open .*)$",
		    text).group(1)
		proc.run(shlex.split(command), LIMIT_S)
		p.wait_ready(lambda: "got this receipt" in proc.read_text(log)
		    and "The world goes on" in proc.read_text(log), LIMIT_S)
		tap.contains(proc.read_text(log), sample.handle(link),
		    "the receipt")
	finally:
		code = p.stop(signal.SIGINT, LIMIT_S)
	tap.equal(code, 0, "exit status when interrupted")


@tap.case("wrong words, no screen, an occupied directory: refused at once")
def t_refused():
	done = proc.run([SCRIPT, "--bogus"], check=False)
	tap.equal(done.returncode, 2, "exit status")
	tap.contains(done.stderr.decode(), "Usage:", "the message")
	blind = {k: v for k, v in os.environ.items()
	    if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
	done = proc.run([SCRIPT, "--browser"], check=False, env=blind)
	tap.equal(done.returncode, 1, "exit status")
	tap.contains(done.stderr.decode(), "needs a screen", "the message")
	tap.lacks(done.stdout.decode(), "Starting", "the output")
	full = os.path.join(folder, "full")
	os.mkdir(full)
	proc.write_file(os.path.join(full, "mine"), "keep")
	done = proc.run([SCRIPT, "--up", full], check=False)
	tap.equal(done.returncode, 1, "exit status")
	tap.contains(done.stderr.decode(), "not empty", "the message")
	tap.equal(proc.read_text(os.path.join(full, "mine")), "keep",
	    "the file that was there")


if __name__ == "__main__":
	tap.main(start, stop)
