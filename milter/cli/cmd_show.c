/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counterfoil show - what a file is.  Asks nobody, needs no key.
 *
 * BUGS: who sealed it only the key server knows; `open -n` asks it.
 */
#include <ctype.h>
#include <getopt.h>
#include <string.h>

#include "common/composite.h"
#include "common/container.h"
#include "common/mem.h"
#include "milter/cli/cli.h"
#include "milter/cli/cli_trust.h"

static void
row(const char *name, const char *value)
{
	printf("%-16s ", name);
	cf_cli_put(value, stdout);
	putchar('\n');
}

static void
row_size(const char *name, size_t bytes)
{
	printf("%-16s %zu bytes\n", name, bytes);
}

/* The value of a header field, unfolded.  Gives; NULL if it is not there. */
static char *
find_field(const struct cf_buf *file, const char *name)
{
	const char *p = cf_buf_str(file), *end = p + file->len, *eol;
	struct cf_buf value = CF_BUF_INIT(4096);
	size_t n = strlen(name);
	bool inside = false;

	for (; p < end && *p != '\n' && *p != '\r'; p = eol + 1) {
		eol = memchr(p, '\n', (size_t)(end - p));
		if (eol == NULL)
			break;
		if (*p != ' ' && *p != '\t') {
			if (inside)
				break;
			inside = (size_t)(eol - p) > n && p[n] == ':' &&
			    strncasecmp(p, name, n) == 0;
			if (inside)
				p += n + 1;
		}
		if (inside)
			cf_buf_add(&value, p, (size_t)(eol - p) -
			    (eol > p && eol[-1] == '\r'));
	}
	if (!inside) {
		cf_buf_free(&value);
		return NULL;
	}
	return cf_buf_take(&value, NULL);
}

static bool
has_field(const struct cf_buf *file, const char *name)
{
	CF_AUTO(cf_free) char *value = find_field(file, name);

	return value != NULL;
}

static void
show_claim(const struct cf_buf *file, const char *name)
{
	CF_AUTO(cf_free) char *value = find_field(file, name);

	if (value != NULL)
		row(name, value + strspn(value, " \t"));
}

static void
show_part(const struct cf_cli_conf *conf, const struct cf_sealed *part)
{
	row("Key id", part->handle);
	if (part->has_link) {
		row("Key server", part->link.service);
		row("On your list", cf_cli_is_listed(conf,
		    part->link.service) ? "yes" : "no: it can say anything");
	} else {
		row("Key server", "unknown: it stands in the link, which is "
		    "in the mail");
	}
	row("Cipher", "AES-256-GCM, key wrapped with AES-256-KW");
	row_size("Sealed part", part->e.len);
	row_size("Inside", part->container.ciphertext_len);
}

static void
show(const struct cf_cli_conf *conf, const struct cf_cli_sealed *s)
{
	struct cf_why why = { "" };
	struct cf_composite mail;
	bool is_mail = has_field(&s->file, "From");
	size_t i;

	if (s->reading.bare) {
		row("What", "the sealed part alone (" CF_CONTAINER_NAME ")");
	} else if (s->reading.count > 1) {
		row("What", "a file with several sealed parts");
	} else if (!is_mail) {
		row("What", "a file with the sealed part, and no mail");
	} else if (cf_composite_parse(cf_buf_str(&s->file), s->file.len,
	    s->reading.part[0].handle, &mail, &why) == CF_OK) {
		row("What", "a mail sealed by Counterfoil");
	} else {
		row("What", "a mail with a sealed part, changed on its way");
		row("Changed", why.text);
	}
	row_size("File", s->file.len);
	for (i = 0; i < s->reading.count; i++)
		show_part(conf, &s->reading.part[i]);
	if (!is_mail)
		return;
	puts("\nThe outside of the mail says this; nobody has checked it:");
	show_claim(&s->file, "From");
	show_claim(&s->file, "To");
	show_claim(&s->file, "Subject");
	show_claim(&s->file, "Date");
}

int
cf_cmd_show(const struct cf_cli_conf *conf, int argc, char **argv)
{
	CF_AUTO(cf_cli_place_free) struct cf_cli_place place = { 0 };
	CF_AUTO(cf_cli_sealed_free) struct cf_cli_sealed sealed = { 0 };
	struct cf_why why = { "" };
	enum cf_err rc;

	if (getopt(argc, argv, "") != -1 || optind + 1 != argc) {
		fputs("usage: counterfoil show FILE|-\n", stderr);
		return CF_EXIT_USAGE;
	}
	cf_cli_place(NULL, &place);
	rc = cf_cli_read(conf, argv[optind], &place, &sealed, &why);
	if (rc != CF_OK)
		return cf_cli_fail(rc, &why);
	show(conf, &sealed);
	return fflush(stdout) == 0 ? CF_EXIT_OK : CF_EXIT_TEMPORARY;
}
