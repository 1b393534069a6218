/* Preloaded into a server under test: counts the calls that reach the disk, memory and threads, and makes one of them fail, stop half way, or
 * end the process. The test tells it what through a file that both have mapped; struct control is that file.
 *
 * Counted are calls on names below BARID_FAULT_ROOT (the server's data) and on open files and folders but the log, all of which are there;
 * allocations and new threads of the whole process. Nothing is counted while armed is 0, so that starting up costs no numbers. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum call {
    CALL_WRITE,
    CALL_SYNC,
    CALL_OPEN,
    CALL_RENAME,
    CALL_LINK,
    CALL_UNLINK,
    CALL_TRUNCATE,
    CALL_MKDIR,
    CALL_MMAP,
    CALL_MALLOC,
    CALL_THREAD,
    CALL_READ,
    CALL_SEND,
    CALLS,
};

enum kind {
    KIND_ERRNO, /* fails with control.error */
    KIND_SHORT, /* a write does half */
    KIND_KILL,  /* the process ends before the call */
    KIND_KILL_AFTER,
    KIND_KILL_HALF, /* a write does half, and the process ends */
    KIND_DELAY,     /* 20 ms */
};

struct control {
    _Atomic uint32_t armed, call, kind, error, n, sticky, hits;
    _Atomic uint32_t counts[CALLS];
};

static struct control *control;
static char root[4096];
static size_t root_len;
static dev_t log_dev;
static ino_t log_ino;

#define REAL(name) ((__typeof__(&name))real_of(#name))

static void *real_of(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void set_up(void)
{
    const char *file = getenv("BARID_FAULT_FILE"), *folder = getenv("BARID_FAULT_ROOT");
    struct stat st;
    if (!file || !folder)
        return;
    root_len = strlen(folder);
    if (root_len >= sizeof root)
        return;
    memcpy(root, folder, root_len + 1);
    if (fstat(2, &st) == 0) {
        log_dev = st.st_dev;
        log_ino = st.st_ino;
    }
    int fd = REAL(open)(file, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *at = REAL(mmap)(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at != MAP_FAILED)
        control = at;
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* What happens to this call: -1 nothing, else an enum kind. errno is set for KIND_ERRNO. */
static int fault(enum call call)
{
    if (!control || !atomic_load(&control->armed))
        return -1;
    uint32_t number = atomic_fetch_add(&control->counts[call], 1) + 1;
    uint32_t n = atomic_load(&control->n);
    if (atomic_load(&control->call) != call || !n || number < n ||
        (number > n && !atomic_load(&control->sticky)))
        return -1;
    atomic_fetch_add(&control->hits, 1);
    int kind = (int)atomic_load(&control->kind);
    if (kind == KIND_KILL)
        die();
    if (kind == KIND_DELAY) {
        struct timespec some = { .tv_nsec = 20000000 };
        nanosleep(&some, NULL);
        return -1;
    }
    if (kind == KIND_ERRNO)
        errno = (int)atomic_load(&control->error);
    return kind;
}

static bool is_data_fd(int fd)
{
    struct stat st;
    if (!control || !atomic_load(&control->armed) || fstat(fd, &st) != 0)
        return false;
    return (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) &&
           (st.st_dev != log_dev || st.st_ino != log_ino);
}

static bool is_data_path(int folder, const char *path)
{
    if (!control || !atomic_load(&control->armed))
        return false;
    return path[0] == '/' ? strncmp(path, root, root_len) == 0 : folder != AT_FDCWD;
}

/* ---- writes and syncs ---- */

#define WRITE_BODY(real_call, half_call)                                                           \
    int kind = is_data_fd(fd) ? fault(CALL_WRITE) : -1;                                            \
    if (kind == KIND_ERRNO)                                                                        \
        return -1;                                                                                 \
    if ((kind == KIND_SHORT || kind == KIND_KILL_HALF) && len > 1) {                               \
        ssize_t wrote = half_call;                                                                 \
        if (kind == KIND_KILL_HALF)                                                                \
            die();                                                                                 \
        return wrote;                                                                              \
    }                                                                                              \
    ssize_t wrote = real_call;                                                                     \
    if (kind == KIND_KILL_AFTER || kind == KIND_KILL_HALF)                                         \
        die();                                                                                     \
    return wrote;

ssize_t write(int fd, const void *bytes,
    size_t len){ WRITE_BODY(REAL(write)(fd, bytes, len), REAL(write)(fd, bytes, len / 2)) }

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at){ WRITE_BODY(
    REAL(pwrite64)(fd, bytes, len, at), REAL(pwrite64)(fd, bytes, len / 2, at)) }

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    return pwrite64(fd, bytes, len, at);
}

/* Runs the call, or makes it fail. */
#define CALL_BODY(counted, call, failed, real_call)                                                \
    int kind = (counted) ? fault(call) : -1;                                                       \
    if (kind == KIND_ERRNO)                                                                        \
        return failed;                                                                             \
    __typeof__(real_call) result = real_call;                                                      \
    if (kind >= KIND_KILL_AFTER)                                                                   \
        die();                                                                                     \
    return result;

ssize_t read(int fd, void *bytes,
    size_t len){ CALL_BODY(is_data_fd(fd), CALL_READ, -1, REAL(read)(fd, bytes, len)) }

ssize_t pread64(int fd, void *bytes, size_t len,
    off64_t at){ CALL_BODY(is_data_fd(fd), CALL_READ, -1, REAL(pread64)(fd, bytes, len, at)) }

ssize_t pread(int fd, void *bytes, size_t len, off_t at)
{
    return pread64(fd, bytes, len, at);
}

int fsync(int fd)
{
    CALL_BODY(is_data_fd(fd), CALL_SYNC, -1, REAL(fsync)(fd))
}

int fdatasync(int fd)
{
    CALL_BODY(is_data_fd(fd), CALL_SYNC, -1, REAL(fdatasync)(fd))
}

int syncfs(int fd)
{
    CALL_BODY(is_data_fd(fd), CALL_SYNC, -1, REAL(syncfs)(fd))
}

int ftruncate64(int fd, off64_t len)
{
    CALL_BODY(is_data_fd(fd), CALL_TRUNCATE, -1, REAL(ftruncate64)(fd, len))
}

int ftruncate(int fd, off_t len)
{
    return ftruncate64(fd, len);
}

/* ---- names ---- */

static mode_t mode_of(int flags, va_list args)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

static int open_any(int folder, const char *path, int flags, mode_t mode)
{
    CALL_BODY(is_data_path(folder, path), CALL_OPEN, -1, REAL(openat)(folder, path, flags, mode))
}

#define OPEN_BODY(folder)                                                                          \
    va_list args;                                                                                  \
    va_start(args, flags);                                                                         \
    mode_t mode = mode_of(flags, args);                                                            \
    va_end(args);                                                                                  \
    return open_any(folder, path, flags, mode);

int open(const char *path, int flags, ...)
{
    OPEN_BODY(AT_FDCWD)
}

int open64(const char *path, int flags, ...)
{
    OPEN_BODY(AT_FDCWD)
}

int openat(int folder, const char *path, int flags, ...)
{
    OPEN_BODY(folder)
}

int openat64(int folder, const char *path, int flags, ...)
{
    OPEN_BODY(folder)
}

int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
    return open_any(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags);
int __open64_2(const char *path, int flags)
{
    return open_any(AT_FDCWD, path, flags, 0);
}

int __openat_2(int folder, const char *path, int flags);
int __openat_2(int folder, const char *path, int flags)
{
    return open_any(folder, path, flags, 0);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    CALL_BODY(is_data_path(to_folder, to), CALL_RENAME, -1,
        REAL(renameat)(from_folder, from, to_folder, to))
}

int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned int flags)
{
    CALL_BODY(is_data_path(to_folder, to), CALL_RENAME, -1,
        REAL(renameat2)(from_folder, from, to_folder, to, flags))
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    CALL_BODY(is_data_path(to_folder, to), CALL_LINK, -1,
        REAL(linkat)(from_folder, from, to_folder, to, flags))
}

