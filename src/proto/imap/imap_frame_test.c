#include "base/test.h"

#include "base/buf.h"
#include "base/limits.h"
#include "proto/imap/imap_frame.h"

#include <string.h>

static const struct imap_frame_limits limits = {
    .line_bytes_max = 64,
    .literal_bytes_max = 20,
    .frame_bytes_max = 30,
    .literals_max = 3,
};

/* What the framer says about a stream, one line of text for each event. Body bytes are taken out as a session does. */
static void tell(struct slice stream, size_t split, struct buf *out)
{
    static const char *const names[] = { "more", "continue", "body", "done", "bad", "too-big",
        "too-long" };
    struct imap_framer f;
    struct buf in;
    buf_init(&in, 0);
    imap_framer_init(&f, &limits);
    uint64_t body = 0;
    for (size_t fed = 0, piece = split ? split : stream.len; fed < stream.len || buf_len(&in);) {
        size_t len = piece < stream.len - fed ? piece : stream.len - fed;
        buf_add(&in, slice_sub(stream, fed, len));
        fed += len;
        piece = split ? stream.len - fed : 0;
        for (;;) {
            size_t skip = body < buf_len(&in) ? (size_t)body : buf_len(&in);
            buf_consume(&in, skip);
            body -= skip;
            if (body)
                break;
            enum imap_frame got = imap_framer_feed(&f, buf_slice(&in));
            if (got == IMAP_FRAME_MORE)
                break;
            buf_addf(out, "%s:", names[got]);
            buf_add(out, slice_sub(buf_slice(&in), 0, f.seen));
            buf_addc(out, '|');
            if (got == IMAP_FRAME_TOO_LONG || (got == IMAP_FRAME_TOO_BIG && !f.sync))
                goto end;
            if (got == IMAP_FRAME_CONTINUE)
                continue;
            buf_consume(&in, f.seen);
            if (got == IMAP_FRAME_BODY) {
                body = f.literal;
                imap_framer_resume(&f);
            } else {
                imap_framer_init(&f, &limits);
            }
        }
        if (fed == stream.len)
            break;
    }
end:
    buf_done(&in);
}

