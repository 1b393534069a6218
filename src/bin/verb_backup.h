/* backup and restore. */
#ifndef BIN_VERB_BACKUP_H
#define BIN_VERB_BACKUP_H

#include "bin/cli.h"

int verb_backup(const struct cli *cli, int argc, char **argv);
int verb_restore(const struct cli *cli, int argc, char **argv);

#endif
