/* What is left after new messages came down: uploads and moves, flags both ways, removals both ways, and the new state of the folder. */
#include "sync/sync_int.h"

#include "base/cleanup.h"
#include "proto/imap/imap_date.h"
#include "sync/undo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- removals and the brake ---- */

/* What is not kept there is not gone there. */
static uint32_t far_flags(const struct sync_folder *folder, const struct sync_row *row)
{
    return row->far_known ? row->far_flags | (row->flags & ~folder->permanent) : row->flags;
}

static bool near_removal(const struct sync_row *row)
{
    return row->kind == SYNC_PAIR && row->far_gone && !row->settled && row->file && !row->file->odd;
}

static bool far_removal(const struct sync_row *row)
{
    return row->kind == SYNC_PAIR && row->uid && !row->far_gone && !row->settled && !row->file;
}

static bool over_brake(size_t removals, size_t all)
{
    return removals > SYNC_BRAKE_MESSAGES && removals * 100 > all * SYNC_BRAKE_PERCENT;
}

struct removals {
    size_t near, far, all;
};

static struct removals count_removals(const struct sync_folder *folder)
{
    struct removals r = { .all = folder->count };
    if (folder->noselect)
        return r;
    for (size_t i = 0; i < folder->count; i++) {
        r.near += near_removal(&folder->rows[i]);
        r.far += far_removal(&folder->rows[i]);
    }
    return r;
}

/* folder NULL: of all together. */
static bool brakes(struct sync_run *run, struct sync_folder *folder, struct removals r)
{
    bool stops_near = over_brake(r.near, r.all), stops_far = over_brake(r.far, r.all);
    if (!stops_near && !stops_far)
        return false;
    sync_tell(run, SYNC_BRAKED, folder, stops_near ? "near" : "far", stops_near ? r.near : r.far);
    run->counts->braked++;
    return true;
}

void sync_brake(struct sync_run *run)
{
    struct removals sum = { 0 };
    if (run->options->yes_delete)
        return;
    for (size_t i = 0; i < run->count; i++) {
        struct sync_folder *folder = &run->folders[i];
        struct removals r = count_removals(folder);
        sum.all += r.all;
        if (folder->stopped)
            continue;
        folder->stopped = brakes(run, folder, r);
        sum.near += folder->stopped ? 0 : r.near;
        sum.far += folder->stopped ? 0 : r.far;
    }
    if (!brakes(run, NULL, sum))
        return;
    for (size_t i = 0; i < run->count; i++) {
        struct removals r = count_removals(&run->folders[i]);
        run->folders[i].stopped |= r.near || r.far;
    }
}

static enum err open_undo(struct sync_folder *folder)
{
    struct sync_run *run = folder->run;
    if (folder->undo_fd > 0)
        return ERR_OK;
    return undo_open(
        run->options->state_folder, run->begin_s, folder->row.path, &folder->undo_fd, run->note);
}

enum err sync_take_out(struct sync_folder *folder, const struct near_file *file)
{
    TRY(open_undo(folder));
    return near_take_out(&folder->near, file, folder->undo_fd);
}

/* ---- what is removed there comes into the undo store first ---- */

struct keeping {
    struct sync_folder *folder;
    struct near_draft draft;
    bool open;
    struct uidset kept;
    struct buf names;                      /* of the files in the undo store, each with its NUL */
    uint32_t uidvalidity, uidnext, exists; /* of SELECT */
};

static enum err keep_begin(struct imapc_task *task, uint64_t bytes)
{
    struct keeping *k = task->owner;
    (void)bytes;
    if (k->open)
        return ERR_SYNTAX;
    enum err e = near_draft_open_hidden(k->folder->undo_fd, &k->draft);
    k->open = e == ERR_OK;
    return e;
}

