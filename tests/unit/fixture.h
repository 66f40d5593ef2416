/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Test vectors and sample bytes for unit tests.  Every function ends the
 * test when it fails.
 */
#ifndef CF_TESTS_UNIT_FIXTURE_H
#define CF_TESTS_UNIT_FIXTURE_H

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/b64url.h"
#include "common/buf.h"
#include "common/container.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/mform.h"
#include "common/secret.h"

/* tests/vectors/`name`, parsed.  Gives; json_decref(). */
static inline json_t *
fixture_json(const char *name)
{
	const char *top = getenv("top_srcdir");
	char *path = cf_asprintf("%s/tests/vectors/%s",
	    top == NULL ? "." : top, name);
	json_error_t error;
	json_t *root = json_load_file(path, 0, &error);

	if (root == NULL)
		fail_msg("%s: %s (run from the source folder, or set "
		    "top_srcdir)", path, error.text);
	free(path);
	return root;
}

/* The text at `key`.  Lends. */
static inline const char *
fixture_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (text == NULL)
		fail_msg("no text \"%s\" in the vector", key);
	return text;
}

/* The bytes at `key`, which must be `len`. */
static inline void
fixture_bytes(const json_t *object, const char *key, void *ret, size_t len)
{
	const char *text = fixture_text(object, key);

	if (!cf_b64url_decode(text, strlen(text), ret, len))
		fail_msg("\"%s\" is not %zu bytes", key, len);
}

static inline struct cf_secret
fixture_secret(const json_t *object, const char *key)
{
	struct cf_secret s = CF_SECRET_EMPTY;

	fixture_bytes(object, key, s.bytes, 32);
	s.len = 32;
	return s;
}

/* The bytes at `key`, however many.  Gives (NUL behind them). */
static inline char *
fixture_blob(const json_t *object, const char *key, size_t *ret_len)
{
	const char *text = fixture_text(object, key);
	size_t len = strlen(text) * 6 / 8;
	char *bytes = cf_calloc(len + 1, 1);

	if (!cf_b64url_decode(text, strlen(text), bytes, len))
		fail_msg("\"%s\" is not base64url", key);
	*ret_len = len;
	return bytes;
}

/* The same numbers in every run: xorshift64. */
static inline uint64_t
fixture_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static inline void
fixture_fill(uint64_t *state, void *bytes, size_t len)
{
	unsigned char *p = bytes;
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (unsigned char)(fixture_next(state) >> 32);
}

/* What cf_mform_strip() leaves, appended to `ret`, unless it fails. */
static inline enum cf_err
fixture_strip(const void *mform, size_t len, struct cf_buf *ret)
{
	struct cf_span m[CF_MFORM_STRETCHES];
	enum cf_err rc = cf_mform_strip(mform, len, m, NULL);
	size_t i;

	for (i = 0; rc == CF_OK && i < CF_MFORM_STRETCHES; i++)
		cf_buf_add(ret, m[i].p, m[i].len);
	return rc;
}

/* What cf_container_decrypt() gives, appended to `ret`, unless it fails. */
static inline enum cf_err
fixture_decrypt(const struct cf_container *c, const struct cf_secret *cek,
    struct cf_buf *ret)
{
	struct cf_bulk plain;
	enum cf_err rc;

	cf_bulk_init(&plain, NULL, ret->max - ret->len);
	rc = cf_container_decrypt(c, cek, &plain, NULL);
	if (rc == CF_OK)
		cf_buf_add(ret, cf_buf_str(&plain.buf), plain.len);
	else
		assert_int_equal(plain.len, 0);
	cf_bulk_free(&plain);
	return rc;
}

#endif
