/* Combined writers: requests that come while one transaction is syncing go out together in the next, each with its own answer.
 *
 *   request queued -> the first thread that finds nobody writing takes all that wait -> BEGIN, each request under a savepoint, COMMIT
 *   -> caches follow -> answers -> watchers are told, without the account's lock
 *
 * Always true: a request whose function failed left nothing in the transaction (S-4); nobody is answered ERR_OK before the commit is
 * synced (S-1); a failed commit or sync makes the account read-only (S-8) and is answered as an error to all that were in it. */
#include "store/account.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BATCH_REQUESTS_MAX 64

struct write_request {
    struct write_request *next;
    store_write_fn *fn;
    void *write_arg;
    struct store_tx tx;
    enum err error;
    bool done;
};

uint64_t tx_modseq(struct store_tx *tx)
{
    if (tx->modseq == 0)
        tx->modseq = ++tx->account->modseq;
    return tx->modseq;
}

static void *grown(void *old, size_t count, size_t *cap, size_t element_bytes)
{
    if (count < *cap)
        return old;
    *cap = *cap ? *cap * 2 : 8;
    return mem_realloc(old, *cap * element_bytes);
}

struct store_change *tx_change(struct store_tx *tx, enum store_change_kind kind, int64_t mailbox)
{
    tx->changes = grown(tx->changes, tx->change_count, &tx->change_cap, sizeof *tx->changes);
    struct store_change *change = &tx->changes[tx->change_count++];
    *change = (struct store_change){ .kind = kind, .mailbox = mailbox, .modseq = tx->modseq };
    uidset_init(&change->uids);
    return change;
}

static struct slice kept_name(struct slice name)
{
    return slice_from(mem_strndup(name.ptr, name.len), name.len);
}

void tx_linked(struct store_tx *tx, struct slice name)
{
    tx->linked = grown(tx->linked, tx->linked_count, &tx->linked_cap, sizeof *tx->linked);
    tx->linked[tx->linked_count++] = kept_name(name);
}

void tx_removed(struct store_tx *tx, struct slice name)
{
    tx->removed = grown(tx->removed, tx->removed_count, &tx->removed_cap, sizeof *tx->removed);
    tx->removed[tx->removed_count++] = kept_name(name);
}

static bool quota_ok(const struct account *account, uint64_t bytes, uint64_t messages)
{
    uint64_t bytes_max = account->quota_bytes, messages_max = account->quota_messages;
    return (bytes_max == 0 || account->usage_bytes + bytes <= bytes_max) &&
           (messages_max == 0 || account->usage_messages + messages <= messages_max);
}

bool tx_quota_ok(const struct store_tx *tx, uint64_t bytes, uint64_t messages)
{
    return quota_ok(tx->account, bytes, messages);
}

bool account_quota_fits(struct account *account, uint64_t bytes, uint64_t messages)
{
    pthread_mutex_lock(&account->lock);
    bool fits = quota_ok(account, bytes, messages);
    pthread_mutex_unlock(&account->lock);
    return fits;
}

bool tx_room_ok(struct store_tx *tx, const struct blob *blob)
{
    if (blob_file(blob)) /* was asked when it was written */
        return true;
    /* twice: the log, then the database */
    uint64_t bytes = blob_size(blob) + blob_size(blob) / 8 + (64u << 10);
    if (store_has_room(tx->account->store, 2 * bytes, false))
        return true;
    int64_t pages = account_pragma(tx->account, "PRAGMA freelist_count");
    return (uint64_t)pages * (uint64_t)account_pragma(tx->account, "PRAGMA page_size") >= bytes;
}

enum err tx_mailbox_changed(
    struct store_tx *tx, int64_t mailbox, uint32_t uidnext, const struct tx_counts *counts)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&tx->account->sql, SQL_MAILBOX_CHANGED, &statement));
    (void)sqlite3_bind_int64(statement, 1, mailbox);
    (void)sqlite3_bind_int64(statement, 2, uidnext);
    (void)sqlite3_bind_int64(statement, 3, (int64_t)tx_modseq(tx));
    (void)sqlite3_bind_int64(statement, 4, counts->messages);
    (void)sqlite3_bind_int64(statement, 5, counts->unseen);
    (void)sqlite3_bind_int64(statement, 6, counts->deleted);
    (void)sqlite3_bind_int64(statement, 7, counts->bytes);
    TRY(sql_done(&tx->account->sql, statement));
    tx->account->usage_bytes += (uint64_t)counts->bytes;
    tx->account->usage_messages += (uint64_t)counts->messages;
    return ERR_OK;
}

/* ---- one transaction ---- */

