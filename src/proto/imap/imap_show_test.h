/* Writes what was parsed as a command again, in one canonical form: for tables of tests, and so that a fuzz target can say
 * parse(show(x)) == x. Included by tests only. */
#ifndef PROTO_IMAP_SHOW_TEST_H
#define PROTO_IMAP_SHOW_TEST_H

#include "base/buf.h"
#include "proto/imap/imap_date.h"
#include "proto/imap/imap_parse.h"
#include "proto/imap/imap_write.h"

/* As literal+ where it cannot be quoted, so that it reads back. */
static inline void show_string(struct buf *out, struct slice s)
{
    bool quoted = s.len < 1000;
    for (size_t i = 0; i < s.len; i++)
        quoted &= slice_at(s, i) < 0x80 && s.ptr[i] != '\r' && s.ptr[i] != '\n';
    if (quoted && !imap_is_atom(s)) {
        imap_write_string(out, s);
    } else if (quoted) {
        buf_add(out, s);
    } else {
        buf_addf(out, "{%zu+}\r\n", s.len);
        buf_add(out, s);
    }
}

static inline void show_set(struct buf *out, const struct imap_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct imap_range *r = &set->ranges[i];
        if (i)
            buf_addc(out, ',');
        r->first ? buf_addu(out, r->first) : buf_addc(out, '*');
        if (r->first == r->last)
            continue;
        buf_addc(out, ':');
        r->last ? buf_addu(out, r->last) : buf_addc(out, '*');
    }
}

static inline void show_flags(struct buf *out, const struct imap_flags *flags)
{
    imap_write_flags(out, flags->system, flags->keywords, flags->keyword_count);
}

static inline void show_fetch(struct buf *out, const struct imap_fetch_args *a)
{
    buf_addc(out, ' ');
    show_set(out, &a->set);
    for (size_t i = 0; i < a->count; i++) {
        const struct imap_att *att = &a->atts[i];
        struct slice label = att->label;
        buf_adds(out, i ? " " : " (");
        if (att->kind < IMAP_ATT_SECTION || slice_starts(label, SLICE("RFC822"))) {
            buf_add(out, label);
            continue;
        }
        buf_adds(out, att->kind == IMAP_ATT_BINARY_SIZE ? "BINARY.SIZE"
                      : att->kind == IMAP_ATT_BINARY    ? "BINARY"
                                                        : "BODY");
        buf_adds(out, att->peek && att->kind != IMAP_ATT_BINARY_SIZE ? ".PEEK[" : "[");
        for (size_t n = 0; n < att->number_count; n++)
            buf_addf(out, n ? ".%u" : "%u", att->numbers[n]);
        static const char *const texts[] = { "", "HEADER", "TEXT", "MIME", "HEADER.FIELDS ",
            "HEADER.FIELDS.NOT " };
        if (att->number_count && att->section != IMAP_SECTION_ALL)
            buf_addc(out, '.');
        buf_adds(out, texts[att->section]);
        for (size_t n = 0; n < att->field_count; n++) {
            buf_addc(out, n ? ' ' : '(');
            show_string(out, att->fields[n]);
        }
        buf_adds(out, att->field_count ? ")]" : "]");
        if (att->has_partial)
            buf_addf(out, "<%u.%u>", att->partial_offset, att->partial_len);
    }
    buf_addc(out, ')');
    if (a->has_changedsince)
        buf_addf(out, " (CHANGEDSINCE %llu%s)", (unsigned long long)a->changedsince,
            a->vanished ? " VANISHED" : "");
}

static inline void show_store(struct buf *out, const struct imap_store_args *a)
{
    static const char *const hows[] = { "", "+", "-" };
    buf_addc(out, ' ');
    show_set(out, &a->set);
    if (a->has_unchangedsince)
        buf_addf(out, " (UNCHANGEDSINCE %llu)", (unsigned long long)a->unchangedsince);
    buf_addf(out, " %sFLAGS%s ", hows[a->how], a->silent ? ".SILENT" : "");
    show_flags(out, &a->flags);
}

static inline void show_date(struct buf *out, int64_t day)
{
    struct buf text;
    buf_init(&text, 0);
    imap_datetime_write(&text, day * 86400, 0);
    buf_add(out, slice_sub(buf_slice(&text), 1, 11));
    buf_done(&text);
}

