/* Messages of the selected folder: facts of many, the bytes of one, and what changes them. */
#include "client/imap/imapc_mail.h"

#include "proto/imap/imap_date.h"

#include <string.h>

void imapc_add_set(struct buf *out, const struct uidset *uids, size_t *at)
{
    const char *comma = "";
    for (size_t start = buf_len(out);
         *at < uids->count && buf_len(out) - start < IMAPC_SET_BYTES_MAX; ++*at) {
        buf_addf(out, "%s%u:%u", comma, uids->runs[*at].first, uids->runs[*at].last);
        comma = ",";
    }
}

static enum err note_result(enum err *result, const struct imap_reply *reply)
{
    *result = imapc_reply_err(reply);
    return ERR_OK;
}

/* ---- facts ---- */

struct facts {
    imapc_message_fn each;
    void *arg;
    const struct uidset *wanted; /* NULL: any */
    struct uidset seen;
    uint64_t answers, most;
    enum err result;
};

/* BODY[HEADER.FIELDS (...)], whose names a server may write in its own way. */
static struct slice header_of(const struct imap_value *list)
{
    for (const struct imap_value *value = list->first; value && value->next;
         value = value->next->next)
        if (value->kind == IMAP_VALUE_ATOM &&
            slice_starts_nocase(value->text, SLICE("BODY[HEADER")) &&
            imap_value_is_text(value->next))
            return value->next->text;
    return SLICE_EMPTY;
}

static enum err facts_data(struct imapc_task *task, const struct imap_reply *reply)
{
    struct facts *facts = task->owner;
    const struct imap_value *list = reply->values;
    struct imapc_message m = { 0 };
    if (!reply->numbered || !slice_eq_nocase(reply->name, SLICE("FETCH")))
        return ERR_OK;
    if (++facts->answers > 2 * facts->most + 1000)
        return ERR_LIMIT; /* two for each, and changes of others */
    if (!list || list->kind != IMAP_VALUE_LIST ||
        imap_value_u32(imap_value_item(list, SLICE("UID")), &m.uid) != ERR_OK || !m.uid ||
        imap_value_u64(imap_value_item(list, SLICE("RFC822.SIZE")), &m.bytes) != ERR_OK)
        return ERR_OK; /* a change of flags that somebody made */
    if ((facts->wanted && !uidset_has(facts->wanted, m.uid)) || uidset_has(&facts->seen, m.uid))
        return ERR_OK;
    uidset_add(&facts->seen, m.uid);
    const struct imap_value *date = imap_value_item(list, SLICE("INTERNALDATE"));
    m.flags = imap_value_item(list, SLICE("FLAGS"));
    if (!date || imap_datetime_read(date->text, &m.received_s, &m.zone_min) != ERR_OK)
        m.received_s = 0;
    m.header = header_of(list);
    return facts->each(facts->arg, &m);
}

static enum err facts_done(struct imapc_task *task, const struct imap_reply *reply)
{
    return note_result(&((struct facts *)task->owner)->result, reply);
}

static enum err fetch_facts(
    struct imapc *imap, struct facts *facts, struct slice set, bool by_number, const char *fields)
{
    struct imapc_task task = { .data = facts_data, .done = facts_done, .owner = facts };
    struct buf text;
    buf_init(&text, 0);
    buf_addf(&text, "%sFETCH %.*s (UID FLAGS INTERNALDATE RFC822.SIZE", by_number ? "" : "UID ",
        SLICE_FMT(set));
    if (*fields)
        buf_addf(&text, " BODY.PEEK[HEADER.FIELDS (%s)]", fields);
    buf_addc(&text, ')');
    imapc_queue(imap, &task, buf_slice(&text));
    buf_done(&text);
    enum err e = imapc_run(imap, &task);
    return e == ERR_OK ? facts->result : e;
}

enum err imapc_each(struct imapc *imap, struct slice set, bool by_number, const char *fields,
    uint64_t most, imapc_message_fn each, void *arg)
{
    struct facts facts = { .each = each, .arg = arg, .most = most };
    uidset_init(&facts.seen);
    enum err e = fetch_facts(imap, &facts, set, by_number, fields);
    uidset_done(&facts.seen);
    return e;
}

