/* FETCH (RFC 3501 §6.4.5, §7.4.2; RFC 7162 §3.1.4, §3.2.6).
 *
 * Rows are read in pages; the account's lock is not held while they are written. A message that goes meanwhile is simply not there
 * (RFC 2180 §4.1.3). Nothing is allocated for each message. */
#include "server/imap/imapd_fetch_int.h"

#include "message/text.h"
#include "proto/imap/imap_date.h"

static unsigned need_of(const struct imap_att *att)
{
    switch (att->kind) {
    case IMAP_ATT_FLAGS:
    case IMAP_ATT_UID:
    case IMAP_ATT_MODSEQ:
        return 0;
    case IMAP_ATT_INTERNALDATE:
    case IMAP_ATT_SIZE:
        return STORE_NEED_EMAIL;
    case IMAP_ATT_ENVELOPE:
    case IMAP_ATT_BODY:
    case IMAP_ATT_BODYSTRUCTURE:
    case IMAP_ATT_PREVIEW:
        return STORE_NEED_EMAIL | STORE_NEED_SUMMARY;
    case IMAP_ATT_SECTION:
    case IMAP_ATT_BINARY:
    case IMAP_ATT_BINARY_SIZE:
        break;
    }
    if (att->kind == IMAP_ATT_SECTION && att->section == IMAP_SECTION_ALL && !att->number_count)
        return STORE_NEED_EMAIL | STORE_NEED_BODY;
    /* The kept fields of the summary mostly do. */
    if (att->section == IMAP_SECTION_FIELDS && !att->number_count)
        return STORE_NEED_EMAIL | STORE_NEED_SUMMARY;
    return STORE_NEED_EMAIL | STORE_NEED_SUMMARY | STORE_NEED_BODY;
}

static enum err write_att(
    struct imapd_fetch *f, const struct store_row *row, const struct imap_att *att)
{
    struct buf *out = imapd_out(f->s);
    if (att->kind == IMAP_ATT_FLAGS) {
        imapd_write_flags(f->s, row->uid, row->flags);
        return ERR_OK;
    }
    if (att->kind == IMAP_ATT_SECTION)
        return imapd_fetch_section(f, row, att);
    if (att->kind == IMAP_ATT_BINARY || att->kind == IMAP_ATT_BINARY_SIZE)
        return imapd_fetch_binary(f, row, att);
    buf_add(out, att->label);
    buf_addc(out, ' ');
    switch (att->kind) {
    case IMAP_ATT_UID:
        buf_addu(out, row->uid);
        break;
    case IMAP_ATT_MODSEQ:
        buf_addc(out, '(');
        buf_addu(out, row->modseq);
        buf_addc(out, ')');
        break;
    case IMAP_ATT_SIZE:
        buf_addu(out, row->size);
        break;
    case IMAP_ATT_INTERNALDATE:
        imap_datetime_write(out, row->received_s, row->received_tz_min);
        break;
    case IMAP_ATT_ENVELOPE:
        return msg_write_envelope(&f->summary, out);
    case IMAP_ATT_BODY:
        return msg_write_bodystructure(&f->summary, false, out);
    case IMAP_ATT_BODYSTRUCTURE:
        return msg_write_bodystructure(&f->summary, true, out);
    case IMAP_ATT_PREVIEW:
        imap_write_nstring(out, msg_preview(&f->summary));
        break;
    case IMAP_ATT_FLAGS:
    case IMAP_ATT_SECTION:
    case IMAP_ATT_BINARY:
    case IMAP_ATT_BINARY_SIZE:
        break;
    }
    return ERR_OK;
}

/* Before the first byte of the answer, which may be sent before the last item's turn comes. */
static enum err check_encodings(struct imapd_fetch *f)
{
    for (size_t i = 0; i < f->att_count; i++) {
        const struct imap_att *att = &f->atts[i];
        struct msg_range range;
        struct slice encoding;
        if ((att->kind == IMAP_ATT_BINARY || att->kind == IMAP_ATT_BINARY_SIZE) &&
            msg_find_binary(&f->summary, att->numbers, att->number_count, &range, &encoding) ==
                ERR_OK &&
            !msg_encoding_known(encoding))
            return ERR_DENIED;
    }
    return ERR_OK;
}

