# SPDX-License-Identifier: Apache-2.0
"""Messages for tests and the quickstart, and what must come out of them."""

import base64
import email
import email.policy
import html as markup
import os
import re
import struct
import zlib

from lab import proc

FLAG = b"X-Return-Receipt: yes\r\n"

# A flag that no mail server takes for one: lines in a header, what the milter
# says.  Where it can be told apart, the other fields come behind it.
NEAR_FLAGS = tuple([(lines, "flag-in-body") for lines in (
    b"X-Return Receipt: yes\r\n", b"X-Return\tReceipt: yes\r\n",
    b"X-Return-\xc2\xa0Receipt: yes\r\n",
    b"\xe2\x80\x8bX-Return-Receipt: yes\r\n",
    b"X-Return-Receipt\xa0: expires=7d\r\n",
    b"X-Return\x01-Receipt: yes\r\n", b"X-Return-Receipt yes\r\n",
    b"X-Return-Receipt=yes\r\n", b"X-Return-Receipt\xef\xbc\x9a yes\r\n",
    b"X\xe2\x80\x93Return\xe2\x80\x93Receipt: yes\r\n",
    b"\xd0\xa5-R\xd0\xb5turn-R\xd0\xb5ceipt: yes\r\n",
    b"X-Return-\r\n Receipt: yes\r\n",
    b"\r\nX-Return-Receipt: yes\r\n",
    b"this is no field\r\nX-Return-Receipt: yes\r\n",
    b"From a@a.test Mon Nov 23 13:35:00 2026\r\nX-Return-Receipt: yes\r\n",
    b">From a@a.test Mon Nov 23 13:35:00 2026\r\nX-Return-Receipt: yes\r\n")]
    + [(lines, "flag-spelling") for lines in (
    b" X-Return-Receipt: yes\r\n", b"\tX-Return-Receipt: expires=7d\r\n",
    b"X_Return_Receipt: yes\r\n", b"XReturnReceipt: yes\r\n",
    b"X-Return-Reciept: yes\r\n", b"X-Return-Receit: yes\r\n",
    b"X-Retrun-Receipt: yes\r\n", b"X-Return-Receipts : yes\r\n",
    b"X-Retun-Receiptt: expires=7d\r\n", b"x-return-reciet: yes\r\n",
    b"XReturnReceipts: yes\r\n", b">X-Return-Receipt: yes\r\n")])
# Beginnings of texts about it, which are nobody's flag.
FLAG_TEXTS = (
    b"X-Return-Receipt: yes is the field that asks for it.\r\n",
    b"Just add\r\nX-Return-Receipt: yes\r\n\r\nto the header.\r\n",
    b"Add this:\r\nX-Return-Receipt: yes\r\n\r\n",
    b"> X-Return-Receipt: yes\r\n\r\nWhat does it mean?\r\n",
    b"Hello\r\n\r\nX-Return-Receipt: yes\r\n\r\n",
    b"-------- Forwarded Message --------\r\nSubject: s\r\n"
    b"X-Return-Receipt: yes\r\nX-N: 1\r\n\r\n",
    b"Message-ID: <1@x.test>\r\nSubject: s\r\nX-Return-Receipt: yes\r\n"
    b"\r\na message in a message\r\n",
    b"--b\r\nContent-Type: text/plain\r\nX-Return-Receipt: yes\r\n\r\n"
    b"--b--\r\n",
)
TEXT = ("Dear Bob,\r\n\r\nthe offer is attached. Grüße aus Köln, "
    "précis et sûr.\r\nThe next line has one dot:\r\n.\r\n..and this one "
    "begins with two.\r\n\r\nAlice")


def png(size=16, colour=(196, 62, 28)):
	"""A small square, as PNG."""
	row = b"\0" + bytes(colour) * size
	def chunk(kind, data):
		body = kind + data
		return (struct.pack(">I", len(data)) + body
		    + struct.pack(">I", zlib.crc32(body)))
	return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB",
	    size, size, 8, 2, 0, 0, 0)) + chunk(b"IDAT",
	    zlib.compress(row * size)) + chunk(b"IEND", b""))


HTML_TEXT = "Dear Bob, the offer is attached. Grüße!"	# as it reads


