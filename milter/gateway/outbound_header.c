/* SPDX-License-Identifier: Apache-2.0 */
/* cf_outbound - see outbound.h; the header, inside and outside. */
#include "milter/gateway/outbound_parts.h"

#include <stdio.h>
#include <string.h>

#include "common/b64url.h"
#include "common/mem.h"
#include "milter/gateway/subject.h"

#define MESSAGE_ID_LEN 400	/* of one that we make */

static const struct cf_field *
find(const struct cf_field *fields, size_t count, const char *name)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (cf_field_is(fields[i].name, name))
			return &fields[i];
	return NULL;
}

/* The domain of a Message-ID: the sender's, else the reader's host. */
static void
choose_domain(const struct cf_outbound *o, char *out, size_t cap)
{
	static const char ldh[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
	const char *at = strrchr(o->sender, '@');
	const char *host = strstr(o->snapshot->conf.reader_url, "://");

	if (at != NULL && at[1] != '\0' && strlen(at + 1) < cap &&
	    strspn(at + 1, ldh) == strlen(at + 1)) {
		(void)snprintf(out, cap, "%s", at + 1);
		return;
	}
	host = host == NULL ? "localhost" : host + 3;
	(void)snprintf(out, cap, "%.*s", (int)strspn(host, ldh), host);
}

/* Unfolded; "" when it is not plain text of a sane length. */
static void
copy_message_id(const char *value, char *out, size_t cap)
{
	const char *p = out;

	if (!cf_field_unfold(value, out, cap))
		*out = '\0';
	while (*p >= ' ' && *p <= '~')
		p++;
	if (*p != '\0')
		*out = '\0';
}

/* RFC 5322 3.6.4 wants one; receipts name the message by it. */
static void
choose_message_id(struct cf_outbound *o, const struct cf_field *fields,
    size_t count)
{
	const struct cf_field *seen = find(fields, count, "Message-ID");
	unsigned char random[16];
	char domain[256], left[CF_B64URL_LEN(sizeof random) + 1];

	if (seen != NULL && seen->value[strspn(seen->value, " \t\r\n")] !=
	    '\0') {
		copy_message_id(seen->value, o->message_id,
		    sizeof o->message_id);
		return;
	}
	choose_domain(o, domain, sizeof domain);
	cf_random(random, sizeof random);
	cf_b64url_encode(random, sizeof random, left);
	(void)snprintf(o->message_id, MESSAGE_ID_LEN, "<%s.cf@%s>", left,
	    domain);
	(void)snprintf(o->message_id_field, sizeof o->message_id_field, " %s",
	    o->message_id);
	o->made_message_id = true;
	cf_edits_set_message_id(&o->edits, o->message_id_field);
}

/* Inside it stays as it was; outside it is what the site wants. */
static void
choose_subject(struct cf_outbound *o, const struct cf_field *fields,
    size_t count)
{
	const struct cf_mconf *conf = &o->snapshot->conf;
	const struct cf_field *seen = find(fields, count, "Subject");
	bool fixed = strcmp(conf->outer_subject, "keep") != 0;

	if (!fixed && (!o->decision->untag || seen == NULL))
		return;
	cf_buf_addc(&o->subject, ' ');
	if (fixed)
		cf_subject_write(conf->outer_subject, &o->subject);
	else
		cf_subject_untag(seen->value, conf->subject_tag, &o->subject);
	cf_edits_set_subject(&o->edits, fixed, cf_buf_str(&o->subject));
}

/*
 * "Name :" is a field to the mail server, and to everybody who looks for it.
 * What M leaves out is left out here, by that name.  Gives the number kept.
 */
static size_t
trim_names(struct cf_outbound *o, const struct cf_field *fields, size_t count,
    struct cf_field *ret_kept)
{
	size_t i, len, kept = 0;
	char *name;

	for (i = 0; i < count; i++)
		o->names.max += strlen(fields[i].name) + 1;
	/* At once, so that no name moves. */
	(void)cf_buf_reserve(&o->names, o->names.max);
	o->named = cf_calloc(count, sizeof *o->named);
	for (i = 0; i < count; i++) {
		len = strcspn(fields[i].name, " \t");
		name = o->names.data + o->names.len;
		cf_buf_add(&o->names, fields[i].name, len);
		cf_buf_addc(&o->names, '\0');
		o->named[i].name = name;
		o->named[i].value = fields[i].value;
		if (!cf_mform_drops(name))
			ret_kept[kept++] = fields[i];
	}
	return kept;
}

/* What servers on the way add differs from one attempt to the next. */
static void
digest_header(struct cf_outbound *o, const struct cf_field *fields,
    size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (cf_field_is(fields[i].name, "Received") ||
		    cf_field_is(fields[i].name, "DKIM-Signature"))
			continue;
		cf_digest_add(o->digest, fields[i].name,
		    strlen(fields[i].name));
		cf_digest_add(o->digest, ":", 1);
		cf_digest_add(o->digest, fields[i].value,
		    strlen(fields[i].value));
		cf_digest_add(o->digest, "\n", 1);
	}
	cf_digest_add(o->digest, "\n", 1);
}

size_t
cf_outbound_header(struct cf_outbound *o, const struct cf_field *fields,
    size_t count, struct cf_field *ret_kept)
{
	size_t kept = trim_names(o, fields, count, ret_kept);

	cf_edits_make(o->named, count, o->boundary, &o->edits);
	choose_message_id(o, fields, count);
	choose_subject(o, fields, count);
	digest_header(o, ret_kept, kept);
	return kept;
}
