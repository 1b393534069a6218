/* Command lines of POP3. */
#include "proto/pop3/pop_parse.h"

enum pop_verb pop_parse_verb(struct slice line, struct slice *out_rest)
{
    static const struct {
        struct slice name;
        enum pop_verb verb;
    } verbs[] = {
        { SLICE_CONST("CAPA"), POP_CAPA },
        { SLICE_CONST("USER"), POP_USER },
        { SLICE_CONST("PASS"), POP_PASS },
        { SLICE_CONST("AUTH"), POP_AUTH },
        { SLICE_CONST("STLS"), POP_STLS },
        { SLICE_CONST("STAT"), POP_STAT },
        { SLICE_CONST("LIST"), POP_LIST },
        { SLICE_CONST("UIDL"), POP_UIDL },
        { SLICE_CONST("RETR"), POP_RETR },
        { SLICE_CONST("TOP"), POP_TOP },
        { SLICE_CONST("DELE"), POP_DELE },
        { SLICE_CONST("RSET"), POP_RSET },
        { SLICE_CONST("NOOP"), POP_NOOP },
        { SLICE_CONST("QUIT"), POP_QUIT },
        { SLICE_CONST("UTF8"), POP_UTF8 },
        { SLICE_CONST("LANG"), POP_LANG },
    };
    struct slice rest = line, name;
    *out_rest = SLICE_EMPTY;
    if (!slice_cut(&rest, ' ', &name))
        return POP_UNKNOWN;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (slice_eq_nocase(name, verbs[i].name)) {
            *out_rest = rest;
            return verbs[i].verb;
        }
    return POP_UNKNOWN;
}

bool pop_verb_takes_nothing(enum pop_verb verb)
{
    return verb == POP_CAPA || verb == POP_STLS || verb == POP_STAT || verb == POP_RSET ||
           verb == POP_NOOP || verb == POP_QUIT || verb == POP_UTF8;
}

/* language-range = (1*8ALPHA *("-" 1*8alphanum)) / "*"  RFC 4647 §2.1 */
enum err pop_parse_language(struct slice rest, struct slice *out_range)
{
    struct slice left = slice_trim(rest), range = left, subtag;
    if (left.len == 0)
        return ERR_NOT_FOUND;
    for (bool first = true; !slice_eq(range, SLICE("*")) && slice_cut(&left, '-', &subtag);
         first = false) {
        if (subtag.len == 0 || subtag.len > 8 || (left.len == 0 && range.ptr[range.len - 1] == '-'))
            return ERR_SYNTAX;
        for (size_t i = 0; i < subtag.len; i++) {
            char c = ascii_lower(subtag.ptr[i]);
            if (!(c >= 'a' && c <= 'z') && !(!first && c >= '0' && c <= '9'))
                return ERR_SYNTAX;
        }
    }
    *out_range = range;
    return ERR_OK;
}

enum err pop_parse_number(struct slice rest, uint32_t *out_number)
{
    uint64_t number;
    rest = slice_trim(rest);
    if (rest.len == 0)
        return ERR_NOT_FOUND;
    if (slice_to_u64(rest, UINT32_MAX, &number) != ERR_OK || number == 0)
        return ERR_SYNTAX;
    *out_number = (uint32_t)number;
    return ERR_OK;
}

enum err pop_parse_top(struct slice rest, uint32_t *out_number, uint32_t *out_lines)
{
    uint64_t lines;
    struct slice number;
    rest = slice_trim(rest);
    if (!slice_cut(&rest, ' ', &number) || rest.len == 0)
        return ERR_SYNTAX;
    uint32_t which;
    TRY(pop_parse_number(number, &which));
    if (slice_to_u64(slice_trim(rest), UINT32_MAX, &lines) != ERR_OK)
        return ERR_SYNTAX;
    *out_number = which;
    *out_lines = (uint32_t)lines;
    return ERR_OK;
}
