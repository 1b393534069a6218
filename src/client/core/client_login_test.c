/* Which mechanism is chosen, and what is made of servers that tell the truth and of others. */
#include "client/core/login.h"

#include "base/encode.h"
#include "base/test.h"
#include "proto/sasl/oauth.h"

#include <string.h>

#define ALL                                                                                        \
    (CLIENT_SCRAM_PLUS | CLIENT_SCRAM | CLIENT_MECH_PLAIN | CLIENT_MECH_LOGIN |                    \
        CLIENT_OAUTHBEARER | CLIENT_XOAUTH2)

static struct client_login_options options_of(unsigned offered, bool secure)
{
    return (struct client_login_options){
        .user = "salma@barid.test",
        .secret = SLICE("correct horse"),
        .offered = offered,
        .secure = secure,
        .host = "pop.barid.test",
        .port = 995,
    };
}

static void test_choice(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned offered, weakest;
        bool token, secure, binding;
        enum err wanted;
        enum client_mechanism mechanism;
    } rows[] = {
        { "strongest", ALL, 0, false, true, true, ERR_OK, CLIENT_SCRAM_PLUS },
        { "no binding", ALL, 0, false, true, false, ERR_OK, CLIENT_SCRAM },
        { "not offered", ALL & ~CLIENT_SCRAM_PLUS, 0, false, true, true, ERR_OK, CLIENT_SCRAM },
        { "PLAIN alone", CLIENT_MECH_PLAIN, 0, false, true, true, ERR_OK, CLIENT_MECH_PLAIN },
        { "PLAIN in the clear", CLIENT_MECH_PLAIN, 0, false, false, false, ERR_NOT_FOUND, 0 },
        { "PLAIN before LOGIN", CLIENT_MECH_PLAIN | CLIENT_MECH_LOGIN, 0, false, true, true, ERR_OK,
            CLIENT_MECH_PLAIN },
        { "LOGIN alone", CLIENT_MECH_LOGIN | CLIENT_XOAUTH2, 0, false, true, true, ERR_OK,
            CLIENT_MECH_LOGIN },
        { "LOGIN in the clear", CLIENT_MECH_LOGIN, 0, false, false, false, ERR_NOT_FOUND, 0 },
        { "LOGIN after PLAIN", CLIENT_MECH_LOGIN, CLIENT_MECH_PLAIN, false, true, true, ERR_OK,
            CLIENT_MECH_LOGIN },
        { "PLAIN after LOGIN", CLIENT_MECH_PLAIN, CLIENT_MECH_LOGIN, false, true, true, ERR_OK,
            CLIENT_MECH_PLAIN },
        { "LOGIN after SCRAM", CLIENT_MECH_LOGIN, CLIENT_SCRAM, false, true, true, ERR_DENIED, 0 },
        { "a token, and LOGIN", CLIENT_MECH_LOGIN, 0, true, true, true, ERR_NOT_FOUND, 0 },
        { "SCRAM in the clear", ALL, 0, false, false, false, ERR_OK, CLIENT_SCRAM },
        { "nothing", 0, 0, false, true, true, ERR_NOT_FOUND, 0 },
        { "tokens only", CLIENT_XOAUTH2, 0, false, true, true, ERR_NOT_FOUND, 0 },
        { "token", ALL, 0, true, true, true, ERR_OK, CLIENT_OAUTHBEARER },
        { "token, old", ALL & ~CLIENT_OAUTHBEARER, 0, true, true, true, ERR_OK, CLIENT_XOAUTH2 },
        { "token in the clear", ALL, 0, true, false, false, ERR_NOT_FOUND, 0 },
        { "token, passwords only", CLIENT_SCRAM, 0, true, true, true, ERR_NOT_FOUND, 0 },
        { "weaker", CLIENT_MECH_PLAIN, CLIENT_SCRAM, false, true, true, ERR_DENIED, 0 },
        { "a little weaker", CLIENT_SCRAM, CLIENT_SCRAM_PLUS, false, true, true, ERR_DENIED, 0 },
        { "as before", CLIENT_SCRAM, CLIENT_SCRAM, false, true, true, ERR_OK, CLIENT_SCRAM },
        { "stronger", ALL, CLIENT_MECH_PLAIN, false, true, true, ERR_OK, CLIENT_SCRAM_PLUS },
        { "from password to token", ALL, CLIENT_SCRAM_PLUS, true, true, true, ERR_OK,
            CLIENT_OAUTHBEARER },
        { "from token to password", CLIENT_MECH_PLAIN, CLIENT_OAUTHBEARER, false, true, true,
            ERR_OK, CLIENT_MECH_PLAIN },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct client_login_options options = options_of(rows[i].offered, rows[i].secure);
        struct client_login login = { 0 };
        struct err_note note = { "" };
        options.token = rows[i].token;
        options.weakest = rows[i].weakest;
        if (rows[i].binding) {
            options.binding_kind = SLICE("tls-exporter");
            options.binding = SLICE("0123456789abcdef0123456789abcdef");
        }
        enum err e = client_login_begin(&login, &options, &note);
        if (e != rows[i].wanted || (!e && login.mechanism != rows[i].mechanism))
            fail_msg(
                "%s: got %s, %s", rows[i].name, err_name(e), login.name ? login.name : note.text);
        assert_true(e == ERR_OK || note.text[0]);
        assert_null(strstr(note.text, "correct horse"));
        client_login_done(&login);
    }
    assert_int_equal(client_mechanism_bit(SLICE("scram-sha-256")), CLIENT_SCRAM);
    assert_int_equal(client_mechanism_bit(SLICE("CRAM-MD5")), 0);
    assert_string_equal(client_mechanism_name(CLIENT_XOAUTH2), "XOAUTH2");
    assert_null(client_mechanism_name(ALL));
}

