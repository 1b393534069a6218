/* Messages filed in a mailbox: APPEND, deliveries, and what sending files itself.
 *
 * Always true: a row that names a big file is committed only after the file and its name in big/ were synced (S-2). */
#include "store/account.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/rand.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* 48 bits of milliseconds, then randomness, version and variant as RFC 9562 has them for UUIDv7: ids sort by time. */
void guid_new(unsigned char *out)
{
    rand_bytes(out, GUID_BYTES);
    uint64_t now_ms = (uint64_t)clock_wall_ms();
    for (int i = 0; i < 6; i++)
        out[i] = (unsigned char)(now_ms >> (40 - 8 * i));
    out[6] = (unsigned char)(0x70 | (out[6] & 0x0f));
    out[8] = (unsigned char)(0x80 | (out[8] & 0x3f));
}

/* With its NUL. */
static void big_path(const unsigned char *guid, struct buf *out)
{
    buf_adds(out, "big/");
    hex_encode(out, slice_from(guid, GUID_BYTES));
    buf_addc(out, 0);
}

static enum err link_file(struct account *account, const struct blob *blob, const char *path)
{
    if (linkat(account->store->root_fd, blob_file(blob), account->folder_fd, path, 0) == 0)
        return ERR_OK;
    return err_from_errno(errno);
}

/* Makes way for a body of this guid. Mostly what stands there belongs to nobody: a crash came between its link and its commit, and the delivery comes again
 * under the same guid; or its message was expunged and is brought back before the sweep. ERR_EXISTS: a message has it. */
static enum err free_name(struct account *account, const unsigned char *guid, const char *path)
{
    sqlite3_stmt *statement;
    bool named;
    TRY(sql_get(&account->sql, SQL_EMAIL_BY_GUID, &statement));
    sql_bind_bytes(statement, 1, slice_from(guid, GUID_BYTES));
    TRY(sql_number(&account->sql, statement, &(int64_t){ 0 }, &named));
    if (named)
        return ERR_EXISTS;
    return unlinkat(account->folder_fd, path, 0) == 0 ? ERR_OK : err_from_errno(errno);
}

/* Links a body that is a file into big/ and syncs the name. ERR_EXISTS: a message of this guid is there. */
static enum err link_big(struct store_tx *tx, const struct blob *blob, const unsigned char *guid)
{
    struct account *account = tx->account;
    struct buf name;
    buf_init(&name, 0);
    big_path(guid, &name);
    const char *path = buf_slice(&name).ptr;
    enum err e = link_file(account, blob, path);
    if (e == ERR_EXISTS) {
        e = free_name(account, guid, path);
        if (e == ERR_OK)
            e = link_file(account, blob, path);
    }
    if (e == ERR_OK) {
        tx_linked(tx, slice_from(path + 4, BIG_NAME_LEN));
        e = store_sync_dir(account->folder_fd, "big");
    }
    buf_done(&name);
    return e;
}

enum err tx_email_insert(struct store_tx *tx, struct blob *blob, const unsigned char *guid,
    unsigned refs, int64_t received_s, int32_t received_tz_min, int64_t *out_email)
{
    struct account *account = tx->account;
    sqlite3_stmt *statement;
    if (blob_file(blob))
        TRY(link_big(tx, blob, guid));
    TRY(sql_get(&account->sql, SQL_EMAIL_INSERT, &statement));
    int64_t email = ++account->last_email;
    (void)sqlite3_bind_int64(statement, 1, email);
    (void)sqlite3_bind_int64(statement, 2, refs);
    (void)sqlite3_bind_int64(statement, 3, (int64_t)blob_size(blob));
    (void)sqlite3_bind_int64(statement, 4, received_s);
    (void)sqlite3_bind_int64(statement, 5, received_tz_min);
    (void)sqlite3_bind_int64(statement, 6, (int64_t)blob_checksum(blob));
    sql_bind_bytes(statement, 7, slice_from(guid, GUID_BYTES));
    TRY(sql_done(&account->sql, statement));
    TRY(sql_get(&account->sql, SQL_SUMMARY_INSERT, &statement));
    (void)sqlite3_bind_int64(statement, 1, email);
    sql_bind_bytes(statement, 2, blob_summary(blob));
    TRY(sql_done(&account->sql, statement));
    if (!blob_file(blob)) {
        TRY(sql_get(&account->sql, SQL_BODY_INSERT, &statement));
        (void)sqlite3_bind_int64(statement, 1, email);
        sql_bind_bytes(statement, 2, blob_source(blob).whole);
        TRY(sql_done(&account->sql, statement));
    }
    *out_email = email;
    return ERR_OK;
}

