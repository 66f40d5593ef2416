# SPDX-License-Identifier: Apache-2.0
"""Open a link in headless Chromium, as a recipient would."""

import os

from lab import proc


def open_link(link, out, nss_home=None, limit_s=400):
	"""Click through to the message; gives what the page showed.

	{"subject", "text", "html" (as read), "markup", "original": bytes or None,
	"attachments": {name: bytes}}
	"""
	script = os.path.join(proc.repository(), "tests", "browser",
	    "open-link.mjs")
	argv = proc.node() + [script, "--link", link, "--out", out]
	if nss_home:
		argv += ["--ca", nss_home]
	os.makedirs(out, exist_ok=True)
	proc.run(argv, limit_s)

	def content(*parts):
		try:
			with open(os.path.join(out, *parts), "rb") as f:
				return f.read()
		except FileNotFoundError:
			return None
	folder = os.path.join(out, "attachments")
	names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
	return {"subject": content("subject.txt"),
	    "text": content("text.txt"), "html": content("html.txt"),
	    "markup": content("html.html"), "original": content("original.eml"),
	    "attachments": {n: content("attachments", n) for n in names}}
