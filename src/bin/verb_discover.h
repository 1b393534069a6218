/* barid discover ADDRESS [--explain] [--resolver ADDR[@PORT]] [--ca-file FILE]: the servers of a mailbox anywhere, from its address alone. argv[0] is the
 * verb; returns the exit code. No password is asked for or sent, and nothing is written. */
#ifndef BIN_VERB_DISCOVER_H
#define BIN_VERB_DISCOVER_H

#include "bin/cli.h"

int verb_discover(const struct cli *cli, int argc, char **argv);

#endif
