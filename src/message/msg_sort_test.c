#include "message/sort.h"

#include "base/arena.h"
#include "base/test.h"
#include "base/utf8.h"
#include "message/envelope.h"
#include "message/text.h"

#include <stdlib.h>
#include <unicase.h>
#include <uninorm.h>

/* RFC 5051 §2. */
static void casemap(void **state)
{
    (void)state;
    static const struct {
        const char *text, *mapped;
    } rows[] = {
        { "", "" }, { "Hello, World 1", "HELLO, WORLD 1" },
        { "\xc3\xa9t\xc3\xa9", "E\xcc\x81TE\xcc\x81" }, { "e\xcc\x81", "E\xcc\x81" },
        { "\xc7\x84", "D"
                      "z\xcc\x8c" }, /* the RFC's own example: U+01C4 */
        { "stra\xc3\x9f"
          "e",
            "STRA\xc3\x9f"
            "E" },                /* no title case of one character */
        { "\xef\xac\x81", "fi" }, /* title case comes before the decomposition */
        { "\xce\xb1\xcf\x82", "\xce\x91\xce\xa3" }, { "\xd0\xb6", "\xd0\x96" },
        { "\xd8\xa3",
            "\xd8\xa7\xd9\x94" },   /* alef with hamza is alef, then hamza; not alef alone */
        { "\xd9\xa1", "\xd9\xa1" }, /* an Arabic digit is not the ASCII one */
        { "\xef\xbc\xa1", "A" },    /* full width */
        { "a\xff"
          "b",
            "a\xff"
            "b" }, /* not UTF-8: as it is */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out;
        buf_init(&out, 0);
        text_casemap(slice_of(rows[i].text), &out);
        assert_slice(rows[i].text, buf_slice(&out), slice_of(rows[i].mapped));
        buf_done(&out);
    }
}

/* Each character, and each between two others, as Unicode's tables have it: a few ranges are taken without asking them. */
static void casemap_all(void **state)
{
    (void)state;
    for (uint32_t c = 0x80; c < 0x30000; c++) {
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        char bytes[4], titled[4];
        struct slice one = slice_from(bytes, utf8_encode(c, bytes));
        size_t titled_len = utf8_encode(uc_totitle(c), titled), len = 0;
        uint8_t *apart =
            u8_normalize(UNINORM_NFKD, (const uint8_t *)titled, titled_len, NULL, &len);
        struct buf text, wanted, got;
        buf_init(&text, 0);
        buf_init(&wanted, 0);
        buf_init(&got, 0);
        buf_adds(&text, "x\xd8\xb9"); /* ain, which stays */
        buf_add(&text, one);
        buf_adds(&text, "\xd8\xb9y");
        buf_adds(&wanted, "X\xd8\xb9");
        buf_add(&wanted, slice_from(apart, len));
        buf_adds(&wanted, "\xd8\xb9Y");
        text_casemap(buf_slice(&text), &got);
        if (!slice_eq(buf_slice(&got), buf_slice(&wanted)))
            fail_msg("U+%04X", (unsigned)c);
        free(apart);
        buf_done(&text);
        buf_done(&wanted);
        buf_done(&got);
    }
}

static void show(const struct envelope_string *string, struct buf *out)
{
    if (!string->bytes.ptr)
        buf_adds(out, "-");
    envelope_text(string, out);
    buf_addc(out, ' ');
}

