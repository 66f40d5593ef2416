# SPDX-License-Identifier: Apache-2.0
"""A message as the bytes that SMTP carries, whatever they are.

It is read as Postfix reads it: where the header ends, what is a field, what
becomes of the first line.  Nothing here knows MIME.
"""

import re

FLAG_NAME = b"x-return-receipt"
FLAG = b"X-Return-Receipt: yes\r\n"
# What the opened message may lack: design and counterfoil-format(7) say so.
DROPPED = (FLAG_NAME, b"bcc", b"resent-bcc")
# What Postfix drops of every message (its message_drop_headers).
DROPPED_BY_POSTFIX = (b"return-path", b"content-length")

FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")
MAILBOX_LINE = re.compile(rb">*From ")

# What Postfix puts in front: at the sender's first port, and behind it.
OWN_TRACE = re.compile(rb"Received: from client\.test \(\S+ \[127\.0\.0\.1\]\)"
    rb"\r\n\tby gw\.a\.test \(Postfix\) with [A-Z0-9]+ id \w+\r\n"
    rb"\tfor <[^>\r\n]*>; [^\r\n]*\r\n")
DELIVERY = re.compile(rb"(?:(?:Return-Path|X-Original-To|Delivered-To):"
    rb"[^\n]*\n)+(?:Received:[^\n]*\n(?:[ \t][^\n]*\n)+){2}")


def from_file(data):
	"""The bytes of a file as a mail client would send them.

	A text file of this system has LF where SMTP has CRLF.  Where there is
	any CRLF the file is taken as it is, and stray LF go out as such.
	"""
	return data if b"\r\n" in data else data.replace(b"\n", b"\r\n")


def _line(content, at):
	"""(the line without its end, stray CR as blanks; where the next is)"""
	end = content.find(b"\n", at)
	after = len(content) if end < 0 else end + 1
	text = content[at:after if end < 0 else end]
	if end >= 0 and text.endswith(b"\r"):
		text = text[:-1]
	return text.replace(b"\r", b" "), after


def _is_fold(text):
	return text[:1] in (b" ", b"\t")


def header(content, at=0, traced=False):
	"""([(name, from, to)], where the header ends)

	Names in lower case; the end is the empty line, or the line that is no
	field, or the end of everything.  traced: a trace field stood in front,
	so that folds at the start are its folds.
	"""
	fields = []
	while at < len(content):
		text, after = _line(content, at)
		if _is_fold(text) and (fields or traced):
			if fields:
				fields[-1][2] = after
		else:
			m = FIELD.match(text)
			if not m:
				break
			fields.append([m.group(1).lower(), at, after])
		at = after
	return [tuple(f) for f in fields], at


def longest_field(content, fields):
	"""Bytes of the longest of these fields, as a milter counts them."""
	return max((end - begin - content.count(b"\r\n", begin, end)
	    for _, begin, end in fields), default=0)


def without(content, names, at=0):
	"""The message without the fields of these names."""
	pieces, last = [], 0
	for name, begin, end in header(content, at)[0]:
		if name in names:
			pieces.append(content[last:begin])
			last = end
	return b"".join(pieces) + content[last:] if pieces else content


def goes_by_data(content):
	"""DATA always ends with a line end; without one it takes BDAT."""
	return content.endswith(b"\r\n")


def _flag_place(content):
	"""Where a field can stand that changes nothing else.

	That is at the top, but for two things that Postfix looks for there: a
	mailbox's From line, which it makes a field, and a line that begins
	with a stray CR, which it makes a fold of its own Received field.  With
	BDAT it knows no From line, and any blank first makes a fold.
	"""
	by_data = goes_by_data(content)
	at, folded = 0, not by_data
	while at < len(content):
		text, after = _line(content, at)
		if by_data and MAILBOX_LINE.match(text):
			at = after
		elif _is_fold(text) and (folded or content[at:at + 1] == b"\r"):
			at, folded = after, True
		else:
			break
	return at


def flagged(content):
	"""(the message with one flag, the same message without any)

	A flag of its own, whatever it says, gives way to ours: it would not be
	in the opened message either.
	"""
	plain = without(content, (FLAG_NAME,), _flag_place(content))
	at = _flag_place(plain)
	flag = FLAG
	if at == len(plain) and plain[-1:] not in (b"", b"\n"):
		flag = b"\r\n" + flag[:-2]	# by BDAT, as without it
	# Behind a field a first line with a blank would be its fold; at the top
	# Postfix puts this empty line itself.
	if _is_fold(plain[at:at + 1]):
		flag += b"\r\n"
	return plain[:at] + flag + plain[at:], plain


def expected(plain):
	"""What the opened message is to be, behind Postfix's trace field."""
	return without(plain, DROPPED + DROPPED_BY_POSTFIX,
	    _flag_place(plain))


def opened(content):
	"""An opened message behind the trace field; None if it has none."""
	m = OWN_TRACE.match(content)
	return content[m.end():] if m else None


def delivered(content):
	"""The same for a file that virtual(8) wrote at the second gateway."""
	m = DELIVERY.match(content)
	return opened(content[m.end():].replace(b"\n", b"\r\n")) if m else None


def lacks_line(content):
	"""Is there no empty line behind the header?"""
	end = header(content, traced=True)[1]
	text, after = _line(content, end)
	return after == end or text != b""


def _with_line(content):
	"""The message with an empty line behind a header that lacks it."""
	end = header(content, traced=True)[1]
	return content[:end] + b"\r\n" + content[end:]


def kind_of(content, wanted, shown):
	"""The kind of an opened message, None if it is damaged.

	`shown` is what came out without the milters.  A milter is not told
	whether an empty line stands behind the header, so one may have been
	added ("lined"), or not where only the MTA adds it.  None may be lost.
	"""
	if content == wanted:
		return "identical"
	if content == shown:
		return "changed"
	if lacks_line(shown) and content == _with_line(shown):
		return "lined"
	if (lacks_line(wanted) and lacks_line(content)
	    and _with_line(content) == shown):
		return "changed"
	return None


def difference(got, wanted):
	"""A few words about the first byte that differs."""
	low, high = 0, min(len(got), len(wanted))
	while low < high:
		mid = (low + high + 1) // 2
		if got[low:mid] == wanted[low:mid]:
			low = mid
		else:
			high = mid - 1
	begin = max(0, low - 20)
	return "at byte %d of %d: %r, was %r" % (low, len(wanted),
	    got[begin:low + 20], wanted[begin:low + 20])
