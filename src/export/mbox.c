/* A folder of the server in an mbox.
 *
 *     message ─► spool (memory, or a file without a name) ─► .NAME.mbox.part, as it stands in an mbox
 *     batch:  part synced ─► state "adding" ─► appended to NAME.mbox, synced ─► state "bytes, uids" ─► counted (E-1)
 *
 * After a kill the state says what was on its way: what the mbox has of it is compared with the part, and completed. An mbox that is not what the state says was changed
 * by another program, and is left alone. */
#include "base/cleanup.h"
#include "base/file.h"
#include "export/export_int.h"
#include "export/mboxrd.h"
#include "export/state.h"
#include "sync/flags.h"
#include "sync/near.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPOOL_BYTES_MAX (256u << 10) /* of a message in memory */
#define PIECE_BYTES     65536u
#define NAME_BYTES_MAX  256u
#define ASIDE_MAX       1000u /* mboxes of one folder and one UIDVALIDITY */

struct mbox {
    struct export_job *job;
    int folder_fd, fd, part_fd; /* fd: the mbox */
    char name[NAME_BYTES_MAX], state_name[NAME_BYTES_MAX], part_name[NAME_BYTES_MAX];
    struct export_state state;
    struct export_state fresh; /* uids of the batch that is being made */
    struct buf spool;
    int spool_fd; /* -1: it is in memory */
    uint64_t spool_bytes;
    uint64_t part_bytes, batch_bytes, batch_count;
    struct buf out;
};

static enum err failed(struct mbox *m, enum err e)
{
    return export_disk(m->job, e, m->job->result->path);
}

static enum err of_errno(struct mbox *m)
{
    return failed(m, err_from_errno(errno));
}

/* ---- files beside the mbox ---- */

