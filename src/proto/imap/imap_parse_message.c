/* APPEND, STORE, COPY, MOVE, UID EXPUNGE. */
#include "proto/imap/imap_date.h"
#include "proto/imap/imap_parse_int.h"

/* SP [flag-list SP] [date-time SP] ["~"] "{" number ["+"] "}" CRLF: all of a message but its bytes (RFC 3502 §6.3.11, RFC 3516 §7) */
static enum err p_append_item(struct imap_parse *p, struct imap_append_item *item)
{
    TRY(p_space(p));
    if (p_peek(p, '(')) {
        TRY(p_flags(p, false, &item->flags));
        TRY(p_space(p));
    }
    if (p_peek(p, '"')) {
        struct slice date;
        TRY(p_string(p, &date));
        TRY(imap_datetime_read(date, &item->date_s, &item->date_tz_min));
        item->has_date = true;
        TRY(p_space(p));
    }
    item->literal8 = p_take(p, '~');
    TRY(p_char(p, '{'));
    TRY(p_number(p, INT64_MAX, &item->literal));
    p_take(p, '+');
    TRY(p_char(p, '}'));
    TRY(p_char(p, '\r'));
    return p_char(p, '\n');
}

enum err imap_parse_append(struct imap_parse *p, struct imap_append_args *out_args)
{
    struct imap_append_args a = { 0 };
    size_t cap = 0;
    TRY(p_space(p));
    TRY(p_mailbox(p, &a.mailbox));
    do {
        if (a.count == IMAP_LITERALS_MAX)
            return ERR_LIMIT;
        a.items = arena_grow(p->arena, a.items, &cap, a.count + 1, sizeof *a.items);
        if (!a.items)
            return ERR_LIMIT;
        a.items[a.count] = (struct imap_append_item){ 0 };
        TRY(p_append_item(p, &a.items[a.count++]));
        a.partial = p->at == p->end;
    } while (p_peek(p, ' '));
    if (!a.partial)
        TRY(p_end(p));
    *out_args = a;
    return ERR_OK;
}

/* store = "STORE" SP sequence-set [SP "(" "UNCHANGEDSINCE" SP mod-sequence-valzer ")"] SP store-att-flags  RFC 7162 §7 */
enum err imap_parse_store(struct imap_parse *p, struct imap_store_args *out_args)
{
    struct imap_store_args a = { 0 };
    TRY(p_space(p));
    TRY(p_set(p, &a.set));
    TRY(p_space(p));
    if (p_take(p, '(')) {
        if (!p_take_word(p, SLICE("UNCHANGEDSINCE")))
            return ERR_SYNTAX;
        TRY(p_space(p));
        TRY(p_number(p, INT64_MAX, &a.unchangedsince));
        a.has_unchangedsince = true;
        TRY(p_char(p, ')'));
        TRY(p_space(p));
    }
    if (p_take(p, '+'))
        a.how = IMAP_STORE_ADD;
    else if (p_take(p, '-'))
        a.how = IMAP_STORE_REMOVE;
    struct slice word = p_word(p);
    a.silent = slice_eq_nocase(word, SLICE("FLAGS.SILENT"));
    if (!a.silent && !slice_eq_nocase(word, SLICE("FLAGS")))
        return ERR_SYNTAX;
    TRY(p_space(p));
    TRY(p_flags(p, true, &a.flags));
    TRY(p_end(p));
    *out_args = a;
    return ERR_OK;
}

enum err imap_parse_copy(struct imap_parse *p, struct imap_copy_args *out_args)
{
    struct imap_copy_args a = { 0 };
    TRY(p_space(p));
    TRY(p_set(p, &a.set));
    TRY(p_space(p));
    TRY(p_mailbox(p, &a.mailbox));
    TRY(p_end(p));
    *out_args = a;
    return ERR_OK;
}

enum err imap_parse_set(struct imap_parse *p, struct imap_set *out_set)
{
    struct imap_set set;
    TRY(p_space(p));
    TRY(p_set(p, &set));
    TRY(p_end(p));
    *out_set = set;
    return ERR_OK;
}
