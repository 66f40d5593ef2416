/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_cli_trust - which key servers the command believes, and which it asks.
 *
 * One of the lists of counterfoil.conf(5) is believed.  Another one is asked
 * only after a yes, and whatever it says is shown as unchecked.
 * Threads: one.
 */
#ifndef CF_MILTER_CLI_TRUST_H
#define CF_MILTER_CLI_TRUST_H

#include <stdbool.h>

#include "common/err.h"
#include "milter/cli/cli_conf.h"

bool cf_cli_is_listed(const struct cf_cli_conf *conf, const char *service);
/*
 * May the key server that a message names be asked?  `allowed_host` is what
 * the person gave for it on the command line, NULL for nothing; without it
 * the person at the terminal is asked, if there is one.
 * CF_E_UNLISTED  it is not listed, and nobody said yes
 */
CF_MUST_USE enum cf_err cf_cli_consent(const struct cf_cli_conf *conf,
    const char *service, const char *allowed_host, struct cf_why *why);

#endif
