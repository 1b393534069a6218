/* Paths of folders and messages in an mbox: what is written, and that it is the same however it comes in. */
#include "export/mboxrd.h"
#include "export/path.h"
#include "export/state.h"

#include "base/test.h"

#include <string.h>

/* ---- paths ---- */

static const struct {
    const char *name, *maildir, *mbox;
    bool raw;
    char delimiter;
} paths[] = {
    { "INBOX", "", "INBOX.mbox", false, '/' },
    { "inbox", "", "INBOX.mbox", false, '/' },
    { "Inbox/a", "INBOX/a", "INBOX/a.mbox", false, '/' },
    { "Work/2026", "Work/2026", "Work/2026.mbox", false, '/' },
    { "INBOX.Work", "INBOX/Work", "INBOX/Work.mbox", false, '.' },
    { "a/b", "a%2Fb", "a%2Fb.mbox", false, '.' },
    { "a/b", "a%2Fb", "a%2Fb.mbox", false, '\0' },
    { "\xd8\xa7\xd9\x84\xd8\xb9\xd9\x85\xd9\x84", "\xd8\xa7\xd9\x84\xd8\xb9\xd9\x85\xd9\x84",
        "\xd8\xa7\xd9\x84\xd8\xb9\xd9\x85\xd9\x84.mbox", false, '/' },
    { "..", "%2E.", "%2E..mbox", false, '/' },
    { "a/../../b", "a/%2E./%2E./b", "a/%2E./%2E./b.mbox", false, '/' },
    { ".barid-export", "%2Ebarid-export", "%2Ebarid-export.mbox", false, '/' },
    { "cur", "%63ur", "%63ur.mbox", false, '/' },
    { "new/tmp", "%6Eew/%74mp", "%6Eew/%74mp.mbox", false, '/' },
    { "100%", "100%25", "100%25.mbox", false, '/' },
    { "a\nb\033", "a%0Ab%1B", "a%0Ab%1B.mbox", false, '/' },
    { "a\xe2\x80\xae"
      "b",
        "a%E2%80%AE"
        "b",
        "a%E2%80%AE"
        "b.mbox",
        false, '/' },
    { "\xff", "%FF", "%FF.mbox", false, '/' },
    { "A&B", "A%26B", "A%26B.mbox", false, '/' },
    { "&bad", "%&bad", "%&bad.mbox", true, '/' },
    { "a//b", "a/%/b", "a/%/b.mbox", false, '/' },
    { "/", "%/%", "%/%.mbox", false, '/' },
    { "", "%", "%.mbox", false, '/' },
    { "Work.mbox/x", "Work.mbox/x", "Work%2Embox/x.mbox", false, '/' },
    { ".mbox", "%2Embox", "%2Embox.mbox", false, '/' },
};

static void test_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct buf out;
        buf_init(&out, 0);
        export_path(
            slice_of(paths[i].name), paths[i].raw, paths[i].delimiter, EXPORT_MAILDIR, &out);
        assert_slice(paths[i].name, buf_slice(&out), slice_of(paths[i].maildir));
        buf_clear(&out);
        export_path(slice_of(paths[i].name), paths[i].raw, paths[i].delimiter, EXPORT_MBOX, &out);
        assert_slice(paths[i].name, buf_slice(&out), slice_of(paths[i].mbox));
        buf_done(&out);
    }
}

/* Cut between letters, and two that differ only at their ends stay two. */
static void test_long_level(void **state)
{
    struct buf name, one, two;
    (void)state;
    buf_init(&name, 0);
    buf_init(&one, 0);
    buf_init(&two, 0);
    for (int i = 0; i < 300; i++)
        buf_adds(&name, i % 3 ? "\xd8\xb9" : "\033");
    export_path(buf_slice(&name), false, '/', EXPORT_MAILDIR, &one);
    buf_addc(&name, 'x');
    export_path(buf_slice(&name), false, '/', EXPORT_MAILDIR, &two);
    assert_true(buf_len(&one) <= EXPORT_LEVEL_BYTES_MAX);
    assert_true(buf_len(&one) > EXPORT_LEVEL_BYTES_MAX - 24);
    assert_false(slice_eq(buf_slice(&one), buf_slice(&two)));
    struct slice cut = slice_sub(buf_slice(&one), 0, buf_len(&one) - 18);
    assert_true(
        cut.len % 7 == 0 || cut.len % 7 == 3 || cut.len % 7 == 5); /* "%1B" and two letters */
    buf_done(&name);
    buf_done(&one);
    buf_done(&two);
}

static void test_deep_name(void **state)
{
    struct buf name, path;
    size_t slashes = 0;
    (void)state;
    buf_init(&name, 0);
    buf_init(&path, 0);
    for (int i = 0; i < 40; i++)
        buf_adds(&name, i ? ".a" : "a");
    export_path(buf_slice(&name), false, '.', EXPORT_MAILDIR, &path);
    for (size_t i = 0; i < buf_len(&path); i++)
        slashes += buf_slice(&path).ptr[i] == '/';
    assert_int_equal(slashes, EXPORT_LEVELS_MAX - 1);
    assert_true(slice_find(buf_slice(&path), SLICE("a%2Ea%2Ea")) != SIZE_MAX);
    buf_done(&name);
    buf_done(&path);
}

/* ---- messages ---- */

#define STATUS "Status: RO\nX-Keywords: a\n"

