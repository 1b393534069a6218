/* Where fetched mail is put: a Maildir, an mbox, a program's standard input, an LMTP server. Blocking; one thread.
 *
 * A message is written as it comes. For Maildir and mbox a batch of them is synced, recorded and put in place together (rules F-1 and F-2 of
 * popc_state.h): a crash at any point loses nothing and doubles nothing. A program or an LMTP server has a message when it says so; when its answer is
 * lost in a crash it gets that one message again. */
#ifndef CLIENT_POP3_POPC_DROP_H
#define CLIENT_POP3_POPC_DROP_H

#include "client/core/connect.h"
#include "client/pop3/popc_state.h"

#define POPC_BATCH_COUNT 400u /* each has an open file */
#define POPC_BATCH_BYTES                                                                           \
    (16u << 20) /* then they are put in place: what a crash makes us fetch again */

struct popc_drop;

/* The failure for an error of the state. */
enum err popc_state_failed(
    struct client_failure *failure, const struct popc_state *state, enum err e);

/* Makes the place ready (Maildir folders are made), and finishes what an earlier run left unfinished. CLIENT_WHY_NO_TARGET: the account names no place;
 * CLIENT_WHY_DISK. Everything is borrowed until popc_drop_close. */
enum err MUST_USE popc_drop_open(const struct client_account *account, const char *state_folder,
    struct popc_state *state, struct popc_drop **out_drop, struct client_failure *failure);
/* What was not flushed is dropped, as if it had never come. */
void popc_drop_close(struct popc_drop *drop);

/* A message begins; its pieces have CRLF line ends. */
enum err MUST_USE popc_drop_begin(struct popc_drop *drop, struct slice key, enum popc_known becomes,
    struct client_failure *failure);
enum err MUST_USE popc_drop_put(
    struct popc_drop *drop, struct slice piece, struct client_failure *failure);
/* It is whole. *out_refused: the program or server does not want this one; it counts as not fetched. Puts the batch in place when it is large. */
enum err MUST_USE popc_drop_end(
    struct popc_drop *drop, bool *out_refused, struct client_failure *failure);
/* How many of what was fetched whole wait for that: after a failure they have not come. */
size_t popc_drop_waiting(const struct popc_drop *drop);
/* Puts in place and records all that is whole. */
enum err MUST_USE popc_drop_flush(struct popc_drop *drop, struct client_failure *failure);

#endif
