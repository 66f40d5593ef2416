/* SPDX-License-Identifier: Apache-2.0 */
/* What -n says of a certificate file: dates, names, key. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/crypto_cert.h"
#include "tests/unit/fixture.h"

#define DAY INT64_C(86400000)
#define NOW INT64_C(1790000000000)

static char folder[] = "/tmp/cert_test.XXXXXX";
static char *cert_file, *key_file, *other_key_file;

static EVP_PKEY *
new_key(const char *path)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL,
	    NULL), 1);
	fclose(f);
	return key;
}

static void
add(const char *path, const char *mode, EVP_PKEY *key, int64_t from_ms,
    int64_t to_ms, const char *names)
{
	X509 *cert = X509_new();
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL,
	    NID_subject_alt_name, names);
	FILE *f = fopen(path, mode);

	assert_non_null(f);
	assert_non_null(ext);
	X509_set_version(cert, X509_VERSION_3);
	ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)(from_ms / 1000));
	ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(to_ms / 1000));
	X509_set_pubkey(cert, key);
	X509_add_ext(cert, ext, -1);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_X509(f, cert), 1);
	fclose(f);
	X509_EXTENSION_free(ext);
	X509_free(cert);
}

/* All that is said of the file, as text.  Gives. */
static char *
said(const char *key, const char *service, unsigned errors, unsigned warnings)
{
	char *text = NULL;
	size_t len = 0;
	struct cf_findings f = { .out = open_memstream(&text, &len) };

	cf_cert_check(&f, cert_file, key, service, NOW);
	cf_findings_end(&f);
	fclose(f.out);
	if (f.errors != errors || f.warnings != warnings)
		fail_msg("%s", text);
	return text;
}

static void
expect(const char *key, const char *service, unsigned errors,
    unsigned warnings, const char *words)
{
	char *text = said(key, service, errors, warnings);

	if (strstr(text, words) == NULL)
		fail_msg("\"%s\" is not in:\n%s", words, text);
	free(text);
}

static void
t_good_certificate_is_ok(void **state)
{
	EVP_PKEY *key = new_key(key_file);

	(void)state;
	add(cert_file, "w", key, NOW - DAY, NOW + 90 * DAY,
	    "DNS:keys.example,IP:127.0.0.1,IP:::1");
	expect(key_file, "https://keys.example:8443", 0, 0,
	    "it is for keys.example\n");
	expect(key_file, "https://keys.example", 0, 0, "is its key");
	expect(NULL, "https://127.0.0.1:1", 0, 0, "it is for 127.0.0.1");
	expect(NULL, "https://[::1]:1", 0, 0, "it is for ::1");
	/* What clients do not check is no fault. */
	expect(NULL, "http://localhost:1", 0, 0, "good until 2026-12-20T");
	expect(NULL, NULL, 0, 0, "0 errors, 0 warnings");
	EVP_PKEY_free(key);
}

static void
t_name_and_key_must_fit(void **state)
{
	EVP_PKEY *key = new_key(key_file), *other = new_key(other_key_file);

	(void)state;
	add(cert_file, "w", key, NOW - DAY, NOW + 90 * DAY,
	    "DNS:keys.example");
	expect(NULL, "https://other.example", 1, 0, "not for other.example");
	expect(NULL, "https://127.0.0.1", 1, 0, "not for 127.0.0.1");
	expect(other_key_file, NULL, 1, 0, "is not its key");
	expect("/nowhere", NULL, 1, 0, "cannot be read");
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
}

static void
t_dates_of_the_whole_chain(void **state)
{
	EVP_PKEY *key = new_key(key_file);

	(void)state;
	add(cert_file, "w", key, NOW - 90 * DAY, NOW - DAY, "DNS:a");
	expect(NULL, NULL, 1, 0, "it ended at ");
	add(cert_file, "w", key, NOW + DAY, NOW + 90 * DAY, "DNS:a");
	expect(NULL, NULL, 1, 0, "clock");
	add(cert_file, "w", key, NOW - 80 * DAY, NOW + 10 * DAY, "DNS:a");
	expect(NULL, NULL, 0, 1, "in 10 days");
	/* Of a week's life three days are no reason to worry. */
	add(cert_file, "w", key, NOW - 4 * DAY, NOW + 3 * DAY, "DNS:a");
	expect(NULL, NULL, 0, 0, "good until");
	add(cert_file, "a", key, NOW - 90 * DAY, NOW - DAY, "DNS:a");
	expect(NULL, NULL, 1, 0, "certificate 2 in it ended");
	EVP_PKEY_free(key);
}

static void
t_no_certificate_is_an_error(void **state)
{
	FILE *f = fopen(cert_file, "w");

	(void)state;
	fputs("no certificate\n", f);
	fclose(f);
	expect(NULL, NULL, 1, 0, "cannot be read");
	(void)unlink(cert_file);
	expect(NULL, NULL, 1, 0, "cannot be read");
}

/* Of a file that has the key, too, only the certificate goes out. */
static void
t_read_takes_the_first_certificate_alone(void **state)
{
	struct cf_buf first = CF_BUF_INIT(10000), der = CF_BUF_INIT(10000);
	struct cf_buf small = CF_BUF_INIT(100);
	EVP_PKEY *key = new_key(cert_file);
	int64_t end = 0;
	FILE *f;

	(void)state;
	add(cert_file, "a", key, NOW - DAY, NOW + 90 * DAY, "DNS:a");
	assert_int_equal(cf_cert_read(cert_file, &first, &end, NULL), CF_OK);
	assert_int_equal(end, NOW + 90 * DAY);
	assert_int_equal((unsigned char)first.data[0], 0x30);
	add(cert_file, "a", key, NOW - DAY, NOW + 10 * DAY, "DNS:b");
	assert_int_equal(cf_cert_read(cert_file, &der, NULL, NULL), CF_OK);
	assert_int_equal(der.len, first.len);
	assert_memory_equal(der.data, first.data, der.len);
	assert_int_equal(cf_cert_read(cert_file, &small, NULL, NULL),
	    CF_E_TOO_LARGE);
	EVP_PKEY_free(new_key(cert_file));
	assert_int_equal(cf_cert_read(cert_file, &der, NULL, NULL),
	    CF_E_CONFIG);
	f = fopen(cert_file, "w");
	fclose(f);
	assert_int_equal(cf_cert_read(cert_file, NULL, &end, NULL),
	    CF_E_CONFIG);
	cf_buf_free(&first);
	cf_buf_free(&der);
	cf_buf_free(&small);
	EVP_PKEY_free(key);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_good_certificate_is_ok),
		cmocka_unit_test(t_name_and_key_must_fit),
		cmocka_unit_test(t_dates_of_the_whole_chain),
		cmocka_unit_test(t_no_certificate_is_an_error),
		cmocka_unit_test(t_read_takes_the_first_certificate_alone),
	};
	int failed;

	if (mkdtemp(folder) == NULL)
		return 1;
	cert_file = cf_asprintf("%s/cert.pem", folder);
	key_file = cf_asprintf("%s/key.pem", folder);
	other_key_file = cf_asprintf("%s/other.pem", folder);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)unlink(key_file);
	(void)unlink(other_key_file);
	(void)unlink(cert_file);
	(void)rmdir(folder);
	free(cert_file);
	free(key_file);
	free(other_key_file);
	return failed;
}
