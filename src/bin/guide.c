/* Sections, placeholders and plural forms of the guide's texts. */
#include "bin/guide.h"

#include "base/utf8.h"
#include "bin/cli.h"

#include <stdio.h>
#include <string.h>

/* The assembler puts the files into the read-only data as they are; building needs no other tool. */
#define EMBED(lang)                                                                                \
    __asm__(".section .rodata\n"                                                                   \
            ".global barid_guide_" #lang "\n"                                                      \
            "barid_guide_" #lang ":\n"                                                             \
            ".incbin \"data/guide/words." #lang "\"\n"                                             \
            ".incbin \"data/guide/mailbox." #lang "\"\n"                                           \
            ".incbin \"data/guide/pop." #lang "\"\n"                                               \
            ".incbin \"data/guide/settings." #lang "\"\n"                                          \
            ".global barid_guide_" #lang "_end\n"                                                  \
            "barid_guide_" #lang "_end:\n"                                                         \
            ".byte 0\n"                                                                            \
            ".previous\n");                                                                        \
    extern const char barid_guide_##lang[];                                                        \
    extern const char barid_guide_##lang##_end[]
EMBED(en);
EMBED(ar);

#define ISOLATE       "\xe2\x81\xa8" /* U+2068: the direction inside is that of its first letter */
#define ISOLATE_END   "\xe2\x81\xa9"
#define RIGHT_TO_LEFT "\xe2\x80\x8f" /* U+200F */

/* ---- plural forms ---- */

enum plural plural_of(enum lang lang, uint64_t number)
{
    uint64_t rest = number % 100;
    if (lang != LANG_AR)
        return number == 1 ? PLURAL_ONE : PLURAL_OTHER;
    if (number <= 2)
        return (enum plural)number;
    return rest >= 3 && rest <= 10 ? PLURAL_FEW : rest >= 11 ? PLURAL_MANY : PLURAL_OTHER;
}

const char *plural_name(enum plural plural)
{
    static const char *const names[PLURAL_COUNT] = { "zero", "one", "two", "few", "many", "other" };
    return names[plural];
}

/* ---- sections ---- */

static struct slice whole_text(enum lang lang)
{
    return lang == LANG_AR
               ? slice_from(barid_guide_ar, (size_t)(barid_guide_ar_end - barid_guide_ar))
               : slice_from(barid_guide_en, (size_t)(barid_guide_en_end - barid_guide_en));
}

static bool is_blank(struct slice line)
{
    return slice_trim(line).len == 0 || line.ptr[0] == '#';
}

bool guide_next(enum lang lang, size_t *cursor, struct slice *out_name, struct slice *out_text)
{
    struct slice rest = slice_from_index(whole_text(lang), *cursor), line;
    const char *begin = rest.ptr;
    *out_name = *out_text = SLICE_EMPTY;
    while (rest.len > 0) {
        struct slice before = rest;
        (void)slice_cut(&rest, '\n', &line);
        if (slice_starts(line, SLICE("== "))) {
            if (out_name->len > 0) {
                *cursor += (size_t)(before.ptr - begin);
                return true;
            }
            *out_name = slice_from_index(line, 3);
        } else if (out_name->len > 0 && !is_blank(line)) {
            if (out_text->len == 0)
                out_text->ptr = line.ptr;
            out_text->len = (size_t)(line.ptr + line.len - out_text->ptr);
        }
    }
    *cursor = whole_text(lang).len;
    return out_name->len > 0;
}

enum err guide_section(enum lang lang, struct slice name, struct slice *out_text)
{
    size_t cursor = 0;
    struct slice at, text;
    while (guide_next(lang, &cursor, &at, &text))
        if (slice_eq(at, name)) {
            *out_text = text;
            return ERR_OK;
        }
    return ERR_NOT_FOUND;
}

/* The form of a noun that fits a number, such as "{n} messages". */
static enum err noun_form(
    enum lang lang, struct slice noun, uint64_t number, struct slice *out_form)
{
    char name[64];
    struct slice text, line, key;
    struct slice wanted = slice_of(plural_name(plural_of(lang, number)));
    (void)snprintf(name, sizeof name, "noun %.*s", (int)(noun.len < 40 ? noun.len : 40), noun.ptr);
    TRY(guide_section(lang, slice_of(name), &text));
    while (slice_cut(&text, '\n', &line))
        if (slice_cut(&line, '=', &key) && slice_eq(slice_trim(key), wanted)) {
            *out_form = slice_trim(line);
            return ERR_OK;
        }
    return ERR_NOT_FOUND;
}

