/* What we know of the messages of a POP3 mailbox: pop3.db in the state folder of the account (SQLite). Blocking; one thread.
 *
 *     (unknown) ─► arriving ─► fetched ─► deleting ─► deleted ─► (forgotten)
 *         └──────────────────► skipped, noted ─► arriving ...
 *
 * F-1: `arriving` is committed after the bytes of the message are synced under their temporary name, and before they get their final one. So after a
 *      crash an arriving message is whole, here once, and only its name is to be seen to.
 * F-2: `fetched` is committed after the final name is synced. Nothing but what is fetched is ever deleted on a server.
 * F-3: `deleting` is committed before DELE is sent. A QUIT whose answer was lost is repeated only for these.
 * F-4: A message is forgotten only when the server has not listed it for POPC_FORGET_DAYS: a server that shows an empty mailbox for a day does not
 *      make us fetch all of it again. */
#ifndef CLIENT_POP3_POPC_STATE_H
#define CLIENT_POP3_POPC_STATE_H

#include "base/err.h"
#include "base/slice.h"

#define POPC_FORGET_DAYS   180
#define POPC_KEY_BYTES_MAX 300u
#define POPC_TAG_CHARS     8

enum popc_known {
    POPC_UNKNOWN,
    POPC_ARRIVING,
    POPC_FETCHED,
    POPC_NOTED,   /* too big: a note is here, the message is on the server */
    POPC_SKIPPED, /* by skip-header */
    POPC_DELETING,
    POPC_DELETED,
    POPC_SHARED, /* no message: an id that several had at once, so it names none, ever */
};

struct popc_record {
    enum popc_known known;
    int64_t at_s; /* when it became so */
};

struct popc_state;

/* user on host: another server or user is another mailbox, whose ids mean other messages. ERR_CORRUPT: note names the file and what to do. */
enum err MUST_USE popc_state_open(const char *folder, const char *host, const char *user,
    struct popc_state **out_state, struct err_note *note);
void popc_state_close(struct popc_state *state);
/* POPC_TAG_CHARS characters that are in the names of all files of this account. */
const char *popc_state_tag(const struct popc_state *state);

enum err MUST_USE popc_state_get(
    struct popc_state *state, struct slice key, struct popc_record *out_record);
/* Changes are seen at once and durable after popc_state_commit. file: the name it arrives under, becomes: what it is then; for POPC_ARRIVING only. */
enum err MUST_USE popc_state_set(struct popc_state *state, struct slice key, enum popc_known known,
    int64_t at_s, const char *file, enum popc_known becomes);
/* The server listed it today (days since 1970). */
enum err MUST_USE popc_state_seen(struct popc_state *state, struct slice key, int64_t day);
enum err MUST_USE popc_state_forget(struct popc_state *state, int64_t before_day);
enum err MUST_USE popc_state_commit(struct popc_state *state);

/* All that is arriving, of every mailbox of the account, with the file's name. visit changes nothing. */
typedef enum err popc_arriving_fn(void *arg, const char *file);
enum err MUST_USE popc_state_arriving(struct popc_state *state, popc_arriving_fn *visit, void *arg);
/* All of it is what it was to become. */
enum err MUST_USE popc_state_arrived(struct popc_state *state);

/* Small texts of the account, by name; "" when there is none. out has room for bytes. */
enum err MUST_USE popc_state_text(
    struct popc_state *state, const char *name, char *out, size_t bytes);
enum err MUST_USE popc_state_text_set(
    struct popc_state *state, const char *name, const char *value);

/* The last error in SQLite's words. */
const char *popc_state_error(const struct popc_state *state);

#endif
