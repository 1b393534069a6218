/* A database of SQLite: how its file is opened, what errors mean, its statements, transactions, and which format it has. The tables and the texts of the statements are
 * the owner's.
 *
 * Always so: a commit is on the disk when it returns (WAL, synchronous=FULL); nothing that SQLite makes on the way is a file elsewhere (a confined server may make
 * none); damaged cells and functions in a schema that came from outside are errors.
 *
 * Blocking: everything that takes a struct sql_db may wait for the disk, and where it is shared up to SQL_WAIT_MS for another process. No lock of its own: one thread at
 * a time, which is the owner's business. */
#ifndef SQL_SQL_H
#define SQL_SQL_H

#include "base/err.h"
#include "base/slice.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#define SQL_WAIT_MS                                                                                \
    5000 /* a change of another process takes milliseconds; a disk that stalls takes seconds */

enum sql_sharing {
    SQL_ALONE, /* one process, which holds the file as long as it is open; another hears ERR_BUSY at once. No shared memory */
    SQL_SHARED, /* several: the server beside the command line, a run beside somebody who looks */
};

/* Static, of one owner. */
struct sql_options {
    const char *const *texts; /* the statements, by number */
    unsigned count;
    enum sql_sharing sharing;
    bool make; /* a file that is not there is made, for its owner alone (0600) */
    bool
        nofollow; /* the name may be no symbolic link; folders before it may. For what lies in a person's folders: an administrator may keep a server's file elsewhere */
    /* What a row against a constraint is: ERR_EXISTS where it is tried, ERR_CORRUPT where all is checked before. */
    enum err constraint;
    /* A file that cannot be opened or written is a disk that failed: ERR_IO. Else what the system says of it: ERR_DENIED, ERR_NOT_FOUND, ERR_NO_SPACE. */
    bool access_is_io;
};

/* Embedded. All zeros: closed. */
struct sql_db {
    sqlite3 *db;                       /* owned */
    const struct sql_options *options; /* borrowed */
    sqlite3_stmt **statements;         /* owned; NULL until first used */
    bool batch;                        /* sql_batch */
};

/* ---- opening ---- */

/* The file with all that is said above. *sql is to be closed in any case.
 *
 * ERR_BUSY: another process has it (SQL_ALONE), or changes it for too long. ERR_CORRUPT: no database, or a damaged one. ERR_DENIED, ERR_NOT_FOUND, ERR_NO_SPACE, ERR_IO */
enum err MUST_USE sql_open(struct sql_db *sql, const char *path, const struct sql_options *options);
/* Its two halves, for a file that is opened another way. The first takes the flags as they are, and vfs (NULL: the system's); it looks into no file. The second sets what holds for
 * all but the log (journal_mode). */
enum err MUST_USE sql_attach(struct sql_db *sql, const char *path, int flags, const char *vfs,
    const struct sql_options *options);
enum err MUST_USE sql_settle(struct sql_db *sql);
/* Takes back what was not committed. Statements that the owner prepared are finalized before. */
void sql_close(struct sql_db *sql);

/* The format of a file is its user_version. */
struct sql_format {
    const char *const *steps; /* the nth makes format n + 1 of format n; 0 is the empty file */
    int version;              /* how many there are */
    int application_id;       /* 0: none is written or asked for */
};
/* Brings the file to today's format, each step in a transaction of its own; several processes may do so at once. note says what is wrong, whatever it is.
 *
 * ERR_DENIED: a newer Barid wrote it; it stays as it is. ERR_CORRUPT: it is another program's, or damaged */
enum err MUST_USE sql_bring(
    struct sql_db *sql, const char *path, const struct sql_format *format, struct err_note *note);

/* What one run at a time remembers, made ready: opened, brought to today's format, all statements prepared. note says what is wrong, whatever it is; errors as of these. */
enum err MUST_USE sql_open_ready(struct sql_db *sql, const char *path,
    const struct sql_options *options, const struct sql_format *format, struct err_note *note);

