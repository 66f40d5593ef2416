/* SPDX-License-Identifier: Apache-2.0 */
/* cf_health - see health.h. */
#include "keysrv/health.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "keysrv/counts.h"
#include "keysrv/db/db_master.h"
#include "keysrv/db/db_upkeep.h"
#include "keysrv/http/json_out.h"
#include "keysrv/key/match.h"

#define EVERY_MS 5000		/* while all is well */
#define AGAIN_MS 1000		/* after a look that found something */
#define SPACING_MS 100		/* however many ask */
#define SPACE_EVERY_MS 4000	/* a look at the disk writes a megabyte */
#define LATE_MS 5000		/* then a look is taken to hang */
#define FIRST_LIMIT_MS 5000	/* at start nobody waits longer */
/* A commit that hangs is waited for; a server that was cut off is not. */
#define LIMIT_MS 600000
#define FAILED_MS 5000		/* a write that failed, and none since */

#define CLOCK_WARN_MS 1000
#define CLOCK_MOST_MS 5000

/* What a look found. */
struct finding {
	enum cf_err rc;
	struct cf_why why;	/* for the log */
	const char *told;	/* for strangers; NULL: the table's sentence */
};

struct list {
	struct cf_req *first;
};

struct cf_health {
	const struct cf_ks *ks;
	void (*done)(struct cf_req *);
	pthread_t thread;
	bool has_thread;
	int wake_fd;		/* an eventfd, readable when stopping */

	/* The thread's own. */
	struct cf_db *db;
	int64_t space_ms;	/* last look at the disk */
	bool clock_warned;

	pthread_mutex_t lock;	/* for the rest */
	pthread_cond_t wake;	/* somebody asks, or it stops */
	bool stopping;
	struct list waiting;	/* for the next look */
	struct list asked;	/* for the one under way */
	int64_t began_ms;	/* monotonic; 0: none is under way */
	bool writing;		/* it is connected */
	bool late;		/* ... and hangs */
	struct finding last;
	int64_t failed_ms, good_ms;	/* writes of others */
};

/* ---- a look ---- */

struct look {
	struct cf_vault *vault;
	bool space;
	int64_t before_ms, after_ms, database_ms;
	int64_t receipt_ms;	/* the oldest that waits is due since */
	const char *told;
};

static enum cf_err
look_inside(struct cf_db *db, void *arg, struct cf_why *why)
{
	struct look *look = arg;
	struct cf_db_write_test test;
	size_t masters, result, receipt;
	enum cf_err rc;

	look->told = NULL;
	look->before_ms = cf_clock_ms();
	result = cf_db_write_test_send(db, look->space);
	masters = cf_db_masters_send(db);
	receipt = cf_db_oldest_receipt_send(db);
	rc = cf_db_flush(db, why);
	look->after_ms = cf_clock_ms();
	if (rc != CF_OK)
		return rc;
	cf_db_write_test_get(db, result, &test);
	look->database_ms = test.now_ms;
	look->receipt_ms = cf_db_oldest_receipt_get(db, receipt);
	if (test.read_only) {
		look->told = "The database is read-only.";
		return cf_fail(CF_E_DATABASE, why,
		    "the database is read-only");
	}
	return cf_match_used(db, masters, look->vault, why);
}

/* How far our clock is ahead, at least: the answer took its time. */
static int64_t
ahead_ms(const struct look *look)
{
	if (look->database_ms < look->before_ms)
		return look->before_ms - look->database_ms;
	if (look->database_ms > look->after_ms)
		return look->after_ms - look->database_ms;
	return 0;
}

static void
check_clock(struct cf_health *h, const struct look *look, struct finding *f)
{
	int64_t ahead = ahead_ms(look), apart = ahead < 0 ? -ahead : ahead;
	const char *side = ahead < 0 ? "behind" : "ahead of";

	if (apart >= CLOCK_MOST_MS)
		f->rc = cf_fail(CF_E_CLOCK, &f->why, "the clock of this "
		    "machine is %lld.%03lld s %s the database's, and receipts "
		    "are about time: set both right",
		    (long long)apart / 1000, (long long)apart % 1000, side);
	else if (apart >= CLOCK_WARN_MS && !h->clock_warned)
		cf_log(CF_LOG_WARN, "the clock of this machine is %lld.%03lld "
		    "s %s the database's; from %d s on nothing is served",
		    (long long)apart / 1000, (long long)apart % 1000, side,
		    CLOCK_MOST_MS / 1000);
	h->clock_warned = apart >= CLOCK_WARN_MS;
}

