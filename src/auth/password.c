/* argon2id by libsodium, crypt by libxcrypt. Copies of passwords are wiped before their memory is released. */
#include "auth/password.h"

#include "base/arena.h"
#include "base/limits.h"
#include "base/rand.h"

#include <crypt.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define CRYPT_ROUNDS_MAX     1000000u /* of $5$ and $6$: about half a second */
#define BCRYPT_COST_MAX      14u
#define ARGON_MEMORY_KIB_MAX (256u << 10)
#define ARGON_PASSES_MAX     16u

/* The prepared form, in one piece of memory so that growing leaves nothing behind. */
static enum err prepare(struct slice password, struct buf *out)
{
    buf_init(out, 0);
    if (password.len > PASSWORD_BYTES_MAX)
        return ERR_LIMIT;
    (void)buf_room(out, password.len * 3 + 1);
    return sasl_opaque_string(password, out);
}

static void new_salt(struct scram_secret *out)
{
    *out = (struct scram_secret){ .iterations = SCRAM_ITERATIONS };
    rand_bytes(out->salt, sizeof out->salt);
}

enum err password_make(
    struct slice password, const struct scram_secret *salted, struct password_record *out_record)
{
    struct buf prepared;
    struct password_record record = { 0 };
    struct scram_secret fresh;
    if (!salted || salted->iterations == 0) {
        new_salt(&fresh);
        salted = &fresh;
    }
    enum err e = prepare(password, &prepared);
    if (!e)
        e = scram_secret_make(password, salted->salt, salted->iterations, &record.scram);
    if (!e && crypto_pwhash_str_alg(record.hash, buf_slice(&prepared).ptr, buf_len(&prepared),
                  PASSWORD_OPERATIONS, PASSWORD_MEMORY_BYTES, crypto_pwhash_ALG_ARGON2ID13) != 0)
        e = ERR_BUSY;
    sasl_buf_wipe(&prepared);
    if (!e) {
        record.has_scram = true;
        *out_record = record;
    }
    sodium_memzero(&record, sizeof record);
    return e;
}

/* The number after `name` ("rounds=", "m="), or otherwise. */
static uint64_t parameter(struct slice hash, const char *name, uint64_t otherwise)
{
    size_t at = slice_find(hash, slice_of(name));
    if (at == SIZE_MAX)
        return otherwise;
    struct slice rest = slice_from_index(hash, at + strlen(name));
    size_t len = 0;
    while (len < rest.len && rest.ptr[len] >= '0' && rest.ptr[len] <= '9')
        len++;
    uint64_t number;
    return slice_to_u64(slice_sub(rest, 0, len), UINT32_MAX, &number) ? UINT64_MAX : number;
}

static bool is_argon2(const char *hash)
{
    return strncmp(hash, crypto_pwhash_STRPREFIX, strlen(crypto_pwhash_STRPREFIX)) == 0;
}

