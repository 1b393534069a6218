/* Bytes in each charset we know. First two bytes: which; third: where to cut. Oracles: out comes UTF-8, of bounded length; the same wherever
 * it is cut; text of unknown charset that is UTF-8 stays as it is. */
#include "message/text_int.h"

#include "base/utf8.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static size_t labels_count(void)
{
    static size_t count;
    while (charset_label(count))
        count++;
    return count;
}

static void check_guess(struct slice text, size_t cut)
{
    struct buf whole, pieces;
    buf_init(&whole, 0);
    buf_init(&pieces, 0);
    struct charset_stream stream;
    charset_open_guess(&stream);
    charset_feed(&stream, text, &whole);
    charset_end(&stream, &whole);
    charset_open_guess(&stream);
    charset_feed(&stream, slice_sub(text, 0, cut), &pieces);
    charset_feed(&stream, slice_from_index(text, cut), &pieces);
    charset_end(&stream, &pieces);
    assert(slice_eq(buf_slice(&whole), buf_slice(&pieces)));
    assert(utf8_valid(buf_slice(&whole)));
    if (utf8_valid(text))
        assert(slice_eq(buf_slice(&whole), text));
    buf_clear(&whole);
    text_guess_utf8(text, &whole);
    assert(utf8_valid(buf_slice(&whole)));
    buf_done(&whole);
    buf_done(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len < 3)
        return 0;
    struct slice charset = slice_of(charset_label((bytes[0] | (size_t)bytes[1] << 8) % labels_count()));
    struct slice text = slice_from(bytes + 3, len - 3);
    size_t cut = text.len ? bytes[2] % text.len : 0;
    struct buf whole, pieces;
    buf_init(&whole, 0);
    buf_init(&pieces, 0);
    struct charset_stream stream;
    if (charset_open(&stream, charset) == ERR_OK) { /* not every iconv has every charset */
        charset_feed(&stream, text, &whole);
        charset_end(&stream, &whole);
        assert(utf8_valid(buf_slice(&whole)));
        assert(buf_len(&whole) <= text.len * 12 + 16);
        enum err e = charset_open(&stream, charset);
        assert(e == ERR_OK);
        charset_feed(&stream, slice_sub(text, 0, cut), &pieces);
        charset_feed(&stream, slice_from_index(text, cut), &pieces);
        charset_end(&stream, &pieces);
        assert(slice_eq(buf_slice(&whole), buf_slice(&pieces)));
    }
    check_guess(text, cut);
    buf_done(&whole);
    buf_done(&pieces);
    return 0;
}
