/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_reply - what the mail server is told of a message that does not go on.
 *
 * Here and nowhere else, so that `counterfoil-milter -t` says what the milter
 * does.
 * Does not know: libmilter.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_MILTER_REPLY_H
#define CF_MILTER_REPLY_H

#include "milter/gateway/mctx.h"

/*
 * The reply to a message which it was decided to refuse (`rc` is CF_OK), or
 * with which something failed.  Gives the cause, one word for the log (static).
 */
const char *cf_mctx_reply(const struct cf_mctx *m, enum cf_err rc,
    struct cf_reply *ret);

#endif
