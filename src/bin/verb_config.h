/* barid config check | show | explain KEY. argv[0] is the verb. Returns the exit code. */
#ifndef BIN_VERB_CONFIG_H
#define BIN_VERB_CONFIG_H

#include "bin/cli.h"

int verb_config(const struct cli *cli, int argc, char **argv);

#endif
