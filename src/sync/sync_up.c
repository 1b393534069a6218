/* New files here: each gets an UP row before anything goes out. One that another folder has just lost was moved: it is moved there too, and not sent. */
#include "sync/sync_int.h"

#include <stdlib.h>
#include <string.h>

/* ---- which files are new ---- */

struct lost {
    struct sync_folder *folder;
    struct sync_row *row;
    size_t next; /* with the same hash: index + 1 */
};
struct lost_list {
    struct lost *at;
    size_t count;
    struct map by_base, by_hash;
};

static bool is_lost(const struct sync_folder *folder, const struct sync_row *row)
{
    bool looked = folder->near_open || folder->goes == SYNC_GOES_THERE;
    return row->kind == SYNC_PAIR && row->uid && !row->file && !row->far_gone && !row->settled &&
           !folder->stopped && looked && folder->far_exists;
}

static struct slice hash_key(const struct sync_facts *facts)
{
    return slice_from(facts->hash, sizeof facts->hash);
}

static void collect_lost(struct sync_run *run, struct lost_list *list)
{
    size_t count = 0;
    for (size_t i = 0; i < run->count; i++)
        for (size_t k = 0; k < run->folders[i].count; k++)
            count += is_lost(&run->folders[i], &run->folders[i].rows[k]);
    *list = (struct lost_list){ .at = mem_zalloc(count + 1, sizeof *list->at) };
    map_init(&list->by_base);
    map_init(&list->by_hash);
    for (size_t i = 0; i < run->count; i++) {
        for (size_t k = 0; k < run->folders[i].count; k++) {
            struct sync_row *row = &run->folders[i].rows[k];
            if (!is_lost(&run->folders[i], row))
                continue;
            struct lost *lost = &list->at[list->count++];
            void *index = (void *)(uintptr_t)list->count;
            *lost = (struct lost){ .folder = &run->folders[i], .row = row };
            lost->next = (size_t)(uintptr_t)map_put(&list->by_hash, hash_key(&row->facts), index);
            (void)map_put(&list->by_base, slice_of(row->base), index);
        }
    }
}

static void lost_done(struct lost_list *list)
{
    map_done(&list->by_base);
    map_done(&list->by_hash);
    free(list->at);
}

/* By its name, which most programs keep; else by what it holds. The bytes must be the same either way. */
static struct lost *find_lost(struct lost_list *list, const struct sync_folder *to,
    struct slice base, const struct sync_facts *facts)
{
    size_t at = (size_t)(uintptr_t)map_get(&list->by_base, base);
    if (!at || !slice_eq(hash_key(&list->at[at - 1].row->facts), hash_key(facts)))
        at = (size_t)(uintptr_t)map_get(&list->by_hash, hash_key(facts));
    for (; at; at = list->at[at - 1].next)
        if (list->at[at - 1].folder != to && !list->at[at - 1].row->settled)
            return &list->at[at - 1];
    return NULL;
}

/* The same flags in the bits of another folder. */
uint32_t sync_translate(const struct sync_folder *from, struct sync_folder *to, uint32_t flags)
{
    uint32_t out = flags & (SYNC_KEYWORD - 1u);
    for (size_t i = 0; i < SYNC_KEYWORDS_MAX; i++) {
        bool is_new = false;
        const char *name = from->row.keywords.names[i];
        if (flags & (uint32_t)SYNC_KEYWORD << i && name)
            out |= sync_keyword_bit(&to->row.keywords, slice_of(name), &is_new);
        to->keywords_changed |= is_new;
    }
    return out;
}

/* A program that moves a file and leaves its name alone leaves letters in it that mean something in the folder that it came from. */
static enum err keep_keywords(struct lost *lost, struct sync_folder *to, struct near_file *file)
{
    struct slice letters = slice_from_index(slice_of(file->name), file->base.len);
    uint32_t there = near_flags_in(&lost->folder->near, letters);
    if (!lost->folder
             ->near_open) /* gone with what its letters meant: the keywords are those that it had */
        there |= lost->row->flags & ~(SYNC_KEYWORD - 1u);
    uint32_t here = sync_translate(lost->folder, to, there);
    if (here == file->flags)
        return ERR_OK;
    if (to->keywords_changed)
        TRY(near_write_keywords(&to->near, &to->row.keywords));
    return near_set_flags(&to->near, file, here, &to->arena);
}

