/* From CRLF on the wire to what stands in a file. */
#include "fetch/drop_int.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define WRITE_BYTES 65536u

static const char from_word[] = "From ";

void fetch_writer_init(struct fetch_writer *writer, enum fetch_format format)
{
    *writer = (struct fetch_writer){ .format = format, .fd = -1 };
    buf_init(&writer->out, 0);
}

void fetch_writer_done(struct fetch_writer *writer)
{
    buf_done(&writer->out);
}

void fetch_writer_begin(struct fetch_writer *writer, int fd)
{
    writer->fd = fd;
    writer->cr = false;
    writer->starts = writer->ended = true;
    writer->from = 0;
    writer->bytes = 0;
    buf_clear(&writer->out);
}

static enum err write_out(struct fetch_writer *writer)
{
    while (buf_len(&writer->out)) {
        struct slice bytes = buf_slice(&writer->out);
        ssize_t wrote = write(writer->fd, bytes.ptr, bytes.len);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return err_from_errno(errno);
        buf_consume(&writer->out, (size_t)wrote);
    }
    buf_clear(&writer->out);
    return ERR_OK;
}

enum err fetch_writer_raw(struct fetch_writer *writer, struct slice bytes)
{
    if (bytes.len == 0)
        return ERR_OK;
    buf_add(&writer->out, bytes);
    writer->bytes += bytes.len;
    return buf_len(&writer->out) >= WRITE_BYTES ? write_out(writer) : ERR_OK;
}

/* Letters that may be the beginning of a "From " are held back at the end of a piece: the ">" stands before them. Any ">" in front of them has gone
 * out already; that is one more of them all the same. */
static enum err put_mboxrd(struct fetch_writer *writer, struct slice text)
{
    size_t from = 0, at = 0;
    while (at < text.len) {
        if (!writer->starts) {
            const char *lf = memchr(text.ptr + at, '\n', text.len - at);
            if (!lf)
                break;
            at = (size_t)(lf - text.ptr) + 1;
            writer->starts = true;
            writer->from = 0;
            continue;
        }
        char c = text.ptr[at];
        if (c == from_word[writer->from]) {
            writer->from++;
            at++;
            if (from_word[writer->from] == '\0') {
                size_t held = at - from < 5 ? 5 - (at - from) : 0;
                TRY(fetch_writer_raw(writer, slice_sub(text, from, at - from - (5 - held))));
                TRY(fetch_writer_raw(writer, SLICE(">From ")));
                from = at;
                writer->starts = false;
                writer->from = 0;
            }
            continue;
        }
        if (writer->from > at - from) /* held back, and no "From " after all */
            TRY(fetch_writer_raw(writer, slice_from(from_word, writer->from - (at - from))));
        if (c != '>' || writer->from)
            writer->starts = c == '\n';
        writer->from = 0;
        at++;
    }
    size_t held = writer->starts ? writer->from : 0, left = text.len - from;
    return fetch_writer_raw(writer, slice_sub(text, from, left > held ? left - held : 0));
}

static enum err put_crlf(struct fetch_writer *writer, struct slice text)
{
    while (text.len > 0) {
        size_t at = slice_index(text, '\n');
        TRY(fetch_writer_raw(writer, slice_sub(text, 0, at)));
        if (at < text.len)
            TRY(fetch_writer_raw(writer, SLICE("\r\n")));
        text = slice_from_index(text, at + 1);
    }
    return ERR_OK;
}

/* Text with LF line ends. */
static enum err put_text(struct fetch_writer *writer, struct slice text)
{
    if (text.len == 0)
        return ERR_OK;
    writer->ended = text.ptr[text.len - 1] == '\n';
    switch (writer->format) {
    case FETCH_FORMAT_CRLF:
        return put_crlf(writer, text);
    case FETCH_FORMAT_MBOXRD:
        return put_mboxrd(writer, text);
    default:
        return fetch_writer_raw(writer, text);
    }
}

static enum err put_lone_cr(struct fetch_writer *writer)
{
    return put_text(writer, writer->format == FETCH_FORMAT_CRLF ? SLICE("\n") : SLICE("\r"));
}

enum err fetch_writer_put(struct fetch_writer *writer, struct slice piece)
{
    if (writer->cr && piece.len > 0) {
        writer->cr = false;
        if (piece.ptr[0] != '\n')
            TRY(put_lone_cr(writer));
    }
    while (piece.len > 0) {
        size_t at = slice_index(piece, '\r');
        TRY(put_text(writer, slice_sub(piece, 0, at)));
        if (at == piece.len)
            break;
        if (at + 1 == piece.len) {
            writer->cr = true;
            break;
        }
        if (piece.ptr[at + 1] != '\n')
            TRY(put_lone_cr(writer));
        piece = slice_from_index(piece, at + 1);
    }
    return ERR_OK;
}

enum err fetch_writer_end(struct fetch_writer *writer)
{
    if (writer->cr)
        TRY(put_lone_cr(writer));
    writer->cr = false;
    if (writer->format == FETCH_FORMAT_MBOXRD && writer->starts && writer->from)
        TRY(fetch_writer_raw(writer, slice_from(from_word, writer->from)));
    writer->from = 0;
    bool ended = writer->ended;
    writer->ended = true;
    if (!ended)
        TRY(fetch_writer_raw(
            writer, writer->format == FETCH_FORMAT_CRLF ? SLICE("\r\n") : SLICE("\n")));
    return write_out(writer);
}
