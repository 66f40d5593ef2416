/* SPDX-License-Identifier: Apache-2.0 */
/* cf_fault - see fault.h. */
#include "common/fault.h"

#ifdef CF_FAULT_POINTS
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_long passes;

void
cf_fault_hit(const char *name)
{
	const char *want = getenv("CF_FAULT");
	size_t len = strlen(name);

	if (want == NULL || strncmp(want, name, len) != 0 || want[len] != ':')
		return;
	if (atomic_fetch_add(&passes, 1) + 1 ==
	    strtol(want + len + 1, NULL, 10))
		(void)raise(SIGKILL);
}
#else
/* ISO C wants one declaration in every file. */
extern int cf_fault_points_are_off;
#endif
