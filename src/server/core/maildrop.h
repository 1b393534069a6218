/* What a POP3 policy (auth/pop_policy.h) shows of an account. For the sessions, and for whoever asks what they would see. */
#ifndef SERVER_CORE_MAILDROP_H
#define SERVER_CORE_MAILDROP_H

#include "auth/pop_policy.h"
#include "store/store.h"

struct maildrop {
    int64_t *boxes; /* owned */
    size_t box_count;
    struct store_download_view view; /* borrows boxes */
};
/* To be released also after an error. */
enum err MUST_USE maildrop_open(struct account *account, const struct pop_policy *policy, int64_t device, struct maildrop *drop);
void maildrop_done(struct maildrop *drop);

/* What becomes of messages that user->device has taken and removed. Waits for the disk. */
enum err MUST_USE maildrop_end(struct account *account, const struct user *user, const struct pop_policy *policy,
    const struct store_downloaded *at, size_t count, size_t *out_removed);
/* Removes, where the policy says after=DAYS, what user->device took so long ago. Waits for the disk when something is due. */
enum err MUST_USE maildrop_expire(struct account *account, const struct user *user, const struct pop_policy *policy,
    const struct maildrop *drop, size_t *out_removed);

#endif
