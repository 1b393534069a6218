/* What the files of account share. Private to client/core. */
#ifndef CLIENT_CORE_ACCOUNT_INT_H
#define CLIENT_CORE_ACCOUNT_INT_H

#include "client/core/account.h"
#include "client/core/word.h"

bool client_address_ok(struct slice address);
/* A host name in A-labels, an IP address, or the path of a socket. ERR_SYNTAX when it is none. Owned by the caller. */
enum err MUST_USE client_host_canonical(struct slice text, char **out_host);
bool client_host_is_local(const char *host);

void client_account_done(struct client_account *account);
void client_strings_free(char **strings);
size_t client_strings_count(char *const *strings);

#endif
