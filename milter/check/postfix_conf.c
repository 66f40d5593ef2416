/* SPDX-License-Identifier: Apache-2.0 */
/* cf_postfix_conf - see postfix_conf.h. */
#include "milter/check/postfix_conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"

struct cf_postfix_pair {
	const char *name, *value;	/* into the text they came from */
};

/* ---- parameters and services ---- */

/* Lines "name = value" -> pairs; the text is cut up. */
static struct cf_postfix_pair *
split_pairs(struct cf_buf *text, size_t *ret_count)
{
	struct cf_postfix_pair *pairs = NULL;
	size_t count = 0;
	char *line, *next, *equal;

	if (text->len == 0)
		return NULL;
	for (line = text->data; line != NULL && *line != '\0'; line = next) {
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		equal = strstr(line, " =");
		if (equal == NULL)
			continue;
		*equal = '\0';
		equal += 2;
		pairs = cf_realloc(pairs, count + 1, sizeof *pairs);
		pairs[count].name = line;
		pairs[count++].value = equal + strspn(equal, " ");
	}
	*ret_count = count;
	return pairs;
}

/* "name type private unpriv chroot wakeup maxproc command ..." */
static void
split_services(struct cf_postfix_conf *conf)
{
	char *line, *next, *word[8], *save;
	struct cf_postfix_service *s;
	size_t i;

	if (conf->master.len == 0)
		return;
	for (line = conf->master.data; line != NULL && *line != '\0';
	    line = next) {
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		for (i = 0, save = NULL; i < 8; i++) {
			word[i] = strtok_r(i == 0 ? line : NULL, " \t", &save);
			if (word[i] == NULL)
				break;
		}
		if (i < 8)
			continue;
		conf->service = cf_realloc(conf->service,
		    conf->service_count + 1, sizeof *conf->service);
		s = &conf->service[conf->service_count++];
		s->name = word[0];
		s->type = word[1];
		s->chroot = word[4];
		s->command = word[7];
	}
}

void
cf_postfix_conf_parse(struct cf_postfix_conf *conf)
{
	conf->param = split_pairs(&conf->main, &conf->param_count);
	conf->override = split_pairs(&conf->overrides, &conf->override_count);
	split_services(conf);
}

void
cf_postfix_conf_free(struct cf_postfix_conf *conf)
{
	free(conf->param);
	free(conf->override);
	free(conf->service);
	conf->param = conf->override = NULL;
	conf->service = NULL;
	conf->param_count = conf->override_count = conf->service_count = 0;
	cf_buf_free(&conf->main);
	cf_buf_free(&conf->overrides);
	cf_buf_free(&conf->master);
}

static const char *
conf_find(const struct cf_postfix_pair *pairs, size_t count, const char *name)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strcmp(pairs[i].name, name) == 0)
			return pairs[i].value;
	return NULL;
}

const char *
cf_postfix_value(const struct cf_postfix_conf *conf,
    const struct cf_postfix_service *s, const char *name)
{
	const char *found = NULL;

	if (s != NULL) {
		CF_AUTO(cf_free) char *key = cf_asprintf("%s/%s/%s", s->name,
		    s->type, name);

		found = conf_find(conf->override, conf->override_count, key);
	}
	if (found == NULL)
		found = conf_find(conf->param, conf->param_count, name);
	return found == NULL ? "" : found;
}

const struct cf_postfix_service *
cf_postfix_service(const struct cf_postfix_conf *conf, const char *name,
    const char *type)
{
	size_t i;

	for (i = 0; i < conf->service_count; i++)
		if (strcmp(conf->service[i].name, name) == 0 &&
		    strcmp(conf->service[i].type, type) == 0)
			return &conf->service[i];
	return NULL;
}

const struct cf_postfix_service *
cf_postfix_listener(const struct cf_postfix_conf *conf,
    const char *destination)
{
	const char *port = strrchr(destination, ':'), *colon;
	const struct cf_postfix_service *s;
	size_t i;

	if (port == NULL)
		return NULL;
	for (i = 0; i < conf->service_count; i++) {
		s = &conf->service[i];
		colon = strrchr(s->name, ':');
		if (strcmp(s->type, "inet") == 0 &&
		    strcmp(colon == NULL ? s->name : colon + 1, port + 1) == 0)
			return s;
	}
	return NULL;
}

