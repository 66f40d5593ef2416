/* SPDX-License-Identifier: Apache-2.0 */
/* cf_httpd_gate - see httpd_gate.h. */
#include "common/httpd_gate.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/mem.h"

#define BUCKETS 1024
#define REPORT_MS 60000		/* between two lines in the log */
#define FORWARDED_MAX 20000	/* more than a header block */

struct counted {
	struct counted *next;
	struct cf_network from;
	unsigned connections;
};

struct cf_httpd_gate {
	struct cf_network *proxies;
	size_t proxy_count;
	unsigned limit;			/* 0: none */
	pthread_mutex_t lock;		/* guards what follows */
	struct counted *bucket[BUCKETS];
	unsigned refused;
	struct cf_network last;		/* of the refused */
	int64_t reported_ms;
};

struct cf_httpd_gate *
cf_httpd_gate_new(const struct cf_conf_list *proxies, long per_address)
{
	struct cf_httpd_gate *gate = cf_calloc(1, sizeof *gate);
	size_t i;

	gate->limit = (unsigned)per_address;
	gate->proxy_count = proxies->count;
	gate->proxies = cf_calloc(proxies->count, sizeof *gate->proxies);
	for (i = 0; i < proxies->count; i++)
		if (!cf_network_parse(proxies->item[i], &gate->proxies[i]))
			cf_bug("network was checked");
	gate->reported_ms = -REPORT_MS;
	pthread_mutex_init(&gate->lock, NULL);
	return gate;
}

void
cf_httpd_gate_free(struct cf_httpd_gate **ref)
{
	struct cf_httpd_gate *gate = *ref;
	struct counted *c;
	size_t i;

	if (gate == NULL)
		return;
	for (i = 0; i < BUCKETS; i++)
		while ((c = gate->bucket[i]) != NULL) {
			gate->bucket[i] = c->next;
			free(c);
		}
	pthread_mutex_destroy(&gate->lock);
	free(gate->proxies);
	free(gate);
	*ref = NULL;
}

static bool
is_proxy(const struct cf_httpd_gate *gate, const struct cf_network *address)
{
	size_t i;

	for (i = 0; i < gate->proxy_count; i++)
		if (cf_network_has(&gate->proxies[i], address))
			return true;
	return false;
}

/* As it is counted; false: it is not. */
static bool
gate_place_of(const struct cf_httpd_gate *gate, const struct sockaddr *address,
    struct cf_network *ret)
{
	if (gate->limit == 0 || address == NULL ||
	    !cf_network_of(address, ret) || is_proxy(gate, ret))
		return false;
	if (ret->family == AF_INET6)
		cf_network_cut(ret, 64);
	return true;
}

/* Where the address is, or where it would be put. */
static struct counted **
find_counted(struct cf_httpd_gate *gate, const struct cf_network *from)
{
	struct counted **p;
	unsigned hash = 0;
	size_t i;

	for (i = 0; i < sizeof from->bits; i++)
		hash = hash * 31 + from->bits[i];
	p = &gate->bucket[hash % BUCKETS];
	while (*p != NULL && memcmp(&(*p)->from, from, sizeof *from) != 0)
		p = &(*p)->next;
	return p;
}

enum MHD_Result
cf_httpd_gate_ask(void *cls, const struct sockaddr *address, socklen_t len)
{
	struct cf_httpd_gate *gate = cls;
	struct cf_network from;
	const struct counted *c;
	bool full;

	(void)len;
	if (!gate_place_of(gate, address, &from))
		return MHD_YES;
	pthread_mutex_lock(&gate->lock);
	c = *find_counted(gate, &from);
	full = c != NULL && c->connections >= gate->limit;
	if (full) {
		gate->refused++;
		gate->last = from;
	}
	pthread_mutex_unlock(&gate->lock);
	return full ? MHD_NO : MHD_YES;
}

static const struct sockaddr *
address_of(struct MHD_Connection *conn)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(conn,
	    MHD_CONNECTION_INFO_CLIENT_ADDRESS);

	return info == NULL ? NULL : info->client_addr;
}

void
cf_httpd_gate_enter(struct cf_httpd_gate *gate, struct MHD_Connection *conn,
    struct cf_httpd_place *ret)
{
	struct counted **p;

	ret->taken = gate_place_of(gate, address_of(conn), &ret->from);
	if (!ret->taken)
		return;
	pthread_mutex_lock(&gate->lock);
	p = find_counted(gate, &ret->from);
	if (*p == NULL) {
		*p = cf_calloc(1, sizeof **p);
		(*p)->from = ret->from;
	}
	(*p)->connections++;
	pthread_mutex_unlock(&gate->lock);
}

void
cf_httpd_gate_leave(struct cf_httpd_gate *gate, struct cf_httpd_place *place)
{
	struct counted **p, *c;

	if (!place->taken)
		return;
	place->taken = false;
	pthread_mutex_lock(&gate->lock);
	p = find_counted(gate, &place->from);
	c = *p;
	if (--c->connections == 0) {
		*p = c->next;
		free(c);
	}
	pthread_mutex_unlock(&gate->lock);
}

bool
cf_httpd_gate_refused(struct cf_httpd_gate *gate, unsigned *ret_count,
    char ret_address[INET6_ADDRSTRLEN])
{
	int64_t now = cf_clock_mono_ms();
	bool report;

	pthread_mutex_lock(&gate->lock);
	report = gate->refused > 0 && now - gate->reported_ms >= REPORT_MS;
	if (report) {
		*ret_count = gate->refused;
		(void)inet_ntop(gate->last.family, gate->last.bits,
		    ret_address, INET6_ADDRSTRLEN);
		gate->refused = 0;
		gate->reported_ms = now;
	}
	pthread_mutex_unlock(&gate->lock);
	return report;
}

static enum MHD_Result
add_forwarded(void *cls, enum MHD_ValueKind kind, const char *name,
    const char *value)
{
	(void)kind;
	if (strcasecmp(name, "X-Forwarded-For") == 0 && value != NULL) {
		cf_buf_adds(cls, value);
		cf_buf_addc(cls, ',');
	}
	return MHD_YES;
}

bool
cf_httpd_gate_client(const struct cf_httpd_gate *gate,
    struct MHD_Connection *conn, struct cf_network *ret)
{
	const struct sockaddr *address = address_of(conn);
	struct cf_buf forwarded = CF_BUF_INIT(FORWARDED_MAX);

	if (address == NULL || !cf_network_of(address, ret))
		return false;
	if (!is_proxy(gate, ret))
		return true;
	(void)MHD_get_connection_values(conn, MHD_HEADER_KIND, add_forwarded,
	    &forwarded);
	if (!forwarded.full)
		cf_network_behind(gate->proxies, gate->proxy_count,
		    cf_buf_str(&forwarded), ret);
	cf_buf_free(&forwarded);
	return true;
}
