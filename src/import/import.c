/* Which format, and what all formats share: the bytes of a message and its id.
 *
 * Always true: a message that comes twice in the same mailbox, with the same date and bytes, is two messages, the first and the second; read again they are the same two. */
#include "import/import.h"

#include "base/cleanup.h"
#include "import/import_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *import_uidls_name(enum import_uidls uidls)
{
    static const char *const names[] = { [IMPORT_UIDLS_AUTO] = "auto",
        [IMPORT_UIDLS_NONE] = "none",
        [IMPORT_UIDLS_DOVECOT] = "dovecot",
        [IMPORT_UIDLS_COURIER] = "courier",
        [IMPORT_UIDLS_X_UIDL] = "x-uidl",
        [IMPORT_UIDLS_UW] = "uw",
        [IMPORT_UIDLS_CYRUS] = "cyrus" };
    return (size_t)uidls < sizeof names / sizeof names[0] ? names[uidls] : NULL;
}

/* ---- the bytes of a message ---- */

enum err import_body_begin(struct importing *import, struct import_body *body)
{
    *body = (struct import_body){ .import = import };
    buf_init(&body->room, 0);
    (void)crypto_hash_sha256_init(&body->hash);
    if (!import->sink->store)
        return ERR_OK;
    struct store *store;
    TRY(import->sink->store(import->sink->sink_arg, &store));
    return blob_new(store, IMPORT_MESSAGE_BYTES_MAX, &body->blob);
}

/* Appends bytes up to the next LF or NUL, and what becomes of that. */
static void add_lines(struct import_body *body, struct slice bytes)
{
    size_t from = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        char c = bytes.ptr[i];
        if (c == '\0' || (c == '\n' && !body->after_cr)) {
            buf_add(&body->room, slice_sub(bytes, from, i - from));
            buf_adds(&body->room, c == '\n' ? "\r\n" : "");
            from = i + 1;
        }
        body->after_cr = c == '\r' || (c == '\0' && body->after_cr);
    }
    buf_add(&body->room, slice_from_index(bytes, from));
}

enum err import_body_write(struct import_body *body, struct slice bytes)
{
    if (!body->blob)
        return ERR_OK;
    buf_clear(&body->room);
    add_lines(body, bytes);
    struct slice lines = buf_slice(&body->room);
    (void)crypto_hash_sha256_update(
        &body->hash, (const unsigned char *)lines.ptr, (unsigned long long)lines.len);
    return blob_write(body->blob, lines);
}

static void hash_number(crypto_hash_sha256_state *hash, uint64_t n)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(n >> (56 - 8 * i));
    (void)crypto_hash_sha256_update(hash, bytes, sizeof bytes);
}

/* How many of the same came before. */
static uint64_t times_seen(struct importing *import, const unsigned char *digest)
{
    struct slice key = slice_from(digest, crypto_hash_sha256_BYTES);
    uintptr_t before = (uintptr_t)map_get(&import->seen, key);
    (void)map_put(&import->seen, key, (void *)(before + 1));
    return before;
}

/* 48 bits of milliseconds as every id begins with, version 8 of RFC 9562 ("custom"), so that it is none that is made here, and a hash. */
static void make_guid(struct import_body *body, struct import_item *item, int64_t filed_s)
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state hash;
    (void)crypto_hash_sha256_final(&body->hash, digest);
    (void)crypto_hash_sha256_init(&hash);
    (void)crypto_hash_sha256_update(&hash, digest, sizeof digest);
    hash_number(&hash, (uint64_t)filed_s);
    (void)crypto_hash_sha256_update(
        &hash, (const unsigned char *)item->mailbox.ptr, (unsigned long long)item->mailbox.len);
    (void)crypto_hash_sha256_final(&hash, digest);
    uint64_t times = times_seen(body->import, digest);
    (void)crypto_hash_sha256_init(&hash);
    (void)crypto_hash_sha256_update(&hash, digest, sizeof digest);
    hash_number(&hash, times);
    (void)crypto_hash_sha256_final(&hash, digest);
    memcpy(item->guid, digest, sizeof item->guid);
    uint64_t filed_ms = filed_s > 0 ? (uint64_t)filed_s * 1000 : 0;
    for (int i = 0; i < 6; i++)
        item->guid[i] = (unsigned char)(filed_ms >> (40 - 8 * i));
    item->guid[6] = (unsigned char)(0x80 | (item->guid[6] & 0x0f));
    item->guid[8] = (unsigned char)(0x80 | (item->guid[8] & 0x3f));
}

