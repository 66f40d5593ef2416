/* SPDX-License-Identifier: Apache-2.0 */
/* cf_signer - see signer.h. */
#include "keysrv/receipt/signer.h"

#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/address.h"
#include "common/b64.h"
#include "common/b64url.h"
#include "common/crypto_evp.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/secret.h"
#include "keysrv/receipt/mailer.h"

#define PEM_FILE_MAX 65536
#define YEARS 10
#define BOUNDARY_BYTES 16

struct cf_signer {
	X509 *certificate;
	EVP_PKEY *key;
	int64_t not_after_ms;
};

#define AUTO_FREE(name, type, function)		\
	static void				\
	name(type **p)				\
	{					\
		function(*p);			\
	}
AUTO_FREE(free_bio, BIO, BIO_free_all)
AUTO_FREE(free_cms, CMS_ContentInfo, CMS_ContentInfo_free)
AUTO_FREE(free_pkey, EVP_PKEY, EVP_PKEY_free)
AUTO_FREE(free_x509, X509, X509_free)

/* An encrypted key would make OpenSSL ask on the terminal. */
static int
no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf; (void)size; (void)writing; (void)arg;
	return -1;
}

static enum cf_err
check_pair(const struct cf_signer *s, const char *certificate_file,
    const char *key_file, const char *address, struct cf_why *why)
{
	struct tm tm;

	if (X509_check_private_key(s->certificate, s->key) != 1) {
		ERR_clear_error();
		return cf_fail(CF_E_CONFIG, why,
		    "%s: is not the key of the certificate %s", key_file,
		    certificate_file);
	}
	if (X509_check_email(s->certificate, address, 0, 0) != 1)
		return cf_fail(CF_E_CONFIG, why,
		    "%s: is not a certificate for %s", certificate_file,
		    address);
	if (X509_check_purpose(s->certificate, X509_PURPOSE_SMIME_SIGN, 0) != 1)
		return cf_fail(CF_E_CONFIG, why,
		    "%s: is not a certificate for signing mail",
		    certificate_file);
	if (ASN1_TIME_to_tm(X509_get0_notAfter(s->certificate), &tm) != 1)
		return cf_fail(CF_E_CONFIG, why, "%s: has no end time",
		    certificate_file);
	return CF_OK;
}

enum cf_err
cf_signer_load(const char *certificate_file, const char *key_file,
    const char *address, struct cf_signer **ret, struct cf_why *why)
{
	CF_AUTO(cf_signer_free) struct cf_signer *s = cf_calloc(1, sizeof *s);
	CF_AUTO(free_bio) BIO *cert_bio = NULL;
	CF_AUTO(free_bio) BIO *key_bio = NULL;
	struct tm tm;
	enum cf_err rc;

	rc = cf_secret_check_file(key_file, why);
	if (rc != CF_OK)
		return rc;
	cert_bio = BIO_new_file(certificate_file, "r");
	if (cert_bio != NULL)
		s->certificate = PEM_read_bio_X509(cert_bio, NULL,
		    no_passphrase, NULL);
	if (s->certificate == NULL)
		return cf_evp_fail(CF_E_CONFIG, why, certificate_file);
	key_bio = BIO_new_file(key_file, "r");
	if (key_bio != NULL)
		s->key = PEM_read_bio_PrivateKey(key_bio, NULL, no_passphrase,
		    NULL);
	if (s->key == NULL)
		return cf_evp_fail(CF_E_CONFIG, why, key_file);
	rc = check_pair(s, certificate_file, key_file, address, why);
	if (rc != CF_OK)
		return rc;
	(void)ASN1_TIME_to_tm(X509_get0_notAfter(s->certificate), &tm);
	s->not_after_ms = (int64_t)timegm(&tm) * 1000;
	*ret = s;
	s = NULL;
	return CF_OK;
}

void
cf_signer_free(struct cf_signer **signer)
{
	struct cf_signer *s = *signer;

	if (s == NULL)
		return;
	X509_free(s->certificate);
	EVP_PKEY_free(s->key);
	free(s);
	*signer = NULL;
}