enum err imapc_each_of(struct imapc *imap, const struct uidset *uids, const char *fields,
    imapc_message_fn each, void *arg)
{
    struct facts facts = { .each = each, .arg = arg, .wanted = uids, .most = uidset_members(uids) };
    struct buf set;
    enum err e = ERR_OK;
    uidset_init(&facts.seen);
    buf_init(&set, 0);
    for (size_t at = 0; e == ERR_OK && at < uids->count;) {
        buf_clear(&set);
        imapc_add_set(&set, uids, &at);
        e = fetch_facts(imap, &facts, buf_slice(&set), false, fields);
    }
    buf_done(&set);
    uidset_done(&facts.seen);
    return e;
}

/* ---- bytes ---- */

struct reading {
    const struct imapc_take *take;
    uint32_t uid;
    bool begun, there;
    enum err result;
};

static enum err body_begin(struct imapc_task *task, uint64_t bytes)
{
    struct reading *r = task->owner;
    if (r->begun)
        return ERR_SYNTAX; /* we asked for one */
    r->begun = true;
    return r->take->begin(r->take->arg, bytes);
}

static enum err body_piece(struct imapc_task *task, struct slice piece)
{
    struct reading *r = task->owner;
    return r->take->piece(r->take->arg, piece);
}

static enum err body_data(struct imapc_task *task, const struct imap_reply *reply)
{
    struct reading *r = task->owner;
    uint32_t uid;
    if (!reply->numbered || !slice_eq_nocase(reply->name, SLICE("FETCH")))
        return ERR_OK;
    const struct imap_value *body = imap_value_item(reply->values, SLICE("BODY[]"));
    if (!body)
        return ERR_OK;
    if (imap_value_u32(imap_value_item(reply->values, SLICE("UID")), &uid) != ERR_OK ||
        uid != r->uid || r->there)
        return ERR_SYNTAX;
    r->there = r->begun || body->kind == IMAP_VALUE_STRING;
    if (r->begun || !r->there)
        return ERR_OK;
    r->begun = true; /* a quoted string, for an empty message */
    TRY(r->take->begin(r->take->arg, body->text.len));
    return r->take->piece(r->take->arg, body->text);
}

static enum err body_done(struct imapc_task *task, const struct imap_reply *reply)
{
    return note_result(&((struct reading *)task->owner)->result, reply);
}

enum err imapc_read_message(struct imapc *imap, uint32_t uid, const struct imapc_take *take)
{
    struct reading r = { .take = take, .uid = uid };
    struct imapc_task task = { .data = body_data,
        .body_begin = body_begin,
        .body = body_piece,
        .done = body_done,
        .owner = &r };
    imapc_queuef(imap, &task, "UID FETCH %u (UID BODY.PEEK[])", uid);
    TRY(imapc_run(imap, &task));
    TRY(r.result);
    return r.there ? ERR_OK : ERR_NOT_FOUND;
}

/* ---- changes ---- */

bool imapc_flag_ok(struct slice flag)
{
    static const char no[] = "(){%*\"\\] ";
    if (flag.len && flag.ptr[0] == '\\')
        flag = slice_from_index(flag, 1);
    for (size_t i = 0; i < flag.len; i++)
        if (slice_at(flag, i) <= ' ' || slice_at(flag, i) >= 127 || strchr(no, flag.ptr[i]))
            return false;
    return flag.len > 0;
}

/* "before SET behind" for each set that fits a line. */
static enum err for_sets(
    struct imapc *imap, const char *before, const struct uidset *uids, struct slice behind)
{
    struct buf text;
    enum err e = ERR_OK;
    buf_init(&text, 0);
    for (size_t at = 0; e == ERR_OK && at < uids->count;) {
        buf_clear(&text);
        buf_adds(&text, before);
        imapc_add_set(&text, uids, &at);
        buf_add(&text, behind);
        e = imapc_command(imap, buf_slice(&text));
    }
    buf_done(&text);
    return e;
}

