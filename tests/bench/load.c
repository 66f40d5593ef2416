/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   load -a 127.0.0.1:PORT -m MODE [-T TOKENFILE] [-k KEYS] [-o KEYS]
 *        [-c 16] [-s 5] [-l N] [-r RATE]
 *
 * issue      one key a request, with the token
 * challenge  a challenge for each key, and its signature
 * retrieve   keys that have a challenge
 * full       challenge, signature and retrieve
 * open       opening proofs, made before, of keys that were retrieved
 *
 * -k gives the keys; -o takes them with what was learned.  -s ends it after
 * so many seconds, -l after so many keys.  Each of -c clients has one
 * connection and one request under way.  They ask as soon as they have an
 * answer; with -r requests come at fixed times instead, RATE a second, and a
 * request's time counts from when it was to be asked, even if no client was
 * free.  Request texts are made while the clock runs (about 2 microseconds
 * each).  Plain HTTP to a loopback address only.
 *
 * Prints one JSON object.
 */
#include "tests/bench/load.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES_MAX 4000000

enum mode { MODE_ISSUE, MODE_CHALLENGE, MODE_RETRIEVE, MODE_FULL, MODE_OPEN };

static const struct {
	const char *name;
	enum load_step first, last;
} modes[] = {
	[MODE_ISSUE] = { "issue", LOAD_ISSUE, LOAD_ISSUE },
	[MODE_CHALLENGE] = { "challenge", LOAD_CHALLENGE, LOAD_CHALLENGE },
	[MODE_RETRIEVE] = { "retrieve", LOAD_RETRIEVE, LOAD_RETRIEVE },
	[MODE_FULL] = { "full", LOAD_CHALLENGE, LOAD_RETRIEVE },
	[MODE_OPEN] = { "open", LOAD_OPEN, LOAD_OPEN },
};

static struct {
	enum mode mode;
	size_t clients, limit;
	double seconds, rate;
	const char *in, *out, *token;
	bool address;
} plan = { .clients = 16, .limit = SIZE_MAX, .seconds = 5 };

static size_t begun;		/* keys so far */
static uint64_t start_ns, stop_ns;
static uint32_t *sample_us;
static size_t samples, errors;
static char first_error[512];

void
load_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "load: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	exit(1);
}

uint64_t
load_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- what is asked when ---- */

static void
on_start(void)
{
	start_ns = load_now_ns();
	stop_ns = start_ns + (uint64_t)(plan.seconds * 1e9);
}

/* When the next request is to be asked; with -r only. */
static uint64_t
due_ns(void)
{
	return start_ns + (uint64_t)((double)begun / plan.rate * 1e9);
}

static enum load_turn
next_work(struct load_client *c)
{
	uint64_t now = load_now_ns(), when = plan.rate > 0 ? due_ns() : now;

	if (when >= stop_ns || begun >= plan.limit)
		return LOAD_TURN_END;
	if (when > now)
		return LOAD_TURN_LATER;
	if (plan.mode == MODE_ISSUE)
		(void)load_key_add();
	else if (begun >= load_key_count())
		return LOAD_TURN_END;
	c->key = begun++;
	c->began_ns = when;
	c->step = modes[plan.mode].first;
	return LOAD_TURN_ASK;
}

/* ---- what came of it ---- */

static void
note_error(const char *what, const char *body)
{
	errors++;
	if (first_error[0] == '\0')
		snprintf(first_error, sizeof first_error, "%s: %.300s", what,
		    body);
}

static void
on_lost(struct load_client *c, const char *what)
{
	(void)c;
	note_error(what, "");
}

static void
note_sample(const struct load_client *c)
{
	uint64_t us = (load_now_ns() - c->began_ns) / 1000;

	if (samples < SAMPLES_MAX)
		sample_us[samples++] = us > UINT32_MAX ? UINT32_MAX :
		    (uint32_t)us;
}

static enum load_turn
on_reply(struct load_client *c, int status, const char *body)
{
	const char *wrong = load_take(c->step, c->key, status, body);

	if (wrong != NULL) {
		note_error(wrong, body);
	} else if (c->step != modes[plan.mode].last) {
		c->step = LOAD_RETRIEVE;
		return LOAD_TURN_ASK;
	} else {
		load_key_at(c->key)->done = true;
		note_sample(c);
	}
	return next_work(c);
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
print_result(double took)
{
	qsort(sample_us, samples, sizeof *sample_us, by_size);
	printf("{\"clients\":%zu,\"requests\":%zu,\"errors\":%zu,"
	    "\"seconds\":%.4f,\"rate\":%.1f,\"p50_ms\":%.3f,"
	    "\"p99_ms\":%.3f}\n", plan.clients, samples, errors, took,
	    (double)samples / took, percentile_ms(0.5), percentile_ms(0.99));
	if (errors > 0)
		fprintf(stderr, "load: %zu errors; the first: %s\n", errors,
		    first_error);
}

/* ---- arguments ---- */

static void
set_mode(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof modes / sizeof modes[0]; i++)
		if (strcmp(name, modes[i].name) == 0) {
			plan.mode = (enum mode)i;
			return;
		}
	load_die("%s is no mode", name);
}

static void
parse_arguments(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "a:c:k:l:m:o:r:s:T:")) != -1)
		switch (opt) {
		case 'a':
			load_net_address(optarg);
			plan.address = true;
			break;
		case 'c': plan.clients = strtoul(optarg, NULL, 10); break;
		case 'k': plan.in = optarg; break;
		case 'l': plan.limit = strtoul(optarg, NULL, 10); break;
		case 'm': set_mode(optarg); break;
		case 'o': plan.out = optarg; break;
		case 'r': plan.rate = strtod(optarg, NULL); break;
		case 's': plan.seconds = strtod(optarg, NULL); break;
		case 'T': plan.token = optarg; break;
		default: exit(2);
		}
	if (!plan.address || plan.clients < 1 ||
	    plan.clients > LOAD_CLIENTS_MAX ||
	    (plan.mode == MODE_ISSUE ? plan.token : plan.in) == NULL)
		load_die("wrong arguments; the head of load.c explains them");
}

/* All that is not to be timed. */
static void
prepare(void)
{
	size_t i;

	sample_us = malloc(SAMPLES_MAX * sizeof *sample_us);
	if (sample_us == NULL)
		load_die("out of memory");
	load_pairs_make();
	if (plan.mode == MODE_ISSUE)
		load_token_read(plan.token);
	else
		load_keys_read(plan.in);
	load_keys_cut(plan.limit);
	if (plan.mode == MODE_OPEN)
		for (i = 0; i < load_key_count(); i++)
			load_sign_open(i);
}

int
main(int argc, char **argv)
{
	static const struct load_work work = { next_work, on_reply, on_lost,
	    due_ns };
	double took;

	parse_arguments(argc, argv);
	prepare();
	load_net_run(plan.clients, &work, on_start);
	took = (double)(load_now_ns() - start_ns) / 1e9;
	if (plan.out != NULL)
		load_keys_write(plan.out);
	print_result(took);
	return errors > 0 ? 1 : 0;
}
