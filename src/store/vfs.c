/* The shim between SQLite and the system's VFS: the database file here, the log in vfs_log.c.
 *
 * Always true: what xWrite wrote passes xRead; a page's account and place are part of its checksum, so that one that came from elsewhere is found too. */
#include "store/vfs.h"
#include "store/vfs_log.h"
#include "store/xxh3.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SUMMED_BYTES (STORE_PAGE_BYTES - STORE_PAGE_CHECKSUM_BYTES)
/* SQLite reads its header in pieces shorter than any page. */
#define PIECE_BYTES_MAX 512

_Static_assert(sizeof(XXH64_canonical_t) == STORE_PAGE_CHECKSUM_BYTES, "the field in a page");

struct checked_file {
    sqlite3_file base; /* what SQLite sees */
    bool verify;
    uint64_t owner;
    /* then the system's own file, of its szOsFile bytes */
};

static sqlite3_vfs shim;
static sqlite3_vfs *plain; /* borrowed from SQLite */

static struct checked_file *outer(sqlite3_file *file)
{
    return (struct checked_file *)(void *)file;
}

static sqlite3_file *inner(sqlite3_file *file)
{
    return (sqlite3_file *)(outer(file) + 1);
}

static XXH64_canonical_t checksum(
    sqlite3_file *file, const unsigned char *page, sqlite3_int64 offset)
{
    XXH64_canonical_t field;
    uint64_t number = (uint64_t)offset / STORE_PAGE_BYTES + 1;
    XXH64_canonicalFromHash(
        &field, XXH3_64bits_withSeed(page, SUMMED_BYTES, outer(file)->owner ^ number));
    return field;
}

static bool fits(sqlite3_file *file, const unsigned char *page, sqlite3_int64 offset)
{
    XXH64_canonical_t field = checksum(file, page, offset);
    return memcmp(page + SUMMED_BYTES, &field, sizeof field) == 0;
}

static bool is_page(int len, sqlite3_int64 offset)
{
    return len == STORE_PAGE_BYTES && offset % STORE_PAGE_BYTES == 0;
}

/* ---- one file ---- */

static int file_close(sqlite3_file *file)
{
    return inner(file)->pMethods->xClose(inner(file));
}

static int file_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 offset)
{
    int rc = inner(file)->pMethods->xRead(inner(file), bytes, len, offset);
    if (rc != SQLITE_OK || len < PIECE_BYTES_MAX || !outer(file)->verify)
        return rc;
    return is_page(len, offset) && fits(file, bytes, offset) ? SQLITE_OK : SQLITE_IOERR_DATA;
}

