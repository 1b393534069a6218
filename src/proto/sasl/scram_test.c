/* SCRAM-SHA-256: the exchange of RFC 7677 §3 from both sides, and what either side must refuse. */
#include "base/test.h"

#include "base/encode.h"
#include "base/rand.h"
#include "proto/sasl/sasl.h"

#include <string.h>

#define CLIENT_NONCE "rOprNGfwEbeRWgbNEkqO"
#define SERVER_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define CLIENT_FIRST "n,,n=user,r=" CLIENT_NONCE
#define SERVER_FIRST "r=" CLIENT_NONCE SERVER_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define WITHOUT      "c=biws,r=" CLIENT_NONCE SERVER_NONCE
#define PROOF        ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define CLIENT_FINAL WITHOUT PROOF
#define SERVER_FINAL "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static struct scram_secret pencil(void)
{
    struct buf salt;
    buf_init(&salt, 0);
    assert_ok(base64_decode(&salt, SLICE("W22ZaJ0SNY7soEsUEjb6gQ==")));
    struct scram_secret secret;
    assert_ok(scram_secret_make(
        SLICE("pencil"), (const unsigned char *)buf_slice(&salt).ptr, SCRAM_ITERATIONS, &secret));
    buf_done(&salt);
    return secret;
}

static void test_rfc7677_server(void **state)
{
    (void)state;
    struct scram_secret secret = pencil();
    struct scram_server s;
    struct buf out;
    buf_init(&out, 0);
    scram_server_init(&s, false, true);
    assert_ok(scram_server_first(&s, SLICE(CLIENT_FIRST), SERVER_NONCE));
    assert_slice("user", buf_slice(&s.user), SLICE("user"));
    scram_server_challenge(&s, &secret, &out);
    assert_slice("server-first", buf_slice(&out), SLICE(SERVER_FIRST));
    buf_clear(&out);
    assert_ok(scram_server_final(&s, &secret, SLICE(CLIENT_FINAL), SLICE_EMPTY, &out));
    assert_slice("server-final", buf_slice(&out), SLICE(SERVER_FINAL));
    scram_server_done(&s);
    buf_done(&out);
}

static void test_rfc7677_client(void **state)
{
    (void)state;
    struct scram_client c;
    struct buf out;
    buf_init(&out, 0);
    scram_client_init(&c);
    assert_ok(scram_client_first(&c, SLICE("user"), SLICE_EMPTY, false, CLIENT_NONCE, &out));
    assert_slice("client-first", buf_slice(&out), SLICE(CLIENT_FIRST));
    buf_clear(&out);
    assert_ok(scram_client_final(&c, SLICE(SERVER_FIRST), SLICE("pencil"), SLICE_EMPTY, &out));
    assert_slice("client-final", buf_slice(&out), SLICE(CLIENT_FINAL));
    assert_ok(scram_client_verify(&c, SLICE(SERVER_FINAL)));
    assert_ok(scram_client_verify(&c, SLICE(SERVER_FINAL ",x=later")));
    assert_err(ERR_AUTH, scram_client_verify(&c, SLICE("e=other-error")));
    assert_err(
        ERR_AUTH, scram_client_verify(&c, SLICE("v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")));
    assert_err(ERR_SYNTAX, scram_client_verify(&c, SLICE("v=AAAA")));
    assert_err(ERR_SYNTAX, scram_client_verify(&c, SLICE("")));
    assert_err(ERR_SYNTAX, scram_client_verify(&c, SLICE(SERVER_FINAL ",")));
    scram_client_done(&c);
    buf_done(&out);
}

