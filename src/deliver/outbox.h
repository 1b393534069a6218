/* Sends what accounts have waiting (S-9): takes outgoing rows that are due, delivers them, and ends each in exactly one of delivered,
 * bounced (the sender is told) or waiting (it will be tried again). agenda.db in the data folder says which accounts may have something due;
 * it may name an account that has nothing, never the other way round. */
#ifndef DELIVER_OUTBOX_H
#define DELIVER_OUTBOX_H

#include "auth/directory.h"
#include "store/store.h"

#include <stdatomic.h>

struct outbox;

struct outbox_options {
    struct store *store;         /* borrowed, outlives the outbox */
    struct directory *directory; /* the same */
    const char *data_dir;        /* copied */
    unsigned warn_percent;       /* deliver.h */
    const char *hostname;        /* names us in trace fields and bounces; copied */
    bool test_addresses; /* user+tempfail@, +permfail@, +slow@ behave as named (`barid demo`) */
    int slow_ms;
    atomic_ullong *delivered; /* counted up for each recipient; NULL = not counted */
};

/* Starts no thread. */
enum err MUST_USE outbox_new(
    const struct outbox_options *options, struct outbox **out_outbox, struct err_note *note);
void outbox_start(struct outbox *outbox);
/* For the deliveries from now on; from any thread. */
void outbox_set_warn_percent(struct outbox *outbox, unsigned percent);
/* Before account_submit: from now on the account is looked at, also after a crash. Durable when it returns; waits for the disk only when the
 * account is not marked yet. */
enum err MUST_USE outbox_mark(struct outbox *outbox, struct slice account_id);
/* After account_submit, whatever came of it: once for each mark. The account is looked at now. */
void outbox_wake(struct outbox *outbox, struct slice account_id);
/* Ends the threads after the delivery each is in. */
void outbox_stop(struct outbox *outbox);
void outbox_free(struct outbox *outbox);

#endif
