/* One login at a time for one connection. Decoded tokens live in a buffer that is filled in one piece and wiped.
 *
 *     start ──login_begin──► expecting ──login_continue──► … ──► done
 *       ▲                        │  wrong, canceled               │
 *       └────────────────────────┘◄── login_begin starts anew ────┘
 *
 * SCRAM's server-final goes out as a challenge that the client answers with an empty line, because neither IMAP, POP3 nor SMTP carries data
 * with success (RFC 4422 §3.4, §5): `expecting` is then EXPECT_EMPTY, and the user was decided before. A token that is refused is told as a challenge
 * too (RFC 7628 §3.2.3): EXPECT_REFUSED, and nothing that the client says makes it right. */
#include "server/core/login.h"

#include "base/encode.h"
#include "base/log.h"
#include "base/rand.h"
#include "proto/sasl/oauth.h"

#include <stdlib.h>
#include <string.h>

enum expecting {
    EXPECT_NOTHING,
    EXPECT_PLAIN,
    EXPECT_LOGIN_USER,
    EXPECT_LOGIN_PASSWORD,
    EXPECT_CLIENT_FIRST,
    EXPECT_CLIENT_FINAL,
    EXPECT_EMPTY,
    EXPECT_BEARER,
    EXPECT_XOAUTH2,
    EXPECT_REFUSED,
};

struct mechanism {
    struct slice name;
    enum expecting first;
    bool plus;
    const char *prompt; /* first challenge, base64, when no initial response came */
};

/* In the order they are advertised: the best first. */
static const struct mechanism mechanisms[] = {
    { SLICE_CONST("SCRAM-SHA-256-PLUS"), EXPECT_CLIENT_FIRST, true, "" },
    { SLICE_CONST("SCRAM-SHA-256"), EXPECT_CLIENT_FIRST, false, "" },
    { SLICE_CONST("OAUTHBEARER"), EXPECT_BEARER, false, "" },
    { SLICE_CONST("XOAUTH2"), EXPECT_XOAUTH2, false, "" },
    { SLICE_CONST("PLAIN"), EXPECT_PLAIN, false, "" },
    { SLICE_CONST("LOGIN"), EXPECT_LOGIN_USER, false, "VXNlcm5hbWU6" }, /* "Username:" */
};
#define MECHANISM_COUNT (sizeof mechanisms / sizeof *mechanisms)
#define PASSWORD_PROMPT "UGFzc3dvcmQ6" /* "Password:" */

struct login {
    struct server *server; /* borrowed */
    struct conn *conn;     /* borrowed */
    enum protocol protocol;
    const char *mechanism; /* for the log */
    enum expecting expecting;
    struct buf name; /* as the client gave it: LOGIN's first answer, SCRAM's user */
    struct scram_server scram;
    struct user user;
    bool done;
    enum login_error error;
    int delay_ms;
};

struct login *login_new(struct server *server, struct conn *conn, enum protocol protocol)
{
    struct login *login = mem_zalloc(1, sizeof *login);
    login->server = server;
    login->conn = conn;
    login->protocol = protocol;
    login->mechanism = "none";
    buf_init(&login->name, SASL_TOKEN_BYTES_MAX);
    scram_server_init(&login->scram, false, false);
    return login;
}

/* Forgets everything about an exchange, finished or not. */
static void forget(struct login *login)
{
    scram_server_done(&login->scram);
    scram_server_init(&login->scram, false, false);
    buf_clear(&login->name);
    login->expecting = EXPECT_NOTHING;
}

void login_free(struct login *login)
{
    if (!login)
        return;
    forget(login);
    scram_server_done(&login->scram);
    buf_done(&login->name);
    free(login);
}

/* ---- what is allowed ---- */

bool login_plain_allowed(struct login *login)
{
    if (conn_is_tls(login->conn))
        return true;
    if (!conn_is_local(login->conn))
        return false;
    struct config *config = server_config(login->server);
    bool allowed = config->plain_login_on_loopback;
    config_unref(config);
    return allowed;
}

