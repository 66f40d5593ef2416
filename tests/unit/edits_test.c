/* SPDX-License-Identifier: Apache-2.0 */
/* Header edits against a model of Postfix and one of Sendmail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "common/composite.h"
#include "common/mem.h"
#include "common/wire.h"
#include "milter/gateway/edits.h"

#define BOUNDARY "=_cf_AAECAwQFBgcICQoLDA0ODw"
#define FIELDS_MAX 40
#define VALUE_MAX 200

/* A mail server's list of fields.  Sendmail keeps deleted ones counted. */
struct server {
	bool keeps_deleted;
	struct {
		char name[40], value[VALUE_MAX];
		bool gone;
	} field[2 * FIELDS_MAX];
	size_t count;
	size_t fail_at;		/* the call that is not taken; 0: none */
	size_t calls;
};

static bool
add(void *arg, const char *name, const char *value)
{
	struct server *s = arg;

	if (++s->calls == s->fail_at)
		return false;
	assert_true(s->count < 2 * FIELDS_MAX);
	(void)snprintf(s->field[s->count].name, 40, "%s", name);
	(void)snprintf(s->field[s->count].value, VALUE_MAX, "%s", value);
	s->field[s->count++].gone = false;
	return true;
}

static bool
change(void *arg, const char *name, unsigned index, const char *value)
{
	struct server *s = arg;
	unsigned seen = 0;
	size_t i;

	if (++s->calls == s->fail_at)
		return false;
	for (i = 0; i < s->count; i++) {
		if (strcasecmp(s->field[i].name, name) != 0 ||
		    (s->field[i].gone && !s->keeps_deleted))
			continue;
		if (++seen != index)
			continue;
		if (value == NULL)
			s->field[i].gone = true;
		else
			(void)snprintf(s->field[i].value, VALUE_MAX, "%s",
			    value);
		return true;
	}
	/* Past the last one: both append. */
	s->calls--;
	return value == NULL || add(arg, name, value);
}

static void
load(struct server *s, const struct cf_field *fields, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		assert_true(add(s, fields[i].name, fields[i].value));
	s->calls = 0;
}

static const char *const names[] = {
	"From", "Subject", "SUBJECT", "Content-Type", "content-type", "CONTENT-ID",
	"Content-Transfer-Encoding", "MIME-Version", "mime-version",
	"X-Return-Receipt", "Bcc", "Counterfoil-Version", "Received",
	"Disposition-Notification-To", "Message-ID"
};

static void
check_result(const struct server *s, const struct cf_edits *edits)
{
	size_t i, k = 0;

	for (i = 0; i < s->count; i++) {
		if (s->field[i].gone)
			continue;
		assert_true(k < edits->outer_count);
		assert_int_equal(strcasecmp(s->field[i].name,
		    edits->outer[k].name), 0);
		assert_string_equal(s->field[i].value,
		    edits->outer[k].value);
		k++;
	}
	assert_int_equal(k, edits->outer_count);
}

/* Whatever the fields, both servers end with what `outer` promises. */
static void
t_apply_gives_outer_on_both_servers(void **state)
{
	struct cf_field fields[FIELDS_MAX];
	struct cf_edits edits;
	unsigned round, seed = 1;
	size_t i, count;
	int kind;

	(void)state;
	for (round = 0; round < 3000; round++) {
		count = (size_t)rand_r(&seed) % FIELDS_MAX;
		for (i = 0; i < count; i++) {
			fields[i].name = names[(size_t)rand_r(&seed) %
			    (sizeof names / sizeof names[0])];
			fields[i].value = i % 2 ? " a value" : " another";
		}
		cf_edits_make(fields, count,
		    BOUNDARY, &edits);
		if (round % 3 == 0)
			cf_edits_set_message_id(&edits, " <made@a.test>");
		if (round % 4 == 1)
			cf_edits_set_subject(&edits, true, " fixed");
		else if (round % 4 != 0)
			cf_edits_set_subject(&edits, false,
			    round % 4 == 2 ? " shorter" : " ");
		for (kind = 0; kind < 2; kind++) {
			struct server s = { .keeps_deleted = kind == 1 };
			struct cf_edit_ops ops = { change, add, &s, true };

			load(&s, fields, count);
			assert_int_equal(cf_edits_apply(&edits, &ops, NULL),
			    CF_OK);
			check_result(&s, &edits);
		}
		cf_edits_free(&edits);
	}
}

