/* What was copied into an account: one SQLite file, beside the account's other state.
 *
 * A source is a mailbox of another account, or files. A folder row says which folder of the source goes to which folder of the account; below it stands a row for each
 * message that the account has, by its UID in the source (or the id of a message out of files), with the UID that it got, or 0 where the server does not say.
 *
 *     C-1: a row is written after the server has said OK to the message; so what has a row is there. Rows come to the disk in batches
 *     C-2: `busy_s` is on the disk before the first message of a run is sent, and goes when all that was sent has its row. While it is there, a message
 *          without a row may be in the account all the same
 *     C-3: rows mean something while both UIDVALIDITYs are those of the folder row. When one changes, all rows of the folder go
 *     C-4: a message without a row is looked for before it is sent, among those with a UID of at least `bound`: what had come before the last whole run
 *          began was compared then
 *
 * Blocking; not thread-safe; one process at a time (journal_open). */
#ifndef COPY_JOURNAL_H
#define COPY_JOURNAL_H

#include "base/err.h"
#include "base/slice.h"
#include "base/uidset.h"

#include <stdbool.h>

struct journal;

struct journal_folder {
    int64_t id;             /* 0: it has no row yet */
    uint32_t from_validity; /* 0: of files */
    uint32_t to_validity, bound;
    int64_t
        busy_s; /* when messages were last on their way, by the wall clock; 0: all of them have their rows */
    bool subscribed; /* that was told the account's server, once */
    char *to_name;   /* owned; as the server writes it */
};
void journal_folder_done(struct journal_folder *folder);

/* ERR_BUSY: another run has it. ERR_CORRUPT. ERR_DENIED: a newer Barid wrote it. note says it. */
enum err MUST_USE journal_open(
    const char *path, struct journal **out_journal, struct err_note *note);
/* What was not committed is as if it had not been. */
void journal_close(struct journal *journal);

/* from, to: which mailboxes; name: of the folder, in the source. No row: id is 0, and all else too. */
enum err MUST_USE journal_find(struct journal *journal, const char *from, const char *to,
    const char *name, struct journal_folder *out_folder);
/* Writes the row, with a new id when it is 0. Part of the batch, as what follows. */
enum err MUST_USE journal_put(struct journal *journal, const char *from, const char *to,
    const char *name, struct journal_folder *folder);
/* Removes the rows of its messages. */
enum err MUST_USE journal_forget(struct journal *journal, int64_t folder);

/* Adds to done the UIDs that have a row, and to nameless those of which the server did not say what they became. */
enum err MUST_USE journal_done(
    struct journal *journal, int64_t folder, struct uidset *done, struct uidset *nameless);
/* Adds the UIDs that messages of this source have in a folder of the account. */
enum err MUST_USE journal_used(struct journal *journal, const char *from, const char *to,
    const char *to_name, uint32_t to_validity, struct uidset *used);
/* A message is there; a row that is there gets the UID. */
enum err MUST_USE journal_add(
    struct journal *journal, int64_t folder, uint32_t uid, uint32_t to_uid);
/* The same for messages out of files. */
enum err MUST_USE journal_add_id(
    struct journal *journal, int64_t folder, struct slice id, uint32_t to_uid);
/* *out_uid: what it became, 0 when the server did not say. */
enum err MUST_USE journal_find_id(
    struct journal *journal, int64_t folder, struct slice id, bool *out_has, uint32_t *out_uid);

/* The batch is on the disk when it returns. ERR_OK when there is none. After an error what was in it is as if it had not been. */
enum err MUST_USE journal_commit(struct journal *journal);

#endif
