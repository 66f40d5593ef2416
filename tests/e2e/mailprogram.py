#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Real mail programs ask for a receipt: by the flag, by the field of their
read-receipt button, by a tag in the Subject.
"""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))

from lab import mail, proc, sample, tap, world  # noqa: E402

BODY = "Good morning,\n\ngrüße aus Köln.\n.\nFrom one line to the next.\n"
DNT = "Disposition-Notification-To: <alice@a.test>"
w = None


def start():
	global w
	w = world.World(tls=True, say=tap.note, a_options={"triggers": [
	    "disposition-notification-to", "return-receipt-to",
	    "subject-tag"]})
	w.start()
	w.a.triggers = True
	w.a.restart()


def environment():
	home = w.path("person")
	os.makedirs(home, exist_ok=True)
	return dict({k: v for k, v in os.environ.items() if k in ("PATH",
	    "TMPDIR", "LD_LIBRARY_PATH")}, HOME=home, LC_ALL="C.UTF-8")


def run(argv):
	tap.true(shutil.which(argv[0]), "%s is installed" % argv[0])
	done = proc.run(argv, 180, env=environment(), input=BODY.encode(),
	    check=False)
	tap.equal(done.returncode, 0, "%s: %r" % (argv[0],
	    done.stdout + done.stderr))


def mutt(subject, header, to, file):
	commands = ["set smtp_url='smtp://127.0.0.1:%d/'" % w.a.port,
	    "set from=alice@a.test realname='Alice Ärger' copy=no",
	    "set ssl_force_tls=no ssl_starttls=no use_envelope_from=yes hostname=a.test",
	    "set charset=utf-8 config_charset=utf-8 send_charset=utf-8"]
	if header:
		commands.append("my_hdr " + header)
	argv = ["mutt", "-n", "-F", "/dev/null"]
	for command in commands:
		argv += ["-e", command]
	run(argv + ["-s", subject, "-a", file, "--"] + to)


def s_nail(subject, header, to, file):
	argv = ["s-nail", "-:/", "-S", "v15-compat=yes",
	    "-S", "mta=smtp://127.0.0.1:%d" % w.a.port,
	    "-S", "smtp-auth=none",
	    "-S", "from=Alice Ärger <alice@a.test>", "-S", "hostname=a.test",
	    "-S", "smtp-hostname=a.test", "-S", "sendcharsets=utf-8",
	    "-S", "ttycharset=utf-8", "-S", "sendwait=yes"]
	if header:
		argv += ["-C", header]
	run(argv + ["-s", subject, "-a", file] + to)


def opened(path):
	done = proc.run([proc.program("counterfoil"), "-c", w.agent_config(),
	    "open", path], check=False)
	tap.equal(done.returncode, 0, "counterfoil open: %s" % done.stderr)
	return sample.parse(done.stdout)


def attachment():
	"""A file to attach; (name, content)."""
	data = os.urandom(3000)
	proc.write_file(w.path("offer.bin"), data)
	return w.path("offer.bin"), data


def next_mail(user, before):
	"""The file that was not there before."""
	mail.wait(w.b, user, len(before) + 1)
	new = [path for path in w.b.messages(user) if path not in before]
	tap.equal(len(new), 1, "new mails for " + user)
	return new[0]


def check(program, subject, header, outside_subject):
	"""Send, wait, open: sealed for each recipient, whole inside."""
	file, data = attachment()
	before = {u: w.b.messages(u) for u in ("bob", "eve")}
	program(subject, header, ["bob@b.test", "eve@b.test"], file)
	handles = set()
	for user in ("bob", "eve"):
		path = next_mail(user, before[user])
		content = mail.read(path)
		outside = sample.parse(content)
		handles.add(sample.handle(sample.link(content)))
		tap.equal(str(outside["Subject"]), outside_subject,
		    "Subject outside")
		for name in ("X-Return-Receipt", "Disposition-Notification-To"):
			tap.equal(outside[name], None, name + " outside")
		tap.lacks(content, b"Good morning", "what was delivered")
		inside = opened(path)
		tap.equal(str(inside["Subject"]), subject, "Subject inside")
		tap.equal(inside["From"].addresses[0].display_name,
		    "Alice Ärger", "From inside")
		text = inside.get_body(("plain",)).get_content()
		tap.equal(text.replace("\r\n", "\n").rstrip("\n"),
		    BODY.rstrip("\n"), "text inside")
		files = [p.get_payload(decode=True)
		    for p in inside.iter_attachments()]
		tap.equal(files, [data], "attachments inside")
		if header and header.startswith("Disp"):
			tap.equal(str(inside["Disposition-Notification-To"]),
			    "<alice@a.test>", "the request inside")
	tap.equal(len(handles), 2, "keys")


for _name, _program in (("mutt", mutt), ("s-nail", s_nail)):
	@tap.case("%s: the header field X-Return-Receipt" % _name)
	def t_flag(program=_program):
		check(program, "Lunch", "X-Return-Receipt: expires=7d",
		    "Lunch")

	@tap.case("%s: the read-receipt button's field" % _name)
	def t_button(program=_program):
		check(program, "Frühstück", DNT, "Frühstück")

	@tap.case("%s: a tag in the Subject" % _name)
	def t_tag(program=_program):
		check(program, "[receipt] Lunch", None, "Lunch")

	@tap.case("%s: a tag in a Subject that the program encodes" % _name)
	def t_encoded(program=_program):
		check(program, "[Receipt] Frühstück", None, "Frühstück")

	@tap.case("%s: without any of these, plain mail" % _name)
	def t_plain(program=_program, name=_name):
		before = w.b.messages("bob")
		program("Re: [receipt] " + name, None, ["bob@b.test"],
		    attachment()[0])
		content = mail.read(next_mail("bob", before))
		tap.contains(content, b"Re: [receipt]", "what was delivered")
		tap.lacks(content, b"Counterfoil-", "what was delivered")


if __name__ == "__main__":
	tap.main(start, lambda: w and w.stop())
