/* SPDX-License-Identifier: Apache-2.0 */
/* cf_store - see store.h. */
#include "milter/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/b64url.h"
#include "common/clock.h"
#include "common/container.h"
#include "common/fault.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/pages.h"
#include "milter/store/keep.h"

#define LABEL "counterfoil blob v1"
#define BLOB_BYTES 16
/* The reader may run under another user of the directory's group. */
#define BLOB_MODE 0640
#define SHARD_MODE 0750
/* So much of the time of a stored message may end with the power. */
#define TIME_LOSS_S 60
#define WRITE_LEN ((size_t)256 * 1024)	/* of a mapping at once */
#define LINK_TRIES 5	/* against a sweep that takes it away each time */

void
cf_store_name(const struct cf_secret *secret, const void *head,
    size_t head_len, const unsigned char digest[CF_DIGEST_LEN],
    char ret_name[CF_BLOB_LEN + 1])
{
	struct cf_buf text = CF_BUF_INIT(sizeof LABEL + CF_DIGEST_LEN +
	    CF_CONTAINER_HEAD_MAX);
	unsigned char mac[CF_DIGEST_LEN];

	cf_buf_add(&text, LABEL, sizeof LABEL);
	cf_buf_add(&text, digest, CF_DIGEST_LEN);
	cf_buf_add(&text, head, head_len);
	if (text.full)
		cf_bug("a head of E that is too long");
	cf_hmac(secret, text.data, text.len, mac);
	cf_b64url_encode(mac, BLOB_BYTES, ret_name);
	cf_buf_free(&text);
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
	return f->fd >= 0 ? CF_OK : cf_file_fail(why, directory);
}

/* The subdirectory of the names; a new one is made durable, too. */
static enum cf_err
make_shard(const char *shard, struct cf_why *why)
{
	if (mkdir(shard, SHARD_MODE) == 0)
		return cf_file_sync_parent(shard, why);
	return errno == EEXIST ? CF_OK : cf_file_fail(why, shard);
}

static enum cf_err
fresh_open(const char *directory, const char *shard, struct fresh *f,
    struct cf_why *why)
{
	const int flags = O_TMPFILE | O_WRONLY | O_CLOEXEC;
	bool link = cf_spool_can_link();
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

static void
fresh_close(struct fresh *f)
{
	if (f->named)
		unlink(f->path);
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
}

/* ---- one that is there ---- */

/* Is the file that `path` names the one with these facts? */
static bool
is_named(const char *path, const struct stat *file)
{
	struct stat st;

	return lstat(path, &st) == 0 && st.st_dev == file->st_dev &&
	    st.st_ino == file->st_ino;
}

/* Who brought a store back from a backup, as root, is told what is wrong. */
static enum cf_err
fail_at(const char *path, struct cf_why *why)
{
	if (errno != EACCES && errno != EPERM)
		return cf_file_fail(why, path);
	return cf_fail(CF_E_IO, why, "%s: %s; does it belong to the milter's "
	    "user?", path, strerrordesc_np(errno));
}

static enum cf_err
set_time(int fd, int64_t mtime, const char *path, struct cf_why *why)
{
	const struct timespec times[2] = { { 0, UTIME_OMIT },
	    { (time_t)mtime, 0 } };

	return futimens(fd, times) == 0 ? CF_OK : fail_at(path, why);
}

/*
 * A time that a power failure takes back lets a sweep take the file, whose
 * message was acknowledged.  Many of one E at once share the wait.
 */
static enum cf_err
renew_time(int fd, int64_t before, int64_t mtime, const char *path,
    struct cf_why *why)
{
	enum cf_err rc = set_time(fd, mtime, path, why);

