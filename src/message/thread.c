/* Both run in one pass over a value that may be hostile: no step looks at a byte more than a few times. */
#include "message/thread.h"

#include "base/limits.h"
#include "message/header.h"
#include "message/lex.h"
#include "message/text.h"

#include <string.h>

/* ---- base subject, RFC 5256 §2.1 and §5 ---- */

/* Step 1: decoded, blanks of any kind and number to one space. */
static void decode_subject(struct slice raw, struct buf *out)
{
    struct buf decoded;
    buf_init(&decoded, 0);
    msg_decode_words(raw, &decoded);
    struct slice text = buf_slice(&decoded);
    bool blank = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool is_blank = lex_is_blank(c);
        if (!is_blank)
            buf_addc(out, c);
        else if (!blank)
            buf_addc(out, ' ');
        blank = is_blank;
    }
    buf_done(&decoded);
}

static size_t spaces(struct slice s)
{
    size_t len = 0;
    while (len < s.len && s.ptr[len] == ' ')
        len++;
    return len;
}

/* subj-blob = "[" *BLOBCHAR "]" *WSP. Its length, or 0. */
static size_t blob_len(struct slice s)
{
    if (!s.len || s.ptr[0] != '[')
        return 0;
    size_t len = 1;
    while (len < s.len && s.ptr[len] != '[' && s.ptr[len] != ']')
        len++;
    if (len == s.len || s.ptr[len] != ']')
        return 0;
    len++;
    return len + spaces(slice_from_index(s, len));
}

/* subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":". Its length, or 0. */
static size_t refwd_len(struct slice s)
{
    size_t len = 0;
    if (slice_starts_nocase(s, SLICE("fwd")))
        len = 3;
    else if (slice_starts_nocase(s, SLICE("re")) || slice_starts_nocase(s, SLICE("fw")))
        len = 2;
    else
        return 0;
    len += spaces(slice_from_index(s, len));
    len += blob_len(slice_from_index(s, len));
    return len < s.len && s.ptr[len] == ':' ? len + 1 : 0;
}

static bool ends_nocase(struct slice s, struct slice end)
{
    return s.len >= end.len && slice_eq_nocase(slice_from_index(s, s.len - end.len), end);
}

/* Step 2: subj-trailer = "(fwd)" / WSP. */
static struct slice without_trailers(struct slice s, bool *is_reply)
{
    for (;;) {
        if (s.len && s.ptr[s.len - 1] == ' ') {
            s.len--;
        } else if (ends_nocase(s, SLICE("(fwd)"))) {
            s.len -= 5;
            *is_reply = true;
        } else {
            return s;
        }
    }
}

/* Steps 3 to 5. Blobs that no subj-refwd follows are taken off as long as something is left behind them. */
static struct slice without_leaders(struct slice s, bool *is_reply)
{
    for (;;) {
        s = slice_from_index(s, spaces(s));
        size_t blobs = 0, last = 0, len;
        while ((len = blob_len(slice_from_index(s, blobs))) > 0) {
            last = blobs;
            blobs += len;
        }
        size_t refwd = refwd_len(slice_from_index(s, blobs));
        if (!refwd)
            return slice_from_index(s, blobs < s.len ? blobs : last);
        *is_reply = true;
        s = slice_from_index(s, blobs + refwd);
    }
}

void msg_base_subject(struct slice raw, struct buf *out, bool *out_is_reply)
{
    struct buf text;
    buf_init(&text, 0);
    decode_subject(raw, &text);
    struct slice s = buf_slice(&text);
    bool is_reply = false;
    for (;;) {
        s = without_trailers(s, &is_reply);
        s = without_leaders(s, &is_reply);
        if (!slice_starts_nocase(s, SLICE("[fwd:")) || s.ptr[s.len - 1] != ']') /* step 6 */
            break;
        s = slice_sub(s, 5, s.len - 6);
        is_reply = true;
    }
    buf_add(out, s);
    if (out_is_reply)
        *out_is_reply = is_reply;
    buf_done(&text);
}

/* ---- message ids ---- */

/* At a "<": appends a msg-id without quotes and blanks, which nearly all are, and moves behind it. False, and nothing done, for any other. */
static bool id_take_plain(struct slice *rest, struct buf *out)
{
    bool at = false;
    size_t len_max = rest->len < THREAD_ID_BYTES_MAX + 1 ? rest->len : THREAD_ID_BYTES_MAX + 1;
    for (size_t i = 1; i < len_max; i++) {
        char c = rest->ptr[i];
        if (c == '>' && at) {
            buf_add(out, slice_sub(*rest, 1, i - 1));
            *rest = slice_from_index(*rest, i);
            return true;
        }
        if (c == '>' || c == '<' || c == '"' || lex_is_blank(c))
            return false;
        at = at || c == '@';
    }
    return false;
}

