/* Bytes as lines and as dotted content. Oracles: a cut anywhere changes nothing; content whose lines end with CRLF survives the way out
 * and in again. */
#include "proto/wire/wire.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct got {
    struct buf out;
    size_t rest; /* bytes behind the end; of no meaning without one */
    bool done;
};

static void feed(struct wire_dot_in *dots, struct slice part, struct got *got)
{
    struct slice piece;
    enum wire r;
    while ((r = wire_dot_next(dots, &part, &piece)) == WIRE_PIECE) {
        assert(piece.len);
        buf_add(&got->out, piece);
    }
    got->done = r == WIRE_DONE;
    got->rest = part.len;
}

static void take(struct slice in, size_t cut, struct wire_dot_in *dots, struct got *got)
{
    *got = (struct got){ 0 };
    *dots = (struct wire_dot_in){ 0 };
    buf_init(&got->out, 0);
    feed(dots, slice_sub(in, 0, cut), got);
    if (got->done)
        got->rest += in.len - cut;
    else
        feed(dots, slice_from_index(in, cut), got);
}

static void check_dots_in(struct slice in, size_t cut)
{
    struct wire_dot_in dots, cut_dots;
    struct got whole, parts;
    take(in, in.len, &dots, &whole);
    take(in, cut, &cut_dots, &parts);
    assert(whole.done == parts.done);
    assert(!whole.done || whole.rest == parts.rest);
    assert(dots.bare == cut_dots.bare);
    assert(slice_eq(buf_slice(&whole.out), buf_slice(&parts.out)));
    buf_done(&whole.out);
    buf_done(&parts.out);
}

static void check_round_trip(struct slice in, size_t cut)
{
    struct buf stuffed;
    struct wire_dot_out out = { 0 };
    buf_init(&stuffed, 0);
    wire_dot_add(&out, slice_sub(in, 0, cut), &stuffed);
    wire_dot_add(&out, slice_from_index(in, cut), &stuffed);
    wire_dot_end(&out, &stuffed);
    struct wire_dot_in dots;
    struct got got;
    take(buf_slice(&stuffed), cut, &dots, &got);
    assert(got.done);
    assert(got.rest == 0);
    assert(slice_starts(buf_slice(&got.out), in));
    size_t added = buf_len(&got.out) - in.len;
    assert(added == 0 || added == 2);
    buf_done(&got.out);
    buf_done(&stuffed);
}

/* What may be skipped is what would be written as it stands, and the next piece goes on from the same place. */
static void check_skip(struct slice in)
{
    struct wire_dot_out skipped = { 0 }, added = { 0 };
    struct buf out;
    buf_init(&out, 0);
    wire_dot_add(&added, in, &out);
    if (wire_dot_skip(&skipped, in)) {
        assert(slice_eq(buf_slice(&out), in));
        assert(skipped.state == added.state);
    } else {
        assert(in.len == 0 || in.ptr[0] == '.' || slice_find(in, SLICE("\n.")) != SIZE_MAX);
    }
    buf_done(&out);
}

static void check_line(struct slice in, size_t cut)
{
    struct wire_line whole = { 0 }, parts = { 0 };
    struct slice line = SLICE_EMPTY, cut_line = SLICE_EMPTY;
    enum wire r = wire_line_feed(&whole, in, 64, &line);
    enum wire again = wire_line_feed(&parts, slice_sub(in, 0, cut), 64, &cut_line);
    if (again == WIRE_MORE)
        again = wire_line_feed(&parts, in, 64, &cut_line);
    assert(r == again);
    assert(slice_eq(line, cut_line));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (!len)
        return 0;
    struct slice in = slice_from(bytes + 1, len - 1);
    size_t cut = bytes[0] % (in.len + 1);
    check_dots_in(in, cut);
    check_skip(in);
    check_round_trip(in, cut);
    check_line(in, cut);
    return 0;
}
