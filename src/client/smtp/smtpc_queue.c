/* Files of the queue. */
#include "client/smtp/smtpc_queue.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/rand.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STALE_S   3600 /* what has no record by then was left by a process that died */
#define NAME_MAX_ (SMTPC_ID_CHARS + 8)

static enum err failed(struct err_note *note, const char *what, int errno_value)
{
    enum err e = err_from_errno(errno_value);
    return err_noted(note, e, "the queue: %s: %s", what, strerror(errno_value));
}

static void name_of(const char *id, const char *end, char out[NAME_MAX_])
{
    (void)snprintf(out, NAME_MAX_, "%.*s%s", (int)SMTPC_ID_CHARS, id, end);
}

bool smtpc_id_ok(const char *id)
{
    size_t len = strlen(id);
    return len > 0 && len <= SMTPC_ID_CHARS && strspn(id, "0123456789abcdef-") == len;
}

/* ---- opening ---- */

enum err smtpc_queue_open(
    const char *state_folder, struct smtpc_queue *out_queue, struct err_note *note)
{
    autofree char *path = NULL;
    if (asprintf(&path, "%s/queue", state_folder) < 0)
        return ERR_IO;
    bool made = mkdir(path, 0700) == 0;
    if (!made && errno != EEXIST)
        return failed(note, path, errno);
    autoclose int above = made ? open(state_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (made && (above < 0 || fsync(above) < 0)) {
        int why = errno;
        (void)rmdir(path); /* who comes next makes it and syncs */
        return failed(note, path, why);
    }
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return failed(note, path, errno);
    *out_queue = (struct smtpc_queue){ .folder = folder, .lock = -1 };
    return ERR_OK;
}

void smtpc_queue_close(struct smtpc_queue *queue)
{
    if (queue->lock >= 0)
        close(queue->lock);
    if (queue->folder >= 0)
        close(queue->folder);
    *queue = (struct smtpc_queue){ .folder = -1, .lock = -1 };
}

static bool ends_with(const char *name, const char *end)
{
    size_t len = strlen(name), end_len = strlen(end);
    return len > end_len && strcmp(name + len - end_len, end) == 0;
}

static bool is_old(struct smtpc_queue *queue, const char *name)
{
    struct stat st;
    return fstatat(queue->folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           clock_wall_s() - st.st_mtime > STALE_S;
}

/* Who writes a message holds its lock until it has a record, however long the program takes that gives it. */
static bool is_being_written(struct smtpc_queue *queue, const char *name)
{
    autoclose int fd = openat(queue->folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0;
}

static bool has_record(struct smtpc_queue *queue, const char *message_name)
{
    char name[NAME_MAX_];
    name_of(message_name, "", name);
    char *dot = strrchr(name, '.');
    if (!dot)
        return true;
    memcpy(dot, ".rec", 5);
    return faccessat(queue->folder, name, F_OK, 0) == 0;
}

/* A folder of its own for readdir: each has its place. */
static DIR *list_folder(struct smtpc_queue *queue)
{
    int fd = openat(queue->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir && fd >= 0)
        close(fd);
    return dir;
}

/* In this order: who has let go of the lock has named the record before. */
static bool is_left_over(struct smtpc_queue *queue, const char *name)
{
    bool message = ends_with(name, ".msg") && strlen(name) < NAME_MAX_;
    if (!message && !ends_with(name, ".new") && !ends_with(name, ".draft"))
        return false;
    return is_old(queue, name) && !is_being_written(queue, name) &&
           !(message && has_record(queue, name));
}

static void sweep(struct smtpc_queue *queue)
{
    DIR *dir = list_folder(queue);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (is_left_over(queue, entry->d_name))
            (void)unlinkat(queue->folder, entry->d_name, 0);
    if (dir)
        closedir(dir);
}

enum err smtpc_queue_lock(struct smtpc_queue *queue, int wait_ms, struct err_note *note)
{
    struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
    int64_t until_ms = clock_mono_ms() + wait_ms;
    queue->lock = openat(queue->folder, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (queue->lock < 0)
        return failed(note, "lock", errno);
    while (flock(queue->lock, LOCK_EX | LOCK_NB) < 0) {
        if (clock_mono_ms() > until_ms) {
            close(queue->lock);
            queue->lock = -1;
            return err_noted(note, ERR_BUSY, "another process works on the queue");
        }
        nanosleep(&pause, NULL);
    }
    sweep(queue);
    return ERR_OK;
}

/* ---- adding ---- */

enum err smtpc_draft_begin(
    struct smtpc_queue *queue, struct smtpc_draft *out_draft, struct err_note *note)
{
    struct smtpc_draft draft;
    char name[NAME_MAX_];
    uint32_t random;
    rand_bytes(&random, sizeof random);
    (void)snprintf(draft.id, sizeof draft.id, "%08" PRIx64 "-%08" PRIx32,
        (uint64_t)clock_wall_s() & UINT64_C(0xfffffffff), random);
    name_of(draft.id, ".draft", name);
    draft.fd =
        openat(queue->folder, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (draft.fd < 0)
        return failed(note, name, errno);
    if (flock(draft.fd, LOCK_EX | LOCK_NB) < 0) {
        enum err e = failed(note, name, errno);
        smtpc_draft_drop(queue, &draft);
        return e;
    }
    *out_draft = draft;
    return ERR_OK;
}

void smtpc_draft_drop(struct smtpc_queue *queue, struct smtpc_draft *draft)
{
    char name[NAME_MAX_];
    name_of(draft->id, ".draft", name);
    (void)unlinkat(queue->folder, name, 0);
    if (draft->fd >= 0)
        close(draft->fd);
    draft->fd = -1;
}

static enum err write_whole(int fd, struct slice bytes)
{
    while (bytes.len) {
        ssize_t wrote = write(fd, bytes.ptr, bytes.len);
        if (wrote < 0 && errno != EINTR)
            return err_from_errno(errno);
        if (wrote > 0)
            bytes = slice_from_index(bytes, (size_t)wrote);
    }
    return fsync(fd) < 0 ? err_from_errno(errno) : ERR_OK;
}

enum err smtpc_queue_write(struct smtpc_queue *queue, const char *id,
    const struct smtpc_record *record, struct err_note *note)
{
    char fresh[NAME_MAX_], name[NAME_MAX_];
    struct buf text;
    name_of(id, ".new", fresh);
    name_of(id, ".rec", name);
    buf_init(&text, 0);
    smtpc_record_write(record, &text);
    autoclose int fd =
        openat(queue->folder, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    enum err e = fd < 0 ? err_from_errno(errno) : write_whole(fd, buf_slice(&text));
    buf_done(&text);
    if (!e && (renameat(queue->folder, fresh, queue->folder, name) < 0 || fsync(queue->folder) < 0))
        e = err_from_errno(errno);
    return e ? failed(note, name, errno) : ERR_OK;
}

/* The record first, which may be named though its folder could not be synced. */
static void forget(struct smtpc_queue *queue, const char *id)
{
    static const char *const ends[] = { ".new", ".rec", ".msg" };
    char name[NAME_MAX_];
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        name_of(id, ends[i], name);
        (void)unlinkat(queue->folder, name, 0);
    }
}

enum err smtpc_draft_add(struct smtpc_queue *queue, struct smtpc_draft *draft,
    const struct smtpc_record *record, struct err_note *note)
{
    char from[NAME_MAX_], to[NAME_MAX_];
    enum err e = ERR_OK;
    name_of(draft->id, ".draft", from);
    name_of(draft->id, ".msg", to);
    if (fsync(draft->fd) < 0 || renameat(queue->folder, from, queue->folder, to) < 0 ||
        fsync(queue->folder) < 0)
        e = failed(note, to, errno);
    if (!e) {
        e = smtpc_queue_write(queue, draft->id, record, note);
        if (e)
            forget(queue, draft->id);
    }
    if (e)
        smtpc_draft_drop(queue, draft);
    else
        close(draft->fd);
    draft->fd = -1;
    return e;
}

/* ---- reading ---- */

static int by_id(const void *a, const void *b)
{
    return strcmp(a, b);
}

enum err smtpc_queue_ids(
    struct smtpc_queue *queue, struct smtpc_ids *out_ids, struct err_note *note)
{
    struct smtpc_ids ids = { .all = NULL };
    DIR *dir = list_folder(queue);
    if (!dir)
        return failed(note, "folder", errno);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char id[NAME_MAX_];
        if (!ends_with(entry->d_name, ".rec") || strlen(entry->d_name) >= sizeof id)
            continue;
        (void)snprintf(id, sizeof id, "%.*s", (int)strlen(entry->d_name) - 4, entry->d_name);
        if (!smtpc_id_ok(id))
            continue;
        ids.all = mem_realloc(ids.all, (ids.count + 1) * sizeof *ids.all);
        memcpy(ids.all[ids.count++], id, strlen(id) + 1);
    }
    closedir(dir);
    if (ids.count > 0)
        qsort(ids.all, ids.count, sizeof *ids.all, by_id);
    *out_ids = ids;
    return ERR_OK;
}

enum err smtpc_queue_read(struct smtpc_queue *queue, const char *id,
    struct smtpc_record *out_record, struct err_note *note)
{
    char name[NAME_MAX_];
    struct err_note why = { "" };
    struct buf text;
    enum err e = ERR_OK;
    name_of(id, ".rec", name);
    autoclose int fd =
        smtpc_id_ok(id) ? openat(queue->folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (fd < 0 && smtpc_id_ok(id) && errno != ENOENT)
        return failed(note, name, errno);
    if (fd < 0)
        return err_noted(note, ERR_NOT_FOUND, "the queue has no %s", id);
    buf_init(&text, SMTPC_RECORD_BYTES_MAX + 65536);
    for (ssize_t got = 1; !e && got > 0;) {
        char *to = buf_room(&text, 65536);
        got = to ? read(fd, to, 65536) : -1;
        if (got < 0)
            e = failed(note, name, to ? errno : EFBIG);
        else
            buf_wrote(&text, (size_t)got);
    }
    if (!e && smtpc_record_parse(buf_slice(&text), out_record, &why))
        e = err_noted(note, ERR_CORRUPT, "the queue: %s: %s", name, why.text);
    buf_done(&text);
    return e;
}

enum err smtpc_queue_message(
    struct smtpc_queue *queue, const char *id, uint64_t bytes, int *out_fd, struct err_note *note)
{
    char name[NAME_MAX_];
    struct stat st;
    name_of(id, ".msg", name);
    int fd = openat(queue->folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    enum err e = fd < 0 || fstat(fd, &st) < 0 ? failed(note, name, errno) : ERR_OK;
    if (!e && (uint64_t)st.st_size < bytes)
        e = err_noted(
            note, ERR_CORRUPT, "the queue: %s: %s", name, err_in("it is shorter than it was"));
    if (e && fd >= 0)
        close(fd);
    else if (!e)
        *out_fd = fd;
    return e;
}

enum err smtpc_queue_remove(struct smtpc_queue *queue, const char *id, struct err_note *note)
{
    char record[NAME_MAX_], message[NAME_MAX_];
    name_of(id, ".rec", record);
    name_of(id, ".msg", message);
    if (!smtpc_id_ok(id) || unlinkat(queue->folder, record, 0) < 0)
        return errno == ENOENT || !smtpc_id_ok(id)
                   ? err_noted(note, ERR_NOT_FOUND, "the queue has no %s", id)
                   : failed(note, record, errno);
    /* without its record it is nothing */
    (void)unlinkat(queue->folder, message, 0);
    return fsync(queue->folder) < 0 ? failed(note, record, errno) : ERR_OK;
}
