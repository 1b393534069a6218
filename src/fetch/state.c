/* pop3.db. */
#include "fetch/state.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "base/rand.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define STATE_VERSION   1
#define BUSY_TIMEOUT_MS 5000 /* who looks at it with the sqlite3 shell meanwhile */

static const char schema[] =
    "CREATE TABLE mailbox(id INTEGER PRIMARY KEY, host TEXT NOT NULL, user TEXT NOT NULL,"
    " UNIQUE(host, user));"
    "CREATE TABLE message(mailbox INTEGER NOT NULL, key BLOB NOT NULL, known INTEGER NOT NULL,"
    " at INTEGER NOT NULL, seen INTEGER NOT NULL, file TEXT, becomes INTEGER,"
    " PRIMARY KEY(mailbox, key)) WITHOUT ROWID;"
    "CREATE INDEX arriving ON message(known) WHERE known=1;"
    "CREATE TABLE setting(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;";

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    GET,
    SET,
    SEEN,
    FORGET,
    ARRIVING,
    ARRIVED,
    TEXT,
    TEXT_SET,
    MAILBOX,
    MAILBOX_ADD,
    STATEMENTS,
};

static const char *const texts[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [GET] = "SELECT known, at FROM message WHERE mailbox=?1 AND key=?2",
    [SET] = "INSERT INTO message VALUES(?1, ?2, ?3, ?4, ?4/86400, ?5, ?6) ON CONFLICT DO UPDATE SET"
            " known=?3, at=?4, file=?5, becomes=?6",
    [SEEN] = "UPDATE message SET seen=?3 WHERE mailbox=?1 AND key=?2 AND seen<>?3",
    [FORGET] = "DELETE FROM message WHERE mailbox=?1 AND seen<?2 AND known<>1",
    [ARRIVING] = "SELECT file FROM message WHERE known=1",
    [ARRIVED] = "UPDATE message SET known=becomes, file=NULL, becomes=NULL WHERE known=1",
    [TEXT] = "SELECT value FROM setting WHERE name=?1",
    [TEXT_SET] = "INSERT INTO setting VALUES(?1, ?2) ON CONFLICT DO UPDATE SET value=?2",
    [MAILBOX] = "SELECT id FROM mailbox WHERE host=?1 AND user=?2",
    [MAILBOX_ADD] = "INSERT INTO mailbox(host, user) VALUES(?1, ?2)",
};
_Static_assert(FETCH_ARRIVING == 1, "the statements and the index say 1");

struct fetch_state {
    sqlite3 *db;                          /* owned */
    sqlite3_stmt *statements[STATEMENTS]; /* owned */
    int64_t mailbox;
    bool in_transaction;
    char tag[FETCH_TAG_CHARS + 1];
};

static enum err err_of(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return ERR_OK;
    case SQLITE_FULL:
        return ERR_NO_SPACE;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_CORRUPT;
    default:
        return ERR_IO;
    }
}

static sqlite3_stmt *statement(struct fetch_state *state, enum statement which)
{
    if (!state->statements[which])
        (void)sqlite3_prepare_v3(state->db, texts[which], -1, SQLITE_PREPARE_PERSISTENT,
            &state->statements[which], NULL);
    return state->statements[which];
}

/* Runs one without rows. */
static enum err run(struct fetch_state *state, enum statement which)
{
    sqlite3_stmt *s = statement(state, which);
    if (!s)
        return err_of(sqlite3_errcode(state->db));
    int rc = sqlite3_step(s);
    (void)sqlite3_reset(s);
    (void)sqlite3_clear_bindings(s);
    return err_of(rc);
}

/* Changes go into a transaction that the next commit ends. */
static enum err change(struct fetch_state *state)
{
    if (state->in_transaction)
        return ERR_OK;
    TRY(run(state, BEGIN));
    state->in_transaction = true;
    return ERR_OK;
}

static void bind_text(sqlite3_stmt *s, int at, const char *text)
{
    if (s)
        (void)sqlite3_bind_text(s, at, text, -1, SQLITE_TRANSIENT);
}

static void bind_int(sqlite3_stmt *s, int at, int64_t number)
{
    if (s)
        (void)sqlite3_bind_int64(s, at, number);
}

