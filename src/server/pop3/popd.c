/* The session loop of POP3, and its table of commands. */
#include "server/pop3/popd_int.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>

enum err popd_ok(struct popd_session *s, enum popd_text text)
{
    return popd_ok_number(s, text, 0);
}

enum err popd_ok_number(struct popd_session *s, enum popd_text text, uint64_t number)
{
    struct buf *out = conn_out(s->conn);
    buf_add(out, SLICE("+OK "));
    popd_text_add(s->lang, text, number, out);
    buf_add(out, SLICE("\r\n"));
    return ERR_OK;
}

enum err popd_err(struct popd_session *s, const char *code, enum popd_text text)
{
    buf_addf(
        conn_out(s->conn), "-ERR %s%s%s\r\n", code, *code ? " " : "", popd_text(s->lang, text));
    return ERR_OK;
}

enum err popd_bad(struct popd_session *s, enum popd_text text)
{
    s->bad_commands++;
    return popd_err(s, "", text);
}

static void *session_open(struct conn *conn, void *listener_arg)
{
    struct popd_session *s = mem_zalloc(1, sizeof *s);
    s->conn = conn;
    s->server = listener_arg;
    s->login = login_new(s->server, conn, PROTOCOL_POP3);
    s->opened_ms = clock_mono_ms();
    arena_init(&s->ahead, COMMAND_ARENA_BYTES_MAX);
    buf_init(&s->made, 0);
    buf_init(&s->uidls, 0);
    conn_deadline(conn, DEADLINE_PRELOGIN_MS);
    struct config *config = server_config(s->server);
    buf_addf(conn_out(conn), "+OK %s %s\r\n", config->hostname, popd_text(POPD_EN, POPD_READY));
    config_unref(config);
    return s;
}

static void session_close(void *session)
{
    struct popd_session *s = session;
    log_info("pop3.end",
        "conn=%llu peer=%s user=%s retrieved=%zu bytes=%llu removed=%zu bad=%u ms=%lld",
        conn_id(s->conn), LOG_S(slice_of(conn_peer(s->conn))), LOG_S(slice_of(s->user.address)),
        s->retrieved, (unsigned long long)s->bytes_sent, s->expunged, s->bad_commands,
        (long long)(clock_mono_ms() - s->opened_ms));
    popd_made_keep(s);
    server_session_retrieved(s->server_session, s->retrieved);
    server_session_remove(s->server_session);
    account_unref(s->account);
    login_free(s->login);
    arena_done(&s->ahead);
    buf_done(&s->made);
    buf_done(&s->uidls);
    free(s->made_of);
    free(s->messages);
    free(s);
}

static void session_timeout(void *session)
{
    (void)popd_err(session, "[SYS/TEMP]", POPD_IDLE);
}

