/* Folders of the account that is copied to, and messages on their way there. */
#include "copy/target.h"

#include "base/clock.h"
#include "base/map.h"
#include "message/header.h"
#include "proto/imap/imap_date.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SETTLE_STEP_MS 100

void copy_target_init(struct copy_target *target)
{
    *target = (struct copy_target){ .imap = NULL };
    buf_init(&target->quoted, 0);
    uidset_init(&target->done);
    uidset_init(&target->nameless);
}

static void forget_folder(struct copy_target *target)
{
    free(target->from_name);
    target->from_name = NULL;
    journal_folder_done(&target->row);
    imapc_box_done(&target->box);
    target->row = (struct journal_folder){ 0 };
    target->box = (struct imapc_box){ 0 };
    buf_clear(&target->quoted);
    uidset_clear(&target->done);
    uidset_clear(&target->nameless);
    target->unnamed = 0;
    target->sending = target->fresh = false;
}

void copy_target_done(struct copy_target *target)
{
    forget_folder(target);
    buf_done(&target->quoted);
    uidset_done(&target->done);
    uidset_done(&target->nameless);
}

/* An error of the journal's, told from those of the server. */
static enum err here(struct copy_target *target, enum err e)
{
    target->broken_here = target->broken_here || e != ERR_OK;
    return e;
}

static enum err commit(struct copy_target *target)
{
    target->batch = 0;
    target->commit_ms = clock_mono_ms();
    return here(target, journal_commit(target->journal));
}

static enum err put_row(struct copy_target *target)
{
    return here(target, journal_put(target->journal, target->from_id, target->to_id,
                            target->from_name, &target->row));
}

/* ---- folders ---- */

/* VERB "name" BEHIND */
static enum err command(struct copy_target *target, const char *verb)
{
    struct buf text;
    buf_init(&text, 0);
    buf_addf(&text, "%s %.*s", verb, SLICE_FMT(buf_slice(&target->quoted)));
    enum err e = imapc_command(target->imap, buf_slice(&text));
    buf_done(&text);
    return e;
}

/* ---- where it stands ---- */

struct uidnext {
    uint32_t value;
};

static enum err uidnext_data(struct imapc_task *task, const struct imap_reply *reply)
{
    struct uidnext *next = task->owner;
    if (slice_eq_nocase(reply->name, SLICE("STATUS")) && reply->values)
        (void)!imap_value_u32(imap_value_item(reply->values->next, SLICE("UIDNEXT")), &next->value);
    return ERR_OK;
}

/* 0: the server does not say. */
static enum err ask_uidnext(struct copy_target *target, uint32_t *out_uidnext)
{
    struct uidnext next = { .value = 0 };
    struct imapc_task task = { .data = uidnext_data, .owner = &next };
    imapc_queuef(
        target->imap, &task, "STATUS %.*s (UIDNEXT)", SLICE_FMT(buf_slice(&target->quoted)));
    TRY(imapc_run(target->imap, &task));
    *out_uidnext = next.value;
    return ERR_OK;
}

/* Waits until nothing more of a torn run comes into the folder; then it is looked at once more. */
static enum err settle(struct copy_target *target, struct journal_folder *now)
{
    const struct timespec step = { .tv_nsec = SETTLE_STEP_MS * 1000000L };
    int64_t begin_ms = clock_mono_ms(), quiet_ms = begin_ms, now_ms = begin_ms;
    uint32_t before = target->box.uidnext;
    while (now_ms - quiet_ms < target->settle_ms && now_ms - begin_ms < COPY_SETTLE_MS_MAX) {
        uint32_t uidnext;
        (void)nanosleep(&step, NULL);
        TRY(ask_uidnext(target, &uidnext));
        now_ms = clock_mono_ms();
        if (uidnext != before)
            quiet_ms = now_ms;
        before = uidnext;
    }
    imapc_box_done(&target->box);
    target->box = (struct imapc_box){ 0 };
    TRY(imapc_select(target->imap, now->to_name, target->dry_run, &target->box));
    now->to_validity = target->box.uidvalidity;
    return ERR_OK;
}

/* A torn run that sent into another folder than this is nothing to wait for. */
static bool may_be_busy(const struct copy_target *target, const struct journal_folder *now)
{
    const struct journal_folder *row = &target->row;
    return target->settle_ms && row->id && !target->fresh && row->busy_s &&
           clock_wall_s() - row->busy_s < COPY_BUSY_S && strcmp(row->to_name, now->to_name) == 0;
}