static inline void show_key(struct buf *out, const struct imap_search_key *key)
{
    static const char *const names[] = { [IMAP_SEARCH_ALL] = "ALL",
        [IMAP_SEARCH_OR] = "OR",
        [IMAP_SEARCH_NOT] = "NOT",
        [IMAP_SEARCH_UID] = "UID",
        [IMAP_SEARCH_KEYWORD] = "KEYWORD",
        [IMAP_SEARCH_UNKEYWORD] = "UNKEYWORD",
        [IMAP_SEARCH_NEW] = "NEW",
        [IMAP_SEARCH_OLD] = "OLD",
        [IMAP_SEARCH_RECENT] = "RECENT",
        [IMAP_SEARCH_BEFORE] = "BEFORE",
        [IMAP_SEARCH_ON] = "ON",
        [IMAP_SEARCH_SINCE] = "SINCE",
        [IMAP_SEARCH_SENTBEFORE] = "SENTBEFORE",
        [IMAP_SEARCH_SENTON] = "SENTON",
        [IMAP_SEARCH_SENTSINCE] = "SENTSINCE",
        [IMAP_SEARCH_LARGER] = "LARGER",
        [IMAP_SEARCH_SMALLER] = "SMALLER",
        [IMAP_SEARCH_MODSEQ] = "MODSEQ",
        [IMAP_SEARCH_HEADER] = "HEADER",
        [IMAP_SEARCH_BODY] = "BODY",
        [IMAP_SEARCH_TEXT] = "TEXT",
        [IMAP_SEARCH_SEQ] = NULL };
    static const char *const flags[] = { "SEEN", "ANSWERED", "FLAGGED", "DELETED", "DRAFT" };
    buf_addc(out, ' ');
    switch (key->kind) {
    case IMAP_SEARCH_AND:
        buf_addc(out, '(');
        for (const struct imap_search_key *child = key->list; child; child = child->next) {
            struct buf one;
            buf_init(&one, 0);
            show_key(&one, child);
            buf_add(out, slice_from_index(buf_slice(&one), child == key->list));
            buf_done(&one);
        }
        buf_addc(out, ')');
        return;
    case IMAP_SEARCH_SEQ:
        show_set(out, &key->set);
        return;
    case IMAP_SEARCH_FLAG:
    case IMAP_SEARCH_UNFLAG:
        for (unsigned i = 0; i < 5; i++)
            if (key->number == 1u << i)
                buf_addf(out, "%s%s", key->kind == IMAP_SEARCH_FLAG ? "" : "UN", flags[i]);
        return;
    default:
        buf_adds(out, names[key->kind]);
    }
    if (key->kind == IMAP_SEARCH_OR || key->kind == IMAP_SEARCH_NOT)
        for (const struct imap_search_key *child = key->list; child; child = child->next)
            show_key(out, child);
    if (key->kind == IMAP_SEARCH_UID) {
        buf_addc(out, ' ');
        show_set(out, &key->set);
    }
    if (key->kind >= IMAP_SEARCH_BEFORE && key->kind <= IMAP_SEARCH_SENTSINCE) {
        buf_addc(out, ' ');
        show_date(out, key->day);
    }
    if (key->kind == IMAP_SEARCH_LARGER || key->kind == IMAP_SEARCH_SMALLER ||
        key->kind == IMAP_SEARCH_MODSEQ)
        buf_addf(out, " %llu", (unsigned long long)key->number);
    if (key->kind == IMAP_SEARCH_HEADER) {
        buf_addc(out, ' ');
        show_string(out, key->field);
    }
    if (key->kind >= IMAP_SEARCH_HEADER || key->kind == IMAP_SEARCH_KEYWORD ||
        key->kind == IMAP_SEARCH_UNKEYWORD) {
        buf_addc(out, ' ');
        show_string(out, key->text);
    }
}

static inline void show_sort(struct buf *out, const struct imap_sort_args *a)
{
    static const char *const names[] = { [SORT_ARRIVAL] = "ARRIVAL",
        [SORT_CC] = "CC",
        [SORT_DATE] = "DATE",
        [SORT_FROM] = "FROM",
        [SORT_SIZE] = "SIZE",
        [SORT_SUBJECT] = "SUBJECT",
        [SORT_TO] = "TO",
        [SORT_DISPLAYFROM] = "DISPLAYFROM",
        [SORT_DISPLAYTO] = "DISPLAYTO" };
    for (size_t i = 0; i < a->count; i++)
        buf_addf(out, "%s%s%s", i ? " " : " (", a->criteria[i].reverse ? "REVERSE " : "",
            names[a->criteria[i].key]);
    buf_addc(out, ')');
}

