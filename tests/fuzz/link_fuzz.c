/* SPDX-License-Identifier: Apache-2.0 */
/* The link: what parses is written again as it was; finding is bounded. */
#include <string.h>

#include "common/link_find.h"
#include "common/mem.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = cf_strndup((const char *)data, size);
	char out[CF_LINK_MAX + 1];
	struct cf_link link, found;

	if (cf_link_parse(text, &link, NULL) == CF_OK) {
		cf_link_format(&link, out);
		PROMISE(strcmp(out, text) == 0);
		PROMISE(cf_link_find(text, &found, NULL) == CF_OK);
		PROMISE(memcmp(&found, &link, sizeof link) == 0);
	} else if (cf_link_find(text, &found, NULL) == CF_OK) {
		cf_link_format(&found, out);
		PROMISE(cf_link_parse(out, &link, NULL) == CF_OK);
	}
	free(text);
	return 0;
}
