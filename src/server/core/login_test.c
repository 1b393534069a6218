/* Exchanges as the protocols drive them, against the real directory; the connection and the configuration are made up here. */
#include "auth/directory_fixture_test.h"
#include "base/encode.h"
#include "base/log.h"
#include "server/core/login.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct conn {
    bool tls, local, binds;
};

static struct config config;

bool conn_is_tls(const struct conn *conn)
{
    return conn->tls;
}

bool conn_is_local(const struct conn *conn)
{
    return conn->local;
}

const char *conn_peer(const struct conn *conn)
{
    return conn->local ? "127.0.0.1" : "192.0.2.7";
}

unsigned long long conn_id(const struct conn *conn)
{
    (void)conn;
    return 7;
}

enum err conn_channel_binding(struct conn *conn, struct slice kind, struct buf *out)
{
    if (!conn->binds || !slice_eq(kind, SLICE("tls-exporter")))
        return ERR_NOT_FOUND;
    if (out)
        buf_adds(out, "binding of this connection");
    return ERR_OK;
}

struct config *server_config(struct server *server)
{
    (void)server;
    return &config;
}

void config_unref(struct config *c)
{
    assert_ptr_equal(c, &config);
}

const char *protocol_name(enum protocol protocol)
{
    return protocol == PROTOCOL_IMAP ? "imap" : protocol == PROTOCOL_POP3 ? "pop3" : "smtp";
}

static struct server server;
static struct conn tls_conn = { .tls = true, .local = true, .binds = true };

static int setup(void **state)
{
    (void)state;
    server.directory = directory_begin();
    assert_ok(directory_domain_add(server.directory, SLICE("barid.test"), NULL));
    assert_ok(directory_domain_add(server.directory, SLICE("second.test"), NULL));
    struct user_new user = {
        .address = SLICE("omar@barid.test"), .password = SLICE("secret"), .services = USER_IMAP
    };
    assert_ok(directory_users_add(server.directory, &user, 1, NULL));
    server.auth = auth_new(server.directory, &(struct auth_options){ 0 });
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    auth_free(server.auth);
    return directory_end(server.directory);
}

static const char *mechanisms_of(struct conn *conn, const char *prefix)
{
    static char text[256];
    struct login *login = login_new(&server, conn, PROTOCOL_IMAP);
    struct buf out;
    buf_init(&out, 0);
    login_mechanisms(login, prefix, &out);
    snprintf(text, sizeof text, "%.*s", SLICE_FMT(buf_slice(&out)));
    assert_true((buf_len(&out) > 0) == login_plain_allowed(login));
    buf_done(&out);
    login_free(login);
    return text;
}

static void test_mechanisms(void **state)
{
    (void)state;
    struct conn far_tls = { .tls = true }, far = { 0 }, near = { .local = true };
    assert_string_equal(mechanisms_of(&tls_conn, "AUTH="),
        "AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256 AUTH=PLAIN AUTH=LOGIN");
    assert_string_equal(mechanisms_of(&far_tls, ""), "SCRAM-SHA-256 PLAIN LOGIN");
    config.plain_login_on_loopback = true;
    assert_string_equal(mechanisms_of(&far, ""), "");
    assert_string_equal(mechanisms_of(&near, ""), "SCRAM-SHA-256 PLAIN LOGIN");
    config.plain_login_on_loopback = false;
    assert_string_equal(mechanisms_of(&near, ""), "");
    struct login *login = login_new(&server, &near, PROTOCOL_IMAP);
    struct buf out;
    buf_init(&out, 0);
    static const char *const names[] = { "PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS" };
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(
            login_begin(login, slice_of(names[i]), (struct slice){ 0 }, &out), LOGIN_FAILED);
        assert_int_equal(login_error(login), LOGIN_ERROR_NEEDS_TLS);
    }
    assert_int_equal(
        login_password(login, SLICE("omar@barid.test"), SLICE("secret")), LOGIN_FAILED);
    assert_int_equal(login_error(login), LOGIN_ERROR_NEEDS_TLS);
    assert_null(login_user(login));
    login_free(login);
    login = login_new(&server, &far_tls, PROTOCOL_IMAP);
    assert_int_equal(
        login_begin(login, SLICE("SCRAM-SHA-256-PLUS"), (struct slice){ 0 }, &out), LOGIN_FAILED);
    assert_int_equal(login_error(login), LOGIN_ERROR_MECHANISM);
    login_free(login);
    buf_done(&out);
}

