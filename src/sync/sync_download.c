/* New messages come here: all folders in one pipeline, written to tmp/ as they arrive, filed in batches.
 *
 *     tmp/ file ─► synced with its batch ─► row DOWN on disk ─► renamed ─► names synced ─► row PAIR
 *
 * One whose bytes are those of a message that waits to go up is that message: its row is bound, the draft thrown away. */
#include "sync/sync_int.h"

#include "base/clock.h"
#include "proto/imap/imap_date.h"

#include <stdlib.h>
#include <string.h>

struct arrived {
    char base[80];
    struct sync_new *new; /* borrowed from the folder */
    struct sync_facts facts;
    bool bound;
};

struct download {
    struct sync_run *run;
    struct sync_folder *folder; /* whose answers come now */
    struct near_draft draft;
    bool open;
    bool too_large;
    struct arrived batch[SYNC_BATCH_MESSAGES];
    size_t count;
    uint64_t bytes;
    size_t refused; /* commands in a row, without a message between them */
};

/* ---- filing a batch ---- */

/* However old it is: bytes that both sides got since the last run, by a move on each for example, are one message. */
static struct sync_row *find_up(struct sync_folder *folder, const struct arrived *arrived)
{
    for (size_t i = 0; i < folder->up_count; i++) {
        struct sync_row *row = folder->ups[i];
        bool same = memcmp(row->facts.hash, arrived->facts.hash, sizeof row->facts.hash) == 0;
        if (row->kind == SYNC_UP && row->file &&
            (same || sync_is_but_for_tuid(folder, row, arrived->facts.bytes, arrived->facts.hash)))
            return row;
    }
    return NULL;
}

static enum err announce(struct sync_folder *folder, struct arrived *arrived)
{
    struct sync_row *up = find_up(folder, arrived);
    if (up) {
        up->uid = arrived->new->uid;
        up->kind = SYNC_PAIR;
        up->facts.bytes = arrived->facts.bytes;
        up->flags = arrived->new->flags & up->file->flags;
        up->far_known = true;
        up->far_flags = arrived->new->flags;
        arrived->bound = true;
        return state_row_set(folder->run->state, up);
    }
    struct sync_row row = { .kind = SYNC_DOWN,
        .uid = arrived->new->uid,
        .base = arrived->base,
        .flags = arrived->new->flags,
        .facts = arrived->facts };
    return state_row_add(folder->run->state, folder->row.id, &row);
}

static enum err announce_all(struct download *d)
{
    struct state *state = d->run->state;
    TRY(state_begin(state));
    enum err e = ERR_OK;
    if (d->folder->keywords_changed)
        e = state_folder_set(state, &d->folder->row);
    for (size_t i = 0; e == ERR_OK && i < d->count; i++)
        e = announce(d->folder, &d->batch[i]);
    if (e != ERR_OK) {
        state_rollback(state);
        return e;
    }
    return state_commit(state);
}

static enum err file_one(struct download *d, struct arrived *arrived)
{
    struct sync_folder *folder = d->folder;
    if (arrived->bound) {
        near_draft_forget(&folder->near, arrived->base);
    } else {
        TRY(near_file_draft(&folder->near, arrived->base, arrived->new->flags));
        d->run->counts->down++;
    }
    arrived->new->settled = true;
    folder->changed++;
    return ERR_OK;
}

static enum err file_batch(struct download *d)
{
    if (d->count == 0)
        return ERR_OK;
    struct sync_folder *folder = d->folder;
    if (folder->keywords_changed)
        TRY(near_write_keywords(&folder->near, &folder->row.keywords));
    TRY(near_sync(&folder->near));
    TRY(announce_all(d));
    folder->keywords_changed = false;
    for (size_t i = 0; i < d->count; i++)
        TRY(file_one(d, &d->batch[i]));
    d->count = 0;
    d->bytes = 0;
    sync_tell(d->run, SYNC_PROGRESS, folder, "", d->run->counts->down);
    return ERR_OK;
}

/* ---- answers ---- */

static void drop_draft(struct download *d)
{
    if (d->open)
        near_draft_drop(&d->draft);
    d->open = false;
}

static enum err body_begin(struct imapc_task *task, uint64_t bytes)
{
    struct download *d = task->owner;
    (void)bytes;
    if (d->open || !d->folder)
        return ERR_SYNTAX; /* two messages in one answer */
    enum err e = near_draft_open(&d->folder->near, &d->draft);
    d->open = e == ERR_OK;
    return e;
}

static enum err body(struct imapc_task *task, struct slice piece)
{
    struct download *d = task->owner;
    return near_draft_add(&d->draft, piece);
}

