/* SELECT, EXAMINE, CLOSE, UNSELECT (RFC 3501 §6.3.1, §6.4.2; RFC 3691; RFC 7162 §3.1.8, §3.2.5). */
#include "server/imap/imapd_int.h"

static enum err write_selected(struct imapd_session *s, const struct mailbox *mailbox)
{
    struct buf *out = imapd_out(s);
    uint32_t unseen = 0;
    if (mailbox->unseen)
        TRY(account_first_unseen(s->account, mailbox->id, &unseen));
    if (unseen) /* 0 also for one that came since the view was read */
        unseen = uidset_rank(&s->view.uids, unseen);
    TRY(imapd_keywords(s, UINT64_MAX));
    imapd_write_flags_lines(s, true);
    buf_adds(out, "* ");
    buf_addu(out, uidset_members(&s->view.uids));
    buf_adds(out, " EXISTS\r\n* ");
    buf_addu(out, uidset_members(&s->view.recent));
    buf_adds(out, " RECENT\r\n");
    if (unseen) {
        buf_adds(out, "* OK [UNSEEN ");
        buf_addu(out, unseen);
        buf_adds(out, "] First unseen\r\n");
    }
    buf_adds(out, "* OK [UIDVALIDITY ");
    buf_addu(out, s->view.uidvalidity);
    buf_adds(out, "] UIDs valid\r\n* OK [UIDNEXT ");
    buf_addu(out, s->view.uidnext);
    buf_adds(out, "] Next UID\r\n* OK [HIGHESTMODSEQ ");
    /* What was there before the view was read: a change in between is told twice rather than never. */
    buf_addu(out, mailbox->modseq_max < s->view.modseq ? mailbox->modseq_max : s->view.modseq);
    buf_adds(out, "] Highest\r\n");
    return ERR_OK;
}

/* VANISHED (EARLIER) and the flags that changed since the client was here (RFC 7162 §3.2.5.2). */
static enum err resynchronise(
    struct imapd_session *s, const struct imap_select_args *args, struct uidset *known)
{
    if (args->has_known_uids)
        imapd_uid_ranges(&args->known_uids, 0, known);
    else
        uidset_add_run(known, 1, s->view.uidnext ? s->view.uidnext - 1 : UINT32_MAX);
    struct uidset gone;
    uidset_init(&gone);
    enum err e = account_vanished(s->account, s->view.mailbox, args->modseq, &gone);
    uidset_intersect(&gone, known);
    uidset_subtract(&gone, &s->view.uids);
    struct buf *out = imapd_out(s);
    if (e == ERR_OK && !uidset_empty(&gone)) {
        buf_adds(out, "* VANISHED (EARLIER) ");
        uidset_write(&gone, out);
        buf_adds(out, "\r\n");
    }
    uidset_done(&gone);
    TRY(e);
    uidset_intersect(known, &s->view.uids);
    struct store_read_args read = {
        .mailbox = s->view.mailbox, .uids = known, .modseq_above = args->modseq
    };
    struct store_rows rows = { 0 };
    do {
        arena_reset(&s->rows);
        TRY(account_read(s->account, &read, &s->rows, &rows));
        for (size_t i = 0; i < rows.count; i++) {
            const struct store_row *row = &rows.at[i];
            TRY(imapd_keywords(s, row->flags));
            buf_add(out, SLICE("* "));
            buf_addu(out, uidset_rank(&s->view.uids, row->uid));
            buf_add(out, SLICE(" FETCH (UID "));
            buf_addu(out, row->uid);
            buf_addc(out, ' ');
            imapd_write_flags(s, row->uid, row->flags);
            buf_add(out, SLICE(" MODSEQ ("));
            buf_addu(out, row->modseq);
            buf_add(out, SLICE("))\r\n"));
            TRY(conn_flush_full(s->conn));
        }
        read.from_uid = rows.next_uid;
    } while (rows.next_uid);
    return ERR_OK;
}

static enum err select_inside(
    struct imapd_session *s, const struct imap_select_args *args, bool readonly)
{
    struct mailbox mailbox;
    TRY(imapd_mailbox(s, args->mailbox, &mailbox));
    TRY(store_view_open(s->account, mailbox.id, !readonly, &s->view));
    s->state = IMAPD_SELECTED;
    s->readonly = readonly;
    TRY(write_selected(s, &mailbox));
    if (!args->qresync || args->uidvalidity != s->view.uidvalidity ||
        args->modseq >= s->view.modseq) /* the client has everything: no need to look */
        return ERR_OK;
    struct uidset known;
    uidset_init(&known);
    enum err e = resynchronise(s, args, &known);
    uidset_done(&known);
    return e;
}

enum err imapd_cmd_select(struct imapd_session *s, struct imapd_cmd *cmd)
{
    struct imap_select_args args;
    TRY(imap_parse_select(&cmd->parse, &args));
    if (args.qresync && !s->qresync)
        return imapd_bad(s, cmd, "ENABLE QRESYNC first");
    bool readonly = slice_eq_nocase(cmd->command->name, SLICE("EXAMINE"));
    if (s->state == IMAPD_SELECTED) {
        imapd_close_mailbox(s);
        buf_adds(imapd_out(s), "* OK [CLOSED] The mailbox before is closed\r\n");
    }
    s->condstore |= args.condstore || args.qresync;
    enum err e = select_inside(s, &args, readonly);
    if (e != ERR_OK) {
        imapd_close_mailbox(s);
        return e;
    }
    /* Not imapd_ok: nothing may come between what was told and the answer (RFC 7162 §3.2.5.2). */
    struct buf *out = imapd_out(s);
    buf_add(out, cmd->tag);
    buf_adds(out, readonly ? " OK [READ-ONLY] Open, nothing can be changed\r\n"
                           : " OK [READ-WRITE] Open\r\n");
    cmd->answered = true;
    return ERR_OK;
}

enum err imapd_cmd_close(struct imapd_session *s, struct imapd_cmd *cmd)
{
    TRY(imap_parse_nothing(&cmd->parse));
    if (!s->readonly) {
        /* Only what this client was told of: a message that came since is not its to remove. */
        struct store_expunge_args args = {
            .mailbox = s->view.mailbox, .uids = &s->view.uids, .deleted_only = true
        };
        TRY(account_expunge(s->account, &args, NULL));
    }
    imapd_close_mailbox(s);
    return imapd_ok(s, cmd, "", "Closed");
}

enum err imapd_cmd_unselect(struct imapd_session *s, struct imapd_cmd *cmd)
{
    TRY(imap_parse_nothing(&cmd->parse));
    imapd_close_mailbox(s);
    return imapd_ok(s, cmd, "", "Closed, nothing removed");
}
