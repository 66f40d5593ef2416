/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counterfoil status - own sealed messages and what became of them.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/wire.h"
#include "milter/cli/cli.h"

#define ROW "%-16s  %-8s  %-9s  %-16s  %-16s  %-13s  %-*s  %s\n"
#define RECIPIENT_COLUMNS 40	/* longer ones push their line out */
#define ANSWER_MAX (4 * 1024 * 1024)
#define LIMIT_MAX 1000

static int
usage(void)
{
	fputs("usage: counterfoil status [--limit N] [--json]\n", stderr);
	return CF_EXIT_USAGE;
}

static bool
parse_arguments(int argc, char **argv, long *ret_limit, bool *ret_json)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "limit", required_argument, NULL, 'n' },
		{ NULL, 0, NULL, 0 }
	};
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'j') {
			*ret_json = true;
		} else if (c == 'n') {
			*ret_limit = strtol(optarg, &end, 10);
			if (*end != '\0' || end == optarg || *ret_limit < 1 ||
			    *ret_limit > LIMIT_MAX)
				return false;
		} else {
			return false;
		}
	}
	return optind == argc;
}

static enum cf_err
get(struct cf_httpc *http, const struct cf_cli_conf *conf,
    const struct cf_secret *token, const char *service, long limit,
    struct cf_buf *answer, struct cf_why *why)
{
	CF_AUTO(cf_free) char *path =
	    cf_asprintf(CF_PATH_MESSAGES "?limit=%ld", limit);
	const struct cf_httpc_request request = {
		.service = service,
		.path = path,
		.bearer = token,
		.timeout_ms = conf->timeout_s * 1000,
	};
	enum cf_err rc;
	long status = 0;

	cf_buf_reset(answer);
	rc = cf_httpc_send(http, &request, &status, answer, why);
	if (rc == CF_OK && status != 200)
		rc = cf_json_problem(status, cf_buf_str(answer), answer->len,
		    service, why);
	return rc;
}

/* The first key server that has an answer; another one only if it is away. */
static enum cf_err
ask(const struct cf_cli_conf *conf, long limit, struct cf_buf *answer,
    struct cf_why *why)
{
	CF_AUTO(cf_secret_wipe) struct cf_secret token = CF_SECRET_EMPTY;
	CF_AUTO(cf_proxy_wipe) struct cf_proxy proxy = { 0 };
	CF_AUTO(cf_httpc_free) struct cf_httpc *http = NULL;
	enum cf_err rc;
	size_t i;

	if (conf->key_servers.count == 0)
		return cf_fail(CF_E_CONFIG, why, "no key server to ask: set "
		    "the option \"key_servers\", or give --key-server");
	if (conf->api_token_file == NULL)
		return cf_fail(CF_E_CONFIG, why, "no API token: set the "
		    "option \"api_token_file\"");
	rc = cf_secret_read_file(conf->api_token_file, CF_TOKEN_LEN, &token,
	    why);
	if (rc == CF_OK)
		rc = cf_cli_client(conf, &proxy, &http, why);
	if (rc != CF_OK)
		return rc;
	for (i = 0; i < conf->key_servers.count; i++) {
		rc = get(http, conf, &token, conf->key_servers.item[i], limit,
		    answer, why);
		if (cf_err_class(rc) != CF_CLASS_TEMP)
			break;
	}
	return rc;
}

/* 2026-11-23T13:35:00.123Z -> 2026-11-23 13:35, in UTC.  Gives. */
static char *
short_time(const json_t *message, const char *name)
{
	const char *s = cf_json_string(message, name);
	int64_t ms;

	if (s == NULL || !cf_clock_parse(s, &ms))
		return cf_strdup("-");
	return cf_asprintf("%.10s %.5s", s, s + 11);
}

static char *
text_of(const json_t *message, const char *name)
{
	const char *s = cf_json_string(message, name);

	return s == NULL || *s == '\0' ? cf_strdup("-") : cf_cli_clean(s);
}