bool
cf_postfix_is_chrooted(const struct cf_postfix_conf *conf,
    const struct cf_postfix_service *s)
{
	if (s->chroot[0] != '-')
		return s->chroot[0] == 'y';
	/* Its default changed with compatibility_level 1. */
	return strcmp(cf_postfix_value(conf, NULL, "compatibility_level"),
	    "0") == 0;
}

/* ---- values ---- */

const char *
cf_postfix_word(const char *list, const char *word)
{
	size_t len = strlen(word), n;

	for (list += strspn(list, " ,\t"); *list != '\0';
	    list += n, list += strspn(list, " ,\t")) {
		n = strcspn(list, " ,\t");
		if (n == len && strncasecmp(list, word, n) == 0)
			return list;
	}
	return NULL;
}

static void
milter_copy(char *out, size_t cap, const char *from, size_t len)
{
	(void)snprintf(out, cap, "%.*s", (int)len, from);
}

/* What stands between words inside of braces, and what ends a name. */
#define BETWEEN ", \t{}"
#define NAME_END BETWEEN "="

static void
set(struct cf_postfix_milter *m, const char *name, size_t name_len,
    const char *text, size_t len)
{
	if (name_len == 14 && strncmp(name, "default_action", 14) == 0)
		milter_copy(m->action, sizeof m->action, text, len);
	if (name_len == 15 && strncmp(name, "content_timeout", 15) == 0)
		milter_copy(m->content_timeout, sizeof m->content_timeout,
		    text, len);
}

/*
 * "unix:/a, default_action=accept, { content_timeout = 9s }": what stands
 * inside the outer braces.
 */
static void
read_settings(struct cf_postfix_milter *m, const char *text, const char *end)
{
	const char *word, *after;
	size_t n;

	for (text += strspn(text, NAME_END); text < end;
	    text += strspn(text, NAME_END)) {
		word = text;
		n = strcspn(word, NAME_END);
		after = word + n + strspn(word + n, " \t");
		text = word + n;
		if (*after == '=') {
			after += 1 + strspn(after + 1, " \t");
			text = after + strcspn(after, BETWEEN);
			set(m, word, n, after, (size_t)(text - after));
		} else if (m->address[0] == '\0') {
			milter_copy(m->address, sizeof m->address, word, n);
		}
	}
}

/* Where the brace at `p` is closed, or the end of the text. */
static const char *
closing(const char *p)
{
	int depth = 0;

	for (; *p != '\0'; p++) {
		depth += (*p == '{') - (*p == '}');
		if (depth == 0)
			break;
	}
	return p;
}

bool
cf_postfix_next_milter(const char **list, struct cf_postfix_milter *ret)
{
	const char *p = *list + strspn(*list, ", \t"), *end;

	memset(ret, 0, sizeof *ret);
	if (*p == '\0')
		return false;
	if (*p == '{') {
		end = closing(p);
		read_settings(ret, p + 1, end);
		*list = end + (*end == '}');
		return true;
	}
	end = p + strcspn(p, ", \t");
	milter_copy(ret->address, sizeof ret->address, p, (size_t)(end - p));
	*list = end;
	return true;
}

long
cf_postfix_seconds(const char *text)
{
	static const struct { char unit; long s; } units[] = {
		{ 's', 1 }, { '\0', 1 }, { 'm', 60 }, { 'h', 3600 },
		{ 'd', 86400 }, { 'w', 604800 },
	};
	char *end;
	long n = strtol(text, &end, 10);
	size_t i;

	if (end == text || (*end != '\0' && end[1] != '\0'))
		return -1;
	for (i = 0; i < sizeof units / sizeof units[0]; i++)
		if (units[i].unit == *end)
			return n * units[i].s;
	return -1;
}
