# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Install Debian packages without changing anything else on the machine.
# Read by contrib/quickstart and contrib/check; needs bash, dpkg and apt only.
#
#   - apt is simulated first: if it would remove a package, nothing is done;
#   - no service of a new package is started (policy-rc.d) or enabled;
#   - no default PostgreSQL cluster is made;
#   - what was there keeps its state.
#
# DPKG_ROOT, when set, names another root directory (the tests use one).

CF_BUILD_PACKAGES="build-essential autoconf automake pkg-config m4
	libmilter-dev libssl-dev libssl3 libpq-dev libcurl4-openssl-dev
	libgmime-3.0-dev libmicrohttpd-dev libjansson-dev libconfuse-dev
	ca-certificates"
CF_WORLD_PACKAGES="postfix postgresql-15 postgresql-client-15 openssl python3
	util-linux"
CF_BROWSER_PACKAGES="chromium"
# contrib/check: to build all tests and to run them at all.
CF_CHECK_PACKAGES="libcmocka-dev procps python3 openssl git"
CF_SANITIZER_PACKAGES="clang libclang-rt-14-dev llvm"
CF_NSS_PACKAGES="libnss3-tools"	# an authority for Chromium
CF_PROXY_PACKAGES="tinyproxy-bin pgbouncer"	# between us and others
CF_LINT_PACKAGES="mandoc binutils systemd"
CF_E2E_PACKAGES="opendkim mutt s-nail nginx adduser xz-utils rspamd
	spamassassin spamc spamd amavisd-new clamav-daemon altermime
	dovecot-imapd"
# What Sendmail's programs need; see unpack_sendmail.
CF_SENDMAIL_PACKAGES="libdb5.3 libldap-2.5-0 liblockfile1 libnsl2 libsasl2-2
	libwrap0 m4"
# Mailman and Roundcube with all that they need beside Debian's Python and what
# is above; see unpack_handlers.
CF_HANDLERS_PACKAGES="mailman3 python3-aiosmtpd python3-alembic python3-attr
	python3-authheaders python3-authres python3-certifi python3-chardet
	python3-charset-normalizer python3-click python3-colorama
	python3-dateutil python3-dkim python3-dnspython python3-falcon
	python3-flufl.bounce python3-flufl.i18n python3-flufl.lock
	python3-greenlet python3-gunicorn python3-idna
	python3-importlib-metadata python3-importlib-resources
	python3-lazr.config python3-lazr.delegates python3-mako
	python3-markupsafe python3-more-itertools python3-passlib
	python3-pkg-resources python3-psutil python3-public
	python3-publicsuffix2 python3-requests python3-setuptools python3-six
	python3-sqlalchemy python3-typing-extensions python3-urllib3
	python3-zipp python3-zope.component python3-zope.configuration
	python3-zope.event python3-zope.hookable python3-zope.i18nmessageid
	python3-zope.interface python3-zope.schema
	roundcube-core libjs-bootstrap4 libjs-jquery libjs-jquery-ui
	libjs-jstimezonedetect libargon2-1 libedit2 libicu72 libmagic-mgc
	libmagic1 libonig5 libsodium23 libxml2 libxslt1.1 php-auth-sasl
	php-getallheaders php-guzzlehttp-guzzle php-guzzlehttp-promises
	php-guzzlehttp-psr7 php-mail-mime php-masterminds-html5 php-net-sieve
	php-net-smtp php-net-socket php-pear php-psr-http-client
	php-psr-http-factory php-psr-http-message
	php-symfony-deprecation-contracts php8.2-cli php8.2-common php8.2-intl
	php8.2-mbstring php8.2-sqlite3 php8.2-xml"
CF_LIBSSL_MINIMUM=3.0.22

say()
{
	printf '%s\n' "$*"
}

die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# step LOG TEXT COMMAND...: one line of progress; the log's end on failure.
step()
{
	local log=$1 text=$2 began=$SECONDS
	shift 2
	printf '  %-46s ' "$text"
	if "$@" >>"$log" 2>&1 </dev/null; then
		printf 'ok (%d s)\n' $((SECONDS - began))
	else
		printf 'FAILED\n'
		tail -n 60 "$log" | sed 's/^/    | /'
		die "$text failed; the whole log is $log"
	fi
}

# have_package NAME
have_package()
{
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = \
	    installed ]
}