static bool can_bind(struct login *login)
{
    static const struct slice kinds[] = { SLICE_CONST("tls-exporter"),
        SLICE_CONST("tls-server-end-point") };
    bool can = false;
    for (size_t i = 0; conn_is_tls(login->conn) && !can && i < 2; i++)
        can = conn_channel_binding(login->conn, kinds[i], NULL) == ERR_OK;
    return can;
}

static bool is_configured(const struct login *login, const struct mechanism *mechanism)
{
    bool takes_token = mechanism->first == EXPECT_BEARER || mechanism->first == EXPECT_XOAUTH2;
    return !takes_token || login->server->tokens.check;
}

void login_mechanisms(struct login *login, const char *prefix, struct buf *out)
{
    if (!login_plain_allowed(login))
        return;
    bool bind = can_bind(login), first = true;
    for (size_t i = 0; i < MECHANISM_COUNT; i++) {
        if ((mechanisms[i].plus && !bind) || !is_configured(login, &mechanisms[i]))
            continue;
        if (!first)
            buf_addc(out, ' ');
        buf_adds(out, prefix);
        buf_add(out, mechanisms[i].name);
        first = false;
    }
}

static struct auth_peer peer_of(const struct login *login)
{
    return (struct auth_peer){
        .address = conn_peer(login->conn),
        .local = conn_is_local(login->conn),
        .service = protocol_service(login->protocol),
    };
}

/* ---- ends ---- */

static enum login_state failed(struct login *login, enum login_error error, const char *reason)
{
    struct slice name = buf_slice(&login->name);
    log_info("auth.failed", "conn=%llu proto=%s peer=%s mech=%s user=%s reason=%s delay_ms=%d",
        conn_id(login->conn), protocol_name(login->protocol), conn_peer(login->conn),
        login->mechanism, LOG_S(name), reason, login->delay_ms);
    atomic_fetch_add(&login->server->counters.logins_failed, 1);
    login->error = error;
    forget(login);
    return LOGIN_FAILED;
}

static enum login_state succeeded(struct login *login)
{
    log_info("auth.ok", "conn=%llu proto=%s peer=%s mech=%s user=%s device=%lld",
        conn_id(login->conn), protocol_name(login->protocol), conn_peer(login->conn),
        login->mechanism, LOG_S(slice_of(login->user.address)), (long long)login->user.device);
    atomic_fetch_add(&login->server->counters.logins, 1);
    login->done = true;
    forget(login);
    return LOGIN_DONE;
}

/* What auth.h's functions say. */
static enum login_state failed_by(struct login *login, enum err e)
{
    switch (e) {
    case ERR_AUTH:
        return failed(login, LOGIN_ERROR_CREDENTIALS, "credentials");
    case ERR_DENIED:
        return failed(login, LOGIN_ERROR_SERVICE_OFF, "service-off");
    case ERR_BUSY:
        return failed(login, LOGIN_ERROR_BUSY, "throttled");
    default:
        log_error("auth.directory", "conn=%llu error=%s answering=busy", conn_id(login->conn),
            err_name(e));
        return failed(login, LOGIN_ERROR_BUSY, err_name(e));
    }
}

static void begin(struct login *login, const char *mechanism)
{
    forget(login);
    login->mechanism = mechanism;
    login->error = LOGIN_ERROR_NONE;
    login->delay_ms = 0;
    login->done = false;
}

/* ---- passwords ---- */

static enum login_state check_password(
    struct login *login, struct slice user, struct slice password)
{
    struct auth_peer peer = peer_of(login);
    enum err e =
        auth_password(login->server->auth, &peer, user, password, &login->user, &login->delay_ms);
    return e ? failed_by(login, e) : succeeded(login);
}

enum login_state login_password(struct login *login, struct slice user, struct slice password)
{
    begin(login, "password");
    buf_add(&login->name, slice_sub(user, 0, USER_NAME_BYTES_MAX));
    if (!login_plain_allowed(login))
        return failed(login, LOGIN_ERROR_NEEDS_TLS, "needs-tls");
    return check_password(login, user, password);
}

/* Acting as somebody else is not offered; naming oneself, in any spelling, is fine. */
static bool is_same_user(struct slice authzid, struct slice user)
{
    char a[USER_NAME_BYTES_MAX + 1], b[USER_NAME_BYTES_MAX + 1];
    if (authzid.len == 0 || slice_eq(authzid, user))
        return true;
    return address_canonical(authzid, a) == ERR_OK && address_canonical(user, b) == ERR_OK &&
           strcmp(a, b) == 0;
}

