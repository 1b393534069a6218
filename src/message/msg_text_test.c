#include "message/text_int.h"

#include "base/test.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <unicase.h>
#include <uninorm.h>

static void transfer(void **state)
{
    (void)state;
    static const struct {
        const char *name, *encoding, *in, *out;
    } rows[] = {
        { "copied", "8bit", "a=b\r\n", "a=b\r\n" },
        { "base64", "Base64", "aGVsbG8=", "hello" },
        { "base64 in lines", "base64", "aGVs\r\nbG8=\r\n", "hello" },
        { "base64 without padding", "base64", "aGVsbG8", "hello" },
        { "base64 with junk", "base64", "aG!V-s b\tG8=", "hello" },
        { "base64 joined", "base64", "aA==aQ==", "hi" },
        { "base64 cut", "base64", "aGVsbG", "hell" },
        { "base64 of one digit", "base64", "a", "" },
        { "qp", "Quoted-Printable", "a=3Db=3d", "a=b=" },
        { "qp soft line break", "quoted-printable", "a=\r\nb", "ab" },
        { "qp soft line break, LF", "quoted-printable", "a=\nb", "ab" },
        { "qp soft line break, blanks", "quoted-printable", "a= \t\r\nb", "ab" },
        { "qp blanks at the end", "quoted-printable", "a \t\r\nb", "a\r\nb" },
        { "qp blanks at the end, LF", "quoted-printable", "a \nb", "a\nb" },
        { "qp blanks inside", "quoted-printable", "a \t b", "a \t b" },
        { "qp broken escape", "quoted-printable", "a=zz=4", "a=zz=4" },
        { "qp half escape", "quoted-printable", "a=4z", "a=4z" },
        { "qp = at the end", "quoted-printable", "a=", "a" },
        { "qp == ", "quoted-printable", "==41=", "=A" },
        { "qp lone CR", "quoted-printable", "a \rb", "a \rb" },
        { "qp = and CR", "quoted-printable", "a=\rb", "a=\rb" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct slice in = slice_of(rows[i].in);
        struct buf out;
        buf_init(&out, 0);
        for (size_t cut = 0; cut <= in.len; cut++) {
            struct transfer pieces;
            transfer_init(&pieces, slice_of(rows[i].encoding));
            buf_clear(&out);
            transfer_feed(&pieces, slice_sub(in, 0, cut), &out);
            transfer_feed(&pieces, slice_from_index(in, cut), &out);
            transfer_end(&pieces, &out);
            assert_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].out));
        }
        buf_done(&out);
    }
    struct buf long_blanks, out; /* more blanks than are held */
    buf_init(&long_blanks, 0);
    buf_init(&out, 0);
    for (int i = 0; i < 1000; i++)
        buf_addc(&long_blanks, ' ');
    buf_addc(&long_blanks, 'x');
    struct transfer qp;
    transfer_init(&qp, SLICE("quoted-printable"));
    transfer_feed(&qp, buf_slice(&long_blanks), &out);
    transfer_end(&qp, &out);
    assert_slice("long blanks", buf_slice(&out), buf_slice(&long_blanks));
    buf_done(&long_blanks);
    buf_done(&out);
}

