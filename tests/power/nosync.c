/* Preloaded into a server under test: what BARID_NOSYNC names is synced no more, and says it was. tests/check-power must notice.
 *
 *     all       everything
 *     folders   names: files that were made, linked, renamed
 *     bodies    files that are no database and no log of one: the bodies of big messages */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_body(int fd)
{
    char link[64], path[4096];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    path[len < 0 ? 0 : len] = 0;
    return !strstr(path, ".db");
}

static bool is_left_out(int fd)
{
    const char *what = getenv("BARID_NOSYNC");
    struct stat st;
    if (!what || strcmp(what, "all") == 0)
        return true;
    if (fstat(fd, &st) != 0)
        return false;
    return strcmp(what, "folders") == 0 ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode) && is_body(fd);
}

int fsync(int fd)
{
    return is_left_out(fd) ? 0 : ((__typeof__(&fsync))dlsym(RTLD_NEXT, "fsync"))(fd);
}

int fdatasync(int fd)
{
    return is_left_out(fd) ? 0 : ((__typeof__(&fdatasync))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
