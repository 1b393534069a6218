/* SEARCH and UID SEARCH (RFC 3501 §6.4.4, RFC 7162 §3.1.5): rows in pages, each asked against the tree of keys. SORT and THREAD begin with the same. */
#include "server/imap/imapd_search_int.h"

#include "base/log.h"

static unsigned need_of(enum search_cost cost)
{
    switch (cost) {
    case COST_UID:
    case COST_ROW:
        return 0;
    case COST_EMAIL:
        return STORE_NEED_EMAIL;
    case COST_SUMMARY:
        return STORE_NEED_EMAIL | STORE_NEED_SUMMARY;
    case COST_BODY:
        break;
    }
    return STORE_NEED_FILTER;
}

static enum err match_row(struct imapd_search *q, const struct store_row *row, bool *out_matches)
{
    q->row = row;
    q->has_summary = false;
    q->has_filter = false;
    enum err e = imapd_search_matches(q, q->root, out_matches);
    store_body_close(q->body);
    q->body = NULL;
    return e;
}

/* All that is asked of a message is whether it is there, and what is known of its uid. */
static enum err search_there(struct imapd_search *q, struct uidset *found)
{
    struct uidset there;
    uidset_init(&there);
    enum err e = account_uids(q->s->account, q->s->view.mailbox, &there);
    uidset_intersect(&there, &q->candidates);
    if (!q->root->list)
        uidset_swap(found, &there);
    struct store_row row = { 0 };
    for (size_t i = 0; q->root->list && i < there.count && e == ERR_OK; i++)
        for (uint64_t uid = there.runs[i].first; uid <= there.runs[i].last && e == ERR_OK; uid++) {
            bool matches = false;
            row.uid = (uint32_t)uid;
            e = match_row(q, &row, &matches);
            if (matches)
                uidset_add(found, row.uid);
        }
    uidset_done(&there);
    return e;
}

static enum err search_rows(struct imapd_search *q, struct uidset *found, uint64_t *out_modseq)
{
    struct imapd_session *s = q->s;
    if (q->nothing || uidset_empty(&q->candidates))
        return ERR_OK;
    if (q->root->cost == COST_UID && !q->flags_all && !q->flags_none && !q->wants_modseq)
        return search_there(q, found);
    struct store_read_args read = {
        .mailbox = s->view.mailbox,
        .uids = &q->candidates,
        .need = need_of(q->root->cost),
        .flags_all = q->flags_all,
        .flags_none = q->flags_none,
        .modseq_above = q->modseq_above,
        .bytes_max = IMAPD_PAGE_BYTES_MAX,
    };
    struct store_rows rows = { 0 };
    do {
        arena_reset(&s->rows);
        TRY(account_read(s->account, &read, &s->rows, &rows));
        for (size_t i = 0; i < rows.count; i++) {
            bool matches = false;
            enum err e = match_row(q, &rows.at[i], &matches);
            if (e == ERR_NOT_FOUND)
                continue;           /* expunged while we looked */
            if (e == ERR_CORRUPT) { /* the others can still be found */
                log_error("imap.search", "conn=%llu user=%s uid=%u err=%s left out",
                    conn_id(s->conn), LOG_S(slice_of(s->user.address)), (unsigned)rows.at[i].uid,
                    err_name(e));
                continue;
            }
            TRY(e);
            if (!matches)
                continue;
            uidset_add(found, rows.at[i].uid);
            if (rows.at[i].modseq > *out_modseq)
                *out_modseq = rows.at[i].modseq;
        }
        if (rows.damaged)
            log_error("imap.search", "conn=%llu user=%s err=corrupt messages left out",
                conn_id(s->conn), LOG_S(slice_of(s->user.address)));
        imapd_made_keep(s, &q->made);
        imapd_made_keep(s, &q->filters);
        read.from_uid = rows.next_uid;
    } while (rows.next_uid);
    return ERR_OK;
}

void imapd_search_write_end(struct imapd_session *s, uint64_t modseq)
{
    struct buf *out = imapd_out(s);
    if (modseq) {
        buf_add(out, SLICE(" (MODSEQ "));
        buf_addu(out, modseq);
        buf_addc(out, ')');
    }
    buf_add(out, SLICE("\r\n"));
}

static enum err write_found(
    struct imapd_session *s, bool uid, const struct uidset *found, uint64_t modseq)
{
    struct buf *out = imapd_out(s);
    buf_add(out, SLICE("* SEARCH"));
    for (size_t i = 0; i < found->count; i++) {
        uint32_t first = found->runs[i].first, count = found->runs[i].last - first + 1;
        for (uint32_t n = 0; n < count; n++) {
            uint32_t number = uid ? first + n : uidset_rank(&s->view.uids, first + n);
            if (!number)
                continue;
            buf_addc(out, ' ');
            buf_addu(out, number);
        }
        TRY(conn_flush_full(s->conn));
    }
    imapd_search_write_end(s, modseq);
    return ERR_OK;
}

enum err imapd_search_find(struct imapd_session *s, struct imapd_cmd *cmd,
    const struct imap_search_args *args, struct uidset *found, uint64_t *out_modseq)
{
    struct imapd_search q = { .s = s };
    uint64_t modseq = 0;
    uidset_init(&q.candidates);
    imapd_made_init(&q.made, STORE_DERIVED_SUMMARY);
    imapd_made_init(&q.filters, STORE_DERIVED_FILTER);
    if (args->has_modseq)
        imapd_condstore_on(s);
    enum err e = imapd_search_prepare(&q, args);
    if (q.bad_charset)
        e = imapd_no(s, cmd, "[BADCHARSET (US-ASCII UTF-8)]", "Unknown charset");
    else if (e == ERR_OK)
        e = imapd_search_ask_table(&q);
    if (e == ERR_OK && !cmd->answered)
        e = search_rows(&q, found, &modseq);
    imapd_search_done(&q);
    *out_modseq = args->has_modseq && !uidset_empty(found) ? modseq : 0;
    return e;
}

static enum err search(struct imapd_session *s, struct imapd_cmd *cmd, struct uidset *found)
{
    struct imap_search_args args;
    uint64_t modseq;
    TRY(imap_parse_search(&cmd->parse, &args));
    TRY(imapd_search_find(s, cmd, &args, found, &modseq));
    if (cmd->answered)
        return ERR_OK;
    TRY(write_found(s, cmd->uid, found, modseq));
    return imapd_ok(s, cmd, "", "That is all");
}

enum err imapd_cmd_search(struct imapd_session *s, struct imapd_cmd *cmd)
{
    struct uidset found;
    uidset_init(&found);
    enum err e = search(s, cmd, &found);
    uidset_done(&found);
    return e;
}
