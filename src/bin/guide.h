/* The texts of the guide, all files of data/guide in .en and .ar, embedded in the program, and what fills them in.
 *
 *     # a comment
 *     == NAME                     a section, to the next one; blank lines at its ends are not part of it
 *     There are {messages:message} in {folder}; braces are {{ and }}.
 *     == noun message
 *     one = one message           the forms of a counted noun; {n} is the number
 *     other = {n} messages
 *
 * {name} is a value as it stands, {name:noun} a number with the noun in the form it takes. A line that begins with four blanks is to be copied: nothing is put into it
 * but the values, of which a text is one word of a shell where the line begins with "barid", and escaped for mutt where it begins
 * with "set". In other lines a value whose direction may differ from the text's is isolated (U+2068, U+2069), so that it and the marks around it stand where they belong; and an Arabic line begins with U+200F, for where its first word is a Latin one. Terminals that know no bidi show nothing in their place. They are left out of
 * lines that are copied because they would be copied too, into a host name that then is not found. */
#ifndef BIN_GUIDE_H
#define BIN_GUIDE_H

#include "base/buf.h"
#include "bin/catalogue.h"

/* The plural categories of Unicode; English uses ONE and OTHER. */
enum plural {
    PLURAL_ZERO,
    PLURAL_ONE,
    PLURAL_TWO,
    PLURAL_FEW,  /* 3 to 10, 103 to 110 ...: the noun in the plural */
    PLURAL_MANY, /* 11 to 99, 111 to 199 ...: the noun in the singular, accusative */
    PLURAL_OTHER,
    PLURAL_COUNT
};
enum plural plural_of(enum lang lang, uint64_t number);
/* "zero", "one", "two", "few", "many", "other". */
const char *plural_name(enum plural plural);

struct guide_value {
    const char *name;
    enum {
        GUIDE_NUMBER,
        GUIDE_BYTES, /* as "4.2 MB" */
        GUIDE_WORDS, /* ours, in the language of the text */
        GUIDE_TEXT,  /* of others: what a terminal should not get becomes "?" */
    } kind;
    uint64_t number;
    struct slice text;
};

/* Goes through the sections of a language: start with *cursor = 0. False at the end. Both slices live as long as the program. */
bool guide_next(enum lang lang, size_t *cursor, struct slice *out_name, struct slice *out_text);
/* ERR_NOT_FOUND. */
enum err MUST_USE guide_section(enum lang lang, struct slice name, struct slice *out_text);
/* Appends the text with its values. ERR_NOT_FOUND: a value, a noun or a form of it that is not there, or a noun for what is no number; ERR_SYNTAX: a brace
 * without its partner, or nothing between them. What was appended before an error stays. */
enum err MUST_USE guide_expand(enum lang lang, struct slice text, const struct guide_value *values, size_t count, struct buf *out);
/* The next placeholder of a text: its name and its noun (empty: none). *rest is what stands behind it. False: there is none, or what is left is no text
 * that guide_expand takes. */
bool guide_placeholder(struct slice *rest, struct slice *out_name, struct slice *out_noun);
/* Breaks lines that are wider than a terminal at blanks, not at those of an isolated value; lines to be copied stay whole. */
void guide_fold(struct slice text, size_t columns, struct buf *out);
/* "4.2 MB", of 1024. */
void guide_bytes(enum lang lang, uint64_t bytes, struct buf *out);

#endif
