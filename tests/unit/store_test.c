/* SPDX-License-Identifier: Apache-2.0 */
/* The store: names, one file for one E, how long it is kept, what goes. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/mem.h"
#include "milter/store/keep.h"
#include "milter/store/store.h"
#include "milter/store/sweep.h"

#define DAY 86400
#define KEEP (400L * DAY)
#define NOW 1800000000		/* seconds; the clock of these tests */

static char place[] = "/tmp/cf-store-test.XXXXXX";

static unsigned syncs;

/* Stands before the C library's, and counts. */
int
fsync(int fd)
{
	__atomic_add_fetch(&syncs, 1, __ATOMIC_RELAXED);
	return (int)syscall(SYS_fsync, fd);
}

/* ---- helpers ---- */

static struct cf_blob
blob_of(const char *text, struct cf_buf *e)
{
	struct cf_blob blob = { .directory = place, .head = e,
	    .keep_s = KEEP };
	CF_AUTO(cf_secret_wipe) struct cf_secret secret = CF_SECRET_EMPTY;
	unsigned char digest[CF_DIGEST_LEN];

	cf_secret_set(&secret, "0123456789abcdef0123456789abcdef", 32);
	cf_buf_adds(e, text);
	cf_digest_of(text, strlen(text), digest);
	cf_store_name(&secret, text, 1, digest, blob.name);
	return blob;
}

static char *
path_of(const struct cf_blob *blob)
{
	return cf_store_path(place, blob->name);
}

static int64_t
mtime_of(const struct cf_blob *blob)
{
	CF_AUTO(cf_free) char *path = path_of(blob);
	struct stat st;

	return stat(path, &st) == 0 ? st.st_mtim.tv_sec : -1;
}

static void
set_mtime(const struct cf_blob *blob, int64_t when)
{
	CF_AUTO(cf_free) char *path = path_of(blob);
	const struct timespec times[2] = { { 0, UTIME_OMIT },
	    { (time_t)when, 0 } };

	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static bool
put(const struct cf_blob *blob)
{
	struct cf_why why = { "" };
	bool made = false;

	if (cf_store_put(blob, &made, &why) != CF_OK)
		fail_msg("%s", why.text);
	return made;
}

static bool
renew(const struct cf_blob *blob)
{
	struct cf_why why = { "" };
	bool there = false;

	if (cf_store_renew(blob, &there, &why) != CF_OK)
		fail_msg("%s", why.text);
	return there;
}

static bool
never_mind(void *arg, int64_t took_ms)
{
	(void)arg;
	(void)took_ms;
	return true;
}

static struct cf_sweep_tally
sweep(long keep_s)
{
	struct cf_sweep_tally tally;

	assert_true(cf_sweep_messages(place, keep_s, never_mind, NULL,
	    &tally));
	return tally;
}

static int
begin(void **state)
{
	(void)state;
	memcpy(strchr(place, '.'), ".XXXXXX", 7);
	return mkdtemp(place) == NULL;
}

static int
end(void **state)
{
	CF_AUTO(cf_free) char *command = cf_asprintf("rm -r %s", place);

	(void)state;
	cf_clock_set_ms(-1);
	return system(command);
}

/* ---- names ---- */

/* By hand: HMAC-SHA256(key 00..1f, label 00 || ff x 32 || "head")[:16]. */
static void
t_name_is_what_the_format_says(void **state)
{
	CF_AUTO(cf_secret_wipe) struct cf_secret secret = CF_SECRET_EMPTY;
	unsigned char digest[CF_DIGEST_LEN], key[32];
	char name[CF_BLOB_LEN + 1], other[CF_BLOB_LEN + 1];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof key; i++)
		key[i] = (unsigned char)i;
	memset(digest, 0xff, sizeof digest);
	cf_secret_set(&secret, key, sizeof key);
	cf_store_name(&secret, "head", 4, digest, name);
	assert_string_equal(name, "XuMKHkfLuZrnAvxr1jgOuQ");
	cf_store_name(&secret, "heae", 4, digest, other);
	assert_string_not_equal(name, other);
	cf_store_name(&secret, "hea", 3, digest, other);
	assert_string_not_equal(name, other);
	digest[31] ^= 1;
	cf_store_name(&secret, "head", 4, digest, other);
	assert_string_not_equal(name, other);
	digest[31] ^= 1;
	secret.bytes[0] ^= 1;
	cf_store_name(&secret, "head", 4, digest, other);
	assert_string_not_equal(name, other);
}

