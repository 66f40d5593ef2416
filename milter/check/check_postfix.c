/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_check_postfix - see check_parts.h.
 *
 * Reads one instance by postconf(1) and postmap(1), as Postfix itself
 * understands its files, and looks at each listener that names our socket,
 * at the way of flagged mail to the hop, and at what must not carry the text
 * of a message in between.
 */
#include <ctype.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "milter/check/check_parts.h"
#include "milter/check/postfix_conf.h"

#define OUTPUT_MAX (1024 * 1024)
#define WORDS_MAX 200
#define OK CF_FINDING_OK
#define WARNING CF_FINDING_WARNING
#define ERROR CF_FINDING_ERROR

struct postfix {
	struct cf_check *check;
	const char *directory;
	struct cf_postfix_conf conf;
};

/* ---- reading ---- */

static const char *
tool(const char *name, const char *usual)
{
	return access(usual, X_OK) == 0 ? usual : name;
}

static bool
postconf(const struct postfix *p, const char *what, const char *const *names,
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

static const char *
value(const struct postfix *p, const struct cf_postfix_service *s,
    const char *name)
{
	return cf_postfix_value(&p->conf, s, name);
}

static bool
read_all(struct postfix *p)
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

	if (!postconf(p, NULL, names, &p->conf.main) ||
	    !postconf(p, "-P", NULL, &p->conf.overrides) ||
	    !postconf(p, "-M", NULL, &p->conf.master))
		return false;
	cf_postfix_conf_parse(&p->conf);
	return p->conf.service_count > 0;
}

/* ---- our socket ---- */

static bool
same_file(const char *a, const char *b)
{
	struct stat x, y;

	if (strcmp(a, b) == 0)
		return true;
	return stat(a, &x) == 0 && stat(b, &y) == 0 &&
	    x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* inet:PORT@HOST is ours, inet:HOST:PORT theirs. */
static bool
same_inet(const char *ours, const char *theirs)
{
	const char *port = strchr(ours, ':') + 1, *at = strchr(port, '@');
	CF_AUTO(cf_free) char *turned = cf_asprintf("inet:%s:%.*s", at + 1,
	    (int)(at - port), port);

	if (strcasecmp(turned, theirs) == 0)
		return true;
	return (strcmp(at + 1, "127.0.0.1") == 0 &&
	    strncasecmp(theirs, "inet:localhost:", 15) == 0 &&
	    strncmp(theirs + 15, port, (size_t)(at - port)) == 0 &&
	    theirs[15 + (at - port)] == '\0');
}

/* `ret_hidden`: it would be ours, but for the change of root. */
static bool
is_ours(const struct postfix *p, const struct cf_postfix_service *s,
    const char *address, bool *ret_hidden)
{
	const char *ours = p->check->snapshot->conf.socket;
	const char *queue = value(p, NULL, "queue_directory"), *path;

	*ret_hidden = false;
	if (strncmp(ours, "unix:", 5) != 0)
		return same_inet(ours, address);
	if (strncmp(address, "unix:", 5) != 0 &&
	    strncmp(address, "local:", 6) != 0)
		return false;
	path = strchr(address, ':') + 1;
	if (*path != '/' ||
	    (s != NULL && cf_postfix_is_chrooted(&p->conf, s))) {
		CF_AUTO(cf_free) char *inside = cf_asprintf("%s/%s", queue,
		    path + (*path == '/'));

		if (same_file(ours + 5, inside))
			return true;
		*ret_hidden = same_file(ours + 5, path);
		return false;
	}
	return same_file(ours + 5, path);
}

/* Our place in a list, from 0, and what it says of us; -1: not there. */
static int
our_place(const struct postfix *p, const struct cf_postfix_service *s,
    const char *list, struct cf_postfix_milter *ret)
{
	bool hidden;
	int i;

	for (i = 0; cf_postfix_next_milter(&list, ret); i++) {
		if (is_ours(p, s, ret->address, &hidden))
			return i;
		if (hidden)
			cf_check_say(p->check, ERROR, "%s runs in a chroot, "
			    "where %s is not our socket; put n into the "
			    "chroot column of its line in master.cf, or the "
			    "socket below %s", s->name, ret->address,
			    value(p, NULL, "queue_directory"));
	}
	return -1;
}

/* ---- one listener that names our socket ---- */

/* As cf_check_that(), with the listener's name. */
#define THAT_AT(p, s, good, finding, ok_text, ...) \
	((good) ? cf_check_say((p)->check, OK, "%s: " ok_text, (s)->name) : \
	cf_check_say((p)->check, (finding), __VA_ARGS__))

static void
check_action(const struct postfix *p, const struct cf_postfix_service *s,
    const struct cf_postfix_milter *e)
{
	const char *action = e->action[0] != '\0' ? e->action :
	    value(p, s, "milter_default_action");
	bool good = strcmp(action, "tempfail") == 0 ||
	    strcmp(action, "shutdown") == 0;

	THAT_AT(p, s, good, ERROR,
	    "mail waits while the milter is away (default action)",
	    "milter_default_action is %s at %s: %s; set tempfail", action,
	    s->name, strcmp(action, "reject") == 0 ?
	    "mail bounces while the milter is away" :
	    "flagged mail would leave in clear when the milter is away, and "
	    "is lost when it dies in the middle of a change");
}

static void
check_timeout(const struct postfix *p, const struct cf_postfix_service *s,
    const struct cf_postfix_milter *e)
{
	const char *text = e->content_timeout[0] != '\0' ?
	    e->content_timeout : value(p, s, "milter_content_timeout");
	long deadline = p->check->snapshot->conf.deadline_s;

	THAT_AT(p, s, cf_postfix_seconds(text) > deadline, WARNING,
	    "milter_content_timeout is longer than deadline_s",
	    "milter_content_timeout is %s at %s, and deadline_s is %ld s: "
	    "Postfix may give up first; make it longer, or deadline_s "
	    "shorter", text, s->name, deadline);
}

static void
check_size(const struct postfix *p, const struct cf_postfix_service *s)
{
	long long theirs = strtoll(value(p, s, "message_size_limit"), NULL,
	    10);
	long long ours = p->check->snapshot->conf.message_size_limit;
	bool good = theirs == 0 || (ours > 0 && ours <= theirs);

	THAT_AT(p, s, good, ERROR,
	    "message_size_limit here is not above Postfix's",
	    "message_size_limit is %lld here and %lld in Postfix: what is too "
	    "large when sealed is refused without the reason; set "
	    "message_size_limit = %lld in our configuration", ours, theirs,
	    theirs);
	if (good && ours > 0 && (theirs == 0 || ours < theirs))
		cf_check_say(p->check, OK, "message_size_limit is %lld here, "
		    "%lld in Postfix: mail with a receipt may be smaller than "
		    "other mail", ours, theirs);
}

/* What a milter is, by the name or the usual port of its socket. */
static bool
named_like(const char *address, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcasestr(address, *words) != NULL)
			return true;
	return false;
}

