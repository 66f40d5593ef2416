/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load - many clients of a key server in one thread, for measuring it.
 *
 *   load -a 127.0.0.1:PORT -m issue -T TOKENFILE -o KEYS [-c 16] [-s 5]
 *   load -a 127.0.0.1:PORT -m retrieve|full -k KEYS [-c 16] [-s 5]
 *
 * issue     one key a request; what was issued is written to KEYS
 * retrieve  challenges are fetched and signed before the clock starts; what
 *           is timed is the retrieve request alone
 * full      challenge, signature and retrieve, all timed
 *
 * -l N ends after N keys.  Each client has one connection and one request
 * under way.  Request texts are made while the clock runs (about 2
 * microseconds each); the possession keys are POOL pairs made before.  Plain
 * HTTP to a loopback address only.
 * Prints one JSON object.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/b64url.h"
#include "common/clock.h"

#define POOL 64			/* Ed25519 pairs */
#define CLIENTS_MAX 1024
#define REQUEST_MAX 4096
#define REPLY_MAX 16384
#define SAMPLES_MAX 4000000
#define HANDLE_LEN 22
#define TOKEN_LEN 43
#define CHALLENGE_LEN 75
#define SIGNATURE_LEN 86

enum mode { MODE_ISSUE, MODE_RETRIEVE, MODE_FULL };
enum step { STEP_ISSUE, STEP_CHALLENGE, STEP_RETRIEVE };

struct key {
	char handle[HANDLE_LEN + 1];
	char token[TOKEN_LEN + 1];
	char challenge[CHALLENGE_LEN + 1];
	char signature[SIGNATURE_LEN + 1];
	char time[25];
	unsigned pair;		/* index of the possession key */
	bool done;		/* issued, or released */
};

struct client {
	int fd;			/* -1: not connected */
	enum step step;
	size_t key;		/* index in keys */
	char out[REQUEST_MAX];
	size_t out_len, out_sent;
	char in[REPLY_MAX];
	size_t in_len;
	uint64_t began_ns;
};

struct pair {
	EVP_PKEY *private_key;
	char public_key[44];
};

static struct pair pool[POOL];
static struct client *clients;
static struct key *keys;
static size_t key_count, key_cap, key_next, key_limit = SIZE_MAX;
static struct sockaddr_in address;
static char address_text[64];
static char api_token[128];
static enum mode mode;
static bool preparing;		/* fetching challenges, clock not running */
static uint64_t stop_ns;	/* no new request after this */
static uint32_t *sample_us;
static size_t samples, errors, active;
static char first_error[512];
static int poll_fd;

static _Noreturn void
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "load: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	exit(1);
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* `len` random bytes as b64url. */
static void
random_text(size_t len, char *out)
{
	static unsigned char stock[65536];
	static size_t used = sizeof stock;

	if (used + len > sizeof stock) {
		if (RAND_bytes(stock, sizeof stock) != 1)
			die("no random bytes");
		used = 0;
	}
	cf_b64url_encode(stock + used, len, out);
	used += len;
}

static void
make_pool(void)
{
	unsigned char seed[32], public_key[32];
	size_t len;
	int i;

	for (i = 0; i < POOL; i++) {
		/* Fixed seeds: a later run signs for keys of an earlier one. */
		memset(seed, i + 1, sizeof seed);
		pool[i].private_key = EVP_PKEY_new_raw_private_key(
		    EVP_PKEY_ED25519, NULL, seed, sizeof seed);
		len = sizeof public_key;
		if (pool[i].private_key == NULL || EVP_PKEY_get_raw_public_key(
		    pool[i].private_key, public_key, &len) != 1)
			die("no Ed25519");
		cf_b64url_encode(public_key, len, pool[i].public_key);
	}
}

static struct key *
add_key(void)
{
	if (key_count == key_cap) {
		key_cap = key_cap == 0 ? 16384 : key_cap * 2;
		keys = realloc(keys, key_cap * sizeof *keys);
		if (keys == NULL)
			die("out of memory");
	}
	memset(&keys[key_count], 0, sizeof *keys);
	return &keys[key_count++];
}

static void
read_keys(const char *path)
{
	char handle[64], token[64];
	unsigned pair;
	struct key *k;
	FILE *f;

	f = fopen(path, "r");
	if (f == NULL)
		die("%s: %s", path, strerror(errno));
	while (fscanf(f, "%63s %63s %u", handle, token, &pair) == 3) {
		if (strlen(handle) != HANDLE_LEN || strlen(token) !=
		    TOKEN_LEN || pair >= POOL)
			die("%s: not a file of keys", path);
		k = add_key();
		memcpy(k->handle, handle, sizeof k->handle);
		memcpy(k->token, token, sizeof k->token);
		k->pair = pair;
	}
	fclose(f);
	if (key_count == 0)
		die("%s: no keys", path);
}