/* One line of a script: what the client says (NULL ptr: no initial response) as it is before base64, unless raw. */
struct step {
    const char *text;
    size_t len;
    bool raw;
};
#define S(t)                                                                                       \
    {                                                                                              \
        (t), sizeof(t) - 1, false                                                                  \
    }
#define RAW(t)                                                                                     \
    {                                                                                              \
        (t), sizeof(t) - 1, true                                                                   \
    }
#define NONE                                                                                       \
    {                                                                                              \
        NULL, 0, false                                                                             \
    }

static const struct script {
    const char *name, *mechanism;
    enum protocol protocol;
    struct step steps[4];
    size_t count;
    enum login_state wanted;
    enum login_error error;
} scripts[] = {
    { "PLAIN", "PLAIN", PROTOCOL_IMAP, { S("\0omar@barid.test\0secret") }, 1, LOGIN_DONE, 0 },
    { "PLAIN in small letters", "plain", PROTOCOL_IMAP, { S("\0omar@barid.test\0secret") }, 1,
        LOGIN_DONE, 0 },
    { "PLAIN in two steps", "PLAIN", PROTOCOL_IMAP, { NONE, S("\0omar@barid.test\0secret") }, 2,
        LOGIN_DONE, 0 },
    { "PLAIN as oneself", "PLAIN", PROTOCOL_IMAP, { S("OMAR@barid.test\0omar@barid.test\0secret") },
        1, LOGIN_DONE, 0 },
    { "PLAIN as another", "PLAIN", PROTOCOL_IMAP,
        { S("salma@barid.test\0omar@barid.test\0secret") }, 1, LOGIN_FAILED,
        LOGIN_ERROR_CREDENTIALS },
    { "PLAIN wrong", "PLAIN", PROTOCOL_IMAP, { S("\0omar@barid.test\0Secret") }, 1, LOGIN_FAILED,
        LOGIN_ERROR_CREDENTIALS },
    { "PLAIN nobody", "PLAIN", PROTOCOL_IMAP, { S("\0nobody@barid.test\0secret") }, 1, LOGIN_FAILED,
        LOGIN_ERROR_CREDENTIALS },
    { "PLAIN service off", "PLAIN", PROTOCOL_POP3, { S("\0omar@barid.test\0secret") }, 1,
        LOGIN_FAILED, LOGIN_ERROR_SERVICE_OFF },
    { "PLAIN submission off", "PLAIN", PROTOCOL_SUBMISSION, { S("\0omar@barid.test\0secret") }, 1,
        LOGIN_FAILED, LOGIN_ERROR_SERVICE_OFF },
    { "PLAIN no message", "PLAIN", PROTOCOL_IMAP, { S("omar") }, 1, LOGIN_FAILED,
        LOGIN_ERROR_SYNTAX },
    { "PLAIN empty", "PLAIN", PROTOCOL_IMAP, { RAW("=") }, 1, LOGIN_FAILED, LOGIN_ERROR_SYNTAX },
    { "PLAIN no base64", "PLAIN", PROTOCOL_IMAP, { RAW("!!!!") }, 1, LOGIN_FAILED,
        LOGIN_ERROR_SYNTAX },
    { "PLAIN half base64", "PLAIN", PROTOCOL_IMAP, { NONE, RAW("AG9") }, 2, LOGIN_FAILED,
        LOGIN_ERROR_SYNTAX },
    { "PLAIN canceled", "PLAIN", PROTOCOL_IMAP, { NONE, RAW("*") }, 2, LOGIN_FAILED,
        LOGIN_ERROR_CANCELED },
    { "PLAIN nothing", "PLAIN", PROTOCOL_IMAP, { NONE, RAW("") }, 2, LOGIN_FAILED,
        LOGIN_ERROR_SYNTAX },
    { "LOGIN", "LOGIN", PROTOCOL_IMAP, { NONE, S("omar@barid.test"), S("secret") }, 3, LOGIN_DONE,
        0 },
    { "LOGIN with the user at once", "LOGIN", PROTOCOL_IMAP, { S("omar@barid.test"), S("secret") },
        2, LOGIN_DONE, 0 },
    { "LOGIN wrong", "LOGIN", PROTOCOL_IMAP, { NONE, S("omar@barid.test"), S("x") }, 3,
        LOGIN_FAILED, LOGIN_ERROR_CREDENTIALS },
    { "LOGIN empty", "LOGIN", PROTOCOL_IMAP, { NONE, RAW(""), RAW("") }, 3, LOGIN_FAILED,
        LOGIN_ERROR_CREDENTIALS },
    { "LOGIN canceled", "LOGIN", PROTOCOL_IMAP, { NONE, S("omar@barid.test"), RAW("*") }, 3,
        LOGIN_FAILED, LOGIN_ERROR_CANCELED },
    { "unknown", "CRAM-MD5", PROTOCOL_IMAP, { NONE }, 1, LOGIN_FAILED, LOGIN_ERROR_MECHANISM },
    { "empty mechanism", "", PROTOCOL_IMAP, { NONE }, 1, LOGIN_FAILED, LOGIN_ERROR_MECHANISM },
    { "SCRAM noise", "SCRAM-SHA-256", PROTOCOL_IMAP, { NONE, S("hello") }, 2, LOGIN_FAILED,
        LOGIN_ERROR_SYNTAX },
    { "SCRAM downgrade", "SCRAM-SHA-256", PROTOCOL_IMAP, { S("y,,n=omar@barid.test,r=abc") }, 1,
        LOGIN_FAILED, LOGIN_ERROR_CREDENTIALS },
    { "SCRAM as another", "SCRAM-SHA-256", PROTOCOL_IMAP,
        { S("n,a=salma,n=omar@barid.test,r=abc") }, 1, LOGIN_FAILED, LOGIN_ERROR_CREDENTIALS },
    { "SCRAM final noise", "SCRAM-SHA-256", PROTOCOL_IMAP,
        { S("n,,n=omar@barid.test,r=abc"), S("c=biws") }, 2, LOGIN_FAILED, LOGIN_ERROR_SYNTAX },
    { "SCRAM final of another", "SCRAM-SHA-256", PROTOCOL_IMAP,
        { S("n,,n=omar@barid.test,r=abc"),
            S("c=biws,r=abc,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=") },
        2, LOGIN_FAILED, LOGIN_ERROR_CREDENTIALS },
    { "SCRAM canceled", "SCRAM-SHA-256", PROTOCOL_IMAP,
        { S("n,,n=omar@barid.test,r=abc"), RAW("*") }, 2, LOGIN_FAILED, LOGIN_ERROR_CANCELED },
};

