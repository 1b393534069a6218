/* The queue verb. */
#ifndef BIN_VERB_QUEUE_H
#define BIN_VERB_QUEUE_H

#include "bin/cli.h"

/* [ACCOUNT], with cli->json as JSON; retry ID...; remove ID.... Returns an exit code. */
int verb_queue(const struct cli *cli, int argc, char **argv);

#endif
