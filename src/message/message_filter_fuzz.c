/* Bytes as a text in two overlapping pieces, and a place in it as needle. First bytes: where the needle begins, its length, where the text is cut.
 * Oracle: a filter never denies what the text holds. The rest is also read as a filter. */
#include "message/filter.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len < 4)
        return 0;
    struct slice text = slice_from(bytes + 3, len - 3);
    struct slice needle = slice_sub(text, bytes[0] % text.len, bytes[1]);
    size_t cut = bytes[2] % text.len,
           again =
               cut > 12 ? cut - 12 : 0; /* two characters, and what is left of one that is cut */
    struct msg_filter_maker *maker = msg_filter_maker_new();
    struct buf filter;
    buf_init(&filter, 0);
    msg_filter_maker_take(maker, slice_sub(text, 0, cut));
    msg_filter_maker_take(maker, slice_from_index(text, again));
    msg_filter_maker_write(maker, &filter);
    msg_filter_maker_free(maker);
    assert(msg_filter_known(buf_slice(&filter)));
    assert(msg_filter_may_hold(buf_slice(&filter), needle));
    assert(msg_filter_known(text) || msg_filter_may_hold(text, needle));
    buf_done(&filter);
    return 0;
}