static void
write_keys(const char *path)
{
	FILE *f;
	size_t i;
	int fd;

	fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	f = fd < 0 ? NULL : fdopen(fd, "a");
	if (f == NULL)
		die("%s: %s", path, strerror(errno));
	for (i = 0; i < key_count; i++)
		if (keys[i].done)
			fprintf(f, "%s %s %u\n", keys[i].handle,
			    keys[i].token, keys[i].pair);
	if (fclose(f) != 0)
		die("%s: %s", path, strerror(errno));
}

/* ---- requests ---- */

static void
put_request(struct client *c, const char *path, const char *body)
{
	int n;

	n = snprintf(c->out, sizeof c->out,
	    "POST %s HTTP/1.1\r\nHost: %s\r\n%s%s%s"
	    "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
	    path, address_text,
	    c->step == STEP_ISSUE ? "Authorization: Bearer " : "",
	    c->step == STEP_ISSUE ? api_token : "",
	    c->step == STEP_ISSUE ? "\r\n" : "", strlen(body), body);
	if (n < 0 || (size_t)n >= sizeof c->out)
		die("a request is too long");
	c->out_len = (size_t)n;
	c->out_sent = 0;
	c->in_len = 0;
}

static void
ask_issue(struct client *c)
{
	char body[REQUEST_MAX], request_id[32], ref[64], message_id[32];
	struct key *k;

	k = add_key();
	c->key = key_count - 1;
	k->pair = (unsigned)(c->key % POOL);
	random_text(16, k->handle);
	random_text(32, k->token);
	random_text(16, request_id);
	random_text(16, message_id);
	random_text(32, ref);
	snprintf(body, sizeof body,
	    "{\"request_id\":\"%s\",\"message_ref\":\"%s\","
	    "\"reference_check\":\"AAAAAAAAAAAAAAAAAAAAAA\","
	    "\"message_id\":\"<%s@a.test>\",\"sender\":\"alice@a.test\","
	    "\"recipients\":[\"bob@b.test\"],"
	    "\"reader_url\":\"https://reader.a.test\",\"keys\":[{"
	    "\"key_id\":\"%s\",\"token\":\"%s\","
	    "\"algorithm\":\"kek-a256kw\",\"opening_key\":\"%s\","
	    "\"possession_key\":\"%s\",\"policy\":{\"require\":\"bearer\"}"
	    "}]}", request_id, ref, message_id, k->handle, k->token,
	    pool[(k->pair + 1) % POOL].public_key, pool[k->pair].public_key);
	put_request(c, "/api/v1/issue", body);
}

static void
ask_challenge(struct client *c)
{
	const struct key *k = &keys[c->key];
	char body[256];

	snprintf(body, sizeof body, "{\"handle\":\"%s\",\"token\":\"%s\"}",
	    k->handle, k->token);
	put_request(c, "/api/v1/challenge", body);
}

static void
sign(struct key *k)
{
	char text[512];
	unsigned char signature[64];
	size_t len = sizeof signature;
	EVP_MD_CTX *md;
	int n;

	cf_clock_format(cf_clock_ms(), k->time);
	n = snprintf(text, sizeof text,
	    "counterfoil retrieve v1\n%s\n%s\n-\n%s\n", k->handle,
	    k->challenge, k->time);
	md = EVP_MD_CTX_new();
	if (md == NULL || EVP_DigestSignInit(md, NULL, NULL, NULL,
	    pool[k->pair].private_key) != 1 || EVP_DigestSign(md, signature,
	    &len, (unsigned char *)text, (size_t)n) != 1)
		die("cannot sign");
	EVP_MD_CTX_free(md);
	cf_b64url_encode(signature, sizeof signature, k->signature);
}

static void
ask_retrieve(struct client *c)
{
	const struct key *k = &keys[c->key];
	char body[1024];

	snprintf(body, sizeof body,
	    "{\"handle\":\"%s\",\"token\":\"%s\",\"challenge\":\"%s\","
	    "\"origin\":\"-\",\"time\":\"%s\",\"signature\":\"%s\"}",
	    k->handle, k->token, k->challenge, k->time, k->signature);
	put_request(c, "/api/v1/retrieve", body);
}

static void
ask(struct client *c, enum step step)
{
	c->step = step;
	switch (step) {
	case STEP_ISSUE:
		ask_issue(c);
		break;
	case STEP_CHALLENGE:
		ask_challenge(c);
		break;
	case STEP_RETRIEVE:
		ask_retrieve(c);
		break;
	}
}

