/* SPDX-License-Identifier: Apache-2.0 */
/* common/bulk.h and common/pages.h: many bytes with little memory. */
#include "tests/unit/fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bulk.h"
#include "common/pages.h"

#define MEMORY 4096
#define MIB ((size_t)1 << 20)

static const struct cf_bulk_place place = { "/tmp", MEMORY };

static char
nth(size_t i)
{
	return (char)('a' + i * 7 % 23);
}

/* `len` bytes by runs of all sizes and by single ones, and back. */
static void
must_come_back(const struct cf_bulk_place *where, size_t len, bool spooled)
{
	struct cf_bulk bulk;
	struct cf_buf all;
	char run[3 * MEMORY];
	size_t i, n, done = 0;

	cf_bulk_init(&bulk, where, len);
	for (n = 1; done < len; n = (n * 5 + 1) % sizeof run + 1) {
		n = n < len - done ? n : len - done;
		for (i = 0; i < n; i++)
			run[i] = nth(done + i);
		if (n % 3 == 0)
			cf_bulk_add(&bulk, run, n);
		else
			for (i = 0; i < n; i++)
				cf_bulk_addc(&bulk, run[i]);
		done += n;
	}
	assert_int_equal(bulk.len, len);
	assert_int_equal(cf_bulk_map(&bulk, &all, NULL), CF_OK);
	assert_int_equal(bulk.spooled, spooled);
	assert_int_equal(all.len, len);
	for (i = 0; i < len; i++)
		if (all.data[i] != nth(i))
			fail_msg("byte %zu of %zu", i, len);
	assert_int_equal(cf_buf_str(&all)[len], '\0');
	cf_bulk_free(&bulk);
	cf_bulk_free(&bulk);
}

static void
t_what_is_added_comes_back(void **state)
{
	static const size_t sizes[] = { 0, 1, MEMORY - 1, MEMORY };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		must_come_back(&place, sizes[i], false);
		must_come_back(NULL, sizes[i], false);
	}
	must_come_back(&place, MEMORY + 1, true);
	must_come_back(&place, 16 * MEMORY, true);	/* NUL: a page more */
	must_come_back(&place, 16 * MEMORY + 5, true);
	must_come_back(NULL, 16 * MEMORY, false);
}

static void
t_the_ceiling_holds(void **state)
{
	static const size_t sizes[] = { 10, MEMORY + 10 };
	const struct cf_bulk_place *const places[] = { NULL, &place };
	char bytes[MEMORY + 11] = "";
	struct cf_bulk bulk;
	struct cf_buf all;
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		cf_bulk_init(&bulk, places[i / 2], sizes[i % 2]);
		cf_bulk_add(&bulk, bytes, sizes[i % 2]);
		assert_int_equal(cf_bulk_check(&bulk, NULL), CF_OK);
		cf_bulk_addc(&bulk, 'x');
		assert_int_equal(cf_bulk_check(&bulk, NULL), CF_E_TOO_LARGE);
		assert_int_equal(bulk.len, sizes[i % 2]);
		assert_int_equal(cf_bulk_map(&bulk, &all, NULL),
		    CF_E_TOO_LARGE);
		cf_bulk_free(&bulk);
	}
}

static void
t_a_file_that_cannot_be_made_is_said(void **state)
{
	const struct cf_bulk_place nowhere = { "/tmp/cf-is-not-there", 4 };
	struct cf_why why = { "" };
	struct cf_bulk bulk;

	(void)state;
	cf_bulk_init(&bulk, &nowhere, MIB);
	cf_bulk_add(&bulk, "four", 4);
	assert_int_equal(cf_bulk_reserve(&bulk, 4, &why), CF_OK);
	cf_bulk_addc(&bulk, '5');
	assert_int_equal(cf_bulk_check(&bulk, &why), CF_E_IO);
	assert_non_null(strstr(why.text, nowhere.directory));
	cf_bulk_free(&bulk);

	cf_bulk_init(&bulk, &nowhere, MIB);
	assert_int_equal(cf_bulk_reserve(&bulk, 5, NULL), CF_E_IO);
	cf_bulk_free(&bulk);
}

