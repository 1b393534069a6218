#include "auth/app_password.h"

#include "base/rand.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#define GROUP_CHARS 4u

static const char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789";

static_assert(sizeof alphabet - 1 == 32, "five bits for each character");
static_assert(APP_PASSWORD_TEXT_BYTES == APP_PASSWORD_CHARS + APP_PASSWORD_CHARS / GROUP_CHARS - 1,
    "groups with a dash between");

void app_password_make(char *out)
{
    unsigned char random[APP_PASSWORD_CHARS];
    rand_bytes(random, sizeof random);
    size_t len = 0;
    for (size_t i = 0; i < APP_PASSWORD_CHARS; i++) {
        if (i > 0 && i % GROUP_CHARS == 0)
            out[len++] = '-';
        out[len++] = alphabet[random[i] & 31];
    }
    out[len] = '\0';
    explicit_bzero(random, sizeof random);
}

bool app_password_canonical(struct slice text, char *out)
{
    char chars[APP_PASSWORD_CHARS + 1];
    size_t len = 0;
    bool fits = true;
    for (size_t i = 0; i < text.len && fits; i++) {
        char c = ascii_lower(text.ptr[i]);
        if (c == ' ' || c == '-')
            continue;
        fits = c != '\0' && strchr(alphabet, c) && len < APP_PASSWORD_CHARS;
        if (fits)
            chars[len++] = c;
    }
    fits = fits && len == APP_PASSWORD_CHARS;
    if (fits) {
        chars[len] = '\0';
        memcpy(out, chars, sizeof chars);
    }
    explicit_bzero(chars, sizeof chars);
    return fits;
}

void app_password_hash(const unsigned char salt[SCRAM_SALT_BYTES], const char *canonical,
    unsigned char out[APP_PASSWORD_HASH_BYTES])
{
    static const char purpose[] = "barid app password"; /* with its NUL */
    crypto_generichash_state state;
    crypto_generichash_init(&state, salt, SCRAM_SALT_BYTES, APP_PASSWORD_HASH_BYTES);
    crypto_generichash_update(&state, (const unsigned char *)purpose, sizeof purpose);
    crypto_generichash_update(&state, (const unsigned char *)canonical, APP_PASSWORD_CHARS);
    crypto_generichash_final(&state, out, APP_PASSWORD_HASH_BYTES);
    sodium_memzero(&state, sizeof state);
}

static enum err one_spelling(
    const struct scram_secret *salted, const char *text, struct scram_keys *out)
{
    struct scram_secret secret;
    TRY(scram_secret_make(slice_of(text), salted->salt, salted->iterations, &secret));
    memcpy(out->stored, secret.stored_key, sizeof out->stored);
    memcpy(out->server, secret.server_key, sizeof out->server);
    explicit_bzero(&secret, sizeof secret);
    return ERR_OK;
}

enum err app_password_keys(const struct scram_secret *salted, const char *text,
    struct scram_keys out[APP_PASSWORD_SPELLINGS])
{
    char canonical[APP_PASSWORD_CHARS + 1];
    bool fits = app_password_canonical(slice_of(text), canonical);
    assert(fits);
    enum err e = one_spelling(salted, text, &out[0]);
    if (!e)
        e = one_spelling(salted, canonical, &out[1]);
    explicit_bzero(canonical, sizeof canonical);
    return e;
}
