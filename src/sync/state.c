/* The state of an account in SQLite. All SQL of the layer stands here. */
#include "sync/state.h"

#include "sql/sql.h"

#include <stdlib.h>
#include <string.h>

enum {
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

static const struct sql_options options = { .texts = texts,
    .count = ST_COUNT,
    .sharing = SQL_ALONE, /* a second run hears of it before it has done anything */
    .make = true,
    .nofollow = true,
    .constraint = ERR_EXISTS };

static const char *const steps[] = {
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
    "CREATE UNIQUE INDEX message_base ON message (folder, base) WHERE base <> '';",
};
static const struct sql_format format = { .steps = steps,
    .version = sizeof steps / sizeof steps[0] };

struct state {
    struct sql_db sql;
};

enum err state_open(const char *path, struct state **out_state, struct err_note *note)
{
    struct state *state = mem_zalloc(1, sizeof *state);
    enum err e = sql_open_ready(&state->sql, path, &options, &format, note);
    if (e == ERR_OK)
        *out_state = state;
    else
        state_close(state);
    return e;
}

void state_close(struct state *state)
{
    if (!state)
        return;
    sql_close(&state->sql);
    free(state);
}

enum err state_begin(struct state *state)
{
    return sql_begin_write(&state->sql);
}

enum err state_commit(struct state *state)
{
    return sql_end(&state->sql, ERR_OK);
}

void state_rollback(struct state *state)
{
    (void)!sql_rollback(&state->sql); /* closing the file does it too */
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

static char *kept(sqlite3_stmt *s, int column)
{
    struct slice text = sql_text(s, column);
    return mem_strndup(text.ptr, text.len);
}

static struct sync_folder_row read_folder(sqlite3_stmt *s)
{
    struct sync_folder_row row = { .id = sqlite3_column_int64(s, 0),
        .far_name = kept(s, 1),
        .path = kept(s, 2),
        .far = {
            .uidvalidity = (uint32_t)sqlite3_column_int64(s, 3),
            .uidnext = (uint32_t)sqlite3_column_int64(s, 4),
            .modseq = (uint64_t)sqlite3_column_int64(s, 5),
            .messages = (uint32_t)sqlite3_column_int64(s, 6),
        } };
    read_keywords(&row.keywords, sql_text(s, 7));
    return row;
}

enum err state_folders(struct state *state, state_folder_fn each, void *arg)
{
    sqlite3_stmt *s;
    bool there;
    TRY(sql_get(&state->sql, ST_FOLDERS, &s));
    for (;;) {
        TRY(sql_step(&state->sql, s, &there));
        if (!there)
            return ERR_OK;
        struct sync_folder_row row = read_folder(s);
        enum err e = each(arg, &row);
        if (e != ERR_OK) {
            sql_reset(s);
            return e;
        }
    }
}

/* keywords: to be released when the statement is reset. */
static void bind_folder(sqlite3_stmt *s, const struct sync_folder_row *row, struct buf *keywords)
{
    buf_init(keywords, 0);
    for (size_t i = 0; i < SYNC_KEYWORDS_MAX && row->keywords.names[i]; i++)
        buf_addf(keywords, "%s%s", i ? " " : "", row->keywords.names[i]);
    sql_bind_text(s, 1, slice_of(row->far_name));
    sql_bind_text(s, 2, slice_of(row->path));
    (void)sqlite3_bind_int64(s, 3, row->far.uidvalidity);
    (void)sqlite3_bind_int64(s, 4, row->far.uidnext);
    (void)sqlite3_bind_int64(s, 5, (int64_t)row->far.modseq);
    (void)sqlite3_bind_int64(s, 6, row->far.messages);
    sql_bind_text(s, 7, buf_slice(keywords));
}

enum err state_folder_add(struct state *state, struct sync_folder_row *row)
{
    struct buf keywords;
    sqlite3_stmt *s;
    TRY(sql_get(&state->sql, ST_FOLDER_ADD, &s));
    bind_folder(s, row, &keywords);
    enum err e = sql_done(&state->sql, s);
    buf_done(&keywords);
    if (e == ERR_OK)
        row->id = sqlite3_last_insert_rowid(state->sql.db);
    return e;
}

enum err state_folder_set(struct state *state, const struct sync_folder_row *row)
{
    struct buf keywords;
    sqlite3_stmt *s;
    TRY(sql_get(&state->sql, ST_FOLDER_SET, &s));
    bind_folder(s, row, &keywords);
    (void)sqlite3_bind_int64(s, 8, row->id);
    enum err e = sql_done(&state->sql, s);
    buf_done(&keywords);
    return e;
}

/* A change that an id alone says. */
static enum err run_with(struct state *state, unsigned which, int64_t id)
{
    sqlite3_stmt *s;
    TRY(sql_get(&state->sql, which, &s));
    (void)sqlite3_bind_int64(s, 1, id);
    return sql_done(&state->sql, s);
}

enum err state_folder_remove(struct state *state, int64_t id)
{
    TRY(run_with(state, ST_ROWS_REMOVE, id));
    return run_with(state, ST_FOLDER_REMOVE, id);
}

/* ---- messages ---- */

static enum err read_row(sqlite3_stmt *s, struct arena *arena, struct sync_row *row)
{
    *row = (struct sync_row){
        .id = sqlite3_column_int64(s, 0),
        .kind = (enum sync_kind)sqlite3_column_int(s, 1),
        .uid = (uint32_t)sqlite3_column_int64(s, 2),
        .bound = (uint32_t)sqlite3_column_int64(s, 3),
        .base = slice_cstr(arena, sql_text(s, 4)),
        .flags = (uint32_t)sqlite3_column_int64(s, 5),
        .facts = { .bytes = (uint64_t)sqlite3_column_int64(s, 6),
            .message_id = (uint64_t)sqlite3_column_int64(s, 7) },
    };
    struct slice hash = sql_bytes(s, 8);
    if (hash.len == sizeof row->facts.hash)
        memcpy(row->facts.hash, hash.ptr, hash.len);
    return row->base ? ERR_OK : ERR_LIMIT;
}

enum err state_rows(struct state *state, int64_t folder, struct arena *arena,
    struct sync_row **out_rows, size_t *out_count)
{
    sqlite3_stmt *s;
    struct sync_row *rows = NULL;
    size_t count = 0, cap = 0;
    bool there;
    TRY(sql_get(&state->sql, ST_ROWS, &s));
    (void)sqlite3_bind_int64(s, 1, folder);
    for (;;) {
        TRY(sql_step(&state->sql, s, &there));
        if (!there)
            break;
        rows = arena_grow(arena, rows, &cap, count + 1, sizeof *rows);
        enum err e = rows ? read_row(s, arena, &rows[count]) : ERR_LIMIT;
        if (e != ERR_OK) {
            sql_reset(s);
            return e;
        }
        count++;
    }
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
    sql_bind_text(s, 5, slice_of(row->base));
    (void)sqlite3_bind_int64(s, 6, row->flags);
    (void)sqlite3_bind_int64(s, 7, (int64_t)row->facts.bytes);
    (void)sqlite3_bind_int64(s, 8, (int64_t)row->facts.message_id);
    sql_bind_bytes(s, 9, slice_from(row->facts.hash, sizeof row->facts.hash));
}

enum err state_row_add(struct state *state, int64_t folder, struct sync_row *row)
{
    sqlite3_stmt *s;
    TRY(sql_get(&state->sql, ST_ROW_ADD, &s));
    bind_row(s, folder, row);
    TRY(sql_done(&state->sql, s));
    row->id = sqlite3_last_insert_rowid(state->sql.db);
    return ERR_OK;
}

enum err state_row_set(struct state *state, const struct sync_row *row)
{
    sqlite3_stmt *s;
    TRY(sql_get(&state->sql, ST_ROW_SET, &s));
    bind_row(s, row->id, row);
    return sql_done(&state->sql, s);
}

enum err state_row_remove(struct state *state, int64_t id)
{
    return run_with(state, ST_ROW_REMOVE, id);
}

enum err state_settle(struct state *state, int64_t folder)
{
    return run_with(state, ST_SETTLE, folder);
}

static enum err tell_found(sqlite3_stmt *s, state_found_fn each, void *arg)
{
    struct arena arena;
    struct sync_row row;
    arena_init(&arena, SIZE_MAX);
    enum err e = read_row(s, &arena, &row);
    if (e == ERR_OK)
        e = each(arg, (const char *)sqlite3_column_text(s, 9), &row);
    arena_done(&arena);
    return e;
}

/* A look now and then: the table is read through, no index is kept for it. */
enum err state_find(struct state *state, uint64_t message_id, state_found_fn each, void *arg)
{
    sqlite3_stmt *s;
    bool there;
    TRY(sql_get(&state->sql, ST_FIND, &s));
    (void)sqlite3_bind_int64(s, 1, (int64_t)message_id);
    for (;;) {
        TRY(sql_step(&state->sql, s, &there));
        if (!there)
            return ERR_OK;
        enum err e = tell_found(s, each, arg);
        if (e != ERR_OK) {
            sql_reset(s);
            return e;
        }
    }
}
