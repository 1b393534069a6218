/* SEARCH (RFC 3501 §6.4.4, §9 "search-key"; RFC 7162 §3.1.5), and the two that search first: SORT and THREAD (RFC 5256 §5). */
#include "proto/imap/imap_date.h"
#include "proto/imap/imap_parse_int.h"
#include "proto/imap/imap_write.h"

enum argument {
    ARG_NONE,
    ARG_STRING,
    ARG_ATOM,
    ARG_DATE,
    ARG_NUMBER,
    ARG_MODSEQ,
    ARG_FIELD_STRING,
    ARG_SET,
    ARG_KEY,
    ARG_TWO_KEYS,
};

static const struct row {
    struct slice name;
    enum imap_search_kind kind;
    enum argument argument;
    unsigned number;    /* of a flag key */
    struct slice field; /* of a header key */
} rows[] = {
    { SLICE_CONST("ALL"), IMAP_SEARCH_ALL, ARG_NONE, 0, { 0 } },
    { SLICE_CONST("ANSWERED"), IMAP_SEARCH_FLAG, ARG_NONE, IMAP_ANSWERED, { 0 } },
    { SLICE_CONST("BCC"), IMAP_SEARCH_HEADER, ARG_STRING, 0, SLICE_CONST("Bcc") },
    { SLICE_CONST("BEFORE"), IMAP_SEARCH_BEFORE, ARG_DATE, 0, { 0 } },
    { SLICE_CONST("BODY"), IMAP_SEARCH_BODY, ARG_STRING, 0, { 0 } },
    { SLICE_CONST("CC"), IMAP_SEARCH_HEADER, ARG_STRING, 0, SLICE_CONST("Cc") },
    { SLICE_CONST("DELETED"), IMAP_SEARCH_FLAG, ARG_NONE, IMAP_DELETED, { 0 } },
    { SLICE_CONST("DRAFT"), IMAP_SEARCH_FLAG, ARG_NONE, IMAP_DRAFT, { 0 } },
    { SLICE_CONST("FLAGGED"), IMAP_SEARCH_FLAG, ARG_NONE, IMAP_FLAGGED, { 0 } },
    { SLICE_CONST("FROM"), IMAP_SEARCH_HEADER, ARG_STRING, 0, SLICE_CONST("From") },
    { SLICE_CONST("HEADER"), IMAP_SEARCH_HEADER, ARG_FIELD_STRING, 0, { 0 } },
    { SLICE_CONST("KEYWORD"), IMAP_SEARCH_KEYWORD, ARG_ATOM, 0, { 0 } },
    { SLICE_CONST("LARGER"), IMAP_SEARCH_LARGER, ARG_NUMBER, 0, { 0 } },
    { SLICE_CONST("MODSEQ"), IMAP_SEARCH_MODSEQ, ARG_MODSEQ, 0, { 0 } },
    { SLICE_CONST("NEW"), IMAP_SEARCH_NEW, ARG_NONE, 0, { 0 } },
    { SLICE_CONST("NOT"), IMAP_SEARCH_NOT, ARG_KEY, 0, { 0 } },
    { SLICE_CONST("OLD"), IMAP_SEARCH_OLD, ARG_NONE, 0, { 0 } },
    { SLICE_CONST("ON"), IMAP_SEARCH_ON, ARG_DATE, 0, { 0 } },
    { SLICE_CONST("OR"), IMAP_SEARCH_OR, ARG_TWO_KEYS, 0, { 0 } },
    { SLICE_CONST("RECENT"), IMAP_SEARCH_RECENT, ARG_NONE, 0, { 0 } },
    { SLICE_CONST("SEEN"), IMAP_SEARCH_FLAG, ARG_NONE, IMAP_SEEN, { 0 } },
    { SLICE_CONST("SENTBEFORE"), IMAP_SEARCH_SENTBEFORE, ARG_DATE, 0, { 0 } },
    { SLICE_CONST("SENTON"), IMAP_SEARCH_SENTON, ARG_DATE, 0, { 0 } },
    { SLICE_CONST("SENTSINCE"), IMAP_SEARCH_SENTSINCE, ARG_DATE, 0, { 0 } },
    { SLICE_CONST("SINCE"), IMAP_SEARCH_SINCE, ARG_DATE, 0, { 0 } },
    { SLICE_CONST("SMALLER"), IMAP_SEARCH_SMALLER, ARG_NUMBER, 0, { 0 } },
    { SLICE_CONST("SUBJECT"), IMAP_SEARCH_HEADER, ARG_STRING, 0, SLICE_CONST("Subject") },
    { SLICE_CONST("TEXT"), IMAP_SEARCH_TEXT, ARG_STRING, 0, { 0 } },
    { SLICE_CONST("TO"), IMAP_SEARCH_HEADER, ARG_STRING, 0, SLICE_CONST("To") },
    { SLICE_CONST("UID"), IMAP_SEARCH_UID, ARG_SET, 0, { 0 } },
    { SLICE_CONST("UNANSWERED"), IMAP_SEARCH_UNFLAG, ARG_NONE, IMAP_ANSWERED, { 0 } },
    { SLICE_CONST("UNDELETED"), IMAP_SEARCH_UNFLAG, ARG_NONE, IMAP_DELETED, { 0 } },
    { SLICE_CONST("UNDRAFT"), IMAP_SEARCH_UNFLAG, ARG_NONE, IMAP_DRAFT, { 0 } },
    { SLICE_CONST("UNFLAGGED"), IMAP_SEARCH_UNFLAG, ARG_NONE, IMAP_FLAGGED, { 0 } },
    { SLICE_CONST("UNKEYWORD"), IMAP_SEARCH_UNKEYWORD, ARG_ATOM, 0, { 0 } },
    { SLICE_CONST("UNSEEN"), IMAP_SEARCH_UNFLAG, ARG_NONE, IMAP_SEEN, { 0 } },
};

