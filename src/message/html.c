/* HTML to the text a reader sees, well enough to search and preview: one state machine, one byte at a time where it
 * matters. It follows no link and knows no style sheet; of style attributes it knows those that hide an element. Where markup is
 * broken, rather too much is shown than too little. */
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

enum attribute_at {
    AT_NAME,
    AT_NAME_END, /* blanks behind the name: "=" may follow */
    AT_VALUE_START,
    AT_VALUE, /* without quotes */
};

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* All output but that of the caller's line ends goes through here. */
static void add(const struct html *html, struct slice text, struct buf *out)
{
    if (!html->hidden_len)
        buf_add(out, text);
}

void html_init(struct html *html)
{
    *html = (struct html){ .state = STATE_TEXT };
}

static bool is_one_of(struct slice name, const char *const *names)
{
    for (; *names; names++) {
        if (slice_eq(name, slice_of(*names)))
            return true;
    }
    return false;
}

/* Elements that do not end a word: all others do. */
static bool is_inline(struct slice name)
{
    static const char *const names[] = { "a", "abbr", "b", "bdi", "bdo", "big", "cite", "code",
        "del", "em", "font", "i", "ins", "kbd", "mark", "q", "s", "samp", "small", "span", "strike",
        "strong", "sub", "sup", "tt", "u", "var", "wbr", "o:p", "st1", NULL };
    return is_one_of(name, names);
}

/* Elements whose content is no text. */
static const char *skipped(struct slice name)
{
    static const char *const names[] = { "style", "script", "title", "noscript", "template" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (slice_eq(name, slice_of(names[i])))
            return names[i];
    }
    return NULL;
}

/* Inside a hidden element: whether this tag is where it ends. Elements whose end tag is mostly left out end with any block. */
static bool ends_hidden(struct html *html, struct slice name)
{
    static const char *const implied[] = { "p", "li", "dt", "dd", "option", NULL };
    struct slice hidden = slice_from(html->hidden, html->hidden_len);
    if (is_one_of(hidden, implied))
        return !is_inline(name);
    if (slice_eq(name, SLICE("table"))) { /* the end of a table around it ends it too */
        if (!html->closing)
            html->hidden_tables++;
        else if (html->hidden_tables-- == 0)
            return true;
    }
    if (!slice_eq(name, hidden))
        return false;
    if (html->closing)
        return --html->hidden_depth == 0;
    html->hidden_depth++;
    return false;
}

static void tag_named(struct html *html, struct buf *out)
{
    struct slice name = slice_from(html->name, html->name_len);
    html->attribute_at = AT_NAME;
    html->attribute_len = html->style_len = 0;
    html->tag_hides = false;
    if (html->hidden_len && ends_hidden(html, name))
        html->hidden_len = 0;
    if (!is_inline(name))
        add(html, SLICE("\n"), out);
    if (!html->closing)
        html->skip = skipped(name);
}

/* ---- attributes ---- */

static void style_declared(struct html *html)
{
    static const char *const hiding[] = { "display:none", "display:none!important",
        "visibility:hidden", "visibility:hidden!important", "opacity:0", "opacity:0!important", NULL };
    if (html->style_len <= sizeof html->style &&
        is_one_of(slice_from(html->style, html->style_len), hiding))
        html->tag_hides = true;
    html->style_len = 0;
}

static bool attribute_is(const struct html *html, struct slice name)
{
    return html->attribute_len == name.len &&
           slice_eq(slice_from(html->attribute, html->attribute_len), name);
}

static void attribute_ended(struct html *html)
{
    if (attribute_is(html, SLICE("hidden")))
        html->tag_hides = true;
    style_declared(html);
    html->attribute_len = 0;
    html->attribute_at = AT_NAME;
}

static void name_byte(struct html *html, char c)
{
    if (html->attribute_len < sizeof html->attribute)
        html->attribute[html->attribute_len] = ascii_lower(c);
    if (html->attribute_len <= sizeof html->attribute)
        html->attribute_len++;
}

static void value_byte(struct html *html, char c)
{
    if (!attribute_is(html, SLICE("style")))
        return;
    if (c == ';') {
        style_declared(html);
    } else if (!is_blank(c)) {
        if (html->style_len < sizeof html->style)
            html->style[html->style_len] = ascii_lower(c);
        if (html->style_len <= sizeof html->style)
            html->style_len++;
    }
}

/* A byte inside a tag, behind its name and outside of quotes. */
static void attribute_byte(struct html *html, char c)
{
    if (html->attribute_at == AT_VALUE_START && (c == '"' || c == '\'')) {
        html->quote = c;
        html->state = STATE_TAG_QUOTE;
    } else if (html->attribute_at == AT_VALUE_START || html->attribute_at == AT_VALUE) {
        if (!is_blank(c)) {
            html->attribute_at = AT_VALUE;
            value_byte(html, c);
        } else if (html->attribute_at == AT_VALUE) {
            attribute_ended(html);
        }
    } else if (c == '=' && html->attribute_len) {
        html->attribute_at = AT_VALUE_START;
    } else if (is_blank(c) || c == '/') {
        html->attribute_at = AT_NAME_END;
    } else {
        if (html->attribute_at == AT_NAME_END)
            attribute_ended(html);
        name_byte(html, c);
    }
}

static void tag_ended(struct html *html)
{
    static const char *const no_content[] = { "img", "br", "hr", "input", "meta", "link", "area",
        "base", "col", "embed", "source", "track", "wbr", NULL };
    attribute_ended(html);
    html->state = html->skip ? STATE_SKIP : STATE_TEXT;
    struct slice name = slice_from(html->name, html->name_len);
    if (!html->tag_hides || html->closing || html->skip || html->hidden_len ||
        is_one_of(name, no_content))
        return;
    memcpy(html->hidden, html->name, html->name_len);
    html->hidden_len = html->name_len;
    html->hidden_depth = 1;
    html->hidden_tables = slice_eq(name, SLICE("table")) ? 1 : 0;
}

/* ---- entities ---- */

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
        if (!html->hidden_len)
            text_add_char(out, found);
        return c == ';';
    }
    add(html, SLICE("&"), out);
    add(html, name, out);
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
    html->closing = true;
    html->attribute_at = AT_NAME;
    html->attribute_len = html->style_len = 0;
    html->tag_hides = false;
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
            add(html, html->closing ? SLICE("</") : SLICE("<"), out);
            html->state = STATE_TEXT;
            add(html, slice_from(&c, 1), out);
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
        else
            attribute_byte(html, c);
        break;
    case STATE_TAG_QUOTE:
        if (c == html->quote) {
            attribute_ended(html);
            html->state = STATE_TAG;
        } else {
            value_byte(html, c);
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
            add(html, slice_sub(utf8, i, run), out);
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
