/* SPDX-License-Identifier: Apache-2.0 */
/* cf_check - see check.h. */
#include "milter/check.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/b64url.h"
#include "common/file.h"
#include "common/httpc.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/mform.h"
#include "common/reference.h"

#define ANSWER_MAX 65536
#define GROUPS_MAX 256
#define QUESTION "/api/v1/messages?limit=1"
#define QUESTION_MAX (sizeof QUESTION + sizeof "&reference=" + \
	CF_B64URL_LEN(CF_REF_CHECK_LEN))

extern char **environ;

/* ---- key servers ---- */

/* With our reference secret, if it is made yet. */
static const char *
question(const struct cf_snapshot *s, char out[QUESTION_MAX])
{
	unsigned char check[CF_REF_CHECK_LEN];
	char text[CF_B64URL_LEN(CF_REF_CHECK_LEN) + 1];

	if (s->ref_secret.len == 0)
		return QUESTION;
	cf_ref_check(&s->ref_secret, check);
	cf_b64url_encode(check, sizeof check, text);
	(void)snprintf(out, QUESTION_MAX, QUESTION "&reference=%s", text);
	return out;
}

static enum cf_err
ask(const struct cf_snapshot *s, const char *service, long *ret_status,
    struct cf_why *why)
{
	CF_AUTO(cf_buf_free) struct cf_buf answer = CF_BUF_INIT(ANSWER_MAX);
	char path[QUESTION_MAX];
	const struct cf_httpc_request request = {
		.service = service,
		.path = question(s, path),
		.bearer = &s->api_token,
		.timeout_ms = s->conf.request_timeout_s * 1000,
	};
	enum cf_err rc;

	rc = cf_httpc_send(s->http, &request, ret_status, &answer, why);
	if (rc == CF_OK && *ret_status != 200)
		rc = cf_json_problem(*ret_status, cf_buf_str(&answer),
		    answer.len, service, why);
	return rc;
}

static const char *
advice(enum cf_err rc, long status)
{
	switch (rc) {
	case CF_E_TLS:
		return "flagged mail waits";
	case CF_E_UNAUTHORIZED:
		return "api_token_file must have the token that "
		    "counterfoil-admin gateway add wrote there";
	case CF_E_REFERENCE:
		return "or bring the file of the account's other gateway to "
		    "ref_secret_file; flagged mail waits";
	case CF_E_NETWORK: case CF_E_TIMEOUT:
		return "flagged mail waits until it can be reached";
	default:
		/* A problem document of our own is the answer of one. */
		return status < 500 && (status == 0 || rc == CF_E_PROTOCOL) ?
		    "is that a key server?" : "flagged mail cannot be sealed";
	}
}

void
cf_check_key_servers(struct cf_check *check)
{
	const struct cf_snapshot *s = check->snapshot;
	const struct cf_conf_list *list = &s->conf.key_servers;
	enum cf_finding finding;
	struct cf_why why;
	size_t i, good = 0;
	enum cf_err rc;
	long status;

	if (!(s->mode & CF_MODE_OUTBOUND))
		return;
	for (i = 0; i < list->count; i++) {
		check->f.subject = list->item[i];
		why.text[0] = '\0';
		status = 0;
		rc = ask(s, list->item[i], &status, &why);
		good += rc == CF_OK;
		/* One that is away is what the others are there for. */
		finding = list->count > 1 && (rc == CF_E_NETWORK ||
		    rc == CF_E_TIMEOUT) ? CF_FINDING_WARNING :
		    CF_FINDING_ERROR;
		cf_check_that(check, rc == CF_OK, finding,
		    "the key server answers and takes our token",
		    "%s; %s", why.text, advice(rc, status));
	}
	check->f.subject = "key_servers";
	if (good == 0 && list->count > 1)
		cf_check_say(check, CF_FINDING_ERROR,
		    "none of them can be used");
}

/* ---- the socket ---- */

struct who {
	uid_t uid;
	gid_t groups[GROUPS_MAX];
	int count;
};

