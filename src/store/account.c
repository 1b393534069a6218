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

struct account *account_new(struct store *store, struct slice id)
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
    uidset_init(&account->whole);
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

static void forget_account(struct store *store, struct slice id)
{
    (void)map_remove(&store->accounts, id);
    pthread_cond_broadcast(&store->moved);
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
    if (account->readonly && !account->upgrade_waits)
        (void)map_put(&store->suspects, id, store);
    pthread_mutex_unlock(&store->lock);
    account_db_close(account, checkpoint);
    pthread_mutex_lock(&store->lock);
    forget_account(store, slice_of(kept_id));
}

static void no_finding(void *unused, const char *text, bool repaired)
{
    (void)unused;
    (void)text;
    (void)repaired;
}

/* An account that turned read-only is looked at before it is written to again (S-8); what can be read of it is served meanwhile. */
static enum err check_suspect(struct account *account)
{
    size_t findings = 0;
    pthread_mutex_lock(&account->lock);
    enum err e = account_check(account, false, no_finding, NULL, &findings);
    pthread_mutex_unlock(&account->lock);
    if (findings > 0)
        account->readonly = true;
    return e;
}

/* The account when it is open; NULL when it is not, and is not about to be or to end. With store->lock. */
static struct account *find_settled(struct store *store, struct slice id)
{
    struct account *account;
    while ((account = map_get(&store->accounts, id)) && account->state != ACCOUNT_OPEN)
        pthread_cond_wait(&store->moved, &store->lock);
    return account;
}

enum err store_account(
    struct store *store, struct slice id, bool create, struct account **out_account)
{
    if (!store_id_ok(id))
        return ERR_SYNTAX;
    pthread_mutex_lock(&store->lock);
    struct account *account = find_settled(store, id);
    if (account && account->refs == 0 && account->readonly && !store_disk_readonly(store)) {
        close_idle(store, account, false);
        account = find_settled(store, id);
    }
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

    enum err e = account_db_open(account, create ? ACCOUNT_CREATE : ACCOUNT_EXISTING);
    if (e == ERR_OK && suspect)
        e = check_suspect(account);

    pthread_mutex_lock(&store->lock);
    if (e == ERR_OK) {
        account->state = ACCOUNT_OPEN;
        (void)map_remove(&store->suspects, id);
        pthread_cond_broadcast(&store->moved);
    } else {
        forget_account(store, id);
    }
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

static void tell_unreadable(int version, account_finding_fn *tell, void *tell_arg)
{
    char text[160];
    if (version > STORE_SCHEMA_VERSION) /* all of it is there, for that one */
        (void)snprintf(text, sizeof text,
            "mail.db was written by a newer Barid (format %d; this one knows %d)", version,
            STORE_SCHEMA_VERSION);
    else
        (void)snprintf(
            text, sizeof text, "mail.db cannot be read; what it held is in a backup only");
    tell(tell_arg, text, false);
}

/* Others wait until it is over, and then open it for themselves. */
static enum err fsck_damaged(
    struct store *store, struct slice id, bool repair, account_finding_fn *tell, void *tell_arg)
{
    pthread_mutex_lock(&store->lock);
    if (find_settled(store, id)) { /* so it can be opened by now */
        pthread_mutex_unlock(&store->lock);
        return ERR_BUSY;
    }
    struct account *account = account_new(store, id);
    (void)map_put(&store->accounts, id, account);
    pthread_mutex_unlock(&store->lock);

    enum err e = account_db_open(account, ACCOUNT_MEND);
    if (e == ERR_OK)
        e = account_fsck(account, repair, tell, tell_arg);
    int version = account->schema_version;
    account_db_close(account, false);
    if (e == ERR_CORRUPT) {
        tell_unreadable(version, tell, tell_arg);
        e = ERR_OK;
    }

    pthread_mutex_lock(&store->lock);
    forget_account(store, id);
    pthread_mutex_unlock(&store->lock);
    return e;
}

enum err store_fsck(
    struct store *store, struct slice id, bool repair, account_finding_fn *tell, void *tell_arg)
{
    struct account *account;
    enum err e = store_account(store, id, false, &account);
    if (e == ERR_CORRUPT)
        return fsck_damaged(store, id, repair, tell, tell_arg);
    TRY(e);
    e = account_fsck(account, repair, tell, tell_arg);
    account_unref(account);
    return e;
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
        if (account->readonly && !store_disk_readonly(store))
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
    if (!account->due && account->state == ACCOUNT_OPEN && account->refs > 0 && !store->ending) {
        account->due = true;
        account->refs++;
        account->due_next = NULL;
        *store->due_last = account;
        store->due_last = &account->due_next;
        pthread_cond_broadcast(&store->moved);
    }
    pthread_mutex_unlock(&store->lock);
}

/* When much is free, some of it goes back to the file system with each checkpoint; on a full disk all of it, for others wait for it. */
#define VACUUM_FREE_PAGES_MIN 1000
#define VACUUM_FREE_PAGES_LOW 16
#define VACUUM_ROUNDS_MAX     200
static void give_back(struct account *account)
{
    for (int i = 0; i < VACUUM_ROUNDS_MAX && !account->readonly; i++) {
        bool low = !store_has_room(account->store, 0, false);
        int64_t free_pages = account_pragma(account, "PRAGMA freelist_count");
        if (free_pages < (low ? VACUUM_FREE_PAGES_LOW : VACUUM_FREE_PAGES_MIN) ||
            (!low && free_pages * 4 < account_pragma(account, "PRAGMA page_count")))
            return;
        enum err e = sql_exec(&account->sql, "PRAGMA incremental_vacuum(200)");
        if (e == ERR_IO)
            account->readonly = true;
        if (!low || e != ERR_OK || account_checkpoint(account) != ERR_OK)
            return;
    }
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
