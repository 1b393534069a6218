/* What RFC 6858 makes of messages with other than ASCII in their headers. */
#include "message/downgrade.h"

#include "base/limits.h"
#include "base/test.h"
#include "base/utf8.h"
#include "message/header.h"
#include "message/text.h"

#include <stdlib.h>
#include <string.h>

#define INVALID "<invalid@internationalized-address.invalid>"

static void downgrade(struct slice message, size_t step, struct buf *out, struct msg_facts *facts)
{
    struct buf room;
    struct msg_summary summary;
    struct msg_downgrade d;
    buf_init(&room, 0);
    buf_init(out, 0);
    assert_ok(msg_summary_make(message, &room));
    assert_ok(msg_summary_open(buf_slice(&room), &summary));
    msg_facts(&summary, facts);
    msg_downgrade_init(&d, &summary);
    for (size_t at = 0; at < message.len; at += step)
        msg_downgrade_feed(&d, slice_sub(message, at, step), out);
    msg_downgrade_end(&d, out);
    msg_downgrade_done(&d);
    facts->subject = facts->from = facts->to = SLICE_EMPTY; /* they go with the summary */
    buf_done(&room);
}

static const struct row {
    const char *name, *field, *wanted;
} rows[] = {
    { "ASCII is not touched", "Subject:  odd \r\n\tfolding\r\n",
        "Subject:  odd \r\n\tfolding\r\n" },
    { "text", "Subject: سلام\r\n", "Subject: =?utf-8?B?2LPZhNin2YU=?=\r\n" },
    { "text of any letter case", "sUBJECT: é\r\n", "sUBJECT: =?utf-8?B?w6k=?=\r\n" },
    { "text with words in it", "Subject: é =?utf-8?Q?=C3=A9?=\r\n",
        "Subject: =?utf-8?B?w6kgw6k=?=\r\n" },
    { "text that is folded", "Subject: é\r\n é\r\n", "Subject: =?utf-8?B?w6kgw6k=?=\r\n" },
    { "text in no charset", "Subject: caf\xe9\r\n", "Subject: =?utf-8?B?Y2Fmw6k=?=\r\n" },
    { "a field of one's own", "X-Note: é\r\n", "X-Note: =?utf-8?B?w6k=?=\r\n" },
    { "text in lines of 76", "Subject: ééééééééééééééééééééééééééééééééééé\r\n",
        "Subject: =?utf-8?B?w6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6k=?=\r\n"
        " =?utf-8?B?w6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6k=?=\r\n" },
    { "a name", "From: سلمى <salma@example.org>\r\n",
        "From: =?utf-8?B?2LPZhNmF2Yk=?=\r\n <salma@example.org>\r\n" },
    { "a name in a comment", "From: salma@example.org (é)\r\n",
        "From: =?utf-8?B?w6k=?=\r\n <salma@example.org>\r\n" },
    { "a local part", "From: Fred Foo <fréd@example.com>\r\n",
        "From: =?utf-8?B?RnJlZCBGb28gPGZyw6lkQGV4YW1wbGUuY29tPg==?=\r\n " INVALID "\r\n" },
    { "a domain", "To: fred@exämple.com\r\n",
        "To: =?utf-8?B?ZnJlZEBleMOkbXBsZS5jb20=?=\r\n " INVALID "\r\n" },
    { "only one of several", "Cc: a@example.org, \"B, C\" <b@example.org>, é@example.org\r\n",
        "Cc: <a@example.org>,\r\n \"B, C\" <b@example.org>,\r\n"
        " =?utf-8?B?w6lAZXhhbXBsZS5vcmc=?=\r\n " INVALID "\r\n" },
    { "a group", "To: é: a@example.org, b@example.org;, c@example.org\r\n",
        "To: =?utf-8?B?w6k=?=\r\n :\r\n <a@example.org>,\r\n <b@example.org>;,\r\n"
        " <c@example.org>\r\n" },
    { "an empty group", "To: é:;\r\n", "To: =?utf-8?B?w6k=?=\r\n :\r\n ;\r\n" },
    { "a local part in quotes", "Sender: é <\"a b\"@example.org>\r\n",
        "Sender: =?utf-8?B?w6k=?=\r\n <\"a b\"@example.org>\r\n" },
    { "all address fields", "Resent-From: é@example.org\r\n",
        "Resent-From: =?utf-8?B?w6lAZXhhbXBsZS5vcmc=?=\r\n " INVALID "\r\n" },
    { "no address at all", "From: \xc3\xa9\r\n", NULL },
    { "Return-Path", "Return-Path: <é@example.org>\r\n", "Return-Path: " INVALID "\r\n" },
    { "a file name", "Content-Disposition: attachment; filename=é.txt; size=3\r\n",
        "Content-Disposition: attachment;\r\n filename*=utf-8''%C3%A9.txt;\r\n size=3\r\n" },
    { "a file name in quotes", "Content-Type: text/plain; name=\"é \\\"x\\\"\"; charset=utf-8\r\n",
        "Content-Type: text/plain;\r\n name*=utf-8''%C3%A9%20%22x%22;\r\n charset=utf-8\r\n" },
    { "a long file name", "Content-Disposition: inline; filename=ééééééééééé\r\n",
        "Content-Disposition: inline;\r\n filename*0*=utf-8''"
        "%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9;\r\n"
        " filename*1*=%C3%A9\r\n" },
    { "a parameter with that name", "Content-Type: text/plain; é=x; charset=utf-8\r\n",
        "Content-Type: text/plain;\r\n charset=utf-8\r\n" },
    { "what has a form of its own", "Message-ID: <é@example.org>\r\n", "" },
    { "where it came from", "Received: from é by example.org; Wed, 25 Nov 2026 04:45:00 +0000\r\n",
        "" },
    { "a name that is not ASCII", "Sübject: x\r\n", "" },
    { "no field", "é x\r\n", "?? x\r\n" },
    { "a line end that words bring along", "Subject: é =?utf-8?B?DQpFdmlsOiB4?=\r\n",
        "Subject: =?utf-8?B?w6kgDQpFdmlsOiB4?=\r\n" },
    { "a line end in a name", "From: =?utf-8?B?DQpFdmlsOiB4?= <é@example.org>\r\n", NULL },
};

