/* OAUTHBEARER and XOAUTH2: tables of messages, the examples of RFC 7628, and writing what was read. */
#include "proto/sasl/oauth.h"

#include "base/test.h"

#include <string.h>

typedef enum err parse_fn(struct slice message, struct sasl_oauth *out_oauth);

static const struct row {
    const char *name;
    parse_fn *parse;
    struct slice message;
    enum err wanted;
    const char *authzid, *token, *host;
    unsigned port;
} rows[] = {
#define B sasl_oauthbearer_parse
#define X sasl_xoauth2_parse
    { "RFC 7628 §4.1", B,
        SLICE_CONST("n,a=user@example.com,\1host=server.example.com\1port=143\1"
                    "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1"),
        ERR_OK, "user@example.com",
        "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==", "server.example.com", 143 },
    { "RFC 7628 §4.3", B,
        SLICE_CONST("n,a=user@example.com,\1host=server.example.com\1port=143\1auth=\1\1"), ERR_OK,
        "user@example.com", "", "server.example.com", 143 },
    { "no more than there must be", B, SLICE_CONST("n,,\1auth=bearer x\1\1"), ERR_OK, "", "x", "",
        0 },
    { "the other flag", B, SLICE_CONST("y,,\1auth=BeArEr x\1\1"), ERR_OK, "", "x", "", 0 },
    { "a name with a comma", B, SLICE_CONST("n,a=a=2Cb=3Dc,\1auth=Bearer x\1\1"), ERR_OK, "a,b=c",
        "x", "", 0 },
    { "arabic", B, SLICE_CONST("n,a=سلمى@بريد.إختبار,\1auth=Bearer x\1\1"), ERR_OK,
        "سلمى@بريد.إختبار", "x", "", 0 },
    { "unknown keys", B, SLICE_CONST("n,,\1qs=\1auth=Bearer x\1mthd=POST\r\n\1\1"), ERR_OK, "", "x",
        "", 0 },
    { "another scheme", B, SLICE_CONST("n,,\1auth=Basic x\1\1"), ERR_OK, "", "", "", 0 },
    { "all letters of a token", B, SLICE_CONST("n,,\1auth=Bearer aZ09-._~+/==\1\1"), ERR_OK, "",
        "aZ09-._~+/==", "", 0 },
    { "nothing", B, SLICE_CONST(""), ERR_SYNTAX, "", "", "", 0 },
    { "only a separator", B, SLICE_CONST("\1"), ERR_SYNTAX, "", "", "", 0 },
    { "no auth", B, SLICE_CONST("n,,\1host=x\1\1"), ERR_SYNTAX, "", "", "", 0 },
    { "auth twice", B, SLICE_CONST("n,,\1auth=Bearer x\1auth=Bearer y\1\1"), ERR_SYNTAX, "", "", "",
        0 },
    { "empty auth and another", B, SLICE_CONST("n,,\1auth=\1auth=Bearer y\1\1"), ERR_SYNTAX, "", "",
        "", 0 },
    { "one separator at the end", B, SLICE_CONST("n,,\1auth=Bearer x\1"), ERR_SYNTAX, "", "", "",
        0 },
    { "more at the end", B, SLICE_CONST("n,,\1auth=Bearer x\1\1x"), ERR_SYNTAX, "", "", "", 0 },
    { "no header", B, SLICE_CONST("auth=Bearer x\1\1"), ERR_SYNTAX, "", "", "", 0 },
    { "half a header", B, SLICE_CONST("n,\1auth=Bearer x\1\1"), ERR_SYNTAX, "", "", "", 0 },
    { "more in the header", B, SLICE_CONST("n,,,\1auth=Bearer x\1\1"), ERR_SYNTAX, "", "", "", 0 },
    { "channel binding", B, SLICE_CONST("p=tls-exporter,,\1auth=Bearer x\1\1"), ERR_SYNTAX, "", "",
        "", 0 },
    { "a name that is none", B, SLICE_CONST("n,b=x,\1auth=Bearer x\1\1"), ERR_SYNTAX, "", "", "",
        0 },
    { "bad quoting", B, SLICE_CONST("n,a=x=41,\1auth=Bearer x\1\1"), ERR_SYNTAX, "", "", "", 0 },
    { "no UTF-8", B, SLICE_CONST("n,a=\xff,\1auth=Bearer x\1\1"), ERR_SYNTAX, "", "", "", 0 },
    { "NUL in the name", B, SLICE_CONST("n,a=x\0y,\1auth=Bearer x\1\1"), ERR_SYNTAX, "", "", "",
        0 },
    { "no token", B, SLICE_CONST("n,,\1auth=Bearer \1\1"), ERR_SYNTAX, "", "", "", 0 },
    { "a token of pads", B, SLICE_CONST("n,,\1auth=Bearer ==\1\1"), ERR_SYNTAX, "", "", "", 0 },
    { "a pad inside", B, SLICE_CONST("n,,\1auth=Bearer a=b\1\1"), ERR_SYNTAX, "", "", "", 0 },
    { "two tokens", B, SLICE_CONST("n,,\1auth=Bearer a b\1\1"), ERR_SYNTAX, "", "", "", 0 },
    { "a quote in a token", B, SLICE_CONST("n,,\1auth=Bearer a\"b\1\1"), ERR_SYNTAX, "", "", "",
        0 },
    { "NUL in a token", B, SLICE_CONST("n,,\1auth=Bearer a\0b\1\1"), ERR_SYNTAX, "", "", "", 0 },
    { "8 bits in a value", B, SLICE_CONST("n,,\1host=é\1auth=Bearer x\1\1"), ERR_SYNTAX, "", "", "",
        0 },
    { "no key", B, SLICE_CONST("n,,\1=x\1auth=Bearer x\1\1"), ERR_SYNTAX, "", "", "", 0 },
    { "no value", B, SLICE_CONST("n,,\1host\1auth=Bearer x\1\1"), ERR_SYNTAX, "", "", "", 0 },
    { "port 0", B, SLICE_CONST("n,,\1port=0\1auth=Bearer x\1\1"), ERR_SYNTAX, "", "", "", 0 },
    { "port 65536", B, SLICE_CONST("n,,\1port=65536\1auth=Bearer x\1\1"), ERR_SYNTAX, "", "", "",
        0 },
    { "XOAUTH2", X, SLICE_CONST("user=omar@barid.test\1auth=Bearer x\1\1"), ERR_OK,
        "omar@barid.test", "x", "", 0 },
    { "XOAUTH2 with an equals sign", X, SLICE_CONST("user=a=2Cb\1auth=Bearer x\1\1"), ERR_OK,
        "a=2Cb", "x", "", 0 },
    { "XOAUTH2 without a user", X, SLICE_CONST("user=\1auth=Bearer x\1\1"), ERR_OK, "", "x", "",
        0 },
    { "XOAUTH2 without user=", X, SLICE_CONST("auth=Bearer x\1\1"), ERR_SYNTAX, "", "", "", 0 },
    { "XOAUTH2 cut", X, SLICE_CONST("user=x\1auth=Bearer x\1"), ERR_SYNTAX, "", "", "", 0 },
    { "XOAUTH2 nothing", X, SLICE_CONST(""), ERR_SYNTAX, "", "", "", 0 },
    { "XOAUTH2 no UTF-8", X, SLICE_CONST("user=\xff\1auth=Bearer x\1\1"), ERR_SYNTAX, "", "", "",
        0 },
#undef B
#undef X
};

