/* SPDX-License-Identifier: Apache-2.0 */
/* cf_metrics - see metrics.h. */
#include "milter/gateway/metrics.h"

#include <pthread.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/prom.h"
#include "milter/gateway/budget.h"
#include "milter/gateway/flight.h"
#include "milter/gateway/slots.h"
#include "milter/store/room.h"

#define SERVERS_MAX 32		/* reloads may bring new ones */

static const struct cf_prom_scale seconds = { 12, 1000, {
	{ 5, "0.005" }, { 10, "0.01" }, { 25, "0.025" }, { 50, "0.05" },
	{ 100, "0.1" }, { 250, "0.25" }, { 500, "0.5" }, { 1000, "1" },
	{ 2500, "2.5" }, { 5000, "5" }, { 10000, "10" }, { 30000, "30" },
} };

struct server {
	char *url;
	struct cf_prom_rows results;	/* ok, or the error's name */
	struct cf_prom_histogram time;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct cf_prom_rows messages;
static struct server servers[SERVERS_MAX];
static size_t server_count;
static uint64_t bytes_in, bytes_out, reloads[2];
static int64_t connections;
static int64_t began_ms;	/* set before threads start */

/* ---- counting; all with the lock ---- */

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
	cf_prom_rows_add(&messages, verdict, cause);
	bytes_in += in;
	bytes_out += out;
	pthread_mutex_unlock(&lock);
}

void
cf_metrics_key_request(const char *url, enum cf_err result, int64_t ms)
{
	struct server *s;

	pthread_mutex_lock(&lock);
	s = server_of(url);
	if (s != NULL) {
		cf_prom_rows_add(&s->results, cf_err_slug(result), "");
		cf_prom_measure(&s->time, &seconds, ms);
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

static void
write_messages(const struct cf_prom *prom)
{
	int b;

	cf_prom_head(prom, "messages_total", "counter",
	    "Messages by what was done and why, as in the log.");
	cf_prom_rows_write(prom, &messages, "messages_total", "verdict",
	    "cause");
	cf_prom_head(prom, "bytes_total", "counter", "Bytes of messages "
	    "sealed or rewritten: read from the mail server, and new bodies.");
	cf_prom_sample(prom, "bytes_total", (int64_t)bytes_in, "direction",
	    "in", NULL);
	cf_prom_sample(prom, "bytes_total", (int64_t)bytes_out, "direction",
	    "out", NULL);
	cf_prom_head(prom, "limited_total", "counter",
	    "What a limit turned away or put off, by option.");
	for (b = 0; b < CF_BUDGET__COUNT; b++)
		cf_prom_sample(prom, "limited_total",
		    cf_budget_refused((enum cf_budget)b), "limit",
		    cf_budget_option((enum cf_budget)b), NULL);
}

static void
write_servers(const struct cf_prom *prom)
{
	const struct server *s;
	size_t i, k;

	cf_prom_head(prom, "key_requests_total", "counter",
	    "Requests to key servers by result; ok, or what went wrong.");
	for (i = 0; i < server_count; i++) {
		s = &servers[i];
		for (k = 0; k < s->results.used; k++)
			cf_prom_sample(prom, "key_requests_total",
			    (int64_t)s->results.row[k].count, "server",
			    s->url, "result", s->results.row[k].a, NULL);
	}
	cf_prom_head(prom, "key_request_seconds", "histogram",
	    "How long a key server took for one request.");
	for (i = 0; i < server_count; i++)
		cf_prom_histogram_write(prom, &servers[i].time, &seconds,
		    "key_request_seconds", "server", servers[i].url);
}

static void
write_store(const struct cf_prom *prom)
{
	struct cf_room_facts facts;
	int r;

	cf_room_facts(&facts);
	cf_prom_head(prom, "store_full_total", "counter", "Sealed mail from "
	    "outside that passed as it came for want of room, by reason.");
	for (r = 0; r < CF_ROOM__COUNT; r++)
		cf_prom_sample(prom, "store_full_total",
		    (int64_t)facts.refused[r], "reason",
		    cf_room_reason_name((enum cf_room_reason)r), NULL);
	if (!facts.counted)
		return;
	cf_prom_one(prom, "store_messages", "gauge",
	    "Sealed messages in the store when it was last counted.",
	    facts.messages);
	cf_prom_one(prom, "store_bytes", "gauge",
	    "Bytes that the store takes.", facts.bytes);
}

enum cf_err
cf_metrics_write(void *arg, struct cf_buf *out)
{
	const struct cf_prom prom = { out, "counterfoil_milter_" };

	(void)arg;
	pthread_mutex_lock(&lock);
	write_messages(&prom);
	write_servers(&prom);
	cf_prom_one(&prom, "connections_total", "counter",
	    "Connections of mail servers that came.", connections);
	cf_prom_reloads(&prom, reloads);
	pthread_mutex_unlock(&lock);
	cf_prom_one(&prom, "connections", "gauge",
	    "Connections of mail servers that are open.",
	    cf_budget_held(CF_BUDGET_CONNECTIONS));
	cf_prom_one(&prom, "messages_in_flight", "gauge",
	    "Messages under way.", (int64_t)cf_flight_count());
	cf_prom_one(&prom, "held_header_bytes", "gauge",
	    "Bytes of headers and envelopes of messages under way.",
	    cf_budget_held(CF_BUDGET_HEADERS));
	cf_prom_one(&prom, "held_body_bytes", "gauge",
	    "Bytes of bodies of messages under way, in memory or in files.",
	    cf_budget_held(CF_BUDGET_BODIES));
	cf_prom_one(&prom, "key_requests_in_flight", "gauge",
	    "Slots for key requests that are taken.",
	    cf_slots_taken(CF_SLOTS_KEY_REQUESTS));
	write_store(&prom);
	cf_prom_process(&prom, began_ms);
	return cf_buf_check(out, NULL);
}
