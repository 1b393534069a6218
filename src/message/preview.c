/* Decoding the first bytes of one part for a person to see in a list. */
#include "message/preview.h"

#include "base/utf8.h"
#include "message/text_int.h"

/* Body to UTF-8 text. */
static void decode(const struct preview_text *text, struct buf *out)
{
    struct buf bytes;
    struct buf utf8;
    buf_init(&bytes, 0);
    buf_init(&utf8, 0);
    msg_decode_transfer(text->encoding, text->body, &bytes);
    struct charset_stream stream;
    if (charset_open(&stream, text->charset) != ERR_OK)
        charset_open_guess(&stream);
    charset_feed(&stream, buf_slice(&bytes), &utf8);
    charset_end(&stream, &utf8);
    if (text->is_html) {
        struct html html;
        html_init(&html);
        html_feed(&html, buf_slice(&utf8), out);
    } else if (text->is_flowed) {
        struct flowed flowed;
        flowed_init(&flowed, text->del_sp);
        flowed_feed(&flowed, buf_slice(&utf8), out);
        flowed_end(&flowed, out);
    } else {
        buf_add(out, buf_slice(&utf8));
    }
    buf_done(&bytes);
    buf_done(&utf8);
}

static bool is_blank(uint32_t c)
{
    return c <= ' ' || c == 0x7f || (c >= 0x80 && c <= 0xa0) || c == 0x2028 || c == 0x2029 ||
           c == 0x3000 || c == 0xfeff;
}

/* Characters without width that senders of advertising fill the preview with. */
static bool is_filler(uint32_t c)
{
    return c == 0x200b || c == 0x034f || c == 0x00ad || (c >= 0x2060 && c <= 0x2064);
}

/* Joiners mean something between letters (Persian, emoji) and nothing beside a blank. */
static bool is_joiner(uint32_t c)
{
    return c >= 0x200c && c <= 0x200f;
}

void preview_make(const struct preview_text *given, struct buf *out)
{
    struct buf text;
    buf_init(&text, 0);
    decode(given, &text);
    struct slice all = buf_slice(&text);
    bool gap = false;
    size_t chars = 0, len = 0;
    for (size_t at = 0; at < all.len && chars < PREVIEW_CHARS_MAX; at += len) {
        uint32_t c;
        len = utf8_decode(all, at, &c);
        if (!len) {
            len = 1;
            continue;
        }
        if (is_blank(c)) {
            gap = chars > 0;
            continue;
        }
        if (is_filler(c) || (is_joiner(c) && (gap || !chars)))
            continue;
        if (gap) {
            if (chars + 2 > PREVIEW_CHARS_MAX)
                break;
            buf_addc(out, ' ');
            chars++;
            gap = false;
        }
        buf_add(out, slice_sub(all, at, len));
        chars++;
    }
    buf_done(&text);
}
