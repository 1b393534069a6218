/* Mail brought back from a copy of an account: what is missing is added to what is there, or the copy takes its place.
 *
 * Always true: adding removes and changes nothing that is there; a message comes back with the guid it had (so POP3 shows the UIDL it had) and a UID
 * that was never used; a copy that takes the place has UIDVALIDITYs and a modseq above all that were given out, and an epoch more (S-5). */
#include "store/account.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/dir.h"
#include "base/encode.h"
#include "store/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Of one transaction. */
#define BATCH_ROWS  64
#define BATCH_BYTES (1u << 20)
/* A copy's modseq is below what was given out after it was made by less than this: years of a million changes a day. */
#define EPOCH_MODSEQS (INT64_C(1) << 32)
/* Mailboxes that may still be made between the preparing and the replacing. */
#define EPOCH_UIDVALIDITIES 1000

/* Where a message of the copy is now. */
struct place {
    int64_t mailbox; /* 0: it was there before */
    uint32_t uid;
};

struct restoring {
    struct store *store;
    struct account *account, *copy;
    struct map places; /* guid -> struct place, owned */
    struct arena arena, rows;
    struct slice *keywords;
    size_t keyword_count;
    bool has_downloads; /* the copy knows of devices that took or removed something */
    bool has_uidls;     /* and of messages that another server gave names to */
    struct store_restore_result *result;
};

/* ---- adding what is missing ---- */

static enum err place_set(struct restoring *r, const unsigned char *guid, struct place place)
{
    struct place *kept = arena_zalloc(&r->arena, 1, sizeof *kept);
    if (!kept)
        return ERR_LIMIT;
    *kept = place;
    (void)map_put(&r->places, slice_from(guid, GUID_BYTES), kept);
    return ERR_OK;
}

static enum err know_guids(struct restoring *r)
{
    sqlite3_stmt *statement;
    static struct place before = { 0 };
    bool row = false;
    pthread_mutex_lock(&r->account->lock);
    enum err e = sql_get(&r->account->sql, SQL_GUIDS, &statement);
    while (e == ERR_OK && (e = sql_step(&r->account->sql, statement, &row)) == ERR_OK && row)
        (void)map_put(&r->places, sql_bytes(statement, 0), &before);
    pthread_mutex_unlock(&r->account->lock);
    return e;
}

static enum err copy_body(struct restoring *r, const struct store_row *row, struct blob *blob)
{
    if (row->body.ptr)
        return blob_write(blob, row->body);
    struct store_body *body;
    TRY(account_body(r->copy, row->email, &body));
    struct msg_source source = store_body_source(body);
    enum err e = blob_write_source(blob, &source);
    store_body_close(body);
    return e;
}

static enum err blob_for(struct restoring *r, const struct store_row *row, struct blob **out_blob)
{
    struct blob *blob;
    TRY(blob_new(r->store, row->size, &blob));
    enum err e = copy_body(r, row, blob);
    if (e == ERR_OK)
        e = blob_finish(blob);
    if (e == ERR_OK && blob_size(blob) != row->size)
        e = ERR_CORRUPT;
    if (e == ERR_OK)
        *out_blob = blob;
    else
        blob_unref(blob);
    return e;
}

static struct store_flags flags_for(struct restoring *r, uint64_t bits)
{
    struct store_flags flags = { .system = (unsigned)(bits & STORE_SYSTEM_FLAGS) };
    struct slice *names = arena_zalloc(&r->rows, r->keyword_count + 1, sizeof *names);
    for (size_t i = 0; names && i < r->keyword_count; i++)
        if (bits >> (STORE_KEYWORD_BIT_FIRST + i) & 1)
            names[flags.keyword_count++] = r->keywords[i];
    flags.keywords = names;
    return flags;
}

