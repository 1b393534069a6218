/* Shared by server.c and control.c. */
#ifndef SERVER_CORE_SERVER_INT_H
#define SERVER_CORE_SERVER_INT_H

#include "server/core/run.h"

/* Ends every session of a user; returns how many there were. */
size_t server_end_sessions(struct server *server, struct slice user_id);
/* Ends those of them that one app password opened. */
size_t server_end_device(struct server *server, struct slice user_id, int64_t device);
/* Whether a POP3 session of the user has its list. */
bool server_has_maildrop(struct server *server, const char *user_id);
/* Sessions of a protocol that are logged in. */
size_t server_sessions(struct server *server, enum protocol protocol);

#endif
