/* Command lines: what is in the grammar is read, all else is refused. */
#include "proto/smtp/smtp_parse.h"

#include "base/test.h"

static void verbs(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum smtp_verb verb;
        const char *rest;
    } rows[] = {
        { "EHLO a.b", SMTP_EHLO, "a.b" },
        { "ehlo", SMTP_EHLO, "" },
        { "MAIL FROM:<>", SMTP_MAIL, "FROM:<>" },
        { "DATA", SMTP_DATA, "" },
        { "BDAT 5 LAST", SMTP_BDAT, "5 LAST" },
        { "EXPN x", SMTP_NOT_DONE, "x" },
        { "", SMTP_UNKNOWN, "" },
        { "MAILFROM", SMTP_UNKNOWN, "" },
        { " EHLO", SMTP_UNKNOWN, "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct slice rest;
        if (smtp_parse_verb(slice_of(rows[i].line), &rest) != rows[i].verb)
            fail_msg("%s", rows[i].line);
        assert_slice(rows[i].line, rest, slice_of(rows[i].rest));
    }
}

static void mail_arguments(void **state)
{
    (void)state;
    static const struct {
        const char *rest;
        enum err wanted;
        const char *address;
        uint64_t size;
    } rows[] = {
        { "FROM:<>", ERR_OK, "", 0 },
        { "from:<a.b+c@d.example> SIZE=12 BODY=8BITMIME", ERR_OK, "a.b+c@d.example", 12 },
        { "FROM: <a@b>", ERR_OK, "a@b", 0 },
        { "FROM:<\"a.b\"@c>", ERR_OK, "a.b@c", 0 },
        { "FROM:<a@[IPv6:::1]>", ERR_OK, "a@[IPv6:::1]", 0 },
        { "FROM:<\xd8\xb3@\xd8\xa8> SMTPUTF8", ERR_OK, "\xd8\xb3@\xd8\xa8", 0 },
        { "FROM:<\xd8\xb3@\xd8\xa8>", ERR_SYNTAX, NULL, 0 },
        { "FROM:<\xff@b> SMTPUTF8", ERR_SYNTAX, NULL, 0 },
        { "FROM:<\"\">", ERR_SYNTAX, NULL, 0 },
        { "FROM:<\"\"@x>", ERR_SYNTAX, NULL, 0 },
        { "FROM:<@a,@b:c@d>", ERR_SYNTAX, NULL, 0 },
        { "FROM:<\"a\nb\"@x>", ERR_SYNTAX, NULL, 0 },
        { "FROM:<\"a b\"@x>", ERR_SYNTAX, NULL, 0 },
        { "FROM:<a@b;cmd>", ERR_SYNTAX, NULL, 0 },
        { "FROM:<a..b@c>", ERR_SYNTAX, NULL, 0 },
        { "FROM:<.a@c>", ERR_SYNTAX, NULL, 0 },
        { "FROM:<a@>", ERR_SYNTAX, NULL, 0 },
        { "FROM:<a@-b>", ERR_SYNTAX, NULL, 0 },
        { "FROM:<a@b", ERR_SYNTAX, NULL, 0 },
        { "FROM:a@b", ERR_SYNTAX, NULL, 0 },
        { "FROM:<a@b>x", ERR_SYNTAX, NULL, 0 },
        { "FROM:<a@b> SIZE=x", ERR_SYNTAX, NULL, 0 },
        { "FROM:<a@b> ENVID=QQ", ERR_NOT_FOUND, NULL, 0 },
        { "FROM:<a@b> AUTH=a+0Ab", ERR_SYNTAX, NULL, 0 },
        { "FROM:<a@b> AUTH=a+40b", ERR_OK, "a@b", 0 },
        { "TO:<a@b>", ERR_SYNTAX, NULL, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct smtp_mail mail, again;
        enum err e = smtp_parse_mail(slice_of(rows[i].rest), &mail);
        if (e != rows[i].wanted)
            fail_msg("%s: %s", rows[i].rest, err_name(e));
        if (e != ERR_OK)
            continue;
        assert_string_equal(mail.path.address, rows[i].address);
        assert_int_equal(mail.size, rows[i].size);
        struct buf out;
        buf_init(&out, 0);
        smtp_write_mail(&mail, &out);
        assert_ok(smtp_parse_mail(buf_slice(&out), &again));
        assert_string_equal(again.path.address, mail.path.address);
        assert_int_equal(again.body_8bit, mail.body_8bit);
        buf_done(&out);
    }
}

static void long_addresses(void **state)
{
    (void)state;
    char line[700];
    for (int len = 300; len < 340; len++) {
        (void)snprintf(line, sizeof line, "TO:<%0*d@b>", len, 1);
        struct smtp_path path;
        assert_err(len + 2 > (int)USER_NAME_BYTES_MAX ? ERR_LIMIT : ERR_OK,
            smtp_parse_rcpt(slice_of(line), &path) == ERR_OK ? ERR_OK : ERR_LIMIT);
    }
}

static void recipients_and_chunks(void **state)
{
    (void)state;
    struct smtp_path path;
    assert_ok(smtp_parse_rcpt(SLICE("TO:<Postmaster>"), &path));
    assert_err(ERR_SYNTAX, smtp_parse_rcpt(SLICE("TO:<other>"), &path));
    assert_err(ERR_SYNTAX, smtp_parse_rcpt(SLICE("TO:<>"), &path));
    assert_err(ERR_NOT_FOUND, smtp_parse_rcpt(SLICE("TO:<a@b> ORCPT=x"), &path));
    uint64_t bytes;
    bool last;
    assert_ok(smtp_parse_bdat(SLICE("0 LAST"), &bytes, &last));
    assert_true(last);
    assert_ok(smtp_parse_bdat(SLICE("17"), &bytes, &last));
    assert_false(last);
    assert_int_equal(bytes, 17);
    assert_err(ERR_LIMIT, smtp_parse_bdat(SLICE("9223372036854775808"), &bytes, &last));
    assert_err(ERR_SYNTAX, smtp_parse_bdat(SLICE("-1"), &bytes, &last));
    assert_err(ERR_SYNTAX, smtp_parse_bdat(SLICE("1 MORE"), &bytes, &last));
    assert_err(ERR_SYNTAX, smtp_parse_bdat(SLICE(""), &bytes, &last));
    assert_true(smtp_name_ok(SLICE("a.example")));
    assert_true(smtp_name_ok(SLICE("[127.0.0.1]")));
    assert_false(smtp_name_ok(SLICE("a b")));
    assert_false(smtp_name_ok(SLICE("")));
    assert_false(smtp_name_ok(SLICE("a(b)")));
    assert_false(smtp_name_ok(SLICE("[x")));
}

TEST_MAIN(cmocka_unit_test(verbs), cmocka_unit_test(mail_arguments),
    cmocka_unit_test(long_addresses), cmocka_unit_test(recipients_and_chunks))
