# SPDX-License-Identifier: Apache-2.0
"""What lists, gateways, scanners and mail programs make of a sealed mail.

A mail is a tree of Part's, built anew from what a live P has in it, so that
each change is one of a part, as the programs make it that do such things.
mail_forms(), file_forms() and link_forms() give them by name; Chain applies
some at random.
"""

import base64
import binascii
import email
import email.policy
import io
import quopri
import re
import urllib.parse
import zipfile

LINE = b"\r\n"
NO_LINK = ("lower case fragment", "mimecast")	# L is not in these


def lines(data, width=76, end=LINE):
	text = base64.b64encode(data)
	return b"".join(text[i:i + width] + end
	    for i in range(0, len(text), width))


def quoted(data):
	"""Quoted-printable of anything: no byte of it is a line end."""
	text = b"".join(b"=%02X" % b if b < 33 or b > 126 or b == 61 else
	    bytes([b]) for b in data)
	return b"".join(m + b"=\r\n" for m in re.findall(
	    rb"(?:=..|[^=]){1,24}", text, re.S))


def uuencoded(data, name=b"smime.p7m"):
	return b"begin 644 " + name + LINE + b"".join(
	    binascii.b2a_uu(data[i:i + 45]).replace(b"\n", LINE)
	    for i in range(0, len(data), 45)) + b"`\r\nend\r\n"


class Part:
	"""A part: fields in their order; bytes, or parts, in it."""

	def __init__(self, fields, body=b"", parts=None, boundary="B",
	    preamble=b"", epilogue=b""):
		self.fields = [list(field) for field in fields]
		self.body, self.parts, self.boundary = body, parts, boundary
		self.preamble, self.epilogue = preamble, epilogue

	def get(self, name):
		return next((v for n, v in self.fields
		    if n.lower() == name.lower()), None)

	def drop(self, name):
		self.fields = [f for f in self.fields
		    if f[0].lower() != name.lower()]

	def set(self, name, value):
		for field in self.fields:
			if field[0].lower() == name.lower():
				field[1] = value
				return
		self.fields.append([name, value])

	def header(self):
		return b"".join(b"%s: %s\r\n" % (n.encode(), v.encode())
		    for n, v in self.fields) + LINE

	def bytes(self, close=True):
		if self.parts is None:
			return self.header() + self.body
		edge = b"--" + self.boundary.encode()
		inside = b"".join(edge + LINE + part.bytes() + LINE
		    for part in self.parts)
		return (self.header() + self.preamble + inside
		    + (edge + b"--\r\n" if close else b"") + self.epilogue)


def multipart(kind, boundary, *parts, fields=(), **more):
	return Part([*fields, ["Content-Type", 'multipart/%s; boundary="%s"'
	    % (kind, boundary)]], parts=list(parts), boundary=boundary, **more)


FOOT = b"_" * 40 + b"\r\nStaff list\r\nhttps://lists.example.org/\r\n"
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAA"
    "DUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


def footer():
	return Part([["Content-Type", 'text/plain; charset="us-ascii"'],
	    ["MIME-Version", "1.0"], ["Content-Transfer-Encoding", "7bit"],
	    ["Content-Disposition", "inline"]], FOOT)


def banner():
	return Part([["Content-Type", "image/png; name=banner.png"],
	    ["Content-ID", "<banner@gateway.example>"],
	    ["Content-Transfer-Encoding", "base64"]], lines(PNG))


