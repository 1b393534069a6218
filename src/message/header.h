/* Header fields of RFC 5322 §2.2, as they come: obsolete syntax, missing blank lines and 8-bit included. Borrowed slices only. */
#ifndef MESSAGE_HEADER_H
#define MESSAGE_HEADER_H

#include "base/buf.h"
#include "base/slice.h"

struct msg_field {
    struct slice whole; /* name, colon, value, folding and final line end */
    struct slice name;  /* without blanks before the colon */
    struct slice value; /* raw, after the colon, folding inside, without the final line end */
};

/* Takes the next field off *header. False at the blank line or the end. Lines that are no field are skipped. */
bool msg_field_next(struct slice *header, struct msg_field *out_field);

/* First field of that name (ASCII case ignored). */
bool msg_field_find(struct slice header, struct slice name, struct msg_field *out_field);

/* Appends the fields named (or, with negate, all others) as they stand, without the final blank line. RFC 3501 §6.4.5. */
void msg_header_fields(struct slice header, const struct slice *names, size_t count, bool negate, struct buf *out);

/* Length of the header section at the start of message: up to and with the blank line; all of it when there is none. */
size_t msg_header_len(struct slice message);

/* Appends value with folding removed (CRLF before a blank dropped), outer blanks trimmed. */
void msg_unfold(struct slice value, struct buf *out);

#endif
