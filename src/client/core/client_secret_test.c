/* Where passwords come from: commands that fail, talk too much or never end; files that others can read; no terminal. */
#include "base/test.h"
#include "client/core/account.h"
#include "client/core/command.h"
#include "client/core/login.h"
#include "client/core/remember.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char name[] = "salma", address[] = "salma@barid.test";

static enum err run(
    const char *script, int timeout_ms, size_t bytes_max, struct buf *out, struct err_note *note)
{
    char program[] = "sh", option[] = "-c", text[200];
    char *words[] = { program, option, text, NULL };
    snprintf(text, sizeof text, "%s", script);
    return client_command_read(words, "password-command", timeout_ms, bytes_max, out, note);
}

static void test_commands(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        int timeout_ms;
        size_t bytes_max;
        enum err wanted;
        const char *says; /* the output, or a part of the note */
    } rows[] = {
        { "printf 'one\\ntwo\\n'", HANG_MS, 100, ERR_OK, "one\ntwo\n" },
        { "true", HANG_MS, 100, ERR_OK, "" },
        { "cat", HANG_MS, 100, ERR_OK, "" }, /* our standard input is not its */
        { "echo secret; exit 3", HANG_MS, 100, ERR_IO, "exit code 3" },
        { "kill -9 $$", HANG_MS, 100, ERR_IO, "signal 9" },
        { "kill -13 $$", HANG_MS, 100, ERR_IO, "signal 13" },
        { "yes", HANG_MS, 20000, ERR_LIMIT, "more than 20000 bytes" },
        { "exec sleep 1000", 200, 100, ERR_TIMEOUT, "took longer" },
        { "exec >&-; exec sleep 1000", 200, 100, ERR_TIMEOUT, "took longer" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err_note note = { "" };
        struct buf out;
        buf_init(&out, 0);
        enum err e = run(rows[i].script, rows[i].timeout_ms, rows[i].bytes_max, &out, &note);
        if (e != rows[i].wanted)
            fail_msg("%s: got %s: %s", rows[i].script, err_name(e), note.text);
        if (e == ERR_OK)
            assert_slice(rows[i].script, buf_slice(&out), slice_of(rows[i].says));
        else if (!strstr(note.text, rows[i].says) || strstr(note.text, "secret"))
            fail_msg("%s: %s", rows[i].script, note.text);
        buf_done(&out);
    }
    struct buf out;
    struct err_note note = { "" };
    char missing[] = "barid-no-such-program";
    char *words[] = { missing, NULL };
    buf_init(&out, 0);
    assert_err(
        ERR_NOT_FOUND, client_command_read(words, "password-command", 1000, 10, &out, &note));
    assert_non_null(strstr(note.text, missing));
    buf_done(&out);
}

static void test_feed(void **state)
{
    (void)state;
    char path[] = "/tmp/barid-feed-XXXXXX";
    int fd = mkstemp(path), code = -1;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "skipped\nkept\n", 13), 13);
    assert_int_equal(lseek(fd, 8, SEEK_SET), 8);
    char program[] = "sh", option[] = "-c", text[] = "read x; test \"$x\" = kept && exit 7";
    char *words[] = { program, option, text, NULL };
    assert_ok(client_command_feed(words, "deliver-command", HANG_MS, fd, &code, NULL));
    assert_int_equal(code, 7);
    close(fd);
    unlink(path);
}

static void test_secret_of_command(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        enum err wanted;
        const char *secret;
    } rows[] = {
        { "printf 'correct horse\\nurl: x\\n'", ERR_OK, "correct horse" },
        { "printf 'crlf\\r\\n'", ERR_OK, "crlf" },
        { "printf ' blanks \\n'", ERR_OK, " blanks " },
        { "printf 'no end'", ERR_OK, "no end" },
        { "printf '\\nsecond\\n'", ERR_NOT_FOUND, NULL },
        { "true", ERR_NOT_FOUND, NULL },
        { "printf 'a\\0b\\n'", ERR_SYNTAX, NULL },
        { "head -c 1024 /dev/zero | tr '\\0' x", ERR_OK, NULL },
        { "head -c 1025 /dev/zero | tr '\\0' x", ERR_LIMIT, NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char program[] = "sh", option[] = "-c", text[200];
        char *words[] = { program, option, text, NULL };
        struct client_account account = {
            .name = name, .address = address, .user = address, .password_command = words
        };
        struct err_note note = { "" };
        struct buf out;
        bool token = true;
        snprintf(text, sizeof text, "%s", rows[i].script);
        buf_init(&out, 0);
        enum err e = client_secret(&account, &out, &token, &note);
        if (e != rows[i].wanted)
            fail_msg("%s: got %s: %s", rows[i].script, err_name(e), note.text);
        if (rows[i].secret)
            assert_slice(rows[i].script, buf_slice(&out), slice_of(rows[i].secret));
        if (!e)
            assert_false(token);
        sasl_buf_wipe(&out);
        account.password_command = NULL;
        account.token_command = words;
        buf_init(&out, 0);
        if (i == 0) {
            assert_ok(client_secret(&account, &out, &token, &note));
            assert_true(token);
        }
        sasl_buf_wipe(&out);
    }
}