class Pieces:
	"""A live P, taken apart by Python's email package."""

	def __init__(self, content):
		self.content = content
		top = email.message_from_bytes(content,
		    policy=email.policy.default)
		notice, part = top.iter_parts()
		self.text, self.html = [p.get_content().replace("\r\n", "\n")
		    for p in notice.iter_parts()]
		self.e = part.get_payload(decode=True)
		self.kind = part["Content-Type"]
		self.disposition = part["Content-Disposition"]
		self.locator = part["Counterfoil-Locator"]
		self.link = re.search(r"^http\S+/m/\S+$", self.text,
		    re.M).group(0)

	def head(self, *more):
		return [["From", "Alice Anders <alice@a.test>"],
		    ["To", "bob@b.test"], ["Subject", "Offer no. 12"],
		    ["Date", "Sun, 29 Nov 2026 02:57:00 +0000"],
		    ["Message-ID", "<base-1@a.test>"],
		    ["MIME-Version", "1.0"],
		    ["Counterfoil-Version", "1"], *map(list, more)]

	def leaf(self, kind, text):
		data = text.replace("\n", "\r\n").encode()
		return Part([["Content-Type", "text/%s; charset=utf-8" % kind],
		    ["Content-Transfer-Encoding", "quoted-printable"]],
		    quopri.encodestring(data.replace(b"\r\n", b"\n"))
		    .replace(b"\n", LINE))

	def notice(self, text=None, html=None, boundary="A1"):
		return multipart("alternative", boundary,
		    self.leaf("plain", text or self.text),
		    self.leaf("html", html or self.html))

	def sealed(self, kind=None, encoding="base64", body=None,
	    locator=True, disposition=None, more=()):
		fields = [["Content-Type", kind or self.kind],
		    ["Content-Transfer-Encoding", encoding],
		    ["Content-Disposition", disposition or self.disposition],
		    *map(list, more)]
		if locator:
			fields.append(["Counterfoil-Locator", self.locator])
		return Part(fields, lines(self.e) if body is None else body)

	def mail(self, *parts, boundary="B1", fields=(), **more):
		return multipart("mixed", boundary, *parts,
		    fields=self.head(*fields), **more)

	def common(self, **sealed):
		return self.mail(self.notice(), self.sealed(**sealed))


def bob(*parts, boundary="F"):
	return multipart("mixed", boundary, *parts, fields=[
	    ["From", "Bob <bob@b.test>"], ["To", "carol@c.test"],
	    ["Subject", "Fwd: Offer no. 12"], ["MIME-Version", "1.0"]])


def without(part, *names):
	for name in names:
		part.drop(name)
	return part


def single(p):
	return Part(p.head() + p.sealed().fields, lines(p.e))


def misplaced(p):
	"""A footer's code closed the inner boundary behind the attachment."""
	inner = p.notice().bytes().replace(b"--A1--\r\n", b"")
	return (p.mail().bytes(close=False) + b"--B1\r\n" + inner
	    + b"--B1\r\n" + p.sealed().bytes() + b"--A1--\r\n--B1--\r\n")


def tnef(content):
	"""Exchange's winmail.dat: an attachment's bytes within its own."""
	return (b"\x78\x9f\x3e\x22\x01\x00\x02\x0f\x80\x06\x00"
	    + len(content).to_bytes(4, "little") + content + b"\0\0")


def outlook(p):
	"""An .msg: the text in UTF-16 and the attachment, each by itself."""
	return b"".join(piece + b"\0" * (-len(piece) % 512) for piece in (
	    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
	    p.text.replace("\n", "\r\n").encode("utf-16le"), p.e))


def packed(name, content):
	file = io.BytesIO()
	with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as z:
		z.writestr(name, content)
	return file.getvalue()


def inline_forward(p):
	return bob(Part([["Content-Type",
	    "text/plain; charset=utf-8; format=flowed"]],
	    ("-------- Forwarded Message --------\nSubject: Offer no. 12\n"
	    "From: Alice Anders <alice@a.test>\n\n" + p.text)
	    .replace("\n", "\r\n").encode()),
	    p.sealed(kind='application/pkcs7-mime; name="smime.p7m"',
	    locator=False))


