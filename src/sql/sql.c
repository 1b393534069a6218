/* What all our databases have in common.
 *
 * Always true: a statement that is not being stepped is reset and has no bindings; what a transaction lost is told by its commit, also when SQLite ended it before. */
#include "sql/sql.h"

#include "base/arena.h"
#include "base/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Behind those of the owner. */
enum own {
    OWN_BEGIN,
    OWN_BEGIN_WRITE,
    OWN_COMMIT,
    OWN_ROLLBACK,
    OWN_COUNT
};
static const char *const own_texts[OWN_COUNT] = {
    [OWN_BEGIN] = "BEGIN",
    [OWN_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [OWN_COMMIT] = "COMMIT",
    [OWN_ROLLBACK] = "ROLLBACK",
};

/* ---- errors ---- */

static enum err cannot_open(const struct sql_db *sql, int rc)
{
    if (sql->options->access_is_io)
        return ERR_IO;
    if (rc == SQLITE_CANTOPEN_SYMLINK)
        return ERR_DENIED;
    enum err e = err_from_errno(sqlite3_system_errno(sql->db));
    /* not ERR_BUSY, for want of descriptors: that is said of another process that has the file */
    return e == ERR_DENIED || e == ERR_NOT_FOUND || e == ERR_NO_SPACE ? e : ERR_IO;
}

static enum err disk_failed(int rc)
{
    if (rc == SQLITE_IOERR_DATA) /* a page that does not fit its checksum, where pages have one */
        return ERR_CORRUPT;
    /* SQLITE_FULL is ENOSPC alone, and the index of a shared log has codes of its own. errno is that of the call that failed: sqlite3_system_errno is not set by a commit.
     * A write that found no room leaves nothing behind: it can be rolled back, unlike a failed sync. */
    bool room =
        rc == SQLITE_IOERR_WRITE || rc == SQLITE_IOERR_SHMOPEN || rc == SQLITE_IOERR_SHMSIZE;
    return room && err_from_errno(errno) == ERR_NO_SPACE ? ERR_NO_SPACE : ERR_IO;
}

enum err sql_err(const struct sql_db *sql, int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return ERR_OK;
    case SQLITE_FULL:
    case SQLITE_NOMEM:
        return ERR_NO_SPACE;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_SCHEMA:
    case SQLITE_ERROR:
        return ERR_CORRUPT;
    case SQLITE_CONSTRAINT:
        return sql->options->constraint;
    case SQLITE_TOOBIG:
        return ERR_LIMIT;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return sql->options->access_is_io ? ERR_IO : ERR_DENIED;
    case SQLITE_CANTOPEN:
        return cannot_open(sql, rc);
    default:
        return disk_failed(rc);
    }
}

const char *sql_words(const struct sql_db *sql)
{
    return sqlite3_errmsg(sql->db);
}

/* ---- opening ---- */

