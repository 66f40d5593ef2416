/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_outbox_kind - the kinds of mail in the outbox: a word, and who makes the
 * mail from the row.
 *
 * A new kind is a builder in a file of its own, a row in the table of
 * outbox_kind.c, and the kind in a CHECK of the table counterfoil.outbox.
 * Knows: which kinds there are.   Does not know: database, SMTP, threads.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_KEYSRV_OUTBOX_KIND_H
#define CF_KEYSRV_OUTBOX_KIND_H

#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/secret.h"
#include "keysrv/db/db_outbox.h"
#include "keysrv/receipt/signer.h"

#define CF_OUTBOX_MAIL_MAX 65536	/* bytes of a finished mail */

/* What a builder has besides the row; all is lent. */
struct cf_outbox_desk {
	const struct cf_secret *server_secret;	/* makes the Message-IDs */
	const struct cf_signer *signer;
	const char *from;	/* the signer's address */
	int64_t now_ms;
};

struct cf_outbox_kind {
	const char *word;	/* in the row */
	const char *noun;	/* what it is called in the log */
	/*
	 * Append the finished mail to `mail`, and say to whom it goes: lent
	 * by the row.  Of the row that is made again, the same Message-ID.
	 * What is wrong with the row is CF_E_INTERNAL: it waits, and ages.
	 */
	enum cf_err (*build)(const struct cf_outbox_desk *desk,
	    const struct cf_db_outbox_row *row, struct cf_buf *mail,
	    const char **ret_to, struct cf_why *why);
};

/* NULL for a word that is no kind.  Lends: static. */
const struct cf_outbox_kind *cf_outbox_kind(const char *word);

/* The builders, by file. */
enum cf_err cf_outbox_build_receipt(const struct cf_outbox_desk *desk,
    const struct cf_db_outbox_row *row, struct cf_buf *mail,
    const char **ret_to, struct cf_why *why);	/* outbox_receipt.c */

#endif
