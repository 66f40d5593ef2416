/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal - make a sealed message for the tests, without milter or key server.
 *
 * usage: seal SERVICE [--raw | --to FILE] <message
 * Writes one JSON object: the sealed part E, the link L and everything a key
 * server would have registered.  With `--raw`, standard input is taken as
 * the plaintext itself instead of a message to bring into the form M; with
 * `--to`, E goes to FILE.
 */
#include <jansson.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/link.h"
#include "common/mem.h"
#include "common/mform.h"
#include "common/proofs.h"
#include "common/sealer.h"

#define MAX_LEN (300 * 1024 * 1024)

static void
need(enum cf_err rc, const struct cf_why *why)
{
	if (rc == CF_OK)
		return;
	fprintf(stderr, "seal: %s %s\n", cf_err_text(rc), why->text);
	exit(1);
}

static void
set(json_t *object, const char *name, const void *bytes, size_t len)
{
	CF_AUTO(cf_free) char *text = cf_calloc(CF_B64URL_LEN(len) + 1, 1);

	cf_b64url_encode(bytes, len, text);
	json_object_set_new(object, name, json_string(text));
}

static void
seal(const struct cf_buf *plain, struct cf_link *link, const char *to,
    json_t *out)
{
	CF_AUTO(cf_sealer_free) struct cf_sealer *sealer = NULL;
	CF_AUTO(cf_buf_free) struct cf_buf head = CF_BUF_INIT(1000);
	CF_AUTO(cf_buf_free) struct cf_buf tail = CF_BUF_INIT(1000);
	CF_AUTO(cf_buf_free) struct cf_buf e = CF_BUF_INIT(MAX_LEN);
	CF_AUTO(cf_free) unsigned char *cipher = cf_calloc(plain->len + 1, 1);
	unsigned char opening[32], possession[32], commitment[32];
	struct cf_secret kd = CF_SECRET_EMPTY;
	struct cf_why why = { "" };

	cf_secret_random(&kd, CF_KEK_LEN);
	need(cf_sealer_new(&sealer, &why), &why);
	need(cf_sealer_update(sealer, plain->data, plain->len, cipher, &why),
	    &why);
	need(cf_sealer_final(sealer, &why), &why);
	cf_sealer_public_keys(sealer, opening, possession);
	need(cf_sealer_frame(sealer, link->key_id, &kd, &head, &tail, &why),
	    &why);
	cf_proof_key_commitment(kd.bytes, kd.len, commitment);
	cf_buf_add(&e, head.data, head.len);
	cf_buf_add(&e, cipher, plain->len);
	cf_buf_add(&e, tail.data, tail.len);
	if (to == NULL)
		set(out, "e", e.data, e.len);
	else
		need(cf_file_write_new(to, 0600, e.data, e.len, &why), &why);
	set(out, "key", kd.bytes, kd.len);
	set(out, "opening_key", opening, sizeof opening);
	set(out, "possession_key", possession, sizeof possession);
	set(out, "key_commitment", commitment, sizeof commitment);
}

int
main(int argc, char **argv)
{
	bool as_is = argc == 3 && strcmp(argv[2], "--raw") == 0;
	const char *to = argc == 4 && strcmp(argv[2], "--to") == 0 ?
	    argv[3] : NULL;
	struct cf_buf in = CF_BUF_INIT(MAX_LEN), m = CF_BUF_INIT(MAX_LEN);
	struct cf_link link = { 0 };
	struct cf_why why = { "" };
	char text[CF_LINK_MAX + 1];
	json_t *out = json_object();

	if (argc != 2 && !as_is && to == NULL)
		return 2;
	need(cf_file_read("-", &in, &why), &why);
	if (as_is)
		cf_buf_add(&m, in.data, in.len);
	else
		need(cf_mform_add(in.data, in.len, NULL, 0, &m, &why), &why);
	(void)snprintf(link.service, sizeof link.service, "%s", argv[1]);
	if (RAND_bytes(link.key_id, CF_KEY_ID_LEN) != 1)
		return 1;
	cf_b64url_encode(link.key_id, CF_KEY_ID_LEN, link.handle);
	cf_secret_random(&link.token, CF_TOKEN_LEN);
	seal(&m, &link, to, out);
	cf_link_format(&link, text);
	json_object_set_new(out, "link", json_string(text));
	json_object_set_new(out, "handle", json_string(link.handle));
	set(out, "token", link.token.bytes, link.token.len);
	json_dumpf(out, stdout, JSON_COMPACT);
	json_decref(out);
	cf_buf_free(&in);
	cf_buf_free(&m);
	return 0;
}