def mail_forms(p):
	"""The forms of a mail by name."""
	pem = 'application/pkcs7-mime; name="smime.p7m"'
	one = "".join(lines(p.e).decode().split()).encode()
	mark = [["Content-Disposition", "attachment"]]
	rfc2231 = ("application/pkcs7-mime;\r\n name*0=\"smi\";\r\n "
	    "name*1=\"me.p7m\";\r\n smime-type*=us-ascii''authEnveloped-data")
	control = p.common().bytes()
	forms = {
	    "00 control": p.common(),
	    "01 footer part": p.mail(p.notice(), p.sealed(), footer(),
	        fields=[["List-Id", "<staff.lists.example.org>"]]),
	    "03 footer in both texts": p.mail(p.notice(p.text
	        + "\n-- \nConfidential.\n", p.html + "<p>Confidential.</p>"),
	        p.sealed()),
	    "04 preamble": p.mail(p.notice(), p.sealed(),
	        preamble=b"This is a multi-part message in MIME format.\r\n\r\n"),
	    "05 epilogue": p.mail(p.notice(), p.sealed(),
	        epilogue=b"\r\nScanned by gateway.example.org\r\n"),
	    "06 flattened, no locator": p.mail(p.leaf("html", p.html),
	        p.sealed(kind=pem, locator=False),
	        preamble=b"This is a multi-part message.\r\n\r\n"),
	    "07 no locator": p.common(locator=False),
	    "08 no smime-type": p.common(kind=pem),
	    "09 octet-stream": p.common(
	        kind='application/octet-stream; name="smime.p7m"'),
	    "10 x-pkcs7-mime": p.common(kind="application/x-pkcs7-mime; "
	        'smime-type=authEnveloped-data; name="smime.p7m"'),
	    "11 another smime-type": p.common(kind="application/pkcs7-mime; "
	        'smime-type=enveloped-data; name="smime.p7m"'),
	    "12 quoted-printable": p.common(encoding="quoted-printable",
	        body=quoted(p.e)),
	    "14 no version": without(p.common(), "Counterfoil-Version"),
	    "15 forwarded as attachment": bob(
	        Part([["Content-Type", "text/plain"]], b"see below\r\n"),
	        Part([["Content-Type", "message/rfc822"],
	        ["Content-Disposition", 'attachment; filename="Offer.eml"']],
	        p.content)),
	    "16 forwarded inline": inline_forward(p),
	    "18 no last boundary": p.common().bytes(close=False),
	    "19 one long line": p.common(body=one + LINE),
	    "20 text behind the base64": p.common(body=lines(p.e)
	        + b"\r\n-- \r\nVirus checked by G DATA MailSecurity\r\n"),
	    "21 Gmail's interface": p.mail(p.notice(boundary="000059a335807"),
	        p.sealed(kind=pem, more=[["X-Attachment-Id", "f_k4fxyz0"],
	        ["Content-ID", "<f_k4fxyz0>"]]), boundary="0000f059a335809"),
	    "22 Exchange's boundaries": p.mail(p.notice(boundary="_000_A1_"),
	        p.sealed(kind='application/pkcs7-mime; name="smime.p7m";\r\n'
	        "\tsmime-type=authEnveloped-data", disposition="attachment; "
	        'filename="smime.p7m"; size=1053', more=[
	        ["Content-Description", "smime.p7m"]]), boundary="_004_B1_"),
	    "23 disposition twice": p.common(more=mark),
	    "24 boundary misplaced": misplaced(p),
	    "25 prefix to the type": control.replace(b"multipart/mixed",
	        b"--\r\n multipart/mixed", 1),
	    "27 quoted encoding": p.common(encoding='"base64"'),
	    "28 comment in the encoding": p.common(
	        encoding="base64 (binary data)"),
	    "29 RFC 2231 parameters": p.common(kind=rfc2231,
	        disposition="attachment; filename*=us-ascii''smime.p7m"),
	    "30 comment in MIME-Version": control.replace(
	        b"MIME-Version: 1.0\r\n",
	        b"MIME-Version: 1.0 (produced by gateway 3.1)\r\n", 1),
	    "31 single part": single(p),
	    "32 a banner": p.mail(multipart("related", "R", p.notice(),
	        banner()), p.sealed()),
	    "34 locator folded by Mailman": p.common(locator=False, more=[
	        ["Counterfoil-Locator", "\r\n " + p.locator]]),
	    "33 taken out": p.mail(p.notice(), Part([["Content-Type",
	        'text/plain; name="smime.p7m.txt"']], b"The attachment smime.p7m "
	        b"was removed: encrypted files are not allowed.\r\n")),
	    "34 winmail.dat": p.mail(p.notice(), Part([["Content-Type",
	        'application/ms-tnef; name="winmail.dat"'],
	        ["Content-Transfer-Encoding", "base64"]], lines(tnef(p.e)))),
	    "35 marks at line ends": p.common(body=lines(p.e, end=b"!\r\n")),
	    "36 signed in one piece": Part([*p.head(), ["Content-Type",
	        "application/pkcs7-mime; smime-type=signed-data"],
	        ["Content-Transfer-Encoding", "base64"]], lines(bytes.fromhex(
	        "3082200006092a864886f70d010702") + p.content + bytes(900))),
	}
	return {name: form if isinstance(form, bytes) else form.bytes()
	    for name, form in forms.items()}


