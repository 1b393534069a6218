/* pop3.db. */
#include "fetch/state.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "sql/sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const steps[] = {
    "CREATE TABLE mailbox(id INTEGER PRIMARY KEY, host TEXT NOT NULL, user TEXT NOT NULL,"
    " UNIQUE(host, user));"
    "CREATE TABLE message(mailbox INTEGER NOT NULL, key BLOB NOT NULL, known INTEGER NOT NULL,"
    " at INTEGER NOT NULL, seen INTEGER NOT NULL, file TEXT, becomes INTEGER,"
    " PRIMARY KEY(mailbox, key)) WITHOUT ROWID;"
    "CREATE INDEX arriving ON message(known) WHERE known=1;"
    "CREATE TABLE setting(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "INSERT INTO setting VALUES('tag', lower(hex(randomblob(4))));",
};
_Static_assert(FETCH_TAG_CHARS == 2 * 4, "the tag that the tables begin with");
static const struct sql_format format = { .steps = steps,
    .version = sizeof steps / sizeof steps[0] };

enum statement {
    GET,
    SET,
    SEEN,
    FORGET,
    ARRIVING,
    ARRIVED,
    LOST,
    TEXT,
    TEXT_SET,
    MAILBOX,
    MAILBOX_ADD,
    STATEMENTS,
};

static const char *const texts[STATEMENTS] = {
    [GET] = "SELECT known, at FROM message WHERE mailbox=?1 AND key=?2",
    [SET] = "INSERT INTO message VALUES(?1, ?2, ?3, ?4, ?4/86400, ?5, ?6) ON CONFLICT DO UPDATE SET"
            " known=?3, at=?4, file=?5, becomes=?6",
    [SEEN] = "UPDATE message SET seen=?3 WHERE mailbox=?1 AND key=?2 AND seen<>?3",
    [FORGET] = "DELETE FROM message WHERE mailbox=?1 AND seen<?2 AND known<>1",
    [ARRIVING] = "SELECT file FROM message WHERE known=1",
    [ARRIVED] = "UPDATE message SET known=becomes, file=NULL, becomes=NULL WHERE known=1",
    [LOST] = "DELETE FROM message WHERE known=1 AND file=?1",
    [TEXT] = "SELECT value FROM setting WHERE name=?1",
    [TEXT_SET] = "INSERT INTO setting VALUES(?1, ?2) ON CONFLICT DO UPDATE SET value=?2",
    [MAILBOX] = "SELECT id FROM mailbox WHERE host=?1 COLLATE NOCASE AND user=?2"
                " ORDER BY host<>?1, id LIMIT 1",
    [MAILBOX_ADD] = "INSERT OR IGNORE INTO mailbox(host, user) VALUES(?1, ?2)",
};
_Static_assert(FETCH_ARRIVING == 1, "the statements and the index say 1");

static const struct sql_options options = { .texts = texts,
    .count = STATEMENTS,
    .sharing =
        SQL_SHARED, /* fetch has a lock of its own; others look at it meanwhile: barid log, the sqlite3 shell */
    .make = true,
    .nofollow = true,
    .constraint = ERR_CORRUPT };

struct fetch_state {
    struct sql_db sql;
    int64_t mailbox;
    char tag[FETCH_TAG_CHARS + 1];
};

/* A statement that changes something: part of what the next commit ends. */
static enum err get_change(
    struct fetch_state *state, enum statement which, sqlite3_stmt **out_statement)
{
    TRY(sql_batch(&state->sql));
    return sql_get(&state->sql, which, out_statement);
}

static void bind_key(const struct fetch_state *state, sqlite3_stmt *s, struct slice key)
{
    (void)sqlite3_bind_int64(s, 1, state->mailbox);
    sql_bind_bytes(s, 2, key);
}

/* ---- messages ---- */

enum err fetch_state_get(
    struct fetch_state *state, struct slice key, struct fetch_record *out_record)
{
    sqlite3_stmt *s;
    bool row;
    TRY(sql_get(&state->sql, GET, &s));
    bind_key(state, s, key);
    TRY(sql_step(&state->sql, s, &row));
    *out_record = (struct fetch_record){ .known = FETCH_UNKNOWN };
    if (!row)
        return ERR_OK;
    *out_record = (struct fetch_record){ .known = (enum fetch_known)sqlite3_column_int(s, 0),
        .at_s = sqlite3_column_int64(s, 1) };
    sql_reset(s);
    return ERR_OK;
}

enum err fetch_state_set(struct fetch_state *state, struct slice key, enum fetch_known known,
    int64_t at_s, const char *file, enum fetch_known becomes)
{
    sqlite3_stmt *s;
    TRY(get_change(state, SET, &s));
    bind_key(state, s, key);
    (void)sqlite3_bind_int64(s, 3, known);
    (void)sqlite3_bind_int64(s, 4, at_s);
    if (file) {
        sql_bind_text(s, 5, slice_of(file));
        (void)sqlite3_bind_int64(s, 6, becomes);
    }
    return sql_done(&state->sql, s);
}

enum err fetch_state_seen(struct fetch_state *state, struct slice key, int64_t day)
{
    sqlite3_stmt *s;
    TRY(get_change(state, SEEN, &s));
    bind_key(state, s, key);
    (void)sqlite3_bind_int64(s, 3, day);
    return sql_done(&state->sql, s);
}

