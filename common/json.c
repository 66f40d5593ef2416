/* SPDX-License-Identifier: Apache-2.0 */
/* cf_json - see json.h. */
#include "common/json.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64url.h"
#include "common/mem.h"
#include "common/wire.h"

#define DETAIL_MAX 200	/* bytes of a reason that are passed on */

static void
wiping_free(void *p)
{
	if (p != NULL)
		OPENSSL_cleanse(p, malloc_usable_size(p));
	free(p);
}

static void
set_allocator(void)
{
	json_set_alloc_funcs(malloc, wiping_free);
}

static void
prepare(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, set_allocator);
}

json_t *
cf_json_new(void)
{
	json_t *object;

	prepare();
	object = json_object();
	if (object == NULL)
		cf_bug("no JSON object");
	return object;
}

void
cf_json_free(json_t **json)
{
	json_decref(*json);
	*json = NULL;
}

/*
 * Each value but the first of its kind has a comma before it, each that holds
 * others an opening bracket.  False: too many, or too deep.
 */
static bool
is_small(const char *text, size_t len, size_t values_max)
{
	size_t i, values = 0, depth = 0;
	bool quoted = false;

	for (i = 0; i < len; i++) {
		if (text[i] == '"') {
			quoted = !quoted;
		} else if (quoted) {
			i += text[i] == '\\';
		} else if (text[i] == '[' || text[i] == '{') {
			values += 2;
			depth++;
		} else if (text[i] == ']' || text[i] == '}') {
			depth -= depth > 0;
		} else {
			values += text[i] == ',';
		}
		if (values > values_max || depth > CF_JSON_DEPTH_MAX)
			return false;
	}
	return true;
}

enum cf_err
cf_json_parse(const char *text, size_t len, json_t **ret, struct cf_why *why)
{
	return cf_json_parse_few(text, len, CF_JSON_VALUES_MAX, ret, why);
}

enum cf_err
cf_json_parse_few(const char *text, size_t len, size_t values_max,
    json_t **ret, struct cf_why *why)
{
	json_error_t error;
	json_t *json;

	if (!is_small(text, len, values_max))
		return cf_fail(CF_E_SYNTAX, why,
		    "more than %zu JSON values, or too deep", values_max);
	prepare();
	json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	/* jansson's text may quote the input, which may be a secret. */
	if (json == NULL)
		return cf_fail(CF_E_SYNTAX, why,
		    "not valid JSON at line %d, column %d", error.line,
		    error.column);
	if (!json_is_object(json)) {
		json_decref(json);
		return cf_fail(CF_E_SYNTAX, why, "not a JSON object");
	}
	*ret = json;
	return CF_OK;
}

const char *
cf_json_string(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

bool
cf_json_bytes(const json_t *object, const char *name, void *ret, size_t len)
{
	const json_t *value = json_object_get(object, name);

	return json_is_string(value) && cf_b64url_decode(
	    json_string_value(value), json_string_length(value), ret, len);
}

bool
cf_json_secret(const json_t *object, const char *name, size_t len,
    struct cf_secret *ret)
{
	const json_t *value = json_object_get(object, name);

	return json_is_string(value) && cf_secret_from_b64url(
	    json_string_value(value), json_string_length(value), len, ret,
	    NULL) == CF_OK;
}

/* Key servers give reasons; what stands in front of one does not. */
static enum cf_err
no_reason(long status, const char *service, struct cf_why *why)
{
	return cf_fail(CF_E_PROTOCOL, why,
	    "%s: answered with status %ld and no reason%s", service, status,
	    status >= 500 ? ": the web server in front of it cannot reach "
	    "counterfoil-keysrv, or it is stopped" : "");
}

enum cf_err
cf_json_problem(long status, const char *text, size_t len,
    const char *service, struct cf_why *why)
{
	CF_AUTO(cf_json_free) json_t *json = NULL;
	CF_AUTO(cf_free) char *words = NULL;
	const char *type, *detail;
	char *p;
	enum cf_err rc;

	if (cf_json_parse(text, len, &json, NULL) != CF_OK)
		return no_reason(status, service, why);
	type = cf_json_string(json, "type");
	detail = cf_json_string(json, "detail");
	if (detail == NULL)
		detail = cf_json_string(json, "title");
	if (type == NULL || detail == NULL ||
	    strncmp(type, CF_PROBLEM, strlen(CF_PROBLEM)) != 0)
		return no_reason(status, service, why);
	rc = cf_err_from_slug(type + strlen(CF_PROBLEM));
	if (rc == CF_OK)
		rc = CF_E_PROTOCOL;
	if (rc == CF_E_PROTOCOL && status >= 400 && status <= 499)
		rc = CF_E_REFUSED;
	/* Its words, and marked so: they cannot end the quotation. */
	words = cf_strndup(detail, strnlen(detail, DETAIL_MAX));
	for (p = words; *p != '\0'; p++)
		if (*p == '"')
			*p = '\'';
	/* Our own sentence once is enough. */
	if (strcmp(words, cf_err_text(rc)) == 0)
		return cf_fail(rc, why, "%s says so", service);
	return cf_fail(rc, why, "%s says: \"%s\"", service, words);
}