/* A second place of a message that came back already. */
static enum err add_place(
    struct restoring *r, int64_t mailbox, const struct place *place, const struct store_row *row)
{
    struct uidset uids;
    struct store_copy_result copied = { 0 };
    uidset_init(&uids);
    uidset_add(&uids, place->uid);
    enum err e = account_copy(r->account,
        &(struct store_copy_args){ .from = place->mailbox, .to = mailbox, .uids = &uids }, &copied);
    if (e == ERR_OK && !uidset_empty(&copied.target)) {
        struct store_flags_result set = { 0 };
        e = account_flags(r->account,
            &(struct store_flags_args){ .mailbox = mailbox,
                .uids = &copied.target,
                .how = STORE_FLAGS_SET,
                .flags = flags_for(r, row->flags) },
            &set);
        uidset_done(&set.done);
        uidset_done(&set.modified);
        r->result->added += e == ERR_OK;
    }
    uidset_done(&copied.source);
    uidset_done(&copied.target);
    uidset_done(&uids);
    return e;
}

struct batch {
    struct store_append items[BATCH_ROWS];
    size_t count;
};

/* ---- what is known of a message comes back with it: what devices took, and what it was called elsewhere ---- */

static enum err has_any(struct restoring *r, int schema_version, enum sql sql, bool *out_any)
{
    sqlite3_stmt *statement;
    int64_t any = 0;
    if (r->copy->schema_version < schema_version)
        return ERR_OK;
    pthread_mutex_lock(&r->copy->lock);
    enum err e = sql_get(&r->copy->sql, sql, &statement);
    if (e == ERR_OK)
        e = sql_number(&r->copy->sql, statement, &any, NULL);
    pthread_mutex_unlock(&r->copy->lock);
    *out_any = any != 0;
    return e == ERR_CORRUPT ? ERR_OK : e; /* the mail matters more */
}

/* What had been taken counts as taken today: who brings a message back wants to have it, and the days of a policy that began before the backup would
 * let it go again at once. */
static enum err read_marks(struct restoring *r, int64_t email, struct store_append *item)
{
    sqlite3_stmt *rows;
    struct store_mark *marks = NULL;
    size_t cap = 0;
    int64_t now_s = clock_wall_s();
    TRY(sql_get(&r->copy->sql, SQL_DOWNLOADS_OF, &rows));
    (void)sqlite3_bind_int64(rows, 1, email);
    for (;;) {
        bool row;
        enum err e = sql_step(&r->copy->sql, rows, &row);
        if (e != ERR_OK || !row)
            return e;
        if (item->mark_count == cap) {
            marks = arena_grow(&r->rows, marks, &cap, cap + 1, sizeof *marks);
            if (!marks) {
                (void)sqlite3_reset(rows);
                return ERR_LIMIT;
            }
            item->marks = marks;
        }
        marks[item->mark_count++] = (struct store_mark){ .device = sqlite3_column_int64(rows, 0),
            .taken_s = sqlite3_column_int64(rows, 1) ? now_s : 0,
            .hidden = sqlite3_column_int64(rows, 2) != 0 };
    }
}

static enum err read_uidl(struct restoring *r, int64_t email, struct store_append *item)
{
    sqlite3_stmt *statement;
    bool row;
    TRY(sql_get(&r->copy->sql, SQL_UIDL_OF, &statement));
    (void)sqlite3_bind_int64(statement, 1, email);
    TRY(sql_step(&r->copy->sql, statement, &row));
    if (!row)
        return ERR_OK;
    item->uidl = slice_dup(&r->rows, sql_text(statement, 0));
    (void)sqlite3_reset(statement);
    return item->uidl.ptr ? ERR_OK : ERR_LIMIT;
}

/* Before the write that files the message: it has the lock of the account here, and two accounts are never locked at once. */
static enum err read_known(struct restoring *r, int64_t email, struct store_append *item)
{
    enum err e = ERR_OK;
    pthread_mutex_lock(&r->copy->lock);
    if (r->has_downloads)
        e = read_marks(r, email, item);
    if (r->has_uidls && (e == ERR_OK || e == ERR_CORRUPT))
        e = read_uidl(r, email, item);
    pthread_mutex_unlock(&r->copy->lock);
    return e == ERR_CORRUPT ? ERR_OK : e;
}

static bool in_batch(const struct batch *batch, const unsigned char *guid)
{
    for (size_t i = 0; i < batch->count; i++)
        if (memcmp(batch->items[i].guid, guid, GUID_BYTES) == 0)
            return true;
    return false;
}

