/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outbox alone, for tests: outbox_run key=value ..., until SIGTERM.
 * Or "signer-new=ADDRESS certificate=F key=F [algorithm=A]".
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "keysrv/admin/admin_signer.h"
#include "keysrv/receipt/outbox.h"

static int count;
static char **args;

static const char *
value(const char *key)
{
	size_t len = strlen(key);
	int i;

	for (i = 1; i < count; i++)
		if (strncmp(args[i], key, len) == 0 && args[i][len] == '=')
			return args[i] + len + 1;
	return NULL;
}

static long
number(const char *key)
{
	return value(key) == NULL ? 0 : strtol(value(key), NULL, 10);
}

static int
failed(const struct cf_why *why)
{
	fprintf(stderr, "outbox_run: %s\n", why->text);
	return 1;
}

static enum cf_err
start(struct cf_outbox **ret, struct cf_why *why)
{
	struct cf_secret secret = CF_SECRET_EMPTY;
	struct cf_outbox_options o = {
		.database = value("database"),
		/* The table is there alone; the cluster does not fsync. */
		.unsafe_database = true,
		.any_schema = true,
		.server_secret = &secret,
		.mailer = {
			.server = value("smtp"),
			.ca_file = value("ca"),
			.timeout_ms = number("timeout"),
		},
		.receipt_from = value("from"),
		.signer_certificate = value("certificate"),
		.signer_key = value("key"),
		.poll_ms = number("poll"),
		.lease_ms = number("lease"),
		.retry_first_ms = number("retry-first"),
		.retry_most_ms = number("retry-most"),
		.max_age_ms = number("max-age"),
	};

	int tls = CF_MAILER_TLS_OFF;

	cf_secret_set(&secret, "0123456789abcdef0123456789abcdef", 32);
	if (value("tls") != NULL &&
	    !cf_conf_value(cf_mailer_tls_names, value("tls"), &tls))
		return cf_fail(CF_E_CONFIG, why, "tls");
	o.mailer.tls = (enum cf_mailer_tls)tls;
	return cf_outbox_start(&o, ret, why);
}

int
main(int argc, char **argv)
{
	struct cf_outbox *outbox = NULL;
	struct cf_why why = { "" };
	sigset_t set;
	int sig;

	count = argc;
	args = argv;
	cf_log_open("outbox_run", CF_LOG_STDERR, CF_LOG_DEBUG);
	if (value("signer-new") != NULL)
		return cf_admin_signer_new(value("signer-new"),
		    value("certificate"), value("key"), value("algorithm"),
		    stdout, &why) == CF_OK ? 0 : failed(&why);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	if (start(&outbox, &why) != CF_OK)
		return failed(&why);
	fprintf(stderr, "ready\n");
	(void)sigwait(&set, &sig);
	cf_outbox_stop(&outbox);
	return 0;
}
