/* Dots at line starts, both ways. Only CRLF starts a line; content goes by in pieces that are as long as the input allows. */
#include "proto/wire/wire.h"

#include <string.h>

enum {
    BOL,
    MID,
    CR,
    DOT,
    DOT_CR
}; /* the last two: the dot is held back, for it may be the end */

static bool has(const char *ptr, size_t len, char c)
{
    return len && memchr(ptr, c, len);
}

/* Takes content up to the next dot at a line start, or all of it. in is not empty and not just behind a CR. */
static void take_content(struct wire_dot_in *dots, struct slice *in, struct slice *out_piece)
{
    const char *ptr = in->ptr;
    size_t len = in->len, at = 0, end = len;
    dots->state = MID;
    while (at < len) {
        const char *lf = memchr(ptr + at, '\n', len - at);
        if (!lf) {
            dots->bare |= has(ptr + at, len - at - 1, '\r');
            dots->state = ptr[len - 1] == '\r' ? CR : MID;
            break;
        }
        size_t i = (size_t)(lf - ptr);
        if (i == at || ptr[i - 1] != '\r') {
            dots->bare = true;
            at = i + 1;
            continue;
        }
        dots->bare |= has(ptr + at, i - 1 - at, '\r');
        at = i + 1;
        if (at == len || ptr[at] == '.') {
            dots->state = BOL;
            end = at;
            break;
        }
    }
    dots->bare |= has(ptr, end, '\0');
    *out_piece = slice_from(ptr, end);
    *in = slice_from_index(*in, end);
}

enum wire wire_dot_next(struct wire_dot_in *dots, struct slice *in, struct slice *out_piece)
{
    while (in->len) {
        char c = in->ptr[0];
        switch (dots->state) {
        case BOL:
            if (c != '.') {
                take_content(dots, in, out_piece);
                return WIRE_PIECE;
            }
            dots->state = DOT;
            *in = slice_from_index(*in, 1);
            break;
        case DOT:
            dots->state = c == '\r' ? DOT_CR : MID;
            if (c == '\r')
                *in = slice_from_index(*in, 1);
            break;
        case DOT_CR:
            if (c == '\n') {
                dots->state = BOL;
                *in = slice_from_index(*in, 1);
                return WIRE_DONE;
            }
            dots->bare = true;
            dots->state = MID;
            *out_piece = SLICE("\r");
            return WIRE_PIECE;
        case CR:
            if (c == '\n') {
                dots->state = BOL;
                *out_piece = slice_from(in->ptr, 1);
                *in = slice_from_index(*in, 1);
                return WIRE_PIECE;
            }
            dots->bare = true;
            dots->state = MID;
            break;
        default:
            take_content(dots, in, out_piece);
            return WIRE_PIECE;
        }
    }
    return WIRE_MORE;
}

/* Blocks of one length: the compiler makes vectors of them. */
#define BLOCK_BYTES 64

/* Index of the first dot from `from` on that stands behind an LF, or the length. */
static size_t find_dot(struct slice bytes, size_t from)
{
    const char *at = bytes.ptr + from, *end = bytes.ptr + bytes.len;
    for (; end - at > BLOCK_BYTES; at += BLOCK_BYTES) {
        unsigned char found = 0;
        for (int i = 0; i < BLOCK_BYTES; i++)
            found |= (unsigned char)(at[i] == '\n') & (unsigned char)(at[i + 1] == '.');
        if (found)
            break;
    }
    for (; end - at > 1; at++)
        if (at[0] == '\n' && at[1] == '.')
            return (size_t)(at + 1 - bytes.ptr);
    return bytes.len;
}

/* Where lines stand after the piece, which is not empty. */
static unsigned char state_behind(unsigned char before, struct slice piece)
{
    char last = piece.ptr[piece.len - 1];
    bool after_cr = piece.len > 1 ? piece.ptr[piece.len - 2] == '\r' : before == CR;
    return last == '\n' && after_cr ? BOL : last == '\r' ? CR : MID;
}

void wire_dot_add(struct wire_dot_out *dots, struct slice piece, struct buf *out)
{
    if (!piece.len)
        return;
    bool after_cr = dots->state == CR && piece.ptr[0] == '\n';
    if (dots->state == BOL && piece.ptr[0] == '.')
        buf_addc(out, '.');
    size_t from = 0;
    for (size_t at = 0; (at = find_dot(piece, at)) < piece.len;) {
        if (at > 1 ? piece.ptr[at - 2] == '\r' : after_cr) {
            buf_add(out, slice_sub(piece, from, at - from));
            buf_addc(out, '.');
            from = at;
        }
    }
    buf_add(out, slice_from_index(piece, from));
    dots->state = state_behind(dots->state, piece);
}

bool wire_dot_skip(struct wire_dot_out *dots, struct slice piece)
{
    if (!piece.len || dots->state != BOL || piece.ptr[0] == '.' || find_dot(piece, 0) < piece.len)
        return false;
    dots->state = state_behind(BOL, piece);
    return true;
}

void wire_dot_end(struct wire_dot_out *dots, struct buf *out)
{
    if (dots->state != BOL)
        buf_adds(out, "\r\n");
    buf_adds(out, ".\r\n");
    dots->state = BOL;
}
