/* The session loop: frames out of the input, one function per command, what ends a session. */
#include "server/imap/imapd_int.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/* Before login: nothing but a name, a password or a SASL token is ever needed. */
static const struct imap_frame_limits limits_out = {
    .line_bytes_max = LINE_BYTES_MAX_PRELOGIN,
    .literal_bytes_max = PASSWORD_BYTES_MAX,
    .frame_bytes_max = 4 * PASSWORD_BYTES_MAX,
    .literals_max = 8,
};
static const struct imap_frame_limits limits_in = {
    .line_bytes_max = IMAP_LINE_BYTES_MAX,
    .literal_bytes_max = IMAP_LITERAL_BYTES_MAX,
    .frame_bytes_max = IMAP_FRAME_BYTES_MAX,
    .literals_max = IMAP_LITERALS_MAX,
};
/* An AUTHENTICATE line; it comes before login but may be longer than a command (RFC 4959 §3). */
static const struct imap_frame_limits limits_sasl = {
    .line_bytes_max = SASL_TOKEN_BYTES_MAX,
};

static void expect_frame(struct imapd_session *s)
{
    imap_framer_init(&s->framer, s->mode == IMAPD_MODE_SASL     ? &limits_sasl
                                 : s->state == IMAPD_LOGGED_OUT ? &limits_out
                                                                : &limits_in);
}

static void *imapd_open(struct conn *conn, void *listener_arg)
{
    struct imapd_session *s = mem_zalloc(1, sizeof *s);
    s->conn = conn;
    s->server = listener_arg;
    s->login = login_new(s->server, conn, PROTOCOL_IMAP);
    s->state = IMAPD_LOGGED_OUT;
    s->opened_ms = clock_mono_ms();
    arena_init(&s->arena, COMMAND_ARENA_BYTES_MAX);
    arena_init(&s->rows, COMMAND_ARENA_BYTES_MAX);
    arena_init(&s->keyword_arena, 1u << 20);
    struct config *config = server_config(s->server);
    s->message_bytes_max = config->message_bytes_max;
    expect_frame(s);
    conn_in_limit(conn, IMAP_FRAME_BYTES_MAX + IMAP_LINE_BYTES_MAX + (64u << 10));
    conn_deadline(conn, DEADLINE_PRELOGIN_MS);
    struct buf *out = imapd_out(s);
    buf_adds(out, "* OK [");
    imapd_write_capability(s);
    buf_addf(out, "] %s Barid is ready\r\n", config->hostname);
    config_unref(config);
    return s;
}

static void imapd_close(void *session)
{
    struct imapd_session *s = session;
    log_info("imap.end", "conn=%llu peer=%s user=%s commands=%llu bad=%u ms=%lld", conn_id(s->conn),
        LOG_S(slice_of(conn_peer(s->conn))), LOG_S(slice_of(s->user.address)), s->commands,
        s->bad_commands, (long long)(clock_mono_ms() - s->opened_ms));
    imapd_idle_end(s);
    imapd_append_free(s->append);
    imapd_close_mailbox(s);
    server_session_remove(s->server_session);
    account_unref(s->account);
    login_free(s->login);
    arena_done(&s->arena);
    arena_done(&s->rows);
    arena_done(&s->keyword_arena);
    free(s);
}

static void imapd_timeout(void *session)
{
    struct imapd_session *s = session;
    buf_adds(imapd_out(s), "* BYE No command for too long\r\n");
}

static void imapd_shutdown(void *session)
{
    struct imapd_session *s = session;
    buf_adds(imapd_out(s), "* BYE The server ends this session\r\n");
}

static enum err bye(struct imapd_session *s, const char *text)
{
    buf_addf(imapd_out(s), "* BYE %s\r\n", text);
    s->logging_out = true;
    return ERR_OK;
}

