/* CAPA, USER, PASS, AUTH, STLS. */
#include "server/pop3/popd_int.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

/* How long a message that was downloaded stays at least (RFC 2449 §6.7). Before the login it is not known whose policy holds. */
static void write_expire(const struct popd_session *s, struct buf *out)
{
    if (s->state != POPD_TRANSACTION)
        buf_adds(out, "EXPIRE 0 USER\r\n");
    else if (s->policy.after == POP_AFTER_KEEP)
        buf_adds(out, "EXPIRE NEVER\r\n");
    else
        buf_addf(out, "EXPIRE %u\r\n",
            s->policy.after == POP_AFTER_DAYS ? s->policy.after_days : 0u);
}

enum err popd_cmd_capa(struct popd_session *s)
{
    struct buf *out = conn_out(s->conn), mechanisms;
    buf_adds(out, "+OK What this server can "
                  "do\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n"
                  "LOGIN-DELAY 0\r\n");
    write_expire(s, out);
    if (s->login) {
        if (login_plain_allowed(s->login))
            buf_adds(out, "USER\r\n");
        buf_init(&mechanisms, 0);
        login_mechanisms(s->login, "", &mechanisms);
        if (buf_len(&mechanisms))
            buf_addf(out, "SASL %.*s\r\n", SLICE_FMT(slice_trim(buf_slice(&mechanisms))));
        buf_done(&mechanisms);
        if (conn_can_starttls(s->conn))
            buf_adds(out, "STLS\r\n");
    }
    buf_adds(out, "IMPLEMENTATION Barid\r\n.\r\n");
    return ERR_OK;
}

static enum err open_session(struct popd_session *s, bool *out_in_use)
{
    *out_in_use = false;
    TRY(server_account(s->server, &s->user, &s->account));
    TRY(directory_pop_policy(s->server->directory, &s->user, &s->policy));
    s->server_session = server_session_add(s->server, s->conn, PROTOCOL_POP3, &s->user);
    *out_in_use = !server_session_claim(s->server_session, s->policy.exclusive);
    return *out_in_use ? ERR_BUSY : popd_open_maildrop(s);
}

static enum err logged_in(struct popd_session *s)
{
    bool in_use;
    s->user = *login_user(s->login);
    s->state = POPD_AUTHORIZATION;
    enum err e = open_session(s, &in_use);
    if (e != ERR_OK) {
        server_session_remove(s->server_session);
        s->server_session = NULL;
        account_unref(s->account);
        s->account = NULL;
    }
    if (in_use)
        return popd_err(
            s, "[IN-USE]", "Another program is downloading this mail; try again when it is done");
    if (e != ERR_OK) {
        log_error("pop3.account", "conn=%llu user=%s err=%s refusing the login", conn_id(s->conn),
            LOG_S(slice_of(s->user.address)), err_name(e));
        return popd_err(s, "[SYS/TEMP]", "The maildrop cannot be opened now");
    }
    login_free(s->login);
    s->login = NULL;
    s->state = POPD_TRANSACTION;
    s->bad_commands = 0;
    conn_deadline(s->conn, POP_DEADLINE_IDLE_MS);
    buf_addf(conn_out(s->conn), "+OK %zu messages\r\n", s->message_count);
    return ERR_OK;
}

static enum err failed(struct popd_session *s)
{
    static const char *const codes[] = {
        [LOGIN_ERROR_NONE] = "[AUTH]",
        [LOGIN_ERROR_CREDENTIALS] = "[AUTH]",
        [LOGIN_ERROR_NEEDS_TLS] = "",
        [LOGIN_ERROR_MECHANISM] = "",
        [LOGIN_ERROR_SYNTAX] = "",
        [LOGIN_ERROR_CANCELED] = "",
        [LOGIN_ERROR_SERVICE_OFF] = "[SYS/PERM]",
        [LOGIN_ERROR_BUSY] = "[SYS/TEMP]",
    };
    s->bad_commands++; /* guesses are as many as bad commands */
    int delay_ms = login_delay_ms(s->login);
    if (delay_ms > 0) {
        conn_pause(s->conn, delay_ms);
        s->stop_reading = true;
    }
    return popd_err(s, codes[login_error(s->login)], login_error_text(s->login));
}

static enum err advance(struct popd_session *s, enum login_state state, struct buf *challenge)
{
    s->state = POPD_AUTHORIZATION;
    if (state == LOGIN_DONE)
        return logged_in(s);
    if (state == LOGIN_FAILED)
        return failed(s);
    s->state = POPD_SASL;
    buf_addf(conn_out(s->conn), "+ %.*s\r\n", SLICE_FMT(buf_slice(challenge)));
    return ERR_OK;
}

enum err popd_cmd_user(struct popd_session *s, struct slice rest)
{
    if (!login_plain_allowed(s->login))
        return popd_bad(s, "TLS comes first: STLS");
    if (rest.len == 0 || rest.len > USER_NAME_BYTES_MAX)
        return popd_bad(s, "USER takes a name");
    (void)snprintf(s->name, sizeof s->name, "%.*s", SLICE_FMT(rest));
    return popd_ok(s, "And the password");
}

enum err popd_cmd_pass(struct popd_session *s, struct slice rest)
{
    char name[sizeof s->name];
    if (!s->name[0])
        return popd_bad(s, "USER comes first");
    memcpy(name, s->name, sizeof name);
    s->name[0] = 0; /* a new USER for a new try (RFC 1939 §7) */
    return advance(s, login_password(s->login, slice_of(name), rest), NULL);
}

enum err popd_cmd_auth(struct popd_session *s, struct slice rest)
{
    struct slice initial = slice_trim(rest), mechanism;
    if (!slice_cut(&initial, ' ', &mechanism))
        return popd_bad(s, "AUTH takes a mechanism; CAPA lists them");
    if (!initial.len)
        initial = (struct slice){ NULL, 0 };
    struct buf challenge;
    buf_init(&challenge, 0);
    enum err e = advance(s, login_begin(s->login, mechanism, initial, &challenge), &challenge);
    buf_done(&challenge);
    return e;
}

enum err popd_sasl_line(struct popd_session *s, struct slice line)
{
    struct buf challenge;
    buf_init(&challenge, 0);
    enum err e = advance(s, login_continue(s->login, line, &challenge), &challenge);
    buf_done(&challenge);
    return e;
}

enum err popd_cmd_stls(struct popd_session *s)
{
    if (!conn_can_starttls(s->conn))
        return popd_bad(s, conn_is_tls(s->conn) ? "TLS is on" : "TLS is not available");
    s->start_tls = true;
    return ERR_OK;
}