static enum login_state say(struct login *login, const char *mechanism, const struct step *step,
    bool first, struct buf *out)
{
    struct buf text;
    buf_init(&text, 0);
    if (step->raw)
        buf_add(&text, slice_from(step->text, step->len));
    else if (step->text)
        base64_encode(&text, slice_from(step->text, step->len));
    struct slice line = step->text ? buf_slice(&text) : (struct slice){ 0 };
    if (step->text && !line.ptr)
        line = SLICE_EMPTY;
    enum login_state state = first ? login_begin(login, slice_of(mechanism), line, out)
                                   : login_continue(login, line, out);
    buf_done(&text);
    return state;
}

static void test_scripts(void **state)
{
    (void)state;
    unsigned long long failures = server.counters.logins_failed;
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        const struct script *script = &scripts[i];
        struct login *login = login_new(&server, &tls_conn, script->protocol);
        struct buf out;
        buf_init(&out, 0);
        enum login_state got = LOGIN_CHALLENGE;
        for (size_t k = 0; k < script->count; k++) {
            if (got != LOGIN_CHALLENGE)
                fail_msg("%s: over before step %zu", script->name, k);
            buf_clear(&out);
            got = say(login, script->mechanism, &script->steps[k], k == 0, &out);
        }
        if (got != script->wanted || login_error(login) != script->error)
            fail_msg("%s: state %d error %d", script->name, (int)got, (int)login_error(login));
        assert_true((login_user(login) != NULL) == (got == LOGIN_DONE));
        assert_true(strlen(login_error_text(login)) > 0);
        if (got == LOGIN_DONE)
            assert_string_equal(login_user(login)->address, "omar@barid.test");
        /* whatever happened, nothing is left over: a line without an exchange is an error, a new exchange works */
        assert_int_equal(login_continue(login, SLICE("AAAA"), &out), LOGIN_FAILED);
        if (script->protocol == PROTOCOL_IMAP)
            assert_int_equal(
                login_password(login, SLICE("omar@barid.test"), SLICE("secret")), LOGIN_DONE);
        login_free(login);
        buf_done(&out);
    }
    assert_true(server.counters.logins_failed > failures);
    assert_true(server.counters.logins > 10);
}

