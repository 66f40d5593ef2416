/* SPDX-License-Identifier: Apache-2.0 */
/* cf_metrics - see metrics.h. */
#include "milter/metrics.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "config.h"
#include "milter/budget.h"
#include "milter/flight.h"
#include "milter/slots.h"

#define P "counterfoil_milter_"
#define ROWS_MAX 160		/* words of the program; more are "other" */
#define SERVERS_MAX 32		/* reloads may bring new ones */
#define BUCKETS (sizeof bucket_ms / sizeof bucket_ms[0])

static const struct bucket {
	int64_t ms;
	const char *le;
} bucket_ms[] = {
	{ 5, "0.005" }, { 10, "0.01" }, { 25, "0.025" }, { 50, "0.05" },
	{ 100, "0.1" }, { 250, "0.25" }, { 500, "0.5" }, { 1000, "1" },
	{ 2500, "2.5" }, { 5000, "5" }, { 10000, "10" }, { 30000, "30" },
};

/* A counter with two labels, both words of the program. */
struct row {
	const char *a, *b;
	uint64_t count;
};

struct rows {
	struct row row[ROWS_MAX + 1];	/* the last is for what is too much */
	size_t used;
};

struct server {
	char *url;
	struct rows results;	/* ok, or the error's name */
	uint64_t bucket[BUCKETS];
	uint64_t count, sum_ms;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rows messages;
static struct server servers[SERVERS_MAX];
static size_t server_count;
static uint64_t bytes_in, bytes_out, reloads[2];
static int64_t connections;
static int64_t began_ms;	/* set before threads start */

/* ---- counting; all with the lock ---- */

static void
add(struct rows *rows, const char *a, const char *b)
{
	size_t i;

	for (i = 0; i < rows->used; i++)
		if (strcmp(rows->row[i].a, a) == 0 &&
		    strcmp(rows->row[i].b, b) == 0)
			break;
	if (i == rows->used && rows->used < ROWS_MAX) {
		rows->row[i].a = a;
		rows->row[i].b = b;
		rows->used++;
	} else if (i == rows->used) {
		i = ROWS_MAX;
	}
	rows->row[i].count++;
}

static struct server *
server_of(const char *url)
{
	size_t i;

	for (i = 0; i < server_count; i++)
		if (strcmp(servers[i].url, url) == 0)
			return &servers[i];
	if (server_count == SERVERS_MAX)
		return NULL;
	servers[server_count].url = cf_strdup(url);
	return &servers[server_count++];
}

void
cf_metrics_begin(void)
{
	began_ms = cf_clock_ms();
}

void
cf_metrics_message(const char *verdict, const char *cause, uint64_t in,
    uint64_t out)
{
	pthread_mutex_lock(&lock);
	add(&messages, verdict, cause);
	bytes_in += in;
	bytes_out += out;
	pthread_mutex_unlock(&lock);
}

void
cf_metrics_key_request(const char *url, enum cf_err result, int64_t ms)
{
	struct server *s;
	size_t i;

	pthread_mutex_lock(&lock);
	s = server_of(url);
	if (s != NULL) {
		add(&s->results, cf_err_slug(result), "");
		for (i = 0; i < BUCKETS; i++)
			s->bucket[i] += ms <= bucket_ms[i].ms;
		s->count++;
		s->sum_ms += ms < 0 ? 0 : (uint64_t)ms;
	}
	pthread_mutex_unlock(&lock);
}

void
cf_metrics_reload(bool good)
{
	pthread_mutex_lock(&lock);
	reloads[good]++;
	pthread_mutex_unlock(&lock);
}

void
cf_metrics_connection(void)
{
	pthread_mutex_lock(&lock);
	connections++;
	pthread_mutex_unlock(&lock);
}

/* ---- writing ---- */

void
cf_metrics_escape(const char *value, struct cf_buf *out)
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
head(struct cf_buf *out, const char *name, const char *type,
    const char *help)
{
	cf_buf_addf(out, "# HELP " P "%s %s\n# TYPE " P "%s %s\n", name, help,
	    name, type);
}

static void
one(struct cf_buf *out, const char *name, const char *type, const char *help,
    int64_t value)
{
	head(out, name, type, help);
	cf_buf_addf(out, P "%s %lld\n", name, (long long)value);
}

static void
label(struct cf_buf *out, const char *name, const char *value)
{
	cf_buf_addf(out, "%s=\"", name);
	cf_metrics_escape(value, out);
	cf_buf_addc(out, '"');
}

static void
write_messages(struct cf_buf *out)
{
	size_t i;
	int b;

	head(out, "messages_total", "counter",
	    "Messages by what was done and why, as in the log.");
	for (i = 0; i < messages.used; i++)
		cf_buf_addf(out, P "messages_total{verdict=\"%s\",cause=\"%s\""
		    "} %llu\n", messages.row[i].a, messages.row[i].b,
		    (unsigned long long)messages.row[i].count);
	if (messages.row[ROWS_MAX].count > 0)
		cf_buf_addf(out, P "messages_total{verdict=\"other\",cause="
		    "\"other\"} %llu\n",
		    (unsigned long long)messages.row[ROWS_MAX].count);
	head(out, "bytes_total", "counter", "Bytes of messages sealed or "
	    "rewritten: read from the mail server, and new bodies.");
	cf_buf_addf(out, P "bytes_total{direction=\"in\"} %llu\n"
	    P "bytes_total{direction=\"out\"} %llu\n",
	    (unsigned long long)bytes_in, (unsigned long long)bytes_out);
	head(out, "limited_total", "counter",
	    "What a limit turned away or put off, by option.");
	for (b = 0; b < CF_BUDGET__COUNT; b++)
		cf_buf_addf(out, P "limited_total{limit=\"%s\"} %lld\n",
		    cf_budget_option((enum cf_budget)b),
		    (long long)cf_budget_refused((enum cf_budget)b));
}

static void
write_seconds(const struct server *s, struct cf_buf *out)
{
	size_t i;

	for (i = 0; i < BUCKETS; i++) {
		cf_buf_adds(out, P "key_request_seconds_bucket{");
		label(out, "server", s->url);
		cf_buf_addf(out, ",le=\"%s\"} %llu\n", bucket_ms[i].le,
		    (unsigned long long)s->bucket[i]);
	}
	cf_buf_adds(out, P "key_request_seconds_bucket{");
	label(out, "server", s->url);
	cf_buf_addf(out, ",le=\"+Inf\"} %llu\n", (unsigned long long)s->count);
	cf_buf_adds(out, P "key_request_seconds_sum{");
	label(out, "server", s->url);
	cf_buf_addf(out, "} %llu.%03u\n",
	    (unsigned long long)(s->sum_ms / 1000),
	    (unsigned)(s->sum_ms % 1000));
	cf_buf_adds(out, P "key_request_seconds_count{");
	label(out, "server", s->url);
	cf_buf_addf(out, "} %llu\n", (unsigned long long)s->count);
}

static void
write_servers(struct cf_buf *out)
{
	const struct server *s;
	size_t i, k;

	head(out, "key_requests_total", "counter",
	    "Requests to key servers by result; ok, or what went wrong.");
	for (i = 0; i < server_count; i++) {
		s = &servers[i];
		for (k = 0; k < s->results.used; k++) {
			cf_buf_adds(out, P "key_requests_total{");
			label(out, "server", s->url);
			cf_buf_addf(out, ",result=\"%s\"} %llu\n",
			    s->results.row[k].a, (unsigned long long)
			    s->results.row[k].count);
		}
	}
	head(out, "key_request_seconds", "histogram",
	    "How long a key server took for one request.");
	for (i = 0; i < server_count; i++)
		write_seconds(&servers[i], out);
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

static void
write_process(struct cf_buf *out)
{
	head(out, "build_info", "gauge", "Always 1; the version is a label.");
	cf_buf_adds(out, P "build_info{version=\"" PACKAGE_VERSION "\"} 1\n");
	one(out, "start_time_seconds", "gauge",
	    "When this process began, in seconds since 1970.",
	    began_ms / 1000);
	one(out, "resident_memory_bytes", "gauge", "Memory in use.",
	    resident_bytes());
	one(out, "open_files", "gauge", "Open file descriptors.",
	    open_files());
}

enum cf_err
cf_metrics_write(struct cf_buf *out, struct cf_why *why)
{
	pthread_mutex_lock(&lock);
	write_messages(out);
	write_servers(out);
	one(out, "connections_total", "counter",
	    "Connections of mail servers that came.", connections);
	head(out, "reloads_total", "counter",
	    "Times the configuration was read again.");
	cf_buf_addf(out, P "reloads_total{result=\"ok\"} %llu\n"
	    P "reloads_total{result=\"failed\"} %llu\n",
	    (unsigned long long)reloads[1], (unsigned long long)reloads[0]);
	pthread_mutex_unlock(&lock);
	one(out, "connections", "gauge",
	    "Connections of mail servers that are open.",
	    cf_budget_held(CF_BUDGET_CONNECTIONS));
	one(out, "messages_in_flight", "gauge", "Messages under way.",
	    (int64_t)cf_flight_count());
	one(out, "held_header_bytes", "gauge",
	    "Bytes of headers and envelopes of messages under way.",
	    cf_budget_held(CF_BUDGET_HEADERS));
	one(out, "held_body_bytes", "gauge",
	    "Bytes of bodies of messages under way, in memory or in files.",
	    cf_budget_held(CF_BUDGET_BODIES));
	one(out, "key_requests_in_flight", "gauge",
	    "Slots for key requests that are taken.",
	    cf_slots_taken(CF_SLOTS_KEY_REQUESTS));
	write_process(out);
	return cf_buf_check(out, why);
}