static enum err add_move(struct sync_folder *to, struct lost *lost, struct sync_row *up)
{
    if (to->move_count == to->move_cap) {
        struct sync_move *grown =
            arena_grow(&to->arena, to->moves, &to->move_cap, to->move_count + 1, sizeof *grown);
        if (!grown)
            return ERR_LIMIT;
        to->moves = grown;
    }
    lost->row->settled = true;
    up->moving = true;
    to->moves[to->move_count++] =
        (struct sync_move){ .from = lost->folder, .old = lost->row, .up = up };
    return ERR_OK;
}

/* One file does not keep the others away; whose it is should know that nobody else has it. */
void sync_tell_unreadable(struct sync_folder *folder, const struct near_file *file)
{
    folder->run->counts->failed++;
    sync_tell(folder->run, SYNC_MESSAGE_UNREADABLE, folder, file->name, 1);
}

static enum err announce(struct sync_folder *folder, struct near_file *file, struct lost_list *list)
{
    struct sync_facts facts;
    int64_t received_s;
    enum err e = near_read_facts(&folder->near, file, &facts, &received_s);
    if (e == ERR_NOT_FOUND)
        return ERR_OK; /* gone or renamed since it was listed: next time */
    if (e != ERR_OK)
        sync_tell_unreadable(folder, file);
    if (e == ERR_DENIED)
        return ERR_OK;
    TRY(e); /* no descriptor left, or the disk: what came down now would be there twice once it can be read again */
    struct lost *lost = find_lost(list, folder, file->base, &facts);
    bool first = folder->row.far.uidnext == 0; /* both sides may have it already */
    uint32_t bound = first                    ? 1
                     : folder->status.uidnext ? folder->status.uidnext
                                              : folder->row.far.uidnext;
    if (!lost)
        return sync_add_up(folder, file, &facts, file->flags, bound);
    if (!folder->run->options->dry_run)
        TRY(keep_keywords(lost, folder, file));
    TRY(sync_add_up(
        folder, file, &facts, sync_translate(lost->folder, folder, lost->row->flags), bound));
    return add_move(folder, lost, folder->ups[folder->up_count - 1]);
}

static enum err announce_all(struct sync_run *run, struct lost_list *list)
{
    for (size_t i = 0; i < run->count; i++) {
        struct sync_folder *folder = &run->folders[i];
        if (folder->stopped || !folder->near_open || !folder->far_exists || folder->noselect)
            continue;
        for (size_t k = 0; k < folder->near.count; k++)
            if (!folder->near.files[k].row && !folder->near.files[k].odd)
                TRY(announce(folder, &folder->near.files[k], list));
    }
    return ERR_OK;
}

enum err sync_announce_ups(struct sync_run *run)
{
    struct lost_list list;
    collect_lost(run, &list);
    enum err e = run->options->dry_run ? ERR_OK : state_begin(run->state);
    if (e == ERR_OK) {
        e = announce_all(run, &list);
        if (e == ERR_OK && !run->options->dry_run)
            e = state_commit(run->state);
        else if (!run->options->dry_run)
            state_rollback(run->state);
    }
    lost_done(&list);
    return e;
}

enum err sync_resume_moves(struct sync_run *run)
{
    struct lost_list list;
    enum err e = ERR_OK;
    collect_lost(run, &list);
    for (size_t i = 0; i < run->count && list.count; i++) {
        struct sync_folder *folder = &run->folders[i];
        for (size_t k = 0; e == ERR_OK && k < folder->up_count && !folder->stopped; k++) {
            struct sync_row *up = folder->ups[k];
            struct lost *lost = up->moving || !up->file
                                    ? NULL
                                    : find_lost(&list, folder, slice_of(up->base), &up->facts);
            if (!lost)
                continue;
            e = add_move(folder, lost, up);
        }
    }
    lost_done(&list);
    return e;
}

/* ---- moves, done there ---- */

