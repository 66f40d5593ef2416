/* SPDX-License-Identifier: Apache-2.0 */
/* cf_counts - see counts.h. */
#include "keysrv/counts.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/crypto_cert.h"
#include "common/mem.h"
#include "common/prom.h"
#include "keysrv/http/kind.h"
#include "keysrv/http/request.h"

static const char *const outcomes[] = { "sent", "waits", "undeliverable" };
#define OUTCOMES (sizeof outcomes / sizeof outcomes[0])

static const struct cf_prom_scale sizes = { 10, 1, {
	{ 1, "1" }, { 2, "2" }, { 4, "4" }, { 8, "8" }, { 16, "16" },
	{ 32, "32" }, { 64, "64" }, { 128, "128" }, { 256, "256" },
	{ CF_BATCH_MAX, "512" },
} };

struct cf_counts {
	int64_t began_ms;
	pthread_mutex_t lock;		/* guards what follows */
	/* The last row: where no endpoint was found. */
	uint64_t requests[CF_ENDPOINT__COUNT + 1][CF_ERR__COUNT];
	struct cf_prom_histogram batches[CF_KIND__COUNT];
	uint64_t failed[CF_ERR__COUNT];
	uint64_t receipts[OUTCOMES];
	int64_t outbox_due_ms;		/* negative: none waits */
	uint64_t reloads[2];
	int64_t tls_end_ms, signer_end_ms;	/* negative: there is none */
};

struct cf_counts *
cf_counts_new(void)
{
	struct cf_counts *c = cf_calloc(1, sizeof *c);

	c->began_ms = cf_clock_ms();
	c->outbox_due_ms = c->tls_end_ms = c->signer_end_ms = -1;
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

void
cf_counts_free(struct cf_counts **counts)
{
	if (*counts == NULL)
		return;
	pthread_mutex_destroy(&(*counts)->lock);
	free(*counts);
	*counts = NULL;
}

static bool
lock(struct cf_counts *c)
{
	return c != NULL && pthread_mutex_lock(&c->lock) == 0;
}

void
cf_counts_request(struct cf_counts *c, const struct cf_endpoint *ep,
    enum cf_err result)
{
	size_t row = ep == NULL ? CF_ENDPOINT__COUNT :
	    (size_t)(ep - cf_endpoints);

	if (!lock(c))
		return;
	c->requests[row][result]++;
	pthread_mutex_unlock(&c->lock);
}

void
cf_counts_batch(struct cf_counts *c, const struct cf_kind *kind,
    size_t requests)
{
	size_t i;

	if (!lock(c))
		return;
	for (i = 0; i < CF_KIND__COUNT; i++)
		if (cf_kinds[i] == kind)
			cf_prom_measure(&c->batches[i], &sizes,
			    (int64_t)requests);
	pthread_mutex_unlock(&c->lock);
}

void
cf_counts_failed(struct cf_counts *c, enum cf_err rc)
{
	if (!lock(c))
		return;
	c->failed[rc]++;
	pthread_mutex_unlock(&c->lock);
}

void
cf_counts_receipt(struct cf_counts *c, const char *outcome)
{
	size_t i;

	if (!lock(c))
		return;
	for (i = 0; i < OUTCOMES; i++)
		c->receipts[i] += strcmp(outcomes[i], outcome) == 0;
	pthread_mutex_unlock(&c->lock);
}

void
cf_counts_outbox(struct cf_counts *c, int64_t due_ms)
{
	if (!lock(c))
		return;
	c->outbox_due_ms = due_ms;
	pthread_mutex_unlock(&c->lock);
}

void
cf_counts_reload(struct cf_counts *c, bool good)
{
	if (!lock(c))
		return;
	c->reloads[good]++;
	pthread_mutex_unlock(&c->lock);
}

/* -1: there is none. */
static int64_t
end_of(const char *certificate)
{
	int64_t end_ms = -1;

	if (certificate == NULL ||
	    cf_cert_read(certificate, NULL, &end_ms, NULL) != CF_OK)
		return -1;
	return end_ms;
}

void
cf_counts_certificates(struct cf_counts *c, const char *tls,
    const char *signer)
{
	int64_t tls_end_ms = end_of(tls);
	int64_t signer_end_ms = end_of(signer);

	if (!lock(c))
		return;
	c->tls_end_ms = tls_end_ms;
	c->signer_end_ms = signer_end_ms;
	pthread_mutex_unlock(&c->lock);
}

/* ---- writing; all with the lock ---- */

static void
write_requests(const struct cf_prom *prom, const struct cf_counts *c)
{
	size_t row;
	int rc;

	cf_prom_head(prom, "requests_total", "counter",
	    "Requests by endpoint, and by ok or what was answered instead.");
	for (row = 0; row <= CF_ENDPOINT__COUNT; row++)
		for (rc = 0; rc < CF_ERR__COUNT; rc++)
			if (rc == CF_OK || c->requests[row][rc] > 0)
				cf_prom_sample(prom, "requests_total",
				    (int64_t)c->requests[row][rc], "endpoint",
				    row == CF_ENDPOINT__COUNT ? "other" :
				    cf_endpoints[row].name, "result",
				    cf_err_slug((enum cf_err)rc), NULL);
}

static void
write_database(const struct cf_prom *prom, const struct cf_counts *c)
{
	static const enum cf_err always[] = { CF_E_BUSY, CF_E_DATABASE,
	    CF_E_INTERNAL };
	size_t i;

	cf_prom_head(prom, "batch_requests", "histogram",
	    "Requests that shared a transaction, by kind.");
	for (i = 0; i < CF_KIND__COUNT; i++)
		cf_prom_histogram_write(prom, &c->batches[i], &sizes,
		    "batch_requests", "kind", cf_kinds[i]->name);
	cf_prom_head(prom, "database_errors_total", "counter", "Transactions "
	    "that did not come to a known good end, by what was answered.");
	for (i = 0; i < sizeof always / sizeof always[0]; i++)
		cf_prom_sample(prom, "database_errors_total",
		    (int64_t)c->failed[always[i]], "error",
		    cf_err_slug(always[i]), NULL);
}

static void
write_receipts(const struct cf_prom *prom, const struct cf_counts *c)
{
	int64_t age_ms = c->outbox_due_ms < 0 ? 0 :
	    cf_clock_ms() - c->outbox_due_ms;
	size_t i;

	cf_prom_one(prom, "outbox_age_seconds", "gauge",
	    "For how long the oldest receipt that waits is due; 0: none is.",
	    age_ms < 0 ? 0 : age_ms / 1000);
	cf_prom_head(prom, "receipts_total", "counter", "Attempts of this "
	    "server to send a receipt: sent, waits, or undeliverable.");
	for (i = 0; i < OUTCOMES; i++)
		cf_prom_sample(prom, "receipts_total",
		    (int64_t)c->receipts[i], "outcome", outcomes[i], NULL);
	cf_prom_certificates_head(prom);
	cf_prom_certificate(prom, "tls", c->tls_end_ms);
	cf_prom_certificate(prom, "signer", c->signer_end_ms);
}

enum cf_err
cf_counts_write(void *counts, struct cf_buf *out)
{
	const struct cf_prom prom = { out, "counterfoil_keysrv_" };
	struct cf_counts *c = counts;

	pthread_mutex_lock(&c->lock);
	write_requests(&prom, c);
	write_database(&prom, c);
	write_receipts(&prom, c);
	cf_prom_reloads(&prom, c->reloads);
	pthread_mutex_unlock(&c->lock);
	cf_prom_process(&prom, c->began_ms);
	return cf_buf_check(out, NULL);
}
