/* Sends what accounts have waiting (S-9): takes outgoing rows that are due, delivers them, and ends each in exactly one of delivered,
 * bounced (the sender is told) or waiting (it will be tried again). agenda.db in the data folder says which accounts have something due. */
#ifndef DELIVER_OUTBOX_H
#define DELIVER_OUTBOX_H

#include "auth/directory.h"
#include "store/store.h"

struct outbox;

/* Starts no thread. store and directory are borrowed and outlive it. hostname names us in bounces; copied. */
enum err MUST_USE outbox_new(struct store *store, struct directory *directory, const char *data_dir,
    const char *hostname, struct outbox **out_outbox, struct err_note *note);
void outbox_start(struct outbox *outbox);
/* Ends the threads after the delivery each is in. */
void outbox_stop(struct outbox *outbox);
void outbox_free(struct outbox *outbox);

#endif
