#include "base/test.h"

#include "proto/imap/imap_write.h"

#include <string.h>

static void test_strings(void **state)
{
    (void)state;
    static const struct {
        struct slice text;
        const char *astring, *string;
    } rows[] = {
        { SLICE_CONST("INBOX"), "INBOX", "\"INBOX\"" },
        { SLICE_CONST(""), "\"\"", "\"\"" },
        { SLICE_CONST("a b"), "\"a b\"", "\"a b\"" },
        { SLICE_CONST("a\"b\\"), "\"a\\\"b\\\\\"", "\"a\\\"b\\\\\"" },
        { SLICE_CONST("nil"), "\"nil\"", "\"nil\"" },
        { SLICE_CONST("x]"), "\"x]\"", "\"x]\"" },
        { SLICE_CONST("a*"), "\"a*\"", "\"a*\"" },
        { SLICE_CONST("a\r\nb"), "{4}\r\na\r\nb", "{4}\r\na\r\nb" },
        { SLICE_CONST("\xc3\xa9"), "{2}\r\n\xc3\xa9", "{2}\r\n\xc3\xa9" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out;
        buf_init(&out, 0);
        imap_write_astring(&out, rows[i].text);
        assert_slice(rows[i].astring, buf_slice(&out), slice_of(rows[i].astring));
        buf_clear(&out);
        imap_write_string(&out, rows[i].text);
        assert_slice(rows[i].string, buf_slice(&out), slice_of(rows[i].string));
        buf_clear(&out);
        imap_write_nstring(&out, rows[i].text);
        assert_slice(rows[i].string, buf_slice(&out), slice_of(rows[i].string));
        buf_done(&out);
    }
    struct buf out;
    buf_init(&out, 0);
    imap_write_nstring(&out, (struct slice){ 0 });
    assert_slice("nil", buf_slice(&out), SLICE("NIL"));
    buf_clear(&out);
    imap_write_mailbox(&out, SLICE("caf\xc3\xa9 & co"));
    assert_slice("mailbox", buf_slice(&out), SLICE("\"caf&AOk- &- co\""));
    buf_done(&out);
}

static void test_flags(void **state)
{
    (void)state;
    const struct slice words[] = { SLICE("$Forwarded"), SLICE("x") };
    static const struct {
        unsigned flags;
        size_t words;
        const char *wanted;
    } rows[] = {
        { 0, 0, "()" },
        { IMAP_SEEN, 0, "(\\Seen)" },
        { IMAP_SEEN | IMAP_RECENT, 2, "(\\Seen \\Recent $Forwarded x)" },
        { 0, 1, "($Forwarded)" },
        { 63, 0, "(\\Seen \\Answered \\Flagged \\Deleted \\Draft \\Recent)" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out;
        buf_init(&out, 0);
        imap_write_flags(&out, rows[i].flags, words, rows[i].words);
        assert_slice(rows[i].wanted, buf_slice(&out), slice_of(rows[i].wanted));
        buf_done(&out);
    }
}

TEST_MAIN(cmocka_unit_test(test_strings), cmocka_unit_test(test_flags))