enum err fetch_state_forget(struct fetch_state *state, int64_t before_day)
{
    sqlite3_stmt *s;
    TRY(get_change(state, FORGET, &s));
    (void)sqlite3_bind_int64(s, 1, state->mailbox);
    (void)sqlite3_bind_int64(s, 2, before_day);
    return sql_done(&state->sql, s);
}

enum err fetch_state_commit(struct fetch_state *state)
{
    return sql_batch_commit(&state->sql);
}

enum err fetch_state_arriving(struct fetch_state *state, fetch_arriving_fn *visit, void *arg)
{
    sqlite3_stmt *s;
    bool row;
    TRY(sql_get(&state->sql, ARRIVING, &s));
    for (;;) {
        TRY(sql_step(&state->sql, s, &row));
        if (!row)
            return ERR_OK;
        const char *file = (const char *)sqlite3_column_text(s, 0);
        enum err e = file ? visit(arg, file) : ERR_CORRUPT;
        if (e) {
            sql_reset(s);
            return e;
        }
    }
}

enum err fetch_state_arrived(struct fetch_state *state)
{
    TRY(sql_batch(&state->sql));
    return sql_run(&state->sql, ARRIVED);
}

enum err fetch_state_lost(struct fetch_state *state, const char *file)
{
    sqlite3_stmt *s;
    TRY(get_change(state, LOST, &s));
    sql_bind_text(s, 1, slice_of(file));
    return sql_done(&state->sql, s);
}

/* ---- settings ---- */

enum err fetch_state_text(struct fetch_state *state, const char *name, char *out, size_t bytes)
{
    sqlite3_stmt *s;
    bool row;
    TRY(sql_get(&state->sql, TEXT, &s));
    sql_bind_text(s, 1, slice_of(name));
    TRY(sql_step(&state->sql, s, &row));
    struct slice text = row ? sql_text(s, 0) : SLICE_EMPTY;
    (void)snprintf(out, bytes, "%.*s", SLICE_FMT(text));
    sql_reset(s);
    return ERR_OK;
}

enum err fetch_state_text_set(struct fetch_state *state, const char *name, const char *value)
{
    sqlite3_stmt *s;
    TRY(get_change(state, TEXT_SET, &s));
    sql_bind_text(s, 1, slice_of(name));
    sql_bind_text(s, 2, slice_of(value));
    return sql_done(&state->sql, s);
}

const char *fetch_state_tag(const struct fetch_state *state)
{
    return state->tag;
}

const char *fetch_state_error(const struct fetch_state *state)
{
    return sql_words(&state->sql);
}

/* ---- opening ---- */

static enum err find_mailbox(
    struct fetch_state *state, const char *host, const char *user, bool *out_found)
{
    sqlite3_stmt *s;
    TRY(sql_get(&state->sql, MAILBOX, &s));
    sql_bind_text(s, 1, slice_of(host));
    sql_bind_text(s, 2, slice_of(user));
    return sql_number(&state->sql, s, &state->mailbox, out_found);
}

static enum err choose_mailbox(struct fetch_state *state, const char *host, const char *user)
{
    sqlite3_stmt *s;
    bool found;
    TRY(find_mailbox(state, host, user, &found));
    if (found)
        return ERR_OK;
    TRY(get_change(state, MAILBOX_ADD, &s)); /* also where another process has added it meanwhile */
    sql_bind_text(s, 1, slice_of(host));
    sql_bind_text(s, 2, slice_of(user));
    TRY(sql_done(&state->sql, s));
    TRY(find_mailbox(state, host, user, &found));
    return found ? fetch_state_commit(state) : ERR_IO;
}

static enum err open_tables(struct fetch_state *state, const char *host, const char *user)
{
    TRY(sql_prepare_all(&state->sql));
    TRY(fetch_state_text(state, "tag", state->tag, sizeof state->tag));
    if (strlen(state->tag) != FETCH_TAG_CHARS)
        return ERR_CORRUPT;
    return choose_mailbox(state, host, user);
}

static enum err open_file(struct fetch_state *state, const char *path, const char *host,
    const char *user, struct err_note *note)
{
    enum err e = sql_open(&state->sql, path, &options);
    if (!e) {
        e = sql_bring(&state->sql, path, &format, note);
        if (e && e != ERR_CORRUPT)
            return e;
    }
    if (!e)
        e = open_tables(state, host, user);
    if (e == ERR_CORRUPT)
        return err_noted(note, e,
            "%s is damaged (%s). Move it away: what is on the server is then fetched once more",
            path, sql_words(&state->sql));
    return e ? err_noted(note, e, "%s: %s", path, sql_words(&state->sql)) : ERR_OK;
}

enum err fetch_state_open(const char *folder, const char *host, const char *user,
    struct fetch_state **out_state, struct err_note *note)
{
    autofree char *path = NULL;
    if (asprintf(&path, "%s/pop3.db", folder) < 0)
        return ERR_IO;
    struct fetch_state *state = mem_zalloc(1, sizeof *state);
    enum err e = open_file(state, path, host, user, note);
    if (e)
        fetch_state_close(state);
    else
        *out_state = state;
    return e;
}

void fetch_state_close(struct fetch_state *state)
{
    if (!state)
        return;
    sql_close(&state->sql); /* and takes back what was not committed */
    free(state);
}
