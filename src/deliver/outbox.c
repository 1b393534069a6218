/* The worker that ends outgoing rows (outbox.h).
 *
 *   row waiting --delivered--> gone
 *       |  ^--temporary failure: later, at most GIVE_UP_S and ATTEMPTS_MIN
 *       +--permanent failure, or given up--> gone, and a bounce in the sender's INBOX in the same transaction
 *
 * Always true: an account with a row is in agenda.db (a mark comes before the row, and goes only when there is none and nobody is between mark and
 * commit); a row that was delivered before a crash is delivered again under the same guid, which files it once. */
#include "deliver/outbox.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "deliver/deliver.h"
#include "message/header.h"
#include "sql/sql.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define GIVE_UP_S        (5 * 86400)
#define ATTEMPTS_MIN     8 /* more than five hours, whatever the clock said when the row was made */
#define ATTEMPTS_MAX     40 /* more than GIVE_UP_S has: the clock went back */
#define LOOK_AGAIN_S     60
#define ROWS_AT_ONCE     100
#define WORKER_STACK     (256u << 10)
#define BOUNCE_BYTES_MAX (2u << 20)

struct marked {
    char id[USER_ID_BYTES + 1];
    int64_t next_s; /* when to look; INT64_MAX when nothing waits */
    unsigned holds; /* submissions between mark and wake */
};

struct outbox {
    struct store *store;
    struct directory *directory;
    char hostname[256];
    atomic_uint warn_percent;
    bool test_addresses;
    int slow_ms;
    atomic_ullong *delivered;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    /* under lock */
    struct sql_db agenda;
    struct map accounts; /* id -> struct marked, owned */
    bool started, ending;
    pthread_t worker;
};

/* ---- agenda.db ---- */

enum {
    ST_IS_THERE,
    ST_MAKE,
    ST_ALL,
    ST_ADD,
    ST_REMOVE,
    ST_COUNT
};
static const char *const texts[ST_COUNT] = {
    [ST_IS_THERE] = "SELECT 1 FROM sqlite_schema WHERE name='agenda'",
    [ST_MAKE] = "CREATE TABLE agenda(account TEXT PRIMARY KEY) WITHOUT ROWID",
    [ST_ALL] = "SELECT account FROM agenda",
    [ST_ADD] = "INSERT OR IGNORE INTO agenda VALUES(?1)",
    [ST_REMOVE] = "DELETE FROM agenda WHERE account=?1",
};
/* The server has its data folder to itself. */
static const struct sql_options agenda_options = {
    .texts = texts, .count = ST_COUNT, .sharing = SQL_ALONE, .make = true, .constraint = ERR_CORRUPT
};

static enum err agenda_run(struct outbox *outbox, unsigned which, struct slice id)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&outbox->agenda, which, &statement));
    sql_bind_text(statement, 1, id);
    return sql_done(&outbox->agenda, statement);
}

static struct marked *remember(struct outbox *outbox, struct slice id)
{
    struct marked *marked = mem_zalloc(1, sizeof *marked);
    memcpy(marked->id, id.ptr, id.len);
    marked->next_s = INT64_MAX;
    (void)map_put(&outbox->accounts, id, marked);
    return marked;
}

static enum err mark_account(void *outbox_arg, struct slice id)
{
    return agenda_run(outbox_arg, ST_ADD, id);
}

/* A new agenda names every account: what waits is in them, and in them alone (S-9). */
static enum err agenda_make(struct outbox *outbox)
{
    TRY(sql_begin(&outbox->agenda));
    enum err e = sql_run(&outbox->agenda, ST_MAKE);
    if (e == ERR_OK)
        e = store_account_ids(outbox->store, mark_account, outbox);
    return sql_end(&outbox->agenda, e);
}

static enum err agenda_read(struct outbox *outbox)
{
    sqlite3_stmt *statement;
    bool row;
    TRY(sql_get(&outbox->agenda, ST_ALL, &statement));
    for (;;) {
        TRY(sql_step(&outbox->agenda, statement, &row));
        if (!row)
            return ERR_OK;
        struct slice id = sql_text(statement, 0);
        if (id.len > USER_ID_BYTES)
            continue;
        struct marked *marked =
            map_get(&outbox->accounts, id); /* of a damaged one, as far as it went */
        marked = marked ? marked : remember(outbox, id);
        marked->next_s = 0; /* looked at first thing */
    }
}