/* The next piece of work; false when there is none. */
static bool
next_work(struct client *c)
{
	enum step step = STEP_ISSUE;

	if (!preparing && now_ns() >= stop_ns)
		return false;
	if (mode == MODE_ISSUE && key_count >= key_limit)
		return false;
	if (mode != MODE_ISSUE) {
		if (key_next >= key_count)
			return false;
		c->key = key_next++;
		step = preparing || mode == MODE_FULL ? STEP_CHALLENGE :
		    STEP_RETRIEVE;
	}
	c->began_ns = now_ns();
	ask(c, step);
	return true;
}

/* ---- replies ---- */

static void
note_error(const struct client *c, const char *what)
{
	errors++;
	if (first_error[0] == '\0')
		snprintf(first_error, sizeof first_error, "%s: %.300s", what,
		    c->in);
}

static void
note_sample(const struct client *c)
{
	uint64_t us = (now_ns() - c->began_ns) / 1000;

	if (samples < SAMPLES_MAX)
		sample_us[samples++] = us > UINT32_MAX ? UINT32_MAX :
		    (uint32_t)us;
}

static bool
take_challenge(struct key *k, const char *body)
{
	const char *at;

	at = strstr(body, "\"challenge\"");
	if (at == NULL)
		return false;
	at += strlen("\"challenge\"");
	at += strspn(at, " :\"");
	if (strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789-_") != CHALLENGE_LEN)
		return false;
	memcpy(k->challenge, at, CHALLENGE_LEN);
	k->challenge[CHALLENGE_LEN] = '\0';
	return true;
}

/* One whole reply has come; false when this client is finished. */
static bool
on_reply(struct client *c, int status, const char *body)
{
	struct key *k = &keys[c->key];

	if (status / 100 != 2) {
		note_error(c, "refused");
		return next_work(c);
	}
	if (c->step == STEP_CHALLENGE) {
		if (!take_challenge(k, body)) {
			note_error(c, "no challenge");
			return next_work(c);
		}
		sign(k);
		if (preparing)
			return next_work(c);
		ask(c, STEP_RETRIEVE);
		return true;
	}
	if (c->step == STEP_RETRIEVE && strstr(body, "\"key\"") == NULL)
		note_error(c, "no key");
	k->done = true;
	note_sample(c);
	return next_work(c);
}

/* Length of a complete reply at the start of `in`; 0 when more must come. */
static size_t
reply_complete(const struct client *c, int *ret_status, size_t *ret_body)
{
	const char *end, *length;
	size_t head, body;

	end = strstr(c->in, "\r\n\r\n");
	if (end == NULL)
		return 0;
	head = (size_t)(end - c->in) + 4;
	length = strcasestr(c->in, "\r\ncontent-length:");
	if (length == NULL || length > end || strncmp(c->in, "HTTP/1.1 ",
	    9) != 0)
		die("not a reply with a length: %.200s", c->in);
	body = strtoul(length + 17, NULL, 10);
	if (head + body >= REPLY_MAX)
		die("a reply of %zu bytes", body);
	if (c->in_len < head + body)
		return 0;
	*ret_status = (int)strtol(c->in + 9, NULL, 10);
	*ret_body = head;
	return head + body;
}

static void
hang_up(struct client *c)
{
	close(c->fd);
	c->fd = -1;
	active--;
}

static void
watch(struct client *c, int op, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = c };

	if (epoll_ctl(poll_fd, op, c->fd, &e) != 0)
		die("epoll_ctl: %s", strerror(errno));
}

static void
push(struct client *c)
{
	ssize_t n;

	while (c->out_sent < c->out_len) {
		n = write(c->fd, c->out + c->out_sent,
		    c->out_len - c->out_sent);
		if (n < 0 && errno == EAGAIN) {
			watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
			return;
		}
		if (n < 0) {
			c->in[0] = '\0';
			note_error(c, strerror(errno));
			hang_up(c);
			return;
		}
		c->out_sent += (size_t)n;
	}
}

static void
pull(struct client *c)
{
	size_t body;
	ssize_t n;
	int status;

	n = read(c->fd, c->in + c->in_len, REPLY_MAX - 1 - c->in_len);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		c->in[c->in_len] = '\0';
		note_error(c, "connection closed");
		hang_up(c);
		return;
	}
	c->in_len += (size_t)n;
	c->in[c->in_len] = '\0';
	if (reply_complete(c, &status, &body) == 0)
		return;
	if (on_reply(c, status, c->in + body))
		push(c);
	else
		hang_up(c);
}

