/* Oracles: header fields come out in ASCII, all else as it was; the size that the summary tells is the size that comes out; cut anywhere it is the
 * same; a surrogate is its own surrogate; ASCII headers are not touched. */
#include "message/downgrade.h"

#include "base/utf8.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void run(
    const struct msg_summary *summary, struct slice message, size_t step, struct buf *out)
{
    struct msg_downgrade d;
    msg_downgrade_init(&d, summary);
    for (size_t at = 0; at < message.len; at += step)
        msg_downgrade_feed(&d, slice_sub(message, at, step), out);
    msg_downgrade_end(&d, out);
    msg_downgrade_done(&d);
}

static void open(struct slice message, struct buf *room, struct msg_summary *summary)
{
    enum err e = msg_summary_make(message, room);
    assert(e == ERR_OK);
    e = msg_summary_open(buf_slice(room), summary);
    assert(e == ERR_OK);
}

/* Between the header sections all is as it was; what has come of each section is ASCII. */
static void check(const struct msg_summary *summary, struct slice message, struct slice out)
{
    struct msg_part part;
    size_t cursor = 0, at = 0;
    while (msg_part_next(summary, &cursor, &part)) {
        struct slice between = slice_sub(message, at, part.header_offset - at);
        assert(part.header_offset >= at);
        at = part.header_offset + part.header_len;
        assert(slice_starts(out, between));
        out = slice_from_index(out, between.len);
        size_t len =
            msg_downgrade_header_len(slice_sub(message, part.header_offset, part.header_len));
        assert(len <= out.len);
        assert(slice_is_ascii(slice_sub(out, 0, len)));
        out = slice_from_index(out, len);
    }
    assert(slice_eq(out, slice_from_index(message, at)));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct slice message = slice_from(bytes, len);
    struct msg_summary summary, again;
    struct msg_facts facts;
    struct buf room, out, pieces, second;
    struct buf *all[] = { &room, &out, &pieces, &second };
    for (size_t i = 0; i < 4; i++)
        buf_init(all[i], 0);
    open(message, &room, &summary);
    msg_facts(&summary, &facts);
    run(&summary, message, len + 1, &out);
    run(&summary, message, len ? bytes[0] % 7u + 1 : 1, &pieces);
    assert(slice_eq(buf_slice(&out), buf_slice(&pieces)));
    if (!facts.needs_utf8)
        assert(slice_eq(buf_slice(&out), message));
    else if (facts.surrogate_bytes != MSG_SURROGATE_UNKNOWN)
        assert(facts.surrogate_bytes == buf_len(&out));
    check(&summary, message, buf_slice(&out));
    struct buf made;
    buf_init(&made, 0);
    open(buf_slice(&out), &made, &again);
    struct msg_part part;
    size_t cursor = 0;
    bool has = msg_part_next(&again, &cursor, &part);
    assert(has);
    assert(slice_is_ascii(slice_sub(buf_slice(&out), part.header_offset, part.header_len)));
    buf_done(&made);
    for (size_t i = 0; i < 4; i++)
        buf_done(all[i]);
    return 0;
}
