/* Private to deliver/: the warning of the quota. */
#ifndef DELIVER_QUOTA_H
#define DELIVER_QUOTA_H

#include "base/buf.h"
#include "deliver/deliver.h"

#define DELIVER_OLD_DAYS 30

/* The message that tells an owner how full the mailbox is and what would make room. Appends to out. */
struct deliver_quota_warning {
    const char *hostname;
    struct slice address;
    unsigned percent;
    uint64_t used, most; /* bytes, or messages when in_messages */
    bool in_messages;
    uint64_t trash, junk; /* bytes in them */
    uint64_t old_inbox;   /* bytes of the inbox that came DELIVER_OLD_DAYS ago or earlier */
    int64_t now_s;
};
void deliver_write_quota_warning(const struct deliver_quota_warning *warning, struct buf *out);

/* After a delivery: warns the owner when the mailbox is that full and it was not said yet. A failure is logged and changes nothing for the sender. */
void deliver_watch_quota(const struct deliver_args *args, struct account *account);

#endif
