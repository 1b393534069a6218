#include "base/test.h"

#include "proto/imap/imap_show_test.h"

#include <string.h>

/* Each row without its CRLF; shown NULL = as sent, "" = syntax error. */
static const struct {
    const char *sent, *shown;
} rows[] = {
    { "a NOOP", NULL },
    { "a noop", "a NOOP" },
    { "a  NOOP", "" },
    { "a NOOP ", "" },
    { " NOOP", "" },
    { "+ NOOP", "" },
    { "a+ NOOP", "" },
    { "a", "" },
    { "", "" },
    { "a UID NOOP", NULL },
    { "a LOGIN salma secret", NULL },
    { "a LOGIN \"salma\" \"se\\\"cr\\\\et\"", "a LOGIN salma \"se\\\"cr\\\\et\"" },
    { "a LOGIN {5+}\r\nsalma \"\"", "a LOGIN salma \"\"" },
    { "a LOGIN {5}\r\nsalma x]", "a LOGIN salma \"x]\"" },
    { "a LOGIN salma", "" },
    { "a LOGIN salma a b", "" },
    { "a LOGIN \"salma", "" },
    { "a LOGIN \"sal\\ma\" x", "" },
    { "a LOGIN \xd8\xb3 x", "" },
    { "a LOGIN \"\xd8\xb3\" x", "" },
    { "a LOGIN {2+}\r\n\xd8\xb3 x", "a LOGIN {2+}\r\n\xd8\xb3 x" },
    { "a LOGIN {99+}\r\n\xd8\xb3 x", "" },
    { "a AUTHENTICATE PLAIN", NULL },
    { "a AUTHENTICATE PLAIN =", NULL },
    { "a AUTHENTICATE PLAIN AGE=", NULL },
    { "a ID NIL", NULL },
    { "a ID (\"name\" \"x\" \"version\" NIL)",
        "a ID ({4+}\r\nname {1+}\r\nx {7+}\r\nversion NIL)" },
    { "a ID ()", "a ID NIL" },
    { "a ID (\"name\")", "" },
    { "a ENABLE CONDSTORE QRESYNC", NULL },
    { "a ENABLE", "" },
    { "a SELECT INBOX", NULL },
    { "a SELECT INBOX (CONDSTORE)", NULL },
    { "a SELECT INBOX (QRESYNC (67890007 90060115194045000))", NULL },
    { "a SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211))", NULL },
    { "a SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211 (1,3 2,4)))",
        "a SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211))" },
    { "a SELECT INBOX (QRESYNC (67890007 20050715194045000 (1,3 2,4)))",
        "a SELECT INBOX (QRESYNC (67890007 20050715194045000))" },
    { "a SELECT INBOX (QRESYNC (0 1))", "" },
    { "a SELECT INBOX (QRESYNC (1 0))", "" },
    { "a SELECT INBOX (QRESYNC (1 1 1:*))", "" },
    { "a SELECT INBOX (QRESYNC (1 1)) x", "" },
    { "a SELECT INBOX (FOO)", "" },
    { "a SELECT INBOX ()", "" },
    { "a STATUS x (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN SIZE HIGHESTMODSEQ APPENDLIMIT)",
        NULL },
    { "a STATUS x ()", "" },
    { "a STATUS x (MESSAGES FOO)", "" },
    { "a STATUS x MESSAGES", "" },
    { "a LIST \"\" *", "a LIST \"\" \"*\"" },
    { "a LIST \"\" %", "a LIST \"\" \"%\"" },
    { "a LSUB \"\" x*%", "a LSUB \"\" \"x*%\"" },
    { "a LIST () \"\" %", "a LIST () \"\" (\"%\") RETURN ()" },
    { "a LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (a b)",
        "a LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (a b) RETURN ()" },
    { "a LIST \"\" % RETURN (SPECIAL-USE CHILDREN STATUS (MESSAGES))",
        "a LIST () \"\" (\"%\") RETURN (SPECIAL-USE CHILDREN STATUS (MESSAGES))" },
    { "a LIST (RECURSIVEMATCH) \"\" %", "" },
    { "a LIST (STATUS (MESSAGES)) \"\" %", "" },
    { "a LIST \"\" % RETURN (RECURSIVEMATCH)", "" },
    { "a LIST \"\" % RETURN", "" },
    { "a LIST \"\"", "" },
    { "a FETCH 1 ALL", "a FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)" },
    { "a FETCH 1 FAST", "a FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE)" },
    { "a FETCH 1 full", "a FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY)" },
    { "a FETCH 1,3:5,*,7:* (UID)", NULL },
    { "a FETCH 5:3 UID", "a FETCH 5:3 (UID)" },
    { "a FETCH 1 (FLAGS UID INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE MODSEQ RFC822 "
      "RFC822.HEADER RFC822.TEXT BODY)",
        NULL },
    { "a FETCH 1 body.peek[]<0.10>", "a FETCH 1 (BODY.PEEK[]<0.10>)" },
    { "a FETCH 1 (BODY[1.2.MIME] BODY[HEADER] BODY[3.TEXT] BODY[4])", NULL },
    { "a FETCH 1 (BODY[1.HEADER.FIELDS (To \"x y\")] BODY.PEEK[HEADER.FIELDS.NOT (From)])", NULL },
    { "a FETCH 1 (BINARY[1.2]<3.4> BINARY.PEEK[] BINARY.SIZE[5] PREVIEW)", NULL },
    { "a FETCH 1 (preview (lazy) UID)", "a FETCH 1 (PREVIEW UID)" },
    { "a FETCH 1 PREVIEW (CHANGEDSINCE 5)", "a FETCH 1 (PREVIEW) (CHANGEDSINCE 5)" },
    { "a FETCH 1 PREVIEW (LAZY) (CHANGEDSINCE 5)", "a FETCH 1 (PREVIEW) (CHANGEDSINCE 5)" },
    { "a FETCH 1 PREVIEW (EAGER)", "" },
    { "a FETCH 1 BINARY[1.HEADER]", "" },
    { "a FETCH 1 BINARY[MIME]", "" },
    { "a FETCH 1 BINARY", "" },
    { "a FETCH 1 BINARY.SIZE[1]<0.1>", "" },
    { "a FETCH 4294967295 (UID)", NULL },
    { "a FETCH 4294967296 (UID)", "" },
    { "a FETCH 0 (UID)", "" },
    { "a FETCH $ (UID)", "" },
    { "a FETCH 1: (UID)", "" },
    { "a FETCH 1,, (UID)", "" },
    { "a FETCH 1 ()", "" },
    { "a FETCH 1 (ALL)", "" },
    { "a FETCH 1 (UID", "" },
    { "a FETCH 1 (UID)x", "" },
    { "a FETCH 1 BODY[", "" },
    { "a FETCH 1 BODY[0]", "" },
    { "a FETCH 1 BODY[1.]", "" },
    { "a FETCH 1 BODY[.1]", "" },
    { "a FETCH 1 BODY[MIME]", "" },
    { "a FETCH 1 BODY[1.FOO]", "" },
    { "a FETCH 1 BODY[HEADER.FIELDS ()]", "" },
    { "a FETCH 1 BODY[]<1>", "" },
    { "a FETCH 1 BODY[]<0.0>", "" },
    { "a FETCH 1 BODY[]<4294967296.1>", "" },
    { "a FETCH 1 (FLAGS) (CHANGEDSINCE 12345)", NULL },
    { "a UID FETCH 1:* (FLAGS) (CHANGEDSINCE 12345 VANISHED)", NULL },
    { "a FETCH 1 (FLAGS) (VANISHED)", "" },
    { "a FETCH 1 (FLAGS) (CHANGEDSINCE 9223372036854775808)", "" },
    { "a STORE 1 FLAGS (\\Seen)", NULL },
    { "a STORE 1 +FLAGS.SILENT (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Forwarded x)",
        NULL },
    { "a STORE 1 -flags \\seen \\deleted", "a STORE 1 -FLAGS (\\Seen \\Deleted)" },
    { "a STORE 1 FLAGS ()", NULL },
    { "a STORE 1 (UNCHANGEDSINCE 5) FLAGS ()", NULL },
    { "a STORE 1 FLAGS (\\Recent)", "" },
    { "a STORE 1 FLAGS (\\Foo)", "" },
    { "a STORE 1 FLAGS (a  b)", "" },
    { "a STORE 1 FLAGS", "" },
    { "a STORE 1 FLAGS ", "" },
    { "a STORE 1 FLAGX (a)", "" },
    { "a COPY 1:* x", NULL },
    { "a COPY 1:*", "" },
    { "a UID EXPUNGE 1:3", NULL },
    { "a SEARCH ALL", NULL },
    { "a SEARCH 1:3 UID 5 NOT SEEN OR TO x (FROM y UNDELETED)",
        "a SEARCH 1:3 UID 5 NOT SEEN OR HEADER To x (HEADER From y UNDELETED)" },
    { "a SEARCH CHARSET UTF-8 TEXT {2+}\r\n\xd8\xb3", NULL },
    { "a SEARCH SINCE 1-Feb-2024 BEFORE \"2-Feb-2024\"",
        "a SEARCH SINCE 01-Feb-2024 BEFORE 02-Feb-2024" },
    { "a SEARCH ANSWERED DELETED DRAFT FLAGGED SEEN UNANSWERED UNDELETED UNDRAFT UNFLAGGED UNSEEN "
      "NEW OLD RECENT",
        NULL },
    { "a SEARCH SENTBEFORE 01-Feb-2024 SENTON 01-Feb-2024 SENTSINCE 01-Feb-2024 ON 01-Feb-2024",
        NULL },
    { "a SEARCH KEYWORD x UNKEYWORD y LARGER 5 SMALLER 4294967296", NULL },
    { "a SEARCH BODY x TEXT \"\" HEADER X-Y z BCC q CC q SUBJECT q",
        "a SEARCH BODY x TEXT \"\" HEADER X-Y z HEADER Bcc q HEADER Cc q HEADER Subject q" },
    { "a SEARCH MODSEQ 5", NULL },
    { "a SEARCH MODSEQ \"/flags/\\\\draft\" all 620162338", "a SEARCH MODSEQ 620162338" },
    { "a SEARCH", "" },
    { "a SEARCH CHARSET UTF-8", "" },
    { "a SEARCH FOO", "" },
    { "a SEARCH (SEEN", "" },
    { "a SEARCH ()", "" },
    { "a SEARCH OR SEEN", "" },
    { "a SEARCH NOT", "" },
    { "a SEARCH ON 99-Feb-2024", "" },
    { "a SEARCH SEEN ", "" },
    { "a SORT (SUBJECT) UTF-8 SINCE 01-Feb-1994", NULL },
    { "a UID SORT (SUBJECT REVERSE DATE) UTF-8 ALL", NULL },
    { "a SORT (subject) \"us-ascii\" TEXT \"not in mailbox\"",
        "a SORT (SUBJECT) us-ascii TEXT \"not in mailbox\"" },
    { "a SORT (ARRIVAL CC DATE FROM SIZE SUBJECT TO DISPLAYFROM REVERSE DISPLAYTO) UTF-8 1:2", NULL },
    { "a SORT (SUBJECT) UTF-8", "" },
    { "a SORT (SUBJECT) \"\" ALL", "" },
    { "a SORT (SUBJECT) ALL", "" },
    { "a SORT (SUBJECT)ALL", "" },
    { "a SORT SUBJECT UTF-8 ALL", "" },
    { "a SORT () UTF-8 ALL", "" },
    { "a SORT (SUBJECT ) UTF-8 ALL", "" },
    { "a SORT (REVERSE) UTF-8 ALL", "" },
    { "a SORT (REVERSE REVERSE DATE) UTF-8 ALL", "" },
    { "a SORT (REVERSEDATE) UTF-8 ALL", "" },
    { "a SORT (BCC) UTF-8 ALL", "" },
    { "a SORT (DATE UTF-8 ALL", "" },
    { "a SORT (DATE) CHARSET UTF-8 ALL", "" },
    { "a THREAD REFERENCES UTF-8 SINCE 05-Mar-2000", NULL },
    { "a UID THREAD orderedsubject US-ASCII TEXT gewp",
        "a UID THREAD ORDEREDSUBJECT US-ASCII TEXT gewp" },
    { "a THREAD REFERENCES UTF-8", "" },
    { "a THREAD REFERENCES ALL", "" },
    { "a THREAD REFS UTF-8 ALL", "" },
    { "a THREAD UTF-8 ALL", "" },
    { "a THREAD (REFERENCES) UTF-8 ALL", "" },
    { "a APPEND x {5}\r\n", "a APPEND x () {5+}\r\n" },
    { "a APPEND x (\\Seen) \"01-Feb-2024 10:00:00 +0000\" {5+}\r\n {6}\r\n",
        "a APPEND x (\\Seen) \"01-Feb-2024 10:00:00 +0000\" {5+}\r\n () {6+}\r\n" },
    { "a APPEND x (\\Seen) \"99-Feb-2024 10:00:00 +0000\" {5+}\r\n", "" },
    { "a APPEND x", "" },
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena arena;
        struct buf frame, shown;
        arena_init(&arena, 1u << 20);
        buf_init(&frame, 0);
        buf_init(&shown, 0);
        buf_adds(&frame, rows[i].sent);
        /* an APPEND may end behind a message's header: there is more of it to come */
        if (!slice_ends_nocase(buf_slice(&frame), SLICE("\r\n")))
            buf_adds(&frame, "\r\n");
        enum err e = show_command(buf_slice(&frame), &arena, &shown);
        if (rows[i].shown && !*rows[i].shown) {
            if (e != ERR_SYNTAX)
                fail_msg("<%s>: got %s", rows[i].sent, err_name(e));
        } else if (e != ERR_OK) {
            fail_msg("<%s>: got %s", rows[i].sent, err_name(e));
        } else {
            const char *wanted = rows[i].shown ? rows[i].shown : rows[i].sent;
            struct slice got = buf_slice(&shown);
            got.len -= slice_ends_nocase(slice_of(wanted), SLICE("\r\n")) ? 0 : 2;
            assert_slice(rows[i].sent, got, slice_of(wanted));
        }
        buf_done(&frame);
        buf_done(&shown);
        arena_done(&arena);
    }
}

