# SPDX-License-Identifier: Apache-2.0
"""Mail that is easily damaged: {name: (what comes of it, content)}.

"changed" is what Postfix changes by itself, "refused" what it refuses, and
"lined" what comes out with an empty line behind a header that had none.
"""

import base64
import os
import subprocess

H = (b"From: Alice <alice@x.test>\r\nTo: bob@y.test\r\nSubject: awkward\r\n"
    b"Date: Mon, 23 Nov 2026 13:35:00 +0100\r\nMessage-ID: <1@x.test>\r\n")
MIME = b"MIME-Version: 1.0\r\n"
TEXT = b"\r\nOne line.\r\nAnother line.\r\n"
MIXED = H + MIME + b"Content-Type: multipart/mixed; boundary=%s\r\n\r\n"
BIG = 30 << 20

same, changed, lined, refused = {}, {}, {}, {}


def part(boundary, kind, body):
	return b"--" + boundary + b"\r\n" + kind + b"\r\n\r\n" + body + b"\r\n"


def multipart(boundary, *parts):
	return (MIXED % boundary + b"".join(part(boundary, *p) for p in parts)
	    + b"--" + boundary + b"--\r\n")


# ---- what must come out as it went in ----

same["no MIME"] = H + TEXT
same["empty header"] = b"\r\nOnly a body.\r\n"
same["empty body"] = H + b"\r\n"
same["empty lines only"] = H + b"\r\n" * 9
same["two Content-Type"] = (H + MIME + b"Content-Type: text/plain\r\n"
    b"X-Between: 1\r\nContent-Type: text/html; charset=x\r\n"
    b"content-type: a/b\r\n" + TEXT)
same["every Content field twice"] = H + b"".join(b"Content-%s: %s\r\n" % f
    for f in ((b"Transfer-Encoding", b"8bit"), (b"Disposition", b"inline"),
    (b"ID", b"<a@b>"), (b"Description", b"x"), (b"Language", b"de"),
    (b"MD5", b"x"), (b"Location", b"y"), (b"Odd", b"z"))) * 2 + TEXT
same["folds"] = (H + b"X-A: a\r\n\tb\r\n  c \r\n\t \td\r\nX-B:\r\n e\r\n"
    b"X-C:   three blanks, and behind \t \r\nX-D:tight\r\nX-E:\r\n" + TEXT)
same["folds of blanks only"] = (b"X-Top:\r\n \r\n" + H
    + b"X-A:  \r\nX-B: a\r\n \r\n\t\r\n  \r\nX-C: \r\n \r\n" + TEXT)
same["8-bit fields"] = (H + b"X-Latin: Gr\xfc\xdfe\r\nComments: \xff\xfe "
    b"\x80\r\nSubject: \xe4 \xe5\r\n \xf6\r\n" + TEXT)
same["SMTPUTF8 fields"] = (H.replace(b"Alice", "Zoë Müller 日本".encode())
    .replace(b"bob@y.test", "büro@müller.test".encode())
    + "X-Smile: ☺\r\n ☺☺\r\nComments: grüße\r\n".encode() + TEXT)
same["8-bit body"] = H + b"\r\nGr\xfc\xdfe, \xe2\x98\xba \x80\xff\r\n"
same["NUL in the body"] = H + b"\r\na\0b\r\n\0\0\r\n\0\r\n"
same["controls in the body"] = H + b"\r\n" + bytes(i for i in range(256)
    if i not in (10, 13)) + b"\r\n\x1a\r\n\x7f\r\n"
same["3000 octets in a line"] = (H + b"\r\n" + b"x" * 3000 + b"\r\n"
    + b"y" * 998 + b"\r\n" + b"z" * 999 + b"\r\n." + b"." * 2500 + b"\r\n")
same["100000 octets in a line"] = H + b"\r\n" + b"0123456789" * 10000 + b"\r\n"
for n in (997, 998, 999, 1000, 2047, 2048, 2049, 3000, 20000):
	same["a field of %d octets" % n] = (H + b"X-Long: "
	    + b"a" * (n - 8) + b"\r\n" + TEXT)
same["dots"] = H + b"\r\n.\r\n..\r\n.x\r\n\r\n.\r\n. \r\n...\r\n.\r\n"
same["a dot first"] = b".x: a\r\n" + H + TEXT
same["mbox quoting"] = (H + b"\r\nFrom bob Mon Nov 23\r\n>From alice\r\n"
    b">>From x\r\n\r\nFrom y\r\n")
