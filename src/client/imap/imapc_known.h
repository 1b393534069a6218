/* What the server last told of each mailbox: who waits for news compares it with what the server says when waiting begins, so that nothing is missed that happens
 * between looking and waiting. */
#ifndef CLIENT_IMAP_IMAPC_KNOWN_H
#define CLIENT_IMAP_IMAPC_KNOWN_H

#include "base/map.h"

/* 0: it did not say. */
struct imapc_numbers {
    uint32_t uidvalidity, uidnext, messages;
    uint64_t modseq;
};

struct imapc_known {
    struct map numbers; /* of owned imapc_numbers, by the names as the server writes them */
};

void imapc_known_init(struct imapc_known *known);
void imapc_known_done(struct imapc_known *known);
/* Forgets all mailboxes. */
void imapc_known_clear(struct imapc_known *known);
/* All 0: a mailbox that nobody wants to hear of. INBOX is the same in any case, here as below. */
void imapc_known_set(
    struct imapc_known *known, struct slice name, const struct imapc_numbers *numbers);
/* Whether that is another state than the known one. Numbers that one of both does not have tell nothing; a mailbox that is not known is another state. */
bool imapc_known_differs(
    const struct imapc_known *known, struct slice name, const struct imapc_numbers *now);

#endif