static void drop_names(struct account *account, struct slice *names, size_t count, bool unlink_them)
{
    for (size_t i = 0; i < count; i++) {
        if (unlink_them) {
            char path[8 + BIG_NAME_LEN];
            (void)snprintf(path, sizeof path, "big/%.*s", SLICE_FMT(names[i]));
            if (!account->held)
                (void)unlinkat(account->folder_fd, path, 0); /* left over: swept later (S-3) */
        }
        free((char *)(uintptr_t)names[i].ptr);
    }
    free(names);
}

enum outcome {
    OUTCOME_COMMITTED,
    OUTCOME_ROLLED_BACK,
    OUTCOME_UNKNOWN, /* a sync failed: the next opening may find the transaction in the log, whole, and its rows must find their files */
};

/* Committed: what was removed goes. Rolled back: what was linked goes. */
static void tx_done(struct store_tx *tx, enum outcome outcome)
{
    drop_names(tx->account, tx->linked, tx->linked_count, outcome == OUTCOME_ROLLED_BACK);
    drop_names(tx->account, tx->removed, tx->removed_count, outcome == OUTCOME_COMMITTED);
    for (size_t i = 0; i < tx->change_count; i++)
        uidset_done(&tx->changes[i].uids);
    free(tx->changes);
}

/* What a request that did not hold may have left in memory. */
static void forget(struct account *account, const struct store_tx *tx, uint64_t usage_bytes,
    uint64_t usage_messages)
{
    account->usage_bytes = usage_bytes;
    account->usage_messages = usage_messages;
    if (tx->keywords_added && account_load_keywords(account) != ERR_OK)
        account->readonly = true; /* numbers in memory may differ from those on disk */
}

static enum err run_one(struct account *account, struct write_request *request, bool savepoint)
{
    uint64_t bytes = account->usage_bytes, messages = account->usage_messages;
    if (savepoint)
        TRY(sql_run(&account->sql, SQL_SAVEPOINT));
    enum err e = request->fn(&request->tx, request->write_arg);
    if (e == ERR_OK)
        return savepoint ? sql_run(&account->sql, SQL_RELEASE) : ERR_OK;
    if (!sqlite3_get_autocommit(
            account->sql.db)) { /* SQLite rolls back by itself when the disk is full */
        enum err back =
            savepoint ? sql_run(&account->sql, SQL_ROLLBACK_TO) : sql_rollback(&account->sql);
        if (back == ERR_OK && savepoint)
            back = sql_run(&account->sql, SQL_RELEASE);
        if (back != ERR_OK)
            account->readonly = true; /* cannot tell what the transaction holds */
    }
    forget(account, &request->tx, bytes, messages);
    return e;
}

static void fail_all(struct account *account, struct write_request *batch, enum err e,
    uint64_t bytes, uint64_t messages)
{
    if (sql_rollback(&account->sql) != ERR_OK)
        account->readonly = true;
    for (struct write_request *r = batch; r; r = r->next) {
        if (r->error == ERR_OK)
            r->error = e;
        forget(account, &r->tx, bytes, messages);
    }
    if (e == ERR_IO || e == ERR_CORRUPT)
        account->readonly = true;
    account_forget_mailboxes(account);
}

/* \Recent marks that were claimed since the last change ride along; losing one is harmless (told twice). */
static enum err write_recent(struct account *account)
{
    size_t cursor = 0;
    struct slice key;
    void *value;
    while (map_next(&account->mailboxes, &cursor, &key, &value)) {
        struct mailbox_state *state = value;
        if (!state->recent_dirty)
            continue;
        sqlite3_stmt *statement;
        TRY(sql_get(&account->sql, SQL_MAILBOX_RECENT, &statement));
        (void)sqlite3_bind_int64(statement, 1, state->id);
        (void)sqlite3_bind_int64(statement, 2, state->recent);
        TRY(sql_done(&account->sql, statement));
        state->recent_dirty = false;
    }
    return ERR_OK;
}

static void commit_batch(struct account *account, struct write_request *batch)
{
    uint64_t bytes = account->usage_bytes, messages = account->usage_messages;
    if (account->readonly) {
        for (struct write_request *r = batch; r; r = r->next)
            r->error = ERR_IO;
        return;
    }
    enum err e = sql_begin(&account->sql);
    if (e != ERR_OK) {
        fail_all(account, batch, e, bytes, messages);
        return;
    }
    bool several = batch->next != NULL;
    int64_t now_s = clock_wall_s();
    size_t good = 0;
    enum err lost = ERR_OK; /* why the whole transaction is gone */
    for (struct write_request *r = batch; r && lost == ERR_OK; r = r->next) {
        r->tx.now_s = now_s;
        r->tx.first = r == batch;
        r->error = run_one(account, r, several);
        if (r->error == ERR_OK)
            good++;
        if (r->error == ERR_IO || account->readonly)
            lost = ERR_IO;
        else if (several && sqlite3_get_autocommit(account->sql.db))
            lost = r->error != ERR_OK ? r->error : ERR_IO;
    }
    if (lost != ERR_OK) {
        fail_all(account, batch, lost, bytes, messages);
        return;
    }
    if (good == 0) {
        if (sql_rollback(&account->sql) != ERR_OK)
            account->readonly = true;
        return;
    }
    e = write_recent(account);
    if (e == ERR_OK)
        e = sql_commit(&account->sql); /* waits for the disk */
    if (e != ERR_OK) {
        fail_all(account, batch, e, bytes, messages);
        return;
    }
    atomic_fetch_add(&account->store->commits, 1);
    for (struct write_request *r = batch; r; r = r->next)
        if (r->error == ERR_OK)
            account_apply(account, &r->tx);
}