/* ---- placeholders ---- */

/* What stands before the next placeholder, and the placeholder; both braces of a pair are one. ERR_NOT_FOUND: there is none more, all is before. */
static enum err cut_placeholder(struct slice *rest, struct slice *before, struct slice *inside)
{
    size_t at = 0;
    while (at < rest->len && rest->ptr[at] != '{' && rest->ptr[at] != '}')
        at++;
    *before = slice_sub(*rest, 0, at);
    *inside = SLICE_EMPTY;
    if (at == rest->len) {
        *rest = slice_from_index(*rest, at);
        return ERR_NOT_FOUND;
    }
    if (at + 1 < rest->len && rest->ptr[at + 1] == rest->ptr[at]) {
        before->len++;
        *rest = slice_from_index(*rest, at + 2);
        return ERR_OK;
    }
    if (rest->ptr[at] == '}')
        return ERR_SYNTAX;
    struct slice body = slice_from_index(*rest, at + 1);
    size_t end = 0;
    while (end < body.len && !strchr("{}\n", body.ptr[end]))
        end++;
    if (end == 0 || end == body.len || body.ptr[end] != '}')
        return ERR_SYNTAX;
    *inside = slice_sub(body, 0, end);
    *rest = slice_from_index(body, end + 1);
    return ERR_OK;
}

bool guide_placeholder(struct slice *rest, struct slice *out_name, struct slice *out_noun)
{
    struct slice before, inside;
    while (cut_placeholder(rest, &before, &inside) == ERR_OK)
        if (inside.len > 0) {
            (void)slice_cut(&inside, ':', out_name);
            *out_noun = inside;
            return true;
        }
    return false;
}

static const struct guide_value *find_value(
    const struct guide_value *values, size_t count, struct slice name)
{
    for (size_t i = 0; i < count; i++)
        if (slice_eq(slice_of(values[i].name), name))
            return &values[i];
    return NULL;
}

void guide_bytes(enum lang lang, uint64_t bytes, struct buf *out)
{
    static const char *const units[2][5] = {
        [LANG_EN] = { "bytes", "KB", "MB", "GB", "TB" },
        [LANG_AR] = { "بايت", "كيلوبايت", "ميغابايت", "غيغابايت", "تيرابايت" },
    };
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1023.95 && unit < 4; unit++) /* not "1024.0 KB" */
        value /= 1024;
    if (unit == 0)
        buf_addf(out, "%llu %s", (unsigned long long)bytes,
            bytes == 1 && lang == LANG_EN ? "byte" : units[lang][0]);
    else
        buf_addf(out, "%.1f %s", value, units[lang][unit]);
}

static enum err add_noun(enum lang lang, struct slice noun, uint64_t number, struct buf *out)
{
    struct slice form, before, inside;
    enum err e;
    TRY(noun_form(lang, noun, number, &form));
    while ((e = cut_placeholder(&form, &before, &inside)) == ERR_OK) {
        buf_add(out, before);
        if (slice_eq(inside, SLICE("n")))
            buf_addu(out, number);
        else if (inside.len > 0)
            return ERR_NOT_FOUND;
    }
    buf_add(out, before);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* What a line is: to be read, or to be copied, and where to. */
enum line_kind {
    LINE_READ,
    LINE_COPIED,
    LINE_SHELL,
    LINE_MUTT
};

static enum line_kind line_kind(struct slice line)
{
    if (!slice_starts(line, SLICE("    ")))
        return LINE_READ;
    return slice_starts(line, SLICE("    barid ")) ? LINE_SHELL
           : slice_starts(line, SLICE("    set ")) ? LINE_MUTT
                                                   : LINE_COPIED;
}

/* Between double quotes mutt runs what stands in backticks, and puts in variables. */
static void add_for_mutt(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] && strchr("`$\"\\", text.ptr[i]))
            buf_addc(out, '\\');
        buf_addc(out, text.ptr[i]);
    }
}

/* A stranger has chosen it: in a line that is copied it must stay a name. */
static void add_copied(struct slice text, enum line_kind kind, struct buf *out)
{
    struct buf quoted;
    buf_init(&quoted, 0);
    if (kind == LINE_SHELL)
        cli_add_word(&quoted, text);
    else if (kind == LINE_MUTT)
        add_for_mutt(&quoted, text);
    else
        buf_add(&quoted, text);
    cli_add_safe(out, buf_slice(&quoted));
    buf_done(&quoted);
}

