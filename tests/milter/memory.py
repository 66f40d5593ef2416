#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How much memory many and large messages at once cost the milter.

All of them are in the milter whole before the end of the first one is sent,
so what is measured is the peak, not how fast this machine is.
"""

import os
import re
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig as lib  # noqa: E402
from rig import client, proc, tap  # noqa: E402

LINE = b"%07d A line of a large message, as it may stand there.\r\n"
LIMIT_S = 240
# A sanitizer keeps what was freed, and notes of its own beside everything.
SANITIZED_MB = 4000
rigs = []


def new(**options):
	# A worker of its own for each message: they are under way together.
	rig = lib.Rig(message_size_limit=60000000, **options)
	rigs.append(rig)
	return rig.start()


def end():
	for rig in rigs:
		rig.close()


def at_most(rig, mb):
	if "ASAN_OPTIONS" in os.environ or "TSAN_OPTIONS" in os.environ:
		mb = SANITIZED_MB
	peak = peak_mb(rig)
	tap.true(peak <= mb, "at most %d MB, not %.0f" % (mb, peak))


def peak_mb(rig):
	text = proc.read_text("/proc/%d/status" % rig.process.pid)
	return int(re.search(r"VmHWM:\s+(\d+) kB", text).group(1)) / 1024


def body_of(size):
	return b"".join(LINE % n for n in range(size // len(LINE % 0)))


class Session(client.Session):
	"""Counts the bytes of the new body; there is no room for all."""

	new_bytes = 0

	def get(self):
		command, data = super().get()
		if command == b"b":
			self.new_bytes += len(data)
			data = data[:1]
		return command, data


def send_all(rig, count, fields, body):
	"""Bytes of the new bodies."""
	together = threading.Barrier(count)
	sizes = []
	troubles = []

	def one():
		try:
			session = Session(rig.address, limit_s=LIMIT_S)
			result = session.begin((fields, body))
			tap.equal(result.verdict, None, "verdict before the end")
			together.wait(LIMIT_S)
			session.end(result)
			tap.equal(result.verdict, "accept", "verdict")
			sizes.append(session.new_bytes)
			session.quit()
		except BaseException as e:
			troubles.append(e)
			together.abort()
	threads = [threading.Thread(target=one) for _ in range(count)]
	for t in threads:
		t.start()
	for t in threads:
		t.join()
	if troubles:
		raise troubles[0]
	return sizes


def check_peak(count, size, most_mb):
	rig = new()
	fields, _ = client.split_message(lib.message())
	body = body_of(size)
	sizes = send_all(rig, count, fields, body)
	tap.equal(len(sizes), count, "messages")
	tap.true(all(len(body) * 4 / 3 < n < len(body) * 1.4 + 20000
	    for n in sizes), "4/3 and line ends: %s" % sizes[:3])
	tap.equal(len(rig.blobs()), count, "messages in the store")
	tap.note("%d x %d bytes: at most %.0f MB" % (count, size, peak_mb(rig)))
	at_most(rig, most_mb)
	rig.stop()


def check_inbound(count, size, most_mb):
	"""The same on the recipient's side."""
	rig = new()
	p = rig.send(lib.message(body_of(size))).message
	inbound = new(mode="inbound", allowed_key_servers=[
	    rig.key_server.url])
	sizes = send_all(inbound, count, *client.split_message(p))
	tap.equal(len(sizes), count, "messages")
	tap.true(all(n > size * 4 / 3 for n in sizes), "new bodies: %s"
	    % sizes[:3])
	tap.equal(len(inbound.blobs()), 1, "files: all have the same E")
	tap.note("%d x %d bytes: at most %.0f MB" % (count, size,
	    peak_mb(inbound)))
	at_most(inbound, most_mb)
	inbound.stop()
	rig.stop()


@tap.case("eight sealed messages of 25 MB that come in: at most 40 MB")
def t_large_inbound():
	check_inbound(8, 25000000, 40)


@tap.case("200 sealed messages of 1 MB that come in: at most 300 MB")
def t_many_inbound():
	check_inbound(200, 1000000, 300)


@tap.case("eight messages of 25 MB at once: at most 100 MB of memory")
def t_large():
	check_peak(8, 25000000, 100)


@tap.case("200 messages of 1 MB at once: at most 300 MB of memory")
def t_many():
	check_peak(200, 1000000, 300)


tap.main(teardown=end)
