#include "base/test.h"

#include "base/utf8.h"

static void rows_of_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *row, *bytes;
        size_t len;
        uint32_t c;
    } rows[] = {
        { "ASCII", "a", 1, 'a' },
        { "Arabic", "\xD8\xA8", 2, 0x628 },
        { "first of two", "\xC2\x80", 2, 0x80 },
        { "first of three", "\xE0\xA0\x80", 3, 0x800 },
        { "before the surrogates", "\xED\x9F\xBF", 3, 0xD7FF },
        { "after the surrogates", "\xEE\x80\x80", 3, 0xE000 },
        { "first of four", "\xF0\x90\x80\x80", 4, 0x10000 },
        { "last", "\xF4\x8F\xBF\xBF", 4, 0x10FFFF },
        { "past the last", "\xF4\x90\x80\x80", 0, 0 },
        { "surrogate", "\xED\xA0\x80", 0, 0 },
        { "overlong two", "\xC0\xAF", 0, 0 },
        { "overlong two, C1", "\xC1\xBF", 0, 0 },
        { "overlong three", "\xE0\x9F\xBF", 0, 0 },
        { "overlong four", "\xF0\x8F\xBF\xBF", 0, 0 },
        { "continuation alone", "\x80", 0, 0 },
        { "cut two", "\xD8", 0, 0 },
        { "cut three", "\xE0\xA0", 0, 0 },
        { "cut four", "\xF0\x90\x80", 0, 0 },
        { "bad second", "\xE0\x41\x80", 0, 0 },
        { "bad third", "\xE1\x80\x41", 0, 0 },
        { "F5", "\xF5\x80\x80\x80", 0, 0 },
        { "FF", "\xFF", 0, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t c = 7;
        size_t len = utf8_decode(slice_of(rows[i].bytes), 0, &c);
        if (len != rows[i].len || (len && c != rows[i].c))
            fail_msg("%s: length %zu, character %X", rows[i].row, len, c);
        if (utf8_valid(slice_of(rows[i].bytes)) != (rows[i].len != 0))
            fail_msg("%s: validity", rows[i].row);
    }
    uint32_t c;
    assert_int_equal(utf8_decode(SLICE("a"), 1, &c), 0);
    assert_int_equal(utf8_decode(SLICE("a"), 9, &c), 0);
    assert_true(utf8_valid(SLICE_EMPTY));
    assert_true(slice_is_ascii(SLICE("a\x7F")));
    assert_false(slice_is_ascii(SLICE("abcdefgh\x80")));
    assert_true(slice_is_ascii(SLICE_EMPTY));
}

static void every_character_comes_back(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        if (c == 0xD800)
            c = 0xE000;
        char bytes[4];
        size_t len = utf8_encode(c, bytes);
        uint32_t again = ~c;
        if (utf8_decode(slice_from(bytes, len), 0, &again) != len || again != c)
            fail_msg("U+%04X: %zu bytes, then U+%04X", c, len, again);
        if (len > 1 && utf8_decode(slice_from(bytes, len - 1), 0, &again) != 0)
            fail_msg("U+%04X cut", c);
    }
}

/* Of all three-byte strings, as many are one character as there are scalar values in U+0800 .. U+FFFF. */
static void strict(void **state)
{
    (void)state;
    size_t good = 0;
    for (unsigned a = 0xE0; a <= 0xEF; a++)
        for (unsigned b = 0; b < 256; b++)
            for (unsigned d = 0; d < 256; d++) {
                char bytes[3] = { (char)a, (char)b, (char)d };
                uint32_t c;
                good += utf8_decode(slice_from(bytes, 3), 0, &c) == 3;
            }
    assert_int_equal(good, 0x10000 - 0x800 - 0x800);
}

TEST_MAIN(cmocka_unit_test(rows_of_bytes), cmocka_unit_test(every_character_comes_back),
    cmocka_unit_test(strict))