static bool
may(const struct who *who, const struct stat *st, unsigned bits)
{
	unsigned mode = st->st_mode;
	int i;

	if (who->uid == 0)
		return true;
	if (st->st_uid == who->uid)
		return (mode >> 6 & bits) == bits;
	for (i = 0; i < who->count; i++)
		if (who->groups[i] == st->st_gid)
			return (mode >> 3 & bits) == bits;
	return (mode & bits) == bits;
}

/* The first part of the path that stops `who`, or NULL.  Gives. */
static char *
obstacle(const struct who *who, const char *path)
{
	CF_AUTO(cf_free) char *part = cf_strdup(path);
	struct stat st;
	size_t i;

	for (i = 1; path[i] != '\0'; i++) {
		if (path[i] != '/')
			continue;
		part[i] = '\0';
		if (stat(part, &st) != 0 || !may(who, &st, 1))
			return cf_strdup(part);
		part[i] = '/';
	}
	if (stat(path, &st) != 0 || !may(who, &st, 2))
		return cf_strdup(path);
	return NULL;
}

void
cf_check_socket(struct cf_check *check, const char *name)
{
	const char *socket = check->snapshot->conf.socket;
	const char *path = strchr(socket, ':') + 1;
	const struct passwd *pw = getpwnam(name);
	CF_AUTO(cf_free) char *stopped = NULL;
	struct who who = { 0 };
	struct stat st;

	if (strncmp(socket, "unix:", 5) != 0)
		return;
	if (pw == NULL) {
		cf_check_say(check, CF_FINDING_ERROR,
		    "there is no user named %s", name);
		return;
	}
	if (stat(path, &st) != 0 && errno == ENOENT && geteuid() == 0) {
		cf_check_say(check, CF_FINDING_WARNING, "%s is not there: "
		    "start the milter; mail waits until then", path);
		return;
	}
	if (stat(path, &st) != 0) {
		cf_check_say(check, CF_FINDING_WARNING, "%s: %s: whether %s "
		    "may use it cannot be seen; check again as root, when the "
		    "milter runs", path, strerrordesc_np(errno), name);
		return;
	}
	who.uid = pw->pw_uid;
	who.count = GROUPS_MAX;
	if (getgrouplist(name, pw->pw_gid, who.groups, &who.count) < 0)
		who.count = GROUPS_MAX;
	stopped = obstacle(&who, path);
	if (stopped == NULL)
		cf_check_say(check, CF_FINDING_OK, "user %s may use %s", name,
		    path);
	else
		cf_check_say(check, CF_FINDING_ERROR, "user %s may not use "
		    "%s because of %s; see socket_group and socket_mode, and "
		    "the mode of its directory", name, path, stopped);
}

/* ---- programs ---- */

/* A pipe holds INPUT_MAX bytes before anybody reads. */
#define INPUT_MAX 4096

static bool
spawn(const char *const *argv, int in, int out, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	bool good;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY,
	    0);
	/* The prototype is older than const. */
	good = posix_spawnp(ret_pid, argv[0], &actions, NULL,
	    (char *const *)(uintptr_t)argv, environ) == 0;
	posix_spawn_file_actions_destroy(&actions);
	return good;
}

static bool
start(const char *const *argv, const char *input, int *ret_fd, pid_t *ret_pid)
{
	size_t len = input == NULL ? 0 : strlen(input);
	int in[2], out[2];
	bool good;

	if (len > INPUT_MAX || pipe2(in, O_CLOEXEC) != 0)
		return false;
	if (pipe2(out, O_CLOEXEC) != 0) {
		close(in[0]);
		close(in[1]);
		return false;
	}
	good = (len == 0 || write(in[1], input, len) == (ssize_t)len) &&
	    spawn(argv, in[0], out[1], ret_pid);
	close(in[0]);
	close(in[1]);
	close(out[1]);
	if (good)
		*ret_fd = out[0];
	else
		close(out[0]);
	return good;
}

