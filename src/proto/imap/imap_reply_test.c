/* Answers of servers, whole and in pieces, good and bad. */
#include "proto/imap/imap_reply_show_test.h"

#include "base/test.h"

#include <stdlib.h>
#include <string.h>

/* Feeds text byte by byte (or at once): how the frame ended, and after how many bytes. */
static enum imap_reply_frame frame_of(struct slice text, bool bytewise, size_t *out_seen)
{
    struct imap_reply_framer f;
    imap_reply_framer_init(&f);
    enum imap_reply_frame end = IMAP_REPLY_MORE;
    for (size_t len = bytewise ? 1 : text.len; end == IMAP_REPLY_MORE && len <= text.len; len++)
        end = imap_reply_feed(&f, slice_sub(text, 0, len));
    *out_seen = f.seen;
    return end;
}

static void test_frames(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        enum imap_reply_frame end;
        size_t seen;
    } rows[] = {
        { "status", "a1 OK done\r\n* 1", IMAP_REPLY_DONE, 12 },
        { "text that ends like a literal", "* OK see {5}\r\n* 1", IMAP_REPLY_DONE, 14 },
        { "a literal in the middle", "* LIST () {1}\r\n/ {3}\r\na\nb\r\nx", IMAP_REPLY_DONE, 27 },
        { "an empty literal", "* LIST () {0}\r\n x\r\n", IMAP_REPLY_DONE, 19 },
        { "a message", "* 3 FETCH (UID 7 BODY[] {5}\r\nhello)\r\n", IMAP_REPLY_BODY, 29 },
        { "a message as literal8", "* 3 FETCH (BINARY[] ~{5}\r\nhello)\r\n", IMAP_REPLY_BODY, 26 },
        { "a header is no message", "* 3 FETCH (BODY[HEADER] {2}\r\nhi)\r\n", IMAP_REPLY_DONE, 34 },
        { "bare LF", "* OK hi\n", IMAP_REPLY_BAD, 8 },
        { "LF alone", "\n", IMAP_REPLY_BAD, 1 },
        { "not yet", "* LIST () {5}\r\nab", IMAP_REPLY_MORE, 17 },
        { "a literal over the limit", "* LIST () {4294967295}\r\n", IMAP_REPLY_TOO_LONG, 24 },
        { "a number over all", "* LIST () {99999999999999999999}\r\n", IMAP_REPLY_TOO_LONG, 34 },
        { "no number", "* LIST () {}\r\n", IMAP_REPLY_TOO_LONG, 14 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] * 2; i++) {
        size_t seen;
        enum imap_reply_frame end = frame_of(slice_of(rows[i / 2].text), i % 2 == 1, &seen);
        if (end != rows[i / 2].end || seen != rows[i / 2].seen)
            fail_msg("%s: end %d after %zu", rows[i / 2].name, (int)end, seen);
    }
}

static void test_body_resumes(void **state)
{
    (void)state;
    struct imap_reply_framer f;
    imap_reply_framer_init(&f);
    struct slice first = SLICE("* 3 FETCH (BODY[] {5}\r\n");
    assert_int_equal(imap_reply_feed(&f, first), IMAP_REPLY_BODY);
    assert_int_equal(f.literal, 5);
    assert_int_equal(imap_reply_header_len(first), 5);
    imap_reply_resume(&f);
    struct slice rest = SLICE(" UID 7 FLAGS (\\Seen))\r\n* 4");
    assert_int_equal(imap_reply_feed(&f, rest), IMAP_REPLY_DONE);
    assert_int_equal(f.seen, rest.len - 3);
}

/* One over: memory is bounded whatever a server sends. */
static void test_too_long(void **state)
{
    (void)state;
    size_t len = IMAP_REPLY_BYTES_MAX + 1;
    char *text = malloc(len);
    assert_non_null(text);
    memset(text, 'x', len);
    memcpy(text, "* OK ", 5);
    size_t seen;
    assert_int_equal(frame_of(slice_from(text, len - 1), false, &seen), IMAP_REPLY_MORE);
    assert_int_equal(frame_of(slice_from(text, len), false, &seen), IMAP_REPLY_TOO_LONG);
    free(text);
}