static enum err write_atts(struct imapd_fetch *f, const struct store_row *row, uint32_t number)
{
    struct imapd_session *s = f->s;
    struct buf *out = imapd_out(s);
    if (row->flags >> STORE_KEYWORD_BIT_FIRST)
        TRY(imapd_keywords(s, row->flags));
    if (f->need & STORE_NEED_SUMMARY) {
        TRY(imapd_summary(s, row, &f->body, &f->made, &f->summary));
        TRY(check_encodings(f));
    }
    size_t start = buf_len(out);
    f->sent = false;
    buf_add(out, SLICE("* "));
    buf_addu(out, number);
    buf_add(out, SLICE(" FETCH "));
    char before = '(';
    enum err e = ERR_OK;
    for (size_t i = 0; i < f->att_count && e == ERR_OK; i++) {
        buf_addc(out, before);
        before = ' ';
        e = write_att(f, row, &f->atts[i]);
    }
    if (e == ERR_OK && !f->has_flags && uidset_has(&f->seen, row->uid)) {
        buf_addc(out, ' ');
        imapd_write_flags(s, row->uid, row->flags);
    }
    if (e != ERR_OK) {
        if (f->sent) /* half an answer is out: there is no way to take it back */
            return ERR_CLOSED;
        buf_truncate(out, start);
        return e;
    }
    buf_add(out, SLICE(")\r\n"));
    f->answered++;
    return conn_flush_full(s->conn);
}

static enum err write_row(struct imapd_fetch *f, const struct store_row *row)
{
    uint32_t number = uidset_rank(&f->s->view.uids, row->uid);
    if (!number)
        return ERR_OK;
    enum err e = write_atts(f, row, number);
    store_body_close(f->body); /* also when it failed: the next row has another one */
    f->body = NULL;
    if (e != ERR_OK) /* its \Seen has not been told with it */
        uidset_remove(&f->seen, row->uid);
    return e;
}

/* BODY[...] sets \Seen (RFC 3501 §6.4.5): for all messages in one change, before they are read; not for those that CHANGEDSINCE leaves out. */
static enum err set_seen(
    struct imapd_fetch *f, const struct imap_fetch_args *args, const struct uidset *uids)
{
    struct imapd_session *s = f->s;
    struct store_read_args read = {
        .mailbox = s->view.mailbox,
        .uids = uids,
        .flags_none = STORE_SEEN,
        .modseq_above = args->changedsince,
    };
    struct store_rows rows = { 0 };
    do {
        arena_reset(&s->rows);
        TRY(account_read(s->account, &read, &s->rows, &rows));
        for (size_t i = 0; i < rows.count; i++)
            uidset_add(&f->seen, rows.at[i].uid);
        read.from_uid = rows.next_uid;
    } while (rows.next_uid);
    if (uidset_empty(&f->seen))
        return ERR_OK;
    struct store_flags_args change = {
        .mailbox = s->view.mailbox,
        .uids = &f->seen,
        .how = STORE_FLAGS_ADD,
        .flags = { .system = STORE_SEEN },
    };
    struct store_flags_result result;
    enum err e = account_flags(s->account, &change, &result);
    if (e != ERR_OK) { /* a full disk must not keep anybody from reading */
        uidset_clear(&f->seen);
        return ERR_OK;
    }
    f->seen_modseq = result.modseq;
    uidset_done(&result.done);
    uidset_done(&result.modified);
    return ERR_OK;
}

static enum err vanished_earlier(struct imapd_fetch *f, const struct imap_fetch_args *args)
{
    struct imapd_session *s = f->s;
    struct uidset gone, wanted;
    uidset_init(&gone);
    uidset_init(&wanted);
    imapd_uid_ranges(&args->set, UINT32_MAX, &wanted);
    enum err e = account_vanished(s->account, s->view.mailbox, args->changedsince, &gone);
    uidset_intersect(&gone, &wanted);
    uidset_subtract(&gone, &s->view.uids);
    if (e == ERR_OK && !uidset_empty(&gone)) {
        buf_adds(imapd_out(s), "* VANISHED (EARLIER) ");
        uidset_write(&gone, imapd_out(s));
        buf_adds(imapd_out(s), "\r\n");
    }
    uidset_done(&gone);
    uidset_done(&wanted);
    return e;
}

