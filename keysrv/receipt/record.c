/* SPDX-License-Identifier: Apache-2.0 */
/* cf_record - see record.h. */
#include "keysrv/receipt/record.h"

#include "common/b64url.h"
#include "common/clock.h"

void
cf_record_text(struct cf_buf *rec, const char *name, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	cf_buf_adds(rec, name);
	cf_buf_addc(rec, ' ');
	for (; *p != '\0'; p++) {
		if (*p < ' ' || *p > '~' || *p == '%')
			cf_buf_addf(rec, "%%%02X", *p);
		else
			cf_buf_addc(rec, (char)*p);
	}
	cf_buf_addc(rec, '\n');
}

void
cf_record_bytes(struct cf_buf *rec, const char *name, const void *bytes,
    size_t len)
{
	size_t text_len = CF_B64URL_LEN(len);

	cf_buf_adds(rec, name);
	cf_buf_addc(rec, ' ');
	if (cf_buf_reserve(rec, text_len)) {
		cf_b64url_encode(bytes, len, rec->data + rec->len);
		rec->len += text_len;
	}
	cf_buf_addc(rec, '\n');
}

void
cf_record_begin(struct cf_buf *rec, const char *type,
    const unsigned char event_id[CF_EVENT_ID_LEN],
    const unsigned char key_id[CF_KEY_ID_LEN],
    const unsigned char message_ref[CF_REF_LEN], int64_t at_ms)
{
	char time[CF_TIME_LEN + 1];

	cf_clock_format(at_ms, time);
	cf_buf_reset(rec);
	cf_buf_adds(rec, "counterfoil-event/v1\n");
	cf_record_text(rec, "type", type);
	cf_record_bytes(rec, "id", event_id, CF_EVENT_ID_LEN);
	cf_record_bytes(rec, "key", key_id, CF_KEY_ID_LEN);
	cf_record_bytes(rec, "ref", message_ref, CF_REF_LEN);
	cf_record_text(rec, "time", time);
}

void
cf_record_repeated(struct cf_buf *rec,
    const unsigned char event_id[CF_EVENT_ID_LEN],
    const unsigned char key_id[CF_KEY_ID_LEN],
    const unsigned char message_ref[CF_REF_LEN], int64_t at_ms,
    const struct cf_quota_rest *rest)
{
	char since[CF_TIME_LEN + 1];

	cf_record_begin(rec, "refused", event_id, key_id, message_ref, at_ms);
	cf_record_text(rec, "reason", "repeated");
	cf_clock_format(rest->since_ms, since);
	cf_record_text(rec, "since", since);
	cf_buf_addf(rec, "count %lld\n", (long long)rest->count);
}

void
cf_record_registered(struct cf_buf *rec,
    const unsigned char opening_key[CF_PUBLIC_KEY_LEN],
    const unsigned char possession_key[CF_PUBLIC_KEY_LEN],
    const unsigned char key_commitment[CF_COMMITMENT_LEN])
{
	cf_record_bytes(rec, "opening-key", opening_key, CF_PUBLIC_KEY_LEN);
	cf_record_bytes(rec, "possession-key", possession_key,
	    CF_PUBLIC_KEY_LEN);
	cf_record_bytes(rec, "key-commitment", key_commitment,
	    CF_COMMITMENT_LEN);
}
