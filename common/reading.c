/* SPDX-License-Identifier: Apache-2.0 */
/* cf_reading - see reading.h. */
#include "common/reading.h"

#include <openssl/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/scan.h"

static void
scan_free(struct cf_scan **scan)
{
	cf_reading_free(&(*scan)->reading);
	OPENSSL_cleanse((*scan)->link,
	    CF_SCAN_LINKS_MAX * sizeof *(*scan)->link);
	free((*scan)->link);
	OPENSSL_cleanse(*scan, sizeof **scan);
	free(*scan);
}

/* Compressed: nothing can be found in it, and the person can unpack it. */
static void
note_packed(struct cf_scan *s, const char *p, size_t len, bool whole)
{
	static const char *const begin[] = { "PK\3\4", "\x1f\x8b\b",
	    "7z\xbc\xaf", "Rar!" };
	size_t i, n;

	for (i = 0; i < sizeof begin / sizeof *begin; i++) {
		n = strlen(begin[i]);
		if (len < n || memcmp(p, begin[i], n) != 0)
			continue;
		s->packed = true;
		s->packed_whole |= whole;
	}
}

void
cf_scan_fail(struct cf_scan *s, const struct cf_bulk *bulk)
{
	if (s->failed == CF_OK)
		s->failed = cf_bulk_check(bulk, &s->failure);
}

void
cf_scan_text(struct cf_scan *s, struct cf_scan_text *text)
{
	note_packed(s, text->p, (size_t)(text->end - text->p),
	    text->depth == 0);
	cf_scan_sealed(s, text);
	cf_scan_links(s, text);
	cf_scan_layers(s, text);
}

static bool
is_bare(const struct cf_scan *s, struct cf_scan_text *text)
{
	const char *p = text->p;

	if (!s->begins || s->reading.count != 1)
		return false;
	for (p += s->reading.part[0].e.len; p < text->end; p++) {
		if (*p != '\0' && strchr(" \t\r\n", *p) == NULL)
			return false;
		cf_scan_pass(text, p);
	}
	return true;
}

/* Why there is no E in it. */
static enum cf_err
refuse(const struct cf_scan *s, struct cf_why *why)
{
	if (s->packed_whole || (s->packed && s->link_count > 0))
		return cf_fail(CF_E_NOT_SEALED, why, "a packed file (zip or "
		    "the like) is not looked into: unpack it, and give what "
		    "was in it");
	if (s->damage.text[0] != '\0')
		return cf_fail(CF_E_CONTAINER, why, "%s", s->damage.text);
	return cf_fail(CF_E_NOT_SEALED, why, s->link_count == 0 ?
	    "there is no sealed part in it" : "its link is there, but no "
	    "sealed part: something on the way took it out");
}

static enum cf_err
finish(struct cf_scan *s, struct cf_scan_text *text, struct cf_reading *ret,
    struct cf_why *why)
{
	if (s->failed != CF_OK) {
		if (why != NULL)
			*why = s->failure;
		return s->failed;
	}
	if (s->reading.count == 0)
		return refuse(s, why);
	cf_scan_match_links(s);
	s->reading.bare = is_bare(s, text);
	*ret = s->reading;
	memset(&s->reading, 0, sizeof s->reading);
	return CF_OK;
}

enum cf_err
cf_reading_parse_file(const struct cf_reading_file *file,
    struct cf_reading *ret, struct cf_why *why)
{
	CF_AUTO(scan_free) struct cf_scan *s = cf_calloc(1, sizeof *s);
	struct cf_scan_text text = {
		.p = file->bytes,
		.end = (const char *)file->bytes + file->len,
		.pages = cf_pages_begin(file->bytes, file->mapped),
	};

	s->link = cf_calloc(CF_SCAN_LINKS_MAX, sizeof *s->link);
	s->left = file->len > SIZE_MAX / CF_SCAN_GROWTH_MAX ? SIZE_MAX :
	    file->len * CF_SCAN_GROWTH_MAX;
	s->place = file->place;
	if (file->len > 0)
		cf_scan_text(s, &text);
	return finish(s, &text, ret, why);
}

enum cf_err
cf_reading_parse(const void *file, size_t len, struct cf_reading *ret,
    struct cf_why *why)
{
	const struct cf_reading_file memory = { .bytes = file, .len = len };

	return cf_reading_parse_file(&memory, ret, why);
}

void
cf_reading_free(struct cf_reading *reading)
{
	size_t i;

	for (i = 0; i < reading->count; i++)
		cf_bulk_free(&reading->part[i].bulk);
	OPENSSL_cleanse(reading, sizeof *reading);
}