static enum err fetch_rows(
    struct imapd_fetch *f, const struct imap_fetch_args *args, const struct uidset *uids)
{
    struct imapd_session *s = f->s;
    struct store_read_args read = {
        .mailbox = s->view.mailbox,
        .uids = uids,
        .need = f->need,
        .modseq_above = args->changedsince,
        .bytes_max = IMAPD_PAGE_BYTES_MAX,
    };
    struct store_rows rows = { 0 };
    enum err row_err = ERR_OK;
    do {
        arena_reset(&s->rows);
        TRY(account_read(s->account, &read, &s->rows, &rows));
        for (size_t i = 0; i < rows.count; i++) {
            enum err e = write_row(f, &rows.at[i]);
            if (imapd_is_over(e))
                return e;
            /* the others can still be had; that an encoding is not known is said when there is nothing worse */
            if (e != ERR_OK && e != ERR_NOT_FOUND && (e != ERR_DENIED || row_err == ERR_OK))
                row_err = e;
        }
        if (rows.damaged)
            row_err = ERR_CORRUPT;
        imapd_made_keep(s, &f->made);
        read.from_uid = rows.next_uid;
    } while (rows.next_uid);
    return row_err;
}

/* UID and MODSEQ come with the answer whether or not they were asked for (RFC 3501 §6.4.8, RFC 7162 §3.1.4.1). */
static enum err prepare(struct imapd_fetch *f, const struct imap_fetch_args *args, bool uid)
{
    struct imap_att *atts = arena_zalloc(&f->s->arena, args->count + 2, sizeof *atts);
    if (!atts)
        return ERR_LIMIT;
    bool has_uid = false, has_modseq = false;
    for (size_t i = 0; i < args->count; i++) {
        has_uid |= args->atts[i].kind == IMAP_ATT_UID;
        has_modseq |= args->atts[i].kind == IMAP_ATT_MODSEQ;
        f->has_flags |= args->atts[i].kind == IMAP_ATT_FLAGS;
        f->sets_seen |= args->atts[i].kind >= IMAP_ATT_SECTION && !args->atts[i].peek;
        f->need |= need_of(&args->atts[i]);
    }
    if (has_modseq || args->has_changedsince)
        imapd_condstore_on(f->s);
    size_t count = 0;
    if (uid && !has_uid)
        atts[count++] = (struct imap_att){ .kind = IMAP_ATT_UID, .label = SLICE("UID") };
    for (size_t i = 0; i < args->count; i++)
        atts[count++] = args->atts[i];
    if (args->has_changedsince && !has_modseq)
        atts[count++] = (struct imap_att){ .kind = IMAP_ATT_MODSEQ, .label = SLICE("MODSEQ") };
    f->atts = atts;
    f->att_count = count;
    f->sets_seen &= !f->s->readonly;
    return ERR_OK;
}

static enum err fetch(struct imapd_fetch *f, struct imapd_cmd *cmd, struct uidset *uids)
{
    struct imap_fetch_args args;
    TRY(imap_parse_fetch(&cmd->parse, &args));
    if (args.vanished && (!f->s->qresync || !cmd->uid))
        return imapd_bad(f->s, cmd, "VANISHED needs ENABLE QRESYNC and UID FETCH");
    TRY(imapd_resolve(f->s, &args.set, cmd->uid, uids));
    TRY(prepare(f, &args, cmd->uid));
    if (args.vanished)
        TRY(vanished_earlier(f, &args));
    if (f->sets_seen)
        TRY(set_seen(f, &args, uids));
    enum err rows_err = uidset_empty(uids) ? ERR_OK : fetch_rows(f, &args, uids);
    if (rows_err != ERR_OK && rows_err != ERR_DENIED)
        return rows_err;
    if (!uidset_empty(&f->seen)) {
        struct imapd_own own = { .silent = &f->seen, .modseq = f->seen_modseq };
        enum err e = imapd_update(f->s, cmd->uid, cmd->uid, &own);
        if (e != ERR_OK && e != ERR_NOT_FOUND)
            return e;
    }
    if (rows_err == ERR_DENIED)
        return imapd_no(f->s, cmd, "[UNKNOWN-CTE]", "A part is in an unknown transfer encoding");
    bool all = args.has_changedsince || f->answered == uidset_members(uids);
    return imapd_ok(f->s, cmd, all ? "" : IMAPD_EXPUNGEISSUED, "That is all");
}

enum err imapd_cmd_fetch(struct imapd_session *s, struct imapd_cmd *cmd)
{
    struct imapd_fetch f = { .s = s };
    struct uidset uids;
    uidset_init(&uids);
    uidset_init(&f.seen);
    buf_init(&f.text, 0);
    imapd_made_init(&f.made, STORE_DERIVED_SUMMARY);
    enum err e = fetch(&f, cmd, &uids);
    buf_done(&f.text);
    imapd_made_done(&f.made);
    uidset_done(&f.seen);
    uidset_done(&uids);
    return e;
}
