/* What verb_user.c and verb_domain.c share. Private to the user verbs. */
#ifndef BIN_VERB_USER_INT_H
#define BIN_VERB_USER_INT_H

#include "auth/directory.h"
#include "bin/verb_user.h"

/* The configuration and its directory, both open. */
struct users {
    struct config *config;
    struct directory *directory;
};

/* EX_OK, or the exit code after saying why. Makes the data folder and the file when they are not there. */
int users_open(const struct cli *cli, struct users *out_users);
void users_close(struct users *users);
/* Sessions that may no longer be end, and the others begin anew with what is true now. */
void users_tell_server(const struct users *users, const struct user *user);
/* Says what a failure with this address means and returns the exit code. */
int users_failed(enum err e, const char *address);

#endif
