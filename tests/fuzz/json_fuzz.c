/* SPDX-License-Identifier: Apache-2.0 */
/* JSON from a peer, and the problem documents that key servers answer. */
#include <string.h>

#include "common/json.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const long statuses[] = { 100, 302, 400, 404, 409, 500, 503 };
	const char *text = (const char *)data, *p;
	struct cf_secret secret = CF_SECRET_EMPTY;
	unsigned char bytes[16];
	struct cf_why why;
	enum cf_err rc;
	json_t *json = NULL;
	size_t i;

	rc = cf_json_parse(text, size, &json, &why);
	PROMISE((rc == CF_OK) == (json != NULL));
	if (rc == CF_OK) {
		PROMISE(json_is_object(json));
		(void)cf_json_string(json, "detail");
		(void)cf_json_bytes(json, "key_id", bytes, sizeof bytes);
		if (cf_json_secret(json, "key", 32, &secret))
			PROMISE(secret.len == 32);
		cf_secret_wipe(&secret);
		cf_json_free(&json);
	}
	for (i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
		why.text[0] = '\0';
		/* A sentence of somebody else's is one printable line. */
		PROMISE(cf_json_problem(statuses[i], text, size,
		    "https://keys.example", &why) != CF_OK);
		PROMISE(why.text[0] != '\0');
		for (p = why.text; *p != '\0'; p++)
			PROMISE(*p != '\n' && *p != '\r' && *p != '\x1b');
	}
	return 0;
}
