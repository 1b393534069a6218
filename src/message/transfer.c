/* Lenient decoders. Base64: anything outside the alphabet is passed over and padding only ends a quantum, so joined and
 * damaged texts give what can be read. Quoted-printable: a "=" that escapes nothing stands for itself. */
#include "message/text_int.h"

#include "base/encode.h"

#include <string.h>

static void base64_feed(struct transfer *t, struct slice bytes, struct buf *out)
{
    while (bytes.len) {
        struct slice piece = slice_sub(bytes, 0, 4096);
        char decoded[3074];
        size_t len = 0;
        for (size_t i = 0; i < piece.len; i++) {
            int digit = base64_digit(piece.ptr[i]);
            if (digit >= 0) {
                t->bits = (t->bits << 6 | (uint32_t)digit) & 0xffffff;
                t->bits_count += 6;
                if (t->bits_count >= 8) {
                    t->bits_count -= 8;
                    decoded[len++] = (char)(t->bits >> t->bits_count);
                }
            } else if (piece.ptr[i] == '=') {
                t->bits_count = 0;
            }
        }
        buf_add(out, slice_from(decoded, len));
        bytes = slice_from_index(bytes, piece.len);
    }
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Decides about what starts at held[0], which is "=" or a blank. False when more bytes are needed. */
static bool qp_decide(struct transfer *t, struct buf *out)
{
    char *held = t->held;
    size_t at = held[0] == '=' ? 1 : 0, blanks = at;
    while (blanks < t->held_len && is_blank(held[blanks]))
        blanks++;
    size_t used;
    if (at && t->held_len >= 3 && hex_digit(held[1]) >= 0 && hex_digit(held[2]) >= 0) {
        buf_addc(out, (char)(hex_digit(held[1]) << 4 | hex_digit(held[2])));
        used = 3;
    } else if (at && t->held_len == 2 && hex_digit(held[1]) >= 0) {
        return false;
    } else if (blanks == t->held_len && t->held_len < sizeof t->held) {
        return false;
    } else if (blanks < t->held_len && held[blanks] == '\n') {
        used =
            blanks + (at ? 1 : 0); /* a soft line break, or blanks at the end of a line: dropped */
    } else if (blanks < t->held_len && held[blanks] == '\r') {
        if (blanks + 1 == t->held_len && t->held_len < sizeof t->held)
            return false;
        bool lf = blanks + 1 < t->held_len && held[blanks + 1] == '\n';
        used = lf ? blanks + (at ? 2 : 0) : blanks + 1;
        if (!lf)
            buf_add(out, slice_from(held, used));
    } else {
        used = blanks ? blanks : 1;
        buf_add(out, slice_from(held, used));
    }
    t->held_len -= used;
    memmove(held, held + used, t->held_len);
    return true;
}

static bool qp_starts(char c)
{
    return c == '=' || is_blank(c);
}

static void qp_flush_plain(struct transfer *t, struct buf *out)
{
    size_t plain = 0;
    while (plain < t->held_len && !qp_starts(t->held[plain]))
        plain++;
    buf_add(out, slice_from(t->held, plain));
    t->held_len -= plain;
    memmove(t->held, t->held + plain, t->held_len);
}

static void qp_feed(struct transfer *t, struct slice bytes, struct buf *out)
{
    size_t i = 0;
    while (i < bytes.len) {
        if (!t->held_len) {
            size_t run = i;
            while (run < bytes.len && !qp_starts(bytes.ptr[run]))
                run++;
            buf_add(out, slice_sub(bytes, i, run - i));
            i = run;
            /* a blank before a printable byte is by far the most common case */
            if (i + 1 < bytes.len && bytes.ptr[i] == ' ' && (unsigned char)bytes.ptr[i + 1] > ' ' &&
                bytes.ptr[i + 1] != '=') {
                buf_add(out, slice_sub(bytes, i, 2));
                i += 2;
                continue;
            }
            if (i == bytes.len)
                break;
        }
        t->held[t->held_len++] = bytes.ptr[i++];
        while (t->held_len && qp_decide(t, out))
            qp_flush_plain(t, out);
    }
}

void transfer_init(struct transfer *transfer, struct slice encoding)
{
    *transfer = (struct transfer){ .kind = TRANSFER_IDENTITY };
    if (slice_eq_nocase(encoding, SLICE("base64")))
        transfer->kind = TRANSFER_BASE64;
    else if (slice_eq_nocase(encoding, SLICE("quoted-printable")))
        transfer->kind = TRANSFER_QP;
}

void transfer_feed(struct transfer *transfer, struct slice bytes, struct buf *out)
{
    if (transfer->kind == TRANSFER_BASE64)
        base64_feed(transfer, bytes, out);
    else if (transfer->kind == TRANSFER_QP)
        qp_feed(transfer, bytes, out);
    else
        buf_add(out, bytes);
}

void transfer_end(struct transfer *transfer, struct buf *out)
{
    /* "=" alone at the very end is a soft line break with nothing after it; blanks there are at a line's end */
    if (transfer->held_len > 1 && transfer->held[0] == '=' && hex_digit(transfer->held[1]) >= 0)
        buf_add(out, slice_from(transfer->held, transfer->held_len));
    transfer->held_len = 0;
    transfer->bits_count = 0;
}

static void decode(struct slice encoding, struct slice text, struct buf *out)
{
    struct transfer transfer;
    transfer_init(&transfer, encoding);
    transfer_feed(&transfer, text, out);
    transfer_end(&transfer, out);
}

void msg_decode_base64(struct slice text, struct buf *out)
{
    decode(SLICE("base64"), text, out);
}

bool msg_encoding_known(struct slice encoding)
{
    static const char *const names[] = { "7bit", "8bit", "binary", "base64", "quoted-printable" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (slice_eq_nocase(encoding, slice_of(names[i])))
            return true;
    }
    return false;
}

#define RANGE_PIECE_BYTES (64u << 10)

enum err msg_decode_range(const struct msg_source *source, struct msg_range range,
    struct slice encoding, msg_piece_fn *take, void *take_arg)
{
    struct transfer transfer;
    struct buf raw, bytes;
    transfer_init(&transfer, encoding);
    buf_init(&raw, 0);
    buf_init(&bytes, 0);
    range.len = msg_source_clip(source, range.offset, range.len);
    enum err e = ERR_OK;
    bool final = false;
    while (!final && e == ERR_OK) {
        size_t len = range.len < RANGE_PIECE_BYTES ? (size_t)range.len : RANGE_PIECE_BYTES;
        final = len == range.len;
        buf_clear(&raw);
        buf_clear(&bytes);
        e = msg_source_read(source, range.offset, len, &raw);
        transfer_feed(&transfer, buf_slice(&raw), &bytes);
        if (final)
            transfer_end(&transfer, &bytes);
        if (e == ERR_OK && buf_len(&bytes))
            e = take(take_arg, buf_slice(&bytes));
        range.offset += len;
        range.len -= len;
    }
    buf_done(&raw);
    buf_done(&bytes);
    return e;
}