static void session_shutdown(void *session)
{
    (void)popd_err(session, "[SYS/TEMP]", POPD_SHUTDOWN);
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

static enum err unknown(struct popd_session *s, struct slice line)
{
    if (is_http(line)) {
        s->closing = true;
        return ERR_OK;
    }
    return popd_bad(s, POPD_UNKNOWN);
}

static enum err run_before_login(
    struct popd_session *s, enum pop_verb verb, struct slice rest, struct slice line)
{
    switch (verb) {
    case POP_CAPA:
        return popd_cmd_capa(s);
    case POP_USER:
        return popd_cmd_user(s, rest);
    case POP_PASS:
        return popd_cmd_pass(s, rest);
    case POP_AUTH:
        return popd_cmd_auth(s, rest);
    case POP_STLS:
        return popd_cmd_stls(s);
    case POP_UTF8:
        return popd_cmd_utf8(s);
    case POP_LANG:
        return popd_cmd_lang(s, rest);
    case POP_QUIT:
        s->closing = true;
        return popd_ok(s, POPD_GOODBYE);
    default:
        return unknown(s, line);
    }
}

static enum err run(struct popd_session *s, struct slice line)
{
    struct slice rest;
    enum pop_verb verb = pop_parse_verb(line, &rest);
    if (pop_verb_takes_nothing(verb) && slice_trim(rest).len)
        return popd_bad(s, POPD_NO_ARGUMENT);
    if (s->state != POPD_TRANSACTION)
        return run_before_login(s, verb, rest, line);
    switch (verb) {
    case POP_CAPA:
        return popd_cmd_capa(s);
    case POP_STAT:
        return popd_cmd_stat(s);
    case POP_LIST:
        return popd_cmd_list(s, rest, false);
    case POP_UIDL:
        return popd_cmd_list(s, rest, true);
    case POP_RETR:
        return popd_cmd_retr(s, rest);
    case POP_TOP:
        return popd_cmd_top(s, rest);
    case POP_DELE:
        return popd_cmd_dele(s, rest);
    case POP_RSET:
        return popd_cmd_rset(s);
    case POP_NOOP:
        return popd_ok(s, POPD_STILL_HERE);
    case POP_LANG:
        return popd_cmd_lang(s, rest);
    case POP_UTF8:
        return popd_bad(s, POPD_UTF8_LATE);
    case POP_QUIT:
        return popd_cmd_quit(s);
    default:
        return unknown(s, line);
    }
}

static void check_bad_commands(struct popd_session *s)
{
    unsigned most = s->state == POPD_TRANSACTION ? BAD_COMMANDS_MAX : BAD_COMMANDS_MAX_PRELOGIN;
    if (s->bad_commands < most || s->closing)
        return;
    (void)popd_err(s, "", POPD_TOO_MANY_BAD);
    s->closing = true;
}

/* Nothing said in the clear counts afterwards (RFC 2595 §4). */
static enum err start_tls(struct popd_session *s)
{
    s->start_tls = false;
    (void)popd_ok(s, POPD_TLS_BEGIN);
    if (conn_starttls(s->conn) != ERR_OK) {
        log_warn("pop3.stls", "conn=%llu peer=%s bytes came before the handshake, dropping",
            conn_id(s->conn), LOG_S(slice_of(conn_peer(s->conn))));
        return ERR_CLOSED;
    }
    s->name[0] = 0;
    s->lang = POPD_EN;
    login_free(s->login);
    s->login = login_new(s->server, s->conn, PROTOCOL_POP3);
    s->stop_reading = true;
    return ERR_OK;
}

static enum err skip(struct popd_session *s)
{
    bool ended = false;
    struct buf *in = conn_in(s->conn);
    buf_consume(in, wire_line_skip(&s->framer, buf_slice(in), &ended));
    s->skipping = !ended;
    return ended ? ERR_OK : ERR_BUSY;
}

/* ERR_BUSY: more input is needed. */
static enum err step(void *session)
{
    struct popd_session *s = session;
    struct buf *in = conn_in(s->conn);
    struct slice line;
    if (s->skipping)
        return skip(s);
    /* The initial response stands on the command's line (RFC 5034 §4), a password may be as long as any. */
    bool long_line = s->state == POPD_SASL || slice_starts_nocase(buf_slice(in), SLICE("AUTH ")) ||
                     slice_starts_nocase(buf_slice(in), SLICE("PASS ")) ||
                     slice_starts_nocase(buf_slice(in), SLICE("USER "));
    size_t most =
        s->state == POPD_TRANSACTION || !long_line ? POP_LINE_BYTES_MAX : SASL_TOKEN_BYTES_MAX;
    switch (wire_line_feed(&s->framer, buf_slice(in), most, &line)) {
    case WIRE_DONE: {
        enum err e = s->state == POPD_SASL ? popd_sasl_line(s, line) : run(s, line);
        buf_consume(in, line.len + 2);
        if (e == ERR_OK && s->start_tls)
            e = start_tls(s);
        if (s->state == POPD_TRANSACTION)
            conn_deadline(s->conn, POP_DEADLINE_IDLE_MS);
        check_bad_commands(s);
        return e;
    }
    case WIRE_BARE:
        buf_consume(in, line.len);
        if (s->state == POPD_SASL)
            s->state = POPD_AUTHORIZATION;
        (void)popd_bad(s, POPD_LINE_BARE);
        check_bad_commands(s);
        return ERR_OK;
    case WIRE_TOO_LONG:
        s->skipping = true;
        if (s->state == POPD_SASL)
            s->state = POPD_AUTHORIZATION;
        (void)popd_bad(s, POPD_LINE_LONG);
        if (s->state == POPD_AUTHORIZATION)
            s->closing = true; /* nobody without a login makes us read on */
        check_bad_commands(s);
        return ERR_OK;
    case WIRE_MORE:
    case WIRE_PIECE:
        break;
    }
    return ERR_BUSY;
}

static enum conn_next session_input(void *session)
{
    struct popd_session *s = session;
    return conn_steps(s->conn, step, s, &s->closing, &s->stop_reading);
}

const struct conn_ops popd_ops = {
    .name = "pop3",
    .open = session_open,
    .input = session_input,
    .timeout = session_timeout,
    .shutdown = session_shutdown,
    .close = session_close,
};
