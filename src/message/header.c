/* Walks a header section line by line; nothing is copied but what a caller asks for. */
#include "message/header.h"

#include <string.h>

/* Bytes of the first line, its LF included; all of it when there is none. */
static size_t line_len(struct slice s)
{
    const char *lf = memchr(s.ptr, '\n', s.len);
    return lf ? (size_t)(lf - s.ptr) + 1 : s.len;
}

static bool line_is_blank(struct slice line)
{
    return slice_eq(line, SLICE("\r\n")) || slice_eq(line, SLICE("\n"));
}

static struct slice without_line_end(struct slice s)
{
    if (s.len && s.ptr[s.len - 1] == '\n')
        s.len--;
    if (s.len && s.ptr[s.len - 1] == '\r')
        s.len--;
    return s;
}

/* Name and value of a whole field. False when the text before the colon is no name (RFC 5322 §2.2; blanks before the
 * colon are RFC 5322 §4.5; 8-bit is let through for RFC 6532). */
static bool field_split(struct slice whole, struct msg_field *out_field)
{
    size_t colon = slice_index(whole, ':');
    if (colon == whole.len)
        return false;
    size_t name_len = colon;
    while (name_len && (whole.ptr[name_len - 1] == ' ' || whole.ptr[name_len - 1] == '\t'))
        name_len--;
    if (!name_len)
        return false;
    for (size_t i = 0; i < name_len; i++) {
        if (slice_at(whole, i) <= ' ' || slice_at(whole, i) == 127)
            return false;
    }
    *out_field = (struct msg_field){
        .whole = whole,
        .name = slice_sub(whole, 0, name_len),
        .value = without_line_end(slice_from_index(whole, colon + 1)),
    };
    return true;
}

bool msg_field_next(struct slice *header, struct msg_field *out_field)
{
    while (header->len) {
        size_t len = line_len(*header);
        if (line_is_blank(slice_sub(*header, 0, len)))
            return false;
        while (len < header->len && (header->ptr[len] == ' ' || header->ptr[len] == '\t'))
            len += line_len(slice_from_index(*header, len));
        struct slice whole = slice_sub(*header, 0, len);
        *header = slice_from_index(*header, len);
        if (field_split(whole, out_field))
            return true;
    }
    return false;
}

bool msg_field_find(struct slice header, struct slice name, struct msg_field *out_field)
{
    struct msg_field field;
    while (msg_field_next(&header, &field)) {
        if (slice_eq_nocase(field.name, name)) {
            *out_field = field;
            return true;
        }
    }
    return false;
}

static unsigned name_hash(struct slice name)
{
    if (!name.len)
        return 0;
    unsigned first = (unsigned char)ascii_lower(name.ptr[0]);
    unsigned last = (unsigned char)ascii_lower(name.ptr[name.len - 1]);
    return ((unsigned)name.len * 31 + first * 7 + last) & 255;
}

void msg_header_fields(
    struct slice header, const struct slice *names, size_t count, bool negate, struct buf *out)
{
    /* Most fields are told apart without comparing them with every name: 500 names meet 500,000 fields */
    bool seen[256] = { false };
    for (size_t i = 0; i < count; i++)
        seen[name_hash(names[i])] = true;
    struct msg_field field;
    while (msg_field_next(&header, &field)) {
        bool wanted = false;
        if (seen[name_hash(field.name)]) {
            for (size_t i = 0; i < count && !wanted; i++)
                wanted = slice_eq_nocase(field.name, names[i]);
        }
        if (wanted != negate)
            buf_add(out, field.whole);
    }
}

size_t msg_header_len(struct slice message)
{
    size_t at = 0;
    while (at < message.len) {
        size_t len = line_len(slice_from_index(message, at));
        if (line_is_blank(slice_sub(message, at, len)))
            return at + len;
        at += len;
    }
    return message.len;
}

void msg_unfold(struct slice value, struct buf *out)
{
    value = slice_trim(value);
    while (value.len) {
        size_t run = 0;
        while (run < value.len && value.ptr[run] != '\r' && value.ptr[run] != '\n')
            run++;
        buf_add(out, slice_sub(value, 0, run));
        value = slice_from_index(value, run);
        size_t cut = 0; /* a CR that ends no line stays */
        if (value.len && value.ptr[0] == '\n')
            cut = 1;
        else if (value.len > 1 && value.ptr[0] == '\r' && value.ptr[1] == '\n')
            cut = 2;
        else if (value.len)
            buf_addc(out, '\r');
        value = slice_from_index(value, cut ? cut : (value.len ? 1 : 0));
    }
}
