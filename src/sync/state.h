/* What both sides were like when they were last equal, and the journal of what is being done: one SQLite file for each account.
 *
 * A row is written, and on disk, before the step that it announces (J-1); a step that was cut is found by its row and the two sides themselves
 * (J-2). Rows:
 *
 *     PAIR    (uid, base): the message is on both sides
 *     DOWN    (uid, base): the file of this base is about to appear here. It is there: a PAIR. It is in another folder: it is moved from there, and
 *             gets the flags that `bound` has, those here and there together. Else nothing happened
 *     UP      (base, uid 0): the file is about to be appended there; `bound` is the lowest UID that it can have got. It is found by its
 *             Message-ID and size or by its bytes, or it is sent again
 *     TAKEN   (uid): a message that this side does not want (too large, too old); bound is when it was received
 *
 *     none → DOWN: before renames    DOWN → PAIR: names synced          none → UP: before APPEND, MOVE    UP → PAIR: the UID is known
 *     PAIR → none: gone on both sides
 *
 * Blocking; not thread-safe; one process at a time (state_open). */
#ifndef SYNC_STATE_H
#define SYNC_STATE_H

#include "sync/near.h"

enum sync_kind {
    SYNC_PAIR = 0,
    SYNC_DOWN = 1,
    SYNC_UP = 2,
    SYNC_TAKEN = 3,
};

struct sync_row {
    int64_t id;
    enum sync_kind kind;
    uint32_t uid;     /* 0: not known */
    uint32_t bound;   /* UP, TAKEN; flags, of a DOWN that is moved here */
    const char *base; /* arena; "" for TAKEN */
    uint32_t flags;   /* on both sides when they were equal */
    struct sync_facts facts;

    /* of the run, not kept */
    struct near_file *file;
    bool far_seen, far_gone;
    bool far_known; /* far_flags is what the server says now; else it says nothing new */
    uint32_t far_flags;
    bool listed;  /* among the ups of its folder */
    bool settled; /* moved, removed or matched: nothing more to do */
    bool moving;  /* UP: of a sync_move */
    bool sent;    /* UP: the server took it in this run */
    bool held;    /* the server refused its flags: it has those that it had */
};

struct sync_far_state {
    uint32_t uidvalidity, uidnext;
    uint64_t modseq;   /* 0: unknown */
    uint32_t messages; /* at the end of the last run */
};

struct sync_folder_row {
    int64_t id;
    char *far_name; /* owned; as the server writes it */
    char *path;     /* owned */
    struct sync_far_state far;
    struct sync_keywords keywords; /* owned */
};

struct state;

/* ERR_BUSY: another run has it. ERR_CORRUPT. ERR_DENIED: a newer Barid wrote it. note says it. */
enum err MUST_USE state_open(const char *path, struct state **out_state, struct err_note *note);
void state_close(struct state *state);

/* Everything between is one transaction, on disk when commit returns. Not nested. */
enum err MUST_USE state_begin(struct state *state);
enum err MUST_USE state_commit(struct state *state);
void state_rollback(struct state *state);

typedef enum err (*state_folder_fn)(
    void *arg, struct sync_folder_row *row); /* takes over what the row owns */
enum err MUST_USE state_folders(struct state *state, state_folder_fn each, void *arg);
void sync_folder_row_done(struct sync_folder_row *row);
enum err MUST_USE state_folder_add(
    struct state *state, struct sync_folder_row *row); /* sets row->id */
enum err MUST_USE state_folder_set(struct state *state, const struct sync_folder_row *row);
enum err MUST_USE state_folder_remove(struct state *state, int64_t id);

/* Rows of a folder by UID, in the arena. */
enum err MUST_USE state_rows(struct state *state, int64_t folder, struct arena *arena,
    struct sync_row **out_rows, size_t *out_count);
enum err MUST_USE state_row_add(
    struct state *state, int64_t folder, struct sync_row *row); /* sets row->id */
enum err MUST_USE state_row_set(struct state *state, const struct sync_row *row);
enum err MUST_USE state_row_remove(struct state *state, int64_t id);
/* Rows with this hash of a Message-ID, of all folders; row and path are borrowed. */
typedef enum err (*state_found_fn)(void *arg, const char *path, const struct sync_row *row);
enum err MUST_USE state_find(
    struct state *state, uint64_t message_id, state_found_fn each, void *arg);
/* DOWN rows of the folder become PAIR. */
enum err MUST_USE state_settle(struct state *state, int64_t folder);

#endif
