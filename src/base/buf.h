/* A growing byte buffer with a limit. Appends are silent; the first one that would pass `limit` (or fails) marks the
 * buffer `over`, and later appends do nothing: check buf_err once at the end. Consuming from the front is cheap. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/err.h"
#include "base/slice.h"

struct buf {
    char *mem;    /* owned */
    size_t start; /* first byte not consumed */
    size_t end;   /* one past the last byte */
    size_t cap;
    size_t limit; /* bytes_max between start and end; 0 = none */
    bool over;
};

void buf_init(struct buf *buf, size_t limit_bytes);
void buf_done(struct buf *buf);
/* Forgets the content and the `over` mark, keeps the memory. */
void buf_clear(struct buf *buf);
/* Gives the memory back when nothing is in it (parked connections hold no buffers). */
void buf_shrink(struct buf *buf);

static inline size_t buf_len(const struct buf *buf)
{
    return buf->end - buf->start;
}
/* Borrowed until the next append, consume or clear. */
static inline struct slice buf_slice(const struct buf *buf)
{
    return slice_from(buf->mem ? buf->mem + buf->start : NULL, buf->end - buf->start);
}
enum err MUST_USE buf_err(const struct buf *buf);

/* Room for `bytes` more at the returned place; commit with buf_wrote. NULL when over the limit. */
char *buf_room(struct buf *buf, size_t bytes);
void buf_wrote(struct buf *buf, size_t bytes);

/* The same, inline where there is room and no limit: most answers are written by many short appends. */
static inline char *buf_room_soon(struct buf *buf, size_t bytes)
{
    bool there = bytes <= buf->cap - buf->end && !buf->limit && !buf->over;
    return there ? buf->mem + buf->end : buf_room(buf, bytes);
}

static inline void buf_add(struct buf *buf, struct slice s)
{
    char *room = s.len ? buf_room_soon(buf, s.len) : NULL;
    if (!room)
        return;
    memcpy(room, s.ptr, s.len);
    buf->end += s.len;
}

static inline void buf_addc(struct buf *buf, char c)
{
    char *room = buf_room_soon(buf, 1);
    if (!room)
        return;
    *room = c;
    buf->end++;
}

static inline void buf_adds(struct buf *buf, const char *cstr)
{
    buf_add(buf, slice_of(cstr));
}

void buf_addf(struct buf *buf, const char *format, ...) PRINTF(2, 3);
void buf_addu(struct buf *buf, uint64_t number); /* decimal */
/* In "...", with a backslash before " and \: the quoted string of mail, IMAP and SMTP. The caller sees to what else may stand in it. */
void buf_add_quoted(struct buf *buf, struct slice text);

/* Drops bytes at the front. */
void buf_consume(struct buf *buf, size_t bytes);
/* Cuts the end back to `len` bytes. */
void buf_truncate(struct buf *buf, size_t len);

#endif
