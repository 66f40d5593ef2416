/* SPDX-License-Identifier: Apache-2.0 */
/* The plaintext form: strip anything, and strip(add(m)) = m. */
#include <string.h>

#include "common/mform.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct cf_field outer = { "Subject", " x\n\xc3\xa4" };
	struct cf_buf form = CF_BUF_INIT(4 * size + 4096);
	struct cf_buf back = CF_BUF_INIT(4 * size + 4096);

	if (cf_mform_strip(data, size, &back, NULL) == CF_OK)
		PROMISE(back.len < size);
	else
		PROMISE(back.len == 0);
	cf_buf_free(&back);
	PROMISE(cf_mform_add(data, size, &outer, 1, &form, NULL) == CF_OK);
	PROMISE(cf_mform_strip(form.data, form.len, &back, NULL) == CF_OK);
	PROMISE(back.len == size);
	PROMISE(size == 0 || memcmp(back.data, data, size) == 0);
	cf_buf_free(&form);
	cf_buf_free(&back);
	return 0;
}
