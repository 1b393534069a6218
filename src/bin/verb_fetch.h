/* The fetch verb. */
#ifndef BIN_VERB_FETCH_H
#define BIN_VERB_FETCH_H

#include "bin/cli.h"

/* [ACCOUNT] [--keep|--delete|--delete-after DAYS] [--all] [--large] [--dry-run], with cli->json as JSON. Returns an exit code. */
int verb_fetch(const struct cli *cli, int argc, char **argv);

#endif
