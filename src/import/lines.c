#include "import/lines.h"

#include <errno.h>
#include <unistd.h>

#define PIECE_BYTES (64u << 10) /* no header line of a mail is as long */

void import_lines_init(struct import_lines *lines, int fd)
{
    *lines = (struct import_lines){ .fd = fd };
    buf_init(&lines->room, 0);
}

void import_lines_done(struct import_lines *lines)
{
    buf_done(&lines->room);
}

static enum err fill(struct import_lines *lines)
{
    char *room = buf_room(&lines->room, PIECE_BYTES);
    ssize_t got;
    do
        got = read(lines->fd, room, PIECE_BYTES);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return err_from_errno(errno);
    lines->ended = got == 0;
    buf_wrote(&lines->room, (size_t)got);
    return ERR_OK;
}

enum err import_lines_next(struct import_lines *lines, struct import_piece *out_piece)
{
    buf_consume(&lines->room, lines->given);
    lines->given = 0;
    for (size_t looked = 0;;) {
        struct slice there = buf_slice(&lines->room);
        size_t at = looked + slice_index(slice_from_index(there, looked), '\n');
        if (at < there.len || there.len >= PIECE_BYTES || (lines->ended && there.len > 0)) {
            bool ends = at < there.len;
            *out_piece =
                (struct import_piece){ .bytes = slice_sub(there, 0, ends ? at + 1 : there.len),
                    .begins = !lines->mid_line,
                    .ends = ends || lines->ended };
            lines->mid_line = !ends;
            lines->given = out_piece->bytes.len;
            return ERR_OK;
        }
        if (lines->ended)
            return ERR_NOT_FOUND;
        looked = there.len;
        TRY(fill(lines));
    }
}
