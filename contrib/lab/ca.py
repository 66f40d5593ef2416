# SPDX-License-Identifier: Apache-2.0
"""A certificate authority of our own and what it signs.

Chromium trusts it through an NSS database in a home directory made for it,
not through a switch that turns checking off.
"""

import os

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


class Authority:
	def __init__(self, folder, name="Counterfoil test authority"):
		self.folder = folder
		self.file = os.path.join(folder, "ca.pem")
		self.key = os.path.join(folder, "ca.key")
		self.serial = 0
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

	def server(self, name, hosts=("localhost", "127.0.0.1"), rsa=False):
		"""A server certificate; gives (certificate file, key file)."""
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
		self.serial += 1
		proc.run(["openssl", "x509", "-req", "-sha256", "-days", "30",
		    "-in", request, "-CA", self.file, "-CAkey", self.key,
		    "-set_serial", str(self.serial), "-extfile", ext,
		    "-extensions", "server", "-out", cert])
		return cert, key

	def nss_home(self, home):
		"""A home directory whose Chromium trusts this authority."""
		db = os.path.join(home, ".pki", "nssdb")
		os.makedirs(db, mode=0o700, exist_ok=True)
		proc.run(["certutil", "-d", "sql:" + db, "-N", "--empty-password"])
		proc.run(["certutil", "-d", "sql:" + db, "-A", "-t", "C,,", "-n",
		    "counterfoil-lab", "-i", self.file])
		return home
