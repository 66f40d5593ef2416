/* SPDX-License-Identifier: Apache-2.0 */
/* cf_store - see store.h. */
#include "milter/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/b64url.h"
#include "common/fault.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/secret.h"

#define COPY_LEN 65536
/* The reader may run under another user of the directory's group. */
#define BLOB_MODE 0640
#define SHARD_MODE 0750

static enum cf_err
io_fail(struct cf_why *why, const char *path)
{
	return cf_fail(CF_E_IO, why, "%s: %s", path, strerrordesc_np(errno));
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

enum cf_err
cf_spool_add(struct cf_spool *spool, const void *data, size_t len,
    struct cf_why *why)
{
	enum cf_err rc;

	if (spool->fd < 0 && len <= spool->memory_limit - spool->memory.len) {
		cf_buf_add(&spool->memory, data, len);
		spool->len += len;
		return CF_OK;
	}
	if (spool->fd < 0) {
		rc = cf_file_spool(spool->directory, &spool->fd, why);
		if (rc != CF_OK)
			return rc;
		rc = cf_file_write_all(spool->fd, cf_buf_str(&spool->memory),
		    spool->memory.len, why);
		if (rc != CF_OK)
			return rc;
		cf_buf_free(&spool->memory);
	}
	rc = cf_file_write_all(spool->fd, data, len, why);
	if (rc == CF_OK)
		spool->len += len;
	return rc;
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
	CF_AUTO(cf_secret_wipe) struct cf_secret s = CF_SECRET_EMPTY;

	cf_secret_random(&s, 16);
	cf_b64url_encode(s.bytes, s.len, ret_blob);
}

char *
cf_store_path(const char *directory, const char *blob)
{
	if (!cf_link_is_blob(blob))
		cf_bug("a store path from an unchecked name");
	return cf_asprintf("%s/%.2s/%s", directory, blob, blob);
}

/* The subdirectory of the name; a new one is made durable, too. */
static enum cf_err
make_shard(const char *directory, const char *blob, struct cf_why *why)
{
	CF_AUTO(cf_free) char *path = cf_asprintf("%s/%.2s", directory, blob);

	if (mkdir(path, SHARD_MODE) == 0)
		return cf_file_sync_parent(path, why);
	return errno == EEXIST ? CF_OK : io_fail(why, path);
}

static enum cf_err
copy_spool(int fd, const struct cf_spool *spool, struct cf_why *why)
{
	CF_AUTO(cf_free) char *chunk = NULL;
	enum cf_err rc;
	uint64_t off = 0;
	ssize_t n;

	if (spool->fd < 0)
		return cf_file_write_all(fd, cf_buf_str(&spool->memory),
		    spool->memory.len, why);
	chunk = cf_calloc(COPY_LEN, 1);
	while (off < spool->len) {
		n = pread(spool->fd, chunk, COPY_LEN, (off_t)off);
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

static enum cf_err
fill(int fd, const struct cf_buf *head, const struct cf_spool *spool,
    const struct cf_buf *tail, struct cf_why *why)
{
	enum cf_err rc;

	rc = cf_file_write_all(fd, cf_buf_str(head), head->len, why);
	if (rc == CF_OK)
		rc = copy_spool(fd, spool, why);
	if (rc == CF_OK)
		rc = cf_file_write_all(fd, cf_buf_str(tail), tail->len, why);
	cf_fault("store-written");
	if (rc == CF_OK && (fchmod(fd, BLOB_MODE) != 0 || fsync(fd) != 0))
		rc = io_fail(why, "fsync");
	cf_fault("store-synced");
	return rc;
}

enum cf_err
cf_store_put(const char *directory, const char *blob,
    const struct cf_buf *head, const struct cf_spool *spool,
    const struct cf_buf *tail, struct cf_why *why)
{
	CF_AUTO(cf_free) char *path = cf_store_path(directory, blob);
	CF_AUTO(cf_free) char *tmp = cf_asprintf("%s/.new.XXXXXX", directory);
	enum cf_err rc;
	int fd;

	rc = make_shard(directory, blob, why);
	if (rc != CF_OK)
		return rc;
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return io_fail(why, directory);
	rc = fill(fd, head, spool, tail, why);
	if (close(fd) != 0 && rc == CF_OK)
		rc = io_fail(why, tmp);
	/* link(2), not rename(2): it refuses to replace what is there. */
	if (rc == CF_OK && link(tmp, path) != 0)
		rc = io_fail(why, path);
	unlink(tmp);
	if (rc != CF_OK)
		return rc;
	rc = cf_file_sync_parent(path, why);
	cf_fault("store-linked");
	if (rc != CF_OK)
		unlink(path);
	return rc;
}

void
cf_store_remove(const char *directory, const char *blob)
{
	CF_AUTO(cf_free) char *path = cf_store_path(directory, blob);

	unlink(path);
}