def file_forms(p):
	"""The forms of a saved attachment."""
	def pem(label):
		return (b"-----BEGIN " + label + b"-----\n" + lines(p.e,
		    64, b"\n") + b"-----END " + label + b"-----\n")
	return {
	    "40 base64": lines(p.e, end=b"\n"),
	    "41 PEM": pem(b"CMS"),
	    "42 PEM, PKCS7": pem(b"PKCS7"),
	    "43 a line end behind it": p.e + b"\r\n",
	    "44 with its header": p.sealed().bytes(),
	    "45 zeros behind it": p.e + b"\0" * 3,
	    "46 as it is": p.e,
	    "51 Outlook's file": outlook(p),
	    "52 Apple Mail's file": b"%-10d\n%s<?xml version=\"1.0\"?>\n" % (
	        len(p.content), p.content.replace(b"\r\n", b"\n")),
	    "53 UTF-16": p.content.decode().encode("utf-16le"),
	    "54 packed": packed("Offer.eml", p.content),
	}


# ---- links ----

def q(text):
	return urllib.parse.quote(text, safe="")


def proofpoint2(link):
	return ("https://urldefense.proofpoint.com/v2/url?u=" + "".join(
	    c if c.isalnum() or c == "." else "_" if c == "/" else
	    "-%02X" % ord(c) for c in link) + "&d=DwMFaQ&c=abc&r=d&m=e&s=f&e=")


def proofpoint3(link):
	codes = ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789-_")
	taken = []

	def star(m):
		taken.append(m.group(0))
		n = len(m.group(0))
		return "*" if n == 1 else "**" + codes[n - 2]
	text = re.sub(r"[^A-Za-z0-9._~:/?&=-]+", star, link)
	return "https://urldefense.com/v3/__%s__;%s!!LIr3w8kk_Xxm!6BNqFLJ$" % (
	    text, base64.urlsafe_b64encode("".join(taken).encode()).decode()
	    .rstrip("="))


def safelinks(link, inside=""):
	return ("https://deu01.safelinks.protection.outlook.com/?url="
	    + q(link + inside) + "&data=05%7C02%7Cbob%40b.test&sdata=mxTj%3D"
	    "&reserved=0")