static bool same_row(const struct journal_folder *row, const struct journal_folder *now, bool fresh)
{
    return row->id && !fresh && row->from_validity == now->from_validity &&
           row->to_validity == now->to_validity && strcmp(row->to_name, now->to_name) == 0;
}

/* C-3. */
static enum err find_rows(struct copy_target *target, struct journal_folder *now)
{
    struct journal *journal = target->journal;
    TRY(here(target,
        journal_find(journal, target->from_id, target->to_id, target->from_name, &target->row)));
    if (may_be_busy(target, now))
        TRY(settle(target, now));
    if (same_row(&target->row, now, target->fresh))
        return here(
            target, journal_done(journal, target->row.id, &target->done, &target->nameless));
    now->id = target->row.id;
    now->subscribed = target->row.subscribed && !target->fresh;
    journal_folder_done(&target->row);
    target->row = *now;
    now->to_name = NULL;
    if (target->dry_run)
        return ERR_OK;
    if (target->row.id)
        TRY(here(target, journal_forget(journal, target->row.id)));
    TRY(put_row(target));
    return commit(target);
}

static enum err make_and_select(struct copy_target *target, const char *to_name, bool there)
{
    target->fresh = !there;
    if (!there && target->dry_run)
        return ERR_OK;
    enum err e = there ? ERR_OK : command(target, "CREATE");
    if (e == ERR_EXISTS) { /* it came meanwhile */
        target->fresh = false;
        e = ERR_OK;
    }
    TRY(e);
    return imapc_select(target->imap, to_name, target->dry_run, &target->box);
}

enum err copy_target_open(struct copy_target *target, const char *from_name, uint32_t from_validity,
    struct slice to_name, bool there)
{
    assert(target->waiting == 0);
    forget_folder(target);
    TRY(imapc_add_string(&target->quoted, to_name));
    struct journal_folder now = { .from_validity = from_validity,
        .to_name = mem_strndup(to_name.ptr, to_name.len) };
    target->from_name = mem_strdup(from_name);
    enum err e = make_and_select(target, now.to_name, there);
    now.to_validity = target->box.uidvalidity;
    if (e == ERR_OK)
        e = find_rows(target, &now);
    journal_folder_done(&now);
    return e;
}

enum err copy_target_subscribe(struct copy_target *target)
{
    if (target->row.subscribed || target->dry_run)
        return ERR_OK;
    enum err e = command(target, "SUBSCRIBE");
    if (e != ERR_OK)
        return imapc_is_broken(target->imap) ? e : ERR_OK;
    target->row.subscribed = true;
    TRY(put_row(target));
    return commit(target);
}

/* ---- what is there ---- */

uint64_t copy_message_id(const uint64_t key[2], struct slice header)
{
    struct msg_field field;
    if (!msg_field_find(header, SLICE("Message-ID"), &field))
        return 0;
    struct slice id = slice_trim(field.value);
    if (id.len == 0)
        return 0;
    uint64_t hash = map_hash(key, id);
    return hash ? hash : 1;
}

struct listing {
    struct copy_list *list;
    const uint64_t *key;
    size_t most;
};

static enum err list_one(void *arg, const struct imapc_message *m)
{
    struct listing *listing = arg;
    if (listing->list->count == listing->most)
        return ERR_LIMIT;
    (void)copy_list_add(
        listing->list, &(struct copy_message){ .uid = m->uid,
                           .bytes = m->bytes,
                           .received_s = m->received_s,
                           .message_id = copy_message_id(listing->key, m->header) });
    return ERR_OK;
}

static enum err list_set(
    struct copy_target *target, const struct uidset *uids, struct listing *listing)
{
    struct buf set;
    enum err e = ERR_OK;
    buf_init(&set, 0);
    for (size_t at = 0; e == ERR_OK && at < uids->count;) {
        buf_clear(&set);
        imapc_add_set(&set, uids, &at);
        e = imapc_each(
            target->imap, buf_slice(&set), false, "MESSAGE-ID", listing->most, list_one, listing);
    }
    buf_done(&set);
    return e;
}

enum err copy_target_list(
    struct copy_target *target, const uint64_t key[2], struct copy_list *there)
{
    const struct imapc_box *box = &target->box;
    struct listing listing = { .list = there, .key = key, .most = (size_t)box->exists + 1000 };
    struct uidset uids, used;
    if (target->fresh || box->exists == 0)
        return ERR_OK;
    uidset_init(&uids);
    uidset_init(&used);
    uidset_add_run(&uids, target->row.bound ? target->row.bound : 1,
        box->uidnext ? box->uidnext - 1 : UINT32_MAX);
    enum err e = here(target, journal_used(target->journal, target->from_id, target->to_id,
                                  target->row.to_name, target->row.to_validity, &used));
    uidset_subtract(&uids, &used);
    if (e == ERR_OK)
        e = list_set(target, &uids, &listing);
    uidset_done(&used);
    uidset_done(&uids);
    return e;
}

