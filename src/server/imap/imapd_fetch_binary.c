/* Parts of messages decoded for FETCH (RFC 3516). A part is decoded twice when its size is not known otherwise: once to count, once to send; memory
 * does not grow with it. */
#include "server/imap/imapd_fetch_int.h"

#include "message/text.h"

#include <string.h>

/* Up to this the decoded bytes are kept from counting to sending. */
#define KEEP_BYTES_MAX (256u << 10)
#define FLUSH_BYTES    (64u << 10)

struct counted {
    struct buf *kept;
    uint64_t bytes;
    bool has_nul;
};

static enum err count_piece(void *take_arg, struct slice piece)
{
    struct counted *counted = take_arg;
    counted->bytes += piece.len;
    counted->has_nul = counted->has_nul || memchr(piece.ptr, 0, piece.len);
    if (counted->bytes <= KEEP_BYTES_MAX)
        buf_add(counted->kept, piece);
    return ERR_OK;
}

struct sender {
    struct imapd_fetch *f;
    uint64_t skip, left; /* decoded bytes before, and of, what was asked for */
};

static enum err send_piece(void *take_arg, struct slice piece)
{
    struct sender *sender = take_arg;
    if (sender->skip >= piece.len) {
        sender->skip -= piece.len;
        return ERR_OK;
    }
    piece = slice_from_index(piece, (size_t)sender->skip);
    piece = slice_sub(piece, 0, sender->left < piece.len ? (size_t)sender->left : piece.len);
    sender->skip = 0;
    sender->left -= piece.len;
    struct buf *out = imapd_out(sender->f->s);
    buf_add(out, piece);
    if (buf_len(out) >= FLUSH_BYTES) {
        sender->f->sent = true;
        TRY(conn_flush(sender->f->s->conn));
    }
    return sender->left ? ERR_OK : ERR_EXISTS; /* that was the last byte wanted */
}

static enum err write_decoded(struct imapd_fetch *f, const struct store_row *row, const struct imap_att *att,
    const struct msg_source *source, struct msg_range part, struct slice encoding)
{
    struct buf *out = imapd_out(f->s);
    bool known = f->binary_uid == row->uid && f->binary_part.offset == part.offset &&
                 f->binary_part.len == part.len && slice_eq(f->binary_encoding, encoding);
    if (!known) {
        struct counted counted = { .kept = &f->text };
        f->binary_uid = 0; /* f->text is no longer that part's */
        buf_clear(&f->text);
        TRY(msg_decode_range(source, part, encoding, count_piece, &counted));
        f->binary_uid = row->uid;
        f->binary_part = part;
        f->binary_encoding = encoding;
        f->binary_bytes = counted.bytes;
        f->binary_has_nul = counted.has_nul;
    }
    buf_add(out, att->label);
    buf_addc(out, ' ');
    if (att->kind == IMAP_ATT_BINARY_SIZE) {
        buf_addu(out, f->binary_bytes);
        return ERR_OK;
    }
    struct msg_range range = { 0, f->binary_bytes };
    imapd_clip(att, &range);
    buf_add(out, f->binary_has_nul ? SLICE("~{") : SLICE("{"));
    buf_addu(out, range.len);
    buf_add(out, SLICE("}\r\n"));
    if (f->binary_bytes <= KEEP_BYTES_MAX) {
        buf_add(out, slice_sub(buf_slice(&f->text), (size_t)range.offset, (size_t)range.len));
        return ERR_OK;
    }
    struct sender sender = { .f = f, .skip = range.offset, .left = range.len };
    enum err e = sender.left ? msg_decode_range(source, part, encoding, send_piece, &sender) : ERR_OK;
    if (e == ERR_EXISTS)
        return ERR_OK;
    return e == ERR_OK && sender.left ? ERR_CORRUPT : e;
}

enum err imapd_fetch_binary(
    struct imapd_fetch *f, const struct store_row *row, const struct imap_att *att)
{
    struct msg_range part;
    struct slice encoding;
    enum err e = msg_find_binary(&f->summary, att->numbers, att->number_count, &part, &encoding);
    if (e == ERR_NOT_FOUND) {
        buf_add(imapd_out(f->s), att->label);
        buf_add(imapd_out(f->s), att->kind == IMAP_ATT_BINARY_SIZE ? SLICE(" 0") : SLICE(" NIL"));
        return ERR_OK;
    }
    TRY(e);
    if (!msg_encoding_known(encoding))
        return ERR_DENIED;
    struct msg_source source;
    TRY(imapd_source(f->s, row, &f->body, &source));
    return write_decoded(f, row, att, &source, part, encoding);
}
