/* What IMAP and POP3 do to one mailbox, told with its own numbers: the text of `barid explain`. Pure: everything is given. */
#ifndef BIN_EXPLAIN_H
#define BIN_EXPLAIN_H

#include "auth/device.h"
#include "bin/guide.h"
#include "server/core/config.h"
#include "server/core/facts.h"

struct explain_input {
    const struct config *config; /* host name and listeners */
    const struct user *user;
    const struct pop_policy *policy; /* of the account */
    const struct mailbox_facts *facts;
    const struct device *devices; /* directory_devices */
    const bool *own_policy;       /* for each of them, whether it has one of its own */
    size_t device_count;
    const char *program; /* one of explain_programs, or NULL: a table for all */
};

/* Names, NULL at the end. */
extern const char *const explain_programs[];

/* Where a protocol of the mailbox's owner (IMAP, POP3, submission) is reached; of several listeners the one with TLS from the beginning. */
struct explain_reach {
    int port; /* 0: nowhere */
    bool implicit_tls;
    bool local_only; /* loopback or a Unix socket */
};
struct explain_reach explain_reach(const struct config *config, enum protocol protocol);

/* Appends the text. said (may be NULL) gets the name of each section that was used, a line each. */
void explain_write(
    enum lang lang, const struct explain_input *input, struct buf *out, struct buf *said);
/* A name that explain_write gives a value of; for the test of the texts. */
bool explain_knows(struct slice value_name, bool *out_is_number);

#endif
