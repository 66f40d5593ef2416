/* SPDX-License-Identifier: Apache-2.0 */
/* Keys in their two wrappings. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "keysrv/key/vault.h"

static const unsigned char key_id[CF_KEY_ID_LEN] = { 1, 2, 3 };
static char folder[] = "/tmp/vault_test.XXXXXX";
static char path[64];

static struct cf_secret
token_of(unsigned char first)
{
	unsigned char bytes[CF_TOKEN_LEN] = { first };
	struct cf_secret token = CF_SECRET_EMPTY;

	cf_secret_set(&token, bytes, sizeof bytes);
	return token;
}

static int
begin(void **state)
{
	struct cf_vault *vault = NULL;
	struct cf_why why;

	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(path, sizeof path, "%s/masterkey", folder);
	if (cf_vault_new_file(path, &why) != CF_OK ||
	    cf_vault_load(path, &vault, &why) != CF_OK)
		return -1;
	*state = vault;
	return 0;
}

static int
end(void **state)
{
	struct cf_vault *vault = *state;

	cf_vault_free(&vault);
	return unlink(path) + rmdir(folder);
}

struct made {
	struct cf_secret token, kd;
	struct cf_vault_row row;
	unsigned char commitment[CF_COMMITMENT_LEN];
};

static struct made
make_key(struct cf_vault *vault)
{
	struct made m = { .token = token_of(7), .kd = CF_SECRET_EMPTY };
	struct cf_why why = { "" };

	assert_int_equal(cf_vault_make(vault, cf_vault_master(vault, 0),
	    key_id, 5, &m.token, &m.row, m.commitment, &m.kd, &why), CF_OK);
	assert_int_equal(m.kd.len, CF_VAULT_KEY_LEN);
	return m;
}

static void
wipe(struct made *m)
{
	cf_secret_wipe(&m->token);
	cf_secret_wipe(&m->kd);
}

static enum cf_err
open_key(struct cf_vault *vault, const unsigned char *id, int64_t account,
    const struct cf_secret *token, const struct cf_vault_row *row,
    struct cf_secret *kd)
{
	struct cf_why why = { "" };
	enum cf_err rc = cf_vault_open(vault, id, account, token, row, kd,
	    &why);

	if (rc != CF_OK) {
		assert_int_equal(kd->len, 0);
		assert_true(why.text[0] != '\0');
	}
	return rc;
}

static void
t_what_was_sealed_opens(void **state)
{
	struct cf_secret kd = CF_SECRET_EMPTY;
	struct made m = make_key(*state), n = make_key(*state);

	assert_int_equal(open_key(*state, key_id, 5, &m.token, &m.row, &kd),
	    CF_OK);
	assert_true(cf_secret_equal(&kd, &m.kd));
	/* Each is its own, in all parts. */
	assert_false(cf_secret_equal(&m.kd, &n.kd));
	assert_memory_not_equal(m.row.salt, n.row.salt, sizeof m.row.salt);
	assert_memory_not_equal(m.commitment, n.commitment,
	    sizeof m.commitment);
	cf_secret_wipe(&kd);
	wipe(&m);
	wipe(&n);
}

static void
t_any_other_bit_does_not_open(void **state)
{
	const unsigned char other_id[CF_KEY_ID_LEN] = { 1, 2, 4 };
	struct cf_secret kd = CF_SECRET_EMPTY, token = token_of(8);
	struct made m = make_key(*state);
	struct cf_vault_row row;
	size_t i;

	assert_int_equal(open_key(*state, other_id, 5, &m.token, &m.row, &kd),
	    CF_E_INTERNAL);
	assert_int_equal(open_key(*state, key_id, 6, &m.token, &m.row, &kd),
	    CF_E_INTERNAL);
	assert_int_equal(open_key(*state, key_id, 5, &token, &m.row, &kd),
	    CF_E_INTERNAL);
	for (i = 0; i < 8 * sizeof row.wrapped; i++) {
		row = m.row;
		row.wrapped[i / 8] ^= (unsigned char)(1 << i % 8);
		assert_int_equal(open_key(*state, key_id, 5, &m.token, &row,
		    &kd), CF_E_INTERNAL);
	}
	for (i = 0; i < 8 * sizeof row.salt; i++) {
		row = m.row;
		row.salt[i / 8] ^= (unsigned char)(1 << i % 8);
		assert_int_equal(open_key(*state, key_id, 5, &m.token, &row,
		    &kd), CF_E_INTERNAL);
	}
	cf_secret_wipe(&token);
	wipe(&m);
}

