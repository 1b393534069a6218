/* The send verb. */
#ifndef BIN_VERB_SEND_H
#define BIN_VERB_SEND_H

#include "bin/cli.h"

/* As sendmail: [-t] [-i] [-f FROM] [RECIPIENT...]; or --to A ... with the parts of a message; or --flush. Returns an exit code. */
int verb_send(const struct cli *cli, int argc, char **argv);

#endif