/* Does a milter see mail at another listener than this? */
static bool
sees_elsewhere(const struct postfix *p, const struct cf_postfix_service *s,
    const char *address)
{
	struct cf_postfix_milter e;
	const char *list;
	size_t i;

	for (i = 0; i < p->conf.service_count; i++) {
		if (&p->conf.service[i] == s ||
		    strcmp(p->conf.service[i].command, "smtpd") != 0)
			continue;
		list = value(p, &p->conf.service[i], "smtpd_milters");
		while (cf_postfix_next_milter(&list, &e))
			if (strcmp(e.address, address) == 0)
				return true;
	}
	return false;
}

static void
check_order(const struct postfix *p, const struct cf_postfix_service *s,
    const char *list, int place, bool outbound)
{
	static const char *const signers[] = { "dkim", ":8891", "arc",
	    "rspamd", ":11332", NULL };
	/* rspamd signs as well, and belongs behind us for that; but then it
	 * must have scanned before. */
	static const char *const both[] = { "rspamd", ":11332", NULL };
	static const char *const scanners[] = { "spamass", "clam", "amavis",
	    NULL };
	static const char *const verifiers[] = { "dkim", ":8891", "dmarc",
	    ":8893", "spf", "spamass", "clam", "rspamd", ":11332", NULL };
	struct cf_postfix_milter e;
	int i;

	for (i = 0; cf_postfix_next_milter(&list, &e); i++) {
		if (outbound && i < place && named_like(e.address, signers))
			cf_check_say(p->check, ERROR, "%s stands before us at "
			    "%s: what it signs is replaced here, and its "
			    "signature fails; put it behind us", e.address,
			    s->name);
		if (outbound && i > place && named_like(e.address, scanners))
			cf_check_say(p->check, WARNING, "%s stands behind us "
			    "at %s, where it sees sealed mail only; put it at "
			    "the port where the mail comes in", e.address,
			    s->name);
		if (outbound && i > place && named_like(e.address, both) &&
		    !sees_elsewhere(p, s, e.address))
			cf_check_say(p->check, WARNING, "%s stands behind us "
			    "at %s, where it can sign, but as a scanner sees "
			    "sealed mail only; name it at the port where the "
			    "mail comes in, too", e.address, s->name);
		if (!outbound && i > place &&
		    named_like(e.address, verifiers))
			cf_check_say(p->check, WARNING, "%s stands behind us "
			    "at %s: it sees the body that we wrote, and what "
			    "the sender signed fails; put it before us",
			    e.address, s->name);
	}
}

static bool
overrides(const struct postfix *p, const struct cf_postfix_service *s,
    const char *word)
{
	return cf_postfix_word(value(p, s, "receive_override_options"), word) !=
	    NULL;
}

