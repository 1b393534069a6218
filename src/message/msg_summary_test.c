#include "message/summary.h"

#include "base/limits.h"
#include "base/test.h"

#include <stdlib.h>
#include <string.h>

struct made {
    struct buf bytes;
    struct msg_summary summary;
};

static struct made make(const char *message)
{
    struct made made;
    buf_init(&made.bytes, 0);
    assert_ok(msg_summary_make(slice_of(message), &made.bytes));
    assert_ok(msg_summary_open(buf_slice(&made.bytes), &made.summary));
    return made;
}

static void envelopes(void **state)
{
    (void)state;
    static const struct {
        const char *name, *message, *envelope;
    } rows[] = {
        { "nothing", "", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)" },
        { "all",
            "Date: Wed, 17 Jul 1996 02:23:25 -0700\r\nSubject: Hi \"x\"\r\nFrom: T <a@b>\r\n"
            "Sender: s@b\r\nReply-To: r@b\r\nTo: t@b\r\nCc: c@b, d@b\r\nBcc: e@b\r\n"
            "In-Reply-To: <i@b>\r\nMessage-ID: <m@b>\r\n\r\n",
            "(\"Wed, 17 Jul 1996 02:23:25 -0700\" \"Hi \\\"x\\\"\" ((\"T\" NIL \"a\" \"b\")) "
            "((NIL NIL \"s\" \"b\")) ((NIL NIL \"r\" \"b\")) ((NIL NIL \"t\" \"b\")) "
            "((NIL NIL \"c\" \"b\")(NIL NIL \"d\" \"b\")) ((NIL NIL \"e\" \"b\")) \"<i@b>\" "
            "\"<m@b>\")" },
        { "From stands in", "From: a@b\r\nSender: \r\n\r\n",
            "(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) NIL "
            "NIL "
            "NIL NIL NIL)" },
        { "8-bit is a literal", "Subject: \xd8\xb9\r\n\r\n",
            "(NIL {2}\r\n\xd8\xb9 NIL NIL NIL NIL NIL NIL NIL NIL)" },
        { "empty Subject", "Subject:\r\n\r\n", "(NIL \"\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
        { "folded Subject", "Subject: a\r\n b\r\n\tc \r\n\r\n",
            "(NIL \"a b\tc \" NIL NIL NIL NIL NIL NIL NIL NIL)" },
        { "the last Subject", "Subject: a\r\nSubject: b\r\n\r\n",
            "(NIL \"b\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
        { "several To are one list", "To: a@b\r\nTo: c@d\r\n\r\n",
            "(NIL NIL NIL NIL NIL ((NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")) NIL NIL NIL NIL)" },
        { "group", "To: G:a@b;\r\n\r\n",
            "(NIL NIL NIL NIL NIL ((NIL NIL \"G\" NIL)(NIL NIL \"a\" \"b\")(NIL NIL NIL NIL)) NIL "
            "NIL NIL NIL)" },
        { "empty local part", "To: \"\"@b, <\"\"@c>\r\n\r\n",
            "(NIL NIL NIL NIL NIL ((NIL NIL \"\" \"b\")(NIL NIL \"\" \"c\")) NIL NIL NIL NIL)" },
        { "lost domain", "To: root, <>\r\n\r\n",
            "(NIL NIL NIL NIL NIL ((NIL NIL \"root\" \"MISSING_DOMAIN\")(NIL NIL "
            "\"MISSING_MAILBOX\" \"MISSING_DOMAIN\")) NIL NIL NIL NIL)" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct made made = make(rows[i].message);
        struct buf out;
        buf_init(&out, 0);
        assert_ok(msg_write_envelope(&made.summary, &out));
        assert_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].envelope));
        buf_done(&out);
        buf_done(&made.bytes);
    }
}

