/* Where the bytes of a stored message come from: memory, a database row or a file, read in pieces. */
#ifndef MESSAGE_SOURCE_H
#define MESSAGE_SOURCE_H

#include "base/buf.h"
#include "base/err.h"

struct msg_source {
    uint64_t size; /* bytes of the whole message */
    /* Appends exactly [offset, offset+len) to out; the range lies inside size. May wait for the disk. */
    enum err (*read)(void *source_arg, uint64_t offset, size_t len, struct buf *out);
    void *source_arg;
    struct slice whole; /* the whole message when it is in memory (ptr != NULL); then read may be NULL */
};

/* Source over bytes in memory; borrowed. */
struct msg_source msg_source_memory(struct slice bytes);
/* How much of [offset, offset+len) lies inside: what comes from a damaged summary must not make anybody read for ever. */
uint64_t msg_source_clip(const struct msg_source *source, uint64_t offset, uint64_t len);
/* Appends a range, from `whole` or through read; clips it to size. */
enum err MUST_USE msg_source_read(const struct msg_source *source, uint64_t offset, size_t len, struct buf *out);

#endif