static enum err read_whole(int fd, struct buf *out)
{
    for (;;) {
        char *room = buf_room(out, PIECE_BYTES);
        if (!room)
            return ERR_LIMIT;
        ssize_t got = read(fd, room, PIECE_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? err_from_errno(errno) : ERR_OK;
        buf_wrote(out, (size_t)got);
    }
}

/* ERR_NOT_FOUND; ERR_SYNTAX. */
static enum err read_state(struct mbox *m)
{
    struct buf text;
    autoclose int fd = openat(m->folder_fd, m->state_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    buf_init(&text, EXPORT_STATE_BYTES_MAX);
    enum err e = read_whole(fd, &text);
    if (e == ERR_OK)
        e = export_state_read(buf_slice(&text), &m->state);
    buf_done(&text);
    return e == ERR_LIMIT ? ERR_SYNTAX : e;
}

/* Whole or not at all. */
static enum err write_state(struct mbox *m)
{
    char fresh[NAME_BYTES_MAX + 8];
    struct buf text;
    snprintf(fresh, sizeof fresh, "%s.new", m->state_name);
    autoclose int fd =
        openat(m->folder_fd, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_from_errno(errno);
    buf_init(&text, EXPORT_STATE_BYTES_MAX);
    export_state_write(&m->state, &text);
    enum err e = buf_err(&text);
    if (e == ERR_OK)
        e = file_write(fd, buf_slice(&text));
    buf_done(&text);
    if (e == ERR_OK &&
        (fsync(fd) < 0 || renameat(m->folder_fd, fresh, m->folder_fd, m->state_name) < 0 ||
            fsync(m->folder_fd) < 0))
        e = err_from_errno(errno);
    return e;
}

/* ---- the mbox and its part ---- */

/* The same bytes, as far as the mbox goes on behind what was there. */
static enum err agrees(struct mbox *m, uint64_t there, bool *out_agrees)
{
    autofree char *one = mem_alloc(PIECE_BYTES), *two = mem_alloc(PIECE_BYTES);
    *out_agrees = false;
    for (uint64_t at = 0; at < there;) {
        size_t len = there - at < PIECE_BYTES ? (size_t)(there - at) : PIECE_BYTES;
        ssize_t got = pread(m->fd, one, len, (off_t)(m->state.bytes + at));
        ssize_t have = pread(m->part_fd, two, len, (off_t)at);
        if (got < 0 || have < 0)
            return err_from_errno(errno);
        if (got == 0 || got != have || memcmp(one, two, (size_t)got) != 0)
            return ERR_OK;
        at += (uint64_t)got;
    }
    *out_agrees = true;
    return ERR_OK;
}

static enum err append_part(struct mbox *m)
{
    autofree char *piece = mem_alloc(PIECE_BYTES);
    for (uint64_t at = 0; at < m->state.adding_bytes;) {
        ssize_t got = pread(m->part_fd, piece, PIECE_BYTES, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? err_from_errno(errno) : ERR_CORRUPT;
        if (lseek(m->fd, (off_t)(m->state.bytes + at), SEEK_SET) < 0)
            return err_from_errno(errno);
        TRY(file_write(m->fd, slice_from(piece, (size_t)got)));
        at += (uint64_t)got;
    }
    return fsync(m->fd) < 0 ? err_from_errno(errno) : ERR_OK;
}

/* What was on its way is in the mbox. */
static enum err settle(struct mbox *m)
{
    m->state.bytes += m->state.adding_bytes;
    m->state.adding_bytes = 0;
    uidset_union(&m->state.uids, &m->state.adding);
    uidset_clear(&m->state.adding);
    TRY(write_state(m));
    return ftruncate(m->part_fd, 0) < 0 ? err_from_errno(errno) : ERR_OK;
}

static enum err complete(struct mbox *m, uint64_t bytes, bool *out_ours)
{
    struct stat part;
    if (fstat(m->part_fd, &part) < 0)
        return err_from_errno(errno);
    *out_ours = (uint64_t)part.st_size == m->state.adding_bytes &&
                bytes <= m->state.bytes + m->state.adding_bytes;
    if (*out_ours)
        TRY(agrees(m, bytes - m->state.bytes, out_ours));
    if (!*out_ours)
        return ERR_OK;
    TRY(append_part(m));
    return settle(m);
}

/* *out_ours: the mbox is what the state says. */
static enum err check(struct mbox *m, bool *out_ours)
{
    struct stat st;
    if (fstat(m->fd, &st) < 0)
        return err_from_errno(errno);
    uint64_t bytes = (uint64_t)st.st_size;
    *out_ours = S_ISREG(st.st_mode) && bytes >= m->state.bytes &&
                (bytes == m->state.bytes || m->state.adding_bytes);
    if (*out_ours && m->state.adding_bytes)
        return complete(m, bytes, out_ours);
    return ERR_OK;
}

/* Another program that reads or changes it at this moment keeps us out, and we it. */
static bool take_lock(const struct mbox *m)
{
    struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    return fcntl(m->fd, F_SETLK, &all) == 0;
}

/* INBOX.17.mbox; INBOX.17-2.mbox where that is taken: a server may come back to a UIDVALIDITY, or have a folder INBOX.17. */
static enum err rename_aside(struct mbox *m)
{
    char aside[NAME_BYTES_MAX + 32];
    enum err e = ERR_EXISTS;
    for (unsigned n = 1; e == ERR_EXISTS && n <= ASIDE_MAX; n++) {
        int len = snprintf(aside, sizeof aside, "%.*s.%u", (int)(strlen(m->name) - 5), m->name,
            m->state.uidvalidity);
        if (n == 1)
            snprintf(aside + len, sizeof aside - (size_t)len, ".mbox");
        else
            snprintf(aside + len, sizeof aside - (size_t)len, "-%u.mbox", n);
        e = near_rename(m->folder_fd, m->name, m->folder_fd, aside);
    }
    return e;
}

/* A new UIDVALIDITY: nothing in the old mbox can be told from what is there now, so that it stays, under another name, and all comes anew. */
static enum err set_aside(struct mbox *m)
{
    TRY(rename_aside(m));
    if (unlinkat(m->folder_fd, m->state_name, 0) < 0 || fsync(m->folder_fd) < 0)
        return err_from_errno(errno);
    export_state_done(&m->state);
    export_state_init(&m->state);
    return ERR_OK;
}

/* ---- a message ---- */

static enum err begin(void *arg)
{
    struct mbox *m = arg;
    buf_clear(&m->spool);
    m->spool_bytes = 0;
    return ERR_OK;
}

static enum err spill(struct mbox *m)
{
    if (m->spool_fd < 0)
        m->spool_fd = openat(m->folder_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (m->spool_fd < 0) { /* a file system without it */
        char hidden[96];
        near_new_base(hidden + 1);
        hidden[0] = '.';
        m->spool_fd = openat(m->folder_fd, hidden, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (m->spool_fd >= 0)
            (void)unlinkat(m->folder_fd, hidden, 0);
    }
    if (m->spool_fd < 0)
        return of_errno(m);
    enum err e = file_write(m->spool_fd, buf_slice(&m->spool));
    buf_clear(&m->spool);
    return e == ERR_OK ? e : failed(m, e);
}

static enum err piece(void *arg, struct slice bytes)
{
    struct mbox *m = arg;
    m->spool_bytes += bytes.len;
    buf_add(&m->spool, bytes);
    return buf_len(&m->spool) > SPOOL_BYTES_MAX ? spill(m) : ERR_OK;
}

static void drop(void *arg)
{
    struct mbox *m = arg;
    buf_clear(&m->spool);
    if (m->spool_fd >= 0)
        close(m->spool_fd);
    m->spool_fd = -1;
}

static enum err write_out(struct mbox *m)
{
    m->part_bytes += buf_len(&m->out);
    enum err e = file_write(m->part_fd, buf_slice(&m->out));
    buf_clear(&m->out);
    return e == ERR_OK ? e : failed(m, e);
}

static enum err copy_spool(struct mbox *m, struct export_mboxrd *one)
{
    autofree char *bytes = mem_alloc(PIECE_BYTES);
    off_t at = 0;
    for (ssize_t got = 1; m->spool_fd >= 0 && got > 0; at += got) {
        got = pread(m->spool_fd, bytes, PIECE_BYTES, at);
        if (got < 0)
            return of_errno(m);
        export_mboxrd_piece(one, slice_from(bytes, (size_t)got), &m->out);
        TRY(write_out(m));
    }
    export_mboxrd_piece(one, buf_slice(&m->spool), &m->out);
    return ERR_OK;
}

/* "R" is read; "O" is old: no program calls it new. Keywords are words, which most programs read so. */
static void write_status(const struct imap_value *flags, struct buf *out)
{
    static const struct {
        struct slice name;
        char letter;
    } letters[] = { { SLICE_CONST("\\Answered"), 'A' }, { SLICE_CONST("\\Flagged"), 'F' },
        { SLICE_CONST("\\Draft"), 'T' }, { SLICE_CONST("\\Deleted"), 'D' } };
    const char *word = "X-Keywords: ";
    buf_adds(out, imap_value_has(flags, SLICE("\\Seen")) ? "Status: RO\n" : "Status: O\n");
    size_t start = buf_len(out);
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++) {
        if (!imap_value_has(flags, letters[i].name))
            continue;
        buf_adds(out, buf_len(out) == start ? "X-Status: " : "");
        buf_addc(out, letters[i].letter);
    }
    buf_adds(out, buf_len(out) == start ? "" : "\n");
    const struct imap_value *value = flags && flags->kind == IMAP_VALUE_LIST ? flags->first : NULL;
    for (; value; value = value->next) {
        if (value->kind != IMAP_VALUE_ATOM || value->text.len == 0 || value->text.ptr[0] == '\\' ||
            !imapc_flag_ok(value->text))
            continue;
        buf_adds(out, word);
        buf_add(out, value->text);
        word = " ";
    }
    buf_adds(out, *word == ' ' ? "\n" : "");
}

static enum err add_batch(struct mbox *m);

static enum err end(void *arg, const struct export_facts *facts)
{
    struct mbox *m = arg;
    struct export_mboxrd one;
    struct buf status;
    buf_init(&status, 0);
    write_status(facts->flags, &status);
    export_mboxrd_from(facts->received_s, &m->out);
    export_mboxrd_begin(&one, buf_slice(&status));
    enum err e = copy_spool(m, &one);
    export_mboxrd_end(&one, &m->out);
    export_mboxrd_done(&one);
    buf_done(&status);
    drop(m);
    if (e == ERR_OK)
        e = write_out(m);
    uidset_add(&m->fresh.uids, facts->uid);
    m->batch_count++;
    m->batch_bytes += m->spool_bytes;
    if (e == ERR_OK &&
        (m->batch_count == EXPORT_BATCH_MESSAGES || m->part_bytes >= EXPORT_BATCH_BYTES))
        e = add_batch(m);
    return e;
}

/* ---- a batch ---- */

static enum err add_synced(struct mbox *m)
{
    if (fsync(m->part_fd) < 0)
        return err_from_errno(errno);
    m->state.adding_bytes = m->part_bytes;
    uidset_swap(&m->state.adding, &m->fresh.uids);
    TRY(write_state(m));
    TRY(append_part(m));
    TRY(settle(m));
    return lseek(m->part_fd, 0, SEEK_SET) < 0 ? err_from_errno(errno) : ERR_OK;
}

static enum err add_batch(struct mbox *m)
{
    struct export_result *result = m->job->result;
    if (m->batch_count == 0)
        return ERR_OK;
    enum err e = add_synced(m);
    if (e != ERR_OK)
        return failed(m, e);
    result->messages += m->batch_count;
    result->bytes += m->batch_bytes;
    export_told(m->job->export, m->batch_count);
    m->part_bytes = m->batch_bytes = m->batch_count = 0;
    uidset_clear(&m->fresh.uids);
    return ERR_OK;
}

/* ---- the folder ---- */

static void leave_out_what_is_here(struct mbox *m)
{
    struct uidset here;
    uidset_init(&here);
    uidset_copy(&here, &m->state.uids);
    uidset_intersect(&here, &m->job->uids);
    m->job->result->there = uidset_members(&here);
    uidset_subtract(&m->job->uids, &here);
    uidset_done(&here);
}

static enum err open_mbox(struct mbox *m, int flags)
{
    m->fd = openat(m->folder_fd, m->name,
        flags | O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
    return m->fd < 0 ? err_from_errno(errno) : ERR_OK;
}

/* Sets up state and mbox. *out_ok false: the folder is stopped. */
static enum err prepare(struct mbox *m, bool *out_ok)
{
    bool ours = false;
    *out_ok = false;
    enum err known = read_state(m);
    if (known != ERR_OK && known != ERR_NOT_FOUND && known != ERR_SYNTAX)
        return known;
    enum err e = open_mbox(m, 0);
    if (e == ERR_NOT_FOUND) { /* none yet, or it was taken away: all of it comes */
        export_state_done(&m->state);
        export_state_init(&m->state);
        *out_ok = true;
        return ERR_OK;
    }
    if (e != ERR_OK || known != ERR_OK)
        return export_stopped(m->job, known == ERR_OK ? EXPORT_CHANGED : EXPORT_FOREIGN);
    if (!take_lock(m))
        return export_stopped(m->job, EXPORT_CHANGED);
    if (m->job->export->options.dry_run) {
        *out_ok = true;
        return ERR_OK;
    }
    TRY(check(m, &ours));
    if (!ours)
        return export_stopped(m->job, EXPORT_CHANGED);
    *out_ok = true;
    return ERR_OK;
}

static enum err open_for_adding(struct mbox *m)
{
    if (m->fd >= 0 && m->state.uidvalidity != m->job->uidvalidity) {
        TRY(set_aside(m));
        close(m->fd);
        m->fd = -1;
    }
    if (m->fd >= 0)
        return ERR_OK;
    m->state.uidvalidity = m->job->uidvalidity;
    TRY(write_state(m)); /* before the mbox: one without a state is somebody else's */
    TRY(open_mbox(m, O_CREAT | O_EXCL));
    if (!take_lock(m))
        return ERR_BUSY;
    return fsync(m->folder_fd) < 0 ? err_from_errno(errno) : ERR_OK;
}

static enum err copy(struct mbox *m)
{
    struct export_job *job = m->job;
    struct export_sink sink = {
        .begin = begin, .piece = piece, .end = end, .drop = drop, .arg = m
    };
    bool ok = false;
    enum err e = prepare(m, &ok);
    if (e != ERR_OK)
        return failed(m, e);
    if (!ok) {
        uidset_clear(&job->uids);
        return ERR_OK;
    }
    if (m->state.uidvalidity == job->uidvalidity)
        leave_out_what_is_here(m);
    if (job->export->options.dry_run)
        return export_count(job);
    e = open_for_adding(m);
    if (e != ERR_OK)
        return failed(m, e);
    if (uidset_empty(&job->uids))
        return ERR_OK;
    if (ftruncate(m->part_fd, 0) < 0)
        return of_errno(m);
    e = export_take(job->export, &job->uids, &sink);
    if (job->result->stop != EXPORT_DISK && add_batch(m) != ERR_OK) /* what came whole stays */
        e = ERR_IO;
    return e;
}

/* The folder that the mbox is in, made part by part, and the names. */
static enum err open_folder(struct mbox *m, bool make)
{
    struct slice rest = slice_of(m->job->result->path), part;
    m->folder_fd = fcntl(m->job->export->top_fd, F_DUPFD_CLOEXEC, 3);
    while (m->folder_fd >= 0 && slice_index(rest, '/') < rest.len && slice_cut(&rest, '/', &part)) {
        autofree char *name = mem_strndup(part.ptr, part.len);
        autoclose int above = m->folder_fd;
        m->folder_fd = -1;
        if (make && mkdirat(above, name, 0700) == 0 && fsync(above) < 0)
            return err_from_errno(errno);
        m->folder_fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
    if (m->folder_fd < 0)
        return err_from_errno(errno);
    snprintf(m->name, sizeof m->name, "%.*s", SLICE_FMT(rest));
    snprintf(m->state_name, sizeof m->state_name, ".%.*s.barid", SLICE_FMT(rest));
    snprintf(m->part_name, sizeof m->part_name, ".%.*s.part", SLICE_FMT(rest));
    if (!make)
        return ERR_OK;
    m->part_fd =
        openat(m->folder_fd, m->part_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    return m->part_fd < 0 ? err_from_errno(errno) : ERR_OK;
}

static enum err in_mbox(struct mbox *m)
{
    const struct export *export = m->job->export;
    bool dry = export->options.dry_run;
    if (export->top_fd < 0)
        return export_count(m->job);
    enum err e = open_folder(m, !dry);
    if (e == ERR_NOT_FOUND && dry)
        return export_count(m->job);
    if (e != ERR_OK)
        return failed(m, e);
    e = copy(m);
    if (m->part_fd >= 0 && m->state.adding_bytes == 0)
        (void)unlinkat(m->folder_fd, m->part_name, 0);
    return e;
}

enum err export_mbox(struct export_job *job)
{
    struct mbox *m = mem_zalloc(1, sizeof *m);
    *m = (struct mbox){ .job = job, .folder_fd = -1, .fd = -1, .part_fd = -1, .spool_fd = -1 };
    export_state_init(&m->state);
    export_state_init(&m->fresh);
    buf_init(&m->spool, 0);
    buf_init(&m->out, 0);
    enum err e = in_mbox(m);
    drop(m);
    const int fds[] = { m->folder_fd, m->fd, m->part_fd };
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    export_state_done(&m->state);
    export_state_done(&m->fresh);
    buf_done(&m->spool);
    buf_done(&m->out);
    free(m);
    return e;
}
