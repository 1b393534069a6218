/* The journal in SQLite. All SQL of the layer stands here. */
#include "copy/journal.h"

#include "base/arena.h"
#include "sql/sql.h"

#include <stdlib.h>

enum {
    ST_FIND,
    ST_FOLDER_ADD,
    ST_FOLDER_SET,
    ST_FORGET,
    ST_DONE,
    ST_USED,
    ST_ADD,
    ST_HAS,
    ST_COUNT
};

static const char *const texts[ST_COUNT] = {
    [ST_FIND] = "SELECT id, from_validity, to_name, to_validity, bound, subscribed, busy_s"
                " FROM folder"
                " WHERE source = ?1 AND target = ?2 AND name = ?3",
    [ST_FOLDER_ADD] = "INSERT INTO folder (source, target, name, from_validity, to_name,"
                      " to_validity, bound, subscribed, busy_s) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7,"
                      " ?8, ?9)",
    [ST_FOLDER_SET] = "UPDATE folder SET source = ?1, target = ?2, name = ?3, from_validity = ?4,"
                      " to_name = ?5, to_validity = ?6, bound = ?7, subscribed = ?8, busy_s = ?9"
                      " WHERE id = ?10",
    [ST_FORGET] = "DELETE FROM message WHERE folder = ?1",
    [ST_DONE] = "SELECT key, to_uid FROM message WHERE folder = ?1 AND typeof(key) = 'integer'"
                " ORDER BY key",
    [ST_USED] = "SELECT to_uid FROM message WHERE to_uid > 0 AND folder IN (SELECT id FROM folder"
                " WHERE source = ?1 AND target = ?2 AND to_name = ?3 AND to_validity = ?4)"
                " ORDER BY to_uid",
    [ST_ADD] = "INSERT INTO message (folder, key, to_uid) VALUES (?1, ?2, ?3)"
               " ON CONFLICT (folder, key) DO UPDATE SET to_uid = ?3",
    [ST_HAS] = "SELECT to_uid FROM message WHERE folder = ?1 AND key = ?2",
};

static const struct sql_options options = { .texts = texts,
    .count = ST_COUNT,
    .sharing = SQL_ALONE, /* a second run hears of it before it has done anything */
    .make = true,
    .nofollow = true,
    .constraint = ERR_CORRUPT };

/* key: a UID, or the bytes of an id. */
static const char *const steps[] = {
    "CREATE TABLE folder (id INTEGER PRIMARY KEY, source TEXT NOT NULL, target TEXT NOT NULL,"
    " name TEXT NOT NULL, from_validity INTEGER NOT NULL, to_name TEXT NOT NULL,"
    " to_validity INTEGER NOT NULL, bound INTEGER NOT NULL, subscribed INTEGER NOT NULL,"
    " busy_s INTEGER NOT NULL,"
    " UNIQUE (source, target, name));"
    "CREATE TABLE message (folder INTEGER NOT NULL, key NOT NULL, to_uid INTEGER NOT NULL,"
    " PRIMARY KEY (folder, key)) WITHOUT ROWID;",
};
static const struct sql_format format = { .steps = steps,
    .version = sizeof steps / sizeof steps[0] };

struct journal {
    struct sql_db sql;
};

/* ---- opening ---- */

enum err journal_open(const char *path, struct journal **out_journal, struct err_note *note)
{
    struct journal *journal = mem_zalloc(1, sizeof *journal);
    enum err e = sql_open_ready(&journal->sql, path, &options, &format, note);
    if (e == ERR_OK)
        *out_journal = journal;
    else
        journal_close(journal);
    return e;
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    sql_close(&journal->sql);
    free(journal);
}

/* A statement that changes something: part of the batch. */
static enum err get_change(struct journal *journal, unsigned which, sqlite3_stmt **out_statement)
{
    TRY(sql_batch(&journal->sql));
    return sql_get(&journal->sql, which, out_statement);
}

enum err journal_commit(struct journal *journal)
{
    return sql_batch_commit(&journal->sql);
}

/* ---- folders ---- */

void journal_folder_done(struct journal_folder *folder)
{
    free(folder->to_name);
    folder->to_name = NULL;
}

static void bind_names(sqlite3_stmt *s, const char *from, const char *to, const char *name)
{
    sql_bind_text(s, 1, slice_of(from));
    sql_bind_text(s, 2, slice_of(to));
    sql_bind_text(s, 3, slice_of(name));
}

