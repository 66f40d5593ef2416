/* SPDX-License-Identifier: Apache-2.0 */
/* cf_cli - see cli.h. */
#include "milter/cli.h"

#include <stdlib.h>
#include <string.h>

#include "common/container.h"
#include "common/file.h"
#include "common/link_find.h"
#include "common/mem.h"
#include "common/visible.h"
#include "config.h"

#define DER_SEQUENCE 0x30

void
cf_cli_sealed_free(struct cf_cli_sealed *sealed)
{
	cf_composite_free(&sealed->mail);
	cf_buf_free(&sealed->file);
	memset(sealed, 0, sizeof *sealed);
}

static enum cf_err
read_bare(const char *link_text, struct cf_cli_sealed *s, struct cf_why *why)
{
	struct cf_why inner = { "" };
	enum cf_err rc;

	rc = cf_container_parse(cf_buf_str(&s->file), s->file.len,
	    &s->mail.container, why);
	if (rc != CF_OK || link_text == NULL)
		return rc;
	rc = cf_link_find(link_text, &s->mail.locator, &inner);
	if (rc != CF_OK)
		return cf_fail(rc, why, "--link: %s", inner.text);
	s->has_link = true;
	return CF_OK;
}

/* A whole mail has its own L; one given beside it must be the same. */
static enum cf_err
check_same_link(const char *link_text, const struct cf_cli_sealed *s,
    struct cf_why *why)
{
	CF_AUTO(cf_link_wipe) struct cf_link link = { 0 };
	struct cf_why inner = { "" };
	enum cf_err rc;

	if (link_text == NULL)
		return CF_OK;
	rc = cf_link_find(link_text, &link, &inner);
	if (rc != CF_OK)
		return cf_fail(rc, why, "--link: %s", inner.text);
	if (strcmp(link.service, s->mail.locator.service) != 0 ||
	    strcmp(link.handle, s->mail.locator.handle) != 0 ||
	    !cf_secret_equal(&link.token, &s->mail.locator.token))
		return cf_fail(CF_E_LINK_SYNTAX, why,
		    "--link: the message has another link of its own; leave "
		    "--link away, or give the saved attachment instead");
	return CF_OK;
}

/* A SEQUENCE with a length above 127, which no header line begins with. */
static bool
is_der(const struct cf_buf *file)
{
	return file->len > 2 && file->data[0] == DER_SEQUENCE &&
	    ((unsigned char)file->data[1] & 0x80) != 0;
}

enum cf_err
cf_cli_read(const struct cf_cli_conf *conf, const char *path,
    const char *link_text, struct cf_cli_sealed *ret, struct cf_why *why)
{
	CF_AUTO(cf_cli_sealed_free) struct cf_cli_sealed s = { 0 };
	enum cf_err rc;

	cf_composite_init();
	s.file.max = (size_t)conf->size_limit;
	rc = cf_file_read(path, &s.file, why);
	if (rc == CF_E_TOO_LARGE)
		return cf_fail(rc, why, "%s: larger than %ld bytes, the "
		    "option \"size_limit\"", path, conf->size_limit);
	if (rc != CF_OK)
		return rc;
	if (is_der(&s.file)) {
		s.bare = true;
		rc = read_bare(link_text, &s, why);
	} else {
		rc = cf_composite_parse(cf_buf_str(&s.file), s.file.len,
		    &s.mail, why);
		if (rc == CF_OK)
			rc = check_same_link(link_text, &s, why);
		s.has_link = true;
	}
	if (rc != CF_OK)
		return rc;
	*ret = s;
	memset(&s, 0, sizeof s);
	return CF_OK;
}

/* What a person can do about it; NULL: the sentence says all. */
static const char *
advice(enum cf_err rc)
{
	switch (rc) {
	case CF_E_NOT_SEALED:
		return "Give the mail as it was delivered (with all headers "
		    "and attachments), or the attachment "
		    CF_CONTAINER_NAME " and --link.";
	case CF_E_LINK_SYNTAX:
	case CF_E_LINK_TOO_LONG:
		return "Copy the whole link from the message, or give the mail "
		    "as it was delivered, which has its link within.";
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
		return "The link may be incomplete, or the key was removed. "
		    "Ask the sender.";
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
cf_cli_client(const struct cf_cli_conf *conf, struct cf_httpc **ret,
    struct cf_why *why)
{
	const struct cf_httpc_options options = {
		.ca_file = conf->ca_file,
		.user_agent = "counterfoil/" PACKAGE_VERSION,
	};

	return cf_httpc_new(&options, ret, why);
}
