/* What all places have in common: items, batches, what is recorded when. */
#include "fetch/drop_int.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum err fetch_disk_failed(struct client_failure *failure, const char *what, int errno_value)
{
    enum err e = err_from_errno(errno_value);
    (void)err_noted(&failure->note, e, "%s: %s", what, strerror(errno_value));
    return client_failed(failure, CLIENT_WHY_DISK, e);
}

enum err fetch_state_failed(
    struct client_failure *failure, const struct fetch_state *state, enum err e)
{
    (void)err_noted(&failure->note, e, "pop3.db: %s", fetch_state_error(state));
    return client_failed(
        failure, e == ERR_NO_SPACE || e == ERR_IO ? CLIENT_WHY_DISK : CLIENT_WHY_STATE, e);
}

enum err fetch_sync_folder(const char *path, struct client_failure *failure)
{
    autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return fetch_disk_failed(failure, path, errno);
    return ERR_OK;
}

/* ---- items ---- */

static void item_done(struct fetch_item *item)
{
    if (item->fd >= 0)
        close(item->fd);
    free(item->key);
    free(item->path);
    *item = (struct fetch_item){ .fd = -1 };
}

void fetch_drop_forget_items(struct fetch_drop *drop)
{
    for (size_t i = 0; i < drop->count; i++)
        item_done(&drop->items[i]);
    drop->count = 0;
    drop->batch_bytes = 0;
}

/* One message that makes a filter fail each time would keep all behind it away for ever. */
bool fetch_drop_goes_on(struct fetch_drop *drop)
{
    return ++drop->later < FETCH_LATER_MAX;
}

static void drop_last(struct fetch_drop *drop)
{
    drop->ops->drop_last(drop);
    item_done(&drop->items[--drop->count]);
    drop->open = false;
}

enum err fetch_drop_record(
    struct fetch_drop *drop, const char *file, struct client_failure *failure)
{
    int64_t now_s = clock_wall_s();
    enum err e = ERR_OK;
    for (size_t i = 0; !e && i < drop->count; i++) {
        const struct fetch_item *item = &drop->items[i];
        e = fetch_state_set(drop->state, slice_from(item->key, item->key_len), FETCH_ARRIVING,
            now_s, file ? file : item->path, item->becomes);
    }
    if (!e)
        e = fetch_state_commit(drop->state);
    return e ? fetch_state_failed(failure, drop->state, e) : ERR_OK;
}

enum err fetch_drop_arrived(struct fetch_drop *drop, struct client_failure *failure)
{
    enum err e = fetch_state_arrived(drop->state);
    return e ? fetch_state_failed(failure, drop->state, e) : ERR_OK;
}

/* ---- after a crash ---- */

struct recovery {
    struct fetch_drop *drop;
    struct client_failure *failure;
    bool any;
    char *mbox;      /* the name that its messages arrive under; owned; or NULL */
    struct buf lost; /* names, each with its NUL */
};

static void add_lost(struct recovery *recovery, const char *path)
{
    buf_add(&recovery->lost, slice_from(path, strlen(path) + 1));
}

/* By its name, for the account may have got another place since. */
static enum err recover_one(void *arg, const char *path)
{
    struct recovery *recovery = arg;
    recovery->any = true;
    if (fetch_maildir_owns(recovery->drop->state, path)) {
        bool lost = false;
        TRY(fetch_maildir_recover(path, &lost, recovery->failure));
        if (lost)
            add_lost(recovery, path);
        return ERR_OK;
    }
    if (!recovery->mbox)
        recovery->mbox = mem_strdup(path); /* one batch at a time: the others have the same */
    return ERR_OK;
}

static enum err put_in_place(struct recovery *recovery)
{
    TRY(fetch_state_arriving(recovery->drop->state, recover_one, recovery));
    bool lost = false;
    if (recovery->mbox)
        TRY(fetch_mbox_recover(recovery->drop, &lost, recovery->failure));
    if (lost)
        add_lost(recovery, recovery->mbox);
    return ERR_OK;
}

static enum err settle(struct recovery *recovery)
{
    struct fetch_state *state = recovery->drop->state;
    struct slice rest = buf_slice(&recovery->lost);
    for (; rest.len > 0; rest = slice_from_index(rest, strlen(rest.ptr) + 1))
        TRY(fetch_state_lost(state, rest.ptr));
    TRY(fetch_state_arrived(state));
    return fetch_state_commit(state);
}

