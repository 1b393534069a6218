/* The client's framer and parser. An answer is read into a tree without knowing what it is about: there are few shapes
 * (RFC 9051 §9: atoms, strings, lists) and many answers. */
#include "proto/imap/imap_reply.h"

#include <assert.h>
#include <string.h>

/* ---- frames ---- */

void imap_reply_framer_init(struct imap_reply_framer *f)
{
    *f = (struct imap_reply_framer){ 0 };
}

void imap_reply_resume(struct imap_reply_framer *f)
{
    f->earlier_bytes += f->seen;
    f->seen = f->line_start = 0;
    f->resumed = true;
}

/* "{12}" or "~{12}" at the end of a line without its CRLF. */
static bool literal_header(struct slice line, size_t *out_at, uint64_t *out_bytes)
{
    if (line.len < 3 || line.ptr[line.len - 1] != '}')
        return false;
    size_t at = line.len - 2;
    while (at > 0 && line.ptr[at] >= '0' && line.ptr[at] <= '9')
        at--;
    if (line.ptr[at] != '{')
        return false;
    struct slice digits = slice_sub(line, at + 1, line.len - at - 2);
    if (slice_to_u64(digits, UINT64_MAX, out_bytes) != ERR_OK)
        *out_bytes = UINT64_MAX; /* "{}", or more than there can be: over every limit */
    if (at > 0 && line.ptr[at - 1] == '~')
        at--;
    *out_at = at;
    return true;
}

size_t imap_reply_header_len(struct slice piece)
{
    size_t at;
    uint64_t bytes;
    struct slice line = slice_sub(piece, 0, piece.len >= 2 ? piece.len - 2 : 0);
    return literal_header(line, &at, &bytes) ? piece.len - at : 0;
}

/* Status answers and "+" end with text for people, which may end with anything. */
static bool is_plain(struct slice line)
{
    static const struct slice words[] = { SLICE_CONST("OK"), SLICE_CONST("NO"), SLICE_CONST("BAD"),
        SLICE_CONST("BYE"), SLICE_CONST("PREAUTH") };
    struct slice tag, word = SLICE_EMPTY;
    if (!slice_cut(&line, ' ', &tag) || !slice_eq(tag, SLICE("*")))
        return true; /* tagged, or "+" */
    (void)slice_cut(&line, ' ', &word);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (slice_eq_nocase(word, words[i]))
            return true;
    return false;
}

/* "… BODY[] {12}": the value of an item that is mail itself. */
static bool is_body(struct slice line, size_t header_at)
{
    struct slice before = slice_trim(slice_sub(line, 0, header_at));
    static const struct slice items[] = { SLICE_CONST("BODY[]"), SLICE_CONST("BODY[]<0>"),
        SLICE_CONST("BINARY[]"), SLICE_CONST("RFC822") };
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++)
        if (slice_ends_nocase(before, items[i]))
            return true;
    return false;
}

static enum imap_reply_frame line_ended(
    struct imap_reply_framer *f, struct slice line, bool *out_go_on)
{
    size_t at;
    *out_go_on = false;
    if (line.len && memchr(line.ptr, '\0', line.len))
        return IMAP_REPLY_BAD;
    if (f->line_start == 0 && !f->resumed)
        f->plain = is_plain(line);
    if (f->plain || !literal_header(line, &at, &f->literal))
        return IMAP_REPLY_DONE;
    if (is_body(line, at))
        return IMAP_REPLY_BODY;
    if (f->literal > IMAP_REPLY_BYTES_MAX)
        return IMAP_REPLY_TOO_LONG;
    f->literal_left = f->literal;
    *out_go_on = true;
    return IMAP_REPLY_MORE;
}

enum imap_reply_frame imap_reply_feed(struct imap_reply_framer *f, struct slice buf)
{
    assert(buf.len >= f->seen);
    for (;;) {
        if (f->seen + f->earlier_bytes > IMAP_REPLY_BYTES_MAX)
            return IMAP_REPLY_TOO_LONG;
        if (f->literal_left) {
            size_t take = buf.len - f->seen;
            if (take > f->literal_left)
                take = (size_t)f->literal_left;
            f->seen += take;
            f->literal_left -= take;
            f->line_start = f->seen;
        }
        struct slice rest = slice_from_index(buf, f->seen);
        size_t at = slice_index(rest, '\n');
        if (at == rest.len) {
            f->seen = buf.len;
            bool over = f->seen + f->earlier_bytes > IMAP_REPLY_BYTES_MAX;
            return over ? IMAP_REPLY_TOO_LONG : IMAP_REPLY_MORE;
        }
        size_t line_end = f->seen + at;
        f->seen = line_end + 1;
        if (line_end == f->line_start || buf.ptr[line_end - 1] != '\r')
            return IMAP_REPLY_BAD;
        bool go_on;
        struct slice line = slice_sub(buf, f->line_start, line_end - 1 - f->line_start);
        enum imap_reply_frame end = line_ended(f, line, &go_on);
        if (!go_on)
            return end;
        f->line_start = f->seen;
    }
}

