/* SPDX-License-Identifier: Apache-2.0 */
/* cf_report - see report.h. */
#include "milter/gateway/report.h"

#include "common/clock.h"
#include "common/log.h"
#include "milter/gateway/metrics.h"

#define QUEUE_ID_MAX 60

/* A queue id as it goes into the log: it comes from a mail server. */
static void
clean_id(const char *id, char out[QUEUE_ID_MAX + 1])
{
	size_t i;

	for (i = 0; i < QUEUE_ID_MAX && id[i] != '\0'; i++)
		out[i] = id[i] > ' ' && id[i] <= '~' && id[i] != ':' ?
		    id[i] : '?';
	out[i] = '\0';
}

void
cf_report_message(const char *queue_id, const struct cf_mctx *m,
    const char *verdict, const char *cause, const struct cf_why *why)
{
	struct cf_outbound_facts out;
	struct cf_inbound_facts in;
	enum cf_log_level level = CF_LOG_INFO;
	char id[QUEUE_ID_MAX + 1];
	const char *handle;

	cf_outbound_facts(m->outbound, &out);
	cf_inbound_facts(m->inbound, &in);
	if (m->facts.flags == 0 && m->facts.markers == 0 &&
	    m->decision.trigger == NULL && !m->snapshot->conf.log_passed)
		level = CF_LOG_DEBUG;
	handle = m->outbound != NULL ? out.handle : in.handle;
	clean_id(queue_id, id);
	cf_log(level, "%s: %s cause=%s rcpts=%zu ms=%lld key=%s keysrv_ms=%lld"
	    " in=%llu out=%llu%s%s", id, verdict, cause, m->facts.recipients,
	    (long long)(cf_clock_mono_ms() - m->began_ms),
	    *handle == '\0' ? "-" : handle, (long long)out.key_server_ms,
	    (unsigned long long)(out.bytes_in + in.bytes_in),
	    (unsigned long long)(out.bytes_out + in.bytes_out),
	    why->text[0] == '\0' ? "" : ": ", why->text);
	cf_metrics_message(verdict, cause, out.bytes_in + in.bytes_in,
	    out.bytes_out + in.bytes_out);
}
