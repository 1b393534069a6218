#include "base/test.h"

#include "base/buf.h"

#include <string.h>

static void adds_and_consumes(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 0);
    assert_slice("empty", buf_slice(&buf), SLICE_EMPTY);
    buf_adds(&buf, "* ");
    buf_addu(&buf, 18446744073709551615u);
    buf_addc(&buf, ' ');
    buf_add(&buf, SLICE("EXISTS"));
    buf_addf(&buf, " %d%s", -5, "\r\n");
    buf_addu(&buf, 0);
    assert_ok(buf_err(&buf));
    assert_slice("all", buf_slice(&buf), SLICE("* 18446744073709551615 EXISTS -5\r\n0"));
    buf_consume(&buf, 2);
    assert_int_equal(buf_len(&buf), 33);
    buf_truncate(&buf, 20);
    assert_slice("cut at both ends", buf_slice(&buf), SLICE("18446744073709551615"));
    char *room = buf_room(&buf, 100);
    memcpy(room, "abc", 3);
    buf_wrote(&buf, 3);
    assert_slice("written", buf_slice(&buf), SLICE("18446744073709551615abc"));
    buf_consume(&buf, buf_len(&buf));
    assert_int_equal(buf_len(&buf), 0);
    buf_shrink(&buf);
    assert_null(buf.mem);
    buf_addc(&buf, 'x');
    buf_shrink(&buf); /* not empty: the byte stays */
    assert_slice("kept", buf_slice(&buf), SLICE("x"));
    buf_done(&buf);
}

static void quotes(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 0);
    buf_add_quoted(&buf, SLICE(""));
    buf_add_quoted(&buf, SLICE("plain"));
    buf_add_quoted(&buf, SLICE("\\a \"b\" \\"));
    buf_add_quoted(&buf, SLICE("\"\"\"\""));
    assert_slice(
        "all", buf_slice(&buf), SLICE("\"\"\"plain\"\"\\\\a \\\"b\\\" \\\\\"\"\\\"\\\"\\\"\\\"\""));
    buf_done(&buf);
    buf_init(&buf, 6);
    buf_add_quoted(&buf, SLICE("a\"c"));
    assert_ok(buf_err(&buf));
    buf_addc(&buf, 'x');
    assert_err(ERR_LIMIT, buf_err(&buf));
    buf_done(&buf);
}

/* A long formatted text does not fit the first guess. */
static void formats_long_texts(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 0);
    char text[5001];
    memset(text, 'y', 5000);
    text[5000] = '\0';
    buf_addf(&buf, "<%s>", text);
    assert_int_equal(buf_len(&buf), 5002);
    assert_int_equal(buf_slice(&buf).ptr[5001], '>');
    buf_done(&buf);
}

static void limit_holds(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 10);
    buf_adds(&buf, "0123456789");
    assert_ok(buf_err(&buf));
    buf_addc(&buf, 'x');
    assert_err(ERR_LIMIT, buf_err(&buf));
    assert_int_equal(buf_len(&buf), 10);
    buf_consume(&buf, 5);
    buf_addc(
        &buf, 'x'); /* stays over until it is cleared: what follows would have a hole before it */
    assert_err(ERR_LIMIT, buf_err(&buf));
    assert_int_equal(buf_len(&buf), 5);
    buf_clear(&buf);
    assert_ok(buf_err(&buf));
    assert_null(buf_room(&buf, 11));
    buf_clear(&buf);
    buf_addf(&buf, "%s", "0123456789");
    assert_ok(buf_err(&buf));
    buf_addf(&buf, "%d", 1);
    assert_err(ERR_LIMIT, buf_err(&buf));
    buf_done(&buf);
}

/* A stream that goes through: memory stays small, order stays. */
static void streams(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 4096);
    unsigned in = 0, out = 0;
    while (out < 200000) {
        while (buf_len(&buf) < 3000) {
            buf_addc(&buf, (char)(in % 251));
            in++;
        }
        size_t take = 1 + in * 7919u % 2500;
        struct slice s = buf_slice(&buf);
        for (size_t i = 0; i < take; i++, out++)
            assert_int_equal(slice_at(s, i), out % 251);
        buf_consume(&buf, take);
    }
    assert_ok(buf_err(&buf));
    assert_true(buf.cap <= 16384);
    buf_done(&buf);
}

TEST_MAIN(cmocka_unit_test(adds_and_consumes), cmocka_unit_test(quotes),
    cmocka_unit_test(formats_long_texts), cmocka_unit_test(limit_holds), cmocka_unit_test(streams))
