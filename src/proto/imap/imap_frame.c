/* The framer of IMAP commands.
 *
 * Always true between calls: buf[0 .. seen) was examined and will not be looked at again, but for the line that begins at
 * line_start, whose end decides whether a literal follows. */
#include "proto/imap/imap_frame.h"

#include <string.h>

void imap_framer_init(struct imap_framer *f, const struct imap_frame_limits *limits)
{
    *f = (struct imap_framer){ .limits = *limits };
}

void imap_framer_resume(struct imap_framer *f)
{
    f->seen = 0;
    f->line_start = 0;
    f->collected_bytes = 0;
    f->resumed = true;
}

enum header {
    HEADER_NONE,
    HEADER_LITERAL,
    HEADER_HUGE, /* a number that no counter holds */
};

/* literal = "{" number ["+"] "}" CRLF at the end of line (without its CRLF). */
static enum header literal_header(struct slice line, uint64_t *out_bytes, bool *out_sync)
{
    if (line.len < 3 || line.ptr[line.len - 1] != '}')
        return HEADER_NONE;
    size_t end = line.len - 1;
    bool sync = line.ptr[end - 1] != '+';
    if (!sync)
        end--;
    size_t start = end;
    while (start > 0 && line.ptr[start - 1] >= '0' && line.ptr[start - 1] <= '9')
        start--;
    if (start == end || start == 0 || line.ptr[start - 1] != '{')
        return HEADER_NONE;
    *out_sync = sync;
    struct slice digits = slice_sub(line, start, end - start);
    return slice_to_u64(digits, UINT64_MAX, out_bytes) == ERR_OK ? HEADER_LITERAL : HEADER_HUGE;
}

/* Whether line, the first of a frame, begins "tag SP APPEND SP"; and whether it has more than a literal's header behind that, so that
 * the literal at its end is not the mailbox's name. */
static bool is_append(struct slice line, bool *out_has_name)
{
    struct slice rest = slice_from_index(line, slice_index(line, ' ') + 1);
    if (!slice_starts_nocase(rest, SLICE("APPEND ")))
        return false;
    *out_has_name = rest.len > 7 && rest.ptr[7] != '{';
    return true;
}

/* The line buf[line_start .. at] is complete, at being its LF. */
static enum imap_frame line_end(struct imap_framer *f, struct slice buf, size_t at)
{
    struct slice whole = slice_sub(buf, f->line_start, at + 1 - f->line_start);
    f->seen = at + 1;
    bool crlf = whole.len >= 2 && whole.ptr[whole.len - 2] == '\r';
    struct slice line = slice_sub(whole, 0, crlf ? whole.len - 2 : whole.len - 1);
    if (!crlf || memchr(line.ptr, '\r', line.len) || memchr(line.ptr, 0, line.len))
        return IMAP_FRAME_BAD;
    f->line_bytes += whole.len;
    bool has_name = true;
    if (f->line_start == 0 && !f->resumed)
        f->append = is_append(line, &has_name);
    f->line_start = f->seen;
    uint64_t bytes = UINT64_MAX;
    bool sync = true;
    enum header header = literal_header(line, &bytes, &sync);
    if (header == HEADER_NONE)
        return IMAP_FRAME_DONE;
    f->literal = bytes;
    f->sync = sync;
    if (++f->literals > f->limits.literals_max || header == HEADER_HUGE)
        return IMAP_FRAME_TOO_BIG;
    if (f->append && has_name)
        return IMAP_FRAME_BODY;
    if (bytes > f->limits.literal_bytes_max ||
        bytes > f->limits.frame_bytes_max - f->collected_bytes)
        return IMAP_FRAME_TOO_BIG;
    f->collected_bytes += (size_t)bytes;
    f->literal_left = (size_t)bytes;
    return sync ? IMAP_FRAME_CONTINUE : IMAP_FRAME_MORE;
}

enum imap_frame imap_framer_feed(struct imap_framer *f, struct slice buf)
{
    for (;;) {
        if (f->literal_left) {
            size_t have = buf.len - f->seen;
            size_t take = have < f->literal_left ? have : f->literal_left;
            f->seen += take;
            f->literal_left -= take;
            f->line_start = f->seen;
            if (f->literal_left)
                return IMAP_FRAME_MORE;
        }
        size_t left = buf.len - f->seen;
        const char *lf = left ? memchr(buf.ptr + f->seen, '\n', left) : NULL;
        size_t end = lf ? (size_t)(lf - buf.ptr) + 1 : buf.len;
        if (end - f->line_start > f->limits.line_bytes_max - f->line_bytes)
            return IMAP_FRAME_TOO_LONG;
        if (!lf) {
            f->seen = buf.len;
            return IMAP_FRAME_MORE;
        }
        enum imap_frame got = line_end(f, buf, end - 1);
        if (got != IMAP_FRAME_MORE)
            return got;
    }
}
