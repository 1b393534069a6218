/* mbox (RFC 4155): messages one after the other in a file, each behind a line that begins with "From ". What the file's format has put into a message is
 * taken out again: quotes before "From " in the text, the blank line at its end, and the header fields in which mail servers keep what they know of it.
 *
 * Pure: takes pieces of lines in order, keeps its place between them, appends what is the message's own. */
#ifndef IMPORT_MBOX_H
#define IMPORT_MBOX_H

#include "base/buf.h"

enum import_quoting {
    IMPORT_MBOXRD, /* each line of one or more '>' and "From " got one '>' more */
    IMPORT_MBOXO,  /* a line "From " got one, and nobody knows which others had one already */
};

/* Whether a line begins a message: "From ", a sender, a date as in "Thu Nov 26 21:06:54 2026", perhaps with a zone before or behind the year. *out_s is
 * the date as if it were in UTC (RFC 4155 has it so). */
bool import_mbox_from(struct slice line, int64_t *out_s);

#define IMPORT_FIELD_BYTES_MAX 8192u /* of such a header field; what is longer is cut */

struct import_mbox {
    enum import_quoting quoting;
    /* what header fields said; read it after the header */
    unsigned system;        /* enum store_flag: Status, X-Status */
    struct buf keywords;    /* X-Keywords, with blanks between */
    struct buf uidl;        /* X-UIDL */
    uint32_t uid;           /* X-UID; 0: none */
    uint32_t uidvalidity;   /* X-IMAPbase or X-IMAP, in the first message of a file; 0: none */
    bool internal;          /* X-IMAP: no mail but the memory of a program (UW), which stands first in its files */
    /* private */
    int field;              /* of the header: which of ours; -1 another */
    struct buf value;
    bool in_header, held_blank, held_cr;
};

void import_mbox_init(struct import_mbox *m, enum import_quoting quoting);
void import_mbox_done(struct import_mbox *m);
/* The next message begins. */
void import_mbox_begin(struct import_mbox *m);
/* A piece of it; begins: of a line. A blank line is held back until it is known that it is not the last. */
void import_mbox_piece(struct import_mbox *m, struct slice piece, bool begins, struct buf *out);
/* The message is whole. */
void import_mbox_end(struct import_mbox *m);

#endif
