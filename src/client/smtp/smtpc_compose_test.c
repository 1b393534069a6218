/* What is written here reads back as what it was, by the reader for everybody's mail. */
#include "client/smtp/smtpc_compose.h"

#include "base/arena.h"
#include "base/test.h"
#include "message/source.h"
#include "message/text.h"

#include <stdlib.h>
#include <string.h>

static const char *const texts[] = {
    "plain",
    "",
    "a =?UTF-8?Q?b?= c",
    "تقرير نهائي عن المشروع الكبير جدًا الذي لا ينتهي أبدًا مهما طال الزمن",
    "ééééééééééééééééééééééééééééééééééééééééééééééééééé",
    "x😀y",
    "tab\tinside",
};

static size_t longest_line(struct slice text)
{
    struct slice line;
    size_t longest = 0;
    while (slice_cut(&text, '\n', &line))
        longest = line.len > longest ? line.len : longest;
    return longest;
}

static bool all_ascii(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (slice_at(text, i) >= 0x7f)
            return false;
    return true;
}

static void test_words(void **state)
{
    (void)state;
    struct buf out, back;
    buf_init(&out, 0), buf_init(&back, 0);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        buf_clear(&out), buf_clear(&back);
        smtpc_write_words(slice_of(texts[i]), &out);
        assert_true(all_ascii(buf_slice(&out)));
        assert_true(longest_line(buf_slice(&out)) <= 76);
        msg_decode_words(buf_slice(&out), &back);
        assert_slice(texts[i], buf_slice(&back), slice_of(texts[i]));
    }
    /* every length, so that a word ends at every place of a character */
    for (size_t len = 1; len < 120; len++) {
        char text[4 * 120];
        for (size_t k = 0; k < len; k++)
            memcpy(text + 2 * k, "\xd8\xb3", 2);
        buf_clear(&out), buf_clear(&back);
        smtpc_write_words(slice_from(text, 2 * len), &out);
        assert_true(longest_line(buf_slice(&out)) <= 76);
        msg_decode_words(buf_slice(&out), &back);
        assert_slice("every length", buf_slice(&back), slice_from(text, 2 * len));
    }
    buf_done(&out), buf_done(&back);
}

static enum err append(void *arg, struct slice piece)
{
    buf_add(arg, piece);
    return ERR_OK;
}

static void test_quoted(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "short\n",
        "مرحبا\n\nبكم\n",
        "trailing \ntab\t\n",
        "=3D\n= \n",
        "From me\n.\n..\n",
        "no end",
        "\n\n\n",
    };
    struct buf out, back, text;
    buf_init(&out, 0), buf_init(&back, 0), buf_init(&text, 0);
    for (size_t i = 0; i <= sizeof rows / sizeof *rows + 90; i++) {
        buf_clear(&out), buf_clear(&back), buf_clear(&text);
        if (i < sizeof rows / sizeof *rows)
            buf_adds(&text, rows[i]);
        else /* lines that end at and around the limit */
            for (size_t k = 0; k < i; k++)
                buf_adds(&text, k % 7 == 6 ? "\xc3\xa9" : "x");
        smtpc_write_quoted(buf_slice(&text), &out);
        struct slice written = buf_slice(&out);
        assert_true(all_ascii(written));
        assert_true(longest_line(written) <= 76);
        assert_true(slice_find(written, SLICE("\nFrom ")) == SIZE_MAX);
        assert_true(slice_find(written, SLICE(" \n")) == SIZE_MAX);
        struct msg_source source = msg_source_memory(written);
        struct msg_range range = { .offset = 0, .len = written.len };
        assert_ok(msg_decode_range(&source, range, SLICE("quoted-printable"), append, &back));
        if (buf_len(&text) == 0 || buf_slice(&text).ptr[buf_len(&text) - 1] != '\n')
            buf_addc(&text, '\n');
        struct slice want = buf_slice(&text), got = buf_slice(&back), a, b;
        while (slice_cut(&want, '\n', &a)) { /* line by line: the decoder gives CRLF or LF */
            assert_true(slice_cut(&got, '\n', &b));
            if (b.len > a.len && b.ptr[b.len - 1] == '\r')
                b.len--;
            assert_slice("line", b, a);
        }
    }
    buf_done(&out), buf_done(&back), buf_done(&text);
}

static void test_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *name, *address, *wanted;
    } rows[] = {
        { "", "a@x.test", "a@x.test" },
        { "Salma Ali", "a@x.test", "Salma Ali <a@x.test>" },
        { "Ali, S.", "a@x.test", "\"Ali, S.\" <a@x.test>" },
        { "a \"b\" \\", "a@x.test", "\"a \\\"b\\\" \\\\\" <a@x.test>" },
        { "سلمى", "a@x.test", "=?UTF-8?B?2LPZhNmF2Yk=?= <a@x.test>" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out;
        buf_init(&out, 0);
        smtpc_write_address(slice_of(rows[i].name), slice_of(rows[i].address), &out);
        assert_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].wanted));
        buf_done(&out);
    }
}

TEST_MAIN(
    cmocka_unit_test(test_words), cmocka_unit_test(test_quoted), cmocka_unit_test(test_addresses))
