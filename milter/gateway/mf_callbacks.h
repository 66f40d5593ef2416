/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_mf - the milter proper: libmilter's callbacks.
 *
 * mf_callbacks.c is the only file that includes libmilter/mfapi.h.
 */
#ifndef CF_MILTER_MF_CALLBACKS_H
#define CF_MILTER_MF_CALLBACKS_H

#include "common/err.h"

/*
 * Register the callbacks and open the socket ("unix:/path" or
 * "inet:port@host"), removing a stale one.  Once, before threads start.
 */
CF_MUST_USE enum cf_err cf_mf_open(const char *socket, struct cf_why *why);
/* Serve until cf_mf_stop(); false if libmilter gave up. */
bool cf_mf_run(void);
void cf_mf_stop(void);
/* libmilter's version, "1.0.1".  `out` takes 32 bytes. */
void cf_mf_version(char out[32]);

#endif