void
cf_signer_name(const struct cf_signer *s, char out[CF_SIGNER_NAME_LEN + 1])
{
	unsigned char digest[32], *der = NULL;
	const int len = i2d_PUBKEY(s->key, &der);
	unsigned digest_len = sizeof digest;

	if (len <= 0 || EVP_Digest(der, (size_t)len, digest, &digest_len,
	    EVP_sha256(), NULL) != 1)
		cf_bug("name of a key");
	OPENSSL_free(der);
	cf_b64url_encode(digest, sizeof digest, out);
}

int64_t
cf_signer_not_after_ms(const struct cf_signer *s)
{
	return s->not_after_ms;
}

static enum cf_err
sign(const struct cf_signer *s, const char *entity, size_t len,
    unsigned char **ret_der, size_t *ret_len, struct cf_why *why)
{
	/* Binary: the entity is canonical already, nothing may touch it. */
	const unsigned int flags = CMS_DETACHED | CMS_BINARY;
	CF_AUTO(free_bio) BIO *data = BIO_new_mem_buf(entity, (int)len);
	CF_AUTO(free_cms) CMS_ContentInfo *cms = NULL;
	int der_len;

	cms = CMS_sign(NULL, NULL, NULL, data, flags | CMS_PARTIAL);
	if (data == NULL || cms == NULL ||
	    CMS_add1_signer(cms, s->certificate, s->key, EVP_sha256(),
	    flags) == NULL || CMS_final(cms, data, NULL, flags) != 1)
		return cf_evp_fail(CF_E_INTERNAL, why, "receipt signature");
	*ret_der = NULL;
	der_len = i2d_CMS_ContentInfo(cms, ret_der);
	if (der_len <= 0)
		return cf_evp_fail(CF_E_INTERNAL, why, "receipt signature");
	*ret_len = (size_t)der_len;
	return CF_OK;
}

enum cf_err
cf_signer_wrap(const struct cf_signer *s, const char *entity, size_t len,
    struct cf_buf *out, struct cf_why *why)
{
	unsigned char random[BOUNDARY_BYTES];
	char boundary[CF_B64URL_LEN(BOUNDARY_BYTES) + 1];
	unsigned char *der = NULL;
	size_t der_len = 0;
	enum cf_err rc;

	if (len > INT32_MAX)
		return cf_fail(CF_E_TOO_LARGE, why, "too much to sign");
	cf_random(random, sizeof random);
	cf_b64url_encode(random, sizeof random, boundary);
	rc = sign(s, entity, len, &der, &der_len, why);
	if (rc != CF_OK)
		return rc;
	cf_buf_addf(out, "Content-Type: multipart/signed; micalg=sha-256;\r\n"
	    " protocol=\"application/pkcs7-signature\";\r\n"
	    " boundary=\"=_cf_s_%s\"\r\n\r\n--=_cf_s_%s\r\n", boundary,
	    boundary);
	cf_buf_add(out, entity, len);
	/* The line end before a boundary is the boundary's (RFC 2046 5.1.1). */
	cf_buf_addf(out, "\r\n--=_cf_s_%s\r\n"
	    "Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n"
	    "Content-Transfer-Encoding: base64\r\n"
	    "Content-Disposition: attachment; filename=\"smime.p7s\"\r\n\r\n",
	    boundary);
	cf_b64_add(out, der, der_len);
	cf_buf_addf(out, "\r\n--=_cf_s_%s--\r\n", boundary);
	OPENSSL_free(der);
	return cf_buf_check(out, why);
}

static EVP_PKEY *
make_key(enum cf_signer_algorithm algorithm)
{
	if (algorithm == CF_SIGNER_RSA3072)
		return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)3072);
	return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
}

static bool
add_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;
	bool ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext != NULL && X509_add_ext(cert, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok;
}

