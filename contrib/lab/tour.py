# SPDX-License-Identifier: Apache-2.0
"""What contrib/quickstart does once everything is installed and built.

    tour.py guide [--browser]   one message, shown; waits for the reader
    tour.py once                the same without a person; exit 0 or 1
    tour.py up [DIR]            only the world, until interrupted
"""

import base64
import getpass
import os
import signal
import socket
import subprocess
import sys
import textwrap

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab import browser, mail, proc, sample, world  # noqa: E402

MARKER = ".counterfoil-world"


class Difference(Exception):
	"""The tour found something that is not as promised."""


def say(text=""):
	print(text, flush=True)


def boxed(text):
	for line in text.splitlines():
		say("    | " + line)


def receipts(w):
	"""Receipt mails in alice's Maildir: (file, parsed message) pairs."""
	found = []
	for path in w.a.messages("alice"):
		message = sample.parse(mail.read(path))
		if w.keysrv.receipt_from in str(message["From"]):
			found.append((path, message))
	return found


def show_mail(message):
	for name in ("From", "To", "Subject", "Date"):
		say("    | %s: %s" % (name, message[name]))
	body = message.get_body(("plain",))
	say("    |")
	boxed(body.get_content() if body else "(no text part)")


def send(w, message, limit_s=180):
	code, text = mail.send(w.a.port, message.sender, message.to,
	    message.sent, options=["BODY=8BITMIME"])
	if code != 250:
		raise Difference("Postfix at a.test refused the message: %d %s"
		    % (code, text.decode("utf-8", "replace")))
	return mail.wait(w.b, "bob", 1, limit_s)[-1]


def wait_receipt(w, known, limit_s):
	"""The next receipt mail, beyond the `known` ones."""
	def arrived():
		gone = w.dead()
		if gone:
			raise proc.LabError("%s has ended by itself" % gone)
		now = receipts(w)
		return now[known] if len(now) > known else None
	return proc.wait_for(arrived, limit_s,
	    "a receipt mail for alice@a.test")[1]


def show_row(w, handle):
	say("\nThe receipt in the database (psql: SELECT * FROM "
	    "counterfoil.receipt_log):")
	boxed(w.receipt_rows(handle))


def guide(use_browser):
	with_world(lambda w: guide_in(w, use_browser))


def guide_in(w, use_browser):
	message = sample.Full(size=20000)
	path = send(w, message)
	delivered = mail.read(path)
	link = sample.link(delivered)
	say("\nalice@a.test sent a message with X-Return-Receipt: yes and an "
	    "attachment.\nThis is what bob@b.test finds in his mailbox:\n")
	parsed = sample.parse(delivered)
	for name in ("From", "To", "Subject"):
		say("    | %s: %s" % (name, parsed[name]))
	say("    |")
	boxed(sample.notice_text(delivered))
	say("\nOpen the link as bob would:\n\n%s\n" % link)
	say("No screen on this machine? On the one in front of you run\n\n"
	    "    ssh -L %d:127.0.0.1:%d -L %d:127.0.0.1:%d %s@%s\n\n"
	    "and open the same link in its browser." % (w.b_reader.port,
	    w.b_reader.port, w.keysrv.port, w.keysrv.port,
	    getpass.getuser(), socket.gethostname()))
	say("Or without a browser:\n\n    %s -c %s open %s\n"
	    % (proc.program("counterfoil"), w.agent_config(), path))
	if use_browser:
		start_browser(w, link)
	say("Waiting for the click; Ctrl-C stops everything.")
	known = 0
	while True:
		receipt = wait_receipt(w, known, 10 ** 9)
		known += 1
		say("\nalice@a.test got this receipt:\n")
		show_mail(receipt)
		show_row(w, sample.handle(link))
		say("\nThe world goes on until Ctrl-C.")


def start_browser(w, link):
	if not (os.environ.get("DISPLAY")
	    or os.environ.get("WAYLAND_DISPLAY")):
		raise Difference("--browser needs a screen: neither DISPLAY nor "
		    "WAYLAND_DISPLAY is set")
	argv = ["chromium", "--user-data-dir=" + w.path("chromium"),
	    "--no-first-run", "--no-default-browser-check"]
	if os.geteuid() == 0:
		argv.append("--no-sandbox")	# refuses to start as root else
	proc.Process("Chromium", argv + [link], w.path("chromium.log"),
	    env=dict(os.environ, HOME=w.path()))
	say("Chromium is starting on it.")


def once():
	with_world(once_in)


def once_in(w):
	message = sample.Full()
	path = send(w, message)
	link = sample.link(mail.read(path))
	handle = sample.handle(link)
	say("  delivered to bob@b.test: %s" % path)
	compare_shown(message, browser.open_link(link, w.path("browser")))
	say("  opened in Chromium: text, HTML and attachment are the sent ones")
	receipt = wait_receipt(w, 0, 240)	# a minute is wanted
	compare_file(message, w, path)
	say("  opened by `counterfoil open`: the whole message is the sent one")
	if handle not in str(receipt["Subject"]):
		raise Difference("the receipt's Subject does not name the key "
		    "%s: %s" % (handle, receipt["Subject"]))
	say("\nThe receipt mail in alice's Maildir:\n")
	show_mail(receipt)
	show_row(w, handle)
	say("\nEverything is as it should be.")


