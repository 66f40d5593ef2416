#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""counterfoil-keysrv -n: silent about nothing that stops the service."""

import os
import re
import ssl
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "contrib"), HERE]

from lab import ca, conf, keysrv, pg, proc, sink, tap  # noqa: E402

CA_CONF = """\
[ca]
default_ca = c
[c]
database = %(folder)s/index
new_certs_dir = %(folder)s
serial = %(folder)s/serial
default_md = sha256
policy = p
x509_extensions = e
unique_subject = no
[p]
commonName = supplied
[e]
subjectAltName = %(names)s
"""

folder = cluster = server = relay = None


def setup():
	global folder, cluster, server, relay
	folder = proc.private_dir()
	cluster = pg.Cluster(os.path.join(folder, "pg")).start()
	relay = sink.Sink().start()
	tls = ca.Authority(os.path.join(folder, "ca")).server("keysrv")
	server = keysrv.KeyServer(os.path.join(folder, "k"), cluster,
	    tls=tls, ca_file=os.path.join(folder, "ca", "ca.pem"),
	    smtp_server=relay.address).prepare()


def teardown():
	try:
		if server:
			server.stop()
		if relay:
			relay.stop()
	finally:
		if cluster:
			cluster.destroy()
		proc.remove_tree(folder)


def check(**changes):
	"""-n with these options: (status, lines)."""
	path = os.path.join(folder, "check.conf")
	conf.write(path, dict(server.options, **changes))
	done = proc.run([proc.program("counterfoil-keysrv"), "-n", "-c", path],
	    check=False, limit_s=120)
	lines = (done.stdout + done.stderr).decode().splitlines()
	for line in lines[:-1]:
		tap.true(re.match("(ok|warning|error): [^ ].*: .", line),
		    "form of %r" % line)
	tap.true(re.match("[0-9]+ errors?, [0-9]+ warnings?$", lines[-1]),
	    "the last line: %r" % lines)
	return done.returncode, lines


def bad(*words, finding="error", **changes):
	"""One error or warning, with these words; 78 for errors."""
	status, lines = check(**changes)
	found = [x for x in lines[:-1] if not x.startswith("ok: ")]
	tap.equal(len(found), 1, "findings: %s" % lines)
	tap.true(found[0].startswith(finding + ": "), found[0])
	for word in words:
		tap.contains(found[0], word, "finding")
	tap.true(not re.match(r"\w+: ([^ ]+): \1", found[0]),
	    "its subject once: " + found[0])
	tap.equal(status, 78 if finding == "error" else 0, "exit status")
	return found[0]


def certificate(name, key, begin, end, names):
	"""A certificate that signs itself, from `begin` to `end`."""
	place = os.path.join(folder, name)
	os.mkdir(place)
	path = os.path.join(place, "cert.pem")
	proc.write_file(os.path.join(place, "conf"),
	    CA_CONF % {"folder": place, "names": names})
	proc.write_file(os.path.join(place, "index"), "")
	proc.write_file(os.path.join(place, "serial"), "01\n")
	proc.run(["openssl", "req", "-new", "-key", key, "-subj", "/CN=x",
	    "-out", os.path.join(place, "csr")])
	proc.run(["openssl", "ca", "-batch", "-selfsign", "-notext", "-config",
	    os.path.join(place, "conf"), "-keyfile", key, "-startdate", begin,
	    "-enddate", end, "-in", os.path.join(place, "csr"), "-out", path])
	return path


OLD = ("20200101000000Z", "20210101000000Z")
LONG = ("20200101000000Z", "20480101000000Z")


def all_well(words=()):
	status, lines = check()
	tap.equal(lines[-1], "0 errors, 0 warnings", "all well: %s" % lines)
	tap.equal(status, 0, "exit status")
	for word in words:
		tap.true([x for x in lines if word in x], "%r in %s" % (word,
		    lines))


@tap.case("before the first start all is looked at and nothing is registered")
def t_first():
	name = proc.read_text(server.masterkey_file).split()[0]
	all_well(["database: it answers", "first start makes %s the one" % name,
	    "the first start registers it", "it is for localhost",
	    "is its key", "would take mail for " + server.receipt_from])
	for table in ("master_key", "service_secret", "registered"):
		tap.equal(server.psql("SELECT count(*) FROM counterfoil."
		    + table), "0", table)
	tap.equal(relay.mails, [], "mail that was sent")


@tap.case("after it, and while the server runs, all is well too")
def t_running():
	server.start()
	all_well(["its master keys are those of this database",
	    "it is the one of before"])
	server.stop()


@tap.case("the database: away, not set up, unsafe, without a right")
def t_database():
	status, lines = check(database="host=%s dbname=x" % folder)
	tap.equal(status, 78, "exit status")
	tap.true([x for x in lines if x.startswith("error: database: "
	    "connecting")], "away: %s" % lines)
	tap.true([x for x in lines if "cannot be seen" in x],
	    "what cannot be seen: %s" % lines)
	cluster.create("empty")
	bad("database: ", "counterfoil-admin migrate",
	    database=cluster.conninfo("empty", keysrv.LOGIN))
	server.psql("CREATE ROLE stranger LOGIN")
	status, lines = check(database=cluster.conninfo(server.database,
	    "stranger"))
	tap.equal(status, 78, "exit status")
	tap.true([x for x in lines if "may not act as counterfoil_keysrv: run "
	    "it as the user that the key server runs as" in x and
	    "migrate;" not in x], "a stranger: %s" % lines)
	server.psql("ALTER ROLE keysrv SET synchronous_commit = off")
	try:
		bad("database: ", "synchronous_commit off")
	finally:
		server.psql("ALTER ROLE keysrv RESET synchronous_commit")
	server.psql("REVOKE SELECT ON counterfoil.key_issue FROM "
	    "counterfoil_keysrv")
	try:
		bad("database: counterfoil_keysrv lacks SELECT on "
		    "counterfoil.key_issue")
	finally:
		server.psql("GRANT SELECT ON counterfoil.key_issue TO "
		    "counterfoil_keysrv")
	server.psql("DELETE FROM counterfoil.schema_version WHERE version = 30")
	try:
		bad("database: ", "counterfoil-admin migrate")
	finally:
		server.psql("INSERT INTO counterfoil.schema_version (version, "
		    "name) VALUES (30, '0030-faults.sql')")
	all_well()