static void
t_room_is_made_beforehand(void **state)
{
	struct cf_why why = { "" };
	struct cf_bulk bulk;
	struct cf_buf all;

	(void)state;
	cf_bulk_init(&bulk, &place, (size_t)1 << 62);
	assert_int_equal(cf_bulk_reserve(&bulk, MIB, &why), CF_OK);
	cf_bulk_add(&bulk, "short", 5);
	assert_int_equal(cf_bulk_map(&bulk, &all, &why), CF_OK);
	assert_string_equal(cf_buf_str(&all), "short");
	cf_bulk_free(&bulk);

	/* No file can be so large. */
	cf_bulk_init(&bulk, &place, (size_t)1 << 62);
	assert_int_equal(cf_bulk_reserve(&bulk, (size_t)1 << 61, &why),
	    CF_E_IO);
	assert_non_null(strstr(why.text, "/tmp"));
	cf_bulk_free(&bulk);
}

static void
t_a_pipe_is_read(void **state)
{
	struct cf_bulk bulk;
	struct cf_buf all;
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(write(fd[1], "from a pipe", 11), 11);
	close(fd[1]);
	cf_bulk_init(&bulk, &place, 100);
	assert_int_equal(cf_bulk_read(&bulk, fd[0], NULL), CF_OK);
	assert_int_equal(cf_bulk_map(&bulk, &all, NULL), CF_OK);
	assert_string_equal(cf_buf_str(&all), "from a pipe");
	cf_bulk_free(&bulk);
	cf_bulk_init(&bulk, &place, 100);
	close(fd[0]);
	assert_int_equal(cf_bulk_read(&bulk, fd[0], NULL), CF_E_IO);
	cf_bulk_free(&bulk);
}

/* What of us is resident now, in bytes. */
static size_t
resident(void)
{
	FILE *statm = fopen("/proc/self/statm", "r");
	size_t all, ours;

	assert_non_null(statm);
	assert_int_equal(fscanf(statm, "%zu %zu", &all, &ours), 2);
	fclose(statm);
	return ours * (size_t)sysconf(_SC_PAGESIZE);
}

static void
fill(struct cf_bulk *bulk, size_t len, struct cf_buf *ret)
{
	static const char line[] = "0123456789abcdef0123456789abcde\n";

	cf_bulk_init(bulk, &place, len);
	while (bulk->len < len)
		cf_bulk_add(bulk, line, sizeof line - 1);
	assert_int_equal(cf_bulk_map(bulk, ret, NULL), CF_OK);
}

static void
t_what_was_passed_is_not_resident(void **state)
{
	struct cf_pages pages;
	struct cf_bulk bulk;
	struct cf_buf all;
	const char *end;
	size_t before, i;

	(void)state;
	fill(&bulk, 32 * MIB, &all);
	end = all.data + all.len;
	before = resident();
	pages = cf_pages_begin(all.data, true);
	assert_null(cf_pages_chr(&pages, all.data, end, '?'));
	assert_true(resident() < before + 2 * MIB);
	/* Once more from its beginning. */
	assert_null(cf_pages_chr(&pages, all.data, end, '!'));
	assert_true(resident() < before + 3 * MIB);
	for (i = 0; i < all.len; i++) {
		assert_true(all.data[i] != '!');
		cf_pages_pass(&pages, all.data + i);
	}
	assert_true(resident() < before + 4 * MIB);
	assert_memory_equal(all.data, end - 32, 32);
	cf_bulk_free(&bulk);
}

/* Wherever it lies, also over the edge of what is searched at once. */
static void
t_what_is_searched_is_found(void **state)
{
	size_t edge = CF_PAGES_WINDOW / 4, i;
	char *text = calloc(1, 3 * edge);
	struct cf_pages pages;
	bool mapped = false;

	(void)state;
	do {
		/* Less than a window: nothing of this memory is dropped. */
		pages = cf_pages_begin(text, mapped);
		for (i = edge - 9; i <= edge + 9; i++) {
			text[i] = 'n';
			assert_ptr_equal(cf_pages_chr(&pages, text,
			    text + 3 * edge, 'n'), text + i);
			assert_null(cf_pages_chr(&pages, text, text + i, 'n'));
			text[i] = '\0';
		}
		mapped = !mapped;
	} while (mapped);
	assert_null(cf_pages_chr(&pages, text, text, '\0'));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_what_is_added_comes_back),
		cmocka_unit_test(t_the_ceiling_holds),
		cmocka_unit_test(t_a_file_that_cannot_be_made_is_said),
		cmocka_unit_test(t_room_is_made_beforehand),
		cmocka_unit_test(t_a_pipe_is_read),
		cmocka_unit_test(t_what_was_passed_is_not_resident),
		cmocka_unit_test(t_what_is_searched_is_found),
	};

	return cmocka_run_group_tests_name("bulk", tests, NULL, NULL);
}
