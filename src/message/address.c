/* One pass over the field value, no recursion. Each address is first skimmed (where do its words end, and with which special?)
 * and then written out, so that no byte is copied more than twice whatever the damage. */
#include "message/address.h"

#include "base/limits.h"
#include "message/lex.h"

#include <string.h>

/* Where text cannot be borrowed from the value as it stands it is written here. */
struct words {
    char *out;
    size_t len;
};

struct reader {
    struct lex lex;
    struct arena *arena;
    size_t addresses_max;
    struct msg_address *list;
    size_t count, cap;
    bool in_group;
};

static bool is_special(char c)
{
    return c == '<' || c == '@' || c == ',' || c == ';' || c == ':' || c == '>';
}

/* Moves over words, dots, blanks and comments up to a special; gives what was passed and the last comment in it that does not stand
 * in front. */
static struct slice skim(struct lex *lex, struct slice *out_comment)
{
    lex_cfws(lex, NULL);
    const char *start = lex->rest.ptr;
    while (!lex_end(lex) && !is_special(lex_peek(lex))) {
        char c = lex_peek(lex);
        if (c == '"')
            lex_quoted(lex);
        else if (c == '(')
            *out_comment = lex_comment(lex);
        else if (c == '\\' && lex->rest.len > 1)
            lex_skip(lex, 2);
        else
            lex_skip(lex, 1);
    }
    return slice_from(start, (size_t)(lex->rest.ptr - start));
}

static bool is_simple(struct slice raw)
{
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.ptr[i];
        if (c == '"' || c == '(' || c == '\\' || c == '\r' || c == '\n' || c == '\t')
            return false;
        if (c == ' ' && i + 1 < raw.len && raw.ptr[i + 1] == ' ')
            return false;
    }
    return true;
}

static void add_unquoted(struct words *words, struct slice quoted)
{
    for (size_t i = 0; i < quoted.len; i++) {
        char c = quoted.ptr[i];
        if (c == '\r' || c == '\n')
            continue;
        if (c == '\\' && i + 1 < quoted.len)
            c = quoted.ptr[++i];
        words->out[words->len++] = c;
    }
}

/* The words of raw without quotes and comments, with one blank between them; not beside a dot unless it is a phrase.
 * ptr NULL over the arena's budget. */
static struct slice join_words(struct arena *arena, struct slice raw, bool is_phrase)
{
    raw = slice_trim(raw);
    if (is_phrase && is_simple(raw))
        return raw;
    struct words words = { .out = arena_alloc(arena, raw.len + 1) };
    if (!words.out)
        return (struct slice){ 0 };
    struct lex lex = { .rest = raw };
    bool gap = false;
    while (!lex_end(&lex)) {
        char c = lex_peek(&lex);
        if (lex_is_blank(c) || c == '(') {
            lex_cfws(&lex, NULL);
            gap = true;
            continue;
        }
        if (c == '"' && lex.rest.len > 1 && lex.rest.ptr[1] == '"') { /* nothing, also no blank */
            lex_skip(&lex, 2);
            continue;
        }
        bool beside_dot = c == '.' || (words.len && words.out[words.len - 1] == '.');
        if (gap && words.len && (is_phrase || !beside_dot))
            words.out[words.len++] = ' ';
        gap = false;
        if (c == '"') {
            add_unquoted(&words, lex_quoted(&lex));
        } else if (c == '\\' && lex.rest.len > 1) {
            words.out[words.len++] = lex.rest.ptr[1];
            lex_skip(&lex, 2);
        } else {
            words.out[words.len++] = c;
            lex_skip(&lex, 1);
        }
    }
    return slice_from(words.out, words.len);
}

/* domain = dot-atom / domain-literal / obs-domain (RFC 5322 §3.4.1, §4.4). Stops at a blank that is not beside a dot. */
static struct slice read_domain(struct reader *r, struct slice *out_comment)
{
    struct lex *lex = &r->lex;
    lex_cfws(lex, out_comment);
    const char *start = lex->rest.ptr, *end = start;
    char last = '.';
    while (!lex_end(lex)) {
        struct lex before = *lex;
        lex_cfws(lex, out_comment);
        char c = lex_peek(lex);
        bool gap = lex->rest.ptr != before.rest.ptr;
        if (lex_end(lex) || is_special(c) || c == '"' || c == ')' || (c == '\\' && lex->rest.len == 1))
            break;
        if (gap && last != '.' && c != '.')
            break;
        if (c == '[') {
            size_t len = slice_index(lex->rest, ']');
            lex_skip(lex, len < lex->rest.len ? len + 1 : len);
            last = ']';
        } else {
            last = c;
            lex_skip(lex, 1);
        }
        end = lex->rest.ptr;
    }
    return join_words(r->arena, slice_from(start, (size_t)(end - start)), false);
}

/* Room is kept for the end of a group that is open: readers count on pairs. */
static enum err emit(struct reader *r, struct msg_address address)
{
    bool is_end = !address.mailbox.ptr;
    if (r->count + (r->in_group && !is_end ? 1 : 0) >= r->addresses_max)
        return ERR_OK;
    struct msg_address *list = arena_grow(r->arena, r->list, &r->cap, r->count + 1, sizeof *list);
    if (!list)
        return ERR_LIMIT;
    r->list = list;
    list[r->count++] = address;
    return ERR_OK;
}

