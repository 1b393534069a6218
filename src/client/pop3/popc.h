/* A POP3 session from the client's side (RFC 1939, RFC 2449, RFC 2595, RFC 5034, RFC 6856). Functions that read top to bottom; blocking.
 *
 *     popc_open ─► popc_list ─► popc_top*, popc_retrieve* (a window of commands is on its way) ─► popc_delete* ─► popc_quit
 *
 * Nothing is deleted before popc_quit returned ERR_OK (RFC 1939 §6). Any error but a refused command ends the session: popc_close. */
#ifndef CLIENT_POP3_POPC_H
#define CLIENT_POP3_POPC_H

#include "client/core/connect.h"
#include "client/core/maildrop.h"
#include "proto/pop3/pop_reply.h"

#define POPC_MESSAGES_MAX                                                                          \
    1000000u /* in one mailbox; ten times what anybody keeps in one for POP3 */
#define POPC_CAPA_LINES_MAX 200u
#define POPC_WINDOW_COUNT   1000u /* commands on their way, when the server knows PIPELINING */
#define POPC_WINDOW_BYTES                                                                          \
    (4u << 20) /* what they bring, but for the first of them: a server may hold that much for us */
#define POPC_HEADER_BYTES_MAX (1u << 20) /* of TOP */

struct popc; /* opaque */

struct popc_options {
    const struct client_account *account; /* borrowed until popc_close, as secret */
    struct slice secret;
    bool token;
    unsigned weakest; /* client_remembered */
    int timeout_ms;   /* 0: CLIENT_TIMEOUT_MS */
};

/* Connects, secures the connection and logs in. */
enum err MUST_USE popc_open(
    const struct popc_options *options, struct popc **out_popc, struct client_failure *failure);
void popc_close(struct popc *popc);
/* The enum client_mechanism bit that worked. */
unsigned popc_mechanism(const struct popc *popc);

/* What is in the mailbox, in the order of the server's numbers. Borrowed from the session. Words that are no UIDLs are given as NULL.
 * ERR_LIMIT over POPC_MESSAGES_MAX. */
enum err MUST_USE popc_list(struct popc *popc, const struct client_message **out_messages,
    size_t *out_count, struct client_failure *failure);

/* Fetches all of them, in this order, with several commands on their way where the server can (RFC 2449 §6.6). */
enum err MUST_USE popc_retrieve(struct popc *popc, const struct client_message *const *messages,
    size_t count, const struct client_sink *sink, struct client_failure *failure);
/* The same for the headers: TOP n 0. */
enum err MUST_USE popc_top(struct popc *popc, const struct client_message *const *messages,
    size_t count, const struct client_sink *sink, struct client_failure *failure);
/* Whether TOP may be tried. */
bool popc_has_top(const struct popc *popc);

/* DELE for all of them; out_marked (room for count) says for which the server took it. */
enum err MUST_USE popc_delete(struct popc *popc, const struct client_message *const *messages,
    size_t count, bool *out_marked, struct client_failure *failure);
/* QUIT. ERR_OK: what was marked is gone. A refusal is CLIENT_WHY_REFUSED: some of it may be. */
enum err MUST_USE popc_quit(struct popc *popc, struct client_failure *failure);

#endif