/* ---- SCRAM with our own server on the other side ---- */

struct scram_case {
    const char *name;
    bool plus, wrong_password, hides_plus, other_channel;
    enum err
        wanted; /* of the whole login, as the client sees it; a refusal by the server counts as ERR_AUTH */
};

static enum err run_scram(const struct scram_case *row)
{
    struct client_login_options options =
        options_of(CLIENT_SCRAM | (row->plus ? (unsigned)CLIENT_SCRAM_PLUS : 0u), true);
    struct client_login login;
    struct scram_server server;
    struct scram_secret secret;
    struct buf a, b;
    options.binding_kind = SLICE("tls-exporter");
    options.binding = SLICE("channel one");
    if (row->wrong_password)
        options.secret = SLICE("wrong horse");
    assert_ok(client_login_begin(&login, &options, NULL));
    assert_ok(scram_secret_make(SLICE("correct horse"), (const unsigned char *)"0123456789abcdef",
        SCRAM_ITERATIONS, &secret));
    scram_server_init(&server, row->plus, row->plus || row->hides_plus);
    buf_init(&a, 0), buf_init(&b, 0);
    assert_ok(client_login_initial(&login, &a));
    assert_err(ERR_AUTH, client_login_finish(&login)); /* a success now is a lie */
    enum err e = scram_server_first(&server, buf_slice(&a), "servernonce");
    if (!e) {
        buf_clear(&a);
        scram_server_challenge(&server, &secret, &b);
        assert_ok(client_login_step(&login, buf_slice(&b), &a));
        assert_err(ERR_AUTH, client_login_finish(&login));
        buf_clear(&b);
        e = scram_server_final(&server, &secret, buf_slice(&a),
            row->plus ? (row->other_channel ? SLICE("channel two") : SLICE("channel one"))
                      : SLICE_EMPTY,
            &b);
    }
    if (!e) {
        buf_clear(&a);
        e = client_login_step(&login, buf_slice(&b), &a);
        assert_int_equal(buf_len(&a), 0);
    }
    if (!e)
        e = client_login_finish(&login);
    buf_done(&a), buf_done(&b);
    scram_server_done(&server);
    client_login_done(&login);
    return e;
}

