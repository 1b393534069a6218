/* STORE: flags of many messages in set-wise statements. The rows are looked at first, so that the change names exactly what changed. */
#include "store/account.h"

struct flags_run {
    int64_t mailbox;
    uint64_t clear, set, modseq_max, known_modseq;
    struct uidset changed;
    struct tx_counts counts;
};

/* Whether it is refused or changed. */
static void look_at(struct flags_run *run, uint32_t uid, uint64_t flags, uint64_t modseq,
    struct store_flags_result *result)
{
    if (modseq > run->modseq_max) {
        uidset_add(&result->modified, uid);
        return;
    }
    uidset_add(&result->done, uid);
    if (modseq > run->known_modseq)
        uidset_add(&result->news, uid);
    uint64_t now = (flags & ~run->clear) | run->set;
    if (now == flags)
        return;
    uidset_add(&run->changed, uid);
    run->counts.unseen += (int)(flags & STORE_SEEN) - (int)(now & STORE_SEEN);
    run->counts.deleted +=
        ((int)(now & STORE_DELETED) - (int)(flags & STORE_DELETED)) / STORE_DELETED;
}

/* Which rows of a run are there, refused, changed. */
static enum err look(struct account *account, struct flags_run *run, struct uid_run range,
    struct store_flags_result *result)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&account->sql, SQL_ENTRIES, &statement));
    (void)sqlite3_bind_int64(statement, 1, run->mailbox);
    (void)sqlite3_bind_int64(statement, 2, range.first);
    (void)sqlite3_bind_int64(statement, 3, range.last);
    for (;;) {
        bool row;
        TRY(sql_step(&account->sql, statement, &row));
        if (!row)
            return ERR_OK;
        look_at(run, (uint32_t)sqlite3_column_int64(statement, 0),
            (uint64_t)sqlite3_column_int64(statement, 1),
            (uint64_t)sqlite3_column_int64(statement, 2), result);
    }
}

static void look_known(const struct flag_list *list, struct flags_run *run, struct uid_run range,
    struct store_flags_result *result)
{
    size_t at = flag_list_at(list, range.first);
    for (const struct flag_row *row; (row = flag_list_next(list, range, &at));)
        look_at(run, row->uid, row->flags, row->modseq, result);
}

static enum err change(struct store_tx *tx, const struct flags_run *run, struct uid_run range)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&tx->account->sql, SQL_ENTRY_FLAGS_RANGE, &statement));
    (void)sqlite3_bind_int64(statement, 1, run->mailbox);
    (void)sqlite3_bind_int64(statement, 2, range.first);
    (void)sqlite3_bind_int64(statement, 3, range.last);
    (void)sqlite3_bind_int64(statement, 4, (int64_t)run->clear);
    (void)sqlite3_bind_int64(statement, 5, (int64_t)run->set);
    (void)sqlite3_bind_int64(statement, 6, (int64_t)tx_modseq(tx));
    (void)sqlite3_bind_int64(statement, 7, (int64_t)run->modseq_max);
    return sql_done(&tx->account->sql, statement);
}

static enum err work(struct store_tx *tx, const struct uidset *uids, struct flags_run *run,
    struct store_flags_result *result)
{
    const struct flag_list *known =
        tx->first && !tx->change_count ? account_flag_list_known(tx->account, run->mailbox) : NULL;
    for (size_t i = 0; i < uids->count; i++)
        if (known)
            look_known(known, run, uids->runs[i], result);
        else
            TRY(look(tx->account, run, uids->runs[i], result));
    if (uidset_empty(&run->changed))
        return ERR_OK;
    for (size_t i = 0; i < uids->count; i++)
        TRY(change(tx, run, uids->runs[i]));
    result->modseq = tx_modseq(tx);
    TRY(tx_mailbox_changed(tx, run->mailbox, 0, &run->counts));
    struct store_change *change_made = tx_change(tx, STORE_CHANGE_FLAGS, run->mailbox);
    change_made->clear = run->clear;
    change_made->set = run->set;
    uidset_swap(&change_made->uids, &run->changed);
    return ERR_OK;
}

enum err tx_flags(
    struct store_tx *tx, const struct store_flags_args *args, struct store_flags_result *result)
{
    struct mailbox_row row;
    TRY(mailbox_row_selectable(tx->account, args->mailbox, &row));
    uint64_t bits;
    TRY(tx_flag_bits(tx, &args->flags, &bits, &result->keywords_full));
    struct flags_run run = { .mailbox = args->mailbox,
        .clear = args->how == STORE_FLAGS_SET      ? ~bits
                 : args->how == STORE_FLAGS_REMOVE ? bits
                                                   : 0,
        .set = args->how == STORE_FLAGS_REMOVE ? 0 : bits,
        .modseq_max = args->has_unchangedsince && args->unchangedsince < INT64_MAX
                          ? args->unchangedsince
                          : INT64_MAX,
        .known_modseq = args->known_modseq ? args->known_modseq : UINT64_MAX };
    uidset_init(&run.changed);
    enum err e = work(tx, args->uids, &run, result);
    uidset_done(&run.changed);
    return e;
}

struct flags_write {
    const struct store_flags_args *args;
    struct store_flags_result *result;
};

static enum err flags_write(struct store_tx *tx, void *write_arg)
{
    struct flags_write *w = write_arg;
    return tx_flags(tx, w->args, w->result);
}

enum err account_flags(struct account *account, const struct store_flags_args *args,
    struct store_flags_result *out_result)
{
    struct store_flags_result result = { 0 };
    uidset_init(&result.done);
    uidset_init(&result.modified);
    uidset_init(&result.news);
    struct flags_write w = { .args = args, .result = &result };
    enum err e = account_write(account, flags_write, &w);
    if (e != ERR_OK) {
        uidset_done(&result.done);
        uidset_done(&result.modified);
        uidset_done(&result.news);
        return e;
    }
    *out_result = result;
    return ERR_OK;
}
