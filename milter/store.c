/* SPDX-License-Identifier: Apache-2.0 */
/* cf_store - see store.h. */
#include "milter/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/b64url.h"
#include "common/fault.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/secret.h"

#define COPY_LEN 65536
#define AHEAD_LEN (1u << 20)	/* the disk is busy before the end comes */
/* The reader may run under another user of the directory's group. */
#define BLOB_MODE 0640
#define SHARD_MODE 0750

static enum cf_err
io_fail(struct cf_why *why, const char *path)
{
	return cf_fail(CF_E_IO, why, "%s: %s", path, strerrordesc_np(errno));
}

/* A sentence that names no place gets the directory in front. */
static enum cf_err
fail_in(const char *directory, enum cf_err rc, const struct cf_why *inner,
    struct cf_why *why)
{
	if (rc == CF_OK)
		return rc;
	if (strncmp(inner->text, directory, strlen(directory)) == 0)
		return cf_fail(rc, why, "%s", inner->text);
	return cf_fail(rc, why, "%s: %s", directory, inner->text);
}

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

static enum cf_err
copy_spool(int fd, const struct cf_spool *spool, struct cf_why *why)
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
			return io_fail(why, "spool file");
		rc = cf_file_write_all(fd, chunk, (size_t)n, why);
		if (rc != CF_OK)
			return rc;
		off += (uint64_t)n;
	}
	return CF_OK;
}

/* What is in memory, or in the file before. */
static enum cf_err
copy_bytes(int fd, const struct cf_spool *spool, struct cf_why *why)
{
	if (spool->fd >= 0)
		return copy_spool(fd, spool, why);
	return cf_file_write_all(fd, cf_buf_str(&spool->memory),
	    spool->memory.len, why);
}

/* A file without a name is linked by its place in /proc, which a bare chroot
 * lacks. */
static bool
can_link(void)
{
	return access("/proc/self/fd", X_OK) == 0;
}

