/* What the servers of an account could do at their last login: a line for each in the file `logins` of its state folder. A server that suddenly takes
 * only something weaker is not the server, or is not alone on the line. Blocking. */
#ifndef CLIENT_CORE_REMEMBER_H
#define CLIENT_CORE_REMEMBER_H

#include "client/core/account.h"

/* The enum client_mechanism bit of the last login; 0: none is known. protocol: "imap", "pop3", "smtp". */
unsigned client_remembered(
    const char *state_folder, const char *protocol, const struct client_server *server);
/* Remembers it, durably; writes nothing when it is known already. */
enum err MUST_USE client_remember(const char *state_folder, const char *protocol,
    const struct client_server *server, unsigned mechanism, struct err_note *note);

#endif
