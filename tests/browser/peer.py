#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
#
# peer - what Python's email package and GMime find in messages.
#
# Paths come on standard input, one a line; for each one line of JSON goes
# out: {"python": [LEAF ...], "gmime": [LEAF ...]}, where LEAF is {type, name,
# charset, bytes} in the order of the message; bytes in base64, null where
# the part is a message of its own.  The page's tests compare it with both.

import base64
import ctypes
import ctypes.util
import email
import json
import sys

gmime = ctypes.CDLL("libgmime-3.0.so.0")
gobject = ctypes.CDLL("libgobject-2.0.so.0")


def function(name, result, *arguments):
	f = getattr(gmime, name)
	f.restype = result
	f.argtypes = arguments
	return f


P, S, I = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
g_init = function("g_mime_init", None)
g_stream = function("g_mime_stream_mem_new_with_buffer", P, S, ctypes.c_size_t)
g_memory = function("g_mime_stream_mem_new", P)
g_array = function("g_mime_stream_mem_get_byte_array", P, P)
g_parser = function("g_mime_parser_new_with_stream", P, P)
g_construct = function("g_mime_parser_construct_message", P, P, P)
g_mime_part = function("g_mime_message_get_mime_part", P, P)
g_multipart_type = function("g_mime_multipart_get_type", ctypes.c_size_t)
g_part_type = function("g_mime_part_get_type", ctypes.c_size_t)
g_count = function("g_mime_multipart_get_count", I, P)
g_child = function("g_mime_multipart_get_part", P, P, I)
g_content_type = function("g_mime_object_get_content_type", P, P)
g_type_text = function("g_mime_content_type_get_mime_type", P, P)
g_parameter = function("g_mime_content_type_get_parameter", S, P, S)
g_filename = function("g_mime_part_get_filename", S, P)
g_content = function("g_mime_part_get_content", P, P)
g_write = function("g_mime_data_wrapper_write_to_stream", ctypes.c_ssize_t,
    P, P)


class ByteArray(ctypes.Structure):
	_fields_ = [("data", P), ("len", ctypes.c_uint)]


def is_a(instance, kind):
	gobject.g_type_check_instance_is_a.argtypes = [P, ctypes.c_size_t]
	return gobject.g_type_check_instance_is_a(instance, kind) != 0


def text_of(name):
	return None if name is None else name.decode("utf-8", "replace")


def leaf(type_, name, charset, content):
	return {"type": type_, "name": name, "charset": charset,
	    "bytes": None if content is None
	    else base64.b64encode(content).decode()}


def gmime_leaves(part, out):
	if part is None:
		return
	if is_a(part, g_multipart_type()):
		for i in range(g_count(part)):
			gmime_leaves(g_child(part, i), out)
		return
	kind = g_content_type(part)
	type_ = ctypes.cast(g_type_text(kind), S).value.decode("latin-1").lower()
	charset = text_of(g_parameter(kind, b"charset"))
	if not is_a(part, g_part_type()):
		out.append(leaf(type_, None, charset, None))
		return
	content = b""
	wrapper = g_content(part)
	if wrapper is not None:
		memory = g_memory()
		g_write(wrapper, memory)
		array = ctypes.cast(g_array(memory), ctypes.POINTER(ByteArray))
		content = ctypes.string_at(array.contents.data,
		    array.contents.len) if array.contents.len else b""
	out.append(leaf(type_, text_of(g_filename(part)), charset, content))


def python_leaves(message):
	for part in message.walk():
		if part.get_content_maintype() == "message":
			out = leaf(part.get_content_type(), None, None, None)
		elif part.is_multipart():
			continue
		else:
			try:
				name = part.get_filename()
			except (LookupError, ValueError):
				name = None
			out = leaf(part.get_content_type(), name,
			    part.get_content_charset(),
			    part.get_payload(decode=True))
		yield out


def outer(message):
	"""Leaves but not what is inside of attached messages."""
	if message.get_content_maintype() == "message" \
	    or not message.is_multipart():
		yield from list(python_leaves(message))[:1]
		return
	for part in message.get_payload():
		yield from outer(part)


def main():
	g_init()
	for line in sys.stdin:
		with open(line.rstrip("\n"), "rb") as file:
			data = file.read()
		found = []
		stream = g_stream(data, len(data))
		message = g_construct(g_parser(stream), None)
		if message is not None:
			gmime_leaves(g_mime_part(message), found)
		print(json.dumps({
		    "python": list(outer(email.message_from_bytes(data))),
		    "gmime": found}), flush=True)


main()
