/* Addresses as they are written to servers. */
#ifndef CLIENT_CORE_ADDRESS_H
#define CLIENT_CORE_ADDRESS_H

#include "base/buf.h"
#include "base/err.h"

/* Appends local@host: the local part (without quotes) in quotes where it needs them; a host outside ASCII in A-labels when the local part is ASCII, so that no
 * server has to know SMTPUTF8 for it. ERR_SYNTAX: one is empty or has characters that cannot be seen. */
enum err MUST_USE client_address_write(struct slice local, struct slice host, struct buf *out);

#endif