static enum err agenda_try(struct outbox *outbox, const char *path)
{
    sqlite3_stmt *statement;
    bool there;
    TRY(sql_open(&outbox->agenda, path, &agenda_options));
    TRY(sql_get(&outbox->agenda, ST_IS_THERE, &statement));
    TRY(sql_has(&outbox->agenda, statement, &there));
    if (!there && agenda_make(outbox) != ERR_OK)
        return ERR_IO; /* of the accounts, maybe: the agenda is not what is damaged */
    return agenda_read(outbox);
}

static enum err agenda_open(struct outbox *outbox, const char *data_dir, struct err_note *note)
{
    char path[700], log[704];
    (void)snprintf(path, sizeof path, "%s/agenda.db", data_dir);
    enum err e = agenda_try(outbox, path);
    if (e == ERR_CORRUPT) {
        log_warn("outbox.agenda", "path=%s damaged; making it anew", LOG_S(slice_of(path)));
        sql_close(&outbox->agenda);
        (void)snprintf(log, sizeof log, "%s-wal", path);
        (void)unlink(log);
        (void)unlink(path);
        e = agenda_try(outbox, path);
    }
    if (e != ERR_OK)
        return err_noted(note, ERR_IO, "%s cannot be opened: %s", path, sql_words(&outbox->agenda));
    return ERR_OK;
}

/* ---- one row ---- */

static enum err blob_for(struct outbox *outbox, const struct store_outgoing *row,
    const struct msg_source *source, struct blob **out_blob)
{
    char trace[USER_NAME_BYTES_MAX + 32];
    int len = snprintf(trace, sizeof trace, "Return-Path: <%.*s>\r\n", SLICE_FMT(row->sender));
    struct blob *blob;
    TRY(blob_new(outbox->store, source->size + (uint64_t)len, &blob));
    enum err e = blob_write(blob, slice_from(trace, (size_t)len));
    if (e == ERR_OK)
        e = blob_write_source(blob, source);
    if (e == ERR_OK)
        e = blob_finish(blob);
    if (e == ERR_OK)
        *out_blob = blob;
    else
        blob_unref(blob);
    return e;
}

/* What came of one delivery. */
struct outcome {
    enum err error;
    bool permanent;
    const char *text; /* for the sender; static */
    int64_t wait_s;   /* before the next try; 0 = by the schedule */
};

static struct outcome test_outcome(
    const struct outbox *outbox, const struct store_outgoing *row, struct slice detail)
{
    if (!outbox->test_addresses)
        return (struct outcome){ 0 };
    switch (deliver_test_of(detail)) {
    case DELIVER_TEST_TEMPFAIL:
        return (struct outcome){ .error = ERR_BUSY,
            .text = "The address asks for a temporary failure" };
    case DELIVER_TEST_PERMFAIL:
        return (struct outcome){ .error = ERR_DENIED,
            .permanent = true,
            .text = "The address asks for a permanent failure" };
    case DELIVER_TEST_SLOW:
        if (row->attempts == 0)
            return (struct outcome){ .error = ERR_BUSY,
                .text = "The address asks for a slow delivery",
                .wait_s = outbox->slow_ms / 1000 + 1 };
        break;
    case DELIVER_TEST_NONE:
        break;
    }
    return (struct outcome){ 0 };
}

static struct outcome file_for(struct outbox *outbox, const struct store_outgoing *row,
    struct blob *blob, const struct user *user, struct slice detail)
{
    bool over_quota;
    enum err e = deliver_file(&(struct deliver_args){ .store = outbox->store,
                                  .user = user,
                                  .detail = detail,
                                  .blob = blob,
                                  .guid = row->guid,
                                  .hostname = outbox->hostname,
                                  .warn_percent = atomic_load(&outbox->warn_percent),
                                  .received_s = clock_wall_s() },
        &over_quota);
    if (e == ERR_OK)
        return (struct outcome){ 0 };
    return (struct outcome){ .error = e,
        .text = over_quota ? "The mailbox of the recipient is full"
                           : "The mailbox of the recipient cannot be written now" };
}

