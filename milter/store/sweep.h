/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_sweep - take out of the store what need not be there any more.
 *
 * That is what a killed milter left half written, and sealed messages whose
 * time is over (keep.h).  Several milters may share a store: a file is left
 * alone while another holds a lock on it.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_MILTER_SWEEP_H
#define CF_MILTER_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CF_SWEEP_AGE_S 60

/*
 * Half-written files have names of ours that are no blobs.  One is left alone
 * while somebody writes it, who then holds the lock, or while it is young.
 * Gives the number of files removed.  What cannot be removed stays.
 */
size_t cf_sweep(const char *directory);

struct cf_sweep_tally {
	int64_t messages, bytes;	/* that are there, on the disk */
	size_t removed;			/* messages */
	size_t failed;			/* that should be */
	int last_errno;			/* of those */
};

/*
 * Go through all messages of the store, remove those whose time is over and
 * count the others.  `rest` is called after each subdirectory, with the
 * milliseconds it took; false ends it there.  Gives whether it came to the
 * end.
 */
bool cf_sweep_messages(const char *directory, long keep_s,
    bool (*rest)(void *arg, int64_t took_ms), void *arg,
    struct cf_sweep_tally *ret);

#endif