def link_forms(p):
	"""What became of the reader link, by name."""
	link, base = p.link, p.link.split("#")[0]
	return {
	    "as sent": link,
	    "safe links": safelinks(link),
	    "safe links, # as %23": safelinks(link.replace("#", "%23")),
	    "safe links, parameters inside": safelinks(link,
	        "&data=05|01|bob@b.test|c0ffee|1|0&sdata=mxTj+OJ=&reserved=0"),
	    "safe links, twice": safelinks(safelinks(link)),
	    "teams": "https://statics.teams.cdn.office.net/evergreen-assets/"
	        "safelinks/2/atp-safelinks.html?url=" + q(link) + "&locale=en-us"
	        "&dest=" + q("https://teams.microsoft.com/api/mt/part/emea-03/")
	        + "&pc=abc&wau=" + q("https://deu01.safelinks.protection.outlook"
	        ".com/GetUrlReputation") + "&si=1;2;3",
	    "proofpoint 1": "https://urldefense.proofpoint.com/v1/url?u=" + link
	        + "&k=oIvRg1%2BdGAgOoM1BIlLLqw%3D%3D%0A&r=x",
	    "proofpoint 2": proofpoint2(link),
	    "proofpoint 3": proofpoint3(link),
	    "barracuda": "https://linkprotect.cudasvc.com/url?a=" + q(link)
	        .replace("%2F", "%2f").replace("%3A", "%3a") + "&c=E,1,Ab,&typo=1",
	    "cisco": "https://secure-web.cisco.com/1AbCdEfGhIjKlMn_opQrS/"
	        + q(link),
	    "sophos": "https://eu-west-1.protection.sophos.com/?d=reader.example"
	        "&u=" + base64.b64encode(link.encode()).decode()
	        + "&i=NWE&t=abc&h=def&s=AVNPUEhUT0NFTkNSWVBUSVY",
	    "trend micro": "https://imsva91-ctp.trendmicro.com:443/wis/clicktime/"
	        "v1/query?url=" + q(link) + "&umid=aa&auth=bb",
	    "fireeye": "https://protect2.fireeye.com/v1/url?k=1234&q=1&u="
	        + q(link),
	    "google": "https://www.google.com/url?q=" + q(link)
	        + "&sa=D&source=gmail&ust=1795920986000000",
	    "ses": "https://abc123.r.eu-central-1.awstrack.me/L0/" + q(link)
	        + "/1/01000178626eb1e0-f1b813fc/27r5oe9sP7Z0DFVB=206",
	    "a parameter behind it": link + "?utm_source=newsletter&utm_medium=x",
	    "angle brackets": "<" + link + ">",
	    "end of a sentence": link + ".",
	    "outlook's plain text": "Go to the message<" + link + ">",
	    "markdown": "[message](" + link + ")",
	    "an HTML parameter": link + "&amp;data=1",
	    "zero width": link[:60] + "\u200b" + link[60:],
	    "lower case fragment": base + link[len(base):].lower(),
	    "avanan": "https://url.avanan.click/v2/___" + link
	        + "___.YXAzOmV4YW1wbGU6YTpvOjEyMw",
	    "mimecast": "https://protect-eu.mimecast.com/s/AbCdC1jEfGhIj"
	        "?domain=reader.example",
	    "hxxp": link.replace("http", "hxxp", 1),
	    "L and a parameter": p.locator + "&fbclid=IwAR0",
	    "L in angle brackets": "<" + p.locator + ">",
	}


# ---- chains ----

