/* CAPABILITY, NOOP, CHECK, LOGOUT, ID, ENABLE, NAMESPACE. */
#include "server/imap/imapd_int.h"

#include "base/log.h"

/* Each of these works; tests ask for all of them. Before login a program needs only what helps it to log in, but many ask once, so they
 * get the whole list. */
void imapd_write_capability(struct imapd_session *s)
{
    struct buf *out = imapd_out(s);
    buf_adds(out,
        "CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID NAMESPACE CHILDREN UNSELECT IDLE UIDPLUS MOVE "
        "MULTIAPPEND ENABLE "
        "CONDSTORE QRESYNC SPECIAL-USE LIST-EXTENDED LIST-STATUS STATUS=SIZE BINARY PREVIEW "
        "SORT SORT=DISPLAY THREAD=ORDEREDSUBJECT THREAD=REFERENCES APPENDLIMIT=");
    buf_addu(out, s->message_bytes_max);
    if (!s->login)
        return;
    if (conn_can_starttls(s->conn))
        buf_adds(out, " STARTTLS");
    if (!login_plain_allowed(s->login))
        buf_adds(out, " LOGINDISABLED");
    size_t before = buf_len(out);
    buf_addc(out, ' ');
    login_mechanisms(s->login, "AUTH=", out);
    if (buf_len(out) == before + 1)
        buf_truncate(out, before);
}

enum err imapd_ok_capability(struct imapd_session *s, struct imapd_cmd *cmd, const char *text)
{
    struct buf *out = imapd_out(s);
    buf_add(out, cmd->tag);
    buf_adds(out, " OK [");
    imapd_write_capability(s);
    buf_adds(out, "] ");
    buf_adds(out, text);
    buf_adds(out, "\r\n");
    cmd->answered = true;
    return ERR_OK;
}

enum err imapd_cmd_capability(struct imapd_session *s, struct imapd_cmd *cmd)
{
    TRY(imap_parse_nothing(&cmd->parse));
    buf_adds(imapd_out(s), "* ");
    imapd_write_capability(s);
    buf_adds(imapd_out(s), "\r\n");
    return imapd_ok(s, cmd, "", "That is all");
}

/* NOOP and CHECK: what is written is on disk already, so CHECK has nothing to do (RFC 3501 §6.4.1). */
enum err imapd_cmd_noop(struct imapd_session *s, struct imapd_cmd *cmd)
{
    TRY(imap_parse_nothing(&cmd->parse));
    return imapd_ok(s, cmd, "", "Done");
}

enum err imapd_cmd_logout(struct imapd_session *s, struct imapd_cmd *cmd)
{
    TRY(imap_parse_nothing(&cmd->parse));
    buf_adds(imapd_out(s), "* BYE Good-bye\r\n");
    s->logging_out = true;
    return imapd_ok(s, cmd, "", "Logged out");
}

enum err imapd_cmd_id(struct imapd_session *s, struct imapd_cmd *cmd)
{
    struct imap_id_args args;
    TRY(imap_parse_id(&cmd->parse, &args));
    for (size_t i = 0; i + 1 < args.count; i += 2)
        log_debug("imap.id", "conn=%llu %s=%s", conn_id(s->conn), LOG_S(args.pairs[i]),
            LOG_S(args.pairs[i + 1]));
    buf_adds(imapd_out(s), "* ID (\"name\" \"Barid\")\r\n");
    return imapd_ok(s, cmd, "", "Pleased to meet you");
}

/* Tells HIGHESTMODSEQ when CONDSTORE is switched on with a mailbox open (RFC 7162 §3.1). */
void imapd_condstore_on(struct imapd_session *s)
{
    if (!s->condstore && s->state == IMAPD_SELECTED) {
        buf_adds(imapd_out(s), "* OK [HIGHESTMODSEQ ");
        buf_addu(imapd_out(s), imapd_known_modseq(s));
        buf_adds(imapd_out(s), "] Highest\r\n");
    }
    s->condstore = true;
}

enum err imapd_cmd_enable(struct imapd_session *s, struct imapd_cmd *cmd)
{
    struct imap_words args;
    TRY(imap_parse_enable(&cmd->parse, &args));
    struct buf *out = imapd_out(s);
    bool condstore = false, qresync = false;
    for (size_t i = 0; i < args.count; i++) {
        condstore |= slice_eq_nocase(args.words[i], SLICE("CONDSTORE"));
        qresync |= slice_eq_nocase(args.words[i], SLICE("QRESYNC"));
    }
    if (condstore || qresync)
        imapd_condstore_on(s);
    s->qresync |= qresync;
    buf_adds(out, "* ENABLED");
    buf_adds(out, condstore ? " CONDSTORE" : "");
    buf_adds(out, qresync ? " QRESYNC" : "");
    buf_adds(out, "\r\n");
    return imapd_ok(s, cmd, "", "Enabled");
}

enum err imapd_cmd_namespace(struct imapd_session *s, struct imapd_cmd *cmd)
{
    TRY(imap_parse_nothing(&cmd->parse));
    buf_adds(imapd_out(s), "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
    return imapd_ok(s, cmd, "", "That is all");
}
