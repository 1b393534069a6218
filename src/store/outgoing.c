/* Mail that is to leave the account (S-9): rows written in the transaction that files the message in Sent, ended one by one by the outbox. */
#include "store/account.h"

#include <string.h>

#define FILED_BEFORE_S 86400 /* a copy in Sent older than this is another message */

struct submit_write {
    const struct store_submit *submit;
    bool over_quota;
};

static enum err find_filed(
    struct store_tx *tx, const struct mailbox_row *sent, const unsigned char *key, bool *out_found)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&tx->account->sql, SQL_FILED, &statement));
    sql_bind_bytes(statement, 1, slice_from(key, GUID_BYTES));
    (void)sqlite3_bind_int64(statement, 2, tx->now_s - FILED_BEFORE_S);
    bool row;
    TRY(sql_step(&tx->account->sql, statement, &row));
    *out_found = row && sqlite3_column_int64(statement, 0) == sent->id;
    if (row)
        (void)sqlite3_reset(statement);
    return ERR_OK;
}

static enum err set_filed(
    struct store_tx *tx, const struct mailbox_row *sent, const unsigned char *key, uint32_t uid)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&tx->account->sql, SQL_FILED_SET, &statement));
    sql_bind_bytes(statement, 1, slice_from(key, GUID_BYTES));
    (void)sqlite3_bind_int64(statement, 2, tx->now_s);
    (void)sqlite3_bind_int64(statement, 3, sent->id);
    (void)sqlite3_bind_int64(statement, 4, uid);
    return sql_done(&tx->account->sql, statement);
}

static enum err file_in(
    struct store_tx *tx, struct mailbox_row *row, int64_t email, uint64_t size, uint64_t flags)
{
    uint32_t uid = row->uidnext;
    struct tx_counts counts = {
        .messages = 1, .bytes = (int64_t)size, .unseen = flags & STORE_SEEN ? 0 : 1
    };
    TRY(tx_entry_insert(tx, row, email, flags, tx_modseq(tx)));
    TRY(tx_mailbox_changed(tx, row->id, row->uidnext, &counts));
    uidset_add(&tx_change(tx, STORE_CHANGE_ADD, row->id)->uids, uid);
    return ERR_OK;
}

static enum err insert_rows(struct store_tx *tx, const struct store_submit *submit, int64_t email)
{
    for (size_t i = 0; i < submit->recipient_count; i++) {
        sqlite3_stmt *statement;
        unsigned char guid[GUID_BYTES];
        guid_new(guid);
        TRY(sql_get(&tx->account->sql, SQL_OUTGOING_INSERT, &statement));
        (void)sqlite3_bind_int64(statement, 1, ++tx->account->last_outgoing);
        sql_bind_bytes(statement, 2, slice_from(guid, GUID_BYTES));
        (void)sqlite3_bind_int64(statement, 3, email);
        sql_bind_text(statement, 4, submit->sender);
        sql_bind_text(statement, 5, submit->recipients[i]);
        (void)sqlite3_bind_int64(statement, 6, tx->now_s);
        TRY(sql_done(&tx->account->sql, statement));
    }
    (void)tx_modseq(tx);
    (void)tx_change(tx, STORE_CHANGE_OUTGOING, 0);
    return ERR_OK;
}

static enum err submit_write(struct store_tx *tx, void *write_arg)
{
    struct submit_write *w = write_arg;
    const struct store_submit *submit = w->submit;
    struct mailbox_row sent = { 0 };
    unsigned char key[GUID_BYTES], guid[GUID_BYTES];
    bool has_key = false, filed = submit->sent_mailbox == 0;
    if (!filed) {
        TRY(mailbox_row_selectable(tx->account, submit->sent_mailbox, &sent));
        TRY(filed_key(submit->blob, key, &has_key));
        if (has_key)
            TRY(find_filed(tx, &sent, key, &filed));
    }
    w->over_quota = !filed && !tx_quota_ok(tx, blob_size(submit->blob), 1);
    if (w->over_quota || !tx_room_ok(tx, submit->blob))
        return ERR_NO_SPACE;
    int64_t email;
    guid_new(guid);
    TRY(tx_email_insert(tx, submit->blob, guid,
        (filed ? 0u : 1u) + (unsigned)submit->recipient_count, submit->received_s, 0, &email));
    if (!filed) {
        uint32_t uid = sent.uidnext;
        TRY(file_in(tx, &sent, email, blob_size(submit->blob), STORE_SEEN));
        if (has_key)
            TRY(set_filed(tx, &sent, key, uid));
    }
    return insert_rows(tx, submit, email);
}

enum err account_submit(
    struct account *account, const struct store_submit *submit, bool *out_over_quota)
{
    struct submit_write w = { .submit = submit };
    if (submit->recipient_count == 0)
        return ERR_SYNTAX;
    enum err e = account_write(account, submit_write, &w);
    if (e == ERR_OK || e == ERR_NO_SPACE)
        *out_over_quota = w.over_quota;
    return e;
}

/* ---- reading ---- */

static enum err read_row(sqlite3_stmt *statement, struct arena *arena, struct store_outgoing *out)
{
    struct slice guid = sql_bytes(statement, 1);
    if (guid.len != GUID_BYTES)
        return ERR_CORRUPT;
    *out = (struct store_outgoing){ .id = sqlite3_column_int64(statement, 0),
        .email = sqlite3_column_int64(statement, 2),
        .sender = slice_dup(arena, sql_text(statement, 3)),
        .recipient = slice_dup(arena, sql_text(statement, 4)),
        .status = slice_dup(arena, sql_text(statement, 5)),
        .created_s = sqlite3_column_int64(statement, 6),
        .next_s = sqlite3_column_int64(statement, 7),
        .attempts = (unsigned)sqlite3_column_int(statement, 8) };
    memcpy(out->guid, guid.ptr, GUID_BYTES);
    return out->sender.ptr && out->recipient.ptr && out->status.ptr ? ERR_OK : ERR_LIMIT;
}

