/* SPDX-License-Identifier: Apache-2.0 */
/* Strict JSON, problem documents, and the opening of a release. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/agent.h"
#include "common/file.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/mform.h"
#include "common/proofs.h"
#include "common/sealer.h"
#include "common/unseal.h"

static const char original[] =
    "From: alice@a.test\r\nSubject: hello\r\n\r\nThe text.\r\n";

/* ---- JSON ---- */

static void
t_json_is_strict(void **state)
{
	static const char *const bad[] = {
		"", "x", "[]", "1", "\"a\"", "{", "{}x", "{} {}",
		"{\"a\":1,\"a\":2}", "{\"a\":\"\\u0000\"}", "{\"a\":\"\xff\"}",
		"{'a':1}", "{\"a\":1,}", "{\"a\":01}",
	};
	json_t *json = NULL;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (cf_json_parse(bad[i], strlen(bad[i]), &json, NULL) !=
		    CF_E_SYNTAX)
			fail_msg("taken: %s", bad[i]);
	assert_null(json);
	assert_int_equal(cf_json_parse("{\"a\":\"b\"} ", 10, &json, NULL),
	    CF_OK);
	assert_string_equal(cf_json_string(json, "a"), "b");
	assert_null(cf_json_string(json, "b"));
	cf_json_free(&json);
}

/* Commas and brackets in strings are text. */
static void
t_json_has_few_values(void **state)
{
	static const char few[] = "{\"a\":[1,2,{\"b\":\"[[,,,\\\"{{\"}]}";
	char deep[2 * CF_JSON_DEPTH_MAX + 10] = "{\"a\":";
	json_t *json = NULL;

	(void)state;
	assert_int_equal(cf_json_parse_few(few, sizeof few - 1, 8, &json,
	    NULL), CF_OK);
	cf_json_free(&json);
	assert_int_equal(cf_json_parse_few(few, sizeof few - 1, 7, &json,
	    NULL), CF_E_SYNTAX);
	memset(deep + 5, '[', CF_JSON_DEPTH_MAX - 1);
	memset(deep + 5 + CF_JSON_DEPTH_MAX - 1, ']', CF_JSON_DEPTH_MAX - 1);
	memcpy(deep + 5 + 2 * (CF_JSON_DEPTH_MAX - 1), "}", 2);
	assert_int_equal(cf_json_parse(deep, strlen(deep), &json, NULL),
	    CF_OK);
	cf_json_free(&json);
	memset(deep + 5, '[', CF_JSON_DEPTH_MAX);
	memset(deep + 5 + CF_JSON_DEPTH_MAX, ']', CF_JSON_DEPTH_MAX);
	memcpy(deep + 5 + 2 * CF_JSON_DEPTH_MAX, "}", 2);
	assert_int_equal(cf_json_parse(deep, strlen(deep), &json, NULL),
	    CF_E_SYNTAX);
}

static void
t_json_says_nothing_of_the_input(void **state)
{
	struct cf_why why = { "" };
	json_t *json = NULL;

	(void)state;
	assert_int_equal(cf_json_parse("{\"key\":\"sEcReT\" \"x\"", 19, &json,
	    &why), CF_E_SYNTAX);
	assert_null(strstr(why.text, "sEcReT"));
	assert_non_null(strstr(why.text, "line 1"));
}

static enum cf_err
problem(long status, const char *text, struct cf_why *why)
{
	return cf_json_problem(status, text, strlen(text), "https://k.test",
	    why);
}