static enum err email_delete(
    struct store_tx *tx, int64_t email, bool big, const unsigned char *guid)
{
    static const enum sql steps[] = { SQL_EMAIL_DELETE, SQL_SUMMARY_DELETE, SQL_FILTER_DELETE,
        SQL_DOWNLOAD_DELETE, SQL_UIDL_DELETE, SQL_BODY_DELETE };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        sqlite3_stmt *statement;
        TRY(sql_get(&tx->account->sql, steps[i], &statement));
        (void)sqlite3_bind_int64(statement, 1, email);
        TRY(sql_done(&tx->account->sql, statement));
    }
    /* Changes of the last statement: no row in body means a file. */
    if (big || sqlite3_changes(tx->account->sql.db) == 0) {
        struct buf name;
        buf_init(&name, 0);
        hex_encode(&name, slice_from(guid, GUID_BYTES));
        tx_removed(tx, buf_slice(&name));
        buf_done(&name);
    }
    return ERR_OK;
}

static enum err add_refs(struct store_tx *tx, int64_t email, int64_t delta)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&tx->account->sql, SQL_EMAIL_REFS_ADD, &statement));
    (void)sqlite3_bind_int64(statement, 1, email);
    (void)sqlite3_bind_int64(statement, 2, delta);
    TRY(sql_done(&tx->account->sql, statement));
    return sqlite3_changes(tx->account->sql.db) == 1 ? ERR_OK : ERR_CORRUPT;
}

/* The last one goes without its row being written first. */
enum err tx_email_refs(struct store_tx *tx, int64_t email, int64_t delta)
{
    sqlite3_stmt *statement;
    if (delta > 0)
        return add_refs(tx, email, delta);
    TRY(sql_get(&tx->account->sql, SQL_EMAIL_REFS, &statement));
    (void)sqlite3_bind_int64(statement, 1, email);
    bool row;
    TRY(sql_step(&tx->account->sql, statement, &row));
    if (!row)
        return ERR_CORRUPT;
    int64_t refs = sqlite3_column_int64(statement, 0) + delta;
    unsigned char guid[GUID_BYTES];
    struct slice bytes = sql_bytes(statement, 1);
    bool guid_ok = bytes.len == GUID_BYTES;
    if (guid_ok)
        memcpy(guid, bytes.ptr, GUID_BYTES);
    (void)sqlite3_reset(statement);
    if (!guid_ok || refs < 0)
        return ERR_CORRUPT;
    return refs == 0 ? email_delete(tx, email, false, guid) : add_refs(tx, email, delta);
}

enum err tx_entry_insert(
    struct store_tx *tx, struct mailbox_row *row, int64_t email, uint64_t flags, uint64_t modseq)
{
    if (row->uidnext == UINT32_MAX)
        return ERR_LIMIT; /* no UID left in this mailbox */
    sqlite3_stmt *statement;
    TRY(sql_get(&tx->account->sql, SQL_ENTRY_INSERT, &statement));
    (void)sqlite3_bind_int64(statement, 1, row->id);
    (void)sqlite3_bind_int64(statement, 2, row->uidnext);
    (void)sqlite3_bind_int64(statement, 3, email);
    (void)sqlite3_bind_int64(statement, 4, (int64_t)flags);
    (void)sqlite3_bind_int64(statement, 5, (int64_t)modseq);
    TRY(sql_done(&tx->account->sql, statement));
    row->uidnext++;
    return ERR_OK;
}

/* ---- account_append ---- */

struct append_args {
    int64_t mailbox;
    const struct store_append *items;
    size_t count;
    struct store_append_result *result;
    bool is_warning; /* fits whatever the quota says */
};

