/* barid undo: brings back what the last synchronisation removed (sync/undo.h). argv[0] is the verb; returns the exit code. */
#ifndef BIN_VERB_UNDO_H
#define BIN_VERB_UNDO_H

#include "bin/cli.h"

int verb_undo(const struct cli *cli, int argc, char **argv);

#endif