static void limit_addresses(void **state)
{
    (void)state;
    struct buf message, bytes, out;
    struct msg_summary summary;
    buf_init(&message, 0);
    buf_adds(&message, "From: a@b\r\n");
    for (unsigned i = 0; i < MIME_ADDRESSES_MAX; i++)
        buf_adds(&message, "To: t@b\r\n");
    buf_adds(&message, "Cc: c@b\r\n\r\n");
    buf_init(&bytes, 0);
    assert_ok(msg_summary_make(buf_slice(&message), &bytes));
    assert_ok(msg_summary_open(buf_slice(&bytes), &summary));
    buf_init(&out, 0);
    assert_ok(msg_write_envelope(&summary, &out));
    size_t count = 0;
    for (size_t i = 0; i + 1 < buf_len(&out); i++)
        count += memcmp(buf_slice(&out).ptr + i, "\"t\"", 2) == 0;
    assert_int_equal(count, MIME_ADDRESSES_MAX - 1); /* From is the other one */
    assert_true(slice_ends_nocase(buf_slice(&out), SLICE(")) NIL NIL NIL NIL)")));
    buf_done(&message);
    buf_done(&bytes);
    buf_done(&out);
}

static void structures(void **state)
{
    (void)state;
    static const struct {
        const char *name, *message, *body, *structure; /* body NULL: not looked at */
    } rows[] = {
        { "plain", "A: b\r\n\r\nx\r\ny\r\n",
            "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 6 2)",
            "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 6 2 NIL NIL NIL "
            "NIL)" },
        { "all fields",
            "Content-Type: Text/HTML; Charset=UTF-8\r\nContent-ID: <i>\r\n"
            "Content-Description: d\r\nContent-Transfer-Encoding: BASE64\r\nContent-MD5: m\r\n"
            "Content-Disposition: INLINE; filename=f\r\nContent-Language: ar, en\r\n"
            "Content-Location: l\r\n\r\n",
            "(\"text\" \"html\" (\"Charset\" \"UTF-8\") \"<i>\" \"d\" \"base64\" 0 0)",
            "(\"text\" \"html\" (\"Charset\" \"UTF-8\") \"<i>\" \"d\" \"base64\" 0 0 \"m\" "
            "(\"INLINE\" (\"filename\" \"f\")) (\"ar\" \"en\") \"l\")" },
        { "no charset given", "Content-Type: text/plain\r\n\r\n", NULL,
            "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL)" },
        { "not text", "Content-Type: image/png\r\n\r\nx\r\n", NULL,
            "(\"image\" \"png\" NIL NIL NIL \"7bit\" 3 NIL NIL NIL NIL)" },
        { "multipart",
            "Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\n\r\nx\r\n--b\r\n"
            "Content-Type: a/b\r\n\r\ny\r\n--b--\r\n",
            "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0)"
            "(\"a\" \"b\" NIL NIL NIL \"7bit\" 1) \"mixed\")",
            "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0 NIL NIL NIL NIL)"
            "(\"a\" \"b\" NIL NIL NIL \"7bit\" 1 NIL NIL NIL NIL) \"mixed\" (\"boundary\" \"b\") "
            "NIL "
            "NIL NIL)" },
        { "multipart without a boundary",
            "Content-Type: multipart/mixed\r\nContent-Transfer-Encoding: base64\r\n\r\nx\r\n",
            "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"base64\" 3 1) \"mixed\")",
            "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"base64\" 3 1 NIL NIL NIL NIL) "
            "\"mixed\" NIL NIL NIL NIL)" },
        { "odd fields",
            "Content-Type: image/png\r\nContent-Transfer-Encoding: bas:e64\r\n"
            "Content-Disposition: ; filename=a b\r\nContent-Language: \"en\"\r\n\r\n",
            NULL,
            "(\"image\" \"png\" NIL NIL NIL \"7bit\" 0 NIL (\"\" (\"filename\" \"a b\")) NIL NIL)" },
        { "multipart with an empty boundary", "Content-Type: multipart/mixed; boundary=\"\"\r\n\r\nx\r\n",
            NULL,
            "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL) "
            "\"mixed\" (\"boundary\" \"\") NIL NIL NIL)" },
        { "multipart without parts", "Content-Type: multipart/mixed; boundary=b\r\n\r\n",
            "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) \"mixed\")",
            "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL) "
            "\"mixed\" (\"boundary\" \"b\") NIL NIL NIL)" },
        { "message", "Content-Type: message/rfc822\r\n\r\nSubject: s\r\n\r\nx\r\n",
            "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 17 (NIL \"s\" NIL NIL NIL NIL NIL NIL "
            "NIL "
            "NIL) (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1) 3)",
            "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 17 (NIL \"s\" NIL NIL NIL NIL NIL NIL "
            "NIL "
            "NIL) (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1 NIL NIL NIL "
            "NIL) 3 NIL NIL NIL NIL)" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct made made = make(rows[i].message);
        struct buf out;
        buf_init(&out, 0);
        if (rows[i].body) {
            assert_ok(msg_write_bodystructure(&made.summary, false, &out));
            assert_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].body));
            buf_clear(&out);
        }
        assert_ok(msg_write_bodystructure(&made.summary, true, &out));
        assert_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].structure));
        buf_done(&out);
        buf_done(&made.bytes);
    }
}