static void test_too_long(void **state)
{
    (void)state;
    static char line[SASL_TOKEN_BYTES_MAX + 4];
    memset(line, 'A', sizeof line);
    struct login *login = login_new(&server, &tls_conn, PROTOCOL_IMAP);
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(
        login_begin(login, SLICE("LOGIN"), slice_from(line, SASL_TOKEN_BYTES_MAX), &out),
        LOGIN_CHALLENGE);
    assert_int_equal(login_continue(login, slice_from(line, sizeof line), &out), LOGIN_FAILED);
    assert_int_equal(login_error(login), LOGIN_ERROR_SYNTAX);
    /* a name nobody can have is told like a wrong password */
    static char plain[4096];
    memset(plain, 'x', sizeof plain);
    plain[0] = plain[2000] = '\0';
    const struct step step = { plain, sizeof plain, false };
    assert_int_equal(say(login, "PLAIN", &step, true, &out), LOGIN_FAILED);
    assert_int_equal(login_error(login), LOGIN_ERROR_CREDENTIALS);
    login_free(login);
    buf_done(&out);
}

/* A whole SCRAM login; tampered: the client saw another connection. end: what it says to server-final. */
static enum login_state scram(const char *mechanism, bool tampered, const char *password,
    struct slice end, enum login_error *out_error)
{
    bool plus = strcmp(mechanism, "SCRAM-SHA-256-PLUS") == 0;
    struct slice binding = !plus      ? SLICE_EMPTY
                           : tampered ? SLICE("another connection")
                                      : SLICE("binding of this connection");
    struct login *login = login_new(&server, &tls_conn, PROTOCOL_IMAP);
    struct scram_client client;
    struct buf out, message, text;
    buf_init(&out, 0), buf_init(&message, 0), buf_init(&text, 0);
    scram_client_init(&client);
    assert_ok(scram_client_first(&client, SLICE("omar@barid.test"),
        plus ? SLICE("tls-exporter") : SLICE_EMPTY, false, "client", &message));
    base64_encode(&text, buf_slice(&message));
    enum login_state state = login_begin(login, slice_of(mechanism), buf_slice(&text), &out);
    assert_int_equal(state, LOGIN_CHALLENGE);
    buf_clear(&message), buf_clear(&text);
    assert_ok(base64_decode(&message, buf_slice(&out)));
    struct buf final;
    buf_init(&final, 0);
    assert_ok(
        scram_client_final(&client, buf_slice(&message), slice_of(password), binding, &final));
    base64_encode(&text, buf_slice(&final));
    buf_clear(&out);
    state = login_continue(login, buf_slice(&text), &out);
    if (state == LOGIN_CHALLENGE) {
        assert_null(
            login_user(login)); /* not yet: the client has to be content with the server first */
        buf_clear(&message);
        assert_ok(base64_decode(&message, buf_slice(&out)));
        assert_ok(scram_client_verify(&client, buf_slice(&message)));
        state = login_continue(login, end, &out);
    }
    assert_true((login_user(login) != NULL) == (state == LOGIN_DONE));
    *out_error = login_error(login);
    scram_client_done(&client);
    buf_done(&final), buf_done(&out), buf_done(&message), buf_done(&text);
    login_free(login);
    return state;
}

