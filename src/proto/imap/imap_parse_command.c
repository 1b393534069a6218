/* Commands with simple arguments: the start of each command, login, mailboxes. */
#include "proto/imap/imap_parse_int.h"

/* tag = 1*<any ASTRING-CHAR except "+"> */
static enum err p_tag(struct imap_parse *p, struct slice *out_tag)
{
    if (p_peek(p, '"') || p_peek(p, '{'))
        return ERR_SYNTAX;
    TRY(p_astring(p, out_tag));
    if (out_tag->len > IMAP_TAG_BYTES_MAX)
        return ERR_LIMIT;
    return slice_index(*out_tag, '+') == out_tag->len ? ERR_OK : ERR_SYNTAX;
}

enum err imap_parse_command(
    struct imap_parse *p, struct slice *out_tag, struct slice *out_name, bool *out_uid)
{
    TRY(p_tag(p, out_tag));
    TRY(p_space(p));
    TRY(p_atom(p, out_name));
    *out_uid = false;
    if (!slice_eq_nocase(*out_name, SLICE("UID")))
        return ERR_OK;
    *out_uid = true;
    TRY(p_space(p));
    return p_atom(p, out_name);
}

enum err imap_parse_nothing(struct imap_parse *p)
{
    return p_end(p);
}

enum err imap_parse_one(struct imap_parse *p, struct slice *out_a)
{
    TRY(p_space(p));
    TRY(p_astring(p, out_a));
    return p_end(p);
}

enum err imap_parse_two(struct imap_parse *p, struct slice *out_a, struct slice *out_b)
{
    TRY(p_space(p));
    TRY(p_astring(p, out_a));
    TRY(p_space(p));
    TRY(p_astring(p, out_b));
    return p_end(p);
}

enum err imap_parse_authenticate(struct imap_parse *p, struct imap_authenticate_args *out_args)
{
    struct imap_authenticate_args a = { .initial = (struct slice){ 0 } };
    TRY(p_space(p));
    TRY(p_atom(p, &a.mechanism));
    if (p_take(p, ' '))
        TRY(p_atom(p, &a.initial));
    TRY(p_end(p));
    *out_args = a;
    return ERR_OK;
}

/* id = "ID" SP ("(" [string SP nstring *(SP string SP nstring)] ")" / nil)  RFC 2971 §3.1, §3.3: 30 pairs at most */
enum err imap_parse_id(struct imap_parse *p, struct imap_id_args *out_args)
{
    struct p_slices pairs = { 0 };
    TRY(p_space(p));
    if (p_take(p, '(')) {
        while (!p_peek(p, ')')) {
            struct slice s;
            if (pairs.count)
                TRY(p_space(p));
            TRY(p_string(p, &s));
            TRY(p_slices_add(p, &pairs, 60, s));
            TRY(p_space(p));
            TRY(p_nstring(p, &s));
            TRY(p_slices_add(p, &pairs, 60, s));
        }
        TRY(p_char(p, ')'));
    } else if (!p_take_word(p, SLICE("NIL"))) {
        return ERR_SYNTAX;
    }
    TRY(p_end(p));
    *out_args = (struct imap_id_args){ pairs.at, pairs.count };
    return ERR_OK;
}

/* enable = "ENABLE" 1*(SP capability)  RFC 5161 §4 */
enum err imap_parse_enable(struct imap_parse *p, struct imap_words *out_args)
{
    struct p_slices words = { 0 };
    do {
        struct slice word;
        TRY(p_space(p));
        TRY(p_atom(p, &word));
        TRY(p_slices_add(p, &words, 100, word));
    } while (p_peek(p, ' '));
    TRY(p_end(p));
    *out_args = (struct imap_words){ words.at, words.count };
    return ERR_OK;
}

/* "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"  RFC 7162 §7 */
static enum err p_qresync(struct imap_parse *p, struct imap_select_args *a)
{
    TRY(p_space(p));
    TRY(p_char(p, '('));
    TRY(p_number32(p, &a->uidvalidity));
    TRY(p_space(p));
    TRY(p_number(p, INT64_MAX, &a->modseq));
    if (!a->uidvalidity || !a->modseq)
        return ERR_SYNTAX;
    a->qresync = true;
    if (p_take(p, ' ')) {
        if (!p_peek(p, '(')) {
            TRY(p_set(p, &a->known_uids));
            a->has_known_uids = true;
        }
        if (a->has_known_uids ? p_take(p, ' ') : true) {
            /* The sample of sequence numbers only shortens the list of vanished UIDs; we know the exact one. */
            struct imap_set numbers, uids;
            TRY(p_char(p, '('));
            TRY(p_set(p, &numbers));
            TRY(p_space(p));
            TRY(p_set(p, &uids));
            TRY(p_char(p, ')'));
        }
    }
    for (size_t i = 0; i < a->known_uids.count; i++)
        if (!a->known_uids.ranges[i].first || !a->known_uids.ranges[i].last)
            return ERR_SYNTAX; /* "*" is not allowed here */
    return p_char(p, ')');
}

enum err imap_parse_select(struct imap_parse *p, struct imap_select_args *out_args)
{
    struct imap_select_args a = { 0 };
    TRY(p_space(p));
    TRY(p_mailbox(p, &a.mailbox));
    if (p_take(p, ' ')) {
        TRY(p_char(p, '('));
        do {
            struct slice word = p_word(p);
            if (slice_eq_nocase(word, SLICE("CONDSTORE")))
                a.condstore = true;
            else if (slice_eq_nocase(word, SLICE("QRESYNC")) && !a.qresync)
                TRY(p_qresync(p, &a));
            else
                return ERR_SYNTAX;
        } while (p_take(p, ' '));
        TRY(p_char(p, ')'));
    }
    TRY(p_end(p));
    *out_args = a;
    return ERR_OK;
}

