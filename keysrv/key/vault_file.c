/* SPDX-License-Identifier: Apache-2.0 */
/* cf_vault: the master keys and their file; see vault.h. */
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/b64url.h"
#include "common/file.h"
#include "common/mem.h"
#include "keysrv/key/vault_private.h"

#define MASTER_LEN 32
#define FILE_MAX 4096
#define LINE_LEN (CF_MASTER_TEXT_LEN + 1 + CF_B64URL_LEN(MASTER_LEN) + 1)

static const char check_info[] = "counterfoil master check v1";

void
cf_master_text(const struct cf_master *master,
    char out[CF_MASTER_TEXT_LEN + 1])
{
	size_t i;

	for (i = 0; i < CF_MASTER_ID_LEN; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", master->id[i]);
}

bool
cf_master_parse(const char *text, size_t len,
    unsigned char ret_id[CF_MASTER_ID_LEN])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char id[CF_MASTER_ID_LEN] = { 0 };
	const char *p;
	size_t i;

	if (len != CF_MASTER_TEXT_LEN)
		return false;
	for (i = 0; i < len; i++) {
		p = memchr(digits, text[i], 16);
		if (p == NULL)
			return false;
		id[i / 2] = (unsigned char)(id[i / 2] << 4 | (p - digits));
	}
	memcpy(ret_id, id, sizeof id);
	return true;
}

static const struct cf_vault_master *
find_id(const struct cf_vault *vault,
    const unsigned char id[CF_MASTER_ID_LEN])
{
	const size_t count = atomic_load(&vault->count);
	size_t i;

	for (i = 0; i < count; i++)
		if (memcmp(vault->master[i].name.id, id,
		    CF_MASTER_ID_LEN) == 0)
			return &vault->master[i];
	return NULL;
}

/* Only the right key has it; it tells nothing of the key. */
static void
set_check(const struct cf_vault *vault, struct cf_vault_master *m)
{
	CF_AUTO(cf_secret_wipe) struct cf_secret value = CF_SECRET_EMPTY;

	cf_vault_derive(vault, &m->key, m->name.id, CF_MASTER_ID_LEN,
	    check_info, &value);
	memcpy(m->name.check, value.bytes, sizeof m->name.check);
}

/* False: there is one of that name, or no room. */
static bool
keep(struct cf_vault *vault, const struct cf_vault_master *m)
{
	const size_t count = atomic_load(&vault->count);

	if (find_id(vault, m->name.id) != NULL || count == CF_MASTERS_MAX)
		return false;
	vault->master[count] = *m;
	atomic_store(&vault->count, count + 1);
	return true;
}

static enum cf_err
parse_line(struct cf_vault *vault, const char *line, size_t len,
    const char *path, int number, struct cf_why *why)
{
	struct cf_vault_master m = { .key = CF_SECRET_EMPTY };
	bool kept;

	if (len <= CF_MASTER_TEXT_LEN || line[CF_MASTER_TEXT_LEN] != ' ' ||
	    !cf_master_parse(line, CF_MASTER_TEXT_LEN, m.name.id) ||
	    cf_secret_from_b64url(line + CF_MASTER_TEXT_LEN + 1,
	    len - CF_MASTER_TEXT_LEN - 1, MASTER_LEN, &m.key, NULL) != CF_OK)
		return cf_fail(CF_E_CONFIG, why, "%s:%d: not the name of a "
		    "master key, %d hex digits, and the base64url text of %d "
		    "bytes", path, number, CF_MASTER_TEXT_LEN, MASTER_LEN);
	set_check(vault, &m);
	kept = keep(vault, &m);
	cf_secret_wipe(&m.key);
	if (!kept)
		return cf_fail(CF_E_CONFIG, why, "%s:%d: a name that was there "
		    "before, or more than %d keys", path, number,
		    CF_MASTERS_MAX);
	return CF_OK;
}

static enum cf_err
parse_file(struct cf_vault *vault, const char *text, const char *path,
    struct cf_why *why)
{
	enum cf_err rc = CF_OK;
	int number = 1;
	size_t len;

	for (; *text != '\0' && rc == CF_OK; number++) {
		len = strcspn(text, "\n");
		rc = parse_line(vault, text, len, path, number, why);
		text += len + (text[len] == '\n');
	}
	if (rc == CF_OK && atomic_load(&vault->count) == 0)
		rc = cf_fail(CF_E_CONFIG, why, "%s: no key in it", path);
	return rc;
}

enum cf_err
cf_vault_read(struct cf_vault *vault, struct cf_why *why)
{
	struct cf_buf buf = CF_BUF_INIT_SECRET(FILE_MAX);
	enum cf_err rc;

	/* Before it is read: what changes meanwhile is read next time. */
	if (stat(vault->path, &vault->seen) != 0)
		memset(&vault->seen, 0, sizeof vault->seen);
	rc = cf_secret_check_file(vault->path, why);
	if (rc == CF_OK && cf_file_read(vault->path, &buf, why) != CF_OK)
		rc = CF_E_CONFIG;
	if (rc == CF_OK)
		rc = parse_file(vault, cf_buf_str(&buf), vault->path, why);
	cf_buf_free(&buf);
	return rc;
}

