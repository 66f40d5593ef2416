# SPDX-License-Identifier: Apache-2.0
"""The key server's protocol as keysrv/openapi.yaml says, enforced.

    api = Api("https://localhost:8443", ca_file)
    answer = api.call("POST", "/api/v1/challenge", {...})
    answer.status, answer.headers, answer.json, answer.body

Every request and every answer is checked against the file: a path, method,
status, member, content type or problem that is not in it raises Deviation.
A request that is wrong on purpose is sent with good=False; its answer is
checked all the same.

Only the part of YAML and JSON Schema is read that the file uses; anything
else in it is an error, so that nothing passes unchecked.
"""

import http.client
import json
import os
import re
import ssl
import urllib.parse

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..",
    "keysrv", "openapi.yaml")


class Deviation(AssertionError):
	"""Something is not as openapi.yaml says."""


# ---- the part of YAML that the file is written in ----

class YamlError(Exception):
	pass


def _scalar(text, line):
	if text.startswith('"'):
		try:
			return json.loads(text)
		except ValueError:
			raise YamlError("line %d: bad string" % line)
	if text == "[]":
		return []
	if text.startswith("["):
		if not text.endswith("]") or "[" in text[1:]:
			raise YamlError("line %d: bad list" % line)
		return [_scalar(t.strip(), line) for t in text[1:-1].split(",")]
	if text in ("true", "false"):
		return text == "true"
	if text in ("null", "~", "") or text[0] in "'&*{}|>!%@`#":
		raise YamlError("line %d: %r is not read here" % (line, text))
	if ": " in text or " #" in text:
		raise YamlError("line %d: quote %r" % (line, text))
	if re.fullmatch(r"-?[0-9]+", text):
		return int(text)
	return text


_KEY = re.compile(r'("(?:[^"\\]|\\.)*"|[^\s":][^:]*?):(?: +(.*))?$')


class _Reader:
	def __init__(self, text):
		self.lines = []
		for number, raw in enumerate(text.split("\n"), 1):
			if raw.strip() == "" or raw.lstrip().startswith("#"):
				continue
			if "\t" in raw or raw != raw.rstrip():
				raise YamlError("line %d: blanks" % number)
			body = raw.lstrip(" ")
			self.lines.append((len(raw) - len(body), body, number))
		self.at = 0

	def value(self, indent):
		if self.lines[self.at][1].startswith("- "):
			return self.sequence(indent)
		return self.mapping(indent)

	def deeper(self, indent, number):
		if self.at == len(self.lines) or \
		    self.lines[self.at][0] <= indent:
			raise YamlError("line %d: no value" % number)
		return self.value(self.lines[self.at][0])

	def sequence(self, indent):
		result = []
		while self.at < len(self.lines) and \
		    self.lines[self.at][0] == indent and \
		    self.lines[self.at][1].startswith("- "):
			depth, body, number = self.lines[self.at]
			rest = body[2:]
			if _KEY.match(rest):
				self.lines[self.at] = (indent + 2, rest, number)
				result.append(self.mapping(indent + 2))
			else:
				self.at += 1
				result.append(_scalar(rest, number))
		return result

	def mapping(self, indent):
		result = {}
		while self.at < len(self.lines) and \
		    self.lines[self.at][0] == indent:
			_, body, number = self.lines[self.at]
			match = _KEY.match(body)
			if not match:
				raise YamlError("line %d: no key" % number)
			key = _scalar(match.group(1), number)
			if key in result:
				raise YamlError("line %d: %r twice"
				    % (number, key))
			self.at += 1
			if match.group(2) is None:
				result[key] = self.deeper(indent, number)
			else:
				result[key] = _scalar(match.group(2), number)
		if self.at < len(self.lines) and \
		    self.lines[self.at][0] > indent:
			raise YamlError("line %d: indent"
			    % self.lines[self.at][2])
		return result


def read_yaml(text):
	reader = _Reader(text)
	value = reader.value(0)
	if reader.at != len(reader.lines):
		raise YamlError("line %d: indent" % reader.lines[reader.at][2])
	return value


# ---- JSON Schema, likewise ----