/* The checks that every listener with our socket must stand. */
static void
check_listener(const struct postfix *p, const struct cf_postfix_service *s,
    const char *list, const struct cf_postfix_milter *e, int place,
    bool outbound)
{
	THAT_AT(p, s, !overrides(p, s, "no_milters"), ERROR,
	    "our milter is not switched off", "%s has no_milters in "
	    "receive_override_options, which switches us off; take it out",
	    s->name);
	check_action(p, s, e);
	check_timeout(p, s, e);
	check_size(p, s);
	THAT_AT(p, s, strtol(value(p, s, "milter_protocol"), NULL, 10) >= 6,
	    WARNING, "milter_protocol is 6",
	    "milter_protocol is %s at %s; remove the line, the default is 6",
	    value(p, s, "milter_protocol"), s->name);
	check_order(p, s, list, place, outbound);
	/* Postfix's MILTER_README, Limitations. */
	THAT_AT(p, s, *value(p, s, "smtpd_proxy_filter") == '\0', ERROR,
	    "we are shown what a mail contains", "%s has smtpd_proxy_filter = "
	    "%s, and so Postfix shows us no content and takes no change; "
	    "filter there with a milter instead", s->name,
	    value(p, s, "smtpd_proxy_filter"));
}

/* A filter behind the queue: does it see mail too late, or not at all? */
static void
check_filter(const struct postfix *p, const struct cf_postfix_service *s,
    bool ours, bool leads)
{
	const char *filter = value(p, s, "content_filter");

	if (*filter == '\0')
		return;
	if (leads)
		cf_check_say(p->check, WARNING, "flagged mail from %s goes to "
		    "the hop, and not to content_filter = %s: what is to be "
		    "scanned or get a disclaimer, a milter must see there",
		    s->name, filter);
	if (ours && p->check->snapshot->mode & CF_MODE_INBOUND)
		cf_check_say(p->check, WARNING, "content_filter = %s takes "
		    "the mail of %s behind us: it sees the body that we "
		    "wrote, and what the sender signed fails; disclaimers "
		    "are well there, but scan with a milter before us",
		    filter, s->name);
}

/* ---- the way of flagged mail ---- */

/* A line of a header, and what header_checks says to it. */
struct question {
	const char *line;
	bool is_flag;
	char *answer;		/* NULL: nothing */
};

static const struct question questions[] = {
	/* What the others are compared with. */
	{ "X-Return-Receipt: yes", true, NULL },
	{ "x-return-receipt:yes", true, NULL },
	{ "X-Return-Receipt: require=account; expires=7d", true, NULL },
	{ "X-RETURN-RECEIPT : yes", true, NULL },
	{ "X-Return-Receipt\t: yes", true, NULL },
	{ "Subject: X-Return-Receipt: yes", false, NULL },
	{ "X-Return-Receipt-To: yes", false, NULL },
	{ "X-Return-Path: yes", false, NULL },
};
#define QUESTIONS (sizeof questions / sizeof questions[0])

/* postmap prints "line TAB answer" for each line it has an answer to. */
static void
note_answers(struct question *q, size_t count, char *text)
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

/* The list of tables that looks at what comes in at a service (NULL: in
 * general).  `parameter`: header_checks or body_checks. */
static const char *
tables_of(const struct postfix *p, const struct cf_postfix_service *s,
    const char *parameter)
{
	const char *name = value(p, s, "cleanup_service_name");

	return value(p, cf_postfix_service(&p->conf, *name == '\0' ?
	    "cleanup" : name, "unix"), parameter);
}

