/* mbox, as mboxrd: every message begins with a "From " line, and such lines inside get a ">".
 *
 * A batch is first a file of its own, synced; then its length and the place where it goes are recorded together with the messages (F-1); then it is appended.
 * After a crash the end of the mbox is compared with the batch: it is cut back and appended anew, or was whole already. */
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "fetch/drop_int.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_WAIT_MS 30000
#define LOCK_STALE_S 600 /* a dot lock that old is of a program that died */
#define COPY_BYTES   65536u
#define OFFSET_NAME  "mbox-offset"
#define PATH_NAME    "mbox-path"

static char *batch_path(const struct fetch_drop *drop)
{
    char *path = NULL;
    return asprintf(&path, "%s/mbox.batch", drop->state_folder) < 0 ? NULL : path;
}

/* ---- locks ---- */

static const struct timespec lock_pause = { .tv_nsec = 50 * 1000 * 1000 };

/* Both that are in use: a file beside it (NAME.lock), and fcntl. */
struct mbox {
    const char *path; /* borrowed */
    char *lock;       /* owned; NULL: not taken */
    int fd;
};

static void mbox_close(struct mbox *mbox)
{
    if (mbox->fd >= 0)
        close(mbox->fd);
    if (mbox->lock)
        (void)unlink(mbox->lock);
    free(mbox->lock);
    *mbox = (struct mbox){ .fd = -1 };
}

/* A lock with our tag in it is of a run of this account that was killed: only one runs at a time (pop3.lock). */
static bool is_left_over(const char *lock, const char *tag)
{
    char text[64] = "";
    struct stat st;
    autoclose int fd = open(lock, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0 || read(fd, text, sizeof text - 1) < 0)
        return false;
    return strstr(text, tag) || clock_wall_s() - st.st_mtime > LOCK_STALE_S;
}

/* Where a file system knows no links (FAT, some on a network): the name alone, which two cannot make. */
static enum err make_dot_lock(const char *lock, struct slice text, bool *out_taken)
{
    autoclose int fd = open(lock, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST ? ERR_OK : err_from_errno(errno);
    enum err e = file_write(fd, text);
    if (e)
        (void)unlink(lock);
    *out_taken = e == ERR_OK;
    return e;
}

static enum err link_dot_lock(
    const char *fresh, const char *lock, struct slice text, bool *out_taken)
{
    autoclose int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) { /* where none can be made, as in /var/mail, fcntl has to do */
        *out_taken = errno == EACCES || errno == EROFS || errno == EPERM;
        return *out_taken ? ERR_OK : err_from_errno(errno);
    }
    TRY(file_write(fd, text));
    if (linkat(AT_FDCWD, fresh, AT_FDCWD, lock, 0) == 0) {
        *out_taken = true;
        return ERR_OK;
    }
    if (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS)
        return make_dot_lock(lock, text, out_taken);
    return errno == EEXIST ? ERR_OK : err_from_errno(errno);
}

/* Written beside it and linked to its name, so that a lock always says whose it is. An error is one of the disk, with errno; *out_taken false: somebody else has it. */
static enum err take_dot_lock(const char *lock, const char *tag, bool *out_taken)
{
    autofree char *fresh = NULL;
    char text[64];
    int len = snprintf(text, sizeof text, "%d\nbarid %s\n", (int)getpid(), tag);
    *out_taken = false;
    if (asprintf(&fresh, "%s.%s", lock, tag) < 0)
        return ERR_IO;
    enum err e = link_dot_lock(fresh, lock, slice_from(text, (size_t)len), out_taken);
    int failed = errno;
    (void)unlink(fresh);
    if (!e && !*out_taken && is_left_over(lock, tag))
        (void)unlink(lock);
    errno = failed;
    return e;
}

static bool take_fcntl_lock(int fd)
{
    struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    return fcntl(fd, F_SETLK, &all) == 0;
}

static enum err is_locked(const char *path, struct client_failure *failure)
{
    (void)err_noted(&failure->note, ERR_BUSY, "%s is locked by another program", path);
    return client_failed(failure, CLIENT_WHY_DISK, ERR_BUSY);
}

