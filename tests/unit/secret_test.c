/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets: in files, in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/mem.h"
#include "common/secret.h"

static void
t_secret_file_round_trips_and_is_guarded(void **state)
{
	char dir[] = "/tmp/cfsecXXXXXX", path[64];
	struct cf_secret a, b = CF_SECRET_EMPTY;
	struct cf_why why;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof path, "%s/s", dir);
	cf_secret_random(&a, 32);
	assert_int_equal(cf_secret_write_file(path, &a, &why), CF_OK);
	assert_int_equal(cf_secret_write_file(path, &a, &why), CF_E_IO);
	assert_int_equal(cf_secret_read_file(path, 32, &b, &why), CF_OK);
	assert_true(cf_secret_equal(&a, &b));
	assert_int_equal(cf_secret_read_file(path, 16, &b, &why), CF_E_CONFIG);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(cf_secret_read_file(path, 32, &b, &why), CF_E_CONFIG);
	assert_non_null(strstr(why.text, "chmod 600"));
	unlink(path);
	rmdir(dir);
}

/* Of `len` bytes, into a file of its own, and what becomes of them. */
static enum cf_err
read_line(const char *bytes, size_t len, size_t cap, char *out)
{
	char path[] = "/tmp/cflineXXXXXX", open_to_others[100];
	struct cf_why why = { "" };
	enum cf_err rc;
	int fd = mkstemp(path);

	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
	rc = cf_secret_read_line(path, out, cap, &why);
	assert_true(rc == CF_OK || strstr(why.text, path) != NULL);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(cf_secret_read_line(path, open_to_others,
	    sizeof open_to_others, &why), CF_E_CONFIG);
	unlink(path);
	return rc;
}

static void
t_secret_line_is_one_and_whole(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *want;	/* NULL: refused */
	} rows[] = {
		{ "abcd", 4, "abcd" }, { "abcd\n", 5, "abcd" },
		{ "abcd\r\n", 6, "abcd" }, { "a\xff b\n", 5, "a\xff b" },
		{ "abcde", 5, NULL }, { "abcde\n", 6, NULL },
		{ "abcd\nx", 6, NULL }, { "ab\ncd\n", 6, NULL },
		{ "ab\n\n", 4, NULL }, { "\nab", 3, NULL }, { "", 0, NULL },
		{ "\n", 1, NULL }, { "ab\r", 3, NULL }, { "a\0b\n", 4, NULL },
		{ "ab\n\0", 4, NULL }, { "abcd\r\n\n", 7, NULL },
	};
	char out[5];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		memset(out, 'x', sizeof out);
		assert_int_equal(read_line(rows[i].bytes, rows[i].len,
		    sizeof out, out), rows[i].want ? CF_OK : CF_E_CONFIG);
		assert_string_equal(out, rows[i].want ? rows[i].want : "");
	}
}

static void
t_secret_is_kept_in_memory_or_it_is_said(void **state)
{
	struct cf_secret s = CF_SECRET_EMPTY;
	struct cf_why why = { "" };

	(void)state;
	assert_int_equal(cf_secret_keep_in_memory(&s, sizeof s, &why), CF_OK);
	/* No memory of ours. */
	assert_int_equal(cf_secret_keep_in_memory(NULL, 4096, &why),
	    CF_E_CONFIG);
	assert_non_null(strstr(why.text, "LimitMEMLOCK"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_secret_file_round_trips_and_is_guarded),
		cmocka_unit_test(t_secret_line_is_one_and_whole),
		cmocka_unit_test(t_secret_is_kept_in_memory_or_it_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