/* A message as a quoted string: servers do so for small ones. */
static enum err keep_small(struct keeping *k, const struct imap_reply *reply)
{
    const struct imap_value *value = imap_value_item(reply->values, SLICE("BODY[]"));
    if (k->open || !imap_value_is_text(value))
        return ERR_OK;
    TRY(near_draft_open_hidden(k->folder->undo_fd, &k->draft));
    k->open = true;
    return near_draft_add(&k->draft, value->text);
}

static enum err keep_body(struct imapc_task *task, struct slice piece)
{
    struct keeping *k = task->owner;
    return near_draft_add(&k->draft, piece);
}

/* With its flags and its date, as far as the server tells them with it. */
static enum err kept(struct imapc_task *task, const struct imap_reply *reply)
{
    struct keeping *k = task->owner;
    struct sync_facts facts;
    struct buf name;
    uint32_t uid;
    int32_t zone;
    int64_t received_s = 0;
    if (!reply->numbered || !slice_eq_nocase(reply->name, SLICE("FETCH")))
        return ERR_OK;
    TRY(keep_small(k, reply));
    if (!k->open)
        return ERR_OK;
    k->open = false;
    const struct imap_value *date = imap_value_item(reply->values, SLICE("INTERNALDATE"));
    uint32_t flags = sync_far_flags(k->folder, imap_value_item(reply->values, SLICE("FLAGS")));
    if (date && imap_datetime_read(date->text, &received_s, &zone) != ERR_OK)
        received_s = 0;
    buf_init(&name, 0);
    near_name(&k->folder->near, slice_of(k->draft.base), flags & ~(uint32_t)SYNC_TRASHED, &name);
    enum err e = near_draft_end(&k->draft, received_s, &facts);
    if (e == ERR_OK &&
        renameat(k->folder->undo_fd, k->draft.name, k->folder->undo_fd, buf_slice(&name).ptr) < 0)
        e = err_from_errno(errno);
    if (e != ERR_OK)
        near_draft_drop(&k->draft);
    else
        buf_add(&k->names, buf_slice(&name));
    buf_done(&name);
    if (e == ERR_OK && imap_value_u32(imap_value_item(reply->values, SLICE("UID")), &uid) == ERR_OK)
        uidset_add(&k->kept, uid);
    return e;
}

static enum err keep_set(struct keeping *k, struct slice text)
{
    struct imapc *imap = k->folder->run->options->imap;
    struct imapc_task task = {
        .data = kept, .body_begin = keep_begin, .body = keep_body, .owner = k
    };
    imapc_queue(imap, &task, text);
    enum err e = imapc_run(imap, &task);
    if (k->open)
        near_draft_drop(&k->draft);
    k->open = false;
    return e;
}

static void keep_init(struct keeping *k, struct sync_folder *folder)
{
    *k = (struct keeping){ .folder = folder };
    uidset_init(&k->kept);
    buf_init(&k->names, 0);
}

static void keep_done(struct keeping *k)
{
    uidset_done(&k->kept);
    buf_done(&k->names);
}

void sync_keep_nothing(const struct sync_folder *folder, const struct buf *names)
{
    struct slice rest = buf_slice(names), name;
    while (slice_cut(&rest, '\0', &name))
        if (name.len)
            (void)unlinkat(folder->undo_fd, name.ptr, 0);
}

/* ---- removing there ---- */

/* Whether all that is marked \Deleted there is ours: then EXPUNGE without a set hurts nobody. */
struct deleted {
    struct uidset uids;
    bool answered, ok;
};

static enum err deleted_data(struct imapc_task *task, const struct imap_reply *reply)
{
    struct deleted *deleted = task->owner;
    if (!slice_eq_nocase(reply->name, SLICE("SEARCH")))
        return ERR_OK;
    deleted->answered = true;
    for (const struct imap_value *value = reply->values; value; value = value->next) {
        uint32_t uid;
        if (imap_value_u32(value, &uid) == ERR_OK)
            uidset_add(&deleted->uids, uid);
    }
    return ERR_OK;
}

static enum err deleted_done(struct imapc_task *task, const struct imap_reply *reply)
{
    struct deleted *deleted = task->owner;
    deleted->ok = reply->status == IMAP_STATUS_OK;
    return ERR_OK;
}

