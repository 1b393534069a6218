/* Where fetched mail is put: a Maildir, an mbox, a program's standard input, an LMTP server. Blocking; one thread.
 *
 * A message is written as it comes. For Maildir and mbox a batch of them is synced, recorded and put in place together (rules F-1 and F-2 of
 * fetch/state.h): a crash at any point loses nothing and doubles nothing. A program or an LMTP server has a message when it says so; when its answer is
 * lost in a crash it gets that one message again. */
#ifndef FETCH_DROP_H
#define FETCH_DROP_H

#include "client/core/connect.h"
#include "fetch/state.h"

#define FETCH_LATER_MAX                                                                            \
    3u /* messages in a row that their place puts off: then it is the place, and not the message */
#define FETCH_BATCH_COUNT 400u /* each has an open file */
#define FETCH_BATCH_BYTES                                                                          \
    (16u << 20) /* then they are put in place: what a crash makes us fetch again */

struct fetch_drop;

/* The failure for an error of the state. */
enum err fetch_state_failed(
    struct client_failure *failure, const struct fetch_state *state, enum err e);

/* Makes the place ready (Maildir folders are made), and finishes what an earlier run left unfinished. CLIENT_WHY_NO_TARGET: the account names no place;
 * CLIENT_WHY_DISK. Everything is borrowed until fetch_drop_close. */
enum err MUST_USE fetch_drop_open(const struct client_account *account, const char *state_folder,
    struct fetch_state *state, struct fetch_drop **out_drop, struct client_failure *failure);
/* What was not flushed is dropped, as if it had never come. */
void fetch_drop_close(struct fetch_drop *drop);

/* A message begins; its pieces have CRLF line ends. */
enum err MUST_USE fetch_drop_begin(
    struct fetch_drop *drop, enum fetch_known becomes, struct client_failure *failure);
enum err MUST_USE fetch_drop_put(
    struct fetch_drop *drop, struct slice piece, struct client_failure *failure);
/* It is whole; key names it (state.h). *out_refused: the program or server does not want this one, or not now; it counts as not fetched, and the note of the failure says why. Puts the batch in place when it is large. */
enum err MUST_USE fetch_drop_end(
    struct fetch_drop *drop, struct slice key, bool *out_refused, struct client_failure *failure);
/* How many of what was fetched whole wait for that: after a failure they have not come. */
size_t fetch_drop_waiting(const struct fetch_drop *drop);
/* Puts in place and records all that is whole. */
enum err MUST_USE fetch_drop_flush(struct fetch_drop *drop, struct client_failure *failure);

#endif
