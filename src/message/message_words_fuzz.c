/* Bytes as a header value with encoded-words. First byte: where to cut. Oracles: out comes UTF-8 of bounded length; text that is put into
 * two words, cut anywhere, in the middle of a character too, comes back (RFC 2047 §6.2). */
#include "message/text_int.h"

#include "base/encode.h"
#include "base/utf8.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void add_word(struct buf *out, struct slice text, bool base64)
{
    buf_adds(out, base64 ? "=?UTF-8?B?" : "=?utf-8*ar?q?");
    if (base64)
        base64_encode(out, text);
    for (size_t i = 0; !base64 && i < text.len; i++) {
        if (text.ptr[i] == ' ')
            buf_addc(out, '_');
        else
            buf_addf(out, "=%02x", slice_at(text, i));
    }
    buf_adds(out, "?=");
}

static void check_words(struct slice text, size_t cut)
{
    struct buf words, back;
    buf_init(&words, 0);
    buf_init(&back, 0);
    add_word(&words, slice_sub(text, 0, cut), cut % 2);
    buf_adds(&words, "\r\n ");
    add_word(&words, slice_from_index(text, cut), cut % 3);
    msg_decode_words(buf_slice(&words), &back);
    assert(slice_eq(buf_slice(&back), text));
    buf_done(&words);
    buf_done(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (!len)
        return 0;
    struct slice text = slice_from(bytes + 1, len - 1);
    struct buf out;
    buf_init(&out, 0);
    msg_decode_words(text, &out);
    assert(utf8_valid(buf_slice(&out)));
    assert(buf_len(&out) <= text.len * 12 + 16);
    if (utf8_valid(text)) {
        check_words(text, text.len ? bytes[0] % text.len : 0);
        struct slice line = slice_trim(text);
        bool plain = slice_find(text, SLICE("=?")) == SIZE_MAX && !memchr(text.ptr, '\r', text.len) &&
                     !memchr(text.ptr, '\n', text.len);
        if (plain)
            assert(slice_eq(buf_slice(&out), line));
    }
    buf_done(&out);
    return 0;
}
