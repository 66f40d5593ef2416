/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_mf - see mf_callbacks.h.
 *
 * The callbacks collect into a cf_mctx and turn its decision into milter
 * replies.  Once a message is to be sealed, the only ways out are the sealed
 * body and a refusal: `CONTINUE` at its end stands behind one success.
 */
#include "milter/gateway/mf_callbacks.h"

#include <libmilter/mfapi.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "milter/gateway/budget.h"
#include "milter/gateway/eom.h"
#include "milter/gateway/mctx.h"
#include "milter/gateway/metrics.h"
#include "milter/gateway/reply.h"
#include "milter/gateway/report.h"
#include "milter/store/room.h"

#define NAME "counterfoil"
#define PACKET_MAX (1024 * 1024)	/* bytes of one command we read */
#define BACKLOG 256		/* connections not yet accepted */
#define NEEDED_ACTIONS (SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_CHGBODY)
/* Steps that save a round trip each, asked for when they are offered. */
#define WANTED_STEPS (SMFIP_NOHELO | SMFIP_NOUNKNOWN | SMFIP_NODATA | \
	SMFIP_SKIP | SMFIP_HDR_LEADSPC | QUIET_STEPS)
#define QUIET_STEPS (SMFIP_NR_CONN | SMFIP_NR_MAIL | SMFIP_NR_RCPT | \
	SMFIP_NR_HDR | SMFIP_NR_EOH)

/* Facts of a connection; messages come and go on it. */
struct conn {
	bool usable;		/* the mail server lets us do our work */
	unsigned long steps;	/* protocol steps in force */
	struct sockaddr_storage client;	/* family 0: not an IP address */
	char *daemon_name;
	struct cf_mctx *msg;
	bool decided;		/* its header has ended */
	/* That end was not answered: what was made of it. */
	bool owed;
	enum cf_err header_rc;
	struct cf_why header_why;
};

/* ---- replies ---- */

static const char *
queue_id(SMFICTX *ctx)
{
	static char i[] = "i";
	const char *id = smfi_getsymval(ctx, i);

	return id == NULL ? "-" : id;
}

