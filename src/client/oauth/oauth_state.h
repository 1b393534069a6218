/* What is kept of a login between runs, as text. Pure.
 *
 *     barid-oauth 1
 *     issuer https://login.example.org         whose tokens these are; one of the two is always there
 *     token-url https://login.example.org/token
 *     client-id barid-1234
 *     client-secret ...                        only what the server gave us; with "in-header" in a line of its own
 *     access ...
 *     expires 1900000000                       seconds since 1970; not there: nobody said
 *     refresh ...
 *     end
 *
 * A text without its last line was cut off and is none. */
#ifndef CLIENT_OAUTH_OAUTH_STATE_H
#define CLIENT_OAUTH_OAUTH_STATE_H

#include "base/buf.h"
#include "base/limits.h"

#define OAUTH_STATE_BYTES_MAX (2 * OAUTH_TOKEN_BYTES_MAX + 4 * OAUTH_WORD_BYTES_MAX)

struct oauth_state { /* owned; wiped by oauth_state_done */
    struct buf issuer, token_url, client_id, client_secret, access, refresh;
    bool secret_in_header;
    int64_t expires_s; /* 0: not known */
};

void oauth_state_init(struct oauth_state *state);
void oauth_state_done(struct oauth_state *state);
/* Replaces a value; the old one is wiped. */
void oauth_state_set(struct buf *field, struct slice value);
/* ERR_CORRUPT: no such text; ERR_LIMIT: a value over its limit. state was initialised; on an error it is empty. */
enum err MUST_USE oauth_state_read(struct slice text, struct oauth_state *state);
/* Appends the text. ERR_SYNTAX: a value has a line end or another control character. */
enum err MUST_USE oauth_state_write(const struct oauth_state *state, struct buf *out);

#endif
