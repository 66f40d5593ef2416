/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_schema - the migrations under sql/, built into the programs, so that
 * they and the schema they need cannot part.
 *
 * keysrv/db/schema.c is made by keysrv/sql-to-c.
 */
#ifndef CF_KEYSRV_SCHEMA_H
#define CF_KEYSRV_SCHEMA_H

#include <stddef.h>

struct cf_migration {
	int version;		/* the number at the front of the name */
	const char *name;	/* 0001-roles.sql */
	const char *sql;
};

extern const struct cf_migration cf_schema[];	/* by version, ascending */
extern const size_t cf_schema_count;

#endif
