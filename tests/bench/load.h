/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load - many clients of a key server in one thread, for measuring it.
 *
 * load_keys.c  keys: their file, the pairs they are signed with
 * load_ask.c   the texts of requests, and what is kept of the answers
 * load_net.c   connections, each with one request under way
 * load.c       what is asked when, and what came of it
 *
 * Nothing here is used by a program that is installed: what goes wrong ends
 * it with a sentence.  One thread.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOAD_REQUEST_MAX 4096
#define LOAD_REPLY_MAX 16384
#define LOAD_CLIENTS_MAX 1024
#define LOAD_HANDLE_LEN 22
#define LOAD_TOKEN_LEN 43
#define LOAD_CHALLENGE_LEN 75
#define LOAD_SIGNATURE_LEN 86
#define LOAD_TIME_LEN 24
#define LOAD_RELEASE_LEN 22
#define LOAD_SECRET_LEN 43
#define LOAD_PUBLIC_LEN 43

enum load_step {
	LOAD_ISSUE,
	LOAD_CHALLENGE,
	LOAD_RETRIEVE,
	LOAD_OPEN,
};

/* One key, and what is known of it so far; "" is not known. */
struct load_key {
	char handle[LOAD_HANDLE_LEN + 1];
	char token[LOAD_TOKEN_LEN + 1];
	unsigned pair;		/* of its possession key */
	char challenge[LOAD_CHALLENGE_LEN + 1];
	char time[LOAD_TIME_LEN + 1];
	char signature[LOAD_SIGNATURE_LEN + 1];
	char release[LOAD_RELEASE_LEN + 1];
	char secret[LOAD_SECRET_LEN + 1];
	bool done;		/* what this run was to do with it */
};

_Noreturn void load_die(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));
uint64_t load_now_ns(void);

/* ---- load_keys.c ---- */

/* Makes the pairs; first of all. */
void load_pairs_make(void);
/* The public key of a possession or, `opening`, an opening key. */
const char *load_pair_public(unsigned pair, bool opening);
/* Signs `text` for the key, with its time put into `key` before. */
void load_sign(struct load_key *key, bool opening, const char *text,
    char signature[LOAD_SIGNATURE_LEN + 1]);
/* The time as a proof has it. */
void load_time_set(struct load_key *key);

/* An empty key behind the others; its index. */
size_t load_key_add(void);
struct load_key *load_key_at(size_t index);
size_t load_key_count(void);
/* No more than `most` of what was read. */
void load_keys_cut(size_t most);
void load_keys_read(const char *path);
/* Those that are done. */
void load_keys_write(const char *path);

/* ---- load_ask.c ---- */

void load_token_read(const char *path);
/*
 * A whole request for the key as it is known so far; its length.  `host` as
 * in the field Host.
 */
size_t load_ask(enum load_step step, size_t key, const char *host,
    char out[LOAD_REQUEST_MAX]);
/* Makes the opening proof of a key that is released. */
void load_sign_open(size_t key);
/* Keeps what the next step needs; NULL, or what is wrong with the answer. */
const char *load_take(enum load_step step, size_t key, int status,
    const char *body);

/* ---- load_net.c ---- */

enum load_turn {
	LOAD_TURN_ASK,		/* `step` and `key` are set */
	LOAD_TURN_LATER,	/* nothing before load_work.due_ns() */
	LOAD_TURN_END,		/* nothing any more */
};

struct load_client {
	enum load_step step;
	size_t key;
	uint64_t began_ns;	/* when it was to be asked */
	struct load_net *net;	/* its connection; load_net.c's */
};

struct load_work {
	/* What the client, which has nothing to do, does next. */
	enum load_turn (*next)(struct load_client *client);
	/* An answer; LOAD_TURN_ASK if it has a further request at once. */
	enum load_turn (*reply)(struct load_client *client, int status,
	    const char *body);
	/* The connection failed. */
	void (*lost)(struct load_client *client, const char *what);
	uint64_t (*due_ns)(void);
};

/* 127.0.0.1:PORT, where the key server is. */
void load_net_address(const char *text);
/*
 * Connects `count` clients and lets them work until none has anything to do;
 * calls `start` when the connections stand.
 */
void load_net_run(size_t count, const struct load_work *work,
    void (*start)(void));

#endif
