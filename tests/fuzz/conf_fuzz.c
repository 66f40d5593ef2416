/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration: what loads is printed, and that loads to the same. */
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "tests/fuzz/fuzz.h"

#define CF_CONF_INTO settings
#include "common/conf_rows.h"

struct settings {
	char *name, *where;
	int log;
	long count, size, time;
	bool on;
	struct cf_conf_list list;
	int set;
};

#define ROW(key, type, def, min, max, check) \
	CF_CONF_ROW(key, type, def, min, max, check, NULL, false, "A sentence.")

static const struct cf_conf_name bits[] = {
	{ "one", 1 }, { "two", 2 }, { "four", 4 }, { NULL, 0 },
};

static const struct cf_conf_opt table[] = {
	ROW(name, CF_CONF_STR, "it", 0, 0, NULL),
	ROW(where, CF_CONF_STR, NULL, 0, 0, cf_conf_check_service_url),
	ENUM(log, "stderr", cf_conf_logs, LIVE, "A sentence."),
	ROW(count, CF_CONF_INT, "7", -5, 1000, NULL),
	ROW(size, CF_CONF_SIZE, "100", 0, 3L << 30, NULL),
	ROW(time, CF_CONF_TIME_S, "30", 0, 86400, NULL),
	ROW(on, CF_CONF_BOOL, "true", 0, 0, NULL),
	ROW(list, CF_CONF_LIST, "a:1 b:2", 0, 0, cf_conf_check_hostport),
	SET(set, "four one", bits, LIVE, "A sentence."),
};

#define TABLE_LEN (sizeof table / sizeof table[0])

/* The bytes as a file that has a path. */
static int
file_of(const void *data, size_t len, char path[40])
{
	int fd = memfd_create("conf", MFD_CLOEXEC);

	PROMISE(fd >= 0);
	PROMISE(cf_file_write_all(fd, data, len, NULL) == CF_OK);
	(void)snprintf(path, 40, "/proc/self/fd/%d", fd);
	return fd;
}

static char *
print(const struct settings *s, size_t *ret_len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_len);

	PROMISE(out != NULL);
	cf_conf_print(table, TABLE_LEN, s, out);
	PROMISE(fclose(out) == 0);
	return text;
}

static void
check_loaded(const struct settings *s)
{
	struct settings again = { 0 };
	size_t len, again_len;
	char path[40], *text = print(s, &len), *text_again;
	int fd = file_of(text, len, path);

	PROMISE(s->count >= -5 && s->count <= 1000);
	PROMISE(s->set >= 0 && s->set <= 7);
	PROMISE(cf_conf_load(path, table, TABLE_LEN, &again, NULL) == CF_OK);
	text_again = print(&again, &again_len);
	PROMISE(strcmp(text, text_again) == 0);
	cf_conf_free(table, TABLE_LEN, &again);
	free(text);
	free(text_again);
	close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct settings s = { 0 };
	struct cf_why why = { "" };
	char path[40];
	int fd = file_of(data, size, path);
	enum cf_err rc = cf_conf_load(path, table, TABLE_LEN, &s, &why);

	if (rc == CF_OK) {
		check_loaded(&s);
		cf_conf_free(table, TABLE_LEN, &s);
	} else {
		PROMISE(rc == CF_E_CONFIG);
		PROMISE(why.text[0] != '\0');
	}
	PROMISE(s.name == NULL && s.where == NULL);
	PROMISE(s.list.item == NULL && s.set == 0);
	close(fd);
	return 0;
}
