/* SPDX-License-Identifier: Apache-2.0 */
/* cf_batch - see batch.h. */
#include "keysrv/http/batch.h"

#include "keysrv/counts.h"
#include "keysrv/health.h"
#include "keysrv/http/kind.h"
#include "keysrv/http/request.h"

/* Nobody may be answered with what a failed transaction had decided. */
static void
poison(struct cf_batch *batch)
{
	size_t i;

	for (i = 0; i < batch->count; i++)
		batch->req[i]->rc = CF_ERR__COUNT;
}

static void
fail_all(struct cf_batch *batch, enum cf_err rc)
{
	size_t i;

	/* The database's own words are for the log, not for strangers. */
	for (i = 0; i < batch->count; i++)
		cf_req_fail(batch->req[i], rc, NULL);
}

static void
check_decided(const struct cf_batch *batch)
{
	size_t i;

	for (i = 0; i < batch->count; i++)
		if (batch->req[i]->rc == CF_ERR__COUNT)
			cf_bug("a request was not decided");
}

/* cf_db_run() may call it several times; each begins from nothing. */
struct run {
	struct cf_batch *batch;
	enum cf_err (*fn)(struct cf_db *db, void *batch, struct cf_why *why);
};

static enum cf_err
run_poisoned(struct cf_db *db, void *arg, struct cf_why *why)
{
	struct run *run = arg;

	poison(run->batch);
	return run->fn(db, run->batch, why);
}

void
cf_batch_run(struct cf_batch *batch, enum cf_db_mode mode, const char *name,
    enum cf_err (*fn)(struct cf_db *db, void *batch, struct cf_why *why))
{
	struct run run = { batch, fn };
	struct cf_batch one = *batch;
	struct cf_why why = { "" };
	enum cf_err rc;
	size_t i;

	rc = mode == CF_DB_WRITE ? cf_health_may_write(batch->ks->health)
	    : CF_OK;
	if (rc == CF_OK)
		rc = cf_db_run(batch->db, mode, name, run_poisoned, &run,
		    &why);
	if (mode == CF_DB_WRITE && (rc == CF_OK || rc == CF_E_DATABASE))
		cf_health_wrote(batch->ks->health, rc == CF_OK);
	if (rc == CF_E_DATABASE || rc == CF_E_INTERNAL || rc == CF_E_BUSY)
		cf_counts_failed(batch->ks->counts, rc);
	if (rc == CF_OK) {
		check_decided(batch);
	} else if (rc != CF_E_INTERNAL || batch->count == 1) {
		fail_all(batch, rc);
	} else {
		for (i = 0; i < batch->count; i++) {
			one.req = &batch->req[i];
			one.count = 1;
			cf_batch_run(&one, mode, name, fn);
		}
	}
}

void
cf_batch_do(struct cf_batch *batch, const struct cf_kind *kind)
{
	if (kind->run != NULL) {
		kind->run(batch);
		return;
	}
	cf_batch_run(batch, kind->mode, kind->name, kind->fn);
	if (kind->after != NULL)
		kind->after(batch);
}
