/* Charsets to UTF-8. Names are looked up in one list, which is all that a message can make us convert: the labels of the WHATWG
 * Encoding standard, the Arabic code pages, UTF-7. What we have a table for is done here; the rest goes to iconv, with a descriptor
 * of its own for each stream (descriptors are not shared between threads). */
#include "message/charset_tables.h"
#include "message/text_int.h"

#include "base/utf8.h"

#include <errno.h>
#include <string.h>

enum kind {
    KIND_UTF8,
    KIND_GUESS, /* UTF-8 character by character, else Windows-1252 */
    KIND_TABLE,
    KIND_ICONV,
};

struct label {
    const char *name; /* lower case */
    enum kind kind;
    const uint16_t *high;
    const char *iconv_name;
};

#define TABLE(name, table)                                                                         \
    {                                                                                              \
        name, KIND_TABLE, table, NULL                                                              \
    }
#define ICONV(name, target)                                                                        \
    {                                                                                              \
        name, KIND_ICONV, NULL, target                                                             \
    }

static const struct label labels[] = {
    { "utf-8", KIND_UTF8, NULL, NULL },
    { "utf8", KIND_UTF8, NULL, NULL },
    { "unicode-1-1-utf-8", KIND_UTF8, NULL, NULL },
    /* plain ASCII when it is what it says; when it is not, mostly UTF-8 or Windows-1252 */
    { "us-ascii", KIND_GUESS, NULL, NULL },
    { "ascii", KIND_GUESS, NULL, NULL },
    { "ansi_x3.4-1968", KIND_GUESS, NULL, NULL },
    { "iso646-us", KIND_GUESS, NULL, NULL },
    TABLE("iso-8859-1", table_windows_1252),
    TABLE("iso8859-1", table_windows_1252),
    TABLE("iso_8859-1", table_windows_1252),
    TABLE("iso88591", table_windows_1252),
    TABLE("latin1", table_windows_1252),
    TABLE("l1", table_windows_1252),
    TABLE("windows-1252", table_windows_1252),
    TABLE("cp1252", table_windows_1252),
    TABLE("x-cp1252", table_windows_1252),
    TABLE("ansi", table_windows_1252),
    /* Arabic */
    TABLE("windows-1256", table_windows_1256),
    TABLE("cp1256", table_windows_1256),
    TABLE("cp-1256", table_windows_1256),
    TABLE("x-cp1256", table_windows_1256),
    TABLE("iso-8859-6", table_iso_8859_6),
    TABLE("iso-8859-6-i", table_iso_8859_6),
    TABLE("iso-8859-6-e", table_iso_8859_6),
    TABLE("iso8859-6", table_iso_8859_6),
    TABLE("iso88596", table_iso_8859_6),
    TABLE("iso_8859-6", table_iso_8859_6),
    TABLE("iso_8859-6:1987", table_iso_8859_6),
    TABLE("iso-ir-127", table_iso_8859_6),
    TABLE("arabic", table_iso_8859_6),
    TABLE("asmo-708", table_iso_8859_6),
    TABLE("ecma-114", table_iso_8859_6),
    TABLE("csiso88596e", table_iso_8859_6),
    TABLE("csiso88596i", table_iso_8859_6),
    TABLE("csisolatinarabic", table_iso_8859_6),
    TABLE("cp720", table_cp720),
    TABLE("dos-720", table_cp720),
    TABLE("ibm720", table_cp720),
    TABLE("cp864", table_cp864),
    TABLE("ibm864", table_cp864),
    TABLE("x-mac-arabic", table_mac_arabic),
    TABLE("macarabic", table_mac_arabic),
    TABLE("mac-arabic", table_mac_arabic),
    /* other single-byte charsets */
    ICONV("iso-8859-2", "ISO-8859-2"),
    ICONV("iso8859-2", "ISO-8859-2"),
    ICONV("latin2", "ISO-8859-2"),
    ICONV("iso-8859-3", "ISO-8859-3"),
    ICONV("iso-8859-4", "ISO-8859-4"),
    ICONV("iso-8859-5", "ISO-8859-5"),
    ICONV("iso-8859-7", "ISO-8859-7"),
    ICONV("iso8859-7", "ISO-8859-7"),
    ICONV("greek", "ISO-8859-7"),
    ICONV("iso-8859-8", "ISO-8859-8"),
    ICONV("iso-8859-8-i", "ISO-8859-8"),
    ICONV("iso-8859-8-e", "ISO-8859-8"),
    ICONV("hebrew", "ISO-8859-8"),
    ICONV("logical", "ISO-8859-8"),
    ICONV("iso-8859-9", "WINDOWS-1254"),
    ICONV("iso8859-9", "WINDOWS-1254"),
    ICONV("latin5", "WINDOWS-1254"),
    ICONV("iso-8859-10", "ISO-8859-10"),
    ICONV("iso-8859-11", "WINDOWS-874"),
    ICONV("iso-8859-13", "ISO-8859-13"),
    ICONV("iso-8859-14", "ISO-8859-14"),
    ICONV("iso-8859-15", "ISO-8859-15"),
    ICONV("iso8859-15", "ISO-8859-15"),
    ICONV("latin-9", "ISO-8859-15"),
    ICONV("latin9", "ISO-8859-15"),
    ICONV("iso-8859-16", "ISO-8859-16"),
    ICONV("windows-874", "WINDOWS-874"),
    ICONV("tis-620", "WINDOWS-874"),
    ICONV("windows-1250", "WINDOWS-1250"),
    ICONV("cp1250", "WINDOWS-1250"),
    ICONV("windows-1251", "WINDOWS-1251"),
    ICONV("cp1251", "WINDOWS-1251"),
    ICONV("windows-1253", "WINDOWS-1253"),
    ICONV("windows-1254", "WINDOWS-1254"),
    ICONV("windows-1255", "WINDOWS-1255"),
    ICONV("windows-1257", "WINDOWS-1257"),
    ICONV("windows-1258", "WINDOWS-1258"),
    ICONV("koi8-r", "KOI8-R"),
    ICONV("koi8", "KOI8-R"),
    ICONV("koi8-u", "KOI8-U"),
    ICONV("koi8-ru", "KOI8-RU"),
    ICONV("ibm866", "CP866"),
    ICONV("cp866", "CP866"),
    ICONV("cp437", "CP437"),
    ICONV("ibm437", "CP437"),
    ICONV("cp850", "CP850"),
    ICONV("ibm850", "CP850"),
    ICONV("cp852", "CP852"),
    ICONV("cp858", "CP858"),
    ICONV("macintosh", "MACINTOSH"),
    ICONV("mac", "MACINTOSH"),
    ICONV("x-mac-roman", "MACINTOSH"),
    ICONV("x-mac-cyrillic", "MAC-CYRILLIC"),
    /* multi-byte charsets */
    ICONV("gb2312", "GB18030"),
    ICONV("gb_2312-80", "GB18030"),
    ICONV("euc-cn", "GB18030"),
    ICONV("x-gbk", "GB18030"),
    ICONV("gbk", "GB18030"),
    ICONV("cp936", "GB18030"),
    ICONV("gb18030", "GB18030"),
    ICONV("chinese", "GB18030"),
    ICONV("big5", "BIG5-HKSCS"),
    ICONV("big5-hkscs", "BIG5-HKSCS"),
    ICONV("cn-big5", "BIG5-HKSCS"),
    ICONV("euc-tw", "EUC-TW"),
    ICONV("euc-jp", "EUC-JP-MS"),
    ICONV("x-euc-jp", "EUC-JP-MS"),
    ICONV("iso-2022-jp", "ISO-2022-JP-3"),
    ICONV("iso-2022-jp-1", "ISO-2022-JP-3"),
    ICONV("iso-2022-jp-2", "ISO-2022-JP-2"),
    ICONV("iso-2022-jp-3", "ISO-2022-JP-3"),
    ICONV("shift_jis", "WINDOWS-31J"),
    ICONV("shift-jis", "WINDOWS-31J"),
    ICONV("sjis", "WINDOWS-31J"),
    ICONV("x-sjis", "WINDOWS-31J"),
    ICONV("ms_kanji", "WINDOWS-31J"),
    ICONV("cp932", "WINDOWS-31J"),
    ICONV("windows-31j", "WINDOWS-31J"),
    ICONV("euc-kr", "UHC"),
    ICONV("ks_c_5601-1987", "UHC"),
    ICONV("ks_c_5601-1989", "UHC"),
    ICONV("ksc5601", "UHC"),
    ICONV("korean", "UHC"),
    ICONV("cp949", "UHC"),
    ICONV("windows-949", "UHC"),
    ICONV("iso-2022-kr", "ISO-2022-KR"),
    ICONV("iso-2022-cn", "ISO-2022-CN"),
    ICONV("utf-16", "UTF-16"),
    ICONV("utf-16le", "UTF-16LE"),
    ICONV("utf-16be", "UTF-16BE"),
    ICONV("utf-32", "UTF-32"),
    ICONV("utf-7", "UTF-7"),
    ICONV("unicode-1-1-utf-7", "UTF-7"),
    ICONV("viscii", "VISCII"),
    /* more labels of the same */
    TABLE("cp819", table_windows_1252),
    TABLE("csisolatin1", table_windows_1252),
    TABLE("ibm819", table_windows_1252),
    TABLE("iso-ir-100", table_windows_1252),
    TABLE("iso_8859-1:1987", table_windows_1252),
    TABLE("windows1256", table_windows_1256),
    ICONV("iso88592", "ISO-8859-2"),
    ICONV("iso_8859-2", "ISO-8859-2"),
    ICONV("csisolatin2", "ISO-8859-2"),
    ICONV("iso-ir-101", "ISO-8859-2"),
    ICONV("iso_8859-2:1987", "ISO-8859-2"),
    ICONV("l2", "ISO-8859-2"),
    ICONV("iso8859-3", "ISO-8859-3"),
    ICONV("iso88593", "ISO-8859-3"),
    ICONV("iso_8859-3", "ISO-8859-3"),
    ICONV("csisolatin3", "ISO-8859-3"),
    ICONV("iso-ir-109", "ISO-8859-3"),
    ICONV("iso_8859-3:1988", "ISO-8859-3"),
    ICONV("l3", "ISO-8859-3"),
    ICONV("latin3", "ISO-8859-3"),
    ICONV("iso8859-4", "ISO-8859-4"),
    ICONV("iso88594", "ISO-8859-4"),
    ICONV("iso_8859-4", "ISO-8859-4"),
    ICONV("csisolatin4", "ISO-8859-4"),
    ICONV("iso-ir-110", "ISO-8859-4"),
    ICONV("iso_8859-4:1988", "ISO-8859-4"),
    ICONV("l4", "ISO-8859-4"),
    ICONV("latin4", "ISO-8859-4"),
    ICONV("iso8859-5", "ISO-8859-5"),
    ICONV("iso88595", "ISO-8859-5"),
    ICONV("iso_8859-5", "ISO-8859-5"),
    ICONV("csisolatincyrillic", "ISO-8859-5"),
    ICONV("cyrillic", "ISO-8859-5"),
    ICONV("iso-ir-144", "ISO-8859-5"),
    ICONV("iso_8859-5:1988", "ISO-8859-5"),
    ICONV("iso88597", "ISO-8859-7"),
    ICONV("iso_8859-7", "ISO-8859-7"),
    ICONV("csisolatingreek", "ISO-8859-7"),
    ICONV("ecma-118", "ISO-8859-7"),
    ICONV("elot_928", "ISO-8859-7"),
    ICONV("greek8", "ISO-8859-7"),
    ICONV("iso-ir-126", "ISO-8859-7"),
    ICONV("iso_8859-7:1987", "ISO-8859-7"),
    ICONV("sun_eu_greek", "ISO-8859-7"),
    ICONV("iso8859-8", "ISO-8859-8"),
    ICONV("iso88598", "ISO-8859-8"),
    ICONV("iso_8859-8", "ISO-8859-8"),
    ICONV("csiso88598e", "ISO-8859-8"),
    ICONV("csisolatinhebrew", "ISO-8859-8"),
    ICONV("iso-ir-138", "ISO-8859-8"),
    ICONV("iso_8859-8:1988", "ISO-8859-8"),
    ICONV("visual", "ISO-8859-8"),
    ICONV("csiso88598i", "ISO-8859-8"),
    ICONV("iso8859-10", "ISO-8859-10"),
    ICONV("iso885910", "ISO-8859-10"),
    ICONV("iso_8859-10", "ISO-8859-10"),
    ICONV("csisolatin6", "ISO-8859-10"),
    ICONV("iso-ir-157", "ISO-8859-10"),
    ICONV("l6", "ISO-8859-10"),
    ICONV("latin6", "ISO-8859-10"),
    ICONV("iso8859-13", "ISO-8859-13"),
    ICONV("iso885913", "ISO-8859-13"),
    ICONV("iso_8859-13", "ISO-8859-13"),
    ICONV("latin7", "ISO-8859-13"),
    ICONV("iso8859-14", "ISO-8859-14"),
    ICONV("iso885914", "ISO-8859-14"),
    ICONV("iso_8859-14", "ISO-8859-14"),
    ICONV("latin8", "ISO-8859-14"),
    ICONV("iso885915", "ISO-8859-15"),
    ICONV("iso_8859-15", "ISO-8859-15"),
    ICONV("csisolatin9", "ISO-8859-15"),
    ICONV("l9", "ISO-8859-15"),
    ICONV("iso8859-16", "ISO-8859-16"),
    ICONV("iso885916", "ISO-8859-16"),
    ICONV("iso_8859-16", "ISO-8859-16"),
    ICONV("latin10", "ISO-8859-16"),
    ICONV("csisolatin5", "WINDOWS-1254"),
    ICONV("iso-ir-148", "WINDOWS-1254"),
    ICONV("iso88599", "WINDOWS-1254"),
    ICONV("iso_8859-9", "WINDOWS-1254"),
    ICONV("iso_8859-9:1989", "WINDOWS-1254"),
    ICONV("l5", "WINDOWS-1254"),
    ICONV("cp1254", "WINDOWS-1254"),
    ICONV("x-cp1254", "WINDOWS-1254"),
    ICONV("dos-874", "WINDOWS-874"),
    ICONV("iso8859-11", "WINDOWS-874"),
    ICONV("iso885911", "WINDOWS-874"),
    ICONV("x-cp1250", "WINDOWS-1250"),
    ICONV("x-cp1251", "WINDOWS-1251"),
    ICONV("win-1251", "WINDOWS-1251"),
    ICONV("windows1251", "WINDOWS-1251"),
    ICONV("cp1253", "WINDOWS-1253"),
    ICONV("x-cp1253", "WINDOWS-1253"),
    ICONV("cp1255", "WINDOWS-1255"),
    ICONV("x-cp1255", "WINDOWS-1255"),
    ICONV("cp1257", "WINDOWS-1257"),
    ICONV("x-cp1257", "WINDOWS-1257"),
    ICONV("cp1258", "WINDOWS-1258"),
    ICONV("x-cp1258", "WINDOWS-1258"),
    ICONV("866", "CP866"),
    ICONV("csibm866", "CP866"),
    ICONV("cskoi8r", "KOI8-R"),
    ICONV("koi", "KOI8-R"),
    ICONV("koi8_r", "KOI8-R"),
    ICONV("csmacintosh", "MACINTOSH"),
    ICONV("x-mac-ukrainian", "MAC-CYRILLIC"),
    ICONV("csgb2312", "GB18030"),
    ICONV("csiso58gb231280", "GB18030"),
    ICONV("gb_2312", "GB18030"),
    ICONV("iso-ir-58", "GB18030"),
    ICONV("big5-eten", "BIG5-HKSCS"),
    ICONV("csbig5", "BIG5-HKSCS"),
    ICONV("x-x-big5", "BIG5-HKSCS"),
    ICONV("cseucpkdfmtjapanese", "EUC-JP-MS"),
    ICONV("eucjp", "EUC-JP-MS"),
    ICONV("ujis", "EUC-JP-MS"),
    ICONV("csiso2022jp", "ISO-2022-JP-3"),
    ICONV("csshiftjis", "WINDOWS-31J"),
    ICONV("ms932", "WINDOWS-31J"),
    ICONV("x-ms-cp932", "WINDOWS-31J"),
    ICONV("cseuckr", "UHC"),
    ICONV("csksc56011987", "UHC"),
    ICONV("iso-ir-149", "UHC"),
    ICONV("ksc_5601", "UHC"),
    ICONV("ks_c_5601", "UHC"),
    ICONV("csiso2022kr", "ISO-2022-KR"),
    ICONV("cp737", "CP737"),
    ICONV("ibm737", "CP737"),
    ICONV("cp775", "CP775"),
    ICONV("ibm775", "CP775"),
    ICONV("ibm852", "CP852"),
    ICONV("cp855", "CP855"),
    ICONV("ibm855", "CP855"),
    ICONV("cp857", "CP857"),
    ICONV("ibm857", "CP857"),
    ICONV("cp862", "CP862"),
    ICONV("ibm862", "CP862"),
    ICONV("dos-862", "CP862"),
    ICONV("cp863", "CP863"),
    ICONV("cp865", "CP865"),
};