static void bind_key(struct fetch_state *state, sqlite3_stmt *s, struct slice key)
{
    bind_int(s, 1, state->mailbox);
    if (s)
        (void)sqlite3_bind_blob(s, 2, key.ptr, (int)key.len, SQLITE_TRANSIENT);
}

/* ---- messages ---- */

enum err fetch_state_get(
    struct fetch_state *state, struct slice key, struct fetch_record *out_record)
{
    sqlite3_stmt *s = statement(state, GET);
    struct fetch_record record = { .known = FETCH_UNKNOWN };
    bind_key(state, s, key);
    int rc = s ? sqlite3_step(s) : sqlite3_errcode(state->db);
    if (rc == SQLITE_ROW)
        record = (struct fetch_record){ .known = (enum fetch_known)sqlite3_column_int(s, 0),
            .at_s = sqlite3_column_int64(s, 1) };
    (void)sqlite3_reset(s);
    TRY(err_of(rc));
    *out_record = record;
    return ERR_OK;
}

enum err fetch_state_set(struct fetch_state *state, struct slice key, enum fetch_known known,
    int64_t at_s, const char *file, enum fetch_known becomes)
{
    TRY(change(state));
    sqlite3_stmt *s = statement(state, SET);
    bind_key(state, s, key);
    bind_int(s, 3, known);
    bind_int(s, 4, at_s);
    if (file) {
        bind_text(s, 5, file);
        bind_int(s, 6, becomes);
    }
    return run(state, SET);
}

enum err fetch_state_seen(struct fetch_state *state, struct slice key, int64_t day)
{
    TRY(change(state));
    sqlite3_stmt *s = statement(state, SEEN);
    bind_key(state, s, key);
    bind_int(s, 3, day);
    return run(state, SEEN);
}

enum err fetch_state_forget(struct fetch_state *state, int64_t before_day)
{
    TRY(change(state));
    sqlite3_stmt *s = statement(state, FORGET);
    bind_int(s, 1, state->mailbox);
    bind_int(s, 2, before_day);
    return run(state, FORGET);
}

enum err fetch_state_commit(struct fetch_state *state)
{
    if (!state->in_transaction)
        return ERR_OK;
    enum err e = run(state, COMMIT);
    if (e)
        (void)run(state, ROLLBACK);
    state->in_transaction = false;
    return e;
}

enum err fetch_state_arriving(struct fetch_state *state, fetch_arriving_fn *visit, void *arg)
{
    sqlite3_stmt *s = statement(state, ARRIVING);
    int rc = s ? SQLITE_OK : sqlite3_errcode(state->db);
    enum err e = ERR_OK;
    while (s && !e && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        const char *file = (const char *)sqlite3_column_text(s, 0);
        e = file ? visit(arg, file) : ERR_CORRUPT;
    }
    (void)sqlite3_reset(s);
    return e ? e : err_of(rc);
}

enum err fetch_state_arrived(struct fetch_state *state)
{
    TRY(change(state));
    return run(state, ARRIVED);
}

/* ---- settings ---- */

enum err fetch_state_text(struct fetch_state *state, const char *name, char *out, size_t bytes)
{
    sqlite3_stmt *s = statement(state, TEXT);
    bind_text(s, 1, name);
    int rc = s ? sqlite3_step(s) : sqlite3_errcode(state->db);
    (void)snprintf(
        out, bytes, "%s", rc == SQLITE_ROW ? (const char *)sqlite3_column_text(s, 0) : "");
    (void)sqlite3_reset(s);
    return err_of(rc);
}

enum err fetch_state_text_set(struct fetch_state *state, const char *name, const char *value)
{
    TRY(change(state));
    sqlite3_stmt *s = statement(state, TEXT_SET);
    bind_text(s, 1, name);
    bind_text(s, 2, value);
    return run(state, TEXT_SET);
}

const char *fetch_state_tag(const struct fetch_state *state)
{
    return state->tag;
}

const char *fetch_state_error(const struct fetch_state *state)
{
    return sqlite3_errmsg(state->db);
}

/* ---- opening ---- */

