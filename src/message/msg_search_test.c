#include "message/text.h"

#include "base/test.h"

#include <string.h>

static const char message[] =
    "Subject: =?windows-1256?Q?=E3=D1=CD=C8=C7?= all\r\n"
    "From: \"=?utf-8?Q?Jos=C3=A9?=\" <jose@example.com>\r\n"
    "X-Other: Something Else\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    "preamble\r\n"
    "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
    "quoted-printable\r\n\r\n"
    "The qu=\r\nick br=6Fwn\r\n  fox, =D9=85=D9=8F=D8=AD=D9=8E=D9=85=D9=91=D8=AF\r\n"
    "--b\r\nContent-Type: text/html; charset=iso-8859-1\r\n\r\n"
    "<p style=\"color:red\">caf&eacute; <b>au</b>&nbsp;lait</p>\r\n"
    "--b\r\nContent-Type: application/pdf; name=\"Invoice-7.pdf\"\r\nContent-Transfer-Encoding: "
    "base64\r\n\r\n"
    "aGlkZGVu\r\n"
    "--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    "dW5kZXIgYmFzZTY0\r\n"
    "--b\r\nContent-Type: message/rfc822\r\n\r\n"
    "Subject: Forwarded thing\r\n\r\ninner words\r\n"
    "--b--\r\n";

struct opened {
    struct buf bytes;
    struct msg_summary summary;
    struct msg_source source;
};

static struct opened open_message(struct slice text)
{
    struct opened opened;
    buf_init(&opened.bytes, 0);
    assert_ok(msg_summary_make(text, &opened.bytes));
    assert_ok(msg_summary_open(buf_slice(&opened.bytes), &opened.summary));
    opened.source = msg_source_memory(text);
    return opened;
}

static struct buf folded(const char *text)
{
    struct buf out;
    buf_init(&out, 0);
    text_fold(slice_of(text), &out);
    return out;
}

static void text(void **state)
{
    (void)state;
    static const struct {
        const char *needle;
        bool body, text; /* found without and with headers */
    } rows[] = {
        { "", true, true }, { "quick BROWN fox", true, true },
        { "\xd9\x85\xd8\xad\xd9\x85\xd8\xaf", true, true }, { "cafe au lait", true, true },
        { "color", false, false }, { "invoice-7", true, true }, { "hidden", false, false },
        { "under base64", true, true }, { "inner words", true, true }, { "preamble", false, false },
        { "forwarded thing", false, true }, { "jos\xc3\xa9", false, true },
        { "something else", false, true },
        { "\xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7 all", false, true }, { "absent", false, false },
        { "laitunder", false, false }, /* two parts are two texts */
    };
    struct opened opened = open_message(SLICE(message));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf needle = folded(rows[i].needle);
        bool body, with;
        assert_ok(
            msg_text_contains(&opened.summary, &opened.source, buf_slice(&needle), false, NULL, &body));
        assert_ok(
            msg_text_contains(&opened.summary, &opened.source, buf_slice(&needle), true, NULL, &with));
        if (body != rows[i].body || with != rows[i].text)
            fail_msg("%s: %d %d", rows[i].needle, body, with);
        buf_done(&needle);
    }
    buf_done(&opened.bytes);
}

static void fields(void **state)
{
    (void)state;
    static const struct {
        const char *name, *needle;
        bool found;
    } rows[] = {
        { "subject", "\xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7 ALL", true },
        { "Subject", "forwarded", false },
        { "From", "jose", true },
        { "From", "JOS\xc3\x89", true },
        { "From", "", true },
        { "Cc", "", false },
        { "X-Other", "something", true },
        { "X-Other", "", true },
        { "X-None", "", false },
    };
    struct opened opened = open_message(SLICE(message));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf needle = folded(rows[i].needle);
        bool found;
        assert_ok(msg_field_contains(
            &opened.summary, &opened.source, slice_of(rows[i].name), buf_slice(&needle), &found));
        if (found != rows[i].found)
            fail_msg("%s %s: %d", rows[i].name, rows[i].needle, found);
        buf_done(&needle);
    }
    buf_done(&opened.bytes);
}