/* HTTP to a mail port is an attack through somebody's browser: no answer at all. */
static bool is_http(struct slice frame)
{
    static const struct slice verbs[] = {
        SLICE_CONST("GET "),
        SLICE_CONST("POST "),
        SLICE_CONST("PUT "),
        SLICE_CONST("HEAD "),
        SLICE_CONST("OPTIONS "),
        SLICE_CONST("CONNECT "),
        SLICE_CONST("DELETE "),
        SLICE_CONST("PATCH "),
        SLICE_CONST("TRACE "),
        SLICE_CONST("PRI "),
    };
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (slice_starts(frame, verbs[i]))
            return true;
    return false;
}

static enum err check_bad_commands(struct imapd_session *s)
{
    unsigned most = s->state == IMAPD_LOGGED_OUT ? BAD_COMMANDS_MAX_PRELOGIN : BAD_COMMANDS_MAX;
    return s->bad_commands >= most && !s->logging_out ? bye(s, "Too many bad commands") : ERR_OK;
}

/* A line without a usable tag. */
static enum err untagged_bad(struct imapd_session *s, const char *text)
{
    s->bad_commands++;
    buf_addf(imapd_out(s), "* BAD %s\r\n", text);
    return check_bad_commands(s);
}

static enum err run_command(struct imapd_session *s, struct slice frame)
{
    struct imapd_cmd cmd = { 0 };
    struct slice name = SLICE_EMPTY;
    imap_parse_init(&cmd.parse, frame, &s->arena);
    enum err e = imap_parse_command(&cmd.parse, &cmd.tag, &name, &cmd.uid);
    if (e != ERR_OK && s->state == IMAPD_LOGGED_OUT && is_http(frame))
        return ERR_CLOSED;
    if (e != ERR_OK && !cmd.tag.len)
        return untagged_bad(s, "A tag and a command were expected");
    if (e == ERR_LIMIT)
        return untagged_bad(s, "The tag is too long");
    if (e == ERR_OK && is_http(frame) && s->state == IMAPD_LOGGED_OUT)
        return ERR_CLOSED;
    cmd.command = e == ERR_OK ? imapd_command_find(name, cmd.uid) : NULL;
    if (!cmd.command)
        e = imapd_bad(s, &cmd, "Unknown command");
    else if (!(cmd.command->states & s->state))
        e = imapd_bad(
            s, &cmd, s->state == IMAPD_LOGGED_OUT ? "Log in first" : "Not possible in this state");
    else
        e = cmd.command->run(s, &cmd);
    if (e != ERR_OK && !cmd.answered)
        e = imapd_fail(s, &cmd, e);
    if (e == ERR_CLOSED || e == ERR_TIMEOUT || e == ERR_CANCELED)
        return e;
    return check_bad_commands(s);
}

static enum err run_frame(struct imapd_session *s, struct slice frame)
{
    struct slice line = slice_sub(frame, 0, frame.len - 2);
    s->commands++;
    enum err e = s->append                    ? imapd_append_end(s, frame)
                 : s->mode == IMAPD_MODE_SASL ? imapd_sasl_line(s, line)
                 : s->mode == IMAPD_MODE_IDLE ? imapd_idle_line(s, line)
                                              : run_command(s, frame);
    if (e == ERR_OK)
        e = check_bad_commands(s);
    return e;
}

/* A literal over a limit, with the command's tag if it has one. */
static enum err refuse_literal(struct imapd_session *s, struct slice frame)
{
    if (!s->framer.sync)
        return bye(s, "The literal is too long");
    struct imapd_cmd cmd = { .tag = slice_from(s->tag, s->tag_len) };
    if (s->mode != IMAPD_MODE_COMMAND) { /* where DONE or a SASL answer was expected */
        imapd_idle_end(s);
        s->mode = IMAPD_MODE_COMMAND;
        TRY(imapd_bad(s, &cmd, "No literal was expected"));
        return check_bad_commands(s);
    }
    struct slice name;
    imap_parse_init(&cmd.parse, s->append ? imapd_append_text(s->append) : frame, &s->arena);
    enum err e = imap_parse_command(&cmd.parse, &cmd.tag, &name, &cmd.uid);
    if (e == ERR_LIMIT || !cmd.tag.len)
        e = untagged_bad(s, "The literal is too long");
    else
        e = imapd_bad(s, &cmd, "The literal is too long");
    imapd_append_free(s->append);
    s->append = NULL;
    return e == ERR_OK ? check_bad_commands(s) : e;
}

