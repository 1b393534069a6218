/* Where the record of a login is kept: the file `oauth` of a state folder, or the key ring. Private to client/core. */
#ifndef CLIENT_CORE_OAUTH_KEEP_H
#define CLIENT_CORE_OAUTH_KEEP_H

#include "client/core/account.h"
#include "client/oauth/oauth_state.h"

struct oauth_keep {
    const struct client_account *account; /* borrowed */
    char *folder;                         /* owned, as the descriptors */
    int lock;
    int fresh; /* O-1: the new file, with room in it; -1: none yet */
};

/* Waits for the lock. ERR_BUSY: another run has had it for a minute. oauth_keep_close in any case. */
enum err MUST_USE oauth_keep_open(
    const struct client_account *account, struct oauth_keep *keep, struct err_note *note);
void oauth_keep_close(struct oauth_keep *keep);
/* ERR_NOT_FOUND: nobody has logged in. state was initialised. */
enum err MUST_USE oauth_keep_read(
    struct oauth_keep *keep, struct oauth_state *state, struct err_note *note);
/* Makes room for a record of so many bytes. */
enum err MUST_USE oauth_keep_reserve(struct oauth_keep *keep, size_t bytes, struct err_note *note);
/* Durable when it returns. */
enum err MUST_USE oauth_keep_write(
    struct oauth_keep *keep, const struct oauth_state *state, struct err_note *note);
void oauth_keep_forget(struct oauth_keep *keep);

#endif
