/* Verbs that compare a mailbox of any provider with files here, or make such files. Each returns an exit code. */
#ifndef BIN_VERB_FILES_H
#define BIN_VERB_FILES_H

#include "bin/cli.h"

/* ACCOUNT[:FOLDER]... PATH [--format maildir|mbox] [--dry-run] */
int verb_export(const struct cli *cli, int argc, char **argv);
/* [ACCOUNT] [--bytes] */
int verb_verify(const struct cli *cli, int argc, char **argv);
/* MESSAGE-ID [ACCOUNT] */
int verb_log(const struct cli *cli, int argc, char **argv);

#endif
