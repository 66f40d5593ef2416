/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_httpd - the HTTP server that each of our programs has: what a client
 * may do is the same everywhere, what it is answered is the program's.
 *
 * Knows: connections, their ceilings and their time, TLS, whose request it
 * is behind a proxy, malformed headers, the end with answers under way.
 * Does not know: paths, what bodies mean, what an answer says.
 * Threads: it makes those that speak HTTP; a request belongs to one of them,
 * or between suspend and resume to whoever resumes it.  new, start, sweep,
 * drain and free are for one thread.
 * Logging: the library's complaints, refused connections and malformed
 * requests, these two once a minute at most; nothing of a request.
 */
#ifndef CF_COMMON_HTTPD_H
#define CF_COMMON_HTTPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/httpd_response.h"
#include "common/network.h"

/* RFC 6797; for every answer of a service that links name with https. */
#define CF_HTTPD_HSTS "max-age=31536000"

struct cf_httpd;

/* A request, from its header block to the end of its answer. */
struct cf_httpd_req {
	void *server;		/* options.arg */
	void *own;		/* the handler's; NULL at first */
	const char *method;	/* lent, as is what follows */
	const char *path;	/* as it came: not decoded, without query */
	int query_count;	/* parameters behind the '?' */
};

/*
 * What a program does with requests.  Each runs on an HTTP thread and does
 * not wait.  A request is answered once, at any of these; what then still
 * comes of its body is dropped.
 */
struct cf_httpd_handler {
	/* The header block is there.  Answer, suspend, or leave it. */
	void (*begin)(struct cf_httpd_req *req);
	/*
	 * Instead of begin(), for what others in front may have read
	 * otherwise: a second Host field, or a control character in a field.
	 * Answers.
	 */
	void (*unsound)(struct cf_httpd_req *req);
	/*
	 * A part of the body; NULL: it is dropped.  After a suspend the same
	 * part comes again.
	 */
	void (*body)(struct cf_httpd_req *req, const void *part, size_t len);
	/* All is there.  Answers or suspends. */
	void (*whole)(struct cf_httpd_req *req);
	/* It was resumed; NULL if none is suspended. */
	void (*woken)(struct cf_httpd_req *req);
	/* The end; `sent`: the client has the whole answer.  May be NULL. */
	void (*end)(struct cf_httpd_req *req, bool sent);
};

struct cf_httpd_options {
	const struct cf_httpd_handler *handler;
	void *arg;
	const char *tls_certificate, *tls_key;	/* NULL: plain HTTP */
	const struct cf_conf_list *proxies;	/* NULL: none in front */
	long connections;		/* at a time; more wait */
	long per_address;		/* of one address; 0: no limit */
	long threads;
	long request_timeout_s;		/* to send it, and of silence */
	long answer_timeout_s;		/* to take the answer */
	size_t header_memory;		/* bytes, of both header blocks */
};

/*
 * Reads the certificate.  `options`, and what it points to, is lent until
 * cf_httpd_free().  Gives *ret.  One server of a process may have TLS.
 * CF_E_IO, CF_E_CONFIG  as cf_httpd_tls_load()
 */
CF_MUST_USE enum cf_err cf_httpd_new(const struct cf_httpd_options *options,
    struct cf_httpd **ret, struct cf_why *why);
/* Serve on `fd`, which is taken.  CF_E_CONFIG if the library refuses. */
CF_MUST_USE enum cf_err cf_httpd_start(struct cf_httpd *httpd, int fd,
    struct cf_why *why);
/* Break off connections over their time; call about once a second. */
void cf_httpd_sweep(struct cf_httpd *httpd);
/*
 * Take no new connections; wait for the end of requests under way, at most
 * `limit_ms`.
 */
void cf_httpd_drain(struct cf_httpd *httpd, int64_t limit_ms);
/* No request is suspended any more. */
void cf_httpd_free(struct cf_httpd **httpd);
/* Of the library.  Lends: static. */
const char *cf_httpd_version(void);

/* ---- requests ---- */

/* A header field's value, the first of its name, or NULL.  Lends. */
const char *cf_httpd_field(const struct cf_httpd_req *req, const char *name);
/*
 * Copy a query parameter's value, decoded; false: there is none.  One that is
 * not well encoded, or longer than `cap` holds, is "".
 */
bool cf_httpd_query(const struct cf_httpd_req *req, const char *name,
    char *ret, size_t cap);
/*
 * Who sent it: who connected, or who X-Forwarded-For says if that is one of
 * `proxies`.  False if it is not known.
 */
bool cf_httpd_client(const struct cf_httpd_req *req, struct cf_network *ret);
/* The address of who connected, for a log; "?" if it is not known. */
void cf_httpd_peer(const struct cf_httpd_req *req, char *ret, size_t cap);
/* Its connection counts no longer against `per_address`. */
void cf_httpd_trust(const struct cf_httpd_req *req);
/*
 * Leave the request to another thread.  Before that thread can know of it:
 * it may resume at once.
 */
void cf_httpd_suspend(struct cf_httpd_req *req);
/* Any thread.  `req` is not the caller's any more. */
void cf_httpd_resume(struct cf_httpd_req *req);
/* Takes *response. */
void cf_httpd_answer(struct cf_httpd_req *req,
    struct cf_httpd_response **response);
/* One that answers many: lent until cf_httpd_free(). */
void cf_httpd_answer_fixed(struct cf_httpd_req *req,
    const struct cf_httpd_response *response);

#endif
