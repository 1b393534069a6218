/* The JSON of an authorization server. jansson copies what it reads; its memory is overwritten before it goes back, because there are tokens in it. */
#include "client/oauth/oauth_text.h"

#include "base/limits.h"
#include "proto/sasl/sasl.h"

#include <jansson.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPIRES_S_MAX         (400ll * 24 * 3600) /* a longer life is as good as this */
#define DEVICE_EXPIRES_S      600                 /* RFC 8628 §3.2 wants it said */
#define DEVICE_EXPIRES_S_MAX  3600
#define DEVICE_INTERVAL_S     5 /* RFC 8628 §3.2 */
#define DEVICE_INTERVAL_S_MAX 60
#define SCOPES_MAX            200u

/* ---- reading without leaving anything behind ---- */

static void wiping_free(void *block)
{
    if (block)
        explicit_bzero(block, malloc_usable_size(block));
    free(block);
}

static void set_functions(void)
{
    json_set_alloc_funcs(malloc, wiping_free);
}

/* An object, or NULL. */
static json_t *read_object(struct slice json)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, set_functions);
    json_error_t error; /* it may quote the text: nobody looks at it */
    json_t *root = json_loadb(json.ptr, json.len, JSON_REJECT_DUPLICATES, &error);
    explicit_bzero(&error, sizeof error);
    if (json_is_object(root))
        return root;
    json_decref(root);
    return NULL;
}

static struct slice text_of(const json_t *value)
{
    return json_is_string(value) ? slice_from(json_string_value(value), json_string_length(value))
                                 : SLICE_EMPTY;
}

static struct slice text_in(const json_t *object, const char *key)
{
    return text_of(json_object_get(object, key));
}

/* VSCHAR and blanks only, or not (RFC 6749 §A). */
static bool is_plain(struct slice text, bool blanks)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = slice_at(text, i);
        if (c > '~' || c < ' ' || (c == ' ' && !blanks))
            return false;
    }
    return true;
}

/* A number, as some servers write it in quotes too. -1: there is none. */
static int64_t seconds_in(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    uint64_t number = 0;
    if (json_is_string(value))
        return slice_to_u64(text_of(value), EXPIRES_S_MAX, &number) == ERR_OK ? (int64_t)number
                                                                              : -1;
    double real = json_number_value(value);
    if (!json_is_number(value) || !(real >= 0))
        return -1;
    return real > (double)EXPIRES_S_MAX ? EXPIRES_S_MAX : (int64_t)real;
}

static bool has_word(const json_t *list, const char *word)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (slice_eq(text_of(json_array_get(list, i)), slice_of(word)))
            return true;
    return false;
}

static enum err keep(struct arena *arena, struct slice text, size_t bytes_max, struct slice *out)
{
    if (text.len > bytes_max)
        return ERR_LIMIT;
    struct slice copy = slice_dup(arena, text);
    if (!copy.ptr)
        return ERR_LIMIT;
    *out = copy;
    return ERR_OK;
}

/* ---- metadata ---- */

/* The last word of "https://mail.example.org/dev/protocol-imap" or "urn:ietf:params:x:imap" says what a scope is for. */
static bool is_for_mail(struct slice scope)
{
    static const char *const words[] = { "imap", "pop", "pop3", "smtp", "mail", "submission",
        "offline_access" };
    size_t at = scope.len;
    while (at > 0 && !strchr(":/-.", scope.ptr[at - 1]))
        at--;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (slice_eq_nocase(slice_from_index(scope, at), slice_of(words[i])))
            return true;
    return false;
}

static enum err read_scopes(const json_t *list, struct arena *arena, struct slice *out_scope)
{
    struct buf text;
    buf_init(&text, OAUTH_SCOPE_BYTES_MAX);
    for (size_t i = 0; i < json_array_size(list) && i < SCOPES_MAX; i++) {
        struct slice scope = text_of(json_array_get(list, i));
        if (scope.len == 0 || !is_plain(scope, false) || !is_for_mail(scope))
            continue;
        if (buf_len(&text) > 0)
            buf_addc(&text, ' ');
        buf_add(&text, scope);
    }
    enum err e = buf_err(&text);
    if (e == ERR_OK)
        e = keep(arena, buf_slice(&text), OAUTH_SCOPE_BYTES_MAX, out_scope);
    buf_done(&text);
    return e;
}

