dnl SPDX-License-Identifier: Apache-2.0
dnl
dnl A recipient's gateway that sends no receipted mail itself: lines for its
dnl sendmail.mc, behind the FEATUREs and before the MAILERs.
dnl
dnl Verifiers of SPF, DKIM and DMARC are INPUT_MAIL_FILTERs before this one, an
dnl ARC sealer behind it: it replaces the body.  Use a unix socket: over TCP,
dnl Sendmail waits 40 ms at every step.
dnl
INPUT_MAIL_FILTER(`counterfoil',
	`S=unix:/run/counterfoil/milter.sock, F=T, T=C:30s;S:60s;R:2m;E:5m')dnl
