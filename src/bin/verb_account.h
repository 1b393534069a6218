/* barid account add | list | remove: the accounts of the client half (client/core/account.h). argv[0] is the verb; returns the exit code. */
#ifndef BIN_VERB_ACCOUNT_H
#define BIN_VERB_ACCOUNT_H

#include "bin/cli.h"

int verb_account(const struct cli *cli, int argc, char **argv);

#endif