static enum login_state take_plain(struct login *login, struct slice token)
{
    struct sasl_plain plain;
    enum err e = sasl_plain_parse(token, &plain);
    if (e == ERR_LIMIT) /* nobody's name or password: the answer and the time of a wrong one */
        return check_password(login, SLICE_EMPTY, SLICE_EMPTY);
    if (e)
        return failed(login, LOGIN_ERROR_SYNTAX, "bad-message");
    buf_add(&login->name, plain.authcid);
    if (!is_same_user(plain.authzid, plain.authcid))
        return check_password(login, SLICE_EMPTY, SLICE_EMPTY);
    return check_password(login, plain.authcid, plain.password);
}

static enum login_state take_login_user(
    struct login *login, struct slice token, struct buf *out_challenge)
{
    buf_add(&login->name, token);
    login->expecting = EXPECT_LOGIN_PASSWORD;
    buf_adds(out_challenge, PASSWORD_PROMPT);
    return LOGIN_CHALLENGE;
}

/* ---- SCRAM ---- */

static enum login_state take_client_first(
    struct login *login, struct slice token, struct buf *out_challenge)
{
    struct scram_server *scram = &login->scram;
    unsigned char random[18];
    struct buf nonce, challenge;
    struct scram_secret salted;
    rand_bytes(random, sizeof random);
    buf_init(&nonce, 0);
    base64_encode(&nonce, slice_from(random, sizeof random));
    buf_addc(&nonce, '\0');
    enum err e = scram_server_first(scram, token, buf_slice(&nonce).ptr);
    buf_done(&nonce);
    struct slice user = buf_slice(&scram->user);
    buf_add(&login->name, user);
    if (e == ERR_SYNTAX || e == ERR_LIMIT)
        return failed(login, LOGIN_ERROR_SYNTAX, scram->error);
    if (e)
        return failed(login, LOGIN_ERROR_CREDENTIALS, scram->error);
    if (!is_same_user(buf_slice(&scram->authzid), user))
        return failed(login, LOGIN_ERROR_CREDENTIALS, "authzid");
    struct auth_peer peer = peer_of(login);
    e = auth_scram_begin(login->server->auth, &peer, user, &salted);
    if (e)
        return failed_by(login, e);
    buf_init(&challenge, 0);
    scram_server_challenge(scram, &salted, &challenge);
    base64_encode(out_challenge, buf_slice(&challenge));
    buf_done(&challenge);
    login->expecting = EXPECT_CLIENT_FINAL;
    return LOGIN_CHALLENGE;
}

/* ERR_SYNTAX, ERR_AUTH, or what the connection says about its binding (then scram->error is set here). */
static enum err check_final(struct login *login, const struct auth_scram *secrets,
    struct slice token, struct buf *out_final, size_t *out_which)
{
    struct scram_server *scram = &login->scram;
    struct buf binding;
    buf_init(&binding, 0);
    enum err e = ERR_OK;
    if (scram->plus) {
        e = conn_channel_binding(login->conn, buf_slice(&scram->binding_name), &binding);
        if (e) {
            scram->error = "unsupported-channel-binding-type";
            e = ERR_AUTH;
        }
    }
    if (!e)
        e = scram_server_final_any(scram, secrets->keys, AUTH_SCRAM_KEYS, token,
            buf_slice(&binding), out_final, out_which);
    sasl_buf_wipe(&binding);
    return e;
}

/* Whose proof it is; then final is the server's last word. */
static enum login_state take_proof(
    struct login *login, struct auth_scram *secrets, struct slice token, struct buf *final)
{
    struct auth *auth = login->server->auth;
    struct auth_peer peer = peer_of(login);
    struct slice name = buf_slice(&login->name);
    size_t which = SIZE_MAX;
    enum err e = auth_scram_keys(auth, &peer, name, secrets);
    if (e)
        return failed_by(login, e);
    enum err proof = check_final(login, secrets, token, final, &which);
    if (proof == ERR_SYNTAX)
        return failed(login, LOGIN_ERROR_SYNTAX, login->scram.error);
    e = auth_scram_end(auth, &peer, name, secrets, which, &login->user, &login->delay_ms);
    if (e == ERR_AUTH && proof)
        return failed(login, LOGIN_ERROR_CREDENTIALS, login->scram.error);
    return e ? failed_by(login, e) : LOGIN_CHALLENGE;
}