static void fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        struct buf message, wanted, out;
        struct msg_facts facts;
        buf_init(&message, 0), buf_init(&wanted, 0);
        buf_addf(&message, "Date: x\r\n%sMIME-Version: 1.0\r\n\r\nBody é\r\n", row->field);
        for (size_t step = 1; step < 4096; step *= 8) {
            downgrade(buf_slice(&message), step, &out, &facts);
            bool ascii = slice_is_ascii(slice_of(row->field));
            assert_int_equal(facts.needs_utf8, !ascii);
            if (!ascii)
                assert_int_equal(facts.surrogate_bytes, buf_len(&out));
            if (row->wanted) {
                buf_clear(&wanted);
                buf_addf(&wanted, "Date: x\r\n%sMIME-Version: 1.0\r\n\r\nBody é\r\n", row->wanted);
                assert_slice(row->name, buf_slice(&out), buf_slice(&wanted));
            }
            struct slice header = slice_sub(buf_slice(&out), 0, msg_header_len(buf_slice(&out)));
            assert_true(slice_is_ascii(header));
            assert_int_equal(slice_find(header, SLICE("\nEvil")), SIZE_MAX);
            buf_done(&out);
        }
        buf_done(&message), buf_done(&wanted);
    }
}

/* Headers of parts and of messages inside; preamble, bodies and epilogue stay. */
static void parts(void **state)
{
    (void)state;
    static const char message[] =
        "Subject: é\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npré\r\n"
        "--b\r\nContent-Disposition: attachment; filename=é\r\n\r\nSubject: é\r\n"
        "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: ü\r\n\r\ntéxt\r\n"
        "--b\r\nSubject: ö\r\n"
        "--b--\r\népilogue\r\nSubject: é\r\n";
    static const char wanted[] =
        "Subject: =?utf-8?B?w6k=?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npré\r\n"
        "--b\r\nContent-Disposition: attachment;\r\n filename*=utf-8''%C3%A9\r\n\r\nSubject: é\r\n"
        "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: =?utf-8?B?w7w=?=\r\n\r\ntéxt\r\n"
        "--b\r\nSubject: =?utf-8?B?w7Y=?=\r\n"
        "--b--\r\népilogue\r\nSubject: é\r\n";
    for (size_t step = 1; step < sizeof message; step++) {
        struct buf out;
        struct msg_facts facts;
        downgrade(SLICE(message), step, &out, &facts);
        assert_slice("parts", buf_slice(&out), SLICE(wanted));
        assert_true(facts.needs_utf8);
        assert_int_equal(facts.surrogate_bytes, sizeof wanted - 1);
        buf_done(&out);
    }
}

