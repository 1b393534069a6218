#include "message/filter.h"

#include "message/text_int.h"

#include "base/test.h"

static const char message[] =
    "Subject: Quarterly figures\r\n"
    "X-Other: =?utf-8?B?2KPYrdmF2K8=?=\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    "2KfZhNi12YHYp9iqINin2YTYudix2KjZitip\r\n"
    "--b\r\nContent-Type: text/html\r\n\r\n<p>Caf&eacute; au lait, 12 \xe2\x82\xac</p>\r\n"
    "--b\r\nContent-Type: application/pdf; name=\"Invoice-7.pdf\"\r\n\r\nnot text\r\n"
    "--b--\r\n";

static struct buf folded(const char *text)
{
    struct buf out;
    buf_init(&out, 0);
    text_fold(slice_of(text), &out);
    return out;
}

/* The filter of a message; looked for with a needle, as SEARCH does. */
static struct buf filter_of(
    struct slice text, const char *needle_text, bool with_headers, bool *out_found)
{
    struct buf bytes, filter, needle = folded(needle_text);
    struct msg_summary summary;
    buf_init(&bytes, 0);
    buf_init(&filter, 0);
    assert_ok(msg_summary_make(text, &bytes));
    assert_ok(msg_summary_open(buf_slice(&bytes), &summary));
    struct msg_source source = msg_source_memory(text);
    assert_ok(msg_text_contains(
        &summary, &source, buf_slice(&needle), with_headers, &filter, out_found));
    buf_done(&bytes);
    buf_done(&needle);
    return filter;
}

static void holds(void **state)
{
    (void)state;
    static const struct {
        const char *needle;
        bool body, text, may;
    } rows[] = {
        { "quarterly", false, true, true }, { "subject", false, true, true },
        { "\xd8\xa7\xd8\xad\xd9\x85\xd8\xaf", false, true, true },
        { "\xd8\xb5\xd9\x81\xd8\xa7\xd8\xaa \xd8\xa7\xd9\x84\xd8\xb9", true, true, true },
        { "CAFE AU", true, true, true }, { "12 \xe2\x82\xac", true, true, true },
        { "invoice-7", true, true, true }, { "", true, true, true }, { "zq", false, false, true },
        { "not text", false, false, false }, { "quarterlz", false, false, false },
        { "\xd8\xb5\xd9\x81\xd8\xa7\xd8\xa9 \xd8\xa7\xd9\x84\xd8\xb9\xd8\xb2", false, false, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool body, text;
        struct buf needle = folded(rows[i].needle);
        struct buf one = filter_of(SLICE(message), rows[i].needle, false, &body);
        struct buf two = filter_of(SLICE(message), rows[i].needle, true, &text);
        assert_true(slice_eq(buf_slice(&one), buf_slice(&two)));
        bool may = msg_filter_may_hold(buf_slice(&one), buf_slice(&needle));
        if (body != rows[i].body || text != rows[i].text || may != rows[i].may)
            fail_msg("%s: %d %d %d", rows[i].needle, body, text, may);
        buf_done(&needle);
        buf_done(&one);
        buf_done(&two);
    }
}

/* What is in files of today must be understood tomorrow: when this fails because text is extracted or folded in another way, raise MSG_FILTER_VERSION
 * and write down the new number. */
static void version(void **state)
{
    (void)state;
    bool found;
    struct buf filter = filter_of(SLICE(message), "", true, &found);
    uint64_t sum = 0;
    for (size_t i = 0; i < buf_len(&filter); i++)
        sum = sum * 31 + (unsigned char)buf_slice(&filter).ptr[i];
    assert_int_equal(MSG_FILTER_VERSION, 2);
    assert_int_equal(sum, 0x8d953333000e963eu);
    buf_done(&filter);
}

/* The text decides the size; big ones stop growing, and still hold what they hold. */
static void sizes(void **state)
{
    (void)state;
    static const struct {
        unsigned words;
        bool wide; /* of 20,000 characters instead of 26 */
        size_t least, most;
    } rows[] = { { 0, false, 129, 129 }, { 20, false, 129, 129 }, { 2000, false, 2049, 8193 },
        { 100000, false, 8193, 8193 }, { 2000, true, 4097, 8193 }, { 50000, true, 32769, 32769 } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf text;
        buf_init(&text, 0);
        buf_adds(&text, "Content-Type: text/plain; charset=utf-8\r\n\r\n");
        uint32_t random = 1;
        for (unsigned word = 0; word < rows[i].words; word++) {
            for (int c = 0; c < 7; c++) {
                random = random * 1664525 + 1013904223;
                if (rows[i].wide)
                    text_add_char(&text, 0x4e00 + (random >> 12) % 20000);
                else
                    buf_addc(&text, (char)('a' + (random >> 16) % 26));
            }
            buf_adds(&text, word % 8 ? " " : "\r\n");
        }
        bool found;
        struct buf filter = filter_of(buf_slice(&text), "", true, &found);
        if (buf_len(&filter) < rows[i].least || buf_len(&filter) > rows[i].most)
            fail_msg("%u words: %zu bytes", rows[i].words, buf_len(&filter));
        assert_true(msg_filter_known(buf_slice(&filter)));
        struct slice words = slice_from_index(buf_slice(&text), 43), word;
        for (size_t n = 0; n < 50 && slice_cut(&words, ' ', &word); n++)
            if (slice_find(word, SLICE("\n")) == SIZE_MAX)
                assert_true(msg_filter_may_hold(buf_slice(&filter), word));
        buf_done(&filter);
        buf_done(&text);
    }
}

/* The search that made it leaves no trace in it: fsck makes it again with another. */
static void the_needle_is_not_in_it(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 0);
    buf_adds(&text, "Content-Type: text/plain; charset=utf-8\r\n\r\n");
    for (uint32_t i = 0, random = 1; i < 100000; i++) {
        random = random * 1664525 + 1013904223;
        text_add_char(&text, random >> 29 ? 0x627 + (random >> 12) % 36 : ' ');
    }
    bool found;
    struct buf first = filter_of(buf_slice(&text), "", true, &found);
    static const char *const needles[] = { "twelve bytes", "a needle of 20 bytes",
        "a needle of twenty-four b", "رسالة من بلاد بعيدة" };
    for (size_t i = 0; i < sizeof needles / sizeof needles[0]; i++) {
        struct buf filter = filter_of(buf_slice(&text), needles[i], true, &found);
        if (!slice_eq(buf_slice(&filter), buf_slice(&first)))
            fail_msg("made by the search for %s", needles[i]);
        buf_done(&filter);
    }
    buf_done(&first);
    buf_done(&text);
}

