/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_check_key_servers - see check_parts.h.
 *
 * Asks each of them as sealing would, for a list that it may only give to
 * whoever has the token, and says what stands in the way.
 */
#include <string.h>

#include "common/b64url.h"
#include "common/httpc.h"
#include "common/json.h"
#include "common/reference.h"
#include "common/wire.h"
#include "milter/check/check_parts.h"

#define ANSWER_MAX 65536
#define QUESTION CF_PATH_MESSAGES "?limit=1"
#define QUESTION_MAX (sizeof QUESTION + sizeof "&reference=" + \
	CF_B64URL_LEN(CF_REF_CHECK_LEN))

/* With our reference secret, if it is made yet. */
static const char *
question(const struct cf_snapshot *s, char out[QUESTION_MAX])
{
	unsigned char check[CF_REF_CHECK_LEN];
	char text[CF_B64URL_LEN(CF_REF_CHECK_LEN) + 1];

	if (s->ref_secret.len == 0)
		return QUESTION;
	cf_ref_check(&s->ref_secret, check);
	cf_b64url_encode(check, sizeof check, text);
	(void)snprintf(out, QUESTION_MAX, QUESTION "&reference=%s", text);
	return out;
}

static enum cf_err
ask(const struct cf_snapshot *s, const char *service, long *ret_status,
    struct cf_why *why)
{
	CF_AUTO(cf_buf_free) struct cf_buf answer = CF_BUF_INIT(ANSWER_MAX);
	char path[QUESTION_MAX];
	const struct cf_httpc_request request = {
		.service = service,
		.path = question(s, path),
		.bearer = &s->api_token,
		.timeout_ms = s->conf.request_timeout_s * 1000,
	};
	enum cf_err rc;

	rc = cf_httpc_send(s->http, &request, ret_status, &answer, why);
	if (rc == CF_OK && *ret_status != 200)
		rc = cf_json_problem(*ret_status, cf_buf_str(&answer),
		    answer.len, service, why);
	return rc;
}

static const char *
advice(enum cf_err rc, long status)
{
	switch (rc) {
	case CF_E_TLS:
		return "flagged mail waits";
	case CF_E_UNAUTHORIZED:
		return "api_token_file must have the token that "
		    "counterfoil-admin gateway add wrote there";
	case CF_E_REFERENCE:
		return "or bring the file of the account's other gateway to "
		    "ref_secret_file; flagged mail waits";
	case CF_E_NETWORK: case CF_E_TIMEOUT:
		return "flagged mail waits until it can be reached";
	case CF_E_PROXY:
		return "flagged mail waits until then";
	default:
		/* A problem document of our own is the answer of one. */
		return status < 500 && (status == 0 || rc == CF_E_PROTOCOL) ?
		    "is that a key server?" : "flagged mail cannot be sealed";
	}
}

void
cf_check_key_servers(struct cf_check *check)
{
	const struct cf_snapshot *s = check->snapshot;
	const struct cf_conf_list *list = &s->conf.key_servers;
	enum cf_finding finding;
	struct cf_why why;
	size_t i, good = 0;
	enum cf_err rc;
	long status;

	if (!(s->mode & CF_MODE_OUTBOUND))
		return;
	for (i = 0; i < list->count; i++) {
		check->f.subject = list->item[i];
		why.text[0] = '\0';
		status = 0;
		rc = ask(s, list->item[i], &status, &why);
		good += rc == CF_OK;
		/* One that is away is what the others are there for. */
		finding = list->count > 1 && (rc == CF_E_NETWORK ||
		    rc == CF_E_TIMEOUT) ? CF_FINDING_WARNING :
		    CF_FINDING_ERROR;
		cf_check_that(check, rc == CF_OK, finding, cf_proxy_carries(
		    &s->proxy, list->item[i]) ? "the key server answers by "
		    "the proxy and takes our token" :
		    "the key server answers and takes our token",
		    "%s; %s", why.text, advice(rc, status));
	}
	if (good < list->count && s->proxy.url == NULL &&
	    cf_proxy_of_environment() != NULL) {
		check->f.subject = "configuration";
		cf_check_say(check, CF_FINDING_WARNING, "the environment's %s "
		    "counts for nothing here; if there is no other way out "
		    "than a proxy, set proxy", cf_proxy_of_environment());
	}
	check->f.subject = "key_servers";
	if (good == 0 && list->count > 1)
		cf_check_say(check, CF_FINDING_ERROR,
		    "none of them can be used");
}
