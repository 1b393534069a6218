/* What a synchronisation removed, for SYNC_UNDO_DAYS: files in the state folder of the account, where each lay in their path.
 *
 *     undo/1795730029/Work%2F2026/1790000001.M1.host:2,S       the run began then; the folder is Work/2026
 *
 * Nothing else is kept about them. Blocking. */
#ifndef SYNC_UNDO_H
#define SYNC_UNDO_H

#include "base/buf.h"
#include "base/err.h"

#define SYNC_UNDO_DAYS 30

/* The folder for what is removed from the Maildir of that path in the run that began at begin_s; made when it is missing. */
enum err MUST_USE undo_open(const char *state_folder, int64_t begin_s, const char *path,
    int *out_fd, struct err_note *note);
/* Throws away what is older. */
void undo_sweep(const char *state_folder, int64_t now_s);

/* One run that removed something. */
struct undo_run {
    int64_t begin_s;
    size_t messages;
};
/* Oldest first; owned by the caller: free(). */
enum err MUST_USE undo_list(
    const char *state_folder, struct undo_run **out_runs, size_t *out_count, struct err_note *note);
/* Puts everything of that run back into the Maildirs below maildir, under its name; a folder that is gone is made again. What is put back is new mail to the
 * next synchronisation. *out_messages: how many. ERR_NOT_FOUND: there is no such run. */
enum err MUST_USE undo_run(const char *state_folder, const char *maildir, int64_t begin_s,
    size_t *out_messages, struct err_note *note);

#endif