static void test_scram(void **state)
{
    (void)state;
    static const struct {
        const char *name, *mechanism, *password;
        bool tampered;
        struct slice end;
        enum login_state wanted;
        enum login_error error;
    } rows[] = {
        { "right", "SCRAM-SHA-256", "secret", false, SLICE_CONST(""), LOGIN_DONE, 0 },
        { "right, bound", "SCRAM-SHA-256-PLUS", "secret", false, SLICE_CONST(""), LOGIN_DONE, 0 },
        { "wrong", "SCRAM-SHA-256", "x", false, SLICE_CONST(""), LOGIN_FAILED,
            LOGIN_ERROR_CREDENTIALS },
        { "in the middle", "SCRAM-SHA-256-PLUS", "secret", true, SLICE_CONST(""), LOGIN_FAILED,
            LOGIN_ERROR_CREDENTIALS },
        { "client not content", "SCRAM-SHA-256", "secret", false, SLICE_CONST("*"), LOGIN_FAILED,
            LOGIN_ERROR_CANCELED },
        { "more than empty", "SCRAM-SHA-256", "secret", false, SLICE_CONST("AAAA"), LOGIN_FAILED,
            LOGIN_ERROR_SYNTAX },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum login_error error;
        enum login_state got =
            scram(rows[i].mechanism, rows[i].tampered, rows[i].password, rows[i].end, &error);
        if (got != rows[i].wanted || error != rows[i].error)
            fail_msg("%s: state %d error %d", rows[i].name, (int)got, (int)error);
    }
}

/* An app password, by each mechanism; the session is told which. */
static void test_app_password(void **state)
{
    (void)state;
    char text[APP_PASSWORD_TEXT_BYTES + 1];
    struct user user;
    int64_t device, same;
    enum login_error error;
    assert_ok(directory_user(server.directory, SLICE("omar@barid.test"), &user));
    struct app_password_new wanted = { .name = SLICE("phone"), .services = USER_IMAP };
    assert_ok(directory_app_password_add(server.directory, &user, &wanted, text, &device));
    assert_int_equal(scram("SCRAM-SHA-256", false, text, SLICE_EMPTY, &error), LOGIN_DONE);
    assert_int_equal(scram("SCRAM-SHA-256-PLUS", false, text, SLICE_EMPTY, &error), LOGIN_DONE);
    assert_int_equal(scram("SCRAM-SHA-256-PLUS", true, text, SLICE_EMPTY, &error), LOGIN_FAILED);
    assert_int_equal(error, LOGIN_ERROR_CREDENTIALS);
    struct login *login = login_new(&server, &tls_conn, PROTOCOL_IMAP);
    assert_int_equal(login_password(login, SLICE("omar@barid.test"), slice_of(text)), LOGIN_DONE);
    assert_int_equal(login_user(login)->device, device);
    assert_int_equal(login_password(login, SLICE("omar@barid.test"), SLICE("secret")), LOGIN_DONE);
    assert_int_equal(login_user(login)->device, 0);
    login_free(login);
    login = login_new(&server, &tls_conn, PROTOCOL_SUBMISSION);
    assert_int_equal(login_password(login, SLICE("omar@barid.test"), slice_of(text)), LOGIN_FAILED);
    assert_int_equal(login_error(login), LOGIN_ERROR_SERVICE_OFF);
    login_free(login);
    assert_ok(directory_app_password_revoke(server.directory, &user, SLICE("phone"), &same));
    assert_int_equal(scram("SCRAM-SHA-256", false, text, SLICE_EMPTY, &error), LOGIN_FAILED);
    assert_int_equal(error, LOGIN_ERROR_CREDENTIALS);
}

/* Neither password nor token is ever in the log; the name is, escaped. */
static void test_log(void **state)
{
    (void)state;
    char name[] = "/tmp/barid-login-log-XXXXXX", text[4096];
    int fd = mkstemp(name);
    log_set_fd(fd);
    log_set_level(LOG_DEBUG);
    struct login *login = login_new(&server, &tls_conn, PROTOCOL_IMAP);
    struct buf out;
    buf_init(&out, 0);
    (void)login_password(login, SLICE("omar@barid.test"), SLICE("secret"));
    (void)login_password(login, SLICE("eve \"\n level=error"), SLICE("hidden-one"));
    const struct step step = S("\0omar@barid.test\0hidden-two");
    (void)say(login, "PLAIN", &step, true, &out);
    log_set_fd(2);
    log_set_level(LOG_WARN);
    ssize_t len = pread(fd, text, sizeof text - 1, 0);
    assert_true(len > 0);
    text[len] = '\0';
    assert_non_null(strstr(text, "auth.ok"));
    assert_non_null(strstr(text, "auth.failed"));
    assert_non_null(strstr(text, "user=omar@barid.test"));
    assert_null(strstr(text, "secret"));
    assert_null(strstr(text, "hidden"));
    size_t lines = 0;
    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 3);
    close(fd);
    unlink(name);
    login_free(login);
    buf_done(&out);
}