static enum err wait_for_dot_lock(
    struct mbox *mbox, const char *tag, struct client_failure *failure)
{
    autofree char *lock = NULL;
    int64_t until_ms = clock_mono_ms() + LOCK_WAIT_MS;
    if (asprintf(&lock, "%s.lock", mbox->path) < 0)
        return client_failed(failure, CLIENT_WHY_DISK, ERR_IO);
    for (bool taken = false;;) {
        if (take_dot_lock(lock, tag, &taken))
            return fetch_disk_failed(failure, lock, errno);
        if (taken)
            break;
        if (clock_mono_ms() > until_ms)
            return is_locked(mbox->path, failure);
        nanosleep(&lock_pause, NULL);
    }
    mbox->lock = mem_strdup(lock); /* from here on it is ours */
    return ERR_OK;
}

static enum err mbox_open(
    struct mbox *mbox, const char *path, const char *tag, struct client_failure *failure)
{
    struct stat st;
    *mbox = (struct mbox){ .path = path, .fd = -1 };
    mbox->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    if (mbox->fd < 0 || fstat(mbox->fd, &st) < 0)
        return fetch_disk_failed(failure, path, errno);
    if (!S_ISREG(st.st_mode))
        return fetch_disk_failed(failure, path, EISDIR);
    TRY(wait_for_dot_lock(mbox, tag, failure));
    for (int64_t until_ms = clock_mono_ms() + LOCK_WAIT_MS; !take_fcntl_lock(mbox->fd);) {
        if (clock_mono_ms() > until_ms)
            return is_locked(path, failure);
        nanosleep(&lock_pause, NULL);
    }
    return ERR_OK;
}

/* ---- appending ---- */

static enum err copy_all(int from, int to, uint64_t offset, uint64_t bytes)
{
    char block[COPY_BYTES];
    for (uint64_t at = 0; at < bytes;) {
        ssize_t got = pread(from, block, sizeof block, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? err_from_errno(errno) : ERR_CORRUPT;
        for (ssize_t done = 0; done < got;) {
            ssize_t wrote =
                pwrite(to, block + done, (size_t)(got - done), (off_t)(offset + at) + done);
            if (wrote < 0 && errno != EINTR)
                return err_from_errno(errno);
            done += wrote > 0 ? wrote : 0;
        }
        at += (uint64_t)got;
    }
    return ERR_OK;
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash > path ? mem_strndup(path, (size_t)(slash - path)) : mem_strdup("/");
}

/* What stands from offset on; of a new mbox the name too. A folder that may not be read is left to the system. */
static enum err sync_mbox(const struct mbox *mbox, uint64_t offset)
{
    if (fsync(mbox->fd) < 0)
        return err_from_errno(errno);
    if (offset > 0)
        return ERR_OK;
    autofree char *folder = folder_of(mbox->path);
    autoclose int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) == 0 ? ERR_OK : err_from_errno(errno);
}

/* Appends the batch at offset; on failure the mbox is as long as it was. */
static enum err append(
    struct mbox *mbox, int batch, uint64_t offset, struct client_failure *failure)
{
    struct stat st;
    if (fstat(batch, &st) < 0)
        return fetch_disk_failed(failure, mbox->path, errno);
    enum err e = copy_all(batch, mbox->fd, offset, (uint64_t)st.st_size);
    if (!e)
        e = sync_mbox(mbox, offset);
    if (!e)
        return ERR_OK;
    int failed = errno;
    if (ftruncate(mbox->fd, (off_t)offset) == 0)
        (void)fsync(mbox->fd);
    return fetch_disk_failed(failure, mbox->path, failed);
}

/* Where the next message goes: behind a line end and an empty line, which a program that was cut off may have left out. What has no "From " at a line start would be part of
 * the message before. */
