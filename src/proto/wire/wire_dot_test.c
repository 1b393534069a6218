#include "base/test.h"

#include "proto/wire/wire.h"

#include <string.h>

static enum wire feed(struct wire_dot_in *dots, struct slice part, struct buf *out)
{
    struct slice piece;
    enum wire r;
    while ((r = wire_dot_next(dots, &part, &piece)) == WIRE_PIECE)
        buf_add(out, piece);
    return r;
}

static void test_in(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct slice in, out;
        bool bare;
    } rows[] = {
        { "empty", SLICE_CONST(".\r\n"), SLICE_CONST(""), false },
        { "line", SLICE_CONST("a\r\n.\r\n"), SLICE_CONST("a\r\n"), false },
        { "stuffed", SLICE_CONST("..\r\n..a\r\n.\r\n"), SLICE_CONST(".\r\n.a\r\n"), false },
        { "bare lf", SLICE_CONST("a\n.\r\n\r\n.\r\n"), SLICE_CONST("a\n.\r\n\r\n"), true },
        { "bare cr", SLICE_CONST("a\r\r\n.\r\n"), SLICE_CONST("a\r\r\n"), true },
        { "dot cr", SLICE_CONST(".\rx\r\n.\r\n"), SLICE_CONST("\rx\r\n"), true },
        { "dot lf", SLICE_CONST("\r\n.\n\r\n.\r\n"), SLICE_CONST("\r\n\n\r\n"), true },
        { "nul", SLICE_CONST("a\0b\r\n.\r\n"), SLICE_CONST("a\0b\r\n"), true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t cut = 0; cut < rows[i].in.len; cut++) {
            struct wire_dot_in dots = { 0 };
            struct buf out;
            buf_init(&out, 0);
            assert_int_equal(feed(&dots, slice_sub(rows[i].in, 0, cut), &out), WIRE_MORE);
            assert_int_equal(feed(&dots, slice_from_index(rows[i].in, cut), &out), WIRE_DONE);
            assert_slice(rows[i].name, buf_slice(&out), rows[i].out);
            assert_int_equal(dots.bare, rows[i].bare);
            buf_done(&out);
        }
    }
}

static void test_out(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct slice in, out;
    } rows[] = {
        { "empty", SLICE_CONST(""), SLICE_CONST(".\r\n") },
        { "dots", SLICE_CONST(".\r\n..\r\na.b\r\n"), SLICE_CONST("..\r\n...\r\na.b\r\n.\r\n") },
        { "no end", SLICE_CONST("a\r\n.b"), SLICE_CONST("a\r\n..b\r\n.\r\n") },
        { "ends in cr", SLICE_CONST("a\r"), SLICE_CONST("a\r\r\n.\r\n") },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t cut = 0; cut <= rows[i].in.len; cut++) {
            struct wire_dot_out dots = { 0 };
            struct buf out;
            buf_init(&out, 0);
            wire_dot_add(&dots, slice_sub(rows[i].in, 0, cut), &out);
            wire_dot_add(&dots, slice_from_index(rows[i].in, cut), &out);
            wire_dot_end(&dots, &out);
            assert_slice(rows[i].name, buf_slice(&out), rows[i].out);
            buf_done(&out);
        }
    }
}

/* Long enough for blocks, with a dotted line at every place. */
static void test_skip(void **state)
{
    (void)state;
    for (size_t at = 0; at < 200; at++) {
        char text[202];
        memset(text, 'x', sizeof text);
        struct wire_dot_out dots = { 0 };
        assert_true(wire_dot_skip(&dots, slice_from(text, sizeof text)));
        assert_false(wire_dot_skip(&dots, slice_from(text, sizeof text))); /* not at a line's start */
        text[at] = '\n';
        text[at + 1] = '.';
        dots = (struct wire_dot_out){ 0 };
        assert_false(wire_dot_skip(&dots, slice_from(text, sizeof text)));
        assert_false(wire_dot_skip(&dots, slice_from(text + at + 1, 1)));
    }
    static const struct {
        struct slice first, then, out;
    } rows[] = {
        { SLICE_CONST("a\r\n"), SLICE_CONST(".b"), SLICE_CONST("..b\r\n.\r\n") },
        { SLICE_CONST("a\r"), SLICE_CONST("\n.b"), SLICE_CONST("\n..b\r\n.\r\n") },
        { SLICE_CONST("a\n"), SLICE_CONST(".b"), SLICE_CONST(".b\r\n.\r\n") },
        { SLICE_CONST("a"), SLICE_CONST(".b"), SLICE_CONST(".b\r\n.\r\n") },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct wire_dot_out dots = { 0 };
        struct buf out;
        buf_init(&out, 0);
        assert_true(wire_dot_skip(&dots, rows[i].first));
        wire_dot_add(&dots, rows[i].then, &out);
        wire_dot_end(&dots, &out);
        assert_slice("after what was skipped", buf_slice(&out), rows[i].out);
        buf_done(&out);
    }
}

TEST_MAIN(cmocka_unit_test(test_in), cmocka_unit_test(test_out), cmocka_unit_test(test_skip))
