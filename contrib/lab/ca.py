# SPDX-License-Identifier: Apache-2.0
"""A certificate authority of our own and what it signs.

Chromium trusts it through an NSS database in a home directory made for it,
not through a switch that turns checking off.
"""

import os
import time

from lab import proc

CA_EXT = """\
[req]
distinguished_name = dn
prompt = no
[dn]
CN = %s
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""

SERVER_EXT = """\
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = %s
"""

# openssl x509 cannot date a certificate.
SIGN = """\
[ca]
default_ca = ca_default
[ca_default]
database = %s.index
serial = %s.serial
default_md = sha256
policy = any
[any]
commonName = supplied
"""


class Authority:
	def __init__(self, folder, name="Counterfoil test authority"):
		self.folder = folder
		self.file = os.path.join(folder, "ca.pem")
		self.key = os.path.join(folder, "ca.key")
		os.makedirs(folder, mode=0o755, exist_ok=True)
		conf = os.path.join(folder, "ca.cnf")
		proc.write_file(conf, CA_EXT % name)
		self._new_key(self.key)
		proc.run(["openssl", "req", "-x509", "-new", "-sha256", "-days", "30",
		    "-config", conf, "-extensions", "ca", "-key", self.key,
		    "-out", self.file])

	def _new_key(self, path, rsa=False):
		kind = ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if rsa else \
		    ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
		old = os.umask(0o077)
		try:
			proc.run(["openssl", "genpkey", "-algorithm", *kind,
			    "-out", path])
		finally:
			os.umask(old)

	def server(self, name, hosts=("localhost", "127.0.0.1"), rsa=False,
	    days=(0, 30)):
		"""A server certificate; gives (certificate file, key file).

		days: from when to when, counted from now
		"""
		cert = os.path.join(self.folder, name + ".pem")
		key = os.path.join(self.folder, name + ".key")
		request = os.path.join(self.folder, name + ".csr")
		ext = os.path.join(self.folder, name + ".cnf")
		names = ",".join(("IP:" if h.replace(".", "").isdigit() or ":" in h
		    else "DNS:") + h for h in hosts)
		proc.write_file(ext, SERVER_EXT % names)
		self._new_key(key, rsa)
		proc.run(["openssl", "req", "-new", "-key", key, "-subj",
		    "/CN=" + hosts[0], "-out", request])
		begin, end = (time.strftime("%Y%m%d%H%M%SZ", time.gmtime(
		    time.time() + 86400 * day)) for day in days)
		conf = os.path.join(self.folder, name + ".sign")
		proc.write_file(os.path.join(self.folder, name + ".index"), "")
		proc.write_file(conf, SIGN % ((os.path.join(
		    self.folder, name),) * 2))
		proc.run(["openssl", "ca", "-batch", "-notext", "-config", conf,
		    "-cert", self.file, "-keyfile", self.key, "-create_serial",
		    "-outdir", self.folder, "-in", request, "-extfile", ext,
		    "-extensions", "server", "-startdate", begin, "-enddate",
		    end, "-out", cert])
		return cert, key

	def nss_home(self, home):
		"""A home directory whose Chromium trusts this authority."""
		db = os.path.join(home, ".pki", "nssdb")
		os.makedirs(db, mode=0o700, exist_ok=True)
		proc.run(["certutil", "-d", "sql:" + db, "-N", "--empty-password"])
		proc.run(["certutil", "-d", "sql:" + db, "-A", "-t", "C,,", "-n",
		    "counterfoil-lab", "-i", self.file])
		return home
