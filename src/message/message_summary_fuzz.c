/* Bytes as a stored summary, as a damaged database might give them. Oracles: nothing is read outside, everything ends, depths are bounded. */
#include "message/text.h"

#include "base/limits.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void read_all(const struct msg_summary *summary)
{
    struct buf out;
    buf_init(&out, 64u << 20);
    enum err e = msg_write_envelope(summary, &out);
    assert(e == ERR_OK || e == ERR_LIMIT);
    e = msg_write_bodystructure(summary, true, &out);
    assert(e == ERR_OK || e == ERR_CORRUPT || e == ERR_LIMIT);
    size_t cursor = 0, count = 0;
    struct msg_part part;
    while (msg_part_next(summary, &cursor, &part)) {
        assert(part.depth <= MIME_DEPTH_MAX);
        count++;
    }
    assert(count <= summary->bytes.len);
    for (uint32_t i = 0; i < 9; i++) {
        uint32_t numbers[] = { i % 3 + 1, i / 3 + 1 };
        struct msg_range range;
        e = msg_find_section(summary, numbers, i % 3, MSG_SECTION_HEADER, &range);
        assert(e == ERR_OK || e == ERR_NOT_FOUND);
    }
    struct msg_facts facts;
    msg_facts(summary, &facts);
    buf_clear(&out);
    buf_add(&out, facts.subject);
    buf_add(&out, facts.message_id);
    buf_add(&out, msg_preview(summary));
    struct slice name = SLICE("Subject");
    msg_summary_fields(summary, &name, 1, &out);
    struct msg_source source = msg_source_memory(SLICE("Subject: x\r\n\r\nbody"));
    bool found;
    e = msg_text_contains(summary, &source, SLICE("body"), true, NULL, &found);
    assert(e == ERR_OK);
    e = msg_field_contains(summary, &source, SLICE("X-Any"), SLICE("x"), &found);
    assert(e == ERR_OK || e == ERR_CORRUPT);
    buf_done(&out);
}

/* Half of the inputs are messages whose summary is then changed, so that the fuzzer gets past the first check. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct msg_summary summary;
    if (msg_summary_open(slice_from(bytes, len), &summary) == ERR_OK)
        read_all(&summary);
    if (len < 4)
        return 0;
    struct buf made;
    buf_init(&made, 0);
    enum err e = msg_summary_make(slice_from(bytes + 4, len - 4), &made);
    assert(e == ERR_OK);
    size_t at = (bytes[0] | (size_t)bytes[1] << 8) % buf_len(&made);
    made.mem[made.start + at] = (char)bytes[2];
    made.mem[made.start + (at + bytes[3]) % buf_len(&made)] ^= (char)bytes[3];
    if (msg_summary_open(buf_slice(&made), &summary) == ERR_OK)
        read_all(&summary);
    buf_done(&made);
    return 0;
}