static sfsistat
quiet(const struct conn *conn, unsigned long step)
{
	return conn->steps & step ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

/* Hand the reply to libmilter, which reads % as printf would. */
static sfsistat
send_reply(SMFICTX *ctx, const struct cf_reply *reply)
{
	char code[sizeof reply->code], enhanced[sizeof reply->enhanced];
	char text[2 * sizeof reply->text];
	const char *p;
	size_t n = 0;

	memcpy(code, reply->code, sizeof code);
	memcpy(enhanced, reply->enhanced, sizeof enhanced);
	for (p = reply->text; *p != '\0'; p++) {
		if (*p == '%')
			text[n++] = '%';
		text[n++] = *p;
	}
	text[n] = '\0';
	if (smfi_setreply(ctx, code, enhanced, text) != MI_SUCCESS)
		cf_log(CF_LOG_WARN, "%s: the reply text was not taken",
		    queue_id(ctx));
	return reply->code[0] == '5' ? SMFIS_REJECT : SMFIS_TEMPFAIL;
}

/* ---- connection ---- */

static void
conn_free(SMFICTX *ctx)
{
	struct conn *conn = smfi_getpriv(ctx);

	if (conn == NULL)
		return;
	cf_mctx_free(&conn->msg);
	free(conn->daemon_name);
	free(conn);
	cf_budget_give(CF_BUDGET_CONNECTIONS, 1);
	(void)smfi_setpriv(ctx, NULL);
}

/* The message of the connection; NULL: the peer is out of step. */
static struct cf_mctx *
message(SMFICTX *ctx)
{
	struct conn *conn = smfi_getpriv(ctx);

	return conn == NULL ? NULL : conn->msg;
}

static void
forget_message(SMFICTX *ctx)
{
	struct conn *conn = smfi_getpriv(ctx);

	if (conn != NULL)
		cf_mctx_free(&conn->msg);
}

/* Macros we read, so that the mail server needs no setting for them. */
static void
ask_for_macros(SMFICTX *ctx)
{
	static const struct {
		int stage;
		const char *names;
	} wanted[] = {
		{ SMFIM_CONNECT, "{client_addr} {daemon_name} {daemon_port}" },
		{ SMFIM_ENVFROM, "i {auth_authen} {auth_type} {mail_addr}" },
		{ SMFIM_ENVRCPT, "i {rcpt_addr}" },
		{ SMFIM_EOH, "i" },
		{ SMFIM_EOM, "i" },
	};
	char names[80];
	size_t i;

	for (i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		(void)snprintf(names, sizeof names, "%s", wanted[i].names);
		if (smfi_setsymlist(ctx, wanted[i].stage, names) != MI_SUCCESS)
			cf_log(CF_LOG_WARN, "macros for stage %d not asked",
			    wanted[i].stage);
	}
}

/*
 * The end of the header waits for the body's first piece with its answer: one
 * round trip where there were two.  A gateway that seals nothing needs no
 * piece, and is shown none when it answers at once.  Where a mail server does
 * not offer that, libmilter says CONTINUE to it.
 */
static unsigned long
wanted_steps(void)
{
	struct cf_snapshot *s = cf_snapshot_get();
	bool seals = (s->mode & CF_MODE_OUTBOUND) != 0;

	cf_snapshot_put(&s);
	return seals ? WANTED_STEPS : WANTED_STEPS & ~SMFIP_NR_EOH;
}

static sfsistat
mf_negotiate(SMFICTX *ctx, unsigned long f0, unsigned long f1,
    unsigned long f2, unsigned long f3, unsigned long *pf0,
    unsigned long *pf1, unsigned long *pf2, unsigned long *pf3)
{
	struct conn *conn;

	(void)f2;
	(void)f3;
	conn_free(ctx);
	cf_metrics_connection();
	if (!cf_budget_take(CF_BUDGET_CONNECTIONS, 1)) {
		cf_log(CF_LOG_WARN, "a connection of the mail server is "
		    "refused: max_connections is reached");
		return SMFIS_REJECT;
	}
	conn = cf_calloc(1, sizeof *conn);
	if (smfi_setpriv(ctx, conn) != MI_SUCCESS) {
		cf_budget_give(CF_BUDGET_CONNECTIONS, 1);
		free(conn);
		return SMFIS_REJECT;
	}
	conn->usable = (f0 & NEEDED_ACTIONS) == NEEDED_ACTIONS;
	conn->steps = conn->usable ? f1 & wanted_steps() : 0;
	*pf0 = f0 & (NEEDED_ACTIONS | SMFIF_SETSYMLIST);
	*pf1 = conn->steps;
	*pf2 = *pf3 = 0;
	if (f0 & SMFIF_SETSYMLIST)
		ask_for_macros(ctx);
	if (!conn->usable)
		cf_log(CF_LOG_ERROR, "the mail server does not let us%s%s%s: "
		    "all its mail is deferred",
		    f0 & SMFIF_ADDHDRS ? "" : " add fields;",
		    f0 & SMFIF_CHGHDRS ? "" : " change fields;",
		    f0 & SMFIF_CHGBODY ? "" : " replace the body;");
	return SMFIS_CONTINUE;
}

static sfsistat
mf_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *address)
{
	static char daemon_name[] = "{daemon_name}";
	struct conn *conn = smfi_getpriv(ctx);
	const char *name;

	(void)host;
	if (conn == NULL)
		return SMFIS_CONTINUE;
	memset(&conn->client, 0, sizeof conn->client);
	if (address != NULL && address->sa_family == AF_INET)
		memcpy(&conn->client, address, sizeof(struct sockaddr_in));
	else if (address != NULL && address->sa_family == AF_INET6)
		memcpy(&conn->client, address, sizeof(struct sockaddr_in6));
	/* Later stages may show another value of this macro. */
	name = smfi_getsymval(ctx, daemon_name);
	free(conn->daemon_name);
	conn->daemon_name = name == NULL ? NULL : cf_strdup(name);
	return quiet(conn, SMFIP_NR_CONN);
}

/* ---- one message ---- */

static sfsistat
mf_envfrom(SMFICTX *ctx, char **argv)
{
	static char auth_authen[] = "{auth_authen}";
	struct conn *conn = smfi_getpriv(ctx);
	struct cf_reply reply;

	if (conn == NULL || !conn->usable) {
		cf_reply_set(&reply, "451", "4.3.5",
		    "This mail gateway is not set up properly; try again "
		    "later");
		return send_reply(ctx, &reply);
	}
	cf_mctx_free(&conn->msg);
	conn->decided = conn->owed = false;
	conn->msg = cf_mctx_new(argv[0] == NULL ? "" : argv[0]);
	cf_mctx_client(conn->msg,
	    (const struct sockaddr *)(const void *)&conn->client,
	    smfi_getsymval(ctx, auth_authen), conn->daemon_name);
	return quiet(conn, SMFIP_NR_MAIL);
}

static sfsistat
mf_envrcpt(SMFICTX *ctx, char **argv)
{
	struct conn *conn = smfi_getpriv(ctx);

	if (conn == NULL || conn->msg == NULL)
		return SMFIS_TEMPFAIL;
	if (argv[0] != NULL)
		cf_mctx_rcpt(conn->msg, argv[0], argv + 1);
	return quiet(conn, SMFIP_NR_RCPT);
}

