/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_milter - the milters to compare with, which do next to nothing.
 * All but the first agree on the same steps and macros as counterfoil-milter.
 *
 *   peer_milter null unix:PATH     wants header fields only, accepts at
 *                                  their end
 *   peer_milter headers unix:PATH  takes the header and accepts at its end
 *   peer_milter body unix:PATH     takes the body, too, keeps none of it, and
 *                                  hands back another one, 4/3 as long: the
 *                                  floor of whoever streams
 *   peer_milter replace unix:PATH  holds the body in memory, as who must look
 *                                  at all of it before he may say anything,
 *                                  and hands it back, 4/3 as long
 *   peer_milter same unix:PATH     likewise, as long as it was
 */
#include <libmilter/mfapi.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NULL_STEPS (SMFIP_NOCONNECT | SMFIP_NOHELO | SMFIP_NOMAIL | \
	SMFIP_NORCPT | SMFIP_NODATA | SMFIP_NOUNKNOWN | SMFIP_NOBODY | \
	SMFIP_NR_HDR)
#define OUR_STEPS (SMFIP_NOHELO | SMFIP_NOUNKNOWN | SMFIP_NODATA | \
	SMFIP_SKIP | SMFIP_HDR_LEADSPC | SMFIP_NR_CONN | SMFIP_NR_MAIL | \
	SMFIP_NR_RCPT | SMFIP_NR_HDR | SMFIP_NR_BODY)
#define OUR_ACTIONS (SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_CHGBODY)
#define LINE 78			/* of the new body, with CRLF */
#define PIECE (LINE * 840)

/* From MODE_BODY on all take the body. */
static enum mode {
	MODE_NULL, MODE_HEADERS, MODE_BODY, MODE_REPLACE, MODE_SAME
} mode;
static unsigned char piece[PIECE];

/* The body of one message. */
struct held {
	unsigned char *data;	/* from MODE_REPLACE on */
	size_t len, cap;
};

/* Postfix offers all these steps, so no reply is expected to them. */

static sfsistat
on_negotiate(SMFICTX *ctx, unsigned long f0, unsigned long f1,
    unsigned long f2, unsigned long f3, unsigned long *pf0,
    unsigned long *pf1, unsigned long *pf2, unsigned long *pf3)
{
	static char connect[] = "{client_addr} {daemon_name} {daemon_port}";
	static char mail[] = "i {auth_authen} {auth_type} {mail_addr}";
	static char rcpt[] = "i {rcpt_addr}";
	static char i[] = "i";

	(void)f2;
	(void)f3;
	*pf2 = *pf3 = 0;
	if (mode == MODE_NULL) {
		*pf0 = 0;
		*pf1 = f1 & NULL_STEPS;
		return SMFIS_CONTINUE;
	}
	*pf0 = f0 & (OUR_ACTIONS | SMFIF_SETSYMLIST);
	*pf1 = f1 & OUR_STEPS;
	(void)smfi_setsymlist(ctx, SMFIM_CONNECT, connect);
	(void)smfi_setsymlist(ctx, SMFIM_ENVFROM, mail);
	(void)smfi_setsymlist(ctx, SMFIM_ENVRCPT, rcpt);
	(void)smfi_setsymlist(ctx, SMFIM_EOH, i);
	(void)smfi_setsymlist(ctx, SMFIM_EOM, i);
	return SMFIS_CONTINUE;
}

static sfsistat
on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *address)
{
	(void)ctx;
	(void)host;
	(void)address;
	return SMFIS_NOREPLY;
}

static sfsistat
on_envelope(SMFICTX *ctx, char **argv)
{
	(void)ctx;
	(void)argv;
	return SMFIS_NOREPLY;
}

static sfsistat
on_header(SMFICTX *ctx, char *name, char *value)
{
	(void)ctx;
	(void)name;
	(void)value;
	return SMFIS_NOREPLY;
}

static void
drop(SMFICTX *ctx)
{
	struct held *held = smfi_getpriv(ctx);

	if (held == NULL)
		return;
	free(held->data);
	free(held);
	(void)smfi_setpriv(ctx, NULL);
}