static void
print_row(const json_t *m, int width)
{
	CF_AUTO(cf_free) char *sent = short_time(m, "issued_at");
	CF_AUTO(cf_free) char *released = short_time(m, "released_at");
	CF_AUTO(cf_free) char *opened = short_time(m, "opened_at");
	CF_AUTO(cf_free) char *status = text_of(m, "status");
	CF_AUTO(cf_free) char *assurance = text_of(m, "assurance");
	CF_AUTO(cf_free) char *receipt = text_of(m, "receipt");
	CF_AUTO(cf_free) char *recipient = text_of(m, "recipient");
	CF_AUTO(cf_free) char *id = text_of(m, "message_id");

	printf(ROW, sent, status, assurance, released, opened, receipt,
	    width, recipient, id);
}

/* The widest recipient, so that the last column has one edge, too. */
static int
recipient_width(const json_t *messages)
{
	size_t i, width = strlen("RECIPIENT");
	const json_t *m;

	json_array_foreach(messages, i, m) {
		CF_AUTO(cf_free) char *recipient = text_of(m, "recipient");

		if (strlen(recipient) > width)
			width = strlen(recipient);
	}
	return width > RECIPIENT_COLUMNS ? RECIPIENT_COLUMNS : (int)width;
}

static bool
same_member(const json_t *a, const json_t *b, const char *name)
{
	const char *x = cf_json_string(a, name), *y = cf_json_string(b, name);

	return x != NULL && y != NULL && strcmp(x, y) == 0;
}

/*
 * A message that was sealed again, because its first copy or the word of its
 * arrival was lost on the way, is still one message to its sender.  They come
 * newest first, and the key server leaves out what stands behind an attempt
 * that was opened.
 */
static void
drop_repeats(json_t *messages)
{
	const json_t *m;
	size_t i = 0, k;

	while (i < json_array_size(messages)) {
		m = json_array_get(messages, i);
		for (k = 0; k < i; k++)
			if (same_member(m, json_array_get(messages, k),
			    "message_ref") && same_member(m,
			    json_array_get(messages, k), "recipient"))
				break;
		if (k < i)
			(void)json_array_remove(messages, i);
		else
			i++;
	}
}

static enum cf_err
print(const struct cf_buf *answer, bool as_json, struct cf_why *why)
{
	CF_AUTO(cf_json_free) json_t *json = NULL;
	json_t *messages;
	const json_t *m;
	size_t i;
	int width;

	if (cf_json_parse(cf_buf_str(answer), answer->len, &json, NULL) !=
	    CF_OK)
		return cf_fail(CF_E_PROTOCOL, why, "not a JSON object");
	messages = json_object_get(json, "messages");
	if (!json_is_array(messages))
		return cf_fail(CF_E_PROTOCOL, why, "no \"messages\" in it");
	json_array_foreach(messages, i, m)
		if (cf_json_string(m, "handle") == NULL ||
		    cf_json_string(m, "status") == NULL ||
		    cf_json_string(m, "recipient") == NULL)
			return cf_fail(CF_E_PROTOCOL, why,
			    "message %zu lacks what it must have", i + 1);
	drop_repeats(messages);
	if (as_json) {
		(void)json_dumpf(messages, stdout,
		    JSON_INDENT(2) | JSON_ENSURE_ASCII);
		putchar('\n');
		return CF_OK;
	}
	if (json_array_size(messages) == 0) {
		puts("No sealed messages yet.");
		return CF_OK;
	}
	width = recipient_width(messages);
	printf(ROW, "SENT (UTC)", "STATUS", "ASSURANCE", "RELEASED", "OPENED",
	    "RECEIPT", width, "RECIPIENT", "MESSAGE-ID");
	json_array_foreach(messages, i, m)
		print_row(m, width);
	return CF_OK;
}

int
cf_cmd_status(const struct cf_cli_conf *conf, int argc, char **argv)
{
	CF_AUTO(cf_buf_free) struct cf_buf answer = CF_BUF_INIT(ANSWER_MAX);
	struct cf_why why = { "" };
	bool as_json = false;
	long limit = 20;
	enum cf_err rc;

	if (!parse_arguments(argc, argv, &limit, &as_json))
		return usage();
	rc = ask(conf, limit, &answer, &why);
	if (rc == CF_OK)
		rc = print(&answer, as_json, &why);
	if (rc != CF_OK)
		return cf_cli_fail_asking(conf, rc, &why);
	return fflush(stdout) == 0 ? CF_EXIT_OK : CF_EXIT_TEMPORARY;
}