_KNOWN = {"type", "description", "required", "additionalProperties",
    "properties", "items", "minItems", "maxItems", "enum", "const", "pattern",
    "minLength", "maxLength", "minimum", "maximum", "$ref"}
_TYPES = {"object": dict, "array": list, "string": str, "boolean": bool,
    "integer": int, "null": type(None)}


def _is_type(value, name):
	if name == "integer" and isinstance(value, bool):
		return False
	return isinstance(value, _TYPES[name])


class Document:
	def __init__(self, path=FILE):
		with open(path, encoding="utf-8") as f:
			self.root = read_yaml(f.read())
		self.paths = self.root["paths"]

	def resolve(self, node):
		"""Follow $ref; members beside it may only describe."""
		while "$ref" in node:
			if set(node) - {"$ref", "description"}:
				raise YamlError("members beside %s" % node["$ref"])
			node, ref = self.root, node["$ref"]
			for part in ref[2:].split("/"):
				node = node[part]
		return node

	def check(self, value, schema, where):
		schema = self.resolve(schema)
		unknown = set(schema) - _KNOWN
		if unknown:
			raise YamlError("schema words not read here: %s"
			    % ", ".join(sorted(unknown)))
		types = schema.get("type", [])
		types = [types] if isinstance(types, str) else types
		if types and not any(_is_type(value, t) for t in types):
			raise Deviation("%s is not of type %s"
			    % (where, " or ".join(types)))
		if "const" in schema and value != schema["const"]:
			raise Deviation("%s is not %r" % (where, schema["const"]))
		if "enum" in schema and value not in schema["enum"]:
			raise Deviation("%s is %r, not one of %s" % (where, value,
			    schema["enum"]))
		if isinstance(value, str):
			self._check_string(value, schema, where)
		elif isinstance(value, dict):
			self._check_object(value, schema, where)
		elif isinstance(value, list):
			self._check_array(value, schema, where)
		elif isinstance(value, int) and not isinstance(value, bool):
			if not schema.get("minimum", value) <= value \
			    <= schema.get("maximum", value):
				raise Deviation("%s is out of range" % where)

	def _check_string(self, value, schema, where):
		if not schema.get("minLength", 0) <= len(value) \
		    <= schema.get("maxLength", len(value)):
			raise Deviation("%s has a wrong length" % where)
		if "pattern" in schema and not re.search(schema["pattern"],
		    value):
			raise Deviation("%s is not of its form" % where)

	def _check_object(self, value, schema, where):
		properties = schema.get("properties", {})
		for name in schema.get("required", []):
			if name not in value:
				raise Deviation("%s has no %r" % (where, name))
		if schema.get("additionalProperties") is not False:
			raise YamlError("%s: additionalProperties" % where)
		for name, member in value.items():
			if name not in properties:
				raise Deviation("%s has a member %r"
				    % (where, name))
			self.check(member, properties[name],
			    "%s.%s" % (where, name))

	def _check_array(self, value, schema, where):
		if not schema.get("minItems", 0) <= len(value) \
		    <= schema.get("maxItems", len(value)):
			raise Deviation("%s has a wrong count" % where)
		for i, item in enumerate(value):
			self.check(item, schema["items"], "%s[%d]" % (where, i))

	def operation(self, method, path):
		"""The operation and its path parameters."""
		for template, item in self.paths.items():
			names = re.findall(r"\{(\w+)\}", template)
			pattern = re.sub(r"\\\{\w+\\\}", "([^/]+)",
			    re.escape(template))
			match = re.fullmatch(pattern, path)
			if not match:
				continue
			method = "get" if method == "HEAD" else method.lower()
			if method not in item:
				raise Deviation("%s %s is not in openapi.yaml"
				    % (method, path))
			return item[method], dict(zip(names, match.groups()))
		raise Deviation("%s is not in openapi.yaml" % path)

	def check_request(self, operation, parameters, query, body):
		allowed = {(p["in"], p["name"]): p
		    for p in operation.get("parameters", [])}
		given = {("path", k): v for k, v in parameters.items()}
		given.update({("query", k): v for k, v in query.items()})
		for key, value in given.items():
			if key not in allowed:
				raise Deviation("no parameter %s" % key[1])
			self.check(value, allowed[key]["schema"], key[1])
		for key, p in allowed.items():
			if p["required"] and key not in given:
				raise Deviation("parameter %s is missing" % key[1])
		wanted = operation.get("requestBody")
		if (wanted is None) != (body is None):
			raise Deviation("a body is %s" % ("not taken"
			    if wanted is None else "missing"))
		if wanted:
			if len(json.dumps(body)) > wanted["x-max-bytes"]:
				raise Deviation("the body is too large")
			self.check(body, wanted["content"]["application/json"]
			    ["schema"], "body")

	def check_answer(self, operation, answer, head=False):
		"""Status, content type, headers, body; sets answer.json."""
		wanted = operation["responses"].get(str(answer.status))
		if wanted is None:
			raise Deviation("status %d is not in openapi.yaml: %s"
			    % (answer.status, answer.body[:300]))
		wanted = self.resolve(wanted)
		for name, header in wanted.get("headers", {}).items():
			value = answer.headers.get(name)
			if value is None:
				raise Deviation("header %s is missing" % name)
			self.check(value, header["schema"], name)
		content = wanted.get("content")
		if content is None or head:
			if answer.body:
				raise Deviation("a body that should not be")
			return
		kind = (answer.headers.get("Content-Type") or "").split(";")[0]
		if kind not in content:
			raise Deviation("content type %r" % kind)
		if kind == "text/html":
			return
		answer.json = json.loads(answer.body)
		self.check(answer.json, content[kind]["schema"], "answer")
		if kind == "application/problem+json":
			slug = answer.json["type"].rsplit(":", 1)[1]
			if slug not in wanted["x-problems"]:
				raise Deviation("problem %r with status %d"
				    % (slug, answer.status))
			if answer.json["status"] != answer.status:
				raise Deviation("status in the body")
			answer.problem = slug