static void messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        struct sasl_oauth got, again;
        enum err e = row->parse(row->message, &got);
        if (e != row->wanted)
            fail_msg("%s: %s", row->name, err_name(e));
        if (e)
            continue;
        for (size_t cut = 0; cut < row->message.len; cut++) /* no part of one is one */
            assert_int_not_equal(row->parse(slice_sub(row->message, 0, cut), &again), ERR_OK);
        assert_string_equal(got.authzid, row->authzid);
        assert_slice(row->name, got.token, slice_of(row->token));
        assert_slice(row->name, got.host, slice_of(row->host));
        assert_int_equal(got.port, row->port);
        struct buf out;
        buf_init(&out, 0);
        if (row->parse == sasl_xoauth2_parse)
            sasl_xoauth2_write(&got, &out);
        else
            sasl_oauthbearer_write(&got, &out);
        assert_ok(row->parse(buf_slice(&out), &again));
        assert_string_equal(again.authzid, row->authzid);
        assert_slice(row->name, again.token, got.token);
        assert_slice(row->name, again.host, got.host);
        assert_int_equal(again.port, got.port);
        sasl_buf_wipe(&out);
    }
}

static void limits(void **state)
{
    (void)state;
    for (size_t over = 0; over < 2; over++) {
        struct buf text;
        struct sasl_oauth got;
        for (int x = 0; x < 2; x++) {
            buf_init(&text, 0);
            buf_adds(&text, x ? "user=" : "n,a=");
            for (size_t i = 0; i < USER_NAME_BYTES_MAX + over; i++)
                buf_addc(&text, 'u');
            buf_adds(&text, x ? "\1auth=Bearer x\1\1" : ",\1auth=Bearer x\1\1");
            assert_err(over ? ERR_LIMIT : ERR_OK,
                (x ? sasl_xoauth2_parse : sasl_oauthbearer_parse)(buf_slice(&text), &got));
            buf_done(&text);
        }
    }
}

static void errors(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 0);
    sasl_oauth_error_write(&(struct sasl_oauth_error){ .status = SLICE("invalid_token"),
                               .scope = SLICE("example_scope"),
                               .configuration = SLICE("https://example.com/.well-known/x") },
        &out);
    assert_slice("RFC 7628 §4.3", buf_slice(&out),
        SLICE("{\"status\":\"invalid_token\",\"scope\":\"example_scope\","
              "\"openid-configuration\":\"https://example.com/.well-known/x\"}"));
    buf_clear(&out);
    sasl_oauth_error_write(
        &(struct sasl_oauth_error){
            .status = SLICE("a\"b\\c\n"), .scope = SLICE_EMPTY, .configuration = SLICE_EMPTY },
        &out);
    assert_slice("escaped", buf_slice(&out), SLICE("{\"status\":\"a\\u0022b\\u005cc\\u000a\"}"));
    buf_done(&out);
}

TEST_MAIN(cmocka_unit_test(messages), cmocka_unit_test(limits), cmocka_unit_test(errors))