static void test_scram(void **state)
{
    (void)state;
    static const struct scram_case rows[] = {
        { "plain", false, false, false, false, ERR_OK },
        { "plus", true, false, false, false, ERR_OK },
        { "wrong password", false, true, false, false, ERR_AUTH },
        { "another channel", true, false, false, true, ERR_AUTH },
        { "PLUS taken out on the way", false, false, true, false, ERR_AUTH },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum err e = run_scram(&rows[i]);
        if (e != rows[i].wanted)
            fail_msg("%s: got %s", rows[i].name, err_name(e));
    }
}

/* ---- servers that lie ---- */

/* %N stands for the client's nonce. */
static void fill_nonce(const char *text, const char *nonce, char *out, size_t out_bytes)
{
    const char *at = strstr(text, "%N");
    if (at)
        (void)snprintf(out, out_bytes, "%.*s%s%s", (int)(at - text), text, nonce, at + 2);
    else
        (void)snprintf(out, out_bytes, "%s", text);
}

static void test_hostile_first(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "r=",
        "r=%N", /* cut short */
        "r=%Nx,s=",
        "r=%Nx,s=AAAA",
        "r=%Nx,s=AAAA,i=",
        "r=%N,s=AAAA,i=4096",    /* our nonce and nothing of its own */
        "r=other,s=AAAA,i=4096", /* not ours */
        "n=salma,r=%N",          /* our own message again */
        "n,,n=salma,r=%N",
        "r=%Nx,s=AAAA,i=1", /* cheap to guess */
        "r=%Nx,s=AAAA,i=4095",
        "r=%Nx,s=AAAA,i=10000001",
        "r=%Nx,s=AAAA,i=2147483648", /* our time */
        "r=%Nx,s=AAAA,i=99999999999999999999999",
        "r=%Nx,s=AAAA,i=-1",
        "r=%Nx,s=A,i=4096",
        "r=%Nx,s=AAAA,i=4096\r\n",
        "m=must,r=%Nx,s=AAAA,i=4096",
        "e=other-error",
        "v=AAAA",
        "\xff\xff",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct client_login_options options = options_of(CLIENT_SCRAM, true);
        struct client_login login;
        struct buf out;
        char text[400];
        buf_init(&out, 0);
        assert_ok(client_login_begin(&login, &options, NULL));
        assert_ok(client_login_initial(&login, &out));
        fill_nonce(rows[i], login.scram.nonce, text, sizeof text);
        buf_clear(&out);
        enum err e = client_login_step(&login, slice_of(text), &out);
        if (e != ERR_AUTH)
            fail_msg("%s: got %s", rows[i], err_name(e));
        assert_int_equal(buf_len(&out), 0);
        assert_err(ERR_AUTH, client_login_finish(&login));
        client_login_done(&login);
        buf_done(&out);
    }
}

static void test_hostile_final(void **state)
{
    (void)state;
    static const char *const rows[] = { "", "v=", "v=AAAA",
        "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "e=invalid-proof", "r=%Nx,s=AAAA,i=4096",
        "v" };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct client_login_options options = options_of(CLIENT_SCRAM, true);
        struct client_login login;
        struct buf out;
        char text[400];
        buf_init(&out, 0);
        assert_ok(client_login_begin(&login, &options, NULL));
        assert_ok(client_login_initial(&login, &out));
        fill_nonce("r=%Nx,s=AAAA,i=4096", login.scram.nonce, text, sizeof text);
        assert_ok(client_login_step(&login, slice_of(text), &out));
        fill_nonce(rows[i], login.scram.nonce, text, sizeof text);
        if (client_login_step(&login, slice_of(text), &out) != ERR_AUTH)
            fail_msg("%s was believed", rows[i]);
        assert_err(ERR_AUTH, client_login_finish(&login));
        for (unsigned more = 0; more < CLIENT_LOGIN_STEPS_MAX; more++)
            assert_true(client_login_step(&login, SLICE(""), &out) != ERR_OK);
        assert_err(ERR_LIMIT, client_login_step(&login, SLICE(""), &out));
        client_login_done(&login);
        buf_done(&out);
    }
}

