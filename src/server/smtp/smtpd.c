/* The session loop of SMTP, submission and LMTP. Handlers put their reply into conn_out; only this file decides when to read, park and end. */
#include "server/smtp/smtpd_int.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum err smtpd_reply(
    struct smtpd_session *s, int code, const char *enhanced, const char *format, ...)
{
    char text[600];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_addf(conn_out(s->conn), "%d %s%s%s\r\n", code, enhanced, *enhanced ? " " : "", text);
    return ERR_OK;
}

enum err smtpd_bad(struct smtpd_session *s, int code, const char *enhanced, const char *text)
{
    s->bad_commands++;
    return smtpd_reply(s, code, enhanced, "%s", text);
}

void smtpd_mail_free(struct smtpd_session *s)
{
    struct smtpd_mail *mail = s->mail;
    s->mail = NULL;
    if (!mail)
        return;
    blob_unref(mail->blob);
    buf_done(&mail->header);
    arena_done(&mail->arena);
    free(mail);
}

/* ---- life ---- */

static void session_close(void *session)
{
    struct smtpd_session *s = session;
    log_info("smtp.end", "conn=%llu proto=%s peer=%s user=%s messages=%llu bad=%u ms=%lld",
        conn_id(s->conn), protocol_name(s->protocol), LOG_S(slice_of(conn_peer(s->conn))),
        LOG_S(slice_of(s->user.address)), s->messages, s->bad_commands,
        (long long)(clock_mono_ms() - s->opened_ms));
    smtpd_mail_free(s);
    server_session_remove(s->server_session);
    login_free(s->login);
    config_unref(s->config);
    free(s);
}

static void *open_session(struct conn *conn, struct server *server, enum protocol protocol)
{
    struct smtpd_session *s = mem_zalloc(1, sizeof *s);
    s->conn = conn;
    s->server = server;
    s->protocol = protocol;
    s->config = server_config(server);
    s->opened_ms = clock_mono_ms();
    if (protocol == PROTOCOL_SUBMISSION)
        s->login = login_new(server, conn, protocol);
    conn_deadline(
        conn, protocol == PROTOCOL_SUBMISSION ? DEADLINE_PRELOGIN_MS : SMTP_DEADLINE_IDLE_MS);
    conn_in_limit(conn, SASL_TOKEN_BYTES_MAX + (128u << 10));
    if (conn_fill(conn) ==
        ERR_OK) { /* who speaks before the greeting is no mail program (RFC 5321 §3.1) */
        buf_consume(conn_in(conn), buf_len(conn_in(conn)));
        (void)smtpd_reply(s, 554, "5.5.1", "Wait for the greeting");
        session_close(s);
        return NULL; /* what was written is sent, then the connection closes */
    }
    (void)smtpd_reply(s, 220, "", "%s %s Barid is ready", s->config->hostname,
        protocol == PROTOCOL_LMTP ? "LMTP" : "ESMTP");
    return s;
}

static void *smtp_open(struct conn *conn, void *listener_arg)
{
    return open_session(conn, listener_arg, PROTOCOL_SMTP);
}

static void *submission_open(struct conn *conn, void *listener_arg)
{
    return open_session(conn, listener_arg, PROTOCOL_SUBMISSION);
}

static void *lmtp_open(struct conn *conn, void *listener_arg)
{
    return open_session(conn, listener_arg, PROTOCOL_LMTP);
}

static void session_timeout(void *session)
{
    (void)smtpd_reply(session, 421, "4.4.2", "No command for too long");
}

static void session_shutdown(void *session)
{
    (void)smtpd_reply(session, 421, "4.3.2", "The server ends this session");
}

/* ---- commands ---- */

static bool is_http(struct slice line)
{
    static const struct slice verbs[] = { SLICE_CONST("GET "), SLICE_CONST("POST "),
        SLICE_CONST("PUT "), SLICE_CONST("HEAD "), SLICE_CONST("OPTIONS "), SLICE_CONST("CONNECT "),
        SLICE_CONST("PRI ") };
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (slice_starts(line, verbs[i]))
            return true;
    return false;
}

static enum err quit(struct smtpd_session *s)
{
    s->closing = true;
    return smtpd_reply(s, 221, "2.0.0", "Goodbye");
}