static void
t_problem_gives_error_and_sentence(void **state)
{
	struct cf_why why;

	(void)state;
	assert_int_equal(problem(410, "{\"type\":"
	    "\"urn:counterfoil:problem:revoked\",\"title\":\"t\","
	    "\"status\":410,\"detail\":\"Withdrawn at noon.\"}", &why),
	    CF_E_REVOKED);
	assert_string_equal(why.text, "https://k.test says: \"Withdrawn at noon.\"");
	assert_int_equal(problem(403, "{\"type\":"
	    "\"urn:counterfoil:problem:not-yet\",\"detail\":\"Tomorrow.\"}",
	    &why), CF_E_REFUSED);
	assert_string_equal(why.text, "https://k.test says: \"Tomorrow.\"");
	/* No word of the server's can end what is marked as its words. */
	assert_int_equal(problem(410, "{\"type\":"
	    "\"urn:counterfoil:problem:revoked\",\"detail\":"
	    "\"x\\\" Checked.\"}", &why), CF_E_REVOKED);
	assert_string_equal(why.text, "https://k.test says: \"x' Checked.\"");
	assert_int_equal(problem(500, "{\"type\":"
	    "\"urn:counterfoil:problem:news\",\"detail\":\"x\"}", &why),
	    CF_E_PROTOCOL);
	assert_int_equal(problem(404, "<h1>Not found</h1>", &why),
	    CF_E_PROTOCOL);
	assert_non_null(strstr(why.text, "404"));
	assert_null(strstr(why.text, "web server in front"));
	assert_int_equal(problem(502, "<h1>Bad gateway</h1>", &why),
	    CF_E_PROTOCOL);
	assert_non_null(strstr(why.text, "502 and no reason: the web server "
	    "in front of it cannot reach counterfoil-keysrv"));
	assert_int_equal(problem(404, "{\"type\":\"about:blank\","
	    "\"detail\":\"x\"}", &why), CF_E_PROTOCOL);
	/* A refusal can never read as success. */
	assert_int_equal(problem(500, "{\"type\":"
	    "\"urn:counterfoil:problem:ok\",\"detail\":\"x\"}", &why),
	    CF_E_PROTOCOL);
}

/* ---- a sealed message and its release ---- */

struct sealed {
	struct cf_buf e;
	struct cf_container container;
	struct cf_release release;
	char handle[CF_HANDLE_LEN + 1];
};

static void
seal_bytes(struct sealed *s, const void *plain, size_t len)
{
	CF_AUTO(cf_sealer_free) struct cf_sealer *sealer = NULL;
	CF_AUTO(cf_buf_free) struct cf_buf head = CF_BUF_INIT(1000);
	CF_AUTO(cf_buf_free) struct cf_buf tail = CF_BUF_INIT(1000);
	unsigned char key_id[CF_KEY_ID_LEN] = "0123456789abcde";
	unsigned char *cipher = cf_calloc(len + 1, 1);

	memset(s, 0, sizeof *s);
	s->e.max = 1 << 20;
	cf_b64url_encode(key_id, sizeof key_id, s->handle);
	cf_secret_random(&s->release.kd, CF_KEK_LEN);
	cf_secret_random(&s->release.secret, CF_RELEASE_SECRET_LEN);
	assert_int_equal(cf_sealer_new(&sealer, NULL), CF_OK);
	assert_int_equal(cf_sealer_update(sealer, plain, len, cipher, NULL),
	    CF_OK);
	assert_int_equal(cf_sealer_final(sealer, NULL), CF_OK);
	cf_sealer_public_keys(sealer, s->release.opening_key,
	    s->release.possession_key);
	assert_int_equal(cf_sealer_frame(sealer, key_id, &s->release.kd,
	    &head, &tail, NULL), CF_OK);
	cf_proof_key_commitment(s->release.kd.bytes, CF_KEK_LEN,
	    s->release.key_commitment);
	cf_buf_add(&s->e, cf_buf_str(&head), head.len);
	cf_buf_add(&s->e, cipher, len);
	cf_buf_add(&s->e, cf_buf_str(&tail), tail.len);
	free(cipher);
	assert_int_equal(cf_container_parse(s->e.data, s->e.len,
	    &s->container, NULL), CF_OK);
}

static void
seal(struct sealed *s)
{
	CF_AUTO(cf_buf_free) struct cf_buf m = CF_BUF_INIT(4096);

	assert_int_equal(cf_mform_add(original, strlen(original), NULL, 0, &m,
	    NULL), CF_OK);
	seal_bytes(s, m.data, m.len);
}

static void
end(struct sealed *s)
{
	cf_buf_free(&s->e);
	cf_release_wipe(&s->release);
}

/* Opening must fail so, and give out nothing at all. */
static void
must_fail(const struct sealed *s, enum cf_err wanted)
{
	CF_AUTO(cf_opened_free) struct cf_opened out = { 0 };
	struct cf_secret cek = CF_SECRET_EMPTY;

	assert_int_equal(cf_opened_begin(&s->container, NULL, &out, NULL),
	    CF_OK);
	assert_int_equal(cf_unseal(&s->container, &s->release, &cek, &out,
	    NULL), wanted);
	assert_int_equal(cf_opened_len(&out), 0);
	assert_int_equal(out.inner.len, 0);
}