struct search {
    struct imap_parse *p;
    size_t keys;
    bool has_modseq;
};

static enum err p_key(struct search *s, struct imap_search_key **out_key);

static enum err new_key(
    struct search *s, enum imap_search_kind kind, struct imap_search_key **out_key)
{
    if (++s->keys > IMAP_SEARCH_KEYS_MAX)
        return ERR_LIMIT;
    struct imap_search_key *key = arena_zalloc(s->p->arena, 1, sizeof *key);
    if (!key)
        return ERR_LIMIT;
    key->kind = kind;
    *out_key = key;
    return ERR_OK;
}

/* date = date-text / DQUOTE date-text DQUOTE */
static enum err p_date(struct imap_parse *p, int64_t *out_day)
{
    struct slice text;
    TRY(p_peek(p, '"') ? p_string(p, &text) : p_atom(p, &text));
    return imap_date_read(text, out_day);
}

/* "MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer: one modseq covers all of a message's flags here */
static enum err p_modseq(struct search *s, uint64_t *out_modseq)
{
    struct imap_parse *p = s->p;
    s->has_modseq = true;
    if (p_peek(p, '"')) {
        struct slice entry, type;
        TRY(p_string(p, &entry));
        if (!slice_starts_nocase(entry, SLICE("/flags/")))
            return ERR_SYNTAX;
        TRY(p_space(p));
        TRY(p_atom(p, &type));
        if (!slice_eq_nocase(type, SLICE("all")) && !slice_eq_nocase(type, SLICE("priv")) &&
            !slice_eq_nocase(type, SLICE("shared")))
            return ERR_SYNTAX;
        TRY(p_space(p));
    }
    return p_number(p, INT64_MAX, out_modseq);
}

static enum err p_argument(struct search *s, enum argument argument, struct imap_search_key *key)
{
    struct imap_parse *p = s->p;
    if (argument == ARG_NONE)
        return ERR_OK;
    TRY(p_space(p));
    switch (argument) {
    case ARG_NONE:
        break;
    case ARG_STRING:
        return p_astring(p, &key->text);
    case ARG_ATOM:
        return p_atom(p, &key->text);
    case ARG_DATE:
        return p_date(p, &key->day);
    case ARG_NUMBER:
        return p_number(p, INT64_MAX, &key->number);
    case ARG_MODSEQ:
        return p_modseq(s, &key->number);
    case ARG_FIELD_STRING:
        TRY(p_astring(p, &key->field));
        TRY(p_space(p));
        return p_astring(p, &key->text);
    case ARG_SET:
        return p_set(p, &key->set);
    case ARG_KEY:
        return p_key(s, &key->list);
    case ARG_TWO_KEYS:
        TRY(p_key(s, &key->list));
        TRY(p_space(p));
        return p_key(s, &key->list->next);
    }
    return ERR_OK;
}

/* search-key *(SP search-key) */
static enum err p_keys(struct search *s, struct imap_search_key *and_key)
{
    struct imap_search_key **last = &and_key->list;
    do {
        TRY(p_key(s, last));
        last = &(*last)->next;
    } while (p_take(s->p, ' '));
    return ERR_OK;
}

static enum err p_key_inside(struct search *s, struct imap_search_key **out_key)
{
    struct imap_parse *p = s->p;
    struct imap_search_key *key;
    if (p_take(p, '(')) {
        TRY(new_key(s, IMAP_SEARCH_AND, &key));
        TRY(p_keys(s, key));
        TRY(p_char(p, ')'));
        *out_key = key;
        return ERR_OK;
    }
    if (p->at < p->end && (*p->at == '*' || (*p->at >= '0' && *p->at <= '9'))) {
        TRY(new_key(s, IMAP_SEARCH_SEQ, &key));
        TRY(p_set(p, &key->set));
        *out_key = key;
        return ERR_OK;
    }
    struct slice word = p_word(p);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!slice_eq_nocase(word, rows[i].name))
            continue;
        TRY(new_key(s, rows[i].kind, &key));
        key->number = rows[i].number;
        key->field = rows[i].field;
        TRY(p_argument(s, rows[i].argument, key));
        *out_key = key;
        return ERR_OK;
    }
    return ERR_SYNTAX;
}

