/* Both sides beside each other, folder by folder.
 *
 * Whether the next synchronisation would see a change there depends on how it asks (sync_far.c): a server with MODSEQ tells only of what has a higher one than last time, and of
 * nothing at all when STATUS is what it was. A change here is always seen, but for the bytes of a file that both sides have. */
#include "sync/verify.h"

#include "base/clock.h"
#include "sync/flags.h"
#include "sync/sync_int.h"

#include <stdlib.h>
#include <string.h>

/* What the server says of a row's message. */
struct far_message {
    bool there, sees; /* sees: a synchronisation would hear of it */
    uint32_t flags;
    uint64_t bytes, message_id;
    bool has_near, bytes_differ;
    bool hashed;                 /* its bytes came, and were compared */
    struct sync_facts near;      /* of the file */
    unsigned char pure_hash[16]; /* without what mbsync put into it */
};

struct verifying {
    const struct verify_options *options;
    struct verify_counts *counts;
    struct sync_folder *folder;
    struct verify_folder shown;
    struct far_message *far; /* one for each row */
    bool kept_known;
    uint32_t kept; /* flags that the server knows in this folder */
    struct near_draft hashing;
    bool open;
    enum err result;
};

/* ---- what was found ---- */

static void found(struct verifying *v, enum verify_kind kind, uint32_t uid, const char *file)
{
    uint64_t n = v->shown.counts[kind]++;
    if (n < VERIFY_EXAMPLES_MAX)
        v->shown.examples[kind][n] = (struct verify_example){ .uid = uid, .file = file };
}

static const char *name_of(const struct sync_row *row)
{
    return row->file ? row->file->name : "";
}

static void hand_on(struct verifying *v)
{
    struct verify_counts *sum = v->counts;
    for (int kind = 0; kind < VERIFY_KINDS; kind++)
        sum->counts[kind] += v->shown.counts[kind];
    sum->messages += v->shown.messages;
    sum->whole |= v->shown.whole;
    sum->folders++;
    v->options->folder(v->options->arg, &v->shown);
}

/* ---- what the server says ---- */

/* A server without MODSEQ is asked for everything each time. */
static bool sees(const struct verifying *v, const struct imap_value *items)
{
    uint64_t last = v->folder->row.far.modseq, now = 0;
    const struct imap_value *modseq = imap_value_item(items, SLICE("MODSEQ"));
    if (modseq && modseq->kind == IMAP_VALUE_LIST)
        modseq = modseq->first;
    bool back = v->folder->status.modseq < last; /* then it is asked for everything too */
    return !last || back || imap_value_u64(modseq, &now) != ERR_OK || now > last;
}

static uint64_t message_id_in(const struct imap_value *items)
{
    for (const struct imap_value *value = items->first; value && value->next;
         value = value->next->next)
        if (value->kind == IMAP_VALUE_ATOM && imap_value_is_text(value->next) &&
            slice_starts_nocase(value->text, SLICE("BODY[HEADER.FIELDS")))
            return sync_message_id(value->next->text);
    return 0;
}

static enum err take_message(struct verifying *v, const struct imap_value *items)
{
    uint32_t uid;
    uint64_t bytes;
    if (!items || items->kind != IMAP_VALUE_LIST ||
        imap_value_u32(imap_value_item(items, SLICE("UID")), &uid) != ERR_OK || !uid ||
        imap_value_u64(imap_value_item(items, SLICE("RFC822.SIZE")), &bytes) != ERR_OK)
        return ERR_OK; /* a change that somebody made */
    struct sync_row *row = sync_row_of_uid(v->folder, uid);
    if (!row) {
        found(v,
            sees(v, items) || uid >= v->folder->row.far.uidnext ? VERIFY_NEXT : VERIFY_ONLY_THERE,
            uid, "");
        return ERR_OK;
    }
    v->far[row - v->folder->rows] = (struct far_message){ .there = true,
        .sees = sees(v, items),
        .flags = sync_far_flags(v->folder, imap_value_item(items, SLICE("FLAGS"))),
        .bytes = bytes,
        .message_id = message_id_in(items) };
    return ERR_OK;
}

