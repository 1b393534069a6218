/* EHLO, HELO, LHLO, STARTTLS, AUTH. */
#include "server/smtp/smtpd_int.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

static void line(struct smtpd_session *s, bool last, struct slice text)
{
    buf_addf(conn_out(s->conn), "250%c%.*s\r\n", last ? ' ' : '-', SLICE_FMT(text));
}

static void extensions(struct smtpd_session *s)
{
    struct buf text;
    buf_init(&text, 0);
    buf_addf(&text, "%s greets %s", s->config->hostname, s->name);
    line(s, false, buf_slice(&text));
    buf_clear(&text);
    buf_addf(&text, "SIZE %llu", (unsigned long long)s->config->message_bytes_max);
    line(s, false, buf_slice(&text));
    line(s, false, SLICE("8BITMIME"));
    line(s, false, SLICE("PIPELINING"));
    line(s, false, SLICE("ENHANCEDSTATUSCODES"));
    line(s, false, SLICE("CHUNKING"));
    if (conn_can_starttls(s->conn))
        line(s, false, SLICE("STARTTLS"));
    if (s->login && !s->logged_in) {
        buf_clear(&text);
        login_mechanisms(s->login, "", &text);
        if (buf_len(&text)) {
            buf_addf(
                conn_out(s->conn), "250-AUTH %.*s\r\n", SLICE_FMT(slice_trim(buf_slice(&text))));
        }
    }
    line(s, true, SLICE("SMTPUTF8"));
    buf_done(&text);
}

enum err smtpd_cmd_hello(struct smtpd_session *s, enum smtp_verb verb, struct slice rest)
{
    bool lmtp = s->protocol == PROTOCOL_LMTP;
    if (lmtp != (verb == SMTP_LHLO))
        return smtpd_bad(
            s, 500, "5.5.1", lmtp ? "This is LMTP: say LHLO" : "This is SMTP: say EHLO");
    struct slice name = slice_trim(rest);
    if (!smtp_name_ok(name))
        return smtpd_bad(s, 501, "5.5.4", "Say your host name");
    smtpd_mail_free(s); /* RFC 5321 §4.1.4: as RSET */
    (void)snprintf(s->name, sizeof s->name, "%.*s", SLICE_FMT(name));
    s->extended = verb != SMTP_HELO;
    if (s->extended)
        extensions(s);
    else
        (void)smtpd_reply(s, 250, "", "%s greets %s", s->config->hostname, s->name);
    return ERR_OK;
}

enum err smtpd_cmd_starttls(struct smtpd_session *s, struct slice rest)
{
    if (rest.len)
        return smtpd_bad(s, 501, "5.5.4", "STARTTLS takes no argument");
    if (!conn_can_starttls(s->conn))
        return smtpd_bad(
            s, 503, "5.5.1", conn_is_tls(s->conn) ? "TLS is on" : "TLS is not available");
    if (s->logged_in)
        return smtpd_bad(s, 503, "5.5.1", "Too late: you are logged in");
    s->start_tls = true;
    return ERR_OK;
}

static enum err logged_in(struct smtpd_session *s)
{
    s->user = *login_user(s->login);
    s->logged_in = true;
    s->bad_commands = 0;
    s->server_session = server_session_add(s->server, s->conn, s->protocol, &s->user);
    return smtpd_reply(s, 235, "2.7.0", "Logged in");
}

static enum err failed(struct smtpd_session *s)
{
    static const struct {
        int code;
        const char *enhanced;
    } replies[] = {
        [LOGIN_ERROR_NONE] = { 535, "5.7.8" },
        [LOGIN_ERROR_CREDENTIALS] = { 535, "5.7.8" },
        [LOGIN_ERROR_NEEDS_TLS] = { 538, "5.7.11" },
        [LOGIN_ERROR_MECHANISM] = { 504, "5.5.4" },
        [LOGIN_ERROR_SYNTAX] = { 501, "5.5.2" },
        [LOGIN_ERROR_CANCELED] = { 501, "5.7.0" },
        [LOGIN_ERROR_SERVICE_OFF] = { 535, "5.7.8" },
        [LOGIN_ERROR_BUSY] = { 454, "4.7.0" },
    };
    enum login_error error = login_error(s->login);
    s->bad_commands++; /* guesses are as many as bad commands */
    int delay_ms = login_delay_ms(s->login);
    if (delay_ms > 0) {
        conn_pause(s->conn, delay_ms);
        s->stop_reading = true;
    }
    return smtpd_reply(
        s, replies[error].code, replies[error].enhanced, "%s", login_error_text(s->login));
}

static enum err advance(struct smtpd_session *s, enum login_state state, struct buf *challenge)
{
    s->mode = SMTPD_COMMAND;
    if (state == LOGIN_DONE)
        return logged_in(s);
    if (state == LOGIN_FAILED)
        return failed(s);
    s->mode = SMTPD_SASL;
    buf_addf(conn_out(s->conn), "334 %.*s\r\n", SLICE_FMT(buf_slice(challenge)));
    return ERR_OK;
}

enum err smtpd_cmd_auth(struct smtpd_session *s, struct slice rest)
{
    if (!s->login)
        return smtpd_bad(s, 502, "5.5.1", "There is no login here");
    if (s->logged_in || s->mail)
        return smtpd_bad(
            s, 503, "5.5.1", s->mail ? "Not inside a mail transaction" : "You are logged in");
    if (!s->extended)
        return smtpd_bad(s, 503, "5.5.1", "Say EHLO first");
    struct slice initial = slice_trim(rest), mechanism;
    if (!slice_cut(&initial, ' ', &mechanism))
        return smtpd_bad(s, 501, "5.5.4", "Name a mechanism");
    if (!initial.len)
        initial = (struct slice){ NULL, 0 };
    struct buf challenge;
    buf_init(&challenge, 0);
    enum err e = advance(s, login_begin(s->login, mechanism, initial, &challenge), &challenge);
    buf_done(&challenge);
    return e;
}

enum err smtpd_sasl_line(struct smtpd_session *s, struct slice text)
{
    struct buf challenge;
    buf_init(&challenge, 0);
    enum err e = advance(s, login_continue(s->login, text, &challenge), &challenge);
    buf_done(&challenge);
    return e;
}
