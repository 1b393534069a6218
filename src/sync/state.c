/* The state of an account in SQLite. All SQL of the layer stands here. */
#include "sync/state.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum {
    ST_BEGIN,
    ST_COMMIT,
    ST_ROLLBACK,
    ST_FOLDERS,
    ST_FOLDER_ADD,
    ST_FOLDER_SET,
    ST_FOLDER_REMOVE,
    ST_ROWS,
    ST_ROW_ADD,
    ST_ROW_SET,
    ST_ROW_REMOVE,
    ST_ROWS_REMOVE,
    ST_SETTLE,
    ST_FIND,
    ST_COUNT
};

static const char *const texts[ST_COUNT] = {
    [ST_BEGIN] = "BEGIN IMMEDIATE",
    [ST_COMMIT] = "COMMIT",
    [ST_ROLLBACK] = "ROLLBACK",
    [ST_FOLDERS] = "SELECT id, far, path, uidvalidity, uidnext, modseq, messages, keywords FROM "
                   "folder ORDER BY id",
    [ST_FOLDER_ADD] =
        "INSERT INTO folder (far, path, uidvalidity, uidnext, modseq, messages, keywords)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [ST_FOLDER_SET] = "UPDATE folder SET far = ?1, path = ?2, uidvalidity = ?3, uidnext = ?4, "
                      "modseq = ?5, messages = ?6,"
                      " keywords = ?7 WHERE id = ?8",
    [ST_FOLDER_REMOVE] = "DELETE FROM folder WHERE id = ?1",
    [ST_ROWS] = "SELECT id, kind, uid, bound, base, flags, bytes, message_id, hash FROM message "
                "WHERE folder = ?1"
                " ORDER BY uid",
    [ST_ROW_ADD] =
        "INSERT INTO message (folder, kind, uid, bound, base, flags, bytes, message_id, hash)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [ST_ROW_SET] =
        "UPDATE message SET kind = ?2, uid = ?3, bound = ?4, base = ?5, flags = ?6, bytes = ?7,"
        " message_id = ?8, hash = ?9 WHERE id = ?1",
    [ST_ROW_REMOVE] = "DELETE FROM message WHERE id = ?1",
    [ST_ROWS_REMOVE] = "DELETE FROM message WHERE folder = ?1",
    [ST_SETTLE] = "UPDATE message SET kind = 0 WHERE folder = ?1 AND kind = 1",
    [ST_FIND] = "SELECT m.id, m.kind, m.uid, m.bound, m.base, m.flags, m.bytes, m.message_id, "
                "m.hash, f.path FROM message m JOIN folder f ON f.id = m.folder"
                " WHERE m.message_id = ?1 ORDER BY f.path, m.uid",
};

/* user_version is the version of these tables. */
#define STATE_VERSION 1
static const char schema[] =
    "CREATE TABLE folder (id INTEGER PRIMARY KEY, far TEXT NOT NULL UNIQUE, path TEXT NOT NULL "
    "UNIQUE,"
    " uidvalidity INTEGER NOT NULL, uidnext INTEGER NOT NULL, modseq INTEGER NOT NULL, messages "
    "INTEGER NOT NULL,"
    " keywords TEXT NOT NULL);"
    "CREATE TABLE message (id INTEGER PRIMARY KEY, folder INTEGER NOT NULL, kind INTEGER NOT NULL,"
    " uid INTEGER NOT NULL, bound INTEGER NOT NULL, base TEXT NOT NULL, flags INTEGER NOT NULL, "
    "bytes INTEGER NOT NULL,"
    " message_id INTEGER NOT NULL, hash BLOB NOT NULL);"
    "CREATE UNIQUE INDEX message_uid ON message (folder, uid) WHERE uid > 0;"
    "CREATE UNIQUE INDEX message_base ON message (folder, base) WHERE base <> '';"
    "PRAGMA user_version = 1;";

