/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_fields - read a JSON object, or a form, into a struct by a table.
 *
 * Every member of the table must be there, but for those that are optional,
 * and no other.
 * Knows: JSON types, encodings, lengths.   Does not know: endpoints.
 * Threads: no shared state.   Logging: never.  `why` names the member, never
 * its value.
 */
#ifndef CF_KEYSRV_FIELDS_H
#define CF_KEYSRV_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum cf_member_type {
	CF_MEMBER_BYTES,		/* unsigned char[len], from base64url */
	CF_MEMBER_SECRET,	/* struct cf_secret of len bytes, likewise */
	CF_MEMBER_TEXT,		/* char[len + 1], 1 to len bytes of UTF-8
				 * without control characters */
	CF_MEMBER_TEXT_OR_EMPTY,	/* the same, may be "" */
	CF_MEMBER_WORD,		/* char[len + 1], printable ASCII, no blank */
	CF_MEMBER_TIME,		/* char[CF_TIME_LEN + 1], checked */
	CF_MEMBER_INT,		/* int64_t from min to max */
	CF_MEMBER_VALUE		/* json_t *, lent, any type: read elsewhere */
};

struct cf_member {
	const char *name;
	enum cf_member_type type;
	size_t offset;
	size_t len;
	int64_t min, max;
	bool optional;		/* not there: the struct stays as it is */
};

/* CF_E_SYNTAX  a member is missing, unknown or not of its form */
CF_MUST_USE enum cf_err cf_fields_read(const json_t *object,
    const struct cf_member *table, size_t count, void *into,
    struct cf_why *why);
/*
 * The same of what cf_form_parse() gives, in which all is text: a
 * CF_MEMBER_INT is its decimal digits, and what is optional may be left empty.
 */
CF_MUST_USE enum cf_err cf_fields_read_form(const json_t *form,
    const struct cf_member *table, size_t count, void *into,
    struct cf_why *why);
/* One text value, as CF_MEMBER_TEXT. */
CF_MUST_USE enum cf_err cf_fields_text(const json_t *value, const char *name,
    size_t max, const char **ret, struct cf_why *why);

#endif
