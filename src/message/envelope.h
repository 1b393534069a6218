/* Reading ENVELOPE (RFC 3501 §7.4.2) as form.c writes it. Private to message/.
 *
 * It comes from a summary and so from a database: whatever the bytes are, nothing is read beyond them. */
#ifndef MESSAGE_ENVELOPE_H
#define MESSAGE_ENVELOPE_H

#include "base/buf.h"
#include "base/slice.h"

struct envelope_string {
    struct slice bytes; /* borrowed; ptr NULL for NIL */
    bool escaped;       /* backslashes stand in it */
};

struct envelope_address {
    struct envelope_string name, mailbox, host;
};

enum envelope_list {
    ENVELOPE_FROM,
    ENVELOPE_SENDER,
    ENVELOPE_REPLY_TO,
    ENVELOPE_TO,
    ENVELOPE_CC,
    ENVELOPE_FIRSTS,
};

/* Date as it was sent. NIL when there is none. */
void envelope_date(struct slice envelope, struct envelope_string *out_date);
/* The first address of each list; all NIL for a list that is NIL, and from the place on where the bytes are no ENVELOPE. */
void envelope_firsts(struct slice envelope, struct envelope_address out_firsts[ENVELOPE_FIRSTS]);
/* Appends the string itself. */
void envelope_text(const struct envelope_string *string, struct buf *out);

#endif
