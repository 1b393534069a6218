/* HTML to the text a reader sees, well enough to search and preview: one state machine, one byte at a time where it
 * matters, memchr where it does not. It follows no link and knows no style. */
#include "message/html_entities.h"
#include "message/text_int.h"

#include <string.h>

enum state {
    STATE_TEXT,
    STATE_TAG_NAME,
    STATE_TAG,
    STATE_TAG_QUOTE,
    STATE_DECLARATION, /* "<!": a comment, or a declaration that ends with ">" */
    STATE_COMMENT,
    STATE_ENTITY,
    STATE_SKIP,      /* inside <style> and the like: only their end tag counts */
    STATE_SKIP_NAME, /* after "</" there */
};

void html_init(struct html *html)
{
    *html = (struct html){ .state = STATE_TEXT };
}

/* Elements that do not end a word: all others do. */
static bool is_inline(struct slice name)
{
    static const char *const names[] = { "a", "abbr", "b", "bdi", "bdo", "big", "cite", "code",
        "del", "em", "font", "i", "ins", "kbd", "mark", "q", "s", "samp", "small", "span", "strike",
        "strong", "sub", "sup", "tt", "u", "var", "wbr", "o:p", "st1" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (slice_eq(name, slice_of(names[i])))
            return true;
    }
    return false;
}

/* Elements whose content is no text. */
static const char *skipped(struct slice name)
{
    static const char *const names[] = { "style", "script", "title", "noscript" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (slice_eq(name, slice_of(names[i])))
            return names[i];
    }
    return NULL;
}

static void tag_named(struct html *html, struct buf *out)
{
    struct slice name = slice_from(html->name, html->name_len);
    html->name_done = true;
    if (!is_inline(name))
        buf_addc(out, '\n');
    if (!html->closing)
        html->skip = skipped(name);
}

static void tag_ended(struct html *html)
{
    html->state = html->skip ? STATE_SKIP : STATE_TEXT;
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool entity_number(struct slice digits, uint32_t *out_char)
{
    bool hex = digits.len && ascii_lower(digits.ptr[0]) == 'x';
    uint32_t number = 0;
    for (size_t i = hex ? 1 : 0; i < digits.len; i++) {
        char c = ascii_lower(digits.ptr[i]);
        if (c >= '0' && c <= '9')
            number = number * (hex ? 16 : 10) + (uint32_t)(c - '0');
        else if (hex && c >= 'a' && c <= 'f')
            number = number * 16 + (uint32_t)(c - 'a' + 10);
        else
            return false;
    }
    if (digits.len < (hex ? 2u : 1u) || number == 0)
        return false;
    *out_char =
        number; /* HTML_NAME_BYTES_MAX digits may wrap around: nonsense in, some character out */
    return true;
}

static bool entity_find(struct slice name, uint32_t *out_char)
{
    if (name.len && name.ptr[0] == '#')
        return entity_number(slice_from_index(name, 1), out_char);
    size_t low = 0, high = sizeof entities / sizeof entities[0];
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = slice_cmp(slice_of(entities[middle].name), name);
        if (order == 0) {
            *out_char = entities[middle].c;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* The name of an entity is complete; c is the byte after it. True when c belonged to it. */
static bool entity_ended(struct html *html, char c, struct buf *out)
{
    struct slice name = slice_from(html->name, html->name_len);
    uint32_t found;
    html->state = STATE_TEXT;
    if (entity_find(name, &found)) {
        text_add_char(out, found);
        return c == ';';
    }
    buf_addc(out, '&');
    buf_add(out, name);
    return false;
}

static void skip_byte(struct html *html, char c)
{
    size_t want = strlen(html->skip);
    if (html->state == STATE_SKIP) {
        if (c == '/' && html->last[0] == '<') {
            html->state = STATE_SKIP_NAME;
            html->name_len = 0;
        }
        html->last[0] = c;
        return;
    }
    if (html->name_len < want && ascii_lower(c) == html->skip[html->name_len]) {
        html->name_len++;
        return;
    }
    bool ended = html->name_len == want && !is_alnum(c);
    html->last[0] = c;
    if (!ended) {
        html->state = STATE_SKIP;
        return;
    }
    html->skip = NULL;
    html->state = c == '>' ? STATE_TEXT : STATE_TAG;
}

static void tag_byte(struct html *html, char c, struct buf *out)
{
    switch (html->state) {
    case STATE_TAG_NAME:
        if (c == '/' && html->name_len == 0 && !html->closing) {
            html->closing = true;
        } else if (c == '!' && html->name_len == 0 && !html->closing) {
            html->state = STATE_DECLARATION;
            html->name_len = 0;
        } else if (html->name_len == 0 && !is_alnum(c) && c != '?') { /* "a < b": no tag */
            buf_add(out, html->closing ? SLICE("</") : SLICE("<"));
            html->state = STATE_TEXT;
            buf_addc(out, c);
        } else if (is_alnum(c) || c == ':' || c == '?') {
            if (html->name_len < HTML_NAME_BYTES_MAX)
                html->name[html->name_len++] = ascii_lower(c);
        } else {
            tag_named(html, out);
            html->state = STATE_TAG;
            if (c == '>')
                tag_ended(html);
        }
        break;
    case STATE_TAG:
        if (c == '>')
            tag_ended(html);
        else if ((c == '"' || c == '\'') && html->last[0] == '=') {
            html->quote = c;
            html->state = STATE_TAG_QUOTE;
        }
        if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
            html->last[0] = c;
        break;
    case STATE_TAG_QUOTE:
        if (c == html->quote) {
            html->state = STATE_TAG;
            html->last[0] = c;
        }
        break;
    case STATE_DECLARATION:
        html->name_len++;
        if (c == '>')
            html->state = STATE_TEXT;
        else if (c == '-' && html->name_len == 2 && html->last[0] == '-')
            html->state = STATE_COMMENT;
        html->last[0] = html->state == STATE_COMMENT ? 0 : c;
        html->last[1] = 0;
        break;
    default: /* STATE_COMMENT */
        if (c == '>' && html->last[0] == '-' && html->last[1] == '-')
            html->state = STATE_TEXT;
        html->last[1] = html->last[0];
        html->last[0] = c;
        break;
    }
}

static size_t text_run(struct slice s)
{
    size_t len = 0;
    while (len < s.len && s.ptr[len] != '<' && s.ptr[len] != '&')
        len++;
    return len;
}

void html_feed(struct html *html, struct slice utf8, struct buf *out)
{
    size_t i = 0;
    while (i < utf8.len) {
        char c = utf8.ptr[i];
        if (html->state == STATE_TEXT) {
            size_t run = text_run(slice_from_index(utf8, i));
            buf_add(out, slice_sub(utf8, i, run));
            i += run;
            if (i == utf8.len)
                break;
            html->state = utf8.ptr[i] == '<' ? STATE_TAG_NAME : STATE_ENTITY;
            html->name_len = 0;
            html->closing = false;
            html->last[0] = 0;
            i++;
        } else if (html->state == STATE_ENTITY) {
            bool more = (is_alnum(c) || (c == '#' && html->name_len == 0)) &&
                        html->name_len < HTML_NAME_BYTES_MAX;
            if (more)
                html->name[html->name_len++] = c;
            if (more || entity_ended(html, c, out))
                i++;
        } else if (html->state == STATE_SKIP || html->state == STATE_SKIP_NAME) {
            skip_byte(html, c);
            i++;
        } else {
            tag_byte(html, c, out);
            i++;
        }
    }
}

void html_end(struct html *html, struct buf *out)
{
    if (html->state == STATE_ENTITY)
        entity_ended(html, 0, out);
}
