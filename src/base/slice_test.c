#include "base/test.h"

#include "base/arena.h"
#include "base/slice.h"

#include <string.h>

static void compares(void **state)
{
    (void)state;
    static const struct {
        const char *row, *a, *b;
        bool eq, eq_nocase, starts, starts_nocase, ends_nocase;
        int cmp, cmp_nocase;
    } rows[] = {
        { "both empty", "", "", true, true, true, true, true, 0, 0 },
        { "b empty", "a", "", false, false, true, true, true, 1, 1 },
        { "a empty", "", "a", false, false, false, false, false, -1, -1 },
        { "same", "INBOX", "INBOX", true, true, true, true, true, 0, 0 },
        { "case differs", "Inbox", "INBOX", false, true, false, true, true, 1, 0 },
        { "prefix", "INBOX/a", "inbox", false, false, false, true, false, -1, 1 },
        { "suffix", "x.EML", ".eml", false, false, false, false, true, 1, 1 },
        { "only ASCII folds", "\xC3\x89", "\xC3\xA9", false, false, false, false, false, -1, -1 },
        { "bytes are unsigned", "\xFF", "a", false, false, false, false, false, 1, 1 },
        { "neighbours of letters do not fold", "@[`{", "`{@[", false, false, false, false, false,
            -1, -1 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct slice a = slice_of(rows[i].a), b = slice_of(rows[i].b);
        int cmp = slice_cmp(a, b), cmp_nocase = slice_cmp_nocase(a, b);
        if (slice_eq(a, b) != rows[i].eq || slice_eq_nocase(a, b) != rows[i].eq_nocase)
            fail_msg("%s: equality", rows[i].row);
        if (slice_starts(a, b) != rows[i].starts ||
            slice_starts_nocase(a, b) != rows[i].starts_nocase ||
            slice_ends_nocase(a, b) != rows[i].ends_nocase)
            fail_msg("%s: prefix or suffix", rows[i].row);
        if ((cmp > 0) - (cmp < 0) != rows[i].cmp ||
            (cmp_nocase > 0) - (cmp_nocase < 0) != rows[i].cmp_nocase)
            fail_msg("%s: order %d %d", rows[i].row, cmp, cmp_nocase);
        if ((slice_cmp(b, a) > 0) != (cmp < 0))
            fail_msg("%s: order is not antisymmetric", rows[i].row);
    }
    assert_true(slice_eq(slice_of(NULL), SLICE_EMPTY));
}

static void finds(void **state)
{
    (void)state;
    struct slice s = SLICE("Received: from a\r\n by b");
    assert_int_equal(slice_index(s, ':'), 8);
    assert_int_equal(slice_index(s, '!'), s.len);
    assert_int_equal(slice_find(s, SLICE("\r\n")), 16);
    assert_int_equal(slice_find(s, SLICE("by b")), s.len - 4);
    assert_int_equal(slice_find(s, SLICE("received")), SIZE_MAX);
    assert_int_equal(slice_find_nocase(s, SLICE("rECEIVED")), 0);
    assert_int_equal(slice_find_nocase(s, SLICE("BY B")), s.len - 4);
    assert_int_equal(slice_find_nocase(s, SLICE("by bb")), SIZE_MAX);
    assert_int_equal(slice_find(s, SLICE_EMPTY), 0);
    assert_int_equal(slice_find(SLICE_EMPTY, SLICE("a")), SIZE_MAX);
    /* a needle that begins again inside itself */
    assert_int_equal(slice_find(SLICE("aaab"), SLICE("aab")), 1);
    assert_int_equal(slice_find_nocase(SLICE("aAab"), SLICE("AAB")), 1);
}

static void cuts(void **state)
{
    (void)state;
    struct slice s = SLICE("abcdef");
    assert_slice("middle", slice_sub(s, 2, 3), SLICE("cde"));
    assert_slice("clipped at the end", slice_sub(s, 4, SIZE_MAX), SLICE("ef"));
    assert_slice("from past the end", slice_sub(s, 7, 1), SLICE_EMPTY);
    assert_slice("rest", slice_from_index(s, 4), SLICE("ef"));
    assert_slice("rest past the end", slice_from_index(s, 99), SLICE_EMPTY);
    assert_slice("trim", slice_trim(SLICE(" \t\r\n a b \n")), SLICE("a b"));
    assert_slice("trim all", slice_trim(SLICE(" \t")), SLICE_EMPTY);

    struct slice rest = SLICE("a,,b"), head = SLICE_EMPTY;
    assert_true(slice_cut(&rest, ',', &head));
    assert_slice("first", head, SLICE("a"));
    assert_true(slice_cut(&rest, ',', &head));
    assert_slice("empty one", head, SLICE_EMPTY);
    assert_true(slice_cut(&rest, ',', &head));
    assert_slice("last", head, SLICE("b"));
    assert_false(slice_cut(&rest, ',', &head));
}

static void numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t max;
        enum err err;
        uint64_t number;
    } rows[] = {
        { "0", 0, ERR_OK, 0 }, { "7", 10, ERR_OK, 7 }, { "10", 10, ERR_OK, 10 },
        { "11", 10, ERR_LIMIT, 0 }, { "4294967295", UINT32_MAX, ERR_OK, UINT32_MAX },
        { "4294967296", UINT32_MAX, ERR_LIMIT, 0 },
        { "18446744073709551615", UINT64_MAX, ERR_OK, UINT64_MAX },
        { "18446744073709551616", UINT64_MAX, ERR_LIMIT, 0 },
        { "99999999999999999999", UINT64_MAX, ERR_LIMIT, 0 },
        { "00000000000000000001", 10, ERR_OK, 1 },
        { "000000000000000000001", 10, ERR_LIMIT, 0 }, /* 21 digits */
        { "", 10, ERR_SYNTAX, 0 }, { "-1", 10, ERR_SYNTAX, 0 }, { "+1", 10, ERR_SYNTAX, 0 },
        { " 1", 10, ERR_SYNTAX, 0 }, { "1 ", 10, ERR_SYNTAX, 0 }, { "1a", 10, ERR_SYNTAX, 0 },
        { "0x1", 10, ERR_SYNTAX, 0 }, { "\xD9\xA1", 10, ERR_SYNTAX, 0 }, /* an Arabic digit */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t number = 77;
        enum err e = slice_to_u64(slice_of(rows[i].text), rows[i].max, &number);
        if (e != rows[i].err)
            fail_msg("\"%s\": %s", rows[i].text, err_name(e));
        if (number != (e == ERR_OK ? rows[i].number : 77))
            fail_msg("\"%s\": the number is %llu", rows[i].text, (unsigned long long)number);
    }
}

