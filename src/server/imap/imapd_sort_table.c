/* Filling tables for SORT, THREAD and SEARCH from the store. The mailbox's own table is kept (server/core/sort_cache.h), so each message is read for it once,
 * whoever asks. */
#include "base/log.h"
#include "message/header.h"
#include "server/imap/imapd_sort_int.h"

/* More rows of messages that are gone than of others, and than this, and the table is made anew. */
#define GONE_ROWS_MIN 1000

/* Of fewer wanted messages than one in so many that would be read for the mailbox's table, a table is made for the command alone. */
#define FEW 8

struct filling {
    struct imapd_session *s;
    struct sort_table *table;
    unsigned facts;
    struct imapd_made made;
    const struct store_row *row; /* the one in question */
    struct store_body *body;     /* of it */
    struct buf header; /* of the row in question, when the summary does not keep all of it */
    uint32_t uidnext;
};

static bool needs_summary(unsigned facts)
{
    return facts & ~(unsigned)SORT_FACT_ARRIVAL;
}

/* The fields that msg_thread_ids looks at. */
static enum err thread_header(struct filling *f, const struct store_row *row,
    const struct msg_summary *summary, struct slice *out_header)
{
    if (msg_kept_header(summary, out_header))
        return ERR_OK;
    size_t cursor = 0;
    struct msg_part whole;
    struct msg_source source;
    if (!msg_part_next(summary, &cursor, &whole))
        return ERR_CORRUPT;
    TRY(imapd_source(f->s, row, &f->body, &source));
    uint64_t len =
        whole.header_len < MIME_HEADERS_BYTES_MAX ? whole.header_len : MIME_HEADERS_BYTES_MAX;
    buf_clear(&f->header);
    TRY(msg_source_read(&source, whole.header_offset, (size_t)len, &f->header));
    *out_header = buf_slice(&f->header);
    return ERR_OK;
}

/* A source that opens the body only when somebody reads: most fields are in the summary. */
static enum err lazy_read(void *source_arg, uint64_t offset, size_t len, struct buf *out)
{
    struct filling *f = source_arg;
    struct msg_source source;
    TRY(imapd_source(f->s, f->row, &f->body, &source));
    return msg_source_read(&source, offset, len, out);
}

static enum err read_row(struct filling *f, const struct store_row *row)
{
    struct msg_source lazy = { .size = row->size, .read = lazy_read, .source_arg = f };
    struct sort_message message = { .uid = row->uid,
        .received_s = row->received_s,
        .size = row->size,
        .source = &lazy,
        .header = SLICE_EMPTY };
    f->row = row;
    struct msg_summary summary;
    enum err e = ERR_OK;
    if (needs_summary(f->facts)) {
        e = imapd_summary(f->s, row, &f->body, &f->made, &summary);
        if (e == ERR_OK && f->facts & SORT_FACT_IDS)
            e = thread_header(f, row, &summary, &message.header);
        if (e == ERR_OK)
            message.summary = &summary;
    }
    if (e == ERR_NOT_FOUND) /* expunged while we looked */
        return ERR_OK;
    if (e == ERR_CORRUPT) { /* it is in the answer all the same, as a message without a header */
        log_error("imap.sort", "conn=%llu user=%s uid=%u err=%s taken as empty",
            conn_id(f->s->conn), LOG_S(slice_of(f->s->user.address)), (unsigned)row->uid,
            err_name(e));
        message.header = SLICE_EMPTY;
        e = ERR_OK;
    }
    TRY(e);
    return sort_table_add(f->table, f->facts, &message);
}

static enum err add_row(struct filling *f, const struct store_row *row)
{
    enum err e = read_row(f, row);
    store_body_close(f->body);
    f->body = NULL;
    return e;
}

