# SPDX-License-Identifier: Apache-2.0
"""One HTTP request to a server of the lab, and what TLS it speaks."""

import socket
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


def served(port):
	"""The certificate that a new connection gets, PEM."""
	return ssl.get_server_certificate(("127.0.0.1", port), timeout=120)


def tls_suites(port, ca_file):
	"""Which TLS 1.2 cipher suites that OpenSSL has does the server take?"""
	found = []
	for suite in ssl.create_default_context().get_ciphers() + [
	    {"name": name, "protocol": "TLSv1.2"} for name in
	    ("AES256-GCM-SHA384", "AES128-GCM-SHA256", "AES128-SHA",
	    "AES256-SHA256", "ECDHE-ECDSA-AES128-SHA",
	    "ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES128-SHA",
	    "ECDHE-RSA-AES256-SHA384", "ECDHE-ECDSA-AES128-CCM",
	    "DHE-RSA-AES128-GCM-SHA256")]:
		context = ssl.create_default_context(cafile=ca_file)
		context.maximum_version = ssl.TLSVersion.TLSv1_2
		if suite["protocol"] == "TLSv1.3" or suite["name"] in found:
			continue
		context.set_ciphers(suite["name"] + ":@SECLEVEL=0")
		try:
			with socket.create_connection(("127.0.0.1", port),
			    120) as s, context.wrap_socket(s,
			    server_hostname="localhost"):
				found.append(suite["name"])
		except ssl.SSLError:
			pass
	return sorted(found)


# With forward secrecy and AEAD, by the key of the server's certificate.
GOOD_SUITES = {kind: sorted("ECDHE-%s-%s" % (kind, name) for name in
    ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"))
    for kind in ("ECDSA", "RSA")}
