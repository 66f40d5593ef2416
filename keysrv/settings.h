/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_settings - the options of counterfoil-keysrv.conf.
 *
 * Knows: names, defaults, limits and which options belong together.
 * Threads: const after loading.   Logging: never.
 */
#ifndef CF_KEYSRV_SETTINGS_H
#define CF_KEYSRV_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/conf.h"
#include "common/err.h"

struct cf_settings {
	char *listen;		/* host:port */
	char *service_url;	/* what stands in links */
	char *tls_certificate;	/* NULL: plain HTTP, loopback only */
	char *tls_key;
	long threads;		/* that speak HTTP */
	long connection_limit;	/* HTTP connections at a time */
	long connections_per_address;	/* 0 = no limit of its own */
	struct cf_conf_list proxies;	/* in front; they say who is behind */
	long request_timeout_s;	/* for a client that stops in a request */
	char *database;		/* libpq connection string */
	long connections;	/* to the database, one worker each */
	long queue_limit;	/* requests waiting for a worker */
	bool unsafe_database;
	char *masterkey_file;
	long challenge_lifetime_s;
	long receipt_delay_s;
	int outbox;		/* 1: this server sends receipts */
	long outbox_poll_ms;
	char *smtp_server;
	int smtp_tls;		/* enum cf_mailer_tls */
	char *smtp_ca_file;
	char *smtp_helo;
	char *receipt_from;
	char *signer_certificate;
	char *signer_key;
	char *metrics_listen;	/* NULL: no counters are served */
	bool metrics_public;
	int log, log_level;	/* enum cf_log_to, enum cf_log_level */
};

extern const struct cf_conf_opt cf_settings_table[];
extern const size_t cf_settings_count;

/*
 * Load and check what belongs together.  On failure `s` is empty.
 * CF_E_CONFIG  with "file:line: " or "file: " in front
 */
CF_MUST_USE enum cf_err cf_settings_load(const char *path,
    struct cf_settings *s, struct cf_why *why);
void cf_settings_free(struct cf_settings *s);

#endif
