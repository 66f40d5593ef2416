/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The readers of P: what is found is E, with the L of its key id; what is
 * exact stays so when it is rewritten.
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
read_it(const uint8_t *data, size_t size)
{
	struct cf_reading r;
	struct cf_why why;
	size_t i;

	if (cf_reading_parse(data, size, &r, &why) != CF_OK) {
		PROMISE(why.text[0] != '\0');
		return;
	}
	PROMISE(r.count > 0);
	for (i = 0; i < r.count; i++) {
		PROMISE(r.part[i].container.ciphertext_len < r.part[i].e.len);
		PROMISE(!r.part[i].has_link ||
		    strcmp(r.part[i].link.handle, r.part[i].handle) == 0);
	}
	cf_reading_free(&r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cf_buf again = CF_BUF_INIT(size + 4096);
	struct cf_composite c, c2;
	struct cf_why why;

	cf_composite_init();
	read_it(data, size);
	if (cf_composite_parse(data, size, &c, &why) != CF_OK)
		return 0;
	PROMISE(c.e.len > 0);
	PROMISE(memcmp(c.container.key_id, c.locator.key_id, CF_KEY_ID_LEN)
	    == 0);
	if (c.exact) {
		cf_buf_add(&again, data, c.body_off);
		PROMISE(cf_composite_rewrite(data, size, &c, "text\n",
		    "<p>html</p>\n", collect, &again, NULL) == CF_OK);
		PROMISE(cf_composite_parse(again.data, again.len, &c2, NULL)
		    == CF_OK);
		PROMISE(c2.exact);
		PROMISE(c2.e.len == c.e.len);
		PROMISE(memcmp(c2.e.data, c.e.data, c.e.len) == 0);
		cf_composite_free(&c2);
	}
	cf_composite_free(&c);
	cf_buf_free(&again);
	return 0;
}
