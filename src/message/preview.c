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

/* Mostly the first few lines are enough. */
#define STEP_BYTES 384u

void preview_make(struct slice body, const struct part_text_kind *kind, struct buf *out)
{
    struct line line = { .out = out };
    struct part_text text;
    struct buf shown;
    part_text_init(&text, kind);
    buf_init(&shown, 0);
    bool final = false;
    for (size_t at = 0; !final; at += STEP_BYTES) {
        struct slice raw = line_full(&line) ? SLICE_EMPTY : slice_sub(body, at, STEP_BYTES);
        final = raw.len < STEP_BYTES || at + STEP_BYTES == body.len;
        buf_clear(&shown);
        part_text_feed(&text, raw, final, &shown);
        line_add(&line, buf_slice(&shown));
    }
    part_text_done(&text);
    buf_done(&shown);
}