static const struct first_row {
    const char *name;
    bool plus, offered;
    struct slice message;
    enum err wanted;
    const char *user, *authzid, *binding;
} first_rows[] = {
    { "plain", false, false, SLICE_CONST("n,,n=omar,r=abc"), ERR_OK, "omar", "", "" },
    { "y, not offered", false, false, SLICE_CONST("y,,n=omar,r=abc"), ERR_OK, "omar", "", "" },
    { "y, offered: downgrade", false, true, SLICE_CONST("y,,n=omar,r=abc"), ERR_AUTH, "", "", "" },
    { "y with -PLUS", true, true, SLICE_CONST("y,,n=omar,r=abc"), ERR_AUTH, "", "", "" },
    { "n with -PLUS", true, true, SLICE_CONST("n,,n=omar,r=abc"), ERR_AUTH, "", "", "" },
    { "p without -PLUS", false, true, SLICE_CONST("p=tls-exporter,,n=omar,r=abc"), ERR_AUTH, "", "",
        "" },
    { "p with -PLUS", true, true, SLICE_CONST("p=tls-exporter,,n=omar,r=abc"), ERR_OK, "omar", "",
        "tls-exporter" },
    { "p of any kind", true, true, SLICE_CONST("p=made.up-1,,n=omar,r=abc"), ERR_OK, "omar", "",
        "made.up-1" },
    { "p, no name", true, true, SLICE_CONST("p=,,n=omar,r=abc"), ERR_SYNTAX, "", "", "" },
    { "p, bad name", true, true, SLICE_CONST("p=a_b,,n=omar,r=abc"), ERR_SYNTAX, "", "", "" },
    { "authzid", false, false, SLICE_CONST("n,a=o=2Cm=3Dar,n=omar,r=abc"), ERR_OK, "omar", "o,m=ar",
        "" },
    { "bad authzid", false, false, SLICE_CONST("n,b=x,n=omar,r=abc"), ERR_SYNTAX, "", "", "" },
    { "quoted name", false, false, SLICE_CONST("n,,n==2C=3D=2C,r=abc"), ERR_OK, ",=,", "", "" },
    { "arabic name", false, false, SLICE_CONST("n,,n=سلمى,r=abc"), ERR_OK, "سلمى", "", "" },
    { "extensions", false, false, SLICE_CONST("n,,n=omar,r=abc,x=1,y=2"), ERR_OK, "omar", "", "" },
    { "mandatory extension", false, false, SLICE_CONST("n,,m=1,n=omar,r=abc"), ERR_SYNTAX, "", "",
        "" },
    { "late mandatory extension", false, false, SLICE_CONST("n,,n=omar,r=abc,m=1"), ERR_SYNTAX, "",
        "", "" },
    { "empty extension", false, false, SLICE_CONST("n,,n=omar,r=abc,"), ERR_SYNTAX, "", "", "" },
    { "extension without value", false, false, SLICE_CONST("n,,n=omar,r=abc,x="), ERR_SYNTAX, "",
        "", "" },
    { "extension without name", false, false, SLICE_CONST("n,,n=omar,r=abc,1=x"), ERR_SYNTAX, "",
        "", "" },
    { "empty", false, false, SLICE_CONST(""), ERR_SYNTAX, "", "", "" },
    { "header only", false, false, SLICE_CONST("n,,"), ERR_SYNTAX, "", "", "" },
    { "half a header", false, false, SLICE_CONST("n,"), ERR_SYNTAX, "", "", "" },
    { "unknown flag", false, false, SLICE_CONST("q,,n=omar,r=abc"), ERR_SYNTAX, "", "", "" },
    { "no nonce", false, false, SLICE_CONST("n,,n=omar"), ERR_SYNTAX, "", "", "" },
    { "empty nonce", false, false, SLICE_CONST("n,,n=omar,r="), ERR_SYNTAX, "", "", "" },
    { "nonce with blank", false, false, SLICE_CONST("n,,n=omar,r=a b"), ERR_SYNTAX, "", "", "" },
    { "empty name", false, false, SLICE_CONST("n,,n=,r=abc"), ERR_SYNTAX, "", "", "" },
    { "bad quoting", false, false, SLICE_CONST("n,,n=o=2cmar,r=abc"), ERR_SYNTAX, "", "", "" },
    { "bad quoting at the end", false, false, SLICE_CONST("n,,n=omar=2,r=abc"), ERR_SYNTAX, "", "",
        "" },
    { "NUL in the name", false, false, SLICE_CONST("n,,n=om\0ar,r=abc"), ERR_SYNTAX, "", "", "" },
    { "no UTF-8", false, false, SLICE_CONST("n,,n=\xff,r=abc"), ERR_SYNTAX, "", "", "" },
    { "order", false, false, SLICE_CONST("n,,r=abc,n=omar"), ERR_SYNTAX, "", "", "" },
};