static void sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t max;
        enum err err;
        uint64_t bytes;
    } rows[] = {
        { "0", 10, ERR_OK, 0 },
        { "500", 500, ERR_OK, 500 },
        { "501", 500, ERR_LIMIT, 0 },
        { "1K", 1024, ERR_OK, 1024 },
        { "1k", 1023, ERR_LIMIT, 0 },
        { "2m", UINT64_MAX, ERR_OK, 2u << 20 },
        { "3G", UINT64_MAX, ERR_OK, 3ull << 30 },
        { "16777215T", UINT64_MAX, ERR_OK, 16777215ull << 40 },
        { "16777216T", UINT64_MAX, ERR_LIMIT, 0 },
        { "", 10, ERR_SYNTAX, 0 },
        { "K", 10, ERR_SYNTAX, 0 },
        { "1KB", UINT64_MAX, ERR_SYNTAX, 0 },
        { "1 K", UINT64_MAX, ERR_SYNTAX, 0 },
        { "-1K", UINT64_MAX, ERR_SYNTAX, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t bytes = 77;
        enum err e = slice_to_size(slice_of(rows[i].text), rows[i].max, &bytes);
        if (e != rows[i].err || bytes != (e == ERR_OK ? rows[i].bytes : 77))
            fail_msg("\"%s\": %s, %llu", rows[i].text, err_name(e), (unsigned long long)bytes);
    }
}

static void copies(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 4096);
    char text[] = "hello";
    struct slice dup = slice_dup(&arena, slice_from(text, 5));
    char *cstr = slice_cstr(&arena, slice_from(text, 4));
    memset(text, 'x', 5);
    assert_slice("dup", dup, SLICE("hello"));
    assert_string_equal(cstr, "hell");
    assert_non_null(slice_dup(&arena, SLICE_EMPTY).ptr);
    assert_null(slice_dup(&arena, slice_from(text, 1 << 20)).ptr);
    assert_null(slice_cstr(&arena, slice_from(text, 1 << 20)));
    arena_done(&arena);
}

TEST_MAIN(cmocka_unit_test(compares), cmocka_unit_test(finds), cmocka_unit_test(cuts),
    cmocka_unit_test(numbers), cmocka_unit_test(sizes), cmocka_unit_test(copies))
