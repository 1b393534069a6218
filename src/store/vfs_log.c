/* Frames wait in memory until the one that ends their transaction:
 *
 *     empty --a frame's header--> waiting --its page, and it ends the transaction--> written, empty
 *               ^                   |  ^                  |
 *               |                   |  +--else, or the next header right behind it
 *               +--written before: another place, too much, a read, a sync, the size, the end
 *
 * One connection uses the file (EXCLUSIVE), so nobody else could miss what waits. */
#include "store/vfs_log.h"

#include "store/vfs.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* https://www.sqlite.org/fileformat2.html#walformat: after 4 bytes the size of the database, in the frame that ends a transaction, else zero */
#define FRAME_HEADER_BYTES 24
#define FRAME_BYTES        (FRAME_HEADER_BYTES + STORE_PAGE_BYTES)
/* Of one piece: SQLite's own VFS takes less than 128 KiB in one call. A delivery of 64 KiB is 15 frames; what is larger goes in several pieces. */
#define PIECE_BYTES_MAX (15 * FRAME_BYTES)

_Static_assert(PIECE_BYTES_MAX < 1 << 17, "seekAndWriteFd of os_unix.c would cut the length");

struct log_file {
    sqlite3_file base;    /* what SQLite sees */
    unsigned char *bytes; /* owned; NULL while nothing waits */
    size_t len, cap;      /* waiting */
    sqlite3_int64 at;     /* where they go */
    bool ends;            /* the last header was that of a transaction's last frame */
    /* then the system's own file, of its szOsFile bytes */
};

static struct log_file *outer(sqlite3_file *file)
{
    return (struct log_file *)(void *)file;
}

static sqlite3_file *inner(sqlite3_file *file)
{
    return (sqlite3_file *)(outer(file) + 1);
}

/* What waits. After an error it is gone, as the transaction is that it was of. */
static int write_waiting(sqlite3_file *file)
{
    struct log_file *log = outer(file);
    if (log->len == 0)
        return SQLITE_OK;
    int rc = inner(file)->pMethods->xWrite(inner(file), log->bytes, (int)log->len, log->at);
    free(log->bytes);
    log->bytes = NULL;
    log->len = log->cap = 0;
    return rc;
}

static bool make_room(struct log_file *log, size_t len)
{
    if (log->len + len <= log->cap)
        return true;
    size_t cap = log->cap ? log->cap * 2 : (size_t)4 * FRAME_BYTES;
    unsigned char *bytes = realloc(log->bytes, cap);
    if (!bytes)
        return false;
    log->bytes = bytes;
    log->cap = cap;
    return true;
}

static bool is_part_of_frame(int len)
{
    return len == FRAME_HEADER_BYTES || len == STORE_PAGE_BYTES;
}

static int log_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 offset)
{
    struct log_file *log = outer(file);
    bool follows = log->len > 0 && offset == log->at + (sqlite3_int64)log->len;
    if (!follows || log->len + (size_t)len > PIECE_BYTES_MAX || !is_part_of_frame(len)) {
        int rc = write_waiting(file);
        if (rc != SQLITE_OK)
            return rc;
        log->at = offset;
    }
    if (!is_part_of_frame(len) || !make_room(log, (size_t)len)) {
        int rc = write_waiting(file);
        return rc != SQLITE_OK ? rc
                               : inner(file)->pMethods->xWrite(inner(file), bytes, len, offset);
    }
    memcpy(log->bytes + log->len, bytes, (size_t)len);
    log->len += (size_t)len;
    if (len == FRAME_HEADER_BYTES) {
        static const unsigned char zeros[4];
        log->ends = memcmp((const unsigned char *)bytes + 4, zeros, sizeof zeros) != 0;
        return SQLITE_OK;
    }
    return log->ends ? write_waiting(file) : SQLITE_OK;
}

static int log_close(sqlite3_file *file)
{
    int rc = write_waiting(file);
    int closed = inner(file)->pMethods->xClose(inner(file));
    return rc != SQLITE_OK ? rc : closed;
}

static int log_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 offset)
{
    int rc = write_waiting(file);
    return rc != SQLITE_OK ? rc : inner(file)->pMethods->xRead(inner(file), bytes, len, offset);
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int rc = write_waiting(file);
    return rc != SQLITE_OK ? rc : inner(file)->pMethods->xTruncate(inner(file), size);
}

static int log_sync(sqlite3_file *file, int flags)
{
    int rc = write_waiting(file);
    return rc != SQLITE_OK ? rc : inner(file)->pMethods->xSync(inner(file), flags);
}

static int log_size(sqlite3_file *file, sqlite3_int64 *out_size)
{
    int rc = write_waiting(file);
    return rc != SQLITE_OK ? rc : inner(file)->pMethods->xFileSize(inner(file), out_size);
}

static int log_lock(sqlite3_file *file, int level)
{
    return inner(file)->pMethods->xLock(inner(file), level);
}

static int log_unlock(sqlite3_file *file, int level)
{
    return inner(file)->pMethods->xUnlock(inner(file), level);
}

static int log_reserved(sqlite3_file *file, int *out_reserved)
{
    return inner(file)->pMethods->xCheckReservedLock(inner(file), out_reserved);
}

static int log_control(sqlite3_file *file, int op, void *arg)
{
    int rc = write_waiting(file);
    return rc != SQLITE_OK ? rc : inner(file)->pMethods->xFileControl(inner(file), op, arg);
}

static int log_sector(sqlite3_file *file)
{
    return inner(file)->pMethods->xSectorSize(inner(file));
}

static int log_traits(sqlite3_file *file)
{
    return inner(file)->pMethods->xDeviceCharacteristics(inner(file));
}

static const sqlite3_io_methods gathered = { .iVersion = 1,
    .xClose = log_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_size,
    .xLock = log_lock,
    .xUnlock = log_unlock,
    .xCheckReservedLock = log_reserved,
    .xFileControl = log_control,
    .xSectorSize = log_sector,
    .xDeviceCharacteristics = log_traits };

int store_vfs_log_bytes(void)
{
    return (int)sizeof(struct log_file);
}

int store_vfs_log_open(
    sqlite3_vfs *system, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    *outer(file) = (struct log_file){ .len = 0 };
    memset(inner(file), 0, (size_t)system->szOsFile);
    int rc = system->xOpen(system, name, inner(file), flags, out_flags);
    if (inner(file)->pMethods)
        file->pMethods = &gathered; /* SQLite closes it then, also after an error */
    return rc;
}
