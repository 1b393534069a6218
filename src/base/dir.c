#include "base/dir.h"

#include "base/arena.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum err dir_open(int parent_fd, const char *name, DIR **out_dir)
{
    int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    *out_dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (*out_dir)
        return ERR_OK;
    int problem = errno;
    if (fd >= 0)
        close(fd);
    return problem == ENOTDIR || problem == ELOOP ? ERR_DENIED : err_from_errno(problem);
}

static enum err empty(int parent_fd, const char *name, int depth)
{
    DIR *dir;
    enum err e = dir_open(parent_fd, name, &dir);
    if (e != ERR_OK)
        return e;
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(dir), entry->d_name, 0) == 0)
            continue;
        enum err inner = errno == EISDIR && depth > 0 ? empty(dirfd(dir), entry->d_name, depth - 1)
                                                      : err_from_errno(errno);
        if (inner == ERR_OK && unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR) != 0)
            inner = err_from_errno(errno);
        if (inner != ERR_OK)
            e = inner;
    }
    closedir(dir);
    return e;
}

enum err dir_empty(int parent_fd, const char *name)
{
    return empty(parent_fd, name, DIR_DEPTH_MAX);
}

enum err dir_remove(int parent_fd, const char *name)
{
    enum err e = dir_empty(parent_fd, name);
    if (e == ERR_OK && unlinkat(parent_fd, name, AT_REMOVEDIR) != 0)
        e = err_from_errno(errno);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err dir_make(const char *path)
{
    if (mkdir(path, 0700) < 0)
        return errno == EEXIST ? ERR_OK : err_from_errno(errno);
    const char *slash = strrchr(path, '/');
    autofree char *above =
        slash ? mem_strndup(path, slash > path ? (size_t)(slash - path) : 1) : mem_strdup(".");
    autoclose int fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) == 0)
        return ERR_OK;
    int failed = errno;
    (void)rmdir(path); /* who comes next makes it and syncs */
    errno = failed;
    return err_from_errno(failed);
}

enum err dir_make_path(const char *path)
{
    char *part = mem_strdup(path);
    enum err e = ERR_OK;
    for (char *slash = strchr(part + 1, '/'); e == ERR_OK && slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        e = dir_make(part);
        *slash = '/';
    }
    if (e == ERR_OK)
        e = dir_make(part);
    int failed = errno;
    free(part);
    errno = failed;
    return e;
}
