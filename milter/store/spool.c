/* SPDX-License-Identifier: Apache-2.0 */
/* cf_spool - see spool.h. */
#include "milter/store/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"

#define COPY_LEN (256 * 1024)
#define AHEAD_LEN (1u << 20)	/* the disk is busy before the end comes */

void
cf_spool_init(struct cf_spool *spool, const char *directory,
    size_t memory_limit)
{
	struct cf_buf memory = CF_BUF_INIT(memory_limit);

	memset(spool, 0, sizeof *spool);
	spool->memory = memory;
	spool->fd = -1;
	spool->memory_limit = memory_limit;
	spool->directory = directory;
}

void
cf_spool_for_store(struct cf_spool *spool, uint64_t (*head_size)(uint64_t len))
{
	spool->head_size = head_size;
}

bool
cf_spool_can_link(void)
{
	return access("/proc/self/fd", X_OK) == 0;
}

static enum cf_err
copy_file(int fd, const struct cf_spool *spool, struct cf_why *why)
{
	CF_AUTO(cf_free) char *chunk = cf_calloc(COPY_LEN, 1);
	enum cf_err rc;
	uint64_t off = 0, left;
	ssize_t n;

	while (off < spool->len) {
		left = spool->len - off;
		n = pread(spool->fd, chunk, left < COPY_LEN ? (size_t)left :
		    COPY_LEN, (off_t)(spool->base + off));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return cf_file_fail(why, "spool file");
		rc = cf_file_write_all(fd, chunk, (size_t)n, why);
		if (rc != CF_OK)
			return rc;
		off += (uint64_t)n;
	}
	return CF_OK;
}

enum cf_err
cf_spool_copy(const struct cf_spool *spool, int fd, struct cf_why *why)
{
	if (spool->fd >= 0)
		return copy_file(fd, spool, why);
	return cf_file_write_all(fd, cf_buf_str(&spool->memory),
	    spool->memory.len, why);
}

static enum cf_err
open_spool(const struct cf_spool *spool, uint64_t base, int *ret_fd,
    bool *ret_linkable, struct cf_why *why)
{
	/* O_EXCL would mean that it never gets a name. */
	int fd = spool->head_size == NULL ? -1 : open(spool->directory,
	    O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	enum cf_err rc = CF_OK;

	*ret_linkable = fd >= 0 && cf_spool_can_link();
	if (fd < 0)
		rc = cf_file_spool(spool->directory, &fd, why);
	if (rc != CF_OK)
		return rc;
	*ret_fd = fd;
	if (lseek(fd, (off_t)base, SEEK_SET) >= 0)
		return CF_OK;
	close(fd);
	return cf_file_fail(why, spool->directory);
}

/* Into a file, or into another one with more room in front. */
static enum cf_err
move_spool(struct cf_spool *spool, uint64_t base, struct cf_why *why)
{
	bool linkable;
	enum cf_err rc;
	int fd;

	rc = open_spool(spool, base, &fd, &linkable, why);
	if (rc != CF_OK)
		return rc;
	rc = cf_spool_copy(spool, fd, why);
	if (rc != CF_OK) {
		close(fd);
		return rc;
	}
	if (spool->fd >= 0)
		close(spool->fd);
	cf_buf_free(&spool->memory);
	spool->fd = fd;
	spool->base = base;
	spool->linkable = linkable;
	return CF_OK;
}

/* The last whole piece goes to the disk while the next ones come in. */
static void
write_ahead(const struct cf_spool *spool, uint64_t before)
{
	uint64_t from = before / AHEAD_LEN * AHEAD_LEN;
	uint64_t to = spool->len / AHEAD_LEN * AHEAD_LEN;

	/* Only to be faster: what fails here fails in fsync(), too. */
	if (spool->linkable && to > from)
		(void)sync_file_range(spool->fd, (off_t)(spool->base + from),
		    (off_t)(to - from), SYNC_FILE_RANGE_WRITE);
}

enum cf_err
cf_spool_add(struct cf_spool *spool, const void *data, size_t len,
    struct cf_why *why)
{
	uint64_t before = spool->len, base = 0;
	struct cf_why inner = { "" };
	enum cf_err rc = CF_OK;

	if (spool->fd < 0 && len <= spool->memory_limit - spool->memory.len) {
		cf_buf_add(&spool->memory, data, len);
		spool->len += len;
		return CF_OK;
	}
	if (spool->head_size != NULL)
		base = spool->head_size(spool->len + len);
	if (spool->fd < 0 || base != spool->base)
		rc = move_spool(spool, base, &inner);
	if (rc == CF_OK)
		rc = cf_file_write_all(spool->fd, data, len, &inner);
	if (rc != CF_OK)
		return cf_file_fail_in(spool->directory, rc, &inner, why);
	spool->len += len;
	write_ahead(spool, before);
	return CF_OK;
}

enum cf_err
cf_spool_map(struct cf_spool *spool, const void **ret_data, struct cf_why *why)
{
	void *map;

	if (spool->fd < 0) {
		*ret_data = cf_buf_str(&spool->memory);
		return CF_OK;
	}
	if (spool->map == NULL) {
		map = mmap(NULL, spool->len, PROT_READ, MAP_PRIVATE,
		    spool->fd, 0);
		if (map == MAP_FAILED)
			return cf_file_fail(why, "mmap");
		spool->map = map;
	}
	*ret_data = spool->map;
	return CF_OK;
}

void
cf_spool_free(struct cf_spool *spool)
{
	if (spool->map != NULL)
		munmap(spool->map, spool->len);
	spool->map = NULL;
	if (spool->fd >= 0)
		close(spool->fd);
	spool->fd = -1;
	cf_buf_free(&spool->memory);
	spool->len = 0;
}
