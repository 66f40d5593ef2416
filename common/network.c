/* SPDX-License-Identifier: Apache-2.0 */
/* cf_network - see network.h. */
#include "common/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* ::ffff:192.0.2.1 is 192.0.2.1. */
static void
undress(struct cf_network *n)
{
	static const unsigned char mapped[12] = {
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff
	};

	if (n->family != AF_INET6 || n->prefix < 8 * sizeof mapped ||
	    memcmp(n->bits, mapped, sizeof mapped) != 0)
		return;
	n->family = AF_INET;
	n->prefix -= 8 * (unsigned)sizeof mapped;
	memmove(n->bits, n->bits + sizeof mapped, 4);
	memset(n->bits + 4, 0, 12);
}

bool
cf_network_parse(const char *text, struct cf_network *ret)
{
	char host[INET6_ADDRSTRLEN + 1];
	const char *slash = strchr(text, '/');
	size_t len = slash == NULL ? strlen(text) : (size_t)(slash - text);
	unsigned width;
	char *end;
	long prefix;

	if (len >= sizeof host)
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	memset(ret, 0, sizeof *ret);
	ret->family = strchr(host, ':') == NULL ? AF_INET : AF_INET6;
	if (inet_pton(ret->family, host, ret->bits) != 1)
		return false;
	width = ret->family == AF_INET ? 32 : 128;
	ret->prefix = width;
	if (slash == NULL) {
		undress(ret);
		return true;
	}
	prefix = strtol(slash + 1, &end, 10);
	if (slash[1] < '0' || slash[1] > '9' || *end != '\0' ||
	    prefix > (long)width)
		return false;
	ret->prefix = (unsigned)prefix;
	undress(ret);
	return true;
}

enum cf_err
cf_network_check(const char *value, struct cf_why *why)
{
	static const unsigned char zero[16];
	struct cf_network net;
	unsigned char masked[16];
	unsigned i;

	if (!cf_network_parse(value, &net))
		return cf_fail(CF_E_CONFIG, why,
		    "%s is not an address or ADDRESS/PREFIX", value);
	memcpy(masked, net.bits, sizeof masked);
	for (i = 0; i < net.prefix; i++)
		masked[i / 8] &= (unsigned char)~(0x80 >> i % 8);
	if (memcmp(masked, zero, sizeof masked) != 0)
		return cf_fail(CF_E_CONFIG, why,
		    "%s has bits set behind its prefix", value);
	return CF_OK;
}

bool
cf_network_of(const struct sockaddr *address, struct cf_network *ret)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;

	if (address->sa_family != AF_INET && address->sa_family != AF_INET6)
		return false;
	memset(ret, 0, sizeof *ret);
	ret->family = address->sa_family;
	ret->prefix = ret->family == AF_INET ? 32 : 128;
	if (ret->family == AF_INET)
		memcpy(ret->bits, &v4->sin_addr, 4);
	else
		memcpy(ret->bits, &v6->sin6_addr, 16);
	undress(ret);
	return true;
}

static bool
prefix_equal(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 ||
	    ((a[whole] ^ b[whole]) & (0xff << (8 - rest) & 0xff)) == 0;
}

bool
cf_network_has(const struct cf_network *network,
    const struct cf_network *inside)
{
	return network->family == inside->family &&
	    network->prefix <= inside->prefix &&
	    prefix_equal(network->bits, inside->bits, network->prefix);
}

bool
cf_network_in(const struct cf_network *networks, size_t count,
    const struct cf_network *inside)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (cf_network_has(&networks[i], inside))
			return true;
	return false;
}

void
cf_network_cut(struct cf_network *network, unsigned prefix)
{
	size_t i;

	network->prefix = prefix;
	for (i = prefix / 8; i < sizeof network->bits; i++)
		network->bits[i] &= i > prefix / 8 ? 0 :
		    (unsigned char)(0xff00 >> prefix % 8);
}

/* One element of X-Forwarded-For: an address, some write a port behind it. */
static bool
parse_element(const char *text, size_t len, struct cf_network *ret)
{
	char host[INET6_ADDRSTRLEN + 8];
	char *end;

	if (len >= sizeof host)
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	if (host[0] == '[') {
		end = strchr(host, ']');
		if (end == NULL)
			return false;
		*end = '\0';
		memmove(host, host + 1, strlen(host));
	} else if ((end = strchr(host, ':')) != NULL &&
	    strchr(end + 1, ':') == NULL) {
		*end = '\0';
	}
	return strchr(host, '/') == NULL && cf_network_parse(host, ret);
}

void
cf_network_behind(const struct cf_network *proxies, size_t count,
    const char *forwarded, struct cf_network *address)
{
	size_t end = forwarded == NULL ? 0 : strlen(forwarded), begin;
	struct cf_network next;

	while (end > 0 && cf_network_in(proxies, count, address)) {
		while (end > 0 && strchr(" \t,", forwarded[end - 1]) != NULL)
			end--;
		begin = end;
		while (begin > 0 && strchr(" \t,", forwarded[begin - 1]) ==
		    NULL)
			begin--;
		if (!parse_element(forwarded + begin, end - begin, &next))
			return;
		*address = next;
		end = begin;
	}
}
