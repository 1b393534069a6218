/* URLs, forms and the request of a browser. */
#include "client/oauth/oauth_text.h"

#include "base/encode.h"
#include "base/limits.h"

#include <string.h>

/* ---- URLs ---- */

static bool is_url_byte(char c)
{
    return c > ' ' && c < 0x7f && !strchr("\"<>\\^`{|}#@", c);
}

/* What stands between the scheme and the path; empty: no URL of ours. */
static struct slice authority_of(struct slice url, bool *out_plain)
{
    size_t len = 0;
    *out_plain = slice_starts(url, SLICE("http://"));
    if (!*out_plain && !slice_starts(url, SLICE("https://")))
        return SLICE_EMPTY;
    url = slice_from_index(url, *out_plain ? 7 : 8);
    while (len < url.len && url.ptr[len] != '/' && url.ptr[len] != '?')
        len++;
    return slice_sub(url, 0, len);
}

/* Cuts ":port" off. False: a port that is none. */
static bool cut_port(struct slice *authority)
{
    size_t at = authority->len;
    uint64_t port = 0;
    while (at > 0 && authority->ptr[at - 1] != ':' && authority->ptr[at - 1] != ']')
        at--;
    if (at == 0 || authority->ptr[at - 1] == ']')
        return at == authority->len || at == 0;
    if (slice_to_u64(slice_from_index(*authority, at), 65535, &port) != ERR_OK || port == 0)
        return false;
    authority->len = at - 1;
    return authority->len > 0;
}

static bool is_loopback(struct slice host)
{
    return slice_eq(host, SLICE("localhost")) || slice_eq(host, SLICE("127.0.0.1")) ||
           slice_eq(host, SLICE("[::1]"));
}

bool oauth_url_ok(struct slice url)
{
    bool plain = false;
    if (url.len > OAUTH_URL_BYTES_MAX)
        return false;
    for (size_t i = 0; i < url.len; i++)
        if (!is_url_byte(url.ptr[i]))
            return false;
    struct slice host = authority_of(url, &plain);
    if (host.len == 0 || !cut_port(&host))
        return false;
    return !plain || is_loopback(host);
}

bool oauth_url_here(struct slice url)
{
    bool plain = false;
    struct slice host = authority_of(url, &plain);
    return oauth_url_ok(url) && cut_port(&host) && is_loopback(host);
}

bool oauth_issuer_ok(struct slice issuer)
{
    return oauth_url_ok(issuer) && slice_index(issuer, '?') == issuer.len;
}

void oauth_well_known(struct slice issuer, bool openid, struct buf *out)
{
    bool plain = false;
    struct slice authority = authority_of(issuer, &plain);
    size_t end = (size_t)(authority.ptr - issuer.ptr) + authority.len;
    struct slice path = slice_from_index(issuer, end);
    if (path.len > 0 && path.ptr[path.len - 1] == '/')
        path.len--;
    buf_add(out, slice_sub(issuer, 0, end));
    if (openid)
        buf_add(out, path);
    buf_adds(out,
        openid ? "/.well-known/openid-configuration" : "/.well-known/oauth-authorization-server");
    if (!openid)
        buf_add(out, path);
}

/* ---- forms ---- */

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void oauth_form_add(struct buf *out, const char *key, struct slice value)
{
    static const char digits[] = "0123456789ABCDEF";
    if (buf_len(out) > 0)
        buf_addc(out, '&');
    buf_adds(out, key);
    buf_addc(out, '=');
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = slice_at(value, i);
        if (is_unreserved((char)c)) {
            buf_addc(out, (char)c);
        } else { /* a blank too: "%20" is read alike in a form and in a URL */
            buf_addc(out, '%');
            buf_addc(out, digits[c >> 4]);
            buf_addc(out, digits[c & 15]);
        }
    }
}

void oauth_base64url(struct buf *out, struct slice bytes)
{
    struct buf plain;
    buf_init(&plain, 0);
    base64_encode(&plain, bytes);
    struct slice text = buf_slice(&plain);
    for (size_t i = 0; i < text.len && text.ptr[i] != '='; i++)
        buf_addc(out, text.ptr[i] == '+' ? '-' : text.ptr[i] == '/' ? '_' : text.ptr[i]);
    if (plain.mem)
        explicit_bzero(plain.mem, plain.cap);
    buf_done(&plain);
}

/* ---- the browser comes back ---- */

/* ERR_LIMIT: the arena's budget. */
static enum err decode(struct slice text, struct arena *arena, struct slice *out_text)
{
    char *to = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    if (!to)
        return ERR_LIMIT;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int high = text.len - i > 2 ? hex_digit(text.ptr[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text.ptr[i + 2]) : -1;
            if (high < 0 || low < 0)
                return ERR_SYNTAX;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        if ((unsigned char)c < 0x20 || c == 0x7f)
            return ERR_SYNTAX;
        to[len++] = c;
    }
    *out_text = slice_from(to, len);
    return ERR_OK;
}

/* The parameter's place; NULL: it is none of ours. */
static struct slice *field_of(struct oauth_redirect *redirect, struct slice key, bool *out_ascii)
{
    struct {
        const char *name;
        struct slice *field;
        bool ascii;
    } rows[] = {
        { "code", &redirect->code, true },
        { "state", &redirect->state, true },
        { "iss", &redirect->iss, true },
        { "error", &redirect->error, true },
        { "error_description", &redirect->error_description, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (slice_eq(key, slice_of(rows[i].name))) {
            *out_ascii = rows[i].ascii;
            return rows[i].field;
        }
    return NULL;
}

static bool is_ascii(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (slice_at(text, i) >= 0x7f)
            return false;
    return true;
}

static enum err read_query(struct slice query, struct arena *arena, struct oauth_redirect *redirect)
{
    struct slice pair, key = SLICE_EMPTY, value;
    while (slice_cut(&query, '&', &pair)) {
        bool ascii = false;
        struct slice rest = pair;
        if (!slice_cut(&rest, '=', &key))
            continue;
        TRY(decode(rest, arena, &value));
        struct slice *field = field_of(redirect, key, &ascii);
        if (!field)
            continue;
        if (field->len > 0 || value.len > OAUTH_WORD_BYTES_MAX || (ascii && !is_ascii(value)))
            return ERR_SYNTAX;
        *field = value;
    }
    return ERR_OK;
}

enum err oauth_redirect_read(
    struct slice head, struct arena *arena, struct oauth_redirect *out_redirect)
{
    struct oauth_redirect redirect = { SLICE_EMPTY, SLICE_EMPTY, SLICE_EMPTY, SLICE_EMPTY,
        SLICE_EMPTY };
    size_t end = slice_find(head, SLICE("\r\n"));
    struct slice line = slice_sub(head, 0, end == SIZE_MAX ? 0 : end), target;
    if (!slice_starts(line, SLICE("GET /")))
        return ERR_SYNTAX;
    line = slice_from_index(line, 4);
    if (!slice_cut(&line, ' ', &target) ||
        (!slice_eq(line, SLICE("HTTP/1.1")) && !slice_eq(line, SLICE("HTTP/1.0"))))
        return ERR_SYNTAX;
    for (size_t i = 0; i < target.len; i++)
        if (slice_at(target, i) <= ' ' || slice_at(target, i) >= 0x7f)
            return ERR_SYNTAX;
    if (!slice_starts(target, SLICE("/?")))
        return ERR_NOT_FOUND;
    TRY(read_query(slice_from_index(target, 2), arena, &redirect));
    *out_redirect = redirect;
    return ERR_OK;
}