def html(cid):
	return ('<html><head><style>p.o { color: #c43e1c }</style></head>'
	    '<body>\r\n<p class="o">Dear Bob, the <b>offer</b> is attached. '
	    'Grüße!</p>\r\n<img alt="seal" src="cid:%s">\r\n'
	    '</body></html>' % cid)


def lines76(data):
	text = base64.b64encode(data)
	return b"".join(text[i:i + 76] + b"\r\n"
	    for i in range(0, len(text), 76))


class Full:
	"""One message with everything that is easily damaged on the way.

	Folded and non-ASCII fields, a field given twice, HTML with an inline
	image, 8-bit text, a line with one dot, a random attachment of `size`
	bytes, no final newline.
	"""

	sender = "alice@a.test"
	attachment_name = "offer.bin"

	def __init__(self, to="bob@b.test", size=2 * 1024 * 1024, flag=FLAG):
		mark = base64.b16encode(os.urandom(8)).decode().lower()
		self.to = to
		self.mark = mark
		self.text = TEXT
		self.html = html("seal-%s@a.test" % mark)
		self.attachment = os.urandom(size)
		self.message_id = "<%s@a.test>" % mark
		self.subject = "Your offer, Grüße from the loom"
		self.before = (
		    b"From: =?utf-8?Q?Alice_=C3=84rger?=\r\n\t<alice@a.test>\r\n"
		    b"To: " + to.encode() + b"\r\n"
		    b"Subject: Your offer,\r\n =?utf-8?Q?_Gr=C3=BC=C3=9Fe?="
		    b"\r\n\tfrom the loom\r\n"
		    b"Date: Mon, 23 Nov 2026 13:35:00 +0100\r\n"
		    b"Message-ID: " + self.message_id.encode() + b"\r\n")
		self.after = (
		    b"Comments: first  of two, two blanks inside \r\n"
		    b"X-Raw: Gr\xc3\xbc\xc3\x9fe, raw\r\n"
		    b"Comments:second of two\r\n"
		    b"X-Folded: a\r\n  b\r\n\tc\r\n"
		    b"Disposition-Notification-To: alice@a.test\r\n"
		    b"MIME-Version: 1.0 (made by hand)\r\n"
		    b"Content-Type: multipart/mixed;\r\n"
		    b'\tboundary="out-' + mark.encode() + b'"\r\n')
		self.body = self._body(mark.encode())
		self.sent = (self.before + flag + self.after + b"\r\n"
		    + self.body)
		self.unflagged = (self.before + self.after + b"\r\n" + self.body)

	def _body(self, mark):
		return (b"This is the preamble.\r\n--out-" + mark + b"\r\n"
		    b'Content-Type: multipart/related; boundary="rel-' + mark
		    + b'"\r\n\r\n--rel-' + mark + b"\r\n"
		    b'Content-Type: multipart/alternative; boundary="alt-'
		    + mark + b'"\r\n\r\n--alt-' + mark + b"\r\n"
		    b"Content-Type: text/plain; charset=utf-8\r\n"
		    b"Content-Transfer-Encoding: 8bit\r\n\r\n"
		    + self.text.encode() + b"\r\n--alt-" + mark + b"\r\n"
		    b"Content-Type: text/html; charset=utf-8\r\n"
		    b"Content-Transfer-Encoding: 8bit\r\n\r\n"
		    + self.html.encode() + b"\r\n--alt-" + mark + b"--\r\n"
		    b"\r\n--rel-" + mark + b"\r\n"
		    b"Content-Type: image/png\r\nContent-ID: <seal-" + mark
		    + b"@a.test>\r\nContent-Disposition: inline\r\n"
		    b"Content-Transfer-Encoding: base64\r\n\r\n"
		    + lines76(png()) + b"--rel-" + mark + b"--\r\n"
		    b"\r\n--out-" + mark + b"\r\n"
		    b"Content-Type: application/octet-stream\r\n"
		    b"Content-Transfer-Encoding: base64\r\n"
		    b'Content-Disposition: attachment; filename="'
		    + self.attachment_name.encode() + b'"\r\n\r\n'
		    + lines76(self.attachment) + b"--out-" + mark + b"--")

	def compare(self, opened):
		"""Is this the message, byte for byte, as the milter saw it?

		In front of what was sent stands what Postfix puts there, its
		Received fields, and nothing else; the flag is missing; a last
		line without an end has got one, as SMTP between the hops cannot
		say otherwise.  Gives None or a sentence.
		"""
		return compare_whole(opened, self.unflagged)


