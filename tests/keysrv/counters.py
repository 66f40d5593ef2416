#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the key server counts for a monitoring system, and where it serves it."""

import os
import re
import signal
import ssl
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "contrib"), HERE]

from lab import proc, prometheus, sink, tap, web  # noqa: E402

from client import Message  # noqa: E402
from ground import Ground, together  # noqa: E402

P = "counterfoil_keysrv_"
LIMIT_S = 120
mta = sink.Sink()
where = "127.0.0.1:%d" % proc.free_port()
g = Ground(tls=True, outbox="on", smtp_server=mta.address,
    outbox_poll_ms=20, receipt_delay_s=0, metrics_listen=where)


def value(name, **labels):
	return prometheus.value(prometheus.scrape(where), P + name, **labels)


def counted(number, name, **labels):
	proc.wait_for(lambda: value(name, **labels) == number, LIMIT_S,
	    "%s %s to be %s" % (name, labels, number))


@tap.case("requests by endpoint and result")
def t_requests():
	def answered():
		# Who waited for the start may be counted late.
		return value("requests_total") - value("requests_total",
		    endpoint="readyz")
	asked = answered()
	tap.equal(value("requests_total", endpoint="issue"), 0, "at first")
	sent = Message()
	g.issue(sent)
	g.api.post("/api/v1/issue", sent.issue(), token=g.token)
	g.api.post("/api/v1/issue", Message().issue(), token="x" * 43)
	g.challenge(sent)
	g.api.post("/api/v1/challenge", Message().short())
	web.fetch(g.server.url + "/x", ca_file=g.authority.file)
	web.fetch(g.server.url + "/healthz", "PUT", ca_file=g.authority.file)
	web.fetch(g.server.url + "/api/v1/challenge", "OPTIONS",
	    ca_file=g.authority.file)
	for endpoint, result, number in (("issue", "ok", 2),
	    ("issue", "unauthorized", 1), ("challenge", "ok", 1),
	    ("challenge", "unknown-key", 1), ("other", "not-found", 1),
	    ("healthz", "method-not-allowed", 1)):
		counted(number, "requests_total", endpoint=endpoint,
		    result=result)
	tap.equal(answered(), asked + 7, "in all")
	text = prometheus.fetch(where)[2]
	for secret in (sent.handle, sent.sender, "gateway-a", "127.0.0.1",
	    "localhost"):
		tap.lacks(text, secret, "nothing personal")


@tap.case("requests that shared a transaction")
def t_batches():
	before = value("batch_requests_sum", kind="issue")
	batches = value("batch_requests_count", kind="issue")
	together([lambda: g.issue() for _ in range(40)])
	counted(before + 40, "batch_requests_sum", kind="issue")
	tap.true(0 < value("batch_requests_count", kind="issue") - batches <=
	    40, "batches")
	single = value("batch_requests_count", kind="single")
	g.api.get("/api/v1/messages", token=g.token)
	counted(single + 1, "batch_requests_count", kind="single")


@tap.case("receipts: sent, put off, undeliverable; how long the oldest waits")
def t_receipts():
	g.release(g.issue())
	counted(1, "receipts_total", outcome="sent")
	refused = Message(sender="refused@a.test")
	mta.next[refused.sender] = ["rcpt 550 5.1.1 no such mailbox"]
	g.release(g.issue(refused))
	counted(1, "receipts_total", outcome="undeliverable")
	late = Message(sender="late@a.test")
	mta.next[late.sender] = ["rcpt 450 4.2.1 later"]
	g.release(g.issue(late))
	counted(1, "receipts_total", outcome="waits")
	g.psql("UPDATE counterfoil.outbox SET not_before = now() - "
	    "interval '1 hour' WHERE state = 'waiting'")
	proc.wait_for(lambda: 3600 <= value("outbox_age_seconds") < 3600 +
	    LIMIT_S, LIMIT_S, "the age of the oldest")
	g.psql("UPDATE counterfoil.outbox SET next_try = '-infinity'")
	counted(2, "receipts_total", outcome="sent")
	counted(0, "outbox_age_seconds")


@tap.case("transactions that failed")
def t_database():
	tap.equal(value("database_errors_total"), 0, "at first")
	g.cluster.stop()
	try:
		answer = g.api.post("/api/v1/challenge", Message().short())
		tap.equal(answer.status, 503, "status")
	finally:
		g.cluster.start()
	tap.true(value("database_errors_total",
	    error="database-unavailable") >= 1, "counted")
	proc.wait_for(g.server.ready, LIMIT_S, "the database again")


def ends(file):
	text = proc.run(["openssl", "x509", "-noout", "-enddate", "-in", file]
	    ).stdout.decode()
	return ssl.cert_time_to_seconds(text.strip().split("=")[1])


@tap.case("when the certificates end; reloads")
def t_certificates():
	tls = g.server.options["tls_certificate"]
	tap.equal((value("certificate_end_seconds", use="tls"),
	    value("certificate_end_seconds", use="signer")), (ends(tls),
	    ends(g.server.signer_certificate)), "ends")
	fresh = g.authority.server("keysrv-new", days=(0, 20))
	for old, new in zip((tls, g.server.options["tls_key"]), fresh):
		os.replace(new, old)
	g.server.process.send(signal.SIGHUP)
	counted(1, "reloads_total", result="ok")
	tap.equal(value("certificate_end_seconds", use="tls"), ends(tls),
	    "renewed")
	good = proc.read_text(g.server.config)
	proc.write_file(g.server.config, "nonsense = 1\n")
	g.server.process.send(signal.SIGHUP)
	counted(1, "reloads_total", result="failed")
	proc.write_file(g.server.config, good)


@tap.case("the alert rules name counters that there are")
def t_rules():
	prometheus.check_rules("counterfoil-keysrv.rules.yml", P, where)


@tap.case("on a unix socket; and not where the world reaches them")
def t_place():
	path = os.path.join(g.server.folder, "metrics.sock")
	g.server.restart(metrics_listen="unix:" + path)
	prometheus.scrape("unix:" + path)
	tap.equal(os.stat(path).st_mode & 0o777, 0o660, "mode")
	done = proc.run([proc.program("counterfoil-keysrv"), "-n", "-c",
	    g.server.config], check=False)
	tap.lacks(done.stdout.decode(), "metrics_listen: ", "while it runs")
	g.server.stop()
	tap.true(not os.path.exists(path), "the socket is gone")
	for place, words in (("0.0.0.0:9999", "metrics_public"),
	    ("nonsense", "ADDRESS:PORT"), ("unix:/tmp/m.sock",
	    "others could put")):
		g.server.configure(metrics_listen=place)
		for flags in ((), ("-n",)):
			done = proc.run([proc.program("counterfoil-keysrv"),
			    "-c", g.server.config, *flags], check=False)
			text = (done.stdout + done.stderr).decode()
			tap.true(done.returncode != 0, place)
			tap.contains(text, words, place)
			tap.true(re.search(r"conf:\d+: metrics_listen: ", text),
			    text)
	port = proc.free_port()
	g.server.restart(metrics_listen="0.0.0.0:%d" % port,
	    metrics_public=True)
	tap.equal(prometheus.fetch("127.0.0.1:%d" % port)[0], 200,
	    "when told so")


def start():
	mta.start()
	g.start()


def stop():
	g.stop()
	mta.stop()


if __name__ == "__main__":
	tap.main(start, stop)