static enum err was_delivered(struct store_tx *tx, const unsigned char *guid, bool *out_was)
{
    sqlite3_stmt *statement;
    int64_t at;
    TRY(sql_get(&tx->account->sql, SQL_DELIVERED, &statement));
    sql_bind_bytes(statement, 1, slice_from(guid, GUID_BYTES));
    return sql_number(&tx->account->sql, statement, &at, out_was);
}

static enum err remember_delivered(struct store_tx *tx, const unsigned char *guid)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&tx->account->sql, SQL_DELIVERED_INSERT, &statement));
    sql_bind_bytes(statement, 1, slice_from(guid, GUID_BYTES));
    (void)sqlite3_bind_int64(statement, 2, tx->now_s);
    return sql_done(&tx->account->sql, statement);
}

/* A client that files its own copy of what it just sent finds it there (DESIGN §8). */
static enum err filed_already(struct store_tx *tx, const struct mailbox_row *row, struct blob *blob,
    uint32_t *out_uid, unsigned char *out_key, bool *out_has_key)
{
    *out_uid = 0;
    *out_has_key = false;
    if (row->use != STORE_USE_SENT)
        return ERR_OK;
    TRY(filed_key(blob, out_key, out_has_key));
    if (!*out_has_key)
        return ERR_OK;
    sqlite3_stmt *statement;
    TRY(sql_get(&tx->account->sql, SQL_FILED, &statement));
    sql_bind_bytes(statement, 1, slice_from(out_key, GUID_BYTES));
    (void)sqlite3_bind_int64(statement, 2, tx->now_s - FILED_SAME_S);
    bool found;
    TRY(sql_step(&tx->account->sql, statement, &found));
    if (!found)
        return ERR_OK;
    if (sqlite3_column_int64(statement, 0) == row->id)
        *out_uid = (uint32_t)sqlite3_column_int64(statement, 1);
    (void)sqlite3_reset(statement);
    return ERR_OK;
}

static enum err remember_filed(
    struct store_tx *tx, const struct mailbox_row *row, const unsigned char *key, uint32_t uid)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&tx->account->sql, SQL_FILED_SET, &statement));
    sql_bind_bytes(statement, 1, slice_from(key, GUID_BYTES));
    (void)sqlite3_bind_int64(statement, 2, tx->now_s);
    (void)sqlite3_bind_int64(statement, 3, row->id);
    (void)sqlite3_bind_int64(statement, 4, uid);
    return sql_done(&tx->account->sql, statement);
}

bool store_uidl_ok(struct slice uidl)
{
    bool ok = uidl.len > 0 && uidl.len <= STORE_UIDL_BYTES_MAX;
    for (size_t i = 0; i < uidl.len && ok; i++)
        ok = slice_at(uidl, i) >= 0x21 && slice_at(uidl, i) <= 0x7e;
    return ok;
}

static enum err keep_uidl(struct store_tx *tx, int64_t email, struct slice uidl, size_t *refused)
{
    sqlite3_stmt *statement;
    if (uidl.len == 0)
        return ERR_OK;
    if (!store_uidl_ok(uidl)) {
        ++*refused;
        return ERR_OK;
    }
    TRY(sql_get(&tx->account->sql, SQL_UIDL_INSERT, &statement));
    (void)sqlite3_bind_int64(statement, 1, email);
    sql_bind_text(statement, 2, uidl);
    TRY(sql_done(&tx->account->sql, statement));
    *refused += sqlite3_changes(tx->account->sql.db) == 0;
    return ERR_OK;
}

static enum err keep_mark(struct store_tx *tx, int64_t email, const struct store_mark *mark)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&tx->account->sql, SQL_DOWNLOAD_RESTORE, &statement));
    (void)sqlite3_bind_int64(statement, 1, email);
    (void)sqlite3_bind_int64(statement, 2, mark->device);
    (void)sqlite3_bind_int64(statement, 3, mark->taken_s);
    (void)sqlite3_bind_int(statement, 4, mark->hidden);
    return sql_done(&tx->account->sql, statement);
}

/* What was known of a message where it comes from. */
static enum err keep_known(
    struct store_tx *tx, int64_t email, const struct store_append *item, size_t *uidls_refused)
{
    if (!item->restored)
        return ERR_OK;
    TRY(keep_uidl(tx, email, item->uidl, uidls_refused));
    for (size_t i = 0; i < item->mark_count; i++)
        TRY(keep_mark(tx, email, &item->marks[i]));
    return ERR_OK;
}