static const struct label *label_find(struct slice name)
{
    name = slice_trim(name);
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        if (name.len && ascii_lower(name.ptr[0]) == labels[i].name[0] &&
            slice_eq_nocase(name, slice_of(labels[i].name)))
            return &labels[i];
    }
    return NULL;
}

const char *charset_label(size_t index)
{
    return index < sizeof labels / sizeof labels[0] ? labels[index].name : NULL;
}

bool charset_known(struct slice name)
{
    return label_find(name) != NULL;
}

void text_add_char(struct buf *out, uint32_t c)
{
    char bytes[4];
    if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        c = 0xfffd;
    buf_add(out, slice_from(bytes, utf8_encode(c, bytes)));
}

static size_t ascii_run(struct slice bytes)
{
    size_t len = 0;
    while (len < bytes.len && slice_at(bytes, len) < 0x80)
        len++;
    return len;
}

static void table_feed(const uint16_t *high, struct slice bytes, struct buf *out)
{
    while (bytes.len) {
        size_t run = ascii_run(bytes);
        buf_add(out, slice_sub(bytes, 0, run));
        for (; run < bytes.len && slice_at(bytes, run) >= 0x80; run++)
            text_add_char(out, high[slice_at(bytes, run) - 0x80]);
        bytes = slice_from_index(bytes, run);
    }
}

