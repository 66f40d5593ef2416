# SPDX-License-Identifier: Apache-2.0
"""Mailman 3 as Debian packages it, without its web parts, from unpacked files.

It signs what it sends with ARC, by dkimpy.  Nothing is looked up in the DNS,
and nothing fetched.
"""

import json
import os
import pwd
import signal

from lab import proc, unpack

USER = "list"
PARTS = "usr/lib/python3/dist-packages"
RUNNERS = ("in", "lmtp", "out", "pipeline")	# of those there are:
ALL_RUNNERS = RUNNERS + ("archive", "bounces", "command", "digest", "nntp",
    "rest", "retry", "task", "virgin")

CONFIG = """\
[mailman]
site_owner: owner@%(domain)s
layout: lab
[paths.lab]
var_dir: %(var)s
bin_dir: %(folder)s
etc_dir: %(var)s
queue_dir: $var_dir/queue
list_data_dir: $var_dir/lists
log_dir: $var_dir/logs
lock_dir: $var_dir/locks
data_dir: $var_dir/data
cache_dir: $var_dir/cache
ext_dir: $var_dir/ext
messages_dir: $var_dir/messages
archive_dir: $var_dir/archives
template_dir: $var_dir/templates
pid_file: $var_dir/master.pid
lock_file: $lock_dir/master.lck
[mta]
incoming: mailman.mta.null.NullMTA
smtp_host: 127.0.0.1
smtp_port: %(smtp)d
lmtp_host: 127.0.0.1
lmtp_port: %(lmtp)d
[ARC]
enabled: yes
dmarc: no
dkim: no
authserv_id: %(domain)s
selector: s1
domain: %(domain)s
privkey: %(var)s/arc.pem
[dmarc]
org_domain_data_url: file://%(parts)s/mailman/rules/data/public_suffix_list.dat
"""

# A program of Mailman, with its modules where they are.
STARTER = """\
import site, sys
site.addsitedir(%(parts)r)
from mailman.bin.%(name)s import main
sys.exit(main())
"""

# Makes the lists: argv has the configuration and JSON.
MAKE = """\
import json, site, sys
site.addsitedir(%(parts)r)
from mailman.core.initialize import initialize
initialize(sys.argv[1])
from mailman.app.lifecycle import create_list
from mailman.database.transaction import transaction
from mailman.interfaces.action import Action, FilterAction
from mailman.interfaces.archiver import ArchivePolicy
from mailman.interfaces.domain import IDomainManager
from mailman.interfaces.mailinglist import (DMARCMitigateAction,
    Personalization)
from mailman.interfaces.member import MemberRole
from mailman.interfaces.usermanager import IUserManager
from zope.component import getUtility

enums = {"dmarc_mitigate_action": DMARCMitigateAction,
    "personalize": Personalization}
domain, members, lists = json.loads(sys.argv[2])
with transaction():
    getUtility(IDomainManager).add(domain)
    users = getUtility(IUserManager)
    people = [users.create_user(m).addresses[0] for m in members]
    for name, options in lists.items():
        made = create_list("%%s@%%s" %% (name, domain), ["owner@" + domain])
        made.default_nonmember_action = Action.accept
        made.archive_policy = ArchivePolicy.never
        made.send_welcome_message = False
        made.max_message_size = 0
        for option, value in options.items():
            if option in enums:
                value = enums[option][value]
            setattr(made, option, value)
        for one in people:
            made.subscribe(one, MemberRole.member)
"""


class Mailman:
	"""Lists {name: {attribute: value}} of a domain, with the same members.

	Takes mail by LMTP at self.port, sends to 127.0.0.1:smtp_port.  An
	attribute is one of Mailman's IMailingList; enumerations by name.
	"""

	def __init__(self, folder, domain, smtp_port, members, lists):
		self.folder = folder
		self.domain = domain
		self.smtp_port = smtp_port
		self.members = members
		self.lists = lists
		self.var = os.path.join(folder, "var")
		self.config = os.path.join(self.var, "mailman.cfg")
		self.log = os.path.join(folder, "log")
		self.port = proc.free_port()
		self.process = self.guard = None

	def _argv(self, *argv):
		return ["setpriv", "--reuid=" + USER, "--regid=" + USER,
		    "--clear-groups", "/usr/bin/python3", *argv]

	def _write(self):
		user = pwd.getpwnam(USER)
		parts = os.path.join(unpack.root("handlers", PARTS), PARTS)
		words = {"domain": self.domain, "var": self.var, "parts": parts,
		    "folder": self.folder, "smtp": self.smtp_port,
		    "lmtp": self.port}
		os.makedirs(self.var)
		proc.write_file(self.config, CONFIG % words + "".join(
		    "[runner.%s]\nstart: no\n" % name for name in ALL_RUNNERS
		    if name not in RUNNERS))
		key = os.path.join(self.var, "arc.pem")
		proc.run(["openssl", "genrsa", "-traditional", "-out", key,
		    "2048"])
		for path in (self.var, self.config, key):
			os.chown(path, user.pw_uid, user.pw_gid)
		for name in ("master", "runner"):
			proc.write_file(os.path.join(self.folder, name),
			    STARTER % dict(words, name=name))
		proc.write_file(os.path.join(self.folder, "make"), MAKE % words)

	def start(self):
		self._write()
		proc.run(self._argv(os.path.join(self.folder, "make"),
		    self.config, json.dumps([self.domain, self.members,
		    self.lists])), cwd="/")
		self.process = proc.Process("mailman", self._argv(os.path.join(
		    self.folder, "master"), "-C", self.config), self.log)
		self.guard = proc.Guard(self.process.pid)
		self.process.wait_ready(lambda: proc.port_answers(self.port))
		return self

	def log_text(self):
		logs = os.path.join(self.var, "logs")
		return "".join(proc.read_text(os.path.join(logs, name))
		    for name in sorted(os.listdir(logs)))

	def stop(self):
		if self.process is None:
			return
		process, self.process = self.process, None
		self.guard.cancel()
		# Asked to end, it takes its time; nothing is to be kept.
		os.killpg(process.pid, signal.SIGKILL)
		process.wait()
