#include "message/address.h"

#include "base/buf.h"
#include "base/test.h"

static void show(struct buf *out, struct slice part)
{
    if (part.ptr)
        buf_addf(out, "[%.*s]", SLICE_FMT(part));
    else
        buf_addc(out, '-');
}

/* name route mailbox host, "-" for none, ";" between addresses */
static void parse(const char *value, size_t max, struct buf *out)
{
    struct arena arena;
    struct msg_address *list;
    size_t count;
    arena_init(&arena, 1u << 20);
    assert_ok(msg_addresses(&arena, slice_of(value), max, &list, &count));
    buf_init(out, 0);
    for (size_t i = 0; i < count; i++) {
        show(out, list[i].name);
        show(out, list[i].route);
        show(out, list[i].mailbox);
        show(out, list[i].host);
        buf_addc(out, ';');
    }
    arena_done(&arena);
}

static void addresses(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *out;
    } rows[] = {
        { "none", "", "" },
        { "blanks", " \r\n ", "" },
        { "bare", "a@b.c", "--[a][b.c];" },
        { "two", "a@b, c@d", "--[a][b];--[c][d];" },
        { "empty members", ",, a@b ,,", "--[a][b];" },
        { "name", "Omar Ali <o@b>", "[Omar Ali]-[o][b];" },
        { "quoted name", "\"Ali, Omar\" <o@b>", "[Ali, Omar]-[o][b];" },
        { "escaped", "\"a\\\"b\\\\\" <o@b>", "[a\"b\\]-[o][b];" },
        { "dots in a name", "John Q. Public <j@b>", "[John Q. Public]-[j][b];" },
        { "folded name", "John\r\n  Public <j@b>", "[John Public]-[j][b];" },
        { "old name", "j@b (John (Jr) Public)", "[John (Jr) Public]-[j][b];" },
        { "encoded name stays", "=?utf-8?Q?=D8=B9?= <o@b>", "[=?utf-8?Q?=D8=B9?=]-[o][b];" },
        { "route", "<@x,@y:j@b>", "-[@x,@y][j][b];" },
        { "quoted local part", "\"j p\"@b", "--[j p][b];" },
        { "blanks in an address", "j . p @ b . c", "--[j.p][b.c];" },
        { "comments in an address", "j(x)@(y)b(z)", "[z]-[j][b];" },
        { "domain literal", "j@[127.0.0.1]", "--[j][[127.0.0.1]];" },
        { "IPv6 literal", "<j@[IPv6:::1]>", "--[j][[IPv6:::1]];" },
        { "group", "G: a@b, c@d;", "--[G]-;--[a][b];--[c][d];----;" },
        { "empty group", "undisclosed-recipients:;", "--[undisclosed-recipients]-;----;" },
        { "open group", "G: a@b", "--[G]-;--[a][b];----;" },
        { "group and more", "G:;, a@b", "--[G]-;----;--[a][b];" },
        { "no domain", "root", "--[root][];" },
        { "no domain in angles", "R <root>", "[R]-[root][];" },
        { "empty angles", "<>", "--[][];" },
        { "blanks in a local part", "Two Words@b, <Three Words>",
            "--[Two Words][b];--[Three Words][];" },
        { "no end of angles", "A <a@b", "[A]-[a][b];" },
        { "no end of quotes", "\"A <a@b", "--[A <a@b][];" },
        { "no end of comment", "a@b (x", "[x]-[a][b];" },
        { "junk after", "<a@b> x, c@d", "--[a][b];--[x][];--[c][d];" },
        { "junk before the end", "<a@b x>, c@d", "--[a][b];--[c][d];" },
        { "8-bit", "\xd8\xb9 <a@b>", "[\xd8\xb9]-[a][b];" },
        { "only specials", "@;:<>,", "--[][];--[]-;--[][];----;" },
        { "backslash at the end", "a@b\\", "--[a][b];" },
        { "comment in front", "(x)a@b, (y) c@d", "--[a][b];--[c][d];" },
        { "quotes in a domain", "a@b\"x\"c, d@e", "--[a][b];--[d][e];" },
        { "empty quotes in a name", "\"\" A \"\" \"B\" \"\"<a@b>", "[A B]-[a][b];" },
        { "closing parenthesis", "a@b), c@d ) <e@f>", "--[a][b];--[c][d];--[e][f];" },
        { "quoted text behind", "a@b \"x, y\" <c@d> \"z\", e@f", "--[a][b];--[e][f];" },
        { "angle behind", "a@b <", "--[a][b];" },
        { "empty local part", "\"\"@b", "--[][b];" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out;
        parse(rows[i].value, 100, &out);
        assert_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].out));
        buf_done(&out);
    }
}

static void at_most(void **state)
{
    (void)state;
    struct buf out;
    parse("a@b, c@d, e@f", 2, &out);
    assert_slice("two of three", buf_slice(&out), SLICE("--[a][b];--[c][d];"));
    buf_done(&out);
    /* a group that is cut is still closed */
    parse("G: a@b, c@d, e@f;", 3, &out);
    assert_slice("group", buf_slice(&out), SLICE("--[G]-;--[a][b];----;"));
    buf_done(&out);
    parse("G: a@b;", 1, &out);
    assert_slice("no room for a group", buf_slice(&out), SLICE("--[a][b];"));
    buf_done(&out);
    parse("a@b", 0, &out);
    assert_slice("none", buf_slice(&out), SLICE(""));
    buf_done(&out);
}

static void over_the_arena(void **state)
{
    (void)state;
    struct arena arena;
    struct msg_address *list;
    size_t count;
    arena_init(&arena, 64);
    assert_err(ERR_LIMIT, msg_addresses(&arena, SLICE("a@b, c@d, e@f"), 10, &list, &count));
    arena_done(&arena);
}

TEST_MAIN(cmocka_unit_test(addresses), cmocka_unit_test(at_most), cmocka_unit_test(over_the_arena))