/* named: CHARSET stands before the charset */
static inline void show_search(struct buf *out, bool named, const struct imap_search_args *a)
{
    if (a->charset.len) {
        buf_adds(out, named ? " CHARSET " : " ");
        show_string(out, a->charset);
    }
    for (const struct imap_search_key *key = a->root->list; key; key = key->next)
        show_key(out, key);
}

static inline void show_status_items(struct buf *out, unsigned items)
{
    static const char *const names[] = { "MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN",
        "SIZE", "HIGHESTMODSEQ", "APPENDLIMIT" };
    char before = '(';
    for (unsigned i = 0; i < 8; i++) {
        if (!(items & 1u << i))
            continue;
        buf_addf(out, "%c%s", before, names[i]);
        before = ' ';
    }
    buf_addc(out, ')');
}

static inline void show_list_options(struct buf *out, unsigned options, unsigned status_items)
{
    static const char *const names[] = { "SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE",
        "CHILDREN", "STATUS" };
    buf_addc(out, '(');
    for (unsigned i = 0, count = 0; i < 6; i++) {
        if (!(options & 1u << i))
            continue;
        buf_addf(out, count++ ? " %s" : "%s", names[i]);
        if (1u << i == IMAP_LIST_STATUS) {
            buf_addc(out, ' ');
            show_status_items(out, status_items);
        }
    }
    buf_addc(out, ')');
}

static inline void show_list(struct buf *out, bool lsub, const struct imap_list_args *a)
{
    buf_addc(out, ' ');
    if (a->extended) {
        show_list_options(out, a->select, 0);
        buf_addc(out, ' ');
    }
    show_string(out, a->reference);
    buf_adds(out, a->extended ? " (" : " ");
    for (size_t i = 0; i < a->pattern_count; i++) {
        if (i)
            buf_addc(out, ' ');
        show_string(out, a->patterns[i]);
    }
    if (a->extended && !lsub) {
        buf_adds(out, ") RETURN ");
        show_list_options(out, a->returns, a->status_items);
    }
}

static inline void show_select(struct buf *out, const struct imap_select_args *a)
{
    buf_addc(out, ' ');
    show_string(out, a->mailbox);
    if (!a->condstore && !a->qresync)
        return;
    buf_adds(out, a->condstore ? " (CONDSTORE" : " (");
    if (a->qresync) {
        buf_addf(out, "%sQRESYNC (%u %llu", a->condstore ? " " : "", a->uidvalidity,
            (unsigned long long)a->modseq);
        if (a->has_known_uids) {
            buf_addc(out, ' ');
            show_set(out, &a->known_uids);
        }
        buf_addc(out, ')');
    }
    buf_addc(out, ')');
}

static inline void show_append(struct buf *out, const struct imap_append_args *a)
{
    buf_addc(out, ' ');
    show_string(out, a->mailbox);
    for (size_t i = 0; i < a->count; i++) {
        const struct imap_append_item *item = &a->items[i];
        buf_addc(out, ' ');
        show_flags(out, &item->flags);
        buf_addc(out, ' ');
        if (item->has_date) {
            imap_datetime_write(out, item->date_s, item->date_tz_min);
            buf_addc(out, ' ');
        }
        buf_addf(out, "{%llu+}\r\n", (unsigned long long)item->literal);
    }
}