/* Whether the bytes at the end may be the start of one character. */
static bool utf8_may_continue(struct slice s)
{
    if (!s.len || s.len > 3)
        return false;
    unsigned char first = slice_at(s, 0);
    size_t need = first >= 0xf0 && first <= 0xf4   ? 4
                  : first >= 0xe0 && first < 0xf0  ? 3
                  : first >= 0xc2 && first <= 0xdf ? 2
                                                   : 0;
    if (s.len >= need)
        return false;
    for (size_t i = 1; i < s.len; i++) {
        if ((slice_at(s, i) & 0xc0) != 0x80)
            return false;
    }
    return true;
}

/* UTF-8 to UTF-8; what is none becomes U+FFFD, or with guess the Windows-1252 character of the byte. Returns what was used:
 * all but a character's start at the end, unless final. */
static size_t utf8_feed(struct slice bytes, bool guess, bool final, struct buf *out)
{
    size_t done = 0;
    while (done < bytes.len) {
        size_t at = done;
        uint32_t c;
        for (;;) {
            at += ascii_run(slice_from_index(bytes, at));
            size_t len = utf8_decode(bytes, at, &c);
            if (!len)
                break;
            at += len;
        }
        buf_add(out, slice_sub(bytes, done, at - done));
        done = at;
        if (done == bytes.len)
            break;
        if (!final && utf8_may_continue(slice_from_index(bytes, done)))
            break;
        unsigned char byte = slice_at(bytes, done);
        text_add_char(out, guess ? table_windows_1252[byte - 0x80] : 0xfffd);
        done++;
    }
    return done;
}