/* ---- grammar ---- */

struct reader {
    const char *at, *end;
    struct arena *arena;
    unsigned depth;
};

static enum err read_values(struct reader *r, char until, const struct imap_value **out_first);

static enum err read_quoted(struct reader *r, struct slice *out)
{
    const char *start = ++r->at;
    bool escaped = false;
    while (r->at < r->end && *r->at != '"') {
        if (*r->at == '\r' || *r->at == '\n')
            return ERR_SYNTAX;
        if (*r->at == '\\') {
            escaped = true;
            r->at++;
        }
        r->at++;
    }
    if (r->at >= r->end)
        return ERR_SYNTAX;
    *out = slice_from(start, (size_t)(r->at - start));
    r->at++;
    if (!escaped)
        return ERR_OK;
    char *to = arena_alloc(r->arena, out->len);
    if (!to)
        return ERR_LIMIT;
    size_t len = 0;
    for (size_t i = 0; i < out->len; i++) {
        if (out->ptr[i] == '\\')
            i++;
        to[len++] = out->ptr[i];
    }
    *out = slice_from(to, len);
    return ERR_OK;
}

static enum err read_literal(struct reader *r, struct slice *out)
{
    uint64_t bytes;
    const char *digits = ++r->at;
    while (r->at < r->end && *r->at != '}')
        r->at++;
    TRY(slice_to_u64(slice_from(digits, (size_t)(r->at - digits)), IMAP_REPLY_BYTES_MAX, &bytes));
    if (r->end - r->at < 3 || r->at[1] != '\r' || r->at[2] != '\n')
        return ERR_SYNTAX;
    r->at += 3;
    if ((uint64_t)(r->end - r->at) < bytes)
        return ERR_SYNTAX;
    *out = slice_from(r->at, (size_t)bytes);
    r->at += bytes;
    return ERR_OK;
}

/* Up to a blank or a parenthesis; what stands in brackets belongs to it: BODY[HEADER.FIELDS (DATE)]. */
static enum err read_atom(struct reader *r, struct slice *out)
{
    const char *start = r->at;
    bool inside = false;
    for (; r->at < r->end; r->at++) {
        char c = *r->at;
        if (c == '\r' || c == '\n')
            break;
        if (inside) {
            inside = c != ']';
            continue;
        }
        if (c == ' ' || c == '(' || c == ')' || c == '"')
            break;
        inside = c == '[';
    }
    if (r->at == start || inside)
        return ERR_SYNTAX;
    *out = slice_from(start, (size_t)(r->at - start));
    return ERR_OK;
}

static enum err read_value(struct reader *r, struct imap_value *value)
{
    if (*r->at == '~' && r->end - r->at > 1 && r->at[1] == '{') /* literal8 (RFC 3516 §7) */
        r->at++;
    switch (*r->at) {
    case '"':
        value->kind = IMAP_VALUE_STRING;
        return read_quoted(r, &value->text);
    case '(':
        value->kind = IMAP_VALUE_LIST;
        if (++r->depth > IMAP_REPLY_DEPTH_MAX)
            return ERR_LIMIT;
        r->at++;
        TRY(read_values(r, ')', &value->first));
        r->at++;
        r->depth--;
        return ERR_OK;
    case '{':
        value->kind = IMAP_VALUE_STRING;
        return read_literal(r, &value->text);
    default:
        break;
    }
    value->kind = IMAP_VALUE_ATOM;
    return read_atom(r, &value->text);
}

/* Values with blanks between them, up to `until` (which stays) or, when that is NUL, to the end. Lists of a list need no blank between
 * them (RFC 9051 §9 "body-type-mpart", "thread-list"), and some servers send more than one. */
static enum err read_values(struct reader *r, char until, const struct imap_value **out_first)
{
    const struct imap_value *first = NULL;
    const struct imap_value **link = &first;
    for (;;) {
        while (r->at < r->end && *r->at == ' ')
            r->at++;
        if (r->at == r->end || (until && *r->at == until))
            break;
        struct imap_value *value = arena_zalloc(r->arena, 1, sizeof *value);
        if (!value)
            return ERR_LIMIT;
        TRY(read_value(r, value));
        *link = value;
        link = &value->next;
    }
    if (until && r->at == r->end)
        return ERR_SYNTAX;
    *out_first = first;
    return ERR_OK;
}

/* The end of "[CODE …]": the first "]" that is in no quotes and no parentheses (PERMANENTFLAGS may hold one). */
static size_t code_end(struct slice s)
{
    unsigned depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (quoted)
            continue;
        else if (c == '(')
            depth++;
        else if (c == ')' && depth)
            depth--;
        else if (c == ']' && depth == 0)
            return i;
    }
    return s.len;
}

static bool is_code(struct slice word)
{
    for (size_t i = 0; i < word.len; i++)
        if (memchr("()\"{[\r\n", word.ptr[i], 7))
            return false;
    return word.len > 0;
}