static void charsets(void **state)
{
    (void)state;
    static const struct {
        const char *name, *in, *out; /* out NULL: not known */
    } rows[] = {
        { "utf-8", "a\xd8\xb9", "a\xd8\xb9" },
        { "UTF8", "a\xff\xd8", "a\xef\xbf\xbd\xef\xbf\xbd" },
        { "utf-8", "\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd" },
        { "us-ascii", "plain", "plain" },
        { "US-ASCII", "\xd8\xb9\xe9", "\xd8\xb9\xc3\xa9" },
        { "iso-8859-1", "\xe9\x80", "\xc3\xa9\xe2\x82\xac" },
        { " latin1 ", "\xe9", "\xc3\xa9" },
        { "windows-1256", "\xda\xe1\xed", "\xd8\xb9\xd9\x84\xd9\x8a" },
        { "CP1256", "\xc7", "\xd8\xa7" },
        { "iso-8859-6", "\xd9\xe4\xea\xff", "\xd8\xb9\xd9\x84\xd9\x8a\xef\xbf\xbd" },
        { "ISO-8859-6-i", "\xd9", "\xd8\xb9" },
        { "iso-8859-6-E", "\xd9", "\xd8\xb9" },
        { "cp720", "\xe3", "\xd8\xb9" },
        { "cp864", "\xc7", "\xef\xba\x8d" },
        { "x-mac-arabic", "\xd9", "\xd8\xb9" },
        { "windows-1251", "\xcf", "\xd0\x9f" },
        { "koi8-r", "\xf0", "\xd0\x9f" },
        { "iso-8859-9", "\xfd", "\xc4\xb1" },
        { "shift_jis", "\x82\xa0", "\xe3\x81\x82" },
        { "iso-2022-jp", "\x1b$B$\"\x1b(B.", "\xe3\x81\x82." },
        { "euc-jp", "\xa4\xa2", "\xe3\x81\x82" },
        { "gb2312", "\xc4\xe3", "\xe4\xbd\xa0" },
        { "big5", "\xa7\x41", "\xe4\xbd\xa0" },
        { "ks_c_5601-1987", "\xb0\xa1", "\xea\xb0\x80" },
        { "utf-7", "+Bjk-!", "\xd8\xb9!" },
        { "gb18030", "a\xff", "a\xef\xbf\xbd" },
        { "x-unknown", "a", NULL },
        { "", "a", NULL },
        { "UTF-8//TRANSLIT", "a", NULL },
        { "../../x", "a", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct slice name = slice_of(rows[i].name), in = slice_of(rows[i].in);
        struct buf out;
        buf_init(&out, 0);
        assert_int_equal(charset_known(name), rows[i].out != NULL);
        assert_err(rows[i].out ? ERR_OK : ERR_NOT_FOUND, charset_to_utf8(name, in, &out));
        assert_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].out));
        for (size_t cut = 0; rows[i].out && cut <= in.len; cut++) {
            struct charset_stream stream;
            buf_clear(&out);
            assert_ok(charset_open(&stream, name));
            charset_feed(&stream, slice_sub(in, 0, cut), &out);
            charset_feed(&stream, slice_from_index(in, cut), &out);
            charset_end(&stream, &out);
            assert_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].out));
        }
        buf_done(&out);
    }
}

/* Every label is one that this system converts. */
static void every_label(void **state)
{
    (void)state;
    const char *name;
    for (size_t i = 0; (name = charset_label(i)) != NULL; i++) {
        struct charset_stream stream;
        struct buf out;
        buf_init(&out, 0);
        if (charset_open(&stream, slice_of(name)) != ERR_OK)
            fail_msg("%s is not converted", name);
        charset_end(&stream, &out);
        for (size_t k = 0; k < i; k++) {
            if (slice_eq_nocase(slice_of(name), slice_of(charset_label(k))))
                fail_msg("%s is there twice", name);
        }
        buf_done(&out);
    }
}