/* A connection on which something was wrong is not used again. */
static void
look_now(struct cf_health *h, struct finding *f)
{
	int64_t now = cf_clock_mono_ms();
	struct look look = { .vault = h->ks->vault,
	    .space = h->space_ms == 0 || now - h->space_ms >= SPACE_EVERY_MS };

	*f = (struct finding){ .rc = CF_OK };
	f->rc = cf_db_connect(h->db, &f->why);
	if (f->rc != CF_OK)
		return;
	pthread_mutex_lock(&h->lock);
	h->writing = true;
	pthread_mutex_unlock(&h->lock);
	f->rc = cf_db_run(h->db, CF_DB_WRITE, NULL, look_inside, &look,
	    &f->why);
	if (f->rc == CF_OK) {
		cf_counts_outbox(h->ks->counts, look.receipt_ms);
		if (look.space)
			h->space_ms = now;
		check_clock(h, &look, f);
		return;
	}
	f->told = look.told;
	h->space_ms = 0;
	cf_db_drop(h->db);
}

static void
health_note(struct cf_health *h, const struct finding *f)
{
	if (f->rc != CF_OK && (h->last.rc != f->rc ||
	    h->last.told != f->told || h->late))
		cf_log(f->rc == CF_E_DATABASE ? CF_LOG_WARN : CF_LOG_ERROR,
		    "not ready: %s", f->why.text);
	else if (f->rc == CF_OK && (h->last.rc != CF_OK || h->late))
		cf_log(CF_LOG_INFO, "ready again");
	h->last = *f;
}

/* ---- who asks ---- */

static void
health_list_add(struct list *list, struct cf_req *req)
{
	req->next = list->first;
	list->first = req;
}

static struct cf_req *
list_take(struct list *list)
{
	struct cf_req *first = list->first;

	list->first = NULL;
	return first;
}

/* The last look may be good while what others write fails. */
static struct finding
health_judge(const struct cf_health *h)
{
	struct finding f = h->last;

	if (h->stopping)
		return (struct finding){ .rc = CF_E_BUSY,
		    .told = "This server is ending." };
	if (h->late)
		return (struct finding){ .rc = CF_E_DATABASE,
		    .told = h->writing ? "Writes to the database do not come "
		    "to an end." : NULL };
	if (f.rc == CF_OK && h->failed_ms > h->good_ms &&
	    cf_clock_mono_ms() - h->failed_ms < FAILED_MS)
		return (struct finding){ .rc = CF_E_DATABASE,
		    .told = "The database has just refused a write." };
	return f;
}

static void
health_answer(struct cf_health *h, struct cf_req *req, const struct finding *f)
{
	struct cf_req *next;
	struct cf_why told;
	struct cf_jout out;

	for (; req != NULL; req = next) {
		next = req->next;
		told.text[0] = '\0';
		if (f->told != NULL)
			(void)cf_fail(f->rc, &told, "%s", f->told);
		if (f->rc != CF_OK) {
			cf_req_fail(req, f->rc, &told);
		} else {
			cf_jout_begin(&out, cf_req_ok(req, 200));
			cf_jout_str(&out, "status", "ok");
			cf_jout_end(&out);
		}
		h->done(req);
	}
}

void
cf_health_ask(struct cf_health *h, struct cf_req *req)
{
	struct finding f;
	bool now;

	pthread_mutex_lock(&h->lock);
	now = h->late || h->stopping;
	f = health_judge(h);
	if (now)
		req->next = NULL;
	else
		health_list_add(&h->waiting, req);
	pthread_cond_signal(&h->wake);
	pthread_mutex_unlock(&h->lock);
	if (now)
		health_answer(h, req, &f);
}

void
cf_health_tick(struct cf_health *h)
{
	struct cf_req *asked = NULL, *waiting = NULL;
	struct finding f;

	pthread_mutex_lock(&h->lock);
	if (h->began_ms != 0 && cf_clock_mono_ms() - h->began_ms > LATE_MS) {
		if (!h->late)
			cf_log(CF_LOG_WARN, "not ready: %s", h->writing
			    ? "a write to the database does not come to an "
			    "end; is a synchronous standby missing?"
			    : "the database does not answer");
		h->late = true;
		asked = list_take(&h->asked);
		waiting = list_take(&h->waiting);
	}
	f = health_judge(h);
	pthread_mutex_unlock(&h->lock);
	health_answer(h, asked, &f);
	health_answer(h, waiting, &f);
}

/* ---- what others write ---- */

enum cf_err
cf_health_may_write(struct cf_health *h)
{
	enum cf_err rc;

	pthread_mutex_lock(&h->lock);
	rc = h->late && h->writing ? CF_E_DATABASE :
	    h->last.rc == CF_E_CLOCK ? CF_E_CLOCK : CF_OK;
	pthread_mutex_unlock(&h->lock);
	return rc;
}