/* ---- mechanisms that send the secret ---- */

static void test_plain(void **state)
{
    (void)state;
    struct client_login_options options = options_of(CLIENT_MECH_PLAIN, true);
    struct client_login login;
    struct buf out;
    buf_init(&out, 0);
    assert_ok(client_login_begin(&login, &options, NULL));
    assert_err(ERR_AUTH, client_login_finish(&login)); /* before anything was said */
    assert_ok(client_login_initial(&login, &out));
    assert_slice("plain", buf_slice(&out), SLICE("\0salma@barid.test\0correct horse"));
    assert_ok(client_login_finish(&login));
    assert_err(ERR_AUTH, client_login_step(&login, SLICE("say it again"), &out));
    client_login_done(&login);
    options.secret = SLICE("a\0b");
    assert_ok(client_login_begin(&login, &options, NULL));
    assert_err(ERR_SYNTAX, client_login_initial(&login, &out));
    client_login_done(&login);
    buf_done(&out);
}

static void test_login(void **state)
{
    (void)state;
    struct client_login_options options = options_of(CLIENT_MECH_LOGIN, true);
    struct client_login login;
    struct buf out;
    buf_init(&out, 0);
    assert_ok(client_login_begin(&login, &options, NULL));
    assert_true(login.waits);
    assert_ok(client_login_initial(&login, &out));
    assert_int_equal(buf_len(&out), 0);
    assert_err(ERR_AUTH, client_login_finish(&login));
    assert_ok(client_login_step(&login, SLICE("Username:"), &out));
    assert_slice("name", buf_slice(&out), SLICE("salma@barid.test"));
    assert_err(ERR_AUTH, client_login_finish(&login));
    buf_clear(&out);
    assert_ok(client_login_step(&login, SLICE_EMPTY, &out)); /* its words do not count */
    assert_slice("password", buf_slice(&out), SLICE("correct horse"));
    assert_ok(client_login_finish(&login));
    buf_clear(&out);
    assert_err(ERR_AUTH, client_login_step(&login, SLICE("Password:"), &out));
    assert_int_equal(buf_len(&out), 0);
    client_login_done(&login);
    options.secret = SLICE("a\0b");
    assert_ok(client_login_begin(&login, &options, NULL));
    assert_err(ERR_SYNTAX, client_login_initial(&login, &out));
    client_login_done(&login);
    buf_done(&out);
}

static void test_tokens(void **state)
{
    (void)state;
    static const unsigned bits[] = { CLIENT_OAUTHBEARER, CLIENT_XOAUTH2 };
    for (size_t i = 0; i < 2; i++) {
        struct client_login_options options = options_of(bits[i], true);
        struct client_login login;
        struct sasl_oauth oauth;
        struct buf out;
        options.token = true;
        options.secret = SLICE("ya29.token");
        buf_init(&out, 0);
        assert_ok(client_login_begin(&login, &options, NULL));
        assert_ok(client_login_initial(&login, &out));
        assert_ok(i == 0 ? sasl_oauthbearer_parse(buf_slice(&out), &oauth)
                         : sasl_xoauth2_parse(buf_slice(&out), &oauth));
        assert_slice("token", oauth.token, SLICE("ya29.token"));
        assert_string_equal(oauth.authzid, "salma@barid.test");
        assert_ok(client_login_finish(&login));
        assert_err(ERR_AUTH, client_login_step(&login, SLICE("{\"status\":\"400\"}"), &out));
        client_login_done(&login);
        options.secret = SLICE("a\1host=evil\1");
        assert_ok(client_login_begin(&login, &options, NULL));
        assert_err(ERR_SYNTAX, client_login_initial(&login, &out));
        client_login_done(&login);
        buf_done(&out);
    }
}

TEST_MAIN(cmocka_unit_test(test_choice), cmocka_unit_test(test_scram),
    cmocka_unit_test(test_hostile_first), cmocka_unit_test(test_hostile_final),
    cmocka_unit_test(test_plain), cmocka_unit_test(test_login), cmocka_unit_test(test_tokens))
