/* SPDX-License-Identifier: Apache-2.0 */
/* cf_pf - see postfix.h: how one Postfix is asked. */
#include "milter/check/postfix.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"

#define OUTPUT_MAX (1024 * 1024)
#define WORDS_MAX 200

static const char *
tool(const char *name, const char *usual)
{
	return access(usual, X_OK) == 0 ? usual : name;
}

static bool
postconf(const struct cf_pf *p, const char *what, const char *const *names,
    struct cf_buf *out)
{
	const char *argv[WORDS_MAX];
	size_t n = 0, i;

	argv[n++] = tool("postconf", "/usr/sbin/postconf");
	argv[n++] = "-c";
	argv[n++] = p->directory;
	argv[n++] = "-x";
	if (what != NULL)
		argv[n++] = what;
	for (i = 0; names != NULL && names[i] != NULL && n < WORDS_MAX - 1;
	    i++)
		argv[n++] = names[i];
	argv[n] = NULL;
	return cf_check_run(argv, NULL, out);
}

const char *
cf_pf_value(const struct cf_pf *p, const struct cf_postfix_service *s,
    const char *name)
{
	return cf_postfix_value(&p->conf, s, name);
}

bool
cf_pf_overrides(const struct cf_pf *p, const struct cf_postfix_service *s,
    const char *word)
{
	return cf_postfix_word(cf_pf_value(p, s,
	    "receive_override_options"), word) != NULL;
}

bool
cf_pf_read(struct cf_pf *p)
{
	static const char *const names[] = {
		"bounce_size_limit", "cleanup_replace_stray_cr_lf",
		"body_checks", "cleanup_service_name",
		"compatibility_level", "content_filter", "header_checks",
		"internal_mail_filter_classes", "mail_owner", "mail_version",
		"message_size_limit", "milter_content_timeout",
		"milter_default_action", "milter_header_checks",
		"milter_macro_daemon_name", "milter_protocol",
		"mime_header_checks", "nested_header_checks",
		"non_smtpd_milters", "notify_classes", "queue_directory",
		"receive_override_options", "smtpd_forbid_bare_newline",
		"smtpd_forbid_bare_newline_exclusions", "smtpd_milters",
		"smtpd_proxy_filter",
		"disable_mime_output_conversion",
		"smtp_send_xforward_command", "smtp_generic_maps",
		"smtp_header_checks", "smtp_line_length_limit",
		"smtpd_sasl_auth_enable", "smtpd_sender_login_maps",
		"smtpd_client_restrictions", "smtpd_helo_restrictions",
		"smtpd_sender_restrictions", "smtpd_relay_restrictions",
		"smtpd_recipient_restrictions", "smtpd_data_restrictions",
		"smtpd_end_of_data_restrictions", NULL
	};

	p->conf.main.max = p->conf.overrides.max = OUTPUT_MAX;
	p->conf.master.max = OUTPUT_MAX;
	if (!postconf(p, NULL, names, &p->conf.main) ||
	    !postconf(p, "-P", NULL, &p->conf.overrides) ||
	    !postconf(p, "-M", NULL, &p->conf.master))
		return false;
	cf_postfix_conf_parse(&p->conf);
	return p->conf.service_count > 0;
}

char *
cf_pf_other_value(const struct cf_pf *p, const char *name)
{
	const char *const names[] = { name, NULL };
	CF_AUTO(cf_postfix_conf_free) struct cf_postfix_conf other = { 0 };

	other.main.max = OUTPUT_MAX;
	if (postconf(p, NULL, names, &other.main))
		cf_postfix_conf_parse(&other);
	return cf_strdup(cf_postfix_value(&other, NULL, name));
}

/* ---- tables ---- */

/* postmap prints "line TAB answer" for each line it has an answer to. */
static void
note_answers(struct cf_pf_question *q, size_t count, char *text)
{
	char *save = NULL, *line;
	size_t i, len;

	for (line = strtok_r(text, "\n", &save); line != NULL;
	    line = strtok_r(NULL, "\n", &save))
		for (i = 0; i < count; i++) {
			len = strlen(q[i].line);
			/* The first table that knows it counts. */
			if (q[i].answer == NULL &&
			    strncmp(line, q[i].line, len) == 0 &&
			    line[len] == '\t')
				q[i].answer = cf_strdup(line + len + 1);
		}
}

/* The next table of a list, which is cut up and moves on; NULL at its end.
 * Blanks inside of braces belong to it. */
static char *
next_table(char **list)
{
	char *start = *list + strspn(*list, ", \t"), *p;
	int depth = 0;

	for (p = start; *p != '\0'; p++) {
		depth += (*p == '{') - (*p == '}');
		if (depth <= 0 && strchr(", \t", *p) != NULL)
			break;
	}
	*list = p + (*p != '\0');
	*p = '\0';
	return *start == '\0' ? NULL : start;
}

const char *
cf_pf_tables(const struct cf_pf *p, const struct cf_postfix_service *s,
    const char *parameter)
{
	const char *name = cf_pf_value(p, s, "cleanup_service_name");

	return cf_pf_value(p, cf_postfix_service(&p->conf, *name == '\0' ?
	    "cleanup" : name, "unix"), parameter);
}

void
cf_pf_ask(const struct cf_pf *p, const char *list, struct cf_pf_question *q,
    size_t count)
{
	CF_AUTO(cf_free) char *tables = cf_strdup(list);
	CF_AUTO(cf_buf_free) struct cf_buf lines = CF_BUF_INIT(4000);
	const char *argv[] = { tool("postmap", "/usr/sbin/postmap"), "-c",
	    p->directory, "-q", "-", NULL, NULL };
	char *rest = tables, *table;
	size_t i;

	for (i = 0; i < count; i++)
		cf_buf_addf(&lines, "%s\n", q[i].line);
	while ((table = next_table(&rest)) != NULL) {
		CF_AUTO(cf_buf_free) struct cf_buf out = CF_BUF_INIT(65536);

		argv[5] = table;
		if (cf_check_run(argv, cf_buf_str(&lines), &out) &&
		    out.len > 0)
			note_answers(q, count, out.data);
	}
}