	if (rc == CF_OK && (mtime - before > TIME_LOSS_S ||
	    before - mtime > TIME_LOSS_S) && fsync(fd) != 0)
		rc = cf_file_fail(why, path);
	return rc;
}

/* The name tells what is in it, but a disk may have lost some of it. */
static enum cf_err
renew_locked(int fd, const char *path, const struct cf_blob *blob,
    bool *ret_there, struct cf_why *why)
{
	int64_t mtime;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return cf_file_fail(why, path);
	if (!is_named(path, &st))
		return CF_OK;
	if (!S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size != cf_store_size(blob))
		return unlink(path) == 0 ? CF_OK : cf_file_fail(why, path);
	mtime = cf_keep_again(st.st_mtim.tv_sec, st.st_ctim.tv_sec,
	    blob->keep_s, blob->end, cf_clock_ms() / 1000);
	*ret_there = true;
	return renew_time(fd, st.st_mtim.tv_sec, mtime, path, why);
}

/* With the lock of sweep.c: not while it takes the file away. */
static enum cf_err
renew(const char *path, const struct cf_blob *blob, bool *ret_there,
    struct cf_why *why)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	enum cf_err rc;
	int bad;

	*ret_there = false;
	if (fd < 0 && errno == ENOENT)
		return CF_OK;
	if (fd < 0)
		return fail_at(path, why);
	do
		bad = flock(fd, LOCK_EX);
	while (bad != 0 && errno == EINTR);
	rc = bad != 0 ? cf_file_fail(why, path) :
	    renew_locked(fd, path, blob, ret_there, why);
	close(fd);
	return rc;
}

enum cf_err
cf_store_renew(const struct cf_blob *blob, bool *ret_there,
    struct cf_why *why)
{
	CF_AUTO(cf_free) char *path = cf_store_path(blob->directory,
	    blob->name);
	struct cf_why inner = { "" };
	enum cf_err rc;

	rc = renew(path, blob, ret_there, &inner);
	/* Who linked it may not have come to this yet. */
	if (rc == CF_OK && *ret_there)
		rc = cf_file_sync_parent(path, &inner);
	return cf_file_fail_in(blob->directory, rc, &inner, why);
}

/* ---- store ---- */

uint64_t
cf_store_size(const struct cf_blob *blob)
{
	return blob->head->len + (blob->spool == NULL ? 0 : blob->spool->len) +
	    (blob->tail == NULL ? 0 : blob->tail->len);
}

/*
 * Each message syncs for itself, beside the others: the file system makes one
 * commit of those that wait.  With 20 at once somebody who did it for all of
 * them stored a twentieth as many a second, file by file, and three fifths by
 * a sync of the file system, which waits for what others have written, too.
 */
static enum cf_err
make_durable(int fd, const struct cf_blob *blob, struct cf_why *why)
{
	enum cf_err rc = CF_OK;

	cf_fault("store-written");
	if (blob->end != 0)
		rc = set_time(fd, blob->end, blob->name, why);
	if (rc == CF_OK && (fchmod(fd, BLOB_MODE) != 0 || fsync(fd) != 0))
		rc = cf_file_fail(why, "fsync");
	cf_fault("store-synced");
	return rc;
}

static enum cf_err
write_buf(int fd, const struct cf_buf *buf, struct cf_why *why)
{
	return buf == NULL ? CF_OK : cf_file_write_all(fd, cf_buf_str(buf),
	    buf->len, why);
}

/* With little of it resident. */
static enum cf_err
write_mapped(int fd, const struct cf_buf *buf, struct cf_why *why)
{
	struct cf_pages pages = cf_pages_begin(buf->data, true);
	enum cf_err rc = CF_OK;
	size_t at, n;

	for (at = 0; rc == CF_OK && at < buf->len; at += n) {
		n = buf->len - at < WRITE_LEN ? buf->len - at : WRITE_LEN;
		rc = cf_file_write_all(fd, buf->data + at, n, why);
		cf_pages_pass(&pages, buf->data + at);
	}
	return rc;
}

static enum cf_err
fill(int fd, const struct cf_blob *blob, struct cf_why *why)
{
	enum cf_err rc;

	rc = blob->mapped ? write_mapped(fd, blob->head, why) :
	    write_buf(fd, blob->head, why);
	if (rc == CF_OK && blob->spool != NULL)
		rc = cf_spool_copy(blob->spool, fd, why);
	if (rc == CF_OK)
		rc = write_buf(fd, blob->tail, why);
	return rc == CF_OK ? make_durable(fd, blob, why) : rc;
}

