/* Sizes, switches and lines of a list of users. */
#include "bin/user_input.h"

#include "base/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err wanted;
        uint64_t bytes;
    } rows[] = {
        { "0", ERR_OK, 0 },
        { "none", ERR_OK, 0 },
        { "1024", ERR_OK, 1024 },
        { "500M", ERR_OK, 500u << 20 },
        { "2g", ERR_OK, 2ull << 30 },
        { "1T", ERR_OK, 1ull << 40 },
        { "8388607T", ERR_OK, 8388607ull << 40 },
        { "8388608T", ERR_LIMIT, 0 },
        { "9223372036854775807", ERR_OK, INT64_MAX },
        { "9223372036854775808", ERR_LIMIT, 0 },
        { "", ERR_SYNTAX, 0 },
        { "M", ERR_SYNTAX, 0 },
        { "5X", ERR_SYNTAX, 0 },
        { "-1", ERR_SYNTAX, 0 },
        { "1.5G", ERR_SYNTAX, 0 },
        { "5 M", ERR_SYNTAX, 0 },
        { "5MM", ERR_SYNTAX, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t bytes = 0;
        enum err e = user_parse_size(slice_of(rows[i].text), &bytes);
        if (e != rows[i].wanted || bytes != rows[i].bytes)
            fail_msg("%s: %s %llu", rows[i].text, err_name(e), (unsigned long long)bytes);
    }
}

static void test_switches(void **state)
{
    (void)state;
    static char words[][20] = { "--imap", "off", "--pop", "on", "--quota", "2G", "--quota-messages",
        "7", "--pop3", "OFF", "--submission", "on", "--yes", "--password-file", "-" };
    char *argv[15];
    for (size_t i = 0; i < 15; i++)
        argv[i] = words[i];
    struct user_switches switches = { 0 };
    for (int at = 0; at < 15;)
        assert_ok(user_parse_switch(15, argv, &at, &switches));
    unsigned services = USER_IMAP | USER_POP3;
    uint64_t bytes = 1, messages = 2;
    user_apply_switches(&switches, &services, &bytes, &messages);
    assert_int_equal(services, USER_SUBMISSION);
    assert_int_equal(bytes, 2ull << 30);
    assert_int_equal(messages, 7);
    assert_true(switches.yes);
    assert_string_equal(switches.password_file, "-");
    /* what is not named stays */
    struct user_switches none = { 0 };
    user_apply_switches(&none, &services, &bytes, &messages);
    assert_int_equal(services, USER_SUBMISSION);
    assert_int_equal(messages, 7);
}

static const struct row {
    const char *name;
    struct slice line;
    enum user_line_kind wanted;
    struct slice address, password, hash;
} rows[] = {
    { "usual", SLICE_CONST("a@b.test:secret"), USER_LINE_USER, SLICE_CONST("a@b.test"),
        SLICE_CONST("secret"), SLICE_CONST("") },
    { "CR", SLICE_CONST("a@b.test:secret\r"), USER_LINE_USER, SLICE_CONST("a@b.test"),
        SLICE_CONST("secret"), SLICE_CONST("") },
    { "colons and blanks in the password", SLICE_CONST("a@b.test: a:b "), USER_LINE_USER,
        SLICE_CONST("a@b.test"), SLICE_CONST(" a:b "), SLICE_CONST("") },
    { "tabs", SLICE_CONST("a@b.test\t\tsecret"), USER_LINE_USER, SLICE_CONST("a@b.test"),
        SLICE_CONST("secret"), SLICE_CONST("") },
    { "hash", SLICE_CONST("a@b.test:{CRYPT}$6$s$x"), USER_LINE_USER, SLICE_CONST("a@b.test"),
        SLICE_CONST(""), SLICE_CONST("{CRYPT}$6$s$x") },
    { "passwd file", SLICE_CONST("a@b.test:{SHA512-CRYPT}$6$s$x:1000:1000::/home/a::"),
        USER_LINE_USER, SLICE_CONST("a@b.test"), SLICE_CONST(""),
        SLICE_CONST("{SHA512-CRYPT}$6$s$x") },
    { "shadow file",
        SLICE_CONST("a@b.test:$6$saltstring$svn8UoSVapNtMuq1ukKS4t:19000:0:99999:7:::"),
        USER_LINE_USER, SLICE_CONST("a@b.test"), SLICE_CONST(""),
        SLICE_CONST("$6$saltstring$svn8UoSVapNtMuq1ukKS4t") },
    { "a dollar is no hash", SLICE_CONST("a@b.test:$6$ave money every day"), USER_LINE_USER,
        SLICE_CONST("a@b.test"), SLICE_CONST("$6$ave money every day"), SLICE_CONST("") },
    { "clear", SLICE_CONST("a@b.test:{PLAIN}{x}"), USER_LINE_USER, SLICE_CONST("a@b.test"),
        SLICE_CONST("{x}"), SLICE_CONST("") },
    { "a brace is no scheme", SLICE_CONST("a@b.test:{secret}"), USER_LINE_USER,
        SLICE_CONST("a@b.test"), SLICE_CONST("{secret}"), SLICE_CONST("") },
    { "comment", SLICE_CONST("# a@b.test:secret"), USER_LINE_NOTHING, SLICE_CONST(""),
        SLICE_CONST(""), SLICE_CONST("") },
    { "blank", SLICE_CONST("  \t\r"), USER_LINE_NOTHING, SLICE_CONST(""), SLICE_CONST(""),
        SLICE_CONST("") },
    { "empty", SLICE_CONST(""), USER_LINE_NOTHING, SLICE_CONST(""), SLICE_CONST(""),
        SLICE_CONST("") },
    { "no password", SLICE_CONST("a@b.test"), USER_LINE_BAD, SLICE_CONST(""), SLICE_CONST(""),
        SLICE_CONST("") },
    { "empty password", SLICE_CONST("a@b.test:"), USER_LINE_BAD, SLICE_CONST(""), SLICE_CONST(""),
        SLICE_CONST("") },
    { "no address", SLICE_CONST(":secret"), USER_LINE_BAD, SLICE_CONST(""), SLICE_CONST(""),
        SLICE_CONST("") },
};

static void test_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct user_line user;
        if (user_parse_line(rows[i].line, &user) != rows[i].wanted)
            fail_msg("%s", rows[i].name);
        if (rows[i].wanted != USER_LINE_USER)
            continue;
        assert_slice(rows[i].name, user.address, rows[i].address);
        assert_slice(rows[i].name, user.password, rows[i].password);
        assert_slice(rows[i].name, user.hash, rows[i].hash);
    }
}

/* One password for each address, a line each, none left in a buffer of stdio. */
static void test_password_file(void **state)
{
    (void)state;
    char name[] = "/tmp/barid-passwords-XXXXXX";
    int fd = mkstemp(name);
    static const char text[] = "first one\r\nسرّ\nlast";
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    static const char *const wanted[] = { "first one", "سرّ", "last" };
    struct password_source source;
    assert_ok(password_source_open(&source, name));
    for (size_t i = 0; i < 3; i++) {
        struct buf password;
        assert_ok(password_source_next(&source, "a@b.test", &password));
        assert_slice(wanted[i], buf_slice(&password), slice_of(wanted[i]));
        buf_done(&password);
    }
    password_source_close(&source);
    unlink(name);
}

TEST_MAIN(cmocka_unit_test(test_sizes), cmocka_unit_test(test_switches),
    cmocka_unit_test(test_lines), cmocka_unit_test(test_password_file))
