/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_reader - what the reader answers to a request, as pure functions.
 *
 * Knows: our paths, the fixed headers, the content security policy.
 * Does not know: sockets, libmicrohttpd, files.
 * Threads: no shared state.   Logging: never; `log_as` is what may be logged.
 */
#ifndef CF_MILTER_READER_H
#define CF_MILTER_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/link.h"

#define CF_READER_PATH_MAX 2048	/* characters; L may be in it */
#define CF_READER_CSP_MAX 4096	/* bytes; must fit a reply's header block */

/* Everything there is to answer with. */
enum cf_reader_body {
	CF_READER_PAGE,		/* the recipient's page, start page included */
	CF_READER_SCRIPT,
	CF_READER_STYLE,
	CF_READER_SINGLE,	/* the page as one file, to be saved */
	CF_READER_HEALTH,
	CF_READER_SEALED,	/* E, from the store */
	CF_READER_NOT_FOUND,
	CF_READER_METHOD,	/* neither GET nor HEAD */
	CF_READER_LARGE,	/* a request with a body */
	CF_READER_LONG,		/* a path longer than any of ours */
	CF_READER_UNSOUND,	/* a header that others may read otherwise */
	CF_READER__COUNT
};

struct cf_reader_kind {
	unsigned status;	/* HTTP status */
	const char *type;	/* Content-Type */
	const char *file;	/* in the page directory, or NULL */
	const char *text;	/* the content itself, or NULL */
	const char *save_as;	/* attachment's file name, or NULL */
	const char *log_as;	/* the path as the access log shows it */
	const char *endpoint;	/* what was asked for, in the counters */
	const char *result;	/* what became of it */
};

struct cf_reader_answer {
	enum cf_reader_body body;
	char blob[CF_BLOB_LEN + 1];	/* "" unless /m/ or /e/ */
};

struct cf_reader_header {
	const char *name, *value;
};

/*
 * A file that is kept for good has a hash of its content in its name:
 * /page.HASH.js.
 */
#define CF_READER_HASH_LEN 16		/* characters of base64url */
#define CF_READER_NAME_MAX 40
struct cf_reader_names {
	char script[CF_READER_NAME_MAX + 1];
	char style[CF_READER_NAME_MAX + 1];
};

/* Lends: static. */
const struct cf_reader_kind *cf_reader_kind(enum cf_reader_body body);
/* The path of the file `name` ("page.js") with this content. */
void cf_reader_name(const char *name, const void *content, size_t len,
    char ret[CF_READER_NAME_MAX + 1]);
/* May it be kept for good?  Then it has such a path. */
bool cf_reader_is_hashed(enum cf_reader_body body);
/*
 * Decide.  `path` is the raw request target without query, not percent-
 * decoded, untrusted; `has_body`: the request announces a body.
 */
void cf_reader_decide(const struct cf_reader_names *names,
    const char *method, const char *path, bool has_body,
    struct cf_reader_answer *ret);
/* What every answer carries beside the policy; ends with a NULL name. */
const struct cf_reader_header *cf_reader_headers(void);
/* Content-Security-Policy; CF_E_CONFIG when the list is too long for it. */
CF_MUST_USE enum cf_err cf_reader_policy(
    const struct cf_conf_list *key_servers, struct cf_buf *ret,
    struct cf_why *why);

#endif
