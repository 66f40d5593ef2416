/* SPDX-License-Identifier: Apache-2.0 */
/* cf_mform_strip() - see mform.h: the reader. */
#include "common/mform_private.h"

#include <string.h>

static bool
eat(struct cf_span *s, const char *literal)
{
	size_t n = strlen(literal);

	if (s->len < n || memcmp(s->p, literal, n) != 0)
		return false;
	s->p += n;
	s->len -= n;
	return true;
}

/* Decimal without leading zeros, at most five digits. */
static bool
eat_number(struct cf_span *s, size_t *ret)
{
	size_t n = 0, value = 0;

	for (; n < s->len && n < 6 && s->p[n] >= '0' && s->p[n] <= '9'; n++)
		value = value * 10 + (size_t)(s->p[n] - '0');
	if (n == 0 || n == 6 || (n > 1 && s->p[0] == '0'))
		return false;
	s->p += n;
	s->len -= n;
	*ret = value;
	return true;
}

static bool
eat_first(struct cf_span *s, struct cf_mform_said *said)
{
	if (!eat(s, CF_MFORM_FIRST "v=1; outer=") ||
	    !eat_number(s, &said->outer) || !eat(s, "; ct="))
		return false;
	if (eat(s, "suffix"))
		said->ct = CF_MFORM_SUFFIXED;
	else if (eat(s, "made"))
		said->ct = CF_MFORM_MADE;
	else if (eat(s, "kept"))
		said->ct = CF_MFORM_KEPT;
	else
		return false;
	said->mv_made = eat(s, "; mv=made");
	if (!said->mv_made && !eat(s, "; mv=kept"))
		return false;
	said->wrapped = eat(s, "; form=rfc822\r\n");
	return said->wrapped || eat(s, "; form=plain\r\n");
}

static bool
eat_outers(struct cf_span *s, size_t count)
{
	size_t n;

	for (; count > 0; count--) {
		n = cf_block_field_len(s->p, s->len);
		if (n == 0 || !eat(s, CF_MFORM_HP))
			return false;
		n -= LIT_LEN(CF_MFORM_HP);
		if (cf_block_name_len(s->p, n) == 0)
			return false;
		s->p += n;
		s->len -= n;
	}
	return true;
}

/* Take `line` off the end of the block.  False when it is not there. */
static bool
uneat_line(const char *block, size_t *len, const char *line)
{
	size_t n = strlen(line), at;

	if (*len < n)
		return false;
	at = *len - n;
	if (memcmp(block + at, line, n) != 0 ||
	    (at > 0 && block[at - 1] != '\n'))
		return false;
	*len = at;
	return true;
}

/* m in pieces: the block up to `a`, on from `b` to `end`, and the rest. */
struct pieces {
	size_t a, b, end, rest;
};

static bool
find_pieces(const struct cf_mform_said *said, struct cf_span s,
    struct pieces *ret)
{
	struct cf_span type;

	if (!cf_block_find(s.p, s.len, &ret->rest))
		return false;
	ret->end = ret->rest;
	ret->a = ret->b = 0;
	if (said->ct == CF_MFORM_MADE &&
	    !uneat_line(s.p, &ret->end, CF_MFORM_TYPE))
		return false;
	if (said->mv_made && !uneat_line(s.p, &ret->end, CF_MFORM_VERSION))
		return false;
	if (said->ct != CF_MFORM_SUFFIXED)
		return true;
	type = cf_block_field(s.p, ret->end, "Content-Type");
	if (type.p == NULL ||
	    type.len < LIT_LEN("Content-Type:" CF_MFORM_SUFFIX "\r\n") ||
	    memcmp(type.p + type.len - LIT_LEN(CF_MFORM_SUFFIX "\r\n"),
	    CF_MFORM_SUFFIX "\r\n", LIT_LEN(CF_MFORM_SUFFIX "\r\n")) != 0)
		return false;
	ret->b = (size_t)(type.p - s.p) + type.len - 2;
	ret->a = ret->b - LIT_LEN(CF_MFORM_SUFFIX);
	return true;
}

static void
give(struct cf_span s, const struct pieces *at,
    struct cf_span ret[CF_MFORM_STRETCHES])
{
	ret[0].p = s.p;
	ret[0].len = at->a;
	ret[1].p = s.p + at->b;
	ret[1].len = at->end - at->b;
	ret[2].p = s.p + at->rest;
	ret[2].len = s.len - at->rest;
}

enum cf_err
cf_mform_strip(const void *mform, size_t len,
    struct cf_span ret[CF_MFORM_STRETCHES], struct cf_why *why)
{
	struct cf_span s = { mform, len };
	struct pieces at = { 0, 0, 0, 0 };
	struct cf_mform_said said;

	if (!eat_first(&s, &said))
		return cf_fail(CF_E_MFORM, why,
		    "the decrypted message does not begin with the field "
		    CF_FORM_FIELD " of version 1");
	if (!eat_outers(&s, said.outer))
		return cf_fail(CF_E_MFORM, why,
		    "the decrypted message has not the %zu HP-Outer fields "
		    "that it claims", said.outer);
	if (said.wrapped) {
		if (said.ct != CF_MFORM_KEPT || said.mv_made ||
		    !eat(&s, CF_MFORM_WRAPPER))
			return cf_fail(CF_E_MFORM, why,
			    "the wrapper of the decrypted message is not "
			    "the one it claims");
	} else if (!find_pieces(&said, s, &at)) {
		return cf_fail(CF_E_MFORM, why,
		    "what was added to the decrypted message's header is "
		    "not there");
	}
	give(s, &at, ret);
	return CF_OK;
}