static enum err append_one(struct store_tx *tx, struct mailbox_row *row,
    const struct store_append *item, struct tx_counts *counts, size_t *uidls_refused)
{
    unsigned char guid[GUID_BYTES];
    if (item->guid && !item->restored) {
        bool was;
        TRY(was_delivered(tx, item->guid, &was));
        if (was)
            return ERR_EXISTS;
        TRY(remember_delivered(tx, item->guid));
    }
    if (item->restored)
        memcpy(guid, item->guid, GUID_BYTES);
    else
        guid_new(guid); /* also of a delivery: its own says when the message was filed */
    uint64_t bits;
    bool full = false; /* a keyword too many is left out: the mail matters more */
    TRY(tx_flag_bits(tx, &item->flags, &bits, &full));
    if (!tx_room_ok(tx, item->blob))
        return ERR_NO_SPACE;
    int64_t email;
    TRY(tx_email_insert(tx, item->blob, guid, 1, item->received_s, item->received_tz_min, &email));
    TRY(tx_entry_insert(tx, row, email, bits, tx_modseq(tx)));
    TRY(keep_known(tx, email, item, uidls_refused));
    counts->messages++;
    counts->bytes += (int64_t)blob_size(item->blob);
    counts->unseen += bits & STORE_SEEN ? 0 : 1;
    counts->deleted += bits & STORE_DELETED ? 1 : 0;
    return ERR_OK;
}

/* Old marks go now and then, with a change that is made anyway. */
static enum err trim_marks(struct store_tx *tx)
{
    if (tx_modseq(tx) % 256 != 0)
        return ERR_OK;
    sqlite3_stmt *statement;
    TRY(sql_get(&tx->account->sql, SQL_DELIVERED_TRIM, &statement));
    (void)sqlite3_bind_int64(statement, 1, tx->now_s - DELIVERED_DAYS * 86400);
    TRY(sql_done(&tx->account->sql, statement));
    TRY(sql_get(&tx->account->sql, SQL_FILED_TRIM, &statement));
    (void)sqlite3_bind_int64(statement, 1, tx->now_s - 86400);
    return sql_done(&tx->account->sql, statement);
}

static enum err append_write(struct store_tx *tx, void *write_arg)
{
    struct append_args *args = write_arg;
    struct mailbox_row row;
    TRY(mailbox_row_selectable(tx->account, args->mailbox, &row));
    args->result->uidvalidity = row.uidvalidity;
    uint64_t bytes = 0;
    for (size_t i = 0; i < args->count; i++)
        bytes += blob_size(args->items[i].blob);
    unsigned char key[GUID_BYTES];
    bool has_key = false;
    if (args->count == 1) {
        uint32_t uid;
        TRY(filed_already(tx, &row, args->items[0].blob, &uid, key, &has_key));
        if (uid) {
            args->result->uid_first = uid;
            return ERR_OK;
        }
    }
    args->result->over_quota = !args->is_warning && !tx_quota_ok(tx, bytes, args->count);
    if (args->result->over_quota)
        return ERR_NO_SPACE;
    args->result->uid_first = row.uidnext;
    args->result->uidls_refused = 0;
    struct tx_counts counts = { 0 };
    for (size_t i = 0; i < args->count; i++)
        TRY(append_one(tx, &row, &args->items[i], &counts, &args->result->uidls_refused));
    if (args->count == 0)
        return ERR_OK;
    if (has_key)
        TRY(remember_filed(tx, &row, key, args->result->uid_first));
    TRY(tx_mailbox_changed(tx, row.id, row.uidnext, &counts));
    TRY(trim_marks(tx));
    uidset_add_run(
        &tx_change(tx, STORE_CHANGE_ADD, row.id)->uids, args->result->uid_first, row.uidnext - 1);
    return ERR_OK;
}

enum err account_append(struct account *account, int64_t mailbox, const struct store_append *items,
    size_t count, struct store_append_result *out_result)
{
    struct store_append_result result = { 0 };
    struct append_args args = {
        .mailbox = mailbox, .items = items, .count = count, .result = &result
    };
    enum err e = account_write(account, append_write, &args);
    if (e == ERR_OK || e == ERR_NO_SPACE)
        *out_result = result;
    return e;
}

