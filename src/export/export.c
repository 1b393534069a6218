/* The folder of an export, and what both formats share: which messages there are, and fetching them. */
#include "export/export.h"

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"
#include "export/export_int.h"
#include "proto/imap/imap_date.h"
#include "proto/imap/imap_utf7.h"
#include "sync/near.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARKER           ".barid-export"
#define MARKER_BYTES_MAX 2048u
#define REFUSED_MAX                                                                                \
    100u /* commands in a row: to find one bad message among all takes 32; more is a server that gives nothing */

/* ---- whose folder it is ---- */

static void write_marker(const struct export_options *options, struct buf *out)
{
    buf_addf(out, "barid-export 1\nformat %s\nmailbox %s\n",
        options->format == EXPORT_MBOX ? "mbox" : "maildir", options->owner);
}

static enum err is_empty(int fd, bool *out_empty)
{
    DIR *dir;
    TRY(dir_open(fd, ".", &dir));
    *out_empty = true;
    errno = 0;
    for (const struct dirent *entry; (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strcmp(entry->d_name, MARKER) != 0)
            *out_empty = false;
    enum err e = errno ? err_from_errno(errno) : ERR_OK;
    closedir(dir);
    return e;
}

/* One that a killed run began to write is its beginning, in a folder with nothing else. */
static enum err check_marker(
    const struct export *export, struct slice wanted, bool *out_write, enum export_stop *out_stop)
{
    char text[MARKER_BYTES_MAX];
    bool empty;
    ssize_t len = pread(export->marker_fd, text, sizeof text, 0);
    if (len < 0)
        return err_from_errno(errno);
    struct slice found = slice_from(text, (size_t)len);
    *out_write = false;
    if (slice_eq(found, wanted))
        return ERR_OK;
    TRY(is_empty(export->top_fd, &empty));
    *out_write = empty && slice_starts(wanted, found);
    if (*out_write)
        return ERR_OK;
    *out_stop = found.len ? EXPORT_OTHER_OWNER : EXPORT_NOT_EMPTY;
    return ERR_DENIED;
}

static enum err mark(struct export *export, enum export_stop *out_stop)
{
    struct buf wanted;
    bool must_write = false;
    buf_init(&wanted, 0);
    write_marker(&export->options, &wanted);
    enum err e = check_marker(export, buf_slice(&wanted), &must_write, out_stop);
    if (e == ERR_OK && must_write && !export->options.dry_run) {
        e = file_write(export->marker_fd, buf_slice(&wanted));
        if (e == ERR_OK && (fsync(export->marker_fd) < 0 || fsync(export->top_fd) < 0))
            e = err_from_errno(errno);
    }
    buf_done(&wanted);
    return e;
}

static enum err lock(struct export *export, enum export_stop *out_stop)
{
    if (flock(export->marker_fd, LOCK_EX | LOCK_NB) == 0)
        return ERR_OK;
    if (errno != EWOULDBLOCK)
        return err_from_errno(errno);
    *out_stop = EXPORT_RUNNING;
    return ERR_BUSY;
}

/* Without a marker: nothing else may be in it. A marker is made only there, so that no file of ours appears in a folder of somebody else. */
static enum err open_marker(struct export *export, enum export_stop *out_stop)
{
    bool empty, dry = export->options.dry_run;
    export->marker_fd =
        openat(export->top_fd, MARKER, (dry ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_CLOEXEC);
    if (export->marker_fd >= 0)
        return ERR_OK;
    if (errno != ENOENT)
        return err_from_errno(errno);
    TRY(is_empty(export->top_fd, &empty));
    if (!empty) {
        *out_stop = EXPORT_NOT_EMPTY;
        return ERR_DENIED;
    }
    if (dry)
        return ERR_NOT_FOUND;
    export->marker_fd =
        openat(export->top_fd, MARKER, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    return export->marker_fd < 0 ? err_from_errno(errno) : ERR_OK;
}

/* The top is a Maildir, whichever folders go into it: programs that read one look there first. */
static enum err make_maildir(const struct export *export)
{
    struct near_folder top;
    TRY(near_open(export->top_fd, "", NEAR_MAKE, &top, NULL));
    near_close(&top);
    return ERR_OK;
}

static enum err open_top(struct export *export, enum export_stop *out_stop)
{
    const struct export_options *options = &export->options;
    *out_stop = EXPORT_DISK;
    if (!options->dry_run)
        TRY(dir_make_path(options->path));
    export->top_fd = open(options->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (export->top_fd < 0 && errno == ENOENT && options->dry_run)
        return ERR_OK;
    if (export->top_fd < 0)
        return err_from_errno(errno);
    enum err e = open_marker(export, out_stop);
    if (e == ERR_NOT_FOUND && options->dry_run)
        return ERR_OK;
    if (e == ERR_OK)
        e = lock(export, out_stop);
    if (e == ERR_OK)
        e = mark(export, out_stop);
    if (e == ERR_OK && !options->dry_run && options->format == EXPORT_MAILDIR)
        e = make_maildir(export);
    return e;
}

enum err export_open(const struct export_options *options, struct export **out_export,
    enum export_stop *out_stop, struct err_note *note)
{
    struct export *export = mem_zalloc(1, sizeof *export);
    *export = (struct export){ .options = *options, .top_fd = -1, .marker_fd = -1 };
    enum err e = open_top(export, out_stop);
    if (e != ERR_OK) {
        export_close(export);
        return *out_stop == EXPORT_DISK ? err_noted(note, e, "%s: %s", options->path, err_words(e))
                                        : e;
    }
    *out_stop = EXPORT_FINE;
    *out_export = export;
    return ERR_OK;
}

void export_close(struct export *export)
{
    if (!export)
        return;
    if (export->top_fd >= 0)
        close(export->top_fd);
    if (export->marker_fd >= 0)
        close(export->marker_fd);
    free(export);
}

/* ---- fetching ---- */

struct taking {
    const struct export_sink *sink;
    struct uidset *uids;
    bool open;
    size_t refused; /* in a row, without a message between them */
    enum err result;
};

static enum err body_begin(struct imapc_task *task, uint64_t bytes)
{
    struct taking *t = task->owner;
    (void)bytes;
    if (t->open)
        return ERR_SYNTAX; /* two messages in one answer */
    enum err e = t->sink->begin(t->sink->arg);
    t->open = e == ERR_OK;
    return e;
}

static enum err body_piece(struct imapc_task *task, struct slice piece)
{
    const struct taking *t = task->owner;
    return t->sink->piece(t->sink->arg, piece);
}

/* A message as a quoted string: servers do so for empty ones. */
static enum err small_body(struct taking *t, const struct imap_value *value)
{
    if (t->open || !imap_value_is_text(value))
        return ERR_OK;
    TRY(t->sink->begin(t->sink->arg));
    t->open = true;
    return t->sink->piece(t->sink->arg, value->text);
}

static enum err taken(struct imapc_task *task, const struct imap_reply *reply)
{
    struct taking *t = task->owner;
    struct export_facts facts = { .uid = 0 };
    int32_t zone;
    if (!reply->numbered || !slice_eq_nocase(reply->name, SLICE("FETCH")))
        return ERR_OK;
    TRY(small_body(t, imap_value_item(reply->values, SLICE("BODY[]"))));
    if (!t->open)
        return ERR_OK; /* flags that somebody changed */
    t->open = false;
    if (imap_value_u32(imap_value_item(reply->values, SLICE("UID")), &facts.uid) != ERR_OK ||
        !uidset_has(t->uids, facts.uid)) {
        t->sink->drop(t->sink->arg);
        return ERR_OK;
    }
    const struct imap_value *date = imap_value_item(reply->values, SLICE("INTERNALDATE"));
    facts.flags = imap_value_item(reply->values, SLICE("FLAGS"));
    if (!date || imap_datetime_read(date->text, &facts.received_s, &zone) != ERR_OK)
        facts.received_s = 0;
    uidset_remove(t->uids, facts.uid);
    t->refused = 0;
    return t->sink->end(t->sink->arg, &facts);
}

static enum err taken_done(struct imapc_task *task, const struct imap_reply *reply)
{
    struct taking *t = task->owner;
    t->result = imapc_reply_err(reply);
    return ERR_OK;
}

/* One command for each part of the set that fits a line. *out_refused: the server said NO to one; what it gave all the same is taken. */
static enum err ask(
    struct imapc *imap, struct taking *t, const struct uidset *set, bool *out_refused)
{
    enum err e = ERR_OK;
    *out_refused = false;
    for (size_t at = 0; e == ERR_OK && at < set->count;) {
        struct imapc_task task = { .data = taken,
            .body_begin = body_begin,
            .body = body_piece,
            .done = taken_done,
            .owner = t };
        struct buf text;
        buf_init(&text, 0);
        buf_adds(&text, "UID FETCH ");
        imapc_add_set(&text, set, &at);
        buf_adds(&text, " (UID FLAGS INTERNALDATE BODY.PEEK[])");
        imapc_queue(imap, &task, buf_slice(&text));
        buf_done(&text);
        e = imapc_run(imap, &task);
        if (t->open)
            t->sink->drop(t->sink->arg);
        t->open = false;
        if (e != ERR_OK || t->result == ERR_OK)
            continue;
        *out_refused = true;
        if (++t->refused > REFUSED_MAX)
            e = t->result;
    }
    return e;
}

static void cut_in_half(struct uidset *set, struct uidset *out_half)
{
    uint32_t middle = uidset_at(set, (uint32_t)(uidset_members(set) / 2));
    uidset_add_run(out_half, 1, middle);
    uidset_intersect(out_half, set);
    uidset_subtract(set, out_half);
}

/* Servers end a FETCH at a message that they cannot read: what is behind it is asked for again, in halves, until that one stays alone. */
static enum err take(struct imapc *imap, struct taking *t, struct uidset *set)
{
    bool refused = false;
    uint64_t asked = uidset_members(set);
    struct uidset half;
    enum err e = ask(imap, t, set, &refused);
    uidset_intersect(set, t->uids);
    if (e != ERR_OK || !refused || asked == 1 || uidset_empty(set))
        return e;
    uidset_init(&half);
    if (uidset_members(set) > 1)
        cut_in_half(set, &half);
    e = uidset_empty(&half) ? ERR_OK : take(imap, t, &half);
    if (e == ERR_OK)
        e = take(imap, t, set);
    uidset_done(&half);
    return e;
}

enum err export_take(struct export *export, struct uidset *uids, const struct export_sink *sink)
{
    struct taking t = { .sink = sink, .uids = uids };
    struct uidset wanted; /* the other one shrinks meanwhile */
    uidset_init(&wanted);
    uidset_copy(&wanted, uids);
    enum err e = imapc_expect(export->options.imap, uidset_members(uids) * IMAPC_MESSAGE_BYTES);
    if (e == ERR_OK)
        e = take(export->options.imap, &t, &wanted);
    uidset_done(&wanted);
    return e;
}

void export_told(struct export *export, uint64_t messages)
{
    export->told += messages;
    if (export->options.progress)
        export->options.progress(export->options.arg, export->told);
}

/* ---- one folder ---- */

enum err export_stopped(struct export_job *job, enum export_stop stop)
{
    job->result->stop = stop;
    return ERR_OK;
}

enum err export_disk(struct export_job *job, enum err e, const char *what)
{
    job->result->stop = EXPORT_DISK;
    return err_noted(&job->result->note, e, "%s: %s", *what ? what : ".", err_words(e));
}

static enum err count_one(void *arg, const struct imapc_message *message)
{
    struct export_result *result = arg;
    result->messages++;
    result->bytes += message->bytes;
    return ERR_OK;
}

enum err export_count(struct export_job *job)
{
    return imapc_each_of(job->export->options.imap, &job->uids, "", count_one, job->result);
}

static enum err add_uid(void *arg, const struct imapc_message *message)
{
    uidset_add(arg, message->uid);
    return ERR_OK;
}

/* What there is. Some servers leave something out of a SEARCH, or answer with nothing: then they are asked in another way, and what is still not listed is missing. */
static enum err list(struct export_job *job, uint32_t exists)
{
    struct imapc *imap = job->export->options.imap;
    struct imapc_query all = { .count = 0 };
    buf_init(&all.text, 0);
    buf_adds(&all.text, "ALL");
    enum err e = imapc_search(imap, &all, &job->uids);
    imapc_query_done(&all);
    if (e == ERR_OK && uidset_members(&job->uids) < exists)
        e = imapc_each(imap, SLICE("1:*"), false, "", exists, add_uid, &job->uids);
    uint64_t listed = uidset_members(&job->uids);
    job->unlisted = listed < exists ? exists - listed : 0;
    return e;
}

static enum err copy_selected(struct export_job *job, const struct imapc_box *box)
{
    if (!box->uidvalidity)
        return export_stopped(job, EXPORT_NO_UIDVALIDITY);
    job->uidvalidity = box->uidvalidity;
    TRY(list(job, box->exists));
    return job->export->options.format == EXPORT_MBOX ? export_mbox(job) : export_maildir(job);
}

static bool is_raw(const struct imapc_folder *folder)
{
    struct buf name;
    buf_init(&name, 0);
    bool raw = imap_utf7_decode(slice_of(folder->far_name), &name) != ERR_OK;
    buf_done(&name);
    return raw;
}

static char *path_of(const struct export *export, const struct imapc_folder *folder)
{
    struct buf path;
    buf_init(&path, 0);
    export_path(
        slice_of(folder->name), is_raw(folder), folder->delimiter, export->options.format, &path);
    char *text = mem_strndup(buf_slice(&path).ptr, buf_len(&path));
    buf_done(&path);
    return text;
}

enum err export_folder(
    struct export *export, const struct imapc_folder *folder, struct export_result *out_result)
{
    struct imapc_box box = { 0 };
    struct export_job job = { .export = export, .folder = folder, .result = out_result };
    *out_result = (struct export_result){ .stop = EXPORT_FINE, .path = path_of(export, folder) };
    uidset_init(&job.uids);
    enum err e = imapc_select(export->options.imap, folder->far_name, true, &box);
    if (e == ERR_OK)
        e = copy_selected(&job, &box);
    imapc_box_done(&box);
    out_result->missing = job.unlisted;
    if (e == ERR_OK && !export->options.dry_run)
        out_result->missing += uidset_members(&job.uids);
    uidset_done(&job.uids);
    if (e == ERR_OK || out_result->stop == EXPORT_DISK)
        return e;
    if (imapc_is_broken(export->options.imap)) {
        out_result->stop = EXPORT_BROKEN;
        return e;
    }
    out_result->stop = EXPORT_REFUSED;
    return ERR_OK;
}

void export_result_done(struct export_result *result)
{
    free(result->path);
    result->path = NULL;
}
