/* The mime verb. */
#ifndef BIN_VERB_MIME_H
#define BIN_VERB_MIME_H

#include "bin/cli.h"

/* FILE: header, tree of parts and preview, with cli->json as JSON; --imap FILE...: size, ENVELOPE, BODYSTRUCTURE; extract: saves parts. Returns an
 * exit code. */
int verb_mime(const struct cli *cli, int argc, char **argv);

#endif