struct state {
    sqlite3 *db; /* owned */
    sqlite3_stmt *statements[ST_COUNT];
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
    case SQLITE_CONSTRAINT:
        return ERR_EXISTS;
    default:
        return ERR_IO;
    }
}

static enum err set_up(sqlite3 *db)
{
    static const char pragmas[] = "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
                                  "PRAGMA synchronous = FULL; PRAGMA cache_size = -2000;";
    sqlite3_stmt *version = NULL;
    enum err e = err_of(sqlite3_exec(db, pragmas, NULL, NULL, NULL));
    if (e == ERR_OK) /* takes the lock now: a second run hears of it before it has done anything */
        e = err_of(sqlite3_exec(db, "BEGIN IMMEDIATE; COMMIT", NULL, NULL, NULL));
    if (e == ERR_OK)
        e = err_of(sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &version, NULL));
    int found = -1;
    if (e == ERR_OK && sqlite3_step(version) == SQLITE_ROW)
        found = sqlite3_column_int(version, 0);
    (void)sqlite3_finalize(version);
    if (e == ERR_OK && found == 0) {
        e = err_of(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL));
        if (e == ERR_OK)
            e = err_of(sqlite3_exec(db, schema, NULL, NULL, NULL));
        if (e == ERR_OK)
            e = err_of(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
    } else if (e == ERR_OK && found != STATE_VERSION) {
        e = ERR_CORRUPT;
    }
    return e;
}

enum err state_open(const char *path, struct state **out_state, struct err_note *note)
{
    struct state *state = mem_zalloc(1, sizeof *state);
    enum err e = err_of(sqlite3_open_v2(
        path, &state->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW, NULL));
    if (e == ERR_OK)
        e = set_up(state->db);
    for (size_t i = 0; e == ERR_OK && i < ST_COUNT; i++)
        e = err_of(sqlite3_prepare_v3(
            state->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &state->statements[i], NULL));
    if (e != ERR_OK) {
        err_noted(note, e, "%s: %s", path,
            e == ERR_BUSY ? err_in("another run is at work") : err_words(e));
        state_close(state);
        return e;
    }
    *out_state = state;
    return ERR_OK;
}

void state_close(struct state *state)
{
    if (!state)
        return;
    for (size_t i = 0; i < ST_COUNT; i++)
        (void)sqlite3_finalize(state->statements[i]);
    (void)sqlite3_close(state->db);
    free(state);
}

/* ---- running statements ---- */

static enum err run(struct state *state, int which)
{
    sqlite3_stmt *s = state->statements[which];
    enum err e = err_of(sqlite3_step(s));
    (void)sqlite3_reset(s);
    (void)sqlite3_clear_bindings(s);
    return e;
}

enum err state_begin(struct state *state)
{
    return run(state, ST_BEGIN);
}

enum err state_commit(struct state *state)
{
    enum err e = run(state, ST_COMMIT);
    if (e != ERR_OK)
        state_rollback(state);
    return e;
}

void state_rollback(struct state *state)
{
    if (!sqlite3_get_autocommit(state->db) && run(state, ST_ROLLBACK) != ERR_OK)
        return; /* closing the file undoes it too */
}

static void bind_text(sqlite3_stmt *s, int at, const char *text)
{
    (void)sqlite3_bind_text(s, at, text, -1, SQLITE_STATIC);
}

/* ---- folders ---- */

void sync_folder_row_done(struct sync_folder_row *row)
{
    free(row->far_name);
    free(row->path);
    sync_keywords_done(&row->keywords);
    row->far_name = row->path = NULL;
}

/* Names with a blank between them: a keyword has none (RFC 9051 §9 "flag-keyword" is an atom). */
static void read_keywords(struct sync_keywords *keywords, struct slice text)
{
    struct slice name;
    for (size_t i = 0; i < SYNC_KEYWORDS_MAX && slice_cut(&text, ' ', &name); i++)
        keywords->names[i] = mem_strndup(name.ptr, name.len);
}