static void test_client_first(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof first_rows / sizeof *first_rows; i++) {
        const struct first_row *row = &first_rows[i];
        struct scram_server s;
        scram_server_init(&s, row->plus, row->offered);
        enum err e = scram_server_first(&s, row->message, "SERVER");
        if (e != row->wanted)
            fail_msg("%s: %s", row->name, err_name(e));
        if (!e) {
            assert_slice(row->name, buf_slice(&s.user), slice_of(row->user));
            assert_slice(row->name, buf_slice(&s.authzid), slice_of(row->authzid));
            assert_slice(row->name, buf_slice(&s.binding_name), slice_of(row->binding));
        } else {
            assert_non_null(s.error);
        }
        scram_server_done(&s);
    }
    char longest[SCRAM_NONCE_BYTES_MAX + 32];
    for (size_t over = 0; over < 2; over++) {
        size_t len = (size_t)snprintf(longest, sizeof longest, "n,,n=u,r=");
        memset(longest + len, 'x', SCRAM_NONCE_BYTES_MAX + over);
        struct scram_server s;
        scram_server_init(&s, false, false);
        assert_err(over ? ERR_LIMIT : ERR_OK,
            scram_server_first(&s, slice_from(longest, len + SCRAM_NONCE_BYTES_MAX + over), "S"));
        scram_server_done(&s);
    }
}