/* ---- the warning of the quota ---- */

static enum err set_warned(struct store_tx *tx, bool warned)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&tx->account->sql, SQL_ACCOUNT_WARNED_SET, &statement));
    (void)sqlite3_bind_int(statement, 1, warned);
    return sql_done(&tx->account->sql, statement);
}

static enum err calm_write(struct store_tx *tx, void *unused)
{
    (void)unused;
    return set_warned(tx, false);
}

static enum err read_warned(struct account *account, bool *out_warned)
{
    sqlite3_stmt *statement;
    int64_t warned = 0;
    TRY(sql_get(&account->sql, SQL_ACCOUNT_WARNED, &statement));
    TRY(sql_number(&account->sql, statement, &warned, NULL));
    *out_warned = warned != 0;
    return ERR_OK;
}

static enum err warning_write(struct store_tx *tx, void *write_arg)
{
    bool warned;
    TRY(read_warned(tx->account, &warned));
    if (warned) /* by another thread, in this very transaction perhaps */
        return ERR_EXISTS;
    TRY(append_write(tx, write_arg));
    return set_warned(tx, true);
}

/* As it is committed now, whoever wrote last. */
static void refresh_warned(struct account *account)
{
    pthread_mutex_lock(&account->lock);
    bool warned;
    if (read_warned(account, &warned) == ERR_OK)
        account->quota_warned = warned;
    pthread_mutex_unlock(&account->lock);
}

static unsigned percent_of(uint64_t used, uint64_t most)
{
    if (most == 0)
        return 0;
    return used >= most ? 100 : (unsigned)((double)used * 100 / (double)most);
}

enum err account_quota_percent(struct account *account, unsigned *out_percent, bool *out_warned)
{
    struct account_usage usage;
    TRY(account_usage(account, &usage));
    unsigned bytes = percent_of(usage.bytes, account->quota_bytes);
    unsigned messages = percent_of(usage.messages, account->quota_messages);
    *out_percent = bytes > messages ? bytes : messages;
    pthread_mutex_lock(&account->lock);
    *out_warned = account->quota_warned;
    pthread_mutex_unlock(&account->lock);
    return ERR_OK;
}

enum err account_quota_warn(
    struct account *account, int64_t mailbox, const struct store_append *warning)
{
    struct store_append_result result = { 0 };
    struct append_args args = {
        .mailbox = mailbox, .items = warning, .count = 1, .result = &result, .is_warning = true
    };
    enum err e = account_write(account, warning_write, &args);
    refresh_warned(account);
    return e;
}

enum err account_quota_calm(struct account *account)
{
    enum err e = account_write(account, calm_write, NULL);
    refresh_warned(account);
    return e;
}

/* ---- what was derived ---- */

struct keep_args {
    const struct store_derived *derived;
    size_t count;
};

static enum err keep_one(struct store_tx *tx, enum sql sql, int64_t email, struct slice bytes)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&tx->account->sql, sql, &statement));
    (void)sqlite3_bind_int64(statement, 1, email);
    sql_bind_bytes(statement, 2, bytes);
    return sql_done(&tx->account->sql, statement);
}

static enum err keep_write(struct store_tx *tx, void *write_arg)
{
    const struct keep_args *args = write_arg;
    uint64_t bytes = 0;
    for (size_t i = 0; i < args->count; i++)
        bytes += args->derived[i].bytes.len;
    if (!store_has_room(
            tx->account->store, 2 * bytes, false)) /* log and database; mail comes first */
        return ERR_NO_SPACE;
    for (size_t i = 0; i < args->count; i++) {
        const struct store_derived *one = &args->derived[i];
        TRY(keep_one(tx, one->kind == STORE_DERIVED_FILTER ? SQL_FILTER_KEEP : SQL_SUMMARY_KEEP,
            one->email, one->bytes));
    }
    return ERR_OK;
}

enum err account_keep_derived(
    struct account *account, const struct store_derived *derived, size_t count)
{
    struct keep_args args = { derived, count };
    return count ? account_write(account, keep_write, &args) : ERR_OK;
}
