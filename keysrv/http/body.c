/* SPDX-License-Identifier: Apache-2.0 */
/* cf_body - see body.h. */
#include "keysrv/http/body.h"

#include <string.h>
#include <strings.h>

#include "common/json.h"
#include "common/wire.h"
#include "keysrv/web/csrf.h"
#include "keysrv/web/form.h"

#define VALUES_STRANGER 64	/* in the JSON of a recipient */
#define VALUES_GATEWAY 2048	/* in 64 keys and 100 recipients: 850 */

static enum cf_err
read_json(struct cf_req *req, const struct cf_buf *body, struct cf_why *why)
{
	const bool gateway = (req->ep->who & CF_WHO_KNOWN) != 0;

	return cf_json_parse_few(cf_buf_str(body), body->len,
	    gateway ? VALUES_GATEWAY : VALUES_STRANGER, &req->json, why);
}

static enum cf_err
read_form(struct cf_req *req, const struct cf_buf *body, struct cf_why *why)
{
	enum cf_err rc;

	rc = cf_form_parse(cf_buf_str(body), body->len, &req->json, why);
	return rc == CF_OK ? cf_csrf_check_token(req, req->json, why) : rc;
}

static enum cf_err
read_raw(struct cf_req *req, const struct cf_buf *body, struct cf_why *why)
{
	(void)why;
	req->raw = cf_buf_str(body);
	req->raw_len = body->len;
	return CF_OK;
}

static const struct {
	const char *type;	/* NULL: the action says */
	enum cf_err (*read)(struct cf_req *req, const struct cf_buf *body,
	    struct cf_why *why);
} bodies[CF_BODY__COUNT] = {
	[CF_BODY_JSON] = { CF_MEDIA_JSON, read_json },
	[CF_BODY_FORM] = { CF_FORM_TYPE, read_form },
	[CF_BODY_RAW] = { NULL, read_raw },
};

static enum cf_err
check_type(const struct cf_endpoint *ep, const char *type, struct cf_why *why)
{
	const char *want = bodies[ep->body].type;
	size_t len;

	if (want == NULL)
		want = ep->action->raw_type;
	len = strlen(want);
	if (type != NULL && strncasecmp(type, want, len) == 0 &&
	    (type[len] == '\0' || type[len] == ';' || type[len] == ' '))
		return CF_OK;
	return cf_fail(CF_E_MEDIA_TYPE, why, "Only %s is taken here.", want);
}

enum cf_err
cf_body_check_header(const struct cf_req *req, struct cf_why *why)
{
	enum cf_err rc;

	if (req->ep->body == CF_BODY_NONE)
		return CF_OK;
	rc = check_type(req->ep, req->field(req, "Content-Type"), why);
	return rc == CF_OK && req->ep->body == CF_BODY_FORM
	    ? cf_csrf_check_header(req, why) : rc;
}

enum cf_err
cf_body_read(struct cf_req *req, const struct cf_buf *body,
    struct cf_why *why)
{
	const struct cf_endpoint *ep = req->ep;

	if (ep->body == CF_BODY_NONE)
		return CF_OK;
	if (body->full)
		return cf_fail(CF_E_TOO_LARGE, why,
		    "The body may have at most %zu bytes.", ep->body_max);
	return bodies[ep->body].read(req, body, why);
}
