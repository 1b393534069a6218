/* The bytes of messages on the near side: CRLF becomes LF on the way in, LF becomes CRLF on the way out; a CR of its own stays.
 *
 * On disk CR LF goes out as it stands. So CR CR LF, which would become CR LF on disk, cannot be told from it: a message that has one is stored with
 * its CRLFs. The hash is the same either way: that of the bytes with LF. */
#include "sync/near.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "message/header.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#define NEAR_HEADER_BYTES_MAX (256u << 10) /* in which a Message-ID is looked for */
#define NEAR_WRITE_BYTES      (128u << 10)
#define NEAR_READ_BYTES       16384u

uint64_t sync_message_id(struct slice header)
{
    struct msg_field field;
    if (!msg_field_find(header, SLICE("Message-ID"), &field))
        return 0;
    struct slice id = slice_trim(field.value);
    if (id.len == 0)
        return 0;
    uint64_t hash = XXH3_64bits(id.ptr, id.len);
    return hash ? hash : 1;
}

/* ---- coming in ---- */

/* What gathers facts, without a file. */
static void begin(struct near_draft *draft)
{
    *draft = (struct near_draft){ .fd = -1, .folder_fd = -1 };
    buf_init(&draft->header, NEAR_HEADER_BYTES_MAX);
    buf_init(&draft->out, 0);
    draft->hash = XXH3_createState();
    if (!draft->hash)
        abort();
    (void)XXH3_128bits_reset(draft->hash);
}

static void release(struct near_draft *draft)
{
    if (draft->fd >= 0)
        close(draft->fd);
    draft->fd = -1;
    buf_done(&draft->header);
    buf_done(&draft->out);
    XXH3_freeState(draft->hash);
    draft->hash = NULL;
}

static enum err open_draft(int folder_fd, bool hidden, struct near_draft *out_draft)
{
    struct near_draft draft;
    begin(&draft);
    draft.folder_fd = folder_fd;
    near_new_base(draft.base);
    snprintf(draft.name, sizeof draft.name, "%s%s", hidden ? "." : "", draft.base);
    draft.fd = openat(folder_fd, draft.name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (draft.fd < 0) {
        enum err e = err_from_errno(errno);
        release(&draft);
        return e;
    }
    *out_draft = draft;
    return ERR_OK;
}

enum err near_draft_open(struct near_folder *folder, struct near_draft *out_draft)
{
    return open_draft(folder->tmp_fd, false, out_draft);
}

enum err near_draft_open_hidden(int folder_fd, struct near_draft *out_draft)
{
    return open_draft(folder_fd, true, out_draft);
}

static enum err write_out(struct near_draft *draft)
{
    TRY(file_write(draft->fd, buf_slice(&draft->out)));
    buf_clear(&draft->out);
    return ERR_OK;
}

/* LF becomes CRLF again: every line end so far had been one. */
static enum err copy_with_crlf(int from, int to)
{
    char piece[NEAR_READ_BYTES];
    struct buf out;
    buf_init(&out, 0);
    enum err e = lseek(from, 0, SEEK_SET) < 0 ? err_from_errno(errno) : ERR_OK;
    while (e == ERR_OK) {
        ssize_t got = read(from, piece, sizeof piece);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            e = got < 0 ? err_from_errno(errno) : ERR_OK;
            break;
        }
        struct slice rest = slice_from(piece, (size_t)got);
        while (rest.len) {
            size_t at = slice_index(rest, '\n');
            buf_add(&out, slice_sub(rest, 0, at));
            if (at < rest.len)
                buf_adds(&out, "\r\n");
            rest = slice_from_index(rest, at + 1);
        }
        e = file_write(to, buf_slice(&out));
        buf_clear(&out);
    }
    buf_done(&out);
    return e;
}

/* From here on as it comes; what was written is written anew, and what was is gone. */
static enum err keep_as_it_came(struct near_draft *draft)
{
    if (draft->fd >= 0) {
        struct near_draft whole;
        TRY(write_out(draft));
        TRY(open_draft(draft->folder_fd, draft->name[0] == '.', &whole));
        enum err e = copy_with_crlf(draft->fd, whole.fd);
        if (e != ERR_OK) {
            near_draft_drop(&whole);
            return e;
        }
        (void)unlinkat(draft->folder_fd, draft->name, 0);
        close(draft->fd);
        draft->fd = whole.fd;
        memcpy(draft->name, whole.name, sizeof draft->name);
        memcpy(draft->base, whole.base, sizeof draft->base);
        whole.fd = -1;
        release(&whole);
    }
    draft->as_it_came = true;
    return ERR_OK;
}

