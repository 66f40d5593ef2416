/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_check_sendmail - see check_parts.h.
 *
 * Reads sendmail.cf, not the .mc it was made from: the X line of our filter,
 * the M line of the mailer that leads to our hop (an instance has one or the
 * other), the options that matter to what we promise.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/file.h"
#include "common/mem.h"
#include "milter/check/check_parts.h"

#define HOP "Mcounterfoil,"
#define FILE_MAX (8 * 1024 * 1024)
#define WARNING CF_FINDING_WARNING
#define ERROR CF_FINDING_ERROR

struct sendmail {
	struct cf_check *check;
	char *our_line;		/* "Xname, S=..., F=..., T=..." */
	char *hop;		/* "Mcounterfoil, P=[IPC], F=..., ..." */
	char *filters, *privacy, *size, *ports;	/* options; NULL if unset */
	char *mechanisms;
};

/* The value of "O Name=value" in a line, or NULL. */
static const char *
option(const char *line, const char *name)
{
	size_t len = strlen(name);

	if (line[0] != 'O' || line[1] != ' ')
		return NULL;
	line += 1 + strspn(line + 1, " ");
	if (strncasecmp(line, name, len) != 0)
		return NULL;
	line += len + strspn(line + len, " ");
	return *line == '=' ? line + 1 + strspn(line + 1, " ") : NULL;
}

static void
sendmail_keep(char **slot, const char *text)
{
	if (text == NULL)
		return;
	free(*slot);
	*slot = cf_strdup(text);
}

/* "K=value" of the X line, up to the next comma.  Gives, "" if absent. */
static char *
sendmail_field(const char *line, char key)
{
	const char *p;

	for (p = strchr(line, ','); p != NULL; p = strchr(p, ',')) {
		p += 1 + strspn(p + 1, " \t");
		if (*p == key && p[1 + strspn(p + 1, " \t")] == '=') {
			p = strchr(p, '=') + 1;
			p += strspn(p, " \t");
			return cf_strndup(p, strcspn(p, ", \t"));
		}
	}
	return cf_strdup("");
}

/* Sendmail writes local: for unix:, and inet:PORT@HOST as we do. */
static bool
sendmail_is_ours(const struct sendmail *s, const char *line)
{
	CF_AUTO(cf_free) char *socket = sendmail_field(line, 'S');
	const char *ours = s->check->snapshot->conf.socket;

	if (strncmp(socket, "local:", 6) == 0)
		return strncmp(ours, "unix:", 5) == 0 &&
		    strcmp(socket + 6, ours + 5) == 0;
	return strcmp(socket, ours) == 0;
}

/* A line that begins with a blank goes on where the one before ended. */
static void
read_hop(struct sendmail *s, const char *line, bool *inside)
{
	char *longer;

	if (*line != ' ' && *line != '\t')
		*inside = strncmp(line, HOP, strlen(HOP)) == 0;
	if (!*inside)
		return;
	longer = cf_asprintf("%s%s", s->hop == NULL ? "" : s->hop, line);
	free(s->hop);
	s->hop = longer;
}

static void
sendmail_read_lines(struct sendmail *s, char *text)
{
	char *save = NULL, *line;
	bool in_hop = false;

	for (line = strtok_r(text, "\n", &save); line != NULL;
	    line = strtok_r(NULL, "\n", &save)) {
		read_hop(s, line, &in_hop);
		if (*line == 'X' && s->our_line == NULL &&
		    sendmail_is_ours(s, line))
			s->our_line = cf_strdup(line);
		sendmail_keep(&s->filters, option(line, "InputMailFilters"));
		sendmail_keep(&s->privacy, option(line, "PrivacyOptions"));
		sendmail_keep(&s->size, option(line, "MaxMessageSize"));
		sendmail_keep(&s->mechanisms, option(line, "AuthMechanisms"));
		if (s->ports == NULL || strcasestr(line, "InputMailFilters="))
			sendmail_keep(&s->ports, option(line,
			    "DaemonPortOptions"));
	}
}

/* A timeout of T=C:10s;S:30s;R:60s;E:5m in seconds; `otherwise` if absent. */
static long
timeout(const char *times, char which, long otherwise)
{
	char key[3] = { which, ':', '\0' }, *end;
	const char *p = strstr(times, key);
	long n;

	if (p == NULL)
		return otherwise;
	n = strtol(p + 2, &end, 10);
	return *end == 'm' ? n * 60 : *end == 'h' ? n * 3600 : n;
}

