/* A disk that remembers: serves one regular file by FUSE, for a loop device, and appends every write and every flush to a log, in the
 * order in which they were asked for. From the log tests/check-power makes the disk as a power cut at any moment would have left it.
 *
 *     disk IMAGE LOG MOUNTPOINT      serves MOUNTPOINT/disk until it is unmounted
 *
 * A log record is a struct record in the machine's byte order; the bytes of a write follow it. A flush is in the log before it is answered,
 * so whoever hears of something that waited for a flush finds that flush in the log. One thread: the order is the order. */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <linux/falloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind {
    KIND_WRITE,
    KIND_FLUSH,
    KIND_ZERO, /* the range reads as zeros from here on: discard, zero-out */
};

struct record {
    uint32_t kind, zero;
    uint64_t offset, len;
};

static const char disk_path[] = "/disk";
static int image = -1, record_log = -1;

/* A log with a hole would make wrong images: nothing goes on after a failure here. */
static void remember(enum kind kind, uint64_t offset, const char *bytes, uint64_t len)
{
    struct record record = { .kind = kind, .offset = offset, .len = len };
    struct iovec parts[2] = {
        { .iov_base = &record, .iov_len = sizeof record },
        { .iov_base = (void *)(uintptr_t)bytes, .iov_len = bytes ? len : 0 },
    };
    size_t all = parts[0].iov_len + parts[1].iov_len;
    if (writev(record_log, parts, 2) != (ssize_t)all) {
        perror("disk: the log");
        abort();
    }
}

static bool is_disk(const char *path)
{
    return strcmp(path, disk_path) == 0;
}

static int disk_getattr(const char *path, struct stat *st, struct fuse_file_info *file)
{
    (void)file;
    if (is_disk(path))
        return fstat(image, st) == 0 ? 0 : -errno;
    if (strcmp(path, "/") != 0)
        return -ENOENT;
    *st = (struct stat){ .st_mode = S_IFDIR | 0700, .st_nlink = 2 };
    return 0;
}

static int disk_readdir(const char *path, void *buf, fuse_fill_dir_t fill, off_t offset,
    struct fuse_file_info *file, enum fuse_readdir_flags flags)
{
    (void)path, (void)offset, (void)file, (void)flags;
    (void)fill(buf, disk_path + 1, NULL, 0, 0);
    return 0;
}

/* Past the page cache: a write is here before the loop device calls it done. */
static int disk_open(const char *path, struct fuse_file_info *file)
{
    if (!is_disk(path))
        return -ENOENT;
    file->direct_io = 1;
    return 0;
}

static int disk_read(
    const char *path, char *bytes, size_t len, off_t offset, struct fuse_file_info *file)
{
    (void)path, (void)file;
    ssize_t got = pread(image, bytes, len, offset);
    return got < 0 ? -errno : (int)got;
}

static int disk_write(
    const char *path, const char *bytes, size_t len, off_t offset, struct fuse_file_info *file)
{
    (void)path, (void)file;
    remember(KIND_WRITE, (uint64_t)offset, bytes, len);
    ssize_t put = pwrite(image, bytes, len, offset);
    return put < 0 ? -errno : (int)put;
}

static int disk_fsync(const char *path, int data_only, struct fuse_file_info *file)
{
    (void)path, (void)data_only, (void)file;
    remember(KIND_FLUSH, 0, NULL, 0);
    return 0; /* nothing to do: the power cut is made from the log */
}

static int disk_fallocate(
    const char *path, int mode, off_t offset, off_t len, struct fuse_file_info *file)
{
    (void)path, (void)file;
    if (!(mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)))
        return -EOPNOTSUPP;
    remember(KIND_ZERO, (uint64_t)offset, NULL, (uint64_t)len);
    return fallocate(image, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, len) == 0 ? 0
                                                                                          : -errno;
}

static const struct fuse_operations operations = {
    .getattr = disk_getattr,
    .readdir = disk_readdir,
    .open = disk_open,
    .read = disk_read,
    .write = disk_write,
    .fsync = disk_fsync,
    .fallocate = disk_fallocate,
};

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: disk IMAGE LOG MOUNTPOINT\n");
        return 2;
    }
    image = open(argv[1], O_RDWR | O_CLOEXEC);
    record_log = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (image < 0 || record_log < 0) {
        perror("disk");
        return 1;
    }
    char *args[] = { argv[0], "-f", "-s", "-o", "fsname=barid-power", argv[3], NULL };
    return fuse_main(6, args, &operations, NULL);
}
