/* SPDX-License-Identifier: Apache-2.0 */
/* cf_unseal - see unseal.h. */
#include "common/unseal.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/pages.h"
#include "common/wire.h"

#define PIECE (256 * 1024)	/* bytes that are written at once */

void
cf_about_free(struct cf_about *about)
{
	free(about->address);
	free(about->domain);
	free(about->account);
	free(about->message_id);
	free(about->issued_at);
	free(about->expires_at);
	free(about->state);
	memset(about, 0, sizeof *about);
}

void
cf_release_wipe(struct cf_release *release)
{
	cf_about_free(&release->about);
	OPENSSL_cleanse(release, sizeof *release);
}

static enum cf_err
lacks(struct cf_why *why, const char *name)
{
	return cf_fail(CF_E_PROTOCOL, why,
	    "the key server's answer has no proper \"%s\"", name);
}

static char *
copy(const json_t *object, const char *name)
{
	const char *s = cf_json_string(object, name);

	return s == NULL ? NULL : cf_strdup(s);
}

/* A time if it is there at all. */
static bool
read_time(const json_t *json, const char *name, char **ret)
{
	int64_t ms;

	*ret = copy(json, name);
	return json_object_get(json, name) == NULL ||
	    (*ret != NULL && cf_clock_parse(*ret, &ms));
}

static bool
is_state(const char *state)
{
	static const char *const states[] = { "issued", "released", "opened",
	    "revoked", "expired" };
	size_t i;

	for (i = 0; i < sizeof states / sizeof states[0]; i++)
		if (state != NULL && strcmp(state, states[i]) == 0)
			return true;
	return false;
}

/* What both answers have. */
static enum cf_err
read_common(const json_t *json, const char *handle, struct cf_about *about,
    struct cf_why *why)
{
	const char *got = cf_json_string(json, "handle");
	const char *algorithm = cf_json_string(json, "algorithm");
	const char *assurance;
	const json_t *issuer = json_object_get(json, "issuer");

	if (got == NULL || strcmp(got, handle) != 0)
		return lacks(why, "handle");
	if (algorithm == NULL || strcmp(algorithm, CF_ISSUE_ALGORITHM) != 0)
		return lacks(why, "algorithm");
	about->address = copy(issuer, "address");
	about->domain = copy(issuer, "domain");
	about->account = copy(issuer, "account");
	if (about->address == NULL || about->domain == NULL ||
	    about->account == NULL)
		return lacks(why, "issuer");
	assurance = cf_json_string(json, "assurance");
	if (assurance == NULL ||
	    !cf_assurance_parse(assurance, &about->assurance))
		return lacks(why, "assurance");
	about->message_id = copy(json, "message_id");
	return read_time(json, "issued_at", &about->issued_at) ? CF_OK :
	    lacks(why, "issued_at");
}

static enum cf_err
parse(const char *text, size_t len, json_t **ret, struct cf_why *why)
{
	struct cf_why inner = { "" };

	if (cf_json_parse(text, len, ret, &inner) != CF_OK)
		return cf_fail(CF_E_PROTOCOL, why,
		    "the key server's answer is %s", inner.text);
	return CF_OK;
}

enum cf_err
cf_about_parse(const char *json, size_t len, const char *handle,
    struct cf_about *ret, struct cf_why *why)
{
	CF_AUTO(cf_about_free) struct cf_about about = { 0 };
	CF_AUTO(cf_json_free) json_t *object = NULL;
	enum cf_err rc;

	rc = parse(json, len, &object, why);
	if (rc == CF_OK)
		rc = read_common(object, handle, &about, why);
	if (rc != CF_OK)
		return rc;
	if (!read_time(object, "expires_at", &about.expires_at))
		return lacks(why, "expires_at");
	about.state = copy(object, "state");
	if (!is_state(about.state))
		return lacks(why, "state");
	*ret = about;
	memset(&about, 0, sizeof about);
	return CF_OK;
}

static enum cf_err
read_release(const json_t *json, struct cf_release *r, struct cf_why *why)
{
	const char *id = cf_json_string(json, "release_id");
	const char *at = cf_json_string(json, "released_at");
	const json_t *first = json_object_get(json, "first");
	unsigned char id_bytes[CF_RELEASE_ID_LEN];
	int64_t ms;

	if (!cf_json_bytes(json, "release_id", id_bytes, sizeof id_bytes))
		return lacks(why, "release_id");
	memcpy(r->release_id, id, sizeof r->release_id);
	if (at == NULL || !cf_clock_parse(at, &ms))
		return lacks(why, "released_at");
	memcpy(r->released_at, at, sizeof r->released_at);
	if (!json_is_boolean(first))
		return lacks(why, "first");
	r->first = json_is_true(first);
	if (!cf_json_secret(json, "release_secret", CF_RELEASE_SECRET_LEN,
	    &r->secret))
		return lacks(why, "release_secret");
	if (!cf_json_secret(json, "key", CF_KEK_LEN, &r->kd))
		return lacks(why, "key");
	if (!cf_json_bytes(json, "opening_key", r->opening_key,
	    sizeof r->opening_key))
		return lacks(why, "opening_key");
	if (!cf_json_bytes(json, "possession_key", r->possession_key,
	    sizeof r->possession_key))
		return lacks(why, "possession_key");
	if (!cf_json_bytes(json, "key_commitment", r->key_commitment,
	    sizeof r->key_commitment))
		return lacks(why, "key_commitment");
	return CF_OK;
}

