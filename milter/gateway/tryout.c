/* SPDX-License-Identifier: Apache-2.0 */
/* cf_tryout - see tryout.h. */
#include "milter/gateway/tryout.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

#include "common/mem.h"
#include "milter/gateway/eom.h"
#include "milter/gateway/reply.h"

#define CHUNK 65535		/* as a mail server sends a body */

/* One field, changed as a mail server would; `name` NULL: it is gone. */
struct line {
	char *name, *value;
};

struct mail {
	struct line *line;
	size_t count;
	const char *body;	/* into the message */
	struct cf_buf new_body;
	bool replaced;
};

static void
mail_free(struct mail *mail)
{
	size_t i;

	for (i = 0; i < mail->count; i++) {
		free(mail->line[i].name);
		free(mail->line[i].value);
	}
	free(mail->line);
	cf_buf_free(&mail->new_body);
}

/* ---- reading ---- */

static void
tryout_add_line(struct mail *mail, char *name, char *value)
{
	mail->line = cf_realloc(mail->line, mail->count + 1,
	    sizeof *mail->line);
	mail->line[mail->count].name = name;
	mail->line[mail->count++].value = value;
}

/* One more line of a folded field. */
static void
tryout_fold(struct line *field, const char *text, size_t len)
{
	char *joined = cf_asprintf("%s\n%.*s", field->value, (int)len, text);

	free(field->value);
	field->value = joined;
}

/* The line in front of a message in a mailbox, as Postfix shows it. */
static const char *
read_mailbox_lines(struct mail *mail, const char *p)
{
	const char *end;

	while (strncmp(p + strspn(p, ">"), "From ", 5) == 0) {
		end = p + strcspn(p, "\r\n");
		tryout_add_line(mail, cf_strdup("X-Mailbox-Line"),
		    cf_asprintf(" %.*s", (int)(end - p), p));
		p = end + (*end == '\r');
		p += *p == '\n';
	}
	return p;
}

static void
read_header(struct mail *mail, const char *p)
{
	const char *end, *colon;
	size_t len;

	p = read_mailbox_lines(mail, p);
	while (*p != '\0') {
		end = strchr(p, '\n');
		len = end == NULL ? strlen(p) : (size_t)(end - p);
		if (len > 0 && p[len - 1] == '\r')
			len--;
		if (len == 0) {
			p = end == NULL ? p + strlen(p) : end + 1;
			break;
		}
		if ((*p == ' ' || *p == '\t') && mail->count > 0) {
			tryout_fold(&mail->line[mail->count - 1], p, len);
		} else if (cf_near_field_name(p) > 0) {
			colon = strchr(p, ':');
			tryout_add_line(mail,
			    cf_strndup(p, (size_t)(colon - p)),
			    cf_strndup(colon + 1, len - (size_t)(colon - p) -
			    1));
		} else {
			break;		/* a body without an empty line */
		}
		p = end == NULL ? p + strlen(p) : end + 1;
	}
	mail->body = p;
}

/* The body with CRLF, as it comes from a mail server. */
static void
crlf(const char *body, size_t len, struct cf_buf *ret)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (body[i] == '\n' && (i == 0 || body[i - 1] != '\r'))
			cf_buf_addc(ret, '\r');
		cf_buf_addc(ret, body[i]);
	}
}

/* ---- the hands of a mail server ---- */

static bool
tryout_change(void *arg, const char *name, unsigned index, const char *value)
{
	struct mail *mail = arg;
	unsigned seen = 0;
	size_t i, n;

	for (i = 0; i < mail->count; i++) {
		if (mail->line[i].name == NULL)
			continue;
		n = strcspn(mail->line[i].name, " \t");
		if (strlen(name) != n ||
		    strncasecmp(mail->line[i].name, name, n) != 0 ||
		    ++seen != index)
			continue;
		free(mail->line[i].value);
		mail->line[i].value = value == NULL ? NULL : cf_strdup(value);
		free(mail->line[i].name);
		mail->line[i].name = value == NULL ? NULL : cf_strdup(name);
		return true;
	}
	if (value != NULL)
		tryout_add_line(mail, cf_strdup(name), cf_strdup(value));
	return true;
}

static bool
tryout_add(void *arg, const char *name, const char *value)
{
	tryout_add_line(arg, cf_strdup(name), cf_strdup(value));
	return true;
}

static bool
tryout_tell(void *arg)
{
	(void)arg;
	return true;
}

static enum cf_err
tryout_write_body(void *arg, const void *data, size_t len, struct cf_why *why)
{
	struct mail *mail = arg;

	mail->replaced = true;
	cf_buf_add(&mail->new_body, data, len);
	return cf_buf_check(&mail->new_body, why);
}

/* ---- printing ---- */

static void
tryout_say(FILE *out, const char *name, const char *value)
{
	const char *p;

	fprintf(out, "%s: ", name);
	for (p = value; *p != '\0'; p++)
		putc(*p >= ' ' && *p <= '~' ? *p : '?', out);
	putc('\n', out);
}

static void
say_sizes(FILE *out, const struct cf_mctx *m)
{
	struct cf_outbound_facts sealed;
	struct cf_inbound_facts rewritten;

	cf_outbound_facts(m->outbound, &sealed);
	cf_inbound_facts(m->inbound, &rewritten);
	fprintf(out, "bytes: %llu in, %llu out; message_size_limit %ld\n",
	    (unsigned long long)(sealed.bytes_in + rewritten.bytes_in),
	    (unsigned long long)(sealed.bytes_out + rewritten.bytes_out),
	    m->snapshot->conf.message_size_limit);
}

static void
print_value(const char *value, FILE *out)
{
	for (; *value != '\0'; value++) {
		if (*value == '\n')
			putc('\r', out);
		putc(*value, out);
	}
}

