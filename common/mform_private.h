/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_mform - what its writer (mform.c) adds to a message, and its reader
 * (mform_strip.c) takes off again.
 */
#ifndef CF_COMMON_MFORM_PRIVATE_H
#define CF_COMMON_MFORM_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/mform.h"
#include "common/wire.h"

#define CF_MFORM_FIRST CF_FORM_FIELD ": "
#define CF_MFORM_HP "HP-Outer: "
#define CF_MFORM_SUFFIX ";\r\n hp=\"cipher\""
#define CF_MFORM_VERSION "MIME-Version: 1.0\r\n"
#define CF_MFORM_TYPE "Content-Type: text/plain; charset=us-ascii; " \
	"hp=\"cipher\"\r\n"
#define CF_MFORM_WRAPPER "Content-Type: message/rfc822\r\n\r\n"

#define LIT_LEN(s) (sizeof(s) - 1)

enum cf_mform_ct { CF_MFORM_SUFFIXED, CF_MFORM_MADE, CF_MFORM_KEPT };

/* What the Counterfoil-M field says. */
struct cf_mform_said {
	size_t outer;
	enum cf_mform_ct ct;
	bool mv_made;
	bool wrapped;
};

#endif
