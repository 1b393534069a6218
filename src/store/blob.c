/* A body on its way in.
 *
 *   collecting in memory --over body_row_bytes_max--> collecting in a file --blob_finish--> whole
 *           |                                                                                ^
 *           +--------------------------------------blob_finish-------------------------------+
 *   any failure -> broken: every later call gives the same error
 *
 * Always true: a whole blob of a file is synced with its name (S-2); the bytes are never held in memory beyond body_row_bytes_max;
 * the summary is made from the very bytes that were written. A file without a blob is left by a crash and is swept by store_open (S-3). */
#include "store/store_int.h"

#include "base/limits.h"
#include "base/rand.h"
#include "message/summary.h"
#include "store/xxh3.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BUFFER_BYTES (64u << 10)

enum blob_state {
    BLOB_COLLECTING,
    BLOB_WHOLE,
    BLOB_BROKEN,
};

struct blob {
    atomic_int refs;
    struct store *store; /* borrowed; outlives the blob */
    enum blob_state state;
    enum err error; /* why it is broken */
    uint64_t size, bytes_max;
    struct buf memory;     /* owned: all bytes, or what is not yet written to the file */
    int fd;                /* owned; -1 while in memory */
    char file_name[48];    /* below the root; "" while in memory */
    struct msg_scan *scan; /* owned; NULL when finished */
    struct buf summary;    /* owned */
    XXH3_state_t *hash;    /* owned; NULL when finished */
    uint64_t checksum;
};

enum err blob_new(struct store *store, uint64_t bytes_max, struct blob **out_blob)
{
    struct blob *blob = mem_zalloc(1, sizeof *blob);
    atomic_init(&blob->refs, 1);
    blob->store = store;
    blob->bytes_max = bytes_max;
    blob->fd = -1;
    blob->scan = msg_scan_new();
    blob->hash = XXH3_createState();
    assert(blob->hash);
    (void)XXH3_64bits_reset(blob->hash);
    buf_init(&blob->memory, 0);
    buf_init(&blob->summary, 0);
    *out_blob = blob;
    return ERR_OK;
}

static enum err broken(struct blob *blob, enum err e)
{
    blob->state = BLOB_BROKEN;
    blob->error = e;
    return e;
}

static enum err write_out(struct blob *blob)
{
    while (buf_len(&blob->memory) > 0) {
        struct slice left = buf_slice(&blob->memory);
        ssize_t wrote = write(blob->fd, left.ptr, left.len);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return err_from_errno(errno);
        buf_consume(&blob->memory, (size_t)wrote);
    }
    return ERR_OK;
}