static enum err read_rows(struct account *account, int64_t due_s, size_t count_max,
    struct arena *arena, struct store_outgoing **out_list, size_t *out_count)
{
    sqlite3_stmt *statement;
    struct store_outgoing *list = NULL;
    size_t count = 0, cap = 0;
    TRY(sql_get(&account->sql, SQL_OUTGOING, &statement));
    (void)sqlite3_bind_int64(statement, 1, due_s);
    (void)sqlite3_bind_int64(statement, 2, (int64_t)count_max);
    (void)sqlite3_bind_int64(statement, 3, STORE_OUTGOING_WAIT_S_MAX);
    for (;;) {
        bool row;
        TRY(sql_step(&account->sql, statement, &row));
        if (!row)
            break;
        struct store_outgoing *grown = arena_grow(arena, list, &cap, count + 1, sizeof *list);
        enum err e = grown ? read_row(statement, arena, &grown[count]) : ERR_LIMIT;
        if (e != ERR_OK) {
            (void)sqlite3_reset(statement);
            return e;
        }
        list = grown;
        count++;
    }
    *out_list = list;
    *out_count = count;
    return ERR_OK;
}

enum err account_outgoing(struct account *account, int64_t due_s, size_t count_max,
    struct arena *arena, struct store_outgoing **out_list, size_t *out_count)
{
    pthread_mutex_lock(&account->lock);
    enum err e = read_rows(account, due_s, count_max, arena, out_list, out_count);
    pthread_mutex_unlock(&account->lock);
    return e;
}

enum err account_outgoing_next(struct account *account, int64_t *out_next_s)
{
    sqlite3_stmt *statement;
    int64_t next_s = INT64_MAX;
    pthread_mutex_lock(&account->lock);
    enum err e = sql_get(&account->sql, SQL_OUTGOING_NEXT, &statement);
    if (e == ERR_OK)
        e = sql_number(&account->sql, statement, &next_s, NULL);
    pthread_mutex_unlock(&account->lock);
    if (e == ERR_OK)
        *out_next_s = next_s;
    return e;
}

/* ---- ending ---- */

struct done_write {
    const int64_t *ids;
    size_t count;
    const struct store_append *bounce;
};

/* A row that is not there any more ended before: nothing is told twice. */
static enum err end_row(struct store_tx *tx, int64_t id, bool *out_ended)
{
    sqlite3_stmt *statement;
    int64_t email;
    bool found;
    TRY(sql_get(&tx->account->sql, SQL_OUTGOING_EMAIL, &statement));
    (void)sqlite3_bind_int64(statement, 1, id);
    TRY(sql_number(&tx->account->sql, statement, &email, &found));
    if (!found)
        return ERR_OK;
    TRY(sql_get(&tx->account->sql, SQL_OUTGOING_DELETE, &statement));
    (void)sqlite3_bind_int64(statement, 1, id);
    TRY(sql_done(&tx->account->sql, statement));
    *out_ended = true;
    return tx_email_refs(tx, email, -1);
}

static enum err file_bounce(struct store_tx *tx, const struct store_append *bounce)
{
    sqlite3_stmt *statement;
    struct mailbox_row inbox;
    bool row;
    TRY(sql_get(&tx->account->sql, SQL_MAILBOX_BY_NAME, &statement));
    sql_bind_text(statement, 1, SLICE("INBOX"));
    TRY(sql_step(&tx->account->sql, statement, &row));
    if (!row)
        return ERR_CORRUPT;
    mailbox_row_read(statement, &inbox);
    inbox.name = SLICE_EMPTY;
    (void)sqlite3_reset(statement);
    unsigned char guid[GUID_BYTES];
    int64_t email;
    guid_new(guid);
    TRY(tx_email_insert(
        tx, bounce->blob, guid, 1, bounce->received_s, bounce->received_tz_min, &email));
    return file_in(
        tx, &inbox, email, blob_size(bounce->blob), bounce->flags.system & STORE_SYSTEM_FLAGS);
}

static enum err done_write(struct store_tx *tx, void *write_arg)
{
    const struct done_write *w = write_arg;
    bool ended = false;
    for (size_t i = 0; i < w->count; i++)
        TRY(end_row(tx, w->ids[i], &ended));
    if (!ended)
        return ERR_OK;
    if (w->bounce)
        TRY(file_bounce(tx, w->bounce));
    (void)tx_modseq(tx);
    (void)tx_change(tx, STORE_CHANGE_OUTGOING, 0);
    return ERR_OK;
}

enum err account_outgoing_done(
    struct account *account, const int64_t *ids, size_t count, const struct store_append *bounce)
{
    struct done_write w = { .ids = ids, .count = count, .bounce = bounce };
    return account_write(account, done_write, &w);
}

struct retry_write {
    int64_t id, next_s;
    struct slice status;
};

static enum err retry_write(struct store_tx *tx, void *write_arg)
{
    const struct retry_write *w = write_arg;
    sqlite3_stmt *statement;
    TRY(sql_get(&tx->account->sql, SQL_OUTGOING_RETRY, &statement));
    (void)sqlite3_bind_int64(statement, 1, w->id);
    (void)sqlite3_bind_int64(statement, 2, w->next_s);
    sql_bind_text(statement, 3, w->status);
    return sql_done(&tx->account->sql, statement);
}

enum err account_outgoing_retry(
    struct account *account, int64_t id, int64_t next_s, struct slice status)
{
    struct retry_write w = { .id = id, .next_s = next_s, .status = status };
    return account_write(account, retry_write, &w);
}
