/* Reading a range of a message, wherever its bytes are. */
#include "message/source.h"

struct msg_source msg_source_memory(struct slice bytes)
{
    if (!bytes.ptr)
        bytes = SLICE_EMPTY;
    return (struct msg_source){ .size = bytes.len, .whole = bytes };
}

uint64_t msg_source_clip(const struct msg_source *source, uint64_t offset, uint64_t len)
{
    if (offset >= source->size)
        return 0;
    return len < source->size - offset ? len : source->size - offset;
}

enum err msg_source_read(
    const struct msg_source *source, uint64_t offset, size_t len, struct buf *out)
{
    len = (size_t)msg_source_clip(source, offset, len);
    if (!len)
        return ERR_OK;
    if (source->whole.ptr) {
        buf_add(out, slice_sub(source->whole, (size_t)offset, len));
        return buf_err(out);
    }
    return source->read(source->source_arg, offset, len, out);
}
