/* Bytes as text of format=flowed. First byte: DelSp; second: where to cut. Oracles: the same wherever it is cut; never longer than what went
 * in; only blanks, line ends and quote marks go or come. */
#include "message/text_int.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static size_t count_others(struct slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        count += c != ' ' && c != '\r' && c != '\n' && c != '>';
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len < 2)
        return 0;
    bool del_sp = bytes[0] & 1;
    struct slice text = slice_from(bytes + 2, len - 2);
    size_t cut = text.len ? bytes[1] % text.len : 0;
    struct buf whole, pieces;
    struct flowed flowed;
    buf_init(&whole, 0);
    buf_init(&pieces, 0);
    flowed_init(&flowed, del_sp);
    flowed_feed(&flowed, text, &whole);
    flowed_end(&flowed, &whole);
    flowed_init(&flowed, del_sp);
    flowed_feed(&flowed, slice_sub(text, 0, cut), &pieces);
    flowed_feed(&flowed, slice_from_index(text, cut), &pieces);
    flowed_end(&flowed, &pieces);
    assert(slice_eq(buf_slice(&whole), buf_slice(&pieces)));
    assert(buf_len(&whole) <= text.len + 1);
    assert(count_others(buf_slice(&whole)) == count_others(text));
    buf_done(&whole);
    buf_done(&pieces);
    return 0;
}