static void envelopes(void **state)
{
    (void)state;
    static const struct {
        const char *envelope, *firsts; /* of From, To, Cc */
    } rows[] = {
        { "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)", "- - - - - - - - - " },
        { "(\"d\" \"s\" ((\"N\" NIL \"m\" \"h\")) NIL NIL ((NIL NIL \"g\" NIL)(NIL NIL \"x\" "
          "\"y\"))"
          " ((\"\" \"@r\" \"c\" \"e\")) NIL NIL NIL)",
            "N m h - g -  c e " },
        { "(NIL {3}\r\n)(\" ((\"a\\\"b\\\\\" NIL {1}\r\n\" \"h\")) NIL NIL NIL NIL NIL NIL NIL)",
            "a\"b\\ \" h - - - - - - " },
        { "", "- - - - - - - - - " },
        { "(NIL NIL ((\"N\" NIL \"m\" \"h\")", "N m h - - - - - - " },
        { "(NIL NIL ((\"N\" NIL \"m", "- - - - - - - - - " },
        { "(NIL {99}\r\nx", "- - - - - - - - - " },
        { "(NIL {18446744073709551615}\r\nx", "- - - - - - - - - " },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct envelope_address firsts[ENVELOPE_FIRSTS];
        static const enum envelope_list lists[] = { ENVELOPE_FROM, ENVELOPE_TO, ENVELOPE_CC };
        struct buf out;
        buf_init(&out, 0);
        envelope_firsts(slice_of(rows[i].envelope), firsts);
        for (size_t k = 0; k < 3; k++) {
            show(&firsts[lists[k]].name, &out);
            show(&firsts[lists[k]].mailbox, &out);
            show(&firsts[lists[k]].host, &out);
        }
        assert_slice(rows[i].envelope, buf_slice(&out), slice_of(rows[i].firsts));
        buf_done(&out);
    }
}

/* ---- tables ---- */

#define FACTS_ALL                                                                                  \
    (SORT_FACT_ARRIVAL | SORT_FACT_DATE | SORT_FACT_SUBJECT | SORT_FACT_ADDRESSES | SORT_FACT_IDS)

static enum err add(struct sort_table *table, unsigned facts, uint32_t uid, const char *header)
{
    struct buf bytes;
    struct msg_summary summary;
    buf_init(&bytes, 0);
    assert_ok(msg_summary_make(slice_of(header), &bytes));
    assert_ok(msg_summary_open(buf_slice(&bytes), &summary));
    struct sort_message message = {
        .uid = uid, .received_s = 1000 - uid, .size = slice_of(header).len, .summary = &summary
    };
    assert_true(msg_kept_header(&summary, &message.header));
    enum err e = sort_table_add(table, facts, &message);
    buf_done(&bytes);
    return e;
}

static void check_order(struct sort_table *table, const struct sort_criterion *criteria,
    size_t count, const char *uids_text, const char *wanted)
{
    struct uidset uids;
    struct buf out;
    uint32_t *order;
    size_t found;
    uidset_init(&uids);
    buf_init(&out, 0);
    assert_ok(uidset_read(&uids, slice_of(uids_text), 100));
    sort_table_order(table, criteria, count, &uids, &order, &found);
    for (size_t i = 0; i < found; i++)
        buf_addf(&out, i ? " %u" : "%u", (unsigned)order[i]);
    assert_slice(uids_text, buf_slice(&out), slice_of(wanted));
    free(order);
    buf_done(&out);
    uidset_done(&uids);
}

static void check_threads(struct sort_table *table, enum thread_algorithm algorithm,
    const char *uids_text, const char *wanted)
{
    struct uidset uids;
    struct buf out;
    uint32_t *tokens;
    size_t count;
    uidset_init(&uids);
    buf_init(&out, 0);
    assert_ok(uidset_read(&uids, slice_of(uids_text), 100));
    sort_table_thread(table, algorithm, &uids, &tokens, &count);
    for (size_t i = 0; i < count; i++) {
        if (tokens[i] == THREAD_OPEN || tokens[i] == THREAD_CLOSE)
            buf_addc(&out, tokens[i] == THREAD_OPEN ? '(' : ')');
        else
            buf_addf(&out, " %u", (unsigned)tokens[i]);
    }
    assert_slice(uids_text, buf_slice(&out), slice_of(wanted));
    free(tokens);
    buf_done(&out);
    uidset_done(&uids);
}

static const char *const mail[] = {
    "Subject: b\r\nFrom: Z <b@x>\r\nMessage-ID: <1@x>\r\nDate: Thu, 1 Jan 1970 00:00:03 "
    "+0000\r\n\r\n",
    "Subject: Re: B\r\nFrom: y@x\r\nTo: c@x\r\nReferences: <1@x>\r\n"
    "Date: Thu, 1 Jan 1970 00:00:02 +0000\r\n\r\nbody\r\n",
    "Subject: a\r\nFrom: =?utf-8?q?=C3=A9?= <a@x>\r\nMessage-ID: <3@x>\r\n"
    "Date: Thu, 1 Jan 1970 00:00:01 +0000\r\n\r\n",
    "Subject: a\r\nIn-Reply-To: <3@x>\r\n\r\n",
};

