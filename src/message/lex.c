/* Every function moves forward by at least one byte or not at all, and never past the end. */
#include "message/lex.h"

#include <string.h>

struct slice lex_comment(struct lex *lex)
{
    const char *p = lex->rest.ptr + 1, *end = lex->rest.ptr + lex->rest.len;
    const char *inside = p;
    size_t depth = 1;
    for (; p < end; p++) {
        if (*p == '\\' && p + 1 < end)
            p++;
        else if (*p == '(')
            depth++;
        else if (*p == ')' && --depth == 0)
            break;
    }
    struct slice comment = slice_from(inside, (size_t)(p - inside));
    if (p < end)
        p++;
    lex->rest = slice_from(p, (size_t)(end - p));
    return comment;
}

void lex_cfws(struct lex *lex, struct slice *out_comment)
{
    while (!lex_end(lex)) {
        char c = lex_peek(lex);
        if (lex_is_blank(c)) {
            lex_skip(lex, 1);
        } else if (c == '(') {
            struct slice comment = lex_comment(lex);
            if (out_comment)
                *out_comment = comment;
        } else {
            return;
        }
    }
}

struct slice lex_quoted_closed(struct lex *lex, bool *out_closed)
{
    const char *p = lex->rest.ptr + 1, *end = lex->rest.ptr + lex->rest.len;
    const char *inside = p;
    for (; p < end && *p != '"'; p++) {
        if (*p == '\\' && p + 1 < end)
            p++;
    }
    struct slice quoted = slice_from(inside, (size_t)(p - inside));
    *out_closed = p < end;
    if (p < end)
        p++;
    lex->rest = slice_from(p, (size_t)(end - p));
    return quoted;
}

struct slice lex_quoted(struct lex *lex)
{
    bool closed;
    return lex_quoted_closed(lex, &closed);
}

static bool is_plain(struct slice raw)
{
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.ptr[i] == '\\' || raw.ptr[i] == '\r' || raw.ptr[i] == '\n')
            return false;
    }
    return true;
}

struct slice lex_unquote(struct arena *arena, struct slice raw)
{
    if (is_plain(raw))
        return raw;
    char *out = arena_alloc(arena, raw.len + 1);
    if (!out)
        return (struct slice){ 0 };
    size_t len = 0;
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.ptr[i];
        if (c == '\r' || c == '\n')
            continue;
        if (c == '\\' && i + 1 < raw.len)
            c = raw.ptr[++i];
        out[len++] = c;
    }
    return slice_from(out, len);
}

struct slice lex_unfold(struct arena *arena, struct slice raw)
{
    if (!memchr(raw.ptr, '\n', raw.len) && !memchr(raw.ptr, '\r', raw.len))
        return raw;
    char *out = arena_alloc(arena, raw.len + 1);
    if (!out)
        return (struct slice){ 0 };
    size_t len = 0;
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.ptr[i] != '\r' && raw.ptr[i] != '\n')
            out[len++] = raw.ptr[i];
    }
    return slice_from(out, len);
}

struct slice lex_text(struct arena *arena, struct slice raw)
{
    struct slice text = lex_unquote(arena, raw);
    return text.ptr ? slice_trim(text) : text;
}