static void limits(void **state)
{
    (void)state;
    static const struct {
        const char *name, *start;
        int c;
        bool stays;
    } longs[] = {
        { "ASCII, then not", "X-Long: ", 'x', true },
        { "not ASCII from the start", "X-Long: é", 'x', false },
    };
    for (size_t i = 0; i < 2; i++) {
        struct buf message, out;
        struct msg_facts facts;
        buf_init(&message, 0);
        buf_adds(&message, longs[i].start);
        memset(buf_room(&message, MIME_HEADER_BYTES_MAX), longs[i].c, MIME_HEADER_BYTES_MAX);
        buf_wrote(&message, MIME_HEADER_BYTES_MAX);
        buf_adds(&message, "é\r\nSubject: é\r\n\r\né");
        downgrade(buf_slice(&message), 4096, &out, &facts);
        assert_true(facts.needs_utf8);
        assert_true(facts.surrogate_bytes == MSG_SURROGATE_UNKNOWN);
        static const char after[] = "Subject: =?utf-8?B?w6k=?=\r\n\r\né";
        struct slice got = buf_slice(&out);
        assert_slice(
            longs[i].name, slice_from_index(got, got.len - (sizeof after - 1)), SLICE(after));
        if (longs[i].stays)
            assert_int_equal(
                got.len, buf_len(&message) - strlen("Subject: é\r\n\r\né") + sizeof after - 1);
        else
            assert_int_equal(got.len, sizeof after - 1);
        buf_done(&message), buf_done(&out);
    }
    /* one less is a field like others */
    struct buf message, out, text;
    struct msg_facts facts;
    buf_init(&message, 0), buf_init(&text, 0);
    buf_adds(&message, "Subject: ");
    while (buf_len(&message) + 4 <= MIME_HEADER_BYTES_MAX)
        buf_adds(&message, "é");
    buf_adds(&message, "\r\n");
    downgrade(buf_slice(&message), 4096, &out, &facts);
    assert_int_equal(facts.surrogate_bytes, buf_len(&out));
    struct slice header = buf_slice(&out), line, whole = header;
    while (slice_cut(&header, '\n', &line))
        assert_true(line.len <= 77);
    struct msg_field field;
    assert_true(msg_field_next(&whole, &field));
    msg_decode_words(field.value, &text);
    assert_slice(
        "all of it", buf_slice(&text), slice_sub(buf_slice(&message), 9, buf_len(&message) - 11));
    buf_done(&message), buf_done(&out), buf_done(&text);
}

/* What has nothing but such fields becomes nothing, and that is known. */
static void nothing_left(void **state)
{
    (void)state;
    struct buf out;
    struct msg_facts facts;
    downgrade(SLICE("Message-ID: é\r\nReceived: é"), 1, &out, &facts);
    assert_int_equal(buf_len(&out), 0);
    assert_true(facts.needs_utf8 && facts.surrogate_bytes == 0);
    buf_done(&out);
    downgrade(SLICE("Message-ID: e\r\n\r\né"), 1, &out, &facts);
    assert_true(!facts.needs_utf8 && facts.surrogate_bytes == MSG_SURROGATE_UNKNOWN);
    buf_done(&out);
}

/* A summary that lies about where things are takes nothing away and never ends up elsewhere than at the end. */
static void damaged(void **state)
{
    (void)state;
    struct buf room, out;
    struct msg_summary summary;
    struct msg_downgrade d;
    buf_init(&room, 0), buf_init(&out, 0);
    assert_ok(msg_summary_make(SLICE("Subject: a long one\r\n\r\nbody\r\n"), &room));
    assert_ok(msg_summary_open(buf_slice(&room), &summary));
    msg_downgrade_init(&d, &summary);
    msg_downgrade_feed(&d, SLICE("A: é"), &out);
    msg_downgrade_end(&d, &out);
    msg_downgrade_done(&d);
    assert_true(slice_is_ascii(buf_slice(&out)));
    buf_done(&room), buf_done(&out);
}

TEST_MAIN(cmocka_unit_test(fields), cmocka_unit_test(parts), cmocka_unit_test(limits),
    cmocka_unit_test(nothing_left), cmocka_unit_test(damaged))
