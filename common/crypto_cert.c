/* SPDX-License-Identifier: Apache-2.0 */
/* cf_cert - see crypto_cert.h. */
#include "common/crypto_cert.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"

#define CHAIN_MAX 16
#define DAY_MS (24 * 3600 * INT64_C(1000))
#define SOON_MS (14 * DAY_MS)	/* or a third of its life, if that is less */
#define HOST_MAX 256

/* An encrypted key would make OpenSSL ask on the terminal. */
static int
no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf; (void)size; (void)writing; (void)arg;
	return -1;
}

static int64_t
to_ms(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : 0;
}

static void
check_dates(struct cf_findings *f, const X509 *cert, int number,
    int64_t now_ms)
{
	const int64_t from = to_ms(X509_get0_notBefore(cert));
	const int64_t to = to_ms(X509_get0_notAfter(cert));
	const int64_t soon = (to - from) / 3 < SOON_MS ? (to - from) / 3 :
	    SOON_MS;
	char begin[CF_TIME_LEN + 1], end[CF_TIME_LEN + 1], which[40] = "it";

	cf_clock_format(from, begin);
	cf_clock_format(to, end);
	if (number > 0)
		(void)snprintf(which, sizeof which,
		    "certificate %d in it", number + 1);
	if (now_ms > to)
		cf_findings_say(f, CF_FINDING_ERROR,
		    "%s ended at %s; renew it", which, end);
	else if (now_ms < from)
		cf_findings_say(f, CF_FINDING_ERROR, "%s begins at %s; is "
		    "this machine's clock right?", which, begin);
	else if (to - now_ms < soon)
		cf_findings_say(f, CF_FINDING_WARNING, "%s ends at %s, in "
		    "%lld days; renew it", which, end,
		    (long long)((to - now_ms) / DAY_MS));
	else if (number == 0)
		cf_findings_say(f, CF_FINDING_OK, "it is good until %s", end);
}

/* The host of an https URL, without brackets; false for other URLs. */
static bool
host_of(const char *service, char out[HOST_MAX])
{
	size_t len;

	if (service == NULL || strncmp(service, "https://", 8) != 0)
		return false;
	service += 8;
	if (*service == '[')
		len = strcspn(++service, "]");
	else
		len = strcspn(service, ":/");
	if (len >= HOST_MAX)
		return false;
	memcpy(out, service, len);
	out[len] = '\0';
	return true;
}

static void
check_name(struct cf_findings *f, X509 *cert, const char *service)
{
	char host[HOST_MAX];

	if (!host_of(service, host))
		return;
	if (X509_check_ip_asc(cert, host, 0) == 1 ||
	    X509_check_host(cert, host, 0, 0, NULL) == 1)
		cf_findings_say(f, CF_FINDING_OK, "it is for %s", host);
	else
		cf_findings_say(f, CF_FINDING_ERROR, "it is not for %s, the "
		    "name by which clients come; nobody will accept it", host);
}

static void
check_key(struct cf_findings *f, X509 *cert, const char *path)
{
	BIO *bio = path == NULL ? NULL : BIO_new_file(path, "r");
	EVP_PKEY *key = NULL;

	if (path == NULL)
		return;
	if (bio != NULL)
		key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	if (key == NULL)
		cf_findings_say(f, CF_FINDING_ERROR, "its key %s cannot be "
		    "read: no PEM file with a key without passphrase", path);
	else if (X509_check_private_key(cert, key) != 1)
		cf_findings_say(f, CF_FINDING_ERROR,
		    "%s is not its key", path);
	else
		cf_findings_say(f, CF_FINDING_OK, "%s is its key", path);
	EVP_PKEY_free(key);
	BIO_free_all(bio);
}

enum cf_err
cf_cert_read(const char *path, struct cf_buf *ret, int64_t *ret_not_after_ms,
    struct cf_why *why)
{
	BIO *bio = BIO_new_file(path, "r");
	X509 *cert = bio == NULL ? NULL :
	    PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
	unsigned char *der = NULL;
	int len = cert == NULL ? -1 : i2d_X509(cert, &der);

	BIO_free_all(bio);
	ERR_clear_error();
	if (len > 0 && ret_not_after_ms != NULL)
		*ret_not_after_ms = to_ms(X509_get0_notAfter(cert));
	if (len > 0 && ret != NULL)
		cf_buf_add(ret, der, (size_t)len);
	OPENSSL_free(der);
	X509_free(cert);
	if (len <= 0)
		return cf_fail(CF_E_CONFIG, why, "%s: no PEM file with a "
		    "certificate", path);
	return ret == NULL ? CF_OK : cf_buf_check(ret, why);
}

void
cf_cert_check(struct cf_findings *f, const char *certificate,
    const char *key, const char *service, int64_t now_ms)
{
	BIO *bio = BIO_new_file(certificate, "r");
	X509 *cert = NULL;
	int number;

	f->subject = certificate;
	for (number = 0; bio != NULL && number < CHAIN_MAX; number++) {
		cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
		if (cert == NULL)
			break;
		check_dates(f, cert, number, now_ms);
		if (number == 0) {
			check_name(f, cert, service);
			check_key(f, cert, key);
		}
		X509_free(cert);
	}
	if (number == 0)
		cf_findings_say(f, CF_FINDING_ERROR,
		    "it cannot be read: no PEM file with a certificate");
	BIO_free_all(bio);
	ERR_clear_error();
}
