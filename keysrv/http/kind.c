/* SPDX-License-Identifier: Apache-2.0 */
/* cf_kind - see kind.h. */
#include "keysrv/http/kind.h"

const struct cf_kind *const cf_kinds[CF_KIND__COUNT] = {
#define KIND(name) &cf_kind_##name,
#include "keysrv/http/kinds.def"
#undef KIND
};