static enum err only_ours(struct sync_folder *folder, const struct uidset *ours, bool *out_only)
{
    struct deleted deleted = { .ok = false };
    struct imapc_task task = { .data = deleted_data, .done = deleted_done, .owner = &deleted };
    uidset_init(&deleted.uids);
    imapc_queue(folder->run->options->imap, &task, SLICE("UID SEARCH DELETED"));
    enum err e = imapc_run(folder->run->options->imap, &task);
    uidset_subtract(&deleted.uids, ours);
    *out_only = deleted.ok && deleted.answered && uidset_empty(&deleted.uids);
    uidset_done(&deleted.uids);
    return e;
}

typedef void (*set_text_fn)(struct buf *text, struct slice set, void *arg);

/* The same command for each part of a set that fits a line. *out_any (may be NULL): one was done, whatever came then. */
static enum err each_set(struct sync_folder *folder, const struct uidset *uids, set_text_fn write,
    void *arg, bool *out_any)
{
    for (size_t at = 0; at < uids->count;) {
        struct buf set, text;
        buf_init(&set, 0);
        buf_init(&text, 0);
        imapc_add_set(&set, uids, &at);
        write(&text, buf_slice(&set), arg);
        enum err e = imapc_command(folder->run->options->imap, buf_slice(&text));
        buf_done(&set);
        buf_done(&text);
        TRY(e);
        if (out_any)
            *out_any = true;
    }
    return ERR_OK;
}

static void write_mark(struct buf *text, struct slice set, void *arg)
{
    (void)arg;
    buf_addf(text, "UID STORE %.*s +FLAGS.SILENT (\\Deleted)", SLICE_FMT(set));
}

static void write_expunge(struct buf *text, struct slice set, void *arg)
{
    (void)arg;
    buf_addf(text, "UID EXPUNGE %.*s", SLICE_FMT(set));
}

enum err sync_expunge(struct sync_folder *folder, const struct uidset *uids, bool *out_gone)
{
    bool only = false;
    *out_gone = false;
    TRY(sync_select(folder));
    TRY(each_set(folder, uids, write_mark, NULL, NULL));
    if (imapc_caps(folder->run->options->imap) & IMAPC_UIDPLUS)
        return each_set(folder, uids, write_expunge, NULL, out_gone);
    TRY(only_ours(folder, uids, &only));
    if (only)
        TRY(imapc_command(folder->run->options->imap, SLICE("EXPUNGE")));
    *out_gone = only;
    return ERR_OK;
}

/* What was kept is on disk, names and all. */
static enum err keep_end(const struct sync_folder *folder)
{
    return fsync(folder->undo_fd) < 0 || syncfs(folder->undo_fd) < 0 ? err_from_errno(errno)
                                                                     : ERR_OK;
}

/* Of uids stays what was kept: no other may be removed. */
static enum err keep_copies(struct keeping *k, struct uidset *uids)
{
    struct sync_folder *folder = k->folder;
    TRY(open_undo(folder));
    TRY(sync_select(folder));
    enum err e = ERR_OK;
    for (size_t at = 0; e == ERR_OK && at < uids->count;) {
        struct buf text;
        buf_init(&text, 0);
        buf_adds(&text, "UID FETCH ");
        imapc_add_set(&text, uids, &at);
        buf_adds(&text, " (UID FLAGS INTERNALDATE BODY.PEEK[])");
        e = keep_set(k, buf_slice(&text));
        buf_done(&text);
    }
    if (e == ERR_OK)
        e = keep_end(folder);
    uidset_intersect(uids, &k->kept);
    return e;
}