bool
cf_check_run(const char *const *argv, const char *input, struct cf_buf *out)
{
	int fd = -1, status = 0;
	bool good;
	pid_t pid;

	if (!start(argv, input, &fd, &pid))
		return false;
	good = cf_file_read_fd(fd, out, NULL) == CF_OK;
	close(fd);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- our own options ---- */

static void
check_user(struct cf_check *check)
{
	const struct cf_mconf *conf = &check->snapshot->conf;
	const struct passwd *pw = getpwuid(geteuid());

	if (geteuid() == 0)
		cf_check_say(check, CF_FINDING_WARNING, "the milter would run "
		    "as root; set user, or let the service manager start it "
		    "as another user, who owns %s", conf->store_directory);
	else
		cf_check_say(check, CF_FINDING_OK, "it does not run as root: "
		    "looked at as user %s", pw == NULL ? "?" : pw->pw_name);
}

static const char *
default_of(const char *key)
{
	size_t i, count = 0;
	const struct cf_conf_opt *table = cf_mconf_table(&count);

	for (i = 0; i < count; i++)
		if (strcmp(table[i].key, key) == 0)
			return table[i].def;
	cf_bug("no such option");
}

/* What somebody set up, and which nothing will come of. */
static void
check_triggers(struct cf_check *check)
{
	const struct cf_mconf *conf = &check->snapshot->conf;
	const struct cf_conf_list *on = &conf->triggers;
	bool tag = cf_conf_list_has(on, "subject-tag");

	check->f.subject = "configuration";
	if (!tag && strcmp(conf->subject_tag, default_of("subject_tag")) != 0)
		cf_check_say(check, CF_FINDING_WARNING, "subject_tag is set, "
		    "but triggers has no subject-tag: a Subject with %s asks "
		    "for nothing", conf->subject_tag);
	if (conf->dry_run && on->count == 0 && conf->policy_file == NULL)
		cf_check_say(check, CF_FINDING_WARNING, "dry_run is set, but "
		    "there are neither triggers nor a policy_file that it "
		    "could be about; the flag is sealed all the same");
	if (on->count == 0)
		cf_check_say(check, CF_FINDING_OK, "no triggers are on: only "
		    CF_FLAG_FIELD " asks for a receipt, neither the button of "
		    "a mail program nor %s in a Subject does",
		    conf->subject_tag);
}

/* ---- the reader ---- */

#define PAGE "/m/AAAAAAAAAAAAAAAAAAAAAA"	/* the same for each message */
#define PAGE_MAX (8 * 1024 * 1024)
/* What common/web/src/index.html says of itself. */
#define PAGE_MARK "<meta name=\"generator\" content=\"Counterfoil\">"

static enum cf_err
get_page(const struct cf_mconf *conf, const char *ca_file, long *ret_status,
    struct cf_buf *page, struct cf_why *why)
{
	CF_AUTO(cf_httpc_free) struct cf_httpc *http = NULL;
	const struct cf_httpc_options options = { .ca_file = ca_file };
	const struct cf_httpc_request request = {
		.service = conf->reader_url,
		.path = PAGE,
		.timeout_ms = conf->request_timeout_s * 1000,
	};
	enum cf_err rc;

	cf_buf_reset(page);
	rc = cf_httpc_new(&options, &http, why);
	return rc == CF_OK ? cf_httpc_send(http, &request, ret_status, page,
	    why) : rc;
}

/* `known`: browsers know who signed its certificate. */
static void
say_of_page(struct cf_check *check, long status, const struct cf_buf *page,
    bool known)
{
	if (status != 200)
		cf_check_say(check, CF_FINDING_ERROR, "it answers %ld where "
		    "the links in notices lead: nobody can open a message; "
		    "does a counterfoil-reader serve it?", status);
	else if (strstr(cf_buf_str(page), PAGE_MARK) == NULL)
		cf_check_say(check, CF_FINDING_WARNING, "there is a page, but "
		    "not that of counterfoil-reader; links in notices lead "
		    "there");
	else
		cf_check_that(check, known, CF_FINDING_WARNING,
		    "the recipients' page is there", "its certificate is one "
		    "of ca_file, which browsers do not know by themselves: "
		    "recipients elsewhere are warned of it");
}

void
cf_check_reader(struct cf_check *check)
{
	CF_AUTO(cf_buf_free) struct cf_buf page = CF_BUF_INIT(PAGE_MAX);
	const struct cf_mconf *conf = &check->snapshot->conf;
	struct cf_why why = { "" }, other = { "" };
	bool known = true;
	long status = 0;
	enum cf_err rc;

	check->f.subject = conf->reader_url;
	/* As a browser, which knows nothing of ca_file. */
	rc = get_page(conf, NULL, &status, &page, &why);
	if (rc == CF_E_TLS && conf->ca_file != NULL) {
		known = false;
		if (get_page(conf, conf->ca_file, &status, &page, &other) ==
		    CF_OK)
			rc = CF_OK;
		else
			why = other;
	}
	if (rc == CF_OK)
		say_of_page(check, status, &page, known);
	else if (rc == CF_E_TLS)
		cf_check_say(check, CF_FINDING_ERROR, "%s; browsers refuse "
		    "it, too, and nobody can open a message", why.text);
	else
		cf_check_say(check, CF_FINDING_WARNING, "%s; links in notices "
		    "lead there: if it cannot be reached from elsewhere "
		    "either, nobody can open a message", why.text);
}

/* ---- all of it ---- */

#define POSTFIX_USUAL "/etc/postfix"
#define SENDMAIL_USUAL "/etc/mail/sendmail.cf"

/* The usual Postfix and the other instances that it knows of. */
static bool
guess_postfix(struct cf_check *check)
{
	const char *const argv[] = { "/usr/sbin/postconf", "-hx",
	    "multi_instance_directories", NULL };
	CF_AUTO(cf_buf_free) struct cf_buf others = CF_BUF_INIT(ANSWER_MAX);
	bool used = false;
	char *save = NULL, *dir;

	if (access(POSTFIX_USUAL "/main.cf", R_OK) != 0 ||
	    !cf_check_run(argv, NULL, &others))
		return false;
	used = cf_check_postfix(check, POSTFIX_USUAL, true);
	for (dir = strtok_r(others.data, " ,\t\n", &save); dir != NULL;
	    dir = strtok_r(NULL, " ,\t\n", &save))
		used |= cf_check_postfix(check, dir, true);
	return used;
}

void
cf_check_mail_servers(struct cf_check *check, const struct cf_check_targets *t)
{
	bool used = false;
	size_t i;

	if (t->no_mta)
		return;
	for (i = 0; i < t->postfix.count; i++)
		(void)cf_check_postfix(check, t->postfix.item[i], false);
	for (i = 0; i < t->sendmail.count; i++)
		(void)cf_check_sendmail(check, t->sendmail.item[i], false);
	if (t->postfix.count + t->sendmail.count > 0)
		return;
	used = guess_postfix(check);
	if (access(SENDMAIL_USUAL, R_OK) == 0)
		used |= cf_check_sendmail(check, SENDMAIL_USUAL, true);
	check->f.subject = "mail server";
	if (!used)
		cf_check_say(check, CF_FINDING_WARNING, "none in the usual "
		    "places uses our socket %s; name its configuration with "
		    "--postfix or --sendmail", check->snapshot->conf.socket);
}

void
cf_check_report(struct cf_check *check, const struct cf_check_targets *targets)
{
	const struct cf_mconf *conf = &check->snapshot->conf;

	check->f.subject = "configuration";
	cf_check_say(check, CF_FINDING_OK,
	    "it can be read, and so can the files that it names");
	check_user(check);
	cf_check_that(check, conf->request_timeout_s <= conf->deadline_s,
	    CF_FINDING_WARNING, "there is time for a repeat",
	    "request_timeout_s is %ld and deadline_s %ld: one silent key "
	    "server uses up the time for the others",
	    conf->request_timeout_s, conf->deadline_s);
	if (check->snapshot->mode & CF_MODE_OUTBOUND)
		check_triggers(check);
	if (!targets->offline) {
		cf_check_key_servers(check);
		cf_check_reader(check);
	}
	cf_findings_end(&check->f);
}
