/* Bytes through the text functions. First byte: a charset; second: where to cut. Oracles: out comes UTF-8; streams give the same wherever
 * they are cut; folding folded text changes nothing. */
#include "message/param.h"
#include "message/text_int.h"

#include "base/utf8.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_transfer(const char *encoding, struct slice text, size_t cut)
{
    struct buf whole, pieces;
    buf_init(&whole, 0);
    buf_init(&pieces, 0);
    msg_decode_transfer(slice_of(encoding), text, &whole);
    struct transfer transfer;
    transfer_init(&transfer, slice_of(encoding));
    transfer_feed(&transfer, slice_sub(text, 0, cut), &pieces);
    transfer_feed(&transfer, slice_from_index(text, cut), &pieces);
    transfer_end(&transfer, &pieces);
    assert(slice_eq(buf_slice(&whole), buf_slice(&pieces)));
    assert(buf_len(&whole) <= text.len);
    buf_done(&whole);
    buf_done(&pieces);
}

static void check_charset(const char *charset, struct slice text, size_t cut)
{
    struct buf whole, pieces;
    buf_init(&whole, 0);
    buf_init(&pieces, 0);
    enum err e = charset_to_utf8(slice_of(charset), text, &whole);
    assert(e == ERR_OK);
    assert(utf8_valid(buf_slice(&whole)));
    struct charset_stream stream;
    e = charset_open(&stream, slice_of(charset));
    assert(e == ERR_OK);
    charset_feed(&stream, slice_sub(text, 0, cut), &pieces);
    charset_feed(&stream, slice_from_index(text, cut), &pieces);
    charset_end(&stream, &pieces);
    assert(slice_eq(buf_slice(&whole), buf_slice(&pieces)));
    buf_done(&whole);
    buf_done(&pieces);
}

static void check_html(struct slice utf8, size_t cut)
{
    struct buf whole, pieces;
    struct html html;
    buf_init(&whole, 0);
    buf_init(&pieces, 0);
    html_init(&html);
    html_feed(&html, utf8, &whole);
    html_end(&html, &whole);
    html_init(&html);
    html_feed(&html, slice_sub(utf8, 0, cut), &pieces);
    html_feed(&html, slice_from_index(utf8, cut), &pieces);
    html_end(&html, &pieces);
    assert(slice_eq(buf_slice(&whole), buf_slice(&pieces)));
    buf_done(&whole);
    buf_done(&pieces);
}

static void check_fold(struct slice utf8)
{
    struct buf once, twice;
    buf_init(&once, 0);
    buf_init(&twice, 0);
    text_fold(utf8, &once);
    assert(utf8_valid(buf_slice(&once)));
    text_fold(buf_slice(&once), &twice);
    assert(slice_eq(buf_slice(&once), buf_slice(&twice)));
    buf_done(&once);
    buf_done(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const char *const charsets[] = { "utf-8", "us-ascii", "iso-8859-1", "windows-1256",
        "cp864", "koi8-r", "shift_jis", "iso-2022-jp", "gb18030", "big5", "euc-kr", "utf-16",
        "iso-2022-kr", "windows-1258", "euc-jp" };
    if (len < 2)
        return 0;
    const char *charset = charsets[bytes[0] % (sizeof charsets / sizeof charsets[0])];
    struct slice text = slice_from(bytes + 2, len - 2);
    size_t cut = text.len ? bytes[1] % text.len : 0;
    check_transfer("base64", text, cut);
    check_transfer("quoted-printable", text, cut);
    check_charset(charset, text, cut);
    check_html(text, cut);

    struct buf out;
    buf_init(&out, 0);
    msg_decode_words(text, &out);
    assert(utf8_valid(buf_slice(&out)));
    check_fold(buf_slice(&out));
    buf_clear(&out);
    msg_decode_extended(text, &out);
    assert(utf8_valid(buf_slice(&out)));
    buf_done(&out);

    struct arena arena;
    struct mime_value value;
    arena_init(&arena, 16u << 20);
    enum err e = mime_value_parse(&arena, text, &value);
    assert(e == ERR_OK || e == ERR_LIMIT);
    arena_done(&arena);
    return 0;
}
