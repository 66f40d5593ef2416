/* SPDX-License-Identifier: Apache-2.0 */
/* cf_secret - see secret.h. */
#include "common/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/b64url.h"
#include "common/file.h"

#define TEXT_MAX (CF_B64URL_LEN(CF_SECRET_MAX) + 2)

void
cf_secret_wipe(struct cf_secret *s)
{
	OPENSSL_cleanse(s, sizeof *s);
}

void
cf_secret_set(struct cf_secret *s, const void *bytes, size_t len)
{
	if (len > CF_SECRET_MAX)
		cf_bug("secret too long");
	memcpy(s->bytes, bytes, len);
	s->len = len;
}

void
cf_secret_random(struct cf_secret *s, size_t len)
{
	if (len > CF_SECRET_MAX || RAND_priv_bytes(s->bytes, (int)len) != 1)
		cf_bug("no random bytes");
	s->len = len;
}

void
cf_random(void *ret, size_t len)
{
	if (len > INT32_MAX || RAND_bytes(ret, (int)len) != 1)
		cf_bug("no random bytes");
}

bool
cf_secret_equal(const struct cf_secret *a, const struct cf_secret *b)
{
	return a->len == b->len &&
	    CRYPTO_memcmp(a->bytes, b->bytes, a->len) == 0;
}

enum cf_err
cf_secret_from_b64url(const char *text, size_t text_len, size_t want_len,
    struct cf_secret *ret, struct cf_why *why)
{
	struct cf_secret s = CF_SECRET_EMPTY;

	if (want_len > CF_SECRET_MAX)
		cf_bug("secret too long");
	if (!cf_b64url_decode(text, text_len, s.bytes, want_len)) {
		cf_secret_wipe(&s);
		return cf_fail(CF_E_SYNTAX, why,
		    "not the base64url text of %zu bytes", want_len);
	}
	s.len = want_len;
	*ret = s;
	cf_secret_wipe(&s);
	return CF_OK;
}

void
cf_secret_to_b64url(const struct cf_secret *s, char *out)
{
	cf_b64url_encode(s->bytes, s->len, out);
}

enum cf_err
cf_secret_keep_in_memory(const void *p, size_t len, struct cf_why *why)
{
	/* Not mlock(), which the sanitizers make do nothing. */
	if (mlock2(p, len, 0) != 0)
		return cf_fail(CF_E_CONFIG, why, "mlock: %s; raise the limit "
		    "of locked memory (LimitMEMLOCK, ulimit -l)",
		    strerrordesc_np(errno));
	return CF_OK;
}

static enum cf_err
check_stat(int fd, const char *path, struct cf_why *why)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return cf_fail(CF_E_CONFIG, why, "%s: %s", path,
		    strerrordesc_np(errno));
	if (!S_ISREG(st.st_mode))
		return cf_fail(CF_E_CONFIG, why, "%s: not a regular file",
		    path);
	if ((st.st_mode & 077) != 0)
		return cf_fail(CF_E_CONFIG, why,
		    "%s: mode is %04o, others could read the secret; "
		    "chmod 600 it", path, (unsigned)st.st_mode & 07777);
	/* Root looks before it becomes the user that the file belongs to. */
	if (geteuid() != 0 && st.st_uid != 0 && st.st_uid != geteuid())
		return cf_fail(CF_E_CONFIG, why,
		    "%s: belongs to user %u, not to root or to user %u",
		    path, (unsigned)st.st_uid, (unsigned)geteuid());
	return CF_OK;
}

static enum cf_err
open_checked(const char *path, int *ret_fd, struct cf_why *why)
{
	enum cf_err rc;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return cf_fail(CF_E_CONFIG, why, "%s: %s", path,
		    strerrordesc_np(errno));
	rc = check_stat(fd, path, why);
	if (rc != CF_OK) {
		close(fd);
		return rc;
	}
	*ret_fd = fd;
	return CF_OK;
}

enum cf_err
cf_secret_check_file(const char *path, struct cf_why *why)
{
	enum cf_err rc;
	int fd;

	rc = open_checked(path, &fd, why);
	if (rc == CF_OK)
		close(fd);
	return rc;
}

static bool
is_line_end(const char *p, size_t n)
{
	return n == 0 || (n == 1 && *p == '\n') ||
	    (n == 2 && memcmp(p, "\r\n", 2) == 0);
}

enum cf_err
cf_secret_read_line(const char *path, char *out, size_t cap,
    struct cf_why *why)
{
	/* With a line end of two bytes. */
	CF_AUTO(cf_buf_free) struct cf_buf text = CF_BUF_INIT_SECRET(cap + 1);
	const char *line;
	enum cf_err rc;
	size_t len;
	int fd;

	memset(out, 0, cap);
	rc = open_checked(path, &fd, why);
	if (rc != CF_OK)
		return rc;
	rc = cf_file_read_fd(fd, &text, NULL);
	close(fd);
	line = cf_buf_str(&text);
	len = strcspn(line, "\r\n");
	if (rc != CF_OK || len == 0 || len >= cap ||
	    !is_line_end(line + len, text.len - len))
		return cf_fail(CF_E_CONFIG, why, "%s: must hold one line, of "
		    "at most %zu bytes", path, cap - 1);
	memcpy(out, line, len);
	return CF_OK;
}

enum cf_err
cf_secret_read_file(const char *path, size_t want_len, struct cf_secret *ret,
    struct cf_why *why)
{
	char text[TEXT_MAX + 1];
	struct cf_secret s = CF_SECRET_EMPTY;
	enum cf_err rc;
	ssize_t n;
	int fd;

	rc = open_checked(path, &fd, why);
	if (rc != CF_OK)
		return rc;
	n = read(fd, text, sizeof text);
	close(fd);
	if (n > 0 && text[n - 1] == '\n')
		n--;
	if (n < 0 || cf_secret_from_b64url(text, (size_t)n, want_len, &s, NULL)
	    != CF_OK)
		rc = cf_fail(CF_E_CONFIG, why,
		    "%s: must hold one line, the base64url text of %zu bytes",
		    path, want_len);
	else
		*ret = s;
	OPENSSL_cleanse(text, sizeof text);
	cf_secret_wipe(&s);
	return rc;
}

enum cf_err
cf_secret_write_file(const char *path, const struct cf_secret *s,
    struct cf_why *why)
{
	char text[TEXT_MAX + 1];
	enum cf_err rc;

	cf_secret_to_b64url(s, text);
	memcpy(text + strlen(text), "\n", 2);
	rc = cf_file_write_new(path, 0600, text, strlen(text), why);
	OPENSSL_cleanse(text, sizeof text);
	return rc;
}

enum cf_err
cf_secret_read_or_make(const char *path, size_t len, struct cf_secret *ret,
    bool *ret_made, struct cf_why *why)
{
	CF_AUTO(cf_secret_wipe) struct cf_secret fresh = CF_SECRET_EMPTY;
	enum cf_err rc;

	*ret_made = false;
	if (cf_file_is_absent(path)) {
		cf_secret_random(&fresh, len);
		rc = cf_secret_write_file(path, &fresh, why);
		*ret_made = rc == CF_OK;
		/* Another process may have been faster; its file counts. */
		if (rc != CF_OK && access(path, F_OK) != 0)
			return rc;
	}
	return cf_secret_read_file(path, len, ret, why);
}