static sfsistat
mf_header(SMFICTX *ctx, char *name, char *value)
{
	struct conn *conn = smfi_getpriv(ctx);

	if (conn == NULL || conn->msg == NULL)
		return SMFIS_TEMPFAIL;
	cf_mctx_header(conn->msg, name, value,
	    (conn->steps & SMFIP_HDR_LEADSPC) != 0);
	return quiet(conn, SMFIP_NR_HDR);
}

/* The end of a message that does not go on: refused, or `rc` says why not. */
static sfsistat
refuse(SMFICTX *ctx, enum cf_err rc, const struct cf_why *why)
{
	struct cf_mctx *m = message(ctx);
	struct cf_reply reply;
	const char *cause = cf_mctx_reply(m, rc, &reply);
	sfsistat status = send_reply(ctx, &reply);

	if (rc == CF_E_FULL && m->decision.action == CF_ACTION_SEAL)
		cf_room_is_full_here(why);
	cf_report_message(queue_id(ctx), m, status == SMFIS_REJECT ?
	    "refused" : "deferred", cause, why);
	forget_message(ctx);
	return status;
}

static sfsistat
out_of_step(SMFICTX *ctx)
{
	cf_log_peer("a command without its message");
	forget_message(ctx);
	return SMFIS_TEMPFAIL;
}

/* The end of a message that goes on as it is, with no more to be seen of it. */
static sfsistat
pass(SMFICTX *ctx, const struct cf_mctx *m, sfsistat how)
{
	cf_report_message(queue_id(ctx), m, "passed", m->decision.cause,
	    &m->decision.note);
	forget_message(ctx);
	return how;
}

/* What is said of the header alone; but for CONTINUE the message is over. */
static sfsistat
answer_header(SMFICTX *ctx, struct conn *conn)
{
	struct cf_mctx *m = conn->msg;

	conn->owed = false;
	if (conn->header_rc != CF_OK || m->decision.action == CF_ACTION_REFUSE)
		return refuse(ctx, conn->header_rc, &conn->header_why);
	if (m->decision.action == CF_ACTION_PASS && !cf_mctx_wants_body(m))
		return pass(ctx, m, SMFIS_ACCEPT);
	return SMFIS_CONTINUE;
}

static sfsistat
mf_eoh(SMFICTX *ctx)
{
	static const struct cf_why none;
	struct conn *conn = smfi_getpriv(ctx);

	if (conn == NULL || conn->msg == NULL)
		return out_of_step(ctx);
	conn->header_why = none;
	conn->header_rc = cf_mctx_decide(conn->msg, &conn->header_why);
	conn->decided = true;
	conn->owed = (conn->steps & SMFIP_NR_EOH) != 0;
	return conn->owed ? SMFIS_NOREPLY : answer_header(ctx, conn);
}

/*
 * Each piece is answered, though SMFIP_NR_BODY would save that: of most mail
 * the first is enough, and without an answer a mail server shows all of it.
 */
static sfsistat
mf_body(SMFICTX *ctx, unsigned char *data, size_t len)
{
	struct conn *conn = smfi_getpriv(ctx);
	struct cf_mctx *m = message(ctx);
	struct cf_why why = { "" };
	sfsistat status;
	enum cf_err rc;

	if (m == NULL || !conn->decided)
		return out_of_step(ctx);
	status = conn->owed ? answer_header(ctx, conn) : SMFIS_CONTINUE;
	if (status != SMFIS_CONTINUE)
		return status;
	rc = cf_mctx_body(m, data, len, &why);
	if (rc != CF_OK || m->decision.action == CF_ACTION_REFUSE)
		return refuse(ctx, rc, &why);
	if (cf_mctx_wants_body(m))
		return SMFIS_CONTINUE;
	if (m->decision.action == CF_ACTION_PASS)
		return pass(ctx, m, SMFIS_ACCEPT);
	return conn->steps & SMFIP_SKIP ? SMFIS_SKIP : SMFIS_CONTINUE;
}

/* ---- end of message ---- */

static bool
tell_progress(void *arg)
{
	return smfi_progress(arg) == MI_SUCCESS;
}

static bool
change_field(void *arg, const char *name, unsigned index, const char *value)
{
	CF_AUTO(cf_free) char *n = cf_strdup(name);
	CF_AUTO(cf_free) char *v = value == NULL ? NULL : cf_strdup(value);

	return smfi_chgheader(arg, n, (int)index, v) == MI_SUCCESS;
}

static bool
add_field(void *arg, const char *name, const char *value)
{
	CF_AUTO(cf_free) char *n = cf_strdup(name);
	CF_AUTO(cf_free) char *v = cf_strdup(value);

	return smfi_addheader(arg, n, v) == MI_SUCCESS;
}

