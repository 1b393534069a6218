/* Flags of IMAP (RFC 9051 §2.3.2) as the bits of a folder here (near.h), and back. */
#ifndef SYNC_FLAGS_H
#define SYNC_FLAGS_H

#include "proto/imap/imap_reply.h"
#include "sync/near.h"

/* Bits of a FLAGS list; keywords learns those that are new and have a letter left, and *out_new becomes true then. *out_left_out (may be NULL) becomes true when
 * a keyword has none. \Recent, and what begins with "\" and is not ours to keep, is no flag here. */
uint32_t sync_flag_bits(struct sync_keywords *keywords, const struct imap_value *list,
    bool *out_new, bool *out_left_out);
/* "(\\Seen $x)" */
void sync_flag_names(const struct sync_keywords *keywords, uint32_t flags, struct buf *out);

#endif
