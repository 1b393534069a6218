/* barid pop: what POP3 does to a mailbox. argv[0] is the verb.
 *
 *   pop ADDRESS                                     says what holds, in sentences
 *   pop ADDRESS [on|off] [SETTING=VALUE...]         changes it, from the next login on (auth/pop_policy.h lists the settings)
 *   pop ADDRESS --device NAME [SETTING=VALUE...]    the same for one app password; without settings: shows
 *   pop ADDRESS [--device NAME] reset               back to the defaults, or to what holds for the account */
#ifndef BIN_VERB_POP_H
#define BIN_VERB_POP_H

#include "bin/cli.h"

int verb_pop(const struct cli *cli, int argc, char **argv);

#endif
