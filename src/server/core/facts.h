/* What there is in a mailbox, in numbers, and what POP3 would take of it: for `barid explain`, which reads them out of the store or asks a server that has it
 * open (control.h: mailbox-facts).
 *
 *     usage 26 4194304                   messages, bytes
 *     folder 20 3 3145728 none INBOX     messages, unread, bytes, special use, name
 *     days 30                            of what is "old" below
 *     pop shown 12 1048576 3 2048        messages, bytes, of them unread: messages, bytes; so also old, all, all-old, due
 *     taken 2 17                         device, messages that it took and that are here still
 *     damaged                            some messages cannot be read; they are left out */
#ifndef SERVER_CORE_FACTS_H
#define SERVER_CORE_FACTS_H

#include "auth/pop_policy.h"
#include "store/store.h"

#define FACTS_DAYS_DEFAULT 30 /* what is old, where the policy names no days */

struct facts_amount {
    uint64_t messages, bytes, unread, unread_bytes;
};

struct facts_folder {
    struct slice name;
    enum store_special_use use;
    uint64_t messages, unread, bytes;
};

enum facts_drop {
    FACTS_SHOWN,   /* by POP3 to a program that has taken nothing yet, as the account's policy is now */
    FACTS_OLD,     /* of these, what arrived more than `days` ago */
    FACTS_ALL,     /* the same with window=all and newest=all */
    FACTS_ALL_OLD,
    FACTS_DUE, /* what devices that may come again took more than `days` ago: with after=DAYS it goes when they come next, or within the hour */
    FACTS_DROPS
};

/* All zero: an account without a folder, to which nothing came yet. */
struct mailbox_facts {
    uint64_t messages, bytes; /* what counts for the quota */
    struct facts_folder *folders;
    size_t folder_count;
    unsigned days; /* of after=DAYS, else FACTS_DAYS_DEFAULT */
    struct facts_amount drops[FACTS_DROPS];
    struct store_taken *taken;
    size_t taken_count;
    bool damaged;
};

/* From an account that is there. devices: those that may come again, 0 for the main password. POP3 that is off shows nothing that has come so far where the policy says window=now. Reads, and holds no lock for longer than
 * one mailbox takes. */
enum err MUST_USE facts_collect(struct account *account, const struct pop_policy *policy, bool pop_is_on, const int64_t *devices, size_t device_count, int64_t now_s,
        struct arena *arena, struct mailbox_facts *out_facts);
/* The same by the user's id; makes no account. ERR_NOT_FOUND: no such user. */
enum err MUST_USE facts_of_user(struct store *store, struct directory *directory, struct slice id, struct arena *arena, struct mailbox_facts *out_facts);

/* As lines, and back: one line at a time into facts that were zero. Lines of a newer server are passed over. */
void facts_write(const struct mailbox_facts *facts, struct buf *out);
enum err MUST_USE facts_read_line(struct slice line, struct arena *arena, struct mailbox_facts *facts);

/* "none", "archive", "drafts", "junk", "sent", "trash". */
const char *facts_use_name(enum store_special_use use);

#endif
