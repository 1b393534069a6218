/* Bytes of messages for FETCH: whole, parts, headers, and pieces of them (RFC 3501 §6.4.5). */
#include "server/imap/imapd_fetch_int.h"

#include "message/header.h"

#define CHUNK_BYTES (64u << 10)
/* Up to this a copy into conn_out is cheaper than a system call of its own. */
#define COPY_BYTES_MAX (32u << 10)

void imapd_clip(const struct imap_att *att, struct msg_range *range)
{
    if (!att->has_partial)
        return;
    uint64_t skip = att->partial_offset < range->len ? att->partial_offset : range->len;
    range->offset += skip;
    range->len -= skip;
    if (range->len > att->partial_len)
        range->len = att->partial_len;
}

static void write_literal_head(struct imapd_fetch *f, const struct imap_att *att, uint64_t len)
{
    struct buf *out = imapd_out(f->s);
    buf_add(out, att->label);
    buf_add(out, SLICE(" {"));
    buf_addu(out, len);
    buf_add(out, SLICE("}\r\n"));
}

static void write_nil(struct imapd_fetch *f, const struct imap_att *att)
{
    buf_add(imapd_out(f->s), att->label);
    buf_add(imapd_out(f->s), SLICE(" NIL"));
}

static enum err send_range(
    struct imapd_fetch *f, const struct msg_source *source, struct msg_range range)
{
    struct conn *conn = f->s->conn;
    struct buf *out = conn_out(conn);
    if (source->whole.ptr) {
        struct slice bytes = slice_sub(source->whole, (size_t)range.offset, (size_t)range.len);
        if (bytes.len <= COPY_BYTES_MAX) {
            buf_add(out, bytes);
            return ERR_OK;
        }
        f->sent = true;
        return conn_send(conn, bytes);
    }
    while (range.len) {
        size_t part = range.len < CHUNK_BYTES ? (size_t)range.len : CHUNK_BYTES;
        TRY(msg_source_read(source, range.offset, part, out));
        range.offset += part;
        range.len -= part;
        if (range.len || buf_len(out) > CHUNK_BYTES) {
            f->sent = true;
            TRY(conn_flush(conn));
        }
    }
    return ERR_OK;
}

/* HEADER.FIELDS and HEADER.FIELDS.NOT: made in f->text, with the blank line that always ends them. */
static enum err write_fields(
    struct imapd_fetch *f, const struct store_row *row, const struct imap_att *att)
{
    buf_clear(&f->text);
    f->binary_uid = 0;
    bool negate = att->section == IMAP_SECTION_FIELDS_NOT;
    bool kept = !negate && !att->number_count &&
                msg_summary_fields(&f->summary, att->fields, att->field_count, &f->text);
    if (!kept) {
        struct msg_range range;
        enum err e = msg_find_section(
            &f->summary, att->numbers, att->number_count, MSG_SECTION_HEADER, &range);
        if (e == ERR_NOT_FOUND) {
            write_nil(f, att);
            return ERR_OK;
        }
        TRY(e);
        struct msg_source source;
        TRY(imapd_source(f->s, row, &f->body, &source));
        struct buf header;
        buf_init(&header, 0);
        e = msg_source_read(&source, range.offset, (size_t)range.len, &header);
        buf_clear(&f->text);
        msg_header_fields(buf_slice(&header), att->fields, att->field_count, negate, &f->text);
        buf_done(&header);
        TRY(e);
    }
    buf_add(&f->text, SLICE("\r\n"));
    struct msg_range range = { 0, buf_len(&f->text) };
    imapd_clip(att, &range);
    write_literal_head(f, att, range.len);
    buf_add(
        imapd_out(f->s), slice_sub(buf_slice(&f->text), (size_t)range.offset, (size_t)range.len));
    return ERR_OK;
}

enum err imapd_fetch_section(
    struct imapd_fetch *f, const struct store_row *row, const struct imap_att *att)
{
    static const enum msg_section sections[] = {
        [IMAP_SECTION_ALL] = MSG_SECTION_ALL,
        [IMAP_SECTION_HEADER] = MSG_SECTION_HEADER,
        [IMAP_SECTION_TEXT] = MSG_SECTION_TEXT,
        [IMAP_SECTION_MIME] = MSG_SECTION_MIME,
    };
    if (att->section == IMAP_SECTION_FIELDS || att->section == IMAP_SECTION_FIELDS_NOT)
        return write_fields(f, row, att);
    struct msg_range range = { 0, row->size };
    if (att->section != IMAP_SECTION_ALL || att->number_count) {
        enum err e = msg_find_section(
            &f->summary, att->numbers, att->number_count, sections[att->section], &range);
        if (e == ERR_NOT_FOUND) {
            write_nil(f, att);
            return ERR_OK;
        }
        TRY(e);
    }
    struct msg_source source;
    TRY(imapd_source(f->s, row, &f->body, &source));
    imapd_clip(att, &range);
    write_literal_head(f, att, range.len);
    return send_range(f, &source, range);
}
