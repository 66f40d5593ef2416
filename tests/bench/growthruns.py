# SPDX-License-Identifier: Apache-2.0
"""Release where there are many keys, beside the same where there are few."""

import random
import shutil
from concurrent import futures

from lab import proc

import peers
from keylab import KeyLab
from turns import note, timed

TEN_K, MEGA = 10 ** 4, 10 ** 6
FULL_BYTES = 45 * 10 ** 9


def spread_keys(side, rows, total, wanted):
	"""`wanted` keys of the key server's own, spread over `total`.

	Of the others half are released.  Their file is in random order.
	"""
	lines, pieces = [], max(10, total // 250000)
	for n in range(pieces):
		share = (total - wanted) // pieces // 2
		with futures.ThreadPoolExecutor(2) as pool:
			for half in [pool.submit(rows.fill, share, released=r)
			    for r in (False, True)]:
				half.result()
		note("  %d of %d keys" % (total // pieces * (n + 1), total))
		lines += proc.read_text(side.issue_keys(wanted // pieces)
		    ).splitlines(True)
	random.shuffle(lines)
	side.psql("VACUUM ANALYZE", limit_s=peers.FILL_S)
	return lines


def growth_turn(side, lines, count):
	path = side.new_file()
	proc.write_file(path, "".join(lines[:count]))
	del lines[:count]
	path, _ = side.ask_challenges(path)
	side.settle()
	return side.measure("retrieve", 16, "-k", path, "-s", "120")


def bench_growth(run):
	"""Release where there are many keys, to the same where there are few."""
	free = shutil.disk_usage(run.folder).free
	if run.options.full and free < FULL_BYTES:
		raise proc.LabError("%d GB are free, %d are needed for 10 M keys"
		    % (free // 10 ** 9, FULL_BYTES // 10 ** 9))
	build = run.builds["ours"]
	lab = KeyLab(run, "growth", {"ours": build})
	count, turns = 1000, run.options.turns
	try:
		sizes = {"ours": MEGA, "10 k": TEN_K}
		if run.options.full:
			sizes = {"ours": 10 * MEGA, "1 M": MEGA, "10 k": TEN_K}
		work, sides = {}, {}
		for name, size in sizes.items():
			side = lab.sides["ours"] if name == "ours" else lab.add(
			    "keys%d" % size, build)
			rows = peers.KeyRows(side)
			lines = []
			took = timed(lambda s=side, r=rows, n=size, out=lines:
			    out.extend(spread_keys(s, r, n, min(count * turns,
			    n // 2))))
			note("  %d keys made in %.0f s" % (size, took))
			sides[name] = side
			work[name] = lambda s=side, keys=lines, k=min(count,
			    len(lines) // turns): growth_turn(s, keys, k)
		samples = run.take_turns("growth", work, turns)
		big = "10 M" if run.options.full else "1 M"
		run.report("release, 16 clients: ours has %s keys" % big,
		    samples, {"10 k": "release, %s keys to 10 k" % big,
		    "1 M": "release, 10 M keys to 1 M"})
	finally:
		lab.stop()
