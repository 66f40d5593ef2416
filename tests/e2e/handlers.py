#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What others make of a sealed mail on its way, it still opens: disclaimers
of altermime and amavis, lists of Mailman, in front of a recipient's gateway
with our milter; and Roundcube behind it.
"""

import base64
import html as markup
import json
import os
import quopri
import re
import sys
from concurrent import futures

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "..", "..", "contrib"))

from lab import mail, mailman, proc, sample, scanners, sink, tap  # noqa: E402
from lab import webmail, world  # noqa: E402

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

UNCONDITIONALLY = {"dmarc_mitigate_unconditionally": True}
LISTS = {
	"footer": {},
	"munge": dict(UNCONDITIONALLY, dmarc_mitigate_action="munge_from",
	    personalize="full"),
	"wrap": dict(UNCONDITIONALLY, dmarc_mitigate_action="wrap_message"),
	"collapse": {"filter_content": True, "collapse_alternatives": True},
	"text": {"filter_content": True, "collapse_alternatives": False,
	    "pass_types": ["multipart", "text/plain", "text/html"]},
}
MEMBERS = ("bob", "bea")

pool = futures.ThreadPoolExecutor(1)
w = None
amavis = None
outside = sink.Sink()		# where mail for c.test goes
sealed = original = None	# a P as it came there, CRLF; what is in it


class World(world.World):
	def _sites(self):
		world.World._sites(self)
		self.lists = mailman.Mailman(self.path("mailman"), "lists.test",
		    self.b.port, [m + "@b.test" for m in MEMBERS], LISTS)
		self.a.routes.update({"c.test": outside.port,
		    "lists.test": "lmtp:[127.0.0.1]:%d" % self.lists.port})
		# It takes longer than all that comes here.
		self.starting = pool.submit(self.lists.start)


def start():
	global w, amavis, sealed, original
	outside.start()
	w = World(say=tap.note, a_options={"lists": "seal",
	    "list_addresses": ["@lists.test"]})
	w.start()
	folder = w.path("disclaimer")
	os.mkdir(folder)
	proc.write_file(os.path.join(folder, "text"), TEXT)
	proc.write_file(os.path.join(folder, "html"), HTML)
	amavis = scanners.Amavis(w.path("amavis"), w.b, AMAVIS
	    % {"folder": folder}).start()
	sealed, original = seal("sealed", "carol@c.test")
	w.starting.result()


def stop():
	for thing in (amavis, w and w.lists, w, outside):
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


def rewritten(content, e=None):
	"""Its notice leads to the recipient's own reader, which has E."""
	link = sample.link(content)
	tap.true(link.startswith(w.b_reader.url + "/m/"), "link " + link)
	tap.contains(sample.notice_html(content), link.split("#")[0], "HTML")
	blob = re.search(r"/m/([A-Za-z0-9_-]{22})#", link).group(1)
	status, _, der = w.b_reader.request("GET", "/e/" + blob)
	tap.equal((status, der), (200,
	    e or container(sealed)), "the reader's E")
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


# ---- lists ----

def posted(name):
	"""Alice's mail to a list; what each member gets, and what was sealed."""
	mark = "list-" + name
	to = name + "@lists.test"
	log = len(w.b_milter.log_text())
	send(w.a.port, sample.simple(mark, to=to), to)

	def both():
		got = [[c for c in map(mail.read, w.b.messages(m))
		    if b"\nList-Id: <%s.lists.test>" % name.encode() in c]
		    for m in MEMBERS]
		return [g[0] for g in got] if all(got) else None
	got = proc.wait_for(both, 120, "%s's mail to its members; %s"
	    % (name, proc.tail(w.lists.log)))
	for content in got:
		# What it wraps has the results that ARC would vouch for.
		tap.true(b"\nARC-Seal: i=1;" in content or name == "wrap",
		    "ARC: %r" % content)
		tap.contains(content, b"\nSubject: [%s] test"
		    % name.title().encode(), "what came")
	return (got, sample.simple(mark, flag=b"", to=to),
	    w.b_milter.log_text()[log:])


def both_open(name, got, wanted, link):
	"""Each member opens it, and the record of receipts has both."""
	for member, content in zip(MEMBERS, got):
		tap.contains(content, b"unsubscribe send an email to %s-leave@"
		    % name.encode(), "the footer")
		opens(content, wanted, member)
	recorded(link, 2)


