/* Rather one "_" too many than a surprise: the name comes from a stranger. */
#include "message/filename.h"

#include "base/limits.h"
#include "base/utf8.h"

#include <string.h>

/* The last component, whichever separator it has. */
static struct slice without_path(struct slice name)
{
    for (size_t i = name.len; i-- > 0;) {
        if (name.ptr[i] == '/' || name.ptr[i] == '\\')
            return slice_from_index(name, i + 1);
    }
    return name;
}

/* Control characters, separators of lines, and what hides or turns round the letters next to it ("gpj.exe" shown as "exe.jpg"). */
static bool is_dropped(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || c == 0x180e ||
           (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
           (c >= 0xe0000 && c <= 0xe0fff);
}

static bool is_replaced(uint32_t c)
{
    return c < 0x80 && strchr(":*?\"<>|`$;&'", (int)c) && c;
}

/* Blanks of any width become one space. */
static bool is_blank(uint32_t c)
{
    return c == ' ' || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

static void add_clean(struct slice name, struct buf *out)
{
    uint32_t c;
    for (size_t at = 0; at < name.len;) {
        size_t len = utf8_decode(name, at, &c);
        if (!len) {
            at++;
            continue;
        }
        bool blank = is_blank(c);
        size_t so_far = buf_len(out);
        if (blank && so_far && buf_slice(out).ptr[so_far - 1] != ' ')
            buf_addc(out, ' ');
        else if (is_replaced(c))
            buf_addc(out, '_');
        else if (!blank && !is_dropped(c))
            buf_add(out, slice_sub(name, at, len));
        at += len;
    }
}

/* Devices of Windows, with any extension. */
static bool is_device(struct slice name)
{
    static const char *const devices[] = { "con", "prn", "aux", "nul", "com", "lpt" };
    struct slice stem = slice_trim(slice_sub(name, 0, slice_index(name, '.')));
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        bool numbered = i >= 4;
        if (stem.len == 3u + numbered &&
            slice_eq_nocase(slice_sub(stem, 0, 3), slice_of(devices[i])) &&
            (!numbered || (stem.ptr[3] >= '1' && stem.ptr[3] <= '9')))
            return true;
    }
    return false;
}

/* The extension with its dot, when it is short enough to be one. */
static struct slice extension(struct slice name)
{
    for (size_t i = name.len; i-- > 1 && name.len - i <= FILENAME_EXTENSION_BYTES_MAX;) {
        if (name.ptr[i] == '.')
            return slice_from_index(name, i);
    }
    return SLICE_EMPTY;
}

/* At most len bytes, cut between two characters. */
static struct slice cut(struct slice text, size_t len)
{
    if (text.len <= len)
        return text;
    while (len && (slice_at(text, len) & 0xc0) == 0x80)
        len--;
    return slice_sub(text, 0, len);
}

/* Windows takes dots and blanks off the end. */
static struct slice without_end(struct slice text)
{
    while (text.len && (text.ptr[text.len - 1] == '.' || text.ptr[text.len - 1] == ' '))
        text.len--;
    return text;
}

void msg_safe_filename(struct slice name, struct buf *out)
{
    struct buf clean;
    buf_init(&clean, 0);
    add_clean(without_path(slice_trim(name)), &clean);
    struct slice text = buf_slice(&clean);
    while (text.len && (text.ptr[0] == '.' || text.ptr[0] == ' ')) /* no hidden file, no ".." */
        text = slice_from_index(text, 1);
    text = without_end(text);
    bool marked = text.len && (text.ptr[0] == '-' || text.ptr[0] == '~' || is_device(text));
    if (marked)
        buf_addc(out, '_');
    size_t room = FILENAME_BYTES_MAX - (marked ? 1 : 0);
    if (text.len > room) {
        struct slice end = extension(text);
        buf_add(out, without_end(cut(text, room - end.len)));
        buf_add(out, end);
    } else {
        buf_add(out, text);
    }
    buf_done(&clean);
}