static enum login_state take_client_final(
    struct login *login, struct slice token, struct buf *out_challenge)
{
    struct auth_scram secrets;
    struct buf final;
    buf_init(&final, 0);
    enum login_state state = take_proof(login, &secrets, token, &final);
    explicit_bzero(&secrets, sizeof secrets);
    if (state == LOGIN_CHALLENGE) {
        base64_encode(out_challenge, buf_slice(&final));
        login->expecting = EXPECT_EMPTY;
    }
    buf_done(&final);
    return state;
}

/* ---- tokens ---- */

/* How the client learns what token it needs; it answers, and the login has failed. */
static enum login_state refuse_token(struct login *login, bool bearer, struct buf *out_challenge)
{
    struct buf error;
    buf_init(&error, 0);
    sasl_oauth_error_write(
        &(struct sasl_oauth_error){ .status = bearer ? SLICE("invalid_token") : SLICE("401"),
            .scope = login->server->tokens.scope,
            .configuration = login->server->tokens.configuration },
        &error);
    base64_encode(out_challenge, buf_slice(&error));
    buf_done(&error);
    login->expecting = EXPECT_REFUSED;
    return LOGIN_CHALLENGE;
}

static enum login_state take_token(
    struct login *login, struct slice message, bool bearer, struct buf *out_challenge)
{
    struct sasl_oauth oauth;
    struct auth_peer peer = peer_of(login);
    const struct server_tokens *tokens = &login->server->tokens;
    enum err e = (bearer ? sasl_oauthbearer_parse : sasl_xoauth2_parse)(message, &oauth);
    if (e != ERR_OK)
        return failed(login, LOGIN_ERROR_SYNTAX, "bad-message");
    buf_adds(&login->name, oauth.authzid);
    struct auth_token token = { .token = oauth.token,
        .named = slice_of(oauth.authzid),
        .host = oauth.host,
        .port = oauth.port };
    e = auth_token(login->server->auth, &peer, &token, tokens->check, tokens->check_arg,
        &login->user, &login->delay_ms);
    if (e == ERR_AUTH)
        return refuse_token(login, bearer, out_challenge);
    return e ? failed_by(login, e) : succeeded(login);
}

/* ---- the exchange ---- */

static enum login_state take(struct login *login, struct slice token, struct buf *out_challenge)
{
    switch (login->expecting) {
    case EXPECT_PLAIN:
        return take_plain(login, token);
    case EXPECT_LOGIN_USER:
        return take_login_user(login, token, out_challenge);
    case EXPECT_LOGIN_PASSWORD:
        return check_password(login, buf_slice(&login->name), token);
    case EXPECT_CLIENT_FIRST:
        return take_client_first(login, token, out_challenge);
    case EXPECT_CLIENT_FINAL:
        return take_client_final(login, token, out_challenge);
    case EXPECT_EMPTY:
        if (token.len)
            return failed(login, LOGIN_ERROR_SYNTAX, "not-empty");
        /* the client may have waited long with this line */
        return directory_login_holds(
                   login->server->directory, &login->user, protocol_service(login->protocol))
                   ? succeeded(login)
                   : failed(login, LOGIN_ERROR_CREDENTIALS, "changed-meanwhile");
    case EXPECT_BEARER:
    case EXPECT_XOAUTH2:
        return take_token(login, token, login->expecting == EXPECT_BEARER, out_challenge);
    case EXPECT_REFUSED:
        return failed(login, LOGIN_ERROR_CREDENTIALS, "token");
    case EXPECT_NOTHING:
        break;
    }
    return failed(login, LOGIN_ERROR_SYNTAX, "no-exchange");
}

