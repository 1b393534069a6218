/* The same message on both sides without a row that says so: after a torn APPEND, a new UIDVALIDITY, a first run over two full sides, a move. */
#include "sync/sync_int.h"

#include <stdlib.h>
#include <string.h>

static enum err bind(struct sync_folder *folder, struct sync_row *row, struct sync_new *new)
{
    row->uid = new->uid;
    row->kind = SYNC_PAIR;
    /* what either side has beyond the other counts as set there, and comes to both */
    row->flags = new->flags & row->file->flags;
    row->far_known = true;
    row->far_flags = new->flags;
    new->settled = true;
    return folder->run->options->dry_run ? ERR_OK : state_row_set(folder->run->state, row);
}

static bool same(const struct sync_facts *a, const struct sync_facts *b)
{
    return a->message_id && a->message_id == b->message_id && a->bytes == b->bytes;
}

/* Only in a first run over two full sides (bound 1): later nobody but us writes here what came from there. */
bool sync_is_but_for_tuid(struct sync_folder *folder, const struct sync_row *row, uint64_t bytes,
    const unsigned char *hash)
{
    struct sync_facts whole, pure;
    int64_t received_s;
    if (row->bound > 1 || !row->file || row->facts.bytes != bytes + NEAR_TUID_BYTES ||
        near_read_both_facts(&folder->near, row->file, &whole, &pure, &received_s) != ERR_OK)
        return false;
    return pure.bytes == bytes && (!hash || memcmp(pure.hash, hash, sizeof pure.hash) == 0);
}

static bool is_message(
    struct sync_folder *folder, const struct sync_row *row, const struct sync_new *new)
{
    return same(&row->facts, &new->facts) ||
           (row->facts.message_id &&
               row->facts.message_id == new->facts.message_id &&sync_is_but_for_tuid(
                                            folder, row, new->facts.bytes, NULL));
}

static uint32_t lowest_bound(const struct sync_folder *folder)
{
    uint32_t low = UINT32_MAX;
    for (size_t i = 0; i < folder->up_count; i++)
        if (folder->ups[i]->kind == SYNC_UP && folder->ups[i]->bound < low)
            low = folder->ups[i]->bound;
    return low;
}

/* ups by Message-ID: the index of the first + 1; others with the same follow by `next`. */
static void *key_value(size_t index)
{
    return (void *)(uintptr_t)(index + 1);
}

static struct slice key_of(const uint64_t *message_id)
{
    return slice_from(message_id, sizeof *message_id);
}

/* Servers that change a message when they take it (a header more, other line ends) give it another size. Without UIDPLUS they do not say which it is
 * either: then it is the one with its Message-ID, or, when as many have come as were sent, the one in its turn. */
static bool may_be_altered(const struct sync_folder *folder, const struct sync_row *row)
{
    bool says = imapc_caps(folder->run->options->imap) & IMAPC_UIDPLUS;
    return row->kind == SYNC_UP && row->file && row->bound > 1 && (row->sent || !says);
}

static bool is_free(const struct sync_row *row, const struct sync_new *new)
{
    return !new->settled &&new->has_facts &&new->uid >= row->bound;
}

static enum err bind_altered(struct sync_folder *folder, struct sync_row *row, struct sync_new *new)
{
    row->facts.bytes = new->facts.bytes; /* what the server says of it from now on */
    return bind(folder, row, new);
}

static bool in_turn(const struct sync_folder *folder, const struct sync_row *row)
{
    return row->sent && !row->facts.message_id && may_be_altered(folder, row);
}

static enum err bind_by_turn(struct sync_folder *folder)
{
    size_t sent = 0, came = 0;
    uint32_t from = UINT32_MAX;
    for (size_t i = 0; i < folder->up_count; i++) {
        if (!in_turn(folder, folder->ups[i]))
            continue;
        sent++;
        from = folder->ups[i]->bound < from ? folder->ups[i]->bound : from;
    }
    for (size_t n = 0; n < folder->new_count; n++)
        came += !folder->news[n].settled && folder->news[n].has_facts &&
                !folder->news[n].facts.message_id && folder->news[n].uid >= from;
    if (sent != came)
        return ERR_OK;
    for (size_t i = 0, n = 0; i < folder->up_count; i++) {
        if (!in_turn(folder, folder->ups[i]))
            continue;
        while (!is_free(folder->ups[i], &folder->news[n]) || folder->news[n].facts.message_id)
            n++;
        TRY(bind_altered(folder, folder->ups[i], &folder->news[n]));
    }
    return ERR_OK;
}

