/* IMAP4rev1 sessions (RFC 3501 and the extensions listed in imapd_capability.c). */
#ifndef SERVER_IMAP_IMAPD_H
#define SERVER_IMAP_IMAPD_H

#include "net/conn.h"

/* listener_arg: struct server */
extern const struct conn_ops imapd_ops;

#endif