/* Returns what was used; what is left is the start of a character. */
static size_t iconv_feed(struct charset_stream *stream, struct slice bytes, struct buf *out)
{
    union { /* iconv takes char ** but does not write */
        const char *from;
        char *to;
    } in = { bytes.ptr };
    size_t left = bytes.len;
    while (left) {
        char utf8[1024];
        char *out_at = utf8;
        size_t room = sizeof utf8;
        size_t got = iconv(stream->cd, &in.to, &left, &out_at, &room);
        int failed = got == (size_t)-1 ? errno : 0;
        buf_add(out, slice_from(utf8, sizeof utf8 - room));
        if (failed == EINVAL)
            break;
        if (failed == EILSEQ) {
            text_add_char(out, 0xfffd);
            in.to++;
            left--;
        }
    }
    return bytes.len - left;
}

enum err charset_open(struct charset_stream *stream, struct slice name)
{
    const struct label *label = label_find(name);
    if (!label)
        return ERR_NOT_FOUND;
    struct charset_stream opened = { .kind = (int)label->kind, .high = label->high };
    if (label->kind == KIND_ICONV) {
        opened.cd = iconv_open("UTF-8", label->iconv_name);
        if (opened.cd == (iconv_t)-1)
            return ERR_NOT_FOUND; /* this system's iconv does not have it */
    }
    *stream = opened;
    return ERR_OK;
}

