/* Accounts, opened and closed (states at the top of account.h), and the maintenance thread that keeps logs short.
 *
 * Always true: an account in the map is in exactly one state; opening and closing run outside store->lock, everybody else waits for the state to
 * move; the maintenance thread holds a reference to what it works on. */
#include "store/account.h"

#include "base/cleanup.h"
#include "base/encode.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* By measurement: docs/decisions/0002-sqlite-settings.md */
#define STORE_PAGE_BYTES "8192"

/* ---- the database ---- */

static int wal_grew(void *hook_arg, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    ((struct account *)hook_arg)->log_pages = pages;
    return SQLITE_OK;
}

static enum err run(sqlite3 *db, const char *statements)
{
    return sql_err(db, sqlite3_exec(db, statements, NULL, NULL, NULL));
}

static enum err read_version(sqlite3 *db, int *out_version)
{
    sqlite3_stmt *statement;
    int rc = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &statement, NULL);
    if (rc != SQLITE_OK)
        return sql_err(db, rc);
    rc = sqlite3_step(statement);
    *out_version = rc == SQLITE_ROW ? sqlite3_column_int(statement, 0) : -1;
    int final_rc = sqlite3_finalize(statement);
    return rc == SQLITE_ROW ? ERR_OK : sql_err(db, final_rc);
}

/* Opening what exists writes nothing: it must work on a full disk too. */
static enum err set_up(struct account *account)
{
    /* EXCLUSIVE before anything that looks into the file: no shared memory file (sqlite.org/wal.html "noshm"). checkpoints are ours: the automatic
     * one would run on the answer's path. */
    static const char always[] =
        "PRAGMA locking_mode=EXCLUSIVE;PRAGMA synchronous=FULL;PRAGMA wal_autocheckpoint=0;"
        "PRAGMA journal_size_limit=4194304;PRAGMA cache_size=-256;PRAGMA temp_store=MEMORY;"
        "PRAGMA trusted_schema=OFF;PRAGMA secure_delete=FAST;PRAGMA cell_size_check=ON";
    /* Only here: auto_vacuum writes to the file each time it is set. */
    static const char once[] =
        "PRAGMA page_size=" STORE_PAGE_BYTES ";PRAGMA auto_vacuum=INCREMENTAL";
    sqlite3 *db = account->db;
    (void)sqlite3_extended_result_codes(db, 1);
    TRY(run(db, always));
    int keep = 1;
    (void)sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_wal_hook(db, wal_grew, account);
    int version;
    TRY(read_version(db, &version));
    if (version != 0 && version != STORE_SCHEMA_VERSION)
        return ERR_CORRUPT;
    if (version == 0)
        TRY(run(db, once));
    TRY(run(db, "PRAGMA journal_mode=WAL")); /* writes only where it is another, as in a copy made with other tools */
    return version == 0 ? sql_schema(db) : ERR_OK;
}

enum err account_load(struct account *account)
{
    sqlite3_stmt *statement;
    int64_t modseq = 1;
    TRY(sql_get(account, SQL_ACCOUNT_MODSEQ, &statement));
    TRY(sql_number(account, statement, &modseq, NULL));
    if ((uint64_t)modseq > account->modseq)
        account->modseq = (uint64_t)modseq;
    account->changes_floor = account->modseq;
    bool row;
    TRY(sql_get(account, SQL_HANDLES, &statement));
    TRY(sql_step(account, statement, &row));
    if (row) { /* read again after a repair: what was given out since stays given out */
        int64_t email = sqlite3_column_int64(statement, 0);
        int64_t outgoing = sqlite3_column_int64(statement, 1);
        account->last_email = email > account->last_email ? email : account->last_email;
        account->last_outgoing =
            outgoing > account->last_outgoing ? outgoing : account->last_outgoing;
        (void)sqlite3_reset(statement);
    }
    TRY(sql_get(account, SQL_USAGE, &statement));
    TRY(sql_step(account, statement, &row));
    if (row) {
        account->usage_bytes = (uint64_t)sqlite3_column_int64(statement, 0);
        account->usage_messages = (uint64_t)sqlite3_column_int64(statement, 1);
        (void)sqlite3_reset(statement);
    }
    return account_load_keywords(account);
}

