#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What others make of a sealed mail on its way, it still opens: disclaimers
of altermime and amavis, in front of a recipient's gateway with our milter.
"""

import base64
import json
import os
import quopri
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))

from lab import mail, proc, sample, scanners, sink, tap, world  # noqa: E402

CONFIDENTIAL = "This e-mail is confidential"
TEXT = (CONFIDENTIAL + ". If it is not for you,\nplease tell the sender. "
    "Grüße, Example & Co.\n")
HTML = "<p><b>" + CONFIDENTIAL + "</b>. Gr&uuml;&szlig;e, Example &amp; Co.</p>\n"
TOOK = "something on the way took it out"
AMAVIS = """$log_level = 2;
$allow_disclaimers = 1;
@local_domains_maps = (1);
$altermime = '/usr/bin/altermime';
@altermime_args_disclaimer = qw(--disclaimer=%(folder)s/text
    --disclaimer-html=%(folder)s/html);
$defang_maps_by_ccat{+CC_CLEAN} = [{'disclaimed@b.test' => 'disclaimer',
    'attached@b.test' => 'attach'}];
"""

w = None
amavis = None
outside = sink.Sink()		# where mail for c.test goes
sealed = original = None	# a P as it came there, CRLF; what is in it


class World(world.World):
	def _sites(self):
		world.World._sites(self)
		self.a.routes["c.test"] = outside.port


def start():
	global w, amavis, sealed, original
	outside.start()
	w = World(say=tap.note)
	w.start()
	folder = w.path("disclaimer")
	os.mkdir(folder)
	proc.write_file(os.path.join(folder, "text"), TEXT)
	proc.write_file(os.path.join(folder, "html"), HTML)
	amavis = scanners.Amavis(w.path("amavis"), w.b, AMAVIS
	    % {"folder": folder}).start()
	sealed, original = seal("sealed", "carol@c.test")


def stop():
	for thing in (amavis, w, outside):
		if thing:
			thing.stop()


def seal(mark, to):
	"""A P as it leaves a.test, and what was sealed."""
	send(w.a.port, sample.simple(mark, to=to), to)
	return (outside.wait(to)[-1].content,
	    sample.simple(mark, flag=b"", to=to))


def send(port, content, to):
	code, text = mail.send(port, "alice@a.test", to, content)
	tap.equal(code, 250, "reply %r" % text)


def arrived(user):
	return mail.read(mail.wait(w.b, user)[0])


def command(content):
	"""What `counterfoil open` gets out of a mail."""
	path, out = w.path("in.eml"), w.path("out.eml")
	proc.write_file(path, content)
	done = proc.run([proc.program("counterfoil"), "-c", w.agent_config(),
	    "open", "-q", "-o", out, path], check=False)
	tap.equal(done.returncode, 0, done.stderr.decode())
	return mail.read(out)


def opens(content, wanted, where="the command"):
	tap.equal(sample.compare_whole(command(content), wanted), None, where)


def page(link, wanted):
	"""The page in Chromium, by a link."""
	done = proc.run([*proc.node(), os.path.join(proc.repository(), "tests",
	    "wayback", "recipient.mjs"), "open"], limit_s=400,
	    input=json.dumps([{"url": link}]).encode())
	end = json.loads(done.stdout)[0]
	tap.equal(end["state"], "opened", "the page: " + end["says"])
	tap.equal(sample.compare_whole(base64.b64decode(end["original"]),
	    wanted), None, "the page")


def rewritten(content):
	"""Its notice leads to the recipient's own reader, which has E."""
	link = sample.link(content)
	tap.true(link.startswith(w.b_reader.url + "/m/"), "link " + link)
	tap.contains(sample.notice_html(content), link.split("#")[0], "HTML")
	blob = re.search(r"/m/([A-Za-z0-9_-]{22})#", link).group(1)
	status, _, der = w.b_reader.request("GET", "/e/" + blob)
	tap.equal((status, der), (200, container(sealed)), "the reader's E")
	return link


def container(content):
	"""E of a mail that nobody changed."""
	return next(part.get_payload(decode=True)
	    for part in sample.parse(content).walk()
	    if part.get_filename() == "message.counterfoil")


