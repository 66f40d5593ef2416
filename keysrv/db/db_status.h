/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db_status - statements behind the list of an account's own messages. */
#ifndef CF_KEYSRV_DB_STATUS_H
#define CF_KEYSRV_DB_STATUS_H

#include "common/assurance.h"
#include "keysrv/db/db.h"
#include "keysrv/db/db_row.h"
#include "keysrv/receipt/record.h"

struct cf_status_query {
	int64_t account_id;
	int64_t before_ms;		/* issued earlier than that */
	const unsigned char *message_ref;	/* or NULL: all */
	int64_t limit;
};

struct cf_status_row {
	unsigned char key_id[CF_KEY_ID_LEN];
	unsigned char message_ref[CF_REF_LEN];
	const char *message_id, *sender, *recipient, *status,
	    *receipt;			/* lent by the result */
	enum cf_assurance assurance;
	int64_t issued_at_ms, released_at_ms, opened_at_ms;
};

size_t cf_db_status_send(struct cf_db *db, const struct cf_status_query *q);
void cf_db_status_get(const struct cf_db *db, size_t result, size_t row,
    struct cf_status_row *ret);

#endif