static void test_secret_of_file(void **state)
{
    (void)state;
    static const struct {
        mode_t mode;
        enum err wanted;
    } rows[] = { { 0600, ERR_OK }, { 0400, ERR_OK }, { 0640, ERR_DENIED }, { 0604, ERR_DENIED },
        { 0620, ERR_DENIED } };
    char path[] = "/tmp/barid-secret-XXXXXX", link_path[64];
    int fd = mkstemp(path);
    struct err_note note = { "" };
    bool token = false;
    struct buf out;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "كلمة\nmore\n", 14), 14);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct client_account account = {
            .name = name, .address = address, .user = address, .password_file = path
        };
        assert_int_equal(fchmod(fd, rows[i].mode), 0);
        buf_init(&out, 0);
        enum err e = client_secret(&account, &out, &token, &note);
        if (e != rows[i].wanted)
            fail_msg("mode %o: got %s", (unsigned)rows[i].mode, err_name(e));
        if (!e)
            assert_slice("file", buf_slice(&out), SLICE("كلمة"));
        else if (!strstr(note.text, "chmod 600"))
            fail_msg("%s", note.text);
        sasl_buf_wipe(&out);
    }
    snprintf(link_path, sizeof link_path, "%s.fifo", path);
    assert_int_equal(mkfifo(link_path, 0600), 0);
    struct client_account account = {
        .name = name, .address = address, .user = address, .password_file = link_path
    };
    buf_init(&out, 0);
    assert_err(ERR_DENIED, client_secret(&account, &out, &token, &note));
    unlink(link_path);
    assert_err(ERR_NOT_FOUND, client_secret(&account, &out, &token, &note));
    sasl_buf_wipe(&out);
    close(fd);
    unlink(path);
}

static void test_remember(void **state)
{
    (void)state;
    char folder[] = "/tmp/barid-remember-XXXXXX", host[] = "pop.example.org",
         other[] = "imap.example.org", path[64];
    assert_non_null(mkdtemp(folder));
    struct client_server pop = { host, 995, CLIENT_TLS }, imap = { other, 993, CLIENT_TLS },
                         moved = { host, 110, CLIENT_STARTTLS };
    assert_int_equal(client_remembered(folder, "pop3", &pop), 0);
    assert_ok(client_remember(folder, "pop3", &pop, CLIENT_MECH_PLAIN, NULL));
    assert_ok(client_remember(folder, "imap", &imap, CLIENT_SCRAM, NULL));
    assert_ok(client_remember(folder, "pop3", &pop, CLIENT_SCRAM_PLUS, NULL));
    assert_int_equal(client_remembered(folder, "pop3", &pop), CLIENT_SCRAM_PLUS);
    assert_int_equal(client_remembered(folder, "imap", &imap), CLIENT_SCRAM);
    assert_int_equal(client_remembered(folder, "imap", &pop), 0);
    assert_int_equal(client_remembered(folder, "pop3", &moved), 0);
    snprintf(path, sizeof path, "%s/logins", folder);
    int fd = open(path, O_WRONLY | O_TRUNC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "pop3 pop.example.org 995 NONSENSE\n", 34), 34);
    close(fd);
    assert_int_equal(client_remembered(folder, "pop3", &pop), 0);
    unlink(path);
    assert_int_equal(rmdir(folder), 0);
    assert_err(ERR_NOT_FOUND, client_remember(folder, "pop3", &pop, CLIENT_SCRAM, NULL));
}

TEST_MAIN(cmocka_unit_test(test_commands), cmocka_unit_test(test_feed),
    cmocka_unit_test(test_secret_of_command), cmocka_unit_test(test_secret_of_file),
    cmocka_unit_test(test_remember))
