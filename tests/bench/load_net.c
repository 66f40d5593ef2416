/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/load.h"

#define SILENCE_NS UINT64_C(60000000000)	/* then it has failed */

struct load_net {
	struct load_client client;
	int fd;			/* -1: not connected */
	char out[LOAD_REQUEST_MAX];
	size_t out_len, out_sent;
	char in[LOAD_REPLY_MAX];
	size_t in_len;
};

static struct sockaddr_in address;
static char address_text[64];
static const struct load_work *work;
static struct load_net *idle[LOAD_CLIENTS_MAX];
static size_t idle_count, active;
static int poll_fd;

void
load_net_address(const char *text)
{
	char host[40];
	const char *colon = strchr(text, ':');
	size_t len;

	if (colon == NULL || (len = (size_t)(colon - text)) >= sizeof host)
		load_die("-a takes 127.0.0.1:PORT");
	memcpy(host, text, len);
	host[len] = '\0';
	address.sin_family = AF_INET;
	address.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1 ||
	    (ntohl(address.sin_addr.s_addr) >> 24) != 127)
		load_die("%s is not a loopback address", host);
	snprintf(address_text, sizeof address_text, "%s", text);
}

/* Length of a complete reply at the start of `in`; 0 when more must come. */
static size_t
reply_complete(const struct load_net *n, int *ret_status, size_t *ret_body)
{
	const char *end, *length;
	size_t head, body;

	end = strstr(n->in, "\r\n\r\n");
	if (end == NULL)
		return 0;
	head = (size_t)(end - n->in) + 4;
	length = strcasestr(n->in, "\r\ncontent-length:");
	if (length == NULL || length > end || strncmp(n->in, "HTTP/1.1 ",
	    9) != 0)
		load_die("not a reply with a length: %.200s", n->in);
	body = strtoul(length + 17, NULL, 10);
	if (head + body >= LOAD_REPLY_MAX)
		load_die("a reply of %zu bytes", body);
	if (n->in_len < head + body)
		return 0;
	*ret_status = (int)strtol(n->in + 9, NULL, 10);
	*ret_body = head;
	return head + body;
}

static void
hang_up(struct load_net *n)
{
	close(n->fd);
	n->fd = -1;
	active--;
}

static void
lose(struct load_net *n, const char *what)
{
	work->lost(&n->client, what);
	hang_up(n);
}

static void
watch(struct load_net *n, int op, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = n };

	if (epoll_ctl(poll_fd, op, n->fd, &e) != 0)
		load_die("epoll_ctl: %s", strerror(errno));
}

static void
push(struct load_net *n)
{
	ssize_t done;

	while (n->out_sent < n->out_len) {
		done = write(n->fd, n->out + n->out_sent,
		    n->out_len - n->out_sent);
		if (done < 0 && errno == EAGAIN) {
			watch(n, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
			return;
		}
		if (done < 0) {
			lose(n, strerror(errno));
			return;
		}
		n->out_sent += (size_t)done;
	}
}

/* What the client does now; false if that is nothing before a time. */
static bool
turn(struct load_net *n, enum load_turn what)
{
	switch (what) {
	case LOAD_TURN_ASK:
		n->out_len = load_ask(n->client.step, n->client.key,
		    address_text, n->out);
		n->out_sent = 0;
		n->in_len = 0;
		push(n);
		break;
	case LOAD_TURN_LATER:
		idle[idle_count++] = n;
		return false;
	case LOAD_TURN_END:
		hang_up(n);
		break;
	}
	return true;
}

static void
pull(struct load_net *n)
{
	size_t body;
	ssize_t got;
	int status;

	got = read(n->fd, n->in + n->in_len, LOAD_REPLY_MAX - 1 - n->in_len);
	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		lose(n, "connection closed");
		return;
	}
	n->in_len += (size_t)got;
	n->in[n->in_len] = '\0';
	if (reply_complete(n, &status, &body) != 0)
		(void)turn(n, work->reply(&n->client, status, n->in + body));
}

static void
dial(struct load_net *n)
{
	int one = 1;

	n->client.net = n;
	n->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (n->fd < 0 || connect(n->fd, (struct sockaddr *)&address,
	    sizeof address) != 0)
		load_die("%s: %s", address_text, strerror(errno));
	setsockopt(n->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	fcntl(n->fd, F_SETFL, O_NONBLOCK);
	watch(n, EPOLL_CTL_ADD, EPOLLIN);
	active++;
}

static void
on_event(struct load_net *n, uint32_t events)
{
	if (events & EPOLLOUT) {
		watch(n, EPOLL_CTL_MOD, EPOLLIN);
		push(n);
	}
	if (n->fd >= 0 && events & ~(uint32_t)EPOLLOUT)
		pull(n);
}

/* Those that wait for a time, as far as it has come. */
static void
wake_idle(void)
{
	struct load_net *n;

	while (idle_count > 0) {
		n = idle[--idle_count];
		if (!turn(n, work->next(&n->client)))
			break;
	}
}

static int
wait_events(struct epoll_event *events, int most)
{
	uint64_t now = load_now_ns(), until = now + SILENCE_NS;
	struct timespec left;
	int n;

	if (idle_count > 0)
		until = work->due_ns();
	until = until > now ? until - now : 0;
	left.tv_sec = (time_t)(until / 1000000000u);
	left.tv_nsec = (long)(until % 1000000000u);
	n = epoll_pwait2(poll_fd, events, most, &left, NULL);
	if (n < 0 && errno != EINTR)
		load_die("epoll_pwait2: %s", strerror(errno));
	if (n == 0 && idle_count == 0)
		load_die("no answer for 60 s");
	return n;
}

void
load_net_run(size_t count, const struct load_work *given, void (*start)(void))
{
	struct epoll_event events[256];
	struct load_net *all;
	size_t i;
	int n, e;

	work = given;
	poll_fd = epoll_create1(0);
	all = calloc(count, sizeof *all);
	if (all == NULL || poll_fd < 0)
		load_die("cannot start");
	for (i = 0; i < count; i++)
		dial(&all[i]);
	start();
	for (i = 0; i < count; i++)
		(void)turn(&all[i], work->next(&all[i].client));
	while (active > 0) {
		n = wait_events(events, 256);
		for (e = 0; e < n; e++)
			on_event(events[e].data.ptr, events[e].events);
		wake_idle();
	}
	free(all);
	close(poll_fd);
}