/* ---- tokens ---- */

static const char *checked_host;
static unsigned checked_port, checks;

/* "omars" and "salmas" are good; "later" cannot be looked at now; "others" is of somebody elsewhere. */
static enum err check_token(
    void *check_arg, const struct auth_token *token, char out_user[USER_NAME_BYTES_MAX + 1])
{
    assert_ptr_equal(check_arg, &checks);
    checks++;
    checked_host = token->host.len ? "told" : "";
    checked_port = token->port;
    if (slice_eq(token->token, SLICE("later")))
        return ERR_BUSY;
    const char *whose = slice_eq(token->token, SLICE("omars"))    ? "OMAR@barid.test"
                        : slice_eq(token->token, SLICE("others")) ? "omar@elsewhere.test"
                        : slice_eq(token->token, SLICE("empty"))  ? ""
                                                                  : NULL;
    if (!whose)
        return ERR_AUTH;
    (void)snprintf(out_user, USER_NAME_BYTES_MAX + 1, "%s", whose);
    return ERR_OK;
}

static int setup_tokens(void **state)
{
    server.tokens = (struct server_tokens){ .check = check_token,
        .check_arg = &checks,
        .scope = SLICE("mail"),
        .configuration = SLICE("https://barid.test/x") };
    return setup(state);
}

static int teardown_tokens(void **state)
{
    server.tokens = (struct server_tokens){ .check = NULL };
    return teardown(state);
}

#define BEARER_ERROR                                                                               \
    "{\"status\":\"invalid_token\",\"scope\":\"mail\",\"openid-configuration\":\"https://"         \
    "barid.test/x\"}"
#define XOAUTH2_ERROR                                                                              \
    "{\"status\":\"401\",\"scope\":\"mail\",\"openid-configuration\":\"https://barid.test/x\"}"

