/* after=DAYS of POP3 policies (auth/pop_policy.h) in the background: what a device took so many days ago goes, also when the device never comes again.
 *
 * One thread looks every hour at the users whose policies say so, and at an account only when something of it may be due: it knows from the last time
 * when a device took what is here still. That is kept in memory alone; after a start each such account is opened once. */
#ifndef SERVER_CORE_EXPIRE_H
#define SERVER_CORE_EXPIRE_H

#include "auth/directory.h"
#include "store/store.h"

struct expire;

struct expire_options {
    struct store *store;         /* borrowed */
    struct directory *directory; /* the same */
    /* A session of the user has its list: nothing of it goes before the next time. NULL: never. From the thread. */
    bool (*is_busy)(void *is_busy_arg, const char *user_id);
    void *is_busy_arg;
    unsigned pass_ms; /* between two passes; 0: an hour */
};

/* Starts no thread. */
struct expire *expire_new(const struct expire_options *options);
void expire_start(struct expire *expire);
/* Ends the thread after the account it is in. Calling it again does nothing. */
void expire_stop(struct expire *expire);
void expire_free(struct expire *expire);

/* One pass, now, on the caller's thread. all: whatever is known of when something is due. What cannot be looked at is logged and waits for the next
 * pass; the error is that of the directory. out_removed is always set. */
enum err MUST_USE expire_pass(struct expire *expire, bool all, size_t *out_removed);

#endif
