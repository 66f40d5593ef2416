# SPDX-License-Identifier: Apache-2.0
"""Time and memory of counterfoil open, beside openssl cms."""

import os
import shutil

from lab import conf, proc

import meters
from figures import Sample
from maillab import mail_lab

SIZE = 25000000
OUT = object()


class Opening:
	"""A program that opens a sealed or encrypted message of 25 MB.

	argv  with OUT where the file stands that it writes
	"""

	def __init__(self, name, argv, folder):
		self.name = name
		self.argv = argv
		self.folder = folder
		self.peaks = []

	def turn(self):
		out = os.path.join(self.folder, "opened")
		took, peak = meters.run_with_peak([out if word is OUT else
		    word for word in self.argv], self.folder)
		size = os.stat(out).st_size
		os.unlink(out)
		if size < SIZE * 0.99:
			raise proc.LabError("%s wrote %d bytes" % (self.name,
			    size))
		self.peaks.append(peak)
		return Sample(1, took)


def encrypted(lab, folder):
	"""The same message for openssl, as S/MIME: (file, its arguments)."""
	cert, key = lab.authority.server("recipient", rsa=True)
	path = os.path.join(folder, "smime.eml")
	proc.run(["openssl", "cms", "-encrypt", "-binary", "-aes-256-gcm",
	    "-in", lab.file(True, SIZE), "-out", path, "-recip", cert])
	return path, ["-recip", cert, "-inkey", key]


def bench_open(run):
	lab = mail_lab(run)
	folder = os.path.join(lab.folder, "open")
	os.mkdir(folder)
	openings = {}
	for name, gateway in lab.gateways.items():
		path = lab.deliver(name, lab.file(True, SIZE))
		config = conf.write(os.path.join(folder, name + ".conf"), {
		    "ca_file": lab.authority.file, "allowed_key_servers":
		    [gateway.keysrv.url]}, 0o600)
		with gateway.build:
			program = proc.program("counterfoil")
		openings[name] = Opening(name, [program, "-c", config, "open",
		    "-q", "-o", OUT, path], folder)
	path, words = encrypted(lab, folder)
	openings["openssl"] = Opening("openssl", [shutil.which("openssl"),
	    "cms", "-decrypt", "-in", path, *words, "-out",
	    OUT], folder)
	samples = run.take_turns("counterfoil open 25 MB", {name: lambda
	    o=opening: meters.measure({}, o.turn)
	    for name, opening in openings.items()}, run.few())
	run.report("counterfoil open, 25 MB, against openssl cms -decrypt",
	    samples, {"before": "counterfoil open 25 MB, to before",
	    "openssl": "counterfoil open 25 MB, to openssl cms"})
	for name, opening in openings.items():
		run.figure("counterfoil open 25 MB, peak MB" + (
		    "" if name == "ours" else ", " + name), opening.peaks)