static const struct {
    struct script script;
    const char *challenge; /* the last one, decoded; NULL: whatever */
} token_scripts[] = {
    { { "bearer", "OAUTHBEARER", PROTOCOL_IMAP,
          { S("n,a=omar@barid.test,\1host=mail.barid.test\1port=143\1auth=Bearer omars\1\1") }, 1,
          LOGIN_DONE, 0 },
        NULL },
    { { "bearer in two steps", "oauthbearer", PROTOCOL_IMAP,
          { NONE, S("n,,\1auth=Bearer omars\1\1") }, 2, LOGIN_DONE, 0 },
        "" },
    { { "other letters", "OAUTHBEARER", PROTOCOL_IMAP,
          { S("n,a=Omar@BARID.test,\1auth=Bearer omars\1\1") }, 1, LOGIN_DONE, 0 },
        NULL },
    { { "bad token", "OAUTHBEARER", PROTOCOL_IMAP,
          { S("n,a=omar@barid.test,\1auth=Bearer old\1\1"), S("\1") }, 2, LOGIN_FAILED,
          LOGIN_ERROR_CREDENTIALS },
        BEARER_ERROR },
    { { "bad token, canceled", "OAUTHBEARER", PROTOCOL_IMAP,
          { S("n,a=omar@barid.test,\1auth=Bearer old\1\1"), RAW("*") }, 2, LOGIN_FAILED,
          LOGIN_ERROR_CREDENTIALS },
        BEARER_ERROR },
    { { "bad token, then a good one", "OAUTHBEARER", PROTOCOL_IMAP,
          { S("n,,\1auth=Bearer old\1\1"), S("n,,\1auth=Bearer omars\1\1") }, 2, LOGIN_FAILED,
          LOGIN_ERROR_CREDENTIALS },
        BEARER_ERROR },
    { { "no token: which one is needed", "OAUTHBEARER", PROTOCOL_IMAP,
          { S("n,a=omar@barid.test,\1auth=\1\1"), S("\1") }, 2, LOGIN_FAILED,
          LOGIN_ERROR_CREDENTIALS },
        BEARER_ERROR },
    { { "another's name", "OAUTHBEARER", PROTOCOL_IMAP,
          { S("n,a=salma@barid.test,\1auth=Bearer omars\1\1"), S("\1") }, 2, LOGIN_FAILED,
          LOGIN_ERROR_CREDENTIALS },
        BEARER_ERROR },
    { { "a name that is none", "OAUTHBEARER", PROTOCOL_IMAP,
          { S("n,a=@,\1auth=Bearer empty\1\1"), S("\1") }, 2, LOGIN_FAILED,
          LOGIN_ERROR_CREDENTIALS },
        BEARER_ERROR },
    { { "somebody elsewhere", "OAUTHBEARER", PROTOCOL_IMAP,
          { S("n,,\1auth=Bearer others\1\1"), S("\1") }, 2, LOGIN_FAILED, LOGIN_ERROR_CREDENTIALS },
        BEARER_ERROR },
    { { "nobody", "OAUTHBEARER", PROTOCOL_IMAP, { S("n,,\1auth=Bearer empty\1\1"), S("\1") }, 2,
          LOGIN_FAILED, LOGIN_ERROR_CREDENTIALS },
        BEARER_ERROR },
    { { "not now", "OAUTHBEARER", PROTOCOL_IMAP, { S("n,,\1auth=Bearer later\1\1") }, 1,
          LOGIN_FAILED, LOGIN_ERROR_BUSY },
        NULL },
    { { "service off", "OAUTHBEARER", PROTOCOL_POP3, { S("n,,\1auth=Bearer omars\1\1") }, 1,
          LOGIN_FAILED, LOGIN_ERROR_SERVICE_OFF },
        NULL },
    { { "only a separator", "OAUTHBEARER", PROTOCOL_IMAP, { S("\1") }, 1, LOGIN_FAILED,
          LOGIN_ERROR_SYNTAX },
        NULL },
    { { "noise", "OAUTHBEARER", PROTOCOL_IMAP, { NONE, S("hello") }, 2, LOGIN_FAILED,
          LOGIN_ERROR_SYNTAX },
        NULL },
    { { "canceled", "OAUTHBEARER", PROTOCOL_IMAP, { NONE, RAW("*") }, 2, LOGIN_FAILED,
          LOGIN_ERROR_CANCELED },
        NULL },
    { { "XOAUTH2", "XOAUTH2", PROTOCOL_IMAP, { S("user=omar@barid.test\1auth=Bearer omars\1\1") },
          1, LOGIN_DONE, 0 },
        NULL },
    { { "XOAUTH2 bad token", "XOAUTH2", PROTOCOL_IMAP,
          { S("user=omar@barid.test\1auth=Bearer old\1\1"), RAW("") }, 2, LOGIN_FAILED,
          LOGIN_ERROR_CREDENTIALS },
        XOAUTH2_ERROR },
    { { "XOAUTH2 in the other's form", "XOAUTH2", PROTOCOL_IMAP,
          { S("n,,\1auth=Bearer omars\1\1") }, 1, LOGIN_FAILED, LOGIN_ERROR_SYNTAX },
        NULL },
};

static void test_tokens(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof token_scripts / sizeof *token_scripts; i++) {
        const struct script *script = &token_scripts[i].script;
        struct login *login = login_new(&server, &tls_conn, script->protocol);
        struct buf out, last;
        buf_init(&out, 0), buf_init(&last, 0);
        enum login_state got = LOGIN_CHALLENGE;
        for (size_t k = 0; k < script->count; k++) {
            if (got != LOGIN_CHALLENGE)
                fail_msg("%s: over before step %zu", script->name, k);
            buf_clear(&out);
            got = say(login, script->mechanism, &script->steps[k], k == 0, &out);
            if (got == LOGIN_CHALLENGE) {
                buf_clear(&last);
                assert_ok(base64_decode(&last, buf_slice(&out)));
            }
        }
        if (got != script->wanted || login_error(login) != script->error)
            fail_msg("%s: state %d error %d", script->name, (int)got, (int)login_error(login));
        if (token_scripts[i].challenge)
            assert_slice(script->name, buf_slice(&last), slice_of(token_scripts[i].challenge));
        if (got == LOGIN_DONE) {
            assert_string_equal(login_user(login)->address, "omar@barid.test");
            assert_int_equal(login_user(login)->device, 0);
        } else {
            assert_null(login_user(login));
        }
        if (i == 0) {
            assert_string_equal(checked_host, "told");
            assert_int_equal(checked_port, 143);
        }
        assert_int_equal(login_continue(login, SLICE("AAAA"), &out), LOGIN_FAILED);
        login_free(login);
        buf_done(&out), buf_done(&last);
    }
    assert_true(checks > 5);
}