def recorded(link, count):
	"""It was opened that often; Alice gets mail of the first time."""
	handle = sample.handle(link)
	rows = w.receipt_rows(handle, expanded=False).splitlines()
	for grade in ("released", "opened"):
		tap.equal(len([r for r in rows if "|%s|" % grade in r]), count,
		    grade + " in %r" % rows)
	receipt = proc.wait_for(lambda: [c for c in map(mail.read,
	    w.a.messages("alice")) if handle.encode() in c], 120, "a receipt")
	tap.contains(receipt[0], b"No other receipt follows", "the receipt")


@tap.case("Mailman: a list's footer, prefix and ARC: rewritten, both open it")
def t_footer():
	got, wanted, _ = posted("footer")
	links = [rewritten(content, container(content)) for content in got]
	tap.equal(*map(sample.locator, links), "their key")
	both_open("footer", got, wanted, links[0])
	page(links[1], wanted)


@tap.case("Mailman writes From anew, for each member: rewritten, both open it")
def t_munge():
	got, wanted, _ = posted("munge")
	links = []
	for member, content in zip(MEMBERS, got):
		tap.contains(content, b"\nFrom: Alice via Munge <munge@", "From")
		tap.contains(content, b"\nTo: %s@b.test" % member.encode(), "To")
		links.append(rewritten(content, container(content)))
	tap.equal(*links, "one E, in one file at the reader")
	both_open("munge", got, wanted, links[0])


@tap.case("Mailman puts the mail into another: left alone, both open it")
def t_wrap():
	got, wanted, log = posted("wrap")
	for content in got:
		tap.contains(content, b"message/rfc822", "what came")
		link = sample.link(inner(content))
		tap.true(link.startswith(w.a_reader.url), "the link")
	tap.contains(log, ": passed ", "the log")
	both_open("wrap", got, wanted, link)


def inner(content):
	return next(part.get_payload(0).as_bytes()
	    for part in sample.parse(content).walk()
	    if part.get_content_type() == "message/rfc822")


@tap.case("Mailman takes the HTML out: left alone, both open it")
def t_collapse():
	got, wanted, log = posted("collapse")
	for content in got:
		tap.lacks(content, b"text/html", "what came")
		link = sample.link(content)
		tap.true(link.startswith(w.a_reader.url), "the link")
	tap.contains(log, "its notice is not there: no multipart/alternative",
	    "the log")
	both_open("collapse", got, wanted, link)


@tap.case("Mailman takes attachments out: said in the log, its link opens")
def t_text():
	got, wanted, log = posted("text")
	for content in got:
		tap.lacks(content, b"Counterfoil-Locator", "what came")
	tap.contains(log, TOOK, "the log")
	page(sample.link(got[0]), wanted)
	recorded(sample.link(got[0]), 1)


# ---- web mail ----

def roundcube(user):
	"""What webmail.mjs says of the user's mail."""
	site = webmail.Webmail(w.path("webmail"), w.b)
	try:
		site.start()
		return json.loads(proc.run([*proc.node(), os.path.join(
		    os.path.dirname(os.path.abspath(__file__)), "webmail.mjs"),
		    site.url, user, webmail.PASSWORD, w.path("webmail.png")],
		    limit_s=400).stdout)
	finally:
		site.stop()


@tap.case("Roundcube shows the notice, its link, and a file like any other")
def t_roundcube():
	send(w.a.port, sample.simple("webmail", to="ruth@b.test"),
	    "ruth@b.test")
	got = arrived("ruth")
	link = rewritten(got, container(got))
	seen = roundcube("ruth")
	# As it reads, whatever it does with blanks.
	tap.equal(seen["text"].split(), words(sample.notice_html(got)),
	    "the notice")
	tap.equal(seen["links"], [link, link], "its links")
	tap.equal([p for p in seen["plain"] if not p.startswith("mailto:")],
	    [link], "links of its plain text")
	tap.equal([(f["shown"].split()[0], f["kind"], f["name"])
	    for f in seen["files"]], [("message.counterfoil",
	    "application octet-stream counterfoil", "message.counterfoil")],
	    "files: shown, by its icon, as saved")
	tap.equal(base64.b64decode(seen["files"][0]["content"]),
	    container(got), "E as saved")
	tap.equal(seen["outside"], [], "asked of other hosts")
	tap.equal(seen["opened"], "Hello.\nwebmail\n", "what the page shows")


def words(page):
	"""The text of simple HTML."""
	body = page[page.index("<body"):]
	return markup.unescape(re.sub(r"<[^>]*>", "", re.sub(r"</p>", " ",
	    body))).split()


if __name__ == "__main__":
	tap.main(start, stop)
