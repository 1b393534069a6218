/* Transfer encoding, charset, HTML or format=flowed, one after the other, in pieces of any size. */
#include "message/text_int.h"

void part_text_init(struct part_text *text, const struct part_text_kind *kind)
{
    text->is_html = kind->is_html;
    text->is_flowed = kind->is_flowed && !kind->is_html;
    transfer_init(&text->transfer, kind->encoding);
    if (charset_open(&text->charset, kind->charset) != ERR_OK)
        charset_open_guess(&text->charset);
    html_init(&text->html);
    flowed_init(&text->flowed, kind->del_sp);
    buf_init(&text->bytes, 0);
    buf_init(&text->utf8, 0);
}

void part_text_feed(struct part_text *text, struct slice raw, bool final, struct buf *out)
{
    struct buf *utf8 = text->is_html || text->is_flowed ? &text->utf8 : out;
    buf_clear(&text->bytes);
    buf_clear(&text->utf8);
    transfer_feed(&text->transfer, raw, &text->bytes);
    if (final)
        transfer_end(&text->transfer, &text->bytes);
    charset_feed(&text->charset, buf_slice(&text->bytes), utf8);
    if (final)
        charset_end(&text->charset, utf8);
    if (text->is_html) {
        html_feed(&text->html, buf_slice(utf8), out);
        if (final)
            html_end(&text->html, out);
    } else if (text->is_flowed) {
        flowed_feed(&text->flowed, buf_slice(utf8), out);
        if (final)
            flowed_end(&text->flowed, out);
    }
}

void part_text_done(struct part_text *text)
{
    buf_done(&text->bytes);
    buf_done(&text->utf8);
}