static enum err make_folder(struct account *account, int accounts_fd)
{
    if (mkdirat(accounts_fd, account->id, 0700) != 0 && errno != EEXIST)
        return err_from_errno(errno);
    account->folder_fd = openat(accounts_fd, account->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (account->folder_fd < 0)
        return err_from_errno(errno);
    if (mkdirat(account->folder_fd, "big", 0700) != 0 && errno != EEXIST)
        return err_from_errno(errno);
    /* SQLite syncs the folder when it makes its files; the names above it are ours. */
    if (fsync(account->folder_fd) != 0 || fsync(accounts_fd) != 0)
        return ERR_IO;
    return ERR_OK;
}

enum err account_db_open(struct account *account, bool create)
{
    autoclose int accounts_fd =
        openat(account->store->root_fd, "accounts", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (accounts_fd < 0)
        return err_from_errno(errno);
    account->folder_fd = openat(accounts_fd, account->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool there = account->folder_fd >= 0 && faccessat(account->folder_fd, "mail.db", F_OK, 0) == 0;
    if (!there && !create)
        return ERR_NOT_FOUND;
    if (!there) {
        if (account->folder_fd >= 0)
            close(account->folder_fd);
        TRY(make_folder(account, accounts_fd));
    }
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d/mail.db", account->folder_fd);
    int rc = sqlite3_open_v2(path, &account->db,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (there ? 0 : SQLITE_OPEN_CREATE), NULL);
    if (rc != SQLITE_OK)
        return sql_err(account->db, rc);
    TRY(set_up(account));
    TRY(account_load(account));
    sqlite3_stmt *statement;
    int64_t count = 0;
    TRY(sql_get(account, SQL_MAILBOX_COUNT, &statement));
    TRY(sql_number(account, statement, &count, NULL));
    if (count == 0) /* new, or a crash came before its first mailboxes */
        return account_write(account, mailbox_first_ones, NULL);
    return ERR_OK;
}

enum err account_checkpoint(struct account *account)
{
    int log = 0, moved = 0;
    int rc =
        sqlite3_wal_checkpoint_v2(account->db, "main", SQLITE_CHECKPOINT_PASSIVE, &log, &moved);
    account->log_pages = 0;
    atomic_fetch_add(&account->store->checkpoints, 1);
    if (rc == SQLITE_OK)
        return ERR_OK;
    enum err e = sql_err(account->db, rc);
    if (e == ERR_IO || e == ERR_CORRUPT)
        account->readonly = true; /* S-8 */
    return e;
}

static enum err nothing_but_recent(struct store_tx *tx, void *unused)
{
    (void)unused;
    /* The marks ride along with any commit; this gives them one. */
    return sql_run(tx->account, SQL_FILED_TRIM);
}

static bool recent_waits(struct account *account)
{
    size_t cursor = 0;
    struct slice key;
    void *value;
    while (map_next(&account->mailboxes, &cursor, &key, &value))
        if (((struct mailbox_state *)value)->recent_dirty)
            return true;
    return false;
}

void account_db_close(struct account *account, bool checkpoint)
{
    if (account->db) {
        if (!account->readonly && recent_waits(account)) {
            enum err e = account_write(account, nothing_but_recent, NULL);
            (void)e; /* lost: told as \Recent once more */
        }
        for (int i = 0; i < SQL_COUNT; i++)
            (void)sqlite3_finalize(account->statements[i]);
        (void)sqlite3_db_config(
            account->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, checkpoint ? 0 : 1, NULL);
        int rc = sqlite3_close(account->db);
        assert(rc == SQLITE_OK);
    }
    if (account->folder_fd >= 0)
        close(account->folder_fd);
    account_forget_mailboxes(account);
    map_done(&account->mailboxes);
    for (size_t i = 0; i < CHANGES_KEPT; i++)
        uidset_done(&account->changes[i].uids);
    account_drop_keywords(account);
    pthread_mutex_destroy(&account->lock);
    pthread_mutex_destroy(&account->queue_lock);
    pthread_mutex_destroy(&account->watch_lock);
    pthread_cond_destroy(&account->queue_moved);
    free(account);
}

/* ---- who is open ---- */

static struct account *account_new(struct store *store, struct slice id)
{
    struct account *account = mem_zalloc(1, sizeof *account);
    account->store = store;
    memcpy(account->id, id.ptr, id.len);
    account->folder_fd = -1;
    account->state = ACCOUNT_OPENING;
    account->refs = 1;
    account->queue_tail = &account->queue_head;
    pthread_mutex_init(&account->lock, NULL);
    pthread_mutex_init(&account->queue_lock, NULL);
    pthread_mutex_init(&account->watch_lock, NULL);
    pthread_cond_init(&account->queue_moved, NULL);
    map_init(&account->mailboxes);
    for (size_t i = 0; i < CHANGES_KEPT; i++)
        uidset_init(&account->changes[i].uids);
    return account;
}

static void idle_remove(struct store *store, struct account *account)
{
    if (account->idle_prev)
        account->idle_prev->idle_next = account->idle_next;
    else
        store->idle_first = account->idle_next;
    if (account->idle_next)
        account->idle_next->idle_prev = account->idle_prev;
    else
        store->idle_last = account->idle_prev;
    account->idle_prev = account->idle_next = NULL;
}

static void idle_add(struct store *store, struct account *account)
{
    account->idle_prev = store->idle_last;
    account->idle_next = NULL;
    if (store->idle_last)
        store->idle_last->idle_next = account;
    else
        store->idle_first = account;
    store->idle_last = account;
}

/* With store->lock, which is let go while the files close. */
static void close_idle(struct store *store, struct account *account, bool checkpoint)
{
    assert(account->refs == 0);
    assert(account->state == ACCOUNT_OPEN);
    account->state = ACCOUNT_CLOSING;
    idle_remove(store, account);
    struct slice id = slice_of(account->id);
    char kept_id[ACCOUNT_ID_BYTES_MAX + 1];
    memcpy(kept_id, account->id, sizeof kept_id);
    if (account->readonly)
        (void)map_put(&store->suspects, id, store);
    pthread_mutex_unlock(&store->lock);
    account_db_close(account, checkpoint);
    pthread_mutex_lock(&store->lock);
    (void)map_remove(&store->accounts, slice_of(kept_id));
    pthread_cond_broadcast(&store->moved);
}

static void no_finding(void *unused, const char *text, bool repaired)
{
    (void)unused;
    (void)text;
    (void)repaired;
}

/* An account that turned read-only is looked at before it is served again (S-8). */
static enum err check_suspect(struct account *account)
{
    size_t findings = 0;
    pthread_mutex_lock(&account->lock);
    enum err e = account_check(account, false, no_finding, NULL, &findings);
    pthread_mutex_unlock(&account->lock);
    return e == ERR_OK && findings > 0 ? ERR_CORRUPT : e;
}

enum err store_account(
    struct store *store, struct slice id, bool create, struct account **out_account)
{
    if (!store_id_ok(id))
        return ERR_SYNTAX;
    pthread_mutex_lock(&store->lock);
    struct account *account;
    while ((account = map_get(&store->accounts, id)) && account->state != ACCOUNT_OPEN)
        pthread_cond_wait(&store->moved, &store->lock);
    if (account) {
        if (account->refs++ == 0)
            idle_remove(store, account);
        pthread_mutex_unlock(&store->lock);
        *out_account = account;
        return ERR_OK;
    }
    account = account_new(store, id);
    (void)map_put(&store->accounts, id, account);
    bool suspect = map_get(&store->suspects, id) != NULL;
    pthread_mutex_unlock(&store->lock);

    enum err e = account_db_open(account, create);
    if (e == ERR_OK && suspect)
        e = check_suspect(account);

    pthread_mutex_lock(&store->lock);
    if (e == ERR_OK) {
        account->state = ACCOUNT_OPEN;
        (void)map_remove(&store->suspects, id);
    } else {
        (void)map_remove(&store->accounts, id);
    }
    pthread_cond_broadcast(&store->moved);
    while (store->accounts.count > store->accounts_open_max && store->idle_first)
        close_idle(store, store->idle_first, false);
    pthread_mutex_unlock(&store->lock);
    if (e != ERR_OK) {
        account_db_close(account, false);
        return e;
    }
    *out_account = account;
    return ERR_OK;
}

struct account *account_ref(struct account *account)
{
    pthread_mutex_lock(&account->store->lock);
    assert(account->refs > 0);
    account->refs++;
    pthread_mutex_unlock(&account->store->lock);
    return account;
}

void account_unref(struct account *account)
{
    if (!account)
        return;
    struct store *store = account->store;
    pthread_mutex_lock(&store->lock);
    assert(account->refs > 0);
    if (--account->refs == 0) {
        idle_add(store, account);
        if (account->readonly)
            close_idle(store, account, false); /* opened anew and checked by the next that asks */
        while (store->accounts.count > store->accounts_open_max && store->idle_first)
            close_idle(store, store->idle_first, false);
    }
    pthread_mutex_unlock(&store->lock);
}

struct slice account_id(const struct account *account)
{
    return slice_of(account->id);
}

void account_quota_set(struct account *account, uint64_t bytes_max, uint64_t messages_max)
{
    account->quota_bytes = bytes_max;
    account->quota_messages = messages_max;
}

bool account_readonly(struct account *account)
{
    return account->readonly;
}

enum err store_account_shut(struct store *store, struct slice id)
{
    struct account *account;
    while ((account = map_get(&store->accounts, id))) {
        if (account->state != ACCOUNT_OPEN) {
            pthread_cond_wait(&store->moved, &store->lock);
            continue;
        }
        if (account->refs > (account->due ? 1u : 0u))
            return ERR_BUSY;
        if (account->refs == 1) { /* the maintenance thread will let go soon */
            pthread_cond_wait(&store->moved, &store->lock);
            continue;
        }
        close_idle(store, account, false);
    }
    return ERR_OK;
}

struct store_stats store_stats(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    size_t open = store->accounts.count;
    pthread_mutex_unlock(&store->lock);
    return (struct store_stats){ .accounts_open = open,
        .commits = store->commits,
        .requests = store->requests,
        .checkpoints = store->checkpoints };
}

/* ---- maintenance ---- */

void account_due(struct account *account)
{
    struct store *store = account->store;
    pthread_mutex_lock(&store->lock);
    if (!account->due && account->refs > 0 && !store->ending) {
        account->due = true;
        account->refs++;
        account->due_next = NULL;
        *store->due_last = account;
        store->due_last = &account->due_next;
        pthread_cond_broadcast(&store->moved);
    }
    pthread_mutex_unlock(&store->lock);
}

static int64_t pragma_number(struct account *account, const char *pragma)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(account->db, pragma, -1, &statement, NULL) != SQLITE_OK)
        return 0;
    int64_t number = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    (void)sqlite3_finalize(statement);
    return number;
}

/* When much is free, some of it goes back to the file system with each checkpoint. */
#define VACUUM_FREE_PAGES_MIN 1000
static void give_back(struct account *account)
{
    int64_t free_pages = pragma_number(account, "PRAGMA freelist_count");
    if (free_pages < VACUUM_FREE_PAGES_MIN ||
        free_pages * 4 < pragma_number(account, "PRAGMA page_count"))
        return;
    int rc = sqlite3_exec(account->db, "PRAGMA incremental_vacuum(200)", NULL, NULL, NULL);
    if (rc != SQLITE_OK && sql_err(account->db, rc) == ERR_IO)
        account->readonly = true;
}

static void maintain(struct account *account)
{
    pthread_mutex_lock(&account->lock);
    if (!account->readonly && account_checkpoint(account) == ERR_OK) {
        give_back(account);
        if (!account->swept)
            account_sweep_big(account);
        account->swept = true;
    }
    pthread_mutex_unlock(&account->lock);
}

static void *maintenance_thread(void *store_arg)
{
    struct store *store = store_arg;
    pthread_mutex_lock(&store->lock);
    while (!store->ending || store->due_first) {
        struct account *account = store->due_first;
        if (!account) {
            pthread_cond_wait(&store->moved, &store->lock);
            continue;
        }
        store->due_first = account->due_next;
        if (!store->due_first)
            store->due_last = &store->due_first;
        pthread_mutex_unlock(&store->lock);
        maintain(account);
        pthread_mutex_lock(&store->lock);
        account->due = false;
        pthread_mutex_unlock(&store->lock);
        account_unref(account);
        pthread_mutex_lock(&store->lock);
        pthread_cond_broadcast(&store->moved);
    }
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

enum err store_accounts_start(struct store *store)
{
    map_init(&store->accounts);
    map_init(&store->suspects);
    store->due_last = &store->due_first;
    pthread_cond_init(&store->moved, NULL);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, 256u << 10);
    int problem = pthread_create(&store->maintenance, &attributes, maintenance_thread, store);
    pthread_attr_destroy(&attributes);
    return problem ? ERR_IO : ERR_OK;
}

void store_accounts_stop(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    store->ending = true;
    pthread_cond_broadcast(&store->moved);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->maintenance, NULL);
    pthread_mutex_lock(&store->lock);
    while (store->idle_first)
        close_idle(store, store->idle_first, true);
    assert(store->accounts.count == 0); /* somebody still holds an account */
    pthread_mutex_unlock(&store->lock);
    map_done(&store->accounts);
    map_done(&store->suspects);
    pthread_cond_destroy(&store->moved);
}

/* ---- big files that no row names ---- */

static enum err big_names(struct account *account, struct map *named)
{
    sqlite3_stmt *statement;
    TRY(sql_get(account, SQL_EMAILS_BIG, &statement));
    bool row;
    for (;;) {
        TRY(sql_step(account, statement, &row));
        if (!row)
            return ERR_OK;
        (void)map_put(named, sql_bytes(statement, 0), account);
    }
}

void account_sweep_big(struct account *account)
{
    int fd = openat(account->folder_fd, "big", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return;
    }
    struct map named;
    map_init(&named);
    bool known = false;
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        unsigned char guid[GUID_BYTES];
        struct slice name = slice_of(entry->d_name);
        if (name.len != BIG_NAME_LEN || hex_decode(name, guid, sizeof guid) != ERR_OK)
            continue;
        if (!known && big_names(account, &named) != ERR_OK)
            break; /* nothing goes that might be named */
        known = true;
        if (!map_get(&named, slice_from(guid, sizeof guid)))
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
    map_done(&named);
    closedir(dir);
}
