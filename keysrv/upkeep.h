/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_upkeep - what the server does for the database from time to time.
 *
 * Several servers may do it at once; each finds what the others left.
 * Threads: one cf_db belongs to one thread.   Logging: what went wrong.
 */
#ifndef CF_KEYSRV_UPKEEP_H
#define CF_KEYSRV_UPKEEP_H

#include "keysrv/db/db.h"

/*
 * Make the event partitions of the months to come.  The first thing at start;
 * later there is a default partition, so nothing is lost without.
 */
CF_MUST_USE enum cf_err cf_upkeep_partitions(struct cf_db *db,
    struct cf_why *why);
/*
 * Empty the table of used challenges where they are void, and record the
 * refusals of past hours that were only counted.  What fails is done the next
 * time.
 */
void cf_upkeep_hour(struct cf_db *db);

#endif