enum err password_import(struct slice hash, struct password_record *out_record)
{
    static const struct slice schemes[] = { SLICE_CONST("{CRYPT}"), SLICE_CONST("{SHA512-CRYPT}"),
        SLICE_CONST("{SHA256-CRYPT}"), SLICE_CONST("{BLF-CRYPT}"), SLICE_CONST("{MD5-CRYPT}"),
        SLICE_CONST("{ARGON2ID}") };
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (slice_starts_nocase(hash, schemes[i])) {
            hash = slice_from_index(hash, schemes[i].len);
            break;
        }
    }
    struct password_record record = { .imported = true };
    if (hash.len == 0 || hash.ptr[0] != '$')
        return ERR_SYNTAX; /* also DES crypt: eight characters of a password are no password */
    if (hash.len > PASSWORD_HASH_BYTES_MAX)
        return ERR_LIMIT;
    for (size_t i = 0; i < hash.len; i++)
        if (slice_at(hash, i) <= 0x20 || slice_at(hash, i) >= 0x7F || hash.ptr[i] == ':')
            return ERR_SYNTAX;
    memcpy(record.hash, hash.ptr, hash.len);
    if (is_argon2(record.hash)) {
        if (parameter(hash, "m=", UINT64_MAX) > ARGON_MEMORY_KIB_MAX ||
            parameter(hash, "t=", UINT64_MAX) > ARGON_PASSES_MAX)
            return ERR_LIMIT;
        if (crypto_pwhash_str_needs_rehash(record.hash, 1, crypto_pwhash_MEMLIMIT_MIN) < 0)
            return ERR_SYNTAX;
    } else {
        int fit = crypt_checksalt(record.hash);
        if (fit != CRYPT_SALT_OK && fit != CRYPT_SALT_METHOD_LEGACY)
            return ERR_SYNTAX;
        if (parameter(hash, "rounds=", 0) > CRYPT_ROUNDS_MAX)
            return ERR_LIMIT;
        if (slice_starts(hash, SLICE("$2")) &&
            parameter(slice_sub(hash, 3, 4), "$", UINT64_MAX) > BCRYPT_COST_MAX)
            return ERR_LIMIT;
    }
    new_salt(&record.scram);
    *out_record = record;
    return ERR_OK;
}

/* No allocation and no timing depends on the user: a fixed salt, today's costs. */
void password_check_nobody(struct slice password)
{
    static const unsigned char salt[crypto_pwhash_SALTBYTES] = { 0 };
    unsigned char out[32];
    struct slice some = slice_sub(password, 0, PASSWORD_BYTES_MAX);
    (void)!crypto_pwhash(out, sizeof out, some.ptr ? some.ptr : "", some.len, salt,
        PASSWORD_OPERATIONS, PASSWORD_MEMORY_BYTES, crypto_pwhash_ALG_ARGON2ID13);
    sodium_memzero(out, sizeof out);
}

static enum err check_argon2(const char *hash, struct slice password, bool *out_right)
{
    errno = 0;
    bool right = crypto_pwhash_str_verify(hash, password.ptr, password.len) == 0;
    if (!right && errno == ENOMEM)
        return ERR_BUSY;
    *out_right = right;
    return ERR_OK;
}

static bool check_crypt(const char *hash, struct slice password)
{
    if (password.len > PASSWORD_BYTES_MAX || slice_index(password, '\0') < password.len)
        return false;
    struct crypt_data *work = mem_zalloc(1, sizeof *work);
    char text[PASSWORD_BYTES_MAX + 1];
    memcpy(text, password.ptr, password.len);
    text[password.len] = '\0';
    const char *got = crypt_r(text, hash, work);
    size_t len = strlen(hash);
    bool right = got && got[0] != '*' && strlen(got) == len && sodium_memcmp(got, hash, len) == 0;
    sodium_memzero(text, sizeof text);
    sodium_memzero(work, sizeof *work);
    free(work);
    return right;
}

enum err password_check(
    const struct password_record *record, struct slice password, bool *out_right)
{
    enum err e = ERR_OK;
    if (record->imported && !is_argon2(record->hash)) {
        bool right = password.len > 0 && check_crypt(record->hash, password);
        /* a wrong guess also costs what it costs for a user who is not there */
        if (!right)
            password_check_nobody(password);
        *out_right = right;
        return ERR_OK;
    }
    if (record->imported && password.len > 0 && password.len <= PASSWORD_BYTES_MAX)
        return check_argon2(record->hash, password, out_right);
    struct buf prepared;
    if (prepare(password, &prepared) || record->imported) {
        password_check_nobody(password);
        *out_right = false;
    } else {
        e = check_argon2(record->hash, buf_slice(&prepared), out_right);
    }
    sasl_buf_wipe(&prepared);
    return e;
}

bool password_is_dated(const struct password_record *record)
{
    return record->imported || !record->has_scram ||
           crypto_pwhash_str_needs_rehash(
               record->hash, PASSWORD_OPERATIONS, PASSWORD_MEMORY_BYTES) != 0;
}
