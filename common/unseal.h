/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_unseal - what comes out of E with a release, and the checks before it.
 *
 * A release is the key server's answer to `retrieve`.  Here it is read, and
 * the message is given out only if key, registered values, tag and inner
 * form all hold.
 *
 * Knows: the release's members, container, proofs, mform.
 * Does not know: HTTP, paths.   Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_UNSEAL_H
#define CF_COMMON_UNSEAL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/assurance.h"
#include "common/buf.h"
#include "common/bulk.h"
#include "common/clock.h"
#include "common/container.h"
#include "common/err.h"
#include "common/link.h"
#include "common/mform.h"
#include "common/proofs.h"
#include "common/secret.h"

/* What the key server says about a key.  Text from outside: escape it. */
struct cf_about {
	char *address;		/* the issuing account may send for it */
	char *domain;
	char *account;
	enum cf_assurance assurance;
	char *message_id;	/* or NULL */
	char *issued_at;	/* or NULL */
	char *expires_at;	/* NULL: no end; describe only */
	char *state;		/* issued, released, opened; describe only */
};

struct cf_release {
	char release_id[CF_RELEASE_ID_TEXT_LEN + 1];
	char released_at[CF_TIME_LEN + 1];
	bool first;
	struct cf_secret secret;	/* the release secret */
	struct cf_secret kd;
	unsigned char opening_key[CF_PUBLIC_KEY_LEN];
	unsigned char possession_key[CF_PUBLIC_KEY_LEN];
	unsigned char key_commitment[CF_COMMITMENT_LEN];
	struct cf_about about;
};

void cf_about_free(struct cf_about *about);	/* the fields */
void cf_release_wipe(struct cf_release *release);

/*
 * Read the answer to `describe`.  Fills *ret; end with cf_about_free().
 * CF_E_PROTOCOL  a member is missing, or not for the key `handle`
 */
CF_MUST_USE enum cf_err cf_about_parse(const char *json, size_t len,
    const char *handle, struct cf_about *ret, struct cf_why *why);
/* The same for `retrieve`; end with cf_release_wipe(). */
CF_MUST_USE enum cf_err cf_release_parse(const char *json, size_t len,
    const char *handle, struct cf_release *ret, struct cf_why *why);

/* The original message, in what was in E; a secret. */
struct cf_opened {
	struct cf_bulk inner;
	struct cf_span m[CF_MFORM_STRETCHES];	/* lends from it */
};

/*
 * Make room for what is in E, before anybody is asked for its key: `place` is
 * lent until cf_opened_free(), for which a zeroed one is good, too.
 * CF_E_FULL, CF_E_IO  the place
 */
CF_MUST_USE enum cf_err cf_opened_begin(const struct cf_container *container,
    const struct cf_bulk_place *place, struct cf_opened *ret,
    struct cf_why *why);
void cf_opened_free(struct cf_opened *opened);	/* wipes what is in memory */
/*
 * Open E: commitment, unwrapping, opening key, tag, inner form, in this
 * order.  `message` was begun, and has the message only when all hold; else
 * there is nothing in it.
 * CF_E_MISMATCH   not the values that were registered at issue: report it
 * CF_E_WRONG_KEY, CF_E_DAMAGED, CF_E_MFORM, CF_E_FULL, CF_E_IO
 * *ret_cek is set once the CEK is unwrapped, also when CF_E_MISMATCH, ...
 * follows; wipe it.
 */
CF_MUST_USE enum cf_err cf_unseal(const struct cf_container *container,
    const struct cf_release *release, struct cf_secret *ret_cek,
    struct cf_opened *message, struct cf_why *why);
/* How many bytes the message has. */
size_t cf_opened_len(const struct cf_opened *message);
/* All of it to `fd`.  CF_E_FULL, CF_E_IO */
CF_MUST_USE enum cf_err cf_opened_write(const struct cf_opened *message,
    int fd, struct cf_why *why);
/*
 * Its header with the empty line, or all of it where that is not told apart.
 * Lends `*ret_len` bytes, from `room` or from the message.
 */
const char *cf_opened_header(const struct cf_opened *message,
    struct cf_buf *room, size_t *ret_len);

#endif
