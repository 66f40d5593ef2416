/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer to a key request whose every value is zero: nothing but an
 * answer to that one is taken, and what is not taken leaves no key behind.
 */
#include <string.h>

#include "common/container.h"
#include "common/issue.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *recipient = "bob@b.test";
	static const unsigned char token[32];
	struct cf_issue_request request = { 0 };
	struct cf_issue_answer answer;
	struct cf_issue_key key = { 0 };
	struct cf_why why = { "" };

	PROMISE(sizeof token == CF_TOKEN_LEN);
	memcpy(key.token.bytes, token, sizeof token);
	key.token.len = sizeof token;
	request.message_id = "<one@a.test>";
	request.sender = "alice@a.test";
	request.recipients = &recipient;
	request.recipient_count = 1;
	request.reader_url = "https://reader.example";
	request.keys = &key;
	request.key_count = 1;
	memset(&answer, 0, sizeof answer);
	if (cf_issue_parse(&request, (const char *)data, size, &answer, &why)
	    != CF_OK) {
		PROMISE(why.text[0] != '\0');
		PROMISE(answer.kek.len == 0);
		return 0;
	}
	PROMISE(answer.kek.len == CF_KEK_LEN);
	PROMISE(memcmp(answer.locator.key_id, key.key_id, CF_KEY_ID_LEN) == 0);
	cf_issue_answer_wipe(&answer);
	return 0;
}