/* Bytes with LF: to disk, unless it gets what came. */
static void take(struct near_draft *draft, struct slice piece)
{
    if (piece.len == 0)
        return;
    (void)XXH3_128bits_update(draft->hash, piece.ptr, piece.len);
    if (!draft->as_it_came)
        buf_add(&draft->out, piece);
    if (!draft->header_done) {
        buf_add(&draft->header, piece);
        if (buf_err(&draft->header) != ERR_OK ||
            slice_find(buf_slice(&draft->header), SLICE("\n\n")) != SIZE_MAX)
            draft->header_done = true;
    }
}

enum err near_draft_add(struct near_draft *draft, struct slice piece)
{
    draft->bytes += piece.len;
    struct slice raw = piece; /* of it, what is not yet in `out` */
    while (piece.len) {
        if (draft->held_cr) {
            bool ends = piece.ptr[0] == '\n';
            if (ends && draft->took_cr && !draft->as_it_came) {
                TRY(keep_as_it_came(draft));
                buf_addc(&draft->out, '\r'); /* the held one; the one before it was taken */
                raw = piece;
            }
            if (!ends)
                take(draft, SLICE("\r"));
            draft->took_cr = !ends;
            draft->held_cr = false;
        }
        size_t at = slice_index(piece, '\r');
        take(draft, slice_sub(piece, 0, at));
        if (at > 0)
            draft->took_cr = false;
        draft->held_cr = at < piece.len;
        piece = slice_from_index(piece, at + 1);
    }
    if (draft->as_it_came)
        buf_add(&draft->out, raw);
    return buf_len(&draft->out) >= NEAR_WRITE_BYTES ? write_out(draft) : ERR_OK;
}

static struct sync_facts facts_of(const struct near_draft *draft)
{
    struct sync_facts facts = { .bytes = draft->bytes,
        .message_id = sync_message_id(buf_slice(&draft->header)) };
    XXH128_canonical_t hash;
    XXH128_canonicalFromHash(&hash, XXH3_128bits_digest(draft->hash));
    memcpy(facts.hash, hash.digest, sizeof facts.hash);
    return facts;
}

static void take_held(struct near_draft *draft)
{
    if (draft->held_cr)
        take(draft, SLICE("\r"));
    draft->held_cr = false;
}

enum err near_draft_end(struct near_draft *draft, int64_t received_s, struct sync_facts *out_facts)
{
    take_held(draft);
    enum err e = write_out(draft);
    struct timespec times[2] = { { .tv_sec = received_s }, { .tv_sec = received_s } };
    if (e == ERR_OK && received_s > 0 && futimens(draft->fd, times) < 0)
        e = err_from_errno(errno);
    struct sync_facts facts = facts_of(draft);
    release(draft);
    if (e == ERR_OK)
        *out_facts = facts;
    return e;
}

void near_draft_drop(struct near_draft *draft)
{
    if (draft->hash)
        release(draft);
    (void)unlinkat(draft->folder_fd, draft->name, 0);
}

void near_draft_forget(const struct near_folder *folder, const char *base)
{
    (void)unlinkat(folder->tmp_fd, base, 0);
}

/* ---- only facts ---- */

void near_facts_begin(struct near_draft *draft)
{
    begin(draft);
}

void near_facts_add(struct near_draft *draft, struct slice piece)
{
    while (piece.len) {
        /* less than is written at once, so that nothing is, and nothing can fail */
        enum err e = near_draft_add(draft, slice_sub(piece, 0, NEAR_READ_BYTES));
        assert(e == ERR_OK);
        buf_clear(&draft->out);
        piece = slice_from_index(piece, NEAR_READ_BYTES);
    }
}

void near_facts_end(struct near_draft *draft, struct sync_facts *out_facts)
{
    take_held(draft);
    *out_facts = facts_of(draft);
    release(draft);
}

/* ---- going out ---- */

static enum err open_file(struct near_folder *folder, const struct near_file *file, int *out_fd)
{
    int fd = openat(file->in_new ? folder->new_fd : folder->cur_fd, file->name,
        O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno == ELOOP ? ERR_DENIED : err_from_errno(errno);
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return ERR_DENIED;
    }
    *out_fd = fd;
    return ERR_OK;
}

enum err near_reader_open(
    struct near_folder *folder, const struct near_file *file, struct near_reader *out_reader)
{
    int fd = -1;
    TRY(open_file(folder, file, &fd));
    out_reader->fd = fd;
    out_reader->at = out_reader->len = 0;
    out_reader->cr = out_reader->lf_due = false;
    return ERR_OK;
}

void near_reader_close(struct near_reader *reader)
{
    close(reader->fd);
    reader->fd = -1;
}

