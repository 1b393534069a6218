/* Pieces of IMAP answers. */
#include "proto/imap/imap_write.h"

#include "proto/imap/imap_utf7.h"

/* Longer strings go out as literals: some clients have a bound on lines. */
#define QUOTED_BYTES_MAX 1000u

static bool atom_char(unsigned char c)
{
    if (c <= 0x20 || c >= 0x7F)
        return false;
    switch (c) { /* atom-specials, RFC 3501 §9 */
    case '(':
    case ')':
    case '{':
    case '%':
    case '*':
    case '"':
    case '\\':
    case ']':
        return false;
    default:
        return true;
    }
}

bool imap_is_atom(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!atom_char(slice_at(s, i)))
            return false;
    return s.len > 0;
}

void imap_write_string(struct buf *out, struct slice s)
{
    bool quoted = s.len <= QUOTED_BYTES_MAX;
    for (size_t i = 0; quoted && i < s.len; i++) {
        unsigned char c = slice_at(s, i);
        quoted = c != '\r' && c != '\n' && c < 0x80 && c != 0;
    }
    if (!quoted) {
        buf_addc(out, '{');
        buf_addu(out, s.len);
        buf_adds(out, "}\r\n");
        buf_add(out, s);
        return;
    }
    buf_add_quoted(out, s);
}

void imap_write_astring(struct buf *out, struct slice s)
{
    if (imap_is_atom(s) && !slice_eq_nocase(s, SLICE("NIL")))
        buf_add(out, s);
    else
        imap_write_string(out, s);
}

void imap_write_nstring(struct buf *out, struct slice s)
{
    if (s.ptr)
        imap_write_string(out, s);
    else
        buf_adds(out, "NIL");
}

void imap_write_mailbox(struct buf *out, struct slice utf8)
{
    struct buf name;
    buf_init(&name, 0);
    if (imap_utf7_encode(utf8, &name) == ERR_OK)
        imap_write_astring(out, buf_slice(&name));
    else
        imap_write_string(out, utf8);
    buf_done(&name);
}

void imap_write_flags(
    struct buf *out, unsigned flags, const struct slice *keywords, size_t keyword_count)
{
    static const char *const names[] = { "\\Seen", "\\Answered", "\\Flagged", "\\Deleted",
        "\\Draft", "\\Recent" };
    char before = '(';
    for (unsigned i = 0; i < 6; i++) {
        if (!(flags & 1u << i))
            continue;
        buf_addc(out, before);
        buf_adds(out, names[i]);
        before = ' ';
    }
    for (size_t i = 0; i < keyword_count; i++) {
        buf_addc(out, before);
        buf_add(out, keywords[i]);
        before = ' ';
    }
    if (before == '(')
        buf_addc(out, '(');
    buf_addc(out, ')');
}