static struct sort_table *filled_table(size_t count)
{
    struct sort_table *table = sort_table_new(1u << 20);
    for (size_t i = 0; i < count; i++)
        assert_ok(add(table, FACTS_ALL, (uint32_t)i + 1, mail[i]));
    sort_table_filled(table, FACTS_ALL, (uint32_t)count + 1);
    return table;
}

static void orders(void **state)
{
    (void)state;
    static const struct {
        struct sort_criterion criteria[2];
        size_t count;
        const char *order;
    } rows[] = {
        { { { SORT_ARRIVAL, false } }, 1, "4 3 2 1" },
        { { { SORT_ARRIVAL, true } }, 1, "1 2 3 4" },
        { { { SORT_DATE, false } }, 1, "3 2 1 4" },
        { { { SORT_SIZE, false } }, 1, "4 1 2 3" },
        { { { SORT_SUBJECT, false } }, 1, "3 4 1 2" },
        { { { SORT_SUBJECT, true } }, 1, "1 2 3 4" },
        { { { SORT_SUBJECT, false }, { SORT_DATE, false } }, 2, "3 4 2 1" },
        { { { SORT_SUBJECT, false }, { SORT_DATE, true } }, 2, "4 3 1 2" },
        { { { SORT_FROM, false } }, 1, "4 3 1 2" },
        { { { SORT_TO, false } }, 1, "1 3 4 2" },
        { { { SORT_CC, true } }, 1, "1 2 3 4" },
        { { { SORT_DISPLAYFROM, false } }, 1, "4 3 2 1" },
        { { { SORT_DISPLAYTO, true } }, 1, "2 1 3 4" },
    };
    struct sort_table *table = filled_table(4);
    for (int again = 0; again < 2; again++)
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            check_order(table, rows[i].criteria, rows[i].count, "1:4", rows[i].order);
    sort_table_free(table);
}

static void what_is_wanted(void **state)
{
    (void)state;
    static const struct sort_criterion by_date = { SORT_DATE, false };
    struct sort_table *table = filled_table(3);
    check_order(table, &by_date, 1, "1:3", "3 2 1");
    check_order(table, &by_date, 1, "1,3", "3 1");
    check_order(table, &by_date, 1, "2", "2");
    check_order(table, &by_date, 1, "4:9", ""); /* never seen: gone */
    check_order(table, &by_date, 1, "1:9", "3 2 1");
    check_threads(table, THREAD_REFERENCES, "1:3", "( 3)( 1 2)");
    check_threads(table, THREAD_REFERENCES, "1:2", "( 1 2)");
    check_threads(table, THREAD_ORDEREDSUBJECT, "1:3", "( 3)( 2 1)");
    /* one comes in, with a hole before it */
    assert_int_equal(sort_table_lacks_from(table, FACTS_ALL), 4);
    assert_ok(add(table, FACTS_ALL, 7, mail[3]));
    sort_table_filled(table, FACTS_ALL, 8);
    check_order(table, &by_date, 1, "1:9", "3 2 1 7");
    check_order(table, &by_date, 1, "2:7", "3 2 7");
    check_threads(table, THREAD_REFERENCES, "1:7", "( 3 7)( 1 2)");
    check_threads(table, THREAD_REFERENCES, "1:2,7", "( 1 2)( 7)");
    sort_table_free(table);
}

