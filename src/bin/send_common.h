/* What send and queue share: a run over the queue of one account, and the fate of a message in words. */
#ifndef BIN_SEND_COMMON_H
#define BIN_SEND_COMMON_H

#include "bin/client_common.h"
#include "client/smtp/smtpc_flush.h"

#define SEND_LOCK_WAIT_MS 10000

/* Sends what is due and files copies in Sent, asking for the secret only when something is. The queue is locked by the caller. EX_OK also when nothing is due; a failure is said. */
int send_flush(struct client_use *use, struct smtpc_queue *queue, const char *only_id, bool now,
    struct smtpc_flush_result *out_result);

/* What the last answer about a recipient means; appended to out. */
void send_add_outcome(const struct smtpc_outcome *outcome, struct buf *out);

#endif
