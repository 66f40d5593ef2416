/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_jout - write JSON straight into a buffer (which may be a wiping
 * one), without a tree in between.
 */
#ifndef CF_KEYSRV_JSON_OUT_H
#define CF_KEYSRV_JSON_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

struct cf_jout {
	struct cf_buf *buf;
	bool comma;	/* something stands before in this object or array */
};

/* `name` is NULL inside an array. */
void cf_jout_begin(struct cf_jout *out, struct cf_buf *buf);
void cf_jout_end(struct cf_jout *out);
void cf_jout_open(struct cf_jout *out, const char *name, char bracket);
void cf_jout_close(struct cf_jout *out, char bracket);
void cf_jout_str(struct cf_jout *out, const char *name, const char *text);
void cf_jout_b64(struct cf_jout *out, const char *name, const void *bytes,
    size_t len);
void cf_jout_int(struct cf_jout *out, const char *name, int64_t value);
void cf_jout_bool(struct cf_jout *out, const char *name, bool value);
/* RFC 3339 from milliseconds; null for a negative time. */
void cf_jout_time(struct cf_jout *out, const char *name, int64_t ms);

#endif
