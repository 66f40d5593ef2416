/* SPDX-License-Identifier: Apache-2.0 */
/* cf_endpoint - see endpoint.h. */
#include "keysrv/http/endpoint.h"

#include <stdbool.h>
#include <string.h>

#include "common/wire.h"

const struct cf_endpoint cf_endpoints[CF_ENDPOINT__COUNT] = {
#define ENDPOINT(name, method, path, who, body, bytes) \
	{ #name, (method), (path), (who), (body), (bytes), &cf_ep_##name },
#include "keysrv/http/endpoints.def"
#undef ENDPOINT
};

/* Is it the path of `ep`, or one level below it? */
static bool
endpoint_has(const struct cf_endpoint *ep, const char *path)
{
	size_t len = strlen(ep->path);

	if (len == 1 || ep->path[len - 1] != '/')
		return strcmp(ep->path, path) == 0;
	return strncmp(ep->path, path, len) == 0 && path[len] != '\0' &&
	    strchr(path + len, '/') == NULL;
}

const struct cf_endpoint *
cf_endpoint_find(const char *path, const char **ret_tail)
{
	size_t i;

	for (i = 0; i < CF_ENDPOINT__COUNT; i++) {
		if (!endpoint_has(&cf_endpoints[i], path))
			continue;
		*ret_tail = path + strlen(cf_endpoints[i].path);
		return &cf_endpoints[i];
	}
	return NULL;
}