static void
t_a_master_key_is_known_by_name_and_check(void **state)
{
	struct cf_secret kd = CF_SECRET_EMPTY;
	struct made m = make_key(*state);
	struct cf_vault_row row = m.row;

	row.master.id[0] ^= 1;
	assert_int_equal(open_key(*state, key_id, 5, &m.token, &row, &kd),
	    CF_E_MASTER_KEY);
	row = m.row;
	row.master.check[31] ^= 1;
	assert_int_equal(open_key(*state, key_id, 5, &m.token, &row, &kd),
	    CF_E_MASTER_KEY);
	wipe(&m);
}

static void
t_a_secret_is_of_its_name(void **state)
{
	struct cf_secret a = CF_SECRET_EMPTY, b = CF_SECRET_EMPTY;
	struct cf_vault *vault = *state;
	struct cf_vault_secret row;
	struct cf_why why = { "" };

	assert_int_equal(cf_vault_make_secret(vault, cf_vault_master(vault, 0),
	    "challenge", &row, &why), CF_OK);
	assert_int_equal(cf_vault_open_secret(vault, "challenge", &row, &a,
	    &why), CF_OK);
	assert_int_equal(a.len, CF_VAULT_SECRET_LEN);
	assert_int_equal(cf_vault_open_secret(vault, "receipt", &row, &b,
	    &why), CF_E_INTERNAL);
	row.wrapped[12] ^= 1;
	assert_int_equal(cf_vault_open_secret(vault, "challenge", &row, &b,
	    &why), CF_E_INTERNAL);
	cf_secret_wipe(&a);
}

/* The master key file with this text and mode. */
static enum cf_err
load(const char *text, mode_t mode)
{
	char *name = cf_asprintf("%s/other", folder);
	struct cf_vault *vault = NULL;
	struct cf_why why = { "" };
	enum cf_err rc;
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(name, mode), 0);
	rc = cf_vault_load(name, &vault, &why);
	if (rc != CF_OK)
		assert_true(why.text[0] != '\0');
	cf_vault_free(&vault);
	(void)unlink(name);
	free(name);
	return rc;
}

#define KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

static void
t_a_file_is_of_its_form_or_refused(void **state)
{
	(void)state;
	assert_int_equal(load("0123456789abcdef " KEY "\n", 0600), CF_OK);
	assert_int_equal(load("0123456789abcdef " KEY "\n", 0644),
	    CF_E_CONFIG);
	assert_int_equal(load("", 0600), CF_E_CONFIG);
	assert_int_equal(load("0123456789abcde " KEY "\n", 0600),
	    CF_E_CONFIG);
	assert_int_equal(load("0123456789abcdeg " KEY "\n", 0600),
	    CF_E_CONFIG);
	assert_int_equal(load("0123456789abcdef " KEY "A\n", 0600),
	    CF_E_CONFIG);
	assert_int_equal(load("0123456789abcdef\n", 0600), CF_E_CONFIG);
	/* One name, two keys. */
	assert_int_equal(load("0123456789abcdef " KEY "\n0123456789abcdef "
	    KEY "\n", 0600), CF_E_CONFIG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_what_was_sealed_opens),
		cmocka_unit_test(t_any_other_bit_does_not_open),
		cmocka_unit_test(t_a_master_key_is_known_by_name_and_check),
		cmocka_unit_test(t_a_secret_is_of_its_name),
		cmocka_unit_test(t_a_file_is_of_its_form_or_refused),
	};

	return cmocka_run_group_tests_name("vault", tests, begin, end);
}
