/* Always true: start <= end <= cap, and end - start <= limit when there is one. */
#include "base/buf.h"

#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *buf, size_t limit_bytes)
{
    *buf = (struct buf){ .limit = limit_bytes };
}

void buf_done(struct buf *buf)
{
    if (!buf)
        return;
    free(buf->mem);
    *buf = (struct buf){ .limit = buf->limit };
}

void buf_clear(struct buf *buf)
{
    buf->start = buf->end = 0;
    buf->over = false;
}

void buf_shrink(struct buf *buf)
{
    if (buf->start == buf->end && buf->mem) {
        free(buf->mem);
        buf->mem = NULL;
        buf->start = buf->end = buf->cap = 0;
    }
}

enum err buf_err(const struct buf *buf)
{
    return buf->over ? ERR_LIMIT : ERR_OK;
}

char *buf_room(struct buf *buf, size_t bytes)
{
    size_t len = buf_len(buf);
    if (buf->over || bytes > SIZE_MAX / 4 || (buf->limit && bytes > buf->limit - len)) {
        buf->over = true;
        return NULL;
    }
    if (bytes <= buf->cap - buf->end)
        return buf->mem + buf->end;
    if (buf->start > 0 && bytes <= buf->cap - len && len <= buf->cap / 2) {
        memmove(buf->mem, buf->mem + buf->start, len);
    } else {
        size_t cap = buf->cap ? buf->cap : 256;
        while (cap < len + bytes)
            cap *= 2;
        char *mem = mem_alloc(cap);
        if (len)
            memcpy(mem, buf->mem + buf->start, len);
        free(buf->mem);
        buf->mem = mem;
        buf->cap = cap;
    }
    buf->start = 0;
    buf->end = len;
    return buf->mem + buf->end;
}

void buf_wrote(struct buf *buf, size_t bytes)
{
    assert(bytes <= buf->cap - buf->end);
    buf->end += bytes;
}

void buf_addf(struct buf *buf, const char *format, ...)
{
    char small[256];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (len < 0)
        return;
    if ((size_t)len < sizeof small) {
        buf_add(buf, slice_from(small, (size_t)len));
        return;
    }
    char *room = buf_room(buf, (size_t)len + 1);
    if (!room)
        return;
    va_start(args, format);
    (void)vsnprintf(room, (size_t)len + 1, format, args);
    va_end(args);
    buf->end += (size_t)len;
}

void buf_addu(struct buf *buf, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    buf_add(buf, slice_from(digits + at, sizeof digits - at));
}

void buf_add_quoted(struct buf *buf, struct slice text)
{
    size_t escapes = 0, at = 0;
    for (size_t i = 0; i < text.len; i++)
        escapes += text.ptr[i] == '"' || text.ptr[i] == '\\';
    char *room = buf_room(buf, text.len + escapes + 2);
    if (!room)
        return;
    room[at++] = '"';
    for (size_t i = 0; i < text.len; i++) {
        if (escapes && (text.ptr[i] == '"' || text.ptr[i] == '\\'))
            room[at++] = '\\';
        room[at++] = text.ptr[i];
    }
    room[at++] = '"';
    buf_wrote(buf, at);
}

void buf_consume(struct buf *buf, size_t bytes)
{
    assert(bytes <= buf_len(buf));
    buf->start += bytes;
    if (buf->start == buf->end)
        buf->start = buf->end = 0;
}

void buf_truncate(struct buf *buf, size_t len)
{
    assert(len <= buf_len(buf));
    buf->end = buf->start + len;
}