static const struct {
    const char *name;
    struct slice stream;
    const char *told;
} rows[] = {
    { "one line", SLICE_CONST("a NOOP\r\n"), "done:a NOOP\r\n|" },
    { "two lines", SLICE_CONST("a NOOP\r\nb NOOP\r\n"), "done:a NOOP\r\n|done:b NOOP\r\n|" },
    { "empty line", SLICE_CONST("\r\n"), "done:\r\n|" },
    { "half a line", SLICE_CONST("a NOO"), "" },
    { "literal", SLICE_CONST("a LOGIN {2}\r\nab {1}\r\nc\r\n"),
        "continue:a LOGIN {2}\r\n|continue:a LOGIN {2}\r\nab {1}\r\n|done:a LOGIN {2}\r\nab "
        "{1}\r\nc\r\n|" },
    { "literal+", SLICE_CONST("a LOGIN {2+}\r\n\r\n c\r\n"), "done:a LOGIN {2+}\r\n\r\n c\r\n|" },
    { "empty literal", SLICE_CONST("a LOGIN {0+}\r\n c\r\n"), "done:a LOGIN {0+}\r\n c\r\n|" },
    { "no literals", SLICE_CONST("a X {}\r\nb {-1}\r\nc {1+\r\nd 1}\r\n"),
        "done:a X {}\r\n|done:b {-1}\r\n|done:c {1+\r\n|done:d 1}\r\n|" },
    { "zeros before", SLICE_CONST("a X {00000000000000000001}\r\nq\r\n"),
        "continue:a X {00000000000000000001}\r\n|done:a X {00000000000000000001}\r\nq\r\n|" },
    { "literal one over", SLICE_CONST("a X {21}\r\nb NOOP\r\n"),
        "too-big:a X {21}\r\n|done:b NOOP\r\n|" },
    { "literal of 2^64", SLICE_CONST("a X {18446744073709551616}\r\n"),
        "too-big:a X {18446744073709551616}\r\n|" },
    { "big literal+", SLICE_CONST("a X {100000000+}\r\nb NOOP\r\n"),
        "too-big:a X {100000000+}\r\n|" },
    { "frame one over", SLICE_CONST("a X {20+}\r\n01234567890123456789 {11+}\r\n"),
        "too-big:a X {20+}\r\n01234567890123456789 {11+}\r\n|" },
    { "too many literals", SLICE_CONST("a X {0+}\r\n {0+}\r\n {0+}\r\n {0+}\r\n"),
        "too-big:a X {0+}\r\n {0+}\r\n {0+}\r\n {0+}\r\n|" },
    { "bare LF", SLICE_CONST("a NOOP\nb NOOP\r\n"), "bad:a NOOP\n|done:b NOOP\r\n|" },
    { "bare CR", SLICE_CONST("a NO\rOP\r\nb NOOP\r\n"), "bad:a NO\rOP\r\n|done:b NOOP\r\n|" },
    { "CR CR LF", SLICE_CONST("a NOOP\r\r\n"), "bad:a NOOP\r\r\n|" },
    { "NUL", SLICE_CONST("a \0\r\n"), NULL },
    { "append",
        SLICE_CONST(
            "a APPEND x {50+}\r\n01234567890123456789012345678901234567890123456789\r\nb NOOP\r\n"),
        "body:a APPEND x {50+}\r\n|done:\r\n|done:b NOOP\r\n|" },
    { "append, name as literal",
        SLICE_CONST("a append {1}\r\nx (\\Seen) {3}\r\n123 {2+}\r\n12\r\n"),
        "continue:a append {1}\r\n|body:a append {1}\r\nx (\\Seen) {3}\r\n|body: "
        "{2+}\r\n|done:\r\n|" },
    { "append of nothing", SLICE_CONST("a APPEND x {0}\r\n\r\n"),
        "body:a APPEND x {0}\r\n|done:\r\n|" },
    { "line of 64",
        SLICE_CONST("a 012345678901234567890123456789012345678901234567890123456789\r\n"),
        "done:a 012345678901234567890123456789012345678901234567890123456789\r\n|" },
    { "line one over",
        SLICE_CONST("a 0123456789012345678901234567890123456789012345678901234567890\r\n"),
        "too-long" },
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf whole;
        buf_init(&whole, 0);
        tell(rows[i].stream, 0, &whole);
        if (rows[i].told && strcmp(rows[i].told, "too-long") == 0)
            assert_true(slice_starts(buf_slice(&whole), SLICE("too-long:")));
        else if (rows[i].told)
            assert_slice(rows[i].name, buf_slice(&whole), slice_of(rows[i].told));
        else
            assert_slice(rows[i].name, buf_slice(&whole), SLICE("bad:a \0\r\n|"));
        for (size_t split = 1; split < rows[i].stream.len; split++) {
            struct buf cut;
            buf_init(&cut, 0);
            tell(rows[i].stream, split, &cut);
            if (!rows[i].told || strcmp(rows[i].told, "too-long") != 0)
                assert_slice(rows[i].name, buf_slice(&cut), buf_slice(&whole));
            else
                assert_true(slice_starts(buf_slice(&cut), SLICE("too-long:")));
            buf_done(&cut);
        }
        buf_done(&whole);
    }
}

/* A line without an end is refused when it passes the limit, not when it ends. */
static void test_endless(void **state)
{
    (void)state;
    struct imap_framer f;
    imap_framer_init(&f, &limits);
    char line[80];
    memset(line, 'x', sizeof line);
    for (size_t len = 1; len <= 64; len++)
        assert_int_equal(imap_framer_feed(&f, slice_from(line, len)), IMAP_FRAME_MORE);
    assert_int_equal(imap_framer_feed(&f, slice_from(line, 65)), IMAP_FRAME_TOO_LONG);
}

TEST_MAIN(cmocka_unit_test(test_rows), cmocka_unit_test(test_endless))
