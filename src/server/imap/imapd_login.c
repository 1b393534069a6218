/* STARTTLS, LOGIN, AUTHENTICATE (RFC 3501 §6.2, RFC 4959). */
#include "server/imap/imapd_int.h"

#include "base/log.h"

#include <string.h>

void imapd_keep_tag(struct imapd_session *s, struct slice tag)
{
    s->tag_len = tag.len < sizeof s->tag ? tag.len : sizeof s->tag;
    memcpy(s->tag, tag.ptr, s->tag_len);
}

enum err imapd_cmd_starttls(struct imapd_session *s, struct imapd_cmd *cmd)
{
    TRY(imap_parse_nothing(&cmd->parse));
    if (!conn_can_starttls(s->conn))
        return imapd_bad(s, cmd, conn_is_tls(s->conn) ? "TLS is on" : "TLS is not available");
    TRY(imapd_ok(s, cmd, "", "Begin TLS"));
    buf_consume(conn_in(s->conn), s->framer.seen);
    s->framer.seen = 0;
    if (conn_starttls(s->conn) != ERR_OK) {
        log_warn("imap.starttls", "conn=%llu peer=%s bytes came before the handshake, dropping",
            conn_id(s->conn), LOG_S(slice_of(conn_peer(s->conn))));
        return ERR_CLOSED;
    }
    login_free(s->login); /* nothing said in the clear counts (RFC 3501 §6.2.1) */
    s->login = login_new(s->server, s->conn, PROTOCOL_IMAP);
    s->stop_reading = true;
    return ERR_OK;
}

enum err imapd_logged_in(struct imapd_session *s, struct imapd_cmd *cmd)
{
    s->user = *login_user(s->login);
    enum err e = server_account(s->server, &s->user, &s->account);
    if (e != ERR_OK) {
        log_error("imap.account", "conn=%llu user=%s err=%s refusing the login", conn_id(s->conn),
            LOG_S(slice_of(s->user.address)), err_name(e));
        s->account = NULL;
        return imapd_no(s, cmd, "[UNAVAILABLE]", "The mailbox cannot be opened now");
    }
    login_free(s->login);
    s->login = NULL;
    s->server_session = server_session_add(s->server, s->conn, PROTOCOL_IMAP, &s->user);
    s->state = IMAPD_LOGGED_IN;
    s->bad_commands = 0;
    conn_deadline(s->conn, IMAP_DEADLINE_IDLE_MS);
    TRY(imapd_keywords(s, UINT64_MAX));
    return imapd_ok_capability(s, cmd, "Logged in");
}

static enum err failed(struct imapd_session *s, struct imapd_cmd *cmd)
{
    static const char *const codes[] = {
        [LOGIN_ERROR_NONE] = "[AUTHENTICATIONFAILED]",
        [LOGIN_ERROR_CREDENTIALS] = "[AUTHENTICATIONFAILED]",
        [LOGIN_ERROR_NEEDS_TLS] = "[PRIVACYREQUIRED]",
        [LOGIN_ERROR_MECHANISM] = "[CANNOT]",
        [LOGIN_ERROR_SYNTAX] = "",
        [LOGIN_ERROR_CANCELED] = "",
        [LOGIN_ERROR_SERVICE_OFF] = "[CONTACTADMIN]",
        [LOGIN_ERROR_BUSY] = "[UNAVAILABLE]",
    };
    enum login_error error = login_error(s->login);
    const char *text = login_error_text(s->login);
    if (error == LOGIN_ERROR_SYNTAX || error == LOGIN_ERROR_CANCELED)
        TRY(imapd_bad(s, cmd, text));
    else
        TRY(imapd_no(s, cmd, codes[error], text));
    /* Guesses are as many as bad commands. */
    s->bad_commands += error == LOGIN_ERROR_CREDENTIALS;
    int delay_ms = login_delay_ms(s->login);
    if (delay_ms > 0) {
        conn_pause(s->conn, delay_ms);
        s->stop_reading = true;
    }
    return ERR_OK;
}

/* Goes on with an exchange; the command waits in s->tag while it lasts. */
static enum err advance(
    struct imapd_session *s, struct imapd_cmd *cmd, enum login_state state, struct buf *challenge)
{
    s->mode = IMAPD_MODE_COMMAND;
    if (state == LOGIN_FAILED)
        return failed(s, cmd);
    if (state == LOGIN_DONE)
        return imapd_logged_in(s, cmd);
    s->mode = IMAPD_MODE_SASL;
    cmd->answered = true;
    struct buf *out = imapd_out(s);
    buf_adds(out, "+ ");
    buf_add(out, buf_slice(challenge));
    buf_adds(out, "\r\n");
    return ERR_OK;
}

enum err imapd_cmd_login(struct imapd_session *s, struct imapd_cmd *cmd)
{
    struct slice user, password;
    TRY(imap_parse_two(&cmd->parse, &user, &password));
    return advance(s, cmd, login_password(s->login, user, password), NULL);
}

enum err imapd_cmd_authenticate(struct imapd_session *s, struct imapd_cmd *cmd)
{
    struct imap_authenticate_args args;
    TRY(imap_parse_authenticate(&cmd->parse, &args));
    imapd_keep_tag(s, cmd->tag);
    struct buf challenge;
    buf_init(&challenge, 0);
    enum err e = advance(
        s, cmd, login_begin(s->login, args.mechanism, args.initial, &challenge), &challenge);
    buf_done(&challenge);
    return e;
}

enum err imapd_sasl_line(struct imapd_session *s, struct slice line)
{
    struct imapd_cmd cmd = { .tag = slice_from(s->tag, s->tag_len) };
    struct buf challenge;
    buf_init(&challenge, 0);
    enum err e = advance(s, &cmd, login_continue(s->login, line, &challenge), &challenge);
    buf_done(&challenge);
    return e == ERR_OK || cmd.answered ? e : imapd_fail(s, &cmd, e);
}