static void words(void **state)
{
    (void)state;
    static const struct {
        const char *name, *in, *out;
    } rows[] = {
        { "none", " plain\r\n text ", "plain text" },
        { "Q", "=?utf-8?Q?=D8=B9_a?=", "\xd8\xb9 a" },
        { "B", "=?UTF-8?b?2Lk=?=", "\xd8\xb9" },
        { "charset", "=?windows-1256?Q?=DA?=", "\xd8\xb9" },
        { "language", "=?utf-8*ar?Q?=D8=B9?=", "\xd8\xb9" },
        { "among text", "a =?utf-8?Q?b?= c", "a b c" },
        { "adjacent", "=?utf-8?Q?a?= \r\n =?utf-8?Q?b?=", "ab" },
        { "adjacent, other charset", "=?utf-8?Q?a?= =?windows-1256?Q?=DA?=", "a\xd8\xb9" },
        { "character cut in two, Q", "=?utf-8?Q?=D8?= =?utf-8?Q?=B9?=", "\xd8\xb9" },
        { "character cut in two, B", "=?utf-8?B?2A==?= =?UTF-8?B?uQ==?=", "\xd8\xb9" },
        { "touching", "=?utf-8?Q?a?==?utf-8?Q?b?=", "ab" },
        { "in quotes", "\"=?utf-8?Q?a?=\"", "\"a\"" },
        { "blanks inside", "=?utf-8?Q?a b?=", "a b" },
        { "folded inside", "=?utf-8?Q?a\r\n b?=", "a b" },
        { "no end", "=?utf-8?Q?a", "=?utf-8?Q?a" },
        { "no charset",
            "=?"
            "?Q?a?=",
            "=?"
            "?Q?a?=" },
        { "other encoding", "=?utf-8?X?a?= =?utf-8?Q?b?=", "=?utf-8?X?a?= b" },
        { "unknown charset", "=?x-none?Q?=D8=B9?=", "\xd8\xb9" },
        { "empty",
            "=?utf-8?Q?"
            "?=",
            "" },
        { "raw UTF-8", "\xd8\xb9 x", "\xd8\xb9 x" },
        { "raw Latin", "caf\xe9", "caf\xc3\xa9" },
        { "broken escape", "=?utf-8?Q?=Z1=4?=", "=Z1=4" },
        { "only starts", "=?=?=?=?", "=?=?=?=?" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out;
        buf_init(&out, 0);
        msg_decode_words(slice_of(rows[i].in), &out);
        assert_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].out));
        buf_done(&out);
    }
}

