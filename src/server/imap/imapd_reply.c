/* Tagged answers, and the one table from errors to response codes (RFC 3501 §7.1, RFC 5530). */
#include "server/imap/imapd_int.h"

bool imapd_is_over(enum err e)
{
    return e == ERR_CLOSED || e == ERR_TIMEOUT || e == ERR_CANCELED;
}

static bool holds_expunges(const struct imapd_cmd *cmd)
{
    return cmd->command && cmd->command->holds_expunges && !cmd->uid;
}

static enum err tagged(struct imapd_session *s, struct imapd_cmd *cmd, const char *status,
    const char *code, const char *text)
{
    if (s->state == IMAPD_SELECTED && !s->logging_out) {
        enum err e = imapd_update(s, !holds_expunges(cmd), cmd->uid, NULL);
        if (imapd_is_over(e))
            return e;
        /* Any other trouble is told when the mailbox is asked for again; this command has its own answer. */
    }
    struct buf *out = imapd_out(s);
    buf_add(out, cmd->tag);
    buf_addc(out, ' ');
    buf_adds(out, status);
    buf_addc(out, ' ');
    if (*code) {
        buf_adds(out, code);
        buf_addc(out, ' ');
    }
    buf_adds(out, text);
    buf_adds(out, "\r\n");
    cmd->answered = true;
    return conn_flush_full(s->conn);
}

enum err imapd_ok(
    struct imapd_session *s, struct imapd_cmd *cmd, const char *code, const char *text)
{
    return tagged(s, cmd, "OK", code, text);
}

enum err imapd_no(
    struct imapd_session *s, struct imapd_cmd *cmd, const char *code, const char *text)
{
    return tagged(s, cmd, "NO", code, text);
}

enum err imapd_bad(struct imapd_session *s, struct imapd_cmd *cmd, const char *text)
{
    s->bad_commands++;
    return tagged(s, cmd, "BAD", "", text);
}

enum err imapd_fail(struct imapd_session *s, struct imapd_cmd *cmd, enum err e)
{
    switch (e) {
    case ERR_OK:
        return ERR_OK;
    case ERR_SYNTAX:
        return imapd_bad(s, cmd, "The command cannot be understood");
    case ERR_LIMIT:
        return imapd_no(s, cmd, "[LIMIT]", "More than this server allows");
    case ERR_NOT_FOUND:
        return imapd_no(s, cmd, "[NONEXISTENT]", "No such mailbox");
    case ERR_EXISTS:
        return imapd_no(s, cmd, "[ALREADYEXISTS]", "There is a mailbox of that name");
    case ERR_DENIED:
        return imapd_no(s, cmd, "[CANNOT]", "Not possible with this mailbox name");
    case ERR_AUTH:
        return imapd_no(s, cmd, "[AUTHENTICATIONFAILED]", "Authentication failed");
    case ERR_BUSY:
        return imapd_no(s, cmd, "[INUSE]", "In use, try again later");
    case ERR_NO_SPACE:
        return imapd_no(s, cmd, "[UNAVAILABLE]", "No space left on the server");
    case ERR_IO:
        return imapd_no(s, cmd, "[UNAVAILABLE]", "The server's storage fails, try again later");
    case ERR_CORRUPT:
        return imapd_no(s, cmd, "[CORRUPTION]", "The server's data are damaged");
    case ERR_TIMEOUT:
    case ERR_CLOSED:
    case ERR_CANCELED:
        break;
    }
    return e;
}