class Answer:
	def __init__(self, status, headers, body):
		self.status = status
		self.headers = headers
		self.body = body
		self.json = None	# parsed body
		self.problem = None	# "bad-signature" and the like

	def __repr__(self):
		return "<%d %s>" % (self.status, self.body[:300])


class Api:
	"""The service at base_url; ca_file for https of our own authority."""

	def __init__(self, base_url, ca_file=None, document=None):
		self.url = urllib.parse.urlsplit(base_url)
		self.document = document or Document()
		self.context = None
		if self.url.scheme == "https":
			self.context = ssl.create_default_context(cafile=ca_file)

	def connect(self, limit_s=120):
		"""A connection that call() can be given, to be kept open."""
		if self.context:
			return http.client.HTTPSConnection(self.url.hostname,
			    self.url.port, timeout=limit_s, context=self.context)
		return http.client.HTTPConnection(self.url.hostname,
		    self.url.port, timeout=limit_s)

	def call(self, method, path, body=None, token=None, origin=None,
	    query=None, good=True, raw=None, headers=None, connection=None,
	    on_sent=None):
		"""One request.

		good=False  the request is wrong on purpose
		raw         the body as bytes, instead of `body`
		on_sent     called when it is on its way
		"""
		operation, parameters = self.document.operation(method, path)
		query = query or {}
		if good:
			self.document.check_request(operation, parameters, query,
			    body)
		if body is not None:
			raw = json.dumps(body).encode()
		send = dict(headers or {})
		if raw is not None:
			send.setdefault("Content-Type", "application/json")
		if token is not None:
			send["Authorization"] = "Bearer " + token
		if origin is not None:
			send["Origin"] = origin
		target = path + ("?" + urllib.parse.urlencode(query)
		    if query else "")
		own = connection or self.connect()
		try:
			if own.sock is None:
				own.connect()
			try:
				own.request(method, target, body=raw,
				    headers=send)
			except (ConnectionError, ssl.SSLEOFError):
				# Refused by its header: the server has answered
				# and hung up before all of the body was sent.
				pass
			if on_sent:
				on_sent()
			reply = own.getresponse()
			answer = Answer(reply.status, reply.headers,
			    reply.read())
		finally:
			if connection is None:
				own.close()
		self.document.check_answer(operation, answer, method == "HEAD")
		return answer

	def post(self, path, body, **kw):
		return self.call("POST", path, body, **kw)

	def get(self, path, **kw):
		return self.call("GET", path, **kw)
