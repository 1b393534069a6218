/* One run, as its parts see it. */
#ifndef FETCH_FETCH_INT_H
#define FETCH_FETCH_INT_H

#include "base/buf.h"
#include "base/map.h"
#include "fetch/drop.h"
#include "fetch/fetch.h"
#include "fetch/source.h"
#include "fetch/state.h"

#define FETCH_HEADER_BYTES_MAX (1u << 20)

enum fetch_action {
    FETCH_LEAVE,
    FETCH_LOOK, /* the header decides */
    FETCH_TAKE,
};

/* What becomes of one message of the mailbox. */
struct fetch_plan {
    const struct client_message *message; /* borrowed from the session */
    char *key;                            /* owned; NULL: not known (yet) */
    enum fetch_known known;               /* as recorded; kept up to date in the run */
    int64_t at_s;
    enum fetch_action action;
};

struct fetching {
    const struct fetch_options *options;
    struct fetch_result *result;
    struct client_failure *failure;
    int lock;
    struct fetch_state *state; /* owned, as the next two */
    struct fetch_drop *drop;   /* NULL in a dry run */
    const struct fetch_source *source;
    void *session;            /* owned */
    struct fetch_plan *plans; /* owned; as many as result->listed */
    int64_t now_s;
    size_t ended;      /* of the messages that are wanted */
    struct buf header; /* owned */
    bool header_cut;
    struct map equal; /* hash of a header -> how many had it so far */
};

/* Fills run->plans from the list and the state; looks at headers where they decide, and leaves notes for large messages. */
enum err MUST_USE fetch_plan(struct fetching *run);
/* Deletes on the server what the rule says, and ends the session. */
enum err MUST_USE fetch_clear(struct fetching *run);

/* Whether the header has one of the texts (NAME TEXT NAME TEXT ... NULL) in a field of that name; ASCII case does not count. */
bool fetch_header_matches(struct slice header, char *const *pairs);
/* Appends the key of a message that has no UIDL: a hash of its header and size that nobody can foresee without `secret`. */
void fetch_header_key(const char *secret, struct slice header, uint64_t bytes, struct buf *out);
/* Appends the note for a large message, CRLF line ends. header: of the message, "" when it is not known. */
void fetch_note_write(struct slice header, uint64_t bytes, int64_t now_s, fetch_note_fn *note_text,
    void *note_arg, struct buf *out);

/* Whole and here, as far as is recorded. */
bool fetch_is_here(const struct fetch_plan *plan);
/* Counts a message that whoever it is for does not want; what the failure's note says of it becomes part of the result, and no later failure's. */
void fetch_refused(struct fetching *run);

struct fetch_plan *fetch_plan_of(struct fetching *run, const struct client_message *message);
struct slice fetch_key(const struct fetch_plan *plan);

#endif
