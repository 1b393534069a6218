/* What lies here: the folders, their files, and which row each belongs to. Also completes what a cut run had announced (state.h). */
#include "sync/sync_int.h"

#include "proto/imap/imap_utf7.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* ---- folders ---- */

static struct sync_folder *find_path(struct sync_run *run, const char *path)
{
    for (size_t i = 0; i < run->count; i++)
        if (strcmp(run->folders[i].row.path, path) == 0)
            return &run->folders[i];
    return NULL;
}

static enum err found_here(void *arg, const char *path)
{
    struct sync_run *run = arg;
    struct sync_folder *known = find_path(run, path);
    if (known) {
        known->near_exists = true;
        return ERR_OK;
    }
    if (run->count >= SYNC_FOLDERS_MAX)
        return ERR_LIMIT;
    if (run->count == run->cap) {
        run->cap = run->cap ? run->cap * 2 : 64;
        run->folders = mem_realloc(run->folders, run->cap * sizeof *run->folders);
    }
    run->folders[run->count++] = (struct sync_folder){
        .row = { .path = mem_strdup(path) },
        .near_exists = true,
    };
    return ERR_OK;
}

enum err sync_list_near(struct sync_run *run)
{
    const struct client_account *account = run->options->account;
    if (run->root_fd < 0)
        return ERR_OK; /* a dry run makes nothing, not even the root */
    return near_list(account->maildir, account->layout, found_here, run, run->note);
}

/* ---- rows and files ---- */

static bool has_step(const struct sync_row *row)
{
    return row->kind == SYNC_DOWN || row->kind == SYNC_UP;
}

enum err sync_remember_up(struct sync_folder *folder, struct sync_row *row)
{
    if (row->listed)
        return ERR_OK;
    if (folder->up_count == folder->up_cap) {
        struct sync_row **grown = arena_grow(
            &folder->arena, folder->ups, &folder->up_cap, folder->up_count + 1, sizeof *grown);
        if (!grown)
            return ERR_LIMIT;
        folder->ups = grown;
    }
    row->listed = true;
    folder->ups[folder->up_count++] = row;
    return ERR_OK;
}

enum err sync_add_up(struct sync_folder *folder, struct near_file *file,
    const struct sync_facts *facts, uint32_t flags, uint32_t bound)
{
    struct sync_row *row = arena_zalloc(&folder->arena, 1, sizeof *row);
    char *base = slice_cstr(&folder->arena, file->base);
    if (!row || !base)
        return ERR_LIMIT;
    *row = (struct sync_row){ .kind = SYNC_UP,
        .bound = bound ? bound : 1,
        .base = base,
        .flags = flags,
        .facts = *facts,
        .file = file };
    file->row = row;
    if (!folder->run->options->dry_run)
        TRY(state_row_add(folder->run->state, folder->row.id, row));
    return sync_remember_up(folder, row);
}

static enum err pair_rows(struct sync_folder *folder)
{
    for (size_t i = 0; i < folder->count; i++) {
        struct sync_row *row = &folder->rows[i];
        if (row->kind == SYNC_TAKEN)
            continue;
        row->file = near_find(&folder->near, slice_of(row->base));
        if (row->file)
            row->file->row = row;
        if (row->file && row->file->twice)
            row->file->flags = row->flags; /* nobody has changed them, as far as can be known */
        if (row->kind == SYNC_UP && row->file)
            TRY(sync_remember_up(folder, row));
    }
    return ERR_OK;
}

enum err sync_load(struct sync_folder *folder)
{
    struct sync_run *run = folder->run;
    enum near_make make = run->options->dry_run ? NEAR_READ : NEAR_COMPLETE;
    enum err e = near_open(run->root_fd, folder->row.path, make, &folder->near, run->note);
    if (e != ERR_OK) {
        run->blind = true;
        sync_stop_folder(folder, SYNC_STOP_DISK, slice_of(run->note->text));
        return ERR_OK;
    }
    folder->near_open = true;
    if (!run->options->dry_run)
        near_sweep(&folder->near);
    e = near_scan(&folder->near, &folder->arena, &folder->row.keywords, run->note);
    if (e != ERR_OK) {
        run->blind = true;
        sync_stop_folder(folder, SYNC_STOP_DISK, slice_of(run->note->text));
        return ERR_OK;
    }
    folder->keywords_changed |= near_lacks_keywords(&folder->near, &folder->row.keywords);
    if (folder->row.id)
        TRY(state_rows(run->state, folder->row.id, &folder->arena, &folder->rows, &folder->count));
    return pair_rows(folder);
}