static void add_text(enum lang lang, struct slice text, enum line_kind kind, struct buf *out)
{
    bool isolated = lang == LANG_AR || !slice_is_ascii(text);
    if (kind != LINE_READ) {
        add_copied(text, kind, out);
        return;
    }
    if (isolated)
        buf_adds(out, ISOLATE);
    cli_add_safe(out, text);
    if (isolated)
        buf_adds(out, ISOLATE_END);
}

static enum err add_value(enum lang lang, struct slice inside, const struct guide_value *values,
    size_t count, enum line_kind kind, struct buf *out)
{
    struct slice name;
    (void)slice_cut(&inside, ':', &name);
    const struct guide_value *value = find_value(values, count, name);
    if (!value || (inside.len > 0 && value->kind != GUIDE_NUMBER))
        return ERR_NOT_FOUND;
    if (inside.len > 0)
        return add_noun(lang, inside, value->number, out);
    if (value->kind == GUIDE_NUMBER)
        buf_addu(out, value->number);
    else if (value->kind == GUIDE_BYTES)
        guide_bytes(lang, value->number, out);
    else if (value->kind == GUIDE_WORDS)
        buf_add(out, value->text);
    else
        add_text(lang, value->text, kind, out);
    return ERR_OK;
}

static enum err expand_line(enum lang lang, struct slice line, const struct guide_value *values,
    size_t count, struct buf *out)
{
    struct slice before, inside;
    enum line_kind kind = line_kind(line);
    enum err e;
    if (lang == LANG_AR && kind == LINE_READ && line.len > 0)
        buf_adds(out, RIGHT_TO_LEFT);
    while ((e = cut_placeholder(&line, &before, &inside)) == ERR_OK) {
        buf_add(out, before);
        if (inside.len > 0)
            TRY(add_value(lang, inside, values, count, kind, out));
    }
    buf_add(out, before);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err guide_expand(enum lang lang, struct slice text, const struct guide_value *values,
    size_t count, struct buf *out)
{
    struct slice line;
    while (slice_cut(&text, '\n', &line)) {
        if (line.len > 0 && line.ptr[0] == '#')
            continue;
        TRY(expand_line(lang, line, values, count, out));
        if (text.len > 0)
            buf_addc(out, '\n');
    }
    return ERR_OK;
}

/* ---- lines ---- */

/* How many columns a character takes; marks of Arabic and of direction take none. */
static size_t width_of(uint32_t c)
{
    bool none =
        (c >= 0x64B && c <= 0x652) || c == 0x200E || c == 0x200F || (c >= 0x2066 && c <= 0x2069);
    return none ? 0 : 1;
}

/* Bytes of the line that fit; at a blank where there is one. */
static size_t fitting(struct slice line, size_t columns)
{
    size_t width = 0, blank = 0, depth = 0;
    for (size_t at = 0; at < line.len;) {
        uint32_t c;
        size_t len = utf8_decode(line, at, &c);
        len = len ? len : 1;
        if (line.ptr[at] == ' ' && depth == 0)
            blank = at;
        width += len == 1 ? 1 : width_of(c);
        depth += len > 1 && c >= 0x2066 && c <= 0x2068;
        depth -= len > 1 && c == 0x2069 && depth > 0;
        if (width > columns && blank > 0)
            return blank;
        at += len;
    }
    return line.len;
}

static void fold_line(struct slice line, size_t columns, struct buf *out)
{
    struct slice mark = slice_sub(line, 0, slice_starts(line, SLICE(RIGHT_TO_LEFT)) ? 3 : 0);
    line = slice_from_index(line, mark.len);
    size_t indent = 0;
    while (indent < line.len && line.ptr[indent] == ' ')
        indent++;
    struct slice blanks = slice_sub(line, 0, indent);
    if (indent >= 4 || columns <= indent)
        columns = SIZE_MAX;
    line = slice_from_index(line, indent);
    for (bool first = true; first || line.len > 0; first = false) {
        size_t fits = fitting(line, columns - indent);
        if (!first)
            buf_addc(out, '\n');
        buf_add(out, mark);
        buf_add(out, blanks);
        buf_add(out, slice_sub(line, 0, fits));
        line = slice_from_index(line, fits + (fits < line.len)); /* the blank */
    }
}

void guide_fold(struct slice text, size_t columns, struct buf *out)
{
    struct slice line;
    while (slice_cut(&text, '\n', &line)) {
        fold_line(line, columns, out);
        buf_addc(out, '\n');
    }
}