@tap.case("the master key: another, one that is not known")
def t_masterkey():
	path = os.path.join(folder, "mk")
	server.admin("masterkey", "new", path)
	bad(path + ": ", "lacks the master key", masterkey_file=path)
	with open(server.masterkey_file) as f, open(path, "a") as to:
		to.write(f.read())
	bad(path + ": ", "masterkey add", masterkey_file=path)


@tap.case("a master key that others know and this file lacks is a warning")
def t_lacking():
	name = server.admin("masterkey", "add").stdout.decode().split()[2]
	all_well()
	path = os.path.join(folder, "one")
	proc.write_file(path, proc.read_text(server.masterkey_file)
	    .splitlines()[0] + "\n", 0o600)
	text = bad(path + ": lacks the master key " + name, "bring the file",
	    finding="warning", masterkey_file=path)
	tap.contains(text, "before somebody activates it", "when")


@tap.case("an address that the server cannot listen on")
def t_listen():
	for address, word in (("192.0.2.7:8443", "no address of this machine"),
	    ("[fe80::1]:8443", "no address of this machine"),
	    ("no-such-host.test:8443", "is not a numeric address")):
		bad("listen: ", word, listen=address)


@tap.case("the signer: for another address, ended, another than before")
def t_signer():
	key = server.options["signer_key"]
	bad(server.signer_certificate + ": ", "is not a certificate for",
	    receipt_from="someone@else.test")
	old = certificate("old-signer", key, *OLD,
	    "email:" + server.receipt_from)
	bad(old + ": ", "it ended at 2021-01-01", signer_certificate=old)
	renewed = certificate("renewed", key, *LONG,
	    "email:" + server.receipt_from)
	tap.equal(check(signer_certificate=renewed)[0], 0, "renewed")
	new = [os.path.join(folder, "new." + x) for x in ("pem", "key")]
	server.admin("signer", "new", "--address", server.receipt_from,
	    "--cert", new[0], "--key", new[1])
	bad(new[0] + ": ", "accept signer", signer_certificate=new[0],
	    signer_key=new[1])
	bad(server.signer_certificate + ": ", "is not the key of",
	    signer_key=new[1])


@tap.case("TLS: ended, for another name, with another key; and service_url")
def t_tls():
	key = server.options["tls_key"]
	old = certificate("old-tls", key, *OLD, "DNS:localhost")
	bad(old + ": ", "it ended at", tls_certificate=old)
	other = certificate("other-tls", key, *LONG, "DNS:other.test")
	bad(other + ": ", "it is not for localhost", tls_certificate=other)
	mine = certificate("mine", key, *LONG, "DNS:localhost")
	bad(mine + ": ", "is not its key", tls_certificate=mine,
	    tls_key=server.options["signer_key"])
	both = certificate("both", key, *LONG, "DNS:localhost,DNS:other.test")
	bad("https://other.test: ", "accept service_url", tls_certificate=both,
	    service_url="https://other.test")


@tap.case("the mail server: away, refuses us, the address or STARTTLS")
def t_relay():
	relay.stop()
	bad(relay.address + ": ", "receipts wait")
	relay.start()
	for refuse, words, finding in (
	    ("MAIL 550 5.7.1 not you", "not you", "error"),
	    ("RCPT 550 5.7.1 relaying denied", "relaying denied", "error"),
	    ("RCPT 554 no relay for you", "no relay", "error"),
	    ("RCPT 550 5.1.1 no mailbox", "no mailbox", "warning"),
	    ("RCPT 450 4.2.1 greylisted", "greylisted", "warning"),
	    ("EHLO 421 4.3.2 go away", "go away", "error")):
		verb, answer = refuse.split(" ", 1)
		relay.refuse = {verb: answer}
		if verb == "EHLO":
			relay.refuse["HELO"] = answer
		try:
			bad(relay.address + ": ", words, finding=finding)
		finally:
			relay.refuse = {}
	bad(relay.address + ": ", smtp_tls="verify")
	# Spoken to in TLS, it is asked the same.
	context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
	context.load_cert_chain(server.options["tls_certificate"],
	    server.options["tls_key"])
	relay.tls = context
	try:
		name = "localhost:%d" % relay.port
		status, lines = check(smtp_tls="verify", smtp_server=name,
		    smtp_ca_file=server.ca_file)
		tap.equal(status, 0, "with STARTTLS: %s" % lines)
		tap.true([x for x in lines if "would take mail" in x],
		    "with STARTTLS: %s" % lines)
		bad("certificate", smtp_tls="verify", smtp_server=name)
	finally:
		relay.tls = None
	tap.equal(relay.mails, [], "mail that was sent")
	all_well()


@tap.case("without the outbox no signer and no mail server is needed")
def t_no_outbox():
	status, lines = check(outbox="off", smtp_server="127.0.0.1:1",
	    signer_certificate=None, signer_key=None, receipt_from=None)
	tap.equal((status, lines[-1]), (0, "0 errors, 0 warnings"), str(lines))


tap.main(setup, teardown)
