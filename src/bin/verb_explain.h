/* barid explain ADDRESS [--program NAME]: what IMAP and POP3 do to this mailbox, with its own numbers, and what to type into a mail program. argv[0]
 * is the verb; returns the exit code. The numbers are read out of the store, or asked of the server that has it open. */
#ifndef BIN_VERB_EXPLAIN_H
#define BIN_VERB_EXPLAIN_H

#include "bin/cli.h"

int verb_explain(const struct cli *cli, int argc, char **argv);

#endif
