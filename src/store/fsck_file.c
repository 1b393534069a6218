/* The file of an account: every page, SQLite's way through them, its length, and whose it is.
 *
 * Always true: pages that were read unchecked stay for nobody who comes after. */
#include "store/fsck_int.h"

#include "store/vfs.h"

#include <stdio.h>
#include <string.h>

static void tell_page(void *check_arg, uint32_t page)
{
    struct check *c = check_arg;
    fsck_found(c, c->repair, "mail.db: page %u is not as it was written", page);
}

/* The header says how many pages count. */
static enum err check_length(struct check *c)
{
    struct sql_db *sql = &c->account->sql;
    int64_t wanted;
    uint64_t pages;
    TRY(sql_ask(sql, "PRAGMA page_count", &wanted));
    TRY(store_vfs_pages(sql->db, c->repair ? (uint64_t)wanted : 0, &pages));
    if (pages != (uint64_t)wanted)
        fsck_found(c, c->repair && pages > (uint64_t)wanted, "mail.db has %llu pages, wanted %llu",
            (unsigned long long)pages, (unsigned long long)wanted);
    return ERR_OK;
}

static enum err check_structure(struct check *c)
{
    struct sql_db *sql = &c->account->sql;
    sqlite3_stmt *statement;
    bool row;
    enum err e;
    TRY(sql_prepare(sql, "PRAGMA integrity_check(20)", &statement));
    while ((e = sql_step(sql, statement, &row)) == ERR_OK && row) {
        struct slice text = sql_text(statement, 0);
        if (!slice_eq(text, SLICE("ok")))
            fsck_found(c, false, "mail.db: %.*s", (int)(text.len < 200 ? text.len : 200), text.ptr);
    }
    if (e != ERR_OK)
        fsck_found(c, false, "mail.db cannot be read: %s", sql_words(sql));
    (void)sqlite3_finalize(statement);
    return ERR_OK;
}

/* A file that lies in the wrong folder is whole in itself: its pages fit the id that it names. Pages are read as they are. */
static enum err check_owner(struct check *c, bool *out_foreign)
{
    sqlite3_stmt *statement;
    bool row;
    char id[ACCOUNT_ID_BYTES_MAX + 1] = "";
    TRY(sql_get(&c->account->sql, SQL_ACCOUNT, &statement));
    TRY(sql_step(&c->account->sql, statement, &row));
    struct slice text = row ? sql_text(statement, 0) : SLICE_EMPTY;
    if (store_id_ok(text))
        (void)snprintf(id, sizeof id, "%.*s", SLICE_FMT(text));
    (void)sqlite3_reset(statement);
    *out_foreign = false;
    if (!id[0] || strcmp(id, c->account->id) == 0)
        return ERR_OK;
    uint64_t damaged;
    store_vfs_owner(c->account->sql.db, slice_of(id));
    enum err e = store_vfs_scan(c->account->sql.db, false, NULL, NULL, &damaged);
    store_vfs_owner(c->account->sql.db, slice_of(c->account->id));
    *out_foreign = e == ERR_OK && damaged < c->damaged_pages;
    if (*out_foreign)
        fsck_found(
            c, false, "mail.db is not of this account but of %s; put the right one back", id);
    return e;
}

/* Damaged pages are taken as they are only where SQLite finds its way through them all: what follows then says which rows are wrong. */
static enum err check_content(struct check *c, bool looked)
{
    sqlite3 *db = c->account->sql.db;
    bool foreign = false;
    if (c->damaged_pages) {
        (void)sqlite3_db_release_memory(db); /* what the file holds, not what it held */
        (void)store_vfs_verify(db, false);
        enum err e = check_owner(c, &foreign);
        if (e != ERR_OK && e != ERR_CORRUPT)
            return e;
    }
    if (foreign) {
        c->repair = false;
        c->account->readonly = true;
        return ERR_OK;
    }
    TRY(check_structure(c));
    c->repair &= c->findings == 0;
    if (looked && c->findings == 0)
        TRY(check_length(c));
    uint64_t told;
    return c->damaged_pages ? store_vfs_scan(db, c->repair, tell_page, c, &told) : ERR_OK;
}

/* A page that the log holds anew may be half written in the file, so the log goes first. A full disk, or a backup that runs, keeps the pages from being
 * looked at, no more. */
enum err fsck_file(struct check *c)
{
    enum err e = c->account->readonly ? ERR_NO_SPACE : account_checkpoint(c->account);
    bool look = e == ERR_OK;
    if (e == ERR_IO) {
        c->repair = false;
        fsck_found(c, false, "the log cannot be copied into mail.db");
    }
    if (look)
        TRY(store_vfs_scan(c->account->sql.db, false, NULL, NULL, &c->damaged_pages));
    bool verified = store_vfs_verify(c->account->sql.db, true);
    (void)store_vfs_verify(c->account->sql.db, verified);
    e = check_content(c, look);
    /* A page that was read unchecked must not stay for those who come after. */
    if (c->damaged_pages)
        (void)sqlite3_db_release_memory(c->account->sql.db);
    (void)store_vfs_verify(c->account->sql.db, verified || c->repair);
    return e;
}
