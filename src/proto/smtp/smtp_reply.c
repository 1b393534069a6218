/* Lines that an SMTP server sends. */
#include "proto/smtp/smtp_reply.h"

/* Reply-line = Reply-code [ SP textstring ] / Reply-code "-" [ textstring ]  RFC 5321 §4.2 */
enum err smtp_parse_reply(struct slice line, struct smtp_reply_line *out_line)
{
    int code = 0;
    if (line.len < 3)
        return ERR_SYNTAX;
    for (size_t i = 0; i < 3; i++) {
        if (line.ptr[i] < '0' || line.ptr[i] > '9')
            return ERR_SYNTAX;
        code = code * 10 + (line.ptr[i] - '0');
    }
    if (code < 200 || code > 599)
        return ERR_SYNTAX;
    if (line.len > 3 && line.ptr[3] != ' ' && line.ptr[3] != '-')
        return ERR_SYNTAX;
    *out_line = (struct smtp_reply_line){
        .code = code,
        .last = line.len == 3 || line.ptr[3] == ' ',
        .text = slice_trim(slice_from_index(line, 4)),
    };
    return ERR_OK;
}

enum smtp_extension smtp_parse_extension(struct slice text, struct slice *out_rest)
{
    static const struct {
        struct slice name;
        enum smtp_extension extension;
    } names[] = {
        { SLICE_CONST("STARTTLS"), SMTP_EXTENSION_STARTTLS },
        { SLICE_CONST("AUTH"), SMTP_EXTENSION_AUTH },
        { SLICE_CONST("PIPELINING"), SMTP_EXTENSION_PIPELINING },
        { SLICE_CONST("SIZE"), SMTP_EXTENSION_SIZE },
        { SLICE_CONST("8BITMIME"), SMTP_EXTENSION_8BITMIME },
        { SLICE_CONST("SMTPUTF8"), SMTP_EXTENSION_SMTPUTF8 },
        { SLICE_CONST("DSN"), SMTP_EXTENSION_DSN },
        { SLICE_CONST("CHUNKING"), SMTP_EXTENSION_CHUNKING },
    };
    struct slice rest = text, name = SLICE_EMPTY;
    (void)slice_cut(&rest, ' ', &name);
    *out_rest = slice_trim(rest);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (slice_eq_nocase(name, names[i].name))
            return names[i].extension;
    return SMTP_EXTENSION_OTHER;
}

void smtp_write_xtext(struct slice text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = slice_at(text, i);
        if (c > ' ' && c < 0x7f && c != '+' && c != '=')
            buf_addc(out, (char)c);
        else
            buf_addf(out, "+%02X", c);
    }
}
