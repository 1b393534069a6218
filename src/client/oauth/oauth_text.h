/* What is said between a mail program and an authorization server (OAuth 2.0), as text: JSON, forms, URLs, and the request of a browser that comes back.
 * Pure; all bytes are a stranger's, and all limits are in base/limits.h. */
#ifndef CLIENT_OAUTH_OAUTH_TEXT_H
#define CLIENT_OAUTH_OAUTH_TEXT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* ---- URLs and forms ---- */

/* An endpoint that may be asked, or shown: https, or http on this machine (localhost, 127.0.0.1, [::1]); a host, no user, no fragment, printable ASCII,
 * OAUTH_URL_BYTES_MAX at most. */
bool oauth_url_ok(struct slice url);
/* Whether such a URL is on this machine. */
bool oauth_url_here(struct slice url);
/* As oauth_url_ok, without a query (RFC 8414 §2): what may name an issuer. */
bool oauth_issuer_ok(struct slice issuer);
/* Appends where the issuer's metadata may be: false: RFC 8414 §3, true: OpenID Connect Discovery, which older servers have. */
void oauth_well_known(struct slice issuer, bool openid, struct buf *out);
/* Appends "key=value" in the form of RFC 6749 §B, with "&" before it when out has something. */
void oauth_form_add(struct buf *out, const char *key, struct slice value);
/* Base64 for URLs, without padding (RFC 7636 §A). */
void oauth_base64url(struct buf *out, struct slice bytes);

/* ---- metadata (RFC 8414 §2) ---- */

struct oauth_server { /* in the arena; "" for what it does not have */
    struct slice issuer;
    struct slice authorization_url, token_url, device_url, registration_url;
    struct slice scope;    /* of what it offers, what a mail program wants: blanks between */
    bool has_no_s256;      /* it lists its code challenge methods, and S256 is none of them */
    bool says_iss;         /* its redirects name it (RFC 9207 §3) */
    bool secret_in_header; /* a client's secret goes in a header, not in the form */
};
/* Endpoints that are not oauth_url_ok, or on this machine when the issuer is not, make it fail: ERR_DENIED. ERR_SYNTAX: no such document; ERR_LIMIT. Whether the issuer is the right one is the caller's to
 * see. */
enum err MUST_USE oauth_metadata_read(
    struct slice json, struct arena *arena, struct oauth_server *out_server);

/* ---- answers to requests ---- */

struct oauth_error { /* RFC 6749 §5.2; "" when there was none */
    char code[64];
    char description[256]; /* a stranger's words: escape them before a terminal sees them */
};

struct oauth_tokens {           /* owned; oauth_tokens_done wipes */
    struct buf access, refresh; /* refresh may be empty: the old one stays (RFC 6749 §6) */
    int64_t expires_in_s;       /* 0: it does not say */
};
void oauth_tokens_init(struct oauth_tokens *tokens);
void oauth_tokens_done(struct oauth_tokens *tokens);

/* RFC 6749 §5.1, §5.2. ERR_OK: tokens, unless out_error->code says something; then the server refused. ERR_SYNTAX: neither, or bytes in a token that no token
 * has (§A.12, §A.17); ERR_DENIED: a token of another type than Bearer; ERR_LIMIT: longer than OAUTH_TOKEN_BYTES_MAX. out_tokens was initialised. */
enum err MUST_USE oauth_token_read(
    struct slice json, struct oauth_tokens *out_tokens, struct oauth_error *out_error);

struct oauth_device { /* in the arena (RFC 8628 §3.2) */
    struct slice device_code, user_code, verification_url;
    struct slice complete_url; /* with the code in it; "" when there is none */
    int64_t expires_in_s, interval_s;
};
/* As oauth_token_read; ERR_DENIED: a page that is not oauth_url_ok. */
enum err MUST_USE oauth_device_read(struct slice json, struct arena *arena,
    struct oauth_device *out_device, struct oauth_error *out_error);

struct oauth_registration { /* in the arena (RFC 7591 §3.2.1) */
    struct slice client_id, client_secret;
    bool secret_in_header;
};
enum err MUST_USE oauth_registration_read(struct slice json, struct arena *arena,
    struct oauth_registration *out_registration, struct oauth_error *out_error);

/* ---- the browser comes back ---- */

struct oauth_redirect { /* in the arena; "" for what is not there */
    struct slice code, state, iss, error, error_description;
};
/* The head of an HTTP request: its first line, "GET /?code=...&state=... HTTP/1.1". ERR_NOT_FOUND: another path, or no query (a browser also asks for icons);
 * ERR_SYNTAX: no such request, an escape that is none, a control character in a value, or a parameter twice (RFC 6749 §3.1). */
enum err MUST_USE oauth_redirect_read(
    struct slice head, struct arena *arena, struct oauth_redirect *out_redirect);

#endif