static void take_code(struct sync_far_state *status, const struct imap_reply *reply)
{
    const struct imap_value *value = reply->code_values;
    if (slice_eq_nocase(reply->code, SLICE("UIDVALIDITY")) &&
        imap_value_u32(value, &status->uidvalidity) != ERR_OK)
        status->uidvalidity = 0;
    if (slice_eq_nocase(reply->code, SLICE("UIDNEXT")) &&
        imap_value_u32(value, &status->uidnext) != ERR_OK)
        status->uidnext = 0;
    if (slice_eq_nocase(reply->code, SLICE("HIGHESTMODSEQ")) &&
        imap_value_u64(value, &status->modseq) != ERR_OK)
        status->modseq = 0;
}

static enum err verify_data(struct imapc_task *task, const struct imap_reply *reply)
{
    struct verifying *v = task->owner;
    take_code(&v->folder->status, reply);
    if (reply->numbered && slice_eq_nocase(reply->name, SLICE("EXISTS")))
        v->folder->status.messages = reply->number;
    if (slice_eq_nocase(reply->name, SLICE("FLAGS"))) {
        v->kept = sync_far_flags(v->folder, reply->values);
        v->kept_known = true;
    }
    if (reply->numbered && slice_eq_nocase(reply->name, SLICE("FETCH")))
        return take_message(v, reply->values);
    return ERR_OK;
}

static enum err verify_done(struct imapc_task *task, const struct imap_reply *reply)
{
    struct verifying *v = task->owner;
    if (v->result == ERR_OK)
        v->result = imapc_reply_err(reply);
    return ERR_OK;
}

/* Both commands at once; of an empty folder some servers say that nothing fits 1:*. */
static enum err ask(struct verifying *v)
{
    struct sync_folder *folder = v->folder;
    struct imapc *imap = v->options->imap;
    bool modseq = imapc_caps(imap) & IMAPC_CONDSTORE;
    struct imapc_task task = { .data = verify_data, .done = verify_done, .owner = v };
    folder->status = (struct sync_far_state){ 0 };
    sync_queue_named(folder, &task, "EXAMINE", modseq ? " (CONDSTORE)" : "");
    TRY(imapc_run(imap, &task));
    TRY(v->result);
    if (folder->status.messages == 0 || folder->status.uidvalidity != folder->row.far.uidvalidity)
        return ERR_OK;
    imapc_queuef(imap, &task,
        "UID FETCH 1:* (UID FLAGS RFC822.SIZE%s BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])",
        modseq ? " MODSEQ" : "");
    TRY(imapc_run(imap, &task));
    return v->result;
}

/* ---- one message ---- */

/* The file against what is known of it, and the server's message against that. */
static enum err compare_content(struct verifying *v, size_t at)
{
    const struct sync_row *row = &v->folder->rows[at];
    struct far_message *far = &v->far[at];
    int64_t received_s;
    struct sync_facts pure;
    if (row->file->odd) {
        found(v, VERIFY_BYTES, row->uid, name_of(row));
        return ERR_OK;
    }
    enum err e = near_read_both_facts(&v->folder->near, row->file, &far->near, &pure, &received_s);
    if (e == ERR_NOT_FOUND) {
        found(v, VERIFY_NEXT, row->uid, name_of(row)); /* renamed at this moment */
        return ERR_OK;
    }
    TRY(e);
    memcpy(far->pure_hash, pure.hash, sizeof far->pure_hash);
    far->has_near = true;
    far->bytes_differ = memcmp(far->near.hash, row->facts.hash, sizeof far->near.hash) != 0 ||
                        far->bytes != row->facts.bytes || far->message_id != row->facts.message_id;
    return ERR_OK;
}

/* Bits that a synchronisation would carry over, and others that differ all the same. */
static void compare_flags(struct verifying *v, size_t at)
{
    const struct sync_row *row = &v->folder->rows[at];
    const struct far_message *far = &v->far[at];
    uint32_t kept = v->kept_known ? v->kept | far->flags : UINT32_MAX;
    uint32_t here = row->file->flags ^ row->flags;
    uint32_t there = (far->flags ^ row->flags) & kept;
    uint32_t differ = (far->flags ^ row->file->flags) & kept;
    uint32_t carried = here | (far->sees ? there : 0);
    if (differ & ~carried)
        found(v, VERIFY_FLAGS, row->uid, name_of(row));
    else if (differ)
        found(v, VERIFY_NEXT, row->uid, name_of(row));
}

