/* A message from a program (as sendmail takes it) on its way into the queue: line ends become CRLF, Bcc goes, what is missing in the header is
 * added, and who is to get it is found out. Blocking; memory for the header only. */
#ifndef CLIENT_SMTP_SMTPC_INTAKE_H
#define CLIENT_SMTP_SMTPC_INTAKE_H

#include "client/smtp/smtpc_record.h"

#define SMTPC_HEADER_BYTES_MAX (1u << 20)

struct smtpc_intake {
    int fd;                   /* borrowed; where the message is read from */
    bool dot_ends;            /* a line with a dot alone is the end, as without -i */
    struct buf header;        /* owned; CRLF line ends, without the blank line */
    struct buf ahead;         /* owned; read, and not yet taken */
    bool ended;        /* the input; private */
};

void smtpc_intake_init(struct smtpc_intake *intake, int fd, bool dot_ends);
void smtpc_intake_done(struct smtpc_intake *intake);
/* Reads the header. ERR_LIMIT over SMTPC_HEADER_BYTES_MAX; ERR_SYNTAX: a NUL in it; ERR_IO. */
enum err MUST_USE smtpc_intake_header(struct smtpc_intake *intake, struct err_note *note);
/* Appends the address of From; nothing when there is none. */
void smtpc_intake_from(const struct smtpc_intake *intake, struct buf *out);

struct smtpc_intake_options {
    bool recipients;     /* from To, Cc and Bcc, as -t; else the record has them already */
    const char *address; /* of From when the message has none; and the domain of a new Message-ID */
    const char *real_name; /* for it; NULL */
    int64_t now_s;
};
/* Writes the whole message to out_fd and fills what the record says about it: message_id, subject, bytes, has_8bit, needs_utf8, recipients. ERR_SYNTAX: note says
 * what is wrong (an address, a NUL); ERR_LIMIT: too many recipients; ERR_IO, ERR_NO_SPACE. */
enum err MUST_USE smtpc_intake_finish(struct smtpc_intake *intake,
    const struct smtpc_intake_options *options, int out_fd, struct smtpc_record *record,
    struct err_note *note);

/* Adds the addresses of a list ("a@x, B <b@y>") to the record. ERR_SYNTAX: note names the one that is none. */
enum err MUST_USE smtpc_add_addresses(
    struct smtpc_record *record, struct slice list, struct err_note *note);

#endif
