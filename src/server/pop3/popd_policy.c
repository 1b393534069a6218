/* What the owner's policy (auth/pop_policy.h) makes of a session: which messages it is shown, what becomes of them at its end. */
#include "server/pop3/popd_int.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>

#define DAY_S 86400

/* ---- which mailboxes ---- */

static void add_box(struct popd_maildrop *drop, int64_t id)
{
    for (size_t i = 0; i < drop->box_count; i++)
        if (drop->boxes[i] == id)
            return;
    drop->boxes = mem_realloc(drop->boxes, (drop->box_count + 1) * sizeof *drop->boxes);
    drop->boxes[drop->box_count++] = id;
}

static enum err add_named(struct popd_session *s, struct arena *arena, struct popd_maildrop *drop)
{
    char name[POP_FOLDERS_BYTES_MAX + 1];
    struct slice list = slice_of(s->policy.names);
    while (pop_folder_next(&list, name)) {
        struct mailbox box;
        enum err e = account_mailbox(s->account, slice_of(name), arena, &box);
        if (e == ERR_OK)
            add_box(drop, box.id);
        else if (e != ERR_NOT_FOUND) /* one that was deleted or is not made yet holds nothing */
            return e;
    }
    return ERR_OK;
}

static enum err add_all(struct popd_session *s, struct arena *arena, struct popd_maildrop *drop)
{
    struct mailbox *boxes;
    size_t count;
    TRY(account_mailboxes(s->account, arena, &boxes, &count));
    for (size_t i = 0; i < count; i++) {
        enum store_special_use use = boxes[i].use;
        if (boxes[i].exists && !boxes[i].noselect && use != STORE_USE_JUNK &&
            use != STORE_USE_TRASH && use != STORE_USE_DRAFTS && use != STORE_USE_SENT)
            add_box(drop, boxes[i].id);
    }
    return ERR_OK;
}

static enum err find_boxes(struct popd_session *s, struct arena *arena, struct popd_maildrop *drop)
{
    struct mailbox box;
    if (s->policy.folders == POP_FOLDERS_ALL) {
        TRY(add_all(s, arena, drop));
    } else if (s->policy.folders == POP_FOLDERS_LIST) {
        TRY(add_named(s, arena, drop));
    } else {
        TRY(account_mailbox(s->account, SLICE("INBOX"), arena, &box));
        add_box(drop, box.id);
    }
    if (!s->policy.with_sent)
        return ERR_OK;
    enum err e = account_mailbox_by_use(s->account, STORE_USE_SENT, arena, &box);
    if (e == ERR_OK)
        add_box(drop, box.id);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err popd_maildrop_open(struct popd_session *s, struct popd_maildrop *drop)
{
    struct arena arena;
    *drop = (struct popd_maildrop){ .boxes = NULL };
    arena_init(&arena, COMMAND_ARENA_BYTES_MAX);
    enum err e = find_boxes(s, &arena, drop);
    arena_done(&arena);
    const struct pop_policy *policy = &s->policy;
    drop->view = (struct store_download_view){ .device = s->user.device,
        .mailboxes = drop->boxes,
        .mailbox_count = drop->box_count,
        .without_taken = policy->list_per_device,
        .newest = policy->newest };
    if (policy->window == POP_WINDOW_NOW)
        drop->view.filed_from_ms = policy->since_ms;
    else if (policy->window == POP_WINDOW_DAYS)
        drop->view.received_from_s = clock_wall_s() - (int64_t)policy->window_days * DAY_S;
    return e;
}

void popd_maildrop_done(struct popd_maildrop *drop)
{
    free(drop->boxes);
}

/* ---- what DELE does ---- */

static enum err find_target(
    struct popd_session *s, enum store_special_use use, const char *name, int64_t *out_id)
{
    struct arena arena;
    struct mailbox box = { 0 };
    arena_init(&arena, COMMAND_ARENA_BYTES_MAX);
    enum err e = account_mailbox_by_use(s->account, use, &arena, &box);
    if (e == ERR_NOT_FOUND)
        e = account_mailbox(s->account, slice_of(name), &arena, &box);
    if (e == ERR_OK && box.noselect)
        e = ERR_DENIED;
    arena_done(&arena);
    *out_id = box.id;
    return e == ERR_NOT_FOUND ? mailbox_create(s->account, slice_of(name), use, out_id) : e;
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
        args.removal = STORE_REMOVE_MOVE;
        if (removes && policy->dele == POP_DELE_TRASH)
            TRY(find_target(s, STORE_USE_TRASH, "Trash", &args.to));
        else if (removes)
            TRY(find_target(s, STORE_USE_ARCHIVE, "Archive", &args.to));
        break;
    }
    return account_download_end(s->account, &args, out_removed);
}

/* ---- what is taken so many days ago ---- */

/* Done when the device comes next: nothing goes before its time, and then as if the program had deleted it. */
enum err popd_expire(struct popd_session *s, const struct popd_maildrop *drop)
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