/* Facts of one kind come later than those of another; what is gone by then lacks them. */
static void kinds(void **state)
{
    (void)state;
    static const struct sort_criterion by_date = { SORT_DATE, false },
                                       by_size = { SORT_SIZE, false };
    struct sort_table *table = sort_table_new(1u << 20);
    assert_int_equal(sort_table_lacks_from(table, SORT_FACT_DATE), 1);
    for (uint32_t uid = 1; uid <= 3; uid++)
        assert_ok(add(table, SORT_FACT_DATE, uid, mail[uid - 1]));
    sort_table_filled(table, SORT_FACT_DATE, 4);
    assert_int_equal(sort_table_lacks_from(table, SORT_FACT_DATE), 4);
    assert_int_equal(sort_table_lacks_from(table, SORT_FACT_DATE | SORT_FACT_ARRIVAL), 1);
    check_order(table, &by_date, 1, "1:4", "3 2 1");
    check_order(table, &by_size, 1, "1:4", "");
    assert_ok(add(table, SORT_FACT_ARRIVAL | SORT_FACT_DATE, 1, mail[0]));
    assert_ok(add(table, SORT_FACT_ARRIVAL | SORT_FACT_DATE, 3, mail[2]));
    assert_ok(add(table, SORT_FACT_ARRIVAL | SORT_FACT_DATE, 4, mail[3]));
    sort_table_filled(table, SORT_FACT_ARRIVAL | SORT_FACT_DATE, 5);
    check_order(table, &by_size, 1, "1:4", "4 1 3");
    check_order(table, &by_date, 1, "1,3:4", "3 1 4");
    assert_int_equal(sort_table_rows(table), 4);
    sort_table_clear(table);
    assert_int_equal(sort_table_rows(table), 0);
    assert_int_equal(sort_table_lacks_from(table, SORT_FACT_DATE), 1);
    check_order(table, &by_date, 1, "1:4", "");
    sort_table_free(table);
}

/* A row is there before its facts: for a session that does not know of it, orders are made without it, and those that know find it in its place. */
static void facts_come_later(void **state)
{
    (void)state;
    static const struct sort_criterion by_subject = { SORT_SUBJECT, false },
                                       by_size = { SORT_SIZE, false };
    const unsigned arrival = SORT_FACT_ARRIVAL, subject = SORT_FACT_SUBJECT;
    static const char *const subjects[] = { "Subject: m\r\n\r\n", "Subject: b\r\n\r\n",
        "Subject: c\r\n\r\n", "Subject: x\r\n\r\n", "Subject: zzz\r\n\r\n" };
    struct sort_table *table = sort_table_new(1u << 20);
    for (uint32_t uid = 1; uid <= 4; uid++)
        assert_ok(add(table, arrival | subject, uid, subjects[uid - 1]));
    sort_table_filled(table, arrival | subject, 5);
    check_order(table, &by_subject, 1, "1:4", "2 3 1 4");
    assert_ok(add(table, arrival, 5, subjects[4]));
    sort_table_filled(table, arrival, 6);
    check_order(table, &by_size, 1, "1:5", "1 2 3 4 5");
    check_order(table, &by_subject, 1, "1:4", "2 3 1 4");
    assert_ok(add(table, subject, 5, subjects[4]));
    check_order(table, &by_subject, 1, "1:5", "2 3 1 4 5"); /* before the word that all are there */
    sort_table_filled(table, subject, 6);
    check_order(table, &by_subject, 1, "1:5", "2 3 1 4 5");
    sort_table_free(table);
}

/* One that could not be read when all others were, and can be after all, among the others and as the last one. */
static void read_after_all(void **state)
{
    (void)state;
    static const struct sort_criterion by_date = { SORT_DATE, false };
    const unsigned facts = SORT_FACT_DATE | SORT_FACT_SUBJECT;
    struct sort_table *table = sort_table_new(1u << 20);
    for (uint32_t uid = 1; uid <= 3; uid++)
        assert_ok(add(table, SORT_FACT_ARRIVAL, uid, mail[uid - 1]));
    sort_table_filled(table, SORT_FACT_ARRIVAL, 4);
    assert_ok(add(table, facts, 1, mail[0]));
    assert_ok(add(table, facts, 2, mail[1]));
    sort_table_filled(table, facts, 5);
    check_order(table, &by_date, 1, "1:4", "2 1");
    check_threads(table, THREAD_ORDEREDSUBJECT, "1:4", "( 2 1)");
    assert_ok(add(table, facts | SORT_FACT_ADDRESSES, 3, mail[2]));
    check_order(table, &by_date, 1, "1:4", "3 2 1");
    check_threads(table, THREAD_ORDEREDSUBJECT, "1:4", "( 3)( 2 1)");
    assert_ok(add(table, facts | SORT_FACT_ADDRESSES, 4, mail[3]));
    check_order(table, &by_date, 1, "1:4", "3 2 1 4");
    check_threads(table, THREAD_ORDEREDSUBJECT, "1:4", "( 3 4)( 2 1)");
    sort_table_free(table);
}