static enum err p_key(struct search *s, struct imap_search_key **out_key)
{
    if (++s->p->depth > IMAP_PAREN_DEPTH_MAX)
        return ERR_LIMIT;
    enum err e = p_key_inside(s, out_key);
    s->p->depth--;
    return e;
}

/* 1*(SP search-key), the first blank taken, to the end of the command */
static enum err p_program(struct imap_parse *p, struct imap_search_args *out)
{
    struct search s = { .p = p };
    TRY(new_key(&s, IMAP_SEARCH_AND, &out->root));
    TRY(p_keys(&s, out->root));
    TRY(p_end(p));
    out->has_modseq = s.has_modseq;
    return ERR_OK;
}

enum err imap_parse_search(struct imap_parse *p, struct imap_search_args *out_args)
{
    struct imap_search_args a = { .charset = SLICE_EMPTY };
    TRY(p_space(p));
    if (p_take_word(p, SLICE("CHARSET"))) {
        TRY(p_space(p));
        TRY(p_astring(p, &a.charset));
        TRY(p_space(p));
    }
    TRY(p_program(p, &a));
    *out_args = a;
    return ERR_OK;
}

/* ---- SORT and THREAD ---- */

/* SP search-criteria = SP charset 1*(SP search-key)  RFC 5256 §5 */
static enum err p_criteria(struct imap_parse *p, struct imap_search_args *out)
{
    TRY(p_space(p));
    TRY(p_astring(p, &out->charset));
    if (!out->charset.len)
        return ERR_SYNTAX;
    TRY(p_space(p));
    return p_program(p, out);
}

/* sort-criterion = ["REVERSE" SP] sort-key  RFC 5256 §5, RFC 5957 §5 */
static enum err p_criterion(struct imap_parse *p, struct sort_criterion *out)
{
    static const struct slice keys[] = {
        [SORT_ARRIVAL] = SLICE_CONST("ARRIVAL"),
        [SORT_CC] = SLICE_CONST("CC"),
        [SORT_DATE] = SLICE_CONST("DATE"),
        [SORT_FROM] = SLICE_CONST("FROM"),
        [SORT_SIZE] = SLICE_CONST("SIZE"),
        [SORT_SUBJECT] = SLICE_CONST("SUBJECT"),
        [SORT_TO] = SLICE_CONST("TO"),
        [SORT_DISPLAYFROM] = SLICE_CONST("DISPLAYFROM"),
        [SORT_DISPLAYTO] = SLICE_CONST("DISPLAYTO"),
    };
    bool reverse = p_take_word(p, SLICE("REVERSE"));
    if (reverse)
        TRY(p_space(p));
    struct slice word = p_word(p);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (!slice_eq_nocase(word, keys[i]))
            continue;
        *out = (struct sort_criterion){ .key = (enum sort_key)i, .reverse = reverse };
        return ERR_OK;
    }
    return ERR_SYNTAX;
}

/* sort = "SORT" SP "(" sort-criterion *(SP sort-criterion) ")" SP search-criteria  RFC 5256 §5 */
enum err imap_parse_sort(struct imap_parse *p, struct imap_sort_args *out_args)
{
    struct imap_sort_args a = { .count = 0 };
    TRY(p_space(p));
    TRY(p_char(p, '('));
    do {
        if (a.count == IMAP_SORT_CRITERIA_MAX)
            return ERR_LIMIT;
        TRY(p_criterion(p, &a.criteria[a.count++]));
    } while (p_take(p, ' '));
    TRY(p_char(p, ')'));
    TRY(p_criteria(p, &a.search));
    *out_args = a;
    return ERR_OK;
}

/* thread = "THREAD" SP thread-alg SP search-criteria  RFC 5256 §5 */
enum err imap_parse_thread(struct imap_parse *p, struct imap_thread_args *out_args)
{
    struct imap_thread_args a = { .algorithm = THREAD_REFERENCES };
    TRY(p_space(p));
    if (p_take_word(p, SLICE("ORDEREDSUBJECT")))
        a.algorithm = THREAD_ORDEREDSUBJECT;
    else if (!p_take_word(p, SLICE("REFERENCES")))
        return ERR_SYNTAX;
    TRY(p_criteria(p, &a.search));
    *out_args = a;
    return ERR_OK;
}
