/* PLAIN: a table of messages, and writing what was read. */
#include "base/test.h"

#include "proto/sasl/sasl.h"

#include <string.h>

static const struct row {
    const char *name;
    struct slice message;
    enum err wanted;
    struct slice authzid, authcid, password;
} rows[] = {
    { "usual", SLICE_CONST("\0omar\0secret"), ERR_OK, SLICE_CONST(""), SLICE_CONST("omar"),
        SLICE_CONST("secret") },
    { "authzid", SLICE_CONST("a\0b\0c"), ERR_OK, SLICE_CONST("a"), SLICE_CONST("b"),
        SLICE_CONST("c") },
    { "arabic", SLICE_CONST("\0سلمى\0سرّ"), ERR_OK, SLICE_CONST(""), SLICE_CONST("سلمى"),
        SLICE_CONST("سرّ") },
    { "empty", SLICE_CONST(""), ERR_SYNTAX, SLICE_CONST(""), SLICE_CONST(""), SLICE_CONST("") },
    { "one NUL", SLICE_CONST("omar\0secret"), ERR_SYNTAX, SLICE_CONST(""), SLICE_CONST(""),
        SLICE_CONST("") },
    { "three NULs", SLICE_CONST("\0omar\0sec\0ret"), ERR_SYNTAX, SLICE_CONST(""), SLICE_CONST(""),
        SLICE_CONST("") },
    { "no user", SLICE_CONST("\0\0secret"), ERR_SYNTAX, SLICE_CONST(""), SLICE_CONST(""),
        SLICE_CONST("") },
    { "no password", SLICE_CONST("\0omar\0"), ERR_SYNTAX, SLICE_CONST(""), SLICE_CONST(""),
        SLICE_CONST("") },
    { "only NULs", SLICE_CONST("\0\0"), ERR_SYNTAX, SLICE_CONST(""), SLICE_CONST(""),
        SLICE_CONST("") },
    { "no UTF-8", SLICE_CONST("\0om\xff\0x"), ERR_SYNTAX, SLICE_CONST(""), SLICE_CONST(""),
        SLICE_CONST("") },
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sasl_plain plain;
        enum err e = sasl_plain_parse(rows[i].message, &plain);
        if (e != rows[i].wanted)
            fail_msg("%s: %s", rows[i].name, err_name(e));
        if (e)
            continue;
        assert_slice(rows[i].name, plain.authzid, rows[i].authzid);
        assert_slice(rows[i].name, plain.authcid, rows[i].authcid);
        assert_slice(rows[i].name, plain.password, rows[i].password);
        struct buf again;
        buf_init(&again, 0);
        sasl_plain_write(&plain, &again);
        assert_slice(rows[i].name, buf_slice(&again), rows[i].message);
        sasl_buf_wipe(&again);
    }
}

static void test_limits(void **state)
{
    (void)state;
    static char text[USER_NAME_BYTES_MAX + PASSWORD_BYTES_MAX + 8];
    struct sasl_plain plain;
    for (size_t user_over = 0; user_over < 2; user_over++) {
        for (size_t password_over = 0; password_over < 2; password_over++) {
            size_t user = USER_NAME_BYTES_MAX + user_over,
                   password = PASSWORD_BYTES_MAX + password_over;
            memset(text, 'x', sizeof text);
            text[0] = text[1 + user] = '\0';
            assert_err(user_over || password_over ? ERR_LIMIT : ERR_OK,
                sasl_plain_parse(slice_from(text, 2 + user + password), &plain));
        }
    }
}

TEST_MAIN(cmocka_unit_test(test_rows), cmocka_unit_test(test_limits))
