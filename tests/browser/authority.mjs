// SPDX-License-Identifier: Apache-2.0
/*
 * authority - a certificate authority for one test run, and a Chromium
 * profile (NSS database) that trusts it.
 *
 * Needs: openssl, certutil.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const quiet = { stdio: ["ignore", "ignore", "pipe"] };

export function makeAuthority(dir, names)
{
	const at = name => join(dir, name);
	const openssl = (...args) => execFileSync("openssl", args, quiet);
	const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
		"-nodes"];

	openssl("req", "-x509", ...key, "-keyout", at("ca.key"), "-out",
		at("ca.pem"), "-days", "2", "-subj", "/CN=counterfoil test",
		"-addext", "basicConstraints=critical,CA:TRUE",
		"-addext", "keyUsage=critical,keyCertSign");
	openssl("req", ...key, "-keyout", at("server.key"), "-out",
		at("server.csr"), "-subj", "/CN=server");
	writeFileSync(at("server.ext"), `subjectAltName=${
		names.map(name => `DNS:${name}`).join(",")}\n`
		+ "extendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n");
	openssl("x509", "-req", "-in", at("server.csr"), "-CA", at("ca.pem"),
		"-CAkey", at("ca.key"), "-CAcreateserial", "-days", "2",
		"-extfile", at("server.ext"), "-out", at("server.pem"));

	const home = at("home");
	const database = join(home, ".pki/nssdb");

	mkdirSync(database, { recursive: true });
	execFileSync("certutil", ["-d", `sql:${database}`, "-N",
		"--empty-password"], quiet);
	execFileSync("certutil", ["-d", `sql:${database}`, "-A", "-t", "C,,",
		"-n", "lab", "-i", at("ca.pem")], quiet);
	return { home, tls: { key: readFileSync(at("server.key")),
		cert: readFileSync(at("server.pem")) } };
}
