/* Filing one message for one local user: which account, which folder, under which quota. */
#ifndef DELIVER_DELIVER_H
#define DELIVER_DELIVER_H

#include "auth/directory.h"
#include "store/store.h"

struct deliver_args {
    struct store *store;
    const struct user *user;
    struct slice
        detail; /* what stood after '+': a folder of that name is used if there is one, else INBOX */
    struct blob *blob;         /* finished, trace fields included */
    const unsigned char *guid; /* 16 bytes; NULL for a new one */
    int64_t received_s;
    const char *hostname;  /* names us in a warning of the quota */
    unsigned warn_percent; /* how full the mailbox is when its owner is warned, once; 0 = not at all */
};

/* Durable when it returns ERR_OK. One that was delivered before under the same guid is ERR_OK too. ERR_NO_SPACE: *out_over_quota says whether it is the
 * user's quota or the disk. Waits for the disk. */
enum err MUST_USE deliver_file(const struct deliver_args *args, bool *out_over_quota);

/* Whether the user's quota is used up already, so that a recipient can be refused before the message is sent. */
bool deliver_full(struct store *store, const struct user *user);

/* What `barid demo` does for people who test their own programs: the part after '+' asks for a failure. */
enum deliver_test {
    DELIVER_TEST_NONE,
    DELIVER_TEST_TEMPFAIL,
    DELIVER_TEST_PERMFAIL,
    DELIVER_TEST_SLOW,
};
enum deliver_test deliver_test_of(struct slice detail);

/* The message that tells a sender what was not delivered (RFC 3464). header: the header section of the message that was not delivered. Appends to out. */
struct deliver_bounce {
    const char *hostname;
    struct slice sender, recipient, status; /* status: a sentence that says why */
    struct slice header;
    int64_t now_s;
};
void deliver_write_bounce(const struct deliver_bounce *bounce, struct buf *out);

#endif