/* At a "<": appends what msg-id stands there, quotes taken off, and moves behind it. False, and nothing appended, when there is none: no
 * "@", no ">", or too long. */
static bool id_take(struct slice *rest, struct buf *out)
{
    size_t start = buf_len(out), i = 1, angle = 0; /* angle: the first one inside quotes */
    bool at = false, quoted = false;
    for (; i < rest->len && i < THREAD_ID_BYTES_MAX; i++) {
        char c = rest->ptr[i];
        if (c == '"') {
            quoted = !quoted;
        } else if (c == '\\' && quoted && i + 1 < rest->len && rest->ptr[i + 1] != '\n') {
            buf_addc(out, rest->ptr[++i]);
        } else if (!quoted && (c == '>' || c == '<')) {
            break;
        } else if (!angle && c == '<') {
            angle = i;
        } else if (!lex_is_blank(c)) {
            at = at || (c == '@' && !quoted);
            buf_addc(out, c);
        }
    }
    bool whole = i < rest->len && rest->ptr[i] == '>' && at && buf_len(out) > start;
    if (!whole)
        buf_truncate(out, start);
    /* after a quote that belongs to nothing the next id begins where one can begin */
    *rest = slice_from_index(*rest, !whole && angle ? angle : i);
    return whole;
}

/* Appends up to ids_max of the ids in a raw value; of more the first and the last ones. Their number. */
static size_t ids_take(struct slice raw, size_t ids_max, struct buf *out)
{
    size_t count = 0, second = 0; /* where the second id starts */
    for (;;) {
        size_t open = slice_index(raw, '<');
        if (open == raw.len)
            return count;
        raw = slice_from_index(raw, open);
        if (!id_take_plain(&raw, out) && !id_take(&raw, out))
            continue;
        buf_addc(out, '\n');
        count++;
        if (count == 1)
            second = buf_len(out);
        if (count <= ids_max)
            continue;
        if (ids_max == 1) {
            buf_truncate(out, second);
            return 1;
        }
        /* the second goes; at most THREAD_IDS_MAX short strings move */
        struct slice all = buf_slice(out);
        size_t len = slice_index(slice_from_index(all, second), '\n') + 1;
        memmove(out->mem + out->start + second, all.ptr + second + len, all.len - second - len);
        buf_truncate(out, all.len - len);
        count--;
    }
}

enum {
    OWN,
    REFERENCES,
    PARENT,
    FIELDS,
};

/* Three bytes as a number, in small letters; some signs become others, too. */
#define THREE(a, b, c) (((unsigned)(a) << 16 | (unsigned)(b) << 8 | (unsigned)(c)) | 0x202020u)

/* Whether a line may be the start of one of them: by its first three bytes, and one that ends the header too. */
static bool may_matter(struct slice line)
{
    if (line.len < 3 || line.ptr[0] == '\r' || line.ptr[0] == '\n')
        return true;
    unsigned start = THREE(slice_at(line, 0), slice_at(line, 1), slice_at(line, 2));
    return start == THREE('m', 'e', 's') || start == THREE('r', 'e', 'f') ||
           start == THREE('i', 'n', '-');
}

/* The values of the first fields of these names that have one; len 0 for none. Most lines are only skipped. */
static void find_fields(struct slice header, struct slice out_values[FIELDS])
{
    static const struct slice names[FIELDS] = { SLICE_CONST("Message-ID"),
        SLICE_CONST("References"), SLICE_CONST("In-Reply-To") };
    struct msg_field field;
    while (header.len) {
        if (!may_matter(header)) {
            const char *end = memchr(header.ptr, '\n', header.len);
            header = slice_from_index(header, end ? (size_t)(end - header.ptr) + 1 : header.len);
            continue;
        }
        if (!msg_field_next(&header, &field))
            return;
        for (size_t i = 0; i < FIELDS; i++)
            if (!out_values[i].len && slice_eq_nocase(field.name, names[i]))
                out_values[i] = field.value;
    }
}

void msg_thread_ids(struct slice header, struct buf *out)
{
    struct slice values[FIELDS] = { SLICE_EMPTY, SLICE_EMPTY, SLICE_EMPTY };
    find_fields(header, values);
    if (!ids_take(values[OWN], 1, out))
        buf_addc(out, '\n');
    if (!ids_take(values[REFERENCES], THREAD_IDS_MAX, out))
        (void)ids_take(values[PARENT], 1, out);
}