same["message/rfc822"] = multipart(b"b1", (b"Content-Type: message/rfc822\r\n"
    b"X-Return-Receipt: yes\r\nBcc: inner@x.test", H
    + b"X-Return-Receipt: yes\r\nBcc: inner@x.test\r\n" + TEXT))
same["message/rfc822 at the top"] = (H + MIME
    + b"Content-Type: message/rfc822\r\n\r\n" + H + TEXT)
same["S/MIME by name"] = (H + MIME + b"Content-Type: application/pkcs7-mime;"
    b" smime-type=enveloped-data; name=smime.p7m\r\nContent-Transfer-Encoding:"
    b" base64\r\n\r\nMIIBrokenBase64==\r\n")
same["PGP/MIME"] = multipart(b"b1", (b"Content-Type: application/"
    b"pgp-encrypted", b"Version: 1"), (b"Content-Type: application/octet-"
    b"stream", b"-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA=\r\n=abcd\r\n"
    b"-----END PGP MESSAGE-----")).replace(b"mixed", b"encrypted; "
    b"protocol=\"application/pgp-encrypted\"")
same["PGP in the text"] = (H + b"\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\n"
    b"Hash: SHA512\r\n\r\n- -- x\r\ntrailing  \r\n-----BEGIN PGP SIGNATURE"
    b"-----\r\n\r\niQ==\r\n-----END PGP SIGNATURE-----\r\n")
same["100 kB of fields"] = H + b"".join(b"X-Field-%d: %s\r\n" % (i,
    b"v" * 180) for i in range(500)) + TEXT
same["58 kB of one field"] = (H + b"References: " + b"\r\n ".join(
    b"<%060d@x.test>" % i for i in range(800)) + b"\r\n" + TEXT)
same["58 kB in one line"] = H + b"X-Long: " + b"l" * 58500 + b"\r\n" + TEXT
same["14000 fields"] = H + b"".join(b"X%d: a\r\n" % i
    for i in range(14000)) + TEXT
same["fields like boundaries"] = H + b"--x: y\r\n" * 300 + TEXT
same["folds like fields"] = H + b"X: y\r\n" + (b"\t:\r\n" * 19000
    + b"X: y\r\n") * 3 + TEXT
same["bodies like fields"] = H + b"\r\n" + b"a: b\r\n--x\r\n" * 30000
same["broken encoded words"] = (H + b"Subject: =?utf-8?Q?=C3?= =?x\r\n"
    b"Comments: =?utf-8?B?////?= =?utf-8?q?a b?= =?\xff?b?=?=\r\n" + TEXT)
same["a boundary like ours"] = multipart(b"\"=_cf_AAAAAAAAAAAAAAAAAAAAAA\"",
    (b"Content-Type: text/plain", b"--=_cf_AAAAAAAAAAAAAAAAAAAAAA--"))
same["fields like ours"] = (H + b"Counterfoil-Version: 1\r\nCounterfoil-"
    b"Version: 7\r\nCounterfoil-Locator: https://k.test/k/x#y\r\n"
    b"Counterfoil-M: v=1; outer=3; ct=made; mv=made; form=plain\r\n"
    b"HP-Outer: Subject: [...]\r\nHP-Outer: x\r\nHP-Outer:\r\n" + TEXT)
same["first a field like ours"] = (b"Counterfoil-M: v=1; outer=0; ct=kept; "
    b"mv=kept; form=rfc822\r\nContent-Type: message/rfc822\r\n\r\n" + H + TEXT)
same["protected like ours"] = (H + b"HP-Outer: Subject: x\r\n" + MIME
    + b"Content-Type: text/plain; charset=us-ascii;\r\n hp=\"cipher\"\r\n"
    + TEXT)
same["flags of its own"] = (b"X-Return-Receipt: no\r\n" + H + b"x-return-"
    b"receipt : what\r\n\tever\r\nX-Return-Receipts: stays\r\n" + TEXT)
same["Bcc"] = (b"Bcc: a@x.test,\r\n b@x.test\r\n" + H + b"Resent-From: a@x."
    b"test\r\nResent-Bcc: c@x.test\r\nResent-To: d@x.test\r\nBccc: stays\r\n"
    b"BCC:\r\n" + TEXT)
same["receipts asked the old way"] = (H + b"Disposition-Notification-To: "
    b"alice@x.test\r\nReturn-Receipt-To: alice@x.test\r\n" + TEXT)
same["a list's mail"] = (H + b"List-Id: <l.x.test>\r\nPrecedence: bulk\r\n"
    b"List-Unsubscribe: <mailto:x@x.test>\r\n" + TEXT)