static enum err recover(struct fetch_drop *drop, struct client_failure *failure)
{
    struct recovery recovery = { .drop = drop, .failure = failure };
    buf_init(&recovery.lost, 0);
    enum err e = put_in_place(&recovery);
    if (!e && recovery.any)
        e = settle(&recovery);
    buf_done(&recovery.lost);
    free(recovery.mbox);
    return e && !failure->why ? fetch_state_failed(failure, drop->state, e) : e;
}

/* ---- what the caller sees ---- */

static const struct fetch_drop_ops *ops_of(const struct client_account *account)
{
    if (account->deliver_mbox)
        return &fetch_drop_mbox;
    if (account->deliver_command)
        return &fetch_drop_command;
    if (account->deliver_lmtp)
        return &fetch_drop_lmtp;
    return account->maildir ? &fetch_drop_maildir : NULL;
}

enum err fetch_drop_open(const struct client_account *account, const char *state_folder,
    struct fetch_state *state, struct fetch_drop **out_drop, struct client_failure *failure)
{
    const struct fetch_drop_ops *ops = ops_of(account);
    if (!ops)
        return client_failed(failure, CLIENT_WHY_NO_TARGET, ERR_NOT_FOUND);
    struct fetch_drop *drop = mem_zalloc(1, sizeof *drop);
    drop->ops = ops;
    drop->account = account;
    drop->state_folder = state_folder;
    drop->state = state;
    drop->batch_fd = -1;
    fetch_writer_init(&drop->writer, FETCH_FORMAT_LF);
    enum err e = recover(drop, failure);
    if (!e)
        e = ops->open(drop, failure);
    if (e) {
        fetch_drop_close(drop);
        return e;
    }
    *out_drop = drop;
    return ERR_OK;
}

void fetch_drop_close(struct fetch_drop *drop)
{
    if (!drop)
        return;
    while (drop->count > 0)
        drop_last(drop);
    if (drop->ops->close)
        drop->ops->close(drop);
    if (drop->batch_fd >= 0)
        close(drop->batch_fd);
    fetch_writer_done(&drop->writer);
    free(drop);
}

enum err fetch_drop_begin(
    struct fetch_drop *drop, enum fetch_known becomes, struct client_failure *failure)
{
    struct fetch_item *item = &drop->items[drop->count++];
    *item = (struct fetch_item){ .becomes = becomes, .fd = -1 };
    drop->open = true;
    return drop->ops->begin(drop, item, failure);
}

enum err fetch_drop_put(struct fetch_drop *drop, struct slice piece, struct client_failure *failure)
{
    return fetch_writer_put(&drop->writer, piece)
               ? fetch_disk_failed(failure, drop->items[drop->count - 1].path, errno)
               : ERR_OK;
}

enum err fetch_drop_end(
    struct fetch_drop *drop, struct slice key, bool *out_refused, struct client_failure *failure)
{
    struct fetch_item *item = &drop->items[drop->count - 1];
    item->key = mem_strndup(key.ptr, key.len);
    item->key_len = key.len;
    *out_refused = false;
    if (fetch_writer_end(&drop->writer))
        return fetch_disk_failed(failure, item->path, errno);
    TRY(drop->ops->end(drop, item, out_refused, failure));
    drop->open = false;
    if (*out_refused) {
        drop_last(drop);
        return ERR_OK;
    }
    drop->later = 0;
    drop->batch_bytes += drop->writer.bytes;
    if (drop->count == FETCH_BATCH_COUNT || drop->batch_bytes >= FETCH_BATCH_BYTES)
        return fetch_drop_flush(drop, failure);
    return ERR_OK;
}

size_t fetch_drop_waiting(const struct fetch_drop *drop)
{
    size_t count = 0;
    for (size_t i = 0; i + drop->open < drop->count; i++)
        count += drop->items[i].becomes == FETCH_FETCHED;
    return count;
}

enum err fetch_drop_flush(struct fetch_drop *drop, struct client_failure *failure)
{
    if (drop->open)
        drop_last(drop);
    enum err e = drop->count > 0 ? drop->ops->flush(drop, failure) : ERR_OK;
    drop->batch_bytes = 0;
    if (!e)
        fetch_drop_forget_items(drop);
    return e;
}
