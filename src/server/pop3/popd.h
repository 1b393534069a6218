/* POP3 sessions (RFC 1939, without APOP). */
#ifndef SERVER_POP3_POPD_H
#define SERVER_POP3_POPD_H

#include "net/conn.h"

/* listener_arg: struct server */
extern const struct conn_ops popd_ops;

#endif
