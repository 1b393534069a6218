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
struct slice buf_slice(const struct buf *buf);
enum err MUST_USE buf_err(const struct buf *buf);

void buf_add(struct buf *buf, struct slice s);
void buf_addc(struct buf *buf, char c);
void buf_adds(struct buf *buf, const char *cstr);
void buf_addf(struct buf *buf, const char *format, ...) PRINTF(2, 3);
void buf_addu(struct buf *buf, uint64_t number); /* decimal */

/* Room for `bytes` more at the returned place; commit with buf_wrote. NULL when over the limit. */
char *buf_room(struct buf *buf, size_t bytes);
void buf_wrote(struct buf *buf, size_t bytes);

/* Drops bytes at the front. */
void buf_consume(struct buf *buf, size_t bytes);
/* Cuts the end back to `len` bytes. */
void buf_truncate(struct buf *buf, size_t len);

#endif
