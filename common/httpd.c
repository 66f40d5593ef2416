/* SPDX-License-Identifier: Apache-2.0 */
/* cf_httpd - see httpd.h. */
#include "common/httpd.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "common/file.h"

#define PEM_MAX 100000
/* Named one by one: GnuTLS's sets keep CBC and plain RSA for old clients. */
#define TLS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:" \
	"-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:" \
	"-CIPHER-ALL:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM:" \
	"-MAC-ALL:+AEAD:%SERVER_PRECEDENCE"

enum cf_err
cf_httpd_tls_load(const char *certificate, const char *key,
    struct cf_httpd_tls *ret, struct cf_why *why)
{
	struct cf_httpd_tls tls = { CF_BUF_INIT(PEM_MAX),
	    CF_BUF_INIT_SECRET(PEM_MAX) };
	enum cf_err rc;

	rc = cf_file_read(certificate, &tls.certificate, why);
	if (rc == CF_OK)
		rc = cf_file_read(key, &tls.key, why);
	if (rc == CF_OK)
		*ret = tls;
	else
		cf_httpd_tls_free(&tls);
	return rc;
}

void
cf_httpd_tls_free(struct cf_httpd_tls *tls)
{
	cf_buf_free(&tls->certificate);
	cf_buf_free(&tls->key);
}

void
cf_httpd_tls_items(const struct cf_httpd_tls *tls,
    struct MHD_OptionItem *items)
{
	items[0] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_CERT, 0,
	    (void *)(uintptr_t)cf_buf_str(&tls->certificate) };
	items[1] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_KEY, 0,
	    (void *)(uintptr_t)cf_buf_str(&tls->key) };
	items[2] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_PRIORITIES, 0,
	    (void *)(uintptr_t)TLS_PRIORITIES };
}

size_t
cf_httpd_no_unescape(void *cls, struct MHD_Connection *conn, char *s)
{
	(void)cls; (void)conn;
	return strlen(s);
}

struct seen {
	unsigned hosts;
	bool control;
};

static enum MHD_Result
look_at(void *cls, enum MHD_ValueKind kind, const char *name,
    size_t name_len, const char *value, size_t len)
{
	struct seen *seen = cls;
	size_t i;

	(void)kind;
	seen->hosts += name_len == 4 && strncasecmp(name, "Host", 4) == 0;
	for (i = 0; i < len; i++)
		seen->control |= ((unsigned char)value[i] < ' ' &&
		    value[i] != '\t') || value[i] == 0x7f;
	return MHD_YES;
}

bool
cf_httpd_is_sound(struct MHD_Connection *conn)
{
	struct seen seen = { 0, false };

	(void)MHD_get_connection_values_n(conn, MHD_HEADER_KIND, look_at,
	    &seen);
	return seen.hosts <= 1 && !seen.control;
}