static void test_grammar(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown; /* NULL: ERR_SYNTAX */
    } rows[] = {
        { "* OK [CAPABILITY IMAP4rev1 SASL-IR] ready\r\n",
            "* OK [CAPABILITY IMAP4rev1 SASL-IR] ready\r\n" },
        { "a1 OK [APPENDUID 38505 3955] done\r\n", "a1 OK [APPENDUID 38505 3955] done\r\n" },
        { "* OK [PERMANENTFLAGS (\\* a]b)] all\r\n", "* OK [PERMANENTFLAGS (\\* a]b)] all\r\n" },
        { "* OK [BAD(] text\r\n", "* OK [BAD(] text\r\n" },
        { "a NO\r\n", "a NO \r\n" },
        { "+ cmVhZHk=\r\n", "+ cmVhZHk=\r\n" },
        { "+\r\n", "+ \r\n" },
        { "* 12 EXISTS\r\n", "* 12 EXISTS\r\n" },
        { "* 12 FETCH (UID 5 FLAGS (\\Seen $Label1) RFC822.SIZE 10)\r\n",
            "* 12 FETCH (UID 5 FLAGS (\\Seen $Label1) RFC822.SIZE 10)\r\n" },
        { "* 2 FETCH (BODY[HEADER.FIELDS (DATE)] \"a\\\"b\\\\c\" UID 1)\r\n",
            "* 2 FETCH (BODY[HEADER.FIELDS (DATE)] {5}\r\na\"b\\c UID 1)\r\n" },
        { "* LIST (\\HasNoChildren) \"/\" {3}\r\na\r\n\r\n",
            "* LIST (\\HasNoChildren) {1}\r\n/ {3}\r\na\r\n\r\n" },
        { "* STATUS x (MESSAGES 1)\r\n", "* STATUS x (MESSAGES 1)\r\n" },
        { "* THREAD (1)(2 3)\r\n", "* THREAD (1) (2 3)\r\n" },
        { "* VANISHED (EARLIER) 41,43:116\r\n", "* VANISHED (EARLIER) 41,43:116\r\n" },
        { "* SEARCH\r\n", "* SEARCH\r\n" },
        { "* LIST (\r\n", NULL },
        { "* LIST )\r\n", NULL },
        { "* X \"a\r\n", NULL },
        { "* X {9}\r\nab\r\n", NULL },
        { "* X BODY[\r\n", NULL },
        { "a1 FETCH\r\n", NULL },
        { "*\r\n", NULL },
        { " OK\r\n", NULL },
        { "* OK", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena arena;
        struct buf shown;
        struct imap_reply reply;
        arena_init(&arena, 1u << 20);
        buf_init(&shown, 0);
        enum err e = imap_reply_parse(&arena, slice_of(rows[i].text), &reply);
        if (e == ERR_OK)
            show_reply(&reply, &shown);
        if (!rows[i].shown)
            assert_err(ERR_SYNTAX, e);
        else
            assert_slice(rows[i].text, buf_slice(&shown), slice_of(rows[i].shown));
        buf_done(&shown);
        arena_done(&arena);
    }
}

static void test_depth(void **state)
{
    (void)state;
    char text[2 * IMAP_REPLY_DEPTH_MAX + 16];
    for (unsigned over = 0; over < 2; over++) {
        struct arena arena;
        struct imap_reply reply;
        unsigned depth = IMAP_REPLY_DEPTH_MAX + over;
        size_t len = (size_t)snprintf(text, sizeof text, "* X ");
        memset(text + len, '(', depth);
        memset(text + len + depth, ')', depth);
        len += 2 * (size_t)depth;
        memcpy(text + len, "\r\n", 2);
        arena_init(&arena, 1u << 20);
        assert_err(
            over ? ERR_LIMIT : ERR_OK, imap_reply_parse(&arena, slice_from(text, len + 2), &reply));
        arena_done(&arena);
    }
}

TEST_MAIN(cmocka_unit_test(test_frames), cmocka_unit_test(test_body_resumes),
    cmocka_unit_test(test_too_long), cmocka_unit_test(test_grammar), cmocka_unit_test(test_depth))