enum cf_err
cf_release_parse(const char *json, size_t len, const char *handle,
    struct cf_release *ret, struct cf_why *why)
{
	CF_AUTO(cf_release_wipe) struct cf_release release = { 0 };
	CF_AUTO(cf_json_free) json_t *object = NULL;
	enum cf_err rc;

	rc = parse(json, len, &object, why);
	if (rc == CF_OK)
		rc = read_common(object, handle, &release.about, why);
	if (rc == CF_OK)
		rc = read_release(object, &release, why);
	if (rc != CF_OK)
		return rc;
	*ret = release;
	memset(&release.about, 0, sizeof release.about);
	return CF_OK;
}

/* Is this Kd the one the key server made when the message was sealed? */
static enum cf_err
check_commitment(const struct cf_release *release, struct cf_why *why)
{
	unsigned char got[CF_COMMITMENT_LEN];

	cf_proof_key_commitment(release->kd.bytes, release->kd.len, got);
	if (CRYPTO_memcmp(got, release->key_commitment, sizeof got) != 0)
		return cf_fail(CF_E_MISMATCH, why, "the key is not the one "
		    "that was registered when the message was sealed");
	return CF_OK;
}

enum cf_err
cf_opened_begin(const struct cf_container *container,
    const struct cf_bulk_place *place, struct cf_opened *ret,
    struct cf_why *why)
{
	memset(ret, 0, sizeof *ret);
	cf_bulk_init(&ret->inner, place, container->ciphertext_len);
	return cf_bulk_reserve(&ret->inner, container->ciphertext_len, why);
}

void
cf_opened_free(struct cf_opened *opened)
{
	cf_bulk_free(&opened->inner);
	memset(opened, 0, sizeof *opened);
}

static enum cf_err
strip(struct cf_opened *message, struct cf_why *why)
{
	struct cf_buf all;
	enum cf_err rc = cf_bulk_map(&message->inner, &all, why);

	if (rc == CF_OK)
		rc = cf_mform_strip(cf_buf_str(&all), all.len, message->m,
		    why);
	if (rc != CF_OK)
		cf_opened_free(message);
	return rc;
}

enum cf_err
cf_unseal(const struct cf_container *container,
    const struct cf_release *release, struct cf_secret *ret_cek,
    struct cf_opened *message, struct cf_why *why)
{
	enum cf_err rc;

	rc = check_commitment(release, why);
	if (rc != CF_OK)
		return rc;
	rc = cf_container_unwrap(container, &release->kd, ret_cek, why);
	if (rc != CF_OK)
		return rc;
	/* GCM does not commit to its key: before the first byte is out. */
	rc = cf_proof_check_registered(ret_cek, &release->kd,
	    release->opening_key, release->key_commitment, why);
	if (rc != CF_OK)
		return rc;
	rc = cf_container_decrypt(container, ret_cek, &message->inner, why);
	return rc == CF_OK ? strip(message, why) : rc;
}

size_t
cf_opened_len(const struct cf_opened *message)
{
	size_t i, len = 0;

	for (i = 0; i < CF_MFORM_STRETCHES; i++)
		len += message->m[i].len;
	return len;
}

enum cf_err
cf_opened_write(const struct cf_opened *message, int fd, struct cf_why *why)
{
	enum cf_err rc = CF_OK;
	struct cf_pages pages;
	const char *p;
	size_t i, n, left;

	for (i = 0; i < CF_MFORM_STRETCHES; i++) {
		p = message->m[i].p;
		pages = cf_pages_begin(p, message->inner.spooled);
		for (left = message->m[i].len; left > 0 && rc == CF_OK;
		    left -= n, p += n) {
			n = left < PIECE ? left : PIECE;
			rc = cf_file_write_all(fd, p, n, why);
			cf_pages_pass(&pages, p);
		}
	}
	return rc;
}

const char *
cf_opened_header(const struct cf_opened *message, struct cf_buf *room,
    size_t *ret_len)
{
	const struct cf_span *m = message->m;
	size_t i;

	if (m[0].len + m[1].len == 0) {
		*ret_len = m[CF_MFORM_HEADER].len;
		return m[CF_MFORM_HEADER].p;
	}
	for (i = 0; i < CF_MFORM_HEADER; i++)
		cf_buf_add(room, m[i].p, m[i].len);
	cf_buf_adds(room, "\r\n");
	*ret_len = room->len;
	return cf_buf_str(room);
}
