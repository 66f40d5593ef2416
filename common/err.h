/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_err - the one error enum, and the sentence that goes with it.
 *
 * Knows: errors.def, which fixes class, HTTP status, SMTP reply and text.
 * Does not know: HTTP, SMTP, SQL.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_ERR_H
#define CF_COMMON_ERR_H

#include <stdbool.h>
#include <stddef.h>

#define CF_MUST_USE __attribute__((warn_unused_result))
#define CF_PRINTF(fmt_arg, first_arg) \
	__attribute__((format(printf, fmt_arg, first_arg)))
#define CF_NORETURN __attribute__((noreturn))
/* Release a local when it goes out of scope; `fn` is a cf_x_free(). */
#define CF_AUTO(fn) __attribute__((cleanup(fn)))

/* Whose turn it is. */
enum cf_err_class {
	CF_CLASS_OK,
	CF_CLASS_PERM,	/* the input is wrong; the same input fails again */
	CF_CLASS_TEMP,	/* try again later; mail waits */
	CF_CLASS_BUG	/* ours; reported as temporary, never as success */
};

enum cf_err {
#define CF_ERR(name, class, http, slug, smtp, text) name,
#include "common/errors.def"
#undef CF_ERR
	CF_ERR__COUNT
};

#define CF_WHY_MAX 400	/* bytes, with the final NUL */

/*
 * One human sentence about the last failure.  Printable text without line
 * ends: cf_fail() escapes what is not.  May be NULL wherever it is taken.
 */
struct cf_why {
	char text[CF_WHY_MAX];
};

/*
 * Write the sentence (truncated at CF_WHY_MAX; control characters and bytes
 * above 126 become '?') and return `rc`, so that `return cf_fail(...)` reads
 * as one step.  No secrets in it.
 */
enum cf_err cf_fail(enum cf_err rc, struct cf_why *why, const char *fmt, ...)
    CF_PRINTF(3, 4);

/* The same where nothing failed, and people are told why. */
void cf_why_set(struct cf_why *why, const char *fmt, ...) CF_PRINTF(2, 3);

enum cf_err_class cf_err_class(enum cf_err rc);
int cf_err_http(enum cf_err rc);	/* HTTP status, e.g. 404 */
/* Problem type slug, e.g. "unknown-key".  Lends: static. */
const char *cf_err_slug(enum cf_err rc);
/* SMTP reply and enhanced code of mail that cannot be sealed for it, e.g.
 * "451 4.7.1".  Lends: static. */
const char *cf_err_smtp(enum cf_err rc);
/* The general sentence for people.  Lends: static. */
const char *cf_err_text(enum cf_err rc);
/* The error with this problem slug, or CF_E_PROTOCOL for an unknown one. */
enum cf_err cf_err_from_slug(const char *slug);

/* Our own bug: log to stderr and abort.  Never for bad input. */
CF_NORETURN void cf_bug_at(const char *file, int line, const char *what);
#define cf_bug(what) cf_bug_at(__FILE__, __LINE__, (what))

#endif
