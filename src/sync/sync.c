/* One run over an account, from the lists of folders to the new state. */
#include "sync/sync.h"

#include "base/clock.h"
#include "base/dir.h"
#include "sync/adopt.h"
#include "sync/sync_int.h"
#include "sync/undo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- telling ---- */

void sync_tell(struct sync_run *run, enum sync_event_kind kind, const struct sync_folder *folder,
    const char *text, uint64_t count)
{
    struct sync_event event = {
        .kind = kind, .folder = folder ? folder->row.path : "", .text = text, .count = count
    };
    if (run->options->tell)
        run->options->tell(run->options->arg, &event);
}

static void tell_stop(
    struct sync_folder *folder, enum sync_stop reason, struct slice text, uint64_t count)
{
    folder->run->counts->stopped++;
    char *words = mem_strndup(text.ptr, text.len);
    struct sync_event event = { .kind = SYNC_FOLDER_STOPPED,
        .reason = reason,
        .folder = folder->row.path,
        .text = words,
        .count = count };
    if (folder->run->options->tell)
        folder->run->options->tell(folder->run->options->arg, &event);
    free(words);
}

void sync_stop_folder(struct sync_folder *folder, enum sync_stop reason, struct slice text)
{
    if (!folder->stopped)
        tell_stop(folder, reason, text, 0);
    folder->stopped = true;
}

void sync_tell_short(struct sync_folder *folder)
{
    tell_stop(folder, SYNC_STOP_SHORT, SLICE_EMPTY, 0);
    folder->behind = true;
    folder->row.far.modseq = 0; /* a list of changes alone would leave it out in the next run too */
}

void sync_tell_not_given(struct sync_folder *folder, uint64_t count)
{
    tell_stop(folder, SYNC_STOP_NOT_GIVEN, SLICE_EMPTY, count);
}

void sync_tell_refused(
    struct sync_folder *folder, enum sync_stop what, struct slice text, uint64_t count)
{
    tell_stop(folder, what, text, count);
}

void sync_stop_refused(struct sync_folder *folder)
{
    sync_stop_folder(folder, SYNC_STOP_REFUSED, slice_of(imapc_words(folder->run->options->imap)));
}

bool sync_is_fatal(const struct sync_run *run, enum err e)
{
    return imapc_is_broken(run->options->imap) || e == ERR_IO || e == ERR_CORRUPT ||
           e == ERR_NO_SPACE;
}

/* ---- the state of the last run ---- */

static enum err known_folder(void *arg, struct sync_folder_row *row)
{
    struct sync_run *run = arg;
    if (run->count == run->cap) {
        run->cap = run->cap ? run->cap * 2 : 64;
        run->folders = mem_realloc(run->folders, run->cap * sizeof *run->folders);
    }
    run->folders[run->count++] = (struct sync_folder){ .row = *row, .known = true };
    return ERR_OK;
}

/* A root that lost all its folders at once is a disk that is not there, not a wish. */
static enum err check_roots(struct sync_run *run)
{
    size_t known = 0, near = 0, far = 0;
    for (size_t i = 0; i < run->count; i++) {
        known += run->folders[i].known;
        near += run->folders[i].known && run->folders[i].near_exists;
        far += run->folders[i].known && run->folders[i].far_exists;
    }
    if (known == 0 || run->options->yes_delete)
        return ERR_OK;
    if (near == 0)
        return client_failed(run->failure, CLIENT_WHY_HERE_GONE, ERR_DENIED);
    return far ? ERR_OK : client_failed(run->failure, CLIENT_WHY_THERE_GONE, ERR_DENIED);
}

/* ---- files and folders of our own ---- */

static enum err open_folder(const char *path, int *out_fd, struct err_note *note)
{
    enum err e = dir_make_path(path);
    if (e != ERR_OK)
        return err_noted(note, e, "%s: %s", path, strerror(errno));
    *out_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*out_fd < 0)
        return err_noted(note, err_from_errno(errno), "%s: %s", path, strerror(errno));
    return ERR_OK;
}

static char *below(const char *folder, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        abort();
    return path;
}

enum err sync_open(struct sync_run *run)
{
    const struct sync_options *options = run->options;
    char *state = below(options->state_folder, "sync.db");
    bool there = access(options->account->maildir, F_OK) == 0;
    enum err e = ERR_OK;
    if (there || !options->dry_run)
        e = open_folder(options->account->maildir, &run->root_fd, run->note);
    if (e == ERR_OK) {
        e = state_open(state, &run->state, run->note);
        if (e == ERR_DENIED) /* of the state, not of the Maildir */
            e = client_failed(run->failure, CLIENT_WHY_STATE, e);
    }
    free(state);
    return e;
}

static void forget_folders(struct sync_run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        struct sync_folder *folder = &run->folders[i];
        if (folder->near_open)
            near_close(&folder->near);
        if (folder->undo_fd > 0)
            close(folder->undo_fd);
        sync_folder_row_done(&folder->row);
        arena_done(&folder->arena);
    }
    run->count = 0;
    run->selected = NULL;
}

void sync_release(struct sync_run *run)
{
    forget_folders(run);
    free(run->folders);
    free(run->far_prefix);
    state_close(run->state);
    if (run->root_fd >= 0)
        close(run->root_fd);
}

/* ---- the run ---- */

/* From here on the array of folders does not move. */
static void set_up_folders(struct sync_run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        run->folders[i].run = run;
        run->folders[i].permanent = UINT32_MAX; /* until it says so */
        arena_init(&run->folders[i].arena, SYNC_ARENA_BYTES_MAX);
    }
}

