/* A folder of the server in a Maildir.
 *
 *     1790000001.V17U0000004711.barid:2,S      received then, UIDVALIDITY 17, UID 4711
 *
 *     tmp/ file ─► synced with its batch ─► renamed ─► names synced ─► counted (E-1)
 *
 * UIDs have ten digits, so that names of one second are in the order of their UIDs. */
#include "export/export_int.h"
#include "sync/flags.h"
#include "sync/near.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARENA_BYTES_MAX (1u << 30) /* names: some 100 bytes for each of millions of messages */

struct arrived {
    char draft[80]; /* its name in tmp/ */
    uint32_t uid, flags;
    int64_t received_s;
    uint64_t bytes;
};

struct maildir {
    struct export_job *job;
    struct near_folder near;
    struct sync_keywords keywords;
    bool keywords_changed;
    struct near_draft draft;
    struct arrived batch[EXPORT_BATCH_MESSAGES];
    size_t count;
    uint64_t bytes;
};

/* ---- what is here ---- */

/* ".V17U0000004711.barid" behind the seconds. 0: it is no file of ours, or of another UIDVALIDITY. */
static uint32_t uid_of(struct slice base, uint32_t uidvalidity)
{
    uint64_t validity, uid;
    struct slice seconds, numbers, first;
    if (!slice_cut(&base, '.', &seconds) || !slice_cut(&base, '.', &numbers) ||
        !slice_eq(base, SLICE("barid")) || !slice_starts(numbers, SLICE("V")))
        return 0;
    numbers = slice_from_index(numbers, 1);
    if (!slice_cut(&numbers, 'U', &first) || slice_to_u64(first, UINT32_MAX, &validity) != ERR_OK ||
        slice_to_u64(numbers, UINT32_MAX, &uid) != ERR_OK || validity != uidvalidity)
        return 0;
    return (uint32_t)uid;
}

static void leave_out_what_is_here(struct maildir *m)
{
    struct uidset here;
    uidset_init(&here);
    for (size_t i = 0; i < m->near.count; i++)
        uidset_add(&here, uid_of(m->near.files[i].base, m->job->uidvalidity));
    uidset_intersect(&here, &m->job->uids);
    m->job->result->there = uidset_members(&here);
    uidset_subtract(&m->job->uids, &here);
    uidset_done(&here);
}

/* ---- what comes ---- */

static enum err begin(void *arg)
{
    struct maildir *m = arg;
    enum err e = near_draft_open(&m->near, &m->draft);
    return e == ERR_OK ? e : export_disk(m->job, e, m->job->result->path);
}

static enum err piece(void *arg, struct slice bytes)
{
    struct maildir *m = arg;
    enum err e = near_draft_add(&m->draft, bytes);
    return e == ERR_OK ? e : export_disk(m->job, e, m->job->result->path);
}

static void drop(void *arg)
{
    struct maildir *m = arg;
    near_draft_drop(&m->draft);
}

static enum err file_one(struct maildir *m, const struct arrived *arrived)
{
    struct buf name;
    char base[80];
    snprintf(base, sizeof base, "%" PRId64 ".V%uU%010u.barid", arrived->received_s,
        m->job->uidvalidity, arrived->uid);
    buf_init(&name, 0);
    near_name(&m->near, slice_of(base), arrived->flags, &name);
    enum err e = near_rename(m->near.tmp_fd, arrived->draft,
        arrived->flags ? m->near.cur_fd : m->near.new_fd, buf_slice(&name).ptr);
    buf_done(&name);
    if (e == ERR_EXISTS) /* somebody put it there since it was looked for */
        near_draft_forget(&m->near, arrived->draft);
    return e == ERR_EXISTS ? ERR_OK : e;
}

static enum err file_all(struct maildir *m)
{
    if (m->keywords_changed)
        TRY(near_write_keywords(&m->near, &m->keywords));
    m->keywords_changed = false;
    TRY(near_sync(&m->near));
    for (size_t i = 0; i < m->count; i++)
        TRY(file_one(m, &m->batch[i]));
    TRY(near_sync_names(&m->near));
    return fsync(m->near.fd) < 0 ? err_from_errno(errno) : ERR_OK;
}

static enum err file_batch(struct maildir *m)
{
    struct export_result *result = m->job->result;
    if (m->count == 0)
        return ERR_OK;
    enum err e = file_all(m);
    if (e != ERR_OK)
        return export_disk(m->job, e, result->path);
    for (size_t i = 0; i < m->count; i++)
        result->bytes += m->batch[i].bytes;
    result->messages += m->count;
    export_told(m->job->export, m->count);
    m->count = 0;
    m->bytes = 0;
    return ERR_OK;
}

static enum err end(void *arg, const struct export_facts *facts)
{
    struct maildir *m = arg;
    struct sync_facts made;
    bool is_new = false, left_out = false;
    struct arrived *arrived = &m->batch[m->count];
    *arrived = (struct arrived){ .uid = facts->uid,
        .received_s = facts->received_s > 0 ? facts->received_s : 0,
        .flags = sync_flag_bits(&m->keywords, facts->flags, &is_new, &left_out) };
    m->keywords_changed |= is_new;
    m->job->result->left_out += left_out;
    memcpy(arrived->draft, m->draft.base, sizeof arrived->draft);
    enum err e = near_draft_end(&m->draft, facts->received_s, &made);
    if (e != ERR_OK)
        return export_disk(m->job, e, m->job->result->path);
    arrived->bytes = made.bytes;
    m->count++;
    m->bytes += made.bytes;
    return m->count == EXPORT_BATCH_MESSAGES || m->bytes >= EXPORT_BATCH_BYTES ? file_batch(m)
                                                                               : ERR_OK;
}

/* ---- the folder ---- */

static enum err copy(struct maildir *m, struct arena *arena)
{
    struct export *export = m->job->export;
    struct export_sink sink = {
        .begin = begin, .piece = piece, .end = end, .drop = drop, .arg = m
    };
    enum err e = near_scan(&m->near, arena, &m->keywords, &m->job->result->note);
    if (e != ERR_OK)
        return export_disk(m->job, e, m->job->result->path);
    leave_out_what_is_here(m);
    if (export->options.dry_run)
        return export_count(m->job);
    near_sweep(&m->near);
    e = uidset_empty(&m->job->uids) ? ERR_OK : export_take(export, &m->job->uids, &sink);
    if (m->job->result->stop != EXPORT_DISK && file_batch(m) != ERR_OK) /* what came whole stays */
        e = ERR_IO;
    for (size_t i = 0; i < m->count; i++) /* of a run that ends early */
        near_draft_forget(&m->near, m->batch[i].draft);
    return e;
}

static enum err in_maildir(struct maildir *m)
{
    const struct export *export = m->job->export;
    struct export_result *result = m->job->result;
    bool dry = export->options.dry_run;
    struct arena arena;
    if (export->top_fd < 0)
        return export_count(m->job);
    enum err e = near_open(
        export->top_fd, result->path, dry ? NEAR_READ : NEAR_MAKE, &m->near, &result->note);
    if (e == ERR_NOT_FOUND && dry)
        return export_count(m->job);
    if (e != ERR_OK)
        return export_disk(m->job, e, result->path);
    arena_init(&arena, ARENA_BYTES_MAX);
    e = copy(m, &arena);
    arena_done(&arena);
    near_close(&m->near);
    return e;
}

enum err export_maildir(struct export_job *job)
{
    struct maildir *m = mem_zalloc(1, sizeof *m);
    m->job = job;
    enum err e = in_maildir(m);
    sync_keywords_done(&m->keywords);
    free(m);
    return e;
}
