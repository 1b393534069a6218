/* What decodes encodes to the same bytes; what is UTF-8 without controls encodes, and decodes to the same bytes. */
#include "base/utf8.h"
#include "proto/imap/imap_utf7.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len);

static bool has_controls(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (slice_at(s, i) < 0x20 || slice_at(s, i) == 0x7F)
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len)
{
    struct slice input = slice_from(bytes, len);
    struct buf out, back;
    buf_init(&out, 0);
    buf_init(&back, 0);
    if (imap_utf7_decode(input, &out) == ERR_OK) {
        assert(utf8_valid(buf_slice(&out)));
        assert(imap_utf7_encode(buf_slice(&out), &back) == ERR_OK);
        assert(slice_eq(buf_slice(&back), input));
    }
    buf_clear(&out);
    buf_clear(&back);
    enum err e = imap_utf7_encode(input, &out);
    assert((e == ERR_OK) == utf8_valid(input));
    if (e == ERR_OK && !has_controls(input)) {
        e = imap_utf7_decode(buf_slice(&out), &back);
        assert(e == ERR_OK);
        assert(slice_eq(buf_slice(&back), input));
    }
    buf_done(&out);
    buf_done(&back);
    return 0;
}
