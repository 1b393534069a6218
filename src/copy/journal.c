/* The journal in SQLite. All SQL of the layer stands here. */
#include "copy/journal.h"

#include "base/arena.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum {
    ST_BEGIN,
    ST_COMMIT,
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
    [ST_BEGIN] = "BEGIN IMMEDIATE",
    [ST_COMMIT] = "COMMIT",
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

/* user_version is the version of these tables. key: a UID, or the bytes of an id. */
#define JOURNAL_VERSION 1
static const char schema[] =
    "CREATE TABLE folder (id INTEGER PRIMARY KEY, source TEXT NOT NULL, target TEXT NOT NULL,"
    " name TEXT NOT NULL, from_validity INTEGER NOT NULL, to_name TEXT NOT NULL,"
    " to_validity INTEGER NOT NULL, bound INTEGER NOT NULL, subscribed INTEGER NOT NULL,"
    " busy_s INTEGER NOT NULL,"
    " UNIQUE (source, target, name));"
    "CREATE TABLE message (folder INTEGER NOT NULL, key NOT NULL, to_uid INTEGER NOT NULL,"
    " PRIMARY KEY (folder, key)) WITHOUT ROWID;"
    "PRAGMA user_version = 1;";

struct journal {
    sqlite3 *db; /* owned */
    sqlite3_stmt *statements[ST_COUNT];
    bool open; /* a batch */
};

static enum err err_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return ERR_OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_FULL:
        return ERR_NO_SPACE;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_CORRUPT;
    default:
        return ERR_IO;
    }
}

/* ---- opening ---- */

static enum err find_version(sqlite3 *db, int *out_version)
{
    sqlite3_stmt *version = NULL;
    enum err e = err_of(sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &version, NULL));
    *out_version = -1;
    if (e == ERR_OK && sqlite3_step(version) == SQLITE_ROW)
        *out_version = sqlite3_column_int(version, 0);
    (void)sqlite3_finalize(version);
    return e;
}

static enum err set_up(sqlite3 *db)
{
    static const char pragmas[] = "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
                                  "PRAGMA synchronous = FULL; PRAGMA cache_size = -2000;";
    int version;
    TRY(err_of(sqlite3_exec(db, pragmas, NULL, NULL, NULL)));
    /* takes the lock now: a second run hears of it before it has done anything */
    TRY(err_of(sqlite3_exec(db, "BEGIN IMMEDIATE; COMMIT", NULL, NULL, NULL)));
    TRY(find_version(db, &version));
    if (version == JOURNAL_VERSION)
        return ERR_OK;
    if (version != 0)
        return ERR_CORRUPT;
    TRY(err_of(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL)));
    TRY(err_of(sqlite3_exec(db, schema, NULL, NULL, NULL)));
    return err_of(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
}

enum err journal_open(const char *path, struct journal **out_journal, struct err_note *note)
{
    struct journal *journal = mem_zalloc(1, sizeof *journal);
    enum err e = err_of(sqlite3_open_v2(path, &journal->db,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW, NULL));
    if (e == ERR_OK)
        e = set_up(journal->db);
    for (size_t i = 0; e == ERR_OK && i < ST_COUNT; i++)
        e = err_of(sqlite3_prepare_v3(
            journal->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &journal->statements[i], NULL));
    if (e != ERR_OK) {
        err_noted(note, e, "%s: %s", path,
            e == ERR_BUSY ? err_in("another run is at work") : err_words(e));
        journal_close(journal);
        return e;
    }
    *out_journal = journal;
    return ERR_OK;
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    for (size_t i = 0; i < ST_COUNT; i++)
        (void)sqlite3_finalize(journal->statements[i]);
    (void)sqlite3_close(journal->db); /* a batch that is open is rolled back */
    free(journal);
}

/* ---- running statements ---- */

static enum err run(struct journal *journal, int which)
{
    sqlite3_stmt *s = journal->statements[which];
    enum err e = err_of(sqlite3_step(s));
    (void)sqlite3_reset(s);
    (void)sqlite3_clear_bindings(s);
    return e;
}

static enum err begin(struct journal *journal)
{
    if (journal->open)
        return ERR_OK;
    TRY(run(journal, ST_BEGIN));
    journal->open = true;
    return ERR_OK;
}

enum err journal_commit(struct journal *journal)
{
    if (!journal->open)
        return ERR_OK;
    TRY(run(journal, ST_COMMIT)); /* the batch stays open after an error, and goes with the file */
    journal->open = false;
    return ERR_OK;
}

static void bind_text(sqlite3_stmt *s, int at, const char *text)
{
    (void)sqlite3_bind_text(s, at, text, -1, SQLITE_STATIC);
}

/* ---- folders ---- */

void journal_folder_done(struct journal_folder *folder)
{
    free(folder->to_name);
    folder->to_name = NULL;
}

