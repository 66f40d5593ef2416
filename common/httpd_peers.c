/* SPDX-License-Identifier: Apache-2.0 */
/* cf_httpd_peers - see httpd_peers.h. */
#include "common/httpd_peers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/mem.h"

struct peer {
	struct peer *next, *prev;
	int fd;
	struct cf_httpd_place place;
	atomic_llong until_ms;		/* INT64_MAX: no limit */
};

struct cf_httpd_peers {
	struct cf_httpd_gate *gate;
	int64_t limit_ms[CF_HTTPD_WAIT__COUNT];
	pthread_mutex_t lock;		/* guards the list */
	struct peer *first;
};

struct cf_httpd_peers *
cf_httpd_peers_new(struct cf_httpd_gate *gate,
    const int64_t limit_ms[CF_HTTPD_WAIT__COUNT])
{
	struct cf_httpd_peers *peers = cf_calloc(1, sizeof *peers);

	peers->gate = gate;
	memcpy(peers->limit_ms, limit_ms, sizeof peers->limit_ms);
	pthread_mutex_init(&peers->lock, NULL);
	return peers;
}

void
cf_httpd_peers_free(struct cf_httpd_peers **peers)
{
	if (*peers == NULL)
		return;
	pthread_mutex_destroy(&(*peers)->lock);
	free(*peers);
	*peers = NULL;
}

static void
set_wait(const struct cf_httpd_peers *peers, struct peer *peer,
    enum cf_httpd_wait wait)
{
	atomic_store(&peer->until_ms, wait == CF_HTTPD_WAIT_US ? INT64_MAX :
	    cf_clock_mono_ms() + peers->limit_ms[wait]);
}

static void
peer_add(struct cf_httpd_peers *peers, struct MHD_Connection *conn,
    void **context)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(conn,
	    MHD_CONNECTION_INFO_CONNECTION_FD);
	struct peer *peer = cf_calloc(1, sizeof *peer);

	peer->fd = info == NULL ? -1 : info->connect_fd;
	set_wait(peers, peer, CF_HTTPD_WAIT_REQUEST);
	cf_httpd_gate_enter(peers->gate, conn, &peer->place);
	pthread_mutex_lock(&peers->lock);
	peer->next = peers->first;
	if (peer->next != NULL)
		peer->next->prev = peer;
	peers->first = peer;
	pthread_mutex_unlock(&peers->lock);
	*context = peer;
}

static void
peer_remove(struct cf_httpd_peers *peers, struct peer *peer)
{
	pthread_mutex_lock(&peers->lock);
	if (peer->prev != NULL)
		peer->prev->next = peer->next;
	else
		peers->first = peer->next;
	if (peer->next != NULL)
		peer->next->prev = peer->prev;
	pthread_mutex_unlock(&peers->lock);
	cf_httpd_gate_leave(peers->gate, &peer->place);
	free(peer);
}

void
cf_httpd_peers_on_connection(void *cls, struct MHD_Connection *conn,
    void **context, enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		peer_add(cls, conn, context);
	else if (*context != NULL)
		peer_remove(cls, *context);
}

static struct peer *
peer_of(struct MHD_Connection *conn)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(conn,
	    MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info == NULL ? NULL : info->socket_context;
}

void
cf_httpd_peers_wait(const struct cf_httpd_peers *peers,
    struct MHD_Connection *conn, enum cf_httpd_wait wait)
{
	struct peer *peer = peer_of(conn);

	if (peer != NULL)
		set_wait(peers, peer, wait);
}

void
cf_httpd_peers_trust(const struct cf_httpd_peers *peers,
    struct MHD_Connection *conn)
{
	struct peer *peer = peer_of(conn);

	if (peer != NULL)
		cf_httpd_gate_leave(peers->gate, &peer->place);
}

/* The descriptors are open: the library closes one after peer_remove(). */
void
cf_httpd_peers_sweep(struct cf_httpd_peers *peers)
{
	long long now = (long long)cf_clock_mono_ms();
	struct peer *peer;

	pthread_mutex_lock(&peers->lock);
	for (peer = peers->first; peer != NULL; peer = peer->next)
		if (peer->fd >= 0 && now > atomic_load(&peer->until_ms))
			(void)shutdown(peer->fd, SHUT_RDWR);
	pthread_mutex_unlock(&peers->lock);
}
