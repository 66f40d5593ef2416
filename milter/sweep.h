/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_sweep - remove what a killed milter left half written in the store.
 *
 * Such files have names of ours that are no blobs.  One is left alone while
 * somebody writes it, who then holds a lock on it, or while it is young:
 * several milters may share a store.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_MILTER_SWEEP_H
#define CF_MILTER_SWEEP_H

#include <stddef.h>

#define CF_SWEEP_AGE_S 60

/* Gives the number of files removed.  What cannot be removed stays. */
size_t cf_sweep(const char *directory);

#endif