/* Long texts and ids differ when only their ends do. */
static void long_texts(void **state)
{
    (void)state;
    static const struct sort_criterion by_subject[] = { { SORT_SUBJECT, false },
        { SORT_SIZE, true } };
    static const struct sort_criterion by_from = { SORT_FROM, false };
    static const struct {
        int zeros;
        const char *end, *body;
    } rows[] = { { 900, "z", "" }, { 900, "a", "" }, { 512, "", "" }, { 900, "zz", "" },
        { 900, "a", "more" }, { 1, "", "" } };
    struct sort_table *table = sort_table_new(1u << 20);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[2000];
        (void)snprintf(text, sizeof text, "Subject: %0*u%s\r\nFrom: %0*u%s@x\r\n\r\n%s",
            rows[i].zeros, 0u, rows[i].end, rows[i].zeros, 0u, rows[i].end, rows[i].body);
        assert_ok(add(table, FACTS_ALL, (uint32_t)i + 1, text));
    }
    sort_table_filled(table, FACTS_ALL, 7);
    check_order(table, by_subject, 1, "1:6", "6 3 1 2 5 4");
    check_order(table, by_subject, 2, "1:6", "6 3 1 5 2 4");
    check_order(table, &by_from, 1, "1:6", "6 3 1 2 5 4");
    /* received backwards */
    check_threads(table, THREAD_ORDEREDSUBJECT, "1:6", "( 6)( 5 2)( 4)( 3)( 1)");
    sort_table_free(table);
}

static void long_ids(void **state)
{
    (void)state;
    static const int zeros[] = { 5, 12, 13, 14, 100, 900 }; /* around a digest's length */
    struct sort_table *table = sort_table_new(1u << 20);
    for (uint32_t i = 0; i < 6; i++) {
        char text[1000];
        (void)snprintf(text, sizeof text, "Message-ID: <%0*ua@x>\r\n\r\n", zeros[i], 0u);
        assert_ok(add(table, FACTS_ALL, 3 * i + 1, text));
        (void)snprintf(text, sizeof text, "References: <%0*ua@x>\r\n\r\n", zeros[i], 0u);
        assert_ok(add(table, FACTS_ALL, 3 * i + 2, text));
        (void)snprintf(text, sizeof text, "References: <%0*ub@x>\r\n\r\n", zeros[i], 0u);
        assert_ok(add(table, FACTS_ALL, 3 * i + 3, text));
    }
    check_threads(table, THREAD_REFERENCES, "1:18",
        "( 18)( 16 17)( 15)( 13 14)( 12)( 10 11)( 9)( 7 8)( 6)( 4 5)( 3)( 1 2)");
    sort_table_free(table);
}

