/* Paths of folders. */
#include "export/path.h"

#include "base/utf8.h"

#include <string.h>
#include <xxhash.h>

static const char suffix[] = ".mbox";

static bool is_reserved(struct slice level)
{
    return slice_eq(level, SLICE("cur")) || slice_eq(level, SLICE("new")) ||
           slice_eq(level, SLICE("tmp"));
}

/* Letters that no name needs: controls, separators of lines, and what turns the direction of the text behind it. */
static bool is_invisible(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

static void escape(struct slice bytes, struct buf *out)
{
    for (size_t i = 0; i < bytes.len; i++)
        buf_addf(out, "%%%02X", slice_at(bytes, i));
}

/* How many bytes at the beginning of a level have a meaning of their own there; ".mbox" at its end would be taken for the file of another folder. */
static bool must_escape(struct slice level, size_t at, char delimiter, enum export_format format)
{
    char c = level.ptr[at];
    if (c == '/' || c == '%' || (delimiter && c == delimiter))
        return true;
    if (at == 0)
        return c == '.' || is_reserved(level);
    return format == EXPORT_MBOX &&
           slice_eq(slice_from_index(level, at), slice_from(suffix, sizeof suffix - 1));
}

static void add_level(
    struct slice level, bool raw, char delimiter, enum export_format format, struct buf *out)
{
    for (size_t i = 0; i < level.len;) {
        uint32_t c;
        size_t len = utf8_decode(level, i, &c);
        struct slice one = slice_sub(level, i, len ? len : 1);
        if (level.ptr[i] == '&') /* a name in modified UTF-7 would be read otherwise */
            buf_adds(out, raw ? "%&" : "%26");
        else if (len == 0 || is_invisible(c) || must_escape(level, i, delimiter, format))
            escape(one, out);
        else
            buf_add(out, one);
        i += one.len;
    }
    if (level.len == 0)
        buf_addc(out, '%'); /* nothing else is written so */
}

/* Cut before the letter, or the escape, that does not fit any more. */
static void shorten(struct slice level, size_t start, struct buf *out)
{
    if (buf_len(out) - start <= EXPORT_LEVEL_BYTES_MAX)
        return;
    enum {
        END_BYTES = 18 /* "%~" and 16 digits */
    };
    struct slice whole = buf_slice(out);
    size_t cut = start + EXPORT_LEVEL_BYTES_MAX - END_BYTES;
    while ((slice_at(whole, cut) & 0xc0) == 0x80)
        cut--;
    for (size_t back = 1; back <= 2; back++)
        if (whole.ptr[cut - back] == '%') {
            cut -= back;
            break;
        }
    buf_truncate(out, cut);
    buf_addf(out, "%%~%016llx", (unsigned long long)XXH3_64bits(level.ptr, level.len));
}

void export_path(
    struct slice name, bool raw, char delimiter, enum export_format format, struct buf *out_path)
{
    struct slice rest = name;
    if (format == EXPORT_MAILDIR && slice_eq_nocase(name, SLICE("INBOX")))
        return;
    for (unsigned levels = 1;; levels++) {
        bool last = levels == EXPORT_LEVELS_MAX || !delimiter;
        size_t end = last ? rest.len : slice_index(rest, delimiter);
        struct slice level = slice_sub(rest, 0, end);
        size_t start = buf_len(out_path);
        if (levels == 1 && slice_eq_nocase(level, SLICE("INBOX")))
            level = SLICE("INBOX"); /* RFC 9051 §5.1: in any case */
        add_level(level, raw, delimiter, format, out_path);
        shorten(level, start, out_path);
        if (end == rest.len)
            break;
        buf_addc(out_path, '/');
        rest = slice_from_index(rest, end + 1);
    }
    if (format == EXPORT_MBOX)
        buf_adds(out_path, suffix);
}