/* Prefix, then unit count times, then suffix: one over a limit refused, at the limit taken. */
static void check_limit(
    const char *prefix, const char *unit, size_t count, const char *suffix, enum err wanted)
{
    struct arena arena;
    struct buf frame, shown;
    arena_init(&arena, 16u << 20);
    buf_init(&frame, 0);
    buf_init(&shown, 0);
    buf_adds(&frame, prefix);
    for (size_t i = 0; i < count; i++)
        buf_adds(&frame, unit);
    buf_adds(&frame, suffix);
    buf_adds(&frame, "\r\n");
    enum err e = show_command(buf_slice(&frame), &arena, &shown);
    if (e != wanted)
        fail_msg(
            "%s %zu * %s: got %s, wanted %s", prefix, count, unit, err_name(e), err_name(wanted));
    buf_done(&frame);
    buf_done(&shown);
    arena_done(&arena);
}

static void test_limits(void **state)
{
    (void)state;
    static const struct {
        const char *prefix, *unit;
        size_t count;
        const char *suffix;
    } limits[] = {
        { "a FETCH 1", ",1", IMAP_SET_RANGES_MAX - 1, " UID" },
        { "a FETCH 1 (UID", " UID", IMAP_FETCH_ITEMS_MAX - 1, ")" },
        { "a FETCH 1 BODY[1", ".1", IMAP_SECTION_DEPTH_MAX - 1, "]" },
        { "a FETCH 1 BODY[HEADER.FIELDS (a", " a", IMAP_HEADER_FIELDS_MAX - 1, ")]" },
        { "a STORE 1 FLAGS (a", " a", IMAP_FLAGS_MAX - 1, ")" },
        { "a LIST \"\" (a", " a", IMAP_LIST_PATTERNS_MAX - 1, ")" },
        { "a SEARCH ", "NOT ", IMAP_PAREN_DEPTH_MAX - 1, "SEEN" },
        { "a SEARCH SEEN", " SEEN", IMAP_SEARCH_KEYS_MAX - 2, "" },
        { "a SORT (DATE", " DATE", IMAP_SORT_CRITERIA_MAX - 1, ") UTF-8 ALL" },
        { "a SORT (DATE) UTF-8 ALL", " SEEN", IMAP_SEARCH_KEYS_MAX - 2, "" },
        { "a SELECT ", "x", MAILBOX_WIRE_BYTES_MAX, "" },
        { "", "t", IMAP_TAG_BYTES_MAX, " NOOP" },
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        check_limit(limits[i].prefix, limits[i].unit, limits[i].count, limits[i].suffix, ERR_OK);
        check_limit(
            limits[i].prefix, limits[i].unit, limits[i].count + 1, limits[i].suffix, ERR_LIMIT);
    }
    check_limit("a SEARCH ", "(", 200000, "", ERR_LIMIT);
    check_limit("a SEARCH ", "OR SEEN ", 10000, "SEEN", ERR_LIMIT);
    check_limit("a STORE 1 FLAGS (", "k", KEYWORD_BYTES_MAX + 1, ")", ERR_LIMIT);
}

/* A frame cut anywhere is never more than a syntax error. */
static void test_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t len = strlen(rows[i].sent);
        for (size_t cut = 0; cut < len; cut++) {
            struct arena arena;
            struct buf shown;
            arena_init(&arena, 1u << 20);
            buf_init(&shown, 0);
            enum err e = show_command(slice_from(rows[i].sent, cut), &arena, &shown);
            if (e != ERR_SYNTAX && strncmp(rows[i].sent, "a APPEND", 8) != 0)
                fail_msg("<%.*s>: got %s", (int)cut, rows[i].sent, err_name(e));
            buf_done(&shown);
            arena_done(&arena);
        }
    }
}

TEST_MAIN(cmocka_unit_test(test_rows), cmocka_unit_test(test_limits), cmocka_unit_test(test_cut))