/* RFC 5256 §2.2 */
static void sent_dates(void **state)
{
    (void)state;
    static const struct sort_criterion by_date = { SORT_DATE, false };
    static const char *const headers[] = {
        "Date: Thu, 1 Jan 1970 00:00:01 +0000\r\n\r\n",
        "Date: Thu, 1 Jan 1970 99:00:00 +0000 (\"quoted\")\r\n\r\n",
        "Date: Fri, 2 Jan 1970 12:99:00 +0000\r\n\r\n",
        "Date: Thu, 1 Jan 1970 23:59:59 +0000\r\n\r\n",
        "Date: Thu, 32 Jan 1970 99:00:00 +0000\r\n\r\n", /* received at 995 */
        "Subject: none\r\n\r\n",                         /* at 994 */
    };
    struct sort_table *table = sort_table_new(1u << 20);
    for (uint32_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        assert_ok(add(table, SORT_FACT_DATE, i + 1, headers[i]));
    sort_table_filled(table, SORT_FACT_DATE, 7);
    check_order(table, &by_date, 1, "1:6", "2 1 6 5 4 3");
    sort_table_free(table);
}

/* What a few big messages of a stranger take: ids and a subject as long as they may be. */
static void limit_of_one(void **state)
{
    (void)state;
    const size_t messages = 20, bytes_max = 256u << 10;
    struct sort_table *table = sort_table_new(bytes_max);
    struct buf header;
    buf_init(&header, 0);
    for (uint32_t uid = 1; uid <= messages; uid++) {
        buf_clear(&header);
        buf_addf(&header, "Subject: %u", (unsigned)uid);
        for (unsigned i = 0; i < 8; i++) /* a letter that becomes 33 bytes */
            buf_addf(&header, "\xef\xb7\xba%0900u\xef\xb7\xba", i);
        buf_adds(&header, "\r\nReferences:");
        for (unsigned i = 0; i < 60; i++)
            buf_addf(&header, "\r\n <%0900u.%u.%u@x>", 0u, (unsigned)uid, i);
        buf_adds(&header, "\r\n\r\n");
        struct sort_message message = { .uid = uid, .header = buf_slice(&header) };
        struct buf bytes;
        struct msg_summary summary;
        buf_init(&bytes, 0);
        assert_ok(msg_summary_make(buf_slice(&header), &bytes));
        assert_ok(msg_summary_open(buf_slice(&bytes), &summary));
        message.summary = &summary;
        assert_ok(sort_table_add(table, FACTS_ALL, &message));
        buf_done(&bytes);
    }
    assert_true(sort_table_bytes(table) <= bytes_max);
    buf_done(&header);
    sort_table_free(table);
}

/* More than was asked for is filled in, but nothing for which old rows would be read again. */
static void along(void **state)
{
    (void)state;
    const unsigned with = SORT_FACT_ARRIVAL | SORT_FACT_DATE | SORT_FACT_SUBJECT;
    struct sort_table *table = sort_table_new(1u << 20);
    assert_int_equal(sort_table_along(table, SORT_FACT_ARRIVAL), SORT_FACT_ARRIVAL);
    assert_int_equal(sort_table_along(table, SORT_FACT_DATE), with);
    assert_int_equal(sort_table_along(table, SORT_FACT_IDS), with | SORT_FACT_IDS);
    sort_table_filled(table, SORT_FACT_DATE, 5); /* when all of it was too much */
    assert_int_equal(sort_table_along(table, SORT_FACT_DATE), SORT_FACT_DATE);
    assert_int_equal(sort_table_along(table, SORT_FACT_SUBJECT), with);
    sort_table_filled(table, with, 5);
    assert_int_equal(sort_table_along(table, SORT_FACT_DATE), with);
    sort_table_free(table);
}

static void limit_bytes(void **state)
{
    (void)state;
    size_t bytes_max = 64u << 10;
    struct sort_table *table = sort_table_new(bytes_max);
    uint32_t uid = 0;
    enum err e = ERR_OK;
    while (e == ERR_OK && uid < 100000) {
        char header[200];
        uid++;
        (void)snprintf(header, sizeof header,
            "Subject: subject number %u\r\nMessage-ID: <%u@example.org>\r\n"
            "References: <a%u@example.org> <b%u@example.org>\r\n\r\n",
            (unsigned)uid, (unsigned)uid, (unsigned)uid, (unsigned)uid);
        e = add(table, FACTS_ALL, uid, header);
    }
    assert_err(ERR_LIMIT, e);
    assert_true(uid > 50);
    assert_true(
        sort_table_bytes(table) <= 2 * bytes_max); /* what doubles is counted before or after */
    sort_table_clear(table);
    assert_ok(add(table, FACTS_ALL, 1, mail[0]));
    sort_table_free(table);
}

TEST_MAIN(cmocka_unit_test(casemap), cmocka_unit_test(casemap_all), cmocka_unit_test(envelopes),
    cmocka_unit_test(orders), cmocka_unit_test(what_is_wanted), cmocka_unit_test(kinds),
    cmocka_unit_test(facts_come_later), cmocka_unit_test(read_after_all),
    cmocka_unit_test(sent_dates), cmocka_unit_test(long_texts), cmocka_unit_test(long_ids),
    cmocka_unit_test(limit_of_one), cmocka_unit_test(along), cmocka_unit_test(limit_bytes))
