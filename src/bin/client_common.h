/* What the client verbs share: accounts, secrets, and what went wrong in words. */
#ifndef BIN_CLIENT_COMMON_H
#define BIN_CLIENT_COMMON_H

#include "bin/cli.h"
#include "client/core/connect.h"

/* An account with what a session needs. */
struct client_use {
    struct client_accounts accounts; /* owned */
    const struct client_account *account;
    char *state_folder; /* owned */
    struct buf secret;
    const struct client_account *secret_of; /* whose it is; NULL: none was asked for */
    bool token;
};

/* Reads accounts.conf. EX_OK, or the exit code after saying why; client_use_done in any case, as after the next two. */
int client_use_load(struct client_use *use);
/* Takes the account of that name or address (NULL: the first), and its state folder. */
int client_use_choose(struct client_use *use, const char *name);
/* Finds the account (NULL: the first) and its state folder. EX_OK, or the exit code after saying why; client_use_done in any case. */
int client_use_begin(struct client_use *use, const char *name);
/* Has the secret of the account ready, asking for it when that is the only way, and once; an access token is a new one each time that the old one ends soon. */
int client_use_secret(struct client_use *use);
/* After a login that failed: whether it is worth another one, with another token that is in use->secret now. For each session at most once: a server that refuses a
 * new token too refuses the person. False: failure says why there is none, when it is about that. */
bool client_use_renew(struct client_use *use, struct client_failure *failure);
void client_use_done(struct client_use *use);

/* Says why a session failed, with the next step; returns the exit code. */
int client_say_failure(const struct client_use *use, const struct client_server *server,
    const struct client_failure *failure);
/* Says words that may be a stranger's, below what was said. */
void client_say_safe(enum message_id id, const char *words);
int client_exit_code(const struct client_failure *failure);
/* One lower-case word, for --json. */
const char *client_why_name(enum client_why why);

/* "4.6 MB"; gives out back. */
const char *client_size(uint64_t bytes, char *out, size_t out_bytes);

#endif
