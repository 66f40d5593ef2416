# SPDX-License-Identifier: Apache-2.0
"""How long a person waits for a message on a slow line."""

import json
import os

from lab import mail, proc, reader, sample

from maillab import READER, mail_lab, message
from turns import note, say

SIZE = 50000
CHROMIUM = "/usr/bin/chromium"


def page_at_hand():
	"""None, or why there is nothing to measure the page with."""
	if not os.path.exists(CHROMIUM):
		return "%s is not installed" % CHROMIUM
	if not os.path.exists(os.path.join(proc.repository(), "tests",
	    "browser", "node_modules", "playwright-core")):
		return "playwright-core is not in tests/browser"
	return None


def bench_page(run):
	missing = page_at_hand()
	if missing:
		say("page: not measured; %s" % missing)
		return
	lab = mail_lab(run)
	folder = os.path.join(lab.folder, "page")
	gateway = lab.gateways["ours"]
	server = reader.Reader(folder, gateway.milter.store,
	    [gateway.keysrv.url], lab.authority.server("reader",
	    hosts=(READER, "localhost")), lab.authority.file)
	home = lab.authority.nss_home(os.path.join(folder, "home"))
	text = os.path.join(folder, "mail")
	proc.write_file(text, message(True, SIZE))
	server.options["reader_url"] = "https://" + READER
	server.start()
	try:
		found = []
		for _ in range(run.few()):
			content = mail.read(lab.deliver("ours", text))
			found.append(open_page(sample.link(content), home,
			    server.port))
			note("  page: %s" % found[-1])
	finally:
		server.stop()
	for part, name in (("ready", "link to ready"), ("text", "click to "
	    "text"), ("all", "link and click to text")):
		run.figure("page, 50 kB at 1.6 Mbit/s, %s, s" % name,
		    [f[part] for f in found])


def open_page(link, home, port):
	"""{"ready", "text", "all"}: seconds, with nothing in the cache."""
	done = proc.run(proc.node() + [os.path.join(proc.repository(), "tests",
	    "bench", "page.mjs"), link, home, "MAP %s:443 127.0.0.1:%d"
	    % (READER, port)], limit_s=120)
	try:
		times = json.loads(done.stdout)
		return {"ready": times["ready"], "text": times["text"],
		    "all": times["ready"] + times["text"]}
	except (ValueError, KeyError, TypeError) as e:
		raise proc.LabError("page.mjs printed no result (%r): %r"
		    % (e, done.stdout[:200]))
