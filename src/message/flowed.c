/* Text of format=flowed (RFC 3676) as paragraphs, one line each, so that a phrase is found wherever the sender's program broke it. One byte at a
 * time; a blank and a CR are held back until the next byte says what they are. */
#include "message/text_int.h"

enum state {
    STATE_QUOTES, /* at the start of a line: ">" are counted */
    STATE_TEXT,
};

void flowed_init(struct flowed *flowed, bool del_sp)
{
    *flowed = (struct flowed){ .state = STATE_QUOTES, .del_sp = del_sp };
}

/* The quote marks of a line are over; c is the byte after them. True when it is the stuffed blank (§4.4). */
static bool line_begins(struct flowed *flowed, char c, struct buf *out)
{
    bool goes_on = flowed->joins && flowed->depth == flowed->paragraph_depth;
    bool stuffed = c == ' ';
    if (flowed->joins && !goes_on)
        buf_addc(out, '\n');
    for (uint32_t i = 0; !goes_on && i < flowed->depth; i++)
        buf_addc(out, '>');
    if (!goes_on && flowed->depth && stuffed)
        buf_addc(out, ' ');
    flowed->paragraph_depth = flowed->depth;
    flowed->state = STATE_TEXT;
    flowed->signature_at = 0;
    flowed->signature_waits = goes_on;
    return stuffed;
}

/* The line is no signature, or its end is not known: what was held back goes out. */
static void signature_out(struct flowed *flowed, struct buf *out)
{
    int dashes = flowed->signature_at < 2 ? flowed->signature_at : 2;
    if (flowed->signature_waits && flowed->signature_at <= 3)
        buf_add(out, slice_sub(SLICE("--"), 0, (size_t)dashes));
    flowed->signature_waits = false;
}

/* What was held back is text after all. */
static void held_out(struct flowed *flowed, struct buf *out)
{
    if (flowed->held_space)
        buf_addc(out, ' ');
    if (flowed->held_cr)
        buf_addc(out, '\r');
    flowed->held_space = flowed->held_cr = false;
}

/* A line that ends with a blank goes on in the next one, unless it is the signature's "-- " (§4.3). */
static void line_ends(struct flowed *flowed, struct buf *out)
{
    bool is_signature = flowed->held_space && flowed->signature_at == 3;
    if (is_signature && flowed->signature_waits)
        buf_addc(out, '\n');
    signature_out(flowed, out);
    flowed->joins = flowed->held_space && !is_signature;
    if (flowed->held_space && !(flowed->joins && flowed->del_sp))
        buf_addc(out, ' ');
    if (!flowed->joins)
        buf_addc(out, '\n');
    flowed->held_space = flowed->held_cr = false;
    flowed->state = STATE_QUOTES;
    flowed->depth = 0;
}

static void text_byte(struct flowed *flowed, char c, struct buf *out)
{
    static const char signature[] = "-- ";
    if (c == '\n') {
        line_ends(flowed, out);
        return;
    }
    if (c == '\r' && !flowed->held_cr) {
        flowed->held_cr = true;
        return;
    }
    bool in_signature = flowed->signature_at < 3 && !flowed->held_cr && c == signature[flowed->signature_at];
    if (!in_signature)
        signature_out(flowed, out);
    held_out(flowed, out);
    flowed->signature_at = in_signature ? flowed->signature_at + 1 : 4;
    if (c == ' ')
        flowed->held_space = true;
    else if (!in_signature || !flowed->signature_waits)
        buf_addc(out, c);
}

void flowed_feed(struct flowed *flowed, struct slice utf8, struct buf *out)
{
    for (size_t i = 0; i < utf8.len; i++) {
        char c = utf8.ptr[i];
        if (flowed->state == STATE_QUOTES && c == '>') {
            flowed->depth++;
            continue;
        }
        if (flowed->state == STATE_QUOTES && line_begins(flowed, c, out))
            continue;
        text_byte(flowed, c, out);
    }
}

void flowed_end(struct flowed *flowed, struct buf *out)
{
    if (flowed->state == STATE_QUOTES && flowed->depth)
        line_begins(flowed, 0, out);
    signature_out(flowed, out);
    held_out(flowed, out);
}
