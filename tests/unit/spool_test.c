/* SPDX-License-Identifier: Apache-2.0 */
/* The spool: what goes in comes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/container.h"
#include "common/mem.h"
#include "milter/store/spool.h"

#define ALL ((size_t)20 << 20)	/* past 2^24, where the head grows */
#define PIECE 40000		/* about what a mail server shows at once */

static char place[] = "/tmp/cf-spool-test.XXXXXX";
static unsigned char *bytes;

static int
setup(void **state)
{
	size_t i;

	(void)state;
	bytes = cf_calloc(1, ALL);
	for (i = 0; i < ALL; i++)
		bytes[i] = (unsigned char)(i * 2654435761u >> 13);
	return mkdtemp(place) == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	free(bytes);
	return rmdir(place);
}

static void
fill(struct cf_spool *spool, size_t len, size_t piece)
{
	struct cf_why why;
	size_t at, n;

	for (at = 0; at < len; at += n) {
		n = len - at < piece ? len - at : piece;
		assert_int_equal(cf_spool_add(spool, bytes + at, n, &why),
		    CF_OK);
	}
	assert_int_equal(spool->len, len);
}

/* A map, a copy and the file itself must have it. */
static void
expect_bytes(struct cf_spool *spool, size_t len)
{
	char path[] = "/tmp/cf-spool-copy.XXXXXX";
	CF_AUTO(cf_free) unsigned char *got = cf_calloc(1, len + 1);
	int fd = mkstemp(path);
	const void *map;
	struct cf_why why;

	unlink(path);
	assert_int_equal(cf_spool_copy(spool, fd, &why), CF_OK);
	assert_int_equal(pread(fd, got, len + 1, 0), len);
	assert_memory_equal(got, bytes, len);
	close(fd);
	if (spool->fd >= 0) {
		assert_int_equal(pread(spool->fd, got, len + 1,
		    (off_t)spool->base), len);
		assert_memory_equal(got, bytes, len);
	}
	if (spool->head_size != NULL)
		return;
	assert_int_equal(cf_spool_map(spool, &map, &why), CF_OK);
	assert_memory_equal(map, bytes, len);
}

static void
t_bytes_come_back_whatever_the_pieces(void **state)
{
	static const size_t limits[] = { 0, 1, 1000, 262144, 1000000 };
	static const size_t pieces[] = { 999, PIECE, 300000, 1500000 };
	static const size_t lens[] = { 0, 999, 1000, 262144, 262145, 2000000 };
	struct cf_spool spool;
	size_t l, p, n;

	(void)state;
	for (l = 0; l < sizeof limits / sizeof limits[0]; l++)
		for (p = 0; p < sizeof pieces / sizeof pieces[0]; p++)
			for (n = 0; n < sizeof lens / sizeof lens[0]; n++) {
				cf_spool_init(&spool, place, limits[l]);
				fill(&spool, lens[n], pieces[p]);
				assert_int_equal(spool.fd >= 0,
				    lens[n] > limits[l]);
				expect_bytes(&spool, lens[n]);
				cf_spool_free(&spool);
			}
}

static void
t_room_is_left_for_the_head_of_any_length(void **state)
{
	static const size_t lens[] = { 127, 128, 65000, 65600, 300000,
	    ((size_t)1 << 24) - 400, (size_t)1 << 24, ALL };
	struct cf_spool spool;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof lens / sizeof lens[0]; i++) {
		cf_spool_init(&spool, place, 100);
		cf_spool_for_store(&spool, cf_container_head_size);
		fill(&spool, lens[i], PIECE);
		assert_true(spool.fd >= 0);
		assert_int_equal(spool.base, cf_container_head_size(lens[i]));
		expect_bytes(&spool, lens[i]);
		cf_spool_free(&spool);
	}
}

static void
t_a_place_that_is_gone_is_named(void **state)
{
	struct cf_spool spool;
	struct cf_why why = { "" };

	(void)state;
	cf_spool_init(&spool, "/nonexistent/spool", 10);
	assert_int_equal(cf_spool_add(&spool, bytes, 10, &why), CF_OK);
	assert_int_equal(cf_spool_add(&spool, bytes, 1, &why), CF_E_IO);
	assert_non_null(strstr(why.text, "/nonexistent/spool: "));
	cf_spool_free(&spool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_bytes_come_back_whatever_the_pieces),
		cmocka_unit_test(t_room_is_left_for_the_head_of_any_length),
		cmocka_unit_test(t_a_place_that_is_gone_is_named),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
