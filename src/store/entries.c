/* What never changes of a mailbox's messages, kept in memory: a program that downloads asks for all of it each time it comes.
 *
 * Always true: a list holds, in ascending order, exactly the messages of state->uids below next_uid, as they were committed; all lists of a store together
 * are at most ENTRIES_KEPT_BYTES. */
#include "store/account.h"

#include <stdlib.h>
#include <string.h>

#define READ_ROWS 10000

/* A snapshot belongs to no store. */
static void resize(struct account *account, struct entry_list *list, size_t cap)
{
    if (account->store) {
        atomic_fetch_add(&account->store->entries_kept_bytes, cap * sizeof *list->at);
        atomic_fetch_sub(&account->store->entries_kept_bytes, list->cap * sizeof *list->at);
    }
    list->cap = cap;
}

void entry_list_drop(struct account *account, struct entry_list *list)
{
    resize(account, list, 0);
    free(list->at);
    *list = (struct entry_list){ 0 };
}

static void take(struct account *account, struct entry_list *list, const struct store_rows *rows)
{
    if (list->count + rows->count > list->cap) {
        size_t cap = list->count + rows->count + list->count / 8 + 8;
        list->at = mem_realloc(list->at, cap * sizeof *list->at);
        resize(account, list, cap);
    }
    for (size_t i = 0; i < rows->count; i++) {
        const struct store_row *row = &rows->at[i];
        struct store_entry *entry = &list->at[list->count++];
        *entry = (struct store_entry){
            .uid = row->uid, .email = row->email, .size = row->size, .received_s = row->received_s
        };
        memcpy(entry->guid, row->guid, sizeof entry->guid);
    }
}

static enum err read_new(
    struct account *account, const struct mailbox_state *state, struct entry_list *list, bool *damaged)
{
    struct arena arena;
    arena_init(&arena, COMMAND_ARENA_BYTES_MAX);
    struct store_read_args args = { .mailbox = state->id,
        .from_uid = list->next_uid,
        .need = STORE_NEED_EMAIL,
        .rows_max = READ_ROWS };
    enum err e = ERR_OK;
    while (e == ERR_OK) {
        struct store_rows rows = { 0 };
        arena_reset(&arena);
        e = account_read_held(account, &args, &arena, &rows);
        if (e != ERR_OK)
            break;
        take(account, list, &rows);
        *damaged |= rows.damaged;
        args.from_uid = rows.next_uid;
        if (rows.next_uid == 0)
            break;
    }
    arena_done(&arena);
    list->next_uid = state->uidnext;
    return e;
}

static void drop_gone(const struct mailbox_state *state, struct entry_list *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++)
        if (uidset_has(&state->uids, list->at[i].uid))
            list->at[kept++] = list->at[i];
    list->count = kept;
}

static enum err follow(
    struct account *account, const struct mailbox_state *state, struct entry_list *list, bool *damaged)
{
    if (list->next_uid < state->uidnext)
        TRY(read_new(account, state, list, damaged));
    if (*damaged || list->count != uidset_members(&state->uids))
        drop_gone(state, list);
    return ERR_OK;
}

enum err account_entries(struct account *account, int64_t mailbox,
    const struct entry_list **out_list, bool *out_damaged)
{
    struct mailbox_state *state;
    *out_damaged = false;
    TRY(account_mailbox_state(account, mailbox, &state));
    if (!state)
        return ERR_NOT_FOUND;
    enum err e = follow(account, state, &state->entries, out_damaged);
    if (e != ERR_OK)
        entry_list_drop(account, &state->entries);
    *out_list = &state->entries;
    return e;
}

void account_entries_release(struct account *account, int64_t mailbox, bool damaged)
{
    struct mailbox_state *state;
    bool keep = !damaged && account->store &&
                atomic_load(&account->store->entries_kept_bytes) <= ENTRIES_KEPT_BYTES;
    if (!keep && account_mailbox_state(account, mailbox, &state) == ERR_OK && state)
        entry_list_drop(account, &state->entries);
}
