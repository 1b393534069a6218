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