static enum err keeping_selected(struct imapc_task *task, const struct imap_reply *reply)
{
    struct keeping *k = task->owner;
    if (reply->numbered && slice_eq_nocase(reply->name, SLICE("EXISTS")))
        k->exists = reply->number;
    if (slice_eq_nocase(reply->code, SLICE("UIDVALIDITY")) &&
        imap_value_u32(reply->code_values, &k->uidvalidity) != ERR_OK)
        return ERR_SYNTAX;
    if (slice_eq_nocase(reply->code, SLICE("UIDNEXT")) &&
        imap_value_u32(reply->code_values, &k->uidnext) != ERR_OK)
        return ERR_SYNTAX;
    return ERR_OK;
}

static enum err keep_all(struct keeping *k)
{
    struct sync_folder *folder = k->folder;
    struct imapc *imap = folder->run->options->imap;
    struct imapc_task task = { .data = keeping_selected, .owner = k };
    folder->run->selected = NULL;
    sync_queue_named(folder, &task, "EXAMINE", "");
    TRY(imapc_run(imap, &task));
    if (k->uidvalidity != folder->row.far.uidvalidity || k->uidnext != folder->row.far.uidnext)
        return ERR_BUSY;
    if (k->exists == 0)
        return ERR_OK;
    TRY(open_undo(folder));
    TRY(keep_set(k, SLICE("UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])")));
    TRY(keep_end(folder));
    return uidset_members(&k->kept) == k->exists ? ERR_OK : ERR_DENIED;
}

enum err sync_keep_folder(struct sync_folder *folder, struct buf *out_names)
{
    struct keeping k;
    keep_init(&k, folder);
    enum err e = keep_all(&k);
    buf_add(out_names, buf_slice(&k.names));
    keep_done(&k);
    if (e == ERR_OK) /* some servers delete no folder that is selected */
        e = imapc_command(folder->run->options->imap, SLICE("EXAMINE INBOX"));
    return e;
}

/* Without UIDPLUS, while others have marks in the folder, all that can be done is to mark: what is marked already waits, and is not kept again. */
static enum err leave_marked(struct sync_folder *folder, struct uidset *uids)
{
    bool only = true;
    if (imapc_caps(folder->run->options->imap) & IMAPC_UIDPLUS)
        return ERR_OK;
    TRY(sync_select(folder));
    TRY(only_ours(folder, uids, &only));
    for (size_t i = 0; !only && i < folder->count; i++)
        if (far_removal(&folder->rows[i]) && far_flags(folder, &folder->rows[i]) & SYNC_TRASHED)
            uidset_remove(uids, folder->rows[i].uid);
    return ERR_OK;
}

/* After the server did: gone, or (false) only marked. */
static enum err record_removed(struct sync_folder *folder, const struct uidset *uids, bool gone)
{
    struct sync_run *run = folder->run;
    for (size_t i = 0; i < folder->count; i++) {
        struct sync_row *row = &folder->rows[i];
        if (!far_removal(row) || !uidset_has(uids, row->uid))
            continue;
        if (gone) {
            row->settled = true;
            TRY(state_row_remove(run->state, row->id));
        } else {
            row->flags = far_flags(folder, row) | SYNC_TRASHED;
            TRY(state_row_set(run->state, row));
        }
    }
    run->counts->far_removed += gone ? uidset_members(uids) : 0;
    folder->changed += uidset_members(uids);
    return ERR_OK;
}

/* Some that are there were not to be had: they stay. */
static enum err tell_not_kept(
    struct sync_folder *folder, struct uidset *asked, const struct uidset *kept)
{
    uint64_t count = 0;
    uidset_subtract(asked, kept);
    if (uidset_empty(asked))
        return ERR_OK;
    folder->behind = true;
    TRY(sync_count_there(folder, asked, &count));
    if (count)
        sync_tell_not_given(folder, count);
    return ERR_OK;
}

/* Each is in the undo store before it is removed. */
static enum err remove_kept(
    struct sync_folder *folder, struct uidset *uids, struct keeping *k, bool *out_gone)
{
    struct uidset asked;
    *out_gone = false;
    uidset_init(&asked);
    uidset_union(&asked, uids);
    enum err e = keep_copies(k, uids);
    if (e == ERR_OK)
        e = tell_not_kept(folder, &asked, uids);
    uidset_done(&asked);
    if (e == ERR_OK && !uidset_empty(uids))
        e = sync_expunge(folder, uids, out_gone);
    return e == ERR_OK ? record_removed(folder, uids, *out_gone) : e;
}

