/* Command lines and their numbers. */
#include "proto/pop3/pop_parse.h"

#include "base/test.h"

static void verbs(void **state)
{
    (void)state;
    struct slice rest;
    assert_int_equal(pop_parse_verb(SLICE("pass a b  c"), &rest), POP_PASS);
    assert_slice("password", rest, SLICE("a b  c"));
    assert_int_equal(pop_parse_verb(SLICE("QUIT"), &rest), POP_QUIT);
    assert_int_equal(rest.len, 0);
    assert_int_equal(pop_parse_verb(SLICE("APOP x y"), &rest), POP_UNKNOWN);
    assert_int_equal(pop_parse_verb(SLICE(""), &rest), POP_UNKNOWN);
    assert_int_equal(pop_parse_verb(SLICE("RETR1"), &rest), POP_UNKNOWN);
}

static void numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err wanted;
        uint32_t number;
    } rows[] = {
        { "1", ERR_OK, 1 },
        { " 7 ", ERR_OK, 7 },
        { "4294967295", ERR_OK, 4294967295u },
        { "", ERR_NOT_FOUND, 0 },
        { "0", ERR_SYNTAX, 0 },
        { "-1", ERR_SYNTAX, 0 },
        { "4294967296", ERR_SYNTAX, 0 },
        { "1 2", ERR_SYNTAX, 0 },
        { "x", ERR_SYNTAX, 0 },
        { "99999999999999999999999", ERR_SYNTAX, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t number = 0;
        if (pop_parse_number(slice_of(rows[i].text), &number) != rows[i].wanted ||
            number != rows[i].number)
            fail_msg("%s", rows[i].text);
    }
    uint32_t number, lines;
    assert_ok(pop_parse_top(SLICE("3 0"), &number, &lines));
    assert_int_equal(number, 3);
    assert_int_equal(lines, 0);
    assert_ok(pop_parse_top(SLICE("1 4294967295"), &number, &lines));
    assert_err(ERR_SYNTAX, pop_parse_top(SLICE("3"), &number, &lines));
    assert_err(ERR_SYNTAX, pop_parse_top(SLICE("3 -1"), &number, &lines));
    assert_err(ERR_SYNTAX, pop_parse_top(SLICE("0 1"), &number, &lines));
}

static void languages(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err wanted;
        const char *range;
    } rows[] = {
        { "ar", ERR_OK, "ar" },
        { " en-GB ", ERR_OK, "en-GB" },
        { "zh-Hant-TW-x1", ERR_OK, "zh-Hant-TW-x1" },
        { "abcdefgh-abcd1234", ERR_OK, "abcdefgh-abcd1234" },
        { "*", ERR_OK, "*" },
        { "", ERR_NOT_FOUND, "" },
        { "  ", ERR_NOT_FOUND, "" },
        { "abcdefghi", ERR_SYNTAX, "" },
        { "ar-", ERR_SYNTAX, "" },
        { "-ar", ERR_SYNTAX, "" },
        { "ar--EG", ERR_SYNTAX, "" },
        { "a1", ERR_SYNTAX, "" },
        { "ar-*", ERR_SYNTAX, "" },
        { "ar en", ERR_SYNTAX, "" },
        { "عربي", ERR_SYNTAX, "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct slice range = SLICE_EMPTY;
        assert_err(rows[i].wanted, pop_parse_language(slice_of(rows[i].text), &range));
        assert_slice(rows[i].text, range, slice_of(rows[i].range));
    }
    struct slice rest;
    assert_int_equal(pop_parse_verb(SLICE("utf8"), &rest), POP_UTF8);
    assert_int_equal(pop_parse_verb(SLICE("Lang ar"), &rest), POP_LANG);
    assert_true(pop_verb_takes_nothing(POP_UTF8));
    assert_false(pop_verb_takes_nothing(POP_LIST));
}

TEST_MAIN(cmocka_unit_test(verbs), cmocka_unit_test(numbers), cmocka_unit_test(languages))
