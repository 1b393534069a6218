/* A table of when to look again, by user and device, and a thread that does. Lock order: pass_lock, then lock, a leaf.
 *
 * Always true: when an account was looked at, nothing of a device is due before the day that stands in the table: what it takes later is due later. */
#include "server/core/expire.h"

#include "auth/device.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "server/core/maildrop.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PASS_MS  (60u * 60 * 1000)
#define FIRST_MS (5u * 60 * 1000) /* after the start, when others want the disk */
#define DAY_S    86400
#define RETRY_S                                                                                    \
    DAY_S /* what is due and stays (unread, or in a folder that POP3 does not show) is looked at once a day */
#define THREAD_STACK (256u << 10)
/* So many accounts are opened one after the other; then others come first for a moment. */
#define ROUND_ACCOUNTS 50u
#define ROUND_PAUSE_MS 500u

struct next {
    unsigned days; /* of the policy it was reckoned with */
    int64_t looked_s, at_s;
};

struct expire {
    struct expire_options options;
    pthread_mutex_t pass_lock; /* one pass at a time */
    struct map next;           /* key_of -> struct next, owned; under pass_lock */
    size_t opened;             /* accounts, in this pass */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool ending;
    pthread_t thread;
    bool started;
};

struct expire *expire_new(const struct expire_options *options)
{
    struct expire *expire = mem_zalloc(1, sizeof *expire);
    pthread_condattr_t attributes;
    expire->options = *options;
    if (expire->options.pass_ms == 0)
        expire->options.pass_ms = PASS_MS;
    pthread_mutex_init(&expire->pass_lock, NULL);
    pthread_mutex_init(&expire->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&expire->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    map_init(&expire->next);
    return expire;
}

/* Waits; false when it is to end. */
static bool pause_for(struct expire *expire, unsigned ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&expire->lock);
    while (!expire->ending && pthread_cond_timedwait(&expire->wake, &expire->lock, &until) == 0)
        continue;
    bool goes_on = !expire->ending;
    pthread_mutex_unlock(&expire->lock);
    return goes_on;
}

/* ---- one device ---- */

struct key {
    char user_id[USER_ID_BYTES + 1];
    int64_t device;
};

static struct next *next_of(struct expire *expire, const struct user *user)
{
    struct key key;
    memset(&key, 0, sizeof key); /* the gaps too: its bytes are the key */
    memcpy(key.user_id, user->id, sizeof key.user_id);
    key.device = user->device;
    struct slice bytes = slice_from(&key, sizeof key);
    struct next *next = map_get(&expire->next, bytes);
    if (!next) {
        next = mem_zalloc(1, sizeof *next);
        (void)map_put(&expire->next, bytes, next);
    }
    return next;
}

static enum err expire_account(struct expire *expire, struct account *account,
    const struct user *user, const struct pop_policy *policy, size_t *removed, int64_t *first_s)
{
    struct maildrop drop;
    (void)expire;
    enum err e = maildrop_open(account, policy, user->device, &drop);
    if (e == ERR_OK)
        e = maildrop_expire(account, user, policy, &drop, removed);
    maildrop_done(&drop);
    return e == ERR_OK ? account_first_taken(account, user->device, first_s) : e;
}

static enum err look(struct expire *expire, const struct user *user,
    const struct pop_policy *policy, size_t *removed, int64_t *first_s)
{
    struct account *account;
    enum err e = store_account(expire->options.store, slice_of(user->id), false, &account);
    *first_s = INT64_MAX;
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e; /* nothing has come yet */
    expire->opened++;
    e = expire_account(expire, account, user, policy, removed, first_s);
    account_unref(account);
    return e;
}

/* user->device is set. */
static void visit(struct expire *expire, const struct user *user, bool all, size_t *removed_by_all)
{
    struct pop_policy policy;
    size_t removed = 0;
    int64_t first_s, now_s = clock_wall_s();
    if (directory_pop_policy(expire->options.directory, user, &policy) != ERR_OK ||
        policy.after != POP_AFTER_DAYS)
        return;
    struct next *next = next_of(expire, user);
    /* a clock that was set back since has made at_s a day that is too far away */
    if (!all && next->days == policy.after_days && now_s >= next->looked_s && now_s < next->at_s)
        return;
    enum err e = look(expire, user, &policy, &removed, &first_s);
    if (removed)
        log_info("pop3.expire", "user=%s device=%lld removed=%zu taken %u days ago or earlier",
            LOG_S(slice_of(user->address)), (long long)user->device, removed, policy.after_days);
    *removed_by_all += removed;
    if (e != ERR_OK) {
        log_error("pop3.expire", "user=%s device=%lld err=%s trying again later",
            LOG_S(slice_of(user->address)), (long long)user->device, err_name(e));
        return;
    }
    int64_t later_s = now_s + (int64_t)policy.after_days * DAY_S; /* what is taken from now on */
    int64_t due_s = first_s == INT64_MAX ? later_s : first_s + (int64_t)policy.after_days * DAY_S;
    *next = (struct next){ .days = policy.after_days,
        .looked_s = now_s,
        .at_s = due_s > now_s ? (due_s < later_s ? due_s : later_s) : now_s + RETRY_S };
}

