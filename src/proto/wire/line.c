/* Line ends. One search for LF, then one look at what stands before it: the result cannot depend on where the input was cut. */
#include "proto/wire/wire.h"

#include <string.h>

enum wire wire_line_feed(
    struct wire_line *framer, struct slice in, size_t bytes_max, struct slice *out_line)
{
    const char *lf = NULL;
    if (in.len > framer->seen)
        lf = memchr(in.ptr + framer->seen, '\n', in.len - framer->seen);
    if (!lf) {
        framer->seen = in.len;
        return in.len >= bytes_max ? WIRE_TOO_LONG
                                   : WIRE_MORE; /* at bytes_max there is no room for the LF */
    }
    size_t end = (size_t)(lf - in.ptr);
    if (end + 1 > bytes_max) {
        framer->seen = end;
        return WIRE_TOO_LONG;
    }
    framer->seen = 0;
    size_t len = end ? end - 1 : 0;
    if (!end || in.ptr[len] != '\r' || memchr(in.ptr, '\r', len) || memchr(in.ptr, '\0', len)) {
        *out_line = slice_from(in.ptr, end + 1);
        return WIRE_BARE;
    }
    *out_line = slice_from(in.ptr, len);
    return WIRE_DONE;
}

size_t wire_line_skip(struct wire_line *framer, struct slice in, bool *out_ended)
{
    size_t lf = slice_index(in, '\n');
    framer->seen = 0;
    *out_ended = lf < in.len;
    return *out_ended ? lf + 1 : in.len;
}