static void flowed_text(void **state)
{
    (void)state;
    static const char *const types[] = { "format=flowed", "format=Flowed; DelSp=\"yes\"" };
    for (int i = 0; i < 2; i++) {
        struct buf text;
        buf_init(&text, 0);
        buf_addf(&text,
            "Content-Type: text/plain; charset=utf-8; %s\r\n\r\n> one \r\n> two\r\nthr \r\nee\r\n",
            types[i]);
        struct opened opened = open_message(buf_slice(&text));
        bool joined, apart;
        assert_ok(msg_text_contains(&opened.summary, &opened.source,
            i ? SLICE("onetwo three") : SLICE("one two thr ee"), false, NULL, &joined));
        assert_ok(msg_text_contains(&opened.summary, &opened.source,
            i ? SLICE("one two") : SLICE("one > two"), false, NULL, &apart));
        assert_true(joined);
        assert_false(apart);
        assert_slice("preview", msg_preview(&opened.summary),
            i ? SLICE("> onetwo three") : SLICE("> one two thr ee"));
        buf_done(&opened.bytes);
        buf_done(&text);
    }
}

/* A source that has to be read, and counts what it is asked for. */
struct counted {
    struct slice bytes;
    size_t read_max;
};

static enum err read_counted(void *source_arg, uint64_t offset, size_t len, struct buf *out)
{
    struct counted *counted = source_arg;
    if (len > counted->read_max)
        counted->read_max = len;
    assert_true(offset + len <= counted->bytes.len);
    buf_add(out, slice_sub(counted->bytes, (size_t)offset, len));
    return ERR_OK;
}

static enum err read_fails(void *source_arg, uint64_t offset, size_t len, struct buf *out)
{
    (void)source_arg;
    (void)offset;
    (void)len;
    (void)out;
    return ERR_IO;
}

/* A part of many windows: found wherever the needle lies, and never read in one go. */
static void windows(void **state)
{
    (void)state;
    static const char needle[] = "needle here";
    for (size_t place = 0; place < 4; place++) {
        struct buf big;
        buf_init(&big, 0);
        buf_adds(&big, "Content-Type: text/plain; charset=utf-8\r\n\r\n");
        size_t at = (64u << 10) * (place + 1) - 20;
        while (buf_len(&big) < (64u << 10) * 6) {
            if (buf_len(&big) >= at && buf_len(&big) < at + 8)
                buf_adds(&big, "needle\r\n here");
            else
                buf_adds(&big, place % 2 ? "xxxxxxxx" : "xxx xxx ");
        }
        struct opened opened = open_message(buf_slice(&big));
        struct counted counted = { .bytes = buf_slice(&big) };
        opened.source = (struct msg_source){ buf_len(&big), read_counted, &counted, { NULL, 0 } };
        bool found;
        assert_ok(msg_text_contains(&opened.summary, &opened.source, SLICE(needle), false, NULL, &found));
        assert_true(found);
        assert_true(counted.read_max <= 64u << 10);
        assert_ok(msg_text_contains(
            &opened.summary, &opened.source, SLICE("needle there"), false, NULL, &found));
        assert_false(found);
        opened.source.read = read_fails;
        assert_err(ERR_IO, msg_text_contains(&opened.summary, &opened.source, SLICE("needle there"),
                               false, NULL, &found));
        buf_done(&opened.bytes);
        buf_done(&big);
    }
}

static void source(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 0);
    struct msg_source memory = msg_source_memory(SLICE("0123456789"));
    assert_ok(msg_source_read(&memory, 2, 3, &out));
    assert_ok(msg_source_read(&memory, 8, 100, &out));
    assert_ok(msg_source_read(&memory, 10, 1, &out));
    assert_ok(msg_source_read(&memory, UINT64_MAX, 1, &out));
    assert_slice("clipped", buf_slice(&out), SLICE("23489"));
    buf_done(&out);
}

TEST_MAIN(cmocka_unit_test(text), cmocka_unit_test(fields), cmocka_unit_test(flowed_text), cmocka_unit_test(windows),
    cmocka_unit_test(source))