/* UP rows by Message-ID, and which of a chain of rows comes next. */
struct ups {
    struct sync_folder *folder;
    struct map by_id;
    size_t *next; /* arena */
};

static enum err ups_init(struct ups *ups, struct sync_folder *folder)
{
    *ups = (struct ups){ .folder = folder,
        .next = arena_zalloc(&folder->arena, folder->up_count, sizeof(size_t)) };
    if (!ups->next)
        return ERR_LIMIT;
    map_init(&ups->by_id);
    for (size_t i = folder->up_count; i-- > 0;) { /* so that the first comes first out of the map */
        struct sync_row *row = folder->ups[i];
        if (row->kind == SYNC_UP && row->file && row->facts.message_id)
            ups->next[i] = (size_t)(uintptr_t)map_put(
                &ups->by_id, key_of(&row->facts.message_id), key_value(i));
    }
    return ERR_OK;
}

/* Binds a message to the first row with its Message-ID that it can be. */
static enum err bind_one(struct ups *ups, struct sync_new *new, bool altered)
{
    size_t at = (size_t)(uintptr_t)map_get(&ups->by_id, key_of(&new->facts.message_id));
    for (; at; at = ups->next[at - 1]) {
        struct sync_row *row = ups->folder->ups[at - 1];
        if (row->kind == SYNC_UP && is_free(row, new) &&
            (altered ? may_be_altered(ups->folder, row) : is_message(ups->folder, row, new)))
            return bind_altered(ups->folder, row, new);
    }
    return ERR_OK;
}

static enum err bind_by_id(struct ups *ups, uint32_t from, bool altered)
{
    struct sync_folder *folder = ups->folder;
    for (size_t n = 0; n < folder->new_count; n++) {
        struct sync_new *new = &folder->news[n];
        if (!new->settled &&new->has_facts &&new->uid >= from)
            TRY(bind_one(ups, new, altered));
    }
    return ERR_OK;
}

/* Equal ones first: only what is left then can be one that was altered. */
static enum err bind_all(struct sync_folder *folder, uint32_t from)
{
    struct ups ups;
    TRY(ups_init(&ups, folder));
    enum err e = bind_by_id(&ups, from, false);
    if (e == ERR_OK)
        e = bind_by_id(&ups, from, true);
    map_done(&ups.by_id);
    return e == ERR_OK ? bind_by_turn(folder) : e;
}

enum err sync_match_ups(struct sync_folder *folder)
{
    struct state *state = folder->run->state;
    uint32_t from = lowest_bound(folder);
    if (from == UINT32_MAX || folder->new_count == 0)
        return ERR_OK;
    TRY(sync_identify(folder, from));
    if (folder->run->options->dry_run)
        return bind_all(folder, from);
    TRY(state_begin(state));
    enum err e = bind_all(folder, from);
    if (e != ERR_OK) {
        state_rollback(state);
        return e;
    }
    return state_commit(state);
}

/* ---- moves made there ---- */

struct gone {
    struct sync_folder *folder;
    struct sync_row *row;
    size_t next; /* with the same Message-ID: index + 1 */
};
struct gone_list {
    struct gone *at;
    size_t count;
    struct map by_id;
};

static bool may_have_moved(const struct sync_folder *folder, const struct sync_row *row)
{
    return row->far_gone && !row->settled && row->file && !row->file->odd &&
           row->facts.message_id && row->kind == SYNC_PAIR && !folder->stopped;
}

static size_t count_gone(const struct sync_run *run)
{
    size_t count = 0;
    for (size_t i = 0; i < run->count; i++)
        for (size_t k = 0; k < run->folders[i].count; k++)
            count += may_have_moved(&run->folders[i], &run->folders[i].rows[k]);
    return count;
}

static struct gone *find_gone(
    struct gone_list *gone, const struct sync_folder *not_from, const struct sync_facts *facts)
{
    size_t at = (size_t)(uintptr_t)map_get(&gone->by_id, key_of(&facts->message_id));
    for (; at; at = gone->at[at - 1].next) {
        struct gone *one = &gone->at[at - 1];
        if (one->folder != not_from && !one->row->settled && same(&one->row->facts, facts))
            return one;
    }
    return NULL;
}

