/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of keys has a line for each: handle, token, pair, challenge, time,
 * signature, release, secret; - for what is not known.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64url.h"
#include "common/clock.h"
#include "tests/bench/load.h"

#define PAIRS 64		/* Ed25519 */
#define WORD_MAX 127
#define WORDS 8
#define LINE_MAX_LEN 512

struct pair {
	EVP_PKEY *private_key;
	char public_key[LOAD_PUBLIC_LEN + 1];
};

static struct pair pairs[PAIRS];
static struct load_key *keys;
static size_t key_count, key_cap;

void
load_pairs_make(void)
{
	unsigned char seed[32], public_key[32];
	size_t len;
	int i;

	for (i = 0; i < PAIRS; i++) {
		/* Fixed seeds: a later run signs for keys of an earlier one. */
		memset(seed, i + 1, sizeof seed);
		pairs[i].private_key = EVP_PKEY_new_raw_private_key(
		    EVP_PKEY_ED25519, NULL, seed, sizeof seed);
		len = sizeof public_key;
		if (pairs[i].private_key == NULL ||
		    EVP_PKEY_get_raw_public_key(pairs[i].private_key,
		    public_key, &len) != 1)
			load_die("no Ed25519");
		cf_b64url_encode(public_key, len, pairs[i].public_key);
	}
}

static const struct pair *
pair_of(unsigned pair, bool opening)
{
	return &pairs[(pair + (opening ? 1 : 0)) % PAIRS];
}

const char *
load_pair_public(unsigned pair, bool opening)
{
	return pair_of(pair, opening)->public_key;
}

void
load_time_set(struct load_key *key)
{
	cf_clock_format(cf_clock_ms(), key->time);
}

void
load_sign(struct load_key *key, bool opening, const char *text,
    char signature[LOAD_SIGNATURE_LEN + 1])
{
	unsigned char bytes[64];
	size_t len = sizeof bytes;
	EVP_MD_CTX *md;

	md = EVP_MD_CTX_new();
	if (md == NULL || EVP_DigestSignInit(md, NULL, NULL, NULL,
	    pair_of(key->pair, opening)->private_key) != 1 ||
	    EVP_DigestSign(md, bytes, &len, (const unsigned char *)text,
	    strlen(text)) != 1)
		load_die("cannot sign");
	EVP_MD_CTX_free(md);
	cf_b64url_encode(bytes, sizeof bytes, signature);
}

size_t
load_key_add(void)
{
	if (key_count == key_cap) {
		key_cap = key_cap == 0 ? 16384 : key_cap * 2;
		keys = realloc(keys, key_cap * sizeof *keys);
		if (keys == NULL)
			load_die("out of memory");
	}
	memset(&keys[key_count], 0, sizeof *keys);
	keys[key_count].pair = (unsigned)(key_count % PAIRS);
	return key_count++;
}

struct load_key *
load_key_at(size_t index)
{
	return &keys[index];
}

size_t
load_key_count(void)
{
	return key_count;
}

void
load_keys_cut(size_t most)
{
	if (key_count > most)
		key_count = most;
}

/* A word of a line into `out`, which has room for `len` characters. */
static void
take_word(const char *path, const char *word, size_t len, bool may_miss,
    char *out)
{
	if (may_miss && strcmp(word, "-") == 0)
		return;
	if (strlen(word) != len)
		load_die("%s: not a file of keys: %s", path, word);
	memcpy(out, word, len + 1);
}

static void
take_words(const char *path, char word[WORDS][WORD_MAX + 1])
{
	struct load_key *k = load_key_at(load_key_add());

	take_word(path, word[0], LOAD_HANDLE_LEN, false, k->handle);
	take_word(path, word[1], LOAD_TOKEN_LEN, false, k->token);
	k->pair = (unsigned)strtoul(word[2], NULL, 10) % PAIRS;
	take_word(path, word[3], LOAD_CHALLENGE_LEN, true, k->challenge);
	take_word(path, word[4], LOAD_TIME_LEN, true, k->time);
	take_word(path, word[5], LOAD_SIGNATURE_LEN, true, k->signature);
	take_word(path, word[6], LOAD_RELEASE_LEN, true, k->release);
	take_word(path, word[7], LOAD_SECRET_LEN, true, k->secret);
}

void
load_keys_read(const char *path)
{
	char line[LINE_MAX_LEN], w[WORDS][WORD_MAX + 1];
	FILE *f;

	f = fopen(path, "r");
	if (f == NULL)
		load_die("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof line, f) != NULL) {
		if (sscanf(line, "%127s %127s %127s %127s %127s %127s %127s "
		    "%127s", w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7])
		    != WORDS)
			load_die("%s: not a file of keys", path);
		take_words(path, w);
	}
	fclose(f);
	if (key_count == 0)
		load_die("%s: no keys", path);
}

static const char *
shown(const char *text)
{
	return text[0] == '\0' ? "-" : text;
}

void
load_keys_write(const char *path)
{
	const struct load_key *k;
	FILE *f;
	size_t i;
	int fd;

	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (f == NULL)
		load_die("%s: %s", path, strerror(errno));
	for (i = 0; i < key_count; i++) {
		k = &keys[i];
		if (k->done)
			fprintf(f, "%s %s %u %s %s %s %s %s\n", k->handle,
			    k->token, k->pair, shown(k->challenge),
			    shown(k->time), shown(k->signature),
			    shown(k->release), shown(k->secret));
	}
	if (fclose(f) != 0)
		load_die("%s: %s", path, strerror(errno));
}
