/* Canonical addresses: a table, and that doing it twice changes nothing. */
#include "base/test.h"

#include "auth/directory.h"

#include <string.h>

#define X60 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct row {
    const char *name;
    struct slice in;
    enum err wanted;
    const char *out;
} rows[] = {
    { "plain", SLICE_CONST("omar@barid.test"), ERR_OK, "omar@barid.test" },
    { "case", SLICE_CONST("Omar@Barid.TEST"), ERR_OK, "omar@barid.test" },
    { "atext", SLICE_CONST("a!#$%&'*+-/=?^_`{|}~b@x.test"), ERR_OK,
        "a!#$%&'*+-/=?^_`{|}~b@x.test" },
    { "one label", SLICE_CONST("root@localhost"), ERR_OK, "root@localhost" },
    { "arabic", SLICE_CONST("سلمى@بريد.test"), ERR_OK, "سلمى@بريد.test" },
    { "A-label", SLICE_CONST("x@XN--ngbof4h.test"), ERR_OK, "x@بريد.test" },
    { "sharp s stays in the domain", SLICE_CONST("a@straße.test"), ERR_OK, "a@straße.test" },
    { "its A-label", SLICE_CONST("a@xn--strae-oqa.test"), ERR_OK, "a@straße.test" },
    { "sharp s folds in the local part", SLICE_CONST("Straße@x.test"), ERR_OK, "strasse@x.test" },
    { "full width", SLICE_CONST("ＯＭＡＲ@x.test"), ERR_OK, "omar@x.test" },
    { "decomposed", SLICE_CONST("E\xcc\x81va@x.test"), ERR_OK, "éva@x.test" },
    { "decomposed domain", SLICE_CONST("a@be\xcc\x81.test"), ERR_OK, "a@bé.test" },
    { "arabic presentation form", SLICE_CONST("ﺳلام@x.test"), ERR_OK, "سلام@x.test" },
    { "telephone sign", SLICE_CONST("℡@x.test"), ERR_OK, "tel@x.test" },
    { "ideographic dot in the domain", SLICE_CONST("a@x。test"), ERR_OK, "a@x.test" },
    { "quoted plain", SLICE_CONST("\"omar\"@x.test"), ERR_OK, "omar@x.test" },
    { "quoted pair", SLICE_CONST("\"o\\mar\"@x.test"), ERR_OK, "omar@x.test" },
    { "quoted blank", SLICE_CONST("\"o mar\"@x.test"), ERR_SYNTAX, "" },
    { "quoted at", SLICE_CONST("\"o@mar\"@x.test"), ERR_SYNTAX, "" },
    { "quoted empty", SLICE_CONST("\"\"@x.test"), ERR_SYNTAX, "" },
    { "quoted control", SLICE_CONST("\"a\nb\"@x.test"), ERR_SYNTAX, "" },
    { "one quote", SLICE_CONST("\"omar@x.test"), ERR_SYNTAX, "" },
    { "only a quote", SLICE_CONST("\"@x.test"), ERR_SYNTAX, "" },
    { "backslash at the end", SLICE_CONST("\"omar\\\"@x.test"), ERR_SYNTAX, "" },
    { "attack: blank and x", SLICE_CONST("\"\" @x"), ERR_SYNTAX, "" },
    { "full width at", SLICE_CONST("a＠b@x.test"), ERR_SYNTAX, "" },
    { "empty", SLICE_CONST(""), ERR_SYNTAX, "" },
    { "no at", SLICE_CONST("omar"), ERR_SYNTAX, "" },
    { "no local", SLICE_CONST("@x.test"), ERR_SYNTAX, "" },
    { "no domain", SLICE_CONST("omar@"), ERR_SYNTAX, "" },
    { "two ats", SLICE_CONST("a@b@x.test"), ERR_SYNTAX, "" },
    { "dots", SLICE_CONST("a.b.c@x.test"), ERR_OK, "a.b.c@x.test" },
    { "two dots", SLICE_CONST("a..b@x.test"), ERR_SYNTAX, "" },
    { "first dot", SLICE_CONST(".a@x.test"), ERR_SYNTAX, "" },
    { "last dot", SLICE_CONST("a.@x.test"), ERR_SYNTAX, "" },
    { "domain dot at the end", SLICE_CONST("a@x.test."), ERR_SYNTAX, "" },
    { "domain two dots", SLICE_CONST("a@x..test"), ERR_SYNTAX, "" },
    { "domain hyphen", SLICE_CONST("a@-x.test"), ERR_SYNTAX, "" },
    { "domain underscore", SLICE_CONST("a@x_y.test"), ERR_SYNTAX, "" },
    { "underscore beside a U-label", SLICE_CONST("a@x_y.بريد"), ERR_SYNTAX, "" },
    { "literal", SLICE_CONST("a@[127.0.0.1]"), ERR_SYNTAX, "" },
    { "false A-label", SLICE_CONST("a@xn--a.test"), ERR_SYNTAX, "" },
    { "A-label that hides ASCII", SLICE_CONST("a@xn--abc-.test"), ERR_SYNTAX, "" },
    { "NUL in local", SLICE_CONST("a\0b@x.test"), ERR_SYNTAX, "" },
    { "NUL in domain", SLICE_CONST("a@x\0.test"), ERR_SYNTAX, "" },
    { "newline", SLICE_CONST("a@x.test\n"), ERR_SYNTAX, "" },
    { "blank", SLICE_CONST("a b@x.test"), ERR_SYNTAX, "" },
    { "no-break space",
        SLICE_CONST("a\xc2\xa0"
                    "b@x.test"),
        ERR_SYNTAX, "" },
    { "direction override",
        SLICE_CONST("a\xe2\x80\xae"
                    "b@x.test"),
        ERR_SYNTAX, "" },
    { "zero width",
        SLICE_CONST("a\xe2\x80\x8b"
                    "b@x.test"),
        ERR_SYNTAX, "" },
    { "variation selector", SLICE_CONST("a\xef\xb8\x8f@x.test"), ERR_SYNTAX, "" },
    { "no UTF-8", SLICE_CONST("a\xff@x.test"), ERR_SYNTAX, "" },
    { "no UTF-8 in the domain", SLICE_CONST("a@\xff.test"), ERR_SYNTAX, "" },
    { "path", SLICE_CONST("../x@x.test"), ERR_SYNTAX, "" },
    { "64 bytes", SLICE_CONST(X60 "abcd@x.test"), ERR_OK, X60 "abcd@x.test" },
    { "65 bytes", SLICE_CONST(X60 "abcde@x.test"), ERR_LIMIT, "" },
    { "label of 63", SLICE_CONST("a@" X60 "abc.test"), ERR_OK, "a@" X60 "abc.test" },
    { "label of 64", SLICE_CONST("a@" X60 "abcd.test"), ERR_SYNTAX, "" },
    { "domain of 254", SLICE_CONST("a@" X60 "." X60 "." X60 "." X60 ".1234567890"), ERR_LIMIT, "" },
    { "domain of 253", SLICE_CONST("a@" X60 "." X60 "." X60 "." X60 ".123456789"), ERR_OK,
        "a@" X60 "." X60 "." X60 "." X60 ".123456789" },
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[USER_NAME_BYTES_MAX + 1] = "untouched", again[USER_NAME_BYTES_MAX + 1];
        enum err e = address_canonical(rows[i].in, out);
        if (e != rows[i].wanted)
            fail_msg("%s: %s", rows[i].name, err_name(e));
        assert_string_equal(out, e ? "untouched" : rows[i].out);
        if (e)
            continue;
        assert_ok(address_canonical(slice_of(out), again));
        assert_string_equal(out, again);
    }
}

static void test_long(void **state)
{
    (void)state;
    static char text[12000];
    memset(text, 'a', sizeof text);
    text[5000] = '@';
    char out[USER_NAME_BYTES_MAX + 1];
    assert_err(ERR_LIMIT, address_canonical(slice_from(text, sizeof text), out));
    assert_err(ERR_LIMIT, domain_canonical(slice_from(text, 4000), out));
    assert_err(ERR_SYNTAX, domain_canonical(SLICE(""), out));
}

TEST_MAIN(cmocka_unit_test(test_rows), cmocka_unit_test(test_long))