static sfsistat
on_eoh(SMFICTX *ctx)
{
	drop(ctx);
	if (mode < MODE_BODY)
		return SMFIS_ACCEPT;
	if (smfi_setpriv(ctx, calloc(1, sizeof(struct held))) != MI_SUCCESS ||
	    smfi_getpriv(ctx) == NULL)
		return SMFIS_TEMPFAIL;
	return SMFIS_CONTINUE;
}

static bool
make_room(struct held *held, size_t len)
{
	size_t cap = held->cap == 0 ? PIECE : held->cap;
	unsigned char *data;

	while (cap < len)
		cap *= 2;
	if (cap == held->cap)
		return true;
	data = realloc(held->data, cap);
	if (data == NULL)
		return false;
	held->data = data;
	held->cap = cap;
	return true;
}

static sfsistat
on_body(SMFICTX *ctx, unsigned char *data, size_t len)
{
	struct held *held = smfi_getpriv(ctx);

	if (mode >= MODE_REPLACE) {
		if (!make_room(held, held->len + len))
			return SMFIS_TEMPFAIL;
		memcpy(held->data + held->len, data, len);
	}
	held->len += len;
	return SMFIS_NOREPLY;
}

/* `len` bytes of the new body: of `data`, or else the same piece over again. */
static bool
hand_back(SMFICTX *ctx, unsigned char *data, size_t len)
{
	size_t n;

	for (; len > 0; len -= n) {
		n = len < PIECE ? len : PIECE;
		if (smfi_replacebody(ctx, data == NULL ? piece : data, (int)n)
		    != MI_SUCCESS)
			return false;
		if (data != NULL)
			data += n;
	}
	return true;
}

static sfsistat
on_eom(SMFICTX *ctx)
{
	const struct held *held = smfi_getpriv(ctx);
	bool good;

	if (mode == MODE_BODY)
		good = hand_back(ctx, NULL, held->len / 57 * LINE + LINE);
	else
		good = hand_back(ctx, held->data, held->len) &&
		    (mode == MODE_SAME || hand_back(ctx, held->data,
		    held->len / 3));
	drop(ctx);
	return good ? SMFIS_CONTINUE : SMFIS_TEMPFAIL;
}

static sfsistat
on_close(SMFICTX *ctx)
{
	drop(ctx);
	return SMFIS_CONTINUE;
}

static void
fill_piece(void)
{
	size_t i;

	memset(piece, 'Q', sizeof piece);
	for (i = LINE; i <= sizeof piece; i += LINE)
		memcpy(piece + i - 2, "\r\n", 2);
}

static bool
parse_mode(const char *text)
{
	static const char *const names[] = { "null", "headers", "body",
	    "replace", "same" };
	size_t i;

	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(text, names[i]) == 0) {
			mode = (enum mode)i;
			return true;
		}
	return false;
}

int
main(int argc, char **argv)
{
	static char name[] = "peer_milter";
	struct smfiDesc desc = { 0 };

	if (argc != 3 || !parse_mode(argv[1])) {
		fprintf(stderr,
		    "usage: peer_milter null|headers|body|replace|same "
		    "unix:PATH\n");
		return 2;
	}
	desc.xxfi_name = name;
	desc.xxfi_version = SMFI_VERSION;
	desc.xxfi_flags = mode == MODE_NULL ? 0 :
	    OUR_ACTIONS | SMFIF_SETSYMLIST;
	desc.xxfi_negotiate = on_negotiate;
	if (mode != MODE_NULL) {
		desc.xxfi_connect = on_connect;
		desc.xxfi_envfrom = on_envelope;
		desc.xxfi_envrcpt = on_envelope;
		desc.xxfi_close = on_close;
	}
	desc.xxfi_header = on_header;
	desc.xxfi_eoh = on_eoh;
	if (mode >= MODE_BODY) {
		desc.xxfi_body = on_body;
		desc.xxfi_eom = on_eom;
	}
	fill_piece();
	umask(0);
	signal(SIGPIPE, SIG_IGN);
	if (smfi_setconn(argv[2]) != MI_SUCCESS ||
	    smfi_register(desc) != MI_SUCCESS ||
	    smfi_opensocket(true) != MI_SUCCESS)
		return 1;
	return smfi_main() == MI_SUCCESS ? 0 : 1;
}