static enum cf_err
open_spool(const struct cf_spool *spool, uint64_t base, int *ret_fd,
    bool *ret_linkable, struct cf_why *why)
{
	/* O_EXCL would mean that it never gets a name. */
	int fd = spool->head_size == NULL ? -1 : open(spool->directory,
	    O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	enum cf_err rc = CF_OK;

	*ret_linkable = fd >= 0 && can_link();
	if (fd < 0)
		rc = cf_file_spool(spool->directory, &fd, why);
	if (rc != CF_OK)
		return rc;
	*ret_fd = fd;
	if (lseek(fd, (off_t)base, SEEK_SET) >= 0)
		return CF_OK;
	close(fd);
	return io_fail(why, spool->directory);
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
	rc = copy_bytes(fd, spool, why);
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
		return fail_in(spool->directory, rc, &inner, why);
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
			return io_fail(why, "mmap");
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

void
cf_store_name(char ret_blob[CF_BLOB_LEN + 1])
{
	unsigned char random[16];

	cf_random(random, sizeof random);
	cf_b64url_encode(random, sizeof random, ret_blob);
}

char *
cf_store_path(const char *directory, const char *blob)
{
	if (!cf_link_is_blob(blob))
		cf_bug("a store path from an unchecked name");
	return cf_asprintf("%s/%.2s/%s", directory, blob, blob);
}

/* ---- a file that has no name yet ---- */

/*
 * Where the filesystem knows files without a name, nothing is left of one
 * that is not finished, and naming it is the only change to a directory.
 */
struct fresh {
	int fd;
	char *path;		/* to link it from */
	bool named;		/* `path` is a name that must go again */
};

static enum cf_err
fresh_named(const char *directory, struct fresh *f, struct cf_why *why)
{
	f->path = cf_asprintf("%s/.new.XXXXXX", directory);
	f->fd = mkostemp(f->path, O_CLOEXEC);
	/* sweep.h: somebody writes it. */
	if (f->fd >= 0)
		(void)flock(f->fd, LOCK_EX | LOCK_NB);
	f->named = f->fd >= 0;
	return f->fd >= 0 ? CF_OK : io_fail(why, directory);
}

/* The subdirectory of the names; a new one is made durable, too. */
static enum cf_err
make_shard(const char *shard, struct cf_why *why)
{
	if (mkdir(shard, SHARD_MODE) == 0)
		return cf_file_sync_parent(shard, why);
	return errno == EEXIST ? CF_OK : io_fail(why, shard);
}

static enum cf_err
fresh_open(const char *directory, const char *shard, struct fresh *f,
    struct cf_why *why)
{
	const int flags = O_TMPFILE | O_WRONLY | O_CLOEXEC;
	bool link = can_link();
	enum cf_err rc = CF_OK;

	f->fd = link ? open(shard, flags, BLOB_MODE) : -1;
	if (f->fd < 0) {
		/* Few names begin with two letters that are new. */
		rc = make_shard(shard, why);
		if (rc != CF_OK)
			return rc;
		f->fd = link ? open(shard, flags, BLOB_MODE) : -1;
	}
	if (f->fd < 0)
		return fresh_named(directory, f, why);
	f->path = cf_asprintf("/proc/self/fd/%d", f->fd);
	return CF_OK;
}

/* link(2), not rename(2): it refuses to replace what is there. */
static enum cf_err
fresh_link(const struct fresh *f, const char *path, struct cf_why *why)
{
	if (linkat(AT_FDCWD, f->path, AT_FDCWD, path, AT_SYMLINK_FOLLOW) != 0)
		return io_fail(why, path);
	return CF_OK;
}

static void
fresh_close(struct fresh *f)
{
	if (f->named)
		unlink(f->path);
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
}

/* ---- store ---- */

static enum cf_err
make_durable(int fd, struct cf_why *why)
{
	enum cf_err rc = CF_OK;

	cf_fault("store-written");
	if (fchmod(fd, BLOB_MODE) != 0 || fsync(fd) != 0)
		rc = io_fail(why, "fsync");
	cf_fault("store-synced");
	return rc;
}

static enum cf_err
fill(int fd, const struct cf_buf *head, const struct cf_spool *spool,
    const struct cf_buf *tail, struct cf_why *why)
{
	enum cf_err rc;

	rc = cf_file_write_all(fd, cf_buf_str(head), head->len, why);
	if (rc == CF_OK)
		rc = copy_bytes(fd, spool, why);
	if (rc == CF_OK)
		rc = cf_file_write_all(fd, cf_buf_str(tail), tail->len, why);
	return rc == CF_OK ? make_durable(fd, why) : rc;
}

/* The spool's file has room for the head, and ends where the tail begins. */
static enum cf_err
complete(const struct cf_spool *spool, const struct cf_buf *head,
    const struct cf_buf *tail, struct cf_why *why)
{
	enum cf_err rc;

	if (lseek(spool->fd, 0, SEEK_SET) != 0)
		return io_fail(why, "spool file");
	rc = cf_file_write_all(spool->fd, cf_buf_str(head), head->len, why);
	if (rc == CF_OK && lseek(spool->fd, 0, SEEK_END) !=
	    (off_t)(spool->base + spool->len))
		rc = io_fail(why, "spool file");
	if (rc == CF_OK)
		rc = cf_file_write_all(spool->fd, cf_buf_str(tail), tail->len,
		    why);
	return rc == CF_OK ? make_durable(spool->fd, why) : rc;
}

static enum cf_err
put_new(const char *directory, const char *shard, const char *path,
    const struct cf_buf *head, const struct cf_spool *spool,
    const struct cf_buf *tail, struct cf_why *why)
{
	CF_AUTO(fresh_close) struct fresh f = { -1, NULL, false };
	enum cf_err rc;

	rc = fresh_open(directory, shard, &f, why);
	if (rc == CF_OK)
		rc = fill(f.fd, head, spool, tail, why);
	return rc == CF_OK ? fresh_link(&f, path, why) : rc;
}

static enum cf_err
put_spool(const char *shard, const char *path, const struct cf_buf *head,
    const struct cf_spool *spool, const struct cf_buf *tail,
    struct cf_why *why)
{
	CF_AUTO(cf_free) char *from = cf_asprintf("/proc/self/fd/%d",
	    spool->fd);
	const struct fresh f = { spool->fd, from, false };
	enum cf_err rc;

	rc = make_shard(shard, why);
	if (rc == CF_OK)
		rc = complete(spool, head, tail, why);
	return rc == CF_OK ? fresh_link(&f, path, why) : rc;
}

enum cf_err
cf_store_put(const char *directory, const char *blob,
    const struct cf_buf *head, const struct cf_spool *spool,
    const struct cf_buf *tail, struct cf_why *why)
{
	CF_AUTO(cf_free) char *path = cf_store_path(directory, blob);
	CF_AUTO(cf_free) char *shard = cf_asprintf("%s/%.2s", directory, blob);
	struct cf_why inner = { "" };
	enum cf_err rc;

	if (spool->linkable && spool->base == head->len)
		rc = put_spool(shard, path, head, spool, tail, &inner);
	else
		rc = put_new(directory, shard, path, head, spool, tail,
		    &inner);
	if (rc != CF_OK)
		return fail_in(directory, rc, &inner, why);
	rc = cf_file_sync_parent(path, &inner);
	cf_fault("store-linked");
	if (rc != CF_OK)
		unlink(path);
	return fail_in(directory, rc, &inner, why);
}

void
cf_store_remove(const char *directory, const char *blob)
{
	CF_AUTO(cf_free) char *path = cf_store_path(directory, blob);

	unlink(path);
}
