/* Password hashes: argon2id for our own, crypt(3) for imported ones (docs/decisions/0003-password-hashing.md). Private to auth.
 * Every function takes one processor for tens of milliseconds and, but for crypt, PASSWORD_MEMORY_BYTES of memory. */
#ifndef AUTH_PASSWORD_H
#define AUTH_PASSWORD_H

#include "proto/sasl/sasl.h"

#define PASSWORD_OPERATIONS     2u /* passes over the memory */
#define PASSWORD_MEMORY_BYTES   (64u << 20)
#define PASSWORD_HASH_BYTES_MAX 383u /* CRYPT_OUTPUT_SIZE - 1 */

struct password_record {
    char hash[PASSWORD_HASH_BYTES_MAX + 1];
    bool imported; /* of the bytes as they were typed elsewhere; else of the OpaqueString form */
    bool has_scram;            /* else only its salt and iterations count */
    struct scram_secret scram; /* iterations 0: not even those */
};

/* salted (may be NULL, or in out_record): whose salt and iterations are taken; else new ones. ERR_SYNTAX: empty, no UTF-8, holds controls. ERR_LIMIT:
 * over PASSWORD_BYTES_MAX. ERR_BUSY: no memory now. */
enum err MUST_USE password_make(struct slice password, const struct scram_secret *salted,
    struct password_record *out_record);
/* A hash from elsewhere, with or without a scheme in braces ("{CRYPT}", "{SHA512-CRYPT}", "{BLF-CRYPT}", "{ARGON2ID}"). ERR_SYNTAX for one
 * that cannot be checked; ERR_LIMIT for one that would take seconds. */
enum err MUST_USE password_import(struct slice hash, struct password_record *out_record);
/* ERR_BUSY: no memory now. A password that could never have been set costs the same. */
enum err MUST_USE password_check(
    const struct password_record *record, struct slice password, bool *out_right);
/* The same work for nothing: what an unknown user costs. */
void password_check_nobody(struct slice password);
/* Whether the hash should be made anew at the next success: imported, or by other costs than today's. */
bool password_is_dated(const struct password_record *record);

#endif