/* Up to len bytes; *out_len 0 at the end. */
static enum err read_some(struct near_reader *r, char *to, size_t len, size_t *out_len)
{
    size_t put = 0;
    while (put < len) {
        if (r->lf_due) {
            to[put++] = '\n';
            r->lf_due = false;
            continue;
        }
        if (r->at == r->len) {
            ssize_t got = read(r->fd, r->in, sizeof r->in);
            if (got < 0 && errno == EINTR)
                continue;
            if (got < 0)
                return err_from_errno(errno);
            if (got == 0)
                break;
            r->at = 0;
            r->len = (size_t)got;
        }
        char c = r->in[r->at++];
        if (c == '\n' && !r->cr) {
            to[put++] = '\r';
            r->lf_due = true;
            continue;
        }
        r->cr = c == '\r';
        to[put++] = c;
    }
    *out_len = put;
    return ERR_OK;
}

enum err near_reader_fill(void *reader, char *to, size_t len)
{
    size_t got;
    TRY(read_some(reader, to, len, &got));
    return got == len ? ERR_OK : ERR_IO; /* somebody cut the file meanwhile */
}

/* Facts of a file as it is and, where that is wanted, without the field that mbsync puts into a header. */
struct reading {
    struct near_draft whole, pure;
    bool want_pure, header_done;
    struct buf header; /* until it is whole */
};

/* "X-TUID: ABCDEFGHIJKL", a line of its own. */
static void add_without_tuid(struct near_draft *pure, struct slice header)
{
    struct slice line;
    for (size_t at = 0; at < header.len; at += line.len) {
        struct slice rest = slice_from_index(header, at);
        size_t end = slice_index(rest, '\n');
        line = slice_sub(rest, 0, end < rest.len ? end + 1 : end);
        bool is_tuid = slice_starts(line, SLICE("X-TUID: ")) && line.len == NEAR_TUID_BYTES;
        if (!is_tuid)
            near_facts_add(pure, line);
    }
}

static void end_header(struct reading *r)
{
    struct slice all = buf_slice(&r->header);
    size_t end = slice_find(all, SLICE("\r\n\r\n"));
    size_t header = end == SIZE_MAX ? all.len : end + 4;
    add_without_tuid(&r->pure, slice_sub(all, 0, header));
    near_facts_add(&r->pure, slice_from_index(all, header));
    buf_clear(&r->header);
    r->header_done = true;
}

static void add_read(struct reading *r, struct slice piece)
{
    near_facts_add(&r->whole, piece);
    if (!r->want_pure)
        return;
    if (r->header_done) {
        near_facts_add(&r->pure, piece);
        return;
    }
    buf_add(&r->header, piece);
    if (buf_len(&r->header) > NEAR_HEADER_BYTES_MAX ||
        slice_find(buf_slice(&r->header), SLICE("\r\n\r\n")) != SIZE_MAX)
        end_header(r);
}

static enum err read_all(struct near_folder *folder, const struct near_file *file,
    struct reading *r, int64_t *out_received_s)
{
    struct near_reader *reader = mem_alloc(sizeof *reader);
    enum err e = near_reader_open(folder, file, reader);
    if (e != ERR_OK) {
        free(reader);
        return e;
    }
    char piece[NEAR_READ_BYTES];
    size_t len = 1;
    while (e == ERR_OK && len) {
        e = read_some(reader, piece, sizeof piece, &len);
        if (e == ERR_OK)
            add_read(r, slice_from(piece, len));
    }
    if (r->want_pure && !r->header_done)
        end_header(r);
    struct stat st;
    if (e == ERR_OK && fstat(reader->fd, &st) < 0)
        e = err_from_errno(errno);
    if (e == ERR_OK)
        *out_received_s = st.st_mtime;
    near_reader_close(reader);
    free(reader);
    return e;
}

enum err near_read_both_facts(struct near_folder *folder, const struct near_file *file,
    struct sync_facts *out_facts, struct sync_facts *out_pure, int64_t *out_received_s)
{
    struct sync_facts whole, pure;
    struct reading *r = mem_zalloc(1, sizeof *r);
    r->want_pure = out_pure != NULL;
    near_facts_begin(&r->whole);
    near_facts_begin(&r->pure);
    buf_init(&r->header, 0);
    enum err e = read_all(folder, file, r, out_received_s);
    near_facts_end(&r->whole, &whole);
    near_facts_end(&r->pure, &pure);
    buf_done(&r->header);
    free(r);
    if (e != ERR_OK)
        return e;
    *out_facts = whole;
    if (out_pure)
        *out_pure = pure;
    return ERR_OK;
}

enum err near_read_facts(struct near_folder *folder, const struct near_file *file,
    struct sync_facts *out_facts, int64_t *out_received_s)
{
    return near_read_both_facts(folder, file, out_facts, NULL, out_received_s);
}