/* The folder does not let anything be removed from it: that is known before anything is kept. NULL: it does. */
static const char *keeps_all(const struct sync_folder *folder)
{
    if (folder->permanent & SYNC_TRASHED)
        return NULL;
    return folder->permanent ? "PERMANENTFLAGS without \\Deleted" : "READ-ONLY";
}

static enum err remove_these(struct sync_folder *folder, struct uidset *uids)
{
    struct sync_run *run = folder->run;
    struct keeping k;
    uint64_t count = uidset_members(uids);
    TRY(sync_select(folder));
    const char *why = keeps_all(folder);
    if (why) {
        sync_tell_refused(folder, SYNC_STOP_REMOVALS, slice_of(why), count);
        return ERR_OK;
    }
    if (run->options->dry_run) {
        run->counts->far_removed += count;
        return ERR_OK;
    }
    TRY(leave_marked(folder, uids));
    if (uidset_empty(uids))
        return ERR_OK;
    bool gone;
    keep_init(&k, folder);
    enum err e = remove_kept(folder, uids, &k, &gone);
    if (e != ERR_OK && !sync_is_fatal(run, e) && !folder->stopped) {
        if (!gone)
            sync_keep_nothing(folder, &k.names);
        sync_tell_refused(
            folder, SYNC_STOP_REMOVALS, slice_of(imapc_words(run->options->imap)), count);
        e = ERR_OK;
    }
    keep_done(&k);
    return e;
}

static enum err remove_far(struct sync_folder *folder)
{
    struct sync_run *run = folder->run;
    struct uidset uids;
    enum err e = ERR_OK;
    uidset_init(&uids);
    for (size_t i = 0; i < folder->count; i++)
        if (far_removal(&folder->rows[i]))
            uidset_add(&uids, folder->rows[i].uid);
    if (run->blind && !uidset_empty(&uids))
        folder->behind = true;
    else if (!uidset_empty(&uids))
        e = remove_these(folder, &uids);
    uidset_done(&uids);
    return e;
}

/* The disk's fault, and no refusal of the server's. */
static enum err here_failed(struct sync_folder *folder, const struct near_file *file, enum err e)
{
    struct buf text;
    buf_init(&text, 0);
    buf_addf(&text, "%s: %s", file->name, err_words(e));
    if (!sync_is_fatal(folder->run, e))
        sync_stop_folder(folder, SYNC_STOP_DISK, buf_slice(&text));
    buf_done(&text);
    return e;
}

static enum err remove_near(struct sync_folder *folder)
{
    struct sync_run *run = folder->run;
    for (size_t i = 0; i < folder->count; i++) {
        struct sync_row *row = &folder->rows[i];
        bool taken_gone = row->kind == SYNC_TAKEN && row->far_gone;
        bool both_gone =
            row->kind == SYNC_PAIR && row->far_gone && !row->settled && !near_removal(row);
        if (!near_removal(row) && !both_gone && !taken_gone)
            continue;
        if (near_removal(row) && run->blind) {
            folder->behind = true;
            continue;
        }
        if (near_removal(row)) {
            enum err e = run->options->dry_run ? ERR_OK : sync_take_out(folder, row->file);
            if (e == ERR_NOT_FOUND) { /* renamed at this moment: the next run finds it */
                folder->behind = true;
                continue;
            }
            if (e != ERR_OK)
                return here_failed(folder, row->file, e);
            run->counts->near_removed++;
            folder->changed++;
        }
        if (!run->options->dry_run)
            TRY(state_row_remove(run->state, row->id));
        row->settled = true;
    }
    return ERR_OK;
}

/* ---- flags ---- */

