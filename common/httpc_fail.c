/* SPDX-License-Identifier: Apache-2.0 */
/* cf_httpc_fail - see httpc_fail.h. */
#include "common/httpc_fail.h"

#include <stddef.h>
#include <string.h>

#include "common/crypto_tls.h"

/* ---- the proxy ---- */

/* It wants to know who we are (RFC 9110 15.5.8). */
static enum cf_err
fail_by_login(const struct cf_httpc_end *end, struct cf_why *why)
{
	const char *place = cf_proxy_place(end->proxy);

	if (end->proxy_status == 407 && !end->proxy_takes_login)
		return cf_fail(CF_E_PROXY, why, "%s: the proxy %s wants a "
		    "login of another kind than user name and password "
		    "(Basic): ask who runs it to let this machine through "
		    "without one", end->service, place);
	if (end->proxy->login[0] == '\0')
		return cf_fail(CF_E_PROXY, why, "%s: the proxy %s wants a user "
		    "name and a password: name a file with them in "
		    "the option \"proxy_login_file\"", end->service, place);
	return cf_fail(CF_E_PROXY, why, "%s: the proxy %s does not take the "
	    "user name and password in the file of the option "
	    "\"proxy_login_file\"",
	    end->service, place);
}

/* It answered CONNECT, and not with yes. */
static enum cf_err
fail_by_status(const struct cf_httpc_end *end, struct cf_why *why)
{
	const char *place = cf_proxy_place(end->proxy);
	long status = end->proxy_status;

	/* Tinyproxy says 401 to a login that it does not take. */
	if (status == 407 || status == 401)
		return fail_by_login(end, why);
	if (status >= 500 || status == 408 || status == 429)
		return cf_fail(CF_E_NETWORK, why, "%s: the proxy %s does not "
		    "get there (it answers %ld); if the host is in your own "
		    "network, name it in the option \"proxy_except\"",
		    end->service, place, status);
	return cf_fail(CF_E_PROXY, why, "%s: the proxy %s refuses to connect "
	    "there (it answers %ld): ask who runs it to allow it, or, if the "
	    "host is in your own network, name it in the option "
	    "\"proxy_except\"", end->service, place, status);
}

/* With https: to a proxy that has no TLS, it waits for more or hangs up. */
static const char *
hint_at_http(const struct cf_httpc_end *end)
{
	return strncmp(end->proxy->url, "https:", 6) != 0 ? "" :
	    "; to one without TLS, as most are, the option must say http://";
}

static enum cf_err
fail_by_proxy(const struct cf_httpc_end *end, struct cf_why *why)
{
	const char *place = cf_proxy_place(end->proxy), *trouble = NULL;
	const char *hint = "";
	enum cf_err rc = CF_E_NETWORK;

	if (end->proxy_nonsense || end->too_large)
		return cf_fail(CF_E_PROXY, why, "%s: what answers at %s is no "
		    "HTTP proxy; check the option \"proxy\"", end->service,
		    place);
	if (end->proxy_status != 0 && end->proxy_status / 100 != 2)
		return fail_by_status(end, why);
	switch (end->code) {
	case CURLE_COULDNT_RESOLVE_PROXY:
		return cf_fail(rc, why, "%s: no host of the proxy's name is "
		    "found, %s; check the option \"proxy\"", end->service,
		    place);
	case CURLE_COULDNT_CONNECT:
		return cf_fail(rc, why, "%s: the proxy %s cannot be reached; "
		    "check the option \"proxy\", or ask who runs it",
		    end->service, place);
	case CURLE_OPERATION_TIMEDOUT:
		return cf_fail(CF_E_TIMEOUT, why, "%s: the proxy %s did not "
		    "answer in time; check the option \"proxy\", or ask who "
		    "runs it%s", end->service, place, hint_at_http(end));
	case CURLE_PEER_FAILED_VERIFICATION:
		trouble = cf_tls_certificate_trouble(end->proxy_verdict);
		break;
	case CURLE_SSL_CONNECT_ERROR:
		trouble = cf_tls_handshake_trouble(end->text);
		hint = hint_at_http(end);
		break;
	default:
		break;
	}
	if (trouble != NULL)
		return cf_fail(CF_E_PROXY, why, "%s: the proxy %s: %s%s",
		    end->service, place, trouble, hint);
	/* It hung up, or said what curl does not call an answer. */
	return cf_fail(rc, why, "%s: the proxy %s gave no proper answer; "
	    "check the option \"proxy\"%s", end->service, place,
	    hint_at_http(end));
}

/* Was it the proxy's turn? */
static bool
is_of_proxy(const struct cf_httpc_end *end)
{
	if (end->proxy == NULL)
		return false;
	if (end->code == CURLE_COULDNT_RESOLVE_PROXY ||
	    end->code == CURLE_COULDNT_CONNECT)
		return true;
	if (end->proxy_status != 0 && end->proxy_status / 100 != 2)
		return true;
	return !end->proxy_through && !end->ready;
}

/* ---- the service ---- */

/* A handshake that ended without a word of TLS is a lost connection. */
static enum cf_err
fail_by_handshake(const struct cf_httpc_end *end, struct cf_why *why)
{
	const char *trouble = cf_tls_handshake_trouble(end->text);

	if (trouble == NULL)
		return cf_fail(CF_E_NETWORK, why, "%s: the connection ended "
		    "before it was secure", end->service);
	return cf_fail(CF_E_TLS, why, "%s: %s", end->service, trouble);
}

static enum cf_err
fail_by_certificate(const struct cf_httpc_end *end, struct cf_why *why)
{
	/* To trust that one is the last thing to advise. */
	if (end->proxy != NULL && cf_tls_is_stranger(end->verdict))
		return cf_fail(CF_E_TLS, why, "%s: its certificate is from an "
		    "authority that is not known here; if the proxy %s puts "
		    "its own in its place, to read along, have it let this "
		    "host through unopened", end->service,
		    cf_proxy_place(end->proxy));
	return cf_fail(CF_E_TLS, why, "%s: %s", end->service,
	    cf_tls_certificate_trouble(end->verdict));
}

enum cf_err
cf_httpc_fail(const struct cf_httpc_end *end, struct cf_why *why)
{
	const char *text = curl_easy_strerror(end->code);

	switch (end->code) {
	case CURLE_OK:
		return CF_OK;
	case CURLE_ABORTED_BY_CALLBACK:
		return cf_fail(CF_E_TIMEOUT, why, "%s: %s", end->service,
		    text);
	case CURLE_SSL_CACERT_BADFILE:
		return cf_fail(CF_E_TLS, why, "%s: %s; see ca_file",
		    end->service, text);
	default:
		break;
	}
	if (is_of_proxy(end))
		return fail_by_proxy(end, why);
	switch (end->code) {
	case CURLE_OPERATION_TIMEDOUT:
		return cf_fail(CF_E_TIMEOUT, why, "%s: %s", end->service,
		    text);
	case CURLE_PEER_FAILED_VERIFICATION:
		return fail_by_certificate(end, why);
	case CURLE_SSL_CONNECT_ERROR:
		return fail_by_handshake(end, why);
	case CURLE_WRITE_ERROR:
		return cf_fail(CF_E_PROTOCOL, why, "%s: %s", end->service,
		    end->too_large ? "answer too large" : text);
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return cf_fail(CF_E_PROTOCOL, why, "%s: %s", end->service,
		    text);
	default:
		return cf_fail(CF_E_NETWORK, why, "%s: %s", end->service,
		    text);
	}
}
