/* SPDX-License-Identifier: Apache-2.0 */
/* cf_assurance - see assurance.h. */
#include "common/assurance.h"

#include <string.h>

#define BEGIN \
	"When you open this message, a record is kept that its key was given "
#define END \
	", with the time and the web origin of the page used; the sender is " \
	"told."

/* The page says the same: tests/vectors/assurance.json. */
static const struct {
	const char *name, *records;
} assurances[CF_ASSURANCE__COUNT] = {
	[CF_ASSURANCE_BEARER] = { "bearer", BEGIN "to someone who had the "
	    "message and its link" END " Who you are is not checked." },
	[CF_ASSURANCE_MAILBOX] = { "mailbox", BEGIN "to someone who typed a "
	    "code that was mailed to the recipient's address" END },
	[CF_ASSURANCE_ACCOUNT] = { "account", BEGIN "to the account that you "
	    "sign in to" END },
	[CF_ASSURANCE_CERTIFICATE] = { "certificate", BEGIN "to the holder of "
	    "the certificate that you show" END },
};

const char *
cf_assurance_name(enum cf_assurance assurance)
{
	return assurances[assurance].name;
}

bool
cf_assurance_parse(const char *name, enum cf_assurance *ret)
{
	int i;

	for (i = 0; i < CF_ASSURANCE__COUNT; i++) {
		if (strcmp(name, assurances[i].name) == 0) {
			*ret = (enum cf_assurance)i;
			return true;
		}
	}
	return false;
}

bool
cf_assurance_at_least(enum cf_assurance known, enum cf_assurance asked)
{
	return known >= asked;
}

const char *
cf_assurance_records(enum cf_assurance assurance)
{
	return assurances[assurance].records;
}