/* ---- all of them ---- */

/* The main password, and the app passwords: one that was revoked has no policy any more, and with one that has expired nobody logs in. */
static void visit_devices(
    struct expire *expire, struct user *user, bool all, struct arena *arena, size_t *removed)
{
    struct device *list;
    size_t count;
    unsigned services = user->services;
    if (directory_devices(expire->options.directory, user, arena, &list, &count) != ERR_OK)
        return;
    for (size_t i = 0; i < count; i++) {
        user->device = list[i].id;
        bool expired = list[i].expires_s && list[i].expires_s <= clock_wall_s();
        if (!expired && (services & list[i].services & USER_POP3))
            visit(expire, user, all, removed);
    }
}

static void visit_user(struct expire *expire, const char *id, bool all, size_t *removed)
{
    struct user user;
    struct arena arena;
    if (directory_user_by_id(expire->options.directory, slice_of(id), &user) != ERR_OK)
        return;
    if (user.disabled || !(user.services & USER_POP3))
        return; /* nobody logs in, so nothing goes */
    if (expire->options.is_busy && expire->options.is_busy(expire->options.is_busy_arg, id))
        return;
    arena_init(&arena, COMMAND_ARENA_BYTES_MAX);
    visit_devices(expire, &user, all, &arena, removed);
    arena_done(&arena);
}

static enum err pass(struct expire *expire, bool all, struct arena *arena, size_t *removed)
{
    char(*ids)[USER_ID_BYTES + 1];
    size_t count;
    TRY(directory_pop_after_days(expire->options.directory, arena, &ids, &count));
    expire->opened = 0;
    for (size_t i = 0; i < count; i++) {
        visit_user(expire, ids[i], all, removed);
        if (expire->opened < ROUND_ACCOUNTS)
            continue;
        expire->opened = 0;
        if (!pause_for(expire, ROUND_PAUSE_MS))
            return ERR_OK;
    }
    return ERR_OK;
}

enum err expire_pass(struct expire *expire, bool all, size_t *out_removed)
{
    struct arena arena;
    *out_removed = 0;
    arena_init(&arena, SIZE_MAX);
    pthread_mutex_lock(&expire->pass_lock);
    enum err e = pass(expire, all, &arena, out_removed);
    pthread_mutex_unlock(&expire->pass_lock);
    arena_done(&arena);
    if (e != ERR_OK)
        log_error("pop3.expire", "err=%s trying again later", err_name(e));
    return e;
}

static void *run(void *expire_arg)
{
    struct expire *expire = expire_arg;
    unsigned pass_ms = expire->options.pass_ms, ms = pass_ms < FIRST_MS ? pass_ms : FIRST_MS;
    for (; pause_for(expire, ms); ms = pass_ms) {
        size_t removed;
        enum err e = expire_pass(expire, false, &removed);
        (void)e; /* told */
    }
    return NULL;
}

/* ---- life ---- */

void expire_start(struct expire *expire)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, THREAD_STACK);
    expire->started = pthread_create(&expire->thread, &attributes, run, expire) == 0;
    pthread_attr_destroy(&attributes);
    if (!expire->started)
        log_error("pop3.expire", "no thread, what is due goes when its device comes");
}

void expire_stop(struct expire *expire)
{
    if (!expire)
        return;
    pthread_mutex_lock(&expire->lock);
    expire->ending = true;
    pthread_cond_signal(&expire->wake);
    pthread_mutex_unlock(&expire->lock);
    if (expire->started)
        pthread_join(expire->thread, NULL);
    expire->started = false;
}

void expire_free(struct expire *expire)
{
    if (!expire)
        return;
    expire_stop(expire);
    size_t cursor = 0;
    struct slice key;
    void *next;
    while (map_next(&expire->next, &cursor, &key, &next))
        free(next);
    map_done(&expire->next);
    pthread_cond_destroy(&expire->wake);
    pthread_mutex_destroy(&expire->lock);
    pthread_mutex_destroy(&expire->pass_lock);
    free(expire);
}