static enum err read_endpoint(
    const json_t *root, const char *key, struct arena *arena, struct slice *out_url)
{
    struct slice url = text_in(root, key);
    *out_url = SLICE_EMPTY;
    if (!json_object_get(root, key))
        return ERR_OK;
    /* a stranger has nothing to say to the programs of this machine */
    if (!oauth_url_ok(url) || (oauth_url_here(url) && !oauth_url_here(text_in(root, "issuer"))))
        return ERR_DENIED;
    return keep(arena, url, OAUTH_URL_BYTES_MAX, out_url);
}

static enum err read_endpoints(const json_t *root, struct arena *arena, struct oauth_server *server)
{
    TRY(read_endpoint(root, "authorization_endpoint", arena, &server->authorization_url));
    TRY(read_endpoint(root, "token_endpoint", arena, &server->token_url));
    TRY(read_endpoint(root, "device_authorization_endpoint", arena, &server->device_url));
    TRY(read_endpoint(root, "registration_endpoint", arena, &server->registration_url));
    return server->token_url.len ? ERR_OK : ERR_SYNTAX;
}

enum err oauth_metadata_read(
    struct slice json, struct arena *arena, struct oauth_server *out_server)
{
    struct oauth_server server = { .scope = SLICE_EMPTY };
    json_t *root = read_object(json);
    const json_t *challenges = json_object_get(root, "code_challenge_methods_supported");
    const json_t *methods = json_object_get(root, "token_endpoint_auth_methods_supported");
    struct slice issuer = text_in(root, "issuer");
    enum err e = !root || issuer.len == 0 || !is_plain(issuer, false) ? ERR_SYNTAX : ERR_OK;
    if (e == ERR_OK)
        e = keep(arena, issuer, OAUTH_URL_BYTES_MAX, &server.issuer);
    if (e == ERR_OK)
        e = read_endpoints(root, arena, &server);
    if (e == ERR_OK)
        e = read_scopes(json_object_get(root, "scopes_supported"), arena, &server.scope);
    server.has_no_s256 = json_is_array(challenges) && !has_word(challenges, "S256");
    server.says_iss =
        json_is_true(json_object_get(root, "authorization_response_iss_parameter_supported"));
    /* RFC 8414 §2: without a list it is the header */
    server.secret_in_header = !has_word(methods, "client_secret_post");
    json_decref(root);
    if (e == ERR_OK)
        *out_server = server;
    return e;
}

/* ---- answers ---- */

void oauth_tokens_init(struct oauth_tokens *tokens)
{
    *tokens = (struct oauth_tokens){ .expires_in_s = 0 };
    buf_init(&tokens->access, 0);
    buf_init(&tokens->refresh, 0);
}

void oauth_tokens_done(struct oauth_tokens *tokens)
{
    sasl_buf_wipe(&tokens->access);
    sasl_buf_wipe(&tokens->refresh);
}

/* True when the object tells of an error. */
static bool read_error(const json_t *root, struct oauth_error *error)
{
    struct slice code = text_in(root, "error");
    *error = (struct oauth_error){ "", "" };
    if (!json_object_get(root, "error"))
        return false;
    if (code.len == 0 || !is_plain(code, true))
        code = SLICE("error");
    (void)snprintf(error->code, sizeof error->code, "%.*s", SLICE_FMT(slice_sub(code, 0, 63)));
    (void)snprintf(error->description, sizeof error->description, "%.*s",
        SLICE_FMT(slice_sub(text_in(root, "error_description"), 0, 255)));
    return true;
}

static enum err take_token(struct slice text, bool blanks, struct buf *out)
{
    if (text.len > OAUTH_TOKEN_BYTES_MAX)
        return ERR_LIMIT;
    if (!is_plain(text, blanks))
        return ERR_SYNTAX;
    (void)buf_room(out, text.len + 1); /* it never grows: no copy stays behind */
    buf_add(out, text);
    return ERR_OK;
}

static enum err read_tokens(const json_t *root, struct oauth_tokens *tokens)
{
    struct slice access = text_in(root, "access_token");
    if (access.len == 0)
        return ERR_SYNTAX;
    if (!slice_eq_nocase(text_in(root, "token_type"), SLICE("Bearer")))
        return ERR_DENIED;
    TRY(take_token(access, false, &tokens->access));
    TRY(take_token(text_in(root, "refresh_token"), true, &tokens->refresh));
    int64_t expires_in_s = seconds_in(root, "expires_in");
    tokens->expires_in_s = expires_in_s > 0 ? expires_in_s : 0;
    return ERR_OK;
}

