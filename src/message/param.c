/* Pieces of RFC 2231 continuations are put in order by one sort, so a thousand of them cost no more than n log n. */
#include "message/param.h"

#include "base/limits.h"
#include "message/lex.h"

#include <stdlib.h>
#include <string.h>

/* A token of RFC 2045 §5.1; 8-bit characters are let through. */
static bool is_token_char(char c)
{
    unsigned char byte = (unsigned char)c;
    return byte > ' ' && byte != 127 && !memchr("()<>@,;:\\\"/[]?=", c, 15);
}

static struct slice read_token(struct lex *lex)
{
    size_t len = 0;
    while (len < lex->rest.len && is_token_char(lex->rest.ptr[len]))
        len++;
    struct slice token = slice_sub(lex->rest, 0, len);
    lex_skip(lex, len);
    return token;
}

struct slice mime_token(struct slice raw)
{
    struct lex lex = { .rest = raw };
    lex_cfws(&lex, NULL);
    struct slice token = read_token(&lex);
    lex_cfws(&lex, NULL);
    return lex_end(&lex) ? token : SLICE_EMPTY;
}

/* Whether a type may end here: a ";" is lost more often than a type has odd characters in it. */
static bool ends_type(const struct lex *lex)
{
    char c = lex_peek(lex);
    return lex_end(lex) || lex_is_blank(c) || c == ';' || c == '(' || c == ',';
}

/* Reads a type, or type "/" subtype. What cannot be read comes out empty. */
static void read_type(struct lex *lex, struct slice *out_type, struct slice *out_subtype)
{
    lex_cfws(lex, NULL);
    *out_type = read_token(lex);
    *out_subtype = SLICE_EMPTY;
    bool whole = ends_type(lex);
    lex_cfws(lex, NULL);
    if (lex_peek(lex) == '/') {
        lex_skip(lex, 1);
        lex_cfws(lex, NULL);
        *out_subtype = read_token(lex);
        whole = ends_type(lex);
    }
    if (!whole)
        *out_type = *out_subtype = SLICE_EMPTY;
}

bool mime_names_type(struct slice raw)
{
    struct lex lex = { .rest = raw };
    struct slice type, subtype;
    read_type(&lex, &type, &subtype);
    return type.len && subtype.len;
}

static void skip_to_semicolon(struct lex *lex)
{
    while (!lex_end(lex) && lex_peek(lex) != ';') {
        if (lex_peek(lex) == '"')
            lex_quoted(lex);
        else if (lex_peek(lex) == '(')
            lex_comment(lex);
        else
            lex_skip(lex, 1);
    }
}

/* A file name is often given with blanks and no quotes. */
static bool is_file_name(struct slice name)
{
    return slice_eq_nocase(name, SLICE("filename")) || slice_eq_nocase(name, SLICE("name"));
}

/* An unquoted value: up to a blank or ";" (RFC 2045 has less, mail has more: "=" stands in many boundaries). */
static struct slice read_loose(struct lex *lex, bool with_blanks)
{
    size_t len = 0;
    while (len < lex->rest.len) {
        char c = lex->rest.ptr[len];
        if (c == ';' || (c == '(' && !with_blanks) || c == '\r' || c == '\n' ||
            (!with_blanks && lex_is_blank(c)))
            break;
        len++;
    }
    struct slice value = slice_sub(lex->rest, 0, len);
    lex_skip(lex, len);
    return with_blanks ? slice_trim(value) : value;
}

/* ";" attribute "=" value. False when what stands there is no parameter, a quoted string without an end among that; the cursor is at
 * the next ";" or the end. */
static enum err read_param(
    struct arena *arena, struct lex *lex, struct mime_param *out_param, bool *out_found)
{
    *out_found = false;
    lex_cfws(lex, NULL);
    struct slice name = read_token(lex);
    lex_cfws(lex, NULL);
    if (lex_peek(lex) != '=') {
        skip_to_semicolon(lex);
        return ERR_OK;
    }
    lex_skip(lex, 1);
    lex_cfws(lex, NULL);
    struct slice value;
    if (lex_peek(lex) == '"') {
        bool closed;
        struct slice quoted = lex_quoted_closed(lex, &closed);
        if (!closed)
            return ERR_OK;
        value = lex_unquote(arena, quoted);
        if (!value.ptr)
            return ERR_LIMIT;
    } else {
        value = read_loose(lex, is_file_name(name));
    }
    skip_to_semicolon(lex);
    *out_param = (struct mime_param){ .name = name, .value = value };
    *out_found = true;
    return ERR_OK;
}

/* ---- RFC 2231 §3: name*0*=a; name*1=b ---- */

struct piece {
    struct slice base;
    uint64_t number;
    bool extended;
    size_t index; /* in the order of the field */
};

static bool piece_parse(const struct mime_param *param, size_t index, struct piece *out_piece)
{
    size_t star = slice_index(param->name, '*');
    if (star == param->name.len || star == 0)
        return false;
    struct slice digits = slice_from_index(param->name, star + 1);
    bool extended = digits.len && digits.ptr[digits.len - 1] == '*';
    if (extended)
        digits.len--;
    uint64_t number;
    if (slice_to_u64(digits, MIME_PARAMETERS_MAX, &number) != ERR_OK)
        return false;
    *out_piece = (struct piece){ slice_sub(param->name, 0, star), number, extended, index };
    return true;
}

