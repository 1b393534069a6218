/* Accounts that log in at their provider's page: where their tokens are kept, and new ones.
 *
 * They are in the file `oauth` of the account's state folder (0600), or with secret-service in the key ring. A run that needs a new access token does so
 * with `oauth.lock` held, so that two at once do not spend one refresh token twice:
 *
 *     O-1  Room for the new record is made before the old refresh token is sent: a full disk spends no token.
 *     O-2  The new record is on the disk before its access token is used, and takes the place of the old one in one step: killed anywhere, a run leaves the one
 *          or the other.
 *     O-3  What belongs to another issuer than accounts.conf names is not used. */
#ifndef CLIENT_CORE_OAUTH_LOGIN_H
#define CLIENT_CORE_OAUTH_LOGIN_H

#include "client/core/account.h"
#include "client/oauth/oauth.h"

/* Whether accounts.conf says so. */
bool client_uses_oauth(const struct client_account *account);

/* The access token, appended to out; a new one is had when the one that is kept ends soon, or is `refused` ("": none was). ERR_AUTH: somebody has to log in
 * (anew); ERR_TIMEOUT, ERR_CLOSED, ERR_BUSY: later; others: note says why. */
enum err MUST_USE client_oauth_token(const struct client_account *account, struct slice refused,
    struct buf *out, struct err_note *note);

/* Somebody logs in; the tokens are kept. A client id is the account's own, the one of an earlier login, or one that the server gives. A code to type is preferred to
 * a page that comes back, where the server knows it, unless browser. On an error failure says why; nothing was changed then. */
enum err MUST_USE client_oauth_login(const struct client_account *account,
    const struct oauth_person *person, bool browser, struct oauth_failure *failure);

/* Forgets the tokens. */
void client_oauth_forget(const struct client_account *account);

#endif
