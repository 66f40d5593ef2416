/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_json - strict reading of JSON and of problem details, over jansson.
 *
 * Knows: jansson, base64url members, RFC 9457.   Does not know: HTTP.
 * Keys and tokens pass through: once this module has been used, jansson
 * wipes what it frees.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_JSON_H
#define CF_COMMON_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "common/secret.h"

#define CF_JSON_VALUES_MAX 10000	/* of the longest list of messages */
#define CF_JSON_DEPTH_MAX 16

/* Give an empty object: the memory of its values will be wiped, too. */
json_t *cf_json_new(void);
/* For CF_AUTO. */
void cf_json_free(json_t **json);
/*
 * Parse one JSON object, whole (untrusted): duplicate keys, NUL in strings,
 * bytes after the end and more than CF_JSON_VALUES_MAX values are refused.
 * Gives *ret.
 * CF_E_SYNTAX  not that; `why` says where
 */
CF_MUST_USE enum cf_err cf_json_parse(const char *text, size_t len,
    json_t **ret, struct cf_why *why);
/*
 * The same for text of at most `values_max` values (members, elements and
 * what holds them) and CF_JSON_DEPTH_MAX levels: counting costs next to
 * nothing, making an object of each costs a thousand times as much.
 */
CF_MUST_USE enum cf_err cf_json_parse_few(const char *text, size_t len,
    size_t values_max, json_t **ret, struct cf_why *why);
/* A string member.  Lends: from `object`.  NULL if missing or no string. */
const char *cf_json_string(const json_t *object, const char *name);
/* A base64url member of exactly `len` bytes. */
bool cf_json_bytes(const json_t *object, const char *name, void *ret,
    size_t len);
bool cf_json_secret(const json_t *object, const char *name, size_t len,
    struct cf_secret *ret);
/*
 * The error that an HTTP answer other than 2xx stands for.  A problem
 * document gives its error and its `detail` as the sentence; one that is
 * unknown here is CF_E_REFUSED (4xx) or CF_E_PROTOCOL.  Without a problem
 * document it is CF_E_PROTOCOL with the status.  `service` is named in the
 * sentence.
 */
CF_MUST_USE enum cf_err cf_json_problem(long status, const char *text,
    size_t len, const char *service, struct cf_why *why);

#endif
