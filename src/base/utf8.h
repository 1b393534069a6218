/* UTF-8 (RFC 3629): strict decoding, no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/slice.h"

/* Decodes one character at s[at]. Returns its length in bytes (1 to 4), or 0 when the bytes are not UTF-8 or at is the end. */
size_t utf8_decode(struct slice s, size_t at, uint32_t *out_char);
/* Writes c to out (4 bytes of room); returns the length. c must be a scalar value. */
size_t utf8_encode(uint32_t c, char *out);
bool utf8_valid(struct slice s);
bool slice_is_ascii(struct slice s);

#endif