enum err p_status_items(struct imap_parse *p, unsigned *out_items)
{
    static const struct slice names[] = {
        SLICE_CONST("MESSAGES"),
        SLICE_CONST("RECENT"),
        SLICE_CONST("UIDNEXT"),
        SLICE_CONST("UIDVALIDITY"),
        SLICE_CONST("UNSEEN"),
        SLICE_CONST("SIZE"),
        SLICE_CONST("HIGHESTMODSEQ"),
        SLICE_CONST("APPENDLIMIT"),
    };
    unsigned items = 0;
    TRY(p_char(p, '('));
    do {
        struct slice word = p_word(p);
        unsigned i = 0;
        while (i < 8 && !slice_eq_nocase(word, names[i]))
            i++;
        if (i == 8)
            return ERR_SYNTAX;
        items |= 1u << i;
    } while (p_take(p, ' '));
    TRY(p_char(p, ')'));
    *out_items = items;
    return ERR_OK;
}

enum err imap_parse_status(struct imap_parse *p, struct imap_status_args *out_args)
{
    struct imap_status_args a = { 0 };
    TRY(p_space(p));
    TRY(p_mailbox(p, &a.mailbox));
    TRY(p_space(p));
    TRY(p_status_items(p, &a.items));
    TRY(p_end(p));
    *out_args = a;
    return ERR_OK;
}

/* "(" [option *(SP option)] ")" of the selection (RFC 5258 §6) or the return options. */
static enum err p_list_options(
    struct imap_parse *p, bool returns, unsigned *out_options, unsigned *out_status_items)
{
    static const struct slice names[] = {
        SLICE_CONST("SUBSCRIBED"),
        SLICE_CONST("REMOTE"),
        SLICE_CONST("RECURSIVEMATCH"),
        SLICE_CONST("SPECIAL-USE"),
        SLICE_CONST("CHILDREN"),
        SLICE_CONST("STATUS"),
    };
    unsigned allowed =
        returns
            ? IMAP_LIST_SUBSCRIBED | IMAP_LIST_SPECIAL_USE | IMAP_LIST_CHILDREN | IMAP_LIST_STATUS
            : IMAP_LIST_SUBSCRIBED | IMAP_LIST_REMOTE | IMAP_LIST_RECURSIVE | IMAP_LIST_SPECIAL_USE;
    unsigned options = 0;
    TRY(p_char(p, '('));
    while (!p_peek(p, ')')) {
        if (options)
            TRY(p_space(p));
        struct slice word = p_word(p);
        unsigned i = 0;
        while (i < 6 && !slice_eq_nocase(word, names[i]))
            i++;
        if (i == 6 || !(allowed & 1u << i))
            return ERR_SYNTAX;
        options |= 1u << i;
        if (1u << i == IMAP_LIST_STATUS) {
            TRY(p_space(p));
            TRY(p_status_items(p, out_status_items));
        }
    }
    TRY(p_char(p, ')'));
    *out_options = options;
    return ERR_OK;
}

static enum err p_patterns(struct imap_parse *p, struct imap_list_args *a, bool lsub)
{
    struct p_slices list = { 0 };
    struct slice pattern;
    if (!lsub && p_take(p, '(')) {
        a->extended = true;
        do {
            TRY(p_pattern(p, &pattern));
            TRY(p_slices_add(p, &list, IMAP_LIST_PATTERNS_MAX, pattern));
        } while (p_take(p, ' '));
        TRY(p_char(p, ')'));
    } else {
        TRY(p_pattern(p, &pattern));
        TRY(p_slices_add(p, &list, 1, pattern));
    }
    for (size_t i = 0; i < list.count; i++)
        if (list.at[i].len > MAILBOX_WIRE_BYTES_MAX)
            return ERR_LIMIT;
    a->patterns = list.at;
    a->pattern_count = list.count;
    return ERR_OK;
}

enum err imap_parse_list(struct imap_parse *p, bool lsub, struct imap_list_args *out_args)
{
    struct imap_list_args a = { .select = lsub ? IMAP_LIST_SUBSCRIBED : 0 };
    TRY(p_space(p));
    if (!lsub && p_peek(p, '(')) {
        a.extended = true;
        TRY(p_list_options(p, false, &a.select, &a.status_items));
        TRY(p_space(p));
        /* RFC 5258 §3: RECURSIVEMATCH alone, or with REMOTE only, is an error */
        if (a.select & IMAP_LIST_RECURSIVE &&
            !(a.select & (IMAP_LIST_SUBSCRIBED | IMAP_LIST_SPECIAL_USE)))
            return ERR_SYNTAX;
    }
    TRY(p_mailbox(p, &a.reference));
    TRY(p_space(p));
    TRY(p_patterns(p, &a, lsub));
    if (!lsub && p_take(p, ' ')) {
        a.extended = true;
        if (!p_take_word(p, SLICE("RETURN")))
            return ERR_SYNTAX;
        TRY(p_space(p));
        TRY(p_list_options(p, true, &a.returns, &a.status_items));
    }
    TRY(p_end(p));
    *out_args = a;
    return ERR_OK;
}
