/* Lines that a POP3 server sends. */
#include "proto/pop3/pop_reply.h"

static enum pop_code code_of(struct slice name)
{
    static const struct {
        struct slice name;
        enum pop_code code;
    } codes[] = {
        { SLICE_CONST("IN-USE"), POP_CODE_IN_USE },
        { SLICE_CONST("LOGIN-DELAY"), POP_CODE_LOGIN_DELAY },
        { SLICE_CONST("AUTH"), POP_CODE_AUTH },
        { SLICE_CONST("SYS/TEMP"), POP_CODE_SYS_TEMP },
        { SLICE_CONST("SYS/PERM"), POP_CODE_SYS_PERM },
        { SLICE_CONST("UTF8"), POP_CODE_UTF8 },
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (slice_eq_nocase(name, codes[i].name))
            return codes[i].code;
    return POP_CODE_OTHER;
}

/* Takes "word" off the front when a blank or the end follows. */
static bool take_word(struct slice *line, struct slice word)
{
    if (!slice_starts_nocase(*line, word))
        return false;
    if (line->len > word.len && line->ptr[word.len] != ' ')
        return false;
    *line = slice_from_index(*line, word.len + 1);
    return true;
}

enum err pop_parse_reply(struct slice line, struct pop_reply *out_reply)
{
    struct pop_reply reply = { .code = POP_CODE_NONE };
    if (take_word(&line, SLICE("+OK")))
        reply.status = POP_STATUS_OK;
    else if (take_word(&line, SLICE("-ERR")))
        reply.status = POP_STATUS_ERR;
    else if (take_word(&line, SLICE("+")))
        reply.status = POP_STATUS_CONTINUE;
    else
        return ERR_SYNTAX;
    /* resp-code = "[" 1*(%x21-5A / %x5C / %x5E-7E) "]"; only -ERR has ones that we know */
    if (reply.status == POP_STATUS_ERR && line.len > 0 && line.ptr[0] == '[') {
        size_t end = slice_index(line, ']');
        if (end < line.len) {
            reply.code = code_of(slice_sub(line, 1, end - 1));
            line = slice_from_index(line, end + 1);
        }
    }
    reply.text = reply.status == POP_STATUS_CONTINUE ? line : slice_trim(line);
    *out_reply = reply;
    return ERR_OK;
}

enum pop_capability pop_parse_capability(struct slice line, struct slice *out_rest)
{
    static const struct {
        struct slice name;
        enum pop_capability capability;
    } names[] = {
        { SLICE_CONST("STLS"), POP_CAPABILITY_STLS },
        { SLICE_CONST("TOP"), POP_CAPABILITY_TOP },
        { SLICE_CONST("UIDL"), POP_CAPABILITY_UIDL },
        { SLICE_CONST("USER"), POP_CAPABILITY_USER },
        { SLICE_CONST("SASL"), POP_CAPABILITY_SASL },
        { SLICE_CONST("PIPELINING"), POP_CAPABILITY_PIPELINING },
        { SLICE_CONST("UTF8"), POP_CAPABILITY_UTF8 },
        { SLICE_CONST("RESP-CODES"), POP_CAPABILITY_RESP_CODES },
    };
    struct slice rest = line, name = SLICE_EMPTY;
    (void)slice_cut(&rest, ' ', &name);
    *out_rest = slice_trim(rest);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (slice_eq_nocase(name, names[i].name))
            return names[i].capability;
    return POP_CAPABILITY_OTHER;
}

static enum err take_number(struct slice *line, uint32_t *out_number)
{
    struct slice word;
    uint64_t number;
    if (!slice_cut(line, ' ', &word) || slice_to_u64(word, UINT32_MAX, &number) || number == 0)
        return ERR_SYNTAX;
    *out_number = (uint32_t)number;
    return ERR_OK;
}

enum err pop_parse_list(struct slice line, uint32_t *out_number, uint64_t *out_bytes)
{
    struct slice word;
    uint32_t number;
    uint64_t bytes;
    TRY(take_number(&line, &number));
    if (!slice_cut(&line, ' ', &word) || slice_to_u64(word, INT64_MAX, &bytes))
        return ERR_SYNTAX;
    *out_number = number;
    *out_bytes = bytes;
    return ERR_OK;
}

enum err pop_parse_uidl(struct slice line, uint32_t *out_number, struct slice *out_uidl)
{
    *out_number = 0;
    TRY(take_number(&line, out_number));
    if (line.len == 0)
        return ERR_SYNTAX;
    if (line.len > POP_UIDL_BYTES_MAX)
        return ERR_LIMIT;
    for (size_t i = 0; i < line.len; i++)
        if (slice_at(line, i) <= ' ' || slice_at(line, i) > '~')
            return ERR_SYNTAX;
    *out_uidl = line;
    return ERR_OK;
}