static struct outcome deliver_row(struct outbox *outbox, const struct store_outgoing *row,
    const struct msg_source *source, struct arena *arena)
{
    struct user *users;
    size_t count = 0;
    struct slice detail;
    enum err e =
        directory_resolve(outbox->directory, row->recipient, arena, &users, &count, &detail);
    if (e == ERR_NOT_FOUND || e == ERR_DENIED || e == ERR_SYNTAX)
        return (
            struct outcome){ .error = e, .permanent = true, .text = "There is no such user here" };
    if (e != ERR_OK)
        return (struct outcome){ .error = e, .text = "The directory of users cannot be read now" };
    struct outcome outcome = test_outcome(outbox, row, detail);
    if (outcome.error != ERR_OK)
        return outcome;
    struct blob *blob;
    e = blob_for(outbox, row, source, &blob);
    if (e != ERR_OK)
        return (struct outcome){ .error = e, .text = "The message cannot be read or copied now" };
    for (size_t i = 0; i < count; i++) { /* who fails keeps the others from nothing */
        struct outcome one = file_for(outbox, row, blob, &users[i], detail);
        if (outcome.error == ERR_OK)
            outcome = one;
    }
    blob_unref(blob);
    return outcome;
}

static int64_t wait_for(unsigned attempts)
{
    static const int64_t schedule[] = { 60, 300, 900, 3600 };
    return attempts < 4 ? schedule[attempts] : STORE_OUTGOING_WAIT_S_MAX;
}

static enum err make_bounce(struct outbox *outbox, const struct store_outgoing *row,
    const struct msg_source *source, const char *text, struct blob **out_blob)
{
    struct buf header, mail;
    buf_init(&header, 0);
    buf_init(&mail, 0);
    struct blob *blob = NULL;
    uint64_t len = source->size < SMTP_HEADER_BYTES_MAX ? source->size : SMTP_HEADER_BYTES_MAX;
    if (msg_source_read(source, 0, (size_t)len, &header) != ERR_OK)
        buf_clear(&header); /* the sender is told all the same */
    enum err e = blob_new(outbox->store, BOUNCE_BYTES_MAX, &blob);
    if (e == ERR_OK) {
        struct slice start = buf_slice(&header);
        deliver_write_bounce(&(struct deliver_bounce){ .hostname = outbox->hostname,
                                 .sender = row->sender,
                                 .recipient = row->recipient,
                                 .status = slice_of(text),
                                 .header = slice_sub(start, 0, msg_header_len(start)),
                                 .now_s = clock_wall_s() },
            &mail);
        e = blob_write(blob, buf_slice(&mail));
    }
    if (e == ERR_OK)
        e = blob_finish(blob);
    buf_done(&header);
    buf_done(&mail);
    if (e == ERR_OK)
        *out_blob = blob;
    else
        blob_unref(blob);
    return e;
}

static enum err bounce_row(struct outbox *outbox, struct account *account,
    const struct store_outgoing *row, const struct msg_source *source, const char *text)
{
    log_info("outbox.bounce", "user=%s row=%lld to=%s text=%s", LOG_S(account_id(account)),
        (long long)row->id, LOG_S(row->recipient), LOG_S(slice_of(text)));
    if (row->sender.len == 0) /* never a bounce of a bounce (RFC 5321 §4.5.5) */
        return account_outgoing_done(account, &row->id, 1, NULL);
    struct blob *blob;
    TRY(make_bounce(outbox, row, source, text, &blob));
    struct store_append item = { .blob = blob, .received_s = clock_wall_s() };
    enum err e = account_outgoing_done(account, &row->id, 1, &item);
    blob_unref(blob);
    return e;
}

static bool is_hopeless(const struct store_outgoing *row, int64_t now_s)
{
    unsigned attempts = row->attempts + 1;
    return (now_s - row->created_s > GIVE_UP_S && attempts >= ATTEMPTS_MIN) ||
           attempts >= ATTEMPTS_MAX;
}

static enum err end_row(struct outbox *outbox, struct account *account,
    const struct store_outgoing *row, const struct msg_source *source,
    const struct outcome *outcome)
{
    int64_t now_s = clock_wall_s();
    if (outcome->error == ERR_OK) {
        log_info("outbox.delivered", "user=%s row=%lld to=%s", LOG_S(account_id(account)),
            (long long)row->id, LOG_S(row->recipient));
        if (outbox->delivered)
            atomic_fetch_add(outbox->delivered, 1);
        return account_outgoing_done(account, &row->id, 1, NULL);
    }
    if (outcome->permanent || is_hopeless(row, now_s))
        return bounce_row(outbox, account, row, source, outcome->text);
    int64_t wait_s = outcome->wait_s ? outcome->wait_s : wait_for(row->attempts);
    log_warn("outbox.later", "user=%s row=%lld to=%s err=%s wait_s=%lld",
        LOG_S(account_id(account)), (long long)row->id, LOG_S(row->recipient),
        err_name(outcome->error), (long long)wait_s);
    return account_outgoing_retry(account, row->id, now_s + wait_s, slice_of(outcome->text));
}

