/* Replies of POP3 servers, right and wrong ones. */
#include "proto/pop3/pop_reply.h"

#include "base/test.h"

#include <string.h>

static void test_replies(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum err wanted;
        enum pop_status status;
        enum pop_code code;
        const char *text;
    } rows[] = {
        { "+OK", ERR_OK, POP_STATUS_OK, POP_CODE_NONE, "" },
        { "+OK ready ", ERR_OK, POP_STATUS_OK, POP_CODE_NONE, "ready" },
        { "+ok", ERR_OK, POP_STATUS_OK, POP_CODE_NONE, "" },
        { "+OK [IN-USE] no", ERR_OK, POP_STATUS_OK, POP_CODE_NONE, "[IN-USE] no" },
        { "-ERR [IN-USE] Locked", ERR_OK, POP_STATUS_ERR, POP_CODE_IN_USE, "Locked" },
        { "-ERR [in-use]", ERR_OK, POP_STATUS_ERR, POP_CODE_IN_USE, "" },
        { "-ERR [LOGIN-DELAY] wait", ERR_OK, POP_STATUS_ERR, POP_CODE_LOGIN_DELAY, "wait" },
        { "-ERR [AUTH] no", ERR_OK, POP_STATUS_ERR, POP_CODE_AUTH, "no" },
        { "-ERR [SYS/TEMP] no", ERR_OK, POP_STATUS_ERR, POP_CODE_SYS_TEMP, "no" },
        { "-ERR [SYS/PERM] no", ERR_OK, POP_STATUS_ERR, POP_CODE_SYS_PERM, "no" },
        { "-ERR [UTF8] no", ERR_OK, POP_STATUS_ERR, POP_CODE_UTF8, "no" },
        { "-ERR [NEW/CODE] no", ERR_OK, POP_STATUS_ERR, POP_CODE_OTHER, "no" },
        { "-ERR [IN-USE no", ERR_OK, POP_STATUS_ERR, POP_CODE_NONE, "[IN-USE no" },
        { "-ERR no [IN-USE]", ERR_OK, POP_STATUS_ERR, POP_CODE_NONE, "no [IN-USE]" },
        { "-ERR", ERR_OK, POP_STATUS_ERR, POP_CODE_NONE, "" },
        { "+ cj0x", ERR_OK, POP_STATUS_CONTINUE, POP_CODE_NONE, "cj0x" },
        { "+ ", ERR_OK, POP_STATUS_CONTINUE, POP_CODE_NONE, "" },
        { "+", ERR_OK, POP_STATUS_CONTINUE, POP_CODE_NONE, "" },
        { "", ERR_SYNTAX, 0, 0, "" },
        { "+OKAY", ERR_SYNTAX, 0, 0, "" },
        { "-ERROR", ERR_SYNTAX, 0, 0, "" },
        { "* OK IMAP4rev1", ERR_SYNTAX, 0, 0, "" },
        { "220 smtp", ERR_SYNTAX, 0, 0, "" },
        { " +OK", ERR_SYNTAX, 0, 0, "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pop_reply reply = { .text = SLICE_EMPTY };
        enum err e = pop_parse_reply(slice_of(rows[i].line), &reply);
        if (e != rows[i].wanted || reply.status != rows[i].status || reply.code != rows[i].code)
            fail_msg(
                "<%s>: %s %d %d", rows[i].line, err_name(e), (int)reply.status, (int)reply.code);
        assert_slice(rows[i].line, reply.text, slice_of(rows[i].text));
    }
}

static void test_capabilities(void **state)
{
    (void)state;
    struct slice rest;
    assert_int_equal(pop_parse_capability(SLICE("STLS"), &rest), POP_CAPABILITY_STLS);
    assert_int_equal(
        pop_parse_capability(SLICE("sasl PLAIN SCRAM-SHA-256 "), &rest), POP_CAPABILITY_SASL);
    assert_slice("mechanisms", rest, SLICE("PLAIN SCRAM-SHA-256"));
    assert_int_equal(pop_parse_capability(SLICE("PIPELINING"), &rest), POP_CAPABILITY_PIPELINING);
    assert_int_equal(pop_parse_capability(SLICE("UTF8 USER"), &rest), POP_CAPABILITY_UTF8);
    assert_int_equal(pop_parse_capability(SLICE("STLSX"), &rest), POP_CAPABILITY_OTHER);
    assert_int_equal(pop_parse_capability(SLICE(""), &rest), POP_CAPABILITY_OTHER);
}

static void test_lists(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum err wanted;
        uint32_t number;
        uint64_t bytes;
    } rows[] = {
        { "1 120", ERR_OK, 1, 120 },
        { "4294967295 9223372036854775807", ERR_OK, UINT32_MAX, INT64_MAX },
        { "2 200 more", ERR_OK, 2, 200 },
        { "3 0", ERR_OK, 3, 0 },
        { "0 1", ERR_SYNTAX, 0, 0 },
        { "4294967296 1", ERR_SYNTAX, 0, 0 },
        { "1 9223372036854775808", ERR_SYNTAX, 0, 0 },
        { "1", ERR_SYNTAX, 0, 0 },
        { "1 ", ERR_SYNTAX, 0, 0 },
        { "1  5", ERR_SYNTAX, 0, 0 },
        { "-1 5", ERR_SYNTAX, 0, 0 },
        { "1 -5", ERR_SYNTAX, 0, 0 },
        { "", ERR_SYNTAX, 0, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t number = 0;
        uint64_t bytes = 0;
        enum err e = pop_parse_list(slice_of(rows[i].line), &number, &bytes);
        if (e != rows[i].wanted || number != rows[i].number || bytes != rows[i].bytes)
            fail_msg("<%s>: %s", rows[i].line, err_name(e));
    }
}

static void test_uidls(void **state)
{
    (void)state;
    char line[300];
    uint32_t number = 0;
    struct slice uidl = SLICE_EMPTY;
    assert_ok(pop_parse_uidl(SLICE("7 !~abc"), &number, &uidl));
    assert_int_equal(number, 7);
    assert_slice("uidl", uidl, SLICE("!~abc"));
    assert_err(ERR_SYNTAX, pop_parse_uidl(SLICE("7"), &number, &uidl));
    assert_err(ERR_SYNTAX, pop_parse_uidl(SLICE("8 "), &number, &uidl));
    assert_int_equal(number, 8);
    assert_err(ERR_SYNTAX, pop_parse_uidl(SLICE("8 a b"), &number, &uidl));
    assert_err(ERR_SYNTAX, pop_parse_uidl(SLICE("8 \xc3\xa9"), &number, &uidl));
    assert_err(ERR_SYNTAX, pop_parse_uidl(SLICE("x a"), &number, &uidl));
    assert_int_equal(number, 0);
    memset(line, 'u', sizeof line);
    memcpy(line, "9 ", 2);
    assert_ok(pop_parse_uidl(slice_from(line, 2 + POP_UIDL_BYTES_MAX), &number, &uidl));
    assert_err(ERR_LIMIT, pop_parse_uidl(slice_from(line, 3 + POP_UIDL_BYTES_MAX), &number, &uidl));
    assert_int_equal(number, 9);
}

TEST_MAIN(cmocka_unit_test(test_replies), cmocka_unit_test(test_capabilities),
    cmocka_unit_test(test_lists), cmocka_unit_test(test_uidls))
