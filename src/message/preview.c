/* Decoding the first bytes of one part for a person to see in a list. */
#include "message/preview.h"

#include "base/utf8.h"
#include "message/text_int.h"

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

/* Collects what is seen of the text. */
struct line {
    struct buf *out;
    size_t chars;
    bool gap; /* blanks since the last character */
};

static bool line_full(const struct line *line)
{
    return line->chars >= PREVIEW_CHARS_MAX;
}

/* Visible ASCII at the front of text. */
static size_t ascii_run(struct slice text)
{
    size_t len = 0;
    while (len < text.len && slice_at(text, len) > ' ' && slice_at(text, len) < 0x7f)
        len++;
    return len;
}

/* text holds whole characters. */
static void line_add(struct line *line, struct slice text)
{
    for (size_t at = 0, len; at < text.len && !line_full(line); at += len) {
        uint32_t c;
        len = ascii_run(slice_sub(text, at, PREVIEW_CHARS_MAX - line->chars));
        if (len && !line->gap) {
            buf_add(line->out, slice_sub(text, at, len));
            line->chars += len;
            continue;
        }
        len = utf8_decode(text, at, &c);
        if (!len) {
            len = 1;
            continue;
        }
        if (is_blank(c)) {
            line->gap = line->chars > 0;
            continue;
        }
        if (is_filler(c) || (is_joiner(c) && (line->gap || !line->chars)))
            continue;
        if (line->gap) {
            if (line->chars + 2 > PREVIEW_CHARS_MAX) {
                line->chars = PREVIEW_CHARS_MAX;
                return;
            }
            buf_addc(line->out, ' ');
            line->chars++;
            line->gap = false;
        }
        buf_add(line->out, slice_sub(text, at, len));
        line->chars++;
    }
}

/* From the body to text, in steps, because mostly the first few lines are enough. */
struct steps {
    const struct preview_text *text;
    struct transfer transfer;
    struct charset_stream charset;
    struct html html;
    struct flowed flowed;
    struct buf bytes, utf8, shown;
};

static void step(struct steps *s, struct slice raw, bool final, struct line *line)
{
    buf_clear(&s->bytes);
    buf_clear(&s->utf8);
    buf_clear(&s->shown);
    transfer_feed(&s->transfer, raw, &s->bytes);
    if (final)
        transfer_end(&s->transfer, &s->bytes);
    charset_feed(&s->charset, buf_slice(&s->bytes), &s->utf8);
    if (final)
        charset_end(&s->charset, &s->utf8);
    if (s->text->is_html) {
        html_feed(&s->html, buf_slice(&s->utf8), &s->shown);
    } else if (s->text->is_flowed) {
        flowed_feed(&s->flowed, buf_slice(&s->utf8), &s->shown);
        if (final)
            flowed_end(&s->flowed, &s->shown);
    }
    line_add(line, buf_slice(s->text->is_html || s->text->is_flowed ? &s->shown : &s->utf8));
}

#define STEP_BYTES 384u

void preview_make(const struct preview_text *text, struct buf *out)
{
    struct line line = { .out = out };
    struct steps s = { .text = text };
    transfer_init(&s.transfer, text->encoding);
    if (charset_open(&s.charset, text->charset) != ERR_OK)
        charset_open_guess(&s.charset);
    html_init(&s.html);
    flowed_init(&s.flowed, text->del_sp);
    buf_init(&s.bytes, 0);
    buf_init(&s.utf8, 0);
    buf_init(&s.shown, 0);
    size_t at = 0;
    for (; text->body.len - at > STEP_BYTES && !line_full(&line); at += STEP_BYTES)
        step(&s, slice_sub(text->body, at, STEP_BYTES), false, &line);
    bool full = line_full(&line);
    step(&s, full ? SLICE_EMPTY : slice_from_index(text->body, at), true, &line);
    buf_done(&s.bytes);
    buf_done(&s.utf8);
    buf_done(&s.shown);
}
