/* Records: what is refused, and that strangers' words cannot add lines. */
#include "client/smtp/smtpc_record.h"

#include "base/test.h"

#include <stdlib.h>
#include <string.h>

#define HEAD "barid-queue 1\nfrom a@x.test\nmessage-id <m@x.test>\nsubject s\n"

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
    } rows[] = {
        { "empty", "" },
        { "another version",
            "barid-queue 2\nfrom a@x.test\nmessage-id m\nsubject s\nto b@x.test waits 0 \"\"\n" },
        { "no recipient", HEAD },
        { "no sender", "barid-queue 1\nmessage-id m\nsubject s\nto b@x.test waits 0 \"\"\n" },
        { "sender that is no address", "barid-queue 1\nfrom \"a> SIZE=1\"\nmessage-id m\nsubject "
                                       "s\nto b@x.test waits 0 \"\"\n" },
        { "recipient that is no address", HEAD "to \"b@x.test> NOTIFY=NEVER\" waits 0 \"\"\n" },
        { "recipient without domain", HEAD "to b waits 0 \"\"\n" },
        { "unknown fate", HEAD "to b@x.test gone 0 \"\"\n" },
        { "code", HEAD "to b@x.test waits -1 \"\"\n" },
        { "text missing", HEAD "to b@x.test waits 0\n" },
        { "unknown line", HEAD "to b@x.test waits 0 \"\"\nmore 1\n" },
        { "from twice", HEAD "from b@x.test\nto b@x.test waits 0 \"\"\n" },
        { "negative", HEAD "created -1\nto b@x.test waits 0 \"\"\n" },
        { "unknown need", HEAD "needs 7bit\nto b@x.test waits 0 \"\"\n" },
        { "unknown copy", HEAD "copy maybe\nto b@x.test waits 0 \"\"\n" },
        { "control", HEAD "to b@x.test waits 0 \"\001\"\n" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct smtpc_record record = { .count = 0 };
        struct err_note note = { "" };
        enum err e = smtpc_record_parse(slice_of(rows[i].text), &record, &note);
        if (e != ERR_SYNTAX)
            fail_msg("%s: got %s", rows[i].name, err_name(e));
        assert_true(note.text[0] != '\0');
        assert_null(record.recipients);
    }
}

static void test_strangers_words(void **state)
{
    (void)state;
    struct smtpc_record record, again;
    struct err_note note = { "" };
    struct buf text;
    assert_ok(smtpc_record_parse(slice_of(HEAD "to b@x.test waits 0 \"\"\n"), &record, &note));
    assert_int_equal(smtpc_record_count(&record, SMTPC_WAITS), 1);
    (void)snprintf(record.recipients[0].outcome.text, SMTPC_TEXT_BYTES_MAX,
        "no\r\nto evil@x.test sent 250 ok\n\"\\ \x1b[31m\xff");
    buf_init(&text, 0);
    smtpc_record_write(&record, &text);
    assert_ok(smtpc_record_parse(buf_slice(&text), &again, &note));
    assert_int_equal(again.count, 1);
    assert_string_equal(
        again.recipients[0].outcome.text, "no??to evil@x.test sent 250 ok?\"\\ ?[31m?");
    smtpc_record_done(&record);
    smtpc_record_done(&again);
    buf_done(&text);
}

static void test_recipients(void **state)
{
    (void)state;
    struct smtpc_record record = { .count = 0 };
    char address[40];
    for (unsigned i = 0; i < SMTPC_RECIPIENTS_MAX; i++) {
        (void)snprintf(address, sizeof address, "a%u@x.test", i);
        assert_ok(smtpc_record_add(&record, address));
    }
    assert_ok(smtpc_record_add(&record, "a7@x.test"));
    assert_int_equal(record.count, SMTPC_RECIPIENTS_MAX);
    assert_err(ERR_LIMIT, smtpc_record_add(&record, "more@x.test"));
    smtpc_record_done(&record);
    smtpc_record_done(NULL);
}

static void test_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        bool ok, utf8;
    } rows[] = {
        { "salma@barid.test", true, false },
        { "\"a b\"@x.test", false,
            false }, /* needs its quotes: no such mailbox is served anywhere we know */
        { "سلمى@x.test", true, true },
        { "salma", false, false },
        { "", false, false },
        { "a@x.test>\r\nDATA", false, false },
        { "a@x.test> SIZE=1", false, false },
        { "@x.test", false, false },
        { "a@", false, false },
        { "a@b@c", false, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool utf8 = false;
        if (smtpc_address_ok(rows[i].address, &utf8) != rows[i].ok || utf8 != rows[i].utf8)
            fail_msg("%s", rows[i].address);
    }
}

TEST_MAIN(cmocka_unit_test(test_refused), cmocka_unit_test(test_strangers_words),
    cmocka_unit_test(test_recipients), cmocka_unit_test(test_addresses))