void charset_open_guess(struct charset_stream *stream)
{
    *stream = (struct charset_stream){ .kind = KIND_GUESS };
}

static size_t feed_some(
    struct charset_stream *stream, struct slice bytes, bool final, struct buf *out)
{
    if (stream->kind == KIND_ICONV)
        return iconv_feed(stream, bytes, out);
    return utf8_feed(bytes, stream->kind == KIND_GUESS, final, out);
}

void charset_feed(struct charset_stream *stream, struct slice bytes, struct buf *out)
{
    if (stream->kind == KIND_TABLE) {
        table_feed(stream->high, bytes, out);
        return;
    }
    /* finish the held character byte by byte */
    while (stream->held_len && bytes.len) {
        stream->held[stream->held_len++] = bytes.ptr[0];
        bytes = slice_from_index(bytes, 1);
        size_t used = feed_some(stream, slice_from(stream->held, stream->held_len), false, out);
        stream->held_len -= used;
        memmove(stream->held, stream->held + used, stream->held_len);
        if (stream->held_len == sizeof stream->held) { /* no charset has such a long character */
            text_add_char(out, 0xfffd);
            stream->held_len = 0;
        }
    }
    size_t used = feed_some(stream, bytes, false, out);
    struct slice rest = slice_from_index(bytes, used);
    if (rest.len > sizeof stream->held - 1) {
        text_add_char(out, 0xfffd);
        rest.len = 0;
    }
    if (rest.len) {
        memcpy(stream->held, rest.ptr, rest.len);
        stream->held_len = rest.len;
    }
}

void charset_end(struct charset_stream *stream, struct buf *out)
{
    if (stream->held_len) {
        if (stream->kind == KIND_ICONV)
            text_add_char(out, 0xfffd);
        else
            utf8_feed(
                slice_from(stream->held, stream->held_len), stream->kind == KIND_GUESS, true, out);
    }
    stream->held_len = 0;
    if (stream->kind != KIND_ICONV)
        return;
    char utf8[64]; /* a stateful charset may have something left (UTF-7) */
    char *out_at = utf8;
    size_t room = sizeof utf8;
    if (iconv(stream->cd, NULL, NULL, &out_at, &room) != (size_t)-1)
        buf_add(out, slice_from(utf8, sizeof utf8 - room));
    iconv_close(stream->cd);
}

enum err charset_to_utf8(struct slice name, struct slice bytes, struct buf *out)
{
    struct charset_stream stream;
    TRY(charset_open(&stream, name));
    charset_feed(&stream, bytes, out);
    charset_end(&stream, out);
    return buf_err(out);
}

void text_guess_utf8(struct slice bytes, struct buf *out)
{
    if (utf8_valid(bytes))
        buf_add(out, bytes);
    else
        table_feed(table_windows_1252, bytes, out);
}
