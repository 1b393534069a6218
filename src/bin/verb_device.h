/* barid app-password, device: passwords for single programs, and what logs in for a user. argv[0] is the verb. Each returns the exit code.
 *
 *   app-password  add ADDRESS NAME [--protocols imap,pop3,submission] [--expires YYYY-MM-DD|Nd] [--network CIDR[,CIDR]]
 *                 list ADDRESS | revoke ADDRESS NAME
 *   device        list ADDRESS
 *
 * An app password is printed once and never kept; revoking ends the sessions it opened on a running server. */
#ifndef BIN_VERB_DEVICE_H
#define BIN_VERB_DEVICE_H

#include "bin/cli.h"

int verb_app_password(const struct cli *cli, int argc, char **argv);
int verb_device(const struct cli *cli, int argc, char **argv);

#endif
