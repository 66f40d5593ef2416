/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_issue - ask a key server for the keys of one message.
 *
 * The asker chooses key ids and tokens, so a request can be repeated: the
 * same values get the same answer.  A lost reply is therefore asked for
 * again at the same server, then at the next, with the very same bytes.
 * Knows: the issue request and answer (openapi: /api/v1/issue).
 * Does not know: mail, MIME, the container.
 * Threads: a client may be used by many.   Logging: never.
 */
#ifndef CF_COMMON_ISSUE_H
#define CF_COMMON_ISSUE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/httpc.h"
#include "common/link.h"
#include "common/reference.h"
#include "common/secret.h"

#define CF_ISSUE_ID_LEN 16		/* request id, bytes */
#define CF_ISSUE_ANSWER_MAX 65536	/* bytes of an answer we read */

struct cf_issue_key {
	unsigned char key_id[CF_KEY_ID_LEN];
	struct cf_secret token;			/* CF_TOKEN_LEN */
	unsigned char opening_key[32];		/* public halves */
	unsigned char possession_key[32];
	int64_t expires_in_s;			/* from the issue; 0: never */
};

struct cf_issue_request {
	unsigned char request_id[CF_ISSUE_ID_LEN];
	unsigned char message_ref[CF_REF_LEN];
	unsigned char reference_check[CF_REF_CHECK_LEN];
	const char *message_id;			/* may be "" */
	const char *sender;
	const char *const *recipients;
	size_t recipient_count;
	const char *reader_url;
	const struct cf_issue_key *keys;
	size_t key_count;
};

/* What comes back for one key; wipe with cf_issue_answer_wipe(). */
struct cf_issue_answer {
	struct cf_link locator;		/* L with the token of the request */
	struct cf_secret kek;		/* Ke */
};

struct cf_issue_client {
	struct cf_httpc *http;
	char *const *servers;		/* URLs, in order */
	size_t server_count;
	/* A server that failed is passed over until then, or NULL. */
	_Atomic int64_t *down_until_ms;
	const struct cf_secret *bearer;
	long request_timeout_ms;
	int64_t deadline_ms;		/* monotonic; after it, no more tries */
	/* Called about once a second while waiting; nonzero gives up. */
	int (*tick)(void *arg);
	void *tick_arg;
	/* Called after each request with what came of it, or NULL. */
	void (*observe)(const char *server, enum cf_err result, int64_t ms);
};

void cf_issue_answer_wipe(struct cf_issue_answer *answer);

/* The request as JSON.  Holds tokens: make `json` a secret buffer.
 * CF_E_SYNTAX  an address or the Message-ID is not UTF-8 */
CF_MUST_USE enum cf_err cf_issue_build(const struct cf_issue_request *request,
    struct cf_buf *json, struct cf_why *why);
/*
 * Read an answer of status 200 or 201 into answers[key_count].  The request
 * id, number, order and key ids must be those of the request, and the key
 * commitment must be that of the key.  CF_E_PROTOCOL else.
 */
CF_MUST_USE enum cf_err cf_issue_parse(const struct cf_issue_request *request,
    const char *json, size_t len, struct cf_issue_answer *answers,
    struct cf_why *why);
/*
 * Ask the servers in turn until one answers.  Every failure is of the
 * network, the server or the account: the error of the last try, `why` with
 * the server's URL.  Fills answers[key_count] on CF_OK only.
 */
CF_MUST_USE enum cf_err cf_issue(const struct cf_issue_client *client,
    const struct cf_issue_request *request, struct cf_issue_answer *answers,
    struct cf_why *why);

#endif