enum err state_folders(struct state *state, state_folder_fn each, void *arg)
{
    sqlite3_stmt *s = state->statements[ST_FOLDERS];
    enum err e = ERR_OK;
    int code = SQLITE_DONE;
    while (e == ERR_OK && (code = sqlite3_step(s)) == SQLITE_ROW) {
        struct sync_folder_row row = {
            .id = sqlite3_column_int64(s, 0),
            .far_name = mem_strdup((const char *)sqlite3_column_text(s, 1)),
            .path = mem_strdup((const char *)sqlite3_column_text(s, 2)),
            .far = {
                .uidvalidity = (uint32_t)sqlite3_column_int64(s, 3),
                .uidnext = (uint32_t)sqlite3_column_int64(s, 4),
                .modseq = (uint64_t)sqlite3_column_int64(s, 5),
                .messages = (uint32_t)sqlite3_column_int64(s, 6),
            },
        };
        read_keywords(&row.keywords, slice_of((const char *)sqlite3_column_text(s, 7)));
        e = each(arg, &row);
    }
    (void)sqlite3_reset(s);
    return e == ERR_OK ? err_of(code) : e;
}

static void bind_folder(sqlite3_stmt *s, const struct sync_folder_row *row, struct buf *keywords)
{
    buf_init(keywords, 0);
    for (size_t i = 0; i < SYNC_KEYWORDS_MAX && row->keywords.names[i]; i++)
        buf_addf(keywords, "%s%s", i ? " " : "", row->keywords.names[i]);
    buf_addc(keywords, '\0');
    bind_text(s, 1, row->far_name);
    bind_text(s, 2, row->path);
    (void)sqlite3_bind_int64(s, 3, row->far.uidvalidity);
    (void)sqlite3_bind_int64(s, 4, row->far.uidnext);
    (void)sqlite3_bind_int64(s, 5, (int64_t)row->far.modseq);
    (void)sqlite3_bind_int64(s, 6, row->far.messages);
    bind_text(s, 7, buf_slice(keywords).ptr);
}

enum err state_folder_add(struct state *state, struct sync_folder_row *row)
{
    struct buf keywords;
    bind_folder(state->statements[ST_FOLDER_ADD], row, &keywords);
    enum err e = run(state, ST_FOLDER_ADD);
    buf_done(&keywords);
    if (e == ERR_OK)
        row->id = sqlite3_last_insert_rowid(state->db);
    return e;
}

enum err state_folder_set(struct state *state, const struct sync_folder_row *row)
{
    struct buf keywords;
    sqlite3_stmt *s = state->statements[ST_FOLDER_SET];
    bind_folder(s, row, &keywords);
    (void)sqlite3_bind_int64(s, 8, row->id);
    enum err e = run(state, ST_FOLDER_SET);
    buf_done(&keywords);
    return e;
}

enum err state_folder_remove(struct state *state, int64_t id)
{
    (void)sqlite3_bind_int64(state->statements[ST_ROWS_REMOVE], 1, id);
    TRY(run(state, ST_ROWS_REMOVE));
    (void)sqlite3_bind_int64(state->statements[ST_FOLDER_REMOVE], 1, id);
    return run(state, ST_FOLDER_REMOVE);
}

/* ---- messages ---- */

static enum err read_row(sqlite3_stmt *s, struct arena *arena, struct sync_row *row)
{
    *row = (struct sync_row){
        .id = sqlite3_column_int64(s, 0),
        .kind = (enum sync_kind)sqlite3_column_int(s, 1),
        .uid = (uint32_t)sqlite3_column_int64(s, 2),
        .bound = (uint32_t)sqlite3_column_int64(s, 3),
        .base = slice_cstr(arena, slice_of((const char *)sqlite3_column_text(s, 4))),
        .flags = (uint32_t)sqlite3_column_int64(s, 5),
        .facts = { .bytes = (uint64_t)sqlite3_column_int64(s, 6),
            .message_id = (uint64_t)sqlite3_column_int64(s, 7) },
    };
    if (sqlite3_column_bytes(s, 8) == (int)sizeof row->facts.hash)
        memcpy(row->facts.hash, sqlite3_column_blob(s, 8), sizeof row->facts.hash);
    return row->base ? ERR_OK : ERR_LIMIT;
}

