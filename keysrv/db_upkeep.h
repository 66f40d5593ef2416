/* SPDX-License-Identifier: Apache-2.0 */
/* cf_db_upkeep - what the server does for the database from time to time. */
#ifndef CF_KEYSRV_DB_UPKEEP_H
#define CF_KEYSRV_DB_UPKEEP_H

#include "keysrv/db.h"

/* Make the event partitions of the months to come. */
CF_MUST_USE enum cf_err cf_db_make_partitions(struct cf_db *db,
    struct cf_why *why);

#endif
