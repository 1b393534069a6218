/* COPY and MOVE inside an account: new entries on the same emails, never new bytes. A move is one transaction: the message is in exactly
 * one of the two mailboxes at every moment (RFC 6851). */
#include "store/account.h"

#include <stdlib.h>

struct copied {
    uint32_t uid;
    uint64_t flags;
    int64_t email, size;
};

struct copy_list {
    struct copied *at; /* owned */
    size_t count, cap;
    uint64_t bytes;
};

static enum err look(
    struct account *account, int64_t mailbox, struct uid_run range, struct copy_list *list)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&account->sql, SQL_ENTRIES_COPY, &statement));
    (void)sqlite3_bind_int64(statement, 1, mailbox);
    (void)sqlite3_bind_int64(statement, 2, range.first);
    (void)sqlite3_bind_int64(statement, 3, range.last);
    for (;;) {
        bool row;
        TRY(sql_step(&account->sql, statement, &row));
        if (!row)
            return ERR_OK;
        if (list->count == list->cap) {
            list->cap = list->cap ? list->cap * 2 : 64;
            list->at = mem_realloc(list->at, list->cap * sizeof *list->at);
        }
        struct copied *c = &list->at[list->count++];
        c->uid = (uint32_t)sqlite3_column_int64(statement, 0);
        c->flags = (uint64_t)sqlite3_column_int64(statement, 1);
        c->email = sqlite3_column_int64(statement, 2);
        c->size = sqlite3_column_int64(statement, 3);
        list->bytes += (uint64_t)c->size;
    }
}

static enum err file_all(struct store_tx *tx, const struct store_copy_args *args,
    const struct copy_list *list, struct mailbox_row *to, struct store_copy_result *result)
{
    struct tx_counts counts = { 0 };
    uint32_t first = to->uidnext;
    for (size_t i = 0; i < list->count; i++) {
        const struct copied *c = &list->at[i];
        uidset_add(&result->source, c->uid);
        TRY(tx_entry_insert(tx, to, c->email, c->flags, tx_modseq(tx)));
        if (!args->move)
            TRY(tx_email_refs(tx, c->email, 1));
        counts.messages++;
        counts.bytes += c->size;
        counts.unseen += c->flags & STORE_SEEN ? 0 : 1;
        counts.deleted += c->flags & STORE_DELETED ? 1 : 0;
    }
    uidset_add_run(&result->target, first, to->uidnext - 1);
    TRY(tx_mailbox_changed(tx, to->id, to->uidnext, &counts));
    uidset_copy(&tx_change(tx, STORE_CHANGE_ADD, to->id)->uids, &result->target);
    return ERR_OK;
}

static enum err work(struct store_tx *tx, const struct store_copy_args *args,
    struct copy_list *list, struct store_copy_result *result)
{
    struct mailbox_row from, to;
    TRY(mailbox_row_selectable(tx->account, args->from, &from));
    TRY(mailbox_row_selectable(tx->account, args->to, &to));
    result->uidvalidity = to.uidvalidity;
    for (size_t i = 0; i < args->uids->count; i++)
        TRY(look(tx->account, args->from, args->uids->runs[i], list));
    if (list->count == 0)
        return ERR_OK;
    result->over_quota = !args->move && !tx_quota_ok(tx, list->bytes, list->count);
    if (result->over_quota)
        return ERR_NO_SPACE;
    TRY(file_all(tx, args, list, &to, result));
    if (!args->move)
        return ERR_OK;
    struct uidset gone;
    uidset_init(&gone);
    const struct tx_expunge leaving = {
        .mailbox = args->from, .uids = &result->source, .keep_emails = true
    };
    enum err e = tx_expunge(tx, &leaving, &gone);
    uidset_done(&gone);
    return e;
}

enum err tx_copy(
    struct store_tx *tx, const struct store_copy_args *args, struct store_copy_result *result)
{
    struct copy_list list = { 0 };
    enum err e = work(tx, args, &list, result);
    free(list.at);
    return e;
}

struct copy_write {
    const struct store_copy_args *args;
    struct store_copy_result *result;
};

static enum err copy_write(struct store_tx *tx, void *write_arg)
{
    struct copy_write *w = write_arg;
    return tx_copy(tx, w->args, w->result);
}

enum err account_copy(struct account *account, const struct store_copy_args *args,
    struct store_copy_result *out_result)
{
    struct store_copy_result result = { 0 };
    uidset_init(&result.source);
    uidset_init(&result.target);
    struct copy_write w = { .args = args, .result = &result };
    enum err e = account_write(account, copy_write, &w);
    if (e == ERR_OK) {
        *out_result = result;
        return ERR_OK;
    }
    uidset_done(&result.source);
    uidset_done(&result.target);
    out_result->over_quota = result.over_quota;
    return e;
}