# ---- disclaimers ----

def in_base64(content):
	"""The notice in base64, as some gateways write all text."""
	return re.sub(rb"(?s)(Encoding: )quoted-printable(\r\n\r\n)(.*?\r\n)"
	    rb"(?=\r\n--=_cn)", lambda m: m.group(1) + b"base64" + m.group(2)
	    + sample.lines76(quopri.decodestring(m.group(3))), content)


def altermime(content, *options):
	"""As a filter has it: a file with LF, sent on with CRLF."""
	path = w.path("mail")
	proc.write_file(path, content.replace(b"\r\n", b"\n"))
	proc.run(["altermime", "--input=" + path, *options])
	return mail.read(path).replace(b"\n", b"\r\n")


def disclaimers():
	"""(name, P, options): each way to add a disclaimer."""
	text, html = ["--disclaimer%s=%s" % (kind, w.path("disclaimer", name))
	    for kind, name in (("", "text"), ("-html", "html"))]
	b64 = w.path("disclaimer", "b64")
	proc.write_file(b64, base64.encodebytes(TEXT.encode()))
	encoded = in_base64(sealed)
	tap.true(encoded.count(b"base64") == 3, "three parts in base64")
	yield "text", sealed, [text]
	yield "both", sealed, [text, html]
	yield "htmltoo", sealed, [text, "--htmltoo"]
	yield "inserted", sealed, [text, html, "--multipart-insert"]
	yield "forced", sealed, [text, html, "--force-for-bad-html"]
	yield "base64", encoded, [text, html, "--force-into-b64"]
	yield "own-base64", encoded, [text, "--disclaimer-b64=" + b64,
	    "--htmltoo"]
	yield "signed", sealed, [text, html, "--altersigned"]
	yield "fields", sealed, [text, html, "--xheader=X-Copyright: see there",
	    "--alter-header=Subject", "--alter-with=[EXT]",
	    "--alter-mode=prefix"]


def disclaimed(content):
	return [CONFIDENTIAL.encode() in part
	    for part in sample.decoded(content)].count(True)


@tap.case("altermime's disclaimers: rewritten all the same, and it opens")
def t_altermime():
	for name, content, options in disclaimers():
		changed = altermime(content, *options)
		tap.true(disclaimed(changed), name + ": it is in the mail")
		send(w.b.port, changed, name + "@b.test")
		got = arrived(name)
		rewritten(got)
		tap.equal(disclaimed(got), 0, name + ": disclaimers left")
		opens(got, original, name)


@tap.case("what takes attachments out: said in the log, and its link opens")
def t_taken_out():
	for name, option in (("all", "--removeall"),
	    ("by-name", "--remove=.*counterfoil"),
	    ("by-type", "--remove=application/octet-stream")):
		changed = altermime(sealed, option)
		tap.lacks(changed, b"Counterfoil-Locator", name)
		log = w.b_milter.log_text()
		send(w.b.port, changed, name + "@b.test")
		got = arrived(name)
		tap.true(sample.link(got).startswith(w.a_reader.url), "link")
		tap.contains(w.b_milter.log_text()[len(log):], TOOK, "the log")
	page(sample.link(got), original)


@tap.case("amavis adds disclaimers by altermime: it opens in the page")
def t_amavis():
	send(amavis.port, sealed, "disclaimed@b.test")
	got = arrived("disclaimed")
	# The disclaimer itself is gone with the notice.
	tap.contains(proc.read_text(amavis.log),
	    "mangling by: disclaimer, <disclaimed@b.test>", "amavis's log")
	link = rewritten(got)
	opens(got, original)
	page(link, original)


@tap.case("amavis puts the mail into another: left alone, and it opens")
def t_attached():
	log = w.b_milter.log_text()
	send(amavis.port, sealed, "attached@b.test")
	got = arrived("attached")
	tap.contains(got, b"message/rfc822", "what came")
	tap.contains(got, sealed[sealed.index(b"\r\n\r\n"):].replace(b"\r\n",
	    b"\n"), "what came")
	tap.contains(w.b_milter.log_text()[len(log):], ": passed ",
	    "the log")
	opens(got, original)


if __name__ == "__main__":
	tap.main(start, stop)