static enum err find_end(struct mbox *mbox, uint64_t *out_offset, struct client_failure *failure)
{
    struct stat st;
    char last[2] = "\n\n";
    if (fstat(mbox->fd, &st) < 0)
        return fetch_disk_failed(failure, mbox->path, errno);
    off_t from = st.st_size > 2 ? st.st_size - 2 : 0;
    size_t len = (size_t)(st.st_size - from);
    if (len > 0 && pread(mbox->fd, last + 2 - len, len, from) != (ssize_t)len)
        return fetch_disk_failed(failure, mbox->path, errno);
    size_t missing = last[1] != '\n' ? 2 : last[0] != '\n';
    *out_offset = (uint64_t)st.st_size + missing;
    if (missing == 0 || pwrite(mbox->fd, "\n\n", missing, st.st_size) == (ssize_t)missing)
        return ERR_OK;
    int failed = errno;
    (void)!ftruncate(mbox->fd, st.st_size);
    return fetch_disk_failed(failure, mbox->path, failed);
}

/* How many of the batch's bytes stand at offset, up to the first that differs or the end of the mbox. */
static enum err same_bytes(int mbox, int batch, uint64_t offset, uint64_t *out_bytes)
{
    char a[COPY_BYTES], b[COPY_BYTES];
    uint64_t at = 0;
    for (;;) {
        ssize_t want = pread(batch, a, sizeof a, (off_t)at);
        ssize_t got = want > 0 ? pread(mbox, b, (size_t)want, (off_t)(offset + at)) : 0;
        if (want < 0 || got < 0)
            return err_from_errno(errno);
        ssize_t same = 0;
        while (same < got && a[same] == b[same])
            same++;
        at += (uint64_t)same;
        if (want == 0 || same < want)
            break;
    }
    *out_bytes = at;
    return ERR_OK;
}

/* ---- after a crash ---- */

static enum err finish_append(
    struct mbox *mbox, int batch, uint64_t offset, struct client_failure *failure)
{
    struct stat st, whole;
    uint64_t same = 0;
    if (fstat(mbox->fd, &st) < 0 || fstat(batch, &whole) < 0 ||
        same_bytes(mbox->fd, batch, offset, &same))
        return fetch_disk_failed(failure, mbox->path, errno);
    if (same == (uint64_t)whole.st_size && same > 0)
        return sync_mbox(mbox, offset) ? fetch_disk_failed(failure, mbox->path, errno) : ERR_OK;
    if (offset + same == (uint64_t)st.st_size)
        return append(mbox, batch, offset, failure);
    /* somebody else wrote behind, or rewrote it: our part may be there, and may be not. Twice is better than never */
    TRY(find_end(mbox, &offset, failure));
    return append(mbox, batch, offset, failure);
}

