/* What an SMTP or LMTP server says, taken apart (RFC 5321 §4.2, RFC 2034, RFC 4954). Pure: borrows from the line, which comes without its CRLF. */
#ifndef PROTO_SMTP_SMTP_REPLY_H
#define PROTO_SMTP_SMTP_REPLY_H

#include "base/buf.h"
#include "base/slice.h"

struct smtp_reply_line {
    int code;          /* 200 to 599 */
    bool last;         /* no further line of this reply follows */
    struct slice text; /* behind the code, with the enhanced status code when there is one */
};

/* ERR_SYNTAX: a line that is no reply. */
enum err MUST_USE smtp_parse_reply(struct slice line, struct smtp_reply_line *out_line);

enum smtp_extension {
    SMTP_EXTENSION_OTHER,
    SMTP_EXTENSION_STARTTLS,
    SMTP_EXTENSION_AUTH, /* its mechanisms are the words of *out_rest */
    SMTP_EXTENSION_PIPELINING,
    SMTP_EXTENSION_SIZE, /* *out_rest is the number, or "" */
    SMTP_EXTENSION_8BITMIME,
    SMTP_EXTENSION_SMTPUTF8,
    SMTP_EXTENSION_DSN,
    SMTP_EXTENSION_CHUNKING,
};

/* One line of the answer to EHLO, behind its code. */
enum smtp_extension smtp_parse_extension(struct slice text, struct slice *out_rest);

/* xtext (RFC 3461 §4): printable ASCII, everything else and "+" and "=" as +XX. */
void smtp_write_xtext(struct slice text, struct buf *out);

#endif
