/* SPDX-License-Identifier: Apache-2.0 */
/* The plaintext form: strip anything, and strip(add(m)) = m. */
#include <string.h>

#include "common/mform.h"
#include "tests/fuzz/fuzz.h"

/* The bytes of m; SIZE_MAX: it is not M. */
static size_t
strip(const void *form, size_t len, struct cf_span m[])
{
	size_t i, sum = 0;

	if (cf_mform_strip(form, len, m, NULL) != CF_OK)
		return SIZE_MAX;
	for (i = 0; i < CF_MFORM_STRETCHES; i++) {
		PROMISE(m[i].len <= len && m[i].p >= (const char *)form &&
		    m[i].p + m[i].len <= (const char *)form + len);
		sum += m[i].len;
	}
	return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct cf_field outer = { "Subject", " x\n\xc3\xa4" };
	struct cf_span m[CF_MFORM_STRETCHES];
	struct cf_buf form = CF_BUF_INIT(4 * size + 4096);
	size_t i, len = strip(data, size, m);

	PROMISE(len == SIZE_MAX || len < size);
	PROMISE(cf_mform_add(data, size, &outer, 1, &form, NULL) == CF_OK);
	PROMISE(strip(form.data, form.len, m) == size);
	for (i = 0; i < CF_MFORM_STRETCHES; data += m[i++].len)
		PROMISE(m[i].len == 0 ||
		    memcmp(m[i].p, data, m[i].len) == 0);
	cf_buf_free(&form);
	return 0;
}
