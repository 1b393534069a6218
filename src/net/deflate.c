#include "net/deflate.h"

#include "base/arena.h"
#include "net/late.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#define ZLIB_CONST /* it does not write to what it reads */
#include <zlib.h>

#define ZLIB_LIBRARY                                                                               \
    "libz.so.1" /* the name goes with the calls: another number means other calls */
#define RAW_WINDOW_BITS (-15)
#define LEVEL           3 /* what goes up is mostly what is compressed already: fast, not small */
#define MEMORY_LEVEL    8
#define PACK_BYTES      16384u

static struct {
    __typeof__(deflateInit2_) *deflate_init;
    __typeof__(deflate) *deflate;
    __typeof__(deflateEnd) *deflate_end;
    __typeof__(inflateInit2_) *inflate_init;
    __typeof__(inflate) *inflate;
    __typeof__(inflateEnd) *inflate_end;
} calls;
static bool loaded;

static void load(void)
{
    const struct late_call all[] = {
        { "deflateInit2_", &calls.deflate_init },
        { "deflate", &calls.deflate },
        { "deflateEnd", &calls.deflate_end },
        { "inflateInit2_", &calls.inflate_init },
        { "inflate", &calls.inflate },
        { "inflateEnd", &calls.inflate_end },
    };
    loaded = late_load(ZLIB_LIBRARY, all, sizeof all / sizeof all[0]);
}

struct deflate_pair {
    z_stream out, in;
    bool ended; /* the other side's stream */
};

bool deflate_is_here(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, load);
    return loaded;
}

enum err deflate_open(struct deflate_pair **out_pair)
{
    if (!deflate_is_here())
        return ERR_NOT_FOUND;
    struct deflate_pair *pair = mem_zalloc(1, sizeof *pair);
    bool out = calls.deflate_init(&pair->out, LEVEL, Z_DEFLATED, RAW_WINDOW_BITS, MEMORY_LEVEL,
                   Z_DEFAULT_STRATEGY, ZLIB_VERSION, (int)sizeof pair->out) == Z_OK;
    bool in = out && calls.inflate_init(
                         &pair->in, RAW_WINDOW_BITS, ZLIB_VERSION, (int)sizeof pair->in) == Z_OK;
    if (in) {
        *out_pair = pair;
        return ERR_OK;
    }
    if (out)
        (void)calls.deflate_end(&pair->out);
    free(pair);
    return ERR_LIMIT;
}

void deflate_close(struct deflate_pair *pair)
{
    if (!pair)
        return;
    (void)calls.deflate_end(&pair->out);
    (void)calls.inflate_end(&pair->in);
    free(pair);
}

enum err deflate_pack(struct deflate_pair *pair, struct slice bytes, struct buf *out)
{
    z_stream *z = &pair->out;
    while (bytes.len) {
        size_t taken = bytes.len < UINT_MAX ? bytes.len : UINT_MAX;
        z->next_in = (const Bytef *)bytes.ptr;
        z->avail_in = (uInt)taken;
        do {
            char *to = buf_room(out, PACK_BYTES);
            if (!to)
                return buf_err(out);
            z->next_out = (Bytef *)to;
            z->avail_out = PACK_BYTES;
            if (calls.deflate(z, Z_SYNC_FLUSH) == Z_STREAM_ERROR)
                return ERR_LIMIT;
            buf_wrote(out, PACK_BYTES - z->avail_out);
        } while (z->avail_out == 0);
        bytes = slice_from_index(bytes, taken);
    }
    return ERR_OK;
}

enum err deflate_unpack(
    struct deflate_pair *pair, struct slice *packed, char *to, size_t len, size_t *out_got)
{
    z_stream *z = &pair->in;
    uInt taken = packed->len < UINT_MAX ? (uInt)packed->len : UINT_MAX;
    uInt room = len < UINT_MAX ? (uInt)len : UINT_MAX;
    *out_got = 0;
    if (pair->ended)
        return ERR_CLOSED;
    z->next_in = (const Bytef *)packed->ptr;
    z->avail_in = taken;
    z->next_out = (Bytef *)to;
    z->avail_out = room;
    int done = calls.inflate(z, Z_SYNC_FLUSH);
    *packed = slice_from_index(*packed, taken - z->avail_in);
    *out_got = room - z->avail_out;
    pair->ended = done == Z_STREAM_END;
    if (done == Z_OK || done == Z_BUF_ERROR || (pair->ended && *out_got))
        return ERR_OK;
    return pair->ended ? ERR_CLOSED : ERR_SYNTAX;
}
