#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""counterfoil-milter -n on real configurations of mail servers.

The good ones have no complaint; each fault is put into one by itself and
must be found, and nothing else with it.
"""

import os
import pwd
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "milter"))

from lab import milter, postfix, proc, tap  # noqa: E402
import fake  # noqa: E402

SIZE = 60000000
folder = None
server = None
site = None
m = None


def start():
	global folder, server, site, m
	folder = proc.private_dir()
	server = fake.KeyServer()
	token = os.path.join(folder, "token")
	proc.write_file(token, server.token + "\n", 0o600)
	m = milter.Milter(os.path.join(folder, "m"), "both", {
	    "key_servers": [server.url], "allowed_key_servers": [server.url],
	    "api_token_file": token, "reader_url": "http://127.0.0.1:8080",
	    "message_size_limit": SIZE, "local_domains": ["a.test"],
	    "entitled_daemons": ["COUNTERFOIL"]})
	m.start()
	site = postfix.Postfix(os.path.join(folder, "a"), "a.test", ["alice"],
	    hop_milter=m.address, outside_milter=m.address, size_limit=SIZE)
	site.configure()


def stop():
	if m:
		m.stop()
	if server:
		server.stop()
	if folder:
		proc.remove_tree(folder)


def check(*args, config=None):
	"""(exit status, [(word, subject, text)], all)"""
	done = subprocess.run([proc.program("counterfoil-milter"), "-n", "-c",
	    config or m.config, *args], capture_output=True, text=True,
	    timeout=60)
	found = []
	for line in done.stdout.splitlines()[:-1]:
		f = re.fullmatch(r"(ok|warning|error): (Postfix \S+|Sendmail \S+|"
		    r"https?://\S+|[\w ]+): ([ -~]+)", line)
		tap.true(f is not None, "form of %r" % line)
		found.append(f.groups())
	tap.true(re.fullmatch(r"(?:1 error|\d+ errors), "
	    r"(?:1 warning|\d+ warnings)",
	    (done.stdout.splitlines() or [""])[-1]), "last line of %r %r"
	    % (done.stdout, done.stderr))
	return done.returncode, found, done.stdout


def complaints(found):
	"""But for what is not about the mail server."""
	return [(w, t) for w, s, t in found if w != "ok"
	    and "run as root" not in t and s != m.options["reader_url"]]


def write(path, text):
	"""As Postfix likes it: it waits while a file is brand new."""
	proc.write_file(path, text)
	os.utime(path, (time.time() - 10,) * 2)


def edit(name, changes):
	"""Replace text in a file of the site; gives what puts it back."""
	path = os.path.join(site.etc, name)
	before = text = proc.read_text(path)
	for old, new in changes:
		tap.true(old in text, "%r stands in %s" % (old, name))
		text = text.replace(old, new)
	write(path, text)
	return lambda: write(path, before)


def finds(word, part, main="", master=(), rule=(), config=None):
	"""With the fault there is exactly one complaint, this one."""
	undo = [edit("main.cf", [])]
	try:
		if main:
			path = os.path.join(site.etc, "main.cf")
			write(path, proc.read_text(path) + main + "\n")
		if master:
			undo.append(edit("master.cf", master))
		if rule:
			undo.append(edit("counterfoil_header_checks", rule))
		status, found, text = check("--offline", "--postfix", site.etc,
		    config=config)
	finally:
		for function in undo:
			function()
	got = complaints(found)
	tap.true([w for w, t in got if w == word and part in t],
	    "%s ... %s is said:\n%s" % (word, part, text))
	tap.equal([t for _, t in got if part not in t], [], "others")
	tap.equal(status, 78 if word == "error" else 0, "exit status")


def variant(**changes):
	"""A configuration of ours with other options."""
	from lab import conf
	path = os.path.join(folder, "variant.conf")
	conf.write(path, dict(m.options, **changes), 0o644)
	return path


@tap.case("the files of contrib/postfix as they are: no complaint")
def t_good():
	proc.run(["postfix", "-c", site.etc, "check"])
	status, found, text = check("--postfix", site.etc)
	tap.equal((status, complaints(found)), (0, []), text)
	said = [f for f in found if f[0] == "ok"]
	tap.equal(len(said), len(set(said)), "nothing is said twice: " + text)
	for part in ("takes our token", "default action", "bounce does not",
	    "one recipient at a time", "sends flagged mail to the hop",
	    "user postfix may use", "above Postfix's", "bare line feed"):
		tap.contains(text, part, "what is ok")


@tap.case("main.cf: each fault is found by itself")
def t_main():
	hop = "counterfoil-hop_destination_recipient_limit"
	for word, part, main in (
	    ("error", "bounce_size_limit is 50000", "bounce_size_limit=50000"),
	    ("error", "notify_classes is", "notify_classes = resource, bounce"),
	    ("error", "notify_classes is", "notify_classes = 2bounce"),
	    ("error", "smtpd_forbid_bare_newline is no",
	    "smtpd_forbid_bare_newline = no"),
	    ("warning", "smtpd_forbid_bare_newline_exclusions",
	    "smtpd_forbid_bare_newline_exclusions = $mynetworks"),
	    ("error", "cleanup_replace_stray_cr_lf is no",
	    "cleanup_replace_stray_cr_lf = no"),
	    ("error", "nested_header_checks is",
	    "nested_header_checks = $header_checks"),
	    ("error", "mime_header_checks is",
	    "mime_header_checks = $header_checks"),
	    ("error", hop + " is 50", hop + " = 50"),
	    ("error", "message_size_limit is 60000000 here and 10240000",
	    "message_size_limit = 10240000"),
	    ("warning", "milter_protocol is 2", "milter_protocol = 2"),
	    ("warning", "milter_header_checks is",
	    "milter_header_checks = regexp:/dev/null"),
	    ("warning", "non_smtpd_milters beside the hop",
	    "non_smtpd_milters = " + m.address),
	    ):
		finds(word, part, main)
	finds("warning", "milter_content_timeout is 30s",
	    "milter_content_timeout = 30s")
	_, _, text = check("--offline", "--postfix", site.etc,
	    config=variant(mode="inbound"))
	tap.lacks(text, "header_checks sends", "what inbound asks for")


def clear_at(main="", files=(), master=()):
	"""(exit status, words of complaints that mail leaves in clear, all)"""
	undo = [edit("main.cf", [])]
	try:
		path = os.path.join(site.etc, "main.cf")
		write(path, proc.read_text(path) + main + "\n")
		for name, text in files:
			write(os.path.join(site.etc, name), text)
		if master:
			undo.append(edit("master.cf", master))
		status, found, text = check("--offline", "--postfix", site.etc)
	finally:
		for function in undo:
			function()
	return status, [w for w, t in complaints(found)
	    if "mail" in t and "leaves in clear:" in t], text


@tap.case("a port from which flagged mail leaves in clear is an error, "
    "whatever keeps it from the hop")
def t_clear():
	front = "127.0.0.1:%d inet n - n - - smtpd\n" % site.port
	ours = "regexp:%s/counterfoil_header_checks" % site.etc
	own = "regexp:%s/own_checks" % site.etc
	port = "%d: flagged mail that comes in here leaves in clear" % site.port

	both = "header_checks = %s, %s" % (own, ours)
	for main, rule in (("header_checks =\nbody_checks =", ""),
	    ("header_checks = " + own, ""),
	    (both, "/^X-Return-Receipt/ DUNNO"),
	    (both, "/^X-Return-Receipt:/ HOLD")):
		status, _, text = clear_at(main, [("own_checks", rule + "\n")])
		tap.equal(status, 78, "exit status: " + text)
		tap.contains(text, "error: Postfix %s: 127.0.0.1:%s"
		    % (site.etc, port), main + rule)
		tap.contains(text, "flagged mail of sendmail(1) leaves in",
		    main + rule)
	# The port alone, or its cleanup alone.
	lone = front + "    -o cleanup_service_name=other\n"
	other = "other unix n - n - 0 cleanup\n    -o header_checks=\n"
	for lines in (lone + other,
	    front + "    -o receive_override_options=no_header_body_checks,"
	    "no_address_mappings\n"):
		status, found, text = clear_at(master=[(front, lines)])
		tap.contains(text, port, lines)
		tap.equal(status, 78 if lines.startswith(lone) else 0, text)
		tap.lacks(text, "of sendmail(1) leaves", lines)
	# And what is well.
	flag = "/^X-Return-Receipt/ "
	for main, rule, master in ((both, "", ()),
	    (both, flag.replace("Return", "Returns") + "DUNNO", ()),
	    (both, flag + "REJECT no", ()),
	    ("header_checks = regexp:{{/^X-Own:/ DUNNO}}, " + ours, "", ()),
	    ("header_checks =\nnon_smtpd_milters = " + m.address, "",
	    [(front, front + "    -o smtpd_milters=%s\n" % m.address
	    + "    -o milter_default_action=tempfail\n")]),
	    ("header_checks =\ncontent_filter = counterfoil-hop:[127.0.0.1]:%d"
	    % site.hop_port, "", ()),
	    ("header_checks =\nnon_smtpd_milters = " + m.address, "",
	    [(front, front + "    -o content_filter=counterfoil-hop:"
	    "[127.0.0.1]:%d\n" % site.hop_port)])):
		status, found, text = clear_at(main, [("own_checks", rule
		    + "\n")], master)
		tap.equal((status, found), (0, []), main + rule + text)


@tap.case("mail that Postfix makes itself")
def t_inside():
	undo = edit("main.cf", [("bounce_size_limit = 1\n", "bounce_size_limit "
	    "= 1\ninternal_mail_filter_classes = bounce\nnon_smtpd_milters = "
	    + m.address + "\n")])
	try:
		_, found, text = check("--offline", "--postfix", site.etc)
	finally:
		undo()
	tap.equal([t.split(" ")[0] for _, t in complaints(found)], ["our",
	    "internal_mail_filter_classes"], text)


@tap.case("master.cf: each fault is found by itself")
def t_master():
	ours = "-o smtpd_milters=%s\n" % m.address
	hop = "127.0.0.1:%d inet" % site.hop_port
	for word, part, master in (
	    ("error", "accept at", [("-o milter_default_action=tempfail\n"
	    "    -o milter_macro", "-o milter_default_action=accept\n"
	    "    -o milter_macro")]),
	    ("error", "reject at", [("-o milter_default_action=tempfail\n"
	    "    -o milter_macro", "-o milter_default_action=reject\n"
	    "    -o milter_macro")]),
	    ("error", "no_header_body_checks",
	    [("=no_header_body_checks,no_unknown", "=no_unknown")]),
	    ("warning", "no_address_mappings",
	    [("checks,no_address_mappings", "checks")]),
	    ("error", "no_milters", [("=no_header_body_checks,no_unknown",
	    "=no_milters,no_header_body_checks,no_unknown")]),
	    ("error", "content_filter", [("-o content_filter=\n",
	    "-o content_filter=scan:[127.0.0.1]:9\n")]),
	    ("warning", "entitled_daemons does not have OTHER",
	    [("daemon_name=COUNTERFOIL", "daemon_name=OTHER")]),
	    ("warning", "may change mail",
	    [("disable_mime_output_conversion=yes",
	    "disable_mime_output_conversion=no")]),
	    ("error", "not in master.cf", [("counterfoil-hop unix",
	    "elsewhere unix")]),
	    ("error", "no service of master.cf listens",
	    [(hop, "127.0.0.1:1 inet")]),
	    ("error", "does not name our socket",
	    [(ours + "    -o milter_default_action=tempfail\n"
	    "    -o milter_macro", "-o smtpd_milters=\n"
	    "    -o milter_macro")])):
		finds(word, part, master=master)


@tap.case("a milter in braces: its own action and time count")
def t_braces():
	ours = "smtpd_milters=%s\n    -o milter_default_action=tempfail\n" \
	    "    -o milter_macro" % m.address
	for word, part, settings in (
	    ("error", "accept at", "default_action=accept"),
	    ("warning", "milter_content_timeout is 20s",
	    "content_timeout=20s")):
		finds(word, part, master=[(ours, "{ smtpd_milters = { %s, %s } "
		    "}\n    -o milter_macro" % (m.address, settings))])
	# It says what main.cf does not.
	undo = edit("master.cf", [(ours, "{ smtpd_milters = { %s, "
	    "default_action=tempfail } }\n    -o "
	    "milter_default_action=accept\n    -o milter_macro" % m.address)])
	try:
		_, found, text = check("--offline", "--postfix", site.etc)
	finally:
		undo()
	tap.equal(complaints(found), [], text)


@tap.case("milters in the wrong order, at the hop and at the port outside")
def t_order():
	ours = "smtpd_milters=%s\n" % m.address
	hop = ours + "    -o milter_default_action=tempfail\n    -o milter_macro"
	finds("error", "opendkim.sock stands before us", master=[(hop,
	    hop.replace(ours, "smtpd_milters=unix:/run/opendkim.sock,%s\n"
	    % m.address))])
	finds("warning", "clamav.sock stands behind us", master=[(hop,
	    hop.replace(ours, "smtpd_milters=%s,unix:/run/clamav.sock\n"
	    % m.address))])
	# It signs and scans: behind us only if it was in front, too.
	rspamd = (hop, hop.replace(ours, "smtpd_milters=%s,inet:127.0.0.1:11332"
	    "\n" % m.address))
	front = "127.0.0.1:%d inet n - n - - smtpd\n" % site.port
	finds("warning", "as a scanner sees sealed mail only", master=[rspamd])
	undo = edit("master.cf", [rspamd, (front, front
	    + "    -o smtpd_milters=inet:127.0.0.1:11332\n")])
	try:
		_, found, text = check("--offline", "--postfix", site.etc)
	finally:
		undo()
	tap.equal(complaints(found), [], text)
	outside = ours + "    -o milter_default_action=tempfail\n    -o receive"
	finds("warning", "inet:localhost:8893 stands behind us",
	    master=[(outside, outside.replace(ours,
	    "smtpd_milters=%s,inet:localhost:8893\n" % m.address))])
	undo = edit("master.cf", [
	    (hop, hop.replace(ours, "smtpd_milters=%s,inet:localhost:8891\n"
	    % m.address)),
	    (outside, outside.replace(ours,
	    "smtpd_milters=inet:localhost:8891,%s\n" % m.address))])
	try:
		_, found, text = check("--offline", "--postfix", site.etc)
	finally:
		undo()
	tap.equal(complaints(found), [], text)


@tap.case("filters of other kinds, at each port")
def t_filters():
	front = "127.0.0.1:%d inet n - n - - smtpd\n" % site.port
	outside = "    -o milter_default_action=tempfail\n    -o receive"
	hop = "    -o milter_macro_daemon_name=COUNTERFOIL\n"
	scan = "    -o content_filter=scan:[127.0.0.1]:10024\n"
	proxy = "    -o smtpd_proxy_filter=127.0.0.1:10024\n"
	finds("warning", "and not to content_filter = scan:[127.0.0.1]:10024: "
	    "what is to be scanned or get a disclaimer",
	    master=[(front, front + scan)])
	finds("warning", "disclaimers are well there, but scan with a milter",
	    master=[(outside, scan + outside)])
	for place in (outside, hop):
		finds("error", "shows us no content",
		    master=[(place, proxy + place)])


@tap.case("header_checks: the rule must take every way to write the flag")
def t_rule():
	old = "/^X-Return-Receipt[[:blank:]]*:/"
	finds("error", "does not send", rule=[(old, "/^X-Return-Receipt:/")])
	finds("error", "does not send",
	    rule=[(old, r"/^X-Return-Receipt[ \t]*:/")])
	finds("error", "does not send",
	    rule=[(old, "/^X-Return-Receipt[[:blank:]]*: yes/")])
	finds("error", "does not send \"X-Return-Receipt: require",
	    rule=[(old, "/^X-Return-Receipt: require/ DUNNO\n" + old)])
	finds("warning", "though it is no flag",
	    rule=[(old, "/X-Return-Receipt[[:blank:]]*:/")])
	finds("warning", "though it is no flag",
	    rule=[(old, "/^X-Return-Receipt(-To|[[:blank:]]*):/")])


@tap.case("header_checks, body_checks: a flag spelt wrong must be seen, too")
def t_near():
	checks = proc.read_text(os.path.join(site.etc,
	    "counterfoil_header_checks"))
	lines = [line for line in checks.splitlines() if line[:1] == "/"
	    and not line.startswith("/^X-")]
	tap.equal(len(lines), 4, "rules for a flag spelt wrong")
	for line, name in zip(lines, ("X-Return-Rceiot", "X-Rterun-Receipt",
	    "X-Retrun-Receit")):
		finds("warning", "header_checks does not send \"%s: yes\"" % name,
		    rule=[(line, "")])
	finds("warning", "body_checks does not send \"X-Return-Receipt: yes\" "
	    "and \"X-Return Receipt: yes\" to the hop", main="body_checks =")


def mistypings(name, letters="aeiorst0"):
	"""One letter missing, too many, another, or two of them swapped."""
	for i in range(len(name) + 1):
		for c in letters:
			yield name[:i] + c + name[i:]
			yield name[:i] + c + name[i + 1:]
		yield name[:i] + name[i + 1:]
		yield name[:i] + name[i + 1:i + 2] + name[i:i + 1] + name[i + 2:]


@tap.case("the sample's rules lead every mistyped name to the hop, and no "
    "field that is usual")
def t_mistyped():
	words = ("X", "Return", "Receipt")
	wrong = set()
	for i, word in enumerate(words):
		for one in mistypings(word):
			wrong.update([words[:i] + (x,) + words[i + 1:]
			    for x in mistypings(one)])
			for j in range(i + 1, 3):
				wrong.update([words[:i] + (one,)
				    + words[i + 1:j] + (x,) + words[j + 1:]
				    for x in mistypings(words[j])])
	names = [sign.join(w for w in name if w) for name in wrong
	    for sign in "-_" if name[0][:1] in "Xx" or len(name[0]) == 1]
	usual = ["Return-Path", "X-Return-Path", "Received", "X-Received",
	    "Return-Receipt-To", "X-Return-Receipt-To", "X-Recipient",
	    "Disposition-Notification-To", "X-Confirm-Reading-To", "X-Redirect",
	    "X-Original-Recipient", "X-Report-Abuse", "X-Receiver", "Precedence",
	    "Resent-From", "References", "Reply-To", "X-Priority", "Subject"]
	table = "regexp:" + os.path.join(site.etc, "counterfoil_header_checks")
	done = subprocess.run(["postmap", "-c", site.etc, "-q", "-", table],
	    input="".join("%s: yes\n" % n for n in names + usual), text=True,
	    capture_output=True, timeout=120)
	led = {line.split(":")[0] for line in done.stdout.splitlines()}
	tap.equal([n for n in names if n and n not in led][:9], [], "not led")
	tap.equal([n for n in usual if n in led], [], "led")
	tap.true(len(names) > 20000, "%d names" % len(names))


@tap.case("header_checks: each trigger that is on must lead to the hop")
def t_triggers():
	triggers = ["disposition-notification-to", "return-receipt-to",
	    "subject-tag"]
	for trigger in triggers:
		finds("warning", "the trigger %s is on, but" % trigger,
		    config=variant(triggers=[trigger]))
	_, _, text = check("--offline", "--postfix", site.etc,
	    config=variant(triggers=triggers))
	tap.contains(text, "its rule in regexp:%s/counterfoil_header_checks\n"
	    % site.etc, "the table that is in use")
	on = re.findall(r"(?m)^#/.*", proc.read_text(os.path.join(site.etc,
	    "counterfoil_header_checks")))
	tap.equal(len(on), 5, "rules for triggers")
	undo = edit("counterfoil_header_checks", [(x, x[1:]) for x in on])
	try:
		_, found, text = check("--offline", "--postfix", site.etc,
		    config=variant(triggers=triggers))
		tap.equal(complaints(found), [], text)
		tap.equal(text.count("sends what a trigger needs"), 5, text)
		_, found, text = check("--offline", "--postfix", site.etc,
		    config=variant(triggers=triggers, subject_tag="+receipt+"))
		tap.equal(len(complaints(found)), 3, text)
		for part in ("Subject: +receipt+ lunch", "=2Breceipt=2B_lunch",
		    "?B?K3JlY2VpcHQr"):
			tap.contains(text, part, "what is not led")
	finally:
		undo()


@tap.case("header_checks: what leads to the hop needs its trigger")
def t_triggers_off():
	rules = re.findall(r"(?m)^#/.*", proc.read_text(os.path.join(site.etc,
	    "counterfoil_header_checks")))
	for rule in rules:
		named = "subject-tag" if "Subject" in rule else re.match(
		    r"#/\^([\w-]+)", rule).group(1).lower()
		undo = edit("counterfoil_header_checks", [(rule, rule[1:])])
		try:
			status, found, text = check("--offline", "--postfix",
			    site.etc)
		finally:
			undo()
		tap.equal((status, [w for w, _ in complaints(found)]),
		    (0, ["warning"]), text)
		tap.contains(complaints(found)[0][1], "the trigger %s is off"
		    % named, rule)


@tap.case("who authenticates may send as anybody: said where nobody ties him")
def t_login():
	front = "127.0.0.1:%d inet n - n - - smtpd\n" % site.port
	sasl = front + "    -o smtpd_sasl_auth_enable=yes\n"
	maps = "    -o smtpd_sender_login_maps=hash:/etc/postfix/logins\n"
	ties = "reject_authenticated_sender_login_mismatch"

	def said(lines, old=front, **changes):
		undo = edit("master.cf", [(old, lines)])
		try:
			_, found, text = check("--offline", "--postfix",
			    site.etc, config=variant(**changes))
		finally:
			undo()
		return [w for w, t in complaints(found)
		    if "anybody's name" in t], text

	def restrict(name, words):
		return sasl + maps + "    -o { smtpd_%s_restrictions = %s }\n" \
		    % (name, words)
	for good in (restrict("sender", ties),
	    restrict("sender", "reject_sender_login_mismatch"),
	    restrict("client", ties + ", permit_sasl_authenticated"),
	    restrict("recipient", "permit_mynetworks " + ties)):
		got, text = said(good)
		tap.equal(got, [], text)
		tap.contains(text, "%d: who authenticates may send in his own "
		    "name only" % site.port, "what is said")
	for bad in (sasl, sasl + maps,
	    restrict("sender", ties).replace(maps, ""),
	    restrict("sender", "permit_sasl_authenticated, " + ties)):
		got, text = said(bad)
		tap.equal(got, ["warning"], bad + text)
		# At the hop we do not see the login.
		got, text = said(bad, sender_is_login=True)
		tap.equal(got, ["warning"], bad + text)
		tap.contains(text, "sender_is_login does not help", "why")
	got, text = said(front)
	tap.lacks(text, "authenticates", "where nobody can")
	# Where mail comes to us from the port itself.
	outside = "-o smtpd_milters=%s\n    -o milter_default_action=tempfail\n" \
	    "    -o receive" % m.address
	there = "-o smtpd_sasl_auth_enable=yes\n    " + outside
	tap.equal(said(there, outside)[0], ["warning"], "ours to see")
	got, text = said(there, outside, sender_is_login=True)
	tap.equal(got, [], text)


@tap.case("beside the hop: who may use the flag there, for one recipient")
def t_beside_hop():
	status, found, text = check("--offline", "--postfix", site.etc)
	tap.equal((status, complaints(found)), (0, []), text)
	tap.contains(text, "of this machine hands in here may have one "
	    "recipient", "loopback alone")
	finds("warning", "of clients in networks that comes in here to several",
	    config=variant(networks=["127.0.0.1", "192.0.2.0/24"]))
	_, found, text = check("--offline", "--postfix", site.etc,
	    config=variant(networks=[]))
	tap.lacks(text, "may have one recipient", "nobody may there")


@tap.case("the port of the world, and a chroot")
def t_world():
	front = "127.0.0.1:%d inet n - n - - smtpd\n" % site.port
	world = "25 inet n - n - - smtpd\n"
	undo = edit("master.cf", [(front, front + world)])
	try:
		_, found, text = check("--offline", "--postfix", site.etc)
	finally:
		undo()
	tap.equal(sorted(w for w, _ in complaints(found)),
	    ["error", "warning"], text)
	tap.contains(text, "a stranger's flag leads to the hop", "it")
	tap.contains(text, "without our milter", "it")
	finds("error", "a stranger's flag leads", master=[(front, front + world.rstrip() +
	    " -o smtpd_milters=%s\n" % m.address)])
	text = proc.read_text(os.path.join(site.etc, "master.cf"))
	line = [x for x in text.splitlines() if
	    x.startswith("127.0.0.1:%d" % site.hop_port)][0]
	status, found, text = chrooted(line)
	tap.equal(status, 78, "exit status")
	tap.contains(text, "runs in a chroot", "what is said")


def chrooted(line):
	words = line.split()
	words[4] = "y"
	undo = edit("master.cf", [(line, " ".join(words))])
	try:
		return check("--offline", "--postfix", site.etc)
	finally:
		undo()


@tap.case("our own options against Postfix's")
def t_ours():
	finds("error", "message_size_limit is 0 here",
	    config=variant(message_size_limit=0))
	finds("error", "message_size_limit is 70000000",
	    config=variant(message_size_limit=70000000))
	finds("warning", "deadline_s is 200",
	    config=variant(deadline_s=200))
	finds("warning", "request_timeout_s is 60 and deadline_s 50",
	    config=variant(deadline_s=50, request_timeout_s=60))
	status, found, text = check("--offline", "--postfix", site.etc,
	    config=variant(socket="unix:" + m.run + "/other.sock"))
	tap.equal(status, 78, "exit status: " + text)
	tap.contains(text, "does not name our socket", "another socket")


@tap.case("the socket: its user may not use it; nothing is there")
def t_socket():
	os.chmod(m.socket, 0o600)
	try:
		finds("error", "user postfix may not use")
		# Its group may; but the owner's bits count for the owner.
		os.chown(m.socket, pwd.getpwnam("postfix").pw_uid, -1)
		os.chmod(m.socket, 0o060)
		finds("error", "user postfix may not use")
	finally:
		os.chown(m.socket, 0, -1)
		os.chmod(m.socket, 0o660)
	os.chmod(m.run, 0o2700)
	try:
		finds("error", "because of " + m.run)
	finally:
		os.chmod(m.run, 0o2750)
	m.stop()
	try:
		finds("warning", "start the milter; mail waits until then")
	finally:
		m.start()


@tap.case("a recipient's gateway alone, TCP sockets, several instances")
def t_recipient():
	other = postfix.Postfix(os.path.join(folder, "b"), "b.test", ["bob"],
	    milter="inet:127.0.0.1:12345", size_limit=SIZE)
	other.configure()
	config = variant(mode="inbound", socket="inet:12345@127.0.0.1")
	status, found, text = check("--offline", "--postfix", other.etc,
	    config=config)
	tap.equal((status, complaints(found)), (0, []), text)
	status, found, text = check("--offline", "--postfix", other.etc,
	    "--postfix", site.etc, config=config)
	tap.equal(status, 78, "exit status")
	tap.equal([t for w, t in complaints(found)], ["no smtpd of this Postfix "
	    "names our socket inet:12345@127.0.0.1 in smtpd_milters"], text)
	status, _, text = check("--offline", "--postfix", folder)
	tap.equal(status, 78, "exit status")
	tap.contains(text, "gives no configuration", "no Postfix there")
	_, found, text = check("--offline", "--no-mta")
	tap.lacks(text, "Postfix", "--no-mta")


@tap.case("what our user may not see, root looks at")
def t_as_user():
	nobody = pwd.getpwnam("nobody")
	token = m.options["api_token_file"]
	hidden = [os.path.join(site.etc, n) for n in ("main.cf", "master.cf",
	    "counterfoil_header_checks")]
	secret = os.path.join(m.store, ".secret")
	for path in (m.store, secret, token):
		os.chown(path, nobody.pw_uid, -1)
	for path in hidden:
		os.chmod(path, 0o600)
	try:
		status, found, text = check("--offline", "--postfix", site.etc,
		    config=variant(user="nobody", ref_secret_file=os.path.join(
		    folder, "none")))
	finally:
		for path in (m.store, secret, token):
			os.chown(path, 0, -1)
		for path in hidden:
			os.chmod(path, 0o644)
	tap.equal((status, [w for w in found if w[0] != "ok"]), (0, []), text)
	tap.contains(text, "user postfix may use", "the socket")
	tap.contains(text, "it does not run as root", "the user")


SENDMAIL = """\
O PrivacyOptions=authwarnings,nobodyreturn
O MaxMessageSize=60000000
O InputMailFilters=counterfoil
Xcounterfoil, S=local:%s, F=T, T=C:2m;S:30s;R:60s;E:5m
"""


@tap.case("Sendmail: the filter's flags and times, nobodyreturn, its size")
def t_sendmail():
	path = os.path.join(folder, "sendmail.cf")
	good = SENDMAIL % m.socket

	def say(text):
		proc.write_file(path, text)
		return check("--offline", "--sendmail", path)
	status, found, text = say(good)
	tap.equal((status, complaints(found)), (0, []), text)
	for word, part, old, new in (
	    ("error", "leaves in clear", " F=T,", ""),
	    ("error", "bounces while", "F=T", "F=R"),
	    ("warning", "R:5s", "R:60s", "R:5s"),
	    ("warning", "E:30s", "E:5m", "E:30s"),
	    ("error", "nobodyreturn", ",nobodyreturn", ""),
	    ("error", "MaxMessageSize 1000", "60000000", "1000"),
	    ("warning", "AuthMechanisms is PLAIN LOGIN: who authenticates",
	    "O MaxM", "O AuthMechanisms=PLAIN LOGIN\nO MaxM"),
	    ("error", "neither InputMailFilters", "Filters=counterfoil",
	    "Filters=other"),
	    ("error", "no INPUT_MAIL_FILTER", "S=local:", "S=local:/x")):
		status, found, text = say(good.replace(old, new))
		got = complaints(found)
		tap.equal([w for w, _ in got], [word], text)
		tap.contains(got[0][1], part, "finding")
		tap.equal(status, 78 if word == "error" else 0, "exit status")
	proc.write_file(path, good + "O AuthMechanisms=PLAIN\n")
	status, found, text = check("--offline", "--sendmail", path,
	    config=variant(sender_is_login=True))
	tap.equal((status, complaints(found)), (0, []), text)


tap.main(setup=start, teardown=stop)