enum err sql_attach(struct sql_db *sql, const char *path, int flags, const char *vfs,
    const struct sql_options *options)
{
    assert(options->constraint != ERR_OK);
    *sql = (struct sql_db){ .options = options };
    sql->statements = mem_zalloc(options->count + OWN_COUNT, sizeof(sqlite3_stmt *));
    int rc = sqlite3_open_v2(path, &sql->db, flags | SQLITE_OPEN_NOMUTEX, vfs);
    if (rc != SQLITE_OK)
        return sql_err(sql, sql->db ? sqlite3_extended_errcode(sql->db) : rc);
    (void)sqlite3_extended_result_codes(sql->db, 1);
    (void)sqlite3_db_config(sql->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return ERR_OK;
}

enum err sql_settle(struct sql_db *sql)
{
    if (sql->options->sharing == SQL_SHARED)
        (void)sqlite3_busy_timeout(sql->db, SQL_WAIT_MS);
    else /* before anything that looks into the file: no shared memory file (sqlite.org/wal.html "noshm") */
        TRY(sql_exec(sql, "PRAGMA locking_mode=EXCLUSIVE"));
    return sql_exec(sql, "PRAGMA synchronous=FULL;PRAGMA temp_store=MEMORY;"
                         "PRAGMA trusted_schema=OFF;PRAGMA cell_size_check=ON");
}

/* SQLite gives the log and its index the mode of the file. What fails is told by SQLite, which tries it again. Only one that is not there: closing a file takes away the locks that
 * this process has on it. */
static void make_file(const char *path)
{
    autoclose int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    (void)fd;
}

/* SQLite refuses links anywhere in a path: the folder is looked up before. NULL: the path is as good as it can be. */
static char *without_links(const char *path)
{
    const char *slash = strrchr(path, '/');
    autofree char *folder =
        slash && slash > path ? mem_strndup(path, (size_t)(slash - path)) : NULL;
    autofree char *real = folder ? realpath(folder, NULL) : NULL;
    char *whole = NULL;
    if (real && asprintf(&whole, "%s%s", strcmp(real, "/") == 0 ? "" : real, slash) < 0)
        abort();
    return whole;
}

enum err sql_open(struct sql_db *sql, const char *path, const struct sql_options *options)
{
    int flags = SQLITE_OPEN_READWRITE;
    flags |= options->make ? SQLITE_OPEN_CREATE : 0;
    flags |= options->nofollow ? SQLITE_OPEN_NOFOLLOW : 0;
    autofree char *real = options->nofollow ? without_links(path) : NULL;
    if (options->make)
        make_file(path);
    TRY(sql_attach(sql, real ? real : path, flags, NULL, options));
    TRY(sql_settle(sql));
    TRY(sql_exec(sql, "PRAGMA journal_mode=WAL"));
    if (options->sharing == SQL_SHARED)
        return ERR_OK;
    /* takes the lock now: a second process hears of it before it has done anything */
    return sql_exec(sql, "BEGIN IMMEDIATE;COMMIT");
}

void sql_close(struct sql_db *sql)
{
    for (size_t i = 0; sql->statements && i < sql->options->count + OWN_COUNT; i++)
        (void)sqlite3_finalize(sql->statements[i]);
    free(sql->statements);
    int rc = sqlite3_close(sql->db);
    assert(rc == SQLITE_OK);
    (void)rc;
    *sql = (struct sql_db){ .options = sql->options };
}

/* ---- the format ---- */

static enum err read_format(struct sql_db *sql, int *out_version, int *out_application)
{
    int64_t version, application;
    TRY(sql_ask(sql, "PRAGMA user_version", &version));
    TRY(sql_ask(sql, "PRAGMA application_id", &application));
    *out_version = (int)version;
    *out_application = (int)application;
    return ERR_OK;
}

/* Inside a transaction; another process may have taken it meanwhile. */
static enum err take_step(struct sql_db *sql, const struct sql_format *format, int *out_version)
{
    char mark[64];
    int version, application;
    TRY(read_format(sql, &version, &application));
    if (version < 0)
        return ERR_CORRUPT;
    if (version < format->version) {
        TRY(sql_exec(sql, format->steps[version]));
        (void)snprintf(mark, sizeof mark, "PRAGMA user_version=%d", ++version);
        TRY(sql_exec(sql, mark));
        (void)snprintf(mark, sizeof mark, "PRAGMA application_id=%d", format->application_id);
        if (format->application_id)
            TRY(sql_exec(sql, mark));
    }
    *out_version = version;
    return ERR_OK;
}

static enum err bring_one(struct sql_db *sql, const char *path, const struct sql_format *format,
    int *version, struct err_note *note)
{
    enum err e = sql_begin_write(sql);
    if (e == ERR_OK)
        e = take_step(sql, format, version);
    if (e == ERR_OK)
        e = sql_commit(sql);
    if (e == ERR_OK)
        return ERR_OK;
    (void)err_noted(note, e, "%s cannot be prepared: %s", path, sql_words(sql));
    (void)!sql_rollback(sql);
    return e;
}

enum err sql_bring(
    struct sql_db *sql, const char *path, const struct sql_format *format, struct err_note *note)
{
    int version, application, id = format->application_id;
    enum err e = read_format(sql, &version, &application);
    if (e != ERR_OK)
        return err_noted(note, e, "%s cannot be read: %s", path, sql_words(sql));
    if (version > format->version)
        return err_noted(note, ERR_DENIED,
            "%s was written by a newer Barid (format %d; this one knows %d)", path, version,
            format->version);
    if (version < 0 || (version > 0 && id && application != id))
        return err_noted(note, ERR_CORRUPT, "%s is a database of another program", path);
    while (version < format->version)
        TRY(bring_one(sql, path, format, &version, note));
    return ERR_OK;
}

/* ---- statements ---- */

static enum err prepare(struct sql_db *sql, const char *text, sqlite3_stmt **slot)
{
    assert(text);
    return sql_err(
        sql, sqlite3_prepare_v3(sql->db, text, -1, SQLITE_PREPARE_PERSISTENT, slot, NULL));
}

enum err sql_get(struct sql_db *sql, unsigned which, sqlite3_stmt **out_statement)
{
    assert(which < sql->options->count);
    sqlite3_stmt **slot = &sql->statements[which];
    if (!*slot)
        TRY(prepare(sql, sql->options->texts[which], slot));
    *out_statement = *slot;
    return ERR_OK;
}

enum err sql_prepare_all(struct sql_db *sql)
{
    sqlite3_stmt *statement;
    for (unsigned i = 0; i < sql->options->count; i++)
        TRY(sql_get(sql, i, &statement));
    return ERR_OK;
}

enum err sql_open_ready(struct sql_db *sql, const char *path, const struct sql_options *options,
    const struct sql_format *format, struct err_note *note)
{
    enum err e = sql_open(sql, path, options);
    if (e != ERR_OK)
        return err_noted(note, e, "%s: %s", path,
            e == ERR_BUSY ? err_in("another run is at work") : err_words(e));
    TRY(sql_bring(sql, path, format, note));
    e = sql_prepare_all(sql);
    return e == ERR_OK ? ERR_OK : err_noted(note, e, "%s: %s", path, err_words(e));
}

enum err sql_prepare(struct sql_db *sql, const char *text, sqlite3_stmt **out_statement)
{
    return sql_err(sql, sqlite3_prepare_v2(sql->db, text, -1, out_statement, NULL));
}

static void reset(sqlite3_stmt *statement)
{
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
}

void sql_reset(sqlite3_stmt *statement)
{
    if (statement)
        reset(statement);
}

static enum err finish(struct sql_db *sql, sqlite3_stmt *statement, int rc)
{
    int problem = errno;
    reset(statement);
    errno = problem; /* for sql_err */
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? ERR_OK : sql_err(sql, rc);
}

enum err sql_step(struct sql_db *sql, sqlite3_stmt *statement, bool *out_row)
{
    int rc = sqlite3_step(statement);
    *out_row = rc == SQLITE_ROW;
    return rc == SQLITE_ROW ? ERR_OK : finish(sql, statement, rc);
}

enum err sql_done(struct sql_db *sql, sqlite3_stmt *statement)
{
    return finish(sql, statement, sqlite3_step(statement));
}

enum err sql_has(struct sql_db *sql, sqlite3_stmt *statement, bool *out_has)
{
    int rc = sqlite3_step(statement);
    TRY(finish(sql, statement, rc));
    *out_has = rc == SQLITE_ROW;
    return ERR_OK;
}

enum err sql_number(
    struct sql_db *sql, sqlite3_stmt *statement, int64_t *out_number, bool *out_found)
{
    int rc = sqlite3_step(statement);
    bool found = rc == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL;
    int64_t number = found ? sqlite3_column_int64(statement, 0) : 0;
    if (rc == SQLITE_ROW) /* a statement with RETURNING acts only when it is run to its end */
        rc = sqlite3_step(statement);
    TRY(finish(sql, statement, rc));
    if (found)
        *out_number = number;
    if (out_found)
        *out_found = found;
    return ERR_OK;
}

enum err sql_run(struct sql_db *sql, unsigned which)
{
    sqlite3_stmt *statement;
    TRY(sql_get(sql, which, &statement));
    return sql_done(sql, statement);
}

enum err sql_exec(struct sql_db *sql, const char *texts)
{
    return sql_err(sql, sqlite3_exec(sql->db, texts, NULL, NULL, NULL));
}

enum err sql_ask(struct sql_db *sql, const char *text, int64_t *out_number)
{
    sqlite3_stmt *statement;
    bool found = false;
    TRY(sql_prepare(sql, text, &statement));
    enum err e = sql_number(sql, statement, out_number, &found);
    (void)sqlite3_finalize(statement);
    return e == ERR_OK && !found ? ERR_NOT_FOUND : e;
}

void sql_bind_text(sqlite3_stmt *statement, int index, struct slice s)
{
    (void)sqlite3_bind_text64(
        statement, index, s.len ? s.ptr : "", s.len, SQLITE_STATIC, SQLITE_UTF8);
}

void sql_bind_bytes(sqlite3_stmt *statement, int index, struct slice bytes)
{
    (void)sqlite3_bind_blob64(
        statement, index, bytes.len ? bytes.ptr : "", bytes.len, SQLITE_STATIC);
}

struct slice sql_text(sqlite3_stmt *statement, int index)
{
    const void *bytes = sqlite3_column_text(statement, index);
    return slice_from(bytes ? bytes : "", (size_t)sqlite3_column_bytes(statement, index));
}

struct slice sql_bytes(sqlite3_stmt *statement, int index)
{
    const void *bytes = sqlite3_column_blob(statement, index);
    return slice_from(bytes ? bytes : "", (size_t)sqlite3_column_bytes(statement, index));
}

/* ---- transactions ---- */

static enum err run_own(struct sql_db *sql, enum own which)
{
    sqlite3_stmt **slot = &sql->statements[sql->options->count + which];
    if (!*slot)
        TRY(prepare(sql, own_texts[which], slot));
    return sql_done(sql, *slot);
}

/* What is wrong with a step (no room, a failed read) may make SQLite roll back all of it. */
static bool is_open(const struct sql_db *sql)
{
    return !sqlite3_get_autocommit(sql->db);
}

enum err sql_begin(struct sql_db *sql)
{
    return run_own(sql, OWN_BEGIN);
}

enum err sql_begin_write(struct sql_db *sql)
{
    return run_own(sql, OWN_BEGIN_WRITE);
}

enum err sql_commit(struct sql_db *sql)
{
    return is_open(sql) ? run_own(sql, OWN_COMMIT) : ERR_IO;
}

enum err sql_rollback(struct sql_db *sql)
{
    return is_open(sql) ? run_own(sql, OWN_ROLLBACK) : ERR_OK;
}

enum err sql_end(struct sql_db *sql, enum err e)
{
    if (e == ERR_OK)
        e = sql_commit(sql);
    if (e != ERR_OK)
        (void)!sql_rollback(sql); /* closing the file does it too */
    return e;
}

enum err sql_batch(struct sql_db *sql)
{
    if (sql->batch)
        return is_open(sql) ? ERR_OK : ERR_IO; /* else this change would be one of its own */
    TRY(sql_begin_write(sql));
    sql->batch = true;
    return ERR_OK;
}

enum err sql_batch_commit(struct sql_db *sql)
{
    if (!sql->batch)
        return ERR_OK;
    sql->batch = false;
    return sql_end(sql, ERR_OK);
}
