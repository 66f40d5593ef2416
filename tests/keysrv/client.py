# SPDX-License-Identifier: Apache-2.0
"""A gateway and a recipient of the key server, for tests.

They make the same values as the real ones, from a random content key and a
random ciphertext hash; there is no message.
"""

import base64
import datetime
import hashlib
import hmac
import os

import ed25519


def b64(data):
	return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
	return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def now():
	t = datetime.datetime.now(datetime.timezone.utc)
	return t.strftime("%Y-%m-%dT%H:%M:%S.") + "%03dZ" % (t.microsecond // 1000)


def hkdf(ikm, salt, info, length=32):
	prk = hmac.new(salt or bytes(32), ikm, hashlib.sha256).digest()
	out, block, n = b"", b"", 1
	while len(out) < length:
		block = hmac.new(prk, block + info + bytes([n]),
		    hashlib.sha256).digest()
		out, n = out + block, n + 1
	return out[:length]


# One gateway, one reference secret.
REFERENCE = b64(b"reference check.")


class Message:
	"""One sealed message: its key id, token and proofs."""

	def __init__(self, ref=None, sender="alice@a.test",
	    recipient="bob@b.test"):
		self.key_id = os.urandom(16)
		self.handle = b64(self.key_id)
		self.token = os.urandom(32)
		self.ref = ref or os.urandom(32)
		self.sender = sender
		self.recipient = recipient
		self.message_id = "<%s@a.test>" % os.urandom(8).hex()
		self.cek = os.urandom(32)
		self.opening_seed = hkdf(self.cek, b"", b"counterfoil opening v1")
		self.possession_seed = hashlib.sha256(
		    b"counterfoil possession v1\0" + os.urandom(12)
		    + os.urandom(32)).digest()
		self.opening_key = ed25519.public_key(self.opening_seed)
		self.possession_key = ed25519.public_key(self.possession_seed)

	def key(self, **changes):
		return dict({"key_id": self.handle, "token": b64(self.token),
		    "algorithm": "kek-a256kw",
		    "opening_key": b64(self.opening_key),
		    "possession_key": b64(self.possession_key),
		    "policy": {"require": "bearer"}}, **changes)

	def issue(self, **changes):
		return dict({"request_id": b64(os.urandom(16)),
		    "message_ref": b64(self.ref), "reference_check": REFERENCE,
		    "message_id": self.message_id,
		    "sender": self.sender, "recipients": [self.recipient],
		    "reader_url": "https://reader.a.test",
		    "keys": [self.key()]}, **changes)

	def short(self, **changes):
		return dict({"handle": self.handle, "token": b64(self.token)},
		    **changes)

	def ask(self, verb, challenge, origin="-", seed=None, **changes):
		"""A signed describe or retrieve request."""
		time = now()
		text = "counterfoil %s v1\n%s\n%s\n%s\n%s\n" % (verb,
		    self.handle, challenge, origin, time)
		return dict(self.short(), **dict({"challenge": challenge,
		    "origin": origin, "time": time,
		    "signature": b64(ed25519.sign(seed or self.possession_seed,
		        text.encode()))}, **changes))

	def done(self, verb, release_id, secret, seed=None, **changes):
		"""A signed open or mismatch request."""
		time = now()
		text = "counterfoil %s v1\n%s\n%s\n%s\n%s\n" % (verb,
		    self.handle, release_id,
		    b64(hashlib.sha256(unb64(secret)).digest()), time)
		if seed is None:
			seed = (self.opening_seed if verb == "open"
			    else self.possession_seed)
		return dict({"handle": self.handle, "release_id": release_id,
		    "release_secret": secret, "time": time,
		    "signature": b64(ed25519.sign(seed, text.encode()))},
		    **changes)


def commitment(key):
	return b64(hashlib.sha256(b"counterfoil key v1\0" + key).digest())
