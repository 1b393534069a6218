/* CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, STATUS (RFC 3501 §6.3). */
#include "server/imap/imapd_int.h"

/* A name for a mailbox to be made: a final delimiter only announces children (RFC 3501 §6.3.3). */
static enum err new_name(struct imapd_session *s, struct slice wire, struct slice *out_name)
{
    if (wire.len > 1 && wire.ptr[wire.len - 1] == '/')
        wire.len--;
    return imapd_mailbox_name(s, wire, out_name);
}

/* ERR_SYNTAX of the store is a name that it does not take, not a broken command. */
static enum err name_err(enum err e)
{
    return e == ERR_SYNTAX ? ERR_DENIED : e;
}

enum err imapd_cmd_create(struct imapd_session *s, struct imapd_cmd *cmd)
{
    struct slice wire, name;
    TRY(imap_parse_one(&cmd->parse, &wire));
    TRY(new_name(s, wire, &name));
    int64_t id;
    TRY(name_err(mailbox_create(s->account, name, STORE_USE_NONE, &id)));
    return imapd_ok(s, cmd, "", "Made");
}

enum err imapd_cmd_delete(struct imapd_session *s, struct imapd_cmd *cmd)
{
    struct slice wire, name;
    TRY(imap_parse_one(&cmd->parse, &wire));
    if (imapd_mailbox_name(s, wire, &name) != ERR_OK)
        return imapd_fail(s, cmd, ERR_NOT_FOUND);
    int64_t selected = 0;
    struct mailbox mailbox;
    if (s->state == IMAPD_SELECTED &&
        account_mailbox(s->account, name, &s->arena, &mailbox) == ERR_OK)
        selected = mailbox.id == s->view.mailbox ? mailbox.id : 0;
    TRY(name_err(mailbox_delete(s->account, name)));
    if (selected) {
        imapd_close_mailbox(s);
        buf_adds(imapd_out(s), "* OK [CLOSED] The mailbox was open here\r\n");
    }
    return imapd_ok(s, cmd, "", "Deleted");
}

enum err imapd_cmd_rename(struct imapd_session *s, struct imapd_cmd *cmd)
{
    struct slice wire_from, wire_to, from, to;
    TRY(imap_parse_two(&cmd->parse, &wire_from, &wire_to));
    if (imapd_mailbox_name(s, wire_from, &from) != ERR_OK)
        return imapd_fail(s, cmd, ERR_NOT_FOUND);
    TRY(new_name(s, wire_to, &to));
    TRY(name_err(mailbox_rename(s->account, from, to)));
    return imapd_ok(s, cmd, "", "Renamed");
}

static enum err subscribe(struct imapd_session *s, struct imapd_cmd *cmd, bool subscribed)
{
    struct slice wire, name;
    TRY(imap_parse_one(&cmd->parse, &wire));
    TRY(imapd_mailbox_name(s, wire, &name));
    TRY(name_err(mailbox_subscribe(s->account, name, subscribed)));
    return imapd_ok(s, cmd, "", subscribed ? "Subscribed" : "Unsubscribed");
}

enum err imapd_cmd_subscribe(struct imapd_session *s, struct imapd_cmd *cmd)
{
    return subscribe(s, cmd, true);
}

enum err imapd_cmd_unsubscribe(struct imapd_session *s, struct imapd_cmd *cmd)
{
    return subscribe(s, cmd, false);
}

enum err imapd_write_status(struct imapd_session *s, const struct mailbox *m, unsigned items)
{
    uint64_t recent = 0;
    if (items & IMAP_STATUS_RECENT && m->id)
        TRY(account_recent(s->account, m->id, &recent));
    const struct {
        const char *name;
        unsigned item;
        uint64_t value;
    } rows[] = {
        { "MESSAGES ", IMAP_STATUS_MESSAGES, m->messages },
        { "RECENT ", IMAP_STATUS_RECENT, recent },
        { "UIDNEXT ", IMAP_STATUS_UIDNEXT, m->uidnext },
        { "UIDVALIDITY ", IMAP_STATUS_UIDVALIDITY, m->uidvalidity },
        { "UNSEEN ", IMAP_STATUS_UNSEEN, m->unseen },
        { "SIZE ", IMAP_STATUS_SIZE, m->bytes },
        { "HIGHESTMODSEQ ", IMAP_STATUS_HIGHESTMODSEQ, m->modseq_max },
        { "APPENDLIMIT ", IMAP_STATUS_APPENDLIMIT, s->message_bytes_max },
    };
    struct buf *out = imapd_out(s);
    char before = '(';
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!(items & rows[i].item))
            continue;
        buf_addc(out, before);
        buf_adds(out, rows[i].name);
        buf_addu(out, rows[i].value);
        before = ' ';
    }
    buf_addc(out, ')');
    return ERR_OK;
}

enum err imapd_cmd_status(struct imapd_session *s, struct imapd_cmd *cmd)
{
    struct imap_status_args args;
    TRY(imap_parse_status(&cmd->parse, &args));
    struct mailbox mailbox;
    TRY(imapd_mailbox(s, args.mailbox, &mailbox));
    if (args.items & IMAP_STATUS_HIGHESTMODSEQ)
        imapd_condstore_on(s);
    struct buf *out = imapd_out(s);
    size_t start = buf_len(out);
    buf_adds(out, "* STATUS ");
    imap_write_mailbox(out, mailbox.name);
    buf_addc(out, ' ');
    enum err e = imapd_write_status(s, &mailbox, args.items);
    if (e != ERR_OK) { /* deleted meanwhile */
        buf_truncate(out, start);
        return e;
    }
    buf_adds(out, "\r\n");
    return imapd_ok(s, cmd, "", "That is all");
}