/* What cf_opened_write() writes, as a string. */
static void
read_back(const struct cf_opened *message, struct cf_buf *ret)
{
	int fd = -1;

	assert_int_equal(cf_file_spool("/tmp", &fd, NULL), CF_OK);
	assert_int_equal(cf_opened_write(message, fd, NULL), CF_OK);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(cf_file_read_fd(fd, ret, NULL), CF_OK);
	close(fd);
}

/* In memory, and in a file. */
static void
t_unseal_gives_the_original(void **state)
{
	static const struct cf_bulk_place files = { "/tmp", 8 };
	const struct cf_bulk_place *const places[] = { NULL, &files };
	const char *body = strstr(original, "\r\n\r\n") + 4;
	struct sealed s;
	size_t i, len;

	(void)state;
	seal(&s);
	for (i = 0; i < 2; i++) {
		CF_AUTO(cf_buf_free) struct cf_buf out = CF_BUF_INIT(4096);
		CF_AUTO(cf_buf_free) struct cf_buf room = CF_BUF_INIT(4096);
		CF_AUTO(cf_opened_free) struct cf_opened message = { 0 };
		struct cf_secret cek = CF_SECRET_EMPTY;

		assert_int_equal(cf_opened_begin(&s.container, places[i],
		    &message, NULL), CF_OK);
		assert_int_equal(cf_unseal(&s.container, &s.release, &cek,
		    &message, NULL), CF_OK);
		assert_int_equal(message.inner.spooled, i == 1);
		assert_int_equal(cek.len, CF_CEK_LEN);
		assert_int_equal(cf_opened_len(&message), strlen(original));
		read_back(&message, &out);
		assert_string_equal(cf_buf_str(&out), original);
		assert_int_equal(strncmp(cf_opened_header(&message, &room,
		    &len), original, (size_t)(body - original)), 0);
		assert_int_equal(len, body - original);
	}
	end(&s);
}

/* What cannot be told apart is wrapped whole: no line of it ends in CR LF. */
static void
t_the_header_of_a_wrapped_message_is_all_of_it(void **state)
{
	static const char odd[] = "From: a@example.com\n\nbody\n";
	CF_AUTO(cf_buf_free) struct cf_buf m = CF_BUF_INIT(4096);
	CF_AUTO(cf_buf_free) struct cf_buf room = CF_BUF_INIT(4096);
	CF_AUTO(cf_opened_free) struct cf_opened message = { 0 };
	struct cf_secret cek = CF_SECRET_EMPTY;
	struct sealed s;
	size_t len;

	(void)state;
	assert_int_equal(cf_mform_add(odd, strlen(odd), NULL, 0, &m, NULL),
	    CF_OK);
	seal_bytes(&s, m.data, m.len);
	assert_int_equal(cf_opened_begin(&s.container, NULL, &message, NULL),
	    CF_OK);
	assert_int_equal(cf_unseal(&s.container, &s.release, &cek, &message,
	    NULL), CF_OK);
	assert_string_equal(cf_opened_header(&message, &room, &len), odd);
	assert_int_equal(len, strlen(odd));
	end(&s);
}

static void
t_no_room_is_said_before_anything_is_asked(void **state)
{
	const struct cf_bulk_place nowhere = { "/tmp/cf-is-not-there", 8 };
	CF_AUTO(cf_opened_free) struct cf_opened message = { 0 };
	struct sealed s;

	(void)state;
	seal(&s);
	assert_int_equal(cf_opened_begin(&s.container, &nowhere, &message,
	    NULL), CF_E_IO);
	end(&s);
}

static void
t_unseal_refuses_another_key(void **state)
{
	struct sealed s;

	(void)state;
	seal(&s);
	s.release.kd.bytes[3] ^= 1;
	/* The server registered another key than it gives: its commitment. */
	must_fail(&s, CF_E_MISMATCH);
	/* It is the registered one, but not the one that wrapped this CEK. */
	cf_proof_key_commitment(s.release.kd.bytes, CF_KEK_LEN,
	    s.release.key_commitment);
	must_fail(&s, CF_E_WRONG_KEY);
	end(&s);
}

