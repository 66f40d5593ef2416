/* SPDX-License-Identifier: Apache-2.0 */
/* cf_mctx - see mctx.h. */
#include "milter/gateway/mctx.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/mem.h"
#include "milter/gateway/flight.h"
#include "milter/gateway/standing.h"

/* The address between <>, or all of it. */
static char *
bare(const char *address)
{
	size_t len = strlen(address);

	if (len >= 2 && address[0] == '<' && address[len - 1] == '>') {
		address++;
		len -= 2;
	}
	return cf_strndup(address, len);
}

/* Take it for this message; false, and m->limit says why: that is too much. */
static bool
hold(struct cf_mctx *m, enum cf_budget what, int64_t amount)
{
	if (m->limit == NULL && !cf_budget_take(what, amount))
		m->limit = cf_budget_option(what);
	if (m->limit != NULL)
		return false;
	m->held[what] += amount;
	return true;
}

struct cf_mctx *
cf_mctx_new(const char *address)
{
	struct cf_mctx *m = cf_calloc(1, sizeof *m);

	m->snapshot = cf_snapshot_get();
	m->in_flight = cf_flight_begin();
	m->began_ms = cf_clock_mono_ms();
	(void)hold(m, CF_BUDGET_MESSAGES, 1);
	m->sender = bare(address);
	(void)hold(m, CF_BUDGET_HEADERS, (int64_t)strlen(m->sender));
	m->header.max = (size_t)m->snapshot->conf.header_limit;
	m->facts.null_sender = *m->sender == '\0';
	return m;
}

void
cf_mctx_client(struct cf_mctx *m, const struct sockaddr *client,
    const char *user, const char *daemon)
{
	m->facts.entitled = cf_standing_entitled(m->snapshot, client, user,
	    daemon);
	m->facts.other_login = m->snapshot->conf.sender_is_login &&
	    user != NULL && *user != '\0' &&
	    !cf_standing_is_login_of(m->snapshot, user, m->sender);
}

void
cf_mctx_free(struct cf_mctx **m)
{
	struct cf_mctx *x = *m;
	size_t i;
	int b;

	if (x == NULL)
		return;
	cf_outbound_free(&x->outbound);
	cf_inbound_free(&x->inbound);
	free(x->near);
	for (i = 0; i < x->rcpt_count; i++) {
		free(x->rcpt[i].address);
		free(x->rcpt[i].args);
	}
	free(x->rcpt);
	free(x->fields);
	cf_buf_free(&x->header);
	free(x->sender);
	for (b = 0; b < CF_BUDGET__COUNT; b++)
		cf_budget_give((enum cf_budget)b, x->held[b]);
	cf_snapshot_put(&x->snapshot);
	if (x->in_flight)
		cf_flight_end();
	free(x);
	*m = NULL;
}

/*
 * The address that the sender wrote, where the mail server tells us: by then
 * it may have put a list's members in its place (RFC 3461 4.2).  Not an
 * address when it is encoded; those are no names of lists.
 */
static const char *
original(char *const *args)
{
	static const char orcpt[] = "ORCPT=rfc822;";

	for (; args != NULL && *args != NULL; args++)
		if (strncasecmp(*args, orcpt, sizeof orcpt - 1) == 0)
			return *args + sizeof orcpt - 1;
	return "";
}

void
cf_mctx_rcpt(struct cf_mctx *m, const char *address, char *const *args)
{
	struct cf_buf joined = CF_BUF_INIT(2000);
	struct cf_rcpt *r;
	char *plain = bare(address);

	m->facts.recipients++;
	if (cf_standing_is_local(m->snapshot, plain))
		m->facts.local++;
	if (m->facts.list == NULL && (cf_standing_is_list(m->snapshot, plain)
	    || cf_standing_is_list(m->snapshot, original(args))))
		m->facts.list = "the recipient is a list";
	cf_flag_note_recipient(m->snapshot, &m->facts, m->sender, plain);
	for (; args != NULL && *args != NULL; args++) {
		if (joined.len > 0)
			cf_buf_addc(&joined, ' ');
		cf_buf_adds(&joined, *args);
	}
	if (m->rcpt_count >= CF_MCTX_RCPT_KEPT || !hold(m, CF_BUDGET_HEADERS,
	    (int64_t)(strlen(plain) + joined.len))) {
		cf_buf_free(&joined);
		free(plain);
		return;
	}
	m->rcpt = cf_realloc(m->rcpt, m->rcpt_count + 1, sizeof *m->rcpt);
	r = &m->rcpt[m->rcpt_count++];
	r->address = plain;
	r->args = cf_buf_take(&joined, NULL);
}

