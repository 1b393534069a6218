/* Private to store/: the node. */
#ifndef STORE_STORE_INT_H
#define STORE_STORE_INT_H

#include "base/limits.h"
#include "base/map.h"
#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>

#define ACCOUNT_ID_BYTES_MAX 64

struct account;

struct store {
    int root_fd; /* owned */
    size_t body_row_bytes_max, accounts_open_max;
    unsigned checkpoint_pages;
    atomic_ullong commits, requests, checkpoints;
    atomic_size_t entries_kept_bytes; /* entries.c */
    atomic_size_t flags_kept_bytes;   /* flag_list.c */

    pthread_mutex_t lock;
    pthread_cond_t
        moved; /* an account was opened or closed; maintenance has something due or is to end */
    /* under lock */
    struct map accounts; /* id -> struct account */
    struct map
        suspects; /* ids of accounts that turned read-only: checked when they are opened again */
    struct account *idle_first, *idle_last; /* unreferenced, least recently used first */
    struct account *due_first, **due_last;  /* for the maintenance thread; each holds a reference */
    bool ending;
    pthread_t maintenance;
};

/* life of accounts, account.c */
enum err MUST_USE store_accounts_start(struct store *store);
void store_accounts_stop(struct store *store);
/* Closes an idle account before its folder goes. With store->lock held. ERR_BUSY while it is referenced. */
enum err MUST_USE store_account_shut(struct store *store, struct slice id);
bool store_id_ok(struct slice id);
/* Syncs a folder so that names made or gone in it are durable. */
enum err MUST_USE store_sync_dir(int parent_fd, const char *name);
/* Moves the folder of an account that is not open from one of the node's folders into another, in one step that survives a crash. */
enum err MUST_USE store_move_account(
    struct store *store, struct slice id, const char *from, const char *to);
/* Puts a folder in an account's place, in one step; what was there before has that folder's name then. With store->lock held, the account shut. */
enum err MUST_USE store_swap_folder(struct store *store, struct slice id, const char *folder);
enum err MUST_USE store_make_dir(int parent_fd, const char *name, struct err_note *note);

/* Whether so many bytes more on the disk, in a file of their own or not, leave room for what must always be possible: deleting, moving, flags, logging in. */
bool store_has_room(struct store *store, uint64_t bytes, bool file);
bool store_disk_readonly(struct store *store);

/* of blob.c, for append: XXH3 of all bytes; where the file is. */
uint64_t blob_checksum(const struct blob *blob);
/* Path below the root of a body that is a file; NULL when it is in memory. */
const char *blob_file(const struct blob *blob);

#endif
