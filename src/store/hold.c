/* Backups: an account held still while its files are copied, and the copy opened where it lies.
 *
 * Always true: while an account is held, mail.db holds all that was committed before and does not change, and no file in big/ goes; what is committed
 * meanwhile waits in the log, so users notice nothing. */
#include "store/account.h"

#include "store/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct store_hold {
    struct account *account; /* ref */
};

static enum err hold_still(struct account *account, struct store_hold_state *out_state)
{
    if (account->readonly)
        return ERR_IO;
    TRY(account_checkpoint(account));
    if (account->log_pages != 0)
        return ERR_BUSY;
    account->held = true;
    *out_state = (struct store_hold_state){ .modseq = account->modseq };
    return ERR_OK;
}

enum err store_hold(struct store *store, struct slice id, struct store_hold_state *out_state,
    struct store_hold **out_hold)
{
    struct account *account;
    TRY(store_account(store, id, false, &account));
    pthread_mutex_lock(&account->lock);
    enum err e = hold_still(account, out_state);
    pthread_mutex_unlock(&account->lock);
    if (e != ERR_OK) {
        account_unref(account);
        return e;
    }
    struct store_hold *hold = mem_zalloc(1, sizeof *hold);
    hold->account = account;
    *out_hold = hold;
    return ERR_OK;
}

void store_release(struct store_hold *hold)
{
    if (!hold)
        return;
    struct account *account = hold->account;
    pthread_mutex_lock(&account->lock);
    account->held = false;
    account->swept = false; /* files whose removal had to wait */
    pthread_mutex_unlock(&account->lock);
    account_due(account);
    account_unref(account);
    free(hold);
}

/* ---- a copy ---- */

enum err store_snapshot(
    int parent_fd, const char *folder, struct slice id, struct account **out_account)
{
    if (!store_id_ok(id))
        return ERR_SYNTAX;
    struct account *account = account_new(NULL, id);
    account->readonly = true;
    account->folder_fd = openat(parent_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum err e = account->folder_fd < 0 ? err_from_errno(errno)
                                        : account_db_open_at(account, ACCOUNT_SNAPSHOT);
    if (e != ERR_OK) {
        account_db_close(account, false);
        return e;
    }
    *out_account = account;
    return ERR_OK;
}

enum err store_snapshot_damage(struct account *snapshot, uint64_t *out_pages)
{
    return store_vfs_scan(snapshot->sql.db, false, NULL, NULL, out_pages);
}

void store_snapshot_close(struct account *snapshot)
{
    if (snapshot)
        account_db_close(snapshot, false);
}
