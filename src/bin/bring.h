/* A copy of an account that lies in incoming/ of the data folder is brought into a user's account: by the server that runs on it, or by us. */
#ifndef BIN_BRING_H
#define BIN_BRING_H

#include "server/core/config.h"
#include "store/store.h"

/* "incoming/WORD-" and random digits: a name that nothing has. */
#define BRING_NAME_BYTES 48
void bring_name(const char *word, char *out_name);

/* store: NULL when a server runs. Adds what is missing (store_restore). */
enum err MUST_USE bring_add(const struct config *config, struct store *store, const char *user_id,
    const struct store_restore_args *args, struct store_restore_result *out_result);
/* Puts the copy in the account's place (store_replace). out_result: nothing is counted. */
enum err MUST_USE bring_replace(const struct config *config, struct store *store,
    const char *user_id, const struct store_restore_args *args,
    struct store_restore_result *out_result);

#endif
