/* SPDX-License-Identifier: Apache-2.0 */
/* cf_buf - see buf.h. */
#include "common/buf.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* A secret must not stay behind in memory that realloc() moved away from. */
static void
grow(struct cf_buf *buf, size_t cap)
{
	char *fresh;

	if (!buf->wipe || buf->data == NULL) {
		buf->data = cf_realloc(buf->data, cap, 1);
	} else {
		fresh = cf_calloc(cap, 1);
		memcpy(fresh, buf->data, buf->len + 1);
		OPENSSL_cleanse(buf->data, buf->cap);
		free(buf->data);
		buf->data = fresh;
	}
	buf->cap = cap;
	buf->data[buf->len] = '\0';
}

bool
cf_buf_reserve(struct cf_buf *buf, size_t len)
{
	size_t need, cap;

	if (buf->full || len > buf->max || buf->len > buf->max - len) {
		buf->full = true;
		return false;
	}
	need = buf->len + len + 1;
	if (need <= buf->cap)
		return true;
	cap = buf->cap < 64 ? 64 : buf->cap;
	while (cap < need)
		cap += cap / 2;
	if (cap > buf->max + 1)
		cap = buf->max + 1;
	grow(buf, cap < need ? need : cap);
	return true;
}

void
cf_buf_add(struct cf_buf *buf, const void *data, size_t len)
{
	if (!cf_buf_reserve(buf, len))
		return;
	if (len > 0)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void
cf_buf_adds(struct cf_buf *buf, const char *s)
{
	cf_buf_add(buf, s, strlen(s));
}

void
cf_buf_addc(struct cf_buf *buf, char c)
{
	cf_buf_add(buf, &c, 1);
}

void
cf_buf_addf(struct cf_buf *buf, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		cf_bug("bad format");
	if (!cf_buf_reserve(buf, (size_t)n))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(buf->data + buf->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	buf->len += (size_t)n;
}

const char *
cf_buf_str(const struct cf_buf *buf)
{
	return buf->data == NULL ? "" : buf->data;
}

enum cf_err
cf_buf_check(const struct cf_buf *buf, struct cf_why *why)
{
	if (buf->full)
		return cf_fail(CF_E_TOO_LARGE, why,
		    "more than %zu bytes", buf->max);
	return CF_OK;
}

void
cf_buf_reset(struct cf_buf *buf)
{
	if (buf->wipe && buf->data != NULL)
		OPENSSL_cleanse(buf->data, buf->cap);
	buf->len = 0;
	buf->full = false;
	if (buf->data != NULL)
		buf->data[0] = '\0';
}

char *
cf_buf_take(struct cf_buf *buf, size_t *ret_len)
{
	char *data;

	if (buf->data == NULL)
		grow(buf, 1);
	data = buf->data;
	if (ret_len != NULL)
		*ret_len = buf->len;
	buf->data = NULL;
	buf->len = buf->cap = 0;
	return data;
}

void
cf_buf_free(struct cf_buf *buf)
{
	if (buf->wipe && buf->data != NULL)
		OPENSSL_cleanse(buf->data, buf->cap);
	free(buf->data);
	buf->data = NULL;
	buf->len = buf->cap = 0;
	buf->full = false;
}
