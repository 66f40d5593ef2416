/* SPDX-License-Identifier: Apache-2.0 */
/* cf_httpd_tls - see httpd_tls.h. */
#include "common/httpd_tls.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/file.h"

#define PEM_MAX 100000
#define CHAIN_MAX 16
/* A handshake that began with the one before has ended by then. */
#define RETIRED_MS 3600000
/* Named one by one: GnuTLS's sets keep CBC and plain RSA for old clients. */
#define TLS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:" \
	"-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:" \
	"-CIPHER-ALL:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM:" \
	"-MAC-ALL:+AEAD:%SERVER_PRECEDENCE"

struct cf_httpd_tls {
	gnutls_pcert_st chain[CHAIN_MAX];
	unsigned count;
	gnutls_privkey_t key;
	struct cf_httpd_tls *before;	/* the one in use until then */
	int64_t since_ms;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct cf_httpd_tls *in_use;

/* Does the library take them as a pair?  It tells best what is wrong. */
static int
check_pair(const gnutls_datum_t *certificate, const gnutls_datum_t *key)
{
	gnutls_certificate_credentials_t both;
	int rc = gnutls_certificate_allocate_credentials(&both);

	if (rc != 0)
		return rc;
	rc = gnutls_certificate_set_x509_key_mem(both, certificate, key,
	    GNUTLS_X509_FMT_PEM);
	gnutls_certificate_free_credentials(both);
	return rc < 0 ? rc : 0;
}

static int
import(struct cf_httpd_tls *tls, const gnutls_datum_t *certificate,
    const gnutls_datum_t *key)
{
	unsigned count = CHAIN_MAX;
	int rc = check_pair(certificate, key);

	if (rc == 0)
		rc = gnutls_pcert_list_import_x509_raw(tls->chain, &count,
		    certificate, GNUTLS_X509_FMT_PEM,
		    GNUTLS_X509_CRT_LIST_SORT);
	if (rc < 0)
		return rc;
	tls->count = count;
	rc = gnutls_privkey_init(&tls->key);
	if (rc == 0)
		rc = gnutls_privkey_import_x509_raw(tls->key, key,
		    GNUTLS_X509_FMT_PEM, NULL, 0);
	return rc;
}

static gnutls_datum_t
datum_of(struct cf_buf *buf)
{
	return (gnutls_datum_t){ (unsigned char *)buf->data,
	    (unsigned)buf->len };
}

enum cf_err
cf_httpd_tls_load(const char *certificate, const char *key,
    struct cf_httpd_tls **ret, struct cf_why *why)
{
	CF_AUTO(cf_httpd_tls_free) struct cf_httpd_tls *tls = NULL;
	CF_AUTO(cf_buf_free) struct cf_buf certificate_pem =
	    CF_BUF_INIT(PEM_MAX);
	CF_AUTO(cf_buf_free) struct cf_buf key_pem =
	    CF_BUF_INIT_SECRET(PEM_MAX);
	gnutls_datum_t certificate_datum, key_datum;
	enum cf_err rc;
	int problem;

	rc = cf_file_read(certificate, &certificate_pem, why);
	if (rc == CF_OK)
		rc = cf_file_read(key, &key_pem, why);
	if (rc != CF_OK)
		return rc;
	certificate_datum = datum_of(&certificate_pem);
	key_datum = datum_of(&key_pem);
	tls = cf_calloc(1, sizeof *tls);
	problem = import(tls, &certificate_datum, &key_datum);
	if (problem != 0)
		return cf_fail(CF_E_CONFIG, why, "tls_certificate %s and "
		    "tls_key %s are no matching pair of PEM files: %s",
		    certificate, key, gnutls_strerror(problem));
	*ret = tls;
	tls = NULL;
	return CF_OK;
}

void
cf_httpd_tls_free(struct cf_httpd_tls **ref)
{
	struct cf_httpd_tls *tls = *ref;
	unsigned i;

	if (tls == NULL)
		return;
	for (i = 0; i < tls->count; i++)
		gnutls_pcert_deinit(&tls->chain[i]);
	if (tls->key != NULL)
		gnutls_privkey_deinit(tls->key);
	free(tls);
	*ref = NULL;
}

static void
free_all(struct cf_httpd_tls *tls)
{
	struct cf_httpd_tls *before;

	for (; tls != NULL; tls = before) {
		before = tls->before;
		cf_httpd_tls_free(&tls);
	}
}

void
cf_httpd_tls_use(struct cf_httpd_tls **tls)
{
	struct cf_httpd_tls *fresh = *tls, *t;
	int64_t now = cf_clock_mono_ms();

	*tls = NULL;
	fresh->since_ms = now;
	pthread_mutex_lock(&lock);
	fresh->before = in_use;
	in_use = fresh;
	pthread_mutex_unlock(&lock);
	/* What was replaced by one that is in use for long. */
	for (t = fresh->before; t != NULL; t = t->before) {
		if (now - t->since_ms < RETIRED_MS)
			continue;
		free_all(t->before);
		t->before = NULL;
	}
}

enum cf_err
cf_httpd_tls_change(const char *certificate, const char *key,
    struct cf_why *why)
{
	struct cf_httpd_tls *tls = NULL;
	enum cf_err rc = cf_httpd_tls_load(certificate, key, &tls, why);

	if (rc == CF_OK)
		cf_httpd_tls_use(&tls);
	return rc;
}

void
cf_httpd_tls_end(void)
{
	free_all(in_use);
	in_use = NULL;
}

static int
retrieve(gnutls_session_t session, const gnutls_datum_t *names, int name_count,
    const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
    gnutls_pcert_st **ret_chain, unsigned *ret_count, gnutls_privkey_t *ret_key)
{
	(void)session; (void)names; (void)name_count;
	(void)algorithms; (void)algorithm_count;
	pthread_mutex_lock(&lock);
	*ret_chain = in_use->chain;
	*ret_count = in_use->count;
	*ret_key = in_use->key;
	pthread_mutex_unlock(&lock);
	return 0;
}

void
cf_httpd_tls_items(struct MHD_OptionItem *items)
{
	gnutls_certificate_retrieve_function2 *const function = retrieve;

	items[0] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_CERT_CALLBACK, 0,
	    (void *)(uintptr_t)function };
	items[1] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_PRIORITIES, 0,
	    (void *)(uintptr_t)TLS_PRIORITIES };
}