static enum err compare_row(struct verifying *v, size_t at)
{
    struct sync_row *row = &v->folder->rows[at];
    bool there = v->far[at].there;
    if (row->kind == SYNC_TAKEN || (row->kind == SYNC_PAIR && !there && !row->file))
        return ERR_OK;
    if (row->kind != SYNC_PAIR || (there && !row->file))
        found(v, VERIFY_NEXT, row->uid, name_of(row));
    else if (!there)
        found(v, sync_is_clean(v->folder) ? VERIFY_ONLY_HERE : VERIFY_NEXT, row->uid, name_of(row));
    else
        return compare_content(v, at);
    return ERR_OK;
}

/* ---- every byte ---- */

static enum err hash_begin(struct imapc_task *task, uint64_t bytes)
{
    struct verifying *v = task->owner;
    (void)bytes;
    if (v->open)
        return ERR_SYNTAX; /* two messages in one answer */
    near_facts_begin(&v->hashing);
    v->open = true;
    return ERR_OK;
}

static enum err hash_piece(struct imapc_task *task, struct slice piece)
{
    struct verifying *v = task->owner;
    near_facts_add(&v->hashing, piece);
    return ERR_OK;
}

/* A message as a quoted string: servers do so for small ones. */
static void hash_small(struct verifying *v, const struct imap_value *value)
{
    if (v->open || !imap_value_is_text(value))
        return;
    near_facts_begin(&v->hashing);
    near_facts_add(&v->hashing, value->text);
    v->open = true;
}

static enum err hashed(struct imapc_task *task, const struct imap_reply *reply)
{
    struct verifying *v = task->owner;
    struct sync_facts facts;
    uint32_t uid;
    if (!reply->numbered || !slice_eq_nocase(reply->name, SLICE("FETCH")))
        return ERR_OK;
    hash_small(v, imap_value_item(reply->values, SLICE("BODY[]")));
    if (!v->open)
        return ERR_OK;
    v->open = false;
    near_facts_end(&v->hashing, &facts);
    const struct sync_row *row =
        imap_value_u32(imap_value_item(reply->values, SLICE("UID")), &uid) == ERR_OK
            ? sync_row_of_uid(v->folder, uid)
            : NULL;
    struct far_message *far = row ? &v->far[row - v->folder->rows] : NULL;
    if (!far || !far->has_near)
        return ERR_OK;
    far->hashed = true;
    far->bytes_differ |= memcmp(far->near.hash, facts.hash, sizeof facts.hash) != 0 &&
                         memcmp(far->pure_hash, facts.hash, sizeof facts.hash) != 0;
    return ERR_OK;
}

static enum err hash_set(struct verifying *v, const struct uidset *uids, size_t *at)
{
    struct imapc_task task = { .data = hashed,
        .body_begin = hash_begin,
        .body = hash_piece,
        .done = verify_done,
        .owner = v };
    struct buf text;
    struct sync_facts unused;
    buf_init(&text, 0);
    buf_adds(&text, "UID FETCH ");
    imapc_add_set(&text, uids, at);
    buf_adds(&text, " (UID BODY.PEEK[])");
    imapc_queue(v->options->imap, &task, buf_slice(&text));
    buf_done(&text);
    enum err e = imapc_run(v->options->imap, &task);
    if (v->open)
        near_facts_end(&v->hashing, &unused);
    v->open = false;
    return e == ERR_OK ? v->result : e;
}

/* Those whose bytes are to be compared, and were not yet. */
static void add_unhashed(const struct verifying *v, struct uidset *uids)
{
    for (size_t i = 0; i < v->folder->count; i++)
        if (v->far[i].has_near && !v->far[i].bytes_differ && !v->far[i].hashed)
            uidset_add(uids, v->folder->rows[i].uid);
}

static enum err still_there(void *arg, const struct imapc_message *message)
{
    struct verifying *v = arg;
    const struct sync_row *row = sync_row_of_uid(v->folder, message->uid);
    if (row)
        v->far[row - v->folder->rows].bytes_differ = true;
    return ERR_OK;
}

/* What did not come is not equal: the server has it and does not give it, or it was removed meanwhile. */
static enum err check_unhashed(struct verifying *v)
{
    struct uidset uids;
    enum err e = ERR_OK;
    uidset_init(&uids);
    add_unhashed(v, &uids);
    if (!uidset_empty(&uids))
        e = imapc_each_of(v->options->imap, &uids, "", still_there, v);
    for (size_t i = 0; e == ERR_OK && i < v->folder->count; i++) {
        const struct sync_row *row = &v->folder->rows[i];
        if (!uidset_has(&uids, row->uid) || v->far[i].bytes_differ)
            continue;
        v->far[i].has_near = false;
        found(v, VERIFY_NEXT, row->uid, name_of(row));
    }
    uidset_done(&uids);
    return e;
}

