/* SPDX-License-Identifier: Apache-2.0 */
/* cf_budget - see budget.h. */
#include "milter/gateway/budget.h"

#include <stdatomic.h>
#include <stddef.h>

static const char *const options[CF_BUDGET__COUNT] = {
	"max_connections", "max_messages", "header_total", "body_total"
};

static _Atomic int64_t held[CF_BUDGET__COUNT], limits[CF_BUDGET__COUNT];
static _Atomic int64_t refused[CF_BUDGET__COUNT];

const char *
cf_budget_option(enum cf_budget what)
{
	return options[what];
}

void
cf_budget_set(enum cf_budget what, int64_t limit)
{
	atomic_store(&limits[what], limit);
}

bool
cf_budget_take(enum cf_budget what, int64_t amount)
{
	int64_t limit = atomic_load(&limits[what]);
	int64_t now = atomic_fetch_add(&held[what], amount) + amount;

	if (limit == 0 || now <= limit)
		return true;
	atomic_fetch_sub(&held[what], amount);
	atomic_fetch_add(&refused[what], 1);
	return false;
}

void
cf_budget_give(enum cf_budget what, int64_t amount)
{
	atomic_fetch_sub(&held[what], amount);
}

int64_t
cf_budget_held(enum cf_budget what)
{
	return atomic_load(&held[what]);
}

int64_t
cf_budget_refused(enum cf_budget what)
{
	return atomic_load(&refused[what]);
}
