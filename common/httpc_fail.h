/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_httpc_fail - what a request of httpc.c died of, as error and sentence.
 *
 * Knows: libcurl's codes, and whose turn it is: the service's or the proxy's.
 * Does not know: how to send one.
 * No word of the peer's is in a sentence, only numbers.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_HTTPC_FAIL_H
#define CF_COMMON_HTTPC_FAIL_H

#include <curl/curl.h>
#include <stdbool.h>

#include "common/err.h"
#include "common/proxy.h"

struct cf_httpc_end {
	CURLcode code;
	const char *text;		/* curl's, with OpenSSL's number */
	const char *service;
	bool ready;			/* the request could be sent */
	bool too_large;			/* the answer, or what is before it */
	long verdict;			/* on the certificate, OpenSSL's */
	const struct cf_proxy *proxy;	/* NULL: it did not go by one */
	long proxy_verdict;
	long proxy_status;		/* its answer to CONNECT, 0: none */
	bool proxy_through;		/* and that was yes, whole */
	bool proxy_nonsense;		/* it answered, but not by HTTP */
	bool proxy_takes_login;		/* it offers Basic */
};

/* CF_OK for CURLE_OK; else as at cf_httpc_send(). */
CF_MUST_USE enum cf_err cf_httpc_fail(const struct cf_httpc_end *end,
    struct cf_why *why);

#endif
