/* FETCH (RFC 3501 §6.4.5, §9 "fetch"; RFC 7162 §3.1.4, §3.2.6; RFC 3516 §4.2; RFC 8970 §3). */
#include "base/buf.h"
#include "proto/imap/imap_parse_int.h"
#include "proto/imap/imap_write.h"

struct atts {
    struct imap_att *at;
    size_t count, cap;
};

static enum err add_att(struct imap_parse *p, struct atts *list, struct imap_att att)
{
    if (list->count == IMAP_FETCH_ITEMS_MAX)
        return ERR_LIMIT;
    struct imap_att *grown =
        arena_grow(p->arena, list->at, &list->cap, list->count + 1, sizeof *grown);
    if (!grown)
        return ERR_LIMIT;
    list->at = grown;
    list->at[list->count++] = att;
    return ERR_OK;
}

/* section-part = nz-number *("." nz-number), up to the dot before a section-text, which is taken. */
static enum err p_section_part(struct imap_parse *p, struct imap_att *att, bool *out_dot)
{
    uint32_t *numbers = NULL;
    size_t count = 0, cap = 0;
    *out_dot = true;
    while (p->at < p->end && *p->at >= '0' && *p->at <= '9') {
        if (count == IMAP_SECTION_DEPTH_MAX)
            return ERR_LIMIT;
        numbers = arena_grow(p->arena, numbers, &cap, count + 1, sizeof *numbers);
        if (!numbers)
            return ERR_LIMIT;
        TRY(p_number32(p, &numbers[count]));
        if (!numbers[count++])
            return ERR_SYNTAX;
        *out_dot = p_take(p, '.');
        if (!*out_dot)
            break;
    }
    att->numbers = numbers;
    att->number_count = count;
    return ERR_OK;
}

/* header-list = "(" header-fld-name *(SP header-fld-name) ")" */
static enum err p_header_list(struct imap_parse *p, struct imap_att *att)
{
    struct p_slices list = { 0 };
    TRY(p_space(p));
    TRY(p_char(p, '('));
    do {
        struct slice name;
        TRY(p_astring(p, &name));
        TRY(p_slices_add(p, &list, IMAP_HEADER_FIELDS_MAX, name));
    } while (p_take(p, ' '));
    att->fields = list.at;
    att->field_count = list.count;
    return p_char(p, ')');
}

static enum err p_section_text(struct imap_parse *p, struct imap_att *att)
{
    struct slice word = p_word(p);
    if (slice_eq_nocase(word, SLICE("HEADER")))
        att->section = IMAP_SECTION_HEADER;
    else if (slice_eq_nocase(word, SLICE("TEXT")))
        att->section = IMAP_SECTION_TEXT;
    else if (slice_eq_nocase(word, SLICE("MIME")) && att->number_count)
        att->section = IMAP_SECTION_MIME;
    else if (slice_eq_nocase(word, SLICE("HEADER.FIELDS")))
        att->section = IMAP_SECTION_FIELDS;
    else if (slice_eq_nocase(word, SLICE("HEADER.FIELDS.NOT")))
        att->section = IMAP_SECTION_FIELDS_NOT;
    else
        return ERR_SYNTAX;
    return att->section >= IMAP_SECTION_FIELDS ? p_header_list(p, att) : ERR_OK;
}