static int piece_cmp(const void *a, const void *b)
{
    const struct piece *left = a, *right = b;
    int order = slice_cmp_nocase(left->base, right->base);
    if (order != 0)
        return order;
    if (left->number != right->number)
        return left->number < right->number ? -1 : 1;
    return left->index < right->index ? -1 : left->index > right->index;
}

/* Joins pieces[0..count) of one name whose numbers are 0, 1, 2 ... as far as they go. */
static enum err join_pieces(struct arena *arena, struct mime_value *value, struct piece *pieces,
    size_t count, size_t *out_keep)
{
    size_t used = 0, len = 0;
    bool extended = false;
    while (used < count && pieces[used].number == used) {
        len += value->params[pieces[used].index].value.len;
        extended = extended || pieces[used].extended;
        used++;
    }
    *out_keep = SIZE_MAX;
    if (!used)
        return ERR_OK; /* no first piece: they stay as they are */
    /* a plain piece among extended ones may hold "%" that means itself: it is escaped (up to three times as long) */
    char *joined = arena_alloc(arena, len * (extended ? 3 : 1) + 3);
    char *name = arena_alloc(arena, pieces[0].base.len + 1);
    if (!joined || !name)
        return ERR_LIMIT;
    size_t at = 0;
    if (extended && !pieces[0].extended) { /* only an extended first piece names a charset (RFC 2231 §4.1) */
        memcpy(joined, "''", 2);
        at = 2;
    }
    for (size_t i = 0; i < used; i++) {
        struct slice part = value->params[pieces[i].index].value;
        for (size_t k = 0; k < part.len; k++) {
            if (extended && !pieces[i].extended && part.ptr[k] == '%') {
                memcpy(joined + at, "%25", 3);
                at += 3;
            } else {
                joined[at++] = part.ptr[k];
            }
        }
    }
    memcpy(name, pieces[0].base.ptr, pieces[0].base.len);
    if (extended)
        name[pieces[0].base.len] = '*';
    size_t first = pieces[0].index;
    for (size_t i = 0; i < used; i++) {
        if (pieces[i].index < first)
            first = pieces[i].index;
        value->params[pieces[i].index].name.ptr = NULL; /* taken; swept out by the caller */
    }
    value->params[first] = (struct mime_param){
        .name = slice_from(name, pieces[0].base.len + (extended ? 1 : 0)),
        .value = slice_from(joined, at),
    };
    *out_keep = first;
    return ERR_OK;
}

static enum err join_continuations(struct arena *arena, struct mime_value *value)
{
    struct piece *pieces = NULL;
    size_t count = 0, cap = 0;
    for (size_t i = 0; i < value->count; i++) {
        struct piece piece;
        if (!piece_parse(&value->params[i], i, &piece))
            continue;
        pieces = arena_grow(arena, pieces, &cap, count + 1, sizeof *pieces);
        if (!pieces)
            return ERR_LIMIT;
        pieces[count++] = piece;
    }
    if (!count)
        return ERR_OK;
    qsort(pieces, count, sizeof *pieces, piece_cmp);
    for (size_t i = 0; i < count;) {
        size_t end = i + 1;
        while (end < count && slice_eq_nocase(pieces[end].base, pieces[i].base))
            end++;
        size_t keep;
        TRY(join_pieces(arena, value, pieces + i, end - i, &keep));
        i = end;
    }
    size_t kept = 0;
    for (size_t i = 0; i < value->count; i++) {
        if (value->params[i].name.ptr)
            value->params[kept++] = value->params[i];
    }
    value->count = kept;
    return ERR_OK;
}

enum err mime_value_parse(struct arena *arena, struct slice raw, struct mime_value *out_value)
{
    struct mime_value value = { .type = SLICE_EMPTY, .subtype = SLICE_EMPTY };
    struct lex lex = { .rest = raw };
    lex_cfws(&lex, NULL);
    value.given = !lex_end(&lex);
    read_type(&lex, &value.type, &value.subtype);
    skip_to_semicolon(&lex);
    size_t cap = 0;
    while (!lex_end(&lex) && value.count < MIME_PARAMETERS_MAX) {
        lex_skip(&lex, 1); /* the ";" */
        struct mime_param param;
        bool found;
        TRY(read_param(arena, &lex, &param, &found));
        if (!found)
            continue;
        value.params = arena_grow(arena, value.params, &cap, value.count + 1, sizeof *value.params);
        if (!value.params)
            return ERR_LIMIT;
        value.params[value.count++] = param;
    }
    TRY(join_continuations(arena, &value));
    *out_value = value;
    return ERR_OK;
}

const struct mime_param *mime_param_find(const struct mime_value *value, struct slice name)
{
    for (size_t i = 0; i < value->count; i++) {
        struct slice base = value->params[i].name;
        if (base.len && base.ptr[base.len - 1] == '*')
            base.len--;
        if (slice_eq_nocase(base, name))
            return &value->params[i];
    }
    return NULL;
}
