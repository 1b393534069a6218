/* CAPA, USER, PASS, AUTH, STLS; UTF8 and LANG. */
#include "server/pop3/popd_int.h"

#include "base/log.h"
#include "base/utf8.h"

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

/* Also after the login, though nobody can log in again: RFC 2449 §5, RFC 5034 §3. */
static void write_login(const struct popd_session *s, struct buf *out)
{
    struct buf mechanisms;
    struct login *login = s->login ? s->login : login_new(s->server, s->conn, PROTOCOL_POP3);
    buf_init(&mechanisms, 0);
    if (login_plain_allowed(login))
        buf_adds(out, "USER\r\n");
    login_mechanisms(login, "", &mechanisms);
    if (buf_len(&mechanisms))
        buf_addf(out, "SASL %.*s\r\n", SLICE_FMT(buf_slice(&mechanisms)));
    buf_done(&mechanisms);
    if (login != s->login)
        login_free(login);
}

enum err popd_cmd_capa(struct popd_session *s)
{
    struct buf *out = conn_out(s->conn);
    (void)popd_ok(s, POPD_CAPA);
    buf_adds(out, "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n"
                  "LOGIN-DELAY 0\r\nUTF8 USER\r\nLANG\r\n");
    write_expire(s, out);
    write_login(s, out);
    if (s->login && conn_can_starttls(s->conn)) /* in this state alone: RFC 2595 §8 */
        buf_adds(out, "STLS\r\n");
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
        return popd_err(s, "[IN-USE]", POPD_IN_USE);
    if (e != ERR_OK) {
        log_error("pop3.account", "conn=%llu user=%s err=%s refusing the login", conn_id(s->conn),
            LOG_S(slice_of(s->user.address)), err_name(e));
        return popd_err(s, "[SYS/TEMP]", POPD_MAILDROP_FAILED);
    }
    login_free(s->login);
    s->login = NULL;
    s->state = POPD_TRANSACTION;
    s->bad_commands = 0;
    conn_deadline(s->conn, POP_DEADLINE_IDLE_MS);
    return popd_ok_number(s, POPD_MESSAGES, s->message_count);
}

static enum err failed(struct popd_session *s)
{
    static const struct {
        const char *code;
        enum popd_text text;
    } answers[] = {
        [LOGIN_ERROR_NONE] = { "[AUTH]", POPD_LOGIN_CREDENTIALS },
        [LOGIN_ERROR_CREDENTIALS] = { "[AUTH]", POPD_LOGIN_CREDENTIALS },
        [LOGIN_ERROR_NEEDS_TLS] = { "", POPD_LOGIN_NEEDS_TLS },
        [LOGIN_ERROR_MECHANISM] = { "", POPD_LOGIN_MECHANISM },
        [LOGIN_ERROR_SYNTAX] = { "", POPD_LOGIN_SYNTAX },
        [LOGIN_ERROR_CANCELED] = { "", POPD_LOGIN_CANCELED },
        [LOGIN_ERROR_SERVICE_OFF] = { "[SYS/PERM]", POPD_LOGIN_OFF },
        [LOGIN_ERROR_BUSY] = { "[SYS/TEMP]", POPD_LOGIN_BUSY },
    };
    s->bad_commands++; /* guesses are as many as bad commands */
    int delay_ms = login_delay_ms(s->login);
    if (delay_ms > 0) {
        conn_pause(s->conn, delay_ms);
        s->stop_reading = true;
    }
    enum login_error error = login_error(s->login);
    return popd_err(s, answers[error].code, answers[error].text);
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
        return popd_bad(s, POPD_TLS_FIRST);
    if (rest.len == 0 || rest.len > USER_NAME_BYTES_MAX || !utf8_valid(rest)) /* RFC 6856 §2.2 */
        return popd_bad(s, POPD_USER_ARGUMENT);
    (void)snprintf(s->name, sizeof s->name, "%.*s", SLICE_FMT(rest));
    return popd_ok(s, POPD_PASSWORD);
}

enum err popd_cmd_pass(struct popd_session *s, struct slice rest)
{
    char name[sizeof s->name];
    if (!s->name[0])
        return popd_bad(s, POPD_USER_FIRST);
    memcpy(name, s->name, sizeof name);
    s->name[0] = 0; /* a new USER for a new try (RFC 1939 §7) */
    return advance(s, login_password(s->login, slice_of(name), rest), NULL);
}

enum err popd_cmd_auth(struct popd_session *s, struct slice rest)
{
    struct slice initial = slice_trim(rest), mechanism;
    if (!slice_cut(&initial, ' ', &mechanism))
        return popd_bad(s, POPD_AUTH_ARGUMENT);
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
    if (s->utf8) /* RFC 6856 §2.1 */
        return popd_bad(s, POPD_TLS_AFTER_UTF8);
    if (!conn_can_starttls(s->conn))
        return popd_bad(s, conn_is_tls(s->conn) ? POPD_TLS_ON : POPD_TLS_NONE);
    s->start_tls = true;
    return ERR_OK;
}

/* RFC 6856 §2.1. AUTHORIZATION state. */
enum err popd_cmd_utf8(struct popd_session *s)
{
    s->utf8 = true;
    return popd_ok(s, POPD_UTF8_ON);
}

static void list_languages(struct popd_session *s)
{
    (void)popd_ok(s, POPD_LANG_LIST);
    for (int lang = 0; lang < POPD_LANGS; lang++)
        buf_addf(conn_out(s->conn), "%s %s\r\n", popd_lang_tag((enum popd_lang)lang),
            popd_lang_name((enum popd_lang)lang));
    buf_adds(conn_out(s->conn), ".\r\n");
}

/* RFC 6856 §3.2. Both states; what it says is in the new language already. */
enum err popd_cmd_lang(struct popd_session *s, struct slice rest)
{
    struct slice range;
    enum err e = pop_parse_language(rest, &range);
    if (e == ERR_NOT_FOUND) {
        list_languages(s);
        return ERR_OK;
    }
    if (e != ERR_OK || popd_lang_find(range, &s->lang) != ERR_OK)
        return popd_bad(s, POPD_LANG_UNKNOWN);
    buf_addf(conn_out(s->conn), "+OK %s %s\r\n", popd_lang_tag(s->lang),
        popd_text(s->lang, POPD_LANG_SET));
    return ERR_OK;
}