static void html(void **state)
{
    (void)state;
    static const struct {
        const char *name, *in, *out;
    } rows[] = {
        { "text", "a b", "a b" },
        { "inline", "wo<b>rd</b>", "word" },
        { "block", "<p>a</p><p>b", "\na\n\nb" },
        { "line break", "a<br>b<br/>c", "a\nb\nc" },
        { "attributes", "<a href=\"x>y\" title='>'>t</a>", "t" },
        { "entity", "a&amp;b&nbsp;c&eacute;",
            "a&b\xc2\xa0"
            "c\xc3\xa9" },
        { "entity without ;", "a&amp b", "a& b" },
        { "numbers", "&#1593;&#x639;&#x;&#;", "\xd8\xb9\xd8\xb9&#x;&#;" },
        { "no character", "&#xd800;&#99999999;", "\xef\xbf\xbd\xef\xbf\xbd" },
        { "unknown entity", "&none; & &", "&none; & &" },
        { "style", "<style>p{}</p></style>x", "\nx" },
        { "script", "<SCRIPT type=\"a\">if (a<b) </scrip></SCRIPT >x", "\nx" },
        { "comment", "a<!-- <p> -- > --->b", "ab" },
        { "empty comment", "a<!-->b-->c<!--->d<!---->e<!-- -->f", "ab-->cdef" },
        { "declaration", "<!DOCTYPE html>x", "x" },
        { "less than", "1 < 2 <3", "1 < 2 " },
        { "no end", "a<b", "a" },
        { "hidden attribute", "a<div hidden>b<div>c</div>d</div>e", "a\n\ne" },
        { "hidden with a value", "a<b hidden=\"\">b</b>c<b HIDDEN=x>d</b>e", "ace" },
        { "no hidden attribute", "<i data-hidden=\"1\" title=hidden hiddenx>a</i>", "a" },
        { "display none", "a<span style=\"color:red; Display : NONE\">b</span>c", "ac" },
        { "display none without quotes", "a<span style=display:none>b</span>c", "ac" },
        { "visibility", "<div style='visibility:hidden !important;'>a<div>b</div></div>c", "\n\nc" },
        { "entities and odd signs in hidden text", "<u style='opacity:0'>&amp;&none;<>a < b</u>c", "c" },
        { "no such style", "<u style='display:nonesuch; opacity:0.9; font-size:0'>a</u>", "a" },
        { "hidden image", "<img style='display:none'>a<br hidden>b", "\na\nb" },
        { "hidden p without an end", "a<p hidden>b <b>c</b><p>d", "a\n\nd" },
        { "hidden cell without an end", "<table><td hidden>a<table></table>b</table>c", "\n\n\nc" },
        { "hidden p with a line break", "<p hidden>a<br>b<img>c</p><p>d", "\n\n\nd" },
        { "hidden item with a list", "<ul><li hidden>a<ul><li>b</ul></li><li>c</ul>d", "\n\n\n\nc\nd" },
        { "hidden item without an end", "<ol><li hidden>a<li>b</ol>", "\n\n\nb\n" },
        { "hidden term", "<dl><dt hidden>a<dd>b</dl>", "\n\n\nb\n" },
        { "hidden cells and rows", "<table><tr><td hidden>a<td>b<tr hidden><td>c<tr><td>d</table>e",
            "\n\n\n\nb\n\n\nd\ne" },
        { "hidden span without an end", "<p><span hidden>a<br>b</p>c", "\n\nc" },
        { "hidden span in itself", "<span hidden>a<span>b</span>c</span>d", "d" },
        { "hidden div, inner one without an end", "<div><div hidden>a<div>b</div></div>c</div>d",
            "\n\n\nc\nd" },
        { "hidden heading", "<h1 hidden>a<b>b</b></h1>c", "\n\nc" },
        { "the last declaration counts", "<i style='display:none;display:block'>a</i>"
            "<i style='display:block;display:none'>b</i>c", "ac" },
        { "hidden style", "a<div hidden><style>x</style>b</div>c", "a\n\nc" },
        { "style in two attributes", "<u style=\"display:\" class='none'>a</u>", "a" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct slice in = slice_of(rows[i].in);
        for (size_t cut = 0; cut <= in.len; cut++) {
            struct buf out;
            struct html parser;
            buf_init(&out, 0);
            html_init(&parser);
            html_feed(&parser, slice_sub(in, 0, cut), &out);
            html_feed(&parser, slice_from_index(in, cut), &out);
            html_end(&parser, &out);
            assert_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].out));
            buf_done(&out);
        }
    }
}

