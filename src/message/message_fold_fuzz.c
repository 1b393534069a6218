/* UTF-8, and bytes that are none, through the folding of search. First byte: where to cut. Oracles: out comes UTF-8; folding what is folded
 * changes nothing; two pieces cut behind a blank fold as the whole does. */
#include "message/text_int.h"

#include "base/utf8.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (!len)
        return 0;
    struct slice text = slice_from(bytes + 1, len - 1);
    struct buf once, twice;
    buf_init(&once, 0);
    buf_init(&twice, 0);
    text_fold(text, &once);
    assert(utf8_valid(buf_slice(&once)));
    text_fold(buf_slice(&once), &twice);
    assert(slice_eq(buf_slice(&once), buf_slice(&twice)));

    size_t cut = text.len ? bytes[0] % text.len : 0;
    while (cut < text.len && text.ptr[cut] != ' ')
        cut++;
    struct slice after = slice_from_index(text, cut + 1);
    /* a mark, or one more blank, at the start would belong to what is before it */
    if (cut < text.len && after.len && slice_at(after, 0) > ' ' && slice_at(after, 0) < 0x80) {
        buf_clear(&twice);
        text_fold(slice_sub(text, 0, cut + 1), &twice);
        text_fold(after, &twice);
        assert(slice_eq(buf_slice(&once), buf_slice(&twice)));
    }
    buf_done(&once);
    buf_done(&twice);
    return 0;
}
