#include "message/param.h"

#include "base/buf.h"
#include "base/limits.h"
#include "base/test.h"

static void parse(struct arena *arena, struct slice value, struct buf *out)
{
    struct mime_value parsed;
    assert_ok(mime_value_parse(arena, value, &parsed));
    buf_init(out, 0);
    buf_addf(out, "%.*s/%.*s", SLICE_FMT(parsed.type), SLICE_FMT(parsed.subtype));
    for (size_t i = 0; i < parsed.count; i++)
        buf_addf(
            out, ";%.*s=%.*s", SLICE_FMT(parsed.params[i].name), SLICE_FMT(parsed.params[i].value));
}

static void values(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *out;
    } rows[] = {
        { "nothing", "", "/" },
        { "type alone", " text", "text/" },
        { "type", "text/plain", "text/plain" },
        { "blanks and comments", " text (x) / (y) plain ; (z) charset = utf-8 ",
            "text/plain;charset=utf-8" },
        { "quoted", "text/plain; name=\"a \\\"b\\\\;\"", "text/plain;name=a \"b\\;" },
        { "folded", "text/plain;\r\n\tcharset=utf-8", "text/plain;charset=utf-8" },
        { "folded in quotes", "text/plain; name=\"a\r\n b\"", "text/plain;name=a b" },
        { "empty members", "text/plain;; ;charset=x;", "text/plain;charset=x" },
        { "no value", "text/plain; charset; a=b", "text/plain;a=b" },
        { "empty value", "text/plain; charset=; a=b", "text/plain;charset=;a=b" },
        { "no end of quotes", "text/plain; x=y; name=\"a; b=c", "text/plain;x=y" },
        { "= in a boundary", "multipart/mixed; boundary=----=_x=1",
            "multipart/mixed;boundary=----=_x=1" },
        { "odd names", "a/b; ,c=d; e:f=g; h/i=j; =k; l=m", "a/b;=k;l=m" },
        { "odd type", "te@xt/plain; a=b", "/;a=b" },
        { "odd subtype", "text/pl@in; a=b", "/;a=b" },
        { "lost semicolon", "text/html charset=x; a=b", "text/html;a=b" },
        { "comma for semicolon", "text/html, charset=x; a=b", "text/html;a=b" },
        { "file name with blanks", "a/b; name=one two.txt ; c=d e", "a/b;name=one two.txt;c=d" },
        { "file name with parentheses", "a/b; filename=report (1).pdf; c=d (e)", "a/b;filename=report (1).pdf;c=d" },
        { "quotes inside a value", "a/b; c=d\"\"e; f=g", "a/b;c=d\"\"e;f=g" },
        { "disposition", "attachment; filename=a.txt", "attachment/;filename=a.txt" },
        { "continued", "a/b; n*0=one; n*1=\" two\"; n*2=three", "a/b;n=one twothree" },
        { "out of order", "a/b; n*1=two; x=y; n*0=one", "a/b;n=onetwo;x=y" },
        { "extended", "a/b; n*=utf-8''%D8%B9", "a/b;n*=utf-8''%D8%B9" },
        { "extended and continued", "a/b; n*0*=utf-8''%D8; n*1*=%B9; n*2=\"%z\"",
            "a/b;n*=utf-8''%D8%B9%25z" },
        { "plain and extended", "a/b; n*0=\"it's Bob's 5%\"; n*1*=%20x", "a/b;n*=''it's Bob's 5%25%20x" },
        { "a gap ends it", "a/b; n*0=one; n*2=three", "a/b;n=one;n*2=three" },
        { "no first", "a/b; n*1=two", "a/b;n*1=two" },
        { "two names", "a/b; n*0=1; m*0=2; n*1=3; m*1=4", "a/b;n=13;m=24" },
        { "number too big", "a/b; n*99999999999999999999=1", "a/b;n*99999999999999999999=1" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena arena;
        struct buf out;
        arena_init(&arena, 1u << 20);
        parse(&arena, slice_of(rows[i].value), &out);
        assert_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].out));
        buf_done(&out);
        arena_done(&arena);
    }
}

static void limit_parameters(void **state)
{
    (void)state;
    struct arena arena;
    struct buf value;
    struct mime_value parsed;
    arena_init(&arena, 1u << 20);
    buf_init(&value, 0);
    buf_adds(&value, "a/b");
    for (unsigned i = 0; i <= MIME_PARAMETERS_MAX; i++)
        buf_addf(&value, ";p%u=x", i);
    assert_ok(mime_value_parse(&arena, buf_slice(&value), &parsed));
    assert_int_equal(parsed.count, MIME_PARAMETERS_MAX);
    assert_non_null(mime_param_find(&parsed, SLICE("P999")));
    assert_null(mime_param_find(&parsed, SLICE("p1000")));
    buf_done(&value);
    arena_done(&arena);
}

static void tokens(void **state)
{
    (void)state;
    assert_slice("plain", mime_token(SLICE(" base64\r\n")), SLICE("base64"));
    assert_slice("comment", mime_token(SLICE("(x) 8bit (y)")), SLICE("8bit"));
    assert_slice("two", mime_token(SLICE("8 bit")), SLICE(""));
    assert_slice("type", mime_token(SLICE("text/html")), SLICE(""));
    assert_slice("none", mime_token(SLICE(" ")), SLICE(""));
    assert_slice("no token", mime_token(SLICE("bas:e64")), SLICE(""));
    assert_slice("semicolon", mime_token(SLICE("7bit;")), SLICE(""));
    assert_slice("8-bit", mime_token(SLICE("x-\xd8\xa8")), SLICE("x-\xd8\xa8"));
}

TEST_MAIN(cmocka_unit_test(values), cmocka_unit_test(limit_parameters), cmocka_unit_test(tokens))