/* UIDs that MOVE or COPY gave: [COPYUID uidvalidity from to] (RFC 4315 §3), two sets of the same length or nothing. */
struct copied {
    struct uidset from, to;
    uint32_t uidvalidity;
    enum err e;
    bool gone; /* from where it was */
};

/* Both sets are in the order of the messages; one that does not ascend would be read as another pairing. */
static bool ascends(struct slice text)
{
    uint64_t before = 0, first, last;
    struct slice part;
    while (slice_cut(&text, ',', &part)) {
        size_t colon = slice_index(part, ':');
        if (slice_to_u64(slice_sub(part, 0, colon), UINT32_MAX, &first) != ERR_OK)
            return false;
        last = first;
        if (colon < part.len &&
            slice_to_u64(slice_from_index(part, colon + 1), UINT32_MAX, &last) != ERR_OK)
            return false;
        if (first <= before || last < first)
            return false;
        before = last;
    }
    return true;
}

static void take_copyuid(struct copied *copied, const struct imap_reply *reply)
{
    const struct imap_value *value = reply->code_values;
    if (!slice_eq_nocase(reply->code, SLICE("COPYUID")) || !value || !value->next ||
        !value->next->next)
        return;
    struct slice from = value->next->text, to = value->next->next->text;
    if (imap_value_u32(value, &copied->uidvalidity) != ERR_OK || !ascends(from) || !ascends(to) ||
        uidset_read(&copied->from, from, IMAP_REPLY_BYTES_MAX) != ERR_OK ||
        uidset_read(&copied->to, to, IMAP_REPLY_BYTES_MAX) != ERR_OK ||
        uidset_members(&copied->from) != uidset_members(&copied->to)) {
        uidset_clear(&copied->from);
        uidset_clear(&copied->to);
    }
}

static enum err copied_data(struct imapc_task *task, const struct imap_reply *reply)
{
    take_copyuid(task->owner, reply); /* MOVE tells it untagged (RFC 6851 §4.3) */
    return ERR_OK;
}

static enum err copied_done(struct imapc_task *task, const struct imap_reply *reply)
{
    struct copied *copied = task->owner;
    take_copyuid(copied, reply);
    copied->e = imapc_reply_err(reply);
    return ERR_OK;
}

static enum err move_one_set(struct sync_folder *from, struct sync_folder *to,
    const struct uidset *uids, struct copied *copied)
{
    struct imapc *imap = from->run->options->imap;
    struct imapc_task task = { .data = copied_data, .done = copied_done, .owner = copied };
    bool moves = imapc_caps(imap) & IMAPC_MOVE;
    struct buf text;
    TRY(sync_select(from));
    buf_init(&text, 0);
    buf_adds(&text, moves ? "UID MOVE " : "UID COPY ");
    uidset_write(uids, &text);
    buf_addc(&text, ' ');
    sync_add_name(&text, to);
    imapc_queue(imap, &task, buf_slice(&text));
    buf_done(&text);
    TRY(imapc_run(imap, &task));
    TRY(copied->e);
    copied->gone = true;
    return moves ? ERR_OK : sync_expunge(from, uids, &copied->gone);
}

static enum err record_moved(
    struct sync_folder *from, struct sync_folder *to, struct sync_move *move, struct copied *copied)
{
    struct sync_run *run = to->run;
    uint32_t rank = uidset_rank(&copied->from, move->old->uid);
    run->counts->far_moved++;
    to->changed++;
    if (rank && copied->uidvalidity == to->status.uidvalidity) {
        move->up->uid = uidset_at(&copied->to, rank);
        move->up->kind = SYNC_PAIR;
        move->up->far_known = true;
        move->up->far_flags = sync_translate(
            from, to, move->old->far_known ? move->old->far_flags : move->old->flags);
        TRY(state_row_set(run->state, move->up));
    }
    move->up->settled =
        move->up->kind == SYNC_UP; /* found by what it holds, in this run or the next */
    /* only marked \Deleted, because the server cannot remove it alone: without its row it would come here as new */
    return copied->gone ? state_row_remove(run->state, move->old->id) : ERR_OK;
}

