#include "base/test.h"

#include "proto/wire/wire.h"

static void test_lines(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct slice in, line;
        size_t max;
        enum wire result;
    } rows[] = {
        { "line", SLICE_CONST("NOOP\r\n"), SLICE_CONST("NOOP"), 6, WIRE_DONE },
        { "one over", SLICE_CONST("NOOP\r\n"), SLICE_CONST(""), 5, WIRE_TOO_LONG },
        { "empty", SLICE_CONST("\r\n"), SLICE_CONST(""), 9, WIRE_DONE },
        { "bare lf", SLICE_CONST("a\n"), SLICE_CONST("a\n"), 9, WIRE_BARE },
        { "only lf", SLICE_CONST("\n"), SLICE_CONST("\n"), 9, WIRE_BARE },
        { "bare cr", SLICE_CONST("a\rb\r\n"), SLICE_CONST("a\rb\r\n"), 9, WIRE_BARE },
        { "nul", SLICE_CONST("a\0\r\n"), SLICE_CONST("a\0\r\n"), 9, WIRE_BARE },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t cut = 0; cut <= rows[i].in.len; cut++) {
            struct wire_line framer = { 0 };
            struct slice line = SLICE_EMPTY;
            enum wire r =
                wire_line_feed(&framer, slice_sub(rows[i].in, 0, cut), rows[i].max, &line);
            if (r == WIRE_MORE)
                r = wire_line_feed(&framer, rows[i].in, rows[i].max, &line);
            assert_int_equal(r, rows[i].result);
            assert_slice(rows[i].name, line, rows[i].line);
        }
    }
}

TEST_MAIN(cmocka_unit_test(test_lines))
