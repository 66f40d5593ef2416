/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_postfix_conf - what postconf(1) prints of one Postfix, taken apart.
 *
 * Knows: the forms that postconf -x, -P and -M print, lists of milters, lists
 * of words, times (postconf(5), MILTER_README, master(5)).
 * Does not know: how the text was had, our socket, what is good or bad.
 * Threads: no shared state.   Logging: never.
 */
#ifndef CF_MILTER_POSTFIX_CONF_H
#define CF_MILTER_POSTFIX_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

/* A line of master.cf.  All lend from the texts. */
struct cf_postfix_service {
	const char *name, *type, *chroot, *command;
};

struct cf_postfix_pair;		/* a parameter and its value */

struct cf_postfix_conf {
	/* What was printed: postconf -x, -P and -M; the caller's to fill. */
	struct cf_buf main, overrides, master;
	/* Made of it by cf_postfix_conf_parse(). */
	struct cf_postfix_pair *param, *override;
	size_t param_count, override_count;
	struct cf_postfix_service *service;
	size_t service_count;
};

/* Once, when the texts are there; it cuts them up.  What has not the form of
 * such a line is passed over. */
void cf_postfix_conf_parse(struct cf_postfix_conf *conf);
/* The texts, too. */
void cf_postfix_conf_free(struct cf_postfix_conf *conf);

/*
 * The value in force for a service (NULL: in general); "" if there is none,
 * or it was not asked for.  Lends.
 */
const char *cf_postfix_value(const struct cf_postfix_conf *conf,
    const struct cf_postfix_service *service, const char *name);
/* A line of master.cf, or NULL. */
const struct cf_postfix_service *cf_postfix_service(
    const struct cf_postfix_conf *conf, const char *name, const char *type);
/* "[127.0.0.1]:10027" -> the listener there, by its port; or NULL. */
const struct cf_postfix_service *cf_postfix_listener(
    const struct cf_postfix_conf *conf, const char *destination);
bool cf_postfix_is_chrooted(const struct cf_postfix_conf *conf,
    const struct cf_postfix_service *service);

/* One milter of a list, with the settings of its braces; cut if longer. */
struct cf_postfix_milter {
	char address[300];
	char action[20];		/* "" when it says none */
	char content_timeout[20];
};

/* The next milter of *list, which moves on; false at its end. */
bool cf_postfix_next_milter(const char **list, struct cf_postfix_milter *ret);
/*
 * Where a word stands in a list of words with blanks or commas between, or
 * NULL.  Case does not matter.  Lends.
 */
const char *cf_postfix_word(const char *list, const char *word);
/* "300s", "5m", "2": seconds; -1 when it is no time. */
long cf_postfix_seconds(const char *text);

#endif