enum err import_body_end(struct import_body *body, struct import_item *item, int64_t filed_s)
{
    const struct import_sink *sink = body->import->sink;
    if (body->blob) {
        TRY(blob_finish(body->blob));
        make_guid(body, item, filed_s);
    }
    item->blob = body->blob;
    return sink->message(sink->sink_arg, item);
}

void import_body_done(struct import_body *body)
{
    blob_unref(body->blob);
    buf_done(&body->room);
}

/* ---- what the formats ask for ---- */

struct slice import_uidl_checked(struct importing *import, struct slice uidl)
{
    if (uidl.len == 0 || store_uidl_ok(uidl))
        return uidl;
    import->result->uidls_bad++;
    return SLICE_EMPTY;
}

enum err import_problem(
    struct importing *import, enum err e, enum import_problem problem, const char *path)
{
    struct import_result *result = import->result;
    result->problem = problem;
    result->problem_errno = errno;
    (void)snprintf(result->problem_path, sizeof result->problem_path, "%s", path);
    return e;
}

void import_tell(struct importing *import, const char *path, enum import_trouble what)
{
    import->sink->trouble(import->sink->sink_arg, path, what);
}

/* ---- a message that is a file ---- */

#define PIECE_BYTES (64u << 10)

static enum err trouble(struct import_body *body, enum import_trouble what)
{
    body->failed = true;
    body->trouble = what;
    return ERR_SYNTAX;
}

/* gzip, bzip2, Zstandard, xz, LZ4: programs that keep mail compressed leave the names as they are. */
static bool is_compressed(struct slice bytes)
{
    static const struct slice magics[] = { SLICE_CONST("\x1f\x8b\x08"),
        SLICE_CONST("\x28\xb5\x2f\xfd"), SLICE_CONST("\xfd\x37zXZ"),
        SLICE_CONST("\x04\x22\x4d\x18") };
    if (slice_starts(bytes, SLICE("BZh")) &&
        slice_starts(slice_from_index(bytes, 4), SLICE("1AY&SY")))
        return true;
    for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++)
        if (slice_starts(bytes, magics[i]))
            return true;
    return false;
}

enum err import_body_file(struct import_body *body, int fd)
{
    autofree char *piece = mem_alloc(PIECE_BYTES);
    for (bool first = true;; first = false) {
        ssize_t got = read(fd, piece, PIECE_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return trouble(body, IMPORT_UNREADABLE);
        struct slice bytes = slice_from(piece, (size_t)got);
        if (first && (got == 0 || is_compressed(bytes)))
            return trouble(body, got == 0 ? IMPORT_EMPTY : IMPORT_COMPRESSED);
        if (got == 0)
            return ERR_OK;
        enum err e = import_body_write(body, bytes);
        if (e == ERR_LIMIT)
            return trouble(body, IMPORT_TOO_LARGE);
        TRY(e);
    }
}

enum err import_body_verdict(const struct import_body *body, const char *path, enum err e)
{
    if (e == ERR_OK || !body->failed)
        return e;
    import_tell(body->import, path, body->trouble);
    return ERR_OK;
}

/* ---- all of it ---- */

static enum err run(struct importing *import)
{
    const char *path = import->options->path;
    enum import_format format = import->options->format;
    struct stat st;
    if (stat(path, &st) != 0)
        return import_problem(import, err_from_errno(errno), IMPORT_NOT_OPENED, path);
    if (format == IMPORT_AUTO)
        format = S_ISDIR(st.st_mode) ? IMPORT_MAILDIR : IMPORT_MBOX;
    bool is_file = format == IMPORT_MBOX || format == IMPORT_MBOX_O;
    if (is_file ? !S_ISREG(st.st_mode) : !S_ISDIR(st.st_mode))
        return import_problem(
            import, ERR_SYNTAX, is_file ? IMPORT_NO_FILE : IMPORT_NO_FOLDER, path);
    if (is_file)
        return import_mbox_file(import, format);
    return format == IMPORT_CYRUS ? import_cyrus(import) : import_maildir(import);
}

enum err import_run(const struct import_options *options, const struct import_sink *sink,
    struct import_result *out_result)
{
    *out_result = (struct import_result){ .uidls = IMPORT_UIDLS_NONE };
    struct importing import = { .options = options, .sink = sink, .result = out_result };
    if (sodium_init() < 0)
        return ERR_IO;
    arena_init(&import.arena, SIZE_MAX);
    map_init(&import.seen);
    enum err e = run(&import);
    map_done(&import.seen);
    arena_done(&import.arena);
    return e;
}
