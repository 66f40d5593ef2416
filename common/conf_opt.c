/* SPDX-License-Identifier: Apache-2.0 */
/* cf_conf_opt - see conf_opt.h. */
#include "common/conf_opt.h"

#include <string.h>

#include "common/log.h"

bool
cf_conf_is_list(const struct cf_conf_opt *opt)
{
	return opt->type == CF_CONF_LIST || opt->type == CF_CONF_SET;
}

const struct cf_conf_name cf_conf_logs[] = {
	{ "stderr", CF_LOG_STDERR }, { "syslog", CF_LOG_SYSLOG }, { NULL, 0 },
};
const struct cf_conf_name cf_conf_log_levels[] = {
	{ "error", CF_LOG_ERROR }, { "warn", CF_LOG_WARN },
	{ "info", CF_LOG_INFO }, { "debug", CF_LOG_DEBUG }, { NULL, 0 },
};

bool
cf_conf_value(const struct cf_conf_name *names, const char *text, int *ret)
{
	for (; names->name != NULL; names++)
		if (strcmp(names->name, text) == 0) {
			*ret = names->value;
			return true;
		}
	return false;
}

const char *
cf_conf_name(const struct cf_conf_name *names, int value)
{
	for (; names->name != NULL; names++)
		if (names->value == value)
			return names->name;
	cf_bug("a value without a name");
}

bool
cf_conf_list_has(const struct cf_conf_list *list, const char *item)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		if (strcmp(list->item[i], item) == 0)
			return true;
	return false;
}