static void
dial(struct client *c)
{
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address,
	    sizeof address) != 0)
		die("%s: %s", address_text, strerror(errno));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	watch(c, EPOLL_CTL_ADD, EPOLLIN);
	active++;
}

/* Let `count` clients work until there is no work; 60 s of silence end it. */
static void
run(size_t count)
{
	struct epoll_event events[256];
	struct client *c;
	size_t i;
	int n, e;

	active = 0;
	for (i = 0; i < count; i++)
		dial(&clients[i]);
	/* The connections stand; now the clock may run. */
	for (i = 0; i < count; i++)
		if (next_work(&clients[i]))
			push(&clients[i]);
		else
			hang_up(&clients[i]);
	while (active > 0) {
		n = epoll_wait(poll_fd, events, 256, 60000);
		if (n == 0)
			die("no answer for 60 s");
		for (e = 0; e < n; e++) {
			c = events[e].data.ptr;
			if (events[e].events & EPOLLOUT) {
				watch(c, EPOLL_CTL_MOD, EPOLLIN);
				push(c);
			}
			if (c->fd >= 0 && events[e].events & ~EPOLLOUT)
				pull(c);
		}
	}
}

static int
by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double
percentile_ms(double p)
{
	if (samples == 0)
		return 0;
	return sample_us[(size_t)(p * (double)(samples - 1))] / 1000.0;
}

static void
parse_address(const char *text)
{
	char host[40];
	const char *colon = strchr(text, ':');
	size_t len;

	if (colon == NULL || (len = (size_t)(colon - text)) >= sizeof host)
		die("-a takes 127.0.0.1:PORT");
	memcpy(host, text, len);
	host[len] = '\0';
	address.sin_family = AF_INET;
	address.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1 ||
	    (ntohl(address.sin_addr.s_addr) >> 24) != 127)
		die("%s is not a loopback address", host);
	snprintf(address_text, sizeof address_text, "%s", text);
}

static void
read_token(const char *path)
{
	FILE *f = fopen(path, "r");

	if (f == NULL || fscanf(f, "%100s", api_token) != 1)
		die("%s: no token", path);
	fclose(f);
}

int
main(int argc, char **argv)
{
	const char *in = NULL, *out = NULL, *token = NULL;
	size_t count = 16;
	double seconds = 5, took;
	uint64_t began;
	int opt;

	while ((opt = getopt(argc, argv, "a:c:k:l:m:o:s:T:")) != -1) {
		switch (opt) {
		case 'a': parse_address(optarg); break;
		case 'c': count = strtoul(optarg, NULL, 10); break;
		case 'k': in = optarg; break;
		case 'l': key_limit = strtoul(optarg, NULL, 10); break;
		case 'm':
			mode = strcmp(optarg, "issue") == 0 ? MODE_ISSUE :
			    strcmp(optarg, "full") == 0 ? MODE_FULL :
			    MODE_RETRIEVE;
			break;
		case 'o': out = optarg; break;
		case 's': seconds = strtod(optarg, NULL); break;
		case 'T': token = optarg; break;
		default: return 2;
		}
	}
	if (address_text[0] == '\0' || count < 1 || count > CLIENTS_MAX ||
	    (mode == MODE_ISSUE ? token == NULL : in == NULL))
		die("wrong arguments; the head of load.c explains them");
	clients = calloc(CLIENTS_MAX, sizeof *clients);
	sample_us = malloc(SAMPLES_MAX * sizeof *sample_us);
	poll_fd = epoll_create1(0);
	if (clients == NULL || sample_us == NULL || poll_fd < 0)
		die("cannot start");
	make_pool();
	if (mode == MODE_ISSUE)
		read_token(token);
	else
		read_keys(in);
	if (mode != MODE_ISSUE && key_count > key_limit)
		key_count = key_limit;
	if (mode == MODE_RETRIEVE) {
		preparing = true;
		run(count < 16 ? 16 : count);
		preparing = false;
		key_next = 0;
	}
	began = now_ns();
	stop_ns = began + (uint64_t)(seconds * 1e9);
	run(count);
	took = (double)(now_ns() - began) / 1e9;
	if (out != NULL)
		write_keys(out);
	qsort(sample_us, samples, sizeof *sample_us, by_size);
	printf("{\"clients\":%zu,\"requests\":%zu,\"errors\":%zu,"
	    "\"seconds\":%.4f,\"rate\":%.1f,\"p50_ms\":%.3f,"
	    "\"p99_ms\":%.3f}\n", count, samples, errors, took,
	    (double)samples / took, percentile_ms(0.5), percentile_ms(0.99));
	if (errors > 0)
		fprintf(stderr, "load: %zu errors; the first: %s\n", errors,
		    first_error);
	return errors > 0 ? 1 : 0;
}
