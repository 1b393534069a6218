#include "base/encode.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buf *out, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t have = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t group = (uint32_t)slice_at(bytes, i) << 16;
        if (have > 1)
            group |= (uint32_t)slice_at(bytes, i + 1) << 8;
        if (have > 2)
            group |= slice_at(bytes, i + 2);
        char quartet[4] = { alphabet[group >> 18], alphabet[group >> 12 & 63],
            have > 1 ? alphabet[group >> 6 & 63] : '=', have > 2 ? alphabet[group & 63] : '=' };
        buf_add(out, slice_from(quartet, 4));
    }
}

enum err base64_decode(struct buf *out, struct slice text)
{
    if (text.len % 4 != 0)
        return ERR_SYNTAX;
    for (size_t i = 0; i < text.len; i += 4) {
        size_t pad = 0;
        if (i + 4 == text.len) {
            pad += text.ptr[i + 3] == '=';
            pad += pad && text.ptr[i + 2] == '=';
        }
        uint32_t group = 0;
        for (size_t k = 0; k < 4; k++) {
            int v = k >= 4 - pad ? 0 : base64_digit(text.ptr[i + k]);
            if (v < 0)
                return ERR_SYNTAX;
            group = group << 6 | (uint32_t)v;
        }
        if ((pad == 1 && (group & 0xFF)) || (pad == 2 && (group & 0xFFFF)))
            return ERR_SYNTAX;
        char bytes[3] = { (char)(group >> 16), (char)(group >> 8), (char)group };
        buf_add(out, slice_from(bytes, 3 - pad));
    }
    return buf_err(out);
}

void hex_encode(struct buf *out, struct slice bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *room = buf_room(out, bytes.len * 2);
    if (!room)
        return;
    for (size_t i = 0; i < bytes.len; i++) {
        room[2 * i] = digits[slice_at(bytes, i) >> 4];
        room[2 * i + 1] = digits[slice_at(bytes, i) & 15];
    }
    buf_wrote(out, bytes.len * 2);
}

enum err hex_decode(struct slice text, void *out, size_t out_len)
{
    if (text.len != out_len * 2)
        return ERR_SYNTAX;
    unsigned char *bytes = out;
    for (size_t i = 0; i < text.len; i++)
        if (hex_digit(text.ptr[i]) < 0)
            return ERR_SYNTAX;
    for (size_t i = 0; i < out_len; i++)
        bytes[i] =
            (unsigned char)(hex_digit(text.ptr[i * 2]) << 4 | hex_digit(text.ptr[i * 2 + 1]));
    return ERR_OK;
}
