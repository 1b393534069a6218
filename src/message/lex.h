/* The few lexical rules that structured header fields share (RFC 5322 §3.2): blanks, folding, comments, quoted strings.
 * Private to message/. Lenient: whatever is left open ends with the text. */
#ifndef MESSAGE_LEX_H
#define MESSAGE_LEX_H

#include "base/arena.h"
#include "base/slice.h"

struct lex {
    struct slice rest; /* what is not read yet; borrowed */
};

static inline bool lex_end(const struct lex *lex)
{
    return lex->rest.len == 0;
}

/* The next byte, or 0 at the end. */
static inline char lex_peek(const struct lex *lex)
{
    return lex->rest.len ? lex->rest.ptr[0] : 0;
}

static inline void lex_skip(struct lex *lex, size_t count)
{
    lex->rest.ptr += count;
    lex->rest.len -= count;
}

static inline bool lex_is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Skips blanks and comments. out_comment (may be NULL) is set to the inside of the last comment, if one was there. */
void lex_cfws(struct lex *lex, struct slice *out_comment);
/* At a '(': skips the comment, nested ones included (a counter, no recursion), and gives its inside. */
struct slice lex_comment(struct lex *lex);
/* At a '"': skips the quoted string and gives its inside, still escaped. */
struct slice lex_quoted(struct lex *lex);
/* The same, and whether its end was there. */
struct slice lex_quoted_closed(struct lex *lex, bool *out_closed);

/* Without backslashes of quoted pairs and without folding. Borrowed from raw when there is nothing to take out, else in the arena.
 * ptr NULL only over the arena's budget. */
struct slice lex_unquote(struct arena *arena, struct slice raw);
/* Without line ends. Same rules. */
struct slice lex_unfold(struct arena *arena, struct slice raw);
/* A comment's or phrase's inside as text: also without folding, blanks trimmed. */
struct slice lex_text(struct arena *arena, struct slice raw);

#endif