static enum login_state take_base64(
    struct login *login, struct slice text, struct buf *out_challenge)
{
    if (text.len > SASL_TOKEN_BYTES_MAX)
        return failed(login, LOGIN_ERROR_SYNTAX, "too-long");
    struct buf token;
    buf_init(&token, 0);
    (void)buf_room(
        &token, text.len + 1); /* one piece: growing would leave copies of a password behind */
    enum login_state state = base64_decode(&token, text) == ERR_OK
                                 ? take(login, buf_slice(&token), out_challenge)
                                 : failed(login, LOGIN_ERROR_SYNTAX, "bad-base64");
    sasl_buf_wipe(&token);
    return state;
}

static const struct mechanism *find_mechanism(struct slice name)
{
    for (size_t i = 0; i < MECHANISM_COUNT; i++)
        if (slice_eq_nocase(mechanisms[i].name, name))
            return &mechanisms[i];
    return NULL;
}

enum login_state login_begin(
    struct login *login, struct slice mechanism, struct slice initial, struct buf *out_challenge)
{
    const struct mechanism *chosen = find_mechanism(mechanism);
    begin(login, chosen ? chosen->name.ptr : "unknown");
    if (!chosen || !is_configured(login, chosen))
        return failed(login, LOGIN_ERROR_MECHANISM, "mechanism");
    if (!login_plain_allowed(login))
        return failed(login, LOGIN_ERROR_NEEDS_TLS, "needs-tls");
    if (chosen->first == EXPECT_CLIENT_FIRST) {
        bool bind = can_bind(login);
        if (chosen->plus && !bind)
            return failed(login, LOGIN_ERROR_MECHANISM, "no-channel-binding");
        scram_server_done(&login->scram);
        scram_server_init(&login->scram, chosen->plus, bind);
    }
    login->expecting = chosen->first;
    if (!initial.ptr) {
        buf_adds(out_challenge, chosen->prompt);
        return LOGIN_CHALLENGE;
    }
    /* "=" stands for a response that is there and empty (RFC 4954 §4, RFC 4959 §3) */
    return take_base64(login, slice_eq(initial, SLICE("=")) ? SLICE_EMPTY : initial, out_challenge);
}

enum login_state login_continue(struct login *login, struct slice line, struct buf *out_challenge)
{
    if (login->expecting == EXPECT_REFUSED) /* "*" and noise are answers too */
        return take(login, SLICE_EMPTY, out_challenge);
    if (slice_eq(line, SLICE("*"))) {
        log_debug("auth.canceled", "conn=%llu mech=%s", conn_id(login->conn), login->mechanism);
        login->error = LOGIN_ERROR_CANCELED;
        forget(login);
        return LOGIN_FAILED;
    }
    return take_base64(login, line, out_challenge);
}

const struct user *login_user(const struct login *login)
{
    return login->done ? &login->user : NULL;
}

enum login_error login_error(const struct login *login)
{
    return login->error;
}

static const char *service_off_text(enum protocol protocol)
{
    switch (protocol) {
    case PROTOCOL_IMAP:
        return "IMAP is switched off for this account or app password; the administrator switches "
               "it on with "
               "\"barid user set ADDRESS --imap on\"";
    case PROTOCOL_POP3:
        return "POP3 is switched off for this account or app password; the administrator switches "
               "it on with "
               "\"barid user set ADDRESS --pop on\"";
    default:
        return "Sending is switched off for this account or app password; the administrator "
               "switches it on with "
               "\"barid user set ADDRESS --submission "
               "on\"";
    }
}

const char *login_error_text(const struct login *login)
{
    switch (login->error) {
    case LOGIN_ERROR_NONE:
        return "No error";
    case LOGIN_ERROR_CREDENTIALS:
        return "Wrong user name or password";
    case LOGIN_ERROR_NEEDS_TLS:
        return "Start TLS first: passwords are not taken over an open connection";
    case LOGIN_ERROR_MECHANISM:
        return "This mechanism is not offered here";
    case LOGIN_ERROR_SYNTAX:
        return "That is not an answer this mechanism has";
    case LOGIN_ERROR_CANCELED:
        return "Login canceled";
    case LOGIN_ERROR_SERVICE_OFF:
        return service_off_text(login->protocol);
    case LOGIN_ERROR_BUSY:
        return "Too many attempts lately, or the server is busy: try again later";
    }
    return "Login failed";
}

int login_delay_ms(const struct login *login)
{
    return login->delay_ms;
}