enum err oauth_token_read(
    struct slice json, struct oauth_tokens *out_tokens, struct oauth_error *out_error)
{
    json_t *root = read_object(json);
    enum err e = root ? ERR_OK : ERR_SYNTAX;
    if (root && !read_error(root, out_error)) {
        struct oauth_tokens tokens;
        oauth_tokens_init(&tokens);
        e = read_tokens(root, &tokens);
        if (e == ERR_OK) {
            oauth_tokens_done(out_tokens);
            *out_tokens = tokens;
        } else {
            oauth_tokens_done(&tokens);
        }
    }
    json_decref(root);
    return e;
}

static int64_t between(int64_t number, int64_t usual, int64_t least, int64_t most)
{
    if (number < 0)
        return usual;
    return number < least ? least : number > most ? most : number;
}

static enum err read_device(const json_t *root, struct arena *arena, struct oauth_device *device)
{
    struct slice url = text_in(root, "verification_uri");
    if (url.len == 0) /* as Google had it before the RFC */
        url = text_in(root, "verification_url");
    struct slice complete = text_in(root, "verification_uri_complete");
    struct slice code = text_in(root, "device_code"), user = text_in(root, "user_code");
    if (code.len == 0 || user.len == 0 || !is_plain(code, true) || !is_plain(user, true))
        return ERR_SYNTAX;
    if (!oauth_url_ok(url))
        return ERR_DENIED;
    if (!oauth_url_ok(complete))
        complete = SLICE_EMPTY;
    TRY(keep(arena, code, OAUTH_WORD_BYTES_MAX, &device->device_code));
    TRY(keep(arena, user, OAUTH_USER_CODE_BYTES_MAX, &device->user_code));
    TRY(keep(arena, url, OAUTH_URL_BYTES_MAX, &device->verification_url));
    TRY(keep(arena, complete, OAUTH_URL_BYTES_MAX, &device->complete_url));
    device->expires_in_s =
        between(seconds_in(root, "expires_in"), DEVICE_EXPIRES_S, 1, DEVICE_EXPIRES_S_MAX);
    device->interval_s =
        between(seconds_in(root, "interval"), DEVICE_INTERVAL_S, 1, DEVICE_INTERVAL_S_MAX);
    return ERR_OK;
}

enum err oauth_device_read(struct slice json, struct arena *arena, struct oauth_device *out_device,
    struct oauth_error *out_error)
{
    struct oauth_device device = { .expires_in_s = 0 };
    json_t *root = read_object(json);
    enum err e = root ? ERR_OK : ERR_SYNTAX;
    if (root && !read_error(root, out_error)) {
        e = read_device(root, arena, &device);
        if (e == ERR_OK)
            *out_device = device;
    }
    json_decref(root);
    return e;
}

static enum err read_registration(
    const json_t *root, struct arena *arena, struct oauth_registration *registration)
{
    struct slice id = text_in(root, "client_id"), secret = text_in(root, "client_secret");
    if (id.len == 0 || !is_plain(id, true) || !is_plain(secret, true))
        return ERR_SYNTAX;
    TRY(keep(arena, id, OAUTH_WORD_BYTES_MAX, &registration->client_id));
    TRY(keep(arena, secret, OAUTH_WORD_BYTES_MAX, &registration->client_secret));
    /* RFC 7591 §2: without a word about it, it is the header */
    registration->secret_in_header =
        !slice_eq(text_in(root, "token_endpoint_auth_method"), SLICE("client_secret_post"));
    return ERR_OK;
}

enum err oauth_registration_read(struct slice json, struct arena *arena,
    struct oauth_registration *out_registration, struct oauth_error *out_error)
{
    struct oauth_registration registration = { .client_id = SLICE_EMPTY };
    json_t *root = read_object(json);
    enum err e = root ? ERR_OK : ERR_SYNTAX;
    if (root && !read_error(root, out_error)) {
        e = read_registration(root, arena, &registration);
        if (e == ERR_OK)
            *out_registration = registration;
    }
    json_decref(root);
    return e;
}
