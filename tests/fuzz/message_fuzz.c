/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a mail server shows of a message: lines of the input are
 *   F address   MAIL        R address   RCPT
 *   name:value  a field; "\" in a value stands for a line end and a blank
 * and the rest, behind an empty line, is the body.  An entitled flag is
 * sealed or refused, whatever else there is.
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "common/secret.h"
#include "common/wire.h"
#include "milter/gateway/mctx.h"
#include "tests/fuzz/fuzz.h"

static char dir[] = "/tmp/counterfoil-fuzz.XXXXXX";

static void
clean_up(void)
{
	static const char *const names[] = { "token", "ref", "conf" };
	size_t i;

	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		CF_AUTO(cf_free) char *path =
		    cf_asprintf("%s/%s", dir, names[i]);

		unlink(path);
	}
	cf_snapshot_swap(NULL);
	rmdir(dir);
}

static void
set_up(void)
{
	static const char token[] =
	    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
	CF_AUTO(cf_free) char *token_file = NULL;
	CF_AUTO(cf_free) char *conf = NULL;
	CF_AUTO(cf_free) char *text = NULL;
	struct cf_snapshot *snapshot = NULL;
	struct cf_why why = { "" };
	FILE *f;

	PROMISE(mkdtemp(dir) != NULL);
	atexit(clean_up);
	umask(077);
	token_file = cf_asprintf("%s/token", dir);
	conf = cf_asprintf("%s/conf", dir);
	text = cf_asprintf("mode = both\n"
	    "key_servers = {\"https://keys.example\"}\n"
	    "allowed_key_servers = {\"https://keys.example\"}\n"
	    "api_token_file = \"%s\"\nref_secret_file = \"%s/ref\"\n"
	    "reader_url = \"https://reader.example\"\n"
	    "store_directory = \"%s\"\nlocal_domains = {\"local.test\"}\n"
	    "triggers = {\"disposition-notification-to\", "
	    "\"return-receipt-to\", \"subject-tag\"}\n"
	    "header_limit = 8192\nheader_count = 40\n", token_file, dir, dir);
	f = fopen(token_file, "w");
	PROMISE(f != NULL && fputs(token, f) >= 0 && fclose(f) == 0);
	f = fopen(conf, "w");
	PROMISE(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
	if (cf_snapshot_load(conf, false, &snapshot, &why) != CF_OK) {
		fprintf(stderr, "%s\n", why.text);
		abort();
	}
	cf_snapshot_swap(snapshot);
}

/* One line of the input; gives whether it was the flag. */
static bool
show_line(struct cf_mctx *m, char *line, bool leadspc)
{
	char *const args[] = { (char *)(uintptr_t)"ORCPT=rfc822;x@b.test",
		NULL };
	char *colon, *p;

	if (strncmp(line, "R ", 2) == 0) {
		cf_mctx_rcpt(m, line + 2, line[2] == '<' ? args : NULL);
		return false;
	}
	colon = strchr(line, ':');
	if (colon == NULL)
		return false;
	*colon = '\0';
	for (p = colon + 1; *p != '\0'; p++)
		if (*p == '\\')
			*p = '\n';
	cf_mctx_header(m, line, colon + 1, leadspc);
	return cf_field_is(line, CF_FLAG_FIELD);
}

static void
decide(struct cf_mctx *m, bool flagged, bool entitled, char *body)
{
	struct cf_why why = { "" };
	const char *p;
	enum cf_err rc = cf_mctx_decide(m, &why);

	PROMISE(!flagged || m->decision.action != CF_ACTION_PASS);
	PROMISE(!flagged || !entitled ||
	    m->decision.action == CF_ACTION_SEAL ||
	    m->decision.action == CF_ACTION_REFUSE);
	PROMISE(rc != CF_OK || m->decision.action != CF_ACTION_SEAL ||
	    m->outbound != NULL);
	if (m->decision.action == CF_ACTION_REFUSE)
		for (p = m->decision.reply.text; *p != '\0'; p++)
			PROMISE(*p >= ' ' && *p <= '~');
	if (rc == CF_OK)
		rc = cf_mctx_body(m, (unsigned char *)body, strlen(body), &why);
	PROMISE(rc == CF_OK || why.text[0] != '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	CF_AUTO(cf_free) char *text = cf_strndup((const char *)data, size);
	CF_AUTO(cf_mctx_free) struct cf_mctx *m = NULL;
	bool entitled = size % 2 == 0, flagged = false;
	char *line, *rest = text;

	if (!ready)
		set_up();
	ready = true;
	line = strsep(&rest, "\n");
	m = cf_mctx_new(strncmp(line, "F ", 2) == 0 ? line + 2 : "a@a.test");
	m->facts.entitled = entitled;
	while (rest != NULL && (line = strsep(&rest, "\n"))[0] != '\0')
		flagged |= show_line(m, line, size % 3 == 0);
	decide(m, flagged, entitled, rest == NULL ? line : rest);
	return 0;
}
