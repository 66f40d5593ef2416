/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The readers of P: what is found is E, with the L of its key id; where a
 * notice was replaced, it is found again.
 */
#include <string.h>

#include "common/composite.h"
#include "common/reading.h"
#include "tests/fuzz/fuzz.h"

static enum cf_err
collect(void *arg, const void *data, size_t len, struct cf_why *why)
{
	cf_buf_add(arg, data, len);
	return cf_buf_check(arg, why);
}

static void
rewrite_it(const uint8_t *data, size_t size, const char *handle)
{
	struct cf_buf again = CF_BUF_INIT(size + 4096);
	struct cf_composite c, c2;
	struct cf_why why = { "" };

	if (cf_composite_parse(data, size, handle, &c, &why) != CF_OK) {
		PROMISE(why.text[0] != '\0');
		return;
	}
	cf_buf_add(&again, data, c.body_off);
	PROMISE(cf_composite_rewrite(data, size, &c, handle, "<p>html</p>\n",
	    collect, &again, NULL) == CF_OK);
	PROMISE(cf_composite_parse(again.data, again.len, handle, &c2, NULL)
	    == CF_OK);
	PROMISE(c2.text.off == c.text.off && c2.body_off == c.body_off);
	cf_buf_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cf_reading r;
	struct cf_why why = { "" };
	size_t i;

	cf_composite_init();
	if (cf_reading_parse(data, size, &r, &why) != CF_OK) {
		PROMISE(why.text[0] != '\0');
		return 0;
	}
	PROMISE(r.count > 0);
	for (i = 0; i < r.count; i++) {
		PROMISE(r.part[i].container.ciphertext_len < r.part[i].e.len);
		PROMISE(!r.part[i].has_link ||
		    strcmp(r.part[i].link.handle, r.part[i].handle) == 0);
		rewrite_it(data, size, r.part[i].handle);
	}
	cf_reading_free(&r);
	return 0;
}
