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

#define HIDING_ATTRIBUTE 8u /* beside a bit for each style */

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

/* Text goes out through here, unless nobody sees it. */
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

/* ---- where a hidden element ends ---- */

/* Elements that always have an end tag: inside one of them nothing can be the end of what is outside. */
static bool is_container(struct slice name)
{
    static const char *const names[] = { "div", "table", "ul", "ol", "dl", "section", "article", "header",
        "footer", "main", "nav", "aside", "center", "blockquote", "form", "fieldset", "body", "html",
        "menu", "details", NULL };
    return is_one_of(name, names);
}

/* Elements without content. */
static bool is_void(struct slice name)
{
    static const char *const names[] = { "img", "br", "hr", "input", "meta", "link", "area", "base",
        "col", "embed", "source", "track", "wbr", NULL };
    return is_one_of(name, names);
}

/* Start tags that end an open p (HTML 13.1.2.4). */
static bool ends_p(struct slice name)
{
    static const char *const names[] = { "p", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "pre",
        "address", "figure", "figcaption", "summary", NULL };
    return is_container(name) || is_one_of(name, names);
}

/* 3: rows' groups, 2: rows, 1: cells, 0: none of these. A tag ends the elements of its rank and below. */
static int table_rank(struct slice name)
{
    static const char *const groups[] = { "tbody", "thead", "tfoot", NULL };
    if (is_one_of(name, groups))
        return 3;
    return slice_eq(name, SLICE("tr")) ? 2 : slice_eq(name, SLICE("td")) || slice_eq(name, SLICE("th"));
}

/* Elements whose end tag may be left out: whether this tag stands for it. */
static bool ends_implied(struct slice hidden, struct slice name, bool closing)
{
    static const char *const terms[] = { "dt", "dd", NULL };
    if (slice_eq(hidden, SLICE("p")))
        return !closing && ends_p(name);
    if (slice_eq(hidden, SLICE("li")) || slice_eq(hidden, SLICE("option")))
        return slice_eq(name, hidden);
    if (is_one_of(hidden, terms))
        return is_one_of(name, terms);
    return table_rank(hidden) && table_rank(name) >= table_rank(hidden);
}

/* Inside a hidden element: whether this tag is where it ends. Where markup is broken it ends rather too early. */
static bool ends_hidden(struct html *html, struct slice name)
{
    struct slice hidden = slice_from(html->hidden, html->hidden_len);
    if (is_inline(hidden) && !is_inline(name) && !is_void(name))
        return true;
    if (!html->hidden_containers && ends_implied(hidden, name, html->closing))
        return true;
    if (is_container(name)) {
        if (!html->closing)
            html->hidden_containers++;
        else if (html->hidden_containers-- == 0) /* its own end, or that of what is around it */
            return true;
        return false;
    }
    if (!slice_eq(name, hidden) || html->hidden_containers)
        return false;
    if (html->closing)
        return html->hidden_same-- == 0;
    html->hidden_same++;
    return false;
}

static void attributes_begin(struct html *html)
{
    html->attribute_at = AT_NAME;
    html->attribute_len = html->style_len = 0;
    html->hiding = 0;
}

static void tag_named(struct html *html, struct buf *out)
{
    struct slice name = slice_from(html->name, html->name_len);
    attributes_begin(html);
    if (html->hidden_len && ends_hidden(html, name))
        html->hidden_len = 0;
    if (!is_inline(name))
        add(html, SLICE("\n"), out);
    if (!html->closing)
        html->skip = skipped(name);
}

/* ---- attributes ---- */

/* The last declaration of a property counts. */
static void style_declared(struct html *html)
{
    static const struct {
        struct slice property, value;
    } known[] = {
        { SLICE_CONST("display:"), SLICE_CONST("none") },
        { SLICE_CONST("visibility:"), SLICE_CONST("hidden") },
        { SLICE_CONST("opacity:"), SLICE_CONST("0") },
    };
    size_t len = html->style_len < sizeof html->style ? html->style_len : sizeof html->style;
    struct slice style = slice_from(html->style, len);
    for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (!slice_starts(style, known[i].property))
            continue;
        struct slice value = slice_from_index(style, known[i].property.len);
        value.len = slice_index(value, '!'); /* "!important" */
        html->hiding &= ~(1u << i);
        if (slice_eq(value, known[i].value))
            html->hiding |= 1u << i;
    }
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
        html->hiding |= HIDING_ATTRIBUTE;
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
    attribute_ended(html);
    html->state = html->skip ? STATE_SKIP : STATE_TEXT;
    struct slice name = slice_from(html->name, html->name_len);
    if (!html->hiding || html->closing || html->skip || html->hidden_len || is_void(name))
        return;
    memcpy(html->hidden, html->name, html->name_len);
    html->hidden_len = html->name_len;
    html->hidden_same = html->hidden_containers = 0;
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
    attributes_begin(html);
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
        html->last[0] = c;
        html->last[1] = html->state == STATE_COMMENT ? c : 0; /* "<!-->" ends at once */
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
