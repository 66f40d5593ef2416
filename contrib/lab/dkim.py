# SPDX-License-Identifier: Apache-2.0
"""OpenDKIM as Debian packages it, behind a socket that Postfix may use."""

import grp
import os
import re
import socket

from lab import proc

SELECTOR = "s1"


class OpenDkim:
	"""Signs for `domain`, or, with the signer given, checks its signatures.

	self.address is what smtpd_milters takes.
	"""

	def __init__(self, folder, domain, signer=None):
		self.folder = folder
		self.domain = domain
		self.signer = signer
		self.key = os.path.join(folder, "rsa.pem")
		self.socket = os.path.join(folder, "run", "sock")
		self.address = "unix:" + self.socket
		self.log = os.path.join(folder, "log")
		self.process = None

	def public_key(self):
		"""What would stand in the DNS, as a line of TestPublicKeys."""
		pem = proc.run(["openssl", "rsa", "-in", self.key, "-pubout"]
		    ).stdout.decode()
		return "%s._domainkey.%s v=DKIM1; k=rsa; p=%s\n" % (SELECTOR,
		    self.domain, "".join(re.sub("-----.*-----", "",
		    pem).split()))

	def start(self):
		run = os.path.dirname(self.socket)
		os.makedirs(run)
		os.chown(run, -1, grp.getgrnam("postfix").gr_gid)
		os.chmod(run, 0o2770)
		path = os.path.join(self.folder, "opendkim.conf")
		lines = ["Syslog no", "UMask 007", "Socket local:" + self.socket]
		if self.signer:
			keys = os.path.join(self.folder, "keys")
			proc.write_file(keys, self.signer.public_key())
			lines += ["Mode v", "TestPublicKeys " + keys,
			    "AuthservID " + self.domain, "AlwaysAddARHeader yes",
			    "InternalHosts 192.0.2.1"]
		else:
			proc.run(["openssl", "genrsa", "-out", self.key, "2048"])
			os.chmod(self.key, 0o600)
			lines += ["Mode s", "Domain " + self.domain,
			    "Selector " + SELECTOR, "KeyFile " + self.key,
			    "RequireSafeKeys no",
			    "Canonicalization relaxed/simple"]
		proc.write_file(path, "\n".join(lines) + "\n")
		self.process = proc.Process("opendkim", ["opendkim", "-f", "-x",
		    path], self.log)
		self.process.wait_ready(self.ready)
		return self

	def ready(self):
		"""Does it listen?  The socket is there a little before."""
		try:
			with socket.socket(socket.AF_UNIX) as s:
				s.connect(self.socket)
		except OSError:
			return False
		return True

	def stop(self):
		if self.process is not None:
			process, self.process = self.process, None
			process.stop()
