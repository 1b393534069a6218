/* Tokens of the grammar, shared by the imap_parse_*.c. */
#ifndef PROTO_IMAP_PARSE_INT_H
#define PROTO_IMAP_PARSE_INT_H

#include "proto/imap/imap_parse.h"

static inline bool p_peek(const struct imap_parse *p, char c)
{
    return p->at < p->end && *p->at == c;
}

static inline bool p_take(struct imap_parse *p, char c)
{
    bool there = p_peek(p, c);
    p->at += there;
    return there;
}

enum err MUST_USE p_char(struct imap_parse *p, char c);
enum err MUST_USE p_space(struct imap_parse *p);
/* CRLF, and the frame ends there. */
enum err MUST_USE p_end(struct imap_parse *p);
enum err MUST_USE p_atom(struct imap_parse *p, struct slice *out);
/* Letters, digits, '-', '.' and '=': names of commands, items, options. May be empty. */
struct slice p_word(struct imap_parse *p);
/* Takes the word when it is that one (case ignored). */
bool p_take_word(struct imap_parse *p, struct slice word);
enum err MUST_USE p_string(struct imap_parse *p, struct slice *out);
enum err MUST_USE p_astring(struct imap_parse *p, struct slice *out);
/* ptr NULL for NIL */
enum err MUST_USE p_nstring(struct imap_parse *p, struct slice *out);
/* list-mailbox: as astring, with the wildcards */
enum err MUST_USE p_pattern(struct imap_parse *p, struct slice *out);
enum err MUST_USE p_number(struct imap_parse *p, uint64_t max, uint64_t *out);
enum err MUST_USE p_number32(struct imap_parse *p, uint32_t *out);
enum err MUST_USE p_set(struct imap_parse *p, struct imap_set *out);
/* "(" flag *(SP flag) ")", or the flags alone where bare is true (RFC 3501 §9 "store-att-flags"). */
enum err MUST_USE p_flags(struct imap_parse *p, bool bare, struct imap_flags *out);
/* astring with a size bound that is no mailbox name else */
enum err MUST_USE p_mailbox(struct imap_parse *p, struct slice *out);
enum err MUST_USE p_status_items(struct imap_parse *p, unsigned *out_items);

/* A list under construction in the arena. */
struct p_slices {
    struct slice *at;
    size_t count, cap;
};
enum err MUST_USE p_slices_add(
    struct imap_parse *p, struct p_slices *list, size_t count_max, struct slice s);

#endif
