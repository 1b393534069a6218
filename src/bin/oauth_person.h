/* A person who logs in at the provider's page: what is said, and the browser. */
#ifndef BIN_OAUTH_PERSON_H
#define BIN_OAUTH_PERSON_H

#include "client/core/account.h"

/* Shows page and code, waits, and keeps the tokens. EX_OK, or the exit code after saying why. */
int oauth_person_login(const struct client_account *account, bool browser);

#endif
