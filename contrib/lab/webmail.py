# SPDX-License-Identifier: Apache-2.0
"""Roundcube as Debian packages it, from unpacked files, on PHP's own web
server, with Debian's Dovecot in front of a lab mail server's Maildirs.
"""

import glob
import os
import shutil
import signal

from lab import proc, unpack

PASSWORD = "secret"
ROUNDCUBE = "usr/share/roundcube"
EXTENSIONS = ("ctype", "dom", "fileinfo", "iconv", "intl", "mbstring", "pdo",
    "pdo_sqlite", "phar", "simplexml", "sockets", "tokenizer", "xml",
    "xmlreader", "xmlwriter")

DOVECOT = """\
base_dir = %(folder)s/run
state_dir = %(folder)s/run
instance_name = lab
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
log_path = %(folder)s/dovecot.log
mail_location = maildir:%(mail)s/%%n
first_valid_uid = 1
service imap-login {
  inet_listener imap {
    port = %(imap)d
  }
  inet_listener imaps {
    port = 0
  }
}
passdb {
  driver = static
  args = password=%(password)s
}
userdb {
  driver = static
  args = uid=%(user)s gid=%(group)s home=%(folder)s
}
"""

CONFIG = """\
<?php
$config['db_dsnw'] = 'sqlite:///%(folder)s/db?mode=0640';
$config['imap_host'] = '127.0.0.1:%(imap)d';
$config['des_key'] = '%(key)s';
$config['plugins'] = [];
$config['temp_dir'] = $config['log_dir'] = '%(folder)s/temp';
"""

PHP = """\
extension_dir = %(extensions)s
include_path = %(root)s/usr/share/php
auto_prepend_file = %(folder)s/begin.php
session.save_path = %(folder)s/temp
sys_temp_dir = %(folder)s/temp
date.timezone = UTC
error_reporting = E_ALL & ~E_DEPRECATED
display_errors = Off
log_errors = On
"""


class Webmail:
	"""For the users of a postfix.Postfix, all with PASSWORD, at self.url."""

	def __init__(self, folder, postfix, user="nobody", group="nogroup"):
		self.folder = folder
		self.mail = postfix.mail
		self.user, self.group = user, group
		self.imap = proc.free_port()
		self.port = proc.free_port()
		self.url = "http://127.0.0.1:%d" % self.port
		self.log = os.path.join(folder, "php.log")
		self.dovecot = self.process = None

	def _path(self, *parts):
		return os.path.join(self.folder, *parts)

	def start(self):
		for path in (self._path("run"), self._path("temp"),
		    self._path("config")):
			os.makedirs(path)
		self._start_dovecot()
		self._start_roundcube()
		return self

	def _start_dovecot(self):
		conf = self._path("dovecot.conf")
		proc.write_file(conf, DOVECOT % dict(vars(self),
		    password=PASSWORD))
		self.dovecot = proc.Process("dovecot", ["dovecot", "-F", "-c",
		    conf], self._path("dovecot.said"))
		self.dovecot.wait_ready(lambda: proc.port_answers(self.imap))

	def _start_roundcube(self):
		root = unpack.root("handlers", ROUNDCUBE)
		site = os.path.join(root, ROUNDCUBE)
		words = dict(vars(self), root=root, key=os.urandom(12).hex(),
		    extensions=glob.glob(os.path.join(root,
		    "usr/lib/php/2*"))[0])
		for name in ("defaults.inc.php", "mimetypes.php"):
			shutil.copy(os.path.join(root, "etc/roundcube", name),
			    self._path("config"))
		proc.write_file(self._path("config", "config.inc.php"),
		    CONFIG % words)
		# Where Debian's Roundcube looks for itself otherwise.
		proc.write_file(self._path("begin.php"),
		    "<?php define('INSTALL_PATH', '%s/');\n" % site)
		proc.write_file(self._path("php.ini"), PHP % words + "".join(
		    "extension = %s\n" % e for e in EXTENSIONS))
		env = dict(os.environ, PHP_CLI_SERVER_WORKERS="3",
		    PHP_INI_SCAN_DIR="", ROUNDCUBE_CONFIG_DIR=self._path(
		    "config"), LD_LIBRARY_PATH=glob.glob(os.path.join(root,
		    "usr/lib/*-linux-gnu*"))[0])
		self.process = proc.Process("roundcube", [os.path.join(root,
		    "usr/bin/php8.2"), "-c", self._path("php.ini"), "-S",
		    "127.0.0.1:%d" % self.port, "-t", site], self.log, env)
		self.process.wait_ready(lambda: proc.port_answers(self.port))

	def stop(self):
		if self.process is not None:
			process, self.process = self.process, None
			# It leaves its workers behind.
			os.killpg(process.pid, signal.SIGTERM)
			process.wait()
		if self.dovecot is not None:
			dovecot, self.dovecot = self.dovecot, None
			dovecot.stop()
