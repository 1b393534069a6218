/* URLs that may be asked, answers of servers that lie, and what a browser brings. */
#include "base/limits.h"
#include "base/test.h"
#include "client/oauth/oauth_state.h"
#include "client/oauth/oauth_text.h"

#include <stdlib.h>
#include <string.h>

static void test_urls(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool url_ok, issuer_ok;
    } rows[] = {
        { "https://login.example.org", true, true },
        { "https://login.example.org:8443/a/b", true, true },
        { "https://login.example.org/a?b=c", true, false },
        { "http://localhost:80", true, true },
        { "http://127.0.0.1:1/x", true, true },
        { "http://[::1]:1/x", true, true },
        { "https://[::1]/x", true, true },
        { "http://localhost.example.org", false, false },
        { "http://127.0.0.1.example.org", false, false },
        { "http://login.example.org", false, false },
        { "http://localhost@example.org", false, false },
        { "https://a:b@example.org", false, false },
        { "https://example.org#x", false, false },
        { "https://example.org\\@x", false, false },
        { "https://exa mple.org", false, false },
        { "https://example.org/\x7f", false, false },
        { "https://example.org:0", false, false },
        { "https://example.org:65536", false, false },
        { "https://example.org:", false, false },
        { "https://:443", false, false },
        { "https://", false, false },
        { "https:///x", false, false },
        { "HTTPS://example.org", false, false },
        { "javascript:alert(1)", false, false },
        { "", false, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (oauth_url_ok(slice_of(rows[i].url)) != rows[i].url_ok)
            fail_msg("url %s", rows[i].url);
        if (oauth_issuer_ok(slice_of(rows[i].url)) != rows[i].issuer_ok)
            fail_msg("issuer %s", rows[i].url);
    }
    assert_true(oauth_url_here(SLICE("https://localhost:1/x")));
    assert_true(oauth_url_here(SLICE("http://[::1]")));
    assert_false(oauth_url_here(SLICE("https://a.test//localhost:1/")));
    assert_false(oauth_url_here(SLICE("https://localhost.a.test/")));
    char longest[OAUTH_URL_BYTES_MAX + 2];
    memset(longest, 'a', sizeof longest);
    memcpy(longest, "https://", 8);
    assert_true(oauth_url_ok(slice_from(longest, OAUTH_URL_BYTES_MAX)));
    assert_false(oauth_url_ok(slice_from(longest, OAUTH_URL_BYTES_MAX + 1)));
}

static void test_well_known(void **state)
{
    (void)state;
    static const struct {
        const char *issuer, *oauth, *openid;
    } rows[] = {
        { "https://a.test", "https://a.test/.well-known/oauth-authorization-server",
            "https://a.test/.well-known/openid-configuration" },
        { "https://a.test/", "https://a.test/.well-known/oauth-authorization-server",
            "https://a.test/.well-known/openid-configuration" },
        { "https://a.test:8/b/c", "https://a.test:8/.well-known/oauth-authorization-server/b/c",
            "https://a.test:8/b/c/.well-known/openid-configuration" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int openid = 0; openid < 2; openid++) {
            struct buf out;
            buf_init(&out, 0);
            oauth_well_known(slice_of(rows[i].issuer), openid, &out);
            assert_slice(
                rows[i].issuer, buf_slice(&out), slice_of(openid ? rows[i].openid : rows[i].oauth));
            buf_done(&out);
        }
}

static void test_forms(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 0);
    oauth_form_add(&out, "a", SLICE("x y&=%+\xc3\xa9~-._"));
    oauth_form_add(&out, "b", SLICE(""));
    assert_slice("form", buf_slice(&out), SLICE("a=x%20y%26%3D%25%2B%C3%A9~-._&b="));
    buf_clear(&out);
    oauth_base64url(&out, SLICE("\xfb\xff\xfe?"));
    assert_slice("base64url", buf_slice(&out), SLICE("-__-Pw"));
    buf_done(&out);
}

static void test_redirects(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        enum err wanted;
        const char *code, *state, *error;
    } rows[] = {
        { "GET /?code=a&state=b HTTP/1.1\r\nHost: x\r\n\r\n", ERR_OK, "a", "b", "" },
        { "GET /?state=b&error=access_denied&x=%00 HTTP/1.1\r\n", ERR_SYNTAX, "", "", "" },
        { "GET /?state=b&error=no%20way+x&x HTTP/1.0\r\n", ERR_OK, "", "b", "no way x" },
        { "GET /?code=%2b%2B%2f HTTP/1.1\r\n", ERR_OK, "++/", "", "" },
        { "GET /?code=%4 HTTP/1.1\r\n", ERR_SYNTAX, "", "", "" },
        { "GET /?code=%4g HTTP/1.1\r\n", ERR_SYNTAX, "", "", "" },
        { "GET /?code=% HTTP/1.1\r\n", ERR_SYNTAX, "", "", "" },
        { "GET /?code=a%0d%0ab HTTP/1.1\r\n", ERR_SYNTAX, "", "", "" },
        { "GET /?code=%c3%a9 HTTP/1.1\r\n", ERR_SYNTAX, "", "", "" },
        { "GET /?code=a&code=a HTTP/1.1\r\n", ERR_SYNTAX, "", "", "" },
        { "GET /favicon.ico HTTP/1.1\r\n", ERR_NOT_FOUND, "", "", "" },
        { "GET / HTTP/1.1\r\n", ERR_NOT_FOUND, "", "", "" },
        { "GET //?code=a HTTP/1.1\r\n", ERR_NOT_FOUND, "", "", "" },
        { "POST /?code=a HTTP/1.1\r\n", ERR_SYNTAX, "", "", "" },
        { "GET http://x/?code=a HTTP/1.1\r\n", ERR_SYNTAX, "", "", "" },
        { "GET /?code=a HTTP/2\r\n", ERR_SYNTAX, "", "", "" },
        { "GET /?code=a\r\n", ERR_SYNTAX, "", "", "" },
        { "GET /?code=a HTTP/1.1\n\n", ERR_SYNTAX, "", "", "" },
        { "", ERR_SYNTAX, "", "", "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena arena;
        struct oauth_redirect redirect;
        arena_init(&arena, 1 << 20);
        enum err e = oauth_redirect_read(slice_of(rows[i].head), &arena, &redirect);
        if (e != rows[i].wanted)
            fail_msg("%s: %s", rows[i].head, err_name(e));
        if (e == ERR_OK) {
            assert_slice(rows[i].head, redirect.code, slice_of(rows[i].code));
            assert_slice(rows[i].head, redirect.state, slice_of(rows[i].state));
            assert_slice(rows[i].head, redirect.error, slice_of(rows[i].error));
        }
        arena_done(&arena);
    }
}

