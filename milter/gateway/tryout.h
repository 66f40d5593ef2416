/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_tryout - what would become of a message: `counterfoil-milter -t`.
 *
 * Takes a message from a file through the very functions that take it from a
 * mail server, and prints the outcome.  The key is made up, nothing is stored
 * and nobody is asked.
 * Threads: one.   Logging: never; it prints.
 */
#ifndef CF_MILTER_TRYOUT_H
#define CF_MILTER_TRYOUT_H

#include <stdio.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/err.h"

#define CF_TRYOUT_MAX (256 * 1024 * 1024)	/* bytes of a message */

struct cf_tryout {
	const char *sender;		/* bare or in <> */
	struct cf_conf_list recipients;	/* the same */
	const char *client;		/* IP address */
	const char *user;		/* authenticated as, or NULL */
	const char *daemon;		/* daemon_name, or NULL */
};

/*
 * Try `message` (header and body, LF or CRLF; overwritten) under the current
 * snapshot.  The report goes to `report`, the message as it would go on to
 * `out`.  Gives the exit status: 0 it would go on, 69 it would be refused, 75
 * deferred, 64 `client` is no address.
 */
int cf_tryout_run(const struct cf_tryout *what, struct cf_buf *message,
    FILE *report, FILE *out);

#endif
