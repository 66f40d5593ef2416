/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_room - whether the store has room for sealed mail from outside.
 *
 * Anybody can send such mail, so that what he fills is limited: by
 * store_limit, which goes by what the store takes, and by store_reserve, what
 * the file system has left.  Mail that is sealed here is not asked about.
 * What the store takes is counted by tend.c, and kept up in between by what
 * this process stores.
 * Knows: one store, that of the current snapshot.
 * Threads: safe.   Logging: when the room ends, at most once a day and reason
 * while it lasts, and when there is room again; of mail that is sealed here,
 * too.
 */
#ifndef CF_MILTER_ROOM_H
#define CF_MILTER_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "milter/gateway/mconf.h"

enum cf_room_reason {
	CF_ROOM_LIMIT,		/* store_limit */
	CF_ROOM_RESERVE,	/* store_reserve */
	CF_ROOM_DISK,		/* the disk or a quota itself */
	CF_ROOM__COUNT
};

/* As the metrics name it.  Lends: static. */
const char *cf_room_reason_name(enum cf_room_reason reason);

/* Is there room for `size` more bytes?  CF_E_FULL. */
CF_MUST_USE enum cf_err cf_room_ask(const struct cf_mconf *conf,
    uint64_t size, struct cf_why *why);
/* The same for a spool file, which takes it for moments: the reserve alone. */
CF_MUST_USE enum cf_err cf_room_ask_spool(const struct cf_mconf *conf,
    struct cf_why *why);
/* The system said CF_E_FULL, with `why`. */
void cf_room_is_full(const struct cf_why *why);
/* The same for mail that is sealed here, which waits. */
void cf_room_is_full_here(const struct cf_why *why);

#define CF_ROOM_TEXT_MAX 24
/* A number of bytes for a sentence, as options take it: "12M", "1.5G", and
 * in full when it is small. */
void cf_room_text(uint64_t bytes, char ret[CF_ROOM_TEXT_MAX]);

/* This process has stored so many bytes, or removed them (negative). */
void cf_room_add(int64_t bytes);
/* To be had before counting and given back with its result. */
int64_t cf_room_mark(void);
void cf_room_counted(const struct cf_mconf *conf, int64_t mark,
    int64_t messages, int64_t bytes);

struct cf_room_facts {
	bool counted;		/* since the start */
	int64_t messages;	/* at the last count */
	int64_t bytes;
	uint64_t refused[CF_ROOM__COUNT];
};

void cf_room_facts(struct cf_room_facts *ret);

#endif
