/* What a program that takes only ASCII in header fields is shown of a message whose headers hold more: the surrogate of RFC 6858.
 *
 * Header fields of the message, of its MIME parts and of the messages in it come out in ASCII alone; all other bytes as they are. A field
 * that is ASCII already is not touched. Otherwise
 *   text (Subject, Comments, Keywords, Content-Description, X-...) becomes encoded-words (RFC 2047);
 *   an address that is not ASCII becomes one that nobody has, and its display name says which it was (RFC 6858 §2.1);
 *   a MIME parameter becomes the form of RFC 2231, which keeps what RFC 6858 §2.2 would throw away;
 *   any other field is left out (RFC 6858 §2.4); a line that is no field stays, with a "?" for each byte that is not ASCII.
 * Bytes that are not UTF-8 are taken as msg_decode_words takes them.
 *
 * Pure; one pass. Keeps one field, at most MIME_HEADER_BYTES_MAX; of a longer one the first bytes decide: it is left out, or passes with a "?" for
 * each byte that is not ASCII. */
#ifndef MESSAGE_DOWNGRADE_H
#define MESSAGE_DOWNGRADE_H

#include "base/arena.h"
#include "message/summary.h"

struct msg_downgrade {
    const struct msg_summary *summary; /* borrowed: says where the header sections are */
    /* private */
    size_t cursor;
    uint64_t at;
    struct msg_range section; /* the one that is next, or here; at UINT64_MAX after the last */
    struct buf field;         /* owned: what has come of the field */
    bool line_start, passing, dropping;
    struct arena arena;
};

void msg_downgrade_init(struct msg_downgrade *downgrade, const struct msg_summary *summary);
/* The message in pieces of any size; appends what they become. */
void msg_downgrade_feed(struct msg_downgrade *downgrade, struct slice piece, struct buf *out);
/* Once, after the last piece. */
void msg_downgrade_end(struct msg_downgrade *downgrade, struct buf *out);
void msg_downgrade_done(struct msg_downgrade *downgrade);

/* How many bytes a header section becomes that is in memory. For the scanner, which tells the size of the surrogate from it. */
uint64_t msg_downgrade_header_len(struct slice header);

#endif