/* Offered where they work, and a token never goes over an open connection. */
static void test_tokens_offered(void **state)
{
    (void)state;
    struct conn far_tls = { .tls = true }, far = { 0 };
    assert_string_equal(
        mechanisms_of(&far_tls, ""), "SCRAM-SHA-256 OAUTHBEARER XOAUTH2 PLAIN LOGIN");
    assert_string_equal(mechanisms_of(&far, ""), "");
    struct buf out;
    buf_init(&out, 0);
    struct login *login = login_new(&server, &far, PROTOCOL_IMAP);
    const struct step step = S("n,,\1auth=Bearer omars\1\1");
    assert_int_equal(say(login, "OAUTHBEARER", &step, true, &out), LOGIN_FAILED);
    assert_int_equal(login_error(login), LOGIN_ERROR_NEEDS_TLS);
    login_free(login);
    server.tokens.check = NULL;
    assert_string_equal(mechanisms_of(&far_tls, ""), "SCRAM-SHA-256 PLAIN LOGIN");
    static const char *const names[] = { "OAUTHBEARER", "XOAUTH2" };
    for (size_t i = 0; i < 2; i++) {
        login = login_new(&server, &far_tls, PROTOCOL_IMAP);
        assert_int_equal(say(login, names[i], &step, true, &out), LOGIN_FAILED);
        assert_int_equal(login_error(login), LOGIN_ERROR_MECHANISM);
        login_free(login);
    }
    buf_done(&out);
}

/* Guesses are counted as those of passwords are. */
static void test_tokens_throttled(void **state)
{
    (void)state;
    struct conn far_tls = { .tls = true };
    const struct step bad = S("n,a=omar@barid.test,\1auth=Bearer old\1\1"), end = S("\1"),
                      good = S("n,a=omar@barid.test,\1auth=Bearer omars\1\1");
    struct buf out;
    bool delayed = false;
    enum login_error error = LOGIN_ERROR_NONE;
    buf_init(&out, 0);
    for (int i = 0; i < 100 && error != LOGIN_ERROR_BUSY; i++) {
        struct login *login = login_new(&server, &far_tls, PROTOCOL_IMAP);
        enum login_state got = say(login, "OAUTHBEARER", &bad, true, &out);
        if (got == LOGIN_CHALLENGE)
            got = say(login, "OAUTHBEARER", &end, false, &out);
        assert_int_equal(got, LOGIN_FAILED);
        error = login_error(login);
        delayed |= login_delay_ms(login) > 0;
        login_free(login);
    }
    assert_true(delayed);
    assert_int_equal(error, LOGIN_ERROR_BUSY);
    unsigned before = checks;
    struct login *login = login_new(&server, &far_tls, PROTOCOL_IMAP);
    assert_int_equal(say(login, "OAUTHBEARER", &good, true, &out), LOGIN_FAILED);
    assert_int_equal(checks, before);
    login_free(login);
    buf_done(&out);
}

#define WITH_TOKENS(test) cmocka_unit_test_setup_teardown(test, setup_tokens, teardown_tokens)
#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
TEST_MAIN(WITH_SERVER(test_mechanisms), WITH_SERVER(test_scripts), WITH_SERVER(test_too_long),
    WITH_SERVER(test_scram), WITH_SERVER(test_app_password), WITH_SERVER(test_log),
    WITH_TOKENS(test_tokens), WITH_TOKENS(test_tokens_offered), WITH_TOKENS(test_tokens_throttled))
