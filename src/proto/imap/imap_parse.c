/* Tokens of the IMAP grammar. Always true: p->at <= p->end, and a function that fails may leave p->at anywhere between. */
#include "proto/imap/imap_parse.h"

#include "proto/imap/imap_parse_int.h"
#include "proto/imap/imap_write.h"

#include <string.h>

void imap_parse_init(struct imap_parse *p, struct slice frame, struct arena *arena)
{
    *p = (struct imap_parse){ .at = frame.ptr, .end = frame.ptr + frame.len, .arena = arena };
}

enum err p_char(struct imap_parse *p, char c)
{
    return p_take(p, c) ? ERR_OK : ERR_SYNTAX;
}

enum err p_space(struct imap_parse *p)
{
    return p_char(p, ' ');
}

enum err p_end(struct imap_parse *p)
{
    return p->end - p->at == 2 && p->at[0] == '\r' && p->at[1] == '\n' ? ERR_OK : ERR_SYNTAX;
}

static bool is_atom_char(char c)
{
    return imap_is_atom(slice_from(&c, 1));
}

enum err p_atom(struct imap_parse *p, struct slice *out)
{
    const char *start = p->at;
    while (p->at < p->end && is_atom_char(*p->at))
        p->at++;
    *out = slice_from(start, (size_t)(p->at - start));
    return out->len ? ERR_OK : ERR_SYNTAX;
}

struct slice p_word(struct imap_parse *p)
{
    const char *start = p->at;
    for (; p->at < p->end; p->at++) {
        char c = ascii_lower(*p->at);
        bool is_word =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '=';
        if (!is_word)
            break;
    }
    return slice_from(start, (size_t)(p->at - start));
}

bool p_take_word(struct imap_parse *p, struct slice word)
{
    const char *start = p->at;
    if (slice_eq_nocase(p_word(p), word))
        return true;
    p->at = start;
    return false;
}

/* quoted = DQUOTE *QUOTED-CHAR DQUOTE. Copied only when something is escaped. */
static enum err p_quoted(struct imap_parse *p, struct slice *out)
{
    TRY(p_char(p, '"'));
    const char *start = p->at;
    size_t escapes = 0;
    for (; p->at < p->end && *p->at != '"'; p->at++) {
        unsigned char c = (unsigned char)*p->at;
        if (c == '\\') {
            escapes++;
            if (++p->at >= p->end || (*p->at != '"' && *p->at != '\\'))
                return ERR_SYNTAX;
        } else if (c >= 0x80 || c == '\r' || c == '\n' || c == 0) {
            return ERR_SYNTAX;
        }
    }
    struct slice raw = slice_from(start, (size_t)(p->at - start));
    TRY(p_char(p, '"'));
    *out = raw;
    if (!escapes)
        return ERR_OK;
    char *copy = arena_alloc(p->arena, raw.len);
    if (!copy)
        return ERR_LIMIT;
    size_t len = 0;
    for (size_t i = 0; i < raw.len; i++) {
        i += raw.ptr[i] == '\\';
        copy[len++] = raw.ptr[i];
    }
    *out = slice_from(copy, len);
    return ERR_OK;
}

/* literal = "{" number ["+"] "}" CRLF *CHAR8; NUL is no CHAR8 */
static enum err p_literal(struct imap_parse *p, struct slice *out)
{
    uint64_t len;
    TRY(p_char(p, '{'));
    TRY(p_number(p, UINT32_MAX, &len));
    p_take(p, '+');
    TRY(p_char(p, '}'));
    TRY(p_char(p, '\r'));
    TRY(p_char(p, '\n'));
    if (len > (uint64_t)(p->end - p->at) || memchr(p->at, 0, (size_t)len))
        return ERR_SYNTAX;
    *out = slice_from(p->at, (size_t)len);
    p->at += len;
    return ERR_OK;
}

enum err p_string(struct imap_parse *p, struct slice *out)
{
    return p_peek(p, '{') ? p_literal(p, out) : p_quoted(p, out);
}

/* Characters of an atom and those of extra. */
static enum err p_run(struct imap_parse *p, const char *extra, struct slice *out)
{
    const char *start = p->at;
    while (p->at < p->end && *p->at && (is_atom_char(*p->at) || strchr(extra, *p->at)))
        p->at++;
    *out = slice_from(start, (size_t)(p->at - start));
    return out->len ? ERR_OK : ERR_SYNTAX;
}

enum err p_astring(struct imap_parse *p, struct slice *out)
{
    if (p_peek(p, '"') || p_peek(p, '{'))
        return p_string(p, out);
    return p_run(p, "]", out);
}

