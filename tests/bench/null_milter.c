/* SPDX-License-Identifier: Apache-2.0 */
/*
 * null_milter - the milter to compare with: it does nothing.
 *
 * Asks to be shown the header fields, looks at none and accepts at the end of
 * the header, which is the least that a milter acting on a header field can
 * do.   Usage: null_milter unix:PATH
 */
#include <libmilter/mfapi.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#define STEPS_NOT_WANTED (SMFIP_NOCONNECT | SMFIP_NOHELO | SMFIP_NOMAIL | \
	SMFIP_NORCPT | SMFIP_NODATA | SMFIP_NOUNKNOWN | SMFIP_NOBODY)

static sfsistat
on_negotiate(SMFICTX *ctx, unsigned long f0, unsigned long f1,
    unsigned long f2, unsigned long f3, unsigned long *pf0,
    unsigned long *pf1, unsigned long *pf2, unsigned long *pf3)
{
	(void)ctx;
	(void)f0;
	(void)f2;
	(void)f3;
	*pf0 = 0;
	*pf1 = f1 & (STEPS_NOT_WANTED | SMFIP_NR_HDR);
	*pf2 = 0;
	*pf3 = 0;
	return SMFIS_CONTINUE;
}

static sfsistat
on_header(SMFICTX *ctx, char *name, char *value)
{
	(void)ctx;
	(void)name;
	(void)value;
	/* Postfix offers SMFIP_NR_HDR, so no reply is expected. */
	return SMFIS_NOREPLY;
}

static sfsistat
on_eoh(SMFICTX *ctx)
{
	(void)ctx;
	return SMFIS_ACCEPT;
}

int
main(int argc, char **argv)
{
	struct smfiDesc desc = {
		.xxfi_name = "null_milter",
		.xxfi_version = SMFI_VERSION,
		.xxfi_header = on_header,
		.xxfi_eoh = on_eoh,
		.xxfi_negotiate = on_negotiate,
	};

	if (argc != 2) {
		fprintf(stderr, "Usage: null_milter unix:PATH\n");
		return 2;
	}
	umask(0);
	signal(SIGPIPE, SIG_IGN);
	if (smfi_setconn(argv[1]) != MI_SUCCESS ||
	    smfi_register(desc) != MI_SUCCESS ||
	    smfi_opensocket(true) != MI_SUCCESS)
		return 1;
	return smfi_main() == MI_SUCCESS ? 0 : 1;
}
