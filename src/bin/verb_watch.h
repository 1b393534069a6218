/* barid watch: synchronises an account whenever something changed, until it is stopped. argv[0] is the verb; returns the exit code. */
#ifndef BIN_VERB_WATCH_H
#define BIN_VERB_WATCH_H

#include "bin/cli.h"

int verb_watch(const struct cli *cli, int argc, char **argv);

#endif
