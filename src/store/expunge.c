/* Messages that go, and what is remembered of them for QRESYNC (gone). */
#include "store/account.h"

#include <stdlib.h>

/* What goes from one run of UIDs. */
struct leaving {
    int64_t *emails; /* owned */
    size_t count, cap;
    struct tx_counts counts;
};

static void leave(struct leaving *leaving, int64_t email, uint64_t flags, int64_t size)
{
    if (leaving->count == leaving->cap) {
        leaving->cap = leaving->cap ? leaving->cap * 2 : 64;
        leaving->emails = mem_realloc(leaving->emails, leaving->cap * sizeof *leaving->emails);
    }
    leaving->emails[leaving->count++] = email;
    leaving->counts.messages--;
    leaving->counts.bytes -= size;
    leaving->counts.unseen -= flags & STORE_SEEN ? 0 : 1;
    leaving->counts.deleted -= flags & STORE_DELETED ? 1 : 0;
}

static enum err look(struct store_tx *tx, const struct tx_expunge *args, struct uid_run range,
    struct leaving *leaving, struct uidset *gone)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&tx->account->sql, SQL_ENTRIES_COPY, &statement));
    (void)sqlite3_bind_int64(statement, 1, args->mailbox);
    (void)sqlite3_bind_int64(statement, 2, range.first);
    (void)sqlite3_bind_int64(statement, 3, range.last);
    for (;;) {
        bool row;
        TRY(sql_step(&tx->account->sql, statement, &row));
        if (!row)
            return ERR_OK;
        uint64_t flags = (uint64_t)sqlite3_column_int64(statement, 1);
        if (args->deleted_only && !(flags & STORE_DELETED))
            continue;
        uidset_add(gone, (uint32_t)sqlite3_column_int64(statement, 0));
        leave(
            leaving, sqlite3_column_int64(statement, 2), flags, sqlite3_column_int64(statement, 3));
    }
}

static enum err remove_rows(
    struct store_tx *tx, const struct tx_expunge *args, struct uid_run range)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&tx->account->sql,
        args->deleted_only ? SQL_ENTRY_DELETE_RANGE_DELETED : SQL_ENTRY_DELETE_RANGE, &statement));
    (void)sqlite3_bind_int64(statement, 1, args->mailbox);
    (void)sqlite3_bind_int64(statement, 2, range.first);
    (void)sqlite3_bind_int64(statement, 3, range.last);
    return sql_done(&tx->account->sql, statement);
}

static enum err remember_gone(struct store_tx *tx, int64_t mailbox, const struct uidset *gone)
{
    sqlite3_stmt *statement;
    for (size_t i = 0; i < gone->count; i++) {
        TRY(sql_get(&tx->account->sql, SQL_GONE_INSERT, &statement));
        (void)sqlite3_bind_int64(statement, 1, mailbox);
        (void)sqlite3_bind_int64(statement, 2, (int64_t)tx_modseq(tx));
        (void)sqlite3_bind_int64(statement, 3, gone->runs[i].first);
        (void)sqlite3_bind_int64(statement, 4, gone->runs[i].last);
        TRY(sql_done(&tx->account->sql, statement));
    }
    return ERR_OK;
}

/* History is cut now and then; from the floor on down everything not there counts as gone (account_vanished). */
static enum err trim_gone(struct store_tx *tx, int64_t mailbox)
{
    struct account *account = tx->account;
    if (tx_modseq(tx) % 64 != 0)
        return ERR_OK;
    sqlite3_stmt *statement;
    int64_t count = 0, floor = 0;
    TRY(sql_get(&account->sql, SQL_GONE_COUNT, &statement));
    (void)sqlite3_bind_int64(statement, 1, mailbox);
    TRY(sql_number(&account->sql, statement, &count, NULL));
    if (count <= GONE_ROWS_MAX)
        return ERR_OK;
    TRY(sql_get(&account->sql, SQL_GONE_TRIM, &statement));
    (void)sqlite3_bind_int64(statement, 1, mailbox);
    (void)sqlite3_bind_int64(statement, 2, GONE_ROWS_MAX / 2);
    for (bool row = true; row;) {
        TRY(sql_step(&account->sql, statement, &row));
        if (row && sqlite3_column_int64(statement, 0) > floor)
            floor = sqlite3_column_int64(statement, 0);
    }
    TRY(sql_get(&account->sql, SQL_GONE_FLOOR_SET, &statement));
    (void)sqlite3_bind_int64(statement, 1, mailbox);
    (void)sqlite3_bind_int64(statement, 2, floor);
    return sql_done(&account->sql, statement);
}

static enum err work(struct store_tx *tx, const struct tx_expunge *args, struct leaving *leaving,
    struct uidset *gone)
{
    static const struct uid_run everything = { 1, UINT32_MAX };
    const struct uid_run *runs = args->uids ? args->uids->runs : &everything;
    size_t count = args->uids ? args->uids->count : 1;
    for (size_t i = 0; i < count; i++)
        TRY(look(tx, args, runs[i], leaving, gone));
    if (leaving->count == 0)
        return ERR_OK;
    for (size_t i = 0; i < count; i++)
        TRY(remove_rows(tx, args, runs[i]));
    for (size_t i = 0; i < leaving->count && !args->keep_emails; i++)
        TRY(tx_email_refs(tx, leaving->emails[i], -1));
    TRY(remember_gone(tx, args->mailbox, gone));
    TRY(tx_mailbox_changed(tx, args->mailbox, 0, &leaving->counts));
    TRY(trim_gone(tx, args->mailbox));
    (void)tx_modseq(tx);
    uidset_copy(&tx_change(tx, STORE_CHANGE_EXPUNGE, args->mailbox)->uids, gone);
    return ERR_OK;
}

enum err tx_expunge(struct store_tx *tx, const struct tx_expunge *args, struct uidset *gone)
{
    struct leaving leaving = { 0 };
    enum err e = work(tx, args, &leaving, gone);
    free(leaving.emails);
    return e;
}

struct expunge_write {
    const struct store_expunge_args *args;
    struct uidset gone;
};

static enum err expunge_write(struct store_tx *tx, void *write_arg)
{
    struct expunge_write *w = write_arg;
    struct mailbox_row row;
    TRY(mailbox_row_selectable(tx->account, w->args->mailbox, &row));
    const struct tx_expunge args = {
        .mailbox = w->args->mailbox, .uids = w->args->uids, .deleted_only = w->args->deleted_only
    };
    return tx_expunge(tx, &args, &w->gone);
}

enum err account_expunge(
    struct account *account, const struct store_expunge_args *args, struct uidset *out_gone)
{
    struct expunge_write w = { .args = args };
    uidset_init(&w.gone);
    enum err e = account_write(account, expunge_write, &w);
    if (e == ERR_OK && out_gone)
        uidset_swap(out_gone, &w.gone);
    uidset_done(&w.gone);
    return e;
}
