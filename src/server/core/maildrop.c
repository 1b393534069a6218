/* Which mailboxes a POP3 policy names, and which of their messages. */
#include "server/core/maildrop.h"

#include "base/clock.h"

#include <stdlib.h>

#define DAY_S 86400

static void push_box(struct maildrop *drop, int64_t id)
{
    drop->boxes = mem_realloc(drop->boxes, (drop->box_count + 1) * sizeof *drop->boxes);
    drop->boxes[drop->box_count++] = id;
}

/* Unless it is there; of the few that somebody named. */
static void add_box(struct maildrop *drop, int64_t id)
{
    for (size_t i = 0; i < drop->box_count; i++)
        if (drop->boxes[i] == id)
            return;
    push_box(drop, id);
}

static enum err add_named(struct account *account, const struct pop_policy *policy,
    struct arena *arena, struct maildrop *drop)
{
    char name[POP_FOLDERS_BYTES_MAX + 1];
    struct slice list = slice_of(policy->names);
    while (pop_folder_next(&list, name)) {
        struct mailbox box;
        enum err e = account_mailbox(account, slice_of(name), arena, &box);
        if (e == ERR_OK)
            add_box(drop, box.id);
        else if (e != ERR_NOT_FOUND) /* one that was deleted or is not made yet holds nothing */
            return e;
    }
    return ERR_OK;
}

static enum err add_all(struct account *account, struct arena *arena, struct maildrop *drop)
{
    struct mailbox *boxes;
    size_t count;
    TRY(account_mailboxes(account, arena, &boxes, &count));
    for (size_t i = 0; i < count; i++) {
        enum store_special_use use = boxes[i].use;
        if (boxes[i].exists && !boxes[i].noselect && use != STORE_USE_JUNK &&
            use != STORE_USE_TRASH && use != STORE_USE_DRAFTS && use != STORE_USE_SENT)
            push_box(drop, boxes[i].id);
    }
    return ERR_OK;
}

static enum err find_boxes(struct account *account, const struct pop_policy *policy,
    struct arena *arena, struct maildrop *drop)
{
    struct mailbox box;
    if (policy->folders == POP_FOLDERS_ALL) {
        TRY(add_all(account, arena, drop));
    } else if (policy->folders == POP_FOLDERS_LIST) {
        TRY(add_named(account, policy, arena, drop));
    } else {
        TRY(account_mailbox(account, SLICE("INBOX"), arena, &box));
        add_box(drop, box.id);
    }
    if (!policy->with_sent)
        return ERR_OK;
    enum err e = account_mailbox_by_use(account, STORE_USE_SENT, arena, &box);
    if (e == ERR_OK)
        add_box(drop, box.id);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err maildrop_open(
    struct account *account, const struct pop_policy *policy, int64_t device, struct maildrop *drop)
{
    struct arena arena;
    *drop = (struct maildrop){ .boxes = NULL };
    arena_init(&arena, COMMAND_ARENA_BYTES_MAX);
    enum err e = find_boxes(account, policy, &arena, drop);
    arena_done(&arena);
    drop->view = (struct store_download_view){ .device = device,
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

void maildrop_done(struct maildrop *drop)
{
    free(drop->boxes);
}
