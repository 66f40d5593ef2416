/* SPDX-License-Identifier: Apache-2.0 */
/* A record of each type, as they stand in receipts. */
#ifndef CF_TESTS_UNIT_RECORDS_H
#define CF_TESTS_UNIT_RECORDS_H

#define B16 "AAAAAAAAAAAAAAAAAAAAAA"
#define B32 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define B64 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAA"
#define B88 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define TIME "2026-11-23T13:35:00.123Z"

#define HEAD(type, seq) "counterfoil-event/v1\ntype " type "\nseq " seq \
	"\nid " B16 "\nkey " B16 "\nref " B32 "\ntime " TIME "\n"
#define KEYS "opening-key " B32 "\npossession-key " B32 \
	"\nkey-commitment " B32 "\nmessage-commitment " B32 "\n"

#define ISSUED HEAD("issued", "1") "request " B16 "\nsender ann@a.test\n" \
	"recipient bob@b.test\nrecipient J%C3%B6rg@b.test\n" \
	"message-id <100%25@a.test>\nreader https://reader.a.test\n" \
	"algorithm kek-a256kw\nassurance bearer\nexpires " TIME \
	"\naccount gateway-a\n" KEYS
#define RELEASED HEAD("released", "2") "release " B16 "\nprincipal bearer\n" \
	"assurance bearer\nfirst yes\norigin https://reader.b.test\n" \
	"agent-time " TIME "\nchallenge " B88 "\nsignature " B64 \
	"\nsecret-sha256 " B32 "\n" KEYS
#define OPENED HEAD("opened", "30") "release " B16 "\nsecret-sha256 " B32 \
	"\nmessage-commitment " B32 "\nagent-time " TIME "\nsignature " B64 "\n"
#define MISMATCH HEAD("mismatch", "4") "release " B16 "\nsecret-sha256 " B32 \
	"\nagent-time " TIME "\nsignature " B64 "\n"
#define REFUSED HEAD("refused", "5") "reason challenge-used\norigin -\n" \
	"agent-time " TIME "\nchallenge any %0Atext\nsignature " B64 "\n"
#define REPEATED HEAD("refused", "999999999999999999") "reason repeated\n" \
	"since " TIME "\ncount 17\n"

#endif
