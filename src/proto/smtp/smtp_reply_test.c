/* Replies of SMTP servers, right and wrong ones. */
#include "proto/smtp/smtp_reply.h"

#include "base/test.h"

static void test_replies(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum err wanted;
        int code;
        bool last;
        const char *text;
    } rows[] = {
        { "250 2.1.0 fine", ERR_OK, 250, true, "2.1.0 fine" },
        { "250-SIZE 100", ERR_OK, 250, false, "SIZE 100" },
        { "220", ERR_OK, 220, true, "" },
        { "354 ", ERR_OK, 354, true, "" },
        { "250-", ERR_OK, 250, false, "" },
        { "599 x", ERR_OK, 599, true, "x" },
        { "600 x", ERR_SYNTAX, 0, false, "" },
        { "199 x", ERR_SYNTAX, 0, false, "" },
        { "25 x", ERR_SYNTAX, 0, false, "" },
        { "2500 x", ERR_SYNTAX, 0, false, "" },
        { "250x", ERR_SYNTAX, 0, false, "" },
        { "+OK", ERR_SYNTAX, 0, false, "" },
        { "* PREAUTH", ERR_SYNTAX, 0, false, "" },
        { "", ERR_SYNTAX, 0, false, "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct smtp_reply_line line = { .text = SLICE_EMPTY };
        enum err e = smtp_parse_reply(slice_of(rows[i].line), &line);
        if (e != rows[i].wanted || line.code != rows[i].code || line.last != rows[i].last)
            fail_msg("<%s>: %s %d", rows[i].line, err_name(e), line.code);
        assert_slice(rows[i].line, line.text, slice_of(rows[i].text));
    }
}

static void test_extensions(void **state)
{
    (void)state;
    struct slice rest;
    assert_int_equal(smtp_parse_extension(SLICE("size 52428800"), &rest), SMTP_EXTENSION_SIZE);
    assert_slice("size", rest, SLICE("52428800"));
    assert_int_equal(smtp_parse_extension(SLICE("AUTH PLAIN  LOGIN"), &rest), SMTP_EXTENSION_AUTH);
    assert_slice("mechanisms", rest, SLICE("PLAIN  LOGIN"));
    assert_int_equal(smtp_parse_extension(SLICE("AUTH=PLAIN"), &rest), SMTP_EXTENSION_OTHER);
    assert_int_equal(smtp_parse_extension(SLICE("STARTTLS"), &rest), SMTP_EXTENSION_STARTTLS);
    assert_int_equal(smtp_parse_extension(SLICE(""), &rest), SMTP_EXTENSION_OTHER);
}

static void test_xtext(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 0);
    smtp_write_xtext(SLICE("a+b=c d\r\n\xc3\xa9"), &out);
    assert_slice("xtext", buf_slice(&out), SLICE("a+2Bb+3Dc+20d+0D+0A+C3+A9"));
    buf_done(&out);
}

TEST_MAIN(
    cmocka_unit_test(test_replies), cmocka_unit_test(test_extensions), cmocka_unit_test(test_xtext))