static enum err add_row(struct copy_target *target, const struct copy_item *item, uint32_t to_uid)
{
    struct journal *journal = target->journal;
    TRY(here(target, item->uid ? journal_add(journal, target->row.id, item->uid, to_uid)
                               : journal_add_id(journal, target->row.id,
                                     slice_from(item->id, sizeof item->id), to_uid)));
    bool soon = clock_mono_ms() - target->commit_ms < COPY_BATCH_MS;
    if (++target->batch < COPY_BATCH_MESSAGES && soon)
        return ERR_OK;
    if (target->sending) {
        target->row.busy_s = clock_wall_s();
        TRY(put_row(target));
    }
    return commit(target);
}

enum err copy_target_record(
    struct copy_target *target, const struct copy_item *item, uint32_t to_uid)
{
    return target->dry_run ? ERR_OK : add_row(target, item, to_uid);
}

/* ---- hashes ---- */

static enum err hash_begin(void *arg, uint64_t bytes)
{
    (void)bytes;
    (void)crypto_hash_sha256_init(arg);
    return ERR_OK;
}

static enum err hash_piece(void *arg, struct slice piece)
{
    (void)crypto_hash_sha256_update(arg, (const unsigned char *)piece.ptr, piece.len);
    return ERR_OK;
}

enum err copy_hash_message(
    struct imapc *imap, uint32_t uid, unsigned char out_hash[COPY_HASH_BYTES])
{
    crypto_hash_sha256_state state;
    struct imapc_take take = { .begin = hash_begin, .piece = hash_piece, .arg = &state };
    enum err e = imapc_read_message(imap, uid, &take);
    if (e == ERR_OK)
        (void)crypto_hash_sha256_final(&state, out_hash);
    return e == ERR_OK || imapc_is_broken(imap) ? e : ERR_NOT_FOUND;
}

/* ---- messages on their way ---- */

static bool is_system(struct slice flag)
{
    static const struct slice names[] = { SLICE_CONST("\\Seen"), SLICE_CONST("\\Answered"),
        SLICE_CONST("\\Flagged"), SLICE_CONST("\\Deleted"), SLICE_CONST("\\Draft") };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (slice_eq_nocase(flag, names[i]))
            return true;
    return false;
}

/* Without a PERMANENTFLAGS all are kept (RFC 9051 §6.3.2). */
static bool keeps(const struct imapc_box *box, struct slice keyword)
{
    struct slice kept = slice_of(box->keywords), one;
    if (!box->keywords || box->any_keyword)
        return true;
    while (slice_cut(&kept, ' ', &one))
        if (slice_eq_nocase(one, keyword))
            return true;
    return false;
}

/* "(\\Seen $x)": those of the system, and keywords that the folder keeps and the command has room for. */
static void add_flags(struct copy_put *put, struct buf *out)
{
    struct copy_target *target = put->target;
    struct slice flags = put->item.flags, flag;
    bool lost = false;
    buf_addc(out, '(');
    while (slice_cut(&flags, ' ', &flag)) {
        bool system = is_system(flag), mine = !system && flag.len && flag.ptr[0] != '\\';
        bool fits = buf_len(out) + flag.len + 2 <= COPY_FLAGS_BYTES_MAX;
        bool kept = mine && fits && !put->item.plain && keeps(&target->box, flag);
        lost |= mine && !kept;
        put->keywords |= kept;
        if (system || kept)
            buf_addf(out, "%s%.*s", out->mem[out->end - 1] == '(' ? "" : " ", SLICE_FMT(flag));
    }
    buf_addc(out, ')');
    if (lost)
        target->keywords_lost(target->arg);
}

static enum copy_answer answer_of(const struct copy_put *put, const struct imap_reply *reply)
{
    static const struct {
        struct slice code;
        enum copy_answer answer;
    } rows[] = {
        { SLICE_CONST("TOOBIG"), COPY_TOO_BIG },
        { SLICE_CONST("LIMIT"), COPY_TOO_BIG },
        { SLICE_CONST("OVERQUOTA"), COPY_FULL },
        { SLICE_CONST("TRYCREATE"), COPY_NO_FOLDER },
        { SLICE_CONST("NONEXISTENT"), COPY_NO_FOLDER },
        { SLICE_CONST("NOPERM"), COPY_NO_FOLDER },
    };
    if (reply->status == IMAP_STATUS_OK)
        return COPY_STORED;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (slice_eq_nocase(reply->code, rows[i].code))
            return rows[i].answer;
    return put->keywords ? COPY_KEYWORDS : COPY_REFUSED;
}