same["a program's mail"] = H + b"Auto-Submitted: auto-replied\r\n" + TEXT
for kind in (b"delivery-status", b"disposition-notification"):
	same["report " + kind.decode()] = multipart(b"b1",
	    (b"Content-Type: text/plain", b"It failed."),
	    (b"Content-Type: message/" + kind, b"Reporting-MTA: dns; x.test\r\n"
	    b"\r\nFinal-Recipient: rfc822; b@x.test\r\nAction: failed\r\n"),
	    (b"Content-Type: message/rfc822", H + TEXT)).replace(
	    b"multipart/mixed", b"multipart/report; report-type=" + kind)
for n, kind in enumerate((b"multipart/mixed", b"multipart/mixed; boundary=",
    b"multipart/mixed; boundary=\"open", b"text/plain; charset", b"/", b";",
    b"", b"text/plain; (a comment", b"text/plain; x=\"a\\\"; y=\"\\\\\"",
    b"text", b"text/plain;; a=b;", b"text/plain; hp=cipher",
    b"text/plain; hp*0=a; hp*1=b", b"(c) text (d) / (e) plain (f)",
    b"multipart/mixed; boundary=\"" + b"b" * 500 + b"\"",
    b"text/plain; name=\"\xe4\xff\"", b"text/plain;\r\n\tcharset=\r\n utf-8")):
	same["Content-Type %d" % n] = H + MIME + b"Content-Type: " + kind \
	    + b"\r\nContent-Transfer-Encoding: x-odd\r\n" + TEXT
for n, field in enumerate((b"MIME-Version: 2.0 (x)", b"MIME-Version:",
    b"MIME-Version: 1.0\r\nmime-version: 1.0", b"Message-ID:",
    b"Message-ID: <" + b"x" * 950 + b"@x.test>", b"Message-ID: <\xe4@x.test>",
    b"Message-ID: none\r\nMessage-Id: <two@x.test>", b"Date: yesterday",
    b"From: nobody\r\nFrom: two@x.test", b"To: undisclosed-recipients:;",
    b"To: \"unclosed <x@x.test>", b"Sender: <>", b"!#$%&'*+-.^_`|~: odd")):
	same["field %d" % n] = field + b"\r\nX-Other: 1\r\n" + MIME + TEXT
same["50 kB of To"] = H + b"To: " + b",\r\n ".join(b"\"Person, %d\" <p%d@x.test>"
    % (i, i) for i in range(1400)) + b"\r\n" + TEXT
same["trace of 40 hops"] = b"".join(b"Received: from h%d\r\n\tby h%d; Mon, "
    b"23 Nov 2026 13:00:00 +0100\r\n" % (i, i + 1) for i in range(40)) + H + TEXT
