/* What we know of the messages of a POP3 mailbox: pop3.db in the state folder of the account (SQLite). Blocking; one thread.
 *
 *     (unknown) ─► arriving ─► fetched ─► deleting ─► deleted ─► (forgotten)
 *         └──────────────────► skipped, noted ─► arriving ...
 *
 * F-1: `arriving` is committed after the bytes of the message are synced under their temporary name, and before they get their final one. So after a
 *      crash an arriving message is whole, here once, and only its name is to be seen to. When its folder or batch is gone too, it is unknown again.
 * F-2: `fetched` is committed after the final name is synced. Nothing but what is fetched is ever deleted on a server.
 * F-3: `deleting` is committed before DELE is sent. A QUIT whose answer was lost is repeated only for these.
 * F-4: A message is forgotten only when the server has not listed it for FETCH_FORGET_DAYS: a server that shows an empty mailbox for a day does not
 *      make us fetch all of it again. */
#ifndef FETCH_STATE_H
#define FETCH_STATE_H

#include "base/err.h"
#include "base/slice.h"

#define FETCH_FORGET_DAYS   180
#define FETCH_KEY_BYTES_MAX 300u
#define FETCH_TAG_CHARS     8

enum fetch_known {
    FETCH_UNKNOWN,
    FETCH_ARRIVING,
    FETCH_FETCHED,
    FETCH_NOTED,   /* too big: a note is here, the message is on the server */
    FETCH_SKIPPED, /* by skip-header */
    FETCH_DELETING,
    FETCH_DELETED,
    FETCH_SHARED, /* no message: an id that several had at once, so it names none, ever */
};

struct fetch_record {
    enum fetch_known known;
    int64_t at_s; /* when it became so */
};

struct fetch_state;

/* user on host: another server or user is another mailbox, whose ids mean other messages; capitals in the host do not count. ERR_CORRUPT: note names the file and what to do.
 * ERR_DENIED: a newer Barid wrote it, says note; it may not be opened. */
enum err MUST_USE fetch_state_open(const char *folder, const char *host, const char *user,
    struct fetch_state **out_state, struct err_note *note);
void fetch_state_close(struct fetch_state *state);
/* FETCH_TAG_CHARS characters that are in the names of all files of this account. */
const char *fetch_state_tag(const struct fetch_state *state);

enum err MUST_USE fetch_state_get(
    struct fetch_state *state, struct slice key, struct fetch_record *out_record);
/* Changes are seen at once and durable after fetch_state_commit. file: the name it arrives under, becomes: what it is then; for FETCH_ARRIVING only. */
enum err MUST_USE fetch_state_set(struct fetch_state *state, struct slice key,
    enum fetch_known known, int64_t at_s, const char *file, enum fetch_known becomes);
/* The server listed it today (days since 1970). */
enum err MUST_USE fetch_state_seen(struct fetch_state *state, struct slice key, int64_t day);
enum err MUST_USE fetch_state_forget(struct fetch_state *state, int64_t before_day);
enum err MUST_USE fetch_state_commit(struct fetch_state *state);

/* All that is arriving, of every mailbox of the account, with the file's name. visit changes nothing. */
typedef enum err fetch_arriving_fn(void *arg, const char *file);
enum err MUST_USE fetch_state_arriving(
    struct fetch_state *state, fetch_arriving_fn *visit, void *arg);
/* All of it is what it was to become. */
enum err MUST_USE fetch_state_arrived(struct fetch_state *state);
/* What is arriving under this name is not there: it is forgotten, and so fetched again. */
enum err MUST_USE fetch_state_lost(struct fetch_state *state, const char *file);

/* Small texts of the account, by name; "" when there is none. out has room for bytes. */
enum err MUST_USE fetch_state_text(
    struct fetch_state *state, const char *name, char *out, size_t bytes);
enum err MUST_USE fetch_state_text_set(
    struct fetch_state *state, const char *name, const char *value);

/* The last error in SQLite's words. */
const char *fetch_state_error(const struct fetch_state *state);

#endif
