/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_unseal - what comes out of E with a release, and the checks before it.
 *
 * A release is the key server's answer to `retrieve`.  Here it is read, and
 * the message is given out only if key, registered values, tag and inner
 * form all hold.
 *
 * Knows: the release's members, container, proofs, mform.
 * Does not know: HTTP, files.   Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_UNSEAL_H
#define CF_COMMON_UNSEAL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/assurance.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/container.h"
#include "common/err.h"
#include "common/link.h"
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

/*
 * Open E: commitment, unwrapping, opening key, tag, inner form, in this
 * order.  Appends the original message to `message` (a secret buffer) only
 * when all hold; else it is as it was.
 * CF_E_MISMATCH   not the values that were registered at issue: report it
 * CF_E_WRONG_KEY, CF_E_DAMAGED, CF_E_MFORM, CF_E_TOO_LARGE
 * *ret_cek is set once the CEK is unwrapped, also when CF_E_MISMATCH, ...
 * follows; wipe it.
 */
CF_MUST_USE enum cf_err cf_unseal(const struct cf_container *container,
    const struct cf_release *release, struct cf_secret *ret_cek,
    struct cf_buf *message, struct cf_why *why);

#endif