static enum err user_version(struct fetch_state *state, int *out_version)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(state->db, "PRAGMA user_version", -1, &s, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        *out_version = sqlite3_column_int(s, 0);
    (void)sqlite3_finalize(s);
    return rc == SQLITE_ROW ? ERR_OK : err_of(rc);
}

static enum err execute(struct fetch_state *state, const char *sql)
{
    return err_of(sqlite3_exec(state->db, sql, NULL, NULL, NULL));
}

static enum err make_tables(struct fetch_state *state)
{
    char text[64];
    unsigned char random[FETCH_TAG_CHARS / 2];
    struct buf tag;
    rand_bytes(random, sizeof random);
    buf_init(&tag, 0);
    hex_encode(&tag, slice_from(random, sizeof random));
    buf_addc(&tag, '\0');
    TRY(change(state));
    enum err e = execute(state, schema);
    if (!e)
        e = fetch_state_text_set(state, "tag", buf_slice(&tag).ptr);
    buf_done(&tag);
    TRY(e);
    (void)snprintf(text, sizeof text, "PRAGMA user_version=%d", STATE_VERSION);
    TRY(execute(state, text));
    return fetch_state_commit(state);
}

static enum err choose_mailbox(struct fetch_state *state, const char *host, const char *user)
{
    for (int round = 0; round < 2; round++) {
        sqlite3_stmt *s = statement(state, MAILBOX);
        bind_text(s, 1, host);
        bind_text(s, 2, user);
        int rc = s ? sqlite3_step(s) : sqlite3_errcode(state->db);
        if (rc == SQLITE_ROW)
            state->mailbox = sqlite3_column_int64(s, 0);
        (void)sqlite3_reset(s);
        if (rc == SQLITE_ROW)
            return ERR_OK;
        TRY(err_of(rc));
        TRY(change(state));
        s = statement(state, MAILBOX_ADD);
        bind_text(s, 1, host);
        bind_text(s, 2, user);
        TRY(run(state, MAILBOX_ADD));
    }
    return ERR_IO;
}

static enum err open_tables(struct fetch_state *state, const char *host, const char *user)
{
    int version = 0;
    (void)sqlite3_busy_timeout(state->db, BUSY_TIMEOUT_MS);
    /* FULL: a commit is on the disk when it returns, or F-1 to F-3 would be wishes */
    TRY(execute(
        state, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cell_size_check=ON"));
    TRY(user_version(state, &version));
    if (version == 0)
        TRY(make_tables(state));
    else if (version != STATE_VERSION)
        return ERR_CORRUPT;
    TRY(fetch_state_text(state, "tag", state->tag, sizeof state->tag));
    if (strlen(state->tag) != FETCH_TAG_CHARS)
        return ERR_CORRUPT;
    TRY(choose_mailbox(state, host, user));
    return fetch_state_commit(state);
}

enum err fetch_state_open(const char *folder, const char *host, const char *user,
    struct fetch_state **out_state, struct err_note *note)
{
    autofree char *path = NULL;
    if (asprintf(&path, "%s/pop3.db", folder) < 0)
        return ERR_IO;
    struct fetch_state *state = mem_zalloc(1, sizeof *state);
    mode_t mask = umask(077);
    int rc = sqlite3_open_v2(path, &state->db,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW,
        NULL);
    enum err e = rc == SQLITE_OK ? open_tables(state, host, user) : err_of(rc);
    (void)umask(mask);
    if (!e) {
        *out_state = state;
        return ERR_OK;
    }
    if (e == ERR_CORRUPT)
        (void)err_noted(note, e,
            "%s is damaged (%s). Move it away: what is on the server is then fetched once more",
            path, sqlite3_errmsg(state->db));
    else
        (void)err_noted(note, e, "%s: %s", path, sqlite3_errmsg(state->db));
    fetch_state_close(state);
    return e;
}

void fetch_state_close(struct fetch_state *state)
{
    if (!state)
        return;
    for (size_t i = 0; i < STATEMENTS; i++)
        (void)sqlite3_finalize(state->statements[i]);
    (void)sqlite3_close(state->db); /* and takes back what was not committed */
    free(state);
}
