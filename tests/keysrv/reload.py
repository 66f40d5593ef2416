#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: what takes effect while the server runs, and what does not."""

import http.client
import json
import os
import shutil
import signal
import ssl
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "contrib"), HERE]

from lab import ca, proc, sink, tap, web  # noqa: E402

from client import Message  # noqa: E402
from ground import Ground, Holder, together  # noqa: E402
import outboxlab  # noqa: E402

mta = sink.Sink()
g = None
files = {}	# certificate and key as the configuration names them


def setup():
	global g
	mta.start()
	g = Ground(tls=True, outbox="on", smtp_server=mta.address,
	    outbox_poll_ms=20, receipt_delay_s=0).start()


def teardown():
	if g:
		g.stop()
	mta.stop()


def hup(words="configuration reloaded"):
	"""Gives what the log says of it."""
	before = len(g.server.log_text())
	g.server.process.send(signal.SIGHUP)
	proc.wait_for(lambda: words in g.server.log_text()[before:], 120, words)
	return g.server.log_text()[before:]


def renew(name):
	"""New files at the old places; gives the certificate."""
	authority = ca.Authority.__new__(ca.Authority)
	authority.folder = os.path.join(g.folder, "ca")
	authority.file = os.path.join(authority.folder, "ca.pem")
	authority.key = os.path.join(authority.folder, "ca.key")
	for new, old in zip(authority.server(name), (
	    g.server.options["tls_certificate"], g.server.options["tls_key"])):
		os.replace(new, old)
	return proc.read_text(g.server.options["tls_certificate"])


def served():
	return web.served(g.server.port)


@tap.case("a renewed certificate is served, and no connection notices")
def t_certificate():
	before = served()
	context = ssl.create_default_context(cafile=g.server.ca_file)
	kept = http.client.HTTPSConnection("localhost", g.server.port,
	    timeout=120, context=context)
	kept.request("GET", "/healthz")
	kept.getresponse().read()
	errors, over = [], threading.Event()

	def busy():
		while not over.is_set():
			try:
				g.issue()
			except Exception as e:
				errors.append(e)
	threads = [threading.Thread(target=busy) for _ in range(3)]
	for t in threads:
		t.start()
	with Holder(g, "key_issue") as holder:
		# It waits for the database all the while.
		wait = together([lambda: g.api.post("/api/v1/issue",
		    Message().issue(), token=g.token)])
		for n in range(3):
			new = renew("renewed%d" % n)
			hup()
			tap.equal(served(), new, "what is served")
			tap.true(new != before, "another than before")
			before = new
		holder.let_go()
	tap.equal(wait()[0].status, 201, "the request under way")
	kept.request("GET", "/healthz")
	tap.equal(json.loads(kept.getresponse().read()), {"status": "ok"},
	    "the connection that was kept")
	over.set()
	for t in threads:
		t.join(120)
	tap.equal(errors, [], "what failed meanwhile")


@tap.case("with a broken file all stays as it was, and the log says why")
def t_broken():
	before = served()
	certificate, key = g.server.options["tls_certificate"], \
	    g.server.options["tls_key"]
	good = {path: proc.read_text(path) for path in (certificate, key,
	    g.server.config)}
	for path, text, words in (
	    (certificate, "no certificate", certificate),
	    (key, proc.read_text(g.server.options["signer_key"]),
	        "no matching pair"),
	    (key, "", "no matching pair"),
	    (g.server.config, good[g.server.config] + "nonsense = 1\n",
	        "nonsense"),
	    (g.server.config, good[g.server.config].replace(
	        g.server.signer_certificate, key), key)):
		proc.write_file(path, text, 0o600)
		said = hup("reload failed, all stays as it was")
		tap.contains(said, words, "the reason")
		tap.equal(served(), before, "what is served")
		proc.write_file(path, good[path], 0o600)
	os.chmod(key, 0o644)
	tap.contains(hup("reload failed"), key, "a key that all may read")
	os.chmod(key, 0o600)
	g.issue()
	hup()


@tap.case("the next receipt is signed by the new signer, once it is accepted")
def t_signer():
	def receipt():
		m = g.issue(Message(sender="s%s@a.test" % os.urandom(6).hex()))
		g.release(m)
		return mta.wait(m.sender)[0].content
	lab_world = type("World", (), {"path": staticmethod(
	    lambda name: os.path.join(g.folder, name))})
	old, key = g.server.signer_certificate, g.server.options["signer_key"]
	outboxlab.verify(lab_world, receipt(), old)
	new = [os.path.join(g.folder, "new." + end) for end in ("pem", "key")]
	g.server.admin("signer", "new", "--address", g.server.receipt_from,
	    "--cert", new[0], "--key", new[1])
	g.server.configure(signer_certificate=new[0], signer_key=new[1])
	tap.contains(hup("reload failed"), "accept signer", "not accepted yet")
	outboxlab.verify(lab_world, receipt(), old)
	g.server.admin("accept", "signer")
	hup()
	mail = receipt()
	outboxlab.verify(lab_world, mail, new[0])
	tap.raises(tap.Failure, lambda: outboxlab.verify(lab_world, mail, old),
	    "the old one")
	# Renewed at the same place, by the same key, it needs nobody's word.
	shutil.copy(new[0], old)
	shutil.copy(new[1], key)
	g.server.configure(signer_certificate=old, signer_key=key)
	g.cluster.stop()
	try:
		hup()
	finally:
		g.cluster.start()
	proc.wait_for(g.server.ready, 120, "the server to be ready")


@tap.case("log level and mail server change; what needs a restart is named")
def t_others():
	other = sink.Sink()
	other.start()
	try:
		g.server.configure(log_level="debug", smtp_server=other.address,
		    queue_limit=4000, receipt_delay_s=1, threads=3)
		said = hup("makes it count:")
		tap.contains(said, "only a restart makes it count: threads "
		    "queue_limit receipt_delay_s\n", "what is named")
		m = g.issue(Message(sender="o%s@a.test" % os.urandom(6).hex()))
		g.release(m)
		other.wait(m.sender)
		g.server.configure(log_level="warn", smtp_server=mta.address,
		    receipt_delay_s=0, threads=2)
		hup("makes it count: queue_limit\n")
		m = g.issue()
		tap.lacks(g.server.log_text(), m.handle, "log at warn")
	finally:
		other.stop()
	g.server.configure(log_level="info", queue_limit=4096)
	hup()
	m = g.issue()
	tap.contains(g.server.log_text(), "issued key=" + m.handle, "log at info")


tap.main(setup, teardown)