static enum err compare_bytes(struct verifying *v)
{
    struct uidset uids;
    enum err e = ERR_OK;
    uidset_init(&uids);
    add_unhashed(v, &uids);
    for (size_t at = 0; e == ERR_OK && at < uids.count;)
        e = hash_set(v, &uids, &at);
    uidset_done(&uids);
    return e == ERR_OK ? check_unhashed(v) : e;
}

/* ---- a folder ---- */

static enum err compare(struct verifying *v)
{
    struct sync_folder *folder = v->folder;
    TRY(ask(v));
    if (!folder->status.uidvalidity || folder->status.uidvalidity != folder->row.far.uidvalidity) {
        v->shown.whole = true;
        return ERR_OK;
    }
    for (size_t i = 0; i < folder->count; i++)
        TRY(compare_row(v, i));
    for (size_t i = 0; i < folder->near.count; i++)
        if (!folder->near.files[i].row && !folder->near.files[i].odd)
            found(v, VERIFY_NEXT, 0, folder->near.files[i].name);
    if (v->options->bytes)
        TRY(compare_bytes(v));
    for (size_t i = 0; i < folder->count; i++) {
        uint64_t before = v->shown.counts[VERIFY_FLAGS] + v->shown.counts[VERIFY_NEXT];
        if (!v->far[i].has_near)
            continue;
        compare_flags(v, i);
        if (v->far[i].bytes_differ)
            found(v, VERIFY_BYTES, folder->rows[i].uid, name_of(&folder->rows[i]));
        else
            v->shown.messages +=
                before == v->shown.counts[VERIFY_FLAGS] + v->shown.counts[VERIFY_NEXT];
    }
    return ERR_OK;
}

static enum err verify_one(struct verifying *v)
{
    struct sync_folder *folder = v->folder;
    enum err e = ERR_OK;
    if (folder->excluded || folder->noselect || folder->stopped ||
        (!folder->far_exists && !folder->near_exists))
        return ERR_OK;
    v->shown = (struct verify_folder){ .path = folder->row.path };
    v->kept_known = v->open = false;
    v->result = ERR_OK;
    v->shown.whole = !folder->far_exists || !folder->near_open || !folder->known;
    v->far = mem_zalloc(folder->count + 1, sizeof *v->far);
    if (!v->shown.whole)
        e = compare(v);
    free(v->far);
    if (e != ERR_OK && sync_is_fatal(folder->run, e))
        return e;
    if (e != ERR_OK)
        sync_stop_refused(folder);
    else
        hand_on(v);
    return ERR_OK;
}

static enum err steps(
    struct sync_run *run, const struct verify_options *options, struct verify_counts *counts)
{
    TRY(sync_list(run));
    TRY(sync_gather_near(run));
    for (size_t i = 0; i < run->count; i++) {
        struct verifying v = { .options = options, .counts = counts, .folder = &run->folders[i] };
        TRY(verify_one(&v));
    }
    return ERR_OK;
}

enum err sync_verify(const struct verify_options *options, struct verify_counts *out_counts,
    struct client_failure *failure)
{
    /* a dry run opens Maildirs for reading only, and completes nothing */
    struct sync_options as_sync = { .imap = options->imap,
        .account = options->account,
        .state_folder = options->state_folder,
        .dry_run = true,
        .tell = options->tell,
        .arg = options->arg };
    struct sync_counts counts = { 0 };
    *failure = (struct client_failure){ .why = CLIENT_WHY_NONE };
    *out_counts = (struct verify_counts){ 0 };
    struct sync_run run = { .options = &as_sync,
        .root_fd = -1,
        .begin_s = clock_wall_s(),
        .counts = &counts,
        .failure = failure,
        .note = &failure->note };
    enum err e = sync_open(&run);
    bool opened = e == ERR_OK;
    if (opened)
        e = steps(&run, options, out_counts);
    if (e != ERR_OK)
        e = sync_failed(&run, e, opened);
    out_counts->stopped = counts.stopped;
    sync_release(&run);
    return e;
}