void
cf_health_wrote(struct cf_health *h, bool ok)
{
	pthread_mutex_lock(&h->lock);
	*(ok ? &h->good_ms : &h->failed_ms) = cf_clock_mono_ms();
	pthread_mutex_unlock(&h->lock);
}

/* ---- the thread ---- */

static void
wait_until(struct cf_health *h, int64_t ms)
{
	const struct timespec until = { ms / 1000, ms % 1000 * 1000000 };

	(void)pthread_cond_timedwait(&h->wake, &h->lock, &until);
}

/* Until it is time, or somebody asks; then who has asked is taken along. */
static bool
health_begin(struct cf_health *h)
{
	int64_t ended = cf_clock_mono_ms();
	int64_t due = ended + (h->last.rc == CF_OK ? EVERY_MS : AGAIN_MS);
	bool go;

	pthread_mutex_lock(&h->lock);
	while (!h->stopping && cf_clock_mono_ms() < ended + SPACING_MS)
		wait_until(h, ended + SPACING_MS);
	while (!h->stopping && h->waiting.first == NULL &&
	    cf_clock_mono_ms() < due)
		wait_until(h, due);
	go = !h->stopping;
	if (go) {
		h->asked.first = list_take(&h->waiting);
		h->began_ms = cf_clock_mono_ms();
	}
	pthread_mutex_unlock(&h->lock);
	return go;
}

static void
health_end(struct cf_health *h, const struct finding *found)
{
	struct cf_req *asked;
	struct finding f;

	pthread_mutex_lock(&h->lock);
	if (!h->stopping)
		health_note(h, found);
	h->began_ms = 0;
	h->writing = h->late = false;
	asked = list_take(&h->asked);
	f = health_judge(h);
	pthread_mutex_unlock(&h->lock);
	health_answer(h, asked, &f);
}

static void *
loop(void *arg)
{
	struct cf_health *h = arg;
	struct finding f;

	while (health_begin(h)) {
		look_now(h, &f);
		health_end(h, &f);
	}
	return NULL;
}

/* ---- start and stop ---- */

static struct cf_health *
health_new(const struct cf_ks *ks, void (*done)(struct cf_req *))
{
	struct cf_health *h = cf_calloc(1, sizeof *h);
	pthread_condattr_t attr;

	h->ks = ks;
	h->done = done;
	h->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&h->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&h->wake, &attr);
	pthread_condattr_destroy(&attr);
	h->db = cf_db_new(&(struct cf_db_options){
	    .conninfo = ks->settings->database,
	    .role = "counterfoil_keysrv",
	    .application = "counterfoil-health",
	    .unsafe_database = ks->settings->unsafe_database });
	return h;
}

enum cf_err
cf_health_start(const struct cf_ks *ks, void (*done)(struct cf_req *),
    struct cf_health **ret, struct cf_why *why)
{
	CF_AUTO(cf_health_free) struct cf_health *h = health_new(ks, done);
	struct finding f;

	if (h->wake_fd < 0)
		return cf_fail(CF_E_IO, why, "no more file descriptors");
	cf_db_set_waiting(h->db, -1, FIRST_LIMIT_MS);
	look_now(h, &f);
	if (f.rc == CF_E_CLOCK)
		return cf_fail(f.rc, why, "%s", f.why.text);
	health_end(h, &f);
	cf_db_set_waiting(h->db, h->wake_fd, LIMIT_MS);
	if (pthread_create(&h->thread, NULL, loop, h) != 0)
		return cf_fail(CF_E_IO, why, "no more threads");
	h->has_thread = true;
	*ret = h;
	h = NULL;
	return CF_OK;
}

void
cf_health_stop(struct cf_health *h)
{
	const uint64_t one = 1;
	struct cf_req *waiting;
	struct finding f;

	pthread_mutex_lock(&h->lock);
	h->stopping = true;
	pthread_cond_signal(&h->wake);
	pthread_mutex_unlock(&h->lock);
	/* Stays readable: a look that hangs is given up. */
	if (write(h->wake_fd, &one, sizeof one) != (ssize_t)sizeof one)
		cf_log(CF_LOG_DEBUG, "health was not woken");
	if (h->has_thread)
		(void)pthread_join(h->thread, NULL);
	h->has_thread = false;
	pthread_mutex_lock(&h->lock);
	waiting = list_take(&h->waiting);
	f = health_judge(h);
	pthread_mutex_unlock(&h->lock);
	health_answer(h, waiting, &f);
}

void
cf_health_free(struct cf_health **health)
{
	struct cf_health *h = *health;

	if (h == NULL)
		return;
	cf_db_free(&h->db);
	if (h->wake_fd >= 0)
		(void)close(h->wake_fd);
	pthread_cond_destroy(&h->wake);
	pthread_mutex_destroy(&h->lock);
	free(h);
	*health = NULL;
}