static enum err match(struct sync_run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        struct sync_folder *folder = &run->folders[i];
        if (folder->stopped || !folder->up_count)
            continue;
        enum err e = sync_match_ups(folder);
        if (e != ERR_OK && sync_is_fatal(run, e))
            return e;
        if (e != ERR_OK)
            sync_stop_folder(folder, SYNC_STOP_DISK, slice_of(err_name(e)));
    }
    TRY(sync_resume_moves(run));
    return sync_match_moves(run);
}

static enum err apply(struct sync_run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        struct sync_folder *folder = &run->folders[i];
        if (folder->stopped || folder->excluded || !folder->near_open || !folder->far_exists ||
            folder->noselect)
            continue;
        enum err e = sync_apply_folder(folder);
        if (e != ERR_OK && sync_is_fatal(run, e))
            return e;
        if (e != ERR_OK)
            sync_stop_refused(folder);
        run->counts->folders++;
        if (folder->changed)
            sync_tell(run, SYNC_FOLDER_DONE, folder, "", folder->changed);
    }
    return ERR_OK;
}

enum err sync_list(struct sync_run *run)
{
    TRY(state_folders(run->state, known_folder, run));
    TRY(sync_list_far(run));
    TRY(sync_list_near(run));
    sync_choose(run);
    TRY(sync_adopt_names(run));
    set_up_folders(run);
    return check_roots(run);
}

/* About how much mail goes over, both ways. */
static uint64_t bytes_to_go(const struct sync_run *run)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < run->count; i++) {
        const struct sync_folder *folder = &run->folders[i];
        for (size_t n = 0; !folder->stopped && n < folder->new_count; n++)
            if (!folder->news[n].settled)
                bytes +=
                    folder->news[n].has_facts ? folder->news[n].facts.bytes : IMAPC_MESSAGE_BYTES;
        for (size_t n = 0; !folder->stopped && n < folder->up_count; n++)
            if (folder->ups[n]->kind == SYNC_UP)
                bytes += folder->ups[n]->facts.bytes;
    }
    return bytes;
}

static enum err pass(struct sync_run *run)
{
    TRY(sync_list(run));
    TRY(sync_renames_there(run));
    TRY(sync_gather_near(run));
    TRY(sync_folders(run));
    TRY(sync_adopt(run));
    TRY(sync_gather_far(run));
    TRY(sync_announce_ups(run));
    TRY(match(run));
    sync_brake(run);
    TRY(imapc_expect(run->options->imap, run->options->dry_run ? 0 : bytes_to_go(run)));
    TRY(sync_download(run));
    TRY(sync_move_there(run));
    TRY(apply(run));
    return sync_remove_folders(run);
}

/* A folder in a folder, made there, may bring its parents with it (RFC 9051 §6.3.4): a second look finds them. */
static enum err steps(struct sync_run *run)
{
    TRY(pass(run));
    if (!run->made_below || run->options->dry_run)
        return ERR_OK;
    forget_folders(run);
    return pass(run);
}

/* What failed: some steps say so themselves; a broken connection knows why; the rest is the disk. */
enum err sync_failed(struct sync_run *run, enum err e, bool opened)
{
    struct imapc *imap = run->options->imap;
    bool disk = e == ERR_NO_SPACE || e == ERR_IO;
    if (run->failure->why != CLIENT_WHY_NONE)
        return e;
    if (!opened && e == ERR_BUSY)
        return client_failed(run->failure, CLIENT_WHY_RUNNING, e);
    if (!opened && e == ERR_CORRUPT)
        return client_failed(run->failure, CLIENT_WHY_STATE, e);
    if (opened && imapc_is_broken(imap) && !disk)
        return imapc_failed(imap, run->failure);
    if (opened && !disk && imapc_words(imap)[0])
        return client_failed_said(run->failure, CLIENT_WHY_REFUSED, e, slice_of(imapc_words(imap)));
    if (!run->failure->note.text[0])
        (void)err_noted(&run->failure->note, e, "%s", err_words(e));
    return client_failed(run->failure, CLIENT_WHY_DISK, e);
}

/* Of a folder that is left out nobody wants to hear. */
static void tell_known(const struct sync_run *run, struct imapc_known *known)
{
    imapc_known_clear(known);
    for (size_t i = 0; i < run->count; i++) {
        const struct sync_folder *folder = &run->folders[i];
        const struct sync_far_state *far = &folder->status;
        if (!folder->far_exists || folder->noselect)
            continue;
        struct imapc_numbers numbers = { 0 };
        if (!folder->excluded)
            numbers = (struct imapc_numbers){ .uidvalidity = far->uidvalidity,
                .uidnext = far->uidnext,
                .messages = far->messages,
                .modseq = far->modseq };
        imapc_known_set(known, slice_of(folder->row.far_name), &numbers);
    }
}

enum err sync_run(const struct sync_options *options, struct sync_counts *out_counts,
    struct client_failure *failure)
{
    *failure = (struct client_failure){ .why = CLIENT_WHY_NONE };
    *out_counts = (struct sync_counts){ 0 };
    struct sync_run run = { .options = options,
        .root_fd = -1,
        .begin_s = clock_wall_s(),
        .counts = out_counts,
        .failure = failure,
        .note = &failure->note };
    enum err e = sync_open(&run);
    bool opened = e == ERR_OK;
    if (opened && !options->dry_run)
        undo_sweep(options->state_folder, run.begin_s);
    if (opened)
        e = steps(&run);
    if (options->known)
        tell_known(&run, options->known);
    if (e != ERR_OK)
        e = sync_failed(&run, e, opened);
    else
        failure->note.text[0] = '\0'; /* of a folder that was left alone */
    sync_release(&run);
    return e;
}
