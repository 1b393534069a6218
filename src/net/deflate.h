/* A stream in each direction, compressed with raw DEFLATE (RFC 1951) as COMPRESS of IMAP wants it (RFC 4978 §4). zlib is loaded with the first one
 * (docs/decisions/0008-libraries-when-needed.md). */
#ifndef NET_DEFLATE_H
#define NET_DEFLATE_H

#include "base/buf.h"

struct deflate_pair;

/* This machine has zlib. */
bool deflate_is_here(void);
/* ERR_NOT_FOUND: it has not; ERR_LIMIT: no memory. */
enum err MUST_USE deflate_open(struct deflate_pair **out_pair);
void deflate_close(struct deflate_pair *pair);

/* Appends the compressed bytes, so that the other side can read all of them at once. */
enum err MUST_USE deflate_pack(struct deflate_pair *pair, struct slice bytes, struct buf *out);
/* At most len bytes of what is in `packed`, which moves on by what was taken, and of what was taken before. *out_got 0: all of it is used up. Memory does not
 * grow with what comes out. ERR_SYNTAX: this is no DEFLATE stream; ERR_CLOSED: it ended. */
enum err MUST_USE deflate_unpack(
    struct deflate_pair *pair, struct slice *packed, char *to, size_t len, size_t *out_got);

#endif