static enum err record_set(struct sync_folder *from, struct sync_folder *to,
    const struct uidset *uids, struct copied *copied)
{
    struct state *state = to->run->state;
    TRY(state_begin(state));
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < to->move_count; i++)
        if (to->moves[i].from == from && to->moves[i].up->kind == SYNC_UP &&
            uidset_has(uids, to->moves[i].old->uid))
            e = record_moved(from, to, &to->moves[i], copied);
    if (e != ERR_OK) {
        state_rollback(state);
        return e;
    }
    return state_commit(state);
}

static enum err move_set(
    struct sync_folder *from, struct sync_folder *to, const struct uidset *uids)
{
    struct copied copied = { .e = ERR_OK };
    uidset_init(&copied.from);
    uidset_init(&copied.to);
    enum err e = move_one_set(from, to, uids, &copied);
    if (e == ERR_OK)
        e = record_set(from, to, uids, &copied);
    uidset_done(&copied.from);
    uidset_done(&copied.to);
    return e;
}

/* What is to be moved; what is there already (a run was cut, or the other side had copied it) only goes where it was. */
static void collect_moves(
    const struct sync_folder *from, struct sync_folder *to, struct uidset *out_uids)
{
    for (size_t i = 0; i < to->move_count; i++) {
        struct sync_move *move = &to->moves[i];
        if (move->from == from && move->up->kind == SYNC_UP && from->stopped)
            move->up->settled = true; /* the next run moves it: it is not sent */
        else if (move->from == from && move->up->kind == SYNC_UP)
            uidset_add(out_uids, move->old->uid);
        else if (move->from == from)
            move->old->settled = false;
    }
}

static void count_moves(const struct sync_folder *from, struct sync_folder *to)
{
    for (size_t i = 0; i < to->move_count; i++) {
        struct sync_row *up = to->moves[i].up;
        if (to->moves[i].from != from || up->kind != SYNC_UP || up->settled)
            continue;
        to->run->counts->far_moved++;
        up->settled = true;
    }
}

/* It cannot be known which of both the server refuses: neither is left for it. What was not moved is not sent either. */
static void put_off(const struct sync_folder *from, struct sync_folder *to)
{
    uint64_t count = 0;
    for (size_t i = 0; i < to->move_count; i++) {
        struct sync_row *up = to->moves[i].up;
        if (to->moves[i].from != from || up->kind != SYNC_UP || up->settled)
            continue;
        up->settled = true;
        count++;
    }
    sync_tell_refused(to, SYNC_STOP_MOVES, slice_of(imapc_words(to->run->options->imap)), count);
}

/* All that goes from one folder to another, in sets that fit a line. */
static enum err move_pair(struct sync_folder *from, struct sync_folder *to)
{
    enum {
        RUN_BYTES = 22
    }; /* "4294967295:4294967295," */
    struct uidset uids, part;
    enum err e = ERR_OK;
    uidset_init(&uids);
    uidset_init(&part);
    collect_moves(from, to, &uids);
    if (to->run->options->dry_run) {
        count_moves(from, to);
        uidset_clear(&uids);
    }
    for (size_t at = 0; e == ERR_OK && at < uids.count;) {
        uidset_clear(&part);
        for (size_t bytes = 0; at < uids.count && bytes < IMAPC_SET_BYTES_MAX; at++)
            bytes += RUN_BYTES, uidset_add_run(&part, uids.runs[at].first, uids.runs[at].last);
        e = move_set(from, to, &part);
    }
    if (e != ERR_OK && !sync_is_fatal(to->run, e))
        put_off(from, to);
    for (size_t i = 0; i < to->move_count; i++)
        if (to->moves[i].from == from)
            to->moves[i].from = NULL;
    uidset_done(&uids);
    uidset_done(&part);
    return e;
}

enum err sync_move_there(struct sync_run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        struct sync_folder *to = &run->folders[i];
        for (size_t k = 0; k < to->move_count && !to->stopped; k++) {
            struct sync_folder *from = to->moves[k].from;
            if (!from)
                continue;
            enum err e = move_pair(from, to);
            if (e != ERR_OK && sync_is_fatal(run, e))
                return e;
        }
    }
    return ERR_OK;
}
