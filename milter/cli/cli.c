/* SPDX-License-Identifier: Apache-2.0 */
/* cf_cli - see cli.h. */
#include "milter/cli/cli.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/composite.h"
#include "common/container.h"
#include "common/file.h"
#include "common/link_find.h"
#include "common/mem.h"
#include "common/visible.h"
#include "config.h"

#define MEMORY_MAX (1u << 20)	/* bytes of a mail; more are in a file */

void
cf_cli_sealed_free(struct cf_cli_sealed *sealed)
{
	cf_reading_free(&sealed->reading);
	cf_bulk_free(&sealed->bulk);
	explicit_bzero(sealed, sizeof *sealed);
}

void
cf_cli_place(const char *out, struct cf_cli_place *ret)
{
	const char *tmpdir = getenv("TMPDIR");
	char *copy;

	if (out != NULL) {
		copy = cf_strdup(out);
		ret->directory = cf_strdup(dirname(copy));
		cf_free(&copy);
	} else {
		ret->directory = cf_strdup(tmpdir != NULL && *tmpdir != '\0' ?
		    tmpdir : "/tmp");
	}
	ret->bulk.directory = ret->directory;
	ret->bulk.memory = MEMORY_MAX;
}

void
cf_cli_place_free(struct cf_cli_place *place)
{
	cf_free(&place->directory);
}

static enum cf_err
read_file(const char *path, struct cf_bulk *bulk, struct cf_why *why)
{
	enum cf_err rc;
	int fd;

	rc = cf_file_open(path, &fd, why);
	if (rc != CF_OK)
		return rc;
	rc = cf_bulk_read(bulk, fd, why);
	close(fd);
	return rc;
}

enum cf_err
cf_cli_read(const struct cf_cli_conf *conf, const char *path,
    const struct cf_cli_place *place, struct cf_cli_sealed *ret,
    struct cf_why *why)
{
	CF_AUTO(cf_cli_sealed_free) struct cf_cli_sealed s = { 0 };
	struct cf_reading_file file = { .place = &place->bulk };
	enum cf_err rc;

	cf_composite_init();
	cf_bulk_init(&s.bulk, &place->bulk, (size_t)conf->size_limit);
	rc = read_file(path, &s.bulk, why);
	if (rc == CF_E_TOO_LARGE)
		return cf_fail(rc, why, "%s: larger than %ld bytes, the "
		    "option \"size_limit\"", path, conf->size_limit);
	if (rc == CF_OK)
		rc = cf_bulk_map(&s.bulk, &s.file, why);
	if (rc != CF_OK)
		return rc;
	file.bytes = cf_buf_str(&s.file);
	file.len = s.file.len;
	file.mapped = s.bulk.spooled;
	rc = cf_reading_parse_file(&file, &s.reading, why);
	if (rc != CF_OK)
		return rc;
	*ret = s;
	memset(&s, 0, sizeof s);
	return CF_OK;
}

static enum cf_err
choose_part(struct cf_cli_sealed *s, const char *key_id, const char *link_id,
    struct cf_why *why)
{
	const char *wanted = key_id != NULL ? key_id : link_id;
	size_t i;

	if (wanted == NULL && s->reading.count > 1)
		return cf_fail(CF_E_SEVERAL, why, "it has %zu; say with "
		    "--key-id which one", s->reading.count);
	for (i = 0; i < s->reading.count; i++) {
		s->part = &s->reading.part[i];
		if (wanted == NULL || strcmp(s->part->handle, wanted) == 0)
			return CF_OK;
	}
	s->part = NULL;
	return cf_fail(CF_E_CONTAINER, why, key_id != NULL ?
	    "--key-id: nothing in it has that key id" :
	    "the link belongs to another message than this one");
}

/* The file has no link for the message that is meant. */
static enum cf_err
no_link(const struct cf_reading *r, struct cf_why *why)
{
	if (r->lost != CF_LOST_NONE)
		return cf_fail(CF_E_LINK_LOST, why, "no link for this message "
		    "is in the file: %s", r->no_link.text);
	return cf_fail(CF_E_LINK_SYNTAX, why, r->bare ? "the attachment alone "
	    "does not say where its key is: give the mail's link with --link" :
	    "no link for this message is in the file%s%s: give it with --link",
	    r->no_link.text[0] == '\0' ? "" : ", ", r->no_link.text);
}

enum cf_err
cf_cli_choose(struct cf_cli_sealed *sealed, const char *link_text,
    const char *key_id, struct cf_why *why)
{
	struct cf_cli_sealed *s = sealed;
	struct cf_why inner = { "" };
	enum cf_err rc = CF_OK;

	if (link_text != NULL)
		rc = cf_link_find(link_text, &s->link, &inner);
	if (rc != CF_OK)
		return cf_fail(rc, why, "--link: %s", inner.text);
	rc = choose_part(s, key_id, link_text == NULL ? NULL :
	    s->link.handle, why);
	if (rc != CF_OK)
		return rc;
	if (link_text != NULL) {
		s->other_link = s->part->has_link ?
		    !cf_link_equal(&s->part->link, &s->link) :
		    s->reading.no_link.text[0] != '\0';
		return CF_OK;
	}
	if (!s->part->has_link)
		return no_link(&s->reading, why);
	s->link = s->part->link;
	return CF_OK;
}

