/* What the verbs that use IMAP share. */
#ifndef BIN_CLIENT_IMAP_H
#define BIN_CLIENT_IMAP_H

#include "bin/client_common.h"
#include "client/imap/imapc.h"

/* Logs in at the account's IMAP server with use->secret, no weaker than the last time, and remembers how. A token that the server refuses is renewed
 * once. */
enum err MUST_USE client_imap_open(
    struct client_use *use, struct imapc **out_imap, struct client_failure *failure);

#endif
