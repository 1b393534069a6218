/* The verbs of a server: serve, status, fsck, rebuild. argv[0] is the verb. Each returns the exit code. */
#ifndef BIN_VERB_SERVE_H
#define BIN_VERB_SERVE_H

#include "bin/cli.h"
#include "server/core/run.h"

int verb_serve(const struct cli *cli, int argc, char **argv);
int verb_status(const struct cli *cli, int argc, char **argv);
int verb_fsck(const struct cli *cli, int argc, char **argv);
int verb_rebuild(const struct cli *cli, int argc, char **argv);

/* What each kind of listener speaks. */
struct server_options serve_options(struct config *config, bool confine);
/* Blocks the signals that end or reload a server, for this thread and all that it starts. Before server_new. */
void serve_block_signals(void);
/* Waits for SIGTERM or SIGINT and stops the server; SIGHUP reloads it. */
void serve_until_signal(struct server *server);

#endif
