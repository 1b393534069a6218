/* barid demo: the whole system on loopback, with sample mail, gone at the end. argv[0] is the verb. Returns the exit code. */
#ifndef BIN_VERB_DEMO_H
#define BIN_VERB_DEMO_H

#include "bin/cli.h"
#include "server/core/run.h"

int verb_demo(const struct cli *cli, int argc, char **argv);

#define DEMO_SALMA          "salma@barid.test"
#define DEMO_OMAR           "omar@barid.test"
#define DEMO_SALMA_PASSWORD "salma-2026"
#define DEMO_OMAR_PASSWORD  "omar-2026"

/* Sends by submission, reads by IMAP and POP3 over plain and TLS, compares bytes; says what it does. */
enum err MUST_USE demo_self_test(struct server *server);

#endif
