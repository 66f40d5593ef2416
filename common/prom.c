/* SPDX-License-Identifier: Apache-2.0 */
/* cf_prom - see prom.h. */
#include "common/prom.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

/* ---- writing ---- */

static void
add_escaped(struct cf_buf *out, const char *value)
{
	for (; *value != '\0'; value++)
		switch (*value) {
		case '\\':
			cf_buf_adds(out, "\\\\");
			break;
		case '"':
			cf_buf_adds(out, "\\\"");
			break;
		case '\n':
			cf_buf_adds(out, "\\n");
			break;
		default:
			cf_buf_addc(out, *value);
			break;
		}
}

static void
add_label(struct cf_buf *out, char before, const char *name,
    const char *value)
{
	cf_buf_addf(out, "%c%s=\"", before, name);
	add_escaped(out, value);
	cf_buf_addc(out, '"');
}

void
cf_prom_head(const struct cf_prom *prom, const char *name, const char *type,
    const char *help)
{
	cf_buf_addf(prom->out, "# HELP %s%s %s\n# TYPE %s%s %s\n",
	    prom->prefix, name, help, prom->prefix, name, type);
}

void
cf_prom_sample(const struct cf_prom *prom, const char *name, int64_t value,
    ...)
{
	const char *label;
	char before = '{';
	va_list ap;

	cf_buf_addf(prom->out, "%s%s", prom->prefix, name);
	va_start(ap, value);
	while ((label = va_arg(ap, const char *)) != NULL) {
		add_label(prom->out, before, label, va_arg(ap, const char *));
		before = ',';
	}
	va_end(ap);
	cf_buf_addf(prom->out, "%s %lld\n", before == ',' ? "}" : "",
	    (long long)value);
}

void
cf_prom_one(const struct cf_prom *prom, const char *name, const char *type,
    const char *help, int64_t value)
{
	cf_prom_head(prom, name, type, help);
	cf_prom_sample(prom, name, value, NULL);
}

/* ---- of the process ---- */

static int64_t
open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int64_t n = -1;		/* its own */

	if (dir == NULL)
		return 0;
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n - 2;		/* . and .. */
}

static int64_t
resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long total = 0, resident = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%ld %ld", &total, &resident) != 2)
		resident = 0;
	fclose(f);
	return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

void
cf_prom_process(const struct cf_prom *prom, int64_t began_ms)
{
	cf_prom_head(prom, "build_info", "gauge",
	    "Always 1; the version is a label.");
	cf_prom_sample(prom, "build_info", 1, "version", PACKAGE_VERSION,
	    NULL);
	cf_prom_one(prom, "start_time_seconds", "gauge",
	    "When this process began, in seconds since 1970.",
	    began_ms / 1000);
	cf_prom_one(prom, "resident_memory_bytes", "gauge", "Memory in use.",
	    resident_bytes());
	cf_prom_one(prom, "open_files", "gauge", "Open file descriptors.",
	    open_files());
}

void
cf_prom_reloads(const struct cf_prom *prom, const uint64_t reloads[2])
{
	cf_prom_head(prom, "reloads_total", "counter",
	    "Times the configuration was read again.");
	cf_prom_sample(prom, "reloads_total", (int64_t)reloads[1], "result",
	    "ok", NULL);
	cf_prom_sample(prom, "reloads_total", (int64_t)reloads[0], "result",
	    "failed", NULL);
}

void
cf_prom_certificates_head(const struct cf_prom *prom)
{
	cf_prom_head(prom, "certificate_end_seconds", "gauge",
	    "When the certificate in use ends, in seconds since 1970.");
}

void
cf_prom_certificate(const struct cf_prom *prom, const char *use,
    int64_t end_ms)
{
	if (end_ms >= 0)
		cf_prom_sample(prom, "certificate_end_seconds", end_ms / 1000,
		    "use", use, NULL);
}

/* ---- a counter with two labels ---- */

void
cf_prom_rows_add(struct cf_prom_rows *rows, const char *a, const char *b)
{
	size_t i;

	for (i = 0; i < rows->used; i++)
		if (strcmp(rows->row[i].a, a) == 0 &&
		    strcmp(rows->row[i].b, b) == 0)
			break;
	if (i == rows->used && rows->used < CF_PROM_ROWS_MAX) {
		rows->row[i].a = a;
		rows->row[i].b = b;
		rows->used++;
	} else if (i == rows->used) {
		i = CF_PROM_ROWS_MAX;
		rows->row[i].a = rows->row[i].b = "other";
	}
	rows->row[i].count++;
}

static void
write_row(const struct cf_prom *prom, const struct cf_prom_row *row,
    const char *name, const char *label_a, const char *label_b)
{
	cf_prom_sample(prom, name, (int64_t)row->count, label_a, row->a,
	    label_b, row->b, NULL);
}

void
cf_prom_rows_write(const struct cf_prom *prom,
    const struct cf_prom_rows *rows, const char *name, const char *label_a,
    const char *label_b)
{
	size_t i;

	for (i = 0; i < rows->used; i++)
		write_row(prom, &rows->row[i], name, label_a, label_b);
	if (rows->row[CF_PROM_ROWS_MAX].count > 0)
		write_row(prom, &rows->row[CF_PROM_ROWS_MAX], name, label_a,
		    label_b);
}

/* ---- histograms ---- */

void
cf_prom_measure(struct cf_prom_histogram *h,
    const struct cf_prom_scale *scale, int64_t value)
{
	unsigned i;

	for (i = 0; i < scale->count; i++)
		h->bucket[i] += value <= scale->bucket[i].most;
	h->count++;
	h->sum += value < 0 ? 0 : (uint64_t)value;
}

static void
add_series(const struct cf_prom *prom, const char *name, const char *end,
    const char *label, const char *value, const char *le)
{
	cf_buf_addf(prom->out, "%s%s%s", prom->prefix, name, end);
	add_label(prom->out, '{', label, value);
	if (le != NULL)
		add_label(prom->out, ',', "le", le);
	cf_buf_adds(prom->out, "} ");
}

void
cf_prom_histogram_write(const struct cf_prom *prom,
    const struct cf_prom_histogram *h, const struct cf_prom_scale *scale,
    const char *name, const char *label, const char *value)
{
	const uint64_t unit = (uint64_t)scale->per_unit;
	struct cf_buf *out = prom->out;
	unsigned i;

	for (i = 0; i < scale->count; i++) {
		add_series(prom, name, "_bucket", label, value,
		    scale->bucket[i].le);
		cf_buf_addf(out, "%llu\n", (unsigned long long)h->bucket[i]);
	}
	add_series(prom, name, "_bucket", label, value, "+Inf");
	cf_buf_addf(out, "%llu\n", (unsigned long long)h->count);
	add_series(prom, name, "_sum", label, value, NULL);
	if (unit == 1000)
		cf_buf_addf(out, "%llu.%03u\n",
		    (unsigned long long)(h->sum / unit),
		    (unsigned)(h->sum % unit));
	else
		cf_buf_addf(out, "%llu\n", (unsigned long long)h->sum);
	add_series(prom, name, "_count", label, value, NULL);
	cf_buf_addf(out, "%llu\n", (unsigned long long)h->count);
}