struct flag_change {
    uint32_t uid, add, remove;
    struct sync_row *row;
};

static uint32_t merged(const struct sync_folder *folder, const struct sync_row *row)
{
    uint32_t far = far_flags(folder, row);
    return row->flags ^ ((row->file->flags ^ row->flags) | (far ^ row->flags));
}

/* The rows of the state, then those that were made in this run. NULL: it came already. */
static struct sync_row *row_at(const struct sync_folder *folder, size_t i)
{
    if (i < folder->count)
        return &folder->rows[i];
    struct sync_row *row = folder->ups[i - folder->count];
    bool listed = folder->count && row >= folder->rows && row < folder->rows + folder->count;
    return listed ? NULL : row;
}

static bool has_flags(const struct sync_row *row)
{
    return row && row->kind == SYNC_PAIR && !row->settled && row->file && row->uid &&
           !row->far_gone;
}

static int by_change(const void *a, const void *b)
{
    const struct flag_change *x = a, *y = b;
    if (x->add != y->add)
        return x->add < y->add ? -1 : 1;
    if (x->remove != y->remove)
        return x->remove < y->remove ? -1 : 1;
    return x->uid < y->uid ? -1 : x->uid > y->uid;
}

struct store {
    const struct sync_folder *folder;
    uint32_t flags;
    char sign;
};

static void write_store(struct buf *text, struct slice set, void *arg)
{
    const struct store *store = arg;
    buf_addf(text, "UID STORE %.*s %cFLAGS.SILENT ", SLICE_FMT(set), store->sign);
    sync_write_flags(store->folder, store->flags, text);
}

static enum err store_group(
    struct sync_folder *folder, const struct flag_change *first, size_t count)
{
    struct uidset uids;
    uidset_init(&uids);
    for (size_t i = 0; i < count; i++)
        uidset_add(&uids, first[i].uid);
    enum err e = sync_select(folder);
    if (e == ERR_OK && first->add)
        e = each_set(folder, &uids, write_store, &(struct store){ folder, first->add, '+' }, NULL);
    if (e == ERR_OK && first->remove)
        e = each_set(
            folder, &uids, write_store, &(struct store){ folder, first->remove, '-' }, NULL);
    uidset_done(&uids);
    return e;
}

/* What one server refuses of a flag keeps no other flag, and no other message, away. */
static void hold(struct sync_folder *folder, const struct flag_change *first, size_t count)
{
    for (size_t i = 0; i < count; i++)
        first[i].row->held = true;
    sync_tell_refused(
        folder, SYNC_STOP_FLAGS, slice_of(imapc_words(folder->run->options->imap)), count);
}

static enum err store_changes(struct sync_folder *folder, struct flag_change *changes, size_t count)
{
    bool dry = folder->run->options->dry_run;
    qsort(changes, count, sizeof *changes, by_change);
    for (size_t i = 0, next; i < count; i = next) {
        for (next = i + 1; next < count && changes[next].add == changes[i].add &&
                           changes[next].remove == changes[i].remove;)
            next++;
        enum err e = dry ? ERR_OK : store_group(folder, &changes[i], next - i);
        if (e != ERR_OK && (sync_is_fatal(folder->run, e) || folder->stopped))
            return e;
        if (e != ERR_OK) {
            hold(folder, &changes[i], next - i);
            continue;
        }
        folder->run->counts->far_flags += next - i;
        folder->changed += next - i;
    }
    return ERR_OK;
}

static size_t collect_changes(struct sync_folder *folder, struct flag_change *changes)
{
    size_t count = 0;
    for (size_t i = 0; i < folder->count + folder->up_count; i++) {
        struct sync_row *row = row_at(folder, i);
        if (!has_flags(row) ||
            ((merged(folder, row) ^ far_flags(folder, row)) & folder->permanent) == 0)
            continue;
        changes[count++] = (struct flag_change){ .uid = row->uid,
            .add = merged(folder, row) & ~far_flags(folder, row) & folder->permanent,
            .remove = far_flags(folder, row) & ~merged(folder, row) & folder->permanent,
            .row = row };
    }
    return count;
}

