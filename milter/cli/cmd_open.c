/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counterfoil open - retrieve the key, give out the original message.
 *
 * Nothing is written unless the key, the registered values, the tag and the
 * inner form all hold.  The output file is made before the key is asked for,
 * with its room, so that a full disk or a wrong path costs no receipt.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/agent.h"
#include "common/container.h"
#include "common/file.h"
#include "common/link_find.h"
#include "common/mem.h"
#include "common/vouch.h"
#include "milter/cli/cli.h"
#include "milter/cli/cli_trust.h"

#define LINK_TEXT_MAX 16384	/* bytes that hold the link of --link - */

struct arguments {
	const char *path;	/* "-" = standard input */
	const char *out;	/* NULL = standard output */
	char *link;		/* a secret */
	const char *key_id;	/* which of several, or NULL */
	const char *ask_server;	/* allowed though not listed, or NULL */
	bool ask_only;
	bool quiet;
};

struct output {
	int fd;
	const char *path;	/* NULL = standard output */
	char *temporary;
};

/* ---- arguments ---- */

static int
usage(void)
{
	fputs("usage: counterfoil open [-nq] [-o OUT] [--link LINK] "
	    "[--key-id ID] [--ask-server HOST] FILE|-\n"
	    "  FILE         the mail as it was delivered or forwarded, or its "
	    "attachment\n"
	    "               " CF_CONTAINER_NAME "\n"
	    "  -o OUT       write the original to OUT, not to standard "
	    "output\n"
	    "  --link LINK  the link of the mail, when FILE does not have it "
	    "any more;\n"
	    "               - reads it from standard input\n"
	    "  --key-id ID  which one, when FILE has several sealed messages\n"
	    "  --ask-server HOST\n"
	    "               ask HOST, which the mail names, though it is not "
	    "on your list\n"
	    "  -n           only ask who sealed it and what would be "
	    "recorded\n"
	    "  -q           do not say who sealed it\n", stderr);
	return CF_EXIT_USAGE;
}

/* At a terminal: is the link there, or its end in sight? */
static bool
ends_link(const struct cf_buf *text, bool empty_line)
{
	CF_AUTO(cf_link_wipe) struct cf_link link = { 0 };
	const char *service = NULL;

	switch (cf_link_look(cf_buf_str(text), &link, &service)) {
	case CF_LINK_OK:
		return true;
	case CF_LINK_NONE:
	case CF_LINK_UNKNOWN:
		return false;
	default:
		return empty_line;
	}
}

/*
 * The link may be broken over lines, or stand in the text of the notice: all
 * there is counts.  Nobody ends what is typed, and a question may follow it.
 */
static char *
read_link(void)
{
	struct cf_buf text = CF_BUF_INIT_SECRET(LINK_TEXT_MAX);
	bool terminal = isatty(STDIN_FILENO);
	char c, before = '\n';

	if (terminal && isatty(STDERR_FILENO))
		fputs("The link of the mail (end with Ctrl-D): ", stderr);
	while (!text.full && read(STDIN_FILENO, &c, 1) == 1) {
		if (terminal && c == '\n' &&
		    ends_link(&text, before == '\n'))
			break;
		if (c != '\0')
			cf_buf_addc(&text, c);
		before = c;
	}
	return cf_buf_take(&text, NULL);
}

/* Take a secret out of the argument list, where ps(1) shows it. */
static char *
take_argument(char *arg)
{
	char *copy = cf_strdup(arg);

	explicit_bzero(arg, strlen(arg));
	return copy;
}

static bool
parse_arguments(int argc, char **argv, struct arguments *a)
{
	static const struct option longs[] = {
		{ "ask-server", required_argument, NULL, 'a' },
		{ "key-id", required_argument, NULL, 'k' },
		{ "link", required_argument, NULL, 'l' },
		{ "output", required_argument, NULL, 'o' },
		{ NULL, 0, NULL, 0 }
	};
	int c;

	while ((c = getopt_long(argc, argv, "no:q", longs, NULL)) != -1) {
		switch (c) {
		case 'n':
			a->ask_only = true;
			break;
		case 'q':
			a->quiet = true;
			break;
		case 'o':
			a->out = optarg;
			break;
		case 'a':
			a->ask_server = optarg;
			break;
		case 'k':
			a->key_id = optarg;
			break;
		case 'l':
			cf_free(&a->link);
			a->link = take_argument(optarg);
			break;
		default:
			return false;
		}
	}
	if (optind + 1 != argc)
		return false;
	a->path = argv[optind];
	if (a->link != NULL && strcmp(a->link, "-") == 0) {
		if (strcmp(a->path, "-") == 0)
			return false;
		cf_free(&a->link);
		a->link = read_link();
	}
	return true;
}

static void
free_arguments(struct arguments *a)
{
	if (a->link != NULL)
		explicit_bzero(a->link, strlen(a->link));
	cf_free(&a->link);
}

/* ---- output ---- */

