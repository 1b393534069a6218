/* What all places have in common: items, batches, what is recorded when. */
#include "client/pop3/popc_drop_int.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum err popc_disk_failed(struct client_failure *failure, const char *what, int errno_value)
{
    enum err e = err_from_errno(errno_value);
    (void)err_noted(&failure->note, e, "%s: %s", what, strerror(errno_value));
    return client_failed(failure, CLIENT_WHY_DISK, e);
}

enum err popc_state_failed(
    struct client_failure *failure, const struct popc_state *state, enum err e)
{
    (void)err_noted(&failure->note, e, "pop3.db: %s", popc_state_error(state));
    return client_failed(
        failure, e == ERR_NO_SPACE || e == ERR_IO ? CLIENT_WHY_DISK : CLIENT_WHY_STATE, e);
}

enum err popc_sync_folder(const char *path, struct client_failure *failure)
{
    autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return popc_disk_failed(failure, path, errno);
    return ERR_OK;
}

/* ---- items ---- */

static void item_done(struct popc_item *item)
{
    if (item->fd >= 0)
        close(item->fd);
    free(item->key);
    free(item->path);
    *item = (struct popc_item){ .fd = -1 };
}

void popc_drop_forget_items(struct popc_drop *drop)
{
    for (size_t i = 0; i < drop->count; i++)
        item_done(&drop->items[i]);
    drop->count = 0;
    drop->batch_bytes = 0;
}

static void drop_last(struct popc_drop *drop)
{
    drop->ops->drop_last(drop);
    item_done(&drop->items[--drop->count]);
    drop->open = false;
}

enum err popc_drop_record(struct popc_drop *drop, const char *file, struct client_failure *failure)
{
    int64_t now_s = clock_wall_s();
    enum err e = ERR_OK;
    for (size_t i = 0; !e && i < drop->count; i++) {
        const struct popc_item *item = &drop->items[i];
        e = popc_state_set(drop->state, slice_from(item->key, item->key_len), POPC_ARRIVING, now_s,
            file ? file : item->path, item->becomes);
    }
    if (!e)
        e = popc_state_commit(drop->state);
    return e ? popc_state_failed(failure, drop->state, e) : ERR_OK;
}

enum err popc_drop_arrived(struct popc_drop *drop, struct client_failure *failure)
{
    enum err e = popc_state_arrived(drop->state);
    return e ? popc_state_failed(failure, drop->state, e) : ERR_OK;
}

/* ---- after a crash ---- */

struct recovery {
    struct popc_drop *drop;
    struct client_failure *failure;
    bool any, mbox;
};

/* By its name, for the account may have got another place since. */
static enum err recover_one(void *arg, const char *path)
{
    struct recovery *recovery = arg;
    recovery->any = true;
    if (popc_maildir_owns(recovery->drop->state, path))
        return popc_maildir_recover(path, recovery->failure);
    recovery->mbox = true;
    return ERR_OK;
}

static enum err recover(struct popc_drop *drop, struct client_failure *failure)
{
    struct recovery recovery = { .drop = drop, .failure = failure };
    enum err e = popc_state_arriving(drop->state, recover_one, &recovery);
    if (e)
        return failure->why ? e : popc_state_failed(failure, drop->state, e);
    if (recovery.mbox)
        TRY(popc_mbox_recover(drop, failure));
    if (!recovery.any)
        return ERR_OK;
    TRY(popc_drop_arrived(drop, failure));
    e = popc_state_commit(drop->state);
    return e ? popc_state_failed(failure, drop->state, e) : ERR_OK;
}

/* ---- what the caller sees ---- */

static const struct popc_drop_ops *ops_of(const struct client_account *account)
{
    if (account->deliver_mbox)
        return &popc_drop_mbox;
    if (account->deliver_command)
        return &popc_drop_command;
    if (account->deliver_lmtp)
        return &popc_drop_lmtp;
    return account->maildir ? &popc_drop_maildir : NULL;
}

enum err popc_drop_open(const struct client_account *account, const char *state_folder,
    struct popc_state *state, struct popc_drop **out_drop, struct client_failure *failure)
{
    const struct popc_drop_ops *ops = ops_of(account);
    if (!ops)
        return client_failed(failure, CLIENT_WHY_NO_TARGET, ERR_NOT_FOUND);
    struct popc_drop *drop = mem_zalloc(1, sizeof *drop);
    drop->ops = ops;
    drop->account = account;
    drop->state_folder = state_folder;
    drop->state = state;
    drop->batch_fd = -1;
    popc_writer_init(&drop->writer, POPC_FORMAT_LF);
    enum err e = recover(drop, failure);
    if (!e)
        e = ops->open(drop, failure);
    if (e) {
        popc_drop_close(drop);
        return e;
    }
    *out_drop = drop;
    return ERR_OK;
}

void popc_drop_close(struct popc_drop *drop)
{
    if (!drop)
        return;
    while (drop->count > 0)
        drop_last(drop);
    if (drop->ops->close)
        drop->ops->close(drop);
    if (drop->batch_fd >= 0)
        close(drop->batch_fd);
    popc_writer_done(&drop->writer);
    free(drop);
}

enum err popc_drop_begin(struct popc_drop *drop, struct slice key, enum popc_known becomes,
    struct client_failure *failure)
{
    struct popc_item *item = &drop->items[drop->count++];
    *item = (struct popc_item){
        .key = mem_strndup(key.ptr, key.len),
        .key_len = key.len,
        .becomes = becomes,
        .fd = -1,
    };
    drop->open = true;
    return drop->ops->begin(drop, item, failure);
}

enum err popc_drop_put(struct popc_drop *drop, struct slice piece, struct client_failure *failure)
{
    return popc_writer_put(&drop->writer, piece)
               ? popc_disk_failed(failure, drop->items[drop->count - 1].path, errno)
               : ERR_OK;
}

enum err popc_drop_end(struct popc_drop *drop, bool *out_refused, struct client_failure *failure)
{
    struct popc_item *item = &drop->items[drop->count - 1];
    *out_refused = false;
    if (popc_writer_end(&drop->writer))
        return popc_disk_failed(failure, item->path, errno);
    TRY(drop->ops->end(drop, item, out_refused, failure));
    drop->open = false;
    if (*out_refused) {
        drop_last(drop);
        return ERR_OK;
    }
    drop->batch_bytes += drop->writer.bytes;
    if (drop->count == POPC_BATCH_COUNT || drop->batch_bytes >= POPC_BATCH_BYTES)
        return popc_drop_flush(drop, failure);
    return ERR_OK;
}

size_t popc_drop_waiting(const struct popc_drop *drop)
{
    size_t count = 0;
    for (size_t i = 0; i + drop->open < drop->count; i++)
        count += drop->items[i].becomes == POPC_FETCHED;
    return count;
}

enum err popc_drop_flush(struct popc_drop *drop, struct client_failure *failure)
{
    if (drop->open)
        drop_last(drop);
    enum err e = drop->count > 0 ? drop->ops->flush(drop, failure) : ERR_OK;
    drop->batch_bytes = 0;
    if (!e)
        popc_drop_forget_items(drop);
    return e;
}
