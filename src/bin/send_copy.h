/* Copies of sent messages, for the Sent folder of their account. */
#ifndef BIN_SEND_COPY_H
#define BIN_SEND_COPY_H

#include "bin/client_common.h"
#include "client/smtp/smtpc_queue.h"

/* Files, by IMAP, the copy of every message of the queue that is sent and whose copy is due; such a message then leaves the queue. One that the
 * server has filed itself is found by its Message-ID and not filed again. Says what failed; the copy stays due, and the mail is sent all the same. The
 * queue is locked by the caller. */
void send_file_copies(struct client_use *use, struct smtpc_queue *queue);

#endif