static void
t_unseal_refuses_another_registration(void **state)
{
	struct sealed s;

	(void)state;
	seal(&s);
	s.release.opening_key[0] ^= 1;
	must_fail(&s, CF_E_MISMATCH);
	s.release.opening_key[0] ^= 1;
	s.release.key_commitment[31] ^= 1;
	must_fail(&s, CF_E_MISMATCH);
	end(&s);
}

static void
t_unseal_refuses_damage(void **state)
{
	struct sealed s;

	(void)state;
	seal(&s);
	s.e.data[s.container.ciphertext_off] ^= 1;
	must_fail(&s, CF_E_DAMAGED);
	s.e.data[s.container.ciphertext_off] ^= 1;
	s.e.data[s.e.len - 1] ^= 1;
	assert_int_equal(cf_container_parse(s.e.data, s.e.len, &s.container,
	    NULL), CF_OK);
	must_fail(&s, CF_E_DAMAGED);
	end(&s);
}

static void
t_unseal_refuses_what_is_not_m(void **state)
{
	struct sealed s;

	(void)state;
	seal_bytes(&s, original, strlen(original));
	must_fail(&s, CF_E_MFORM);
	end(&s);
}

/* ---- the answers ---- */

/* The answer to retrieve, as the key server writes it.  Gives. */
static json_t *
release_json(const struct sealed *s)
{
	char id[] = "AAAAAAAAAAAAAAAAAAAAAA", secret[50], key[50], ok[50],
	    pk[50], kc[50];

	cf_secret_to_b64url(&s->release.secret, secret);
	cf_secret_to_b64url(&s->release.kd, key);
	cf_b64url_encode(s->release.opening_key, 32, ok);
	cf_b64url_encode(s->release.possession_key, 32, pk);
	cf_b64url_encode(s->release.key_commitment, 32, kc);
	return json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:s, "
	    "s:s, s:{s:s, s:s, s:s}}",
	    "handle", s->handle, "release_id", id, "release_secret", secret,
	    "released_at", "2026-11-23T13:35:00.123Z", "first", 1,
	    "assurance", "bearer", "algorithm", "kek-a256kw", "key", key,
	    "opening_key", ok, "possession_key", pk, "key_commitment", kc,
	    "issuer", "address", "alice@a.test", "domain", "a.test",
	    "account", "gw-a");
}

static enum cf_err
parse_release(const json_t *json, const char *handle,
    struct cf_release *release)
{
	char *text = json_dumps(json, JSON_COMPACT);
	enum cf_err rc;

	rc = cf_release_parse(text, strlen(text), handle, release, NULL);
	free(text);
	return rc;
}

static void
t_release_round_trip(void **state)
{
	struct cf_release got = { 0 };
	struct sealed s;
	json_t *json;

	(void)state;
	seal(&s);
	json = release_json(&s);
	assert_non_null(json);
	assert_int_equal(parse_release(json, s.handle, &got), CF_OK);
	assert_true(cf_secret_equal(&got.kd, &s.release.kd));
	assert_true(cf_secret_equal(&got.secret, &s.release.secret));
	assert_memory_equal(got.opening_key, s.release.opening_key, 32);
	assert_memory_equal(got.possession_key, s.release.possession_key, 32);
	assert_memory_equal(got.key_commitment, s.release.key_commitment, 32);
	assert_true(got.first);
	assert_string_equal(got.about.address, "alice@a.test");
	assert_string_equal(got.about.domain, "a.test");
	cf_release_wipe(&got);
	json_decref(json);
	end(&s);
}

/* Every member missing, of another type, and cut by a character. */
static void
t_release_needs_every_member(void **state)
{
	static const char *const members[] = { "handle", "release_id",
	    "release_secret", "released_at", "first", "assurance",
	    "algorithm", "key", "opening_key", "possession_key",
	    "key_commitment", "issuer" };
	struct cf_release got = { 0 };
	struct sealed s;
	const char *text;
	json_t *json, *old;
	size_t i;

	(void)state;
	seal(&s);
	for (i = 0; i < sizeof members / sizeof members[0]; i++) {
		json = release_json(&s);
		old = json_incref(json_object_get(json, members[i]));
		json_object_set_new(json, members[i], json_integer(7));
		assert_int_equal(parse_release(json, s.handle, &got),
		    CF_E_PROTOCOL);
		json_object_del(json, members[i]);
		assert_int_equal(parse_release(json, s.handle, &got),
		    CF_E_PROTOCOL);
		text = json_string_value(old);
		if (text != NULL && strcmp(members[i], "assurance") != 0) {
			json_object_set_new(json, members[i],
			    json_stringn(text, strlen(text) - 1));
			assert_int_equal(parse_release(json, s.handle, &got),
			    CF_E_PROTOCOL);
		}
		json_decref(old);
		json_decref(json);
	}
	json = release_json(&s);
	assert_int_equal(parse_release(json, "BBBBBBBBBBBBBBBBBBBBBA", &got),
	    CF_E_PROTOCOL);
	json_decref(json);
	assert_null(got.about.address);
	end(&s);
}