/* The spool's file has room for the head, and ends where the tail begins. */
static enum cf_err
complete(const struct cf_blob *blob, struct cf_why *why)
{
	const struct cf_spool *spool = blob->spool;
	enum cf_err rc;

	if (lseek(spool->fd, 0, SEEK_SET) != 0)
		return cf_file_fail(why, "spool file");
	rc = write_buf(spool->fd, blob->head, why);
	if (rc == CF_OK && lseek(spool->fd, 0, SEEK_END) !=
	    (off_t)(spool->base + spool->len))
		rc = cf_file_fail(why, "spool file");
	if (rc == CF_OK)
		rc = write_buf(spool->fd, blob->tail, why);
	return rc == CF_OK ? make_durable(spool->fd, blob, why) : rc;
}

/* link(2), not rename(2): it refuses to replace what is there. */
static enum cf_err
link_or_renew(const struct fresh *f, const char *path,
    const struct cf_blob *blob, bool *ret_made, struct cf_why *why)
{
	bool there = false;
	enum cf_err rc;
	int i;

	for (i = 0; i < LINK_TRIES; i++) {
		*ret_made = linkat(AT_FDCWD, f->path, AT_FDCWD, path,
		    AT_SYMLINK_FOLLOW) == 0;
		if (*ret_made)
			return CF_OK;
		if (errno != EEXIST)
			return cf_file_fail(why, path);
		rc = renew(path, blob, &there, why);
		if (rc != CF_OK || there)
			return rc;
	}
	return cf_fail(CF_E_IO, why, "%s: it comes and goes", path);
}

static enum cf_err
put_new(const char *shard, const char *path, const struct cf_blob *blob,
    bool *ret_made, struct cf_why *why)
{
	CF_AUTO(fresh_close) struct fresh f = { -1, NULL, false };
	enum cf_err rc;

	rc = fresh_open(blob->directory, shard, &f, why);
	if (rc == CF_OK)
		rc = fill(f.fd, blob, why);
	return rc == CF_OK ? link_or_renew(&f, path, blob, ret_made, why) : rc;
}

static enum cf_err
put_spool(const char *shard, const char *path, const struct cf_blob *blob,
    bool *ret_made, struct cf_why *why)
{
	CF_AUTO(cf_free) char *from = cf_asprintf("/proc/self/fd/%d",
	    blob->spool->fd);
	const struct fresh f = { blob->spool->fd, from, false };
	enum cf_err rc;

	rc = make_shard(shard, why);
	if (rc == CF_OK)
		rc = complete(blob, why);
	return rc == CF_OK ? link_or_renew(&f, path, blob, ret_made, why) : rc;
}

enum cf_err
cf_store_put(const struct cf_blob *blob, bool *ret_made, struct cf_why *why)
{
	CF_AUTO(cf_free) char *path = cf_store_path(blob->directory,
	    blob->name);
	CF_AUTO(cf_free) char *shard = cf_asprintf("%s/%.2s", blob->directory,
	    blob->name);
	const struct cf_spool *spool = blob->spool;
	struct cf_why inner = { "" };
	enum cf_err rc;

	*ret_made = false;
	if (spool != NULL && spool->linkable && spool->base == blob->head->len)
		rc = put_spool(shard, path, blob, ret_made, &inner);
	else
		rc = put_new(shard, path, blob, ret_made, &inner);
	if (rc == CF_OK)
		rc = cf_file_sync_parent(path, &inner);
	cf_fault("store-linked");
	return cf_file_fail_in(blob->directory, rc, &inner, why);
}

void
cf_store_remove(const struct cf_blob *blob)
{
	CF_AUTO(cf_free) char *path = cf_store_path(blob->directory,
	    blob->name);

	unlink(path);
}
