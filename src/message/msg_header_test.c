#include "message/header.h"

#include "base/test.h"

static void fields(void **state)
{
    (void)state;
    static const struct {
        const char *name, *header, *out; /* "<name|value>" for each field */
    } rows[] = {
        { "empty", "", "" },
        { "one", "A: b\r\n", "<A| b>" },
        { "no line end", "A: b", "<A| b>" },
        { "stops at the blank line", "A: b\r\n\r\nC: d\r\n", "<A| b>" },
        { "LF", "A: b\nC:d\n\nE: f", "<A| b><C|d>" },
        { "folding stays in the value", "A: b\r\n\tc\r\nD: e\r\n", "<A| b\r\n\tc><D| e>" },
        { "blank before the colon", "A \t: b\r\n", "<A| b>" },
        { "no colon", "junk\r\nA: b\r\n", "<A| b>" },
        { "folding of junk goes with it", "junk\r\n x: y\r\nA: b\r\n", "<A| b>" },
        { "mbox line", "From x@y Mon Sep 17 00:00:00 2001\r\nA: b\r\n", "<A| b>" },
        { "no name", ": b\r\nA: c\r\n", "<A| c>" },
        { "starts folded", " x: b\r\nA: c\r\n", "<A| c>" },
        { "line of blanks folds", "A: b\r\n \r\nC: d\r\n", "<A| b\r\n ><C| d>" },
        { "8-bit name", "\xd8\xa7: b\r\n", "<\xd8\xa7| b>" },
        { "lone CR", "A: b\rc\r\n", "<A| b\rc>" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct slice header = slice_of(rows[i].header);
        struct msg_field field;
        struct buf out;
        buf_init(&out, 0);
        while (msg_field_next(&header, &field))
            buf_addf(&out, "<%.*s|%.*s>", SLICE_FMT(field.name), SLICE_FMT(field.value));
        assert_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].out));
        buf_done(&out);
    }
}

static void find(void **state)
{
    (void)state;
    struct msg_field field;
    struct slice header = SLICE("To: a\r\nSubject: one\r\nsubject: two\r\n\r\nCc: b\r\n");
    assert_true(msg_field_find(header, SLICE("SUBJECT"), &field));
    assert_slice("first", field.value, SLICE(" one"));
    assert_false(msg_field_find(header, SLICE("Cc"), &field));
}

static void some_fields(void **state)
{
    (void)state;
    struct slice header = SLICE("To: a\r\nX: 1\r\n 2\r\nSubject: s\r\nto: b\r\n\r\nbody");
    struct slice names[] = { SLICE("TO"), SLICE("None"), SLICE("Subject") };
    struct buf out;
    buf_init(&out, 0);
    msg_header_fields(header, names, 3, false, &out);
    assert_slice("named", buf_slice(&out), SLICE("To: a\r\nSubject: s\r\nto: b\r\n"));
    buf_clear(&out);
    msg_header_fields(header, names, 3, true, &out);
    assert_slice("others", buf_slice(&out), SLICE("X: 1\r\n 2\r\n"));
    buf_clear(&out);
    msg_header_fields(header, NULL, 0, true, &out);
    assert_int_equal(buf_len(&out), header.len - 6);
    buf_done(&out);
}

static void header_len(void **state)
{
    (void)state;
    assert_int_equal(msg_header_len(SLICE("")), 0);
    assert_int_equal(msg_header_len(SLICE("A: b\r\n")), 6);
    assert_int_equal(msg_header_len(SLICE("A: b\r\n\r\nx")), 8);
    assert_int_equal(msg_header_len(SLICE("A: b\n\nx")), 6);
    assert_int_equal(msg_header_len(SLICE("\r\nx")), 2);
}

static void unfold(void **state)
{
    (void)state;
    static const struct {
        const char *name, *in, *out;
    } rows[] = {
        { "plain", " a b ", "a b" },
        { "fold", " a\r\n b\r\n\tc\r\n", "a b\tc" },
        { "LF fold", "a\n b", "a b" },
        { "lone CR", "a\rb", "a\rb" },
        { "fold first", "\r\n a", "a" },
        { "nothing", " \r\n ", "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out;
        buf_init(&out, 0);
        msg_unfold(slice_of(rows[i].in), &out);
        assert_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].out));
        buf_done(&out);
    }
}

TEST_MAIN(cmocka_unit_test(fields), cmocka_unit_test(find), cmocka_unit_test(some_fields),
    cmocka_unit_test(header_len), cmocka_unit_test(unfold))
