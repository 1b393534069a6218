/* Configuration: good files, bad lines with their message, listeners. */
#include "server/core/config.h"

#include "base/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum err load_text(const char *text, struct config **out, struct err_note *note)
{
    char path[] = "/tmp/barid-config-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    enum err e = config_load(path, out, note);
    unlink(path);
    return e;
}

#define TEN     "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static void long_comments_and_empty_values(void **state)
{
    (void)state;
    struct config *config;
    struct err_note note;
    char system_name[256] = "";
    (void)gethostname(system_name, sizeof system_name - 1);
    assert_ok(load_text(
        "[server]\n  ; " HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN "0123456789user = x\n"
        "# " HUNDRED HUNDRED HUNDRED "\nhostname =\nuser =\n"
        "; the last line has no end, and as many bytes as the buffer of a line: " HUNDRED TEN TEN
        "01234567",
        &config, &note));
    assert_string_equal(config->hostname, system_name);
    assert_string_equal(config->run_user, "");
    config_unref(config);
    assert_ok(load_text(
        "[server]\ndata = /" HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN "012345678", &config, &note));
    assert_int_equal(strlen(config->data_dir), 190);
    config_unref(config);
}

static void defaults_are_accepted(void **state)
{
    (void)state;
    struct config *config;
    struct err_note note;
    assert_ok(config_load(NULL, &config, &note));
    assert_int_equal(config->message_bytes_max, 50u << 20);
    assert_false(config->plain_login_on_loopback);
    assert_int_equal(config->listener_count, 14); /* seven keys, v4 and v6 */
    struct config *again = config_ref(config);
    config_unref(again);
    struct buf out;
    buf_init(&out, 0);
    config_show(config, &out);
    assert_true(slice_find(buf_slice(&out), SLICE("message_bytes = 50M")) != SIZE_MAX);
    buf_done(&out);
    config_unref(config);
}

static void good_values(void **state)
{
    (void)state;
    struct config *config;
    struct err_note note;
    assert_ok(load_text("; a comment\n[server]\nhostname = mail.example.org\ndata = /srv/mail\n"
                        "[imap]\nlisten = 127.0.0.1:1143, [::1]:1143\nlisten_tls = off\n"
                        "[lmtp]\nlisten = /run/barid/lmtp\n[limits]\nmessage_bytes = "
                        "2M\n[login]\nplain_on_loopback = on\n",
        &config, &note));
    assert_string_equal(config->hostname, "mail.example.org");
    assert_int_equal(config->message_bytes_max, 2u << 20);
    assert_true(config->plain_login_on_loopback);
    assert_string_equal(config->listeners[1].address, "::1");
    assert_int_equal(config->listeners[1].port, 1143);
    assert_string_equal(config->listeners[config->listener_count - 1].address, "/run/barid/lmtp");
    config_unref(config);
}

static void bad_lines_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *row, *text, *says;
    } rows[] = {
        { "unknown key", "[imap]\nlisen = *:1\n",
            "line 2: there is no key \"imap.lisen\"; the nearest is \"imap.listen\"" },
        { "unknown section", "[pop]\nlisten = *:1\n", "the nearest is" },
        { "number over", "[limits]\nthreads = 5000\n", "it takes 4 to 1024" },
        { "number under", "[limits]\nthreads = 1\n", "it takes 4 to 1024" },
        { "not a number", "[limits]\nthreads = many\n", "it takes 4 to 1024" },
        { "size over", "[limits]\nmessage_bytes = 9G\n", "with K, M or G" },
        { "size wraps", "[limits]\nmessage_bytes = 99999999999999999999G\n", "with K, M or G" },
        { "switch", "[login]\nplain_on_loopback = maybe\n", "it takes on or off" },
        { "word", "[server]\nlog_level = loud\n", "one of: error warn info debug" },
        { "relative path", "[server]\ndata = mail\n", "begins with /" },
        { "host with blank", "[server]\nhostname = a b\n", "a host name" },
        { "no port", "[imap]\nlisten = 127.0.0.1\n", "no address with a port" },
        { "port over", "[imap]\nlisten = 127.0.0.1:70000\n", "no address with a port" },
        { "no address", "[imap]\nlisten = mail.example.org:143\n", "is no IP address" },
        { "lmtp to the world", "[lmtp]\nlisten = *:24\n", "asks for no password" },
        { "twice", "[server]\ndata = /a\ndata = /b\n", "a second time" },
        { "half of tls", "[tls]\nkey = /a\n", "belong together" },
        { "no key", "[imap]\nlisten\n", "line 2" },
        { "no data folder", "[server]\ndata =\n", "server.data is empty" },
        { "long value", "; c\n[server]\ndata = /" HUNDRED HUNDRED "\nbad\n",
            "line 3: the line is too long" },
        { "long value, a key in its rest", "[server]\ndata = /" HUNDRED "/" HUNDRED "user = x\n",
            "line 2: the line is too long" },
        { "bad before long", "[server]\nbad\ndata = /" HUNDRED HUNDRED "\n", "line 2: this is" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct config *config = NULL;
        struct err_note note = { "" };
        enum err e = load_text(rows[i].text, &config, &note);
        if (e == ERR_OK || !strstr(note.text, rows[i].says))
            fail_msg("%s: %s, \"%s\"", rows[i].row, err_name(e), note.text);
        assert_null(config);
    }
    struct config *config = NULL;
    struct err_note note;
    assert_err(ERR_NOT_FOUND, config_load("/nonexistent/barid.conf", &config, &note));
}

static void explain(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 0);
    assert_ok(config_explain(SLICE("limits.threads"), &out));
    assert_true(slice_find(buf_slice(&out), SLICE("4 to 1024")) != SIZE_MAX);
    buf_clear(&out);
    assert_err(ERR_NOT_FOUND, config_explain(SLICE("limit.thread"), &out));
    assert_true(slice_find(buf_slice(&out), SLICE("limits.threads")) != SIZE_MAX);
    buf_done(&out);
}

TEST_MAIN(cmocka_unit_test(defaults_are_accepted), cmocka_unit_test(good_values),
    cmocka_unit_test(long_comments_and_empty_values), cmocka_unit_test(bad_lines_are_named),
    cmocka_unit_test(explain))