/* A message as a quoted string: servers do so for empty ones. */
static enum err small_body(struct download *d, const struct imap_value *value)
{
    if (d->open || !imap_value_is_text(value))
        return ERR_OK;
    TRY(near_draft_open(&d->folder->near, &d->draft));
    d->open = true;
    return near_draft_add(&d->draft, value->text);
}

static struct sync_new *wanted(struct sync_folder *folder, uint32_t uid)
{
    struct sync_new *new = sync_new_of_uid(folder, uid);
    return new && !new->settled ? new : NULL;
}

static bool in_batch(const struct download *d, const struct sync_new *new)
{
    for (size_t i = d->count; i-- > 0;)
        if (d->batch[i].new == new)
            return true;
    return false;
}

static enum err fetched(struct imapc_task *task, const struct imap_reply *reply)
{
    struct download *d = task->owner;
    uint32_t uid = 0;
    int32_t zone;
    if (!reply->numbered || !slice_eq_nocase(reply->name, SLICE("FETCH")) || !d->folder)
        return ERR_OK;
    TRY(small_body(d, imap_value_item(reply->values, SLICE("BODY[]"))));
    struct sync_new *new = NULL;
    if (imap_value_u32(imap_value_item(reply->values, SLICE("UID")), &uid) == ERR_OK)
        new = wanted(d->folder, uid);
    if (!d->open || !new || d->folder->stopped ||
        in_batch(d, new)) { /* flags of somebody's change, or a message that nobody asked for */
        drop_draft(d);
        return ERR_OK;
    }
    const struct imap_value *flags = imap_value_item(reply->values, SLICE("FLAGS"));
    const struct imap_value *date = imap_value_item(reply->values, SLICE("INTERNALDATE"));
    if (flags)
        new->flags = sync_far_flags(d->folder, flags);
    if (!date || imap_datetime_read(date->text, &new->received_s, &zone) != ERR_OK)
        new->received_s = 0;
    struct arrived *arrived = &d->batch[d->count];
    *arrived = (struct arrived){ .new = new };
    memcpy(arrived->base, d->draft.base, sizeof arrived->base);
    d->open = false;
    TRY(near_draft_end(&d->draft, new->received_s, &arrived->facts));
    d->count++;
    d->refused = 0;
    d->bytes += arrived->facts.bytes;
    return d->count == SYNC_BATCH_MESSAGES || d->bytes >= SYNC_BATCH_BYTES ? file_batch(d) : ERR_OK;
}

static enum err fetch_done(struct imapc_task *task, const struct imap_reply *reply)
{
    struct download *d = task->owner;
    if (reply->status != IMAP_STATUS_OK && d->folder)
        d->folder->refused = true;
    return ERR_OK;
}

static enum err selecting(struct imapc_task *task, const struct imap_reply *reply)
{
    sync_check_uidvalidity(
        (struct sync_folder *)((char *)task - offsetof(struct sync_folder, task)), reply);
    return ERR_OK;
}

/* The folder before is complete. */
static enum err selected(struct imapc_task *task, const struct imap_reply *reply)
{
    struct download *d = task->owner;
    struct sync_folder *folder =
        (struct sync_folder *)((char *)task - offsetof(struct sync_folder, task));
    enum err e = d->folder ? file_batch(d) : ERR_OK;
    d->folder = folder;
    d->run->selected = reply->status == IMAP_STATUS_OK ? folder : NULL;
    if (reply->status != IMAP_STATUS_OK)
        sync_stop_folder(folder, SYNC_STOP_REFUSED, reply->text);
    return e;
}

/* ---- what is asked for ---- */

static enum err queue_sets(
    struct download *d, struct sync_folder *folder, const struct uidset *uids)
{
    struct imapc *imap = d->run->options->imap;
    for (size_t at = 0; at < uids->count;) {
        struct imapc_task *task = arena_zalloc(&folder->arena, 1, sizeof *task);
        if (!task)
            return ERR_LIMIT;
        *task = (struct imapc_task){
            .data = fetched, .body_begin = body_begin, .body = body, .done = fetch_done, .owner = d
        };
        struct buf text;
        buf_init(&text, 0);
        buf_adds(&text, "UID FETCH ");
        imapc_add_set(&text, uids, &at);
        buf_adds(&text, " (UID FLAGS INTERNALDATE BODY.PEEK[])");
        imapc_queue(imap, task, buf_slice(&text));
        buf_done(&text);
    }
    return ERR_OK;
}

/* ---- what the account does not want here ---- */

/* One that went up from here comes back to be known by its bytes, else it would go up again in every run. */
static bool may_be_up(const struct sync_folder *folder, const struct sync_new *new)
{
    for (size_t i = 0; i < folder->up_count; i++)
        if (folder->ups[i]->kind == SYNC_UP && folder->ups[i]->file &&
            folder->ups[i]->facts.bytes == new->facts.bytes)
            return true;
    return false;
}