static const struct {
    const char *name, *in, *out;
} messages[] = {
    { "plain", "Subject: x\r\n\r\ntext\r\n", "Subject: x\n" STATUS "\ntext\n\n" },
    { "no line end", "Subject: x\r\n\r\ntext", "Subject: x\n" STATUS "\ntext\n\n" },
    { "no header", "\r\ntext\r\n", STATUS "\ntext\n\n" },
    { "nothing", "", STATUS "\n" },
    { "header only", "Subject: x\r\n", "Subject: x\n" STATUS "\n" },
    { "header without an end", "Subject: x", "Subject: x\n" STATUS "\n" },
    { "short header without an end", "Sub", "Sub\n" STATUS "\n" },
    { "From", "A: b\r\n\r\nFrom x\r\n>From x\r\n>>From x\r\n From x\r\nFrom\r\nFro",
        "A: b\n" STATUS "\n>From x\n>>From x\n>>>From x\n From x\nFrom\nFro\n\n" },
    { "quotes and no From", "A: b\r\n\r\n>>\r\n>F>From x\r\n> From x\r\n",
        "A: b\n" STATUS "\n>>\n>F>From x\n> From x\n\n" },
    { "From behind letters of it", "A: b\r\n\r\nFrFrom x\r\n", "A: b\n" STATUS "\nFrFrom x\n\n" },
    { "From in the header", "From x Thu\r\nA: b\r\n\r\nt\r\n",
        ">From x Thu\nA: b\n" STATUS "\nt\n\n" },
    { "fields of the keeper",
        "A: b\r\nstatus: D\r\n D\r\nX-IMAP: 1\r\nX-Statuses: y\r\nB: c\r\n\r\nStatus: t\r\n",
        "A: b\nX-Statuses: y\nB: c\n" STATUS "\nStatus: t\n\n" },
    { "folded", "A: b\r\n c\r\n\td\r\n\r\nt\r\n", "A: b\n c\n\td\n" STATUS "\nt\n\n" },
    { "field left out at the end", "A: b\r\nStatus: D", "A: b\n" STATUS "\n" },
    { "CR", "A: b\r\n\r\na\rb\r\r\nc\r\r\r\nd\r", "A: b\n" STATUS "\na\rb\r\r\nc\r\r\r\nd\r\n\n" },
    { "long name", "Abcdefghijklmnopqrstuvwxyz: b\r\n\r\nt\r\n",
        "Abcdefghijklmnopqrstuvwxyz: b\n" STATUS "\nt\n\n" },
    { "no field", "no colon here at all\r\nA: b\r\n\r\nt\r\n",
        "no colon here at all\nA: b\n" STATUS "\nt\n\n" },
};

static void test_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        struct slice in = slice_of(messages[i].in);
        for (size_t cut = 0; cut <= in.len; cut++) {
            struct export_mboxrd m;
            struct buf out;
            buf_init(&out, 0);
            export_mboxrd_begin(&m, SLICE(STATUS));
            export_mboxrd_piece(&m, slice_sub(in, 0, cut), &out);
            export_mboxrd_piece(&m, slice_from_index(in, cut), &out);
            export_mboxrd_end(&m, &out);
            assert_slice(messages[i].name, buf_slice(&out), slice_of(messages[i].out));
            export_mboxrd_done(&m);
            buf_done(&out);
        }
    }
}

static void test_from_line(void **state)
{
    struct buf out;
    (void)state;
    buf_init(&out, 0);
    export_mboxrd_from(1795687200, &out);
    export_mboxrd_from(-5, &out);
    export_mboxrd_from(INT64_MAX, &out);
    assert_slice("dates", buf_slice(&out),
        SLICE("From MAILER-DAEMON Thu Nov 26 10:00:00 2026\n"
              "From MAILER-DAEMON Thu Jan  1 00:00:00 1970\n"
              "From MAILER-DAEMON Fri Dec 31 23:59:59 9999\n"));
    buf_done(&out);
}

/* ---- the state of an mbox ---- */

static void test_state(void **state)
{
    static const char *const good[] = {
        "barid-mbox 1\nuidvalidity 17\nbytes 4711\nuids 1:12,14\n",
        "barid-mbox 1\nuidvalidity 4294967295\nbytes 0\nuids \n",
        "barid-mbox 1\nuidvalidity 17\nbytes 0\nuids \nadding 900 13,15:16\n",
    };
    static const char *const bad[] = { "", "barid-mbox 2\nuidvalidity 17\nbytes 0\nuids \n",
        "barid-mbox 1\nuidvalidity 17\nbytes 0\nuids 1:12",
        "barid-mbox 1\nuidvalidity 17\nbytes -1\nuids 1\n",
        "barid-mbox 1\nuidvalidity 17\nbytes 1\nuids 0\n",
        "barid-mbox 1\nuidvalidity 17\nbytes 1\nuids 1\nmore\n",
        "barid-mbox 1\nuidvalidity 17\nbytes 1\nuids 1\nadding 0 2\n",
        "barid-mbox 1\nuidvalidity 17\nbytes 1\nuids 1\nadding 5 2\nadding 5 3\n" };
    struct export_state read;
    struct buf out;
    (void)state;
    export_state_init(&read);
    buf_init(&out, 0);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_ok(export_state_read(slice_of(good[i]), &read));
        buf_clear(&out);
        export_state_write(&read, &out);
        assert_slice(good[i], buf_slice(&out), slice_of(good[i]));
    }
    assert_int_equal(read.adding_bytes, 900);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(export_state_read(slice_of(bad[i]), &read), ERR_SYNTAX);
    assert_int_equal(read.adding_bytes, 900);
    export_state_done(&read);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_long_level),
        cmocka_unit_test(test_deep_name),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_from_line),
        cmocka_unit_test(test_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