enum err imapc_store(struct imapc *imap, const struct uidset *uids, char sign, struct slice flags)
{
    struct buf behind;
    buf_init(&behind, 0);
    buf_addf(&behind, " %cFLAGS.SILENT (%.*s)", sign, SLICE_FMT(flags));
    enum err e = for_sets(imap, "UID STORE ", uids, buf_slice(&behind));
    buf_done(&behind);
    return e;
}

bool imapc_can_remove(const struct imapc *imap)
{
    return imapc_caps(imap) & IMAPC_UIDPLUS;
}

bool imapc_can_move(const struct imapc *imap)
{
    return imapc_caps(imap) & IMAPC_MOVE || imapc_can_remove(imap);
}

enum err imapc_expunge(struct imapc *imap, const struct uidset *uids)
{
    return for_sets(imap, "UID EXPUNGE ", uids, SLICE_EMPTY);
}

enum err imapc_remove(struct imapc *imap, const struct uidset *uids)
{
    if (!imapc_can_remove(imap))
        return ERR_DENIED;
    TRY(imapc_store(imap, uids, '+', SLICE("\\Deleted")));
    return imapc_expunge(imap, uids);
}

enum err imapc_move(struct imapc *imap, const struct uidset *uids, const char *far_name)
{
    struct buf behind;
    bool moves = imapc_caps(imap) & IMAPC_MOVE;
    if (!imapc_can_move(imap))
        return ERR_DENIED;
    buf_init(&behind, 0);
    buf_addc(&behind, ' ');
    enum err e = imapc_add_string(&behind, slice_of(far_name));
    if (e == ERR_OK)
        e = for_sets(imap, moves ? "UID MOVE " : "UID COPY ", uids, buf_slice(&behind));
    if (e == ERR_OK && !moves)
        e = imapc_remove(imap, uids);
    buf_done(&behind);
    return e;
}

/* ---- quota ---- */

struct quotas {
    struct imapc_quota *all;
    size_t count, answers;
    enum err result;
};

static void keep(char *out, size_t bytes, struct slice text)
{
    size_t len = text.len < bytes - 1 ? text.len : bytes - 1;
    memcpy(out, text.ptr, len);
    out[len] = '\0';
}

/* QUOTA root (STORAGE used limit MESSAGE used limit) */
static enum err quota_data(struct imapc_task *task, const struct imap_reply *reply)
{
    struct quotas *q = task->owner;
    const struct imap_value *root = reply->values;
    if (++q->answers > 1000)
        return ERR_LIMIT;
    if (!slice_eq_nocase(reply->name, SLICE("QUOTA")) || !root || !root->next ||
        root->kind == IMAP_VALUE_LIST || root->next->kind != IMAP_VALUE_LIST)
        return ERR_OK;
    const struct imap_value *name = root->next->first;
    for (; name && name->next && name->next->next && q->count < IMAPC_QUOTAS_MAX;
         name = name->next->next->next) {
        struct imapc_quota quota = { .used = 0 };
        if (name->kind != IMAP_VALUE_ATOM || imap_value_u64(name->next, &quota.used) != ERR_OK ||
            imap_value_u64(name->next->next, &quota.limit) != ERR_OK)
            break;
        keep(quota.root, sizeof quota.root, root->text);
        keep(quota.resource, sizeof quota.resource, name->text);
        q->all[q->count++] = quota;
    }
    return ERR_OK;
}

static enum err quota_done(struct imapc_task *task, const struct imap_reply *reply)
{
    return note_result(&((struct quotas *)task->owner)->result, reply);
}

enum err imapc_quotas(
    struct imapc *imap, struct imapc_quota out_all[IMAPC_QUOTAS_MAX], size_t *out_count)
{
    struct quotas q = { .all = out_all };
    struct imapc_task task = { .data = quota_data, .done = quota_done, .owner = &q };
    if (!(imapc_caps(imap) & IMAPC_QUOTA))
        return ERR_DENIED;
    imapc_queue(imap, &task, SLICE("GETQUOTAROOT \"INBOX\""));
    TRY(imapc_run(imap, &task));
    TRY(q.result);
    *out_count = q.count;
    return ERR_OK;
}