static bool is_wanted(const struct client_account *account, uint64_t bytes, int64_t received_s)
{
    int64_t oldest_s = account->days ? clock_wall_s() - account->days * (int64_t)SYNC_DAY_S : 0;
    bool large = account->message_bytes_max && bytes > account->message_bytes_max;
    return !large && (received_s == 0 || received_s >= oldest_s);
}

static enum err leave_one(struct sync_folder *folder, struct sync_new *new)
{
    struct sync_row row = { .kind = SYNC_TAKEN,
        .uid = new->uid,
        .bound = (uint32_t) new->received_s,
        .base = "",
        .facts = new->facts };
    new->settled = true;
    folder->run->counts->left_there++;
    return folder->run->options->dry_run ? ERR_OK
                                         : state_row_add(folder->run->state, folder->row.id, &row);
}

/* What was left there and is wanted now, because the account's limits changed, is new again. */
static enum err want_again(struct sync_folder *folder)
{
    const struct client_account *account = folder->run->options->account;
    bool any = false;
    for (size_t i = 0; i < folder->count; i++) {
        struct sync_row *row = &folder->rows[i];
        if (row->kind != SYNC_TAKEN || row->far_gone || row->settled ||
            !is_wanted(account, row->facts.bytes, row->bound))
            continue;
        row->settled = true;
        if (!sync_add_new(folder, row->uid, 0))
            return ERR_LIMIT;
        if (!folder->run->options->dry_run)
            TRY(state_row_remove(folder->run->state, row->id));
        any = true;
    }
    sync_order_news(folder);
    if (!any || folder->run->options->dry_run)
        return ERR_OK;
    folder->row.far.modseq =
        0; /* the server tells of them no more: should this run be cut, the next one lists all */
    return state_folder_set(folder->run->state, &folder->row);
}

static enum err leave_some(struct sync_folder *folder)
{
    const struct client_account *account = folder->run->options->account;
    TRY(want_again(folder));
    for (size_t i = 0; i < folder->new_count; i++) {
        struct sync_new *new = &folder->news[i];
        if (!new->settled &&new->has_facts && !may_be_up(folder, new) &&
            !is_wanted(account, new->facts.bytes, new->received_s))
            TRY(leave_one(folder, new));
    }
    return ERR_OK;
}

static bool has_left_some(const struct sync_folder *folder)
{
    for (size_t i = 0; i < folder->count; i++)
        if (folder->rows[i].kind == SYNC_TAKEN)
            return true;
    return false;
}

/* Messages over the account's limits stay there; a row says that this is known. */
static enum err choose(struct sync_folder *folder)
{
    const struct client_account *account = folder->run->options->account;
    struct state *state = folder->run->state;
    bool limited = folder->new_count && (account->message_bytes_max || account->days);
    if (!limited && !has_left_some(folder))
        return ERR_OK;
    if (limited)
        TRY(sync_identify(folder, 1));
    TRY(state_begin(state));
    enum err e = leave_some(folder);
    if (e != ERR_OK) {
        state_rollback(state);
        return e;
    }
    return state_commit(state);
}

static enum err queue_folder(struct download *d, struct sync_folder *folder)
{
    struct uidset uids;
    enum err e = choose(folder);
    uidset_init(&uids);
    for (size_t i = 0; e == ERR_OK && i < folder->new_count; i++)
        if (!folder->news[i].settled)
            uidset_add(&uids, folder->news[i].uid);
    if (e == ERR_OK && !uidset_empty(&uids) && d->run->options->dry_run) {
        d->run->counts->down += uidset_members(&uids);
    } else if (e == ERR_OK && !uidset_empty(&uids)) {
        folder->task = (struct imapc_task){ .data = selecting, .done = selected, .owner = d };
        d->run->selected = NULL; /* it will be, when the answers are taken */
        sync_queue_named(folder, &folder->task, "SELECT", "");
        e = queue_sets(d, folder, &uids);
    }
    uidset_done(&uids);
    return e;
}

/* ---- what did not come ---- */

static void add_unsettled(const struct sync_folder *folder, struct uidset *uids)
{
    for (size_t i = 0; i < folder->new_count; i++)
        if (!folder->news[i].settled)
            uidset_add(uids, folder->news[i].uid);
}

static void cut_in_half(struct uidset *set, struct uidset *out_half)
{
    uint32_t middle = uidset_at(set, (uint32_t)(uidset_members(set) / 2));
    uidset_add_run(out_half, 1, middle);
    uidset_intersect(out_half, set);
    uidset_subtract(set, out_half);
}

