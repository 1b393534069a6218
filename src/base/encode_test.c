#include "base/test.h"

#include "base/encode.h"

#include <stdlib.h>

static void base64_rows(void **state)
{
    (void)state;
    static const struct {
        const char *row, *text;
        enum err err;
        const char *bytes;
    } rows[] = {
        /* RFC 4648 §10 */
        { "nothing", "", ERR_OK, "" },
        { "f", "Zg==", ERR_OK, "f" },
        { "fo", "Zm8=", ERR_OK, "fo" },
        { "foo", "Zm9v", ERR_OK, "foo" },
        { "foob", "Zm9vYg==", ERR_OK, "foob" },
        { "fooba", "Zm9vYmE=", ERR_OK, "fooba" },
        { "foobar", "Zm9vYmFy", ERR_OK, "foobar" },
        { "plus and slash", "+/+/", ERR_OK, "\xFB\xFF\xBF" },
        { "no padding", "Zg", ERR_SYNTAX, "" },
        { "half padding", "Zg=", ERR_SYNTAX, "" },
        { "only padding", "====", ERR_SYNTAX, "" },
        { "one digit", "Z===", ERR_SYNTAX, "" },
        { "spare bits", "Zh==", ERR_SYNTAX, "" },
        { "spare bits of two", "Zm9=", ERR_SYNTAX, "" },
        { "text after the padding", "Zg==Zg==", ERR_SYNTAX, "" },
        { "padding inside", "Zg=vZm9v", ERR_SYNTAX, "" },
        { "blank", "Zm 9v", ERR_SYNTAX, "" },
        { "line end", "Zm9v\r\n", ERR_SYNTAX, "" },
        { "URL alphabet", "-_-_", ERR_SYNTAX, "" },
        { "8-bit", "Zm9\xFF", ERR_SYNTAX, "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out;
        buf_init(&out, 0);
        enum err e = base64_decode(&out, slice_of(rows[i].text));
        if (e != rows[i].err)
            fail_msg("%s: %s", rows[i].row, err_name(e));
        if (e == ERR_OK) {
            assert_slice(rows[i].row, buf_slice(&out), slice_of(rows[i].bytes));
            buf_clear(&out);
            base64_encode(&out, slice_of(rows[i].bytes));
            assert_slice(rows[i].row, buf_slice(&out), slice_of(rows[i].text));
        }
        buf_done(&out);
    }
}

static void any_bytes_come_back(void **state)
{
    (void)state;
    srand(10);
    for (size_t len = 0; len < 300; len++) {
        char bytes[300];
        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)rand();
        struct buf text, again;
        buf_init(&text, 0);
        buf_init(&again, 0);
        base64_encode(&text, slice_from(bytes, len));
        assert_int_equal(buf_len(&text), (len + 2) / 3 * 4);
        assert_ok(base64_decode(&again, buf_slice(&text)));
        assert_slice("base64", buf_slice(&again), slice_from(bytes, len));

        buf_clear(&text);
        hex_encode(&text, slice_from(bytes, len));
        assert_int_equal(buf_len(&text), 2 * len);
        char decoded[300];
        assert_ok(hex_decode(buf_slice(&text), decoded, len));
        assert_slice("hex", slice_from(decoded, len), slice_from(bytes, len));
        buf_done(&text);
        buf_done(&again);
    }
}

static void hex_refuses(void **state)
{
    (void)state;
    char out[2];
    assert_ok(hex_decode(SLICE("0aFf"), out, 2));
    assert_int_equal((unsigned char)out[1], 0xFF);
    assert_err(ERR_SYNTAX, hex_decode(SLICE("0aF"), out, 2));
    assert_err(ERR_SYNTAX, hex_decode(SLICE("0aFf0"), out, 2));
    assert_err(ERR_SYNTAX, hex_decode(SLICE("0aFg"), out, 2));
    assert_err(ERR_SYNTAX, hex_decode(SLICE(""), out, 2));
}

static void output_limit(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 2);
    (void)!base64_decode(&out, SLICE("Zm9v"));
    assert_err(ERR_LIMIT, buf_err(&out));
    buf_done(&out);
}

TEST_MAIN(cmocka_unit_test(base64_rows), cmocka_unit_test(any_bytes_come_back),
    cmocka_unit_test(hex_refuses), cmocka_unit_test(output_limit))
