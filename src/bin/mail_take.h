/* A message of a server in a file that has no name: it is read in pieces, however large it is, and gone with the process. */
#ifndef BIN_MAIL_TAKE_H
#define BIN_MAIL_TAKE_H

#include "bin/mail_session.h"
#include "message/summary.h"

struct mail_message {
    int fd;
    uint64_t bytes;
    struct buf summary_bytes;
    struct msg_summary summary;
};

/* Of the selected folder. EX_OK, or the exit code after saying why; mail_message_done in any case. */
int mail_take(struct mail_session *session, uint32_t uid, struct mail_message *out_message);
void mail_message_done(struct mail_message *message);
/* Borrows the message. */
struct msg_source mail_message_source(struct mail_message *message);

#endif
