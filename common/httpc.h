/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_httpc - a small HTTPS client with a pool of connections, over libcurl.
 *
 * Knows: URLs that begin with an allowed service, JSON bodies, time limits.
 * Does not know: what the bodies mean.
 * No redirects, http: for loopback only, answers up to a ceiling.  A proxy
 * only when it is given, never from the environment: it is asked for a way to
 * host and port (CONNECT, RFC 9110 9.3.6), TLS goes through it end to end.
 * Request and answer bodies may hold keys: curl's answer goes straight into
 * the caller's (wiping) buffer.
 * Threads: one cf_httpc may be used by many; each request takes a handle
 * from a locked pool.   Logging: never.
 */
#ifndef CF_COMMON_HTTPC_H
#define CF_COMMON_HTTPC_H

#include "common/buf.h"
#include "common/err.h"
#include "common/proxy.h"
#include "common/secret.h"

struct cf_httpc;

struct cf_httpc_options {
	const char *ca_file;		/* PEM bundle, or NULL = system's */
	const struct cf_proxy *proxy;	/* or NULL; lent until the free */
	long connect_timeout_ms;	/* 0 = 10 s */
	const char *user_agent;		/* or NULL */
};

struct cf_httpc_request {
	const char *service;	/* "https://keys.example", checked before */
	const char *path;	/* as CF_PATH_ISSUE; a query may follow */
	const char *json;	/* body to POST, or NULL for GET */
	size_t json_len;
	const struct cf_secret *bearer;	/* API token, or NULL */
	const char *origin;	/* Origin header, or NULL for none */
	long timeout_ms;	/* the whole request; > 0 */
	/*
	 * Called while waiting, at first after 20 ms, then more and more
	 * seldom, to once a second; nonzero gives up.
	 */
	int (*tick)(void *arg);
	void *tick_arg;
};

/* Gives *ret; free with cf_httpc_free() when no request is under way. */
CF_MUST_USE enum cf_err cf_httpc_new(const struct cf_httpc_options *options,
    struct cf_httpc **ret, struct cf_why *why);
void cf_httpc_free(struct cf_httpc **client);

/*
 * Send and wait.  CF_OK for every complete HTTP answer, whatever its status:
 * *ret_status is set and the body is appended to `body`.
 * CF_E_NETWORK  not reached, or the answer ended too early
 * CF_E_TIMEOUT  `timeout_ms` passed, or tick() gave up
 * CF_E_TLS      no TLS, too old a one, or a certificate that is not valid:
 *               `why` says which, and what to do
 * CF_E_PROXY    the proxy refuses, or is none, or its TLS is not valid; one
 *               that is away, or does not get there, is CF_E_NETWORK
 * CF_E_PROTOCOL answer larger than the ceiling of `body`, or not HTTP
 */
CF_MUST_USE enum cf_err cf_httpc_send(struct cf_httpc *client,
    const struct cf_httpc_request *request, long *ret_status,
    struct cf_buf *body, struct cf_why *why);

#endif
