/* What a POP3 policy makes of the messages that a device has taken or removed: when a session ends, and so many days later. */
#include "server/core/maildrop.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>

#define DAY_S 86400

/* ---- what DELE does ---- */

static enum err look_for_target(
    struct account *account, enum store_special_use use, const char *name, int64_t *out_id)
{
    struct arena arena;
    struct mailbox box = { 0 };
    arena_init(&arena, COMMAND_ARENA_BYTES_MAX);
    enum err e = account_mailbox_by_use(account, use, &arena, &box);
    if (e == ERR_NOT_FOUND)
        e = account_mailbox(account, slice_of(name), &arena, &box);
    arena_done(&arena);
    *out_id = box.id;
    return e == ERR_OK && box.noselect ? ERR_NOT_FOUND : e;
}

static enum err find_target(
    struct account *account, enum store_special_use use, const char *name, int64_t *out_id)
{
    enum err e = look_for_target(account, use, name, out_id);
    if (e == ERR_NOT_FOUND)
        e = mailbox_create(account, slice_of(name), use, out_id);
    return e == ERR_EXISTS ? look_for_target(account, use, name, out_id)
                           : e; /* another session was first */
}

/* Where it goes; hidden where it lies when there is no such place and none can be made (too many mailboxes, a name in the way). */
static enum err choose_target(struct account *account, const struct user *user,
    const struct pop_policy *policy, struct store_download_end *args)
{
    bool trash = policy->dele == POP_DELE_TRASH;
    args->removal = STORE_REMOVE_MOVE;
    args->expunge_there = trash;
    enum err e = find_target(account, trash ? STORE_USE_TRASH : STORE_USE_ARCHIVE,
        trash ? "Trash" : "Archive", &args->to);
    if (e == ERR_LIMIT || e == ERR_NOT_FOUND || e == ERR_DENIED) {
        log_warn("pop3.target", "user=%s err=%s no %s; hiding what was removed",
            LOG_S(slice_of(user->address)), err_name(e), trash ? "Trash" : "Archive");
        args->removal = STORE_REMOVE_HIDE;
        return ERR_OK;
    }
    return e;
}

enum err maildrop_end(struct account *account, const struct user *user,
    const struct pop_policy *policy, const struct store_downloaded *at, size_t count,
    size_t *out_removed)
{
    struct store_download_end args = { .device = user->device,
        .hide_from = policy->list_per_device ? user->device : STORE_DEVICE_ALL,
        .at = at,
        .count = count,
        .unread_stays = policy->unread_stays };
    bool removes = false;
    for (size_t i = 0; i < count && !removes; i++)
        removes = at[i].removed || at[i].may_go;
    switch (policy->dele) {
    case POP_DELE_HIDE:
        args.removal = STORE_REMOVE_HIDE;
        break;
    case POP_DELE_EXPUNGE:
        args.removal = STORE_REMOVE_EXPUNGE;
        break;
    case POP_DELE_TRASH:
    case POP_DELE_ARCHIVE:
        if (removes)
            TRY(choose_target(account, user, policy, &args));
        break;
    }
    return account_download_end(account, &args, out_removed);
}

/* ---- what was taken so many days ago ---- */

/* Nothing goes before its time, and then as if the program had deleted it. */
enum err maildrop_expire(struct account *account, const struct user *user,
    const struct pop_policy *policy, const struct maildrop *drop, size_t *out_removed)
{
    struct store_download *due;
    size_t count;
    *out_removed = 0;
    if (policy->after != POP_AFTER_DAYS)
        return ERR_OK;
    int64_t before_s = clock_wall_s() - (int64_t)policy->after_days * DAY_S;
    TRY(account_downloads_due(account, &drop->view, before_s, &due, &count));
    struct store_downloaded *at = mem_zalloc(count, sizeof *at);
    for (size_t i = 0; i < count; i++)
        at[i] = (struct store_downloaded){ .mailbox = due[i].mailbox,
            .uid = due[i].entry.uid,
            .email = due[i].entry.email,
            .may_go = true };
    free(due);
    enum err e = count ? maildrop_end(account, user, policy, at, count, out_removed) : ERR_OK;
    free(at);
    return e;
}