/* The item's name in the answer, with the section as it was understood. */
static enum err make_label(struct imap_parse *p, struct imap_att *att)
{
    static const char *const texts[] = {
        [IMAP_SECTION_ALL] = "",
        [IMAP_SECTION_HEADER] = "HEADER",
        [IMAP_SECTION_TEXT] = "TEXT",
        [IMAP_SECTION_MIME] = "MIME",
        [IMAP_SECTION_FIELDS] = "HEADER.FIELDS ",
        [IMAP_SECTION_FIELDS_NOT] = "HEADER.FIELDS.NOT ",
    };
    struct buf out;
    buf_init(&out, 0);
    buf_adds(&out, att->kind == IMAP_ATT_BINARY        ? "BINARY["
                   : att->kind == IMAP_ATT_BINARY_SIZE ? "BINARY.SIZE["
                                                       : "BODY[");
    for (size_t i = 0; i < att->number_count; i++) {
        if (i)
            buf_addc(&out, '.');
        buf_addu(&out, att->numbers[i]);
    }
    if (att->number_count && att->section != IMAP_SECTION_ALL)
        buf_addc(&out, '.');
    buf_adds(&out, texts[att->section]);
    for (size_t i = 0; i < att->field_count; i++) {
        buf_addc(&out, i ? ' ' : '(');
        imap_write_astring(&out, att->fields[i]);
    }
    buf_adds(&out, att->field_count ? ")]" : "]");
    if (att->has_partial) {
        buf_addc(&out, '<');
        buf_addu(&out, att->partial_offset);
        buf_addc(&out, '>');
    }
    att->label = slice_dup(p->arena, buf_slice(&out));
    buf_done(&out);
    return att->label.ptr ? ERR_OK : ERR_LIMIT;
}

/* "[" [section-spec] "]" ["<" number "." nz-number ">"]; of BINARY only part numbers, of BINARY.SIZE no partial. */
static enum err p_section(struct imap_parse *p, struct imap_att *att)
{
    bool dot;
    TRY(p_char(p, '['));
    TRY(p_section_part(p, att, &dot));
    if (dot && (att->number_count || !p_peek(p, ']'))) {
        if (att->kind != IMAP_ATT_SECTION)
            return ERR_SYNTAX;
        TRY(p_section_text(p, att));
    }
    TRY(p_char(p, ']'));
    if (att->kind != IMAP_ATT_BINARY_SIZE && p_take(p, '<')) {
        att->has_partial = true;
        TRY(p_number32(p, &att->partial_offset));
        TRY(p_char(p, '.'));
        TRY(p_number32(p, &att->partial_len));
        TRY(p_char(p, '>'));
        if (!att->partial_len)
            return ERR_SYNTAX;
    }
    return make_label(p, att);
}

/* RFC822 and its parts are sections with another name (RFC 3501 §6.4.5). */
static const struct imap_att plain_atts[] = {
    { .kind = IMAP_ATT_FLAGS, .label = SLICE_CONST("FLAGS") },
    { .kind = IMAP_ATT_UID, .label = SLICE_CONST("UID") },
    { .kind = IMAP_ATT_INTERNALDATE, .label = SLICE_CONST("INTERNALDATE") },
    { .kind = IMAP_ATT_SIZE, .label = SLICE_CONST("RFC822.SIZE") },
    { .kind = IMAP_ATT_ENVELOPE, .label = SLICE_CONST("ENVELOPE") },
    { .kind = IMAP_ATT_BODYSTRUCTURE, .label = SLICE_CONST("BODYSTRUCTURE") },
    { .kind = IMAP_ATT_MODSEQ, .label = SLICE_CONST("MODSEQ") },
    { .kind = IMAP_ATT_PREVIEW, .label = SLICE_CONST("PREVIEW") },
    { .kind = IMAP_ATT_SECTION, .section = IMAP_SECTION_ALL, .label = SLICE_CONST("RFC822") },
    { .kind = IMAP_ATT_SECTION,
        .section = IMAP_SECTION_HEADER,
        .peek = true,
        .label = SLICE_CONST("RFC822.HEADER") },
    { .kind = IMAP_ATT_SECTION, .section = IMAP_SECTION_TEXT, .label = SLICE_CONST("RFC822.TEXT") },
    { .kind = IMAP_ATT_BODY, .label = SLICE_CONST("BODY") },
};

/* " (LAZY)" behind PREVIEW: ours is always at hand (RFC 8970 §4). */
static void p_lazy(struct imap_parse *p)
{
    struct slice lazy = SLICE(" (LAZY)");
    if ((size_t)(p->end - p->at) >= lazy.len && slice_eq_nocase(slice_from(p->at, lazy.len), lazy))
        p->at += lazy.len;
}

