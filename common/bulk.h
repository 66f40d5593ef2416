/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_bulk - many bytes that are written once and then read: in memory while
 * they are few, else in a file without a name.
 *
 * Like cf_buf it is born with its ceiling, and a run of additions is checked
 * once.  What is in memory is wiped.  The file has mode 0600 and is gone with
 * the process, however that ends; its blocks are not overwritten.
 *
 * Knows: files, mappings.   Does not know: what the bytes are.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_BULK_H
#define CF_COMMON_BULK_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"

struct cf_bulk_place {
	const char *directory;	/* of the file */
	size_t memory;		/* bytes up to which there is none; > 0 */
};

struct cf_bulk {
	const struct cf_bulk_place *place;	/* NULL: memory alone */
	size_t len;		/* bytes in all */
	size_t max;		/* the ceiling for `len` */
	struct cf_buf buf;	/* the last of them; all, without a file */
	bool spooled;		/* there is a file: */
	int fd;
	void *map;		/* after cf_bulk_map(), or NULL */
	enum cf_err failed;	/* CF_OK; else nothing is added any more */
	struct cf_why why;
};

/* Both lent until cf_bulk_free(), for which a zeroed one is good, too. */
void cf_bulk_init(struct cf_bulk *bulk, const struct cf_bulk_place *place,
    size_t max);
void cf_bulk_free(struct cf_bulk *bulk);
void cf_bulk_add(struct cf_bulk *bulk, const void *data, size_t len);

static inline void
cf_bulk_addc(struct cf_bulk *bulk, char c)
{
	struct cf_buf *buf = &bulk->buf;

	if (bulk->len >= bulk->max || buf->len + 1 >= buf->cap) {
		cf_bulk_add(bulk, &c, 1);
		return;
	}
	buf->data[buf->len++] = c;
	buf->data[buf->len] = '\0';
	bulk->len++;
}

/*
 * What went wrong so far.
 * CF_E_TOO_LARGE   over the ceiling
 * CF_E_FULL, CF_E_IO  the file
 */
CF_MUST_USE enum cf_err cf_bulk_check(const struct cf_bulk *bulk,
    struct cf_why *why);
/*
 * See to it that there is room for `len` bytes in all, in memory or on the
 * disk.  Before the first byte; for errors see cf_bulk_check().
 */
CF_MUST_USE enum cf_err cf_bulk_reserve(struct cf_bulk *bulk, size_t len,
    struct cf_why *why);
/* Add all that can be read from `fd`. */
CF_MUST_USE enum cf_err cf_bulk_read(struct cf_bulk *bulk, int fd,
    struct cf_why *why);
/*
 * No more is added.  Sets *ret to all of it, with a NUL behind: it lends,
 * until the free, and must not be changed or freed.  Where `spooled` is true
 * it is a mapping: go through it with cf_pages.
 */
CF_MUST_USE enum cf_err cf_bulk_map(struct cf_bulk *bulk, struct cf_buf *ret,
    struct cf_why *why);

#endif
