/* SPDX-License-Identifier: Apache-2.0 */
/* cf_file - see file.h. */
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"

enum cf_err
cf_file_fail(struct cf_why *why, const char *what)
{
	return cf_fail(errno == ENOSPC || errno == EDQUOT ? CF_E_FULL :
	    CF_E_IO, why, "%s: %s", what, strerrordesc_np(errno));
}

enum cf_err
cf_file_fail_in(const char *directory, enum cf_err rc,
    const struct cf_why *inner, struct cf_why *why)
{
	if (rc == CF_OK)
		return rc;
	if (strncmp(inner->text, directory, strlen(directory)) == 0)
		return cf_fail(rc, why, "%s", inner->text);
	return cf_fail(rc, why, "%s: %s", directory, inner->text);
}

enum cf_err
cf_file_write_all(int fd, const void *data, size_t len, struct cf_why *why)
{
	const char *p = data;
	ssize_t n;

	while (len > 0) {
		n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return cf_file_fail(why, "write");
		p += n;
		len -= (size_t)n;
	}
	return CF_OK;
}

bool
cf_file_is_absent(const char *path)
{
	return access(path, F_OK) != 0 && errno == ENOENT;
}

enum cf_err
cf_file_reserve(int fd, size_t len, const char *what, struct cf_why *why)
{
	int error = posix_fallocate(fd, 0, (off_t)len);

	if (error != ENOSPC && error != EDQUOT && error != EFBIG)
		return CF_OK;
	errno = error;
	return cf_file_fail(why, what);
}

enum cf_err
cf_file_sync_parent(const char *path, struct cf_why *why)
{
	CF_AUTO(cf_free) char *copy = cf_strdup(path);
	const char *dir = dirname(copy);
	int fd, bad;

	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return cf_file_fail(why, dir);
	bad = fsync(fd);
	close(fd);
	return bad ? cf_file_fail(why, dir) : CF_OK;
}

enum cf_err
cf_file_write_new(const char *path, mode_t mode, const void *data, size_t len,
    struct cf_why *why)
{
	CF_AUTO(cf_free) char *tmp = cf_asprintf("%s.XXXXXX", path);
	enum cf_err rc;
	int fd;

	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return cf_file_fail(why, path);
	rc = cf_file_write_all(fd, data, len, why);
	if (rc == CF_OK && (fchmod(fd, mode) != 0 || fsync(fd) != 0))
		rc = cf_file_fail(why, tmp);
	close(fd);
	/* link(2), not rename(2): it refuses to replace what is there. */
	if (rc == CF_OK && link(tmp, path) != 0)
		rc = cf_file_fail(why, path);
	unlink(tmp);
	return rc == CF_OK ? cf_file_sync_parent(path, why) : rc;
}

enum cf_err
cf_file_replace(const char *path, const void *data, size_t len,
    struct cf_why *why)
{
	CF_AUTO(cf_free) char *real = realpath(path, NULL);
	CF_AUTO(cf_free) char *tmp = NULL;
	enum cf_err rc = CF_OK;
	struct stat st;
	int fd;

	if (real == NULL || stat(real, &st) != 0)
		return cf_file_fail(why, path);
	tmp = cf_asprintf("%s.XXXXXX", real);
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return cf_file_fail(why, path);
	if (cf_file_write_all(fd, data, len, NULL) != CF_OK ||
	    fchown(fd, st.st_uid, st.st_gid) != 0 ||
	    fchmod(fd, st.st_mode & 07777) != 0 || fsync(fd) != 0 ||
	    rename(tmp, real) != 0)
		rc = cf_file_fail(why, path);
	close(fd);
	if (rc != CF_OK) {
		unlink(tmp);
		return rc;
	}
	return cf_file_sync_parent(real, why);
}

enum cf_err
cf_file_read_fd(int fd, struct cf_buf *buf, struct cf_why *why)
{
	char chunk[16384];	/* of a key, perhaps: wiped */
	enum cf_err rc = CF_OK;
	ssize_t n = 1;

	while (n != 0 && rc == CF_OK) {
		n = read(fd, chunk, sizeof chunk);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			rc = cf_file_fail(why, "read");
		} else {
			cf_buf_add(buf, chunk, (size_t)n);
			rc = cf_buf_check(buf, why);
		}
	}
	OPENSSL_cleanse(chunk, sizeof chunk);
	return rc;
}

enum cf_err
cf_file_open(const char *path, int *ret_fd, struct cf_why *why)
{
	struct stat st;
	enum cf_err rc;
	int fd = strcmp(path, "-") == 0 ?
	    fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) :
	    open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return cf_file_fail(why, path);
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		rc = cf_file_fail(why, path);
		close(fd);
		return rc;
	}
	*ret_fd = fd;
	return CF_OK;
}

enum cf_err
cf_file_read(const char *path, struct cf_buf *buf, struct cf_why *why)
{
	enum cf_err rc;
	int fd;

	rc = cf_file_open(path, &fd, why);
	if (rc != CF_OK)
		return rc;
	rc = cf_file_read_fd(fd, buf, why);
	close(fd);
	return rc;
}

enum cf_err
cf_file_spool(const char *dir, int *ret_fd, struct cf_why *why)
{
	CF_AUTO(cf_free) char *tmp = NULL;
	int fd;

	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
	if (fd < 0) {
		tmp = cf_asprintf("%s/.spool.XXXXXX", dir);
		fd = mkostemp(tmp, O_CLOEXEC);
		if (fd < 0)
			return cf_file_fail(why, dir);
		unlink(tmp);
	}
	*ret_fd = fd;
	return CF_OK;
}