enum err state_rows(struct state *state, int64_t folder, struct arena *arena,
    struct sync_row **out_rows, size_t *out_count)
{
    sqlite3_stmt *s = state->statements[ST_ROWS];
    struct sync_row *rows = NULL;
    size_t count = 0, cap = 0;
    enum err e = ERR_OK;
    int code = SQLITE_DONE;
    (void)sqlite3_bind_int64(s, 1, folder);
    while (e == ERR_OK && (code = sqlite3_step(s)) == SQLITE_ROW) {
        rows = arena_grow(arena, rows, &cap, count + 1, sizeof *rows);
        e = rows ? read_row(s, arena, &rows[count]) : ERR_LIMIT;
        count++;
    }
    (void)sqlite3_reset(s);
    if (e == ERR_OK)
        e = err_of(code);
    if (e != ERR_OK)
        return e;
    *out_rows = rows;
    *out_count = count;
    return ERR_OK;
}

static void bind_row(sqlite3_stmt *s, int64_t first, const struct sync_row *row)
{
    (void)sqlite3_bind_int64(s, 1, first);
    (void)sqlite3_bind_int(s, 2, (int)row->kind);
    (void)sqlite3_bind_int64(s, 3, row->uid);
    (void)sqlite3_bind_int64(s, 4, row->bound);
    bind_text(s, 5, row->base);
    (void)sqlite3_bind_int64(s, 6, row->flags);
    (void)sqlite3_bind_int64(s, 7, (int64_t)row->facts.bytes);
    (void)sqlite3_bind_int64(s, 8, (int64_t)row->facts.message_id);
    (void)sqlite3_bind_blob(s, 9, row->facts.hash, sizeof row->facts.hash, SQLITE_STATIC);
}

enum err state_row_add(struct state *state, int64_t folder, struct sync_row *row)
{
    bind_row(state->statements[ST_ROW_ADD], folder, row);
    TRY(run(state, ST_ROW_ADD));
    row->id = sqlite3_last_insert_rowid(state->db);
    return ERR_OK;
}

enum err state_row_set(struct state *state, const struct sync_row *row)
{
    bind_row(state->statements[ST_ROW_SET], row->id, row);
    return run(state, ST_ROW_SET);
}

enum err state_row_remove(struct state *state, int64_t id)
{
    (void)sqlite3_bind_int64(state->statements[ST_ROW_REMOVE], 1, id);
    return run(state, ST_ROW_REMOVE);
}

enum err state_settle(struct state *state, int64_t folder)
{
    (void)sqlite3_bind_int64(state->statements[ST_SETTLE], 1, folder);
    return run(state, ST_SETTLE);
}

/* A look now and then: the table is read through, no index is kept for it. */
enum err state_find(struct state *state, uint64_t message_id, state_found_fn each, void *arg)
{
    sqlite3_stmt *s = state->statements[ST_FIND];
    struct arena arena;
    enum err e = ERR_OK;
    int code = SQLITE_DONE;
    arena_init(&arena, SIZE_MAX);
    (void)sqlite3_bind_int64(s, 1, (int64_t)message_id);
    while (e == ERR_OK && (code = sqlite3_step(s)) == SQLITE_ROW) {
        struct sync_row row;
        e = read_row(s, &arena, &row);
        if (e == ERR_OK)
            e = each(arg, (const char *)sqlite3_column_text(s, 9), &row);
    }
    (void)sqlite3_reset(s);
    arena_done(&arena);
    return e == ERR_OK ? err_of(code) : e;
}