/* The example of RFC 3501 §6.4.5, with bodies that name their part. */
static const char example[] = "Subject: top\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n"
                              "--a\r\n\r\none\r\n"
                              "--a\r\nContent-Type: application/octet-stream\r\n\r\ntwo\r\n"
                              "--a\r\nContent-Type: message/rfc822\r\n\r\n"
                              "Subject: three\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
                              "--b\r\n\r\nthree-one\r\n"
                              "--b\r\nContent-Type: application/octet-stream\r\n\r\nthree-two\r\n"
                              "--b--\r\n"
                              "--a\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"
                              "--c\r\nContent-Type: image/gif\r\n\r\nfour-one\r\n"
                              "--c\r\nContent-Type: message/rfc822\r\n\r\n"
                              "Subject: four-two\r\n\r\nfour-two-one\r\n"
                              "--c--\r\n"
                              "--a--\r\n";

static void sections(void **state)
{
    (void)state;
    static const struct {
        const char *numbers;
        enum msg_section section;
        const char
            *text; /* NULL: there is no such part; "*" at the end: only the start is compared */
    } rows[] = {
        { "", MSG_SECTION_ALL, "Subject: top\r\n*" },
        { "", MSG_SECTION_HEADER,
            "Subject: top\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n" },
        { "", MSG_SECTION_TEXT, "--a\r\n\r\none\r\n*" },
        { "", MSG_SECTION_MIME, NULL },
        { "1", MSG_SECTION_ALL, "one" },
        { "1", MSG_SECTION_MIME, "\r\n" },
        { "1", MSG_SECTION_HEADER, NULL },
        { "1", MSG_SECTION_TEXT, NULL },
        { "1.1", MSG_SECTION_ALL, NULL },
        { "2", MSG_SECTION_ALL, "two" },
        { "2", MSG_SECTION_MIME, "Content-Type: application/octet-stream\r\n\r\n" },
        { "3", MSG_SECTION_ALL, "Subject: three\r\n*" },
        { "3", MSG_SECTION_MIME, "Content-Type: message/rfc822\r\n\r\n" },
        { "3", MSG_SECTION_HEADER,
            "Subject: three\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" },
        { "3", MSG_SECTION_TEXT, "--b\r\n\r\nthree-one\r\n*" },
        { "3.1", MSG_SECTION_ALL, "three-one" },
        { "3.2", MSG_SECTION_ALL, "three-two" },
        { "3.2", MSG_SECTION_MIME, "Content-Type: application/octet-stream\r\n\r\n" },
        { "3.3", MSG_SECTION_ALL, NULL },
        { "4", MSG_SECTION_ALL, "--c\r\n*" },
        { "4", MSG_SECTION_HEADER, NULL },
        { "4.1", MSG_SECTION_ALL, "four-one" },
        { "4.2", MSG_SECTION_ALL, "Subject: four-two\r\n\r\nfour-two-one" },
        { "4.2", MSG_SECTION_HEADER, "Subject: four-two\r\n\r\n" },
        { "4.2", MSG_SECTION_TEXT, "four-two-one" },
        { "4.2.1", MSG_SECTION_ALL, "four-two-one" },
        { "4.2.1", MSG_SECTION_MIME, "Subject: four-two\r\n\r\n" },
        { "4.2.2", MSG_SECTION_ALL, NULL },
        { "4.2.1.1", MSG_SECTION_ALL, NULL },
        { "5", MSG_SECTION_ALL, NULL },
        { "0", MSG_SECTION_ALL, NULL },
    };
    struct made made = make(example);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t numbers[8];
        size_t count = 0;
        for (const char *p = rows[i].numbers; *p; p++) {
            if (*p != '.')
                numbers[count++] = (uint32_t)(*p - '0');
        }
        struct msg_range range = { 0 };
        enum err e = msg_find_section(&made.summary, numbers, count, rows[i].section, &range);
        if ((e == ERR_OK) != (rows[i].text != NULL))
            fail_msg("%s %d: %s", rows[i].numbers, (int)rows[i].section, err_name(e));
        if (e != ERR_OK)
            continue;
        struct slice got = slice_sub(slice_of(example), range.offset, range.len);
        struct slice want = slice_of(rows[i].text);
        if (want.len && want.ptr[want.len - 1] == '*') {
            want.len--;
            got.len = got.len < want.len ? got.len : want.len;
        }
        assert_slice(rows[i].numbers, got, want);
    }
    buf_done(&made.bytes);
    /* a message that is no multipart has one part */
    made = make("A: b\r\n\r\nbody");
    uint32_t one[] = { 1, 1 };
    struct msg_range range;
    assert_ok(msg_find_section(&made.summary, one, 1, MSG_SECTION_ALL, &range));
    assert_int_equal(range.offset, 8);
    assert_int_equal(range.len, 4);
    assert_err(ERR_NOT_FOUND, msg_find_section(&made.summary, one, 2, MSG_SECTION_ALL, &range));
    buf_done(&made.bytes);
}

