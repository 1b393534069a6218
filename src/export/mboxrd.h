/* One message as it stands in an mbox (mboxrd; RFC 4155 is about the other lines): a line "From ", LF line ends, a ">" more before lines that look like such a line,
 * the fields Status, X-Status and X-Keywords at the end of the header, a blank line behind it all.
 *
 * Fields of those names that the sender wrote are left out, as are the others in which programs keep what they know of a message: whoever reads the file would take them
 * for the keeper's word. A CR CR LF stays as it is, so that every message ending with a line end comes back byte for byte but for those fields.
 *
 * Pure: takes the message in pieces of any size. */
#ifndef EXPORT_MBOXRD_H
#define EXPORT_MBOXRD_H

#include "base/buf.h"

#define EXPORT_FIELD_NAME_MAX 16u /* the longest name that is looked for, and its colon */

struct export_mboxrd {
    struct slice status; /* borrowed: the lines that go in at the end of the header */
    bool in_header, in_field_left_out;
    bool at_start; /* of a line of the text, or behind quotes there */
    bool held_cr, took_cr;
    bool ended;      /* the last byte was a line end */
    size_t from;     /* letters of "From " that matched */
    struct buf held; /* the beginning of a header line, until it is known what it is */
    bool deciding;   /* at the beginning of such a line */
};

/* "From MAILER-DAEMON Thu Nov 26 10:00:00 2026": the date in UTC, as those that read it take it. */
void export_mboxrd_from(int64_t received_s, struct buf *out);
/* status: "Status: RO\nX-Status: F\n" or "". */
void export_mboxrd_begin(struct export_mboxrd *m, struct slice status);
void export_mboxrd_piece(struct export_mboxrd *m, struct slice piece, struct buf *out);
/* With the blank line. */
void export_mboxrd_end(struct export_mboxrd *m, struct buf *out);
void export_mboxrd_done(struct export_mboxrd *m);

#endif