static void
t_apply_stops_at_the_first_failure(void **state)
{
	const struct cf_field fields[] = { { "Content-Type", " a" },
		{ "Content-Type", " b" }, { "X-Return-Receipt", " yes" } };
	struct cf_edits edits;
	size_t n;

	(void)state;
	cf_edits_make(fields, 3, BOUNDARY, &edits);
	assert_true(edits.count >= 3);
	for (n = 1; n <= edits.count; n++) {
		struct server s = { .keeps_deleted = false };
		struct cf_edit_ops ops = { change, add, &s, true };

		load(&s, fields, 3);
		s.fail_at = n;
		assert_int_equal(cf_edits_apply(&edits, &ops, NULL),
		    CF_E_NETWORK);
		assert_int_equal(s.calls, n);
	}
	cf_edits_free(&edits);
}

static void
t_apply_refuses_values_unfit_for_a_header(void **state)
{
	static const char *const bad[] = { "", "a\nb", "a\r", "\x7f",
		"gr\xc3\xbc\xc3\x9f", "a\tb" };
	struct cf_edit edit = { CF_EDIT_ADD, "X-A", 0, NULL };
	struct cf_edits edits = { .item = &edit, .count = 1 };
	struct server s = { .keeps_deleted = false };
	struct cf_edit_ops ops = { change, add, &s, true };
	char longest[2000];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		edit.value = bad[i];
		assert_int_equal(cf_edits_apply(&edits, &ops, NULL),
		    CF_E_INTERNAL);
	}
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	edit.value = longest;
	assert_int_equal(cf_edits_apply(&edits, &ops, NULL), CF_E_INTERNAL);
	assert_int_equal(s.calls, 0);
}

static void
t_apply_folds_long_values_and_knows_leadspc(void **state)
{
	struct cf_edit edit = { CF_EDIT_ADD, "Content-Type ", 0,
		"multipart/mixed; boundary=\"=_cf_AAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		"AAAAAAAAAAA\"" };
	struct cf_edits edits = { .item = &edit, .count = 1 };
	struct server s = { .keeps_deleted = false };
	struct cf_edit_ops ops = { change, add, &s, true };

	(void)state;
	assert_int_equal(cf_edits_apply(&edits, &ops, NULL), CF_OK);
	assert_string_equal(s.field[0].name, "Content-Type");
	assert_memory_equal(s.field[0].value,
	    " multipart/mixed;\n boundary=", 28);
	ops.leadspc = false;
	assert_int_equal(cf_edits_apply(&edits, &ops, NULL), CF_OK);
	assert_memory_equal(s.field[1].value, "multipart/mixed;\n ", 18);
}

static void
t_delete_all_takes_every_one(void **state)
{
	const struct cf_field fields[] = { { "A", " 1" },
		{ "X-Return-Receipt", " 1" }, { "x-return-receipt ", " 2" },
		{ "X-Return-Receipts", " 3" }, { "X-RETURN-RECEIPT\t", "" } };
	struct cf_edits edits = { 0 };

	(void)state;
	cf_edits_delete_all(&edits, fields, 5, CF_FLAG_FIELD);
	assert_int_equal(edits.count, 3);
	assert_int_equal(edits.item[0].index, 3);
	assert_int_equal(edits.item[2].index, 1);
	cf_edits_free(&edits);
}

/* The number of those behind one that goes would change. */
static void
t_delete_count_begins_with_the_last(void **state)
{
	struct cf_edits edits = { 0 };
	size_t i;

	(void)state;
	cf_edits_delete_count(&edits, 0, CF_FLAG_FIELD);
	assert_int_equal(edits.count, 0);
	cf_edits_delete_count(&edits, 3, CF_FLAG_FIELD);
	assert_int_equal(edits.count, 3);
	for (i = 0; i < 3; i++) {
		assert_int_equal(edits.item[i].kind, CF_EDIT_DELETE);
		assert_int_equal(edits.item[i].index, 3 - i);
		assert_string_equal(edits.item[i].name, CF_FLAG_FIELD);
	}
	cf_edits_free(&edits);
}