class Chain:
	"""A sealed mail, and three things that happen to it one after another.

	self.names says which; self.has_link whether L is still in it.
	"""

	def __init__(self, p, random):
		self.p, self.random = p, random
		self.names = []
		self.text, self.html = p.text, p.html
		self.sealed = p.sealed()
		self.leaves = [p.leaf("plain", p.text), p.leaf("html", p.html)]
		self.mail = p.mail(multipart("alternative", "A1",
		    *self.leaves), self.sealed)
		self.reachable = True	# not within base64
		self.field = self.readable = True
		self.rewritten = False
		steps = [self.footer, self.wrap, self.relabel, self.recode,
		    self.forward, self.strip, self.rewrite]
		for n in range(3):
			random.choice(steps)(n)
		self.content = self.mail.bytes()
		if self.content.isascii() and random.random() < 0.3:
			self.names.append("saved with LF")
			self.content = self.content.replace(b"\r\n", b"\n")
		self.has_link = self.field or self.readable

	def footer(self, n):
		how = self.random.choice(["part", "epilogue", "preamble", "texts"])
		self.names.append("footer: " + how)
		if how == "texts" and self.reachable:
			for leaf in self.leaves:
				leaf.body += b"-- =\r\nConfidential.\r\n"
		elif how == "epilogue" and self.mail.parts:
			self.mail.epilogue += b"\r\nScanned.\r\n"
		elif how == "preamble" and self.mail.parts:
			self.mail.preamble += b"Multi-part message.\r\n\r\n"
		else:
			self.mail.parts.append(footer())

	def wrap(self, n):
		"""All that is in it goes into a part of a new multipart."""
		how = self.random.choice(["mixed", "related"])
		self.names.append("wrap: " + how)
		content = [f for f in self.mail.fields
		    if f[0].lower().startswith("content-")]
		inner = Part(content, self.mail.body, self.mail.parts,
		    self.mail.boundary, self.mail.preamble, self.mail.epilogue)
		outer = [f for f in self.mail.fields if f not in content]
		self.mail = multipart(how, "W%d" % n, inner, self.random.choice(
		    [footer, banner])(), fields=outer)

	def relabel(self, n):
		kind = self.random.choice(["application/octet-stream",
		    'application/pkcs7-mime; name="smime.p7m"', "text/plain",
		    "application/x-pkcs7-mime; smime-type=signed-data", "image/png",
		    "application/pkcs7-signature; name=smime.p7s", "nonsense"])
		self.names.append("relabel: " + kind)
		self.sealed.set("Content-Type", kind)
		self.sealed.set("Content-Disposition", self.random.choice(
		    ["inline", 'attachment; filename="winmail.bin"', "x; y"]))

	def recode(self, n):
		e = self.p.e
		kind, body = self.random.choice([
		    ("base64", lines(e)), ("base64 (of a gateway)", lines(e, 64)),
		    ("quoted-printable", quoted(e)), ("x-uuencode", uuencoded(e)),
		    ("binary", e), ("8bit", lines(e)),
		    ("base64", lines(e, 9996)),
		    ("base64", lines(e) + b"-- \r\nChecked.\r\n"),
		    ("base64", e), ("7bit", quoted(e)), ("base64", uuencoded(e)),
		    ("quoted-printable", lines(e))])
		self.names.append("recode: %s, %r" % (kind, body[:8]))
		self.sealed.set("Content-Transfer-Encoding", kind)
		self.sealed.body = body

	def forward(self, n):
		how = self.random.choice(["attachment", "base64", "a file"])
		self.names.append("forward: " + how)
		content = self.mail.bytes()
		plain = how == "attachment"
		kind = "application/octet-stream; name=mail.eml" \
		    if how == "a file" else "message/rfc822"
		if plain:
			inner = Part([["Content-Type", kind]], parts=None)
			mail = self.mail
			# As it will be then: later steps still reach into it.
			inner.bytes = lambda: inner.header() + mail.bytes()
		else:
			inner = Part([["Content-Type", kind],
			    ["Content-Transfer-Encoding", "base64"]],
			    lines(content))
			self.reachable = False
			self.sealed = Part([])
			self.leaves = []
		self.mail = bob(Part([["Content-Type", "text/plain"]],
		    b"see below\r\n"), inner, boundary="F%d" % n)

	def strip(self, n):
		name = self.random.choice(["Counterfoil-Locator",
		    "Counterfoil-Version", "MIME-Version", "Content-Type",
		    "Content-Transfer-Encoding", "Content-Disposition"])
		self.names.append("strip: " + name)
		if name in ("Counterfoil-Version", "MIME-Version"):
			self.mail.drop(name)
			return
		if name == "Counterfoil-Locator" and self.reachable:
			self.field = False
		self.sealed.drop(name)

	def rewrite(self, n):
		name, link = self.random.choice(sorted(
		    link_forms(self.p).items()))
		self.names.append("rewrite: " + name)
		if not self.reachable or self.rewritten:
			return
		self.rewritten = True
		if name in NO_LINK:
			self.readable = False
		self.text = self.text.replace(self.p.link, link)
		self.html = self.html.replace(self.p.link, link.replace("&",
		    "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
		for leaf, kind, text in zip(self.leaves, ("plain", "html"),
		    (self.text, self.html)):
			leaf.body = self.p.leaf(kind, text).body
