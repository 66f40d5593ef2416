/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_keep - how long a stored message is kept, by the times of its file.
 *
 * The modification time is when the message was last stored, and it is kept
 * for store_keep_s from then on.  A message with an end of its own has that
 * end there instead, which is known by lying more than a day ahead of the
 * change time (ctime), that of the storing.  So a file that came back from a
 * backup, with its times or without, is never taken for older than it is, and
 * what somebody finds by `find -mtime' is never too young.
 * All times in seconds since 1970; `keep_s` as the option, 0: for ever.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_MILTER_KEEP_H
#define CF_MILTER_KEEP_H

#include <stdbool.h>
#include <stdint.h>

/* After the last moment at which it could be opened, for who is late. */
#define CF_KEEP_AFTER_END_S (30 * 86400)

/* May a file with these times go? */
bool cf_keep_is_over(int64_t mtime, int64_t ctime, long keep_s, int64_t now);
/*
 * The modification time when the message is stored again, with the end `end`
 * or none (0).  Nothing is kept shorter than before.
 */
int64_t cf_keep_again(int64_t mtime, int64_t ctime, long keep_s, int64_t end,
    int64_t now);

#endif