enum err journal_find(struct journal *journal, const char *from, const char *to, const char *name,
    struct journal_folder *out_folder)
{
    sqlite3_stmt *s;
    bool row;
    TRY(sql_get(&journal->sql, ST_FIND, &s));
    bind_names(s, from, to, name);
    TRY(sql_step(&journal->sql, s, &row));
    *out_folder = (struct journal_folder){ 0 };
    if (!row)
        return ERR_OK;
    struct slice to_name = sql_text(s, 2);
    *out_folder = (struct journal_folder){ .id = sqlite3_column_int64(s, 0),
        .from_validity = (uint32_t)sqlite3_column_int64(s, 1),
        .to_name = mem_strndup(to_name.ptr, to_name.len),
        .to_validity = (uint32_t)sqlite3_column_int64(s, 3),
        .bound = (uint32_t)sqlite3_column_int64(s, 4),
        .subscribed = sqlite3_column_int(s, 5) != 0,
        .busy_s = sqlite3_column_int64(s, 6) };
    sql_reset(s);
    return ERR_OK;
}

enum err journal_put(struct journal *journal, const char *from, const char *to, const char *name,
    struct journal_folder *folder)
{
    sqlite3_stmt *s;
    TRY(get_change(journal, folder->id ? ST_FOLDER_SET : ST_FOLDER_ADD, &s));
    bind_names(s, from, to, name);
    (void)sqlite3_bind_int64(s, 4, folder->from_validity);
    sql_bind_text(s, 5, slice_of(folder->to_name));
    (void)sqlite3_bind_int64(s, 6, folder->to_validity);
    (void)sqlite3_bind_int64(s, 7, folder->bound);
    (void)sqlite3_bind_int(s, 8, folder->subscribed);
    (void)sqlite3_bind_int64(s, 9, folder->busy_s);
    if (folder->id)
        (void)sqlite3_bind_int64(s, 10, folder->id);
    TRY(sql_done(&journal->sql, s));
    if (!folder->id)
        folder->id = sqlite3_last_insert_rowid(journal->sql.db);
    return ERR_OK;
}

enum err journal_forget(struct journal *journal, int64_t folder)
{
    sqlite3_stmt *s;
    TRY(get_change(journal, ST_FORGET, &s));
    (void)sqlite3_bind_int64(s, 1, folder);
    return sql_done(&journal->sql, s);
}

/* ---- messages ---- */

enum err journal_done(
    struct journal *journal, int64_t folder, struct uidset *done, struct uidset *nameless)
{
    sqlite3_stmt *s;
    bool row;
    TRY(sql_get(&journal->sql, ST_DONE, &s));
    (void)sqlite3_bind_int64(s, 1, folder);
    for (;;) {
        TRY(sql_step(&journal->sql, s, &row));
        if (!row)
            return ERR_OK;
        uint32_t uid = (uint32_t)sqlite3_column_int64(s, 0);
        uidset_add(done, uid);
        if (sqlite3_column_int64(s, 1) == 0)
            uidset_add(nameless, uid);
    }
}

enum err journal_used(struct journal *journal, const char *from, const char *to,
    const char *to_name, uint32_t to_validity, struct uidset *used)
{
    sqlite3_stmt *s;
    bool row;
    TRY(sql_get(&journal->sql, ST_USED, &s));
    bind_names(s, from, to, to_name);
    (void)sqlite3_bind_int64(s, 4, to_validity);
    for (;;) {
        TRY(sql_step(&journal->sql, s, &row));
        if (!row)
            return ERR_OK;
        uidset_add(used, (uint32_t)sqlite3_column_int64(s, 0));
    }
}

enum err journal_add(struct journal *journal, int64_t folder, uint32_t uid, uint32_t to_uid)
{
    sqlite3_stmt *s;
    TRY(get_change(journal, ST_ADD, &s));
    (void)sqlite3_bind_int64(s, 1, folder);
    (void)sqlite3_bind_int64(s, 2, uid);
    (void)sqlite3_bind_int64(s, 3, to_uid);
    return sql_done(&journal->sql, s);
}

enum err journal_add_id(struct journal *journal, int64_t folder, struct slice id, uint32_t to_uid)
{
    sqlite3_stmt *s;
    TRY(get_change(journal, ST_ADD, &s));
    (void)sqlite3_bind_int64(s, 1, folder);
    sql_bind_bytes(s, 2, id);
    (void)sqlite3_bind_int64(s, 3, to_uid);
    return sql_done(&journal->sql, s);
}

enum err journal_find_id(
    struct journal *journal, int64_t folder, struct slice id, bool *out_has, uint32_t *out_uid)
{
    sqlite3_stmt *s;
    int64_t uid = 0;
    TRY(sql_get(&journal->sql, ST_HAS, &s));
    (void)sqlite3_bind_int64(s, 1, folder);
    sql_bind_bytes(s, 2, id);
    TRY(sql_number(&journal->sql, s, &uid, out_has));
    *out_uid = (uint32_t)uid;
    return ERR_OK;
}
