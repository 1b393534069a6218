/* One SMTP or LMTP command line, taken apart (RFC 5321 §4.1, RFC 2033, RFC 1870, RFC 3030, RFC 4954, RFC 6152, RFC 6531).
 *
 * Pure: borrows from the line, allocates nothing. A line comes without its CRLF. */
#ifndef PROTO_SMTP_SMTP_PARSE_H
#define PROTO_SMTP_SMTP_PARSE_H

#include "base/buf.h"
#include "base/limits.h"
#include "base/slice.h"

enum smtp_verb {
    SMTP_UNKNOWN,
    SMTP_HELO,
    SMTP_EHLO,
    SMTP_LHLO,
    SMTP_MAIL,
    SMTP_RCPT,
    SMTP_DATA,
    SMTP_BDAT,
    SMTP_RSET,
    SMTP_NOOP,
    SMTP_QUIT,
    SMTP_VRFY,
    SMTP_HELP,
    SMTP_STARTTLS,
    SMTP_AUTH,
    SMTP_NOT_DONE, /* EXPN, ETRN, TURN and the like: known, never done (502) */
};

/* The verb, and what stands after it without the blank between. */
enum smtp_verb smtp_parse_verb(struct slice line, struct slice *out_rest);

/* A mailbox as it stands in a path, checked: "local@domain" with the quotes of a quoted local part taken off where they say nothing. */
struct smtp_path {
    char address[USER_NAME_BYTES_MAX + 1]; /* "" for <> */
    bool utf8;                             /* it needs SMTPUTF8 (RFC 6531 §3.3) */
};

struct smtp_mail {
    struct smtp_path path;
    uint64_t size; /* 0 = not said */
    bool body_8bit, smtputf8;
};

/* Arguments of MAIL: "FROM:<path> parameters". ERR_SYNTAX: 501; ERR_NOT_FOUND: a parameter that is not known (555); ERR_LIMIT: too long. */
enum err MUST_USE smtp_parse_mail(struct slice rest, struct smtp_mail *out_mail);
/* Arguments of RCPT: "TO:<path>". <Postmaster> without a domain is allowed (RFC 5321 §4.5.1). */
enum err MUST_USE smtp_parse_rcpt(struct slice rest, struct smtp_path *out_path);
/* "1234 LAST" (RFC 3030 §2). */
enum err MUST_USE smtp_parse_bdat(struct slice rest, uint64_t *out_bytes, bool *out_last);
/* The name a client gives itself: a domain or an address literal; 1 to 255 printable characters without blanks and brackets that lie. */
bool smtp_name_ok(struct slice name);
/* Appends "FROM:<...> SIZE=..." so that smtp_parse_mail reads the same back. */
void smtp_write_mail(const struct smtp_mail *mail, struct buf *out);

#endif
