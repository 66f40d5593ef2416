/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_flag - what is to happen to a message, from its envelope and header.
 *
 * A pure function of facts: no milter, no files, no clock.  Once decided to
 * seal, nothing but a sealed body or a refusal may follow.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_MILTER_FLAG_H
#define CF_MILTER_FLAG_H

#include <stdbool.h>
#include <stddef.h>

#include "milter/gateway/facts.h"
#include "milter/gateway/snapshot.h"
#include "milter/gateway/want.h"

enum cf_action {
	CF_ACTION_PASS,		/* leave alone; the body is not read */
	CF_ACTION_SEAL,		/* outbound */
	CF_ACTION_STRIP,	/* remove the flag; the body is not read */
	CF_ACTION_REWRITE,	/* inbound, if it is sealed mail */
	CF_ACTION_REFUSE,	/* with `reply` */
	CF_ACTION__COUNT
};

/* An SMTP reply.  `text` is one printable line; % is not yet doubled. */
struct cf_reply {
	char code[4];		/* "550" */
	char enhanced[8];	/* "5.7.1" */
	char text[400];
};

struct cf_decision {
	enum cf_action action;
	bool strip;		/* remove the flag too (with REWRITE) */
	const char *cause;	/* one word for the log; static */
	struct cf_reply reply;
	struct cf_want want;	/* with SEAL: what holds for this message */
	bool untag;		/* with SEAL: outside without the Subject tag */
	bool watch;		/* with PASS: a flag could stand in the body */
	/* A trigger fired: which (static), and why it moved nothing. */
	const char *trigger;
	struct cf_why note;
};

const char *cf_action_name(enum cf_action action);

/* Note one recipient: does a rule want his mail sealed? */
void cf_flag_note_recipient(const struct cf_snapshot *snapshot,
    struct cf_facts *facts, const char *sender, const char *recipient);

struct cf_decision cf_flag_decide(const struct cf_snapshot *snapshot,
    const struct cf_facts *facts);

/* With `watch`, when the body's beginning has shown one: refused. */
struct cf_decision cf_flag_in_body(void);

/* Fill a reply; what is not printable ASCII becomes '?'. */
void cf_reply_set(struct cf_reply *reply, const char *code,
    const char *enhanced, const char *fmt, ...) CF_PRINTF(4, 5);

#endif
