/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Give every file of corpus/<CF_FUZZ_TARGET> to the target, whole, cut short
 * and with single bytes changed.  Prints TAP; the target aborts by itself.
 */
#include <dirent.h>
#include <string.h>

#include "common/buf.h"
#include "common/file.h"
#include "common/mem.h"
#include "tests/fuzz/fuzz.h"

#define FILE_MAX ((size_t)1 << 20)
#define CHANGES 200	/* a file */

/* A copy of its own size, so that a sanitizer sees every step too far. */
static void
give(const char *data, size_t len)
{
	uint8_t *copy = cf_realloc(NULL, len == 0 ? 1 : len, 1);

	if (len > 0)
		memcpy(copy, data, len);
	(void)LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

static void
replay(char *data, size_t len)
{
	size_t i, at, step = len / CHANGES + 1;
	char was;

	give(data, len);
	for (i = 0; i < len; i += step)
		give(data, i);
	for (i = 0; i < len; i += step) {
		at = (i * 7) % len;
		was = data[at];
		data[at] = (char)(was ^ (1 << i % 8));
		give(data, len);
		data[at] = was;
	}
}

int
main(void)
{
	const char *top = getenv("top_srcdir");
	char *dir = cf_asprintf("%s/tests/fuzz/corpus/" CF_FUZZ_TARGET,
	    top == NULL ? "." : top), *path;
	DIR *d = opendir(dir);
	struct dirent *entry;
	int count = 0;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		struct cf_buf buf = CF_BUF_INIT(FILE_MAX);

		if (entry->d_name[0] == '.')
			continue;
		path = cf_asprintf("%s/%s", dir, entry->d_name);
		if (cf_file_read(path, &buf, NULL) != CF_OK) {
			printf("Bail out! cannot read %s\n", path);
			return 1;
		}
		if (!cf_buf_reserve(&buf, 1))
			return 1;
		replay(buf.data, buf.len);
		/* A library may have written in the middle of a line. */
		printf("\nok %d - %s\n", ++count, entry->d_name);
		cf_buf_free(&buf);
		free(path);
	}
	if (d != NULL)
		closedir(d);
	if (count == 0)
		printf("Bail out! no files in %s\n", dir);
	else
		printf("1..%d\n", count);
	free(dir);
	return count == 0;
}