static void
check_filter(const struct sendmail *s)
{
	CF_AUTO(cf_free) char *flags = sendmail_field(s->our_line, 'F');
	CF_AUTO(cf_free) char *times = sendmail_field(s->our_line, 'T');
	CF_AUTO(cf_free) char *name = cf_strndup(s->our_line + 1,
	    strcspn(s->our_line + 1, ", \t"));
	long deadline = s->check->snapshot->conf.deadline_s;
	long reply = timeout(times, 'R', 10), end = timeout(times, 'E', 300);

	cf_check_that(s->check, strcmp(flags, "T") == 0, ERROR,
	    "mail waits while the milter is away (F=T)",
	    "F=%s for our filter: %s; set F=T", flags,
	    strcmp(flags, "R") == 0 ? "mail bounces while the milter is away" :
	    "flagged mail leaves in clear while the milter is away");
	cf_check_that(s->check, reply >= 10, WARNING, "the time for a reply "
	    "is long enough", "R:%lds for our filter: a sign of life comes "
	    "every 3 s, give it at least R:10s", reply);
	cf_check_that(s->check, end > deadline, WARNING, "the time for the "
	    "end of a message is longer than deadline_s", "E:%lds for our "
	    "filter, and deadline_s is %ld s: Sendmail may give up first; "
	    "make E: longer", end, deadline);
	cf_check_that(s->check, strstr(s->filters == NULL ? "" : s->filters,
	    name) != NULL || (s->ports != NULL && strstr(s->ports, name)),
	    ERROR, "mail comes to our filter", "the filter %s is defined, but "
	    "neither InputMailFilters nor a DaemonPortOptions names it", name);
}

/* The instance in front of the hop. */
static void
sendmail_check_hop(const struct sendmail *s)
{
	CF_AUTO(cf_free) char *flags = sendmail_field(s->hop, 'F');
	CF_AUTO(cf_free) char *most = sendmail_field(s->hop, 'r');

	cf_check_that(s->check, strcmp(most, "1") == 0 ||
	    strchr(flags, 'm') == NULL, ERROR, "each recipient goes to the "
	    "hop in a transaction of his own", "the mailer counterfoil sends "
	    "several recipients in one transaction, which we refuse; give it "
	    "r=1");
	cf_check_that(s->check, strchr(flags, 'k') != NULL, ERROR,
	    "the hop may have the name of this host", "the mailer counterfoil "
	    "has no flag k: Sendmail takes the hop for a loop and bounces the "
	    "mail; add it to F=");
}

/* Sendmail has no word for it; what a rule set of the site does, we cannot
 * see. */
static void
sendmail_check_login(const struct sendmail *s)
{
	if (s->mechanisms == NULL ||
	    !(s->check->snapshot->mode & CF_MODE_OUTBOUND))
		return;
	cf_check_that(s->check, s->check->snapshot->conf.sender_is_login &&
	    s->our_line != NULL, WARNING,
	    "who authenticates may send in his own name only",
	    "AuthMechanisms is %s: who authenticates may send in anybody's "
	    "name, and recipients are told that it was checked; set "
	    "sender_is_login where our filter sees the login, or have a "
	    "check_mail rule compare it", s->mechanisms);
}

static void
sendmail_check_options(const struct sendmail *s)
{
	long long theirs = s->size == NULL ? 0 : strtoll(s->size, NULL, 10);
	long long ours = s->check->snapshot->conf.message_size_limit;

	/* A site that only receives has no secret to keep. */
	cf_check_that(s->check,
	    !(s->check->snapshot->mode & CF_MODE_OUTBOUND) ||
	    (s->privacy != NULL &&
	    strcasestr(s->privacy, "nobodyreturn") != NULL), ERROR,
	    "a bounce does not carry the text",
	    "PrivacyOptions has no nobodyreturn: a bounce made before the "
	    "mail is sealed carries its text; add it");
	cf_check_that(s->check, theirs == 0 || (ours > 0 && ours <= theirs),
	    ERROR, "message_size_limit here is not above MaxMessageSize",
	    "message_size_limit is %lld here and MaxMessageSize %lld: what is "
	    "too large when sealed is refused without the reason; set "
	    "message_size_limit = %lld in our configuration", ours, theirs,
	    theirs);
}

bool
cf_check_sendmail(struct cf_check *check, const char *path, bool guessed)
{
	CF_AUTO(cf_free) char *subject = cf_asprintf("Sendmail %s", path);
	CF_AUTO(cf_buf_free) struct cf_buf text = CF_BUF_INIT(FILE_MAX);
	struct sendmail s = { 0 };
	struct cf_why why = { "" };
	bool used;

	s.check = check;
	check->f.subject = subject;
	if (cf_file_read(path, &text, &why) != CF_OK) {
		cf_check_say(check, ERROR, "%s", why.text);
		return false;
	}
	if (text.len > 0)
		sendmail_read_lines(&s, text.data);
	used = s.our_line != NULL || s.hop != NULL;
	if (!used && !guessed)
		cf_check_say(check, ERROR, "no INPUT_MAIL_FILTER has S=%s",
		    check->snapshot->conf.socket);
	if (s.our_line != NULL)
		check_filter(&s);
	if (s.hop != NULL)
		sendmail_check_hop(&s);
	if (used) {
		sendmail_check_options(&s);
		sendmail_check_login(&s);
	}
	free(s.our_line);
	free(s.hop);
	free(s.filters);
	free(s.privacy);
	free(s.size);
	free(s.mechanisms);
	free(s.ports);
	check->f.subject = "";
	return used;
}