/* A message that has no name of its own is called by its guid (in hexadecimal), which nobody else may be called. */
static bool is_anothers_guid(const struct restoring *r, const struct batch *batch,
    struct slice uidl, const unsigned char *own_guid)
{
    unsigned char guid[GUID_BYTES];
    return uidl.len == 2 * GUID_BYTES && hex_decode(uidl, guid, sizeof guid) == ERR_OK &&
           memcmp(guid, own_guid, GUID_BYTES) != 0 &&
           (in_batch(batch, guid) || map_get(&r->places, slice_from(guid, GUID_BYTES)));
}

static enum err file_batch(struct restoring *r, int64_t mailbox, const struct batch *batch)
{
    struct store_append_result filed = { 0 };
    if (batch->count == 0)
        return ERR_OK;
    TRY(account_append(r->account, mailbox, batch->items, batch->count, &filed));
    for (size_t i = 0; i < batch->count; i++)
        TRY(place_set(r, batch->items[i].guid,
            (struct place){ .mailbox = mailbox, .uid = filed.uid_first + (uint32_t)i }));
    r->result->added += batch->count;
    for (size_t i = 0; i < batch->count; i++)
        r->result->uidls += batch->items[i].uidl.len > 0;
    r->result->uidls -= filed.uidls_refused;
    r->result->uidls_lost += filed.uidls_refused;
    return ERR_OK;
}

static void batch_clear(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        blob_unref(batch->items[i].blob);
    batch->count = 0;
}

static enum err add_row(
    struct restoring *r, int64_t mailbox, const struct store_row *row, struct batch *batch)
{
    if (in_batch(batch, row->guid)) { /* twice in one mailbox: the second is a copy of the first */
        TRY(file_batch(r, mailbox, batch));
        batch_clear(batch);
    }
    const struct place *place = map_get(&r->places, slice_from(row->guid, GUID_BYTES));
    if (place && place->mailbox)
        return add_place(r, mailbox, place, row);
    if (place) {
        r->result->there++;
        return ERR_OK;
    }
    struct blob *blob = NULL;
    enum err e = blob_for(r, row, &blob);
    if (e == ERR_CORRUPT ||
        e == ERR_LIMIT) { /* or longer than its row says; the others can still be had */
        r->result->damaged++;
        return ERR_OK;
    }
    TRY(e);
    struct store_append *item = &batch->items[batch->count++];
    *item = (struct store_append){ .blob = blob,
        .flags = flags_for(r, row->flags),
        .received_s = row->received_s,
        .received_tz_min = row->received_tz_min,
        .guid = row->guid,
        .restored = true };
    TRY(read_known(r, row->email, item));
    if (is_anothers_guid(r, batch, item->uidl, row->guid)) {
        item->uidl = SLICE_EMPTY;
        r->result->uidls_lost++;
    }
    return ERR_OK;
}

static enum err add_mailbox_rows(
    struct restoring *r, int64_t from, int64_t mailbox, const struct uidset *uids)
{
    struct store_read_args read = { .mailbox = from,
        .uids = uids,
        .need = STORE_NEED_BODY,
        .rows_max = BATCH_ROWS,
        .bytes_max = BATCH_BYTES };
    struct store_rows rows = { 0 };
    struct batch batch = { .count = 0 };
    do {
        arena_reset(&r->rows);
        enum err e = account_read(r->copy, &read, &r->rows, &rows);
        if (e == ERR_CORRUPT) { /* the other mailboxes can still be had */
            r->result->damaged++;
            return ERR_OK;
        }
        TRY(e);
        r->result->damaged += rows.damaged;
        for (size_t i = 0; i < rows.count && e == ERR_OK; i++)
            e = add_row(r, mailbox, &rows.at[i], &batch);
        if (e == ERR_OK)
            e = file_batch(r, mailbox, &batch);
        batch_clear(&batch);
        TRY(e);
        read.from_uid = rows.next_uid;
    } while (rows.next_uid);
    return ERR_OK;
}

static enum err target_of(struct restoring *r, const struct mailbox *from, int64_t *out_id)
{
    struct mailbox box;
    enum err e = account_mailbox(r->account, from->name, &r->arena, &box);
    if (e == ERR_OK && !box.noselect) {
        *out_id = box.id;
        return ERR_OK;
    }
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    enum store_special_use use = from->use; /* one mailbox for each use */
    if (use != STORE_USE_NONE && account_mailbox_by_use(r->account, use, &r->arena, &box) == ERR_OK)
        use = STORE_USE_NONE;
    TRY(mailbox_create(r->account, from->name, use, out_id));
    return from->subscribed ? mailbox_subscribe(r->account, from->name, true) : ERR_OK;
}

