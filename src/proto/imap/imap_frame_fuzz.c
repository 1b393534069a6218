/* A stream cut in two anywhere gives the same events as the stream in one piece, and every frame ends inside the buffer behind an LF. */
#include "base/buf.h"
#include "proto/imap/imap_frame.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len);

static const struct imap_frame_limits limits = {
    .line_bytes_max = 200,
    .literal_bytes_max = 50,
    .frame_bytes_max = 100,
    .literals_max = 5,
};

static void run(struct slice stream, size_t first, struct buf *told)
{
    struct imap_framer f;
    struct buf in;
    buf_init(&in, 0);
    imap_framer_init(&f, &limits);
    uint64_t body = 0;
    bool ended = false;
    for (int piece = 0; piece < 2 && !ended; piece++) {
        buf_add(&in, piece ? slice_from_index(stream, first) : slice_sub(stream, 0, first));
        while (!ended) {
            size_t skip = body < buf_len(&in) ? (size_t)body : buf_len(&in);
            buf_consume(&in, skip);
            body -= skip;
            if (body)
                break;
            enum imap_frame got = imap_framer_feed(&f, buf_slice(&in));
            assert(f.seen <= buf_len(&in));
            if (got == IMAP_FRAME_MORE)
                break;
            buf_addf(told, "%d ", (int)got);
            ended = got == IMAP_FRAME_TOO_LONG || (got == IMAP_FRAME_TOO_BIG && !f.sync);
            if (got == IMAP_FRAME_CONTINUE || ended)
                continue;
            assert(f.seen > 0 && buf_slice(&in).ptr[f.seen - 1] == '\n');
            buf_addf(told, "%zu ", f.seen);
            buf_consume(&in, f.seen);
            if (got == IMAP_FRAME_BODY) {
                body = f.literal;
                imap_framer_resume(&f);
            } else {
                imap_framer_init(&f, &limits);
            }
        }
    }
    buf_done(&in);
}

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len)
{
    struct slice stream = slice_from(bytes, len);
    struct buf whole, cut;
    buf_init(&whole, 0);
    buf_init(&cut, 0);
    run(stream, len, &whole);
    for (size_t at = 0; at < len; at += 1 + len / 40) {
        buf_clear(&cut);
        run(stream, at, &cut);
        assert(slice_eq(buf_slice(&whole), buf_slice(&cut)));
    }
    buf_done(&whole);
    buf_done(&cut);
    return 0;
}