/* Which flags are kept there is known once the folder was selected; where nothing had changed there it was not. */
static enum err flags_there(struct sync_folder *folder)
{
    struct flag_change *changes =
        mem_alloc((folder->count + folder->up_count + 1) * sizeof *changes);
    size_t count = collect_changes(folder, changes);
    enum err e = ERR_OK;
    if (count && !folder->looked) {
        e = sync_select(folder);
        count = e == ERR_OK ? collect_changes(folder, changes) : 0;
    }
    if (e == ERR_OK)
        e = store_changes(folder, changes, count);
    free(changes);
    return e;
}

static enum err set_here(struct sync_folder *folder, struct sync_row *row)
{
    struct sync_run *run = folder->run;
    uint32_t want = merged(folder, row);
    uint32_t both = row->held ? far_flags(folder, row) : want; /* what is not there is told again */
    if (want != row->file->flags) {
        enum err e = run->options->dry_run
                         ? ERR_OK
                         : near_set_flags(&folder->near, row->file, want, &folder->arena);
        if (e ==
            ERR_NOT_FOUND) { /* renamed at this moment by another program: the next run sees its flags */
            folder->behind = true;
            return ERR_OK;
        }
        if (e != ERR_OK)
            return here_failed(folder, row->file, e);
        run->counts->near_flags++;
        folder->changed++;
    }
    if (both == row->flags || run->options->dry_run)
        return ERR_OK;
    row->flags = both;
    return state_row_set(run->state, row);
}

static enum err flags_here(struct sync_folder *folder)
{
    for (size_t i = 0; i < folder->count + folder->up_count; i++) {
        struct sync_row *row = row_at(folder, i);
        if (has_flags(row))
            TRY(set_here(folder, row));
    }
    return ERR_OK;
}

/* ---- uploads ---- */

static void write_received(int64_t received_s, struct buf *out)
{
    buf_init(out, 0);
    imap_datetime_write(out, received_s, 0);
    buf_addc(out, '\0');
}

/* facts, received_s: of the file as it is now. */
static enum err append(struct sync_folder *folder, struct sync_row *row, struct near_reader *reader,
    const struct sync_facts *facts, int64_t received_s)
{
    struct sync_run *run = folder->run;
    struct buf name, flags, date;
    buf_init(&name, 0);
    buf_init(&flags, 0);
    sync_add_name(&name, folder);
    row->flags = row->file->flags;
    if (row->flags)
        sync_write_flags(folder, row->flags, &flags);
    buf_addc(&flags, '\0');
    write_received(received_s, &date);
    uint32_t uidvalidity = 0, uid = 0;
    /* the size is that of what the reader gives: bare CRs and all */
    enum err e = imapc_append(run->options->imap, buf_slice(&name), buf_slice(&flags).ptr,
        buf_slice(&date).ptr, facts->bytes, near_reader_fill, reader, &uidvalidity, &uid);
    buf_done(&name);
    buf_done(&flags);
    buf_done(&date);
    if (e == ERR_OK && uid && uidvalidity == folder->status.uidvalidity) {
        row->uid = uid;
        row->kind = SYNC_PAIR;
    }
    return e;
}

/* Nothing of it is there, and it is announced again by the next run. */
static enum err give_up(struct sync_folder *folder, struct sync_row *row)
{
    row->settled = true;
    row->file->row = NULL;
    return state_row_remove(folder->run->state, row->id);
}

static enum err upload_from(struct sync_folder *folder, struct sync_row *row,
    struct near_reader *reader, const struct sync_facts *facts, int64_t received_s)
{
    struct sync_run *run = folder->run;
    enum err e = append(folder, row, reader, facts, received_s);
    if (e == ERR_OK) {
        run->counts->up++;
        folder->changed++;
        row->settled = row->sent = true;
        return row->kind == SYNC_PAIR ? state_row_set(run->state, row) : ERR_OK;
    }
    if (sync_is_fatal(run, e))
        return e;
    /* refused for itself: too large, quota */
    run->counts->failed++;
    sync_tell(run, SYNC_MESSAGE_FAILED, folder, imapc_words(run->options->imap), 1);
    return give_up(folder, row);
}