static void
t_about_needs_its_members(void **state)
{
#define ABOUT(more) "{\"handle\":\"h\",\"algorithm\":\"kek-a256kw\"," \
	"\"issuer\":{\"address\":\"a@b\",\"domain\":\"b\"," \
	"\"account\":\"c\"}" more "}"
#define BEARER ",\"assurance\":\"bearer\""
#define ISSUED ",\"state\":\"issued\""
	static const char *const good[] = {
		ABOUT(BEARER ISSUED),
		ABOUT(BEARER ",\"state\":\"opened\",\"expires_at\":"
		    "\"2026-11-23T13:35:00.123Z\""),
		ABOUT(",\"assurance\":\"certificate\"" ISSUED),
		ABOUT(BEARER ",\"state\":\"revoked\""),
		ABOUT(BEARER ",\"state\":\"expired\""),
	};
	/* Neither a word nor a time of the server's own making is shown. */
	static const char *const bad[] = {
		ABOUT(BEARER), ABOUT(ISSUED),
		ABOUT(BEARER ",\"state\":\"checked by your bank\""),
		ABOUT(",\"assurance\":\"notary\"" ISSUED),
		ABOUT(BEARER ISSUED ",\"expires_at\":\"never\""),
		ABOUT(BEARER ISSUED ",\"issued_at\":\"x\""),
		ABOUT(BEARER ISSUED ",\"issued_at\":7"),
	};
	struct cf_about about = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_int_equal(cf_about_parse(good[i], strlen(good[i]),
		    "h", &about, NULL), CF_OK);
		assert_string_equal(about.address, "a@b");
		cf_about_free(&about);
	}
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (cf_about_parse(bad[i], strlen(bad[i]), "h", &about,
		    NULL) != CF_E_PROTOCOL)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(cf_about_parse(good[0], strlen(good[0]), "g",
	    &about, NULL), CF_E_PROTOCOL);
	assert_null(about.address);
}

/* ---- the agent before it asks ---- */

static void
t_agent_refuses_a_foreign_link(void **state)
{
	const struct cf_agent_options options = { .timeout_ms = 1,
	    .deadline_ms = 1 };
	struct cf_agent *agent = NULL;
	struct cf_link link = { .service = "https://keys.test" };
	struct sealed s;

	(void)state;
	seal(&s);
	assert_int_equal(cf_agent_new(&options, &link, &s.container, &agent,
	    NULL), CF_E_CONTAINER);
	memcpy(link.key_id, s.container.key_id, CF_KEY_ID_LEN);
	assert_int_equal(cf_agent_new(&options, &link, &s.container, &agent,
	    NULL), CF_OK);
	cf_agent_free(&agent);
	assert_null(agent);
	end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_json_is_strict),
		cmocka_unit_test(t_json_has_few_values),
		cmocka_unit_test(t_json_says_nothing_of_the_input),
		cmocka_unit_test(t_problem_gives_error_and_sentence),
		cmocka_unit_test(t_unseal_gives_the_original),
		cmocka_unit_test(
		    t_the_header_of_a_wrapped_message_is_all_of_it),
		cmocka_unit_test(t_no_room_is_said_before_anything_is_asked),
		cmocka_unit_test(t_unseal_refuses_another_key),
		cmocka_unit_test(t_unseal_refuses_another_registration),
		cmocka_unit_test(t_unseal_refuses_damage),
		cmocka_unit_test(t_unseal_refuses_what_is_not_m),
		cmocka_unit_test(t_release_round_trip),
		cmocka_unit_test(t_release_needs_every_member),
		cmocka_unit_test(t_about_needs_its_members),
		cmocka_unit_test(t_agent_refuses_a_foreign_link),
	};

	return cmocka_run_group_tests_name("agent", tests, NULL, NULL);
}