/* ---- how long ---- */

static void
t_keep_goes_by_both_times(void **state)
{
	static const struct {
		int64_t mtime, ctime;
		long keep_s;
		bool over;
	} rows[] = {
		/* Last stored then. */
		{ NOW, NOW, KEEP, false },
		{ NOW - KEEP + 1, NOW - KEEP + 1, KEEP, false },
		{ NOW - KEEP, NOW - KEEP, KEEP, true },
		/* From a backup, with its time and without. */
		{ NOW - KEEP, NOW - 5, KEEP, true },
		{ NOW - 5, NOW - 5, KEEP, false },
		/* Clocks that differ by less than a day. */
		{ NOW - 400, NOW - 40000, KEEP, false },
		/* An end of its own: both ways, whatever the option says. */
		{ NOW, NOW - 31 * DAY, KEEP, true },
		{ NOW + 1, NOW - 31 * DAY, KEEP, false },
		{ NOW + 1, NOW - 31 * DAY, DAY, false },
		{ NOW + 1000 * DAY, NOW - 500 * DAY, KEEP, false },
		/* For ever. */
		{ NOW - 5000 * DAY, NOW - 5000 * DAY, 0, false },
		{ NOW, NOW - 31 * DAY, 0, false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (cf_keep_is_over(rows[i].mtime, rows[i].ctime,
		    rows[i].keep_s, NOW) != rows[i].over)
			fail_msg("row %zu", i);
}

/* Whatever was there and whatever comes: at no moment it goes earlier. */
static void
t_keep_again_never_shortens(void **state)
{
	static const int64_t ago[] = { 0, 1, 20 * DAY, 399 * DAY, 900 * DAY };
	static const int64_t ends[] = { 0, 31 * DAY, 390 * DAY, 900 * DAY };
	static const long keeps[] = { 0, 10 * DAY, KEEP };
	size_t i, j, k, l;
	int64_t at;

	(void)state;
	for (i = 0; i < sizeof ago / sizeof ago[0]; i++)
	for (j = 0; j < sizeof ends / sizeof ends[0]; j++)
	for (k = 0; k < sizeof keeps / sizeof keeps[0]; k++)
	for (l = 0; l < sizeof ends / sizeof ends[0]; l++) {
		int64_t ctime = NOW - ago[i];
		int64_t mtime = ctime + ends[j];
		int64_t after = cf_keep_again(mtime, ctime, keeps[k],
		    ends[l] == 0 ? 0 : NOW + ends[l], NOW);

		for (at = NOW; at < NOW + 2000 * DAY; at += DAY / 2)
			if (cf_keep_is_over(after, NOW, keeps[k], at) &&
			    (!cf_keep_is_over(mtime, ctime, keeps[k], at) ||
			    (ends[l] == 0 && at < NOW + keeps[k]) ||
			    at < NOW + ends[l]))
				fail_msg("%zu %zu %zu %zu", i, j, k, l);
	}
}

static void
t_keep_counts_from_the_last_time(void **state)
{
	(void)state;
	assert_int_equal(cf_keep_again(NOW - 100 * DAY, NOW - 100 * DAY, KEEP,
	    0, NOW), NOW);
	assert_int_equal(cf_keep_again(NOW - 100 * DAY, NOW - 100 * DAY, 0,
	    0, NOW), NOW);
}

/* ---- one file ---- */

static void
t_put_twice_is_one_file(void **state)
{
	CF_AUTO(cf_buf_free) struct cf_buf e = CF_BUF_INIT(100);
	struct cf_blob blob = blob_of("sealed", &e);
	CF_AUTO(cf_free) char *path = path_of(&blob);
	CF_AUTO(cf_buf_free) struct cf_buf got = CF_BUF_INIT(100);
	struct stat before, after;

	(void)state;
	assert_false(renew(&blob));
	assert_true(put(&blob));
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(before.st_mode & 07777, 0640);
	set_mtime(&blob, before.st_mtim.tv_sec - 300 * DAY);
	assert_false(put(&blob));
	assert_true(mtime_of(&blob) >= before.st_mtim.tv_sec);
	set_mtime(&blob, before.st_mtim.tv_sec - 300 * DAY);
	assert_true(renew(&blob));
	assert_true(mtime_of(&blob) >= before.st_mtim.tv_sec);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	assert_int_equal(cf_file_read(path, &got, NULL), CF_OK);
	assert_string_equal(cf_buf_str(&got), "sealed");
	cf_store_remove(&blob);
	assert_int_equal(mtime_of(&blob), -1);
}

/* Its new time, too; only the directory is asked for what is new already. */
static void
t_renewed_outlives_a_power_failure(void **state)
{
	CF_AUTO(cf_buf_free) struct cf_buf e = CF_BUF_INIT(100);
	struct cf_blob blob = blob_of("sealed", &e);
	int64_t now = cf_clock_ms() / 1000;

	(void)state;
	assert_true(put(&blob));
	syncs = 0;
	assert_true(renew(&blob));
	assert_int_equal(syncs, 1);
	set_mtime(&blob, now - KEEP + 300);
	assert_true(renew(&blob));
	assert_int_equal(syncs, 3);
	/* From a near end to the option's, which is a time before it. */
	set_mtime(&blob, now + 31 * DAY);
	assert_true(renew(&blob));
	assert_int_equal(syncs, 5);
	assert_true(renew(&blob));
	assert_int_equal(syncs, 6);
}

static void
t_put_keeps_the_end_of_its_own(void **state)
{
	CF_AUTO(cf_buf_free) struct cf_buf e = CF_BUF_INIT(100);
	struct cf_blob blob = blob_of("sealed", &e);
	int64_t now = cf_clock_ms() / 1000;

	(void)state;
	blob.end = now + 31 * DAY;
	assert_true(put(&blob));
	assert_int_equal(mtime_of(&blob), blob.end);
	/* The recipients' side of the same site: longer. */
	blob.end = 0;
	assert_true(renew(&blob));
	assert_in_range(mtime_of(&blob), now, now + 600);
	/* And a longer end: longer still. */
	blob.end = now + 900 * DAY;
	assert_true(renew(&blob));
	assert_int_equal(mtime_of(&blob), blob.end);
	blob.end = 0;
	assert_true(renew(&blob));
	assert_int_equal(mtime_of(&blob), now + 900 * DAY);
	assert_int_equal(sweep(KEEP).messages, 1);
}

/* What a disk lost of it is made whole. */
static void
t_put_replaces_what_is_cut_off(void **state)
{
	CF_AUTO(cf_buf_free) struct cf_buf e = CF_BUF_INIT(100);
	struct cf_blob blob = blob_of("sealed", &e);
	CF_AUTO(cf_free) char *path = path_of(&blob);
	CF_AUTO(cf_buf_free) struct cf_buf got = CF_BUF_INIT(100);

	(void)state;
	assert_true(put(&blob));
	assert_int_equal(truncate(path, 3), 0);
	assert_true(put(&blob));
	assert_int_equal(cf_file_read(path, &got, NULL), CF_OK);
	assert_string_equal(cf_buf_str(&got), "sealed");
	assert_int_equal(truncate(path, 3), 0);
	assert_false(renew(&blob));
}

static void
t_put_says_what_stands_in_the_way(void **state)
{
	CF_AUTO(cf_buf_free) struct cf_buf e = CF_BUF_INIT(100);
	struct cf_blob blob = blob_of("sealed", &e);
	CF_AUTO(cf_free) char *path = path_of(&blob);
	struct cf_why why = { "" };
	bool made = true;

	(void)state;
	assert_true(put(&blob));
	cf_store_remove(&blob);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(cf_store_put(&blob, &made, &why), CF_E_IO);
	assert_false(made);
	assert_non_null(strstr(why.text, path));
	assert_int_equal(unlink(path), 0);
}

/* As a store that root brought back from a backup. */
static void
t_renew_says_whose_file_it_must_be(void **state)
{
	CF_AUTO(cf_buf_free) struct cf_buf e = CF_BUF_INIT(100);
	struct cf_blob blob = blob_of("sealed", &e);
	CF_AUTO(cf_free) char *path = path_of(&blob);
	struct cf_why why = { "" };
	bool root = geteuid() == 0, there = true;
	enum cf_err rc;

	(void)state;
	assert_true(put(&blob));
	assert_int_equal(chmod(path, 0), 0);
	if (root)
		assert_int_equal(seteuid(65534), 0);
	rc = cf_store_renew(&blob, &there, &why);
	if (root)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(rc, CF_E_IO);
	assert_false(there);
	assert_non_null(strstr(why.text, path));
	assert_non_null(strstr(why.text, "belong to the milter's user?"));
}

/* ---- what goes ---- */

static void
t_sweep_takes_what_is_over_and_counts(void **state)
{
	static const char *const texts[] = { "one", "two", "three", "four" };
	struct cf_buf e[4];
	struct cf_blob blob[4];
	int64_t now = cf_clock_ms() / 1000;
	struct cf_sweep_tally t;
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		e[i] = (struct cf_buf)CF_BUF_INIT(100);
		blob[i] = blob_of(texts[i], &e[i]);
		assert_true(put(&blob[i]));
	}
	t = sweep(KEEP);
	assert_int_equal(t.messages, 4);
	assert_in_range(t.bytes, 4, 4 * 65536);
	assert_int_equal(t.removed, 0);
	set_mtime(&blob[0], now - KEEP - 5);
	set_mtime(&blob[1], now - KEEP + 600);
	assert_int_equal(sweep(0).removed, 0);
	t = sweep(KEEP);
	assert_int_equal(t.removed, 1);
	assert_int_equal(t.messages, 3);
	assert_int_equal(mtime_of(&blob[0]), -1);
	/* The option holds for what is there already. */
	assert_int_equal(sweep(300 * DAY).removed, 1);
	assert_int_equal(mtime_of(&blob[1]), -1);
	assert_int_equal(sweep(KEEP).messages, 2);
	for (i = 0; i < 4; i++)
		cf_buf_free(&e[i]);
}

static void
t_sweep_leaves_the_locked_and_the_foreign(void **state)
{
	CF_AUTO(cf_buf_free) struct cf_buf e = CF_BUF_INIT(100);
	struct cf_blob blob = blob_of("sealed", &e);
	CF_AUTO(cf_free) char *path = path_of(&blob);
	CF_AUTO(cf_free) char *notes = cf_asprintf("%s/%.2s/notes.txt", place,
	    blob.name);
	const struct timespec old[2] = { { 5, 0 }, { 5, 0 } };
	struct cf_sweep_tally t;
	int fd;

	(void)state;
	assert_true(put(&blob));
	set_mtime(&blob, 5);
	assert_int_equal(cf_file_write_new(notes, 0640, "x", 1, NULL), CF_OK);
	assert_int_equal(utimensat(AT_FDCWD, notes, old, 0), 0);
	fd = open(path, O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	t = sweep(KEEP);
	assert_int_equal(t.removed, 0);
	assert_int_equal(t.failed, 0);
	close(fd);
	assert_int_equal(sweep(KEEP).removed, 1);
	assert_int_equal(access(notes, F_OK), 0);
}

/* ---- races ---- */

#define ROUNDS 3000

static void *
sweep_on(void *arg)
{
	volatile bool *on = arg;

	while (__atomic_load_n(on, __ATOMIC_RELAXED))
		(void)sweep(KEEP);
	return NULL;
}

/* What was stored again is there, whoever was removing it at that moment. */
static void
t_renewed_is_never_swept(void **state)
{
	CF_AUTO(cf_buf_free) struct cf_buf e = CF_BUF_INIT(100);
	struct cf_blob blob = blob_of("sealed", &e);
	CF_AUTO(cf_free) char *path = path_of(&blob);
	const struct timespec old[2] = { { 5, 0 }, { 5, 0 } };
	bool on = true;
	pthread_t other;
	size_t i, renewed = 0;

	(void)state;
	assert_int_equal(pthread_create(&other, NULL, sweep_on, &on), 0);
	for (i = 0; i < ROUNDS; i++) {
		if (!renew(&blob))
			(void)put(&blob);
		else
			renewed++;
		if (mtime_of(&blob) < 1000)
			fail_msg("gone, round %zu", i);
		(void)utimensat(AT_FDCWD, path, old, 0);
	}
	__atomic_store_n(&on, false, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(other, NULL), 0);
	/* Else this has shown nothing. */
	assert_in_range(renewed, 1, ROUNDS - 1);
}

#define CHILDREN 16

/* Milters that share a store and start together have one secret. */
static void
t_secret_is_the_same_for_all(void **state)
{
	CF_AUTO(cf_free) char *path = cf_asprintf("%s" CF_STORE_SECRET, place);
	struct cf_secret got[CHILDREN] = { 0 };
	size_t i, round, makers;
	int status, go[2], back[2];
	struct stat st;
	char made;

	(void)state;
	for (round = 0; round < 20; round++) {
		makers = 0;
		assert_int_equal(pipe(go), 0);
		assert_int_equal(pipe(back), 0);
		for (i = 0; i < CHILDREN; i++)
			if (fork() == 0) {
				bool mine = false;
				char c;

				close(go[1]);
				(void)!read(go[0], &c, 1);
				if (cf_secret_read_or_make(path, 32, &got[0],
				    &mine, NULL) != CF_OK)
					_exit(1);
				made = mine;
				got[0].bytes[32] = (unsigned char)made;
				_exit(write(back[1], &got[0],
				    sizeof got[0]) < 0);
			}
		close(go[0]);
		close(go[1]);
		for (i = 0; i < CHILDREN; i++) {
			assert_int_equal(wait(&status) > 0 && status == 0, 1);
			assert_int_equal(read(back[0], &got[i],
			    sizeof got[i]), sizeof got[i]);
			makers += got[i].bytes[32];
			assert_memory_equal(got[i].bytes, got[0].bytes, 32);
		}
		close(back[0]);
		close(back[1]);
		assert_int_equal(makers, 1);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		assert_int_equal(unlink(path), 0);
	}
}

static void
t_secret_of_others_is_refused(void **state)
{
	CF_AUTO(cf_free) char *path = cf_asprintf("%s" CF_STORE_SECRET, place);
	struct cf_secret secret = CF_SECRET_EMPTY;
	struct cf_why why = { "" };
	bool made = true;

	(void)state;
	assert_int_equal(cf_file_write_new(path, 0600, "short\n", 6, NULL),
	    CF_OK);
	assert_int_equal(cf_secret_read_or_make(path, 32, &secret, &made,
	    &why), CF_E_CONFIG);
	assert_false(made);
	assert_non_null(strstr(why.text, path));
	assert_int_equal(unlink(path), 0);
}

static void
t_full_is_told_from_other_trouble(void **state)
{
	struct cf_why why = { "" };
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	int reading = open("/dev/full", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(cf_file_write_all(full, "x", 1, &why), CF_E_FULL);
	assert_non_null(strstr(why.text, "No space left"));
	assert_int_equal(cf_file_write_all(reading, "x", 1, &why), CF_E_IO);
	close(full);
	close(reading);
}

#define IN_PLACE(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_name_is_what_the_format_says),
		cmocka_unit_test(t_keep_goes_by_both_times),
		cmocka_unit_test(t_keep_again_never_shortens),
		cmocka_unit_test(t_keep_counts_from_the_last_time),
		IN_PLACE(t_put_twice_is_one_file),
		IN_PLACE(t_renewed_outlives_a_power_failure),
		IN_PLACE(t_put_keeps_the_end_of_its_own),
		IN_PLACE(t_put_replaces_what_is_cut_off),
		IN_PLACE(t_put_says_what_stands_in_the_way),
		IN_PLACE(t_renew_says_whose_file_it_must_be),
		IN_PLACE(t_sweep_takes_what_is_over_and_counts),
		IN_PLACE(t_sweep_leaves_the_locked_and_the_foreign),
		IN_PLACE(t_renewed_is_never_swept),
		IN_PLACE(t_secret_is_the_same_for_all),
		IN_PLACE(t_secret_of_others_is_refused),
		cmocka_unit_test(t_full_is_told_from_other_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
