/* The one-off verbs on a mailbox of any provider, by IMAP (mail_session.h). Each returns an exit code. */
#ifndef BIN_VERB_MAIL_H
#define BIN_VERB_MAIL_H

#include "bin/cli.h"

/* [ACCOUNT:][FOLDER] [-n N | --all] */
int verb_ls(const struct cli *cli, int argc, char **argv);
/* FOLDER|[ACCOUNT:]--all WORD... */
int verb_search(const struct cli *cli, int argc, char **argv);
/* FOLDER UIDS +FLAG|-FLAG... */
int verb_flag(const struct cli *cli, int argc, char **argv);
/* FOLDER UIDS TARGET [--make] */
int verb_mv(const struct cli *cli, int argc, char **argv);
/* FOLDER UIDS [--for-good] */
int verb_rm(const struct cli *cli, int argc, char **argv);
/* FOLDER UID [--peek] */
int verb_read(const struct cli *cli, int argc, char **argv);
/* FOLDER UID [--attachments | --part N] [--to FOLDER] */
int verb_save(const struct cli *cli, int argc, char **argv);
/* [ACCOUNT] */
int verb_quota(const struct cli *cli, int argc, char **argv);

#endif