/* The ring moves on: answers come in the order of the commands. */
static enum err put_done(struct imapc_task *task, const struct imap_reply *reply)
{
    struct copy_put *put = task->owner;
    struct copy_target *target = put->target;
    uint32_t uidvalidity = 0, uid = 0;
    target->first = (target->first + 1) % COPY_IN_FLIGHT_MAX;
    target->waiting--;
    enum copy_answer answer = answer_of(put, reply);
    if (answer == COPY_STORED && !put->ended)
        return ERR_SYNTAX; /* it took what it has not got */
    if (answer == COPY_STORED) {
        /* a UID of another UIDVALIDITY means nothing here */
        if (!imapc_append_uid(reply, &uidvalidity, &uid) ||
            uidvalidity != target->row.to_validity) {
            uid = 0;
            target->unnamed++;
        }
        TRY(add_row(target, &put->item, uid));
    }
    return target->answered(target->arg, &put->item, answer, reply->text);
}

/* C-2. */
static enum err begin_sending(struct copy_target *target)
{
    if (target->sending)
        return ERR_OK;
    target->row.busy_s = clock_wall_s();
    TRY(put_row(target));
    TRY(commit(target));
    target->sending = true;
    return ERR_OK;
}

static enum err send_header(
    struct copy_target *target, struct copy_put *put, uint64_t bytes, bool *out_go)
{
    struct buf flags, date;
    buf_init(&flags, 0);
    buf_init(&date, 0);
    add_flags(put, &flags);
    if (put->item.received_s)
        imap_datetime_write(&date, put->item.received_s, put->item.zone_min);
    enum err e = imapc_append_begin(target->imap, &put->task, buf_slice(&target->quoted),
        buf_slice(&flags), buf_slice(&date), bytes, out_go);
    buf_done(&date);
    buf_done(&flags);
    return e;
}

enum err copy_put_begin(
    struct copy_target *target, const struct copy_item *item, uint64_t bytes, bool *out_go)
{
    assert(!target->open);
    TRY(begin_sending(target));
    if (target->waiting == COPY_IN_FLIGHT_MAX)
        TRY(imapc_run(target->imap, &target->puts[target->first].task));
    struct copy_put *put = &target->puts[(target->first + target->waiting) % COPY_IN_FLIGHT_MAX];
    *put = (struct copy_put){ .target = target, .item = *item };
    put->task = (struct imapc_task){ .done = put_done, .owner = put };
    target->waiting++;
    TRY(send_header(target, put, bytes, &target->open));
    *out_go = target->open;
    return ERR_OK;
}

enum err copy_put_piece(struct copy_target *target, struct slice piece)
{
    return imapc_append_piece(target->imap, piece);
}

enum err copy_put_end(struct copy_target *target)
{
    size_t last = (target->first + target->waiting - 1) % COPY_IN_FLIGHT_MAX;
    target->puts[last].ended = true;
    target->open = false;
    return imapc_append_end(target->imap);
}

enum err copy_put_drain(struct copy_target *target)
{
    while (target->waiting)
        TRY(imapc_run(target->imap, &target->puts[target->first].task));
    return ERR_OK;
}

void copy_put_abandon(struct copy_target *target)
{
    size_t begun = target->open ? 1 : 0;
    while (target->waiting > begun &&
           imapc_run(target->imap, &target->puts[target->first].task) == ERR_OK)
        ;
    imapc_append_cut(target->imap);
    target->waiting = 0;
    target->open = false;
}

/* ---- the end of a folder ---- */

/* From where on messages without a row may be copies of what has none yet. When the server said all UIDs, ours are known however high; else they are below what
 * comes next now. */
static enum err find_bound(struct copy_target *target, uint32_t *out_bound)
{
    *out_bound = target->box.uidnext;
    return target->unnamed ? ask_uidnext(target, out_bound) : ERR_OK;
}

enum err copy_target_finish(struct copy_target *target, bool whole)
{
    uint32_t bound = 0;
    if (target->dry_run)
        return ERR_OK;
    TRY(commit(target));
    if (whole)
        TRY(find_bound(target, &bound));
    if (!whole || (bound == target->row.bound && !target->row.busy_s))
        return ERR_OK;
    target->row.bound = bound;
    target->row.busy_s = 0;
    TRY(put_row(target));
    return commit(target);
}