/* resp-text: ["[" code "]" SP] text. What looks like no code is text. */
static enum err read_text(struct reader *r, struct imap_reply *reply)
{
    struct slice text = slice_from(r->at, (size_t)(r->end - r->at));
    reply->text = text;
    if (!slice_starts(text, SLICE("[")))
        return ERR_OK;
    struct slice inside = slice_from_index(text, 1);
    size_t end = code_end(inside);
    if (end == inside.len)
        return ERR_OK;
    struct slice rest = slice_sub(inside, 0, end);
    struct slice word;
    const struct imap_value *values = NULL;
    if (!slice_cut(&rest, ' ', &word) || !is_code(word))
        return ERR_OK;
    struct reader code = { .at = rest.ptr, .end = rest.ptr + rest.len, .arena = r->arena };
    enum err e = read_values(&code, '\0', &values);
    if (e != ERR_OK)
        return e == ERR_SYNTAX ? ERR_OK : e;
    reply->code = word;
    reply->code_values = values;
    reply->text = slice_from_index(inside, end + 1);
    if (slice_starts(reply->text, SLICE(" ")))
        reply->text = slice_from_index(reply->text, 1);
    return ERR_OK;
}

static enum imap_status status_of(struct slice word)
{
    static const struct {
        struct slice word;
        enum imap_status status;
    } rows[] = {
        { SLICE_CONST("OK"), IMAP_STATUS_OK },
        { SLICE_CONST("NO"), IMAP_STATUS_NO },
        { SLICE_CONST("BAD"), IMAP_STATUS_BAD },
        { SLICE_CONST("BYE"), IMAP_STATUS_BYE },
        { SLICE_CONST("PREAUTH"), IMAP_STATUS_PREAUTH },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (slice_eq_nocase(word, rows[i].word))
            return rows[i].status;
    return IMAP_STATUS_NONE;
}

static struct slice read_word(struct reader *r)
{
    const char *start = r->at;
    while (r->at < r->end && *r->at != ' ')
        r->at++;
    struct slice word = slice_from(start, (size_t)(r->at - start));
    if (r->at < r->end)
        r->at++;
    return word;
}

enum err imap_reply_parse(struct arena *arena, struct slice frame, struct imap_reply *out_reply)
{
    struct imap_reply reply = { 0 };
    if (frame.len < 2 || frame.ptr[frame.len - 2] != '\r' || frame.ptr[frame.len - 1] != '\n')
        return ERR_SYNTAX;
    struct reader r = { .at = frame.ptr, .end = frame.ptr + frame.len - 2, .arena = arena };
    reply.tag = read_word(&r);
    if (reply.tag.len == 0)
        return ERR_SYNTAX;
    if (slice_eq(reply.tag, SLICE("+"))) {
        reply.text = slice_from(r.at, (size_t)(r.end - r.at));
        *out_reply = reply;
        return ERR_OK;
    }
    struct slice word = read_word(&r);
    reply.status = status_of(word);
    if (reply.status != IMAP_STATUS_NONE) {
        TRY(read_text(&r, &reply));
        *out_reply = reply;
        return ERR_OK;
    }
    if (!slice_eq(reply.tag, SLICE("*")))
        return ERR_SYNTAX;
    uint64_t number;
    if (slice_to_u64(word, UINT32_MAX, &number) == ERR_OK) {
        reply.numbered = true;
        reply.number = (uint32_t)number;
        word = read_word(&r);
    }
    reply.name = word;
    if (word.len == 0)
        return ERR_SYNTAX;
    TRY(read_values(&r, '\0', &reply.values));
    *out_reply = reply;
    return ERR_OK;
}

/* ---- values ---- */

bool imap_value_is(const struct imap_value *value, struct slice word)
{
    return value && value->kind == IMAP_VALUE_ATOM && slice_eq_nocase(value->text, word);
}

bool imap_value_has(const struct imap_value *list, struct slice word)
{
    for (const struct imap_value *value = list ? list->first : NULL; value; value = value->next)
        if (imap_value_is(value, word))
            return true;
    return false;
}

const struct imap_value *imap_value_item(const struct imap_value *list, struct slice name)
{
    if (!list || list->kind != IMAP_VALUE_LIST)
        return NULL;
    for (const struct imap_value *value = list->first; value && value->next;
         value = value->next->next)
        if (imap_value_is(value, name))
            return value->next;
    return NULL;
}

bool imap_value_is_nil(const struct imap_value *value)
{
    return imap_value_is(value, SLICE("NIL"));
}

bool imap_value_is_text(const struct imap_value *value)
{
    return value && value->kind != IMAP_VALUE_LIST && !imap_value_is_nil(value);
}

enum err imap_value_u64(const struct imap_value *value, uint64_t *out_number)
{
    if (!value || value->kind != IMAP_VALUE_ATOM)
        return ERR_SYNTAX;
    return slice_to_u64(value->text, UINT64_MAX, out_number);
}

enum err imap_value_u32(const struct imap_value *value, uint32_t *out_number)
{
    uint64_t number;
    TRY(imap_value_u64(value, &number));
    if (number > UINT32_MAX)
        return ERR_SYNTAX;
    *out_number = (uint32_t)number;
    return ERR_OK;
}