int unlinkat(int folder, const char *path, int flags)
{
    CALL_BODY(is_data_path(folder, path), CALL_UNLINK, -1, REAL(unlinkat)(folder, path, flags))
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int mkdirat(int folder, const char *path, mode_t mode)
{
    CALL_BODY(is_data_path(folder, path), CALL_MKDIR, -1, REAL(mkdirat)(folder, path, mode))
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

/* ---- what goes to a peer ---- */

ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
    int kind = fault(CALL_SEND);
    if (kind == KIND_ERRNO)
        return -1;
    bool half = (kind == KIND_SHORT || kind == KIND_KILL_HALF) && len > 1;
    ssize_t sent = REAL(send)(fd, bytes, half ? len / 2 : len, flags);
    if (kind == KIND_KILL_AFTER || kind == KIND_KILL_HALF)
        die();
    return sent;
}

/* ---- memory and threads ---- */

void *mmap64(void *at, size_t len, int protection, int flags, int fd, off64_t offset)
{
    CALL_BODY(fd >= 0 && is_data_fd(fd), CALL_MMAP, MAP_FAILED,
        REAL(mmap64)(at, len, protection, flags, fd, offset))
}

void *__libc_malloc(size_t len);
void *__libc_calloc(size_t count, size_t len);
void *__libc_realloc(void *old, size_t len);

void *malloc(size_t len)
{
    CALL_BODY(true, CALL_MALLOC, NULL, __libc_malloc(len))
}

void *calloc(size_t count, size_t len)
{
    CALL_BODY(true, CALL_MALLOC, NULL, __libc_calloc(count, len))
}

void *realloc(void *old, size_t len)
{
    CALL_BODY(true, CALL_MALLOC, NULL, __libc_realloc(old, len))
}

int pthread_create(
    pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *run_arg)
{
    CALL_BODY(true, CALL_THREAD, errno, REAL(pthread_create)(thread, attributes, run, run_arg))
}