enum err journal_find(struct journal *journal, const char *from, const char *to, const char *name,
    struct journal_folder *out_folder)
{
    sqlite3_stmt *s = journal->statements[ST_FIND];
    struct journal_folder folder = { 0 };
    bind_text(s, 1, from);
    bind_text(s, 2, to);
    bind_text(s, 3, name);
    int code = sqlite3_step(s);
    if (code == SQLITE_ROW) {
        folder = (struct journal_folder){ .id = sqlite3_column_int64(s, 0),
            .from_validity = (uint32_t)sqlite3_column_int64(s, 1),
            .to_name = mem_strdup((const char *)sqlite3_column_text(s, 2)),
            .to_validity = (uint32_t)sqlite3_column_int64(s, 3),
            .bound = (uint32_t)sqlite3_column_int64(s, 4),
            .subscribed = sqlite3_column_int(s, 5) != 0,
            .busy_s = sqlite3_column_int64(s, 6) };
    }
    (void)sqlite3_reset(s);
    (void)sqlite3_clear_bindings(s);
    TRY(err_of(code));
    *out_folder = folder;
    return ERR_OK;
}

enum err journal_put(struct journal *journal, const char *from, const char *to, const char *name,
    struct journal_folder *folder)
{
    int which = folder->id ? ST_FOLDER_SET : ST_FOLDER_ADD;
    sqlite3_stmt *s = journal->statements[which];
    TRY(begin(journal));
    bind_text(s, 1, from);
    bind_text(s, 2, to);
    bind_text(s, 3, name);
    (void)sqlite3_bind_int64(s, 4, folder->from_validity);
    bind_text(s, 5, folder->to_name);
    (void)sqlite3_bind_int64(s, 6, folder->to_validity);
    (void)sqlite3_bind_int64(s, 7, folder->bound);
    (void)sqlite3_bind_int(s, 8, folder->subscribed);
    (void)sqlite3_bind_int64(s, 9, folder->busy_s);
    if (folder->id)
        (void)sqlite3_bind_int64(s, 10, folder->id);
    TRY(run(journal, which));
    if (!folder->id)
        folder->id = sqlite3_last_insert_rowid(journal->db);
    return ERR_OK;
}

enum err journal_forget(struct journal *journal, int64_t folder)
{
    TRY(begin(journal));
    (void)sqlite3_bind_int64(journal->statements[ST_FORGET], 1, folder);
    return run(journal, ST_FORGET);
}

/* ---- messages ---- */

enum err journal_done(
    struct journal *journal, int64_t folder, struct uidset *done, struct uidset *nameless)
{
    sqlite3_stmt *s = journal->statements[ST_DONE];
    int code;
    (void)sqlite3_bind_int64(s, 1, folder);
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        uint32_t uid = (uint32_t)sqlite3_column_int64(s, 0);
        uidset_add(done, uid);
        if (sqlite3_column_int64(s, 1) == 0)
            uidset_add(nameless, uid);
    }
    (void)sqlite3_reset(s);
    return err_of(code);
}

enum err journal_used(struct journal *journal, const char *from, const char *to,
    const char *to_name, uint32_t to_validity, struct uidset *used)
{
    sqlite3_stmt *s = journal->statements[ST_USED];
    int code;
    bind_text(s, 1, from);
    bind_text(s, 2, to);
    bind_text(s, 3, to_name);
    (void)sqlite3_bind_int64(s, 4, to_validity);
    while ((code = sqlite3_step(s)) == SQLITE_ROW)
        uidset_add(used, (uint32_t)sqlite3_column_int64(s, 0));
    (void)sqlite3_reset(s);
    (void)sqlite3_clear_bindings(s);
    return err_of(code);
}

enum err journal_add(struct journal *journal, int64_t folder, uint32_t uid, uint32_t to_uid)
{
    sqlite3_stmt *s = journal->statements[ST_ADD];
    TRY(begin(journal));
    (void)sqlite3_bind_int64(s, 1, folder);
    (void)sqlite3_bind_int64(s, 2, uid);
    (void)sqlite3_bind_int64(s, 3, to_uid);
    return run(journal, ST_ADD);
}

static void bind_id(sqlite3_stmt *s, int64_t folder, struct slice id)
{
    (void)sqlite3_bind_int64(s, 1, folder);
    (void)sqlite3_bind_blob(s, 2, id.ptr, (int)id.len, SQLITE_STATIC);
}

enum err journal_add_id(struct journal *journal, int64_t folder, struct slice id, uint32_t to_uid)
{
    sqlite3_stmt *s = journal->statements[ST_ADD];
    TRY(begin(journal));
    bind_id(s, folder, id);
    (void)sqlite3_bind_int64(s, 3, to_uid);
    return run(journal, ST_ADD);
}

enum err journal_find_id(
    struct journal *journal, int64_t folder, struct slice id, bool *out_has, uint32_t *out_uid)
{
    sqlite3_stmt *s = journal->statements[ST_HAS];
    bind_id(s, folder, id);
    int code = sqlite3_step(s);
    uint32_t uid = code == SQLITE_ROW ? (uint32_t)sqlite3_column_int64(s, 0) : 0;
    (void)sqlite3_reset(s);
    (void)sqlite3_clear_bindings(s);
    TRY(err_of(code));
    *out_has = code == SQLITE_ROW;
    *out_uid = uid;
    return ERR_OK;
}
