/* A message made of what the command line says: header fields with encoded-words (RFC 2047), text as quoted-printable when it is more than short lines of
 * ASCII, attachments as base64 with their names (RFC 2231). Everything made here is ASCII. Blocking. */
#ifndef CLIENT_SMTP_SMTPC_COMPOSE_H
#define CLIENT_SMTP_SMTPC_COMPOSE_H

#include "base/buf.h"
#include "base/err.h"

#define SMTPC_TEXT_FILE_BYTES_MAX (16u << 20) /* of --text: it is held in memory */

struct smtpc_compose {
    const char *from;      /* address; borrowed, as all here */
    const char *real_name; /* NULL: none */
    const char *const *to, *const *cc,
                               *const *bcc; /* NULL-terminated lists of address lists; NULL: none */
    const char *subject;                    /* UTF-8; NULL: none */
    int text_fd;                            /* -1: no text */
    const char *const *attach;              /* paths; NULL-terminated; NULL: none */
};

/* Writes the message (LF line ends) to out_fd; Bcc is in it, for smtpc_intake to use and take out. ERR_NOT_FOUND: an
 * address that is none, which is the note; ERR_SYNTAX, ERR_LIMIT: what is wrong with the text; ERR_DENIED: a file that cannot be read; ERR_IO, ERR_NO_SPACE. */
enum err MUST_USE smtpc_compose(
    const struct smtpc_compose *compose, int out_fd, struct err_note *note);

/* Appends `Name <address>`, folded as smtpc_write_words does, or the address alone when name is empty. */
void smtpc_write_address(struct slice name, struct slice address, struct buf *out);
/* Appends UTF-8 text as the value of a header field: as it stands when it is short ASCII, else as encoded-words, folded with LF and a blank. */
void smtpc_write_words(struct slice utf8, struct buf *out);
/* Quoted-printable of text with LF line ends (RFC 2045 §6.7). */
void smtpc_write_quoted(struct slice text, struct buf *out);
/* A parameter `; name="value"` or in the way of RFC 2231, folded. */
void smtpc_write_parameter(const char *name, struct slice utf8, struct buf *out);

#endif
