/* SPDX-License-Identifier: Apache-2.0 */
/* The container reader. */
#include <string.h>

#include "common/container.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cf_container all, head;
	size_t have = size < CF_CONTAINER_HEAD_MAX ? size :
	    CF_CONTAINER_HEAD_MAX;
	enum cf_err rc, rc_head;

	rc = cf_container_parse(data, size, &all, NULL);
	rc_head = cf_container_parse_head(data, have, size, &head, NULL);
	PROMISE(rc == CF_OK || rc == CF_E_CONTAINER);
	if (rc != CF_OK)
		return 0;
	PROMISE(rc_head == CF_OK);
	PROMISE(head.ciphertext_off == all.ciphertext_off);
	PROMISE(head.ciphertext_len == all.ciphertext_len);
	PROMISE(all.ciphertext == data + all.ciphertext_off);
	/* One form: the length follows from the content. */
	PROMISE(cf_container_size(all.ciphertext_len) == size);
	return 0;
}
