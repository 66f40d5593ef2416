# SPDX-License-Identifier: Apache-2.0
"""What is measured of the key server."""

import statistics

from lab import proc

import meters
import peers
from figures import brief, cpu_ratios, each_ms, rate
from keylab import CLIENTS_MANY, key_lab
from turns import say

CONNECTIONS = (4, 8, 16)	# of pgbench, to find its best number
SERVER = ("keysrv", "PostgreSQL")


def clients_word(n):
	return "%d client%s" % (n, "" if n == 1 else "s")


def pgbench_of(run):
	"""Beside our database; who has it has a best number of connections."""
	lab = key_lab(run)
	if not hasattr(lab, "pgbench"):
		lab.pgbench = peers.Pgbench(lab.sides["ours"])
		lab.best = {}
		say("      pgbench -M prepared, one statement writing the same "
		    "rows (issue: %s; release: %s,"
		    % (lab.pgbench.rows.rows.count(lab.pgbench.rows.issue),
		    lab.pgbench.rows.rows.count(lab.pgbench.rows.release)))
		say("      after it has read the key's rows and locked one), "
		    "with the same durability")
	return lab.pgbench


def best_connections(run, what):
	"""Tried once a run; `what` is issue or release."""
	lab, bench = key_lab(run), pgbench_of(run)
	if what in lab.best:
		return lab.best[what]
	found = {}
	for n in CONNECTIONS:
		lab.sides["ours"].settle()
		try:
			if what == "issue":
				found[n] = rate(bench.issue(n, 1))
			else:
				count = int(run.rates.get("pgbench issue", 2000))
				bench.prepare(count)
				found[n] = rate(bench.release(n, count))
		except proc.LabError as e:
			run.fail("pgbench %s on %d connections" % (what, n), e)
	if not found:
		raise proc.LabError("pgbench did nothing on any number of "
		    "connections")
	best = lab.best[what] = max(found, key=found.get)
	run.rates["pgbench " + what] = found[best]
	say("    pgbench %s: %s; best on %d connections" % (what, ", ".join(
	    "%d: %s/s" % (n, brief(r)) for n, r in found.items()), best))
	return best


def connections_for(run, what, clients):
	"""One client is compared with one connection."""
	return 1 if clients == 1 else best_connections(run, what)


def report_keys(run, what, samples):
	run.report(what, samples, {"before": what + ", to before",
	    "pgbench": what + ", to pgbench"})
	if "before" in samples:
		run.figure(what + ", processor to before", cpu_ratios(
		    samples["ours"], samples["before"], SERVER))


# ---- issue and release ----

def issue_turn(side, clients, seconds):
	side.settle()
	return side.measure("issue", clients, "-s", str(seconds))


def bench_issue(run):
	lab, bench = key_lab(run), pgbench_of(run)
	seconds = run.options.seconds
	for clients in run.options.clients:
		n = connections_for(run, "issue", clients)

		def theirs(n=n):
			lab.sides["ours"].settle()
			return meters.measure({"PostgreSQL":
			    lab.cluster.process.pid}, lambda: bench.issue(n,
			    seconds))
		work = {name: lambda s=side, c=clients: issue_turn(s, c,
		    seconds) for name, side in lab.sides.items()}
		what = "issue, " + clients_word(clients)
		samples = run.take_turns(what, {**work, "pgbench": theirs})
		report_keys(run, what, samples)
		remember(run, what, samples)


def remember(run, what, samples):
	"""The rate of the slowest key server, for what follows."""
	found = [statistics.median(rate(s) for s in samples[name] if s)
	    for name in ("ours", "before")
	    if any(samples.get(name, ()))]
	if found:
		run.rates[what] = min(found)


def rate_of(run, what, side):
	"""Of `what` in a closed loop; measured shortly if it was not."""
	if what not in run.rates:
		clients = int(what.split()[1])
		run.rates[what] = rate(side.load("issue", clients, "-s", "1"))
	return run.rates[what]


def release_turn(side, clients, count, challenges):
	"""What is measured is the retrieve request alone."""
	path, sample = side.ask_challenges(side.issue_keys(count),
	    max(clients, 16))
	challenges.append(sample)
	side.settle()
	return side.measure("retrieve", clients, "-k", path, "-s", "120")


def bench_release(run):
	lab, bench = key_lab(run), pgbench_of(run)
	seconds = run.options.seconds
	for clients in run.options.clients:
		n = connections_for(run, "release", clients)
		what = "release, " + clients_word(clients)
		count = max(clients * 8, int(seconds * rate_of(run,
		    "issue, " + clients_word(clients), lab.sides["ours"])))
		challenges = {name: [] for name in lab.sides}

		def theirs(n=n, count=count):
			bench.prepare(count)
			lab.sides["ours"].settle()
			return meters.measure({"PostgreSQL":
			    lab.cluster.process.pid}, lambda: bench.release(n,
			    count))
		work = {name: lambda s=side, c=clients, k=count, f=challenges[
		    name]: release_turn(s, c, k, f)
		    for name, side in lab.sides.items()}
		samples = run.take_turns(what, {**work, "pgbench": theirs})
		report_keys(run, what, samples)
		remember(run, what, samples)
		for name, found in challenges.items():
			if found:
				say("    %-9s its challenges, not counted above:"
				    " %s/s, keysrv and PostgreSQL %.2f ms each"
				    % (name, brief(statistics.median(rate(s)
				    for s in found)), statistics.median(
				    each_ms(s, SERVER) for s in found)))


# ---- openings ----

def open_turn(side, count):
	path = side.release_keys(side.issue_keys(count))
	side.settle()
	return side.measure("open", 16, "-k", path, "-s", "120")


def bench_openings(run):
	lab = key_lab(run)
	count = max(200, int(run.options.seconds * 0.5 * rate_of(run,
	    "issue, 16 clients", lab.sides["ours"])))
	samples = run.take_turns("openings", {name: lambda s=side: open_turn(s,
	    count) for name, side in lab.sides.items()}, run.few())
	run.report("openings, 16 clients", samples, {
	    "before": "openings, 16 clients, to before"})
	run.figure("openings, 16 clients, a second", [rate(s)
	    for s in samples["ours"] if s])


# ---- open load ----

def bench_openload(run):
	"""Latency at half of what a closed loop gives."""
	lab = key_lab(run)
	seconds = max(run.options.seconds, 2)
	for what in ("issue", "release"):
		# A release has a rate of its own only if it was measured.
		closed = run.rates.get(what + ", 64 clients") or rate_of(run,
		    "issue, 64 clients", lab.sides["ours"]) * (
		    1 if what == "issue" else 0.5)
		per_second = max(closed / 2, 1)

		def turn(side, what=what, per_second=per_second):
			words = ["-r", str(per_second), "-s", str(seconds)]
			if what == "release":
				path, _ = side.ask_challenges(side.issue_keys(
				    int(per_second * seconds)))
				words += ["-k", path]
			side.settle()
			return side.measure("issue" if what == "issue" else
			    "retrieve", CLIENTS_MANY, *words)
		name = "%s, open load" % what
		samples = run.take_turns(name, {n: lambda s=side: turn(s)
		    for n, side in lab.sides.items()}, run.few())
		run.report("%s of %s/s, from when each was to be asked" % (name,
		    brief(per_second)), samples, {})
		for p in ("p50", "p99"):
			for side, found in samples.items():
				run.figure("%s, %s ms%s" % (name, p,
				    "" if side == "ours" else ", before"),
				    [s.extra[p] for s in found if s])