# Names from the list that are not installed, one a line.
missing_packages()
{
	local name
	for name in "$@"; do
		have_package "$name" || printf '%s\n' "$name"
	done | awk '!seen[$0]++'
}

# node and npm are needed as programs, whoever packaged them.
node_packages()
{
	command -v node >/dev/null || printf 'nodejs\n'
	command -v npm >/dev/null || printf 'npm\n'
}

libssl_is_new_enough()
{
	dpkg --compare-versions \
	    "$(dpkg-query -W -f '${Version}' libssl3 2>/dev/null)" ge \
	    "$CF_LIBSSL_MINIMUM"
}

# Will it be, once apt has upgraded it?
libssl_can_be_had()
{
	dpkg --compare-versions \
	    "$(apt-cache policy libssl3 | awk '/Candidate:/ { print $2 }')" \
	    ge "$CF_LIBSSL_MINIMUM"
}

# packages_of_suite NAME: what its tests need beside what builds them.
# shellcheck disable=SC2086
packages_of_suite()
{
	case $1 in
	unit)	;;
	lint)	printf '%s ' $CF_LINT_PACKAGES ;;
	keysrv|reader|milter|fault|soak)
		printf '%s ' $CF_WORLD_PACKAGES $CF_PROXY_PACKAGES ;;
	browser)
		printf '%s ' $CF_WORLD_PACKAGES $CF_BROWSER_PACKAGES \
		    $CF_NSS_PACKAGES poppler-utils ;;
	*)	printf '%s ' $CF_WORLD_PACKAGES $CF_BROWSER_PACKAGES \
		    $CF_NSS_PACKAGES $CF_LINT_PACKAGES $CF_PROXY_PACKAGES \
		    $CF_E2E_PACKAGES $CF_SENDMAIL_PACKAGES poppler-utils ;;
	esac
}

# The state that an installation must not change: every enabled unit and
# every start link, one a line.
units_enabled()
{
	local root=${DPKG_ROOT:-}
	{
		# A folder that does not exist is no error.
		find "$root/etc/systemd/system" "$root/etc/systemd/user" \
		    -type l '(' -path '*.wants/*' -o -path '*.requires/*' \
		    ')' -printf 'link %p\n' ||:
		find "$root/etc" -maxdepth 2 -path "$root/etc/rc?.d/S*" \
		    -printf 'rc %p\n' ||:
	} 2>/dev/null | LC_ALL=C sort
}

# Every unit that runs, one a line; nothing where systemd does not run.
units_active()
{
	[ -d /run/systemd/system ] || return 0
	systemctl list-units --no-legend --plain --state=active \
	    --type=service,socket,timer,path 2>/dev/null |
	    awk '{ print "active " $1 }' | LC_ALL=C sort
}

# packages_installed: name and version, one a line.
packages_installed()
{
	dpkg-query -W -f '${db:Status-Status} ${Package}:${Architecture} ${Version}\n' |
	    awk '$1 == "installed" { print $2, $3 }' | LC_ALL=C sort
}

