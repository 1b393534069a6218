/* One run, as its parts see it. */
#ifndef CLIENT_POP3_POPC_FETCH_INT_H
#define CLIENT_POP3_POPC_FETCH_INT_H

#include "base/buf.h"
#include "base/map.h"
#include "client/pop3/popc.h"
#include "client/pop3/popc_drop.h"
#include "client/pop3/popc_fetch.h"
#include "client/pop3/popc_state.h"

enum popc_action {
    POPC_LEAVE,
    POPC_LOOK, /* the header decides */
    POPC_FETCH,
};

/* What becomes of one message of the mailbox. */
struct popc_plan {
    const struct popc_message *message; /* borrowed from the session */
    char *key;                          /* owned; NULL: not known (yet) */
    enum popc_known known;              /* as recorded; kept up to date in the run */
    int64_t at_s;
    enum popc_action action;
};

struct popc_run {
    const struct popc_fetch_options *options;
    struct popc_fetch_result *result;
    struct client_failure *failure;
    int lock;
    struct popc_state *state; /* owned, as the next two */
    struct popc_drop *drop;   /* NULL in a dry run */
    struct popc *popc;
    struct popc_plan *plans; /* owned; as many as result->listed */
    int64_t now_s;
    /* while messages come */
    size_t next;    /* of those on their way */
    size_t *on_way; /* owned; indexes of plans */
    size_t on_way_count;
    struct buf header; /* owned */
    bool header_cut;
    struct map equal; /* hash of a header -> how many had it so far */
};

/* Fills run->plans from the list and the state; looks at headers where they decide, and leaves notes for large messages. */
enum err MUST_USE popc_plan(struct popc_run *run);
/* Deletes on the server what the rule says, and ends the session. */
enum err MUST_USE popc_clear(struct popc_run *run);

/* Whether the header has one of the texts (NAME TEXT NAME TEXT ... NULL) in a field of that name; ASCII case does not count. */
bool popc_header_matches(struct slice header, char *const *pairs);
/* Appends the key of a message that has no UIDL: a hash of its header and size that nobody can foresee without `secret`. */
void popc_header_key(const char *secret, struct slice header, uint64_t bytes, struct buf *out);
/* Appends the note for a large message, CRLF line ends. header: of the message, "" when it is not known. */
void popc_note_write(struct slice header, uint64_t bytes, int64_t now_s, popc_note_fn *note_text,
    void *note_arg, struct buf *out);

struct slice popc_key(const struct popc_plan *plan);

#endif