static void kept_fields(void **state)
{
    (void)state;
    struct made made = make("Received: x\r\nsubject: a\r\n b\r\nList-Id: l\r\nTo: t@b\r\n\r\n");
    struct buf out;
    buf_init(&out, 0);
    struct slice names[] = { SLICE("To"), SLICE("Subject"), SLICE("LIST-ID"), SLICE("List-Post") };
    assert_true(msg_summary_fields(&made.summary, names, 4, &out));
    assert_slice("kept", buf_slice(&out), SLICE("subject: a\r\n b\r\nList-Id: l\r\nTo: t@b\r\n"));
    buf_clear(&out);
    struct slice absent = SLICE("Cc"); /* kept, and known not to be there */
    assert_true(msg_summary_fields(&made.summary, &absent, 1, &out));
    assert_int_equal(buf_len(&out), 0);
    static const char *const thunderbird[] = { "From", "To", "Cc", "Bcc", "Subject", "Date",
        "Message-ID", "Priority", "X-Priority", "References", "Newsgroups", "In-Reply-To",
        "Content-Type", "Reply-To" };
    struct slice asked[sizeof thunderbird / sizeof thunderbird[0]];
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++)
        asked[i] = slice_of(thunderbird[i]);
    assert_true(msg_summary_fields(&made.summary, asked, sizeof asked / sizeof asked[0], &out));
    assert_slice("Thunderbird", buf_slice(&out), SLICE("subject: a\r\n b\r\nTo: t@b\r\n"));
    buf_clear(&out);
    struct slice other = SLICE("Received");
    assert_false(msg_summary_fields(&made.summary, &other, 1, &out));
    buf_done(&made.bytes);

    struct buf message; /* too many to keep */
    buf_init(&message, 0);
    for (size_t i = 0; i < SUMMARY_FIELDS_BYTES_MAX / 10 + 1; i++)
        buf_adds(&message, "To: a@b1\r\n");
    buf_init(&made.bytes, 0);
    assert_ok(msg_summary_make(buf_slice(&message), &made.bytes));
    assert_ok(msg_summary_open(buf_slice(&made.bytes), &made.summary));
    assert_false(msg_summary_fields(&made.summary, &absent, 1, &out));
    buf_done(&message);
    buf_done(&made.bytes);
    buf_done(&out);
}

