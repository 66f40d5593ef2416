/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_conf_scan - the form of a configuration file: what stands in which line.
 *
 * libconfuse 3 counts lines wrongly behind comments, and tells of what is
 * missing where it meets the next thing.  So the form is checked here, and
 * libconfuse gets a text with the same lines, without comments, and with
 * every value in quotes; it takes the values out of them.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_COMMON_CONF_SCAN_H
#define CF_COMMON_CONF_SCAN_H

#include "common/buf.h"
#include "common/conf_opt.h"

/*
 * Read `text`, of options of the table; lines[i] is set to the line of each
 * that is given.  CF_E_CONFIG: `why` has the sentence, *ret_line the line.
 */
CF_MUST_USE enum cf_err cf_conf_scan(const struct cf_buf *text,
    const struct cf_conf_opt *table, size_t count, int *lines,
    struct cf_buf *ret_plain, int *ret_line, struct cf_why *why);

#endif