static void test_metadata(void **state)
{
    (void)state;
    static const char good[] =
        "{\"issuer\":\"https://a.test\",\"token_endpoint\":\"https://a.test/t\","
        "\"scopes_supported\":[\"email\",\"https://x/dev/protocol-imap\",\"mail\",\"a b\"],"
        "\"code_challenge_methods_supported\":[\"plain\"]}";
    struct arena arena;
    struct oauth_server server;
    arena_init(&arena, 1 << 20);
    assert_ok(oauth_metadata_read(slice_of(good), &arena, &server));
    assert_slice("scope", server.scope, SLICE("https://x/dev/protocol-imap mail"));
    assert_true(server.has_no_s256);
    assert_true(server.secret_in_header);
    assert_false(server.says_iss);
    for (size_t len = 0; len + 1 < sizeof good - 1; len++)
        assert_err(ERR_SYNTAX, oauth_metadata_read(slice_from(good, len), &arena, &server));
    assert_err(ERR_DENIED,
        oauth_metadata_read(
            SLICE("{\"issuer\":\"https://a.test\",\"token_endpoint\":\"http://localhost:1/t\"}"),
            &arena, &server));
    assert_err(ERR_DENIED,
        oauth_metadata_read(
            SLICE("{\"issuer\":\"https://a.test\",\"token_endpoint\":\"http://a.test/t\"}"), &arena,
            &server));
    arena_done(&arena);
}

/* One under, at and over the longest token. */
static void test_token_limit(void **state)
{
    (void)state;
    for (int over = -1; over <= 1; over++) {
        struct oauth_tokens tokens;
        struct oauth_error error;
        struct buf json;
        size_t len = (size_t)((int)OAUTH_TOKEN_BYTES_MAX + over);
        char *token = malloc(len);
        assert_non_null(token);
        memset(token, 'x', len);
        oauth_tokens_init(&tokens);
        buf_init(&json, 0);
        buf_adds(&json, "{\"token_type\":\"BEARER\",\"expires_in\":\"3600\",\"access_token\":\"");
        buf_add(&json, slice_from(token, len));
        buf_adds(&json, "\"}");
        enum err e = oauth_token_read(buf_slice(&json), &tokens, &error);
        assert_int_equal(e, over > 0 ? ERR_LIMIT : ERR_OK);
        assert_int_equal(buf_len(&tokens.access), over > 0 ? 0 : len);
        assert_int_equal(tokens.expires_in_s, over > 0 ? 0 : 3600);
        oauth_tokens_done(&tokens);
        buf_done(&json);
        free(token);
    }
}

static void test_state(void **state)
{
    (void)state;
    struct oauth_state record, again;
    struct buf text;
    oauth_state_init(&record);
    oauth_state_init(&again);
    buf_init(&text, 0);
    oauth_state_set(&record.token_url, SLICE("https://a.test/t"));
    oauth_state_set(&record.refresh, SLICE("r1"));
    record.expires_s = 5;
    record.secret_in_header = true;
    assert_ok(oauth_state_write(&record, &text));
    assert_ok(oauth_state_read(buf_slice(&text), &again));
    assert_slice("refresh", buf_slice(&again.refresh), SLICE("r1"));
    assert_int_equal(again.expires_s, 5);
    assert_true(again.secret_in_header);
    oauth_state_done(&again);
    for (size_t len = 0; len < buf_len(&text); len++) { /* cut off anywhere, it is none */
        assert_err(ERR_CORRUPT, oauth_state_read(slice_sub(buf_slice(&text), 0, len), &again));
        assert_int_equal(buf_len(&again.refresh), 0);
    }
    oauth_state_set(&record.access, SLICE("a\nrefresh evil"));
    buf_clear(&text);
    assert_err(ERR_SYNTAX, oauth_state_write(&record, &text));
    oauth_state_done(&record);
    oauth_state_done(&again);
    buf_done(&text);
}

TEST_MAIN(cmocka_unit_test(test_urls), cmocka_unit_test(test_well_known),
    cmocka_unit_test(test_forms), cmocka_unit_test(test_redirects), cmocka_unit_test(test_metadata),
    cmocka_unit_test(test_token_limit), cmocka_unit_test(test_state))
