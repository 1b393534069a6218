/* barid domain, user, passwd, alias: who exists here. argv[0] is the verb. Each returns the exit code (<sysexits.h>).
 *
 *   domain add NAME... | list | remove NAME
 *   user   add ADDRESS... [SWITCHES] [--password-file FILE|-]     one password for each address, a line each
 *          list [DOMAIN] | show ADDRESS | set ADDRESS SWITCHES | disable ADDRESS | enable ADDRESS
 *          remove ADDRESS [--yes] | import FILE|- [SWITCHES]
 *   passwd ADDRESS [--password-file FILE|-]
 *   alias  add ALIAS TARGET... | list | remove ALIAS [TARGET]
 *
 * SWITCHES: --imap on|off --pop on|off --submission on|off --quota SIZE|none --quota-messages N|none
 *
 * They change DATA/directory.db, which a running server reads at each login; then they tell the server, so that sessions which
 * are no longer allowed end. A password never comes from argv. */
#ifndef BIN_VERB_USER_H
#define BIN_VERB_USER_H

#include "bin/cli.h"

int verb_domain(const struct cli *cli, int argc, char **argv);
int verb_user(const struct cli *cli, int argc, char **argv);
int verb_passwd(const struct cli *cli, int argc, char **argv);
int verb_alias(const struct cli *cli, int argc, char **argv);

#endif