/* ---- steps that were cut ---- */

/* A file that a cut move left in its old folder, under the name that the row says. */
static struct sync_folder *find_elsewhere(struct sync_run *run, const struct sync_folder *folder,
    struct slice base, struct near_file **out_file)
{
    for (size_t i = 0; i < run->count; i++) {
        struct sync_folder *other = &run->folders[i];
        if (other == folder || !other->near_open)
            continue;
        struct near_file *file = near_find(&other->near, base);
        if (file && !file->row && !file->odd) {
            *out_file = file;
            return other;
        }
    }
    return NULL;
}

/* DOWN without its file: the move to here is completed, or nothing had happened. */
static enum err complete_down(struct sync_folder *folder, struct sync_row *row)
{
    struct sync_run *run = folder->run;
    struct near_file *file;
    struct sync_folder *other = find_elsewhere(run, folder, slice_of(row->base), &file);
    row->settled = true;
    if (!other)
        return state_row_remove(run->state, row->id);
    TRY(near_move(&other->near, file, &folder->near, row->bound, &folder->arena, NULL));
    file->row = row; /* it is nobody's new file there */
    row->kind = SYNC_PAIR;
    row->settled = false;
    folder->changed++;
    return state_row_set(run->state, row);
}

/* UP without its file: it was taken away before it had gone up; what went up nevertheless comes down as new. */
static enum err complete(struct sync_folder *folder)
{
    struct state *state = folder->run->state;
    for (size_t i = 0; i < folder->count; i++) {
        struct sync_row *row = &folder->rows[i];
        if (!has_step(row))
            continue;
        if (row->kind == SYNC_DOWN && row->file) {
            row->kind = SYNC_PAIR;
            TRY(state_row_set(state, row));
        } else if (row->kind == SYNC_DOWN) {
            TRY(complete_down(folder, row));
        } else if (!row->file) {
            row->settled = true;
            TRY(state_row_remove(state, row->id));
        }
    }
    return ERR_OK;
}

static bool needs_completing(const struct sync_folder *folder)
{
    for (size_t i = 0; i < folder->count; i++)
        if (folder->rows[i].kind == SYNC_DOWN ||
            (folder->rows[i].kind == SYNC_UP && !folder->rows[i].file))
            return true;
    return false;
}

/* Rows that a completing removed are gone from the list; a completed move is read anew. */
static enum err reload(struct sync_folder *folder)
{
    near_close(&folder->near);
    folder->near_open = false;
    folder->up_count = 0;
    return sync_load(folder);
}

/* A folder that is not found and yet not gone is nobody's deletion. Its messages may be moved about, where nobody sees them. */
static void doubt(struct sync_folder *folder)
{
    struct sync_run *run = folder->run;
    if (run->root_fd < 0 || !near_is_in_doubt(run->root_fd, folder->row.path))
        return;
    run->blind |= folder->known;
    sync_stop_folder(folder, SYNC_STOP_NO_MAILDIR, SLICE_EMPTY);
}

enum err sync_gather_near(struct sync_run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        struct sync_folder *folder = &run->folders[i];
        if (folder->excluded || folder->stopped)
            continue;
        if (folder->near_exists)
            TRY(sync_load(folder));
        else if (!folder->noselect)
            doubt(folder);
    }
    if (run->options->dry_run)
        return ERR_OK;
    for (size_t i = 0; i < run->count; i++) {
        struct sync_folder *folder = &run->folders[i];
        if (!folder->near_open || folder->stopped || !needs_completing(folder))
            continue;
        TRY(state_begin(run->state));
        enum err e = complete(folder);
        if (e == ERR_OK)
            e = near_sync_names(&folder->near);
        if (e != ERR_OK) {
            state_rollback(run->state);
            return err_noted(run->note, e, "%s: %s", folder->row.path, err_words(e));
        }
        TRY(state_commit(run->state));
        TRY(reload(folder));
    }
    return ERR_OK;
}
