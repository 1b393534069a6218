#include "base/test.h"

#include "base/utf8.h"
#include "proto/imap/imap_utf7.h"

static const struct {
    const char *wire, *utf8;
} rows[] = {
    { "INBOX", "INBOX" },
    { "", "" },
    { "a&-b", "a&b" },
    { "&-&-", "&&" },
    { "~peter/mail/&U,BTFw-/&ZeVnLIqe-",
        "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e" },
    { "&BicGRAYoBjEGSgYv-", NULL },
    { "&BicERAQ-", NULL },
    { "&2D3eAA-", "\xf0\x9f\x98\x80" },
    { "&AOk-", "\xc3\xa9" },
};

static const char *const refused[] = {
    "&",          /* no end */
    "&AOk",       /* no end */
    "&AOk-&AOk-", /* two runs where one does */
    "&AGE-",      /* a printable character in base64 */
    "&AAA-",      /* NUL */
    "&AAo-",      /* control */
    "&AH8-",      /* DEL */
    "&AOl-",      /* spare bits */
    "&AOkA-",     /* a digit too many */
    "&2D0-",      /* lone high surrogate */
    "&3gA-",      /* lone low surrogate */
    "&2D3YPQ-",   /* high, high */
    "&A/-",       /* '/' is no digit here */
    "&Jjo!-",
    "caf\xc3\xa9",
    "a\tb",
    "\x7f",
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf utf8, wire;
        buf_init(&utf8, 0);
        buf_init(&wire, 0);
        enum err e = imap_utf7_decode(slice_of(rows[i].wire), &utf8);
        if (rows[i].utf8) {
            assert_ok(e);
            assert_slice(rows[i].wire, buf_slice(&utf8), slice_of(rows[i].utf8));
        }
        if (e == ERR_OK) {
            assert_ok(imap_utf7_encode(buf_slice(&utf8), &wire));
            assert_slice(rows[i].wire, buf_slice(&wire), slice_of(rows[i].wire));
        }
        buf_done(&utf8);
        buf_done(&wire);
    }
}

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct buf out;
        buf_init(&out, 0);
        if (imap_utf7_decode(slice_of(refused[i]), &out) != ERR_SYNTAX)
            fail_msg("%s was taken", refused[i]);
        buf_done(&out);
    }
    struct buf out;
    buf_init(&out, 0);
    assert_err(ERR_SYNTAX, imap_utf7_encode(SLICE("\xff"), &out));
    buf_done(&out);
}

/* Every character that may stand in a name comes back, alone and between others. */
static void test_all_characters(void **state)
{
    (void)state;
    struct buf wire, back;
    buf_init(&wire, 0);
    buf_init(&back, 0);
    for (uint32_t c = 0x20; c <= 0x10FFFF; c += c < 0x3000 ? 1 : 37) {
        if (c == 0x7F || (c >= 0xD800 && c <= 0xDFFF))
            continue;
        char text[6] = "a";
        size_t len = 1 + utf8_encode(c, text + 1);
        text[len++] = '&';
        buf_clear(&wire);
        buf_clear(&back);
        assert_ok(imap_utf7_encode(slice_from(text, len), &wire));
        assert_ok(imap_utf7_decode(buf_slice(&wire), &back));
        assert_slice("character", buf_slice(&back), slice_from(text, len));
    }
    buf_done(&wire);
    buf_done(&back);
}

TEST_MAIN(cmocka_unit_test(test_rows), cmocka_unit_test(test_refused),
    cmocka_unit_test(test_all_characters))