/* ---- watchers ---- */

struct store_watch {
    struct account *account; /* ref */
    struct store_watch *prev, *next;
    store_watch_fn *fn;
    void *watch_arg;
};

struct store_watch *account_watch(struct account *account, store_watch_fn *fn, void *watch_arg)
{
    struct store_watch *watch = mem_zalloc(1, sizeof *watch);
    watch->account = account_ref(account);
    watch->fn = fn;
    watch->watch_arg = watch_arg;
    pthread_mutex_lock(&account->watch_lock);
    watch->next = account->watches;
    if (watch->next)
        watch->next->prev = watch;
    account->watches = watch;
    pthread_mutex_unlock(&account->watch_lock);
    return watch;
}

void account_unwatch(struct store_watch *watch)
{
    if (!watch)
        return;
    struct account *account = watch->account;
    pthread_mutex_lock(&account->watch_lock); /* waits for a telling that runs */
    if (watch->prev)
        watch->prev->next = watch->next;
    else
        account->watches = watch->next;
    if (watch->next)
        watch->next->prev = watch->prev;
    pthread_mutex_unlock(&account->watch_lock);
    account_unref(account);
    free(watch);
}

static void tell(struct account *account, const struct store_tx *tx)
{
    if (tx->change_count == 0)
        return;
    pthread_mutex_lock(&account->watch_lock);
    for (const struct store_watch *w = account->watches; w; w = w->next)
        w->fn(w->watch_arg, tx->changes, tx->change_count);
    pthread_mutex_unlock(&account->watch_lock);
}

/* ---- the queue ---- */

static struct write_request *take_batch(struct account *account)
{
    struct write_request *batch = account->queue_head, *last = batch;
    for (int i = 1; last->next && i < BATCH_REQUESTS_MAX; i++)
        last = last->next;
    account->queue_head = last->next;
    if (!account->queue_head)
        account->queue_tail = &account->queue_head;
    last->next = NULL;
    return batch;
}

/* How far the log has grown, for the maintenance thread. */
static bool log_is_long(struct account *account)
{
    return account->log_pages >= (int)account->store->checkpoint_pages;
}

/* Commits one batch. The requests of other threads may vanish as soon as they are marked done. */
static void lead(struct account *account, struct write_request *batch)
{
    pthread_mutex_lock(&account->lock);
    commit_batch(account, batch);
    bool due = log_is_long(account);
    enum outcome failed = account->readonly ? OUTCOME_UNKNOWN : OUTCOME_ROLLED_BACK;
    pthread_mutex_unlock(&account->lock);
    for (struct write_request *r = batch; r; r = r->next) {
        if (r->error == ERR_OK)
            tell(account, &r->tx);
        tx_done(&r->tx, r->error == ERR_OK ? OUTCOME_COMMITTED : failed);
    }
    if (due)
        account_due(account);
}

enum err account_write(struct account *account, store_write_fn *fn, void *write_arg)
{
    struct write_request request = {
        .fn = fn, .write_arg = write_arg, .tx = { .account = account }
    };
    atomic_fetch_add(&account->store->requests, 1);
    pthread_mutex_lock(&account->queue_lock);
    *account->queue_tail = &request;
    account->queue_tail = &request.next;
    while (!request.done) {
        if (account->writing) {
            pthread_cond_wait(&account->queue_moved, &account->queue_lock);
            continue;
        }
        account->writing = true;
        struct write_request *batch = take_batch(account);
        pthread_mutex_unlock(&account->queue_lock);
        lead(account, batch);
        pthread_mutex_lock(&account->queue_lock);
        account->writing = false;
        for (struct write_request *r = batch, *next; r; r = next) {
            next = r->next;
            r->done = true;
        }
        pthread_cond_broadcast(&account->queue_moved);
    }
    pthread_mutex_unlock(&account->queue_lock);
    return request.error;
}
