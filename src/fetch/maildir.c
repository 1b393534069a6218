/* Maildir: a message is written in tmp and renamed into new (the format of qmail's maildir(5)). Names are unique by time, process, serial and the tag of
 * the account; by the tag what an interrupted run left in tmp is known again. */
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/dir.h"
#include "fetch/drop_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- names ---- */

/* "/" and ":" mean something in names of Maildir. */
static void choose_host(struct fetch_drop *drop)
{
    char name[64] = "";
    if (gethostname(name, sizeof name - 1) < 0 || !name[0])
        memcpy(name, "localhost", sizeof "localhost");
    size_t len = 0;
    for (size_t i = 0; name[i] && len + 5 < sizeof drop->host; i++) {
        bool bad = name[i] == '/' || name[i] == ':' || name[i] <= ' ';
        len += (size_t)snprintf(drop->host + len, sizeof drop->host - len, bad ? "\\%03o" : "%c",
            (unsigned char)name[i]);
    }
}

static char *name_of(struct fetch_drop *drop)
{
    char *path = NULL;
    int64_t now_ms = clock_wall_ms();
    if (asprintf(&path, "%s/tmp/%" PRId64 ".M%03" PRId64 "P%dQ%uB%s.%s", drop->account->maildir,
            now_ms / 1000, now_ms % 1000, (int)getpid(), drop->serial++,
            fetch_state_tag(drop->state), drop->host) < 0)
        return NULL;
    return path;
}

/* ".../tmp/NAME" as ".../new/NAME". */
static char *final_name(const char *path)
{
    char *to = mem_strdup(path), *slash = strrchr(to, '/');
    if (slash && slash - to >= 4)
        memcpy(slash - 3, "new", 3);
    return to;
}

/* ---- after a crash ---- */

static void tag_in_names(const struct fetch_state *state, char out[FETCH_TAG_CHARS + 3])
{
    (void)snprintf(out, FETCH_TAG_CHARS + 3, "B%s.", fetch_state_tag(state));
}

bool fetch_maildir_owns(const struct fetch_state *state, const char *path)
{
    char tag[FETCH_TAG_CHARS + 3];
    const char *slash = strrchr(path, '/');
    tag_in_names(state, tag);
    return slash && slash - path >= 4 && strncmp(slash - 4, "/tmp", 4) == 0 && strstr(slash, tag);
}

/* F-1: it is whole. Its name is in tmp yet; or it was renamed, and a mail program may have moved it on. With no tmp at all the place is gone: its disk is not mounted, or
 * somebody has moved it. */
enum err fetch_maildir_recover(const char *path, bool *out_lost, struct client_failure *failure)
{
    autofree char *to = final_name(path), *folder = mem_strdup(to), *tmp = mem_strdup(path);
    *strrchr(folder, '/') = '\0';
    *strrchr(tmp, '/') = '\0';
    *out_lost = access(tmp, F_OK) < 0 && errno == ENOENT;
    if (*out_lost)
        return ERR_OK;
    if (access(path, F_OK) == 0 && dir_make_path(folder))
        return fetch_disk_failed(failure, folder, errno);
    if (rename(path, to) < 0 && (errno != ENOENT || access(path, F_OK) == 0))
        return fetch_disk_failed(failure, to, errno);
    return access(folder, F_OK) == 0 ? fetch_sync_folder(folder, failure) : ERR_OK;
}

/* What was cut off, and is not recorded as arriving. */
static void sweep_tmp(struct fetch_drop *drop)
{
    autofree char *folder = NULL;
    char tag[FETCH_TAG_CHARS + 3];
    tag_in_names(drop->state, tag);
    if (asprintf(&folder, "%s/tmp", drop->account->maildir) < 0)
        return;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (strstr(entry->d_name, tag))
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
}

static enum err maildir_open(struct fetch_drop *drop, struct client_failure *failure)
{
    static const char *const names[] = { "tmp", "new", "cur" };
    for (size_t i = 0; i < 3; i++) {
        autofree char *path = NULL;
        if (asprintf(&path, "%s/%s", drop->account->maildir, names[i]) < 0)
            return client_failed(failure, CLIENT_WHY_DISK, ERR_IO);
        if (dir_make_path(path))
            return fetch_disk_failed(failure, path, errno);
    }
    choose_host(drop);
    drop->writer.format = FETCH_FORMAT_LF;
    sweep_tmp(drop);
    return ERR_OK;
}

/* ---- messages ---- */

static enum err maildir_begin(
    struct fetch_drop *drop, struct fetch_item *item, struct client_failure *failure)
{
    item->path = name_of(drop);
    if (!item->path)
        return client_failed(failure, CLIENT_WHY_DISK, ERR_IO);
    item->fd = open(item->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (item->fd < 0)
        return fetch_disk_failed(failure, item->path, errno);
    fetch_writer_begin(&drop->writer, item->fd);
    return ERR_OK;
}

/* The disk begins now; the batch then waits for less. */
static enum err maildir_end(struct fetch_drop *drop, struct fetch_item *item, bool *out_refused,
    struct client_failure *failure)
{
    (void)drop;
    (void)out_refused;
    (void)failure;
    (void)sync_file_range(item->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    return ERR_OK;
}

static enum err maildir_flush(struct fetch_drop *drop, struct client_failure *failure)
{
    autofree char *tmp = NULL, *new = NULL;
    if (asprintf(&tmp, "%s/tmp", drop->account->maildir) < 0 ||
        asprintf(&new, "%s/new", drop->account->maildir) < 0)
        return client_failed(failure, CLIENT_WHY_DISK, ERR_IO);
    for (size_t i = 0; i < drop->count; i++) {
        struct fetch_item *item = &drop->items[i];
        if (fsync(item->fd) < 0)
            return fetch_disk_failed(failure, item->path, errno);
        int failed = close(item->fd);
        item->fd = -1;
        if (failed)
            return fetch_disk_failed(failure, item->path, errno);
    }
    TRY(fetch_sync_folder(tmp, failure));
    TRY(fetch_drop_record(drop, NULL, failure));
    for (size_t i = 0; i < drop->count; i++) {
        autofree char *to = final_name(drop->items[i].path);
        if (rename(drop->items[i].path, to) < 0)
            return fetch_disk_failed(failure, to, errno);
    }
    TRY(fetch_sync_folder(new, failure));
    return fetch_drop_arrived(drop, failure);
}

static void maildir_drop_last(struct fetch_drop *drop)
{
    const struct fetch_item *item = &drop->items[drop->count - 1];
    /* one that is recorded as arriving stays: the next run puts it in place */
    struct fetch_record record = { .known = FETCH_UNKNOWN };
    if (item->path &&
        !fetch_state_get(drop->state, slice_from(item->key, item->key_len), &record) &&
        record.known != FETCH_ARRIVING)
        (void)unlink(item->path);
}

const struct fetch_drop_ops fetch_drop_maildir = {
    .open = maildir_open,
    .begin = maildir_begin,
    .end = maildir_end,
    .flush = maildir_flush,
    .drop_last = maildir_drop_last,
};
