/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64url.h"
#include "tests/bench/load.h"

#define ALPHABET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" \
	"0123456789-_"

static char api_token[128];

void
load_token_read(const char *path)
{
	FILE *f = fopen(path, "r");

	if (f == NULL || fscanf(f, "%100s", api_token) != 1)
		load_die("%s: no token", path);
	fclose(f);
}

/* `len` random bytes as b64url. */
static void
random_text(size_t len, char *out)
{
	static unsigned char stock[65536];
	static size_t used = sizeof stock;

	if (used + len > sizeof stock) {
		if (RAND_bytes(stock, sizeof stock) != 1)
			load_die("no random bytes");
		used = 0;
	}
	cf_b64url_encode(stock + used, len, out);
	used += len;
}

static void
issue_body(size_t key, char *body, size_t cap)
{
	struct load_key *k = load_key_at(key);
	char request_id[32], ref[64], message_id[32];

	random_text(16, k->handle);
	random_text(32, k->token);
	random_text(16, request_id);
	random_text(16, message_id);
	random_text(32, ref);
	snprintf(body, cap,
	    "{\"request_id\":\"%s\",\"message_ref\":\"%s\","
	    "\"reference_check\":\"AAAAAAAAAAAAAAAAAAAAAA\","
	    "\"message_id\":\"<%s@a.test>\",\"sender\":\"alice@a.test\","
	    "\"recipients\":[\"bob@b.test\"],"
	    "\"reader_url\":\"https://reader.a.test\",\"keys\":[{"
	    "\"key_id\":\"%s\",\"token\":\"%s\","
	    "\"algorithm\":\"kek-a256kw\",\"opening_key\":\"%s\","
	    "\"possession_key\":\"%s\",\"policy\":{\"require\":\"bearer\"}"
	    "}]}", request_id, ref, message_id, k->handle, k->token,
	    load_pair_public(k->pair, true), load_pair_public(k->pair, false));
}

static void
challenge_body(size_t key, char *body, size_t cap)
{
	const struct load_key *k = load_key_at(key);

	snprintf(body, cap, "{\"handle\":\"%s\",\"token\":\"%s\"}",
	    k->handle, k->token);
}

static void
retrieve_body(size_t key, char *body, size_t cap)
{
	const struct load_key *k = load_key_at(key);

	if (k->signature[0] == '\0')
		load_die("%s has no challenge", k->handle);
	snprintf(body, cap,
	    "{\"handle\":\"%s\",\"token\":\"%s\",\"challenge\":\"%s\","
	    "\"origin\":\"-\",\"time\":\"%s\",\"signature\":\"%s\"}",
	    k->handle, k->token, k->challenge, k->time, k->signature);
}

static void
open_body(size_t key, char *body, size_t cap)
{
	const struct load_key *k = load_key_at(key);

	snprintf(body, cap,
	    "{\"handle\":\"%s\",\"release_id\":\"%s\","
	    "\"release_secret\":\"%s\",\"time\":\"%s\","
	    "\"signature\":\"%s\"}", k->handle, k->release, k->secret,
	    k->time, k->signature);
}

static const struct {
	const char *path;
	void (*body)(size_t key, char *body, size_t cap);
} asks[] = {
	[LOAD_ISSUE] = { "/api/v1/issue", issue_body },
	[LOAD_CHALLENGE] = { "/api/v1/challenge", challenge_body },
	[LOAD_RETRIEVE] = { "/api/v1/retrieve", retrieve_body },
	[LOAD_OPEN] = { "/api/v1/open", open_body },
};

size_t
load_ask(enum load_step step, size_t key, const char *host,
    char out[LOAD_REQUEST_MAX])
{
	char body[LOAD_REQUEST_MAX];
	bool token = step == LOAD_ISSUE;
	int n;

	asks[step].body(key, body, sizeof body);
	n = snprintf(out, LOAD_REQUEST_MAX,
	    "POST %s HTTP/1.1\r\nHost: %s\r\n%s%s%s"
	    "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
	    asks[step].path, host, token ? "Authorization: Bearer " : "",
	    token ? api_token : "", token ? "\r\n" : "", strlen(body), body);
	if (n < 0 || n >= LOAD_REQUEST_MAX)
		load_die("a request is too long");
	return (size_t)n;
}

/* The text of a member that is `len` characters of base64url. */
static bool
member(const char *body, const char *name, size_t len, char *out)
{
	const char *at = strstr(body, name);

	if (at == NULL)
		return false;
	at += strlen(name);
	at += strspn(at, " :\"");
	if (strspn(at, ALPHABET) != len)
		return false;
	memcpy(out, at, len);
	out[len] = '\0';
	return true;
}

static void
sign_retrieve(struct load_key *k)
{
	char text[512];

	load_time_set(k);
	snprintf(text, sizeof text, "counterfoil retrieve v1\n%s\n%s\n-\n%s\n",
	    k->handle, k->challenge, k->time);
	load_sign(k, false, text, k->signature);
}

void
load_sign_open(size_t key)
{
	struct load_key *k = load_key_at(key);
	unsigned char secret[32], hash[32];
	char text[512], hash_text[48];

	if (!cf_b64url_decode(k->secret, LOAD_SECRET_LEN, secret,
	    sizeof secret) || EVP_Digest(secret, sizeof secret, hash, NULL,
	    EVP_sha256(), NULL) != 1)
		load_die("%s is not released", k->handle);
	cf_b64url_encode(hash, sizeof hash, hash_text);
	load_time_set(k);
	snprintf(text, sizeof text, "counterfoil open v1\n%s\n%s\n%s\n%s\n",
	    k->handle, k->release, hash_text, k->time);
	load_sign(k, true, text, k->signature);
}

const char *
load_take(enum load_step step, size_t key, int status, const char *body)
{
	struct load_key *k = load_key_at(key);

	if (status / 100 != 2)
		return "refused";
	switch (step) {
	case LOAD_ISSUE:
		break;
	case LOAD_CHALLENGE:
		if (!member(body, "\"challenge\"", LOAD_CHALLENGE_LEN,
		    k->challenge))
			return "no challenge";
		sign_retrieve(k);
		break;
	case LOAD_RETRIEVE:
		if (strstr(body, "\"key\"") == NULL ||
		    !member(body, "\"release_id\"", LOAD_RELEASE_LEN,
		    k->release) || !member(body, "\"release_secret\"",
		    LOAD_SECRET_LEN, k->secret))
			return "no key";
		break;
	case LOAD_OPEN:
		if (strstr(body, "\"recorded\"") == NULL)
			return "not recorded";
		break;
	}
	return NULL;
}
