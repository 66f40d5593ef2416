/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /api/v1/server - which service this is, who signs its receipts, and
 * what it takes.  For whoever verifies a receipt or sets up a gateway; of one
 * service all servers say the same, but for the certificate's file, which
 * only those have that sign.
 */
#include "common/crypto_cert.h"
#include "common/mem.h"
#include "common/wire.h"
#include "config.h"
#include "keysrv/db/db_master.h"
#include "keysrv/http/json_out.h"
#include "keysrv/http/kind.h"
#include "keysrv/http/request.h"
#include "keysrv/key/match.h"

#define CERTIFICATE_MAX 20000	/* bytes of DER */

static void
write_signer(struct cf_jout *out, const struct cf_settings *settings,
    const char *key)
{
	CF_AUTO(cf_buf_free) struct cf_buf der = CF_BUF_INIT(CERTIFICATE_MAX);
	struct cf_why why;

	cf_jout_open(out, "signer", '{');
	cf_jout_str(out, "key_sha256", key);
	/* One that cannot be read just now is told of by those who sign. */
	if (settings->signer_certificate != NULL && cf_cert_read(
	    settings->signer_certificate, &der, NULL, &why) == CF_OK)
		cf_jout_b64(out, "certificate", der.data, der.len);
	cf_jout_close(out, '}');
}

static enum cf_err
run(struct cf_db *db, struct cf_req *req, struct cf_why *why)
{
	const struct cf_settings *settings = req->ks->settings;
	CF_AUTO(cf_free) char *key = NULL;
	struct cf_jout out;
	enum cf_err rc;

	rc = cf_db_registered_find(db, cf_match_name(CF_MATCH_SIGNER), &key,
	    why);
	if (rc != CF_OK)
		return rc;
	cf_jout_begin(&out, cf_req_ok(req, 200));
	cf_jout_str(&out, "service_url", settings->service_url);
	cf_jout_str(&out, "version", PACKAGE_VERSION);
	if (key != NULL)
		write_signer(&out, settings, key);
	cf_jout_open(&out, "limits", '{');
	cf_jout_int(&out, "issue_bytes", CF_ISSUE_BODY_MAX);
	cf_jout_int(&out, "keys", CF_ISSUE_KEYS_MAX);
	cf_jout_int(&out, "recipients", CF_ISSUE_RECIPIENTS_MAX);
	cf_jout_int(&out, "expires_in", CF_ISSUE_EXPIRES_MAX_S);
	cf_jout_close(&out, '}');
	cf_jout_end(&out);
	return CF_OK;
}

const struct cf_action cf_ep_server = {
	.kind = &cf_kind_single,
	.mode = CF_DB_READ,
	.run = run,
};