static enum err reset(struct smtpd_session *s)
{
    smtpd_mail_free(s);
    return smtpd_reply(s, 250, "2.0.0", "Forgotten");
}

static enum err run(struct smtpd_session *s, struct slice line)
{
    struct slice rest;
    enum smtp_verb verb = smtp_parse_verb(line, &rest);
    switch (verb) {
    case SMTP_HELO:
    case SMTP_EHLO:
    case SMTP_LHLO:
        return smtpd_cmd_hello(s, verb, rest);
    case SMTP_MAIL:
        return smtpd_cmd_mail(s, rest);
    case SMTP_RCPT:
        return smtpd_cmd_rcpt(s, rest);
    case SMTP_DATA:
        return smtpd_cmd_data(s, rest);
    case SMTP_BDAT:
        return smtpd_cmd_bdat(s, rest);
    case SMTP_RSET:
        return rest.len ? smtpd_bad(s, 501, "5.5.4", "RSET takes no argument") : reset(s);
    case SMTP_NOOP:
        return smtpd_reply(s, 250, "2.0.0", "Still here");
    case SMTP_QUIT:
        return quit(s);
    case SMTP_VRFY:
        return smtpd_reply(s, 252, "2.5.0", "Send the message and see");
    case SMTP_HELP:
        return smtpd_reply(s, 214, "2.0.0", "See RFC 5321");
    case SMTP_STARTTLS:
        return smtpd_cmd_starttls(s, rest);
    case SMTP_AUTH:
        return smtpd_cmd_auth(s, rest);
    case SMTP_NOT_DONE:
        return smtpd_bad(s, 502, "5.5.1", "Not done here");
    case SMTP_UNKNOWN:
        break;
    }
    if (is_http(line)) {
        s->closing = true;
        return ERR_OK;
    }
    return smtpd_bad(s, 500, "5.5.1", "Unknown command");
}

static void check_bad_commands(struct smtpd_session *s)
{
    unsigned most = s->logged_in || s->protocol != PROTOCOL_SUBMISSION ? BAD_COMMANDS_MAX
                                                                       : BAD_COMMANDS_MAX_PRELOGIN;
    if (s->bad_commands < most || s->closing)
        return;
    (void)smtpd_reply(s, 421, "4.7.0", "Too many bad commands");
    s->closing = true;
}

static void renew_deadline(struct smtpd_session *s)
{
    if (s->protocol != PROTOCOL_SUBMISSION || s->logged_in)
        conn_deadline(s->conn, SMTP_DEADLINE_IDLE_MS);
}

/* The line that asked for it is consumed. Nothing said in the clear counts afterwards (RFC 3207 §4.2). */
static enum err start_tls(struct smtpd_session *s)
{
    s->start_tls = false;
    (void)smtpd_reply(s, 220, "2.0.0", "Begin TLS");
    if (conn_starttls(s->conn) != ERR_OK) {
        log_warn("smtp.starttls", "conn=%llu peer=%s bytes came before the handshake, dropping",
            conn_id(s->conn), LOG_S(slice_of(conn_peer(s->conn))));
        return ERR_CLOSED;
    }
    smtpd_mail_free(s);
    s->name[0] = 0;
    if (s->login) {
        login_free(s->login);
        s->login = login_new(s->server, s->conn, s->protocol);
    }
    s->stop_reading = true;
    return ERR_OK;
}

