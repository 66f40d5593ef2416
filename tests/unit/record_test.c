/* SPDX-License-Identifier: Apache-2.0 */
/* Records of events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "keysrv/receipt/record.h"

#define NOW INT64_C(1796000000000)

static const unsigned char event_id[CF_EVENT_ID_LEN] = { 1 };
static const unsigned char key_id[CF_KEY_ID_LEN] = { 2 };
static const unsigned char ref[CF_REF_LEN] = { 3 };

#define HEAD "counterfoil-event/v1\ntype refused\nid AQAAAAAAAAAAAAAAAAAAAA\n" \
	"key AgAAAAAAAAAAAAAAAAAAAA\n" \
	"ref AwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"

static void
t_a_record_is_lines(void **state)
{
	struct cf_buf rec = CF_BUF_INIT(CF_RECORD_MAX);
	const struct cf_quota_rest rest = { NOW - 3600000, 12 };

	(void)state;
	cf_record_begin(&rec, "refused", event_id, key_id, ref, NOW);
	assert_string_equal(cf_buf_str(&rec), HEAD
	    "time 2026-11-30T00:53:20.000Z\n");
	/* Each begins anew. */
	cf_record_repeated(&rec, event_id, key_id, ref, NOW, &rest);
	assert_string_equal(cf_buf_str(&rec), HEAD
	    "time 2026-11-30T00:53:20.000Z\nreason repeated\n"
	    "since 2026-11-29T23:53:20.000Z\ncount 12\n");
	cf_buf_free(&rec);
}

static void
t_no_value_ends_a_line(void **state)
{
	struct cf_buf rec = CF_BUF_INIT(1000);
	char all[256];
	size_t i;

	(void)state;
	cf_record_text(&rec, "a", "");
	cf_record_text(&rec, "b", "x y~");
	cf_record_text(&rec, "c", "50%\r\n\xc3\xa9\x7f");
	cf_record_bytes(&rec, "d", "\xff", 1);
	assert_string_equal(cf_buf_str(&rec),
	    "a \nb x y~\nc 50%25%0D%0A%C3%A9%7F\nd _w\n");
	cf_buf_reset(&rec);
	for (i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	all[255] = '\0';
	cf_record_text(&rec, "e", all);
	assert_ptr_equal(strchr(cf_buf_str(&rec), '\n'),
	    cf_buf_str(&rec) + rec.len - 1);
	for (i = 0; i < rec.len - 1; i++)
		assert_in_range(rec.data[i], ' ', '~');
	cf_buf_free(&rec);
}

static void
t_what_does_not_fit_is_known(void **state)
{
	struct cf_buf rec = CF_BUF_INIT(20);

	(void)state;
	cf_record_bytes(&rec, "name", ref, sizeof ref);
	assert_true(rec.full);
	cf_buf_free(&rec);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_a_record_is_lines),
		cmocka_unit_test(t_no_value_ends_a_line),
		cmocka_unit_test(t_what_does_not_fit_is_known),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