static void facts(void **state)
{
    (void)state;
    struct made made = make("Date: Wed, 25 Nov 2026 07:45:01 +0300\r\nSubject: Re: a\r\n b\r\n"
                            "From: f@b\r\nTo: t@b\r\nCc: c@b\r\nMessage-ID: <m@b>\r\n\r\n");
    struct msg_facts got;
    msg_facts(&made.summary, &got);
    assert_int_equal(got.date_s, 1795581901);
    assert_int_equal(got.date_tz_min, 180);
    assert_slice("subject", got.subject, SLICE("Re: a b"));
    assert_slice("base subject", got.base_subject, SLICE("a b"));
    assert_true(got.is_reply);
    assert_slice("from", got.from, SLICE("f@b"));
    assert_slice("to", got.to, SLICE("t@b"));
    assert_slice("cc", got.cc, SLICE("c@b"));
    assert_slice("bcc", got.bcc, SLICE(""));
    assert_slice("id", got.message_id, SLICE("<m@b>"));
    assert_false(got.has_attachment);
    buf_done(&made.bytes);
    made = make("Date: soon\r\n\r\n");
    msg_facts(&made.summary, &got);
    assert_true(got.date_s == INT64_MIN);
    buf_done(&made.bytes);
}

static void attachments(void **state)
{
    (void)state;
    static const struct {
        const char *name, *header, *filename;
        bool attachment;
    } rows[] = {
        { "text", "Content-Type: text/plain", "", false },
        { "disposition", "Content-Disposition: attachment; filename=\"a b.txt\"", "a b.txt", true },
        { "inline picture", "Content-Type: image/png; name=a.png\r\nContent-Disposition: inline",
            "a.png", false },
        { "name", "Content-Type: application/pdf; name=a.pdf", "a.pdf", true },
        { "RFC 2231", "Content-Disposition: attachment; filename*=utf-8'ar'%D8%B9.txt",
            "\xd8\xb9.txt", true },
        { "RFC 2231 in pieces",
            "Content-Disposition: attachment; filename*0*=utf-8''%D8; filename*1*=%B9", "\xd8\xb9",
            true },
        { "Windows-1256 name", "Content-Disposition: attachment; filename*=windows-1256''%DA",
            "\xd8\xb9", true },
        { "RFC 2047 name", "Content-Type: a/b; name=\"=?utf-8?B?2Lk=?=\"", "\xd8\xb9", true },
        { "raw UTF-8 name", "Content-Type: a/b; name=\"\xd8\xb9\"", "\xd8\xb9", true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char message[512];
        snprintf(message, sizeof message,
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n%s\r\n\r\nx\r\n--b--\r\n",
            rows[i].header);
        struct made made = make(message);
        struct msg_facts got;
        struct msg_part part;
        size_t cursor = 0;
        msg_facts(&made.summary, &got);
        assert_true(msg_part_next(&made.summary, &cursor, &part));
        assert_true(msg_part_next(&made.summary, &cursor, &part));
        assert_slice(rows[i].name, part.filename, slice_of(rows[i].filename));
        if (got.has_attachment != rows[i].attachment)
            fail_msg("%s: %d", rows[i].name, got.has_attachment);
        buf_done(&made.bytes);
    }
}

static void previews(void **state)
{
    (void)state;
    static const struct {
        const char *name, *message, *preview;
    } rows[] = {
        { "plain", "A: b\r\n\r\n Hello  \r\n\r\n world\r\n", "Hello world" },
        { "none", "A: b\r\n\r\n", "" },
        { "base64",
            "Content-Type: text/plain; charset=windows-1256\r\n"
            "Content-Transfer-Encoding: base64\r\n\r\n4dM=\r\n",
            "\xd9\x84\xd8\xb3" },
        { "HTML",
            "Content-Type: text/html\r\n\r\n<style>p { }</style><p>Hello&nbsp;<b>wor</b>ld &amp; "
            "all</p>",
            "Hello world & all" },
        { "HTML that ends in an entity", "Content-Type: text/html\r\n\r\n<p>R&amp;D &amp; 5&euro", "R&D & 5\xe2\x82\xac" },
        { "hidden and filling text",
            "Content-Type: text/html; charset=utf-8\r\n\r\n<div style=\"display:none\">no</div>"
            "\xe2\x80\x8c\xc2\xa0\xe2\x80\x8c&nbsp;\xcd\x8f a&shy;b "
            "\xd9\x85\xdb\x8c\xe2\x80\x8c\xd8\xae \xe2\x80\x8c",
            "ab \xd9\x85\xdb\x8c\xe2\x80\x8c\xd8\xae" },
        { "plain before HTML",
            "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: "
            "text/html\r\n\r\n<p>rich\r\n--b\r\n\r\npoor\r\n--b--\r\n",
            "poor" },
        { "HTML when plain is empty",
            "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\n \r\n--b\r\n"
            "Content-Type: text/html\r\n\r\n<p>rich\r\n--b--\r\n",
            "rich" },
        { "no attachment", "Content-Disposition: attachment\r\n\r\nsecret\r\n", "" },
        { "multipart without a boundary",
            "Content-Type: multipart/mixed\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n",
            "hello" },
        { "unknown charset", "Content-Type: text/plain; charset=x-none\r\n\r\n\xd8\xb9 \xe9 a\r\n",
            "\xd8\xb9 \xc3\xa9 a" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct made made = make(rows[i].message);
        assert_slice(rows[i].name, msg_preview(&made.summary), slice_of(rows[i].preview));
        buf_done(&made.bytes);
    }
    struct buf message; /* 200 characters, RFC 8970 §3.3 */
    buf_init(&message, 0);
    buf_adds(&message, "Content-Type: text/plain; charset=utf-8\r\n\r\n");
    for (int i = 0; i < 300; i++)
        buf_adds(&message, "\xd8\xb9");
    struct buf bytes;
    struct msg_summary summary;
    buf_init(&bytes, 0);
    assert_ok(msg_summary_make(buf_slice(&message), &bytes));
    assert_ok(msg_summary_open(buf_slice(&bytes), &summary));
    assert_int_equal(msg_preview(&summary).len, 400);
    buf_done(&bytes);
    buf_done(&message);
}

/* Damaged bytes are refused or read without harm; never more than is there. */
static void damaged(void **state)
{
    (void)state;
    struct made made = make(example);
    struct slice good = buf_slice(&made.bytes);
    struct msg_summary summary;
    for (size_t len = 0; len < good.len; len++)
        assert_err(ERR_CORRUPT, msg_summary_open(slice_sub(good, 0, len), &summary));
    char *copy = malloc(good.len);
    assert_non_null(copy);
    for (size_t i = 0; i < good.len * 3; i++) {
        memcpy(copy, good.ptr, good.len);
        static const unsigned char masks[] = { 0xff, 0x80, 0x01 };
        copy[i / 3] = (char)((unsigned char)copy[i / 3] ^ masks[i % 3]);
        if (msg_summary_open(slice_from(copy, good.len), &summary) != ERR_OK)
            continue;
        struct buf out;
        buf_init(&out, 0);
        enum err e = msg_write_envelope(&summary, &out);
        e = msg_write_bodystructure(&summary, true, &out);
        (void)e;
        struct msg_facts got;
        msg_facts(&summary, &got);
        struct slice name = SLICE("To");
        msg_summary_fields(&summary, &name, 1, &out);
        uint32_t numbers[] = { 3, 1 };
        struct msg_range range;
        e = msg_find_section(&summary, numbers, 2, MSG_SECTION_ALL, &range);
        buf_add(&out, msg_preview(&summary));
        buf_done(&out);
    }
    free(copy);
    buf_done(&made.bytes);
}

static void over_the_limit_of_out(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 50);
    assert_err(ERR_LIMIT, msg_summary_make(SLICE("Subject: x\r\n\r\n"), &out));
    buf_done(&out);
}

TEST_MAIN(cmocka_unit_test(envelopes), cmocka_unit_test(limit_addresses),
    cmocka_unit_test(structures), cmocka_unit_test(sections), cmocka_unit_test(kept_fields),
    cmocka_unit_test(facts), cmocka_unit_test(attachments), cmocka_unit_test(previews),
    cmocka_unit_test(damaged), cmocka_unit_test(over_the_limit_of_out))