static void
output_abandon(struct output *out)
{
	if (out->path != NULL && out->fd >= 0)
		close(out->fd);
	if (out->temporary != NULL)
		unlink(out->temporary);
	cf_free(&out->temporary);
	out->fd = -1;
}

static enum cf_err
output_fail(const struct output *out, struct cf_why *why)
{
	return cf_fail(CF_E_IO, why, "%s: %s",
	    out->path == NULL ? "standard output" : out->path,
	    strerrordesc_np(errno));
}

/* There is room in it for `len` bytes, and no byte yet. */
static enum cf_err
output_begin(const char *path, size_t len, struct output *out,
    struct cf_why *why)
{
	struct stat st;

	out->path = path;
	if (path == NULL) {
		out->fd = STDOUT_FILENO;
		if ((fcntl(out->fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
			return cf_fail(CF_E_IO, why, "standard output is "
			    "closed: say -o FILE");
		return CF_OK;
	}
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return cf_fail(CF_E_IO, why,
		    "%s: is there and is not a regular file", path);
	out->temporary = cf_asprintf("%s.XXXXXX", path);
	out->fd = mkostemp(out->temporary, O_CLOEXEC);
	if (out->fd < 0) {
		cf_free(&out->temporary);
		return output_fail(out, why);
	}
	return len == 0 ? CF_OK : cf_file_reserve(out->fd, len, path, why);
}

static enum cf_err
output_finish(struct output *out, const struct cf_opened *message,
    struct cf_why *why)
{
	enum cf_err rc;

	rc = cf_opened_write(message, out->fd, why);
	if (rc != CF_OK || out->path == NULL)
		return rc;
	if (ftruncate(out->fd, (off_t)cf_opened_len(message)) != 0 ||
	    fsync(out->fd) != 0 || rename(out->temporary, out->path) != 0)
		return output_fail(out, why);
	cf_free(&out->temporary);
	return cf_file_sync_parent(out->path, why);
}

/* ---- what is said beside ---- */

/* The key server, and whether what it says is worth anything. */
struct server {
	const char *service;
	bool listed;
};

static void
say(const char *mark, const char *name, const char *value, FILE *out)
{
	if (value == NULL || *value == '\0')
		return;
	fprintf(out, "%s%-14s ", mark, name);
	cf_cli_put(value, out);
	fputc('\n', out);
}

/* No line of what an unlisted server says can be taken for a fact. */
static void
say_about(const struct cf_about *about, const struct server *server,
    FILE *out)
{
	const char *mark = server->listed ? "" : "Unchecked: ";

	say("", "Key server", server->service, out);
	if (!server->listed)
		fputs("This key server is not on your list and can say "
		    "anything. Nobody has checked this:\n", out);
	say(mark, "Sealed for", about->address, out);
	say(mark, "Domain", about->domain, out);
	say(mark, "Account", about->account, out);
	say(mark, "Message-ID", about->message_id, out);
	say(mark, "Sealed at", about->issued_at, out);
	say(mark, "Open until", about->expires_at, out);
	say(mark, "State", about->state, out);
	say(mark, "Assurance", cf_assurance_name(about->assurance), out);
	if (about->state != NULL && (strcmp(about->state, "revoked") == 0 ||
	    strcmp(about->state, "expired") == 0)) {
		fprintf(out, "%sThis message can no longer be opened. Ask the "
		    "sender to send it again.\n", mark);
		return;
	}
	if (server->listed)
		say("", "Is recorded", cf_assurance_records(about->assurance),
		    out);
	else
		say("", "Is recorded", "what this key server likes", out);
}

/* Does the message name another sender than the one that is vouched for? */
static void
warn_of_sender(const struct cf_opened *message, const struct cf_about *about,
    const struct server *server)
{
	CF_AUTO(cf_buf_free) struct cf_buf from = CF_BUF_INIT(16 * 1024);
	CF_AUTO(cf_buf_free) struct cf_buf room = CF_BUF_INIT_SECRET(
	    cf_opened_len(message) + sizeof "\r\n");
	size_t len;
	const char *header = cf_opened_header(message, &room, &len);
	bool inside = cf_vouch(header, len, about->domain, &from);

	if (inside && server->listed)
		return;
	fprintf(stderr, "counterfoil: Take care: the sender's name is not "
	    "confirmed. Inside, the message names %s. ", from.len > 0 ?
	    cf_buf_str(&from) : "no clear sender");
	if (!server->listed) {
		fputs("Its key server is not on your list.\n", stderr);
		return;
	}
	fputs("It was sealed by ", stderr);
	cf_cli_put(about->address, stderr);
	fputs(", who may write for ", stderr);
	cf_cli_put(about->domain, stderr);
	fputs(" only.\n", stderr);
}

/* ---- steps ---- */

/* What --key-id can be, and what helps to tell them apart. */
static void
list_parts(const struct cf_reading *reading)
{
	const struct cf_sealed *part;
	size_t i;

	for (i = 0; i < reading->count; i++) {
		part = &reading->part[i];
		fprintf(stderr, "%s  %zu bytes  %s\n", part->handle,
		    part->container.ciphertext_len, part->has_link ?
		    part->link.service : "(its link is not in the file)");
	}
}

static enum cf_err
choose(struct cf_cli_sealed *s, const struct arguments *a, struct cf_why *why)
{
	enum cf_err rc = cf_cli_choose(s, a->link, a->key_id, why);

	if (rc == CF_OK && s->other_link)
		fputs("counterfoil: The mail itself has another link for this "
		    "message; the one of --link is used.\n", stderr);
	return rc;
}

static enum cf_err
make_agent(const struct cf_cli_conf *conf, const struct arguments *a,
    const struct cf_cli_sealed *s, const struct cf_cli_place *place,
    struct cf_httpc *http, struct cf_agent **ret, struct cf_why *why)
{
	const struct cf_agent_options options = {
		.http = http,
		.timeout_ms = conf->timeout_s * 1000,
		.deadline_ms = conf->deadline_s * 1000,
		.place = &place->bulk,
	};
	enum cf_err rc;

	rc = cf_agent_new(&options, &s->link, &s->part->container, ret,
	    why);
	if (rc != CF_OK)
		return rc;
	return cf_cli_consent(conf, s->link.service, a->ask_server, why);
}

static enum cf_err
ask(struct cf_agent *agent, const struct server *server, struct cf_why *why)
{
	CF_AUTO(cf_about_free) struct cf_about about = { 0 };
	enum cf_err rc;

	rc = cf_agent_describe(agent, &about, why);
	if (rc == CF_OK)
		say_about(&about, server, stdout);
	return rc;
}

static enum cf_err
open_to(struct cf_agent *agent, const struct server *server,
    struct output *out, struct cf_why *why)
{
	CF_AUTO(cf_opened_free) struct cf_opened message = { 0 };
	enum cf_err rc;

	rc = cf_agent_open(agent, &message, why);
	if (rc == CF_OK)
		rc = output_finish(out, &message, why);
	if (rc == CF_OK)
		warn_of_sender(&message, &cf_agent_release(agent)->about,
		    server);
	return rc;
}

/* The message is out; what fails from here on does not undo that. */
static void
confirm(struct cf_agent *agent, const struct arguments *a,
    const struct server *server)
{
	struct cf_why why = { "" };

	if (!a->quiet)
		say_about(&cf_agent_release(agent)->about, server, stderr);
	if (cf_agent_confirm(agent, &why) != CF_OK)
		fprintf(stderr, "counterfoil: The message is complete and "
		    "checked, but the key server did not take the note that "
		    "it was opened (%s). The receipt says that its key was "
		    "released.\n", why.text);
}

static enum cf_err
run(const struct cf_cli_conf *conf, const struct arguments *a,
    const struct cf_cli_place *place, struct cf_cli_sealed *sealed,
    struct output *out, struct cf_why *why)
{
	CF_AUTO(cf_proxy_wipe) struct cf_proxy proxy = { 0 };
	CF_AUTO(cf_httpc_free) struct cf_httpc *http = NULL;
	CF_AUTO(cf_agent_free) struct cf_agent *agent = NULL;
	struct server server = { 0 };
	enum cf_err rc;

	rc = cf_cli_read(conf, a->path, place, sealed, why);
	if (rc == CF_OK)
		rc = choose(sealed, a, why);
	if (rc == CF_OK)
		rc = cf_cli_client(conf, &proxy, &http, why);
	if (rc == CF_OK)
		rc = make_agent(conf, a, sealed, place, http, &agent, why);
	if (rc != CF_OK)
		return rc;
	server.service = sealed->link.service;
	server.listed = cf_cli_is_listed(conf, server.service);
	if (a->ask_only)
		return ask(agent, &server, why);
	rc = output_begin(a->out, sealed->part->container.ciphertext_len, out,
	    why);
	if (rc == CF_OK)
		rc = open_to(agent, &server, out, why);
	if (rc == CF_OK)
		confirm(agent, a, &server);
	return rc;
}

int
cf_cmd_open(const struct cf_cli_conf *conf, int argc, char **argv)
{
	CF_AUTO(free_arguments) struct arguments a = { 0 };
	CF_AUTO(output_abandon) struct output out = { .fd = -1 };
	CF_AUTO(cf_cli_place_free) struct cf_cli_place place = { 0 };
	CF_AUTO(cf_cli_sealed_free) struct cf_cli_sealed sealed = { 0 };
	struct cf_why why = { "" };
	enum cf_err rc;
	int status;

	if (!parse_arguments(argc, argv, &a))
		return usage();
	cf_cli_place(a.out, &place);
	rc = run(conf, &a, &place, &sealed, &out, &why);
	status = rc == CF_OK ? CF_EXIT_OK :
	    cf_cli_fail_asking(conf, rc, &why);
	if (rc == CF_E_SEVERAL)
		list_parts(&sealed.reading);
	return status;
}
