/* SPDX-License-Identifier: Apache-2.0 */
/* cf_bulk - see bulk.h. */
#include "common/bulk.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/file.h"

#define READ_PIECE (64 * 1024)

void
cf_bulk_init(struct cf_bulk *bulk, const struct cf_bulk_place *place,
    size_t max)
{
	memset(bulk, 0, sizeof *bulk);
	bulk->place = place;
	bulk->max = max;
	bulk->buf.wipe = true;
	bulk->buf.max = place != NULL && place->memory < max ?
	    place->memory : max;
}

void
cf_bulk_free(struct cf_bulk *bulk)
{
	cf_buf_free(&bulk->buf);
	if (bulk->map != NULL)
		(void)munmap(bulk->map, bulk->len + 1);
	if (bulk->spooled)
		close(bulk->fd);
	memset(bulk, 0, sizeof *bulk);
}

static void
bulk_fail(struct cf_bulk *bulk)
{
	bulk->failed = cf_file_fail(&bulk->why, bulk->place->directory);
}

static bool
make_file(struct cf_bulk *bulk)
{
	if (bulk->spooled)
		return true;
	bulk->failed = cf_file_spool(bulk->place->directory, &bulk->fd,
	    &bulk->why);
	bulk->spooled = bulk->failed == CF_OK;
	return bulk->spooled;
}

static void
to_file(struct cf_bulk *bulk, const void *data, size_t len)
{
	if (cf_file_write_all(bulk->fd, data, len, NULL) != CF_OK)
		bulk_fail(bulk);
}

void
cf_bulk_add(struct cf_bulk *bulk, const void *data, size_t len)
{
	if (bulk->failed != CF_OK)
		return;
	if (len > bulk->max - bulk->len) {
		bulk->failed = cf_fail(CF_E_TOO_LARGE, &bulk->why,
		    "more than %zu bytes", bulk->max);
		return;
	}
	if (len > bulk->buf.max - bulk->buf.len) {
		if (!make_file(bulk))
			return;
		to_file(bulk, cf_buf_str(&bulk->buf), bulk->buf.len);
		cf_buf_reset(&bulk->buf);
	}
	if (len > bulk->buf.max)
		to_file(bulk, data, len);
	else
		cf_buf_add(&bulk->buf, data, len);
	bulk->len += len;
}

enum cf_err
cf_bulk_check(const struct cf_bulk *bulk, struct cf_why *why)
{
	if (bulk->failed != CF_OK && why != NULL)
		*why = bulk->why;
	return bulk->failed;
}

enum cf_err
cf_bulk_reserve(struct cf_bulk *bulk, size_t len, struct cf_why *why)
{
	if (len <= bulk->buf.max)
		(void)cf_buf_reserve(&bulk->buf, len);
	else if (make_file(bulk))
		bulk->failed = cf_file_reserve(bulk->fd, len,
		    bulk->place->directory, &bulk->why);
	return cf_bulk_check(bulk, why);
}

enum cf_err
cf_bulk_read(struct cf_bulk *bulk, int fd, struct cf_why *why)
{
	char piece[READ_PIECE];
	ssize_t n = 1;

	while (n != 0 && bulk->failed == CF_OK) {
		n = read(fd, piece, sizeof piece);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			bulk->failed = cf_file_fail(&bulk->why, "read");
		else
			cf_bulk_add(bulk, piece, (size_t)n);
	}
	OPENSSL_cleanse(piece, sizeof piece);
	return cf_bulk_check(bulk, why);
}

static void
map_file(struct cf_bulk *bulk)
{
	to_file(bulk, cf_buf_str(&bulk->buf), bulk->buf.len);
	cf_buf_free(&bulk->buf);
	if (bulk->failed != CF_OK)
		return;
	/* One byte more than there are: the NUL. */
	if (ftruncate(bulk->fd, (off_t)bulk->len + 1) != 0) {
		bulk_fail(bulk);
		return;
	}
	bulk->map = mmap(NULL, bulk->len + 1, PROT_READ, MAP_SHARED, bulk->fd,
	    0);
	if (bulk->map == MAP_FAILED) {
		bulk->map = NULL;
		bulk_fail(bulk);
	}
}

enum cf_err
cf_bulk_map(struct cf_bulk *bulk, struct cf_buf *ret, struct cf_why *why)
{
	struct cf_buf view = { bulk->buf.data, bulk->len, bulk->len + 1,
	    bulk->len, false, false };

	if (bulk->failed == CF_OK && bulk->spooled) {
		map_file(bulk);
		view.data = bulk->map;
	}
	if (bulk->failed == CF_OK)
		*ret = view;
	return cf_bulk_check(bulk, why);
}
