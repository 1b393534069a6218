/* barid copy: all mail of one mailbox into another (copy/copy.h). */
#ifndef BIN_VERB_COPY_H
#define BIN_VERB_COPY_H

#include "bin/cli.h"

/* FROM TO [--folder NAME]... [--dry-run] [--quiet] */
int verb_copy(const struct cli *cli, int argc, char **argv);

#endif
