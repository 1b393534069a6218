/* Mail out of files (import/import.h) into an account of accounts.conf, by IMAP. A message that the account has from an earlier run, or from elsewhere, is not sent: the
 * rules are those of a copy (copy/journal.h, copy/match.h), with the id that import gives each message in the place of a UID. */
#ifndef BIN_IMPORT_ACCOUNT_H
#define BIN_IMPORT_ACCOUNT_H

#include "copy/copy.h"
#include "import/import.h"

#include <stdbool.h>

struct import_account {
    const char *account;                  /* name or address */
    const struct import_options *options; /* without UIDLs: IMAP cannot give a message one */
    int settle_ms;                        /* of struct copy_target */
    bool live;                            /* a line of progress on the terminal */
    bool json; /* a line for each mailbox, and one for all, on standard output */
    void (*trouble)(void *trouble_arg, const char *path, enum import_trouble what);
    void *trouble_arg;
};

struct import_account_result {
    struct import_result read; /* what was wrong with the files */
    struct copy_counts counts;
};

/* Whether accounts.conf has it; false also when it cannot be read. */
bool import_account_exists(const char *account);
/* EX_OK, or the exit code after saying why, but for what out_result->read tells. */
int import_into_account(
    const struct import_account *args, struct import_account_result *out_result);

#endif