# units_disable_new BEFORE: disable what units_enabled shows more than the
# file BEFORE does.  Through Debian's own helpers, so that a later upgrade
# does not enable it again.
units_disable_new()
{
	local kind path unit
	units_enabled | LC_ALL=C comm -13 "$1" - |
	while read -r kind path; do
		unit=${path##*/}
		if [ "$kind" = link ]; then
			if command -v deb-systemd-helper >/dev/null; then
				deb-systemd-helper disable "$unit" ||:
			fi
			rm -f "$path"
		else
			unit=${unit#S??}
			[ ! -e "$path" ] || update-rc.d "$unit" disable ||:
			[ ! -e "$path" ] ||
			    mv "$path" "${path%/*}/K01$unit"
		fi
	done
}

# removed_by_simulation FILE: names apt would remove, from its dry run.
removed_by_simulation()
{
	awk '$1 == "Remv" { print $2 }' "$1"
}

# Put files aside, install, put everything back.  In a subshell: the trap
# must run whatever happens.
install_quietly()
(
	policy=/usr/sbin/policy-rc.d
	cluster_dir=/etc/postgresql-common/createcluster.d
	cluster=$cluster_dir/zz-counterfoil-quickstart.conf
	before=$(mktemp)
	made=$before
	units_enabled >"$before"
	cleanup()
	{
		units_disable_new "$before"
		# shellcheck disable=SC2086
		rm -f $made
		rmdir --ignore-fail-on-non-empty "$cluster_dir" \
		    /etc/postgresql-common 2>/dev/null ||:
	}
	trap cleanup EXIT
	trap 'exit 1' INT TERM HUP
	if [ ! -e "$policy" ]; then
		made="$made $policy"
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi
	made="$made $cluster"
	mkdir -p "$cluster_dir"
	printf 'create_main_cluster = false\n' >"$cluster"
	DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
	    apt-get -o DPkg::Lock::Timeout=120 -o Acquire::Retries=5 \
	    -o Dpkg::Options::=--force-confold install -y --no-install-recommends "$@"
)

# install_packages LOG NAME...: what of these is missing.
install_packages()
{
	local log=$1 simulated removed code=0 missing
	shift
	missing=$(missing_packages "$@")
	if libssl_is_new_enough; then
		if [ -z "$missing" ]; then
			say "  every package is there; nothing is installed"
			return 0
		fi
	else
		missing="$missing libssl3"	# an upgrade
	fi
	# shellcheck disable=SC2086
	missing=$(printf '%s ' $missing)
	[ "$(id -u)" = 0 ] ||
	    die "packages are missing; run as root, or install: $missing"
	say "  missing packages: $missing"
	if [ -x /usr/sbin/policy-rc.d ]; then
		/usr/sbin/policy-rc.d postfix start >/dev/null 2>&1 || code=$?
		[ "$code" = 101 ] || die "/usr/sbin/policy-rc.d is there and \
would let new services start; nothing was installed. Move it away for the \
time of the installation, or install these yourself: $missing"
	fi
	step "$log" "apt-get update" \
	    apt-get -o DPkg::Lock::Timeout=120 -o Acquire::Retries=5 update
	libssl_is_new_enough || libssl_can_be_had || die "libssl3 is older \
than $CF_LIBSSL_MINIMUM, and apt knows no newer one; enable \
bookworm-security in /etc/apt/sources.list (see \
https://www.debian.org/security/) and start again"
	simulated=$(mktemp)
	# shellcheck disable=SC2086
	if ! apt-get -s install --no-install-recommends $missing \
	    >"$simulated" 2>>"$log"; then
		cat "$simulated" >>"$log"
		rm -f "$simulated"
		die "apt cannot install $missing(see $log)"
	fi
	removed=$(removed_by_simulation "$simulated" | tr '\n' ' ')
	rm -f "$simulated"
	[ -z "$removed" ] || die "apt would remove $removed(another mail \
server?) to install what is missing; nothing was changed. Use a machine or \
a container where that does no harm."
	# shellcheck disable=SC2086
	step "$log" "apt-get install" install_quietly $missing
	libssl_is_new_enough || die "libssl3 was not upgraded (see $log)"
}

# unpack DIR NAME...: the files of packages, in DIR, for the tests alone.
unpack()
(
	# set -e is off where the caller looks at our status.
	dir=$1
	shift
	get="apt-get -o APT::Sandbox::User=root -o Acquire::Retries=5 download"
	mkdir -p "$dir" && new=$(mktemp -d "$dir.XXXXXX") || exit 1
	trap 'rm -rf "$new"' EXIT
	cd "$new" || exit 1
	$get "$@" || {
		apt-get -o DPkg::Lock::Timeout=120 -o Acquire::Retries=5 \
		    update && $get "$@"
	} || exit 1
	for deb in ./*.deb; do
		dpkg -x "$deb" root || exit 1
	done
	rm -rf "$dir" && mv root "$dir"
)

# unpack_sendmail DIR: it cannot be installed beside Postfix.
unpack_sendmail()
{
	unpack "$1" sendmail-bin sendmail-base sendmail-cf
}

# unpack_handlers DIR: Mailman and Roundcube.  Installed, they would bring a
# web server and make databases.
unpack_handlers()
{
	# shellcheck disable=SC2086
	unpack "$1" $CF_HANDLERS_PACKAGES || return 1
	# Else each of Mailman's processes does it for itself.
	/usr/bin/python3 -m compileall -q -j 0 -x '/tests?/' \
	    "$1/usr/lib/python3/dist-packages" ||:
}

# browser_driver TOP: what tests/browser needs from npm, if not there yet.
browser_driver()
{
	cd "$1/tests/browser" || return 1
	[ ! node_modules -nt package-lock.json ] || return 0
	npm ci --no-audit --no-fund --loglevel=error &&
	    touch node_modules
}