static void flowed(void **state)
{
    (void)state;
    static const struct {
        const char *name, *in, *out, *del_sp; /* del_sp NULL: the same */
    } rows[] = {
        { "fixed", "a\r\nb\r\n", "a\nb\n", NULL },
        { "one paragraph", "a \r\nb \r\nc\r\n", "a b c\n", "abc\n" },
        { "LF alone", "a \nb\n", "a b\n", "ab\n" },
        { "stuffed", " From x\r\n  y\r\n >z\r\n", "From x\n y\n>z\n", NULL },
        { "quoted", "> a \r\n> b\r\n>> c \r\n>> d\r\n", "> a b\n>> c d\n", "> ab\n>> cd\n" },
        { "quoted without stuffing", ">a \r\n>b\r\n", ">a b\n", ">ab\n" },
        { "depth changes", "> a \r\nb\r\n", "> a \nb\n", "> a\nb\n" },
        { "signature", "a\r\n-- \r\nb\r\n", "a\n-- \nb\n", NULL },
        { "signature behind a flowed line", "a \r\n-- \r\nb\r\n", "a \n-- \nb\n", "a\n-- \nb\n" },
        { "dashes behind a flowed line", "a \r\n-- b\r\nc \r\n-\r\nd \r\n--", "a -- b\nc -\nd --",
            "a-- b\nc-\nd--" },
        { "signature without an end", "a \r\n-- ", "a -- ", "a-- " },
        { "dashes, CR", "a \r\n--\r \r\nb", "a --\r b", "a--\rb" },
        { "almost a signature", "--- \r\nb\r\n", "--- b\n", "---b\n" },
        { "two blanks", "a  \r\nb\r\n", "a  b\n", "a b\n" },
        { "CR inside", "a \rb\r\n", "a \rb\n", NULL },
        { "no end", "a \r\n> b ", "a \n> b ", "a\n> b " },
        { "quote marks at the end", "a\r\n>>", "a\n>>", NULL },
    };
    for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
        bool del_sp = i % 2;
        struct slice in = slice_of(rows[i / 2].in);
        const char *wanted = del_sp && rows[i / 2].del_sp ? rows[i / 2].del_sp : rows[i / 2].out;
        for (size_t cut = 0; cut <= in.len; cut++) {
            struct buf out;
            struct flowed text;
            buf_init(&out, 0);
            flowed_init(&text, del_sp);
            flowed_feed(&text, slice_sub(in, 0, cut), &out);
            flowed_feed(&text, slice_from_index(in, cut), &out);
            flowed_end(&text, &out);
            assert_slice(rows[i / 2].name, buf_slice(&out), slice_of(wanted));
            buf_done(&out);
        }
    }
}

static void fold(void **state)
{
    (void)state;
    static const struct {
        const char *name, *in, *out;
    } rows[] = {
        { "ASCII", "Hello WORLD", "hello world" },
        { "blanks", "a \r\n\t b\xc2\xa0 c", "a b c" },
        { "Latin marks", "Caf\xc3\xa9 CAFE\xcc\x81", "cafe cafe" },
        { "sharp s",
            "STRASSE stra\xc3\x9f"
            "e",
            "strasse strasse" },
        { "ligature", "\xef\xac\x81", "fi" },
        { "full width", "\xef\xbc\xa1\xef\xbc\x91", "a1" },
        { "Greek final sigma", "\xce\xa3\xcf\x82", "\xcf\x83\xcf\x83" },
        { "Turkish", "\xc4\xb0", "i" },
        { "Hangul stays whole", "\xea\xb0\x80", "\xea\xb0\x80" },
        { "tashkeel", "\xd9\x85\xd9\x8f\xd8\xad\xd9\x8e\xd9\x85\xd9\x91\xd8\xaf",
            "\xd9\x85\xd8\xad\xd9\x85\xd8\xaf" },
        { "tatweel", "\xd9\x85\xd9\x80\xd9\x80\xd8\xad", "\xd9\x85\xd8\xad" },
        { "alef forms", "\xd8\xa3\xd8\xa5\xd8\xa2\xd9\xb1\xd8\xa7",
            "\xd8\xa7\xd8\xa7\xd8\xa7\xd8\xa7\xd8\xa7" },
        { "alef with a combining hamza", "\xd8\xa7\xd9\x94", "\xd8\xa7" },
        { "hamza on waw and ya", "\xd8\xa4\xd8\xa6", "\xd9\x88\xd9\x8a" },
        { "alef maqsura, Persian ya", "\xd9\x89\xdb\x8c", "\xd9\x8a\xd9\x8a" },
        { "ta marbuta", "\xd8\xa9", "\xd9\x87" },
        { "Persian kaf", "\xda\xa9", "\xd9\x83" },
        { "both digit sets",
            "\xd9\xa1\xd9\xa2\xdb\xb3\xdb\xb4"
            "5",
            "12345" },
        { "presentation forms", "\xef\xbb\xb7", "\xd9\x84\xd8\xa7" },
        { "letters that are not taken apart", "\xc5\x81\xc3\xb3\xc4\x91 \xc3\x86\xc5\x93 \xc7\xbe\xc4\xb1",
            "lod aeoe oi" },
        { "typographic signs", "\xe2\x80\x9c\xe2\x80\x99\xe2\x80\x9d \xe2\x80\x93\xe2\x88\x92\xe2\x80\x91",
            "\"'\" ---" },
        { "Arabic signs", "\xd8\x8c\xd8\x9b\xd8\x9f\xd9\xaa\xd9\xab\xd9\xac", ",;?%.," },
        { "forms of ha", "\xda\xbe\xdb\x80\xdb\x81\xdb\x82\xdb\x83\xdb\x95",
            "\xd9\x87\xd9\x87\xd9\x87\xd9\x87\xd9\x87\xd9\x87" },
        { "joiners and direction marks",
            "a\xe2\x80\x8c"
            "b\xe2\x80\x8f"
            "c\xef\xbb\xbf",
            "abc" },
        { "Hebrew points", "\xd7\xa9\xd6\xb8\xd7\x81", "\xd7\xa9" },
        { "no UTF-8",
            "a\xff"
            "b",
            "a\xef\xbf\xbd"
            "b" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out, again;
        buf_init(&out, 0);
        buf_init(&again, 0);
        text_fold(slice_of(rows[i].in), &out);
        assert_slice(rows[i].name, buf_slice(&out), slice_of(rows[i].out));
        text_fold(buf_slice(&out), &again); /* folding folded text changes nothing */
        assert_slice(rows[i].name, buf_slice(&again), buf_slice(&out));
        buf_done(&out);
        buf_done(&again);
    }
}

/* Each character alone, against what Unicode's tables in libunistring say with marks dropped. */
/* What fold.c adds to Unicode's folding in the range of the table. */
static void add_expected(struct buf *out, uint32_t c)
{
    static const struct {
        uint32_t c;
        const char *folded;
    } rows[] = { { 0xe6, "ae" }, { 0xf0, "d" }, { 0xf8, "o" }, { 0x111, "d" }, { 0x127, "h" },
        { 0x131, "i" }, { 0x142, "l" }, { 0x153, "oe" }, { 0x167, "t" }, { 0x2bc, "'" } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].c == c) {
            buf_adds(out, rows[i].folded);
            return;
        }
    }
    text_add_char(out, c);
}

