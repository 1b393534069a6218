/* Bytes as base64 and quoted-printable. First byte: where to cut. Oracles: the same wherever it is cut; never longer than what went in;
 * what is encoded comes back. */
#include "message/text_int.h"

#include "base/encode.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void decode(const char *encoding, struct slice text, size_t cut, struct buf *out)
{
    struct transfer transfer;
    transfer_init(&transfer, slice_of(encoding));
    transfer_feed(&transfer, slice_sub(text, 0, cut), out);
    transfer_feed(&transfer, slice_from_index(text, cut), out);
    transfer_end(&transfer, out);
}

static void check_cut(const char *encoding, struct slice text, size_t cut)
{
    struct buf whole, pieces;
    buf_init(&whole, 0);
    buf_init(&pieces, 0);
    decode(encoding, text, 0, &whole);
    decode(encoding, text, cut, &pieces);
    assert(slice_eq(buf_slice(&whole), buf_slice(&pieces)));
    assert(buf_len(&whole) <= text.len);
    buf_done(&whole);
    buf_done(&pieces);
}

/* Lines of 76, as mail has them. */
static void check_base64_back(struct slice text)
{
    struct buf encoded, lines, back;
    buf_init(&encoded, 0);
    buf_init(&lines, 0);
    buf_init(&back, 0);
    base64_encode(&encoded, text);
    for (size_t at = 0; at < buf_len(&encoded); at += 76) {
        buf_add(&lines, slice_sub(buf_slice(&encoded), at, 76));
        buf_adds(&lines, "\r\n");
    }
    msg_decode_base64(buf_slice(&lines), &back);
    assert(slice_eq(buf_slice(&back), text));
    buf_done(&encoded);
    buf_done(&lines);
    buf_done(&back);
}

static void check_qp_back(struct slice text)
{
    struct buf encoded, back;
    buf_init(&encoded, 0);
    buf_init(&back, 0);
    for (size_t i = 0; i < text.len; i++) {
        buf_addf(&encoded, "=%02X", slice_at(text, i));
        if (i % 25 == 24)
            buf_adds(&encoded, "=\r\n");
    }
    decode("quoted-printable", buf_slice(&encoded), 0, &back);
    assert(slice_eq(buf_slice(&back), text));
    buf_done(&encoded);
    buf_done(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (!len)
        return 0;
    struct slice text = slice_from(bytes + 1, len - 1);
    size_t cut = text.len ? bytes[0] % text.len : 0;
    check_cut("base64", text, cut);
    check_cut("quoted-printable", text, cut);
    check_cut("7bit", text, cut);
    check_base64_back(text);
    check_qp_back(text);
    return 0;
}
