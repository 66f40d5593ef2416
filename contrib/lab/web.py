# SPDX-License-Identifier: Apache-2.0
"""One HTTP request to a server of the lab."""

import ssl
import urllib.error
import urllib.request


def fetch(url, method="GET", body=None, headers=None, ca_file=None,
    limit_s=120):
	"""Gives (status, headers, body bytes), whatever the status."""
	request = urllib.request.Request(url, data=body, method=method,
	    headers=headers or {})
	context = None
	if ca_file and url.startswith("https"):
		context = ssl.create_default_context(cafile=ca_file)
	# Whatever proxy the environment names does not know us.
	opener = urllib.request.build_opener(urllib.request.ProxyHandler({}),
	    urllib.request.HTTPSHandler(context=context))
	try:
		with opener.open(request, timeout=limit_s) as reply:
			return reply.status, reply.headers, reply.read()
	except urllib.error.HTTPError as e:
		return e.code, e.headers, e.read()