static void
assert_outer(const struct cf_field *fields, size_t count,
    const struct cf_field *want, size_t want_count, bool sendmail)
{
	struct server s = { .keeps_deleted = sendmail };
	struct cf_edit_ops ops = { change, add, &s, true };
	struct cf_edits edits;
	size_t i;

	cf_edits_make(fields, count, BOUNDARY, &edits);
	load(&s, fields, count);
	assert_int_equal(cf_edits_apply(&edits, &ops, NULL), CF_OK);
	check_result(&s, &edits);
	assert_int_equal(edits.outer_count, want_count);
	for (i = 0; i < want_count; i++) {
		assert_string_equal(edits.outer[i].name, want[i].name);
		assert_string_equal(edits.outer[i].value, want[i].value);
	}
	for (i = 0; i < edits.count; i++)
		assert_true(edits.item[i].value == NULL ||
		    edits.item[i].value[0] != ' ');
	cf_edits_free(&edits);
	cf_edits_free(&edits);
}

static void
t_made_edits_give_the_outer_header(void **state)
{
	static const struct cf_field fields[] = {
		{ "Received", " one" }, { "X-Return-Receipt", " yes" },
		{ "content-type", " text/plain" }, { "From", " a@x.example" },
		{ "Content-Transfer-Encoding", " 8bit" },
		{ "Mime-Version", "1.0 (mine)" }, { "Bcc", " b@x.example" },
		{ "CONTENT-TYPE", " text/html" }, { "Received", " two" },
		{ "Content-ID", " <1>" }, { "content-id", " <2>" },
		{ "MIME-VERSION", " 2.0" }, { "Return-Receipt-To", " a" },
		{ "Dkim-Signature", " v=1" }, { "DKIM-Signature", " v=1" },
		{ "disposition-notification-to", " a" }, { "Subject", " s" },
		{ "Content-Id", " <3>" }, { "x-return-receipt", " no" },
		{ "Resent-Bcc", " c" }, { "Contents", " stay" },
		{ "Counterfoil-Version", " 9" }, { "Counterfoil-version", "1" },
		{ "Content-Type", " third" },
	};
	static const struct cf_field want[] = {
		{ "Received", " one" },
		{ "content-type", " multipart/mixed; boundary=\"" BOUNDARY
		    "\"" }, { "From", " a@x.example" },
		{ "Mime-Version", " 1.0" }, { "Received", " two" },
		{ "Subject", " s" }, { "Contents", " stay" },
		{ "Counterfoil-Version", " 1" },
	};
	static const struct cf_field bare[] = { { "From", " a" } };
	static const struct cf_field want_bare[] = {
		{ "From", " a" }, { "MIME-Version", " 1.0" },
		{ "Content-Type", " multipart/mixed; boundary=\"" BOUNDARY
		    "\"" }, { "Counterfoil-Version", " 1" },
	};
	int sendmail;

	(void)state;
	for (sendmail = 0; sendmail < 2; sendmail++) {
		assert_outer(fields, sizeof fields / sizeof fields[0], want,
		    sizeof want / sizeof want[0], sendmail);
		assert_outer(bare, 1, want_bare, 4, sendmail);
		assert_outer(NULL, 0, want_bare + 1, 3, sendmail);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_apply_gives_outer_on_both_servers),
		cmocka_unit_test(t_apply_stops_at_the_first_failure),
		cmocka_unit_test(t_apply_refuses_values_unfit_for_a_header),
		cmocka_unit_test(t_apply_folds_long_values_and_knows_leadspc),
		cmocka_unit_test(t_delete_all_takes_every_one),
		cmocka_unit_test(t_delete_count_begins_with_the_last),
		cmocka_unit_test(t_made_edits_give_the_outer_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
