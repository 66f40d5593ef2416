/* SPDX-License-Identifier: Apache-2.0 */
/* cf_listen - see listen.h. */
#include "common/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 512

static enum cf_err
resolve(const char *address, struct sockaddr_storage *ret, socklen_t *ret_len,
    struct cf_why *why)
{
	struct addrinfo hints = { 0 }, *found = NULL;
	const char *colon = strrchr(address, ':');
	char host[64];
	size_t n;

	if (colon == NULL || colon == address)
		return cf_fail(CF_E_CONFIG, why, "%s: must be address:port",
		    address);
	n = (size_t)(colon - address);
	if (n > 2 && address[0] == '[' && address[n - 1] == ']') {
		address++;
		n -= 2;
	}
	if (n >= sizeof host)
		n = 0;
	memcpy(host, address, n);
	host[n] = '\0';
	if (strcmp(host, "localhost") == 0)
		(void)snprintf(host, sizeof host, "127.0.0.1");
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
	if (n == 0 || getaddrinfo(host, colon + 1, &hints, &found) != 0)
		return cf_fail(CF_E_CONFIG, why,
		    "\"%s\" is not a numeric address with a port, as in "
		    "127.0.0.1:8080 or [::1]:8080", address);
	memcpy(ret, found->ai_addr, found->ai_addrlen);
	*ret_len = found->ai_addrlen;
	freeaddrinfo(found);
	return CF_OK;
}

enum cf_err
cf_listen_is_loopback(const char *address, bool *ret_loopback,
    struct cf_why *why)
{
	struct sockaddr_storage ss = { 0 };
	const struct sockaddr_in *v4 = (const void *)&ss;
	const struct sockaddr_in6 *v6 = (const void *)&ss;
	socklen_t len;
	enum cf_err rc;

	rc = resolve(address, &ss, &len, why);
	if (rc != CF_OK)
		return rc;
	if (ss.ss_family == AF_INET)
		*ret_loopback = (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
	else
		*ret_loopback = ss.ss_family == AF_INET6 &&
		    IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
	return CF_OK;
}

bool
cf_listen_has(const struct sockaddr_storage *address, socklen_t len)
{
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && (bind(fd, (const struct sockaddr *)address,
	    len) == 0 || (errno != EADDRNOTAVAIL && errno != EINVAL));

	if (fd >= 0)
		close(fd);
	return has;
}

enum cf_err
cf_listen_check(const char *address, struct cf_why *why)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = 0;
	enum cf_err rc = resolve(address, &ss, &len, why);

	if (rc == CF_OK && !cf_listen_has(&ss, len))
		rc = cf_fail(CF_E_CONFIG, why, "%s is no address of this "
		    "machine", address);
	return rc;
}

enum cf_err
cf_listen_tcp(const char *address, int *ret_fd, struct cf_why *why)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = 0;
	enum cf_err rc;
	int fd, on = 1;

	rc = resolve(address, &ss, &len, why);
	if (rc != CF_OK)
		return rc;
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);
	if (fd < 0)
		return cf_fail(CF_E_CONFIG, why, "socket: %s",
		    strerrordesc_np(errno));
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
	    bind(fd, (const struct sockaddr *)&ss, len) != 0 ||
	    listen(fd, BACKLOG) != 0) {
		rc = cf_fail(CF_E_CONFIG, why, "cannot listen on %s: %s",
		    address, strerrordesc_np(errno));
		close(fd);
		return rc;
	}
	*ret_fd = fd;
	return CF_OK;
}
