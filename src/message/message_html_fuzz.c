/* Bytes as HTML. First two bytes: where to cut. Oracles: the same wherever it is cut; never longer than what went in; UTF-8 stays UTF-8; text
 * that is escaped comes back. */
#include "message/text_int.h"

#include "base/utf8.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_escaped(struct slice text)
{
    struct buf escaped, back;
    struct html html;
    buf_init(&escaped, 0);
    buf_init(&back, 0);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '<' || c == '&')
            buf_adds(&escaped, c == '<' ? "&lt;" : "&#x26;");
        else
            buf_addc(&escaped, c);
    }
    html_init(&html);
    html_feed(&html, buf_slice(&escaped), &back);
    html_end(&html, &back);
    assert(slice_eq(buf_slice(&back), text));
    buf_done(&escaped);
    buf_done(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len < 2)
        return 0;
    struct slice text = slice_from(bytes + 2, len - 2);
    size_t first = text.len ? bytes[0] % text.len : 0;
    size_t second = first + (text.len > first ? bytes[1] % (text.len - first) : 0);
    struct buf whole, pieces;
    struct html html;
    buf_init(&whole, 0);
    buf_init(&pieces, 0);
    html_init(&html);
    html_feed(&html, text, &whole);
    html_end(&html, &whole);
    html_init(&html);
    html_feed(&html, slice_sub(text, 0, first), &pieces);
    html_feed(&html, slice_sub(text, first, second - first), &pieces);
    html_feed(&html, slice_from_index(text, second), &pieces);
    html_end(&html, &pieces);
    assert(slice_eq(buf_slice(&whole), buf_slice(&pieces)));
    assert(buf_len(&whole) <= text.len);
    if (utf8_valid(text))
        assert(utf8_valid(buf_slice(&whole)));
    check_escaped(text);
    buf_done(&whole);
    buf_done(&pieces);
    return 0;
}