static enum err upload_one(struct sync_folder *folder, struct sync_row *row)
{
    struct sync_facts facts;
    int64_t received_s;
    autofree struct near_reader *reader = mem_alloc(sizeof *reader);
    enum err e = near_read_facts(&folder->near, row->file, &facts, &received_s);
    if (e == ERR_OK)
        e = near_reader_open(&folder->near, row->file, reader);
    if (e == ERR_NOT_FOUND) /* renamed at this moment by another program, or gone */
        return give_up(folder, row);
    if (e != ERR_OK) {
        sync_tell_unreadable(folder, row->file);
        return give_up(folder, row);
    }
    e = upload_from(folder, row, reader, &facts, received_s);
    near_reader_close(reader);
    return e;
}

/* Servers without UIDPLUS do not say which UID a message got: it is looked for. */
static enum err find_uids(struct sync_folder *folder)
{
    bool missing = false;
    for (size_t i = 0; i < folder->up_count; i++)
        missing |= folder->ups[i]->kind == SYNC_UP;
    if (!missing)
        return ERR_OK;
    folder->run->selected = NULL; /* selected anew, so that it shows what has come */
    TRY(sync_select(folder));
    return sync_find_new(folder);
}

static bool goes_up(const struct sync_row *row)
{
    return row->kind == SYNC_UP && !row->settled && row->file;
}

static enum err upload(struct sync_folder *folder)
{
    struct sync_run *run = folder->run;
    enum err e = ERR_OK;
    if (run->options->dry_run) {
        for (size_t i = 0; i < folder->up_count; i++)
            run->counts->up += goes_up(folder->ups[i]);
        return ERR_OK;
    }
    TRY(state_begin(
        run->state)); /* what is recorded below is known to the server; lost, it is found again */
    for (size_t i = 0; e == ERR_OK && i < folder->up_count; i++)
        if (goes_up(folder->ups[i]))
            e = upload_one(folder, folder->ups[i]);
    enum err committed = state_commit(run->state);
    if (e == ERR_OK)
        e = committed;
    return e == ERR_OK ? find_uids(folder) : e;
}

/* ---- the folder ---- */

static bool all_settled(const struct sync_folder *folder)
{
    for (size_t i = 0; i < folder->new_count; i++)
        if (!folder->news[i].settled)
            return false;
    return true;
}

static enum err record(struct sync_folder *folder)
{
    if (folder->far_dirty && !folder->behind && all_settled(folder))
        folder->row.far = folder->status;
    return state_folder_set(folder->run->state, &folder->row);
}

static enum err changes(struct sync_folder *folder)
{
    TRY(flags_there(folder));
    if (folder->keywords_changed && !folder->run->options->dry_run)
        TRY(near_write_keywords(&folder->near, &folder->row.keywords));
    TRY(flags_here(folder));
    TRY(remove_far(folder));
    TRY(remove_near(folder));
    return folder->run->options->dry_run ? ERR_OK : record(folder);
}

enum err sync_apply_folder(struct sync_folder *folder)
{
    struct state *state = folder->run->state;
    TRY(upload(folder));
    if (folder->run->options->dry_run)
        return changes(folder);
    TRY(state_begin(state));
    enum err e = changes(folder);
    if (e == ERR_OK && folder->changed)
        e = near_sync_names(&folder->near);
    if (e == ERR_OK && folder->undo_fd > 0 && fsync(folder->undo_fd) < 0)
        e = err_from_errno(errno);
    if (e != ERR_OK) {
        state_rollback(
            state); /* the next run sees both sides as they are now, and the rows as they were: it does the same again */
        return e;
    }
    return state_commit(state);
}