static void fold_table_is_right(void **state)
{
    (void)state;
    for (uint32_t c = 0xa0; c < 0x530; c++) {
        char utf8[4];
        size_t utf8_len = utf8_encode(c, utf8), len = 0;
        struct buf want, got, twice;
        buf_init(&want, 0);
        buf_init(&got, 0);
        buf_init(&twice, 0);
        uint8_t *folded =
            u8_casefold((const uint8_t *)utf8, utf8_len, NULL, UNINORM_NFKD, NULL, &len);
        assert_non_null(folded);
        for (size_t at = 0; at < len;) {
            uint32_t part;
            size_t used = utf8_decode(slice_from(folded, len), at, &part);
            assert_true(used > 0);
            if (!(part >= 0x300 && part <= 0x36f) && part != 0xad)
                add_expected(&want, part);
            at += used;
        }
        free(folded);
        text_fold(slice_from(utf8, utf8_len), &got);
        text_fold(buf_slice(&got), &twice);
        char row[16];
        snprintf(row, sizeof row, "U+%04X", (unsigned)c);
        assert_slice(row, buf_slice(&got), buf_slice(&want));
        assert_slice(row, buf_slice(&twice), buf_slice(&got));
        buf_done(&want);
        buf_done(&got);
        buf_done(&twice);
    }
}

TEST_MAIN(cmocka_unit_test(transfer), cmocka_unit_test(charsets), cmocka_unit_test(every_label),
    cmocka_unit_test(words), cmocka_unit_test(html), cmocka_unit_test(flowed), cmocka_unit_test(fold),
    cmocka_unit_test(fold_table_is_right))
