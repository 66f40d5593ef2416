dnl SPDX-License-Identifier: Apache-2.0
dnl
dnl The sender's gateway: lines for its sendmail.mc, as
dnl
dnl	include(`/etc/mail/counterfoil/sender-main.m4')dnl
dnl
dnl behind the FEATUREs and the other INPUT_MAIL_FILTERs and before the MAILERs.
dnl They go with sender-front.mc, the instance that takes mail from users.  The
dnl way of their mail, one recipient at a time from the front instance on:
dnl
dnl   port 587 -> front instance -> 127.0.0.1:10027 -> this instance, with the
dnl   milter -> aliases, local delivery, the world
dnl
dnl - Every port of this instance has the milter.  Port 587 goes to the front
dnl   instance: FEATURE(`no_default_msa'), and no DAEMON_OPTIONS for it here.
dnl   Once there is one DAEMON_OPTIONS, port 25 needs a line of its own, too:
dnl   DAEMON_OPTIONS(`Name=MTA, Port=25').
dnl - F=T makes mail wait when the milter is down.  Without F=, Sendmail would
dnl   send flagged mail in clear.
dnl - To the milter the port of the hop is the daemon COUNTERFOIL (its option
dnl   entitled_daemons): what comes there was sent by somebody who may.  The
dnl   address of the line must stay one that only this machine reaches.
dnl - nobodyreturn: what is refused before it was sealed is not sent back with
dnl   its text.
dnl - DKIM and ARC signers are INPUT_MAIL_FILTERs behind this one, verifiers and
dnl   scanners before it.
dnl - Use a unix socket: over TCP, Sendmail waits 40 ms at every step.
dnl
INPUT_MAIL_FILTER(`counterfoil',
	`S=unix:/run/counterfoil/milter.sock, F=T, T=C:30s;S:60s;R:2m;E:5m')dnl
define(`confPRIVACY_FLAGS',
	ifdef(`confPRIVACY_FLAGS', `defn(`confPRIVACY_FLAGS')',
	`authwarnings')`,nobodyreturn')dnl
DAEMON_OPTIONS(`Name=COUNTERFOIL, Family=inet, Addr=127.0.0.1, Port=10027, M=E')dnl

LOCAL_RULESETS
# Mail that reaches this instance other than by SMTP (sendmail -Am) passes no
# milter.  With the flag it is refused; sendmail without -Am is not affected.
HX-Return-Receipt: $>CounterfoilFlag
SCounterfoilFlag
R$*			$: < $&{daemon_name} >
R< $+ >			$@ OK
R$*			$#error $@ 5.7.1 $: "550 A return receipt can be had by SMTP only: use sendmail without -Am"
divert(0)dnl
