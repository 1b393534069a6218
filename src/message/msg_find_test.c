#include "message/sort.h"

#include "base/limits.h"
#include "base/test.h"
#include "message/text.h"

#include <stdlib.h>
#include <string.h>

#define ALL_FIELDS (((1u << SORT_FIELDS) - 1) * SORT_FACT_FIELD)

static enum err add(struct sort_table *table, unsigned facts, uint32_t uid, struct slice message)
{
    struct buf bytes;
    struct msg_summary summary;
    struct msg_source source = msg_source_memory(message);
    buf_init(&bytes, 0);
    assert_ok(msg_summary_make(message, &bytes));
    assert_ok(msg_summary_open(buf_slice(&bytes), &summary));
    enum err e = sort_table_add(
        table, facts, &(struct sort_message){ .uid = uid, .summary = &summary, .source = &source });
    buf_done(&bytes);
    return e;
}

/* "found / unsure" */
static void check(const struct sort_table *table, const char *field_name, const char *needle,
    const char *uids_text, const char *wanted)
{
    enum sort_field field;
    struct uidset uids, found, unsure;
    struct buf folded, out;
    uidset_init(&uids);
    uidset_init(&found);
    uidset_init(&unsure);
    buf_init(&folded, 0);
    buf_init(&out, 0);
    assert_true(sort_field_of(slice_of(field_name), &field));
    assert_ok(uidset_read(&uids, slice_of(uids_text), 100));
    text_fold(slice_of(needle), &folded);
    sort_table_find(table, field, buf_slice(&folded), &uids, &found, &unsure);
    uidset_write(&found, &out);
    buf_adds(&out, " / ");
    uidset_write(&unsure, &out);
    assert_slice(needle, buf_slice(&out), slice_of(wanted));
    buf_done(&folded);
    buf_done(&out);
    uidset_done(&uids);
    uidset_done(&found);
    uidset_done(&unsure);
}

static const char *const mail[] = {
    "Subject: aaab\r\nFrom: Salma <salma@x>\r\nMessage-ID: <1@x>\r\n\r\n",
    "Subject: baaa\r\nFrom: =?utf-8?b?2LPZhNmF2Yk=?= <s@y>\r\nTo: a@x\r\nTo: b@x\r\n\r\n",
    "Subject: aaab\r\nCc: Omar <omar@x>\r\n\r\nSubject: in the body\r\n",
    "From: omar@x\r\n\r\n",
};

static struct sort_table *filled(unsigned facts)
{
    struct sort_table *table = sort_table_new(1u << 20);
    for (uint32_t i = 0; i < 4; i++)
        assert_ok(add(table, facts, i + 1, slice_of(mail[i])));
    sort_table_filled(table, facts, 5);
    return table;
}

static void fields(void **state)
{
    (void)state;
    static const struct {
        const char *field, *needle, *uids, *wanted;
    } rows[] = {
        { "subject", "AAAB", "1:4", "1,3 / " }, /* one text for both */
        { "SUBJECT", "aa", "1:4", "1:3 / " },
        { "Subject", "aa", "2:9", "2:3 / " },
        { "Subject", "abba", "1:4", " / " }, /* the end of one text and the start of the next */
        { "Subject", "bb", "1:4", " / " },
        { "Subject", "body", "1:4", " / " },
        { "From", "salma", "1:4", "1 / " },
        { "From", "\xd8\xb3\xd9\x84\xd9\x85\xd9\x8a", "1:4",
            "2 / " }, /* folded: ya for alef maqsura */
        { "From", "x", "1:4", "1,4 / " },
        { "To", "b@x", "1:4", "2 / " }, /* the second field */
        { "To", "a@xb", "1:4", " / " },
        { "Cc", "OMAR", "1:4", "3 / " },
        { "Message-ID", "<1@x>", "1:4", "1 / " },
    };
    struct sort_table *table = filled(ALL_FIELDS);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check(table, rows[i].field, rows[i].needle, rows[i].uids, rows[i].wanted);
    sort_table_free(table);
    enum sort_field none;
    assert_false(sort_field_of(SLICE("X-Any"), &none));
    assert_false(sort_field_of(SLICE(""), &none));
}

static void one_field_later(void **state)
{
    (void)state;
    const unsigned cc = (unsigned)SORT_FACT_FIELD << SORT_FIELD_CC;
    struct sort_table *table = filled(SORT_FACT_FIELD); /* the first: subjects */
    check(table, "Cc", "omar", "1:4", " / ");
    assert_int_equal(sort_table_lacks_from(table, SORT_FACT_FIELD), 5);
    assert_int_equal(sort_table_lacks_from(table, SORT_FACT_FIELD | cc), 1);
    assert_int_equal(sort_table_along(table, cc), cc); /* nothing else is worth its memory */
    for (uint32_t i = 0; i < 4; i++)
        assert_ok(add(table, cc, i + 1, slice_of(mail[i])));
    sort_table_filled(table, cc, 5);
    check(table, "Cc", "omar", "1:4", "3 / ");
    check(table, "Subject", "b", "1:4", "1:3 / ");
    sort_table_free(table);
}

/* A text one byte too long is not kept; such a message has to be asked itself. So does one whose field cannot be read. */
static void long_texts(void **state)
{
    (void)state;
    struct sort_table *table = sort_table_new(1u << 20);
    for (unsigned more = 0; more < 2; more++) {
        struct buf message;
        buf_init(&message, 0);
        buf_adds(&message, "Subject: needle");
        for (size_t i = 6; i < SORT_FIELD_BYTES_MAX + more; i++)
            buf_addc(&message, 'x');
        buf_adds(&message, "\r\n\r\n");
        assert_ok(add(table, SORT_FACT_FIELD, more + 1, buf_slice(&message)));
        buf_done(&message);
    }
    check(table, "Subject", "needle", "1:4", "1 / 2");
    check(table, "Subject", "other", "1:4", " / 2");
    sort_table_free(table);
}

static void unreadable(void **state)
{
    (void)state;
    struct sort_table *table = sort_table_new(1u << 20);
    assert_ok(sort_table_add(table, SORT_FACT_FIELD, &(struct sort_message){ .uid = 1 }));
    check(table, "Subject", "a", "1", " / ");
    sort_table_free(table);
}

static void limit(void **state)
{
    (void)state;
    struct sort_table *table = sort_table_new(64u << 10);
    enum err e = ERR_OK;
    uint32_t uid = 0;
    while (e == ERR_OK && uid < 10000) {
        struct buf message;
        buf_init(&message, 0);
        buf_addf(&message, "Subject: the subject number %u\r\n\r\n", (unsigned)++uid);
        e = add(table, SORT_FACT_FIELD, uid, buf_slice(&message));
        buf_done(&message);
    }
    assert_err(ERR_LIMIT, e);
    assert_true(uid > 100);
    sort_table_free(table);
}

TEST_MAIN(cmocka_unit_test(fields), cmocka_unit_test(one_field_later), cmocka_unit_test(long_texts),
    cmocka_unit_test(unreadable), cmocka_unit_test(limit))
