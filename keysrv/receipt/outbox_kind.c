/* SPDX-License-Identifier: Apache-2.0 */
/* cf_outbox_kind - see outbox_kind.h. */
#include "keysrv/receipt/outbox_kind.h"

#include <stddef.h>
#include <string.h>

static const struct cf_outbox_kind kinds[] = {
	{ "released", "receipt", cf_outbox_build_receipt },
	{ "opened", "receipt", cf_outbox_build_receipt },
};

const struct cf_outbox_kind *
cf_outbox_kind(const char *word)
{
	size_t i;

	for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strcmp(kinds[i].word, word) == 0)
			return &kinds[i];
	return NULL;
}