static bool
add_alt_name(X509 *cert, const char *address)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();
	bool ok;

	/* By hand: the text form of this extension has a syntax of its own. */
	ok = names != NULL && name != NULL && text != NULL &&
	    ASN1_STRING_set(text, address, -1) == 1;
	if (ok) {
		GENERAL_NAME_set0_value(name, GEN_EMAIL, text);
		text = NULL;
		ok = sk_GENERAL_NAME_push(names, name) > 0;
		if (ok)
			name = NULL;
	}
	ok = ok && X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0,
	    X509V3_ADD_DEFAULT) == 1;
	ASN1_IA5STRING_free(text);
	GENERAL_NAME_free(name);
	GENERAL_NAMES_free(names);
	return ok;
}

static bool
set_serial(X509 *cert)
{
	unsigned char bytes[16];
	BIGNUM *bn;
	bool ok;

	cf_random(bytes, sizeof bytes);
	bytes[0] = (bytes[0] & 0x3f) | 0x40;	/* positive, full length */
	bn = BN_bin2bn(bytes, sizeof bytes, NULL);
	ok = bn != NULL &&
	    BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert)) != NULL;
	BN_free(bn);
	return ok;
}

static X509 *
make_certificate(EVP_PKEY *key, const char *address)
{
	CF_AUTO(free_x509) X509 *cert = X509_new();
	X509_NAME *name;
	X509 *done;

	if (cert == NULL || X509_set_version(cert, X509_VERSION_3) != 1 ||
	    !set_serial(cert) ||
	    X509_gmtime_adj(X509_getm_notBefore(cert), -3600) == NULL ||
	    X509_time_adj_ex(X509_getm_notAfter(cert), YEARS * 366, 0,
	    NULL) == NULL || X509_set_pubkey(cert, key) != 1)
		return NULL;
	name = X509_get_subject_name(cert);
	/* The address stands in the alternative name; CN is too short. */
	if (X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const unsigned char *)"Counterfoil receipts", -1, -1, 0) != 1 ||
	    X509_set_issuer_name(cert, name) != 1 ||
	    !add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") ||
	    !add_extension(cert, NID_key_usage, "critical,digitalSignature") ||
	    !add_extension(cert, NID_ext_key_usage, "emailProtection") ||
	    !add_extension(cert, NID_subject_key_identifier, "hash") ||
	    !add_alt_name(cert, address) ||
	    X509_sign(cert, key, EVP_sha256()) == 0)
		return NULL;
	done = cert;
	cert = NULL;
	return done;
}

static enum cf_err
write_bio(BIO *bio, const char *path, mode_t mode, struct cf_why *why)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);

	if (len <= 0 || len > PEM_FILE_MAX)
		return cf_evp_fail(CF_E_INTERNAL, why, path);
	return cf_file_write_new(path, mode, data, (size_t)len, why);
}

enum cf_err
cf_signer_create(enum cf_signer_algorithm algorithm, const char *address,
    const char *certificate_file, const char *key_file, struct cf_why *why)
{
	CF_AUTO(free_pkey) EVP_PKEY *key = NULL;
	CF_AUTO(free_x509) X509 *cert = NULL;
	/* Secure memory where there is some; it is wiped when freed. */
	CF_AUTO(free_bio) BIO *key_bio = BIO_new(BIO_s_secmem());
	CF_AUTO(free_bio) BIO *cert_bio = BIO_new(BIO_s_mem());
	enum cf_err rc;

	if (!cf_address_ok(address))
		return cf_fail(CF_E_ADDRESS, why,
		    "\"%s\" cannot be the sender of receipts", address);
	key = make_key(algorithm);
	if (key != NULL)
		cert = make_certificate(key, address);
	if (cert == NULL || key_bio == NULL || cert_bio == NULL ||
	    PEM_write_bio_PKCS8PrivateKey(key_bio, key, NULL, NULL, 0, NULL,
	    NULL) != 1 || PEM_write_bio_X509(cert_bio, cert) != 1)
		return cf_evp_fail(CF_E_INTERNAL, why, "new certificate");
	rc = write_bio(key_bio, key_file, 0600, why);
	if (rc != CF_OK)
		return rc;
	return write_bio(cert_bio, certificate_file, 0644, why);
}