static enum err p_att(struct imap_parse *p, struct atts *list)
{
    static const struct {
        struct slice name;
        enum imap_att_kind kind;
        bool peek;
    } sections[] = {
        { SLICE_CONST("BODY"), IMAP_ATT_SECTION, false },
        { SLICE_CONST("BODY.PEEK"), IMAP_ATT_SECTION, true },
        { SLICE_CONST("BINARY"), IMAP_ATT_BINARY, false },
        { SLICE_CONST("BINARY.PEEK"), IMAP_ATT_BINARY, true },
        { SLICE_CONST("BINARY.SIZE"), IMAP_ATT_BINARY_SIZE, true },
    };
    struct slice word = p_word(p);
    for (size_t i = 0; i < sizeof sections / sizeof *sections && p_peek(p, '['); i++) {
        if (!slice_eq_nocase(word, sections[i].name))
            continue;
        struct imap_att section = { .kind = sections[i].kind, .peek = sections[i].peek };
        TRY(p_section(p, &section));
        return add_att(p, list, section);
    }
    if (slice_eq_nocase(word, SLICE("PREVIEW")))
        p_lazy(p);
    for (size_t i = 0; i < sizeof plain_atts / sizeof *plain_atts; i++)
        if (slice_eq_nocase(word, plain_atts[i].label))
            return add_att(p, list, plain_atts[i]);
    return ERR_SYNTAX;
}

/* "ALL" / "FULL" / "FAST" */
static bool p_macro(struct imap_parse *p, struct atts *list, enum err *out_err)
{
    static const enum imap_att_kind order[] = {
        IMAP_ATT_FLAGS,
        IMAP_ATT_INTERNALDATE,
        IMAP_ATT_SIZE,
        IMAP_ATT_ENVELOPE,
        IMAP_ATT_BODY,
    };
    size_t count = p_take_word(p, SLICE("FAST"))   ? 3
                   : p_take_word(p, SLICE("ALL"))  ? 4
                   : p_take_word(p, SLICE("FULL")) ? 5
                                                   : 0;
    *out_err = ERR_OK;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < sizeof plain_atts / sizeof *plain_atts; j++)
            if (plain_atts[j].kind == order[i] && *out_err == ERR_OK)
                *out_err = add_att(p, list, plain_atts[j]);
    return count > 0;
}

/* "(" ["CHANGEDSINCE" SP mod-sequence-value] ["VANISHED"] ")" */
static enum err p_fetch_modifiers(struct imap_parse *p, struct imap_fetch_args *a)
{
    TRY(p_char(p, '('));
    do {
        struct slice word = p_word(p);
        if (slice_eq_nocase(word, SLICE("CHANGEDSINCE")) && !a->has_changedsince) {
            TRY(p_space(p));
            TRY(p_number(p, INT64_MAX, &a->changedsince));
            a->has_changedsince = true;
        } else if (slice_eq_nocase(word, SLICE("VANISHED"))) {
            a->vanished = true;
        } else {
            return ERR_SYNTAX;
        }
    } while (p_take(p, ' '));
    TRY(p_char(p, ')'));
    return a->vanished && !a->has_changedsince ? ERR_SYNTAX : ERR_OK;
}

enum err imap_parse_fetch(struct imap_parse *p, struct imap_fetch_args *out_args)
{
    struct imap_fetch_args a = { 0 };
    struct atts list = { 0 };
    enum err macro;
    TRY(p_space(p));
    TRY(p_set(p, &a.set));
    TRY(p_space(p));
    if (p_take(p, '(')) {
        do
            TRY(p_att(p, &list));
        while (p_take(p, ' '));
        TRY(p_char(p, ')'));
    } else if (p_macro(p, &list, &macro)) {
        TRY(macro);
    } else {
        TRY(p_att(p, &list));
    }
    if (p_take(p, ' '))
        TRY(p_fetch_modifiers(p, &a));
    TRY(p_end(p));
    a.atts = list.at;
    a.count = list.count;
    *out_args = a;
    return ERR_OK;
}