static const struct final_row {
    const char *name;
    struct slice message;
    enum err wanted;
} final_rows[] = {
    { "right", SLICE_CONST(CLIENT_FINAL), ERR_OK },
    { "an extension changes what was signed", SLICE_CONST(WITHOUT ",x=1" PROOF), ERR_AUTH },
    { "wrong proof", SLICE_CONST(WITHOUT ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVA="),
        ERR_AUTH },
    { "short proof", SLICE_CONST(WITHOUT ",p=dHzb"), ERR_SYNTAX },
    { "long proof", SLICE_CONST(WITHOUT ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ0"),
        ERR_SYNTAX },
    { "no base64", SLICE_CONST(WITHOUT ",p=!!!!"), ERR_SYNTAX },
    { "empty proof", SLICE_CONST(WITHOUT ",p="), ERR_SYNTAX },
    { "no proof", SLICE_CONST(WITHOUT), ERR_SYNTAX },
    { "client nonce only", SLICE_CONST("c=biws,r=" CLIENT_NONCE PROOF), ERR_AUTH },
    { "nonce longer", SLICE_CONST(WITHOUT "x" PROOF), ERR_AUTH },
    { "another flag", SLICE_CONST("c=eSws,r=" CLIENT_NONCE SERVER_NONCE PROOF), ERR_AUTH },
    { "binding where none is", SLICE_CONST("c=biwsQUJD,r=" CLIENT_NONCE SERVER_NONCE PROOF),
        ERR_AUTH },
    { "empty binding", SLICE_CONST("c=,r=" CLIENT_NONCE SERVER_NONCE PROOF), ERR_AUTH },
    { "mandatory extension", SLICE_CONST(WITHOUT ",m=1" PROOF), ERR_SYNTAX },
    { "something after the proof", SLICE_CONST(CLIENT_FINAL ",x=1"), ERR_SYNTAX },
    { "empty", SLICE_CONST(""), ERR_SYNTAX },
    { "commas", SLICE_CONST(",,,,"), ERR_SYNTAX },
};

static void test_client_final(void **state)
{
    (void)state;
    struct scram_secret secret = pencil();
    for (size_t i = 0; i < sizeof final_rows / sizeof *final_rows; i++) {
        const struct final_row *row = &final_rows[i];
        struct scram_server s;
        struct buf out;
        buf_init(&out, 0);
        scram_server_init(&s, false, false);
        assert_ok(scram_server_first(&s, SLICE(CLIENT_FIRST), SERVER_NONCE));
        scram_server_challenge(&s, &secret, &out);
        buf_clear(&out);
        enum err e = scram_server_final(&s, &secret, row->message, SLICE_EMPTY, &out);
        if (e != row->wanted)
            fail_msg("%s: %s", row->name, err_name(e));
        assert_true((buf_len(&out) > 0) == (e == ERR_OK));
        scram_server_done(&s);
        buf_done(&out);
    }
}

static const struct answer_row {
    const char *name;
    struct slice message;
    enum err wanted;
} answer_rows[] = {
    { "right", SLICE_CONST("r=abcX,s=QUJDRA==,i=4096"), ERR_OK },
    { "extension", SLICE_CONST("r=abcX,s=QUJDRA==,i=4096,x=1"), ERR_OK },
    { "mandatory extension", SLICE_CONST("m=x,r=abcX,s=QUJDRA==,i=4096"), ERR_SYNTAX },
    { "too few iterations", SLICE_CONST("r=abcX,s=QUJDRA==,i=4095"), ERR_LIMIT },
    { "too many iterations", SLICE_CONST("r=abcX,s=QUJDRA==,i=10000001"), ERR_LIMIT },
    { "2^31 iterations", SLICE_CONST("r=abcX,s=QUJDRA==,i=2147483648"), ERR_LIMIT },
    { "2^64 iterations", SLICE_CONST("r=abcX,s=QUJDRA==,i=18446744073709551616"), ERR_LIMIT },
    { "negative", SLICE_CONST("r=abcX,s=QUJDRA==,i=-4096"), ERR_SYNTAX },
    { "leading zero", SLICE_CONST("r=abcX,s=QUJDRA==,i=04096"), ERR_SYNTAX },
    { "no iterations", SLICE_CONST("r=abcX,s=QUJDRA==,i="), ERR_SYNTAX },
    { "nonce reflected", SLICE_CONST("r=abc,s=QUJDRA==,i=4096"), ERR_AUTH },
    { "another nonce", SLICE_CONST("r=abXcd,s=QUJDRA==,i=4096"), ERR_AUTH },
    { "empty salt", SLICE_CONST("r=abcX,s=,i=4096"), ERR_SYNTAX },
    { "bad salt", SLICE_CONST("r=abcX,s=Q,i=4096"), ERR_SYNTAX },
    { "empty", SLICE_CONST(""), ERR_SYNTAX },
    { "error", SLICE_CONST("e=other-error"), ERR_SYNTAX },
};

static void test_server_first(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answer_rows / sizeof *answer_rows; i++) {
        const struct answer_row *row = &answer_rows[i];
        struct scram_client c;
        struct buf out;
        buf_init(&out, 0);
        scram_client_init(&c);
        assert_ok(scram_client_first(&c, SLICE("u"), SLICE_EMPTY, false, "abc", &out));
        enum err e = scram_client_final(&c, row->message, SLICE("secret"), SLICE_EMPTY, &out);
        if (e != row->wanted)
            fail_msg("%s: %s", row->name, err_name(e));
        scram_client_done(&c);
        buf_done(&out);
    }
}

/* A whole exchange; the bindings are what each side thinks of the connection. */
static enum err exchange(struct slice user, struct slice password, struct slice typed,
    struct slice client_binding, struct slice server_binding)
{
    bool plus = client_binding.len > 0;
    struct scram_secret secret;
    unsigned char salt[SCRAM_SALT_BYTES];
    rand_bytes(salt, sizeof salt);
    TRY(scram_secret_make(password, salt, SCRAM_ITERATIONS, &secret));
    struct scram_client c;
    struct scram_server s;
    struct buf a, b, d, e;
    struct buf *all[] = { &a, &b, &d, &e };
    for (size_t i = 0; i < 4; i++)
        buf_init(all[i], 0);
    scram_client_init(&c);
    scram_server_init(&s, plus, plus);
    enum err result = scram_client_first(
        &c, user, plus ? SLICE("tls-exporter") : SLICE_EMPTY, plus, "client-nonce", &a);
    if (!result)
        result = scram_server_first(&s, buf_slice(&a), "server-nonce");
    if (!result) {
        assert_slice("user", buf_slice(&s.user), user);
        scram_server_challenge(&s, &secret, &b);
        result = scram_client_final(&c, buf_slice(&b), typed, client_binding, &d);
    }
    if (!result)
        result = scram_server_final(&s, &secret, buf_slice(&d), server_binding, &e);
    if (!result)
        assert_ok(scram_client_verify(&c, buf_slice(&e)));
    scram_client_done(&c);
    scram_server_done(&s);
    for (size_t i = 0; i < 4; i++)
        buf_done(all[i]);
    return result;
}

static void test_exchange(void **state)
{
    (void)state;
    struct slice none = SLICE_EMPTY;
    assert_ok(exchange(SLICE("omar@barid.test"), SLICE("secret"), SLICE("secret"), none, none));
    assert_err(
        ERR_AUTH, exchange(SLICE("omar@barid.test"), SLICE("secret"), SLICE("Secret"), none, none));
    assert_ok(exchange(SLICE("a=b,c"), SLICE("سرّ كبير"), SLICE("سرّ كبير"), none, none));
    /* composed or not, with a wide blank or a plain one: the same password */
    assert_ok(exchange(
        SLICE("u"), SLICE("caf\xc3\xa9\xe3\x80\x80x"), SLICE("cafe\xcc\x81 x"), none, none));
    assert_ok(
        exchange(SLICE("u"), SLICE("s"), SLICE("s"), SLICE("same bytes"), SLICE("same bytes")));
    assert_err(ERR_AUTH,
        exchange(SLICE("u"), SLICE("s"), SLICE("s"), SLICE("in the middle"), SLICE("same bytes")));
    assert_err(ERR_SYNTAX, exchange(SLICE(""), SLICE("s"), SLICE("s"), none, none));
    assert_err(ERR_SYNTAX, exchange(SLICE("u"), SLICE("s\tx"), SLICE("s"), none, none));
}

/* Several passwords of one user: the one that fits is found wherever it stands, and answered for. */
static void test_several(void **state)
{
    (void)state;
    enum {
        MANY = 5
    };
    static const char *const passwords[MANY] = { "one", "two", "three", "four", "five" };
    unsigned char salt[SCRAM_SALT_BYTES] = { 7 };
    struct scram_secret secrets[MANY];
    struct scram_keys keys[MANY];
    for (size_t i = 0; i < MANY; i++) {
        assert_ok(scram_secret_make(slice_of(passwords[i]), salt, SCRAM_ITERATIONS, &secrets[i]));
        memcpy(keys[i].stored, secrets[i].stored_key, SCRAM_KEY_BYTES);
        memcpy(keys[i].server, secrets[i].server_key, SCRAM_KEY_BYTES);
    }
    for (size_t i = 0; i <= MANY; i++) { /* the last one is wrong */
        struct scram_client c;
        struct scram_server s;
        struct buf a, b, d, e;
        size_t which = SIZE_MAX;
        buf_init(&a, 0), buf_init(&b, 0), buf_init(&d, 0), buf_init(&e, 0);
        scram_client_init(&c);
        scram_server_init(&s, false, false);
        assert_ok(scram_client_first(&c, SLICE("u"), SLICE_EMPTY, false, "nonce", &a));
        assert_ok(scram_server_first(&s, buf_slice(&a), "server"));
        scram_server_challenge(&s, &secrets[0], &b);
        assert_ok(scram_client_final(
            &c, buf_slice(&b), slice_of(i < MANY ? passwords[i] : "six"), SLICE_EMPTY, &d));
        /* none of the first i: it is not among them */
        assert_err(
            ERR_AUTH, scram_server_final_any(&s, keys, i, buf_slice(&d), SLICE_EMPTY, &e, &which));
        assert_int_equal(which, SIZE_MAX);
        assert_err(i < MANY ? ERR_OK : ERR_AUTH,
            scram_server_final_any(&s, keys, MANY, buf_slice(&d), SLICE_EMPTY, &e, &which));
        if (i < MANY) {
            assert_int_equal(which, i);
            assert_ok(scram_client_verify(&c, buf_slice(&e)));
        }
        scram_client_done(&c);
        scram_server_done(&s);
        buf_done(&a), buf_done(&b), buf_done(&d), buf_done(&e);
    }
}

static const struct opaque_row {
    const char *name;
    struct slice in;
    enum err wanted;
    struct slice out;
} opaque_rows[] = {
    /* the first four are the examples of RFC 8265 §4.3 */
    { "blanks", SLICE_CONST("correct horse battery staple"), ERR_OK,
        SLICE_CONST("correct horse battery staple") },
    { "case stays", SLICE_CONST("Correct Horse Battery Staple"), ERR_OK,
        SLICE_CONST("Correct Horse Battery Staple") },
    { "greek", SLICE_CONST("πßå"), ERR_OK, SLICE_CONST("πßå") },
    { "symbol", SLICE_CONST("Jack of ♦s"), ERR_OK, SLICE_CONST("Jack of ♦s") },
    { "ogham space",
        SLICE_CONST("foo\xe1\x9a\x80"
                    "bar"),
        ERR_OK, SLICE_CONST("foo bar") },
    { "no-break space",
        SLICE_CONST("foo\xc2\xa0"
                    "bar"),
        ERR_OK, SLICE_CONST("foo bar") },
    { "empty", SLICE_CONST(""), ERR_SYNTAX, SLICE_CONST("") },
    { "tab",
        SLICE_CONST("my cat is a \x09"
                    "by"),
        ERR_SYNTAX, SLICE_CONST("") },
    { "NUL", SLICE_CONST("a\0b"), ERR_SYNTAX, SLICE_CONST("") },
    { "DEL", SLICE_CONST("a\x7f"), ERR_SYNTAX, SLICE_CONST("") },
    { "C1", SLICE_CONST("a\xc2\x85"), ERR_SYNTAX, SLICE_CONST("") },
    { "soft hyphen", SLICE_CONST("a\xc2\xad"), ERR_SYNTAX, SLICE_CONST("") },
    { "direction mark", SLICE_CONST("a\xe2\x80\x8f"), ERR_SYNTAX, SLICE_CONST("") },
    { "joiner", SLICE_CONST("می\xe2\x80\x8cخواهم"), ERR_OK, SLICE_CONST("می\xe2\x80\x8cخواهم") },
    { "unassigned", SLICE_CONST("\xcd\xb8"), ERR_SYNTAX, SLICE_CONST("") },
    { "not UTF-8", SLICE_CONST("caf\xe9"), ERR_SYNTAX, SLICE_CONST("") },
    { "composes", SLICE_CONST("e\xcc\x81"), ERR_OK, SLICE_CONST("é") },
    { "full width stays", SLICE_CONST("ａ"), ERR_OK, SLICE_CONST("ａ") },
};

static void test_opaque(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof opaque_rows / sizeof *opaque_rows; i++) {
        const struct opaque_row *row = &opaque_rows[i];
        struct buf out;
        buf_init(&out, 0);
        enum err e = sasl_opaque_string(row->in, &out);
        if (e != row->wanted)
            fail_msg("%s: %s", row->name, err_name(e));
        assert_slice(row->name, buf_slice(&out), row->out);
        sasl_buf_wipe(&out);
    }
}

static void test_limits(void **state)
{
    (void)state;
    static char password[PASSWORD_BYTES_MAX + 1];
    memset(password, 'p', sizeof password);
    unsigned char salt[SCRAM_SALT_BYTES] = { 0 };
    struct scram_secret secret;
    assert_ok(scram_secret_make(slice_from(password, PASSWORD_BYTES_MAX), salt, 4096, &secret));
    assert_err(ERR_LIMIT,
        scram_secret_make(slice_from(password, PASSWORD_BYTES_MAX + 1), salt, 4096, &secret));
}

TEST_MAIN(cmocka_unit_test(test_rfc7677_server), cmocka_unit_test(test_rfc7677_client),
    cmocka_unit_test(test_client_first), cmocka_unit_test(test_client_final),
    cmocka_unit_test(test_server_first), cmocka_unit_test(test_exchange),
    cmocka_unit_test(test_several), cmocka_unit_test(test_opaque), cmocka_unit_test(test_limits))
