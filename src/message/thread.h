/* What SORT and THREAD compare (RFC 5256): base subjects and message ids. */
#ifndef MESSAGE_THREAD_H
#define MESSAGE_THREAD_H

#include "base/buf.h"
#include "base/slice.h"

/* Appends the base subject of a raw Subject in UTF-8, by exactly the steps of RFC 5256 §2.1. *out_is_reply (may be NULL): something that marks a
 * reply or a forwarded message was taken off (§3). */
void msg_base_subject(struct slice raw, struct buf *out, bool *out_is_reply);

/* Appends the ids that thread a message, each with "\n" behind it, without "<" and ">", quotes taken off: first its own (empty when it
 * has none), then its references, oldest first: those of References, else the first of In-Reply-To (RFC 5256 §3, REFERENCES). At most THREAD_IDS_MAX
 * references: of more the oldest one and the newest. header: any fields, these three among them. */
void msg_thread_ids(struct slice header, struct buf *out);

#endif