TRACE = re.compile(rb"(Received:[^\r\n]*(\r\n[ \t][^\r\n]*)*\r\n)+")


def compare_whole(opened, wanted):
	"""None, or a sentence about the first difference."""
	trace = TRACE.match(opened)
	if not trace:
		return ("the opened message does not begin with Postfix's "
		    "Received field: %r" % opened[:200])
	if not wanted.endswith(b"\r\n"):
		wanted += b"\r\n"
	rest = opened[trace.end():]
	if rest == wanted:
		return None
	at = next((i for i, (x, y) in enumerate(zip(rest, wanted))
	    if x != y), min(len(rest), len(wanted)))
	return ("the opened message differs from the sent one at byte %d of "
	    "%d (%d): %r instead of %r" % (at, len(wanted), len(rest),
	    rest[max(0, at - 40):at + 40], wanted[max(0, at - 40):at + 40]))


def parse(content):
	return email.message_from_bytes(content, policy=email.policy.default)


def notice_text(content):
	"""The text of a delivered notice, decoded."""
	part = parse(content).get_body(("plain",))
	if part is None:
		raise proc.LabError("the delivered message has no text part")
	return part.get_content()


def notice_html(content):
	return parse(content).get_body(("html",)).get_content()


LOOPBACK = re.compile(r"(localhost|\[::1\]|127(\.\d+){3})(:\d+)?$")
LINK = re.compile(r"https?://[^\s<>\"]+/m/[A-Za-z0-9_-]{22}#[^\s<>\"]+")


def link(content):
	"""The one reader link of a delivered notice."""
	found = LINK.findall(notice_text(content))
	if len(found) != 1:
		raise proc.LabError("the notice has %d links instead of one:\n%s"
		    % (len(found), notice_text(content)))
	return found[0]


def locator(reader_link):
	"""L, out of the fragment of a reader link."""
	reader, fragment = reader_link.split("#", 1)
	if "://" in fragment:
		return fragment
	host, key, token = fragment.split("/")
	scheme = reader.split(":")[0] if LOOPBACK.match(host) else "https"
	return "%s://%s/k/%s#%s" % (scheme, host, key, token)


def handle(reader_link):
	"""The key's public name."""
	return re.search(r"/k/([A-Za-z0-9_-]{22})#", locator(reader_link)
	    ).group(1)


def token(reader_link):
	"""The secret half of L."""
	return locator(reader_link).split("#")[1]


def simple(mark, flag=FLAG, to="bob@b.test", body=b"Hello.\r\n", more=b""):
	"""A short message; message_id(mark) finds it again.

	The mark stands in Subject and body, too.
	"""
	mark = _bytes(mark)
	return (b"From: Alice <alice@a.test>\r\nTo: " + to.encode()
	    + b"\r\n" + flag + b"Subject: test " + mark
	    + b"\r\nDate: Mon, 23 Nov 2026 13:35:00 +0100\r\nMessage-ID: <"
	    + mark + b"@a.test>\r\n" + more + b"\r\n" + body + mark + b"\r\n")


def _bytes(mark):
	return mark.encode() if isinstance(mark, str) else mark


def message_id(mark):
	"""The Message-ID of simple(mark) or Full(), brackets and all.

	It stands in the mail, sealed or not, and in a bounce of it.  No base64
	has such characters; the bare mark of a few letters it has at times.
	"""
	return b"<" + _bytes(mark) + b"@a.test>"


def decoded(content):
	"""A mail as it stands there, its Subject, and each part decoded."""
	return [content, str(parse(content)["Subject"]).encode()] + [
	    part.get_payload(decode=True)
	    for part in email.message_from_bytes(content).walk()
	    if not part.is_multipart()]


def traces(content, mark):
	"""What a mail has of the one with the mark, however it is encoded.

	Its Message-ID, or the Subject that simple() gave it, as it stands there
	and in each decoded part.  A list, best empty.
	"""
	found = []
	for text in decoded(content):
		plain = markup.unescape(text.decode("latin-1")).encode("latin-1",
		    "replace")
		found += re.findall(re.escape(message_id(mark))
		    + rb"|\btest\s+" + re.escape(_bytes(mark)) + rb"(?![\w.-])",
		    plain)
	return found