static enum err work_row(struct outbox *outbox, struct account *account,
    const struct store_outgoing *row, struct arena *arena)
{
    struct store_body *body = NULL;
    struct msg_source source = msg_source_memory(SLICE_EMPTY);
    struct outcome outcome;
    enum err e = account_body(account, row->email, &body);
    if (e == ERR_OK) {
        source = store_body_source(body);
        outcome = deliver_row(outbox, row, &source, arena);
    } else { /* others of this sender do not wait for it */
        log_error("outbox.body", "user=%s row=%lld err=%s trying again later",
            LOG_S(account_id(account)), (long long)row->id, err_name(e));
        outcome = (struct outcome){ .error = e, .text = "The message cannot be read" };
    }
    e = end_row(outbox, account, row, &source, &outcome);
    store_body_close(body);
    return e;
}

/* ---- one account ---- */

static bool is_ending(struct outbox *outbox)
{
    pthread_mutex_lock(&outbox->lock);
    bool ending = outbox->ending;
    pthread_mutex_unlock(&outbox->lock);
    return ending;
}

static enum err work_rows(
    struct outbox *outbox, struct account *account, struct arena *arena, size_t *out_count)
{
    struct store_outgoing *rows;
    TRY(account_outgoing(account, clock_wall_s(), ROWS_AT_ONCE, arena, &rows, out_count));
    for (size_t i = 0; i < *out_count && !is_ending(outbox); i++)
        TRY(work_row(outbox, account, &rows[i], arena));
    return ERR_OK;
}

/* Works off what is due; says when to come again. */
static int64_t work_account(struct outbox *outbox, struct slice id)
{
    struct account *account;
    enum err e = store_account(outbox->store, id, false, &account);
    if (e == ERR_NOT_FOUND)
        return INT64_MAX; /* removed, and what it sent with it */
    int64_t next_s = INT64_MAX;
    struct arena arena;
    arena_init(&arena, COMMAND_ARENA_BYTES_MAX);
    size_t count = 1;
    while (e == ERR_OK && count > 0 && !is_ending(outbox)) {
        e = work_rows(outbox, account, &arena, &count);
        arena_reset(&arena);
    }
    if (e == ERR_OK)
        e = account_outgoing_next(account, &next_s);
    arena_done(&arena);
    if (e != ERR_OK) {
        log_error(
            "outbox.account", "user=%s err=%s trying again in a minute", LOG_S(id), err_name(e));
        next_s = clock_wall_s() + 60;
    } else if (account_readonly(account)) {
        /* What was refused because its sync failed may be there once the account is opened anew (S-8): nothing seen here says that nothing waits. */
        int64_t again_s = clock_wall_s() + 60;
        next_s = next_s < again_s ? next_s : again_s;
    }
    account_unref(account);
    return next_s;
}

static struct marked *most_due(struct outbox *outbox)
{
    struct marked *best = NULL;
    size_t cursor = 0;
    struct slice key;
    void *value;
    while (map_next(&outbox->accounts, &cursor, &key, &value)) {
        struct marked *marked = value;
        if (!best || marked->next_s < best->next_s)
            best = marked;
    }
    return best;
}

/* At most LOOK_AGAIN_S: the clock may be set meanwhile. 0 also for a time that no row is put off to: it was set back. */
static int64_t seconds_until(int64_t next_s)
{
    int64_t now_s = clock_wall_s();
    if (next_s <= now_s || (next_s != INT64_MAX && next_s - STORE_OUTGOING_WAIT_S_MAX > now_s))
        return 0;
    return next_s - now_s < LOOK_AGAIN_S ? next_s - now_s : LOOK_AGAIN_S;
}

static void *worker_thread(void *outbox_arg)
{
    struct outbox *outbox = outbox_arg;
    pthread_mutex_lock(&outbox->lock);
    while (!outbox->ending) {
        struct marked *marked = most_due(outbox);
        int64_t wait_s = marked ? seconds_until(marked->next_s) : LOOK_AGAIN_S;
        if (wait_s > 0) {
            int64_t until_ms = clock_mono_ms() + wait_s * 1000;
            struct timespec until = { .tv_sec = until_ms / 1000,
                .tv_nsec = until_ms % 1000 * 1000000 };
            (void)pthread_cond_timedwait(&outbox->moved, &outbox->lock, &until);
            continue;
        }
        marked->next_s = INT64_MAX; /* a wake meanwhile sets it again */
        char id[USER_ID_BYTES + 1];
        memcpy(id, marked->id, sizeof id);
        pthread_mutex_unlock(&outbox->lock);
        int64_t next_s = work_account(outbox, slice_of(id));
        pthread_mutex_lock(&outbox->lock);
        if (next_s < marked->next_s) /* marks are never taken out while the worker runs */
            marked->next_s = next_s;
    }
    pthread_mutex_unlock(&outbox->lock);
    return NULL;
}

