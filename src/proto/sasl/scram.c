/* The arithmetic and the grammar that both sides of SCRAM-SHA-256 share (RFC 5802 §3, §7; RFC 7677). */
#include "base/utf8.h"
#include "proto/sasl/scram_int.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

void scram_hmac(
    const unsigned char key[SCRAM_KEY_BYTES], struct slice text, unsigned char out[SCRAM_KEY_BYTES])
{
    unsigned len = 0;
    const unsigned char *ok = HMAC(
        EVP_sha256(), key, SCRAM_KEY_BYTES, (const unsigned char *)text.ptr, text.len, out, &len);
    assert(ok);
    assert(len == SCRAM_KEY_BYTES);
}

void scram_hash(const unsigned char in[SCRAM_KEY_BYTES], unsigned char out[SCRAM_KEY_BYTES])
{
    unsigned len = 0;
    int ok = EVP_Digest(in, SCRAM_KEY_BYTES, out, &len, EVP_sha256(), NULL);
    assert(ok == 1);
    assert(len == SCRAM_KEY_BYTES);
}

void scram_xor(unsigned char *a, const unsigned char *b)
{
    for (size_t i = 0; i < SCRAM_KEY_BYTES; i++)
        a[i] ^= b[i];
}

bool scram_key_eq(const unsigned char *a, const unsigned char *b)
{
    return CRYPTO_memcmp(a, b, SCRAM_KEY_BYTES) == 0;
}

enum err scram_salted_password(struct slice password, struct slice salt, unsigned iterations,
    unsigned char out[SCRAM_KEY_BYTES])
{
    struct buf prepared;
    buf_init(&prepared, 0);
    /* NFC makes at most three times as many bytes of UTF-8 (Unicode Standard Annex 15 §15): no growing, no copies left */
    (void)buf_room(&prepared, password.len * 3 + 1);
    enum err e = sasl_opaque_string(password, &prepared);
    if (!e) {
        struct slice p = buf_slice(&prepared);
        int ok = PKCS5_PBKDF2_HMAC(p.ptr, (int)p.len, (const unsigned char *)salt.ptr,
            (int)salt.len, (int)iterations, EVP_sha256(), SCRAM_KEY_BYTES, out);
        assert(ok == 1);
    }
    sasl_buf_wipe(&prepared);
    return e;
}

enum err scram_secret_make(struct slice password, const unsigned char salt[SCRAM_SALT_BYTES],
    unsigned iterations, struct scram_secret *out_secret)
{
    if (password.len > PASSWORD_BYTES_MAX)
        return ERR_LIMIT;
    unsigned char salted[SCRAM_KEY_BYTES], client_key[SCRAM_KEY_BYTES];
    TRY(scram_salted_password(password, slice_from(salt, SCRAM_SALT_BYTES), iterations, salted));
    struct scram_secret secret = { .iterations = iterations };
    memcpy(secret.salt, salt, SCRAM_SALT_BYTES);
    scram_hmac(salted, SLICE("Client Key"), client_key);
    scram_hash(client_key, secret.stored_key);
    scram_hmac(salted, SLICE("Server Key"), secret.server_key);
    *out_secret = secret;
    explicit_bzero(&secret, sizeof secret);
    explicit_bzero(salted, sizeof salted);
    explicit_bzero(client_key, sizeof client_key);
    return ERR_OK;
}

enum err scram_attr(struct slice *rest, char name, struct slice *out_value, bool *out_more)
{
    if (rest->len < 2 || rest->ptr[0] != name || rest->ptr[1] != '=')
        return ERR_SYNTAX;
    struct slice value = slice_from_index(*rest, 2);
    size_t comma = slice_index(value, ',');
    *out_value = slice_sub(value, 0, comma);
    *out_more = comma < value.len;
    *rest = slice_from_index(value, *out_more ? comma + 1 : comma);
    return ERR_OK;
}

/* value = 1*value-char: UTF-8 without NUL and comma. */
static bool is_value(struct slice s)
{
    return s.len > 0 && slice_index(s, '\0') == s.len && utf8_valid(s);
}

enum err scram_extensions(struct slice rest)
{
    for (bool more = true; more;) {
        if (rest.len == 0)
            return ERR_SYNTAX;
        char name = ascii_lower(rest.ptr[0]);
        struct slice value;
        if (name < 'a' || name > 'z' || rest.ptr[0] == 'm')
            return ERR_SYNTAX;
        TRY(scram_attr(&rest, rest.ptr[0], &value, &more));
        if (!is_value(value))
            return ERR_SYNTAX;
    }
    return ERR_OK;
}

bool scram_is_nonce(struct slice nonce)
{
    for (size_t i = 0; i < nonce.len; i++)
        if (slice_at(nonce, i) < 0x21 || slice_at(nonce, i) > 0x7E || nonce.ptr[i] == ',')
            return false;
    return nonce.len > 0;
}

void scram_name_write(struct slice name, struct buf *out)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == ',')
            buf_adds(out, "=2C");
        else if (name.ptr[i] == '=')
            buf_adds(out, "=3D");
        else
            buf_addc(out, name.ptr[i]);
    }
}

enum err scram_name_parse(struct slice text, struct buf *out)
{
    if (!is_value(text))
        return ERR_SYNTAX;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '=') {
            buf_addc(out, text.ptr[i]);
            continue;
        }
        struct slice code = slice_sub(text, i, 3);
        if (slice_eq(code, SLICE("=2C")))
            buf_addc(out, ',');
        else if (slice_eq(code, SLICE("=3D")))
            buf_addc(out, '=');
        else
            return ERR_SYNTAX;
        i += 2;
    }
    return buf_len(out) > USER_NAME_BYTES_MAX ? ERR_LIMIT : buf_err(out);
}
