/* SPDX-License-Identifier: Apache-2.0 */
/* cf_jout - see json_out.h. */
#include "keysrv/http/json_out.h"

#include <string.h>

#include "common/b64url.h"
#include "common/clock.h"

static void
add_quoted(struct cf_buf *buf, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	cf_buf_addc(buf, '"');
	for (; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			cf_buf_addc(buf, '\\');
		if (*p < ' ' || *p == 127)
			cf_buf_addf(buf, "\\u%04x", *p);
		else
			cf_buf_addc(buf, (char)*p);
	}
	cf_buf_addc(buf, '"');
}

static void
member(struct cf_jout *out, const char *name)
{
	if (out->comma)
		cf_buf_addc(out->buf, ',');
	out->comma = true;
	if (name == NULL)
		return;
	add_quoted(out->buf, name);
	cf_buf_addc(out->buf, ':');
}

void
cf_jout_begin(struct cf_jout *out, struct cf_buf *buf)
{
	out->buf = buf;
	out->comma = false;
	cf_buf_addc(buf, '{');
}

void
cf_jout_end(struct cf_jout *out)
{
	cf_buf_adds(out->buf, "}\n");
}

void
cf_jout_open(struct cf_jout *out, const char *name, char bracket)
{
	member(out, name);
	cf_buf_addc(out->buf, bracket);
	out->comma = false;
}

void
cf_jout_close(struct cf_jout *out, char bracket)
{
	cf_buf_addc(out->buf, bracket);
	out->comma = true;
}

void
cf_jout_str(struct cf_jout *out, const char *name, const char *text)
{
	member(out, name);
	add_quoted(out->buf, text);
}

void
cf_jout_b64(struct cf_jout *out, const char *name, const void *bytes,
    size_t len)
{
	struct cf_buf *buf = out->buf;
	size_t text_len = CF_B64URL_LEN(len);

	/* Straight into the buffer: it may be a secret. */
	member(out, name);
	cf_buf_addc(buf, '"');
	if (cf_buf_reserve(buf, text_len)) {
		cf_b64url_encode(bytes, len, buf->data + buf->len);
		buf->len += text_len;
	}
	cf_buf_addc(buf, '"');
}

void
cf_jout_int(struct cf_jout *out, const char *name, int64_t value)
{
	member(out, name);
	cf_buf_addf(out->buf, "%lld", (long long)value);
}

void
cf_jout_bool(struct cf_jout *out, const char *name, bool value)
{
	member(out, name);
	cf_buf_adds(out->buf, value ? "true" : "false");
}

void
cf_jout_time(struct cf_jout *out, const char *name, int64_t ms)
{
	char text[CF_TIME_LEN + 1];

	member(out, name);
	if (ms < 0) {
		cf_buf_adds(out->buf, "null");
		return;
	}
	cf_clock_format(ms, text);
	cf_buf_addf(out->buf, "\"%s\"", text);
}