enum err p_nstring(struct imap_parse *p, struct slice *out)
{
    if (p_peek(p, '"') || p_peek(p, '{'))
        return p_string(p, out);
    if (!p_take_word(p, SLICE("NIL")))
        return ERR_SYNTAX;
    *out = (struct slice){ 0 };
    return ERR_OK;
}

enum err p_pattern(struct imap_parse *p, struct slice *out)
{
    if (p_peek(p, '"') || p_peek(p, '{'))
        return p_string(p, out);
    return p_run(p, "]%*", out);
}

enum err p_mailbox(struct imap_parse *p, struct slice *out)
{
    TRY(p_astring(p, out));
    return out->len <= MAILBOX_WIRE_BYTES_MAX ? ERR_OK : ERR_LIMIT;
}

enum err p_number(struct imap_parse *p, uint64_t max, uint64_t *out)
{
    const char *start = p->at;
    while (p->at < p->end && *p->at >= '0' && *p->at <= '9')
        p->at++;
    /* over max is no number of this grammar: a syntax error, not a limit */
    return slice_to_u64(slice_from(start, (size_t)(p->at - start)), max, out) == ERR_OK
               ? ERR_OK
               : ERR_SYNTAX;
}

enum err p_number32(struct imap_parse *p, uint32_t *out)
{
    uint64_t number;
    TRY(p_number(p, UINT32_MAX, &number));
    *out = (uint32_t)number;
    return ERR_OK;
}

static enum err p_seq_number(struct imap_parse *p, uint32_t *out)
{
    if (p_take(p, '*')) {
        *out = IMAP_STAR;
        return ERR_OK;
    }
    TRY(p_number32(p, out));
    return *out ? ERR_OK : ERR_SYNTAX;
}

/* sequence-set = (seq-number / seq-range) *("," sequence-set) */
enum err p_set(struct imap_parse *p, struct imap_set *out)
{
    struct imap_range *ranges = NULL;
    size_t count = 0, cap = 0;
    do {
        struct imap_range range;
        TRY(p_seq_number(p, &range.first));
        range.last = range.first;
        if (p_take(p, ':'))
            TRY(p_seq_number(p, &range.last));
        if (count == IMAP_SET_RANGES_MAX)
            return ERR_LIMIT;
        ranges = arena_grow(p->arena, ranges, &cap, count + 1, sizeof *ranges);
        if (!ranges)
            return ERR_LIMIT;
        ranges[count++] = range;
    } while (p_take(p, ','));
    *out = (struct imap_set){ ranges, count };
    return ERR_OK;
}

enum err p_slices_add(struct imap_parse *p, struct p_slices *list, size_t count_max, struct slice s)
{
    if (list->count == count_max)
        return ERR_LIMIT;
    struct slice *grown =
        arena_grow(p->arena, list->at, &list->cap, list->count + 1, sizeof *grown);
    if (!grown)
        return ERR_LIMIT;
    list->at = grown;
    list->at[list->count++] = s;
    return ERR_OK;
}

/* flag = "\Answered" / ... / flag-keyword. \Recent cannot be set and an unknown "\word" is no flag we have. */
static enum err p_flag(struct imap_parse *p, struct imap_flags *flags, struct p_slices *keywords)
{
    static const struct {
        struct slice name;
        unsigned bit;
    } system[] = {
        { SLICE_CONST("Seen"), IMAP_SEEN },
        { SLICE_CONST("Answered"), IMAP_ANSWERED },
        { SLICE_CONST("Flagged"), IMAP_FLAGGED },
        { SLICE_CONST("Deleted"), IMAP_DELETED },
        { SLICE_CONST("Draft"), IMAP_DRAFT },
    };
    struct slice atom;
    if (!p_take(p, '\\')) {
        TRY(p_atom(p, &atom));
        if (atom.len > KEYWORD_BYTES_MAX)
            return ERR_LIMIT;
        return p_slices_add(p, keywords, IMAP_FLAGS_MAX, atom);
    }
    TRY(p_atom(p, &atom));
    for (size_t i = 0; i < sizeof system / sizeof *system; i++) {
        if (slice_eq_nocase(atom, system[i].name)) {
            flags->system |= system[i].bit;
            return ERR_OK;
        }
    }
    return ERR_SYNTAX;
}

enum err p_flags(struct imap_parse *p, bool bare, struct imap_flags *out)
{
    struct imap_flags flags = { 0 };
    struct p_slices keywords = { 0 };
    bool list = p_take(p, '(');
    if (!list && !bare)
        return ERR_SYNTAX;
    if (!list || !p_peek(p, ')')) {
        do
            TRY(p_flag(p, &flags, &keywords));
        while (p_take(p, ' '));
    }
    if (list)
        TRY(p_char(p, ')'));
    flags.keywords = keywords.at;
    flags.keyword_count = keywords.count;
    *out = flags;
    return ERR_OK;
}