/* One line of the dialogue. ERR_BUSY: more input is needed. */
static enum err step_line(struct smtpd_session *s)
{
    struct buf *in = conn_in(s->conn);
    struct slice line;
    size_t most = s->mode == SMTPD_SASL ? SASL_TOKEN_BYTES_MAX : SMTP_LINE_BYTES_MAX;
    if (slice_starts_nocase(buf_slice(in), SLICE("AUTH ")))
        most =
            SASL_TOKEN_BYTES_MAX; /* the initial response stands on the command's line (RFC 4954 §4) */
    switch (wire_line_feed(&s->framer, buf_slice(in), most, &line)) {
    case WIRE_DONE: {
        enum err e = s->mode == SMTPD_SASL ? smtpd_sasl_line(s, line) : run(s, line);
        buf_consume(in, line.len + 2);
        if (e == ERR_OK && s->start_tls)
            e = start_tls(s);
        renew_deadline(s);
        check_bad_commands(s);
        return e;
    }
    case WIRE_BARE:
        buf_consume(in, line.len);
        s->mode = SMTPD_COMMAND;
        return smtpd_bad(s, 500, "5.5.2", "A line ends with CR LF and holds no CR, LF or NUL");
    case WIRE_TOO_LONG:
        s->mode = SMTPD_SKIP_LINE;
        return smtpd_bad(s, 500, "5.5.6", "The line is too long");
    case WIRE_MORE:
    case WIRE_PIECE:
        break;
    }
    return ERR_BUSY;
}

static enum err step_data(struct smtpd_session *s)
{
    struct buf *in = conn_in(s->conn);
    struct slice left = buf_slice(in), piece;
    size_t had = left.len;
    if (had)
        conn_deadline(s->conn, SMTP_DEADLINE_IDLE_MS);
    enum wire got;
    while ((got = wire_dot_next(&s->mail->dots, &left, &piece)) == WIRE_PIECE)
        smtpd_take(s, piece);
    buf_consume(in, had - left.len);
    if (got != WIRE_DONE)
        return ERR_BUSY;
    if (s->mail->dots.bare)
        smtpd_refuse(s->mail, ERR_SYNTAX, "554 5.6.0 A bare CR, bare LF or NUL in the message");
    s->mode = SMTPD_COMMAND;
    return smtpd_message_end(s);
}

static enum err step_chunk(struct smtpd_session *s)
{
    struct buf *in = conn_in(s->conn);
    struct slice bytes = buf_slice(in);
    if (bytes.len > s->chunk_left)
        bytes = slice_sub(bytes, 0, (size_t)s->chunk_left);
    if (bytes.len)
        conn_deadline(s->conn, SMTP_DEADLINE_IDLE_MS);
    if (!s->chunk_drop)
        smtpd_take_chunk(s, bytes);
    buf_consume(in, bytes.len);
    s->chunk_left -= bytes.len;
    if (s->chunk_left > 0)
        return ERR_BUSY;
    s->mode = SMTPD_COMMAND;
    if (s->chunk_drop)
        return smtpd_bad(s, 503, "5.5.1", "MAIL and RCPT come first");
    if (s->chunk_last)
        return smtpd_message_end(s);
    if (s->mail->error != ERR_OK) {
        buf_addf(conn_out(s->conn), "%s\r\n", s->mail->error_text);
        return ERR_OK;
    }
    return smtpd_reply(s, 250, "2.0.0", "Chunk taken");
}

static enum err step_skip(struct smtpd_session *s)
{
    bool ended = false;
    struct buf *in = conn_in(s->conn);
    buf_consume(in, wire_line_skip(&s->framer, buf_slice(in), &ended));
    if (!ended)
        return ERR_BUSY;
    s->mode = SMTPD_COMMAND;
    check_bad_commands(s);
    return ERR_OK;
}

static enum err step(void *session)
{
    struct smtpd_session *s = session;
    switch (s->mode) {
    case SMTPD_COMMAND:
    case SMTPD_SASL:
        break;
    case SMTPD_DATA:
        return step_data(s);
    case SMTPD_CHUNK:
        return step_chunk(s);
    case SMTPD_SKIP_LINE:
        return step_skip(s);
    }
    return step_line(s);
}

static enum conn_next session_input(void *session)
{
    struct smtpd_session *s = session;
    return conn_steps(s->conn, step, s, &s->closing, &s->stop_reading);
}

#define SMTPD_OPS(open_fn)                                                                         \
    {                                                                                              \
        .name = "smtp", .open = (open_fn), .input = session_input, .timeout = session_timeout,     \
        .shutdown = session_shutdown, .close = session_close                                       \
    }

const struct conn_ops smtpd_ops = SMTPD_OPS(smtp_open);
const struct conn_ops smtpd_submission_ops = SMTPD_OPS(submission_open);
const struct conn_ops smtpd_lmtp_ops = SMTPD_OPS(lmtp_open);