/* obs-route = "@a,@b:" (RFC 5322 §4.4). Taken only when its colon is there. */
static struct slice read_route(struct reader *r)
{
    if (lex_peek(&r->lex) != '@')
        return (struct slice){ 0 };
    for (size_t i = 0; i < r->lex.rest.len; i++) {
        char c = r->lex.rest.ptr[i];
        if (c == '>' || c == '<' || c == '"' || c == '(')
            break;
        if (c != ':')
            continue;
        struct slice route = join_words(r->arena, slice_sub(r->lex.rest, 0, i), false);
        lex_skip(&r->lex, i + 1);
        return route;
    }
    return (struct slice){ 0 };
}

static bool is_empty_quoted(struct slice words)
{
    return slice_eq(slice_trim(words), SLICE("\"\""));
}

/* After "<": [obs-route] local-part "@" domain ">". */
static enum err read_angle(struct reader *r, struct slice name)
{
    struct msg_address address = { .name = name, .host = SLICE_EMPTY };
    struct slice comment = { 0 };
    lex_cfws(&r->lex, &comment);
    address.route = read_route(r);
    const char *start = r->lex.rest.ptr;
    for (;;) {
        skim(&r->lex, &comment);
        char c = lex_peek(&r->lex);
        if (lex_end(&r->lex) || c == '@' || c == '>' || c == '<' || c == ',')
            break;
        lex_skip(&r->lex, 1); /* ":" and ";" are part of odd local parts */
    }
    struct slice mailbox = slice_from(start, (size_t)(r->lex.rest.ptr - start));
    address.mailbox = join_words(r->arena, mailbox, false);
    address.empty_mailbox = is_empty_quoted(mailbox);
    if (lex_peek(&r->lex) == '@') {
        lex_skip(&r->lex, 1);
        address.host = read_domain(r, &comment);
    }
    if (!address.mailbox.ptr || !address.host.ptr)
        return ERR_LIMIT;
    /* whatever else stands before the ">" is dropped; without a ">" the address ends here */
    struct lex after = r->lex;
    while (!lex_end(&after) && lex_peek(&after) != '>' && lex_peek(&after) != '<' &&
           lex_peek(&after) != ',') {
        if (lex_peek(&after) == '"')
            lex_quoted(&after);
        else
            lex_skip(&after, 1);
    }
    if (lex_peek(&after) == '>')
        lex_skip(&after, 1);
    r->lex = after;
    return emit(r, address);
}

/* local-part "@" domain, with its name in a comment as of old: "user@host (Name)". */
static enum err read_bare(struct reader *r, struct slice words, struct slice comment)
{
    struct msg_address address = { .mailbox = join_words(r->arena, words, false),
        .empty_mailbox = is_empty_quoted(words) };
    lex_skip(&r->lex, 1);
    address.host = read_domain(r, &comment);
    lex_cfws(&r->lex, &comment);
    /* no part of a domain, and what follows is no new address before a "," */
    while (lex_peek(&r->lex) == '"') {
        lex_quoted(&r->lex);
        while (!lex_end(&r->lex) && lex_peek(&r->lex) != ',' && lex_peek(&r->lex) != '"')
            lex_skip(&r->lex, 1);
    }
    if (lex_peek(&r->lex) == ')' || lex_peek(&r->lex) == '\\')
        lex_skip(&r->lex, 1);
    if (comment.ptr) {
        comment = lex_text(r->arena, comment);
        if (!comment.ptr)
            return ERR_LIMIT;
        if (comment.len)
            address.name = comment;
    }
    if (!address.mailbox.ptr || !address.host.ptr)
        return ERR_LIMIT;
    return emit(r, address);
}

/* address = mailbox / group; one of them, or one special that belongs nowhere. */
static enum err read_address(struct reader *r)
{
    struct slice comment = { 0 };
    struct slice words = skim(&r->lex, &comment);
    struct slice text = slice_trim(words);
    char special = lex_peek(&r->lex);
    if (special == '@')
        return read_bare(r, words, comment);

    struct slice name = { 0 };
    if (text.len) {
        name = join_words(r->arena, words, true);
        if (!name.ptr)
            return ERR_LIMIT;
    }
    if (special == '<') {
        lex_skip(&r->lex, 1);
        if (!name.len)
            name = (struct slice){ 0 };
        if (!name.len && lex_end(&r->lex))
            return ERR_OK;
        return read_angle(r, name);
    }
    if (special == ':' && !r->in_group) {
        lex_skip(&r->lex, 1);
        if (r->addresses_max - r->count < 2)
            return ERR_OK;
        r->in_group = true;
        return emit(r, (struct msg_address){ .mailbox = name.ptr ? name : SLICE_EMPTY });
    }
    if (name.len) /* words and no address: the local part alone, or plain text */
        TRY(emit(r, (struct msg_address){ .mailbox = name, .host = SLICE_EMPTY }));
    if (special == ';' && r->in_group) {
        TRY(emit(r, (struct msg_address){ 0 }));
        r->in_group = false;
    }
    if (!lex_end(&r->lex))
        lex_skip(&r->lex, 1);
    return ERR_OK;
}

enum err msg_addresses(struct arena *arena, struct slice value, size_t addresses_max,
    struct msg_address **out_list, size_t *out_count)
{
    struct reader r = { .lex = { .rest = value }, .arena = arena, .addresses_max = addresses_max };
    while (!lex_end(&r.lex) && r.count + (r.in_group ? 1 : 0) < addresses_max)
        TRY(read_address(&r));
    if (r.in_group) /* left open, or cut by the limit */
        TRY(emit(&r, (struct msg_address){ 0 }));
    *out_list = r.list;
    *out_count = r.count;
    return ERR_OK;
}