static enum err read_all(struct filling *f, const struct uidset *uids)
{
    struct imapd_session *s = f->s;
    struct store_read_args read = {
        .mailbox = s->view.mailbox,
        .uids = uids,
        .from_uid = sort_table_lacks_from(f->table, f->facts),
        .need = STORE_NEED_EMAIL | (needs_summary(f->facts) ? STORE_NEED_SUMMARY : 0),
        .bytes_max = IMAPD_PAGE_BYTES_MAX,
    };
    struct store_rows rows = { 0 };
    do {
        arena_reset(&s->rows);
        TRY(account_read(s->account, &read, &s->rows, &rows));
        for (size_t i = 0; i < rows.count; i++)
            TRY(add_row(f, &rows.at[i]));
        if (rows.count && rows.at[rows.count - 1].uid >= f->uidnext)
            f->uidnext = rows.at[rows.count - 1].uid + 1;
        if (rows.damaged)
            log_error("imap.sort", "conn=%llu user=%s err=corrupt messages left out",
                conn_id(s->conn), LOG_S(slice_of(s->user.address)));
        imapd_made_keep(s, &f->made);
        read.from_uid = rows.next_uid;
    } while (rows.next_uid);
    return ERR_OK;
}

/* uids NULL: all of the mailbox. */
static enum err fill(
    struct imapd_session *s, struct sort_table *table, unsigned facts, const struct uidset *uids)
{
    struct filling f = { .s = s, .table = table, .facts = facts, .uidnext = s->view.uidnext };
    imapd_made_init(&f.made, STORE_DERIVED_SUMMARY);
    buf_init(&f.header, 0);
    enum err e = read_all(&f, uids);
    if (e == ERR_OK)
        sort_table_filled(table, facts, f.uidnext);
    imapd_made_done(&f.made);
    buf_done(&f.header);
    return e;
}

/* How many uids of the view the mailbox's table would have to read. */
static uint64_t unread(struct imapd_session *s, uint32_t from)
{
    struct uidset rest;
    uidset_init(&rest);
    uidset_add_run(&rest, from, UINT32_MAX);
    uidset_intersect(&rest, &s->view.uids);
    uint64_t count = uidset_members(&rest);
    uidset_done(&rest);
    return count;
}

/* Mail that came and went must not stay in a table for ever. The view may be far behind, so the account has the last word. */
static enum err forget_gone(struct imapd_session *s, struct sort_table *table)
{
    size_t rows = sort_table_rows(table);
    if (rows / 2 < uidset_members(&s->view.uids) + GONE_ROWS_MIN)
        return ERR_OK;
    struct uidset there;
    uidset_init(&there);
    enum err e = account_uids(s->account, s->view.mailbox, &there);
    if (e == ERR_OK && rows / 2 >= uidset_members(&there) + GONE_ROWS_MIN)
        sort_table_clear(table);
    uidset_done(&there);
    return e;
}

static enum err fill_shared(struct imapd_session *s, unsigned facts, struct sort_table *table)
{
    if (sort_table_lacks_from(table, facts) >= s->view.uidnext)
        return ERR_OK;
    enum err e = fill(s, table, sort_table_along(table, facts), NULL);
    if (e != ERR_LIMIT)
        return e;
    /* what others asked for, or what was taken along, may have filled it */
    sort_table_clear(table);
    e = fill(s, table, facts, NULL);
    if (e != ERR_OK)
        sort_table_clear(table);
    return e;
}

/* The mailbox's table is left alone for few messages of many that it does not know yet. */
static bool wants_own(
    struct imapd_session *s, struct sort_table *shared, unsigned facts, const struct uidset *uids)
{
    return uidset_members(uids) * FEW < unread(s, sort_table_lacks_from(shared, facts));
}

enum err imapd_table_open(struct imapd_session *s, unsigned facts, const struct uidset *uids,
    struct imapd_table *out_table)
{
    struct sort_cache_key key = { .account = account_id(s->account),
        .mailbox = s->view.mailbox,
        .uidvalidity = s->view.uidvalidity };
    struct imapd_table t;
    t.cached = sort_cache_take(s->server->sorts, &key, &t.table);
    enum err e = forget_gone(s, t.table);
    if (e == ERR_OK && wants_own(s, t.table, facts, uids)) {
        sort_cache_give(s->server->sorts, t.cached);
        t.cached = NULL;
        t.table = sort_table_new(SORT_TABLE_BYTES_MAX);
        e = fill(s, t.table, facts, uids);
    } else if (e == ERR_OK) {
        e = fill_shared(s, facts, t.table);
    }
    if (e == ERR_OK)
        *out_table = t;
    else
        imapd_table_close(s, &t);
    return e;
}

void imapd_table_close(struct imapd_session *s, struct imapd_table *table)
{
    if (table->cached)
        sort_cache_give(s->server->sorts, table->cached);
    else
        sort_table_free(table->table);
}