/* As Postfix does: the first table that has an answer gives it. */
static void
ask_tables(const struct postfix *p, const char *list, struct question *q,
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

/* Where a FILTER action leads; NULL: it is another action, or none. */
static const char *
way_of(const char *action)
{
	if (action == NULL || strncasecmp(action, "FILTER ", 7) != 0)
		return NULL;
	return action + 7 + strspn(action + 7, " \t");
}

/* The listener of ours that "transport:destination" leads to, or NULL. */
static const struct cf_postfix_service *
hop_at(const struct postfix *p, const char *way)
{
	const char *colon = strchr(way, ':');
	const struct cf_postfix_service *hop = colon == NULL ? NULL :
	    cf_postfix_listener(&p->conf, colon + 1);
	struct cf_postfix_milter e;

	return hop != NULL && our_place(p, hop, value(p, hop,
	    "smtpd_milters"), &e) >= 0 ? hop : NULL;
}

/* Does every way to write the flag's name get the same answer? */
static void
check_rule(const struct postfix *p, const struct question *q)
{
	const char *action = q[0].answer;
	bool same;
	size_t i;

	for (i = 1; i < QUESTIONS; i++) {
		same = q[i].answer != NULL && strcmp(q[i].answer, action) == 0;
		if (!same && q[i].is_flag) {
			cf_check_say(p->check, ERROR, "header_checks does not "
			    "send \"%s\" to the hop, so such mail is refused "
			    "or leaves in clear; use the rule of "
			    "contrib/postfix/counterfoil_header_checks, with "
			    "[[:blank:]]*", q[i].line);
			return;
		}
		if (same && !q[i].is_flag)
			cf_check_say(p->check, WARNING, "header_checks sends "
			    "\"%s\" to the hop, too, though it is no flag",
			    q[i].line);
	}
	cf_check_say(p->check, OK, "header_checks sends flagged mail to the "
	    "hop");
}

#define NEAR_MAX 8

/* Is a flag that is no field, or of another name, seen by the milter?  `line`
 * ends with NULL. */
static void
check_near(const struct postfix *p, const char *parameter, const char *good,
    const char *const *line, const char *action)
{
	struct question q[NEAR_MAX] = { { NULL, true, NULL } };
	const char *unled[3] = { NULL };
	size_t count, i, n = 0;

	for (count = 0; line[count] != NULL && count < NEAR_MAX; count++)
		q[count].line = line[count];
	ask_tables(p, tables_of(p, NULL, parameter), q, count);
	for (i = 0; i < count; i++) {
		if ((q[i].answer == NULL || strcmp(q[i].answer, action) != 0) &&
		    n < 2)
			unled[n++] = line[i];
		free(q[i].answer);
	}
	cf_check_that(p->check, n == 0, WARNING, good, "%s does not send "
	    "\"%s\"%s%s%s to the hop: with such a line mail leaves in clear, "
	    "and nobody tells its sender; take the rules of "
	    "contrib/postfix/counterfoil_%s", parameter, unled[0],
	    n > 1 ? " and \"" : "", n > 1 ? unled[1] : "",
	    n > 1 ? "\"" : "", parameter);
}

static void
check_near_flags(const struct postfix *p, const char *action)
{
	/* Each rule of the sample is the only one for one of these. */
	static const char *const in_header[] = { "X_Return_Receipt: yes",
	    "X-Return-Reciept: yes", "X-Return-Rceiot: yes",
	    "X-Rterun-Receipt: yes", "X-Retrun-Receit: yes", NULL };
	static const char *const in_body[] = { "X-Return-Receipt: yes",
	    "X-Return Receipt: yes", NULL };

	check_near(p, "header_checks", "header_checks sends a flag that is "
	    "spelt wrong to the hop, which refuses it", in_header, action);
	check_near(p, "body_checks", "body_checks sends a flag behind the end "
	    "of the header there, too", in_body, action);
}

/* The tag as an encoded word of either kind, with a word behind it. */
static char *
encode_tag(const char *tag, char kind)
{
	CF_AUTO(cf_buf_free) struct cf_buf q = CF_BUF_INIT(400);
	CF_AUTO(cf_free) char *text = cf_asprintf("%s lunch", tag);
	char *word, *base64;

	for (; *tag != '\0'; tag++)
		if (g_ascii_isalnum(*tag))
			cf_buf_addc(&q, *tag);
		else
			cf_buf_addf(&q, "=%02X", (unsigned char)*tag);
	base64 = g_base64_encode((const guchar *)text, strlen(text));
	word = cf_asprintf("Subject: =?utf-8?%c?%s%s?=", kind,
	    kind == 'Q' ? cf_buf_str(&q) : base64,
	    kind == 'Q' ? "_lunch" : "");
	g_free(base64);
	return word;
}

/* Does mail with this line go where the flag goes, just when it should? */
static void
check_trigger(const struct postfix *p, const char *trigger,
    const char *action, const char *line)
{
	bool on = cf_conf_list_has(&p->check->snapshot->conf.triggers,
	    trigger);
	struct question q = { line, on, NULL };
	bool led;

	ask_tables(p, tables_of(p, NULL, "header_checks"), &q, 1);
	led = q.answer != NULL && strcmp(q.answer, action) == 0;
	if (on)
		cf_check_that(p->check, led, WARNING,
		    "header_checks sends what a trigger needs to the hop",
		    "the trigger %s is on, but header_checks does not send "
		    "\"%s\" to the hop: such mail leaves in clear; take the "
		    "# from its rule in %s", trigger, line,
		    value(p, NULL, "header_checks"));
	else if (led)
		cf_check_say(p->check, WARNING, "header_checks sends \"%s\" "
		    "to the hop, but the trigger %s is off, so nothing is "
		    "sealed for it; put it into triggers, or a # before the "
		    "rule", line, trigger);
	free(q.answer);
}

static void
check_triggers(const struct postfix *p, const char *action)
{
	const struct cf_mconf *conf = &p->check->snapshot->conf;
	CF_AUTO(cf_free) char *plain = cf_asprintf("Subject: %s lunch",
	    conf->subject_tag);
	CF_AUTO(cf_free) char *quoted = encode_tag(conf->subject_tag, 'Q');
	CF_AUTO(cf_free) char *base64 = encode_tag(conf->subject_tag, 'B');

	check_trigger(p, "disposition-notification-to", action,
	    "Disposition-Notification-To: a@example.org");
	check_trigger(p, "return-receipt-to", action,
	    "Return-Receipt-To: a@example.org");
	check_trigger(p, "subject-tag", action, plain);
	check_trigger(p, "subject-tag", action, quoted);
	check_trigger(p, "subject-tag", action, base64);
}

static void
check_transport(const struct postfix *p, const char *transport)
{
	const struct cf_postfix_service *s = cf_postfix_service(&p->conf,
	    transport, "unix");
	CF_AUTO(cf_free) char *name = cf_asprintf(
	    "%s_destination_recipient_limit", transport);
	const char *const names[] = { name, NULL };
	CF_AUTO(cf_postfix_conf_free) struct cf_postfix_conf other = { 0 };
	const char *limit;

	if (s == NULL) {
		cf_check_say(p->check, ERROR, "flagged mail is sent to the "
		    "transport %s, which is not in master.cf; see "
		    "contrib/postfix/sender-master.cf", transport);
		return;
	}
	other.main.max = OUTPUT_MAX;
	if (postconf(p, NULL, names, &other.main))
		cf_postfix_conf_parse(&other);
	limit = cf_postfix_value(&other, NULL, name);
	cf_check_that(p->check, strcmp(limit, "1") == 0, ERROR,
	    "the hop takes one recipient at a time", "%s is %s: mail to "
	    "several recipients is refused; set %s = 1", name,
	    *limit == '\0' ? "unset" : limit, name);
	cf_check_that(p->check, strcmp(value(p, s,
	    "disable_mime_output_conversion"), "yes") == 0 &&
	    strcmp(value(p, s, "smtp_line_length_limit"), "0") == 0 &&
	    *value(p, s, "smtp_generic_maps") == '\0' &&
	    *value(p, s, "smtp_header_checks") == '\0', WARNING,
	    "the hop changes nothing in the mail", "transport %s may change "
	    "mail before it is sealed; give it the options of "
	    "contrib/postfix/sender-master.cf", transport);
}

static void
check_hop(const struct postfix *p, const struct cf_postfix_service *s)
{
	const struct cf_mconf *conf = &p->check->snapshot->conf;
	const char *name = value(p, s, "milter_macro_daemon_name");
	const char *list = value(p, s, "smtpd_milters");
	struct cf_postfix_milter e;
	int place = our_place(p, s, list, &e);

	if (place < 0) {
		cf_check_say(p->check, ERROR, "the hop %s does not name our "
		    "socket (smtpd_milters is \"%s\"): flagged mail leaves "
		    "in clear; set smtpd_milters as in "
		    "contrib/postfix/sender-master.cf", s->name, list);
		return;
	}
	check_listener(p, s, list, &e, place, true);
	cf_check_that(p->check, overrides(p, s, "no_header_body_checks"),
	    ERROR, "the hop does not send mail to itself", "the hop %s has no "
	    "no_header_body_checks in receive_override_options: "
	    "header_checks would send its mail there again", s->name);
	cf_check_that(p->check, overrides(p, s, "no_address_mappings"),
	    WARNING, "the hop expands no addresses", "the hop %s has no "
	    "no_address_mappings in receive_override_options: aliases and "
	    "always_bcc are applied twice", s->name);
	cf_check_that(p->check, *value(p, s, "content_filter") == '\0', ERROR,
	    "the hop has no content_filter", "the hop %s has content_filter = "
	    "%s; set it empty there", s->name, value(p, s, "content_filter"));
	cf_check_that(p->check, cf_conf_list_has(&conf->entitled_daemons,
	    name), WARNING, "mail at the hop may use the flag",
	    "entitled_daemons does not have %s, the name of the hop %s: there "
	    "only networks count, and clients that authenticated at the front "
	    "are refused", name, s->name);
}

static void
check_quiet(const struct postfix *p)
{
	static const char *const names[] = { "nested_header_checks",
	    "mime_header_checks" };
	size_t i;

	for (i = 0; i < 2; i++)
		if (*value(p, NULL, names[i]) == '\0')
			cf_check_say(p->check, OK, "%s is empty: a flag "
			    "inside of attached mail is none", names[i]);
		else
			cf_check_say(p->check, ERROR, "%s is %s: a flag "
			    "inside of attached mail would count; set %s =",
			    names[i], value(p, NULL, names[i]), names[i]);
}

/* A FILTER action or content_filter: "transport:destination". */
static const struct cf_postfix_service *
check_way(const struct postfix *p, const char *way)
{
	size_t n = strcspn(way, ":");
	CF_AUTO(cf_free) char *transport = cf_strndup(way, n);
	const struct cf_postfix_service *hop;

	check_transport(p, transport);
	hop = cf_postfix_listener(&p->conf, way + n + (way[n] == ':'));
	if (hop == NULL)
		cf_check_say(p->check, ERROR, "flagged mail is sent to %s, "
		    "where no service of master.cf listens", way);
	else
		check_hop(p, hop);
	return hop;
}

/* Gives the hop, or NULL: there is none.  *ret_led: mail is sent to one. */
static const struct cf_postfix_service *
check_flagged(const struct postfix *p, bool *ret_led)
{
	struct question q[QUESTIONS];
	const char *filter = value(p, NULL, "content_filter");
	const struct cf_postfix_service *hop = NULL;
	size_t i;

	memcpy(q, questions, sizeof q);
	ask_tables(p, tables_of(p, NULL, "header_checks"), q, QUESTIONS);
	*ret_led = true;
	if (way_of(q[0].answer) != NULL) {
		check_rule(p, q);
		check_near_flags(p, q[0].answer);
		check_triggers(p, q[0].answer);
		check_quiet(p);
		hop = check_way(p, way_of(q[0].answer));
	} else if (hop_at(p, filter) != NULL) {
		hop = check_way(p, filter);
	} else {
		*ret_led = false;
		cf_check_say(p->check, WARNING, "no rule of header_checks "
		    "(which says \"%s\" to the flag) and no content_filter "
		    "leads flagged mail to a hop with one recipient at a "
		    "time: mail to several recipients is refused; see "
		    "contrib/postfix/sender-main.cf", q[0].answer == NULL ?
		    "" : q[0].answer);
	}
	for (i = 0; i < QUESTIONS; i++)
		free(q[i].answer);
	return hop;
}

enum way {
	TO_HOP,			/* or to what was taken for one */
	REFUSED,		/* or thrown away */
	ELSEWHERE
};

/* Where does flagged mail go that comes in at this service, `led` being what
 * header_checks and content_filter do in general? */
static enum way
ask_way(const struct postfix *p, const struct cf_postfix_service *s, bool led)
{
	const char *tables = tables_of(p, s, "header_checks");
	const char *filter = value(p, s, "content_filter"), *way;
	struct question q = questions[0];
	enum way answer = ELSEWHERE;

	if (!overrides(p, s, "no_header_body_checks"))
		ask_tables(p, tables, &q, 1);
	way = way_of(q.answer);
	if (way != NULL)
		answer = hop_at(p, way) != NULL || (led && strcmp(tables,
		    tables_of(p, NULL, "header_checks")) == 0) ? TO_HOP :
		    ELSEWHERE;
	else if (q.answer != NULL && (g_ascii_isdigit(*q.answer) ||
	    strncasecmp(q.answer, "REJECT", 6) == 0 ||
	    strncasecmp(q.answer, "DISCARD", 7) == 0))
		answer = REFUSED;
	else if (hop_at(p, filter) != NULL)
		answer = TO_HOP;
	free(q.answer);
	return answer;
}

/* ---- what must not carry the text ---- */

static void
check_bounces(const struct postfix *p)
{
	const char *classes = value(p, NULL, "notify_classes");

	cf_check_that(p->check, strcmp(value(p, NULL, "bounce_size_limit"),
	    "1") == 0, ERROR, "a bounce does not carry the text",
	    "bounce_size_limit is %s: a bounce made before the mail is sealed "
	    "carries its text; set bounce_size_limit = 1",
	    value(p, NULL, "bounce_size_limit"));
	cf_check_that(p->check, cf_postfix_word(classes, "bounce") == NULL &&
	    cf_postfix_word(classes, "2bounce") == NULL, ERROR,
	    "the postmaster gets no copies of bounces",
	    "notify_classes is %s: the postmaster gets copies of bounces; "
	    "take out bounce and 2bounce", classes);
}

static void
check_line_ends(const struct postfix *p)
{
	const char *bare = value(p, NULL, "smtpd_forbid_bare_newline");
	const char *but = value(p, NULL,
	    "smtpd_forbid_bare_newline_exclusions");

	cf_check_that(p->check, *bare != '\0' && strcmp(bare, "no") != 0,
	    ERROR, "a bare line feed ends no message",
	    "smtpd_forbid_bare_newline is %s: a second message can be hidden "
	    "in one, and leaves unsealed; set normalize", *bare == '\0' ?
	    "unknown to this Postfix, which needs an update" : bare);
	cf_check_that(p->check, *but == '\0', WARNING,
	    "nobody is excepted from that",
	    "smtpd_forbid_bare_newline_exclusions is %s: set it empty", but);
	cf_check_that(p->check, strcmp(value(p, NULL,
	    "cleanup_replace_stray_cr_lf"), "yes") == 0, ERROR,
	    "stray CR and LF are replaced where mail comes in",
	    "cleanup_replace_stray_cr_lf is %s: mail would be changed after "
	    "it was signed or sealed; set yes",
	    value(p, NULL, "cleanup_replace_stray_cr_lf"));
}

static void
check_inside(const struct postfix *p, bool led)
{
	const char *classes = value(p, NULL, "internal_mail_filter_classes");
	const char *late = value(p, NULL, "milter_header_checks");
	struct cf_postfix_milter e;
	bool ours = our_place(p, NULL, value(p, NULL, "non_smtpd_milters"),
	    &e) >= 0;
	bool outbound = p->check->snapshot->mode & CF_MODE_OUTBOUND;
	enum way way = ask_way(p, cf_postfix_service(&p->conf, "pickup",
	    "unix"), led);

	led = way == TO_HOP;
	if (outbound && led)
		cf_check_that(p->check, !ours, WARNING,
		    "mail of sendmail(1) is sealed at the hop alone",
		    "our socket is in non_smtpd_milters beside the hop: mail "
		    "of sendmail(1) to several recipients bounces; take it "
		    "out");
	else if (outbound && way != REFUSED)
		cf_check_that(p->check, ours, ERROR,
		    "mail of sendmail(1) is sealed, too",
		    "our socket is not in non_smtpd_milters, and nothing "
		    "leads to the hop: flagged mail of sendmail(1) leaves in "
		    "clear; put it there");
	cf_check_that(p->check, *classes == '\0' || !ours, WARNING,
	    "mail that Postfix makes itself does not come to us",
	    "internal_mail_filter_classes is %s: Postfix's own notices come "
	    "to us; set it empty", classes);
	cf_check_that(p->check, *late == '\0', WARNING,
	    "no milter_header_checks", "milter_header_checks is %s: its rules "
	    "see the fields that we write, and may hold or drop sealed mail "
	    "without a word", late);
}

/* ---- all of an instance ---- */

static bool
is_loopback(const struct cf_postfix_service *s)
{
	return strncmp(s->name, "127.", 4) == 0 ||
	    strncmp(s->name, "localhost:", 10) == 0 ||
	    strncmp(s->name, "[::1]", 5) == 0 ||
	    strncmp(s->name, "::1", 3) == 0;
}

/* Port 25 of the world must not lead to the hop. */
static void
check_world(const struct postfix *p, const struct cf_postfix_service *s,
    bool ours)
{
	const char *colon = strrchr(s->name, ':');
	const char *port = colon == NULL ? s->name : colon + 1;

	if ((strcmp(port, "smtp") != 0 && strcmp(port, "25") != 0) ||
	    is_loopback(s))
		return;
	cf_check_that(p->check, ours, WARNING,
	    "mail from the world comes to us", "%s takes mail from the world "
	    "without our milter: a flag of a stranger is not removed there; "
	    "see contrib/postfix/outside-master.cf", s->name);
	cf_check_that(p->check, overrides(p, s, "no_header_body_checks"),
	    ERROR, "a stranger's flag does not lead to the hop",
	    "%s has no no_header_body_checks in receive_override_options: a "
	    "stranger's flag leads to the hop, where it counts; see "
	    "contrib/postfix/outside-master.cf", s->name);
}

/* Does a list of restrictions refuse who sends as another, before it lets
 * him through? */
static bool
list_ties(const char *list)
{
	static const char *const words[] = { "reject_sender_login_mismatch",
	    "reject_authenticated_sender_login_mismatch",
	    "reject_known_sender_login_mismatch" };
	const char *through = cf_postfix_word(list,
	    "permit_sasl_authenticated");
	const char *found;
	size_t i;

	for (i = 0; i < sizeof words / sizeof words[0]; i++) {
		found = cf_postfix_word(list, words[i]);
		if (found != NULL && (through == NULL || found < through))
			return true;
	}
	return false;
}

static bool
ties_sender(const struct postfix *p, const struct cf_postfix_service *s)
{
	static const char *const lists[] = { "client", "helo", "sender",
	    "relay", "recipient", "data", "end_of_data" };
	size_t i;

	if (*value(p, s, "smtpd_sender_login_maps") == '\0')
		return false;
	for (i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		CF_AUTO(cf_free) char *name = cf_asprintf(
		    "smtpd_%s_restrictions", lists[i]);

		if (list_ties(value(p, s, name)))
			return true;
	}
	return false;
}

/* Where people authenticate, may they send as anybody?  `led`: their flagged
 * mail goes to the hop, which does not know who they are. */
static void
check_login(const struct postfix *p, const struct cf_postfix_service *s,
    bool ours, bool led)
{
	bool here = p->check->snapshot->conf.sender_is_login;

	if (strcmp(value(p, s, "smtpd_sasl_auth_enable"), "yes") != 0 ||
	    (!ours && !led))
		return;
	THAT_AT(p, s, ties_sender(p, s) || (here && ours), WARNING,
	    "who authenticates may send in his own name only",
	    "%s: who authenticates may send in anybody's name, and recipients "
	    "are told that it was checked; set smtpd_sender_login_maps, and "
	    "reject_authenticated_sender_login_mismatch before "
	    "permit_sasl_authenticated in smtpd_sender_restrictions%s",
	    s->name, here ? " (sender_is_login does not help: the hop does "
	    "not know the login)" : ours ? ", or sender_is_login here" : "");
}

/* Are all clients that may use the flag on this machine? */
static bool
only_loopback(const struct cf_snapshot *s)
{
	struct cf_network v4, v6;
	size_t i;

	if (!cf_network_parse("127.0.0.0/8", &v4) ||
	    !cf_network_parse("::1", &v6))
		cf_bug("networks of this machine");
	for (i = 0; i < s->network_count; i++)
		if (!cf_network_has(&v4, &s->networks[i]) &&
		    !cf_network_has(&v6, &s->networks[i]))
			return false;
	return true;
}

/*
 * Beside the hop, a listener with our socket from which nothing leads there:
 * who may use the flag there may have one recipient.
 */
static void
check_beside_hop(const struct postfix *p, const struct cf_postfix_service *s)
{
	const struct cf_snapshot *snapshot = p->check->snapshot;
	bool login = snapshot->conf.trust_authenticated &&
	    strcmp(value(p, s, "smtpd_sasl_auth_enable"), "yes") == 0;

	if (!overrides(p, s, "no_header_body_checks") ||
	    (snapshot->network_count == 0 && !login))
		return;
	if (only_loopback(snapshot) && !login)
		cf_check_say(p->check, OK, "%s: flagged mail that a program "
		    "of this machine hands in here may have one recipient; "
		    "sendmail(1) and the port for your people take several",
		    s->name);
	else
		cf_check_say(p->check, WARNING, "%s: flagged mail of %s that "
		    "comes in here to several recipients is refused, as it "
		    "does not lead to the hop; let them use the port for your "
		    "people, or take them out of %s", s->name, login ?
		    "clients that authenticate" : "clients in networks",
		    login ? "smtpd_sasl_auth_enable there" : "networks");
}

/*
 * Promise of the flag: what has it is sealed or refused.  So at each listener
 * either we see it, or it leads to where we do.  What a filter gives back on
 * this machine had its flag looked at before: FILTER wins over
 * content_filter.  With smtpd_proxy_filter it comes in where that gives it
 * back.
 */
static void
check_clear(const struct postfix *p, const struct cf_postfix_service *s,
    bool ours, enum way way, bool led)
{
	bool checks = !overrides(p, s, "no_header_body_checks");

	if (ours || way != ELSEWHERE ||
	    *value(p, s, "smtpd_proxy_filter") != '\0')
		return;
	if (led && !checks && is_loopback(s))
		cf_check_say(p->check, WARNING, "%s: flagged mail that comes "
		    "in here leaves in clear: no milter of ours is there, and "
		    "no_header_body_checks keeps it from the hop; that is "
		    "well if only a filter gives mail back there", s->name);
	else
		cf_check_say(p->check, ERROR, "%s: flagged mail that comes in "
		    "here leaves in clear: no milter of ours is there, and %s "
		    "leads it to the hop; set header_checks as in "
		    "contrib/postfix/sender-main.cf with our table first, or "
		    "smtpd_milters to our socket", s->name, checks ?
		    "no rule of header_checks" : "no_header_body_checks in "
		    "receive_override_options is there, so nothing");
}

/* Gives the number of listeners that name our socket. */
static unsigned
check_listeners(const struct postfix *p, const struct cf_postfix_service *hop,
    bool led)
{
	const struct cf_postfix_service *s;
	const char *list;
	struct cf_postfix_milter e;
	bool outbound = p->check->snapshot->mode & CF_MODE_OUTBOUND, leads;
	unsigned found = 0;
	enum way way;
	size_t i;
	int place;

	for (i = 0; i < p->conf.service_count; i++) {
		s = &p->conf.service[i];
		if (strcmp(s->command, "smtpd") != 0 || s == hop)
			continue;
		list = value(p, s, "smtpd_milters");
		place = our_place(p, s, list, &e);
		found += place >= 0;
		if (place >= 0)
			check_listener(p, s, list, &e, place,
			    p->check->snapshot->mode == CF_MODE_OUTBOUND);
		way = outbound ? ask_way(p, s, led) : ELSEWHERE;
		leads = way == TO_HOP;
		check_filter(p, s, place >= 0, leads);
		if (led)
			check_world(p, s, place >= 0);
		if (hop != NULL && place >= 0)
			check_beside_hop(p, s);
		if (outbound) {
			check_clear(p, s, place >= 0, way, led);
			check_login(p, s, place >= 0, leads);
		}
	}
	return found + (hop != NULL);
}

static bool
check_all(const struct postfix *p)
{
	bool outbound = p->check->snapshot->mode & CF_MODE_OUTBOUND;
	const struct cf_postfix_service *hop = NULL;
	const char *owner = value(p, NULL, "mail_owner");
	struct cf_postfix_milter e;
	bool led = false;
	unsigned found;

	if (outbound)
		hop = check_flagged(p, &led);
	found = check_listeners(p, hop, led);
	if (found == 0 && our_place(p, NULL, value(p, NULL,
	    "non_smtpd_milters"), &e) < 0) {
		cf_check_say(p->check, ERROR, "no smtpd of this Postfix names "
		    "our socket %s in smtpd_milters",
		    p->check->snapshot->conf.socket);
		return false;
	}
	if (outbound)
		check_bounces(p);
	check_line_ends(p);
	check_inside(p, led);
	cf_check_socket(p->check, *owner == '\0' ? "postfix" : owner);
	return true;
}

/* Does any part of this Postfix name our socket? */
static bool
uses_us(const struct postfix *p)
{
	struct cf_postfix_milter e;
	const struct cf_postfix_service *s;
	bool found = our_place(p, NULL, value(p, NULL, "non_smtpd_milters"),
	    &e) >= 0;
	size_t i;

	for (i = 0; i < p->conf.service_count && !found; i++) {
		s = &p->conf.service[i];
		found = our_place(p, s, value(p, s, "smtpd_milters"), &e) >= 0;
	}
	return found;
}

bool
cf_check_postfix(struct cf_check *check, const char *directory, bool guessed)
{
	bool used = false;
	CF_AUTO(cf_free) char *subject = cf_asprintf("Postfix %s", directory);
	struct postfix p = { 0 };

	p.check = check;
	p.directory = directory;
	p.conf.main.max = p.conf.overrides.max = OUTPUT_MAX;
	p.conf.master.max = OUTPUT_MAX;
	check->f.subject = subject;
	if (read_all(&p))
		used = (guessed && !uses_us(&p)) ? false : check_all(&p);
	else
		cf_check_say(check, ERROR, "postconf -c %s gives no "
		    "configuration", directory);
	cf_postfix_conf_free(&p.conf);
	check->f.subject = "";
	return used;
}
