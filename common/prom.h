/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_prom - numbers for a monitoring system, in the Prometheus text format
 * 0.0.4.
 *
 * Knows: the format, counters with labels, histograms, the process itself.
 * Does not know: HTTP, what is counted.
 * Threads: no shared state; who counts has a lock.   Logging: never.
 */
#ifndef CF_COMMON_PROM_H
#define CF_COMMON_PROM_H

#include <stdint.h>

#include "common/buf.h"

#define CF_PROM_BUCKETS_MAX 16
#define CF_PROM_ROWS_MAX 160	/* words of the program; more are "other" */

/* Where it goes; names are written behind `prefix`. */
struct cf_prom {
	struct cf_buf *out;
	const char *prefix;	/* "counterfoil_milter_" */
};

/* ---- writing ---- */

/* HELP and TYPE of a family; its samples follow. */
void cf_prom_head(const struct cf_prom *prom, const char *name,
    const char *type, const char *help);
/* One sample; then pairs of label and value, and NULL.  Values are escaped. */
void cf_prom_sample(const struct cf_prom *prom, const char *name,
    int64_t value, ...) __attribute__((sentinel));
/* A family of one sample without labels. */
void cf_prom_one(const struct cf_prom *prom, const char *name,
    const char *type, const char *help, int64_t value);
/* version, start, memory, open files; `began_ms`: clock.h's, at the start. */
void cf_prom_process(const struct cf_prom *prom, int64_t began_ms);
/* Of SIGHUP: failed ones, good ones. */
void cf_prom_reloads(const struct cf_prom *prom, const uint64_t reloads[2]);
/* When certificates end, by their use; a negative `end_ms` (clock.h's) is no
 * certificate. */
void cf_prom_certificates_head(const struct cf_prom *prom);
void cf_prom_certificate(const struct cf_prom *prom, const char *use,
    int64_t end_ms);

/* ---- a counter with two labels ---- */

/* Zeros: nothing was counted. */
struct cf_prom_rows {
	struct cf_prom_row {
		const char *a, *b;
		uint64_t count;
	} row[CF_PROM_ROWS_MAX + 1];	/* the last is for what is too much */
	size_t used;
};

/* Both words are static: of the program, never from outside. */
void cf_prom_rows_add(struct cf_prom_rows *rows, const char *a,
    const char *b);
/* All samples; `label_b` is NULL where there is one label only. */
void cf_prom_rows_write(const struct cf_prom *prom,
    const struct cf_prom_rows *rows, const char *name, const char *label_a,
    const char *label_b);

/* ---- histograms ---- */

struct cf_prom_scale {
	unsigned count;
	int64_t per_unit;	/* 1000: counted in ms, written in s */
	struct {
		int64_t most;
		const char *le;	/* the same, as it is written */
	} bucket[CF_PROM_BUCKETS_MAX];
};

/* Zeros: nothing was measured. */
struct cf_prom_histogram {
	uint64_t bucket[CF_PROM_BUCKETS_MAX];
	uint64_t count, sum;
};

void cf_prom_measure(struct cf_prom_histogram *h,
    const struct cf_prom_scale *scale, int64_t value);
/* The samples of one label's value; the family's head is the caller's. */
void cf_prom_histogram_write(const struct cf_prom *prom,
    const struct cf_prom_histogram *h, const struct cf_prom_scale *scale,
    const char *name, const char *label, const char *value);

#endif
