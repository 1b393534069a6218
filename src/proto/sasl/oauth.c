/* Bearer tokens. */
#include "proto/sasl/oauth.h"

#include "base/utf8.h"
#include "proto/sasl/scram_int.h"

#include <string.h>

#define SEPARATOR '\1'

/* ---- reading ---- */

/* value = *(VCHAR / SP / HTAB / CR / LF)  RFC 7628 §3.1 */
static bool is_value(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = slice_at(s, i);
        if ((c < 0x20 && c != '\t' && c != '\r' && c != '\n') || c >= 0x7f)
            return false;
    }
    return true;
}

/* key = 1*ALPHA */
static bool is_key(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = ascii_lower(s.ptr[i]);
        if (c < 'a' || c > 'z')
            return false;
    }
    return s.len > 0;
}

/* b64token = 1*(ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/") *"="  RFC 6750 §2.1 */
static bool is_token(struct slice s)
{
    size_t end = s.len;
    while (end && s.ptr[end - 1] == '=')
        end--;
    for (size_t i = 0; i < end; i++) {
        char c = s.ptr[i], l = ascii_lower(c);
        if (!(l >= 'a' && l <= 'z') && !(c >= '0' && c <= '9') && (!c || !strchr("-._~+/", c)))
            return false;
    }
    return end > 0;
}

/* Another scheme gives no token. */
static enum err take_auth(struct slice value, struct slice *out_token)
{
    struct slice scheme;
    *out_token = SLICE_EMPTY;
    value = slice_trim(value);
    if (!slice_cut(&value, ' ', &scheme) || !slice_eq_nocase(scheme, SLICE("Bearer")))
        return ERR_OK;
    value = slice_trim(value);
    if (!is_token(value))
        return ERR_SYNTAX;
    *out_token = value;
    return ERR_OK;
}

static enum err take_pair(struct slice key, struct slice value, struct sasl_oauth *oauth)
{
    uint64_t port;
    if (slice_eq_nocase(key, SLICE("auth"))) {
        if (oauth->token.ptr)
            return ERR_SYNTAX;
        return take_auth(value, &oauth->token);
    }
    if (slice_eq_nocase(key, SLICE("host"))) {
        oauth->host = value;
    } else if (slice_eq_nocase(key, SLICE("port"))) {
        if (slice_to_u64(value, 65535, &port) != ERR_OK || port == 0)
            return ERR_SYNTAX;
        oauth->port = (unsigned)port;
    }
    return ERR_OK;
}

/* *kvpair kvsep, and nothing after it; "auth" among them. */
static enum err take_pairs(struct slice rest, struct sasl_oauth *oauth)
{
    struct slice pair, key;
    for (;;) {
        size_t end = slice_index(rest, SEPARATOR);
        if (end == rest.len)
            return ERR_SYNTAX;
        pair = slice_sub(rest, 0, end);
        rest = slice_from_index(rest, end + 1);
        if (pair.len == 0)
            break;
        if (slice_index(pair, '=') == pair.len || !slice_cut(&pair, '=', &key) || !is_key(key) ||
            !is_value(pair))
            return ERR_SYNTAX;
        TRY(take_pair(key, pair, oauth));
    }
    return rest.len == 0 && oauth->token.ptr ? ERR_OK : ERR_SYNTAX;
}

static enum err take_name(struct slice name, struct sasl_oauth *oauth)
{
    if (name.len > USER_NAME_BYTES_MAX)
        return ERR_LIMIT;
    if (!utf8_valid(name) || slice_index(name, '\0') < name.len)
        return ERR_SYNTAX;
    memcpy(oauth->authzid, name.ptr, name.len);
    oauth->authzid[name.len] = '\0';
    return ERR_OK;
}

