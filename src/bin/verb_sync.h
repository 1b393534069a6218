/* barid sync: the two-way copy of an account (sync/sync.h). */
#ifndef BIN_VERB_SYNC_H
#define BIN_VERB_SYNC_H

#include "bin/cli.h"

int verb_sync(const struct cli *cli, int argc, char **argv);

#endif