same["deep nesting"] = H + MIME + b"".join(b"Content-Type: multipart/mixed; "
    b"boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(90)) + TEXT
same["4000 parts"] = multipart(b"b1", *[(b"Content-Type: text/plain", b"x")]
    * 4000)
same["uuencode and tabs"] = (H + b"\r\nbegin 644 x\r\n#0V%T\r\n`\r\nend\r\n"
    b"\t \r\n trailing \t\r\n-- \r\n")
same["30 MB"] = H + b"\r\n" + base64.encodebytes(os.urandom(BIG * 3 // 4)
    ).replace(b"\n", b"\r\n")

# ---- what Postfix changes by itself ----

changed["no header"] = b"This line is no field.\r\nNor is this: one.\r\n"
lined["no empty line"] = H
lined["nothing"] = b""
changed["no final newline"] = H + b"\r\nThe end"
changed["one byte"] = b"x"
changed["stray CR"] = H + b"X-A: a\rb\r\n\r\nc\rd\r\r\n\r.\r\ne\r"
changed["stray CR first"] = b"\rfoo: bar\r\n" + H + TEXT
changed["stray CR twice first"] = b"\r\r\n" + H + TEXT
lined["stray CR first, no end"] = b"\rfoo: bar\r\n a\r\n" + H + b"X: y"
changed["stray LF"] = H + b"\r\nfirst\n.\r\nsecond\n\n.\nthird\r\n"
changed["LF . CRLF and more"] = (H + b"\r\nend\n.\r\nMAIL FROM:<evil@x.test>"
    b"\r\nRCPT TO:<bob@b.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n")
changed["CR . CR"] = H + b"\r\nend\r.\rmore\r\n"
changed["any bytes"] = H + b"\r\n" + bytes(range(256)) * 40 + b"\r\n"
changed["only bytes"] = bytes(range(255, -1, -1)) * 3
changed["mailbox line first"] = b"From alice Mon Nov 23\r\n" + H + TEXT
changed["mailbox lines first"] = (b">From a\r\nFrom b\r\n folded: no\r\n" + H
    + TEXT)
changed["a mailbox line in capitals"] = b"FROM a\r\n" + H + TEXT
changed["a blank first"] = b" " + H + TEXT
changed["a blank first, no end"] = b"\tx\r\n" + H + b"\r\nThe end"
changed["a mailbox line first, no end"] = b"From alice\r\n" + H + b"\r\nx"
lined["only a fold, no end"] = b"\t\r"
lined["only a stray CR, no end"] = b"\rx"
changed["only a mailbox line"] = b"From alice"
lined["a flag at the end, no end"] = H + b"X-Return-Receipt: no"
changed["a line that is no field"] = (H + b"This is no field\r\nX-After: 1\r\n"
    + TEXT)
changed["8-bit name"] = H + b"Gr\xfc\xdfe: x\r\nX-After: 1\r\n" + TEXT
changed["blank in a name"] = H + b"Sub ject: x\r\n" + TEXT
changed["blank before the colon"] = H + b"Comments : x\r\nX-T\t: y\r\n" + TEXT
changed["no name"] = H + b": x\r\n" + TEXT
changed["NUL in a field"] = H + b"X-Nul: a\0b\r\n c\r\nX-After: 1\r\n" + TEXT
same["dropped fields"] = (b"Return-Path: <x@x.test>\r\n" + H
    + b"Content-Length: 5\r\n" + TEXT)
changed["UTF-16"] = ("\ufeff" + (H + TEXT).decode()).encode("utf-16-le")
changed["BOM first"] = b"\xef\xbb\xbf" + H + TEXT

# ---- what Postfix refuses by itself ----

refused["60 hops"] = b"".join(b"Received: by h%d; Mon, 23 Nov 2026 13:00:00 "
    b"+0100\r\n" % i for i in range(60)) + H + TEXT

refused["too deep nesting"] = H + MIME + b"".join(b"Content-Type: multipart/"
    b"mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(120)) + TEXT
# Over the limit: Postfix shows a milter but the first 60000 bytes of a field.
refused["100 kB of one field"] = (H + b"References: " + b"\r\n ".join(
    b"<%060d@x.test>" % i for i in range(1350)) + b"\r\n" + TEXT)
refused["70 kB in one line"] = H + b"X-Long: " + b"l" * 70000 + b"\r\n" + TEXT
refused["70 kB in long lines"] = (H + b"X-Long: " + b"\r\n\t".join(
    [b"l" * 5000] * 14) + b"\r\n" + TEXT)
refused["a field over Postfix's limit"] = (H + b"X-Huge: " + b"\r\n ".join(
    [b"h" * 70] * 2000) + b"\r\nX-After: 1\r\n" + TEXT)

KINDS = {"identical": same, "changed": changed, "lined": lined,
    "refused": refused}


def openssl(*words, **kw):
	return subprocess.run(["openssl", *words], check=True,
	    stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
	    **kw).stdout


def make_smime(folder):
	"""Add signed and encrypted mail; gives the signer's certificate."""
	key, cert = (os.path.join(folder, n) for n in ("key.pem", "cert.pem"))
	openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
	    "/CN=alice@x.test/emailAddress=alice@x.test", "-days", "30",
	    "-keyout", key, "-out", cert)
	inner = (b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-"
	    b"Encoding: 8bit\r\n\r\nSigned, gr\xc3\xbc\xc3\x9fe  \r\n.\r\n"
	    b"From here on\r\n" + b"y" * 3000 + b"\r\n")
	head = b"".join(H.splitlines(True)[:5])
	signed = openssl("smime", "-sign", "-signer", cert, "-inkey", key,
	    "-md", "sha256", input=inner)
	sealed = openssl("smime", "-encrypt", "-binary", "-aes256", cert,
	    input=signed)
	for name, text in (("multipart/signed", signed), ("S/MIME", sealed)):
		same[name] = head + text.replace(b"\r\n", b"\n").replace(b"\n",
		    b"\r\n")
	return cert, key


def write(folder):
	"""One file each; gives {path: (name, what comes of it)}."""
	paths = {}
	for kind, messages in KINDS.items():
		for name, content in messages.items():
			path = os.path.join(folder, "%03d.eml" % len(paths))
			with open(path, "wb") as f:
				f.write(content)
			paths[path] = (name, kind)
	return paths