static enum cf_err
write_body(void *arg, const void *data, size_t len, struct cf_why *why)
{
	/* libmilter only reads; its prototype is older than const. */
	unsigned char *bytes = (unsigned char *)(uintptr_t)data;

	if (smfi_replacebody(arg, bytes, (int)len) != MI_SUCCESS)
		return cf_fail(CF_E_NETWORK, why,
		    "the mail server did not take the new body");
	return CF_OK;
}

static sfsistat
mf_eom(SMFICTX *ctx)
{
	struct conn *conn = smfi_getpriv(ctx);
	struct cf_mctx *m = message(ctx);
	struct cf_eom_ops ops = { { change_field, add_field, ctx, false },
	    tell_progress, write_body, ctx };
	struct cf_why why = { "" };
	const char *verdict = "";
	sfsistat status;
	enum cf_err rc;

	if (m == NULL || !conn->decided)
		return out_of_step(ctx);
	/* There was no body to say it at. */
	status = conn->owed ? answer_header(ctx, conn) : SMFIS_CONTINUE;
	if (status != SMFIS_CONTINUE)
		return status;
	cf_mctx_body_end(m, &why);
	if (m->decision.action == CF_ACTION_REFUSE)
		return refuse(ctx, CF_OK, &why);
	if (m->decision.action == CF_ACTION_PASS)
		return pass(ctx, m, SMFIS_CONTINUE);
	ops.edit.leadspc = (conn->steps & SMFIP_HDR_LEADSPC) != 0;
	rc = cf_eom_run(m, &ops, &verdict, &why);
	if (rc != CF_OK)
		return refuse(ctx, rc, &why);
	cf_report_message(queue_id(ctx), m, verdict, m->decision.cause,
	    &why);
	forget_message(ctx);
	return SMFIS_CONTINUE;
}

static sfsistat
mf_abort(SMFICTX *ctx)
{
	struct cf_mctx *m = message(ctx);
	struct cf_why why = { "" };

	if (m != NULL)
		cf_report_message(queue_id(ctx), m, "aborted", "mail-server",
		    &why);
	forget_message(ctx);
	return SMFIS_CONTINUE;
}

static sfsistat
mf_close(SMFICTX *ctx)
{
	conn_free(ctx);
	return SMFIS_CONTINUE;
}

/* ---- start and stop ---- */

/*
 * libmilter starts a thread that calls sigwait() for HUP, TERM and INT, and
 * stops the milter at each of them, HUP too, without letting messages end.
 * Which of several waiting threads gets a signal is not ours to choose, so
 * its wait finds nothing: this stands before the C library's function of
 * that name.  main() uses sigwaitinfo().
 */
int
sigwait(const sigset_t *set, int *ret_signal)
{
	(void)set;
	(void)ret_signal;
	for (;;)
		(void)pause();
}

enum cf_err
cf_mf_open(const char *socket, struct cf_why *why)
{
	static char name[] = NAME;
	struct smfiDesc desc = { 0 };
	CF_AUTO(cf_free) char *where = cf_strdup(socket);

	desc.xxfi_name = name;
	desc.xxfi_version = SMFI_VERSION;
	desc.xxfi_flags = NEEDED_ACTIONS | SMFIF_SETSYMLIST;
	desc.xxfi_negotiate = mf_negotiate;
	desc.xxfi_connect = mf_connect;
	desc.xxfi_envfrom = mf_envfrom;
	desc.xxfi_envrcpt = mf_envrcpt;
	desc.xxfi_header = mf_header;
	desc.xxfi_eoh = mf_eoh;
	desc.xxfi_body = mf_body;
	desc.xxfi_eom = mf_eom;
	desc.xxfi_abort = mf_abort;
	desc.xxfi_close = mf_close;
	/* A mail server shows a field in one piece, however long it is. */
	(void)smfi_setmaxdatasize(PACKET_MAX);
	(void)smfi_setbacklog(BACKLOG);
	if (smfi_setconn(where) != MI_SUCCESS ||
	    smfi_register(desc) != MI_SUCCESS)
		return cf_fail(CF_E_CONFIG, why, "libmilter does not start");
	if (smfi_opensocket(true) != MI_SUCCESS)
		return cf_fail(CF_E_CONFIG, why, "%s cannot be opened",
		    socket);
	return CF_OK;
}

bool
cf_mf_run(void)
{
	return smfi_main() == MI_SUCCESS;
}

void
cf_mf_stop(void)
{
	(void)smfi_stop();
}

void
cf_mf_version(char out[32])
{
	unsigned major = 0, minor = 0, patch = 0;

	(void)smfi_version(&major, &minor, &patch);
	(void)snprintf(out, 32, "%u.%u.%u", major, minor, patch);
}