/* ---- errors ---- */

/* The kind that a result code of SQLite stands for; to be asked right after the call. ERR_NO_SPACE: a write that found no room, in whichever way the system says so; it left nothing behind, unlike a sync
 * that failed (ERR_IO). ERR_CORRUPT: also a statement that does not fit the tables. ERR_LIMIT: a value too big for SQLite. */
enum err sql_err(const struct sql_db *sql, int rc);
/* The last error in SQLite's words, which are English. Borrowed until the next call. */
const char *sql_words(const struct sql_db *sql);

/* ---- statements ---- */

/* The statement, reset and without bindings; prepared at its first use. */
enum err MUST_USE sql_get(struct sql_db *sql, unsigned which, sqlite3_stmt **out_statement);
/* Prepares all of them: tables that the statements do not fit are ERR_CORRUPT here and not in the middle of the work. */
enum err MUST_USE sql_prepare_all(struct sql_db *sql);
/* One of a single use: stepped as the others; the caller finalizes it. */
enum err MUST_USE sql_prepare(struct sql_db *sql, const char *text, sqlite3_stmt **out_statement);

/* Steps once. A row: *out_row true. When it is done or has failed it is reset, without bindings. */
enum err MUST_USE sql_step(struct sql_db *sql, sqlite3_stmt *statement, bool *out_row);
/* For who leaves it before that, or never got one (NULL). */
void sql_reset(sqlite3_stmt *statement);
/* Steps a statement that gives no row, and resets it. */
enum err MUST_USE sql_done(struct sql_db *sql, sqlite3_stmt *statement);
/* Steps once and resets: whether there is a row. */
enum err MUST_USE sql_has(struct sql_db *sql, sqlite3_stmt *statement, bool *out_has);
/* One number from the first row; *out_found (may be NULL) false when there is none. Resets. */
enum err MUST_USE sql_number(
    struct sql_db *sql, sqlite3_stmt *statement, int64_t *out_number, bool *out_found);
/* A statement without parameters and rows. */
enum err MUST_USE sql_run(struct sql_db *sql, unsigned which);
/* Several of a single use, without parameters. */
enum err MUST_USE sql_exec(struct sql_db *sql, const char *texts);
/* The number that a statement of a single use gives: a pragma. ERR_NOT_FOUND: no row. */
enum err MUST_USE sql_ask(struct sql_db *sql, const char *text, int64_t *out_number);

/* The bytes must live until the statement is reset. */
void sql_bind_text(sqlite3_stmt *statement, int index, struct slice text);
void sql_bind_bytes(sqlite3_stmt *statement, int index, struct slice bytes);
/* Borrowed until the next step. */
struct slice sql_text(sqlite3_stmt *statement, int index);
struct slice sql_bytes(sqlite3_stmt *statement, int index);

/* ---- transactions ---- */

/* Not nested. */
enum err MUST_USE sql_begin(struct sql_db *sql);       /* sees one moment from its first read on */
enum err MUST_USE sql_begin_write(struct sql_db *sql); /* nobody else writes from now on */
/* On the disk when it returns. After an error nothing of it holds, and what is still open is to be rolled back. ERR_IO: SQLite has rolled it back already, when a step of it
 * failed. */
enum err MUST_USE sql_commit(struct sql_db *sql);
/* ERR_OK when there is none. */
enum err MUST_USE sql_rollback(struct sql_db *sql);
/* Commits when e is ERR_OK; else, or when that fails, rolls back. What came of it: e, or the commit's error. */
enum err MUST_USE sql_end(struct sql_db *sql, enum err e);

/* A batch: changes that are seen at once and come to the disk together, by the next sql_batch_commit. Begun by the first; ERR_IO when what was in it is lost. */
enum err MUST_USE sql_batch(struct sql_db *sql);
/* ERR_OK when there is none. After an error what was in it is as if it had not been, and the next one begins anew. */
enum err MUST_USE sql_batch_commit(struct sql_db *sql);

#endif