static bool is_asked_for(struct slice asked, struct slice name)
{
    if (slice_eq(name, SLICE("INBOX")))
        return asked.len == 0 || slice_eq_nocase(asked, name);
    return asked.len == 0 || slice_eq(asked, name);
}

static enum err add_mailboxes(struct restoring *r, const struct store_restore_args *args)
{
    struct mailbox *list;
    size_t count;
    bool found = false;
    TRY(account_mailboxes(r->copy, &r->arena, &list, &count));
    struct uidset uids;
    uidset_init(&uids);
    if (args->uid)
        uidset_add(&uids, args->uid);
    enum err e = ERR_OK;
    for (size_t i = 0; i < count && e == ERR_OK; i++) {
        int64_t id;
        if (!list[i].exists || list[i].noselect || !is_asked_for(args->mailbox, list[i].name))
            continue;
        found = true;
        e = target_of(r, &list[i], &id);
        if (e == ERR_OK)
            e = add_mailbox_rows(r, list[i].id, id, args->uid ? &uids : NULL);
    }
    uidset_done(&uids);
    bool nothing = r->result->added + r->result->there + r->result->damaged == 0;
    if (e == ERR_OK && args->mailbox.len > 0 && (!found || (args->uid && nothing)))
        return ERR_NOT_FOUND;
    return e;
}

enum err store_restore(struct store *store, struct slice id, const struct store_restore_args *args,
    struct store_restore_result *out_result)
{
    *out_result = (struct store_restore_result){ 0 };
    struct restoring r = { .store = store, .result = out_result };
    enum err e = store_snapshot(store->root_fd, args->folder, args->from_id, &r.copy);
    if (e == ERR_CORRUPT) {
        out_result->damaged = 1;
        return ERR_OK;
    }
    TRY(e);
    e = store_account(store, id, true, &r.account);
    if (e != ERR_OK) {
        store_snapshot_close(r.copy);
        return e;
    }
    map_init(&r.places);
    arena_init(&r.arena, SIZE_MAX);
    arena_init(&r.rows, COMMAND_ARENA_BYTES_MAX);
    e = know_guids(&r);
    if (e == ERR_OK)
        e = has_any(&r, STORE_SCHEMA_DOWNLOADS, SQL_DOWNLOADS_ANY, &r.has_downloads);
    if (e == ERR_OK)
        e = has_any(&r, STORE_SCHEMA_UIDLS, SQL_UIDLS_ANY, &r.has_uidls);
    if (e == ERR_OK && account_keywords(r.copy, &r.arena, &r.keywords, &r.keyword_count) != ERR_OK)
        r.keyword_count = 0;
    if (e == ERR_OK)
        e = add_mailboxes(&r, args);
    arena_done(&r.rows);
    arena_done(&r.arena);
    map_done(&r.places);
    account_unref(r.account);
    store_snapshot_close(r.copy);
    return e;
}

/* ---- taking the place ---- */

/* Numbers that the account here has given out, as far as they can be read. */
static void given_out(struct store *store, struct slice id, int64_t *uidvalidity, int64_t *modseq)
{
    struct account *account;
    sqlite3_stmt *statement;
    if (store_account(store, id, false, &account) != ERR_OK)
        return;
    pthread_mutex_lock(&account->lock);
    enum err e = sql_get(&account->sql, SQL_ACCOUNT_UIDVALIDITY, &statement);
    if (e == ERR_OK)
        e = sql_number(&account->sql, statement, uidvalidity, NULL);
    *modseq = e == ERR_OK ? (int64_t)account->modseq : 0;
    pthread_mutex_unlock(&account->lock);
    account_unref(account);
}