static int file_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 offset)
{
    if (!is_page(len, offset))
        return SQLITE_IOERR_WRITE; /* no page size but ours */
    unsigned char page[STORE_PAGE_BYTES];
    memcpy(page, bytes, SUMMED_BYTES);
    XXH64_canonical_t field = checksum(file, page, offset);
    memcpy(page + SUMMED_BYTES, &field, sizeof field);
    return inner(file)->pMethods->xWrite(inner(file), page, len, offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return inner(file)->pMethods->xTruncate(inner(file), size);
}

static int file_sync(sqlite3_file *file, int flags)
{
    return inner(file)->pMethods->xSync(inner(file), flags);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *out_size)
{
    return inner(file)->pMethods->xFileSize(inner(file), out_size);
}

static int file_lock(sqlite3_file *file, int level)
{
    return inner(file)->pMethods->xLock(inner(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    return inner(file)->pMethods->xUnlock(inner(file), level);
}

static int file_reserved(sqlite3_file *file, int *out_reserved)
{
    return inner(file)->pMethods->xCheckReservedLock(inner(file), out_reserved);
}

static int file_control(sqlite3_file *file, int op, void *arg)
{
    return inner(file)->pMethods->xFileControl(inner(file), op, arg);
}

static int file_sector(sqlite3_file *file)
{
    return inner(file)->pMethods->xSectorSize(inner(file));
}

static int file_traits(sqlite3_file *file)
{
    return inner(file)->pMethods->xDeviceCharacteristics(inner(file));
}

/* Version 1: neither shared memory, which EXCLUSIVE needs not, nor mapped pages, which nobody would check. */
static const sqlite3_io_methods checked = { .iVersion = 1,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_traits };

/* ---- the VFS ---- */

static int shim_open(
    sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    (void)vfs;
    if (flags & SQLITE_OPEN_WAL)
        return store_vfs_log_open(plain, name, file, flags, out_flags);
    if (!(flags & SQLITE_OPEN_MAIN_DB))
        return plain->xOpen(plain, name, file, flags, out_flags);
    memset(file, 0, (size_t)shim.szOsFile);
    int rc = plain->xOpen(plain, name, inner(file), flags, out_flags);
    if (inner(file)->pMethods)
        file->pMethods = &checked; /* SQLite closes it then, also after an error */
    outer(file)->verify = true;
    return rc;
}

static void make_shim(void)
{
    plain = sqlite3_vfs_find(NULL);
    shim = *plain;
    shim.zName = "barid";
    shim.pNext = NULL;
    int more = (int)sizeof(struct checked_file);
    shim.szOsFile = plain->szOsFile + (more > store_vfs_log_bytes() ? more : store_vfs_log_bytes());
    shim.xOpen = shim_open;
    if (sqlite3_vfs_register(&shim, 0) != SQLITE_OK)
        abort(); /* only without memory, at the start */
}

const char *store_vfs(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_shim);
    return shim.zName;
}

static sqlite3_file *file_of(sqlite3 *db)
{
    sqlite3_file *file = NULL;
    (void)sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    return file;
}

void store_vfs_owner(sqlite3 *db, struct slice id)
{
    outer(file_of(db))->owner = XXH3_64bits(id.ptr, id.len);
}

bool store_vfs_verify(sqlite3 *db, bool verify)
{
    struct checked_file *file = outer(file_of(db));
    bool before = file->verify;
    file->verify = verify;
    return before;
}

enum err store_vfs_scan(
    sqlite3 *db, bool bless, store_page_fn *tell, void *tell_arg, uint64_t *out_damaged)
{
    *out_damaged = 0;
    static const unsigned char zeros[STORE_PAGE_BYTES];
    sqlite3_file *file = file_of(db), *system = inner(file);
    sqlite3_int64 size;
    if (system->pMethods->xFileSize(system, &size) != SQLITE_OK)
        return ERR_IO;
    for (sqlite3_int64 at = 0; at < size; at += STORE_PAGE_BYTES) {
        unsigned char page[STORE_PAGE_BYTES];
        int rc = system->pMethods->xRead(system, page, STORE_PAGE_BYTES, at);
        if (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ)
            return ERR_IO;
        if (rc == SQLITE_OK && (fits(file, page, at) || memcmp(page, zeros, sizeof page) == 0))
            continue;
        ++*out_damaged;
        if (tell)
            tell(tell_arg, (uint32_t)(at / STORE_PAGE_BYTES + 1));
        if (bless && file_write(file, page, STORE_PAGE_BYTES, at) != SQLITE_OK)
            return ERR_IO;
    }
    return bless && *out_damaged > 0 && file_sync(file, SQLITE_SYNC_NORMAL) != SQLITE_OK ? ERR_IO
                                                                                         : ERR_OK;
}

enum err store_vfs_pages(sqlite3 *db, uint64_t keep_max, uint64_t *out_pages)
{
    sqlite3_file *file = file_of(db);
    sqlite3_int64 size, wanted = (sqlite3_int64)(keep_max * STORE_PAGE_BYTES);
    if (file_size(file, &size) != SQLITE_OK)
        return ERR_IO;
    *out_pages = ((uint64_t)size + STORE_PAGE_BYTES - 1) / STORE_PAGE_BYTES;
    if (keep_max == 0 || size <= wanted)
        return ERR_OK;
    bool done = file_truncate(file, wanted) == SQLITE_OK &&
                file_sync(file, SQLITE_SYNC_NORMAL) == SQLITE_OK;
    return done ? ERR_OK : ERR_IO;
}
