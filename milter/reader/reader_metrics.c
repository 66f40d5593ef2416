/* SPDX-License-Identifier: Apache-2.0 */
/* cf_reader_metrics - see reader_metrics.h. */
#include "milter/reader/reader_metrics.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/crypto_cert.h"
#include "common/mem.h"
#include "common/prom.h"

struct cf_reader_metrics {
	int64_t began_ms;
	pthread_mutex_t lock;		/* guards what follows */
	struct cf_prom_rows requests;
	uint64_t reloads[2];
	int64_t certificate_end_ms;	/* -1: there is none */
};

struct cf_reader_metrics *
cf_reader_metrics_new(void)
{
	struct cf_reader_metrics *m = cf_calloc(1, sizeof *m);

	m->began_ms = cf_clock_ms();
	m->certificate_end_ms = -1;
	pthread_mutex_init(&m->lock, NULL);
	return m;
}

void
cf_reader_metrics_free(struct cf_reader_metrics **metrics)
{
	if (*metrics == NULL)
		return;
	pthread_mutex_destroy(&(*metrics)->lock);
	free(*metrics);
	*metrics = NULL;
}

void
cf_reader_metrics_request(struct cf_reader_metrics *m, const char *endpoint,
    const char *result)
{
	pthread_mutex_lock(&m->lock);
	cf_prom_rows_add(&m->requests, endpoint, result);
	pthread_mutex_unlock(&m->lock);
}

void
cf_reader_metrics_reload(struct cf_reader_metrics *m, bool good)
{
	pthread_mutex_lock(&m->lock);
	m->reloads[good]++;
	pthread_mutex_unlock(&m->lock);
}

void
cf_reader_metrics_certificate(struct cf_reader_metrics *m, const char *path)
{
	int64_t end_ms = -1;

	if (path != NULL && cf_cert_read(path, NULL, &end_ms, NULL) != CF_OK)
		end_ms = -1;
	pthread_mutex_lock(&m->lock);
	m->certificate_end_ms = end_ms;
	pthread_mutex_unlock(&m->lock);
}

enum cf_err
cf_reader_metrics_write(void *metrics, struct cf_buf *out)
{
	const struct cf_prom prom = { out, "counterfoil_reader_" };
	struct cf_reader_metrics *m = metrics;

	pthread_mutex_lock(&m->lock);
	cf_prom_head(&prom, "requests_total", "counter",
	    "Requests by what was asked for, and what became of it.");
	cf_prom_rows_write(&prom, &m->requests, "requests_total", "endpoint",
	    "result");
	cf_prom_reloads(&prom, m->reloads);
	cf_prom_certificates_head(&prom);
	cf_prom_certificate(&prom, "tls", m->certificate_end_ms);
	pthread_mutex_unlock(&m->lock);
	cf_prom_process(&prom, m->began_ms);
	return cf_buf_check(out, NULL);
}