enum err account_raise(struct account *copy, struct slice id, int64_t uidvalidity, int64_t modseq)
{
    sqlite3_stmt *statement;
    enum err e = sql_get(&copy->sql, SQL_EPOCH_ACCOUNT, &statement);
    if (e == ERR_OK) {
        int64_t now_s = clock_wall_ms() / 1000;
        sql_bind_text(statement, 1, id);
        (void)sqlite3_bind_int64(
            statement, 2, EPOCH_UIDVALIDITIES + (uidvalidity > now_s ? uidvalidity : now_s));
        (void)sqlite3_bind_int64(statement, 3, modseq);
        (void)sqlite3_bind_int64(statement, 4, EPOCH_MODSEQS);
        e = sql_done(&copy->sql, statement);
    }
    static const enum sql steps[] = { SQL_EPOCH_MAILBOXES, SQL_EPOCH_UIDVALIDITY, SQL_EPOCH_GONE };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && e == ERR_OK; i++)
        e = sql_run(&copy->sql, steps[i]);
    return e;
}

static enum err raise_numbers(
    struct account *copy, struct slice id, int64_t uidvalidity, int64_t modseq)
{
    TRY(sql_begin(&copy->sql));
    return sql_end(&copy->sql, account_raise(copy, id, uidvalidity, modseq));
}

/* Every body that is a file is there, and is what came. */
static enum err check_big_bodies(struct account *copy)
{
    sqlite3_stmt *statement;
    int64_t email = 0;
    for (;;) {
        bool found;
        TRY(sql_get(&copy->sql, SQL_EMAIL_BIG_NEXT, &statement));
        (void)sqlite3_bind_int64(statement, 1, email);
        TRY(sql_number(&copy->sql, statement, &email, &found));
        if (!found)
            return ERR_OK;
        struct store_body *body;
        TRY(account_body(copy, email, &body));
        store_body_close(body);
    }
}

/* For writing, in its folder. */
static enum err open_copy(struct store *store, const struct store_restore_args *args,
    struct slice id, enum account_opening how, struct account **out_copy)
{
    struct account *copy = account_new(store, id);
    copy->folder_fd = openat(store->root_fd, args->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum err e = copy->folder_fd < 0 ? err_from_errno(errno) : account_db_open_at(copy, how);
    if (e != ERR_OK)
        account_db_close(copy, false);
    else
        *out_copy = copy;
    return e;
}

static enum err raise_copy(struct store *store, const struct store_restore_args *args,
    struct slice id, int64_t uidvalidity, int64_t modseq)
{
    struct account *copy;
    uint64_t damaged = 0;
    TRY(open_copy(store, args, args->from_id, ACCOUNT_EXISTING, &copy));
    enum err e = store_vfs_scan(copy->sql.db, false, NULL, NULL, &damaged);
    if (e == ERR_OK && damaged > 0)
        e = ERR_CORRUPT;
    if (e == ERR_OK)
        e = check_big_bodies(copy);
    if (e == ERR_OK)
        e = raise_numbers(copy, id, uidvalidity, modseq);
    if (e == ERR_OK)
        e = account_checkpoint(copy);
    account_db_close(copy, e == ERR_OK);
    if (e != ERR_OK || slice_eq(id, args->from_id))
        return e;
    /* whole a moment ago; now its pages are those of another id */
    TRY(open_copy(store, args, id, ACCOUNT_MEND, &copy));
    e = store_vfs_scan(copy->sql.db, true, NULL, NULL, &damaged);
    account_db_close(copy, false);
    return e;
}

enum err store_replace_prepare(
    struct store *store, struct slice id, const struct store_restore_args *args)
{
    if (!store_id_ok(id))
        return ERR_SYNTAX;
    int64_t uidvalidity = 0, modseq = 0;
    given_out(store, id, &uidvalidity, &modseq);
    TRY(raise_copy(store, args, id, uidvalidity, modseq));
    autoclose int folder_fd =
        openat(store->root_fd, args->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return folder_fd < 0 || syncfs(folder_fd) != 0 ? ERR_IO : ERR_OK;
}

enum err store_replace(struct store *store, struct slice id, const char *folder)
{
    pthread_mutex_lock(&store->lock);
    enum err e = store_account_shut(store, id);
    if (e == ERR_OK)
        e = store_swap_folder(store, id, folder);
    pthread_mutex_unlock(&store->lock);
    if (e == ERR_OK)
        (void)!dir_remove(store->root_fd, folder); /* what was there before; what stays is swept */
    return e;
}
