/* SPDX-License-Identifier: Apache-2.0 */
/* The Prometheus text format, byte for byte. */
#include "common/prom.h"
#include "tests/unit/fixture.h"

static struct cf_buf out;
static const struct cf_prom prom = { &out, "x_" };

static int
setup(void **state)
{
	(void)state;
	out = (struct cf_buf)CF_BUF_INIT(100000);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	cf_buf_free(&out);
	return 0;
}

static void
t_sample_has_its_labels_escaped(void **state)
{
	(void)state;
	cf_prom_one(&prom, "a", "gauge", "Help.", -7);
	cf_prom_sample(&prom, "b_total", 1, "l", "a\\b\"c\nd", NULL);
	cf_prom_sample(&prom, "b_total", 2, "l", "", "m", "e", NULL);
	assert_string_equal(cf_buf_str(&out),
	    "# HELP x_a Help.\n# TYPE x_a gauge\nx_a -7\n"
	    "x_b_total{l=\"a\\\\b\\\"c\\nd\"} 1\n"
	    "x_b_total{l=\"\",m=\"e\"} 2\n");
}

static void
t_rows_are_counted_apart(void **state)
{
	static struct cf_prom_rows rows;

	(void)state;
	cf_prom_rows_add(&rows, "a", "b");
	cf_prom_rows_add(&rows, "a", "c");
	cf_prom_rows_add(&rows, "a", "b");
	cf_prom_rows_write(&prom, &rows, "n_total", "k", "l");
	assert_string_equal(cf_buf_str(&out),
	    "x_n_total{k=\"a\",l=\"b\"} 2\n"
	    "x_n_total{k=\"a\",l=\"c\"} 1\n");
	cf_buf_reset(&out);
	cf_prom_rows_write(&prom, &rows, "n_total", "k", NULL);
	assert_string_equal(cf_buf_str(&out),
	    "x_n_total{k=\"a\"} 2\nx_n_total{k=\"a\"} 1\n");
}

static void
t_rows_too_many_are_other(void **state)
{
	static struct cf_prom_rows rows;
	static char words[CF_PROM_ROWS_MAX + 3][8];
	size_t i;

	(void)state;
	for (i = 0; i < CF_PROM_ROWS_MAX + 3; i++) {
		(void)snprintf(words[i], sizeof words[i], "w%zu", i);
		cf_prom_rows_add(&rows, words[i], "");
	}
	cf_prom_rows_write(&prom, &rows, "n_total", "k", "l");
	assert_non_null(strstr(cf_buf_str(&out),
	    "x_n_total{k=\"other\",l=\"other\"} 3\n"));
}

static void
t_histogram_is_cumulative(void **state)
{
	static const struct cf_prom_scale scale = { 2, 1000,
	    { { 10, "0.01" }, { 1000, "1" } } };
	struct cf_prom_histogram h = { { 0 }, 0, 0 };

	(void)state;
	cf_prom_measure(&h, &scale, -1);
	cf_prom_measure(&h, &scale, 10);
	cf_prom_measure(&h, &scale, 11);
	cf_prom_measure(&h, &scale, 1001);
	cf_prom_histogram_write(&prom, &h, &scale, "s", "k", "v");
	assert_string_equal(cf_buf_str(&out),
	    "x_s_bucket{k=\"v\",le=\"0.01\"} 2\n"
	    "x_s_bucket{k=\"v\",le=\"1\"} 3\n"
	    "x_s_bucket{k=\"v\",le=\"+Inf\"} 4\n"
	    "x_s_sum{k=\"v\"} 1.022\nx_s_count{k=\"v\"} 4\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    t_sample_has_its_labels_escaped, setup, teardown),
		cmocka_unit_test_setup_teardown(t_rows_are_counted_apart,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(t_rows_too_many_are_other,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(t_histogram_is_cumulative,
		    setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
