#include "bin/backup_files.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BYTES (1u << 20)

static enum err copy_bytes(int from, int to, uint64_t *bytes)
{
    bool by_kernel = true;
    autofree char *piece = NULL;
    for (;;) {
        ssize_t got;
        if (by_kernel) {
            got = copy_file_range(from, NULL, to, NULL, COPY_BYTES, 0);
            if (got < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS ||
                               errno == EOPNOTSUPP || errno == EBADF)) {
                by_kernel = false; /* between these two file systems it does not go */
                piece = mem_alloc(COPY_BYTES);
                continue;
            }
        } else {
            got = read(from, piece, COPY_BYTES);
            for (ssize_t done = 0; done < got;) {
                ssize_t wrote = write(to, piece + done, (size_t)(got - done));
                if (wrote < 0 && errno != EINTR)
                    return err_from_errno(errno);
                done += wrote > 0 ? wrote : 0;
            }
        }
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_from_errno(errno);
        if (got == 0)
            return ERR_OK;
        *bytes += (uint64_t)got;
    }
}

enum err backup_copy_file(int from_dir, int to_dir, const char *name, uint64_t *bytes)
{
    autoclose int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (from < 0)
        return err_from_errno(errno);
    autoclose int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (to < 0)
        return err_from_errno(errno);
    return copy_bytes(from, to, bytes);
}

/* ---- big/ ---- */

typedef enum err file_fn(void *fn_arg, int from_dir, const char *name);

static enum err each_file(int dir_fd, const char *folder, file_fn *fn, void *fn_arg)
{
    DIR *dir;
    enum err e = dir_open(dir_fd, folder, &dir);
    if (e != ERR_OK)
        return e;
    const struct dirent *entry;
    while (e == ERR_OK && (entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            e = fn(fn_arg, dirfd(dir), entry->d_name);
    closedir(dir);
    return e;
}

struct copying {
    int old_big, to_big;
    uint64_t *bytes;
    size_t *unread;
};

static bool link_same(const struct copying *c, int from_dir, const char *name)
{
    struct stat a, b;
    return c->old_big >= 0 && fstatat(from_dir, name, &a, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstatat(c->old_big, name, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_size == b.st_size &&
           linkat(c->old_big, name, c->to_big, name, 0) == 0;
}

static enum err copy_big_file(void *copying_arg, int from_dir, const char *name)
{
    const struct copying *c = copying_arg;
    /* Such a file never changes, so the name and the size say enough. */
    if (link_same(c, from_dir, name))
        return ERR_OK;
    enum err e = backup_copy_file(from_dir, c->to_big, name, c->bytes);
    if (e == ERR_IO) { /* a disk that cannot read this one may read the others */
        (void)unlinkat(c->to_big, name, 0);
        ++*c->unread;
        return ERR_OK;
    }
    return e == ERR_NOT_FOUND ? ERR_OK : e; /* nothing named it any more */
}

static enum err make_big(int to_dir, int *out_fd)
{
    if (mkdirat(to_dir, "big", 0700) != 0)
        return err_from_errno(errno);
    *out_fd = openat(to_dir, "big", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *out_fd < 0 ? err_from_errno(errno) : ERR_OK;
}

enum err backup_copy_big(int from_dir, int old_dir, int to_dir, uint64_t *bytes, size_t *out_unread)
{
    *out_unread = 0;
    autoclose int to_big = -1;
    autoclose int old_big =
        old_dir < 0 ? -1 : openat(old_dir, "big", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    TRY(make_big(to_dir, &to_big));
    struct copying copying = {
        .old_big = old_big, .to_big = to_big, .bytes = bytes, .unread = out_unread
    };
    return each_file(from_dir, "big", copy_big_file, &copying);
}

static enum err link_file(void *to_arg, int from_dir, const char *name)
{
    return linkat(from_dir, name, *(const int *)to_arg, name, 0) == 0 ? ERR_OK
                                                                      : err_from_errno(errno);
}

enum err backup_link_account(int old_dir, int to_dir)
{
    autoclose int to_big = -1;
    TRY(make_big(to_dir, &to_big));
    TRY(link_file(&to_dir, old_dir, "mail.db"));
    return each_file(old_dir, "big", link_file, &to_big);
}

/* ---- whose files they are ---- */

/* By descriptor, so that nobody who may write in them leads root elsewhere. What is owned rightly is left alone. levels: of folders below it whose entries
 * are given too. */
static enum err give(int parent_fd, const char *name, const struct stat *owner, int levels)
{
    struct stat st;
    if (fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? ERR_OK : err_from_errno(errno);
    bool ours = st.st_uid == owner->st_uid && st.st_gid == owner->st_gid;
    if (!ours && fchownat(parent_fd, name, owner->st_uid, owner->st_gid, AT_SYMLINK_NOFOLLOW) != 0)
        return err_from_errno(errno);
    if (!S_ISDIR(st.st_mode) || levels == 0)
        return ERR_OK;
    DIR *dir;
    enum err e = dir_open(parent_fd, name, &dir);
    if (e != ERR_OK)
        return e;
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        enum err inner = give(dirfd(dir), entry->d_name, owner, levels - 1);
        e = inner == ERR_OK ? e : inner;
    }
    closedir(dir);
    return e;
}

/* The data folder may be a symbolic link: its path comes from the configuration. What lies below it may not. */
static enum err open_data(const char *data_dir, int *out_fd, struct stat *out_owner)
{
    *out_fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*out_fd < 0 || fstat(*out_fd, out_owner) != 0)
        return err_from_errno(errno);
    return ERR_OK;
}

enum err backup_give_tree(const char *data_dir, const char *path)
{
    struct stat owner;
    autoclose int data = -1;
    if (geteuid() != 0)
        return ERR_OK;
    TRY(open_data(data_dir, &data, &owner));
    return give(data, path, &owner, DIR_DEPTH_MAX);
}

enum err backup_give_account(const char *data_dir, const char *id)
{
    struct stat owner;
    char path[64];
    autoclose int data = -1;
    if (geteuid() != 0)
        return ERR_OK;
    TRY(open_data(data_dir, &data, &owner));
    TRY(give(data, ".", &owner, 1));
    (void)snprintf(path, sizeof path, "accounts/%s", id);
    return give(data, path, &owner, DIR_DEPTH_MAX);
}
