/* What the files of oauth share. Private to client/oauth. */
#ifndef CLIENT_OAUTH_OAUTH_INT_H
#define CLIENT_OAUTH_OAUTH_INT_H

#include "client/oauth/oauth.h"
#include "net/fetch.h"

#define OAUTH_ARENA_BYTES_MAX (4 * OAUTH_ANSWER_BYTES_MAX) /* one request with its answer */

/* Fills ask->failure and returns err. format "": no details. */
enum err oauth_failed(
    struct oauth_ask *ask, enum oauth_why why, enum err err, const char *format, ...) PRINTF(4, 5);
/* What the server's refusal means (RFC 6749 §4.1.2.1, §5.2). */
enum err oauth_failed_error(struct oauth_ask *ask, const struct oauth_error *error);

/* Sends a form with the client's id and secret to url; the body of the answer, whatever its status, is read by the caller and in the arena: oauth_wipe_arena_body
 * it. fill adds the rest of the form. ERR with failure when there is no answer, it is a redirect, or the server is busy. */
struct oauth_form {
    struct slice url;
    const struct oauth_client *client;
    struct buf fields; /* oauth_form_add; owned, wiped by oauth_form_done */
};
void oauth_form_begin(struct oauth_form *form, struct slice url, const struct oauth_client *client);
void oauth_form_done(struct oauth_form *form);
enum err MUST_USE oauth_form_send(struct oauth_ask *ask, struct oauth_form *form,
    struct arena *arena, struct fetch_answer *out_answer);
/* Any request that goes to one server and nowhere else. */
enum err MUST_USE oauth_send(struct oauth_ask *ask, struct fetch_request *request,
    struct arena *arena, struct fetch_answer *out_answer);
void oauth_wipe_body(const struct fetch_answer *answer);

/* Sends a form to a token endpoint. error->code says why when it was refused; then out_tokens is untouched. */
enum err MUST_USE oauth_form_tokens(struct oauth_ask *ask, struct oauth_form *form,
    struct oauth_tokens *out_tokens, struct oauth_error *out_error);

#endif
