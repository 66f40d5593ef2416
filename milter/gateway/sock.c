/* SPDX-License-Identifier: Apache-2.0 */
/* cf_sock - see sock.h. */
#include "milter/gateway/sock.h"

#include <dirent.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/listen.h"
#include "common/listen_unix.h"
#include "common/mem.h"

/* The path of "unix:/path", NULL for inet. */
static const char *
unix_path(const char *socket)
{
	return strncmp(socket, "unix:", 5) == 0 ? socket + 5 : NULL;
}

/* "inet:port@host" */
static enum cf_err
resolve(const char *socket, struct sockaddr_storage *ret, socklen_t *ret_len,
    struct cf_why *why)
{
	const char *port = strchr(socket, ':') + 1, *at = strchr(port, '@');
	CF_AUTO(cf_free) char *service = cf_strndup(port, (size_t)(at - port));
	struct addrinfo hints = { 0 }, *found = NULL;

	hints.ai_family = strncmp(socket, "inet6:", 6) == 0 ? AF_INET6 :
	    AF_INET;
	hints.ai_socktype = SOCK_STREAM;
	if (getaddrinfo(at + 1, service, &hints, &found) != 0)
		return cf_fail(CF_E_CONFIG, why,
		    "%s is no address of this machine", at + 1);
	memcpy(ret, found->ai_addr, found->ai_addrlen);
	*ret_len = found->ai_addrlen;
	freeaddrinfo(found);
	return CF_OK;
}

static enum cf_err
check_inet(const char *socket, struct cf_why *why)
{
	struct sockaddr_storage address = { 0 };
	socklen_t len = 0;
	enum cf_err rc = resolve(socket, &address, &len, why);

	if (rc == CF_OK && !cf_listen_has(&address, len))
		rc = cf_fail(CF_E_CONFIG, why,
		    "%s is no address of this machine",
		    strchr(socket, '@') + 1);
	return rc;
}

enum cf_err
cf_sock_check(const char *socket, const char *user, struct cf_why *why)
{
	const char *path = unix_path(socket);

	return path == NULL ? check_inet(socket, why) :
	    cf_listen_unix_check(path, user, why);
}

enum cf_err
cf_sock_grant(const char *socket, const char *mode, const char *user,
    const char *group, struct cf_why *why)
{
	const char *path = unix_path(socket);

	return path == NULL ? CF_OK :
	    cf_listen_unix_grant(path, mode, user, group, why);
}

/* ---- our own way in ---- */

static pthread_mutex_t way_lock = PTHREAD_MUTEX_INITIALIZER;
static struct way {
	char *path;			/* of a unix socket, or NULL */
	char *bound;			/* what it was before it was hidden */
	bool hidden;
	struct sockaddr_storage address;	/* else, of inet */
	socklen_t address_len;
} way;

enum cf_err
cf_sock_set_nudge(const char *socket, struct cf_why *why)
{
	const char *path = unix_path(socket);

	if (path == NULL)
		return resolve(socket, &way.address, &way.address_len, why);
	way.path = cf_strdup(path);
	way.bound = cf_strdup(path);
	return CF_OK;
}

void
cf_sock_nudge(void)
{
	struct sockaddr_storage address;
	struct sockaddr_un local;
	socklen_t len;
	int fd;

	pthread_mutex_lock(&way_lock);
	if (way.path != NULL && cf_listen_unix_address(way.path, &local)) {
		memcpy(&address, &local, sizeof local);
		len = sizeof local;
	} else {
		address = way.address;
		len = way.address_len;
	}
	pthread_mutex_unlock(&way_lock);
	if (len == 0)
		return;
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	/* A full queue is as good: who waits there wakes the listener. */
	(void)connect(fd, (const struct sockaddr *)(const void *)&address, len);
	close(fd);
}

void
cf_sock_hide(void)
{
	char *hidden;

	pthread_mutex_lock(&way_lock);
	if (way.path != NULL) {
		hidden = cf_asprintf("%s.end", way.path);
		if (rename(way.path, hidden) == 0) {
			free(way.path);
			way.path = hidden;
			way.hidden = true;
		} else {
			free(hidden);
		}
	}
	pthread_mutex_unlock(&way_lock);
}

/* Is it a connection that was accepted where we listen? */
static bool
is_peer(int fd)
{
	struct sockaddr_storage name = { 0 };
	const struct sockaddr_in *in = (const void *)&name;
	const struct sockaddr_in6 *in6 = (const void *)&name;
	const struct sockaddr_un *un = (const void *)&name;
	socklen_t len = sizeof name, flag_len = sizeof(int);
	int listens = 0;

	if (getsockname(fd, (struct sockaddr *)(void *)&name, &len) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &flag_len) != 0
	    || listens)
		return false;
	if (way.bound != NULL)
		return name.ss_family == AF_UNIX &&
		    strcmp(un->sun_path, way.bound) == 0;
	if (name.ss_family != way.address.ss_family)
		return false;
	return name.ss_family == AF_INET6 ? in6->sin6_port ==
	    ((const struct sockaddr_in6 *)(const void *)&way.address)->sin6_port
	    : name.ss_family == AF_INET && in->sin_port ==
	    ((const struct sockaddr_in *)(const void *)&way.address)->sin_port;
}

void
cf_sock_hang_up(void)
{
	DIR *d = opendir("/proc/self/fd");
	const struct dirent *entry;
	int fd;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		fd = (int)strtol(entry->d_name, NULL, 10);
		if (fd > STDERR_FILENO && is_peer(fd))
			(void)shutdown(fd, SHUT_RD);
	}
	if (d != NULL)
		closedir(d);
}

void
cf_sock_remove(void)
{
	pthread_mutex_lock(&way_lock);
	if (way.hidden)
		unlink(way.path);
	pthread_mutex_unlock(&way_lock);
}
