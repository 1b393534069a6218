/* Base64 (RFC 4648 §4) and hexadecimal. */
#ifndef BASE_ENCODE_H
#define BASE_ENCODE_H

#include "base/buf.h"
#include "base/slice.h"

/* Appends without line breaks, with padding. */
void base64_encode(struct buf *out, struct slice bytes);
/* Strict: canonical alphabet, whole quartets, padding only at the end, no blanks, spare bits zero. ERR_SYNTAX else. For SASL;
 * mail bodies use the lenient decoder in message/. On failure out may hold a part. */
enum err MUST_USE base64_decode(struct buf *out, struct slice text);
/* Lower case. */
void hex_encode(struct buf *out, struct slice bytes);
enum err MUST_USE hex_decode(struct slice text, void *out, size_t out_len);

/* What one character stands for; -1 when it is none of the alphabet. In the header, because lenient decoders ask for each byte of a mail. */
static inline int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

static inline int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