/* Parses a frame by the grammar of its command and shows it, tag and final CRLF included. */
static inline enum err show_command(struct slice frame, struct arena *arena, struct buf *out)
{
    struct imap_parse p;
    struct slice tag, name, a, b;
    bool uid, partial = false;
    imap_parse_init(&p, frame, arena);
    TRY(imap_parse_command(&p, &tag, &name, &uid));
    buf_add(out, tag);
    buf_adds(out, uid ? " UID " : " ");
    for (size_t i = 0; i < name.len; i++)
        buf_addc(out, ascii_upper(name.ptr[i]));
    if (slice_eq_nocase(name, SLICE("FETCH"))) {
        struct imap_fetch_args args;
        TRY(imap_parse_fetch(&p, &args));
        show_fetch(out, &args);
    } else if (slice_eq_nocase(name, SLICE("STORE"))) {
        struct imap_store_args args;
        TRY(imap_parse_store(&p, &args));
        show_store(out, &args);
    } else if (slice_eq_nocase(name, SLICE("SEARCH"))) {
        struct imap_search_args args;
        TRY(imap_parse_search(&p, &args));
        show_search(out, true, &args);
    } else if (slice_eq_nocase(name, SLICE("SORT"))) {
        struct imap_sort_args args;
        TRY(imap_parse_sort(&p, &args));
        show_sort(out, &args);
        show_search(out, false, &args.search);
    } else if (slice_eq_nocase(name, SLICE("THREAD"))) {
        struct imap_thread_args args;
        TRY(imap_parse_thread(&p, &args));
        buf_adds(out, args.algorithm == THREAD_REFERENCES ? " REFERENCES" : " ORDEREDSUBJECT");
        show_search(out, false, &args.search);
    } else if (slice_eq_nocase(name, SLICE("COPY"))) {
        struct imap_copy_args args;
        TRY(imap_parse_copy(&p, &args));
        buf_addc(out, ' ');
        show_set(out, &args.set);
        buf_addc(out, ' ');
        show_string(out, args.mailbox);
    } else if (slice_eq_nocase(name, SLICE("EXPUNGE"))) {
        struct imap_set set;
        TRY(imap_parse_set(&p, &set));
        buf_addc(out, ' ');
        show_set(out, &set);
    } else if (slice_eq_nocase(name, SLICE("SELECT"))) {
        struct imap_select_args args;
        TRY(imap_parse_select(&p, &args));
        show_select(out, &args);
    } else if (slice_eq_nocase(name, SLICE("STATUS"))) {
        struct imap_status_args args;
        TRY(imap_parse_status(&p, &args));
        buf_addc(out, ' ');
        show_string(out, args.mailbox);
        buf_addc(out, ' ');
        show_status_items(out, args.items);
    } else if (slice_eq_nocase(name, SLICE("LIST")) || slice_eq_nocase(name, SLICE("LSUB"))) {
        struct imap_list_args args;
        bool lsub = slice_eq_nocase(name, SLICE("LSUB"));
        TRY(imap_parse_list(&p, lsub, &args));
        show_list(out, lsub, &args);
    } else if (slice_eq_nocase(name, SLICE("APPEND"))) {
        struct imap_append_args args;
        TRY(imap_parse_append(&p, &args));
        show_append(out, &args);
        partial = args.partial;
    } else if (slice_eq_nocase(name, SLICE("AUTHENTICATE"))) {
        struct imap_authenticate_args args;
        TRY(imap_parse_authenticate(&p, &args));
        buf_addf(out, args.initial.ptr ? " %.*s %.*s" : " %.*s", SLICE_FMT(args.mechanism),
            SLICE_FMT(args.initial));
    } else if (slice_eq_nocase(name, SLICE("ENABLE"))) {
        struct imap_words args;
        TRY(imap_parse_enable(&p, &args));
        for (size_t i = 0; i < args.count; i++)
            buf_addf(out, " %.*s", SLICE_FMT(args.words[i]));
    } else if (slice_eq_nocase(name, SLICE("ID"))) {
        struct imap_id_args args;
        TRY(imap_parse_id(&p, &args));
        buf_adds(out, args.count ? "" : " NIL");
        for (size_t i = 0; i < args.count; i++) {
            buf_addf(out, i ? " " : " (");
            if (!args.pairs[i].ptr) {
                buf_adds(out, "NIL");
                continue;
            }
            buf_addf(out, "{%zu+}\r\n", args.pairs[i].len);
            buf_add(out, args.pairs[i]);
        }
        buf_adds(out, args.count ? ")" : "");
    } else if (slice_eq_nocase(name, SLICE("LOGIN")) || slice_eq_nocase(name, SLICE("RENAME"))) {
        TRY(imap_parse_two(&p, &a, &b));
        buf_addc(out, ' ');
        show_string(out, a);
        buf_addc(out, ' ');
        show_string(out, b);
    } else if (slice_eq_nocase(name, SLICE("CREATE"))) {
        TRY(imap_parse_one(&p, &a));
        buf_addc(out, ' ');
        show_string(out, a);
    } else {
        TRY(imap_parse_nothing(&p));
    }
    buf_adds(out, partial ? "" : "\r\n");
    return buf_err(out);
}

#endif
