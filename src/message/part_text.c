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

enum err msg_read_text(const struct msg_source *source, const struct msg_part *part,
    msg_piece_fn *take, void *take_arg)
{
    enum {
        PIECE_BYTES = 32768
    };
    struct part_text_kind kind = { .encoding = part->encoding,
        .charset = part->charset,
        .is_html = slice_eq(part->subtype, SLICE("html")),
        .is_flowed = part->flowed,
        .del_sp = part->del_sp };
    struct part_text text;
    struct buf raw, out;
    uint64_t left = msg_source_clip(source, part->body_offset, part->body_len);
    uint64_t at = part->body_offset;
    enum err e = ERR_OK;
    part_text_init(&text, &kind);
    buf_init(&raw, 0);
    buf_init(&out, 0);
    for (bool final = false; !final;) { /* also after an error: the steps are ended */
        size_t len = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
        buf_clear(&raw);
        buf_clear(&out);
        if (e == ERR_OK && len)
            e = msg_source_read(source, at, len, &raw);
        at += len;
        left -= len;
        final = left == 0 || e != ERR_OK;
        part_text_feed(&text, buf_slice(&raw), final, &out);
        if (e == ERR_OK && buf_len(&out))
            e = take(take_arg, buf_slice(&out));
    }
    part_text_done(&text);
    buf_done(&raw);
    buf_done(&out);
    return e;
}
