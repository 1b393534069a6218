/* Encoded-words of RFC 2047 and extended parameters of RFC 2231, leniently: a word may stand inside quotes, touch its neighbour
 * or hold blanks. Words of one charset side by side are joined before they are converted, because many programs
 * cut a character in two. */
#include "base/encode.h"
#include "message/header.h"
#include "message/text_int.h"

#include <string.h>

struct word {
    struct slice charset; /* without the language of RFC 2231 §5 */
    char encoding;        /* 'b' or 'q' */
    struct slice text;
    size_t len; /* of the whole word */
};

#define WORD_CHARSET_BYTES_MAX 80u

/* At "=?". *ends is cleared when no "?=" follows at all, so that a value of many "=?" stays linear. */
static bool word_parse(struct slice s, struct word *out_word, bool *ends)
{
    size_t at = 2;
    while (at < s.len && at < 2 + WORD_CHARSET_BYTES_MAX && s.ptr[at] != '?' &&
           slice_at(s, at) > ' ' && slice_at(s, at) < 127)
        at++;
    if (at == 2 || at + 3 > s.len || s.ptr[at] != '?' || s.ptr[at + 2] != '?')
        return false;
    char encoding = ascii_lower(s.ptr[at + 1]);
    if (encoding != 'b' && encoding != 'q')
        return false;
    struct slice charset = slice_sub(s, 2, at - 2);
    charset.len = slice_index(charset, '*');
    struct slice rest = slice_from_index(s, at + 3);
    size_t end = slice_find(rest, SLICE("?="));
    if (end == SIZE_MAX) {
        *ends = false;
        return false;
    }
    *out_word = (struct word){
        .charset = charset,
        .encoding = encoding,
        .text = slice_sub(rest, 0, end),
        .len = at + 3 + end + 2,
    };
    return true;
}

/* The "Q" encoding, RFC 2047 §4.2; with mark '%' the percent-encoding of RFC 2231. */
static void decode_marked(struct slice text, char mark, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == mark && i + 2 < text.len && hex_digit(text.ptr[i + 1]) >= 0 &&
            hex_digit(text.ptr[i + 2]) >= 0) {
            buf_addc(out, (char)(hex_digit(text.ptr[i + 1]) << 4 | hex_digit(text.ptr[i + 2])));
            i += 2;
        } else if (c == '_' && mark == '=') {
            buf_addc(out, ' ');
        } else if (c != '\r' && c != '\n') {
            buf_addc(out, c);
        }
    }
}

/* Bytes of words not yet converted. */
struct pending {
    struct buf bytes;
    struct slice charset;
    bool any;
};

static void convert(struct slice charset, struct slice bytes, struct buf *out)
{
    if (charset_to_utf8(charset, bytes, out) == ERR_NOT_FOUND)
        text_guess_utf8(bytes, out);
}

static void pending_flush(struct pending *pending, struct buf *out)
{
    if (pending->any)
        convert(pending->charset, buf_slice(&pending->bytes), out);
    buf_clear(&pending->bytes);
    pending->any = false;
}

static bool only_blanks(struct slice s)
{
    return slice_trim(s).len == 0;
}

static void add_raw(struct slice raw, struct buf *out)
{
    bool folded = memchr(raw.ptr, '\r', raw.len) || memchr(raw.ptr, '\n', raw.len);
    if (!folded) {
        text_guess_utf8(raw, out);
        return;
    }
    struct buf line;
    buf_init(&line, 0);
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.ptr[i] != '\r' && raw.ptr[i] != '\n')
            buf_addc(&line, raw.ptr[i]);
    }
    text_guess_utf8(buf_slice(&line), out);
    buf_done(&line);
}

void msg_decode_words(struct slice value, struct buf *out)
{
    value = slice_trim(value);
    struct pending pending = { 0 };
    buf_init(&pending.bytes, 0);
    bool ends = true;
    size_t raw_start = 0, at = 0;
    while (ends && at < value.len) {
        size_t found = slice_find(slice_from_index(value, at), SLICE("=?"));
        if (found == SIZE_MAX)
            break;
        at += found;
        struct word word;
        if (!word_parse(slice_from_index(value, at), &word, &ends)) {
            at += 2;
            continue;
        }
        struct slice between = slice_sub(value, raw_start, at - raw_start);
        bool adjacent = pending.any && only_blanks(between); /* RFC 2047 §6.2 */
        if (!adjacent || !slice_eq_nocase(pending.charset, word.charset))
            pending_flush(&pending, out);
        if (!adjacent)
            add_raw(between, out);
        pending.charset = word.charset;
        pending.any = true;
        if (word.encoding == 'b')
            msg_decode_base64(word.text, &pending.bytes);
        else
            decode_marked(word.text, '=', &pending.bytes);
        at += word.len;
        raw_start = at;
    }
    pending_flush(&pending, out);
    add_raw(slice_from_index(value, raw_start), out);
    buf_done(&pending.bytes);
}

void msg_decode_extended(struct slice value, struct buf *out)
{
    struct slice charset = SLICE("utf-8");
    size_t first = slice_index(value, '\'');
    struct slice after = slice_from_index(value, first + 1);
    size_t second = slice_index(after, '\'');
    if (first < value.len && second < after.len) {
        charset = slice_sub(value, 0, first);
        value = slice_from_index(after, second + 1);
    }
    struct buf bytes;
    buf_init(&bytes, 0);
    decode_marked(value, '%', &bytes);
    convert(charset, buf_slice(&bytes), out);
    buf_done(&bytes);
}