static enum cf_err
read_again(struct cf_vault *vault, struct cf_why *why)
{
	struct cf_vault *now = NULL;
	enum cf_err rc;
	size_t i;

	rc = cf_vault_load(vault->path, &now, why);
	if (rc != CF_OK)
		return rc;
	for (i = 0; i < atomic_load(&now->count); i++)
		(void)keep(vault, &now->master[i]);
	vault->seen = now->seen;
	cf_vault_free(&now);
	return CF_OK;
}

/*
 * Keys are added to the file while servers run: one that is not there is
 * looked for in the file, if that is another than before.
 */
static void
look_again(struct cf_vault *vault)
{
	struct stat now;

	pthread_mutex_lock(&vault->lock);
	if (stat(vault->path, &now) == 0 &&
	    (now.st_ino != vault->seen.st_ino ||
	    now.st_size != vault->seen.st_size ||
	    now.st_mtim.tv_sec != vault->seen.st_mtim.tv_sec ||
	    now.st_mtim.tv_nsec != vault->seen.st_mtim.tv_nsec))
		(void)read_again(vault, NULL);
	pthread_mutex_unlock(&vault->lock);
}

enum cf_err
cf_vault_find(struct cf_vault *vault, const struct cf_master *want,
    const struct cf_vault_master **ret, struct cf_why *why)
{
	const struct cf_vault_master *m = find_id(vault, want->id);
	char text[CF_MASTER_TEXT_LEN + 1];

	if (m == NULL) {
		look_again(vault);
		m = find_id(vault, want->id);
	}
	if (m != NULL &&
	    memcmp(m->name.check, want->check, sizeof want->check) == 0) {
		*ret = m;
		return CF_OK;
	}
	cf_master_text(want, text);
	return cf_fail(CF_E_MASTER_KEY, why, m == NULL ?
	    "%s lacks the master key %s; bring the file of another server or "
	    "the copy that was put by" :
	    "%s has another master key by the name %s than this database; "
	    "bring the file of another server or the copy that was put by",
	    vault->path, text);
}

enum cf_err
cf_vault_has(struct cf_vault *vault, const struct cf_master *master,
    struct cf_why *why)
{
	const struct cf_vault_master *found;

	return cf_vault_find(vault, master, &found, why);
}

size_t
cf_vault_count(const struct cf_vault *vault)
{
	return atomic_load(&vault->count);
}

const struct cf_master *
cf_vault_master(const struct cf_vault *vault, size_t i)
{
	return &vault->master[i].name;
}

/* One line with a new key under a new name. */
static void
new_line(char out[LINE_LEN + 1])
{
	CF_AUTO(cf_secret_wipe) struct cf_secret key = CF_SECRET_EMPTY;
	struct cf_master name;

	cf_random(name.id, sizeof name.id);
	cf_secret_random(&key, MASTER_LEN);
	cf_master_text(&name, out);
	out[CF_MASTER_TEXT_LEN] = ' ';
	cf_secret_to_b64url(&key, out + CF_MASTER_TEXT_LEN + 1);
	memcpy(out + LINE_LEN - 1, "\n", 2);
}

enum cf_err
cf_vault_new_file(const char *path, struct cf_why *why)
{
	char line[LINE_LEN + 1];
	enum cf_err rc;

	new_line(line);
	rc = cf_file_write_new(path, 0600, line, LINE_LEN, why);
	OPENSSL_cleanse(line, sizeof line);
	return rc;
}

/*
 * *ret_fd holds it until closed: of two that add at once, each would leave out
 * what the other adds, and a key that is known and in no file is lost.
 */
static enum cf_err
lock_file(const char *path, int *ret_fd, struct cf_why *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat ours, now;

	if (fd >= 0 && flock(fd, LOCK_EX) == 0 && fstat(fd, &ours) == 0 &&
	    stat(path, &now) == 0 && ours.st_ino == now.st_ino &&
	    ours.st_dev == now.st_dev) {
		*ret_fd = fd;
		return CF_OK;
	}
	if (fd >= 0)
		close(fd);
	return cf_fail(CF_E_IO, why, "%s: cannot be read, or has just been "
	    "changed; run the command again", path);
}

static enum cf_err
add_line(const char *path, struct cf_why *why)
{
	struct cf_buf buf = CF_BUF_INIT_SECRET(FILE_MAX);
	char line[LINE_LEN + 1];
	enum cf_err rc;

	rc = cf_file_read(path, &buf, why);
	if (rc == CF_OK) {
		if (buf.len > 0 && buf.data[buf.len - 1] != '\n')
			cf_buf_addc(&buf, '\n');
		new_line(line);
		cf_buf_adds(&buf, line);
		OPENSSL_cleanse(line, sizeof line);
		rc = cf_buf_check(&buf, why);
	}
	if (rc == CF_OK)
		rc = cf_file_replace(path, buf.data, buf.len, why);
	cf_buf_free(&buf);
	return rc;
}

enum cf_err
cf_vault_add(struct cf_vault *vault, struct cf_why *why)
{
	enum cf_err rc;
	int fd;

	rc = lock_file(vault->path, &fd, why);
	if (rc != CF_OK)
		return rc;
	rc = add_line(vault->path, why);
	close(fd);
	return rc == CF_OK ? read_again(vault, why) : rc;
}