/* What a person can do about it; NULL: the sentence says all. */
static const char *
advice(enum cf_err rc)
{
	switch (rc) {
	case CF_E_NOT_SEALED:
		return "If the mail has its link, follow that in a browser: "
		    "where it leads the sealed part is kept, too.  Else give "
		    "the mail as it was delivered (with all headers and "
		    "attachments), or the attachment " CF_CONTAINER_NAME
		    " and --link.";
	case CF_E_SEVERAL:
		return "Each is named by its key id:";
	case CF_E_LINK_SYNTAX:
	case CF_E_LINK_TOO_LONG:
		return "Copy the whole link from the message, or give the mail "
		    "as it was delivered, which has its link within.  If it "
		    "has none, follow the link in a browser, or ask the "
		    "sender.";
	case CF_E_LINK_LOST:
		return "To copy it again does not help. Give another copy of "
		    "the mail, as it was before that, or with --link the link "
		    "from there; follow the link of a service in a browser; or "
		    "ask the sender for the link.";
	case CF_E_CONTAINER:
	case CF_E_DAMAGED:
		return "Fetch the message again from the mailbox, or open its "
		    "link in a browser; if that fails too, ask the sender to "
		    "send it again.";
	case CF_E_WRONG_KEY:
	case CF_E_MISMATCH:
	case CF_E_MFORM:
		return "Nothing of it is shown. Tell the sender.";
	case CF_E_UNKNOWN_KEY:
		return "The link may have been changed on the way: give the "
		    "mail as it was delivered, without --link. If that does "
		    "not help, the key was removed: ask the sender to send "
		    "the message again.";
	case CF_E_UNLISTED:
		return "It can say anything about who sent it. To ask it all "
		    "the same, give --ask-server with its name; if you know "
		    "it, add it to the option \"allowed_key_servers\".";
	case CF_E_UNAUTHORIZED:
		return "Check the option \"api_token_file\".";
	case CF_E_BUSY:
	case CF_E_DATABASE:
	case CF_E_NETWORK:
	case CF_E_TIMEOUT:
	case CF_E_PROTOCOL:
		return "Nothing is lost; try again later.";
	default:
		return NULL;
	}
}

int
cf_cli_fail(enum cf_err rc, const struct cf_why *why)
{
	const char *more = advice(rc);

	fprintf(stderr, "counterfoil: %s", cf_err_text(rc));
	if (why->text[0] != '\0')
		fprintf(stderr, " (%s)", why->text);
	if (more != NULL)
		fprintf(stderr, " %s", more);
	fputc('\n', stderr);
	if (rc == CF_E_CONFIG)
		return CF_EXIT_USAGE;
	return cf_err_class(rc) == CF_CLASS_PERM ? CF_EXIT_REFUSED :
	    CF_EXIT_TEMPORARY;
}

int
cf_cli_fail_asking(const struct cf_cli_conf *conf, enum cf_err rc,
    const struct cf_why *why)
{
	const char *name = cf_proxy_of_environment();
	int status = cf_cli_fail(rc, why);

	if ((rc == CF_E_NETWORK || rc == CF_E_TIMEOUT) &&
	    conf->proxy == NULL && name != NULL)
		fprintf(stderr, "counterfoil: The environment's %s counts for "
		    "nothing here: if there is no other way out than a proxy, "
		    "name it in the option \"proxy\".\n", name);
	return status;
}

char *
cf_cli_clean(const char *text)
{
	struct cf_buf out = CF_BUF_INIT(64 * 1024);

	cf_visible_add(&out, text, SIZE_MAX);
	return cf_buf_take(&out, NULL);
}

void
cf_cli_put(const char *text, FILE *out)
{
	CF_AUTO(cf_free) char *clean = cf_cli_clean(text);

	fputs(clean, out);
}

enum cf_err
cf_cli_client(const struct cf_cli_conf *conf, struct cf_proxy *ret_proxy,
    struct cf_httpc **ret, struct cf_why *why)
{
	const struct cf_httpc_options options = {
		.ca_file = conf->ca_file,
		.proxy = ret_proxy,
		.user_agent = "counterfoil/" PACKAGE_VERSION,
	};
	enum cf_err rc;

	rc = cf_proxy_load(conf->proxy, conf->proxy_login_file,
	    &conf->proxy_except, ret_proxy, why);
	return rc == CF_OK ? cf_httpc_new(&options, ret, why) : rc;
}