/* A frame is no longer needed: its memory and its bytes. */
static void frame_done(struct imapd_session *s)
{
    struct buf *in = conn_in(s->conn);
    size_t len = s->framer.seen < buf_len(in) ? s->framer.seen : buf_len(in);
    buf_consume(in, len);
    arena_reset(&s->arena);
    arena_reset(&s->rows);
    expect_frame(s);
    if (s->state != IMAPD_LOGGED_OUT)
        conn_deadline(s->conn, IMAP_DEADLINE_IDLE_MS);
}

static enum err append_header(struct imapd_session *s, struct slice frame)
{
    if (s->mode != IMAPD_MODE_COMMAND || s->state == IMAPD_LOGGED_OUT) {
        enum err refused = refuse_literal(s, frame);
        frame_done(s);
        return refused;
    }
    enum err e = imapd_append_header(s, frame, s->framer.literal, s->framer.sync);
    if (e != ERR_OK) {
        frame_done(s);
        return e == ERR_DENIED ? check_bad_commands(s) : e;
    }
    buf_consume(conn_in(s->conn), s->framer.seen);
    arena_reset(&s->arena);
    s->mode = IMAPD_MODE_BODY;
    return ERR_OK;
}

/* One step with what is in the input. ERR_BUSY: more input is needed. */
static enum err step(void *session)
{
    struct imapd_session *s = session;
    struct buf *in = conn_in(s->conn);
    if (s->mode == IMAPD_MODE_BODY) {
        if (buf_len(in)) /* a long message may take longer than one deadline */
            conn_deadline(s->conn, IMAP_DEADLINE_IDLE_MS);
        if (!imapd_append_bytes(s, in))
            return ERR_BUSY;
        s->mode = IMAPD_MODE_COMMAND;
        imap_framer_resume(&s->framer);
    }
    struct slice input = buf_slice(in);
    enum imap_frame got = imap_framer_feed(&s->framer, input);
    struct slice frame = slice_sub(input, 0, s->framer.seen);
    enum err e = ERR_OK;
    switch (got) {
    case IMAP_FRAME_MORE:
        return ERR_BUSY;
    case IMAP_FRAME_CONTINUE:
        buf_adds(imapd_out(s), "+ Go on\r\n");
        return ERR_OK;
    case IMAP_FRAME_BODY:
        return append_header(s, frame);
    case IMAP_FRAME_TOO_LONG:
        return bye(s, "The line is too long");
    case IMAP_FRAME_DONE:
        e = run_frame(s, frame);
        break;
    case IMAP_FRAME_BAD:
        imapd_append_free(s->append);
        s->append = NULL;
        imapd_idle_end(s);
        s->mode = IMAPD_MODE_COMMAND;
        e = untagged_bad(s, "A line ends with CR LF and holds no CR, LF or NUL");
        break;
    case IMAP_FRAME_TOO_BIG:
        e = refuse_literal(s, frame);
        break;
    }
    frame_done(s);
    return e;
}

static enum conn_next imapd_input(void *session)
{
    struct imapd_session *s = session;
    bool woken = conn_woken(s->conn);
    if (woken && s->mode == IMAPD_MODE_IDLE && imapd_idle_woken(s) != ERR_OK)
        return CONN_CLOSE;
    enum conn_next next = conn_steps(s->conn, step, s, &s->logging_out, &s->stop_reading);
    if (next == CONN_PARK) { /* a parked session holds no memory of commands */
        arena_done(&s->arena);
        arena_done(&s->rows);
    }
    return next;
}

const struct conn_ops imapd_ops = {
    .name = "imap",
    .open = imapd_open,
    .input = imapd_input,
    .timeout = imapd_timeout,
    .shutdown = imapd_shutdown,
    .close = imapd_close,
};