def one_kind_of_line(data):
	return data.replace(b"\r\n", b"\n").rstrip(b"\n")


def words(text):
	"""The same with every run of white space as one blank."""
	return text and b" ".join(text.split())


def compare_shown(message, shown):
	"""What the page showed against what was sent."""
	def same(what, got, wanted):
		if got is None:
			raise Difference("the page showed no %s" % what)
		if one_kind_of_line(got) != one_kind_of_line(wanted):
			raise Difference("the %s in the page is not what was "
			    "sent:\n%r\ninstead of\n%r" % (what, got[:2000],
			    wanted[:2000]))
	same("text", shown["text"], message.text.encode())
	same("HTML", words(shown["html"]), words(sample.HTML_TEXT.encode()))
	picture = base64.b64encode(sample.png())
	for part in (b"<b>offer</b>", b"data:image/png;base64," + picture):
		if part not in (shown["markup"] or b""):
			raise Difference("the HTML in the page lacks %r:\n%r"
			    % (part, (shown["markup"] or b"")[:2000]))
	got = shown["attachments"].get(message.attachment_name)
	if got != message.attachment:
		raise Difference("the attachment from the page is not what was "
		    "sent (%s bytes of %d; names: %s)" % (got and len(got),
		    len(message.attachment), list(shown["attachments"])))
	why = message.compare(shown["original"] or b"")
	if why:
		raise Difference("saved from the page as .eml: " + why)


def compare_file(message, w, path):
	out = w.path("opened.eml")
	done = proc.run([proc.program("counterfoil"), "-c", w.agent_config(),
	    "open", path, "-o", out], check=False)
	if done.returncode != 0:
		raise Difference("counterfoil open ended with %d: %s"
		    % (done.returncode, done.stderr.decode("utf-8", "replace")))
	why = message.compare(mail.read(out))
	if why:
		raise Difference("counterfoil open: " + why)


def up(folder):
	if folder:
		folder = os.path.abspath(folder)
		claim(folder)
	with_world(up_in, folder)


def claim(folder):
	"""An empty directory, or one where an earlier world was."""
	os.makedirs(folder, mode=0o711, exist_ok=True)
	marker = os.path.join(folder, MARKER)
	if os.listdir(folder) and not os.path.exists(marker):
		raise Difference("%s is not empty" % folder)
	for name in os.listdir(folder):
		path = os.path.join(folder, name)
		if os.path.isdir(path) and not os.path.islink(path):
			proc.remove_tree(path)
		else:
			os.unlink(path)
	proc.write_file(marker, "")
	proc.check_searchable(folder)


def up_in(w):
	try:
		say("\nThe world is up. In another shell:\n\n    . %s\n\n"
		    "alice@a.test may ask for receipts, by SMTP at %s, and "
		    "bob@b.test\nis who opens the mail. The programs are in "
		    "%s.\nThe mail servers' files: /usr/sbin/postconf -c %s\n"
		    "                         /usr/sbin/postconf -c %s\n"
		    "If one of its programs ends, all of the world does. "
		    "Ctrl-C stops it." % (w.write_env(), w.a.address(),
		    proc.builddir(), w.a.etc, w.b.etc))
		while not w.dead():
			wait_signal(1)
		raise proc.LabError("%s has ended by itself" % w.dead())
	finally:
		if os.path.exists(w.path("env")):
			os.unlink(w.path("env"))


def wait_signal(seconds):
	signal.sigtimedwait([], seconds)


def with_world(use, folder=None):
	"""Start, use, stop; the files stay if something went wrong."""
	def interrupted(number, frame):
		raise KeyboardInterrupt
	for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
		signal.signal(number, interrupted)
	say("\nStarting a private world on loopback")
	w = world.World(folder=folder, say=lambda t: say("  " + t))
	code = 1
	try:
		w.start()
		use(w)
		code = 0
	except KeyboardInterrupt:
		say("\nInterrupted.")
		code = 0 if use is not once_in else 1
	except (Difference, proc.LabError, OSError,
	    subprocess.SubprocessError) as e:
		say("\nFAILED: %s" % e)
	finally:
		for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
			signal.signal(number, signal.SIG_IGN)
		try:
			w.stop(keep=code != 0)
		except proc.LabError as e:
			say("\nFAILED while stopping: %s" % e)
			code = 1
	say("Stopped." if code == 0 else "\nThe files and logs of this world "
	    "are kept in %s" % w.folder)
	sys.exit(code)


def main(words):
	try:
		if words[:1] == ["guide"]:
			guide("--browser" in words[1:])
		elif words == ["once"]:
			once()
		elif words[:1] == ["up"] and len(words) < 3:
			up(words[1] if len(words) > 1 else None)
		else:
			sys.exit(textwrap.dedent(__doc__))
	except Difference as e:
		sys.exit("FAILED: %s" % e)


if __name__ == "__main__":
	main(sys.argv[1:])
