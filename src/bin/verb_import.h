/* import: mail from the files of another server. */
#ifndef BIN_VERB_IMPORT_H
#define BIN_VERB_IMPORT_H

#include "bin/cli.h"

int verb_import(const struct cli *cli, int argc, char **argv);

#endif
