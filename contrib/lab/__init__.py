# SPDX-License-Identifier: Apache-2.0
"""The laboratory: a private mail world on loopback.

Used by contrib/quickstart and by every test that needs a real PostgreSQL,
Postfix, key server, reader or milter.  Standard library only.

    proc      programs: start, wait until ready, stop by pid; free ports
    tap       test cases and their output
    pg        a PostgreSQL cluster of our own
    ca        a certificate authority and server certificates
    postfix   one Postfix instance, configured from contrib/postfix
    keysrv    counterfoil-keysrv and counterfoil-admin
    reader    counterfoil-reader
    milter    counterfoil-milter
    mail      send by SMTP, wait for a file in a Maildir
    sink      a mail server that keeps what it gets, or fails as told
    proxy     a key server that misbehaves on demand
    browser   Chromium by way of tests/browser/open-link.mjs
    world     all of it together
"""
