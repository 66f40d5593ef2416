/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of cf_vault share: vault.c wraps and unwraps, vault_file.c
 * keeps the master keys and their file.
 */
#ifndef CF_KEYSRV_VAULT_PRIVATE_H
#define CF_KEYSRV_VAULT_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "common/secret.h"
#include "keysrv/key/vault.h"

#define CF_MASTERS_MAX 32

struct cf_vault_master {
	struct cf_master name;
	struct cf_secret key;
};

struct cf_vault {
	/* Keys are only ever added, behind the last: readers take no lock. */
	struct cf_vault_master master[CF_MASTERS_MAX];
	atomic_size_t count;
	pthread_mutex_t lock;	/* of those who add */
	struct stat seen;	/* the file when it was read last */
	char *path;
	/* OpenSSL's, fetched once: a look-up takes locks. */
	struct evp_kdf_st *hkdf;
	struct evp_cipher_st *kwp, *gcm;
};

/* The keys of the file, added to those that are there.  CF_E_CONFIG */
CF_MUST_USE enum cf_err cf_vault_read(struct cf_vault *vault,
    struct cf_why *why);
/*
 * The key that the database knows as `want`, lent for the vault's life; the
 * file is looked at again for one that is not there.
 * CF_E_MASTER_KEY  as cf_vault_has()
 */
CF_MUST_USE enum cf_err cf_vault_find(struct cf_vault *vault,
    const struct cf_master *want, const struct cf_vault_master **ret,
    struct cf_why *why);
/* HKDF-SHA256 (RFC 5869), 32 bytes; salt_len may be 0. */
void cf_vault_derive(const struct cf_vault *vault, const struct cf_secret *ikm,
    const void *salt, size_t salt_len, const char *info,
    struct cf_secret *ret);

#endif