/* "a=" saslname, or nothing */
static enum err take_authzid(struct slice text, struct sasl_oauth *oauth)
{
    if (text.len == 0)
        return ERR_OK;
    if (!slice_starts(text, SLICE("a=")))
        return ERR_SYNTAX;
    struct buf name;
    buf_init(&name, 0);
    enum err e = scram_name_parse(slice_from_index(text, 2), &name);
    if (e == ERR_OK)
        e = take_name(buf_slice(&name), oauth);
    buf_done(&name);
    return e;
}

enum err sasl_oauthbearer_parse(struct slice message, struct sasl_oauth *out_oauth)
{
    struct sasl_oauth oauth = { .host = SLICE_EMPTY };
    struct slice header, flag;
    /* client-resp = gs2-header kvsep *kvpair kvsep */
    size_t end = slice_index(message, SEPARATOR);
    if (end == message.len)
        return ERR_SYNTAX;
    header = slice_sub(message, 0, end);
    /* "n" and "y": tokens bind to no channel, so we offer no other name to have been taken away (RFC 5801 §5) */
    if (!slice_cut(&header, ',', &flag) ||
        !(slice_eq(flag, SLICE("n")) || slice_eq(flag, SLICE("y"))))
        return ERR_SYNTAX;
    if (header.len == 0 || slice_index(header, ',') != header.len - 1)
        return ERR_SYNTAX;
    TRY(take_authzid(slice_sub(header, 0, header.len - 1), &oauth));
    TRY(take_pairs(slice_from_index(message, end + 1), &oauth));
    *out_oauth = oauth;
    return ERR_OK;
}

enum err sasl_xoauth2_parse(struct slice message, struct sasl_oauth *out_oauth)
{
    struct sasl_oauth oauth = { .host = SLICE_EMPTY };
    size_t end = slice_index(message, SEPARATOR);
    struct slice user = slice_sub(message, 0, end);
    if (end == message.len || !slice_starts_nocase(user, SLICE("user=")))
        return ERR_SYNTAX;
    TRY(take_name(slice_from_index(user, 5), &oauth));
    TRY(take_pairs(slice_from_index(message, end + 1), &oauth));
    *out_oauth = oauth;
    return ERR_OK;
}

/* ---- writing ---- */

static void add_token(const struct sasl_oauth *oauth, struct buf *out)
{
    buf_adds(out, "auth=");
    if (oauth->token.len) {
        buf_adds(out, "Bearer ");
        buf_add(out, oauth->token);
    }
    buf_addc(out, SEPARATOR);
    buf_addc(out, SEPARATOR);
}

void sasl_oauthbearer_write(const struct sasl_oauth *oauth, struct buf *out)
{
    buf_adds(out, "n,");
    if (oauth->authzid[0]) {
        buf_adds(out, "a=");
        scram_name_write(slice_of(oauth->authzid), out);
    }
    buf_addc(out, ',');
    buf_addc(out, SEPARATOR);
    if (oauth->host.len)
        buf_addf(out, "host=%.*s%c", SLICE_FMT(oauth->host), SEPARATOR);
    if (oauth->port)
        buf_addf(out, "port=%u%c", oauth->port, SEPARATOR);
    add_token(oauth, out);
}

void sasl_xoauth2_write(const struct sasl_oauth *oauth, struct buf *out)
{
    buf_addf(out, "user=%s%c", oauth->authzid, SEPARATOR);
    add_token(oauth, out);
}

static void add_member(const char *name, struct slice value, bool first, struct buf *out)
{
    buf_addf(out, "%s\"%s\":\"", first ? "{" : ",", name);
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = slice_at(value, i);
        if (c < 0x20 || c == '"' || c == '\\')
            buf_addf(out, "\\u%04x", c);
        else
            buf_addc(out, (char)c);
    }
    buf_addc(out, '"');
}

void sasl_oauth_error_write(const struct sasl_oauth_error *error, struct buf *out)
{
    add_member("status", error->status, true, out);
    if (error->scope.len)
        add_member("scope", error->scope, false, out);
    if (error->configuration.len)
        add_member("openid-configuration", error->configuration, false, out);
    buf_addc(out, '}');
}
