/* Pieces of IMAP answers and commands (RFC 3501 §9). */
#ifndef PROTO_IMAP_WRITE_H
#define PROTO_IMAP_WRITE_H

#include "base/buf.h"

/* System flags as bits; the numbers of the first five are those of the store. */
enum imap_flag {
    IMAP_SEEN = 1 << 0,
    IMAP_ANSWERED = 1 << 1,
    IMAP_FLAGGED = 1 << 2,
    IMAP_DELETED = 1 << 3,
    IMAP_DRAFT = 1 << 4,
    IMAP_RECENT = 1 << 5,
};

/* Whether s can stand as an atom / as an astring without quotes. */
bool imap_is_atom(struct slice s);
/* Quoted when it can be, else a literal. NUL must not occur. */
void imap_write_string(struct buf *out, struct slice s);
/* An atom when it can be. */
void imap_write_astring(struct buf *out, struct slice s);
/* "NIL" when ptr is NULL. */
void imap_write_nstring(struct buf *out, struct slice s);
/* A mailbox name given in UTF-8. */
void imap_write_mailbox(struct buf *out, struct slice utf8);
/* "(\Seen $Forwarded)" */
void imap_write_flags(
    struct buf *out, unsigned flags, const struct slice *keywords, size_t keyword_count);

#endif