/* Flags of both sides: what changed there came with the message, what changed here since the last run is kept, and told there with the other flags. */
static uint32_t moved_flags(const struct sync_folder *from, struct sync_folder *to,
    const struct sync_row *old, uint32_t far)
{
    uint32_t mine = sync_translate(from, to, old->file->flags ^ old->flags);
    return (far & ~mine) | (sync_translate(from, to, old->file->flags) & mine);
}

/* The file comes, and its row is one more of the folder's, so that its flags are told there in this run. */
static enum err take_in(
    struct gone *from, struct sync_folder *to, uint32_t flags, const struct sync_row *announced)
{
    struct sync_row *row = arena_zalloc(&to->arena, 1, sizeof *row);
    struct near_file *file = arena_zalloc(&to->arena, 1, sizeof *file);
    if (!row || !file)
        return ERR_LIMIT;
    TRY(near_move(&from->folder->near, from->row->file, &to->near, flags, &to->arena, file));
    *row = *announced;
    row->kind = SYNC_PAIR; /* DOWN in the state, until the names are synced */
    row->file = file;
    row->far_known = true;
    row->far_flags = announced->flags;
    file->row = row;
    return sync_remember_up(to, row);
}

/* The row goes to the other folder, then the file (J-1). */
static enum err move_here(struct gone *from, struct sync_folder *to, struct sync_new *new)
{
    struct sync_run *run = to->run;
    struct sync_row *old = from->row;
    struct sync_row row = { .kind = SYNC_DOWN,
        .uid = new->uid,
        .base = old->base,
        .flags = new->flags,
        .facts = old->facts };
    if (near_find(&to->near, slice_of(old->base)))
        return ERR_OK; /* a file of that name is there: this one comes anew, the other goes */
    run->counts->near_moved++;
    old->settled = new->settled = true;
    to->changed++;
    if (run->options->dry_run)
        return ERR_OK;
    row.bound = moved_flags(from->folder, to, old, new->flags);
    TRY(state_begin(run->state));
    enum err e = state_row_remove(run->state, old->id);
    if (e == ERR_OK)
        e = state_row_add(run->state, to->row.id, &row);
    if (e == ERR_OK && to->keywords_changed) /* what the bits of the row mean */
        e = state_folder_set(run->state, &to->row);
    if (e != ERR_OK) {
        state_rollback(run->state);
        return e;
    }
    TRY(state_commit(run->state));
    if (to->keywords_changed)
        TRY(near_write_keywords(&to->near, &to->row.keywords));
    return take_in(from, to, row.bound, &row);
}

static enum err match_far_moves(struct sync_run *run, struct gone_list *gone)
{
    for (size_t i = 0; i < run->count; i++) {
        struct sync_folder *folder = &run->folders[i];
        if (folder->stopped || !folder->near_open || folder->new_count == 0)
            continue;
        enum err e = sync_identify(folder, 1);
        for (size_t n = 0; e == ERR_OK && n < folder->new_count; n++) {
            struct sync_new *new = &folder->news[n];
            struct gone *from =
                new->settled || !new->has_facts ? NULL : find_gone(gone, folder, &new->facts);
            if (from)
                e = move_here(from, folder, new);
        }
        if (e != ERR_OK && sync_is_fatal(run, e))
            return e;
        if (e != ERR_OK)
            sync_stop_folder(folder, SYNC_STOP_DISK, slice_of(err_name(e)));
        else if (folder->changed && !run->options->dry_run)
            TRY(near_sync_names(&folder->near));
    }
    return ERR_OK;
}

enum err sync_match_moves(struct sync_run *run)
{
    struct gone_list gone = { .count = 0 };
    size_t count = count_gone(run);
    if (count == 0)
        return ERR_OK;
    gone.at = mem_zalloc(count, sizeof *gone.at);
    map_init(&gone.by_id);
    for (size_t i = 0; i < run->count; i++) {
        for (size_t k = 0; k < run->folders[i].count; k++) {
            struct sync_row *row = &run->folders[i].rows[k];
            if (!may_have_moved(&run->folders[i], row))
                continue;
            gone.at[gone.count] = (struct gone){ .folder = &run->folders[i], .row = row };
            gone.at[gone.count].next = (size_t)(uintptr_t)map_put(
                &gone.by_id, key_of(&row->facts.message_id), key_value(gone.count));
            gone.count++;
        }
    }
    enum err e = match_far_moves(run, &gone);
    map_done(&gone.by_id);
    free(gone.at);
    return e;
}
