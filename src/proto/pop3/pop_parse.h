/* One POP3 command line, taken apart (RFC 1939, RFC 2449, RFC 2595, RFC 5034, RFC 6856). Pure: borrows from the line, which comes without its CRLF. */
#ifndef PROTO_POP3_POP_PARSE_H
#define PROTO_POP3_POP_PARSE_H

#include "base/slice.h"

enum pop_verb {
    POP_UNKNOWN,
    POP_CAPA,
    POP_USER,
    POP_PASS,
    POP_AUTH,
    POP_STLS,
    POP_STAT,
    POP_LIST,
    POP_UIDL,
    POP_RETR,
    POP_TOP,
    POP_DELE,
    POP_RSET,
    POP_NOOP,
    POP_QUIT,
    POP_UTF8,
    POP_LANG,
};

/* The verb, and what stands after its blank: all of it, blanks included (a password may hold them). */
enum pop_verb pop_parse_verb(struct slice line, struct slice *out_rest);
/* Whether more than blanks after the verb is a mistake. */
bool pop_verb_takes_nothing(enum pop_verb verb);
/* LANG: a language range (RFC 4647 §2.1). ERR_NOT_FOUND when there is none, ERR_SYNTAX for anything else. */
enum err MUST_USE pop_parse_language(struct slice rest, struct slice *out_range);
/* One message number from 1; no number: ERR_NOT_FOUND. ERR_SYNTAX for anything else. */
enum err MUST_USE pop_parse_number(struct slice rest, uint32_t *out_number);
/* TOP: message number and how many lines (0 and more). */
enum err MUST_USE pop_parse_top(struct slice rest, uint32_t *out_number, uint32_t *out_lines);

#endif