enum err fetch_mbox_recover(struct fetch_drop *drop, bool *out_lost, struct client_failure *failure)
{
    char path[4096], offset_text[32];
    uint64_t offset = 0;
    enum err e = fetch_state_text(drop->state, PATH_NAME, path, sizeof path);
    if (!e)
        e = fetch_state_text(drop->state, OFFSET_NAME, offset_text, sizeof offset_text);
    if (e)
        return fetch_state_failed(failure, drop->state, e);
    autofree char *batch_name = batch_path(drop);
    autoclose int batch = batch_name ? open(batch_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    *out_lost = batch_name && batch < 0 && errno == ENOENT;
    if (*out_lost)
        return ERR_OK;
    if (batch < 0)
        return fetch_disk_failed(failure, batch_name ? batch_name : "mbox.batch", errno);
    if (!path[0] || slice_to_u64(slice_of(offset_text), INT64_MAX, &offset))
        return client_failed(failure, CLIENT_WHY_STATE, ERR_CORRUPT);
    struct mbox mbox;
    e = mbox_open(&mbox, path, fetch_state_tag(drop->state), failure);
    if (!e)
        e = finish_append(&mbox, batch, offset, failure);
    mbox_close(&mbox);
    return e;
}

/* ---- messages ---- */

static enum err mbox_drop_open(struct fetch_drop *drop, struct client_failure *failure)
{
    autofree char *path = batch_path(drop), *folder = folder_of(drop->account->deliver_mbox);
    if (!path)
        return client_failed(failure, CLIENT_WHY_DISK, ERR_IO);
    if (access(folder, F_OK) < 0) /* said before everything has come for nothing */
        return fetch_disk_failed(failure, folder, errno);
    drop->batch_fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (drop->batch_fd < 0)
        return fetch_disk_failed(failure, path, errno);
    drop->writer.format = FETCH_FORMAT_MBOXRD;
    return fetch_sync_folder(drop->state_folder, failure);
}

static enum err mbox_begin(
    struct fetch_drop *drop, struct fetch_item *item, struct client_failure *failure)
{
    char line[64];
    struct tm now;
    time_t now_s = (time_t)clock_wall_s();
    off_t at = lseek(drop->batch_fd, 0, SEEK_END);
    item->path = mem_strdup(drop->account->deliver_mbox);
    if (at < 0)
        return fetch_disk_failed(failure, item->path, errno);
    drop->item_start = (uint64_t)at;
    fetch_writer_begin(&drop->writer, drop->batch_fd);
    size_t len = strftime(
        line, sizeof line, "From MAILER-DAEMON %a %b %e %H:%M:%S %Y\n", gmtime_r(&now_s, &now));
    return fetch_writer_raw(&drop->writer, slice_from(line, len))
               ? fetch_disk_failed(failure, item->path, errno)
               : ERR_OK;
}

/* An empty line ends a message of an mbox. */
static enum err mbox_end(struct fetch_drop *drop, struct fetch_item *item, bool *out_refused,
    struct client_failure *failure)
{
    (void)out_refused;
    if (fetch_writer_raw(&drop->writer, SLICE("\n")) || fetch_writer_end(&drop->writer))
        return fetch_disk_failed(failure, item->path, errno);
    return ERR_OK;
}

static enum err record_and_append(
    struct fetch_drop *drop, struct mbox *mbox, struct client_failure *failure)
{
    char offset_text[32];
    uint64_t offset = 0;
    TRY(find_end(mbox, &offset, failure));
    (void)snprintf(offset_text, sizeof offset_text, "%" PRIu64, offset);
    enum err e = fetch_state_text_set(drop->state, OFFSET_NAME, offset_text);
    if (!e)
        e = fetch_state_text_set(drop->state, PATH_NAME, mbox->path);
    if (e)
        return fetch_state_failed(failure, drop->state, e);
    TRY(fetch_drop_record(drop, mbox->path, failure));
    TRY(append(mbox, drop->batch_fd, offset, failure));
    TRY(fetch_drop_arrived(drop, failure));
    /* the next batch overwrites the file that a crash would need */
    if ((e = fetch_state_commit(drop->state)) != ERR_OK)
        return fetch_state_failed(failure, drop->state, e);
    return ERR_OK;
}

static enum err mbox_flush(struct fetch_drop *drop, struct client_failure *failure)
{
    const char *path = drop->account->deliver_mbox;
    struct mbox mbox;
    if (drop->batch_broken || fsync(drop->batch_fd) < 0)
        return fetch_disk_failed(failure, path, drop->batch_broken ? EIO : errno);
    enum err e = mbox_open(&mbox, path, fetch_state_tag(drop->state), failure);
    if (!e)
        e = record_and_append(drop, &mbox, failure);
    mbox_close(&mbox);
    TRY(e);
    if (ftruncate(drop->batch_fd, 0) < 0)
        return fetch_disk_failed(failure, path, errno);
    return ERR_OK;
}

static void mbox_drop_last(struct fetch_drop *drop)
{
    struct fetch_record record = { .known = FETCH_UNKNOWN };
    const struct fetch_item *item = &drop->items[drop->count - 1];
    if (!drop->open ||
        (!fetch_state_get(drop->state, slice_from(item->key, item->key_len), &record) &&
            record.known == FETCH_ARRIVING))
        return; /* whole ones that were not flushed go with the batch; recorded ones are kept for the next run */
    if (ftruncate(drop->batch_fd, (off_t)drop->item_start) < 0)
        drop->batch_broken = true;
}

const struct fetch_drop_ops fetch_drop_mbox = {
    .open = mbox_drop_open,
    .begin = mbox_begin,
    .end = mbox_end,
    .flush = mbox_flush,
    .drop_last = mbox_drop_last,
};