/* *set loses what came. */
static enum err ask(struct download *d, struct uidset *set)
{
    struct uidset left;
    d->folder->refused = false;
    TRY(queue_sets(d, d->folder, set));
    TRY(imapc_run(d->run->options->imap, NULL));
    TRY(file_batch(d));
    uidset_init(&left);
    add_unsettled(d->folder, &left);
    uidset_intersect(set, &left);
    uidset_done(&left);
    return ERR_OK;
}

/* Servers end a FETCH at a message that they cannot read: what is behind it is asked for again, in halves, until that one stays alone. */
static enum err take(struct download *d, struct uidset *set)
{
    uint64_t asked = uidset_members(set);
    struct uidset half;
    if (asked == 0 || d->refused > SYNC_REFUSED_MAX)
        return ERR_OK;
    TRY(ask(d, set));
    d->refused += d->folder->refused;
    if (!d->folder->refused || asked == 1)
        return ERR_OK;
    uidset_init(&half);
    if (uidset_members(set) > 1)
        cut_in_half(set, &half);
    enum err e = take(d, &half);
    if (e == ERR_OK)
        e = take(d, set);
    uidset_done(&half);
    return e;
}

static enum err count_one(void *arg, const struct imapc_message *message)
{
    (void)message;
    ++*(uint64_t *)arg;
    return ERR_OK;
}

enum err sync_count_there(
    const struct sync_folder *folder, const struct uidset *uids, uint64_t *out_count)
{
    uint64_t count = 0;
    if (!uidset_empty(uids))
        TRY(imapc_each_of(folder->run->options->imap, uids, "", count_one, &count));
    *out_count = count;
    return ERR_OK;
}

/* What was removed meanwhile is missed by nobody. */
static enum err check_given(struct sync_folder *folder)
{
    struct uidset uids;
    uint64_t count = 0;
    uidset_init(&uids);
    add_unsettled(folder, &uids);
    enum err e = sync_count_there(folder, &uids, &count);
    uidset_done(&uids);
    if (e == ERR_OK && count)
        sync_tell_not_given(folder, count);
    return e;
}

static enum err ask_again(struct download *d, struct sync_folder *folder)
{
    struct uidset uids;
    enum err e = ERR_OK;
    d->folder = folder;
    d->refused = 0;
    TRY(sync_select(folder));
    uidset_init(&uids);
    add_unsettled(folder, &uids);
    if (folder->refused)
        e = take(d, &uids);
    uidset_done(&uids);
    if (e == ERR_OK && d->refused > SYNC_REFUSED_MAX)
        sync_stop_refused(folder);
    return e == ERR_OK && !folder->stopped ? check_given(folder) : e;
}

static bool lacks_some(const struct sync_folder *folder)
{
    bool lacks = folder->refused;
    for (size_t i = 0; !lacks && i < folder->new_count; i++)
        lacks = !folder->news[i].settled;
    return lacks && !folder->stopped && folder->near_open;
}

static enum err ask_all_again(struct download *d)
{
    struct sync_run *run = d->run;
    for (size_t i = 0; i < run->count; i++) {
        struct sync_folder *folder = &run->folders[i];
        if (!lacks_some(folder))
            continue;
        enum err e = ask_again(d, folder);
        drop_draft(d);
        if (e != ERR_OK && sync_is_fatal(run, e))
            return e;
        if (e != ERR_OK)
            sync_stop_refused(folder);
    }
    return ERR_OK;
}

static enum err settle_all(struct sync_run *run)
{
    for (size_t i = 0; i < run->count; i++)
        if (run->folders[i].changed && run->folders[i].near_open)
            TRY(near_sync_names(&run->folders[i].near));
    TRY(state_begin(run->state));
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < run->count; i++)
        if (run->folders[i].changed && run->folders[i].row.id && !run->folders[i].stopped)
            e = state_settle(run->state, run->folders[i].row.id);
    if (e != ERR_OK) {
        state_rollback(run->state);
        return e;
    }
    return state_commit(run->state);
}

enum err sync_download(struct sync_run *run)
{
    struct download *d = mem_zalloc(1, sizeof *d);
    d->run = run;
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < run->count; i++) {
        struct sync_folder *folder = &run->folders[i];
        if (!folder->stopped && folder->near_open && (folder->new_count || has_left_some(folder)))
            e = queue_folder(d, folder);
    }
    if (e == ERR_OK && imapc_waiting(run->options->imap))
        e = imapc_run(run->options->imap, NULL);
    if (e == ERR_OK)
        e = file_batch(d);
    if (d->folder)
        drop_draft(d);
    if (e == ERR_OK && !run->options->dry_run)
        e = ask_all_again(d);
    free(d);
    if (e == ERR_OK && !run->options->dry_run)
        e = settle_all(run);
    return e;
}
