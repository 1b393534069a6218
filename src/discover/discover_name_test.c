/* Addresses, hosts, owners and patterns. */
#include "discover/name.h"

#include "base/test.h"

#include <string.h>

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 1u << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static void addresses(void **state)
{
    static const struct {
        const char *address;
        enum err e;
        const char *local, *domain, *base;
    } rows[] = {
        { "salma@example.org", ERR_OK, "salma", "example.org", "example.org" },
        { "  salma@Example.ORG\r\n", ERR_OK, "salma", "example.org", "example.org" },
        { "a@b@mail.firm.co.uk", ERR_SYNTAX, "", "", "" },
        { "O'Neil+tag@mail.firm.co.uk", ERR_OK, "O'Neil+tag", "mail.firm.co.uk", "firm.co.uk" },
        { "سلمى@بريد.إختبار", ERR_OK, "سلمى", "xn--ngbof4h.xn--kgbechtv",
            "xn--ngbof4h.xn--kgbechtv" },
        { "x@xn--ngbof4h.xn--kgbechtv", ERR_OK, "x", "xn--ngbof4h.xn--kgbechtv",
            "xn--ngbof4h.xn--kgbechtv" },
        { "x@faß.example", ERR_OK, "x", "xn--fa-hia.example", "xn--fa-hia.example" },
        { "x@www.食狮.公司.cn", ERR_OK, "x", "www.xn--85x722f.xn--55qx5d.cn",
            "xn--85x722f.xn--55qx5d.cn" },
        { "x@example.org.", ERR_OK, "x", "example.org", "example.org" },
        { "", ERR_SYNTAX, "", "", "" },
        { "salma", ERR_SYNTAX, "", "", "" },
        { "@example.org", ERR_SYNTAX, "", "", "" },
        { "salma@", ERR_SYNTAX, "", "", "" },
        { "salma@localhost", ERR_SYNTAX, "", "", "" },
        { "salma@[192.0.2.1]", ERR_SYNTAX, "", "", "" },
        { "salma@192.0.2.1", ERR_SYNTAX, "", "", "" },
        { "salma@example..org", ERR_SYNTAX, "", "", "" },
        { "salma@-a.org", ERR_SYNTAX, "", "", "" },
        { "salma@ex ample.org", ERR_SYNTAX, "", "", "" },
        { "sal ma@example.org", ERR_SYNTAX, "", "", "" },
        { "\"sal ma\"@example.org", ERR_SYNTAX, "", "", "" },
        { "sal\nma@example.org", ERR_SYNTAX, "", "", "" },
        { "sal\xff@example.org", ERR_SYNTAX, "", "", "" },
        { "\xe2\x80\xaesalma@example.org", ERR_SYNTAX, "", "", "" }, /* U+202E turns what follows */
        { "\xd8\x9csalma@example.org", ERR_SYNTAX, "", "", "" }, /* U+061C, Arabic letter mark */
        { "x@example.org..", ERR_SYNTAX, "", "", "" },
        { "1234567890123456789012345678901234567890123456789012345678901234@example.org", ERR_OK,
            "1234567890123456789012345678901234567890123456789012345678901234", "example.org",
            "example.org" },
        { "12345678901234567890123456789012345678901234567890123456789012345@example.org",
            ERR_SYNTAX, "", "", "" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct name name = { .local = SLICE_EMPTY };
        enum err e = name_read(slice_of(rows[i].address), &arena, &name);
        if (e != rows[i].e)
            fail_msg("%s: %s", rows[i].address, err_name(e));
        if (e)
            continue;
        assert_slice(rows[i].address, name.local, slice_of(rows[i].local));
        assert_slice(rows[i].address, name.domain, slice_of(rows[i].domain));
        assert_slice(rows[i].address, name.base, slice_of(rows[i].base));
        assert_true(name.address.ptr[name.address.len - 1] != '.');
    }
}

static void hosts(void **state)
{
    static const struct {
        const char *text;
        const char *host; /* NULL: refused */
    } rows[] = {
        { "imap.example.org", "imap.example.org" },
        { "IMAP.Example.ORG.", "imap.example.org" },
        { "بريد.إختبار", "xn--ngbof4h.xn--kgbechtv" },
        { "a.b", "a.b" },
        { "", NULL },
        { ".", NULL },
        { "..", NULL },
        { "a..b", NULL },
        { ".a.b", NULL },
        { "a.b..", NULL },
        { "localhost", NULL },
        { "127.0.0.1", NULL },
        { "2130706433", NULL },
        { "0x7f.1", NULL },
        { "::1", NULL },
        { "[::1]", NULL },
        { "a_b.example", NULL },
        { "a b.example", NULL },
        { "a\x1b[31m.example", NULL },
        { "a/b.example", NULL },
        { "user@a.example", NULL },
        { "a.example:143", NULL },
        { "xn--a.example", NULL }, /* no A-label */
        { "-a.example", NULL },
        { "a-.example", NULL },
        { "\xff.example", NULL },
        { "123456789012345678901234567890123456789012345678901234567890123.a",
            "123456789012345678901234567890123456789012345678901234567890123.a" },
        { "1234567890123456789012345678901234567890123456789012345678901234.a", NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct slice host = SLICE_EMPTY;
        enum err e = name_host(slice_of(rows[i].text), &arena, &host);
        if ((e == ERR_OK) != (rows[i].host != NULL))
            fail_msg("<%s>: %s", rows[i].text, err_name(e));
        if (!e)
            assert_slice(rows[i].text, host, slice_of(rows[i].host));
    }
}

static void owners(void **state)
{
    static const char *const rows[][2] = {
        { "imap.gmail.com", "gmail.com" }, { "gmail.com", "gmail.com" },
        { "a.b.firm.co.uk", "firm.co.uk" }, { "firm.com.sa", "firm.com.sa" }, { "co.uk", "co.uk" },
        { "x.unknown-tld", "x.unknown-tld" }, { "a.x.unknown-tld", "x.unknown-tld" },
        { "me.github.io", "me.github.io" }, /* each its own owner */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_slice(rows[i][0], name_base(slice_of(rows[i][0])), slice_of(rows[i][1]));
}

static void shown(void **state)
{
    static const char *const rows[][2] = {
        { "xn--ngbof4h.xn--kgbechtv", "بريد.إختبار" },
        { "imap.example.org", "imap.example.org" },
        { "xn--a.example", "xn--a.example" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_slice(rows[i][0], name_shown(slice_of(rows[i][0]), &arena), slice_of(rows[i][1]));
}

static void patterns(void **state)
{
    static const struct {
        const char *pattern;
        bool is_host;
        const char *text; /* NULL: refused */
    } rows[] = {
        { "%EMAILADDRESS%", false, "سلمى@بريد.إختبار" },
        { "%EMAILLOCALPART%", false, "سلمى" },
        { "%EMAILDOMAIN%", false, "بريد.إختبار" },
        { "imap.%EMAILDOMAIN%", true, "imap.xn--ngbof4h.xn--kgbechtv" },
        { "%e", false, "سلمى@بريد.إختبار" },
        { "%l.%d", false, "سلمى.بريد.إختبار" },
        { "plain", false, "plain" },
        { "100%", false, NULL },
        { "%REALNAME%", false, NULL },
        { "%%", false, NULL },
        { "", false, "" },
    };
    struct name name;
    (void)state;
    assert_ok(name_read(slice_of("سلمى@بريد.إختبار"), &arena, &name));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct slice text = SLICE_EMPTY;
        enum err e = name_expand(&name, slice_of(rows[i].pattern), rows[i].is_host, &arena, &text);
        if ((e == ERR_OK) != (rows[i].text != NULL))
            fail_msg("<%s>: %s", rows[i].pattern, err_name(e));
        if (!e)
            assert_slice(rows[i].pattern, text, slice_of(rows[i].text));
    }
    char many[64 * 14 + 1] = "";
    for (size_t i = 0; i < 64; i++)
        memcpy(many + 14 * i, "%EMAILADDRESS%", 15);
    struct slice text = SLICE_EMPTY;
    assert_err(ERR_LIMIT, name_expand(&name, slice_of(many), false, &arena, &text));
}

static void users(void **state)
{
    (void)state;
    assert_true(name_is_user(SLICE("salma")));
    assert_true(name_is_user(slice_of("سلمى@بريد.إختبار")));
    assert_false(name_is_user(SLICE("")));
    assert_false(name_is_user(SLICE("sal ma")));
    assert_false(name_is_user(SLICE("salma\r\n")));
    assert_false(name_is_user(SLICE("sal\0ma")));
    assert_false(name_is_user(SLICE("sal\x7fma")));
    assert_false(name_is_user(SLICE("sal\xc2\x9bma")));
    char text[321];
    memset(text, 'a', sizeof text);
    assert_true(name_is_user(slice_from(text, 320)));
    assert_false(name_is_user(slice_from(text, 321)));
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
TEST_MAIN(T(addresses), T(hosts), T(owners), T(shown), T(patterns), T(users))