/* What is no filter of today says nothing. */
static void unknown(void **state)
{
    (void)state;
    bool found;
    struct buf filter = filter_of(SLICE(message), "", true, &found);
    struct slice good = buf_slice(&filter);
    assert_true(msg_filter_known(good));
    assert_false(msg_filter_may_hold(good, SLICE("absent words")));
    static const size_t lengths[] = { 0, 1, 2, 128, 65 };
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        assert_false(msg_filter_known(slice_sub(good, 0, lengths[i])));
        assert_true(msg_filter_may_hold(slice_sub(good, 0, lengths[i]), SLICE("absent words")));
    }
    filter.mem[filter.start]++;
    assert_false(msg_filter_known(good));
    assert_true(msg_filter_may_hold(good, SLICE("absent words")));
    buf_done(&filter);
}

/* A needle that does not begin or end with a whole character is not asked for. */
static void cut_characters(void **state)
{
    (void)state;
    struct msg_filter_maker *maker = msg_filter_maker_new();
    struct buf filter;
    buf_init(&filter, 0);
    msg_filter_maker_take(maker, SLICE("abc\xd9\x85\xd9\x85"));
    msg_filter_maker_write(maker, &filter);
    msg_filter_maker_free(maker);
    static const struct {
        const char *needle;
        bool may;
    } rows[] = {
        { "abc\xd9\x85", true }, { "abc\xd9", true }, { "c\xd9\x85\xd9\x85", true },
        { "\x85\xd9\x85", true }, { "abd\xd9", true }, { "abd\xd9\x85", false }, { "abd", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (msg_filter_may_hold(buf_slice(&filter), slice_of(rows[i].needle)) != rows[i].may)
            fail_msg("row %zu", i);
    buf_done(&filter);
}

TEST_MAIN(cmocka_unit_test(holds), cmocka_unit_test(version), cmocka_unit_test(sizes),
    cmocka_unit_test(the_needle_is_not_in_it),
    cmocka_unit_test(unknown), cmocka_unit_test(cut_characters))
