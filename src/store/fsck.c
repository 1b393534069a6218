/* What is true of an account, looked at row by row (docs/store.md lists it), and mended where the rest of the account says how.
 *
 * Always true: nothing that can be read is taken away: bytes that lost their row, and messages that lost their place, are filed in "Recovered"; all
 * repairs of one run are one transaction; a file that SQLite finds no way through is left as it is. */
#include "store/fsck_int.h"

#include <stdarg.h>
#include <stdio.h>

void fsck_found(struct check *c, bool repaired, const char *format, ...)
{
    char text[300];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    c->findings++;
    c->tell(c->tell_arg, text, repaired);
}

static enum err mend_id(struct check *c)
{
    struct sql_db *sql = &c->account->sql;
    sqlite3_stmt *statement;
    TRY(sql_prepare(sql, "UPDATE account SET id=?1 WHERE id<>?1", &statement));
    sql_bind_text(statement, 1, slice_of(c->account->id));
    enum err e = sql_done(sql, statement);
    (void)sqlite3_finalize(statement);
    if (e == ERR_OK && sqlite3_changes(sql->db) > 0)
        fsck_found(c, true, "mail.db names another account");
    return e;
}

static enum err check_rows(struct check *c)
{
    if (c->repair)
        TRY(mend_id(c));
    if (c->repair && c->damaged_pages)
        TRY(fsck_adopt_files(c));
    TRY(fsck_rules(c));
    TRY(fsck_counters(c));
    TRY(fsck_messages(c));
    return fsck_filters(c);
}

/* A disk that failed on the way, or a transaction that could not be ended: nobody knows what the file holds (S-8). */
static enum err end_repairs(struct account *account, enum err e)
{
    enum err end = e == ERR_OK ? sql_commit(&account->sql) : sql_rollback(&account->sql);
    if (end != ERR_OK || e == ERR_IO)
        account->readonly = true;
    return end;
}

static enum err mend_rows(struct check *c)
{
    struct account *account = c->account;
    TRY(fsck_functions(c));
    TRY(sql_begin(&account->sql));
    enum err e = check_rows(c);
    if (e == ERR_OK && account->schema_version == STORE_SCHEMA_VERSION)
        e = schema_missing_indexes(&account->sql);
    if (e == ERR_OK &&
        c->damaged_pages) /* numbers may have been damaged too: none that a client knows names anything else (S-5) */
        e = account_raise(account, slice_of(account->id), 0, (int64_t)account->modseq);
    enum err end = end_repairs(account, e);
    account_forget_mailboxes(account);
    e = e == ERR_OK ? end : e;
    if (e != ERR_OK)
        fsck_found(c, false, "none of the repairs could be kept: %s", err_name(e));
    TRY(e);
    account_sweep_big(account);
    return account_load(account);
}

enum err account_check(struct account *account, bool repair, account_finding_fn *tell,
    void *tell_arg, size_t *out_findings)
{
    struct check c = { .account = account,
        .repair = repair && !account->readonly,
        .tell = tell,
        .tell_arg = tell_arg };
    enum err e = fsck_file(&c);
    if (e == ERR_OK && c.repair)
        e = mend_rows(&c);
    else if (e == ERR_OK && c.findings == 0)
        e = check_rows(&c);
    *out_findings = c.findings;
    return e;
}

enum err account_fsck(
    struct account *account, bool repair, account_finding_fn *tell, void *tell_arg)
{
    size_t findings = 0;
    pthread_mutex_lock(&account->lock);
    enum err e = account_check(account, repair, tell, tell_arg, &findings);
    pthread_mutex_unlock(&account->lock);
    return e;
}

static void keep_quiet(void *unused, const char *text, bool repaired)
{
    (void)unused;
    (void)text;
    (void)repaired;
}

static enum err rebuild(struct account *account, uint64_t *out_changed)
{
    struct check c = { .account = account, .repair = true, .tell = keep_quiet };
    TRY(sql_begin(&account->sql));
    enum err e = fsck_counters(&c);
    uint64_t counters = c.findings;
    if (e == ERR_OK)
        e = fsck_messages(&c);
    if (e == ERR_OK)
        e = fsck_filters(&c);
    enum err end = end_repairs(account, e);
    account_forget_mailboxes(account);
    TRY(e == ERR_OK ? end : e);
    *out_changed = c.derived_changed + counters;
    return account_load(account);
}

enum err store_rebuild(struct store *store, struct slice id, uint64_t *out_changed)
{
    struct account *account;
    TRY(store_account(store, id, false, &account));
    pthread_mutex_lock(&account->lock);
    enum err e = account->readonly ? ERR_IO : rebuild(account, out_changed);
    pthread_mutex_unlock(&account->lock);
    account_unref(account);
    return e;
}
