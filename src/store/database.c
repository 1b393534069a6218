/* One account's folder: its database with the settings it is opened with, its log, its big files.
 *
 * Always true: opening what exists writes nothing; every page that is read was checked (vfs.h) unless the account is opened to be mended. */
#include "store/account.h"

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/encode.h"
#include "store/vfs.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NUMBER_TEXT_OF(number) #number
#define NUMBER_TEXT(number)    NUMBER_TEXT_OF(number)

static int wal_grew(void *hook_arg, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    ((struct account *)hook_arg)->log_pages = pages;
    return SQLITE_OK;
}

/* Opening what exists writes nothing, but once after an upgrade: it must work on a full disk too. */
static enum err set_up(struct account *account, enum account_opening how)
{
    /* checkpoints are ours: the automatic one would run on the answer's path */
    static const char always[] =
        "PRAGMA wal_autocheckpoint=0;PRAGMA journal_size_limit=4194304;PRAGMA cache_size=-256;"
        "PRAGMA secure_delete=FAST";
    /* Only here: auto_vacuum writes to the file each time it is set. */
    static const char once[] =
        "PRAGMA page_size=" NUMBER_TEXT(STORE_PAGE_BYTES) ";PRAGMA auto_vacuum=INCREMENTAL";
    struct sql_db *sql = &account->sql;
    TRY(sql_settle(sql));
    TRY(sql_exec(sql, always));
    int keep = 1;
    (void)sqlite3_file_control(sql->db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
    (void)sqlite3_wal_hook(sql->db, wal_grew, account);
    int64_t version;
    TRY(sql_ask(sql, "PRAGMA user_version", &version));
    account->schema_version = (int)version;
    bool known = account->schema_version >= STORE_SCHEMA_VERSION_OLDEST &&
                 account->schema_version <= STORE_SCHEMA_VERSION;
    if (how == ACCOUNT_CREATE ? account->schema_version != 0 : !known)
        return ERR_CORRUPT;
    if (how == ACCOUNT_CREATE) {
        TRY(sql_exec(
            sql, "PRAGMA synchronous=OFF")); /* place_account syncs what has become of it */
        int reserve = STORE_PAGE_CHECKSUM_BYTES;
        (void)sqlite3_file_control(sql->db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserve);
        TRY(sql_exec(sql, once));
    }
    if (how == ACCOUNT_EXISTING ||
        how ==
            ACCOUNT_CREATE) /* writes only where it is another, as another program may leave it */
        TRY(sql_exec(sql, "PRAGMA journal_mode=WAL"));
    enum err e = ERR_OK;
    if (how == ACCOUNT_CREATE)
        e = schema_make(sql, slice_of(account->id));
    else if (how == ACCOUNT_EXISTING && account->schema_version < STORE_SCHEMA_VERSION)
        e = schema_upgrade(sql, account->schema_version);
    else
        return ERR_OK;
    if (e == ERR_OK)
        account->schema_version = STORE_SCHEMA_VERSION;
    else if (how == ACCOUNT_EXISTING && (e == ERR_NO_SPACE || e == ERR_IO))
        account->readonly = true; /* read as it is, until it is opened again */
    account->upgrade_waits = account->readonly && e == ERR_NO_SPACE;
    return how == ACCOUNT_EXISTING && account->readonly ? ERR_OK : e;
}

enum err account_load(struct account *account)
{
    sqlite3_stmt *statement;
    int64_t modseq = 1;
    TRY(sql_get(&account->sql, SQL_ACCOUNT_MODSEQ, &statement));
    TRY(sql_number(&account->sql, statement, &modseq, NULL));
    if ((uint64_t)modseq > account->modseq)
        account->modseq = (uint64_t)modseq;
    account->changes_floor = account->modseq;
    bool row;
    TRY(sql_get(&account->sql, SQL_HANDLES, &statement));
    enum err handles = sql_step(&account->sql, statement, &row);
    if (handles == ERR_CORRUPT) {
        row = false;
        account->readonly = true; /* no id can be given out; what can be read is */
    } else {
        TRY(handles);
    }
    if (row) { /* read again after a repair: what was given out since stays given out */
        int64_t email = sqlite3_column_int64(statement, 0);
        int64_t outgoing = sqlite3_column_int64(statement, 1);
        account->last_email = email > account->last_email ? email : account->last_email;
        account->last_outgoing =
            outgoing > account->last_outgoing ? outgoing : account->last_outgoing;
        (void)sqlite3_reset(statement);
    }
    int64_t warned = 0;
    if (account->schema_version >= STORE_SCHEMA_WARNED) {
        TRY(sql_get(&account->sql, SQL_ACCOUNT_WARNED, &statement));
        TRY(sql_number(&account->sql, statement, &warned, NULL));
    }
    account->quota_warned = warned != 0;
    TRY(sql_get(&account->sql, SQL_USAGE, &statement));
    TRY(sql_step(&account->sql, statement, &row));
    if (row) {
        account->usage_bytes = (uint64_t)sqlite3_column_int64(statement, 0);
        account->usage_messages = (uint64_t)sqlite3_column_int64(statement, 1);
        (void)sqlite3_reset(statement);
    }
    return account_load_keywords(account);
}

static enum err open_database(struct account *account, enum account_opening how)
{
    char path[80];
    int flags = SQLITE_OPEN_URI;
    flags |= how == ACCOUNT_SNAPSHOT ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    flags |= how == ACCOUNT_CREATE ? SQLITE_OPEN_CREATE : 0;
    (void)snprintf(path, sizeof path, "file:/proc/self/fd/%d/mail.db%s", account->folder_fd,
        how == ACCOUNT_SNAPSHOT ? "?immutable=1" : "");
    TRY(sql_attach(&account->sql, path, flags, store_vfs(), &store_sql_options));
    store_vfs_owner(account->sql.db, slice_of(account->id));
    if (how == ACCOUNT_MEND)
        (void)store_vfs_verify(account->sql.db, false);
    TRY(set_up(account, how));
    enum err e = account_load(account);
    return how == ACCOUNT_MEND && e == ERR_CORRUPT ? ERR_OK : e; /* a repair loads it again */
}

static void close_database(struct account *account, bool checkpoint)
{
    if (account->sql.db)
        (void)sqlite3_db_config(
            account->sql.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, checkpoint ? 0 : 1, NULL);
    sql_close(&account->sql);
}

static int open_folder(const struct account *account, const char *parent)
{
    char path[16 + ACCOUNT_ID_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", parent, account->id);
    return openat(account->store->root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* A folder in incoming/ for an account in the making; one that an earlier try left goes. */
static enum err make_folder(struct account *account)
{
    int root = account->store->root_fd;
    char path[16 + ACCOUNT_ID_BYTES_MAX];
    (void)snprintf(path, sizeof path, "incoming/%s", account->id);
    TRY(dir_remove(root, path));
    if (mkdirat(root, path, 0700) != 0)
        return err_from_errno(errno);
    account->folder_fd = open_folder(account, "incoming");
    if (account->folder_fd < 0 || mkdirat(account->folder_fd, "big", 0700) != 0)
        return err_from_errno(errno);
    return ERR_OK;
}

/* The file, the names in the folder, then the folder's place. */
static enum err place_account(const struct account *account)
{
    autoclose int db = openat(account->folder_fd, "mail.db", O_RDONLY | O_CLOEXEC);
    if (db < 0 || fsync(db) != 0 || fsync(account->folder_fd) != 0)
        return ERR_IO;
    return store_move_account(account->store, slice_of(account->id), "incoming", "accounts");
}

/* Whole before it has its place, so that a folder in accounts/ without a mail.db is damage and not a beginning. Nothing is synced on the way: what
 * a crash leaves in incoming/ is swept. */
static enum err make_account(struct account *account)
{
    TRY(make_folder(account));
    TRY(open_database(account, ACCOUNT_CREATE));
    TRY(account_write(account, mailbox_first_ones, NULL));
    TRY(account_checkpoint(account));
    close_database(account, true);
    account_forget_mailboxes(account);
    return place_account(account);
}

enum err account_db_open(struct account *account, enum account_opening how)
{
    account->folder_fd = open_folder(account, "accounts");
    if (account->folder_fd < 0 && (errno != ENOENT || how != ACCOUNT_CREATE))
        return err_from_errno(errno);
    if (account->folder_fd < 0)
        TRY(make_account(account));
    enum err e = account_db_open_at(account, how);
    if (e == ERR_OK || e == ERR_CORRUPT || how == ACCOUNT_MEND ||
        !store_disk_readonly(account->store))
        return e;
    /* A disk that turned read-only: what was closed with an empty log can still be read. */
    struct stat log;
    if (fstatat(account->folder_fd, "mail.db-wal", &log, 0) == 0 && log.st_size > 0)
        return e;
    close_database(account, false);
    account->readonly = true;
    return account_db_open_at(account, ACCOUNT_SNAPSHOT);
}

enum err account_db_open_at(struct account *account, enum account_opening how)
{
    if (faccessat(account->folder_fd, "mail.db", F_OK, 0) != 0)
        return errno == ENOENT ? ERR_CORRUPT : err_from_errno(errno);
    TRY(open_database(account, how == ACCOUNT_CREATE ? ACCOUNT_EXISTING : how));
    sqlite3_stmt *statement;
    bool row;
    TRY(sql_get(&account->sql, SQL_ACCOUNT, &statement));
    TRY(sql_step(&account->sql, statement, &row));
    bool ours = row && slice_eq(sql_text(statement, 0), slice_of(account->id));
    (void)sqlite3_reset(statement);
    return ours || how == ACCOUNT_MEND ? ERR_OK : ERR_CORRUPT;
}

int64_t account_pragma(struct account *account, const char *pragma)
{
    int64_t number = 0;
    (void)!sql_ask(&account->sql, pragma, &number);
    return number;
}

enum err account_checkpoint(struct account *account)
{
    int log = 0, moved = 0;
    if (account->held)
        return ERR_BUSY;
    int rc =
        sqlite3_wal_checkpoint_v2(account->sql.db, "main", SQLITE_CHECKPOINT_PASSIVE, &log, &moved);
    account->log_pages = log - moved;
    atomic_fetch_add(&account->store->checkpoints, 1);
    if (rc == SQLITE_OK)
        return ERR_OK;
    enum err e = sql_err(&account->sql, rc);
    if (e == ERR_IO || e == ERR_CORRUPT)
        account->readonly = true; /* S-8 */
    return e;
}

static enum err nothing_but_recent(struct store_tx *tx, void *unused)
{
    (void)unused;
    /* The marks ride along with any commit; this gives them one. */
    return sql_run(&tx->account->sql, SQL_FILED_TRIM);
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
    if (account->sql.db && !account->readonly && recent_waits(account)) {
        enum err e = account_write(account, nothing_but_recent, NULL);
        (void)e; /* lost: told as \Recent once more */
    }
    close_database(account, checkpoint);
    if (account->folder_fd >= 0)
        close(account->folder_fd);
    account_forget_mailboxes(account);
    map_done(&account->mailboxes);
    uidset_done(&account->whole);
    for (size_t i = 0; i < CHANGES_KEPT; i++)
        uidset_done(&account->changes[i].uids);
    account_drop_keywords(account);
    pthread_mutex_destroy(&account->lock);
    pthread_mutex_destroy(&account->queue_lock);
    pthread_mutex_destroy(&account->watch_lock);
    pthread_cond_destroy(&account->queue_moved);
    free(account);
}

/* ---- big files that no row names ---- */

static enum err big_names(struct account *account, struct map *named)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&account->sql, SQL_EMAILS_BIG, &statement));
    bool row;
    for (;;) {
        TRY(sql_step(&account->sql, statement, &row));
        if (!row)
            return ERR_OK;
        (void)map_put(named, sql_bytes(statement, 0), account);
    }
}

enum err account_big_unnamed(struct account *account, account_big_fn *fn, void *fn_arg)
{
    DIR *dir;
    enum err e = dir_open(account->folder_fd, "big", &dir);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_IO : e;
    struct map named;
    map_init(&named);
    bool known = false;
    const struct dirent *entry;
    while (e == ERR_OK && (entry = readdir(dir))) {
        unsigned char guid[GUID_BYTES];
        char path[8 + BIG_NAME_LEN];
        struct slice name = slice_of(entry->d_name), bytes = slice_from(guid, sizeof guid);
        if (name.len != BIG_NAME_LEN || hex_decode(name, guid, sizeof guid) != ERR_OK)
            continue;
        if (!known)
            e = big_names(account, &named); /* nothing is told that might be named */
        known = true;
        (void)snprintf(path, sizeof path, "big/%.*s", SLICE_FMT(name));
        if (e == ERR_OK && !map_get(&named, bytes))
            e = fn(fn_arg, path, bytes);
    }
    map_done(&named);
    closedir(dir);
    return e;
}

static enum err unlink_big(void *account_arg, const char *name, struct slice guid)
{
    (void)guid;
    const struct account *account = account_arg;
    (void)unlinkat(account->folder_fd, name, 0); /* the next sweep tries again */
    return ERR_OK;
}

void account_sweep_big(struct account *account)
{
    if (account->held)
        return;
    enum err e = account_big_unnamed(account, unlink_big, account);
    (void)e; /* what stays belongs to nobody (S-3) */
}