void
cf_mctx_header(struct cf_mctx *m, const char *name, const char *value,
    bool leadspc)
{
	struct cf_field field = { name, value };
	size_t need = strlen(name) + strlen(value) + 3;

	/* Flags are looked for even in what is too much to keep. */
	cf_facts_note(m->snapshot, &m->facts, &field);
	if (m->facts.header_over ||
	    m->field_count >= (size_t)m->snapshot->conf.header_count ||
	    need > m->header.max - m->header.len) {
		m->facts.header_over = true;
		return;
	}
	if (!hold(m, CF_BUDGET_HEADERS, (int64_t)(need +
	    sizeof *m->fields)) || !cf_buf_reserve(&m->header, need))
		return;
	cf_buf_add(&m->header, name, strlen(name) + 1);
	/* Without LEADSPC the mail server took one blank away. */
	if (!leadspc)
		cf_buf_addc(&m->header, ' ');
	cf_buf_add(&m->header, value, strlen(value) + 1);
	m->field_count++;
}

static void
make_fields(struct cf_mctx *m)
{
	const char *p = cf_buf_str(&m->header);
	size_t i;

	m->fields = cf_calloc(m->field_count, sizeof *m->fields);
	for (i = 0; i < m->field_count; i++) {
		m->fields[i].name = p;
		p += strlen(p) + 1;
		m->fields[i].value = p;
		p += strlen(p) + 1;
	}
}

bool
cf_mctx_passes_trouble(const struct cf_mctx *m)
{
	return m->decision.action == CF_ACTION_REWRITE &&
	    m->snapshot->conf.on_inbound_failure == CF_FAILURE_PASS;
}

static enum cf_err
leave_alone(struct cf_mctx *m, enum cf_err rc, const struct cf_why *why)
{
	if (rc == CF_OK || !cf_mctx_passes_trouble(m))
		return rc;
	cf_inbound_free(&m->inbound);
	m->left = *why;
	return CF_OK;
}

enum cf_err
cf_mctx_decide(struct cf_mctx *m, struct cf_why *why)
{
	if (!m->in_flight)
		return CF_E_BUSY;
	m->facts.sender = m->sender;
	m->facts.recipient = m->rcpt_count > 0 ? m->rcpt[0].address : "";
	m->decision = cf_flag_decide(m->snapshot, &m->facts);
	if (m->limit != NULL && m->decision.action != CF_ACTION_PASS &&
	    m->decision.action != CF_ACTION_REFUSE)
		return leave_alone(m, cf_fail(CF_E_BUSY, why,
		    "%s is reached", m->limit), why);
	switch (m->decision.action) {
	case CF_ACTION_SEAL:
		make_fields(m);
		return cf_outbound_begin(m->snapshot, m->sender,
		    m->rcpt[0].address, m->fields, m->field_count,
		    &m->decision, &m->outbound, why);
	case CF_ACTION_REWRITE:
		make_fields(m);
		/* Left alone as too large; the flag may have to go. */
		if (m->facts.header_over) {
			cf_why_set(&m->left, "its header is too large");
			return CF_OK;
		}
		return leave_alone(m, cf_inbound_begin(m->snapshot, m->sender,
		    m->fields, m->field_count, &m->inbound, why), why);
	case CF_ACTION_STRIP:
		make_fields(m);
		return CF_OK;
	case CF_ACTION_REFUSE:
		/* The log has the reason, too. */
		cf_why_set(why, "%s", m->decision.reply.text);
		return CF_OK;
	case CF_ACTION_PASS:
		if (!m->decision.watch)
			return CF_OK;
		m->near = cf_calloc(1, sizeof *m->near);
		cf_near_body_begin(m->near, &m->facts.near);
		return CF_OK;
	case CF_ACTION__COUNT:
		break;
	}
	return CF_OK;
}

/* The body's beginning is known: nothing, or a flag that is to be refused. */
static void
judge_near(struct cf_mctx *m, enum cf_near answer, struct cf_why *why)
{
	if (answer == CF_NEAR_UNDECIDED)
		return;
	free(m->near);
	m->near = NULL;
	if (answer == CF_NEAR_NONE)
		return;
	m->decision = cf_flag_in_body();
	cf_why_set(why, "%s", m->decision.reply.text);
}

enum cf_err
cf_mctx_body(struct cf_mctx *m, unsigned char *data, size_t len,
    struct cf_why *why)
{
	if ((m->outbound != NULL || m->inbound != NULL) &&
	    !hold(m, CF_BUDGET_BODIES, (int64_t)len))
		return leave_alone(m, cf_fail(CF_E_BUSY, why,
		    "%s is reached", m->limit), why);
	if (m->near != NULL)
		judge_near(m, cf_near_body_feed(m->near, data, len), why);
	if (m->outbound != NULL)
		return cf_outbound_body(m->outbound, data, len, why);
	if (m->inbound != NULL)
		return leave_alone(m, cf_inbound_body(m->inbound, data, len,
		    why), why);
	return CF_OK;
}

void
cf_mctx_body_end(struct cf_mctx *m, struct cf_why *why)
{
	if (m->near != NULL)
		judge_near(m, cf_near_body_end(m->near), why);
}

bool
cf_mctx_wants_body(const struct cf_mctx *m)
{
	return m->near != NULL || m->outbound != NULL || m->inbound != NULL;
}
