/* One pass, no recursion: the grammar nests two deep. */
#include "message/envelope.h"

#include <string.h>

static bool take(struct slice *rest, char c)
{
    if (!rest->len || rest->ptr[0] != c)
        return false;
    *rest = slice_from_index(*rest, 1);
    return true;
}

/* "{size}" CRLF and so many bytes. */
static bool take_literal(struct slice *rest, struct envelope_string *out)
{
    struct slice s = slice_from_index(*rest, 1);
    uint64_t len;
    size_t digits = slice_index(slice_sub(s, 0, 11), '}');
    if (slice_to_u64(slice_sub(s, 0, digits), UINT32_MAX, &len) != ERR_OK)
        return false;
    s = slice_from_index(s, digits);
    if (!slice_starts(s, SLICE("}\r\n")) || len > s.len - 3)
        return false;
    *out = (struct envelope_string){ .bytes = slice_sub(s, 3, (size_t)len) };
    *rest = slice_from_index(s, 3 + (size_t)len);
    return true;
}

/* nstring = string / nil  RFC 3501 §9 */
static bool take_nstring(struct slice *rest, struct envelope_string *out)
{
    if (rest->len && rest->ptr[0] == '{')
        return take_literal(rest, out);
    if (slice_starts(*rest, SLICE("NIL"))) {
        *out = (struct envelope_string){ 0 };
        *rest = slice_from_index(*rest, 3);
        return true;
    }
    if (!take(rest, '"'))
        return false;
    bool escaped = false;
    for (size_t i = 0; i < rest->len; i++) {
        if (rest->ptr[i] == '\\') {
            escaped = true;
            i++;
        } else if (rest->ptr[i] == '"') {
            *out = (struct envelope_string){ slice_sub(*rest, 0, i), escaped };
            *rest = slice_from_index(*rest, i + 1);
            return true;
        }
    }
    return false;
}

/* address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"  RFC 3501 §9 */
static bool take_address(struct slice *rest, struct envelope_address *out)
{
    struct envelope_string route;
    struct envelope_address address;
    if (!take(rest, '(') || !take_nstring(rest, &address.name) || !take(rest, ' ') ||
        !take_nstring(rest, &route) || !take(rest, ' ') || !take_nstring(rest, &address.mailbox) ||
        !take(rest, ' ') || !take_nstring(rest, &address.host) || !take(rest, ')'))
        return false;
    *out = address;
    return true;
}

/* "(" 1*address ")" / nil: the first of them */
static bool take_list(struct slice *rest, struct envelope_address *out_first)
{
    struct envelope_address other;
    struct envelope_string nil;
    if (!take(rest, '('))
        return take_nstring(rest, &nil) && !nil.bytes.ptr;
    if (!take_address(rest, out_first))
        return false;
    while (!take(rest, ')')) {
        if (!take_address(rest, &other))
            return false;
    }
    return true;
}

void envelope_date(struct slice envelope, struct envelope_string *out_date)
{
    *out_date = (struct envelope_string){ 0 };
    if (take(&envelope, '('))
        (void)take_nstring(&envelope, out_date);
}

void envelope_firsts(struct slice envelope, struct envelope_address out_firsts[ENVELOPE_FIRSTS])
{
    struct envelope_string text;
    memset(out_firsts, 0, ENVELOPE_FIRSTS * sizeof *out_firsts);
    if (!take(&envelope, '(') || !take_nstring(&envelope, &text) || !take(&envelope, ' ') ||
        !take_nstring(&envelope, &text))
        return;
    for (size_t i = 0; i < ENVELOPE_FIRSTS; i++) {
        if (!take(&envelope, ' ') || !take_list(&envelope, &out_firsts[i]))
            return;
    }
}

void envelope_text(const struct envelope_string *string, struct buf *out)
{
    if (!string->escaped) {
        buf_add(out, string->bytes);
        return;
    }
    for (size_t i = 0; i < string->bytes.len; i++) {
        if (string->bytes.ptr[i] == '\\' && i + 1 < string->bytes.len)
            i++;
        buf_addc(out, string->bytes.ptr[i]);
    }
}