static void
print_mail(const struct mail *mail, const struct cf_buf *body, FILE *out)
{
	const struct cf_buf *b = mail->replaced ? &mail->new_body : body;
	size_t i;

	for (i = 0; i < mail->count; i++) {
		if (mail->line[i].name == NULL)
			continue;
		fprintf(out, "%s:", mail->line[i].name);
		print_value(mail->line[i].value, out);
		fputs("\r\n", out);
	}
	fputs("\r\n", out);
	(void)fwrite(cf_buf_str(b), 1, b->len, out);
}

/* ---- the message's life ---- */

static bool
read_client(const char *text, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)ret;

	memset(ret, 0, sizeof *ret);
	ret->ss_family = AF_INET;
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
		return true;
	ret->ss_family = AF_INET6;
	return inet_pton(AF_INET6, text, &v6->sin6_addr) == 1;
}

static enum cf_err
stream(struct cf_mctx *m, const struct cf_buf *body, struct cf_why *why)
{
	unsigned char chunk[CHUNK];
	enum cf_err rc = CF_OK;
	size_t off, n;

	for (off = 0; off < body->len && rc == CF_OK; off += n) {
		n = body->len - off < CHUNK ? body->len - off : CHUNK;
		memcpy(chunk, body->data + off, n);
		rc = cf_mctx_body(m, chunk, n, why);
	}
	return rc;
}

static int
say_reply(const struct cf_mctx *m, enum cf_err rc, const struct cf_why *why,
    FILE *report)
{
	struct cf_reply reply;
	const char *cause = cf_mctx_reply(m, rc, &reply);
	CF_AUTO(cf_free) char *line = cf_asprintf("%s %s %s", reply.code,
	    reply.enhanced, reply.text);
	bool permanent = reply.code[0] == '5';

	tryout_say(report, "verdict", permanent ? "refused" : "deferred");
	tryout_say(report, "cause", cause);
	tryout_say(report, "reply", line);
	if (why->text[0] != '\0')
		tryout_say(report, "reason", why->text);
	say_sizes(report, m);
	return permanent ? EX_UNAVAILABLE : EX_TEMPFAIL;
}

/* Everything but the printing of a message that goes on. */
static int
live(struct cf_mctx *m, struct mail *mail, const struct cf_buf *body,
    FILE *report)
{
	struct cf_eom_ops ops = { { tryout_change, tryout_add, mail, true },
	    tryout_tell, tryout_write_body, mail };
	const char *verdict = "passed";
	struct cf_why why = { "" };
	enum cf_err rc;

	rc = cf_mctx_decide(m, &why);
	if (rc != CF_OK || m->decision.action == CF_ACTION_REFUSE)
		return say_reply(m, rc, &why, report);
	rc = stream(m, body, &why);
	cf_mctx_body_end(m, &why);
	if (m->decision.action == CF_ACTION_PASS)
		why = m->decision.note;
	else if (m->decision.action != CF_ACTION_REFUSE && rc == CF_OK)
		rc = cf_eom_run(m, &ops, &verdict, &why);
	if (rc != CF_OK || m->decision.action == CF_ACTION_REFUSE)
		return say_reply(m, rc, &why, report);
	tryout_say(report, "verdict", verdict);
	tryout_say(report, "cause", m->decision.cause);
	if (why.text[0] != '\0')
		tryout_say(report, "reason", why.text);
	say_sizes(report, m);
	if (m->decision.action == CF_ACTION_SEAL)
		tryout_say(report, "note", "the key is made up: nobody can "
		    "open this message, and nothing was stored");
	else if (strcmp(verdict, "rewritten") == 0)
		tryout_say(report, "note", "nothing was stored: the link to "
		    "the reader opens nothing, unless the message is there "
		    "already");
	return EX_OK;
}

static void
say_envelope(const struct cf_tryout *what, bool entitled, FILE *report)
{
	size_t i;

	tryout_say(report, "sender", what->sender);
	for (i = 0; i < what->recipients.count; i++)
		tryout_say(report, "recipient", what->recipients.item[i]);
	tryout_say(report, "client", what->client);
	tryout_say(report, "may use the flag", entitled ? "yes" : "no");
}

int
cf_tryout_run(const struct cf_tryout *what, struct cf_buf *message,
    FILE *report, FILE *out)
{
	CF_AUTO(mail_free) struct mail mail = { 0 };
	CF_AUTO(cf_buf_free) struct cf_buf body = CF_BUF_INIT(
	    2 * (size_t)CF_TRYOUT_MAX);
	CF_AUTO(cf_mctx_free) struct cf_mctx *m = NULL;
	const char *text = cf_buf_str(message);
	struct sockaddr_storage client;
	size_t i;
	int status;

	mail.new_body.max = 4 * (size_t)CF_TRYOUT_MAX;
	if (!read_client(what->client, &client)) {
		tryout_say(report, "no IP address", what->client);
		return EX_USAGE;
	}
	read_header(&mail, text);
	crlf(mail.body, message->len - (size_t)(mail.body - text), &body);
	m = cf_mctx_new(what->sender);
	cf_mctx_client(m, (const struct sockaddr *)(const void *)&client,
	    what->user, what->daemon);
	say_envelope(what, m->facts.entitled, report);
	for (i = 0; i < what->recipients.count; i++)
		cf_mctx_rcpt(m, what->recipients.item[i], NULL);
	for (i = 0; i < mail.count; i++)
		cf_mctx_header(m, mail.line[i].name, mail.line[i].value, true);
	status = live(m, &mail, &body, report);
	if (status == EX_OK)
		print_mail(&mail, &body, out);
	return status;
}
