/* What the owner's policy (auth/pop_policy.h) makes of the messages of a session at its end, and before its beginning. */
#include "server/pop3/popd_int.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>

#define DAY_S 86400

/* ---- what DELE does ---- */

static enum err look_for_target(
    struct popd_session *s, enum store_special_use use, const char *name, int64_t *out_id)
{
    struct arena arena;
    struct mailbox box = { 0 };
    arena_init(&arena, COMMAND_ARENA_BYTES_MAX);
    enum err e = account_mailbox_by_use(s->account, use, &arena, &box);
    if (e == ERR_NOT_FOUND)
        e = account_mailbox(s->account, slice_of(name), &arena, &box);
    arena_done(&arena);
    *out_id = box.id;
    return e == ERR_OK && box.noselect ? ERR_NOT_FOUND : e;
}

static enum err find_target(
    struct popd_session *s, enum store_special_use use, const char *name, int64_t *out_id)
{
    enum err e = look_for_target(s, use, name, out_id);
    if (e == ERR_NOT_FOUND)
        e = mailbox_create(s->account, slice_of(name), use, out_id);
    return e == ERR_EXISTS ? look_for_target(s, use, name, out_id) : e; /* another session was first */
}

/* Where it goes; hidden where it lies when there is no such place and none can be made (too many mailboxes, a name in the way). */
static enum err choose_target(struct popd_session *s, struct store_download_end *args)
{
    bool trash = s->policy.dele == POP_DELE_TRASH;
    args->removal = STORE_REMOVE_MOVE;
    args->expunge_there = trash;
    enum err e = find_target(s, trash ? STORE_USE_TRASH : STORE_USE_ARCHIVE,
        trash ? "Trash" : "Archive", &args->to);
    if (e == ERR_LIMIT || e == ERR_NOT_FOUND || e == ERR_DENIED) {
        log_warn("pop3.quit", "conn=%llu user=%s err=%s no %s; hiding what was removed",
            conn_id(s->conn), LOG_S(slice_of(s->user.address)), err_name(e),
            trash ? "Trash" : "Archive");
        args->removal = STORE_REMOVE_HIDE;
        return ERR_OK;
    }
    return e;
}

enum err popd_end(struct popd_session *s, const struct store_downloaded *at, size_t count,
    size_t *out_removed)
{
    const struct pop_policy *policy = &s->policy;
    struct store_download_end args = { .device = s->user.device,
        .hide_from = policy->list_per_device ? s->user.device : STORE_DEVICE_ALL,
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
            TRY(choose_target(s, &args));
        break;
    }
    return account_download_end(s->account, &args, out_removed);
}

/* ---- what is taken so many days ago ---- */

/* Done when the device comes next: nothing goes before its time, and then as if the program had deleted it. */
enum err popd_expire(struct popd_session *s, const struct maildrop *drop)
{
    struct store_download *due;
    size_t count, removed = 0;
    if (s->policy.after != POP_AFTER_DAYS)
        return ERR_OK;
    int64_t before_s = clock_wall_s() - (int64_t)s->policy.after_days * DAY_S;
    TRY(account_downloads_due(s->account, &drop->view, before_s, &due, &count));
    struct store_downloaded *at = mem_zalloc(count, sizeof *at);
    for (size_t i = 0; i < count; i++)
        at[i] = (struct store_downloaded){ .mailbox = due[i].mailbox,
            .uid = due[i].entry.uid,
            .email = due[i].entry.email,
            .may_go = true };
    free(due);
    enum err e = count ? popd_end(s, at, count, &removed) : ERR_OK;
    free(at);
    if (removed)
        log_info("pop3.expire", "conn=%llu user=%s removed=%zu taken %u days ago or earlier",
            conn_id(s->conn), LOG_S(slice_of(s->user.address)), removed, s->policy.after_days);
    return e;
}