/* ---- life ---- */

void outbox_set_warn_percent(struct outbox *outbox, unsigned percent)
{
    atomic_store(&outbox->warn_percent, percent);
}

enum err outbox_new(
    const struct outbox_options *options, struct outbox **out_outbox, struct err_note *note)
{
    struct outbox *outbox = mem_zalloc(1, sizeof *outbox);
    outbox->store = options->store;
    outbox->directory = options->directory;
    outbox->test_addresses = options->test_addresses;
    outbox->slow_ms = options->slow_ms;
    outbox->delivered = options->delivered;
    (void)snprintf(outbox->hostname, sizeof outbox->hostname, "%s", options->hostname);
    outbox_set_warn_percent(outbox, options->warn_percent);
    pthread_mutex_init(&outbox->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&outbox->moved, &monotonic);
    pthread_condattr_destroy(&monotonic);
    map_init(&outbox->accounts);
    enum err e = agenda_open(outbox, options->data_dir, note);
    if (e != ERR_OK) {
        outbox_free(outbox);
        return e;
    }
    *out_outbox = outbox;
    return ERR_OK;
}

void outbox_start(struct outbox *outbox)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, WORKER_STACK);
    outbox->started = pthread_create(&outbox->worker, &attributes, worker_thread, outbox) == 0;
    pthread_attr_destroy(&attributes);
    if (!outbox->started)
        log_error("outbox.start", "no thread, mail waits until the next start");
}

enum err outbox_mark(struct outbox *outbox, struct slice account_id)
{
    enum err e = ERR_OK;
    pthread_mutex_lock(&outbox->lock);
    struct marked *marked = map_get(&outbox->accounts, account_id);
    if (!marked) {
        e = agenda_run(outbox, ST_ADD, account_id);
        if (e == ERR_OK)
            marked = remember(outbox, account_id);
    }
    if (marked)
        marked->holds++;
    pthread_mutex_unlock(&outbox->lock);
    return e;
}

void outbox_wake(struct outbox *outbox, struct slice account_id)
{
    pthread_mutex_lock(&outbox->lock);
    struct marked *marked = map_get(&outbox->accounts, account_id);
    if (marked) {
        marked->holds -= marked->holds > 0;
        marked->next_s = 0;
        pthread_cond_signal(&outbox->moved);
    }
    pthread_mutex_unlock(&outbox->lock);
}

/* Marks of accounts that have nothing waiting go at the end of a run, in one transaction. */
static void unmark(struct outbox *outbox)
{
    size_t cursor = 0;
    struct slice key;
    void *value;
    enum err e = sql_begin(&outbox->agenda);
    bool begun = e == ERR_OK;
    while (e == ERR_OK && map_next(&outbox->accounts, &cursor, &key, &value)) {
        struct marked *marked = value;
        if (marked->next_s == INT64_MAX && marked->holds == 0)
            e = agenda_run(outbox, ST_REMOVE, key);
    }
    if (begun)
        e = sql_end(&outbox->agenda, e);
    if (e != ERR_OK)
        log_warn("outbox.unmark", "err=%s looking at them at the next start", err_name(e));
}

void outbox_stop(struct outbox *outbox)
{
    if (!outbox->started)
        return;
    pthread_mutex_lock(&outbox->lock);
    outbox->ending = true;
    pthread_cond_broadcast(&outbox->moved);
    pthread_mutex_unlock(&outbox->lock);
    pthread_join(outbox->worker, NULL);
    outbox->started = false;
    unmark(outbox);
}

void outbox_free(struct outbox *outbox)
{
    if (!outbox)
        return;
    outbox_stop(outbox);
    size_t cursor = 0;
    struct slice key;
    void *value;
    while (map_next(&outbox->accounts, &cursor, &key, &value))
        free(value);
    map_done(&outbox->accounts);
    sql_close(&outbox->agenda);
    pthread_cond_destroy(&outbox->moved);
    pthread_mutex_destroy(&outbox->lock);
    free(outbox);
}