static enum err move_to_file(struct blob *blob)
{
    unsigned long long name[2];
    rand_bytes(name, sizeof name);
    (void)snprintf(
        blob->file_name, sizeof blob->file_name, "incoming/%016llx%016llx", name[0], name[1]);
    blob->fd =
        openat(blob->store->root_fd, blob->file_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (blob->fd < 0) {
        blob->file_name[0] = 0;
        return err_from_errno(errno);
    }
    return write_out(blob);
}

enum err blob_write(struct blob *blob, struct slice bytes)
{
    assert(blob->state != BLOB_WHOLE);
    if (blob->state == BLOB_BROKEN)
        return blob->error;
    if (bytes.len > blob->bytes_max - blob->size)
        return broken(blob, ERR_LIMIT);
    msg_scan_feed(blob->scan, bytes);
    (void)XXH3_64bits_update(blob->hash, bytes.ptr, bytes.len);
    blob->size += bytes.len;
    while (bytes.len > 0) {
        size_t room = blob->fd < 0 ? blob->store->body_row_bytes_max : FILE_BUFFER_BYTES;
        size_t fits = room - buf_len(&blob->memory);
        struct slice piece = slice_sub(bytes, 0, fits);
        buf_add(&blob->memory, piece);
        bytes = slice_from_index(bytes, piece.len);
        if (bytes.len == 0)
            break;
        enum err e = blob->fd < 0 ? move_to_file(blob) : write_out(blob);
        if (e != ERR_OK)
            return broken(blob, e);
    }
    return ERR_OK;
}

enum err blob_write_source(struct blob *blob, const struct msg_source *source)
{
    struct buf piece;
    buf_init(&piece, 0);
    enum err e = ERR_OK;
    for (uint64_t at = 0; at < source->size && e == ERR_OK; at += FILE_BUFFER_BYTES) {
        buf_clear(&piece);
        e = msg_source_read(source, at, FILE_BUFFER_BYTES, &piece);
        if (e == ERR_OK)
            e = blob_write(blob, buf_slice(&piece));
    }
    buf_done(&piece);
    return e;
}

uint64_t blob_size(const struct blob *blob)
{
    return blob->size;
}

/* The file and its name reach the disk. A failed sync is final (S-8): the blob is broken and its file goes. */
static enum err sync_file(struct blob *blob)
{
    TRY(write_out(blob));
    if (fdatasync(blob->fd) != 0)
        return ERR_IO;
    int dir = openat(blob->store->root_fd, "incoming", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_from_errno(errno);
    int failed = fsync(dir);
    close(dir);
    return failed ? ERR_IO : ERR_OK;
}

enum err blob_finish(struct blob *blob)
{
    if (blob->state == BLOB_WHOLE)
        return ERR_OK;
    if (blob->state == BLOB_BROKEN)
        return blob->error;
    enum err e = msg_scan_finish(blob->scan, &blob->summary);
    msg_scan_free(blob->scan);
    blob->scan = NULL;
    blob->checksum = XXH3_64bits_digest(blob->hash);
    (void)XXH3_freeState(blob->hash);
    blob->hash = NULL;
    if (e == ERR_OK && blob->fd >= 0 && !store_has_room(blob->store, 0, true))
        e = ERR_NO_SPACE;
    if (e == ERR_OK && blob->fd >= 0)
        e = sync_file(blob);
    if (e != ERR_OK)
        return broken(blob, e);
    if (blob->fd >= 0)
        buf_shrink(&blob->memory);
    blob->state = BLOB_WHOLE;
    return ERR_OK;
}

static enum err read_file(void *source_arg, uint64_t offset, size_t len, struct buf *out)
{
    const struct blob *blob = source_arg;
    char *room = buf_room(out, len);
    if (!room)
        return ERR_LIMIT;
    for (size_t have = 0; have < len;) {
        ssize_t got = pread(blob->fd, room + have, len - have, (off_t)(offset + have));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_from_errno(errno);
        if (got == 0)
            return ERR_CORRUPT; /* shorter than what was written */
        have += (size_t)got;
    }
    buf_wrote(out, len);
    return ERR_OK;
}

struct msg_source blob_source(struct blob *blob)
{
    assert(blob->state == BLOB_WHOLE);
    if (blob->fd < 0)
        return msg_source_memory(buf_slice(&blob->memory));
    return (struct msg_source){ .size = blob->size, .read = read_file, .source_arg = blob };
}

struct slice blob_summary(const struct blob *blob)
{
    assert(blob->state == BLOB_WHOLE);
    return buf_slice(&blob->summary);
}

uint64_t blob_checksum(const struct blob *blob)
{
    assert(blob->state == BLOB_WHOLE);
    return blob->checksum;
}

const char *blob_file(const struct blob *blob)
{
    return blob->fd < 0 ? NULL : blob->file_name;
}

struct blob *blob_ref(struct blob *blob)
{
    atomic_fetch_add(&blob->refs, 1);
    return blob;
}

void blob_unref(struct blob *blob)
{
    if (!blob || atomic_fetch_sub(&blob->refs, 1) != 1)
        return;
    if (blob->fd >= 0)
        close(blob->fd);
    if (blob->file_name[0])
        (void)unlinkat(
            blob->store->root_fd, blob->file_name, 0); /* left over: swept at the next start */
    msg_scan_free(blob->scan);
    (void)XXH3_freeState(blob->hash);
    buf_done(&blob->memory);
    buf_done(&blob->summary);
    free(blob);
}
