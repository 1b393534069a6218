/* Each message is the standard input of a program of the user's choice (as procmail, maildrop, or a script). 0: it has it; 75 (EX_TEMPFAIL), or no end: later; else
 * it does not want this one. */
#include "client/core/command.h"
#include "base/arena.h"
#include "base/clock.h"
#include "fetch/drop_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#define COMMAND_TIMEOUT_MS (10 * 60 * 1000)

static enum err command_open(struct fetch_drop *drop, struct client_failure *failure)
{
    char *path = NULL;
    if (asprintf(&path, "%s/message", drop->state_folder) < 0)
        return client_failed(failure, CLIENT_WHY_DISK, ERR_IO);
    drop->batch_fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    enum err e = drop->batch_fd < 0 ? fetch_disk_failed(failure, path, errno) : ERR_OK;
    if (!e)
        (void)unlink(path); /* it is needed only while we are here */
    free(path);
    drop->writer.format = FETCH_FORMAT_LF;
    return e;
}

static enum err command_begin(
    struct fetch_drop *drop, struct fetch_item *item, struct client_failure *failure)
{
    item->path = mem_strdup(drop->account->deliver_command[0]);
    if (ftruncate(drop->batch_fd, 0) < 0 || lseek(drop->batch_fd, 0, SEEK_SET) < 0)
        return fetch_disk_failed(failure, "message", errno);
    fetch_writer_begin(&drop->writer, drop->batch_fd);
    return ERR_OK;
}

/* It has the message: this is durable before the next begins. */
static enum err record(
    struct fetch_drop *drop, const struct fetch_item *item, struct client_failure *failure)
{
    enum err e = fetch_state_set(drop->state, slice_from(item->key, item->key_len), item->becomes,
        clock_wall_s(), NULL, FETCH_UNKNOWN);
    if (!e)
        e = fetch_state_commit(drop->state);
    return e ? fetch_state_failed(failure, drop->state, e) : ERR_OK;
}

static enum err command_end(struct fetch_drop *drop, struct fetch_item *item, bool *out_refused,
    struct client_failure *failure)
{
    int code = 0;
    if (lseek(drop->batch_fd, 0, SEEK_SET) < 0)
        return fetch_disk_failed(failure, "message", errno);
    enum err e = client_command_feed(drop->account->deliver_command, "deliver-command",
        COMMAND_TIMEOUT_MS, drop->batch_fd, &code, &failure->note);
    if (e && e != ERR_TIMEOUT)
        return client_failed(failure, CLIENT_WHY_DISK, e);
    if (!e && code == EX_TEMPFAIL)
        e = err_noted(
            &failure->note, ERR_BUSY, "deliver-command: %s asks to try again later", item->path);
    if (e) {
        *out_refused = fetch_drop_goes_on(drop);
        return *out_refused ? ERR_OK : client_failed(failure, CLIENT_WHY_DISK, e);
    }
    if (code != 0) {
        *out_refused = true;
        (void)err_noted(&failure->note, ERR_DENIED, "deliver-command: %s ended with exit code %d",
            item->path, code);
        return ERR_OK;
    }
    return record(drop, item, failure);
}

static enum err command_flush(struct fetch_drop *drop, struct client_failure *failure)
{
    (void)drop;
    (void)failure;
    return ERR_OK;
}

static void command_drop_last(struct fetch_drop *drop)
{
    (void)drop;
}

const struct fetch_drop_ops fetch_drop_command = {
    .open = command_open,
    .begin = command_begin,
    .end = command_end,
    .flush = command_flush,
    .drop_last = command_drop_last,
};
